"""Adam, clipping, the training step, and that all of it together learns."""

import numpy as np
import pytest

from attention_course.corpora.strings import string_batches, string_vocabulary
from attention_course.scratch.losses import masked_cross_entropy
from attention_course.scratch.seq2seq import PeekySeq2Seq, Seq2Seq
from attention_course.scratch.training import Adam, clip_global_norm, make_train_step
from attention_course.scratch.weights import gradients, to_arrays


def test_two_adam_steps_by_hand():
    params = {"w": np.array([1.0, -2.0])}
    optimizer = Adam(params, learning_rate=0.1)
    optimizer.step({"w": np.array([0.5, -4.0])})
    # At the first step m̂ = g and v̂ = g²: the size of a gradient cancels, its sign stays.
    np.testing.assert_allclose(params["w"], [1.0 - 0.1, -2.0 + 0.1], rtol=1e-7)
    optimizer.step({"w": np.array([1.0, 0.0])})
    mean = np.array([0.9 * 0.05 + 0.1, 0.9 * -0.4]) / (1 - 0.9**2)
    square = np.array([0.999 * 0.00025 + 0.001, 0.999 * 0.016]) / (1 - 0.999**2)
    expected = [0.9 - 0.1 * mean[0] / square[0] ** 0.5, -1.9 - 0.1 * mean[1] / square[1] ** 0.5]
    np.testing.assert_allclose(params["w"], expected, rtol=1e-7)


def test_a_parameter_without_gradient_does_not_move():
    params = {"w": np.array([3.0])}
    Adam(params).step({"w": np.zeros(1)})
    assert params["w"][0] == 3


def test_epsilon_bounds_the_step_of_a_tiny_gradient():
    params = {"w": np.array([0.0])}
    Adam(params, learning_rate=1.0).step({"w": np.array([1e-8])})
    assert params["w"][0] == pytest.approx(-0.5)  # −1e-8 / (1e-8 + ε)


def test_adam_keeps_float32_and_leaves_the_gradient_alone():
    params, grads = {"w": np.ones(3, np.float32)}, {"w": np.ones(3, np.float32)}
    optimizer = Adam(params)
    optimizer.step(grads)
    arrays = (params["w"], optimizer.mean["w"], optimizer.square["w"])
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(grads["w"], 1)


def test_adam_names_what_does_not_fit():
    optimizer = Adam({"w": np.ones(3), "b": np.ones(2)})
    with pytest.raises(ValueError, match=r"missing \['b'\], unexpected \['c'\]"):
        optimizer.step({"w": np.ones(3), "c": np.ones(2)})
    with pytest.raises(ValueError, match=r"grads\['w'\] must have shape \(3,\), got \(1,\)"):
        optimizer.step({"w": np.ones(1), "b": np.ones(2)})


def test_clipping_scales_all_gradients_by_one_factor():
    grads = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}
    assert clip_global_norm(grads, 1.0) == 5
    np.testing.assert_allclose(grads["a"], [0.6, 0])
    np.testing.assert_allclose(grads["b"], [[0.8]])


def test_a_small_gradient_is_not_touched():
    grads = {"a": np.array([3.0, 0.0]), "b": np.array([4.0])}
    assert clip_global_norm(grads, 6.0) == 5
    np.testing.assert_array_equal(grads["a"], [3, 0])


def test_clipping_refuses_nonsense():
    with pytest.raises(ValueError, match="max_norm must be positive, got 0"):
        clip_global_norm({"a": np.ones(2)}, 0)
    with pytest.raises(FloatingPointError, match=r"norm is nan, not finite in.*\['b'\]"):
        clip_global_norm({"a": np.ones(2), "b": np.array([np.nan])}, 1.0)


def copy_task(batch_size=32):
    vocabulary = string_vocabulary("abcd")
    return vocabulary, string_batches(batch_size, (3, 5), vocabulary, seed=0)


def test_a_training_step_is_one_clipped_adam_step():
    vocabulary, batches = copy_task(4)
    batch = next(batches)
    net, twin = (Seq2Seq(len(vocabulary), len(vocabulary), 3, 5) for _ in range(2))
    loss = make_train_step(net, learning_rate=0.01, max_norm=0.1)(batch)

    logits = twin.forward(batch.source, batch.source_lengths, batch.target_in)
    expected, dlogits = masked_cross_entropy(logits, batch.target_out, batch.target_mask)
    twin.backward(dlogits)
    grads = gradients(twin)
    assert clip_global_norm(grads, 0.1) > 0.1, "the case must be one where clipping acts"
    Adam(twin.params, 0.01).step(grads)
    assert loss == expected
    for name, array in to_arrays(twin).items():
        np.testing.assert_array_equal(net.params[name], array)


@pytest.mark.parametrize(
    ("model", "cell", "both_ways"),
    [(Seq2Seq, "gru", False), (Seq2Seq, "lstm", True), (PeekySeq2Seq, "gru", True)],
)
def test_150_steps_learn_to_copy_short_strings(model, cell, both_ways):
    vocabulary, batches = copy_task()
    size = len(vocabulary)
    train_step = make_train_step(model(size, size, 16, 32, cell, both_ways), learning_rate=0.01)
    losses = [train_step(next(batches)) for _ in range(150)]
    untrained, guessing = np.mean(losses[:5]), np.log(4)
    assert untrained > guessing
    assert np.mean(losses[-10:]) < 0.5 * guessing, f"after 150 steps: {losses[-10:]}"
