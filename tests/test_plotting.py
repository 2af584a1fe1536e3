"""Figures and tables: readable without colour, and as plain text."""

import re
import warnings
from collections.abc import Callable, Iterator
from itertools import combinations, pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, PathPatch, Rectangle
from matplotlib.text import Text

from attention_course import plotting


@pytest.fixture(autouse=True)
def _course_style() -> Iterator[None]:
    with plt.rc_context():
        plotting.use_style()
        yield
    plt.close("all")


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


@pytest.mark.parametrize("target", [["남동생", "##은"], ["남", "동"]], ids=["words", "signs"])
def test_korean_is_drawn(target: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a missing glyph is only a warning
        axes = plotting.heat_map(np.eye(2), ["my", "brother"], target)
        axes.set_title("남동생 α_tj ≥ 0")
        axes.figure.canvas.draw()


def test_models_differ_in_more_than_colour() -> None:
    groups = [
        ("plain", "peeky", "reversed", "dot", "ours", "bahdanau", "decoder_context"),
        ("rnn", "gru", "lstm"),
    ]
    for group in groups:
        for part in (1, 2, 3):  # colour, line, marker
            assert len({plotting.MODELS[name][part] for name in group}) == len(group)


@pytest.mark.parametrize(
    "colour", [*plotting.ROLES.values(), *(m[1] for m in plotting.MODELS.values())]
)
def test_colours_stand_out_on_white(colour: str) -> None:
    """WCAG 2.1: at least 4.5 to 1, the ratio asked of text."""
    assert contrast(luminance(colour), 1) >= 4.5


def test_curve_draws_every_seed_and_their_mean() -> None:
    _, (axes,) = plotting.stacked_panels(["one"], "x", "y")
    plotting.curve_with_seeds(axes, [1, 2], [[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]], "plain")
    *seeds, mean = axes.lines
    assert len(seeds) == 3
    assert mean.get_ydata().tolist() == [0.5, 0.5]
    assert mean.get_label() == plotting.MODELS["plain"][0]


def test_table_aligns_and_rounds() -> None:
    text = plotting.table(
        [{"model": "plain", "share": 0.12345}, {"model": "dot attention", "share": 1.0}]
    )
    assert text == "model          share\nplain          0.123\ndot attention  1.000"


# --- Heat maps ----------------------------------------------------------------

SOURCE, TARGET = ["i", "eat", "lunch", "<eos>"], ["je", "déjeune", "<eos>"]
WEIGHTS = np.array([[0.5, 0.3, 0.1, 0.1], [0.1, 0.2, 0.5, 0.2], [0.0, 0.0, 0.3, 0.7]])
DATE, ISO = "Thursday, September 23, 2024 ", [*"2024-09-23", "<eos>"]
LONG = (
    ["she", "does", "not", "give", "it", "to", "us", ".", "<eos>"],
    ["elle", "ne", "nous", "le", "donne", "pas", ".", "<eos>"],
)
LONG_WEIGHTS = {"a": np.full((8, 9), 1 / 9), "b": np.eye(8, 9)}
DATE_WEIGHTS = np.full((len(ISO), len(DATE)), 1 / len(DATE))


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def labels(ticks: list[Text]) -> list[str]:
    return [label.get_text() for label in ticks]


def test_heat_map_has_target_rows_and_source_columns_in_reading_order() -> None:
    axes = plotting.heat_map(WEIGHTS, SOURCE, TARGET)
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array(), WEIGHTS)
    assert image.origin == "upper"
    left, right, bottom, top = image.get_extent()
    assert left < right and bottom > top, "row 0 must be at the top, column 0 at the left"
    assert axes.get_xlim() == (left, right) and axes.get_ylim() == (bottom, top)
    assert list(axes.get_xticks()) == [0, 1, 2, 3] and list(axes.get_yticks()) == [0, 1, 2]
    assert labels(axes.get_xticklabels()) == SOURCE
    assert labels(axes.get_yticklabels()) == TARGET
    assert axes.xaxis.get_ticks_position() == "top"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("source", "target")


