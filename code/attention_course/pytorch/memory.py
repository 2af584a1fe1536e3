"""A Neural Turing Machine (Graves, Wayne & Danihelka 2014): attention that reads *and writes*.

Shapes: memory (B,N,W) of N rows, each of W numbers; weights (B,N), one row a head, they sum to 1.
The equation numbers are the paper's, https://arxiv.org/abs/1410.5401.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention_course.axes import check_axes, check_count, check_option, check_shifts
from attention_course.pytorch.recurrent import GRU, LSTM, RNN

CELLS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
FLOOR = 1e-6  # a key or row shorter than this counts as so long: no direction, no 0/0
BLANK = 0.1  # every number of the memory before the first step


class Instructions(NamedTuple):
    """What a head tells the memory at one step; `erase` and `add` are None for one that reads."""

    key: Tensor  # (B,W)
    strength: Tensor  # (B,) β > 0
    gate: Tensor  # (B,) g, in 0..1
    shift: Tensor  # (B,K) sums to 1
    power: Tensor  # (B,) γ ≥ 1
    erase: Tensor | None  # (B,W) in 0..1
    add: Tensor | None  # (B,W)


class Trace(NamedTuple):
    """A whole run: the answers, and where the heads were at every step."""

    logits: Tensor  # (B,T,output_size)
    read: Tensor  # (B,T,N)
    write: Tensor  # (B,T,N)


# Functions: the mathematics.


def content_weights(key: Tensor, strength: Tensor, memory: Tensor) -> Tensor:
    """softmax over the rows of β · cos(k, M(i)) (eqs. 5, 6): (B,W), (B,) and (B,N,W) -> (B,N)."""
    check_axes(Tensor, key=(key, "B W"), strength=(strength, "B"), memory=(memory, "B N W"))
    lengths = _length(key)[:, None] * _length(memory)
    cosine = (memory @ key[:, :, None])[..., 0] / lengths
    return torch.softmax(strength[:, None] * cosine, dim=-1)


def interpolate(content: Tensor, last: Tensor, gate: Tensor) -> Tensor:
    """g w^c + (1 − g) w_{t−1} (eq. 7): (B,N), (B,N) and (B,) -> (B,N)."""
    check_axes(Tensor, content=(content, "B N"), last=(last, "B N"), gate=(gate, "B"))
    return last + gate[:, None] * (content - last)


def shift_weights(weights: Tensor, shift: Tensor) -> Tensor:
    """Σ_j w(j) s(i − j), indices modulo N (eq. 8): (B,N) and (B,K) -> (B,N).

    K is odd; the entries of `shift` are for the moves −(K − 1)/2 … (K − 1)/2. +1 moves the weight
    of row i to row i + 1, and that of the last row to row 0.
    """
    check_axes(Tensor, weights=(weights, "B N"), shift=(shift, "B K"))
    check_shifts(shift.shape[1], weights.shape[1])
    reach = shift.shape[1] // 2
    moved = [weights.roll(move, dims=-1) for move in range(-reach, reach + 1)]
    return (torch.stack(moved, dim=-1) @ shift[:, :, None])[..., 0]


def sharpen(weights: Tensor, power: Tensor) -> Tensor:
    """w(i)^γ / Σ_j w(j)^γ (eq. 9): (B,N) and (B,) -> (B,N)."""
    check_axes(Tensor, weights=(weights, "B N"), power=(power, "B"))
    # A common factor cancels: the largest becomes 1, so no power of it is rounded to 0.
    powers = (weights / weights.detach().amax(dim=-1, keepdim=True)) ** power[:, None]
    return powers / powers.sum(dim=-1, keepdim=True)


def read(weights: Tensor, memory: Tensor) -> Tensor:
    """Σ_i w(i) M(i) (eq. 2): (B,N) and (B,N,W) -> (B,W)."""
    check_axes(Tensor, weights=(weights, "B N"), memory=(memory, "B N W"))
    return (weights[:, None] @ memory)[:, 0]


def write(weights: Tensor, memory: Tensor, erase: Tensor, add: Tensor) -> Tensor:
    """M(i) ∘ (1 − w(i) e) + w(i) a, erase then add (eqs. 3, 4): (B,N), (B,N,W), (B,W), (B,W) ->
    (B,N,W).
    """
    check_axes(
        Tensor,
        weights=(weights, "B N"),
        memory=(memory, "B N W"),
        erase=(erase, "B W"),
        add=(add, "B W"),
    )
    weights = weights[:, :, None]
    return memory * (1 - weights * erase[:, None]) + weights * add[:, None]


def _length(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vectors, dim=-1).clamp_min(FLOOR)


# Layers.


class Addressing(nn.Module):
    """The four steps from a head's instructions to its weights (figure 2 of the paper)."""

    def forward(self, instructions: Instructions, memory: Tensor, last: Tensor) -> Tensor:
        """memory (B,N,W) and the head's `last` weights (B,N) -> its weights (B,N)."""
        key, strength, gate, shift, power, _, _ = instructions
        gated = interpolate(content_weights(key, strength, memory), last, gate)
        return sharpen(shift_weights(gated, shift), power)


