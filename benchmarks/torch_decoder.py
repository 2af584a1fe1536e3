"""What PyTorch's Bahdanau decoder is measured against: the same model as the tutorials write it.

At each step the state is repeated over the source and joined to every annotation, so that the keys
are projected anew; then tanh, v, softmax, `bmm`, one step of `nn.GRU`, the product with the whole
vocabulary. Right, and clear; `attention_course.pytorch.bahdanau` must give the same, faster.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from attention_course.corpora.batching import Batch
from attention_course.decoding import greedy
from attention_course.pytorch.bahdanau import BahdanauSeq2Seq
from attention_course.pytorch.training import batch_loss, make_train_step

VOCABULARY, EMBED, HIDDEN, B, S = 4000, 128, 256, 64, 20
PAD, SOS, EOS = 0, 1, 2
SENTENCES = 128  # to decode
MAX_NORM = 5.0
MODEL = (
    f"additive attention, GRU {HIDDEN}, embedding {EMBED}, vocabulary {VOCABULARY}, {B} × {S}, "
    "against a tutorial that projects the keys at each step"
)

Job = Callable[[], object]
Jobs = tuple[str, Job, Job]


class TutorialEncoder(nn.Module):
    """A bidirectional GRU; both final states make the decoder's first one."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, EMBED)
        self.rnn = nn.GRU(EMBED, HIDDEN, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(2 * HIDDEN, HIDDEN)

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        embedded = self.embedding(source)
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        outputs, hidden = self.rnn(packed)
        outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=source.shape[1])
        return outputs, torch.tanh(self.fc(torch.cat([hidden[0], hidden[1]], dim=1)))


class TutorialAttention(nn.Module):
    """v · tanh([s; h_j] W), the state repeated for each annotation."""

    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.Linear(3 * HIDDEN, HIDDEN, bias=False)
        self.v = nn.Linear(HIDDEN, 1, bias=False)

    def forward(self, hidden: Tensor, outputs: Tensor, mask: Tensor) -> Tensor:
        repeated = hidden.unsqueeze(1).repeat(1, outputs.shape[1], 1)
        energy = torch.tanh(self.attn(torch.cat([repeated, outputs], dim=2)))
        scores = self.v(energy).squeeze(2)
        return F.softmax(scores.masked_fill(~mask, -1e10), dim=1)


