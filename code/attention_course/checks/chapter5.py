"""Checks of Chapter 5's exercises: masks, positions, norms, a layer, a cache, and three probes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy

from attention_course.checks.core import CheckFailed, Trial, close, exercise, np, shown, slope

Array = numpy.ndarray
Mistakes = Iterable[tuple[str, Any]]


def _named(value: Any, mistakes: Mistakes, otherwise: str = "") -> str:
    """The mistake that gives this value."""
    found = (mistake for mistake, wrong in mistakes if close(value, wrong, 1e-6))
    return next(found, otherwise)


def _must_refuse(answer: Callable, property: str, told: str, cause: str, **given: Any) -> None:
    """Demand a ValueError whose message contains `told`."""
    expected = f"a ValueError that says {told}"
    try:
        got = shown(answer(*given.values()))
    except ValueError as error:
        if told in str(error):
            return
        got, cause = f"ValueError: {error}", "the message does not say what came"
    except NotImplementedError:
        Trial(answer, **given)  # which says that this is a stub
        raise
    except Exception as error:
        got = f"{type(error).__name__}: {error}"
    inputs = "\n".join(f"{name} = {shown(value)}" for name, value in given.items())
    raise CheckFailed(property, cause, given=inputs, expected=expected, got=got)


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
    told = "each word looks at itself and *later* words: rows and columns are exchanged"
    yield told, mask(lambda t, s: s >= past + t)
    told = "the triangle is aligned at the top left, as if the new words came before the past"
    yield told, mask(lambda t, s: s <= t)
    yield "the new words see the past alone, not themselves", mask(lambda t, s: s < past)
    yield "the past comes *after* the new words there", mask(lambda t, s: s <= t or s >= new)
    yield "nothing is forbidden: later words stand in plain sight", np.ones_like(right)


@exercise
def causal_mask(answer, draw):
    sizes = [(3, 0), (2, 3), (1, 4), (int(draw.integers(4, 8)), int(draw.integers(1, 4)))]
    for new, past in sizes:
        trial = Trial(answer, new=new, past=past)
        mask = trial.output("the mask")
        causes = {
            (new, new): "the columns of the past are missing",
            (past + new, new): "rows and columns are exchanged: a row belongs to who asks",
            (
                past + new,
                past + new,
            ): "the words of the past ask nothing any more: they have no rows",
        }
        mask.shape("(new, past + new)", (new, past + new), causes)
        cause = "numbers: `~` of 0 and 1 gives -1 and -2, and 0 added to a score forbids nothing"
        kind = str(mask.value.dtype)
        trial.must("the mask is boolean", kind == "bool", "bool", kind, cause)
        expected = np.tri(new, past + new, past, dtype=bool)
        property = "each word may attend to the past, to itself and to nothing later"
        mask.equals(property, expected, cause=_named(mask.value, _wrong_masks(new, past)))


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
    "one step early": lambda s, d, w: _rate(s + 1, d, w),
    "only the fall is there, no warm-up": lambda s, d, w: (s * d) ** -0.5,
    "only the rise is there, without end": lambda s, d, w: s * w**-1.5 / d**0.5,
    "after the warm-up the rate stays at its peak": lambda s, d, w: _rate(min(s, w), d, w),
}


@exercise
def noam(answer, draw):
    size, warmup = int(draw.integers(20, 60)), int(draw.integers(5, 50))
    cases = [(4, 4, 4), (1, 4, 4), (16, 4, 4), (4000, 512, 4000)]
    cases += [(step, size, warmup) for step in (1, warmup - 1, warmup, warmup + 1, 7 * warmup)]
    trials = [Trial(answer, step=s, size=d, warmup=w) for s, d, w in cases]
    rates = [trial.output("the rate") for trial in trials]
    for rate in rates:
        rate.shape("one number", ())
    wrong = ((told, [rate(*case) for case in cases]) for told, rate in NOAM.items())
    cause = _named([rate.value for rate in rates], wrong)
    property = "up in a straight line to step `warmup`, then down with 1/√step"
    for case, rate in zip(cases, rates, strict=True):
        rate.equals(property, _rate(*case), cause=cause, tolerance=1e-7)
    for step in (0, -3):
        cause = "step 0, at which 1/√step is no number; steps are counted from 1"
        property = "a step below 1 is refused"
        _must_refuse(answer, property, str(step), cause, step=step, size=16, warmup=10)


# --- Positions ------------------------------------------------------------------


def _waves(length: int, size: int, angle: Callable[[int, int], float]) -> Array:
    """Sines in columns 0, 2, 4, …, cosines in 1, 3, 5, …, of `angle(place, column)`."""
    table = np.zeros((length, size))
    for place, column in np.ndindex(length, size):
        table[place, column] = (np.cos if column % 2 else np.sin)(angle(place, column))
    return table


def _positions(length: int, size: int) -> Array:
    return _waves(length, size, lambda p, c: p / 10_000 ** ((c - c % 2) / size))


def _wrong_positions(length: int, size: int) -> Mistakes:
    right = _positions(length, size)
    yield (
        "the exponent holds i in place of 2i: i counts the pairs, 2i their first columns",
        _waves(length, size, lambda p, c: p / 10_000 ** (c // 2 / size)),
    )
    yield (
        "the exponent holds twice the column; i counts the pairs",
        _waves(length, size, lambda p, c: p / 10_000 ** (2 * c / size)),
    )
    yield (
        "the exponent holds the column: the sine and the cosine of a pair need one frequency",
        _waves(length, size, lambda p, c: p / 10_000 ** (c / size)),
    )
    halves = np.concatenate([right[:, 0::2], right[:, 1::2]], axis=1)
    yield "all sines first, then all cosines; here a pair stands in neighbouring columns", halves
    yield (
        "sine and cosine are exchanged",
        right.reshape(length, -1, 2)[..., ::-1].reshape(length, size),
    )
    yield "places are counted from 1; the first is place 0", _positions(length + 1, size)[1:]
    faster = _waves(length, size, lambda p, c: p * 10_000 ** ((c - c % 2) / size))
    yield "the sign of the exponent: the frequencies rise from pair to pair", faster
    told = "each place has a frequency of its own; each *pair of columns* has one, a place has none"
    for number in (lambda c: c // 2, lambda c: c - c % 2, lambda c: c, lambda c: 1):
        for scale in (size, length):
            for factor in (1, 2):
                yield (
                    told,
                    _waves(length, size, lambda p, c: number(c) / 10_000 ** (factor * p / scale)),  # noqa: B023
                )


@exercise
def positional_encoding(answer, draw):
    cases = [(3, 4), (int(draw.integers(5, 9)), 6), (4, 2 * int(draw.integers(5, 8)))]
    for length, size in cases:
        trial = Trial(answer, length=length, size=size)
        table = trial.output("the table")
        causes = {(size, length): "rows and columns are exchanged: a row belongs to a place"}
        table.shape("(T,D)", (length, size), causes)
        got, mistakes = table.value, list(_wrong_positions(length, size))
        cause = _named(got, mistakes)
        first = np.arange(size) % 2
        property = "at place 0 every sine is 0 and every cosine 1"
        trial.must(property, close(got[0], first, 1e-6), first, got[0], cause)
        pairs = got[:, 0::2] ** 2 + got[:, 1::2] ** 2
        property = "columns 2i and 2i + 1 are the sine and the cosine of one angle: sin² + cos² = 1"
        trial.must(property, close(pairs, np.ones_like(pairs), 1e-6), "1", pairs, cause)
        hands = got[:, 1::2] + 1j * got[:, 0::2]
        turns = np.angle(hands[1:] / hands[:-1])
        property = "from each place to the next, a pair turns by the same angle"
        even = close(np.exp(1j * turns), np.exp(1j * turns[:1]) + 0 * turns, 1e-6)
        otherwise = (
            "a frequency that depends on the place; a pair has a frequency, a place has none"
        )
        trial.must(property, even, "one angle a pair", turns, _named(got, mistakes, otherwise))
        property = "pair i turns by 10000^(−2i/D) at each place"
        table.equals(property, _positions(length, size), cause=cause, tolerance=1e-6)
    for size in (5, 1):
        cause = "the last sine has no cosine, and nothing says so"
        property = "an odd number of columns is refused"
        _must_refuse(answer, property, str(size), cause, length=3, size=size)


# --- Find the bug ---------------------------------------------------------------


def _averages(scores: Array, value: Array) -> tuple[Array, Array]:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    return weights @ value, weights


def _looks(scores: Array, value: Array, past: int = 0) -> tuple[Array, Array]:
    """Row t by row t, over the first `t + 1 + past` words."""
    weights = np.zeros_like(scores)
    for b, t in np.ndindex(scores.shape[:2]):
        seen = scores[b, t, : t + 1 + past]
        powers = np.exp(seen - seen.max())
        weights[b, t, : t + 1 + past] = powers / powers.sum()
    return weights @ value, weights


def _wrong_looks(scores: Array, value: Array, d_k: int) -> Iterable[tuple[str, Array]]:
    allowed = np.tri(scores.shape[1], dtype=bool)
    cut = _averages(scores, value)[1] * allowed
    told = "the bug as found: later words are taken out of the weights, and yet a row knows of them"
    yield told, cut @ value
    yield (
        "later words get the score 0, which is a score like any other",
        _averages(scores * allowed, value)[0],
    )
    told = "later words are only pushed down: their weight must be exactly 0"
    for low in (-5, -10, -20, -100):
        yield told, _averages(np.where(allowed, scores, low), value)[0]
        yield told, _averages(scores + np.where(allowed, 0, low), value)[0]
    yield (
        "the mask is upside down: each row sees itself and later words",
        _averages(np.where(allowed.T, scores, -np.inf), value)[0],
    )
    yield "there is no mask: later words stand in plain sight", _averages(scores, value)[0]
    yield "each row sees one later word", _looks(scores, value, 1)[0]
    yield (
        "no row sees its own word",
        _averages(np.where(np.tri(len(allowed), k=-1), scores, -1e9), value)[0],
    )
    yield "the scale 1/√d_k was in order, and is gone", _looks(scores * d_k**0.5, value)[0]
    yield (
        "the softmax goes over the queries",
        _averages(np.where(allowed, scores, -np.inf).swapaxes(1, 2), value)[1].swapaxes(1, 2)
        @ value,
    )


@exercise
def look_back(answer, draw):
    w_q, w_k = np.zeros((3, 4)), np.zeros((3, 4))
    w_q[:, 0], w_k[:, 0] = [2, 0, -2], np.log([1, 2, 4])
    small = np.eye(3)[None], w_q, w_k, np.array([[1.0], [2.0], [4.0]])
    large = [draw.standard_normal(shape) for shape in ((2, 5, 6), (6, 3), (6, 3), (6, 4))]
    for x, w_q, w_k, w_v in (small, large):
        (batch, words, _), d_k = x.shape, w_q.shape[1]
        scores = np.einsum("btd,dk,ek,bse->bts", x, w_q, w_k, x) / d_k**0.5
        expected, expected_weights = _looks(scores, x @ w_v)
        wrong = list(_wrong_looks(scores, x @ w_v, d_k))
        last = x.copy()
        last[:, -1] = 1000 * x[:, 0] @ w_q @ w_k.T  # the first word asks for just this
        with np.errstate(all="ignore"):
            trial = Trial(answer, x=x, w_q=w_q, w_k=w_k, w_v=w_v)
            far = Trial(answer, x=last, w_q=w_q, w_k=w_k, w_v=w_v)
        context, weights = trial.outputs("context", "weights")
        context.shape("(B,T,d_v)", (batch, words, w_v.shape[1]))
        weights.shape("(B,T,T)", (batch, words, words))
        cause = _named(context.value, wrong)
        later = weights.value * (1 - np.tri(words))
        property = "later words have the weight 0"
        trial.must(property, not later.any(), "zeros above the diagonal", weights.value, cause)
        sums = weights.value.sum(axis=-1)
        property = "what each row gives to the words it may see sums to 1"
        trial.must(property, close(sums, np.ones_like(sums), 1e-6), "1", sums, cause)
        context.equals("the context", expected, cause=cause, tolerance=1e-6)
        weights.equals("the weights", expected_weights, tolerance=1e-6)
        cause = (
            "later words are taken out after the softmax and the rows divided by their sums: "
            "where a later word has a huge score, nothing is left to divide"
        )
        rows = far.outputs("context", "weights")[0].value[:, :-1]
        property = "another last word moves no earlier row, however large its scores"
        far.must(property, close(rows, expected[:, :-1], 1e-6), expected[:, :-1], rows, cause)


# --- Label smoothing ------------------------------------------------------------


def _smoothed(logits: Array, targets: Array, pad: int, smoothing: float, slip: str = "") -> float:
    size, losses = logits.shape[-1], []
    for b, t in np.ndindex(targets.shape):
        target = targets[b, t]
        if target == pad and not slip.startswith("pads"):
            continue
        row = logits[b, t] - logits[b, t].max()
        log_probs = row - np.log(np.exp(row).sum())
        if slip == "twice":
            log_probs = np.exp(log_probs) - np.log(np.exp(np.exp(log_probs)).sum())
        others = [v for v in range(size) if v not in (target, pad)]
        if slip in ("on pad", "pads"):
            others = [v for v in range(size) if v != target]
        wanted = np.zeros(size)
        wanted[others] = smoothing / len(others)
        wanted[target] = 1 - smoothing
        if slip == "pads, all 0" and target == pad:
            wanted[pad] = 0
        if slip == "library":
            wanted = (1 - smoothing) * np.eye(size)[target] + smoothing / size
        if slip == "no pad, target too":
            wanted = np.where(np.arange(size) == pad, 0, smoothing / (size - 1))
            wanted[target] += 1 - smoothing
        if slip == "on pad, /(V-2)":
            wanted = np.full(size, smoothing / (size - 2))
            wanted[target] = 1 - smoothing
        if slip == "target left out":
            wanted[target] = 0
        if slip == "swapped":
            wanted[others], wanted[target] = (1 - smoothing) / len(others), smoothing
        if slip == "probabilities":
            losses.append((b, -np.log(wanted @ np.exp(log_probs))))
        else:
            losses.append((b, -wanted @ log_probs))
    values = [loss for _, loss in losses]
    if slip == "sum":
        return float(sum(values))
    if slip == "B*T":
        return float(sum(values) / targets.size)
    if slip == "sentences":
        means = [[v for c, v in losses if c == b] for b in range(len(targets))]
        return float(np.mean([np.mean(each) for each in means if each]))
    return float(np.mean(values))


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
    "sentences": "the mean of the sentences' means: a word in a short sentence weighs more",
    "sum": "the sum over the words, not the mean",
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
    def call(logits, targets, smoothing):
        with np.errstate(all="ignore"):
            trial = Trial(answer, logits=logits, targets=targets, pad=pad, smoothing=smoothing)
        return trial.output("the loss")

    small = np.log([[[1.0, 1, 2, 4], [1, 4, 2, 1]]]), np.array([[3, 0]]), 0, 0.2
    lengths = np.array([5, 2, 4])
    targets = np.where(np.arange(5) < lengths[:, None], draw.integers(3, 7, (3, 5)), 2)
    for case in (small, (draw.standard_normal((3, 5, 7)) * 2, targets, 2, 0.1)):
        logits, targets, pad, smoothing = case
        expected, unsmoothed = _smoothed(*case), _smoothed(logits, targets, pad, 0.0)
        loss = call(logits, targets, smoothing)
        loss.shape("one number", ())
        cause = _named(loss.value, _wrong_losses(*case))
        plain = call(logits, targets, 0.0)
        told = cause or _named(plain.value, _wrong_losses(logits, targets, pad, 0.0))
        property = "with ε = 0 it is the mean cross-entropy of the words that are not pads"
        plain.equals(property, unsmoothed, cause=told, tolerance=1e-6)
        wider = np.pad(targets, ((0, 0), (0, 2)), constant_values=pad)
        padded = call(np.pad(logits, ((0, 0), (0, 2), (0, 0))), wider, smoothing)
        property = "two more columns of padding change nothing"
        padded.equals(property, float(loss.value), cause=cause, tolerance=1e-6)
        property = "1 − ε on the target, ε shared by the others, nothing on pad"
        loss.equals(property, expected, cause=cause, tolerance=1e-6)
        property = "1000 added to every logit changes nothing"
        cause = "exp(1000) is infinite: take the largest logit of each row away first"
        call(logits + 1000, targets, smoothing).equals(
            property, expected, cause=cause, tolerance=1e-6
        )


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
    if x.shape[-1] > 1:
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
    sigma = np.sqrt(x.var(-1, keepdims=True) + epsilon)
    normed = (x - x.mean(-1, keepdims=True)) / sigma
    d = dy * w
    average = d.mean(-1, keepdims=True)
    product = normed * (d * normed).mean(-1, keepdims=True)
    yield "mean and variance are taken for constants; both depend on x", d / sigma
    yield "the variance is taken for a constant; it depends on x", (d - average) / sigma
    yield "the mean is taken for a constant; it depends on x", (d - product) / sigma
    yield (
        "w is missing on the way back",
        (dy - dy.mean(-1, keepdims=True) - normed * (dy * normed).mean(-1, keepdims=True)) / sigma,
    )
    yield "the division by σ is missing on the way back", d - average - product
    yield "a sign: the part of the variance is added", (d - average + product) / sigma
    yield (
        "sums over D where means belong",
        (d - d.sum(-1, keepdims=True) - normed * (d * normed).sum(-1, keepdims=True)) / sigma,
    )


def _norm_slopes(x: Array, w: Array, b: Array, epsilon: float, dy: Array) -> list[Array]:
    """dx, dw, db of the sum of dy ∘ y, by small changes."""
    given = x, w, b

    def total(number: int, changed: Array) -> float:
        arrays = [changed if n == number else array for n, array in enumerate(given)]
        return float((_norm(*arrays, epsilon) * dy).sum())

    return [slope(lambda a, n=n: total(n, a), array) for n, array in enumerate(given)]


@exercise
def layer_norm(answer, draw):
    one = np.array([[[2.0, 6.0]]]), np.ones(2), np.zeros(2), 12.0, np.array([[[1.0, 0.0]]])
    x, dy = draw.standard_normal((2, 2, 3, 4))
    w, b = draw.standard_normal((2, 4))
    for case in (one, (3 * x + 1, w, b, 0.5, dy)):
        x, w, b, epsilon, dy = case
        trial = Trial(answer, x=x, w=w, b=b, epsilon=epsilon, dy=dy)
        y, dx, dw, db = trial.outputs("y", "dx", "dw", "db")
        y.shape("(B,T,D)", x.shape)
        with np.errstate(all="ignore"):
            cause = _named(y.value, _wrong_norms(x, w, b, epsilon))
        property = "each word has mean 0 and variance near 1 before w and b"
        y.equals(property, _norm(x, w, b, epsilon), cause=cause, tolerance=1e-6)
        slopes = _norm_slopes(*case)
        normed = _norm(x, np.ones_like(w), np.zeros_like(b), epsilon)
        mean, summed = (
            "the mean over the words, not the sum",
            "w and b are shared by all words: sum",
        )
        causes = {x.shape: summed, x.shape[1:]: summed}
        db.shape("(D,)", w.shape, causes)
        db.equals("db", slopes[2], {mean: dy.mean((0, 1))}, tolerance=1e-6)
        dw.shape("(D,)", w.shape, causes)
        wrong = {mean: (dy * normed).mean((0, 1)), "that is db": dy.sum((0, 1))}
        wrong["x itself in place of the normed x"] = (dy * x).sum((0, 1))
        wrong["y, with w and b, in place of the normed x"] = (dy * y.value).sum((0, 1))
        dw.equals("dw", slopes[1], wrong, tolerance=1e-6)
        dx.shape("(B,T,D)", x.shape)
        cause = _named(dx.value, _wrong_norm_gradients(x, w, epsilon, dy))
        property = "dx agrees with what a small change of x does to the sum of dy ∘ y"
        dx.equals(property, slopes[0], cause=cause, tolerance=1e-6)
    flat = np.full((1, 1, 4), 7.0)
    with np.errstate(all="ignore"):
        trial = Trial(answer, x=flat, w=w, b=b, epsilon=1e-5, dy=dy[:1, :1])
    y, dx, *_ = trial.outputs("y", "dx", "dw", "db")
    cause = "a division by 0: ε belongs under the root"
    y.equals("of four equal numbers y is b", b[None, None], cause=cause, tolerance=1e-6)
    trial.must("dx is finite there", bool(np.isfinite(dx.value).all()), "numbers", dx.value, cause)


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
            powers = np.exp(scores - scores.max())
            context[b, t] = powers / powers.sum() @ value[b, seen]
    return context


def _block(x: Array, keep: Array, p: Mapping, norm_first: bool, slip: str = "") -> Array:
    masks = {"queries": keep[:, :, None], "inverted": ~keep[:, None]}
    masks["all"] = np.ones_like(keep)[:, None]
    mask = masks.get(slip, keep[:, None])

    def norm(x: Array, number: int) -> Array:
        number = {"one norm": 1, "norms exchanged": 3 - number}.get(slip, number)
        w, b = p[f"norm_{number}_w"], p[f"norm_{number}_b"]
        if slip == "sample":
            return (x - x.mean(-1, keepdims=True)) / np.sqrt(
                x.var(-1, keepdims=True, ddof=1) + 1e-5
            ) * w + b
        return _norm(x, w, b, {"no ε": 0.0, "small ε": 1e-6, "large ε": 1e-3}.get(slip, 1e-5))

    def look(x: Array) -> Array:
        q, k, v = (np.einsum("btd,de->bte", x, p[name]) for name in ("w_q", "w_k", "w_v"))
        return _attention(q, k, v, mask) @ p["w_o"]

    def think(x: Array) -> Array:
        inner = x @ p["inner_w"] + p["inner_b"]
        return (inner if slip == "no bend" else inner * (inner > 0)) @ p["outer_w"] + p["outer_b"]

    if slip == "around the whole":
        return (
            x + think(norm(look(norm(x, 1)), 2))
            if norm_first
            else norm(x + think(norm(look(x), 1)), 2)
        )
    if slip == "no residual":
        return think(norm(look(norm(x, 1)), 2)) if norm_first else norm(think(norm(look(x), 1)), 2)
    if slip == "of the normed" and norm_first:
        x = norm(x, 1) + look(norm(x, 1))
        return norm(x, 2) + think(norm(x, 2))
    if slip == "first of the normed" and norm_first:
        x = norm(x, 1) + look(norm(x, 1))
        return x + think(norm(x, 2))
    if slip == "first input twice":
        first = x + look(norm(x, 1)) if norm_first else norm(x + look(x), 1)
        return x + think(norm(first, 2)) if norm_first else norm(x + think(first), 2)
    if slip == "query alone" and norm_first:
        q, k, v = (a @ p[name] for a, name in ((norm(x, 1), "w_q"), (x, "w_k"), (x, "w_v")))
        x = x + _attention(q, k, v, mask) @ p["w_o"]
        return x + think(norm(x, 2))
    if slip == "norm of the sub-layer" and not norm_first:
        x = x + norm(look(x), 1)
        return x + norm(think(x), 2)
    if slip == "norm at the end" and norm_first:
        x = x + look(norm(x, 1))
        return norm(x + think(norm(x, 2)), 2)
    for number, part in enumerate((look, think), start=1):
        before = norm(x, number) if norm_first else x
        x = part(before) if slip == f"no residual {number}" else x + part(before)
        x = x if norm_first else norm(x, number)
    return x


BLOCK = {
    "around the whole": "one residual around the whole layer; each of the two sub-layers has one",
    "no residual": "no residuals: what enters a sub-layer is added to what leaves it",
    "no residual 1": "the first residual is missing",
    "no residual 2": "the second residual is missing",
    "sample": "the variance of a norm is divided by D − 1",
    "no ε": "the norm's ε is not 1e-5",
    "small ε": "the norm's ε is not 1e-5",
    "large ε": "the norm's ε is not 1e-5",
    "first input twice": "the second residual adds the layer's input, not what entered the "
    "feed-forward network",
    "of the normed": "the residual adds the *normed* x; with norm_first x itself goes past it",
    "first of the normed": "the first residual adds the *normed* x; with norm_first x itself "
    "goes past the norm",
    "query alone": "only the query was normed; key and value come from the same normed words",
    "norm of the sub-layer": "what leaves the sub-layer is normed and then added; the norm goes "
    "around the sum",
    "norm at the end": "with norm_first nothing is normed after the last sum",
    "queries": "the mask lies over the queries (B,T,1); padding is a property of the keys (B,1,T)",
    "inverted": "the mask is inverted: only padding is looked at",
    "all": "the mask is not used: real words look at padding",
    "no bend": "max(0, ·) between the two layers of the feed-forward network is missing",
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
    def call(x, keep, params):
        given = {"x": x, "keep": keep, "params": params, "attention": _attention}
        trial = _Brief(answer, **given, norm_first=norm_first)
        return trial, trial.output("the result")

    params, idle = _random_layer(draw, 3, 2, 4, 5), _random_layer(draw, 2, 1, 1, 1)
    idle |= {name: np.zeros_like(idle[name]) for name in ("w_o", "outer_w", "outer_b")}
    idle |= {f"norm_{n}_w": np.ones(2) for n in (1, 2)}
    idle |= {f"norm_{n}_b": np.zeros(2) for n in (1, 2)}
    few, every = np.array([[[1.0, 3.0], [6.0, 2.0]]]), np.ones((1, 2), dtype=bool)
    x, keep = draw.standard_normal((2, 4, 3)), np.arange(4) < np.array([[4], [2]])
    for norm_first in (False, True):
        trial, result = call(x, keep, params)
        result.shape("(B,T,D)", x.shape)
        rows = result.value
        wrong = [(told, _block(x, keep, params, norm_first, slip)) for slip, told in BLOCK.items()]
        wrong += [("norm_first is turned round", _block(x, keep, params, not norm_first))]
        cause = _named(rows[keep], ((told, block[keep]) for told, block in wrong))
        cause = _named(rows, wrong, cause)  # no mask and one over the queries differ in pads alone
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
        trial.must(property, close(moved[keep], same, 1e-6), same, moved[keep], told)
        order = draw.permutation(4)
        mixed = call(x[:, order], keep[:, order], params)[1].value[keep[:, order]]
        same, property = (
            rows[:, order][keep[:, order]],
            "words in another order come out in that order",
        )
        trial.must(property, close(mixed, same, 1e-6), same, mixed, cause)
        expected = np.where(keep[..., None], _block(x, keep, params, norm_first), rows)
        property = "every real word is what the layer says"
        result.equals(property, expected, cause=cause, tolerance=1e-6)


# --- Step by step ---------------------------------------------------------------


def _one_look(query: Array, keys: list[Array], values: list[Array], scale: bool = True) -> Array:
    if not len(keys):
        return np.zeros(())  # as the notebook's `attention` does
    scores = np.array([query @ key for key in keys]) / (len(query) ** 0.5 if scale else 1)
    powers = np.exp(scores - scores.max())
    return sum(p * value for p, value in zip(powers, values, strict=True)) / powers.sum()


def _one_by_one(x: Array, memory: Array, keep: Array, p: Mapping, slip: str = "") -> Array:
    """Rows (B,T,D) of the layer, word after word, each sentence on its own."""
    table, result = _positions(x.shape[1] + 1, x.shape[2]), np.zeros_like(x)
    for b, t in np.ndindex(x.shape[:2]):
        if t == 0:
            keys, values = [], []
        place = {"at place 0": 0, "one late": t + 1}.get(slip, t)
        h = x[b, t] + (0 if slip == "no places" else table[place])
        kept = {"keys and values": (x[b, t], x[b, t]), "keys": (x[b, t], h)}.get(slip, (h, h))
        keys, values = [*keys, kept[0] @ p["w_k"]], [*values, kept[1] @ p["w_v"]]
        seen = {"newest": slice(-1, None), "not itself": slice(-1)}.get(slip, slice(None))
        looked = _one_look(h @ p["w_q"], keys[seen], values[seen], slip != "no scale")
        middle = looked if slip in ("no residual", "no first residual") else h + looked
        asked = h if slip == "asks too early" else middle
        seen = {"pads": keep[b] | True, "inverted": ~keep[b]}.get(slip, keep[b])
        source = memory[b, seen]
        if slip == "own keys":
            source = middle[None]
        keys_of, values_of = source @ p["cross_k"], source @ p["cross_v"]
        looked = _one_look(asked @ p["cross_q"], keys_of, values_of, slip != "no scale")
        result[b, t] = middle if slip == "no source" else middle + looked
        if slip in ("no residual", "no second residual"):
            result[b, t] = looked
    return result


STEPS = {
    "at place 0": "every step takes the place 0; the cache's length tells the place",
    "one late": "the place is one too large; the first word stands at place 0",
    "no places": "no place is added to x",
    "keys and values": "the key and the value are made before the place is added",
    "keys": "the key is made before the place is added",
    "newest": "the word sees itself alone; the past is not used",
    "not itself": "the word does not see itself: its key and value belong into the past first",
    "no scale": "the scale 1/√d_k is missing",
    "no residual": "what enters a look must be added to what leaves it",
    "no first residual": "what enters the look back must be added to what leaves it",
    "no second residual": "what enters the look at the source must be added to what leaves it",
    "asks too early": "the query at the source was made before the look back was added",
    "pads": "keep is not used: the word looks at the source's padding",
    "inverted": "keep is turned round: the word looks at the source's padding alone",
    "own keys": "cross-attention takes keys and values from the decoder; they come from memory",
    "no source": "the look at the source is missing",
}


@exercise
def step_with_cache(answer, draw):
    size, d_k, sources = 4, 3, 5
    names = ("w_q", "w_k", "w_v", "cross_q", "cross_k", "cross_v")
    columns = (d_k, d_k, size, d_k, d_k, size)
    params = {n: draw.standard_normal((size, c)) for n, c in zip(names, columns, strict=True)}
    keep = np.array([[True] * 5, [True, True, True, False, False]])
    x, memory = draw.standard_normal((2, 4, size)), draw.standard_normal((2, sources, size))
    expected = _one_by_one(x, memory, keep, params)
    with np.errstate(all="ignore"):
        wrong = [(told, _one_by_one(x, memory, keep, params, slip)) for slip, told in STEPS.items()]

    def call(x, keys, values, rows=slice(None)):
        given = {"x": x, "keys": keys, "values": values, "memory": memory[rows], "keep": keep[rows]}
        with np.errstate(all="ignore"):
            trial = _Brief(answer, **given, params=params)
        return trial, trial.outputs("y", "keys", "values")

    keys, values = np.zeros((2, 0, d_k)), np.zeros((2, 0, size))
    for t in range(x.shape[1]):
        before = keys, values
        _, (y, *cache) = call(x[:, t], keys, values)
        y.shape("(B,D)", (2, size), {(2, 1, size): "one word a sentence: there is no axis T"})
        causes = {(2, t, n): "the newest word is not in it" for n in (d_k, size)} if t else {}
        causes |= {(2, 1, n): "the past is gone: append to it" for n in (d_k, size) if t}
        cache[0].shape("(B,t+1,d_k)", (2, t + 1, d_k), causes)
        cache[1].shape("(B,t+1,D)", (2, t + 1, size), causes)
        nothing = "a look at nothing at all: the word itself is always there"
        otherwise = nothing if np.isnan(y.value).any() else ""
        cause = _named(y.value, ((told, rows[:, t]) for told, rows in wrong), otherwise)
        property = f"step {t + 1} gives row {t + 1} of all at once"
        y.equals(property, expected[:, t], cause=cause, tolerance=1e-6)
        keys, values = (part.value for part in cache)
    rows = [1, 0, 0]  # a beam goes on with some hypotheses, and with one of them twice
    picked = (part[rows] for part in before)
    _, (y, *_) = call(x[rows, -1], *picked, rows)
    property = "with rows [1, 0, 0] of the past it goes on for these rows, as a beam needs"
    cause = "something is remembered outside of keys and values"
    y.equals(property, expected[rows, -1], cause=cause, tolerance=1e-6)


# --- Fix the post ---------------------------------------------------------------

PROBES = ("order_blind", "mixes_words", "sees_the_future", "couples_the_batch")
ORDER = "the rows of the one are not put in the order of the other before they are compared"
# Of each layer: the answers in that order, and what makes a probe of it go wrong.
ROUNDING = "exact equality: sums in another order differ in the sixteenth place"
LAYERS = {
    "feed_forward": ("yes no no no", {"order_blind": ORDER}),
    "attention": (
        "yes yes yes no",
        {
            "order_blind": ROUNDING,
            "sees_the_future": "the changed word must be *later* than the rows that are compared",
        },
    ),
    "layer_norm": ("yes no no no", {"couples_the_batch": ROUNDING}),
    "batch_norm": ("yes yes yes yes", {}),
    "causal_attention": (
        "no yes no no",
        {
            "sees_the_future": "row t itself was compared; the word at t may move it",
            "mixes_words": "only the last word was changed, which all other rows do not see",
        },
    ),
    "attention_with_positions": ("no yes yes no", {}),
    "feed_forward_with_positions": ("no no no no", {}),
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
    batch, words, size = 4, 6, 4
    layers = _layers(draw, size, words)
    for name, (truths, causes) in LAYERS.items():
        x = draw.standard_normal((batch, words, size))
        with np.errstate(all="ignore"):
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
