"""The Transformer (Vaswani et al. 2017): layers of attention in the place of recurrent layers.

Shapes: tokens (B,S) and (B,T) of ids, vectors (B,S,D) and (B,T,D); masks are boolean, True = may
attend. Names, parts and parameters are those of `scratch.transformer`.
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from attention_course.axes import check_transformer
from attention_course.keras.layers import Seed, layer_norm, linear
from attention_course.keras.masks import causal_mask, padding_mask
from attention_course.keras.multihead import KeysValues, MultiHeadAttention
from attention_course.keras.recurrent import check_lengths
from attention_course.positions import check_longest, sinusoidal_positions

Past = tuple[KeysValues, ...]  # a pair for each layer: the cache; of no token at first


class FeedForward(keras.layers.Layer):
    """max(0, x W_1 + b_1) W_2 + b_2, for each token on its own (eq. 2): (B,T,D) -> (B,T,D).

    Parts: `inner` (D,F) and `outer` (F,D), F = `inner_size`.
    """

    def __init__(self, model_size: int, inner_size: int, seed: Seed, dtype: str | None) -> None:
        super().__init__(dtype=dtype)
        self.inner = glorot_linear(model_size, inner_size, seed, dtype)
        self.outer = glorot_linear(inner_size, model_size, seed, dtype)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return self.outer(tf.nn.relu(self.inner(x)))


class Residual(keras.layers.Layer):
    """What stands around each sub-layer f: norm(x + f(x)), as in the paper (section 3.1), or
    x + f(norm(x)) with `norm_first` (Xiong et al. 2020).

    f is called in between: `after(x, f(before(x)))`.
    """

    def __init__(self, model_size: int, norm_first: bool, dtype: str | None) -> None:
        super().__init__(dtype=dtype)
        self.norm_first = norm_first
        self.norm = layer_norm(model_size, dtype=dtype)
        self.built = True

    def before(self, x: tf.Tensor) -> tf.Tensor:
        return self.norm(x) if self.norm_first else x

    def after(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return x + y if self.norm_first else self.norm(x + y)


class EncoderLayer(keras.layers.Layer):
    """Every token looks at all tokens, then thinks for itself (section 3.1)."""

    def __init__(
        self,
        model_size: int,
        heads: int,
        inner_size: int,
        norm_first: bool,
        seed: Seed,
        dtype: str | None,
    ) -> None:
        super().__init__(dtype=dtype)
        self.attention = glorot_attention(model_size, heads, seed, dtype)
        self.attention_residual = Residual(model_size, norm_first, dtype)
        self.feed_forward = FeedForward(model_size, inner_size, seed, dtype)
        self.feed_forward_residual = Residual(model_size, norm_first, dtype)
        self.built = True

    def call(self, x: tf.Tensor, mask: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """x (B,S,D), mask (B,1,S) -> (B,S,D), weights (B,N,S,S)."""
        seen = self.attention_residual.before(x)
        y, weights = self.attention(seen, seen, seen, mask)
        x = self.attention_residual.after(x, y)
        y = self.feed_forward(self.feed_forward_residual.before(x))
        return self.feed_forward_residual.after(x, y), weights

    def compute_mask(self, *_: object, **__: object) -> None:
        """Keras's own masks, which travel with tensors, are nobody's business here."""


class DecoderLayer(keras.layers.Layer):
    """Every token looks at itself and those before it, then at the source, then thinks for itself.

    In `cross_attention` the query comes from the decoder, key and value from the encoder.
    """

    def __init__(
        self,
        model_size: int,
        heads: int,
        inner_size: int,
        norm_first: bool,
        seed: Seed,
        dtype: str | None,
    ) -> None:
        super().__init__(dtype=dtype)
        self.attention = glorot_attention(model_size, heads, seed, dtype)
        self.attention_residual = Residual(model_size, norm_first, dtype)
        self.cross_attention = glorot_attention(model_size, heads, seed, dtype)
        self.cross_attention_residual = Residual(model_size, norm_first, dtype)
        self.feed_forward = FeedForward(model_size, inner_size, seed, dtype)
        self.feed_forward_residual = Residual(model_size, norm_first, dtype)
        self.built = True

    def call(
        self,
        x: tf.Tensor,
        source: KeysValues,
        source_mask: tf.Tensor | None,
        mask: tf.Tensor | None,
        past: KeysValues,
    ) -> tuple[tf.Tensor, KeysValues, tuple[tf.Tensor, tf.Tensor]]:
        """x (B,T,D), source = `cross_attention.project` of the encoder's output, its mask (B,1,S),
        mask (T,P+T), past = keys and values of P tokens before x -> (B,T,D), keys and values of all
        P + T tokens, weights of both attentions, (B,N,T,P+T) and (B,N,T,S).
        """
        seen = self.attention_residual.before(x)
        new = self.attention.project(seen, seen)
        present = tuple(tf.concat(pair, axis=2) for pair in zip(past, new))
        y, own = self.attention.attend(seen, *present, mask)
        x = self.attention_residual.after(x, y)
        query = self.cross_attention_residual.before(x)
        y, cross = self.cross_attention.attend(query, *source, source_mask)
        x = self.cross_attention_residual.after(x, y)
        y = self.feed_forward(self.feed_forward_residual.before(x))
        return self.feed_forward_residual.after(x, y), present, (own, cross)

    def compute_mask(self, *_: object, **__: object) -> None:
        """Keras's own masks, which travel with tensors, are nobody's business here."""


class Positions(keras.layers.Layer):
    """What is added to the embedding of place 0, 1, 2, …: sines and cosines of section 3.5
    ("sinusoidal"), a table `weight` (longest, D) that is learned ("learned"), or nothing ("none").
    """

    def __init__(
        self, kind: str, model_size: int, longest: int, seed: Seed, dtype: str | None
    ) -> None:
        super().__init__(dtype=dtype)
        self.kind, self.longest = kind, longest
        if kind == "learned":  # at first of the mean square of the sinusoids
            normal = keras.initializers.RandomNormal(stddev=0.5**0.5, seed=seed)
            self.weight = self.add_weight(
                shape=(longest, model_size), initializer=normal, name="weight"
            )
        elif kind == "sinusoidal":
            self.table = sinusoidal_positions(longest, model_size).astype(self.compute_dtype)
        self.built = True

    def call(self, x: tf.Tensor, first: int | tf.Tensor = 0) -> tf.Tensor:
        """x (B,T,D) + the rows `first` … `first` + T − 1."""
        if self.kind == "none":
            return x
        last = first + tf.shape(x)[1]
        if tf.executing_eagerly():
            check_longest(int(last), self.longest)
        else:  # a compiled function says no more than this
            message = "a sentence is longer than longest"
            fits = tf.debugging.assert_less_equal(last, self.longest, message)
            with tf.control_dependencies([fits]):  # before the sum below says it in other words
                last = tf.identity(last)
        rows = self.weight.value if self.kind == "learned" else tf.constant(self.table)
        return x + rows[first:last]


class Stack(keras.layers.Layer):
    """What encoder and decoder have in common: embedding, positions, layers, and, where norms come
    first, one more norm at the end, since nothing else would norm the last layer's output.
    """

    kind: type[EncoderLayer] | type[DecoderLayer]

    def __init__(
        self,
        embedding: keras.layers.Embedding,
        heads: int,
        layers: int,
        inner_size: int,
        norm_first: bool,
        positions: str,
        longest: int,
        seed: Seed,
        dtype: str | None,
    ) -> None:
        super().__init__(dtype=dtype)
        size = embedding.output_dim
        self.embedding, self.scale = embedding, size**0.5
        self.positions = Positions(positions, size, longest, seed, dtype)
        sizes = (size, heads, inner_size, norm_first, seed, dtype)
        self.layers = [self.kind(*sizes) for _ in range(layers)]
        self.norm = layer_norm(size, dtype=dtype) if norm_first else None
        self.built = True

    def embed(self, tokens: tf.Tensor, first: int | tf.Tensor = 0) -> tf.Tensor:
        """tokens (B,T) int, the first of which is at place `first` -> (B,T,D) (section 3.4)."""
        return self.positions(self.embedding(tokens) * self.scale, first=first)

    def last_norm(self, x: tf.Tensor) -> tf.Tensor:
        return self.norm(x) if self.norm else x

    def compute_mask(self, *_: object, **__: object) -> None:
        """Keras's own masks, which travel with tensors, are nobody's business here."""


class Encoder(Stack):
    """tokens (B,S) and mask (B,1,S) -> (B,S,D), and the weights of each layer."""

    kind = EncoderLayer

    def call(
        self, tokens: tf.Tensor, mask: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        x, seen = self.embed(tokens), []
        for layer in self.layers:
            x, weights = layer(x, mask)
            seen.append(weights)
        return self.last_norm(x), seen


class Decoder(Stack):
    """Embedding, layers and the readout to the vocabulary; a tied one is the embedding turned."""

    kind = DecoderLayer
    readout: keras.layers.Dense | None = None  # set by `Transformer`

    def project(self, outputs: tf.Tensor) -> tuple[KeysValues, ...]:
        """The encoder's outputs (B,S,D) as each layer will look at them, once a sentence."""
        return tuple(layer.cross_attention.project(outputs, outputs) for layer in self.layers)

    def nothing_past(self, batch: int | tf.Tensor) -> Past:
        """Keys and values of no token: before the first."""
        heads = self.layers[0].attention.heads
        shape = (batch, heads, 0, self.embedding.output_dim // heads)
        none = tf.zeros(shape, self.compute_dtype)
        return tuple((none, none) for _ in self.layers)

    def call(
        self, tokens: tf.Tensor, memory: "Memory", past: Past
    ) -> tuple[tf.Tensor, Past, list[tuple[tf.Tensor, tf.Tensor]]]:
        """tokens (B,T), what the encoder left, keys and values of the tokens before, layer by layer
        -> logits (B,T,V), keys and values of all tokens, weights of each layer.
        """
        first = tf.shape(past[0][0])[2]
        x = self.embed(tokens, first)
        # Each token sees itself and those before it.
        mask = causal_mask(first + tf.shape(tokens)[1])[first:]
        present, seen = [], []
        for layer, source, before in zip(self.layers, memory.layers, past):
            x, now, weights = layer(x, source, memory.mask, mask, before)
            present.append(now)
            seen.append(weights)
        return self.read(self.last_norm(x)), tuple(present), seen

    def read(self, x: tf.Tensor) -> tf.Tensor:
        """(B,T,D) -> logits (B,T,V)."""
        if self.readout is None:
            return tf.einsum("btd,vd->btv", x, self.embedding.embeddings.value)
        return self.readout(x)


class Memory(NamedTuple):
    """What the encoder leaves behind for the decoder."""

    outputs: tf.Tensor  # (B,S,D)
    mask: tf.Tensor  # (B,1,S) bool, True = real token
    layers: tuple[KeysValues, ...]  # what each layer of the decoder looks at


class Decoding(NamedTuple):
    """Where decoding stands: the state of the protocol of `attention_course.decoding`."""

    memory: Memory
    past: Past  # keys and values of all tokens read so far
    weights: np.ndarray | None = None  # (B,S): where the last step looked


class Maps(NamedTuple):
    """The weights of every head of every one of L layers: who looked where."""

    encoder: np.ndarray  # (L,B,N,S,S)
    decoder: np.ndarray  # (L,B,N,T,T)
    cross: np.ndarray  # (L,B,N,T,S)


class Transformer(keras.Model):
    """Encoder and decoder of `layers` layers each (Vaswani et al. 2017, figure 1).

    `model_size` is D, `inner_size` that of the feed-forward network. `norm_first`: see `Residual`.
    `positions` is "sinusoidal", "learned" or "none"; with the first two no sentence may have more
    than `longest` tokens. `tie` says which matrices are one: "none", "target" (the decoder's
    embedding is also the readout, which then has no bias) or "all" (the encoder's embedding too, so
    both vocabularies must be one). `seed` fixes the initial weights: matrices by Glorot & Bengio's
    rule (2010), U(±√(6 / (in + out))), biases 0. `dtype` is that of weights and results,
    Keras's default (float32) if None.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        model_size: int,
        heads: int,
        layers: int,
        inner_size: int,
        norm_first: bool = False,
        positions: str = "sinusoidal",
        tie: str = "none",
        longest: int = 512,
        seed: int = 0,
        dtype: str | None = None,
    ) -> None:
        check_transformer(
            positions,
            tie,
            source_size=source_size,
            target_size=target_size,
            model_size=model_size,
            layers=layers,
            inner_size=inner_size,
            longest=longest,
        )
        super().__init__(dtype=dtype)
        draws = keras.random.SeedGenerator(seed)
        source = _embedding(source_size, model_size, draws, dtype)
        target = source if tie == "all" else _embedding(target_size, model_size, draws, dtype)
        sizes = (heads, layers, inner_size, norm_first, positions, longest, draws, dtype)
        self.encoder, self.decoder = Encoder(source, *sizes), Decoder(target, *sizes)
        if tie == "none":
            self.decoder.readout = glorot_linear(model_size, target_size, draws, dtype)
        self.built = True
        # Compiled at the first call, once for any number of sentences of any length.
        self._start = tf.function(self.encode, input_signature=[_spec(None, None), _spec(None)])
        self._step = tf.function(self._decode_step, input_signature=self._step_signature())

    def encode(self, source: tf.Tensor, lengths: tf.Tensor) -> Memory:
        """source (B,S) int, lengths (B,) -> what the decoder looks at."""
        if tf.executing_eagerly():  # a compiled function has no values to look at
            check_lengths(lengths, source)
        mask = padding_mask(lengths, tf.shape(source)[1])
        outputs, _ = self.encoder(source, mask)
        return Memory(outputs, mask, self.decoder.project(outputs))

    def decode(self, target_in: tf.Tensor, memory: Memory) -> tf.Tensor:
        """target_in (B,T) int -> logits (B,T,V)."""
        past = self.decoder.nothing_past(tf.shape(target_in)[0])
        return self.decoder(target_in, memory, past)[0]

    def call(self, source: tf.Tensor, source_lengths: tf.Tensor, target_in: tf.Tensor) -> tf.Tensor:
        """Teacher forcing: logits (B,T,V) for the whole target at once."""
        return self.decode(target_in, self.encode(source, source_lengths))

    # The decoding protocol of `attention_course.decoding`: NumPy in, NumPy out.

    def start(self, source: np.ndarray, source_lengths: np.ndarray) -> Decoding:
        """Encode a batch; the result is the first `state` for `step`."""
        check_lengths(source_lengths, np.asarray(source))
        memory = Memory(*self._start(_ids(source), _ids(source_lengths)))
        return Decoding(memory, self.decoder.nothing_past(len(source)))

    def step(self, state: Decoding, tokens: np.ndarray) -> tuple[np.ndarray, Decoding]:
        """One decoder step: tokens (B,) -> log-probabilities (B,V), next state. Of the tokens
        before, nothing is computed again.
        """
        log_probs, past, weights = self._step(_ids(tokens), state.memory, state.past)
        return log_probs.numpy(), Decoding(state.memory, past, weights.numpy())

    def select(self, state: Decoding, rows: np.ndarray) -> Decoding:
        """The sentences `rows` (n,) int of `state`, in this order, each as often as it is named:
        what beam search keeps.
        """
        (outputs, mask, layers), past, weights = state

        def chosen(stack: Past) -> Past:
            return tuple(tuple(tf.gather(part, rows) for part in pair) for pair in stack)

        memory = Memory(tf.gather(outputs, rows), tf.gather(mask, rows), chosen(layers))
        return Decoding(memory, chosen(past), None if weights is None else weights[rows])

    def maps(self, source: np.ndarray, source_lengths: np.ndarray, target_in: np.ndarray) -> Maps:
        """Teacher forcing: where each token of each layer looks, head by head."""
        memory, past, _ = self.start(source, source_lengths)
        _, encoder = self.encoder(_ids(source), memory.mask)
        _, _, pairs = self.decoder(_ids(target_in), memory, past)
        return Maps(*(tf.stack(x).numpy() for x in (encoder, *zip(*pairs))))

    def alignment(
        self, source: np.ndarray, source_lengths: np.ndarray, target_in: np.ndarray
    ) -> np.ndarray:
        """Teacher forcing: where each target token looks in the source, weights (B,T,S): the mean
        over the heads of the last layer.
        """
        return self.maps(source, source_lengths, target_in).cross[-1].mean(axis=1)

    def _step_signature(self) -> list:
        """Of `_decode_step`: sizes of the model are known, B, S and P are not."""
        dtype, size = self.compute_dtype, self.decoder.embedding.output_dim
        heads = self.decoder.layers[0].attention.heads
        part = _spec(None, heads, None, size // heads, dtype=dtype)
        stack = tuple((part, part) for _ in self.decoder.layers)
        outputs, mask = _spec(None, None, size, dtype=dtype), _spec(None, 1, None, dtype=tf.bool)
        return [_spec(None), Memory(outputs, mask, stack), stack]

    def _decode_step(
        self, tokens: tf.Tensor, memory: Memory, past: Past
    ) -> tuple[tf.Tensor, Past, tf.Tensor]:
        logits, past, seen = self.decoder(tokens[:, None], memory, past)
        weights = tf.reduce_mean(seen[-1][1], axis=1)[:, 0]
        return tf.nn.log_softmax(logits[:, 0]), past, weights


def glorot_linear(in_size: int, out_size: int, seed: Seed, dtype: str | None) -> keras.layers.Dense:
    """`linear`, its weights by Glorot & Bengio's rule (2010) and its biases 0."""
    layer = linear(in_size, out_size, seed, dtype)
    _glorot(layer, seed)
    return layer


def glorot_attention(
    model_size: int, heads: int, seed: Seed, dtype: str | None
) -> MultiHeadAttention:
    """`MultiHeadAttention`, all its matrices by the same rule."""
    layer = MultiHeadAttention(model_size, heads, seed, dtype)
    for part in (layer.query, layer.key, layer.value, layer.out):
        _glorot(part, seed)
    return layer


def _glorot(layer: keras.layers.Dense, seed: Seed) -> None:
    layer.kernel.assign(keras.initializers.GlorotUniform(seed)(layer.kernel.shape))
    layer.bias.assign(tf.zeros_like(layer.bias))


def _embedding(vocab_size: int, size: int, seed: Seed, dtype: str | None) -> keras.layers.Embedding:
    """Of variance 1/D, since `embed` multiplies by √D, and a tied readout does not."""
    normal = keras.initializers.RandomNormal(stddev=size**-0.5, seed=seed)
    layer = keras.layers.Embedding(vocab_size, size, normal, dtype=dtype)
    layer.build()
    return layer


def _spec(*shape: int | None, dtype: tf.DType | str = tf.int32) -> tf.TensorSpec:
    return tf.TensorSpec(shape, dtype)


def _ids(array: np.ndarray) -> tf.Tensor:
    return tf.constant(np.asarray(array), tf.int32)
