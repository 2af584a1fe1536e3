"""Dates with attention, trained fast: how many updates until unseen dates come out right?

One set-up for all decoders: LSTM of 64, padding never read, short batches, a warm-up and then a
linear fall of the learning rate. Its peak is tried at two heights for each.
"""

from collections.abc import Callable
from typing import Any

from attention_course.experiments.converting import convert, load_task
from attention_course.experiments.runner import Outcome, to_ship
from attention_course.experiments.task import Task, train_watched
from attention_course.metrics import exact_match
from attention_course.results import Settings
from attention_course.schedules import linear_schedule
from attention_course.scratch.seq2seq import AttentionSeq2Seq, PeekySeq2Seq, Seq2Seq
from attention_course.scratch.training import make_train_step
from attention_course.training import Metrics

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
    model, sizes = build(settings, task)

    def exact(pairs) -> float:
        said = convert(model, [p.source for p in pairs], *task.vocabularies)
        return exact_match(said, [p.target for p in pairs])

    watched = task.corpus.validation[: settings["fixed"]["watched"]]
    curve = train(model, settings, task, lambda: {"exact": exact(watched)})
    metrics = {"validation": curve[-1]["exact"], "test": round(exact(task.corpus.test), 4)}
    shipped = None
    if SHIPPED.items() <= settings.items():
        roles = {"source": task.source_vocab, "target": task.target_vocab}
        shipped = {"dates": to_ship(model, sizes, roles)}
        metrics["test_200_shipped"] = exact(task.corpus.test[:200])
    return Outcome(metrics, curve, shipped)


def build(settings: Settings, task: Task) -> tuple[Seq2Seq, dict]:
    """The model of these settings, and the arguments that build it."""
    sizes = {"source_size": len(task.source_vocab), "target_size": len(task.target_vocab)}
    sizes |= {name: settings["fixed"][name] for name in ("embed_size", "hidden_size", "cell")}
    sizes |= OPTIONS.get(settings["model"], {})
    return MODELS[settings["model"]](**sizes, seed=settings["seed"]), sizes


def train(
    model: Seq2Seq, settings: Settings, task: Task, evaluate: Callable[[], Metrics]
) -> list[dict[str, Any]]:
    """Train as the settings say; the curve of what `evaluate` saw on the way."""
    rate = linear_schedule(settings["learning_rate"], settings["steps"], settings["warmup"])
    batches = task.batches(settings["batch_size"], 1000 + settings["seed"])
    return train_watched(make_train_step(model, rate), batches, settings, evaluate)
