"""Drawings of the Transformer: its sub-layers, its families, and who may look at whom."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from numpy.typing import ArrayLike

from attention_course.plotting.maps import WIDTH, label_width, shown
from attention_course.plotting.sketch import DARK, Point, arrow, box, canvas, node, write
from attention_course.plotting.style import ROLES

# --- The architecture ---------------------------------------------------------

# In inches. Columns, and for each how wide its boxes are and on which side residuals run.
ENCODER, DECODER, MIDDLE = 1.2, 3.5, 2.26
BOX, OUTWARDS = {ENCODER: 1.06, DECODER: 1.52}, {ENCODER: -1, DECODER: 1}
WORDS, EMBEDDING, POSITIONS, BOTTOM = 0.42, 0.83, 1.26, 1.48
RISE, TALL, FLAT, PLUS = 1.34, 0.3, 0.24, 0.1  # a sub-layer in all, its box, a norm, a sum's radius
# From the bottom of a sub-layer: where its residual leaves, and its box, sum and norm.
NORM_LAST = {"box": 0.5, "sum": 0.88, "norm": 1.22}
NORM_FIRST = {"norm": 0.36, "box": 0.86, "sum": 1.24}
LEAVES, SPLIT = 0.08, 0.17  # the residual; query, key and value, below their box
GAP = 0.06  # half the distance of the lines of keys and values


def draw_transformer(norm_first: bool = False) -> Figure:
    """Encoder and decoder of Vaswani et al. 2017 (arXiv 1706.03762, figure 1), from below.

    One layer of each is drawn; there are L of them. A line goes around every sub-layer and is added
    to what it says; the sum is normed, or, with `norm_first` (Xiong et al. 2020, arXiv 2002.04745),
    the sub-layer reads what was normed, and each stack has one more norm at its end. Attention is
    purple, like its context. What goes into it is blue (query), orange (key) and green (value):
    three copies of one thing in self-attention; in cross-attention the query comes from the
    decoder, keys and values from the encoder's top, the same for every layer. Dropout is left out.
    """
    ends = {x: BOTTOM + RISE * count + 0.1 for x, count in ((ENCODER, 2), (DECODER, 3))}
    tops = {x: end + (0.15 + FLAT if norm_first else 0) for x, end in ends.items()}
    figure, axes = canvas(4.9, tops[DECODER] + 1.06)
    _inputs(axes)
    for x, names in (
        (ENCODER, ("self-attention", "feed-forward")),
        (DECODER, ("masked self-attention", "cross-attention", "feed-forward")),
    ):
        _frame(axes, x, ends[x])
        for number, name in enumerate(names):
            _sub_layer(axes, x, BOTTOM + RISE * number, name, norm_first)
        if norm_first:
            _last_norm(axes, x, ends[x])
    cross = BOTTOM + RISE + (NORM_FIRST if norm_first else NORM_LAST)["box"]
    _keys_and_values(axes, tops[ENCODER] - (0 if norm_first else 0.1), cross)
    _readout(axes, tops[DECODER] - (0 if norm_first else 0.1), tops[DECODER] + 0.34)
    return figure


def _inputs(axes: Axes) -> None:
    """Words become vectors, to which both sides add the places."""
    for x, side, words in (
        (ENCODER, "encoder", "source words"),
        (DECODER, "decoder", "words so far"),
    ):
        write(axes, (x, 0.14), side, style="italic")
        write(axes, (x, WORDS), words, color="0.1")
        arrow(axes, (x, WORDS + 0.11), (x, EMBEDDING - TALL / 2))
        box(axes, (x, EMBEDDING), "embedding", None, (0.92, TALL))
        arrow(axes, (x, EMBEDDING + TALL / 2), (x, POSITIONS - PLUS))
        edge = MIDDLE + 0.38 * OUTWARDS[x]
        arrow(axes, (edge, POSITIONS), (x - PLUS * OUTWARDS[x], POSITIONS))
        node(axes, (x, POSITIONS), "+", PLUS)
    box(axes, (MIDDLE, POSITIONS), "positions", None, (0.76, TALL))


def _frame(axes: Axes, x: float, top: float) -> None:
    """Around a layer, and how often it is there; the line from below goes in."""
    half = BOX[x] / 2 + 0.26
    axes.add_patch(Rectangle((x - half, BOTTOM), 2 * half, top - BOTTOM, facecolor="0.95"))
    write(axes, (x + (half + 0.17) * OUTWARDS[x], (BOTTOM + top) / 2), "× L", weight="bold")
    _line(axes, (x, POSITIONS + PLUS), (x, BOTTOM))


def _sub_layer(axes: Axes, x: float, y: float, name: str, norm_first: bool) -> None:
    """From height y up to y + RISE: the box, the way around it, the sum of both, the norm."""
    places = NORM_FIRST if norm_first else NORM_LAST
    at = {part: y + up for part, up in places.items()}
    half = {"box": TALL / 2, "norm": FLAT / 2, "sum": PLUS}
    stops = [(part, at[part] - half[part], at[part] + half[part]) for part in places]
    _line(axes, (x, y), (x, y + LEAVES))
    for (_, _, below), (part, to, _) in pairwise([("", 0, y + LEAVES), *stops]):
        if part == "box":
            _into(axes, x, below, to, name)
        else:
            arrow(axes, (x, below), (x, to))
    side = x + (BOX[x] / 2 + 0.14) * OUTWARDS[x]
    around = ((x, y + LEAVES), (side, y + LEAVES), (side, at["sum"]))
    arrow(axes, *around, (x + PLUS * OUTWARDS[x], at["sum"]), linewidth=1.2)
    role = "context" if "attention" in name else None
    box(axes, (x, at["box"]), name, role, (BOX[x], TALL))
    box(axes, (x, at["norm"]), "norm", None, (0.52, FLAT))
    node(axes, (x, at["sum"]), "+", PLUS)
    write(axes, (x - 0.3 * OUTWARDS[x], at["sum"]), "add")


def _into(axes: Axes, x: float, low: float, high: float, name: str) -> None:
    """What the box reads. Self-attention reads it three times."""
    if name == "cross-attention":
        arrow(axes, (x, low), (x, high), role="query")
        write(axes, (x - 0.1, high - 0.1), "query", "query", weight="bold", ha="right")
    elif "self" in name:
        split = high - SPLIT
        _line(axes, (x, low), (x, split))
        for role, shift in (("query", -0.36), ("value", 0.36), ("key", 0)):
            arrow(axes, (x, split), (x + shift, split), (x + shift, high), role=role)
    else:
        arrow(axes, (x, low), (x, high))


def _last_norm(axes: Axes, x: float, top: float) -> None:
    arrow(axes, (x, top - 0.1), (x, top + 0.15))
    box(axes, (x, top + 0.15 + FLAT / 2), "norm", None, (0.52, FLAT))


def _keys_and_values(axes: Axes, top: float, cross: float) -> None:
    """From the encoder's end, over and down, one line within the other, to the cross-attention."""
    edge, over, down = DECODER - BOX[DECODER] / 2, top + 0.4, (ENCODER + DECODER) / 2 - 0.1
    for role, out in (("key", GAP), ("value", -GAP)):
        start, corner = (ENCODER - out, top), (ENCODER - out, over + out)
        turns = ((down + out, over + out), (down + out, cross + out))
        arrow(axes, start, corner, *turns, (edge, cross + out), role=role)
        write(axes, (ENCODER + 0.45, over + 2.6 * out), f"{role}s", role, weight="bold")
    write(axes, (ENCODER + 0.45, over + 0.36), "to each of the L layers", style="italic")


