"""Checks of Chapter 3's exercises: scores, maps, fakes, one step, both ways, gradients, coins."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy

from attention_course.checks.core import (
    Array,
    Output,
    Shared,
    Trial,
    close,
    exercise,
    named,
    np,
    part_of,
    sigmoid,
    slopes,
    softmax,
    weighted_sum,
)

Arrays = dict[str, Array]
LN2, LN3 = np.log(2), np.log(3)

# --- Scores -------------------------------------------------------------------


def _scores(
    s: Array,
    h: Array,
    W: Array,
    U: Array,
    v: Array,
    unit: Callable = np.tanh,
    asks: Callable = lambda b, j: b,
) -> Array:
    """v · tanh([s; h] [W; U]), pair by pair; `asks`: whose state is held against word j of b."""
    joined, scores = np.concatenate([W, U]), np.zeros(h.shape[:2])
    for b, j in np.ndindex(scores.shape):
        pair = np.concatenate([s[asks(b, j)], h[b, j]])
        scores[b, j] = unit(pair @ joined) @ v
    return scores


def _drawn(draw: numpy.random.Generator, B: int, S: int, n: int, m: int, A: int) -> Arrays:
    """A state and annotations with parameters: `n` numbers, `m` numbers and `A` units."""
    shapes = {"s": (B, n), "h": (B, S, m), "W": (n, A), "U": (m, A), "v": (A,)}
    return {name: draw.normal(size=shape) for name, shape in shapes.items()}


SCORED = {
    "s": np.array([[LN2], [0.0]]),
    "h": np.array([[[-LN2, 0.0], [0.0, LN3 - LN2]], [[LN3, 0.0], [0.0, -LN2]]]),
    "W": np.ones((1, 3)),
    "U": np.ones((2, 3)),
    "v": np.array([1.0, 2.0, 2.0]),
}


def _score_mistakes(s, h, W, U, v) -> Arrays:
    silent, deaf, half = np.zeros_like(s), np.zeros_like(h), U.copy()
    half[s.shape[1] :] = 0
    given = (s, h, W, U, v)
    scores, flat = _scores(*given), _scores(*given, lambda total: total)
    query, keys = np.tensordot(s, W, 1)[:, None], np.tensordot(h, U, 1)
    apart = _scores(s, deaf, W, U, v) + _scores(silent, h, W, U, v)
    swapped = _scores(*given, asks=lambda b, j: j) if len(s) == h.shape[1] else apart
    return {
        "word j is asked by the state of sentence j, not of its own; W s needs an axis for the "
        "source, (B,1,A)": swapped,
        "the first state asks the words of all sentences": _scores(*given, asks=lambda b, j: 0),
        "each state asks the words of the first sentence": _scores(s, 0 * h + h[:1], W, U, v),
        "the tanh is missing: without it the query cancels in the softmax": flat,
        "a ReLU; the units of this score are a tanh": (
            _scores(*given, lambda total: np.maximum(total, 0))
        ),
        "a sigmoid; the units of this score are a tanh": _scores(*given, sigmoid),
        "tanh of query and of keys one by one; the sum goes into one tanh": apart,
        "tanh of the score; it belongs to each of the A units, before v": np.tanh(flat),
        "v was left out: the units were summed as they are": _scores(s, h, W, U, np.ones_like(v)),
        "the mean over the A units; with v they are summed": scores / len(v),
        "the query plays no part": _scores(silent, h, W, U, v),
        "the keys play no part": _scores(s, deaf, W, U, v),
        "only as many numbers of h as the state has were read; the annotation has two halves": (
            _scores(s, h, W, half, v)
        ),
        "W s minus U h; the two are added": _scores(s, -h, W, U, v),
        "W s times U h; inside of the tanh the two are added": np.tanh(query * keys) @ v,
        "a dot product of W s and U h, another score: this one adds them": (query * keys).sum(-1),
        "softmax is the next step; scores are asked for": softmax(scores),
        "divided by √A; an additive score is not scaled": scores / len(v) ** 0.5,
    }


@exercise
def additive_score(answer, draw):
    """The network's value at each place; also for one sentence, one word; queries do not mix."""
    sizes = (3, 4, 2, 5, 3), (4, 4, 3, 6, 2), (1, 3, 2, 4, 5), (3, 1, 2, 4, 5)
    for given in (SCORED, *(_drawn(draw, *each) for each in sizes)):
        expected, mistakes = _scores(**given), _score_mistakes(**given)
        scores = Trial(answer, **given).output("scores")
        B, S, A = *given["h"].shape[:2], len(given["v"])
        causes = {
            (B, S, A): "the A units were not summed, with v, into one number",
            (B, S, 1): "v as a matrix with one column leaves an axis of length 1 behind",
            (B, 1, S): "one axis of length 1 is left; scores have one row a sentence",
            (S, B): "the axes are turned round; sentences first",
            (B, B, S): "every state asks every sentence; W s needs the shape (B,1,A)",
            (B * S,): "np.squeeze takes away every axis of length 1, B and S, too",
        }
        scores.shape("(B,S)", (B, S), causes)
        told = "scores are v · tanh(W s + U h), one for each word"
        scores.equals(told, expected, mistakes)


# --- Reading a map ------------------------------------------------------------

# Of the map for "nous ne voyons pas de vieille voiture rouge", shipped translator. A hidden test of
# the assignment compares these numbers with the weights and with the grammar's links.
PLACES = [0, 1, 3, 3, 4, 5, 7, 6]
MISREAD = {
    "counted from 1; the first word has place 0": [1, 2, 4, 4, 5, 6, 8, 7],
    "those are the outlines, the grammar's links; the darkest cells are the model's": (
        [0, 2, 3, 2, 4, 5, 7, 6]
    ),
    "the outlines again; the darkest cells are the model's": [0, 2, 3, 2, 7, 5, 7, 6],
    "read by columns; a French word is a row": [0, 1, 1, 2, 4, 5, 7, 6],
    "read by columns; each French word is a row": [0, 1, 3, 2, 4, 5, 7, 6],
    "that is the diagonal; adjectives change places with their nouns": list(range(8)),
    "one row too late: the first row holds the weights with which *nous* was said": (
        [1, 3, 3, 4, 5, 7, 6, 6]
    ),
}
MISCOUNTED = {
    "that is the share that is right; the error rate is 1 minus it": 11 / 15,
    "only sure links were counted; |A ∩ P| counts the possible ones, sure ones included": 1 / 3,
    "that is the share of links that are not even possible; it forgets the sure ones missed": 1 / 4,
    "that is the share of links that are not sure; use (3.7)": 3 / 8,
    "P holds the sure links too: |A ∩ P| is not the number of those that are *only* possible": 0.6,
    "below the line stand |A| and |S|, not |A| and |P|": 7 / 18,
    "below the line stand |A| and |S|, not |S| and |P|": 6 / 17,
    "below the line stands |S|, all sure links, found or not": 2 / 13,
    "below the line stand |A| and |S|, and S is not as large as A": 5 / 16,
    "those are two places; three are asked for": 0.27,
    "that is in percent": 26.68,  # 26.67 and 26.7
}


def _as_read(trial: Trial) -> list[Output]:
    names = ["places", "sure_found", "possible_found", "aer"]
    result = trial.result
    right = isinstance(result, Mapping) and set(names) <= set(result)
    trial.must("it returns a dictionary with four names", right, ", ".join(names), result)
    return [Output(trial, name, result[name]) for name in names]


