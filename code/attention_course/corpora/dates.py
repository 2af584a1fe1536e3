"""Dates as people write them, to be turned into ISO dates: "Sunday, March 3, 2024" -> 2024-03-03.

The corpus is generated, so every pair is right, and the split is by *date*: no date of the test
set, in whatever format, occurs in training. This is not a nicety. In the public set that is
widely used for this task (45,000 training and 5,000 test pairs, split by row) 28.1 % of the test
inputs stand verbatim in the training set and 92.8 % of the test dates occur there: a model can
score by remembering. (Measured on the date file of the public repository of "Deep Learning from
Scratch 2".)

Formats that can be read in two ways are left out: 3/4/2024 is a day in March or in April, so
days and months in figures alone appear only when the day is above 12. Years span exactly one
century, 1950 to 2049, so that a year of two figures ('24) names one year only.
"""

from collections.abc import Callable
from datetime import date
from itertools import pairwise
from typing import NamedTuple

import numpy as np

FIRST, LAST = date(1950, 1, 1), date(2049, 12, 31)
# Spelled out: the names that `strftime` gives depend on the machine's language.
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class DatePair(NamedTuple):
    """A date as written, the same date in ISO form, and the name of its format in `FORMATS`."""

    source: str
    target: str
    format: str


class Dates(NamedTuple):
    """Three lists of pairs that share no date."""

    train: list[DatePair]
    validation: list[DatePair]
    test: list[DatePair]


def _month(day: date) -> str:
    return MONTHS[day.month - 1]


def _mon(day: date) -> str:
    return _month(day)[:3]


def _dotted(day: date) -> str:
    """Mar. with the dot of an abbreviation, which "May" does not take."""
    return _month(day) if day.month == 5 else _mon(day) + "."


def _weekday(day: date) -> str:
    return WEEKDAYS[day.weekday()]


def _ordinal(day: date) -> str:
    """1st, 2nd, 3rd, 4th, ..., 11th, 12th, 13th, ..., 21st, ..."""
    teen = 11 <= day.day <= 13
    return f"{day.day}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(day.day % 10, 'th')}"


#: Format name -> the way it writes a date.
FORMATS: dict[str, Callable[[date], str]] = {
    "day month year": lambda d: f"{d.day} {_month(d)} {d.year}",
    "month day, year": lambda d: f"{_month(d)} {d.day}, {d.year}",
    "day mon year": lambda d: f"{d.day} {_mon(d)} {d.year}",
    "mon. ordinal, year": lambda d: f"{_dotted(d)} {_ordinal(d)}, {d.year}",
    "month ordinal year": lambda d: f"{_month(d)} {_ordinal(d)} {d.year}",
    "ordinal month year": lambda d: f"{_ordinal(d)} {_month(d)} {d.year}",
    "the ordinal of month year": lambda d: f"the {_ordinal(d)} of {_month(d)} {d.year}",
    "weekday, month day, year": lambda d: f"{_weekday(d)}, {_month(d)} {d.day}, {d.year}",
    "weekday day month year": lambda d: f"{_weekday(d)} {d.day} {_month(d)} {d.year}",
    "wkd, day mon year": lambda d: f"{_weekday(d)[:3]}, {d.day} {_mon(d)} {d.year}",
    "year month day": lambda d: f"{d.year} {_month(d)} {d.day}",
    "dd-mon-year": lambda d: f"{d.day:02}-{_mon(d)}-{d.year}",
    "day month 'yy": lambda d: f"{d.day} {_month(d)} '{d.year % 100:02}",
    "mon day 'yy": lambda d: f"{_mon(d)} {d.day} '{d.year % 100:02}",
    "year/mm/dd": lambda d: f"{d.year}/{d.month:02}/{d.day:02}",
    "yearmmdd": lambda d: f"{d.year}{d.month:02}{d.day:02}",
    "day.month.year": lambda d: f"{d.day}.{d.month}.{d.year}",
    "dd/mm/year": lambda d: f"{d.day:02}/{d.month:02}/{d.year}",
    "mm/dd/year": lambda d: f"{d.month:02}/{d.day:02}/{d.year}",
}

