"""Dates as people write them in, ISO dates out: what the date experiments share."""

from collections.abc import Callable, Sequence

from attention_course.corpora.batching import Batch, make_batch
from attention_course.corpora.dates import load_dates
from attention_course.corpora.vocabulary import Vocabulary
from attention_course.experiments.copying import answers
from attention_course.experiments.task import Task, make_task
from attention_course.scratch.seq2seq import Seq2Seq


def load_task() -> Task:
    """Dates and vocabularies: the same at every call."""
    dates = load_dates()
    return make_task(dates, dates.train)


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
