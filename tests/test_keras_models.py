"""What is particular to the Keras side; that it says what the others say is in `test_parity.py`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from attention_course.corpora.batching import Batch
from attention_course.decoding import greedy
from attention_course.keras.attention import dot_product_attention, masked_softmax
from attention_course.keras.losses import masked_cross_entropy
from attention_course.keras.recurrent import GRU, LSTM, Bidirectional
from attention_course.keras.seq2seq import Seq2Seq
from attention_course.keras.training import make_train_step
from attention_course.keras.weights import from_arrays, to_arrays

MASK = np.array([[True, True, False], [True, False, False]])


def copy_batch(rows: int, size: int, seed: int = 0) -> Batch:
    """Copy `size` symbols 2…7; 0 is sos, 1 is eos."""
    source = np.random.default_rng(seed).integers(2, 8, (rows, size))
    sos, eos = np.full((rows, 1), 0), np.full((rows, 1), 1)
    target_in, target_out = np.hstack([sos, source]), np.hstack([source, eos])
    lengths = np.full(rows, size)
    return Batch(source, lengths, target_in, target_out, lengths + 1)


# Loss.


def test_loss_is_the_mean_over_real_tokens_not_over_sentences():
    logits, targets = np.zeros((2, 3, 2)), np.zeros((2, 3), dtype=int)
    logits[0, :2, 1] = np.log(3)  # p(target) = 1/4 at the two tokens of the first sentence
    loss = float(masked_cross_entropy(logits, targets, MASK))
    assert loss == pytest.approx((2 * np.log(4) + np.log(2)) / 3)
    assert loss != pytest.approx((np.log(4) + np.log(2)) / 2)


def test_whatever_stands_at_padding_reaches_neither_loss_nor_gradient():
    logits, targets = np.ones((2, 3, 4)), np.where(MASK, 2, 99)
    logits[~MASK] = np.nan
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = masked_cross_entropy(logits, targets, MASK)
    assert float(loss) == pytest.approx(np.log(4))
    gradient = tape.gradient(loss, logits).numpy()
    assert (gradient[~MASK] == 0).all() and (gradient[MASK] != 0).all()


@pytest.mark.parametrize(
    ("logits", "targets", "mask", "error"),
    [
        (np.zeros((2, 3, 4)), np.zeros((2, 2), int), MASK, ValueError),
        (np.zeros((2, 3)), np.zeros((2, 3), int), MASK, ValueError),
        (np.zeros((2, 3, 4)), np.zeros((2, 3), int), MASK.astype(int), TypeError),
        (np.zeros((2, 3, 4)), np.zeros((2, 3), int), np.zeros((2, 3), bool), ValueError),
    ],
    ids=["targets (B,T-1)", "logits (B,T)", "int mask", "empty mask"],
)
def test_loss_refuses(logits, targets, mask, error):
    with pytest.raises(error, match="mask"):
        masked_cross_entropy(logits, targets, mask)


# Attention (the preview).


def test_attention_on_the_worked_example():
    """Scores ln 1, ln 2, ln 4 give weights 1/7, 2/7, 4/7."""
    key = tf.constant(np.log([[[1.0], [2.0], [4.0]]]))
    value = tf.constant([[[7.0, 0.0], [0.0, 7.0], [7.0, 7.0]]], tf.float64)
    context, weights = dot_product_attention(tf.ones((1, 1, 1), tf.float64), key, value)
    np.testing.assert_allclose(weights[0, 0], [1 / 7, 2 / 7, 4 / 7])
    np.testing.assert_allclose(context[0, 0], [5, 6])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_masked_weights_are_exactly_zero_and_an_empty_row_is_all_zeros(dtype):
    scores = tf.constant([[1.0, 2.0, 9.0], [5.0, 1.0, 2.0]], dtype)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        weights = masked_softmax(scores, tf.constant([[True, True, False], [False] * 3]))
        total = tf.reduce_sum(weights * tf.constant([1, 2, 3], dtype))
    assert weights[0, 2] == 0 and not weights.numpy()[1].any()
    assert float(tf.reduce_sum(weights[0])) == pytest.approx(1, abs=1e-3)
    gradient = tape.gradient(total, scores).numpy()
    assert np.isfinite(gradient).all() and gradient[0, 0] != 0
    assert gradient[0, 2] == 0 and not gradient[1].any()


def test_attention_refuses_a_mask_of_numbers():
    with pytest.raises(TypeError, match="mask must be bool"):
        masked_softmax(tf.zeros((1, 2)), tf.ones((1, 2)))


# Layers.


@pytest.mark.parametrize("state", [(np.zeros((2, 4)),), (np.zeros((2, 4)),) * 3])
def test_lstm_refuses_a_state_without_exactly_two_parts(state):
    with pytest.raises(ValueError, match=f"state must have 2 .* got {len(state)}"):
        LSTM(3, 4)(np.zeros((2, 5, 3)), None, state)


def test_layers_are_ordinary_keras_layers_with_the_right_number_of_weights():
    assert GRU(3, 4).count_params() == 3 * 12 + 4 * 12 + 2 * 12
    assert LSTM(5, 4).count_params() == 160  # Keras has one bias, torch two: 176
    layer = Bidirectional(GRU, 3, 4)
    assert layer.count_params() == 2 * GRU(3, 4).count_params()
    outputs, state = keras.Sequential([keras.layers.Identity(), layer])(np.zeros((2, 5, 3)))
    assert outputs.shape == (2, 5, 8) and [part.shape for part in state] == [(2, 8)]


# Training and decoding.


def test_float32_is_the_default_and_close_to_float64():
    sizes = (8, 8, 3, 4, "lstm", True)
    single, double = Seq2Seq(*sizes), Seq2Seq(*sizes, dtype="float64")
    from_arrays(double, to_arrays(single))
    batch = copy_batch(2, 4)
    arrays = (batch.source, batch.source_lengths, batch.target_in)
    logits = single(*arrays)
    assert logits.dtype == tf.float32
    np.testing.assert_allclose(logits, double(*arrays), atol=1e-5)


@pytest.mark.slow
def test_a_batch_is_learned_by_heart_and_decoded_and_compiled_at_most_twice(monkeypatch):
    model = Seq2Seq(8, 8, 8, 32)
    traces = []
    traced = model.decode
    monkeypatch.setattr(model, "decode", lambda *a: traces.append(1) or traced(*a))
    train_step = make_train_step(model, learning_rate=0.01)
    batches = [copy_batch(rows, size, rows) for rows, size in ((6, 3), (4, 2), (5, 4))]
    losses = [train_step(batch) for _ in range(100) for batch in batches]
    assert losses[-1] < 0.1 < 1.5 < losses[0]
    assert len(traces) <= 2, "a batch of another shape compiles the training step anew"
    for batch in batches:
        state = model.start(batch.source, batch.source_lengths)
        said = greedy(model.step, state, len(batch.source), sos=0, eos=1, max_length=6)
        assert said == batch.source.tolist()


def test_train_step_refuses_impossible_arguments():
    model = Seq2Seq(8, 8, 3, 4)
    with pytest.raises(ValueError, match="max_norm must be positive, got 0"):
        make_train_step(model, max_norm=0)
    batch = copy_batch(2, 3)
    with pytest.raises(ValueError, match=r"lengths must lie in 1\.\.3, got 0\.\.3"):
        make_train_step(model)(batch._replace(source_lengths=np.array([0, 3])))
