"""What is run of a submission, and in which order.

The student's own code cells run as they stand, one after the other. Of the cells that were handed
out locked, none is taken from the student: given code, checks and hidden checks come from the
source notebook, so it does not matter whether a student deleted, renamed or changed them.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import assignments
from grade_find import Cell

MISSING = "the answer cell is missing"


class Step(NamedTuple):
    """One cell to run. `kind`: own, given, answer, check or hidden; `points` of a check."""

    kind: str
    exercise: str
    source: str
    points: int = 0
    grade_id: str = ""


@dataclass
class Exercise:
    """An exercise of a source notebook: its heading and its locked code cells."""

    name: str
    number: str = ""
    title: str = ""
    asked: bool = True  # whether it counts
    before: list[Step] = field(default_factory=list)  # given code above the answer
    after: list[Step] = field(default_factory=list)  # given code below, then the checks

    @property
    def checks(self) -> list[Step]:
        return [step for step in self.after if step.kind in ("check", "hidden")]

    @property
    def points(self) -> int:
        return sum(step.points for step in self.checks)


@dataclass
class Assignment:
    """A source notebook, as the grader needs it."""

    number: int
    title: str
    digest: str
    opening: list[Step] = field(default_factory=list)  # imports
    exercises: dict[str, Exercise] = field(default_factory=dict)
    handed: dict[str, str] = field(default_factory=dict)  # locked text as students get it → id
    stubs: set[str] = field(default_factory=set)  # answers as students get them

    @property
    def asked(self) -> list[Exercise]:
        return [exercise for exercise in self.exercises.values() if exercise.asked]

    @property
    def points(self) -> int:
        return sum(exercise.points for exercise in self.asked)

    def ask(self, numbers: Sequence[str]) -> None:
        """Count the exercises with these numbers, and no others."""
        for exercise in self.exercises.values():
            exercise.asked = exercise.number in numbers
        self.digest += " ".join(exercise.number for exercise in self.asked)

    def locked(self) -> Iterator[Step]:
        """All given code and checks of the exercises."""
        for exercise in self.exercises.values():
            yield from (*exercise.before, *exercise.after)


def load(path: Path) -> Assignment:
    """Read the source notebook of an assignment."""
    source = assignments.read(path)
    title = source.cells[0].source.partition("\n")[0].lstrip("# ")
    made = Assignment(int(path.name[:2]), title, hashlib.sha256(path.read_bytes()).hexdigest())
    loose: list[Step] = []
    answered: set[str] = set()
    for cell, shown in zip(source.cells, assignments.for_students(source).cells, strict=True):
        name, kind = assignments.part(cell)
        if cell.cell_type == "code" and kind != "answer":
            made.handed.setdefault(
                shown.source.strip(), cell.metadata.get("nbgrader", {}).get("grade_id", "")
            )
        if not name:
            if cell.cell_type == "code" and "setup" not in cell.metadata.get("tags", []):
                (loose if made.exercises else made.opening).append(Step("given", "", cell.source))
            continue
        exercise = made.exercises.setdefault(name, Exercise(name))
        exercise.before, loose = exercise.before + loose, []
        if kind == "statement" and not exercise.number:
            exercise.number, exercise.title = _heading(cell.source)
        elif kind == "answer":
            answered.add(name)
            made.stubs.add(shown.source.strip())
        elif cell.cell_type == "code":
            step = Step(
                kind, name, cell.source, assignments.points(cell), cell.metadata.nbgrader.grade_id
            )
            (exercise.after if name in answered else exercise.before).append(step)
    return made


def _heading(statement: str) -> tuple[str, str]:
    """`## 1.1 · Shift the targets` → ("1.1", "Shift the targets")."""
    number, _, title = statement.partition("\n")[0].lstrip("# ").partition(" · ")
    return number, title


def recognise(cells: Sequence[Cell], every: Iterable[Assignment]) -> Assignment | None:
    """The assignment of which a notebook has most answers: by their marks, else by their names."""
    every = list(every)
    for has in (_marked, _defined):
        counts = [sum(has(cells, name) for name in each.exercises) for each in every]
        if counts and max(counts):
            return every[counts.index(max(counts))]
    return None


def _marked(cells: Sequence[Cell], name: str) -> bool:
    return any(cell.grade_id == name for cell in cells)


def _defined(cells: Sequence[Cell], name: str) -> bool:
    return any(_defines(cell, name) for cell in cells)


def _defines(cell: Cell, name: str, stub: bool = False) -> bool:
    """Whether a cell defines the function; `stub`: even if only by the stub that was handed out."""
    body = r"(?:\n(?:[ \t)#].*)?)*"  # to the next line that begins with code
    found = re.findall(
        rf"(?m)^(?:(?:async )?def {re.escape(name)}\b.*{body}|{re.escape(name)} *=)", cell.source
    )
    return any(stub or assignments.STUB.splitlines()[-1] not in text for text in found)


def answers(assignment: Assignment, cells: Sequence[Cell]) -> dict[str, int]:
    """Exercise → the index of its answer: the last cell marked so, or, where that one is only a
    stub or lost its mark, the last cell that defines the function, better than as a stub."""
    found = {}
    for name in assignment.exercises:
        marked = [i for i, cell in enumerate(cells) if cell.grade_id == name]
        defining = [i for i, cell in enumerate(cells) if _defines(cell, name)]
        if marked and not (defining and not _defines(cells[marked[-1]], name)):
            found[name] = marked[-1]
        elif defining or (
            defining := [i for i, cell in enumerate(cells) if _defines(cell, name, stub=True)]
        ):
            found[name] = defining[-1]
    return found


def plan(assignment: Assignment, cells: Sequence[Cell]) -> list[Step]:
    """All cells to run, in order. Exercises without an answer do not occur in it."""
    homes: dict[int, list[Exercise]] = defaultdict(list)
    for name, index in answers(assignment, cells).items():
        homes[index].append(assignment.exercises[name])
    given = {step.grade_id: step for step in assignment.locked() if step.kind == "given"}
    steps = list(assignment.opening)
    for index, cell in enumerate(cells):
        if index in homes:
            here = homes[index]
            steps += [step for each in here for step in each.before if step not in steps]
            for exercise in here:
                steps += [step for step in _tried(exercise, cell) if step not in steps]
        elif locked := _locked(assignment, cell):
            step = given.get(locked)
            if step and step in assignment.exercises[step.exercise].before and step not in steps:
                steps.append(step)
        elif cell.source.strip() not in assignment.handed.keys() | assignment.stubs | {""}:
            steps.append(Step("own", "", cell.source))
    return steps


def _tried(exercise: Exercise, cell: Cell) -> list[Step]:
    """An answer, and what tries it. Several answers in one cell: it is run again for each."""
    if exercise.asked:
        return [Step("answer", exercise.name, cell.source), *exercise.after]
    given = [step for step in exercise.after if step.kind == "given"]
    return [Step("own", "", cell.source), *given]


def _locked(assignment: Assignment, cell: Cell) -> str:
    """The `grade_id` of the locked cell that a cell is a copy of, changed or not; "" if of none."""
    if any(step.grade_id == cell.grade_id for step in assignment.locked() if cell.grade_id):
        return cell.grade_id
    return assignment.handed.get(cell.source.strip(), "")


def tampered(assignment: Assignment, cells: Sequence[Cell]) -> list[str]:
    """The numbers of the exercises of which a locked cell is missing or is not as handed out."""
    there = {cell.source.strip() for cell in cells}
    texts = {grade_id: text for text, grade_id in assignment.handed.items()}
    changed = {cell.grade_id for cell in cells if cell.source.strip() not in assignment.handed}
    odd = []
    for exercise in assignment.asked:
        ids = [step.grade_id for step in (*exercise.before, *exercise.after) if step.grade_id]
        lost = [each for each in ids if each in texts and texts[each] not in there]
        if lost or changed.intersection(ids):
            odd.append(exercise.number)
    return odd
