"""Bahdanau and Luong differ in three things at once: which state asks, the score, and what the
recurrent layer is fed. Here each is changed alone: 2 × 2 × 2 decoders of equally many parameters.

All have Luong's readout, h̃_t = tanh(W_c [c_t; s_t]). What is *fed* is what each paper feeds: c_t
to the very step that it was looked up for, where the state before asks; h̃_{t−1} to the next step,
where the state after asks.
"""

from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attention_course import results
from attention_course.corpora.grammar.korean import detokenize_korean
from attention_course.experiments.runner import Outcome
from attention_course.experiments.task import Task, train_watched
from attention_course.experiments.translating import (
    SPLITS,
    count_parameters,
    error_rates,
    fingerprint,
    load_task,
    text_scores,
    translate,
)
from attention_course.pytorch.luong import LuongSeq2Seq
from attention_course.pytorch.seq2seq import Memory, State
from attention_course.pytorch.training import make_train_step
from attention_course.results import Settings
from attention_course.schedules import linear_schedule

TOLD_APART_BY = ("asks", "score", "fed", "budget", "seed")
SEEDS = (0, 1, 2)
CHOICES = {"asks": ("before", "after"), "score": ("general", "additive"), "fed": (False, True)}
DECODERS = list(product(*CHOICES.values()))
# About equally many parameters, those of (after, general, fed) with 128 states.
HIDDEN_SIZES = {
    ("before", "additive", True): 118,
    ("before", "additive", False): 134,
    ("before", "general", True): 120,
    ("before", "general", False): 136,
    ("after", "additive", True): 126,
    ("after", "additive", False): 134,
    ("after", "general", True): 128,
    ("after", "general", False): 136,
}
# As many updates as take the time of 1,200 of the slowest decoder, on one core; measured again by
# `benchmarks/equal_time.py` they were the same within 3 %.
STEPS_IN_EQUAL_TIME = {
    ("before", "additive", True): 1260,
    ("before", "additive", False): 1300,
    ("before", "general", True): 1330,
    ("before", "general", False): 1590,
    ("after", "additive", True): 1200,
    ("after", "additive", False): 1320,
    ("after", "general", True): 1310,
    ("after", "general", False): 1590,
}
# Luong's decoder with the two scores: is it only the learning rate, or the number of updates?
PAPERS_OWN = (("after", "additive", True), ("after", "general", True))
OTHERWISE = (("twice", 2400, 4e-3), ("slow", 1200, 2e-3), ("fast", 1200, 8e-3))


class EarlyLuong(LuongSeq2Seq):
    """The state before the step asks, as in Bahdanau's decoder; readout and scores are Luong's."""

    def decoder_sizes(self, embed_size: int) -> tuple[int, int]:
        return embed_size + self.input_feeding * self.memory_size, self.hidden_size

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Memory, State]:
        memory, state = super().encode(source, lengths)
        return memory, state[:1]  # nothing looked up is kept for the next step

    def decode(
        self, target_in: Tensor, memory: Memory, state: State
    ) -> tuple[Tensor, State, Tensor]:
        words, rnn = self.dropout(self.decoder.embedding(target_in)), self.decoder.rnn
        if self.input_feeding:
            steps = []
            for word in words.split(1, dim=1):
                context, weights = self.attend(state[0][:, None], memory)
                after, state = rnn(torch.cat([word, context], dim=-1), None, state)
                steps.append((context, after, weights))
            context, after, weights = (torch.cat(parts, dim=1) for parts in zip(*steps))
        else:
            first = state[0][:, None]
            after, state = rnn(words, None, state)
            context, weights = self.attend(torch.cat([first, after[:, :-1]], dim=1), memory)
        said = torch.tanh(self.combine(torch.cat([context, after], dim=-1)))
        return self.decoder.readout(self.dropout(said)), state, weights


def settings() -> list[Settings]:
    """Each decoder for equally many updates and for equal time; two of them also otherwise."""
    runs = [(decoder, "updates", 1200, 4e-3) for decoder in DECODERS]
    runs += [(decoder, "time", STEPS_IN_EQUAL_TIME[decoder], 4e-3) for decoder in DECODERS]
    runs += [(decoder, *other) for decoder in PAPERS_OWN for other in OTHERWISE]
    return [
        {
            "asks": asks,
            "score": score,
            "fed": fed,
            "budget": budget,
            "seed": seed,
            "steps": steps,
            "warmup": 150,
            "batch_size": 64,
            "learning_rate": rate,
            "evaluate_every": 200,
            "fixed": {
                "language": "korean",
                "size": 30000,
                "embed_size": 64,
                "hidden_size": HIDDEN_SIZES[asks, score, fed],
                "watched": 200,
            },
        }
        for (asks, score, fed), budget, steps, rate in runs
        for seed in SEEDS
    ]


def run(settings: Settings) -> Outcome:
    """Train; watch validation sentences on the way; at the end, every split."""
    task = load_task(settings["fixed"]["language"], settings["fixed"]["size"])
    model = build(settings, task)
    watched = task.corpus.validation[: settings["fixed"]["watched"]]

    def scores(pairs) -> dict[str, float]:
        said = translate(model, [pair.source for pair in pairs], *task.vocabularies)
        return text_scores(said, pairs, detokenize_korean)

    rate = linear_schedule(settings["learning_rate"], settings["steps"], settings["warmup"])
    batches = task.batches(settings["batch_size"], 1000 + settings["seed"])
    curve = train_watched(make_train_step(model, rate), batches, settings, lambda: scores(watched))
    metrics = {"corpus": fingerprint(task.corpus), "parameters": count_parameters(model)}
    for split in SPLITS:
        pairs = getattr(task.corpus, split)
        metrics[split] = scores(pairs) | error_rates(model, pairs, task)
    return Outcome(metrics, curve)


def build(settings: Settings, task: Task) -> LuongSeq2Seq:
    """The decoder of these settings."""
    kind = EarlyLuong if settings["asks"] == "before" else LuongSeq2Seq
    sizes = (len(task.source_vocab), len(task.target_vocab))
    sizes += tuple(settings["fixed"][name] for name in ("embed_size", "hidden_size"))
    options = {"score": settings["score"], "input_feeding": settings["fed"]}
    return kind(*sizes, cell="gru", bidirectional=True, seed=settings["seed"], **options)


def measured(measure: str, budget: str = "updates", **decoder: Any) -> np.ndarray:
    """What was recorded of one decoder: (seeds, splits)."""
    runs = results.load("which_difference", budget=budget, **decoder)
    runs = sorted(runs, key=lambda run: run.settings["seed"])
    return np.array([[run.metrics[split][measure] for split in SPLITS] for run in runs])


def effect(measure: str, factor: str, budget: str = "updates", **only: Any) -> np.ndarray:
    """What the second of the factor's `CHOICES` changes against the first, all else equal, by seed:
    (seeds, splits), the mean over the decoders that have the values of `only`.
    """
    first, second = CHOICES[factor]
    decoders = [dict(zip(CHOICES, decoder)) for decoder in DECODERS]
    changes = [
        measured(measure, budget, **{**decoder, factor: second})
        - measured(measure, budget, **decoder)
        for decoder in decoders
        if decoder[factor] == first and only.items() <= decoder.items()
    ]
    return np.mean(changes, axis=0)
