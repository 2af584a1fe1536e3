"""Grades a folder, or a platform's zip file, of submitted notebooks.

    make grade SUBMISSIONS=folder [ASSIGNMENT=n] [EXERCISES=n.1,n.2]
    python tools/grade.py folder [--help]

Beside it, in `folder-graded` or, where one is asked for, `folder-graded-n`, it writes `grades.csv`,
one page of feedback a student, and one result a notebook. A notebook that has its result is not run
again, so an interrupted run goes on where it was; after a change of the notebook, the assignment,
the checks or the limits it is.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import assignments
import grade_marks
import grade_plan
from files import write
from grade_find import FindError, Submission, find
from grade_marks import Mark
from grade_plan import Assignment
from grade_run import Limits, Setting, Worker, WorkerError, run
from grade_sandbox import TOLD, candidates
from grade_watch import kill_leftovers, remove
from tqdm import tqdm

try:
    import fcntl
except ImportError:
    sys.exit("The grader needs Linux or macOS. On Windows it runs in WSL.")

ROOT = Path(__file__).resolve().parent.parent
CHECKS = ROOT / "code" / "attention_course" / "checks"


class GradeError(Exception):
    """Something the instructor can act on; the text says what."""


class Task(NamedTuple):
    """A notebook to run, and where its result goes."""

    submission: Submission
    assignment: Assignment
    path: Path
    fingerprint: str


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="grade.py", description="Grade a folder or zip file of submitted notebooks."
    )
    parser.add_argument("submissions", help="a folder, or the zip file of a learning platform")
    parser.add_argument("--assignment", default="", help="grade this assignment only, like 1")
    parser.add_argument(
        "--exercises", default="", help="only these count, like 3.1,3.2 (default: all)"
    )
    parser.add_argument(
        "--out", default="", help="where to write (default: SUBMISSIONS-graded or -graded-n)"
    )
    parser.add_argument(
        "--jobs", type=int, default=_cores(), help="processes at once (default: all cores)"
    )
    for name, default in Limits()._asdict().items():
        option = f"--{name.replace('_', '-')}"
        told = f"limit (default: {default:g})"
        parser.add_argument(option, type=type(default), default=default, help=told)
    parser.add_argument("--sandbox", choices=["auto", *TOLD], default="auto")
    parser.add_argument(
        "--no-hidden-messages",
        action="store_true",
        help="do not tell students what the hidden tests found",
    )
    return parser.parse_args(words)


# --- What is to be done -------------------------------------------------------


def load_assignments() -> list[Assignment]:
    return [grade_plan.load(path) for path in assignments.sources()]


def chosen(every: Sequence[Assignment], asked: str, exercises: str) -> list[Assignment]:
    """The assignments that were asked for, in which only the exercises asked for count."""
    numbers, asked = [str(each.number) for each in every], asked.lstrip("0")
    if asked and asked not in numbers:
        raise GradeError(f"There is no assignment {asked!r}; there is {', '.join(numbers)}.")
    only = [each for each in every if asked in ("", str(each.number))]
    if wanted := exercises.replace(",", " ").split():
        there = [exercise.number for each in only for exercise in each.asked]
        if unknown := [number for number in wanted if number not in there]:
            raise GradeError(
                f"There is no exercise {', '.join(unknown)}; there is {', '.join(there)}."
            )
        for each in only:
            each.ask(wanted)
    return [each for each in only if each.asked]


@functools.cache
def _grader() -> bytes:
    """A hash of the checks and of the grader itself."""
    digest = hashlib.sha256()
    for path in sorted([*CHECKS.glob("*.py"), *Path(__file__).parent.glob("grade*.py")]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.digest()


def fingerprint(submission: Submission, assignment: Assignment, limits: Limits) -> str:
    """Changes with everything that a result depends on."""
    parts = [submission.digest, assignment.digest, repr(limits), sys.version]
    return hashlib.sha256("\0".join(parts).encode() + _grader()).hexdigest()


def key(submission: Submission) -> str:
    """The name of a result's file."""
    whole = "\0".join([submission.student, submission.account, submission.file])
    digest = hashlib.sha256(whole.encode()).hexdigest()[:12]
    return f"{grade_marks.safe(submission.student)[:40]}-{digest}"


