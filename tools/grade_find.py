"""Finds the submissions in a folder or in a zip file of a learning platform.

Nothing is unpacked: notebooks are read where they are, also inside one more zip file a student, so
no name in an archive can reach the disk. What cannot be graded is found too, with the reason.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
import unicodedata
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

MEGABYTE = 1_000_000
NOTEBOOK_BYTES = 50 * MEGABYTE
ZIP_BYTES = 500 * MEGABYTE  # of a zip file inside another one
ALL_BYTES = 5_000 * MEGABYTE  # that are unpacked in all
ENTRIES = 50_000  # in one zip file
DEPTH = 3  # a zip file in a zip file in a zip file
SKIPPED = ("__MACOSX", "__pycache__")

MOODLE = re.compile(r"(?P<name>.+?)_(?P<account>\d+)_assignsubmission_(?:file|onlinetext)(?:_.*)?")
CANVAS = re.compile(r"(?P<name>[^_]+)(?:_LATE)?_(?P<account>\d+)_\d{3,}_.+")


Parts = tuple[str, ...]  # of a path


class FindError(Exception):
    """Something the instructor can act on; the text says what."""


class Cell(NamedTuple):
    """A code cell of a student: the `grade_id` of its metadata ("" if none), and its text."""

    grade_id: str
    source: str


class Submission(NamedTuple):
    """One notebook of one student, or the reason why there is none to grade."""

    student: str
    account: str  # the platform's number, or the section; tells two students of one name apart
    file: str  # where it is, below the folder or zip file
    digest: str
    cells: tuple[Cell, ...]
    reason: str


class _Entry(NamedTuple):
    """A file; or a folder, which has no `read`; or a file that cannot be opened, for a `reason`."""

    parts: tuple[str, ...]
    size: int
    read: Callable[[int], bytes] | None  # at most so many bytes
    reason: str = ""


class _Unreadable(Exception):
    """A file that cannot be read; the text says why."""


def find(place: Path) -> list[Submission]:
    """All submissions of a folder or zip file, in the order of their names.

    Where a platform has named files or folders, its names count. Otherwise what lies directly in
    `place`, a folder or a file, is a student; but a folder with several folders that have notebooks
    in them is a section, and each of those a student.

    Raises:
        FindError: when `place` is neither.
    """
    if not place.exists():
        raise FindError(f"There is no folder or zip file called {str(place)!r}.")
    if place.is_dir():
        entries = _in_folder(place)
    elif zipfile.is_zipfile(place):
        entries = _in_archive(place)
    else:
        raise FindError(f"{str(place)!r} is neither a folder nor a zip file.")
    notebooks: list[tuple[Parts, tuple[str, tuple[Cell, ...], str]]] = []
    others: list[tuple[Parts, bool]] = []  # and whether it is a file
    for entry in _unpacked(entries, [ALL_BYTES]):
        if entry.reason:
            notebooks.append((entry.parts, ("", (), entry.reason)))
        elif entry.read is not None and entry.parts[-1].lower().endswith(".ipynb"):
            notebooks.append((entry.parts, _notebook(entry)))
        else:
            others.append((entry.parts, entry.read is not None))
    within = sections([parts for parts, _ in notebooks])
    found = [
        Submission(*owner(parts, within), "/".join(parts), *contents)
        for parts, contents in notebooks
    ]
    empty = _without_notebook(others, within)
    owners = {(each.student, each.account) for each in found}
    for (student, account), names in sorted(empty.items()):
        if (student, account) not in owners:
            told = f"no notebook (only {', '.join(names[:3])})" if names else "no notebook"
            found.append(Submission(student, account, "", "", (), told))
    return _told_apart(sorted(found, key=lambda each: (each.student, each.account, each.file)))


def _without_notebook(
    others: list[tuple[Parts, bool]], within: frozenset[str]
) -> dict[tuple[str, str], list[str]]:
    """Every student of whom a folder or a file other than a notebook is seen → those files."""
    seen: dict[tuple[str, str], list[str]] = defaultdict(list)
    for parts, is_file in others:
        loose = len(parts) == (2 if parts[0] in within else 1)  # not in a student's folder
        above = parts[0] in within and len(parts) == 1
        if _platform(parts) or not (above or (loose and is_file)):
            names = seen[owner(parts, within)]
            if is_file and not parts[-1].lower().endswith(".zip"):
                names.append(parts[-1])
    return seen


def owner(parts: Parts, within: frozenset[str] = frozenset()) -> tuple[str, str]:
    """A student's name, and number where a platform gave one (or the section, for those `within`
    one), from the path of a file."""
    if found := _platform(parts):
        return found["name"].strip(), found["account"]
    section = parts[0] if parts[0] in within and len(parts) > 1 else ""
    name = re.sub(r"(?i)\.(zip|ipynb)$", "", parts[1] if section else parts[0])
    return name.strip() or "unnamed", section


def _platform(parts: Parts) -> re.Match[str] | None:
    """What a platform's name of a file or folder says."""
    found = (pattern.fullmatch(part) for pattern in (MOODLE, CANVAS) for part in parts)
    return next(filter(None, found), None)


