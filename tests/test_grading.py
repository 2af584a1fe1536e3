"""The grader: every submission gets its line, the right points and a reason; no other suffers."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import assignments
import grade
import grade_find
import grade_marks
import grade_plan
import grade_watch
import grading_cases
import pytest
from grading_cases import FIRST, FULL, REST, answer, code, edited, solved
from nbformat import writes

ROOT = Path(__file__).resolve().parent.parent
LIMITS = {
    "cell-seconds": 4,
    "memory-mb": 600,
    "output-mb": 2,
    "files-mb": 5,
    "processes": 16,
    "jobs": 2,
}
OPTIONS = [f"--{name}={value}" for name, value in LIMITS.items()]
COMMAND = [sys.executable, str(ROOT / "tools" / "grade.py")]


class Graded(NamedTuple):
    """What a run of the grader has left."""

    folder: Path
    out: Path
    told: str
    rows: dict[str, dict[str, str]]


def rows(out: Path) -> dict[str, dict[str, str]]:
    """Student → row of the table."""
    with (out / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def graded(folder: Path, *options: str) -> Graded:
    """Run the grader as its user does."""
    command = [*COMMAND, str(folder), *OPTIONS, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    out = folder.with_name(f"{folder.stem}-graded")
    return Graded(folder, out, done.stdout, rows(out))


def write(folder: Path, **texts: str) -> Path:
    """A folder with one notebook a student."""
    for student, text in texts.items():
        (folder / student).mkdir(parents=True)
        (folder / student / "01.ipynb").write_text(text, encoding="utf-8")
    return folder


# --- Everything at once -------------------------------------------------------


@pytest.fixture(scope="module")
def listener() -> Iterator[tuple[int, list[object]]]:
    """A port of this machine, and who has connected to it."""
    server, calls = socket.create_server(("127.0.0.1", 0)), []

    def listen() -> None:
        while True:
            try:
                calls.append(server.accept())
            except OSError:
                return

    threading.Thread(target=listen, daemon=True).start()
    yield server.getsockname()[1], calls
    server.close()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The kind of sandbox that this machine allows."""
    return grade.probe("auto", "probe", tmp_path_factory.mktemp("probe"), grade.Limits()).name


@pytest.fixture(scope="module")
def all_cases(
    tmp_path_factory: pytest.TempPathFactory, listener: tuple[int, list[object]], sandbox: str
) -> tuple[dict[str, grading_cases.Case], Graded]:
    """All cases, graded by a run that is killed in the middle and a second one."""
    folder = tmp_path_factory.mktemp("grading") / "submitted"
    out = folder.with_name("submitted-graded")
    victims = [str(folder / "right"), str(out)]
    cases = grading_cases.cases(ROOT, victims, listener[0])
    if sandbox != "bwrap":  # it would delete, and see, what it must not
        del cases["deletes"], cases["spies"]
    grading_cases.write_folder(folder, cases)
    killed = kill_in_the_middle(folder, out)
    first = {path.name: path.stat().st_mtime_ns for path in (out / "results").glob("*.json")}
    assert len(first) >= 4 and not (out / "grades.csv").exists(), killed
    done = graded(folder)
    for name, when in first.items():
        assert (out / "results" / name).stat().st_mtime_ns == when, "it was run again"
    return cases, done


def kill_in_the_middle(folder: Path, out: Path) -> str:
    """Start a run, and `kill -9` it when four results are there."""
    command = [*COMMAND, str(folder), *OPTIONS]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    end = time.monotonic() + 60
    while len(list((out / "results").glob("*.json"))) < 4 and time.monotonic() < end:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    return process.communicate()[0]


