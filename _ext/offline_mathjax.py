"""MathJax from a package, not from a server.

The one script that the pages load is copied at build time out of the PyPI package
``sphinx-mathjax-offline``, which carries MathJax 3.2.2 (Apache-2.0). It is the ``-full`` bundle:
``tex-svg.js`` would ask the server for a further file as soon as a formula has a colour.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

PACKAGE = "sphinx-mathjax-offline"
SCRIPT = "tex-svg-full.js"
TARGET = f"mathjax/{SCRIPT}"


def mathjax_script() -> bytes:
    """Return MathJax, or raise ExtensionError saying what to install."""
    try:
        script = resources.files(PACKAGE) / "static" / "mathjax" / SCRIPT
        return script.read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise ExtensionError(
            f"MathJax is missing ({error}). It comes with the package {PACKAGE}==0.0.2: "
            "run `make book`, or pip install -r requirements-book.txt"
        ) from error


def configure(app: Sphinx, config: Config) -> None:
    """Event config-inited: one local script; a wrong formula is an error, not red text."""
    settings: dict[str, Any] = dict(config.mathjax3_config or {})
    tex = dict(settings.get("tex", {}))
    tex.setdefault("packages", {"[-]": ["noerrors", "noundefined"]})
    config.mathjax3_config = {**settings, "tex": tex}
    config.mathjax_path = TARGET


def copy_script(app: Sphinx) -> None:
    """Event builder-inited: put the script where the pages look for it."""
    if app.builder.format != "html":
        return
    target = Path(app.outdir, "_static", TARGET)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(mathjax_script())


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", configure, priority=1)
    app.connect("builder-inited", copy_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
