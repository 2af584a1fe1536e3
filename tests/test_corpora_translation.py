"""The translation corpus: links by shared concepts, right English, splits that share nothing."""

from collections import Counter
from itertools import combinations as pairs_of

import numpy as np
import pytest

from attention_course.corpora.grammar.english import indefinite, realise_english
from attention_course.corpora.grammar.meaning import (
    Clause,
    Phrase,
    Sentence,
    Thing,
    chooser,
    combinations,
    person,
    read_lexicon,
)
from attention_course.corpora.translation import (
    LONGEST_TRAINING,
    Translation,
    Word,
    align,
    hold_out,
    load_translation,
)

CAT, HOUSE = Thing("cat", "the"), Thing("house", "the")


def english(*subject: Thing, verb: str = "see", **rest) -> str:
    meaning = Sentence((Clause(subject, verb, **rest),))
    return " ".join(word.text for word in realise_english(meaning))


# --- Alignment ---------------------------------------------------------------------------------


def test_equal_sure_concepts_make_sure_links():
    source = [Word("cats", ("who",)), Word("sleep", ("what",))]
    target = [Word("dorment", ("what",)), Word("chats", ("who",))]
    pair = align(source, target)
    assert pair.source == ("cats", "sleep")
    assert pair.target == ("dorment", "chats")
    assert pair.sure == {(0, 1), (1, 0)}  # (target, source)
    assert pair.possible == pair.sure


def test_one_word_for_several_and_several_for_one():
    source = [Word("to", ("to",)), Word("us", ("whom",)), Word("not", ("not",))]
    target = [Word("ne", ("not",)), Word("nous", ("to", "whom")), Word("pas", ("not",))]
    assert align(source, target).sure == {(0, 2), (1, 0), (1, 1), (2, 2)}


@pytest.mark.parametrize("side", ["source", "target", "both"])
def test_a_concept_that_is_only_possible_makes_possible_links(side):
    weak = Word("de", (), ("what",))
    strong = Word("apple", ("what",))
    source = [weak if side != "target" else strong, Word("red", ("how",))]
    target = [Word("rouge", ("how",)), weak if side != "source" else strong]
    pair = align(source, target)
    assert pair.sure == {(0, 1)}
    assert pair.possible == {(0, 1), (1, 0)}


def test_words_without_a_common_concept_stay_unlinked():
    pair = align([Word("does"), Word("a", ("x",))], [Word("un", ("y",)), Word("de")])
    assert pair.sure == pair.possible == frozenset()


def test_more_than_25_tokens_are_an_error():
    words = [Word("very")] * 26
    assert len(align(words[:25], words[:25]).target) == 25
    with pytest.raises(ValueError, match="english, target: got 26 and 1 tokens, expected <= 25"):
        align(words, words[:1])


# --- English -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "article"),
    [
        *(("apple", "an"), ("egg", "an"), ("old", "an"), ("cat", "a"), ("house", "a")),
        *(("hour", "an"), ("honest", "an"), ("university", "a"), ("useful", "a")),
    ],
)
def test_a_and_an(word, article):
    assert indefinite(word) == article


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ({}, "he sees"),
        ({"negation": "not"}, "he does not see"),
        ({"negation": "never"}, "he never sees"),
        ({"frequency": "often"}, "he often sees"),
        ({"frequency": "often", "negation": "not"}, "he does not often see"),
        ({"modal": "must"}, "he must see"),
        ({"modal": "must", "negation": "not"}, "he must not see"),
        ({"modal": "can"}, "he can see"),
        ({"modal": "can", "negation": "not"}, "he cannot see"),
        ({"modal": "want"}, "he wants to see"),
        ({"modal": "want", "negation": "not"}, "he does not want to see"),
        ({"verb": "be", "adjectives": ("old",)}, "he is old"),
        ({"verb": "be", "adjectives": ("old",), "negation": "not"}, "he is not old"),
        ({"verb": "be", "adjectives": ("old",), "frequency": "often"}, "he is often old"),
        ({"verb": "have"}, "he has"),
        ({"verb": "go"}, "he goes"),
        ({"verb": "cry"}, "he cries"),
        ({"verb": "play"}, "he plays"),
        ({"verb": "wash"}, "he washes"),
        ({"verb": "look at"}, "he looks at"),
        ({"verb": "wait for", "negation": "not"}, "he does not wait for"),
    ],
)
def test_verbs(rest, expected):
    assert english(Thing("he"), **rest) == expected


