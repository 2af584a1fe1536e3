"""The Transformer (Vaswani et al. 2017): layers of attention in the place of recurrent layers.
Forward and backward.

Shapes: tokens (B,S) and (B,T) of ids, vectors (B,S,D) and (B,T,D); masks are boolean, True = may
attend. A `backward` returns the gradient of each array that `forward` was given.
"""

from copy import copy
from typing import NamedTuple

import numpy as np

from attention_course.axes import check_transformer
from attention_course.positions import check_longest, sinusoidal_positions
from attention_course.scratch.attention import product
from attention_course.scratch.functional import log_softmax
from attention_course.scratch.layers import (
    Embedding,
    GradientSums,
    Layer,
    LayerNorm,
    Linear,
    expect,
)
from attention_course.scratch.masks import causal_mask, padding_mask
from attention_course.scratch.multihead import KeysValues, MultiHeadAttention
from attention_course.scratch.recurrent import checked_lengths

Generator = np.random.Generator
Dtype = np.dtype | type
Past = tuple[KeysValues, ...] | None  # a pair for each layer: the cache


class FeedForward(Layer):
    """max(0, x W_1 + b_1) W_2 + b_2, for each token on its own (eq. 2): (B,T,D) -> (B,T,D).

    Parts: `inner` (D,F) and `outer` (F,D), F = `inner_size`.
    """

    def __init__(
        self, model_size: int, inner_size: int, generator: Generator, dtype: Dtype
    ) -> None:
        self.inner = Linear(model_size, inner_size, generator, dtype)
        self.outer = Linear(inner_size, model_size, generator, dtype)
        super().__init__(parts={"inner": self.inner, "outer": self.outer})

    def forward(self, x: np.ndarray) -> np.ndarray:
        self._cache = np.maximum(self.inner.forward(x), 0)
        return self.outer.forward(self._cache)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Where a unit was at 0 nothing flows back."""
        return self.inner.backward(self.outer.backward(dy) * (self._last_call() > 0))


class Residual(Layer):
    """What stands around each sub-layer f: norm(x + f(x)), as in the paper (section 3.1), or
    x + f(norm(x)) with `norm_first` (Xiong et al. 2020).

    f is called in between: `after(x, f(before(x)))`. On the way back `after_backward` comes first;
    it gives the gradient of the sum, so of x *and* of f(x).
    """

    def __init__(self, model_size: int, norm_first: bool, dtype: Dtype) -> None:
        self.norm_first = norm_first
        self.norm = LayerNorm(model_size, dtype=dtype)
        super().__init__(parts={"norm": self.norm})

    def before(self, x: np.ndarray) -> np.ndarray:
        return self.norm.forward(x) if self.norm_first else x

    def after(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        total = x + y
        return total if self.norm_first else self.norm.forward(total)

    def after_backward(self, dresult: np.ndarray) -> np.ndarray:
        """d(x + f) from the gradient of `after`'s result."""
        return dresult if self.norm_first else self.norm.backward(dresult)

    def before_backward(self, dtotal: np.ndarray, dinput: np.ndarray) -> np.ndarray:
        """dx: what came past the sub-layer, and what came through it (`dinput`)."""
        return dtotal + (self.norm.backward(dinput) if self.norm_first else dinput)


