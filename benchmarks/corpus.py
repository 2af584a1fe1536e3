"""The course's dates as ids, for both sides of a comparison."""

from typing import NamedTuple

import numpy as np

from attention_course.corpora.batching import Batch, make_batch
from attention_course.corpora.dates import DatePair
from attention_course.corpora.vocabulary import Vocabulary
from attention_course.experiments.converting import load_task

WIDTH = 29  # "Wednesday, September 30, 2026"
ANSWER = 11  # ten characters and the end

Pair = tuple[list[int], list[int]]


class Corpus(NamedTuple):
    """Pairs of source and target ids that share no date, and what turned text into them."""

    source_vocab: Vocabulary
    target_vocab: Vocabulary
    train: list[Pair]
    validation: list[Pair]
    test: list[Pair]

    @classmethod
    def load(cls) -> "Corpus":
        dates, source_vocab, target_vocab = load_task()

        def ids(pairs: list[DatePair]) -> list[Pair]:
            return [(source_vocab.encode(p.source), target_vocab.encode(p.target)) for p in pairs]

        return cls(source_vocab, target_vocab, *map(ids, dates))

    def batch(self, pairs: list[Pair]) -> Batch:
        """The pairs as one batch, padded to the longest."""
        return make_batch(*zip(*pairs), self.source_vocab, self.target_vocab)

    def wide(self, pairs: list[Pair]) -> Batch:
        """The same, filled with blanks to `WIDTH`; what stands in `source_lengths` is unchanged."""
        batch = self.batch(pairs)
        blanks = WIDTH - batch.source.shape[1]
        source = np.pad(batch.source, [(0, 0), (0, blanks)], constant_values=self.source_vocab.pad)
        return batch._replace(source=source)
