"""Checks of Chapter 5's exercises: masks, positions, norms, a layer, a cache, and three probes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy

from attention_course.checks.core import (
    Array,
    Mistakes,
    Output,
    Trial,
    close,
    exercise,
    must_refuse,
    named,
    np,
    part_of,
    slopes,
    softmax,
)


def _side_by_side(arrays: Iterable[Array]) -> Array:
    return np.concatenate([np.ravel(array) for array in arrays])


def _in_both(wrong: list[list[tuple[str, Array]]]) -> Mistakes:
    """The same mistakes in several cases: what all of them together give."""
    return [(each[0][0], _side_by_side(a for _, a in each)) for each in zip(*wrong, strict=True)]


class _Brief(Trial):
    """A Trial whose messages leave out the inputs that would fill the screen."""

    def fail(self, property: str, expected: Any, got: Any, cause: str) -> None:
        hidden = ("params", "attention", "memory", "values")
        self.given = {name: value for name, value in self.given.items() if name not in hidden}
        super().fail(property, expected, got, cause)


# --- Masks and the learning rate ------------------------------------------------


def _mask(new: int, past: int, allowed: Callable[[int, int], bool]) -> Array:
    """`allowed(row, column)`, both counted from 0."""
    rows = [[allowed(row, column) for column in range(past + new)] for row in range(new)]
    return np.array(rows, dtype=bool)


def _wrong_masks(new: int, past: int) -> Mistakes:
    def mask(allowed: Callable[[int, int], bool]) -> Array:
        return _mask(new, past, allowed)

    right = mask(lambda t, s: s <= past + t)
    yield "True means *forbidden* there; in this course True means *may attend*", ~right
    told = "no word may look at itself, and the first of a sentence at nothing: a row of NaN or 0"
    yield told, mask(lambda t, s: s < past + t)
    told = "each word sees one word too many, the one that it is about to say"
    yield told, mask(lambda t, s: s <= past + t + 1)
    told = "each word looks at itself and *later* words: the upper triangle, or a transpose"
    yield told, mask(lambda t, s: s >= past + t)
    told = "the triangle is aligned at the top left, as if the new words came before the past"
    yield told, mask(lambda t, s: s <= t)
    yield "the new words see the past alone, not themselves", mask(lambda t, s: s < past)
    yield "the past comes *after* the new words there", mask(lambda t, s: s <= t or s >= new)
    yield "the past is hidden", mask(lambda t, s: past <= s <= past + t)
    told = "the offset is 1 whatever the past is; that is the example's"
    yield told, mask(lambda t, s: s <= t + 1)
    yield "nothing is forbidden: later words stand in plain sight", np.ones_like(right)


@exercise
def causal_mask(answer, draw):
    """The diagonal allowed, the future not, what has been there before visible to all."""
    sizes = [(3, 0), (2, 3), (1, 4), (int(draw.integers(4, 8)), int(draw.integers(1, 4)))]
    masks = []
    for new, past in sizes:
        mask = Trial(answer, new=new, past=past).output("the mask")
        causes = {
            (new, new): "the columns of the past are missing",
            (past + new, new): "rows and columns are exchanged: a row belongs to who asks",
            (past + new, past + new): "the words of the past ask nothing any more: they have no "
            "rows",
            (1, new, past + new): "an axis for the batch; the mask is the same for all sentences",
        }
        mask.shape("(new, past + new)", (new, past + new), causes)
        cause = "numbers: `~` of 0 and 1 gives -1 and -2, and 0 added to a score forbids nothing"
        kind = str(mask.value.dtype)
        mask.trial.must("the mask is boolean", kind == "bool", "bool", kind, cause)
        masks.append(mask)
    wrong = _in_both([list(_wrong_masks(new, past)) for new, past in sizes])
    cause = named(_side_by_side(mask.value for mask in masks), wrong)
    for mask, (new, past) in zip(masks, sizes, strict=True):
        expected = np.tri(new, past + new, past, dtype=bool)
        mask.equals(
            "each word may attend to the past, to itself and to nothing later",
            expected,
            cause=cause,
        )


def _rate(step: int, size: int, warmup: int) -> float:
    rising, falling = step / warmup / np.sqrt(warmup), 1 / np.sqrt(step)
    return float((rising if step < warmup else falling) / np.sqrt(size))


NOAM = {
    "the larger of the two was taken: the rate begins at its highest": lambda s, d, w: (
        max(s**-0.5, s * w**-1.5) / d**0.5
    ),
    "the factor of the model's size is missing": lambda s, d, w: _rate(s, 1, w),
    "the model's size stands in the numerator": lambda s, d, w: _rate(s, 1, w) * d**0.5,
    "the model's size is not under a root": lambda s, d, w: _rate(s, d * d, w),
    "the exponent of the warm-up is −1/2, not −3/2": lambda s, d, w: (
        min(s**-0.5, s * w**-0.5) / d**0.5
    ),
    "the line of the warm-up is step/warmup": lambda s, d, w: min(s**-0.5, s / w) / d**0.5,
    "one step late: the steps are counted from 0": lambda s, d, w: _rate(max(s - 1, 1), d, w),
    "one step early: 1 is added to a step that is counted from 1 already": lambda s, d, w: _rate(
        s + 1, d, w
    ),
    "only the fall is there: the rising line is missing, or lies above": lambda s, d, w: (
        (s * d) ** -0.5
    ),
    "only the rise is there, without end": lambda s, d, w: s * w**-1.5 / d**0.5,
    "after the warm-up it falls with 1/step; the root is missing": lambda s, d, w: (
        _rate(s, d, w) * min(1, w / s) ** 0.5
    ),
    "the model's size and the warm-up are exchanged": lambda s, d, w: _rate(s, w, d),
    "after the warm-up the rate stays at its peak": lambda s, d, w: _rate(min(s, w), d, w),
}


@exercise
def noam(answer, draw):
    """Rises in a line, falls as one over the root; where the peak is; no step 0."""
    size, warmup = int(draw.integers(20, 60)), int(draw.integers(5, 50))
    cases = [(4, 4, 4), (1, 4, 4), (16, 4, 4), (4000, 512, 4000)]
    cases += [(step, size, warmup) for step in (1, warmup - 1, warmup, warmup + 1, 7 * warmup)]
    trials = [Trial(answer, step=s, size=d, warmup=w) for s, d, w in cases]
    rates = [trial.output("the rate") for trial in trials]
    for rate in rates:
        rate.shape("one number", ())
    wrong = ((told, [rate(*case) for case in cases]) for told, rate in NOAM.items())
    cause = named([rate.value for rate in rates], wrong)
    property = "up in a straight line to step `warmup`, then down with 1/√step"
    for case, rate in zip(cases, rates, strict=True):
        rate.equals(property, _rate(*case), cause=cause, tolerance=1e-7)
    for step, cause in (
        (0, "step 0, at which 1/√step is no number; steps are counted from 1"),
        (-3, "only step 0 is refused"),
    ):
        property = "a step below 1 is refused"
        must_refuse(answer, property, str(step), cause, step=step, size=16, warmup=10)


# --- Positions ------------------------------------------------------------------


def _waves(length: int, size: int, angle: Callable[[int, int], float]) -> Array:
    """Sines in columns 0, 2, 4, …, cosines in 1, 3, 5, …, of `angle(place, column)`."""
    table = np.zeros((length, size))
    for place, column in np.ndindex(length, size):
        table[place, column] = (np.cos if column % 2 else np.sin)(angle(place, column))
    return table


def _positions(length: int, size: int) -> Array:
    return _waves(length, size, lambda p, c: p / 10_000 ** ((c - c % 2) / size))


def _wrong_angles(length: int, size: int) -> Iterable[tuple[str, Callable[[int, int], float]]]:
    """Mistake → the angle of a place p and a column c."""

    def exponent(c: int) -> float:
        return (c - c % 2) / size

    told = "the exponent holds i in place of 2i: i counts the pairs, 2i their first columns"
    yield told, lambda p, c: p / 10_000 ** (c // 2 / size)
    told = "the exponent holds twice the column; i counts the pairs"
    yield told, lambda p, c: p / 10_000 ** (2 * c / size)
    told = "the exponent holds the column: the sine and the cosine of a pair need one frequency"
    yield told, lambda p, c: p / 10_000 ** (c / size)
    told = "the exponent holds 4i: the numbers of `arange(0, D, 2)` are 2i already"
    yield told, lambda p, c: p / 10_000 ** (2 * exponent(c))
    for base in (10, 100, 1000, 100_000):
        yield "the base is not 10000", lambda p, c, base=base: p / base ** exponent(c)
    told = "the last frequency is 1/10000: divided by D/2 − 1, as some programs do, not by D/2"
    yield told, lambda p, c: p / 10_000 ** (c // 2 / max(size // 2 - 1, 1))
    told = "the angle is multiplied by 2π, or is in degrees; it is p·ω, in radians"
    for turn in (2 * np.pi, np.pi / 180):
        yield told, lambda p, c, turn=turn: turn * p / 10_000 ** exponent(c)
    told = "all pairs have the frequency 1: the exponent was rounded to a whole number"
    yield told, lambda p, c: p
    told = "the sign of the exponent: the frequencies rise from pair to pair"
    yield told, lambda p, c: p * 10_000 ** exponent(c)
    told = "each place has a frequency of its own; each *pair of columns* has one, a place has none"
    for number in (lambda c: c // 2, lambda c: c - c % 2, lambda c: c, lambda c: 1):
        for power in (1 / size, 2 / size, 1 / length, 2 / length):
            yield told, lambda p, c, n=number, power=power: n(c) / 10_000 ** (power * p)


def _wrong_positions(length: int, size: int) -> Mistakes:
    for told, angle in _wrong_angles(length, size):
        yield told, _waves(length, size, angle)
    right, odd = _positions(length, size), np.arange(length)[:, None] % 2
    sines, cosines = np.repeat(right[:, 0::2], 2, axis=1), np.repeat(right[:, 1::2], 2, axis=1)
    yield "there are only sines", sines
    told = "the *place* says whether it is sine or cosine; the column should"
    yield told, np.where(odd, cosines, sines)
    halves = np.concatenate([right[:, 0::2], right[:, 1::2]], axis=1)
    yield "all sines first, then all cosines; here a pair stands in neighbouring columns", halves
    exchanged = right.reshape(length, -1, 2)[..., ::-1].reshape(length, size)
    yield "sine and cosine are exchanged", exchanged
    yield "places are counted from 1; the first is place 0", _positions(length + 1, size)[1:]


@exercise
def positional_encoding(answer, draw):
    """Sine and cosine side by side, one frequency a pair; an odd size is refused."""
    cases = [(3, 4), (int(draw.integers(5, 9)), 6), (4, 2 * int(draw.integers(5, 8)))]
    tables = []
    for length, size in cases:
        table = Trial(answer, length=length, size=size).output("the table")
        causes = {(size, length): "rows and columns are exchanged: a row belongs to a place"}
        causes[1, length, size] = "an axis for the batch; places are the same for all sentences"
        table.shape("(T,D)", (length, size), causes)
        tables.append(table)
    mistakes = _in_both([list(_wrong_positions(*case)) for case in cases])
    cause = named(_side_by_side(table.value for table in tables), mistakes)
    for (length, size), table in zip(cases, tables, strict=True):
        trial, got = table.trial, table.value
        first = np.arange(size) % 2
        property = "at place 0 every sine is 0 and every cosine 1"
        trial.must(property, close(got[0], first), first, got[0], cause)
        pairs = got[:, 0::2] ** 2 + got[:, 1::2] ** 2
        property = "columns 2i and 2i + 1 are the sine and the cosine of one angle: sin² + cos² = 1"
        trial.must(property, close(pairs, np.ones_like(pairs)), "1", pairs, cause)
        hands = got[:, 1::2] + 1j * got[:, 0::2]
        turns = np.angle(hands[1:] / hands[:-1])
        property = "from each place to the next, a pair turns by the same angle"
        even = close(np.exp(1j * turns), np.exp(1j * turns[:1]) + 0 * turns)
        told = cause or "a frequency that depends on the place; a pair has one, a place has none"
        trial.must(property, even, "one angle a pair", turns, told)
        property = "pair i turns by 10000^(−2i/D) at each place"
        table.equals(property, _positions(length, size), cause=cause)
    for size in (5, 1):
        cause = "the last sine has no cosine, and nothing says so"
        property = "an odd number of columns is refused"
        must_refuse(answer, property, str(size), cause, length=3, size=size)


# --- Find the bug ---------------------------------------------------------------


def _averages(scores: Array, value: Array) -> tuple[Array, Array]:
    weights = softmax(scores)
    return weights @ value, weights


def _looks(scores: Array, value: Array, past: int = 0) -> tuple[Array, Array]:
    """Row t by row t, over the first `t + 1 + past` words."""
    weights = np.zeros_like(scores)
    for b, t in np.ndindex(scores.shape[:2]):
        weights[b, t, : t + 1 + past] = softmax(scores[b, t, : t + 1 + past])
    return weights @ value, weights


PUSHED = "later words are only pushed down: their weight must be exactly 0"


def _wrong_looks(scores: Array, value: Array, scale: float, size: int) -> Mistakes:
    """Context and weights side by side; `scale` is 1/√d_k, `size` is D."""
    allowed = np.tri(scores.shape[1], dtype=bool)

    def mixed(weights: Array) -> Array:
        return np.concatenate([weights @ value, weights], axis=-1)

    def average(scores: Array) -> Array:
        return np.concatenate(_averages(scores, value), axis=-1)

    def zeroed(scores: Array) -> Array:
        return mixed(_averages(scores, value)[1] * allowed)

    told = "the bug as found: later words are taken out of the weights, and yet a row knows of them"
    yield told, zeroed(scores)
    told = "later words get the score 0, which is a score like any other"
    yield told, average(scores * allowed)
    yield told, zeroed(scores * allowed)
    for low in (-5, -10, -20, -50, -100, -1e3, -1e4, -1e5, -1e6):
        yield PUSHED, average(np.where(allowed, scores, low))
        yield PUSHED, average(scores + np.where(allowed, 0, low))
    told = "the mask is upside down: each row sees itself and later words"
    yield told, average(np.where(allowed.T, scores, -np.inf))
    told = "the mask is upside down: each row sees later words only"
    for low in (-1e9, -1e30):
        yield told, average(np.where(allowed, low, scores))
    yield "there is no mask: later words stand in plain sight", average(scores)
    right = np.where(allowed, scores, -np.inf)
    told = "each row sees one later word"
    yield told, np.concatenate(_looks(scores, value, 1), axis=-1)
    for low in (-1e9, -1e30):
        hidden = np.where(np.tri(len(allowed), k=-1), scores, low)
        yield "no row sees its own word", average(hidden)
    if len(allowed) > 1:
        last = right.copy()
        last[..., -1] = -np.inf
        yield "the last word is hidden from itself, too", average(last)
    yield "the scale 1/√d_k was in order, and is gone", average(right / scale)
    told = "the scale is 1/√D; a score is a sum of d_k products"
    yield told, average(right / scale / size**0.5)
    yield (
        "the softmax goes over the queries",
        mixed(_averages(right.swapaxes(1, 2), value)[1].swapaxes(1, 2)),
    )
    weights = _averages(right, value)[1]
    yield (
        "the weights stand transposed in the mixture: a row belongs to who asks",
        np.concatenate([weights.swapaxes(1, 2) @ value, weights], axis=-1),
    )


def _why_no_number(weights: Array, otherwise: str) -> str:
    """What usually puts NaN into all rows of weights, or into some."""
    nothing = np.isnan(weights).any(axis=-1)
    if nothing.all():
        return "0 · ∞ is not a number: put −∞ in the place of a score, do not multiply by a mask"
    return "a row in which everything is hidden has no softmax" if nothing.any() else otherwise


def _scored(x: Array, w_q: Array, w_k: Array) -> Array:
    return np.einsum("btd,dk,ek,bse->bts", x, w_q, w_k, x) / w_q.shape[1] ** 0.5


def _look_trial(answer: Callable, *given: Array) -> tuple[Trial, Output, Output]:
    trial = Trial(answer, **dict(zip(("x", "w_q", "w_k", "w_v"), given, strict=True)))
    return trial, *trial.outputs("context", "weights")


def _check_look(answer: Callable, x: Array, w_q: Array, w_k: Array, w_v: Array) -> None:
    """Shapes, zeros, sums and values."""
    (batch, words, size), d_v = x.shape, w_v.shape[1]
    scores, values = _scored(x, w_q, w_k), x @ w_v
    trial, context, weights = _look_trial(answer, x, w_q, w_k, w_v)
    causes = {(batch, words, words): "the two come in the other order: context first"}
    causes[1, words, d_v] = "only the first sentence is there"
    context.shape("(B,T,d_v)", (batch, words, d_v), causes)
    weights.shape("(B,T,T)", (batch, words, words))
    both = np.concatenate([context.value, weights.value], axis=-1)
    fits = close(context.value, weights.value @ values)
    told = "" if fits else "the context is not made with the weights that are returned"
    wrong = _wrong_looks(scores, values, w_q.shape[1] ** -0.5, size)
    cause = named(both, wrong, _why_no_number(weights.value, told))
    later = weights.value * (1 - np.tri(words))
    property = "later words have the weight 0"
    trial.must(property, not later.any(), "zeros above the diagonal", weights.value, cause)
    sums = weights.value.sum(axis=-1)
    property = "what each row gives to the words it may see sums to 1"
    trial.must(property, close(sums, np.ones_like(sums)), "1", sums, cause)
    right_context, right_weights = _looks(scores, values)
    context.equals("the context", right_context, cause=cause)
    weights.equals("the weights", right_weights, cause=cause)


def _check_large_scores(answer: Callable, x: Array, w_q: Array, w_k: Array, w_v: Array) -> None:
    """Those of a later word, and a row's own."""

    def pushed(x: Array, rows: slice) -> Mistakes:
        wrong = _wrong_looks(_scored(x, w_q, w_k), x @ w_v, w_q.shape[1] ** -0.5, x.shape[-1])
        return [(told, each[:, rows, : w_v.shape[1]]) for told, each in wrong if told == PUSHED]

    last, earlier = x.copy(), slice(-1)
    last[:, -1] = 1000 * x[:, 0] @ w_q @ w_k.T  # the first word asks for just this
    trial, context, _ = _look_trial(answer, last, w_q, w_k, w_v)
    got = Output(trial, "context", context.value[:, earlier])
    cause = (
        "later words are taken out after the softmax, or after the largest score was looked "
        "for: where a later word has a huge score, nothing is left to divide"
    )
    property = "another last word moves no earlier row, however large its scores"
    right = _looks(_scored(x, w_q, w_k), x @ w_v)[0][:, earlier]
    got.equals(property, right, pushed(last, earlier), cause)

    _, context, _ = _look_trial(answer, 100 * x, w_q, w_k, w_v)
    cause = (
        "exp of a thousand is infinite: the row's largest score, of those that may be seen, was "
        "taken away before, and that was in order"
    )
    property = "a row's own scores may be large, too"
    right = _looks(_scored(100 * x, w_q, w_k), 100 * x @ w_v)[0]
    context.equals(property, right, pushed(100 * x, slice(None)), cause)


