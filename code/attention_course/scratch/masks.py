"""Who may attend to whom. True means "may attend", here and everywhere in the course."""

import numpy as np


def padding_mask(lengths: np.ndarray, size: int) -> np.ndarray:
    """lengths (B,) int -> (B,1,S) bool: the first `lengths[b]` of S = `size` keys may be attended.

    The middle axis broadcasts over the queries: padding is a property of the keys. A length of 0 is
    allowed; nobody may then attend to anything in that row.
    """
    lengths = np.asarray(lengths)
    if lengths.ndim != 1 or not np.issubdtype(lengths.dtype, np.integer):
        raise TypeError(
            f"lengths must be integers of shape (B,), got {lengths.dtype} {lengths.shape}"
        )
    if lengths.size and not 0 <= lengths.min() <= lengths.max() <= size:
        raise ValueError(f"lengths must lie in 0..{size}, got {lengths.min()}..{lengths.max()}")
    return np.arange(size) < lengths[:, None, None]


def causal_mask(size: int) -> np.ndarray:
    """(T,T) bool, T = `size`: query t may attend to keys 0..t, itself included, not to later ones.

    Combine with a padding mask by `&`.
    """
    if size < 1:
        raise ValueError(f"size must be 1 or more, got {size}")
    return np.tril(np.ones((size, size), dtype=bool))