@exercise
def read_the_map(answer, draw):
    """Places read off a heat map, sure and possible links counted, and the error rate."""
    trial = Trial(answer)
    places, sure, possible, aer = _as_read(trial)
    causes = {(9,): "the row of <eos> says no word", (7,): "eight French words, eight places"}
    places.shape("(8,)", (8,), causes)
    wrong = np.flatnonzero(places.value != PLACES)
    if wrong.size:
        cause = "look again at row " + ", ".join(str(1 + row) for row in wrong)
        told = "each French word is linked to the darkest cell of its row"
        right = f"{8 - wrong.size} of 8 right"
        cause = named(places.value, MISREAD, cause)
        trial.fail(told, "8 places, counted from 0", right, cause)
    all_sure = {
        "one too many: a dashed outline is not sure, and a dark cell without outline no hit": 6,
        "a share; how many is asked for": 5 / 7,
        "a share; how many is asked for, not of the eight": 5 / 8,
        "those are all sure links; count the ones that were found": 7,
    }
    sure.equals("links found that are sure: |A ∩ S|", 5, all_sure)
    only = {
        "only possible ones were counted; P holds the sure ones too": 1,
        "sure links are possible links, but not the other way round": 5,
        "those are all possible links, found or not": 10,
    }
    possible.equals("links found that are possible: |A ∩ P|", 6, only)
    aer.equals("AER by (3.7), to three places", 4 / 15, MISCOUNTED, tolerance=1e-3)


# --- A bug, and four suspects -------------------------------------------------


def _look(state, annotations, mask, W, U, v) -> tuple[Array, Array]:
    scores = _scores(state, annotations, W, U, v)
    weights = softmax(np.where(mask, scores, -np.inf))
    return weighted_sum(weights, annotations), weights


def _mask_mistakes(scores: Array, mask: Array) -> Arrays:
    """Of the weights made from these scores."""
    over = "softmax over the sentences of the batch; it goes over the words of one"
    by_batch = np.exp(scores) * mask
    best = np.where(mask, scores, -np.inf).argmax(axis=1)
    return {
        over: by_batch / np.maximum(by_batch.sum(axis=0), 1e-300),
        over + " sentence": softmax(np.where(mask, scores, -1e9), axis=0),
        over + ", and no mask": softmax(scores, axis=0),
        "those are the scores; their softmax is asked for": np.where(mask, scores, 0),
        "those are the scores, masked; their softmax is asked for": (
            np.where(mask, scores, -np.inf)
        ),
        "the largest score has all the weight; softmax gives each its share": (
            np.eye(mask.shape[1])[best]
        ),
        "the mask was laid on the weights, after the softmax; they no longer sum to 1": (
            softmax(scores) * mask
        ),
        "the mask is not used: padding has weight": softmax(scores),
        "scores of padding were set to 0, not to −∞": softmax(scores * mask),
        "the mask was read the wrong way; True is a real word": softmax(
            np.where(mask, -1e9, scores)
        ),
    }


def _weight_mistakes(state, annotations, mask, W, U, v) -> Arrays:
    given = (state, annotations, W, U, v)
    B, S, m = annotations.shape
    first, mean = annotations[:1], annotations.mean(axis=0, keepdims=True)
    scores = {
        "the query has no say": _scores(np.zeros_like(state), *given[1:]),
        "the tanh is gone": _scores(*given, lambda total: total),
        "keys of the first sentence for all": _scores(state, 0 * annotations + first, W, U, v),
        "one set of keys for the batch, their mean: keys have an axis for the sentences": (
            _scores(state, 0 * annotations + mean, W, U, v)
        ),
    }
    if B == S:
        told = "word j is asked by the state of sentence j; W s needs the shape (B,1,A)"
        scores[told] = _scores(*given, asks=lambda b, j: j)
    if m >= S:
        query, rows = np.tensordot(state, W, 1)[:, None], U[:S]
        told = "rows of U are still in the keys; a key is a projected annotation and nothing else"
        scores[told] = np.tanh(query + np.tensordot(annotations, U, 1) + rows) @ v
    weights = {told: softmax(np.where(mask, made, -np.inf)) for told, made in scores.items()}
    return _mask_mistakes(_scores(*given), mask) | weights


def _looked(draw: numpy.random.Generator, lengths: Sequence[int], S: int, n: int, A: int) -> Arrays:
    given = _drawn(draw, len(lengths), S, n, 2 * n, A)
    names = {"s": "state", "h": "annotations"}
    given = {names.get(name, name): array for name, array in given.items()}
    mask = np.arange(S) < np.array(lengths)[:, None]
    order = ("state", "annotations", "mask", "W", "U", "v")
    return {name: (given | {"mask": mask})[name] for name in order}


LOOKED = {
    "state": np.array([[LN2], [-LN2]]),
    "annotations": np.array([[[-LN2, 0.0], [0.0, 0.0]], [[LN3, 0.0], [8.0, 9.0]]]),
    "mask": np.array([[True, True], [True, False]]),
    "W": np.array([[1.0, 0.0]]),
    "U": np.eye(2),
    "v": 5 / 3 * LN2 * np.ones(2),
}


def _check_padding(weights: Output, expected, mask, mistakes: Arrays) -> None:
    """Padding has no weight; `mistakes` as for `equals`."""
    cause = "a mask that is not used, or not before the softmax"
    if np.isnan(weights.value).any():
        cause = "NaN from a row of −∞ alone: the mask was read the wrong way; True is a real word"
    cause = named(weights.value, mistakes, cause)
    told, none = "padding has the weight 0", (np.abs(weights.value[~mask]) <= 1e-6).all()
    weights.trial.must(told, none, expected, weights.value, cause)


@exercise
def look(answer, draw):
    """Weights and context depend on the source; padding gets exactly nothing."""
    drawn = ([2, 3], 4, 2, 4), ([7, 4, 5], 7, 2, 3), ([4], 5, 3, 2)
    for given in (LOOKED, *(_looked(draw, *each) for each in drawn)):
        context, weights = _look(**given)
        mistakes = _weight_mistakes(**given)
        trial = Trial(answer, **given)
        got_context, got_weights = trial.outputs("context", "weights")
        B, S, m = given["annotations"].shape
        order = "the two in the other order: context first"
        sizes = {(B, S, 1): "an axis of length 1 is left", (B, m): order}
        squeezed = "np.squeeze takes away every axis of length 1, that of one sentence, too"
        sizes[S,] = squeezed
        got_weights.shape("(B,S)", (B, S), sizes)
        projected = {(B, len(given["v"])): "the sum was taken over something with A numbers"}
        projected[m,] = squeezed
        got_context.shape("(B,2H)", (B, m), projected)
        if m == S and close(got_context.value, weights):
            trial.fail("it returns context, weights", context, got_context.value, order)
        _check_padding(got_weights, weights, given["mask"], mistakes)
        _check_that_it_looks(answer, given, got_context, got_weights, draw)
        told = "weights are the softmax of v · tanh(W s + U h) over the real words"
        got_weights.equals(told, weights, mistakes)
        told = "the context is the weighted sum of the annotations"
        cause = "other weights than those returned, or something else than the annotations"
        got_context.equals(told, context, _context_mistakes(**given), cause)


