"""Who may attend to whom. True means "may attend", here and everywhere in the course.

The `attention_mask` of `keras.layers.MultiHeadAttention` is (B,T,S) and means the same as ours; a
causal mask is `use_causal_mask=True` there and in `keras.layers.Attention`.
"""

import tensorflow as tf


def padding_mask(lengths: tf.Tensor, size: int | tf.Tensor) -> tf.Tensor:
    """lengths (B,) int -> (B,1,S) bool: the first `lengths[b]` of S = `size` keys may be attended.

    The middle axis broadcasts over the queries: padding is a property of the keys. A length of 0 is
    allowed; nobody may then attend to anything in that row.
    """
    lengths = tf.convert_to_tensor(lengths)
    if len(lengths.shape) != 1 or not lengths.dtype.is_integer:
        raise TypeError(
            f"lengths must be integers of shape (B,), got {lengths.dtype.name} "
            f"{tuple(lengths.shape)}"
        )
    if tf.executing_eagerly() and len(lengths):  # a compiled function has no values to look at
        lowest, highest = int(tf.reduce_min(lengths)), int(tf.reduce_max(lengths))
        if not 0 <= lowest <= highest <= size:
            raise ValueError(f"lengths must lie in 0..{int(size)}, got {lowest}..{highest}")
    return tf.sequence_mask(lengths, size)[:, None]


def causal_mask(size: int | tf.Tensor) -> tf.Tensor:
    """(T,T) bool, T = `size`: query t may attend to keys 0..t, itself included, not to later ones.

    Combine with a padding mask by `&`.
    """
    if tf.executing_eagerly() and size < 1:
        raise ValueError(f"size must be 1 or more, got {int(size)}")
    return tf.linalg.band_part(tf.ones((size, size), tf.bool), -1, 0)


def to_value_mask(mask: tf.Tensor) -> tf.Tensor:
    """A padding mask (B,1,S) of ours -> the mask (B,S) of the values for `keras.layers.Attention`.

    It goes there as `mask=[None, to_value_mask(mask)]`, and True means the same: a key to keep.
    """
    mask = tf.convert_to_tensor(mask)
    if mask.dtype != tf.bool:
        raise TypeError(f"mask must be bool with True = may attend, got {mask.dtype.name}")
    if len(mask.shape) != 3 or mask.shape[1] not in (1, None):
        raise ValueError(f"mask must be a padding mask (B,1,S), got {tuple(mask.shape)}")
    return mask[:, 0]
