"""What PyTorch's Transformer of the course is measured against: `nn.Transformer`, and the same
model as the tutorials write it, with the softmax spelled out.

All three have the same weights, post-norm, sinusoidal positions, and give the same loss.
"""

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_decoder import (
    MAX_NORM,
    PAD,
    VOCABULARY,
    Job,
    Jobs,
    random_batch,
    tutorial_train_step,
)

from attention_course.corpora.batching import Batch
from attention_course.positions import sinusoidal_positions
from attention_course.pytorch.training import batch_loss, make_train_step
from attention_course.pytorch.transformer import Transformer, to_library

SIZES = {"model_size": 128, "heads": 4, "layers": 2, "inner_size": 512}
MODEL = f"Transformer 2 + 2, d 128, 4 heads, ff 512, vocabulary {VOCABULARY}, 64 × 20"


class Embedded(nn.Module):
    """What the library's model and the textbook's share: embeddings, positions, readout."""

    def __init__(self, course: Transformer) -> None:
        super().__init__()
        size = SIZES["model_size"]
        self.scale = math.sqrt(size)
        self.source, self.target = (nn.Embedding(VOCABULARY, size) for _ in range(2))
        self.readout = nn.Linear(size, VOCABULARY)
        self.register_buffer("places", torch.tensor(sinusoidal_positions(512, size)).float())
        for mine, other in (
            (self.source, course.encoder.embedding),
            (self.target, course.decoder.embedding),
            (self.readout, course.decoder.readout),
        ):
            mine.load_state_dict(other.state_dict())

    def embed(self, table: nn.Embedding, tokens: Tensor) -> Tensor:
        return table(tokens) * self.scale + self.places[: tokens.shape[1]]


class LibraryModel(Embedded):
    """`nn.Transformer`, called as its documentation does."""

    def __init__(self, course: Transformer) -> None:
        super().__init__(course)
        self.transformer = to_library(course)

    def forward(self, source: Tensor, target_in: Tensor) -> Tensor:
        future = nn.Transformer.generate_square_subsequent_mask(target_in.shape[1])
        pads = source == PAD
        said = self.transformer(
            self.embed(self.source, source),
            self.embed(self.target, target_in),
            tgt_mask=future,
            src_key_padding_mask=torch.zeros(pads.shape).masked_fill(pads, -torch.inf),
            memory_key_padding_mask=torch.zeros(pads.shape).masked_fill(pads, -torch.inf),
        )
        return self.readout(said)


class TextbookAttention(nn.Module):
    """Scores, −1e9 where the mask is 0, softmax, sum, as in many a tutorial."""

    def __init__(self, course: nn.Module) -> None:
        super().__init__()
        self.heads, self.parts = (
            course.heads,
            nn.ModuleList(
                _copy(part) for part in (course.query, course.key, course.value, course.out)
            ),
        )

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        batch, size = query.size(0), query.size(-1)
        q, k, v = (
            part(x).view(batch, -1, self.heads, size // self.heads).transpose(1, 2)
            for part, x in zip(self.parts, (query, key, value))
        )
        scores = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(q.size(-1))
        weights = scores.masked_fill(mask == 0, -1e9).softmax(dim=-1)
        context = torch.matmul(weights, v).transpose(1, 2).contiguous().view(batch, -1, size)
        return self.parts[-1](context)


class TextbookNorm(nn.Module):
    """Mean and variance written out."""

    def __init__(self, course: nn.Module) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(p.detach().clone()) for p in (course.norm.weight, course.norm.bias)
        )

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(-1, keepdim=True)
        variance = ((x - mean) ** 2).mean(-1, keepdim=True)
        return self.weight * (x - mean) / torch.sqrt(variance + 1e-5) + self.bias


class TextbookLayer(nn.Module):
    """An encoder's layer, or a decoder's where it has a cross-attention."""

    def __init__(self, course: nn.Module) -> None:
        super().__init__()
        self.attention = TextbookAttention(course.attention)
        self.norms = nn.ModuleList([TextbookNorm(course.attention_residual)])
        self.cross = None
        if hasattr(course, "cross_attention"):
            self.cross = TextbookAttention(course.cross_attention)
            self.norms.append(TextbookNorm(course.cross_attention_residual))
        self.inner, self.outer = map(_copy, (course.feed_forward.inner, course.feed_forward.outer))
        self.norms.append(TextbookNorm(course.feed_forward_residual))

    def forward(
        self, x: Tensor, mask: Tensor, memory: Tensor | None = None, pads: Tensor | None = None
    ) -> Tensor:
        x = self.norms[0](x + self.attention(x, x, x, mask))
        if self.cross is not None:
            x = self.norms[1](x + self.cross(x, memory, memory, pads))
        return self.norms[-1](x + self.outer(F.relu(self.inner(x))))


class TextbookModel(Embedded):
    """The stacks, and masks of 0 and 1 made anew at each call."""

    def __init__(self, course: Transformer) -> None:
        super().__init__(course)
        self.encoder = nn.ModuleList(map(TextbookLayer, course.encoder.layers))
        self.decoder = nn.ModuleList(map(TextbookLayer, course.decoder.layers))

    def forward(self, source: Tensor, target_in: Tensor) -> Tensor:
        size = target_in.size(1)
        pads = (source != PAD).unsqueeze(1).unsqueeze(2)
        hidden = (target_in != PAD).unsqueeze(1).unsqueeze(2)
        hidden = hidden & torch.tril(torch.ones(size, size)).bool()
        memory, x = self.embed(self.source, source), self.embed(self.target, target_in)
        for layer in self.encoder:
            memory = layer(memory, pads)
        for layer in self.decoder:
            x = layer(x, hidden, memory, pads)
        return self.readout(x)


def _copy(layer: nn.Linear) -> nn.Linear:
    other = nn.Linear(layer.in_features, layer.out_features)
    other.load_state_dict(layer.state_dict())
    return other


def their_loss(model: nn.Module, batch: Batch) -> Tensor:
    """The mean over all tokens that are not padding."""
    arrays = (batch.source, batch.target_in, batch.target_out)
    source, target_in, target_out = map(torch.as_tensor, arrays)
    logits = model(source, target_in).reshape(-1, VOCABULARY)
    return F.cross_entropy(logits, target_out.reshape(-1), ignore_index=PAD)


def transformer_training_steps() -> Iterator[Jobs]:
    """One update against each of the two, all 20 long or from 5 to 20; equal losses are asserted
    first, before the first update and after the tenth.
    """
    for name, kind in (("textbook", TextbookModel), ("nn.Transformer", LibraryModel)):
        for ragged in (False, True):
            batch = random_batch(ragged)
            course = Transformer(VOCABULARY, VOCABULARY, **SIZES)
            other = kind(course)
            torch.testing.assert_close(
                batch_loss(course, batch), their_loss(other, batch), rtol=1e-5, atol=0
            )
            update = make_train_step(course, 1e-3, MAX_NORM)
            their_update = tutorial_train_step(other, their_loss)
            for _ in range(10):
                mine, theirs = update(batch), their_update(batch)
            assert abs(mine - theirs) < 1e-3 * theirs
            lengths = "5–20 long" if ragged else "20 long"
            yield f"training step against {name}, {lengths}", *_jobs(their_update, update, batch)


def _jobs(theirs: Callable, ours: Callable, batch: Batch) -> tuple[Job, Job]:
    return lambda: theirs(batch), lambda: ours(batch)