def test_heat_map_colours_mean_the_same_whatever_the_largest_weight() -> None:
    axes = plotting.heat_map(WEIGHTS / 5, SOURCE, TARGET)
    (image,) = axes.images
    assert image.get_clim() == (0, 1)
    colours = image.get_cmap()(np.linspace(0, 1, 11))[:, :3]
    lightness = colours @ [0.2126, 0.7152, 0.0722]
    assert lightness[0] == 1 and lightness[-1] < 0.2, "0 is white, 1 dark"
    steps = -np.diff(lightness)
    assert steps.min() > 0.9 * steps.max(), "equal steps look equal"
    bar = axes.figure.axes[1]
    assert labels(bar.get_xticklabels()) == ["0", "0.5", "1"] and bar.get_xlim() == (0, 1)


def test_heat_map_cuts_padding() -> None:
    padded = np.pad(WEIGHTS, [(0, 2), (0, 3)])
    padded[3:, :4] = 0.25  # what a teacher-forced decoder does behind its sentence
    axes = plotting.heat_map(padded, SOURCE, TARGET)
    np.testing.assert_array_equal(axes.images[0].get_array(), WEIGHTS)


@pytest.mark.parametrize("row", [0, 3], ids=["in a row that is shown", "in a row that is cut"])
def test_heat_map_refuses_weights_on_padding(row: int) -> None:
    padded = np.pad(WEIGHTS, [(0, 1), (0, 1)])
    padded[row, 4] = 1e-6
    with pytest.raises(ValueError, match="weights on padding: source has 4 tokens"):
        plotting.heat_map(padded, SOURCE, TARGET)


def changed(value: float) -> np.ndarray:
    weights = WEIGHTS.copy()
    weights[1, 2] = value
    return weights


