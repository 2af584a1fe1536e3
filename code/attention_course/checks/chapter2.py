"""Checks of Chapter 2's exercises: softmax, weighted sums, attention, masks, gradients."""

from __future__ import annotations

import math

from attention_course.checks.core import (
    Array,
    Output,
    Trial,
    attempt,
    close,
    exercise,
    named,
    np,
    slopes,
    weighted_sum,
)
from attention_course.checks.core import softmax as _softmax  # an exercise has this name, too

ALL_LN = np.log([[1.0, 2.0, 4.0]])


def _scores(query: Array, key: Array) -> Array:
    """q · k for each pair, (B,T,S)."""
    pairs = zip(query, key, strict=True)
    return np.array([[[np.dot(q, k) for k in keys] for q in queries] for queries, keys in pairs])


# 2.1


def _digits(got: Output, right: Array, otherwise: str = "") -> str:
    if close(got.value, right, 5e-3):
        return "nearly right: numbers of fewer digits than float64, or a small one added"
    return otherwise


def _softmax_basics(tried) -> None:
    shares = np.array([1.0, 2.0, 4.0])
    shifted = ALL_LN[0] - ALL_LN.max()
    got, right = tried(ALL_LN[0], 0)
    mistakes = {
        "the exponentials are not divided by their sum": shares,
        "the exponentials, the largest of them 1, are not divided by their sum": shares / 4,
        "the numbers themselves were divided by their sum, without np.exp": ALL_LN[0] / np.log(8),
        "what np.exp should be taken of was divided by its sum": shifted / shifted.sum(),
        "this is the logarithm of the softmax": np.log(shares / 7),
        "powers of 2 instead of powers of e": 2.0 ** ALL_LN[0] / (2.0 ** ALL_LN[0]).sum(),
    }
    told = "ln 1, ln 2, ln 4 become 1/7, 2/7, 4/7"
    got.equals(told, right, mistakes, _digits(got, right), tolerance=1e-8)
    table = np.log([[1.0, 3.0, 4.0], [2.0, 1.0, 2.0]])
    for axis in (0, 1, -1):
        other = 1 if axis == 0 else 0
        shares = np.exp(table - table.max(axis=axis, keepdims=True))
        got, right = tried(table, axis)
        mistakes = {
            "the sum ran along the other axis": _softmax(table, other),
            "the maximum ran along `axis`, but the sum along the other axis": (
                shares / shares.sum(axis=other, keepdims=True)
            ),
            "the sum ran over the whole array": np.exp(table) / np.exp(table).sum(),
            "the sum ran over the whole array; only the maximum did not": shares / shares.sum(),
        }
        got.equals("it sums to 1 along `axis`", right, mistakes)


def _softmax_far_away(tried) -> None:
    got, right = tried(ALL_LN + 1e4, -1)
    cause = "np.exp(10000) overflows to inf; only differences matter, so subtract the maximum first"
    if np.isfinite(got.value).all():
        cause = "large numbers were cut off, and with that the differences between them"
    told, cause = "10,000 more everywhere changes nothing", _digits(got, right, cause)
    got.equals(told, right, cause=cause)
    got, right = tried([[-1e4, np.log(3) - 1e4]], -1)
    cause = "all exponentials became 0: the maximum started at 0, or was one of absolute values"
    told, cause = "10,000 less everywhere changes nothing", _digits(got, right, cause)
    got.equals(told, right, cause=cause)
    got, right = tried([[-1e4, np.log(3) - 1e4], [0, 0]], -1)
    cause = "one maximum for the whole array was subtracted: row 0 becomes 0/0. Take each row's own"
    got.equals("a row far below the others has its weights, too", right, cause=cause)


def _softmax_of_infinity(tried) -> None:
    finite = "a finite number stands for −∞, or a small number was added"
    got, right = tried([[-np.inf, 0, np.log(3)], [0, -np.inf, -np.inf]], -1)
    cause = "not the maximum was subtracted but a number that −∞ changes: the mean, the minimum"
    if np.isfinite(got.value).all():
        cause = finite
    zeros = _softmax(np.array([[0, 0, np.log(3)], [0, 0, 0]]))
    mistakes = {"−∞ became 0 before, and 0 is a score like any other: exp(0) = 1": zeros}
    got.equals("−∞ gets the weight 0", right, mistakes, cause)
    exact = (got.value[right == 0] == 0).all()
    got.trial.must("−∞ gets exactly 0", exact, right, got.value, finite)
    got, right = tried([[-1e4, -np.inf, np.log(3) - 1e4]], -1)
    cause = "a finite number stands for −∞, and beside scores near −10,000 it is not small"
    got.equals("−∞ gets 0 beside very low scores, too", right, cause=cause)


@exercise
def softmax(answer, draw):
    """Rows sum to 1 along any axis; scores of 10,000 and of −∞ neither overflow nor leak."""

    def tried(x, axis):
        dropped = "a reduction without keepdims=True drops its axis, and no longer lines up with x"
        x = np.asarray(x, dtype=float)
        got = attempt(answer, {"broadcast": dropped}, x=x, axis=axis).output("the softmax")
        got.shape("of x", x.shape)
        return got, _softmax(x, axis)

    _softmax_basics(tried)
    _softmax_far_away(tried)
    _softmax_of_infinity(tried)
    for axis in (0, 1, 2, -1, -2, -3):
        x = draw.normal(size=(3, 4, 5)) * 3
        got, right = tried(x, axis)
        from_the_end = ": a negative axis counts from the end" if axis < 0 else ""
        mistakes = {
            f"the sum ran along axis {other}, not along {axis}{from_the_end}": _softmax(x, other)
            for other in range(3)
            if other != axis % 3
        }
        got.equals("it is right for three axes", right, mistakes)


# 2.2


def _spreads(raw: Array, scaled: Array, axis: int = -1, of=-1) -> Array:
    """The table, with a softmax along `axis` and the largest weights along `of`."""
    return np.array([[s.std(), _softmax(s, axis).max(axis=of).mean()] for s in (raw, scaled)])


