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
    _check_counts(predictions, references)
    return sum(map(_same, predictions, references)) / len(references)


def _check_counts(predictions: Sequence, references: Sequence) -> None:
    if len(predictions) != len(references) or len(references) == 0:
        raise ValueError(
            f"predictions, references: got {len(predictions)} and {len(references)}, "
            "expected as many, at least 1"
        )


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


class TextScore(NamedTuple):
    """A score of a whole corpus, 0 to 100, and sacreBLEU's signature: how it was computed."""

    value: float
    signature: str


def bleu(
    predictions: Sequence[str],
    references: Sequence[str],
    tokenize: str = "13a",
    lowercase: bool = False,
) -> TextScore:
    """Corpus BLEU by sacreBLEU (Papineni et al. 2002; Post 2018, arXiv 1804.08771).

    One reference a prediction; both are texts as a reader would see them, which `tokenize` cuts:
    "13a" (WMT's), "intl", "char" and others. For tokens of our own: join them with spaces and give
    "none". Values compare only under the same signature.

    The order matters, and nothing here can see a swap: n-grams are counted as a share of the
    *predictions*' n-grams, and the brevity penalty punishes predictions that are shorter than
    their references. A swap turns "too short" into "too long" and escapes it. Only an empty
    reference gives it away, for a model may say nothing where a translator did not.

    Raises ValueError for different numbers of texts or none, an empty reference, an unknown
    `tokenize`; TypeError for one text instead of a sequence, or tokens instead of texts.
    """
    from sacrebleu.metrics import BLEU

    _check_texts(predictions, references)
    if tokenize not in BLEU.TOKENIZERS:
        raise ValueError(f"tokenize: got {tokenize!r}, expected one of {sorted(BLEU.TOKENIZERS)}")
    # force: do not warn of texts that are tokenised where they were announced to be.
    metric = BLEU(tokenize=tokenize, lowercase=lowercase, force=tokenize == "none")
    return _score(metric, predictions, references)


def chrf(
    predictions: Sequence[str],
    references: Sequence[str],
    word_order: int = 0,
    lowercase: bool = False,
) -> TextScore:
    """Corpus chrF2 by sacreBLEU: F-score of character n-grams up to 6 (Popović 2015).

    It needs no tokens and forgives a wrong ending more than a wrong word, which suits languages
    with many endings. Spaces are left out; marks such as ## of our own tokens would count, so join
    the tokens to a text first. `word_order=2` counts words and pairs of words as well: chrF++.
    Recall counts twice as much as precision, so here too the order matters (see `bleu`).

    Raises as `bleu` does.
    """
    from sacrebleu.metrics import CHRF

    _check_texts(predictions, references)
    metric = CHRF(word_order=word_order, lowercase=lowercase)
    return _score(metric, predictions, references)


def _score(metric, predictions: Sequence[str], references: Sequence[str]) -> TextScore:
    score = metric.corpus_score(list(predictions), [list(references)]).score
    return TextScore(float(score), str(metric.get_signature()))


def _check_texts(predictions: Sequence[str], references: Sequence[str]) -> None:
    for name, texts in (("predictions", predictions), ("references", references)):
        if isinstance(texts, str):
            raise TypeError(f"{name}: got one text, expected a sequence of texts")
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(
                    f"{name}: row {row} is a {type(text).__name__}, expected a text; join tokens "
                    "with spaces and give tokenize='none'"
                )
    _check_counts(predictions, references)
    for row, text in enumerate(references):
        if not text.strip():
            raise ValueError(
                f"references: row {row} is empty, expected a text; are predictions and references "
                "swapped?"
            )


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
