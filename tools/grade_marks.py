"""From the outcomes of cells to points, reasons, the table and what students get to read."""

from __future__ import annotations

import csv
import io
import operator
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from grade_find import Submission
from grade_plan import MISSING, Assignment, Exercise, Step, answers, tampered
from grade_run import Limits, Outcome, minutes

PRINTED = 20_000  # characters of what a submission printed that its feedback keeps
CODE = 20_000  # characters kept of one cell
REASON = 200  # of why an exercise lacks points
ONE = 4_000  # of one cell
TRIES = ("AssertionError", "CheckFailed", "NotImplementedError")
ESCAPES = re.compile(
    r"\x1b\[[0-9;?]*[A-Za-z]|[^\n\t -~\x80-\uffff\U00010000-\U0010ffff]|[\ud800-\udfff]"
)
# With these, code that runs beside its checks could forge their results.
SUSPICIOUS = re.compile(
    r"_getframe|_current_frames|currentframe|\bf_back\b|\btb_frame\b|\bgc\.get_\w+|\bctypes\b"
    r"|__code__|attention_course\.checks\.\w+|/proc/self"
)
Mark = dict[str, Any]
Results = list[tuple[Step, Outcome | None]]


def ungraded(submission: Submission, reason: str, assignment: Assignment | None = None) -> Mark:
    """The mark of what cannot be graded: no points, and why."""
    mark = _mark(submission, assignment)
    return mark | {"reason": reason, "notes": [reason]}


def _mark(submission: Submission, assignment: Assignment | None) -> Mark:
    return {
        "student": submission.student,
        "account": submission.account,
        "file": submission.file,
        "assignment": assignment.number if assignment else "",
        "title": assignment.title if assignment else "",
        "points": 0,
        "of": assignment.points if assignment else "",
        "reason": "",
        "other": False,  # whether it is an assignment that was not asked for
        "seconds": 0.0,
        "notes": [],
        "exercises": [],
        "cells": [],
    }


def graded(
    submission: Submission, assignment: Assignment, results: Results, limits: Limits
) -> Mark:
    """The mark of a submission that was run."""
    mark = _mark(submission, assignment)
    answered = answers(assignment, submission.cells)
    left = [PRINTED]
    for exercise in assignment.asked:
        own = [pair for pair in results if pair[0].exercise == exercise.name]
        told = _exercise(exercise, own, exercise.name in answered, limits)
        printed = "".join(done.printed for _, done in own if done)
        told["printed"] = shortened(re.sub(r"(?m)^✓ \w+: passed\n", "", printed), left)
        mark["exercises"].append(told)
    mark["cells"] = [
        _other(step, done, left)
        for step, done in results
        if done and not step.exercise and (done.message or done.printed)
    ]
    mark["notes"] = _notes(submission, assignment, results)
    mark["points"] = sum(each["points"] for each in mark["exercises"])
    reasons: dict[str, list[str]] = defaultdict(list)
    for each in mark["exercises"]:
        reasons[_why(each)].append(each["number"])
    listed = [f"{', '.join(numbers)} {why}" for why, numbers in reasons.items() if why]
    failed = _failed(results) if mark["points"] < mark["of"] else []
    mark["reason"] = "; ".join(mark["notes"] + _suspicion(results) + failed + listed)
    mark["seconds"] = round(sum(done.seconds for _, done in results if done), 1)
    return mark


def _exercise(exercise: Exercise, own: Results, answered: bool, limits: Limits) -> Mark:
    """Points of one exercise. A cell of it that broke a limit costs all of it, but for a hidden
    check: then the visible one has stood its own trial."""
    code = next((step.source for step, _ in own if step.kind == "answer"), "")
    broken = [done.message for step, done in own if done and done.killed and step.kind != "hidden"]
    reason = broken[0] if broken else "" if answered else MISSING
    checks = []
    for step, done in own:
        if step.kind in ("check", "hidden"):
            passed = bool(done and done.passed) and not reason
            message = done.message if done and not reason else ""
            if done is None and not reason:
                reason = f"not tried: the submission took longer than {minutes(limits.seconds)}"
            checks.append(_checked(step, passed, message))
    if answered and not checks:
        reason = reason or "no check of it was run: a fault of the grader, look at the answer"
    raised = [
        f"The answer's cell stopped with an error.\n{done.message}"
        for step, done in own
        if step.kind in ("answer", "given") and done and not done.passed and not done.killed
    ]
    if raised and checks and not reason and not checks[0]["passed"]:
        checks[0]["message"] = "\n".join([raised[0], checks[0]["message"]])
    told = {"number": exercise.number, "title": exercise.title, "name": exercise.name}
    earned = sum(check["points"] for check in checks)
    told |= {"points": earned, "of": exercise.points, "reason": reason, "checks": checks}
    return told | {"code": code[:CODE]}


def _checked(step: Step, passed: bool, message: str) -> Mark:
    hidden = step.kind == "hidden"
    name = "hidden tests" if hidden else "check"
    points = step.points if passed else 0
    told = {"name": name, "hidden": hidden, "passed": passed, "message": clean(message)}
    return told | {"points": points, "of": step.points}


def _why(told: Mark) -> str:
    """Why an exercise lacks points, in one line; "" if it lacks none."""
    if told["points"] == told["of"]:
        return ""
    failed = [check for check in told["checks"] if not check["passed"]]
    message = told["reason"] or (failed[0]["message"] if failed else "")
    line = message.removeprefix(f"✗ {told['name']}: ")
    if line.startswith("it runs\n"):
        line = f"it does not run: {line.partition('  got ')[2].strip()}"
    line = " ".join(line.partition("\n  ")[0].split())
    line = line if len(line) <= REASON else f"{line[:REASON]} …"
    in_hidden = failed and failed[0]["hidden"] and not told["reason"]
    return f"hidden tests: {line}" if in_hidden else line


