"""A small Transformer on English to Korean: norms after or before the sub-layers, with a warm-up of
the learning rate and without; label smoothing; the readout tied to the embedding.

The same number of updates, the same peak and the same batches for all runs of a seed. On the way
the model is looked at on validation sentences.
"""

from itertools import product

import numpy as np
import torch
from torch import nn

from attention_course.corpora.batching import Batch
from attention_course.corpora.grammar.korean import detokenize_korean
from attention_course.experiments.runner import Outcome
from attention_course.experiments.task import Task
from attention_course.experiments.translating import (
    count_parameters,
    fingerprint,
    load_task,
    pair_batch,
    text_scores,
    translate,
)
from attention_course.pytorch.training import batch_loss, make_train_step
from attention_course.pytorch.transformer import Transformer
from attention_course.results import Settings
from attention_course.schedules import linear_schedule
from attention_course.training import fit

TOLD_APART_BY = ("norm", "layers", "warmup", "smoothing", "tie", "seed")
PLAIN = {"smoothing": 0.0, "tie": "none"}


def settings() -> list[Settings]:
    """Norm × layers × warm-up; and two more, of two layers with norms first."""
    runs = [
        {"norm": norm, "layers": layers, "warmup": warmup, **PLAIN, "seed": seed}
        for norm, layers, warmup in product(("post", "pre"), (2, 6), (0, 150))
        for seed in range(3 if layers == 2 else 2)
    ]
    first = {"norm": "pre", "layers": 2, "warmup": 150}
    for changed, seed in product(({"smoothing": 0.1}, {"tie": "target"}), range(3)):
        runs.append({**first, **PLAIN, **changed, "seed": seed})
    fixed = {"language": "korean", "size": 30000, "watched": 200}
    fixed |= {"model_size": 64, "heads": 4, "inner_size": 256, "max_norm": 5.0}
    same = {"steps": 500, "batch_size": 64, "learning_rate": 2e-3, "evaluate_every": 25}
    return [{**run, **same, "fixed": fixed} for run in runs]


def run(settings: Settings) -> Outcome:
    """Train; watch loss and gradients on validation sentences; translate them at the end."""
    fixed, steps = settings["fixed"], settings["steps"]
    task = load_task(fixed["language"], fixed["size"])
    model = build(settings, task)
    pairs = task.corpus.validation[: fixed["watched"]]
    batch, every = pair_batch(pairs, *task.vocabularies), settings["evaluate_every"]
    rate = linear_schedule(settings["learning_rate"], steps, settings["warmup"])
    history = fit(
        make_train_step(model, rate, fixed["max_norm"], smoothing=settings["smoothing"]),
        task.batches(settings["batch_size"], 1000 + settings["seed"]),
        steps,
        lambda: look(model, batch),
        evaluate_every=every,
        progress=False,
    )
    losses = np.round(history.losses, 4)
    curve = [
        {"step": step, "loss": float(losses[step - every : step].mean().round(4))} | seen
        for step, seen in history.evaluations
    ]
    metrics = {"corpus": fingerprint(task.corpus), "parameters": count_parameters(model)}
    metrics |= {"loss": float(losses[-100:].mean().round(4)), "largest": float(losses.max())}
    said = translate(model, [pair.source for pair in pairs], *task.vocabularies)
    metrics |= look(model, batch) | text_scores(said, pairs, detokenize_korean)
    return Outcome(metrics, curve)


def build(settings: Settings, task: Task) -> Transformer:
    """The model of these settings."""
    fixed = settings["fixed"]
    sizes = (*map(len, task.vocabularies), fixed["model_size"], fixed["heads"])
    sizes += (settings["layers"], fixed["inner_size"], settings["norm"] == "pre")
    return Transformer(*sizes, tie=settings["tie"], seed=settings["seed"])


def look(model: Transformer, batch: Batch) -> dict[str, float]:
    """The loss of a batch, never smoothed, and the length of its gradient."""
    model.zero_grad()
    loss = batch_loss(model, batch)
    loss.backward()
    found = {"validation_loss": loss.item(), "gradient": length_of_gradient(model)}
    model.zero_grad()
    return {name: float(f"{value:.4g}") for name, value in found.items()}


def length_of_gradient(part: nn.Module) -> float:
    """Of all weights of a model or of a part, as one vector."""
    return torch.stack([p.grad.norm() for p in part.parameters()]).norm().item()
