"""Dates as people write them in, ISO dates out: what the date experiments share."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from attention_course.corpora.batching import Batch, bucketed_batches, make_batch
from attention_course.corpora.dates import Dates, load_dates
from attention_course.corpora.vocabulary import Vocabulary
from attention_course.experiments.copying import answers
from attention_course.scratch.seq2seq import Seq2Seq
from attention_course.training import History


class Task(NamedTuple):
    """The dates, and vocabularies made of those for training."""

    dates: Dates
    source_vocab: Vocabulary
    target_vocab: Vocabulary

    @property
    def vocabularies(self) -> tuple[Vocabulary, Vocabulary]:
        """Of source and target."""
        return self.source_vocab, self.target_vocab

    def batches(self, batch_size: int, seed: int) -> Iterator[Batch]:
        """An endless stream for training, in which lengths differ little within a batch."""
        source, target = (vocabulary.encode for vocabulary in self.vocabularies)
        pairs = [(source(pair.source), target(pair.target)) for pair in self.dates.train]
        return bucketed_batches(pairs, batch_size, *self.vocabularies, seed=seed)


def load_task() -> Task:
    """Dates and vocabularies: the same at every call."""
    dates = load_dates()
    source_vocab = Vocabulary.from_sequences(pair.source for pair in dates.train)
    target_vocab = Vocabulary.from_sequences(pair.target for pair in dates.train)
    return Task(dates, source_vocab, target_vocab)


def convert(
    model: Seq2Seq,
    texts: Sequence[str],
    source_vocab: Vocabulary,
    target_vocab: Vocabulary,
    read: Callable[[Batch], Batch] | None = None,
) -> list[str]:
    """What the model makes of each text, greedily, all in one batch; `read` changes the batch."""
    ids = [source_vocab.encode(text) for text in texts]
    batch = make_batch(ids, [[]] * len(ids), source_vocab, target_vocab)
    return answers(model, read(batch) if read else batch, target_vocab, max_length=12)


def curve_of(history: History) -> list[dict[str, Any]]:
    """What was seen at each evaluation, with the mean loss of the hundred steps before it."""
    return [
        {"step": step, "loss": round(float(np.mean(history.losses[step - 100 : step])), 4)}
        | metrics
        for step, metrics in history.evaluations
    ]
