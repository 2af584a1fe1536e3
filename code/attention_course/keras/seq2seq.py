"""Encoder–decoder models: what passes is one vector, or all encoder states to look things up in."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from attention_course.axes import check_score
from attention_course.keras.attention import AdditiveScore, Attention, DotScore, GeneralScore
from attention_course.keras.layers import Seed, embedding, linear
from attention_course.keras.masks import padding_mask
from attention_course.keras.recurrent import GRU, LSTM, RNN, Bidirectional, State, check_lengths

CELLS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


class Memory(NamedTuple):
    """What the encoder leaves behind for the decoder."""

    outputs: tf.Tensor  # (B,S,H), or (B,S,2H) bidirectional: one state a source token
    mask: tf.Tensor  # (B,1,S) bool, True = real token
    context: tf.Tensor  # (B,H): the one fixed vector
    keys: tf.Tensor | None = None  # (B,S,A): what a score makes of the outputs once a sentence


class Decoding(NamedTuple):
    """Where decoding stands: the state of the protocol of `attention_course.decoding`."""

    memory: Memory
    hidden: State
    weights: np.ndarray | None = None  # (B,S): where the last step looked, if the model looks


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
    """Embedding, recurrent layer, readout to the vocabulary; `*_size` is what the last two read.

    It has no `call`: `Seq2Seq.decode` says how the three are connected.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        hidden_size: int,
        cell: str,
        rnn_size: int,
        readout_size: int,
        seed: Seed = 0,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype=dtype)
        self.embedding = embedding(vocab_size, embed_size, seed, dtype)
        self.rnn = CELLS[cell](rnn_size, hidden_size, seed, dtype)
        self.readout = linear(readout_size, vocab_size, seed, dtype)
        self.built = True

    def move(self, inputs: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """One step of the recurrent layer: inputs (B,·) -> state after it (B,H), next state."""
        after, state = self.rnn.rnn.cell(inputs, list(state))
        return after, tuple(state)


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
            target_size,
            embed_size,
            hidden_size,
            cell,
            *self.decoder_sizes(embed_size),
            draws,
            dtype,
        )
        if bidirectional:
            self.bridge = linear(2 * hidden_size, hidden_size, draws, dtype)
            if cell == "lstm":
                self.bridge_cell = linear(2 * hidden_size, hidden_size, draws, dtype)
        for name, part in self.extra_parts(draws, dtype).items():
            setattr(self, name, part)
        self.built = True
        # Compiled at the first call, once for any number of sentences of any length.
        self._start = tf.function(self.encode, input_signature=[_spec(None, None), _spec(None)])
        self._step = tf.function(self._decode_step, input_signature=self._step_signature())

    # What a kind of decoder decides: these five and nothing else.

    def decoder_sizes(self, embed_size: int) -> tuple[int, int]:
        """Width of what the decoder's recurrent layer reads, and of what its readout sees."""
        return embed_size, self.hidden_size

    def extra_parts(self, seed: Seed, dtype: str | None) -> dict[str, keras.layers.Layer]:
        """Layers beside encoder, decoder and bridges, by name."""
        return {}

    def state_parts(self) -> int:
        """How many arrays (B,H) the decoder's state has."""
        return self.decoder.rnn.parts

    def rnn_inputs(self, embedded: tf.Tensor, memory: Memory) -> tf.Tensor:
        """What the decoder's recurrent layer reads at each step, (B,T,·)."""
        return embedded

    def readout_inputs(
        self, states: tf.Tensor, memory: Memory
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """What the readout sees, (B,T,·), and the attention weights, if any, (B,T,S)."""
        return states, None

    # The model.

    def encode(self, source: tf.Tensor, lengths: tf.Tensor) -> tuple[Memory, State]:
        """source (B,S) int, lengths (B,) -> memory, first decoder state."""
        outputs, state = self.encoder(source, lengths)
        if self.bidirectional:
            bridges = [self.bridge, getattr(self, "bridge_cell", None)]
            state = tuple(tf.tanh(bridge(part)) for bridge, part in zip(bridges, state))
        return Memory(outputs, padding_mask(lengths, tf.shape(source)[1]), state[0]), state

    def decode(
        self, target_in: tf.Tensor, memory: Memory, state: State
    ) -> tuple[tf.Tensor, State, tf.Tensor | None]:
        """target_in (B,T) int (T = 1 while decoding) -> logits (B,T,V), last state, attention
        weights (B,T,S), which are None for a model that has none.
        """
        embedded = self.decoder.embedding(target_in)
        states, state = self.decoder.rnn(self.rnn_inputs(embedded, memory), None, state)
        inputs, weights = self.readout_inputs(states, memory)
        return self.decoder.readout(inputs), state, weights

    def call(self, source: tf.Tensor, source_lengths: tf.Tensor, target_in: tf.Tensor) -> tf.Tensor:
        """Teacher forcing: logits (B,T,V) for the whole target at once."""
        memory, state = self.encode(source, source_lengths)
        return self.decode(target_in, memory, state)[0]

    # The decoding protocol of `attention_course.decoding`: NumPy in, NumPy out.

    def start(self, source: np.ndarray, source_lengths: np.ndarray) -> Decoding:
        """Encode a batch; the result is the first `state` for `step`."""
        check_lengths(source_lengths, np.asarray(source))
        return Decoding(*self._start(_ids(source), _ids(source_lengths)))

    def step(self, state: Decoding, tokens: np.ndarray) -> tuple[np.ndarray, Decoding]:
        """One decoder step: tokens (B,) -> log-probabilities (B,V), next state."""
        memory = state.memory
        # A signature knows no None: a model without keys gets something it will not read.
        given = memory._replace(keys=memory.outputs if memory.keys is None else memory.keys)
        log_probs, hidden, weights = self._step(_ids(tokens), given, state.hidden)
        last = None if weights is None else weights.numpy()
        return log_probs.numpy(), Decoding(memory, hidden, last)

    def select(self, state: Decoding, rows: np.ndarray) -> Decoding:
        """The sentences `rows` (n,) int of `state`, in this order, each as often as it is named:
        what beam search keeps.
        """

        def chosen(part: tf.Tensor | None) -> tf.Tensor | None:
            return None if part is None else tf.gather(part, rows)

        memory, hidden = Memory(*map(chosen, state.memory)), tuple(map(chosen, state.hidden))
        return Decoding(memory, hidden, None if state.weights is None else state.weights[rows])

    def alignment(
        self, source: np.ndarray, source_lengths: np.ndarray, target_in: np.ndarray
    ) -> np.ndarray:
        """Teacher forcing: where each step looks, weights (B,T,S). TypeError if the model does not
        look.
        """
        memory, hidden, _ = self.start(source, source_lengths)
        weights = self.decode(_ids(target_in), memory, hidden)[2]
        if weights is None:
            raise TypeError(f"{type(self).__name__} has no attention, so no weights to show")
        return weights.numpy()

    def _step_signature(self) -> list:
        """Of `_decode_step`: sizes of the model are known, B and S are not."""
        dtype, size = self.compute_dtype, self.memory_size
        vector = _spec(None, self.hidden_size, dtype=dtype)
        states, keys = (_spec(None, None, last, dtype=dtype) for last in (size, None))
        memory = Memory(states, _spec(None, 1, None, dtype=tf.bool), vector, keys)
        return [_spec(None), memory, (vector,) * self.state_parts()]

    def _decode_step(
        self, tokens: tf.Tensor, memory: Memory, hidden: State
    ) -> tuple[tf.Tensor, State, tf.Tensor | None]:
        logits, hidden, weights = self.decode(tokens[:, None], memory, hidden)
        last = None if weights is None else weights[:, 0]
        return tf.nn.log_softmax(logits[:, 0]), hidden, last


class PeekySeq2Seq(Seq2Seq):
    """The same fixed vector, handed to *every* decoder step and readout (Cho et al. 2014).

    The recurrent layer reads [E y_{t−1}; c], the readout sees [s_t; c].
    """

    def decoder_sizes(self, embed_size: int) -> tuple[int, int]:
        return embed_size + self.hidden_size, 2 * self.hidden_size

    def rnn_inputs(self, embedded: tf.Tensor, memory: Memory) -> tf.Tensor:
        return _join(embedded, memory.context)

    def readout_inputs(self, states: tf.Tensor, memory: Memory) -> tuple[tf.Tensor, None]:
        return _join(states, memory.context), None


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
        dtype: str | None = None,
        score: str = "dot",
    ) -> None:
        check_score(score, bidirectional)
        self.score = score
        sizes = (source_size, target_size, embed_size, hidden_size)
        super().__init__(*sizes, cell, bidirectional, seed, dtype)

    def decoder_sizes(self, embed_size: int) -> tuple[int, int]:
        return embed_size, self.memory_size + self.hidden_size

    def extra_parts(self, seed: Seed, dtype: str | None) -> dict[str, keras.layers.Layer]:
        sizes, rest = (self.hidden_size, self.memory_size), (seed, dtype)
        scores = {
            "dot": DotScore,
            "scaled_dot": lambda: DotScore(scaled=True),
            "general": lambda: GeneralScore(*sizes, *rest),
            "additive": lambda: AdditiveScore(*sizes, self.hidden_size, *rest),
        }
        return {"attention": Attention(scores[self.score]())}

    def readout_inputs(self, states: tf.Tensor, memory: Memory) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = memory.outputs
        context, weights = self.attention(states, outputs, outputs, memory.mask)
        return tf.concat([context, states], axis=-1), weights


def by_step(sequence: tf.Tensor) -> tf.TensorArray:
    """(B,T,·) -> T arrays (B,·). Of a slice in each step the gradient would be a whole sequence."""
    array = tf.TensorArray(sequence.dtype, tf.shape(sequence)[1])
    return array.unstack(tf.transpose(sequence, (1, 0, 2)))


def in_order(array: tf.TensorArray) -> tf.Tensor:
    """The inverse of `by_step`."""
    return tf.transpose(array.stack(), (1, 0, 2))


def _join(sequence: tf.Tensor, vector: tf.Tensor) -> tf.Tensor:
    """(B,T,·) with (B,H) repeated at every step -> (B,T,·+H)."""
    repeated = tf.repeat(vector[:, None, :], tf.shape(sequence)[1], axis=1)
    return tf.concat([sequence, repeated], axis=-1)


def _spec(*shape: int | None, dtype: tf.DType | str = tf.int32) -> tf.TensorSpec:
    return tf.TensorSpec(shape, dtype)


def _ids(array: np.ndarray) -> tf.Tensor:
    return tf.constant(np.asarray(array), tf.int32)