def _columns(spread, largest) -> Array:
    return np.stack([np.asarray(spread), np.asarray(largest)], axis=1)


def _spread_mistakes(raw: Array, d: int, keys: int) -> dict[str, Array]:
    """One of the columns is wrong, or the order, or the scale."""
    root = math.sqrt(d)
    both = raw, raw / root
    right = _spreads(*both)
    spread, largest = right.T
    weights = [_softmax(scores) for scores in both]
    ddof = math.sqrt(raw.size / (raw.size - 1))
    whole = [_softmax(scores.reshape(-1)).reshape(raw.shape) for scores in both]
    return {
        "rows and columns are swapped": right.T,
        "the rows are swapped": right[::-1],
        "the columns are swapped": right[:, ::-1],
        "the scores were divided by d instead of √d": _spreads(raw, raw / d),
        "the scores were multiplied by √d": _spreads(raw, raw * root),
        "√ of the number of keys was taken, not of d": _spreads(raw, raw / math.sqrt(keys)),
        "both rows hold the scores as they are; the second is to be divided by √d": right[[0, 0]],
        "the variance was taken; the spread is its root": _columns(spread**2, largest),
        "ddof=1; NumPy's own standard deviation divides by the number of scores": right * [ddof, 1],
        "the mean of the scores was not subtracted in the spread": _columns(
            [math.sqrt((s**2).mean()) for s in both], largest
        ),
        "the spread is that of the weights; asked for is the scores'": _columns(
            [each.std() for each in weights], largest
        ),
        "the spread was taken of each row; asked for is that of all scores together": _columns(
            [s.std(axis=-1).mean() for s in both], largest
        ),
        "the weights were divided by √d, not the scores": _columns(spread, largest[0] / [1, root]),
        "spread and weights were divided by √d, not the scores": right[[0, 0]] / [[1], [root]],
        "the weights were not computed again from the scaled scores": _columns(
            spread, largest[[0, 0]]
        ),
        "the largest weight of all rows; asked for is the mean of the rows' largest": _columns(
            spread, [each.max() for each in weights]
        ),
        "the weights were averaged first; asked for is each row's largest, then the mean": _columns(
            spread, [each.mean(axis=(0, 1)).max() for each in weights]
        ),
        "the mean of all weights, which is 1/S; asked for is that of the rows' largest": _columns(
            spread, [each.mean() for each in weights]
        ),
        "the largest weight was looked up among the queries, not in a row": _spreads(*both, of=1),
        "the largest *score* was taken, not the largest weight": _columns(
            spread, [s.max(axis=-1).mean() for s in both]
        ),
        "the softmax ran over all scores at once, not over each row": _columns(
            spread, [each.max(axis=-1).mean() for each in whole]
        ),
        "the softmax ran over the batch, not over the keys": _spreads(*both, 0),
        "the softmax ran over the queries, not over the keys": _spreads(*both, 1),
        "softmax and maximum ran over the batch, not over the keys": _spreads(*both, 0, of=0),
        "softmax and maximum ran over the queries, not over the keys": _spreads(*both, 1, of=1),
    }


def _score_mistakes(query: Array, key: Array) -> dict[str, Array]:
    """The table is right, but for other scores."""
    (b, s, d), raw = key.shape, _scores(query, key)
    lengths = [np.sqrt((x**2).sum(axis=-1, keepdims=True)) for x in (query, key)]
    cosines = raw / np.where(lengths[0] > 0, lengths[0], 1)
    cosines = cosines / np.swapaxes(np.where(lengths[1] > 0, lengths[1], 1), 1, 2)
    pooled = query.reshape(1, -1, d), key.reshape(1, -1, d)
    turned = np.swapaxes(key.reshape(b, d, s), 1, 2)
    others = {
        "only the first query of each sentence was taken": raw[:, :1],
        "only the first sentence was taken": raw[:1],
        "queries met the keys of other sentences, too": _scores(*pooled),
        "the vectors were divided by their lengths: these are cosines": cosines,
        "the keys were reshaped to (B,d,S) instead of transposed": _scores(query, turned),
    }
    return {name: _spreads(each, each / math.sqrt(d)) for name, each in others.items()}


@exercise
def score_spread(answer, draw):
    """The spread of dot products and the largest weight, raw and divided by √d, of given arrays."""
    small = (
        np.log(2) * np.array([[[2.0, 0, 0, 0], [-1, 0, 0, 0]]]),
        np.array([[[0.0, 0, 0, 0], [1, 0, 0, 0], [2, 0, 0, 0]]]),
    )
    drawn = draw.normal(size=(2, 3, 6)), draw.normal(size=(2, 4, 6)) + 0.5
    for query, key in (small, drawn):
        raw, d = _scores(query, key), query.shape[-1]
        got = Trial(answer, query=query, key=key).output("the table")
        got.shape("(2,2)", (2, 2))
        cause = "something was divided by a key's length, and key 0 has length 0"
        right = _spreads(raw, raw / math.sqrt(d))
        got.finite(right, cause)
        told = "rows q · k and q · k / √d; columns spread and mean largest weight"
        mistakes = _spread_mistakes(raw, d, key.shape[1]) | _score_mistakes(query, key)
        got.equals(told, right, mistakes)


# 2.3


def _sum_mistakes(weights: Array, states: Array) -> dict[str, Array]:
    weighted = weights[:, :, None] * states
    across = np.tile(weights, (1, states.shape[2])).reshape(states.shape)
    again, total = _softmax(weights), weights.sum(axis=1, keepdims=True)
    mistakes = {
        "the weights were repeated along the wrong axis, so the numbers of one state got different \
weights": (across * states).sum(axis=1),
        "the states were added without their weights": states.sum(axis=1),
        "the mean was taken; the weights share out the whole already": weighted.mean(axis=1),
        "a softmax was taken of the weights once more": (again[:, :, None] * states).sum(axis=1),
        "the weights were divided by their sum, which need not be 1": weighted.sum(axis=1) / total,
        "every sentence was given the states of the first one": weights @ states[0],
    }
    if states.shape[1] == states.shape[2]:
        name = "the sum ran over the numbers of a state, not over the states"
        mistakes[name] = weighted.sum(axis=2)
        name = "the weights line up with the numbers of a state, not with the states"
        mistakes[name] = (weights[:, None, :] * states).sum(axis=1)
    return mistakes