@pytest.mark.slow
def test_the_table_is_as_expected(all_cases: tuple[dict, Graded]):
    cases, done = all_cases
    expected = {grade_marks._defused(student) for student in cases} | {"no notebook"}
    assert set(done.rows) == expected
    for student, case in cases.items():
        row = done.rows[grade_marks._defused(student)]
        told = f"{student}: {row}"
        assert int(row["points"]) == case.points, told
        assert re.fullmatch(case.reason, row["reason"]), told
        assert row["file"] == f"{student}/01 과제.ipynb" or student.startswith("=")
        if case.points:
            assert row["of"] == str(FULL) and row["assignment"] == "1"
            parts = [int(value or 0) for name, value in row.items() if name.startswith("ex 1.")]
            assert sum(parts) == case.points and min(parts[1:]) > 0
    missing = done.rows["no notebook"]
    assert (missing["points"], missing["reason"]) == ("0", "no notebook (only report.pdf)")
    reasons = sum(bool(row["reason"]) for row in done.rows.values())
    last = done.told.splitlines()[-2]
    assert f"{len(done.rows)} graded" in last and f"; {reasons} with a reason." in last


@pytest.mark.slow
def test_a_second_run_has_nothing_to_do(all_cases: tuple[dict, Graded]):
    before = (all_cases[1].out / "grades.csv").read_bytes()
    done = graded(all_cases[1].folder)
    assert "(0 of them run now)" in done.told and "Sandbox" not in done.told
    assert (done.out / "grades.csv").read_bytes() == before


@pytest.mark.slow
def test_nothing_reaches_the_network(
    all_cases: tuple[dict, Graded], listener: tuple[int, list[object]], sandbox: str
):
    if sandbox == "none":
        pytest.skip("this machine allows neither bubblewrap nor unshare")
    assert not listener[1]
    assert "CONNECTED" not in page(all_cases[1], "phones").replace("&#34;CONNECTED", "")


@pytest.mark.slow
def test_nothing_else_is_seen_or_deleted(all_cases: tuple[dict, Graded], sandbox: str):
    if sandbox != "bwrap":
        pytest.skip("this machine does not allow bubblewrap")
    done = all_cases[1]
    assert "A cell stopped" not in page(done, "spies")
    assert (done.folder / "right" / "01 과제.ipynb").is_file()


@pytest.mark.slow
def test_every_student_has_a_page_and_no_page_a_secret(all_cases: tuple[dict, Graded]):
    done = all_cases[1]
    names = {path.stem for path in (done.out / "feedback").glob("*.html")}
    assert len(names) == len(done.rows) and "김 민수" in names
    hidden = [c.source for c in grading_cases.SOURCE.cells if assignments.part(c)[1] == "hidden"]
    secrets = [line for text in hidden for line in text.splitlines() if line.startswith("assert")]
    for name in names:
        text = page(done, name)
        assert "seed=60" not in text and "BEGIN" not in text and len(text) < 200_000
        assert not any(secret in text for secret in secrets)


@pytest.mark.slow
def test_nothing_is_left_behind(all_cases: tuple[dict, Graded]):
    import hashlib
    import tempfile

    mark = hashlib.sha256(str(all_cases[1].out).encode()).hexdigest()[:12]
    assert not list(Path(tempfile.gettempdir()).glob(f"*{mark}*"))
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        assert f"GRADE_RUN={mark}".encode() not in environment


@pytest.mark.slow
def test_a_submission_has_a_limit_as_a_whole(tmp_path: Path):
    slow = "import time\ntime.sleep(1.5)"

    def twice(cells: list) -> None:
        for kind in ("check", "answer"):
            cells.insert(grading_cases.place(cells, kind) + (kind == "check"), code(slow))

    folder = write(tmp_path / "in", slow=edited(twice))
    row = graded(folder, "--seconds=2.5").rows["slow"]
    assert row["points"] == str(FULL - REST) and row["ex 1.1"] == row["points"]
    assert "not tried: the submission took longer than 2.5 s" in row["reason"]
    assert "1.2, " in row["reason"]


def page(done: Graded, student: str) -> str:
    return (done.out / "feedback" / f"{student}.html").read_text(encoding="utf-8")


# --- The every-day part -------------------------------------------------------


