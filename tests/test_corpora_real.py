"""The real corpora, where somebody has them; and the French tokenizer, which was made for one.

The files are looked for in ATTENTION_COURSE_DATA, then beside the checkout in shared/data. A
stranger has neither; the tests that need them are then skipped.
"""

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_course.corpora.anki import load_anki, split_by_source
from attention_course.corpora.imdb import FILE as IMDB_FILE
from attention_course.corpora.imdb import load_imdb
from attention_course.corpora.multi30k import LANGUAGES, load_multi30k
from attention_course.corpora.tokenizers import (
    join_characters,
    join_french,
    tokenize_characters,
    tokenize_french,
    tokenize_words,
)
from attention_course.corpora.vocabulary import Vocabulary


@pytest.fixture
def real(monkeypatch):
    """Gives the loaders the folder of real files if it holds `name`; skips the test if not."""

    def use(name):
        beside = Path(__file__).resolve().parents[2] / "shared" / "data"
        chosen = os.environ.get("ATTENTION_COURSE_DATA")
        for folder in filter(None, (chosen, beside)):
            if (Path(folder) / name).exists():
                monkeypatch.setenv("ATTENTION_COURSE_DATA", str(folder))
                return
        pytest.skip(f"no {name} in ATTENTION_COURSE_DATA or in {beside}")

    return use


# --- Multi30k -----------------------------------------------------------------


@pytest.mark.parametrize("target", ["fr", "de"])
def test_multi30k_is_what_was_published(real, target):
    real("multi30k")
    parts = load_multi30k("en", target)
    assert [len(part) for part in parts] == [29_000, 1_014, 1_000]
    assert all(text.strip() for part in parts for pair in part for text in pair)
    words = {"fr": "Un homme avec un chapeau orange regardant quelque chose."}
    words["de"] = "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt."
    assert parts.test[0] == ("A man in an orange hat starring at something.", words[target])
    backwards = load_multi30k(target, "en")
    assert backwards.validation == [(there, here) for here, there in parts.validation]


def test_multi30k_hardly_repeats_itself(real):
    real("multi30k")
    train, validation, test = ({source for source, _ in part} for part in load_multi30k())
    assert (len(train & validation), len(train & test)) == (1, 0)


def test_multi30k_has_every_language(real):
    real("multi30k")
    for language in LANGUAGES:
        assert load_multi30k(language, language).train[0][0]


# --- Tatoeba ------------------------------------------------------------------


def test_korean_pairs_keep_hangul_and_attribution(real):
    real("kor-eng/kor.txt")
    pairs, found = load_anki("kor")
    if found != "sha256:3988edfd32c892ccf4450772bc3a5906ebfcf3c8648f56012df204ddf27b8280":
        pytest.skip("another state of kor.txt than the one that was counted")
    assert len(pairs) == 3798
    assert pairs[0][:2] == ("Go.", "가.")
    assert all("tatoeba.org" in pair.attribution for pair in pairs)
    assert all(join_characters(tokenize_characters(pair.other)) == pair.other for pair in pairs)


def test_splitting_real_rows_would_leak(real):
    real("kor-eng/kor.txt")
    pairs = load_anki("kor").pairs
    parts = split_by_source(pairs)
    sources = [{pair.english for pair in part} for part in parts]
    assert sum(map(len, sources)) == len(set.union(*sources))
    assert 0.07 < len(parts[2]) / len(pairs) < 0.13
    # By row, every tenth held out: sentences of the test stand in training too.
    seen = {pair.english for i, pair in enumerate(pairs) if i % 10}
    leaked = sum(pair.english in seen for pair in pairs[::10]) / len(pairs[::10])
    assert leaked > 0.1


def test_the_whole_film_reviews(real):
    real(IMDB_FILE)
    for part in load_imdb():
        assert Counter(review.label for review in part) == {0: 12_500, 1: 12_500}


