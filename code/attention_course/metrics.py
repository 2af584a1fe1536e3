"""Metrics, written once for every framework."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom.
_T_QUANTILES = (
    *(12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281),
    *(2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860),
    *(2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423),
)


def exact_match(
    predictions: Sequence[Sequence[int] | str], references: Sequence[Sequence[int] | str]
) -> float:
    """Share of predictions that equal their reference from the first token to the last.

    Both hold strings, or both hold lists of ids (or tokens) without eos and padding. Raises
    ValueError for different numbers of them, or none; TypeError for a string against a list.
    """
    if len(predictions) != len(references) or len(references) == 0:
        raise ValueError(
            f"predictions, references: got {len(predictions)} and {len(references)}, "
            "expected as many, at least 1"
        )
    return sum(map(_same, predictions, references)) / len(references)


def _same(prediction: Sequence[int] | str, reference: Sequence[int] | str) -> bool:
    if isinstance(prediction, str) != isinstance(reference, str):
        raise TypeError(
            f"predictions, references: got {type(prediction).__name__} against "
            f"{type(reference).__name__}, expected both strings or both lists"
        )
    return list(prediction) == list(reference)


def token_accuracy(predicted_ids: np.ndarray, targets: np.ndarray, mask: np.ndarray) -> float:
    """Share of the real target tokens that were predicted; all arguments (B, T).

    mask: bool, True at real tokens. Padding is left out of both counts: a model that has learned
    nothing but to pad would otherwise look good. Under teacher forcing this says little about
    free decoding, for which `exact_match` stands.

    Raises ValueError for shapes that differ or a mask without any True, TypeError for a mask
    that is not bool.
    """
    predicted_ids, targets, mask = map(np.asarray, (predicted_ids, targets, mask))
    if not predicted_ids.shape == targets.shape == mask.shape or mask.ndim != 2:
        raise ValueError(
            f"predicted_ids, targets, mask: got shapes {predicted_ids.shape}, {targets.shape}, "
            f"{mask.shape}, expected the same (B, T)"
        )
    if mask.dtype != bool:
        raise TypeError(f"mask: got {mask.dtype}, expected bool, True at real tokens")
    if not mask.any():
        raise ValueError("mask: got no True, expected at least one real token")
    return float((predicted_ids == targets)[mask].mean())


class Interval(NamedTuple):
    """A mean and the two ends of its interval: floats, or arrays of one shape."""

    mean: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray


def mean_and_interval(
    values: Sequence[float] | np.ndarray, bounds: tuple[float, float] | None = None
) -> Interval:
    """Mean over seeds and its 95 % confidence interval by Student's t.

    values: (seeds,), or (seeds, ...) for a whole curve; the seeds are the first axis.
    low, high = mean -+ t(0.975; seeds - 1) * s / sqrt(seeds), with s the standard deviation
    with n - 1. With three seeds t is 4.30: such an interval is wide because three runs say little.
    bounds: what the measure can reach at all, such as (0, 1) for a share; the interval is cut
    there. It takes the seeds as a normal sample: runs that all score 0 get a width of 0, which
    is not certainty.

    Raises ValueError for fewer than two seeds or a value that is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim == 0 or len(values) < 2:
        raise ValueError(
            f"values: got shape {values.shape}, expected (seeds, ...), 2 seeds or more"
        )
    if not np.isfinite(values).all():
        raise ValueError("values: got NaN or infinity, expected finite numbers")
    mean = values.mean(axis=0)
    half = _t_quantile(len(values) - 1) * values.std(axis=0, ddof=1) / np.sqrt(len(values))
    low, high = mean - half, mean + half
    if bounds is not None:
        low, high = np.clip(low, *bounds), np.clip(high, *bounds)
    if values.ndim == 1:
        return Interval(float(mean), float(low), float(high))
    return Interval(mean, low, high)


def _t_quantile(freedom: int) -> float:
    """97.5 % quantile of Student's t; above the table by its expansion in 1 / freedom."""
    if freedom <= len(_T_QUANTILES):
        return _T_QUANTILES[freedom - 1]
    z = 1.959964
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