@pytest.mark.parametrize(
    ("pronoun", "forms"),
    [
        ("i", "i see|i am|i do not see"),
        ("you", "you see|you are|you do not see"),
        ("she", "she sees|she is|she does not see"),
        ("we", "we see|we are|we do not see"),
        ("they", "they see|they are|they do not see"),
    ],
)
def test_the_verb_agrees_with_its_subject(pronoun, forms):
    subject = Thing(pronoun)
    said = [english(subject), english(subject, verb="be"), english(subject, negation="not")]
    assert said == forms.split("|")


def test_two_subjects_are_plural():
    assert person((CAT, HOUSE)) == 5
    assert english(CAT, HOUSE, verb="be") == "the cat and the house are"


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (Thing("i"), "me"),
        (Thing("she"), "her"),
        (Thing("it"), "it"),
        (Thing("child", "this", True), "these children"),
        (Thing("child", "that"), "that child"),
        (Thing("city", "my", True), "my cities"),
        (Thing("box", "two", True), "two boxes"),
        (Thing("apple", "a"), "an apple"),
        (Thing("apple", "a", False, ("red",)), "a red apple"),
        (Thing("egg", "", True), "eggs"),
        (Thing("door", "the", of=HOUSE), "the door of the house"),
        (Thing("man", "the", relative=Clause((), "sing")), "the man who sings"),
        (Thing("cat", "the", True, relative=Clause((), "sleep")), "the cats that sleep"),
    ],
)
def test_things(thing, expected):
    assert english(Thing("he"), object=(thing,)) == f"he sees {expected}"


def test_the_order_of_a_full_clause():
    said = english(
        Thing("she"),
        verb="give",
        object=(Thing("it"),),
        recipient=Thing("we"),
        phrases=(Phrase("in front of", HOUSE),),
        time="in the morning",
    )
    assert said == "she gives it to us in front of the house in the morning"
    assert english(Thing("cat", "a"), verb="there", phrases=(Phrase("in", HOUSE),)) == (
        "there is a cat in the house"
    )


def test_every_content_word_knows_its_concept():
    clause = Clause((CAT,), "look at", (HOUSE,), negation="not")
    words = realise_english(Sentence((clause, Clause((CAT,), "sleep")), ("and",)))
    concepts = {word.text: word.sure for word in words}
    assert concepts["house"] == (("object", "noun"),)
    assert concepts["look"] == concepts["at"] == (("verb",),)
    assert concepts["does"] == ()
    assert concepts["sleeps"] == ((1, "verb"),)
    assert [w.sure for w in words if w.text == "cat"] == [
        (("subject", "noun"),),
        ((1, "subject", "noun"),),
    ]


# --- Meanings ----------------------------------------------------------------------------------


def test_combinations_beside_the_noun_and_of_the_subject():
    old_tree = Thing("tree", "the", False, ("old", "green"))
    relative = Clause((), "be", adjectives=("tall",))
    boy = Thing("boy", "the", relative=relative)
    clauses = (
        Clause((boy,), "see", (Thing("door", "the", of=Thing("house", "the", False, ("red",))),)),
        Clause((Thing("he"),), "be", adjectives=("sad",)),
        Clause((CAT, HOUSE), "be", adjectives=("small",), phrases=(Phrase("near", old_tree),)),
    )
    assert Counter(combinations(Sentence(clauses, ("and", "and")))) == Counter(
        [
            *(("tall", "boy"), ("red", "house"), ("old", "tree"), ("green", "tree")),
            *(("small", "cat"), ("small", "house")),
        ]
    )


def test_choose_is_even_and_seeded():
    choose, again, other = chooser(0), chooser(0), chooser(1)
    drawn = [choose("abcd") for _ in range(8_000)]
    assert drawn == [again("abcd") for _ in range(8_000)]
    assert drawn != [other("abcd") for _ in range(8_000)]
    # Four standard deviations of a count with n = 8,000 and p = 1/4.
    assert all(abs(drawn.count(letter) - 2_000) < 155 for letter in "abcd")


def test_a_lexicon_row_of_another_width_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("attention_course.corpora.grammar.meaning.files", lambda _: tmp_path)
    (tmp_path / "lexicons").mkdir()
    for name, text in (("wide", "a\tb\nx\ty\tz\n"), ("twice", "a\tb\nx\ty\nx\tz\n")):
        (tmp_path / "lexicons" / f"{name}.tsv").write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=f"{name}.tsv: got .* expected 2 columns"):
            read_lexicon(name)