def _check_that_it_looks(answer, given, got_context, got_weights, draw) -> None:
    """Both results move when the annotations do."""
    mask, shape = given["mask"], given["annotations"].shape
    other = given | {"annotations": draw.normal(size=shape)}
    moved = [each.value for each in Trial(answer, **other).outputs("context", "weights")]
    key = "a key that is not made from the annotations"
    if close(got_weights.value, mask / mask.sum(axis=1, keepdims=True)):
        key = "one key for all words of a sentence: each word has a key of its own"
    for output, after, cause in (
        (got_weights, moved[1], key),
        (got_context, moved[0], "an average of something else: of W s, or of U"),
    ):
        told = f"with other annotations and the same state, the {output.name} move"
        same = close(output.value, after)
        output.trial.must(told, not same, "other numbers", output.value, cause)


def _context_mistakes(state, annotations, mask, W, U, v) -> Arrays:
    (_, weights), real = _look(state, annotations, mask, W, U, v), mask[:, :, None]
    mean = (annotations * real).sum(axis=1) / real.sum(axis=1)
    mistakes = {
        "the plain mean of all annotations": annotations.mean(axis=1),
        "the plain mean of the real words' annotations": mean,
        "the plain sum of all annotations": annotations.sum(axis=1),
        "the plain sum of the real words' annotations": (annotations * real).sum(axis=1),
    }
    if annotations.shape[2] == len(v):
        told = "weights laid on W s: one vector, whatever the source says"
        mistakes[told] = np.tensordot(state, W, 1)
        keys = "weights laid on the projected keys U h; the values are the h themselves"
        mistakes[keys] = weighted_sum(weights, np.tensordot(annotations, U, 1))
    return mistakes


KINDS = {
    "blind weights": "the missing question: same query, other annotations; its weights stay",
    "deaf weights": "the missing question: same annotations, another query; its weights stay",
    "pads attended": "the missing question: a masked place; its weight there is not 0",
    "rows mixed": "the missing test: along a row its weights do not sum to 1",
    "context from the decoder": "the missing test: Σ α h, of its own weights, is not its context",
}


# What makes a test say this of somebody of whom it is not true.
ACCUSED = {
    "real": "a suspect that was asked too little",
    "blind weights": "rows whose annotations do not differ, or whose words are all alike, or too "
    "large a tolerance",
    "deaf weights": "rows whose queries do not differ, or too large a tolerance",
    "pads attended": "a weight where the mask is True, which is a word's, or one that is 0 but for "
    "rounding",
    "rows mixed": "sums down the batch, or no tolerance; a row's weights sum to 1 but for rounding",
    "context from the decoder": "a context that was held against other weights than its own, or "
    "without a tolerance",
}


def _why(kinds: list[str], said: list[str], place: int) -> str:
    """What usually makes these verdicts, wrong at this place."""
    turned = {"blind weights": "deaf weights", "deaf weights": "blind weights"}
    if said == [turned.get(kind, kind) for kind in kinds]:
        return "blind and deaf mixed up: blind does not see the annotations, deaf not the query"
    if sorted(said) == sorted(kinds):
        return "the right names in another order; they follow the order of the suspects"
    if kinds[place] in kinds[:place]:
        return "the same fault a second time: two suspects may have the same"
    return KINDS[kinds[place]] if said[place] == "real" else ACCUSED[said[place]]


class _Suspect(Shared):
    """An attention that answers once, and does not show what it is."""

    def __init__(self, attend: Callable):
        self.attend, self.calls = attend, 0

    def __call__(self, query, annotations, mask):
        self.calls += 1
        if self.calls > 1:
            raise RuntimeError("one call for each; put several questions into the rows of a batch")
        query, annotations = np.asarray(query, float), np.asarray(annotations, float)
        mask = np.broadcast_to(np.asarray(mask, bool), annotations.shape[:2])
        return self.attend(query, annotations, mask)

    def __repr__(self) -> str:
        return "a suspect"


def _suspect(kind: str, draw: numpy.random.Generator, n: int, m: int) -> _Suspect:
    """An attention of this kind, with parameters of its own."""
    drawn, places = _drawn(draw, 1, 1, n, m, m), draw.normal(size=(n, 64))
    W, U, v = drawn["W"] / 2, drawn["U"] / 2, drawn["v"]
    unit = (lambda total: total) if kind == "deaf weights" else np.tanh

    def attend(query, annotations, mask):
        scores = _scores(query, annotations, W, U, v, unit)
        if kind == "blind weights":
            scores = np.stack([row @ places for row in query])[:, : scores.shape[1]]
        powers = np.exp(scores) * (mask | (kind == "pads attended"))
        total = powers.sum(axis=0 if kind == "rows mixed" else 1, keepdims=True)
        weights = powers / np.where(total == 0, 1, total)
        from_state = np.stack([row @ W for row in query])[:, None] + 0 * annotations
        values = from_state if kind == "context from the decoder" else annotations
        return weighted_sum(weights, values), weights

    return _Suspect(attend)


@exercise
def find_the_fakes(answer, draw):
    """A probe of one call for each suspect, which tells six kinds apart."""
    names = list(ACCUSED)
    rounds = [names[:4], names[2:]] + [list(draw.permutation(names)[:4]) for _ in range(4)]
    rounds += [["real", *draw.permutation(names[1:])[[0, 0, 1]]], list(draw.choice(names, 4))]
    for kinds in rounds:
        kinds = [str(kind) for kind in draw.permutation(kinds)]
        n = int(draw.integers(3, 6))
        suspects = [_suspect(kind, draw, n, 2 * n) for kind in kinds]
        trial = Trial(answer, suspects=suspects, query_size=n, annotation_size=2 * n)
        calls = [suspect.calls for suspect in suspects]
        told = "each suspect is asked, and once"
        cause = "a verdict without a question, or an error of a second question that was caught"
        trial.must(told, calls == [1] * 4, [1] * 4, calls, cause)
        said = trial.result
        right = isinstance(said, (list, tuple, Array)) and len(said) == 4
        trial.must("it returns four verdicts", right, "a list of 4", said)
        said = [str(each) for each in said]
        unknown = [each for each in said if each not in ACCUSED]
        trial.must("verdicts are names of the list", not unknown, ", ".join(ACCUSED), unknown)
        for place, (kind, verdict) in enumerate(zip(kinds, said)):
            if kind == verdict:
                continue
            told = f"suspects[{place}] is told for what it is (all four: {', '.join(kinds)})"
            trial.fail(told, kind, verdict, _why(kinds, said, place))


# --- One step of the decoder --------------------------------------------------


def _wide(name: str, parts: str, rows: Array, size: int) -> Array:
    """The rows that a function is given, if they are as wide as they should be."""
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.shape[1] != size:
        raise ValueError(f"{name} reads {parts}, (B,{size}), and was given {rows.shape}")
    return rows


class _Decoder:
    """The three functions that `bahdanau_step` is given. They say so when a row is too wide."""

    def __init__(self, draw: numpy.random.Generator, E: int, H: int, D: int, vocab: int, A: int):
        drawn = _drawn(draw, 1, 1, H, D, A)
        self.W, self.U, self.v = drawn["W"], drawn["U"], drawn["v"]
        self.reads, self.keeps = draw.normal(size=(E + D, H)), draw.normal(size=(H, H))
        self.says = draw.normal(size=(H + D + E, vocab))

    def score(self, query, annotations):
        return _scores(np.asarray(query), annotations, self.W, self.U, self.v)

    def cell(self, inputs, state):
        inputs = _wide("cell", "[word; context]", inputs, len(self.reads))
        return np.tanh(inputs @ self.reads + np.asarray(state) @ self.keeps)

    def readout(self, seen):
        return _wide("readout", "[new_state; context; word]", seen, len(self.says)) @ self.says


