"""Drawings of encoder and decoder, without and with attention."""

from collections.abc import Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attention_course.plotting.sketch import arrow, band, box, canvas, stacked, write
from attention_course.plotting.style import FILLS, ROLES

# The rows of the drawing with attention, from below, in inches.
CAPTION, TOKENS, STATES, LABELS, RAIL, READOUT = 0.29, 0.5, 1.02, 1.4, 1.56, 2.42
HALF = 0.21  # half a state's width


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
        _state(axes, place, "0.9" if place < encoder[-1] else FILLS["context"])
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


def draw_attention_decoder(
    source: Sequence[str],
    target: Sequence[str],
    weights_row: Sequence[float],
    weight_labels: Sequence[str],
    step: int = 0,
) -> Figure:
    """`draw_encoder_decoder` with attention: all encoder states are kept, as keys and as values,
    and the decoder's state at one `step` asks every one of them.

    `weights_row` and `weight_labels` hold one entry for each source token; the lines to the
    context are as thick as the weights say. `target` ends with the end token. There is room for
    about seven short tokens in all.
    """
    figure, axes = canvas(4.9, 3.12)
    unit = 4.06 / (len(source) + len(target) - 0.6)
    encoder = [0.42 + unit * j for j in range(len(source))]
    decoder = [0.42 + unit * (len(source) + 0.4 + t) for t in range(len(target))]
    for left, right in pairwise([*encoder, *decoder]):
        arrow(axes, (left + HALF, STATES), (right - HALF, STATES))
    for x, token in zip([*encoder, *decoder], [*source, "<sos>", *target]):
        write(axes, (x, TOKENS), token, color="0.1")
        arrow(axes, (x, TOKENS + 0.1), (x, STATES - HALF))
    for x in decoder:
        name, role = ("state", "query") if x == decoder[step] else ("", None)
        box(axes, (x, STATES), name, role, (2 * HALF, 2 * HALF))
    _keys_and_values(axes, encoder, weights_row, weight_labels)
    _query(axes, decoder[step], encoder)
    _readout(axes, decoder[step], _mean(encoder), target[step])
    write(axes, (_mean(encoder), CAPTION), "encoder", style="italic")
    write(axes, (_mean(decoder), CAPTION), "decoder", style="italic")
    return figure


def _mean(places: Sequence[float]) -> float:
    return sum(places) / len(places)


def _keys_and_values(
    axes: Axes, places: Sequence[float], weights: Sequence[float], labels: Sequence[str]
) -> None:
    """Each state is both; from its half that is the value, a band of its weight to the context."""
    middle, top = _mean(places), STATES + HALF
    half = (HALF, 2 * HALF)
    ends = stacked(middle, weights)
    for x, end, weight, label in zip(places, ends, weights, labels, strict=True):
        box(axes, (x - HALF / 2, STATES), "", "key", half)
        box(axes, (x + HALF / 2, STATES), "", "value", half)
        band(axes, (x + HALF / 2, top), (end, READOUT - 0.18), "value", weight, upright=True)
        write(axes, (x + 0.27, LABELS), label, ha="left")
    write(axes, (places[-1] - 0.1, 1.96), "weights", weight="bold", ha="left")
    write(axes, (middle - 0.04, 0.1), "keys", "key", weight="bold", ha="right")
    write(axes, (middle + 0.04, 0.1), "values", "value", weight="bold", ha="left")


def _query(axes: Axes, asking: float, asked: Sequence[float]) -> None:
    start, top = asking - 0.1, STATES + HALF
    for x in asked:
        key = x - HALF / 2
        corners = ((start, top), (start, RAIL), (key, RAIL), (key, top))
        arrow(axes, *corners, role="query", linewidth=1.2)
    write(axes, (asking - 0.25, RAIL + 0.13), "query", "query", weight="bold", ha="right")


def _readout(axes: Axes, asking: float, context: float, said: str) -> None:
    """Context and state go in, the word comes out."""
    box(axes, (context, READOUT), "context", "context", (0.72, 0.36))
    box(axes, (asking, READOUT), "readout", None, (0.72, 0.36))
    arrow(axes, (context + 0.36, READOUT), (asking - 0.36, READOUT), role="context")
    arrow(axes, (asking + 0.1, STATES + HALF), (asking + 0.1, READOUT - 0.18))
    arrow(axes, (asking, READOUT + 0.18), (asking, READOUT + 0.48))
    write(axes, (asking, READOUT + 0.57), said, color="0.1")
