"""Runs notebooks in order and stores their outputs, without what changes from run to run.

    python tools/execute.py                     all notebooks
    python tools/execute.py chapters/01-x.ipynb one, or several

A notebook is written only when every cell of it ran. Left out of what is stored: time stamps,
versions, tool settings, and what went to stderr (progress bars, warnings).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from setup_cell import ROOT, find_notebooks, put_setup_cell, setup_source, write_notebook

CELL_TIMEOUT = 300  # seconds, the same as nbval's
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "file_extension": ".py", "pygments_lexer": "ipython3"}
NOISE = ("execution", "ExecuteTime", "collapsed", "scrolled", "jupyter", "trusted")


def announce(cell: NotebookNode, cell_index: int, **_: object) -> None:
    """Says which cell begins: a sign of life in a long notebook."""
    if cell.cell_type == "code" and sys.stderr.isatty():
        line = cell.source.partition("\n")[0][:60]
        print(f"\r\033[K  cell {cell_index + 1}: {line}", end="", file=sys.stderr, flush=True)


def run(notebook: NotebookNode, folder: Path) -> None:
    """Executes `notebook` in place, with `folder` as its working directory."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
        on_cell_start=announce,
        extra_arguments=["--log-level=ERROR"],  # otherwise each kernel warns of TCP on 127.0.0.1
    )
    client.execute()


def clean(notebook: NotebookNode) -> None:
    """Removes what would make two runs of an unchanged notebook differ."""
    notebook.metadata = NotebookNode(kernelspec=KERNEL, language_info=LANGUAGE)
    for cell in notebook.cells:
        for key in NOISE:
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            kept = [out for out in cell.outputs if out.get("name") != "stderr"]
            cell.outputs = merge_streams(kept)


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Joins neighbouring pieces of stdout: where the kernel cuts them is chance, and shows."""
    merged: list[NotebookNode] = []
    for output in outputs:
        if output.output_type == "stream" and merged and merged[-1].output_type == "stream":
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


def execute(path: Path) -> float:
    """Executes the notebook at `path`, writes it back and returns the seconds it took."""
    notebook = nbformat.read(path, as_version=4)
    put_setup_cell(notebook, setup_source())
    begin = time.monotonic()
    run(notebook, path.parent)
    seconds = time.monotonic() - begin
    clean(notebook)
    nbformat.validate(notebook)
    write_notebook(notebook, path)
    return seconds


def main(arguments: list[str]) -> int:
    """Executes the named notebooks, or all; returns the exit status."""
    paths = [Path(argument).resolve() for argument in arguments] or find_notebooks()
    missing = [str(path) for path in paths if path.suffix != ".ipynb" or not path.is_file()]
    if missing:
        print("no such notebook: " + ", ".join(missing), file=sys.stderr)
        return 1
    failed = 0
    for path in paths:
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
        try:
            print(f"{execute(path):6.1f} s  {name}", flush=True)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            failed += 1
            print(f"  failed  {name}  (left as it was)\n{error}", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
