"""Functions without parameters: softmax and the logistic sigmoid, safe for numbers of any size."""

import numpy as np


def softmax(scores: np.ndarray, axis: int = -1) -> np.ndarray:
    """exp(scores) / Σ exp(scores) along `axis`; any shape in, the same shape out.

    A score of −inf gets weight exactly 0. A row that is −inf throughout, where nothing may be
    chosen, gets zeros instead of the 0/0 of the formula.
    """
    powers, total = shifted_exp(scores, axis)[1:]
    return powers / total


def log_softmax(scores: np.ndarray, axis: int = -1) -> np.ndarray:
    """log(softmax(scores)) along `axis`, same shape; right even where softmax rounds to 0."""
    shifted, _, total = shifted_exp(scores, axis)
    return shifted - np.log(total)


def softmax_backward(weights: np.ndarray, dweights: np.ndarray, axis: int = -1) -> np.ndarray:
    """∂loss/∂scores from weights = softmax(scores) and dweights = ∂loss/∂weights, all of one shape.

    ∂w_i/∂s_j = w_i (δ_ij − w_j), so ds = w ∘ (dw − Σ_j w_j dw_j): every score moves every weight of
    its row.
    """
    if weights.shape != dweights.shape:
        raise ValueError(
            f"dweights must have the shape of weights, {weights.shape}, got {dweights.shape}"
        )
    weighted = weights * dweights
    return weighted - weights * weighted.sum(axis=axis, keepdims=True)


def sigmoid(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """1 / (1 + exp(−x)), elementwise; `out` may be `x` itself, to save the copy.

    Written as (1 + tanh(x/2)) / 2, the same function, which cannot overflow and takes half the
    time.
    """
    half = np.multiply(x, 0.5, out=out)
    result = np.tanh(half, out=out)
    result = np.multiply(result, 0.5, out=out)
    return np.add(result, 0.5, out=out)


def shifted_exp(scores: np.ndarray, axis: int = -1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What softmax and its logarithm share: scores − max, exp of that, and its sum along `axis`.

    The shift cancels in the quotient and keeps exp from overflowing. In a row of −inf only the
    shift is 0 and the sum is given as 1, so that nothing becomes NaN.
    """
    highest = scores.max(axis=axis, keepdims=True)
    shifted = scores - np.where(highest == -np.inf, 0, highest)
    powers = np.exp(shifted)
    total = powers.sum(axis=axis, keepdims=True)
    return shifted, powers, np.where(total == 0, 1, total)
