"""English to French with Bahdanau attention, with none, and with attention to the wrong thing.

One set-up for all: GRU of 128, an encoder that reads both ways, Adam with a warm-up and then a
linear fall of the learning rate, the same number of updates whatever the size of the corpus.
"""

from typing import Any

import torch
from torch import Tensor, nn

from attention_course.corpora.grammar.french import detokenize_french
from attention_course.experiments.runner import Outcome
from attention_course.experiments.task import Task
from attention_course.experiments.translating import load_task, train_and_judge
from attention_course.pytorch.attention import (
    AdditiveScore,
    Attention,
    masked_softmax,
    weighted_sum,
)
from attention_course.pytorch.bahdanau import BahdanauSeq2Seq
from attention_course.pytorch.seq2seq import Memory, Seq2Seq
from attention_course.results import Settings

TOLD_APART_BY = ("model", "size", "seed")
SEEDS = (0, 1, 2)
RUNS = (
    ("bahdanau", 30000),
    ("decoder_context", 30000),
    ("plain", 30000),
    ("bahdanau", 5000),
    ("bahdanau", 1000),
    ("blind_weights", 30000),
    ("large_plain", 30000),
)
PLACES = 25  # the longest sentence
SHIPPED = {"model": "bahdanau", "size": 30000, "seed": 0}


class DecoderContext(BahdanauSeq2Seq):
    """The mistake of a notebook, and for years of a famous tutorial: the weights are right, but
    what they are laid on is the decoder's own projected state, Σ_j α_tj (s_{t−1} W).

    The score has 2H hidden units, so that this context is as wide as the right one.
    """

    def extra_parts(self) -> dict[str, nn.Module]:
        score = AdditiveScore(self.hidden_size, self.memory_size, self.memory_size)
        return {"attention": Attention(score)}

    def attend(self, query: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        score = self.attention.score
        seen = masked_softmax(score.compare(query, memory.keys), memory.mask)
        return (seen[..., None] * (query @ score.query_weight)[:, :, None]).sum(dim=2), seen


class BlindWeights(BahdanauSeq2Seq):
    """The mistake of a famous tutorial, for six years: the context is an average of annotations,
    but the weights come from the decoder's state alone, one score for each *place*.
    """

    def extra_parts(self) -> dict[str, nn.Module]:
        return super().extra_parts() | {"places": nn.Linear(self.hidden_size, PLACES)}

    def attend(self, query: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        size = memory.outputs.shape[1]
        seen = masked_softmax(self.places(query)[..., :size], memory.mask)
        return weighted_sum(seen, memory.outputs), seen


MODELS = {
    "bahdanau": BahdanauSeq2Seq,
    "decoder_context": DecoderContext,
    "blind_weights": BlindWeights,
    "plain": Seq2Seq,
    "large_plain": Seq2Seq,
}
HIDDEN_SIZES = {"large_plain": 192}  # about as many parameters as the others; they have 128


def settings() -> list[Settings]:
    """Each model and corpus size with each seed."""
    return [
        {
            "model": model,
            "size": size,
            "seed": seed,
            "steps": 1200,
            "warmup": 150,
            "batch_size": 64,
            "learning_rate": 4e-3,
            "evaluate_every": 200,
            "fixed": {
                "language": "french",
                "embed_size": 64,
                "hidden_size": HIDDEN_SIZES.get(model, 128),
                "watched": 200,
            },
        }
        for seed in SEEDS
        for model, size in RUNS
    ]


def run(settings: Settings) -> Outcome:
    """Train; watch validation sentences on the way; at the end, every split."""
    task = load_task(settings["fixed"]["language"], settings["size"])
    ship_as = "english_french" if SHIPPED.items() <= settings.items() else None
    return train_and_judge(*build(settings, task), task, settings, detokenize_french, ship_as)


def build(settings: Settings, task: Task) -> tuple[Seq2Seq, dict[str, Any]]:
    """The model of these settings, and the arguments that build it."""
    sizes = {"source_size": len(task.source_vocab), "target_size": len(task.target_vocab)}
    sizes |= {name: settings["fixed"][name] for name in ("embed_size", "hidden_size")}
    sizes |= {"cell": "gru", "bidirectional": True}
    torch.manual_seed(settings["seed"])
    return MODELS[settings["model"]](**sizes, seed=settings["seed"]), sizes
