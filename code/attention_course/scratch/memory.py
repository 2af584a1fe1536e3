"""A Neural Turing Machine (Graves, Wayne & Danihelka 2014): attention that reads *and writes*.

Shapes: memory (B,N,W) of N rows, each of W numbers; weights (B,N), one row a head, they sum to 1.
The equation numbers are the paper's, https://arxiv.org/abs/1410.5401. Each function has its
backward beside it, which takes what the function took and then the gradient of what it gave.
"""

from copy import copy
from typing import NamedTuple

import numpy as np

from attention_course.axes import check_axes, check_count, check_option, check_shifts
from attention_course.scratch.functional import sigmoid, softmax, softmax_backward
from attention_course.scratch.layers import GradientSums, Layer, Linear, Seed, expect
from attention_course.scratch.recurrent import GRU, LSTM, RNN, State

Heads = tuple[np.ndarray, np.ndarray]  # weights (B,N) of the read and of the write head
CELLS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
FLOOR = 1e-6  # a key or row shorter than this counts as so long: no direction, no 0/0
BLANK = 0.1  # every number of the memory before the first step


class Instructions(NamedTuple):
    """What a head tells the memory at one step; `erase` and `add` are None for one that reads."""

    key: np.ndarray  # (B,W)
    strength: np.ndarray  # (B,) β > 0
    gate: np.ndarray  # (B,) g, in 0..1
    shift: np.ndarray  # (B,K) sums to 1
    power: np.ndarray  # (B,) γ ≥ 1
    erase: np.ndarray | None  # (B,W) in 0..1
    add: np.ndarray | None  # (B,W)


class Trace(NamedTuple):
    """A whole run: the answers, and where the heads were at every step."""

    logits: np.ndarray  # (B,T,output_size)
    read: np.ndarray  # (B,T,N)
    write: np.ndarray  # (B,T,N)


# Functions: the mathematics.