def sort_out(
    found: Sequence[Submission],
    every: Sequence[Assignment],
    only: Sequence[Assignment],
    folder: Path,
    limits: Limits,
) -> Iterator[Mark | Task]:
    """For each submission its mark, if it has one already or cannot be graded, or what to do."""
    for submission in found:
        if submission.reason:
            yield grade_marks.ungraded(submission, submission.reason)
            continue
        assignment = grade_plan.recognise(submission.cells, every)
        if assignment is None:
            yield grade_marks.ungraded(submission, "no answer cell of any assignment is in it")
        elif assignment not in only:
            asked = ", ".join(str(each.number) for each in only)
            told = f"this is assignment {assignment.number}; only {asked} was asked for"
            yield grade_marks.ungraded(submission, told) | {"other": True}
        else:
            path = folder / f"{key(submission)}.json"
            task = Task(submission, assignment, path, fingerprint(submission, assignment, limits))
            yield _stored(task) or task


def _stored(task: Task) -> Mark | None:
    """The result of an earlier run, if nothing has changed since."""
    try:
        told = json.loads(task.path.read_text(encoding="utf-8"))
        return told["mark"] if told["fingerprint"] == task.fingerprint else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


# --- Doing it -----------------------------------------------------------------


def grade(task: Task, setting: Setting, limits: Limits) -> Mark:
    """Run one submission and keep its result. A failure of the grader is told and not kept."""
    begin = time.monotonic()
    plan = grade_plan.plan(task.assignment, task.submission.cells)
    try:
        outcomes = run(plan, setting, limits)
    except Exception as error:  # whatever it is, it must not end the grading of the others
        told = f"not graded, run the grader again: {type(error).__name__}: {error}"
        return grade_marks.ungraded(task.submission, told, task.assignment)
    results = list(zip(plan, outcomes, strict=True))
    mark = grade_marks.graded(task.submission, task.assignment, results, limits)
    mark["seconds"] = round(time.monotonic() - begin, 1)
    write(
        task.path, json.dumps({"fingerprint": task.fingerprint, "mark": mark}, ensure_ascii=False)
    )
    return mark


def probe(asked: str, mark: str, folder: Path, limits: Limits) -> Setting:
    """The best sandbox in which a worker starts."""
    told = f"{asked} is not installed"
    for name, sandbox in candidates(asked):
        setting = Setting(name, sandbox, mark, folder)
        worker = Worker(setting, limits)
        try:
            worker.begin()
            return setting
        except WorkerError as error:
            told = str(error)
        finally:
            worker.close()
    raise GradeError(f"No submission can be run:\n{told}")


