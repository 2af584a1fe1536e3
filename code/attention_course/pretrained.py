"""Weights that pages show: trained by a recorded experiment, shipped as `data/weights/NAME.npz`.

A file holds the weights in float16, the arguments that build the model, and its vocabularies. The
names of the weights are those of `to_arrays`, so all three frameworks can load it.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from attention_course.corpora.vocabulary import Vocabulary

INFO = "info"


@dataclass(frozen=True)
class Pretrained:
    """What is needed to build a trained model again.

    weights: arrays by parameter name, float16 when they come from a file. model: the name of its
    class (in `seq2seq`, `bahdanau`, `luong`, `transformer`, `memory` or `classifier`). sizes: the
    class's arguments. vocabularies: by role ("source", "target"); none where there are no tokens.
    """

    weights: Mapping[str, np.ndarray]
    model: str
    sizes: dict[str, Any]
    vocabularies: dict[str, Vocabulary]

    def to_bytes(self) -> bytes:
        """The content of the file."""
        info = {
            "model": self.model,
            "sizes": self.sizes,
            "vocabularies": {role: v.tokens for role, v in self.vocabularies.items()},
        }
        with np.errstate(over="ignore"):  # reported below, by name
            halves = {name: array.astype(np.float16) for name, array in self.weights.items()}
        broken = [name for name, array in halves.items() if not np.isfinite(array).all()]
        if broken:
            raise ValueError(f"weights: not finite in float16: {broken}")
        content = io.BytesIO()
        np.savez_compressed(content, **halves, **{INFO: np.array(json.dumps(info))})
        return content.getvalue()


def load(name: str) -> Pretrained:
    """The shipped model `name`. Raises FileNotFoundError, with the names there are."""
    folder = files("attention_course.assets") / "weights"
    path = folder / f"{name}.npz"
    if not path.is_file():
        there = sorted(entry.name[:-4] for entry in folder.iterdir()) if folder.is_dir() else []
        raise FileNotFoundError(f"no shipped weights {name!r}; there are {there}")
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
        arrays = dict(content)
    info = json.loads(str(arrays.pop(INFO)))
    vocabularies = {role: Vocabulary(tuple(v)) for role, v in info["vocabularies"].items()}
    return Pretrained(arrays, info["model"], info["sizes"], vocabularies)
