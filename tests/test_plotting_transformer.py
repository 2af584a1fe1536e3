"""The drawings of chapter 5: legible on a phone, and true to the model."""

import re
from collections.abc import Callable
from itertools import combinations, pairwise

import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from test_plotting import _course_style, filled, luminance, texts  # noqa: F401 (the fixture)
from test_plotting import contrast as contrast_of
from test_plotting import test_text_is_legible_on_a_phone as check_legible

from attention_course import plotting
from attention_course.plotting import transformer as drawings
from attention_course.scratch.masks import causal_mask, padding_mask

SOURCE = ["i", "eat", "lunch", "<eos>", "<pad>", "<pad>"]
TARGET = ["<sos>", "je", "déjeune"]
PADDING = padding_mask(np.array([4]), 6)[0]  # (1,6)
MASKS = {
    "Encoder: padding": np.tile(PADDING, (6, 1)),
    "Decoder: causal": causal_mask(3),
    "Cross-attention: padding": np.tile(PADDING, (3, 1)),
}
ROWS, COLUMNS = [SOURCE, TARGET, TARGET], [SOURCE, TARGET, SOURCE]


def of_masks() -> Figure:
    return plotting.draw_masks(MASKS, ROWS, COLUMNS)


def of_one(rows: list[str], columns: list[str]) -> Figure:
    mask = np.arange(len(rows))[:, None] >= np.arange(len(columns))
    return plotting.draw_masks({"A mask with a rather long title": mask}, [rows], [columns])


FIGURES: dict[str, Callable[[], Figure]] = {
    "transformer": plotting.draw_transformer,
    "transformer, norm first": lambda: plotting.draw_transformer(norm_first=True),
    "families": plotting.draw_families,
    "masks": of_masks,
    "a mask of one cell": lambda: of_one(["a"], ["b"]),
    "a mask of letters": lambda: of_one([*"2024", "<eos>"], [*"May 5, 2024", "<eos>", "<pad>"]),
    "a mask of 20 long words": lambda: of_one(["déjeuneraient"] * 9, ["breakfasting"] * 20),
    "a mask of Korean": lambda: of_one(["나는", "점심을", "먹는다"], ["나는", "점심을", "먹는다"]),
}
every_figure = pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES.keys())
both_orders = pytest.mark.parametrize("norm_first", [False, True], ids=["norm last", "norm first"])


def shown(figure: Figure) -> dict[Text, Bbox]:
    """Every text that is seen, and where, in inches; without the room above small letters."""
    figure.draw_without_rendering()
    scale = 1 / figure.dpi
    return {
        text: Bbox(text.get_window_extent().padded(-1.5).get_points() * scale)
        for text in figure.findobj(Text)
        if text.get_text() and text.get_visible()
    }


def rectangles(figure: Figure) -> list[Rectangle]:
    return [box for box in figure.axes[0].patches if isinstance(box, Rectangle)]


def outline(box: Rectangle) -> Bbox:
    return Bbox.from_extents(*box.get_corners()[0], *box.get_corners()[2])


def lines(figure: Figure) -> list[np.ndarray]:
    return [line.get_xydata() for line in figure.axes[0].lines]


def crosses(start: np.ndarray, end: np.ndarray, box: Bbox) -> bool:
    """Whether a straight line passes through a box."""
    along = start + np.linspace(0, 1, 400)[:, None] * (end - start)
    inside = (along > box.min) & (along < box.max)
    return bool(inside.all(axis=1).any())


@every_figure
def test_text_is_legible_on_a_phone(draw: Callable[[], Figure]) -> None:
    check_legible(draw)
    figure = draw()
    assert figure.get_figwidth() <= 4.9 + 1e-9
    assert figure.get_figheight() <= 1.75 * figure.get_figwidth() or draw is of_masks
    assert min(text.get_fontsize() for text in shown(figure)) >= 9


@every_figure
def test_text_lies_within_its_box_and_no_line_goes_through_it(draw: Callable[[], Figure]) -> None:
    figure = draw()
    for text, place in shown(figure).items():
        if text.get_rotation():  # its extent is larger than its letters
            continue
        for box in map(outline, rectangles(figure)):
            inside = box.contains(*place.min) and box.contains(*place.max)
            assert inside or not box.overlaps(place), f"{text} lies across an edge"
        for line in lines(figure):
            for start, end in pairwise(line):
                assert not crosses(start, end, place), f"a line goes through {text}"


