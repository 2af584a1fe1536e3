"""The loss of a sequence model: cross-entropy over real tokens only."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attention_course.axes import check_smoothing


def masked_cross_entropy(
    logits: Tensor, targets: Tensor, mask: Tensor, smoothing: float = 0.0
) -> Tensor:
    """Mean of −log p(target) over the tokens where `mask` is True.

    logits (B,T,V), targets (B,T) int, mask (B,T) bool, True = real token; returns a scalar in nats.
    The mean is over tokens, not over sentences: a long sentence counts for as many tokens as it
    has. With `smoothing` ε the target is not one token with probability 1, but that token with
    1 − ε and ε spread evenly over all V, itself included (Szegedy et al. 2016, section 7).
    """
    check_smoothing(smoothing)
    if logits.shape[:-1] != targets.shape or targets.shape != mask.shape:
        raise ValueError(
            "logits (B,T,V), targets (B,T) and mask (B,T) must agree, got "
            f"{tuple(logits.shape)}, {tuple(targets.shape)}, {tuple(mask.shape)}"
        )
    if mask.dtype != torch.bool:
        raise TypeError(f"mask must be bool with True = real token, got {mask.dtype}")
    if not mask.any():
        raise ValueError("mask has no True: there is no real token to average over")
    # Not logits[mask]: a copy of the largest array of all, and another one on the way back.
    ignored = -100
    targets = targets.masked_fill(~mask, ignored)
    return F.cross_entropy(
        logits.flatten(0, -2),
        targets.flatten(),
        ignore_index=ignored,
        label_smoothing=smoothing,
    )
