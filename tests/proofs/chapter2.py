"""Answers to the exercises of Chapter 2."""

import math

import numpy as np

from attention_course.scratch import functional
from proofs import right, wrong

# ---------------------------------------------------------------- 2.1 softmax


@right("softmax")
def softmax_shifted(x, axis):
    powers = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


@right("softmax")
def softmax_by_logarithms(x, axis):
    return np.exp(x - np.logaddexp.reduce(x, axis=axis, keepdims=True))


@right("softmax")
def softmax_row_by_row(x, axis):
    def one(row):
        top = max(row)
        powers = [math.exp(v - top) for v in row]
        return np.array(powers) / math.fsum(powers)

    return np.apply_along_axis(one, axis, x)


@right("softmax")
def softmax_axis_moved(x, axis):
    rows = np.moveaxis(np.array(x, dtype=float), axis, 0)
    rows = np.exp(rows - rows.max(axis=0))
    return np.moveaxis(rows / rows.sum(axis=0), 0, axis)


@right("softmax")
def softmax_by_torch(x, axis):
    import torch

    return torch.softmax(torch.as_tensor(np.array(x)), dim=axis).numpy()


# -inf becomes the smallest finite number first: the same result
@right("softmax")
def softmax_floor_first(x, axis):
    y = np.nan_to_num(x, neginf=np.finfo(float).min / 4)
    y = np.exp(y - np.expand_dims(y.max(axis=axis), axis))
    return (y / np.expand_dims(y.sum(axis=axis), axis)).tolist()


# exp overflows
@wrong("softmax", says="np.exp(10000) overflows to inf")
def no_maximum(x, axis):
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


# one maximum for everything: low rows underflow to 0 / 0
@wrong("softmax", says="one maximum for the whole array was subtracted")
def maximum_of_the_whole_array(x, axis):
    powers = np.exp(x - x.max())
    return powers / powers.sum(axis=axis, keepdims=True)


# the maximum starts at 0: rows near -10,000 underflow
@wrong("softmax", says="the maximum started at 0")
def maximum_from_zero(x, axis):
    powers = np.exp(x - x.max(axis=axis, keepdims=True, initial=0))
    return powers / powers.sum(axis=axis, keepdims=True)


