"""One vector for a whole review: learned weights, the plain mean, or the last states.

The same bidirectional LSTM in Keras with three poolings, from the same initial weights for each
seed, on the reviews of `corpora.reviews`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from attention_course.corpora.reviews import (
    Review,
    labelled_batch,
    labelled_batches,
    load_reviews,
)
from attention_course.corpora.vocabulary import Vocabulary
from attention_course.experiments.runner import Outcome, to_ship
from attention_course.keras import weights
from attention_course.keras.classifier import (
    POOLINGS,
    Classifier,
    make_classifier_step,
    make_judge,
)
from attention_course.results import Settings
from attention_course.training import fit

TOLD_APART_BY = ("pooling", "seed")
SEEDS = (0, 1, 2)
SPLITS = ("test", "combinations", "never_negated", "longer")
#: Lengths of test reviews, both ends included.
LENGTHS = ((8, 25), (26, 43), (44, 60))
SHIPPED = {"pooling": "attention", "seed": 0}


def settings() -> list[Settings]:
    """Each pooling with each seed."""
    return [
        {
            "pooling": pooling,
            "seed": seed,
            "steps": 500,
            "batch_size": 64,
            "learning_rate": 1e-2,
            "evaluate_every": 25,
            "fixed": {"embed_size": 32, "hidden_size": 32, "watched": 200},
        }
        for seed in SEEDS
        for pooling in POOLINGS
    ]


def run(settings: Settings) -> Outcome:
    """Train; watch validation reviews on the way; at the end, every list of reviews."""
    reviews, vocabulary, fixed = load_reviews(), review_vocabulary(), settings["fixed"]
    sizes = {"vocab_size": len(vocabulary), "pooling": settings["pooling"]}
    sizes |= {name: fixed[name] for name in ("embed_size", "hidden_size")}
    model = Classifier(**sizes, seed=settings["seed"])
    logits = make_logits(model, vocabulary)
    watched = reviews.validation[: fixed["watched"]]
    history = fit(
        make_classifier_step(model, settings["learning_rate"]),
        batches(reviews.train, vocabulary, settings["batch_size"], 1000 + settings["seed"]),
        settings["steps"],
        evaluate=lambda: {"accuracy": accuracy(logits(watched), watched)},
        evaluate_every=settings["evaluate_every"],
        progress=False,
    )
    metrics: dict[str, Any] = {"parameters": model.count_params()}
    metrics |= {name: scores(logits, getattr(reviews, name)) for name in SPLITS}
    metrics["by_length"] = by_length(logits(reviews.test), reviews.test)
    if settings["pooling"] == "attention":
        metrics["looks"] = looks(model, reviews.test, vocabulary)
    shipped = None
    if SHIPPED.items() <= settings.items():
        shipped = {"sentiment": to_ship(model, sizes, {"source": vocabulary}, weights)}
        metrics["test_200_shipped"] = scores(logits, reviews.test[:200])
    every = settings["evaluate_every"]
    curve = [
        {
            "step": step,
            **found,
            "loss": round(float(np.mean(history.losses[step - every : step])), 4),
        }
        for step, found in history.evaluations
    ]
    return Outcome(metrics, curve, shipped)


def review_vocabulary() -> Vocabulary:
    """The words of the training reviews."""
    return Vocabulary.from_sequences(review.tokens for review in load_reviews().train)


def batches(reviews: Sequence[Review], vocabulary: Vocabulary, batch_size: int, seed: int):
    """Endless batches of the reviews, for training."""
    texts, labels = [r.tokens for r in reviews], [r.label for r in reviews]
    return labelled_batches(texts, labels, vocabulary, batch_size, seed)


def make_logits(
    model: Classifier, vocabulary: Vocabulary, at_once: int = 250
) -> Callable[[Sequence[Review]], np.ndarray]:
    """A function that takes n reviews and returns what the model says of each, logits (n,)."""
    judge = make_judge(model)

    def logits(reviews: Sequence[Review]) -> np.ndarray:
        order = np.argsort([len(review.tokens) for review in reviews], kind="stable")
        said = np.empty(len(reviews))
        for start in range(0, len(order), at_once):
            rows = order[start : start + at_once]
            part = [reviews[row] for row in rows]
            said[rows] = judge(
                labelled_batch([r.tokens for r in part], [r.label for r in part], vocabulary)
            )
        return said

    return logits


def accuracy(logits: np.ndarray, reviews: Sequence[Review]) -> float:
    """Share of the reviews whose logit (n,) lies on the side of the label."""
    labels = np.array([review.label for review in reviews])
    return float(((logits > 0) == labels).mean())


def scores(logits: Callable[[Sequence[Review]], np.ndarray], reviews: Sequence[Review]) -> float:
    """Accuracy of the model behind `logits`, rounded for the record."""
    return round(accuracy(logits(reviews), reviews), 4)


def by_length(logits: np.ndarray, reviews: Sequence[Review]) -> dict[str, float]:
    """Accuracy on the reviews of each range of `LENGTHS`."""
    found = {}
    for shortest, longest in LENGTHS:
        rows = [i for i, r in enumerate(reviews) if shortest <= len(r.tokens) <= longest]
        part = [reviews[i] for i in rows]
        found[f"{shortest}-{longest}"] = round(accuracy(logits[rows], part), 4)
    return found


def looks(
    model: Classifier, reviews: Sequence[Review], vocabulary: Vocabulary
) -> dict[str, dict[str, float]]:
    """Mean weight that attention gives to what decides, over the reviews that decide with a negator
    and over those that decide without.
    """
    found = {}
    for name, negated in (("negated", True), ("plain", False)):
        part = [r for r in reviews if (r.negator is not None) == negated]
        batch = labelled_batch([r.tokens for r in part], [r.label for r in part], vocabulary)
        weights = model.read(batch.source, batch.source_lengths).weights.numpy()
        rows = [by_role(row, review) for row, review in zip(weights, part, strict=True)]
        found[name] = {role: round(float(np.mean([r[role] for r in rows])), 4) for role in rows[0]}
    return found


def by_role(weights: np.ndarray, review: Review) -> dict[str, float]:
    """The weights (S,) of one review, added up by the part that a word has in the verdict.

    "before" is the clause up to the negator, or up to the adjective where there is none, "between"
    what stands between the two.
    """
    _, _, adjective, negator, start, end = review
    parts = {
        "before": weights[start : adjective if negator is None else negator].sum(),
        "negator": 0.0 if negator is None else weights[negator],
        "between": 0.0 if negator is None else weights[negator + 1 : adjective].sum(),
        "adjective": weights[adjective],
        "full stop": weights[end],
    }
    return {k: float(v) for k, v in parts.items()} | {
        "elsewhere": float(weights.sum() - sum(parts.values()))
    }
