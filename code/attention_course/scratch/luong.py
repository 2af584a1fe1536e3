"""The decoder of Luong et al. 2015: move first, then look. Forward and backward."""

from copy import copy

import numpy as np

from attention_course.axes import ATTENTIONS, LUONG_SCORES, check_option, check_score
from attention_course.scratch.attention import (
    AdditiveScore,
    Attention,
    DotScore,
    GeneralScore,
    LocationScore,
    Score,
    WeightedSum,
    masked_softmax,
)
from attention_course.scratch.functional import softmax_backward
from attention_course.scratch.layers import GradientSums, Layer, Linear, expect
from attention_course.scratch.local import LocalAttention, PlacePredictor
from attention_course.scratch.recurrent import State
from attention_course.scratch.seq2seq import Memory, Seq2Seq


class LuongSeq2Seq(Seq2Seq):
    """The state *after* the step, s_t, looks up c_t; both make h̃_t, which says the word.

    s_t  = f(s_{t−1}, [E y_{t−1}; h̃_{t−1}])    section 3.3, input feeding; else E y_{t−1} alone
    α_t  = softmax(score(s_t, h_j))            eqs. 7 and 8
    c_t  = Σ_j α_tj h_j                        section 3.1
    h̃_t = tanh(W_c [c_t; s_t])                eq. 5; h̃_0 = 0
    y_t  ~ softmax(W_s h̃_t)                   eq. 6

    `score` is "dot", "scaled_dot", "general", "additive" (the paper's concat) or "location", which
    knows `places` places; the first two do not suit a bidirectional encoder, whose states have
    twice the size of the query. `attention` is "global", or "local-m" or "local-p", which see
    `reach` places to both sides of one (see `local`). Without `input_feeding` no step waits for the
    one before and all are computed at once. Beyond the paper: W_c and W_s have biases. Its encoder
    and decoder are stacks of four layers; these have one.

    The decoder's state: the recurrent layer's; then, with input feeding, h̃ (B,H); then, for
    "local-m", the number of the next step (B,1).
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
        dtype: np.dtype | type = np.float32,
        score: str = "general",
        input_feeding: bool = True,
        attention: str = "global",
        reach: int = 10,
        places: int = 50,
    ) -> None:
        check_score(score, bidirectional, LUONG_SCORES)
        check_option("attention", attention, ATTENTIONS)
        self.score, self.input_feeding = score, input_feeding
        self.kind, self.reach, self.places = attention, reach, places
        sizes = (source_size, target_size, embed_size, hidden_size)
        super().__init__(*sizes, cell, bidirectional, seed, dtype)

    def decoder_sizes(self, embed_size: int) -> tuple[int, int]:
        return embed_size + self.input_feeding * self.hidden_size, self.hidden_size

    def extra_parts(
        self, generator: np.random.Generator, dtype: np.dtype | type
    ) -> dict[str, Layer]:
        score, hidden = self._make_score(generator, dtype), self.hidden_size
        if self.kind == "global":
            self.attention: Layer = Attention(score)
        else:
            predicts = self.kind == "local-p"
            predictor = PlacePredictor(hidden, hidden, generator, dtype) if predicts else None
            self.attention = LocalAttention(score, self.reach, predictor)
        self.combine = Linear(self.memory_size + hidden, hidden, generator, dtype)
        return {"attention": self.attention, "combine": self.combine}

    def _make_score(self, *rest: object) -> Score:
        sizes = (self.hidden_size, self.memory_size)
        if self.score == "general":
            return GeneralScore(*sizes, *rest)
        if self.score == "additive":
            return AdditiveScore(*sizes, self.hidden_size, *rest)
        if self.score == "location":
            return LocationScore(self.hidden_size, self.places, *rest)
        return DotScore(scaled=self.score == "scaled_dot")

    @property
    def _score(self) -> Score:
        return (
            self.attention.attention_weight.score
            if self.kind == "global"
            else (self.attention.score)
        )

    def encode(self, source: np.ndarray, lengths: np.ndarray) -> tuple[Memory, State]:
        """As `Seq2Seq.encode`; `memory.keys` is what the score makes of the states, once."""
        memory, state = super().encode(source, lengths)
        if self.input_feeding:
            state = (*state, np.zeros_like(state[0]))
        if self.kind == "local-m":
            state = (*state, np.zeros_like(state[0][:, :1]))
        return memory._replace(keys=self._score.project(memory.outputs)), state

    def encode_backward(self, dmemory: Memory, dstate: State, state: State) -> None:
        dmemory.outputs[...] += self._score.project_backward(dmemory.keys)
        parts = self.decoder.rnn.parts
        super().encode_backward(dmemory, dstate[:parts], state[:parts])

    def decode(
        self, target_in: np.ndarray, memory: Memory, state: State
    ) -> tuple[np.ndarray, State, np.ndarray]:
        """target_in (B,T) int -> logits (B,T,V), last state, weights (B,T,S)."""
        expect("target_in", target_in, np.integer, B=len(memory.context), T=None)
        words = self.decoder.embedding.forward(target_in)
        times = range(words.shape[1])
        # With input feeding one word at a time; without it all of them are one step.
        inputs = [words[:, t : t + 1] for t in times] if self.input_feeding else [words]
        self._steps = [_Step(self) for _ in inputs]
        said = []
        for step, part in zip(self._steps, inputs):
            new, state = step.forward(part, memory, state)
            said.append(new)
        logits = self.decoder.readout.forward(np.concatenate(said, axis=1))
        return logits, state, np.concatenate([step.weights for step in self._steps], axis=1)

    def decode_backward(self, dlogits: np.ndarray, memory: Memory) -> tuple[Memory, State]:
        """dlogits (B,T,V) -> gradients of `memory` and of the first decoder state."""
        dsaid = self.decoder.readout.backward(dlogits)
        zeros = map(np.zeros_like, (memory.outputs, memory.context, memory.keys))
        dmemory = Memory(next(zeros), None, *zeros)
        rnn = self.decoder.rnn
        sums = [GradientSums(layer) for layer in (rnn, self.attention, self.combine)]
        dstate = tuple(np.zeros_like(memory.context) for _ in range(rnn.parts))
        dfed, dwords = np.zeros_like(memory.context), []
        size = dsaid.shape[1] // len(self._steps)
        for t in reversed(range(len(self._steps))):
            dnew = dsaid[:, t * size : (t + 1) * size].copy()
            dnew[:, -1] += dfed
            dword, dfed, dstate = self._steps[t].backward(dnew, dstate, dmemory)
            dwords.append(dword)
            for total in sums:
                total.add()
        for total in sums:
            total.write()
        self.decoder.embedding.backward(np.concatenate(dwords[::-1], axis=1))
        return dmemory, dstate


class _Step:
    """One step of the decoder, or all at once without input feeding, which remembers its own call;
    parameters are shared by all steps.
    """

    def __init__(self, model: LuongSeq2Seq) -> None:
        self.feeds, self.kind = model.input_feeding, model.kind
        self.rnn, self.combine = copy(model.decoder.rnn), copy(model.combine)
        self.score, self.weighted_sum = copy(model._score), WeightedSum()
        if model.kind != "global":
            self.local = copy(model.attention)
            self.local.score, self.local.predictor = self.score, copy(self.local.predictor)

    def forward(self, words: np.ndarray, memory: Memory, state: State) -> tuple[np.ndarray, State]:
        """words (B,T,E) -> h̃ (B,T,H), next state."""
        moved, more = state[: self.rnn.parts], list(state[self.rnn.parts :])
        inputs = np.concatenate([words, more[0][:, None]], axis=-1) if self.feeds else words
        states, moved = self.rnn.forward(inputs, None, moved)
        self.weights = self._look(states, memory, more[-1] if more else None)
        context = self.weighted_sum.forward(self.weights, memory.outputs)
        self.said = np.tanh(self.combine.forward(np.concatenate([context, states], axis=-1)))
        if self.feeds:
            more[0] = self.said[:, -1]
        if self.kind == "local-m":
            more[-1] = more[-1] + words.dtype.type(words.shape[1])
        return self.said, (*moved, *more)

    def _look(self, query: np.ndarray, memory: Memory, first: np.ndarray | None) -> np.ndarray:
        """query s_t (B,T,H) -> weights (B,T,S)."""
        if self.kind == "global":
            return masked_softmax(self.score.compare(query, memory.keys), memory.mask)
        places = first + np.arange(query.shape[1]) if self.kind == "local-m" else None
        return self.local.weights(query, memory.keys, memory.mask, places)

    def backward(
        self, dsaid: np.ndarray, dstate: State, dmemory: Memory
    ) -> tuple[np.ndarray, np.ndarray | int, State]:
        """From the gradients of h̃ (B,T,H) and of the next state to those of the words (B,T,E), of
        the h̃ that was fed (B,H) and of the state before; the memory's is added to `dmemory`.
        """
        dseen = self.combine.backward(dsaid * (1 - self.said * self.said))
        dcontext, dstates = np.split(dseen, [dseen.shape[-1] - dsaid.shape[-1]], axis=-1)
        dweights, dvalue = self.weighted_sum.backward(np.ascontiguousarray(dcontext))
        if self.kind == "global":
            dscores = softmax_backward(self.weights, dweights)
            dquery, dkeys = self.score.compare_backward(dscores)
        else:
            dquery, dkeys = self.local.weights_backward(dweights)
        dmemory.outputs[...] += dvalue
        dmemory.keys[...] += dkeys
        dinputs, dstate = self.rnn.backward(dstates + dquery, dstate)
        if not self.feeds:
            return dinputs, 0, dstate
        dwords, dfed = np.split(dinputs, [dinputs.shape[-1] - dsaid.shape[-1]], axis=-1)
        return dwords, dfed[:, 0], dstate