@exercise
def look_back(answer, draw):
    """No word reaches one before it, in weights and in contexts; rows sum to 1."""
    w_q, w_k = np.zeros((3, 4)), np.zeros((3, 4))
    w_q[:, 0], w_k[:, 0] = [2, 0, -2], np.log([1, 2, 4])
    small = np.eye(3)[None], w_q, w_k, np.array([[1.0], [2.0], [4.0]])
    large = [draw.standard_normal(shape) for shape in ((2, 5, 6), (6, 3), (6, 3), (6, 4))]
    for given in (small, large):
        _check_look(answer, *given)
        _check_large_scores(answer, *given)


# --- Label smoothing ------------------------------------------------------------


def _log_probs(logits: Array, pad: int, slip: str) -> Array:
    axis = 1 if slip == "over time" else -1
    shifted = logits - logits.max(axis, keepdims=True)
    powers = np.exp(shifted)
    if slip == "softmax without pad":
        powers = np.delete(powers, pad, axis=-1)
    log_probs = shifted - np.log(powers.sum(axis, keepdims=True))
    if slip == "twice":
        return _log_probs(np.exp(log_probs), pad, "")
    return logits if slip == "no softmax" else log_probs


def _wanted(target: int, pad: int, size: int, smoothing: float, slip: str) -> Array:
    """q of one word, (V,): a share of ε for each of the others, the rest for the target."""
    others = np.arange(size) != target
    if slip not in ("on pad", "on pad, /(V-2)", "pads", "library"):
        others &= np.arange(size) != pad
    share = {
        "/V": smoothing / size,
        "library": smoothing / size,
        "/(V-1)": smoothing / (size - 1),
        "no pad, target too": smoothing / (size - 1),
        "on pad, /(V-2)": smoothing / (size - 2),
        "each": smoothing,
        "swapped": (1 - smoothing) / others.sum(),
    }.get(slip, smoothing / others.sum())
    own = {"target 1": 1, "target left out": 0, "swapped": smoothing}.get(slip, 1 - smoothing)
    if slip in ("library", "no pad, target too"):
        own += share
    if slip == "pads, all 0" and target == pad:
        own = 0
    wanted = np.where(others, share, 0.0)
    wanted[target] = own
    return wanted