def _dweights_mistakes(weights, states, dcontext) -> dict[str, Array]:
    wide = np.broadcast_to(dcontext[:, None, :], states.shape)
    right = (wide * states).sum(axis=2)
    context = weighted_sum(weights, states)
    average = (weights * right).sum(axis=1, keepdims=True)
    mistakes = {
        "dcontext was added up without the states": wide.sum(axis=2),
        "the weights are in it once too often": right * weights,
        "the mean was taken instead of the sum": (wide * states).mean(axis=2),
        "dcontext is missing: these are the states alone": states.sum(axis=2),
        "the context stands where dcontext should": (context[:, None, :] * states).sum(axis=2),
        "a softmax's derivative is in it; asked for is ∂loss/∂weights, not ∂loss/∂scores": (
            weights * (right - average)
        ),
        "the sign is turned round: a gradient points to where the loss grows": -right,
    }
    if states.shape[1] == states.shape[2]:
        name = "the sum runs over the states; each weight wants the sum over its state's numbers"
        mistakes[name] = (wide * states).sum(axis=1)
    return mistakes


def _dstates_mistakes(weights, states, dcontext) -> dict[str, Array]:
    wide, each = np.broadcast_to(dcontext[:, None, :], states.shape), weights[:, :, None]
    mistakes = {
        "every state got the whole of dcontext; its share is its weight": wide,
        "dcontext is missing: these are the weights alone": np.broadcast_to(each, states.shape),
        "the states are in it; only weights and dcontext belong there": wide * states * each,
        "dcontext is missing: these are the weighted states": each * states,
        "dcontext was shared out evenly": wide / states.shape[1],
        "dweights stands where the weights should": (
            (wide * states).sum(axis=2, keepdims=True) * wide
        ),
        "the sign is turned round: a gradient points to where the loss grows": -each * wide,
    }
    if states.shape[1] == states.shape[2]:
        mistakes["it is transposed: a row for each state"] = np.swapaxes(each * wide, 1, 2)
    return mistakes


def _sum_shapes(context: Output, dweights: Output, dstates: Output, b: int, s: int, h: int) -> None:
    causes = {
        (b, s): "the sum ran over the numbers of a state, not over the states",
        (b, s, h): "weighted, but not added up",
        (b, 1, h): "the axis that was added up is still there",
    }
    context.shape("(B,H)", (b, h), causes if s != h else {})
    places = {(b, s, h): "not added up over the numbers of a state"}
    if dstates.value.shape == (b, s):
        places = {(b, s, h): "dweights and dstates have changed places"}
    dweights.shape("(B,S)", (b, s), places)
    causes = {
        (b, h): "added up over the states; each state has a gradient of its own",
        (b, h, s): "it is transposed: a row for each state",
    }
    dstates.shape("(B,S,H)", (b, s, h), causes)


@exercise
def weight_sum(answer, draw):
    """The context, and the gradients of weights and states; the batch is not mixed."""
    small = (
        np.array([[1.0, 2.0, 4.0]]) / 7,
        np.array([[[7.0, 0.0], [0.0, 7.0], [7.0, 7.0]]]),
        np.array([[1.0, 2.0]]),
    )
    cases = [small]
    for b, s, h in ((2, 5, 3), (3, 4, 4)):
        weights = _softmax(draw.normal(size=(b, s)))
        cases.append((weights, draw.normal(size=(b, s, h)), draw.normal(size=(b, h))))
    cases.append((small[0] * [[2, 0, 2]], *small[1:]))  # as after dropout
    axis = "a weight belongs to a whole state: (B,S) gets its new axis at the end, as (B,S,1)"
    for weights, states, dcontext in cases:
        b, s, h = states.shape

        def loss(weights, states, dcontext=dcontext):
            return math.fsum((weighted_sum(weights, states) * dcontext).ravel())

        right_slopes = slopes(loss, weights=weights, states=states)
        given = {"weights": weights, "states": states, "dcontext": dcontext}
        trial = attempt(answer, {"broadcast": axis}, **given)
        context, dweights, dstates = trial.outputs("context", "dweights", "dstates")
        _sum_shapes(context, dweights, dstates, b, s, h)
        mistakes = _sum_mistakes(weights, states)
        context.equals("context = Σ weight × state", weighted_sum(weights, states), mistakes)
        told, mistakes = "dweights says how the loss changes with a weight", _dweights_mistakes
        dweights.equals(told, right_slopes["weights"], mistakes(**given))
        told, mistakes = "dstates says how the loss changes with a state", _dstates_mistakes
        dstates.equals(told, right_slopes["states"], mistakes(**given))


# 2.4


def _softmax_mistakes(weights: Array, dweights: Array) -> dict:
    product = weights * dweights
    average = product.sum(axis=-1, keepdims=True)
    right, again = product - weights * average, _softmax(weights)
    mistakes = {
        "only the diagonal of the derivative, as if each weight had a sigmoid of its own": (
            product * (1 - weights)
        ),
        "the rows' average of dweights is not subtracted": product,
        "the average was taken without the weights": (
            weights * (dweights - dweights.mean(axis=-1, keepdims=True))
        ),
        "the weighted average was divided by S; the weights share out the whole already": (
            weights * (dweights - product.mean(axis=-1, keepdims=True))
        ),
        "the sum of dweights was subtracted, not their weighted average": (
            weights * (dweights - dweights.sum(axis=-1, keepdims=True))
        ),
        "the average was added, not subtracted": weights * (dweights + average),
        "the factor in front, the weight itself, is missing": dweights - average,
        "the average was subtracted without the weight in front of it": product - average,
        "the sign is turned round": -right,
        "a weight's derivative by its own score is left out": weights * (product - average),
        "this is the derivative of the *logarithm* of a softmax": (
            dweights - weights * dweights.sum(axis=-1, keepdims=True)
        ),
        "this is the short form for softmax and cross-entropy together; here dweights is given": (
            weights - dweights
        ),
        "dweights minus weights: neither is the other's target": dweights - weights,
        "a softmax was taken of the weights once more": again
        * (dweights - (again * dweights).sum(axis=-1, keepdims=True)),
        "the weight stands in front twice": weights * right,
        "one sum for all rows; each row has its own average": (
            weights * (dweights - product.sum())
        ),
    }
    if weights.ndim > 1:
        column = product.sum(axis=-2, keepdims=True)
        name = "the sum ran down the columns, not along the rows"
        if weights.ndim > 2:
            name += ": axis=1 is the last axis of a table only, axis=-1 always"
        mistakes[name] = weights * (dweights - column)
        name = "divided by the number of rows; nothing says that the loss is a mean over them"
        mistakes[name] = right / len(weights)
        if weights.shape[-1] == weights.shape[-2]:
            flat = np.swapaxes(average, -1, -2)
            mistakes["keepdims is missing: the average of row i was subtracted in column i"] = (
                weights * (dweights - flat)
            )
    return mistakes


