"""How long a string can a fixed vector hold? Exact match against length, over budget × hidden size
× seeds.

One run records every budget at once: it is evaluated all along its training, at a constant learning
rate.
"""

from attention_course.corpora.strings import string_batches, string_vocabulary
from attention_course.experiments.copying import EMBED_SIZE, build, exact_by_length
from attention_course.experiments.runner import Outcome, to_ship
from attention_course.results import Settings
from attention_course.scratch.training import make_train_step
from attention_course.training import fit

TOLD_APART_BY = ("model", "hidden_size", "seed")
MODELS = ("plain", "peeky", "reversed", "dot", "bahdanau")
HIDDEN_SIZES = (64, 32, 128)
STEPS = {32: 3000, 64: 6000, 128: 3000}  # one size long enough to see what a budget does
SEEDS = (0, 1, 2)
SHIPPED = {"model": "dot", "hidden_size": 64, "seed": 0}
TRAINED = (3, 15)
TESTED = (3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 20, 25)


def settings() -> list[Settings]:
    """Every model at every size with every seed; Bahdanau's, the slowest, at one size."""
    return [
        {
            "model": model,
            "hidden_size": hidden_size,
            "seed": seed,
            "steps": 3000 if model == "bahdanau" else STEPS[hidden_size],
            "batch_size": 64,
            "learning_rate": 3e-3,
            "evaluate_every": 500,
            "fixed": {"trained": TRAINED, "tested": TESTED, "strings": 200, "strings_at_end": 500},
        }
        for hidden_size in HIDDEN_SIZES
        for model in MODELS
        for seed in SEEDS
        if model != "bahdanau" or hidden_size == 64
    ]


def run(settings: Settings) -> Outcome:
    """Train on fresh strings and watch each length."""
    reverse_source = settings["model"] == "reversed"
    model = build(settings["model"], settings["hidden_size"], settings["seed"])
    batches = string_batches(
        settings["batch_size"],
        tuple(settings["fixed"]["trained"]),
        string_vocabulary(),
        seed=1000 + settings["seed"],
        reverse_source=reverse_source,
    )

    def exact(count: int) -> dict[str, float]:
        return exact_by_length(model, settings["fixed"]["tested"], count, 77, reverse_source)

    history = fit(
        make_train_step(model, settings["learning_rate"]),
        batches,
        settings["steps"],
        evaluate=lambda: exact(settings["fixed"]["strings"]),
        evaluate_every=settings["evaluate_every"],
        progress=False,
    )
    curve = [{"step": step, "exact": metrics} for step, metrics in history.evaluations]
    loss = sum(history.losses[-100:]) / 100
    metrics = {"exact": exact(settings["fixed"]["strings_at_end"]), "loss": round(loss, 4)}
    metrics["parameters"] = count_parameters(model)
    shipped = None
    if SHIPPED.items() <= settings.items():
        letters = string_vocabulary()
        sizes = {"source_size": len(letters), "target_size": len(letters)}
        sizes |= {"embed_size": EMBED_SIZE, "hidden_size": settings["hidden_size"], "cell": "gru"}
        shipped = {"copy": to_ship(model, sizes, {"source": letters, "target": letters})}
        metrics["exact_200_shipped"] = exact(200)
    return Outcome(metrics, curve, shipped)


def count_parameters(model) -> int:
    """How many numbers training adjusts."""
    return sum(array.size for array in model.params.values())
