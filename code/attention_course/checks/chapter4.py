"""Checks of Chapter 4's exercises: Luong's scores, his decoder's step, feeding, maps, windows."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy

from attention_course.checks.core import (
    Array,
    CheckFailed,
    Output,
    Trial,
    attempt,
    close,
    exercise,
    named,
    np,
    part_of,
    shown,
    sigmoid,
    slopes,
    softmax,
    weighted_sum,
)

Pair = Callable[[Array, Array, int], float]  # query, key, its place -> score


def _needs(part: str, name: str, axes: str, array: object, shape: tuple, cause: str = "") -> None:
    """Fail with a message where a part of a decoder is handed something of another shape."""
    got = np.shape(array)
    if got != shape:
        expected = f"{axes} = {shape}"
        property = f"`{part}` is given {name} of the shape {axes}"
        raise CheckFailed(property, cause, expected=expected, got=shown(got))


# 4.1


def _context_causes(weights: Array, states: Array) -> dict[tuple, str]:
    b, s, h = states.shape
    if weights.ndim == 3:
        t = weights.shape[1]
        return {
            (b, t, s, h): "weighted, but not added up",
            (b, h, t): "the features come last: T and H changed places",
            (t, h): "np.squeeze has taken away the batch's axis, too",
            (b, h): "the steps were added up; each has a context of its own"
            if t > 1
            else "an axis of length 1 is gone: np.squeeze, or a T that was taken for none",
            (h,): "np.squeeze has taken away more axes than meant",
            (b, b, t, h): "every sentence reads every other one's states",
        }
    return {
        (b, s, h): "weighted, but not added up",
        (h,): "np.squeeze has taken away the batch's axis, too",
        (b, 1, h): "the axis of length 1 that was put in for the product is still there",
        (b, b, h): "the product took (B,S) for one matrix and multiplied it with each of the B \
matrices (S,H): every sentence reads every other one's states, and B = 1 hides it",
    }


def _context_cases(draw: numpy.random.Generator) -> list[tuple]:
    first = np.array([[4.0, 0.0], [0.0, 4.0], [9.0, 9.0]])
    second = np.array([[1.0, 2.0], [5.0, 6.0], [9.0, 8.0]])
    cases = [(np.array([[0.25, 0.75, 0.0], [1.0, 0.0, 0.0]]), np.stack([first, second]))]
    sizes = [(3, 5, 4), (1, 5, 4), (2, 4, 4), (4, 4, 3), (2, 3, 5, 4), (1, 1, 5, 4), (1, 3, 5, 4)]
    for b, *t, s, h in [*sizes, (3, 1, 5, 4), (4, 4, 4, 4)]:
        cases.append((softmax(draw.normal(size=(b, *t, s))), draw.normal(size=(b, s, h))))
    cases.append((draw.random(size=(2, 5)), draw.normal(size=(2, 5, 4))))  # sums that are not 1
    return cases


def _context_mistakes(weights: Array, states: Array) -> dict[str, Array]:
    places, even = states.shape[1], 0 * weights + 1
    largest = 1.0 * (weights == weights.max(axis=-1, keepdims=True))
    first = np.broadcast_to(states[:1], states.shape)
    mistakes = {
        "all sentences read the states of the first one": weighted_sum(weights, first),
        "sentences read each other's states": weighted_sum(weights, states[::-1]),
        "a softmax was taken of the weights, which come from one": (
            weighted_sum(softmax(weights), states)
        ),
        "it was divided by the sum of the weights: that is an average, asked for is a sum": (
            weighted_sum(weights / weights.sum(axis=-1, keepdims=True), states)
        ),
        "the states were added without their weights": weighted_sum(even, states),
        "it is the mean of the states, without the weights": weighted_sum(even / places, states),
        "only the state with the largest weight was taken": weighted_sum(largest, states),
        "it was divided by S: the weights share out the whole already": (
            weighted_sum(weights / places, states)
        ),
    }
    if weights.ndim == 3 and weights.shape[1] == places:
        told = "the weights are turned round, T and S changed places"
        mistakes[told] = weighted_sum(weights.swapaxes(1, 2), states)
    if weights.ndim == 2 and places == states.shape[2]:
        told = "the weights lie along H; S and H are equal here, and it goes unnoticed"
        mistakes[told] = (weights[:, None, :] * states).sum(axis=1)
    return mistakes


def _rows_mix(answer: Callable, weights: Array, states: Array) -> bool:
    """Whether the first context changes with the states of the other sentences."""
    other = np.concatenate([states[:1], states[1:] + 1])
    found = [Trial(answer, weights=weights, states=each).output() for each in (states, other)]
    return not close(found[0].value[0], found[1].value[0])


@exercise
def luong_context(answer, draw):
    """Sums over a sentence's own states, for one step and for all; B, T and H of 1, too."""
    for weights, states in _context_cases(draw):
        context, mistakes = weighted_sum(weights, states), _context_mistakes(weights, states)
        axes = "(B,H)" if weights.ndim == 2 else "(B,T,H)"
        cause = f"weights come in two shapes, (B,S) and (B,T,S); these are {weights.shape}"
        got = attempt(answer, {"": cause}, weights=weights, states=states).output("the context")
        got.shape(axes, context.shape, _context_causes(weights, states))
        mixed = "sentences of the batch mix: a context changes with the states of another sentence"
        cause = mixed if _rows_mix(answer, weights, states) else ""
        told = "each sentence's context is the weighted sum of its own states"
        got.equals(told, context, mistakes, cause)


# 4.2


def _scores(query: Array, key: Array, score: Pair) -> Array:
    """The score of each query and key, (B,T,S), one pair after the other."""
    return np.array(
        [
            [[float(score(q, k, j)) for j, k in enumerate(keys)] for q in queries]
            for queries, keys in zip(query, key, strict=True)
        ]
    )


def _pair(kind: str, W: Array | None, v: Array | None) -> Pair:
    if kind == "dot":
        return lambda q, k, j: sum(q * k)
    if kind == "general":
        return lambda q, k, j: sum(q * (W * k).sum(axis=1))
    if kind == "location":
        return lambda q, k, j: sum(q * W[:, j])
    return lambda q, k, j: sum(v * np.tanh((np.append(q, k)[:, None] * W).sum(axis=0)))


