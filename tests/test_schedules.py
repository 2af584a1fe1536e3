"""Learning rates by step (that training obeys them is in `test_parity.py`), scheduled sampling."""

import math

import numpy as np
import pytest

from attention_course.schedules import (
    coins,
    exponential_truth,
    inverse_sigmoid_truth,
    linear_schedule,
    linear_truth,
    noam_schedule,
)


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


# Up in a straight line, then down as 1/√step.


def test_the_paper_s_peak():
    """512 numbers, 4,000 steps of warm-up: 6.99e-4."""
    rate = noam_schedule(512, 4000)
    assert rate(4000) == pytest.approx(6.99e-4, abs=5e-7)
    assert rate(4000) == pytest.approx((512 * 4000) ** -0.5, rel=1e-12)
    assert rate(4000) > max(rate(3999), rate(4001))
    assert {type(rate(step)) for step in (1, 4000, 10**6)} == {float}


def test_noam_by_hand():
    """D = 4 halves it; warm-up of 4: 1/16 a step up to 1/4, then 1/(2 √step)."""
    rate = noam_schedule(4, 4)
    assert [rate(step) for step in (1, 2, 3, 4)] == pytest.approx([1 / 16, 1 / 8, 3 / 16, 1 / 4])
    assert [rate(step) for step in (9, 16, 100)] == pytest.approx([1 / 6, 1 / 8, 1 / 20])


@pytest.mark.parametrize(("model_size", "warmup"), [(64, 400), (512, 4000), (7, 1), (1, 30)])
def test_up_in_a_straight_line_and_down_as_the_root(model_size, warmup):
    rate = noam_schedule(model_size, warmup, factor=2.0)
    steps = np.arange(1, 5 * warmup + 1)
    found = np.array([rate(int(step)) for step in steps])
    assert found.argmax() == warmup - 1
    up, down = steps <= warmup, steps >= warmup
    np.testing.assert_allclose(found[up] / steps[up], found[0], rtol=1e-12)
    np.testing.assert_allclose(found[down] * steps[down] ** 0.5, 2 * model_size**-0.5, rtol=1e-12)


def test_the_factor_scales_every_step():
    one, three = noam_schedule(32, 10), noam_schedule(32, 10, factor=3.0)
    assert [three(step) for step in (1, 10, 99)] == pytest.approx(
        [3 * one(step) for step in (1, 10, 99)]
    )


@pytest.mark.parametrize("step", [0, -1])
def test_noam_counts_from_1(step):
    with pytest.raises(ValueError, match=f"step must be 1 or more, got {step}"):
        noam_schedule(512, 4000)(step)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4000), "model_size must be 1 or more, got 0"),
        ((512, 0), "warmup must be 1 or more, got 0"),
        ((512, 4000, 0.0), "factor must be positive, got 0.0"),
        ((512, 4000, math.nan), "factor must be positive, got nan"),
    ],
)
def test_noam_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        noam_schedule(*arguments)


# The probability of the true token.

FALLING = [linear_truth(1.0, 0.01, 0.05), exponential_truth(0.99), inverse_sigmoid_truth(20)]


def test_linear_truth_by_hand():
    truth = linear_truth(0.9, 0.2, 0.25)
    assert [truth(i) for i in range(1, 6)] == pytest.approx([0.7, 0.5, 0.3, 0.25, 0.25])
    assert truth(10**9) == 0.25
    assert linear_truth(1.0, 0.5)(10) == 0


def test_exponential_truth_by_hand():
    truth = exponential_truth(0.5)
    assert [truth(i) for i in range(1, 4)] == [0.5, 0.25, 0.125]
    assert exponential_truth(0)(1) == 0


def test_inverse_sigmoid_truth_by_hand():
    for k, i in [(1, 1), (1, 5), (4, 1), (4, 3), (4, 12), (50, 1), (50, 195), (50, 196)]:
        assert inverse_sigmoid_truth(k)(i) == pytest.approx(k / (k + math.exp(i / k)), rel=1e-12)
    assert inverse_sigmoid_truth(math.e)(math.e) == pytest.approx(0.5)  # at k ln k


@pytest.mark.parametrize("truth", FALLING)
def test_training_begins_with_the_truth_and_ends_without(truth):
    found = np.array([truth(i) for i in range(1, 1001)])
    assert found[0] > 0.9 and found[-1] < 0.1
    assert (np.diff(found) <= 0).all() and ((found >= 0) & (found <= 1)).all()
    assert {type(truth(i)) for i in (1, 1000)} == {float}