def _notes(submission: Submission, assignment: Assignment, results: Results) -> list[str]:
    """What is to be said about the submission as a whole."""
    notes = []
    if odd := tampered(assignment, submission.cells):
        notes.append(
            "given cells or checks missing or changed (the original ones were run): "
            + ", ".join(odd)
        )
    restored = dict.fromkeys(name for _, done in results if done for name in done.restored)
    if restored:
        names = ", ".join(list(restored)[:5]) + (" …" if len(restored) > 5 else "")
        notes.append(f"put back what the notebook had replaced: {names}")
    for step, done in results:
        if done and done.killed and not step.exercise:
            notes.append(f"a cell outside the answers: {done.message}")
    return list(dict.fromkeys(notes))


def _suspicion(results: Results) -> list[str]:
    """What only the instructor is told: code with which results could be forged."""
    code = "\n".join(step.source for step, _ in results if step.kind in ("own", "answer"))
    used = list(dict.fromkeys(SUSPICIOUS.findall(code)))
    return [f"look at the code, which uses {', '.join(used)}"] if used else []


def _failed(results: Results) -> list[str]:
    """The student's own cells that failed and so may explain what is missing further down. Tries
    of an answer that is wrong, or still to be written, explain nothing."""
    told = [
        done.message.partition("\n")[0]
        for step, done in results
        if step.kind == "own" and done and not done.passed and not done.killed
    ]
    told = [line for line in told if not line.startswith(TRIES)]
    return [f"own cell failed: {line[:REASON]}" for line in dict.fromkeys(told)][:2]


def _other(step: Step, done: Outcome, left: list[int]) -> Mark:
    """A cell outside the exercises that failed or printed something."""
    told = {"code": shortened(step.source, [ONE]), "message": clean(done.message)}
    return told | {"printed": shortened(done.printed, left)}


def shortened(text: str, left: list[int]) -> str:
    """The beginning of a text; `left` holds how much may still be kept, and is lowered."""
    text = clean(text)
    kept = text[: min(ONE, left[0])]
    left[0] -= len(kept)
    return kept if kept == text else f"{kept}\n… (shortened)"


def clean(text: str) -> str:
    """A text without colours and control characters."""
    return ESCAPES.sub("", text)


def told_doubles(marks: Sequence[Mark]) -> list[Mark]:
    """The marks; a student's several notebooks of one assignment get a word about that."""
    key = operator.itemgetter("student", "account", "assignment")
    count = Counter(key(mark) for mark in marks if mark["assignment"])
    return [mark | {"reason": _told_double(mark["reason"], count[key(mark)])} for mark in marks]


def _told_double(reason: str, count: int) -> str:
    if count < 2:
        return reason
    told = f"{count} notebooks of this assignment"
    told += ": a folder of several students?" if count > 2 else ""
    return f"{told}; {reason}" if reason else told


# --- The table ----------------------------------------------------------------


def table(marks: Sequence[Mark]) -> str:
    """`grades.csv`: one row a notebook, one column an exercise."""
    numbers = {each["number"] for mark in marks for each in mark["exercises"]}
    columns = sorted(numbers, key=lambda number: [int(n) for n in re.findall(r"\d+", number)])
    plain = ["student", "account", "assignment", "file", "points", "of", "reason", "seconds"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    # With a word in front, no spreadsheet reads 6.10 as the number 6.1.
    writer.writerow(plain + [f"ex {number}" for number in columns])
    for mark in marks:
        points = {each["number"]: each["points"] for each in mark["exercises"]}
        row = [mark[name] for name in plain] + [points.get(number, "") for number in columns]
        writer.writerow(map(_defused, row))
    return text.getvalue()


def _defused(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula gets an apostrophe."""
    if isinstance(value, str):
        value = " ".join(value.split())
        return f"'{value}" if value[:1] in ("=", "+", "-", "@") else value
    return value


# --- Feedback -----------------------------------------------------------------


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    options = {"trim_blocks": True, "lstrip_blocks": True, "autoescape": True}
    return jinja2.Environment(loader=loader, **options).get_template("grade_feedback.html")


def feedback(student: str, marks: Sequence[Mark], hidden_messages: bool = True) -> str:
    """The page of one student."""
    for each in (each for mark in marks for each in mark["exercises"]):
        told = set()
        for check in each["checks"]:
            check["shown"] = hidden_messages or not check["hidden"]
            check["again"] = check["message"] in told
            told.add(check["message"])
    return _template().render(student=student, marks=marks)


def pages(marks: Iterable[Mark], hidden_messages: bool = True) -> dict[str, str]:
    """File name → page, for every student."""
    whose: dict[str, list[Mark]] = defaultdict(list)
    for mark in marks:
        whose[mark["student"]].append(mark)
    made: dict[str, str] = {}
    for student, own in whose.items():
        name, number = safe(student), 1
        while f"{name}.html".casefold() in map(str.casefold, made):
            number += 1
            name = f"{safe(student)}-{number}"
        made[f"{name}.html"] = feedback(student, own, hidden_messages)
    return made


def safe(name: str) -> str:
    """A student's name as the name of a file: letters of all languages stay."""
    name = unicodedata.normalize("NFC", name)
    kept = "".join(c if c.isalnum() or c in " -_.()" else "_" for c in name)
    return kept.strip(" .")[:70] or "unnamed"
