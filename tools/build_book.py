"""Build the HTML book in _build/html: strictly, and only when something it is made of has changed.

    python tools/build_book.py [BOOK]      BOOK: the folder of _config.yml, or else this repository

A fingerprint over the contents of all inputs is kept beside the pages. The book is always built
whole, in a fresh folder that replaces the old one at the end: an incremental build would repeat
neither the warnings of unchanged pages nor notice a link that another page's change has broken.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import hashlib
import itertools
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path

import assignments

REPOSITORY = Path(__file__).resolve().parents[1]
# Everything the pages are made of. Extend it when a page includes a file from elsewhere.
INPUT_FILES = ("_config.yml", "_toc.yml", "intro.md", "references.bib")
INPUT_FOLDERS = ("_ext", "_static", "_templates", "appendix", "chapters", "exercises")
ENVIRONMENT = ("COURSE_REPO_URL", "COURSE_REPO_BRANCH", "COURSE_SOLUTIONS")
PACKAGES = re.compile(
    r"(sphinx|myst|jupyter-book|docutils|pydata|pygments|nbformat|markdown-it|mdit-py)", re.I
)
ANSI = re.compile(r"\x1b\[[0-9;]*m")
WARNING = re.compile(r"(WARNING|ERROR|CRITICAL): ")
FATAL = re.compile(r"^\w+ error:")  # of Sphinx: Configuration error, Extension error, …


class BuildFailed(Exception):
    """The book could not be built; the message says why, for people."""


def input_paths(book: Path) -> list[Path]:
    """Return the files that the book is made of, sorted."""
    loose = (book / name for name in INPUT_FILES)
    below = (path for folder in INPUT_FOLDERS for path in (book / folder).rglob("*"))
    skipped = {"__pycache__", ".ipynb_checkpoints"}
    return sorted(
        path for path in (*loose, *below) if path.is_file() and not skipped & set(path.parts)
    )


def package_versions() -> list[str]:
    """Return ``name==version`` of the installed packages that shape the pages."""
    found = ((each.metadata["Name"] or "", each.version) for each in metadata.distributions())
    return sorted(f"{name}=={version}" for name, version in found if PACKAGES.match(name))


def fingerprint(book: Path) -> str:
    """Return a digest of the inputs' names and contents, the settings, the tools and this file."""
    digest = hashlib.sha256()
    settings = [f"{name}={os.environ.get(name, '')}" for name in ENVIRONMENT]
    for text in (platform.python_version(), *settings, *package_versions()):
        digest.update(text.encode() + b"\0")
    for path in (Path(__file__), *input_paths(book)):
        digest.update(os.path.relpath(path, book).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def problems(log: str, book: Path) -> str:
    """Return what went wrong according to Jupyter Book's `log`: the fatal error, else the warnings,
    else the last lines."""
    lines = [line.replace(f"{book}{os.sep}", "") for line in ANSI.sub("", log).splitlines()]
    fatal = [index for index, line in enumerate(lines) if FATAL.match(line)]
    if fatal:
        told = itertools.takewhile(lambda line: "Traceback" not in line, lines[fatal[0] :])
        return "\n".join(line for line in told if line.strip())
    warnings = [line for line in lines if WARNING.search(line)]
    return "\n".join(warnings or [line for line in lines if line.strip()][-15:])


def run_jupyter_book(book: Path, output: Path) -> None:
    """Build `book` into `output`/_build/html, or raise BuildFailed with the warnings."""
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command += ["build", str(book), "--path-output", str(output), "-n", "-W", "--keep-going", "-q"]
    settings = {**os.environ, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=settings
    )
    if done.returncode == 0:
        return
    if os.strerror(errno.ENOSPC) in done.stdout:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(output))
    found = problems(done.stdout, book)
    raise BuildFailed(f"{found}\n\nThe book was not built. A warning counts as an error.")


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one build at a time work below `folder`; another one waits here."""
    with (folder / "book.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(book: Path) -> Path:
    """Return the path of index.html, after building what has changed."""
    folder = book / "_build"
    folder.mkdir(exist_ok=True)
    html, stamp, fresh = folder / "html", folder / "book.sha256", folder / "fresh"
    with alone(folder):
        assignments.write_pages(book / "exercises")
        current = fingerprint(book)
        index = html / "index.html"
        if index.is_file() and stamp.is_file() and stamp.read_text() == current:
            return index
        if util.find_spec("jupyter_book") is None:
            raise BuildFailed(f"Jupyter Book is not installed in {sys.prefix}. Run: make book")
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            print("Building the book ...", flush=True)
            run_jupyter_book(book, fresh)
            stamp.unlink(missing_ok=True)
            shutil.rmtree(html, ignore_errors=True)
            (fresh / "_build" / "html").rename(html)
            stamp.write_text(current)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return index


def explain(error: OSError, book: Path) -> str:
    """Return in words why the file system refused."""
    if error.errno == errno.ENOSPC:
        return f"No space left on the disk of {book}. The book needs about 50 MB: free some."
    return f"Cannot write the book: {error.strerror}: {error.filename}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("book", nargs="?", type=Path, default=REPOSITORY, help="folder of the book")
    book = parser.parse_args(arguments).book.resolve()
    if not (book / "_config.yml").is_file():
        print(f"There is no _config.yml in {book}.", file=sys.stderr)
        return 1
    try:
        index = build(book)
    except (BuildFailed, ValueError) as failure:
        print(failure, file=sys.stderr)
        return 1
    except OSError as error:
        print(explain(error, book), file=sys.stderr)
        return 1
    setting = "" if assignments.with_solutions() else "COURSE_SOLUTIONS=no "
    print(f"The book: {index}")
    if setting:
        print("It shows no solutions. A `make book` without that setting puts them back.")
    print(f"To read it in a browser: {setting}make serve")
    return 0


if __name__ == "__main__":
    sys.exit(main())
