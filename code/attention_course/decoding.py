"""Decoding, written once for every framework.

A model takes part by a function `step(state, tokens) -> (log_probs, state)`: tokens (B,) are the
ids said last, log_probs (B, V) is a NumPy array, and `state` is whatever the model needs. Nothing
here looks into it, but for the attention weights that `greedy_with_weights` is asked for. Beam
search also needs `select(state, rows) -> state`: the given rows of a state, in this order, any of
them several times or not at all. No true target is handed in, so none can be read by mistake.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Step = Callable[[Any, np.ndarray], tuple[np.ndarray, Any]]
Select = Callable[[Any, np.ndarray], Any]


def greedy(
    step: Step, state: Any, batch_size: int, sos: int, eos: int, max_length: int
) -> list[list[int]]:
    """At each step say the most probable token, for B sentences at once.

    Each row starts from `sos` and ends at its first `eos`, which is not part of the result, or
    after `max_length` tokens. A row that has ended is fed `eos`, and what the model says there is
    ignored. Decoding stops as soon as every row has ended, so `step` is called
    min(max_length, longest result + 1) times.

    Raises ValueError for a batch_size or max_length below 1, negative or equal sos and eos, and
    log_probs that are not (B, V) with eos < V; FloatingPointError when a chosen log-probability
    is NaN (which argmax would prefer to every number).
    """
    _check_arguments(batch_size, sos, eos, max_length)
    results: list[list[int]] = [[] for _ in range(batch_size)]
    tokens = np.full(batch_size, sos, dtype=np.int64)
    ended = np.zeros(batch_size, dtype=bool)
    for _ in range(max_length):
        log_probs, state = step(state, tokens)
        tokens = np.where(ended, eos, _most_probable(log_probs, batch_size, eos))
        ended = tokens == eos
        for row in np.flatnonzero(~ended):
            results[row].append(int(tokens[row]))
        if ended.all():
            break
    return results


def greedy_with_weights(
    step: Step, state: Any, batch_size: int, sos: int, eos: int, max_length: int
) -> tuple[list[list[int]], np.ndarray]:
    """`greedy`, and where the model looked: its result and weights (B,T,S), T = calls of `step`.

    Row t of a sentence holds the weights with which its token t was chosen; the row after the last
    token belongs to its `eos`, and what follows that is zero. They are read from `state.weights`
    (B,S), as `step` returned it. TypeError where there are none.
    """
    seen: list[np.ndarray] = []

    def watched(state: Any, tokens: np.ndarray) -> tuple[np.ndarray, Any]:
        log_probs, state = step(state, tokens)
        seen.append(_weights_of(state, batch_size))
        return log_probs, state

    results = greedy(watched, state, batch_size, sos, eos, max_length)
    spoken = np.array([len(result) + 1 for result in results])[:, None] > np.arange(len(seen))
    return results, np.where(spoken[..., None], np.stack(seen, axis=1), 0)


class Hypothesis(NamedTuple):
    """One result of beam search."""

    tokens: list[int]  # without eos
    score: float  # log-probability / length**length_penalty
    ended: bool  # by eos; False where max_length cut it


def beam(
    step: Step,
    select: Select,
    state: Any,
    batch_size: int,
    beam_size: int,
    sos: int,
    eos: int,
    max_length: int,
    length_penalty: float = 1.0,
) -> list[list[int]]:
    """The best sentence that beam search finds, for B sentences at once.

    At each step the beam_size = k most probable of all continuations of a sentence's hypotheses, by
    one token each, are kept. Those that end with `eos` are set aside; the others go on. In the end
    the best score wins, where

        score = log p(tokens, eos) / length**length_penalty,    length = tokens and eos.

    Without the division (length_penalty 0) each further token makes a hypothesis less probable, so
    short ones win; with 1 the mean over tokens counts, and 0.6 to 1 is usual. (Wu et al. 2016,
    arXiv 1609.08144, eq. 14, divide by ((5 + length) / 6)**α instead, which is flatter.) What
    max_length cuts before it said `eos` is returned only where nothing ended. k = 1 is `greedy`,
    whatever the penalty. Of equal continuations the one of the better hypothesis is kept, then the
    lower id; of equal scores the one that ended first wins.

    When it stops. Log-probabilities are not above 0, so what begins with probability exp(s) can
    at best end with score s / max_length**length_penalty. A sentence is done as soon as no
    hypothesis of its beam may still *exceed* the best that has ended: going on to max_length would
    return the same. That is optimal among what the beam reaches, not among all sentences.

    `state` has B rows at first, then one for each hypothesis that goes on, sentence by sentence;
    `select` is called between two steps where the rows change (their number too).

    Raises ValueError for a batch_size, beam_size or max_length below 1, negative or equal sos and
    eos, a length_penalty that is negative or not finite, log_probs that are not (rows, V) with
    eos < V, above 0 (logits?) or all -inf in a row; FloatingPointError for NaN.
    """
    arguments = (batch_size, beam_size, sos, eos, max_length, length_penalty)
    return [found[0].tokens for found in _search(step, select, state, *arguments, wanted=1)]


def beam_hypotheses(
    step: Step,
    select: Select,
    state: Any,
    batch_size: int,
    beam_size: int,
    sos: int,
    eos: int,
    max_length: int,
    length_penalty: float = 1.0,
) -> list[list[Hypothesis]]:
    """`beam`, and what came next: for each sentence 1 to beam_size hypotheses, the best first.

    Those that ended come by their score, then by theirs those that were cut. A sentence goes on
    until none of its beam may still exceed the k-th best that has ended, so this takes more steps
    than `beam`; the first is the same.
    """
    arguments = (batch_size, beam_size, sos, eos, max_length, length_penalty)
    return _search(step, select, state, *arguments, wanted=beam_size)


class _Live(NamedTuple):
    """The R hypotheses that go on: by sentence, the most probable of a sentence first."""

    sentences: np.ndarray  # (R,) ascending
    scores: np.ndarray  # (R,) float64: log-probability, not divided yet
    said: np.ndarray  # (R,t) ids


def _search(
    step: Step,
    select: Select,
    state: Any,
    batch_size: int,
    beam_size: int,
    sos: int,
    eos: int,
    max_length: int,
    length_penalty: float,
    wanted: int,
) -> list[list[Hypothesis]]:
    """Hypotheses of each sentence, the `wanted` best of them final."""
    _check_arguments(batch_size, sos, eos, max_length)
    _check_beam(beam_size, length_penalty)
    ended: list[list[Hypothesis]] = [[] for _ in range(batch_size)]
    live = _Live(
        np.arange(batch_size), np.zeros(batch_size), np.empty((batch_size, 0), dtype=np.int64)
    )
    tokens = np.full(batch_size, sos, dtype=np.int64)
    for length in range(1, max_length + 1):
        log_probs, state = step(state, tokens)
        rows, live = _extend(live, _checked(log_probs, len(tokens), eos), beam_size)
        over = live.said[:, -1] == eos
        _set_aside(live, over, length**length_penalty, ended)
        going = ~over & _may_win(live, over, max_length**length_penalty, ended, wanted)
        live = _Live(*(part[going] for part in live))
        if length == max_length or not going.any():
            break
        state = _select_changed(select, state, rows[going], len(tokens))
        tokens = live.said[:, -1].copy()  # a step may write into it
    cut = [[] for _ in range(batch_size)]
    _set_aside(live, np.ones(len(live.scores), bool), length**length_penalty, cut, ended=False)
    return [(_by_score(a) + _by_score(b))[:beam_size] for a, b in zip(ended, cut)]


def _extend(live: _Live, log_probs: np.ndarray, beam_size: int) -> tuple[np.ndarray, _Live]:
    """The best continuations of each sentence, and the rows (of `live`) that they continue.

    First the best `beam_size` of each hypothesis, as no more of it can be kept, by their
    log_probs as they are: so a beam of one is greedy to the last bit.
    """
    tokens, gains = _largest(log_probs, beam_size)
    scores = live.scores[:, None] + gains
    _, first, group = np.unique(live.sentences, return_index=True, return_inverse=True)
    rank = np.arange(len(group)) - first[group]
    table = np.full((len(first), rank.max() + 1, tokens.shape[1]), -np.inf)
    table[group, rank] = scores
    table = table.reshape(len(first), -1)
    best = np.argsort(-table, axis=1, kind="stable")[:, :beam_size]
    group, place = np.nonzero(np.take_along_axis(table, best, axis=1) > -np.inf)
    rank, column = np.divmod(best[group, place], tokens.shape[1])
    rows = first[group] + rank
    said = np.column_stack([live.said[rows], tokens[rows, column]])
    return rows, _Live(live.sentences[rows], scores[rows, column], said)


def _largest(log_probs: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` largest of each row (R,V) in order, of equal ones the first: columns, values.

    For beams of a usual width `count` times argmax is faster than one argpartition, which besides
    leaves it to chance which of equal values it takes. A row that runs out repeats -inf.
    """
    left = np.array(log_probs, dtype=np.result_type(log_probs, np.float16))  # integers: float64
    rows = np.arange(len(left))
    columns, values = [], []
    for _ in range(min(count, left.shape[1])):
        columns.append(left.argmax(axis=1))
        values.append(left[rows, columns[-1]])
        left[rows, columns[-1]] = -np.inf
    return np.stack(columns, axis=1), np.stack(values, axis=1)


