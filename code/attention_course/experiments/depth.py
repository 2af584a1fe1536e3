"""English to Korean by deeper and deeper stacks, with residuals and without, and by GNMT.

One set-up for all: LSTM of 96, Adam with a warm-up and then a linear fall of the learning rate, the
same number of updates and the same batches for all models of a seed. On the way the gradient that
reaches each layer is measured on validation sentences.
"""

from typing import Any

import torch
from torch import nn

from attention_course.corpora.grammar.korean import detokenize_korean
from attention_course.experiments.runner import Outcome
from attention_course.experiments.task import Task, train_watched
from attention_course.experiments.translating import (
    SPLITS,
    by_length,
    count_parameters,
    fingerprint,
    load_task,
    pair_batch,
    text_scores,
    translate,
)
from attention_course.pytorch.deep import GNMT, DeepSeq2Seq
from attention_course.pytorch.seq2seq import Seq2Seq
from attention_course.pytorch.training import batch_loss, make_train_step
from attention_course.results import Settings
from attention_course.schedules import linear_schedule

TOLD_APART_BY = ("model", "layers", "residual_from", "seed")
SEEDS = (0, 1, 2)
RUNS = (
    ("deep", 1, None),
    ("deep", 2, None),
    ("deep", 2, 2),
    ("deep", 4, None),
    ("deep", 4, 2),
    ("deep", 8, None),
    ("deep", 8, 2),
    ("gnmt", 4, 3),
)


def settings() -> list[Settings]:
    """Each model with each seed."""
    return [
        {
            "model": model,
            "layers": layers,
            "residual_from": residual_from,
            "seed": seed,
            "steps": 800,
            "warmup": 100,
            "batch_size": 64,
            "learning_rate": 4e-3,
            "evaluate_every": 100,
            "fixed": {
                "language": "korean",
                "size": 30000,
                "cell": "lstm",
                "embed_size": 64,
                "hidden_size": 96,
                "watched": 100,
            },
        }
        for seed in SEEDS
        for model, layers, residual_from in RUNS
    ]


def run(settings: Settings) -> Outcome:
    """Train; watch loss and gradients on validation sentences; at the end, every split."""
    task = load_task(settings["fixed"]["language"], settings["fixed"]["size"])
    model = build(settings, task)
    batch = pair_batch(task.corpus.validation[: settings["fixed"]["watched"]], *task.vocabularies)
    metrics: dict[str, Any] = {"corpus": fingerprint(task.corpus)}
    metrics["parameters"] = count_parameters(model)
    metrics["at_first"] = gradient_norms(model, batch)
    rate = linear_schedule(settings["learning_rate"], settings["steps"], settings["warmup"])
    batches = task.batches(settings["batch_size"], 1000 + settings["seed"])
    step = make_train_step(model, rate)
    curve = train_watched(step, batches, settings, lambda: gradient_norms(model, batch))
    for split in SPLITS:
        pairs = getattr(task.corpus, split)
        said = translate(model, [pair.source for pair in pairs], *task.vocabularies)
        metrics[split] = text_scores(said, pairs, detokenize_korean)
        metrics[split]["by_length"] = by_length(said, pairs)
    return Outcome(metrics, curve)


def build(settings: Settings, task: Task) -> Seq2Seq:
    """The model of these settings."""
    fixed, layers = settings["fixed"], settings["layers"]
    sizes = (*map(len, task.vocabularies), fixed["embed_size"], fixed["hidden_size"])
    options = {"cell": fixed["cell"], "layers": layers, "seed": settings["seed"]}
    torch.manual_seed(settings["seed"])
    if settings["model"] == "gnmt":
        return GNMT(*sizes, **options)
    return DeepSeq2Seq(*sizes, **options, residual_from=settings["residual_from"])


def gradient_norms(model: Seq2Seq, batch: Any) -> dict[str, Any]:
    """Loss of a batch, and the norm of its gradient in each layer's weights, from the bottom, of
    encoder and decoder. Leaves no gradient behind.
    """
    model.zero_grad()
    loss = batch_loss(model, batch)
    loss.backward()
    found: dict[str, Any] = {"watched_loss": round(loss.item(), 4)}
    for side in ("encoder", "decoder"):
        layers = getattr(model, side).rnn.children()
        found[side] = [float(f"{_norm(layer):.4g}") for layer in layers]
    model.zero_grad()
    return found


def _norm(layer: nn.Module) -> float:
    """Length of the gradient of all the layer's weights, as one vector."""
    parts = [p.grad.norm() for p in layer.parameters() if p.grad is not None]
    return torch.stack(parts).norm().item()