def _readout(axes: Axes, start: float, y: float) -> None:
    arrow(axes, (DECODER, start), (DECODER, y - TALL / 2))
    box(axes, (DECODER, y), "readout", None, (0.92, TALL))
    arrow(axes, (DECODER, y + TALL / 2), (DECODER, y + TALL / 2 + 0.24))
    write(axes, (DECODER, y + TALL / 2 + 0.36), "next word", color="0.1")


def _line(axes: Axes, start: Point, end: Point) -> None:
    axes.plot(*zip(start, end), color=DARK, linewidth=1.5, solid_capstyle="butt")


# --- The families -------------------------------------------------------------

UNIT, DOT = 0.45, 0.055  # in inches: from word to word; a vector's radius
SEES, LOOKS = 0.62, 0.5  # from vectors up to those that see them; the same for cross-attention
LEFT, RIGHT = 0.42, 2.72  # the first word of the source, and of the target
PANEL, SMALL = 2.0, 0.18  # the height of the first two families; a cell of their masks
THIN = {"linewidth": 0.8, "color": "0.45"}
CROSS = {"linewidth": 1.2, "linestyle": (0, (2.5, 1))}

SOURCE, TARGET = ["i", "eat", "lunch", "at", "noon"], ["je", "déjeune", "à", "midi", "<eos>"]
EVERY, CAUSAL = np.ones((5, 5), bool), np.tril(np.ones((5, 5), bool))


