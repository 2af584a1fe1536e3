"""Encoder–decoder models without attention: what the decoder knows of the source is one vector."""

from typing import NamedTuple

import numpy as np

from attention_course.scratch.attention import DotProductAttention
from attention_course.scratch.functional import log_softmax
from attention_course.scratch.layers import Embedding, Layer, Linear, expect
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
    mask: np.ndarray | None  # (B,S) bool, True = real token
    context: np.ndarray  # (B,H): the one fixed vector


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
    """Embedding, recurrent layer, readout to the vocabulary; `*_extra` numbers join the inputs."""

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        hidden_size: int,
        cell: str,
        rnn_extra: int,
        readout_extra: int,
        generator: np.random.Generator,
        dtype: np.dtype | type,
    ) -> None:
        self.embedding = Embedding(vocab_size, embed_size, generator, dtype)
        self.rnn = CELLS[cell](embed_size + rnn_extra, hidden_size, generator, dtype)
        self.readout = Linear(hidden_size + readout_extra, vocab_size, generator, dtype)
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
        self.decoder = Decoder(target_size, *sizes, *self.extra_inputs(), generator, dtype)
        names = ("bridge", "bridge_cell")[: self.decoder.rnn.parts] if bidirectional else ()
        self.bridges = {
            name: Linear(2 * hidden_size, hidden_size, generator, dtype) for name in names
        }
        super().__init__(parts={"encoder": self.encoder, "decoder": self.decoder} | self.bridges)

    # What a kind of decoder decides: these five and nothing else. Each `_backward` returns the
    # gradient of its first argument and adds that of the memory to `dmemory`.

    def extra_inputs(self) -> tuple[int, int]:
        """How many numbers join the decoder's recurrent input and its readout's input."""
        return 0, 0

    def rnn_inputs(self, embedded: np.ndarray, memory: Memory) -> np.ndarray:
        """What the decoder's recurrent layer reads at each step, (B,T,·)."""
        return embedded

    def rnn_inputs_backward(self, dinputs: np.ndarray, dmemory: Memory) -> np.ndarray:
        return dinputs

    def readout_inputs(self, states: np.ndarray, memory: Memory) -> np.ndarray:
        """What the readout sees at each step, (B,T,·)."""
        return states

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
        mask = np.arange(source.shape[1]) < lengths[:, None]
        return Memory(outputs, mask, state[0]), state

    def encode_backward(self, dmemory: Memory, dstate: State, state: State) -> None:
        """From the gradients of both results of `encode`; `state` is the second of them."""
        dstate = (dstate[0] + dmemory.context, *dstate[1:])
        if self.bridges:
            triples = zip(self.bridges.values(), dstate, state, strict=True)
            dstate = tuple(bridge.backward(d * (1 - s * s)) for bridge, d, s in triples)
        self.encoder.backward(dmemory.outputs, dstate)

    def decode(
        self, target_in: np.ndarray, memory: Memory, state: State
    ) -> tuple[np.ndarray, State]:
        """target_in (B,T) int (T = 1 while decoding) -> logits (B,T,V), last state."""
        expect("target_in", target_in, np.integer, B=len(memory.context), T=None)
        embedded = self.decoder.embedding.forward(target_in)
        states, state = self.decoder.rnn.forward(self.rnn_inputs(embedded, memory), None, state)
        return self.decoder.readout.forward(self.readout_inputs(states, memory)), state

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
        logits, _ = self.decode(target_in, memory, state)
        self._cache = (memory, state)
        return logits

    def backward(self, dlogits: np.ndarray) -> None:
        """dlogits (B,T,V) -> `grads`; the last call must have been `forward`, not `step`."""
        memory, state = self._last_call()
        dmemory, dstate = self.decode_backward(dlogits, memory)
        self.encode_backward(dmemory, dstate, state)

    # The decoding protocol of `attention_course.decoding`.

    def start(self, source: np.ndarray, source_lengths: np.ndarray) -> tuple[Memory, State]:
        """Encode a batch; the result is the first `state` for `step`."""
        self._cache = None
        return self.encode(source, source_lengths)

    def step(
        self, state: tuple[Memory, State], tokens: np.ndarray
    ) -> tuple[np.ndarray, tuple[Memory, State]]:
        """One decoder step: tokens (B,) int -> log-probabilities (B,V), next state."""
        self._cache = None  # the layers now remember this step: a `backward` would be wrong
        memory, hidden = state
        expect("tokens", tokens, np.integer, B=len(memory.context))
        logits, hidden = self.decode(tokens[:, None], memory, hidden)
        return log_softmax(logits[:, 0]), (memory, hidden)


class PeekySeq2Seq(Seq2Seq):
    """The same fixed vector, handed to *every* decoder step and readout (Cho et al. 2014).

    The recurrent layer reads [E y_{t−1}; c], the readout sees [s_t; c].
    """

    def extra_inputs(self) -> tuple[int, int]:
        return self.hidden_size, self.hidden_size

    def rnn_inputs(self, embedded: np.ndarray, memory: Memory) -> np.ndarray:
        return _join(embedded, memory.context)

    def rnn_inputs_backward(self, dinputs: np.ndarray, dmemory: Memory) -> np.ndarray:
        return _join_backward(dinputs, dmemory.context)

    def readout_inputs(self, states: np.ndarray, memory: Memory) -> np.ndarray:
        return _join(states, memory.context)

    def readout_inputs_backward(self, dinputs: np.ndarray, dmemory: Memory) -> np.ndarray:
        return _join_backward(dinputs, dmemory.context)


class DotSeq2Seq(Seq2Seq):
    """A preview of Chapter 2: the readout sees [s_t; c_t], c_t looked up in *all* encoder states.

    Simplified Luong (dot score; no W_c, no tanh, no input feeding); the query is s_t. The encoder
    must be unidirectional, since the dot product needs queries and keys of one size.
    """

    def extra_inputs(self) -> tuple[int, int]:
        if self.memory_size != self.hidden_size:
            raise ValueError(
                "bidirectional must be False: the dot score needs keys of size "
                f"{self.hidden_size} like the queries, got {self.memory_size}"
            )
        self.attention = DotProductAttention()
        return 0, self.hidden_size

    def readout_inputs(self, states: np.ndarray, memory: Memory) -> np.ndarray:
        outputs, mask = memory.outputs, memory.mask[:, None, :]
        context, _ = self.attention.forward(states, outputs, outputs, mask)
        return np.concatenate([states, context], axis=-1)

    def readout_inputs_backward(self, dinputs: np.ndarray, dmemory: Memory) -> np.ndarray:
        dstates, dcontext = np.split(dinputs, 2, axis=-1)
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