def test_right_wrong_and_endless(tmp_path: Path):
    """Two thirds of a run: sandbox, kill and restart, csv, feedback, resumption after a change."""
    loop = answer("while True:\n    pass")
    folder = write(tmp_path / "in", right=writes(solved()), wrong=answer("return None"), loop=loop)
    done = graded(folder, "--cell-seconds=2")
    assert {name: int(row["points"]) for name, row in done.rows.items()} == {
        "right": FULL,
        "wrong": REST,
        "loop": REST,
    }
    told = "1.1 the check of this answer took longer than 2 s: a loop that does not end?"
    assert done.rows["loop"]["reason"] == told
    assert "✓ check: passed" in page(done, "right") and "it returns 2 things" in page(done, "wrong")
    (folder / "wrong" / "01.ipynb").write_text(writes(solved()), encoding="utf-8")
    again = graded(folder, "--cell-seconds=2")
    assert "3 graded (1 of them run now)" in again.told and again.rows["wrong"]["reason"] == ""


def test_a_moodle_archive(tmp_path: Path):
    archive = tmp_path / "moodle.zip"
    grading_cases.write_moodle(archive)
    found = {each.student: each for each in grade_find.find(archive)}
    assert {name: each.reason for name, each in found.items()} == {
        "Ada Lovelace": "",
        "Kim (102)": "",
        "Kim (103)": "",
        "Empty": "no notebook",
        "Bad": "the zip file is damaged",
        "outside": "",
        "박서준": "",
    }
    assert found["outside"].file == "outside_106_assignsubmission_file_/01.ipynb"
    assert [path.name for path in tmp_path.iterdir()] == ["moodle.zip"]


@pytest.mark.parametrize(
    "path, student",
    [
        ("Ada Lovelace_123_assignsubmission_file_/01.ipynb", ("Ada Lovelace", "123")),
        ("Kim_9_assignsubmission_file_01.ipynb", ("Kim", "9")),
        ("lovelaceada_12_345_01.ipynb", ("lovelaceada", "12")),
        ("lovelaceada_LATE_12_345_01.ipynb", ("lovelaceada", "12")),
        ("ada/tuesday/01.ipynb", ("ada", "")),
        ("ada.ipynb", ("ada", "")),
        ("ada.zip/work/01.ipynb", ("ada", "")),
        ("tuesday/lovelaceada_12_345_01.ipynb", ("lovelaceada", "12")),
        ("hw_3_1_ada.ipynb", ("hw_3_1_ada", "")),
    ],
)
def test_whose_a_file_is(path: str, student: tuple[str, str]):
    assert grade_find.owner(tuple(path.split("/"))) == student


