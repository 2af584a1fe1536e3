"""Framework tabs that hold code *and* outputs.

Consecutive code cells tagged ``tab-numpy``, ``tab-pytorch`` or ``tab-keras`` become one tab set;
cells with the same tag share a panel, in their order. The choice is kept in step over all tab sets
of the book. In Colab and Jupyter the same cells stand one below the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform
from sphinx_design.shared import create_component

LABELS = {"tab-numpy": "NumPy", "tab-pytorch": "PyTorch", "tab-keras": "Keras"}
SYNC_GROUP = "framework"


def tab_tag(node: nodes.Node) -> str | None:
    """Return the tab tag of a code cell; None for anything else. Two tab tags are an error."""
    if not isinstance(node, nodes.container) or node.get("nb_element") != "cell_code":
        return None
    tags = [tag for tag in (node.get("cell_metadata") or {}).get("tags", []) if tag in LABELS]
    if len(tags) > 1:
        raise ExtensionError(f"code cell {node['cell_index'] + 1} has {tags}, expected one tab tag")
    return tags[0] if tags else None


def tab_item(tag: str, cells: list[nodes.Node]) -> nodes.container:
    """Return one panel with its label."""
    label = nodes.rubric(LABELS[tag], "", nodes.Text(LABELS[tag]), classes=["sd-tab-label"])
    label["sync_group"], label["sync_id"] = SYNC_GROUP, tag.removeprefix("tab-")
    content = create_component("tab-content", classes=["sd-tab-content"], children=cells)
    return create_component("tab-item", classes=["sd-tab-item"], children=[label, content])


def tab_set(cells: Iterable[nodes.Node]) -> nodes.container:
    """Return the tab set of a run of tagged cells: one panel a tag, in order of first use."""
    panels: dict[str, list[nodes.Node]] = {}
    for cell in cells:
        panels.setdefault(tab_tag(cell), []).append(cell)
    items = [tab_item(tag, panel) for tag, panel in panels.items()]
    classes = ["sd-tab-set", "framework-tabs"]
    return create_component("tab-set", classes=classes, children=items)


class FrameworkTabs(SphinxTransform):
    """Replace every run of tagged cells by a tab set."""

    default_priority = 800

    def apply(self, **kwargs: object) -> None:
        tagged = [node for node in self.document.findall(nodes.container) if tab_tag(node)]
        parents = {id(node.parent): node.parent for node in tagged}
        for parent in parents.values():
            runs = groupby(list(parent.children), key=lambda node: tab_tag(node) is not None)
            children: list[nodes.Node] = []
            for is_tagged, run in runs:
                children += [tab_set(run)] if is_tagged else list(run)
            parent.clear()
            parent.extend(children)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(FrameworkTabs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