def _set_aside(
    live: _Live,
    chosen: np.ndarray,
    divisor: float,
    into: list[list[Hypothesis]],
    ended: bool = True,
) -> None:
    """Append the `chosen` (R,) bool to the hypotheses of their sentences."""
    for row in np.flatnonzero(chosen):
        tokens = live.said[row, : -1 if ended else None].tolist()
        hypothesis = Hypothesis(tokens, float(live.scores[row]) / divisor, ended)
        into[live.sentences[row]].append(hypothesis)


def _may_win(
    live: _Live,
    over: np.ndarray,
    divisor: float,
    ended: list[list[Hypothesis]],
    wanted: int,
) -> np.ndarray:
    """(R,) bool: may a hypothesis of this one's sentence still be among the `wanted` best?"""
    best = np.full(len(ended), -np.inf)
    np.maximum.at(best, live.sentences[~over], live.scores[~over])
    mark = np.array(
        [h[wanted - 1].score if len(h) >= wanted else -np.inf for h in map(_by_score, ended)]
    )
    return (best / divisor > mark)[live.sentences]


def _by_score(hypotheses: list[Hypothesis]) -> list[Hypothesis]:
    """The best first; equal ones stay in order."""
    return sorted(hypotheses, key=lambda hypothesis: -hypothesis.score)


