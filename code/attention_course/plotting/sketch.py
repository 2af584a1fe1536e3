"""Boxes and arrows in inches, for drawings whose text must keep its size."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, PathPatch, Rectangle
from matplotlib.path import Path

from attention_course.plotting.style import FILLS, ROLES

DARK, TEXT_SIZE = "0.3", 9
FULL = 18  # the thickness of a band of weight 1, in points
Point = tuple[float, float]


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty figure; a unit of its coordinates is an inch."""
    figure = plt.figure(figsize=(width, height))
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    return figure, axes


def colour_of(role: str | None) -> str:
    return ROLES[role] if role else DARK


def write(axes: Axes, at: Point, text: str, role: str | None = None, **style: object) -> None:
    """Text around a point, in the colour of its role; texts at the same height share a baseline."""
    x, y = at
    defaults = {"ha": "center", "va": "baseline", "fontsize": TEXT_SIZE, "color": colour_of(role)}
    axes.text(x, y - 0.045, text, **defaults | style)


def box(
    axes: Axes, at: Point, text: str, role: str | None = None, size: Point = (0.6, 0.36)
) -> None:
    """A rectangle around a centre, filled with the pale colour of its role."""
    corner = (at[0] - size[0] / 2, at[1] - size[1] / 2)
    fill = FILLS[role] if role else "white"
    style = {"facecolor": fill, "edgecolor": colour_of(role), "linewidth": 1.2, "zorder": 3}
    axes.add_patch(Rectangle(corner, *size, **style))
    write(axes, at, text, color="0.1", zorder=4)


def node(axes: Axes, at: Point, text: str, radius: float = 0.16) -> None:
    """A circle: an operation."""
    style = {"facecolor": "white", "edgecolor": DARK, "linewidth": 1.2, "zorder": 3}
    axes.add_patch(Circle(at, radius, **style))
    write(axes, at, text, color="0.1", zorder=4)


def arrow(
    axes: Axes, *points: Point, role: str | None = None, pale: bool = False, **style: object
) -> None:
    """Through all points, with straight corners and the head just before the last."""
    colour = np.array(to_rgb(colour_of(role)))
    look = {"color": 1 - 0.4 * (1 - colour) if pale else colour, "linewidth": 1.5} | style
    last, before = np.array(points[-1]), np.array(points[-2])
    backwards = (before - last) / np.hypot(*(before - last))
    tip = last + 0.02 * backwards
    corners = {"solid_joinstyle": "miter", "solid_capstyle": "butt"}
    axes.add_line(Line2D(*zip(*points[:-1], tip), **look, **corners))
    head = {"arrowstyle": "->", "shrinkA": 0, "shrinkB": 0, **look, "linestyle": "solid"}
    axes.annotate("", tip, tip + 0.01 * backwards, arrowprops=head)


def band(
    axes: Axes, start: Point, end: Point, role: str, weight: float, upright: bool = False
) -> None:
    """A line as thick as the weight that flows along it, from left to right or, `upright`, up."""
    (x, y), (to_x, to_y) = start, end
    bends = (((x + to_x) / 2, y), ((x + to_x) / 2, to_y))
    if upright:
        bends = ((x, (y + to_y) / 2), (to_x, (y + to_y) / 2))
    path = Path([start, *bends, end], [Path.MOVETO, *[Path.CURVE4] * 3])
    style = {"facecolor": "none", "edgecolor": ROLES[role], "capstyle": "butt"}
    axes.add_patch(PathPatch(path, linewidth=FULL * weight, **style))


def stacked(middle: float, weights: Sequence[float]) -> list[float]:
    """Where bands of these weights end side by side: their centres, around `middle`."""
    thickness = np.asarray(weights) * FULL / 72
    return list(middle - thickness.sum() / 2 + np.cumsum(thickness) - thickness / 2)
