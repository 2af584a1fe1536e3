"""Learning rates by step; that training obeys them is in `test_parity.py`."""

import numpy as np
import pytest

from attention_course.schedules import linear_schedule


def rates(*arguments) -> list[float]:
    rate = linear_schedule(*arguments)
    return [rate(step) for step in range(1, arguments[1] + 1)]


def test_up_to_the_peak_and_down_again_by_hand():
    assert rates(6.0, 8, 3) == pytest.approx([2, 4, 6, 5, 4, 3, 2, 1])


@pytest.mark.parametrize("warmup", [0, 1])
def test_without_warmup_it_starts_at_the_peak(warmup):
    assert rates(4.0, 4, warmup) == pytest.approx([4, 3, 2, 1])


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (2, 1), (7, 6), (100, 10), (1000, 0)])
def test_every_step_has_a_rate_and_one_is_the_peak(steps, warmup):
    found = np.array(rates(0.003, steps, warmup))
    top = max(warmup, 1) - 1
    assert len(found) == steps and (found > 0).all() and found.argmax() == top
    assert found[top] == pytest.approx(0.003)
    # Straight up from 0 before the first step, straight down to 0 after the last.
    for line in ([0.0, *found[: top + 1]], [*found[top:], 0.0]):
        slope = np.diff(line)
        np.testing.assert_allclose(slope, slope[0], rtol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 5), "peak must be positive, got 0.0"),
        ((-1.0, 5), "peak must be positive, got -1.0"),
        ((float("nan"), 5), "peak must be positive, got nan"),
        ((1.0, 0), "warmup must lie in"),
        ((1.0, 5, 5), r"warmup must lie in 0\.\.steps − 1 = 0\.\.4, got 5"),
        ((1.0, 5, -1), "warmup must lie in .* got -1"),
    ],
)
def test_it_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        linear_schedule(*arguments)


@pytest.mark.parametrize("step", [0, 6, -1])
def test_a_step_outside_the_training_has_no_rate(step):
    with pytest.raises(ValueError, match=rf"step must lie in 1\.\.5, got {step}"):
        linear_schedule(1.0, 5)(step)