def _stepped(given: dict, context=None, query=None) -> list[Array]:
    """logits, new state and weights, by default the right ones."""
    word, state, h, mask, score, cell, readout = given.values()
    scores = score(state if query is None else query, h)
    weights = softmax(np.where(mask, scores, -np.inf))
    context = weighted_sum(weights, h) if context is None else context
    new = cell(np.concatenate([word, context], axis=1), state)
    return [readout(np.concatenate([new, context, word], axis=1)), new, weights]


def _by_hand() -> dict:
    """Numbers that can be followed on paper: weights 1/7, 2/7 and 4/7; 1/3 and 2/3.

    Scores are the logarithms of 1, 2, 4, 8 if a state of 1 asks, and others if another does.
    """

    def score(query, annotations):
        return np.log([[1.0, 2.0, 4.0, 8.0]]) * np.cos(np.asarray(query) - 1)

    def cell(inputs, state):
        inputs = _wide("cell", "[word; context]", inputs, 3)
        return state + inputs @ np.array([[1.0], [1.0], [10.0]])

    def readout(seen):
        return _wide("readout", "[new_state; context; word]", seen, 4)

    mask = np.array([[True, True, True, False], [True, True, False, False]])
    h = np.array([[[0.0, 7], [7, 0], [7, 0], [9, 9]], [[3.0, 0], [0, 3], [9, 9], [9, 9]]])
    names = ("word", "state", "annotations", "mask", "score", "cell", "readout")
    values = (np.array([[5.0], [4.0]]), np.ones((2, 1)), h, mask, score, cell, readout)
    return dict(zip(names, values))


def _step_mistakes(given: dict) -> list[Arrays]:
    """What comes out of mistakes: of weights, of the new state, of logits."""
    word, state, h, mask, score, cell, _ = given.values()
    right = _stepped(given)
    scores = score(state, h)
    luong = _stepped(given, query=right[1])
    spread = _stepped(given, context=np.zeros((len(word), h.shape[2])))
    weights = _mask_mistakes(scores, mask) | {
        "the new state asked; it needs the context, so the query is the state before": luong[2],
        "the new state asked, made without a context": _stepped(given, query=spread[1])[2],
    }
    context, new = weighted_sum(right[2], h), right[1]
    fed = np.concatenate([word, context], axis=1)
    states = {
        "the cell reads [context; word]; it is [word; context]": cell(
            np.concatenate([context, word], axis=1), state
        ),
        "no context was fed to the cell": spread[1],
        "the state did not go through the cell": state,
        "the context is the plain mean": _stepped(given, context=h.mean(axis=1))[1],
        "the context is that of weights without a mask": _stepped(
            given, context=weighted_sum(softmax(scores), h)
        )[1],
        "the cell was asked with a state of zeros": cell(fed, np.zeros_like(new)),
        "the cell was asked twice; one step is one call": cell(fed, new),
        "the state before was added; what `cell` returns is the new state": state + new,
    }
    logits = {
        "the readout got the context of the *new* state": given["readout"](
            np.concatenate([new, weighted_sum(luong[2], h), word], axis=1)
        ),
        "softmax of the logits; logits are asked for": softmax(right[0]),
    }
    parts = {"new_state": new, "context": context, "word": word, "state": state}
    for order in itertools.permutations(parts, 3):
        told = f"the readout got [{'; '.join(order)}], and reads [new_state; context; word]"
        seen = np.concatenate([parts[name] for name in order], axis=1)
        if seen.shape[1] == fed.shape[1] + new.shape[1] and order != tuple(parts)[:3]:
            logits[told] = given["readout"](seen)
    return [weights, states, logits]


def loud(query, annotations):  # its name stands in messages
    """Large scores, where a real word, a whole batch, and padding have the largest."""
    return np.array([[1000.0, 0, 0, 0], [0, 50.0, 0, 0], [0, 900.0, 1000.0, 2000.0]])


def _why_not_loud(weights: Array) -> str:
    spoilt = tuple(np.isnan(weights).any(axis=1).tolist())
    one = "one score for the whole batch was subtracted; take the largest of each row"
    return {
        (True, True, True): one,
        (False, True, False): one,
        (False, False, True): "padding's score was the largest and was subtracted; mask first",
        (False, False, False): "large scores were cut off, or made smaller: then 900 is as good as "
        "1000",
    }.get(spoilt, "exp(1000) overflows; subtract the largest score of the row first")


@exercise
def bahdanau_step(answer, draw):
    """The query is the state before; look, move, speak, each with the right arguments."""
    decoder = _Decoder(draw, E=3, H=2, D=5, vocab=7, A=4)
    shapes = {"word": (3, 3), "state": (3, 2), "annotations": (3, 4, 5)}
    drawn = {name: draw.normal(size=shape) for name, shape in shapes.items()}
    drawn |= {"mask": np.arange(4) < np.array([[4], [2], [3]])}
    drawn |= {"score": decoder.score, "cell": decoder.cell, "readout": decoder.readout}
    for given in (_by_hand(), drawn):
        logits, new, weights = _stepped(given)
        wrong_weights, wrong_states, wrong_logits = _step_mistakes(given)
        trial = Trial(answer, **given)
        got_logits, got_new, got_weights = trial.outputs("logits", "new_state", "weights")
        sizes = {(len(new), given["annotations"].shape[2]): "that is the context"}
        got_weights.shape("(B,S)", weights.shape, sizes)
        told = "weights are the softmax of the scores of the state *before* the step, masked"
        got_weights.equals(told, weights, wrong_weights)
        order = "those are the logits; the order is logits, new_state, weights"
        got_new.shape("(B,H)", new.shape, {logits.shape: order})
        told = "the new state is cell([word; context], state)"
        got_new.equals(told, new, wrong_states)
        told = "logits are readout([new_state; context; word])"
        got_logits.equals(told, logits, wrong_logits)

    other = drawn | {"word": drawn["word"] + 1}
    trial = Trial(answer, **other)
    told = "another word leaves the weights of this step as they are"
    trial.outputs("logits", "new_state", "weights")[2].equals(told, weights)

    picked = drawn["annotations"][np.arange(3), np.arange(3)]
    trial = Trial(answer, **drawn | {"score": loud})
    expected = _stepped(trial.given, context=picked)
    got = trial.outputs("logits", "new_state", "weights")
    told = "a score that is far larger than the row's others picks that one annotation"
    for place in (2, 1, 0):
        cause = _why_not_loud(got[2].value)
        got[place].equals(told, expected[place], cause=cause)


# --- Reading both ways --------------------------------------------------------


def _digits(sign: int) -> Callable:
    """A cell whose state spells what it has read: 1, 2, 3 -> 123; `sign` −1: −123."""

    def step(inputs, state):
        return 10 * np.asarray(state) + sign * np.asarray(inputs)

    return step


