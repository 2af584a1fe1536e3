"""The decoder of Bahdanau et al. 2015: look first, then move. Forward and backward."""

from copy import copy

import numpy as np

from attention_course.axes import check_truth
from attention_course.scratch.attention import (
    AdditiveScore,
    Attention,
    WeightedSum,
    masked_softmax,
)
from attention_course.scratch.functional import softmax_backward
from attention_course.scratch.layers import GradientSums, Layer, Linear, Maxout, expect
from attention_course.scratch.recurrent import State
from attention_course.scratch.seq2seq import Memory, Seq2Seq

READOUTS = ("linear", "maxout")


class BahdanauSeq2Seq(Seq2Seq):
    """The state *before* the step, s_{t−1}, looks up c_t, and c_t helps to make s_t and y_t.

    e_tj = v · tanh(W s_{t−1} + U h_j)          appendix A.1.2; U h_j once a sentence
    α_t  = softmax(e_t),  c_t = Σ_j α_tj h_j    eqs. 6 and 5
    s_t  = f(s_{t−1}, [E y_{t−1}; c_t])         section 3.1; f is `cell`
    y_t  ~ softmax of the readout               eq. 4

    The annotations h_j are the 2H states of an encoder that reads both ways. `readout` "linear" is
    one layer on [s_t; c_t; E y_{t−1}], a simplification; "maxout" is the paper's (appendix A.2.2):
    the larger of each two neighbours of a layer on [s_{t−1}; c_t; E y_{t−1}], H/2 numbers, then
    the last layer. Also simpler than the paper: s_0 = tanh of a layer on both final states of the
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
        dtype: np.dtype | type = np.float32,
        readout: str = "linear",
    ) -> None:
        if readout not in READOUTS:
            raise ValueError(f"readout must be one of {READOUTS}, got {readout!r}")
        if readout == "maxout" and hidden_size % 2:
            raise ValueError(f"hidden_size must be even for maxout, got {hidden_size}")
        self.readout, self.embed_size = readout, embed_size
        sizes = (source_size, target_size, embed_size, hidden_size)
        super().__init__(*sizes, cell, bidirectional, seed, dtype)

    def decoder_sizes(self, embed_size: int) -> tuple[int, int]:
        rnn_size = embed_size + self.memory_size
        if self.readout == "maxout":
            return rnn_size, self.hidden_size // 2
        return rnn_size, self.hidden_size + rnn_size

    def extra_parts(
        self, generator: np.random.Generator, dtype: np.dtype | type
    ) -> dict[str, Layer]:
        sizes = (self.hidden_size, self.memory_size, self.hidden_size)
        self.score = AdditiveScore(*sizes, generator, dtype)
        parts: dict[str, Layer] = {"attention": Attention(self.score)}
        if self.readout == "maxout":
            seen = self.hidden_size + self.embed_size + self.memory_size
            parts["maxout"] = self.maxout = Linear(seen, self.hidden_size, generator, dtype)
            self.larger = Maxout()
        return parts

    def encode(self, source: np.ndarray, lengths: np.ndarray) -> tuple[Memory, State]:
        """As `Seq2Seq.encode`; `memory.keys` are the projected annotations U h_j, (B,S,H)."""
        memory, state = super().encode(source, lengths)
        return memory._replace(keys=self.score.project(memory.outputs)), state

    def encode_backward(self, dmemory: Memory, dstate: State, state: State) -> None:
        dmemory.outputs[...] += self.score.project_backward(dmemory.keys)
        super().encode_backward(dmemory, dstate, state)

    def decode(
        self,
        target_in: np.ndarray,
        memory: Memory,
        state: State,
        truth: np.ndarray | None = None,
    ) -> tuple[np.ndarray, State, np.ndarray]:
        """As `Seq2Seq.decode`: target_in (B,T) int -> logits (B,T,V), last state, weights (B,T,S).

        Scheduled sampling (Bengio et al. 2015): where `truth` (B,T) bool is False, the decoder
        reads not the token of `target_in` but the one it found most probable a step before; the
        first token is always the given one.
        """
        expect("target_in", target_in, np.integer, B=len(memory.context), T=None)
        check_truth(np.ndarray, truth, target_in)
        read = target_in.copy()
        self._steps, seen = [], []
        for t in range(target_in.shape[1]):
            if truth is not None and t > 0 and not truth[:, t].all():
                said = self._logits(*seen[-1])[:, 0].argmax(axis=-1)
                read[:, t] = np.where(truth[:, t], target_in[:, t], said)
            step = _Step(self.score, self.decoder.rnn)
            word = self.decoder.embedding.forward(read[:, t : t + 1])
            before = state[0][:, None]
            after, context, state = step.forward(word, state, memory)
            self._steps.append(step)
            seen.append((before, after, context, word))
        self.decoder.embedding.forward(read)  # so that its `backward` knows all steps
        logits = self._logits(*(np.concatenate(parts, axis=1) for parts in zip(*seen)))
        return logits, state, np.concatenate([step.weights for step in self._steps], axis=1)

    def decode_backward(self, dlogits: np.ndarray, memory: Memory) -> tuple[Memory, State]:
        """dlogits (B,T,V) -> gradients of `memory` and of the first decoder state."""
        dbefore, dafter, dcontext, dword = self._logits_backward(dlogits)
        zeros = map(np.zeros_like, (memory.outputs, memory.context, memory.keys))
        dmemory = Memory(next(zeros), None, *zeros)
        rnn = self.decoder.rnn
        sums = GradientSums(rnn), GradientSums(self.score)
        dstate = tuple(np.zeros_like(memory.context) for _ in range(rnn.parts))
        for t in reversed(range(len(self._steps))):
            now = slice(t, t + 1)
            dstate = (dstate[0] + dafter[:, t], *dstate[1:])
            dread, dstate = self._steps[t].backward(dstate, dcontext[:, now], dmemory)
            dstate = (dstate[0] + dbefore[:, t], *dstate[1:])
            dword[:, now] += dread
            for total in sums:
                total.add()
        for total in sums:
            total.write()
        self.decoder.embedding.backward(dword)
        return dmemory, dstate

    def forward(
        self,
        source: np.ndarray,
        source_lengths: np.ndarray,
        target_in: np.ndarray,
        truth: np.ndarray | None = None,
    ) -> np.ndarray:
        """Teacher forcing, or scheduled sampling with `truth` (B,T): logits (B,T,V)."""
        memory, state = self.encode(source, source_lengths)
        logits, _, _ = self.decode(target_in, memory, state, truth)
        self._cache = (memory, state)
        return logits

    def _logits(
        self, before: np.ndarray, after: np.ndarray, context: np.ndarray, word: np.ndarray
    ) -> np.ndarray:
        """States before and after each step, contexts and words read, (B,T,·) -> logits (B,T,V)."""
        state = after if self.readout == "linear" else before
        seen = np.concatenate([state, context, word], axis=-1)
        if self.readout == "maxout":
            seen = self.larger.forward(self.maxout.forward(seen))
        return self.decoder.readout.forward(seen)

    def _logits_backward(self, dlogits: np.ndarray) -> tuple[np.ndarray, ...]:
        """dlogits (B,T,V) -> dbefore, dafter, dcontext, dword, each (B,T,·)."""
        dseen = self.decoder.readout.backward(dlogits)
        if self.readout == "maxout":
            dseen = self.maxout.backward(self.larger.backward(dseen))
        parts = np.split(dseen, [self.hidden_size, self.hidden_size + self.memory_size], axis=-1)
        dstate, dcontext, dword = parts
        nothing = np.zeros_like(dstate)
        states = (nothing, dstate) if self.readout == "linear" else (dstate, nothing)
        return *states, dcontext, dword


class _Step:
    """One step of the decoder, which remembers its own call; parameters are shared by all steps."""

    def __init__(self, score: AdditiveScore, rnn: Layer) -> None:
        self.score, self.rnn, self.weighted_sum = copy(score), copy(rnn), WeightedSum()

    def forward(
        self, word: np.ndarray, state: State, memory: Memory
    ) -> tuple[np.ndarray, np.ndarray, State]:
        """word (B,1,E) -> state after the step (B,1,H), context (B,1,2H), next state."""
        scores = self.score.compare(state[0][:, None], memory.keys)
        self.weights = masked_softmax(scores, memory.mask)
        context = self.weighted_sum.forward(self.weights, memory.outputs)
        inputs = np.concatenate([word, context], axis=-1)
        after, state = self.rnn.forward(inputs, None, state)
        return after, context, state

    def backward(
        self, dstate: State, dcontext: np.ndarray, dmemory: Memory
    ) -> tuple[np.ndarray, State]:
        """From the gradients of the next state and of the context to those of the word (B,1,E) and
        of the state before; what belongs to the memory is added to `dmemory`.
        """
        dinputs, dstate = self.rnn.backward(None, dstate)
        dword, dmore = np.split(dinputs, [dinputs.shape[-1] - dcontext.shape[-1]], axis=-1)
        dweights, dvalue = self.weighted_sum.backward(dcontext + dmore)
        dscores = softmax_backward(self.weights, dweights)
        dquery, dkeys = self.score.compare_backward(dscores)
        dmemory.outputs[...] += dvalue
        dmemory.keys[...] += dkeys
        return dword, (dstate[0] + dquery[:, 0], *dstate[1:])