def _score_mistakes(kind: str, W, v, d_q: int, d_k: int, keys_in_all: int) -> dict[str, Pair]:
    """What goes wrong with a score, by pairs; some of it only runs where d_q = d_k."""
    no_tanh = "there is no tanh in this score"
    if kind == "dot":
        return {
            "the scores were divided by √d: that is a later paper's": _scaled(kind, W, v),
            "the scores were divided by the lengths of q and k: that is the cosine": (
                lambda q, k, j: q @ k / math.sqrt((q @ q) * (k @ k))
            ),
        }
    if kind == "location":
        keys = "a location score reads no key: it is number j of q W"
        last = "the last S places of W were taken; a sentence has the first S"
        mistakes = {
            keys: lambda q, k, j: sum(q * W[:, j]) * sum(k),
            no_tanh: lambda q, k, j: np.tanh(sum(q * W[:, j])),
            last: lambda q, k, j: sum(q * W[:, W.shape[1] - keys_in_all + j]),
        }
        if d_q == d_k:
            mistakes["this is the dot product"] = lambda q, k, j: q @ k
            mistakes[f"the product with the key was taken, too; {keys}"] = lambda q, k, j: (
                q @ W[:, :d_k] @ k if W.shape[1] >= d_k else math.nan
            )
        return mistakes
    if kind == "general":
        mistakes = {
            no_tanh: lambda q, k, j: np.tanh(q @ W @ k),
            f"{no_tanh}, around q W neither": lambda q, k, j: np.tanh(q @ W) @ k,
            "W was applied to the query, and no key is in it": lambda q, k, j: sum(q @ W),
            "the scores were divided by √d; no score of this paper is": _scaled(kind, W, v),
        }
        if d_q == d_k:
            turned = "W was turned round: its rows belong to the query, its columns to the key"
            mistakes[turned] = lambda q, k, j: q @ W.T @ k
            mistakes["W was left out: this is the dot product"] = lambda q, k, j: q @ k
        return mistakes
    both = np.append
    mistakes = {
        "the tanh is missing: the query then moves all scores of its row alike": (
            lambda q, k, j: both(q, k) @ W @ v
        ),
        "v was left out: the A numbers were only added up": lambda q, k, j: sum(
            np.tanh(both(q, k) @ W)
        ),
        "the tanh was taken before W": lambda q, k, j: np.tanh(both(q, k)) @ W @ v,
        "the tanh was taken last, of the score": lambda q, k, j: np.tanh(both(q, k) @ W @ v),
        "there are two: the tanh belongs inside v · tanh(…) only": lambda q, k, j: np.tanh(
            np.tanh(both(q, k) @ W) @ v
        ),
        "query and key were squashed one by one; the sum of both goes into one tanh": (
            lambda q, k, j: (np.tanh(q @ W[:d_q]) + np.tanh(k @ W[d_q:])) @ v
        ),
        "no key is in it": lambda q, k, j: np.tanh(q @ W[:d_q]) @ v,
        "no query is in it": lambda q, k, j: np.tanh(k @ W[d_q:]) @ v,
    }
    if d_q == d_k:
        name = "the two are joined as [k; q]: the first d_q rows of W belong to the query"
        mistakes[name] = lambda q, k, j: np.tanh(both(k, q) @ W) @ v
    return mistakes


def _scaled(kind: str, W, v) -> Pair:
    return lambda q, k, j: _pair(kind, W, v)(q, k, j) / math.sqrt(len(k))


def _score_cases(draw: numpy.random.Generator, kind: str) -> list[tuple]:
    """query, key, W, v: a small one and one with equal sizes, then others."""
    small = np.array([[[1.0, 2.0]]]), np.array([[[3.0, 0.0], [0.0, 1.0]]])
    W = {"general": [[1, 2], [0, 1]], "location": [[1, 0, 2], [0, 3, 1]]}.get(kind)
    v = None
    if kind == "concat":
        W, v = [[1, 0], [0, -1], [0, 2], [-1, 1]], np.array([1.0, 10.0])
    cases = [(*small, None if W is None else np.array(W, dtype=float), v)]
    for t, d_q, d_k in ((3, 4, 4), (2, 3, 6), (1, 5, 2)):
        d_k, A, places = d_q if kind == "dot" else d_k, 5, 7
        shape = {"general": (d_q, d_k), "concat": (d_q + d_k, A), "location": (d_q, places)}
        W = draw.normal(size=shape[kind]) if kind in shape else None
        v = draw.normal(size=A) if kind == "concat" else None
        cases.append((draw.normal(size=(2, t, d_q)), draw.normal(size=(2, 5, d_k)), W, v))
    return cases


def _score_causes(kind: str, b: int, t: int, s: int, places: int) -> dict[tuple, str]:
    """Wrong shapes; the sizes over which W is cut are told where they are the cause."""
    no_key = "the queries meet themselves; asked for is every query with every key"
    cut = "W was cut after T places; a sentence has S of them"
    return {
        (b, t, t): cut if kind == "location" else no_key,
        (b, t, places): "W knows more places than there are keys: take the first S of them",
        (b, s, t): "rows are queries, columns are keys: it is turned round",
        (b, t): "the sum ran over the keys, too",
        (b, s): "one score for each key and each query: the axis T is missing",
    }


def _score_sizes(kind: str, query: Array, key: Array) -> str:
    """Why an answer may raise that has worked with equal sizes."""
    if kind == "dot" or query.shape[-1] == key.shape[-1]:
        return ""
    return {
        "general": "d_q and d_k differ here, and W is (d_q,d_k): the query meets its rows",
        "concat": "d_q and d_k differ here: the first d_q rows of W belong to the query, not the \
first d_k, nor one half",
        "location": "d_q and d_k differ here, and W is (d_q,P): no key meets it",
    }[kind]


@exercise
def luong_score(answer, draw):
    """Four scores without a bias, d_q ≠ d_k, B and T above 1; a location reads no key."""
    kinds = ("dot", "general", "location", "concat")
    for kind, (query, key, W, v) in ((k, case) for k in kinds for case in _score_cases(draw, k)):
        given = {"query": query, "key": key, "kind": kind, "W": W, "v": v}
        right = _scores(query, key, _pair(kind, W, v))
        got = attempt(answer, {"": _score_sizes(kind, query, key)}, **given).output()
        places = W.shape[1] if kind == "location" else -1
        got.shape("(B,T,S)", right.shape, _score_causes(kind, *right.shape, places))
        if kind == "location":
            other = Trial(answer, **(given | {"key": key[::-1] + 1})).output()
            told, cause = "location: other keys change nothing", "a location score reads no key"
            other.equals(told, got.value, cause=cause)
        nothing = Trial(answer, **(given | {"query": 0 * query, "key": 0 * key})).output()
        zeros = np.isnan(nothing.value).any() or close(nothing.value, 0 * right)
        bias = "a bias was added: a query and keys of zeros have the score 0 in all four"
        bias = "" if zeros else bias
        sizes = query.shape[-1], key.shape[-1], key.shape[1]
        found = _score_mistakes(kind, W, v, *sizes).items()
        mistakes = {told: _scores(query, key, wrong) for told, wrong in found}
        mistakes["the softmax was taken: asked for are the scores"] = softmax(right)
        first = _scores(query, np.broadcast_to(key[:1], key.shape), _pair(kind, W, v))
        mistakes["all sentences meet the keys of the first one"] = first
        told = f"{kind}: the scores are those of the table"
        got.equals(told, right, mistakes, bias)


# 4.3


def _parts(kind: str, T: int, S: int, d_q: int, d_k: int, A: int) -> dict[str, list[int]]:
    """The products of a score: the sizes over which their multiplications run."""
    parts = {
        "dot": {"pairs": [T, S, d_q]},
        "general": {"keys": [S, d_k, d_q], "pairs": [T, S, d_q]},
        "concat": {"keys": [S, d_k, A], "queries": [T, d_q, A], "pairs": [T, S, A]},
        "location": {"queries": [T, d_q, S]},
    }
    return parts[kind]