# --- French -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("l'homme d'un", ["l'", "homme", "d'", "un"]),
        ("L’océan, j’ai", ["L'", "océan", ",", "j'", "ai"]),
        ("qu'il s'en m'a t'ai", ["qu'", "il", "s'", "en", "m'", "a", "t'", "ai"]),
        ("jusqu'à lorsqu'il", ["jusqu'", "à", "lorsqu'", "il"]),
        ("puisqu'on quoiqu'il", ["puisqu'", "on", "quoiqu'", "il"]),
        ("n'y", ["n'", "y"]),
        ("c'est-à-dire", ["c'", "est-à-dire"]),
        ("jusqu'aujourd'hui", ["jusqu'", "aujourd'hui"]),
        # One word today, and foreign ones: whole.
        ("quelqu'un aujourd'hui presqu'île", ["quelqu'un", "aujourd'hui", "presqu'île"]),
        ("chef-d'œuvre hors-d'œuvre", ["chef-d'œuvre", "hors-d'œuvre"]),
        ("McDonald's bord'eaux 'l' d'", ["McDonald's", "bord'eaux", "'", "l", "'", "d", "'"]),
        ("D'ÉTÉ", ["D'", "ÉTÉ"]),
        ("tu'as q'un", ["tu'as", "q'un"]),  # not French as it is printed
    ],
)
def test_french_words_that_lost_their_vowel_stand_alone(text, tokens):
    assert tokenize_french(text) == tokens


def test_french_in_lower_case():
    assert tokenize_french("L'Été À l’œuvre", lower=True) == ["l'", "été", "à", "l'", "œuvre"]


@pytest.mark.parametrize(
    "text",
    [
        "Un homme (l'air las), l'œil vif, n'a qu'un chapeau.",
        'Il dit : "Où es-tu ?" et "L\'été !"',
        "Deux chiens jouent ; l'un attrape 2,52 frisbees...",
        "Des voitures garées - blanc, rouge.",
        "",
    ],
)
def test_french_text_comes_back(text):
    assert join_french(tokenize_french(text)) == text


@given(st.text("dlqué '’-.,;!?:\"()3", max_size=40))
@settings(max_examples=200)
def test_joining_french_changes_no_token(text):
    tokens = tokenize_french(text)
    assert tokenize_french(join_french(tokens)) == tokens


def test_real_french_comes_back(real):
    real("multi30k")
    lines = [french for part in load_multi30k() for _, french in part]
    straight = [" ".join(line.replace("’", "'").split()) for line in lines]
    tokens = [tokenize_french(line) for line in lines]
    joined = [join_french(words) for words in tokens]
    assert sum(a != b for a, b in zip(joined, straight)) == 29  # S.C.U.B.A., A&M, «lent», ...
    assert all(tokenize_french(text) == words for text, words in zip(joined, tokens))


def test_real_french_comes_back_as_bleu_sees_it(real):
    real("multi30k")
    count = pytest.importorskip("sacrebleu.tokenizers.tokenizer_13a").Tokenizer13a()
    lines = [french for part in load_multi30k() for _, french in part]
    joined = [join_french(tokenize_french(line)) for line in lines]
    changed = [line for line, text in zip(lines, joined) if count(text) != count(line)]
    assert len(changed) == 21
    # Three, once the reference too has straight apostrophes.
    assert sum("’" not in line for line in changed) == 3


def test_splitting_french_shrinks_the_vocabulary(real):
    real("multi30k")
    parts = load_multi30k()

    def count(tokenize, side):
        train, test = ([tokenize(pair[side], lower=True) for pair in part] for part in parts[::2])
        vocabulary = Vocabulary.from_sequences(train, min_count=2)
        ids = [i for sentence in test for i in vocabulary.encode(sentence)]
        return len(vocabulary) - 4, ids.count(vocabulary.unk), len(ids)

    assert count(tokenize_words, 0) == (5972, 232, 12956)
    assert count(tokenize_words, 1) == (6712, 270, 13505)
    assert count(tokenize_french, 1) == (6477, 254, 13993)
