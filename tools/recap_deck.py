"""Writes `_static/recap.csv`: the closed-book questions of all chapters, with their answers.

    python tools/recap_deck.py           say whether it is out of date (exit status 1 if so)
    python tools/recap_deck.py --write   write it

One row a question: chapter, question, answer. Programs for flash cards (Anki: File, Import) read it
as it is.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
DECK = ROOT / "_static" / "recap.csv"
BOX = re.compile(r"^:::\{admonition\} (?P<title>[^\n]+)\n(?P<body>.*?)^:::$", re.M | re.S)
ITEM = re.compile(r"^\d+\. (?P<text>.+?)(?=^\d+\. |\Z)", re.M | re.S)


def cards() -> list[tuple[str, str, str]]:
    """(title of the chapter, question, answer), in the order of the book."""
    found = []
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        title = re.search(r"^# (.+)$", text, re.M)[1]
        found += [(title, *pair) for pair in pairs_of(text)]
    return found


def pairs_of(text: str) -> list[tuple[str, str]]:
    """Questions and answers of one chapter: a box that asks, and the box "Answers" behind it."""
    found, asked = [], None
    for box in BOX.finditer(text):
        items = [" ".join(item["text"].split()) for item in ITEM.finditer(box["body"])]
        if box["title"] == "Answers" and asked:
            if len(items) != len(asked):
                raise ValueError(f"{len(asked)} questions and {len(items)} answers: {asked[0]}")
            found += zip(asked, items)
            asked = None
        elif "questions" in box["title"].lower():
            asked = items
    return found


def text_of(deck: list[tuple[str, str, str]]) -> str:
    """The file's content."""
    content = io.StringIO()
    csv.writer(content, lineterminator="\n").writerows(deck)
    return content.getvalue()


def main() -> int:
    text = text_of(cards())
    if "--write" in sys.argv:
        DECK.write_text(text, encoding="utf-8")
        return 0
    return 0 if DECK.exists() and DECK.read_text(encoding="utf-8") == text else 1


if __name__ == "__main__":
    sys.exit(main())