def _special_counts(
    kind: str, T: int, S: int, d_q: int, d_k: int, A: int, keys: int, queries: int, pairs: int
) -> dict[str, int]:
    """What is miscounted in one of the scores only."""
    if kind == "dot":
        return {"a pair was counted once; a dot product takes d_q multiplications": T * S}
    if kind == "general":
        told = "W meets the queries here, once a step; W k can be made once a sentence"
        return {
            told: T * d_q * d_k + T * S * d_k,
            "the projected keys have d_q numbers, so a pair costs d_q": keys + T * S * d_k,
        }
    if kind == "concat":
        return {
            "v is missing: each pair costs A more": keys + queries,
            "[q; k] W was made anew for each pair": T * keys + S * queries + pairs,
            "the T queries have d_q numbers and the S keys d_k; two of these changed places": (
                (T * d_k + S * d_q + T * S) * A
            ),
            "the tanh was counted": keys + queries + 2 * pairs,
        }
    if kind == "location":
        return {
            "a location score reads no key": queries + T * S * d_k,
            "a query has d_q numbers, not d_k": T * d_k * S,
            "W was taken with A columns: there are S": T * d_q * A,
            "each number of q W costs d_q": T * S,
        }
    return {}


def _count_mistakes(kind: str, T: int, S: int, *sizes: int) -> tuple[int, dict[str, int]]:
    """The right count, and what comes out of common mistakes."""
    count = {name: math.prod(part) for name, part in _parts(kind, T, S, *sizes).items()}
    total = sum(count.values())
    keys, queries, pairs = (count.get(name, 0) for name in ("keys", "queries", "pairs"))
    anew = "the keys are projected anew at each step; they stay while a sentence is translated"
    mistakes = _special_counts(kind, T, S, *sizes, keys, queries, pairs) | {
        "additions were counted as well: a multiply-add is one": 2 * total,
        anew: total + (T - 1) * keys,
        "each query is projected anew for each key": total + (S - 1) * queries,
        "the keys' projection is left out: once a sentence is not never": total - keys,
        "the queries' projection is left out: it is needed once a step": queries and keys + pairs,
        "the queries are projected once a sentence; each step has one of its own": (
            keys + queries // T + pairs
        ),
        "it is the count for one query; there are T": keys + queries // T + pairs // T,
        "the pairs are missing: each query meets each key": keys + queries,
        "T and S changed places": sum(map(math.prod, _parts(kind, S, T, *sizes).values())),
        "every exp of the softmax was counted": total + T * S,
    }
    return total, mistakes


@exercise
def count_multiplications(answer, draw):
    """What is computed once a sentence, once a step, once a pair; T ≠ S, d_q ≠ d_k."""
    sizes = [(3, 5, 4, 7, 6), (2, 3, 4, 4, 5), (1, 4, 3, 3, 2), (7, 5, 3, 6, 4)]
    sizes += [tuple(map(int, draw.integers(2, 40, size=5))) for _ in range(3)]
    for T, S, d_q, d_k, A in sizes:
        for kind in ("dot", "location", "general", "concat"):
            width = d_q if kind == "dot" else d_k
            right, mistakes = _count_mistakes(kind, T, S, d_q, width, A)
            got = Trial(answer, kind=kind, T=T, S=S, d_q=d_q, d_k=width, A=A).output("the count")
            got.shape("() [one number]", ())
            told = f"{kind}: every multiplication is counted, and none twice"
            got.equals(told, right, mistakes, tolerance=1e-12)


# 4.4


def _said(context: Array, state: Array, W_c: Array, mistake: str = "") -> Array:
    """tanh([c; s] W_c) as a sum of two parts; `mistake` names what is done wrong on purpose."""
    size = context.shape[-1]
    if mistake == "order":
        context, state, size = state, context, state.shape[-1]
    if mistake == "early":
        context, state = np.tanh(context), np.tanh(state)
    before = context @ W_c[:size] + state @ W_c[size:]
    if mistake in ("no tanh", "early"):
        return before
    if mistake == "softmax":
        return softmax(before)
    if mistake == "sigmoid":
        return sigmoid(before)
    if mistake == "no context":
        return np.tanh(state @ W_c[size:])
    if mistake == "no state":
        return np.tanh(context @ W_c[:size])
    return np.tanh(before)


SAID_MISTAKES = {
    "no tanh": "the tanh is missing: a readout would only add up what context and state say",
    "order": "the two are joined as [s; c]: the first rows of W_c belong to the context",
    "early": "the tanh stands before W_c, where it squashes c and s one by one",
    "softmax": "a softmax was taken; that comes later, after W_s, and over the vocabulary",
    "sigmoid": "σ instead of tanh: h̃ lies between −1 and 1",
    "no context": "the context is not in it",
    "no state": "the state is not in it",
}


def _said_mistakes(context: Array, state: Array, W_c: Array) -> dict[str, Array]:
    return {told: _said(context, state, W_c, mistake) for mistake, told in SAID_MISTAKES.items()}


def _said_backward(
    dsaid: Array, context: Array, state: Array, W_c: Array
) -> tuple[dict[str, Array], dict[str, dict[str, Array]]]:
    """The gradients by finite differences, and those of common mistakes."""
    given = {"context": context, "state": state, "W_c": W_c}

    right = slopes(lambda **moved: (dsaid * _said(**moved)).sum(), **given)
    said, before = _said(**given), _said(**given, mistake="no tanh")
    tanh_slopes = {
        "the slope of tanh is missing": 1 + 0 * said,
        "the slope of tanh is 1 − tanh², the square is missing": 1 - said,
        "the slope is 1 − h̃², of the squashed number, not of the sum before it": 1 - before**2,
        "the slope of σ was taken; that of tanh is 1 − h̃²": said * (1 - said),
        "the slope of tanh is 1 − h̃², not h̃²": said**2,
        "the slope is 1 − h̃²; h̃ is squashed already, and tanh was taken of it again": (
            1 - np.tanh(said) ** 2
        ),
    }
    wrong: dict[str, dict[str, Array]] = {}
    size = context.shape[-1]
    joined = np.concatenate([context, state], axis=-1)
    for told, slope_of_tanh in tanh_slopes.items():
        d = dsaid * slope_of_tanh
        both, product = d @ W_c.T, joined[..., :, None] * d[..., None, :]
        wrong[told] = {"context": both[..., :size], "state": both[..., size:]}
        wrong[told]["W_c"] = product.sum(axis=(0, 1))
    d = dsaid * (1 - said**2)
    product = joined[..., :, None] * d[..., None, :]
    rows = len(context)
    mean = "it is a mean; a gradient adds up over sentences and steps"
    wrong[mean] = {"W_c": right["W_c"] / rows}
    wrong["dattentional itself was added: every way to the state leads through the tanh"] = {
        "state": right["state"] + dsaid
    }
    wrong["only the last step is in it"] = {"W_c": product[:, -1].sum(axis=0)}
    wrong["only the first sentence is in it"] = {"W_c": product[0].sum(axis=0)}
    wrong["dcontext and dstate changed places"] = {
        "context": right["state"],
        "state": right["context"],
    }
    return right, wrong


