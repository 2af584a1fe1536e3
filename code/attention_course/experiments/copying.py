"""Strings in, strings out: what the copy experiments share (models, test strings, evaluation)."""

from collections.abc import Sequence

import numpy as np

from attention_course.corpora.batching import Batch, make_batch
from attention_course.corpora.strings import random_strings, string_vocabulary
from attention_course.corpora.vocabulary import Vocabulary
from attention_course.decoding import greedy
from attention_course.scratch.bahdanau import BahdanauSeq2Seq
from attention_course.scratch.seq2seq import AttentionSeq2Seq, PeekySeq2Seq, Seq2Seq

MODELS = {
    "plain": Seq2Seq,
    "reversed": Seq2Seq,
    "peeky": PeekySeq2Seq,
    "dot": AttentionSeq2Seq,
    "bahdanau": BahdanauSeq2Seq,
}
EMBED_SIZE = 32


def build(model: str, hidden_size: int, seed: int) -> Seq2Seq:
    """A GRU encoder–decoder over the nine letters, embeddings of 32."""
    size = len(string_vocabulary())
    return MODELS[model](size, size, EMBED_SIZE, hidden_size, cell="gru", seed=seed)


def exact_by_length(
    model: Seq2Seq,
    lengths: Sequence[int],
    count: int,
    seed: int,
    reverse_source: bool = False,
) -> dict[str, float]:
    """Share of `count` fresh strings of each length that greedy decoding copies without a mistake.

    All lengths are decoded in one batch. The keys are strings because JSON has no others.
    """
    strings = [s for n in lengths for s in random_strings(count, n, seed=seed + n)]
    read = [s[::-1] for s in strings] if reverse_source else strings
    said = copies(model, read, string_vocabulary())
    right = np.array([a == s for a, s in zip(said, strings, strict=True)])
    return {str(n): float(r.mean()) for n, r in zip(lengths, right.reshape(-1, count), strict=True)}


def copies(
    model: Seq2Seq,
    strings: Sequence[str],
    vocabulary: Vocabulary,
    width: int | None = None,
    blind: bool = False,
) -> list[str]:
    """What the model answers to each string, all in one batch padded to `width` (the longest if
    None).

    `blind` tells the encoder that padding is text: the mistake of `padding_mistakes`.
    """
    ids = [vocabulary.encode(string) for string in strings]
    batch = make_batch(ids, [[]] * len(ids), vocabulary, vocabulary)
    if width is not None:
        more = width - batch.source.shape[1]
        source = np.pad(batch.source, [(0, 0), (0, more)], constant_values=vocabulary.pad)
        batch = batch._replace(source=source)
    longest = int(batch.source_lengths.max())
    return answers(model, blind_to_padding(batch) if blind else batch, vocabulary, longest + 1)


def answers(model: Seq2Seq, batch: Batch, target_vocab: Vocabulary, max_length: int) -> list[str]:
    """What the model says to each source of the batch, greedily, as text."""
    state = model.start(batch.source, batch.source_lengths)
    sos, eos = target_vocab.sos, target_vocab.eos
    decoded = greedy(model.step, state, len(batch.source), sos, eos, max_length)
    return ["".join(target_vocab.decode(ids)) for ids in decoded]


def blind_to_padding(batch: Batch) -> Batch:
    """The batch of a program that does not tell its encoder where a source ends."""
    return batch._replace(source_lengths=np.full_like(batch.source_lengths, batch.source.shape[1]))


def pads_in_loss(batch: Batch) -> Batch:
    """The batch of a program that scores the padding of its targets."""
    return batch._replace(
        target_lengths=np.full_like(batch.target_lengths, batch.target_in.shape[1])
    )
