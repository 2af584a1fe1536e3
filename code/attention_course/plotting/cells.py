"""Coloured cells: where numbers go when axes are cut and change places; which belong together."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from attention_course.plotting.style import FILLS, ROLES

COLOURS = (FILLS["query"], FILLS["key"], FILLS["value"], FILLS["context"])
HATCHES = (None, "////", "....", "xxxx")  # a token is not told by its colour alone
CELL, GAP = 0.36, 0.5  # inches; columns between two blocks
SMALL, APART, HEAD = 0.22, 0.5, 0.28  # inches: a cell without a number; cells; a title's height


def draw_cells(panels: Mapping[str, Sequence[np.ndarray]], owners: Mapping[int, int]) -> Figure:
    """One panel below the other: title -> its blocks, 2-D arrays of whole numbers, side by side.

    `owners` says to which token a number belongs, 0 to 3: a colour and a hatching each.
    """
    sizes = [(max(len(b) for b in blocks), _width(blocks)) for blocks in panels.values()]
    height = sum(rows * CELL + 0.5 for rows, _ in sizes)
    width = max(columns for _, columns in sizes)
    figure, axes = plt.subplots(
        len(panels),
        1,
        figsize=(max(width * CELL + 0.3, 3.8), height),
        squeeze=False,
        height_ratios=[rows for rows, _ in sizes],
    )
    for panel, (title, blocks) in zip(axes[:, 0], panels.items()):
        left = 0.0
        for block in blocks:
            _draw_block(panel, block, left, owners)
            left += block.shape[1] + GAP
        rows = max(len(block) for block in blocks)
        panel.set(xlim=(-0.1, width + 0.1), ylim=(rows + 0.1, -0.1), aspect="equal")
        panel.set_title(title, loc="left")
        panel.set_anchor("W")
        panel.axis("off")
    return figure


def _width(blocks: Sequence[np.ndarray]) -> float:
    return sum(block.shape[1] for block in blocks) + GAP * (len(blocks) - 1)


def _draw_block(axes: Axes, block: np.ndarray, left: float, owners: Mapping[int, int]) -> None:
    for (row, column), number in np.ndenumerate(block):
        token = owners[int(number)]
        corner, look = (left + column, row), {"facecolor": COLOURS[token], "edgecolor": "0.55"}
        axes.add_patch(Rectangle(corner, 1, 1, hatch=HATCHES[token], linewidth=0.8, **look))
        axes.text(
            left + column + 0.5,
            row + 0.5,
            str(number),
            ha="center",
            va="center",
            fontsize=11,
            bbox={"facecolor": COLOURS[token], "edgecolor": "none", "pad": 1},
        )


def draw_shares(panels: Mapping[str, np.ndarray], marked: tuple[int, int, int]) -> Figure:
    """One panel below the other: title -> a block (B,T,D) of bool, its B slices side by side.

    Rows are words, columns the numbers of a word. Cells that are True are filled, and the one at
    `marked` has a black dot: the drawing says with which numbers that one is normed.
    """
    shapes = {np.shape(block) for block in panels.values()}
    for title, block in panels.items():
        if len(shapes) > 1 or np.ndim(block) != 3 or np.asarray(block).dtype != bool:
            got = f"{np.asarray(block).dtype} of shape {np.shape(block)}"
            raise ValueError(f"panels: {title!r} is {got}, expected bool, all of one shape (B,T,D)")
    ((sentences, words, numbers),) = shapes
    wide = sentences * (numbers + APART) - APART
    tall = words * SMALL + HEAD + 0.06
    size = (wide * SMALL + 0.2, len(panels) * tall + HEAD)
    figure, axes = plt.subplots(len(panels), 1, figsize=size, squeeze=False)
    for panel, (title, block) in zip(axes[:, 0], panels.items()):
        for sentence, word, number in np.ndindex(np.shape(block)):
            left = sentence * (numbers + APART) + number
            shared = bool(block[sentence, word, number])
            look = {"facecolor": ROLES["query"] if shared else "white", "edgecolor": "0.55"}
            panel.add_patch(Rectangle((left, word), 1, 1, linewidth=0.8, **look))
        left = marked[0] * (numbers + APART) + marked[2] + 0.5
        panel.add_patch(Circle((left, marked[1] + 0.5), 0.27, facecolor="black", edgecolor="white"))
        panel.set(
            xlim=(-0.1, wide + 0.1), ylim=(words + 0.1, -0.1), aspect="equal", xticks=(), yticks=()
        )
        panel.set_title(title, loc="left", fontsize=10)
        panel.set_anchor("W")
        panel.axis("off")
    for sentence in range(sentences):
        middle = sentence * (numbers + APART) + numbers / 2
        axes[-1, 0].text(middle, words + 0.2, f"sentence {sentence + 1}", ha="center", va="top")
    return figure
