"""Checks of Chapter 6's exercises: cuts into heads, and what looks the same and is not."""

from __future__ import annotations

from functools import wraps
from itertools import permutations

from attention_course.checks.core import (
    Array,
    Output,
    Trial,
    close,
    exercise,
    must_refuse,
    np,
    part_of,
    slopes,
)

# What usually goes wrong, in words. Several checks say them.
IN_MEMORY = (
    "the numbers were cut as they lie in memory, by a reshape alone: a row holds pieces of another "
    "position; cut the last axis first, then let axes change places"
)
NOT_BACK = "the heads were merged by a reshape alone, without letting axes change places first"
EVERY_NTH = "a head got every N-th number; it gets neighbours: the first d_k, the next d_k, …"
BLOCKS = (
    "the words were split first and each piece was projected alone: block-diagonal matrices, each "
    "head blind to most of a word"
)
UNSCALED = "the scores were not divided by √d_k"
MODEL_SCALE = (
    "the scores were divided by √D or √(N·d_k), the size of all heads; a head's keys have d_k "
    "numbers"
)
OVER_HEADS = "the softmax went over the heads; each head has weights of its own, over the keys"
OVER_QUERIES = "the softmax went over the queries; for each query, weights over the keys sum to 1"
INVERTED = "the mask was read the wrong way round: True means *may attend*"
NO_MASK = "the mask was not used"
AFTER = "the mask was put on the weights, after the softmax, so that they no longer sum to 1"
SMALL = "the number that was added for a forbidden key is too small; −inf gives exactly 0"
TIMES = (
    "a forbidden key got the score 0 (by scores times mask, or −1e-9 in place of −1e9); a score of "
    "0 is not a weight of 0"
)
FIRST = "only the first sentence was used"
SCORES = "these are the scores, before the softmax"


def _cut(x: Array, heads: int) -> Array:
    """(B,T,D) -> (B,N,T,D/N), column by column."""
    return np.stack(np.split(x, heads, axis=-1), axis=1)


def _in_memory(x: Array, heads: int) -> Array:
    return x.reshape(len(x), heads, x.shape[1], -1)


def _every_nth(x: Array, heads: int) -> Array:
    return np.stack([x[..., n::heads] for n in range(heads)], axis=1)


def _join(x: Array) -> Array:
    """(B,N,T,d) -> (B,T,N·d): the heads side by side."""
    return np.concatenate([x[:, n] for n in range(x.shape[1])], axis=-1)


def _join_in_memory(x: Array) -> Array:
    return x.reshape(len(x), x.shape[2], -1)


def _attend(q: Array, k: Array, v: Array, allowed: Array, root: float = 0) -> tuple[Array, Array]:
    """Dot-product attention of (…,T,d_k), (…,S,d_k), (…,S,d_v): context and weights."""
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(root or q.shape[-1])
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return _average(powers * allowed, v)


def _average(powers: Array, v: Array, axis: int = -1) -> tuple[Array, Array]:
    weights = powers / np.maximum(powers.sum(axis=axis, keepdims=True), 1e-300)
    return weights @ v, weights


# --- There and back -----------------------------------------------------------


@exercise
def split_heads(answer, draw):
    """Row t of head n is its block of word t's numbers; ValueError where N does not divide D."""
    small, large = np.arange(12).reshape(1, 3, 4), draw.normal(size=(2, 5, 12))
    for x, heads in ((small, 2), (large, 3), (large, 12), (large, 1)):
        B, T, D = x.shape
        size = D // heads
        expected = _cut(x, heads)
        mistakes = {IN_MEMORY: _in_memory(x, heads), EVERY_NTH: _every_nth(x, heads)}
        mistakes["order='F' is not meant"] = x.reshape(B, heads, T, size, order="F")
        mistakes["the heads are in the wrong order"] = expected[:, ::-1]
        mistakes["words and numbers changed places before the cut: cut first"] = np.swapaxes(
            x, 1, 2
        ).reshape(B, heads, T, size)
        mistakes["every head got the first d_k numbers"] = np.stack([x[..., :size]] * heads, axis=1)
        mistakes["sentences and heads have changed places, too; sentences stay in front"] = (
            np.swapaxes(expected, 0, 1).reshape(expected.shape)
        )
        causes = {
            (1, heads, T, size): FIRST,
            (B, T, heads, size): "words and heads have not changed places yet",
            (B, heads, size, T): "a head's rows are words, its columns numbers, not the reverse",
            (heads, B, T, size): "the heads were put before the sentences",
            (heads * B, T, size): "the heads became sentences; they need an axis of their own",
            (B, size, T, heads): "N and d_k are exchanged: D is cut into N parts of d_k numbers",
        }
        cut = Trial(answer, x=x, heads=heads).output("the result")
        cut.shape("(B,N,T,d_k)", (B, heads, T, size), causes)
        told = "row t of a head holds that head's share of word t, and of no other word"
        cut.equals(told, expected, mistakes)
    told = "12 numbers cannot be shared out among 5 heads: ValueError"
    cause = "D // N was used without a look at what is left over"
    must_refuse(answer, told, "", cause, x=large, heads=5)


@exercise
def merge_heads(answer, draw):
    """Row t holds what all heads say for word t, the first first; tested without a split."""
    small = _cut(np.arange(12).reshape(1, 3, 4), 2)
    others = [draw.normal(size=shape) for shape in ((2, 3, 5, 4), (3, 2, 2, 3), (2, 1, 4, 3))]
    for x in (small, *others):
        B, N, T, size = x.shape
        expected = _join(x)
        causes = {
            (B, N, T * size): "each row is a head; a row must be a word",
            (N, T, B * size): "sentences and heads have changed places, not words and heads",
            (B * T, N * size): "sentences and words share an axis",
            (B, N * T, size): "the heads stand below each other; they belong side by side",
            (B, T, N, size): "heads and numbers are still two axes: they are to become one",
            (B, T, size): "the heads were added up, or averaged; they belong side by side",
            (1, T, N * size): FIRST,
        }
        mistakes = {
            NOT_BACK: _join_in_memory(x),
            "the first number of every head stands in front; each head's numbers stay together": (
                np.stack([x[:, n] for n in range(N)], axis=-1).reshape(B, T, -1)
            ),
            "the heads are in the wrong order": _join(x[:, ::-1]),
            "the words were put before the sentences; sentences stay in front": (
                np.swapaxes(_join(x), 0, 1).reshape(B, T, -1)
            ),
        }
        merged = Trial(answer, x=x).output("the result")
        merged.shape("(B,T,N·d_v)", (B, T, N * size), causes)
        told = "row t holds what all heads have for word t, the first head's numbers first"
        cause = (
            "not words and heads have changed places, or axes were joined that were no neighbours"
        )
        merged.equals(told, expected, mistakes, cause)


def _count(query: int, key: int, value: int, out: int, size: int, bias: bool) -> int:
    """Parameters of three projections from `size` to so many numbers, and one from `out` back."""
    return size * (query + key + value + out) + bias * (query + key + value + size * (out > 0))