@exercise
def attentional_state(answer, draw):
    """tanh([c; s] W_c), d_v ≠ H, and three gradients against finite differences."""
    small = (
        np.array([[[1.0, 0.0]], [[0.0, 1.0]]]),
        np.array([[[2.0, 1.0]], [[1.0, 1.0]]]),
        np.array([[1.0, 0.0], [0.5, -1.0], [0.0, 0.5], [-0.5, 0.0]]),
        np.array([[[1.0, 0.0]], [[1.0, 2.0]]]),
    )
    cases = [small]
    for b, t, d_v, h in ((3, 2, 4, 3), (2, 4, 2, 3)):
        sizes = (b, t, d_v), (b, t, h), (d_v + h, h), (b, t, h)
        cases.append(tuple(draw.normal(size=size) for size in sizes))
    for context, state, W_c, dsaid in cases:
        right, wrong = _said_backward(dsaid, context, state, W_c)
        names = {"context": "dcontext", "state": "dstate", "W_c": "dW_c"}
        trial = Trial(answer, context=context, state=state, W_c=W_c, dattentional=dsaid)
        said, *gradients = trial.outputs("attentional", *names.values())
        said.shape("(B,T,H)", state.shape, {(*state.shape[:2], len(W_c)): "W_c is missing"})
        mistakes = _said_mistakes(context, state, W_c)
        said.equals("h̃ = tanh([c; s] W_c)", _said(context, state, W_c), mistakes)
        causes = {
            (*state.shape[:2], len(W_c)): "the gradient of [c; s] is to be cut in two",
            W_c.shape[::-1]: "it is turned round",
            (len(state), *W_c.shape): "it is not added up over the batch",
            state.shape: "it was cut at H, or in the middle; the context comes first, and has d_v \
numbers",
        }
        for name, output in zip(names, gradients, strict=True):
            output.shape(f"of {name}", right[name].shape, causes)
        for name, output in zip(names, gradients, strict=True):
            mistakes = {told: each[name] for told, each in wrong.items() if name in each}
            told = f"{names[name]} is the gradient (checked by finite differences)"
            output.equals(told, right[name], mistakes, tolerance=1e-5)


# 4.5


class _Calls:
    """`move`, `look` and `speak` that answer with fixed numbers and write down what they are
    asked."""

    def __init__(self, draw: numpy.random.Generator, b: int, d_v: int, h: int, s: int, vocab: int):
        sizes = {"state": (b, h), "context": (b, d_v), "logits": (b, vocab)}
        self.gives = {
            name: np.round(draw.uniform(0.1, 0.9, size), 2) for name, size in sizes.items()
        }
        self.gives["weights"] = softmax(draw.normal(size=(b, s)))
        self.asked: list[tuple[str, list]] = []

    def functions(self) -> dict[str, Callable]:
        def move(x, state):
            self.asked.append(("move", [np.array(x), np.array(state)]))
            return self.gives["state"].copy()

        def look(query):
            self.asked.append(("look", [np.array(query)]))
            return self.gives["context"].copy(), self.gives["weights"].copy()

        def speak(attentional):
            self.asked.append(("speak", [np.array(attentional)]))
            return self.gives["logits"].copy()

        return {"move": move, "look": look, "speak": speak}

    @property
    def order(self) -> str:
        return " → ".join(name for name, _ in self.asked)


def _why_order(calls: _Calls) -> str:
    names = [name for name, _ in calls.asked]
    for name in ("move", "look", "speak"):
        if names.count(name) != 1:
            return f"`{name}` is called {names.count(name)} times; a step calls it once"
    if names.index("look") < names.index("move"):
        return "it asks before it has moved, with a state that has not read the word: that is \
Bahdanau's order"
    return "the word is said before the look is over"


def _joined(*parts: Array) -> Array:
    return np.concatenate(parts, axis=1)


def _read_mistakes(word, state, feed, context) -> dict[str, Array]:
    return {
        "nothing is fed: the step does not know what the last one found": word,
        "zeros are fed: the step does not know what the last one found": _joined(word, 0 * feed),
        "the two are joined the other way round": _joined(feed, word),
        "the state is fed, not the attentional state of the step before": _joined(word, state),
        "the context is fed into the same step: that is Bahdanau's decoder": _joined(word, context),
        "the word is missing": feed,
    }


def _step_mistakes(context, state, before, feed, logits, W_c) -> dict[str, Array]:
    both = _joined(context, state)
    return _said_mistakes(context, state, W_c) | {
        "W_c and the tanh are missing: state and context were only put side by side": both,
        "W_c is missing": np.tanh(both),
        "the context was mixed with the state *before* the move": _said(context, before, W_c),
        "it is the context alone": context,
        "it is the state alone": state,
        "it is what `speak` said": logits,
        "it is what was fed before: the new one goes to the next step": feed,
    }


@exercise
def luong_step(answer, draw):
    """The order of the calls, what each is given, and which state goes where."""
    for b, e, d_v, h in ((1, 1, 1, 1), (2, 3, 3, 3), (3, 2, 5, 4)):
        calls = _Calls(draw, b, d_v, h, 6, 7)
        word, state, feed = (np.round(draw.uniform(-0.9, 0.9, (b, n)), 2) for n in (e, h, h))
        W_c = np.round(draw.normal(size=(d_v + h, h)), 2)
        new, context, logits, weights = calls.gives.values()
        said = _said(context, new, W_c)
        unlike = _step_mistakes(context, new, state, feed, logits, W_c)
        functions = calls.functions()
        trial = Trial(answer, word=word, state=state, feed=feed, **functions, W_c=W_c)
        got = trial.outputs("logits", "the state", "the attentional state", "weights")
        order = "move → look → speak"
        right = calls.order == order
        trial.must("it moves, looks, speaks", right, order, calls.order, _why_order(calls))
        (_, (x, moved)), (_, (query,)), (_, (spoken,)) = calls.asked
        old = {
            "it is the state before the step": state,
            "h̃ is handed on as the state, too; the recurrent layer goes on from its own": said,
        }
        asks = {
            "the old state asks: it has not read the word": state,
            "what was fed asks; the query is the state": feed,
        }
        starts = {"`feed` is not the state: it belongs to what is read": feed}
        read, wrong = _joined(word, feed), _read_mistakes(word, state, feed, context)
        third = "the third result, for the next step's `feed`, is h̃"
        back = {
            "what is handed on has not been through the tanh": _said(context, new, W_c, "no tanh")
        }
        if close(got[1].value, said):
            back = {"state and attentional state changed places: the state comes first": new}
        for told, value, expected, mistakes in (
            ("`move` reads the word, then what was fed: [word; feed]", x, read, wrong),
            ("`move` goes on from the state before", moved, state, starts),
            ("`look` is asked with the state after the move", query, new, asks),
            ("`speak` is given h̃ = tanh([c; s] W_c)", spoken, said, unlike),
            (third, got[2].value, said, back | unlike),
            ("the first result is what `speak` said", got[0].value, logits, {}),
            ("the second result is the new state", got[1].value, new, old),
            ("the fourth result is the weights", got[3].value, weights, {}),
        ):
            Output(trial, told, value).equals(told, expected, mistakes)


# 4.6


