"""Recurrent layers over padded sequences: `torch.nn.RNN` / `GRU` / `LSTM`, packed, with the
course's names.

Shapes: inputs (B,S,D), outputs (B,S,H); a state is a tuple of (B,H) tensors, `(h, c)` for the LSTM
and `(h,)` for the others. Padding changes nothing: outputs are 0 there and the final state is that
of the last real token.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

State = tuple[Tensor, ...]


class _Recurrent(nn.Module):
    """What the three kinds share; `rnn` is the built-in layer that does the work."""

    rnn: nn.RNNBase

    def forward(
        self, inputs: Tensor, lengths: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Run over `inputs` (B,S,D) from `state` (None: zeros); `lengths` (B,) of real tokens."""
        if inputs.dim() != 3 or inputs.shape[-1] != self.rnn.input_size:
            raise ValueError(
                f"inputs must be (B, S, {self.rnn.input_size}), got {tuple(inputs.shape)}"
            )
        hidden = None if state is None else self._join(tuple(part[None] for part in state))
        if lengths is None:
            outputs, hidden = self.rnn(inputs, hidden)
        else:
            packed = pack_padded_sequence(
                inputs, checked_lengths(lengths, inputs), batch_first=True, enforce_sorted=False
            )
            packed, hidden = self.rnn(packed, hidden)
            outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=inputs.shape[1])
        return outputs, tuple(part[0] for part in self._split(hidden))


class RNN(_Recurrent):
    """The bare recurrent net (Elman 1990): h' = tanh(x W_x + h W_h + b); one bias, as below."""

    parameter_names: ClassVar = {"w_x": "weight_ih_l0", "w_h": "weight_hh_l0", "b": "bias_ih_l0"}

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(input_size, hidden_size, batch_first=True)
        nn.init.zeros_(self.rnn.bias_hh_l0).requires_grad_(False)

    def _join(self, state: State) -> Tensor:
        return state[0]

    def _split(self, hidden: Tensor) -> State:
        return (hidden,)


class GRU(_Recurrent):
    """Gated recurrent unit (Cho et al. 2014), gates r, z, n, `z` keeps, reset after the product.

    r = σ(x W_xr + b_xr + h W_hr + b_hr), z likewise, n = tanh(x W_xn + b_xn + r ∘ (h W_hn + b_hn)),
    h' = (1 − z) ∘ n + z ∘ h.
    """

    parameter_names: ClassVar = {
        "w_x": "weight_ih_l0",
        "w_h": "weight_hh_l0",
        "b_x": "bias_ih_l0",
        "b_h": "bias_hh_l0",
    }

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.rnn = nn.GRU(input_size, hidden_size, batch_first=True)

    def _join(self, state: State) -> Tensor:
        return state[0]

    def _split(self, hidden: Tensor) -> State:
        return (hidden,)


class LSTM(_Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997, with forget gate), gates i, f, g, o.

    c' = f ∘ c + i ∘ g, h' = o ∘ tanh(c'). One bias: torch's second one stays zero and untrained.
    """

    parameter_names: ClassVar = {"w_x": "weight_ih_l0", "w_h": "weight_hh_l0", "b": "bias_ih_l0"}

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(input_size, hidden_size, batch_first=True)
        nn.init.zeros_(self.rnn.bias_hh_l0).requires_grad_(False)

    def _join(self, state: State) -> State:
        return state

    def _split(self, hidden: State) -> State:
        return hidden


class Bidirectional(nn.Module):
    """Two layers of one kind, separate weights, one reading backwards from the last real token.

    Outputs (B,S,2H) = [forward; backward], flipped back into reading order. Final state: each part
    (B,2H) = [forward after the last real token; backward after token 0], so both halves have read
    everything.
    """

    def __init__(self, layer: type[_Recurrent], input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.add_module("forward_layer", layer(input_size, hidden_size))
        self.add_module("backward_layer", layer(input_size, hidden_size))

    def forward(
        self, inputs: Tensor, lengths: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Run both ways; `state`, if given, has parts (B,2H) = [forward start; backward start]."""
        if lengths is None:
            lengths = torch.full((inputs.shape[0],), inputs.shape[1])
        starts = (None, None) if state is None else _halves(state)
        order = _reversed_order(lengths.to(inputs.device), inputs.shape[1])
        ahead, ahead_state = self.forward_layer(inputs, lengths, starts[0])
        flipped, back_state = self.backward_layer(_gather(inputs, order), lengths, starts[1])
        outputs = torch.cat([ahead, _gather(flipped, order)], dim=-1)
        both = zip(ahead_state, back_state, strict=True)
        return outputs, tuple(torch.cat(pair, dim=-1) for pair in both)


def _halves(state: State) -> tuple[State, State]:
    pairs = [part.chunk(2, dim=-1) for part in state]
    return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)


def _reversed_order(lengths: Tensor, size: int) -> Tensor:
    """(B,S) indices that reverse the real tokens and leave the padding where it is."""
    position = torch.arange(size, device=lengths.device)
    backwards = lengths[:, None] - 1 - position
    return torch.where(backwards >= 0, backwards, position)


def _gather(sequence: Tensor, order: Tensor) -> Tensor:
    return sequence.gather(1, order[:, :, None].expand_as(sequence))


def checked_lengths(lengths: Tensor, inputs: Tensor) -> Tensor:
    """`lengths` on the CPU, where packing wants them, after a check that names what is wrong."""
    lengths = torch.as_tensor(lengths).cpu()
    batch, size = inputs.shape[:2]
    if lengths.shape != (batch,):
        raise ValueError(f"lengths must be ({batch},), one a row, got {tuple(lengths.shape)}")
    if lengths.min() < 1 or lengths.max() > size:
        raise ValueError(
            f"lengths must lie in 1..{size}, got {int(lengths.min())}..{int(lengths.max())}"
        )
    return lengths
