"""What Keras's Bahdanau decoder is measured against: the same layers in the loop of a tutorial.

Python's loop over the target, so that `tf.function` unrolls it, and compiles anew for each length:
at each step an embedding, the keys projected anew, softmax, a sum of products, one step of the GRU,
the product with the whole vocabulary, and the loss, which is added up. Right, and clear;
`attention_course.keras.bahdanau` must give the same, faster. Both take the same layers, gradient
clipping and Adam, so that the loop is all in which they differ.
"""

import os

# TensorFlow reads these when it is imported.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
os.environ.setdefault("TF_NUM_INTEROP_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from attention_course.corpora.batching import Batch
from attention_course.keras.bahdanau import BahdanauSeq2Seq
from attention_course.keras.training import Adam, batch_loss, clip_global_norm, make_train_step

import tensorflow as tf  # isort: skip  after the course's package, which keeps it quiet

VOCABULARY, EMBED, HIDDEN, B, S = 4000, 128, 256, 64, 20
MAX_NORM = 5.0
MODEL = (
    f"additive attention, bidirectional, GRU {HIDDEN}, embedding {EMBED}, vocabulary {VOCABULARY}, "
    f"{B} × {S}, against a tutorial's unrolled loop"
)

Job = Callable[[], object]
Jobs = tuple[str, Job, Job]


def keras_training_steps() -> Iterator[Jobs]:
    """One update, compiled: all 20 long, then from 5 to 20."""
    for ragged in (False, True):
        yield keras_training_step(ragged)


def keras_training_step(ragged: bool = False) -> Jobs:
    """One update; equal loss and gradients are asserted first, and that both have learned."""
    batch = _batch(ragged)
    model = BahdanauSeq2Seq(VOCABULARY, VOCABULARY, EMBED, HIDDEN)
    tensors = _tensors(batch)
    _assert_equal(model, lambda: batch_loss(model, batch), lambda: tutorial_loss(model, *tensors))
    update, book_update = make_train_step(model, 1e-3, MAX_NORM), tutorial_train_step(model)
    losses = [book_update(tensors), update(batch), book_update(tensors)]  # compiled, from here on
    assert losses == sorted(losses, reverse=True), losses
    what = f"training step, linear readout, {'5–20 long' if ragged else '20 long'}"
    return what, lambda: book_update(tensors), lambda: update(batch)


def tutorial_loss(
    model: BahdanauSeq2Seq,
    source: tf.Tensor,
    lengths: tf.Tensor,
    target_in: tf.Tensor,
    target_out: tf.Tensor,
    target_mask: tf.Tensor,
) -> tf.Tensor:
    """The mean over all tokens that are not padding."""
    outputs, state = model.encoder(source, lengths)
    hidden = tf.tanh(model.bridge(state[0]))
    mask = tf.sequence_mask(lengths, source.shape[1])[..., None]
    loss = 0.0
    for t in range(target_in.shape[1]):
        word = model.decoder.embedding(target_in[:, t])
        context = tutorial_attention(model, hidden, outputs, mask)
        hidden, _ = model.decoder.rnn.rnn.cell(tf.concat([word, context], axis=-1), [hidden])
        logits = model.decoder.readout(tf.concat([hidden, context, word], axis=-1))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(target_out[:, t], logits)
        loss += tf.reduce_sum(losses * tf.cast(target_mask[:, t], losses.dtype))
    return loss / tf.reduce_sum(tf.cast(target_mask, loss.dtype))


def tutorial_attention(
    model: BahdanauSeq2Seq, hidden: tf.Tensor, outputs: tf.Tensor, mask: tf.Tensor
) -> tf.Tensor:
    """hidden (B,H), outputs (B,S,2H), mask (B,S,1) -> context (B,2H), the keys projected here."""
    score = model.attention.score
    query = tf.matmul(hidden, score.query_weight)[:, None]
    energy = tf.tanh(query + tf.tensordot(outputs, score.key_weight, 1))
    scores = tf.tensordot(energy, score.vector[:, None], 1)
    weights = tf.nn.softmax(tf.where(mask, scores, -1e9), axis=1)
    return tf.reduce_sum(weights * outputs, axis=1)


def tutorial_train_step(model: BahdanauSeq2Seq) -> Callable[[Sequence[tf.Tensor]], float]:
    """Forward, backward, clip, Adam, compiled for the shapes of its first batch."""
    variables = model.trainable_variables
    optimizer = Adam(variables, 1e-3)

    @tf.function
    def update(*tensors: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tutorial_loss(model, *tensors)
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)]
        optimizer.apply(clip_global_norm(gradients, MAX_NORM))
        return loss

    return lambda tensors: float(update(*tensors))


def _assert_equal(
    model: BahdanauSeq2Seq, course: Callable[[], tf.Tensor], book: Callable[[], tf.Tensor]
) -> None:
    """Equal losses and, by every weight, gradients, relative to the largest number of each."""
    answers = []
    for function in (course, book):
        with tf.GradientTape() as tape:
            loss = function()
        found = tape.gradient(loss, model.trainable_variables)
        answers.append((float(loss), [tf.convert_to_tensor(g).numpy() for g in found]))
    (ours, gradients), (theirs, others) = answers
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    for mine, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-4 * np.abs(other).max())


def _tensors(batch: Batch) -> list[tf.Tensor]:
    ids = (batch.source, batch.source_lengths, batch.target_in, batch.target_out)
    return [tf.constant(array, tf.int32) for array in ids] + [tf.constant(batch.target_mask)]


def _batch(ragged: bool) -> Batch:
    rng = np.random.default_rng(0)
    source, target_in, target_out = rng.integers(3, VOCABULARY, (3, B, S))
    lengths = rng.integers(5, S, (2, B), endpoint=True) if ragged else np.full((2, B), S)
    return Batch(source, lengths[0], target_in, target_out, lengths[1])