def draw_families() -> Figure:
    """The encoder alone (BERT), the decoder alone (GPT) and both (the Transformer), one below the
    other: who sees whom, as arrows from what is seen to those who see it, and as masks.

    What is read stands below the arrows, what training asks for above them, in bold. A row of a
    mask is a token that looks, a column one that is looked at; filled cells may be. Cross-attention
    is purple, its arrows dashed: only the third family has it.
    """
    height = 2 * PANEL + 4.12
    figure, axes = canvas(4.9, height)
    tops = [height - 0.2 - PANEL * family for family in range(3)]
    sees = "Every token sees every token."
    _head(axes, tops[0], "Encoder only: BERT", sees, "guess hidden words")
    _alone(axes, tops[0], EVERY, [*SOURCE[:2], "____", *SOURCE[3:]], ["", "", SOURCE[2]])
    sees = "A token sees itself and those before."
    _head(axes, tops[1], "Decoder only, no cross-attention: GPT", sees, "say the next word")
    _alone(axes, tops[1], CAUSAL, ["<sos>", *SOURCE[:-1]], SOURCE)
    sees = "Each side as above; every target token also sees every source token."
    _head(axes, tops[2], "Encoder and decoder: the Transformer", sees, "say the next target word")
    _together(axes, tops[2] - 1.9)
    _three_masks(axes)
    for y in tops[1:]:
        axes.plot((0.12, 4.78), (y + 0.2, y + 0.2), color="0.85", linewidth=0.8)
    return figure


def _alone(
    axes: Axes, top: float, mask: np.ndarray, read: Sequence[str], said: Sequence[str]
) -> None:
    low = top - 0.8 - SEES
    _see(axes, (LEFT, low), mask, read)
    _say(axes, (LEFT, low + SEES), said)
    name = "self-attention" if mask.all() else "masked self-attention"
    _square(axes, (3.2, top - 1.2), mask, name, ("row: who looks", "column: at whom"))


def _together(axes: Axes, low: float) -> None:
    """Two of them side by side, and cross-attention from one to the other."""
    _see(axes, (LEFT, low), EVERY, SOURCE)
    _see(axes, (RIGHT, low), CAUSAL, ["<sos>", *TARGET[:-1]])
    _look_across(axes, low + SEES)
    _say(axes, (RIGHT, low + SEES + LOOKS), TARGET)
    for first, side in ((LEFT, "encoder"), (RIGHT, "decoder")):
        write(axes, (first + 2 * UNIT, low - 0.36), side, style="italic")


def _three_masks(axes: Axes) -> None:
    for x, mask, name, rows, columns in (
        (0.3, EVERY, "self", "source", "source"),
        (1.98, CAUSAL, "masked self", "target", "target"),
        (3.66, EVERY, "cross", "target", "source"),
    ):
        role = "context" if name == "cross" else None
        _square(axes, (x, 0.42), mask, name, (f"row: {rows}", f"column: {columns}"), role)


def _head(axes: Axes, y: float, title: str, sees: str, task: str) -> None:
    write(axes, (0.12, y), title, color="0.1", weight="bold", ha="left", fontsize=10)
    write(axes, (0.12, y - 0.19), sees, ha="left")
    write(axes, (0.12, y - 0.36), f"Trained to {task}.", ha="left")


