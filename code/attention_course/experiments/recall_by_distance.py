"""The other problem: not how much must be remembered, but from how far.

The source is one letter and then `distance` letters of noise; the answer is the first letter. One
symbol, 3.2 bits, fits into any vector. What stands between a model and the answer is the number of
steps that the gradient has to travel.
"""

from collections.abc import Iterator

import numpy as np

from attention_course.corpora.batching import Batch
from attention_course.corpora.strings import string_batches, string_vocabulary
from attention_course.experiments.runner import Outcome
from attention_course.results import Settings
from attention_course.scratch.seq2seq import AttentionSeq2Seq, Seq2Seq
from attention_course.scratch.training import make_train_step
from attention_course.training import fit

TOLD_APART_BY = ("cell", "attention", "distance", "seed")
CELLS = ("rnn", "gru", "lstm")
DISTANCES = (5, 10, 20, 40, 80)
SEEDS = (0, 1, 2)


def settings() -> list[Settings]:
    """Each cell with and without attention, at each distance, with each seed."""
    return [
        {
            "cell": cell,
            "attention": attention,
            "distance": distance,
            "seed": seed,
            "steps": 1500,
            "batch_size": 64,
            "learning_rate": 3e-3,
            "evaluate_every": 100,
            "fixed": {"hidden_size": 32, "stop_at": 0.99},
        }
        for cell in CELLS
        for attention in (False, True)
        for distance in DISTANCES
        for seed in SEEDS
    ]


def run(settings: Settings) -> Outcome:
    """Train until 99 % are right or the budget is spent."""
    size = len(string_vocabulary())
    kind = AttentionSeq2Seq if settings["attention"] else Seq2Seq
    fixed = settings["fixed"]
    model = kind(size, size, 16, fixed["hidden_size"], cell=settings["cell"], seed=settings["seed"])
    test = next(recall_batches(500, settings["distance"], seed=77))
    history = fit(
        make_train_step(model, settings["learning_rate"]),
        recall_batches(settings["batch_size"], settings["distance"], 1000 + settings["seed"]),
        settings["steps"],
        evaluate=lambda: {"accuracy": recall_accuracy(model, test)},
        evaluate_every=settings["evaluate_every"],
        stop_when=lambda metrics: metrics["accuracy"] >= fixed["stop_at"],
        progress=False,
    )
    curve = [{"step": step, **metrics} for step, metrics in history.evaluations]
    return Outcome({"accuracy": curve[-1]["accuracy"], "steps": curve[-1]["step"]}, curve)


def recall_batches(batch_size: int, distance: int, seed: int) -> Iterator[Batch]:
    """Strings of `distance` + 1 letters whose target is the first letter alone."""
    vocabulary = string_vocabulary()
    for batch in string_batches(batch_size, distance + 1, vocabulary, seed):
        first = batch.source[:, :1]
        yield batch._replace(
            target_in=np.concatenate([np.full_like(first, vocabulary.sos), first], axis=1),
            target_out=np.concatenate([first, np.full_like(first, vocabulary.eos)], axis=1),
            target_lengths=np.full_like(batch.target_lengths, 2),
        )


def recall_accuracy(model: Seq2Seq, batch: Batch) -> float:
    """Share of first letters that the model's first step names."""
    state = model.start(batch.source, batch.source_lengths)
    log_probs, _ = model.step(state, batch.target_in[:, 0])
    return float((log_probs.argmax(axis=-1) == batch.target_out[:, 0]).mean())
