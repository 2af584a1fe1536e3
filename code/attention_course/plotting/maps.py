"""Heat maps of attention weights: who looked where."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from unicodedata import east_asian_width

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from attention_course.plotting.style import korean_font

# White is 0 and the darkest blue 1; even steps of lightness, so it reads the same in grey.
WEIGHT_COLOURS = LinearSegmentedColormap.from_list("weight", ["white", "#0B2540"])
LABEL_SIZE = 9  # points
WIDTH = 4.9  # inches: what a phone shows without making the labels too small
# Okabe & Ito's vermillion would drown in the middle blues but for its rim, of which it stands out
# by 3.9 to 1 (WCAG 2.1 asks for 3), whatever the cell is.
LINK = "#D55E00"
RIM = [patheffects.withStroke(linewidth=3, foreground="white")]
Links = AbstractSet[tuple[int, int]] | Sequence[tuple[int, int]]
Kind = tuple[str, set[tuple[int, int]], dict[str, object]]  # what it is called, where, its line


def heat_map(
    weights: ArrayLike,
    source: Sequence[str],
    target: Sequence[str],
    axes: Axes | None = None,
    title: str | None = None,
    sure: Links = (),
    possible: Links = (),
) -> Axes:
    """The weights (T,S) of one sentence: target from top to bottom, source from left to right.

    White is weight 0, the darkest blue weight 1, whatever the largest weight is. `source` and
    `target` are the tokens of the rows and columns without padding (a string will do where every
    character is a token); blanks are shown as ␣. What lies beyond them is cut. Draws into `axes`,
    or into a new figure with a colour bar.

    `sure` and `possible` are the right links, pairs (target index, source index) as in
    `attention_course.alignment`: their cells are outlined, dashed where a link is only possible.
    What that means is said below a new figure.

    Raises ValueError if a column that would be cut, so padding, has any weight; for weights that
    are not (T,S), too few for the tokens or not between 0 and 1; for a link beyond the tokens.
    """
    weights = _without_padding(np.asarray(weights), source, target)
    _check_links("sure", sure, source, target)
    _check_links("possible", possible, source, target)
    kinds = _kinds(sure, possible)
    figure = None
    if axes is None:
        figure, (axes,) = _figure(1, source, target, title is not None, len(kinds))
    cell_width, cell_height = _cell_size(source, target)
    axes.imshow(weights, cmap=WEIGHT_COLOURS, vmin=0, vmax=1, aspect=cell_height / cell_width)
    _label_source(axes, source)
    _label_target(axes, target)
    _draw_cells(axes)
    for _, links, look in kinds:
        _outline(axes, links, look)
    if title is not None:
        axes.set_title(title, loc="left")
    if figure is not None:
        _colour_bar(figure, [axes])
        _legend(figure, kinds)
    return axes


def heat_maps(
    weights: Mapping[str, ArrayLike],
    source: Sequence[str],
    target: Sequence[str],
    sure: Links = (),
    possible: Links = (),
) -> Figure:
    """Heat maps of one pair of sentences below each other: title -> weights (T,S).

    The right links, `sure` and `possible`, are outlined in each as in `heat_map`.
    """
    kinds = _kinds(sure, possible)
    figure, panels = _figure(len(weights), source, target, True, len(kinds))
    for panel, (title, of_panel) in zip(panels, weights.items(), strict=True):
        heat_map(of_panel, source, target, panel, title, sure, possible)
        if panel is not panels[0]:
            panel.set_xlabel("")
    _colour_bar(figure, panels)
    _legend(figure, kinds)
    return figure


def _check_links(name: str, links: Links, source: Sequence[str], target: Sequence[str]) -> None:
    for link in links:
        row, column = link
        if not (0 <= row < len(target) and 0 <= column < len(source)):
            raise ValueError(
                f"{name}: got the link {link}, expected (target index, source index) within "
                f"{len(target)} target and {len(source)} source tokens"
            )


def _kinds(sure: Links, possible: Links) -> list[Kind]:
    """Those that there are, each link in one of them."""
    kinds = [
        ("right words", set(sure), {"linewidth": 2.0}),
        ("possible words", set(possible) - set(sure), {"linewidth": 1.4, "linestyle": (0, (3, 2))}),
    ]
    return [kind for kind in kinds if kind[1]]


def _outline(axes: Axes, links: Links, look: dict[str, object]) -> None:
    """Inside the cells, so that neighbours stay apart."""
    for row, column in sorted(links):
        axes.add_patch(_frame((column - 0.4, row - 0.4), 0.8, look))


def _frame(corner: tuple[float, float], size: float, look: dict[str, object]) -> Rectangle:
    style = {"facecolor": "none", "edgecolor": LINK, "joinstyle": "miter", "zorder": 3}
    return Rectangle(corner, size, size, path_effects=RIM, **style, **look)


def _without_padding(
    weights: np.ndarray, source: Sequence[str], target: Sequence[str]
) -> np.ndarray:
    if weights.ndim != 2:
        raise ValueError(f"weights: expected (T, S), got shape {weights.shape}")
    for name, tokens, size in zip(("target", "source"), (target, source), weights.shape):
        if not 0 < len(tokens) <= size:
            raise ValueError(
                f"{name}: got {len(tokens)} tokens for weights (T, S) = {weights.shape}, "
                f"expected 1 to {size}"
            )
    if not ((weights >= 0) & (weights <= 1 + 1e-3)).all():  # half precision rounds above 1
        raise ValueError("weights: expected numbers between 0 and 1, got others (scores or NaN?)")
    if weights[:, len(source) :].any():
        raise ValueError(
            f"weights on padding: source has {len(source)} tokens, "
            f"but a column behind them is not 0"
        )
    return weights[: len(target), : len(source)]


def _figure(
    rows: int, source: Sequence[str], target: Sequence[str], titles: bool, kinds: int
) -> tuple[Figure, list[Axes]]:
    """As wide as maps and labels need: the less of it, the less a phone has to shrink it."""
    cell_width, cell_height = _cell_size(source, target)
    above = 0.15 + (0.8 * label_width(source) if _are_words(source) else 0.15) + 0.3 * titles
    width = _beside(target) + cell_width * len(source) + _overhang(source)
    height = rows * (above + cell_height * len(target)) + 0.85
    height += 0.22 * _legend_rows(width, kinds)
    figure, panels = plt.subplots(rows, 1, figsize=(width, height), squeeze=False)
    return figure, list(panels[:, 0])


def _cell_size(source: Sequence[str], target: Sequence[str]) -> tuple[float, float]:
    """Width and height in inches; square unless there are too many columns for that."""
    width = min(0.34, (WIDTH - _beside(target) - _overhang(source)) / len(source))
    return width, max(width, 0.16)


def _beside(target: Sequence[str]) -> float:
    return 0.35 + label_width(target)


def _overhang(source: Sequence[str]) -> float:
    """What the last label of a column needs to the right: words lean over."""
    return 0.3 if _are_words(source) else 0.15


def label_width(tokens: Sequence[str]) -> float:
    """Of the longest, in inches: a letter is about 0.6 of the type size wide, a hangul 1."""
    widths = [sum(1 if east_asian_width(c) in "WF" else 0.6 for c in token) for token in tokens]
    return max(widths) * LABEL_SIZE / 72


def _are_words(tokens: Sequence[str]) -> bool:
    """Rather than characters, to which special tokens such as <eos> belong."""
    return any(len(token) > 1 and not token.startswith("<") for token in tokens)


def _style(tokens: Sequence[str]) -> dict[str, object]:
    family = "sans-serif" if _are_words(tokens) else "monospace"
    return {"fontsize": LABEL_SIZE, "family": [family, *korean_font()]}


def shown(tokens: Sequence[str]) -> list[str]:
    return ["␣" if token == " " else token for token in tokens]


def _label_source(axes: Axes, source: Sequence[str]) -> None:
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(source)), shown(source), **_style(source))
    for label in axes.get_xticklabels():
        if _are_words(source):
            label.set(rotation=45, rotation_mode="anchor", ha="left", va="baseline")
        elif len(label.get_text()) > 1:
            label.set_rotation(90)
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("source", fontsize=LABEL_SIZE, color="0.35", style="italic")


def _label_target(axes: Axes, target: Sequence[str]) -> None:
    axes.set_yticks(range(len(target)), shown(target), **_style(target))
    axes.set_ylabel("target", fontsize=LABEL_SIZE, color="0.35", style="italic")


def _draw_cells(axes: Axes) -> None:
    """Faint lines between the cells, for following a row or a column of zeros."""
    axes.grid(False)
    rows, columns = axes.images[0].get_array().shape
    axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="0.85", linewidth=0.5, alpha=1)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set(visible=True, color="0.7")


def _colour_bar(figure: Figure, panels: Sequence[Axes]) -> None:
    """A tenth of an inch high, a tenth below the maps."""
    width, height = figure.get_size_inches()
    bar = figure.colorbar(
        panels[0].images[0],
        ax=panels,
        location="bottom",
        ticks=(0, 0.5, 1),
        format="%g",
        aspect=0.8 * width / 0.1,
        pad=0.13 / height,
    )
    bar.set_label("weight", fontsize=LABEL_SIZE)
    bar.ax.tick_params(labelsize=LABEL_SIZE, length=2)
    bar.outline.set(color="0.7", linewidth=0.8)


def _legend(figure: Figure, kinds: Sequence[Kind]) -> None:
    """What the outlines mean, at the bottom."""
    if not kinds:
        return
    rows = _legend_rows(figure.get_figwidth(), len(kinds))
    style = {"fontsize": LABEL_SIZE, "handlelength": 1, "handleheight": 1, "borderpad": 0}
    figure.legend(
        [_frame((0, 0), 1, look) for *_, look in kinds],
        [name for name, *_ in kinds],
        loc="outside lower center",
        ncols=-(-len(kinds) // rows),
        **style,
    )


def _legend_rows(width: float, kinds: int) -> int:
    """One below the other where they are too long for a figure of this width, in inches."""
    return kinds if width < 2.8 else min(kinds, 1)
