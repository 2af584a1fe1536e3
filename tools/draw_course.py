"""Draws `_static/course.png`, the figure on the front page, from the recorded results.

    python tools/draw_course.py           say whether it is out of date (exit status 1 if so)
    python tools/draw_course.py --write   draw it

The picture carries a fingerprint of the numbers in it, so that a changed result is noticed.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

PICTURE = Path(__file__).resolve().parent.parent / "_static" / "course.png"


def fingerprint() -> str:
    """Sixteen hexadecimal digits that change with any number in the figure."""
    from attention_course.plotting import course

    numbers = {
        model: [
            [course.by_length(run), [run.metrics[s].get("aer") for s in course.SPLITS]]
            for run in course.recorded(model)
        ]
        for model in course.RUNS
    }
    return hashlib.sha256(json.dumps(numbers).encode()).hexdigest()[:16]


def is_current() -> bool:
    """Whether the picture shows today's results."""
    from PIL import Image

    return PICTURE.exists() and Image.open(PICTURE).info.get("Comment") == fingerprint()


def main() -> int:
    if "--write" not in sys.argv:
        return 0 if is_current() else 1
    from attention_course import plotting

    plotting.use_style()
    plotting.draw_course().savefig(PICTURE, dpi=140, metadata={"Comment": fingerprint()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
