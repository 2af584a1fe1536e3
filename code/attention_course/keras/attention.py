"""Dot-product attention: the look-up that Chapter 2 builds up and explains."""

import tensorflow as tf


def dot_product_attention(
    query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, mask: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Each query's average of the values, weighted by softmax(query · key) (Luong et al. 2015, eq.
    7 and 8, "dot").

    query (B,T,D), key (B,S,D), value (B,S,d_v), mask broadcastable to (B,T,S), True = may attend.
    Returns context (B,T,d_v) and weights (B,T,S); a query that may attend to nothing gets zeros in
    both.
    """
    scores = tf.matmul(query, key, transpose_b=True)
    weights = masked_softmax(scores, mask)
    return tf.matmul(weights, value), weights


def masked_softmax(scores: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
    """Softmax over the last axis that gives exactly 0 where `mask` is False, and in a row with no
    True.
    """
    if mask is None:
        return tf.nn.softmax(scores)
    if mask.dtype != tf.bool:
        raise TypeError(f"mask must be bool with True = may attend, got {mask.dtype.name}")
    # The lowest finite number, not -inf: an empty row then has a finite gradient before it is
    # zeroed.
    weights = tf.nn.softmax(tf.where(mask, scores, scores.dtype.min))
    return tf.where(mask, weights, tf.zeros((), weights.dtype))
