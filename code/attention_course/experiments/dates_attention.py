"""Dates with attention, trained fast: how many updates until unseen dates come out right?

One set-up for all decoders: LSTM of 64, padding never read, short batches, a warm-up and then a
linear fall of the learning rate. Its peak is tried at two heights for each.
"""

import numpy as np

from attention_course.corpora.vocabulary import Vocabulary
from attention_course.experiments.converting import convert, curve_of, load_task
from attention_course.experiments.runner import Outcome
from attention_course.metrics import exact_match
from attention_course.pretrained import Pretrained
from attention_course.results import Settings
from attention_course.schedules import linear_schedule
from attention_course.scratch.seq2seq import AttentionSeq2Seq, PeekySeq2Seq, Seq2Seq
from attention_course.scratch.training import make_train_step
from attention_course.scratch.weights import from_arrays, to_arrays
from attention_course.training import fit

TOLD_APART_BY = ("model", "learning_rate", "seed")
MODELS = {
    "plain": Seq2Seq,
    "peeky": PeekySeq2Seq,
    "dot": AttentionSeq2Seq,
    "scaled": AttentionSeq2Seq,
    "bidirectional": AttentionSeq2Seq,
}
OPTIONS = {
    "scaled": {"score": "scaled_dot"},
    "bidirectional": {"score": "general", "bidirectional": True},
}
LEARNING_RATES = (8e-3, 3e-3)
SEEDS = (0, 1, 2)
SHIPPED = {"model": "dot", "learning_rate": LEARNING_RATES[0], "seed": 0}


def settings() -> list[Settings]:
    """Each decoder at each learning rate with each seed."""
    return [
        {
            "model": model,
            "seed": seed,
            "steps": 2000,
            "warmup": 100,
            "batch_size": 32,
            "learning_rate": learning_rate,
            "evaluate_every": 100,
            "fixed": {"cell": "lstm", "hidden_size": 64, "embed_size": 16, "watched": 500},
        }
        for learning_rate in LEARNING_RATES
        for seed in SEEDS
        for model in MODELS
    ]


def run(settings: Settings) -> Outcome:
    """Train on dates; watch 500 validation dates on the way; at the end, all of the test dates."""
    task = load_task()
    vocabularies = {"source": task.source_vocab, "target": task.target_vocab}
    model, sizes = build(settings, vocabularies)
    rate = linear_schedule(settings["learning_rate"], settings["steps"], settings["warmup"])

    def exact(pairs) -> float:
        said = convert(model, [p.source for p in pairs], *task.vocabularies)
        return exact_match(said, [p.target for p in pairs])

    watched = task.dates.validation[: settings["fixed"]["watched"]]
    history = fit(
        make_train_step(model, rate),
        task.batches(settings["batch_size"], 1000 + settings["seed"]),
        settings["steps"],
        evaluate=lambda: {"exact": exact(watched)},
        evaluate_every=settings["evaluate_every"],
        progress=False,
    )
    curve = curve_of(history)
    metrics = {"validation": curve[-1]["exact"], "test": round(exact(task.dates.test), 4)}
    shipped = None
    if SHIPPED.items() <= settings.items():
        weights = {name: array.astype(np.float16) for name, array in to_arrays(model).items()}
        shipped = {"dates": Pretrained(weights, type(model).__name__, sizes, vocabularies)}
        from_arrays(model, weights)  # what a reader of the file gets
        metrics["test_200_shipped"] = exact(task.dates.test[:200])
    return Outcome(metrics, curve, shipped)


def build(settings: Settings, vocabularies: dict[str, Vocabulary]) -> tuple[Seq2Seq, dict]:
    """The model of these settings, and the arguments that build it."""
    sizes = {f"{role}_size": len(v) for role, v in vocabularies.items()}
    sizes |= {name: settings["fixed"][name] for name in ("embed_size", "hidden_size", "cell")}
    sizes |= OPTIONS.get(settings["model"], {})
    return MODELS[settings["model"]](**sizes, seed=settings["seed"]), sizes
