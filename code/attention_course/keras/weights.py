"""Weights in and out, as the flat dictionary of arrays that all three frameworks read and write.

Names are those of `attention_course.scratch`, for example `encoder.rnn.w_x`; a matrix is stored
`(in, out)`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from attention_course.keras.attention import (
    AdditiveScore,
    AttentionPooling,
    GeneralScore,
    LocationScore,
)
from attention_course.keras.recurrent import GRU, LSTM, RNN
from attention_course.keras.transformer import Positions

_PLAIN = {
    keras.layers.Dense: ("weight", "bias"),
    keras.layers.Embedding: ("weight",),
    keras.layers.LayerNormalization: ("weight", "bias"),
    GeneralScore: ("weight",),
    LocationScore: ("weight",),
    Positions: ("weight",),
    AdditiveScore: ("query_weight", "key_weight", "vector"),
    AttentionPooling: ("key_weight", "bias", "vector"),
}


def to_arrays(model: keras.layers.Layer) -> dict[str, np.ndarray]:
    """Copies of all weights, by name."""
    return _named(model, lambda variable: variable.numpy())


def gradients(
    model: keras.layers.Layer, loss_function: Callable[[], tf.Tensor]
) -> dict[str, np.ndarray]:
    """Gradients of the scalar `loss_function()` by all weights, under the same names; zeros where
    it uses none.
    """
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        loss = loss_function()
    found = tape.gradient(loss, variables, unconnected_gradients="zero")
    # An embedding's gradient arrives as rows with indices; as an array, rows of one index are added
    # up.
    by_id = {id(v): tf.convert_to_tensor(g).numpy() for v, g in zip(variables, found, strict=True)}
    return _named(model, lambda variable: by_id[id(variable)])


def from_arrays(model: keras.layers.Layer, arrays: Mapping[str, np.ndarray]) -> None:
    """Set all weights; names and shapes are checked before anything changes."""
    current = to_arrays(model)
    missing, extra = current.keys() - arrays.keys(), arrays.keys() - current.keys()
    if missing or extra:
        raise ValueError(
            f"arrays do not fit the model: missing {sorted(missing)}, unexpected {sorted(extra)}"
        )
    for name, array in current.items():
        if np.shape(arrays[name]) != array.shape:
            raise ValueError(
                f"arrays[{name!r}] must be {array.shape}, got {np.shape(arrays[name])}"
            )
    for prefix, layer in _leaves(model):
        names = [name.removeprefix(prefix) for name in current if name.startswith(prefix)]
        layer.set_weights(_from_course(layer, {name: arrays[prefix + name] for name in names}))


def _named(
    model: keras.layers.Layer, value: Callable[[keras.Variable], np.ndarray]
) -> dict[str, np.ndarray]:
    """`value` of every variable, in the course's names and layout."""
    named = {}
    for prefix, layer in _leaves(model):
        arrays = _to_course(layer, [value(variable) for variable in layer.trainable_variables])
        named |= {prefix + name: array for name, array in arrays.items()}
    return named


def _to_course(layer: keras.layers.Layer, arrays: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    if isinstance(layer, RNN | GRU | LSTM):
        return layer.to_course(arrays)
    return dict(zip(_PLAIN[type(layer)], arrays, strict=True))


def _from_course(layer: keras.layers.Layer, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    if isinstance(layer, RNN | GRU | LSTM):
        return layer.from_course(arrays)
    return [arrays[name] for name in _PLAIN[type(layer)]]


def _leaves(
    layer: keras.layers.Layer, prefix: str = "", met: set[int] | None = None
) -> Iterator[tuple[str, keras.layers.Layer]]:
    """("encoder.rnn.", layer) for every layer of the course that holds weights, in order of
    definition; one that has two places only at the first.
    """
    met = set() if met is None else met
    if id(layer) in met:
        return
    met.add(id(layer))
    if isinstance(layer, (RNN, GRU, LSTM, *_PLAIN)):
        if layer.trainable_variables:  # positions may have none
            yield prefix, layer
        return
    for name, part in vars(layer).items():
        if name.startswith("_"):
            continue
        if isinstance(part, keras.layers.Layer):
            yield from _leaves(part, f"{prefix}{name}.", met)
        elif isinstance(part, list):
            for number, one in enumerate(part):
                if isinstance(one, keras.layers.Layer):
                    yield from _leaves(one, f"{prefix}{name}.{number}.", met)
