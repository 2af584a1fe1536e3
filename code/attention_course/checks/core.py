"""What every check is made of: call an answer, compare it, and say what is wrong in words.

A check tries an answer on small inputs, one property after the other, from the fundamental to the
subtle. The first property that does not hold is reported with the input, what was expected, what
came, and the mistake that usually does that.
"""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy

# NumPy as it was before any answer ran. An answer that replaces np.allclose changes nothing here.
np = SimpleNamespace(**vars(numpy))
_call = callable

Check = Callable[[Any, numpy.random.Generator], None]
EXERCISES: dict[str, Check] = {}


class CheckFailed(AssertionError):
    """An answer lacks a property. IPython shows the message alone, without a traceback."""

    def __init__(self, property: str, cause: str = "", **shown: str):
        super().__init__(property)
        self.exercise, self.property, self.cause, self.shown = "", property, cause, shown

    def __str__(self) -> str:
        lines = [f"✗ {self.exercise}: {self.property}"]
        for name, text in self.shown.items():
            lines.append(f"  {name:9} " + textwrap.indent(text, " " * 12).lstrip())
        if self.cause:
            told = f"What usually does that: {self.cause}."
            indents = {"initial_indent": "  ", "subsequent_indent": "  "}
            lines += textwrap.wrap(told, 96, break_on_hyphens=False, **indents)
        return "\n".join(lines)

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


def exercise(check: Check) -> Check:
    """Register a check under its own name, which is the name of the function to be written."""
    if check.__name__ in EXERCISES:
        raise ValueError(f"there are two checks called {check.__name__!r}")
    EXERCISES[check.__name__] = check
    return check


class Trial:
    """One call of an answer on small inputs: `Trial(answer, tokens=…, pad=0)`.

    The inputs are handed over by position, as copies, and must come back as they were. An answer
    that raises, or is still a stub, fails here, with a message.
    """

    def __init__(self, answer: Callable, /, **given: Any):
        self.given = given
        handed = copy.deepcopy(list(given.values()))
        try:
            self.result = answer(*handed)
        except CheckFailed:
            raise
        except NotImplementedError:
            told = "a stub: replace `raise NotImplementedError()` by code that returns the answer"
            raise CheckFailed("it is still to be written", got=told) from None
        except Exception as error:
            self.fail("it runs", "a result", f"{type(error).__name__}: {error}", "")
        for (name, before), after in zip(given.items(), handed, strict=True):
            if not unchanged(before, after):
                cause = f"an assignment into {name}, like `{name}[…] = …` or `{name} += …`"
                if np.shape(before) != np.shape(after):
                    cause = f"{name} was given another shape in place; use `{name}.reshape(…)`"
                self.fail("its inputs stay as they were", shown(before), shown(after), cause)

    def fail(self, property: str, expected: Any, got: Any, cause: str) -> None:
        """Raise CheckFailed with everything a reader needs."""
        given = "\n".join(
            f"{name} = " + textwrap.indent(shown(value), " " * (len(name) + 3)).lstrip()
            for name, value in self.given.items()
        )
        told = {"given": given} if given else {}
        told |= {"expected": shown(expected), "got": shown(got)}
        raise CheckFailed(property, cause, **told)

    def must(
        self, property: str, condition: bool, expected: Any, got: Any, cause: str = ""
    ) -> None:
        """Fail unless `condition`."""
        if not condition:
            self.fail(property, expected, got, cause)

    def output(self, name: str = "the result") -> Output:
        """The result as one array."""
        return Output(self, name, self.result)

    def outputs(self, *names: str) -> list[Output]:
        """The result as a tuple of arrays with these names."""
        count = len(names)
        right = isinstance(self.result, (tuple, list)) and len(self.result) == count
        told = ", ".join(names)
        if not right:
            kind = type(self.result).__name__
            self.fail(f"it returns {count} things", told, kind, f"no `return {told}`")
        return [Output(self, *pair) for pair in zip(names, self.result, strict=True)]


class Output:
    """One array that an answer has returned."""

    def __init__(self, trial: Trial, name: str, value: Any):
        self.trial, self.name = trial, name
        if value is None:
            trial.fail("it returns something", name, None, "no `return` at the end")
        try:
            self.value = np.asarray(value)
            numeric = self.value.dtype.kind in "biuf"
        except ValueError:
            numeric = False
        if not numeric:
            trial.fail(f"{name} is an array of numbers", "an array", value, "")

    def shape(self, axes: str, expected: Sequence[int], causes: Mapping[tuple, str] = {}) -> None:
        """The shape must be `expected`, called `axes`; `causes`: wrong shape → what does that."""
        got = self.value.shape
        cause = causes.get(got, "")
        expected = tuple(expected)
        told = f"{axes} = {expected}"
        self.trial.must(f"{self.name} has the shape {axes}", got == expected, told, got, cause)

    def equals(
        self,
        property: str,
        expected: Any,
        mistakes: Mapping[str, Any] = {},
        cause: str = "",
        tolerance: float = 1e-9,
    ) -> None:
        """The values must be `expected`. `mistakes`: what was done wrong → what comes out then."""
        if close(self.value, expected, tolerance):
            return
        for mistake, wrong in mistakes.items():
            if close(self.value, wrong, tolerance):
                cause = mistake
                break
        self.trial.fail(property, expected, self.value, cause)


def close(got: Any, expected: Any, tolerance: float = 1e-9) -> bool:
    """Same shape and, within `tolerance` (relative to numbers above 1), same values."""
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape:
        return False
    return bool(np.allclose(got, expected, rtol=tolerance, atol=tolerance))


def unchanged(before: Any, after: Any) -> bool:
    """Whether an input is what it was, containers of arrays included."""
    if isinstance(before, Mapping):
        same = before.keys() == after.keys()
        return same and all(unchanged(value, after[name]) for name, value in before.items())
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(unchanged, before, after))
    if isinstance(before, numpy.ndarray):
        return bool(np.array_equal(before, after, equal_nan=before.dtype.kind == "f"))
    return True


def shown(value: Any) -> str:
    """A value for a message: arrays rounded, and shortened when they are large."""
    if isinstance(value, str):
        return value
    if isinstance(value, (numpy.ndarray, numpy.generic)):
        if value.ndim > 3 and value.size > 120:
            first = ", ".join(["0"] * (value.ndim - 2))
            return f"{shown(value[(0,) * (value.ndim - 2)])}  [{first}] of shape {value.shape}"
        text = np.array2string(value, precision=4, suppress_small=True, threshold=120, edgeitems=3)
        return text if value.ndim < 3 else f"{text}  shape {value.shape}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name!r}: {shown(each)}" for name, each in value.items()) + "}"
    if _call(value):
        return getattr(value, "__name__", type(value).__name__)
    return textwrap.shorten(repr(value), 300, placeholder=" …")


def slope(function: Callable[[numpy.ndarray], float], at: numpy.ndarray) -> numpy.ndarray:
    """The gradient of a function with one number as its value, by central differences (float64)."""
    gradient, step = np.zeros_like(at), 1e-6
    for place in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[place] += step
        down[place] -= step
        gradient[place] = (function(up) - function(down)) / (2 * step)
    return gradient