def whose(folder: Path, *paths: str) -> dict[str, str]:
    """File → student, for a folder with these notebooks."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text('{"cells": []}')
    return {each.file or each.reason: each.student for each in grade_find.find(folder)}


def test_a_section_is_not_a_student(tmp_path: Path):
    (tmp_path / "tuesday" / "cleo").mkdir(parents=True)
    found = whose(
        tmp_path,
        "tuesday/ada/1.ipynb",
        "tuesday/kim/1.ipynb",
        "friday/kim/1.ipynb",
        "friday/ben/x/1.ipynb",
        "canvas/lovelaceada_12_345_1.ipynb",
    )
    assert found == {
        "tuesday/ada/1.ipynb": "ada",
        "tuesday/kim/1.ipynb": "kim (tuesday)",
        "friday/kim/1.ipynb": "kim (friday)",
        "friday/ben/x/1.ipynb": "ben",
        "canvas/lovelaceada_12_345_1.ipynb": "lovelaceada",
        "no notebook": "cleo",
    }


def test_folders_that_every_student_has_are_no_students(tmp_path: Path):
    found = whose(tmp_path, *(f"{who}/week{n}/{n}.ipynb" for who in ("ada", "ben") for n in (1, 2)))
    assert set(found.values()) == {"ada", "ben"}


@pytest.fixture(scope="module")
def assignment() -> grade_plan.Assignment:
    return next(each for each in grade.load_assignments() if each.number == 1)


def cells_of(text: str) -> tuple[grade_find.Cell, ...]:
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return tuple(map(grade_find._cell, cells))


def test_the_plan_of_a_solved_notebook_is_the_source(assignment: grade_plan.Assignment):
    cells = cells_of(writes(solved()))
    steps = grade_plan.plan(assignment, cells)
    source = [assignments.part(cell) for cell in grading_cases.SOURCE.cells if is_run(cell)]
    assert [(step.exercise, step.kind) for step in steps] == [
        (exercise, kind or "given") for exercise, kind in source
    ]
    assert grade_plan.tampered(assignment, cells) == []


def is_run(cell) -> bool:
    return cell.cell_type == "code" and "setup" not in cell.metadata.get("tags", [])


def test_the_last_answer_counts_and_its_checks_follow_it(assignment: grade_plan.Assignment):
    def twice(cells: list) -> None:
        again = code(f"def {FIRST}(*inputs):\n    return 'second'")
        again.metadata = cells[grading_cases.place(cells)].metadata
        cells.append(again)

    steps = grade_plan.plan(assignment, cells_of(edited(twice)))
    assert [step.kind for step in steps[-3:]] == ["answer", "check", "hidden"]
    assert "second" in steps[-3].source
    assert sum(step.exercise == FIRST for step in steps) == 3


def test_a_notebook_is_recognised_by_marks_or_names(assignment: grade_plan.Assignment):
    every = grade.load_assignments()
    for text in (writes(solved()), edited(grading_cases._without_metadata)):
        assert grade_plan.recognise(cells_of(text), every).number == 1
    assert grade_plan.recognise((grade_find.Cell("", "x = 1"),), every) is None


def test_another_assignment_than_the_one_asked_for(tmp_path: Path):
    [mark] = grade.sort_out(
        grade_find.find(write(tmp_path / "in", ada=writes(solved()))),
        grade.load_assignments(),
        only=grade.chosen(grade.load_assignments(), "2", ""),
        folder=tmp_path,
        limits=grade.Limits(),
    )
    assert mark["reason"] == "this is assignment 1; only 2 was asked for"


def test_only_the_exercises_asked_for_count(tmp_path: Path):
    """Two students, an earlier page, another assignment; and what each page then says."""
    other = json.dumps(
        {"cells": [{"cell_type": "code", "source": "def softmax(x):\n    return x"}]}
    )
    folder = write(tmp_path / "in", ada=answer("return None"), ben=other)
    (folder / "ada" / "02.ipynb").write_text(other)
    (folder / "cleo").mkdir()
    old = tmp_path / "in-graded-1" / "feedback" / "gone.html"
    old.parent.mkdir(parents=True)
    old.write_text("of an earlier run")
    command = [*COMMAND, str(folder), "--exercises=1.1 1.2,1.4"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    found = rows(tmp_path / "in-graded-1")
    ada = found["ada"]
    counted = [name for name in ada if name.startswith("ex ")]
    assert counted == ["ex 1.1", "ex 1.2", "ex 1.4"] and ada["ex 1.1"] == "0"
    assert 0 < int(ada["points"]) == int(ada["of"]) - sum(grading_cases.WORTH.values())
    assert found["ben"]["reason"] == "this is assignment 2; only 1 was asked for"
    pages = {path.stem: path.read_text(encoding="utf-8") for path in old.parent.iterdir()}
    assert set(pages) == {"ada", "ben", "cleo"}
    assert "1.4 ·" in pages["ada"] and "1.3" not in pages["ada"] and "02.ipynb" not in pages["ada"]
    assert "0 of" not in pages["cleo"] and "Hand in the .ipynb file" in pages["cleo"]


def test_a_cell_with_several_answers_is_run_for_each(assignment: grade_plan.Assignment):
    for change in (grading_cases._two_in_one, grading_cases._one_cell):
        steps = grade_plan.plan(assignment, cells_of(edited(change)))
        checks = [step for step in steps if step.kind in ("check", "hidden")]
        assert checks == [step for each in assignment.asked for step in each.checks]


def test_no_points_without_a_reason(assignment: grade_plan.Assignment):
    found = grade_find.Submission("ada", "", "1.ipynb", "", cells_of(writes(solved())), "")
    mark = grade_marks.graded(found, assignment, [], grade.Limits())
    assert not mark["points"] and "no check of it was run" in mark["reason"]


def test_two_notebooks_of_one_assignment_are_told():
    mark = {"student": "ada", "account": "", "assignment": 1, "reason": ""}
    for number, says in ((1, ""), (2, "2 notebooks of this assignment"), (3, ": a folder of")):
        told = grade_marks.told_doubles([mark] * number)
        assert all(says in each["reason"] for each in told) and bool(told[0]["reason"]) == (
            says != ""
        )


def test_points_that_differ_are_told(tmp_path: Path, capsys):
    source = assignments.read(assignments.SOURCES / "01-seq2seq-limits.ipynb")
    source.cells[grading_cases.place(source.cells, "hidden")].metadata.nbgrader["points"] = 7
    (tmp_path / "01-it.ipynb").write_text(writes(source))
    assignments.warn(tmp_path)
    assert capsys.readouterr().out == (
        "Exercise 1.1: the statement says 2 points, the cells give 8.\n"
    )


@pytest.mark.parametrize("start", "=+-@")
def test_no_cell_of_the_table_is_a_formula(start: str):
    mark = dict.fromkeys(["student", "account", "file", "reason"], f"{start}1+1")
    mark |= {"assignment": 1, "points": 0, "of": 2, "seconds": 0.1, "exercises": []}
    [row] = list(csv.DictReader(grade_marks.table([mark]).splitlines()))
    assert row["student"] == row["reason"] == f"'{start}1+1"


def test_too_large_and_locked_files_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grade_find, "NOTEBOOK_BYTES", 1_000_000)
    folder = write(tmp_path / "in", big="x" * 1_000_001, deep="[" * 100_000)
    (folder / "linked").mkdir()
    os.symlink("/etc/passwd", folder / "linked" / "01.ipynb")
    told = {each.student: each.reason for each in grade_find.find(folder)}
    assert told == {
        "big": "the notebook is larger than 1 MB",
        "deep": "not a notebook: the file is not JSON",
        "linked": "no notebook",
    }


@pytest.mark.parametrize(
    "words, says",
    [
        (["nowhere"], "There is no folder or zip file called"),
        ([""], "make grade SUBMISSIONS=folder"),
        (["empty"], "There is no notebook"),
        (["file.txt"], "neither a folder nor a zip file"),
        (["in", "--assignment=9"], "There is no assignment '9'"),
        (["in", "--assignment=one"], "There is no assignment 'one'"),
        (["in", "--exercises=3.1,3.77"], "There is no exercise 3.77; there is 1.1, 1.2,"),
        (["in", "--assignment=3", "--exercises=4.1"], "There is no exercise 4.1; there is 3.1,"),
        (["in", "--out=in/out"], "--out must not be inside"),
        (["damaged.zip"], "is damaged"),
        (["in", "--jobs=-1"], "--jobs must be more than 0"),
        (["in", "--memory-mb=0"], "--memory-mb must be more than 0"),
    ],
)
def test_mistaken_commands_are_told_in_words(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("x")
    grading_cases.write_moodle(tmp_path / "damaged.zip")
    data = (tmp_path / "damaged.zip").read_bytes()
    (tmp_path / "damaged.zip").write_bytes(data.replace(b"PK\x01\x02", b"PK\x09\x09"))
    write(tmp_path / "in", ada=writes(solved()))
    assert grade.main(words) != 0
    assert says in capsys.readouterr().err


def test_a_folder_goes_whatever_was_done_to_it_and_nothing_else_changes(tmp_path: Path):
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir(mode=0o755)
    (folder / "locked" / "inner").mkdir(parents=True)
    (folder / "link").symlink_to(outside)
    deep = folder
    for _ in range(1200):
        deep = deep / "d"
        deep.mkdir()
    (folder / "locked").chmod(0)
    before = [(path.stat().st_mode) for path in (outside, tmp_path)]
    assert grade_watch.files_in(folder)[0] > grade_watch.FILES
    for _ in range(2):  # the second time it is not there
        grade_watch.remove(folder)
        assert not folder.exists()
    assert [(path.stat().st_mode) for path in (outside, tmp_path)] == before


def test_two_runs_do_not_mix(tmp_path: Path):
    with (
        grade.locked(tmp_path / "out"),
        pytest.raises(grade.GradeError, match="Another run"),
        grade.locked(tmp_path / "out"),
    ):
        pass
