"""Assignments from their source notebooks: for students, for instructors, for the book.

    python tools/assignments.py   writes the editions for students and instructors and, into
                                  exercises/book, the pages of the book (as `make book` does)

`exercises/NN-name.ipynb` is the only source. Its cells carry nbgrader's marks (schema 3): a cell is
a statement, given code, hints, an answer, a check or a hidden check of the exercise that its
`grade_id` names. Solutions and hidden tests stand between `### BEGIN …` and `### END …`.

For students: answers are stubs, hidden tests and all outputs are gone. For instructors: the source.
For the book: statement, stub, hints, and the solution folded up; with COURSE_SOLUTIONS=no in the
environment there are no solutions in the book.
"""

from __future__ import annotations

import ast
import copy
import os
import re
import sys
import zipfile
from collections import Counter
from pathlib import Path

import nbformat
from files import write
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "exercises"
BUILD = ROOT / "_build" / "assignments"
STUB = "# YOUR CODE HERE\nraise NotImplementedError()"
SOLUTION = re.compile(r"(?ms)^( *)### BEGIN SOLUTION\n(.*?)^ *### END SOLUTION\n?")
HIDDEN = re.compile(r"(?ms)^ *### BEGIN HIDDEN TESTS\n(.*?)^ *### END HIDDEN TESTS\n?")
HINT = re.compile(r"(?s)<details><summary>(.*?)</summary>\s*(.*?)\s*</details>")
STATEMENT = re.compile(
    r"## (\d+\.\d+) · (.+)\n\n\*\*(Warm-up|Core|Challenge) · (\d+) minutes · (\d+) points\*\*\n"
)
DOWNLOAD = (
    "{{download}}`Download these exercises as a notebook <notebooks/{name}>` without solutions; "
    "open it in JupyterLab (`make lab`) or in Colab (*File*, *Upload notebook*)."
)


def sources(folder: Path = SOURCES) -> list[Path]:
    """The source notebooks, in the order of the chapters."""
    return sorted(folder.glob("[0-9][0-9]-*.ipynb"))


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def part(cell: NotebookNode) -> tuple[str, str]:
    """The exercise that a cell belongs to and the cell's kind; ("", "") for cells around them."""
    name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
    exercise, _, kind = name.partition("-")
    return (exercise, re.sub(r"-\d+$", "", kind) or "answer") if name else ("", "")


def points(cell: NotebookNode) -> int:
    """What a check is worth; 0 for other cells."""
    return int(cell.metadata.get("nbgrader", {}).get("points", 0))


def warn(folder: Path = SOURCES) -> None:
    """Print a line for every exercise whose statement and cells differ in the points."""
    for path in sources(folder):
        cells = read(path).cells
        worth = Counter()
        for cell in cells:
            worth[part(cell)[0]] += points(cell)
        for cell in cells:
            name, kind = part(cell)
            found = STATEMENT.match(cell.source) if kind == "statement" else None
            if found and int(found[5]) != worth[name]:
                told = f"the statement says {found[5]} points, the cells give {worth[name]}"
                print(f"Exercise {found[1]}: {told}.")


def stub(code: str) -> str:
    """An answer as students get it, as nbgrader's ClearSolutions writes it."""

    def replaced(found: re.Match) -> str:
        return "".join(f"{found[1]}{line}\n" for line in STUB.splitlines())

    return SOLUTION.sub(replaced, code).rstrip("\n")


def solved(code: str) -> str:
    """An answer without the marks around its solution."""
    return SOLUTION.sub(lambda found: found[2], code).rstrip("\n")


def for_students(source: NotebookNode) -> NotebookNode:
    """Stubs instead of solutions; no hidden test; no output."""
    notebook = copy.deepcopy(source)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.source = HIDDEN.sub("", stub(cell.source)).rstrip("\n")
    return notebook


def for_the_book(source: NotebookNode, name: str, solutions: bool = True) -> NotebookNode:
    """A page: what students get, hints as dropdowns, and below each stub the solution, folded up.
    `name`: of the notebook to download."""
    page = copy.deepcopy(source)
    page.cells = [new for cell in page.cells for new in _on_the_page(cell, solutions)]
    page.cells.insert(1, nbformat.v4.new_markdown_cell(DOWNLOAD.format(name=name), id="download"))
    return page


