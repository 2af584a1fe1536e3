"""Answers to the exercises of Chapter 5."""

import math
from itertools import pairwise

import numpy as np

from attention_course.positions import sinusoidal_positions
from proofs import right, wrong

# ---------------------------------------------------------------- 5.1 causal_mask


@right("causal_mask")
def mask_with_loops(new, past):
    return [[column <= past + row for column in range(past + new)] for row in range(new)]


@right("causal_mask")
def mask_by_tri(new, past):
    return np.tri(new, past + new, past, dtype=bool)


@right("causal_mask")
def mask_by_comparison(new, past):
    number = np.arange(past + new)
    return number[past:, None] >= number


@right("causal_mask")
def wall_and_triangle(new, past):
    return np.hstack([np.ones((new, past), dtype=bool), np.tril(np.ones((new, new))) > 0])


@right("causal_mask")
def last_rows_of_a_square(new, past):
    import torch

    square = torch.ones(past + new, past + new, dtype=torch.bool).tril()
    return square[past:].numpy()


# the triangle at the top left
@wrong("causal_mask", says="the triangle is aligned at the")
def triangle_at_the_top_left(new, past):
    return np.tri(new, past + new, dtype=bool)


# True where hidden
@wrong("causal_mask", says="True means *forbidden* there; in this")
def mask_upside_down(new, past):
    return ~mask_by_tri(new, past)


# no word sees itself
@wrong("causal_mask", says="no word may look at itself")
def not_itself(new, past):
    return np.tri(new, past + new, past - 1, dtype=bool)


# one word ahead is seen
@wrong("causal_mask", says="each word sees one word too")
def one_word_ahead(new, past):
    return np.tri(new, past + new, past + 1, dtype=bool)


# numbers 0 and 1
@wrong("causal_mask", says="numbers: `~` of 0 and 1")
def mask_of_floats(new, past):
    return np.tri(new, past + new, past)


# integers 0 and 1
@wrong("causal_mask", says="numbers: `~` of 0 and 1")
def mask_of_integers(new, past):
    return np.tri(new, past + new, past, dtype=int)


# what is added to the scores
@wrong("causal_mask", says="numbers: `~` of 0 and 1")
def mask_to_be_added(new, past):
    return np.where(mask_by_tri(new, past), 0, -np.inf)


# the past comes last
@wrong("causal_mask", says="the past comes *after* the new")
def past_on_the_right(new, past):
    return np.hstack([np.tri(new, dtype=bool), np.ones((new, past), dtype=bool)])


# rows and columns exchanged
@wrong("causal_mask", says="rows and columns are exchanged: a")
def mask_transposed(new, past):
    return mask_by_tri(new, past).T


# the past asks, too
@wrong("causal_mask", says="the words of the past ask")
def square_of_all_words(new, past):
    return np.tri(past + new, dtype=bool)


# the past is forgotten
@wrong("causal_mask", says="the columns of the past are")
def square_of_the_new(new, past):
    return np.tri(new, dtype=bool)


# the past is hidden
@wrong("causal_mask", says="the past is hidden")
def past_is_hidden(new, past):
    return np.hstack([np.zeros((new, past), dtype=bool), np.tri(new, dtype=bool)])


# everything is allowed
@wrong("causal_mask", says="nothing is forbidden: later words stand")
def nothing_hidden(new, past):
    return np.ones((new, past + new), dtype=bool)


# the upper triangle instead of the lower
@wrong("causal_mask", says="each word looks at itself and")
def upper_triangle(new, past):
    return np.triu(np.ones((new, past + new), dtype=bool), k=past)


# an axis too many, as for a batch
@wrong("causal_mask", says="an axis for the batch; the")
def mask_with_a_batch_axis(new, past):
    return mask_by_tri(new, past)[None]


# the offset of the example
@wrong("causal_mask", says="the offset is 1 whatever the")
def offset_of_the_example(new, past):
    return np.tri(new, past + new, 1, dtype=bool)


# ---------------------------------------------------------------- 5.2 noam


@right("noam")
def noam_by_minimum(step, size, warmup):
    if step < 1:
        raise ValueError(f"steps are counted from 1, got {step}")
    return size**-0.5 * min(step**-0.5, step * warmup**-1.5)


@right("noam")
def noam_in_two_branches(step, size, warmup):
    if step <= 0:
        raise ValueError("no such step: " + str(step))
    if step < warmup:
        return step / (warmup * math.sqrt(warmup * size))
    return 1 / math.sqrt(size * step)


@right("noam")
def noam_by_numpy(step, size, warmup):
    if not step >= 1:
        raise ValueError(f"step {int(step)} is below 1")
    peak = 1 / np.sqrt(np.float64(size) * warmup)
    return peak * np.minimum(np.sqrt(warmup / step), step / warmup)


@right("noam")
def noam_by_torch(step, size, warmup):
    import torch

    if step < 1:
        raise ValueError(step)
    both = torch.tensor([float(step) ** -0.5, step * float(warmup) ** -1.5], dtype=torch.float64)
    return (both.min() / size**0.5).item()


# steps below 1 become 1
@wrong("noam", says="step 0, at which 1/√step is")
def step_raised_to_one(step, size, warmup):
    step = max(step, 1)
    return size**-0.5 * min(step**-0.5, step * warmup**-1.5)


# counted from 0
@wrong("noam", says="one step early: 1 is added")
def counted_from_zero(step, size, warmup):
    if step < 0:
        raise ValueError(f"step {step}")
    return noam_by_minimum(step + 1, size, warmup)


# refused rightly, but one step on
@wrong("noam", says="one step early: 1 is added")
def one_step_on(step, size, warmup):
    if step < 1:
        raise ValueError(f"step {step}")
    return noam_by_minimum(step + 1, size, warmup)


# refused rightly, but one step late
@wrong("noam", says="one step late: the steps are")
def one_step_late(step, size, warmup):
    if step < 1:
        raise ValueError(f"step {step}")
    return noam_by_minimum(max(step - 1, 1), size, warmup)


# no check at all
@wrong("noam", says="step 0, at which 1/√step is")
def no_refusal(step, size, warmup):
    return size**-0.5 * min(step**-0.5, step * warmup**-1.5)


# no check, and NumPy goes on with infinity
@wrong("noam", says="step 0, at which 1/√step is")
def no_refusal_by_numpy(step, size, warmup):
    with np.errstate(all="ignore"):
        return size**-0.5 * np.minimum(np.float64(step) ** -0.5, step * float(warmup) ** -1.5)


# a rate of 0 at step 0
@wrong("noam", says="step 0, at which 1/√step is")
def zero_at_step_zero(step, size, warmup):
    return 0.0 if step < 1 else noam_by_minimum(step, size, warmup)


# only 0 is refused
@wrong("noam", says="only step 0 is refused")
def only_zero_is_refused(step, size, warmup):
    if step == 0:
        raise ValueError(f"step {step}")
    return size**-0.5 * np.minimum(np.abs(step) ** -0.5, step * warmup**-1.5)


# the message does not say which step
@wrong("noam", says="the message does not say what")
def message_without_the_step(step, size, warmup):
    if step < 1:
        raise ValueError("the step is too small")
    return noam_by_minimum(step, size, warmup)


# assert raises another error
@wrong("noam", says="an error of another kind: `raise")
def refused_by_assert(step, size, warmup):
    assert step >= 1, f"step {step}"
    return noam_by_minimum(step, size, warmup)


# the error is returned
@wrong("noam", says="the error is returned; it must")
def error_is_returned(step, size, warmup):
    if step < 1:
        return ValueError(f"step {step}")
    return noam_by_minimum(step, size, warmup)


# step 1 is refused, too
@wrong("noam", says="got ValueError: step 1")
def step_one_is_refused(step, size, warmup):
    if step <= 1:
        raise ValueError(f"step {step}")
    return noam_by_minimum(step, size, warmup)


# the larger of the two
@wrong("noam", says="the larger of the two was")
def maximum_for_minimum(step, size, warmup):
    if step < 1:
        raise ValueError(f"step {step}")
    return size**-0.5 * max(step**-0.5, step * warmup**-1.5)


# the size is forgotten
@wrong("noam", says="the factor of the model's size")
def size_forgotten(step, size, warmup):
    if step < 1:
        raise ValueError(f"step {step}")
    return min(step**-0.5, step * warmup**-1.5)


# the root of the size instead of one over it
@wrong("noam", says="the model's size stands in the")
def times_the_root_of_the_size(step, size, warmup):
    if step < 1:
        raise ValueError(f"step {step}")
    return size**0.5 * min(step**-0.5, step * warmup**-1.5)


# one over the size, without the root
@wrong("noam", says="the model's size is not under")
def divided_by_the_size(step, size, warmup):
    if step < 1:
        raise ValueError(f"step {step}")
    return min(step**-0.5, step * warmup**-1.5) / size


# exponent -1/2 for the warm-up
@wrong("noam", says="the exponent of the warm-up is")
def warmup_to_minus_one_half(step, size, warmup):
    if step < 1:
        raise ValueError(f"step {step}")
    return size**-0.5 * min(step**-0.5, step * warmup**-0.5)


# step / warmup: a multiple of the peak's rate that is not scaled
@wrong("noam", says="the line of the warm-up is")
def step_over_warmup(step, size, warmup):
    if step < 1:
        raise ValueError(f"step {step}")
    return size**-0.5 * min(step**-0.5, step / warmup)


# the sign of the warm-up's exponent
@wrong("noam", says="only the fall is there: the")
def warmup_to_plus(step, size, warmup):
    if step < 1:
        raise ValueError(f"step {step}")
    return size**-0.5 * min(step**-0.5, step * warmup**1.5)


# the rate stays at its peak
@wrong("noam", says="after the warm-up the rate stays")
def no_fall(step, size, warmup):
    return noam_by_minimum(min(step, warmup), size, warmup)


# no warm-up
@wrong("noam", says="only the fall is there: the")
def no_rise(step, size, warmup):
    if step < 1:
        raise ValueError(f"step {step}")
    return (size * step) ** -0.5


# falls as one over the step
@wrong("noam", says="after the warm-up it falls with")
def falls_without_the_root(step, size, warmup):
    if step < 1:
        raise ValueError(f"step {step}")
    if step <= warmup:
        return noam_by_minimum(step, size, warmup)
    return noam_by_minimum(warmup, size, warmup) * warmup / step


# size and warm-up exchanged
@wrong("noam", says="the model's size and the warm-up")
def size_and_warmup_exchanged(step, size, warmup):
    return noam_by_minimum(step, warmup, size)


# ---------------------------------------------------------------- 5.3 positional_encoding


