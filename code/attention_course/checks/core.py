"""What every check is made of: call an answer, compare it, and say what is wrong in words.

A check tries an answer on small inputs, one property after the other, from the fundamental to the
subtle. The first property that does not hold is reported with the input, what was expected, what
came, and the mistake that usually does that.
"""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy

# NumPy as it was before any answer ran. An answer that replaces np.allclose changes nothing here.
np = SimpleNamespace(**vars(numpy))
_call = callable

Array = numpy.ndarray
Check = Callable[[Any, numpy.random.Generator], None]
EXERCISES: dict[str, Check] = {}
# What was done wrong → what comes out then; in pairs where a mistake has several outcomes.
Mistakes = Mapping[str, Any] | Iterable[tuple[str, Any]]
# Far above what rounding does, also in another order of sums; far below what a mistake does.
TOLERANCE = 1e-6


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
    that raises, or is still a stub, fails here, with a message. NumPy's warnings are not shown: a
    check says what is wrong, if anything is.
    """

    def __init__(self, answer: Callable, /, **given: Any):
        self.given = given
        handed = copy.deepcopy(list(given.values()))
        try:
            with np.errstate(all="ignore"):
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

    def must(self, property: str, condition: Any, expected: Any, got: Any, cause: str = "") -> None:
        """Fail unless `condition` is true."""
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


class Shared:
    """What a Trial hands over as it is, not as a copy: it notes how it is called."""

    def __deepcopy__(self, memo: dict) -> Shared:
        return self


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
        mistakes: Mistakes = (),
        cause: str = "",
        tolerance: float = TOLERANCE,
    ) -> None:
        """The values must be `expected`. If they are not, `cause` is told, or one of `mistakes`."""
        if not close(self.value, expected, tolerance):
            cause = named(self.value, mistakes, cause, tolerance)
            self.trial.fail(property, expected, self.value, cause)

    def finite(self, expected: Any, cause: str) -> None:
        """No value may be NaN or infinite."""
        finite = np.isfinite(self.value).all()
        self.trial.must(f"{self.name} is finite", finite, expected, self.value, cause)


def attempt(answer: Callable, errors: Mapping[str, str], /, **given: Any) -> Trial:
    """A Trial; if the answer raises, `errors` says what does that: part of the text → cause."""
    try:
        return Trial(answer, **given)
    except CheckFailed as failed:
        if failed.property == "it runs":
            told = failed.shown["got"]
            failed.cause = next((cause for part, cause in errors.items() if part in told), "")
        raise


def must_refuse(answer: Callable, property: str, says: str, cause: str, /, **given: Any) -> None:
    """The answer must raise a ValueError, with `says` in its text. `cause`: why it may not."""
    raised: list[Exception] = []

    def outcome(*inputs: Any) -> Any:
        try:
            return answer(*inputs)
        except NotImplementedError:
            raise
        except Exception as error:
            raised.append(error)

    trial = Trial(outcome, **given)
    error = raised[0] if raised else None
    got = f"{type(error).__name__}: {error}" if error else "no error"
    if isinstance(error, ValueError):
        if says in str(error):
            return
        cause = "the message does not say what came"
    elif error:
        got = f"it fails with another error, {got}"
        if not isinstance(error, ArithmeticError):  # that is: nothing was refused
            cause = "an error of another kind: `raise ValueError(…)`"
    elif isinstance(trial.result, Exception):
        cause = "the error is returned; it must be raised"
    trial.fail(property, f"a ValueError{says and f' that says {says}'}", got, cause)


def named(got: Any, mistakes: Mistakes, otherwise: str = "", tolerance: float = TOLERANCE) -> str:
    """The first of the mistakes that gives what came."""
    pairs = mistakes.items() if isinstance(mistakes, Mapping) else mistakes
    return next((told for told, wrong in pairs if close(got, wrong, tolerance)), otherwise)


def part_of(mistakes: Mapping[str, Any], which: Any) -> dict[str, Any]:
    """Mistakes in one output, of mistakes that say what comes out in several."""
    return {mistake: wrong[which] for mistake, wrong in mistakes.items()}


def close(got: Any, expected: Any, tolerance: float = TOLERANCE) -> bool:
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
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (numpy.ndarray, numpy.generic)):
        if value.ndim == 0 and value.dtype.kind == "f":
            return f"{value:.6g}"
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


# --- What references share ----------------------------------------------------


def slopes(loss: Callable[..., float], **given: Array) -> dict[str, Array]:
    """The gradient of `loss(**given)` with respect to each input, by central differences."""
    return {name: _slope(lambda at, n=name: loss(**given | {n: at}), given[name]) for name in given}


def _slope(function: Callable[[Array], float], at: Array) -> Array:
    gradient, step = np.zeros_like(at), 1e-6
    for place in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[place] += step
        down[place] -= step
        gradient[place] = (function(up) - function(down)) / (2 * step)
    return gradient


def sigmoid(a: Array) -> Array:
    """1 / (1 + exp(−a)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * a)


def softmax(scores: Array, axis: int = -1) -> Array:
    """Softmax along one axis; a row of −∞ alone becomes zeros."""
    top = scores.max(axis=axis, keepdims=True)
    shares = np.exp(scores - np.where(np.isfinite(top), top, 0))
    total = shares.sum(axis=axis, keepdims=True)
    return shares / np.where(total > 0, total, 1)


def weighted_sum(weights: Array, values: Array) -> Array:
    """Σ weight × value of each sentence: (B,…,S) and (B,S,H) → (B,…,H)."""
    return np.stack([row @ of_row for row, of_row in zip(weights, values, strict=True)])
