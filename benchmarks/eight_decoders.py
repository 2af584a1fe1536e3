"""What an update costs each of the eight decoders of `which_difference`, and how many updates fit
into the time that the slowest takes for 1,200: `python benchmarks/eight_decoders.py` (a minute).

One thread; in each round every decoder makes the same 40 updates, one decoder after the other, so
that whatever else the machine does slows all alike. The median over the rounds counts.
"""

import os

# Read by PyTorch when it is imported.
os.environ["OMP_NUM_THREADS"] = "1"

import statistics
import time
from itertools import islice

from attention_course.experiments.translating import load_task
from attention_course.experiments.which_difference import DECODERS, build, settings
from attention_course.plotting import table
from attention_course.pytorch.training import make_train_step

ROUNDS, UPDATES, SLOWEST = 5, 40, 1200


def main() -> None:
    """Measure and print."""
    chosen = [s for s in settings() if s["seed"] == 0 and s["budget"] == "updates"]
    task = load_task(chosen[0]["fixed"]["language"], chosen[0]["fixed"]["size"])
    batches = list(islice(task.batches(chosen[0]["batch_size"], 1000), UPDATES))
    steps = [make_train_step(build(s, task)) for s in chosen]
    times: list[list[float]] = [[] for _ in steps]
    for _ in range(ROUNDS):
        for step, seen in zip(steps, times, strict=True):
            begin = time.perf_counter()
            for batch in batches:
                step(batch)
            seen.append((time.perf_counter() - begin) / UPDATES)
    medians = list(map(statistics.median, times))
    rows = [
        {
            "decoder": f"{asks}, {score}, {'fed' if fed else 'not fed'}",
            "ms an update": f"{1000 * seconds:.1f}",
            "updates in equal time": f"{SLOWEST * max(medians) / seconds:,.0f}",
        }
        for (asks, score, fed), seconds in zip(DECODERS, medians, strict=True)
    ]
    print(table(rows))


if __name__ == "__main__":
    main()
