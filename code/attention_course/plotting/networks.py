"""Drawings of encoder and decoder, without and with attention."""

from collections.abc import Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attention_course.plotting.sketch import (
    DARK,
    TEXT_SIZE,
    arrow,
    band,
    box,
    canvas,
    stacked,
    write,
)
from attention_course.plotting.style import FILLS, ROLES

# The rows of the drawings with attention, from below, in inches.
CAPTION, TOKENS, STATES, LABELS, RAIL, CONTEXT = 0.29, 0.5, 1.02, 1.4, 1.56, 2.42
HALF = 0.21  # half a state's width
SYMBOL = 12  # points: an index is 0.7 of it


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
    encoder, decoder = _places(len(source), len(target))
    for left, right in pairwise([*encoder, *decoder]):
        arrow(axes, (left + HALF, STATES), (right - HALF, STATES))
    _read(axes, [*encoder, *decoder], [*source, "<sos>", *target])
    for x in decoder:
        name, role = ("state", "query") if x == decoder[step] else ("", None)
        box(axes, (x, STATES), name, role, (2 * HALF, 2 * HALF))
    _keys_and_values(axes, encoder, weights_row, weight_labels)
    _query(axes, decoder[step], encoder)
    context, readout = (_mean(encoder), CONTEXT), (decoder[step], CONTEXT)
    _readout(axes, readout, target[step])
    arrow(axes, (context[0] + 0.36, CONTEXT), (readout[0] - 0.36, CONTEXT), role="context")
    _captions(axes, encoder, decoder)
    return figure


def draw_bahdanau_decoder(
    source: Sequence[str],
    target: Sequence[str],
    weights_row: Sequence[float],
    weight_labels: Sequence[str],
    step: int = 0,
) -> Figure:
    """`draw_attention_decoder` in the order of Bahdanau et al. 2015 (arXiv 1409.0473): look first,
    then move.

    The encoder reads both ways, so a key is two states, and so is a value. The state *before* the
    `step` asks (1), the context (2) goes into the next state (3), together with the word said last,
    and into the readout, from which the next word comes (4). That the readout also sees the word
    said last is left out. Arguments as there, with room for about six short tokens.

    Raises ValueError for a `step` that the target does not have.
    """
    if not 0 <= step < len(target):
        raise ValueError(f"step: got {step}, expected 0 to {len(target) - 1}, one of the target's")
    figure, axes = canvas(4.9, 3.62)
    encoder, states = _places(len(source), len(target) + 1)
    before, after = states[step : step + 2]
    for left, right in pairwise([encoder[-1], *states]):
        arrow(axes, (left + HALF, STATES), (right - HALF, STATES))
    _read(axes, [*encoder, *states[1:]], [*source, "<sos>", *target])
    for x in states:
        box(axes, (x, STATES), "", "query" if x == before else None, (2 * HALF, 2 * HALF))
    _symbol(axes, (before, STATES), "s_{t{-}1}")
    _symbol(axes, (after, STATES), "s_t")
    _keys_and_values(axes, encoder, weights_row, weight_labels)
    _both_ways(axes, encoder)
    _query(axes, before, encoder)
    readout = CONTEXT + 0.5
    _readout(axes, (after, readout), target[step])
    seen, corner = (_mean(encoder) + 0.36, CONTEXT), (after - 0.1, CONTEXT)
    for end in (STATES + HALF, readout - 0.18):
        arrow(axes, seen, corner, (after - 0.1, end), role="context")
    _number(axes, (before - 0.12, RAIL + 0.14), 1)
    _number(axes, (_mean(encoder) - 0.5, CONTEXT), 2)
    _number(axes, (after - 0.25, STATES + HALF + 0.14), 3)
    _number(axes, (after + 0.16, readout + 0.33), 4)
    _captions(axes, encoder, states)
    return figure


def draw_orders() -> Figure:
    """The order of events in a step: a decoder that moves, then looks (chapter 4, Luong et al.
    2015), and below it one that looks, then moves (Bahdanau et al. 2015).

    The state that asks is blue. The word said last goes into the state that it makes, so only the
    first of the two questions knows it.
    """
    figure, axes = canvas(4.9, 2.36)
    _order(axes, 1.86, "Luong: move, then look", ("s_{t{-}1}", "s_t", "look"), "s_t")
    _order(axes, 0.66, "Bahdanau: look, then move", ("s_{t{-}1}", "look", "s_t"), "s_{t{-}1}")
    return figure