def sections(notebooks: Iterable[Parts]) -> frozenset[str]:
    """The folders that hold several folders with notebooks in them, or what a platform has named:
    not one student's, but several students'. Folders called alike in every student's folder
    (week1, week2) make no section."""
    below: dict[str, set[str]] = defaultdict(set)
    named = {each[0] for each in notebooks if _platform(each) and not _platform(each[:1])}
    for parts in notebooks:
        if not _platform(parts) and len(parts) > 2 and not parts[0].lower().endswith(".zip"):
            below[parts[0]].add(parts[1])
    count = Counter(name for names in below.values() for name in names)
    several = {folder for folder, names in below.items() if len(names) > 1}
    return frozenset(
        {folder for folder in several if any(count[name] == 1 for name in below[folder])} | named
    )


def _told_apart(found: list[Submission]) -> list[Submission]:
    """Students of one name get their numbers behind it."""
    names = Counter(name for name, _ in {(each.student, each.account) for each in found})
    return [
        each._replace(student=f"{each.student} ({each.account})")
        if names[each.student] > 1 and each.account
        else each
        for each in found
    ]


# --- Folders and zip files ----------------------------------------------------


def _in_folder(root: Path) -> Iterator[_Entry]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not _skipped(name))
        above = Path(folder).relative_to(root).parts
        for name in names:
            yield _Entry(_clean((*above, name)), 0, None)
        for name in sorted(name for name in files if not _skipped(name)):
            path = Path(folder) / name
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):  # no links to somewhere else, no pipes
                yield _Entry(_clean((*above, name)), status.st_size, _reader(path))


def _reader(path: Path) -> Callable[[int], bytes]:
    def read(limit: int) -> bytes:
        try:
            with path.open("rb") as file:
                return file.read(limit)
        except OSError as error:
            raise _Unreadable(f"the file cannot be read: {error.strerror}") from None

    return read


def _in_archive(place: Path) -> Iterator[_Entry]:
    """The entries of a platform's zip file, without the one folder that often holds them all."""
    try:
        entries = list(_in_zip(zipfile.ZipFile(place)))
    except _Unreadable as error:
        raise FindError(f"{str(place)!r}: {error}.") from None
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        raise FindError(f"The zip file {str(place)!r} is damaged.") from None
    tops = {entry.parts[0] for entry in entries}
    below = {entry.parts[1] for entry in entries if len(entry.parts) > 1}
    if len(tops) == 1 and len(below) > 1 and not MOODLE.fullmatch(min(tops)):
        entries = [entry._replace(parts=entry.parts[1:]) for entry in entries if entry.parts[1:]]
    yield from entries