def _smoothed(logits: Array, targets: Array, pad: int, smoothing: float, slip: str = "") -> float:
    """The loss; `slip`: done wrong on purpose."""
    log_probs, size, losses = (
        _log_probs(logits, pad, slip),
        logits.shape[-1],
        np.zeros(targets.shape),
    )
    for place in np.ndindex(targets.shape):
        q = _wanted(targets[place], pad, size, smoothing, slip)
        losses[place] = -q @ log_probs[place]
        if slip == "divergence":
            losses[place] += q[q > 0] @ np.log(q[q > 0])
        if slip == "probabilities":
            losses[place] = -np.log(q @ np.exp(log_probs[place]))
    real = (targets != pad) | slip.startswith("pads")
    if slip == "sentences":
        return float(np.mean([row[kept].mean() for row, kept in zip(losses, real) if kept.any()]))
    counts = {"sum": 1, "B*T": targets.size, "B": len(targets), "V": size * real.sum()}
    return float(losses[real].sum() / counts.get(slip, real.sum()))


SMOOTHING = {
    "library": "ε is spread over all V tokens, pad and target included, as in PyTorch's "
    "`CrossEntropyLoss(label_smoothing=…)`; here pad gets nothing and the target 1 − ε",
    "no pad, target too": "the target gets a share of ε on top; it gets 1 − ε here",
    "on pad": "a share of ε is on pad: the model is asked to say pad now and then",
    "on pad, /(V-2)": "a share of ε is on pad, and the target's parts sum to more than 1",
    "B*T": "the sum is divided by B·T: pads count as words, and the loss depends on their number",
    "pads": "the loss of pads is counted",
    "pads, none on pad": "the loss of pads is counted",
    "pads, all 0": "the loss of pads is counted",
    "/(V-1)": "ε is divided by V − 1: neither the target nor pad gets a share, so V − 2 do",
    "/V": "ε is divided by V: neither the target nor pad gets a share, so V − 2 do",
    "each": "each other token gets all of ε; they share it",
    "target 1": "the target keeps 1: what the others get must be taken from it",
    "divergence": "the divergence from q, as KLDivLoss has it; here q's entropy is not taken away",
    "softmax without pad": "pad is taken out of the softmax; it is in p, and only not in q",
    "over time": "the softmax goes over the words of a sentence",
    "no softmax": "logits are taken for ln p; the softmax is missing",
    "B": "the sum is divided by the number of sentences, not of words",
    "V": "the sum is divided by V, too: a mean over tokens where the sum over v belongs",
    "sentences": "the mean of the sentences' means: a word in a short sentence weighs more",
    "sum": "the sum over the words of the batch, not their mean",
    "twice": "the softmax is applied twice",
    "swapped": "ε and 1 − ε are exchanged",
    "target left out": "the target itself is left out",
    "probabilities": "the logarithm is taken after the mixing, not before",
}