@pytest.mark.parametrize(
    "weights, message",
    [
        (WEIGHTS.T, r"source: got 4 tokens for weights \(T, S\) = \(4, 3\), expected 1 to 3"),
        (WEIGHTS[:2], "target: got 3 tokens"),
        (WEIGHTS[None], r"expected \(T, S\), got shape \(1, 3, 4\)"),
        (changed(-0.1), "between 0 and 1"),
        (changed(1.1), "between 0 and 1"),
        (changed(np.nan), "between 0 and 1"),
    ],
    ids=["transposed", "rows missing", "a batch", "negative", "scores", "NaN"],
)
def test_heat_map_refuses(weights: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plotting.heat_map(weights, SOURCE, TARGET)


def test_heat_map_refuses_no_tokens() -> None:
    with pytest.raises(ValueError, match="source: got 0 tokens"):
        plotting.heat_map(WEIGHTS, [], TARGET)


def test_heat_map_takes_half_precision_and_torch_like_arrays() -> None:
    weights = WEIGHTS.astype(np.float16)
    assert plotting.heat_map(weights.tolist(), SOURCE, TARGET).images
    assert plotting.heat_map(np.nextafter(np.ones((3, 4), np.float16), 2), SOURCE, TARGET).images


def test_heat_map_of_characters_shows_blanks() -> None:
    axes = plotting.heat_map(DATE_WEIGHTS, DATE, ISO)
    across = axes.get_xticklabels()
    assert "".join(labels(across)) == "Thursday,␣September␣23,␣2024␣"
    assert labels(axes.get_yticklabels())[-1] == "<eos>"
    for label in (*across, *axes.get_yticklabels()):
        assert label.get_fontfamily()[0] == "monospace"
    assert {label.get_rotation() for label in across} == {0}


def test_heat_map_turns_words_and_lone_special_tokens() -> None:
    words = plotting.heat_map(WEIGHTS, SOURCE, TARGET).get_xticklabels()
    assert {label.get_rotation() for label in words} == {45}
    letters = plotting.heat_map(WEIGHTS, ["a", "b", "c", "<eos>"], TARGET).get_xticklabels()
    assert [label.get_rotation() for label in letters] == [0, 0, 0, 90]


def test_heat_map_draws_into_given_axes_without_a_bar() -> None:
    figure, axes = plt.subplots()
    assert plotting.heat_map(WEIGHTS, SOURCE, TARGET, axes, "mine") is axes
    assert figure.axes == [axes]
    assert axes.get_title(loc="left") == "mine"


def test_heat_maps_share_one_bar() -> None:
    figure = plotting.heat_maps({"early": WEIGHTS / 2, "late": WEIGHTS}, SOURCE, TARGET)
    early, late, bar = figure.axes
    assert (early.get_title(loc="left"), late.get_title(loc="left")) == ("early", "late")
    np.testing.assert_array_equal(early.images[0].get_array(), WEIGHTS / 2)
    np.testing.assert_array_equal(late.images[0].get_array(), WEIGHTS)
    assert early.images[0].get_clim() == late.images[0].get_clim() == bar.get_xlim() == (0, 1)
    figure.draw_without_rendering()
    assert early.get_position().y0 > late.get_position().y1 > bar.get_position().y1


SURE, POSSIBLE = {(0, 0), (1, 2)}, {(1, 2), (1, 1), (2, 3)}  # one is in both


def outlined(axes: Axes) -> dict[tuple[int, int], str]:
    """Cell (target, source) -> the line around it; each must lie within its cell."""
    found = {}
    for frame in axes.findobj(Rectangle):
        if frame.get_visible() and same_color(frame.get_edgecolor(), plotting.maps.LINK):
            x, y = frame.get_center()
            cell = (round(y), round(x))
            assert (x, y) == pytest.approx(cell[::-1]) and cell not in found
            assert 0.5 < frame.get_width() < 1 and 0.5 < frame.get_height() < 1
            assert not frame.get_fill() or frame.get_facecolor()[3] == 0, "the weight is seen"
            found[cell] = "solid" if frame.get_linestyle() in ("-", "solid") else "dashed"
    return found


def said_below(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize(
    "sure, possible, expected, said",
    [
        (SURE, (), {(0, 0): "solid", (1, 2): "solid"}, ["right words"]),
        ((), {(2, 1)}, {(2, 1): "dashed"}, ["possible words"]),
        (
            SURE,
            frozenset(POSSIBLE),
            {(0, 0): "solid", (1, 2): "solid", (1, 1): "dashed", (2, 3): "dashed"},
            ["right words", "possible words"],
        ),
        (SURE, SURE, {(0, 0): "solid", (1, 2): "solid"}, ["right words"]),
        ([], set(), {}, []),
    ],
    ids=["sure", "possible", "both", "the same", "none"],
)
def test_heat_map_outlines_links(sure, possible, expected, said) -> None:
    axes = plotting.heat_map(WEIGHTS, SOURCE, TARGET, sure=sure, possible=possible)
    assert outlined(axes) == expected
    assert said_below(axes.figure) == said
    (image,) = axes.images
    assert [*axes.get_xlim(), *axes.get_ylim()] == image.get_extent(), (
        "the outlines do not change what is shown"
    )


def test_heat_map_explains_each_outline_with_its_own_line() -> None:
    figure = plotting.heat_map(WEIGHTS, SOURCE, TARGET, sure=SURE, possible=POSSIBLE).figure
    image = drawn(figure)
    gaps = []
    for frame in figure.legends[0].get_patches():
        corners = frame.get_window_extent()
        x, low, high = round(corners.x0), round(corners.y0), round(corners.y1)
        along = image[low + 1 : high, x - 1 : x + 1].min(
            axis=(1, 2)
        )  # white where there is no line
        gaps.append(bool((along > 0.9).any()))
    assert gaps == [False, True], "the right words solid, the possible ones dashed"


def drawn(figure: Figure) -> np.ndarray:
    """Pixels from the bottom, red, green, blue from 0 to 1."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[::-1, :, :3] / 255


@pytest.mark.parametrize("kind", ["sure", "possible"])
def test_outlines_stand_out_on_every_weight(kind: str) -> None:
    """WCAG 2.1: at least 3 to 1, somewhere across the left edge of each."""
    weights, tokens = np.linspace(0, 1, 11)[None], [*"abcdefghijk"]
    links = {kind: {(0, column) for column in range(11)}}
    axes = plotting.heat_map(weights, tokens, ["a"], **links)
    pixels = drawn(axes.figure)
    for frame in (f for f in axes.patches if same_color(f.get_edgecolor(), plotting.maps.LINK)):
        corners = frame.get_extents()
        x, low, high = round(corners.x0), round(corners.y0), round(corners.y1)
        across = pixels[low + 5 : high - 5, x - 4 : x + 5].reshape(-1, 3)
        seen = [luminance(to_hex(pixel)) for pixel in across]
        assert contrast(max(seen), min(seen)) >= 3, frame.get_center()


def test_heat_map_draws_links_into_given_axes_without_a_legend() -> None:
    figure, axes = plt.subplots()
    plotting.heat_map(WEIGHTS, SOURCE, TARGET, axes, sure=SURE, possible=POSSIBLE)
    assert len(outlined(axes)) == 4 and not figure.legends


def test_heat_maps_outline_links_in_each_and_explain_them_once() -> None:
    weights = {"early": WEIGHTS / 2, "late": WEIGHTS}
    figure = plotting.heat_maps(weights, SOURCE, TARGET, SURE, POSSIBLE)
    early, late, bar = figure.axes
    assert outlined(early) == outlined(late)
    assert sorted(outlined(early).values()) == ["dashed", "dashed", "solid", "solid"]
    assert said_below(figure) == ["right words", "possible words"]
    figure.draw_without_rendering()
    bottom = bar.get_tightbbox().y0
    assert figure.legends[0].get_window_extent().y1 <= bottom + 1, "the legend is below the bar"
    assert not plotting.heat_maps(weights, SOURCE, TARGET).legends


@pytest.mark.parametrize("link", [(3, 0), (0, 4), (-1, 0), (0, -1)])
@pytest.mark.parametrize("name", ["sure", "possible"])
def test_heat_map_refuses_links_beyond_the_tokens(name: str, link: tuple[int, int]) -> None:
    padded = np.pad(WEIGHTS, [(0, 2), (0, 2)])  # the link may lie within these
    message = re.escape(f"{name}: got the link {link}") + ".* 3 target and 4 source tokens"
    with pytest.raises(ValueError, match=message):
        plotting.heat_map(padded, SOURCE, TARGET, **{name: {(0, 0), link}})
    with pytest.raises(ValueError, match=message):
        plotting.heat_maps({"one": padded}, SOURCE, TARGET, **{name: {(0, 0), link}})


# --- Drawings -----------------------------------------------------------------

SEVENTHS, FRACTIONS = [1 / 7, 2 / 7, 4 / 7], ["1/7", "2/7", "4/7"]
WORDS = ["i", "eat", "lunch"]


def lookup() -> Figure:
    scores, values = ["ln 1", "ln 2", "ln 4"], ["(7, 0)", "(0, 7)", "(7, 7)"]
    return plotting.draw_lookup("q", WORDS, scores, SEVENTHS, FRACTIONS, values, "(5, 6)")


def decoder(step: int = 1) -> Figure:
    return plotting.draw_attention_decoder(WORDS, TARGET, SEVENTHS, FRACTIONS, step=step)


def bahdanau(step: int = 1) -> Figure:
    return plotting.draw_bahdanau_decoder(WORDS, TARGET, SEVENTHS, FRACTIONS, step=step)


SHARES = np.arange(24).reshape(2, 3, 4) % 5 == 1  # of the two blocks (B,T,D), cells of no order


FIGURES: dict[str, Callable[[], Figure]] = {
    "encoder decoder": lambda: plotting.draw_encoder_decoder(WORDS, TARGET),
    "lookup": lookup,
    "decoder, step 0": lambda: decoder(0),
    "decoder, step 1": decoder,
    "decoder, step 2": lambda: decoder(2),
    "Bahdanau, step 0": lambda: bahdanau(0),
    "Bahdanau, step 1": bahdanau,
    "Bahdanau, step 2": lambda: bahdanau(2),
    "orders": plotting.draw_orders,
    "graph": plotting.draw_graph,
    "graph, backward": lambda: plotting.draw_graph(backward=True),
    "date": lambda: plotting.heat_map(DATE_WEIGHTS, DATE, ISO).figure,
    "words": lambda: plotting.heat_map(WEIGHTS, SOURCE, TARGET, title="title").figure,
    "dates": lambda: plotting.heat_maps({"a": DATE_WEIGHTS, "b": DATE_WEIGHTS}, DATE, ISO),
    "links": lambda: plotting.heat_map(WEIGHTS, SOURCE, TARGET, None, "title", SURE).figure,
    "two kinds of links": lambda: plotting.heat_maps(
        {"a": WEIGHTS, "b": WEIGHTS}, SOURCE, TARGET, SURE, POSSIBLE
    ),
    "links of words": lambda: plotting.heat_maps(LONG_WEIGHTS, *LONG, SURE, POSSIBLE),
    "shares": lambda: plotting.draw_shares({"a": SHARES, "b": ~SHARES}, (0, 1, 2)),
}


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES.keys())
def test_text_is_legible_on_a_phone(draw: Callable[[], Figure]) -> None:
    """At least 9 pixels on a screen of 390; no text over another or outside the figure."""
    figure = draw()
    figure.draw_without_rendering()
    shown = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    for text in shown:
        assert text.get_fontsize() / 72 / figure.get_figwidth() * 390 >= 9, text
    boxes = {text: text.get_window_extent() for text in shown}
    for text, box in boxes.items():
        assert figure.bbox.x0 - 1 <= box.x0 and box.x1 <= figure.bbox.x1 + 1, text
        assert figure.bbox.y0 - 1 <= box.y0 and box.y1 <= figure.bbox.y1 + 1, text
    level = [text for text in shown if text.get_rotation() == 0]
    for one, other in combinations(level, 2):
        a, b = boxes[one].padded(-1.5), boxes[other].padded(-1.5)  # the room above small letters
        assert not a.overlaps(b), (one, other)


def bands(figure: Figure) -> list[PathPatch]:
    return figure.findobj(PathPatch)


def filled(figure: Figure, role: str) -> list[Rectangle]:
    """The boxes of one role, in the order in which they were drawn."""
    colour = plotting.ROLES[role]
    boxes = figure.findobj(Rectangle)
    return [box for box in boxes if box.get_visible() and same_color(box.get_edgecolor(), colour)]


def test_lookup_draws_each_weight_twice() -> None:
    figure = lookup()
    bars = [b for b in figure.findobj(Rectangle) if same_color(b.get_facecolor(), "0.45")]
    whole = [b for b in figure.findobj(Rectangle) if same_color(b.get_facecolor(), "0.9")]
    shares = [bar.get_width() / of.get_width() for bar, of in zip(bars, whole, strict=True)]
    np.testing.assert_allclose(shares, SEVENTHS)
    widths = np.array([band.get_linewidth() for band in bands(figure)])
    np.testing.assert_allclose(widths / widths.sum(), SEVENTHS)


def test_lookup_keeps_each_row_together() -> None:
    figure = lookup()
    middle = {text.get_text(): text.get_position()[1] for text in figure.findobj(Text)}
    keys, values = filled(figure, "key"), filled(figure, "value")
    for row, (key, value, band) in enumerate(zip(keys, values, bands(figure), strict=True)):
        height = key.get_center()[1]
        assert value.get_center()[1] == pytest.approx(height)
        assert band.get_path().vertices[0] == pytest.approx((value.get_corners()[1][0], height))
        for text in (
            WORDS[row],
            ["ln 1", "ln 2", "ln 4"][row],
            ["(7, 0)", "(0, 7)", "(7, 7)"][row],
        ):
            assert abs(middle[text] - height) < 0.1
        assert abs(middle[FRACTIONS[row]] - height) < 0.2
    heights = [key.get_center()[1] for key in keys]
    assert heights == sorted(heights, reverse=True), "the first row is at the top"


def ends(figure: Figure, axis: int) -> list[tuple[float, float]]:
    """Where each band arrives: its two edges, in inches."""
    found = []
    for band in bands(figure):
        middle, half = band.get_path().vertices[-1][axis], band.get_linewidth() / 144
        found.append((middle - half, middle + half))
    return found


@pytest.mark.parametrize(
    "draw, axis", [(lookup, 1), (decoder, 0), (bahdanau, 0)], ids=["lookup", "decoder", "Bahdanau"]
)
def test_bands_arrive_side_by_side_at_the_context(draw: Callable[[], Figure], axis: int) -> None:
    figure = draw()
    (context,) = filled(figure, "context")
    arrived = ends(figure, axis)
    if axis == 1:  # from the top
        arrived = arrived[::-1]
    for (_, last), (first, _) in pairwise(arrived):
        assert last == pytest.approx(first)
    centre = (arrived[0][0] + arrived[-1][1]) / 2
    assert centre == pytest.approx(context.get_center()[axis])


@pytest.mark.parametrize("draw", [decoder, bahdanau])
def test_decoder_keeps_every_state_as_key_and_value(draw: Callable[[], Figure]) -> None:
    figure = draw()
    keys, values = filled(figure, "key"), filled(figure, "value")
    assert len(keys) == len(values) == 3
    widths = np.array([band.get_linewidth() for band in bands(figure)])
    np.testing.assert_allclose(widths / widths.sum(), SEVENTHS)
    for key, value, band in zip(keys, values, bands(figure), strict=True):
        assert key.get_corners()[1][0] == pytest.approx(value.get_x()), "two halves of one state"
        assert band.get_path().vertices[0][0] == pytest.approx(value.get_center()[0])
    places = [key.get_x() for key in keys]
    assert places == sorted(places)


@pytest.mark.parametrize("step", [0, 1, 2])
def test_decoder_asks_from_one_state(step: int) -> None:
    figure = decoder(step)
    (state,) = filled(figure, "query")
    beside = [t for t in figure.findobj(Text) if t.get_text() == ["<sos>", *TARGET][step]]
    read = min(beside, key=lambda text: text.get_position()[1])
    assert read.get_position()[0] == pytest.approx(state.get_center()[0])
    said = [t for t in figure.findobj(Text) if t.get_text() == TARGET[step]]
    above = max(said, key=lambda text: text.get_position()[1])
    assert above.get_position()[0] == pytest.approx(state.get_center()[0])
    asked = [
        line for line in solid(figure) if same_color(line.get_color(), plotting.ROLES["query"])
    ]
    left, right = state.get_x(), state.get_x() + state.get_width()
    assert all(left < line.get_xdata()[0] < right for line in asked)
    assert [line.get_xdata()[-1] for line in asked] == pytest.approx(
        [key.get_center()[0] for key in filled(figure, "key")]
    )


def symbol(figure: Figure, formula: str) -> tuple[float, float]:
    (text,) = [text for text in figure.findobj(Text) if text.get_text() == f"${formula}$"]
    return text.get_position()


def place(figure: Figure, word: str, pick: Callable = max) -> tuple[float, float]:
    """Of the highest (or lowest) text that says the word."""
    found = [text.get_position() for text in figure.findobj(Text) if text.get_text() == word]
    return pick(found, key=lambda at: at[1])


def lines_of(figure: Figure, role: str) -> list[Line2D]:
    return [x for x in solid(figure) if same_color(x.get_color(), plotting.ROLES[role])]


@pytest.mark.parametrize("step", [0, 1, 2])
def test_bahdanau_asks_from_the_state_before(step: int) -> None:
    figure = bahdanau(step)
    (asking,) = filled(figure, "query")
    assert symbol(figure, "s_{t{-}1}")[0] == pytest.approx(asking.get_center()[0])
    edges = asking.get_x(), asking.get_x() + asking.get_width()
    asked = lines_of(figure, "query")
    assert all(edges[0] < line.get_xdata()[0] < edges[1] for line in asked)
    keys = [key.get_center()[0] for key in filled(figure, "key")]
    assert [line.get_xdata()[-1] for line in asked] == pytest.approx(keys)
    new = symbol(figure, "s_t")[0]
    assert new > edges[1], "the new state stands behind the one that asks"
    read, said = ["<sos>", *TARGET][step], TARGET[step]
    assert place(figure, read, min)[0] == pytest.approx(new), "the last word makes the new state"
    assert place(figure, said)[0] == place(figure, "readout")[0] == pytest.approx(new)


@pytest.mark.parametrize("step", [0, 1, 2])
def test_bahdanau_gives_the_context_to_the_new_state_and_to_the_readout(step: int) -> None:
    figure = bahdanau(step)
    (context,) = filled(figure, "context")
    (new, middle), (readout, above) = symbol(figure, "s_t"), place(figure, "readout")
    ends = []
    for line in lines_of(figure, "context"):
        start, *_, end = line.get_xydata()
        assert start == pytest.approx((context.get_corners()[1][0], context.get_center()[1]))
        ends.append(end)
    (low_x, low), (high_x, high) = sorted(ends, key=lambda end: end[1])
    half = filled(figure, "query")[0].get_height() / 2
    assert abs(low_x - new) < half and middle < low < middle + half + 0.1, "down into s_t"
    assert abs(high_x - readout) < half and above - 0.3 < high < above, "up into the readout"


def test_bahdanau_reads_both_ways() -> None:
    figure = bahdanau()
    keys, values = filled(figure, "key"), filled(figure, "value")
    back, forth = symbol(figure, r"\overleftarrow{h}"), symbol(figure, r"\overrightarrow{h}")
    assert back[1] > forth[1]
    centre, half = keys[0].get_center()[1], keys[0].get_height() / 2
    ways = {1: [], -1: []}
    for line in solid(figure):
        (x, y), (to_x, to_y) = line.get_xydata()[[0, -1]]
        between = values[0].get_center()[0] < min(x, to_x) < max(x, to_x) < keys[-1].get_center()[0]
        if between and y == to_y != centre:
            ways[int(np.sign(to_x - x))].append(y)
    assert len(ways[1]) == len(ways[-1]) == len(WORDS) - 1
    assert ways[1] == pytest.approx([centre - half / 2] * 2)
    assert ways[-1] == pytest.approx([centre + half / 2] * 2)


@pytest.mark.parametrize("step", [0, 1, 2])
def test_bahdanau_counts_what_happens(step: int) -> None:
    """Each number is nearest to its event."""
    figure = bahdanau(step)
    (context,) = filled(figure, "context")
    events = {
        "1": place(figure, "query"),
        "2": tuple(context.get_center()),
        "3": symbol(figure, "s_t"),
        "4": place(figure, "readout"),
    }
    for number in events:
        at = place(figure, number)
        distance = {name: np.hypot(*np.subtract(at, where)) for name, where in events.items()}
        assert min(distance, key=distance.get) == number
        assert distance[number] < 0.6


@pytest.mark.parametrize("step", [-1, 3])
def test_bahdanau_refuses_a_step_beyond_the_target(step: int) -> None:
    with pytest.raises(ValueError, match=f"step: got {step}, expected 0 to 2"):
        bahdanau(step)


def test_orders_differ_in_who_asks_and_in_when_the_word_comes() -> None:
    figure = plotting.draw_orders()
    asking = sorted(filled(figure, "query"), key=lambda box: -box.get_y())
    looking = sorted(filled(figure, "context"), key=lambda box: -box.get_y())
    symbols = [(t.get_text(), *t.get_position()) for t in figure.findobj(Text)]
    rows = []
    for who, look in zip(asking, looking, strict=True):
        x, y = who.get_center()
        assert look.get_center()[1] == pytest.approx(y) and x < look.get_center()[0]
        of_row = [s for s in symbols if s[0].startswith("$") and abs(s[2] - y) < 0.6]
        at = {name: left for name, left, _ in of_row}
        assert at["$y_{t{-}1}$"] == at["$s_t$"], "the last word makes the new state"
        (inside,) = [name for name, left, height in of_row if np.hypot(left - x, height - y) < 0.1]
        rows.append((inside, at["$s_t$"] < look.get_center()[0]))
    assert rows == [("$s_t$", True), ("$s_{t{-}1}$", False)]
    titles = {place(figure, t)[1]: t for t in texts(figure) if "then" in t}
    assert [titles[y].partition(":")[0] for y in sorted(titles)] == ["Bahdanau", "Luong"]


def test_drawings_refuse_sequences_of_different_lengths() -> None:
    with pytest.raises(ValueError):
        plotting.draw_bahdanau_decoder(WORDS, TARGET, SEVENTHS, FRACTIONS[:2])
    with pytest.raises(ValueError):
        plotting.draw_attention_decoder(WORDS, TARGET, SEVENTHS[:2], FRACTIONS)
    with pytest.raises(ValueError):
        plotting.draw_lookup("q", WORDS, FRACTIONS, SEVENTHS, FRACTIONS[:2], WORDS, "c")


def solid(figure: Figure) -> list[Line2D]:
    return [line for line in figure.axes[0].lines if line.get_linestyle() == "-"]


def dashed(figure: Figure) -> list[Line2D]:
    return [line for line in figure.axes[0].lines if line.get_linestyle() != "-"]


def node(figure: Figure, sign: str) -> tuple[float, float]:
    """The centre of the circle around a sign."""
    (text,) = [text for text in figure.findobj(Text) if text.get_text() == sign]
    centres = [circle.center for circle in figure.findobj(Circle)]
    return min(centres, key=lambda centre: np.hypot(*np.subtract(centre, text.get_position())))


def test_graph_uses_the_encoder_states_twice() -> None:
    figure = plotting.draw_graph()
    assert not dashed(figure)
    (states,) = [
        b
        for b in figure.findobj(Rectangle)
        if same_color(b.get_facecolor(), "white") and b.get_width() > 2
    ]
    for role, sign in (("key", "q·k"), ("value", "×")):
        (line,) = [x for x in solid(figure) if same_color(x.get_color(), plotting.ROLES[role])]
        start, end = line.get_xydata()[[0, -1]]
        assert start[1] == pytest.approx(states.get_y() + states.get_height())
        assert states.get_x() < start[0] < states.get_x() + states.get_width()
        x, y = node(figure, sign)
        assert end[0] == pytest.approx(x) and start[1] < end[1] < y
    assert not any(text.startswith("d") for text in texts(figure))


def test_graph_brings_two_gradients_back_and_adds_them() -> None:
    forward, figure = plotting.draw_graph(), plotting.draw_graph(backward=True)
    assert len(solid(figure)) == len(solid(forward)) + 1, "the same edges, and the legend's"
    plus = node(figure, "+")
    arriving = {}
    for role in ("key", "value"):
        (line,) = [x for x in dashed(figure) if same_color(x.get_color(), plotting.ROLES[role])]
        start, end = line.get_xydata()[[0, -1]]
        assert start[1] > end[1] == pytest.approx(plus[1]), "downwards, to the +"
        arriving[role] = end[0] - plus[0]
    assert arriving["key"] < 0 < arriving["value"]
    (sum_,) = [x for x in dashed(figure) if x.get_xdata()[0] == x.get_xdata()[-1] == plus[0]]
    assert sum_.get_ydata()[-1] < sum_.get_ydata()[0] < plus[1]
    gradients = {"dquery", "dscores", "dweights", "dkey", "dvalue", "dcontext"}
    assert gradients < set(texts(figure))


@pytest.mark.parametrize(
    ("values", "places", "text"),
    [
        ([0.9841, 0.981, 0.987], 3, ".984 (.981–.987)"),
        ([0.5, 1.0, 0.0], 2, ".50 (.00–1.00)"),
        ([81.06, 78.7, 84.3], 1, "81.4 (78.7–84.3)"),
        ([0.2, 0.1], 0, "0 (0–0)"),
        ([-0.25, 0.25], 2, ".00 (-0.25–.25)"),
    ],
)
def test_seeds_are_told_by_mean_and_ends(values: list[float], places: int, text: str) -> None:
    assert plotting.over_seeds(values, places) == text


# --- Shares -------------------------------------------------------------------


def test_shares_are_drawn_cell_by_cell_a_sentence_beside_the_other() -> None:
    figure = plotting.draw_shares({"a": SHARES, "b": ~SHARES}, (1, 2, 3))
    for axes, block in zip(figure.axes, (SHARES, ~SHARES), strict=True):
        boxes = {box.get_xy(): box for box in axes.patches if isinstance(box, Rectangle)}
        assert len(boxes) == block.size
        lefts, tops = (sorted({corner[axis] for corner in boxes}) for axis in (0, 1))
        for place in np.ndindex(block.shape):
            sentence, word, number = place
            box = boxes[lefts[4 * sentence + number], tops[word]]
            white = same_color(box.get_facecolor(), "white")
            assert white != block[place], place
        (dot,) = [patch for patch in axes.patches if isinstance(patch, Circle)]
        assert dot.center == pytest.approx(boxes[lefts[-1], tops[-1]].get_center())
        assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first word is at the top"
    assert texts(figure).count("sentence 2") == 1 and {"a", "b"} < set(texts(figure))


@pytest.mark.parametrize(
    "block", [np.ones((2, 3, 4)), np.ones((3, 4), bool), np.ones((1, 3, 4)) > 0]
)
def test_shares_refuse(block: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"panels: '.' is .* of one shape"):
        plotting.draw_shares({"a": SHARES, "b": block}, (0, 0, 0))
