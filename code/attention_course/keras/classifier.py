"""A classifier of texts: a recurrent net reads both ways, its states become one vector, the vector
one number.

Shapes: source (B,S) ids padded on the right, lengths (B,), states (B,S,2H), context (B,2H), weights
(B,S), logits (B,). Padding changes nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from attention_course.corpora.reviews import LabelledBatch
from attention_course.keras.attention import AttentionPooling, weighted_sum
from attention_course.keras.layers import linear
from attention_course.keras.masks import padding_mask
from attention_course.keras.recurrent import check_lengths
from attention_course.keras.seq2seq import Encoder
from attention_course.keras.training import Adam, clipped_gradients

POOLINGS = ("attention", "mean", "last")

_TEXTS = [tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None,), tf.int32)]


class Reading(NamedTuple):
    """What the classifier makes of B texts on the way to its logits."""

    states: tf.Tensor  # (B,S,2H), 0 at padding
    context: tf.Tensor  # (B,2H): the one vector that is judged
    weights: tf.Tensor | None  # (B,S): the context's share of each state; None for "last"


class Classifier(keras.Model):
    """Embedding, bidirectional LSTM, pooling, one logit: above 0 speaks for label 1.

    `pooling` makes one vector of the states: "attention", their average with learned weights
    (`AttentionPooling`, Yang et al. 2016, eqs. 5–7); "mean", their plain average over the real
    tokens; "last", the final states of both directions side by side, each of which has read
    everything. `hidden_size` is that of one direction, and of the network that scores. `seed`
    fixes the initial weights, which for one seed are the same whatever the pooling. `dtype` is
    that of weights and results, Keras's default (float32) if None.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        hidden_size: int,
        pooling: str = "attention",
        seed: int = 0,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype=dtype)
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {POOLINGS}, got {pooling!r}")
        self.pooling = pooling
        draws = keras.random.SeedGenerator(seed)
        self.encoder = Encoder(vocab_size, embed_size, hidden_size, "lstm", True, draws, dtype)
        self.readout = linear(2 * hidden_size, 1, draws, dtype)
        if pooling == "attention":
            self.attention = AttentionPooling(2 * hidden_size, hidden_size, draws, dtype)
        self.built = True

    def call(self, source: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """source (B,S) int, lengths (B,) -> logits (B,)."""
        return self.judge(self.read(source, lengths).context)

    def read(self, source: tf.Tensor, lengths: tf.Tensor) -> Reading:
        """source (B,S) int, lengths (B,) -> states, context and weights."""
        states, (final, _) = self.encoder(source, lengths)
        if self.pooling == "last":
            return Reading(states, final, None)
        mask = padding_mask(lengths, tf.shape(states)[1])
        if self.pooling == "attention":
            return Reading(states, *self.attention(states, mask))
        weights = mean_weights(mask, states.dtype)
        return Reading(states, weighted_sum(weights, states)[:, 0], weights[:, 0])

    def judge(self, context: tf.Tensor) -> tf.Tensor:
        """context (B,2H) -> logits (B,)."""
        return self.readout(context)[:, 0]


def mean_weights(mask: tf.Tensor, dtype: str) -> tf.Tensor:
    """mask (B,1,S) bool -> weights (B,1,S): one over the number of real tokens, 0 at padding."""
    allowed = tf.cast(mask, dtype)
    return tf.math.divide_no_nan(allowed, tf.reduce_sum(allowed, axis=-1, keepdims=True))


def classification_loss(
    model: Classifier, source: tf.Tensor, lengths: tf.Tensor, labels: tf.Tensor
) -> tf.Tensor:
    """Mean binary cross-entropy of the labels (B,), in nats a text."""
    logits = model(source, lengths)
    return tf.reduce_mean(
        tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(labels, logits.dtype), logits)
    )


def make_classifier_step(
    model: Classifier, learning_rate: float = 1e-3, max_norm: float = 5.0
) -> Callable[[LabelledBatch], float]:
    """A function that takes a batch, updates `model` once (Adam, clipped gradient) and returns the
    loss (`classification_loss`).

    The step is compiled at the first call, which takes seconds, once for batches of all shapes.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be positive, got {max_norm}")
    variables = model.trainable_variables
    optimizer = Adam(variables, learning_rate)

    @tf.function(input_signature=[*_TEXTS, tf.TensorSpec((None,), tf.int32)])
    def update(source: tf.Tensor, lengths: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = classification_loss(model, source, lengths, labels)
        optimizer.apply(clipped_gradients(tape, loss, variables, max_norm))
        return loss

    def train_step(batch: LabelledBatch) -> float:
        return float(update(*_tensors(batch)))

    return train_step


def make_judge(model: Classifier) -> Callable[[LabelledBatch], np.ndarray]:
    """A function that takes a batch and returns its logits (B,); compiled as the step above."""
    judge = tf.function(model.call, input_signature=_TEXTS)
    return lambda batch: judge(*_tensors(batch)[:2]).numpy()


def _tensors(batch: LabelledBatch) -> list[tf.Tensor]:
    check_lengths(batch.source_lengths, batch.source)  # a compiled function cannot
    return [tf.constant(array, tf.int32) for array in batch]
