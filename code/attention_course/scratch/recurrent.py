"""RNN, GRU and LSTM over whole padded batches, and the wrapper that reads both ways.

Shapes: inputs (B,S,D), outputs (B,S,H); a state is a tuple of (B,H) arrays, `(h,)` for the GRU and
`(h, c)` for the LSTM. Padding changes nothing, since it is never read: the real tokens are picked
out first (`pack`), and outputs are 0 where there was none. Only h_{t−1} W_h must wait for the step
before; all other products are one for all steps.
"""

from typing import NamedTuple

import numpy as np

from attention_course.scratch.functional import sigmoid
from attention_course.scratch.layers import Layer, Seed, expect, uniform

State = tuple[np.ndarray, ...]


class Packing(NamedTuple):
    """Where the N real tokens of a padded batch stand, in the order in which they are read.

    The order is step after step, and within a step the longest sequence first. So the sequences
    still running at a step are the first rows of the step before, and the states can lie in one
    array of B + N rows: the B initial states, then one state for each token.
    """

    order: np.ndarray  # (B,) the batch's rows, longest first
    tokens: np.ndarray  # (N,) place of each token in the batch flattened to B·S
    before: np.ndarray | slice  # (N,) row of the state which each token finds
    last: np.ndarray  # (B,) row of the final state of each sequence, longest first
    steps: list[tuple[slice, slice, slice]]  # for each step: tokens, states before, states after


def pack(lengths: np.ndarray, size: int, reverse: bool = False) -> Packing:
    """Packing of a batch (B,`size`) with `lengths` (B,); `reverse` reads every row backwards."""
    batch = len(lengths)
    order = np.argsort(-lengths, kind="stable")
    longest_first = lengths[order]
    step, rank = np.nonzero(np.arange(longest_first[0])[:, None] < longest_first)
    position = longest_first[rank] - 1 - step if reverse else step

    running = np.bincount(step)  # sequences with a token at this step
    offset = np.concatenate([[0, batch], batch + np.cumsum(running)])  # first state before step t
    before = offset[step] + rank
    return Packing(
        order=order,
        tokens=order[rank] * size + position,
        before=slice(0, len(step)) if running[-1] == batch else before,  # a view saves the copy
        last=offset[longest_first] + np.arange(batch),
        steps=[
            (slice(b - batch, b - batch + n), slice(a, a + n), slice(b, b + n))
            for a, b, n in zip(offset.tolist(), offset[1:].tolist(), running.tolist())
        ],
    )