class EncoderLayer(Layer):
    """Every token looks at all tokens, then thinks for itself (section 3.1)."""

    def __init__(
        self,
        model_size: int,
        heads: int,
        inner_size: int,
        norm_first: bool,
        generator: Generator,
        dtype: Dtype,
    ) -> None:
        self.attention = MultiHeadAttention(model_size, heads, generator, dtype)
        self.attention_residual = Residual(model_size, norm_first, dtype)
        self.feed_forward = FeedForward(model_size, inner_size, generator, dtype)
        self.feed_forward_residual = Residual(model_size, norm_first, dtype)
        super().__init__(parts={k: v for k, v in vars(self).items() if isinstance(v, Layer)})

    def forward(self, x: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """x (B,S,D), mask (B,1,S) -> (B,S,D), weights (B,N,S,S)."""
        seen = self.attention_residual.before(x)
        y, weights = self.attention.forward(seen, seen, seen, mask)
        x = self.attention_residual.after(x, y)
        y = self.feed_forward.forward(self.feed_forward_residual.before(x))
        return self.feed_forward_residual.after(x, y), weights

    def backward(self, dx: np.ndarray) -> np.ndarray:
        dtotal = self.feed_forward_residual.after_backward(dx)
        dinput = self.feed_forward.backward(dtotal)
        dx = self.feed_forward_residual.before_backward(dtotal, dinput)
        dtotal = self.attention_residual.after_backward(dx)
        dinput = sum(self.attention.backward(dtotal))  # query, key and value are one array
        return self.attention_residual.before_backward(dtotal, dinput)


class DecoderLayer(Layer):
    """Every token looks at itself and those before it, then at the source, then thinks for itself.

    In `cross_attention` the query comes from the decoder, key and value from the encoder.
    """

    def __init__(
        self,
        model_size: int,
        heads: int,
        inner_size: int,
        norm_first: bool,
        generator: Generator,
        dtype: Dtype,
    ) -> None:
        self.attention = MultiHeadAttention(model_size, heads, generator, dtype)
        self.attention_residual = Residual(model_size, norm_first, dtype)
        self.cross_attention = MultiHeadAttention(model_size, heads, generator, dtype)
        self.cross_attention_residual = Residual(model_size, norm_first, dtype)
        self.feed_forward = FeedForward(model_size, inner_size, generator, dtype)
        self.feed_forward_residual = Residual(model_size, norm_first, dtype)
        super().__init__(parts={k: v for k, v in vars(self).items() if isinstance(v, Layer)})

    def forward(
        self,
        x: np.ndarray,
        source: KeysValues,
        source_mask: np.ndarray | None,
        mask: np.ndarray | None,
        past: KeysValues | None = None,
    ) -> tuple[np.ndarray, KeysValues, tuple[np.ndarray, np.ndarray]]:
        """x (B,T,D), source = `cross_attention.project` of the encoder's output, its mask (B,1,S),
        mask (T,P+T), past = keys and values of P tokens before x -> (B,T,D), keys and values of all
        P + T tokens, weights of both attentions, (B,N,T,P+T) and (B,N,T,S).
        """
        seen = self.attention_residual.before(x)
        present = self.attention.project(seen, seen)
        if past is not None:
            present = tuple(np.concatenate(pair, axis=2) for pair in zip(past, present))
        y, own = self.attention.attend(seen, *present, mask)
        x = self.attention_residual.after(x, y)
        query = self.cross_attention_residual.before(x)
        y, cross = self.cross_attention.attend(query, *source, source_mask)
        x = self.cross_attention_residual.after(x, y)
        y = self.feed_forward.forward(self.feed_forward_residual.before(x))
        return self.feed_forward_residual.after(x, y), present, (own, cross)

    def backward(self, dx: np.ndarray) -> tuple[np.ndarray, KeysValues]:
        """dx (B,T,D), of a call without `past` -> the gradients of x and of `source`."""
        dtotal = self.feed_forward_residual.after_backward(dx)
        dinput = self.feed_forward.backward(dtotal)
        dx = self.feed_forward_residual.before_backward(dtotal, dinput)
        dtotal = self.cross_attention_residual.after_backward(dx)
        dquery, *dsource = self.cross_attention.attend_backward(dtotal)
        dx = self.cross_attention_residual.before_backward(dtotal, dquery)
        dtotal = self.attention_residual.after_backward(dx)
        dinput = sum(self.attention.backward(dtotal))  # query, key and value are one array
        return self.attention_residual.before_backward(dtotal, dinput), tuple(dsource)


class Positions(Layer):
    """What is added to the embedding of place 0, 1, 2, …: sines and cosines of section 3.5
    ("sinusoidal"), a table `weight` (longest, D) that is learned ("learned"), or nothing ("none").
    """

    def __init__(
        self, kind: str, model_size: int, longest: int, generator: Generator, dtype: Dtype
    ) -> None:
        self.kind, self.longest, learned = kind, longest, {}
        if kind == "learned":  # at first of the mean square of the sinusoids
            weight = generator.standard_normal((longest, model_size)) * 0.5**0.5
            learned = {"weight": weight.astype(dtype)}
        elif kind == "sinusoidal":
            self.table = sinusoidal_positions(longest, model_size).astype(dtype)
        super().__init__(learned)

    def forward(self, x: np.ndarray, first: int = 0) -> np.ndarray:
        """x (B,T,D) + the rows `first` … `first` + T − 1."""
        self._cache = first, first + x.shape[1]
        if self.kind == "none":
            return x
        check_longest(first + x.shape[1], self.longest)
        rows = self.params["weight"] if self.kind == "learned" else self.table
        return x + rows[slice(*self._cache)]

    def backward(self, dx: np.ndarray) -> np.ndarray:
        if self.kind == "learned":
            self.grads["weight"].fill(0)
            np.sum(dx, axis=0, out=self.grads["weight"][slice(*self._last_call())])
        return dx


class Stack(Layer):
    """What encoder and decoder have in common: embedding, positions, layers, and, where norms come
    first, one more norm at the end, since nothing else would norm the last layer's output.

    `more` are further parts. An embedding that another stack lists already is not listed again:
    Adam would take two steps with it.
    """

    kind: type[EncoderLayer] | type[DecoderLayer]

    def __init__(
        self,
        embedding: Embedding,
        heads: int,
        layers: int,
        inner_size: int,
        norm_first: bool,
        positions: str,
        longest: int,
        generator: Generator,
        listed: bool = True,
        more: dict[str, Layer] | None = None,
    ) -> None:
        size, dtype = embedding.params["weight"].shape[1], embedding.dtype
        self.embedding, self.scale = embedding, dtype.type(size**0.5)
        self.positions = Positions(positions, size, longest, generator, dtype)
        sizes = (size, heads, inner_size, norm_first, generator, dtype)
        self.layers = [self.kind(*sizes) for _ in range(layers)]
        self.norm = LayerNorm(size, dtype=dtype) if norm_first else None
        parts = {"embedding": embedding} if listed else {}
        parts |= {"positions": self.positions}
        parts |= {f"layers.{number}": layer for number, layer in enumerate(self.layers)}
        parts |= {"norm": self.norm} if self.norm else {}
        super().__init__(parts=parts | (more or {}))

    def embed(self, tokens: np.ndarray, first: int = 0) -> np.ndarray:
        """tokens (B,T) int, the first of which is at place `first` -> (B,T,D) (section 3.4)."""
        return self.positions.forward(self.embedding.forward(tokens) * self.scale, first)

    def embed_backward(self, dx: np.ndarray) -> None:
        self.embedding.backward(self.positions.backward(dx) * self.scale)

    def last_norm(self, x: np.ndarray) -> np.ndarray:
        return self.norm.forward(x) if self.norm else x

    def last_norm_backward(self, dx: np.ndarray) -> np.ndarray:
        return self.norm.backward(dx) if self.norm else dx


class Encoder(Stack):
    """tokens (B,S) and mask (B,1,S) -> (B,S,D), and the weights of each layer."""

    kind = EncoderLayer

    def forward(
        self, tokens: np.ndarray, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        x, seen = self.embed(tokens), []
        for layer in self.layers:
            x, weights = layer.forward(x, mask)
            seen.append(weights)
        return self.last_norm(x), seen

    def backward(self, dx: np.ndarray) -> None:
        dx = self.last_norm_backward(dx)
        for layer in reversed(self.layers):
            dx = layer.backward(dx)
        self.embed_backward(dx)


class Decoder(Stack):
    """Embedding, layers and the readout to the vocabulary; a tied one is the embedding turned."""

    kind = DecoderLayer
    readout: Linear | None  # set by `Transformer`

    def project(self, outputs: np.ndarray) -> tuple[KeysValues, ...]:
        """The encoder's outputs (B,S,D) as each layer will look at them, once a sentence."""
        return tuple(layer.cross_attention.project(outputs, outputs) for layer in self.layers)

    def forward(
        self, tokens: np.ndarray, memory: "Memory", past: Past = None
    ) -> tuple[np.ndarray, Past, list[tuple[np.ndarray, np.ndarray]]]:
        """tokens (B,T), what the encoder left, keys and values of the tokens before, layer by layer
        -> logits (B,T,V), keys and values of all tokens, weights of each layer.
        """
        first = 0 if past is None else past[0][0].shape[2]
        x, steps = self.embed(tokens, first), tokens.shape[1]
        mask = causal_mask(first + steps)[first:]  # each token sees itself and those before it
        present, seen = [], []
        for number, layer in enumerate(self.layers):
            before = None if past is None else past[number]
            x, now, weights = layer.forward(x, memory.layers[number], memory.mask, mask, before)
            present.append(now)
            seen.append(weights)
        return self.read(self.last_norm(x)), tuple(present), seen

    def backward(self, dlogits: np.ndarray) -> np.ndarray:
        """dlogits (B,T,V), of a call without `past` -> the gradient of the encoder's outputs."""
        dx, dreadout = self.read_backward(dlogits)
        dx, doutputs = self.last_norm_backward(dx), 0
        for layer in reversed(self.layers):
            dx, dsource = layer.backward(dx)
            doutputs = doutputs + sum(layer.cross_attention.project_backward(*dsource))
        self.embed_backward(dx)
        if dreadout is not None:
            self.embedding.grads["weight"] += dreadout
        return doutputs

    def read(self, x: np.ndarray) -> np.ndarray:
        """(B,T,D) -> logits (B,T,V)."""
        self._cache = x
        if self.readout is None:
            return x @ self.embedding.params["weight"].T
        return self.readout.forward(x)

    def read_backward(self, dlogits: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """dlogits (B,T,V) -> dx (B,T,D), and what a tied embedding owes to its second place."""
        if self.readout is not None:
            return self.readout.backward(dlogits), None
        weight = self.embedding.params["weight"]
        dreadout = np.empty_like(weight)
        product(dlogits, self._last_call(), out=dreadout)
        return dlogits @ weight, dreadout


class Memory(NamedTuple):
    """What the encoder leaves behind for the decoder."""

    outputs: np.ndarray  # (B,S,D)
    mask: np.ndarray  # (B,1,S) bool, True = real token
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


class Transformer(Layer):
    """Encoder and decoder of `layers` layers each (Vaswani et al. 2017, figure 1).

    `model_size` is D, `inner_size` that of the feed-forward network. `norm_first`: see `Residual`.
    `positions` is "sinusoidal", "learned" or "none"; with the first two no sentence may have more
    than `longest` tokens. `tie` says which matrices are one: "none", "target" (the decoder's
    embedding is also the readout, which then has no bias) or "all" (the encoder's embedding too, so
    both vocabularies must be one). `seed` fixes the initial weights: matrices by Glorot & Bengio's
    rule (2010), U(±√(6 / (in + out))), biases 0.
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
        dtype: Dtype = np.float32,
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
        self.tie, generator = tie, np.random.default_rng(seed)
        source = _embedding(source_size, model_size, generator, dtype)
        if tie == "all":
            target = copy(source)  # the same arrays, and a memory of its own calls
        else:
            target = _embedding(target_size, model_size, generator, dtype)
        sizes = (heads, layers, inner_size, norm_first, positions, longest, generator)
        self.encoder = Encoder(source, *sizes)
        readout = Linear(model_size, target_size, generator, dtype) if tie == "none" else None
        more = {"readout": readout} if readout else {}
        self.decoder = Decoder(target, *sizes, listed=tie != "all", more=more)
        self.decoder.readout = readout
        super().__init__(parts={"encoder": self.encoder, "decoder": self.decoder})
        _glorot(self.params, generator)

    def encode(self, source: np.ndarray, lengths: np.ndarray) -> Memory:
        """source (B,S) int, lengths (B,) -> what the decoder looks at."""
        expect("source", source, np.integer, B=None, S=None)
        mask = padding_mask(checked_lengths(lengths, *source.shape), source.shape[1])
        outputs, _ = self.encoder.forward(source, mask)
        return Memory(outputs, mask, self.decoder.project(outputs))

    def decode(self, target_in: np.ndarray, memory: Memory) -> np.ndarray:
        """target_in (B,T) int -> logits (B,T,V)."""
        expect("target_in", target_in, np.integer, B=len(memory.outputs), T=None)
        return self.decoder.forward(target_in, memory)[0]

    def forward(
        self, source: np.ndarray, source_lengths: np.ndarray, target_in: np.ndarray
    ) -> np.ndarray:
        """Teacher forcing: logits (B,T,V) for the whole target at once."""
        self._cache = self.encode(source, source_lengths)
        return self.decode(target_in, self._cache)

    def backward(self, dlogits: np.ndarray) -> None:
        """dlogits (B,T,V) -> `grads`; the last call must have been `forward`, not `step`."""
        self._last_call()
        doutputs = self.decoder.backward(dlogits)
        sums = GradientSums(self.decoder.embedding)  # which the encoder's may be, too
        sums.add()
        self.encoder.backward(doutputs)
        if self.tie == "all":
            sums.add()
            sums.write()

    # The decoding protocol of `attention_course.decoding`.

    def start(self, source: np.ndarray, source_lengths: np.ndarray) -> Decoding:
        """Encode a batch; the result is the first `state` for `step`."""
        self._cache = None
        return Decoding(self.encode(source, source_lengths), None)

    def step(self, state: Decoding, tokens: np.ndarray) -> tuple[np.ndarray, Decoding]:
        """One decoder step: tokens (B,) int -> log-probabilities (B,V), next state. Of the tokens
        before, nothing is computed again.
        """
        self._cache = None  # the layers now remember this step: a `backward` would be wrong
        memory = state.memory
        expect("tokens", tokens, np.integer, B=len(memory.outputs))
        logits, past, seen = self.decoder.forward(tokens[:, None], memory, state.past)
        weights = seen[-1][1].mean(axis=1)[:, 0]
        return log_softmax(logits[:, 0]), Decoding(memory, past, weights)

    def select(self, state: Decoding, rows: np.ndarray) -> Decoding:
        """The sentences `rows` (n,) int of `state`, in this order, each as often as it is named:
        what beam search keeps.
        """
        (outputs, mask, layers), past, weights = state

        def chosen(stack: Past) -> Past:
            return tuple(tuple(part[rows] for part in pair) for pair in stack)

        memory = Memory(outputs[rows], mask[rows], chosen(layers))
        kept = None if weights is None else weights[rows]
        return Decoding(memory, None if past is None else chosen(past), kept)

    def maps(self, source: np.ndarray, source_lengths: np.ndarray, target_in: np.ndarray) -> Maps:
        """Teacher forcing: where each token of each layer looks, head by head."""
        memory = self.start(source, source_lengths).memory
        _, encoder = self.encoder.forward(source, memory.mask)
        _, _, pairs = self.decoder.forward(target_in, memory)
        return Maps(*map(np.stack, (encoder, *zip(*pairs))))

    def alignment(
        self, source: np.ndarray, source_lengths: np.ndarray, target_in: np.ndarray
    ) -> np.ndarray:
        """Teacher forcing: where each target token looks in the source, weights (B,T,S): the mean
        over the heads of the last layer.
        """
        return self.maps(source, source_lengths, target_in).cross[-1].mean(axis=1)


def _embedding(vocab_size: int, size: int, generator: Generator, dtype: Dtype) -> Embedding:
    """Of variance 1/D, since `embed` multiplies by √D, and a tied readout does not."""
    layer = Embedding(vocab_size, size, generator, dtype)
    layer.params["weight"] *= layer.dtype.type(size**-0.5)
    return layer


def _glorot(params: dict[str, np.ndarray], generator: Generator) -> None:
    """Redraw the matrices of all linear layers, and empty their biases."""
    for name, bias in params.items():
        weight = params.get(name.removesuffix("bias") + "weight")
        if name.endswith("bias") and weight.ndim == 2:
            bound = (6 / sum(weight.shape)) ** 0.5
            weight[...] = generator.uniform(-bound, bound, weight.shape)
            bias.fill(0)
