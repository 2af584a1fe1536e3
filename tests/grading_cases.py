"""Submissions for the tests of the grader, made from a source notebook: right and hostile ones."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import assignments
import nbformat
from nbformat import NotebookNode

SOURCE = assignments.read(assignments.SOURCES / "01-seq2seq-limits.ipynb")
FIRST = "shift_targets"  # the exercise that hostile submissions spoil
FULL = sum(map(assignments.points, SOURCE.cells))
WORTH = {
    kind: sum(assignments.points(c) for c in SOURCE.cells if assignments.part(c) == (FIRST, kind))
    for kind in ("check", "hidden")
}
REST = FULL - sum(WORTH.values())


class Case(NamedTuple):
    """A submission, and what the table must say about it."""

    text: str
    points: int
    reason: str  # a pattern of the whole reason; the number of the first exercise is 1.1


def solved() -> NotebookNode:
    """What a student hands in who has got everything right."""
    notebook = assignments.for_students(SOURCE)
    for cell, source in zip(notebook.cells, SOURCE.cells, strict=True):
        if assignments.part(source)[1] == "answer":
            cell.source = assignments.solved(source.source)
    return notebook


def place(notebook: NotebookNode, kind: str = "answer") -> int:
    """Where the first exercise's cell of this kind is."""
    parts = [assignments.part(cell) for cell in notebook.cells]
    return parts.index((FIRST, kind))


def code(text: str) -> NotebookNode:
    return nbformat.v4.new_code_cell(text)


def answer(body: str, before: str = "", after: str = "") -> str:
    """A solved notebook whose first answer is this body."""
    notebook = solved()
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    text = f"{before}\ndef {FIRST}(tokens, sos, eos, pad):\n{lines}\n{after}\n"
    notebook.cells[place(notebook)].source = text
    return nbformat.writes(notebook)


def edited(change: Callable[[list[NotebookNode]], object]) -> str:
    """A solved notebook with its list of cells changed."""
    notebook = solved()
    change(notebook.cells)
    return nbformat.writes(notebook)


def inserted(text: str) -> str:
    """A solved notebook with one more cell, before the first answer."""
    return edited(lambda cells: cells.insert(place(solved()), code(text)))


RIGHT = re.search(r"(?s)### BEGIN SOLUTION\n(.*?) *### END", SOURCE.cells[place(SOURCE)].source)
SOLUTION = "\n".join(line[4:] for line in RIGHT[1].splitlines()) if RIGHT else ""


def _without_metadata(cells: list[NotebookNode]) -> None:
    for cell in cells:
        cell.metadata = {}


def _helper(cells: list[NotebookNode]) -> None:
    index = next(i for i, cell in enumerate(cells) if assignments.part(cell) == (FIRST, "answer"))
    cells[index].source = f"def {FIRST}(*inputs):\n    return helper(*inputs)"
    body = "\n".join(f"    {line}" for line in SOLUTION.splitlines())
    cells.insert(index, code(f"def helper(tokens, sos, eos, pad):\n{body}"))


def _no_checks(cells: list[NotebookNode]) -> None:
    cells[:] = [cell for cell in cells if assignments.part(cell)[1] not in ("check", "hidden")]


def _renamed_checks(cells: list[NotebookNode]) -> None:
    for cell in cells:
        if assignments.part(cell)[1] in ("check", "hidden"):
            cell.metadata.nbgrader.grade_id = f"mine-{cell.id}"
            cell.source = "raise ValueError('not like this')"


def _easier_check(cells: list[NotebookNode]) -> None:
    wrong = f"def {FIRST}(tokens, sos, eos, pad):\n    return tokens, tokens"
    cells[place(solved())].source = wrong
    cells[place(solved(), "check")].source = "print('passed')"


def _in_own_cell(cells: list[NotebookNode]) -> None:
    """The stub stays; the solution stands in a new cell below the check."""
    right = cells[place(solved())].source
    cells[place(solved())].source = assignments.stub(SOURCE.cells[place(SOURCE)].source)
    cells.insert(place(solved(), "check") + 1, code(right))


PATCHED = """
np.allclose = lambda *a, **k: True
np.testing.assert_allclose = lambda *a, **k: None
import attention_course.checks as checks
checks.check.__code__ = (lambda answer, name=None, seed=0: None).__code__
checks.core.EXERCISES["shift_targets"] = lambda *a: None
checks.core.close = lambda *a: True
check = print
sum = 0
import builtins
builtins.abs = lambda *a: 0
"""
SNEAKY = """
import attention_course.checks.core as core
core.close = lambda *a: True
return np.column_stack([tokens, tokens[:, :1]]), np.column_stack([tokens, tokens[:, :1]])
"""
SPY = """
import pathlib
found = []
for folder in ("exercises", "tests", ".git", "_build"):
    found += pathlib.Path(ROOT, folder).rglob("*")
found += pathlib.Path(ROOT).glob("*submitted*")
assert not found, found
"""
NETWORK = """
import socket
socket.create_connection(("{host}", {port}), timeout=1)
print("CONNECTED")
"""
FORKS = """
import os, time
for _ in range(60):
    if os.fork() == 0:
        time.sleep(60)
time.sleep(1)
"""
DELETES = """
import pathlib, shutil
for victim in {victims}:
    shutil.rmtree(victim, ignore_errors=True)
    try:
        pathlib.Path(victim).unlink()
    except OSError:
        pass
"""
HALF = """
rows = len(tokens)
if tokens.shape == (2, 2):
    return tokens, tokens
"""
LOOP = "while True:\n    try:\n        pass\n    except:\n        pass"
# An interrupt or SystemExit would end in this one.
STUBBORN = "while True:\n    try:\n        time.sleep(0.1)\n    except:\n        pass"
ENDED = r"1\.1 ended the process \(os\._exit\?\)"
TAMPERED = r"given cells or checks missing or changed \(the original ones were run\): 1\.1"


