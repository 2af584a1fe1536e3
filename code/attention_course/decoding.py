"""Decoding, written once for every framework.

A model takes part by a function `step(state, tokens) -> (log_probs, state)`: tokens (B,) are the
ids said last, log_probs (B, V) is a NumPy array, and `state` is whatever the model needs. Nothing
here looks into it, but for the attention weights that `greedy_with_weights` is asked for.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[Any, np.ndarray], tuple[np.ndarray, Any]]


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
    if log_probs.ndim != 2 or log_probs.shape[0] != batch_size or log_probs.shape[1] <= eos:
        raise ValueError(
            f"step: returned log_probs of shape {log_probs.shape}, "
            f"expected (B, V) with B = {batch_size} and V > eos = {eos}"
        )
    best = log_probs.argmax(axis=1)
    if np.isnan(log_probs[np.arange(batch_size), best]).any():
        raise FloatingPointError("step: returned NaN among the log_probs")
    return best


def _check_arguments(batch_size: int, sos: int, eos: int, max_length: int) -> None:
    for name, value in (("batch_size", batch_size), ("max_length", max_length)):
        if value < 1:
            raise ValueError(f"{name}: got {value}, expected 1 or more")
    if sos < 0 or eos < 0 or sos == eos:
        raise ValueError(f"sos, eos: got {sos} and {eos}, expected two different ids from 0 up")