def _select_changed(select: Select, state: Any, rows: np.ndarray, before: int) -> Any:
    """`select`, unless the rows are those that the state has."""
    return state if np.array_equal(rows, np.arange(before)) else select(state, rows)


def _checked(log_probs: np.ndarray, rows: int, eos: int) -> np.ndarray:
    log_probs = np.asarray(log_probs)
    _check_shape(log_probs, rows, eos)
    largest = log_probs.max(axis=1)  # NaN where a row has any
    if np.isnan(largest).any():
        raise FloatingPointError("step: returned NaN among the log_probs")
    if largest.max() > 1e-3:  # what rounding may leave in half precision
        raise ValueError(f"step: returned log_probs up to {largest.max():.4g}, expected 0 at most")
    if np.isneginf(largest).any():
        raise ValueError("step: returned log_probs with a row of nothing but -inf")
    return log_probs


def _check_beam(beam_size: int, length_penalty: float) -> None:
    if beam_size < 1:
        raise ValueError(f"beam_size: got {beam_size}, expected 1 or more")
    if not 0 <= length_penalty < math.inf:
        raise ValueError(f"length_penalty: got {length_penalty}, expected a finite number from 0")


def _weights_of(state: Any, batch_size: int) -> np.ndarray:
    """A copy of `state.weights`, (B,S)."""
    weights = getattr(state, "weights", None)
    if weights is None:
        raise TypeError("step: its state has no attention weights; use greedy for such a model")
    if np.ndim(weights) != 2 or len(weights) != batch_size:
        raise ValueError(
            f"step: its state has weights of shape {np.shape(weights)}, expected ({batch_size}, S)"
        )
    return np.array(weights)


def _most_probable(log_probs: np.ndarray, batch_size: int, eos: int) -> np.ndarray:
    """Ids (B,) of the largest log-probabilities of (B, V)."""
    log_probs = np.asarray(log_probs)
    _check_shape(log_probs, batch_size, eos)
    best = log_probs.argmax(axis=1)
    if np.isnan(log_probs[np.arange(batch_size), best]).any():
        raise FloatingPointError("step: returned NaN among the log_probs")
    return best


def _check_shape(log_probs: np.ndarray, rows: int, eos: int) -> None:
    if log_probs.ndim != 2 or log_probs.shape[0] != rows or log_probs.shape[1] <= eos:
        raise ValueError(
            f"step: returned log_probs of shape {log_probs.shape}, "
            f"expected (B, V) with B = {rows} and V > eos = {eos}"
        )


def _check_arguments(batch_size: int, sos: int, eos: int, max_length: int) -> None:
    for name, value in (("batch_size", batch_size), ("max_length", max_length)):
        if value < 1:
            raise ValueError(f"{name}: got {value}, expected 1 or more")
    if sos < 0 or eos < 0 or sos == eos:
        raise ValueError(f"sos, eos: got {sos} and {eos}, expected two different ids from 0 up")