#: The formats that are unambiguous only when the day cannot be a month.
DAY_ABOVE_12 = ("day.month.year", "dd/mm/year", "mm/dd/year")

_ALL = tuple(FORMATS)
_ANY_DAY = tuple(name for name in FORMATS if name not in DAY_ABOVE_12)

#: Ways to write the letters, and the share of the pairs that are written so.
CASES: dict[str, tuple[Callable[[str], str], float]] = {
    "as written": (str, 0.6),
    "lower": (str.lower, 0.25),
    "upper": (str.upper, 0.15),
}
_CHANGES = tuple(change for change, _ in CASES.values())


def formats_for(day: date) -> tuple[str, ...]:
    """Names of the formats in which this date can be read in one way only."""
    return _ALL if day.day > 12 else _ANY_DAY


def load_dates(
    seed: int = 0,
    pairs_per_date: int = 2,
    validation_share: float = 0.1,
    test_share: float = 0.1,
) -> Dates:
    """Every date from 1950 to 2049 in `pairs_per_date` different formats, split by date.

    No two pairs have the same source. The order of the pairs is random, and the whole corpus is
    the same for the same seed on every machine. With the default of two formats a date there are
    73,050 pairs. Raises ValueError for pairs_per_date outside 1 to 12 and for shares that are not
    positive or leave less than half of the dates for training.
    """
    if not 1 <= pairs_per_date <= 12:
        raise ValueError(f"pairs_per_date: got {pairs_per_date}, expected 1 to 12")
    if not (validation_share > 0 and test_share > 0 and validation_share + test_share <= 0.5):
        raise ValueError(
            f"validation_share, test_share: got {validation_share} and {test_share}, "
            "expected two positive shares of together at most 0.5"
        )
    # Only `random` is used: unlike `shuffle` or `choice`, the numbers it gives have stayed the
    # same through all versions of NumPy.
    rng = np.random.Generator(np.random.PCG64(seed))
    total = LAST.toordinal() - FIRST.toordinal() + 1
    order = rng.random(total).argsort(kind="stable")
    sizes = [round(total * share) for share in (validation_share, test_share)]
    cuts = [0, total - sum(sizes), total - sizes[1], total]
    parts = [order[start:end] for start, end in pairwise(cuts)]
    return Dates(*(_pairs(part, pairs_per_date, rng) for part in parts))


def _pairs(offsets: np.ndarray, pairs_per_date: int, rng: np.random.Generator) -> list[DatePair]:
    """Pairs of the dates that lie `offsets` (n,) days after FIRST, in random order."""
    ranks = rng.random((len(offsets), len(FORMATS))).argsort(axis=1, kind="stable").tolist()
    limits = np.cumsum([share for _, share in CASES.values()])
    draws = rng.random((len(offsets), pairs_per_date))
    cases = np.searchsorted(limits, draws, side="right").tolist()
    pairs: list[DatePair] = []
    for offset, rank, row in zip(offsets.tolist(), ranks, cases, strict=True):
        pairs += _pairs_of(date.fromordinal(FIRST.toordinal() + offset), rank, row)
    return [pairs[i] for i in rng.random(len(pairs)).argsort(kind="stable").tolist()]


def _pairs_of(day: date, rank: list[int], cases: list[int]) -> list[DatePair]:
    """One pair for each of `cases`, in the first formats of the order `rank` that fit the date.

    "3 May 2024" is both a long and a short form: a text that is there already is passed over.
    """
    allowed, iso = formats_for(day), day.isoformat()
    texts: dict[str, str] = {}
    for name in (_ALL[i] for i in rank):
        if name in allowed:
            texts.setdefault(FORMATS[name](day), name)
        if len(texts) == len(cases):
            break
    return [
        DatePair(_CHANGES[case](text), iso, name)
        for (text, name), case in zip(texts.items(), cases, strict=True)
    ]