class _Decoder:
    """A recurrent layer and a look with numbers of their own. `first` shifts what the first look
    finds."""

    def __init__(self, draw: numpy.random.Generator, b: int, t: int, e: int, h: int, d_v: int):
        self.sizes = b, e, h
        self.W, self.U = draw.normal(size=(e + h, h)) / 2, draw.normal(size=(h, h)) / 2
        self.W_q, self.values = draw.normal(size=(h, 6)), draw.normal(size=(b, 6, d_v))
        self.words, self.state = draw.normal(size=(b, t, e)), draw.normal(size=(b, h))
        self.W_c = draw.normal(size=(d_v + h, h))

    def functions(self, first: float = 0.0) -> tuple[Callable, Callable, list[str]]:
        calls: list[str] = []
        b, e, h = self.sizes

        def move(x, state):
            calls.append("move")
            cause = "x is [word; feed]; without feeding zeros are fed"
            _needs("move", "x", "(B,E+H)", x, (b, e + h), cause if np.shape(x) == (b, e) else "")
            _needs("move", "a state", "(B,H)", state, (b, h))
            return np.tanh(np.asarray(x) @ self.W + np.asarray(state) @ self.U)

        def look(query):
            _needs("look", "a query", "(B,H)", query, (b, h))
            weights = softmax(np.asarray(query) @ self.W_q)
            shift = 0.0 if "look" in calls else first
            calls.append("look")
            return np.einsum("bs,bsv->bv", weights, self.values) + shift, weights

        return move, look, calls

    def decode(self, feeding: bool, mistake: str = "", first: float = 0.0) -> tuple[Array, Array]:
        """h̃ (B,T,H) and weights (B,T,S), step by step; `mistake`: done wrong on purpose."""
        move, look, _ = self.functions(first)
        state, fed, said, seen = self.state, 0 * self.state, [], []
        if mistake in ("first fed", "state in the gap"):
            fed = state
        older = 0 * fed
        for t in range(self.words.shape[1]):
            word = self.words[:, 0 if mistake == "one word" else t]
            read, before = [word, older if mistake == "late" else fed], state
            both = _joined(*(read[::-1] if mistake == "turned" else read))
            state = move(both, self.state if mistake == "no memory" else state)
            context, weights = look(before if mistake == "asks before" else state)
            new = _said(context, state, self.W_c, mistake)
            said.append(new)
            seen.append(weights)
            older = fed
            fed = {
                "feeds state": state,
                "feeds context": context if context.shape == new.shape else new,
                "feeds the sum": _said(context, state, self.W_c, "no tanh"),
                "adds": older + new,
                "never": 0 * new,
            }.get(mistake, new)
            if not feeding:
                fed = self.state if mistake == "state in the gap" else 0 * fed
            if mistake == "one state":
                state = new
        return np.stack(said, axis=1), np.stack(seen, axis=1)


DECODE_MISTAKES = {
    "no tanh": "the tanh of h̃ is missing",
    "order": "[s; c] instead of [c; s]",
    "never": "zeros are fed although `feeding` is True: what a step has found goes nowhere",
    "feeds state": "the state is fed; the recurrent layer knows that one already",
    "feeds context": "the context is fed, not h̃",
    "feeds the sum": "what is fed is the sum before the tanh",
    "late": "what is fed is one step too old",
    "first fed": "the first step is fed the first state; h̃_0 = 0",
    "turned": "x is [word; feed], in this order",
    "asks before": "the state before the move asks: Bahdanau's order",
    "no memory": "each step starts from the first state again; hand on the new one",
    "state in the gap": "without feeding the first state is fed at every step; zeros are to be",
    "one state": "h̃ is handed on as the state; the recurrent layer goes on from its own",
    "adds": "what is fed is the sum of all h̃ so far, not the last one",
    "one word": "every step reads the first word",
}


def _fed_on(
    trials: list[Trial], feeding: bool, expected: list[Array], found: dict[str, tuple]
) -> None:
    """Whether the last step depends on what the first look has found, as it should."""
    got = [trial.outputs("attentional", "weights")[0].value for trial in trials]
    last = [each[:, -1] for each in got]
    moved = abs(last[0] - last[1]).max() > 0
    if not feeding:
        told = "without feeding the last step knows nothing of what the first look found"
        cause = "`feeding` was not read, or what was found goes on by another way: feed zeros"
        trials[1].must(told, not moved, last[0], last[1], cause)
    elif abs(expected[0] - expected[1])[:, -1].max() > 1e-4:
        told = "with feeding the last step depends on what the first look found"
        cause = "what a step finds is not handed on: `feed` must be its h̃, step after step"
        trials[1].must(
            told, moved, expected[1][:, -1], last[1], named(got[0], part_of(found, 0), cause)
        )


def _step_causes(b: int, t: int, size: int) -> dict[tuple, str]:
    """Wrong shapes of what T steps give."""
    return {
        (t, b, size): "the axes are T, B: put the steps along axis 1",
        (b, size): "only the last step was returned",
        (b, t * size): "the steps were joined along the features; np.stack makes an axis of them",
        (t * b, size): "the steps were joined along the batch; np.stack makes an axis of them",
        (b, t - 1, size): "a step is missing: there is one for each word that is read",
        (b, t + 1, size): "there is a step too many: what is there before the first is no step",
    }


def _turned_round(answer: Callable, model: _Decoder) -> bool:
    """Whether the answer feeds where it should not."""
    move, look, _ = model.functions()
    given = {"words": model.words, "state": model.state, "move": move, "look": look}
    off = Trial(answer, **given, W_c=model.W_c, feeding=False).outputs("attentional", "weights")
    return close(off[0].value, model.decode(True)[0])


@exercise
def feed_and_decode(answer, draw):
    """The last step hears of the first look with feeding and never without; T steps, in order."""
    for b, t, e, h, d_v in ((1, 3, 1, 1, 1), (2, 4, 3, 3, 3), (3, 5, 2, 4, 3)):
        model = _Decoder(draw, b, t, e, h, d_v)
        for feeding in (True, False):
            said, weights = model.decode(feeding)
            trials = []
            for first in (0.0, 1.0):
                move, look, calls = model.functions(first)
                given = {"words": model.words, "state": model.state, "move": move, "look": look}
                trials.append(Trial(answer, **given, W_c=model.W_c, feeding=feeding))
            got_said, got_weights = trials[0].outputs("attentional", "weights")
            got_said.shape("(B,T,H)", said.shape, _step_causes(*said.shape))
            got_weights.shape("(B,T,S)", weights.shape, _step_causes(*weights.shape))
            asked, right = {n: calls.count(n) for n in ("move", "look")}, {"move": t, "look": t}
            told = "each of the T steps moves once and looks once"
            trials[1].must(told, asked == right, right, asked)
            found = {told: model.decode(feeding, m) for m, told in DECODE_MISTAKES.items()}
            if feeding and _turned_round(answer, model):
                told = "the switch is upside down: zeros are fed where `feeding` is True"
                found = {told: model.decode(False)} | found
            _fed_on(trials, feeding, [said, model.decode(feeding, first=1.0)[0]], found)
            told = "h̃ of each step" + (", fed to the next" if feeding else ", nothing fed")
            got_said.equals(told, said, part_of(found, 0))
            got_weights.equals("the weights of each step", weights, part_of(found, 1))


# 4.7


