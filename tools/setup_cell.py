"""The set-up cell: the same first code cell in every notebook, written here and nowhere else.

Where the package is installed the cell does nothing. In Colab, where a chapter arrives alone, it
installs the package from the repository that `_config.yml` names, or from COURSE_SOURCE.

    python tools/setup_cell.py            say which notebooks differ (exit status 1 if any does)
    python tools/setup_cell.py --write    put the cell into all notebooks, or refresh it
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import yaml
from files import write
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
PLACEHOLDER = "OWNER/REPO"
TAG = "setup"

CELL = """\
# Set-up: does nothing where the course is installed; in Colab it installs the course's modules.
import importlib.util
import os

if importlib.util.find_spec("attention_course") is None:
    source = os.environ.get("COURSE_SOURCE", "git+{url}@{branch}")
    {check}%pip install --quiet {{source}}"""
CHECK = (
    f'assert "{PLACEHOLDER}" not in source, '
    '"attention_course is missing: COURSE_SOURCE must name it"'
)


def setup_source(config: Path = ROOT / "_config.yml") -> str:
    """The text of the cell for the repository that `config` names."""
    repository = yaml.safe_load(config.read_text(encoding="utf-8"))["repository"]
    url, branch = repository["url"].removesuffix("/"), repository.get("branch", "main")
    check = CHECK + "\n    " if PLACEHOLDER in url else ""
    return CELL.format(url=url, branch=branch, check=check)


def find_notebooks(root: Path = ROOT) -> list[Path]:
    """All notebooks of the course in reading order: chapters, further ones, exercises."""
    chapters = root / "chapters"
    folders = [chapters, *sorted(p for p in chapters.glob("*/") if p.is_dir()), root / "exercises"]
    return [p for folder in folders for p in sorted(folder.glob("*.ipynb"))]


def first_code_cell(notebook: NotebookNode) -> NotebookNode | None:
    """The first code cell of `notebook`, or None where it has none."""
    return next((cell for cell in notebook.cells if cell.cell_type == "code"), None)


def is_in_sync(notebook: NotebookNode, source: str) -> bool:
    """Whether the first code cell is the set-up cell `source`."""
    cell = first_code_cell(notebook)
    return cell is not None and cell.source == source and TAG in cell.metadata.get("tags", [])


def put_setup_cell(notebook: NotebookNode, source: str) -> None:
    """Makes `source` the first code cell: refreshes the one that is there, or inserts one."""
    cell = first_code_cell(notebook)
    if cell is None or TAG not in cell.metadata.get("tags", []):
        position = notebook.cells.index(cell) if cell is not None else len(notebook.cells)
        cell = nbformat.v4.new_code_cell(id=TAG, metadata={"tags": ["hide-cell", TAG]})
        notebook.cells.insert(position, cell)
    cell.source = source


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Writes `notebook` to `path` in one step, so that no reader ever sees half of it."""
    text = nbformat.writes(notebook)
    write(path, text if text.endswith("\n") else text + "\n")


def main(write: bool) -> int:
    """Checks or refreshes all notebooks; returns the exit status."""
    source, differing = setup_source(), []
    for path in find_notebooks():
        notebook = nbformat.read(path, as_version=4)
        if is_in_sync(notebook, source):
            continue
        differing.append(path.relative_to(ROOT).as_posix())
        if write:
            put_setup_cell(notebook, source)
            write_notebook(notebook, path)
    for name in differing:
        print(f"{name}: set-up cell {'written; now run: make execute' if write else 'differs'}")
    return 1 if differing and not write else 0


if __name__ == "__main__":
    sys.exit(main(write="--write" in sys.argv[1:]))
