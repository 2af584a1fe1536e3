"""What a layer is, and the simplest: Linear, Embedding, LayerNorm, Maxout."""

from typing import Any

import numpy as np

Seed = int | np.random.Generator


class Layer:
    """Something with parameters, a `forward` and a `backward`.

    `params` and `grads` are flat dictionaries of arrays. A layer made of others lists theirs as
    well, under "part.name": the very same arrays, so whoever changes one must write *into* it,
    never replace it.
    """

    def __init__(
        self,
        params: dict[str, np.ndarray] | None = None,
        parts: dict[str, "Layer"] | None = None,
    ) -> None:
        self.params = dict(params or {})
        self.grads = {name: np.zeros_like(param) for name, param in self.params.items()}
        for part_name, part in (parts or {}).items():
            self.params |= {f"{part_name}.{name}": p for name, p in part.params.items()}
            self.grads |= {f"{part_name}.{name}": g for name, g in part.grads.items()}
        self._cache: Any = None

    @property
    def dtype(self) -> np.dtype:
        """The one dtype of all parameters, and of every float array that goes in or comes out."""
        return next(iter(self.params.values())).dtype

    def _last_call(self) -> Any:
        if self._cache is None:
            raise RuntimeError(f"{type(self).__name__}.backward needs a forward call before it")
        return self._cache


class Linear(Layer):
    """y = x W + b: x (..., in) -> y (..., out); `weight` (in, out), `bias` (out,)."""

    def __init__(
        self, in_size: int, out_size: int, seed: Seed = 0, dtype: np.dtype | type = np.float32
    ) -> None:
        bound = in_size**-0.5
        super().__init__(uniform(seed, bound, dtype, weight=(in_size, out_size), bias=(out_size,)))

    def forward(self, x: np.ndarray) -> np.ndarray:
        weight = self.params["weight"]
        expect_last_axis("x", x, self.dtype, weight.shape[0])
        self._cache = x
        y = _rows(x) @ weight
        y += self.params["bias"]
        return y.reshape(*x.shape[:-1], -1)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """dy (..., out) -> dx (..., in); dW = xᵀ dy and db = Σ dy over all rows."""
        x = self._last_call()
        weight = self.params["weight"]
        expect("dy", dy, self.dtype, *x.shape[:-1], out=weight.shape[1])
        np.matmul(_rows(x).T, _rows(dy), out=self.grads["weight"])
        np.sum(_rows(dy), axis=0, out=self.grads["bias"])
        return (_rows(dy) @ weight.T).reshape(x.shape)


class Embedding(Layer):
    """One row of `weight` (vocab_size, D) for each id: ids (...) int -> vectors (..., D)."""

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        seed: Seed = 0,
        dtype: np.dtype | type = np.float32,
    ) -> None:
        weight = np.random.default_rng(seed).standard_normal((vocab_size, embed_size))
        super().__init__({"weight": weight.astype(dtype)})

    def forward(self, ids: np.ndarray) -> np.ndarray:
        weight = self.params["weight"]
        expect_ids("ids", ids, len(weight))
        self._cache = ids
        return weight[ids]

    def backward(self, dvectors: np.ndarray) -> None:
        """dvectors (..., D); a row's gradient is the sum over all places where its id stands."""
        ids = self._last_call()
        dweight = self.grads["weight"]
        expect("dvectors", dvectors, self.dtype, *ids.shape, D=dweight.shape[1])
        # Equal ids side by side, then one sum a run: two to five times as fast as np.add.at.
        order = np.argsort(ids, axis=None, kind="stable")
        ordered = ids.reshape(-1)[order].astype(np.int64)
        first = np.flatnonzero(np.diff(ordered, prepend=-1))
        dweight.fill(0)
        dweight[ordered[first]] = np.add.reduceat(_rows(dvectors)[order], first, axis=0)


class LayerNorm(Layer):
    """Each vector on its own to mean 0 and variance 1, then scaled and shifted (Ba et al. 2016):
    x (..., D) -> y (..., D).

    y = (x − μ) / √(σ² + ε) · w + b, with μ and σ² over the D numbers of *one* token; σ² is their
    mean square (divided by D, not by D − 1). `weight` w and `bias` b, both (D,), begin as 1 and 0.
    """

    def __init__(
        self, size: int, epsilon: float = 1e-5, dtype: np.dtype | type = np.float32
    ) -> None:
        self.epsilon = epsilon
        super().__init__({"weight": np.ones(size, dtype), "bias": np.zeros(size, dtype)})

    def forward(self, x: np.ndarray) -> np.ndarray:
        weight = self.params["weight"]
        expect_last_axis("x", x, self.dtype, len(weight))
        centred = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self.epsilon)
        normal = centred / deviation
        self._cache = (normal, deviation)
        return normal * weight + self.params["bias"]

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """dy (..., D) -> dx (..., D).

        What moves all D numbers alike, or along x itself, is undone by the norm: of the gradient
        only the rest goes on.
        """
        normal, deviation = self._last_call()
        expect("dy", dy, self.dtype, *normal.shape)
        np.sum(_rows(dy * normal), axis=0, out=self.grads["weight"])
        np.sum(_rows(dy), axis=0, out=self.grads["bias"])
        dnormal = dy * self.params["weight"]
        alike = dnormal.mean(axis=-1, keepdims=True)
        along = (dnormal * normal).mean(axis=-1, keepdims=True)
        return (dnormal - alike - normal * along) / deviation