def _see(axes: Axes, first: Point, mask: np.ndarray, read: Sequence[str]) -> None:
    """Two rows of vectors; an arrow to each of the upper ones from all that it may see."""
    low, high = _vectors(axes, first), _vectors(axes, (first[0], first[1] + SEES))
    for row, column in np.argwhere(mask):
        _between(axes, low[column], high[row], **THIN)
    for (x, y), word in zip(low, read, strict=True):
        write(axes, (x, y - 0.16), word, color="0.1")


def _look_across(axes: Axes, y: float) -> None:
    """From the encoder's vectors to a rail, and from the rail to the decoder's."""
    rail, colour = y + 0.2, ROLES["context"]
    sources, asking = _vectors(axes, (LEFT, y)), _vectors(axes, (RIGHT, y))
    for x, _ in sources:
        axes.plot((x, x), (y + DOT, rail), color=colour, **CROSS)
    axes.plot((LEFT, asking[-1][0] - 0.14), (rail, rail), color=colour, **CROSS)
    for end in _vectors(axes, (RIGHT, y + LOOKS)):
        _between(axes, (end[0], y), end, **THIN)
        _between(axes, (end[0] - 0.14, rail - DOT), end, role="context", **CROSS)
    write(axes, (LEFT + 2 * UNIT, rail + 0.13), "cross-attention", "context", weight="bold")


def _vectors(axes: Axes, first: Point) -> list[Point]:
    centres = [(first[0] + UNIT * column, first[1]) for column in range(5)]
    look = {"facecolor": "white", "edgecolor": DARK, "linewidth": 1.2, "zorder": 3}
    for centre in centres:
        axes.add_patch(Circle(centre, DOT, **look))
    return centres


def _between(axes: Axes, start: Point, end: Point, **look: object) -> None:
    """An arrow from the edge of one vector to that of another."""
    (x, y), (to_x, to_y) = start, end
    share = DOT / np.hypot(to_x - x, to_y - y)
    x, to_x = x + share * (to_x - x), to_x - share * (to_x - x)
    y, to_y = y + share * (to_y - y), to_y - share * (to_y - y)
    arrow(axes, (x, y), (to_x, to_y), **look)


def _say(axes: Axes, first: Point, words: Sequence[str]) -> None:
    for column, word in enumerate(words):
        at = (first[0] + UNIT * column, first[1] + 0.17)
        write(axes, at, word, color="0.1", weight="bold")


def _square(
    axes: Axes,
    corner: Point,
    mask: np.ndarray,
    name: str,
    notes: Sequence[str],
    role: str | None = None,
) -> None:
    """A small mask, with its name above and notes below."""
    x, y = corner[0] + 2.5 * SMALL, corner[1]
    _cells(axes, corner, mask, SMALL, ROLES[role] if role else MAY)
    write(axes, (x, y + 5 * SMALL + 0.12), name, role, weight="bold")
    for line, note in enumerate(notes):
        write(axes, (x, y - 0.14 - 0.16 * line), note)


# --- Masks --------------------------------------------------------------------

MAY, MAY_NOT = "0.35", "0.5"  # a filled cell; the dot in an empty one
CELL, TITLE, LEGEND = 0.28, 0.44, 0.46  # in inches: a cell; room for a title and for the legend


