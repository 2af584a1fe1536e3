"""Two mistakes in an attention layer that run, train and lower the loss.

The dates of `dates_attention`, with the same set-up: once right, once with the softmax taken over
the decoder steps instead of the source, once with a softmax gradient that has only its diagonal.
"""

import numpy as np

from attention_course.corpora.batching import make_batch
from attention_course.experiments.converting import convert, curve_of, load_task
from attention_course.experiments.dates_attention import build
from attention_course.experiments.runner import Outcome
from attention_course.metrics import exact_match, token_accuracy
from attention_course.results import Settings
from attention_course.schedules import linear_schedule
from attention_course.scratch.attention import AttentionWeight
from attention_course.scratch.functional import softmax, softmax_backward
from attention_course.scratch.training import make_train_step
from attention_course.training import fit

TOLD_APART_BY = ("mistake", "seed")
SEEDS = (0, 1, 2)


class OverQueries(AttentionWeight):
    """Softmax over the decoder steps: each *column* sums to 1. The gradient is the right one."""

    def forward(
        self, query: np.ndarray, key: np.ndarray, mask: np.ndarray | None = None
    ) -> np.ndarray:
        scores = self.score.forward(query, key)
        self._cache = softmax(np.where(mask, scores, -np.inf), axis=-2).astype(scores.dtype)
        return self._cache

    def backward(self, dweights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.score.backward(softmax_backward(self._last_call(), dweights, axis=-2))


class DiagonalGradient(AttentionWeight):
    """The right weights, and ∂w_i/∂s_i = w_i (1 − w_i) as if no score moved another's weight."""

    def backward(self, dweights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weights = self._last_call()
        return self.score.backward(weights * (1 - weights) * dweights)


MISTAKES = {"none": AttentionWeight, "axis": OverQueries, "diagonal": DiagonalGradient}


def settings() -> list[Settings]:
    """Right, and each mistake, with each seed."""
    return [
        {
            "mistake": mistake,
            "model": "dot",
            "seed": seed,
            "steps": 2000,
            "warmup": 100,
            "batch_size": 32,
            "learning_rate": 8e-3,
            "evaluate_every": 200,
            "fixed": {"cell": "lstm", "hidden_size": 64, "embed_size": 16, "watched": 500},
        }
        for seed in SEEDS
        for mistake in MISTAKES
    ]


def run(settings: Settings) -> Outcome:
    """Train; watch loss, teacher-forced tokens and free-running answers of unseen dates."""
    task = load_task()
    source_vocab, target_vocab = task.vocabularies
    model, _ = build(settings, {"source": source_vocab, "target": target_vocab})
    attention = model.attention
    attention.attention_weight = MISTAKES[settings["mistake"]](attention.attention_weight.score)
    unseen = task.dates.validation[: settings["fixed"]["watched"]]
    batch = make_batch(
        [source_vocab.encode(p.source) for p in unseen],
        [target_vocab.encode(p.target) for p in unseen],
        source_vocab,
        target_vocab,
    )

    def look() -> dict[str, float]:
        logits = model.forward(batch.source, batch.source_lengths, batch.target_in)
        right = token_accuracy(logits.argmax(axis=-1), batch.target_out, batch.target_mask)
        said = convert(model, [p.source for p in unseen], source_vocab, target_vocab)
        return {"tokens": round(right, 4), "exact": exact_match(said, [p.target for p in unseen])}

    rate = linear_schedule(settings["learning_rate"], settings["steps"], settings["warmup"])
    history = fit(
        make_train_step(model, rate),
        task.batches(settings["batch_size"], 1000 + settings["seed"]),
        settings["steps"],
        evaluate=look,
        evaluate_every=settings["evaluate_every"],
        progress=False,
    )
    curve = curve_of(history)
    return Outcome({name: curve[-1][name] for name in ("loss", "tokens", "exact")}, curve)
