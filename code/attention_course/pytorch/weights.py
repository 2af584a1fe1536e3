"""Weights in and out, as the flat dictionary of arrays that all three frameworks read and write.

Names are those of `attention_course.scratch`, for example `encoder.rnn.w_x`; a matrix is stored
`(in, out)`.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import nn

from attention_course.pytorch.attention import (
    AdditiveScore,
    AttentionPooling,
    GeneralScore,
    LocationScore,
)
from attention_course.pytorch.local import PlacePredictor
from attention_course.pytorch.recurrent import GRU, LSTM, RNN
from attention_course.pytorch.transformer import Positions

_BY_NAME = (AdditiveScore, AttentionPooling, PlacePredictor, Positions, nn.LayerNorm)


def to_arrays(model: nn.Module) -> dict[str, np.ndarray]:
    """Copies of all weights, by name."""
    return {
        name: _oriented(p.detach(), turned).cpu().numpy().copy()
        for name, p, turned in _parameters(model)
    }


def gradients(model: nn.Module) -> dict[str, np.ndarray]:
    """Copies of the gradients of the last backward pass, same names; zeros where there is none."""
    return {
        name: _oriented(torch.zeros_like(p) if p.grad is None else p.grad, turned)
        .cpu()
        .numpy()
        .copy()
        for name, p, turned in _parameters(model)
    }


@torch.no_grad()
def from_arrays(model: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Set all weights; names and shapes are checked before anything changes."""
    parameters = {name: (p, turned) for name, p, turned in _parameters(model)}
    missing, extra = parameters.keys() - arrays.keys(), arrays.keys() - parameters.keys()
    if missing or extra:
        raise ValueError(
            f"arrays do not fit the model: missing {sorted(missing)}, unexpected {sorted(extra)}"
        )
    for name, (p, turned) in parameters.items():
        expected = tuple(_oriented(p, turned).shape)
        if arrays[name].shape != expected:
            raise ValueError(f"arrays[{name!r}] must be {expected}, got {arrays[name].shape}")
    for name, (p, turned) in parameters.items():
        p.copy_(_oriented(torch.as_tensor(arrays[name]), turned))


def _oriented(tensor: torch.Tensor, turned: bool) -> torch.Tensor:
    return tensor.T if turned else tensor


def _parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter, bool]]:
    """(name, parameter, whether it is stored (out, in)) of every weight of the course's layers."""
    for path, module in model.named_modules():
        # A method is called `forward` already, so the two directions carry another name in torch.
        path = path.replace("forward_layer", "forward").replace("backward_layer", "backward")
        prefix = f"{path}." if path else ""
        if isinstance(module, RNN | GRU | LSTM):
            for name, theirs in module.parameter_names.items():
                yield prefix + name, getattr(module.rnn, theirs), name.startswith("w")
        elif isinstance(module, nn.Linear):
            yield prefix + "weight", module.weight, True
            yield prefix + "bias", module.bias, False
        elif isinstance(module, nn.Embedding | GeneralScore | LocationScore):
            yield prefix + "weight", module.weight, False
        elif isinstance(module, _BY_NAME):
            for name, parameter in module.named_parameters():
                yield prefix + name, parameter, False
