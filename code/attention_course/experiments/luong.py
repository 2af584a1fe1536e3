"""English to Korean, and to French, with Luong attention: global, by location, and local.

The set-up is that of `english_french` but for the decoder. Bahdanau's decoder on Korean, and one
without attention, are the yardsticks; on French their runs are in `english_french`.
"""

from typing import Any

import torch

from attention_course.corpora.grammar.french import detokenize_french
from attention_course.corpora.grammar.korean import detokenize_korean
from attention_course.experiments.runner import Outcome
from attention_course.experiments.task import Task
from attention_course.experiments.translating import load_task, train_and_judge
from attention_course.pytorch.bahdanau import BahdanauSeq2Seq
from attention_course.pytorch.luong import LuongSeq2Seq
from attention_course.pytorch.seq2seq import Seq2Seq
from attention_course.results import Settings

TOLD_APART_BY = ("language", "model", "seed")
SEEDS = (0, 1, 2)
LUONG = {"score": "additive", "input_feeding": True}  # the score that learns fastest here
PLACES = 12  # of the location score: the longest sentence of training
REACH = 2  # of a local window
MODELS: dict[str, tuple[type[Seq2Seq], dict[str, Any]]] = {
    "global": (LuongSeq2Seq, LUONG),
    "bahdanau": (BahdanauSeq2Seq, {}),
    "plain": (Seq2Seq, {}),
    "location": (LuongSeq2Seq, LUONG | {"score": "location", "places": PLACES}),
    "local-m": (LuongSeq2Seq, LUONG | {"attention": "local-m", "reach": REACH}),
    "local-p": (LuongSeq2Seq, LUONG | {"attention": "local-p", "reach": REACH}),
}
JOIN = {"korean": detokenize_korean, "french": detokenize_french}
RUNS = [("korean", model) for model in MODELS]
RUNS += [("french", model) for model in MODELS if model not in ("bahdanau", "plain")]
SHIPPED = {"language": "korean", "model": "global", "seed": 0}


def settings() -> list[Settings]:
    """Each model in each language with each seed."""
    return [
        {
            "language": language,
            "model": model,
            "seed": seed,
            "steps": 1200,
            "warmup": 150,
            "batch_size": 64,
            "learning_rate": 4e-3,
            "evaluate_every": 100,
            "fixed": {"size": 30000, "embed_size": 64, "hidden_size": 128, "watched": 200}
            | {"options": MODELS[model][1]},
        }
        for language, model in RUNS
        for seed in SEEDS
    ]


def run(settings: Settings) -> Outcome:
    """Train; watch validation sentences on the way; at the end, every split."""
    task = load_task(settings["language"], settings["fixed"]["size"])
    ship_as = "english_korean" if SHIPPED.items() <= settings.items() else None
    join = JOIN[settings["language"]]
    return train_and_judge(*build(settings, task), task, settings, join, ship_as)


def build(settings: Settings, task: Task) -> tuple[Seq2Seq, dict[str, Any]]:
    """The model of these settings, and the arguments that build it."""
    kind, options = MODELS[settings["model"]]
    sizes = {"source_size": len(task.source_vocab), "target_size": len(task.target_vocab)}
    sizes |= {name: settings["fixed"][name] for name in ("embed_size", "hidden_size")}
    sizes |= {"cell": "gru", "bidirectional": True} | options
    torch.manual_seed(settings["seed"])
    return kind(**sizes, seed=settings["seed"]), sizes
