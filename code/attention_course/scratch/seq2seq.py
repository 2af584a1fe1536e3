"""Encoder–decoder models: what passes is one vector, or all encoder states to look things up in."""

from typing import NamedTuple

import numpy as np

from attention_course.axes import check_score
from attention_course.scratch.attention import AdditiveScore, Attention, DotScore, GeneralScore
from attention_course.scratch.functional import log_softmax
from attention_course.scratch.layers import Embedding, Layer, Linear, expect
from attention_course.scratch.masks import padding_mask
from attention_course.scratch.recurrent import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    State,
    checked_lengths,
)

CELLS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


class Memory(NamedTuple):
    """What the encoder leaves behind for the decoder; also the gradients of it (without a mask)."""

    outputs: np.ndarray  # (B,S,H), or (B,S,2H) bidirectional: one state a source token
    mask: np.ndarray | None  # (B,1,S) bool, True = real token
    context: np.ndarray  # (B,H): the one fixed vector
    keys: np.ndarray | None = None  # (B,S,A): what a score makes of the outputs once a sentence


class Decoding(NamedTuple):
    """Where decoding stands: the state of the protocol of `attention_course.decoding`."""

    memory: Memory
    hidden: State
    weights: np.ndarray | None = None  # (B,S): where the last step looked, if the model looks


class Encoder(Layer):
    """Embedding, then a recurrent layer over the real tokens."""

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        hidden_size: int,
        cell: str,
        bidirectional: bool,
        generator: np.random.Generator,
        dtype: np.dtype | type,
    ) -> None:
        self.embedding = Embedding(vocab_size, embed_size, generator, dtype)
        sizes = (embed_size, hidden_size, generator, dtype)
        self.rnn = Bidirectional(CELLS[cell], *sizes) if bidirectional else CELLS[cell](*sizes)
        super().__init__(parts={"embedding": self.embedding, "rnn": self.rnn})

    def forward(self, source: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, State]:
        """source (B,S) int, lengths (B,) -> outputs (B,S,H or 2H), final state."""
        return self.rnn.forward(self.embedding.forward(source), lengths)

    def backward(self, doutputs: np.ndarray | None, dstate: State | None) -> None:
        dembedded, _ = self.rnn.backward(doutputs, dstate)
        self.embedding.backward(dembedded)


class Decoder(Layer):
    """Embedding, recurrent layer, readout to the vocabulary; `*_size` is what the last two read."""

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        hidden_size: int,
        cell: str,
        rnn_size: int,
        readout_size: int,
        generator: np.random.Generator,
        dtype: np.dtype | type,
    ) -> None:
        self.embedding = Embedding(vocab_size, embed_size, generator, dtype)
        self.rnn = CELLS[cell](rnn_size, hidden_size, generator, dtype)
        self.readout = Linear(readout_size, vocab_size, generator, dtype)
        parts = {"embedding": self.embedding, "rnn": self.rnn, "readout": self.readout}
        super().__init__(parts=parts)


