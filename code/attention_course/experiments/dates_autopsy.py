"""Dates to ISO: does the best-known demonstration of attention show what it is used to show?

The usual way to set it up: Adam at 1e-3, embeddings that start a hundred times smaller than
torch's, a source that is filled with blanks to one width and read backwards, blanks included. Then
the learning rate is tripled, and last the rest is done as in this course: embeddings from N(0, 1)
and an encoder that reads forwards and is told where the text ends.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from attention_course.corpora.batching import Batch
from attention_course.corpora.dates import DatePair
from attention_course.corpora.vocabulary import Vocabulary
from attention_course.experiments.converting import convert, load_task
from attention_course.experiments.copying import MODELS
from attention_course.experiments.runner import Outcome
from attention_course.experiments.task import train_watched
from attention_course.metrics import exact_match
from attention_course.results import Settings
from attention_course.scratch.seq2seq import Seq2Seq
from attention_course.scratch.training import make_train_step

TOLD_APART_BY = ("model", "learning_rate", "embedding_scale", "blanks", "seed")
SEEDS = (0, 1, 2)
WIDTH = 29  # "Wednesday, September 30, 2026"
# model, learning rate, scale of the first embeddings, whether blanks are read
WAYS = (
    ("plain", 1e-3, 0.01, True),
    ("dot", 1e-3, 0.01, True),
    ("plain", 3e-3, 0.01, True),
    ("peeky", 3e-3, 0.01, True),
    ("dot", 3e-3, 0.01, True),
    ("plain", 3e-3, 1.0, False),
    ("dot", 3e-3, 1.0, False),
)

Read = Callable[[Batch], Batch]


def settings() -> list[Settings]:
    """Each way with each seed."""
    return [
        {
            "model": model,
            "embedding_scale": scale,
            "blanks": blanks,
            "seed": seed,
            "steps": 2500,
            "batch_size": 64,
            "learning_rate": learning_rate,
            "evaluate_every": 125,
            "fixed": {"cell": "lstm", "hidden_size": 64, "embed_size": 16, "tested": 500},
        }
        for seed in SEEDS
        for model, learning_rate, scale, blanks in WAYS
    ]


def run(settings: Settings) -> Outcome:
    """Train on dates, look at validation dates that training never saw in any format."""
    task = load_task()
    vocabularies = task.vocabularies
    model = build(settings, *vocabularies)
    pad = task.source_vocab.pad
    read = partial(blanks_first, pad=pad) if settings["blanks"] else None
    test = task.corpus.validation[: settings["fixed"]["tested"]]
    stream = task.batches(settings["batch_size"], 1000 + settings["seed"])
    curve = train_watched(
        make_train_step(model, settings["learning_rate"]),
        map(read, stream) if read else stream,
        settings,
        lambda: look(model, test, *vocabularies, read),
    )
    said = convert(model, [p.source for p in test[:6]], *vocabularies, read)
    examples = [[p.source, p.target, a] for p, a in zip(test[:6], said, strict=True)]
    return Outcome({**curve[-1], "examples": examples}, curve)


def build(settings: Settings, source_vocab: Vocabulary, target_vocab: Vocabulary) -> Seq2Seq:
    """The model of these settings, its embeddings scaled."""
    fixed = settings["fixed"]
    sizes = (len(source_vocab), len(target_vocab), fixed["embed_size"], fixed["hidden_size"])
    model = MODELS[settings["model"]](*sizes, cell=fixed["cell"], seed=settings["seed"])
    for side in ("encoder", "decoder"):
        model.params[f"{side}.embedding.weight"] *= settings["embedding_scale"]
    return model


def blanks_first(batch: Batch, pad: int) -> Batch:
    """The source filled to `WIDTH` and turned round as a whole: blanks, then the text backwards."""
    rows, width = batch.source.shape
    source = np.pad(batch.source, [(0, 0), (0, WIDTH - width)], constant_values=pad)
    return batch._replace(source=source[:, ::-1].copy(), source_lengths=np.full(rows, WIDTH))


def look(
    model: Seq2Seq,
    pairs: Sequence[DatePair],
    source_vocab: Vocabulary,
    target_vocab: Vocabulary,
    read: Read | None,
) -> dict:
    """Exact match, share of right characters at each place, number of different answers."""
    said = convert(model, [p.source for p in pairs], source_vocab, target_vocab, read)
    right = [p.target for p in pairs]
    places = [
        float(np.mean([a[i : i + 1] == t[i] for a, t in zip(said, right, strict=True)]))
        for i in range(10)
    ]
    return {
        "exact": exact_match(said, right),
        "places": [round(share, 3) for share in places],
        "different_answers": len(set(said)),
    }
