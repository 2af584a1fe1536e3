"""Copy what you were shown: a Neural Turing Machine beside an LSTM of about as many parameters.

The task of Graves et al. (2014, section 4.1), smaller: random vectors of bits, one after the other,
then a sign, then silence, in which the machine says them all again. Trained on few lengths, tested
beyond.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention_course.experiments.runner import Outcome, to_ship
from attention_course.experiments.task import train_watched
from attention_course.experiments.translating import count_parameters
from attention_course.pytorch import weights
from attention_course.pytorch.memory import NeuralTuringMachine
from attention_course.pytorch.recurrent import LSTM
from attention_course.results import Settings
from attention_course.schedules import linear_schedule

TOLD_APART_BY = ("model", "seed")
BITS = 6
SIZES: dict[str, dict[str, int]] = {
    "ntm": {"hidden_size": 64, "rows": 32, "width": 12},
    "lstm": {"hidden_size": 76},  # as many parameters, within one in a hundred
}
STEPS = {"ntm": 2500, "lstm": 20000}  # an LSTM's step is short: about a minute or two for each
SEEDS = (0, 1, 2)
TRAINED = (1, 10)
TESTED = (1, 3, 5, 8, 10, 12, 15, 20, 25, 30, 40)  # 40: more than there are rows
SHIPPED = {"model": "ntm", "seed": 0}


class Copying(NamedTuple):
    """Sequences of one length, L."""

    inputs: np.ndarray  # (B, 2L + 1, BITS + 1): the vectors, the sign, silence
    bits: np.ndarray  # (B, L, BITS) of 0 and 1, to be said in the last L steps


class PlainLSTM(nn.Module):
    """No memory but its state: an LSTM and one layer on its outputs."""

    def __init__(self, input_size: int, output_size: int, hidden_size: int, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.rnn = LSTM(input_size, hidden_size)
            self.readout = nn.Linear(hidden_size, output_size)

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs (B,T,input_size) -> logits (B,T,output_size)."""
        return self.readout(self.rnn(inputs)[0])


MODELS = {"ntm": NeuralTuringMachine, "lstm": PlainLSTM}


def settings() -> list[Settings]:
    """Both models with each seed."""
    return [
        {
            "model": model,
            "seed": seed,
            "steps": STEPS[model],
            "batch_size": 16,
            "learning_rate": 6e-3,
            "max_norm": 1.0,
            "evaluate_every": STEPS[model] // 10,
            "fixed": {"bits": BITS, "trained": TRAINED, "tested": TESTED, "sequences": 100}
            | SIZES[model],
        }
        for model in MODELS
        for seed in SEEDS
    ]


def run(settings: Settings) -> Outcome:
    """Train on fresh sequences; watch the longest that is trained and one twice as long."""
    fixed, seed = settings["fixed"], settings["seed"]
    arguments = {"input_size": BITS + 1, "output_size": BITS} | SIZES[settings["model"]]
    model = MODELS[settings["model"]](**arguments, seed=seed)

    def watch() -> dict[str, Any]:
        return {"right": right_by_length(model, (10, 20), 50)}

    batches = copy_batches(settings["batch_size"], tuple(fixed["trained"]), 1000 + seed)
    curve = train_watched(make_copy_step(model, settings), batches, settings, watch)
    metrics = right_by_length(model, fixed["tested"], fixed["sequences"])
    metrics["parameters"] = count_parameters(model)
    shipped = None
    if SHIPPED.items() <= settings.items():
        shipped = {"ntm": to_ship(model, arguments, {}, weights)}
        metrics["shipped"] = right_by_length(model, fixed["tested"], fixed["sequences"])
    return Outcome(metrics, curve, shipped)


def copying(count: int, length: int, generator: np.random.Generator) -> Copying:
    """`count` random sequences of `length` vectors each."""
    bits = generator.integers(0, 2, (count, length, BITS)).astype(np.float32)
    inputs = np.zeros((count, 2 * length + 1, BITS + 1), np.float32)
    inputs[:, :length, :BITS] = bits
    inputs[:, length, BITS] = 1
    return Copying(inputs, bits)


def copy_batches(size: int, lengths: tuple[int, int], seed: int) -> Iterator[Copying]:
    """An endless stream; all sequences of a batch have one length, drawn between the two."""
    generator = np.random.default_rng(seed)
    while True:
        yield copying(size, int(generator.integers(lengths[0], lengths[1] + 1)), generator)


def make_copy_step(model: nn.Module, settings: Settings) -> Callable[[Copying], float]:
    """A function that updates `model` once and returns the loss (nats a bit)."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters)
    rate = linear_schedule(settings["learning_rate"], settings["steps"])
    rates = map(rate, range(1, settings["steps"] + 1))

    def train_step(batch: Copying) -> float:
        optimizer.zero_grad()
        bits = torch.as_tensor(batch.bits)
        logits = model(torch.as_tensor(batch.inputs))[:, -bits.shape[1] :]
        loss = F.binary_cross_entropy_with_logits(logits, bits)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, settings["max_norm"])
        optimizer.param_groups[0]["lr"] = next(rates)
        optimizer.step()
        return loss.item()

    return train_step


@torch.no_grad()
def right_by_length(
    model: Callable[[Tensor], Tensor], lengths: tuple[int, ...], count: int, seed: int = 77
) -> dict[str, dict[str, float]]:
    """Of `count` sequences of each length: the share of bits, and of sequences without a wrong bit.

    The keys are strings because JSON has no others.
    """
    bits, sequences = {}, {}
    for length in lengths:
        batch = copying(count, length, np.random.default_rng(seed + length))
        said = model(torch.as_tensor(batch.inputs))[:, -length:] > 0
        right = said.numpy() == (batch.bits > 0.5)
        bits[str(length)] = round(float(right.mean()), 4)
        sequences[str(length)] = round(float(right.all(axis=(1, 2)).mean()), 4)
    return {"bits": bits, "sequences": sequences}