@pytest.mark.parametrize("truth", FALLING)
def test_no_step_is_too_late(truth):
    assert 0 <= truth(10**9) <= 0.05


def test_a_start_above_1_is_a_while_of_teacher_forcing():
    truth = linear_truth(1.5, 0.25)
    assert [truth(i) for i in range(1, 5)] == [1, 1, 0.75, 0.5]


def test_a_slope_of_0_keeps_the_share():
    assert {linear_truth(0.4, 0)(i) for i in (1, 7, 10**6)} == {0.4}
    assert linear_truth(1, 0)(10**6) == 1


@pytest.mark.parametrize("truth", FALLING)
@pytest.mark.parametrize("step", [0, -1])
def test_updates_count_from_1(truth, step):
    with pytest.raises(ValueError, match=f"step must be 1 or more, got {step}"):
        truth(step)


@pytest.mark.parametrize(
    ("schedule", "arguments", "message"),
    [
        (linear_truth, (1, 0.1, -0.1), "epsilon must lie in 0..1, below 1, got -0.1"),
        (linear_truth, (1, 0.1, 1.0), "epsilon must lie in 0..1, below 1, got 1.0"),
        (linear_truth, (0.1, 0.1, 0.2), "k must be finite and at least epsilon = 0.2, got 0.1"),
        (linear_truth, (math.nan, 0.1), "k must be finite and at least epsilon = 0.0, got nan"),
        (linear_truth, (1, -0.1), "c must be finite and 0 or more, got -0.1"),
        (linear_truth, (1, math.nan), "c must be finite and 0 or more, got nan"),
        (exponential_truth, (1.0,), "k must lie in 0..1, below 1, got 1.0"),
        (exponential_truth, (-0.5,), "k must lie in 0..1, below 1, got -0.5"),
        (inverse_sigmoid_truth, (0.9,), "k must be finite and at least 1, got 0.9"),
        (inverse_sigmoid_truth, (math.inf,), "k must be finite and at least 1, got inf"),
    ],
)
def test_truth_refuses(schedule, arguments, message):
    with pytest.raises(ValueError, match=message):
        schedule(*arguments)


# The coins.


def test_as_many_coins_show_true_as_the_probability_says():
    for probability in (0.1, 0.5, 0.8):
        tossed = coins(np.random.default_rng(0), (200, 500), probability)
        assert tossed.dtype == bool and tossed.shape == (200, 500)
        assert tossed.mean() == pytest.approx(probability, abs=0.006)  # 4 standard deviations


def test_each_token_has_a_coin_of_its_own():
    tossed = coins(np.random.default_rng(1), (400, 300), 0.7)
    # The shares of rows and columns scatter as those of independent coins do, not as 0 and 1.
    expected = 0.7 * 0.3
    assert tossed.mean(axis=1).var() == pytest.approx(expected / 300, rel=0.3)
    assert tossed.mean(axis=0).var() == pytest.approx(expected / 400, rel=0.3)
    for a, b in ((tossed[:, 1:], tossed[:, :-1]), (tossed[1:], tossed[:-1])):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] == pytest.approx(0, abs=0.012)


def test_1_is_teacher_forcing_and_0_reads_nothing_but_own_words():
    generator = np.random.default_rng(2)
    assert coins(generator, (100, 100), 1).all()
    assert not coins(generator, (100, 100), 0).any()


def test_a_seed_fixes_the_coins_and_batches_differ():
    first, second = (np.random.default_rng(3) for _ in range(2))
    batches = [coins(first, (8, 9), 0.5) for _ in range(2)]
    np.testing.assert_array_equal(batches[0], coins(second, (8, 9), 0.5))
    assert (batches[0] != batches[1]).any()
    assert coins(first, 5, 0.5).shape == (5,)


@pytest.mark.parametrize("probability", [-0.1, 1.1, math.nan])
def test_coins_refuse_what_is_no_probability(probability):
    with pytest.raises(ValueError, match=r"probability must lie in 0\.\.1, got"):
        coins(np.random.default_rng(0), (2, 3), probability)


@pytest.mark.parametrize("generator", [0, None, np.random.RandomState(0)])
def test_coins_refuse_a_seed(generator):
    with pytest.raises(TypeError, match=r"generator must be a np\.random\.Generator"):
        coins(generator, (2, 3), 0.5)