def _net(draw: numpy.random.Generator, D: int, H: int) -> Callable:
    W, R = draw.normal(size=(D, H)), draw.normal(size=(H, H))

    def step(inputs, state):
        return np.tanh(np.asarray(inputs) @ W + np.asarray(state) @ R + 0.3)

    return step


def _walk(step, row, places, H, out, state=None) -> Array:
    """Read the tokens of one row at these places; put each state into `out`, return the last."""
    state = np.zeros((1, H)) if state is None else state[None]
    for place in places:
        state = step(row[place : place + 1], state)
        out[place] = state[0]
    return state[0]


def _home(S: int, n: int) -> range:
    return range(n - 1, -1, -1)


def _both(inputs, lengths, forward, backward, H, back=_home, start=lambda ends, b: (None, None)):
    """`back`: the places of the way back; `start`: first states, None for zeros."""
    B, S, _ = inputs.shape
    annotations, ends = np.zeros((B, S, 2 * H)), np.zeros((B, 2 * H))
    for b, n in enumerate(map(int, lengths)):
        there, home = annotations[b, :, :H], annotations[b, :, H:]
        ends[b, :H] = _walk(forward, inputs[b], range(n), H, there, start(ends, b)[0])
        ends[b, H:] = _walk(backward, inputs[b], back(S, n), H, home, start(ends, b)[1])
    return annotations, ends


