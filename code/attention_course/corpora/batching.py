"""Batches: sequences of different lengths, padded on the right, with their lengths and masks."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from attention_course.corpora.vocabulary import Vocabulary

Ids = Sequence[int]


class Batch(NamedTuple):
    """Padded id matrices of B sentence pairs, all int64.

    source (B, S) and source_lengths (B,); target_in (B, T) starts with sos and is what the
    decoder reads; target_out (B, T) ends with eos and is what it must say; target_lengths (B,)
    counts the sos, or the eos, in. Lengths are at least 1.
    """

    source: np.ndarray
    source_lengths: np.ndarray
    target_in: np.ndarray
    target_out: np.ndarray
    target_lengths: np.ndarray

    @property
    def source_mask(self) -> np.ndarray:
        """Bool (B, S), True where the source holds a real token."""
        return lengths_to_mask(self.source_lengths, self.source.shape[1])

    @property
    def target_mask(self) -> np.ndarray:
        """Bool (B, T), True where target_in and target_out hold a real token."""
        return lengths_to_mask(self.target_lengths, self.target_in.shape[1])


def lengths_to_mask(lengths: np.ndarray, size: int) -> np.ndarray:
    """Bool (B, size) whose row b has `lengths[b]` times True, then False.

    Raises ValueError unless lengths is a (B,) integer array of values from 0 to `size`.
    """
    lengths = np.asarray(lengths)
    if lengths.ndim != 1 or not np.issubdtype(lengths.dtype, np.integer):
        raise ValueError(
            f"lengths: got shape {lengths.shape} of {lengths.dtype}, expected integers (B,)"
        )
    if lengths.size and (lengths.min() < 0 or lengths.max() > size):
        raise ValueError(
            f"lengths: got {lengths.min()} to {lengths.max()}, expected 0 to size = {size}"
        )
    return np.arange(size) < lengths[:, None]


def make_batch(
    sources: Sequence[Ids],
    targets: Sequence[Ids],
    source_vocab: Vocabulary,
    target_vocab: Vocabulary,
    source_eos: bool = False,
) -> Batch:
    """Pad B pairs of bare id sequences (no sos, eos or padding in them) to one Batch.

    target_in = <sos> + y, target_out = y + <eos>; with `source_eos` the source ends with <eos>
    too. A target may be empty, a source only with `source_eos`.

    Raises ValueError for different numbers of sources and targets, none at all, an empty source,
    ids outside the vocabulary, or special tokens where `make_batch` puts them; TypeError for
    text that was not encoded.
    """
    if len(sources) != len(targets) or len(sources) == 0:
        raise ValueError(
            f"sources, targets: got {len(sources)} and {len(targets)}, expected as many, at least 1"
        )
    source, source_lengths = _flatten("sources", sources, source_vocab)
    target, target_lengths = _flatten("targets", targets, target_vocab)
    if not source_eos and source_lengths.min() == 0:
        raise ValueError(f"sources: row {source_lengths.argmin()} is empty, expected 1 id or more")
    source_end = source_vocab.eos if source_eos else None
    return Batch(
        _pad(source, source_lengths, source_vocab.pad, last=source_end),
        source_lengths + int(source_eos),
        _pad(target, target_lengths, target_vocab.pad, first=target_vocab.sos),
        _pad(target, target_lengths, target_vocab.pad, last=target_vocab.eos),
        target_lengths + 1,
    )


def bucketed_batches(
    pairs: Sequence[tuple[Ids, Ids]],
    batch_size: int,
    source_vocab: Vocabulary,
    target_vocab: Vocabulary,
    seed: int,
    epochs: int | None = None,
    bucket: int = 50,
    source_eos: bool = False,
) -> Iterator[Batch]:
    """Batches of pairs of similar length, in random order; every pair once an epoch.

    pairs: (source ids, target ids), bare. Each epoch shuffles them, sorts stretches of
    `bucket * batch_size` by length, cuts these into batches and shuffles the batches. One batch
    an epoch is smaller when batch_size does not divide the number of pairs. Endless when
    `epochs` is None. The same seed gives the same batches.

    Sorting saves the work spent on padding; sorting only within stretches keeps the company that
    a sentence meets different in every epoch. `bucket=1` is plain random batching.

    Raises ValueError for no pairs and for a batch_size, bucket or epochs below 1.
    """
    if len(pairs) == 0:
        raise ValueError("pairs: got none, expected at least one")
    for name, value in (("batch_size", batch_size), ("bucket", bucket), ("epochs", epochs)):
        if value is not None and value < 1:
            raise ValueError(f"{name}: got {value}, expected 1 or more")
    vocabularies = (source_vocab, target_vocab)
    # Checked here and generated there: a generator would raise only at its first batch.
    return _bucketed(pairs, batch_size, vocabularies, seed, epochs, bucket, source_eos)


def _bucketed(pairs, batch_size, vocabularies, seed, epochs, bucket, source_eos):
    rng = np.random.default_rng(seed)
    lengths = np.array([(len(source), len(target)) for source, target in pairs])
    epoch = 0
    while epochs is None or epoch < epochs:
        for rows in _epoch_rows(lengths, batch_size, bucket, rng):
            sources, targets = zip(*(pairs[row] for row in rows))
            yield make_batch(sources, targets, *vocabularies, source_eos)
        epoch += 1


def _epoch_rows(
    lengths: np.ndarray, batch_size: int, bucket: int, rng: np.random.Generator
) -> list[list[int]]:
    """Row numbers of the batches of one epoch, from the (source, target) lengths (n, 2)."""
    order = rng.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), bucket * batch_size):
        part = order[start : start + bucket * batch_size]
        if bucket > 1:  # by source length, then target length; equal ones stay shuffled
            part = part[np.lexsort((lengths[part, 1], lengths[part, 0]))]
        batches += [part[i : i + batch_size].tolist() for i in range(0, len(part), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def _flatten(
    name: str, rows: Sequence[Ids], vocabulary: Vocabulary
) -> tuple[np.ndarray, np.ndarray]:
    """All ids of the rows end to end, and the lengths (B,) of the rows; checks the ids."""
    if any(isinstance(row, str) for row in rows):
        raise TypeError(f"{name}: got text, expected ids; call vocabulary.encode first")
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    flat = np.array(list(chain.from_iterable(rows)) or np.empty(0, np.int64))
    if not np.issubdtype(flat.dtype, np.integer):
        raise TypeError(f"{name}: got {flat.dtype}, expected integer ids")
    if flat.size and not 0 <= flat.min() <= flat.max() < len(vocabulary):
        raise ValueError(
            f"{name}: got ids {flat.min()} to {flat.max()}, expected 0 to {len(vocabulary) - 1}"
        )
    for role in ("pad", "sos", "eos"):
        if (flat == getattr(vocabulary, role)).any():
            raise ValueError(f"{name}: contain the id of {role}, expected bare ids; it is put here")
    return flat, lengths


def _pad(
    flat: np.ndarray,
    lengths: np.ndarray,
    pad: int,
    first: int | None = None,
    last: int | None = None,
) -> np.ndarray:
    """Rows of `flat` padded on the right, with one id before and one after where given."""
    start, end = int(first is not None), int(last is not None)
    columns = np.arange(start + lengths.max() + end) - start
    padded = np.full((len(lengths), len(columns)), pad, dtype=np.int64)
    # A bool index is filled row by row: exactly the order of the ids in `flat`.
    padded[(columns >= 0) & (columns < lengths[:, None])] = flat
    if start:
        padded[:, 0] = first
    if end:
        padded[np.arange(len(lengths)), start + lengths] = last
    return padded
