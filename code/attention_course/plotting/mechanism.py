"""Drawings of attention itself: what it looks up, and what it computes."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attention_course.plotting.sketch import arrow, band, box, canvas, node, stacked, write
from attention_course.plotting.style import ROLES

DASHED = (0, (3, 1.5))


def draw_lookup(
    query: str,
    keys: Sequence[str],
    scores: Sequence[str],
    weights: Sequence[float],
    weight_labels: Sequence[str],
    values: Sequence[str],
    context: str,
) -> Figure:
    """A soft look-up: one query scores every key, and the weights say how much of each value the
    average takes.

    The bars are as long, and the lines to the context as thick, as the `weights` say; all other
    arguments are texts. One entry a row in each sequence, from top to bottom.
    """
    figure, axes = canvas(4.9, 0.75 + 0.6 * len(keys))
    rows = [0.6 * (len(keys) - row) for row in range(len(keys))]
    middle, top = sum(rows) / len(rows), rows[0] + 0.38
    for name, x in (("key", 1.42), ("score", 2.05), ("weight", 2.68), ("value", 3.38)):
        write(axes, (x, top), name, name if name in ROLES else None, weight="bold")
    for name, x in (("query · key", 1.85), ("softmax", 2.68), ("average", 3.97)):
        write(axes, (x, 0.16), name, style="italic")
    for name, text, x in (("query", query, 0.45), ("context", context, 4.45)):
        write(axes, (x, middle + 0.32), name, name, weight="bold")
        box(axes, (x, middle), text, name)
    for y, key, score in zip(rows, keys, scores, strict=True):
        arrow(axes, (0.75, middle), (1.12, y), role="query")
        box(axes, (1.42, y), key, "key")
        write(axes, (2.05, y), score)
    for y, weight, label in zip(rows, weights, weight_labels, strict=True):
        _bar(axes, 2.4, y - 0.14, weight)
        write(axes, (2.68, y + 0.13), label)
    ends = (2 * middle - end for end in stacked(middle, weights))  # from above
    for y, end, weight, value in zip(rows, ends, weights, values, strict=True):
        band(axes, (3.68, y), (4.15, end), "value", weight)
        box(axes, (3.38, y), value, "value")
    return figure


def _bar(axes: Axes, x: float, y: float, weight: float) -> None:
    """As long as the weight, within a pale one of weight 1."""
    for width, colour in ((1, "0.9"), (weight, "0.45")):
        axes.add_patch(Rectangle((x, y), 0.56 * width, 0.16, facecolor=colour))


# The row of the graph, from the left: where each edge begins and ends, what flows along it.
EDGES = [
    (0.62, 0.84, "query", None),
    (1.16, 1.76, None, "scores"),
    (2.38, 3.08, None, "weights"),
    (3.40, 3.60, None, None),
    (3.92, 4.16, "context", None),
]
ROW, LETTERS, SUM, STATES = 1.78, 1.2, 0.9, 0.3  # heights
DOT, TIMES = 1.0, 3.24  # where key and value come in


def draw_graph(backward: bool = False) -> Figure:
    """The computation graph of one attention step; with `backward` also the way of the gradients.

    The encoder states go in twice, as keys and as values. So two gradients come back, and the
    gradient of the states is their sum.
    """
    figure, axes = canvas(4.9, 2.08)
    middle = (DOT + TIMES) / 2
    _forward(axes, shift=0.07 if backward else 0, pale=backward)
    if backward:
        _backward(axes, middle, shift=0.07)
        _legend(axes, 3.75)
    box(axes, (0.34, ROW), "query", "query", (0.56, 0.36))
    box(axes, (2.07, ROW), "softmax", None, (0.62, 0.36))
    box(axes, (4.5, ROW), "context", "context", (0.68, 0.36))
    box(axes, (middle, STATES), "encoder states", None, (TIMES - DOT + 0.36, 0.36))
    for x, sign in ((DOT, "q·k"), (TIMES, "×"), (3.76, "Σ")):
        node(axes, (x, ROW), sign)
    return figure


def _forward(axes: Axes, shift: float, pale: bool) -> None:
    for start, end, role, name in EDGES:
        arrow(axes, (start, ROW + shift), (end, ROW + shift), role=role, pale=pale)
        write(axes, ((start + end) / 2, ROW + shift + 0.12), name or "")
    for role, x, side, align in (("key", DOT, -1, "right"), ("value", TIMES, 1, "left")):
        x += side * shift
        arrow(axes, (x, STATES + 0.18), (x, ROW - 0.15), role=role, pale=pale)
        write(axes, (x + 0.08 * side, LETTERS), role, role, weight="bold", ha=align)


def _backward(axes: Axes, middle: float, shift: float) -> None:
    """Every edge once more, the other way; the two that lead to the encoder states meet at +."""
    for start, end, role, name in EDGES:
        arrow(axes, (end, ROW - shift), (start, ROW - shift), role=role, linestyle=DASHED)
        write(axes, ((start + end) / 2, ROW - shift - 0.13), f"d{name}" if name else "")
    for role, x in (("query", 0.34), ("context", 4.5)):
        write(axes, (x, ROW - 0.3), f"d{role}", role, weight="bold")
    for role, x, side, align in (("key", DOT, 1, "left"), ("value", TIMES, -1, "right")):
        x += side * shift
        corners = ((x, ROW - 0.16), (x, SUM), (middle - 0.16 * side, SUM))
        arrow(axes, *corners, role=role, linestyle=DASHED)
        write(axes, (x + 0.08 * side, LETTERS), f"d{role}", role, weight="bold", ha=align)
    arrow(axes, (middle, SUM - 0.16), (middle, STATES + 0.18), linestyle=DASHED)
    node(axes, (middle, SUM), "+")


def _legend(axes: Axes, x: float) -> None:
    arrow(axes, (x, STATES + 0.1), (x + 0.35, STATES + 0.1), pale=True)
    arrow(axes, (x + 0.35, STATES - 0.1), (x, STATES - 0.1), linestyle=DASHED)
    for y, name in ((STATES + 0.1, "forward"), (STATES - 0.1, "backward")):
        write(axes, (x + 0.42, y), name, ha="left")
