"""What changes during training: learning rates, and how often the decoder reads the truth.

A schedule is a function of the step, which counts from 1: schedule(1) is for the first update.

Scheduled sampling (Bengio et al. 2015, arXiv 1506.03099): in training the decoder reads at each
step the *true* token before, with probability ε_i at update i, and otherwise the one that it would
have said itself. ε = 1 is teacher forcing, ε = 0 what it does when it is used. The `..._truth`
schedules are the three of section 2.4. All give the probability of the TRUE token, so they fall;
texts that retell the paper have it the other way round at times.
"""

import math
from collections.abc import Callable

import numpy as np

Schedule = Callable[[int], float]


def linear_schedule(peak: float, steps: int, warmup: int = 0) -> Schedule:
    """Up from 0 to `peak` over the first `warmup` steps, then down, to reach 0 after step `steps`.

    The first updates are small because Adam's averages rest on few gradients then; the last are
    small because a large step would only shake a model that is nearly right.
    """
    if not peak > 0:
        raise ValueError(f"peak must be positive, got {peak}")
    if not 0 <= warmup < steps:
        raise ValueError(f"warmup must lie in 0..steps − 1 = 0..{steps - 1}, got {warmup}")

    def rate(step: int) -> float:
        if not 1 <= step <= steps:
            raise ValueError(f"step must lie in 1..{steps}, got {step}")
        if step <= warmup:
            return peak * step / warmup
        return peak * (steps + 1 - step) / (steps + 1 - max(warmup, 1))

    return rate


def noam_schedule(model_size: int, warmup: int, factor: float = 1.0) -> Schedule:
    """factor · D^(−½) · min(step^(−½), step · warmup^(−3/2)) (Vaswani et al. 2017, eq. 3).

    Up in a straight line for `warmup` steps, then down as 1/√step, without an end. The peak, at
    step `warmup`, is factor / √(D · warmup): 6.99e-4 for the paper's 512 and 4,000. Noam is the
    name, from the code of Noam Shazeer, by which it is known; `factor` is not in the paper.
    """
    for name, value in (("model_size", model_size), ("warmup", warmup)):
        if value < 1:
            raise ValueError(f"{name} must be 1 or more, got {value}")
    if not factor > 0:
        raise ValueError(f"factor must be positive, got {factor}")

    def rate(step: int) -> float:
        step = _checked(step)
        return factor * model_size**-0.5 * min(step**-0.5, step * warmup**-1.5)

    return rate


def linear_truth(k: float, c: float, epsilon: float = 0.0) -> Schedule:
    """ε_i = max(ε, k − c·i): down by c an update, from k, and never below `epsilon`.

    At most 1, so a k above 1 is teacher forcing for (k − 1) / c updates before it falls. With c = 0
    it stays at k: `linear_truth(1, 0)` is teacher forcing.

    Raises ValueError unless 0 <= epsilon < 1, k >= epsilon and c >= 0.
    """
    if not 0 <= epsilon < 1:
        raise ValueError(f"epsilon must lie in 0..1, below 1, got {epsilon}")
    if not epsilon <= k < math.inf:
        raise ValueError(f"k must be finite and at least epsilon = {epsilon}, got {k}")
    if not 0 <= c < math.inf:
        raise ValueError(f"c must be finite and 0 or more, got {c}")
    return lambda step: min(1.0, max(float(epsilon), k - c * _checked(step)))


def exponential_truth(k: float) -> Schedule:
    """ε_i = k**i: by the factor k an update, so that it halves every ln 2 / −ln k updates.

    Raises ValueError unless 0 <= k < 1.
    """
    if not 0 <= k < 1:
        raise ValueError(f"k must lie in 0..1, below 1, got {k}")
    return lambda step: float(k) ** _checked(step)


def inverse_sigmoid_truth(k: float) -> Schedule:
    """ε_i = k / (k + exp(i / k)): nearly 1 at first, ½ at i = k ln k, then down to 0.

    Raises ValueError unless k is finite and at least 1.
    """
    if not 1 <= k < math.inf:
        raise ValueError(f"k must be finite and at least 1, got {k}")

    def truth(step: int) -> float:
        # 1 / (1 + exp(x)), written so that exp never overflows.
        x = _checked(step) / k - math.log(k)
        return math.exp(-x) / (1 + math.exp(-x)) if x > 0 else 1 / (1 + math.exp(x))

    return truth


def coins(
    generator: np.random.Generator, shape: int | tuple[int, ...], probability: float
) -> np.ndarray:
    """Bool array of `shape`, True = read the TRUE token: each entry by a coin of its own.

    True comes up with `probability`. shape (B,T) tosses one coin a token, as the paper does. One
    coin a sentence or a batch would not do: its decoder reads the truth alone or its own words
    alone, and never has to find back after a single slip. The generator moves on, so every batch
    has coins of its own; the same seed gives the same coins in every framework.

    Raises ValueError for a probability outside 0..1, TypeError for a seed in place of a generator.
    """
    if not isinstance(generator, np.random.Generator):
        raise TypeError(
            f"generator must be a np.random.Generator, got {type(generator).__name__}; "
            "a seed would give every batch the same coins"
        )
    if not 0 <= probability <= 1:
        raise ValueError(f"probability must lie in 0..1, got {probability}")
    return generator.random(shape) < probability


def _checked(step: int) -> int:
    if step < 1:
        raise ValueError(f"step must be 1 or more, got {step}")
    return step