def _from_the_end(ends, b):
    return None, ends[b, : ends.shape[1] // 2]


def _from_above(ends, b):
    return np.split(ends[b - 1], 2) if b else (None, None)


def _unflipped(annotations, lengths, H):
    """The backward half in the order in which it was read."""
    found = annotations.copy()
    for row, length in enumerate(map(int, lengths)):
        found[row, :length, H:] = annotations[row, :length, H:][::-1]
    return found


def _reading_mistakes(given: dict) -> tuple[Arrays, Arrays]:
    """Of annotations and of ends."""
    inputs, lengths, forward, backward, H = given.values()
    (B, S, D), n = inputs.shape, np.array(lengths)
    right, ends = _both(**given)
    real = (np.arange(S) < n[:, None])[:, :, None]
    all_read, all_ends = _both(inputs, np.full(B, S), forward, backward, H)
    pads_read = "reading backwards began in the padding; begin at the last real token of each row"
    nets = {
        "both halves come from one net; the second has a step of its own": (forward, forward),
        "the two nets have changed places": (backward, forward),
    }
    if D == H:
        told = "steps were called as step(state, x); x comes first"
        nets[told] = [lambda x, h: forward(h, x), lambda x, h: backward(h, x)]
    both = {told: _both(inputs, lengths, *pair, H) for told, pair in nets.items()}
    for told, back in (
        ("the second net reads from left to right", lambda S, n: range(n)),
        (pads_read, lambda S, n: range(S)[::-1]),
        ("the way back leaves out the last token", lambda S, n: range(n - 2, -1, -1)),
        ("the way back leaves out the first token", lambda S, n: range(n - 1, 0, -1)),
    ):
        both[told] = _both(**given, back=back)
    zeros = _both(**given | {"inputs": inputs * real}, back=lambda S, n: range(S)[::-1])
    both["padding was set to 0 and still read, which moves a state; do not read it"] = zeros
    for told, start in (
        ("the way back begins with zeros, not with the forward net's end", _from_the_end),
        ("each sentence begins with zeros, not with the end of the one before", _from_above),
    ):
        both[told] = _both(**given, start=start)
    wrong_states = {told: states * real for told, states in part_of(both, 0).items()}
    return (
        wrong_states | _misplaced(right, all_read, n, H, pads_read),
        part_of(both, 1) | _no_ends(right, ends, all_ends, n, H),
    )


def _misplaced(right, all_read, n, H, pads_read) -> Arrays:
    """Annotations of states that were read as they should be, or over the whole width."""
    B, S, _ = right.shape
    real = (np.arange(S) < n[:, None])[:, :, None]
    wide, before = right.copy(), np.zeros_like(right)
    wide[:, :, H:] = 0
    for row, length in enumerate(n):
        wide[row, S - length :, H:] = right[row, :length, H:]
    before[:, 1:, :H], before[:, :-1, H:] = right[:, :-1, :H], right[:, 1:, H:]
    whole = "the backward states were turned over the whole width; turn each row by its own length"
    everything = "all places were read, padding too; `lengths` says where a row ends"
    return {
        "the backward states stand in the order in which they were read; turn them back": (
            _unflipped(right, n, H)
        ),
        "the halves are swapped; forward comes first": np.roll(right, H, axis=2),
        whole: wide,
        whole + " of tokens": wide * real,
        "the states *before* each token was read; it is part of its annotation": before * real,
        everything: all_read,
        everything + ", and turn the backward states back": _unflipped(all_read, [S] * B, H),
        pads_read + "; and turn the states back": _unflipped(all_read, [S] * B, H) * real,
    }


def _no_ends(right, ends, all_ends, n, H) -> Arrays:
    last, rows = n - 1, np.arange(len(n))
    return {
        "annotations[:, −1] is no end: padding for short rows, and its backward half has read one "
        "token": right[:, -1],
        "the backward net ends at the *first* token; at the last it has read only one": (
            right[rows, last]
        ),
        "the forward net ends at the last real token; at the first it has read one": right[:, 0],
        "zeros for the forward end of short rows; it is the state at the last *real* token, not at "
        "the last place": np.concatenate([right[:, -1, :H], ends[:, H:]], axis=1),
        "the forward net went on into the padding; its end is at the last real token": (
            np.concatenate([all_ends[:, :H], ends[:, H:]], axis=1)
        ),
        "padding was read on the way to the end": all_ends,
        "the halves are swapped; forward comes first": np.roll(ends, H, axis=1),
    }


def _to_read(inputs, lengths, forward, backward, H) -> dict:
    names = ("inputs", "lengths", "forward", "backward", "H")
    return dict(zip(names, (inputs, np.array(lengths), forward, backward, H)))


@exercise
def read_both_ways(answer, draw):
    """Each direction reads real tokens only; the backward states are turned round again."""
    small = np.array([[[1.0], [2], [3]], [[4], [5], [9]]])
    large = draw.normal(size=(4, 5, 3))
    for given in (
        _to_read(small, [3, 2], _digits(1), _digits(-1), 1),
        _to_read(large, [2, 5, 1, 4], _net(draw, 3, 2), _net(draw, 3, 2), 2),
    ):
        annotations, ends = _both(**given)
        wrong_states, wrong_ends = _reading_mistakes(given)
        trial = Trial(answer, **given)
        got, got_ends = trial.outputs("annotations", "ends")
        B, S, width = annotations.shape
        got.shape("(B,S,2H)", (B, S, width), {(B, S, width // 2): "halves are joined, not added"})
        real = (np.arange(S) < given["lengths"][:, None])[:, :, None]
        told = "annotations at padding are 0"
        if close(got.value * real, annotations):
            got.equals(told, annotations, cause="states of padding that were not taken out")
        told = "an annotation: the first net up to the token, and the second back to it"
        got.equals(told, annotations, wrong_states)
        got_ends.shape("(B,2H)", (B, width), {(B, width // 2): "both ends are asked for"})
        told = "ends hold the last state of each net, which has read all real tokens"
        got_ends.equals(told, ends, wrong_ends)


# --- Gradients ----------------------------------------------------------------


def _slope(total: Array) -> Array:
    return 1 - np.tanh(total) ** 2


def _additive_gradients(
    dscores: Array, given: Arrays, bend: Callable = _slope, asks: Callable = lambda b, j: b
) -> Arrays:
    """Gradients of the sum of dscores · scores, pair by pair; with another slope of the tanh, or
    with another's state, where a mistake is meant."""
    s, h, W, U, v = given.values()
    gradients = {name: np.zeros_like(array) for name, array in given.items()}
    for b, j in np.ndindex(dscores.shape):
        total = s[asks(b, j)] @ W + h[b, j] @ U
        dtotal = dscores[b, j] * v * bend(total)
        gradients["s"][b] += W @ dtotal
        gradients["h"][b, j] += U @ dtotal
        gradients["W"] += np.outer(s[b], dtotal)
        gradients["U"] += np.outer(h[b, j], dtotal)
        gradients["v"] += dscores[b, j] * np.tanh(total)
    return gradients


SLOPES = {
    "the slope of tanh is 1 − tanh², and is missing": lambda total: np.ones_like(total),
    "the slope was taken of the total; it is 1 − tanh(total)²": lambda total: 1 - total**2,
    "the slope of tanh is 1 − tanh², not 1 − tanh": lambda total: 1 - np.tanh(total),
    "the slope of tanh is 1 − tanh²; a(1 − a) is that of a sigmoid": (
        lambda total: np.tanh(total) * (1 - np.tanh(total))
    ),
    "tanh was taken twice: tanh(tanh(total))": lambda total: 1 - np.tanh(np.tanh(total)) ** 2,
}


def _additive_mistakes(dscores: Array, given: Arrays) -> dict[str, Arrays]:
    (B, S), right = dscores.shape, _additive_gradients(dscores, given)
    found = {name: _additive_gradients(dscores, given, bend) for name, bend in SLOPES.items()}
    found["v is missing on the way back"] = right | _additive_gradients(
        dscores, given, lambda total: _slope(total) / given["v"]
    )
    p = softmax(_scores(**given))
    behind = p * (dscores - (p * dscores).sum(axis=1, keepdims=True))
    for told, other in (
        ("dscores is left out; it comes into every gradient", np.ones_like(dscores)),
        ("back through a softmax, too; dscores is the gradient of the scores themselves", behind),
        ("the sign is turned round", -dscores),
    ):
        found[told] = _additive_gradients(other, given)
    if B == S:
        told = "word j was asked by the state of sentence j; W s needs the shape (B,1,A)"
        found[told] = _additive_gradients(dscores, given, asks=lambda b, j: j)
    over = "mean instead of sum over the {}: gradients of a shared thing add up"
    by_source = {name: right[name] / S for name in ("s", "W", "U")}
    found[over.format("source")] = right | by_source
    found[over.format("batch")] = {
        name: array / (1 if name in "sh" else B) for name, array in right.items()
    }
    pairs = {name: right[name] / (B * S) for name in ("W", "U", "v")}
    found[over.format("batch and the source")] = right | pairs
    return found | _kept_mistakes(dscores, given, right) | _sum_mistakes(dscores, given, right)


def _kept_mistakes(dscores: Array, given: Arrays, right: Arrays) -> dict[str, Arrays]:
    """Shares that were not added up."""
    B, S = dscores.shape
    row, column, found = np.arange(B)[:, None], np.arange(S), {}
    for kept, here, names in (
        ("last word's share was kept; add up (`+=`) over the source", column == S - 1, "sWUv"),
        ("last sentence's share was kept; add up (`+=`) over the batch", row == B - 1, "WUv"),
        ("first sentence's share was kept; add up over the batch", row == 0, "WUv"),
    ):
        share = _additive_gradients(np.where(here, dscores, 0), given)
        found[f"only the {kept}"] = right | {name: share[name] for name in names}
    return found


def _sum_mistakes(dscores: Array, given: Arrays, right: Arrays) -> dict[str, Arrays]:
    """Sums where none belongs, and products of the wrong two."""
    s, h, W, U, v = given.values()
    totals = np.tensordot(s, W, 1)[:, None] + np.tensordot(h, U, 1)
    dtotals = dscores[:, :, None] * v * _slope(totals)
    summed = sum(np.outer(*pair) for pair in zip(h.sum(axis=1), dtotals.sum(axis=1)))
    return {
        "each word has a gradient of its own in dh; nothing is summed over the source": (
            right | {"h": 0 * h + right["h"].sum(axis=1, keepdims=True)}
        ),
        "each sentence has a state of its own; in ds nothing is summed over the batch": (
            right | {"s": 0 * s + right["s"].sum(axis=0)}
        ),
        "h and gradients were each summed over the source, and then multiplied; multiply first": (
            right | {"U": summed}
        ),
        "v meets tanh(total), not the total": (
            right | {"v": np.einsum("bs,bsa->a", dscores, totals)}
        ),
        "that is the sum of the totals' gradients; dv is made of dscores and the units": (
            right | {"v": dtotals.sum(axis=(0, 1))}
        ),
        "the sum of the units; each meets its dscores first": (
            right | {"v": np.tanh(totals).sum(axis=(0, 1))}
        ),
    }


@exercise
def additive_backward(answer, draw):
    """Gradients of all five arguments, against finite differences."""
    small = {"s": np.zeros((1, 1)), "h": np.array([[[LN2, 0.0], [0.0, 0.0]]])}
    small |= {"W": np.ones((1, 1)), "U": np.ones((2, 1)), "v": np.array([5.0])}
    axes = {"s": "(B,n)", "h": "(B,S,m)", "W": "(n,A)", "U": "(m,A)", "v": "(A,)"}
    for dscores, given in (
        (np.array([[1.0, 2.0]]), small),
        (draw.normal(size=(3, 3)), _drawn(draw, 3, 3, 2, 5, 4)),
        (draw.normal(size=(3, 4)), _drawn(draw, 3, 4, 2, 5, 3)),
    ):

        def loss(dscores=dscores, **moved):
            return (dscores * _scores(**moved)).sum()

        expected, wrong = slopes(loss, **given), _additive_mistakes(dscores, given)
        trial = Trial(answer, dscores=dscores, **given)
        outputs = trial.outputs("ds", "dh", "dW", "dU", "dv")
        B, S, _ = given["h"].shape
        order = "that is the shape of d{}; the order is ds, dh, dW, dU, dv"
        others = {value.shape: order.format(name) for name, value in expected.items()}
        for output, (name, value) in zip(outputs, expected.items()):
            causes = others | {
                (B, S, *value.shape[1:]): "one query asks all S words: sum over the source",
                (B, *value.shape): "one for each sentence; parameters are shared: sum them",
                (B, S, *value.shape): "one for each pair; parameters are shared: sum them",
                (S, *value.shape): "one for each word; sum over the source, too",
                value.shape[::-1]: "transposed; a gradient has the shape of what it belongs to",
            }
            output.shape(axes[name], value.shape, causes)
        ordered = [outputs[place] for place in (4, 1, 0, 3, 2)]
        for output, name in zip(ordered, ("v", "h", "s", "U", "W")):
            told = f"{output.name} is how the loss changes with {name}"
            output.equals(told, expected[name], part_of(wrong, name))


# --- Maxout -------------------------------------------------------------------


def _maxed(seen, W_t, W_o, pairs) -> Array:
    """Logits for these pairs of units."""
    return np.array([[row[list(pair)].max() for pair in pairs] for row in seen @ W_t]) @ W_o


def _maxout_gradients(seen, W_t, W_o, dlogits, pairs) -> list[Array]:
    units, dbest = seen @ W_t, dlogits @ W_o.T
    dunits, best = np.zeros_like(units), np.zeros_like(dbest)
    for b, j in np.ndindex(dbest.shape):
        first, second = pairs[j]
        winner = first if units[b, first] >= units[b, second] else second
        best[b, j], dunits[b, winner] = units[b, winner], dbest[b, j]
    return [dunits @ W_t.T, seen.T @ dunits, best.T @ dlogits]


@exercise
def maxout(answer, draw):
    """Pairs of neighbours, not halves; the gradient goes to the larger of the two."""
    eye = {"seen": np.array([[1.0, 5, 4, 2], [3, 3, -4, -1]])}
    eye |= {"W_t": np.eye(4), "W_o": np.eye(2)}
    eye["dlogits"] = np.array([[10.0, 20], [30, 40]])
    shapes = {"seen": (3, 4), "W_t": (4, 10), "W_o": (5, 6), "dlogits": (3, 6)}
    drawn = {name: draw.normal(size=shape) for name, shape in shapes.items()}
    for given in (eye, drawn):
        l = len(given["W_o"])
        pairs = [(2 * j, 2 * j + 1) for j in range(l)]
        forward = {name: given[name] for name in ("seen", "W_t", "W_o")}
        expected = [_maxed(**forward, pairs=pairs), *_maxout_gradients(**given, pairs=pairs)]
        outputs = Trial(answer, **given).outputs("logits", "dseen", "dW_t", "dW_o")
        axes = ("(B,V)", "(B,K)", "(K,2l)", "(l,V)")
        order = "that is the shape of {}; the order is logits, dseen, dW_t, dW_o"
        names = ("logits", "dseen", "dW_t", "dW_o")
        others = {each.shape: order.format(name) for each, name in zip(expected, names)}
        for output, name, value in zip(outputs, axes, expected):
            causes = others | {value.shape[::-1]: "transposed"}
            if output is outputs[0]:
                causes[len(value), l] = "those are the maxima t; logits are t @ W_o"
            output.shape(name, value.shape, causes)
        told = "logits are the larger of units 1 and 2, of 3 and 4, …, times W_o"
        outputs[0].equals(told, expected[0], _maxout_mistakes(**forward))
        _check_maxout_gradients(outputs, expected, given, pairs)


def _maxout_mistakes(seen, W_t, W_o) -> Arrays:
    l, units = len(W_o), seen @ W_t
    pairs = [(2 * j, 2 * j + 1) for j in range(l)]
    halves = [(j, l + j) for j in range(l)]
    shifted = [(2 * j + 1, (2 * j + 2) % (2 * l)) for j in range(l)]
    first, second = units[:, ::2], units[:, 1::2]
    both, best = (first + second) @ W_o, np.maximum(first, second)
    largest = np.where(abs(first) >= abs(second), first, second)
    return {
        "halves: unit j was paired with unit l + j; neighbours are paired": (
            _maxed(seen, W_t, W_o, halves)
        ),
        "pairs begin at the second unit; counted from 0 they are (0,1), (2,3), …": (
            _maxed(seen, W_t, W_o, shifted)
        ),
        "the smaller of the two was taken": -_maxed(-seen, W_t, W_o, pairs),
        "the mean of the two was taken": both / 2,
        "the sum of the two was taken": both,
        "the first of each pair was taken": first @ W_o,
        "the second of each pair was taken": second @ W_o,
        "the larger without its sign was taken": largest @ W_o,
        "the larger was cut off at 0, as by a ReLU": np.maximum(best, 0) @ W_o,
        "a tanh was put around the units; maxout takes them as they are": np.tanh(best) @ W_o,
        "a reshape to (2,B,l) tears rows apart; neighbours share a row in (B,l,2)": (
            units.reshape(2, len(seen), l).max(axis=0) @ W_o
        ),
        "softmax of the logits; logits are asked for": softmax(best @ W_o),
    }


def _shares(p: Array) -> Arrays:
    """How a pair's gradient can be given to its two units; p (B,l,2) are the units."""
    top = p == p.max(axis=2, keepdims=True)
    first = np.stack([p[..., 0] >= p[..., 1], p[..., 0] < p[..., 1]], axis=2)
    belongs = "it belongs to the larger unit (in a tie to the first)"
    tie = "in a tie the first of the two gets all of the gradient, "
    return {
        f"both units of a pair got the gradient; {belongs}": np.ones_like(p),
        f"the gradient was divided between the two; {belongs}": np.full_like(p, 0.5),
        f"the first of each pair got it, larger or not; {belongs}": np.ones_like(p) * [1, 0],
        f"the gradient went to the smaller one; {belongs}": ~first,
        tie + "not both": top,
        tie + "not half": top / top.sum(axis=2, keepdims=True),
        tie + "not the second": np.stack([p[..., 0] > p[..., 1], p[..., 0] <= p[..., 1]], axis=2),
        tie + "and is not left out": p > p[..., ::-1],
        "the unit itself was multiplied in; the slope of a maximum is 1 for the larger": p * first,
        "the winners of the first row were taken for all rows": first[:1] | (0 * p > 0),
        "only the largest of all units got it; each pair has a winner": (
            p == p.max(axis=(1, 2), keepdims=True)
        ),
    }


def _check_maxout_gradients(outputs, expected, given, pairs) -> None:
    seen, W_t, W_o, dlogits = given.values()
    units, dbest = seen @ W_t, (dlogits @ W_o.T)[:, :, None]
    p = units.reshape(len(seen), -1, 2)
    gradients = {told: (dbest * share).reshape(units.shape) for told, share in _shares(p).items()}
    right = dbest * np.stack([p[..., 0] >= p[..., 1], p[..., 0] < p[..., 1]], axis=2)
    told = "the gradients stand in halves: those of all first units, then those of all second ones"
    gradients[told] = np.concatenate([right[:, :, 0], right[:, :, 1]], axis=1)
    wrong = {told: [d @ W_t.T, seen.T @ d, expected[3]] for told, d in gradients.items()}
    wrong["mean over the batch; gradients of a shared matrix add up"] = [
        each / size for each, size in zip(expected[1:], (1, len(seen), len(seen)))
    ]
    told = "the logits went back; `dlogits` is what comes back"
    wrong[told] = _maxout_gradients(seen, W_t, W_o, expected[0], pairs)
    first = units[:, ::2].T @ dlogits
    told = "the first unit of each pair met dlogits; the larger one does"
    wrong[told] = [*expected[1:3], first]
    wrong["transposed"] = [expected[1], expected[2].T, expected[3].T]
    for place, told in (
        (3, "dW_o: each maximum meets its dlogits"),
        (1, "dseen: the gradient goes back through the larger unit of each pair"),
        (2, "dW_t: only the larger unit of each pair has a gradient"),
    ):
        outputs[place].equals(told, expected[place], part_of(wrong, place - 1))


# --- Scheduled sampling -------------------------------------------------------


class _Coins(Shared, numpy.random.Generator):
    """A generator that is not copied: several calls draw on."""

    def __repr__(self) -> str:
        return "a generator"


def _generator(seed: int) -> _Coins:
    return _Coins(numpy.random.PCG64(seed))


def says(words, state):  # its name stands in messages
    """A model in whole numbers: its words are even, from 100 up; its state has read them all."""
    words, state = np.asarray(words), np.asarray(state)
    return 100 + 2 * ((3 * words + state) % 400), (5 * state + words) % 400


UNFED = "own words came from a decoder that had read the truth; feed it what it reads"
MISLED = {
    UNFED: "truth",
    "the state that `step` returns was not handed on to the next step": "frozen",
    "the state went on from true words; `step` is asked once a place, with what is read": "apart",
    "what is said *after* the place itself; read what was said at the place before": "ahead",
    "what the first sentence says was read by all": "first",
    "`step` was called as step(state, words); words come first": "swapped",
    "`step` was left out where the truth is read; its state has to read that too": "skipped",
    "own words came from a run that never reads the truth; feed it what it reads": "free",
}


def _path(target_in, state, true, mistake="") -> Array:
    """What the decoder reads when the coins fell as in `true` (B,T)."""
    read = np.array(target_in)
    if mistake == "ahead":
        state = says(read[:, 0], state)[1]
    for t in range(1, read.shape[1]):
        if mistake == "skipped" and true[:, t].all():
            continue
        fed = {"truth": target_in[:, t - 1], "ahead": target_in[:, t]}.get(mistake, read[:, t - 1])
        own, moved = says(state, fed) if mistake == "swapped" else says(fed, state)
        if mistake == "apart":
            moved = says(target_in[:, t - 1], state)[1]
        state = state if mistake == "frozen" else moved
        read[:, t] = np.where(true[:, t], target_in[:, t], own[0] if mistake == "first" else own)
    if mistake == "free":
        read = np.where(true, target_in, _path(target_in, np.arange(len(read)), 0 * true > 0))
    return read


def _misled(target_in, true) -> Arrays:
    state = np.arange(len(target_in))
    return {told: _path(target_in, state, true, mistake) for told, mistake in MISLED.items()}


def _reads(answer, target_in, truth, update=1, seed=0, rng=None) -> tuple[Trial, Output]:
    given = {"target_in": target_in, "step": says, "state": np.arange(len(target_in))}
    given |= {"truth": truth, "update": update, "rng": rng or _generator(seed)}
    trial = Trial(answer, **given)
    read = trial.output("read")
    B, T = target_in.shape
    causes = {
        (B, T - 1): "the first column, <sos>, is read, too",
        (T, B): "the axes are turned round; sentences first",
    }
    read.shape("(B,T)", (B, T), causes)
    cause = "np.zeros makes an array of floats, which is no index of an embedding: `dtype=int`"
    kind = read.value.dtype
    trial.must("read holds integers, the ids of words", kind.kind in "iu", "int", kind, cause)
    return trial, read


def _the_two_ends(answer, target_in) -> None:
    """Always the truth, and never."""
    never = np.zeros(target_in.shape, bool)
    own = _path(target_in, np.arange(len(target_in)), never)
    ahead = np.column_stack([target_in[:, 1:], target_in[:, -1]])
    turned = "the coin is turned round: ε is the probability of the *true* word"
    further = "those are the words one place further, which it is to say"
    mistakes = {turned: own, further: ahead}
    told = "with ε = 1 it reads target_in, which is teacher forcing"
    cause = "a coin that does not go by `truth(update)`"
    _reads(answer, target_in, lambda update: 1.0)[1].equals(told, target_in, mistakes, cause)

    longer = np.column_stack([target_in, target_in[:, 0]])
    shifted = _path(longer, np.arange(len(longer)), np.zeros(longer.shape, bool))[:, 1:]
    mistakes = {turned: target_in, "the first word read is target_in[:, 0]": shifted}
    told = "with ε = 0 it reads at each place the word that it said at the place before"
    _, read = _reads(answer, target_in, lambda update: 0.0)
    some = (read.value == target_in)[:, 1:].any()
    cause = "a true word although ε = 0: each place after the first has a coin" if some else ""
    read.equals(told, own, mistakes | _misled(target_in, never), cause)


@exercise
def scheduled_inputs(answer, draw):
    """A coin for every word, not for the batch; 1 is teacher forcing, 0 the model's own words."""
    small = np.array([[1, 3, 5, 7], [1, 9, 11, 13]])
    large = 1 + 2 * draw.integers(0, 40, size=(40, 30))
    for target_in in (small, large):
        _the_two_ends(answer, target_in)

    told = "each word is the true one or the decoder's own, said after what it has *read*"
    for target_in, update in ((large, 30), (large, 1), (large[:1], 2), (large[1:2], 2)):
        asked = set()

        def schedule(update, asked=asked):
            asked.add(int(update))
            return {30: 0.3, 1: 0.9}.get(int(update), 0.5)

        trial, read = _reads(answer, target_in, schedule, update, int(draw.integers(1000)))
        cause = "another number than the update that is given, like the place"
        told_of, only = sorted(asked), [update]
        trial.must("the schedule is asked for this update", told_of == only, only, told_of, cause)
        true = read.value == target_in
        path = _path(target_in, np.arange(len(target_in)), true)
        read.equals(told, path, _misled(target_in, true), cause="a word that is neither")
        if len(target_in) > 1:
            _check_coins(trial, true[:, 1:], schedule(update))

    def reads(rng):
        return _reads(answer, large, lambda update: 0.5, rng=rng)[1].value

    one = _generator(5)
    first, second, again, other = reads(one), reads(one), reads(_generator(5)), reads(_generator(6))
    told = "two batches with one generator get different coins"
    cause = "a generator made anew in each call, from a fixed seed; draw from rng"
    trial.must(told, not close(first, second), "other words", "the same words", cause)
    told = "a generator with the same seed gives the same words"
    cause = "coins from elsewhere, like np.random.random(); draw from rng"
    trial.must(told, close(first, again), "the same words", "other words", cause)
    told = "a generator with another seed gives other words"
    trial.must(told, not close(first, other), "other words", "the same words", "rng is not used")


def _check_coins(trial: Trial, true: Array, chance: float) -> None:
    """One coin a token, with this chance of the truth."""
    rows, columns = (true != true[:, :1]).any(), (true != true[:1]).any()
    back = (true[:, 1:] & ~true[:, :-1]).any()
    counts = [len(set(true.sum(axis=axis).tolist())) > 1 for axis in (0, 1)]
    told = "each word has a coin of its own"
    for right, got, cause in (
        (rows or columns, "one coin a batch, or none", "all words of a batch are read alike"),
        (rows, "one coin a sentence", "a sentence reads the truth to the end, or itself"),
        (columns, "one coin a step, or none", "at each step all sentences read the same way"),
        (back, "own words after the first own word", "no coin any more after the first own word"),
        (all(counts), "as many true words in each", "a share was drawn; no coins were tossed"),
    ):
        trial.must(told, right, "words of both kinds, here and there", got, cause)
    share, cause = float(true.mean()), ""
    if abs(share - (1 - chance)) < 0.07:
        cause = "the coin is turned round: ε is the probability of the *true* word"
    elif abs(share - chance**2) < 0.07:
        cause = "two coins for one word, which must both show the truth"
    told = f"about {chance} of the words are true ones where ε = {chance}"
    trial.must(told, abs(share - chance) < 0.07, chance, round(share, 3), cause)