class Head(nn.Linear):
    """From the controller's state (B,H) to instructions: one matrix, then what keeps each in range.

    β = softplus, g = σ, s = softmax, γ = 1 + softplus, e = σ; key and add may be any numbers. The
    paper fixes these ranges (section 3.3), not all of the functions.
    """

    def __init__(self, hidden_size: int, width: int, shifts: int = 3, writes: bool = False) -> None:
        for name, size in (("hidden_size", hidden_size), ("width", width)):
            check_count(name, size)
        check_shifts(shifts)
        self.sizes = [width, 1, 1, shifts, 1] + [width, width] * writes
        super().__init__(hidden_size, sum(self.sizes))
        self.writes = writes

    def forward(self, hidden: Tensor) -> Instructions:
        check_axes(Tensor, hidden=(hidden, "B H"), weight=(self.weight.T, "H P"))
        key, strength, gate, shift, power, *rest = super().forward(hidden).split(self.sizes, dim=-1)
        erase, add = (torch.sigmoid(rest[0]), rest[1]) if self.writes else (None, None)
        return Instructions(
            key,
            F.softplus(strength[:, 0]),
            torch.sigmoid(gate[:, 0]),
            torch.softmax(shift, dim=-1),
            1 + F.softplus(power[:, 0]),
            erase,
            add,
        )


class NeuralTuringMachine(nn.Module):
    """A recurrent controller with one head that writes and one that reads.

    h_t = f(h_{t−1}, [x_t; r_{t−1}]) · the write head goes to its rows by M_{t−1} and makes M_t of
    it · the read head goes to its rows by M_t and gets r_t · logits = readout([h_t; r_t]). At the
    start r and the controller's state are 0, every number of the memory is the same and both heads
    stand on row 0; the paper begins from bias values (section 4).
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        hidden_size: int,
        rows: int,
        width: int,
        shifts: int = 3,
        cell: str = "lstm",
        seed: int = 0,
    ) -> None:
        for name, size in (("input_size", input_size), ("output_size", output_size)):
            check_count(name, size)
        check_count("rows", rows)
        check_shifts(shifts, rows)
        check_option("cell", cell, tuple(CELLS))
        super().__init__()
        self.rows, self.width = rows, width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.write = Head(hidden_size, width, shifts, writes=True)
            self.read = Head(hidden_size, width, shifts)
            self.controller = CELLS[cell](input_size + width, hidden_size)
            self.readout = nn.Linear(hidden_size + width, output_size)
        self.addressing = Addressing()

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs (B,T,input_size) -> logits (B,T,output_size)."""
        return self.trace(inputs).logits

    def trace(self, inputs: Tensor) -> Trace:
        """The same with the weights of both heads."""
        size = self.controller.rnn.input_size - self.width
        if inputs.dim() != 3 or inputs.shape[-1] != size or 0 in inputs.shape:
            raise ValueError(f"inputs must be (B, T, {size}), got {tuple(inputs.shape)}")
        batch = len(inputs)
        memory = inputs.new_full((batch, self.rows, self.width), BLANK)
        heads = (F.one_hot(inputs.new_zeros(batch, dtype=torch.long), self.rows).to(inputs),) * 2
        found, state, steps = inputs.new_zeros(batch, self.width), None, []
        for x in inputs.unbind(dim=1):
            hidden, state = self.controller(torch.cat([x, found], dim=-1)[:, None], None, state)
            heads, memory, found = self._step(hidden[:, 0], heads, memory)
            steps.append((torch.cat([hidden[:, 0], found], dim=-1), *heads))
        outputs, reads, writes = (torch.stack(part, dim=1) for part in zip(*steps))
        return Trace(self.readout(outputs), reads, writes)

    def _step(
        self, hidden: Tensor, heads: tuple[Tensor, Tensor], memory: Tensor
    ) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
        """Write, then read: the new weights (read, write), the new memory and what was read."""
        instructions = self.write(hidden)
        writes = self.addressing(instructions, memory, heads[1])
        memory = write(writes, memory, instructions.erase, instructions.add)
        reads = self.addressing(self.read(hidden), memory, heads[0])
        return (reads, writes), memory, read(reads, memory)