def _looks(
    states: Array, keys: Array, mask: Array, W_c: Array, mistake: str = ""
) -> tuple[Array, Array]:
    """h̃ and weights of each step, one sentence and one step after the other."""
    b, t, _ = states.shape
    weights = np.zeros((b, t, keys.shape[1]))
    for row, step in np.ndindex(b, t):
        real = mask[{"mask along T": step, "first mask": 0}.get(mistake, row)]
        query = states[row, -1 if mistake == "last asks" else step]
        shown_keys = keys[row].reshape(keys.shape[:0:-1]).T if mistake == "reshaped" else keys[row]
        scores = np.array([sum(query * key) for key in shown_keys])
        if mistake == "scaled":
            scores = scores / math.sqrt(keys.shape[-1])
        if mistake == "inverted":
            real = ~real
        if mistake == "times":
            weights[row, step] = softmax(scores * real)
        elif mistake == "after":
            weights[row, step] = softmax(scores) * real
        elif mistake == "no mask":
            weights[row, step] = softmax(scores)
        else:
            weights[row, step] = softmax(np.where(real, scores, -np.inf))
    if mistake in ("steps", "batch"):
        scores = np.where(mask[:, None], np.einsum("bth,bsh->bts", states, keys), -np.inf)
        weights = softmax(scores, {"steps": 1, "batch": 0}[mistake])
    return _said(weighted_sum(weights, keys), states, W_c, mistake), weights


LOOK_MISTAKES = {
    "no mask": "the mask is not used: padding gets weight",
    "inverted": "the mask was turned round: True means that a key may be looked at",
    "times": "scores or keys were multiplied by the mask: 0 is a score like others, not −∞",
    "after": "the weights were masked after the softmax, so a row sums to less than 1",
    "first mask": "the mask of the first sentence is used for all",
    "mask along T": "the mask (B,S) lies along T: B and T are equal here, and it goes unnoticed",
    "steps": "the softmax ran over the steps T, not over the keys",
    "batch": "the softmax ran over the batch",
    "scaled": "the scores were divided by √H: here they are dot products",
    "last asks": "the last state asks at every step; each state asks once, at its own",
    "reshaped": "the keys were reshaped; two axes must change places: np.swapaxes",
    "no tanh": "the tanh of h̃ is missing",
    "order": "[s; c] instead of [c; s]",
    "no context": "the context is not in h̃",
    "no state": "the state is not in h̃",
}


def _moves(words, state, W, U) -> tuple[Callable, list, Array]:
    calls: list[int] = []

    def bare(x, s):
        return np.tanh(np.asarray(x) @ W + np.asarray(s) @ U)

    def move(x, s):
        calls.append(1)
        _needs("move", "words", "(B,E)", x, (words.shape[0], words.shape[2]))
        _needs("move", "a state", "(B,H)", s, state.shape)
        return bare(x, s)

    states = [state]
    for t in range(words.shape[1]):
        states.append(bare(words[:, t], states[-1]))
    return move, calls, np.stack(states, axis=1)


# What the same wrong weights mean where scores are large and small ones have passed.
LARGE_MISTAKES = {
    "no mask": "a number was put in the place of −∞, or subtracted, and there are real scores \
below it; −∞ is below all of them",
    "times": "a number was put in the place of −∞, and there are real scores below it: 0, −100, \
−1000 are scores like others",
    "after": "the largest score was looked for among the padding, too: next to it exp of every \
real score is 0. Mask first",
}


def _look_cases(draw: numpy.random.Generator) -> list[tuple]:
    """words, state, keys, mask, W_c, W, U; the last two with large scores."""
    cases = []
    for b, t, s, e, h in ((2, 2, 3, 1, 1), (2, 4, 5, 3, 3), (3, 3, 4, 2, 5), (3, 5, 3, 2, 4)):
        words, state = draw.normal(size=(b, t, e)), draw.normal(size=(b, h))
        keys, W_c = draw.normal(size=(b, s, h)), draw.normal(size=(2 * h, h))
        W, U = draw.normal(size=(e, h)), draw.normal(size=(h, h))
        mask = np.arange(s) < np.array([*draw.integers(1, s, size=b - 1), s])[:, None]
        cases.append((words, state, keys, mask, W_c, W, U))
    words, state, keys, mask, W_c, W, U = cases.pop()
    cases.append((words, state, 1e4 * keys, np.full(mask.shape, True), W_c, W, U))
    step = _moves(words, state, W, U)[2][:, 2]  # real scores far below 0, padding far above
    sign = np.where(mask, -1e4, 1e4)[:, :, None]
    cases.append((words, state, sign * step[:, None] + keys, mask, W_c, W, U))
    return cases


def _looks_found(states, state_alone, keys, mask, W_c, large: bool) -> dict[str, tuple]:
    """What was done wrong -> what comes out, (h̃, weights)."""
    b, t = states.shape[0], states.shape[1] - 1
    told = LOOK_MISTAKES | (LARGE_MISTAKES if large else {})
    if b != t:
        told = {mistake: text for mistake, text in told.items() if mistake != "mask along T"}
    found = {text: _looks(states[:, 1:], keys, mask, W_c, m) for m, text in told.items()}
    mixed = states[:, 1:].swapaxes(0, 1).reshape(states[:, 1:].shape)
    for text, other in (
        ("the states before the moves look", states[:, :-1]),
        ("every word starts from the first state; hand on the new one", state_alone),
        ("the states (T,B,H) were reshaped; two axes must change places: np.swapaxes", mixed),
    ):
        found[text] = _looks(other, keys, mask, W_c)
    return found


def _look_causes(b: int, t: int, s: int, said: tuple) -> dict[tuple, str]:
    return {
        said: "attentional comes first, then the weights",
        (b, b, s): "the mask (B,S) met scores (B,T,S): it needs an axis for T",
        (b, s, t): "turned round",
        (b, t + 1, s): "the first state has a row, too; T states come after it",
    }


def _why_weights(weights: Array) -> str:
    """What rows tell that do not sum to 1."""
    if not close(weights.sum(axis=-1), np.ones(weights.shape[:2])):
        first = weights[..., 0].sum(axis=1)  # the first key is a word in each sentence
        if close(first, 1 + 0 * first):
            return LOOK_MISTAKES["steps"]
    return ""


@exercise
def all_at_once(answer, draw):
    """The same as the loop; the mask for every step, scores of 10,000 also in the padding."""
    cases = _look_cases(draw)
    for number, (words, state, keys, mask, W_c, W, U) in enumerate(cases):
        t = words.shape[1]
        move, calls, states = _moves(words, state, W, U)
        said, weights = _looks(states[:, 1:], keys, mask, W_c)
        alone = np.stack([np.tanh(words[:, k] @ W + state @ U) for k in range(t)], axis=1)
        large = number >= len(cases) - 2
        found = _looks_found(states, alone, keys, mask, W_c, large)
        given = {"words": words, "state": state, "move": move, "keys": keys, "mask": mask}
        trial = Trial(answer, **given, W_c=W_c)
        got_said, got_weights = trial.outputs("attentional", "weights")
        told = "the recurrent layer takes T steps"
        trial.must(told, len(calls) == t, t, len(calls), "one `move` a word, and no more")
        got_weights.shape("(B,T,S)", weights.shape, _look_causes(*weights.shape, said.shape))
        got_said.shape("(B,T,H)", said.shape, _step_causes(*said.shape))
        cause = "exp of a large score; subtract each row's largest one first"
        cause = cause if mask.all() else LARGE_MISTAKES["after"] if large else ""
        got_weights.finite(weights, cause)
        got_said.finite(said, cause)
        told = "the weights are those of the loop, one step after the other"
        cause = _why_weights(got_weights.value)
        got_weights.equals(told, weights, part_of(found, 1), cause)
        told = "h̃ is that of the loop, one step after the other"
        got_said.equals(told, said, part_of(found, 0))


