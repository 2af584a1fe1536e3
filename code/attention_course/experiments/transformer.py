"""English to Korean, and to French: a Transformer beside Luong's and Bahdanau's decoder, of about
equally many parameters, for equally many updates and for equal time.

Data, batches and schedule are those of `luong` and `english_french`, in which Bahdanau's decoder
and a smaller one of Luong's are recorded.
"""

from typing import Any

import torch
from torch import nn

from attention_course.experiments.luong import JOIN, LUONG
from attention_course.experiments.runner import Outcome
from attention_course.experiments.task import Task
from attention_course.experiments.translating import load_task, train_and_judge
from attention_course.pytorch.bahdanau import BahdanauSeq2Seq
from attention_course.pytorch.luong import LuongSeq2Seq
from attention_course.pytorch.transformer import Transformer
from attention_course.results import Settings

TOLD_APART_BY = ("language", "model", "budget", "seed")
SEEDS = (0, 1, 2)
LAYERS = {"model_size": 96, "heads": 4, "layers": 2, "inner_size": 472}
GATED = {"embed_size": 64, "cell": "gru", "bidirectional": True}


MODELS: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "transformer": (Transformer, LAYERS),
    "luong": (LuongSeq2Seq, GATED | {"hidden_size": 156} | LUONG),
    "bahdanau": (BahdanauSeq2Seq, GATED | {"hidden_size": 128}),
    "learned": (Transformer, LAYERS | {"positions": "learned", "longest": 48}),
    "no positions": (Transformer, LAYERS | {"positions": "none"}),
}
# As many updates as take the time of 1,200 of the slowest of the three, Luong's decoder, on one
# core; measured again by `benchmarks/equal_time.py` they were the same within 3 %.
STEPS_IN_EQUAL_TIME = {"transformer": 1310, "bahdanau": 1260}
SHIPPED = {"language": "korean", "model": "transformer", "budget": "updates", "seed": 0}


def settings() -> list[Settings]:
    """The three in both languages, for equally many updates (Bahdanau's are recorded elsewhere) and
    for equal time (Luong's are the same); in one language also other positions, and two of the
    three for twice as many updates.
    """
    runs = [("korean", "transformer", "updates"), ("french", "transformer", "updates")]
    runs += [("korean", "luong", "updates"), ("french", "luong", "updates")]
    runs += [("korean", "transformer", "time"), ("french", "transformer", "time")]
    runs += [("korean", "bahdanau", "time"), ("french", "bahdanau", "time")]
    runs += [("korean", "learned", "updates"), ("korean", "no positions", "updates")]
    runs += [("korean", "transformer", "twice"), ("korean", "luong", "twice")]
    return [
        {
            "language": language,
            "model": model,
            "budget": budget,
            "seed": seed,
            "steps": steps_of(model, budget),
            "warmup": 150,
            "batch_size": 64,
            "learning_rate": 4e-3,
            "evaluate_every": 100,
            "fixed": {"size": 30000, "watched": 200, "options": MODELS[model][1]},
        }
        for language, model, budget in runs
        for seed in SEEDS
    ]


def steps_of(model: str, budget: str) -> int:
    """How many updates a model makes."""
    if budget == "time":
        return STEPS_IN_EQUAL_TIME[model]
    return 2400 if budget == "twice" else 1200


def run(settings: Settings) -> Outcome:
    """Train; watch validation sentences on the way; at the end, every split."""
    task = load_task(settings["language"], settings["fixed"]["size"])
    ship_as = "transformer" if SHIPPED.items() <= settings.items() else None
    join = JOIN[settings["language"]]
    return train_and_judge(*build(settings, task), task, settings, join, ship_as)


def build(settings: Settings, task: Task) -> tuple[nn.Module, dict[str, Any]]:
    """The model of these settings, and the arguments that build it."""
    kind, options = MODELS[settings["model"]]
    sizes = {"source_size": len(task.source_vocab), "target_size": len(task.target_vocab)}
    sizes |= options
    torch.manual_seed(settings["seed"])
    return kind(**sizes, seed=settings["seed"]), sizes
