"""Metrics: what counts and what does not."""

import numpy as np
import pytest

from attention_course.metrics import exact_match, mean_and_interval, token_accuracy


def test_exact_match_counts_whole_sequences():
    assert exact_match([[1, 2], [3], [], [4, 5]], [[1, 2], [4], [], [4, 5, 6]]) == 0.5
    assert exact_match(["ab", "ba", "c"], ["ab", "ab", "d"]) == pytest.approx(1 / 3)


def test_exact_match_takes_tuples_and_arrays_for_lists():
    assert exact_match([np.array([1, 2]), (3,)], [[1, 2], [3]]) == 1.0


@pytest.mark.parametrize(
    ("predictions", "references", "error"),
    [
        ([[1]], [[1], [2]], ValueError),
        ([], [], ValueError),
        (["ab"], [["a", "b"]], TypeError),
    ],
)
def test_exact_match_refuses(predictions, references, error):
    with pytest.raises(error, match="predictions, references: got"):
        exact_match(predictions, references)


def test_token_accuracy_leaves_padding_out():
    targets = np.array([[4, 5, 0, 0], [6, 7, 8, 0]])
    predicted = np.array([[4, 9, 0, 0], [6, 7, 9, 9]])
    mask = np.array([[True, True, False, False], [True, True, True, False]])
    assert token_accuracy(predicted, targets, mask) == 3 / 5


def test_token_accuracy_counts_tokens_not_rows():
    targets = np.array([[4, 0, 0], [6, 7, 8]])
    predicted = np.array([[9, 0, 0], [6, 7, 8]])
    mask = np.array([[True, False, False], [True, True, True]])
    assert token_accuracy(predicted, targets, mask) == 3 / 4


@pytest.mark.parametrize(
    ("shape", "mask", "error"),
    [
        ((2, 3), np.ones((2, 2), bool), ValueError),
        ((2, 1), np.ones((2, 3), bool), ValueError),  # would broadcast
        ((3,), np.ones(3, bool), ValueError),
        ((2, 3), np.ones((2, 3)), TypeError),
        ((2, 3), np.zeros((2, 3), bool), ValueError),
    ],
)
def test_token_accuracy_refuses(shape, mask, error):
    with pytest.raises(error, match="mask"):
        token_accuracy(np.zeros(shape, int), np.zeros(shape, int), mask)


def test_the_interval_of_three_seeds_by_hand():
    # mean 2, s = 1, t(0.975; 2) = 4.3027, half width 4.3027 / sqrt(3) = 2.4842
    interval = mean_and_interval([1.0, 2.0, 3.0])
    assert interval == pytest.approx((2.0, -0.4842, 4.4842), abs=1e-4)
    assert all(isinstance(value, float) for value in interval)


def test_the_interval_covers_the_truth_in_19_of_20_cases():
    rng = np.random.default_rng(0)
    for seeds in (2, 5, 40):
        values = rng.normal(3.0, 2.0, size=(seeds, 20_000))
        _, low, high = mean_and_interval(values)
        assert np.mean((low < 3.0) & (high > 3.0)) == pytest.approx(0.95, abs=0.006)


def test_the_quantile_goes_on_smoothly_after_the_table():
    # +-1 with s = 1 exactly: the half width times sqrt(n) is the quantile.
    def quantile(n):
        values = np.random.default_rng(n).normal(size=n)
        values = (values - values.mean()) / values.std(ddof=1)
        return mean_and_interval(values).high * np.sqrt(n)

    assert quantile(31) == pytest.approx(2.0423, abs=1e-4)  # last of the table
    assert quantile(32) == pytest.approx(2.0395, abs=1e-4)
    assert quantile(1001) == pytest.approx(1.9623, abs=1e-4)


def test_a_curve_has_an_interval_at_each_point():
    curves = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    mean, low, high = mean_and_interval(curves)
    np.testing.assert_allclose(mean, [2, 0])
    np.testing.assert_allclose([low[1], high[1]], [0, 0])
    assert (low[0], high[0]) == mean_and_interval(curves[:, 0])[1:]


def test_bounds_cut_the_interval_not_the_mean():
    assert mean_and_interval([0.9, 1.0], bounds=(0, 1)) == pytest.approx((0.95, 0.3147, 1.0), 1e-3)
    assert mean_and_interval([0.9, 1.0]).high > 1


@pytest.mark.parametrize("values", [[1.0], 1.0, [], [1.0, np.nan]])
def test_mean_and_interval_refuses(values):
    with pytest.raises(ValueError, match="values: got"):
        mean_and_interval(values)
