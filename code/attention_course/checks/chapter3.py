"""Checks of Chapter 3's exercises: scores, maps, fakes, one step, both ways, gradients, coins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy

from attention_course.checks.core import Output, Trial, close, exercise, np, slope

Arrays = dict[str, numpy.ndarray]
LN2, LN3 = np.log(2), np.log(3)

# --- Scores -------------------------------------------------------------------


def _scores(
    s: numpy.ndarray,
    h: numpy.ndarray,
    W: numpy.ndarray,
    U: numpy.ndarray,
    v: numpy.ndarray,
    unit: Callable = np.tanh,
    asks: Callable = lambda b, j: b,
) -> numpy.ndarray:
    """v · tanh([s; h] [W; U]), pair by pair; `asks`: whose state is held against word j of b."""
    joined, scores = np.concatenate([W, U]), np.zeros(h.shape[:2])
    for b, j in np.ndindex(scores.shape):
        pair = np.concatenate([s[asks(b, j)], h[b, j]])
        scores[b, j] = unit(pair @ joined) @ v
    return scores


def _softmax(scores: numpy.ndarray, axis: int = -1) -> numpy.ndarray:
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def _mix(weights: numpy.ndarray, values: numpy.ndarray) -> numpy.ndarray:
    return np.stack([row @ of_row for row, of_row in zip(weights, values)])


def _drawn(draw: numpy.random.Generator, B: int, S: int, n: int, m: int, A: int) -> Arrays:
    """A state and annotations with parameters: `n` numbers, `m` numbers and `A` units."""
    shapes = {"s": (B, n), "h": (B, S, m), "W": (n, A), "U": (m, A), "v": (A,)}
    return {name: draw.normal(size=shape) for name, shape in shapes.items()}


SCORED = {
    "s": np.array([[LN2], [0.0]]),
    "h": np.array([[[-LN2, 0.0], [0.0, LN3 - LN2]], [[LN3, 0.0], [0.0, LN2]]]),
    "W": np.ones((1, 1)),
    "U": np.ones((2, 1)),
    "v": np.array([5.0]),
}


def _score_mistakes(s, h, W, U, v) -> Arrays:
    silent, deaf, half = np.zeros_like(s), np.zeros_like(h), U.copy()
    half[s.shape[1] :] = 0
    scores = _scores(s, h, W, U, v)
    apart = _scores(s, deaf, W, U, v) + _scores(silent, h, W, U, v)
    swapped = _scores(s, h, W, U, v, asks=lambda b, j: j) if len(s) == h.shape[1] else apart
    return {
        "without an axis for the source, word j is asked by the state of sentence j; "
        "W s needs the shape (B,1,A)": swapped,
        "the tanh is missing: without it the query cancels in the softmax": _scores(
            s, h, W, U, v, lambda total: total
        ),
        "tanh of query and of keys one by one; the sum goes into one tanh": apart,
        "tanh of the score; it belongs to each of the A units, before v": np.tanh(
            _scores(s, h, W, U, v, lambda total: total)
        ),
        "v was left out: the units were summed as they are": _scores(s, h, W, U, np.ones_like(v)),
        "the query plays no part": _scores(silent, h, W, U, v),
        "the keys play no part": _scores(s, deaf, W, U, v),
        "only as many numbers of h as the state has were read; the annotation has two halves": (
            _scores(s, h, W, half, v)
        ),
        "softmax is the next step; scores are asked for": _softmax(scores),
        "divided by √A; an additive score is not scaled": scores / len(v) ** 0.5,
    }


@exercise
def additive_score(answer, draw):
    for given in (SCORED, _drawn(draw, 3, 4, 2, 5, 3), _drawn(draw, 4, 4, 3, 6, 2)):
        expected, mistakes = _scores(**given), _score_mistakes(**given)
        scores = Trial(answer, **given).output("scores")
        B, S, A = *given["h"].shape[:2], len(given["v"])
        causes = {
            (B, S, A): "the A units were not summed, with v, into one number",
            (B, S, 1): "v as a matrix with one column leaves an axis of length 1 behind",
            (B, 1, S): "one axis of length 1 is left; scores have one row a sentence",
            (S, B): "the axes are turned round; sentences first",
        }
        scores.shape("(B,S)", (B, S), causes)
        told = "scores are v · tanh(W s + U h), one for each word"
        scores.equals(told, expected, mistakes, tolerance=1e-6)


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
}
MISCOUNTED = {
    "that is the share that is right; the error rate is 1 minus it": 11 / 15,
    "only sure links were counted; |A ∩ P| counts the possible ones, sure ones included": 1 / 3,
    "that is the share of links that are not even possible; it forgets the sure ones missed": 1 / 4,
    "that is the share of links that are not sure; use (3.7)": 3 / 8,
    "P holds the sure links too: |A ∩ P| is not the number of those that are *only* possible": 0.6,
    "below the line stand |A| and |S|, not |A| and |P|": 7 / 18,
    "below the line stand |A| and |S|, not |S| and |P|": 6 / 17,
    "that is in percent": 400 / 15,
}


def _as_read(trial: Trial) -> list[Output]:
    names = ["places", "sure_found", "possible_found", "aer"]
    result = trial.result
    right = isinstance(result, Mapping) and set(names) <= set(result)
    trial.must("it returns a dictionary with four names", right, ", ".join(names), result)
    return [Output(trial, name, result[name]) for name in names]


@exercise
def read_the_map(answer, draw):
    trial = Trial(answer)
    places, sure, possible, aer = _as_read(trial)
    causes = {(9,): "the row of <eos> says no word", (7,): "eight French words, eight places"}
    places.shape("(8,)", (8,), causes)
    wrong = np.flatnonzero(places.value != PLACES)
    if wrong.size:
        cause = "look again at row " + ", ".join(str(1 + row) for row in wrong)
        named = [told for told, other in MISREAD.items() if close(places.value, other)]
        told = "each French word is linked to the darkest cell of its row"
        right = f"{8 - wrong.size} of 8 right"
        trial.fail(told, "8 places, counted from 0", right, named[0] if named else cause)
    all_sure = {
        "those are the possible ones; a sure link has an outline that is not dashed": 6,
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


def _look(state, annotations, mask, W, U, v) -> tuple[numpy.ndarray, numpy.ndarray]:
    scores = _scores(state, annotations, W, U, v)
    weights = _softmax(np.where(mask, scores, -np.inf))
    return _mix(weights, annotations), weights


def _mask_mistakes(scores: numpy.ndarray, mask: numpy.ndarray) -> Arrays:
    return {
        "the mask was laid on the weights, after the softmax; they no longer sum to 1": (
            _softmax(scores) * mask
        ),
        "the mask is not used: padding has weight": _softmax(scores),
        "scores of padding were set to 0, not to −∞": _softmax(scores * mask),
        "the mask was read the wrong way; True is a real word": _softmax(
            np.where(mask, -1e9, scores)
        ),
    }


def _weight_mistakes(state, annotations, mask, W, U, v) -> Arrays:
    scores = _scores(state, annotations, W, U, v)
    silent = _scores(np.zeros_like(state), annotations, W, U, v)
    flat = _scores(state, annotations, W, U, v, lambda total: total)
    by_batch = np.exp(scores) * mask
    return _mask_mistakes(scores, mask) | {
        "softmax over the sentences of the batch; it goes over the words of one": (
            by_batch / np.maximum(by_batch.sum(axis=0), 1e-300)
        ),
        "softmax over the sentences of the batch, and no mask": _softmax(scores, axis=0),
        "the query has no say": _softmax(np.where(mask, silent, -np.inf)),
        "the tanh is gone": _softmax(np.where(mask, flat, -np.inf)),
    }


def _looked(draw: numpy.random.Generator, lengths: Sequence[int], S: int, n: int, A: int) -> Arrays:
    given = _drawn(draw, len(lengths), S, n, 2 * n, A)
    names = {"s": "state", "h": "annotations"}
    given = {names.get(name, name): array for name, array in given.items()}
    mask = np.arange(S) < np.array(lengths)[:, None]
    order = ("state", "annotations", "mask", "W", "U", "v")
    return {name: (given | {"mask": mask})[name] for name in order}


LOOKED = {
    "state": SCORED["s"],
    "annotations": np.array([[[-LN2, 0.0], [0.0, 0.0]], [[LN3, 0.0], [8.0, 9.0]]]),
    "mask": np.array([[True, True], [True, False]]),
    "W": np.array([[1.0, 0.0]]),
    "U": np.eye(2),
    "v": 5 / 3 * LN2 * np.ones(2),
}


@exercise
def look(answer, draw):
    for given in (LOOKED, _looked(draw, [2, 3], 4, 2, 4), _looked(draw, [7, 4, 5], 7, 2, 3)):
        context, weights = _look(**given)
        trial = Trial(answer, **given)
        got_context, got_weights = trial.outputs("context", "weights")
        B, S, m = given["annotations"].shape
        got_weights.shape("(B,S)", (B, S), {(B, S, 1): "an axis of length 1 is left"})
        projected = {(B, len(given["v"])): "the sum was taken over something with A numbers"}
        got_context.shape("(B,2H)", (B, m), projected)

        other = given | {"annotations": draw.normal(size=(B, S, m))}
        moved = [each.value for each in Trial(answer, **other).outputs("context", "weights")]
        for name, before, after, cause in (
            ("weights", got_weights, moved[1], "a key that is not made from the annotations"),
            ("context", got_context, moved[0], "an average of something else: of W s, or of U"),
        ):
            told = f"with other annotations and the same state, the {name} move"
            same = close(before.value, after)
            trial.must(told, not same, "other numbers", before.value, cause)

        told = "weights are the softmax of v · tanh(W s + U h) over the real words"
        nothing = "NaN from a row of −∞ alone: the mask was read the wrong way; True is a real word"
        cause = nothing if np.isnan(got_weights.value).any() else ""
        got_weights.equals(told, weights, _weight_mistakes(**given), cause, 1e-6)
        mistakes = {"the plain sum of all annotations": given["annotations"].sum(axis=1)}
        if m == len(given["v"]):
            decoder = given["state"] @ given["W"]
            mistakes["weights laid on W s: one vector, whatever the source says"] = decoder
            keys = "weights laid on the projected keys U h; the values are the h themselves"
            mistakes[keys] = _mix(weights, given["annotations"] @ given["U"])
        told = "the context is the weighted sum of the annotations"
        got_context.equals(told, context, mistakes, tolerance=1e-6)


KINDS = {
    "real": "a test that is too strict: rounding makes differences of 1e-16 where there is none",
    "blind weights": "the missing question: same query, other annotations; its weights stay",
    "deaf weights": "the missing question: same annotations, another query; its weights stay",
    "pads attended": "the missing question: a masked place; its weight there is not 0",
    "rows mixed": "the missing test: along a row its weights do not sum to 1",
    "context from the decoder": "the missing test: Σ α h, of its own weights, is not its context",
}


class _Suspect:
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

    def __deepcopy__(self, memo: dict) -> _Suspect:
        return self

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
        return _mix(weights, values), weights

    return _Suspect(attend)


@exercise
def find_the_fakes(answer, draw):
    names = list(KINDS)
    rounds = [names[:4], names[2:]] + [list(draw.permutation(names)[:4]) for _ in range(4)]
    rounds += [["real", *draw.choice(names[1:], 3)], list(draw.choice(names, 4))]
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
        right = isinstance(said, (list, tuple, numpy.ndarray)) and len(said) == 4
        trial.must("it returns four verdicts", right, "a list of 4", said)
        said = [str(each) for each in said]
        unknown = [each for each in said if each not in KINDS]
        trial.must("verdicts are names of the list", not unknown, ", ".join(KINDS), unknown)
        for place, (kind, verdict) in enumerate(zip(kinds, said)):
            told = f"suspect {place} is told for what it is (all four: {', '.join(kinds)})"
            trial.must(told, kind == verdict, kind, verdict, KINDS[kind])


# --- One step of the decoder --------------------------------------------------


def _wide(name: str, parts: str, rows: numpy.ndarray, size: int) -> numpy.ndarray:
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


def _stepped(given: dict, context=None, query=None, swap=(), late=None) -> list[numpy.ndarray]:
    """logits, new state and weights, by default the right ones."""
    word, state, h, mask, score, cell, readout = given.values()
    scores = score(state if query is None else query, h)
    weights = _softmax(np.where(mask, scores, -np.inf))
    context = _mix(weights, h) if context is None else context
    inputs = [context, word] if "cell" in swap else [word, context]
    new = cell(np.concatenate(inputs, axis=1), state)
    seen = [state if late == "state" else new, context, word]
    if "readout" in swap:
        seen = [seen[1], seen[0], word] if swap == {"readout"} else [word, context, seen[0]]
    return [readout(np.concatenate(seen, axis=1)), new, weights]


def _by_hand() -> dict:
    """Numbers that can be followed on paper: weights 1/7, 2/7 and 4/7; 1/3 and 2/3."""

    def score(query, annotations):
        return np.log([[1.0, 2.0, 4.0, 8.0]]) * np.asarray(query)

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
    context, new = _mix(right[2], h), right[1]
    states = {
        "the cell reads [context; word]; it is [word; context]": _stepped(given, swap={"cell"})[1],
        "no context was fed to the cell": spread[1],
        "the state did not go through the cell": state,
        "the context is the plain mean": _stepped(given, context=h.mean(axis=1))[1],
        "the context is that of weights without a mask": _stepped(
            given, context=_mix(_softmax(scores), h)
        )[1],
        "the cell was asked with a state of zeros": cell(
            np.concatenate([word, context], axis=1), np.zeros_like(new)
        ),
    }
    logits = {
        "the readout got the state before the step; it reads the new one": _stepped(
            given, late="state"
        )[0],
        "the readout got the context of the *new* state": given["readout"](
            np.concatenate([new, _mix(luong[2], h), word], axis=1)
        ),
        "the readout reads [new_state; context; word]; context and state are swapped": _stepped(
            given, swap={"readout"}
        )[0],
        "the readout reads [new_state; context; word], and got it from behind": _stepped(
            given, swap={"readout", "back"}
        )[0],
        "softmax of the logits; logits are asked for": _softmax(right[0]),
    }
    return [weights, states, logits]


@exercise
def bahdanau_step(answer, draw):
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
        got_weights.shape("(B,S)", weights.shape, {})
        told = "weights are the softmax of the scores of the state *before* the step, masked"
        got_weights.equals(told, weights, wrong_weights, tolerance=1e-6)
        got_new.shape("(B,H)", new.shape, {})
        told = "the new state is cell([word; context], state)"
        got_new.equals(told, new, wrong_states, tolerance=1e-6)
        told = "logits are readout([new_state; context; word])"
        got_logits.equals(told, logits, wrong_logits, tolerance=1e-6)

    other = drawn | {"word": drawn["word"] + 1}
    trial = Trial(answer, **other)
    told = "another word leaves the weights of this step as they are"
    trial.outputs("logits", "new_state", "weights")[2].equals(told, weights, tolerance=1e-6)

    def loud(query, annotations):
        return np.array([[1000.0, 0, 0, 0], [0, 1000.0, 0, 0], [0, 0, 1000.0, 0]])

    picked = drawn["annotations"][np.arange(3), np.arange(3)]
    trial = Trial(answer, **drawn | {"score": loud})
    expected = _stepped(trial.given, context=picked)
    cause = "exp(1000) overflows; subtract the largest score of the row first"
    told = "a score of 1000 against 0 picks that one annotation as it is"
    for got, value in zip(trial.outputs("logits", "new_state", "weights"), expected):
        got.equals(told, value, cause=cause, tolerance=1e-6)


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


def _walk(step, row, places, H, out) -> numpy.ndarray:
    """Read the tokens of one row at these places; put each state into `out`, return the last."""
    state = np.zeros((1, H))
    for place in places:
        state = step(row[place : place + 1], state)
        out[place] = state[0]
    return state[0]


def _both(inputs, lengths, forward, backward, H, back=lambda S, n: range(n - 1, -1, -1)):
    B, S, _ = inputs.shape
    annotations, ends = np.zeros((B, S, 2 * H)), np.zeros((B, 2 * H))
    for b, length in enumerate(map(int, lengths)):
        ends[b, :H] = _walk(forward, inputs[b], range(length), H, annotations[b, :, :H])
        ends[b, H:] = _walk(backward, inputs[b], back(S, length), H, annotations[b, :, H:])
    return annotations, ends


def _unflipped(annotations, lengths, H):
    """The backward half in the order in which it was read."""
    found = annotations.copy()
    for row, length in enumerate(map(int, lengths)):
        found[row, :length, H:] = annotations[row, :length, H:][::-1]
    return found


def _reading_mistakes(given: dict) -> tuple[Arrays, Arrays]:
    inputs, lengths, forward, backward, H = given.values()
    B, S, _ = inputs.shape
    right, ends = _both(**given)
    real = (np.arange(S) < lengths[:, None])[:, :, None]
    pads, padded_ends = _both(inputs, lengths, forward, backward, H, lambda S, n: range(S)[::-1])
    all_read, all_ends = _both(inputs, np.full(B, S), forward, backward, H)
    same, same_ends = _both(inputs, lengths, forward, forward, H)
    ltr, ltr_ends = _both(inputs, lengths, forward, backward, H, lambda S, n: range(n))
    halves = [*range(H, 2 * H), *range(H)]
    pads_read = "reading backwards began in the padding; begin at the last real token of each row"
    order = "the backward states stand in the order in which they were read; turn them back"
    states = {
        order: _unflipped(right, lengths, H),
        "the halves are swapped; forward comes first": right[:, :, halves],
        "both halves come from one net; the second has a step of its own": same,
        "the second net reads from left to right": ltr,
        pads_read: pads * real,
        "padding was read; " + pads_read: all_read * real,
        "annotations at padding are 0": all_read,
        "annotations at padding are 0; what is there was read": pads,
        pads_read + ", and turn the states back": _unflipped(all_read, [S] * B, H),
        pads_read + "; and turn the states back": _unflipped(all_read, [S] * B, H) * real,
    }
    last, rows = lengths - 1, np.arange(B)
    wrong_ends = {
        "annotations[:, −1] is no end: padding for short rows, and its backward half has read one "
        "token": right[:, -1],
        "the backward net ends at the *first* token; at the last it has read only one": (
            right[rows, last]
        ),
        "the forward net ends at the last real token; at the first it has read one": right[:, 0],
        "padding was read on the way to the end": all_ends,
        "the backward net read padding before it came to the words": padded_ends,
        "the halves are swapped; forward comes first": ends[:, halves],
        "both halves come from one net": same_ends,
        "the second net reads from left to right": ltr_ends,
    }
    return states, wrong_ends


def _to_read(inputs, lengths, forward, backward, H) -> dict:
    names = ("inputs", "lengths", "forward", "backward", "H")
    return dict(zip(names, (inputs, np.array(lengths), forward, backward, H)))


@exercise
def read_both_ways(answer, draw):
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
        got.equals(
            "at each real token: what the first net has read up to it, then what the second has "
            "read back to it",
            annotations,
            wrong_states,
            tolerance=1e-6,
        )
        got_ends.shape("(B,2H)", (B, width), {(B, width // 2): "both ends are asked for"})
        told = "ends hold the last state of each net, which has read all real tokens"
        got_ends.equals(told, ends, wrong_ends, tolerance=1e-6)


# --- Gradients ----------------------------------------------------------------


def _additive_slopes(dscores: numpy.ndarray, given: Arrays) -> Arrays:
    """Of the sum of dscores · scores, by moving one number at a time."""

    def loss(name: str) -> Callable:
        return lambda moved: float((dscores * _scores(**given | {name: moved})).sum())

    return {name: slope(loss(name), array) for name, array in given.items()}


def _additive_gradients(
    dscores: numpy.ndarray, given: Arrays, bend: Callable = lambda total: 1 - np.tanh(total) ** 2
) -> Arrays:
    """The same, pair by pair, with another slope of the tanh."""
    s, h, W, U, v = given.values()
    gradients = {name: np.zeros_like(array) for name, array in given.items()}
    for b, j in np.ndindex(dscores.shape):
        total = s[b] @ W + h[b, j] @ U
        dtotal = dscores[b, j] * v * bend(total)
        gradients["s"][b] += W @ dtotal
        gradients["h"][b, j] += U @ dtotal
        gradients["W"] += np.outer(s[b], dtotal)
        gradients["U"] += np.outer(h[b, j], dtotal)
        gradients["v"] += dscores[b, j] * np.tanh(total)
    return gradients


def _additive_mistakes(dscores: numpy.ndarray, given: Arrays) -> dict[str, Arrays]:
    s, h, W, U, v = given.values()
    B, S = dscores.shape
    right = _additive_gradients(dscores, given)
    found = {
        "the slope of tanh is 1 − tanh², and is missing": lambda total: np.ones_like(total),
        "the slope was taken of the total; it is 1 − tanh(total)²": lambda total: 1 - total**2,
        "the slope of tanh is 1 − tanh², not 1 − tanh": lambda total: 1 - np.tanh(total),
        "the slope of tanh is 1 − tanh²; a(1 − a) is that of a sigmoid": (
            lambda total: np.tanh(total) * (1 - np.tanh(total))
        ),
        "tanh was taken twice: tanh(tanh(total))": lambda total: 1 - np.tanh(np.tanh(total)) ** 2,
        "v is missing on the way back": lambda total: (1 - np.tanh(total) ** 2) / v,
    }
    found = {name: _additive_gradients(dscores, given, bend) for name, bend in found.items()}
    totals = np.array([[s[b] @ W + h[b, j] @ U for j in range(S)] for b in range(B)])
    v_mistake = np.einsum("bs,bsa->a", dscores, totals)
    found["v meets tanh(total), not the total"] = right | {"v": v_mistake}
    over = "mean instead of sum over the {}: gradients of a shared thing add up"
    found[over.format("source")] = right | {"s": right["s"] / S, "W": right["W"] / S}
    found[over.format("batch")] = {
        name: array / (1 if name in "sh" else B) for name, array in right.items()
    }
    pairs = {"W": right["W"] / (B * S), "U": right["U"] / (B * S), "v": right["v"] / (B * S)}
    found[over.format("batch and the source")] = right | pairs
    last = np.where(np.arange(S) == S - 1, dscores, 0)
    ends = _additive_gradients(last, given)
    kept = "only the last word's share was kept; add up (`+=`) over the source"
    found[kept] = right | {name: ends[name] for name in ("s", "W", "U", "v")}
    final = np.where(np.arange(B)[:, None] == B - 1, dscores, 0)
    ends = _additive_gradients(final, given)
    kept = "only the last sentence's share was kept; add up (`+=`) over the batch"
    found[kept] = right | {name: ends[name] for name in ("W", "U", "v")}
    return found


@exercise
def additive_backward(answer, draw):
    small = {"s": np.zeros((1, 1)), "h": np.array([[[LN2, 0.0], [0.0, 0.0]]])}
    small |= {name: SCORED[name] for name in ("W", "U", "v")}
    axes = {"s": "(B,n)", "h": "(B,S,m)", "W": "(n,A)", "U": "(m,A)", "v": "(A,)"}
    for dscores, given in (
        (np.array([[1.0, 2.0]]), small),
        (draw.normal(size=(3, 4)), _drawn(draw, 3, 4, 2, 5, 3)),
    ):
        expected, wrong = _additive_slopes(dscores, given), _additive_mistakes(dscores, given)
        trial = Trial(answer, dscores=dscores, **given)
        outputs = trial.outputs("ds", "dh", "dW", "dU", "dv")
        B, S, _ = given["h"].shape
        for output, (name, value) in zip(outputs, expected.items()):
            causes = {
                (B, S, *value.shape[1:]): "one query asks all S words: sum over the source",
                (B, *value.shape): "one for each sentence; parameters are shared: sum them",
                (B, S, *value.shape): "one for each pair; parameters are shared: sum them",
                (S, *value.shape): "one for each word; sum over the source, too",
                value.shape[::-1]: "transposed; a gradient has the shape of what it belongs to",
            }
            output.shape(axes[name], value.shape, causes)
        ordered = [outputs[place] for place in (4, 1, 0, 3, 2)]
        for output, name in zip(ordered, ("v", "h", "s", "U", "W")):
            mistakes = {told: gradients[name] for told, gradients in wrong.items()}
            told = f"{output.name} is how the loss changes with {name}"
            output.equals(told, expected[name], mistakes, tolerance=1e-6)


# --- Maxout -------------------------------------------------------------------


def _maxed(seen, W_t, W_o, pairs, dlogits=None, kind="winner"):
    """Logits, or for `dlogits` the gradient of t̃ = seen W_t, for these pairs of units."""
    units = seen @ W_t
    if dlogits is None:
        best = [[row[list(pair)].max() for pair in pairs] for row in units]
        return np.array(best) @ W_o
    dunits, dbest = np.zeros_like(units), dlogits @ W_o.T
    for b, j in np.ndindex(dbest.shape):
        pair = list(pairs[j])
        first = int(np.argmax(units[b, pair]))
        tie = units[b, pair[0]] == units[b, pair[1]]
        shared = kind in ("both", "half") or (tie and kind in ("tie both", "tie half"))
        share = 0.5 if shared and kind.endswith("half") else 1.0
        for place in [0, 1] if shared else [1 - first if kind == "loser" else first]:
            dunits[b, pair[place]] += share * dbest[b, j]
    return dunits


def _maxout_gradients(seen, W_t, W_o, dlogits, pairs, kind="winner") -> list[numpy.ndarray]:
    units = seen @ W_t
    best = np.array([[row[list(pair)].max() for pair in pairs] for row in units])
    dunits = _maxed(seen, W_t, W_o, pairs, dlogits, kind)
    return [dunits @ W_t.T, seen.T @ dunits, best.T @ dlogits]


@exercise
def maxout(answer, draw):
    eye = {"seen": np.array([[1.0, 5, 4, 2], [3, 3, 0, 7]]), "W_t": np.eye(4), "W_o": np.eye(2)}
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
        for output, name, value in zip(outputs, axes, expected):
            output.shape(name, value.shape, {value.shape[::-1]: "transposed"})
        told = "logits are the larger of units 1 and 2, of 3 and 4, …, times W_o"
        outputs[0].equals(told, expected[0], _maxout_mistakes(**forward), tolerance=1e-6)
        _check_maxout_gradients(outputs, expected, given, pairs)


def _maxout_mistakes(seen, W_t, W_o) -> Arrays:
    l, units = len(W_o), seen @ W_t
    pairs = [(2 * j, 2 * j + 1) for j in range(l)]
    halves = [(j, l + j) for j in range(l)]
    shifted = [(2 * j + 1, (2 * j + 2) % (2 * l)) for j in range(l)]
    both = (units[:, ::2] + units[:, 1::2]) @ W_o
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
        "the first of each pair was taken": units[:, ::2] @ W_o,
        "the second of each pair was taken": units[:, 1::2] @ W_o,
    }


def _check_maxout_gradients(outputs, expected, given, pairs) -> None:
    tie = "it belongs to the larger unit (in a tie to the first)"
    kinds = {
        f"both units of a pair got the gradient; {tie}": "both",
        f"the gradient was divided between the two; {tie}": "half",
        "in a tie the first of the two gets the gradient, not both": "tie both",
        "in a tie the first of the two gets all of the gradient, not half": "tie half",
        "the gradient went to the smaller one": "loser",
    }
    wrong = {told: _maxout_gradients(**given, pairs=pairs, kind=kinds[told]) for told in kinds}
    if close(given["W_t"], np.eye(len(given["W_t"]))):  # then units can be turned round
        turned = {"seen": given["seen"][:, ::-1], "dlogits": given["dlogits"][:, ::-1]}
        dseen = _maxout_gradients(**given | turned, pairs=pairs)[0][:, ::-1]
        told = "in a tie the first of the two gets the gradient, and the first only"
        wrong[told] = [dseen, given["seen"].T @ dseen, expected[3]]
    for place, told in (
        (3, "dW_o: each maximum meets its dlogits"),
        (1, "dseen: the gradient goes back through the larger unit of each pair"),
        (2, "dW_t: only the larger unit of each pair has a gradient"),
    ):
        mistakes = {cause: gradients[place - 1] for cause, gradients in wrong.items()}
        outputs[place].equals(told, expected[place], mistakes, tolerance=1e-6)


# --- Scheduled sampling -------------------------------------------------------


class _Coins(numpy.random.Generator):
    """A generator that stays itself when a Trial copies its inputs: calls draw on."""

    def __deepcopy__(self, memo: dict) -> _Coins:
        return self


def _generator(seed: int) -> _Coins:
    return _Coins(numpy.random.PCG64(seed))


def says(words, state):  # its name stands in messages
    """A model in whole numbers: its own word is 2 · word + state, an even number from 100 up."""
    words, state = np.asarray(words), np.asarray(state)
    return 100 + 2 * ((words + state) % 400), state + 1


def _falling(update: int) -> float:
    """A schedule."""
    return {1: 0.9, 30: 0.3}.get(update, 0.5)


UNFED = "own words came from a decoder that had read the truth; feed it what it reads"


def _mixed_path(target_in, state, true) -> numpy.ndarray:
    """What the decoder reads when the coins fell as in `true` (B,T)."""
    read = np.array(target_in)
    for t in range(1, read.shape[1]):
        own, state = says(read[:, t - 1], state)
        read[:, t] = np.where(true[:, t], target_in[:, t], own)
    return read


def _teacher_path(target_in, state) -> numpy.ndarray:
    """Own words of a decoder that has read the truth all along."""
    said = np.array(target_in)
    for t in range(1, said.shape[1]):
        said[:, t], state = says(target_in[:, t - 1], state)
    return said


def _reads(answer, target_in, truth, update=1, seed=0, rng=None) -> tuple[Trial, Output]:
    given = {"target_in": target_in, "step": says, "state": np.arange(len(target_in))}
    given |= {"truth": truth, "update": update, "rng": rng or _generator(seed)}
    trial = Trial(answer, **given)
    read = trial.output("read")
    read.shape("(B,T)", target_in.shape, {})
    return trial, read


def _the_two_ends(answer, target_in) -> None:
    """Always the truth, and never."""
    state = np.arange(len(target_in))
    own = _mixed_path(target_in, state, np.zeros(target_in.shape, bool))
    ahead = np.column_stack([target_in[:, 1:], target_in[:, -1]])
    shifted = np.column_stack([target_in[:, 0], ahead[:, 1:]])
    turned = "the coin is turned round: ε is the probability of the *true* word"
    frozen = np.array(target_in)
    for t in range(1, frozen.shape[1]):
        frozen[:, t] = says(frozen[:, t - 1], state)[0]
    first = "the first word read is target_in[:, 0]"
    further = "those are the words one place further, which it is to say"
    mistakes = {turned: own, further: ahead, further + " next": shifted}
    told = "with ε = 1 it reads target_in, which is teacher forcing"
    _reads(answer, target_in, lambda update: 1.0)[1].equals(told, target_in, mistakes)
    forced = _teacher_path(target_in, state)
    mistakes = {
        turned: target_in,
        UNFED: forced,
        "the state that `step` returns was not handed on to the next step": frozen,
        first: np.column_stack([own[:, 1:], says(own[:, -1], state + own.shape[1] - 1)[0]]),
    }
    told = "with ε = 0 it reads at each place the word that it said at the place before"
    _reads(answer, target_in, lambda update: 0.0)[1].equals(told, own, mistakes)


@exercise
def scheduled_inputs(answer, draw):
    small = np.array([[1, 3, 5, 7], [1, 9, 11, 13]])
    large = 1 + 2 * draw.integers(0, 40, size=(40, 30))
    for target_in in (small, large):
        _the_two_ends(answer, target_in)

    for update in (30, 1):
        seed = int(draw.integers(1000))
        trial, read = _reads(answer, large, _falling, update, seed)
        true, state = read.value == large, np.arange(len(large))
        path = _mixed_path(large, state, true)
        forced = np.where(true, large, _teacher_path(large, state))
        told = "each word is the true one or the decoder's own, said after what it has *read*"
        read.equals(told, path, {UNFED: forced}, cause="a word that is neither")
        _check_coins(trial, true[:, 1:], _falling(update))

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


def _check_coins(trial: Trial, true: numpy.ndarray, chance: float) -> None:
    """One coin a token, with this chance of the truth."""
    rows, columns = (true != true[:, :1]).any(), (true != true[:1]).any()
    told = "each word has a coin of its own"
    for property, right, cause in (
        ("batch", rows or columns, "all words of the batch read the same way: one coin a batch"),
        ("sentence", rows, "a sentence reads the truth to the end or itself: one coin a sentence"),
        ("step", columns, "at each step all sentences read the same way: one coin a step"),
    ):
        trial.must(told, bool(right), "words of both kinds", f"one coin a {property}", cause)
    share = float(true.mean())
    cause = "ε taken for another update: truth(update)"
    if abs(share - (1 - chance)) < 0.07:
        cause = "the coin is turned round: ε is the probability of the *true* word"
    told = f"about {chance} of the words are true ones where ε = {chance}"
    trial.must(told, abs(share - chance) < 0.07, chance, round(share, 3), cause)
