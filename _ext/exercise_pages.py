"""Buttons of the exercise pages.

These pages are generated, so the repository has no notebook behind them: no Colab button, and no
download of the page's own source, which holds the solutions. The page links to the notebook for
learners instead.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

FOLDER = "exercises/book/"
LEFT_OUT = {"launch-buttons", "download-source-button", "source-edit-button"}


def without(buttons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return `buttons` without those that are left out, groups included."""
    kept = [dict(button) for button in buttons if button.get("label") not in LEFT_OUT]
    for button in kept:
        if "buttons" in button:
            button["buttons"] = without(button["buttons"])
    return kept


def drop_buttons(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Event html-page-context, after the theme has made its buttons."""
    if page.startswith(FOLDER):
        context["header_buttons"] = without(context["header_buttons"])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", drop_buttons, priority=502)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