def _wrong_losses(logits: Array, targets: Array, pad: int, smoothing: float) -> Mistakes:
    for slip, told in SMOOTHING.items():
        yield told, _smoothed(logits, targets, pad, smoothing, slip)
    yield "nothing is smoothed", _smoothed(logits, targets, pad, 0.0)
    right = _smoothed(logits, targets, pad, smoothing)
    yield "pad is taken to be 0; it is an argument", _smoothed(logits, targets, 0, smoothing)
    yield "the sign: a loss is −log p", -right
    yield "a logarithm with another base", right / np.log(2)


@exercise
def smoothed_loss(answer, draw):
    """The shares of target, others and padding; a mean over real tokens."""

    def call(logits, targets, smoothing):
        trial = Trial(answer, logits=logits, targets=targets, pad=pad, smoothing=smoothing)
        return trial.output("the loss")

    small = np.log([[[1.0, 1, 2, 4], [1, 4, 2, 1]]]), np.array([[3, 0]]), 0, 0.2
    lengths = np.array([5, 2, 4])
    targets = np.where(np.arange(5) < lengths[:, None], draw.integers(3, 7, (3, 5)), 2)
    for case in (small, (draw.standard_normal((3, 5, 7)) * 2, targets, 2, 0.1)):
        logits, targets, pad, smoothing = case
        expected, unsmoothed = _smoothed(*case), _smoothed(logits, targets, pad, 0.0)
        loss = call(logits, targets, smoothing)
        causes = {targets.shape: "one loss a word; they are still to be averaged"}
        causes[logits.shape] = "one number for each token: sum over v, then average over the words"
        loss.shape("one number", (), causes)
        cause = named(loss.value, _wrong_losses(*case))
        plain = call(logits, targets, 0.0)
        told = cause or named(plain.value, _wrong_losses(logits, targets, pad, 0.0))
        property = "with ε = 0 it is the mean cross-entropy of the words that are not pads"
        plain.equals(property, unsmoothed, cause=told)
        wider = np.pad(targets, ((0, 0), (0, 2)), constant_values=pad)
        padded = call(np.pad(logits, ((0, 0), (0, 2), (0, 0))), wider, smoothing)
        property = "two more columns of padding change nothing"
        told = cause or "pads are part of the sum, or of the number it is divided by"
        padded.equals(property, float(loss.value), cause=told)
        property = "1 − ε on the target, ε shared by the others, nothing on pad"
        loss.equals(property, expected, cause=cause)
        property = "1000 added to every logit changes nothing"
        cause = "exp(1000) is infinite: take the largest logit of each row away first"
        call(logits + 1000, targets, smoothing).equals(property, expected, cause=cause)
        far = logits.copy()
        far[..., 1] = 1000
        lost = call(far, targets, smoothing)
        cause = "the logarithm of a p that has become 0; ln p is a logit minus a logarithm"
        if np.isfinite(lost.value):
            cause = "a small number inside of the logarithm, or p is cut off: ln p ends there"
        property = "one logit of 1000: the other tokens cost about 1000"
        expected = _smoothed(far, targets, pad, smoothing)
        lost.equals(property, expected, cause=cause)


# --- Layer norm -----------------------------------------------------------------


def _norm(x: Array, w: Array, b: Array, epsilon: float) -> Array:
    y = np.zeros_like(x)
    for place in np.ndindex(x.shape[:-1]):
        word = x[place]
        mean = sum(word) / len(word)
        variance = sum((number - mean) ** 2 for number in word) / len(word)
        y[place] = (word - mean) / np.sqrt(variance + epsilon) * w + b
    return y


def _wrong_norms(x: Array, w: Array, b: Array, epsilon: float) -> Mistakes:
    def norm(axis: Any = -1, ddof: int = 0, scale: Any = None, centre: Any = None) -> Array:
        mean = x.mean(axis, keepdims=True) if centre is None else centre
        variance = x.var(axis, keepdims=True, ddof=ddof)
        below = np.sqrt(variance + epsilon) if scale is None else scale(variance)
        return (x - mean) / below

    plain, of_sample = norm(), "divided by D − 1, the variance of a *sample*; here it is D"
    yield of_sample, norm(ddof=1) * w + b
    told = "mean and variance go over the words of the batch, as in a batch norm"
    yield told, norm((0, 1)) * w + b
    yield "mean and variance go over the sentences of the batch", norm(0) * w + b
    yield "mean and variance go over the words of a sentence", norm(1) * w + b
    yield "mean and variance go over a whole sentence", norm((1, 2)) * w + b
    yield "mean and variance go over the whole batch", norm((0, 1, 2)) * w + b
    yield "ε is left out or has another value", norm(scale=np.sqrt) * w + b
    yield "ε is left out or has another value", norm(scale=lambda v: np.sqrt(v + 1e-5)) * w + b
    yield "ε stands outside the root", norm(scale=lambda v: np.sqrt(v) + epsilon) * w + b
    outside = norm(scale=lambda v: np.sqrt(v) + epsilon**0.5)
    yield "ε stands outside the root", outside * w + b
    yield "divided by the variance; a root is missing", norm(scale=lambda v: v + epsilon) * w + b
    yield "the mean is not taken away", norm(centre=0) * w + b
    yield "w and b are left out", plain
    yield "w is left out", plain + b
    yield "b is left out", plain * w
    yield "b is added before w multiplies", (plain + b) * w


def _wrong_norm_gradients(x: Array, w: Array, epsilon: float, dy: Array) -> Mistakes:
    def mean(array: Array) -> Array:
        return array.mean(-1, keepdims=True)

    def back(d: Array, of_mean: float = 1, of_variance: float = 1) -> Array:
        return (d - of_mean * mean(d) - of_variance * normed * mean(d * normed)) / sigma

    sigma, size = np.sqrt(x.var(-1, keepdims=True) + epsilon), x.shape[-1]
    normed, d = (x - mean(x)) / sigma, dy * w
    yield "mean and variance are taken for constants; both depend on x", back(d, 0, 0)
    yield "the variance is taken for a constant; it depends on x", back(d, 1, 0)
    yield "the mean is taken for a constant; it depends on x", back(d, 0, 1)
    yield "w is missing on the way back", back(dy)
    yield "the division by σ is missing on the way back", back(d) * sigma
    yield "a sign: the part of the variance is added", back(d, 1, -1)
    told = "w comes last on the way back; it was last on the way there, so it comes first"
    yield told, w * back(dy)
    told = "x − μ stands where x̂ belongs: a division by σ² is missing in the part of the variance"
    yield told, back(d, 1, sigma**2)
    told = "the part of the variance is twice as large: the root's 1/2 is missing"
    yield told, back(d, 1, 2)
    yield "sums over D where means belong", back(d, size, size)


def _wrong_sums(x: Array, w: Array, b: Array, epsilon: float, dy: Array) -> Mistakes:
    """Of dw and db."""
    y = _norm(x, w, b, epsilon)
    normed = _norm(x, np.ones_like(w), np.zeros_like(b), epsilon)
    right, direct = (dy * normed).sum((0, 1)), dy.sum((0, 1))
    yield "dw and db are exchanged", right
    yield "dw and db are exchanged", direct
    yield "the mean over the words, not the sum", right / np.prod(x.shape[:2])
    yield "the mean over the words, not the sum", direct / np.prod(x.shape[:2])
    yield "x itself in place of the normed x", (dy * x).sum((0, 1))
    yield "y, with w and b, in place of the normed x", (dy * y).sum((0, 1))
    told = "dy times w, which is for dx alone"
    yield told, right * w
    yield told, direct * w
    told = "dy is not used: that is the gradient of the sum of y"
    yield told, normed.sum((0, 1))
    yield told, np.ones_like(dy).sum((0, 1))


