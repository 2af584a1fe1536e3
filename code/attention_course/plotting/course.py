"""The whole course in one figure: how right, and where it looks, model by model."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attention_course import results
from attention_course.plotting.curves import curve_with_seeds, legend_below
from attention_course.plotting.style import MODELS
from attention_course.results import Result

# Where each model's runs on English to Korean are recorded: 1,200 updates, three seeds. The last
# three have about equally many parameters, the first half as many.
RUNS = {
    "plain": ("luong", {"model": "plain"}),
    "bahdanau": ("luong", {"model": "bahdanau"}),
    "luong": ("transformer", {"model": "luong", "budget": "updates"}),
    "transformer": ("transformer", {"model": "transformer", "budget": "updates"}),
}
CHAPTER = {"plain": 1, "bahdanau": 3, "luong": 4, "transformer": 5}  # where each is explained
BINS = ((3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 15), (16, 18), (19, 21), (22, 25))
TO_COME = "0.72"
SPLITS = ("test", "combinations", "longer")


def draw_course(chapter: int = 6) -> Figure:
    """Above, the share of exact translations by source length; below, the alignment error rate of
    the three that look, on each set. English to Korean, 1,200 updates; one thin line or mark a
    seed. What comes after `chapter` is grey.
    """
    figure, (above, below) = plt.subplots(2, 1, figsize=(4.6, 5.6), height_ratios=(3, 2))
    above.axvspan(12.5, 24, color="0.93")
    middles = [(low + high) / 2 for low, high in BINS]
    later = [model for model in RUNS if CHAPTER[model] > chapter]
    for model in later:
        mean = np.mean([by_length(run) for run in recorded(model)], axis=0)
        label = "still to come" if model == later[0] else None
        above.plot(middles, mean, color=TO_COME, linewidth=1.2, label=label)
    for model in (model for model in RUNS if model not in later):
        label = "no attention" if model == "plain" else None
        curve_with_seeds(above, middles, [by_length(r) for r in recorded(model)], model, label)
    above.set(xlabel="source tokens (grey: never trained)", ylabel="translated exactly")
    above.set(ylim=(-0.03, 1.03))
    _error_rates(below, later)
    legend_below(figure)
    return figure


def recorded(model: str) -> list[Result]:
    """The runs of one model, by seed."""
    experiment, wanted = RUNS[model]
    return results.load(experiment, language="korean", **wanted)


def by_length(run: Result) -> list[float]:
    """Share of right translations in each of `BINS`, of the sets "test" and "longer"."""
    counts = run.metrics["test"]["by_length"] | run.metrics["longer"]["by_length"]
    shares = []
    for low, high in BINS:
        found = [counts[str(n)] for n in range(low, high + 1) if str(n) in counts]
        shares.append(sum(n * share for n, share in found) / sum(n for n, _ in found))
    return shares


def _error_rates(axes: Axes, later: Sequence[str]) -> None:
    """One column of marks a model that looks, and set; models in `later` in grey, means only."""
    for place, model in enumerate(model for model in RUNS if model != "plain"):
        _, colour, _, marker = MODELS[model]
        rates = np.array([[run.metrics[s]["aer"] for s in SPLITS] for run in recorded(model)])
        x = np.arange(len(SPLITS)) + 0.18 * (place - 1)
        if model in later:
            axes.plot(x, rates.mean(axis=0), "o", color=TO_COME, markersize=6)
            continue
        for seed in rates:
            axes.plot(x, seed, marker, color=colour, alpha=0.3, markersize=4)
        axes.plot(x, rates.mean(axis=0), marker, color=colour, markersize=8)
    axes.set(ylabel="alignment error", ylim=(0, None), xlim=(-0.5, 2.5))
    axes.set_xticks(range(len(SPLITS)), SPLITS)
    axes.grid(axis="x", visible=False)
