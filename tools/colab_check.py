"""Does every notebook run in Colab? Tries it on this machine, with Colab's Python and versions.

Of an assignment the students' edition runs, too: each check must say that its answer is a stub.

`.venv-colab` (about 7 GB, made once) holds the versions of `colab-pins.txt`. Each notebook is
copied alone into an empty folder and run there; its own set-up cell installs the package, once from
a git URL and once from a wheel. The package is taken away again before every run.

    python tools/colab_check.py [notebook ...]

COLAB_PYTHON names a Python 3.13 where `python3.13` does not find one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import assignments
import nbformat
from setup_cell import ROOT, find_notebooks

VENV = ROOT / ".venv-colab"
PYTHON = VENV / "bin" / "python"
PINS = ROOT / "tools" / "colab-pins.txt"
STAMP = VENV / "course-stamp"
CELL_TIMEOUT = 300


def find_python() -> str | None:
    """A Python 3.13, or None."""
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.13*/bin/python"))
    check = [os.environ.get("COLAB_PYTHON"), "python3.13", *map(str, pyenv)]
    for candidate in filter(None, check):
        command = [candidate, "-c", "import sys; sys.exit(sys.version_info[:2] != (3, 13))"]
        try:
            if subprocess.run(command, capture_output=True).returncode == 0:
                return candidate
        except OSError:
            continue
    return None


def pip(*arguments: str) -> str:
    """Runs pip in `.venv-colab` and returns what it printed."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"pip failed: {' '.join(arguments)}")
    return done.stdout


def prepare(python: str) -> None:
    """Makes `.venv-colab`, unless it holds these pins already."""
    pins = hashlib.sha256(PINS.read_bytes()).hexdigest()
    if PYTHON.exists() and STAMP.exists() and STAMP.read_text() == pins:
        return
    print("Making .venv-colab: about 3 GB to fetch, 7 GB on disk, some minutes.", flush=True)
    subprocess.run([python, "-m", "venv", str(VENV)], check=True)
    STAMP.unlink(missing_ok=True)
    pip("install", "--quiet", "-r", str(PINS))
    STAMP.write_text(pins)


def snapshot(folder: Path) -> Path:
    """A git repository in `folder` with the working tree as it is now, committed."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    identity = ["-c", "user.name=colab-check", "-c", "user.email=colab-check@localhost"]
    subprocess.run(["git", "init", "--quiet", "."], cwd=folder, check=True)
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    commit = ["git", *identity, "commit", "--quiet", "--no-gpg-sign", "-m", "snapshot"]
    subprocess.run(commit, cwd=folder, check=True)
    return folder


def build_wheel(source: Path, folder: Path) -> Path:
    """The wheel of `source`, built into `folder`."""
    pip("wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source))
    return next(folder.glob("*.whl"))


def student_edition(notebook: Path, folder: Path) -> Path:
    """The notebook as students get it, its checks marked as cells that must fail."""
    edition = assignments.for_students(assignments.read(notebook))
    for cell in edition.cells:
        if assignments.part(cell)[1] == "check":
            cell.metadata["tags"] = ["raises-exception"]
    path = folder / f"student-{notebook.name}"
    nbformat.write(edition, path)
    return path


def check(notebook: Path, source: str, versions: str) -> bool:
    """Runs `notebook` alone, its set-up cell installing from `source`; True when all went well."""
    pip("uninstall", "--quiet", "--yes", "attention-course")
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHONPATH"))
    }
    environment["COURSE_SOURCE"] = source
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(notebook, folder)
        command = [str(PYTHON), "-m", "pytest", "--quiet", "--no-header", "-p", "no:cacheprovider"]
        command += ["--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={CELL_TIMEOUT}"]
        command += [f"--rootdir={folder}", notebook.name]
        status = subprocess.run(command, cwd=folder, env=environment).returncode
    after = pip("freeze", "--exclude", "attention-course").splitlines()
    changed = sorted(set(versions.splitlines()) - set(after))  # what is new beside them is fine
    if changed:
        print("the set-up cell changed what Colab had installed:", file=sys.stderr)
        print("\n".join(changed), file=sys.stderr)
    return status == 0 and not changed


def main(arguments: list[str]) -> int:
    """Checks the named notebooks, or all; returns the exit status."""
    python = find_python()
    if python is None:
        print("Skipped: there is no Python 3.13 here (COLAB_PYTHON=/path/to/python3.13 names one).")
        return 0
    prepare(python)
    notebooks = [Path(name).resolve() for name in arguments] or find_notebooks()
    pip("uninstall", "--quiet", "--yes", "attention-course")
    versions = pip("freeze")
    results = []
    with tempfile.TemporaryDirectory() as work:
        clone = snapshot(Path(work, "course"))
        wheel = build_wheel(clone, Path(work, "wheel"))
        sources = {"git": f"git+file://{clone}", "wheel": str(wheel)}
        exercises = [notebook for notebook in notebooks if notebook.parent.name == "exercises"]
        editions = [student_edition(notebook, Path(work)) for notebook in exercises]
        for notebook in notebooks + editions:
            for kind, source in sources.items():
                begin = time.monotonic()
                passed = check(notebook, source, versions)
                seconds = time.monotonic() - begin
                results.append(passed)
                verdict = "ok    " if passed else "FAILED"
                print(
                    f"{verdict} {seconds:6.1f} s  {notebook.name}, package from {kind}", flush=True
                )
    pip("uninstall", "--quiet", "--yes", "attention-course")
    print(f"{sum(results)} of {len(results)} runs passed.")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