# the largest absolute value
@wrong("softmax", says="absolute values")
def maximum_of_absolute_values(x, axis):
    powers = np.exp(x - np.abs(x).max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


# the smallest number instead of the largest
@wrong("softmax", says="the mean, the minimum")
def minimum_subtracted(x, axis):
    powers = np.exp(x - x.min(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


# the mean instead of the maximum
@wrong("softmax", says="the mean, the minimum")
def mean_subtracted(x, axis):
    powers = np.exp(x - x.mean(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


# large numbers cut off
@wrong("softmax", says="large numbers were cut off")
def clipped(x, axis):
    powers = np.exp(np.clip(x, -500, 500))
    return powers / powers.sum(axis=axis, keepdims=True)


# always the last axis
@wrong("softmax", says="the sum ran along the other axis")
def always_the_last_axis(x, axis):
    return softmax_shifted(x, -1)


# always the first axis
@wrong("softmax", says="the sum ran along the other axis")
def always_the_first_axis(x, axis):
    return softmax_shifted(x, 0)


# the maximum along axis, the sum along the last
@wrong("softmax", says="but the sum along the other axis")
def sum_along_the_last_axis(x, axis):
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


# the sum of all
@wrong("softmax", says="the sum ran over the whole array")
def sum_of_everything(x, axis):
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum()


# the sum has lost its axis
@wrong("softmax", says="a reduction without keepdims=True drops its axis")
def sum_without_keepdims(x, axis):
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis)


# the maximum has lost its axis
@wrong("softmax", says="a reduction without keepdims=True drops its axis")
def maximum_without_keepdims(x, axis):
    powers = np.exp(x - x.max(axis=axis))
    return powers / powers.sum(axis=axis, keepdims=True)


# -inf becomes a number that is not small enough
@wrong("softmax", says="a finite number stands for −∞")
def minus_infinity_to_minus_hundred(x, axis):
    return softmax_shifted(np.where(np.isneginf(x), -100.0, x), axis)


# everything below -10,000 is lifted to it
@wrong("softmax", says="and beside scores near −10,000")
def floor_of_minus_ten_thousand(x, axis):
    return softmax_shifted(np.maximum(x, -1e4), axis)


# -inf becomes 0, a score like any other
@wrong("softmax", says="−∞ became 0 before")
def minus_infinity_to_zero(x, axis):
    return softmax_shifted(np.where(np.isfinite(x), x, 0.0), axis)


# the logarithm
@wrong("softmax", says="this is the logarithm of the softmax")
def log_of_softmax(x, axis):
    return x - np.logaddexp.reduce(x, axis=axis, keepdims=True)


# no division
@wrong("softmax", says="not divided by their sum")
def not_divided(x, axis):
    return np.exp(x - x.max(axis=axis, keepdims=True))


# powers of two
@wrong("softmax", says="powers of 2 instead of powers of e")
def base_two(x, axis):
    powers = np.exp2(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


# the numbers themselves over their sum
@wrong("softmax", says="what np.exp should be taken of was divided")
def numbers_over_their_sum(x, axis):
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted / shifted.sum(axis=axis, keepdims=True)


# the input is changed
@wrong("softmax", says="an assignment into x")
def softmax_in_place(x, axis):
    x -= x.max(axis=axis, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=axis, keepdims=True)
    return x


# half precision: 10,000 and 10,000.7 are the same number
@wrong("softmax", says="nearly right")
def half_precision(x, axis):
    return softmax_shifted(np.asarray(x, dtype=np.float16), axis).astype(float)


# single precision: of 10,000.6931 three digits are left behind the point
@wrong("softmax", says="fewer digits than float64")
def single_precision(x, axis):
    return softmax_shifted(np.asarray(x, dtype=np.float32), axis)


# right for one and two axes, where −1 and 1 are the same or cut to the last
@wrong("softmax", says="along axis 1, not along -1: a negative axis counts from the end")
def axis_without_its_sign(x, axis):
    axis = min(abs(axis), x.ndim - 1)
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


# right for tables
@wrong("softmax", says="the sum ran along axis 2, not along 1")
def transposed_for_axis_0(x, axis):
    x = x.T if axis == 0 else x
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    e = e / e.sum(axis=-1, keepdims=True)
    return e.T if axis == 0 else e


@wrong("softmax", says="or a small one added")
def with_a_millionth_below(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / (e.sum(axis=axis, keepdims=True) + 1e-6)


@right("softmax")
def with_a_billionth_below(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / (e.sum(axis=axis, keepdims=True) + 1e-9)


# ---------------------------------------------------------------- 2.2 score_spread


@right("score_spread")
def spread_by_matmul(query, key):
    scores = query @ key.swapaxes(-1, -2)
    return np.array(
        [
            [s.std(), functional.softmax(s).max(axis=-1).mean()]
            for s in (scores, scores / np.sqrt(query.shape[-1]))
        ]
    )


@right("score_spread")
def spread_with_loops(query, key):
    table = []
    for factor in (1.0, query.shape[2] ** -0.5):
        everything, largest = [], []
        for queries, keys in zip(query, key, strict=True):
            for q in queries:
                row = [factor * float(sum(q * k)) for k in keys]
                everything += row
                largest.append(1 / sum(math.exp(s - max(row)) for s in row))
        mean = sum(everything) / len(everything)
        variance = sum((s - mean) ** 2 for s in everything) / len(everything)
        table.append([math.sqrt(variance), sum(largest) / len(largest)])
    return table


@right("score_spread")
def spread_by_einsum(query, key):
    scores = np.einsum("btd,bsd->bts", query, key)

    def largest(s):
        powers = np.exp(s - s.max(axis=2, keepdims=True))
        return np.average(powers.max(axis=2) / powers.sum(axis=2))

    root = math.sqrt(key.shape[-1])
    spread = np.sqrt(np.mean(scores**2) - np.mean(scores) ** 2)
    return (spread, largest(scores)), (spread / root, largest(scores / root))


@right("score_spread")
def spread_by_torch(query, key):
    import torch

    q, k = torch.as_tensor(np.array(query)), torch.as_tensor(np.array(key))
    scores = torch.stack([q @ k.mT, q @ k.mT / q.shape[-1] ** 0.5])
    largest = scores.softmax(dim=-1).amax(dim=-1).flatten(1).mean(dim=1)
    return torch.stack([scores.flatten(1).std(dim=1, correction=0), largest], dim=1).numpy()


def _table(scores, d, spread=np.std, largest=None):
    def of_weights(s):
        return functional.softmax(s).max(axis=-1).mean()

    largest = largest or of_weights
    return np.array([[spread(s), largest(s)] for s in (scores, scores / np.sqrt(d))])


def _scores(query, key):
    return query @ key.transpose(0, 2, 1)


# no maximum subtracted: scores of this exercise are far too small to overflow
@right("score_spread")
def spread_without_maximum(query, key):
    def largest(s):
        return (np.exp(s) / np.exp(s).sum(axis=-1, keepdims=True)).max(axis=-1).mean()

    return _table(_scores(query, key), query.shape[-1], largest=largest)


# variance instead of its root
@wrong("score_spread", says="the variance was taken")
def variance(query, key):
    return _table(_scores(query, key), query.shape[-1], spread=np.var)


# divided by n - 1, as torch.std does
@wrong("score_spread", says="ddof=1")
def divided_by_one_less(query, key):
    return _table(_scores(query, key), query.shape[-1], spread=lambda s: s.std(ddof=1))


# the spread of each row, averaged
@wrong("score_spread", says="the spread was taken of each row")
def spread_of_rows_averaged(query, key):
    return _table(_scores(query, key), query.shape[-1], spread=lambda s: s.std(axis=-1).mean())


# the root of the mean square: the mean is not taken away
@wrong("score_spread", says="the mean of the scores was not subtracted")
def root_mean_square(query, key):
    scores = _scores(query, key)
    return _table(scores, query.shape[-1], spread=lambda s: np.sqrt((s**2).mean()))


# the spread of the weights
@wrong("score_spread", says="the spread is that of the weights")
def spread_of_weights(query, key):
    scores = _scores(query, key)
    return _table(scores, query.shape[-1], spread=lambda s: functional.softmax(s).std())


# the largest weight of all rows
@wrong("score_spread", says="the largest weight of all rows")
def largest_of_all(query, key):
    scores = _scores(query, key)
    return _table(scores, query.shape[-1], largest=lambda s: functional.softmax(s).max())


# the largest of the averaged weights
@wrong("score_spread", says="the weights were averaged first")
def largest_of_the_average(query, key):
    def largest(s):
        return functional.softmax(s).mean(axis=(0, 1)).max()

    return _table(_scores(query, key), query.shape[-1], largest=largest)


# for each key, the largest weight over the queries
@wrong("score_spread", says="the largest weight was looked up among the")
def largest_over_queries(query, key):
    def largest(s):
        return functional.softmax(s).max(axis=1).mean()

    return _table(_scores(query, key), query.shape[-1], largest=largest)


# the average of the weights: always 1/S
@wrong("score_spread", says="the mean of all weights")
def average_weight(query, key):
    scores = _scores(query, key)
    return _table(scores, query.shape[-1], largest=lambda s: functional.softmax(s).mean())


# the largest score
@wrong("score_spread", says="the largest *score* was taken")
def largest_score(query, key):
    scores = _scores(query, key)
    return _table(scores, query.shape[-1], largest=lambda s: s.max(axis=-1).mean())


# softmax over the queries
@wrong("score_spread", says="the softmax ran over the queries")
def spread_softmax_over_queries(query, key):
    def largest(s):
        return softmax_shifted(s, 1).max(axis=-1).mean()

    return _table(_scores(query, key), query.shape[-1], largest=largest)


# softmax over all scores
@wrong("score_spread", says="the softmax ran over all scores at once")
def spread_softmax_over_everything(query, key):
    def largest(s):
        return functional.softmax(s.reshape(-1)).reshape(s.shape).max(axis=-1).mean()

    return _table(_scores(query, key), query.shape[-1], largest=largest)


# divided by d
@wrong("score_spread", says="divided by d instead of √d")
def spread_divided_by_d(query, key):
    return _table(_scores(query, key), query.shape[-1] ** 2)


# divided by the root of the number of keys
@wrong("score_spread", says="√ of the number of keys was taken")
def spread_root_of_keys(query, key):
    return _table(_scores(query, key), key.shape[1])


# scaled weights instead of weights of scaled scores
@wrong("score_spread", says="the weights were divided by √d")
def spread_weights_scaled(query, key):
    table = _table(_scores(query, key), query.shape[-1])
    return np.array([table[0], table[0] / np.sqrt(query.shape[-1])])


# the weights are not computed again for the scaled scores
@wrong("score_spread", says="the weights were not computed again from the")
def same_weights_in_both_rows(query, key):
    table = _table(_scores(query, key), query.shape[-1])
    table[1, 1] = table[0, 1]
    return table


# rows and columns swapped
@wrong("score_spread", says="rows and columns are swapped")
def table_transposed(query, key):
    return _table(_scores(query, key), query.shape[-1]).T


# the scaled row first
@wrong("score_spread", says="the rows are swapped")
def scaled_row_first(query, key):
    return _table(_scores(query, key), query.shape[-1])[::-1]


# the columns in the other order
@wrong("score_spread", says="the columns are swapped")
def columns_swapped(query, key):
    return _table(_scores(query, key), query.shape[-1])[:, ::-1]


# only the first query of each sentence
@wrong("score_spread", says="only the first query of each sentence was")
def first_query_only(query, key):
    return _table(_scores(query[:, :1], key), query.shape[-1])


# only the first sentence
@wrong("score_spread", says="only the first sentence was taken")
def first_sentence_only(query, key):
    return _table(_scores(query[:1], key[:1]), query.shape[-1])


# queries meet the keys of all sentences
@wrong("score_spread", says="queries met the keys of other sentences")
def across_sentences(query, key):
    d = query.shape[-1]
    return _table(query.reshape(-1, d) @ key.reshape(-1, d).T, d)


# cosines instead of products
@wrong("score_spread", says="something was divided by a key's length")
def cosines(query, key):
    lengths = [np.linalg.norm(x, axis=-1, keepdims=True) for x in (query, key)]
    return _table(_scores(query / lengths[0], key / lengths[1]), query.shape[-1])


# reshaped instead of transposed
@wrong("score_spread", says="the keys were reshaped to (B,d,S) instead of")
def keys_reshaped(query, key):
    B, S, d = key.shape
    return _table(query @ key.reshape(B, d, S), d)


# ---------------------------------------------------------------- 2.3 weight_sum


@right("weight_sum")
def sum_by_broadcasting(weights, states, dcontext):
    context = (weights[:, :, None] * states).sum(axis=1)
    dweights = (dcontext[:, None, :] * states).sum(axis=-1)
    return context, dweights, weights[:, :, None] * dcontext[:, None, :]


@right("weight_sum")
def sum_by_einsum(weights, states, dcontext):
    return [
        np.einsum("bs,bsh->bh", weights, states),
        np.einsum("bh,bsh->bs", dcontext, states),
        np.einsum("bs,bh->bsh", weights, dcontext),
    ]


@right("weight_sum")
def sum_with_loops(weights, states, dcontext):
    B, S, H = states.shape
    context = [[0.0] * H for _ in range(B)]
    dweights = [[0.0] * S for _ in range(B)]
    dstates = [[[0.0] * H for _ in range(S)] for _ in range(B)]
    for b in range(B):
        for j in range(S):
            for h in range(H):
                context[b][h] += weights[b, j] * states[b, j, h]
                dweights[b][j] += dcontext[b, h] * states[b, j, h]
                dstates[b][j][h] = weights[b, j] * dcontext[b, h]
    return context, dweights, dstates


@right("weight_sum")
def sum_by_matmul(weights, states, dcontext):
    context = np.squeeze(weights[:, None] @ states, axis=1)
    dweights = np.squeeze(states @ dcontext[..., None], axis=2)
    return context, dweights, weights[..., None] @ dcontext[:, None]


@right("weight_sum")
def sum_by_torch(weights, states, dcontext):
    import torch

    w = torch.tensor(np.array(weights), requires_grad=True)
    h = torch.tensor(np.array(states), requires_grad=True)
    context = torch.einsum("bs,bsh->bh", w, h)
    context.backward(torch.tensor(np.array(dcontext)))
    return context.detach().numpy(), w.grad.numpy(), h.grad.numpy()


# weights line up with the numbers of a state: an error, or the wrong sum where S = H
@wrong("weight_sum", says="a weight belongs to a whole state")
def weights_along_the_numbers(weights, states, dcontext):
    _, dweights, dstates = sum_by_broadcasting(weights, states, dcontext)
    return (weights[:, None, :] * states).sum(axis=1), dweights, dstates


# the numbers of a state are added up
@wrong("weight_sum", says="the sum ran over the numbers of a")
def summed_over_the_numbers(weights, states, dcontext):
    _, dweights, dstates = sum_by_broadcasting(weights, states, dcontext)
    return (weights[:, :, None] * states).sum(axis=2), dweights, dstates


# the mean over the states
@wrong("weight_sum", says="the mean was taken")
def mean_over_states(weights, states, dcontext):
    _, dweights, dstates = sum_by_broadcasting(weights, states, dcontext)
    return (weights[:, :, None] * states).mean(axis=1), dweights, dstates


# an axis of 1 is left over
@wrong("weight_sum", says="the axis that was added up is still")
def axis_left_over(weights, states, dcontext):
    _, dweights, dstates = sum_by_broadcasting(weights, states, dcontext)
    return weights[:, None] @ states, dweights, dstates


# the weights are normalised once more
@wrong("weight_sum", says="a softmax was taken of the weights once")
def weights_softmaxed_again(weights, states, dcontext):
    return sum_by_broadcasting(functional.softmax(weights), states, dcontext)


# the weights are divided by their sum, which changes nothing where it is 1, and makes gradients
# that know nothing of it
@wrong("weight_sum", says="the weights were divided by their sum")
def weights_divided_by_their_sum(weights, states, dcontext):
    weights = weights / weights.sum(axis=1, keepdims=True)
    return sum_by_broadcasting(weights, states, dcontext)


# mean for sum in the gradient
@wrong("weight_sum", says="the mean was taken instead of the sum")
def dweights_mean(weights, states, dcontext):
    context, _, dstates = sum_by_broadcasting(weights, states, dcontext)
    return context, (dcontext[:, None] * states).mean(axis=-1), dstates


# not summed over the numbers of a state
@wrong("weight_sum", says="not added up over the numbers of a")
def dweights_not_summed(weights, states, dcontext):
    context, _, dstates = sum_by_broadcasting(weights, states, dcontext)
    return context, dcontext[:, None] * states, dstates


# dcontext left out: the sum of each state
@wrong("weight_sum", says="dcontext is missing")
def dweights_without_dcontext(weights, states, dcontext):
    context, _, dstates = sum_by_broadcasting(weights, states, dcontext)
    return context, states.sum(axis=-1), dstates


# the context where its gradient should stand
@wrong("weight_sum", says="the context stands where dcontext should")
def dweights_from_the_context(weights, states, dcontext):
    context, _, dstates = sum_by_broadcasting(weights, states, dcontext)
    return context, (context[:, None] * states).sum(axis=-1), dstates


# the weight is still in its own gradient
@wrong("weight_sum", says="the weights are in it once too often")
def dweights_times_weights(weights, states, dcontext):
    context, dweights, dstates = sum_by_broadcasting(weights, states, dcontext)
    return context, dweights * weights, dstates


# the gradient of the softmax is in it already
@wrong("weight_sum", says="a softmax's derivative is in it")
def dweights_through_the_softmax(weights, states, dcontext):
    context, dweights, dstates = sum_by_broadcasting(weights, states, dcontext)
    average = (weights * dweights).sum(axis=-1, keepdims=True)
    return context, weights * (dweights - average), dstates


# every state gets all of dcontext
@wrong("weight_sum", says="every state got the whole of dcontext")
def dstates_without_weights(weights, states, dcontext):
    context, dweights, _ = sum_by_broadcasting(weights, states, dcontext)
    return context, dweights, np.repeat(dcontext[:, None], states.shape[1], axis=1)


# every state gets the same share
@wrong("weight_sum", says="dcontext was shared out evenly")
def dstates_in_equal_shares(weights, states, dcontext):
    context, dweights, _ = sum_by_broadcasting(weights, states, dcontext)
    share = dcontext[:, None] / states.shape[1]
    return context, dweights, np.repeat(share, states.shape[1], axis=1)


# dcontext left out: the weights repeated
@wrong("weight_sum", says="dcontext is missing")
def dstates_without_dcontext(weights, states, dcontext):
    context, dweights, _ = sum_by_broadcasting(weights, states, dcontext)
    return context, dweights, np.repeat(weights[..., None], states.shape[2], axis=2)


# weight times state
@wrong("weight_sum", says="dcontext is missing")
def dstates_from_states(weights, states, dcontext):
    context, dweights, _ = sum_by_broadcasting(weights, states, dcontext)
    return context, dweights, weights[..., None] * states


# the gradient of the weights instead of the weights
@wrong("weight_sum", says="dweights stands where the weights should")
def dstates_from_dweights(weights, states, dcontext):
    context, dweights, _ = sum_by_broadcasting(weights, states, dcontext)
    return context, dweights, dweights[..., None] * dcontext[:, None]


# summed over the states
@wrong("weight_sum", says="added up over the states")
def dstates_summed(weights, states, dcontext):
    context, dweights, dstates = sum_by_broadcasting(weights, states, dcontext)
    return context, dweights, dstates.sum(axis=1)


# (B,H,S) instead of (B,S,H)
@wrong("weight_sum", says="it is transposed")
def dstates_transposed(weights, states, dcontext):
    context, dweights, _ = sum_by_broadcasting(weights, states, dcontext)
    return context, dweights, dcontext[:, :, None] * weights[:, None, :]


# the gradients in the other order
@wrong("weight_sum", says="dweights and dstates have changed places")
def gradients_swapped(weights, states, dcontext):
    context, dweights, dstates = sum_by_broadcasting(weights, states, dcontext)
    return context, dstates, dweights


# the context is forgotten
@wrong("weight_sum", says="no `return context")
def two_results_only(weights, states, dcontext):
    return sum_by_broadcasting(weights, states, dcontext)[1:]


# works for B = 1: all sentences read the first one
@wrong("weight_sum", says="every sentence was given the states of the")
def states_of_the_first_sentence(weights, states, dcontext):
    return weights @ states[0], dcontext @ states[0].T, weights[..., None] * dcontext[:, None]


# all signs turned round, as if for a descent
@wrong("weight_sum", says="the sign is turned round")
def gradients_negative(weights, states, dcontext):
    context, dweights, dstates = sum_by_broadcasting(weights, states, dcontext)
    return context, -dweights, -dstates


# the states are overwritten before they are used again
@wrong("weight_sum", says="an assignment into states")
def states_overwritten(weights, states, dcontext):
    states *= weights[..., None]
    return (
        states.sum(axis=1),
        (dcontext[:, None] * states).sum(axis=-1),
        weights[..., None] * dcontext[:, None],
    )


# ---------------------------------------------------------------- 2.4 softmax_backward


@right("softmax_backward")
def backward_by_the_average(weights, dweights):
    return weights * (dweights - (weights * dweights).sum(axis=-1, keepdims=True))


@right("softmax_backward")
def backward_by_jacobians(weights, dweights):
    S = weights.shape[-1]
    result = []
    for w, dw in zip(weights.reshape(-1, S), dweights.reshape(-1, S), strict=True):
        result.append((np.diag(w) - np.outer(w, w)) @ dw)
    return np.array(result).reshape(weights.shape)


@right("softmax_backward")
def backward_by_einsum(weights, dweights):
    jacobian = np.einsum("...i,ij->...ij", weights, np.eye(weights.shape[-1]))
    jacobian -= np.einsum("...i,...j->...ij", weights, weights)
    return np.einsum("...i,...ij->...j", dweights, jacobian)


@right("softmax_backward")
def backward_by_pairs(weights, dweights):
    difference = dweights[..., :, None] - dweights[..., None, :]
    return weights * (difference * weights[..., None, :]).sum(axis=-1)


@right("softmax_backward")
def backward_by_torch(weights, dweights):
    import torch

    scores = torch.tensor(np.array(weights)).log().requires_grad_()
    scores.softmax(dim=-1).backward(torch.tensor(np.array(dweights)))
    return scores.grad.numpy()


# only the diagonal of the Jacobian, as for a sigmoid
@wrong("softmax_backward", says="only the diagonal of the derivative")
def like_a_sigmoid(weights, dweights):
    return weights * (1 - weights) * dweights


# no average
@wrong("softmax_backward", says="the rows' average of dweights is not subtracted")
def average_forgotten(weights, dweights):
    return weights * dweights


# the plain average of the row
@wrong("softmax_backward", says="the average was taken without the weights")
def plain_average(weights, dweights):
    return weights * (dweights - dweights.mean(axis=-1, keepdims=True))


# the average divided by S as well
@wrong("softmax_backward", says="the weighted average was divided by S")
def weighted_average_divided(weights, dweights):
    return weights * (dweights - (weights * dweights).mean(axis=-1, keepdims=True))


# the sum, not the average
@wrong("softmax_backward", says="the sum of dweights was subtracted")
def unweighted_sum(weights, dweights):
    return weights * (dweights - dweights.sum(axis=-1, keepdims=True))


# not multiplied by the weights
@wrong("softmax_backward", says="the factor in front")
def weights_outside_forgotten(weights, dweights):
    return dweights - (weights * dweights).sum(axis=-1, keepdims=True)


# the gradient of log softmax
@wrong("softmax_backward", says="this is the derivative of the *logarithm* of")
def of_the_log_softmax(weights, dweights):
    return dweights - weights * dweights.sum(axis=-1, keepdims=True)


# the shortcut of cross-entropy
@wrong("softmax_backward", says="this is the short form")
def of_the_cross_entropy(weights, dweights):
    return weights - dweights


# sign
@wrong("softmax_backward", says="the sign is turned round")
def sign_turned(weights, dweights):
    return -backward_by_the_average(weights, dweights)


# plus for minus
@wrong("softmax_backward", says="the average was added")
def plus_the_average(weights, dweights):
    return weights * (dweights + (weights * dweights).sum(axis=-1, keepdims=True))


# the terms of the other scores only
@wrong("softmax_backward", says="a weight's derivative by its own score is")
def own_score_forgotten(weights, dweights):
    total = (weights * dweights).sum(axis=-1, keepdims=True)
    return -weights * (total - weights * dweights)


# the average over the rows
@wrong("softmax_backward", says="the sum ran down the columns")
def average_down_the_columns(weights, dweights):
    return weights * (dweights - (weights * dweights).sum(axis=0, keepdims=True))


# axis 1 is the last one only if there are two
@wrong("softmax_backward", says="axis=1 is the last axis of a table only")
def average_along_axis_one(weights, dweights):
    return weights * (dweights - (weights * dweights).sum(axis=1, keepdims=True))


# the average of the whole array
@wrong("softmax_backward", says="one sum for all rows")
def average_of_everything(weights, dweights):
    return weights * (dweights - (weights * dweights).sum())


# the average has lost its axis: an error, or in the wrong row
@wrong("softmax_backward", says="keepdims is missing")
def average_without_keepdims(weights, dweights):
    return weights * (dweights - (weights * dweights).sum(axis=-1))


# for two axes only
@wrong("softmax_backward", says="it is written for two axes")
def two_axes_only(weights, dweights):
    return weights * (dweights - np.einsum("bs,bs->b", weights, dweights)[:, None])


# the weights are taken for scores
@wrong("softmax_backward", says="a softmax was taken of the weights once")
def softmax_of_the_weights(weights, dweights):
    return backward_by_the_average(functional.softmax(weights), dweights)


# the weight is squared
@wrong("softmax_backward", says="the weight stands in front twice")
def weights_twice(weights, dweights):
    return weights * backward_by_the_average(weights, dweights)


# the gradient that came in is overwritten
@wrong("softmax_backward", says="an assignment into dweights")
def backward_in_place(weights, dweights):
    dweights -= (weights * dweights).sum(axis=-1, keepdims=True)
    dweights *= weights
    return dweights


# divided by the number of rows
@wrong("softmax_backward", says="divided by the number of rows")
def divided_by_rows(weights, dweights):
    return backward_by_the_average(weights, dweights) / len(weights)


# ---------------------------------------------------------------- 2.5 attend


@right("attend")
def attend_with_minus_infinity(query, key, value, mask):
    scores = query @ np.swapaxes(key, 1, 2) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    weights = functional.softmax(scores)
    return weights @ value, weights


@right("attend")
def attend_with_loops(query, key, value, mask):
    (B, T, d), S = query.shape, key.shape[1]
    allowed = np.broadcast_to(True if mask is None else mask, (B, T, S))
    weights = np.zeros((B, T, S))
    context = np.zeros((B, T, value.shape[2]))
    for b in range(B):
        for t in range(T):
            keys = np.flatnonzero(allowed[b, t])
            scores = [float(np.dot(query[b, t], key[b, j])) / d**0.5 for j in keys]
            powers = [math.exp(s - max(scores)) for s in scores]
            for j, power in zip(keys, powers, strict=True):
                weights[b, t, j] = power / sum(powers)
                context[b, t] += weights[b, t, j] * value[b, j]
    return context, weights


@right("attend")
def attend_by_einsum(query, key, value, mask):
    scores = np.einsum("btd,bsd->bts", query * query.shape[2] ** -0.5, key)
    if mask is None:
        mask = np.ones(key.shape[1], dtype=bool)
    scores = scores + (1.0 - np.asarray(mask)) * -1e9
    powers = np.exp(scores - scores.max(-1)[..., None])
    weights = powers / powers.sum(-1)[..., None]
    return [np.einsum("bts,bsv->btv", weights, value), weights]


@right("attend")
def attend_by_torch(query, key, value, mask):
    import torch
    import torch.nn.functional as F

    q, k, v = (torch.as_tensor(np.array(x)) for x in (query, key, value))
    if mask is not None:
        mask = torch.as_tensor(np.broadcast_to(mask, (*q.shape[:2], k.shape[1])).copy())
    one_hot = torch.eye(k.shape[1], dtype=q.dtype).expand(len(k), -1, -1)
    context = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    weights = F.scaled_dot_product_attention(q, k, one_hot, attn_mask=mask)
    return context.numpy(), weights.numpy()


@right("attend")
def attend_with_nothing_for_the_forbidden(query, key, value, mask):
    scores = np.matmul(query, key.transpose(0, 2, 1))
    allowed = np.broadcast_to(True if mask is None else mask, scores.shape)
    scores /= np.sqrt(query.shape[-1])
    top = np.max(scores, axis=-1, keepdims=True, where=allowed, initial=-np.inf)
    powers = np.zeros_like(scores)
    np.exp(scores - top, out=powers, where=allowed)
    total = powers.sum(axis=-1, keepdims=True)
    return np.matmul(powers, value) / total, powers / total


# masked after the softmax, but what remains is divided by its sum
@right("attend")
def attend_divided_again(query, key, value, mask):
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
    weights = functional.softmax(scores)
    if mask is not None:
        weights = weights * mask
        weights /= weights.sum(axis=-1, keepdims=True)
    return weights @ value, weights


def _attend(query, key, value, mask, scale=None, fill=-np.inf):
    scores = query @ key.transpose(0, 2, 1) * (scale or query.shape[-1] ** -0.5)
    if mask is not None:
        scores = np.where(mask, scores, fill)
    weights = functional.softmax(scores)
    return weights @ value, weights


# no scale
@wrong("attend", says="the scores are not divided by √d_k")
def not_scaled(query, key, value, mask):
    return _attend(query, key, value, mask, scale=1.0)


# divided by d
@wrong("attend", says="the scores were divided by d_k")
def divided_by_d(query, key, value, mask):
    return _attend(query, key, value, mask, scale=1 / query.shape[-1])


# times the root
@wrong("attend", says="the scores were multiplied by √d_k")
def times_the_root(query, key, value, mask):
    return _attend(query, key, value, mask, scale=query.shape[-1] ** 0.5)


# the root of d_v
@wrong("attend", says="the scores were divided by √d_v or √T")
def root_of_the_values_size(query, key, value, mask):
    return _attend(query, key, value, mask, scale=value.shape[-1] ** -0.5)


# the root of the number of keys
@wrong("attend", says="the scores were divided by √S")
def root_of_the_number_of_keys(query, key, value, mask):
    return _attend(query, key, value, mask, scale=key.shape[1] ** -0.5)


# the root of the number of queries
@wrong("attend", says="the scores were divided by √d_v or √T")
def root_of_the_number_of_queries(query, key, value, mask):
    return _attend(query, key, value, mask, scale=query.shape[1] ** -0.5)


# the weights are scaled, after the softmax
@wrong("attend", says="the weights were divided by √d_k")
def weights_scaled(query, key, value, mask):
    _, weights = _attend(query, key, value, mask, scale=1.0)
    weights = weights / np.sqrt(query.shape[-1])
    return weights @ value, weights


# masked after the softmax: rows no longer sum to 1
@wrong("attend", says="multiplied in after the softmax")
def masked_after_the_softmax(query, key, value, mask):
    _, weights = _attend(query, key, value, None)
    weights = weights if mask is None else weights * mask
    return weights @ value, weights


# the mask turned round
@wrong("attend", says="the mask was taken the other way round")
def mask_turned_round(query, key, value, mask):
    return _attend(query, key, value, None if mask is None else ~mask)


# a forbidden score of 0
@wrong("attend", says="forbidden scores became 0")
def forbidden_scores_zero(query, key, value, mask):
    return _attend(query, key, value, mask, fill=0.0)


# 1e-9 where 1e9 was meant
@wrong("attend", says="forbidden scores became 0")
def typo_in_the_exponent(query, key, value, mask):
    return _attend(query, key, value, mask, fill=-1e-9)


# not small enough
@wrong("attend", says="a number that is not −∞ stands for")
def fill_of_minus_ten(query, key, value, mask):
    return _attend(query, key, value, mask, fill=-10.0)


# plus infinity
@wrong("attend", says="+∞ stands in the forbidden places")
def plus_infinity(query, key, value, mask):
    return _attend(query, key, value, mask, fill=np.inf)


# 0 * inf is nan
@wrong("attend", says="0 · ∞ is NaN")
def infinity_times_zero(query, key, value, mask):
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores + (1 - mask.astype(float)) * -np.inf
    weights = functional.softmax(scores)
    return weights @ value, weights


# True counts as 1 and is added
@wrong("attend", says="the mask was added to the scores")
def mask_added(query, key, value, mask):
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
    weights = functional.softmax(scores if mask is None else scores + mask)
    return weights @ value, weights


# None is not thought of: where() takes it for False
@wrong("attend", says="None was taken for False")
def none_is_false(query, key, value, mask):
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
    weights = functional.softmax(np.where(mask, scores, -1e9))
    return weights @ value, weights


# None is not thought of: ~None is an error
@wrong("attend", says="the mask may be None")
def none_is_an_error(query, key, value, mask):
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
    scores[np.broadcast_to(~mask, scores.shape)] = -np.inf
    weights = functional.softmax(scores)
    return weights @ value, weights


# the mask is ignored
@wrong("attend", says="the mask was not used")
def mask_ignored(query, key, value, mask):
    return _attend(query, key, value, None)


# indexing does not broadcast
@wrong("attend", says="an index does not broadcast")
def mask_as_an_index(query, key, value, mask):
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
    if mask is not None:
        scores[~mask] = -np.inf
    weights = functional.softmax(scores)
    return weights @ value, weights


# the mask is taken to be (B,S)
@wrong("attend", says="the mask was given one more axis")
def mask_of_sentences(query, key, value, mask):
    return _attend(query, key, value, None if mask is None else mask[:, None, :])


# the row of the first query is used for all
@wrong("attend", says="the mask's row of the first query was")
def mask_of_the_first_query(query, key, value, mask):
    if mask is not None and mask.ndim == 3:
        mask = mask[:, :1]
    return _attend(query, key, value, mask)


# the keys are zeroed: their score is 0, not -inf
@wrong("attend", says="the mask was not used")
def keys_zeroed(query, key, value, mask):
    if mask is not None:
        mask = np.broadcast_to(mask, (len(key), query.shape[1], key.shape[1]))
        key = key * mask.any(axis=1)[..., None]
    return _attend(query, key, value, None)


# the weights keep the forbidden places, only the average leaves them out
@wrong("attend", says="these are the weights from before the mask")
def mask_in_the_context_only(query, key, value, mask):
    _, weights = _attend(query, key, value, None)
    return _attend(query, key, value, mask)[0], weights


# softmax over the queries
@wrong("attend", says="the softmax ran over the queries")
def softmax_over_queries(query, key, value, mask):
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
    if mask is not None:
        scores = np.where(mask, scores, -1e9)
    weights = softmax_shifted(scores, 1)
    return weights @ value, weights


# no softmax: scores divided by their sum
@wrong("attend", says="scores were divided by their sum")
def scores_over_their_sum(query, key, value, mask):
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
    if mask is not None:
        scores = np.where(mask, scores, 0.0)
    weights = scores / scores.sum(axis=-1, keepdims=True)
    return weights @ value, weights


# keys serve as values
@wrong("attend", says="the keys were averaged")
def keys_as_values(query, key, value, mask):
    return _attend(query, key, key, mask)


# the mean over the keys
@wrong("attend", says="the mean over the keys was taken")
def average_divided_by_keys(query, key, value, mask):
    context, weights = _attend(query, key, value, mask)
    return context / key.shape[1], weights


# all sentences read the keys of the first
@wrong("attend", says="every sentence was given the keys of the")
def keys_of_the_first_sentence(query, key, value, mask):
    return _attend(query, np.repeat(key[:1], len(key), axis=0), value, mask)


# reshaped instead of transposed
@wrong("attend", says="the keys were reshaped to (B,d_k,S) instead of")
def reshaped_for_transposed(query, key, value, mask):
    B, S, d = key.shape
    return _attend(query, key.reshape(B, d, S).transpose(0, 2, 1), value, mask)


# the results in the other order
@wrong("attend", says="context and weights changed places")
def weights_first(query, key, value, mask):
    return _attend(query, key, value, mask)[::-1]


# the context alone
@wrong("attend", says="no `return context")
def context_only(query, key, value, mask):
    return _attend(query, key, value, mask)[0]


# the weights as (B,S,T)
@wrong("attend", says="it is transposed")
def weights_turned(query, key, value, mask):
    context, weights = _attend(query, key, value, mask)
    return context, weights.transpose(0, 2, 1)


# the query itself is scaled
@wrong("attend", says="an assignment into query")
def query_in_place(query, key, value, mask):
    query /= np.sqrt(query.shape[-1])
    return _attend(query, key, value, mask, scale=1.0)


# ---------------------------------------------------------------- 2.6 library_masks


@right("library_masks")
def masks_by_arange(lengths, size, queries):
    real = np.arange(size) < lengths[:, None]
    repeated = np.repeat(real[:, None], queries, axis=1)
    return real[:, None], ~real, real[:, None, None], repeated


@right("library_masks")
def masks_with_loops(lengths, size, queries):
    real = [[j < n for j in range(size)] for n in lengths]
    padding = [[not place for place in row] for row in real]
    return [[r] for r in real], padding, [[[r]] for r in real], [[r] * queries for r in real]


@right("library_masks")
def masks_by_broadcasting(lengths, size, queries):
    B = len(lengths)
    real = np.zeros((B, size), dtype=bool)
    for b in range(B):
        real[b, : lengths[b]] = True
    return [
        np.expand_dims(real, 1),
        np.logical_not(real),
        real.reshape(B, 1, 1, size),
        np.broadcast_to(real[:, None, :], (B, queries, size)),
    ]


@right("library_masks")
def masks_by_torch(lengths, size, queries):
    import torch

    n = torch.as_tensor(np.array(lengths))
    pad = torch.arange(size)[None] >= n[:, None]
    real = pad.logical_not()
    course, heads = real.unsqueeze(1), real[:, None, None]
    return course.numpy(), pad.numpy(), heads.numpy(), course.expand(-1, queries, -1).numpy()


def _real(lengths, size):
    return np.arange(size)[None] < np.asarray(lengths)[:, None]


def _masks(real, queries, padding=None):
    padding = ~real if padding is None else padding
    return real[:, None], padding, real[:, None, None], np.repeat(real[:, None], queries, axis=1)


# one place too many
@wrong("library_masks", says="the comparison is <= instead of <")
def first_pad_is_real(lengths, size, queries):
    return _masks(np.arange(size) <= lengths[:, None], queries)


# one place too few
@wrong("library_masks", says="the last real token is missing")
def last_token_is_padding(lengths, size, queries):
    return _masks(np.arange(1, size + 1) < lengths[:, None], queries)


# True means may attend in all four
@wrong("library_masks", says="in key_padding_mask True means: ignore")
def four_alike(lengths, size, queries):
    real = _real(lengths, size)
    return _masks(real, queries, padding=real)


# all four turned round
@wrong("library_masks", says="the other polarity")
def all_turned_round(lengths, size, queries):
    return tuple(~mask for mask in _masks(_real(lengths, size), queries))


# PyTorch's two masks are taken to mean the same
@wrong("library_masks", says="in attn_mask True means: may attend")
def attn_mask_turned_too(lengths, size, queries):
    course, padding, attn, keras = _masks(_real(lengths, size), queries)
    return course, padding, ~attn, keras


# Keras is taken to want the padding
@wrong("library_masks", says="in attention_mask True means: may attend")
def keras_turned_round(lengths, size, queries):
    course, padding, attn, keras = _masks(_real(lengths, size), queries)
    return course, padding, attn, ~keras


# padding on the left
@wrong("library_masks", says="the padding stands on the left here")
def padding_on_the_left(lengths, size, queries):
    return _masks(np.arange(size) >= size - lengths[:, None], queries)


# as wide as the longest sentence
@wrong("library_masks", says="it is as wide as the longest sentence")
def as_wide_as_the_longest(lengths, size, queries):
    return _masks(_real(lengths, max(lengths)), queries)


# the first sentence's mask for all
@wrong("library_masks", says="every sentence got the mask of the first")
def mask_of_the_first_sentence(lengths, size, queries):
    return _masks(np.repeat(_real(lengths, size)[:1], len(lengths), axis=0), queries)


# (B,S): the axis of the queries is missing
@wrong("library_masks", says="(B,S) has no axis for queries")
def course_of_two_axes(lengths, size, queries):
    real = _real(lengths, size)
    return (real, *_masks(real, queries)[1:])


# (B,S,1): the queries would be masked
@wrong("library_masks", says="this masks queries")
def course_of_queries(lengths, size, queries):
    real = _real(lengths, size)
    return (real[:, :, None], *_masks(real, queries)[1:])


# (B,1,S) for heads: lines up with the wrong axis
@wrong("library_masks", says="the axis of the heads is missing")
def attn_mask_of_three_axes(lengths, size, queries):
    course, padding, _, keras = _masks(_real(lengths, size), queries)
    return course, padding, course, keras


# (1,1,B,S)
@wrong("library_masks", says="the new axes stand before B")
def attn_mask_with_axes_in_front(lengths, size, queries):
    real = _real(lengths, size)
    course, padding, _, keras = _masks(real, queries)
    return course, padding, real[None, None], keras


# (B,1,T,S)
@wrong("library_masks", says="the queries' axis is 1 here")
def attn_mask_repeated(lengths, size, queries):
    course, padding, _, keras = _masks(_real(lengths, size), queries)
    return course, padding, keras[:, None], keras


# (B,1,S): not repeated
@wrong("library_masks", says="the row stands there once")
def keras_not_repeated(lengths, size, queries):
    course, padding, attn, _ = _masks(_real(lengths, size), queries)
    return course, padding, attn, course


# (B,S,T)
@wrong("library_masks", says="rows and columns are swapped")
def keras_keys_first(lengths, size, queries):
    course, padding, attn, keras = _masks(_real(lengths, size), queries)
    return course, padding, attn, keras.transpose(0, 2, 1)


# tiled, then reshaped: the shape is right, the sentences are mixed
@wrong("library_masks", says="tiled and then reshaped")
def keras_sentences_mixed(lengths, size, queries):
    real = _real(lengths, size)
    course, padding, attn, _ = _masks(real, queries)
    return course, padding, attn, np.tile(real, (queries, 1)).reshape(-1, queries, size)


# (B,S,S): the queries are taken to be the keys
@wrong("library_masks", says="there are T queries")
def keras_as_many_queries_as_keys(lengths, size, queries):
    course, padding, attn, keras = _masks(_real(lengths, size), size)
    return course, padding, attn, keras


# the queries that lie behind the length are masked as well
@wrong("library_masks", says="queries beyond the length were masked")
def keras_queries_masked_too(lengths, size, queries):
    course, padding, attn, keras = _masks(_real(lengths, size), queries)
    return course, padding, attn, keras & _real(lengths, queries)[:, :, None]


# numbers instead of booleans
@wrong("library_masks", says="numbers instead of booleans")
def ones_and_zeros(lengths, size, queries):
    return tuple(mask.astype(int) for mask in _masks(_real(lengths, size), queries))


# negation of integers: ~1 is -2
@wrong("library_masks", says="numbers instead of booleans")
def negation_of_integers(lengths, size, queries):
    return _masks(_real(lengths, size).astype(int), queries)


# what is added to scores
@wrong("library_masks", says="numbers instead of booleans")
def minus_infinity_and_zero(lengths, size, queries):
    masks = _masks(_real(lengths, size), queries)
    return tuple(np.where(mask, 0.0, -np.inf) for mask in masks)


# the two of PyTorch in the other order
@wrong("library_masks", says="this is the shape of attn_mask")
def order_of_pytorchs_two(lengths, size, queries):
    course, padding, attn, keras = _masks(_real(lengths, size), queries)
    return course, attn, padding, keras


# the future is hidden as well
@wrong("library_masks", says="the future is hidden as well")
def causal_as_well(lengths, size, queries):
    course, padding, attn, keras = _masks(_real(lengths, size), queries)
    return course, padding, attn, keras & np.tri(queries, size, dtype=bool)


# ---------------------------------------------------------------- 2.7 attention_over_time


@right("attention_over_time")
def over_time_with_a_copy(query, states):
    now = np.empty(states.shape[:2])
    context, seen = [], []
    for t in range(query.shape[1]):
        now[:] = functional.softmax((states * query[:, t, None]).sum(axis=-1))
        context.append((now[:, :, None] * states).sum(axis=1))
        seen.append(now.copy())
    return np.stack(context, axis=1), np.stack(seen, axis=1)


@right("attention_over_time")
def over_time_at_once(query, states):
    weights = functional.softmax(query @ states.transpose(0, 2, 1))
    return weights @ states, weights


@right("attention_over_time")
def over_time_written_in_place(query, states):
    (B, T, H), S = query.shape, states.shape[1]
    context, weights = np.zeros((B, T, H)), np.zeros((B, T, S))
    for b in range(B):
        for t in range(T):
            powers = np.array([math.exp(query[b, t] @ h) for h in states[b]])
            weights[b, t] = powers / sum(powers)
            for j in range(S):
                context[b, t] += weights[b, t, j] * states[b, j]
    return context.tolist(), weights.tolist()


@right("attention_over_time")
def over_time_by_torch(query, states):
    import torch
    import torch.nn.functional as F

    q, h = torch.as_tensor(np.array(query)), torch.as_tensor(np.array(states))
    weights = torch.softmax(torch.einsum("bth,bsh->bts", q, h), dim=2)
    return F.scaled_dot_product_attention(q, h, h, scale=1.0).numpy(), weights.numpy()


# as found
@wrong("attention_over_time", says="every row shows where the *last* step looked")
def one_array_for_all_steps(query, states):
    now = np.empty(states.shape[:2])
    context, seen = np.empty(query.shape), []
    for t in range(query.shape[1]):
        now[:] = functional.softmax((states * query[:, t, None]).sum(axis=-1))
        context[:, t] = (now[:, :, None] * states).sum(axis=1)
        seen.append(now)
    return context, np.stack(seen, axis=1)


# a slice of an array is no copy
@wrong("attention_over_time", says="every row shows where the *last* step looked")
def a_slice_is_no_copy(query, states):
    now = np.empty(states.shape[:2])
    context, seen = np.empty(query.shape), []
    for t in range(query.shape[1]):
        now[:] = functional.softmax((states * query[:, t, None]).sum(axis=-1))
        context[:, t] = (now[:, :, None] * states).sum(axis=1)
        seen.append(now[:])
    return context, np.stack(seen, axis=1)


# the list is copied, its arrays are not
@wrong("attention_over_time", says="every row shows where the *last* step looked")
def only_the_list_is_copied(query, states):
    context, weights = one_array_for_all_steps(query, states)
    return context.copy(), np.array(list(weights))


# copied before it is written: each row is the step before
@wrong("attention_over_time", says="row t shows where step t − 1")
def copied_too_early(query, states):
    now = np.full(states.shape[:2], 1 / states.shape[1])
    context, seen = np.empty(query.shape), []
    for t in range(query.shape[1]):
        seen.append(now.copy())
        now[:] = functional.softmax((states * query[:, t, None]).sum(axis=-1))
        context[:, t] = (now[:, :, None] * states).sum(axis=1)
    return context, np.stack(seen, axis=1)


# made consistent the wrong way round: the contexts follow the wrong weights
@wrong("attention_over_time", says="every step has the last step's context")
def contexts_of_the_last_step(query, states):
    _, weights = one_array_for_all_steps(query, states)
    return weights @ states, weights


# the first step everywhere
@wrong("attention_over_time", says="every row shows where the *first* step looked")
def first_step_everywhere(query, states):
    context, weights = over_time_at_once(query, states)
    return context, np.repeat(weights[:, :1], query.shape[1], axis=1)


# (T,B,S)
@wrong("attention_over_time", says="the steps were stacked as the first axis")
def steps_in_front(query, states):
    context, weights = over_time_at_once(query, states)
    return context, np.stack([weights[:, t] for t in range(query.shape[1])])


# stacked in front, then reshaped: sentences are mixed
@wrong("attention_over_time", says="stacked as (T,B,S)")
def stacked_and_reshaped(query, states):
    context, weights = over_time_at_once(query, states)
    return context, weights.transpose(1, 0, 2).reshape(weights.shape)


# (B,S,T)
@wrong("attention_over_time", says="it is transposed")
def states_before_steps(query, states):
    context, weights = over_time_at_once(query, states)
    return context, weights.transpose(0, 2, 1)


# scaled, though the scores are plain products
@wrong("attention_over_time", says="the scores have been divided by √H")
def over_time_scaled(query, states):
    return over_time_at_once(query / np.sqrt(query.shape[-1]), states)


# softmax over the steps
@wrong("attention_over_time", says="the softmax ran over the steps")
def softmax_over_steps(query, states):
    weights = softmax_shifted(query @ states.transpose(0, 2, 1), 1)
    return weights @ states, weights


# softmax twice
@wrong("attention_over_time", says="a softmax was taken of the weights once")
def over_time_softmax_twice(query, states):
    weights = functional.softmax(over_time_at_once(query, states)[1])
    return weights @ states, weights


# the steps from last to first
@wrong("attention_over_time", says="the steps are in the wrong order")
def steps_reversed(query, states):
    context, weights = over_time_at_once(query, states)
    return context, weights[:, ::-1]


# the contexts share an array now
@wrong("attention_over_time", says="every step has the last step's context")
def contexts_share_an_array(query, states):
    context, weights = over_time_at_once(query, states)
    return np.repeat(context[:, -1:], query.shape[1], axis=1), weights


# weights are added up from step to step
@wrong("attention_over_time", says="the weights of earlier steps are added in")
def weights_added_up(query, states):
    context, weights = over_time_at_once(query, states)
    return context, np.cumsum(weights, axis=1)


# scores instead of weights
@wrong("attention_over_time", says="these are the scores")
def scores_for_weights(query, states):
    context, _ = over_time_at_once(query, states)
    return context, query @ states.transpose(0, 2, 1)


# the results in the other order
@wrong("attention_over_time", says="context and weights have changed places")
def over_time_weights_first(query, states):
    return over_time_at_once(query, states)[::-1]


# only the first sentence's states
@wrong("attention_over_time", says="every sentence was given the states of the")
def states_of_one_sentence(query, states):
    return over_time_at_once(query, np.repeat(states[:1], len(states), axis=0))


# the last step's weights alone
@wrong("attention_over_time", says="the weights of one step alone have been")
def last_weights_only(query, states):
    context, weights = over_time_at_once(query, states)
    return context, weights[:, -1]


# the context is divided by the number of states
@wrong("attention_over_time", says="the mean was taken")
def over_time_mean(query, states):
    context, weights = over_time_at_once(query, states)
    return context / states.shape[1], weights


# ---------------------------------------------------------------- 2.8 attention_backward


def _gradients(query, states, dcontext):
    root = np.sqrt(query.shape[-1])
    weights = functional.softmax(query @ states.transpose(0, 2, 1) / root)
    dweights = dcontext @ states.transpose(0, 2, 1)
    dscores = weights * (dweights - (weights * dweights).sum(axis=-1, keepdims=True)) / root
    return weights, dweights, dscores


def _turned(x):
    return x.transpose(0, 2, 1)


@right("attention_backward")
def both_paths_by_matmul(query, states, dcontext):
    weights, _, dscores = _gradients(query, states, dcontext)
    return dscores @ states, _turned(weights) @ dcontext + _turned(dscores) @ query


@right("attention_backward")
def both_paths_with_loops(query, states, dcontext):
    (B, T, H), S = query.shape, states.shape[1]
    dquery, dstates = np.zeros((B, T, H)), np.zeros((B, S, H))
    for b in range(B):
        for t in range(T):
            scores = [query[b, t] @ h / math.sqrt(H) for h in states[b]]
            powers = [math.exp(s - max(scores)) for s in scores]
            a = [p / sum(powers) for p in powers]
            g = [float(dcontext[b, t] @ h) for h in states[b]]
            average = sum(x * y for x, y in zip(a, g, strict=True))
            for j in range(S):
                ds = a[j] * (g[j] - average) / math.sqrt(H)
                dquery[b, t] += ds * states[b, j]
                dstates[b, j] += ds * query[b, t] + a[j] * dcontext[b, t]
    return [dquery, dstates]


@right("attention_backward")
def both_paths_by_torch(query, states, dcontext):
    import torch
    import torch.nn.functional as F

    q = torch.tensor(np.array(query), requires_grad=True)
    h = torch.tensor(np.array(states), requires_grad=True)
    context = F.scaled_dot_product_attention(q, h, h)
    gradients = torch.autograd.grad(context, [q, h], torch.tensor(np.array(dcontext)))
    return tuple(each.numpy() for each in gradients)


# the derivative by a tiny imaginary step, exact to the last digits
@right("attention_backward")
def both_paths_by_complex_steps(query, states, dcontext):
    def loss(q, h):
        powers = np.exp(q @ h.transpose(0, 2, 1) / q.shape[-1] ** 0.5)
        weights = powers / powers.sum(axis=-1, keepdims=True)
        return (weights @ h * dcontext).sum()

    dquery, dstates = np.zeros(query.shape), np.zeros(states.shape)
    for place in np.ndindex(query.shape):
        moved = query.astype(complex)
        moved[place] += 1e-30j
        dquery[place] = loss(moved, states).imag / 1e-30
    for place in np.ndindex(states.shape):
        moved = states.astype(complex)
        moved[place] += 1e-30j
        dstates[place] = loss(query, moved).imag / 1e-30
    return dquery, dstates


@right("attention_backward")
def both_paths_by_einsum(query, states, dcontext):
    scaled = query / np.sqrt(query.shape[2])
    scores = np.einsum("bth,bsh->bts", scaled, states)
    powers = np.exp(scores - scores.max(axis=2, keepdims=True))
    a = powers / powers.sum(axis=2, keepdims=True)
    da = np.einsum("bth,bsh->bts", dcontext, states)
    ds = a * da - a * np.einsum("bts,bts->bt", a, da)[:, :, None]
    dstates = np.einsum("bts,bth->bsh", a, dcontext)
    dstates += np.einsum("bts,bth->bsh", ds, scaled)
    return np.einsum("bts,bsh->bth", ds, states) / np.sqrt(query.shape[2]), dstates


# the path through the keys is forgotten
@wrong("attention_backward", says="only the path through the values")
def values_path_only(query, states, dcontext):
    weights, _, dscores = _gradients(query, states, dcontext)
    return dscores @ states, _turned(weights) @ dcontext


# the path through the values is forgotten
@wrong("attention_backward", says="only the path through the keys")
def keys_path_only(query, states, dcontext):
    _, _, dscores = _gradients(query, states, dcontext)
    return dscores @ states, _turned(dscores) @ query


# the scale is forgotten on the way back
@wrong("attention_backward", says="forward divides by √H, backward forgets it")
def scale_forward_only(query, states, dcontext):
    weights, _, dscores = _gradients(query, states, dcontext)
    dscores = dscores * np.sqrt(query.shape[-1])
    return dscores @ states, _turned(weights) @ dcontext + _turned(dscores) @ query


# the scale is forgotten for the query
@wrong("attention_backward", says="forward divides by √H, backward forgets it")
def scale_missing_in_dquery(query, states, dcontext):
    dquery, dstates = both_paths_by_matmul(query, states, dcontext)
    return dquery * np.sqrt(query.shape[-1]), dstates


# the scale is forgotten for the states
@wrong("attention_backward", says="forward divides by √H, backward forgets it")
def scale_missing_in_dstates(query, states, dcontext):
    weights, _, dscores = _gradients(query, states, dcontext)
    through_keys = _turned(dscores) @ query * np.sqrt(query.shape[-1])
    return dscores @ states, _turned(weights) @ dcontext + through_keys


# the chapter's, without any scale
@wrong("attention_backward", says="the scores were not divided by √H")
def no_scale_at_all(query, states, dcontext):
    weights = functional.softmax(query @ _turned(states))
    dscores = backward_by_the_average(weights, dcontext @ _turned(states))
    return dscores @ states, _turned(weights) @ dcontext + _turned(dscores) @ query


# no scale in the forward pass, but on the way back
@wrong("attention_backward", says="backward divides by √H, forward does not")
def scale_backward_only(query, states, dcontext):
    weights = functional.softmax(query @ _turned(states))
    dscores = backward_by_the_average(weights, dcontext @ _turned(states))
    dscores = dscores / np.sqrt(query.shape[-1])
    return dscores @ states, _turned(weights) @ dcontext + _turned(dscores) @ query


# the scale twice
@wrong("attention_backward", says="backward divides by √H twice")
def scale_twice(query, states, dcontext):
    weights, _, dscores = _gradients(query, states, dcontext)
    dscores = dscores / np.sqrt(query.shape[-1])
    return dscores @ states, _turned(weights) @ dcontext + _turned(dscores) @ query


# the path through the values is scaled as well
@wrong("attention_backward", says="the value path was divided by √H")
def values_path_scaled(query, states, dcontext):
    weights, _, dscores = _gradients(query, states, dcontext)
    through_values = _turned(weights) @ dcontext / np.sqrt(query.shape[-1])
    return dscores @ states, through_values + _turned(dscores) @ query


# divided by H
@wrong("attention_backward", says="the scores were divided by H")
def divided_by_h(query, states, dcontext):
    weights = functional.softmax(query @ _turned(states) / query.shape[-1])
    dscores = backward_by_the_average(weights, dcontext @ _turned(states)) / query.shape[-1]
    return dscores @ states, _turned(weights) @ dcontext + _turned(dscores) @ query


# as if each weight had a sigmoid
@wrong("attention_backward", says="half a derivative")
def sigmoid_in_the_middle(query, states, dcontext):
    weights, dweights, _ = _gradients(query, states, dcontext)
    dscores = weights * (1 - weights) * dweights / np.sqrt(query.shape[-1])
    return dscores @ states, _turned(weights) @ dcontext + _turned(dscores) @ query


# the softmax is passed over
@wrong("attention_backward", says="the softmax's derivative is missing")
def softmax_passed_over(query, states, dcontext):
    weights, dweights, _ = _gradients(query, states, dcontext)
    dscores = dweights / np.sqrt(query.shape[-1])
    return dscores @ states, _turned(weights) @ dcontext + _turned(dscores) @ query


# the average of the row is forgotten
@wrong("attention_backward", says="the softmax's derivative lacks the rows' average of")
def average_missing_in_the_middle(query, states, dcontext):
    weights, dweights, _ = _gradients(query, states, dcontext)
    dscores = weights * dweights / np.sqrt(query.shape[-1])
    return dscores @ states, _turned(weights) @ dcontext + _turned(dscores) @ query


# softmax over the queries
@wrong("attention_backward", says="the softmax ran over the queries")
def backward_softmax_over_queries(query, states, dcontext):
    root = np.sqrt(query.shape[-1])
    weights = softmax_shifted(query @ _turned(states) / root, 1)
    dweights = dcontext @ _turned(states)
    dscores = weights * (dweights - (weights * dweights).sum(axis=1, keepdims=True)) / root
    return dscores @ states, _turned(weights) @ dcontext + _turned(dscores) @ query


# the average is taken over the queries
@wrong("attention_backward", says="or an average over the queries")
def average_over_queries(query, states, dcontext):
    weights, dweights, _ = _gradients(query, states, dcontext)
    dscores = weights * (dweights - (weights * dweights).sum(axis=1, keepdims=True))
    dscores = dscores / np.sqrt(query.shape[-1])
    return dscores @ states, _turned(weights) @ dcontext + _turned(dscores) @ query


# the last query only: each step overwrites
@wrong("attention_backward", says="only the last query's part")
def last_query_only(query, states, dcontext):
    dquery = both_paths_by_matmul(query, states, dcontext)[0]
    last = [each[:, -1:] for each in (query, dcontext)]
    return dquery, both_paths_by_matmul(last[0], states, last[1])[1]


# the mean over the queries
@wrong("attention_backward", says="the mean over the queries")
def mean_over_queries(query, states, dcontext):
    dquery, dstates = both_paths_by_matmul(query, states, dcontext)
    return dquery, dstates / query.shape[1]


# a minus between the paths
@wrong("attention_backward", says="one path is subtracted from the other")
def minus_between_the_paths(query, states, dcontext):
    weights, _, dscores = _gradients(query, states, dcontext)
    return dscores @ states, _turned(weights) @ dcontext - _turned(dscores) @ query


# signs of both turned
@wrong("attention_backward", says="the sign is turned round")
def both_negative(query, states, dcontext):
    return tuple(-each for each in both_paths_by_matmul(query, states, dcontext))


# the results in the other order
@wrong("attention_backward", says="dquery and dstates have changed places")
def dstates_first(query, states, dcontext):
    return both_paths_by_matmul(query, states, dcontext)[::-1]


# weights where dscores should stand
@wrong("attention_backward", says="this is the context again")
def dquery_from_weights(query, states, dcontext):
    weights, _, _ = _gradients(query, states, dcontext)
    return weights @ states, both_paths_by_matmul(query, states, dcontext)[1]


# weights where dscores should stand, in the path through the keys
@wrong("attention_backward", says="the key path has weights where the gradient")
def keys_path_from_weights(query, states, dcontext):
    weights, _, dscores = _gradients(query, states, dcontext)
    keys = _turned(weights) @ query / np.sqrt(query.shape[-1])
    return dscores @ states, _turned(weights) @ dcontext + keys


# queries for dcontext in the path through the values
@wrong("attention_backward", says="the value path has the query where dcontext")
def values_path_from_queries(query, states, dcontext):
    weights, _, dscores = _gradients(query, states, dcontext)
    return dscores @ states, _turned(weights) @ query + _turned(dscores) @ query


# dcontext for queries in the path through the keys
@wrong("attention_backward", says="the key path has dcontext where the query")
def keys_path_from_dcontext(query, states, dcontext):
    weights, _, dscores = _gradients(query, states, dcontext)
    return dscores @ states, _turned(weights) @ dcontext + _turned(dscores) @ dcontext


# dcontext itself is added to dquery, as if there were a residual
@wrong("attention_backward", says="dcontext was added")
def dcontext_added_to_dquery(query, states, dcontext):
    dquery, dstates = both_paths_by_matmul(query, states, dcontext)
    return dquery + dcontext, dstates


# reshaped instead of transposed
@wrong("attention_backward", says="was reshaped to (B,S,T), not transposed")
def reshaped_not_transposed(query, states, dcontext):
    weights, _, dscores = _gradients(query, states, dcontext)
    B, T, S = weights.shape
    through_values = weights.reshape(B, S, T) @ dcontext
    return dscores @ states, through_values + dscores.reshape(B, S, T) @ query


# summed over the sentences
@wrong("attention_backward", says="the gradients of all sentences were added up")
def summed_over_sentences(query, states, dcontext):
    dquery, dstates = both_paths_by_matmul(query, states, dcontext)
    return dquery, np.broadcast_to(dstates.sum(axis=0), dstates.shape)


# the keys' path is written over the values' path
@wrong("attention_backward", says="no `return dquery")
def dquery_alone(query, states, dcontext):
    return both_paths_by_matmul(query, states, dcontext)[0]


# the query is scaled where it stands, in the caller's array
@wrong("attention_backward", says="an assignment into query")
def query_scaled_in_place(query, states, dcontext):
    root = np.sqrt(query.shape[-1])
    query /= root
    weights = functional.softmax(query @ _turned(states))
    dscores = backward_by_the_average(weights, dcontext @ _turned(states))
    return dscores @ states / root, _turned(weights) @ dcontext + _turned(dscores) @ query


# ---------------------------------------------------------------- 2.9 no_empty_rows


@right("no_empty_rows")
def harmless_numbers(scores, mask, dweights):
    filled = np.where(mask, scores, -np.inf)
    top = filled.max(axis=-1, keepdims=True)
    powers = np.exp(filled - np.where(np.isfinite(top), top, 0.0))
    total = powers.sum(axis=-1, keepdims=True)
    weights = powers / np.where(total > 0, total, 1.0)
    return weights, weights * (dweights - (weights * dweights).sum(axis=-1, keepdims=True))


@right("no_empty_rows")
def rows_with_loops(scores, mask, dweights):
    allowed = np.broadcast_to(mask, scores.shape)
    weights, dscores = np.zeros(scores.shape), np.zeros(scores.shape)
    for place in np.ndindex(scores.shape[:-1]):
        keys = np.flatnonzero(allowed[place])
        if not len(keys):
            continue
        s = [float(scores[place][j]) for j in keys]
        powers = [math.exp(v - max(s)) for v in s]
        w = np.array(powers) / sum(powers)
        g = dweights[place][keys]
        weights[place][keys] = w
        dscores[place][keys] = w * (g - w @ g)
    return weights, dscores


# nan in the middle, and gone before anything is computed with it
@right("no_empty_rows")
def nan_swept_away(scores, mask, dweights):
    filled = np.where(mask, scores, -np.inf)
    powers = np.exp(filled - np.max(filled, axis=-1, keepdims=True))
    weights = np.nan_to_num(powers / powers.sum(axis=-1, keepdims=True), nan=0.0)
    jacobian = np.einsum("bti,ij->btij", weights, np.eye(weights.shape[-1]))
    jacobian -= weights[..., :, None] * weights[..., None, :]
    return weights, np.einsum("btij,btj->bti", jacobian, dweights)


# a large negative number, and the mask once more afterwards
@right("no_empty_rows")
def filled_then_zeroed(scores, mask, dweights):
    filled = np.where(mask, scores, -1e9)
    powers = np.exp(filled - filled.max(axis=-1, keepdims=True))
    weights = np.where(mask, powers / powers.sum(axis=-1, keepdims=True), 0.0)
    average = (weights * dweights).sum(axis=-1, keepdims=True)
    return [weights, np.where(mask, weights * (dweights - average), 0.0)]


@right("no_empty_rows")
def where_of_the_ufuncs(scores, mask, dweights):
    allowed = np.broadcast_to(mask, scores.shape)
    top = np.max(scores, axis=-1, keepdims=True, where=allowed, initial=-np.inf)
    powers = np.zeros(scores.shape)
    shifted = np.subtract(scores, top, out=np.zeros(scores.shape), where=allowed)
    np.exp(shifted, out=powers, where=allowed)
    total = powers.sum(axis=-1, keepdims=True)
    weights = np.divide(powers, total, out=np.zeros(scores.shape), where=total != 0)
    return weights, weights * dweights - weights * (weights * dweights).sum(-1)[..., None]


@right("no_empty_rows")
def rows_by_torch(scores, mask, dweights):
    import torch

    s, g = torch.tensor(np.array(scores)), torch.tensor(np.array(dweights))
    m = torch.tensor(np.broadcast_to(mask, scores.shape).copy())
    some = m.any(dim=-1, keepdim=True)
    s = torch.where(m, s, -torch.inf).masked_fill(~some, 0.0).requires_grad_()
    weights = s.softmax(dim=-1) * some
    weights.backward(g)
    return weights.detach().numpy(), s.grad.numpy()


def _through(weights, dweights):
    return weights, weights * (dweights - (weights * dweights).sum(axis=-1, keepdims=True))


# empty rows attend evenly to what is forbidden
@wrong("no_empty_rows", says="a row without keys became uniform")
def filled_with_a_billion(scores, mask, dweights):
    return _through(softmax_shifted(np.where(mask, scores, -1e9), -1), dweights)


# the smallest number there is: still even
@wrong("no_empty_rows", says="a row without keys became uniform")
def filled_with_the_smallest(scores, mask, dweights):
    filled = np.where(mask, scores, np.finfo(float).min)
    return _through(softmax_shifted(filled, -1), dweights)


# empty rows are nan
@wrong("no_empty_rows", says="0/0 in a row without keys")
def nan_in_empty_rows(scores, mask, dweights):
    return _through(softmax_shifted(np.where(mask, scores, -np.inf), -1), dweights)


# the weights are mended after the gradient has been computed
@wrong("no_empty_rows", says="NaN or inf of the forward pass went")
def nan_in_the_gradient(scores, mask, dweights):
    weights, dscores = nan_in_empty_rows(scores, mask, dweights)
    return np.nan_to_num(weights), dscores


# only the sum is made harmless: -inf - (-inf) is nan
@wrong("no_empty_rows", says="0/0 in a row without keys")
def only_the_sum_is_guarded(scores, mask, dweights):
    filled = np.where(mask, scores, -np.inf)
    powers = np.exp(filled - filled.max(axis=-1, keepdims=True))
    total = powers.sum(axis=-1, keepdims=True)
    return _through(powers / np.where(total == 0, 1.0, total), dweights)


# only the maximum is made harmless: 0 / 0 is nan
@wrong("no_empty_rows", says="0/0 in a row without keys")
def only_the_maximum_is_guarded(scores, mask, dweights):
    filled = np.where(mask, scores, -np.inf)
    top = filled.max(axis=-1, keepdims=True)
    powers = np.exp(filled - np.where(np.isfinite(top), top, 0.0))
    return _through(powers / powers.sum(axis=-1, keepdims=True), dweights)


# no maximum: 10,000 overflows
@wrong("no_empty_rows", says="np.exp(10000) overflows to inf")
def rows_without_maximum(scores, mask, dweights):
    powers = np.exp(np.where(mask, scores, -np.inf))
    total = powers.sum(axis=-1, keepdims=True)
    return _through(powers / np.where(total == 0, 1.0, total), dweights)


# no maximum, and a small number in the sum: low scores lose their weight
@wrong("no_empty_rows", says="np.exp(10000) overflows to inf")
def epsilon_in_the_sum(scores, mask, dweights):
    powers = np.exp(np.where(mask, scores, -np.inf))
    return _through(powers / (powers.sum(axis=-1, keepdims=True) + 1e-9), dweights)


# the maximum of all scores, the forbidden ones included
@wrong("no_empty_rows", says="the maximum was taken over forbidden places")
def maximum_of_the_forbidden(scores, mask, dweights):
    powers = np.where(mask, np.exp(scores - scores.max(axis=-1, keepdims=True)), 0.0)
    total = powers.sum(axis=-1, keepdims=True)
    return _through(powers / np.where(total == 0, 1.0, total), dweights)


# the same, with what is inf or nan taken out first
@wrong("no_empty_rows", says="the maximum was taken over forbidden places")
def maximum_of_the_finite(scores, mask, dweights):
    scores = np.where(np.isfinite(scores), scores, 0.0)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True)) * mask
    total = powers.sum(axis=-1, keepdims=True)
    return _through(powers / np.where(total == 0, 1.0, total), dweights)


# forbidden scores count as 0 in the maximum: lower ones underflow
@wrong("no_empty_rows", says="a number above all allowed scores stood for")
def maximum_from_zero_up(scores, mask, dweights):
    safe = np.where(mask, scores, 0.0)
    powers = np.exp(safe - safe.max(axis=-1, keepdims=True)) * mask
    total = powers.sum(axis=-1, keepdims=True)
    return _through(powers / np.where(total == 0, 1.0, total), dweights)


# 0 times inf is nan
@wrong("no_empty_rows", says="a forbidden score was computed with")
def multiplied_by_the_mask(scores, mask, dweights):
    filled = scores * mask + np.where(mask, 0.0, -1e9)
    weights = softmax_shifted(filled, -1) * mask
    return _through(weights, dweights)


# masked after the softmax
@wrong("no_empty_rows", says="multiplied in after the softmax")
def zeroed_after_the_softmax(scores, mask, dweights):
    return _through(np.where(mask, softmax_shifted(scores, -1), 0.0), dweights)


# the mask turned round
@wrong("no_empty_rows", says="the mask was taken the other way round")
def rows_mask_turned_round(scores, mask, dweights):
    return harmless_numbers(scores, ~mask, dweights)


# an index does not broadcast
@wrong("no_empty_rows", says="an index does not broadcast")
def rows_mask_as_an_index(scores, mask, dweights):
    filled = scores.copy()
    filled[~mask] = -1e9
    weights = softmax_shifted(filled, -1)
    weights[~mask] = 0.0
    return _through(weights, dweights)


# the caller's scores are changed
@wrong("no_empty_rows", says="an assignment into scores")
def scores_changed(scores, mask, dweights):
    np.copyto(scores, -1e9, where=~mask)
    return _through(softmax_shifted(scores, -1) * mask, dweights)


# one empty row switches off the whole sentence
@wrong("no_empty_rows", says="one row without keys has switched off the")
def whole_sentence_switched_off(scores, mask, dweights):
    some = np.broadcast_to(mask, scores.shape).any(axis=-1).all(axis=-1)
    weights, dscores = harmless_numbers(scores, mask, dweights)
    return weights * some[:, None, None], dscores * some[:, None, None]


# only a batch without any key is thought of
@wrong("no_empty_rows", says="0/0 in a row without keys")
def only_if_all_is_forbidden(scores, mask, dweights):
    if not mask.any():
        return np.zeros_like(scores), np.zeros_like(scores)
    return nan_in_empty_rows(scores, mask, dweights)


# a row is called empty if any place is forbidden
@wrong("no_empty_rows", says="a row was taken for empty because one")
def all_for_any(scores, mask, dweights):
    weights, dscores = harmless_numbers(scores, mask, dweights)
    full = np.broadcast_to(mask, scores.shape).all(axis=-1, keepdims=True)
    return weights * full, dscores * full


# an empty row gets equal weights
@wrong("no_empty_rows", says="a row without keys became uniform")
def equal_weights_for_empty_rows(scores, mask, dweights):
    weights, dscores = harmless_numbers(scores, mask, dweights)
    some = np.broadcast_to(mask, scores.shape).any(axis=-1, keepdims=True)
    return np.where(some, weights, 1 / scores.shape[-1]), dscores


# softmax along the queries
@wrong("no_empty_rows", says="the softmax ran over the queries")
def along_the_queries(scores, mask, dweights):
    mask = np.broadcast_to(mask, scores.shape)
    turned = [x.transpose(0, 2, 1) for x in (scores, mask, dweights)]
    return tuple(each.transpose(0, 2, 1) for each in harmless_numbers(*turned))


# one maximum for the whole batch
@wrong("no_empty_rows", says="one maximum for all rows")
def one_maximum_for_the_batch(scores, mask, dweights):
    filled = np.where(mask, scores, -np.inf)
    powers = np.exp(filled - filled.max())
    total = powers.sum(axis=-1, keepdims=True)
    return _through(powers / np.where(total == 0, 1.0, total), dweights)


# scores cut off at 50
@wrong("no_empty_rows", says="the scores were cut off")
def scores_clipped(scores, mask, dweights):
    safe = np.clip(np.where(mask, scores, 0.0), -50, 50)
    return harmless_numbers(safe, mask, dweights)


# single precision
@wrong("no_empty_rows", says="fewer digits than float64")
def rows_in_single_precision(scores, mask, dweights):
    return harmless_numbers(scores.astype(np.float32), mask, dweights)


# a thousand is not much beside ten thousand: allowed scores lose all their weight
@wrong("no_empty_rows", says="a number above all allowed scores stood for")
def filled_with_a_thousand(scores, mask, dweights):
    return _through(softmax_shifted(np.where(mask, scores, -1e3), -1) * mask, dweights)


# a small number in the sum, the maximum subtracted: rows sum to a little less than 1
@wrong("no_empty_rows", says="something was added to the denominator")
def epsilon_beside_the_maximum(scores, mask, dweights):
    filled = np.where(mask, scores, -np.inf)
    top = filled.max(axis=-1, keepdims=True)
    powers = np.exp(filled - np.where(np.isfinite(top), top, 0.0))
    return _through(powers / (powers.sum(axis=-1, keepdims=True) + 1e-5), dweights)


# the gradient as if each weight had a sigmoid
@wrong("no_empty_rows", says="only the diagonal of the derivative")
def rows_like_a_sigmoid(scores, mask, dweights):
    weights, _ = harmless_numbers(scores, mask, dweights)
    return weights, weights * (1 - weights) * dweights


# the gradient without the average
@wrong("no_empty_rows", says="the rows' average of dweights is not subtracted")
def rows_without_the_average(scores, mask, dweights):
    weights, _ = harmless_numbers(scores, mask, dweights)
    return weights, weights * dweights


# the plain average over the allowed places
@wrong("no_empty_rows", says="the average over the allowed places was taken")
def rows_plain_average(scores, mask, dweights):
    weights, _ = harmless_numbers(scores, mask, dweights)
    count = np.maximum(np.broadcast_to(mask, scores.shape).sum(axis=-1, keepdims=True), 1)
    average = (dweights * mask).sum(axis=-1, keepdims=True) / count
    return weights, weights * (dweights - average)


# not multiplied by the weights: forbidden places get a gradient
@wrong("no_empty_rows", says="the factor in front")
def rows_weights_outside_forgotten(scores, mask, dweights):
    weights, _ = harmless_numbers(scores, mask, dweights)
    return weights, dweights - (weights * dweights).sum(axis=-1, keepdims=True)


# dweights handed on, masked
@wrong("no_empty_rows", says="dweights was handed on")
def dweights_handed_on(scores, mask, dweights):
    weights, _ = harmless_numbers(scores, mask, dweights)
    return weights, np.where(mask, dweights, 0.0)


# the results in the other order
@wrong("no_empty_rows", says="weights and dscores have changed places")
def dscores_first(scores, mask, dweights):
    return harmless_numbers(scores, mask, dweights)[::-1]


# the weights alone
@wrong("no_empty_rows", says="no `return weights")
def weights_alone(scores, mask, dweights):
    return harmless_numbers(scores, mask, dweights)[0]