@exercise
def softmax_backward(answer, draw):
    """The whole derivative of a softmax, not its diagonal; rows of the gradient sum to 0."""
    scores = np.log([[1.0, 2.0, 4.0], [2.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    dweights = np.array([[1.0, 2.0, 4.0], [0.0, 4.0, 2.0], [3.0, 0.0, 0.0]])
    cases = [((_softmax(scores), dweights), scores)]
    for shape in ((4, 4), (2, 3, 4)):
        scores = draw.normal(size=shape)
        cases.append(((_softmax(scores), draw.normal(size=shape)), scores))
    for (weights, dweights), scores in cases:

        def loss(scores, dweights=dweights):
            return (_softmax(scores) * dweights).sum()

        two = "it is written for two axes; before the last one there may be any number"
        errors = {"": two} if weights.ndim > 2 else {}
        trial = attempt(answer, errors, weights=weights, dweights=dweights)
        got = trial.output("dscores")
        causes = {
            (*weights.shape, weights.shape[-1]): "this is the whole derivative of every weight by \
every score; multiply it by dweights and add up",
        }
        got.shape("of weights", weights.shape, causes)
        right = slopes(loss, scores=scores)["scores"]
        mistakes = _softmax_mistakes(weights, dweights)
        got.equals("dscores is the slope of the loss", right, mistakes)
    one_hot = np.array([[0.0, 1.0, 0.0]])
    got = Trial(answer, weights=one_hot, dweights=np.array([[5.0, -1.0, 2.0]])).output("dscores")
    got.equals("a softmax that has decided passes no gradient", one_hot * 0)


# 2.5


def _mask_mistakes(scores: Array, mask: Array) -> dict[str, Array]:
    mask = np.broadcast_to(mask, scores.shape)
    other = "the mask was taken the other way round; True means: may attend"
    large = ", and a large negative number stands for −∞"
    return {
        other: _softmax(np.where(mask, -np.inf, scores)),
        other + large: _softmax(np.where(mask, -1e9, scores)),
        "the mask was not used": _softmax(scores),
        "forbidden scores became 0, or nearly: that is not 'no attention', exp(0) = 1": (
            _softmax(scores * mask)
        ),
        "the mask was multiplied in after the softmax, and what remains no longer sums to 1": (
            _softmax(scores) * mask
        ),
        "the mask was added to the scores": _softmax(scores + mask),
    }


def _scale_mistakes(raw: Array, mask: Array, d: int, d_v: int) -> dict:
    def softly(scores, axis=-1):
        return _softmax(np.where(mask, scores, -np.inf), axis)

    root = math.sqrt(d)
    mistakes = {
        "the scores are not divided by √d_k": softly(raw),
        "the scores were divided by d_k, not by its root": softly(raw / d),
        "the scores were multiplied by √d_k": softly(raw * root),
        "the softmax ran over the queries, not over the keys": softly(raw / root, 1),
        "the softmax ran over the batch, not over the keys": softly(raw / root, 0),
        "the weights were divided by √d_k; the scores are to be": softly(raw) / root,
        "the weights were divided by √d_k as well; only the scores are to be": (
            softly(raw / root) / root
        ),
    }
    sizes = {"d_v": d_v, "T": raw.shape[1], "S": raw.shape[2]}
    for size in sorted({*sizes.values()} - {d, 1}):
        roots = " or ".join(f"√{name}" for name, each in sizes.items() if each == size)
        told = f"the scores were divided by {roots}, not by √d_k"
        mistakes[told] = softly(raw / math.sqrt(size))
    return mistakes


def _key_mistakes(query: Array, key: Array, allowed: Array) -> dict:
    (b, s, d), root = key.shape, math.sqrt(query.shape[2])

    def softly(raw, mask=allowed):
        return _softmax(np.where(mask, raw / root, -np.inf))

    kept = np.where(allowed, _scores(query, key), 0.0)
    total = kept.sum(axis=-1, keepdims=True)
    return {
        "the mask's row of the first query was used for all queries": softly(
            _scores(query, key), allowed[:, :1]
        ),
        "scores were divided by their sum, without an exponential": np.divide(
            kept, total, out=np.zeros_like(kept), where=total != 0
        ),
        "every sentence was given the keys of the first one": softly(_scores(query, key[[0] * b])),
        "the keys were reshaped to (B,d_k,S) instead of transposed": softly(
            _scores(query, np.swapaxes(key.reshape(b, d, s), 1, 2))
        ),
    }


def _nan_cause(lost: Array, allowed: Array) -> str:
    """Why the rows `lost` of the weights may be NaN."""
    full = allowed.all(axis=-1)
    if lost.all():
        return "0 · ∞ is NaN: a mask times −∞ spoils the allowed places. Choose place by place"
    if not (lost & full).any():
        return "+∞ stands in the forbidden places, and ∞ − ∞ is NaN; −∞ is wanted"
    return "softmax of a row of −∞ alone, as when the mask is read the other way round"


def _attend_weights(trial, context, weights, right, average, mistakes, allowed) -> None:
    unmasked = trial.given["mask"] is None
    lost = ~np.isfinite(weights.value).all(axis=-1)
    none = "None was taken for False; it means: may attend everywhere"
    weights.finite(right, none if unmasked else _nan_cause(lost, allowed))
    if unmasked:
        mistakes = {none: np.ones_like(right) / right.shape[2]} | mistakes
    got, zero = weights.value, (weights.value[~allowed] == 0).all()
    cause = named(got, mistakes, "a number that is not −∞ stands for the forbidden scores")
    if close(context.value, average):
        cause = "these are the weights from before the mask; the context is right"
    trial.must("a forbidden key gets exactly 0", zero, right, got, cause)
    whole = close(got.sum(axis=-1), np.ones(got.shape[:2]))
    trial.must("each row of weights sums to 1", whole, right, got, named(got, mistakes))
    weights.equals("weights = softmax(q · k / √d_k)", right, mistakes)


def _attend_cases(draw) -> list:
    small = (
        2 * np.log(2) * np.array([[[1.0, 1, 0, 0]] * 2]),
        np.array([[[0.0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]]]),
        np.array([[[7.0, 0.0], [0.0, 7.0], [7.0, 7.0]]]),
        np.array([[[True, True, False], [True, True, True]]]),
    )
    drawn = [draw.normal(size=shape) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 6))]
    each = draw.random((2, 3, 5)) < 0.6
    each[..., 2], each[..., 4] = True, False
    padding = np.arange(5) < np.array([[[5]], [[2]]])
    causal = np.arange(5) <= np.arange(3)[:, None]
    masks = each, padding, causal, None
    return [small, (*small[:3], None), *((*drawn, mask) for mask in masks)]


@exercise
def attend(answer, draw):
    """Masked weights exactly 0, rows sum to 1, the scale, T ≠ S and d_v ≠ d_k, no mask at all."""
    errors = {
        "NoneType": "the mask may be None: may attend everywhere",
        "boolean index": "an index does not broadcast, and the mask may be smaller than (B,T,S)",
    }
    for query, key, value, mask in _attend_cases(draw):
        allowed = np.broadcast_to(True if mask is None else mask, (*query.shape[:2], key.shape[1]))
        (b, t, s), d, d_v = allowed.shape, key.shape[2], value.shape[2]
        raw = _scores(query, key)
        right = _softmax(np.where(allowed, raw / math.sqrt(d), -np.inf))
        average = weighted_sum(right, value)
        trial = attempt(answer, errors, query=query, key=key, value=value, mask=mask)
        context, weights = trial.outputs("context", "weights")
        causes = dict.fromkeys([(b, t, s), (b, t, d_v)], "context and weights changed places")
        causes[b, s, t] = "it is transposed: a row for each query"
        causes[b, 1, t, s] = "the mask was given one more axis; as it comes, it broadcasts already"
        weights.shape("(B,T,S)", (b, t, s), causes)
        causes[b, t, d] = "the keys were averaged, not the values"
        context.shape("(B,T,d_v)", (b, t, d_v), causes)
        mistakes = _mask_mistakes(raw / math.sqrt(d), allowed) if mask is not None else {}
        mistakes |= _scale_mistakes(raw, allowed, d, d_v) | _key_mistakes(query, key, allowed)
        _attend_weights(trial, context, weights, right, average, mistakes, allowed)
        plain = weighted_sum(_softmax(raw / math.sqrt(d)), value)
        mistakes = {
            "the context was made with weights that know no mask": plain,
            "the mean over the keys was taken; the weights share out the whole": average / s,
            "every sentence was given the values of the first one": right @ value[0],
        }
        context.equals("context = Σ weight × value", average, mistakes)


# 2.6


def _padding_mistakes(real: Array, lengths: Array, wrong: str) -> dict:
    """`real` (B,S): True where a token is; the mistakes for a mask that is True there."""
    places = np.arange(real.shape[1])
    return {
        wrong: ~real,
        "the comparison is <= instead of <: one place too many": places <= lengths[:, None],
        "the last real token is missing": places < lengths[:, None] - 1,
        "the padding stands on the left here; it is on the right": real[:, ::-1],
        "every sentence got the mask of the first one": real[[0] * len(real)],
    }


def _repeated_mistakes(real: Array, lengths: Array, queries: int) -> dict:
    """What goes wrong when the (B,S) mask is made (B,T,S)."""
    (rows, size), right = real.shape, np.repeat(real[:, None], queries, axis=1)
    beyond = (np.arange(queries) >= lengths[:, None])[:, :, None]
    return {
        "tiled and then reshaped: sentences got mixed": (
            np.tile(real, (queries, 1)).reshape(rows, queries, size)
        ),
        "queries beyond the length were masked, too; padding is a property of the keys": (
            right & ~beyond
        ),
        "the future is hidden as well; this mask is about padding alone": (
            right & (np.arange(size) <= np.arange(queries)[:, None])
        ),
    }


def _laid_out(mask: Array, shape: tuple[int, ...], ignore: bool) -> Array:
    """(B,S) with as many axes between as `shape` has, and the other polarity if `ignore`."""
    rows, size = mask.shape
    return np.broadcast_to(mask.reshape(rows, *[1] * (len(shape) - 2), size) != ignore, shape)


def _mask_shape(output: Output, axes: str, shape: tuple[int, ...], longest: int, t: int) -> None:
    rows, size = shape[0], shape[-1]
    causes = {
        (rows, t, size): "the queries' axis is 1 here; broadcasting repeats it",
        (rows, 1, t, size): "the queries' axis is 1 here; broadcasting repeats it",
        (rows, size, shape[-2]): "rows and columns are swapped: queries come first, then keys",
        (rows, size): "(B,S) has no axis for queries: a library would take its B for them",
        (rows, size, 1): "this masks queries; padding is a property of the keys",
        (rows, size, size): "there are T queries, and they need not be as many as keys",
        (1, 1, rows, size): "the new axes stand before B, so that B would be taken for queries",
        (rows, 1, 1, size): "this is the shape of attn_mask: the four are in another order",
        (rows, 1, size): {
            2: "PyTorch wants no axis for queries here",
            3: "the row stands there once; this mask has it once for each query",
            4: "the axis of the heads is missing: B would be taken for it",
        }[len(shape)],
        (*shape[:-1], longest): "it is as wide as the longest sentence; `size` says how wide",
    }
    output.shape(axes, shape, causes)


def _compare_mask(output: Output, axes: str, shape: tuple[int, ...], real, lengths, t) -> None:
    ignore = len(shape) == 2
    _mask_shape(output, axes, shape, int(lengths.max()), t)
    boolean = output.value.dtype == bool
    cause = "numbers instead of booleans; PyTorch would *add* such a mask to the scores"
    output.trial.must(f"{output.name} is boolean", boolean, "bool", output.value.dtype.name, cause)
    means = "ignore" if ignore else "may attend"
    told = _padding_mistakes(real, lengths, f"the other polarity; here True means: {means}")
    mistakes = {name: _laid_out(mask, shape, ignore) for name, mask in told.items()}
    if shape[1:-1] == (t,):
        mistakes |= _repeated_mistakes(real, lengths, t)
    right = _laid_out(real, shape, ignore)
    output.equals(f"in {output.name} True means: {means}", right, mistakes)


@exercise
def library_masks(answer, draw):
    """True for real tokens, its opposite where a library wants that; four masks' shapes."""
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
            _compare_mask(output, axes, shape, real, lengths, queries)


# 2.7


def _step_contexts(scores: Array, states: Array, average: Array) -> dict:
    """Wrong contexts."""
    root, right = math.sqrt(states.shape[2]), _softmax(scores)
    return {
        "the scores have been divided by √H; the function did not, and need not": weighted_sum(
            _softmax(scores / root), states
        ),
        "every step has the last step's context": average[:, [-1] * average.shape[1]],
        "the softmax ran over the steps, not over the states": weighted_sum(
            _softmax(scores, 1), states
        ),
        "a softmax was taken of the weights once more": weighted_sum(_softmax(right), states),
        "the mean was taken; the weights share out the whole": average / states.shape[1],
        "the values of the first sentence were used for all": weighted_sum(
            right, states[[0] * len(states)]
        ),
    }


def _step_weights(scores: Array, right: Array, got: Array) -> dict:
    """Wrong weights."""
    b, t, s = right.shape
    stacked = np.swapaxes(right, 0, 1)
    mistakes = {
        "every row shows where the *last* step looked": right[:, [-1] * t],
        "every row shows where the *first* step looked": right[:, [0] * t],
        "the steps are in the wrong order": right[:, ::-1],
        "the columns are in the wrong order": right[:, :, ::-1],
        "the softmax ran over the steps, not over the states": _softmax(scores, 1),
        "the softmax ran over the batch, not over the states": _softmax(scores, 0),
        "these are the scores, before the softmax": scores,
        "the weights of earlier steps are added in": np.cumsum(right, axis=1),
        "row t shows where step t − 1 looked: copied before it was written": np.concatenate(
            [got[:, :1], right[:, :-1]], axis=1
        ),
    }
    if b == t:
        mistakes["batch and steps have changed places, which only shows if B ≠ T"] = stacked
    name = "stacked as (T,B,S), then reshaped to (B,T,S): sentences got mixed"
    return mistakes | {name: stacked.reshape(b, t, s)}


@exercise
def attention_over_time(answer, draw):
    """Every step keeps weights of its own, and the map reproduces the contexts."""
    small = np.log(2) * np.array([[[1.0, 1.0], [1.0, 0.0]]]), np.array([[[0.0, 0], [1, 0], [1, 1]]])
    drawn = draw.normal(size=(2, 4, 3)), draw.normal(size=(2, 5, 3))
    square = draw.normal(size=(3, 3, 4)), draw.normal(size=(3, 3, 4))
    for query, states in (small, drawn, square):
        (b, t, h), s = query.shape, states.shape[1]
        scores = _scores(query, states)
        right = _softmax(scores)
        average = weighted_sum(right, states)
        trial = Trial(answer, query=query, states=states)
        context, weights = trial.outputs("context", "weights")
        causes = {
            (b, s): "the weights of one step alone have been kept",
            (b, 1, s): "the weights of one step alone have been kept",
            (t, b, s): "the steps were stacked as the first axis; the batch comes first",
            (b, s, t): "it is transposed: a row for each step, a column for each state",
        }
        swapped = {(b, t, s): "context and weights have changed places"}
        context.shape("(B,T,H)", (b, t, h), {(t, b, h): causes[t, b, s]} | swapped)
        weights.shape("(B,T,S)", right.shape, causes if t > 1 else {})
        told = "the context is right (as it was in the function found)"
        mistakes = _step_contexts(scores, states, average)
        own = "every sentence was given the states of the first one"
        first = states[[0] * b]
        other = _softmax(_scores(query, first))
        mistakes[own] = weighted_sum(other, first)
        context.equals(told, average, mistakes)
        told = "row t shows where step t looked: its weights give the context of step t"
        mistakes = _step_weights(scores, right, weights.value)
        weights.equals(told, right, mistakes)


# 2.8


def _attention_paths(
    query, states, dcontext, forward: float, backward: float, axes: tuple[int, int] = (-1, -1)
) -> dict:
    """The parts of the gradient, for scores multiplied by `forward`, gradients by `backward`;
    `axes`: of the softmax, and of the average on its way back."""
    weights = _softmax(_scores(query, states) * forward, axes[0])
    dweights = np.einsum("bth,bsh->bts", dcontext, states)
    average = (weights * dweights).sum(axis=axes[1], keepdims=True)
    parts = {"value": np.einsum("bts,bth->bsh", weights, dcontext)}
    parts["value from query"] = np.einsum("bts,bth->bsh", weights, query)
    parts["context"] = np.einsum("bts,bsh->bth", weights, states)
    for name, dscores in (
        ("whole", weights * (dweights - average)),
        ("half", weights * (1 - weights) * dweights),
        ("naive", weights * dweights),
        ("none", dweights),
        ("weights", weights),
    ):
        parts[name, "query"] = np.einsum("bts,bsh->bth", dscores, states) * backward
        parts[name, "key"] = np.einsum("bts,bth->bsh", dscores, query) * backward
        parts[name, "key from dcontext"] = np.einsum("bts,bth->bsh", dscores, dcontext) * backward
        turned = dscores.reshape(*states.shape[:2], -1)
        parts[name, "reshaped"] = np.einsum("bst,bth->bsh", turned, query) * backward
    turned = weights.reshape(*states.shape[:2], -1)
    parts["value reshaped"] = np.einsum("bst,bth->bsh", turned, dcontext)
    return parts


def _path_mistakes(parts: dict, once: dict, root: float, queries: int) -> dict:
    """Wrong sums over queries, or of the two paths."""
    value, key = parts["value"], parts["whole", "key"]
    return {
        "only the path through the values": value,
        "only the path through the keys": key,
        "one path is subtracted from the other; they add up": value - key,
        "the mean of the two paths; they add up": (value + key) / 2,
        "the value path was divided by √H, too": value / root + key,
        "the key path has weights where the gradient of the scores belongs": (
            value + parts["weights", "key"]
        ),
        "the key path has dcontext where the query belongs": (
            value + parts["whole", "key from dcontext"]
        ),
        "the value path has the query where dcontext belongs": parts["value from query"] + key,
        "(B,T,S) was reshaped to (B,S,T), not transposed": (
            parts["value reshaped"] + parts["whole", "reshaped"]
        ),
        "in the key path (B,T,S) was reshaped to (B,S,T), not transposed": (
            value + parts["whole", "reshaped"]
        ),
        "only the last query's part; a state is used by all of them": (
            once["whole", "key"] + once["value"]
        ),
        "the mean over the queries; a state gathers their sum": (value + key) / queries,
        "the gradients of all sentences were added up": np.broadcast_to(
            (value + key).sum(axis=0), value.shape
        ),
        "the sign is turned round: a gradient points to where the loss grows": -value - key,
    }


def _backward_mistakes(query, states, dcontext) -> tuple[dict, dict]:
    given, size = (query, states, dcontext), query.shape[2]
    root, queries = math.sqrt(size), query.shape[1]

    def paths(forward, backward, axes=(-1, -1)):
        return _attention_paths(*given, forward, backward, axes)

    parts = paths(1 / root, 1 / root)
    once = _attention_paths(query[:, -1:], states, dcontext[:, -1:], 1 / root, 1 / root)
    half = "half a derivative: the softmax's diagonal alone"
    if queries == 1:
        half += ", or an average over the queries"
    tables = (
        ("the scores were not divided by √H", paths(1, 1), "whole"),
        ("forward divides by √H, backward forgets it", paths(1 / root, 1), "whole"),
        ("backward divides by √H, forward does not", paths(1, 1 / root), "whole"),
        ("backward divides by √H twice", paths(1 / root, 1 / size), "whole"),
        ("the scores were divided by H, not by its root", paths(1 / size, 1 / size), "whole"),
        (half, parts, "half"),
        ("the softmax's derivative lacks the rows' average of dweights", parts, "naive"),
        ("the softmax's derivative is missing", parts, "none"),
        ("the softmax ran over the queries", paths(1 / root, 1 / root, (1, 1)), "whole"),
        (
            "the average of dweights ran over the queries",
            paths(1 / root, 1 / root, (-1, 1)),
            "whole",
        ),
    )
    dquery = {name: table[kind, "query"] for name, table, kind in tables}
    dquery |= {
        "this is the context again": parts["context"],
        "weights stand where the gradient of the scores belongs": parts["weights", "query"],
        "dcontext was added; the query reaches the context through the scores alone": (
            parts["whole", "query"] + dcontext
        ),
        "the sign is turned round: a gradient points to where the loss grows": (
            -parts["whole", "query"]
        ),
    }
    dstates = _path_mistakes(parts, once, root, queries)
    dstates |= {name: table[kind, "key"] + table["value"] for name, table, kind in tables}
    return dquery, dstates


@exercise
def attention_backward(answer, draw):
    """Both paths into the states, all queries, the scale; against finite differences."""
    small = np.ones((1, 1, 1)), ALL_LN[:, :, None], np.ones((1, 1, 1))
    middle = [[1.0, 0], [0, 2], [1, 1]], [[0.0, 1], [1, 2]], [[1.0, 2], [3, -1], [0, 1]]
    shapes = ((2, 3, 4), (2, 5, 4), (2, 3, 4))
    drawn = [draw.normal(size=shape) for shape in shapes]
    for query, states, dcontext in (small, [np.array([each]) for each in middle], drawn):
        root = math.sqrt(query.shape[2])

        def loss(query, states, dcontext=dcontext, root=root):
            return (weighted_sum(_softmax(_scores(query, states) / root), states) * dcontext).sum()

        right = slopes(loss, query=query, states=states)
        query_mistakes, states_mistakes = _backward_mistakes(query, states, dcontext)
        trial = Trial(answer, query=query, states=states, dcontext=dcontext)
        dquery, dstates = trial.outputs("dquery", "dstates")
        swapped = {states.shape: "dquery and dstates have changed places"}
        dquery.shape("(B,T,H)", query.shape, swapped)
        dstates.shape("(B,S,H)", states.shape)
        told = "dquery is the slope of the loss"
        dquery.equals(told, right["query"], query_mistakes)
        told = "dstates is the slope of the loss, through keys and values"
        dstates.equals(told, right["states"], states_mistakes)


# 2.9


def _empty_cases(draw) -> list[tuple]:
    """Scores, mask, dweights, and what usually fails there and not before."""
    t, f = True, False
    low, high = [-1e4, np.log(3) - 1e4, -2e4], [1e4, np.log(3) + 1e4, 0.0]
    computed = "a forbidden score was computed with: as the maximum, or times 0 (inf · 0 is NaN)"
    rows = (
        ([ALL_LN[0]] * 3, [[t, t, t], [t, t, f], [f, f, f]], ""),
        ([[0, np.log(3), 1e4]], [[t, t, f]], computed),
        (
            [high],
            [[t, t, f]],
            "np.exp(10000) overflows to inf; subtract the maximum of the allowed scores first",
        ),
        (
            [low],
            [[t, t, f]],
            "a number above all allowed scores stood for the forbidden ones, also in the maximum",
        ),
        ([low, high], [[t, t, f]] * 2, "one maximum for all rows; each row needs its own"),
        ([[0, np.log(3), np.nan], [np.inf, 0, np.log(3)]], [[t, t, f], [f, t, t]], computed),
        ([[np.inf, np.nan, -np.inf]], [[f, f, f]], computed),
    )
    cases = []
    for scores, mask, cause in rows:
        dweights = np.tile([1.0, 2.0, 4.0], (1, len(scores), 1))
        cases.append((np.array([scores], dtype=float), np.array([mask]), dweights, cause))
    padding = np.arange(5) < np.array([4, 0, 2])[:, None, None]
    return [*cases, (draw.normal(size=(3, 2, 5)), padding, draw.normal(size=(3, 2, 5)), "")]


def _empty_mistakes(scores: Array, allowed: Array, right: Array) -> dict:
    """Wrong weights of ordinary scores, by what was done wrong."""
    some = allowed.any(axis=-1, keepdims=True)
    mistakes = {
        "a row without keys became uniform: a large negative number stands for −∞": (
            np.where(some, right, 1 / scores.shape[-1])
        ),
        "one row without keys has switched off the others of its sentence": (
            right * some.all(axis=1, keepdims=True)
        ),
        "a row was taken for empty because one of its places is forbidden": (
            right * allowed.all(axis=-1, keepdims=True)
        ),
        "the softmax ran over the queries, not along the last axis": _softmax(
            np.where(allowed, scores, -np.inf), 1
        ),
        "the scores were multiplied by the mask before: exp(0) = 1 is in the denominator": (
            _softmax(scores * allowed) * allowed
        ),
    }
    return mistakes | _mask_mistakes(scores, allowed)


def _extreme_mistakes(scores: Array, allowed: Array) -> dict:
    """Wrong weights of very large or small scores."""
    given = np.where(np.isfinite(scores), scores, 0)
    cut = np.clip(np.where(allowed, scores, 0), -50, 50)
    shares = np.exp(given - given.max(axis=-1, keepdims=True)) * allowed
    total = shares.sum(axis=-1, keepdims=True)
    return {
        "the scores were cut off, and with that the differences between them": _softmax(
            np.where(allowed, cut, -np.inf)
        ),
        "the maximum was taken over forbidden places too; beside it, allowed ones came out as 0": (
            np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
        ),
    }


def _empty_weights(weights: Output, right, mistakes, allowed, cause) -> None:
    """`cause`: what usually fails here, if no other mistake has been named."""
    got, some = weights.value, allowed.any(axis=-1)
    weights.finite(right, cause or "0/0 in a row without keys, or −∞ minus −∞, its maximum")
    zero = (got[~allowed] == 0).all()
    told = "forbidden places get exactly 0, in a row without keys as well"
    small = "a number that is not −∞ stands for the forbidden scores"
    weights.trial.must(told, zero, right, got, named(got, mistakes, small))
    total = got.sum(axis=-1)
    if not cause and bool(((total[some] > 0.1) & (total[some] < 1.1)).all()):
        cause = "something was added to the denominator, and rows with keys sum to less than 1"
    whole = close(total, some)
    weights.trial.must("rows with keys sum to 1", whole, right, got, named(got, mistakes, cause))
    told, cause = "a softmax over the allowed places", _digits(weights, right)
    weights.equals(told, right, mistakes, cause)


def _slope_of_softmax(weights: Array, dweights: Array) -> Array:
    right = np.zeros(weights.shape)
    for place in np.ndindex(weights.shape):
        for i in range(weights.shape[-1]):
            row = (*place[:-1], i)
            right[place] += dweights[row] * weights[row] * ((row == place) - weights[place])
    return right


def _empty_gradient(dscores: Output, right, weights, dweights, allowed) -> None:
    dscores.finite(right, "NaN or inf of the forward pass went on; it needs zeros already")
    mistakes = _softmax_mistakes(weights, dweights)
    count = np.maximum(allowed.sum(axis=-1, keepdims=True), 1)
    mean = (dweights * allowed).sum(axis=-1, keepdims=True) / count
    mistakes["the average over the allowed places was taken without the weights"] = weights * (
        dweights - mean
    )
    mistakes["dweights was handed on; the softmax's derivative is missing"] = dweights
    mistakes |= {f"{name}; allowed places only": w * allowed for name, w in mistakes.items()}
    told = "dscores is the slope of the loss, and 0 where nothing may be attended"
    dscores.equals(told, right, mistakes)


@exercise
def no_empty_rows(answer, draw):
    """Rows without keys give zeros and finite zero gradients, whatever the forbidden scores are."""
    index = "an index does not broadcast, and the mask may be smaller than (B,T,S)"
    for scores, mask, dweights, cause in _empty_cases(draw):
        allowed = np.broadcast_to(mask, scores.shape)
        right = _softmax(np.where(allowed, scores, -np.inf))
        gradient = _slope_of_softmax(right, dweights)
        trial = attempt(
            answer, {"boolean index": index}, scores=scores, mask=mask, dweights=dweights
        )
        weights, dscores = trial.outputs("weights", "dscores")
        weights.shape("(B,T,S)", scores.shape)
        dscores.shape("(B,T,S)", scores.shape)
        if cause:
            mistakes = _extreme_mistakes(scores, allowed)
        else:
            mistakes = {"weights and dscores have changed places": gradient}
            mistakes |= _empty_mistakes(scores, allowed, right)
        _empty_weights(weights, right, mistakes, allowed, cause)
        _empty_gradient(dscores, gradient, right, dweights, allowed)
