"""Answers to the exercises of Chapter 6."""

import math

import numpy as np

from attention_course.scratch.functional import softmax
from proofs import right, wrong

# ---------------------------------------------------------------- 6.1 split_heads


@right("split_heads")
def cut_and_swap(x, heads):
    B, T, D = x.shape
    return x.reshape(B, T, heads, D // heads).swapaxes(1, 2)


@right("split_heads")
def split_with_loops(x, heads):
    B, T, D = np.shape(x)
    if D % heads != 0:
        raise ValueError(f"{heads} heads do not divide {D}")
    size = D // heads
    return [
        [[list(x[b][t][n * size : (n + 1) * size]) for t in range(T)] for n in range(heads)]
        for b in range(B)
    ]


@right("split_heads")
def stacked_columns(x, heads):
    return np.stack(np.split(x, heads, axis=-1), axis=1)


@right("split_heads")
def split_by_einsum(x, heads):
    B, T, _ = x.shape
    return np.einsum("btnd->bntd", x.reshape(B, T, heads, -1))


@right("split_heads")
def columns_first(x, heads):
    B, T, D = x.shape
    if D / heads != D // heads:
        raise ValueError
    return x.swapaxes(1, 2).reshape(B, heads, D // heads, T).swapaxes(2, 3)


@right("split_heads")
def split_by_torch(x, heads):
    import torch

    x = torch.as_tensor(np.array(x))
    if x.size(-1) % heads:
        raise ValueError("no whole number of columns for a head")
    return torch.stack(x.chunk(heads, dim=-1), dim=1).numpy()


# the shape is right, the words are torn apart
@wrong("split_heads", says="cut as they lie in memory")
def reshape_alone(x, heads):
    B, T, D = x.shape
    return x.reshape(B, heads, T, D // heads)


# head n gets the numbers n, n + N, n + 2N, ...
@wrong("split_heads", says="got every N-th number")
def heads_interleaved(x, heads):
    B, T, D = x.shape
    return x.reshape(B, T, D // heads, heads).transpose(0, 3, 1, 2)


# the second step is missing
@wrong("split_heads", says="words and heads have not changed places")
def cut_only(x, heads):
    B, T, D = x.shape
    return x.reshape(B, T, heads, D // heads)


# two axes too many change places
@wrong("split_heads", says="rows are words, its columns numbers")
def numbers_before_words(x, heads):
    B, T, D = x.shape
    return x.reshape(B, T, heads, D // heads).transpose(0, 2, 3, 1)


# N and d_k in each other's place
@wrong("split_heads", says="N and d_k are exchanged")
def heads_and_size_exchanged(x, heads):
    B, T, D = x.shape
    return x.reshape(B, T, D // heads, heads).swapaxes(1, 2)


# what is left over is dropped
@wrong("split_heads", says="without a look at what is left over")
def rest_dropped(x, heads):
    B, T, D = x.shape
    size = D // heads
    return x[:, :, : size * heads].reshape(B, T, heads, size).swapaxes(1, 2)


# AssertionError instead of ValueError
@wrong("split_heads", says="it fails with another error")
def assertion(x, heads):
    B, T, D = x.shape
    assert D % heads == 0
    return x.reshape(B, T, heads, D // heads).swapaxes(1, 2)


# -1 in the place of T: what does not fit becomes more words
@wrong("split_heads", says="without a look at what is left over")
def as_many_words_as_fit(x, heads):
    B, _, D = x.shape
    return x.reshape(B, -1, heads, D // heads).swapaxes(1, 2)


# the heads become sentences
@wrong("split_heads", says="the heads became sentences")
def heads_into_the_batch(x, heads):
    return np.concatenate(np.split(x, heads, axis=-1), axis=0)


# head first, sentence second
@wrong("split_heads", says="heads were put before the sentences")
def head_axis_first(x, heads):
    return np.stack(np.split(x, heads, axis=-1), axis=0)


# the last head first
@wrong("split_heads", says="heads are in the wrong order")
def heads_backwards(x, heads):
    return cut_and_swap(x, heads)[:, ::-1]


# transposed before the cut, and then cut in the order of the words
@wrong("split_heads", says="words and numbers changed places before the cut")
def transposed_too_early(x, heads):
    B, T, D = x.shape
    return x.swapaxes(1, 2).reshape(B, heads, T, D // heads)


# only one sentence
@wrong("split_heads", says="only the first sentence was used")
def first_sentence_split(x, heads):
    _, T, D = x.shape
    return x[0].reshape(1, T, heads, D // heads).swapaxes(1, 2)


# the sentences become heads too: axes are moved from the end
@wrong("split_heads", says="sentences and heads have changed places")
def sentences_and_heads_mixed(x, heads):
    B, T, D = x.shape
    return x.reshape(B, T, heads, D // heads).transpose(2, 0, 1, 3).reshape(B, heads, T, -1)


# every head gets the first numbers
@wrong("split_heads", says="every head got the first d_k numbers")
def same_columns_for_all(x, heads):
    size = x.shape[-1] // heads
    if x.shape[-1] % heads:
        raise ValueError
    return np.stack([x[..., :size]] * heads, axis=1)


# ---------------------------------------------------------------- 6.2 merge_heads


@right("merge_heads")
def swap_and_join(x):
    B, N, T, d = x.shape
    return x.swapaxes(1, 2).reshape(B, T, N * d)


@right("merge_heads")
def heads_side_by_side(x):
    return np.concatenate([x[:, n] for n in range(x.shape[1])], axis=-1)


@right("merge_heads")
def merged_in_loops(x):
    B, N, T, d = np.shape(x)
    return [
        [[x[b][n][t][i] for n in range(N) for i in range(d)] for t in range(T)] for b in range(B)
    ]


@right("merge_heads")
def merged_number_by_number(x):
    x = np.asarray(x)
    B, N, T, d = x.shape
    out = np.empty((B, T, N * d), dtype=x.dtype)
    for n in range(N):
        for i in range(d):
            out[:, :, n * d + i] = x[:, n, :, i]
    return out


@right("merge_heads")
def merged_by_torch(x):
    import torch

    return torch.as_tensor(np.array(x)).transpose(1, 2).flatten(2).numpy()


# the transpose is missing
@wrong("merge_heads", says="heads were merged by a reshape alone")
def joined_without_swap(x):
    B, N, T, d = x.shape
    return x.reshape(B, T, N * d)


# a row holds the first numbers of all heads, then the second ones
@wrong("merge_heads", says="first number of every head stands in front")
def merged_interleaved(x):
    B, N, T, d = x.shape
    return x.transpose(0, 2, 3, 1).reshape(B, T, N * d)


# numbers and words change places
@wrong("merge_heads", says="not words and heads have changed places")
def wrong_axes_swapped(x):
    B, N, T, d = x.shape
    return x.swapaxes(2, 3).reshape(B, T, N * d)


# heads and numbers change places
@wrong("merge_heads", says="not words and heads have changed places")
def heads_and_numbers_swapped(x):
    B, N, T, d = x.shape
    return x.swapaxes(1, 3).reshape(B, T, N * d)


# the heads below each other
@wrong("merge_heads", says="the heads stand below each other")
def below_each_other(x):
    return np.concatenate([x[:, n] for n in range(x.shape[1])], axis=1)


# the axes are taken to be (B,T,N,d)
@wrong("merge_heads", says="each row is a head")
def axes_misread(x):
    B, T, N, d = x.shape
    return x.reshape(B, T, N * d)


# swapped, but not joined
@wrong("merge_heads", says="heads and numbers are still two axes")
def swapped_only(x):
    return x.swapaxes(1, 2)


# the heads are added up
@wrong("merge_heads", says="the heads were added up")
def heads_summed(x):
    return x.sum(axis=1)


# the last head first
@wrong("merge_heads", says="heads are in the wrong order")
def merged_backwards(x):
    return np.concatenate([x[:, n] for n in reversed(range(x.shape[1]))], axis=-1)


# only one sentence
@wrong("merge_heads", says="only the first sentence was used")
def first_sentence_merged(x):
    _, N, T, d = x.shape
    return x[0].swapaxes(0, 1).reshape(1, T, N * d)


# sentences move, too
@wrong("merge_heads", says="words were put before the sentences")
def words_first_of_all(x):
    B, N, T, d = x.shape
    return x.transpose(2, 0, 1, 3).reshape(B, T, N * d)


# ---------------------------------------------------------------- 6.3 count_parameters


@right("count_parameters")
def counted_by_formula(model_size, heads, key_heads, bias):
    shared = model_size // heads * key_heads
    return 2 * (model_size + bias) * (model_size + shared)


@right("count_parameters")
def counted_one_by_one(model_size, heads, key_heads, bias):
    d_k = model_size // heads
    total = 0
    for size_in, size_out in [
        (model_size, heads * d_k),
        (model_size, key_heads * d_k),
        (model_size, key_heads * d_k),
        (heads * d_k, model_size),
    ]:
        total += size_in * size_out
        if bias:
            total += size_out
    return total


@right("count_parameters")
def counted_on_arrays(model_size, heads, key_heads, bias):
    d = model_size // heads
    W = [np.zeros((model_size, n, d)) for n in (heads, key_heads, key_heads)]
    W += [np.zeros((heads, d, model_size))]
    b = [np.zeros((n, d)) for n in (heads, key_heads, key_heads)] + [np.zeros(model_size)]
    return np.sum([a.size for a in (W + b if bias else W)])


# G is not read
@wrong("count_parameters", says="key_heads was not used")
def all_have_keys_of_their_own(model_size, heads, key_heads, bias):
    return 4 * model_size * (model_size + bias)


# the values are not shared
@wrong("count_parameters", says="only the keys were shared")
def values_not_shared(model_size, heads, key_heads, bias):
    shared = model_size // heads * key_heads
    return (3 * model_size + shared) * (model_size + bias)


# every head gets whole matrices
@wrong("count_parameters", says="each head got whole matrices")
def whole_matrices_for_each_head(model_size, heads, key_heads, bias):
    each = model_size * (model_size + bias)
    return heads * each + 2 * key_heads * each + each


# the matrices are shared, their biases are not
@wrong("count_parameters", says="all biases have D numbers")
def full_biases(model_size, heads, key_heads, bias):
    shared = model_size // heads * key_heads
    return 2 * model_size * (model_size + shared) + 4 * model_size * bias


# without biases always
@wrong("count_parameters", says="counted, or left out, against `bias`")
def bias_forgotten(model_size, heads, key_heads, bias):
    return 2 * model_size * (model_size + model_size // heads * key_heads)


# with biases always
@wrong("count_parameters", says="counted, or left out, against `bias`")
def bias_always(model_size, heads, key_heads, bias):
    return counted_by_formula(model_size, heads, key_heads, True)


# the output's matrix is forgotten
@wrong("count_parameters", says="the output matrix is missing")
def without_the_output(model_size, heads, key_heads, bias):
    return (model_size + bias) * (model_size + 2 * (model_size // heads) * key_heads)


# the size of a key is D/G
@wrong("count_parameters", says="number of heads that share a key head")
def keys_divided_by_groups(model_size, heads, key_heads, bias):
    shared = model_size // key_heads
    return 2 * (model_size + bias) * (model_size + shared)


# one bias number for each matrix
@wrong("count_parameters", says="not one for the matrix")
def one_bias_number_each(model_size, heads, key_heads, bias):
    return bias_forgotten(model_size, heads, key_heads, bias) + 4 * bias


# the bias has as many numbers as come in
@wrong("count_parameters", says="all biases have D numbers")
def bias_of_the_incoming(model_size, heads, key_heads, bias):
    d_k = model_size // heads
    pairs = [(model_size, heads * d_k)] + [(model_size, key_heads * d_k)] * 2
    pairs += [(heads * d_k, model_size)]
    return sum(i * o + i * bias for i, o in pairs)


# the output reads only the shared heads
@wrong("count_parameters", says="was taken to read G heads")
def output_of_shared_heads(model_size, heads, key_heads, bias):
    shared = model_size // heads * key_heads
    return model_size * (model_size + 3 * shared) + bias * (2 * model_size + 2 * shared)


# the biases of the queries, keys and values only, as in some layers
@wrong("count_parameters", says="the output's bias is missing")
def output_without_bias(model_size, heads, key_heads, bias):
    return counted_by_formula(model_size, heads, key_heads, bias) - bias * model_size


# one head alone is counted
@wrong("count_parameters", says="the columns of one head were counted")
def one_head_alone(model_size, heads, key_heads, bias):
    d_k = model_size // heads
    return 3 * (model_size * d_k + bias * d_k) + model_size * (model_size + bias)


# ---------------------------------------------------------------- 6.4 mixes_positions


@right("mixes_positions")
def one_word_at_a_time(split, shape, heads):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    before = split(x.copy(), heads)
    B, T, D = shape
    for b in range(B):
        for t in range(T):
            y = x.copy()
            y[b, t] = rng.normal(size=D)
            after = split(y, heads)
            others = [u for u in range(T) if u != t]
            if np.abs(after[b][:, others] - before[b][:, others]).max(initial=0) > 1e-9:
                return True
    return False


@right("mixes_positions")
def all_words_but_one(split, shape, heads):
    rng = np.random.default_rng(7)
    x = rng.standard_normal(shape)
    before = np.array(split(x, heads))
    for t in range(shape[1]):
        y = rng.standard_normal(shape)
        y[:, t] = x[:, t]
        if not np.allclose(np.array(split(y, heads))[:, :, t], before[:, :, t]):
            return True
    return False


@right("mixes_positions")
def table_of_influence(split, shape, heads):
    B, T, D = shape
    rng = np.random.default_rng()
    x = rng.uniform(-1, 1, shape)
    moved = np.zeros((T, T), dtype=bool)
    for t in range(T):
        y = x.copy()
        y[:, t] = rng.uniform(-1, 1, (B, D))
        moved[t] = ~np.isclose(split(x, heads), split(y, heads)).all(axis=(0, 1, 3))
    return (moved & ~np.eye(T, dtype=bool)).any()


@right("mixes_positions")
def several_trials(split, shape, heads):
    rng = np.random.default_rng(3)

    def depends(b, t):
        x, y = rng.normal(size=(2, *shape))
        y[b, t] = x[b, t]
        return not np.allclose(split(x, heads)[b, :, t], split(y, heads)[b, :, t], atol=1e-10)

    B, T, _ = shape
    return any(depends(b, t) for _ in range(3) for b in range(B) for t in range(T))


# compares with the split of 6.1
@wrong("mixes_positions", says="the probe compares with one right split")
def compared_with_ours(split, shape, heads):
    x = np.random.default_rng(0).normal(size=shape)
    return not np.allclose(split(x, heads), cut_and_swap(x, heads))


# there and back
@wrong("mixes_positions", says="merges as one right split would")
def there_and_back(split, shape, heads):
    x = np.random.default_rng(0).normal(size=shape)
    return not np.allclose(swap_and_join(split(x, heads)), x)


# only the first word is changed
@wrong("mixes_positions", says="only one word was changed")
def first_word_changed(split, shape, heads):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    y = x.copy()
    y[:, 0] = rng.normal(size=y[:, 0].shape)
    return not np.allclose(split(x, heads)[:, :, 1:], split(y, heads)[:, :, 1:])


# only the last word is changed
@wrong("mixes_positions", says="only one word was changed")
def last_word_changed(split, shape, heads):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    y = x.copy()
    y[:, -1] = rng.normal(size=y[:, -1].shape)
    return not np.allclose(split(x, heads)[:, :, :-1], split(y, heads)[:, :, :-1])


# only the first row is looked at
@wrong("mixes_positions", says="only one row was looked at")
def first_row_looked_at(split, shape, heads):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    y = rng.normal(size=shape)
    y[:, 0] = x[:, 0]
    return not np.allclose(split(x, heads)[:, :, 0], split(y, heads)[:, :, 0])


# only the first head is looked at
@wrong("mixes_positions", says="only the first head was looked at")
def first_head_looked_at(split, shape, heads):
    return all_words_but_one(lambda x, n: split(x, n)[:, :1], shape, heads)


# only the first sentence is looked at
@wrong("mixes_positions", says="only the first sentence was looked at")
def first_sentence_looked_at(split, shape, heads):
    return all_words_but_one(lambda x, n: split(x, n)[:1], shape, heads)


# adds 1 to a word, which a split may take away
@wrong("mixes_positions", says="were moved by the same amount")
def one_added(split, shape, heads):
    x = np.random.default_rng(0).normal(size=shape)
    for t in range(shape[1]):
        y = x.copy()
        y[:, t] += 1
        moved = ~np.isclose(split(x, heads), split(y, heads))
        if np.delete(moved, t, axis=2).any():
            return True
    return False


# the words in another order
@wrong("mixes_positions", says="words were shifted in a circle")
def words_in_another_order(split, shape, heads):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    order = np.roll(np.arange(shape[1]), 1)
    return not np.allclose(split(x[:, order], heads), split(x, heads)[:, :, order])


# True and False exchanged
@wrong("mixes_positions", says="or True and False are exchanged")
def says_the_contrary(split, shape, heads):
    return not all_words_but_one(split, shape, heads)


# the changed word's own row is looked at, too
@wrong("mixes_positions", says="moves with its own word was counted")
def own_row_too(split, shape, heads):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    for t in range(shape[1]):
        y = x.copy()
        y[:, t] = rng.normal(size=y[:, t].shape)
        if not np.allclose(split(x, heads), split(y, heads)):
            return True
    return False


# the axis of the words is taken to be the second
@wrong("mixes_positions", says="taken from another axis than the third")
def looks_along_the_heads(split, shape, heads):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    for t in range(min(heads, shape[1])):
        y = rng.normal(size=shape)
        y[:, t] = x[:, t]
        if not np.allclose(split(y, heads)[:, t], split(x, heads)[:, t]):
            return True
    return False


# every row must be mixed
@wrong("mixes_positions", says="*every* row had to move")
def every_row_must_move(split, shape, heads):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    for t in range(shape[1]):
        y = rng.normal(size=shape)
        y[:, t] = x[:, t]
        if np.allclose(split(y, heads)[:, :, t], split(x, heads)[:, :, t]):
            return False
    return True


# so small a change that allclose does not see it
@wrong("mixes_positions", says="too small for np.allclose")
def change_too_small(split, shape, heads):
    x = np.random.default_rng(0).normal(size=shape)
    for t in range(shape[1]):
        y = x.copy()
        y[:, t, 0] += 1e-9
        others = np.arange(shape[1]) != t
        if not np.allclose(split(x, heads)[:, :, others], split(y, heads)[:, :, others]):
            return True
    return False


# only one number of the word is changed
@wrong("mixes_positions", says="only numbers of the first head were changed")
def first_number_changed(split, shape, heads):
    x = np.random.default_rng(0).normal(size=shape)
    for t in range(shape[1]):
        y = x.copy()
        y[:, t, 0] += 3.7
        others = np.arange(shape[1]) != t
        if not np.allclose(split(x, heads)[:, :, others], split(y, heads)[:, :, others]):
            return True
    return False


# every word alone: a split may know how long the sentence is
@wrong("mixes_positions", says="the words were tried alone")
def each_word_alone(split, shape, heads):
    x = np.random.default_rng(0).normal(size=shape)
    whole = split(x, heads)
    return not all(
        np.allclose(split(x[:, t : t + 1], heads), whole[:, :, t : t + 1]) for t in range(shape[1])
    )


# looks at the shape of the output
@wrong("mixes_positions", says="a test of the shape")
def looks_at_the_shape(split, shape, heads):
    B, T, D = shape
    return split(np.zeros(shape), heads).shape != (B, heads, T, D // heads)


# looks for the numbers of a word in the row
@wrong("mixes_positions", says="own numbers were searched in its row")
def numbers_found_again(split, shape, heads):
    x = np.arange(np.prod(shape), dtype=float).reshape(shape)
    out = split(x, heads)
    return not all(
        np.isin(out[b, :, t], x[b, t]).all() for b in range(shape[0]) for t in range(shape[1])
    )


# changes a whole sentence and looks whether another one moves
@wrong("mixes_positions", says="looked for in another sentence")
def sentences_probed(split, shape, heads):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    y = x.copy()
    y[0] = rng.normal(size=y[0].shape)
    return not np.allclose(split(x, heads)[1:], split(y, heads)[1:])


# the changed input is the same array: before and after are always equal
@wrong("mixes_positions", says="`y = x` is no copy")
def no_copy(split, shape, heads):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    for t in range(shape[1]):
        y = x
        y[:, t] = rng.normal(size=y[:, t].shape)
        others = np.arange(shape[1]) != t
        if not np.allclose(split(x, heads)[:, :, others], split(y, heads)[:, :, others]):
            return True
    return False


# ---------------------------------------------------------------- 6.5 heads_as_sum


@right("heads_as_sum")
def terms_by_einsum(weights, value, W_V, W_O):
    N = weights.shape[1]
    V = W_V.reshape(len(W_V), N, -1)
    O = W_O.reshape(N, -1, W_O.shape[1])
    return np.einsum("bnts,bsi,inv,nvo->bntso", weights, value, V, O)


@right("heads_as_sum")
def terms_in_loops(weights, value, W_V, W_O):
    B, N, T, S = weights.shape
    d = W_V.shape[1] // N
    out = np.zeros((B, N, T, S, W_O.shape[1]))
    for b in range(B):
        for n in range(N):
            block = slice(n * d, (n + 1) * d)
            said = value[b] @ W_V[:, block] @ W_O[block]
            for t in range(T):
                for s in range(S):
                    out[b, n, t, s] = weights[b, n, t, s] * said[s]
    return out


@right("heads_as_sum")
def terms_by_broadcast(weights, value, W_V, W_O):
    N = weights.shape[1]
    pairs = zip(np.split(W_V, N, axis=1), np.split(W_O, N, axis=0), strict=True)
    circuits = np.stack([a @ b for a, b in pairs])  # (N,D,D')
    said = value[:, None] @ circuits  # (B,N,S,D')
    return weights[..., None] * said[:, :, None]


@right("heads_as_sum")
def all_other_weights_zero(weights, value, W_V, W_O):
    B, N, T, S = weights.shape
    V = cut_and_swap(value @ W_V, N)
    terms = np.empty((N, S, B, T, W_O.shape[1]))
    for n in range(N):
        for s in range(S):
            only = np.zeros_like(weights)
            only[:, n, :, s] = weights[:, n, :, s]
            terms[n, s] = swap_and_join(only @ V) @ W_O
    return terms.transpose(2, 0, 3, 1, 4)


@right("heads_as_sum")
def terms_by_torch(weights, value, W_V, W_O):
    import torch

    w, x, v, o = (torch.as_tensor(np.array(a)) for a in (weights, value, W_V, W_O))
    n = w.size(1)
    values = (x @ v).unflatten(-1, (n, -1)).transpose(1, 2)
    said = values @ o.unflatten(0, (n, -1))
    return (w.unsqueeze(-1) * said.unsqueeze(2)).tolist()


# the words are added up
@wrong("heads_as_sum", says="the words were summed already")
def words_added_up(weights, value, W_V, W_O):
    return terms_by_einsum(weights, value, W_V, W_O).sum(axis=3)


# the weights are forgotten
@wrong("heads_as_sum", says="the weights were left out")
def weights_forgotten(weights, value, W_V, W_O):
    return terms_by_einsum(np.ones_like(weights), value, W_V, W_O)


# the rows of W_O are dealt out to the heads one at a time
@wrong("heads_as_sum", says="rows of W_O were shared out one by one")
def output_rows_interleaved(weights, value, W_V, W_O):
    N = weights.shape[1]
    V = W_V.reshape(len(W_V), N, -1)
    O = W_O.reshape(-1, N, W_O.shape[1])
    return np.einsum("bnts,bsi,inv,vno->bntso", weights, value, V, O)


# the columns of W_V are dealt out to the heads one at a time
@wrong("heads_as_sum", says="got every N-th number")
def value_columns_interleaved(weights, value, W_V, W_O):
    N = weights.shape[1]
    V = W_V.reshape(len(W_V), -1, N)
    O = W_O.reshape(N, -1, W_O.shape[1])
    return np.einsum("bnts,bsi,ivn,nvo->bntso", weights, value, V, O)


# the values are split by a reshape alone
@wrong("heads_as_sum", says="cut as they lie in memory")
def values_reshaped_alone(weights, value, W_V, W_O):
    B, N, _, S = weights.shape
    V = (value @ W_V).reshape(B, N, S, -1)
    O = W_O.reshape(N, -1, W_O.shape[1])
    return np.einsum("bnts,bnsv,nvo->bntso", weights, V, O)


# the axes in another order
@wrong("heads_as_sum", says="the axes are in another order")
def terms_in_another_order(weights, value, W_V, W_O):
    return terms_by_einsum(weights, value, W_V, W_O).transpose(0, 2, 1, 3, 4)


# words and queries exchanged in the result
@wrong("heads_as_sum", says="the axes are in another order")
def source_before_query(weights, value, W_V, W_O):
    return terms_by_einsum(weights, value, W_V, W_O).swapaxes(2, 3)


# the output, shared out equally: the sum is right
@wrong("heads_as_sum", says="the output was shared out equally")
def equal_shares(weights, value, W_V, W_O):
    _, N, _, S = weights.shape
    terms = terms_by_einsum(weights, value, W_V, W_O)
    whole = terms.sum(axis=(1, 3), keepdims=True)
    return np.broadcast_to(whole / (N * S), terms.shape)


# a head's sum, shared out by its weights: the sum is right
@wrong("heads_as_sum", says="sum was shared out by its weights")
def shared_by_weights(weights, value, W_V, W_O):
    head = terms_by_einsum(weights, value, W_V, W_O).sum(axis=3, keepdims=True)
    return head * weights[..., None]


# the mean of the heads
@wrong("heads_as_sum", says="a mean over heads")
def divided_by_heads(weights, value, W_V, W_O):
    return terms_by_einsum(weights, value, W_V, W_O) / weights.shape[1]


# all heads' columns and rows for each head
@wrong("heads_as_sum", says="through all columns and all rows")
def whole_matrices(weights, value, W_V, W_O):
    return np.einsum("bnts,bso->bntso", weights, value @ W_V @ W_O)


# the heads' rows in the other order
@wrong("heads_as_sum", says="blocks of W_O are in the wrong order")
def rows_backwards(weights, value, W_V, W_O):
    N = weights.shape[1]
    V = W_V.reshape(len(W_V), N, -1)
    O = W_O.reshape(N, -1, W_O.shape[1])[::-1]
    return np.einsum("bnts,bsi,inv,nvo->bntso", weights, value, V, O)


# the terms of the contexts, not sent through W_O
@wrong("heads_as_sum", says="the rows of W_O are missing")
def output_matrix_forgotten(weights, value, W_V, W_O):
    N = weights.shape[1]
    V = W_V.reshape(len(W_V), N, -1)
    return np.einsum("bnts,bsi,inv->bntsv", weights, value, V)


# d_v = D/N
@wrong("heads_as_sum", says="d_v was taken to be D/N")
def size_from_the_model(weights, value, W_V, W_O):
    N = weights.shape[1]
    d = value.shape[-1] // N
    V = np.stack([W_V[:, n * d : (n + 1) * d] for n in range(N)], axis=1)
    O = np.stack([W_O[n * d : (n + 1) * d] for n in range(N)])
    return np.einsum("bnts,bsi,inv,nvo->bntso", weights, value, V, O)


# the first sentence's values for all
@wrong("heads_as_sum", says="got the values of the first")
def values_of_the_first_sentence(weights, value, W_V, W_O):
    return terms_by_einsum(weights, np.broadcast_to(value[:1], value.shape), W_V, W_O)


# only one term: all numbers of a head summed before the output
@wrong("heads_as_sum", says="were each summed over d_v")
def summed_over_size(weights, value, W_V, W_O):
    N = weights.shape[1]
    V = W_V.reshape(len(W_V), N, -1)
    O = W_O.reshape(N, -1, W_O.shape[1])
    return np.einsum("bnts,bsi,inu,nvo->bntso", weights, value, V, O)


# ---------------------------------------------------------------- 6.6 multi_head


def _wide(mask):
    return mask[:, None] if mask is not None and np.ndim(mask) == 3 else mask


def _layer(
    query, key, value, W_Q, W_K, W_V, W_O, heads, mask,
    split=cut_and_swap, merge=swap_and_join, scale=None, wide=_wide, axis=-1,
):  # fmt: skip
    Q, K, V = (split(a @ W, heads) for a, W in ((query, W_Q), (key, W_K), (value, W_V)))
    scores = Q @ K.swapaxes(-1, -2) / (np.sqrt(Q.shape[-1]) if scale is None else scale)
    if mask is not None:
        scores = np.where(wide(mask), scores, -np.inf)
    weights = softmax(scores, axis=axis)
    return merge(weights @ V) @ W_O, weights


@right("multi_head")
def layer_as_written(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask)


@right("multi_head")
def layer_in_loops(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    B, T, _ = query.shape
    S = key.shape[1]
    d_k, d_v = W_Q.shape[1] // heads, W_V.shape[1] // heads
    allowed = np.ones((B, T, S), dtype=bool)
    if mask is not None:
        allowed = np.broadcast_to(mask, (B, T, S))
    output, weights = [], np.zeros((B, heads, T, S))
    for b in range(B):
        rows = []
        for t in range(T):
            heard = []
            for n in range(heads):
                q = query[b, t] @ W_Q[:, n * d_k : (n + 1) * d_k]
                keep = [s for s in range(S) if allowed[b, t, s]]
                e = []
                for s in keep:
                    k = key[b, s] @ W_K[:, n * d_k : (n + 1) * d_k]
                    e.append(sum(q * k) / d_k**0.5)
                top = max(e)
                p = [math.exp(z - top) for z in e]
                context = np.zeros(d_v)
                for s, v in zip(keep, p, strict=True):
                    weights[b, n, t, s] = v / sum(p)
                    context += weights[b, n, t, s] * (value[b, s] @ W_V[:, n * d_v : (n + 1) * d_v])
                heard.extend(context)
            rows.append(np.array(heard) @ W_O)
        output.append(rows)
    return output, weights.tolist()


@right("multi_head")
def layer_by_einsum(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    cut = [W.reshape(W.shape[0], heads, -1) for W in (W_Q, W_K, W_V)]
    q = np.einsum("btd,dnk->bntk", query, cut[0])
    k = np.einsum("bsd,dnk->bnsk", key, cut[1])
    v = np.einsum("bsd,dnk->bnsk", value, cut[2])
    e = np.einsum("bntk,bnsk->bnts", q * q.shape[-1] ** -0.5, k)
    if mask is not None:
        m = mask if mask.ndim == 3 else mask[None]
        e = e + np.where(m[:, None], 0.0, -1e9)
    e = np.exp(e - e.max(-1, keepdims=True))
    a = e / e.sum(-1, keepdims=True)
    return np.einsum("bnts,bnsv,nvd->btd", a, v, W_O.reshape(heads, v.shape[-1], -1)), a


@right("multi_head")
def layer_by_torch(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    import torch

    tensors = (torch.tensor(np.array(a)) for a in (query, key, value, W_Q, W_K, W_V, W_O))
    query, key, value, W_Q, W_K, W_V, W_O = tensors
    q, k, v = (
        (a @ w).unflatten(-1, (heads, -1)).transpose(1, 2)
        for a, w in ((query, W_Q), (key, W_K), (value, W_V))
    )
    scores = q @ k.transpose(2, 3) / math.sqrt(q.size(-1))
    if mask is not None:
        m = torch.tensor(np.array(mask))
        m = m.unsqueeze(1) if m.dim() == 3 else m
        scores = scores.masked_fill(~m, float("-inf"))
    p = scores.softmax(dim=-1)
    return (p @ v).transpose(1, 2).flatten(2) @ W_O, p


@right("multi_head")
def one_head_after_the_other(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    output, weights = 0, []
    parts = [np.split(W, heads, axis=1) for W in (W_Q, W_K, W_V)] + [np.split(W_O, heads)]
    for wq, wk, wv, wo in zip(*parts, strict=True):
        scores = query @ wq @ (key @ wk).swapaxes(1, 2) / np.sqrt(wk.shape[1])
        p = np.exp(scores - scores.max(axis=-1, keepdims=True))
        if mask is not None:
            p = p * mask
        p = p / p.sum(axis=-1, keepdims=True)
        output = output + p @ (value @ wv) @ wo
        weights.append(p)
    return output, np.stack(weights, axis=1)


# the root of D
@wrong("multi_head", says="were divided by √D")
def scaled_by_the_model(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    scale = np.sqrt(query.shape[-1])
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask, scale=scale)


# the root of N·d_k
@wrong("multi_head", says="√(N·d_k), the size of all heads")
def scaled_by_all_heads(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    scale = np.sqrt(W_K.shape[1])
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask, scale=scale)


# the root of D/N, which is d_k only in the paper
@wrong("multi_head", says="were divided by √(D/N)")
def scaled_by_share_of_the_model(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    scale = np.sqrt(query.shape[-1] // heads)
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask, scale=scale)


# no scale
@wrong("multi_head", says="scores were not divided by √d_k")
def not_scaled(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask, scale=1)


# without the root
@wrong("multi_head", says="divided by d_k, not by its root")
def scaled_without_root(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    scale = W_K.shape[1] // heads
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask, scale=scale)


# the size of the values
@wrong("multi_head", says="were divided by √d_v")
def scaled_by_values(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    scale = np.sqrt(W_V.shape[1] // heads)
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask, scale=scale)


# times the root
@wrong("multi_head", says="scores were multiplied by √d_k")
def multiplied_by_the_root(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    scale = 1 / np.sqrt(W_K.shape[1] // heads)
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask, scale=scale)


def _reshape_only(x, heads):
    return x.reshape(len(x), heads, x.shape[1], -1)


# the wrong reshape both ways
@wrong("multi_head", says="cut as they lie in memory")
def reshaped_both_ways(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(
        query, key, value, W_Q, W_K, W_V, W_O, heads, mask,
        split=_reshape_only, merge=joined_without_swap,
    )  # fmt: skip


# the wrong reshape on the way in
@wrong("multi_head", says="cut as they lie in memory")
def split_by_reshape(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask, split=_reshape_only)


# the wrong reshape on the way out
@wrong("multi_head", says="heads were merged by a reshape alone")
def merged_by_reshape(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask, merge=joined_without_swap)


# the heads of the weights dealt out one column at a time
@wrong("multi_head", says="got every N-th number")
def columns_interleaved(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    def split(x, n):
        return x.reshape(len(x), x.shape[1], -1, n).transpose(0, 3, 1, 2)

    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask, split=split)


# True = forbidden
@wrong("multi_head", says="mask was read the wrong way round")
def mask_inverted(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    def invert(m):
        return ~_wide(m)

    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask, wide=invert)


# after the softmax: the rows do not sum to 1
@wrong("multi_head", says="on the weights, after the softmax")
def mask_after_softmax(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    _, weights = _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, None)
    if mask is not None:
        weights = weights * _wide(mask)
    return swap_and_join(weights @ cut_and_swap(value @ W_V, heads)) @ W_O, weights


# forbidden scores are 0, which is a score like others
@wrong("multi_head", says="by scores times mask")
def scores_times_mask(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    Q, K, V = (cut_and_swap(a @ W, heads) for a, W in ((query, W_Q), (key, W_K), (value, W_V)))
    scores = Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1])
    if mask is not None:
        scores = scores * _wide(mask)
    weights = softmax(scores)
    return swap_and_join(weights @ V) @ W_O, weights


# a penalty so small that some weight is left
@wrong("multi_head", says="added for a forbidden key is too small")
def small_penalty(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    Q, K, V = (cut_and_swap(a @ W, heads) for a, W in ((query, W_Q), (key, W_K), (value, W_V)))
    scores = Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1])
    if mask is not None:
        scores = np.where(_wide(mask), scores, -10.0)
    weights = softmax(scores)
    return swap_and_join(weights @ V) @ W_O, weights


# the smallest positive number instead of the most negative
@wrong("multi_head", says="−1e-9 in place of −1e9")
def tiny_for_minus_infinity(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    Q, K, V = (cut_and_swap(a @ W, heads) for a, W in ((query, W_Q), (key, W_K), (value, W_V)))
    scores = Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1])
    if mask is not None:
        scores = np.where(_wide(mask), scores, -1e-9)
    weights = softmax(scores)
    return swap_and_join(weights @ V) @ W_O, weights


# the mask is not read
@wrong("multi_head", says="the mask was not used")
def mask_ignored(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, None)


# a mask with B lands on the heads
@wrong("multi_head", says="B was taken for N")
def mask_as_it_is(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask, wide=lambda m: m)


# every mask gets the axis, also one without B
@wrong("multi_head", says="N was put where T is")
def axis_for_every_mask(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask, wide=lambda m: m[:, None])


# the first sentence's mask for all
@wrong("multi_head", says="mask of the first sentence was used")
def mask_of_the_first_sentence(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(
        query, key, value, W_Q, W_K, W_V, W_O, heads, mask,
        wide=lambda m: m[0] if m.ndim == 3 else m,
    )  # fmt: skip


# the first query's mask for all
@wrong("multi_head", says="row of the first query was used")
def mask_of_the_first_query(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(
        query, key, value, W_Q, W_K, W_V, W_O, heads, mask,
        wide=lambda m: m[:, None, :1] if m.ndim == 3 else m,
    )  # fmt: skip


# softmax over the queries
@wrong("multi_head", says="softmax went over the queries")
def softmax_over_queries(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask, axis=-2)


# softmax over the heads
@wrong("multi_head", says="softmax went over the heads")
def softmax_over_heads(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask, axis=1)


# split first, then project every head with a block of the matrix
@wrong("multi_head", says="the words were split first")
def split_before_projecting(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    def project(x, W):
        size = x.shape[-1] // heads
        blocks = [
            x[..., n * size : (n + 1) * size]
            @ np.split(W, heads, axis=1)[n][n * size : (n + 1) * size]
            for n in range(heads)
        ]
        return np.stack(blocks, axis=1)

    Q, K, V = (project(a, W) for a, W in ((query, W_Q), (key, W_K), (value, W_V)))
    scores = Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1])
    if mask is not None:
        scores = np.where(_wide(mask), scores, -np.inf)
    weights = softmax(scores)
    return swap_and_join(weights @ V) @ W_O, weights


# the contexts, without W_O
@wrong("multi_head", says="the output matrix is missing")
def output_not_projected(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    _, weights = _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask)
    return swap_and_join(weights @ cut_and_swap(value @ W_V, heads)), weights


# the heads' weights averaged, as in PyTorch
@wrong("multi_head", says="the weights are a mean over heads")
def weights_averaged(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    output, weights = _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask)
    return output, weights.mean(axis=1)


# the key where the value should be
@wrong("multi_head", says="values were made from the keys")
def keys_for_values(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(query, key, key, W_Q, W_K, W_V, W_O, heads, mask)


# self-attention only: keys and values from the query
@wrong("multi_head", says="keys were made from the values")
def keys_from_the_value(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(query, value, value, W_Q, W_K, W_V, W_O, heads, mask)


# W_Q for the keys, too
@wrong("multi_head", says="keys were projected by W_Q")
def keys_by_the_queries_matrix(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(query, key, value, W_Q, W_Q, W_V, W_O, heads, mask)


# W_Q and W_K exchanged
@wrong("multi_head", says="W_Q and W_K are exchanged")
def matrices_exchanged(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(query, key, value, W_K, W_Q, W_V, W_O, heads, mask)


# weights and output exchanged
@wrong("multi_head", says="output and weights are exchanged")
def results_exchanged(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask)[::-1]


# the output alone
@wrong("multi_head", says="no `return output, weights`")
def output_alone(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask)[0]


# the scores are returned as weights
@wrong("multi_head", says="these are the scores, before the softmax")
def scores_returned(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    output, _ = _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask)
    Q, K = (cut_and_swap(a @ W, heads) for a, W in ((query, W_Q), (key, W_K)))
    return output, Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1])


# the query is added, as in a Transformer's layer
@wrong("multi_head", says="the query was added")
def residual_added(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    output, weights = _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask)
    return output + query, weights


# the scale is folded into the caller's matrix
@wrong("multi_head", says="an assignment into W_Q")
def scale_folded_in_place(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    W_Q /= np.sqrt(W_Q.shape[1] // heads)
    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask, scale=1)


# W_O transposed, as PyTorch stores it
@wrong("multi_head", says="ValueError: matmul")
def matrices_as_in_torch(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    return _layer(query, key, value, W_Q.T, W_K.T, W_V.T, W_O.T, heads, mask)


# the split counts with D: d_v is not free
@wrong("multi_head", says="cannot reshape array")
def size_of_the_model_everywhere(query, key, value, W_Q, W_K, W_V, W_O, heads, mask):
    d = query.shape[-1] // heads

    def split(x, n):
        return x.reshape(len(x), x.shape[1], n, d).swapaxes(1, 2)

    return _layer(query, key, value, W_Q, W_K, W_V, W_O, heads, mask, split=split)


# ---------------------------------------------------------------- 6.7 to_torch


@right("to_torch")
def to_torch_by_reshape(weights):
    D, N, d = weights["query/kernel"].shape
    if N * d != D:
        raise ValueError(f"{N} heads of {d} are not {D}")
    names = ("query", "key", "value")
    return {
        "in_proj_weight": np.concatenate(
            [weights[f"{name}/kernel"].reshape(D, D).T for name in names]
        ),
        "in_proj_bias": np.concatenate([weights[f"{name}/bias"].ravel() for name in names]),
        "out_proj.weight": weights["attention_output/kernel"].reshape(D, D).T,
        "out_proj.bias": weights["attention_output/bias"],
    }


@right("to_torch")
def to_torch_in_loops(weights):
    D, N, d = weights["query/kernel"].shape
    if N * d != D:
        raise ValueError("PyTorch has no key_dim")
    rows, bias = np.zeros((3 * D, D)), np.zeros(3 * D)
    out = np.zeros((D, D))
    row = 0
    for name in ["query", "key", "value"]:
        for n in range(N):
            for i in range(d):
                rows[row] = weights[name + "/kernel"][:, n, i]
                bias[row] = weights[name + "/bias"][n, i]
                row += 1
    for n in range(N):
        for i in range(d):
            out[:, n * d + i] = weights["attention_output/kernel"][n, i]
    return dict(
        in_proj_weight=rows,
        in_proj_bias=bias,
        **{"out_proj.weight": out, "out_proj.bias": weights["attention_output/bias"].copy()},
    )


@right("to_torch")
def to_torch_by_einsum(weights):
    kernels = np.stack([weights[f"{k}/kernel"] for k in ("query", "key", "value")])
    biases = np.stack([weights[f"{k}/bias"] for k in ("query", "key", "value")])
    _, D, N, d = kernels.shape
    if N * d != D:
        raise ValueError
    result = {}
    result["out_proj.weight"] = np.einsum("nkd->dnk", weights["attention_output/kernel"]).reshape(
        D, N * d
    )
    result["out_proj.bias"] = weights["attention_output/bias"]
    result["in_proj_weight"] = np.einsum("pink->pnki", kernels).reshape(3 * D, D)
    result["in_proj_bias"] = biases.flatten()
    return result


@right("to_torch")
def to_torch_by_torch(weights):
    import torch

    w = {name: torch.tensor(np.array(array)) for name, array in weights.items()}
    D, N, d = w["query/kernel"].shape
    if N * d != D:
        raise ValueError
    rows = [w[f"{k}/kernel"].flatten(1).t() for k in ("query", "key", "value")]
    bias = [w[f"{k}/bias"].flatten() for k in ("query", "key", "value")]
    return {
        "in_proj_weight": torch.cat(rows).numpy(),
        "in_proj_bias": torch.cat(bias).numpy(),
        "out_proj.weight": w["attention_output/kernel"].flatten(0, 1).t().numpy(),
        "out_proj.bias": w["attention_output/bias"].numpy(),
    }


# the kernels are not transposed
@wrong("to_torch", says="a transpose is missing")
def kernels_not_transposed(weights):
    result = to_torch_by_reshape(weights)
    D = len(result["out_proj.bias"])
    names = ("query", "key", "value")
    kernels = [weights[f"{name}/kernel"].reshape(D, D) for name in names]
    return result | {"in_proj_weight": np.concatenate(kernels)}


# the last kernel is not transposed
@wrong("to_torch", says="a transpose is missing")
def output_not_transposed(weights):
    result = to_torch_by_reshape(weights)
    return result | {"out_proj.weight": result["out_proj.weight"].T}


# nothing is transposed
@wrong("to_torch", says="a transpose is missing")
def nothing_transposed(weights):
    return output_not_transposed(weights) | {
        "in_proj_weight": kernels_not_transposed(weights)["in_proj_weight"]
    }


# the 3D x D matrix as a whole is turned
@wrong("to_torch", says="three matrices stand side by side")
def side_by_side(weights):
    result = to_torch_by_reshape(weights)
    return result | {"in_proj_weight": result["in_proj_weight"].T}


# all axes turned round, so that the heads are interleaved
@wrong("to_torch", says="numbers of a head were put before the heads")
def axes_turned_round(weights):
    result = to_torch_by_reshape(weights)
    D = len(result["out_proj.bias"])
    kernels = [weights[f"{name}/kernel"].T.reshape(D, D) for name in ("query", "key", "value")]
    return result | {"in_proj_weight": np.concatenate(kernels)}


# the same at the end
@wrong("to_torch", says="numbers of a head were put before the heads")
def output_axes_turned_round(weights):
    result = to_torch_by_reshape(weights)
    D = len(result["out_proj.bias"])
    return result | {"out_proj.weight": weights["attention_output/kernel"].T.reshape(D, D)}


# heads interleaved in the biases
@wrong("to_torch", says="numbers of a head were put before the heads")
def biases_interleaved(weights):
    names = ("query", "key", "value")
    biases = [weights[f"{name}/bias"].T.ravel() for name in names]
    return to_torch_by_reshape(weights) | {"in_proj_bias": np.concatenate(biases)}


# keys first
@wrong("to_torch", says="in the order key, query, value")
def in_another_order(weights):
    names = {"query": "key", "key": "query"}
    swapped = {}
    for name, array in weights.items():
        first, last = name.split("/")
        swapped[f"{names.get(first, first)}/{last}"] = array
    return to_torch_by_reshape(swapped)


# in alphabetical order: key, query, value
@wrong("to_torch", says="in the order key, query, value")
def biases_in_alphabetical_order(weights):
    biases = [weights[f"{name}/bias"].ravel() for name in ("key", "query", "value")]
    return to_torch_by_reshape(weights) | {"in_proj_bias": np.concatenate(biases)}


# each head's query, key and value rows together, as some checkpoints store them
@wrong("to_torch", says="query, key and value of a head stand together")
def head_by_head(weights):
    result = to_torch_by_reshape(weights)
    names = ("query", "key", "value")
    N = weights["query/kernel"].shape[1]
    rows = [weights[f"{name}/kernel"][:, n].T for n in range(N) for name in names]
    bias = [weights[f"{name}/bias"][n] for n in range(N) for name in names]
    return result | {
        "in_proj_weight": np.concatenate(rows),
        "in_proj_bias": np.concatenate(bias),
    }


# no ValueError: the arrays have other shapes
@wrong("to_torch", says="key_dim is one head's")
def any_key_dim(weights):
    names = ("query", "key", "value")
    D = len(weights["query/kernel"])
    kernels = [weights[f"{name}/kernel"].reshape(D, -1).T for name in names]
    return {
        "in_proj_weight": np.concatenate(kernels),
        "in_proj_bias": np.concatenate([weights[f"{name}/bias"].ravel() for name in names]),
        "out_proj.weight": weights["attention_output/kernel"].reshape(-1, D).T,
        "out_proj.bias": weights["attention_output/bias"],
    }


# asks only whether N divides D
@wrong("to_torch", says="key_dim is one head's")
def only_divisibility(weights):
    D, N, _ = weights["query/kernel"].shape
    if D % N:
        raise ValueError("heads do not divide the model")
    return any_key_dim(weights)


# the biases stay (N,d_k)
@wrong("to_torch", says="heads and numbers are still two axes")
def biases_not_flat(weights):
    names = ("query", "key", "value")
    biases = [weights[f"{name}/bias"] for name in names]
    return to_torch_by_reshape(weights) | {"in_proj_bias": np.concatenate(biases)}


# three matrices in a stack
@wrong("to_torch", says="the three are in a stack")
def stacked(weights):
    result = to_torch_by_reshape(weights)
    D = len(result["out_proj.bias"])
    return result | {
        "in_proj_weight": result["in_proj_weight"].reshape(3, D, D),
        "in_proj_bias": result["in_proj_bias"].reshape(3, D),
    }


# names with an underscore
@wrong("to_torch", says="not spelled as in the table")
def other_names(weights):
    result = to_torch_by_reshape(weights)
    return {name.replace(".", "_"): array for name, array in result.items()}


# one array forgotten
@wrong("to_torch", says="a name is missing")
def output_bias_forgotten(weights):
    result = to_torch_by_reshape(weights)
    del result["out_proj.bias"]
    return result


# the scale is put into the queries' matrix, but PyTorch scales, too
@wrong("to_torch", says="queries were divided by √d_k")
def scaled_twice(weights):
    result = {name: np.array(a) for name, a in to_torch_by_reshape(weights).items()}
    D, _, d = weights["query/kernel"].shape
    result["in_proj_weight"][:D] /= np.sqrt(d)
    result["in_proj_bias"][:D] /= np.sqrt(d)
    return result


# the reshape alone into what fits: (N,d_k,D) read as (D,N·d_k)
@wrong("to_torch", says="D and d_k became one axis")
def kernel_first_axis_last(weights):
    result = to_torch_by_reshape(weights)
    D = len(result["out_proj.bias"])
    kernels = [
        weights[f"{name}/kernel"].swapaxes(0, 1).reshape(D, D) for name in ("query", "key", "value")
    ]
    return result | {"in_proj_weight": np.concatenate(kernels)}


# the kernels of the dictionary are replaced by their matrices
@wrong("to_torch", says="its inputs stay as they were")
def dictionary_emptied(weights):
    result = to_torch_by_reshape(weights)
    for name in list(weights):
        weights.pop(name)
    return result


# ---------------------------------------------------------------- 6.8 grouped_attention


def _attend(queries, keys, values, mask, scale=None):
    scores = queries @ keys.swapaxes(-1, -2) / (scale or np.sqrt(queries.shape[-1]))
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    return softmax(scores) @ values


def _as_found(queries, keys, values, mask, widen, scale=None):
    B, N, T, d_k = queries.shape
    G, share = keys.shape[1], N // keys.shape[1]
    rows = queries.reshape(B, G, share * T, d_k)
    wide = None if mask is None else widen(mask, share)
    return _attend(rows, keys, values, wide, scale).reshape(B, N, T, -1)


@right("grouped_attention")
def mask_tiled(queries, keys, values, mask):
    return _as_found(queries, keys, values, mask, lambda m, share: np.tile(m, (share, 1)))


@right("grouped_attention")
def mask_resized(queries, keys, values, mask):
    return _as_found(
        queries, keys, values, mask, lambda m, share: np.resize(m, (share * len(m), m.shape[1]))
    )


@right("grouped_attention")
def axis_of_its_own(queries, keys, values, mask):
    B, N, T, d = queries.shape
    G = keys.shape[1]
    q = queries.reshape(B, G, N // G, T, d)
    return _attend(q, keys[:, :, None], values[:, :, None], mask).reshape(B, N, T, -1)


@right("grouped_attention")
def keys_repeated(queries, keys, values, mask):
    share = queries.shape[1] // keys.shape[1]
    return _attend(queries, keys.repeat(share, axis=1), values.repeat(share, axis=1), mask)


@right("grouped_attention")
def head_after_head(queries, keys, values, mask):
    B, N, T, d_k = queries.shape
    share = N // keys.shape[1]
    out = np.empty((B, N, T, values.shape[-1]))
    for b in range(B):
        for n in range(N):
            for t in range(T):
                scores = keys[b, n // share] @ queries[b, n, t] / math.sqrt(d_k)
                scores = np.exp(scores - scores.max())
                if mask is not None:
                    scores[~mask[t]] = 0
                out[b, n, t] = scores / scores.sum() @ values[b, n // share]
    return out


@right("grouped_attention")
def grouped_by_torch(queries, keys, values, mask):
    import torch

    q, k, v = (torch.tensor(np.array(a, dtype=float)) for a in (queries, keys, values))
    share = q.size(1) // k.size(1)
    k, v = k.repeat_interleave(share, dim=1), v.repeat_interleave(share, dim=1)
    m = None if mask is None else torch.tensor(np.array(mask))
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=m).numpy()


@right("grouped_attention")
def rows_word_by_word(queries, keys, values, mask):
    B, N, T, d = queries.shape
    G = keys.shape[1]
    share = N // G
    rows = queries.reshape(B, G, share, T, d).swapaxes(2, 3).reshape(B, G, T * share, d)
    wide = None if mask is None else np.repeat(mask, share, axis=0)
    out = _attend(rows, keys, values, wide)
    return out.reshape(B, G, T, share, -1).swapaxes(2, 3).reshape(B, N, T, -1)


# as found
@wrong("grouped_attention", says="row of the mask meets the query of another position")
def as_found(queries, keys, values, mask):
    return _as_found(queries, keys, values, mask, lambda m, share: np.repeat(m, share, axis=0))


# the keys tiled: head n reads key head n % G
@wrong("grouped_attention", says="the wrong heads are paired")
def keys_tiled(queries, keys, values, mask):
    share = queries.shape[1] // keys.shape[1]
    return _attend(
        queries, np.tile(keys, (1, share, 1, 1)), np.tile(values, (1, share, 1, 1)), mask
    )


# keys repeated, values tiled
@wrong("grouped_attention", says="not paired in the same way")
def values_tiled(queries, keys, values, mask):
    share = queries.shape[1] // keys.shape[1]
    return _attend(queries, keys.repeat(share, axis=1), np.tile(values, (1, share, 1, 1)), mask)


# the mask is left out
@wrong("grouped_attention", says="the mask was not used")
def grouped_without_mask(queries, keys, values, mask):
    return mask_tiled(queries, keys, values, None)


# the columns of the mask are repeated
@wrong("grouped_attention", says="columns were repeated, not its rows")
def mask_columns_repeated(queries, keys, values, mask):
    def widen(m, share):
        return np.repeat(m, share, axis=1).reshape(-1, m.shape[1])

    return _as_found(queries, keys, values, mask, widen)


# the rows are put word by word, the results are not put back
@wrong("grouped_attention", says="their contexts not put back")
def rows_not_put_back(queries, keys, values, mask):
    B, N, T, d = queries.shape
    G = keys.shape[1]
    share = N // G
    rows = queries.reshape(B, G, share, T, d).swapaxes(2, 3).reshape(B, G, T * share, d)
    wide = None if mask is None else np.repeat(mask, share, axis=0)
    return _attend(rows, keys, values, wide).reshape(B, N, T, -1)


# the rows put word by word by a reshape alone
@wrong("grouped_attention", says="row of the mask meets the query of another position")
def rows_by_reshape(queries, keys, values, mask):
    B, N, T, d = queries.shape
    G = keys.shape[1]
    q = queries.reshape(B, G, T, N // G, d).swapaxes(2, 3)
    out = _attend(q, keys[:, :, None], values[:, :, None], mask)
    return out.swapaxes(2, 3).reshape(B, N, T, -1)


# (share, G) instead of (G, share)
@wrong("grouped_attention", says="the wrong heads are paired")
def groups_last(queries, keys, values, mask):
    B, N, T, d = queries.shape
    G = keys.shape[1]
    q = queries.reshape(B, N // G, G, T, d)
    return _attend(q, keys[:, None], values[:, None], mask).reshape(B, N, T, -1)


# True = forbidden
@wrong("grouped_attention", says="mask was read the wrong way round")
def grouped_mask_inverted(queries, keys, values, mask):
    return mask_tiled(queries, keys, values, None if mask is None else ~mask)


# the first key head for all
@wrong("grouped_attention", says="all query heads read the first key head")
def first_key_head(queries, keys, values, mask):
    return _attend(queries, keys[:, :1], values[:, :1], mask)


# the groups' keys are averaged
@wrong("grouped_attention", says="values of all groups were averaged")
def keys_averaged(queries, keys, values, mask):
    mean = keys.mean(axis=1, keepdims=True), values.mean(axis=1, keepdims=True)
    return _attend(queries, *mean, mask)


# no scale
@wrong("grouped_attention", says="scores were not divided by √d_k")
def grouped_not_scaled(queries, keys, values, mask):
    return _as_found(
        queries, keys, values, mask, lambda m, share: np.tile(m, (share, 1)), scale=1.0
    )


# the root of d_v
@wrong("grouped_attention", says="divided by √d_v, not by √d_k")
def grouped_scaled_by_values(queries, keys, values, mask):
    return _as_found(
        queries, keys, values, mask, lambda m, share: np.tile(m, (share, 1)),
        scale=np.sqrt(values.shape[-1]),
    )  # fmt: skip


# after the softmax
@wrong("grouped_attention", says="on the weights, after the softmax")
def grouped_mask_after_softmax(queries, keys, values, mask):
    share = queries.shape[1] // keys.shape[1]
    keys, values = keys.repeat(share, axis=1), values.repeat(share, axis=1)
    weights = softmax(queries @ keys.swapaxes(-1, -2) / np.sqrt(keys.shape[-1]))
    return (weights if mask is None else weights * mask) @ values


# a causal mask is built, whatever the mask says
@wrong("grouped_attention", says="another mask, a causal one")
def always_causal(queries, keys, values, mask):
    T, S = queries.shape[2], keys.shape[2]
    causal = np.tri(T, S, S - T, dtype=bool)
    return mask_tiled(queries, keys, values, None if mask is None else causal)


# the heads of the result are dealt out the wrong way
@wrong("grouped_attention", says="on the way in or out")
def result_interleaved(queries, keys, values, mask):
    B, N, T, d = queries.shape
    G = keys.shape[1]
    q = queries.reshape(B, G, N // G, T, d)
    out = _attend(q, keys[:, :, None], values[:, :, None], mask)
    return out.swapaxes(1, 2).reshape(B, N, T, -1)


# the mask of the last row for all rows of a group
@wrong("grouped_attention", says="last row of the mask was used")
def last_row_of_the_mask(queries, keys, values, mask):
    return mask_tiled(
        queries, keys, values, None if mask is None else mask[-1:].repeat(len(mask), 0)
    )


# the mask is tiled by the number of key heads
@wrong("grouped_attention", says="(6,5) (2,2,9,5)")
def tiled_by_key_heads(queries, keys, values, mask):
    G = keys.shape[1]
    return _as_found(queries, keys, values, mask, lambda m, share: np.tile(m, (G, 1)))


# ---------------------------------------------------------------- 6.9 two_axes


def _film(x, W_Q, W_K, W_V, W_O, axes, scale=None, over=(-2, -1)):
    """The layer with the two axes moved to the places 2 and 3."""
    y = np.moveaxis(x, axes, (2, 3))
    q, k, v = (np.einsum("blpqd,dnk->blnpqk", y, W) for W in (W_Q, W_K, W_V))
    scores = np.einsum("blnpqk,blnuvk->blnpquv", q, k)
    weights = softmax(scores / (scale or np.sqrt(W_K.shape[-1])), axis=over)
    out = np.einsum("blnpquv,blnuvw,nwd->blpqd", weights, v, W_O)
    return np.moveaxis(out, (2, 3), axes), weights


@right("two_axes")
def film_by_moving(x, W_Q, W_K, W_V, W_O, axes):
    return _film(x, W_Q, W_K, W_V, W_O, axes)


@right("two_axes")
def one_long_axis(x, W_Q, W_K, W_V, W_O, axes):
    (other,) = {1, 2, 3} - set(axes)
    order = (0, other, *axes, 4)
    y = x.transpose(order)
    B, L, P, Q, D = y.shape
    words = y.reshape(B * L, P * Q, D)
    _, N, d_k = W_Q.shape
    q, k, v = (
        (words @ W.reshape(D, -1)).reshape(B * L, P * Q, N, -1).swapaxes(1, 2)
        for W in (W_Q, W_K, W_V)
    )
    weights = softmax(q @ k.swapaxes(2, 3) / math.sqrt(d_k))
    out = (weights @ v).swapaxes(1, 2).reshape(B, L, P, Q, -1) @ W_O.reshape(-1, D)
    return out.transpose(np.argsort(order)), weights.reshape(B, L, N, P, Q, P, Q)


@right("two_axes")
def three_cases_in_letters(x, W_Q, W_K, W_V, W_O, axes):
    q, k, v = (np.einsum("bfrcd,dnk->bfrcnk", x, W) for W in (W_Q, W_K, W_V))
    q = q / np.sqrt(q.shape[-1])
    asked = {(2, 3): "fuv", (1, 3): "urv", (1, 2): "uvc"}[tuple(axes)]
    layout = {(2, 3): "fnrcuv", (1, 3): "rnfcuv", (1, 2): "cnfruv"}[tuple(axes)]
    e = np.einsum(f"bfrcnk,b{asked}nk->b{layout}", q, k)
    e = np.exp(e - e.max(axis=(-2, -1), keepdims=True))
    a = e / e.sum(axis=(-2, -1), keepdims=True)
    context = np.einsum(f"b{layout},b{asked}nk->bfrcnk", a, v)
    return np.einsum("bfrcnk,nkd->bfrcd", context, W_O), a


@right("two_axes")
def film_in_loops(x, W_Q, W_K, W_V, W_O, axes):
    other = 6 - sum(axes)
    B, D, N = x.shape[0], x.shape[-1], W_Q.shape[1]
    L, P, Q = (x.shape[a] for a in (other, *axes))
    output, weights = np.zeros(x.shape), np.zeros((B, L, N, P, Q, P, Q))
    for b in range(B):
        for place in range(L):
            for n in range(N):
                picture = np.take(x[b], place, axis=other - 1)  # (P,Q,D)
                words = picture.reshape(P * Q, D)
                q, k, v = words @ W_Q[:, n], words @ W_K[:, n], words @ W_V[:, n]
                e = np.exp(q @ k.T / W_Q.shape[2] ** 0.5)
                a = e / e.sum(axis=1)[:, None]
                weights[b, place, n] = a.reshape(P, Q, P, Q)
                index = [slice(None)] * 4
                index[other - 1] = place
                output[b][tuple(index)] += (a @ v @ W_O[n]).reshape(P, Q, D)
    return output, weights


@right("two_axes")
def film_by_torch(x, W_Q, W_K, W_V, W_O, axes):
    import torch

    x, W_Q, W_K, W_V, W_O = (torch.tensor(np.array(a)) for a in (x, W_Q, W_K, W_V, W_O))
    y = x.movedim(tuple(axes), (-3, -2))
    B, L, P, Q, _ = y.shape
    flat = y.flatten(2, 3)
    q, k, v = (torch.einsum("blwd,dnk->blnwk", flat, W) for W in (W_Q, W_K, W_V))
    p = (q @ k.transpose(-1, -2) / math.sqrt(W_Q.size(-1))).softmax(-1)
    out = torch.einsum("blnwk,nkd->blwd", p @ v, W_O).unflatten(2, (P, Q))
    return out.movedim((-3, -2), tuple(axes)).tolist(), p.reshape(B, L, -1, P, Q, P, Q).numpy()


# softmax over the last axis alone
@wrong("two_axes", says="goes over the last axis alone")
def softmax_over_one_axis(x, W_Q, W_K, W_V, W_O, axes):
    return _film(x, W_Q, W_K, W_V, W_O, axes, over=-1)


# softmax over the asking places
@wrong("two_axes", says="over the places that ask")
def softmax_over_those_who_ask(x, W_Q, W_K, W_V, W_O, axes):
    return _film(x, W_Q, W_K, W_V, W_O, axes, over=(3, 4))


def _with_weights(x, weights, W_V, W_O, axes):
    v = np.einsum("blpqd,dnk->blnpqk", np.moveaxis(x, axes, (2, 3)), W_V)
    out = np.einsum("blnpquv,blnuvw,nwd->blpqd", weights, v, W_O)
    return np.moveaxis(out, (2, 3), axes), weights


def _film_scores(x, W_Q, W_K, axes):
    y = np.moveaxis(x, axes, (2, 3))
    q, k = (np.einsum("blpqd,dnk->blnpqk", y, W) for W in (W_Q, W_K))
    return np.einsum("blnpqk,blnuvk->blnpquv", q, k) / np.sqrt(W_K.shape[-1])


# one softmax after the other
@wrong("two_axes", says="over one axis and then over the other")
def two_softmaxes(x, W_Q, W_K, W_V, W_O, axes):
    weights = softmax(softmax(_film_scores(x, W_Q, W_K, axes), axis=-1), axis=-2)
    return _with_weights(x, weights, W_V, W_O, axes)


# the product of two softmaxes
@wrong("two_axes", says="a product of two softmaxes")
def product_of_softmaxes(x, W_Q, W_K, W_V, W_O, axes):
    scores = _film_scores(x, W_Q, W_K, axes)
    weights = softmax(scores, axis=-1) * softmax(scores, axis=-2)
    return _with_weights(x, weights, W_V, W_O, axes)


# no scale
@wrong("two_axes", says="scores were not divided by √d_k")
def film_not_scaled(x, W_Q, W_K, W_V, W_O, axes):
    return _film(x, W_Q, W_K, W_V, W_O, axes, scale=1.0)


# the root of D
@wrong("two_axes", says="were divided by √D")
def film_scaled_by_the_model(x, W_Q, W_K, W_V, W_O, axes):
    return _film(x, W_Q, W_K, W_V, W_O, axes, scale=np.sqrt(x.shape[-1]))


# the root of d_v
@wrong("two_axes", says="scores were divided by √d_v")
def film_scaled_by_values(x, W_Q, W_K, W_V, W_O, axes):
    return _film(x, W_Q, W_K, W_V, W_O, axes, scale=np.sqrt(W_V.shape[-1]))


# the root of N, the wrong axis of the kernel
@wrong("two_axes", says="scores were divided by √N")
def film_scaled_by_heads(x, W_Q, W_K, W_V, W_O, axes):
    return _film(x, W_Q, W_K, W_V, W_O, axes, scale=np.sqrt(W_K.shape[1]))


# always the rows and columns of a frame
@wrong("two_axes", says="these are weights along (2, 3)")
def always_the_frame(x, W_Q, W_K, W_V, W_O, axes):
    return _film(x, W_Q, W_K, W_V, W_O, (2, 3))


# a reshape where a transpose is needed
@wrong("two_axes", says="put together by a reshape alone")
def axes_joined_by_reshape(x, W_Q, W_K, W_V, W_O, axes):
    (other,) = {1, 2, 3} - set(axes)
    y = x.reshape(x.shape[0], x.shape[other], x.shape[axes[0]], x.shape[axes[1]], -1)
    out, weights = _film(y, W_Q, W_K, W_V, W_O, (2, 3))
    return out.reshape(x.shape), weights


# the output is brought back by a reshape
@wrong("two_axes", says="a reshape alone on the way out")
def brought_back_by_reshape(x, W_Q, W_K, W_V, W_O, axes):
    out, weights = _film(np.moveaxis(x, axes, (2, 3)), W_Q, W_K, W_V, W_O, (2, 3))
    return out.reshape(x.shape), weights


# the output is not brought back
@wrong("two_axes", says="are not back in their places")
def not_brought_back(x, W_Q, W_K, W_V, W_O, axes):
    return _film(np.moveaxis(x, axes, (2, 3)), W_Q, W_K, W_V, W_O, (2, 3))


# the same way again instead of the way back
@wrong("two_axes", says="went the same way again")
def same_way_again(x, W_Q, W_K, W_V, W_O, axes):
    out, weights = not_brought_back(x, W_Q, W_K, W_V, W_O, axes)
    return np.moveaxis(out, axes, (2, 3)), weights


# swapaxes: the two places stand in the other order for (1, 2)
@wrong("two_axes", says="P and Q are exchanged")
def other_axis_swapped_to_the_front(x, W_Q, W_K, W_V, W_O, axes):
    (other,) = {1, 2, 3} - set(axes)
    out, weights = _film(x.swapaxes(1, other), W_Q, W_K, W_V, W_O, (2, 3))
    return out.swapaxes(1, other), weights


# the heads before the axis that is not looked along
@wrong("two_axes", says="not looked along stands before the heads")
def heads_first(x, W_Q, W_K, W_V, W_O, axes):
    out, weights = _film(x, W_Q, W_K, W_V, W_O, axes)
    return out, weights.swapaxes(1, 2)


# the long axis is not cut again
@wrong("two_axes", says="two axes are still one")
def weights_not_cut(x, W_Q, W_K, W_V, W_O, axes):
    out, weights = _film(x, W_Q, W_K, W_V, W_O, axes)
    B, L, N, P, Q = weights.shape[:5]
    return out, weights.reshape(B, L, N, P * Q, P * Q)


# the one who asks and the one who is asked in the other order
@wrong("two_axes", says="of that which is asked are exchanged")
def asked_before_asking(x, W_Q, W_K, W_V, W_O, axes):
    out, weights = _film(x, W_Q, W_K, W_V, W_O, axes)
    return out, weights.transpose(0, 1, 2, 5, 6, 3, 4)


# P, P, Q, Q
@wrong("two_axes", says="the axes are P, P, Q, Q")
def places_side_by_side(x, W_Q, W_K, W_V, W_O, axes):
    out, weights = _film(x, W_Q, W_K, W_V, W_O, axes)
    return out, weights.swapaxes(4, 5)


# the long axis of the keys cut as (Q,P)
@wrong("two_axes", says="that is asked P and Q are exchanged")
def cut_the_other_way(x, W_Q, W_K, W_V, W_O, axes):
    out, weights = _film(x, W_Q, W_K, W_V, W_O, axes)
    P, Q = weights.shape[-2:]
    return out, weights.reshape(*weights.shape[:5], Q, P)


# only along its own row and column, as in axial attention
@wrong("two_axes", says="looked along its own row and column")
def one_axis_after_the_other(x, W_Q, W_K, W_V, W_O, axes):
    scores = _film_scores(x, W_Q, W_K, axes)
    P, Q = scores.shape[-2:]
    same_row = np.eye(P, dtype=bool)[:, None, :, None]
    same_column = np.eye(Q, dtype=bool)[None, :, None, :]
    weights = softmax(np.where(same_row | same_column, scores, -np.inf), axis=(-2, -1))
    return _with_weights(x, weights, W_V, W_O, axes)


# everything attends to everything
@wrong("two_axes", says="the third axis is in the softmax")
def all_three_axes(x, W_Q, W_K, W_V, W_O, axes):
    y = np.moveaxis(x, axes, (2, 3))
    q, k, v = (np.einsum("blpqd,dnk->blnpqk", y, W) for W in (W_Q, W_K, W_V))
    weights = softmax(
        np.einsum("blnpqk,bmnuvk->blnpqmuv", q, k) / np.sqrt(W_K.shape[-1]), axis=(-3, -2, -1)
    )
    out = np.einsum("blnpqmuv,bmnuvw,nwd->blpqd", weights, v, W_O)
    return np.moveaxis(out, (2, 3), axes), weights.sum(axis=-3)


# attends along the axis that is not named
@wrong("two_axes", says="these are weights along (1, 2)")
def along_the_other_axis(x, W_Q, W_K, W_V, W_O, axes):
    others = {(2, 3): (1, 2), (1, 3): (2, 3), (1, 2): (1, 3)}
    return _film(x, W_Q, W_K, W_V, W_O, others[tuple(axes)])


# kernels read as (D,d_k,N)
@wrong("two_axes", says="got every N-th number")
def kernels_cut_wrong(x, W_Q, W_K, W_V, W_O, axes):
    def turned(W):
        return W.reshape(len(W), W.shape[2], W.shape[1]).swapaxes(1, 2)

    return _film(x, turned(W_Q), turned(W_K), turned(W_V), W_O, axes)


# merged without the transpose
@wrong("two_axes", says="heads were merged by a reshape alone")
def film_merged_by_reshape(x, W_Q, W_K, W_V, W_O, axes):
    _, weights = _film(x, W_Q, W_K, W_V, W_O, axes)
    v = np.einsum("blpqd,dnk->blnpqk", np.moveaxis(x, axes, (2, 3)), W_V)
    contexts = np.einsum("blnpquv,blnuvw->blnpqw", weights, v)
    B, L, N, P, Q, d = contexts.shape
    out = contexts.reshape(B, L, P, Q, N * d) @ W_O.reshape(N * d, -1)
    return np.moveaxis(out, (2, 3), axes), weights


# averaged over the places that ask
@wrong("two_axes", says="of that which is asked are exchanged")
def values_from_other_places(x, W_Q, W_K, W_V, W_O, axes):
    weights = softmax(_film_scores(x, W_Q, W_K, axes), axis=(-2, -1))
    v = np.einsum("blpqd,dnk->blnpqk", np.moveaxis(x, axes, (2, 3)), W_V)
    out = np.einsum("blnuvpq,blnuvw,nwd->blpqd", weights, v, W_O)
    return np.moveaxis(out, (2, 3), axes), weights


# the heads' outputs averaged
@wrong("two_axes", says="outputs were averaged; they are summed")
def heads_averaged(x, W_Q, W_K, W_V, W_O, axes):
    out, weights = _film(x, W_Q, W_K, W_V, W_O, axes)
    return out / W_Q.shape[1], weights


# the scores, as Keras calls them
@wrong("two_axes", says="these are the scores, before the softmax")
def film_scores_returned(x, W_Q, W_K, W_V, W_O, axes):
    out, _ = _film(x, W_Q, W_K, W_V, W_O, axes)
    return out, _film_scores(x, W_Q, W_K, axes)


# queries and keys exchanged
@wrong("two_axes", says="W_Q and W_K are exchanged")
def film_queries_and_keys_exchanged(x, W_Q, W_K, W_V, W_O, axes):
    return _film(x, W_K, W_Q, W_V, W_O, axes)


# ---------------------------------------------------------------- 6.10 multi_head_backward


@right("multi_head_backward")
def backward_line_by_line(doutput, x, W_Q, W_K, W_V, W_O, heads):
    Q, K, V = (cut_and_swap(x @ W, heads) for W in (W_Q, W_K, W_V))
    scale = 1 / np.sqrt(Q.shape[-1])
    weights = softmax(Q @ K.swapaxes(-1, -2) * scale)
    merged = swap_and_join(weights @ V)
    dW_O = np.einsum("btm,btd->md", merged, doutput)
    dcontexts = cut_and_swap(doutput @ W_O.T, heads)
    dweights = dcontexts @ V.swapaxes(-1, -2)
    dV = weights.swapaxes(-1, -2) @ dcontexts
    dscores = weights * (dweights - (weights * dweights).sum(axis=-1, keepdims=True)) * scale
    dQ, dK, dV = (swap_and_join(d) for d in (dscores @ K, dscores.swapaxes(-1, -2) @ Q, dV))
    dx = dQ @ W_Q.T + dK @ W_K.T + dV @ W_V.T
    dW_Q, dW_K, dW_V = (np.tensordot(x, d, axes=((0, 1), (0, 1))) for d in (dQ, dK, dV))
    return dx, dW_Q, dW_K, dW_V, dW_O


@right("multi_head_backward")
def backward_by_autograd(doutput, x, W_Q, W_K, W_V, W_O, heads):
    import torch

    leaves = [torch.tensor(np.array(a), requires_grad=True) for a in (x, W_Q, W_K, W_V, W_O)]
    t, q, k, v, o = leaves
    q, k, v = ((t @ w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (q, k, v))
    context = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    out = context.transpose(1, 2).flatten(2) @ o
    out.backward(torch.tensor(np.array(doutput)))
    return [leaf.grad.numpy() for leaf in leaves]


@right("multi_head_backward")
def backward_sentence_by_sentence(doutput, x, W_Q, W_K, W_V, W_O, heads):
    dx = np.zeros(x.shape)
    grads = [np.zeros(W.shape) for W in (W_Q, W_K, W_V, W_O)]
    for b in range(len(x)):
        for n in range(heads):
            k = slice(n * W_Q.shape[1] // heads, (n + 1) * W_Q.shape[1] // heads)
            v = slice(n * W_V.shape[1] // heads, (n + 1) * W_V.shape[1] // heads)
            q_n, k_n, v_n = x[b] @ W_Q[:, k], x[b] @ W_K[:, k], x[b] @ W_V[:, v]
            root = math.sqrt(q_n.shape[1])
            p = np.exp(q_n @ k_n.T / root)
            p /= p.sum(axis=1, keepdims=True)
            dc = doutput[b] @ W_O[v].T
            dp = dc @ v_n.T
            ds = np.zeros_like(p)
            for t in range(len(p)):
                ds[t] = (np.diag(p[t]) - np.outer(p[t], p[t])) @ dp[t] / root
            dq, dk, dv = ds @ k_n, ds.T @ q_n, p.T @ dc
            dx[b] += dq @ W_Q[:, k].T + dk @ W_K[:, k].T + dv @ W_V[:, v].T
            grads[0][:, k] += x[b].T @ dq
            grads[1][:, k] += x[b].T @ dk
            grads[2][:, v] += x[b].T @ dv
            grads[3][v] += (p @ v_n).T @ doutput[b]
    return dx, *grads


@right("multi_head_backward")
def backward_by_einsum(doutput, x, W_Q, W_K, W_V, W_O, heads):
    q3, k3, v3 = (W.reshape(len(W), heads, -1) for W in (W_Q, W_K, W_V))
    o3 = W_O.reshape(heads, -1, W_O.shape[1])
    q, k, v = (np.einsum("btd,dnk->bntk", x, W) for W in (q3, k3, v3))
    a = softmax(np.einsum("bntk,bnsk->bnts", q, k) / np.sqrt(q.shape[-1]))
    do = np.einsum("btd,nvd->bntv", doutput, o3)
    da = np.einsum("bntv,bnsv->bnts", do, v)
    ds = a * da - a * np.einsum("bnts,bnts->bnt", a, da)[..., None]
    ds = ds / np.sqrt(q.shape[-1])
    dq = np.einsum("bnts,bnsk->bntk", ds, k)
    dk = np.einsum("bnts,bntk->bnsk", ds, q)
    dv = np.einsum("bnts,bntv->bnsv", a, do)
    dx = sum(np.einsum("bntk,dnk->btd", g, W) for g, W in ((dq, q3), (dk, k3), (dv, v3)))
    dq3, dk3, dv3 = (np.einsum("btd,bntk->dnk", x, g) for g in (dq, dk, dv))
    do3 = np.einsum("bnts,bnsv,btd->nvd", a, v, doutput)
    return (
        dx,
        dq3.reshape(W_Q.shape),
        dk3.reshape(W_K.shape),
        dv3.reshape(W_V.shape),
        do3.reshape(W_O.shape),
    )


def _backward(
    doutput, x, W_Q, W_K, W_V, W_O, heads,
    scale=None, scale_back=None, softmax_back=None, split_back=cut_and_swap,
    merge_back=swap_and_join, forward_merge=swap_and_join,
    terms=(1, 1, 1), turn_keys=True, turn_values=True,
):  # fmt: skip
    """The backward pass with places at which it may go wrong."""
    Q, K, V = (cut_and_swap(x @ W, heads) for W in (W_Q, W_K, W_V))
    scale = 1 / np.sqrt(Q.shape[-1]) if scale is None else scale
    back = scale if scale_back is None else scale_back
    weights = softmax(Q @ K.swapaxes(-1, -2) * scale)
    merged = forward_merge(weights @ V)
    dcontexts = split_back(doutput @ W_O.T, heads)
    dweights = dcontexts @ V.swapaxes(-1, -2)
    if softmax_back is None:
        dscores = weights * (dweights - (weights * dweights).sum(axis=-1, keepdims=True))
    else:
        dscores = softmax_back(weights, dweights)
    dscores = dscores * back
    dQ = merge_back(dscores @ K)
    dK = merge_back((dscores.swapaxes(-1, -2) if turn_keys else dscores) @ Q)
    dV = merge_back((weights.swapaxes(-1, -2) if turn_values else weights) @ dcontexts)
    pairs = ((dQ, W_Q), (dK, W_K), (dV, W_V))
    dx = sum(keep * d @ W.T for keep, (d, W) in zip(terms, pairs, strict=True))
    return (
        dx,
        *(np.einsum("btd,btk->dk", x, d) for d in (dQ, dK, dV)),
        np.einsum("btm,btd->md", merged, doutput),
    )


# the scale is forgotten on the way back
@wrong("multi_head_backward", says="was forgotten on the way back")
def scale_forgotten_backwards(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(doutput, x, W_Q, W_K, W_V, W_O, heads, scale_back=1)


# the scale stands there twice
@wrong("multi_head_backward", says="stands twice on the way back")
def scale_twice_backwards(doutput, x, W_Q, W_K, W_V, W_O, heads):
    d_k = W_Q.shape[1] // heads
    return _backward(doutput, x, W_Q, W_K, W_V, W_O, heads, scale_back=1 / d_k)


# no scale at all, neither way
@wrong("multi_head_backward", says="scores were not divided by √d_k")
def no_scale_either_way(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(doutput, x, W_Q, W_K, W_V, W_O, heads, scale=1)


# the root of D both ways
@wrong("multi_head_backward", says="were divided by √D")
def model_scale_either_way(doutput, x, W_Q, W_K, W_V, W_O, heads):
    scale = 1 / np.sqrt(x.shape[-1])
    return _backward(doutput, x, W_Q, W_K, W_V, W_O, heads, scale=scale)


# the root of N·d_k both ways
@wrong("multi_head_backward", says="divided by √(N·d_k), not by √d_k")
def scale_of_all_heads_either_way(doutput, x, W_Q, W_K, W_V, W_O, heads):
    scale = 1 / np.sqrt(W_Q.shape[1])
    return _backward(doutput, x, W_Q, W_K, W_V, W_O, heads, scale=scale)


# the softmax is passed by
@wrong("multi_head_backward", says="the softmax's backward is missing")
def softmax_passed_by(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(doutput, x, W_Q, W_K, W_V, W_O, heads, softmax_back=lambda a, da: da)


# only the diagonal: a (1 - a)
@wrong("multi_head_backward", says="is its diagonal alone")
def softmax_as_sigmoid(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(
        doutput, x, W_Q, W_K, W_V, W_O, heads, softmax_back=lambda a, da: da * a * (1 - a)
    )


# nothing is taken away
@wrong("multi_head_backward", says="takes no weighted mean of its row")
def mean_not_taken_away(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(doutput, x, W_Q, W_K, W_V, W_O, heads, softmax_back=lambda a, da: a * da)


# the plain mean is taken away
@wrong("multi_head_backward", says="takes the plain mean of a row")
def plain_mean_taken_away(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(
        doutput, x, W_Q, W_K, W_V, W_O, heads,
        softmax_back=lambda a, da: a * (da - da.mean(axis=-1, keepdims=True)),
    )  # fmt: skip


# a sum without the weights
@wrong("multi_head_backward", says="takes the plain sum of a row")
def sum_taken_away(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(
        doutput, x, W_Q, W_K, W_V, W_O, heads,
        softmax_back=lambda a, da: a * (da - da.sum(axis=-1, keepdims=True)),
    )  # fmt: skip


# the sum over the queries
@wrong("multi_head_backward", says="backward sums over the queries")
def mean_over_queries(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(
        doutput, x, W_Q, W_K, W_V, W_O, heads,
        softmax_back=lambda a, da: a * (da - (a * da).sum(axis=-2, keepdims=True)),
    )  # fmt: skip


# the mean is taken away after the product
@wrong("multi_head_backward", says="taken away first, then comes the product")
def last_factor_forgotten(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(
        doutput, x, W_Q, W_K, W_V, W_O, heads,
        softmax_back=lambda a, da: a * da - (a * da).sum(axis=-1, keepdims=True),
    )  # fmt: skip


# the sum over the whole array
@wrong("multi_head_backward", says="takes one sum of everything away")
def summed_over_everything(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(
        doutput, x, W_Q, W_K, W_V, W_O, heads, softmax_back=lambda a, da: a * (da - (a * da).sum())
    )


# x as query only
@wrong("multi_head_backward", says="only the path through the query")
def x_as_query_only(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(doutput, x, W_Q, W_K, W_V, W_O, heads, terms=(1, 0, 0))


# x as value only
@wrong("multi_head_backward", says="only the path through the value")
def x_as_value_only(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(doutput, x, W_Q, W_K, W_V, W_O, heads, terms=(0, 0, 1))


# the keys' term is missing
@wrong("multi_head_backward", says="path through the key is missing")
def x_not_as_key(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(doutput, x, W_Q, W_K, W_V, W_O, heads, terms=(1, 0, 1))


# the values' term is missing
@wrong("multi_head_backward", says="path through the value is missing")
def x_not_as_value(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(doutput, x, W_Q, W_K, W_V, W_O, heads, terms=(1, 1, 0))


# the mean of three
@wrong("multi_head_backward", says="the mean of the three paths")
def mean_of_three(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(doutput, x, W_Q, W_K, W_V, W_O, heads, terms=(1 / 3, 1 / 3, 1 / 3))


# the scores are not turned for the keys
@wrong("multi_head_backward", says="a transpose is missing")
def keys_not_turned(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(doutput, x, W_Q, W_K, W_V, W_O, heads, turn_keys=False)


# the weights are not turned for the values
@wrong("multi_head_backward", says="a transpose is missing")
def values_not_turned(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(doutput, x, W_Q, W_K, W_V, W_O, heads, turn_values=False)


# the gradients are merged by a reshape
@wrong("multi_head_backward", says="gradients were merged by a reshape alone")
def gradients_merged_by_reshape(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(
        doutput, x, W_Q, W_K, W_V, W_O, heads,
        merge_back=lambda d: d.reshape(len(d), d.shape[2], -1),
    )  # fmt: skip


# the gradient at the contexts is split by a reshape
@wrong("multi_head_backward", says="dcontext was split by a reshape alone")
def gradient_split_by_reshape(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(doutput, x, W_Q, W_K, W_V, W_O, heads, split_back=_reshape_only)


# the contexts for dW_O are merged by a reshape
@wrong("multi_head_backward", says="contexts or gradients were merged")
def contexts_merged_by_reshape(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(doutput, x, W_Q, W_K, W_V, W_O, heads, forward_merge=joined_without_swap)


# means over the sentences
@wrong("multi_head_backward", says="is a mean over sentences")
def mean_over_sentences(doutput, x, W_Q, W_K, W_V, W_O, heads):
    dx, *dW = _backward(doutput, x, W_Q, W_K, W_V, W_O, heads)
    return dx, *(d / len(x) for d in dW)


# means over all words
@wrong("multi_head_backward", says="is a mean over words")
def mean_over_words(doutput, x, W_Q, W_K, W_V, W_O, heads):
    dx, *dW = _backward(doutput, x, W_Q, W_K, W_V, W_O, heads)
    return dx, *(d / (x.shape[0] * x.shape[1]) for d in dW)


# one gradient for each sentence
@wrong("multi_head_backward", says="sentences are not summed")
def sentences_not_added(doutput, x, W_Q, W_K, W_V, W_O, heads):
    dx = _backward(doutput, x, W_Q, W_K, W_V, W_O, heads)[0]
    each = [
        _backward(doutput[b : b + 1], x[b : b + 1], W_Q, W_K, W_V, W_O, heads)[1:]
        for b in range(len(x))
    ]
    return dx, *(np.stack(d) for d in zip(*each, strict=True))


# in a loop over sentences, = instead of +=
@wrong("multi_head_backward", says="only the last sentence was counted")
def last_sentence_only(doutput, x, W_Q, W_K, W_V, W_O, heads):
    dx = _backward(doutput, x, W_Q, W_K, W_V, W_O, heads)[0]
    return dx, *_backward(doutput[-1:], x[-1:], W_Q, W_K, W_V, W_O, heads)[1:]


# the matrices' gradients transposed
@wrong("multi_head_backward", says="the gradient is transposed")
def gradients_transposed(doutput, x, W_Q, W_K, W_V, W_O, heads):
    dx, *dW = _backward(doutput, x, W_Q, W_K, W_V, W_O, heads)
    return dx, *(d.T for d in dW)


# keys and queries exchanged
@wrong("multi_head_backward", says="this is dW_K; the order is")
def query_and_key_gradients_exchanged(doutput, x, W_Q, W_K, W_V, W_O, heads):
    dx, dW_Q, dW_K, dW_V, dW_O = _backward(doutput, x, W_Q, W_K, W_V, W_O, heads)
    return dx, dW_K, dW_Q, dW_V, dW_O


# dx at the end
@wrong("multi_head_backward", says="the order is dx, dW_Q")
def dx_last(doutput, x, W_Q, W_K, W_V, W_O, heads):
    dx, *dW = _backward(doutput, x, W_Q, W_K, W_V, W_O, heads)
    return *dW, dx


# the wrong sign
@wrong("multi_head_backward", says="the sign is wrong")
def step_instead_of_gradient(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return tuple(-g for g in _backward(doutput, x, W_Q, W_K, W_V, W_O, heads))


# dW_O from the values, without the weights
@wrong("multi_head_backward", says="dW_O was made from the values")
def output_gradient_from_values(doutput, x, W_Q, W_K, W_V, W_O, heads):
    *rest, _ = _backward(doutput, x, W_Q, W_K, W_V, W_O, heads)
    return *rest, np.einsum("btm,btd->md", x @ W_V, doutput)


# the attention is one head
@wrong("multi_head_backward", says="`heads` was not used")
def one_head_only(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(doutput, x, W_Q, W_K, W_V, W_O, 1)


# the doutput is taken as 1 everywhere
@wrong("multi_head_backward", says="doutput was not used")
def doutput_not_read(doutput, x, W_Q, W_K, W_V, W_O, heads):
    return _backward(np.ones(doutput.shape), x, W_Q, W_K, W_V, W_O, heads)


# the residual path's gradient is added
@wrong("multi_head_backward", says="doutput was added")
def residual_gradient_added(doutput, x, W_Q, W_K, W_V, W_O, heads):
    dx, *dW = _backward(doutput, x, W_Q, W_K, W_V, W_O, heads)
    return dx + doutput, *dW
