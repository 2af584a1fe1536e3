"""Weights in and out, as the flat dictionary of arrays that all three frameworks read and write.

Names like `encoder.rnn.w_x`; a matrix is stored `(in, out)`.
"""

from collections.abc import Mapping

import numpy as np

from attention_course.scratch.layers import Layer


def to_arrays(model: Layer) -> dict[str, np.ndarray]:
    """Copies of all weights, by name."""
    return {name: param.copy() for name, param in model.params.items()}


def gradients(model: Layer) -> dict[str, np.ndarray]:
    """Copies of all gradients of the last backward pass, under the same names."""
    return {name: grad.copy() for name, grad in model.grads.items()}


def from_arrays(model: Layer, arrays: Mapping[str, np.ndarray]) -> None:
    """Set all weights, cast to the model's dtype; all is checked before anything changes."""
    missing, extra = model.params.keys() - arrays.keys(), arrays.keys() - model.params.keys()
    if missing or extra:
        raise ValueError(
            f"arrays do not fit the model: missing {sorted(missing)}, unexpected {sorted(extra)}"
        )
    for name, param in model.params.items():
        if np.shape(arrays[name]) != param.shape:
            raise ValueError(
                f"arrays[{name!r}] must have shape {param.shape}, got {np.shape(arrays[name])}"
            )
    for name, param in model.params.items():
        param[...] = arrays[name]
