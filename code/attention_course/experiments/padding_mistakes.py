"""Two mistakes with padding that run, train and lower the loss: what each of them costs.

`state`: the encoder is not told where the source ends, so its last state has read the padding.
`loss`: the padding of the target is scored. `none`: neither. Everything else is `copy_by_length`'s
plain model.
"""

from collections.abc import Iterator

from attention_course.corpora.batching import Batch
from attention_course.corpora.strings import random_strings, string_batches, string_vocabulary
from attention_course.experiments.copying import (
    blind_to_padding,
    build,
    copies,
    exact_by_length,
    pads_in_loss,
)
from attention_course.experiments.runner import Outcome
from attention_course.metrics import exact_match
from attention_course.results import Settings
from attention_course.scratch.training import make_train_step
from attention_course.training import fit

TOLD_APART_BY = ("mistake", "seed")
MISTAKES = {"none": lambda batch: batch, "state": blind_to_padding, "loss": pads_in_loss}
SEEDS = (0, 1, 2)
LENGTHS = (3, 5, 7, 9, 11)
WIDTHS = (0, 2, 5, 10, 15)  # pads appended to the strings of one length


def settings() -> list[Settings]:
    """Each mistake, each seed."""
    return [
        {
            "mistake": mistake,
            "seed": seed,
            "steps": 3000,
            "batch_size": 64,
            "learning_rate": 3e-3,
            "evaluate_every": 500,
            "fixed": {"hidden_size": 64, "trained": (3, 15), "tested": LENGTHS, "strings": 500},
        }
        for mistake in MISTAKES
        for seed in SEEDS
    ]


def run(settings: Settings) -> Outcome:
    """Train with the mistake; test strings of one length with ever more padding behind them."""
    fixed, mistake = settings["fixed"], settings["mistake"]
    model = build("plain", fixed["hidden_size"], settings["seed"])
    history = fit(
        make_train_step(model, settings["learning_rate"]),
        _with_mistake(settings),
        settings["steps"],
        evaluate=lambda: exact_by_length(model, fixed["tested"], 200, 77),
        evaluate_every=settings["evaluate_every"],
        progress=False,
    )
    curve = [
        {"step": step, "exact": exact, "loss": sum(history.losses[step - 100 : step]) / 100}
        for step, exact in history.evaluations
    ]
    exact = {
        str(n): [_exact_with_pads(model, n, pads, fixed["strings"], mistake) for pads in WIDTHS]
        for n in fixed["tested"]
    }
    return Outcome({"exact": exact, "pads": WIDTHS, "loss": curve[-1]["loss"]}, curve)


def _with_mistake(settings: Settings) -> Iterator[Batch]:
    stream = string_batches(
        settings["batch_size"],
        tuple(settings["fixed"]["trained"]),
        string_vocabulary(),
        seed=1000 + settings["seed"],
    )
    return map(MISTAKES[settings["mistake"]], stream)


def _exact_with_pads(model, length: int, pads: int, count: int, mistake: str) -> float:
    strings = random_strings(count, length, seed=77 + length)
    answers = copies(
        model, strings, string_vocabulary(), width=length + pads, blind=mistake == "state"
    )
    return exact_match(answers, strings)
