"""Numbers in coloured cells: where each of them goes when axes are cut and change places."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attention_course.plotting.style import FILLS

COLOURS = (FILLS["query"], FILLS["key"], FILLS["value"], FILLS["context"])
HATCHES = (None, "////", "....", "xxxx")  # a token is not told by its colour alone
CELL, GAP = 0.36, 0.5  # inches; columns between two blocks


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