class Seq2Seq(Layer):
    """Encoder's final state = decoder's first state, and nothing else passes.

    Sutskever et al. 2014. `cell` is "rnn", "gru" or "lstm" (which hands over h and c). With a
    bidirectional encoder the two final states, 2H numbers, are brought to H by tanh of a linear
    `bridge`. `seed` fixes the initial weights.
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
        dtype: np.dtype | type = np.float32,
    ) -> None:
        if cell not in CELLS:
            raise ValueError(f"cell must be one of {sorted(CELLS)}, got {cell!r}")
        self.hidden_size = hidden_size
        self.memory_size = 2 * hidden_size if bidirectional else hidden_size
        generator = np.random.default_rng(seed)
        sizes = (embed_size, hidden_size, cell)
        self.encoder = Encoder(source_size, *sizes, bidirectional, generator, dtype)
        self.decoder = Decoder(
            target_size, *sizes, *self.decoder_sizes(embed_size), generator, dtype
        )
        names = ("bridge", "bridge_cell")[: self.decoder.rnn.parts] if bidirectional else ()
        self.bridges = {
            name: Linear(2 * hidden_size, hidden_size, generator, dtype) for name in names
        }
        parts = {"encoder": self.encoder, "decoder": self.decoder} | self.bridges
        super().__init__(parts=parts | self.extra_parts(generator, dtype))

    # What a kind of decoder decides: these six and nothing else. Each `_backward` returns the
    # gradient of the first argument and adds that of the memory to `dmemory`.

    def decoder_sizes(self, embed_size: int) -> tuple[int, int]:
        """Width of what the decoder's recurrent layer reads, and of what its readout sees."""
        return embed_size, self.hidden_size

    def extra_parts(
        self, generator: np.random.Generator, dtype: np.dtype | type
    ) -> dict[str, Layer]:
        """Layers beside encoder, decoder and bridges, by name."""
        return {}

    def rnn_inputs(self, embedded: np.ndarray, memory: Memory) -> np.ndarray:
        """What the decoder's recurrent layer reads at each step, (B,T,·)."""
        return embedded

    def rnn_inputs_backward(self, dinputs: np.ndarray, dmemory: Memory) -> np.ndarray:
        return dinputs

    def readout_inputs(
        self, states: np.ndarray, memory: Memory
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """What the readout sees, (B,T,·), and the attention weights, if any, (B,T,S)."""
        return states, None

    def readout_inputs_backward(self, dinputs: np.ndarray, dmemory: Memory) -> np.ndarray:
        return dinputs

    # The model.

    def encode(self, source: np.ndarray, lengths: np.ndarray) -> tuple[Memory, State]:
        """source (B,S) int, lengths (B,) -> memory, first decoder state."""
        expect("source", source, np.integer, B=None, S=None)
        lengths = checked_lengths(lengths, *source.shape)
        outputs, state = self.encoder.forward(source, lengths)
        if self.bridges:
            pairs = zip(self.bridges.values(), state, strict=True)
            state = tuple(np.tanh(bridge.forward(part)) for bridge, part in pairs)
        return Memory(outputs, padding_mask(lengths, source.shape[1]), state[0]), state

    def encode_backward(self, dmemory: Memory, dstate: State, state: State) -> None:
        """From the gradients of both results of `encode`; `state` is the second of them."""
        dstate = (dstate[0] + dmemory.context, *dstate[1:])
        if self.bridges:
            triples = zip(self.bridges.values(), dstate, state, strict=True)
            dstate = tuple(bridge.backward(d * (1 - s * s)) for bridge, d, s in triples)
        self.encoder.backward(dmemory.outputs, dstate)

    def decode(
        self, target_in: np.ndarray, memory: Memory, state: State
    ) -> tuple[np.ndarray, State, np.ndarray | None]:
        """target_in (B,T) int (T = 1 while decoding) -> logits (B,T,V), last state, attention
        weights (B,T,S), which are None for a model that has none.
        """
        expect("target_in", target_in, np.integer, B=len(memory.context), T=None)
        embedded = self.decoder.embedding.forward(target_in)
        states, state = self.decoder.rnn.forward(self.rnn_inputs(embedded, memory), None, state)
        inputs, weights = self.readout_inputs(states, memory)
        return self.decoder.readout.forward(inputs), state, weights

    def decode_backward(self, dlogits: np.ndarray, memory: Memory) -> tuple[Memory, State]:
        """dlogits (B,T,V) -> gradients of `memory` and of the first decoder state."""
        dmemory = Memory(np.zeros_like(memory.outputs), None, np.zeros_like(memory.context))
        dreadout = self.decoder.readout.backward(dlogits)
        dstates = self.readout_inputs_backward(dreadout, dmemory)
        dinputs, dstate = self.decoder.rnn.backward(dstates)
        self.decoder.embedding.backward(self.rnn_inputs_backward(dinputs, dmemory))
        return dmemory, dstate

    def forward(
        self, source: np.ndarray, source_lengths: np.ndarray, target_in: np.ndarray
    ) -> np.ndarray:
        """Teacher forcing: logits (B,T,V) for the whole target at once."""
        memory, state = self.encode(source, source_lengths)
        logits, _, _ = self.decode(target_in, memory, state)
        self._cache = (memory, state)
        return logits

    def backward(self, dlogits: np.ndarray) -> None:
        """dlogits (B,T,V) -> `grads`; the last call must have been `forward`, not `step`."""
        memory, state = self._last_call()
        dmemory, dstate = self.decode_backward(dlogits, memory)
        self.encode_backward(dmemory, dstate, state)

    # The decoding protocol of `attention_course.decoding`.

    def start(self, source: np.ndarray, source_lengths: np.ndarray) -> Decoding:
        """Encode a batch; the result is the first `state` for `step`."""
        self._cache = None
        return Decoding(*self.encode(source, source_lengths))

    def step(self, state: Decoding, tokens: np.ndarray) -> tuple[np.ndarray, Decoding]:
        """One decoder step: tokens (B,) int -> log-probabilities (B,V), next state."""
        self._cache = None  # the layers now remember this step: a `backward` would be wrong
        memory = state.memory
        expect("tokens", tokens, np.integer, B=len(memory.context))
        logits, hidden, weights = self.decode(tokens[:, None], memory, state.hidden)
        last = None if weights is None else weights[:, 0]
        return log_softmax(logits[:, 0]), Decoding(memory, hidden, last)

    def select(self, state: Decoding, rows: np.ndarray) -> Decoding:
        """The sentences `rows` (n,) int of `state`, in this order, each as often as it is named:
        what beam search keeps.
        """

        def chosen(part: np.ndarray | None) -> np.ndarray | None:
            return None if part is None else part[rows]

        memory, hidden = Memory(*map(chosen, state.memory)), tuple(map(chosen, state.hidden))
        return Decoding(memory, hidden, chosen(state.weights))

    def alignment(
        self, source: np.ndarray, source_lengths: np.ndarray, target_in: np.ndarray
    ) -> np.ndarray:
        """Teacher forcing: where each step looks, weights (B,T,S). TypeError if the model does not
        look.
        """
        self._cache = None
        weights = self.decode(target_in, *self.encode(source, source_lengths))[2]
        if weights is None:
            raise TypeError(f"{type(self).__name__} has no attention, so no weights to show")
        return weights


class PeekySeq2Seq(Seq2Seq):
    """The same fixed vector, handed to *every* decoder step and readout (Cho et al. 2014).

    The recurrent layer reads [E y_{t−1}; c], the readout sees [s_t; c].
    """

    def decoder_sizes(self, embed_size: int) -> tuple[int, int]:
        return embed_size + self.hidden_size, 2 * self.hidden_size

    def rnn_inputs(self, embedded: np.ndarray, memory: Memory) -> np.ndarray:
        return _join(embedded, memory.context)

    def rnn_inputs_backward(self, dinputs: np.ndarray, dmemory: Memory) -> np.ndarray:
        return _join_backward(dinputs, dmemory.context)

    def readout_inputs(self, states: np.ndarray, memory: Memory) -> tuple[np.ndarray, None]:
        return _join(states, memory.context), None

    def readout_inputs_backward(self, dinputs: np.ndarray, dmemory: Memory) -> np.ndarray:
        return _join_backward(dinputs, dmemory.context)


class AttentionSeq2Seq(Seq2Seq):
    """The readout sees [c_t; s_t], where c_t is looked up by s_t in *all* encoder states.

    Luong et al. 2015, simplified: their h̃_t = tanh(W_c [c_t; s_t]) is left out, and so is input
    feeding. `score` is "dot", "scaled_dot", "general" or "additive"; only the last two suit a
    bidirectional encoder, whose states have twice the size of the query.
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
        score: str = "dot",
    ) -> None:
        check_score(score, bidirectional)
        self.score = score
        sizes = (source_size, target_size, embed_size, hidden_size)
        super().__init__(*sizes, cell, bidirectional, seed, dtype)

    def decoder_sizes(self, embed_size: int) -> tuple[int, int]:
        return embed_size, self.memory_size + self.hidden_size

    def extra_parts(
        self, generator: np.random.Generator, dtype: np.dtype | type
    ) -> dict[str, Layer]:
        sizes, rest = (self.hidden_size, self.memory_size), (generator, dtype)
        scores = {
            "dot": DotScore,
            "scaled_dot": lambda: DotScore(scaled=True),
            "general": lambda: GeneralScore(*sizes, *rest),
            "additive": lambda: AdditiveScore(*sizes, self.hidden_size, *rest),
        }
        self.attention = Attention(scores[self.score]())
        return {"attention": self.attention}

    def readout_inputs(self, states: np.ndarray, memory: Memory) -> tuple[np.ndarray, np.ndarray]:
        outputs = memory.outputs
        context, weights = self.attention.forward(states, outputs, outputs, memory.mask)
        return np.concatenate([context, states], axis=-1), weights

    def readout_inputs_backward(self, dinputs: np.ndarray, dmemory: Memory) -> np.ndarray:
        dcontext, dstates = np.split(dinputs, [self.memory_size], axis=-1)
        dquery, dkey, dvalue = self.attention.backward(dcontext)
        dmemory.outputs[...] += dkey + dvalue  # keys and values are the same states: two paths
        return dstates + dquery


def _join(sequence: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """(B,T,·) with (B,H) repeated at every step -> (B,T,·+H)."""
    batch, size, _ = sequence.shape
    repeated = np.broadcast_to(vector[:, None], (batch, size, vector.shape[1]))
    return np.concatenate([sequence, repeated], axis=-1)


def _join_backward(djoined: np.ndarray, dvector: np.ndarray) -> np.ndarray:
    """Adds the vector's gradient, summed over the steps, to `dvector`; returns the sequence's."""
    dsequence, drepeated = np.split(djoined, [djoined.shape[-1] - dvector.shape[1]], axis=-1)
    dvector += drepeated.sum(axis=1)
    return dsequence
