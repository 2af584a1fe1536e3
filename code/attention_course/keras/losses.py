"""The loss of a sequence model: cross-entropy over real tokens only."""

import tensorflow as tf

from attention_course.axes import check_smoothing


def masked_cross_entropy(
    logits: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor, smoothing: float = 0.0
) -> tf.Tensor:
    """Mean of −log p(target) over the tokens where `mask` is True.

    logits (B,T,V), targets (B,T) int, mask (B,T) bool, True = real token; returns a scalar in nats.
    The mean is over tokens, not over sentences: a long sentence counts for as many tokens as it
    has. With `smoothing` ε the target is not one token with probability 1, but that token with
    1 − ε and ε spread evenly over all V, itself included (Szegedy et al. 2016, section 7).
    """
    check_smoothing(smoothing)
    logits, targets, mask = (tf.convert_to_tensor(x) for x in (logits, targets, mask))
    shapes = [tuple(x.shape) for x in (logits, targets, mask)]
    if len(shapes[0]) != 3 or not all(
        logits.shape[:2].is_compatible_with(x.shape) for x in (targets, mask)
    ):
        raise ValueError(
            "logits (B,T,V), targets (B,T) and mask (B,T) must agree, got "
            f"{shapes[0]}, {shapes[1]}, {shapes[2]}"
        )
    if mask.dtype != tf.bool:
        raise TypeError(f"mask must be bool with True = real token, got {mask.dtype.name}")
    if tf.executing_eagerly() and not tf.reduce_any(mask):
        raise ValueError("mask has no True: there is no real token to average over")
    # Real tokens are picked out first: whatever stands at the padding cannot reach the loss or its
    # gradient.
    logits, targets = tf.boolean_mask(logits, mask), tf.boolean_mask(targets, mask)
    if smoothing == 0:
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
        )
    size = logits.shape[-1]
    aim = tf.one_hot(targets, size, 1 - smoothing, dtype=logits.dtype) + smoothing / size
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=aim, logits=logits))
