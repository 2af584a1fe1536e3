"""Draws the figures of the front page: `_static/attention.png`, `_static/course.png`.

    python tools/draw_course.py           say whether one is out of date (exit status 1 if so)
    python tools/draw_course.py --write   draw them

A picture carries a fingerprint of what it shows, so that a changed result is noticed.
"""

from __future__ import annotations

import hashlib
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

STATIC = Path(__file__).resolve().parent.parent / "_static"


def numbers_of_the_course() -> Any:
    """What `plotting.draw_course` shows."""
    from attention_course.plotting import course

    return {
        model: [
            [course.by_length(run), [run.metrics[s].get("aer") for s in course.SPLITS]]
            for run in course.recorded(model)
        ]
        for model in course.RUNS
    }


@cache
def look() -> tuple[Any, Any]:
    """A sentence with its gold links, and where the shipped English to French translator looks."""
    import numpy as np

    from attention_course import pretrained
    from attention_course.corpora.grammar.english import realise_english
    from attention_course.corpora.grammar.french import realise
    from attention_course.corpora.grammar.meaning import Clause, Sentence, Thing
    from attention_course.corpora.translation import align
    from attention_course.scratch.bahdanau import BahdanauSeq2Seq
    from attention_course.scratch.weights import from_arrays

    shipped = pretrained.load("english_french")
    translator = BahdanauSeq2Seq(**shipped.sizes)
    from_arrays(translator, shipped.weights)
    english, french = shipped.vocabularies["source"], shipped.vocabularies["target"]
    cat = Thing("cat", "the", adjectives=("small", "black"))
    clause = Clause((cat,), "see", (Thing("bird", "a"),), negation="not")
    pair = align(realise_english(Sentence((clause,))), realise(Sentence((clause,))))
    source = np.array([english.encode(pair.source)])
    target_in = np.array([[french.sos, *french.encode(pair.target)]])
    (weights,) = translator.alignment(source, np.array([len(pair.source)]), target_in)
    return pair, weights


def numbers_of_the_look() -> Any:
    """The sentence and the weights, to the digit that a picture could show."""
    pair, weights = look()
    return [pair.source, pair.target, weights.round(2).tolist()]


def draw_the_look() -> Any:
    import matplotlib.pyplot as plt

    from attention_course import plotting

    pair, weights = look()
    plotting.heat_map(weights, pair.source, pair.target, sure=pair.sure, possible=pair.possible)
    return plt.gcf()


def draw_the_course() -> Any:
    from attention_course import plotting

    return plotting.draw_course()


PICTURES = {
    "attention.png": (numbers_of_the_look, draw_the_look),
    "course.png": (numbers_of_the_course, draw_the_course),
}


def fingerprint(name: str) -> str:
    """Sixteen hexadecimal digits that change with any number in the figure."""
    return hashlib.sha256(json.dumps(PICTURES[name][0]()).encode()).hexdigest()[:16]


def is_current(name: str) -> bool:
    """Whether the picture shows today's results."""
    from PIL import Image

    picture = STATIC / name
    return picture.exists() and Image.open(picture).info.get("Comment") == fingerprint(name)


def main() -> int:
    if "--write" not in sys.argv:
        return 0 if all(map(is_current, PICTURES)) else 1
    from attention_course import plotting

    plotting.use_style()
    for name, (_, draw) in PICTURES.items():
        draw().savefig(STATIC / name, dpi=140, metadata={"Comment": fingerprint(name)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