# --- Splits ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus() -> Translation:
    return load_translation()


def test_sizes(corpus):
    assert [len(part) for part in corpus] == [30_000, 1_000, 1_000, 1_000, 1_000]
    assert corpus._fields == ("train", "validation", "test", "combinations", "longer")


def test_no_source_sentence_stands_in_two_places(corpus):
    sources = [{pair.source for pair in part} for part in corpus]
    assert [len(part) for part in sources] == [len(part) for part in corpus]
    for one, other in pairs_of(sources, 2):
        assert one.isdisjoint(other)


def test_lengths(corpus):
    for part in corpus:
        for pair in part:
            assert 3 <= len(pair.source) <= 25
            assert 3 <= len(pair.target) <= 25
    assert max(len(pair.source) for pair in corpus.train) == LONGEST_TRAINING
    assert min(len(pair.source) for pair in corpus.longer) > LONGEST_TRAINING
    assert max(len(pair.source) for pair in corpus.longer) >= 22


def test_links_stay_inside_the_sentences(corpus):
    for part in corpus:
        for pair in part:
            assert pair.sure <= pair.possible
            assert all(t < len(pair.target) and j < len(pair.source) for t, j in pair.possible), (
                pair
            )


def test_held_out_combinations_are_new_but_their_words_are_not(corpus):
    held_out = held_out_of(corpus)
    common = [pair for part in (corpus.train, corpus.validation, corpus.test) for pair in part]
    seen = {combination for pair in common for combination in pair.combinations}
    assert len(held_out) >= 20
    assert held_out.isdisjoint(seen)
    assert held_out.isdisjoint(c for pair in corpus.longer for c in pair.combinations)
    for adjective, noun in held_out:
        assert sum(adjective == a for a, _ in seen) >= 3
        assert sum(noun == n for _, n in seen) >= 3


def held_out_of(corpus: Translation) -> set[tuple[str, str]]:
    """Combinations that occur in that split and not in training."""
    trained = {c for pair in corpus.train for c in pair.combinations}
    new = [{c for c in pair.combinations if c not in trained} for pair in corpus.combinations]
    assert all(new)  # every sentence of the split has one
    return set.union(*new)


def test_every_word_of_the_other_splits_occurs_in_training(corpus):
    for side in ("source", "target"):
        known = {word for pair in corpus.train for word in getattr(pair, side)}
        for part in corpus[1:]:
            assert {word for pair in part for word in getattr(pair, side)} <= known


def test_the_first_thousand_cover_the_vocabulary(corpus):
    for side in ("source", "target"):
        every = {word for pair in corpus.train for word in getattr(pair, side)}
        first = {word for pair in corpus.train[:1_000] for word in getattr(pair, side)}
        assert len(first) >= 0.98 * len(every)


def test_train_validation_and_test_are_alike(corpus):
    """Short sentences run out first: without a shuffle the later parts are longer."""
    common = [*corpus.train[1_000:], *corpus.validation, *corpus.test]
    lengths = np.array([len(pair.source) for pair in common])
    parts = [*lengths[:29_000].reshape(10, 2_900), lengths[29_000:30_000], lengths[30_000:]]
    for part in parts:  # four standard errors of a mean
        error = lengths.std() / np.sqrt(len(part))
        assert abs(part.mean() - lengths.mean()) < 4 * error
    numbers = np.arange(29_000)
    assert abs(np.corrcoef(numbers, lengths[:29_000])[0, 1]) < 4 / np.sqrt(29_000)


def test_the_corpus_is_made_once():
    assert load_translation("french") is load_translation()


def test_an_unknown_language_is_an_error():
    with pytest.raises(ValueError, match="language: got 'german', expected \"french\""):
        load_translation("german")


def test_hold_out_leaves_every_word_enough():
    fitting = [(f"a{i}", f"n{j}") for i in range(12) for j in range(15) if (i + j) % 5]
    held = hold_out(fitting)
    assert held == hold_out(fitting)
    assert held < set(fitting)
    assert 0.06 * len(fitting) <= len(held) <= 0.1 * len(fitting)
    for side in (0, 1):
        before = Counter(pair[side] for pair in fitting)
        after = Counter(pair[side] for pair in fitting if pair not in held)
        assert all(after[word] >= max(4, 0.75 * before[word]) for word in before)
    assert hold_out([("a", f"n{j}") for j in range(20)]) == frozenset()  # each noun has but one
