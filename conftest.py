"""How all checks run, and how nbval compares a notebook with its stored outputs.

This file lies at the root, because it must hold for `chapters/` as well as for `tests/`.

Text and whole numbers must be equal. Numbers with a decimal point may differ by 1 in 1,000, or by
one unit in their last printed place where that place is the fourth decimal or beyond. That is what
other processors make of the same computation; a changed result is more. Not compared: pictures,
HTML (the plain text beside it is) and stderr (progress bars, warnings).
"""

from __future__ import annotations

import os
import re

import pytest

# One thread each: `make test` runs two processes side by side. Set before any framework is loaded.
for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

RELATIVE = 1e-3
ABSOLUTE = 1e-6  # what rounding leaves of an exact zero
NOT_COMPARED = ("stderr", "text/html", "image/svg+xml")
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?(?![\w]|\.\d)")


def is_whole(number: str) -> bool:
    return not any(mark in number for mark in ".eE")


def last_place(number: str) -> float:
    """The value of one unit in the last printed place of `number`: 0.0001 for '0.7071'."""
    mantissa, _, exponent = number.lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - decimals) if decimals >= 4 else 0.0


def same_number(stored: str, computed: str) -> bool:
    """Whether `computed` may stand for `stored`."""
    if stored == computed:
        return True
    if is_whole(stored) or is_whole(computed):
        return False
    a, b = float(stored), float(computed)
    allowed = max(RELATIVE * max(abs(a), abs(b)), 1.01 * last_place(stored), ABSOLUTE)
    return abs(a - b) <= allowed


def split_numbers(text: str) -> tuple[str, list[str]]:
    """`text` with every number replaced, blanks evened out (their count follows the numbers'
    width), and the numbers."""
    frame = re.sub(r"\s+", " ", NUMBER.sub("#", text)).strip()
    return re.sub(r" ?([\[\](),]) ?", r"\1", frame), NUMBER.findall(text)


def same_output(stored: str, computed: str) -> bool:
    """Whether two text outputs say the same, up to the tolerance for numbers."""
    frame, numbers = split_numbers(stored)
    other_frame, other_numbers = split_numbers(computed)
    if frame != other_frame or len(numbers) != len(other_numbers):
        return False
    return all(map(same_number, numbers, other_numbers))


class Output(str):
    """A text output that equals another one within the tolerance."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and (str.__eq__(self, other) or same_output(self, other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Tells nbval what not to compare."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += NOT_COMPARED


def pytest_itemcollected(item: pytest.Item) -> None:
    """Lets nbval compare through Output. `sanitize` is the step all its texts pass through."""
    sanitize = getattr(item, "sanitize", None)
    if sanitize is not None:
        item.sanitize = lambda text: Output(sanitize(text)) if isinstance(text, str) else text
