"""One training step: teacher forcing, masked loss, clipped gradient, Adam (Kingma & Ba 2015)."""

from collections.abc import Callable, Sequence
from itertools import count

import keras
import numpy as np
import tensorflow as tf

from attention_course.corpora.batching import Batch
from attention_course.keras.losses import masked_cross_entropy
from attention_course.keras.recurrent import check_lengths
from attention_course.schedules import Schedule, coins

_IDS = tf.TensorSpec((None, None), tf.int32)
_MASK = tf.TensorSpec((None, None), tf.bool)
# Source, lengths, target_in, target_out, target_mask, of any sizes: compiled once for all batches.
_BATCH = [_IDS, tf.TensorSpec((None,), tf.int32), _IDS, _IDS, _MASK]


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1), each variable updated in place by TensorFlow's fused
    kernel.

    `keras.optimizers.Adam` adds ε before it corrects the bias of √v, which makes it 30 times larger
    at the first step; PyTorch and the paper add it after. Same here, so that the three frameworks
    walk the same path. `learning_rate` is a variable: another value needs no new compilation.
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        learning_rate: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        self.variables = [variable.value for variable in variables]
        self.learning_rate = tf.Variable(learning_rate, trainable=False, dtype=tf.float64)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.mean = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables]
        self.square = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables]
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)

    def apply(self, gradients: Sequence[tf.Tensor]) -> None:
        """Update every variable from its gradient."""
        steps = tf.cast(self.steps.assign_add(1), tf.float64)
        mean_bias, square_bias = 1 - self.beta1**steps, 1 - self.beta2**steps
        # m̂ / (√v̂ + ε) with both corrections taken out of the arrays into two numbers.
        rate = self.learning_rate * tf.sqrt(square_bias) / mean_bias
        epsilon = self.epsilon * tf.sqrt(square_bias)
        for variable, mean, square, gradient in zip(
            self.variables, self.mean, self.square, gradients, strict=True
        ):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=mean.handle,
                v=square.handle,
                grad=gradient,
                lr=tf.cast(rate, gradient.dtype),
                epsilon=tf.cast(epsilon, gradient.dtype),
                beta1=tf.constant(self.beta1, gradient.dtype),
                beta2=tf.constant(self.beta2, gradient.dtype),
                beta1_power=tf.zeros((), gradient.dtype),  # 0: the corrections are in `rate`
                beta2_power=tf.zeros((), gradient.dtype),
            )


def clip_global_norm(gradients: Sequence[tf.Tensor], max_norm: float) -> list[tf.Tensor]:
    """Scale all gradients so that their common norm is at most `max_norm` (Pascanu et al. 2013,
    algorithm 1).
    """
    norm = tf.linalg.global_norm(gradients)
    scale = tf.minimum(max_norm / norm, 1)
    return [gradient * scale for gradient in gradients]


def clipped_gradients(
    tape: tf.GradientTape, loss: tf.Tensor, variables: Sequence[keras.Variable], max_norm: float
) -> list[tf.Tensor]:
    """∂loss/∂variable for each variable, of a common norm of at most `max_norm`."""
    # An embedding's gradient arrives as rows with indices, which may repeat: the norm needs their
    # sums.
    gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)]
    return clip_global_norm(gradients, max_norm)


def make_train_step(
    model: keras.Model,
    learning_rate: float | Schedule = 1e-3,
    max_norm: float = 5.0,
    truth: Schedule | None = None,
    seed: int = 0,
    smoothing: float = 0.0,
) -> Callable[[Batch], float]:
    """A function that takes a batch, updates `model` once and returns the loss (nats a token).

    `learning_rate` is a number, or a function of the step (see `schedules`), which counts from 1.
    `truth` is the probability, a function of the step too, with which the decoder reads the true
    token: scheduled sampling, a coin for each token (`seed`). None: it always does. `smoothing` is
    that of `masked_cross_entropy`. The step is compiled at the first call, which takes seconds,
    once for batches of all shapes.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be positive, got {max_norm}")
    generator = np.random.default_rng(seed)
    rate = learning_rate if callable(learning_rate) else lambda step: learning_rate
    variables = model.trainable_variables
    optimizer = Adam(variables)
    steps = count(1)

    @tf.function(input_signature=_BATCH if truth is None else [*_BATCH, _MASK])
    def update(*arrays: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = _loss(model, smoothing, *arrays)
        optimizer.apply(clipped_gradients(tape, loss, variables, max_norm))
        return loss

    def train_step(batch: Batch) -> float:
        step = next(steps)
        reads = truth and coins(generator, batch.target_in.shape, truth(step))
        tensors = _tensors(batch, reads)
        optimizer.learning_rate.assign(rate(step))
        return float(update(*tensors))

    return train_step


def batch_loss(
    model: keras.Model, batch: Batch, truth: np.ndarray | None = None, smoothing: float = 0.0
) -> tf.Tensor:
    """The masked loss of one batch under teacher forcing, for a `tf.GradientTape` to watch; `truth`
    (B,T) bool says where a model with scheduled sampling reads the true token.
    """
    return _loss(model, smoothing, *_tensors(batch, truth))


def _loss(
    model: keras.Model,
    smoothing: float,
    source: tf.Tensor,
    source_lengths: tf.Tensor,
    target_in: tf.Tensor,
    target_out: tf.Tensor,
    target_mask: tf.Tensor,
    *truth: tf.Tensor,
) -> tf.Tensor:
    logits = model(source, source_lengths, target_in, *truth)
    return masked_cross_entropy(logits, target_out, target_mask, smoothing)


def _tensors(batch: Batch, truth: np.ndarray | None) -> list[tf.Tensor]:
    check_lengths(batch.source_lengths, batch.source)  # the compiled step cannot
    ids = (batch.source, batch.source_lengths, batch.target_in, batch.target_out)
    flags = (batch.target_mask,) if truth is None else (batch.target_mask, truth)
    return [tf.constant(array, tf.int32) for array in ids] + [tf.constant(flag) for flag in flags]
