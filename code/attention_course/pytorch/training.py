"""One training step: teacher forcing, masked loss, clipped gradient, Adam (Kingma & Ba 2015)."""

from collections.abc import Callable
from itertools import count

import numpy as np
import torch
from torch import nn

from attention_course.corpora.batching import Batch
from attention_course.pytorch.losses import masked_cross_entropy
from attention_course.schedules import Schedule, coins


def make_train_step(
    model: nn.Module,
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
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, betas=(0.9, 0.999), eps=1e-8, fused=True)
    device = parameters[0].device
    steps = count(1)

    def train_step(batch: Batch) -> float:
        model.train()
        optimizer.zero_grad()
        step = next(steps)
        reads = truth and coins(generator, batch.target_in.shape, truth(step))
        loss = batch_loss(model, batch, device, reads, smoothing)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, max_norm)
        optimizer.param_groups[0]["lr"] = rate(step)
        optimizer.step()
        return loss.item()

    return train_step


def batch_loss(
    model: nn.Module,
    batch: Batch,
    device: torch.device | None = None,
    truth: np.ndarray | None = None,
    smoothing: float = 0.0,
) -> torch.Tensor:
    """The masked loss of one batch under teacher forcing, with its graph; `truth` (B,T) bool says
    where a model with scheduled sampling reads the true token.
    """
    source, target_in, target_out, mask = (
        torch.as_tensor(array, device=device)
        for array in (batch.source, batch.target_in, batch.target_out, batch.target_mask)
    )
    sampling = () if truth is None else (torch.as_tensor(truth, device=device),)
    logits = model(source, torch.as_tensor(batch.source_lengths), target_in, *sampling)
    return masked_cross_entropy(logits, target_out, mask, smoothing)
