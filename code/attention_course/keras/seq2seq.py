"""Encoder–decoder models without attention, and one with the plainest attention as a preview."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from attention_course.keras.attention import dot_product_attention
from attention_course.keras.layers import Seed, embedding, linear
from attention_course.keras.recurrent import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    State,
    check_lengths,
    sequence_mask,
)

CELLS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


class Memory(NamedTuple):
    """What the encoder leaves behind for the decoder."""

    outputs: tf.Tensor  # (B,S,H), or (B,S,2H) bidirectional: one state a source token
    mask: tf.Tensor  # (B,S) bool, True = real token
    context: tf.Tensor  # (B,H): the one fixed vector


class Encoder(keras.layers.Layer):
    """Embedding, then a recurrent layer over the real tokens."""

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        hidden_size: int,
        cell: str,
        bidirectional: bool,
        seed: Seed = 0,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype=dtype)
        layer = CELLS[cell]
        self.embedding = embedding(vocab_size, embed_size, seed, dtype)
        self.rnn = (
            Bidirectional(layer, embed_size, hidden_size, seed, dtype)
            if bidirectional
            else layer(embed_size, hidden_size, seed, dtype)
        )
        self.built = True

    def call(self, source: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, State]:
        """source (B,S) int, lengths (B,) -> outputs (B,S,H or 2H), final state."""
        return self.rnn(self.embedding(source), lengths)


class Decoder(keras.layers.Layer):
    """Embedding, recurrent layer, readout to the vocabulary; `*_extra` numbers are joined to their
    inputs.

    It has no `call`: `Seq2Seq.decode` says how the three are connected.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        hidden_size: int,
        cell: str,
        rnn_extra: int,
        readout_extra: int,
        seed: Seed = 0,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype=dtype)
        self.embedding = embedding(vocab_size, embed_size, seed, dtype)
        self.rnn = CELLS[cell](embed_size + rnn_extra, hidden_size, seed, dtype)
        self.readout = linear(hidden_size + readout_extra, vocab_size, seed, dtype)
        self.built = True