class TutorialDecoder(nn.Module):
    """One token in, one row of the vocabulary out."""

    def __init__(self, readout: str) -> None:
        super().__init__()
        self.attention = TutorialAttention()
        self.embedding = nn.Embedding(VOCABULARY, EMBED)
        self.rnn = nn.GRU(2 * HIDDEN + EMBED, HIDDEN, batch_first=True)
        self.readout, seen = readout, 3 * HIDDEN + EMBED
        if readout == "maxout":
            self.maxout, seen = nn.Linear(seen, HIDDEN), HIDDEN // 2
        self.fc_out = nn.Linear(seen, VOCABULARY)

    def forward(
        self, tokens: Tensor, hidden: Tensor, outputs: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        embedded = self.embedding(tokens).unsqueeze(1)
        weights = self.attention(hidden, outputs, mask).unsqueeze(1)
        weighted = torch.bmm(weights, outputs)
        rnn_input = torch.cat([embedded, weighted], dim=2)
        output, after = self.rnn(rnn_input, hidden.unsqueeze(0))
        if self.readout == "linear":
            seen = torch.cat([output, weighted, embedded], dim=2).squeeze(1)
        else:
            seen = torch.cat([hidden.unsqueeze(1), weighted, embedded], dim=2).squeeze(1)
            seen = self.maxout(seen).view(len(tokens), -1, 2).max(dim=2).values
        return self.fc_out(seen), after.squeeze(0)


class TutorialSeq2Seq(nn.Module):
    """The loop over the target, with the weights of `model`."""

    def __init__(self, model: BahdanauSeq2Seq) -> None:
        super().__init__()
        self.encoder, self.decoder = TutorialEncoder(), TutorialDecoder(model.readout)
        with torch.no_grad():
            for ours, theirs in self.pairs(model):
                theirs.copy_(ours)

    def forward(self, source: Tensor, lengths: Tensor, target_in: Tensor) -> Tensor:
        outputs, hidden = self.encoder(source, lengths)
        mask = torch.arange(source.shape[1]) < lengths[:, None]
        predictions = []
        for t in range(target_in.shape[1]):
            prediction, hidden = self.decoder(target_in[:, t], hidden, outputs, mask)
            predictions.append(prediction)
        return torch.stack(predictions, dim=1)

    def pairs(self, model: BahdanauSeq2Seq, gradients: bool = False) -> list[tuple[Tensor, Tensor]]:
        """The course's parameters, or their gradients, beside what they are called here."""

        def of(parameter: nn.Parameter) -> Tensor:
            return parameter.grad if gradients else parameter

        score, attention = model.attention.score, self.decoder.attention
        joined = torch.cat([of(score.query_weight), of(score.key_weight)]).T
        pairs = [(joined, attention.attn.weight), (of(score.vector)[None], attention.v.weight)]
        ahead, back = model.encoder.rnn.forward_layer.rnn, model.encoder.rnn.backward_layer.rnn
        for name, parameter in ahead.named_parameters():
            pairs.append((of(parameter), getattr(self.encoder.rnn, name)))
            pairs.append((of(getattr(back, name)), getattr(self.encoder.rnn, f"{name}_reverse")))
        layers = [
            (model.encoder.embedding, self.encoder.embedding),
            (model.bridge, self.encoder.fc),
            (model.decoder.embedding, self.decoder.embedding),
            (model.decoder.rnn.rnn, self.decoder.rnn),
            (model.decoder.readout, self.decoder.fc_out),
        ]
        if model.readout == "maxout":
            layers.append((model.maxout, self.decoder.maxout))
        for ours, theirs in layers:
            pairs += [(of(p), getattr(theirs, name)) for name, p in ours.named_parameters()]
        return [(ours, of(theirs)) for ours, theirs in pairs]


def tutorial_loss(model: TutorialSeq2Seq, batch: Batch) -> Tensor:
    """The mean over all tokens that are not padding."""
    arrays = (batch.source, batch.source_lengths, batch.target_in, batch.target_out)
    source, lengths, target_in, target_out = map(torch.as_tensor, arrays)
    logits = model(source, lengths, target_in).reshape(-1, VOCABULARY)
    return F.cross_entropy(logits, target_out.reshape(-1), ignore_index=PAD)


def tutorial_train_step(
    model: nn.Module, loss_of: Callable[[nn.Module, Batch], Tensor]
) -> Callable[[Batch], float]:
    """Zero, forward, backward, clip, Adam."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def train_step(batch: Batch) -> float:
        model.train()
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
        optimizer.step()
        return loss.item()

    return train_step


def torch_training_step(readout: str, ragged: bool = False) -> Jobs:
    """One update, all 20 long or from 5 to 20; equal loss and gradients are asserted first."""
    batch = random_batch(ragged)
    course = BahdanauSeq2Seq(VOCABULARY, VOCABULARY, EMBED, HIDDEN, readout=readout)
    book = TutorialSeq2Seq(course)
    ours, theirs = batch_loss(course, batch), tutorial_loss(book, batch)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    for loss in (ours, theirs):
        loss.backward()
    for mine, other in book.pairs(course, gradients=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-4 * float(other.abs().max()))
    update, book_update = (
        make_train_step(course, 1e-3, MAX_NORM),
        tutorial_train_step(book, tutorial_loss),
    )
    lengths = "5–20 long" if ragged else "20 long"
    what = f"training step, {readout} readout, {lengths}"
    return what, lambda: book_update(batch), lambda: update(batch)


def torch_decoding() -> Jobs:
    """Greedy decoding by the course's model: one sentence after the other, and 64 at a time."""
    model = BahdanauSeq2Seq(VOCABULARY, VOCABULARY, EMBED, HIDDEN)
    with torch.no_grad():  # untrained: it must not end a sentence early, and say different things
        model.decoder.readout.bias[EOS] = -1e3
        for parameter in model.parameters():
            parameter *= 2
    source = np.random.default_rng(1).integers(3, VOCABULARY, (SENTENCES, S))

    def decoded(rows: int) -> list[list[int]]:
        answers = []
        for start in range(0, SENTENCES, rows):
            some = source[start : start + rows]
            state = model.start(some, np.full(len(some), S))
            answers += greedy(model.step, state, len(some), SOS, EOS, S)
        return answers

    assert decoded(1) == decoded(B)
    what = f"greedy decoding, {SENTENCES} sentences, {B} at a time"
    return what, lambda: decoded(1), lambda: decoded(B)


def random_batch(ragged: bool) -> Batch:
    rng = np.random.default_rng(0)
    source, target_in, target_out = rng.integers(3, VOCABULARY, (3, B, S))
    lengths = rng.integers(5, S, (2, B), endpoint=True) if ragged else np.full((2, B), S)
    padding = np.arange(S) >= lengths[..., None]
    source[padding[0]] = target_in[padding[1]] = target_out[padding[1]] = PAD
    return Batch(source, lengths[0], target_in, target_out, lengths[1])
