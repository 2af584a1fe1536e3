"""The loss of a sequence model: cross-entropy over real tokens only."""

import numpy as np

from attention_course.axes import check_smoothing
from attention_course.scratch.functional import shifted_exp
from attention_course.scratch.layers import expect, expect_ids


def masked_cross_entropy(
    logits: np.ndarray, targets: np.ndarray, mask: np.ndarray, smoothing: float = 0.0
) -> tuple[float, np.ndarray]:
    """Mean of −log softmax(logits)[target] over the tokens where `mask` is True, and its gradient.

    logits (B,T,V) float, targets (B,T) int, mask (B,T) bool, True = real token. Returns the loss in
    nats a token and dlogits (B,T,V) = (softmax(logits) − onehot(target)) / number of real tokens,
    exactly 0 at padding. The mean is over tokens, not over sentences: a long sentence counts for as
    many tokens as it has. With `smoothing` ε the target is not one token with probability 1, but
    that token with 1 − ε and ε spread evenly over all V, itself included (Szegedy et al. 2016,
    section 7).
    """
    check_smoothing(smoothing)
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
    # −log p of a target that is spread out: log of the total, minus the target's mean of `shifted`.
    aimed_at = (1 - smoothing) * shifted[chosen] + smoothing * shifted.mean(axis=1)
    loss = (np.log(total[:, 0]) - aimed_at).mean(dtype=np.float64)
    drows = np.divide(powers, total, out=powers)
    drows[chosen] -= 1 - smoothing
    drows -= smoothing / vocab_size
    drows /= count
    dlogits = np.zeros_like(logits)
    dlogits[mask] = drows
    return float(loss), dlogits
