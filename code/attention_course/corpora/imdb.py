"""IMDb: 50,000 film reviews, half of them for the film and half against it.

Large Movie Review Dataset (Maas et al., "Learning Word Vectors for Sentiment Analysis", 2011). The
split is the authors': no film occurs in both parts. For the terms see `downloads`.
"""

import gzip
import re
import tarfile
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from attention_course.corpora.downloads import DataError, load, text_lines

FILE = "aclImdb_v1.tar.gz"
URL = f"https://ai.stanford.edu/~amaas/data/sentiment/{FILE}"
HASH = "md5:7c2ac02c03563afcf9b574c7e56c153a"
#: Reviews of each label in each of the two parts.
SIZE = 12_500
LABELS = {"neg": 0, "pos": 1}

_MEMBER = re.compile(r"aclImdb/(train|test)/(neg|pos)/(\d+)_(\d+)\.txt")


class Review(NamedTuple):
    """What somebody wrote, `<br />` included, and 1 for 7 to 10 stars, 0 for 1 to 4."""

    text: str
    label: int


class Imdb(NamedTuple):
    """25,000 reviews each, the negative ones first: shuffle before you train."""

    train: list[Review]
    test: list[Review]


def load_imdb() -> Imdb:
    """The labelled reviews, sorted by label, then number.

    Fetches 84 MB at the first call (`downloads.load`), and reads the archive without unpacking
    it: no name in it ever becomes a path. Raises DataError for an archive that cannot be had or is
    not the published one.
    """
    return load(FILE, URL, _read, HASH)


def _read(path: Path) -> Imdb:
    reviews: dict[tuple[str, int, int], str] = {}
    # "r|" reads once from front to back: seeking back in a gzip stream would start it anew.
    with gzip.open(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in tqdm(archive, desc=FILE, unit=" files"):
            found = _MEMBER.fullmatch(member.name)
            if found and member.isfile():
                part, label, number, _ = found.groups()
                reviews[part, LABELS[label], int(number)] = _text(archive, member)
    return Imdb(_part(reviews, "train"), _part(reviews, "test"))


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    try:
        return "\n".join(text_lines(archive.extractfile(member).read()))
    except DataError as error:
        raise DataError(f"{member.name}, {error}") from None


def _part(reviews: dict[tuple[str, int, int], str], part: str) -> list[Review]:
    for name, label in LABELS.items():
        count = sum(key[:2] == (part, label) for key in reviews)
        if count != SIZE:
            raise DataError(f"{count} reviews in {part}/{name}, expected {SIZE}")
    return [Review(reviews[key], key[1]) for key in sorted(reviews) if key[0] == part]