class Seq2Seq(keras.Model):
    """Encoder's final state = decoder's first state, and nothing else passes (Sutskever et al.
    2014).

    `cell` is "rnn", "gru" or "lstm" (which hands over h and c). With a bidirectional encoder the
    two final states, 2H numbers, are brought to H by tanh of a linear `bridge`. `seed` fixes the
    initial weights. `dtype` is that of weights and results, Keras's default (float32) if None.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        embed_size: int,
        hidden_size: int,
        cell: str = "gru",
        bidirectional: bool = False,
        seed: int = 0,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype=dtype)
        if cell not in CELLS:
            raise ValueError(f"cell must be one of {sorted(CELLS)}, got {cell!r}")
        self.hidden_size = hidden_size
        self.memory_size = 2 * hidden_size if bidirectional else hidden_size
        self.bidirectional = bidirectional
        draws = keras.random.SeedGenerator(seed)
        self.encoder = Encoder(
            source_size, embed_size, hidden_size, cell, bidirectional, draws, dtype
        )
        self.decoder = Decoder(
            target_size, embed_size, hidden_size, cell, *self.extra_inputs(), draws, dtype
        )
        if bidirectional:
            self.bridge = linear(2 * hidden_size, hidden_size, draws, dtype)
            if cell == "lstm":
                self.bridge_cell = linear(2 * hidden_size, hidden_size, draws, dtype)
        self.built = True
        # Compiled once for any lengths: batch and time are unknown sizes after the second call.
        self._start = tf.function(self.encode, reduce_retracing=True)
        self._step = tf.function(self._decode_step, reduce_retracing=True)

    # What a kind of decoder decides: these three and nothing else.

    def extra_inputs(self) -> tuple[int, int]:
        """How many numbers join the decoder's recurrent input and its readout's input."""
        return 0, 0

    def rnn_inputs(self, embedded: tf.Tensor, memory: Memory) -> tf.Tensor:
        """What the decoder's recurrent layer reads at each step, (B,T,·)."""
        return embedded

    def readout_inputs(self, states: tf.Tensor, memory: Memory) -> tf.Tensor:
        """What the readout sees at each step, (B,T,·)."""
        return states

    # The model.

    def encode(self, source: tf.Tensor, lengths: tf.Tensor) -> tuple[Memory, State]:
        """source (B,S) int, lengths (B,) -> memory, first decoder state."""
        outputs, state = self.encoder(source, lengths)
        if self.bidirectional:
            bridges = [self.bridge, getattr(self, "bridge_cell", None)]
            state = tuple(tf.tanh(bridge(part)) for bridge, part in zip(bridges, state))
        return Memory(outputs, sequence_mask(lengths, source), state[0]), state

    def decode(self, target_in: tf.Tensor, memory: Memory, state: State) -> tuple[tf.Tensor, State]:
        """target_in (B,T) int, all steps at once (T = 1 while decoding) -> logits (B,T,V), last
        state.
        """
        embedded = self.decoder.embedding(target_in)
        states, state = self.decoder.rnn(self.rnn_inputs(embedded, memory), None, state)
        return self.decoder.readout(self.readout_inputs(states, memory)), state

    def call(self, source: tf.Tensor, source_lengths: tf.Tensor, target_in: tf.Tensor) -> tf.Tensor:
        """Teacher forcing: logits (B,T,V) for the whole target at once."""
        memory, state = self.encode(source, source_lengths)
        return self.decode(target_in, memory, state)[0]

    # The decoding protocol of `attention_course.decoding`: NumPy in, NumPy out.

    def start(self, source: np.ndarray, source_lengths: np.ndarray) -> tuple[Memory, State]:
        """Encode a batch; the result is the first `state` for `step`."""
        check_lengths(source_lengths, np.asarray(source))
        return self._start(_ids(source), _ids(source_lengths))

    def step(
        self, state: tuple[Memory, State], tokens: np.ndarray
    ) -> tuple[np.ndarray, tuple[Memory, State]]:
        """One decoder step: tokens (B,) -> log-probabilities (B,V), next state."""
        memory, hidden = state
        log_probs, hidden = self._step(_ids(tokens), memory, hidden)
        return log_probs.numpy(), (memory, hidden)

    def _decode_step(
        self, tokens: tf.Tensor, memory: Memory, hidden: State
    ) -> tuple[tf.Tensor, State]:
        logits, hidden = self.decode(tokens[:, None], memory, hidden)
        return tf.nn.log_softmax(logits[:, 0]), hidden


class PeekySeq2Seq(Seq2Seq):
    """The same fixed vector, handed to *every* decoder step and readout (Cho et al. 2014)."""

    def extra_inputs(self) -> tuple[int, int]:
        return self.hidden_size, self.hidden_size

    def rnn_inputs(self, embedded: tf.Tensor, memory: Memory) -> tf.Tensor:
        return _join(embedded, memory.context)

    def readout_inputs(self, states: tf.Tensor, memory: Memory) -> tf.Tensor:
        return _join(states, memory.context)


class DotSeq2Seq(Seq2Seq):
    """A preview of Chapter 2: the readout sees [s_t; c_t], c_t looked up by s_t in *all* encoder
    states.

    Simplified Luong (dot score; no W_c, no tanh, no input feeding). The encoder must be
    unidirectional, since the dot product needs queries and keys of one size.
    """

    def extra_inputs(self) -> tuple[int, int]:
        if self.memory_size != self.hidden_size:
            raise ValueError(
                "bidirectional must be False: the dot score needs keys of size "
                f"{self.hidden_size} like the queries, got {self.memory_size}"
            )
        return 0, self.hidden_size

    def readout_inputs(self, states: tf.Tensor, memory: Memory) -> tf.Tensor:
        context, _ = dot_product_attention(
            states, memory.outputs, memory.outputs, memory.mask[:, None, :]
        )
        return tf.concat([states, context], axis=-1)


def _join(sequence: tf.Tensor, vector: tf.Tensor) -> tf.Tensor:
    """(B,T,·) with (B,H) repeated at every step -> (B,T,·+H)."""
    repeated = tf.repeat(vector[:, None, :], tf.shape(sequence)[1], axis=1)
    return tf.concat([sequence, repeated], axis=-1)


def _ids(array: np.ndarray) -> tf.Tensor:
    return tf.constant(np.asarray(array), tf.int32)
