"""The decoder of Luong et al. 2015: move first, then look."""

import keras
import tensorflow as tf

from attention_course.axes import LUONG_SCORES, check_option, check_score
from attention_course.keras.attention import (
    AdditiveScore,
    Attention,
    DotScore,
    GeneralScore,
    LocationScore,
    Score,
    masked_softmax,
    weighted_sum,
)
from attention_course.keras.layers import Seed, linear
from attention_course.keras.recurrent import State
from attention_course.keras.seq2seq import Memory, Seq2Seq, by_step, in_order

ATTENTIONS = ("global",)  # the local ones are in `scratch` and `pytorch` only


class LuongSeq2Seq(Seq2Seq):
    """The state *after* the step, s_t, looks up c_t; both make h̃_t, which says the word.

    s_t  = f(s_{t−1}, [E y_{t−1}; h̃_{t−1}])    section 3.3, input feeding; else E y_{t−1} alone
    α_t  = softmax(score(s_t, h_j))            eqs. 7 and 8
    c_t  = Σ_j α_tj h_j                        section 3.1
    h̃_t = tanh(W_c [c_t; s_t])                eq. 5; h̃_0 = 0
    y_t  ~ softmax(W_s h̃_t)                   eq. 6

    `score` is "dot", "scaled_dot", "general", "additive" (the paper's concat) or "location", which
    knows `places` places; the first two do not suit a bidirectional encoder, whose states have
    twice the size of the query. `attention` is "global"; "local-m" and "local-p", and with them
    `reach`, are in `scratch` and `pytorch` only. Without `input_feeding` no step waits for the one
    before and all are computed at once. Beyond the paper: W_c and W_s have biases. Its encoder and
    decoder are stacks of four layers; these have one.

    The decoder's state: the recurrent layer's; then, with input feeding, h̃ (B,H).
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        embed_size: int,
        hidden_size: int,
        cell: str = "lstm",
        bidirectional: bool = False,
        seed: int = 0,
        dtype: str | None = None,
        score: str = "general",
        input_feeding: bool = True,
        attention: str = "global",
        reach: int = 10,
        places: int = 50,
    ) -> None:
        check_score(score, bidirectional, LUONG_SCORES)
        hint = "; the local ones are in scratch and pytorch only"
        check_option("attention", attention, ATTENTIONS, hint)
        self.score, self.input_feeding, self.places = score, input_feeding, places
        sizes = (source_size, target_size, embed_size, hidden_size)
        super().__init__(*sizes, cell, bidirectional, seed, dtype)

    def decoder_sizes(self, embed_size: int) -> tuple[int, int]:
        return embed_size + self.input_feeding * self.hidden_size, self.hidden_size

    def extra_parts(self, seed: Seed, dtype: str | None) -> dict[str, keras.layers.Layer]:
        attention = Attention(self._make_score(seed, dtype))
        combine = linear(self.memory_size + self.hidden_size, self.hidden_size, seed, dtype)
        return {"attention": attention, "combine": combine}

    def _make_score(self, *rest: object) -> Score:
        sizes = (self.hidden_size, self.memory_size)
        if self.score == "general":
            return GeneralScore(*sizes, *rest)
        if self.score == "additive":
            return AdditiveScore(*sizes, self.hidden_size, *rest)
        if self.score == "location":
            return LocationScore(self.hidden_size, self.places, *rest)
        return DotScore(scaled=self.score == "scaled_dot")

    def state_parts(self) -> int:
        return self.decoder.rnn.parts + self.input_feeding

    def encode(self, source: tf.Tensor, lengths: tf.Tensor) -> tuple[Memory, State]:
        """As `Seq2Seq.encode`; `memory.keys` is what the score makes of the states, once."""
        memory, state = super().encode(source, lengths)
        if self.input_feeding:
            state = (*state, tf.zeros_like(state[0]))
        return memory._replace(keys=self.attention.score.project(memory.outputs)), state

    def decode(
        self, target_in: tf.Tensor, memory: Memory, state: State
    ) -> tuple[tf.Tensor, State, tf.Tensor]:
        """target_in (B,T) int -> logits (B,T,V), last state, weights (B,T,S)."""
        embedded = self.decoder.embedding(target_in)
        if self.input_feeding:
            said, state, weights = self._step_by_step(embedded, memory, state)
        else:
            states, state = self.decoder.rnn(embedded, None, state)
            said, weights = self.attend(states, memory)
        return self.decoder.readout(said), state, weights

    def attend(self, query: tf.Tensor, memory: Memory) -> tuple[tf.Tensor, tf.Tensor]:
        """query s_t (B,T,H) -> h̃_t (B,T,H), weights (B,T,S)."""
        scores = self.attention.score.compare(query, memory.keys)
        weights = masked_softmax(scores, memory.mask)
        context = weighted_sum(weights, memory.outputs)
        return tf.tanh(self.combine(tf.concat([context, query], axis=-1))), weights

    def _step_by_step(
        self, embedded: tf.Tensor, memory: Memory, state: State
    ) -> tuple[tf.Tensor, State, tf.Tensor]:
        """embedded (B,T,E) -> h̃ (B,T,H), last state, weights (B,T,S)."""
        words = by_step(embedded)
        size = words.size()

        def step(t: tf.Tensor, state: State, said: tf.TensorArray, seen: tf.TensorArray) -> tuple:
            *moved, fed = state
            after, moved = self.decoder.move(tf.concat([words.read(t), fed], axis=-1), moved)
            new, weights = self.attend(tf.expand_dims(after, 1), memory)
            new = tf.squeeze(new, 1)
            return t + 1, (*moved, new), said.write(t, new), seen.write(t, tf.squeeze(weights, 1))

        arrays = (tf.TensorArray(words.dtype, size) for _ in range(2))
        # One body for every step, compiled for any T; Python's own loop would be unrolled.
        start = (tf.constant(0), tuple(state), *arrays)
        _, state, said, seen = tf.while_loop(lambda t, *_: t < size, step, start)
        return in_order(said), state, in_order(seen)
