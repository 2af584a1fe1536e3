"""One look for all figures: legible on a phone and in print, safe for colour-blind eyes (Okabe &
Ito 2008).

A model keeps its colour *and* its line style and marker through the whole course, so that no figure
depends on colour alone.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

CONTEXT_FILL = "#E6CBDC"
ROLES = {"query": "#0072B2", "key": "#B34700", "value": "#007A5A", "context": "#8F3F71"}

# label, colour, line style, marker
MODELS = {
    "plain": ("plain", "#0072B2", "-", "o"),
    "peeky": ("peeky", "#B34700", "--", "s"),
    "reversed": ("source reversed", "#595959", ":", "^"),
    "dot": ("dot attention", "#007A5A", "-.", "D"),
    "ours": ("dot attention", "#8F3F71", (0, (5, 1, 1, 1, 1, 1)), "v"),
    "rnn": ("bare RNN", "#0072B2", "-", "o"),
    "gru": ("GRU", "#B34700", "--", "s"),
    "lstm": ("LSTM", "#595959", ":", "^"),
}


def use_style() -> None:
    """Set matplotlib's defaults for every figure of the course."""
    plt.rcParams.update(
        {
            "figure.figsize": (4.6, 3.2),
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


def draw_encoder_decoder(source: Sequence[str], target: Sequence[str]) -> Figure:
    """Boxes and arrows: the encoder's states, the one that is handed over, the decoder's states.

    `target` ends with the end token; the decoder reads it shifted by one, after a start token.
    """
    figure, axes = plt.subplots(figsize=(4.9, 2.2))
    axes.set(xlim=(-0.7, len(source) + len(target) + 0.2), ylim=(-1.7, 1.2), aspect="equal")
    axes.axis("off")
    encoder = list(range(len(source)))
    decoder = [len(source) + 0.5 + step for step in range(len(target))]
    for place, token in zip(encoder, source, strict=True):
        _state(axes, place, "0.9" if place < encoder[-1] else CONTEXT_FILL)
        _flow(axes, (place, -0.85), (place, -0.3), token, below=True)
    for place, token, said in zip(decoder, ("<sos>", *target), target, strict=False):
        _state(axes, place, "white")
        _flow(axes, (place, -0.85), (place, -0.3), token, below=True)
        _flow(axes, (place, 0.3), (place, 0.85), said)
    for left, right in pairwise([*encoder, *decoder]):
        colour = ROLES["context"] if left == encoder[-1] else "0.3"
        _flow(axes, (left + 0.3, 0), (right - 0.3, 0), colour=colour)
    axes.text(encoder[-1], 0.5, "context", color=ROLES["context"], ha="center", weight="bold")
    for name, places in (("encoder", encoder), ("decoder", decoder)):
        axes.text(
            (places[0] + places[-1]) / 2, -1.6, name, color="0.3", ha="center", style="italic"
        )
    return figure


def _state(axes: Axes, x: float, fill: str) -> None:
    axes.add_patch(plt.Rectangle((x - 0.3, -0.3), 0.6, 0.6, facecolor=fill, edgecolor="0.3"))


def _flow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    text: str = "",
    below: bool = False,
    colour: str = "0.3",
) -> None:
    """An arrow, with `text` at its outer end."""
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.5})
    place, align = (start, "top") if below else (end, "bottom")
    axes.text(*place, text, ha="center", va=align, fontsize=9)
