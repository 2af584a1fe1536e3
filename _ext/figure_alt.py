"""A picture that a code cell draws must say in words what it shows.

The words stand in the cell's metadata, where myst-nb looks for them::

    {"mystnb": {"image": {"alt": "Exact match falls from 1.0 at length 5 to 0.05 at length 15."}}}

A cell that shows a picture without them is a warning, hence an error of the build.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)


def silent_cells(doctree: nodes.document) -> list[int]:
    """Return the positions (from 1) of code cells that show a picture without alt text."""
    cells = [
        node
        for node in doctree.findall(nodes.container)
        if node.get("nb_element") == "cell_code"
        and any(not image.get("alt", "").strip() for image in node.findall(nodes.image))
    ]
    return [cell["cell_index"] + 1 for cell in cells]


def warn_about_pictures(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Event doctree-resolved (the output of each cell has been chosen)."""
    for position in silent_cells(doctree):
        LOGGER.warning(
            "cell %d shows a picture without alt text: add the metadata "
            '{"mystnb": {"image": {"alt": "what it shows"}}}',
            position,
            location=docname,
            type="course",
            subtype="alt",
        )


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-resolved", warn_about_pictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