def draw_masks(
    masks: Mapping[str, ArrayLike],
    rows: Sequence[Sequence[str]],
    columns: Sequence[Sequence[str]],
    names: tuple[str, str] = ("queries", "keys"),
    meaning: tuple[str, str] = ("may attend", "may not"),
) -> Figure:
    """Boolean masks (T,S), one below the other: title -> mask, True = may attend.

    Filled cells may be attended; empty ones, with a dot, may not. `rows` holds the T query labels
    of each mask, from top to bottom, `columns` its S key labels, from left to right, padding
    included. There is room for about 20 columns of short tokens. For a matrix of another kind,
    `names` says what rows and columns are, and `meaning` what a filled and an empty cell is.

    Raises ValueError for no masks, for a mask that is not boolean and (T,S) with T, S >= 1, and for
    labels that are too few or too many.
    """
    checked = [_checked(title, mask) for title, mask in masks.items()]
    if not checked:
        raise ValueError("masks: got none, expected 1 or more")
    _check_labels("rows", rows, checked, 0)
    _check_labels("columns", columns, checked, 1)
    beside = 0.3 + max(0.65, *(label_width(labels) for labels in rows))
    lean = [0.15 + 0.75 * max(0.3, label_width(labels)) for labels in columns]
    most = max(mask.shape[1] for mask in checked)
    cell = min(CELL, (WIDTH - beside - max(lean)) / most)
    heights = [TITLE + up + cell * len(mask) for up, mask in zip(lean, checked)]
    width = max(beside + cell * most + max(lean), 0.3 + 1.25 * label_width([*masks]), 2.9)
    figure, axes = canvas(width, sum(heights) + LEGEND)
    top = sum(heights) + LEGEND
    for title, mask, row, column, height in zip(masks, checked, rows, columns, heights):
        write(axes, (0.12, top - 0.22), title, color="0.1", weight="bold", ha="left", fontsize=10)
        top -= height
        _labelled(axes, (beside, top), mask, cell, shown(row), shown(column), names)
    _legend(axes, meaning)
    return figure


def _checked(title: str, mask: ArrayLike) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.ndim != 2 or not mask.size:
        raise ValueError(
            f"masks: {title!r} is {mask.dtype} of shape {mask.shape}, "
            "expected bool of shape (T, S), T and S 1 or more"
        )
    return mask


def _check_labels(
    name: str, labels: Sequence[Sequence[str]], masks: Sequence[np.ndarray], axis: int
) -> None:
    if len(labels) != len(masks):
        raise ValueError(f"{name}: got labels of {len(labels)} masks, expected of {len(masks)}")
    for number, (of_mask, mask) in enumerate(zip(labels, masks)):
        if len(of_mask) != mask.shape[axis]:
            raise ValueError(
                f"{name}[{number}]: got {len(of_mask)} labels for a mask (T, S) = {mask.shape}, "
                f"expected {mask.shape[axis]}"
            )


def _labelled(
    axes: Axes,
    corner: Point,
    mask: np.ndarray,
    cell: float,
    rows: Sequence[str],
    columns: Sequence[str],
    names: tuple[str, str],
) -> None:
    """A mask from its lower left corner, queries to its left, keys above it, leaning."""
    x, y = corner
    top = y + cell * len(mask)
    _cells(axes, corner, mask, cell)
    for number, label in enumerate(rows):
        write(axes, (x - 0.08, top - cell * (number + 0.5)), label, color="0.1", ha="right")
    for number, label in enumerate(columns):
        lean = {"rotation": 45, "rotation_mode": "anchor", "ha": "left"} if len(label) > 1 else {}
        write(axes, (x + cell * (number + 0.5), top + 0.11), label, color="0.1", **lean)
    roles = ("query", "key") if names == ("queries", "keys") else (None, None)
    for up, name, way, role in zip((0.11, 0.28), names, "↓→", roles):
        write(axes, (x - 0.08, top + up), f"{name} {way}", role, weight="bold", ha="right")


def _legend(axes: Axes, meaning: tuple[str, str]) -> None:
    for x, may, text in zip((0.12, 1.4), (True, False), meaning):
        _cells(axes, (x, 0.1), np.array([[may]]), 0.2)
        write(axes, (x + 0.28, 0.2), text, ha="left")


def _cells(axes: Axes, corner: Point, mask: np.ndarray, size: float, colour: str = MAY) -> None:
    """A mask from its lower left corner: filled = may attend, a dot = may not."""
    for (row, column), may in np.ndenumerate(mask):
        x, y = corner[0] + size * column, corner[1] + size * (len(mask) - 1 - row)
        look = {"facecolor": colour if may else "white", "edgecolor": "0.7", "linewidth": 0.6}
        axes.add_patch(Rectangle((x, y), size, size, **look))
        if not may:
            middle = (x + size / 2, y + size / 2)
            axes.add_patch(Circle(middle, 0.1 * size, facecolor=MAY_NOT, edgecolor="none"))