def content_weights(key: np.ndarray, strength: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """softmax over the rows of β · cos(k, M(i)) (eqs. 5, 6): (B,W), (B,) and (B,N,W) -> (B,N)."""
    check_axes(np.ndarray, key=(key, "B W"), strength=(strength, "B"), memory=(memory, "B N W"))
    return softmax(strength[:, None] * _cosine(key, memory))


def content_weights_backward(
    key: np.ndarray, strength: np.ndarray, memory: np.ndarray, dweights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dweights (B,N) -> dkey, dstrength, dmemory.

    ∂cos/∂M(i) = (k/|k| − cos · M(i)/|M(i)|) / |M(i)|, and likewise for k: only what turns a vector
    changes the cosine, nothing along it. At the floor the length is constant.
    """
    cosine = _cosine(key, memory)
    dscores = softmax_backward(softmax(strength[:, None] * cosine), dweights)
    dcosine = strength[:, None] * dscores
    key_length, row_length = _length(key)[:, None], _length(memory)
    scaled = dcosine / (key_length * row_length)
    dkey = (scaled[:, None] @ memory)[:, 0]
    dkey -= key * _along(key, (dcosine * cosine).sum(axis=1))[:, None]
    dmemory = scaled[:, :, None] * key[:, None]
    dmemory -= memory * _along(memory, dcosine * cosine)[:, :, None]
    return dkey, (dscores * cosine).sum(axis=1), dmemory


def interpolate(content: np.ndarray, last: np.ndarray, gate: np.ndarray) -> np.ndarray:
    """g w^c + (1 − g) w_{t−1} (eq. 7): (B,N), (B,N) and (B,) -> (B,N)."""
    check_axes(np.ndarray, content=(content, "B N"), last=(last, "B N"), gate=(gate, "B"))
    return last + gate[:, None] * (content - last)


def interpolate_backward(
    content: np.ndarray, last: np.ndarray, gate: np.ndarray, dgated: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dgated (B,N) -> dcontent, dlast, dgate."""
    dcontent = gate[:, None] * dgated
    return dcontent, dgated - dcontent, (dgated * (content - last)).sum(axis=1)


def shift_weights(weights: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Σ_j w(j) s(i − j), indices modulo N (eq. 8): (B,N) and (B,K) -> (B,N).

    K is odd; the entries of `shift` are for the moves −(K − 1)/2 … (K − 1)/2. +1 moves the weight
    of row i to row i + 1, and that of the last row to row 0.
    """
    check_axes(np.ndarray, weights=(weights, "B N"), shift=(shift, "B K"))
    check_shifts(shift.shape[1], weights.shape[1])
    return sum(
        shift[:, place, None] * np.roll(weights, move, axis=1)
        for place, move in enumerate(_moves(shift))
    )


def shift_weights_backward(
    weights: np.ndarray, shift: np.ndarray, dshifted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """dshifted (B,N) -> dweights, dshift: every gradient goes back where its weight came from."""
    dweights, dshift = np.zeros_like(weights), np.empty_like(shift)
    for place, move in enumerate(_moves(shift)):
        back = np.roll(dshifted, -move, axis=1)
        dweights += shift[:, place, None] * back
        dshift[:, place] = (weights * back).sum(axis=1)
    return dweights, dshift


def sharpen(weights: np.ndarray, power: np.ndarray) -> np.ndarray:
    """w(i)^γ / Σ_j w(j)^γ (eq. 9): (B,N) and (B,) -> (B,N)."""
    check_axes(np.ndarray, weights=(weights, "B N"), power=(power, "B"))
    # A common factor cancels: the largest becomes 1, so no power of it is rounded to 0.
    powers = (weights / weights.max(axis=1, keepdims=True)) ** power[:, None]
    return powers / powers.sum(axis=1, keepdims=True)


def sharpen_backward(
    weights: np.ndarray, power: np.ndarray, dsharp: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """dsharp (B,N) -> dweights, dpower.

    The result is the softmax of γ ln w. A weight of 0 stays 0 whatever γ is, and as γ > 1 its
    slope is 0 as well.
    """
    there = weights > 0
    logs = np.log(np.where(there, weights, 1))
    dlogs = softmax_backward(sharpen(weights, power), dsharp)
    dweights = np.where(there, power[:, None] * dlogs / np.where(there, weights, 1), 0)
    return dweights, (dlogs * logs).sum(axis=1)


def read(weights: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """Σ_i w(i) M(i) (eq. 2): (B,N) and (B,N,W) -> (B,W)."""
    check_axes(np.ndarray, weights=(weights, "B N"), memory=(memory, "B N W"))
    return (weights[:, None] @ memory)[:, 0]


def read_backward(
    weights: np.ndarray, memory: np.ndarray, dfound: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """dfound (B,W) -> dweights, dmemory."""
    return (memory @ dfound[:, :, None])[..., 0], weights[:, :, None] * dfound[:, None]


def write(
    weights: np.ndarray, memory: np.ndarray, erase: np.ndarray, add: np.ndarray
) -> np.ndarray:
    """M(i) ∘ (1 − w(i) e) + w(i) a, erase then add (eqs. 3, 4): (B,N), (B,N,W), (B,W), (B,W) ->
    (B,N,W).
    """
    check_axes(
        np.ndarray,
        weights=(weights, "B N"),
        memory=(memory, "B N W"),
        erase=(erase, "B W"),
        add=(add, "B W"),
    )
    weights = weights[:, :, None]
    return memory * (1 - weights * erase[:, None]) + weights * add[:, None]


def write_backward(
    weights: np.ndarray,
    memory: np.ndarray,
    erase: np.ndarray,
    add: np.ndarray,
    dwritten: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """dwritten (B,N,W) -> dweights, dmemory, derase, dadd."""
    derased = -dwritten * memory  # gradient of w(i) e
    dweights = (dwritten @ add[:, :, None] + derased @ erase[:, :, None])[..., 0]
    dmemory = dwritten * (1 - weights[:, :, None] * erase[:, None])
    return dweights, dmemory, read(weights, derased), read(weights, dwritten)


def _cosine(key: np.ndarray, memory: np.ndarray) -> np.ndarray:
    return (memory @ key[:, :, None])[..., 0] / (_length(key)[:, None] * _length(memory))


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.maximum(np.sqrt((vectors * vectors).sum(axis=-1)), FLOOR)


def _along(vectors: np.ndarray, dcosine: np.ndarray) -> np.ndarray:
    """What the length takes back of the gradient of the cosines, over its square."""
    length = _length(vectors)
    return np.where(length > FLOOR, dcosine / length**2, 0)


def _moves(shift: np.ndarray) -> range:
    reach = shift.shape[1] // 2
    return range(-reach, reach + 1)


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, 0)


# Layers.


class Addressing(Layer):
    """The four steps from a head's instructions to its weights (figure 2 of the paper)."""

    def forward(
        self, instructions: Instructions, memory: np.ndarray, last: np.ndarray
    ) -> np.ndarray:
        """memory (B,N,W) and the head's `last` weights (B,N) -> its weights (B,N)."""
        key, strength, gate, shift, power, _, _ = instructions
        content = content_weights(key, strength, memory)
        gated = interpolate(content, last, gate)
        shifted = shift_weights(gated, shift)
        self._cache = (instructions, memory, last, content, gated, shifted)
        return sharpen(shifted, power)

    def backward(self, dweights: np.ndarray) -> tuple[Instructions, np.ndarray, np.ndarray]:
        """dweights (B,N) -> gradients of the instructions, of the memory and of `last`."""
        (key, strength, gate, shift, power, _, _), *arrays = self._last_call()
        memory, last, content, gated, shifted = arrays
        dshifted, dpower = sharpen_backward(shifted, power, dweights)
        dgated, dshift = shift_weights_backward(gated, shift, dshifted)
        dcontent, dlast, dgate = interpolate_backward(content, last, gate, dgated)
        dkey, dstrength, dmemory = content_weights_backward(key, strength, memory, dcontent)
        dinstructions = Instructions(dkey, dstrength, dgate, dshift, dpower, None, None)
        return dinstructions, dmemory, dlast


class Head(Linear):
    """From the controller's state (B,H) to instructions: one matrix, then what keeps each in range.

    β = softplus, g = σ, s = softmax, γ = 1 + softplus, e = σ; key and add may be any numbers. The
    paper fixes these ranges (section 3.3), not all of the functions.
    """

    def __init__(
        self,
        hidden_size: int,
        width: int,
        shifts: int = 3,
        writes: bool = False,
        seed: Seed = 0,
        dtype: np.dtype | type = np.float32,
    ) -> None:
        for name, size in (("hidden_size", hidden_size), ("width", width)):
            check_count(name, size)
        check_shifts(shifts)
        sizes = [width, 1, 1, shifts, 1] + [width, width] * writes
        super().__init__(hidden_size, sum(sizes), seed, dtype)
        self.ends, self.writes = np.cumsum(sizes)[:-1], writes

    def forward(self, hidden: np.ndarray) -> Instructions:
        check_axes(np.ndarray, hidden=(hidden, "B H"), weight=(self.params["weight"], "H P"))
        key, *rest = np.split(super().forward(hidden), self.ends, axis=-1)
        strength, gate, shift, power = rest[:4]
        erase, add = (sigmoid(rest[4]), rest[5]) if self.writes else (None, None)
        self._given = Instructions(
            key,
            _softplus(strength[:, 0]),
            sigmoid(gate[:, 0]),
            softmax(shift),
            1 + _softplus(power[:, 0]),
            erase,
            add,
        )
        return self._given

    def backward(self, dinstructions: Instructions) -> np.ndarray:
        """Gradients of the instructions -> dhidden (B,H)."""
        _, strength, gate, shift, power, erase, _ = self._given
        dkey, dstrength, dgate, dshift, dpower, derase, dadd = dinstructions
        parts = [
            dkey,
            (dstrength * (1 - np.exp(-strength)))[:, None],  # softplus' = σ = 1 − exp(−softplus)
            (dgate * gate * (1 - gate))[:, None],
            softmax_backward(shift, dshift),
            (dpower * (1 - np.exp(1 - power)))[:, None],
        ]
        if self.writes:
            parts += [derase * erase * (1 - erase), dadd]
        return super().backward(np.concatenate(parts, axis=-1))


class NeuralTuringMachine(Layer):
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
        dtype: np.dtype | type = np.float32,
    ) -> None:
        for name, size in (("input_size", input_size), ("output_size", output_size)):
            check_count(name, size)
        check_count("rows", rows)
        check_shifts(shifts, rows)
        check_option("cell", cell, tuple(CELLS))
        self.input_size, self.rows, self.width = input_size, rows, width
        generator = np.random.default_rng(seed)
        self.write = Head(hidden_size, width, shifts, True, generator, dtype)
        self.read = Head(hidden_size, width, shifts, False, generator, dtype)
        self.controller = CELLS[cell](input_size + width, hidden_size, generator, dtype)
        self.readout = Linear(hidden_size + width, output_size, generator, dtype)
        self.addressing = Addressing()
        names = ("write", "read", "controller", "readout")
        super().__init__(parts={name: getattr(self, name) for name in names})

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        """inputs (B,T,input_size) -> logits (B,T,output_size)."""
        return self.trace(inputs).logits

    def trace(self, inputs: np.ndarray) -> Trace:
        """The same with the weights of both heads."""
        expect("inputs", inputs, self.dtype, B=None, T=None, input_size=self.input_size)
        batch, times = inputs.shape[:2]
        if not batch or not times:
            raise ValueError(f"inputs must have a row and a step, got shape {inputs.shape}")
        memory = np.full((batch, self.rows, self.width), BLANK, self.dtype)
        heads = (np.eye(1, self.rows, dtype=self.dtype).repeat(batch, axis=0),) * 2
        found, state = np.zeros((batch, self.width), self.dtype), None
        self._cache, seen = [], []
        for t in range(times):
            step = _Step(self)
            hidden, state, heads, memory, found = step.forward(
                inputs[:, t], state, heads, memory, found
            )
            self._cache.append(step)
            seen.append((np.concatenate([hidden, found], axis=-1), *heads))
        outputs, reads, writes = (np.stack(part, axis=1) for part in zip(*seen))
        return Trace(self.readout.forward(outputs), reads, writes)

    def backward(self, dlogits: np.ndarray) -> np.ndarray:
        """dlogits (B,T,output_size) -> dinputs (B,T,input_size), through all steps, last first."""
        steps = self._last_call()
        doutputs = self.readout.backward(dlogits)
        sums = [GradientSums(part) for part in (self.controller, self.write, self.read)]
        batch, times, _ = doutputs.shape
        dmemory = np.zeros((batch, self.rows, self.width), self.dtype)
        dheads = (np.zeros((batch, self.rows), self.dtype),) * 2
        dfound, dstate = np.zeros((batch, self.width), self.dtype), None
        dinputs = np.empty((batch, times, self.input_size), self.dtype)
        for t in reversed(range(times)):
            dhidden, dread = np.split(doutputs[:, t], [-self.width], axis=-1)
            dinputs[:, t], dstate, dheads, dmemory, dfound = steps[t].backward(
                dhidden, dstate, dheads, dmemory, dfound + dread
            )
            for total in sums:
                total.add()
        for total in sums:
            total.write()
        return dinputs


class _Step:
    """One step of the machine, on copies of its layers, each of which remembers its own call."""

    def __init__(self, machine: NeuralTuringMachine) -> None:
        self.controller, self.write, self.read = map(
            copy, (machine.controller, machine.write, machine.read)
        )
        self.to_write, self.to_read = copy(machine.addressing), copy(machine.addressing)

    def forward(
        self,
        x: np.ndarray,
        state: State | None,
        heads: Heads,
        memory: np.ndarray,
        found: np.ndarray,
    ) -> tuple[np.ndarray, State, Heads, np.ndarray, np.ndarray]:
        """Write, then read; `state`, `heads`, `memory` and `found` are those of the step before."""
        inputs = np.concatenate([x, found], axis=-1)
        hidden, state = self.controller.forward(inputs[:, None], None, state)
        hidden = hidden[:, 0]
        given = self.write.forward(hidden)
        writes = self.to_write.forward(given, memory, heads[1])
        self.written = (writes, memory, given.erase, given.add)
        memory = write(*self.written)
        reads = self.to_read.forward(self.read.forward(hidden), memory, heads[0])
        self.looked = (reads, memory)
        return hidden, state, (reads, writes), memory, read(*self.looked)

    def backward(
        self,
        dhidden: np.ndarray,
        dstate: State | None,
        dheads: Heads,
        dmemory: np.ndarray,
        dfound: np.ndarray,
    ) -> tuple[np.ndarray, State, Heads, np.ndarray, np.ndarray]:
        """Gradients of what `forward` gave -> gradients of what it took, in the same order."""
        dreads, dread_memory = read_backward(*self.looked, dfound)
        given, dmore, dlast_read = self.to_read.backward(dreads + dheads[0])
        dhidden = dhidden + self.read.backward(given)
        dwrites, dmemory, derase, dadd = write_backward(
            *self.written, dmemory + dread_memory + dmore
        )
        given, dmore, dlast_write = self.to_write.backward(dwrites + dheads[1])
        dhidden += self.write.backward(given._replace(erase=derase, add=dadd))
        dinputs, dstate = self.controller.backward(dhidden[:, None], dstate)
        width = self.looked[1].shape[-1]
        dx, dfound = np.split(dinputs[:, 0], [-width], axis=-1)
        return dx, dstate, (dlast_read, dlast_write), dmemory + dmore, dfound