def _order(axes: Axes, y: float, title: str, events: Sequence[str], asking: str) -> None:
    """A row of events; the word said last comes in below the state that it makes."""
    places = [0.52 + 1.32 * event for event in range(4)]
    for left, right in pairwise(places):
        arrow(axes, (left + 0.36, y), (right - (0.18 if right == places[-1] else 0.36), y))
    for x, event in zip(places, events):
        if event == "look":
            box(axes, (x, y), event, "context", (0.72, 0.42))
            continue
        box(axes, (x, y), "", "query" if event == asking else None, (0.72, 0.42))
        _symbol(axes, (x, y), event)
    new = places[events.index("s_t")]
    arrow(axes, (new, y - 0.41), (new, y - 0.21))
    _symbol(axes, (new, y - 0.5), "y_{t{-}1}")
    _symbol(axes, (places[-1], y), "y_t")
    write(axes, (0.16, y + 0.35), title, weight="bold", ha="left")


def _places(sources: int, states: int) -> tuple[list[float], list[float]]:
    """Where the encoder's and the decoder's states stand, from left to right."""
    unit = 4.06 / (sources + states - 0.6)
    return (
        [0.42 + unit * j for j in range(sources)],
        [0.42 + unit * (sources + 0.4 + t) for t in range(states)],
    )


def _mean(places: Sequence[float]) -> float:
    return sum(places) / len(places)


def _read(axes: Axes, places: Sequence[float], tokens: Sequence[str]) -> None:
    """What goes into each state, from below. The last token is only said, never read."""
    for x, token in zip(places, tokens, strict=False):
        write(axes, (x, TOKENS), token, color="0.1")
        arrow(axes, (x, TOKENS + 0.1), (x, STATES - HALF))


def _captions(axes: Axes, encoder: Sequence[float], decoder: Sequence[float]) -> None:
    write(axes, (_mean(encoder), CAPTION), "encoder", style="italic")
    write(axes, (_mean(decoder), CAPTION), "decoder", style="italic")


def _symbol(axes: Axes, at: tuple[float, float], formula: str, size: float = SYMBOL) -> None:
    write(axes, at, f"${formula}$", color="0.1", fontsize=size, zorder=4)


def _number(axes: Axes, at: tuple[float, float], number: int) -> None:
    """When it happens."""
    axes.add_patch(plt.Circle(at, 0.085, facecolor=DARK, edgecolor="none", zorder=5))
    write(axes, at, str(number), color="white", weight="bold", zorder=6)


def _both_ways(axes: Axes, places: Sequence[float]) -> None:
    """The lower halves of the states are made from left to right, the upper ones back."""
    forward, backward = STATES - HALF / 2, STATES + HALF / 2
    for left, right in pairwise(places):
        arrow(axes, (left + HALF, forward), (right - HALF, forward), linewidth=1.2)
        arrow(axes, (right - HALF, backward), (left + HALF, backward), linewidth=1.2)
    for x in places:
        axes.plot((x - HALF, x + HALF), (STATES, STATES), color=DARK, linewidth=0.8, zorder=4)
    outside = places[0] - HALF - 0.11
    _symbol(axes, (outside, forward - 0.03), r"\overrightarrow{h}", TEXT_SIZE)
    _symbol(axes, (outside, backward + 0.01), r"\overleftarrow{h}", TEXT_SIZE)


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
        band(axes, (x + HALF / 2, top), (end, CONTEXT - 0.18), "value", weight, upright=True)
        write(axes, (x + 0.27, LABELS), label, ha="left")
    box(axes, (middle, CONTEXT), "context", "context", (0.72, 0.36))
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


def _readout(axes: Axes, at: tuple[float, float], said: str) -> None:
    """The state below goes in, the word comes out."""
    x, y = at
    box(axes, at, "readout", None, (0.72, 0.36))
    arrow(axes, (x + 0.1, STATES + HALF), (x + 0.1, y - 0.18))
    arrow(axes, (x, y + 0.18), (x, y + 0.48))
    write(axes, (x, y + 0.57), said, color="0.1")