def _right_norm(x: Array, w: Array, b: Array, epsilon: float, dy: Array) -> list[Array]:
    """y, and dx, dw, db of the sum of dy ∘ y, by small changes."""

    def loss(**moved: Array) -> float:
        return (_norm(**moved, epsilon=epsilon) * dy).sum()

    return [_norm(x, w, b, epsilon), *slopes(loss, x=x, w=w, b=b).values()]


@exercise
def layer_norm(answer, draw):
    """Mean and spread of each word's own numbers; three gradients against finite differences."""
    one = np.array([[[2.0, 6.0]]]), np.ones(2), np.zeros(2), 12.0, np.array([[[1.0, 0.0]]])
    x, dy = draw.standard_normal((2, 2, 3, 4))
    w, b = draw.standard_normal((2, 4))
    cases, answers = (one, (3 * x + 1, w, b, 0.5, dy)), []
    names, summed = ("x", "w", "b", "epsilon", "dy"), "w and b are shared by all words: sum"
    for case in cases:
        (batch, words, size) = shape = case[0].shape
        trial = Trial(answer, **dict(zip(names, case, strict=True)))
        y, dx, dw, db = trial.outputs("y", "dx", "dw", "db")
        y.shape("(B,T,D)", shape)
        causes = {each: summed for each in (shape, (words, size), (batch, size))}
        db.shape("(D,)", (size,), causes)
        dw.shape("(D,)", (size,), causes)
        dx.shape("(B,T,D)", shape)
        answers.append((y, dx, dw, db))
    right = [_right_norm(*case) for case in cases]
    with np.errstate(all="ignore"):
        wrong = [list(_wrong_norms(*case[:4])) for case in cases]
        y_causes = _in_both(wrong)
        dx_causes = _in_both([list(_wrong_norm_gradients(x, w, e, dy)) for x, w, _, e, dy in cases])
        sums = _in_both([list(_wrong_sums(*case)) for case in cases])
    told = {
        "y is x̂ ∘ w + b, and x̂ has mean 0 and variance near 1 in each word": (0, y_causes),
        "db agrees with what a small change of b does to the sum of dy ∘ y": (3, sums),
        "dw agrees with what a small change of w does to the sum of dy ∘ y": (2, sums),
        "dx agrees with what a small change of x does to the sum of dy ∘ y": (1, dx_causes),
    }
    for property, (number, mistakes) in told.items():
        cause = named(_side_by_side([each[number].value for each in answers]), mistakes)
        for outputs, expected in zip(answers, right, strict=True):
            outputs[number].equals(property, expected[number], cause=cause)
    w, b = cases[1][1:3]
    flat = np.full((1, 1, 4), 7.0)
    trial = Trial(answer, x=flat, w=w, b=b, epsilon=1e-5, dy=dy[:1, :1])
    y, dx, *_ = trial.outputs("y", "dx", "dw", "db")
    cause = "a division by 0: ε belongs under the root"
    y.equals("of four equal numbers y is b", b[None, None], cause=cause)
    trial.must("dx is finite there", np.isfinite(dx.value).all(), "numbers", dx.value, cause)


# --- The encoder's layer --------------------------------------------------------


def _attention(query: Array, key: Array, value: Array, mask: Array) -> Array:
    """What the exercise hands over: softmax(Q Kᵀ / √d_k) V, True in the mask = may attend."""
    shape = (*query.shape[:2], key.shape[1])
    mask, told = np.asarray(mask), f"the mask must be boolean and broadcast to (B,T,S) = {shape}"
    fits = mask.ndim == 3 and all(got in (1, size) for got, size in zip(mask.shape, shape))
    if mask.dtype != bool or not fits:
        raise ValueError(f"{told}, got {mask.dtype} {mask.shape}")
    context = np.zeros((*shape[:2], value.shape[2]))
    mask = np.broadcast_to(mask, shape)
    for b, t in np.ndindex(shape[:2]):
        seen = mask[b, t]
        if seen.any():
            scores = key[b, seen] @ query[b, t] / query.shape[2] ** 0.5
            context[b, t] = softmax(scores) @ value[b, seen]
    return context


Parts = tuple[Callable, Callable, Callable]


def _parts(keep: Array, p: Mapping, slip: str = "") -> Parts:
    """look(x), think(x) and norm(x, number) of the layer; `slip`: done wrong on purpose."""
    everyone = np.ones_like(keep)[:, None]
    mask = {
        "queries": keep[:, :, None],
        "inverted": ~keep[:, None],
        "all": everyone,
        "zeroed": everyone,
        "triangle": keep[:, None] & np.tri(keep.shape[1], dtype=bool),
        "first keep": everyone & keep[:1, None],
    }.get(slip, keep[:, None])
    lost = {"no inner_b": ["inner_b"], "no outer_b": ["outer_b"]}
    lost["no norm b"] = ["norm_1_b", "norm_2_b"]
    p = p | {name: np.zeros_like(p[name]) for name in lost.get(slip, [])}
    if slip == "no norm w":
        p = p | {f"norm_{n}_w": np.ones_like(p["norm_1_w"]) for n in (1, 2)}
    if slip == "query for key":
        p = p | {"w_q": p["w_k"], "w_k": p["w_q"]}

    def look(x: Array, others: Array | None = None) -> Array:
        others = x if others is None else others
        q, k, v = x @ p["w_q"], others @ p["w_k"], others @ p["w_v"]
        return _attention(q, k, v, mask) @ p["w_o"]

    def think(x: Array) -> Array:
        inner = x @ p["inner_w"] + p["inner_b"]
        bent = {
            "no bend": inner,
            "bend last": inner,
            "bend before b": np.maximum(0, x @ p["inner_w"]) + p["inner_b"],
            "tanh": np.tanh(inner),
            "gelu": inner * (1 + np.vectorize(math.erf)(inner / 2**0.5)) / 2,
        }.get(slip, np.maximum(0, inner))
        out = bent @ p["outer_w"] + p["outer_b"]
        return np.maximum(0, out) if slip in ("bend last", "bend twice") else out

    def norm(x: Array, number: int) -> Array:
        number = {"one norm": 1, "norms exchanged": 3 - number}.get(slip, number)
        axis = {"norm of a sentence": (1, 2), "norm of the batch": (0, 1)}.get(slip, -1)
        epsilon = {"no ε": 0.0, "small ε": 1e-6, "large ε": 1e-3, "ε outside": 0.0}.get(slip, 1e-5)
        below = np.sqrt(x.var(axis, keepdims=True, ddof=slip == "sample") + epsilon)
        below = below + 1e-5 if slip == "ε outside" else below
        normed = (x - x.mean(axis, keepdims=True)) / below
        return normed * p[f"norm_{number}_w"] + p[f"norm_{number}_b"]

    return look, think, norm


def _block(x: Array, keep: Array, p: Mapping, norm_first: bool, slip: str = "") -> Array:
    look, think, norm = _parts(keep, p, slip)
    x = x * keep[..., None] if slip == "zeroed" else x
    if norm_first:
        x = x + look(norm(x, 1))
        return x + think(norm(x, 2))
    x = norm(x + look(x), 1)
    return norm(x + think(x), 2)