@right("positional_encoding")
def places_with_loops(length, size):
    if size % 2 == 1:
        raise ValueError(f"size must be even, not {size}")
    rows = []
    for p in range(length):
        row = []
        for i in range(size // 2):
            angle = p / 10000 ** (2 * i / size)
            row += [math.sin(angle), math.cos(angle)]
        rows.append(row)
    return rows


@right("positional_encoding")
def places_by_slices(length, size):
    if size % 2:
        raise ValueError(f"odd size {size}")
    omega = np.exp(-np.log(10000.0) * np.arange(0, size, 2) / size)
    angles = np.outer(np.arange(length), omega)
    out = np.empty((length, size))
    out[:, 0::2], out[:, 1::2] = np.sin(angles), np.cos(angles)
    return out


@right("positional_encoding")
def places_as_complex_numbers(length, size):
    if size & 1:
        raise ValueError("size", size)
    omega = 10000.0 ** (-np.arange(size // 2) / (size / 2))
    turned = np.exp(1j * np.arange(length)[:, None] * omega)
    return np.stack([turned.imag, turned.real], axis=-1).reshape(length, size)


@right("positional_encoding")
def places_with_a_phase(length, size):
    if size % 2 != 0:
        raise ValueError("an odd size: " + str(size))
    column = np.arange(size)
    angles = np.arange(length)[:, None] / np.power(10000, 2 * (column // 2) / size)
    return np.where(column % 2 == 0, np.sin(angles), np.cos(angles))


@right("positional_encoding")
def places_by_torch(length, size):
    import torch

    if size % 2:
        raise ValueError(f"{size} is odd")
    places = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    div = torch.exp(torch.arange(0, size, 2, dtype=torch.float64) * (-math.log(10000.0) / size))
    pe = torch.zeros(length, size, dtype=torch.float64)
    pe[:, 0::2] = torch.sin(places * div)
    pe[:, 1::2] = torch.cos(places * div)
    return pe.numpy()


def _places(length, size, omega, first=0):
    if size % 2:
        raise ValueError(f"odd size {size}")
    angles = np.outer(np.arange(first, first + length), omega)
    out = np.empty((length, size))
    out[:, 0::2], out[:, 1::2] = np.sin(angles), np.cos(angles)
    return out


def _omega(size, base=10000.0):
    return base ** (-2 * np.arange(size // 2) / size)


# all sines, then all cosines
@wrong("positional_encoding", says="all sines first, then all cosines")
def sines_first(length, size):
    both = _places(length, size, _omega(size))
    return np.concatenate([both[:, 0::2], both[:, 1::2]], axis=1)


# cosine before sine
@wrong("positional_encoding", says="sine and cosine are exchanged")
def cosine_before_sine(length, size):
    both = _places(length, size, _omega(size))
    out = np.empty_like(both)
    out[:, 0::2], out[:, 1::2] = both[:, 1::2], both[:, 0::2]
    return out


# places counted from 1
@wrong("positional_encoding", says="places are counted from 1; the")
def places_from_one(length, size):
    return _places(length, size, _omega(size), first=1)


# i/D instead of 2i/D
@wrong("positional_encoding", says="the exponent holds i in place")
def half_the_exponent(length, size):
    return _places(length, size, 10000.0 ** (-np.arange(size // 2) / size))


# the even numbers are doubled once more
@wrong("positional_encoding", says="the exponent holds 4i: the numbers")
def twice_the_exponent(length, size):
    return _places(length, size, 10000.0 ** (-2 * np.arange(0, size, 2) / size))


# each column has a frequency of its own
@wrong("positional_encoding", says="the exponent holds twice the column")
def frequency_of_each_column(length, size):
    if size % 2:
        raise ValueError(f"odd size {size}")
    column = np.arange(size)
    angles = np.arange(length)[:, None] / 10000.0 ** (2 * column / size)
    return np.where(column % 2 == 0, np.sin(angles), np.cos(angles))


# each column has a frequency of its own, with exponent c/D
@wrong("positional_encoding", says="the exponent holds the column: the")
def frequency_of_each_column_by_column(length, size):
    if size % 2:
        raise ValueError(f"odd size {size}")
    column = np.arange(size)
    angles = np.arange(length)[:, None] / 10000.0 ** (column / size)
    return np.where(column % 2 == 0, np.sin(angles), np.cos(angles))


# the sign of the exponent
@wrong("positional_encoding", says="the sign of the exponent: the")
def plus_in_the_exponent(length, size):
    return _places(length, size, 1 / _omega(size))


# 1000 for 10000
@wrong("positional_encoding", says="the base is not 10000")
def a_zero_too_few(length, size):
    return _places(length, size, _omega(size, 1000.0))


# the last frequency is 1/10000, as in tensor2tensor
@wrong("positional_encoding", says="the last frequency is 1/10000: divided")
def last_frequency_reached(length, size):
    return _places(length, size, 10000.0 ** (-np.arange(size // 2) / max(size // 2 - 1, 1)))


# rows and columns exchanged
@wrong("positional_encoding", says="rows and columns are exchanged: a")
def places_transposed(length, size):
    return _places(length, size, _omega(size)).T


# full turns
@wrong("positional_encoding", says="the angle is multiplied by 2π")
def two_pi(length, size):
    return _places(length, size, 2 * np.pi * _omega(size))


# sine and cosine chosen by the place instead of the column
@wrong("positional_encoding", says="the *place* says whether it is")
def sine_at_even_places(length, size):
    if size % 2:
        raise ValueError(f"odd size {size}")
    angles = np.outer(np.arange(length), np.repeat(_omega(size), 2))
    return np.where(np.arange(length)[:, None] % 2 == 0, np.sin(angles), np.cos(angles))


# a period for each place: place and pair exchanged
@wrong("positional_encoding", says="each place has a frequency of")
def period_of_each_place(length, size):
    if size % 2:
        raise ValueError(f"odd size {size}")
    angles = np.outer(10000.0 ** (-2 * np.arange(length) / length), np.arange(size // 2))
    out = np.empty((length, size))
    out[:, 0::2], out[:, 1::2] = np.sin(angles), np.cos(angles)
    return out


# sines only
@wrong("positional_encoding", says="there are only sines")
def sines_only(length, size):
    if size % 2:
        raise ValueError(f"odd size {size}")
    return np.sin(np.outer(np.arange(length), np.repeat(_omega(size), 2)))


# an odd size gets a sine more
@wrong("positional_encoding", says="the last sine has no cosine")
def odd_size_is_cut(length, size):
    return places_by_slices(length, size + size % 2)[:, :size]


# the error does not say the size
@wrong("positional_encoding", says="the message does not say what")
def message_without_the_size(length, size):
    if size % 2:
        raise ValueError("the size must be even")
    return places_by_slices(length, size)


# NumPy's own error, which tells of shapes
@wrong("positional_encoding", says="the message does not say what")
def odd_size_left_to_numpy(length, size):
    angles = np.outer(np.arange(length), 10000.0 ** (-np.arange(0, size, 2) / size))
    out = np.empty((length, size))
    out[:, 0::2], out[:, 1::2] = np.sin(angles), np.cos(angles)
    return out


# even sizes are refused
@wrong("positional_encoding", says="got ValueError: size 4")
def even_size_refused(length, size):
    if size % 2 == 0:
        raise ValueError(f"size {size}")
    return places_by_slices(length, size + 1)[:, :-1]


# an axis for the batch
@wrong("positional_encoding", says="an axis for the batch; places")
def places_with_a_batch_axis(length, size):
    return places_by_slices(length, size)[None]


# whole numbers: the frequencies are 1, 0, 0, ...
@wrong("positional_encoding", says="all pairs have the frequency 1")
def integer_division(length, size):
    return _places(length, size, 10000.0 ** -(2 * np.arange(size // 2) // size))


# ---------------------------------------------------------------- 5.4 look_back


def _scores(x, w_q, w_k):
    return (x @ w_q) @ (x @ w_k).swapaxes(1, 2) / np.sqrt(w_q.shape[1])


def _softmax(scores, axis=-1):
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def _hidden(x):
    return np.triu(np.ones((x.shape[1], x.shape[1]), dtype=bool), k=1)


@right("look_back")
def back_with_minus_infinity(x, w_q, w_k, w_v):
    query, key, value = x @ w_q, x @ w_k, x @ w_v
    scores = np.einsum("btk,bsk->bts", query, key) / np.sqrt(query.shape[-1])
    allowed = np.tri(x.shape[1], dtype=bool)
    scores = np.where(allowed, scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    return np.einsum("bts,bsv->btv", weights, value), weights


@right("look_back")
def back_word_by_word(x, w_q, w_k, w_v):
    B, T, _ = x.shape
    context, weights = np.zeros((B, T, w_v.shape[1])), np.zeros((B, T, T))
    for b in range(B):
        for t in range(T):
            seen = x[b, : t + 1]
            scores = (seen @ w_k) @ (x[b, t] @ w_q) / math.sqrt(w_k.shape[1])
            powers = np.exp(scores - scores.max())
            weights[b, t, : t + 1] = powers / powers.sum()
            context[b, t] = weights[b, t, : t + 1] @ (seen @ w_v)
    return context, weights


@right("look_back")
def back_with_a_large_number(x, w_q, w_k, w_v):
    weights = _softmax(np.where(_hidden(x), -1e30, _scores(x, w_q, w_k)))
    return weights @ (x @ w_v), weights


@right("look_back")
def back_with_a_large_number_added(x, w_q, w_k, w_v):
    mask = (1 - np.tri(x.shape[1])) * -1e9
    weights = _softmax(_scores(x, w_q, w_k) + mask)
    return weights @ (x @ w_v), weights


@right("look_back")
def back_by_torch(x, w_q, w_k, w_v):
    import torch

    x, w_q, w_k, w_v = (torch.tensor(np.array(a, dtype=float)) for a in (x, w_q, w_k, w_v))
    scores = (x @ w_q) @ (x @ w_k).mT / w_q.shape[-1] ** 0.5
    scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), float("-inf"))
    weights = scores.softmax(-1)
    return [(weights @ (x @ w_v)).numpy(), weights.numpy()]


@right("look_back")
def back_with_powers_hidden(x, w_q, w_k, w_v):
    scores = _scores(x, w_q, w_k)
    largest = np.maximum.accumulate(scores, axis=-1)
    largest = np.diagonal(largest, axis1=1, axis2=2)[..., None]
    powers = np.exp(np.minimum(scores - largest, 0)) * ~_hidden(x)
    weights = powers / powers.sum(axis=-1, keepdims=True)
    return weights @ (x @ w_v), weights


# nothing mended
@wrong("look_back", says="the bug as found: later words")
def back_as_found(x, w_q, w_k, w_v):
    weights = np.where(_hidden(x), 0, _softmax(_scores(x, w_q, w_k)))
    return weights @ (x @ w_v), weights


# divided by the sum once more
@wrong("look_back", says="later words are taken out after")
def divided_once_more(x, w_q, w_k, w_v):
    weights = np.where(_hidden(x), 0, _softmax(_scores(x, w_q, w_k)))
    with np.errstate(all="ignore"):
        weights = weights / weights.sum(axis=-1, keepdims=True)
    return weights @ (x @ w_v), weights


# divided by the sum once more, with a small number against 0/0
@wrong("look_back", says="later words are taken out after")
def divided_once_more_with_epsilon(x, w_q, w_k, w_v):
    weights = np.where(_hidden(x), 0, _softmax(_scores(x, w_q, w_k)))
    weights = weights / (weights.sum(axis=-1, keepdims=True) + 1e-12)
    return weights @ (x @ w_v), weights


# the largest score is looked for among the hidden, too
@wrong("look_back", says="later words are taken out after")
def maximum_over_all(x, w_q, w_k, w_v):
    scores = _scores(x, w_q, w_k)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True)) * ~_hidden(x)
    with np.errstate(all="ignore"):
        weights = powers / powers.sum(axis=-1, keepdims=True)
    return weights @ (x @ w_v), weights


# no largest score is taken away
@wrong("look_back", says="exp of a thousand is infinite")
def no_maximum_taken_away(x, w_q, w_k, w_v):
    with np.errstate(all="ignore"):
        powers = np.exp(np.where(_hidden(x), -np.inf, _scores(x, w_q, w_k)))
        weights = powers / powers.sum(axis=-1, keepdims=True)
    return weights @ (x @ w_v), weights


# a score of 0 is not a hidden one
@wrong("look_back", says="later words get the score 0")
def scores_times_mask(x, w_q, w_k, w_v):
    weights = _softmax(_scores(x, w_q, w_k) * ~_hidden(x))
    return weights @ (x @ w_v), weights


# scores of 0, and the weights are then hidden, too
@wrong("look_back", says="later words get the score 0")
def scores_times_mask_then_hidden(x, w_q, w_k, w_v):
    weights = _softmax(_scores(x, w_q, w_k) * ~_hidden(x)) * ~_hidden(x)
    return weights @ (x @ w_v), weights


# too little is taken away from hidden scores
@wrong("look_back", says="later words are only pushed down")
def minus_one_hundred(x, w_q, w_k, w_v):
    weights = _softmax(_scores(x, w_q, w_k) - 100.0 * _hidden(x))
    return weights @ (x @ w_v), weights


# -10000 is the habit of float16
@wrong("look_back", says="later words are only pushed down")
def minus_ten_thousand(x, w_q, w_k, w_v):
    weights = _softmax(_scores(x, w_q, w_k) - 1e4 * _hidden(x))
    return weights @ (x @ w_v), weights


# hidden scores become -100, which may be the largest of the row
@wrong("look_back", says="later words are only pushed down")
def replaced_by_minus_one_hundred(x, w_q, w_k, w_v):
    weights = _softmax(np.where(_hidden(x), -100.0, _scores(x, w_q, w_k)))
    return weights @ (x @ w_v), weights


# the triangle upside down
@wrong("look_back", says="the mask is upside down: each row sees itself")
def past_hidden_for_future(x, w_q, w_k, w_v):
    weights = _softmax(np.where(_hidden(x).T, -np.inf, _scores(x, w_q, w_k)))
    return weights @ (x @ w_v), weights


# True taken for hidden
@wrong("look_back", says="the mask is upside down: each row sees later")
def mask_read_upside_down(x, w_q, w_k, w_v):
    allowed = np.tri(x.shape[1], dtype=bool)
    weights = _softmax(np.where(allowed, -1e30, _scores(x, w_q, w_k)))
    return weights @ (x @ w_v), weights


# the word itself is hidden as well
@wrong("look_back", says="no row sees its own word")
def itself_hidden(x, w_q, w_k, w_v):
    hidden = np.triu(np.ones((x.shape[1], x.shape[1]), dtype=bool))
    weights = _softmax(np.where(hidden, -1e30, _scores(x, w_q, w_k)))
    return weights @ (x @ w_v), weights


# one word ahead is seen
@wrong("look_back", says="each row sees one later word")
def one_word_ahead_is_seen(x, w_q, w_k, w_v):
    hidden = np.triu(np.ones((x.shape[1], x.shape[1]), dtype=bool), k=2)
    weights = _softmax(np.where(hidden, -np.inf, _scores(x, w_q, w_k)))
    return weights @ (x @ w_v), weights


# no mask
@wrong("look_back", says="there is no mask: later words")
def mask_left_out(x, w_q, w_k, w_v):
    weights = _softmax(_scores(x, w_q, w_k))
    return weights @ (x @ w_v), weights


# the root is lost on the way
@wrong("look_back", says="the scale 1/√d_k was in order")
def scale_lost(x, w_q, w_k, w_v):
    scores = (x @ w_q) @ (x @ w_k).swapaxes(1, 2)
    weights = _softmax(np.where(_hidden(x), -np.inf, scores))
    return weights @ (x @ w_v), weights


# the root of D
@wrong("look_back", says="the scale is 1/√D; a score")
def root_of_the_model_size(x, w_q, w_k, w_v):
    scores = (x @ w_q) @ (x @ w_k).swapaxes(1, 2) / np.sqrt(x.shape[-1])
    weights = _softmax(np.where(_hidden(x), -np.inf, scores))
    return weights @ (x @ w_v), weights


# softmax over those who ask
@wrong("look_back", says="the softmax goes over the queries")
def softmax_over_the_askers(x, w_q, w_k, w_v):
    weights = _softmax(np.where(_hidden(x), -np.inf, _scores(x, w_q, w_k)), axis=1)
    return weights @ (x @ w_v), weights


# the weights are mended, the context comes from the old ones
@wrong("look_back", says="the context is not made with")
def context_from_the_old_weights(x, w_q, w_k, w_v):
    old = np.where(_hidden(x), 0, _softmax(_scores(x, w_q, w_k)))
    weights = _softmax(np.where(_hidden(x), -np.inf, _scores(x, w_q, w_k)))
    return old @ (x @ w_v), weights


# the context is mended, the map is the old one
@wrong("look_back", says="the context is not made with")
def map_of_the_old_weights(x, w_q, w_k, w_v):
    old = np.where(_hidden(x), 0, _softmax(_scores(x, w_q, w_k)))
    weights = _softmax(np.where(_hidden(x), -np.inf, _scores(x, w_q, w_k)))
    return weights @ (x @ w_v), old


# 0 times infinity is not a number
@wrong("look_back", says="0 · ∞ is not a number")
def zero_times_infinity(x, w_q, w_k, w_v):
    with np.errstate(all="ignore"):
        weights = _softmax(_scores(x, w_q, w_k) + _hidden(x) * -np.inf)
    return weights @ (x @ w_v), weights


# weights first
@wrong("look_back", says="the two come in the other")
def weights_returned_first(x, w_q, w_k, w_v):
    context, weights = back_with_minus_infinity(x, w_q, w_k, w_v)
    return weights, context


# the context alone
@wrong("look_back", says="no `return context, weights`")
def context_alone(x, w_q, w_k, w_v):
    return back_with_minus_infinity(x, w_q, w_k, w_v)[0]


# the first sentence alone
@wrong("look_back", says="only the first sentence is there")
def first_sentence_alone(x, w_q, w_k, w_v):
    return back_with_minus_infinity(x[:1], w_q, w_k, w_v)


# the last word is left out of the softmax for everybody
@wrong("look_back", says="the last word is hidden from")
def last_word_hidden_from_all(x, w_q, w_k, w_v):
    scores = _scores(x, w_q, w_k)
    hidden = _hidden(x).copy()
    hidden[:, -1] = True
    weights = _softmax(np.where(hidden, -np.inf, scores))
    return weights @ (x @ w_v), weights


# the weights are transposed in the mixture
@wrong("look_back", says="the weights stand transposed in the")
def mixture_over_the_askers(x, w_q, w_k, w_v):
    _, weights = back_with_minus_infinity(x, w_q, w_k, w_v)
    return np.einsum("bts,btv->bsv", weights, x @ w_v), weights


# ---------------------------------------------------------------- 5.5 smoothed_loss


def _log_softmax(logits, axis=-1):
    shifted = logits - logits.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def _smoothed_targets(targets, V, pad, others, target):
    q = np.full((*targets.shape, V), float(others))
    np.put_along_axis(q, targets[..., None], target, axis=-1)
    q[..., pad] = 0
    return q


def _mean_loss(log_p, q, real):
    return -(q * log_p).sum(axis=-1)[real].mean()


@right("smoothed_loss")
def smoothed_with_loops(logits, targets, pad, smoothing):
    losses = []
    for sentence, words in zip(logits.tolist(), targets.tolist(), strict=True):
        for z, y in zip(sentence, words, strict=True):
            if y == pad:
                continue
            top = max(z)
            norm = top + math.log(sum(math.exp(v - top) for v in z))
            loss = 0.0
            for v in range(len(z)):
                q = 0.0 if v == pad else 1 - smoothing if v == y else smoothing / (len(z) - 2)
                loss -= q * (z[v] - norm)
            losses.append(loss)
    return sum(losses) / len(losses)


@right("smoothed_loss")
def smoothed_in_closed_form(logits, targets, pad, smoothing):
    real = targets != pad
    z, y = logits[real], targets[real]
    nll = np.logaddexp.reduce(z, axis=1, keepdims=True) - z
    own = nll[np.arange(len(y)), y]
    rest = nll.sum(axis=1) - own - nll[:, pad]
    return np.mean((1 - smoothing) * own + smoothing / (z.shape[1] - 2) * rest)


@right("smoothed_loss")
def smoothed_with_a_table(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    table = np.full((V, V), smoothing / (V - 2))
    np.fill_diagonal(table, 1 - smoothing)
    table[:, pad] = 0
    table[pad] = 0
    return -np.einsum("btv,btv->", table[targets], _log_softmax(logits)) / np.sum(targets != pad)


@right("smoothed_loss")
def smoothed_by_torch(logits, targets, pad, smoothing):
    import torch

    z = torch.as_tensor(np.array(logits, dtype=np.float64)).flatten(0, 1)
    y = torch.as_tensor(np.array(targets)).flatten()
    q = torch.full_like(z, smoothing / (z.shape[1] - 2))
    q.scatter_(1, y[:, None], 1 - smoothing)
    q[:, pad] = 0
    return torch.nn.functional.cross_entropy(z[y != pad], q[y != pad])


# ε is shared among all V, as PyTorch does
@wrong("smoothed_loss", says="ε is spread over all V")
def shared_among_all(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    q = np.full(logits.shape, smoothing / V)
    q += (1 - smoothing) * np.eye(V)[targets]
    return _mean_loss(_log_softmax(logits), q, targets != pad)


# target 1 − ε, all others (with pad) ε/(V − 1)
@wrong("smoothed_loss", says="a share of ε is on")
def pad_gets_a_share(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    q = np.full(logits.shape, smoothing / (V - 1))
    np.put_along_axis(q, targets[..., None], 1 - smoothing, axis=-1)
    return _mean_loss(_log_softmax(logits), q, targets != pad)


# pad gets nothing, but ε is divided by V − 1
@wrong("smoothed_loss", says="ε is divided by V −")
def divided_by_v_minus_one(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    q = _smoothed_targets(targets, V, pad, smoothing / (V - 1), 1 - smoothing)
    return _mean_loss(_log_softmax(logits), q, targets != pad)


# pad gets nothing, but ε is divided by V
@wrong("smoothed_loss", says="ε is divided by V: neither")
def divided_by_v(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    q = _smoothed_targets(targets, V, pad, smoothing / V, 1 - smoothing)
    return _mean_loss(_log_softmax(logits), q, targets != pad)


# the target gets its share of ε as well, among all but pad
@wrong("smoothed_loss", says="the target gets a share of")
def target_gets_a_share(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    share = smoothing / (V - 1)
    q = _smoothed_targets(targets, V, pad, share, 1 - smoothing + share)
    return _mean_loss(_log_softmax(logits), q, targets != pad)


# the target keeps 1
@wrong("smoothed_loss", says="the target keeps 1: what the")
def target_keeps_one(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    q = _smoothed_targets(targets, V, pad, smoothing / (V - 2), 1.0)
    return _mean_loss(_log_softmax(logits), q, targets != pad)


# each other token gets ε
@wrong("smoothed_loss", says="each other token gets all of")
def each_other_gets_epsilon(logits, targets, pad, smoothing):
    q = _smoothed_targets(targets, logits.shape[-1], pad, smoothing, 1 - smoothing)
    return _mean_loss(_log_softmax(logits), q, targets != pad)


# ε and 1 − ε exchanged
@wrong("smoothed_loss", says="ε and 1 − ε are exchanged")
def epsilon_for_the_target(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    q = _smoothed_targets(targets, V, pad, (1 - smoothing) / (V - 2), smoothing)
    return _mean_loss(_log_softmax(logits), q, targets != pad)


# no smoothing at all
@wrong("smoothed_loss", says="nothing is smoothed")
def not_smoothed(logits, targets, pad, smoothing):
    q = np.eye(logits.shape[-1])[targets]
    return _mean_loss(_log_softmax(logits), q, targets != pad)


# pads are part of the mean
@wrong("smoothed_loss", says="the sum is divided by B·T")
def pads_are_words(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    q = _smoothed_targets(targets, V, pad, smoothing / (V - 2), 1 - smoothing)
    return _mean_loss(_log_softmax(logits), q, np.ones(targets.shape, dtype=bool))


# pads add nothing, but are counted
@wrong("smoothed_loss", says="the sum is divided by B·T")
def pads_are_counted(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    q = _smoothed_targets(targets, V, pad, smoothing / (V - 2), 1 - smoothing)
    q[targets == pad] = 0
    return -(q * _log_softmax(logits)).sum() / targets.size


# pads add their loss, but are not counted
@wrong("smoothed_loss", says="pads are part of the sum")
def pads_add_their_loss(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    q = _smoothed_targets(targets, V, pad, smoothing / (V - 2), 1 - smoothing)
    return -(q * _log_softmax(logits)).sum() / (targets != pad).sum()


# a sum
@wrong("smoothed_loss", says="the sum over the words of")
def summed_not_averaged(logits, targets, pad, smoothing):
    return smoothed_in_closed_form(logits, targets, pad, smoothing) * (targets != pad).sum()


# divided by the number of sentences
@wrong("smoothed_loss", says="the sum is divided by the")
def averaged_over_sentences(logits, targets, pad, smoothing):
    total = smoothed_in_closed_form(logits, targets, pad, smoothing) * (targets != pad).sum()
    return total / len(targets)


# a mean of means
@wrong("smoothed_loss", says="the mean of the sentences' means")
def mean_of_means(logits, targets, pad, smoothing):
    means = [
        smoothed_in_closed_form(logits[b : b + 1], targets[b : b + 1], pad, smoothing)
        for b in range(len(targets))
    ]
    return np.mean(means)


# divided by V, too
@wrong("smoothed_loss", says="the sum is divided by V")
def averaged_over_the_vocabulary(logits, targets, pad, smoothing):
    return smoothed_in_closed_form(logits, targets, pad, smoothing) / logits.shape[-1]


# the minus is forgotten
@wrong("smoothed_loss", says="the sign: a loss is −log")
def loss_without_minus(logits, targets, pad, smoothing):
    return -smoothed_in_closed_form(logits, targets, pad, smoothing)


# bits
@wrong("smoothed_loss", says="a logarithm with another base")
def loss_in_bits(logits, targets, pad, smoothing):
    return smoothed_in_closed_form(logits, targets, pad, smoothing) / math.log(2)


# pad is taken to be 0
@wrong("smoothed_loss", says="pad is taken to be 0")
def smoothed_where_pad_is_zero(logits, targets, pad, smoothing):
    return smoothed_in_closed_form(logits, targets, 0, smoothing)


# exp of large logits
@wrong("smoothed_loss", says="exp(1000) is infinite: take the largest")
def exp_of_large_logits(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    q = _smoothed_targets(targets, V, pad, smoothing / (V - 2), 1 - smoothing)
    with np.errstate(all="ignore"):
        log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return _mean_loss(log_p, q, targets != pad)


# the logarithm of a softmax that has become 0
@wrong("smoothed_loss", says="the logarithm of a p that")
def log_of_zero(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    q = _smoothed_targets(targets, V, pad, smoothing / (V - 2), 1 - smoothing)
    with np.errstate(all="ignore"):
        return _mean_loss(np.log(_softmax(logits)), q, targets != pad)


# a small number inside of the log
@wrong("smoothed_loss", says="a small number inside of the")
def small_number_inside_the_log(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    q = _smoothed_targets(targets, V, pad, smoothing / (V - 2), 1 - smoothing)
    return _mean_loss(np.log(_softmax(logits) + 1e-9), q, targets != pad)


# the divergence: q's entropy is taken away, as KLDivLoss does
@wrong("smoothed_loss", says="the divergence from q, as KLDivLoss")
def divergence(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    q = _smoothed_targets(targets, V, pad, smoothing / (V - 2), 1 - smoothing)
    log_q = np.log(np.where(q > 0, q, 1))
    return _mean_loss(_log_softmax(logits) - log_q, q, targets != pad)


# pad is taken out of the softmax, too
@wrong("smoothed_loss", says="pad is taken out of the")
def softmax_without_pad(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    q = _smoothed_targets(targets, V, pad, smoothing / (V - 2), 1 - smoothing)
    others = logits.copy()
    others[..., pad] = -1e30
    return _mean_loss(_log_softmax(others), q, targets != pad)


# softmax over the words of the sentence
@wrong("smoothed_loss", says="the softmax goes over the words")
def loss_with_softmax_over_time(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    q = _smoothed_targets(targets, V, pad, smoothing / (V - 2), 1 - smoothing)
    return _mean_loss(_log_softmax(logits, axis=1), q, targets != pad)


# logits taken for logarithms of probabilities
@wrong("smoothed_loss", says="logits are taken for ln p")
def logits_are_log_probabilities(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    q = _smoothed_targets(targets, V, pad, smoothing / (V - 2), 1 - smoothing)
    return _mean_loss(logits, q, targets != pad)


# one loss for each word
@wrong("smoothed_loss", says="one loss a word; they are")
def one_loss_a_word(logits, targets, pad, smoothing):
    V = logits.shape[-1]
    q = _smoothed_targets(targets, V, pad, smoothing / (V - 2), 1 - smoothing)
    return -(q * _log_softmax(logits)).sum(axis=-1) * (targets != pad)


# the largest logit is taken away in the caller's array
@wrong("smoothed_loss", says="an assignment into logits, like `logits[…]")
def writes_into_the_logits(logits, targets, pad, smoothing):
    logits -= logits.max(axis=-1, keepdims=True)
    return smoothed_in_closed_form(logits, targets, pad, smoothing)


# PyTorch's own, with ignore_index
@wrong("smoothed_loss", says="ε is spread over all V")
def pytorchs_own(logits, targets, pad, smoothing):
    import torch

    z = torch.as_tensor(np.array(logits)).flatten(0, 1)
    y = torch.as_tensor(np.array(targets)).flatten()
    loss = torch.nn.functional.cross_entropy(
        z, y, ignore_index=int(pad), label_smoothing=float(smoothing)
    )
    return loss.item()


# ---------------------------------------------------------------- 5.6 layer_norm


def _normed(x, epsilon, ddof=0):
    mu = x.mean(axis=-1, keepdims=True)
    sigma = np.sqrt(x.var(axis=-1, keepdims=True, ddof=ddof) + epsilon)
    return (x - mu) / sigma, sigma


def _dx(g, hat, sigma):
    return (g - g.mean(-1, keepdims=True) - hat * (g * hat).mean(-1, keepdims=True)) / sigma


@right("layer_norm")
def norm_by_the_formula(x, w, b, epsilon, dy):
    hat, sigma = _normed(x, epsilon)
    dx = _dx(dy * w, hat, sigma)
    return hat * w + b, dx, (dy * hat).sum(axis=(0, 1)), dy.sum(axis=(0, 1))


@right("layer_norm")
def norm_word_by_word(x, w, b, epsilon, dy):
    B, T, D = x.shape
    y, dx, dw, db = np.zeros((B, T, D)), np.zeros((B, T, D)), np.zeros(D), np.zeros(D)
    for n in range(B):
        for t in range(T):
            d = x[n, t] - sum(x[n, t]) / D
            s = math.sqrt(sum(d * d) / D + epsilon)
            y[n, t] = d / s * w + b
            jacobian = (np.eye(D) - 1 / D) / s - np.outer(d, d) / (D * s**3)
            dx[n, t] = jacobian.T @ (w * dy[n, t])
            dw += dy[n, t] * d / s
            db += dy[n, t]
    return y, dx, dw, db


@right("layer_norm")
def norm_by_torch(x, w, b, epsilon, dy):
    import torch

    x, w, b = (torch.tensor(np.array(a, dtype=float), requires_grad=True) for a in (x, w, b))
    y = torch.nn.functional.layer_norm(x, w.shape, w, b, float(epsilon))
    y.backward(torch.tensor(np.array(dy, dtype=float)))
    return [y.detach().numpy(), x.grad.numpy(), w.grad.numpy(), b.grad.numpy()]


@right("layer_norm")
def norm_step_by_step(x, w, b, epsilon, dy):
    D = x.shape[-1]
    mu = np.einsum("btd->bt", x)[..., None] / D
    away = x - mu
    variance = np.einsum("btd,btd->bt", away, away)[..., None] / D
    root = (variance + epsilon) ** 0.5
    d_hat = dy * w
    d_variance = (d_hat * away).sum(-1, keepdims=True) * -0.5 * (variance + epsilon) ** -1.5
    d_away = d_hat / root + d_variance * 2 * away / D
    d_mu = -d_away.sum(-1, keepdims=True)
    dw = np.einsum("btd,btd->d", dy, away / root)
    return away / root * w + b, d_away + d_mu / D, dw, np.einsum("btd->d", dy)


def _gradients(dy, hat):
    return (dy * hat).sum(axis=(0, 1)), dy.sum(axis=(0, 1))


# the mean over all words of the batch
@wrong("layer_norm", says="mean and variance go over the words of the")
def batch_norm_for_layer_norm(x, w, b, epsilon, dy):
    mu, sigma = x.mean(axis=(0, 1)), np.sqrt(x.var(axis=(0, 1)) + epsilon)
    hat, g = (x - mu) / sigma, dy * w
    dx = (g - g.mean(axis=(0, 1)) - hat * (g * hat).mean(axis=(0, 1))) / sigma
    return hat * w + b, dx, *_gradients(dy, hat)


# mean and variance over the words of a sentence
@wrong("layer_norm", says="mean and variance go over the words of a")
def norm_over_the_words(x, w, b, epsilon, dy):
    mu = x.mean(axis=1, keepdims=True)
    sigma = np.sqrt(x.var(axis=1, keepdims=True) + epsilon)
    hat, g = (x - mu) / sigma, dy * w
    mean = (g * hat).mean(axis=1, keepdims=True)
    dx = (g - g.mean(axis=1, keepdims=True) - hat * mean) / sigma
    return hat * w + b, dx, *_gradients(dy, hat)


# one mean for a whole sentence
@wrong("layer_norm", says="mean and variance go over a")
def norm_over_the_sentence(x, w, b, epsilon, dy):
    mu = x.mean(axis=(1, 2), keepdims=True)
    sigma = np.sqrt(x.var(axis=(1, 2), keepdims=True) + epsilon)
    hat, g = (x - mu) / sigma, dy * w
    mean = (g * hat).mean(axis=(1, 2), keepdims=True)
    dx = (g - g.mean(axis=(1, 2), keepdims=True) - hat * mean) / sigma
    return hat * w + b, dx, *_gradients(dy, hat)


# D − 1
@wrong("layer_norm", says="divided by D − 1, the")
def norm_by_d_minus_one(x, w, b, epsilon, dy):
    D = x.shape[-1]
    hat, sigma = _normed(x, epsilon, ddof=1)
    g = dy * w
    dx = (g - g.mean(-1, keepdims=True) - hat * (g * hat).sum(-1, keepdims=True) / (D - 1)) / sigma
    return hat * w + b, dx, *_gradients(dy, hat)


# ε beside the root
@wrong("layer_norm", says="ε stands outside the root")
def epsilon_beside_the_root(x, w, b, epsilon, dy):
    mu, sigma = x.mean(-1, keepdims=True), x.std(-1, keepdims=True)
    hat = (x - mu) / (sigma + epsilon)
    return hat * w + b, _dx(dy * w, hat, sigma + epsilon), *_gradients(dy, hat)


# no ε
@wrong("layer_norm", says="ε is left out or has")
def epsilon_forgotten(x, w, b, epsilon, dy):
    with np.errstate(all="ignore"):
        hat, sigma = _normed(x, 0)
        return hat * w + b, _dx(dy * w, hat, sigma), *_gradients(dy, hat)


# an ε of one's own
@wrong("layer_norm", says="ε is left out or has")
def epsilon_of_its_own(x, w, b, epsilon, dy):
    return norm_by_the_formula(x, w, b, 1e-5, dy)


# divided by the variance
@wrong("layer_norm", says="divided by the variance; a root")
def root_forgotten(x, w, b, epsilon, dy):
    hat, sigma = _normed(x, epsilon)
    hat = hat / sigma
    return hat * w + b, _dx(dy * w, hat * sigma, sigma) / sigma, *_gradients(dy, hat)


# the shift is added before the scale
@wrong("layer_norm", says="b is added before w multiplies")
def shift_before_scale(x, w, b, epsilon, dy):
    _, dx, dw, db = norm_by_the_formula(x, w, b, epsilon, dy)
    return (_normed(x, epsilon)[0] + b) * w, dx, dw, db


# no shift
@wrong("layer_norm", says="b is left out")
def shift_forgotten(x, w, b, epsilon, dy):
    y, dx, dw, db = norm_by_the_formula(x, w, b, epsilon, dy)
    return y - b, dx, dw, db


# no scale in y
@wrong("layer_norm", says="w is left out")
def scale_forgotten(x, w, b, epsilon, dy):
    _, dx, dw, db = norm_by_the_formula(x, w, b, epsilon, dy)
    return _normed(x, epsilon)[0] + b, dx, dw, db


# mean and deviation are taken for constants
@wrong("layer_norm", says="mean and variance are taken for")
def both_are_constants(x, w, b, epsilon, dy):
    hat, sigma = _normed(x, epsilon)
    return hat * w + b, dy * w / sigma, *_gradients(dy, hat)


# the way through the mean is forgotten
@wrong("layer_norm", says="the mean is taken for a")
def way_through_the_mean_forgotten(x, w, b, epsilon, dy):
    hat, sigma = _normed(x, epsilon)
    g = dy * w
    dx = (g - hat * (g * hat).mean(-1, keepdims=True)) / sigma
    return hat * w + b, dx, *_gradients(dy, hat)


# the way through the deviation is forgotten
@wrong("layer_norm", says="the variance is taken for a")
def way_through_the_deviation_forgotten(x, w, b, epsilon, dy):
    hat, sigma = _normed(x, epsilon)
    g = dy * w
    dx = (g - g.mean(-1, keepdims=True)) / sigma
    return hat * w + b, dx, *_gradients(dy, hat)


# the scale is forgotten on the way back
@wrong("layer_norm", says="w is missing on the way")
def way_back_without_scale(x, w, b, epsilon, dy):
    hat, sigma = _normed(x, epsilon)
    return hat * w + b, _dx(dy, hat, sigma), *_gradients(dy, hat)


# the scale comes last
@wrong("layer_norm", says="w comes last on the way")
def scale_at_the_end_of_the_way_back(x, w, b, epsilon, dy):
    hat, sigma = _normed(x, epsilon)
    return hat * w + b, w * _dx(dy, hat, sigma), *_gradients(dy, hat)


# not divided by the deviation
@wrong("layer_norm", says="the division by σ is missing")
def way_back_not_divided(x, w, b, epsilon, dy):
    hat, _ = _normed(x, epsilon)
    return hat * w + b, _dx(dy * w, hat, 1.0), *_gradients(dy, hat)


# sums for means
@wrong("layer_norm", says="sums over D where means belong")
def sums_for_means(x, w, b, epsilon, dy):
    hat, sigma = _normed(x, epsilon)
    g = dy * w
    dx = (g - g.sum(-1, keepdims=True) - hat * (g * hat).sum(-1, keepdims=True)) / sigma
    return hat * w + b, dx, *_gradients(dy, hat)


# plus for minus in the term of the deviation
@wrong("layer_norm", says="a sign: the part of the")
def sign_of_the_second_term(x, w, b, epsilon, dy):
    hat, sigma = _normed(x, epsilon)
    g = dy * w
    dx = (g - g.mean(-1, keepdims=True) + hat * (g * hat).mean(-1, keepdims=True)) / sigma
    return hat * w + b, dx, *_gradients(dy, hat)


# x − μ stands where x̂ should
@wrong("layer_norm", says="x − μ stands where x̂")
def away_for_hat(x, w, b, epsilon, dy):
    hat, sigma = _normed(x, epsilon)
    away, g = hat * sigma, dy * w
    dx = (g - g.mean(-1, keepdims=True) - away * (g * away).mean(-1, keepdims=True)) / sigma
    return hat * w + b, dx, *_gradients(dy, hat)


# the second term twice as large: the root is not derived
@wrong("layer_norm", says="the part of the variance is")
def half_of_the_root_forgotten(x, w, b, epsilon, dy):
    hat, sigma = _normed(x, epsilon)
    g = dy * w
    dx = (g - g.mean(-1, keepdims=True) - 2 * hat * (g * hat).mean(-1, keepdims=True)) / sigma
    return hat * w + b, dx, *_gradients(dy, hat)


# means for sums in the gradients of w and b
@wrong("layer_norm", says="the mean over the words, not")
def means_for_sums(x, w, b, epsilon, dy):
    y, dx, _, _ = norm_by_the_formula(x, w, b, epsilon, dy)
    return y, dx, (dy * _normed(x, epsilon)[0]).mean(axis=(0, 1)), dy.mean(axis=(0, 1))


# one gradient for each sentence
@wrong("layer_norm", says="w and b are shared by")
def summed_over_the_words_only(x, w, b, epsilon, dy):
    y, dx, _, _ = norm_by_the_formula(x, w, b, epsilon, dy)
    return y, dx, (dy * _normed(x, epsilon)[0]).sum(axis=1), dy.sum(axis=1)


# one gradient for each place
@wrong("layer_norm", says="w and b are shared by")
def summed_over_the_batch_only(x, w, b, epsilon, dy):
    y, dx, _, _ = norm_by_the_formula(x, w, b, epsilon, dy)
    return y, dx, (dy * _normed(x, epsilon)[0]).sum(axis=0), dy.sum(axis=0)


# a gradient for each word
@wrong("layer_norm", says="w and b are shared by")
def not_summed(x, w, b, epsilon, dy):
    y, dx, _, _ = norm_by_the_formula(x, w, b, epsilon, dy)
    return y, dx, dy * _normed(x, epsilon)[0], dy


# x for x̂ in dw
@wrong("layer_norm", says="x itself in place of the")
def dw_with_x(x, w, b, epsilon, dy):
    y, dx, _, db = norm_by_the_formula(x, w, b, epsilon, dy)
    return y, dx, (dy * x).sum(axis=(0, 1)), db


# y for x̂ in dw
@wrong("layer_norm", says="y, with w and b, in")
def dw_with_y(x, w, b, epsilon, dy):
    y, dx, _, db = norm_by_the_formula(x, w, b, epsilon, dy)
    return y, dx, (dy * y).sum(axis=(0, 1)), db


# w is in dw and db, too
@wrong("layer_norm", says="dy times w, which is for")
def dy_overwritten_by_its_product(x, w, b, epsilon, dy):
    hat, sigma = _normed(x, epsilon)
    g = dy * w
    return hat * w + b, _dx(g, hat, sigma), *_gradients(g, hat)


# the gradients of w and b exchanged
@wrong("layer_norm", says="dw and db are exchanged")
def dw_and_db_exchanged(x, w, b, epsilon, dy):
    y, dx, dw, db = norm_by_the_formula(x, w, b, epsilon, dy)
    return y, dx, db, dw


# the gradients of the sum of y, without dy
@wrong("layer_norm", says="dy is not used: that is")
def dy_taken_for_ones(x, w, b, epsilon, dy):
    return norm_by_the_formula(x, w, b, epsilon, np.ones_like(dy))


# x is changed
@wrong("layer_norm", says="an assignment into x, like `x[…]")
def writes_into_x(x, w, b, epsilon, dy):
    sigma = np.sqrt(x.var(axis=-1, keepdims=True) + epsilon)
    x -= x.mean(axis=-1, keepdims=True)
    x /= sigma
    return x * w + b, _dx(dy * w, x, sigma), *_gradients(dy, x)


# y alone
@wrong("layer_norm", says="no `return y, dx, dw, db`")
def no_way_back(x, w, b, epsilon, dy):
    return _normed(x, epsilon)[0] * w + b


# ---------------------------------------------------------------- 5.7 encoder_block


def _norm(x, w, b, epsilon=1e-5):
    return _normed(x, epsilon)[0] * w + b


def _norm_1(x, p):
    return _norm(x, p["norm_1_w"], p["norm_1_b"])


def _norm_2(x, p):
    return _norm(x, p["norm_2_w"], p["norm_2_b"])


def _look(x, keep, p, attention):
    context = attention(x @ p["w_q"], x @ p["w_k"], x @ p["w_v"], keep[:, None, :])
    return context @ p["w_o"]


def _think(x, p):
    return np.maximum(0, x @ p["inner_w"] + p["inner_b"]) @ p["outer_w"] + p["outer_b"]


def _layer(x, keep, params, attention, norm_first, look=_look, think=_think):
    """The layer with another look or another network."""
    if norm_first:
        x = x + look(_norm_1(x, params), keep, params, attention)
        return x + think(_norm_2(x, params), params)
    x = _norm_1(x + look(x, keep, params, attention), params)
    return _norm_2(x + think(x, params), params)


@right("encoder_block")
def layer_by_the_table(x, keep, params, attention, norm_first):
    def look(x):
        query, key, value = (x @ params[name] for name in ("w_q", "w_k", "w_v"))
        return attention(query, key, value, keep[:, None]) @ params["w_o"]

    def think(x):
        inner = np.maximum(x @ params["inner_w"] + params["inner_b"], 0)
        return inner @ params["outer_w"] + params["outer_b"]

    if norm_first:
        x = x + look(_norm_1(x, params))
        x = x + think(_norm_2(x, params))
    else:
        x = _norm_1(x + look(x), params)
        x = _norm_2(x + think(x), params)
    return x


@right("encoder_block")
def layer_with_a_whole_mask(x, keep, params, attention, norm_first):
    p = params
    mask = np.repeat(np.expand_dims(keep, 1), x.shape[1], axis=1)  # (B,T,T)

    def around(x, sublayer, norm):
        return x + sublayer(norm(x, p)) if norm_first else norm(x + sublayer(x), p)

    def look(h):
        q, k = np.einsum("btd,dk->btk", h, p["w_q"]), np.einsum("btd,dk->btk", h, p["w_k"])
        v = np.einsum("btd,dv->btv", h, p["w_v"])
        return np.einsum("btv,vd->btd", attention(q, k, v, mask), p["w_o"])

    return around(around(x, look, _norm_1), lambda h: _think(h, p), _norm_2)


@right("encoder_block")
def layer_that_hides_who_asks_too(x, keep, params, attention, norm_first):
    mask = keep[:, :, None] & keep[:, None, :]

    def look(x, keep, p, attention):
        return attention(x @ p["w_q"], x @ p["w_k"], x @ p["w_v"], mask) @ p["w_o"]

    return _layer(x, keep, params, attention, norm_first, look=look) * keep[..., None]


@right("encoder_block")
def layer_with_names_given(x, keep, params, attention, norm_first):
    def look(x, keep, p, attention):
        q, k, v = np.split(x @ np.hstack([p["w_q"], p["w_k"], p["w_v"]]), _cuts(p), axis=-1)
        return attention(query=q, key=k, value=v, mask=keep.reshape(len(keep), 1, -1)) @ p["w_o"]

    return _layer(x, keep, params, attention, norm_first, look=look)


def _cuts(p):
    return [p["w_q"].shape[1], 2 * p["w_q"].shape[1]]


@right("encoder_block")
def layer_word_by_word(x, keep, params, attention, norm_first):
    def norm(word, which):
        away = word - np.mean(word)
        hat = away / math.sqrt(np.mean(away**2) + 1e-5)
        return hat * params[f"norm_{which}_w"] + params[f"norm_{which}_b"]

    def each(function, x):
        return np.array([[function(word) for word in sentence] for sentence in x])

    def think(word):
        inner = word @ params["inner_w"] + params["inner_b"]
        return np.where(inner > 0, inner, 0) @ params["outer_w"] + params["outer_b"]

    h = each(lambda word: norm(word, 1), x) if norm_first else x
    looked = x + _look(h, keep, params, attention)
    looked = looked if norm_first else each(lambda word: norm(word, 1), looked)
    if norm_first:
        return each(lambda word: word + think(norm(word, 2)), looked)
    return each(lambda word: norm(word + think(word), 2), looked)


# True and False of norm_first exchanged
@wrong("encoder_block", says="norm_first is turned round")
def norm_first_upside_down(x, keep, params, attention, norm_first):
    return _layer(x, keep, params, attention, not norm_first)


# always the paper's
@wrong("encoder_block", says="norm_first is turned round")
def always_norm_after(x, keep, params, attention, norm_first):
    return _layer(x, keep, params, attention, False)


# always norm first
@wrong("encoder_block", says="norm_first is turned round")
def always_norm_first(x, keep, params, attention, norm_first):
    return _layer(x, keep, params, attention, True)


# with norm first, the normed words are what is added
@wrong("encoder_block", says="the residual adds the *normed* x")
def residual_from_the_normed(x, keep, params, attention, norm_first):
    if not norm_first:
        return _layer(x, keep, params, attention, False)
    x = _norm_1(x, params)
    x = x + _look(x, keep, params, attention)
    x = _norm_2(x, params)
    return x + _think(x, params)


# the layer's input is added at the second sub-layer
@wrong("encoder_block", says="the second residual adds the layer's input")
def first_input_added_twice(x, keep, params, attention, norm_first):
    if norm_first:
        h = x + _look(_norm_1(x, params), keep, params, attention)
        return x + _think(_norm_2(h, params), params)
    h = _norm_1(x + _look(x, keep, params, attention), params)
    return _norm_2(x + _think(h, params), params)


# both sub-layers read the layer's input
@wrong("encoder_block", says="both sub-layers read the layer's input")
def side_by_side(x, keep, params, attention, norm_first):
    if norm_first:
        h = x + _look(_norm_1(x, params), keep, params, attention)
        return h + _think(_norm_2(x, params), params)
    h = _norm_1(x + _look(x, keep, params, attention), params)
    return _norm_2(h + _think(x, params), params)


# no residual around the look
@wrong("encoder_block", says="the first residual is missing")
def no_residual_around_the_look(x, keep, params, attention, norm_first):
    if norm_first:
        x = _look(_norm_1(x, params), keep, params, attention)
        return x + _think(_norm_2(x, params), params)
    x = _norm_1(_look(x, keep, params, attention), params)
    return _norm_2(x + _think(x, params), params)


# no residual around the network
@wrong("encoder_block", says="the second residual is missing")
def no_residual_around_the_network(x, keep, params, attention, norm_first):
    if norm_first:
        x = x + _look(_norm_1(x, params), keep, params, attention)
        return _think(_norm_2(x, params), params)
    x = _norm_1(x + _look(x, keep, params, attention), params)
    return _norm_2(_think(x, params), params)


# no residuals
@wrong("encoder_block", says="no residuals: what enters a sub-layer")
def no_residuals(x, keep, params, attention, norm_first):
    if norm_first:
        x = _look(_norm_1(x, params), keep, params, attention)
        return _think(_norm_2(x, params), params)
    x = _norm_1(_look(x, keep, params, attention), params)
    return _norm_2(_think(x, params), params)


# one residual around the whole layer
@wrong("encoder_block", says="one residual around the whole layer")
def one_residual_around_both(x, keep, params, attention, norm_first):
    if norm_first:
        h = _look(_norm_1(x, params), keep, params, attention)
        return x + _think(_norm_2(h, params), params)
    h = _norm_1(_look(x, keep, params, attention), params)
    return _norm_2(x + _think(h, params), params)


# the first norm is used twice
@wrong("encoder_block", says="the first norm's parameters are used")
def one_norm_for_both(x, keep, params, attention, norm_first):
    params = params | {name.replace("1", "2"): params[name] for name in ("norm_1_w", "norm_1_b")}
    return _layer(x, keep, params, attention, norm_first)


# the norms in the other order
@wrong("encoder_block", says="the parameters of the two norms")
def norms_exchanged(x, keep, params, attention, norm_first):
    swapped = {f"norm_{3 - n}_{k}": params[f"norm_{n}_{k}"] for n in (1, 2) for k in "wb"}
    return _layer(x, keep, params | swapped, attention, norm_first)


# only the second sub-layer has a norm
@wrong("encoder_block", says="the first norm is missing")
def one_norm_only(x, keep, params, attention, norm_first):
    if norm_first:
        x = x + _look(x, keep, params, attention)
        return x + _think(_norm_2(x, params), params)
    x = x + _look(x, keep, params, attention)
    return _norm_2(x + _think(x, params), params)


# the sub-layer's output is normed, then added
@wrong("encoder_block", says="what leaves the sub-layer is normed")
def norm_inside_the_residual(x, keep, params, attention, norm_first):
    if norm_first:
        return _layer(x, keep, params, attention, True)
    x = x + _norm_1(_look(x, keep, params, attention), params)
    return x + _norm_2(_think(x, params), params)


# with norm first, the query is normed and what is asked is not
@wrong("encoder_block", says="only the query was normed; key")
def only_the_query_normed(x, keep, params, attention, norm_first):
    if not norm_first:
        return _layer(x, keep, params, attention, False)
    q = _norm_1(x, params) @ params["w_q"]
    context = attention(q, x @ params["w_k"], x @ params["w_v"], keep[:, None])
    x = x + context @ params["w_o"]
    return x + _think(_norm_2(x, params), params)


# with norm first, one more norm at the end
@wrong("encoder_block", says="with norm_first nothing is normed after")
def one_norm_more(x, keep, params, attention, norm_first):
    out = _layer(x, keep, params, attention, norm_first)
    return _norm_2(out, params) if norm_first else out


# the mask belongs to those who ask
@wrong("encoder_block", says="the mask lies over the queries")
def mask_of_the_askers(x, keep, params, attention, norm_first):
    def look(x, keep, p, attention):
        return attention(x @ p["w_q"], x @ p["w_k"], x @ p["w_v"], keep[:, :, None]) @ p["w_o"]

    return _layer(x, keep, params, attention, norm_first, look=look)


# the mask upside down
@wrong("encoder_block", says="the mask is inverted: only padding")
def padding_looked_at(x, keep, params, attention, norm_first):
    return _layer(x, ~keep, params, attention, norm_first)


# no mask
@wrong("encoder_block", says="the mask is not used: real")
def padding_not_hidden(x, keep, params, attention, norm_first):
    return _layer(x, np.ones_like(keep), params, attention, norm_first)


# the decoder's triangle
@wrong("encoder_block", says="the decoder's triangle: words of the")
def with_a_triangle(x, keep, params, attention, norm_first):
    def look(x, keep, p, attention):
        mask = keep[:, None] & np.tri(x.shape[1], dtype=bool)
        return attention(x @ p["w_q"], x @ p["w_k"], x @ p["w_v"], mask) @ p["w_o"]

    return _layer(x, keep, params, attention, norm_first, look=look)


# the first sentence's padding for all
@wrong("encoder_block", says="the padding of the first sentence")
def padding_of_the_first_sentence(x, keep, params, attention, norm_first):
    keep = np.broadcast_to(keep[:1], keep.shape)
    return _layer(x, keep, params, attention, norm_first)


# padding is set to zero instead of hidden
@wrong("encoder_block", says="padding is set to zero, not")
def padding_set_to_zero(x, keep, params, attention, norm_first):
    x = x * keep[..., None]
    return _layer(x, np.ones_like(keep), params, attention, norm_first)


# the mask with two axes
@wrong("encoder_block", says="broadcast to (B,T,S) = (2, 4, 4), got bool (2, 4)")
def mask_with_two_axes(x, keep, params, attention, norm_first):
    def look(x, keep, p, attention):
        return attention(x @ p["w_q"], x @ p["w_k"], x @ p["w_v"], keep) @ p["w_o"]

    return _layer(x, keep, params, attention, norm_first, look=look)


# query and key exchanged
@wrong("encoder_block", says="w_q and w_k are exchanged")
def query_and_key_exchanged(x, keep, params, attention, norm_first):
    params = params | {"w_q": params["w_k"], "w_k": params["w_q"]}
    return _layer(x, keep, params, attention, norm_first)


# W_O is forgotten
@wrong("encoder_block", says="could not be broadcast together with shapes (2,4,3) (2,4,4)")
def output_projection_forgotten(x, keep, params, attention, norm_first):
    def look(x, keep, p, attention):
        return attention(x @ p["w_q"], x @ p["w_k"], x @ p["w_v"], keep[:, None])

    return _layer(x, keep, params, attention, norm_first, look=look)


# no max(0, ·)
@wrong("encoder_block", says="max(0, ·) between the two layers")
def network_without_relu(x, keep, params, attention, norm_first):
    def think(x, p):
        return (x @ p["inner_w"] + p["inner_b"]) @ p["outer_w"] + p["outer_b"]

    return _layer(x, keep, params, attention, norm_first, think=think)


# max(0, ·) at the end
@wrong("encoder_block", says="max(0, ·) belongs between the two")
def relu_at_the_end(x, keep, params, attention, norm_first):
    def think(x, p):
        return np.maximum(0, (x @ p["inner_w"] + p["inner_b"]) @ p["outer_w"] + p["outer_b"])

    return _layer(x, keep, params, attention, norm_first, think=think)


# max(0, ·) after both
@wrong("encoder_block", says="max(0, ·) belongs between the two")
def relu_twice(x, keep, params, attention, norm_first):
    def think(x, p):
        return np.maximum(0, _think(x, p))

    return _layer(x, keep, params, attention, norm_first, think=think)


# max(0, ·) before the shift
@wrong("encoder_block", says="max(0, ·) comes before inner_b is")
def relu_before_the_shift(x, keep, params, attention, norm_first):
    def think(x, p):
        return (np.maximum(0, x @ p["inner_w"]) + p["inner_b"]) @ p["outer_w"] + p["outer_b"]

    return _layer(x, keep, params, attention, norm_first, think=think)


# GELU
@wrong("encoder_block", says="another bend than max(0, ·)")
def gelu_for_relu(x, keep, params, attention, norm_first):
    def think(x, p):
        h = x @ p["inner_w"] + p["inner_b"]
        h = h * 0.5 * (1 + np.vectorize(math.erf)(h / math.sqrt(2)))
        return h @ p["outer_w"] + p["outer_b"]

    return _layer(x, keep, params, attention, norm_first, think=think)


# tanh
@wrong("encoder_block", says="another bend than max(0, ·)")
def tanh_for_relu(x, keep, params, attention, norm_first):
    def think(x, p):
        return np.tanh(x @ p["inner_w"] + p["inner_b"]) @ p["outer_w"] + p["outer_b"]

    return _layer(x, keep, params, attention, norm_first, think=think)


# the inner shift is forgotten
@wrong("encoder_block", says="inner_b is not added")
def inner_shift_forgotten(x, keep, params, attention, norm_first):
    params = params | {"inner_b": np.zeros_like(params["inner_b"])}
    return _layer(x, keep, params, attention, norm_first)


# the outer shift is forgotten
@wrong("encoder_block", says="outer_b is not added")
def outer_shift_forgotten(x, keep, params, attention, norm_first):
    params = params | {"outer_b": np.zeros_like(params["outer_b"])}
    return _layer(x, keep, params, attention, norm_first)


# the norms' shifts are forgotten
@wrong("encoder_block", says="the norms' shifts, norm_1_b and norm_2_b")
def shifts_of_the_norms_forgotten(x, keep, params, attention, norm_first):
    zeros = np.zeros_like(params["norm_1_b"])
    params = params | {"norm_1_b": zeros, "norm_2_b": zeros}
    return _layer(x, keep, params, attention, norm_first)


# the norms' scales are forgotten
@wrong("encoder_block", says="the norms' scales, norm_1_w and norm_2_w")
def scales_of_the_norms_forgotten(x, keep, params, attention, norm_first):
    ones = np.ones_like(params["norm_1_w"])
    params = params | {"norm_1_w": ones, "norm_2_w": ones}
    return _layer(x, keep, params, attention, norm_first)


def _with_norms(x, keep, p, attention, norm_first, norm):
    """The layer with another norm."""

    def norm_1(x):
        return norm(x) * p["norm_1_w"] + p["norm_1_b"]

    def norm_2(x):
        return norm(x) * p["norm_2_w"] + p["norm_2_b"]

    if norm_first:
        x = x + _look(norm_1(x), keep, p, attention)
        return x + _think(norm_2(x), p)
    x = norm_1(x + _look(x, keep, p, attention))
    return norm_2(x + _think(x, p))


# D − 1 in the norms
@wrong("encoder_block", says="the variance of a norm is")
def norms_by_d_minus_one(x, keep, params, attention, norm_first):
    def norm(x):
        return _normed(x, 1e-5, ddof=1)[0]

    return _with_norms(x, keep, params, attention, norm_first, norm)


# mean and variance over the whole sentence
@wrong("encoder_block", says="a norm goes over a whole")
def norms_over_the_sentence(x, keep, params, attention, norm_first):
    def norm(x):
        var = x.var(axis=(1, 2), keepdims=True)
        return (x - x.mean(axis=(1, 2), keepdims=True)) / np.sqrt(var + 1e-5)

    return _with_norms(x, keep, params, attention, norm_first, norm)


# a batch norm
@wrong("encoder_block", says="a norm goes over the words")
def norms_over_the_batch(x, keep, params, attention, norm_first):
    def norm(x):
        return (x - x.mean(axis=(0, 1))) / np.sqrt(x.var(axis=(0, 1)) + 1e-5)

    return _with_norms(x, keep, params, attention, norm_first, norm)


# ε beside the root
@wrong("encoder_block", says="the norm's ε stands outside the")
def norms_with_epsilon_beside_the_root(x, keep, params, attention, norm_first):
    def norm(x):
        return (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + 1e-5)

    return _with_norms(x, keep, params, attention, norm_first, norm)


# no ε
@wrong("encoder_block", says="the norm's ε is not 1e-5")
def norms_without_epsilon(x, keep, params, attention, norm_first):
    def norm(x):
        with np.errstate(all="ignore"):
            return _normed(x, 0)[0]

    return _with_norms(x, keep, params, attention, norm_first, norm)


# the network first
@wrong("encoder_block", says="the feed-forward network comes before the")
def network_before_the_look(x, keep, params, attention, norm_first):
    if norm_first:
        x = x + _think(_norm_2(x, params), params)
        return x + _look(_norm_1(x, params), keep, params, attention)
    x = _norm_2(x + _think(x, params), params)
    return _norm_1(x + _look(x, keep, params, attention), params)


# x itself is added to
@wrong("encoder_block", says="an assignment into x, like `x[…]")
def adds_to_the_callers_x(x, keep, params, attention, norm_first):
    if norm_first:
        x += _look(_norm_1(x, params), keep, params, attention)
        x += _think(_norm_2(x, params), params)
        return x
    x += _look(x, keep, params, attention)
    x = _norm_1(x, params)
    return _norm_2(x + _think(x, params), params)


# ---------------------------------------------------------------- 5.8 step_with_cache


def _attention(query, key, value, mask):
    scores = np.where(mask, query @ key.swapaxes(1, 2) / np.sqrt(query.shape[-1]), -np.inf)
    largest = scores.max(axis=-1, keepdims=True)
    powers = np.exp(scores - np.where(np.isinf(largest), 0, largest))
    return powers / np.maximum(powers.sum(axis=-1, keepdims=True), 1e-300) @ value


def _cross(h, memory, keep, params):
    key, value = memory @ params["cross_k"], memory @ params["cross_v"]
    return _attention(h @ params["cross_q"], key, value, keep[:, None])


_ALL = np.ones((1, 1, 1), dtype=bool)


def _step(x, keys, values, memory, keep, params, place=None, axis=1, cross=_cross):
    """The step with another place, another axis to append at, or another look at the source."""
    place = keys.shape[1] if place is None else place
    h = (x + sinusoidal_positions(place + 1, x.shape[-1])[place])[:, None]
    keys = np.concatenate([keys, h @ params["w_k"]], axis=axis)
    values = np.concatenate([values, h @ params["w_v"]], axis=axis)
    h = h + _attention(h @ params["w_q"], keys, values, _ALL)
    return (h + cross(h, memory, keep, params))[:, 0], keys, values


@right("step_with_cache")
def step_like_the_whole(x, keys, values, memory, keep, params):
    t, size = keys.shape[1], x.shape[-1]
    h = x[:, None] + sinusoidal_positions(t + 1, size)[t:]
    keys = np.concatenate([keys, h @ params["w_k"]], axis=1)
    values = np.concatenate([values, h @ params["w_v"]], axis=1)
    h = h + _attention(h @ params["w_q"], keys, values, np.ones((1, 1, t + 1), dtype=bool))
    source = memory @ params["cross_k"], memory @ params["cross_v"]
    h = h + _attention(h @ params["cross_q"], *source, keep[:, None])
    return h[:, 0], keys, values


@right("step_with_cache")
def step_sentence_by_sentence(x, keys, values, memory, keep, params):
    rows, all_keys, all_values = [], [], []
    for b in range(len(x)):
        t, D = len(keys[b]), len(x[b])
        angles = t / 10000 ** (np.arange(0, D, 2) / D)
        h = x[b] + np.stack([np.sin(angles), np.cos(angles)], axis=1).ravel()
        all_keys.append(np.array([*keys[b], h @ params["w_k"]]))
        all_values.append(np.array([*values[b], h @ params["w_v"]]))
        root = math.sqrt(params["w_q"].shape[1])
        h = h + _softmax(all_keys[-1] @ (h @ params["w_q"]) / root) @ all_values[-1]
        words = memory[b][keep[b]]
        weights = _softmax((words @ params["cross_k"]) @ (h @ params["cross_q"]) / root)
        rows.append(h + weights @ words @ params["cross_v"])
    return np.array(rows), np.array(all_keys), np.array(all_values)


@right("step_with_cache")
def step_without_the_axis(x, keys, values, memory, keep, params):
    B, t, d_k = keys.shape
    h = x + sinusoidal_positions(t + 1, x.shape[1])[-1]
    keys = np.append(keys, (h @ params["w_k"]).reshape(B, 1, d_k), axis=1)
    values = np.append(values, (h @ params["w_v"]).reshape(B, 1, -1), axis=1)
    weights = _softmax(np.einsum("bk,btk->bt", h @ params["w_q"], keys) / d_k**0.5)
    h = h + np.einsum("bt,btd->bd", weights, values)
    asked = h @ params["cross_q"] @ params["cross_k"].T  # (B,D)
    scores = np.einsum("bd,bsd->bs", asked, memory) / d_k**0.5
    weights = _softmax(np.where(keep, scores, -1e30))
    mixed = np.einsum("bs,bsd->bd", weights, memory)
    return [h + mixed @ params["cross_v"], keys, values]


@right("step_with_cache")
def step_by_torch(x, keys, values, memory, keep, params):
    import torch
    from torch.nn.functional import scaled_dot_product_attention as sdpa

    p = {name: torch.tensor(np.array(array)) for name, array in params.items()}
    t = keys.shape[1]
    places = torch.tensor(np.array(sinusoidal_positions(t + 1, x.shape[1])))
    h = (torch.tensor(np.array(x)) + places[t]).unsqueeze(1)
    keys = torch.cat([torch.tensor(np.array(keys)), h @ p["w_k"]], dim=1)
    values = torch.cat([torch.tensor(np.array(values)), h @ p["w_v"]], dim=1)
    h = h + sdpa(h @ p["w_q"], keys, values)
    source = torch.tensor(np.array(memory))
    mask = torch.tensor(np.array(keep)).unsqueeze(1)
    h = h + sdpa(h @ p["cross_q"], source @ p["cross_k"], source @ p["cross_v"], attn_mask=mask)
    return h.squeeze(1).numpy(), keys.numpy(), values.numpy()


# each word believes that it is the first
@wrong("step_with_cache", says="every step takes the place 0")
def always_place_zero(x, keys, values, memory, keep, params):
    return _step(x, keys, values, memory, keep, params, place=0)


# counted from 1
@wrong("step_with_cache", says="the place is one too large")
def place_from_one(x, keys, values, memory, keep, params):
    return _step(x, keys, values, memory, keep, params, place=keys.shape[1] + 1)


# one place too early
@wrong("step_with_cache", says="the place is one too small")
def place_one_too_early(x, keys, values, memory, keep, params):
    return _step(x, keys, values, memory, keep, params, place=max(keys.shape[1] - 1, 0))


# len() counts the sentences
@wrong("step_with_cache", says="the place is the number of")
def place_is_the_batch_size(x, keys, values, memory, keep, params):
    return _step(x, keys, values, memory, keep, params, place=len(keys))


# the number of d_k
@wrong("step_with_cache", says="the place is d_k; the axis")
def place_is_the_key_size(x, keys, values, memory, keep, params):
    return _step(x, keys, values, memory, keep, params, place=keys.shape[-1])


# the length of the source
@wrong("step_with_cache", says="the place is the length of")
def place_is_the_source_length(x, keys, values, memory, keep, params):
    return _step(x, keys, values, memory, keep, params, place=memory.shape[1])


# places row b for sentence b
@wrong("step_with_cache", says="sentence b gets place b; all")
def places_of_the_sentences(x, keys, values, memory, keep, params):
    x = x + sinusoidal_positions(*x.shape) - sinusoidal_positions(1, x.shape[1])
    return _step(x, keys, values, memory, keep, params, place=0)


# no place
@wrong("step_with_cache", says="no place is added to x")
def place_not_added(x, keys, values, memory, keep, params):
    x = x - sinusoidal_positions(keys.shape[1] + 1, x.shape[1])[-1]
    return _step(x, keys, values, memory, keep, params)


# the keys and values come from the word without its place
@wrong("step_with_cache", says="the key and the value are")
def cache_without_places(x, keys, values, memory, keep, params):
    t = keys.shape[1]
    h = (x + sinusoidal_positions(t + 1, x.shape[-1])[t])[:, None]
    keys = np.concatenate([keys, x[:, None] @ params["w_k"]], axis=1)
    values = np.concatenate([values, x[:, None] @ params["w_v"]], axis=1)
    h = h + _attention(h @ params["w_q"], keys, values, _ALL)
    return (h + _cross(h, memory, keep, params))[:, 0], keys, values


# the new word is not among those looked at
@wrong("step_with_cache", says="the word does not see itself")
def not_among_those_asked(x, keys, values, memory, keep, params):
    t = keys.shape[1]
    h = (x + sinusoidal_positions(t + 1, x.shape[-1])[t])[:, None]
    new_keys = np.concatenate([keys, h @ params["w_k"]], axis=1)
    new_values = np.concatenate([values, h @ params["w_v"]], axis=1)
    if t:
        h = h + _attention(h @ params["w_q"], keys, values, _ALL)
    return (h + _cross(h, memory, keep, params))[:, 0], new_keys, new_values


# the new word looks at itself only
@wrong("step_with_cache", says="the word sees itself alone; the")
def looks_at_itself_only(x, keys, values, memory, keep, params):
    t = keys.shape[1]
    h = (x + sinusoidal_positions(t + 1, x.shape[-1])[t])[:, None]
    key, value = h @ params["w_k"], h @ params["w_v"]
    h = h + _attention(h @ params["w_q"], key, value, _ALL)
    y = (h + _cross(h, memory, keep, params))[:, 0]
    return y, np.concatenate([keys, key], axis=1), np.concatenate([values, value], axis=1)


# a triangle at the top left: the only row sees the oldest word
@wrong("step_with_cache", says="the word sees the oldest word")
def triangle_of_one_row(x, keys, values, memory, keep, params):
    t = keys.shape[1]
    h = (x + sinusoidal_positions(t + 1, x.shape[-1])[t])[:, None]
    keys = np.concatenate([keys, h @ params["w_k"]], axis=1)
    values = np.concatenate([values, h @ params["w_v"]], axis=1)
    h = h + _attention(h @ params["w_q"], keys, values, np.tri(1, t + 1, dtype=bool)[None])
    return (h + _cross(h, memory, keep, params))[:, 0], keys, values


# the new word is put in front
@wrong("step_with_cache", says="the newest word was put in")
def put_in_front(x, keys, values, memory, keep, params):
    t = keys.shape[1]
    y, keys, values = _step(x, keys, values, memory, keep, params)
    order = [t, *range(t)]
    return y, keys[:, order], values[:, order]


# only the new keys and values are returned
@wrong("step_with_cache", says="the past is gone: append to")
def only_the_new_returned(x, keys, values, memory, keep, params):
    y, keys, values = _step(x, keys, values, memory, keep, params)
    return y, keys[:, -1:], values[:, -1:]


# the old keys and values are returned
@wrong("step_with_cache", says="the newest word is not in")
def the_old_returned(x, keys, values, memory, keep, params):
    return _step(x, keys, values, memory, keep, params)[0], keys, values


# keys grow, values do not
@wrong("step_with_cache", says="keys and values are exchanged")
def values_and_keys_exchanged(x, keys, values, memory, keep, params):
    y, keys, values = _step(x, keys, values, memory, keep, params)
    return y, values, keys


# the newest word's row keeps its axis
@wrong("step_with_cache", says="one word a sentence: there is")
def axis_left_on(x, keys, values, memory, keep, params):
    y, keys, values = _step(x, keys, values, memory, keep, params)
    return y[:, None], keys, values


# the past of the sentence before
@wrong("step_with_cache", says="a sentence looks at another sentence's")
def past_of_another_sentence(x, keys, values, memory, keep, params):
    y, _, _ = _step(x, np.roll(keys, 1, axis=0), np.roll(values, 1, axis=0), memory, keep, params)
    return y, *_step(x, keys, values, memory, keep, params)[1:]


# concatenated along the batch
@wrong("step_with_cache", says="array dimensions except for the concatenation axis")
def appended_as_sentences(x, keys, values, memory, keep, params):
    return _step(x, keys, values, memory, keep, params, axis=0)


# only the last few words are kept
@wrong("step_with_cache", says="only the last words are looked")
def only_two_words_kept(x, keys, values, memory, keep, params):
    t = keys.shape[1]
    _, new_keys, new_values = _step(x, keys, values, memory, keep, params)
    h = (x + sinusoidal_positions(t + 1, x.shape[-1])[t])[:, None]
    h = h + _attention(h @ params["w_q"], new_keys[:, -2:], new_values[:, -2:], _ALL)
    return (h + _cross(h, memory, keep, params))[:, 0], new_keys, new_values


# the words, not their keys, are kept
@wrong("step_with_cache", says="w_v is not used: words are")
def values_not_projected(x, keys, values, memory, keep, params):
    params = params | {"w_v": np.eye(x.shape[1])}
    return _step(x, keys, values, memory, keep, params)


# no residual around the look back
@wrong("step_with_cache", says="what enters the look back must")
def no_residual_around_the_look_back(x, keys, values, memory, keep, params):
    t = keys.shape[1]
    h = (x + sinusoidal_positions(t + 1, x.shape[-1])[t])[:, None]
    keys = np.concatenate([keys, h @ params["w_k"]], axis=1)
    values = np.concatenate([values, h @ params["w_v"]], axis=1)
    h = _attention(h @ params["w_q"], keys, values, _ALL)
    return (h + _cross(h, memory, keep, params))[:, 0], keys, values


# no residual around the look at the source
@wrong("step_with_cache", says="what enters the look at the")
def no_residual_around_the_source(x, keys, values, memory, keep, params):
    def cross(h, memory, keep, params):
        return _cross(h, memory, keep, params) - h

    return _step(x, keys, values, memory, keep, params, cross=cross)


# no look at the source
@wrong("step_with_cache", says="the look at the source is")
def source_not_looked_at(x, keys, values, memory, keep, params):
    return _step(x, keys, values, memory, keep, params, cross=lambda h, *rest: 0 * h)


# the source is asked by the word as it was before the look back
@wrong("step_with_cache", says="the query at the source was")
def source_asked_by_the_word_before(x, keys, values, memory, keep, params):
    t = keys.shape[1]
    before = (x + sinusoidal_positions(t + 1, x.shape[-1])[t])[:, None]

    def cross(h, memory, keep, params):
        return _cross(before, memory, keep, params)

    return _step(x, keys, values, memory, keep, params, cross=cross)


# the source's padding is looked at
@wrong("step_with_cache", says="keep is not used: the word")
def source_padding_looked_at(x, keys, values, memory, keep, params):
    return _step(x, keys, values, memory, np.ones_like(keep), params)


# the source's mask upside down
@wrong("step_with_cache", says="keep is turned round: the word")
def source_mask_upside_down(x, keys, values, memory, keep, params):
    return _step(x, keys, values, memory, ~keep, params)


# the mask of the first sentence for all
@wrong("step_with_cache", says="the padding of the first source")
def mask_of_the_first_sentence(x, keys, values, memory, keep, params):
    keep = np.broadcast_to(keep[:1], keep.shape)
    return _step(x, keys, values, memory, keep, params)


# the look back's projections for the source
@wrong("step_with_cache", says="w_q, w_k and w_v are used")
def own_projections_for_the_source(x, keys, values, memory, keep, params):
    same = {"cross_q": params["w_q"], "cross_k": params["w_k"], "cross_v": params["w_v"]}
    return _step(x, keys, values, memory, keep, params | same)


# the source's places are added to the memory
@wrong("step_with_cache", says="places are added to memory; the")
def places_added_to_the_memory(x, keys, values, memory, keep, params):
    memory = memory + sinusoidal_positions(*memory.shape[1:])
    return _step(x, keys, values, memory, keep, params)


# the scale is the root of D
@wrong("step_with_cache", says="the scale is 1/√D; a score")
def scaled_by_the_model_size(x, keys, values, memory, keep, params):
    ratio = math.sqrt(params["w_q"].shape[1] / x.shape[1])
    params = params | {name: params[name] * ratio for name in ("w_q", "cross_q")}
    return _step(x, keys, values, memory, keep, params)


# no scale
@wrong("step_with_cache", says="the scale 1/√d_k is missing")
def step_without_scale(x, keys, values, memory, keep, params):
    root = math.sqrt(params["w_q"].shape[1])
    params = params | {name: params[name] * root for name in ("w_q", "cross_q")}
    return _step(x, keys, values, memory, keep, params)


# the place is added to the caller's x
@wrong("step_with_cache", says="an assignment into x, like `x[…]")
def adds_the_place_to_the_callers_x(x, keys, values, memory, keep, params):
    place = sinusoidal_positions(keys.shape[1] + 1, x.shape[1])[-1]
    before = x.copy()
    x += place
    return _step(before, keys, values, memory, keep, params)


# the first sentence alone
@wrong("step_with_cache", says="only the first sentence is there")
def step_of_the_first_sentence(x, keys, values, memory, keep, params):
    y, keys, values = _step(x[:1], keys[:1], values[:1], memory[:1], keep[:1], params)
    return y, keys, values


# ---------------------------------------------------------------- 5.9 fix_the_post


def _moves(one, other, bound=1e-8):
    return bool(np.abs(np.asarray(one) - np.asarray(other)).max(initial=0) > bound)


def _orders(rng, T, tries=8):
    return [rng.permutation(T) for _ in range(tries)]


@right("fix_the_post")
def four_experiments(layer, x):
    B, T, D = x.shape
    rng = np.random.default_rng(1)
    y = layer(x.copy())
    blind = all(not _moves(layer(x[:, order]), y[:, order]) for order in _orders(rng, T, 10))
    mixes = future = couples = False
    for b in range(B):
        for t in range(T):
            for _ in range(3):
                other = x.copy()
                other[b, t] = rng.standard_normal(D) * 3
                moved = np.abs(layer(other) - y).max(axis=-1) > 1e-8  # (B,T)
                same = moved[b].copy()
                future = future or bool(same[:t].any())
                same[t] = False
                mixes = mixes or bool(same.any())
                moved[b] = False
                couples = couples or bool(moved.any())
    return {
        "order_blind": blind,
        "mixes_words": mixes,
        "sees_the_future": future,
        "couples_the_batch": couples,
    }


@right("fix_the_post")
def a_table_of_who_moves_whom(layer, x):
    B, T, D = x.shape
    rng = np.random.default_rng(2)
    table = np.zeros((B, T, B, T))
    start = np.asarray(layer(np.array(x)))
    for b, t in np.ndindex(B, T):
        for scale in (0.3, 1.0, 4.0):
            changed = np.array(x)
            changed[b, t] = scale * rng.standard_normal(D)
            table[b, t] = np.maximum(table[b, t], np.abs(layer(changed) - start).max(axis=-1))
    moved = table > 3e-7
    within = np.einsum("btbs->bts", moved)
    swaps = []
    for i in range(T):
        for j in range(i):
            order = np.arange(T)
            order[[i, j]] = order[[j, i]]
            swaps.append(np.abs(layer(x[:, order])[:, order] - start).max())
    answer = dict(
        order_blind=max(swaps) < 3e-7, mixes_words=(within & ~np.eye(T, dtype=bool)).any()
    )
    answer["sees_the_future"] = np.tril(within, -1).any()
    answer["couples_the_batch"] = (moved.any(axis=(1, 3)) & ~np.eye(B, dtype=bool)).any()
    return {name: bool(value) for name, value in answer.items()}


@right("fix_the_post")
def helper_for_each_question(layer, x):
    rng = np.random.default_rng(3)
    B, T, _ = x.shape
    y = layer(x)

    def with_others(b, places):
        other = x.copy()
        other[b, places] = rng.normal(1.0, 2.0, other[b, places].shape)
        return layer(other)

    def order_blind():
        for _ in range(12):
            order = rng.permutation(T)
            back = np.argsort(order)
            if not np.allclose(layer(x[:, order])[:, back], y, rtol=0, atol=1e-7):
                return False
        return True

    def mixes_words():
        rows = [(b, t) for b in range(B) for t in range(T) for _ in range(2)]
        return any(_moves(np.delete(with_others(b, t)[b] - y[b], t, axis=0), 0) for b, t in rows)

    def sees_the_future():
        cuts = [(b, t) for b in range(B) for t in range(1, T) for _ in range(3)]
        return any(_moves(with_others(b, t)[b, :t], y[b, :t]) for b, t in cuts)

    def couples_the_batch():
        tries = [b for b in range(B) for _ in range(5)]
        return any(
            _moves(np.delete(with_others(b, slice(None)), b, axis=0), np.delete(y, b, axis=0))
            for b in tries
        )

    probes = order_blind, mixes_words, sees_the_future, couples_the_batch
    return {probe.__name__: probe() for probe in probes}


@right("fix_the_post")
def sums_of_rows(layer, x):
    B, T, D = x.shape
    rng = np.random.default_rng(4)
    words = rng.uniform(-3, 3, (4, D))
    y, result = layer(x), {"order_blind": True}
    for k in range(2 * T):
        order = np.roll(np.arange(T), k) if k < T else rng.permutation(T)
        if np.abs(layer(np.take(x, order, axis=1)) - np.take(y, order, axis=1)).sum() > 1e-6:
            result["order_blind"] = False
    seen = set()
    for word in words:
        for b in range(B):
            for t in range(T):
                other = np.where((np.indices((B, T)) == [[[b]], [[t]]]).all(0)[..., None], word, x)
                for c, s in zip(*np.nonzero(np.abs(layer(other) - y).sum(-1) > 1e-7), strict=True):
                    seen.add((b == c, np.sign(s - t)))
    result["mixes_words"] = (True, 1) in seen or (True, -1) in seen
    result["sees_the_future"] = (True, -1) in seen
    result["couples_the_batch"] = any(not same for same, _ in seen)
    return result


@right("fix_the_post")
def each_sentence_alone(layer, x):
    y = layer(x)
    alone = np.concatenate([layer(sentence[None]) for sentence in x])
    found = four_experiments(layer, x)
    found["couples_the_batch"] = not np.allclose(alone, y, rtol=0, atol=1e-9)
    return found


def _probe(layer, x, **instead):
    """A right answer with some entries replaced."""
    return four_experiments(layer, x) | instead


# the words are only put in reverse
@wrong("fix_the_post", says="only the reversed order was tried")
def reverse_only(layer, x):
    return _probe(layer, x, order_blind=not _moves(layer(x[:, ::-1]), layer(x)[:, ::-1]))


# only the first two words are exchanged
@wrong("fix_the_post", says="only one exchange was tried, of")
def one_exchange_only(layer, x):
    order = [1, 0, *range(2, x.shape[1])]
    return _probe(layer, x, order_blind=not _moves(layer(x[:, order]), layer(x)[:, order]))


# only the words are turned in a circle
@wrong("fix_the_post", says="only a rotated or a reversed")
def circle_only(layer, x):
    blind = all(
        not _moves(layer(np.roll(x, k, axis=1)), np.roll(layer(x), k, axis=1))
        for k in range(x.shape[1])
    )
    return _probe(layer, x, order_blind=blind)


# the result is not put into the new order
@wrong("fix_the_post", says="the rows of the one are")
def result_not_put_in_order(layer, x):
    orders = _orders(np.random.default_rng(0), x.shape[1])
    return _probe(layer, x, order_blind=all(not _moves(layer(x[:, o]), layer(x)) for o in orders))


# put into the new order twice instead of back
@wrong("fix_the_post", says="the rows of the one are")
def put_in_order_twice(layer, x):
    orders = _orders(np.random.default_rng(0), x.shape[1])
    blind = all(not _moves(layer(x[:, o])[:, o], layer(x)) for o in orders)
    return _probe(layer, x, order_blind=blind)


# one order is enough
@wrong("fix_the_post", says="one order that fits was enough")
def any_order_for_all(layer, x):
    y, T = layer(x), x.shape[1]
    orders = [np.arange(T), *_orders(np.random.default_rng(0), T)]
    blind = any(not _moves(layer(x[:, o]), y[:, o]) for o in orders)
    return _probe(layer, x, order_blind=blind)


# sentences are put in another order instead of words
@wrong("fix_the_post", says="one order that fits was enough")
def sentences_in_another_order(layer, x):
    orders = _orders(np.random.default_rng(0), len(x))
    return _probe(layer, x, order_blind=all(not _moves(layer(x[o]), layer(x)[o]) for o in orders))


# exactly equal, or not
@wrong("fix_the_post", says="exact equality: sums in another order")
def exactly_equal(layer, x):
    y = layer(x)
    orders = _orders(np.random.default_rng(0), x.shape[1])
    return _probe(layer, x, order_blind=all((layer(x[:, o]) == y[:, o]).all() for o in orders))


# a bound that is too large
@wrong("fix_the_post", says="a tolerance so wide that a")
def bound_too_large(layer, x):
    B, T, D = x.shape
    rng = np.random.default_rng(0)
    y = layer(x)
    blind = all(not _moves(layer(x[:, o]), y[:, o], 1e-2) for o in _orders(rng, T))
    pairs = [(b, t, rng.standard_normal(D) * 3) for b in range(B) for t in range(T)]
    mixes = future = couples = False
    for b, t, word in pairs:
        other = x.copy()
        other[b, t] = word
        moved = np.abs(layer(other) - y).max(-1) > 1e-2
        future |= bool(moved[b, :t].any())
        mixes |= bool(np.delete(moved[b], t).any())
        couples |= bool(np.delete(moved, b, axis=0).any())
    return dict(
        order_blind=blind, mixes_words=mixes, sees_the_future=future, couples_the_batch=couples
    )


def _moved_by(layer, x, b, t, word):
    other = x.copy()
    other[b, t] = word
    return np.abs(layer(other) - layer(x)).max(axis=-1) > 1e-8


def _words(x, n=3):
    return np.random.default_rng(5).standard_normal((n, x.shape[-1])) * 3


def _mixes(layer, x, places, words):
    return any(
        np.delete(_moved_by(layer, x, b, t, word)[b], t).any()
        for b in range(len(x))
        for t in places
        for word in words
    )


def _future(layer, x, places, words):
    return any(
        _moved_by(layer, x, b, t, word)[b, :t].any()
        for b in range(len(x))
        for t in places
        for word in words
    )


def _couples(layer, x, pairs, words):
    moved = False
    for b, c in pairs:
        for word in words:
            moved |= bool(_moved_by(layer, x, b, slice(None), word)[c].any())
    return moved


# only the first word is exchanged
@wrong("fix_the_post", says="not every place was tried: here")
def mixing_seen_from_the_first_word(layer, x):
    return _probe(layer, x, mixes_words=bool(_mixes(layer, x, [0], _words(x))))


# only the last word is exchanged: a causal layer seems not to mix
@wrong("fix_the_post", says="only the last word was changed, which")
def mixing_seen_from_the_last_word(layer, x):
    return _probe(layer, x, mixes_words=bool(_mixes(layer, x, [-1], _words(x))))


# the exchanged word's own row counts
@wrong("fix_the_post", says="the row of the changed word")
def own_row_counts_as_mixing(layer, x):
    mixes = any(_moved_by(layer, x, 0, t, w).any() for t in range(x.shape[1]) for w in _words(x))
    return _probe(layer, x, mixes_words=mixes)


# only neighbours are looked at
@wrong("fix_the_post", says="not every place was tried: here")
def mixing_of_neighbours(layer, x):
    mixes = any(
        _moved_by(layer, x, b, t, w)[b, s]
        for b in range(len(x))
        for t, s in [*pairwise(range(x.shape[1])), *pairwise(range(x.shape[1])[::-1])]
        for w in _words(x)
    )
    return _probe(layer, x, mixes_words=bool(mixes))


# all words are exchanged in all sentences, and only what is seen of other sentences tells
@wrong("fix_the_post", says="the word was changed in all")
def exchanged_in_all_sentences(layer, x):
    T, y, mixes, future = x.shape[1], layer(x), False, False
    for t in range(T):
        for word in _words(x):
            other = x.copy()
            other[:, t] = word
            moved = np.abs(layer(other) - y).max(axis=(0, 2)) > 1e-8
            mixes |= bool(np.delete(moved, t).any())
            future |= bool(moved[:t].any())
    return _probe(layer, x, mixes_words=mixes, sees_the_future=future)


# only the last word is exchanged
@wrong("fix_the_post", says="only the last word was changed; here")
def future_seen_from_the_last_word(layer, x):
    return _probe(layer, x, sees_the_future=bool(_future(layer, x, [x.shape[1] - 1], _words(x))))


# only the first row is looked at
@wrong("fix_the_post", says="not every row was compared: only")
def future_of_the_first_row(layer, x):
    future = any(
        _moved_by(layer, x, b, t, w)[b, 0]
        for b in range(len(x))
        for t in range(1, x.shape[1])
        for w in _words(x)
    )
    return _probe(layer, x, sees_the_future=bool(future))


# only the next word
@wrong("fix_the_post", says="not every place was tried: here")
def future_of_the_next_word(layer, x):
    future = any(
        _moved_by(layer, x, b, t, w)[b, t - 1]
        for b in range(len(x))
        for t in range(1, x.shape[1])
        for w in _words(x)
    )
    return _probe(layer, x, sees_the_future=bool(future))


# the word's own row counts as earlier
@wrong("fix_the_post", says="row t itself was compared; the")
def own_row_counts_as_earlier(layer, x):
    future = any(
        _moved_by(layer, x, 0, t, w)[0, : t + 1].any() for t in range(x.shape[1]) for w in _words(x)
    )
    return _probe(layer, x, sees_the_future=bool(future))


# later rows for earlier rows
@wrong("fix_the_post", says="later rows were compared; those *before*")
def later_rows_for_earlier(layer, x):
    future = any(
        _moved_by(layer, x, b, t, w)[b, t + 1 :].any()
        for b in range(len(x))
        for t in range(x.shape[1])
        for w in _words(x)
    )
    return _probe(layer, x, sees_the_future=bool(future))


# the sentence is cut short instead of its words exchanged: a length is not a word
@wrong("fix_the_post", says="the sentence was cut short: that")
def future_by_cutting_short(layer, x):
    y = layer(x)
    future = any(_moves(layer(x[:, :t]), y[:, :t]) for t in range(1, x.shape[1]))
    return _probe(layer, x, sees_the_future=future)


# the future is all that mixes
@wrong("fix_the_post", says="later rows were compared; those *before*")
def future_is_mixing(layer, x):
    found = four_experiments(layer, x)
    return found | {"sees_the_future": found["mixes_words"]}


# only the first sentence is moved
@wrong("fix_the_post", says="not every pair of sentences was")
def coupling_from_the_first_sentence(layer, x):
    pairs = [(0, c) for c in range(1, len(x))]
    return _probe(layer, x, couples_the_batch=_couples(layer, x, pairs, _words(x)))


# only the first sentence is looked at
@wrong("fix_the_post", says="not every pair of sentences was")
def coupling_into_the_first_sentence(layer, x):
    pairs = [(b, 0) for b in range(1, len(x))]
    return _probe(layer, x, couples_the_batch=_couples(layer, x, pairs, _words(x)))


# only the second sentence is exchanged, only the first looked at
@wrong("fix_the_post", says="not every pair of sentences was")
def coupling_of_two_sentences(layer, x):
    return _probe(layer, x, couples_the_batch=_couples(layer, x, [(1, 0)], _words(x)))


# the sentence's own rows count
@wrong("fix_the_post", says="the rows of the changed sentence")
def own_sentence_counts_as_another(layer, x):
    y = layer(x)
    couples = any(
        _moves(layer(np.where(np.arange(len(x))[:, None, None] == b, w, x)), y)
        for b in range(len(x))
        for w in _words(x)
    )
    return _probe(layer, x, couples_the_batch=couples)


# the sentences in another order: a batch norm gives the same rows in that order
@wrong("fix_the_post", says="sentences were only put in another")
def coupling_by_another_order(layer, x):
    return _probe(layer, x, couples_the_batch=_moves(layer(x[::-1]), layer(x)[::-1]))


# the sentence becomes a multiple of itself
@wrong("fix_the_post", says="the change was a shift or")
def changed_by_a_stretch(layer, x):
    y, (B, T, _) = layer(x), x.shape
    mixes = future = couples = False
    for b in range(B):
        for t in range(T):
            other = x.copy()
            other[b, t] *= 2
            moved = np.abs(layer(other) - y).max(-1) > 1e-8
            future |= bool(moved[b, :t].any())
            mixes |= bool(np.delete(moved[b], t).any())
            couples |= bool(np.delete(moved, b, axis=0).any())
    return _probe(layer, x, mixes_words=mixes, sees_the_future=future, couples_the_batch=couples)


# the word becomes itself and 1
@wrong("fix_the_post", says="the change was a shift or")
def changed_by_a_shift(layer, x):
    y, (B, T, _) = layer(x), x.shape
    mixes = future = couples = False
    for b in range(B):
        for t in range(T):
            other = x.copy()
            other[b, t] += 1
            moved = np.abs(layer(other) - y).max(-1) > 1e-8
            future |= bool(moved[b, :t].any())
            mixes |= bool(np.delete(moved[b], t).any())
            couples |= bool(np.delete(moved, b, axis=0).any())
    return _probe(layer, x, mixes_words=mixes, sees_the_future=future, couples_the_batch=couples)


# a step as for a derivative
@wrong("fix_the_post", says="the change is so small that")
def changed_by_very_little(layer, x):
    y, (B, T, _) = layer(x), x.shape
    mixes = future = couples = False
    for b in range(B):
        for t in range(T):
            other = x.copy()
            other[b, t, 0] += 1e-6
            moved = np.abs(layer(other) - y).max(-1) > 1e-6
            future |= bool(moved[b, :t].any())
            mixes |= bool(np.delete(moved[b], t).any())
            couples |= bool(np.delete(moved, b, axis=0).any())
    return _probe(layer, x, mixes_words=mixes, sees_the_future=future, couples_the_batch=couples)


# only the first sentence is tried
@wrong("fix_the_post", says="not every sentence was tried: only")
def first_sentence_tried(layer, x):
    y, T = layer(x), x.shape[1]
    mixes = future = False
    for t in range(T):
        for word in _words(x):
            other = x.copy()
            other[0, t] = word
            moved = np.abs(layer(other) - y).max(-1) > 1e-8
            future |= bool(moved[0, :t].any())
            mixes |= bool(np.delete(moved[0], t).any())
    return _probe(layer, x, mixes_words=mixes, sees_the_future=future)


# what is not blind to order must see the future, what is blind mixes
@wrong("fix_the_post", says="it was concluded from other entries")
def argued_not_measured(layer, x):
    found = four_experiments(layer, x)
    return found | {"sees_the_future": found["mixes_words"] and found["order_blind"]}


# the opposite of blind
@wrong("fix_the_post", says="or the answer is turned round")
def blind_upside_down(layer, x):
    found = four_experiments(layer, x)
    return found | {"order_blind": not found["order_blind"]}


# numbers for booleans
@wrong("fix_the_post", says="order_blind is True or False")
def differences_for_answers(layer, x):
    y = layer(x)
    return _probe(layer, x, order_blind=float(np.abs(layer(x[:, ::-1]) - y[:, ::-1]).max()))


# an entry is missing
@wrong("fix_the_post", says="it returns a dict with four entries")
def an_entry_missing(layer, x):
    found = four_experiments(layer, x)
    del found["couples_the_batch"]
    return found


# the example itself is changed
@wrong("fix_the_post", says="an assignment into x, like `x[…]")
def writes_into_the_example(layer, x):
    found = four_experiments(layer, x)
    x[0, 0] = 0
    return found


# always the answers for self-attention
@wrong("fix_the_post", says="mixes_words of feed_forward is False")
def always_self_attention(layer, x):
    return {
        "order_blind": True,
        "mixes_words": True,
        "sees_the_future": True,
        "couples_the_batch": False,
    }