@exercise
def count_parameters(answer, draw):
    """Four matrices and their biases, with as many key heads as query heads and with fewer."""
    head, heads = int(draw.integers(3, 20)), 6 * int(draw.integers(1, 4))
    examples = [(64, 4, 4, True), (64, 16, 16, True), (64, 4, 4, False), (64, 8, 2, True)]
    others = [(64, 8, 1, False), (12, 1, 1, False), (head * heads, heads, 3, True)]
    for D, N, G, bias in examples + others:
        small = G * D // N
        expected = _count(D, small, small, D, D, bias)
        dropped = f"{N - G} of the {N} heads have no keys of their own"
        mistakes = {
            "each head got D numbers; the heads share them: D/N each": (
                _count(N * D, G * D, G * D, N * D, D, bias)
            ),
            "the matrices were counted once for each head; the heads share their columns": (
                N * _count(D, small, small, D, D, False) + bias * 2 * (D + small)
            ),
            "matrices and biases were counted once for each head; the heads share them": (
                N * _count(D, small, small, D, D, bias)
            ),
            "each head got whole matrices; the heads share them: D/N columns each": (
                _count(N * D, G * D, G * D, D, D, bias)
            ),
            "the columns of one head were counted, not those of all heads": (
                _count(D // N, D // N, D // N, D, D, bias)
            ),
            "the output matrix was taken to read G heads; it reads what N query heads say": (
                _count(D, small, small, small, D, bias)
            ),
            "the output's bias is missing": expected - D * bias,
            "a bias is one number for every number given out, not one for the matrix": (
                _count(D, small, small, D, D, False) + 4 * bias
            ),
            "the output matrix is missing": _count(D, small, small, 0, D, bias),
            "the biases were counted, or left out, against `bias`": (
                _count(D, small, small, D, D, not bias)
            ),
            f"key_heads was not used; {dropped}": _count(D, D, D, D, D, bias),
            "only the keys were shared; each key head has a value head": (
                _count(D, small, D, D, D, bias)
            ),
            "key_heads was taken for the number of heads that share a key head": (
                _count(D, D // G, D // G, D, D, bias)
            ),
            "all biases have D numbers, as if no heads were shared": (
                _count(D, small, small, D, D, False) + 4 * D
            ),
        }
        trial = Trial(answer, model_size=D, heads=N, key_heads=G, bias=bias)
        told = "all matrices and, if there are any, all biases are counted"
        trial.output("the number").equals(told, expected, mistakes, tolerance=1e-12)


# --- A probe ------------------------------------------------------------------


def cuts_and_turns(x, heads):
    return _cut(x, heads)


def reshape_alone(x, heads):
    return _in_memory(x.copy(), heads)


def every_nth_number(x, heads):
    return _every_nth(x, heads)


def projects_then_splits(x, heads):
    columns = np.arange(x.shape[-1])
    return _cut(np.tanh(x @ np.cos(columns[:, None] * (columns + 1.0))), heads)


def normalizes_then_splits(x, heads):
    return _cut(x - x.mean(axis=-1, keepdims=True), heads)


def normalizes_then_reshapes(x, heads):
    return _in_memory(x - x.mean(axis=-1, keepdims=True), heads)


def reads_the_words_backwards(x, heads):
    return _cut(x[:, ::-1], heads)


def reads_one_word_late(x, heads):
    return _cut(np.concatenate([x[:, -1:], x[:, :-1]], axis=1), heads)


def subtracts_the_mean_word(x, heads):
    return _cut(x - x.mean(axis=1, keepdims=True), heads)


def last_head_backwards(x, heads):
    cut = _cut(x, heads)
    return np.concatenate([cut[:, :-1], cut[:, -1:, ::-1]], axis=1)


def last_sentence_backwards(x, heads):
    return _cut(np.concatenate([x[:-1], x[-1:, ::-1]]), heads)


def adds_positions_then_splits(x, heads):
    return _cut(x + np.arange(x.shape[1])[:, None], heads)


def last_row_reads_word_1(x, heads):
    return _cut(np.concatenate([x[:, :-1], x[:, -1:] + x[:, :1]], axis=1), heads)


def first_row_reads_last_word(x, heads):
    return _cut(np.concatenate([x[:, :1] + x[:, -1:], x[:, 1:]], axis=1), heads)


USUAL = (2, 5, 12, 3)  # (B,T,D,N)
TESTS = "a test of the shape, or of there and back: neither says whose numbers stand in a row"
SEARCHED = "a word's own numbers were searched in its row; a split may change them"
ONE_WORD = (
    "only one word was changed, only one row was looked at, or *every* row had to move; one is "
    "enough"
)
OWN = (
    "that a row moves with its own word was counted, the rows were taken from another axis than "
    "the third, or True and False are exchanged"
)
UNSEEN = (
    "the change was not seen: too small for np.allclose, made in the array with which it is "
    "compared (`y = x` is no copy), or looked for in another sentence"
)
COMPARED = (
    "the probe compares with one right split, or merges as one right split would; any split of a "
    "word's own numbers is right"
)
ALONE = (
    "the words were tried alone, or in another order; a row may depend on where its word stands, "
    "but not on other words"
)
FIRST_HEAD = "only the first head was looked at, or only numbers of the first head were changed"
SAME = "all numbers of a word were moved by the same amount, and this split takes that out again"
PROBES = (
    (cuts_and_turns, USUAL, False, OWN),
    (reshape_alone, USUAL, True, TESTS),
    (
        reshape_alone,
        (2, 3, 12, 3),
        True,
        "with T = N each head has one word whole, in all its rows",
    ),
    (reshape_alone, (2, 6, 12, 3), True, "where N divides T heads have whole words, in wrong rows"),
    (every_nth_number, USUAL, False, COMPARED),
    (projects_then_splits, USUAL, False, SEARCHED),
    (normalizes_then_splits, (2, 4, 6, 2), False, SEARCHED),
    (reads_one_word_late, USUAL, True, "the words were shifted in a circle: that shows no shift"),
    (last_row_reads_word_1, USUAL, True, ONE_WORD),
    (first_row_reads_last_word, USUAL, True, ONE_WORD),
    (reads_the_words_backwards, USUAL, True, "the words were reversed: that shows no reversal"),
    (subtracts_the_mean_word, USUAL, True, "the words changed places, and a mean knows no order"),
    (last_head_backwards, USUAL, True, FIRST_HEAD),
    (last_sentence_backwards, USUAL, True, "only the first sentence was looked at"),
    (normalizes_then_reshapes, USUAL, True, SAME),
    (adds_positions_then_splits, USUAL, False, ALONE),
    (reshape_alone, (2, 5, 12, 1), False, "with one head a reshape alone is right"),
    (reshape_alone, (2, 1, 12, 3), False, "with one word there is nothing to mix"),
)


@exercise
def mixes_positions(answer, draw):
    """Splits, right and wrong ones, are told apart by which rows move with which word."""
    for split, (*shape, heads), mixes, cause in PROBES:
        calls = []

        @wraps(split)
        def counted(x, heads, split=split, calls=calls):
            calls.append(x)
            return split(x, heads)

        trial = Trial(answer, split=counted, shape=tuple(shape), heads=heads)
        if cause == TESTS and len(calls) > 1:
            cause = UNSEEN
        said = trial.output("the answer")
        said.shape("()", ())
        verb = "mixes" if mixes else "does not mix"
        told = f"`{split.__name__}` {verb} positions"
        trial.must(told, bool(said.value) == mixes, mixes, bool(said.value), cause)


# --- The layer ----------------------------------------------------------------


def _terms(weights: Array, values: Array, blocks: Array) -> Array:
    """weights (B,N,T,S), values (B,N,S,d_v), blocks (N,d_v,D): what each word says, by head."""
    terms = np.zeros((*weights.shape, blocks.shape[-1]))
    for b, n, t, s in np.ndindex(weights.shape):
        terms[b, n, t, s] = weights[b, n, t, s] * (values[b, n, s] @ blocks[n])
    return terms


def _wrong_terms(
    weights: Array, values: Array, W_O: Array, expected: Array, share: int
) -> dict[str, Array]:
    """Mistake -> terms; share: D/N."""
    N, cut = weights.shape[1], _cut(values, weights.shape[1])
    blocks = np.stack(np.split(W_O, N))
    short = _cut(values[..., : N * share], N), np.stack(np.split(W_O[: N * share], N))
    per_head = expected.mean(axis=3, keepdims=True)
    output = expected.sum(axis=(1, 3), keepdims=True)
    every_nth = np.stack([W_O[n::N] for n in range(N)])
    return {
        "the rows of W_O were shared out one by one; each head has d_v neighbours": (
            _terms(weights, cut, every_nth)
        ),
        "the projected values: " + EVERY_NTH: _terms(weights, _every_nth(values, N), blocks),
        "the projected values: " + IN_MEMORY: _terms(weights, _in_memory(values, N), blocks),
        "all heads go through the first head's rows of W_O": (
            _terms(weights, cut, np.stack([blocks[0]] * N))
        ),
        "all heads read the first head's columns of W_V": (
            _terms(weights, np.stack([cut[:, 0]] * N, axis=1), blocks)
        ),
        "the terms are a mean over heads; the output is their sum": expected / N,
        "a head's words got equal shares; each has its own weight and value": (
            np.broadcast_to(per_head, expected.shape)
        ),
        "the weights were left out": _terms(np.ones_like(weights), cut, blocks),
        "the output was shared out equally: the sum is right, the terms are not": (
            np.broadcast_to(output / (N * weights.shape[3]), expected.shape)
        ),
        "a head's sum was shared out by its weights; its words have different values, too": (
            expected.sum(axis=3, keepdims=True) * weights[..., None]
        ),
        "every head went through all columns and all rows; each has a block of its own": (
            weights[..., None] * (values @ W_O)[:, None, None]
        ),
        "the blocks of W_O are in the wrong order": _terms(weights, cut, blocks[::-1]),
        "d_v was taken to be D/N; the matrices say how many columns a head has": (
            _terms(weights, *short)
        ),
        "all sentences got the values of the first": (
            _terms(weights, np.stack([cut[0]] * len(cut)), blocks)
        ),
        "values and rows of W_O were each summed over d_v; they share that axis, one letter": (
            _terms(weights, cut.sum(axis=-1, keepdims=True), blocks.sum(axis=1, keepdims=True))
        ),
    }


@exercise
def heads_as_sum(answer, draw):
    """One term for each head and source word; their sum is the layer's output."""
    rows = [np.array([[[1.0, 2], [3, 4]]]), np.eye(2), np.array([[1.0, 10], [100, 1000]])]
    hand = (np.array([[0.25, 0.75], [0.5, 0.5]]).reshape(1, 2, 1, 2), *rows)
    cases = [hand]
    for B, N, T, S, D, d_v, out in ((1, 2, 1, 2, 2, 2, 2), (2, 3, 4, 5, 6, 4, 7)):
        powers = np.exp(draw.normal(size=(B, N, T, S)))
        shapes = ((B, S, D), (D, N * d_v), (N * d_v, out))
        matrices = [draw.normal(size=shape) for shape in shapes]
        cases.append((powers / powers.sum(axis=-1, keepdims=True), *matrices))
    for weights, value, W_V, W_O in cases:
        B, N, T, S = weights.shape
        D, values = W_O.shape[1], value @ W_V
        expected = _terms(weights, _cut(values, N), np.stack(np.split(W_O, N)))
        output = _join(weights @ _cut(values, N)) @ W_O
        mistakes = _wrong_terms(weights, values, W_O, expected, value.shape[-1] // N)
        trial = Trial(answer, weights=weights, value=value, W_V=W_V, W_O=W_O)
        terms, causes = trial.output("the result"), {(B, N, T, D): "the words were summed already"}
        causes[B, T, S, D] = "the heads were summed already"
        causes |= {
            order: "the axes are in another order" for order in permutations((B, N, T, S, D))
        }
        causes[B, N, T, S, W_V.shape[1] // N] = "the rows of W_O are missing"
        terms.shape("(B,N,T,S,D′)", (B, N, T, S, D), causes)
        summed = {mistake: wrong.sum(axis=(1, 3)) for mistake, wrong in mistakes.items()}
        sums = Output(trial, "the sum", terms.value.sum(axis=(1, 3)))
        told = "summed over heads and words, it is the layer's output"
        sums.equals(told, output, summed)
        told = "a term is what one source word says through one head to one query"
        terms.equals(told, expected, mistakes)


def _by_head(query, key, value, W_Q, W_K, W_V, W_O, heads, allowed) -> tuple[Array, Array]:
    """One sentence and one head at a time; allowed (B,T,S)."""
    output, weights = 0, []
    for n in range(heads):
        q, k, v = (np.split(W, heads, axis=1)[n] for W in (W_Q, W_K, W_V))
        pairs = zip(query @ q, key @ k, value @ v, allowed, strict=True)
        found = [_attend(*one) for one in pairs]
        context, weight = (np.stack(parts) for parts in zip(*found, strict=True))
        output = output + context @ np.split(W_O, heads)[n]
        weights.append(weight)
    return output, np.stack(weights, axis=1)


def _wrong_layers(query, key, value, W_Q, W_K, W_V, W_O, heads, mask) -> dict[str, tuple]:
    """Mistake -> (output, weights) of a layer with it; `mask` (B,T,S), all True for None."""
    B, T, D = query.shape

    def layer(
        cut=_cut, join=_join, k=key, v=value, seen=mask[:, None], root=0, matrices=(W_Q, W_K, W_V)
    ):
        parts = (cut(x @ W, heads) for x, W in zip((query, k, v), matrices, strict=True))
        context, weights = _attend(*parts, seen, root)
        return join(context) @ W_O, weights

    q, k, v = (
        _cut(x @ W, heads) for x, W in zip((query, key, value), (W_Q, W_K, W_V), strict=True)
    )
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    powers, seen = np.exp(scores) * mask[:, None], mask[:, None]

    def averaged(powers, axis=-1):
        context, weights = _average(powers, v, axis)
        return _join(context) @ W_O, weights

    late = averaged(np.exp(scores))[1] * seen
    right, plain = layer(), UNSCALED
    if v.shape[-1] == 1:
        plain += ", or were divided by √d_v, which is 1 here"
    found = {
        MODEL_SCALE: layer(root=D),
        plain: layer(root=1),
        "the scores were multiplied by √d_k": layer(root=1 / q.shape[-1]),
        "the scores were divided by √(D/N); d_k is what W_K says, here not D/N": (
            layer(root=D // heads)
        ),
        "the scores were divided by √(N·d_k), not by √d_k": layer(root=W_Q.shape[1]),
        "the scores were divided by d_k, not by its root": layer(root=q.shape[-1] ** 2),
        OVER_HEADS: averaged(powers, axis=1),
        OVER_QUERIES: averaged(powers, axis=2),
        IN_MEMORY: layer(cut=_in_memory),
        "split and merged by a reshape alone: " + IN_MEMORY: layer(_in_memory, _join_in_memory),
        NOT_BACK: layer(join=_join_in_memory),
        EVERY_NTH: layer(cut=_every_nth),
        BLOCKS: layer(matrices=[W * _blocks(W.shape, heads) for W in (W_Q, W_K, W_V)]),
        "the values were made from the keys": layer(v=key),
        "the keys were made from the values": layer(k=value),
        "W_Q and W_K are exchanged": layer(matrices=(W_K, W_Q, W_V)),
        "the keys were projected by W_Q": layer(matrices=(W_Q, W_Q, W_V)),
        "the queries were projected by W_K": layer(matrices=(W_K, W_K, W_V)),
        SCORES: (right[0], scores),
        "the query was added; that is done around this layer, not in it": (
            (right[0] + query, right[1])
        ),
        "the mask of the first sentence was used for all": layer(seen=seen[:1]),
        "the mask's row of the first query was used for all": layer(seen=seen[:, :, :1]),
        INVERTED: layer(seen=~seen),
        NO_MASK: averaged(np.exp(scores)),
        AFTER: (_join(late @ v) @ W_O, late),
        TIMES: averaged(np.exp(scores * seen)),
    }
    if heads == B:
        found["B was taken for N: a head has the mask of a sentence"] = layer(seen=mask[None])
    if heads == T:
        rows = np.swapaxes(mask[:1], 0, 1)  # (N,1,S): a row of the mask for each head
        found["a head has one row of the mask; N was put where T is"] = layer(seen=rows[None])
    return found


def _blocks(shape: tuple[int, int], heads: int) -> Array:
    return np.kron(np.eye(heads), np.ones((shape[0] // heads, shape[1] // heads)))


def _inputs(draw, B: int, T: int, S: int, D: int, heads: int, d_k: int, d_v: int) -> list[Array]:
    """query, key, value, W_Q, W_K, W_V, W_O; none is symmetric, none is like another."""
    shapes = [(B, T, D), (B, S, D), (B, S, D), (D, heads * d_k), (D, heads * d_k)]
    shapes += [(D, heads * d_v), (heads * d_v, D)]
    return [draw.normal(size=shape) / (1 if len(shape) == 3 else 2) for shape in shapes]


def _layer_cases(draw) -> tuple:
    """(arrays, heads, mask); with B = N and T = N a mask on the wrong axis runs."""
    ln3, one = np.log(3), np.eye(2)
    hand = [np.ones((1, 1, 2)), np.array([[[0, ln3], [ln3, 0]]]), np.array([[[0.0, 0], [4, 4]]])]
    later = np.tri(3, 4, dtype=bool)  # (T,S)
    real = (np.arange(4) < np.array([3, 2])[:, None])[:, None]  # (B,1,S)
    return (
        (hand + [one, one, one, one], 2, None),
        (_inputs(draw, 1, 3, 2, 4, 2, 3, 1), 2, None),
        (_inputs(draw, 2, 3, 4, 4, 2, 2, 1), 2, real),
        (_inputs(draw, 2, 3, 4, 4, 2, 2, 1), 2, real & later),
        (_inputs(draw, 2, 3, 4, 3, 3, 2, 1), 3, later),
        (_inputs(draw, 2, 4, 5, 6, 3, 2, 4), 3, None),
        (_inputs(draw, 2, 4, 5, 6, 1, 3, 4), 1, None),
    )


@exercise
def multi_head(answer, draw):
    """Output and weights of the layer; masks of three shapes; sizes of heads that are not D/N."""
    names = ("query", "key", "value", "W_Q", "W_K", "W_V", "W_O")
    for arrays, heads, mask in _layer_cases(draw):
        (B, T, D), S = arrays[0].shape, arrays[1].shape[1]
        allowed = np.broadcast_to(True if mask is None else mask, (B, T, S))
        output, weights = _by_head(*arrays, heads, allowed)
        wrong = _wrong_layers(*arrays, heads, allowed)
        given = dict(zip(names, arrays, strict=True)) | {"heads": heads, "mask": mask}
        trial = Trial(answer, **given)
        got, looks = trial.outputs("output", "weights")
        causes = {(B, T, S): "the weights are a mean over heads, or there is only one head"}
        if got.value.shape == weights.shape:
            causes[looks.value.shape] = "output and weights are exchanged"
        looks.shape("(B,N,T,S)", (B, heads, T, S), causes)
        causes = {(B, T, len(arrays[-1])): "the output matrix is missing"}
        got.shape("(B,T,D)", (B, T, D), causes)
        told = "each head has weights of its own: a softmax over the keys it may attend to"
        kept = looks.value * allowed[:, None]
        kept = kept / np.maximum(np.abs(kept.sum(axis=-1, keepdims=True)), 1e-300)
        leaks = looks.value[weights == 0].any()
        cause = SMALL if leaks and close(kept, weights) else ""
        looks.equals(told, weights, part_of(wrong, 1), cause)
        zeros = not np.broadcast_to(looks.value, weights.shape)[weights == 0].any()
        trial.must("a forbidden key has weight 0, exactly", zeros, weights, looks.value, cause)
        told = "with one head it is plain attention"
        told = told if heads == 1 else "the heads, merged, times W_O"
        got.equals(told, output, part_of(wrong, 0))


# --- Layouts ------------------------------------------------------------------

PARTS = ("query", "key", "value")


def _keras_weights(make, D: int, heads: int, size: int) -> dict[str, Array]:
    weights = {}
    for part in PARTS:
        weights[f"{part}/kernel"] = make((D, heads, size))
        weights[f"{part}/bias"] = make((heads, size))
    weights["attention_output/kernel"] = make((heads, size, D))
    weights["attention_output/bias"] = make((D,))
    return weights


def _keras_forward(weights: dict[str, Array], *inputs: Array) -> Array:
    """Of query, key and value, as Keras computes it: the heads are an axis of each kernel."""
    parts = []
    for name, x in zip(PARTS, inputs, strict=True):
        projected = np.einsum("btm,mnk->bntk", x, weights[f"{name}/kernel"])
        parts.append(projected + weights[f"{name}/bias"][:, None])
    context, _ = _attend(*parts, np.array(True))
    mixed = np.einsum("bntk,nkm->btm", context, weights["attention_output/kernel"])
    return mixed + weights["attention_output/bias"]


def _torch_forward(weights: dict[str, Array], heads: int, *inputs: Array) -> Array:
    """Of query, key and value, as torch computes it: matrices (out,in), three below each other."""
    blocks = np.split(weights["in_proj_weight"], 3), np.split(weights["in_proj_bias"], 3)
    triples = zip(inputs, *blocks, strict=True)
    parts = [_cut(np.einsum("bti,oi->bto", x, W) + b, heads) for x, W, b in triples]
    context = _join(_attend(*parts, np.array(True))[0])
    return np.einsum("bti,oi->bto", context, weights["out_proj.weight"]) + weights["out_proj.bias"]


def _packed(weights, order=PARTS, turned=True, nth=False, first=False) -> dict[str, Array]:
    """As torch has it, or with a mistake: order, not turned, numbers before heads, heads first."""
    kernels = [weights[f"{name}/kernel"] for name in order]
    biases, last = [weights[f"{name}/bias"] for name in order], weights["attention_output/kernel"]
    if nth:
        kernels, biases = [np.swapaxes(W, 1, 2) for W in kernels], [b.T for b in biases]
        last = np.swapaxes(last, 0, 1)
    size = len(weights["attention_output/bias"])
    if first:
        kernels = [np.swapaxes(W, 0, 1) for W in kernels]
    flat = [W.reshape(size, size) for W in (*kernels, last)]
    flat = [W.T for W in flat] if turned else flat
    return {
        "in_proj_weight": np.concatenate(flat[:3]),
        "in_proj_bias": np.concatenate([b.ravel() for b in biases]),
        "out_proj.weight": flat[3],
        "out_proj.bias": weights["attention_output/bias"],
    }


def _wrongly_packed(weights: dict[str, Array]) -> dict[str, dict[str, Array]]:
    wrong = {
        "torch keeps a matrix as (out,in): a transpose is missing": {"turned": False},
        "the numbers of a head were put before the heads; head 1 has the first d_k": {"nth": True},
        "the numbers of a head were put before the heads, and a transpose is missing": {
            "turned": False,
            "nth": True,
        },
        "the heads were put in front by a transpose, and D and d_k became one axis": {
            "turned": False,
            "first": True,
        },
    }
    for order in list(permutations(PARTS))[1:]:
        told = f"the blocks lie in the order {', '.join(order)}; torch's is query, key, value"
        wrong[told] = {"order": order}
    found = {mistake: _packed(weights, **options) for mistake, options in wrong.items()}
    right, (D, heads, size) = _packed(weights), weights["query/kernel"].shape
    pairs = [(name, n) for n in range(heads) for name in PARTS]
    together = {
        "in_proj_weight": np.concatenate([weights[f"{name}/kernel"][:, n].T for name, n in pairs]),
        "in_proj_bias": np.concatenate([weights[f"{name}/bias"][n] for name, n in pairs]),
    }
    told = "query, key and value of a head stand together; torch has the queries of all heads first"
    found[told] = right | together
    names = ("in_proj_weight", "in_proj_bias")
    divided = {
        name: np.concatenate([right[name][:D] / size**0.5, right[name][D:]]) for name in names
    }
    found["the queries were divided by √d_k; torch does that itself"] = right | divided
    return found


@exercise
def to_torch(answer, draw):
    """Each number of a Keras layer in its place in torch; ValueError where key_dim does not fit."""
    numbers = iter(range(1000))

    def named(shape):
        return np.array([float(next(numbers)) for _ in range(np.prod(shape))]).reshape(shape)

    axes = {"in_proj_weight": "(3D,D)", "in_proj_bias": "(3D,)"}
    axes |= {"out_proj.weight": "(D,D)", "out_proj.bias": "(D,)"}
    beside = "the three matrices stand side by side; torch puts them below each other"
    for D, heads, make in ((4, 2, named), (12, 3, lambda shape: draw.normal(size=shape))):
        weights = _keras_weights(make, D, heads, D // heads)
        inputs = [draw.normal(size=(2, steps, D)) for steps in (3, 5, 5)]
        expected, output = _packed(weights), _keras_forward(weights, *inputs)
        wrong = _wrongly_packed(weights)
        trial = Trial(answer, weights=weights)
        is_dict = isinstance(trial.result, dict)
        got = sorted(map(str, trial.result)) if is_dict else type(trial.result).__name__
        told = "it returns a dictionary with torch's four names"
        cause = "a name is missing, or not spelled as in the table"
        trial.must(told, got == sorted(expected), sorted(expected), got, cause)
        for name, right in expected.items():
            array = Output(trial, name, trial.result[name])
            causes = {(D, 3 * D): beside}
            causes |= dict.fromkeys(((3, D, D), (3, D)), "the three are in a stack, not joined")
            causes[3 * heads, D // heads] = "heads and numbers are still two axes"
            array.shape(axes[name], right.shape, causes)
            array.equals(f"{name}: each number is in its place", right, part_of(wrong, name))
        same = Output(trial, "the output", _torch_forward(trial.result, heads, *inputs))
        same.equals("both layers say the same", output)
    told = "2 heads of 3 numbers do not make 4: nn.MultiheadAttention cannot hold them: ValueError"
    cause = "key_dim is one head's; torch has none, and takes D/N"
    must_refuse(answer, told, "", cause, weights=_keras_weights(np.ones, 4, 2, 3))


# --- Fewer keys ---------------------------------------------------------------


def _grouped(queries, keys, values, allowed, reads, hears=None, late=False) -> Array:
    """allowed (N,T,S); reads: query head -> key head; with a mistake: hears -> value head; late:
    the mask after the softmax."""
    contexts = np.zeros((*queries.shape[:3], values.shape[-1]))
    for b, n in np.ndindex(queries.shape[:2]):
        k, v = keys[b, reads(n)], values[b, (hears or reads)(n)]
        _, weights = _attend(queries[b, n], k, v, late | allowed[n])
        contexts[b, n] = (weights * allowed[n]) @ v
    return contexts


def _wrong_groups(queries, keys, values, allowed) -> dict[str, Array]:
    B, N, T, size = queries.shape
    S, d_v = values.shape[-2:]
    share, G = N // keys.shape[1], keys.shape[1]
    rows = np.repeat(allowed[0], share, axis=0).reshape(share, T, -1)  # of a group's queries

    columns = np.repeat(allowed[0], share, axis=1).reshape(share, T, S)

    def layer(allowed=allowed, reads=lambda n: n // share, scale=1.0, **options):
        return _grouped(queries * scale, keys, values, allowed, reads, **options)

    def seen(rows):
        return layer(np.broadcast_to(rows, allowed.shape))

    mean = [x.mean(axis=1, keepdims=True) for x in (keys, values)]
    by_word = layer().reshape(B, G, share, T, d_v)
    return {
        "a row of the mask meets the query of another position, in groups of several heads": (
            layer(np.concatenate([rows] * G))
        ),
        "the wrong heads are paired, on the way in or out: query head n (from 0) belongs to "
        "n // (N/G), not to n % G": layer(reads=lambda n: n % G),
        "keys and values are not paired in the same way: both of n // (N/G)": (
            layer(hears=lambda n: n % G)
        ),
        "the queries of a group were ordered by position, and their contexts not put back": (
            np.swapaxes(by_word, 2, 3).reshape(B, N, T, d_v)
        ),
        "keys and values of all groups were averaged": (
            _grouped(queries, *mean, allowed, lambda n: 0)
        ),
        "all query heads read the first key head": layer(reads=lambda n: 0),
        NO_MASK: layer(np.ones_like(allowed)),
        INVERTED: layer(~allowed),
        AFTER: layer(late=True),
        "the mask's columns were repeated, not its rows": layer(np.concatenate([columns] * G)),
        "the last row of the mask was used for all queries": seen(allowed[:, -1:]),
        "the first row of the mask was used for all queries": seen(allowed[:, :1]),
        "another mask, a causal one, was used": seen(np.tri(T, S, S - T, dtype=bool)),
        UNSCALED: layer(scale=np.sqrt(size)),
        "the scores were divided by √d_v, not by √d_k": layer(scale=np.sqrt(size / d_v)),
    }


@exercise
def grouped_attention(answer, draw):
    """Query heads that share key heads, with a mask and several queries at a time."""
    ln3 = np.log(3)
    hand = (np.ones((1, 4, 1, 1)), np.array([[[0, ln3], [ln3, 0]]])[..., None])
    hand += (np.array([[[0.0, 4], [0, 4]]])[..., None],)

    def made(B, N, G, T, S, d_k, d_v):
        return [draw.normal(size=size) for size in ((B, N, T, d_k), (B, G, S, d_k), (B, G, S, d_v))]

    causal = np.arange(5) <= np.arange(3)[:, None] + 1
    cases = (
        (hand, None),
        (made(2, 6, 2, 3, 5, 4, 2), None),
        (made(1, 4, 2, 2, 3, 2, 1), np.tri(2, 3, dtype=bool)),
        (made(2, 6, 2, 3, 5, 4, 2), causal),
        (made(2, 4, 1, 3, 5, 4, 2), causal),
        (made(2, 3, 3, 3, 5, 4, 2), causal),
    )
    for (queries, keys, values), mask in cases:
        (B, N, T, _), G, S = queries.shape, keys.shape[1], keys.shape[2]
        allowed = np.broadcast_to(True if mask is None else mask, (N, T, S))
        expected = _grouped(queries, keys, values, allowed, lambda n, N=N, G=G: n // (N // G))
        wrong = _wrong_groups(queries, keys, values, allowed)
        trial = Trial(answer, queries=queries, keys=keys, values=values, mask=mask)
        got = trial.output("the contexts")
        got.shape("(B,N,T,d_v)", (B, N, T, values.shape[-1]))
        told = (
            f"{N} query heads and {G} key heads, {'no mask' if mask is None else 'with a mask'}: "
        )
        told += "each query averages what its own group's keys, and its mask, allow"
        got.equals(told, expected, wrong)


# --- Two axes -----------------------------------------------------------------


def _places(x: Array, axes: tuple[int, int]) -> tuple[Array, int]:
    """(B,F,R,C,…) -> (B,L,P,Q,…): the axis not looked along, then the two that are."""
    (left,) = {1, 2, 3} - set(axes)
    return np.moveaxis(x, (left, *axes), (1, 2, 3)), left


def _two_axes_scores(x, W_Q, W_K, axes) -> Array:
    """(B,L,N,P,Q,P,Q), one pair of places at a time."""
    words, _ = _places(x, axes)
    B, L, P, Q, _ = words.shape
    N, d_k = W_Q.shape[1:]
    scores = np.zeros((B, L, N, P, Q, P, Q))
    q, k = (np.tensordot(words, W, axes=1) for W in (W_Q, W_K))  # (B,L,P,Q,N,d_k)
    for p, r, s, t in np.ndindex(P, Q, P, Q):
        scores[:, :, :, p, r, s, t] = (q[:, :, p, r] * k[:, :, s, t]).sum(-1) / np.sqrt(d_k)
    return scores


def _two_axes_output(weights, x, W_V, W_O, axes, back=True, joined=True) -> Array:
    words, left = _places(x, axes)
    heard = np.einsum("blnpqst,blstnv->blpqnv", weights, np.tensordot(words, W_V, axes=1))
    if not joined:
        heard = np.moveaxis(heard, 4, 2).reshape(heard.shape)
    output = np.tensordot(heard, W_O, axes=2)
    if back:
        return np.moveaxis(output, (1, 2, 3), (left, *axes))
    return output.reshape(*x.shape[:-1], -1)


def _wrong_axes(x, W_Q, W_K, W_V, W_O, axes, scores) -> dict[str, tuple[Array, Array | None]]:
    """Mistake -> (weights, output); no output where its axes do not fit any more."""

    def share(scores, over):
        powers = np.exp(scores)
        return powers / powers.sum(axis=over, keepdims=True)

    def turned(W):
        return np.swapaxes(W.reshape(len(W), -1, N), 1, 2)

    B, L, N, P, Q = scores.shape[:5]
    d_k, d_v = W_Q.shape[-1], W_V.shape[-1]
    in_line = np.eye(P, dtype=bool)[:, None, :, None] | np.eye(Q, dtype=bool)[:, None]
    q, k = (np.tensordot(_places(x, axes)[0], W, axes=1) for W in (W_Q, W_K))
    among_all = np.einsum("blpqnk,bmstnk->blnpqmst", q, k) / np.sqrt(d_k)
    everywhere = share(among_all, (-3, -2, -1)).sum(axis=-3)
    words = x.reshape(B, L, P, Q, -1)  # wrong unless axes are (2, 3): nothing has changed places
    flat = _two_axes_scores(words, W_Q, W_K, (2, 3))
    weights = {
        "the softmax goes over the last axis alone; it must go over both": share(scores, -1),
        "the softmax goes over one axis of the keys alone; it must go over both": share(scores, -2),
        "the softmax goes over the places that ask, not over those that are asked, or W_Q and W_K "
        "are exchanged": share(scores, (3, 4)),
        "W_Q and W_K are exchanged": share(_two_axes_scores(x, W_K, W_Q, axes), (-1, -2)),
        "two softmaxes, over one axis and then over the other; it must be one over both": (
            share(share(scores, -1), -2)
        ),
        "a product of two softmaxes, over one axis and over the other; it must be one over both": (
            share(scores, -1) * share(scores, -2)
        ),
        "each place looked along its own row and column; it looks at all P·Q places": (
            share(np.where(in_line, scores, -np.inf), (-1, -2))
        ),
        "the third axis is in the softmax, too: each place looked at all F·R·C": everywhere,
        UNSCALED: share(scores * np.sqrt(d_k), (-1, -2)),
        "the scores were divided by √(N·d_k), not by √d_k": share(scores / np.sqrt(N), (-1, -2)),
        MODEL_SCALE: share(scores * np.sqrt(d_k / x.shape[-1]), (-1, -2)),
        "the scores were divided by √d_v": share(scores * np.sqrt(d_k / d_v), (-1, -2)),
        "the scores were divided by √N": share(scores * np.sqrt(d_k / N), (-1, -2)),
        OVER_HEADS: share(scores, 2),
        EVERY_NTH: share(_two_axes_scores(x, turned(W_Q), turned(W_K), axes), (-1, -2)),
        SCORES: scores,
    }
    found = {name: (w, _two_axes_output(w, x, W_V, W_O, axes)) for name, w in weights.items()}
    flat_weights = share(flat, (-1, -2))
    flat_output = _two_axes_output(flat_weights, words, W_V, W_O, (2, 3)).reshape(*x.shape[:-1], -1)
    mistake = (
        "the axes were put together by a reshape alone; those in `axes` must stand together first"
    )
    found[mistake] = (flat_weights, flat_output)
    right = share(scores, (-1, -2))
    mistake = "the axes did not change places back: a reshape alone on the way out"
    found[mistake] = (right, _two_axes_output(right, x, W_V, W_O, axes, back=False))
    turn = np.moveaxis(right, (5, 6), (3, 4))
    found["the axes of the place that asks and of that which is asked are exchanged"] = (
        turn,
        _two_axes_output(turn, x, W_V, W_O, axes),
    )
    found["the axes are P, P, Q, Q; first both of the place that asks"] = (
        np.swapaxes(right, 4, 5),
        None,
    )
    output = _two_axes_output(right, x, W_V, W_O, axes)
    found["the heads' outputs were averaged; they are summed"] = (right, output / N)
    found[NOT_BACK] = (right, _two_axes_output(right, x, W_V, W_O, axes, joined=False))
    return found


@exercise
def two_axes(answer, draw):
    """One softmax over two axes, any two of three; the weights' axes and the way back."""
    patches = np.array([[1, 0, 8], [1, np.log(2), 4], [1, np.log(4), 2], [1, 0, 8]])
    unit = np.eye(3)[:, :, None, None]  # a kernel (3,1,1) takes one of a patch's three numbers
    hand = (patches.reshape(1, 1, 2, 2, 3), *unit, unit[0].reshape(1, 1, 3))

    def made(B, F, R, C, D, N, d_k, d_v):
        shapes = ((B, F, R, C, D), (D, N, d_k), (D, N, d_k), (D, N, d_v), (N, d_v, D))
        return [draw.normal(size=size) for size in shapes]

    small = [(made(1, 2, 3, 1, 2, 1, 1, 1), (1, 3)), (made(1, 3, 1, 2, 2, 1, 1, 1), (1, 2))]
    cases = [(hand, (2, 3)), *small]
    cases += [(made(2, 4, 3, 2, 5, 2, 3, 4), axes) for axes in ((2, 3), (1, 3), (1, 2))]
    for (x, W_Q, W_K, W_V, W_O), axes in cases:
        scores = _two_axes_scores(x, W_Q, W_K, axes)
        weights = np.exp(scores) / np.exp(scores).sum(axis=(-1, -2), keepdims=True)
        output = _two_axes_output(weights, x, W_V, W_O, axes)
        wrong = _wrong_axes(x, W_Q, W_K, W_V, W_O, axes, scores)
        trial = Trial(answer, x=x, W_Q=W_Q, W_K=W_K, W_V=W_V, W_O=W_O, axes=axes)
        got, looks = trial.outputs("output", "weights")
        B, L, N, P, Q = weights.shape[:5]
        causes = {
            (B, L, N, Q, P, Q, P): "P and Q are exchanged; they stand in the order of `axes`",
            (B, L, N, P, Q, Q, P): "of the place that is asked P and Q are exchanged",
            (B, L, N, P, P, Q, Q): "the axes are P, P, Q, Q; first both of the place that asks",
            (B, N, L, P, Q, P, Q): "the axis that is not looked along stands before the heads",
            (B, L, N, P * Q, P * Q): "two axes are still one: cut them again",
            (B * L, N, P, Q, P, Q): "B and the axis not looked along are still one: cut them again",
        }
        for other in ((1, 2), (1, 3), (2, 3)):
            (left,) = {1, 2, 3} - set(other)
            sizes = [x.shape[axis] for axis in other]
            told = f"these are weights along {other}; `axes` says {axes}"
            causes.setdefault((B, x.shape[left], N, *sizes, *sizes), told)
        looks.shape("(B,L,N,P,Q,P,Q)", weights.shape, causes)
        told = "the axes of the output are not back in their places, or went the same way again"
        causes = {(B, *places, x.shape[-1]): told for places in permutations(x.shape[1:4])}
        got.shape("(B,F,R,C,D)", x.shape, causes)
        told = f"axes {axes}: each place shares out 1 among all places of the two axes"
        looks.equals(told, weights, part_of(wrong, 0))
        told = f"axes {axes}: the outputs are what the weights say, each at its own place of x"
        got.equals(told, output, part_of(wrong, 1))


# --- Backwards ----------------------------------------------------------------


def _self_attention(heads, x, W_Q, W_K, W_V, W_O) -> Array:
    return _by_head(x, x, x, W_Q, W_K, W_V, W_O, heads, np.ones((len(x), 1, 1)))[0]


def _gradients(
    doutput,
    x,
    W_Q,
    W_K,
    W_V,
    W_O,
    heads,
    cut=_cut,
    join=_join,
    scaled=1,
    backward="right",
    turned=True,
    root=0,
):
    """The three paths of dx, and the gradients of the matrices by sentence; with a mistake."""
    q, k, v = (_cut(x @ W, heads) for W in (W_Q, W_K, W_V))
    root = root or q.shape[-1]
    context, weights = _attend(q, k, v, np.array(True), root)
    dcontext = cut(doutput @ W_O.T, heads)
    dweights = np.einsum("bntv,bnsv->bnts", dcontext, v)
    inner = (dweights * weights).sum(axis=-1, keepdims=True)
    softmax = {
        "right": weights * (dweights - inner),
        "diagonal": weights * (1 - weights) * dweights,
        "no mean": weights * dweights,
        "missing": dweights,
        "plain mean": weights * (dweights - dweights.mean(axis=-1, keepdims=True)),
        "plain sum": weights * (dweights - dweights.sum(axis=-1, keepdims=True)),
        "queries": weights * (dweights - (dweights * weights).sum(axis=-2, keepdims=True)),
        "late": weights * dweights - inner,
        "everything": weights * (dweights - inner.sum()),
    }
    dscores = softmax[backward] / np.sqrt(root) ** scaled
    to_keys = [np.swapaxes(x, -1, -2) if turned else x for x in (dscores, weights)]
    parts = [join(part) for part in (dscores @ k, to_keys[0] @ q, to_keys[1] @ dcontext)]
    dmatrices = [np.einsum("btd,bte->bde", x, part) for part in parts]
    dmatrices.append(np.einsum("btd,bte->bde", join(context), doutput))
    paths = [part @ W.T for part, W in zip(parts, (W_Q, W_K, W_V), strict=True)]
    return paths, dmatrices


GRADIENTS = ("dx", "dW_Q", "dW_K", "dW_V", "dW_O")


SLIPS = {
    "the scale √d_k was forgotten on the way back": {"scaled": 0},
    "the scale √d_k stands twice on the way back": {"scaled": 2},
    "in the forward pass " + UNSCALED: {"root": 1},
    "the softmax's backward has no sum over the row: a(1 − a) is its diagonal alone": {
        "backward": "diagonal"
    },
    "the softmax's backward takes no weighted mean of its row away": {"backward": "no mean"},
    "the softmax's backward is missing": {"backward": "missing"},
    "the softmax's backward takes the plain mean of a row away; it is weighted": {
        "backward": "plain mean"
    },
    "the softmax's backward takes the plain sum of a row away; it is weighted": {
        "backward": "plain sum"
    },
    "the softmax's backward sums over the queries; the sum goes over a row's keys": {
        "backward": "queries"
    },
    "the softmax's backward: the weighted mean is taken away first, then comes the product": {
        "backward": "late"
    },
    "the softmax's backward takes one sum of everything away; each row has its own": {
        "backward": "everything"
    },
    "on the way to keys and values a transpose is missing: T and S change places": {
        "turned": False
    },
    "dcontext was split by a reshape alone": {"cut": _in_memory},
    "contexts or gradients were merged by a reshape alone": {"join": _join_in_memory},
    "on the way back split and merge are reshapes alone": {
        "cut": _in_memory,
        "join": _join_in_memory,
    },
}


def _slipped(inputs: list) -> dict[str, dict[str, Array]]:
    """Mistake -> gradient -> what it gives, for a slip on the way."""
    doutput, x, W_Q, *_ = inputs
    changed = {mistake: (inputs, options) for mistake, options in SLIPS.items()}
    changed["in the forward pass " + MODEL_SCALE] = (inputs, {"root": x.shape[-1]})
    told = "in the forward pass the scores were divided by √(N·d_k), not by √d_k"
    changed[told] = (inputs, {"root": W_Q.shape[1]})
    changed["there is one head; `heads` was not used"] = ([*inputs[:-1], 1], {})
    told = "doutput was not used, as if it were 1 everywhere"
    changed[told] = ([np.ones_like(doutput), *inputs[1:]], {})
    found = {}
    for mistake, (given, options) in changed.items():
        paths, dmatrices = _gradients(*given, **options)
        gradients = [sum(paths), *(d.sum(0) for d in dmatrices)]
        found[mistake] = dict(zip(GRADIENTS, gradients, strict=True))
    return found


def _wrong_paths(doutput: Array, paths: list[Array]) -> dict[str, Array]:
    """Mistake -> dx."""
    found, dx = {}, sum(paths)
    for path, part in zip(PARTS, paths, strict=True):
        found[f"x is used three times, and the path through the {path} is missing"] = dx - part
        found[f"x is used three times, and only the path through the {path} is there"] = part
    found["the mean of the three paths was taken; dx is their sum"] = dx / 3
    found["doutput was added; there is no path around this layer"] = dx + doutput
    return found


def _wrong_sums(gradient: Array, words: int) -> dict[str, Array]:
    """Mistake -> the gradient of a matrix, from that of each sentence."""
    return {
        "the gradient is a mean over sentences; it is their sum": gradient.mean(0),
        "only the first sentence was counted": gradient[0],
        "only the last sentence was counted": gradient[-1],
        "the gradient is a mean over words; it is their sum": gradient.sum(0) / words,
        "the gradient is transposed: its rows are what comes in": gradient.sum(0).T,
        "the sign is wrong: it is the gradient, not the step": -gradient.sum(0),
    }


def _wrong_gradients(inputs: list) -> dict[str, dict[str, Array]]:
    """Gradient -> mistake -> what it gives."""
    (paths, per_sentence), slipped = _gradients(*inputs), _slipped(inputs)
    doutput, x, _, _, W_V, *_ = inputs
    found = {"dx": _wrong_paths(doutput, paths) | part_of(slipped, "dx")}
    matrices = dict(zip(GRADIENTS[1:], per_sentence, strict=True))
    for name, gradient in matrices.items():
        found[name] = part_of(slipped, name) | _wrong_sums(gradient, x.shape[0] * x.shape[1])
        for other, its in matrices.items():
            found[name][f"this is {other}; the order is {', '.join(GRADIENTS)}"] = its.sum(0)
    told = "dW_O was made from the values; what W_O gets are the merged contexts"
    found["dW_O"][told] = np.tensordot(x @ W_V, doutput, axes=((0, 1), (0, 1)))
    return found


@exercise
def multi_head_backward(answer, draw):
    """All five gradients of self-attention with heads, against finite differences."""
    for B, T, D, N, d_k, d_v in ((1, 2, 2, 1, 2, 2), (2, 3, 4, 2, 3, 2)):
        x, _, _, *matrices = _inputs(draw, B, T, T, D, N, d_k, d_v)
        doutput, arrays = draw.normal(size=(B, T, D)), [x, *matrices]
        given = dict(zip(("x", "W_Q", "W_K", "W_V", "W_O"), arrays, strict=True))

        def loss(doutput=doutput, N=N, **moved):
            return (_self_attention(N, **moved) * doutput).sum()

        numeric = list(slopes(loss, **given).values())
        wrong = _wrong_gradients([doutput, *arrays, N])
        trial = Trial(answer, doutput=doutput, **given, heads=N)
        gradients = trial.outputs(*GRADIENTS)
        for gradient, expected in zip(gradients, numeric, strict=True):
            told = f"the order is {', '.join(GRADIENTS)}"
            causes = {other.shape: told for other in numeric}
            causes[B, *expected.shape] = "sentences are not summed: there is one matrix for all"
            gradient.shape(f"of {gradient.name[1:]}", expected.shape, causes)
        order = (4, 3, 1, 2, 0)  # as the gradient runs: from the output to the input
        for place in order:
            name, expected = GRADIENTS[place], numeric[place]
            told = f"{name} is what moving each number of {name[1:]} does to the output"
            gradients[place].equals(told, expected, wrong[name])