def _wrong_orders(x: Array, parts: Parts) -> dict[str, tuple[Array | None, Array | None]]:
    """Right parts in a wrong order: what comes out with the norms last, and with the norms first.
    None: the mistake can only be made in the other order."""
    look, think, norm = parts

    def last(a: Array) -> Array:
        return norm(a + think(a), 2)

    def first(a: Array) -> Array:
        return a + think(norm(a, 2))

    normed = norm(x, 1)
    a, b = norm(x + look(x), 1), x + look(normed)
    inside, outside = x + norm(look(x), 1), normed + look(normed)
    thought, late = norm(x + think(x), 2), x + think(norm(x, 2))
    return {
        "one residual around the whole layer; each of the two sub-layers has one": (
            norm(x + think(norm(look(x), 1)), 2),
            x + think(norm(look(normed), 2)),
        ),
        "no residuals: what enters a sub-layer is added to what leaves it": (
            norm(think(norm(look(x), 1)), 2),
            think(norm(look(normed), 2)),
        ),
        "the first residual is missing": (last(norm(look(x), 1)), first(look(normed))),
        "the second residual is missing": (norm(think(a), 2), think(norm(b, 2))),
        "the second residual adds the layer's input, not what entered the feed-forward network": (
            norm(x + think(a), 2),
            x + think(norm(b, 2)),
        ),
        "the residual adds the *normed* x; with norm_first x itself goes past it": (
            None,
            norm(outside, 2) + think(norm(outside, 2)),
        ),
        "the first residual adds the *normed* x; with norm_first x itself goes past the norm": (
            None,
            first(outside),
        ),
        "only the query was normed; key and value come from the same normed words": (
            None,
            first(x + look(normed, x)),
        ),
        "what leaves the sub-layer is normed and then added; the norm goes around the sum": (
            inside + norm(think(inside), 2),
            None,
        ),
        "with norm_first nothing is normed after the last sum": (None, norm(first(b), 2)),
        "both sub-layers read the layer's input; the second reads the first's result": (
            norm(a + think(x), 2),
            b + think(norm(x, 2)),
        ),
        "the first norm is missing": (last(x + look(x)), first(x + look(x))),
        "the feed-forward network comes before the look": (
            norm(thought + look(thought), 1),
            late + look(norm(late, 1)),
        ),
    }


PARTS = {
    "sample": "the variance of a norm is divided by D − 1",
    "no ε": "the norm's ε is not 1e-5",
    "small ε": "the norm's ε is not 1e-5",
    "large ε": "the norm's ε is not 1e-5",
    "queries": "the mask lies over the queries (B,T,1); padding is a property of the keys (B,1,T)",
    "inverted": "the mask is inverted: only padding is looked at",
    "all": "the mask is not used: real words look at padding",
    "no bend": "max(0, ·) between the two layers of the feed-forward network is missing",
    "triangle": "the decoder's triangle: words of the source see all words",
    "first keep": "the padding of the first sentence is used for all",
    "zeroed": "padding is set to zero, not hidden: it is still looked at, and has its weight",
    "query for key": "w_q and w_k are exchanged",
    "bend last": "max(0, ·) belongs between the two linear maps, not after the second",
    "bend twice": "max(0, ·) belongs between the two linear maps, not after the second",
    "bend before b": "max(0, ·) comes before inner_b is added",
    "tanh": "another bend than max(0, ·)",
    "gelu": "another bend than max(0, ·)",
    "no inner_b": "inner_b is not added",
    "no outer_b": "outer_b is not added",
    "no norm b": "the norms' shifts, norm_1_b and norm_2_b, are not added",
    "no norm w": "the norms' scales, norm_1_w and norm_2_w, are left out",
    "ε outside": "the norm's ε stands outside the root",
    "norm of a sentence": "a norm goes over a whole sentence, not over one word",
    "norm of the batch": "a norm goes over the words of the batch, not over one word",
    "one norm": "the first norm's parameters are used twice",
    "norms exchanged": "the parameters of the two norms are exchanged",
}


def _random_layer(draw: numpy.random.Generator, size: int, d_k: int, d_v: int, inner: int) -> dict:
    shapes = {"w_q": (size, d_k), "w_k": (size, d_k), "w_v": (size, d_v), "w_o": (d_v, size)}
    shapes |= {"norm_1_w": (size,), "norm_1_b": (size,), "norm_2_w": (size,), "norm_2_b": (size,)}
    shapes |= {"inner_w": (size, inner), "inner_b": (inner,)}
    shapes |= {"outer_w": (inner, size), "outer_b": (size,)}
    return {name: draw.standard_normal(shape) for name, shape in shapes.items()}


@exercise
def encoder_block(answer, draw):
    """Two residuals and two norms in either order; padding reaches no word, order no layer."""

    def call(x, keep, params):
        given = {"x": x, "keep": keep, "params": params, "attention": _attention}
        trial = _Brief(answer, **given, norm_first=norm_first)
        return trial, trial.output("the result")

    params, idle = _random_layer(draw, 3, 2, 4, 5), _random_layer(draw, 2, 1, 1, 1)
    idle |= {name: np.zeros_like(idle[name]) for name in ("w_o", "outer_w", "outer_b")}
    idle |= {f"norm_{n}_w": np.ones(2) for n in (1, 2)}
    idle |= {f"norm_{n}_b": np.zeros(2) for n in (1, 2)}
    few, every = np.array([[[1.0, 3.0], [6.0, 2.0]]]), np.ones((1, 2), dtype=bool)
    for name in ("inner_w", "outer_w", "inner_b", "outer_b"):  # one of two opposites is below 0
        params[name][..., 1] = -params[name][..., 0]
    x, keep = draw.standard_normal((2, 4, 3)), np.arange(4) < np.array([[2], [4]])
    for norm_first in (False, True):
        trial, result = call(x, keep, params)
        result.shape("(B,T,D)", x.shape)
        rows = result.value
        orders = part_of(_wrong_orders(x, _parts(keep, params)), norm_first)
        wrong = [pair for pair in orders.items() if pair[1] is not None]
        wrong += [(told, _block(x, keep, params, norm_first, slip)) for slip, told in PARTS.items()]
        wrong += [("norm_first is turned round", _block(x, keep, params, not norm_first))]
        cause = named(rows[keep], ((told, block[keep]) for told, block in wrong))
        cause = named(rows, wrong, cause)  # no mask and one over the queries differ in pads alone
        property = "sub-layers that add nothing (w_o, outer_w, outer_b are zeros) leave "
        property += "x as it is" if norm_first else "the normed x"
        expected = _block(few, every, idle, norm_first)
        idle_result = call(few, every, idle)[1]
        unnormed = not norm_first and close(idle_result.value, few)
        told = cause or ("the sum x + sublayer(x) is not normed" if unnormed else "")
        idle_result.equals(property, expected, cause=told, tolerance=1e-4)
        moved = call(np.where(keep[..., None], x, 9 - 2 * x), keep, params)[1].value
        told = cause or "padding is looked at, or a norm goes over the words of a sentence"
        property, same = "other numbers in the padding move no real word", rows[keep]
        trial.must(property, close(moved[keep], same), same, moved[keep], told)
        order = draw.permutation(4)
        mixed = call(x[:, order], keep[:, order], params)[1].value[keep[:, order]]
        same = rows[:, order][keep[:, order]]
        property = "words in another order come out in that order"
        trial.must(property, close(mixed, same), same, mixed, cause)
        expected = np.where(keep[..., None], _block(x, keep, params, norm_first), rows)
        property = "every real word is what the layer says"
        result.equals(property, expected, cause=cause)


# --- Step by step ---------------------------------------------------------------


def _one_look(query: Array, keys: list[Array], values: list[Array], root: float) -> Array:
    if not len(keys):
        return np.zeros(())  # as the notebook's `attention` does
    return softmax(np.array([query @ key for key in keys]) / root) @ np.array(values)


SEEN = {
    "newest": lambda kept: kept[-1:],
    "not itself": lambda kept: kept[:-1],
    "oldest": lambda kept: kept[:1],
    "last two": lambda kept: kept[-2:],
}


