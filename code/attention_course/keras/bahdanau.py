"""The decoder of Bahdanau et al. 2015: look first, then move."""

import keras
import tensorflow as tf

from attention_course.axes import check_truth
from attention_course.keras.attention import (
    AdditiveScore,
    Attention,
    masked_softmax,
    weighted_sum,
)
from attention_course.keras.layers import Seed
from attention_course.keras.recurrent import State
from attention_course.keras.seq2seq import Memory, Seq2Seq, by_step, in_order

READOUTS = ("linear",)
Steps = tuple[tf.TensorArray, ...]


class BahdanauSeq2Seq(Seq2Seq):
    """The state *before* the step, s_{t−1}, looks up c_t, and c_t helps to make s_t and y_t.

    e_tj = v · tanh(W s_{t−1} + U h_j)          appendix A.1.2; U h_j once a sentence
    α_t  = softmax(e_t),  c_t = Σ_j α_tj h_j    eqs. 6 and 5
    s_t  = f(s_{t−1}, [E y_{t−1}; c_t])         section 3.1; f is `cell`
    y_t  ~ softmax of the readout               eq. 4

    The annotations h_j are the 2H states of an encoder that reads both ways. `readout` "linear" is
    one layer on [s_t; c_t; E y_{t−1}], a simplification; the paper's, "maxout", is in `scratch` and
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
        words = by_step(self.decoder.embedding(target_in))
        size = words.size()
        if truth is not None:
            truth = tf.convert_to_tensor(truth)
            check_truth(tf.Tensor, truth, target_in)
            doubted = ~tf.concat([tf.reduce_all(truth[:, 1:], axis=0), [True]], axis=0)  # after t

        def step(t: tf.Tensor, state: State, said: tf.Tensor, steps: Steps) -> tuple:
            word = words.read(t)
            if truth is not None:
                word = tf.where(truth[:, t, None], word, self.decoder.embedding(said))
            context, weights = self.attend(tf.expand_dims(state[0], 1), memory)
            context, weights = tf.squeeze(context, 1), tf.squeeze(weights, 1)
            after, state = self.decoder.move(tf.concat([word, context], axis=-1), state)
            if truth is not None:
                said = self._say(said, doubted[t], after, context, word)
            now = (after, context, word, weights)
            return t + 1, state, said, tuple(a.write(t, part) for a, part in zip(steps, now))

        first = tf.cast(target_in[:, 0], tf.int32)
        steps = tuple(tf.TensorArray(words.dtype, size) for _ in range(4))
        # One body for every step, compiled for any T; Python's own loop would be unrolled.
        start = (tf.constant(0), tuple(state), first, steps)
        _, state, _, steps = tf.while_loop(lambda t, *_: t < size, step, start)
        *seen, weights = map(in_order, steps)
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

    def _say(self, said: tf.Tensor, doubted: tf.Tensor, *seen: tf.Tensor) -> tf.Tensor:
        """The most probable token (B,) where the next step reads it; else `said`, unchanged."""

        def most_probable() -> tf.Tensor:
            return tf.argmax(self._logits(*seen), axis=-1, output_type=tf.int32)

        return tf.cond(doubted, most_probable, lambda: said)

    def _logits(self, after: tf.Tensor, context: tf.Tensor, word: tf.Tensor) -> tf.Tensor:
        """States after each step, contexts and words read, (...,·) -> logits (...,V)."""
        return self.decoder.readout(tf.concat([after, context, word], axis=-1))
