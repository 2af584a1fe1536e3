"""Learning rates that change during training: functions of the step, which counts from 1."""

from collections.abc import Callable

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