def _one_by_one(x: Array, memory: Array, keep: Array, p: Mapping, slip: str = "") -> Array:
    """Rows (B,T,D) of the layer, word after word, each sentence on its own."""
    (_, words, size), d_k, result = x.shape, p["w_q"].shape[1], np.zeros_like(x)
    table = _positions(words + memory.shape[1] + len(x), size)
    if slip == "memory with places":
        memory = memory + table[: memory.shape[1]]
    if slip == "own projections":
        p = p | {f"cross_{letter}": p[f"w_{letter}"] for letter in "qkv"}
    if slip == "no w_v":
        p = p | {"w_v": np.eye(size)}
    root = {"no scale": 1, "root of D": size**0.5}.get(slip, d_k**0.5)
    for b, t in np.ndindex(x.shape[:2]):
        if t == 0:
            keys, values = [], []
        places = {"at place 0": 0, "one late": t + 1, "one early": max(t - 1, 0), "at b": b}
        places |= {"at B": len(x), "at d_k": d_k, "at S": memory.shape[1]}
        h = x[b, t] + (0 if slip == "no places" else table[places.get(slip, t)])
        kept = {"keys and values": (x[b, t], x[b, t]), "keys": (x[b, t], h)}.get(slip, (h, h))
        keys, values = [*keys, kept[0] @ p["w_k"]], [*values, kept[1] @ p["w_v"]]
        seen = SEEN.get(slip, lambda kept: kept)
        looked = _one_look(h @ p["w_q"], seen(keys), seen(values), root)
        middle = looked if slip in ("no residual", "no first residual") else h + looked
        asked = h if slip == "asks too early" else middle
        masks = {"pads": keep[b] | True, "inverted": ~keep[b], "first keep": keep[0]}
        source = memory[b, masks.get(slip, keep[b])]
        if slip == "own keys":
            source = middle[None]
        keys_of, values_of = source @ p["cross_k"], source @ p["cross_v"]
        looked = _one_look(asked @ p["cross_q"], keys_of, values_of, root)
        result[b, t] = middle if slip == "no source" else middle + looked
        if slip in ("no residual", "no second residual"):
            result[b, t] = looked
    return result


STEPS = {
    "at place 0": "every step takes the place 0; the cache's length tells the place",
    "one late": "the place is one too large; the first word stands at place 0",
    "one early": "the place is one too small from the second word on",
    "at B": "the place is the number of sentences: `len` counts the first axis",
    "at b": "sentence b gets place b; all newest words stand at the same place",
    "at d_k": "the place is d_k; the axis of the words is the middle one",
    "at S": "the place is the length of the *source*",
    "no places": "no place is added to x",
    "keys and values": "the key and the value are made before the place is added",
    "keys": "the key is made before the place is added",
    "newest": "the word sees itself alone; the past is not used",
    "not itself": "the word does not see itself: its key and value belong into the past first",
    "oldest": "the word sees the oldest word alone: a triangle of one row, aligned at the top left",
    "last two": "only the last words are looked at, not the whole past",
    "no w_v": "w_v is not used: words are kept in place of their values",
    "no scale": "the scale 1/√d_k is missing",
    "root of D": "the scale is 1/√D; a score is a sum of d_k products",
    "no residual": "what enters a look must be added to what leaves it",
    "no first residual": "what enters the look back must be added to what leaves it",
    "no second residual": "what enters the look at the source must be added to what leaves it",
    "asks too early": "the query at the source was made before the look back was added",
    "pads": "keep is not used: the word looks at the source's padding",
    "first keep": "the padding of the first source is used for all",
    "own projections": "w_q, w_k and w_v are used for the source; it has cross_q, cross_k, cross_v",
    "memory with places": "places are added to memory; the encoder did that before",
    "inverted": "keep is turned round: the word looks at the source's padding alone",
    "own keys": "cross-attention takes keys and values from the decoder; they come from memory",
    "no source": "the look at the source is missing",
}


@exercise
def step_with_cache(answer, draw):
    """A step with a cache equals the whole target at once, also for reordered beams."""
    size, d_k, sources = 4, 3, 5
    names = ("w_q", "w_k", "w_v", "cross_q", "cross_k", "cross_v")
    columns = (d_k, d_k, size, d_k, d_k, size)
    params = {n: draw.standard_normal((size, c)) / 2 for n, c in zip(names, columns, strict=True)}
    keep = np.array([[True, True, True, False, False], [True] * 5])
    x, memory = draw.standard_normal((2, 4, size)), draw.standard_normal((2, sources, size))
    expected = _one_by_one(x, memory, keep, params)
    with np.errstate(all="ignore"):
        wrong = [(told, _one_by_one(x, memory, keep, params, slip)) for slip, told in STEPS.items()]

    def call(x, keys, values, rows=slice(None)):
        given = {"x": x, "keys": keys, "values": values, "memory": memory[rows], "keep": keep[rows]}
        trial = _Brief(answer, **given, params=params)
        return trial, trial.outputs("y", "keys", "values")

    keys, values, newest = np.zeros((2, 0, d_k)), np.zeros((2, 0, size)), []
    for t in range(x.shape[1]):
        before = keys, values
        _, (y, *cache) = call(x[:, t], *before)
        causes = {(2, 1, size): "one word a sentence: there is no axis T"}
        causes[1, size] = "only the first sentence is there"
        y.shape("(B,D)", (2, size), causes)
        for part, old, axes in zip(cache, before, ("(B,t+1,d_k)", "(B,t+1,D)"), strict=True):
            n = old.shape[-1]
            causes = {(2, t + 1, size + d_k - n): "keys and values are exchanged"}
            causes |= {(2, 1, n): "the past is gone: append to it"} if t else {}
            causes |= {(2, t, n): "the newest word is not in it"} if t != 1 else {}
            part.shape(axes, (2, t + 1, n), causes)
            front = t and close(part.value[:, 1:], old)
            cause = "the newest word was put in front" if front else ""
            got = Output(part.trial, part.name, part.value[:, :t])
            got.equals("the past comes back as it was, the newest word after it", old, cause=cause)
        newest.append(y)
        if t == 1:
            _, (other, *_) = call(x[:, t], *(part + [[[0]], [[1]]] for part in before))
            property = "another past of sentence 2 does not move the row of sentence 1"
            cause = "a sentence looks at another sentence's past: the first axis is the sentences'"
            other.trial.must(
                property, close(other.value[0], y.value[0]), y.value[0], other.value[0], cause
            )
        keys, values = (part.value for part in cache)
    got = np.stack([y.value for y in newest], axis=1)
    nothing = "a look at nothing at all: the word itself is always there"
    cause = named(got, wrong, nothing if np.isnan(got).any() else "")
    for t, y in enumerate(newest):
        property = f"step {t + 1} gives row {t + 1} of all at once"
        y.equals(property, expected[:, t], cause=cause)
    rows = [1, 0, 0]  # a beam goes on with some hypotheses, and with one of them twice
    picked = (part[rows] for part in before)
    _, (y, *_) = call(x[rows, -1], *picked, rows)
    property = "with rows [1, 0, 0] of the past it goes on for these rows, as a beam needs"
    cause = "something is remembered outside of keys and values"
    y.equals(property, expected[rows, -1], cause=cause)


# --- Fix the post ---------------------------------------------------------------

