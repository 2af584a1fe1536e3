"""The deck of questions is that of today's chapters."""

import importlib.util
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parent.parent / "tools" / "recap_deck.py"
spec = importlib.util.spec_from_file_location("recap_deck", TOOL)
recap_deck = importlib.util.module_from_spec(spec)
spec.loader.exec_module(recap_deck)

CHAPTER = """# A chapter

:::{admonition} Two questions
:class: tip

1. Why
   so?
2. What, then?
:::

:::{admonition} Answers
:class: dropdown

1. Because.
2. This.
:::
"""


def test_the_deck_is_current():
    deck = recap_deck.text_of(recap_deck.cards())
    assert recap_deck.DECK.read_text(encoding="utf-8") == deck, (
        "run: python tools/recap_deck.py --write"
    )


def test_every_chapter_but_the_first_asks():
    titles = {title for title, _, _ in recap_deck.cards()}
    assert len(titles) >= 5 and len(recap_deck.cards()) >= 15


def test_questions_meet_their_answers():
    assert recap_deck.pairs_of(CHAPTER) == [("Why so?", "Because."), ("What, then?", "This.")]


def test_a_lost_answer_is_reported():
    with pytest.raises(ValueError, match="2 questions and 1 answers: Why so"):
        recap_deck.pairs_of(CHAPTER.replace("2. This.\n", ""))
