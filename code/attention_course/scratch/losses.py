"""The loss of a sequence model: cross-entropy over real tokens only."""

import numpy as np

from attention_course.scratch.functional import shifted_exp
from attention_course.scratch.layers import expect, expect_ids


def masked_cross_entropy(
    logits: np.ndarray, targets: np.ndarray, mask: np.ndarray
) -> tuple[float, np.ndarray]:
    """Mean of −log softmax(logits)[target] over the tokens where `mask` is True, and its gradient.

    logits (B,T,V) float, targets (B,T) int, mask (B,T) bool, True = real token. Returns the loss in
    nats a token and dlogits (B,T,V) = (softmax(logits) − onehot(target)) / number of real tokens,
    exactly 0 at padding. The mean is over tokens, not over sentences: a long sentence counts for as
    many tokens as it has.
    """
    expect("logits", logits, np.floating, B=None, T=None, V=None)
    batch, size, vocab_size = logits.shape
    expect("targets", targets, np.integer, B=batch, T=size)
    expect("mask", mask, np.bool_, B=batch, T=size)
    count = np.count_nonzero(mask)
    if count == 0:
        raise ValueError("mask has no True: there is no real token to average over")
    chosen = (np.arange(count), targets[mask])
    expect_ids("targets", chosen[1], vocab_size)

    shifted, powers, total = shifted_exp(logits[mask])  # (count, V): no padding from here on
    log_probs = shifted[chosen] - np.log(total[:, 0])
    loss = -log_probs.mean(dtype=np.float64)
    drows = np.divide(powers, total, out=powers)
    drows[chosen] -= 1
    drows /= count
    dlogits = np.zeros_like(logits)
    dlogits[mask] = drows
    return float(loss), dlogits
