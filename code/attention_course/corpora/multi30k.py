"""Multi30k: 31,014 captions of photographs in English, German and French.

Task 1, raw text, with the test set of 2016 (Elliott et al., "Multi30K: Multilingual English-German
Image Descriptions", 2016; French: Elliott et al., "Findings of the Second Shared Task on Multimodal
Machine Translation and Multilingual Image Description", 2017). For the terms see `downloads`.
"""

import gzip
from pathlib import Path
from typing import NamedTuple

from attention_course.corpora.downloads import DataError, LanguageError, load, text_lines

COMMIT = "a3d2e0d26b56f3846f66a952536ffed4e401d05a"
URL = f"https://raw.githubusercontent.com/multi30k/dataset/{COMMIT}/data/task1/raw"
LANGUAGES = {"en": "English", "de": "German", "fr": "French"}
#: File name of a split -> its number of sentences.
SIZES = {"train": 29_000, "val": 1_014, "test_2016_flickr": 1_000}
SHA256 = {
    "train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "train.de.gz": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "train.fr.gz": "622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c",
    "val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "val.de.gz": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "val.fr.gz": "ca3106f1a72390591d25f6c45cb4cd39dec4cd3f123e099748a3ce5256c160e9",
    "test_2016_flickr.en.gz": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    "test_2016_flickr.de.gz": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
    "test_2016_flickr.fr.gz": "6d326e188d259fb1d04ac19eae3af956559b3a0b93d7635e56c90987c40c8b90",
}


class Multi30k(NamedTuple):
    """(source, target) sentences: 29,000 for training, 1,014 for validation, 1,000 for the test."""

    train: list[tuple[str, str]]
    validation: list[tuple[str, str]]
    test: list[tuple[str, str]]


def load_multi30k(source: str = "en", target: str = "fr") -> Multi30k:
    """The three splits as published, in their order; languages "en", "de" and "fr".

    Fetches six files, 1.3 MB, at the first call (`downloads.load`). Raises LanguageError for
    another language and DataError for files that cannot be had or are not what was pinned.
    """
    for name, language in (("source", source), ("target", target)):
        if language not in LANGUAGES:
            known = ", ".join(f"{code} ({word})" for code, word in LANGUAGES.items())
            raise LanguageError(f"{name}: got {language!r}, expected one of {known}")
    return Multi30k(*(_pairs(split, source, target) for split in SIZES))


def _pairs(split: str, source: str, target: str) -> list[tuple[str, str]]:
    sides = [_sentences(f"{split}.{language}.gz", split) for language in (source, target)]
    return list(zip(*sides, strict=True))


def _sentences(name: str, split: str) -> list[str]:
    def read(path: Path) -> list[str]:
        with gzip.open(path) as file:
            lines = text_lines(file.read())
        # Both sides have the number of lines that the split has, so they have the same.
        if len(lines) != SIZES[split]:
            raise DataError(f"{len(lines)} lines, expected {SIZES[split]}, as in every language")
        return lines

    return load(f"multi30k/{name}", f"{URL}/{name}", read, f"sha256:{SHA256[name]}", (name,))
