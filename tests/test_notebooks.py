"""Every stored notebook is fit to be read, run and compared; and the comparison catches lies."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from setup_cell import find_notebooks, is_in_sync, setup_source

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = find_notebooks(ROOT)
MAX_CELL_LINES = 25
MAX_FILE_BYTES = 1_500_000

notebooks = pytest.mark.parametrize(
    "path", NOTEBOOKS, ids=[p.relative_to(ROOT).as_posix() for p in NOTEBOOKS]
)


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """Cell index and line of all Markdown outside code blocks."""
    for index, cell in enumerate(notebook.cells):
        fence = ""
        for line in cell.source.splitlines() if cell.cell_type == "markdown" else ():
            mark = re.match(r"\s*(`{3,}|~{3,})", line)
            if mark and not fence:
                fence = mark[1]
                yield index, line  # the opening line itself may be a directive
            elif mark and line.strip() == fence:
                fence = ""
            elif not fence:
                yield index, line


# --- What is stored -----------------------------------------------------------


@notebooks
def test_is_valid_and_not_too_large(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    size = path.stat().st_size
    assert size <= MAX_FILE_BYTES, f"{size:,} bytes: fewer or smaller pictures"


@notebooks
def test_was_executed_in_order_without_errors(path: Path) -> None:
    cells = code_cells(read(path))
    counts = [cell.execution_count for cell in cells]
    assert counts == list(range(1, len(cells) + 1)), (
        f"make execute NOTEBOOK={path.relative_to(ROOT)}"
    )
    for cell in cells:
        kinds = {output.output_type for output in cell.outputs}
        if "raises-exception" not in cell.metadata.get("tags", []):
            assert "error" not in kinds, f"In [{cell.execution_count}] stores an error"


@notebooks
def test_stores_nothing_that_changes_from_run_to_run(path: Path) -> None:
    notebook = read(path)
    assert "version" not in notebook.metadata.get("language_info", {})
    for cell in code_cells(notebook):
        where = f"In [{cell.execution_count}]"
        stamps = {"execution", "ExecuteTime", "collapsed"} & set(cell.metadata)
        assert not stamps, f"{where} stores {stamps}; make execute leaves them out"
        names = {output.get("name") for output in cell.outputs}
        assert "stderr" not in names, f"{where} stores stderr; make execute leaves it out"
        kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
        assert not any("widget" in kind for kind in kinds), (
            f"{where} stores a widget: blank offline"
        )


@notebooks
def test_names_no_path_of_one_machine(path: Path) -> None:
    local = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|Users|work|mnt|var)/\S*|[A-Z]:\\\\Users")
    for index, cell in enumerate(read(path).cells):
        texts = [cell.source]
        for output in cell.get("outputs", []):
            texts += [output.get("text", ""), output.get("data", {}).get("text/plain", "")]
        for text in texts:
            found = local.search(text)
            assert not found, f"cell {index}: {found[0]}"


# --- How it is written --------------------------------------------------------


@notebooks
def test_begins_with_the_set_up_cell(path: Path) -> None:
    hint = "python tools/setup_cell.py --write"
    assert is_in_sync(read(path), setup_source()), hint


@notebooks
def test_cells_are_short(path: Path) -> None:
    for cell in code_cells(read(path)):
        lines = [
            x for x in cell.source.splitlines() if x.strip() and not x.lstrip().startswith("#")
        ]
        where = f"In [{cell.execution_count}]"
        assert len(lines) <= MAX_CELL_LINES, f"{where}: {len(lines)} lines belong in a module"


@notebooks
def test_markdown_reads_in_colab_too(path: Path) -> None:
    for index, line in prose(read(path)):
        where = f"cell {index}: {line.strip()[:60]}"
        assert not re.match(r"\s*(`{3,}|~{3,})\s*\{", line), f"use a colon fence: {where}"
        assert "____" not in line, rf"escape a blank as \_\_\_\_, or two of them make bold: {where}"
        role = re.search(r"\{(?:glue|cite|numref)[\w:]*\}`", line)
        assert not role, f"{role and role[0]} is no plain link: {where}"
        if "$$" in re.sub(r"`[^`]*`", "", line):
            alone = re.fullmatch(r"[>\s]*\$\$(?:[^$]*\$\$)?\s*(?:\([\w:-]+\))?\s*", line)
            assert alone, f"display math stands on lines of its own: {where}"


@notebooks
def test_every_picture_says_what_it_shows(path: Path) -> None:
    for cell in code_cells(read(path)):
        kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
        if any(kind.startswith("image/") for kind in kinds):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            where = f"In [{cell.execution_count}]"
            assert alt.strip(), (
                f'{where}: metadata {{"mystnb": {{"image": {{"alt": "…"}}}}}} is missing'
            )


@notebooks
def test_unchecked_output_is_followed_by_an_assertion(path: Path) -> None:
    cells = code_cells(read(path))
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        where = f"In [{cell.execution_count}]"
        tags = cell.metadata.get("tags", [])
        assert "nbval-skip" not in tags, f"{where} is not run by the checks"
        assert "NBVAL_" not in cell.source, f"{where}: say it with a tag"
        if "nbval-ignore-output" in tags:
            asserts = following is not None and re.search(r"^\s*assert\b", following.source, re.M)
            assert asserts, f"{where} ignores its output and no assertion follows"


# --- The comparison itself ----------------------------------------------------


def write_toy(path: Path, *cells: tuple[str, str]) -> None:
    """A notebook of code cells, each with the text that it is said to have printed."""
    notebook = nbformat.v4.new_notebook()
    for count, (source, stored) in enumerate(cells, start=1):
        cell = nbformat.v4.new_code_cell(source, execution_count=count, id=f"toy-{count}")
        if stored:
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=stored)]
        notebook.cells.append(cell)
    nbformat.write(notebook, path)


def run_nbval(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs nbval on all notebooks of `folder` with the comparison of this project."""
    shutil.copy(ROOT / "conftest.py", folder)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    command = [sys.executable, "-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider", "-rA"]
    command += ["-p", "nbval.plugin", f"--rootdir={folder}", "--nbval", "--nbval-current-env"]
    return subprocess.run(
        [*command, *(options or ("--nbval-cell-timeout=60",)), str(folder)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


SAME = [  # stored, computed
    ("0.70710", "0.70733"),
    ("error 3.1e-08", "error 0.0e+00"),
    ("0.0123", "0.0124"),  # one unit in the fourth place
    ("[1.   0.25]", "[1.00000001 0.25      ]"),
]
DIFFERENT = [
    ("0.70710", "0.7301"),
    ("0.91", "0.92"),
    ("91", "92"),
    ("(3, 4)", "(4, 4)"),
    ("1", "1.0"),
    ("the encoder wins: 0.5", "the decoder wins: 0.5"),
    ("-0.25", "0.25"),
    ("learning rate 1e-04", "learning rate 2e-04"),
    ("[0.5 0.5]", "[0.5 0.5 0.5]"),
    ("2024-03-15", "2024-03-16"),
    ("", "0.5"),
]


def test_nbval_tells_drift_from_change(tmp_path: Path) -> None:
    pairs = [*SAME, *DIFFERENT]
    progress_bar = ("import sys; print('50%|#####', file=sys.stderr)", "")
    cells = [(f"print({computed!r})", stored) for stored, computed in pairs]
    write_toy(tmp_path / "toy.ipynb", *cells, progress_bar)
    done = run_nbval(tmp_path)
    found = re.findall(r"^(PASSED|FAILED) toy\.ipynb::Cell (\d+)", done.stdout, re.M)
    verdicts = {int(number): verdict for verdict, number in found}
    for number, pair in enumerate([*pairs, progress_bar]):
        expected = "FAILED" if pair in DIFFERENT else "PASSED"
        assert verdicts.get(number) == expected, f"{pair}\n{done.stdout}"
    assert done.returncode == 1


STUCK = {
    "dead_kernel": "import os; os._exit(1)",
    "endless_loop": "while True: pass",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STUCK)
def test_a_stuck_notebook_fails_in_bounded_time(tmp_path: Path, name: str) -> None:
    write_toy(tmp_path / "toy.ipynb", (STUCK[name], ""))
    begin = time.monotonic()
    done = run_nbval(tmp_path, "--nbval-cell-timeout=5")
    assert done.returncode == 1, done.stdout
    assert time.monotonic() - begin < 200  # nbval's own limit would be 2,000 s


def test_the_makefile_gives_nbval_a_timeout(root: Path) -> None:
    assert re.search(r"--nbval-cell-timeout=\d+", (root / "Makefile").read_text())