def _text(text: str, points: int = FULL, reason: str = "") -> Case:
    return Case(text, points, reason)


def cases(root: Path, victims: list[str], port: int) -> dict[str, Case]:
    """Student → submission."""
    network = NETWORK.format(host="127.0.0.1", port=port)
    spoilt = REST
    right = edited(lambda cells: None)
    hog = "everything = [bytearray(50_000_000) for _ in range(100)]"
    return {
        "right": _text(right),
        "helper": _text(edited(_helper)),
        "no metadata": _text(edited(_without_metadata)),
        "김 민수": _text(edited(_in_own_cell)),
        "deletes checks": _text(edited(_no_checks), FULL, TAMPERED + r".*"),
        "renames checks": _text(edited(_renamed_checks), FULL, TAMPERED + r".*"),
        "half": _text(
            answer(HALF + SOLUTION),
            REST + WORTH["check"],
            r"1\.1 hidden tests: a hidden test fails",
        ),
        "easier check": _text(edited(_easier_check), spoilt, TAMPERED + r"; 1\.1 .*shape.*"),
        "no answer": _text(
            edited(lambda cells: cells.pop(place(solved()))),
            spoilt,
            r"1\.1 the answer cell is missing",
        ),
        "patches": _text(
            answer("return tokens, tokens", PATCHED),
            spoilt,
            r"put back .*: abs, .*checks\.check, .*numpy\.allclose.*; 1\.1 .*shape.*",
        ),
        "sneaks": _text(
            answer(SNEAKY),
            spoilt,
            r"put back .*; look at the code.*; 1\.1 changes .*core\.close .*",
        ),
        "loops": _text(answer(LOOP), spoilt, r"1\.1 took longer than 4 s"),
        "loops outside": _text(
            inserted(f"import time\n{STUBBORN}"),
            FULL,
            r"a cell outside the answers: took longer than 4 s",
        ),
        "hogs": _text(answer(hog), spoilt, r"1\.1 used more than 600 MB"),
        "exits": _text(answer("import os\nos._exit(0)"), spoilt, ENDED),
        "stops": _text(answer("raise SystemExit"), spoilt, r"1\.1 SystemExit.*"),
        "prints": _text(
            answer("for _ in range(100):\n    print('x' * 1_000_000)"),
            spoilt,
            r"1\.1 printed more than 2 MB",
        ),
        "writes": _text(
            answer("open('big', 'wb').write(bytes(50_000_000))"),
            spoilt,
            r"1\.1 wrote more than 5 MB",
        ),
        "forks": _text(answer(FORKS), spoilt, r"1\.1 started more than 16 processes"),
        "spies": _text(inserted(SPY.replace("ROOT", repr(str(root))))),
        "phones": _text(inserted(network)),
        "deletes": _text(inserted(DELETES.format(victims=victims))),
        "no JSON": _text("{ not a notebook", 0, "not a notebook: the file is not JSON"),
        "no cells": _text(json.dumps([1, 2]), 0, "not a notebook: the JSON has no cells"),
        "nothing": _text("", 0, "the file is empty"),
        "=1+1": _text(answer("return None"), spoilt, r"1\.1 it returns 2 things"),
    }


def write_folder(folder: Path, every: dict[str, Case]) -> None:
    """One folder a student, and one student whose folder has no notebook."""
    for student, case in every.items():
        (folder / student).mkdir(parents=True)
        (folder / student / "01 과제.ipynb").write_text(case.text, encoding="utf-8")
    (folder / "no notebook").mkdir()
    (folder / "no notebook" / "report.pdf").write_bytes(b"%PDF")
    for skipped in (".ipynb_checkpoints", "__MACOSX"):
        (folder / "right" / skipped).mkdir()
        (folder / "right" / skipped / "01.ipynb").write_text("{}")


def write_moodle(path: Path) -> None:
    """A zip file as Moodle makes it, with a name from a Korean Windows, and hostile entries."""
    text = nbformat.writes(solved())
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Ada Lovelace_101_assignsubmission_file_/01.ipynb", text)
        archive.writestr("Kim_102_assignsubmission_file_/01.ipynb", text)
        archive.writestr("Kim_103_assignsubmission_file_/hw.zip", _zipped("a/01.ipynb", text))
        archive.writestr("Empty_104_assignsubmission_file_/", "")
        archive.writestr("Bad_105_assignsubmission_file_/hw.zip", b"PK not a zip file")
        archive.writestr("../../outside_106_assignsubmission_file_/01.ipynb", text)
        archive.writestr("__MACOSX/Kim_102_assignsubmission_file_/._01.ipynb", "x")
        archive.writestr(_Unmarked("박서준_107_assignsubmission_file_/01.ipynb"), text)


class _Unmarked(zipfile.ZipInfo):
    """An entry as a Korean Windows writes it: its name in cp949, and no mark of that."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode("cp949"), self.flag_bits


def _zipped(name: str, text: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, text)
    return data.getvalue()
