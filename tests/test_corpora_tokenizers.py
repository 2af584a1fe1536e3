"""Tokenizers: every character that published filters have lost must come through."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_course.corpora.tokenizers import (
    join_characters,
    tokenize_characters,
    tokenize_words,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # French: a filter to a-z gives "s ur", "c ur", "j ai ans", and merges là with la.
        ("Ma sœur", ["Ma", "sœur"]),
        ("mon cœur", ["mon", "cœur"]),
        ("J'ai 30 ans.", ["J'ai", "30", "ans", "."]),
        ("là, où la mer", ["là", ",", "où", "la", "mer"]),
        # A space put only after the mark leaves "away!" one token.
        ("go away!", ["go", "away", "!"]),
        ("Go?!", ["Go", "?", "!"]),
        # Spanish: accents turned into blanks give "aqu", "a os", "abr zame".
        ("¿Está aquí?", ["¿", "Está", "aquí", "?"]),
        ("tres años", ["tres", "años"]),
        ("¡Abrázame!", ["¡", "Abrázame", "!"]),
        ("나는 점심을 먹는다.", ["나는", "점심을", "먹는다", "."]),
        ("Straße, Ångström, naïve", ["Straße", ",", "Ångström", ",", "naïve"]),
    ],
)
def test_nothing_that_is_written_gets_lost(text, words):
    assert tokenize_words(text) == words
    assert tokenize_words(unicodedata.normalize("NFD", text)) == words
    assert tokenize_characters(unicodedata.normalize("NFD", text)) == list(text)


def test_accents_make_different_words():
    words = tokenize_words("la là ou où")
    assert len(set(words)) == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("l\u2019homme aujourd\u2019hui", ["l'homme", "aujourd'hui"]),
        ("don't rock'n'roll", ["don't", "rock'n'roll"]),
        ("'tis the students' 'x'", ["'", "tis", "the", "students", "'", "'", "x", "'"]),
        ("\u2018so\u2019", ["\u2018", "so", "\u2019"]),
        ("the \u201990s", ["the", "\u2019", "90s"]),
    ],
)
def test_apostrophes(text, words):
    assert tokenize_words(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3.14", ["3.14"]),
        ("1,000,000.50", ["1,000,000.50"]),
        ("It cost 30, or 1,000.", ["It", "cost", "30", ",", "or", "1,000", "."]),
        ("the 3rd, A4", ["the", "3rd", ",", "A4"]),
        ("10:30", ["10", ":", "30"]),
        ("50%", ["50", "%"]),
    ],
)
def test_numbers(text, words):
    assert tokenize_words(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("arc-en-ciel", ["arc-en-ciel"]),
        ("a 20-year-old t-shirt", ["a", "20-year-old", "t-shirt"]),
        ("1970-2017", ["1970", "-", "2017"]),
        ("2024-03-03", ["2024", "-", "03", "-", "03"]),
        ("so - or--so -", ["so", "-", "or", "-", "-", "so", "-"]),
        ("under_score", ["under", "_", "score"]),
    ],
)
def test_hyphens(text, words):
    assert tokenize_words(text) == words


def test_marks_without_a_composed_form_stay_with_their_letter():
    assert unicodedata.normalize("NFC", "m\u0303") == "m\u0303"
    assert tokenize_words("m\u0303a la") == ["m\u0303a", "la"]


def test_lower_case_keeps_accents_and_composes_again():
    assert tokenize_words("ÉTÉ Sœur", lower=True) == ["été", "sœur"]
    assert tokenize_words("ÉTÉ Sœur") == ["ÉTÉ", "Sœur"]
    assert tokenize_words("J\u030c", lower=True) == ["\u01f0"]  # only the small letter composes


def test_any_white_space_separates_and_vanishes():
    assert tokenize_words(" a\u00a0b\tc\nd ") == ["a", "b", "c", "d"]
    assert tokenize_words("") == []


@given(st.text("aeéœ나\u1102\u1161ㄱ \n'\u0301", max_size=30))
@settings(max_examples=10, deadline=None)
def test_characters_and_text_are_inverse(text):
    composed = unicodedata.normalize("NFC", text)
    assert join_characters(tokenize_characters(text)) == composed
    assert all(len(character) == 1 for character in tokenize_characters(text))


@given(st.text("aéœ나 .,'-¿3\u0301\u2019", max_size=30))
@settings(max_examples=50, deadline=None)
def test_words_lose_nothing_but_white_space(text):
    composed = unicodedata.normalize("NFC", text).replace("\u2019", "'")
    words = "".join(tokenize_words(text)).replace("\u2019", "'")
    assert words == "".join(composed.split())


@pytest.mark.parametrize("tokenize", [tokenize_characters, tokenize_words])
def test_only_text_is_tokenised(tokenize):
    with pytest.raises(TypeError, match="text: got bytes, expected str"):
        tokenize(b"a")
