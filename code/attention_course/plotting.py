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
    "peeky": ("peeky: same vector at every step", "#B34700", "--", "s"),
    "reversed": ("plain, source reversed", "#595959", ":", "^"),
    "dot": ("dot attention", "#007A5A", "-.", "D"),
    "rnn": ("bare RNN", "#0072B2", "-", "o"),
    "gru": ("GRU", "#B34700", "--", "s"),
    "lstm": ("LSTM", "#595959", ":", "^"),
}


def use_style() -> None:
    """Set matplotlib's defaults for every figure of the course."""
    plt.rcParams.update(
        {
            "figure.figsize": (6.4, 3.8),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "font.size": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
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


def small_multiples(
    columns: int, titles: Sequence[str], x_label: str, y_label: str, height: float = 3.4
) -> tuple[Figure, list[Axes]]:
    """A row of panels with one shared y axis from 0 to 1."""
    figure, axes = plt.subplots(
        1, columns, sharey=True, figsize=(3.1 * columns, height), squeeze=False
    )
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set(title=title, xlabel=x_label, ylim=(-0.03, 1.03))
    axes[0, 0].set_ylabel(y_label)
    return figure, list(axes[0])


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
