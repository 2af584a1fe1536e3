"""Recurrent layers over padded sequences: `keras.layers.SimpleRNN` / `GRU` / `LSTM`, masked, with
the course's names.

Shapes: inputs (B,S,D), outputs (B,S,H); a state is a tuple of (B,H) tensors, `(h, c)` for the LSTM
and `(h,)` for the others. Padding changes nothing: outputs are 0 there and the final state is that
of the last real token.
"""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from attention_course.keras.layers import Seed, seed_generator, uniform

State = tuple[tf.Tensor, ...]
Arrays = dict[str, np.ndarray]


class _Recurrent(keras.layers.Layer):
    """What the three kinds share; `rnn` is the built-in layer that does the work."""

    rnn: keras.layers.RNN
    parts = 1  # arrays in a state

    def __init__(
        self, input_size: int, hidden_size: int, seed: Seed = 0, dtype: str | None = None
    ) -> None:
        super().__init__(dtype=dtype)
        self.input_size, self.hidden_size = input_size, hidden_size
        rule = uniform(hidden_size, seed)
        self.rnn = self._built_in(
            hidden_size,
            kernel_initializer=rule,
            recurrent_initializer=rule,
            bias_initializer=rule,
            return_sequences=True,
            return_state=True,
            zero_output_for_mask=True,
            dtype=dtype,
        )
        self.rnn.build((None, None, input_size))
        self.built = True

    def call(
        self,
        inputs: tf.Tensor,
        lengths: tf.Tensor | None = None,
        state: State | None = None,
        reverse: bool = False,
    ) -> tuple[tf.Tensor, State]:
        """Run over `inputs` (B,S,D) from `state` (zeros if None); `lengths` (B,) are the real
        tokens.

        With `reverse` it reads from the last real token to the first; outputs stay in the order of
        the inputs.
        """
        if len(inputs.shape) != 3 or inputs.shape[-1] != self.input_size:
            raise ValueError(f"inputs must be (B, S, {self.input_size}), got {tuple(inputs.shape)}")
        mask = None if lengths is None else sequence_mask(lengths, inputs)
        if reverse:
            inputs = _reversed(inputs, lengths)
        outputs, *final = self.rnn(inputs, mask=mask, initial_state=self._started(state))
        return (_reversed(outputs, lengths) if reverse else outputs), tuple(final)

    def _started(self, state: State | None) -> list[tf.Tensor] | None:
        if state is not None and len(state) != self.parts:
            raise ValueError(f"state must have {self.parts} part(s) (B, H), got {len(state)}")
        return None if state is None else list(state)

    def to_course(self, arrays: Sequence[np.ndarray]) -> Arrays:
        """Arrays shaped like the layer's variables (values or gradients), by the course's names and
        gate order.
        """
        return dict(zip(("w_x", "w_h", "b"), arrays, strict=True))

    def from_course(self, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The inverse of `to_course`."""
        return [arrays["w_x"], arrays["w_h"], arrays["b"]]


class RNN(_Recurrent):
    """The bare recurrent net (Elman 1990): h' = tanh(x W_x + h W_h + b)."""

    def _built_in(self, *args, **kwargs) -> keras.layers.SimpleRNN:
        return keras.layers.SimpleRNN(*args, **kwargs)


class GRU(_Recurrent):
    """Gated recurrent unit (Cho et al. 2014), gates r, z, n, `z` keeps, reset after the product.

    r = σ(x W_xr + b_xr + h W_hr + b_hr), z likewise, n = tanh(x W_xn + b_xn + r ∘ (h W_hn + b_hn)),
    h' = (1 − z) ∘ n + z ∘ h. Keras stores the gates in the order z, r, n, and both biases in one
    (2,3H) variable.
    """

    def _built_in(self, *args, **kwargs) -> keras.layers.GRU:
        return keras.layers.GRU(*args, reset_after=True, **kwargs)

    def to_course(self, arrays: Sequence[np.ndarray]) -> Arrays:
        kernel, recurrent, bias = (_swap_gates(array) for array in arrays)
        return {"w_x": kernel, "w_h": recurrent, "b_x": bias[0], "b_h": bias[1]}

    def from_course(self, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        biases = np.stack([arrays["b_x"], arrays["b_h"]])
        return [_swap_gates(array) for array in (arrays["w_x"], arrays["w_h"], biases)]


class LSTM(_Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997, with forget gate), gates i, f, g, o.

    c' = f ∘ c + i ∘ g, h' = o ∘ tanh(c'). Keras has one bias and this gate order too; its habit of
    starting the forget gate's bias at 1 is switched off, so that the three frameworks start alike.
    """

    parts = 2

    def _built_in(self, *args, **kwargs) -> keras.layers.LSTM:
        return keras.layers.LSTM(*args, unit_forget_bias=False, **kwargs)


class Bidirectional(keras.layers.Layer):
    """Two layers of one kind, separate weights, one reading backwards from the last real token.

    Outputs (B,S,2H) = [forward; backward], flipped back into reading order. Final state: each part
    (B,2H) = [forward after the last real token; backward after token 0], so both halves have read
    everything.
    """

    def __init__(
        self,
        layer: type[_Recurrent],
        input_size: int,
        hidden_size: int,
        seed: Seed = 0,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype=dtype)
        seed = seed_generator(seed)
        self.forward = layer(input_size, hidden_size, seed, dtype)
        self.backward = layer(input_size, hidden_size, seed, dtype)
        self.built = True

    def call(
        self, inputs: tf.Tensor, lengths: tf.Tensor | None = None, state: State | None = None
    ) -> tuple[tf.Tensor, State]:
        """Run both ways; `state`, if given, has parts (B,2H) = [forward start; backward start]."""
        starts = (None, None) if state is None else _halves(state)
        ahead, ahead_state = self.forward(inputs, lengths, starts[0])
        back, back_state = self.backward(inputs, lengths, starts[1], reverse=True)
        both = zip(ahead_state, back_state, strict=True)
        return tf.concat([ahead, back], -1), tuple(tf.concat(pair, -1) for pair in both)


def sequence_mask(lengths: tf.Tensor, sequence: tf.Tensor) -> tf.Tensor:
    """(B,S) bool, True = real token, for a `sequence` of shape (B,S,...)."""
    if tf.executing_eagerly():  # inside tf.function there are no values to look at
        check_lengths(lengths, sequence)
    return tf.sequence_mask(lengths, tf.shape(sequence)[1])


def check_lengths(lengths: np.ndarray, sequence: np.ndarray) -> None:
    """Raise ValueError unless `lengths` has one number from 1 to S for each row of (B,S,...)."""
    lengths, (batch, size) = np.asarray(lengths), sequence.shape[:2]
    if lengths.shape != (batch,):
        raise ValueError(f"lengths must be ({batch},), one a row, got {lengths.shape}")
    if lengths.min() < 1 or lengths.max() > size:
        raise ValueError(f"lengths must lie in 1..{size}, got {lengths.min()}..{lengths.max()}")


def _reversed(sequence: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
    """The real tokens in reverse, the padding where it was (cuDNN wants it on the right)."""
    if lengths is None:
        return tf.reverse(sequence, [1])
    return tf.reverse_sequence(sequence, lengths, seq_axis=1)


def _halves(state: State) -> tuple[State, State]:
    pairs = [tf.split(part, 2, axis=-1) for part in state]
    return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)


def _swap_gates(array: np.ndarray) -> np.ndarray:
    """(..., 3H) in the order r, z, n from z, r, n, and back."""
    first, second, third = np.split(array, 3, axis=-1)
    return np.concatenate([second, first, third], axis=-1)
