"""Checks of Chapter 2's exercises: softmax, weighted sums, attention, masks, gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy

from attention_course.checks.core import Output, Trial, close, exercise, np, slope

ROUNDING = 1e-6
ALL_LN = np.log([[1.0, 2.0, 4.0]])


def _softmax(scores: numpy.ndarray, axis: int = -1) -> numpy.ndarray:
    """One row after the other; a row of −∞ alone becomes zeros."""
    moved = np.moveaxis(np.asarray(scores, dtype=float), axis, -1)
    weights = np.zeros(moved.shape)
    for place in np.ndindex(moved.shape[:-1]):
        top = moved[place].max()
        if top > -math.inf:
            shares = [math.exp(score - top) for score in moved[place]]
            weights[place] = [share / math.fsum(shares) for share in shares]
    return np.moveaxis(weights, -1, axis)


def _scores(query: numpy.ndarray, key: numpy.ndarray) -> numpy.ndarray:
    """q · k for each pair, (B,T,S)."""
    pairs = zip(query, key, strict=True)
    return np.array([[[np.dot(q, k) for k in keys] for q in queries] for queries, keys in pairs])


def _named(got: numpy.ndarray, mistakes: Mapping[str, numpy.ndarray], otherwise: str = "") -> str:
    """The mistake that gives what an answer has given."""
    same = (name for name, wrong in mistakes.items() if close(got, wrong, ROUNDING))
    return next(same, otherwise)


def _finite(output: Output, expected: numpy.ndarray, cause: str) -> None:
    finite = bool(np.isfinite(output.value).all())
    output.trial.must(f"{output.name} is finite", finite, expected, output.value, cause)


# 2.1


@exercise
def softmax(answer, draw):
    def tried(x, axis):
        trial = Trial(answer, x=np.asarray(x, dtype=float), axis=axis)
        got = trial.output("the softmax")
        got.shape("of x", np.shape(x))
        return got, _softmax(x, axis)

    got, right = tried(ALL_LN[0], 0)
    mistakes = {
        "the exponentials are not divided by their sum": [1, 2, 4],
        "the numbers themselves were divided by their sum, without np.exp": ALL_LN[0] / np.log(8),
    }
    got.equals("ln 1, ln 2, ln 4 become 1/7, 2/7, 4/7", right, mistakes, tolerance=ROUNDING)
    table = np.log([[1.0, 3.0, 4.0], [2.0, 1.0, 2.0]])
    for axis in (0, 1, -1):
        got, right = tried(table, axis)
        mistakes = {
            "the sum ran along the other axis": _softmax(table, 1 if axis == 0 else 0),
            "the sum ran over the whole array": np.exp(table) / np.exp(table).sum(),
        }
        got.equals("it sums to 1 along `axis`", right, mistakes, tolerance=ROUNDING)
    got, right = tried(ALL_LN + 1e4, -1)
    cause = "np.exp(10000) overflows to inf; only differences matter, so subtract the maximum first"
    got.equals("10,000 more everywhere changes nothing", right, {}, cause, ROUNDING)
    got, right = tried([[-1e4, np.log(3) - 1e4], [0, 0]], -1)
    cause = "one maximum for the whole array was subtracted: row 0 becomes 0/0. Take each row's own"
    got.equals("a row far below the others has its weights, too", right, {}, cause, ROUNDING)
    got, right = tried([[-np.inf, 0, np.log(3)], [0, -np.inf, -np.inf]], -1)
    cause = "not the maximum was subtracted but a number that −∞ changes, such as the mean"
    got.equals("−∞ gets the weight 0", right, {}, cause, ROUNDING)
    exact = bool((got.value[right == 0] == 0).all())
    got.trial.must("−∞ gets exactly 0", exact, right, got.value, "a small number was added")
    for axis in range(3):
        got, right = tried(draw.normal(size=(3, 4, 5)) * 3, axis)
        got.equals("it is right for three axes", right, tolerance=ROUNDING)


# 2.2


def _spreads(raw: numpy.ndarray, scaled: numpy.ndarray, axis: int = -1, of=-1) -> numpy.ndarray:
    """The table, with a softmax along `axis` and the largest weights along `of`."""
    return np.array([[s.std(), _softmax(s, axis).max(axis=of).mean()] for s in (raw, scaled)])


def _spread_mistakes(raw: numpy.ndarray, d: int, keys: int) -> dict[str, numpy.ndarray]:
    root = math.sqrt(d)
    right = _spreads(raw, raw / root)
    spread, largest = right.T
    weights = [_softmax(scores) for scores in (raw, raw / root)]
    ddof = math.sqrt(raw.size / (raw.size - 1))
    return {
        "rows and columns are swapped": right.T,
        "the rows are swapped": right[::-1],
        "the columns are swapped": right[:, ::-1],
        "the scores were divided by d instead of √d": _spreads(raw, raw / d),
        "the scores were multiplied by √d": _spreads(raw, raw * root),
        "√ of the number of keys was taken, not of d": _spreads(raw, raw / math.sqrt(keys)),
        "both rows hold the scores as they are; the second is to be divided by √d": right[[0, 0]],
        "the variance was taken; the spread is its root": np.stack([spread**2, largest], axis=1),
        "ddof=1; NumPy's own standard deviation divides by the number of scores": right * [ddof, 1],
        "the spread is that of the weights; asked for is the scores'": np.stack(
            [[each.std() for each in weights], largest], axis=1
        ),
        "the weights were divided by √d, not the scores": np.stack(
            [spread, largest[0] / np.array([1, root])], axis=1
        ),
        "the largest weight of all rows; asked for is the mean of the rows' largest": np.stack(
            [spread, [each.max() for each in weights]], axis=1
        ),
        "the largest *score* was taken, not the largest weight": np.stack(
            [spread, [s.max(axis=-1).mean() for s in (raw, raw / root)]], axis=1
        ),
        "the spread was taken of each row; asked for is that of all scores together": np.stack(
            [[s.std(axis=-1).mean() for s in (raw, raw / root)], largest], axis=1
        ),
        "the softmax ran over the batch, not over the keys": _spreads(raw, raw / root, 0),
        "the softmax ran over the queries, not over the keys": _spreads(raw, raw / root, 1),
        "softmax and maximum ran over the batch, not over the keys": _spreads(
            raw, raw / root, 0, of=0
        ),
        "softmax and maximum ran over the queries, not over the keys": _spreads(
            raw, raw / root, 1, of=1
        ),
    }


@exercise
def score_spread(answer, draw):
    small = (
        np.log(2) * np.array([[[2.0, 0, 0, 0], [4, 0, 0, 0]]]),
        np.array([[[0.0, 0, 0, 0], [1, 0, 0, 0], [2, 0, 0, 0]]]),
    )
    drawn = draw.normal(size=(2, 3, 6)), draw.normal(size=(2, 4, 6)) + 0.5
    for query, key in (small, drawn):
        raw, d = _scores(query, key), query.shape[-1]
        got = Trial(answer, query=query, key=key).output("the table")
        got.shape("(2,2)", (2, 2))
        told = "rows q · k and q · k / √d; columns spread and mean largest weight"
        right, mistakes = _spreads(raw, raw / math.sqrt(d)), _spread_mistakes(raw, d, key.shape[1])
        got.equals(told, right, mistakes, tolerance=ROUNDING)


# 2.3


def _sum_mistakes(weights: numpy.ndarray, states: numpy.ndarray) -> dict[str, numpy.ndarray]:
    weighted = weights[:, :, None] * states
    across = np.tile(weights, (1, states.shape[2])).reshape(states.shape)
    mistakes = {
        "the weights were repeated along the wrong axis, so the numbers of one state got different \
weights": (across * states).sum(axis=1),
        "the states were added without their weights": states.sum(axis=1),
        "the mean was taken; the weights share out the whole already": weighted.mean(axis=1),
    }
    if states.shape[1] == states.shape[2]:
        name = "the sum ran over the numbers of a state, not over the states"
        mistakes[name] = weighted.sum(axis=2)
    return mistakes


def _sum_gradients(dweights, dstates, weights, states, dcontext) -> None:
    """Compare both gradients with finite differences of loops."""

    def loss(w, h):
        parts = [w[b, j] * np.dot(h[b, j], dcontext[b]) for b, j in np.ndindex(w.shape)]
        return math.fsum(parts)

    wide = np.broadcast_to(dcontext[:, None, :], states.shape)
    crossed = {}
    if states.shape[1] == states.shape[2]:
        name = "the sum runs over the states; each weight wants the sum over its state's numbers"
        crossed[name] = (wide * states).sum(axis=1)
    dweights.equals(
        "dweights says how the loss changes with a weight",
        slope(lambda w: loss(w, states), weights),
        crossed
        | {
            "dcontext was added up without the states": wide.sum(axis=2),
            "the weights are in it once too often": (wide * states).sum(axis=2) * weights,
            "the mean was taken instead of the sum": (wide * states).mean(axis=2),
            "dcontext is missing: these are the states alone": states.sum(axis=2),
        },
        tolerance=ROUNDING,
    )
    dstates.equals(
        "dstates says how the loss changes with a state",
        slope(lambda h: loss(weights, h), states),
        {
            "every state got the whole of dcontext; its share is its weight": wide,
            "dcontext is missing: these are the weights alone": (
                np.broadcast_to(weights[:, :, None], states.shape)
            ),
            "the states are in it; only weights and dcontext belong there": wide
            * states
            * weights[:, :, None],
            "dcontext is missing: these are the weighted states": weights[:, :, None] * states,
            "dcontext was shared out evenly": wide / states.shape[1],
        },
        tolerance=ROUNDING,
    )


@exercise
def weight_sum(answer, draw):
    small = (
        np.array([[1.0, 2.0, 4.0]]) / 7,
        np.array([[[7.0, 0.0], [0.0, 7.0], [7.0, 7.0]]]),
        np.array([[1.0, 2.0]]),
    )
    cases = [small]
    for b, s, h in ((2, 5, 3), (3, 4, 4)):
        weights = _softmax(draw.normal(size=(b, s)))
        cases.append((weights, draw.normal(size=(b, s, h)), draw.normal(size=(b, h))))
    for weights, states, dcontext in cases:
        b, s, h = states.shape
        right = np.array([sum(weights[i, j] * states[i, j] for j in range(s)) for i in range(b)])
        trial = Trial(answer, weights=weights, states=states, dcontext=dcontext)
        context, dweights, dstates = trial.outputs("context", "dweights", "dstates")
        causes = {
            (b, s): "the sum ran over the numbers of a state, not over the states",
            (b, s, h): "weighted, but not added up",
            (b, 1, h): "the axis that was added up is still there",
        }
        context.shape("(B,H)", (b, h), causes if s != h else {})
        places = {(b, s, h): "dweights and dstates have changed places"}
        dweights.shape("(B,S)", (b, s), places)
        dstates.shape("(B,S,H)", (b, s, h))
        mistakes = _sum_mistakes(weights, states)
        context.equals("context = Σ weight × state", right, mistakes, tolerance=ROUNDING)
        _sum_gradients(dweights, dstates, weights, states, dcontext)


# 2.4


def _softmax_mistakes(weights: numpy.ndarray, dweights: numpy.ndarray) -> dict:
    product = weights * dweights
    average = product.sum(axis=-1, keepdims=True)
    mistakes = {
        "only the diagonal of the derivative, as if each weight had a sigmoid of its own": (
            product * (1 - weights)
        ),
        "the rows' average of dweights is not subtracted": product,
        "the average was taken without the weights": (
            weights * (dweights - dweights.mean(axis=-1, keepdims=True))
        ),
        "the sum of dweights was subtracted, not their weighted average": (
            weights * (dweights - dweights.sum(axis=-1, keepdims=True))
        ),
        "the average was added, not subtracted": weights * (dweights + average),
        "the factor in front, the weight itself, is missing": dweights - average,
        "the average was subtracted without the weight in front of it": product - average,
        "the sign is turned round": weights * (average - dweights),
        "one sum for all rows; each row has its own average": (
            weights * (dweights - product.sum())
        ),
    }
    if weights.ndim > 1:
        column = product.sum(axis=-2, keepdims=True)
        mistakes["the sum ran down the columns, not along the rows"] = weights * (dweights - column)
        if weights.shape[-1] == weights.shape[-2]:
            flat = np.swapaxes(average, -1, -2)
            mistakes["keepdims is missing: the average of row i was subtracted in column i"] = (
                weights * (dweights - flat)
            )
    return mistakes


@exercise
def softmax_backward(answer, draw):
    scores = np.log([[1.0, 2.0, 4.0], [2.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    dweights = np.array([[1.0, 2.0, 4.0], [0.0, 4.0, 2.0], [3.0, 0.0, 0.0]])
    cases = [((_softmax(scores), dweights), scores)]
    for shape in ((4, 4), (2, 3, 4)):
        scores = draw.normal(size=shape)
        cases.append(((_softmax(scores), draw.normal(size=shape)), scores))
    for (weights, dweights), scores in cases:

        def loss(changed, dweights=dweights):
            return float((_softmax(changed) * dweights).sum())

        trial = Trial(answer, weights=weights, dweights=dweights)
        got = trial.output("dscores")
        causes = {
            (*weights.shape, weights.shape[-1]): "this is the whole derivative of every weight by \
every score; multiply it by dweights and add up",
        }
        got.shape("of weights", weights.shape, causes)
        right, mistakes = slope(loss, scores), _softmax_mistakes(weights, dweights)
        got.equals("dscores is the slope of the loss", right, mistakes, tolerance=ROUNDING)
    one_hot = np.array([[0.0, 1.0, 0.0]])
    got = Trial(answer, weights=one_hot, dweights=np.array([[5.0, -1.0, 2.0]])).output("dscores")
    got.equals("a softmax that has decided passes no gradient", one_hot * 0, tolerance=ROUNDING)


# 2.5


def _mask_mistakes(scores: numpy.ndarray, mask: numpy.ndarray) -> dict[str, numpy.ndarray]:
    mask = np.broadcast_to(mask, scores.shape)
    other = "the mask was taken the other way round; True means: may attend"
    large = ", and a large negative number stands for −∞"
    return {
        other: _softmax(np.where(mask, -np.inf, scores)),
        other + large: _softmax(np.where(mask, -1e9, scores)),
        "the mask was not used": _softmax(scores),
        "the scores were multiplied by the mask: a score of 0 is not 'no attention', exp(0) = 1": (
            _softmax(scores * mask)
        ),
        "the mask was multiplied in after the softmax, and what remains no longer sums to 1": (
            _softmax(scores) * mask
        ),
        "the mask was added to the scores": _softmax(scores + mask),
    }


def _scale_mistakes(raw: numpy.ndarray, mask: numpy.ndarray, d: int, d_v: int) -> dict:
    def softly(scores, axis=-1):
        return _softmax(np.where(mask, scores, -np.inf), axis)

    right = raw / math.sqrt(d)
    return {
        "the scores are not divided by √d_k": softly(raw),
        "the scores were divided by d_k, not by its root": softly(raw / d),
        "the scores were multiplied by √d_k": softly(raw * math.sqrt(d)),
        "the scores were divided by √d_v": softly(raw / math.sqrt(d_v)),
        "the scores were divided by √S": softly(raw / math.sqrt(raw.shape[-1])),
        "the softmax ran over the queries, not over the keys": softly(right, 1),
        "the softmax ran over the batch, not over the keys": softly(right, 0),
    }


@exercise
def attend(answer, draw):
    small = (
        2 * np.log(2) * np.array([[[1.0, 1, 0, 0]] * 2]),
        np.array([[[0.0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]]]),
        np.array([[[7.0, 0.0], [0.0, 7.0], [7.0, 7.0]]]),
        np.array([[[True, True, True], [True, True, False]]]),
    )
    shapes = ((2, 3, 4), (2, 5, 4), (2, 5, 6))
    drawn = [draw.normal(size=shape) for shape in shapes]
    each = draw.random((2, 3, 5)) < 0.6
    each[..., 2], each[..., 4] = True, False
    padding = np.arange(5) < np.array([[[5]], [[2]]])
    for query, key, value, mask in (small, (*drawn, each), (*drawn, padding), (*drawn, None)):
        allowed = np.broadcast_to(True if mask is None else mask, (*query.shape[:2], key.shape[1]))
        (b, t, s), d, d_v = allowed.shape, key.shape[2], value.shape[2]
        raw = _scores(query, key)
        right = _softmax(np.where(allowed, raw / math.sqrt(d), -np.inf))
        average = np.stack([w @ v for w, v in zip(right, value, strict=True)])
        trial = Trial(answer, query=query, key=key, value=value, mask=mask)
        context, weights = trial.outputs("context", "weights")
        swapped = dict.fromkeys([(b, t, s), (b, t, d_v)], "context and weights changed places")
        turned = {(b, s, t): "it is transposed: a row for each query"}
        weights.shape("(B,T,S)", (b, t, s), turned | swapped)
        keys = {(b, t, d): "the keys were averaged, not the values"}
        context.shape("(B,T,d_v)", (b, t, d_v), swapped | keys)
        cause = "softmax of a row of −∞ alone, as when the mask is read the other way round"
        _finite(weights, right, cause)
        named = _mask_mistakes(raw / math.sqrt(d), allowed) | _scale_mistakes(raw, allowed, d, d_v)
        got, zero = weights.value, bool((weights.value[~allowed] == 0).all())
        cause = _named(got, named, "a number that is not −∞ stands for the forbidden scores")
        trial.must("a forbidden key gets exactly 0", zero, right, got, cause)
        whole = close(got.sum(axis=-1), np.ones((b, t)), ROUNDING)
        trial.must("each row of weights sums to 1", whole, right, got, _named(got, named))
        weights.equals("weights = softmax(q · k / √d_k)", right, named, tolerance=ROUNDING)
        plain = np.stack([_softmax(r) @ v for r, v in zip(raw / math.sqrt(d), value, strict=True)])
        mistakes = {"the context was made with weights that know no mask": plain}
        context.equals("context = Σ weight × value", average, mistakes, tolerance=ROUNDING)


# 2.6


def _padding_mistakes(real: numpy.ndarray, lengths: numpy.ndarray, wrong: str) -> dict:
    """`real` (B,S): True where a token is; the mistakes for a mask that is True there."""
    places = np.arange(real.shape[1])
    return {
        wrong: ~real,
        "the comparison is <= instead of <: one place too many": places <= lengths[:, None],
        "the last real token is missing": places < lengths[:, None] - 1,
        "the padding stands on the left here; it is on the right": real[:, ::-1],
    }


def _laid_out(mask: numpy.ndarray, shape: tuple[int, ...], ignore: bool) -> numpy.ndarray:
    """(B,S) with as many axes between as `shape` has, and the other polarity if `ignore`."""
    rows, size = mask.shape
    return np.broadcast_to(mask.reshape(rows, *[1] * (len(shape) - 2), size) != ignore, shape)


def _compare_mask(output: Output, axes: str, shape: tuple[int, ...], real, lengths) -> None:
    ignore, (rows, size) = len(shape) == 2, real.shape
    causes = {
        (rows, size, shape[-2]): "rows and columns are swapped: queries come first, then keys",
        (rows, size): "(B,S) has no axis for queries: a library would take its B for them",
        (rows, size, 1): "this masks queries; padding is a property of the keys",
        (rows, size, size): "there are T queries, and they need not be as many as keys",
        (rows, 1, size): "count the axes, and the queries, in the table",
    }
    output.shape(axes, shape, causes)
    boolean = output.value.dtype == bool
    cause = "numbers instead of booleans; PyTorch would *add* such a mask to the scores"
    output.trial.must(f"{output.name} is boolean", boolean, "bool", output.value.dtype.name, cause)
    means = "ignore" if ignore else "may attend"
    told = _padding_mistakes(real, lengths, f"the other polarity; here True means: {means}")
    mistakes = {name: _laid_out(mask, shape, ignore) for name, mask in told.items()}
    right = _laid_out(real, shape, ignore)
    output.equals(f"in {output.name} True means: {means}", right, mistakes)


@exercise
def library_masks(answer, draw):
    cases = [(np.array([3, 1]), 4, 2), (draw.permutation([5, 4, 2, 1]), 5, 4)]
    cases.append((draw.integers(1, 7, size=3), 6, 5))
    for lengths, size, queries in cases:
        rows = len(lengths)
        real = np.array([[j < length for j in range(size)] for length in lengths])
        trial = Trial(answer, lengths=lengths, size=size, queries=queries)
        outputs = trial.outputs("course", "key_padding_mask", "attn_mask", "attention_mask")
        plans = (
            ("(B,1,S)", (rows, 1, size)),
            ("(B,S)", (rows, size)),
            ("(B,1,1,S)", (rows, 1, 1, size)),
            ("(B,T,S)", (rows, queries, size)),
        )
        for output, (axes, shape) in zip(outputs, plans, strict=True):
            _compare_mask(output, axes, shape, real, lengths)


# 2.7


@exercise
def attention_over_time(answer, draw):
    small = np.log(2) * np.array([[[1.0, 1.0], [1.0, 0.0]]]), np.array([[[0.0, 0], [1, 0], [1, 1]]])
    drawn = draw.normal(size=(2, 4, 3)), draw.normal(size=(2, 5, 3))
    square = draw.normal(size=(3, 3, 4)), draw.normal(size=(3, 3, 4))
    for query, states in (small, drawn, square):
        b, t, s = *query.shape[:2], states.shape[1]
        scores = _scores(query, states)
        right = _softmax(scores)
        average = np.stack([w @ h for w, h in zip(right, states, strict=True)])
        trial = Trial(answer, query=query, states=states)
        context, weights = trial.outputs("context", "weights")
        causes = {
            (b, s): "the weights of one step alone have been kept",
            (b, 1, s): "the weights of one step alone have been kept",
            (t, b, s): "the steps were stacked as the first axis; the batch comes first",
            (b, s, t): "it is transposed: a row for each step, a column for each state",
        }
        context.shape("(B,T,H)", average.shape, {(t, b, average.shape[2]): causes[t, b, s]})
        weights.shape("(B,T,S)", right.shape, causes if t > 1 else {})
        mistakes = {
            "the scores have been divided by √H; the function did not, and need not": np.stack(
                [
                    _softmax(r / math.sqrt(query.shape[2])) @ h
                    for r, h in zip(scores, states, strict=True)
                ]
            ),
            "every step has the last step's context": average[:, [-1] * t],
        }
        told = "the context is right (as it was in the function found)"
        context.equals(told, average, mistakes, tolerance=ROUNDING)
        mistakes = {
            "every row shows where the *last* step looked": right[:, [-1] * t],
            "every row shows where the *first* step looked": right[:, [0] * t],
            "the steps are in the wrong order": right[:, ::-1],
            "the columns are in the wrong order": right[:, :, ::-1],
            "the softmax ran over the steps, not over the states": _softmax(scores, 1),
            "the softmax ran over the batch, not over the states": _softmax(scores, 0),
            "these are the scores, before the softmax": scores,
        }
        if b == t:
            stacked = np.swapaxes(right, 0, 1)
            mistakes["batch and steps have changed places, which only shows if B ≠ T"] = stacked
        told = "row t shows where step t looked: its weights give the context of step t"
        weights.equals(told, right, mistakes, tolerance=ROUNDING)


# 2.8


def _attention_paths(query, states, dcontext, forward: float, backward: float) -> dict:
    """The parts of the gradient, for scores multiplied by `forward`, gradients by `backward`."""
    weights = _softmax(_scores(query, states) * forward)
    dweights = np.einsum("bth,bsh->bts", dcontext, states)
    average = np.einsum("bts,bts->bt", weights, dweights)[:, :, None]
    parts = {}
    for name, dscores in (
        ("whole", weights * (dweights - average)),
        ("half", weights * (1 - weights) * dweights),
        ("naive", weights * dweights),
    ):
        parts[name, "query"] = np.einsum("bts,bsh->bth", dscores, states) * backward
        parts[name, "key"] = np.einsum("bts,bth->bsh", dscores, query) * backward
    parts["value"] = np.einsum("bts,bth->bsh", weights, dcontext)
    return parts


def _backward_mistakes(query, states, dcontext) -> tuple[dict, dict]:
    given, root = (query, states, dcontext), math.sqrt(query.shape[2])
    parts = _attention_paths(*given, 1 / root, 1 / root)
    unscaled, forgotten = _attention_paths(*given, 1, 1), _attention_paths(*given, 1 / root, 1)
    once = _attention_paths(query[:, -1:], states, dcontext[:, -1:], 1 / root, 1 / root)
    tables = (
        ("the scores were not divided by √H", unscaled, "whole"),
        ("forward divides by √H, backward forgets it", forgotten, "whole"),
        ("half a derivative: the softmax's diagonal alone", parts, "half"),
        ("the softmax's derivative lacks the rows' average of dweights", parts, "naive"),
    )
    dquery = {name: table[kind, "query"] for name, table, kind in tables}
    dstates = {
        "only the path through the values": parts["value"],
        "only the path through the keys": parts["whole", "key"],
        "one path is subtracted from the other; they add up": parts["value"]
        - parts["whole", "key"],
        "only the last query's part; a state is used by all of them": (
            once["whole", "key"] + once["value"]
        ),
        "the mean of the two paths; they add up": (parts["value"] + parts["whole", "key"]) / 2,
        "the value path was divided by √H, too": parts["value"] / root + parts["whole", "key"],
    }
    dstates |= {name: table[kind, "key"] + table["value"] for name, table, kind in tables}
    return dquery, dstates


@exercise
def attention_backward(answer, draw):
    small = np.ones((1, 1, 1)), ALL_LN[:, :, None], np.ones((1, 1, 1))
    shapes = ((2, 3, 4), (2, 5, 4), (2, 3, 4))
    for query, states, dcontext in (small, [draw.normal(size=shape) for shape in shapes]):
        root = math.sqrt(query.shape[2])

        def loss(query, states, dcontext=dcontext, root=root):
            weights = _softmax(_scores(query, states) / root)
            pairs = zip(weights, states, dcontext, strict=True)
            return float(sum(((w @ h) * dc).sum() for w, h, dc in pairs))

        right_query = slope(lambda q, h=states: loss(q, h), query)
        right_states = slope(lambda h, q=query: loss(q, h), states)
        query_mistakes, states_mistakes = _backward_mistakes(query, states, dcontext)
        trial = Trial(answer, query=query, states=states, dcontext=dcontext)
        dquery, dstates = trial.outputs("dquery", "dstates")
        swapped = {states.shape: "dquery and dstates have changed places"}
        dquery.shape("(B,T,H)", query.shape, swapped)
        dstates.shape("(B,S,H)", states.shape)
        told = "dquery is the slope of the loss"
        dquery.equals(told, right_query, query_mistakes, tolerance=ROUNDING)
        told = "dstates is the slope of the loss, through keys and values"
        dstates.equals(told, right_states, states_mistakes, tolerance=ROUNDING)


# 2.9


def _empty_cases(draw) -> list[tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]]:
    """Scores, mask, dweights: an empty row; high and impossible scores where forbidden; drawn."""
    t, f = True, False
    small = np.array([[[t, t, t], [t, t, f], [f, f, f]]])
    high = np.array([[[0.0, np.log(3), 1e4], [1e4, np.log(3) + 1e4, 0.0]]])
    never = np.array([[[0.0, np.log(3), np.nan], [np.inf, np.nan, -np.inf]]])
    dweights = np.array([[[1.0, 2.0, 4.0]]])
    cases = [
        (np.repeat(ALL_LN[None], 3, axis=1), small, np.repeat(dweights, 3, axis=1)),
        (high, np.array([[[t, t, f], [t, t, f]]]), np.repeat(dweights, 2, axis=1)),
        (never, np.array([[[t, t, f], [f, f, f]]]), np.repeat(dweights, 2, axis=1)),
    ]
    padding = np.arange(5) < np.array([4, 0, 2])[:, None, None]
    cases.append((draw.normal(size=(3, 2, 5)), padding, draw.normal(size=(3, 2, 5))))
    return cases


def _empty_mistakes(given: numpy.ndarray, allowed: numpy.ndarray, right: numpy.ndarray) -> dict:
    """Wrong weights, by what was done wrong; `given`: the scores, with 0 for inf and NaN."""
    some = allowed.any(axis=-1, keepdims=True)
    high = given.max(axis=-1, keepdims=True)
    shares = np.exp(given - high) * allowed
    total = shares.sum(axis=-1, keepdims=True)
    lost = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
    mistakes = {
        "a row without keys became uniform: a large negative number stands for −∞": (
            np.where(some, right, 1 / given.shape[-1])
        ),
        "the maximum was taken over forbidden places too; beside it, allowed ones came out as 0": (
            lost
        ),
    }
    twice = "the scores were multiplied by the mask before: exp(0) = 1 is in the denominator"
    mistakes[twice] = _softmax(given * allowed) * allowed
    return mistakes | _mask_mistakes(given, allowed)


def _empty_weights(weights: Output, right, named, allowed, top) -> None:
    """`top`: the highest allowed score of each row."""
    got, some = weights.value, allowed.any(axis=-1)
    lost = ~np.isfinite(got).all(axis=-1)
    cause = "np.exp(10000) overflows to inf; subtract the maximum of the allowed scores first"
    if (lost & ~some).any():
        cause = "0/0 in a row without keys, or −∞ minus −∞, its maximum"
    elif (top[lost] < 700).any():
        cause = "a forbidden score was computed with: as the maximum, or times 0 (inf · 0 is NaN)"
    _finite(weights, right, cause)
    zero = bool((got[~allowed] == 0).all())
    told = "forbidden places get exactly 0, in a row without keys as well"
    small = "a number that is not −∞ stands for the forbidden scores"
    weights.trial.must(told, zero, right, got, _named(got, named, small))
    short = "something was added to the denominator, and rows with keys sum to less than 1"
    whole = close(got.sum(axis=-1), some, ROUNDING)
    weights.trial.must("rows with keys sum to 1", whole, right, got, _named(got, named, short))
    weights.equals("a softmax over the allowed places", right, named, tolerance=ROUNDING)


def _empty_gradient(dscores: Output, weights, dweights, allowed) -> None:
    right = np.zeros(weights.shape)
    for place in np.ndindex(weights.shape):
        for i in range(weights.shape[-1]):
            row = (*place[:-1], i)
            right[place] += dweights[row] * weights[row] * ((row == place) - weights[place])
    _finite(dscores, right, "NaN or inf of the forward pass went on; it needs zeros already")
    mistakes = _softmax_mistakes(weights, dweights)
    mistakes |= {f"{name}; allowed places only": w * allowed for name, w in mistakes.items()}
    told = "dscores is the slope of the loss, and 0 where nothing may be attended"
    dscores.equals(told, right, mistakes, tolerance=ROUNDING)


@exercise
def no_empty_rows(answer, draw):
    for scores, mask, dweights in _empty_cases(draw):
        allowed = np.broadcast_to(mask, scores.shape)
        known = np.where(allowed, scores, -np.inf)
        right = _softmax(known)
        named = _empty_mistakes(np.where(np.isfinite(scores), scores, 0), allowed, right)
        trial = Trial(answer, scores=scores, mask=mask, dweights=dweights)
        weights, dscores = trial.outputs("weights", "dscores")
        weights.shape("(B,T,S)", scores.shape)
        dscores.shape("(B,T,S)", scores.shape)
        _empty_weights(weights, right, named, allowed, known.max(axis=-1))
        _empty_gradient(dscores, right, dweights, allowed)