class Recurrent(Layer):
    """What the three kinds share: all but the equations of one step.

    `_read` and `_read_backward` are the time loops. Their arrays are packed: x-products and gates
    have one row a token, states one row for each initial state and then one a token (see
    `Packing`). On the way forward each gate has an array of its own, so that what one works on at
    a time lies together in memory.
    """

    gates: int  # blocks of H columns in w_x and w_h
    parts: int  # arrays in a state
    input_bias: str  # the bias that is added to x w_x

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        seed: Seed = 0,
        dtype: np.dtype | type = np.float32,
        reverse: bool = False,
        **biases: tuple[int, ...],
    ) -> None:
        columns = self.gates * hidden_size
        shapes = {"w_x": (input_size, columns), "w_h": (hidden_size, columns)} | biases
        super().__init__(uniform(seed, hidden_size**-0.5, dtype, **shapes))
        self.input_size, self.hidden_size, self.reverse = input_size, hidden_size, reverse

    def forward(
        self, inputs: np.ndarray, lengths: np.ndarray | None = None, state: State | None = None
    ) -> tuple[np.ndarray, State]:
        """Run over `inputs` (B,S,D) from `state` (None: zeros), `lengths` (B,) tokens of each row.

        Returns outputs (B,S,H), 0 at padding, and the state after the last real token of each row.
        Without `lengths` every token is real.
        """
        expect("inputs", inputs, self.dtype, B=None, S=None, D=self.input_size)
        batch, size, _ = inputs.shape
        packing = pack(checked_lengths(lengths, batch, size), size, self.reverse)
        x = inputs.reshape(batch * size, -1)[packing.tokens]
        x_product = x @ self._by_gate(self.params["w_x"])
        x_product += self._by_gate(self.params[self.input_bias])
        states = self._initial_states(state, packing, batch)
        saved = self._read(x_product, states, packing)
        self._cache = (packing, inputs.shape, x, states, saved)

        outputs = np.zeros((batch * size, self.hidden_size), self.dtype)
        outputs[packing.tokens] = states[0][batch:]
        final = tuple(_unsorted(part[packing.last], packing.order) for part in states)
        return outputs.reshape(batch, size, -1), final

    def backward(
        self, doutputs: np.ndarray | None, dstate: State | None = None
    ) -> tuple[np.ndarray, State]:
        """From ∂loss/∂outputs (B,S,H) and ∂loss/∂final state to those of inputs and initial state.

        Either may be None, where the loss does not depend on it. What stands in `doutputs` at
        padding is ignored.
        """
        packing, shape, x, states, saved = self._last_call()
        batch, size, _ = shape
        if doutputs is not None:
            expect("doutputs", doutputs, self.dtype, B=batch, S=size, H=self.hidden_size)
            doutputs = doutputs.reshape(batch * size, -1)[packing.tokens]
        dparts = self._sorted_state("dstate", dstate, packing.order, batch)
        dx_product, dh_product = self._read_backward(doutputs, dparts, states, saved, packing)

        np.matmul(x.T, dx_product, out=self.grads["w_x"])
        np.matmul(states[0][packing.before].T, dh_product, out=self.grads["w_h"])
        self._bias_backward(dx_product, dh_product)
        dinputs = np.zeros((batch * size, self.input_size), self.dtype)
        dinputs[packing.tokens] = dx_product @ self.params["w_x"].T
        dinitial = tuple(_unsorted(part, packing.order) for part in dparts)
        return dinputs.reshape(shape), dinitial

    def _read(self, x_product: np.ndarray, states: State, packing: Packing) -> State:
        """Fill `states`, step by step, from x w_x + b (gates,N,H), which may be written over.

        Returns what `_read_backward` wants to know.
        """
        raise NotImplementedError

    def _read_backward(
        self,
        doutputs: np.ndarray | None,
        dstate: State,
        states: State,
        saved: State,
        packing: Packing,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gradients (N, gates · H) of x w_x and h w_h; turns `dstate` from final into initial."""
        raise NotImplementedError

    def _by_gate(self, array: np.ndarray) -> np.ndarray:
        """View (gates, rows, H) of a weight (rows, gates · H), or of a bias (gates · H,)."""
        return array.reshape(-1, self.gates, self.hidden_size).swapaxes(0, 1)

    def _bias_backward(self, dx_product: np.ndarray, dh_product: np.ndarray) -> None:
        np.sum(dx_product, axis=0, out=self.grads[self.input_bias])

    def _initial_states(self, state: State | None, packing: Packing, batch: int) -> State:
        """One array (B + N, H) for each part of the state, its first B rows filled."""
        initial = self._sorted_state("state", state, packing.order, batch)
        buffers = tuple(
            np.empty((batch + len(packing.tokens), self.hidden_size), self.dtype) for _ in initial
        )
        for buffer, part in zip(buffers, initial):
            buffer[:batch] = part
        return buffers

    def _sorted_state(self, name: str, state: State | None, order: np.ndarray, batch: int) -> State:
        """A copy of a state (or of its gradient), checked, longest first; zeros for None."""
        if state is None:
            return tuple(np.zeros((batch, self.hidden_size), self.dtype) for _ in range(self.parts))
        check_state(name, state, self.parts, batch, self.hidden_size, self.dtype)
        return tuple(part[order] for part in state)


class RNN(Recurrent):
    """The bare recurrent net (Elman 1990); `w_x` (D,H), `w_h` (H,H), `b` (H,).

    h' = tanh(x W_x + h W_h + b)
    """

    gates, parts, input_bias = 1, 1, "b"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        seed: Seed = 0,
        dtype: np.dtype | type = np.float32,
        reverse: bool = False,
    ) -> None:
        super().__init__(input_size, hidden_size, seed, dtype, reverse, b=(hidden_size,))

    def _read(self, x_product: np.ndarray, states: State, packing: Packing) -> State:
        (hidden,), (x_product,) = states, x_product
        for tokens, before, after in packing.steps:
            np.matmul(hidden[before], self.params["w_h"], out=hidden[after])
            hidden[after] += x_product[tokens]
            np.tanh(hidden[after], out=hidden[after])
        return ()

    def _read_backward(
        self,
        doutputs: np.ndarray | None,
        dstate: State,
        states: State,
        saved: State,
        packing: Packing,
    ) -> tuple[np.ndarray, np.ndarray]:
        (hidden,), w_h = states, self.params["w_h"]
        dproduct = np.empty((len(packing.tokens), self.hidden_size), self.dtype)
        for tokens, _, after in reversed(packing.steps):
            dh = dstate[0][: tokens.stop - tokens.start]  # the rows still running
            if doutputs is not None:
                dh += doutputs[tokens]
            np.multiply(dh, 1 - hidden[after] * hidden[after], out=dproduct[tokens])
            np.matmul(dproduct[tokens], w_h.T, out=dh)
        return dproduct, dproduct


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al. 2014); `w_x` (D,3H), `w_h` (H,3H), `b_x` and `b_h` (3H,).

    Columns of the weights are in blocks of H, one a gate: r, z, n.

    r  = σ(x W_xr + b_xr + h W_hr + b_hr)                 reset
    z  = σ(x W_xz + b_xz + h W_hz + b_hz)                 update
    n  = tanh(x W_xn + b_xn + r ∘ (h W_hn + b_hn))        new
    h' = (1 − z) ∘ n + z ∘ h

    Here z *keeps* the old state, as in Cho et al., torch and Keras; in Bahdanau et al. (2015) z
    *replaces* it. And r works after the product h W_hn, as in torch and Keras ("reset after"); in
    both papers it works on h before.
    """

    gates, parts, input_bias = 3, 1, "b_x"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        seed: Seed = 0,
        dtype: np.dtype | type = np.float32,
        reverse: bool = False,
    ) -> None:
        biases = {"b_x": (3 * hidden_size,), "b_h": (3 * hidden_size,)}
        super().__init__(input_size, hidden_size, seed, dtype, reverse, **biases)

    def _read(self, x_product: np.ndarray, states: State, packing: Packing) -> State:
        (hidden,) = states
        w_h, b_h = self._by_gate(self.params["w_h"]), self._by_gate(self.params["b_h"])
        gates = x_product  # (3,N,H): each gate is written over its x-product
        h_new = np.empty(gates.shape[1:], self.dtype)  # h W_hn + b_hn
        h_product = np.empty((3, len(packing.order), self.hidden_size), self.dtype)
        for tokens, before, after in packing.steps:
            part, h = gates[:, tokens], hidden[before]
            h_part = np.matmul(h, w_h, out=h_product[:, : len(h)])
            h_part += b_h
            h_new[tokens] = h_part[2]
            rz = part[:2]
            rz += h_part[:2]
            r, z = sigmoid(rz, out=rz)
            n = part[2]
            n += r * h_new[tokens]
            np.tanh(n, out=n)
            np.add((1 - z) * n, z * h, out=hidden[after])
        return gates, h_new

    def _read_backward(
        self,
        doutputs: np.ndarray | None,
        dstate: State,
        states: State,
        saved: State,
        packing: Packing,
    ) -> tuple[np.ndarray, np.ndarray]:
        (hidden,), (gates, h_new) = states, saved
        w_h, size = self.params["w_h"], self.hidden_size
        dx_product = np.empty((gates.shape[1], 3 * size), self.dtype)
        dh_product = np.empty_like(dx_product)
        for tokens, before, _ in reversed(packing.steps):
            dh = dstate[0][: tokens.stop - tokens.start]  # the rows still running
            if doutputs is not None:
                dh += doutputs[tokens]
            r, z, n = gates[:, tokens]
            dx_r, dx_z, dx_n = _columns(dx_product[tokens], size)
            keep = dh * z
            np.multiply(dh - keep, 1 - n * n, out=dx_n)
            np.multiply(keep * (hidden[before] - n), 1 - z, out=dx_z)
            np.multiply(dx_n * h_new[tokens], r * (1 - r), out=dx_r)
            dh_product[tokens, : 2 * size] = dx_product[tokens, : 2 * size]
            np.multiply(dx_n, r, out=dh_product[tokens, 2 * size :])
            np.matmul(dh_product[tokens], w_h.T, out=dh)
            dh += keep
        return dx_product, dh_product

    def _bias_backward(self, dx_product: np.ndarray, dh_product: np.ndarray) -> None:
        super()._bias_backward(dx_product, dh_product)
        np.sum(dh_product, axis=0, out=self.grads["b_h"])


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997); `w_x` (D,4H), `w_h` (H,4H), `b`.

    Columns of the weights are in blocks of H, one a gate: i, f, g, o.

    i  = σ(x W_xi + h W_hi + b_i)         input
    f  = σ(x W_xf + h W_hf + b_f)         forget
    g  = tanh(x W_xg + h W_hg + b_g)      new
    o  = σ(x W_xo + h W_ho + b_o)         output
    c' = f ∘ c + i ∘ g
    h' = o ∘ tanh(c')

    The forget gate is that of Gers et al. (2000). torch has a second bias beside `b`; their sum is
    what matters.
    """

    gates, parts, input_bias = 4, 2, "b"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        seed: Seed = 0,
        dtype: np.dtype | type = np.float32,
        reverse: bool = False,
    ) -> None:
        super().__init__(input_size, hidden_size, seed, dtype, reverse, b=(4 * hidden_size,))

    def _read(self, x_product: np.ndarray, states: State, packing: Packing) -> State:
        hidden, cell = states
        w_h = self._by_gate(self.params["w_h"])
        gates = x_product  # (4,N,H): each gate is written over its x-product
        tanh_cell = np.empty(gates.shape[1:], self.dtype)
        h_product = np.empty((4, len(packing.order), self.hidden_size), self.dtype)
        # σ(a) = ½ tanh(½ a) + ½ and tanh(a) = 1 tanh(1 a) + 0: one tanh for all four gates.
        scale = np.array([0.5, 0.5, 1, 0.5], self.dtype)[:, None, None]
        for tokens, before, after in packing.steps:
            h, part = hidden[before], gates[:, tokens]
            part += np.matmul(h, w_h, out=h_product[:, : len(h)])
            part *= scale
            np.tanh(part, out=part)
            part *= scale
            part += 1 - scale
            i, f, g, o = part
            np.add(f * cell[before], i * g, out=cell[after])
            np.tanh(cell[after], out=tanh_cell[tokens])
            np.multiply(o, tanh_cell[tokens], out=hidden[after])
        return gates, tanh_cell

    def _read_backward(
        self,
        doutputs: np.ndarray | None,
        dstate: State,
        states: State,
        saved: State,
        packing: Packing,
    ) -> tuple[np.ndarray, np.ndarray]:
        (_, cell), (gates, tanh_cell) = states, saved
        w_h, size = self.params["w_h"], self.hidden_size
        # x w_x and h w_h are only added: one gradient for both.
        dproduct = np.empty((gates.shape[1], 4 * size), self.dtype)
        for tokens, before, _ in reversed(packing.steps):
            running = tokens.stop - tokens.start
            dh, dc = dstate[0][:running], dstate[1][:running]
            if doutputs is not None:
                dh += doutputs[tokens]
            i, f, g, o = gates[:, tokens]
            di, df, dg, do = _columns(dproduct[tokens], size)
            tanh_c = tanh_cell[tokens]
            dh_o = dh * o
            dc += dh_o * (1 - tanh_c * tanh_c)
            np.multiply(dh_o * tanh_c, 1 - o, out=do)
            dc_i = dc * i
            np.multiply(dc_i, 1 - g * g, out=dg)
            np.multiply(dc_i * g, 1 - i, out=di)
            dc *= f
            np.multiply(dc * cell[before], 1 - f, out=df)
            np.matmul(dproduct[tokens], w_h.T, out=dh)
        return dproduct, dproduct


class Bidirectional(Layer):
    """Two layers of one kind, separate weights, one reading from the last real token to the first.

    Outputs (B,S,2H) = [forward; backward], both in reading order. Final state: each part (B,2H) =
    [forward after the last real token; backward after token 0], so both halves have read everything
    (Schuster & Paliwal 1997).
    """

    def __init__(
        self,
        layer: type[Recurrent],
        input_size: int,
        hidden_size: int,
        seed: Seed = 0,
        dtype: np.dtype | type = np.float32,
    ) -> None:
        generator = np.random.default_rng(seed)
        self.ahead = layer(input_size, hidden_size, generator, dtype)
        self.back = layer(input_size, hidden_size, generator, dtype, reverse=True)
        self.input_size, self.hidden_size = input_size, hidden_size
        super().__init__(parts={"forward": self.ahead, "backward": self.back})

    def forward(
        self, inputs: np.ndarray, lengths: np.ndarray | None = None, state: State | None = None
    ) -> tuple[np.ndarray, State]:
        """Run both ways; `state`, if given, has parts (B,2H) = [forward start; backward start]."""
        starts = self._halves("state", state, inputs)
        ahead, ahead_state = self.ahead.forward(inputs, lengths, starts[0])
        back, back_state = self.back.forward(inputs, lengths, starts[1])
        self._cache = inputs
        return np.concatenate([ahead, back], axis=-1), _joined(ahead_state, back_state)

    def backward(
        self, doutputs: np.ndarray | None, dstate: State | None = None
    ) -> tuple[np.ndarray, State]:
        """doutputs (B,S,2H), dstate with parts (B,2H), either may be None -> dinputs, dstate0."""
        inputs = self._last_call()
        douts = (None, None)
        if doutputs is not None:
            batch, size, _ = inputs.shape
            expect("doutputs", doutputs, self.dtype, B=batch, S=size, H=2 * self.hidden_size)
            douts = np.split(doutputs, 2, axis=-1)
        dstates = self._halves("dstate", dstate, inputs)
        dinputs, dahead = self.ahead.backward(douts[0], dstates[0])
        dinputs_back, dback = self.back.backward(douts[1], dstates[1])
        dinputs += dinputs_back
        return dinputs, _joined(dahead, dback)

    def _halves(
        self, name: str, state: State | None, inputs: np.ndarray
    ) -> tuple[State | None, State | None]:
        if state is None:
            return None, None
        check_state(name, state, self.ahead.parts, len(inputs), 2 * self.hidden_size, self.dtype)
        pairs = [np.split(part, 2, axis=-1) for part in state]
        return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)


def checked_lengths(lengths: np.ndarray | None, batch: int, size: int) -> np.ndarray:
    """`lengths`, (B,) integers in 1..`size`; all equal to `size` if None."""
    if batch < 1 or size < 1:
        raise ValueError(f"a batch needs at least one row and one step, got B={batch}, S={size}")
    if lengths is None:
        return np.full(batch, size)
    lengths = np.asarray(lengths)
    expect("lengths", lengths, np.integer, B=batch)
    if lengths.min() < 1 or lengths.max() > size:
        raise ValueError(f"lengths must lie in 1..{size}, got {lengths.min()}..{lengths.max()}")
    return lengths.astype(np.int64)


def check_state(
    name: str, state: State, parts: int, batch: int, size: int, dtype: np.dtype
) -> None:
    """Raise unless `state` is a tuple of `parts` arrays (batch, size)."""
    if not isinstance(state, tuple | list) or len(state) != parts:
        wanted = "(h,)" if parts == 1 else "(h, c)"
        given = f"{len(state)} arrays" if isinstance(state, tuple | list) else type(state).__name__
        raise TypeError(f"{name} must be a tuple {wanted} of arrays (B,H), got {given}")
    for label, part in zip(("h", "c"), state):
        expect(f"{name} ({label})", part, dtype, B=batch, H=size)


def _columns(gates: np.ndarray, size: int) -> list[np.ndarray]:
    """Views of the gates' columns, (n, size) each."""
    return [gates[:, at : at + size] for at in range(0, gates.shape[1], size)]


def _unsorted(rows: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Rows from longest-first back to the batch's own order."""
    result = np.empty_like(rows)
    result[order] = rows
    return result


def _joined(ahead: State, back: State) -> State:
    return tuple(np.concatenate(pair, axis=-1) for pair in zip(ahead, back))
