"""Recorded runs: one JSON a run in `data/results/EXPERIMENT/`, written by `experiments`, read by
the chapters.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

Settings = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """One recorded run: what was set, what came out, where and how long it ran."""

    name: str
    settings: Settings
    settings_hash: str
    metrics: dict[str, Any]
    curve: list[dict[str, Any]]  # one entry an evaluation, with its "step"
    seconds: float
    versions: dict[str, str]
    machine: str


def settings_hash(settings: Settings) -> str:
    """Sixteen hexadecimal digits that change whenever any setting does."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def load(experiment: str, **wanted: Any) -> list[Result]:
    """All recorded runs of `experiment` whose settings have the `wanted` values, by name.

    >>> len(load("copy_by_length", model="plain", hidden_size=64))  # doctest: +SKIP
    3
    """
    folder = files("attention_course.assets") / "results" / experiment
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no recorded runs of {experiment!r}: run `make results` to record them"
        )
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".json"))
    found = [Result(**json.loads((folder / name).read_text(encoding="utf-8"))) for name in names]
    return [r for r in found if all(r.settings.get(key) == value for key, value in wanted.items())]
