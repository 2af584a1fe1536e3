"""Keras's own `Dense`, `Embedding` and `LayerNormalization`, as all three frameworks have them."""

import keras

Seed = int | keras.random.SeedGenerator


def uniform(fan: int, seed: Seed) -> keras.initializers.Initializer:
    """Uniform(−1/√fan, 1/√fan), PyTorch's rule for linear and recurrent layers, for weights and
    biases.
    """
    bound = fan**-0.5
    return keras.initializers.RandomUniform(-bound, bound, seed=seed_generator(seed))


def seed_generator(seed: Seed) -> keras.random.SeedGenerator:
    """A generator: with a bare int, every weight of one shape would start with the same numbers."""
    return keras.random.SeedGenerator(seed) if isinstance(seed, int) else seed


def linear(
    in_size: int, out_size: int, seed: Seed = 0, dtype: str | None = None
) -> keras.layers.Dense:
    """y = x W + b on the last axis, built: kernel (in, out), bias (out,)."""
    rule = uniform(in_size, seed)
    layer = keras.layers.Dense(
        out_size, kernel_initializer=rule, bias_initializer=rule, dtype=dtype
    )
    layer.build((None, in_size))
    return layer


def embedding(
    vocab_size: int, embed_size: int, seed: Seed = 0, dtype: str | None = None
) -> keras.layers.Embedding:
    """Rows of a (vocab_size, D) table, built; N(0, 1) at first.

    No `mask_zero`: which tokens are real is told by lengths, and the id of the padding is nobody's
    business here.
    """
    normal = keras.initializers.RandomNormal(stddev=1.0, seed=seed_generator(seed))
    layer = keras.layers.Embedding(vocab_size, embed_size, normal, dtype=dtype)
    layer.build()
    return layer


def layer_norm(
    size: int, epsilon: float = 1e-5, dtype: str | None = None
) -> keras.layers.LayerNormalization:
    """Each vector (D,) to mean 0 and variance 1, scaled and shifted, built: gamma, beta (D,).

    Keras's own ε is 1e-3, a hundred times that of PyTorch.
    """
    layer = keras.layers.LayerNormalization(epsilon=epsilon, dtype=dtype)
    layer.build((None, size))
    return layer
