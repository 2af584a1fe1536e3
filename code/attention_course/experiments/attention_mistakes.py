"""Two mistakes in an attention layer that run, train and lower the loss.

The dates of `dates_attention`, with the same set-up: once right, once with the softmax taken over
the decoder steps instead of the source, once with a softmax gradient that has only its diagonal.
"""

import numpy as np

from attention_course.corpora.batching import make_batch
from attention_course.experiments import dates_attention
from attention_course.experiments.converting import convert, load_task
from attention_course.experiments.runner import Outcome
from attention_course.metrics import exact_match, token_accuracy
from attention_course.results import Settings
from attention_course.scratch.attention import AttentionWeight
from attention_course.scratch.functional import softmax, softmax_backward

TOLD_APART_BY = ("mistake", "seed")
SET_UP = {"model": "dot", "learning_rate": 8e-3}


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
    same = [s for s in dates_attention.settings() if SET_UP.items() <= s.items()]
    return [{**s, "mistake": m, "evaluate_every": 200} for s in same for m in MISTAKES]


def run(settings: Settings) -> Outcome:
    """Train; watch loss, teacher-forced tokens and free-running answers of unseen dates."""
    task = load_task()
    source_vocab, target_vocab = task.vocabularies
    model, _ = dates_attention.build(settings, task)
    attention = model.attention
    attention.attention_weight = MISTAKES[settings["mistake"]](attention.attention_weight.score)
    unseen = task.corpus.validation[: settings["fixed"]["watched"]]
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

    curve = dates_attention.train(model, settings, task, look)
    return Outcome({name: curve[-1][name] for name in ("loss", "tokens", "exact")}, curve)
