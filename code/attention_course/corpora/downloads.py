"""Corpora from their public homes, or from a folder of yours: checked, cached, never half a file.

The course ships none of them. Who fetches one gets it from its home, under that home's terms:

- Multi30k (Elliott et al. 2016; French: Elliott et al. 2017): translations of image captions from
  Flickr30k. The repository names no licence for the text; it asks to cite the papers.
- Tatoeba pairs of manythings.org: CC BY 2.0 FR. Who passes a pair on must name its authors, who
  stand in its third column.
- Large Movie Review Dataset (Maas et al. 2011): no licence given; the reviews belong to those who
  wrote them on IMDb, the authors ask to cite the paper.

With the environment variable ATTENTION_COURSE_DATA=folder nothing is fetched: the files are looked
for in that folder. Otherwise they are kept in `pooch.os_cache("attention-course")`.
"""

import errno
import gzip
import hashlib
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

VARIABLE = "ATTENTION_COURSE_DATA"
# manythings.org answers 406 to clients that do not look like a browser.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

# What the standard library raises while it reads a damaged gzip, zip or tar file.
_BROKEN = (
    *(EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError),
    *(zipfile.BadZipFile, NotImplementedError),
)
_STATUS = {
    403: "the server refuses to give it to this program or this network",
    404: "the server has no such file (any more)",
    406: "the server refuses to give it to this program",
    429: "the server wants fewer requests",
}


class DataError(RuntimeError):
    """A corpus is not there, or not what it should be; the text says where, what and what to do."""


class LanguageError(DataError, ValueError):
    """A language that the corpus does not have; the text lists those it has."""


def load(
    file: str,
    url: str,
    read: Callable[[Path], T],
    known_hash: str | None = None,
    alternatives: Sequence[str] = (),
) -> T:
    """What `read` makes of the file, which is fetched once and then found in the cache.

    file: where it lies below the cache folder, or below ATTENTION_COURSE_DATA; `alternatives` are
    other places below the latter, for instance of the same file unpacked. known_hash: SHA-256, or
    "md5:...". read: raises DataError with the bare finding ("line 3: ..."); file and remedy are
    added here. A file reaches the cache only after its hash was compared and `read` has read it.

    Raises DataError for whatever keeps the content from being there and right.
    """
    if known_hash:
        known_hash = (known_hash if ":" in known_hash else f"sha256:{known_hash}").lower()
    folder = os.environ.get(VARIABLE)
    if folder:
        path = _find(Path(folder), (file, *alternatives), url)
        remedy = f"Replace it by a good copy of {url}, or unset {VARIABLE} to have it fetched."
    else:
        path = _retrieve(file, url, read, known_hash)
        remedy = f"Delete it and run this again: it is then fetched anew. {_offline(file, url)}"
    return _checked(path, str(path), read, known_hash, remedy)


def cache_folder() -> Path:
    """Where fetched files are kept; it need not exist yet."""
    import pooch

    return Path(pooch.os_cache("attention-course"))


def text_lines(content: bytes) -> list[str]:
    """Lines of UTF-8 text, without their ends; raises DataError, naming the line, for other bytes.

    Only line feeds end a line (and carriage returns before them), not the further characters of
    `str.splitlines`, which occur inside sentences.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise DataError(f"line {line}: byte {byte:#04x} is not UTF-8, expected UTF-8") from None
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _find(folder: Path, places: Sequence[str], url: str) -> Path:
    for place in places:
        if (folder / place).is_file():
            return folder / place
    raise DataError(
        f"{folder} ({VARIABLE}): found none of {', '.join(places)}.\n"
        f"Put the file there (from {url}), or unset {VARIABLE} to have it fetched."
    )


def _offline(file: str, url: str) -> str:
    return (
        f"Without network: fetch {url} elsewhere, put it into a folder as {file} and set "
        f"{VARIABLE} to that folder."
    )


def _retrieve(file: str, url: str, read: Callable[[Path], T], known_hash: str | None) -> Path:
    """Path of the file in the cache, fetched if need be; pooch removes what it cannot finish."""
    import pooch  # here: who has the files in a folder needs neither of them
    import requests

    remedy = f"Nothing was kept. Try again later. {_offline(file, url)}"

    def download(url: str, temporary: str, _: object) -> None:
        _stream(file, url, temporary)
        _checked(Path(temporary), url, read, known_hash, remedy)

    place = cache_folder() / file
    try:
        return Path(pooch.retrieve(url, known_hash, place.name, place.parent, downloader=download))
    except requests.RequestException as error:  # before OSError, which it is too
        # The forty lines of urllib3 that led here would hide what to do.
        raise DataError(f"{url}: {_network(error)}.\n{remedy}") from None
    except OSError as error:
        raise DataError(f"{place}: {_disk(error)}.\n{remedy}") from None


def _stream(file: str, url: str, path: str) -> None:
    import pooch
    from tqdm import tqdm

    # On stderr. A bar without a total has no truth value, and pooch asks for it before it sets one.
    with tqdm(desc=file, total=1, unit="B", unit_scale=True) as bar:
        headers = {"User-Agent": USER_AGENT}
        fetch = pooch.HTTPDownloader(progressbar=bar, chunk_size=2**16, headers=headers)
        fetch(url, path, None)


def _network(error: BaseException) -> str:
    import requests

    if isinstance(error, requests.HTTPError):
        status = error.response.status_code
        why = "the server has a problem" if status >= 500 else "the server refuses"
        return f"HTTP {status}: {_STATUS.get(status, why)}"
    problems = requests.exceptions
    if isinstance(error, (problems.ChunkedEncodingError, problems.ContentDecodingError)):
        return "the connection broke off before the file was complete"
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    reason = error
    while reason.__context__ is not None:  # down to "Connection refused", "Name ... not known"
        reason = reason.__context__
    return f"the server cannot be reached, or stopped answering ({reason})"


def _disk(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; free some space"
    return f"cannot be written or read ({error.strerror or error})"


def _checked(
    path: Path, where: str, read: Callable[[Path], T], known_hash: str | None, remedy: str
) -> T:
    """What `read` makes of the file at `path`, which errors call `where`."""
    try:
        _reject_page(path)
        found = file_hash(path, known_hash or "sha256")
        # Read even if the hash is wrong: "ends too early" tells more than two hashes.
        content = read(path)
        if known_hash and found != known_hash:
            raise DataError(f"its hash is {found}, expected {known_hash}: changed or damaged")
        return content
    except DataError as error:
        raise DataError(f"{where}: {error}.\n{remedy}") from None
    except _BROKEN as error:
        raise DataError(f"{where}: truncated or damaged ({error}).\n{remedy}") from None
    except OSError as error:
        raise DataError(f"{where}: {_disk(error)}.\n{remedy}") from None


def _reject_page(path: Path) -> None:
    with open(path, "rb") as file:
        start = file.read(512).lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        raise DataError("an HTML page, not the file (a proxy or a login page may have answered)")


def file_hash(path: Path, algorithm: str = "sha256") -> str:
    """Hash of a file, as "sha256:..."; the algorithm may be given by such a hash."""
    algorithm = algorithm.partition(":")[0]
    with open(path, "rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
