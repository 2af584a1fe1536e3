"""Does a translator get better when it reads its own words in training (Bengio et al. 2015)?

A small model on a small corpus, so that it makes mistakes. Each schedule ends near one half: at
the end of training every second word that the decoder reads is its own.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from attention_course.corpora.grammar.french import detokenize_french
from attention_course.corpora.translation import Pair
from attention_course.experiments.runner import Outcome
from attention_course.experiments.task import Task, train_watched
from attention_course.experiments.translating import (
    SPLITS,
    fingerprint,
    load_task,
    pair_batch,
    text_scores,
    translate,
)
from attention_course.metrics import token_accuracy
from attention_course.pytorch.bahdanau import BahdanauSeq2Seq
from attention_course.pytorch.training import make_train_step
from attention_course.results import Settings
from attention_course.schedules import (
    inverse_sigmoid_truth,
    linear_schedule,
    linear_truth,
)

TOLD_APART_BY = ("schedule", "seed")
SEEDS = (0, 1, 2)
STEPS = 800
SCHEDULES = {
    "none": None,
    "linear": {"k": 1.0, "c": 0.5 / STEPS, "epsilon": 0.5},
    "inverse_sigmoid": {"k": 158.0},  # 158 ln 158 = 800: one half at the last step
}
MAKERS = {"linear": linear_truth, "inverse_sigmoid": inverse_sigmoid_truth}


def settings() -> list[Settings]:
    """Each schedule with each seed."""
    return [
        {
            "schedule": schedule,
            "truth": truth,
            "seed": seed,
            "size": 5000,
            "steps": STEPS,
            "warmup": 100,
            "batch_size": 64,
            "learning_rate": 4e-3,
            "evaluate_every": 200,
            "fixed": {"language": "french", "embed_size": 32, "hidden_size": 64, "watched": 200},
        }
        for seed in SEEDS
        for schedule, truth in SCHEDULES.items()
    ]


def run(settings: Settings) -> Outcome:
    """Train; at the end translate unseen sentences, and go on after a slip."""
    task = load_task(settings["fixed"]["language"], settings["size"])
    sizes = [settings["fixed"][name] for name in ("embed_size", "hidden_size")]
    model = BahdanauSeq2Seq(*map(len, task.vocabularies), *sizes, seed=settings["seed"])
    truth = settings["truth"] and MAKERS[settings["schedule"]](**settings["truth"])
    rate = linear_schedule(settings["learning_rate"], settings["steps"], settings["warmup"])
    watched = task.corpus.validation[: settings["fixed"]["watched"]]
    curve = train_watched(
        make_train_step(model, rate, truth=truth, seed=2000 + settings["seed"]),
        task.batches(settings["batch_size"], 1000 + settings["seed"]),
        settings,
        lambda: decoded(model, task, watched),
    )
    metrics: dict[str, Any] = {"corpus": fingerprint(task.corpus)}
    metrics |= {split: decoded(model, task, getattr(task.corpus, split)) for split in SPLITS}
    metrics["tokens"] = {
        "as they should be": tokens_right(model, task, slip=False),
        "after a slip": tokens_right(model, task, slip=True),
    }
    return Outcome(metrics, curve)


def decoded(model: BahdanauSeq2Seq, task: Task, pairs: Sequence[Pair]) -> dict[str, float]:
    """Scores of greedy translations."""
    said = translate(model, [pair.source for pair in pairs], *task.vocabularies)
    return text_scores(said, pairs, detokenize_french)


@torch.no_grad()
def tokens_right(model: BahdanauSeq2Seq, task: Task, slip: bool) -> float:
    """Share of right words from a place on at which, with `slip`, a wrong word has been read.

    The place is drawn once for each test sentence; without a slip the same words are counted.
    """
    model.eval()
    batch = pair_batch(task.corpus.test, *task.vocabularies)
    rng = np.random.default_rng(5)
    places = rng.integers(1, batch.target_lengths)  # target_in[0] is sos
    ordinary = [i for i in range(len(task.target_vocab)) if i not in _specials(task)]
    rows = np.arange(len(places))
    read = batch.target_in.copy()
    if slip:
        read[rows, places] = rng.choice(ordinary, len(places))
    logits = model(*map(torch.as_tensor, (batch.source, batch.source_lengths, read)))
    after = batch.target_mask & (np.arange(read.shape[1]) >= places[:, None])
    said = logits.argmax(dim=-1).numpy()
    return round(token_accuracy(said, batch.target_out, after), 4)


def _specials(task: Task) -> tuple[int, ...]:
    vocabulary = task.target_vocab
    return vocabulary.pad, vocabulary.unk, vocabulary.sos, vocabulary.eos
