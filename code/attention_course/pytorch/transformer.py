"""The Transformer (Vaswani et al. 2017): layers of attention in the place of recurrent layers.

Shapes: tokens (B,S) and (B,T) of ids, vectors (B,S,D) and (B,T,D); masks are boolean, True = may
attend. Names, parts and parameters are those of `scratch.transformer`.
"""

import copy
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention_course.axes import check_transformer
from attention_course.positions import check_longest, sinusoidal_positions
from attention_course.pytorch.masks import causal_mask, padding_mask
from attention_course.pytorch.multihead import KeysValues, MultiHeadAttention
from attention_course.pytorch.multihead import to_library as attention_to_library
from attention_course.pytorch.recurrent import checked_lengths


class FeedForward(nn.Module):
    """max(0, x W_1 + b_1) W_2 + b_2, for each token on its own (eq. 2): (B,T,D) -> (B,T,D).

    Parts: `inner` (D,F) and `outer` (F,D), F = `inner_size`.
    """

    def __init__(self, model_size: int, inner_size: int) -> None:
        super().__init__()
        self.inner = nn.Linear(model_size, inner_size)
        self.outer = nn.Linear(inner_size, model_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(F.relu(self.inner(x)))


class Residual(nn.Module):
    """What stands around each sub-layer f: norm(x + f(x)), as in the paper (section 3.1), or
    x + f(norm(x)) with `norm_first` (Xiong et al. 2020).

    f is called in between: `after(x, f(before(x)))`.
    """

    def __init__(self, model_size: int, norm_first: bool, dropout: float) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.norm = nn.LayerNorm(model_size)
        self.dropout = nn.Dropout(dropout)

    def before(self, x: Tensor) -> Tensor:
        return self.norm(x) if self.norm_first else x

    def after(self, x: Tensor, y: Tensor) -> Tensor:
        total = x + self.dropout(y)
        return total if self.norm_first else self.norm(total)


class EncoderLayer(nn.Module):
    """Every token looks at all tokens, then thinks for itself (section 3.1)."""

    def __init__(
        self, model_size: int, heads: int, inner_size: int, norm_first: bool, dropout: float
    ) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(model_size, heads)
        self.attention_residual = Residual(model_size, norm_first, dropout)
        self.feed_forward = FeedForward(model_size, inner_size)
        self.feed_forward_residual = Residual(model_size, norm_first, dropout)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """x (B,S,D), mask (B,1,S) -> (B,S,D), weights (B,N,S,S) or None."""
        seen = self.attention_residual.before(x)
        y, weights = self.attention(seen, seen, seen, mask, need_weights)
        x = self.attention_residual.after(x, y)
        y = self.feed_forward(self.feed_forward_residual.before(x))
        return self.feed_forward_residual.after(x, y), weights


class DecoderLayer(nn.Module):
    """Every token looks at itself and those before it, then at the source, then thinks for itself.

    In `cross_attention` the query comes from the decoder, key and value from the encoder.
    """

    def __init__(
        self, model_size: int, heads: int, inner_size: int, norm_first: bool, dropout: float
    ) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(model_size, heads)
        self.attention_residual = Residual(model_size, norm_first, dropout)
        self.cross_attention = MultiHeadAttention(model_size, heads)
        self.cross_attention_residual = Residual(model_size, norm_first, dropout)
        self.feed_forward = FeedForward(model_size, inner_size)
        self.feed_forward_residual = Residual(model_size, norm_first, dropout)

    def forward(
        self,
        x: Tensor,
        source: KeysValues,
        source_mask: Tensor | None = None,
        mask: Tensor | None = None,
        past: KeysValues | None = None,
        need_weights: bool = False,
    ) -> tuple[Tensor, KeysValues, tuple[Tensor | None, Tensor | None]]:
        """x (B,T,D), source = `cross_attention.project` of the encoder's output, its mask (B,1,S),
        mask (T,P+T), past = keys and values of P tokens before x -> (B,T,D), keys and values of all
        P + T tokens, weights of both attentions, (B,N,T,P+T) and (B,N,T,S).
        """
        seen = self.attention_residual.before(x)
        present = self.attention.project(seen, seen)
        if past is not None:
            present = tuple(torch.cat(pair, dim=2) for pair in zip(past, present))
        y, own = self.attention.attend(seen, *present, mask, need_weights)
        x = self.attention_residual.after(x, y)
        query = self.cross_attention_residual.before(x)
        y, cross = self.cross_attention.attend(query, *source, source_mask, need_weights)
        x = self.cross_attention_residual.after(x, y)
        y = self.feed_forward(self.feed_forward_residual.before(x))
        return self.feed_forward_residual.after(x, y), present, (own, cross)


class Positions(nn.Module):
    """What is added to the embedding of place 0, 1, 2, …: sines and cosines of section 3.5
    ("sinusoidal"), a table `weight` (longest, D) that is learned ("learned"), or nothing ("none").
    """

    def __init__(self, kind: str, model_size: int, longest: int) -> None:
        super().__init__()
        self.kind, self.longest = kind, longest
        if kind == "learned":  # at first of the mean square of the sinusoids
            self.weight = nn.Parameter(torch.randn(longest, model_size) * 0.5**0.5)
        elif kind == "sinusoidal":
            table = torch.as_tensor(sinusoidal_positions(longest, model_size))
            self.register_buffer("table", table, persistent=False)

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """x (B,T,D) + the rows `first` … `first` + T − 1."""
        if self.kind == "none":
            return x
        last = first + x.shape[1]
        check_longest(last, self.longest)
        rows = self.weight if self.kind == "learned" else self.table
        return x + rows[first:last].to(x.dtype)


class Stack(nn.Module):
    """What encoder and decoder have in common: embedding, positions, layers, and, where norms come
    first, one more norm at the end, since nothing else would norm the last layer's output.
    """

    def __init__(
        self,
        vocab_size: int,
        model_size: int,
        heads: int,
        layers: int,
        inner_size: int,
        norm_first: bool,
        positions: str,
        longest: int,
        dropout: float,
    ) -> None:
        super().__init__()
        kind = EncoderLayer if isinstance(self, Encoder) else DecoderLayer
        self.embedding = nn.Embedding(vocab_size, model_size)
        # Of variance 1/D, since `embed` multiplies by √D, and a tied readout does not.
        nn.init.normal_(self.embedding.weight, std=model_size**-0.5)
        self.positions = Positions(positions, model_size, longest)
        sizes = (model_size, heads, inner_size, norm_first, dropout)
        self.layers = nn.ModuleList(kind(*sizes) for _ in range(layers))
        self.norm = nn.LayerNorm(model_size) if norm_first else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def embed(self, tokens: Tensor, first: int = 0) -> Tensor:
        """tokens (B,T) int, the first of which is at place `first` -> (B,T,D) (section 3.4)."""
        vectors = self.embedding(tokens) * self.embedding.embedding_dim**0.5
        return self.dropout(self.positions(vectors, first))


class Encoder(Stack):
    """tokens (B,S) and mask (B,1,S) -> (B,S,D), and the weights of each layer if asked for."""

    def forward(
        self, tokens: Tensor, mask: Tensor | None = None, need_weights: bool = False
    ) -> tuple[Tensor, list[Tensor | None]]:
        x, seen = self.embed(tokens), []
        for layer in self.layers:
            x, weights = layer(x, mask, need_weights)
            seen.append(weights)
        return self.norm(x), seen


class Decoder(Stack):
    """Embedding, layers and the readout to the vocabulary; a tied one is the embedding turned."""

    readout: nn.Linear | None  # set by `Transformer`

    def project(self, outputs: Tensor) -> tuple[KeysValues, ...]:
        """The encoder's outputs (B,S,D) as each layer will look at them, once a sentence."""
        return tuple(layer.cross_attention.project(outputs, outputs) for layer in self.layers)

    def forward(
        self, tokens: Tensor, memory: "Memory", past: "Past" = None, need_weights: bool = False
    ) -> tuple[Tensor, "Past", list[tuple[Tensor | None, Tensor | None]]]:
        """tokens (B,T), what the encoder left, keys and values of the tokens before, layer by layer
        -> logits (B,T,V), keys and values of all tokens, weights of each layer.
        """
        first = 0 if past is None else past[0][0].shape[2]
        x, steps = self.embed(tokens, first), tokens.shape[1]
        # One token may look at all there are; of several each sees itself and those before it.
        mask = causal_mask(first + steps, x.device)[first:] if steps > 1 else None
        present, seen = [], []
        for number, layer in enumerate(self.layers):
            before = None if past is None else past[number]
            x, now, weights = layer(
                x, memory.layers[number], memory.mask, mask, before, need_weights
            )
            present.append(now)
            seen.append(weights)
        return self.read(self.norm(x)), tuple(present), seen

    def read(self, x: Tensor) -> Tensor:
        """(B,T,D) -> logits (B,T,V)."""
        return x @ self.embedding.weight.T if self.readout is None else self.readout(x)


Past = tuple[KeysValues, ...] | None  # a pair for each layer: the cache


class Memory(NamedTuple):
    """What the encoder leaves behind for the decoder."""

    outputs: Tensor  # (B,S,D)
    mask: Tensor  # (B,1,S) bool, True = real token
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


class Transformer(nn.Module):
    """Encoder and decoder of `layers` layers each (Vaswani et al. 2017, figure 1).

    `model_size` is D, `inner_size` that of the feed-forward network. `norm_first`: see `Residual`.
    `positions` is "sinusoidal", "learned" or "none"; with the first two no sentence may have more
    than `longest` tokens. `tie` says which matrices are one: "none", "target" (the decoder's
    embedding is also the readout, which then has no bias) or "all" (the encoder's embedding too, so
    both vocabularies must be one). `seed` fixes the initial weights: matrices by Glorot & Bengio's
    rule (2010), U(±√(6 / (in + out))), biases 0. `dropout` is the share of numbers
    that training sets to zero in the embeddings and in what each sub-layer adds.
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
        dropout: float = 0.0,
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
        super().__init__()
        sizes = (model_size, heads, layers, inner_size, norm_first, positions, longest, dropout)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = Encoder(source_size, *sizes)
            self.decoder = Decoder(target_size, *sizes)
            readout = nn.Linear(model_size, target_size) if tie == "none" else None
            self.decoder.readout = readout
            if tie == "all":
                self.decoder.embedding = self.encoder.embedding
            for part in self.modules():
                if isinstance(part, nn.Linear):
                    nn.init.xavier_uniform_(part.weight)
                    nn.init.zeros_(part.bias)

    def encode(self, source: Tensor, lengths: Tensor) -> Memory:
        """source (B,S) int, lengths (B,) -> what the decoder looks at."""
        mask = padding_mask(checked_lengths(lengths, source), source.shape[1], source.device)
        outputs, _ = self.encoder(source, mask)
        return Memory(outputs, mask, self.decoder.project(outputs))

    def decode(self, target_in: Tensor, memory: Memory) -> Tensor:
        """target_in (B,T) int -> logits (B,T,V)."""
        return self.decoder(target_in, memory)[0]

    def forward(self, source: Tensor, source_lengths: Tensor, target_in: Tensor) -> Tensor:
        """Teacher forcing: logits (B,T,V) for the whole target at once."""
        return self.decode(target_in, self.encode(source, source_lengths))

    # The decoding protocol of `attention_course.decoding`: NumPy in, NumPy out.

    @torch.no_grad()
    def start(self, source: np.ndarray, source_lengths: np.ndarray) -> Decoding:
        """Encode a batch; the result is the first `state` for `step`."""
        self.eval()
        device = self.decoder.embedding.weight.device
        source, lengths = torch.as_tensor(source, device=device), torch.as_tensor(source_lengths)
        return Decoding(self.encode(source, lengths), None)

    @torch.no_grad()
    def step(self, state: Decoding, tokens: np.ndarray) -> tuple[np.ndarray, Decoding]:
        """One decoder step: tokens (B,) -> log-probabilities (B,V), next state. Of the tokens
        before, nothing is computed again.
        """
        memory = state.memory
        column = torch.as_tensor(tokens, device=memory.outputs.device)[:, None]
        logits, past, seen = self.decoder(column, memory, state.past, need_weights=True)
        weights = seen[-1][1].mean(dim=1)[:, 0].cpu().numpy()
        log_probs = logits[:, 0].log_softmax(dim=-1)
        return log_probs.cpu().numpy(), Decoding(memory, past, weights)

    def select(self, state: Decoding, rows: np.ndarray) -> Decoding:
        """The sentences `rows` (n,) int of `state`, in this order, each as often as it is named:
        what beam search keeps.
        """
        (outputs, mask, layers), past, weights = state
        index = torch.as_tensor(rows, device=outputs.device)

        def chosen(stack: Past) -> Past:
            return tuple(tuple(part[index] for part in pair) for pair in stack)

        memory = Memory(outputs[index], mask[index], chosen(layers))
        kept = None if weights is None else weights[rows]
        return Decoding(memory, None if past is None else chosen(past), kept)

    @torch.no_grad()
    def maps(self, source: np.ndarray, source_lengths: np.ndarray, target_in: np.ndarray) -> Maps:
        """Teacher forcing: where each token of each layer looks, head by head."""
        memory, _, _ = self.start(source, source_lengths)
        device = memory.outputs.device
        source, target_in = (torch.as_tensor(x, device=device) for x in (source, target_in))
        _, encoder = self.encoder(source, memory.mask, need_weights=True)
        _, _, pairs = self.decoder(target_in, memory, need_weights=True)
        return Maps(*(torch.stack(x).cpu().numpy() for x in (encoder, *zip(*pairs))))

    def alignment(
        self, source: np.ndarray, source_lengths: np.ndarray, target_in: np.ndarray
    ) -> np.ndarray:
        """Teacher forcing: where each target token looks in the source, weights (B,T,S): the mean
        over the heads of the last layer.
        """
        return self.maps(source, source_lengths, target_in).cross[-1].mean(axis=1)


def to_library(model: Transformer) -> nn.Transformer:
    """PyTorch's own `nn.Transformer` with copies of these weights, for embedded tokens:
    `library(model.encoder.embed(source), model.decoder.embed(target_in), …)` gives what the readout
    sees. It has no embeddings, positions or readout.

    Its masks have the other polarity (see `masks`), and built plainly it has a last norm in both
    stacks, even where norms come after; here only where ours has one.
    """
    weight = model.encoder.embedding.weight
    inner = model.encoder.layers[0].feed_forward.inner.out_features
    kind = {"batch_first": True, "dtype": weight.dtype, "device": weight.device}
    kind |= {"dropout": 0.0, "norm_first": model.encoder.layers[0].attention_residual.norm_first}
    sizes = (weight.shape[1], model.encoder.layers[0].attention.heads)
    counts = (len(model.encoder.layers), len(model.decoder.layers))
    library = nn.Transformer(*sizes, *counts, inner, **kind)
    for ours, theirs in ((model.encoder, library.encoder), (model.decoder, library.decoder)):
        for mine, other in zip(ours.layers, theirs.layers):
            for part, name in _library_parts(mine).items():
                setattr(other, name, part)
        theirs.norm = copy.deepcopy(ours.norm)
    return library


def _library_parts(layer: EncoderLayer | DecoderLayer) -> dict[nn.Module, str]:
    """Copies of a layer's parts, and what `nn.Transformer` calls them."""
    parts = {attention_to_library(layer.attention): "self_attn"}
    residuals = [layer.attention_residual]
    if isinstance(layer, DecoderLayer):
        parts[attention_to_library(layer.cross_attention)] = "multihead_attn"
        residuals.append(layer.cross_attention_residual)
    residuals.append(layer.feed_forward_residual)
    feed_forward = copy.deepcopy(layer.feed_forward)
    parts |= {feed_forward.inner: "linear1", feed_forward.outer: "linear2"}
    norms = (copy.deepcopy(residual.norm) for residual in residuals)
    return parts | {norm: f"norm{number}" for number, norm in enumerate(norms, start=1)}
