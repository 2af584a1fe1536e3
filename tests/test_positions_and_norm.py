"""Positions, and the norm of a layer: each token on its own."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
import torch

from attention_course.keras import layers as keras_layers
from attention_course.keras import weights as keras_weights
from attention_course.positions import sinusoidal_positions
from attention_course.pytorch import weights as torch_weights
from attention_course.scratch.layers import LayerNorm

B, T, D = 2, 3, 6


def test_positions_by_hand() -> None:
    table = sinusoidal_positions(3, 4)
    slow = 1 / 100  # 10000^(−2/4)
    assert table.shape == (3, 4) and table.dtype == np.float64
    assert table[0].tolist() == [0, 1, 0, 1]
    assert np.allclose(table[2], [np.sin(2), np.cos(2), np.sin(2 * slow), np.cos(2 * slow)])


def further_is_a_rotation(positions: Callable[[int, int], np.ndarray]) -> None:
    """k places on, each *pair* of numbers is turned by k ω_i, from wherever it starts."""
    size, k = 8, 5
    pairs = positions(40, size).reshape(40, size // 2, 2)
    points = pairs[..., 1] + 1j * pairs[..., 0]  # cos + i sin
    angles = k * 10_000.0 ** (-np.arange(0, size, 2) / size)
    assert np.allclose(points[k:], points[:-k] * np.exp(1j * angles)), (
        "k places on is no rotation of each pair: two frequencies in it, or other ones?"
    )


def test_k_places_further_is_a_rotation() -> None:
    further_is_a_rotation(sinusoidal_positions)


def _i_for_2i(length: int, size: int) -> np.ndarray:
    angles = np.arange(length)[:, None] * 10_000.0 ** (-np.arange(size // 2) / size)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, size)


def _each_number_its_own(length: int, size: int) -> np.ndarray:
    """As in much public code: the exponent of number j is j/D, also within a pair."""
    angles = np.arange(length)[:, None] * 10_000.0 ** (-np.arange(size) / size)
    return np.where(np.arange(size) % 2, np.cos(angles), np.sin(angles))


def _halves(length: int, size: int) -> np.ndarray:
    """All sines, then all cosines: another order of the same numbers."""
    table = sinusoidal_positions(length, size)
    return np.concatenate([table[:, ::2], table[:, 1::2]], axis=1)


@pytest.mark.parametrize("wrong", [_i_for_2i, _each_number_its_own, _halves])
def test_wrong_frequencies_are_caught(wrong: Callable) -> None:
    with pytest.raises(AssertionError):
        further_is_a_rotation(wrong)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3, 5), ValueError, "model_size must be even, .* got 5"),
        ((0, 4), ValueError, "length must be 1 or more, got 0"),
        ((2.0, 4), TypeError, "length must be an int, got float"),
        ((3, 4, 1.0), ValueError, "base must be greater than 1, got 1.0"),
    ],
)
def test_bad_positions_are_refused(arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        sinusoidal_positions(*arguments)


def norm() -> tuple[LayerNorm, np.ndarray, np.ndarray]:
    layer, rng = LayerNorm(D, dtype=np.float64), np.random.default_rng(0)
    layer.params["weight"][:], layer.params["bias"][:] = rng.standard_normal((2, D))
    return layer, *(3 + 2 * rng.standard_normal((2, B, T, D)))


def norms_agree_forward_and_backward() -> None:
    layer, x, dy = norm()
    y, dx = layer.forward(x), None
    dx = layer.backward(dy)
    theirs = torch.nn.LayerNorm(D).double()
    torch_weights.from_arrays(theirs, layer.params)
    tensor = torch.tensor(x, requires_grad=True)
    other = theirs(tensor)
    other.backward(torch.tensor(dy))
    third = keras_layers.layer_norm(D, dtype="float64")
    keras_weights.from_arrays(third, layer.params)
    assert np.allclose(y, other.detach(), rtol=0, atol=1e-12), "not PyTorch's norm"
    assert np.allclose(y, third(tf.constant(x)), rtol=0, atol=1e-6), "not Keras's norm"
    assert np.allclose(dx, tensor.grad, rtol=0, atol=1e-12), "dx is not autograd's"
    for name, gradient in torch_weights.gradients(theirs).items():
        assert np.allclose(layer.grads[name], gradient, rtol=0, atol=1e-12), name


def test_norms_agree_forward_and_backward() -> None:
    norms_agree_forward_and_backward()


def each_token_is_on_its_own() -> None:
    layer, x, _ = norm()
    y, other = layer.forward(x), x.copy()
    other[1] += np.random.default_rng(1).standard_normal((T, D))
    other[0, 2] *= 3
    moved = layer.forward(other)
    assert (moved[0, :2] == y[0, :2]).all(), "another sentence or token moves this one's norm"
    layer.params["weight"][:], layer.params["bias"][:] = 1, 0
    plain = layer.forward(x)
    assert np.allclose(plain.mean(axis=-1), 0) and np.allclose(plain.var(axis=-1), 1, atol=1e-4)
    shifted = layer.forward(5 * x + 7)
    assert np.allclose(shifted, plain, atol=1e-4), "scale and shift of a token are not undone"


def test_each_token_is_on_its_own() -> None:
    each_token_is_on_its_own()


def _normalised(x: np.ndarray, axis, ddof: int = 0) -> tuple[np.ndarray, np.ndarray]:
    centred = x - x.mean(axis=axis, keepdims=True)
    deviation = np.sqrt(x.var(axis=axis, keepdims=True, ddof=ddof) + 1e-5)
    return centred / deviation, deviation


def _forward(axis, ddof: int = 0) -> Callable:
    def forward(self, x):
        self._cache = _normalised(x, axis, ddof)
        return self._cache[0] * self.params["weight"] + self.params["bias"]

    return forward


def _constant_statistics(self, dy):
    normal, deviation = self._cache
    self.grads["weight"][:] = (dy * normal).sum(axis=(0, 1))
    self.grads["bias"][:] = dy.sum(axis=(0, 1))
    return dy * self.params["weight"] / deviation


@pytest.mark.parametrize(
    ("name", "wrong", "check"),
    [
        ("forward", _forward(-1, ddof=1), norms_agree_forward_and_backward),
        ("forward", _forward(0), each_token_is_on_its_own),
        ("forward", _forward((1, 2)), each_token_is_on_its_own),
        ("backward", _constant_statistics, norms_agree_forward_and_backward),
    ],
    ids=["ddof 1", "over the batch", "over tokens as well", "statistics as constants"],
)
def test_wrong_norms_are_caught(monkeypatch, name, wrong, check) -> None:
    monkeypatch.setattr(LayerNorm, name, wrong)
    with pytest.raises(AssertionError):
        check()


def test_bad_input_is_refused() -> None:
    layer, x, dy = norm()
    with pytest.raises(RuntimeError, match="needs a forward call before it"):
        layer.backward(dy)
    with pytest.raises(ValueError, match="axis last must have size 6, got 5"):
        layer.forward(x[..., :5])
    layer.forward(x)
    with pytest.raises(ValueError, match="dy"):
        layer.backward(dy[:1])
