"""The decoder of Bahdanau et al. 2015: look first, then move."""

import keras
import tensorflow as tf

from attention_course.keras.attention import (
    AdditiveScore,
    Attention,
    masked_softmax,
    weighted_sum,
)
from attention_course.keras.layers import Seed
from attention_course.keras.recurrent import State
from attention_course.keras.seq2seq import Memory, Seq2Seq

READOUTS = ("linear",)


class BahdanauSeq2Seq(Seq2Seq):
    """The state *before* the step, s_{t−1}, looks up c_t, and c_t helps to make s_t and y_t.

    e_tj = v · tanh(W s_{t−1} + U h_j)          appendix A.1.2; U h_j once a sentence
    α_t  = softmax(e_t),  c_t = Σ_j α_tj h_j    eqs. 6 and 5
    s_t  = f(s_{t−1}, [E y_{t−1}; c_t])         section 3.1; f is `cell`
    y_t  ~ softmax of the readout               eq. 4

    The annotations h_j are the 2H states of an encoder that reads both ways. `readout` "linear" is
    one layer on [s_t; c_t; E y_{t−1}], a simplification; the paper's "maxout" is in `scratch` and
    `pytorch` only. Also simpler than the paper: s_0 = tanh of a layer on both final states of the
    encoder, where the paper takes the backward one alone.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        embed_size: int,
        hidden_size: int,
        cell: str = "gru",
        bidirectional: bool = True,
        seed: int = 0,
        dtype: str | None = None,
        readout: str = "linear",
    ) -> None:
        if readout not in READOUTS:
            raise ValueError(f"readout must be one of {READOUTS}, got {readout!r}")
        self.readout = readout
        sizes = (source_size, target_size, embed_size, hidden_size)
        super().__init__(*sizes, cell, bidirectional, seed, dtype)

    def decoder_sizes(self, embed_size: int) -> tuple[int, int]:
        rnn_size = embed_size + self.memory_size
        return rnn_size, self.hidden_size + rnn_size

    def extra_parts(self, seed: Seed, dtype: str | None) -> dict[str, keras.layers.Layer]:
        sizes = (self.hidden_size, self.memory_size, self.hidden_size)
        return {"attention": Attention(AdditiveScore(*sizes, seed, dtype))}

    def encode(self, source: tf.Tensor, lengths: tf.Tensor) -> tuple[Memory, State]:
        """As `Seq2Seq.encode`; `memory.keys` are the projected annotations U h_j, (B,S,H)."""
        memory, state = super().encode(source, lengths)
        return memory._replace(keys=self.attention.score.project(memory.outputs)), state

    def attend(self, query: tf.Tensor, memory: Memory) -> tuple[tf.Tensor, tf.Tensor]:
        """query s_{t−1} (B,1,H) -> context c_t (B,1,2H), weights α_t (B,1,S)."""
        scores = self.attention.score.compare(query, memory.keys)
        weights = masked_softmax(scores, memory.mask)
        return weighted_sum(weights, memory.outputs), weights

    def decode(
        self,
        target_in: tf.Tensor,
        memory: Memory,
        state: State,
        truth: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, State, tf.Tensor]:
        """As `Seq2Seq.decode`: target_in (B,T) int -> logits (B,T,V), last state, weights (B,T,S).

        Scheduled sampling (Bengio et al. 2015): where `truth` (B,T) bool is False, the decoder
        reads not the token of `target_in` but the one it found most probable a step before.
        """
        target_in = tf.transpose(target_in)  # (T,B), like all below until the loop has ended
        truth = None if truth is None else tf.transpose(truth)
        size = tf.shape(target_in)[0]
        words = _array(self.decoder.embedding(target_in))
        cell = self.decoder.rnn.rnn.cell

        def step(t, state, said, seen):
            word = words.read(t)
            if truth is not None and t > 0:
                word = tf.where(truth[t, :, None], word, self.decoder.embedding(said))
            context, weights = self.attend(state[0][:, None], memory)
            inputs = tf.concat([word, context[:, 0]], axis=-1)
            after, state = cell(inputs, list(state))
            now = (after, context[:, 0], word, weights[:, 0])
            if truth is not None:
                said = self._said(t, now[:-1], truth)
            return t + 1, tuple(state), said, tuple(map(tf.TensorArray.write, seen, (t,) * 4, now))

        seen = tuple(tf.TensorArray(state[0].dtype, size) for _ in range(4))
        start = (0, state, target_in[0], seen)
        _, state, _, seen = tf.while_loop(lambda t, *_: t < size, step, start)
        *seen, weights = (_batch_first(array) for array in seen)
        return self._logits(*seen), state, weights

    def call(
        self,
        source: tf.Tensor,
        source_lengths: tf.Tensor,
        target_in: tf.Tensor,
        truth: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Teacher forcing, or scheduled sampling with `truth` (B,T): logits (B,T,V)."""
        memory, state = self.encode(source, source_lengths)
        return self.decode(target_in, memory, state, truth)[0]

    def _logits(self, after: tf.Tensor, context: tf.Tensor, word: tf.Tensor) -> tf.Tensor:
        """States after each step, contexts and words read, (...,·) -> logits (...,V)."""
        return self.decoder.readout(tf.concat([after, context, word], axis=-1))

def _array(sequence):
    return tf.TensorArray(sequence.dtype, tf.shape(sequence)[0]).unstack(sequence)

def _batch_first(array):
    return tf.experimental.numpy.swapaxes(array.stack(), 0, 1)
