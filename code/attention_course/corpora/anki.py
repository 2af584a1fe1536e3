"""Sentence pairs of Tatoeba as manythings.org packs them for Anki: `fra-eng.zip` and its likes.

Terms: CC BY 2.0 FR. The third column names the authors of a pair; it goes where the pair goes.
"""

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from attention_course.corpora.downloads import (
    DataError,
    LanguageError,
    file_hash,
    load,
    text_lines,
)

URL = "https://www.manythings.org/anki"
LANGUAGES = {
    **{"ara": "Arabic", "bul": "Bulgarian", "ces": "Czech", "cmn": "Mandarin", "dan": "Danish"},
    **{"deu": "German", "ell": "Greek", "fin": "Finnish", "fra": "French", "heb": "Hebrew"},
    **{"hin": "Hindi", "hun": "Hungarian", "ita": "Italian", "jpn": "Japanese", "kor": "Korean"},
    **{"nld": "Dutch", "pol": "Polish", "por": "Portuguese", "ron": "Romanian", "rus": "Russian"},
    **{"spa": "Spanish", "swe": "Swedish", "tur": "Turkish", "ukr": "Ukrainian"},
}

P = TypeVar("P", bound=Sequence[str])


class AnkiPair(NamedTuple):
    """An English sentence, a translation, and who wrote them (CC BY asks that they be named)."""

    english: str
    other: str
    attribution: str


class Anki(NamedTuple):
    """All pairs, in the order of the file (short sentences first), and the hash of that file."""

    pairs: list[AnkiPair]
    hash: str


def load_anki(language: str, known_hash: str | None = None) -> Anki:
    """The pairs of English and `language`, one of `LANGUAGES`, such as "fra", "spa" or "kor".

    The file changes with Tatoeba and has no lasting hash. Keep `Anki.hash` with your results; given
    as `known_hash` it makes sure of the same pairs. One English sentence often has several rows:
    split with `split_by_source`.

    Raises LanguageError for a language not listed and DataError for a file that cannot be had, has
    another hash, is no zip, or has a line without three columns (`downloads.load`).
    """
    if language not in LANGUAGES:
        known = ", ".join(f"{code} ({name})" for code, name in LANGUAGES.items())
        raise LanguageError(f"language: got {language!r}, expected one of {known}")
    file, text = f"{language}-eng.zip", f"{language}.txt"
    unpacked = (f"{language}-eng/{text}", text)
    return load(file, f"{URL}/{file}", lambda path: _read(path, text), known_hash, unpacked)


def _read(path: Path, name: str) -> Anki:
    # By its name, not its content: a broken zip must not be read as text. A file on its way into
    # the cache, which is always a zip, has no ending.
    content = path.read_bytes() if path.suffix == ".txt" else _unzipped(path, name)
    pairs = [_pair(number, line) for number, line in enumerate(text_lines(content), 1)]
    if not pairs:
        raise DataError(f"{name} is empty, expected sentence pairs")
    return Anki(pairs, file_hash(path))


def _unzipped(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        if name not in archive.namelist():
            raise DataError(f"holds {', '.join(archive.namelist())}, expected {name} among them")
        return archive.read(name)


def _pair(number: int, line: str) -> AnkiPair:
    columns = line.split("\t")
    if len(columns) != 3:
        raise DataError(
            f"line {number}: {len(columns)} column{'s' * (len(columns) > 1)}, expected 3 "
            "(English, translation, attribution), separated by tabs"
        )
    return AnkiPair(*columns)


def split_by_source(
    pairs: Sequence[P],
    seed: int = 0,
    validation_share: float = 0.1,
    test_share: float = 0.1,
    source: int = 0,
) -> tuple[list[P], list[P], list[P]]:
    """(train, validation, test) of pairs that share no source sentence, which is column `source`.

    A split by row would put the same English sentence, with another translation, on both sides.
    A hash of the sentence (and the seed) decides, so a sentence stays in its part when the file
    grows or changes its order. The shares therefore hold on average only. Raises ValueError for
    shares below 0 or that leave nothing to train on.
    """
    if min(validation_share, test_share) < 0 or validation_share + test_share >= 1:
        raise ValueError(
            f"validation_share, test_share: got {validation_share} and {test_share}, "
            "expected 0 or more each and less than 1 in all"
        )
    train: list[P] = []
    validation: list[P] = []
    test: list[P] = []
    for pair in pairs:
        draw = _uniform(pair[source], seed)
        held_out = test if draw < test_share else validation
        (held_out if draw < test_share + validation_share else train).append(pair)
    return train, validation, test


def _uniform(text: str, seed: int) -> float:
    """A number in [0, 1) that only the text and the seed decide."""
    digest = hashlib.sha256(f"{seed} {text}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
