"""What an update costs each model of a comparison, and how many updates fit into the time that the
slowest takes for 1,200: `python benchmarks/equal_time.py` (two minutes), of which_difference and
of transformer.

One thread; in each round every model makes the same 40 updates, one model after the other, so that
whatever else the machine does slows all alike. The median over the rounds counts.
"""

import os

# Read by PyTorch when it is imported.
os.environ["OMP_NUM_THREADS"] = "1"

import statistics
import time
from itertools import islice

from torch import nn

from attention_course.experiments import transformer, which_difference
from attention_course.experiments.task import Task
from attention_course.experiments.translating import load_task
from attention_course.plotting import table
from attention_course.pytorch.training import make_train_step

ROUNDS, UPDATES, SLOWEST = 5, 40, 1200


def eight_decoders() -> None:
    """Of `which_difference`, on the Korean corpus."""
    chosen = [s for s in which_difference.settings() if s["seed"] == 0 and s["budget"] == "updates"]
    task = load_task("korean", chosen[0]["fixed"]["size"])
    models = {
        f"{asks}, {score}, {'fed' if fed else 'not fed'}": which_difference.build(s, task)
        for (asks, score, fed), s in zip(which_difference.DECODERS, chosen, strict=True)
    }
    show(models, task)


def three_models(language: str) -> None:
    """Of `transformer`."""
    task = load_task(language, 30000)
    names = ("bahdanau", "luong", "transformer")
    chosen = [{"model": name, "seed": 0} for name in names]
    show({s["model"]: transformer.build(s, task)[0] for s in chosen}, task)


def show(models: dict[str, nn.Module], task: Task) -> None:
    """Measure and print."""
    batches = list(islice(task.batches(64, 1000), UPDATES))
    steps = [make_train_step(model) for model in models.values()]
    times: list[list[float]] = [[] for _ in steps]
    for _ in range(ROUNDS):
        for step, seen in zip(steps, times, strict=True):
            begin = time.process_time()
            for batch in batches:
                step(batch)
            seen.append((time.process_time() - begin) / UPDATES)
    medians = list(map(statistics.median, times))
    rows = [
        {
            "model": name,
            "ms an update": f"{1000 * seconds:.1f}",
            "updates in equal time": f"{SLOWEST * max(medians) / seconds:,.0f}",
        }
        for name, seconds in zip(models, medians, strict=True)
    ]
    print(table(rows), flush=True)


if __name__ == "__main__":
    eight_decoders()
    for language in ("korean", "french"):
        print(language)
        three_models(language)
