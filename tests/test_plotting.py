"""Figures and tables: readable without colour, and as plain text."""

import matplotlib.pyplot as plt
import pytest

from attention_course import plotting


def test_models_differ_in_more_than_colour() -> None:
    groups = [("plain", "peeky", "reversed", "dot", "ours"), ("rnn", "gru", "lstm")]
    for group in groups:
        for part in (1, 2, 3):  # colour, line, marker
            assert len({plotting.MODELS[name][part] for name in group}) == len(group)


@pytest.mark.parametrize(
    "colour", [*plotting.ROLES.values(), *(m[1] for m in plotting.MODELS.values())]
)
def test_colours_stand_out_on_white(colour: str) -> None:
    """WCAG 2.1: at least 4.5 to 1, the ratio asked of text."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    assert 1.05 / (luminance + 0.05) >= 4.5


def test_curve_draws_every_seed_and_their_mean() -> None:
    figure, (axes,) = plotting.stacked_panels(["one"], "x", "y")
    plotting.curve_with_seeds(axes, [1, 2], [[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]], "plain")
    *seeds, mean = axes.lines
    assert len(seeds) == 3
    assert mean.get_ydata().tolist() == [0.5, 0.5]
    assert mean.get_label() == plotting.MODELS["plain"][0]
    plt.close(figure)


def test_table_aligns_and_rounds() -> None:
    text = plotting.table(
        [{"model": "plain", "share": 0.12345}, {"model": "dot attention", "share": 1.0}]
    )
    assert text == "model          share\nplain          0.123\ndot attention  1.000"