def grade_all(tasks: Sequence[Task], setting: Setting, limits: Limits, jobs: int) -> list[Mark]:
    """Run the tasks, `jobs` at a time."""
    pool = ThreadPoolExecutor(jobs)
    try:
        running = [pool.submit(grade, task, setting, limits) for task in tasks]
        for done in tqdm(as_completed(running), total=len(running), unit="notebook", ncols=80):
            done.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return [done.result() for done in running]


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """Only one run at a time writes to a folder. The lock ends with the process, always."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise GradeError(f"Another run is grading into {out} right now.") from None
        yield


@contextlib.contextmanager
def scratch_folder(mark: str) -> Iterator[Path]:
    """Where submissions work. What a killed run has left is cleared away first."""
    folder = Path(tempfile.gettempdir()) / f"grade-{os.getuid()}-{mark}"
    kill_leftovers(mark)
    remove(folder)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        remove(folder)


def outcome_of(place: Path, options: argparse.Namespace) -> Path:
    """Grade everything; the folder that was written."""
    limits = Limits(**{name: getattr(options, name) for name in Limits._fields})
    every = load_assignments()
    only = chosen(every, options.assignment, options.exercises)
    suffix = "".join(f"-{each.number}" for each in only) if len(only) < len(every) else ""
    out = Path(options.out).expanduser().resolve() if options.out else _beside(place, suffix)
    if out == place or (place.is_dir() and out.is_relative_to(place)):
        raise GradeError("--out must not be inside the submissions.")
    assignments.warn()
    found = find(place)
    if not found:
        raise GradeError(f"There is no notebook, and no student's folder, in {place}.")
    with locked(out):
        sorted_out = list(sort_out(found, every, only, out / "results", limits))
        tasks = [each for each in sorted_out if isinstance(each, Task)]
        done: dict[Path, Mark] = {}
        if tasks:
            mark = hashlib.sha256(str(out).encode()).hexdigest()[:12]
            with scratch_folder(mark) as folder:
                setting = probe(options.sandbox, mark, folder, limits)
                print(f"Sandbox: {TOLD[setting.name]}.", flush=True)
                made = grade_all(tasks, setting, limits, min(options.jobs, len(tasks)))
                done = {task.path: mark for task, mark in zip(tasks, made, strict=True)}
        marks = [done[each.path] if isinstance(each, Task) else each for each in sorted_out]
        marks = grade_marks.told_doubles(without_others(marks))
        write(out / "grades.csv", grade_marks.table(marks), "utf-8-sig")
        pages = grade_marks.pages(marks, not options.no_hidden_messages)
        for name, page in pages.items():
            write(out / "feedback" / name, page)
        for path in (out / "feedback").glob("*.html"):
            if path.name not in pages:  # of an earlier run
                path.unlink()
    print(closing(marks, len(tasks)))
    return out


def without_others(marks: Sequence[Mark]) -> list[Mark]:
    """The marks, but those of assignments that were not asked for only where a student has handed
    in nothing else."""
    right = {(mark["student"], mark["account"]) for mark in marks if not mark["other"]}
    return [
        mark
        for mark in marks
        if not (mark["other"] and (mark["student"], mark["account"]) in right)
    ]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def closing(marks: Sequence[Mark], run_now: int) -> str:
    """The last line: how many, the mean of each assignment, how many rows have a reason."""
    told = [f"{len(marks)} graded ({run_now} of them run now)"]
    for number in sorted({mark["assignment"] for mark in marks if mark["exercises"]}):
        of = [mark for mark in marks if mark["assignment"] == number]
        mean = sum(mark["points"] for mark in of) / len(of)
        told.append(f"assignment {number}: mean {mean:.2f} of {of[0]['of']} points")
    reasons = sum(bool(mark["reason"]) for mark in marks)
    return ", ".join(told) + f"; {reasons} with a reason."


def main(words: Sequence[str]) -> int:
    options = arguments(words)
    if not options.submissions:
        print("Say which folder or zip file: make grade SUBMISSIONS=folder", file=sys.stderr)
        return 2
    place = Path(options.submissions).expanduser().resolve()
    try:
        for name in ("jobs", *Limits._fields):
            if getattr(options, name) <= 0:
                raise GradeError(f"--{name.replace('_', '-')} must be more than 0.")
        out = outcome_of(place, options)
    except (GradeError, FindError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Nothing is lost: the same command goes on from here.", file=sys.stderr)
        os._exit(130)  # the threads that wait for submissions do not; those end with this process
    except OSError as error:
        print(f"{error.strerror}: {error.filename}", file=sys.stderr)
        return 1
    else:
        print(f"{out / 'grades.csv'}   and feedback/")
    return 0


def _beside(place: Path, suffix: str) -> Path:
    name = place.stem if place.suffix.lower() == ".zip" and place.is_file() else place.name
    return place.with_name(f"{name}-graded{suffix}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