# 4.8


def _map(weights: Array, n: int, m: int) -> Array:
    """Entry (t, j): what target word t gives source word j, counted in reading order."""
    return np.array([[weights[t, n - 1 - j] for j in range(n)] for t in range(m)]).reshape(m, n)


def _map_causes(n: int, m: int, T: int, S: int) -> dict[tuple, str]:
    behind = "<eos> was taken out, but what stands behind it was counted as words"
    causes = {
        (0, 0): "<eos> was not found: its id is an input",
        (n, n): "there are as many rows as source words; the target has a length of its own",
        (T - 1, S - 1): behind,
        (m, S - 1): behind,
        (T - 1, n): behind,
        (T, S): "nothing is cut: <eos> and padding are still there",
        (m, S): "the padding of the source is still there",
        (T, n): "the padding of the target is still there",
        (m + 1, n + 1): "<eos> is a row and a column: it is no word",
        (m + 1, n): "the row of <eos> is still there",
        (m, n + 1): "the column of <eos> is still there",
        (m - 1, n): "a target word is missing",
        (m, n - 1): "a source word is missing; a slice that ends at 0 leaves place 0 out",
    }
    if n != m:
        causes[n, m] = "it is turned round: rows are target words, columns source words"
    return causes


def _map_cases(draw: numpy.random.Generator) -> list[tuple]:
    """weights, source, target, eos, number: a small batch, then larger ones with other ids."""
    tiny = np.zeros((2, 7, 5))
    tiny[0, :, :2], tiny[1, :, :3] = [0.9, 0.1], [0.1, 0.2, 0.7]
    tiny[1, :4, :3] = [[0.1, 0.6, 0.3], [0.5, 0.3, 0.2], [0.7, 0.2, 0.1], [0.2, 0.4, 0.4]]
    source = np.array([[5, 2, 0, 0, 0], [6, 5, 2, 0, 0]])
    cases = [(tiny, source, np.array([[8, 2, 0, 0, 0, 0, 0], [7, 9, 8, 4, 2, 0, 0]]), 2, 1)]
    for eos, pad in ((2, 0), (1, 3)):
        order = draw.permutation(4)
        lengths, said = np.array([5, 3, 6, 3])[order], np.array([2, 3, 5, 4])[order]
        source, target = np.full((4, 9), pad), np.full((4, 8), pad)
        for ids, sizes in ((source, lengths), (target, said)):
            for row, size in zip(ids, sizes, strict=True):
                row[: size + 1] = [*draw.integers(4, 20, size=size), eos]
        weights = draw.random(size=(4, 8, 9)) * (np.arange(9) <= lengths[:, None])[:, None]
        weights /= weights.sum(axis=-1, keepdims=True)
        cases += [(weights, source, target, eos, number) for number in range(4)]
    return cases


def _map_mistakes(here: Array, n: int, m: int) -> dict[str, Array]:
    right = _map(here, n, m)
    return {
        "the columns stand in the order in which the encoder has read them, backwards": here[
            :m, :n
        ],
        "the whole row was turned round, padding and all, and cut afterwards: the first columns \
are padding": here[:m, ::-1][:, :n],
        "<eos> was turned round with the words, and is the first column": (
            here[:m, : n + 1][:, ::-1][:, :n]
        ),
        "<eos> was cut off at the wrong end: a word is gone, and <eos> still there": (
            here[:m, 1 : n + 1][:, ::-1]
        ),
        "the rows are turned round, too: only the source was read backwards": right[::-1],
        "the rows are turned round, the columns are not": here[:m, :n][::-1],
        "the rows were made to sum to 1 again; what <eos> has got is left out, not shared": (
            right / right.sum(axis=1, keepdims=True)
        ),
        "the rows are one step late: row t shows the step after word t": _map(here[1:], n, m)
        if m < len(here)
        else right,
        "every row is the last step's: a map keeps the weights of each step": (
            np.broadcast_to(right[-1:], right.shape)
        ),
        "it is turned round: rows are target words, columns source words": right.T,
        "the columns were sorted": -np.sort(-right, axis=1),
    }


@exercise
def heat_map_matrix(answer, draw):
    """Cut at `<eos>`, whatever stands behind it; columns turned, rows not, nothing rescaled."""
    for weights, source, target, eos, number in _map_cases(draw):
        n, m = source[number].tolist().index(eos), target[number].tolist().index(eos)
        here = weights[number]
        given = {"weights": weights, "source": source, "target": target}
        cause = "<eos> was not found: its id is an input" if eos != 2 else ""
        got = attempt(answer, {"": cause}, **given, number=number, eos=eos).output("the map")
        axes = f"({m} target words, {n} source words)"
        causes = _map_causes(n, m, *here.shape)
        for other, ids in enumerate(zip(source, target, strict=True)):
            columns, rows = (each.tolist().index(eos) for each in ids)
            told = f"these are the lengths of sentence {other}; asked for is number {number}"
            causes.setdefault((rows, columns), told)
        got.shape(axes, (m, n), causes)
        mistakes = _map_mistakes(here, n, m)
        for other, each in enumerate(weights):
            if other != number:
                told = f"it is sentence {other}'s map; asked for is number {number}"
                mistakes[told] = _map(each, n, m)
        told = "row t, column j: how much target word t looks at source word j, as you read it"
        got.equals(told, _map(here, n, m), mistakes)


# 4.9


def _places(query, length, W, v, mistake: str = "") -> Array:
    """p_t of one sentence, (T,)."""
    inner = query @ W if mistake == "no inner tanh" else np.tanh(query @ W)
    raw = inner @ v
    raw = -raw if mistake == "sign" else raw
    share = np.tanh(raw) if mistake == "tanh place" else sigmoid(raw)
    if mistake == "no sigma":
        return length * raw
    if mistake == "last place":
        return (length - 1) * share
    if mistake == "share":
        return share
    if mistake == "step":
        return np.arange(len(query)) + 0.0
    rounding = {"rounded": np.round, "floor": np.floor, "ceiling": np.ceil}
    return rounding.get(mistake, lambda place: place)(length * share)


def _local(
    query: Array, key: Array, mask: Array, W: Array, v: Array, D: float, mistake: str = ""
) -> tuple[Array, Array]:
    """p_t and weights, one place after the other; `mistake` names what is done wrong on purpose."""
    lengths, width = mask.sum(axis=1), key.shape[1]
    counted = {"padded": width, "longest": lengths.max(), "all": lengths.sum()}
    lengths = np.broadcast_to(counted.get(mistake, lengths), len(key))
    places = np.array([_places(q, n, W, v, mistake) for q, n in zip(query, lengths, strict=True)])
    weights = np.zeros((*places.shape, width))
    for b, t in np.ndindex(places.shape):
        scores = key[b] @ query[b, t] / (math.sqrt(query.shape[-1]) if mistake == "scaled" else 1)
        weights[b, t] = _window(scores, places[b, t], mask[b], D, mistake)
    return places, weights