class Maxout(Layer):
    """The larger of each two neighbours (Goodfellow et al. 2013): (..., 2n) -> (..., n)."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: np.ndarray) -> np.ndarray:
        if x.shape[-1] % 2:
            raise ValueError(f"x: the last axis must be even, got shape {x.shape}")
        pairs = x.reshape(*x.shape[:-1], -1, 2)
        self._cache = pairs.argmax(axis=-1)[..., None]
        return pairs.max(axis=-1)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """dy (..., n) -> dx (..., 2n): each number's gradient goes to the one that won."""
        winners = self._last_call()
        dpairs = np.zeros((*dy.shape, 2), dy.dtype)
        np.put_along_axis(dpairs, winners, dy[..., None], axis=-1)
        return dpairs.reshape(*dy.shape[:-1], -1)


class GradientSums:
    """For a layer that is called once a step: adds up the gradients that each `backward` leaves."""

    def __init__(self, layer: Layer) -> None:
        self.grads = layer.grads
        self.sums = {name: np.zeros_like(grad) for name, grad in layer.grads.items()}

    def add(self) -> None:
        """Call after each `backward` of the layer, or of a copy of it."""
        for name, total in self.sums.items():
            total += self.grads[name]

    def write(self) -> None:
        """Leave the sums where the gradients are."""
        for name, total in self.sums.items():
            self.grads[name][...] = total


def uniform(
    seed: Seed, bound: float, dtype: np.dtype | type, **shapes: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Arrays drawn from U(−bound, bound), by name; the rule of torch's own layers."""
    generator = np.random.default_rng(seed)
    return {
        name: generator.uniform(-bound, bound, shape).astype(dtype)
        for name, shape in shapes.items()
    }


def expect(name: str, array: np.ndarray, kind: Any, *sizes: int, **axes: int | None) -> None:
    """Raise TypeError or ValueError unless `array` is of dtype `kind` and has exactly these axes.

    `sizes` are leading axes without a name; in `axes` the keyword names the axis and None allows
    any size: `expect("inputs", inputs, np.float32, B=None, S=None, D=16)`.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array, got {type(array).__name__}")
    if not np.issubdtype(array.dtype, kind):
        wanted = getattr(kind, "__name__", str(kind))
        raise TypeError(f"{name} must have dtype {wanted}, got {array.dtype}")
    asked = (*sizes, *axes.values())
    if array.ndim == len(asked) and all(n is None or n == m for n, m in zip(asked, array.shape)):
        return  # the words below are costly to put together at every call
    named = [*((str(i), size) for i, size in enumerate(sizes)), *axes.items()]
    wanted = "(" + ", ".join(a if n is None else f"{a}={n}" for a, n in named) + ")"
    if array.ndim != len(named):
        raise ValueError(f"{name} must have {len(named)} axes {wanted}, got shape {array.shape}")
    for (axis, size), given in zip(named, array.shape):
        if size is not None and given != size:
            raise ValueError(
                f"{name}: axis {axis} must have size {size}, got {given}; "
                f"expected {wanted}, got shape {array.shape}"
            )


def expect_last_axis(name: str, array: np.ndarray, kind: Any, size: int) -> None:
    """Like `expect`, for an array of any number of axes whose last one must have `size`."""
    leading = array.shape[:-1] if isinstance(array, np.ndarray) else ()
    expect(name, array, kind, *leading, **{"last": size})


def expect_ids(name: str, ids: np.ndarray, vocab_size: int) -> None:
    """Raise unless `ids` are integers in 0..vocab_size−1 (NumPy would read −1 as the last row)."""
    if not isinstance(ids, np.ndarray) or not np.issubdtype(ids.dtype, np.integer):
        kind = getattr(ids, "dtype", type(ids).__name__)
        raise TypeError(f"{name} must be a NumPy array of integers, got {kind}")
    if ids.size and not 0 <= ids.min() <= ids.max() < vocab_size:
        raise ValueError(
            f"{name} must lie in 0..{vocab_size - 1} (vocab_size {vocab_size}), "
            f"got {ids.min()}..{ids.max()}"
        )


def _rows(array: np.ndarray) -> np.ndarray:
    """(..., D) -> (rows, D), so that one matrix product serves all leading axes."""
    return array.reshape(-1, array.shape[-1])