PROBES = ("order_blind", "mixes_words", "sees_the_future", "couples_the_batch")
ORDER = "the rows of the one are not put in the order of the other before they are compared, "
ORDER += "or the answer is turned round"
# Of each layer: the answers in that order, and what makes a probe of it go wrong.
ROUNDING = "exact equality: sums in another order differ in the sixteenth place"
SMALL = "the change is so small that its effect is lost: put in a really different word"
PAIRS = "not every place was tried: here word t + 3 moves row t, and no other word does"
LAYERS = {
    "feed_forward": (
        "yes no no no",
        {
            "order_blind": ORDER,
            "mixes_words": "the row of the changed word itself was compared, too",
            "sees_the_future": "row t itself was compared; the word at t may move it",
            "couples_the_batch": "the rows of the changed sentence were compared, too",
        },
    ),
    "attention": (
        "yes yes yes no",
        {
            "order_blind": ROUNDING,
            "sees_the_future": "the changed word must be *later* than the rows that are compared",
        },
    ),
    "layer_norm": ("yes no no no", {"couples_the_batch": ROUNDING}),
    "batch_norm": (
        "yes yes yes yes",
        {
            "mixes_words": SMALL,
            "couples_the_batch": "sentences were only put in another order, which mean and "
            "variance do not see: put in another sentence",
        },
    ),
    "causal_attention": (
        "no yes no no",
        {
            "order_blind": "one order that fits was enough, or sentences were put in another order "
            "in place of words",
            "sees_the_future": "later rows were compared; those *before* the changed word tell",
            "mixes_words": "only the last word was changed, which all other rows do not see",
        },
    ),
    "attention_with_positions": (
        "no yes yes no",
        {"sees_the_future": "it was concluded from other entries; each is measured by itself"},
    ),
    "feed_forward_with_positions": ("no no no no", {}),
    "feed_forward_with_positions_from_the_end": (
        "no no no no",
        {
            "sees_the_future": "the sentence was cut short: that changes its length, and here all "
            "places with it. Put another word in the place of one"
        },
    ),
    "three_words_ahead": ("no yes yes no", {"mixes_words": PAIRS, "sees_the_future": PAIRS}),
    "one_row_without_mask": (
        "no yes yes no",
        {"sees_the_future": "not every row was compared: only row 3 sees later words here"},
    ),
    "no_mask_if_the_first_number_is_large": (
        "no yes yes no",
        {
            "sees_the_future": "not every sentence was tried: only the last begins with a large "
            "number here, and sees later words"
        },
    ),
    "words_of_other_sentences": (
        "no no no yes",
        {
            name: "the word was changed in all sentences at once: what moved here came from "
            "*another* sentence"
            for name in ("mixes_words", "sees_the_future")
        },
    ),
    "last_but_one_hears_the_last": (
        "yes no no yes",
        {
            "couples_the_batch": "not every pair of sentences was tried: here the last moves the "
            "last but one, and no other does"
        },
    ),
    "recurrent_layer": ("no yes no no", {}),
    "attention_by_distance": (
        "no yes yes no",
        {"order_blind": "only the reversed order was tried: distances are the same backwards"},
    ),
    "attention_on_a_ring": (
        "no yes yes no",
        {"order_blind": "only a rotated or a reversed order was tried; try several random ones"},
    ),
    "mask_after_softmax": ("no yes yes no", {"sees_the_future": "the mask was looked at"}),
    "attention_to_a_prefix": (
        "no yes yes no",
        {
            "sees_the_future": "only the last word was changed; here the first rows see word 3",
            "order_blind": "only one exchange was tried, of words that are all alike to this layer",
        },
    ),
    "norm_then_one_word_ahead": (
        "no yes yes no",
        {
            name: "the change was a shift or a factor, which a layer norm forgets: put in another "
            "random word"
            for name in ("sees_the_future", "mixes_words")
        },
    ),
    "norm_over_the_sentence": (
        "no yes yes no",
        {"sees_the_future": "the mask is right, the norm leaks: only changed inputs show it"},
    ),
    "a_thousandth_of_the_mean": (
        "no yes yes no",
        {"sees_the_future": "a tolerance so wide that a small leak goes through"},
    ),
    "next_sentence": (
        "no yes no yes",
        {
            "couples_the_batch": "one sentence was changed and one other looked at; "
            "here a sentence moves only the one before it",
        },
    ),
}


def _layers(draw: numpy.random.Generator, size: int, words: int) -> dict[str, Callable]:
    w_q, w_k, w_v, w_1, w_2 = draw.standard_normal((5, size, size))
    place = np.arange(words)
    apart = np.abs(place[:, None] - place)
    table = draw.standard_normal((words, size))

    def normed(x, axis=-1):
        return (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + 1e-30)

    def scores(x):
        return np.einsum("btd,de,fe,bsf->bts", x, w_q, w_k, x) / size**0.5

    def attend(x, allowed=None, bias=0.0):
        found = scores(x) + bias
        if allowed is not None:
            found = np.where(allowed[: x.shape[1], : x.shape[1]], found, -np.inf)
        return _averages(found, x @ w_v)[0]

    def think(x):
        return np.maximum(x @ w_1, 0) @ w_2

    def recurrent(x):
        state, rows = np.zeros((len(x), size)), []
        for t in range(x.shape[1]):
            state = np.tanh(state @ w_1 + x[:, t] @ w_2)
            rows.append(state)
        return np.stack(rows, axis=1)

    def cut(x):
        return _averages(scores(x), x)[1] * np.tri(x.shape[1]) @ (x @ w_v)

    def by(distance):
        return lambda x: attend(x, bias=-distance[: x.shape[1], : x.shape[1]] / 2)

    def three_ahead(x):
        return np.concatenate([think(x)[:, :-3] + x[:, 3:], think(x)[:, -3:]], axis=1)

    def averages(x, rows=slice(0), sentences=slice(0)):
        """Means of the words so far; at these rows and in these sentences of all words."""
        found = np.cumsum(x, axis=1) / np.arange(1, x.shape[1] + 1)[:, None]
        found[:, rows] = found[:, -1:]
        found[sentences] = found[sentences, -1:]
        return found

    def of_others(x):
        others = (x.sum(0, keepdims=True) - x)[:, 1:]
        return np.concatenate([think(x)[:, :-1] + others, think(x)[:, -1:]], axis=1)

    def last_but_one(x):
        found = think(x)
        found[-2:-1] += x[-1:]
        return found

    past = np.tri(words, dtype=bool)
    placed = lambda x: x + table[: x.shape[1]]  # noqa: E731
    found = {
        "feed_forward": think,
        "attention": attend,
        "layer_norm": normed,
        "batch_norm": lambda x: normed(x, (0, 1)),
        "causal_attention": lambda x: attend(x, past),
        "attention_with_positions": lambda x: attend(placed(x)),
        "feed_forward_with_positions": lambda x: think(placed(x)),
        "feed_forward_with_positions_from_the_end": lambda x: think(
            x + table[x.shape[1] - 1 :: -1]
        ),
        "three_words_ahead": three_ahead,
        "one_row_without_mask": lambda x: averages(x, rows=slice(2, 3)),
        "no_mask_if_the_first_number_is_large": lambda x: averages(x, sentences=x[:, 0, 0] > 2),
        "words_of_other_sentences": of_others,
        "last_but_one_hears_the_last": last_but_one,
        "recurrent_layer": recurrent,
        "attention_by_distance": by(apart),
        "attention_on_a_ring": by(np.minimum(apart, words - apart) * 2),
        "mask_after_softmax": cut,
        "attention_to_a_prefix": lambda x: attend(x, past | (place < 3)),
        "norm_then_one_word_ahead": lambda x: attend(normed(x), np.tri(words, k=1, dtype=bool)),
        "norm_over_the_sentence": lambda x: attend(normed(x, 1), past),
        "a_thousandth_of_the_mean": lambda x: attend(x, past) + x.mean(1, keepdims=True) / 1000,
        "next_sentence": lambda x: attend(placed(x), past) + np.roll(x[:, :1], -1, axis=0) / 2,
    }
    for name, layer in found.items():
        layer.__name__ = name  # what a message calls it
    return found


@exercise
def fix_the_post(answer, draw):
    """Four properties measured on many layers: order, mixing, the future, the batch."""
    batch, words, size = 4, 6, 4
    layers = _layers(draw, size, words)
    for name, (truths, causes) in LAYERS.items():
        x = draw.standard_normal((batch, words, size))
        x[:, 0, 0] = [*np.minimum(x[:-1, 0, 0], 1), 3]
        trial = Trial(answer, layer=layers[name], x=x)
        trial.given = {"layer": name, "x": f"random numbers, (B,T,D) = {x.shape}"}
        found = trial.result
        told = "{" + ", ".join(f"{probe!r}: …" for probe in PROBES) + "}"
        kind = sorted(found) if isinstance(found, Mapping) else type(found).__name__
        trial.must("it returns a dict with four entries", kind == sorted(PROBES), told, str(kind))
        for probe, truth in zip(PROBES, truths.split(), strict=True):
            got, expected = found[probe], truth == "yes"
            told = f"{probe} is True or False"
            trial.must(told, isinstance(got, (bool, numpy.bool_)), "True or False", got)
            property = f"{probe} of {name} is {expected}"
            trial.must(property, bool(got) == expected, expected, bool(got), causes.get(probe, ""))
