"""Softmax, its logarithm and the sigmoid at the edges; the loss as a mean over real tokens."""

import numpy as np
import pytest

from attention_course.scratch.functional import log_softmax, sigmoid, softmax, softmax_backward
from attention_course.scratch.losses import masked_cross_entropy


def test_softmax_of_the_course_s_three_scores():
    np.testing.assert_allclose(softmax(np.log([1.0, 2, 4])), np.array([1, 2, 4]) / 7, rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shift", [-1e4, 0, 1e4])
def test_rows_sum_to_one_wherever_they_lie(dtype, shift):
    scores = np.random.default_rng(0).standard_normal((3, 5)).astype(dtype) + dtype(shift)
    weights = softmax(scores)
    assert weights.dtype == dtype
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=4 * np.finfo(dtype).eps)


def test_each_row_is_shifted_by_its_own_maximum():
    scores = np.array([[0.0, 1.0], [-1e4, -1e4 + 1]])
    weights = softmax(scores)
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-10)


def test_the_axis_is_the_one_asked_for():
    scores = np.random.default_rng(0).standard_normal((2, 3, 4))
    for axis in (0, 1, 2, -1):
        moved = np.moveaxis(softmax(np.moveaxis(scores, axis, -1)), -1, axis)
        np.testing.assert_array_equal(softmax(scores, axis), moved)
        np.testing.assert_allclose(np.exp(log_softmax(scores, axis)), moved, rtol=1e-12)


def test_forbidden_scores_get_exactly_nothing():
    scores = np.array([[0.0, -np.inf, 1.0], [-np.inf] * 3])
    with np.errstate(all="raise"):
        weights, logs = softmax(scores), log_softmax(scores)
    assert weights[0, 1] == 0
    assert not weights[1].any(), "a row where nothing is allowed must be zeros"
    np.testing.assert_array_equal(logs[1], -np.inf)
    np.testing.assert_array_equal(softmax_backward(weights, np.ones((2, 3)))[1], 0)


def test_log_softmax_keeps_what_softmax_rounds_away():
    assert log_softmax(np.array([0.0, -1000.0]))[1] == -1000


def test_inputs_are_not_changed():
    scores = np.random.default_rng(0).standard_normal((3, 4))
    kept = scores.copy()
    softmax_backward(softmax(scores), scores)
    log_softmax(scores)
    sigmoid(scores)
    np.testing.assert_array_equal(scores, kept)


def test_softmax_backward_names_the_wrong_shape():
    with pytest.raises(ValueError, match=r"dweights must have the shape of weights, \(2, 3\)"):
        softmax_backward(np.ones((2, 3)), np.ones((2, 1)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid(dtype):
    x = np.array([-1e4, -30, -1, 0, 1, 30, 1e4], dtype)
    with np.errstate(all="raise"):
        y = sigmoid(x)
    exact = np.array([0, np.exp(-30), 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1, 1])
    assert y.dtype == dtype
    np.testing.assert_allclose(y, exact, atol=np.finfo(dtype).eps)
    assert sigmoid(x, out=x) is x
    np.testing.assert_array_equal(x, y)


# The loss.


def case(batch=3, size=4, vocab_size=5):
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((batch, size, vocab_size))
    targets = rng.integers(0, vocab_size, (batch, size))
    return logits, targets, np.arange(size) < np.array([[2], [4], [1]])


def test_the_mean_is_over_tokens_not_over_sentences():
    logits, targets, mask = case()
    losses = [-np.log(softmax(logits[b, t]))[targets[b, t]] for b, t in zip(*np.nonzero(mask))]
    assert masked_cross_entropy(logits, targets, mask)[0] == pytest.approx(np.mean(losses))


def test_uniform_logits_cost_log_v():
    loss, _ = masked_cross_entropy(np.zeros((2, 3, 8)), np.ones((2, 3), int), np.ones((2, 3), bool))
    assert loss == pytest.approx(np.log(8))


def test_padding_changes_neither_loss_nor_gradient():
    logits, targets, mask = case()
    loss, dlogits = masked_cross_entropy(logits, targets, mask)
    longer = [np.concatenate([a, a[:, :2]], axis=1) for a in (logits, targets)]
    longer[0][:, 4:] = np.nan
    longer[1][:, 4:] = -7  # what stands at padding is not even looked at
    padded = np.concatenate([mask, np.zeros((3, 2), bool)], axis=1)
    longer_loss, longer_dlogits = masked_cross_entropy(*longer, padded)
    assert longer_loss == loss
    np.testing.assert_array_equal(longer_dlogits[:, :4], dlogits)
    assert not longer_dlogits[:, 4:].any()


def test_a_certain_mistake_costs_its_score_not_infinity():
    logits = np.array([[[0, 1e4]]], np.float32)
    loss, dlogits = masked_cross_entropy(logits, np.array([[0]]), np.array([[True]]))
    assert loss == 1e4
    assert dlogits.dtype == np.float32
    np.testing.assert_array_equal(dlogits, [[[-1, 1]]])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"mask": np.zeros((3, 4), bool)}, ValueError, "mask has no True"),
        ({"mask": np.ones((3, 4))}, TypeError, "mask must have dtype bool, got float64"),
        ({"mask": np.ones((3, 1), bool)}, ValueError, "mask: axis T must have size 4, got 1"),
        ({"targets": np.zeros((3, 5), int)}, ValueError, "targets: axis T must have size 4, got 5"),
        ({"targets": np.full((3, 4), 5)}, ValueError, r"targets must lie in 0..4"),
        ({"targets": np.full((3, 4), -1)}, ValueError, r"targets must lie in 0..4"),
        ({"targets": np.zeros((3, 4))}, TypeError, "targets must have dtype integer"),
        ({"logits": np.zeros((12, 5))}, ValueError, r"logits must have 3 axes \(B, T, V\)"),
        ({"logits": [[[0.0]]]}, TypeError, "logits must be a NumPy array, got list"),
    ],
)
def test_the_loss_names_what_is_wrong(change, error, message):
    arguments = dict(zip(("logits", "targets", "mask"), case())) | change
    with pytest.raises(error, match=message):
        masked_cross_entropy(**arguments)
