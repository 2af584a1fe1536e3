"""Curves with their seeds, and panels that a phone can show."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attention_course.plotting.style import MODELS


def curve_with_seeds(
    axes: Axes,
    x: Sequence[float],
    runs: Sequence[Sequence[float]],
    model: str,
    label: str | None = None,
) -> None:
    """Mean over seeds as a line, every seed as a thin line behind it, in the model's own style.

    `runs` holds one sequence a seed, as long as `x`. Single seeds are drawn because three of them
    make no honest band.
    """
    name, colour, line, marker = MODELS[model]
    for run in runs:
        axes.plot(x, run, color=colour, alpha=0.3, linewidth=0.8)
    style = {"color": colour, "linestyle": line, "marker": marker}
    axes.plot(x, np.mean(runs, axis=0), label=label or name, **style)


def stacked_panels(titles: Sequence[str], x_label: str, y_label: str) -> tuple[Figure, list[Axes]]:
    """Panels one below the other, legible on a phone; both axes shared, y from 0 to 1."""
    rows = len(titles)
    figure, axes = plt.subplots(rows, 1, sharex=True, sharey=True, figsize=(4.6, 0.9 + 1.8 * rows))
    panels = list(np.atleast_1d(axes))
    for panel, title in zip(panels, titles, strict=True):
        panel.set(ylabel=y_label, ylim=(-0.03, 1.03))
        panel.set_title(title, loc="left")
    panels[-1].set_xlabel(x_label)
    return figure, panels


def legend_below(figure: Figure, columns: int = 2) -> None:
    """One legend for all panels, below them, where it hides nothing."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