@every_figure
def test_boxes_do_not_overlap(draw: Callable[[], Figure]) -> None:
    """But a frame is around them."""
    for one, other in combinations([outline(box).padded(-0.001) for box in rectangles(draw())], 2):
        around = any(
            a.contains(*b.min) and a.contains(*b.max) for a, b in ((one, other), (other, one))
        )
        assert around or not one.overlaps(other)


def test_models_of_the_comparison_differ_in_more_than_colour() -> None:
    group = ("bahdanau", "luong", "transformer")
    for part in (1, 2, 3):  # colour, line, marker
        assert len({plotting.MODELS[name][part] for name in group}) == 3
    colour, _, marker = plotting.MODELS["transformer"][1:]
    for name in set(plotting.MODELS) - {"transformer"}:
        assert plotting.MODELS[name][1] != colour and plotting.MODELS[name][3] != marker, name


# Machado, Oliveira & Fernandes 2009, severity 1, on linear red, green and blue.
SEEN_BY = {
    "all cones": np.eye(3),
    "no red cone": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no green cone": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no blue cone": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def lab(colour: str, cones: object) -> np.ndarray:
    """CIE L*a*b* of a colour as seen with these cones."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = to_xyz @ np.clip(cones @ linear, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("cones", SEEN_BY.values(), ids=SEEN_BY.keys())
@pytest.mark.parametrize("other", ["bahdanau", "luong"])
def test_colour_blind_eyes_tell_the_transformer_apart(other: str, cones: object) -> None:
    """A distance of 2 is just seen; 40 is plain."""
    ours, theirs = (
        lab(plotting.MODELS[name][1], np.array(cones)) for name in ("transformer", other)
    )
    assert np.linalg.norm(ours - theirs) > 40


# --- The architecture ---------------------------------------------------------

POST = ["self-attention", "+", "norm", "feed-forward", "+", "norm"]
PRE = ["norm", "self-attention", "+", "norm", "feed-forward", "+"]
DECODER = {
    False: ["masked self-attention", "+", "norm", "cross-attention", *POST[1:]],
    True: ["norm", "masked self-attention", "+", "norm", "cross-attention", "+", *PRE[3:]],
}


def labels_in(figure: Figure, x: float) -> list[tuple[str, float]]:
    """What stands in a column, from below: the text of each box and circle, and its height."""
    centres = [box.get_center() for box in rectangles(figure)]
    centres += [circle.center for circle in figure.findobj(Circle)]
    centres = [centre for centre in centres if abs(centre[0] - x) < 0.01]
    written = [(t.get_text(), np.array(t.get_position())) for t in shown(figure)]
    found = [
        (text, height)
        for text, at in written
        for _, height in centres
        if np.hypot(at[0] - x, at[1] + 0.045 - height) < 0.02
    ]
    return sorted(found, key=lambda item: item[1])


def box_of(figure: Figure, name: str, column: float) -> Bbox:
    (height,) = [height for text, height in labels_in(figure, column) if text == name]
    boxes = map(outline, rectangles(figure))
    (found,) = [box for box in boxes if box.height < 0.5 and box.contains(column, height)]
    return found


def of_role(figure: Figure, role: str) -> list[np.ndarray]:
    found = [x for x in figure.axes[0].lines if same_color(x.get_color(), plotting.ROLES[role])]
    return [line.get_xydata() for line in found]


@both_orders
def test_transformer_stacks_its_sub_layers(norm_first: bool) -> None:
    figure = plotting.draw_transformer(norm_first)
    last = ["norm"] * norm_first
    encoder = [text for text, _ in labels_in(figure, drawings.ENCODER)]
    decoder = [text for text, _ in labels_in(figure, drawings.DECODER)]
    assert encoder == ["embedding", "+", *(PRE if norm_first else POST), *last]
    assert decoder == ["embedding", "+", *DECODER[norm_first], *last, "readout"]
    assert texts(figure).count("× L") == 2 and texts(figure).count("add") == 5
    assert len(filled(figure, "context")) == 3, "attention is purple, nothing else"


@both_orders
@pytest.mark.parametrize("side, count", [("ENCODER", 2), ("DECODER", 3)])
def test_transformer_leads_a_residual_around_every_sub_layer(
    norm_first: bool, side: str, count: int
) -> None:
    figure, x = plotting.draw_transformer(norm_first), getattr(drawings, side)
    stack = labels_in(figure, x)
    four = [line for line in lines(figure) if len(line) == 4 and line[0, 0] == x]
    around = [line for line in four if abs(line[-1, 0] - x) < 0.2]  # back to where it left
    assert len(around) == count
    passed = []
    for start, *_, end in around:
        passed.append([text for text, height in stack if start[1] < height < end[1] - 0.01])
        (met,) = [text for text, height in stack if height == pytest.approx(end[1])]
        assert met == "+"
    order = PRE if norm_first else POST
    first = ["norm"] * norm_first
    names = [name for name in (DECODER[norm_first] if count == 3 else order) if "-" in name]
    assert passed == [[*first, name] for name in names]


@both_orders
def test_transformer_asks_the_encoder_s_end_from_the_decoder(norm_first: bool) -> None:
    figure = plotting.draw_transformer(norm_first)
    cross = box_of(figure, "cross-attention", drawings.DECODER)
    *_, (last, height) = labels_in(figure, drawings.ENCODER)
    assert last == "norm"
    for role in ("key", "value"):
        (line,) = [x for x in of_role(figure, role) if x[0, 0] < 2 < x[-1, 0]]
        assert line[-1, 0] == pytest.approx(cross.x0, abs=0.03), "into the left edge"
        assert cross.y0 < line[-1, 1] < cross.y1
        assert line[0, 1] == pytest.approx(height + drawings.FLAT / 2), "out of the last norm"
    (query,) = [
        line for line in of_role(figure, "query") if len(line) == 2
    ]  # self-attention's turn
    assert query[0, 0] == query[-1, 0] == drawings.DECODER, "from the decoder"
    assert query[0, 1] < query[-1, 1] == pytest.approx(cross.y0, abs=0.03), "from below"
    assert {"keys", "values", "query"} < set(texts(figure))


@both_orders
def test_transformer_s_self_attention_reads_one_thing_three_times(norm_first: bool) -> None:
    figure = plotting.draw_transformer(norm_first)
    for name, x in (
        ("self-attention", drawings.ENCODER),
        ("masked self-attention", drawings.DECODER),
    ):
        box = box_of(figure, name, x)
        into = []
        for role in ("query", "key", "value"):
            ends = [line for line in of_role(figure, role) if abs(line[-1, 1] - box.y0) < 0.03]
            (line,) = [line for line in ends if box.x0 < line[-1, 0] < box.x1]
            into.append(line)
        starts = np.array([line[0] for line in into])
        np.testing.assert_allclose(starts, starts[:1].repeat(3, axis=0))
        assert starts[0, 0] == x and len({line[-1, 0] for line in into}) == 3


def test_transformer_gives_both_sides_their_positions() -> None:
    figure = plotting.draw_transformer()
    positions = box_of(figure, "positions", drawings.MIDDLE)
    for x, edge in ((drawings.ENCODER, positions.x0), (drawings.DECODER, positions.x1)):
        lowest = min(height for text, height in labels_in(figure, x) if text == "+")
        (line,) = [line for line in lines(figure) if line[0, 0] == pytest.approx(edge)]
        assert np.hypot(*(line[-1] - (x, lowest))) < 0.15


# --- The families -------------------------------------------------------------

EVERY, CAUSAL = np.ones((5, 5), bool), causal_mask(5)


def cells(figure: Figure, size: float) -> np.ndarray:
    """All cells of this size: left, bottom, 1 if filled."""
    found = [box for box in rectangles(figure) if box.get_width() == pytest.approx(size)]
    white = [same_color(box.get_facecolor(), "white") for box in found]
    return np.array([(*box.get_xy(), not empty) for box, empty in zip(found, white)])


def masks_of(figure: Figure, size: float) -> list[np.ndarray]:
    """Each mask as drawn, in the order of drawing: from the top, from the left."""
    found, masks = cells(figure, size), []
    while len(found):
        x, top = found[0, :2]
        right = found[np.isclose(found[:, 1], top)]
        gap = np.flatnonzero(np.diff(right[:, 0]) > 1.5 * size)
        columns = right[: gap[0] + 1 if len(gap) else None]
        mine = (found[:, 0] > x - 0.01) & (found[:, 0] < columns[-1, 0] + 0.01)
        below = found[mine & np.isclose(found[:, 0], x)][:, 1]
        rows = 1 + next(
            (n for n, gap in enumerate(-np.diff(below)) if gap > 1.5 * size), len(below) - 1
        )
        mine &= found[:, 1] > below[rows - 1] - 0.01
        places = found[mine]
        order = np.lexsort((places[:, 0], -places[:, 1].round(3)))
        masks.append(places[order, 2].reshape(rows, len(columns)).astype(bool))
        found = found[~mine]
    return masks


def dots(figure: Figure) -> list[Circle]:
    return [x for x in figure.findobj(Circle) if same_color(x.get_facecolor(), drawings.MAY_NOT)]


def test_families_show_who_may_look_at_whom() -> None:
    figure = plotting.draw_families()
    expected = [EVERY, CAUSAL, EVERY, CAUSAL, EVERY]
    for drawn, mask in zip(masks_of(figure, drawings.SMALL), expected, strict=True):
        np.testing.assert_array_equal(drawn, mask)
    assert len(dots(figure)) == 2 * 10
    purple = [
        b for b in rectangles(figure) if same_color(b.get_facecolor(), plotting.ROLES["context"])
    ]
    assert len(purple) == 25, "cross-attention, in the Transformer only"


def vectors(figure: Figure) -> np.ndarray:
    """The centres of the circles, row by row from the top: (rows, 5, 2)."""
    centres = [x.center for x in figure.findobj(Circle) if x.radius == drawings.DOT]
    unique = np.unique(np.round(centres, 4), axis=0)
    unique = unique[np.lexsort((unique[:, 0], unique[:, 0] > 2.5, -unique[:, 1]))]
    return unique.reshape(-1, 5, 2)


def test_families_draw_an_arrow_from_each_seen_to_who_sees_it() -> None:
    """Of two rows of vectors, one above the other: an arrow where the mask is True, no other."""
    figure = plotting.draw_families()
    rows = vectors(figure)
    arrows = [(line[0], line[-1]) for line in lines(figure) if len(line) == 2]
    bert, gpt, said, encoder, decoder = (rows[0:2], rows[2:4], rows[4], rows[5::2], rows[6::2])
    own = np.eye(5, dtype=bool)
    for high, low, mask in (
        (*bert, EVERY),
        (*gpt, CAUSAL),
        (*encoder, EVERY),
        (*decoder, CAUSAL),
        (said, decoder[0], own),
    ):
        found = np.zeros((5, 5), bool)
        for t, end in enumerate(high):
            for s, start in enumerate(low):
                near = [np.hypot(*(a - start)) + np.hypot(*(b - end)) < 0.15 for a, b in arrows]
                found[t, s] = any(near)
        np.testing.assert_array_equal(found, mask)


def test_families_look_across_from_every_target_at_every_source() -> None:
    figure = plotting.draw_families()
    across = [
        x for x in figure.axes[0].lines if same_color(x.get_color(), plotting.ROLES["context"])
    ]
    assert all(line.get_linestyle() != "-" for line in across), "not by colour alone"
    rows = vectors(figure)
    ends = [line.get_xydata() for line in across]
    for source in rows[5]:
        assert any(np.hypot(*(line[0] - source)) < 0.06 for line in ends), "up to the rail"
    for target in rows[4]:
        assert any(np.hypot(*(line[-1] - target)) < 0.09 for line in ends), "from the rail"


def test_families_name_the_rows_and_columns_of_the_transformer_s_masks() -> None:
    figure, found = plotting.draw_families(), {}
    for x, _, text in sorted((*t.get_position(), t.get_text()) for t in shown(figure)):
        if text in ("self", "masked self", "cross"):
            found[text] = x
    for name, sides in (("self", "ss"), ("masked self", "tt"), ("cross", "ts")):
        below = [t for t in shown(figure) if t.get_position()[0] == found[name]]
        notes = [t.get_text() for t in sorted(below, key=lambda t: -t.get_position()[1])]
        full = {"s": "source", "t": "target"}
        assert notes == [name, f"row: {full[sides[0]]}", f"column: {full[sides[1]]}"]


def test_families_say_what_each_is_trained_for() -> None:
    words = " ".join(texts(plotting.draw_families()))
    for word in ("BERT", "GPT", "Transformer", "hidden words", "next word", "no cross-attention"):
        assert word in words


# --- Masks --------------------------------------------------------------------


def test_masks_are_drawn_cell_by_cell() -> None:
    figure = of_masks()
    drawn = masks_of(figure, drawings.CELL)
    for found, mask in zip(drawn, MASKS.values(), strict=True):
        np.testing.assert_array_equal(found, mask)
    assert len(dots(figure)) == sum((~mask).sum() for mask in MASKS.values()) + 1, (
        "and the legend's"
    )
    for dot in dots(figure):
        around = [box for box in rectangles(figure) if outline(box).contains(*dot.center)]
        assert [same_color(box.get_facecolor(), "white") for box in around] == [True]
    assert {*MASKS, "may attend", "may not", "keys →", "queries ↓"} <= set(texts(figure))


def test_masks_stand_out_without_colour() -> None:
    """WCAG 2.1: at least 3 to 1 between a filled cell, or a dot, and white."""
    for grey in (drawings.MAY, drawings.MAY_NOT):
        value = f"{round(255 * float(grey)):02x}"
        assert contrast_of(luminance(f"#{value * 3}"), 1) >= 3


def test_masks_have_each_label_at_its_row_or_column() -> None:
    figure = of_masks()
    rows = np.unique(cells(figure, drawings.CELL)[:, 1].round(4))[::-1] + drawings.CELL / 2
    left = cells(figure, drawings.CELL)[:, 0].min()
    heights = {}
    for text in figure.findobj(Text):
        x, y = text.get_position()
        if x < left and text.get_ha() == "right" and "↓" not in text.get_text() and y:
            heights[round(y + 0.045, 3)] = text.get_text()
    labels = [heights[round(height, 3)] for height in rows]
    assert labels == [label for of_mask in ROWS for label in of_mask]
    turned = [text for text in figure.findobj(Text) if text.get_rotation() == 45]
    single = [t for t in figure.findobj(Text) if t.get_text() == "i" and t.get_position()[0] > left]
    above = sorted(
        [*turned, *single], key=lambda t: (-round(t.get_position()[1], 2), t.get_position()[0])
    )
    assert [t.get_text() for t in above] == [label for of_mask in COLUMNS for label in of_mask]
    for text in above:
        column = (text.get_position()[0] - left) / drawings.CELL
        assert column % 1 == pytest.approx(0.5), "at the middle of its column"


def test_masks_take_tensors_and_lists() -> None:
    torch = pytest.importorskip("torch")
    for mask in (torch.ones(1, 2, dtype=torch.bool), [[True, False]]):
        assert plotting.draw_masks({"a": mask}, [["every query"]], [["i", "<pad>"]]).axes


def test_masks_leave_their_arguments_as_they_were() -> None:
    mask = causal_mask(3)
    plotting.draw_masks({"a": mask}, [TARGET], [TARGET])
    np.testing.assert_array_equal(mask, causal_mask(3))


@pytest.mark.parametrize(
    "mask, message",
    [
        (np.ones((3, 3)), "masks: 'a' is float64 of shape (3, 3), expected bool of shape (T, S)"),
        (np.ones((3, 3), int), "masks: 'a' is int64"),
        (np.ones((1, 3, 3), bool), "masks: 'a' is bool of shape (1, 3, 3)"),
        (np.ones(3, bool), "masks: 'a' is bool of shape (3,)"),
        (np.ones((0, 3), bool), "masks: 'a' is bool of shape (0, 3)"),
    ],
    ids=["weights", "integers", "a batch", "a row", "empty"],
)
def test_masks_refuse(mask: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        plotting.draw_masks({"a": mask}, [TARGET], [TARGET])


@pytest.mark.parametrize(
    "rows, columns, message",
    [
        ([SOURCE], [SOURCE], "rows[0]: got 6 labels for a mask (T, S) = (3, 6), expected 3"),
        ([TARGET], [TARGET], "columns[0]: got 3 labels for a mask (T, S) = (3, 6), expected 6"),
        ([], [SOURCE], "rows: got labels of 0 masks, expected of 1"),
        ([TARGET], [SOURCE, SOURCE], "columns: got labels of 2 masks, expected of 1"),
    ],
    ids=["rows", "transposed", "none", "too many"],
)
def test_masks_refuse_labels(rows: list, columns: list, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        plotting.draw_masks({"a": np.ones((3, 6), bool)}, rows, columns)


def test_masks_refuse_nothing() -> None:
    with pytest.raises(ValueError, match="masks: got none"):
        plotting.draw_masks({}, [], [])
