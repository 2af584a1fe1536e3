"""Submissions for the tests of the grader, made from a source notebook: right and hostile ones."""

from __future__ import annotations

import io
import json
import textwrap
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
    points: int = FULL
    reason: str = ""  # a pattern of the whole reason; the number of the first exercise is 1.1


def solved() -> NotebookNode:
    """What a student hands in who has got everything right."""
    notebook = assignments.for_students(SOURCE)
    for cell, source in zip(notebook.cells, SOURCE.cells, strict=True):
        if assignments.part(source)[1] == "answer":
            cell.source = assignments.solved(source.source)
    return notebook


def place(cells: list[NotebookNode], kind: str = "answer") -> int:
    """Where the first exercise's cell of this kind is."""
    return [assignments.part(cell) for cell in cells].index((FIRST, kind))


def code(text: str) -> NotebookNode:
    return nbformat.v4.new_code_cell(text)


def answer(body: str, before: str = "") -> str:
    """A solved notebook whose first answer is this body."""
    notebook = solved()
    lines = textwrap.indent(body, "    ")
    text = f"{before}\ndef {FIRST}(tokens, sos, eos, pad):\n{lines}\n"
    notebook.cells[place(notebook.cells)].source = text
    return nbformat.writes(notebook)


def edited(change: Callable[[list[NotebookNode]], object]) -> str:
    """A solved notebook with its list of cells changed."""
    notebook = solved()
    change(notebook.cells)
    return nbformat.writes(notebook)


def inserted(text: str) -> str:
    """A solved notebook with one more cell, before the first answer."""
    return edited(lambda cells: cells.insert(place(cells), code(text)))


ANSWER = SOURCE.cells[place(SOURCE.cells)].source
SOLUTION = textwrap.dedent(assignments.SOLUTION.search(ANSWER)[2])


def _without_metadata(cells: list[NotebookNode]) -> None:
    for cell in cells:
        cell.metadata = {}


def _helper(cells: list[NotebookNode]) -> None:
    index = place(cells)
    cells[index].source = f"def {FIRST}(*inputs):\n    return helper(*inputs)"
    body = textwrap.indent(SOLUTION, "    ")
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
    cells[place(cells)].source = wrong
    cells[place(cells, "check")].source = "print('passed')"


def _in_own_cell(cells: list[NotebookNode]) -> None:
    """The stub stays; the solution stands in a new cell below the check."""
    right = cells[place(cells)].source
    cells[place(cells)].source = assignments.stub(ANSWER)
    cells.insert(place(cells, "check") + 1, code(right))


def _answers(cells: list[NotebookNode]) -> list[NotebookNode]:
    return [cell for cell in cells if assignments.part(cell)[1] == "answer"]


def _two_in_one(cells: list[NotebookNode]) -> None:
    """The second answer stands below the first one; its own cell is left as it was handed out."""
    first, second, *_ = _answers(cells)
    first.source += f"\n\n\n{second.source}"
    second.source = assignments.stub(_answers(SOURCE.cells)[1].source)


def _one_cell(cells: list[NotebookNode]) -> None:
    whole = "\n\n\n".join(cell.source for cell in cells if cell.cell_type == "code")
    cells[:] = [code(whole)]


def _renamed(cells: list[NotebookNode]) -> None:
    cells[place(cells)].source = cells[place(cells)].source.replace(FIRST, FIRST.capitalize())


def _stub_without_metadata(cells: list[NotebookNode]) -> None:
    cells[place(cells)].source = assignments.stub(ANSWER)
    _without_metadata(cells)


def _import_missing(cells: list[NotebookNode]) -> None:
    index = place(cells)
    cells[index].source = f"def {FIRST}(*inputs):\n    return pandas.shift(*inputs)"
    cells.insert(index, code("import pandas_of_mine as pandas"))


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


def cases(root: Path, victims: list[str], port: int) -> dict[str, Case]:
    """Student → submission."""
    network = NETWORK.format(host="127.0.0.1", port=port)
    right = edited(lambda cells: None)
    hog = "everything = [bytearray(50_000_000) for _ in range(100)]"
    return {
        "right": Case(right),
        "helper": Case(edited(_helper)),
        "no metadata": Case(edited(_without_metadata)),
        "김 민수": Case(edited(_in_own_cell)),
        "two in one": Case(edited(_two_in_one)),
        "one cell": Case(edited(_one_cell), FULL, TAMPERED + r".*"),
        "renamed": Case(
            edited(_renamed),
            REST,
            r"1\.1 no function `shift_targets` is defined \(you have `Shift_targets`\)",
        ),
        "stub": Case(edited(_stub_without_metadata), REST, r"1\.1 it is still to be written"),
        "import": Case(
            edited(_import_missing),
            REST,
            r"own cell failed: ModuleNotFoundError: No module named 'pandas_of_mine'; "
            r"1\.1 it does not run: NameError.*",
        ),
        "deletes checks": Case(edited(_no_checks), FULL, TAMPERED + r".*"),
        "renames checks": Case(edited(_renamed_checks), FULL, TAMPERED + r".*"),
        "half": Case(
            answer(HALF + SOLUTION),
            REST + WORTH["check"],
            r"1\.1 hidden tests: a hidden test fails",
        ),
        "easier check": Case(edited(_easier_check), REST, TAMPERED + r"; 1\.1 .*shape.*"),
        "no answer": Case(
            edited(lambda cells: cells.pop(place(cells))),
            REST,
            r"1\.1 the answer cell is missing",
        ),
        "patches": Case(
            answer("return tokens, tokens", PATCHED),
            REST,
            r"put back .*: abs, .*checks\.check, .*numpy\.allclose.*; 1\.1 .*shape.*",
        ),
        "sneaks": Case(
            answer(SNEAKY),
            REST,
            r"put back .*; look at the code.*; 1\.1 changes .*core\.close .*",
        ),
        "loops": Case(
            answer(LOOP), REST, r"1\.1 the check of this answer took longer than 4 s: .*"
        ),
        "loops outside": Case(
            inserted(f"import time\n{STUBBORN}"),
            FULL,
            r"a cell outside the answers: this cell took longer than 4 s",
        ),
        "hogs": Case(answer(hog), REST, r"1\.1 used more than 600 MB"),
        "exits": Case(answer("import os\nos._exit(0)"), REST, ENDED),
        "stops": Case(answer("raise SystemExit"), REST, r"1\.1 SystemExit.*"),
        "prints": Case(
            answer("for _ in range(100):\n    print('x' * 1_000_000)"),
            REST,
            r"1\.1 printed more than 2 MB",
        ),
        "writes": Case(
            answer("open('big', 'wb').write(bytes(50_000_000))"),
            REST,
            r"1\.1 wrote more than 5 MB",
        ),
        "forks": Case(answer(FORKS), REST, r"1\.1 started more than 16 processes"),
        "spies": Case(inserted(SPY.replace("ROOT", repr(str(root))))),
        "phones": Case(inserted(network)),
        "deletes": Case(inserted(DELETES.format(victims=victims))),
        "no JSON": Case("{ not a notebook", 0, "not a notebook: the file is not JSON"),
        "no cells": Case(json.dumps([1, 2]), 0, "not a notebook: the JSON has no cells"),
        "nothing": Case("", 0, "the file is empty"),
        "=1+1": Case(answer("return None"), REST, r"1\.1 it returns 2 things"),
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