def _in_zip(archive: zipfile.ZipFile) -> Iterator[_Entry]:
    infos = archive.infolist()
    if len(infos) > ENTRIES:
        raise _Unreadable(f"the zip file has more than {ENTRIES:,} entries")
    for info in sorted(infos, key=lambda each: each.filename):
        parts = _clean(tuple(re.split(r"[/\\]", _name(info))))
        if parts and not any(map(_skipped, parts)):
            read = None if info.is_dir() else _member(archive, info)
            yield _Entry(parts, info.file_size, read)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[int], bytes]:
    def read(limit: int) -> bytes:
        if info.flag_bits & 1:
            raise _Unreadable("it lies in a zip file with a password")
        try:
            with archive.open(info) as file:
                return file.read(limit)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError):
            raise _Unreadable("it lies in a zip file that is damaged") from None

    return read


def _name(info: zipfile.ZipInfo) -> str:
    """The name of an entry. Without the mark for UTF-8, Python takes it for a DOS name."""
    if info.flag_bits & 0x800:
        return info.filename
    for encoding in ("utf-8", "cp949"):
        try:
            return info.filename.encode("cp437").decode(encoding)
        except UnicodeError:
            continue
    return info.filename


def _clean(parts: tuple[str, ...]) -> tuple[str, ...]:
    """A path without "..", empty parts and characters that no name needs; hangul composed."""
    parts = tuple(unicodedata.normalize("NFC", _printable(part)) for part in parts)
    return tuple(part for part in parts if part.strip() not in ("", ".", ".."))


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())


def _skipped(name: str) -> bool:
    return name.startswith(".") or name in SKIPPED


def _unpacked(entries: Iterator[_Entry], left: list[int], depth: int = 1) -> Iterator[_Entry]:
    """The entries, and those of zip files among them. `left`: bytes that may still be unpacked."""
    for entry in entries:
        yield entry
        if entry.read is None or not entry.parts[-1].lower().endswith(".zip"):
            continue
        try:
            if depth >= DEPTH:
                raise _Unreadable(f"zip files are nested more than {DEPTH} deep")
            data = _whole(entry, min(ZIP_BYTES, left[0]), "the zip file")
            left[0] -= len(data)
            inner = list(_in_zip(zipfile.ZipFile(io.BytesIO(data))))
        except _Unreadable as error:
            yield entry._replace(reason=str(error))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            yield entry._replace(reason="the zip file is damaged")
        else:
            placed = (each._replace(parts=entry.parts + each.parts) for each in inner)
            yield from _unpacked(placed, left, depth + 1)


def _whole(entry: _Entry, limit: int, what: str) -> bytes:
    """All bytes of a file that has no more than `limit`."""
    data = b"" if entry.size > limit or entry.read is None else entry.read(limit + 1)
    if entry.size > limit or len(data) > limit:
        raise _Unreadable(f"{what} is larger than {limit // MEGABYTE} MB")
    return data


# --- Notebooks ----------------------------------------------------------------


def _notebook(entry: _Entry) -> tuple[str, tuple[Cell, ...], str]:
    """The digest and the code cells of a notebook, and the reason if it has none."""
    try:
        data = _whole(entry, NOTEBOOK_BYTES, "the notebook")
    except _Unreadable as error:
        return "", (), str(error)
    digest = hashlib.sha256(data).hexdigest()
    if not data.strip():
        return digest, (), "the file is empty"
    try:
        notebook = json.loads(data)
    except (ValueError, RecursionError):
        return digest, (), "not a notebook: the file is not JSON"
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        return digest, (), "not a notebook: the JSON has no cells"
    return digest, tuple(map(_cell, filter(_is_code, cells))), ""


def _is_code(cell: Any) -> bool:
    return isinstance(cell, dict) and cell.get("cell_type") == "code"


def _cell(cell: dict) -> Cell:
    metadata = cell.get("metadata")
    marks = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = marks.get("grade_id") if isinstance(marks, dict) else None
    source = cell.get("source", "")
    lines = source if isinstance(source, list) else [source]
    text = "".join(line for line in lines if isinstance(line, str))
    return Cell(str(grade_id or ""), text.replace("\r\n", "\n"))
