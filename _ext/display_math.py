"""Let a display formula of several lines carry its number.

The notebooks number an equation with ``\\tag{1.2}``, which Colab and Jupyter show too. Sphinx puts
every formula that contains a line break into a ``split`` environment, and there ``\\tag`` is an
error. Such a formula is handed to MathJax as it was written.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform


def as_written(formula: nodes.math_block) -> bool:
    """True for a formula that has both a number of its own and a line break."""
    text = formula.astext()
    return not formula.get("nowrap") and r"\tag" in text and r"\\" in text


class TaggedFormulas(SphinxPostTransform):
    """Keep Sphinx's `split` away from formulas with a `\\tag`."""

    default_priority = 400
    formats = ("html",)

    def run(self, **kwargs: object) -> None:
        for formula in self.document.findall(nodes.math_block):
            if as_written(formula):
                text = rf"\[{formula.astext()}\]"
                formula.children = [nodes.Text(text)]
                formula["nowrap"] = True


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(TaggedFormulas)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
