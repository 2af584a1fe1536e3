"""Writes files as a whole or not at all: no reader and no interruption meets half of one."""

from __future__ import annotations

import os
from pathlib import Path


def write(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Write `text` to `path` in one step; its folder is made. Line ends stay as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.tmp")
    with scratch.open("w", encoding=encoding, newline="", errors="replace") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
