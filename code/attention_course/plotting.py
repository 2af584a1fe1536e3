"""One look for all figures: legible on a phone and in print, safe for colour-blind eyes (Okabe &
Ito 2008).

A model keeps its colour *and* its line style and marker through the whole course, so that no figure
depends on colour alone.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROLES = {"query": "#0072B2", "key": "#B34700", "value": "#007A5A", "context": "#8F3F71"}

# label, colour, line style, marker
MODELS = {
    "plain": ("plain", "#0072B2", "-", "o"),
    "peeky": ("peeky", "#B34700", "--", "s"),
    "reversed": ("source reversed", "#595959", ":", "^"),
    "dot": ("dot attention", "#007A5A", "-.", "D"),
    "rnn": ("bare RNN", "#0072B2", "-", "o"),
    "gru": ("GRU", "#B34700", "--", "s"),
    "lstm": ("LSTM", "#595959", ":", "^"),
}


def use_style() -> None:
    """Set matplotlib's defaults for every figure of the course."""
    plt.rcParams.update(
        {
            "figure.figsize": (5.2, 3.4),
            "figure.dpi": 140,
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "font.size": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.titlesize": 11,
            "grid.alpha": 0.3,
            "legend.frameon": False,
            "legend.fontsize": 10,
            "lines.linewidth": 2,
            "lines.markersize": 5,
        }
    )


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
    axes.plot(x, np.mean(runs, axis=0), line, color=colour, marker=marker, label=label or name)


def stacked_panels(titles: Sequence[str], x_label: str, y_label: str) -> tuple[Figure, list[Axes]]:
    """Panels one below the other, legible on a phone; both axes shared, y from 0 to 1."""
    rows = len(titles)
    figure, axes = plt.subplots(rows, 1, sharex=True, sharey=True, figsize=(5.2, 0.9 + 1.9 * rows))
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


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of equal keys as aligned text: readable in Colab, on paper and to nbval alike."""
    header = list(rows[0])
    cells = [header] + [[_cell(row[key]) for key in header] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
