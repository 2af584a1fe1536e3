"""Where a token stands, as numbers that are added to its embedding. No framework."""

import numpy as np

from attention_course.axes import check_count


def sinusoidal_positions(length: int, model_size: int, base: float = 10_000.0) -> np.ndarray:
    """Sines and cosines of D/2 frequencies (Vaswani et al. 2017, section 3.5): (length, D) float64.

    PE(pos, 2i) = sin(pos · ω_i) and PE(pos, 2i + 1) = cos(pos · ω_i) with ω_i = base^(−2i/D): one
    frequency for each *pair* of numbers, from 1 down to almost 1/base. Within a pair, k places
    further is a rotation by k · ω_i, whatever the place.

    Raises TypeError and ValueError unless length and model_size are whole numbers, 1 or more, and
    model_size is even.
    """
    check_count("length", length)
    check_count("model_size", model_size)
    if model_size % 2:
        raise ValueError(f"model_size must be even, a sine and a cosine a pair, got {model_size}")
    if not base > 1:
        raise ValueError(f"base must be greater than 1, got {base}")
    frequencies = base ** (-np.arange(0, model_size, 2) / model_size)
    angles = np.arange(length)[:, None] * frequencies
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, model_size)


def check_longest(length: int, longest: int) -> None:
    """Raise unless a sentence of `length` tokens has a place for each."""
    if length > longest:
        raise ValueError(
            f"the model has positions for {longest} tokens (longest), got a sentence of {length}"
        )