def _window(scores: Array, place: float, real: Array, D: float, mistake: str) -> Array:
    """The weights of one query around its place, (S,)."""
    numbers = np.arange(len(scores))
    off = numbers + (mistake == "from 1") - place
    near = {
        "open": abs(off) < D,
        "one side": off <= D,
        "rounded window": abs(numbers - np.round(place)) <= D,
        "floored window": abs(numbers - np.floor(place)) <= D,
        "half": abs(off) <= D / 2,
    }.get(mistake, abs(off) <= D)
    inside = near if mistake in ("pads", "late mask") else near & real
    seen = real if mistake in ("whole", "no window") else inside
    shares = softmax(np.where(seen, scores, -1e9 if mistake == "finite" else -np.inf))
    sigma = {"sigma": D, "root": math.sqrt(D / 2), "narrow": D / 4}.get(mistake, D / 2)
    exponent = {
        "no bell": 0 * off,
        "no half": off**2 / sigma**2,
        "no square": abs(off) / (2 * sigma**2),
        "width": off**2 / (2 * sigma),
    }.get(mistake, off**2 / (2 * sigma**2))
    height = 1 / (sigma * math.sqrt(2 * math.pi)) if mistake == "normal" else 1
    bell = height * np.exp(-exponent)
    row = shares * bell * (inside | (mistake in ("no window", "finite")))
    return {
        "late mask": row * real,
        "softmax after": softmax(row),
        "in scores": softmax(np.where(inside, scores * bell, -np.inf)),
        "renormalised": row / (row.sum() or 1),
    }.get(mistake, row)


PLACE_MISTAKES = {
    "padded": "p comes from the width of the batch: padding moves it. Count the real words",
    "longest": "p comes from the longest sentence of the batch; each has a length of its own",
    "all": "p comes from all words of the batch; count each sentence's own, along axis 1",
    "rounded": "p was rounded; it is no whole number",
    "floor": "p was cut off to a whole number; it is none",
    "ceiling": "p was rounded up; it is no whole number",
    "no inner tanh": "the tanh around q W is missing",
    "no sigma": "σ is missing: p must lie between 0 and the length",
    "tanh place": "a tanh was taken instead of σ: it lets p be negative",
    "last place": "L − 1 instead of L",
    "share": "it is the share σ(…), not yet multiplied by the length",
    "sign": "the sign in σ is turned round: σ(x) = 1/(1 + e^(−x))",
    "step": "it is the number of the step, as in local-m; here the query predicts the place",
}
WINDOW_MISTAKES = {
    "renormalised": "the row was made to sum to 1 again; the distance of the words is to be seen",
    "no bell": "the bell is missing, there is a window only: the place would never be learned",
    "sigma": "σ is D/2, not D",
    "narrow": "σ is D/2, not D/4",
    "root": "D/2 was taken for the variance; it is σ",
    "width": "the bell's exponent is divided by 2σ², the square is missing",
    "no half": "the bell's exponent is divided by 2σ², the 2 is missing",
    "no square": "the bell is of (j − p)², the square is missing",
    "normal": "the bell was divided by σ√(2π); its height is 1, it is no density",
    "whole": "the softmax ran over the whole sentence and the window cut afterwards; it runs \
within the window",
    "one side": "the window reaches too far to the left: the distance |j − p| has no sign, and p \
keeps its fraction, without int or floor",
    "floored window": "the window was laid around p without its fraction (int, floor); its middle \
is p itself",
    "no window": "there is no window: words further away than D get 0",
    "rounded window": "the window was laid around a rounded p; its middle is p itself",
    "open": "a word at the distance D belongs to the window: ≤, not <",
    "half": "the window reaches D to each side, not D/2",
    "pads": "padding within the window gets weight",
    "late mask": "the mask came after the softmax: padding in the window has taken its share",
    "softmax after": "a softmax was taken after the bell: e⁰ = 1 is a share for words outside, too",
    "finite": "a number stands for −∞; in a row of such numbers alone all words get a share",
    "scaled": "the scores were divided by √d: here they are dot products",
    "from 1": "places count from 0",
    "in scores": "the bell multiplies the weights, not the scores",
}


def _local_cases(draw: numpy.random.Generator) -> list[tuple]:
    """query, key, lengths, W, v, D: three by hand, then others."""
    query, first = np.log(2) * np.ones((2, 1, 2)), np.array([[1.0], [0.0]])
    alone = [(0, 0), (1, 0), (1, 1), (0, 0), (9, 9)]
    other = [(1, 1), (0, 0), (1, 0), (1, 1), (9, 9)]
    key = np.array([alone, other], dtype=float)
    cases = [
        (query, key, np.array([3, 4]), first, np.array([-5 / 3 * math.log(1.5)]), 1.0),
        (query, key, np.array([2, 4]), first, np.array([0.0]), 1.0),  # words at the distance D
        (query, key, np.array([3, 4]), first, np.array([9.0]), 0.5),  # nothing in the window
    ]
    for b, t, s, d, A, D in ((3, 2, 9, 4, 3, 2.0), (2, 4, 12, 3, 5, 3.0), (2, 3, 7, 3, 4, 4.0)):
        query, key, W, v = (draw.normal(size=x) for x in ((b, t, d), (b, s, d), (d, A), (A,)))
        cases.append((query, key, np.array([s - 3, s - 1, s][:b]), W, v, D))
    cases.append((30 * query, 30 * key, *cases[-1][2:]))
    return cases


def _place_causes(shape: tuple) -> dict[tuple, str]:
    return {
        shape: "places and weights changed places",
        (*shape[:2], 1): "an axis of length 1 is left; v is (A,), and p one number a step",
        (shape[0],): "there is one place a sentence; each query predicts its own",
        shape[1::-1]: "turned round",
    }


@exercise
def local_p(answer, draw):
    """Places from real lengths, softmax in the window, then the bell; edges, empty windows."""
    for query, key, lengths, W, v, D in _local_cases(draw):
        mask = np.arange(key.shape[1]) < lengths[:, None]
        given = {"query": query, "key": key, "mask": mask, "W": W, "v": v, "D": D}
        places, weights = _local(**given)
        trial = Trial(answer, **given)
        got_places, got_weights = trial.outputs("places", "weights")
        got_places.shape("(B,T)", places.shape, _place_causes(weights.shape))
        got_weights.shape("(B,T,S)", weights.shape)
        mistakes = {told: _local(**given, mistake=m)[0] for m, told in PLACE_MISTAKES.items()}
        told = "p = L · σ(v · tanh(q W)), L the real length"
        same = "all steps of a sentence have one place; each query predicts its own"
        flat = close(got_places.value, got_places.value[:, :1] + 0 * places)
        cause = same if flat and places.shape[1] > 1 else ""
        got_places.equals(told, places, mistakes, cause)
        empty = ~weights.any(axis=-1)
        finite = np.isfinite(got_weights.value).all()
        cause = "a window without any real word: softmax of nothing is NaN; its row is zeros"
        if not empty.any():
            cause = "exp of a large score; subtract each row's largest one first"
        trial.must("the weights are finite", finite, weights, got_weights.value, cause)
        every = PLACE_MISTAKES | WINDOW_MISTAKES
        mistakes = {told: _local(**given, mistake=m)[1] for m, told in every.items()}
        told = "the weights are softmax within the window, times the bell"
        told = "a window without any real word gives zeros" if empty.any() else told
        got_weights.equals(told, weights, mistakes)