def _on_the_page(cell: NotebookNode, solutions: bool) -> list[NotebookNode]:
    exercise, kind = part(cell)
    if kind == "hidden":
        return []
    if cell.cell_type == "markdown":
        cell.source = HINT.sub(r":::{dropdown} \1\n\2\n:::", cell.source)
    if kind == "check":
        cell.outputs = []
    if kind != "answer":
        return [cell]
    told = f":::{{dropdown}} Solution\n```python\n{solved(cell.source)}\n```\n:::"
    answer = nbformat.v4.new_markdown_cell(told, id=f"{exercise}-solution"[:64])
    cell.source, cell.outputs = stub(cell.source), []
    return [cell, answer] if solutions else [cell]


def with_solutions() -> bool:
    """Whether the book shows solutions: COURSE_SOLUTIONS in the environment, "yes" or "no"."""
    asked = os.environ.get("COURSE_SOLUTIONS", "yes").lower()
    if asked not in ("yes", "no"):
        raise ValueError(f"COURSE_SOLUTIONS is {asked!r}, expected 'yes' or 'no'")
    return asked == "yes"


def write_pages(folder: Path = SOURCES) -> None:
    """Write the book's pages into `folder`/book and, beside them, the notebooks to download."""
    solutions = with_solutions()
    for path in sources(folder):
        source, page = read(path), folder / "book" / path.name
        write(page, nbformat.writes(for_the_book(source, path.name, solutions)))
        write(page.parent / "notebooks" / path.name, nbformat.writes(for_students(source)))
    write(folder / "book" / "table.md", table(folder))


def table(folder: Path = SOURCES) -> str:
    """All exercises as a Markdown table; what each tests is the docstring of its check."""
    lines = ["| exercise | level, minutes, points | what is tested |", "|---|---|---|"]
    for path in sources(folder):
        tested = check_docstrings(int(path.stem[:2]))
        for cell in read(path).cells:
            exercise, kind = part(cell)
            if kind == "statement":
                number, title, level, minutes, worth = _first_lines(cell, path)
                link = f"[{number} {title}](../exercises/book/{path.name})"
                size = f"{level}, {minutes}, {worth}"
                lines.append(f"| {link} | {size} | {tested.get(exercise, '')} |")
    return "\n".join(lines) + "\n"


def _first_lines(statement: NotebookNode, path: Path) -> tuple[str, ...]:
    """Number, title, level, minutes, points, or ValueError with how a statement begins."""
    found = STATEMENT.match(statement.source)
    if found:
        return found.groups()
    form = "'## 1.4 · Title', an empty line, '**Core · 20 minutes · 4 points**'"
    begins = statement.source[:60]
    raise ValueError(f"{path.name}: {part(statement)[0]} begins {begins!r}, expected {form}")


def check_docstrings(chapter: int) -> dict[str, str]:
    """Exercise → the docstring of its check, read without importing it."""
    module = ROOT / "code" / "attention_course" / "checks" / f"chapter{chapter}.py"
    nodes = ast.parse(module.read_text(encoding="utf-8")).body
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    return {each.name: " ".join((ast.get_docstring(each) or "").split()) for each in functions}


def write_zips(folder: Path = BUILD) -> list[Path]:
    """Write `student.zip` and `instructor.zip`, each with one notebook an assignment, and beside
    them the same notebooks unzipped."""
    made = []
    for edition, change in (("student", for_students), ("instructor", copy.deepcopy)):
        archive = folder / f"{edition}.zip"
        texts = {path.name: nbformat.writes(change(read(path))) for path in sources()}
        folder.mkdir(parents=True, exist_ok=True)
        scratch = archive.with_suffix(".tmp")
        with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as file:
            for name, text in texts.items():
                write(folder / edition / name, text)
                file.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text)
        scratch.replace(archive)
        made.append(archive)
    return made


def main() -> int:
    try:
        write_pages()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    warn()
    for archive in write_zips():
        print(f"{archive.relative_to(ROOT)}   and the same notebooks in {archive.stem}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
