"""One training step: teacher forcing, masked loss, clipped gradient, Adam."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from attention_course.schedules import coins
from attention_course.scratch.losses import masked_cross_entropy

if TYPE_CHECKING:
    from attention_course.corpora.batching import Batch
    from attention_course.schedules import Schedule
    from attention_course.scratch.seq2seq import Seq2Seq
    from attention_course.scratch.transformer import Transformer


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1): mean gradient over root mean square, per weight.

    m ← β₁ m + (1 − β₁) g and v ← β₂ v + (1 − β₂) g²; θ ← θ − lr · m̂ / (√v̂ + ε). Both means start
    at 0 and are too small at first; m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ) put that right.
    Writes into the arrays of `params`.
    """

    def __init__(
        self,
        params: Mapping[str, np.ndarray],
        learning_rate: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        self.params = params
        self.learning_rate = learning_rate
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.mean = {name: np.zeros_like(param) for name, param in params.items()}
        self.square = {name: np.zeros_like(param) for name, param in params.items()}
        self.steps = 0

    def step(self, grads: Mapping[str, np.ndarray]) -> None:
        """Update every parameter from `grads`, which has the same names and shapes."""
        _check_names(self.params, grads)
        self.steps += 1
        mean_bias = 1 - self.beta1**self.steps
        square_bias = 1 - self.beta2**self.steps
        # m̂ / (√v̂ + ε) with both corrections taken out of the arrays into two numbers.
        rate = self.learning_rate * square_bias**0.5 / mean_bias
        epsilon = self.epsilon * square_bias**0.5
        for name, param in self.params.items():
            g, m, v = grads[name], self.mean[name], self.square[name]
            m *= self.beta1
            m += (1 - self.beta1) * g
            v *= self.beta2
            v += (1 - self.beta2) * np.square(g)
            update = np.sqrt(v)
            update += epsilon
            np.divide(m, update, out=update)
            update *= rate
            param -= update


def clip_global_norm(grads: Mapping[str, np.ndarray], max_norm: float) -> float:
    """Scale `grads`, in place, to a common norm of at most `max_norm`; returns the norm before.

    One factor for all of them: the direction of the step stays (Pascanu et al. 2013, algorithm 1).
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be positive, got {max_norm}")
    norm = float(sum(np.vdot(grad, grad) for grad in grads.values())) ** 0.5
    if not np.isfinite(norm):
        broken = [name for name, grad in grads.items() if not np.isfinite(grad).all()]
        raise FloatingPointError(f"the gradient's norm is {norm}, not finite in {broken[:3]}")
    if norm > max_norm:
        for grad in grads.values():
            grad *= max_norm / norm
    return norm


def make_train_step(
    model: Seq2Seq | Transformer,
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
    that of `masked_cross_entropy`.
    """
    generator = np.random.default_rng(seed)
    rate = learning_rate if callable(learning_rate) else lambda step: learning_rate
    optimizer = Adam(model.params)

    def train_step(batch: Batch) -> float:
        step = optimizer.steps + 1
        reads = () if truth is None else (coins(generator, batch.target_in.shape, truth(step)),)
        logits = model.forward(batch.source, batch.source_lengths, batch.target_in, *reads)
        loss, dlogits = masked_cross_entropy(logits, batch.target_out, batch.target_mask, smoothing)
        model.backward(dlogits)
        clip_global_norm(model.grads, max_norm)
        optimizer.learning_rate = rate(step)
        optimizer.step(model.grads)
        return loss

    return train_step


def _check_names(params: Mapping[str, np.ndarray], grads: Mapping[str, np.ndarray]) -> None:
    if params.keys() != grads.keys():
        raise ValueError(
            f"grads must have the names of params: missing {sorted(params.keys() - grads.keys())}, "
            f"unexpected {sorted(grads.keys() - params.keys())}"
        )
    for name, param in params.items():
        if grads[name].shape != param.shape:
            raise ValueError(
                f"grads[{name!r}] must have shape {param.shape}, got {grads[name].shape}"
            )
