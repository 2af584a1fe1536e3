"""One look for all figures: legible on a phone and in print, safe for colour-blind eyes (Okabe &
Ito 2008).

A model keeps its colour *and* its line style and marker through the whole course, so that no figure
depends on colour alone. Query, key, value and context have one colour each.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib import font_manager

ROLES = {"query": "#0072B2", "key": "#B34700", "value": "#007A5A", "context": "#8F3F71"}
# The same, pale: what a box of that role is filled with. Text in it is dark.
FILLS = {"query": "#CCE3F0", "key": "#F2DACB", "value": "#CBE5DD", "context": "#E6CBDC"}

# label, colour, line style, marker
MODELS = {
    "plain": ("plain", "#0072B2", "-", "o"),
    "peeky": ("peeky", "#B34700", "--", "s"),
    "reversed": ("source reversed", "#595959", ":", "^"),
    "dot": ("dot attention", "#007A5A", "-.", "D"),
    "ours": ("dot attention", "#8F3F71", (0, (5, 1, 1, 1, 1, 1)), "v"),
    "scaled": ("scaled dot attention", "#8F3F71", (0, (5, 1, 1, 1, 1, 1)), "v"),
    "bahdanau": ("Bahdanau attention", "#000000", (0, (7, 2)), "P"),
    "luong": ("Luong attention", "#8F3F71", "-.", "X"),
    "transformer": ("Transformer", "#4B61E8", "-", ">"),
    "decoder_context": ("context from the decoder", "#8A6100", (0, (2, 1)), "<"),
    "rnn": ("bare RNN", "#0072B2", "-", "o"),
    "gru": ("GRU", "#B34700", "--", "s"),
    "lstm": ("LSTM", "#595959", ":", "^"),
}


def use_style() -> None:
    """Set matplotlib's defaults for every figure of the course; Korean is drawn, too."""
    plt.rcParams.update(
        {
            "font.family": ["sans-serif", *korean_font()],  # where the first lacks a sign
            "figure.figsize": (4.6, 3.2),
            "figure.dpi": 140,
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "font.size": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.titlesize": 11,
            "grid.alpha": 0.3,
            "legend.frameon": False,
            "legend.fontsize": 10,
            "lines.linewidth": 2,
            "lines.markersize": 5,
        }
    )


@cache
def korean_font() -> list[str]:
    """NanumGothic, out of the package `koreanize-matplotlib`; nothing where that is missing.

    The package is not imported: from Python 3.12 on it cannot be, and it would change the defaults.
    """
    package = find_spec("koreanize_matplotlib")
    if package is None or package.origin is None:
        return []
    path = Path(package.origin).parent / "fonts" / "NanumGothic.ttf"
    font_manager.fontManager.addfont(path)
    return [font_manager.FontProperties(fname=path).get_name()]
