"""Drawings of deep encoders and decoders: which layer reads what."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attention_course.plotting.sketch import Point, arrow, box, canvas, node, write

# In inches: the two columns, the look-up between them, and from where the layers stand.
ENCODER, LOOKUP, DECODER = 1.02, 2.46, 3.9
WORDS, BOTTOM, RISE, ROOM = 0.42, 0.98, 0.62, 0.38
LAYER, HALF = (0.86, 0.36), (0.46, 0.36)
RAIL, BESIDE = 3.2, 0.6  # where the context goes up; how far out a residual runs
SUM = 0.42  # from a layer up to its sum


def draw_gnmt(layers: int = 4) -> Figure:
    """The arrangement of Wu et al. 2016 (arXiv 1609.08144), a box a layer; time runs within them.

    Layer 1 of the encoder is two boxes, for it reads both ways. From the third layer on what a
    layer reads goes around it and is added to what it says. The decoder's bottom layer, in blue,
    asks; the context goes to every decoder layer. ValueError for fewer than 2 layers.
    """
    if layers < 2:
        raise ValueError(f"layers must be 2 or more, got {layers}")
    heights = [BOTTOM + RISE * n + ROOM * max(0, n - 2) for n in range(layers)]
    top = heights[-1] + (SUM if layers > 2 else 0.18)
    figure, axes = canvas(4.9, top + 1.36)
    for x, side, outwards in ((ENCODER, "encoder", -1), (DECODER, "decoder", 1)):
        _column(axes, x, heights, outwards)
        write(axes, (x, 0.14), side, style="italic")
    _both_ways(axes)
    _look_up(axes, heights, top)
    _ends(axes, top, layers)
    return figure


def _column(axes: Axes, x: float, heights: list[float], outwards: int) -> None:
    """Layers 2 and up as boxes, arrows between them, residuals on the outer side."""
    for number, y in enumerate(heights[1:], start=2):
        below = heights[number - 2] + (0.18 if number <= 3 else SUM + 0.12)
        for shift in (-0.26, 0.26) if (x, number) == (ENCODER, 2) else (0,):
            arrow(axes, (x + shift, below), (x + shift, y - 0.18))
        box(axes, (x, y), f"layer {number} →", None, LAYER)
        if number >= 3:
            _residual(axes, x, y, below, outwards)


def _residual(axes: Axes, x: float, y: float, below: float, outwards: int) -> None:
    """Around the layer, and added above it."""
    start, side = (below + y - 0.18) / 2, x + outwards * BESIDE
    around = ((x, start), (side, start), (side, y + SUM), (x + outwards * 0.12, y + SUM))
    arrow(axes, *around, linewidth=1.2)
    arrow(axes, (x, y + 0.18), (x, y + SUM - 0.12))
    node(axes, (x, y + SUM), "+", radius=0.12)


def _both_ways(axes: Axes) -> None:
    """The encoder's layer 1, and the decoder's, which asks."""
    for x, text in ((ENCODER - 0.26, "1 →"), (ENCODER + 0.26, "← 1")):
        arrow(axes, (x, WORDS + 0.12), (x, BOTTOM - 0.18))
        box(axes, (x, BOTTOM), text, None, HALF)
    arrow(axes, (DECODER, WORDS + 0.12), (DECODER, BOTTOM - 0.18))
    box(axes, (DECODER, BOTTOM), "layer 1 →", "query", LAYER)


def _look_up(axes: Axes, heights: list[float], top: float) -> None:
    """Keys and values from the encoder's top, the query from the decoder's bottom."""
    y = (BOTTOM + top) / 2
    start = top + (0.1 if len(heights) > 2 else 0)
    for role, out in (("key", 0.06), ("value", -0.06)):  # one line within the other
        over, x, to = top + 0.42 + out, ENCODER - out, LOOKUP + out
        arrow(axes, (x, start), (x, over), (to, over), (to, y + 0.18), role=role)
        write(axes, ((ENCODER + LOOKUP) / 2, over + 2.2 * out), f"{role}s", role)
    asks = BOTTOM - 0.08
    arrow(axes, (DECODER - 0.43, asks), (LOOKUP, asks), (LOOKUP, y - 0.18), role="query")
    write(axes, (LOOKUP + 0.1, asks - 0.16), "query, a step before", "query")
    box(axes, (LOOKUP, y), "attention", None, (0.74, 0.36))
    _context(axes, (LOOKUP + 0.37, y), [BOTTOM + 0.08, *heights[1:]])


def _context(axes: Axes, start: Point, ends: list[float]) -> None:
    """Along a rail to every layer of the decoder."""
    for end in ends:
        corners = (start, (RAIL, start[1]), (RAIL, end), (DECODER - 0.43, end))
        arrow(axes, *corners, role="context", linewidth=1.2)
    write(axes, (RAIL - 0.06, ends[-1] + 0.12), "context", "context", ha="right")


def _ends(axes: Axes, top: float, layers: int) -> None:
    """What goes in and what comes out."""
    write(axes, (ENCODER, WORDS), "source words", color="0.1")
    write(axes, (DECODER, WORDS), "word said last", color="0.1")
    said = top + (0.12 if layers > 2 else 0)
    arrow(axes, (DECODER, said), (DECODER, top + 0.42))
    box(axes, (DECODER, top + 0.6), "readout", None, LAYER)
    arrow(axes, (DECODER, top + 0.78), (DECODER, top + 1.02))
    write(axes, (DECODER, top + 1.14), "next word", color="0.1")
