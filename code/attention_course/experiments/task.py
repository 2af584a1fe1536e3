"""What the sequence-to-sequence experiments share: pairs to train on, and the watched training."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from attention_course.corpora.batching import Batch, bucketed_batches
from attention_course.corpora.vocabulary import Vocabulary
from attention_course.results import Settings
from attention_course.training import Metrics, fit


class Task(NamedTuple):
    """A corpus with its splits; the pairs for training, which have a `source` and a `target`;
    vocabularies made of those.
    """

    corpus: Any
    train: Sequence[Any]
    source_vocab: Vocabulary
    target_vocab: Vocabulary

    @property
    def vocabularies(self) -> tuple[Vocabulary, Vocabulary]:
        """Of source and target."""
        return self.source_vocab, self.target_vocab

    def batches(self, batch_size: int, seed: int) -> Iterator[Batch]:
        """An endless stream for training, in which lengths differ little within a batch."""
        source, target = (vocabulary.encode for vocabulary in self.vocabularies)
        ids = [(source(pair.source), target(pair.target)) for pair in self.train]
        return bucketed_batches(ids, batch_size, *self.vocabularies, seed=seed)


def make_task(corpus: Any, train: Sequence[Any]) -> Task:
    """The task, its vocabularies from the training pairs alone."""
    sides = zip(*((pair.source, pair.target) for pair in train))
    return Task(corpus, train, *map(Vocabulary.from_sequences, sides))


def train_watched(
    train_step: Callable[[Batch], float],
    batches: Iterable[Batch],
    settings: Settings,
    evaluate: Callable[[], Metrics],
) -> list[dict[str, Any]]:
    """Train for the settings' `steps`; what `evaluate` saw every `evaluate_every` of them, with the
    mean loss of the hundred steps before.
    """
    steps, every = settings["steps"], settings["evaluate_every"]
    history = fit(train_step, batches, steps, evaluate, evaluate_every=every, progress=False)
    return [
        {"step": step, "loss": round(float(np.mean(history.losses[step - 100 : step])), 4)}
        | metrics
        for step, metrics in history.evaluations
    ]
