"""Reviews: the rule of the label, what training never shows, and that no word gives it away."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from attention_course.corpora.reviews import (
    INTENSIFIERS,
    LENGTHS,
    LONG_LENGTHS,
    NEGATIVE,
    NEGATORS,
    NEVER_NEGATED,
    NEVER_WITH,
    POSITIVE,
    SIZES,
    labelled_batch,
    labelled_batches,
    load_reviews,
)
from attention_course.corpora.vocabulary import Vocabulary

REVIEWS = load_reviews()
EVERY = [review for part in REVIEWS for review in part]
VOCABULARY = Vocabulary.from_sequences(review.tokens for review in REVIEWS.train)
TEXTS, LABELS = [["not", "good"], ["good"], ["i", "saw", "it"]], [0, 1, 1]


def label_by_rule(tokens):
    """Read without looking at what the generator noted: the sentence with a verdict, its clause
    after "but", its adjective, and a negator before it.
    """
    sentences = " ".join(tokens).removesuffix(" .").split(" . ")
    (verdict,) = (s.split() for s in sentences if {*POSITIVE, *NEGATIVE} & {*s.split()})
    clause = verdict[verdict.index("but") + 1 :] if "but" in verdict else verdict
    (adjective,) = {*POSITIVE, *NEGATIVE} & {*clause}
    return int((adjective in POSITIVE) != bool({*NEGATORS} & {*clause}))


def in_training(review):
    """All (negator or None, adjective) of the review, of the clause that does not decide too."""
    pairs, negator = set(), None
    for word in review.tokens:
        if word in (".", "but"):
            negator = None
        elif word in NEGATORS:
            negator = word
        elif word in POSITIVE + NEGATIVE:
            pairs.add((negator, word))
    return pairs


def test_every_label_follows_from_the_text_by_the_rule():
    assert [label_by_rule(review.tokens) for review in EVERY] == [r.label for r in EVERY]


def test_places_point_at_what_decides():
    for tokens, _, adjective, negator, start, end in EVERY:
        assert start <= adjective == end - 1 and tokens[adjective] in POSITIVE + NEGATIVE
        assert tokens[end] == "."
        assert start == 0 or tokens[start - 1] in (".", "but")
        found = [j for j in range(start, end) if tokens[j] in NEGATORS]
        assert found == ([] if negator is None else [negator])


def test_sizes_lengths_and_that_no_text_is_there_twice():
    assert {name: len(part) for name, part in REVIEWS._asdict().items()} == SIZES
    assert len({review.tokens for review in EVERY}) == len(EVERY) == 7000
    for name, part in REVIEWS._asdict().items():
        shortest, longest = LONG_LENGTHS if name == "longer" else LENGTHS
        assert all(shortest <= len(review.tokens) <= longest for review in part)
    thirds = Counter(len(review.tokens) // 20 for review in REVIEWS.train)
    assert min(thirds[0], thirds[1], thirds[2]) > 600, "lengths should be spread"


def test_training_never_shows_what_is_held_out_but_every_word_of_it():
    shown = set().union(*map(in_training, REVIEWS.train))
    for adjective in POSITIVE + NEGATIVE:
        negators = {negator for negator, word in shown if word == adjective}
        hidden = NEGATORS if adjective in NEVER_NEGATED else {NEVER_WITH.get(adjective, "")}
        assert negators == {None, *NEGATORS} - set(hidden)


def test_the_held_out_lists_decide_by_what_is_held_out_and_hold_all_of_it():
    for part, held in (
        (REVIEWS.combinations, {(negator, word) for word, negator in NEVER_WITH.items()}),
        (REVIEWS.never_negated, {(n, word) for word in NEVER_NEGATED for n in NEGATORS}),
    ):
        assert {(r.tokens[r.negator], r.tokens[r.adjective]) for r in part} == held
    for name in ("validation", "test", "longer"):
        for review in getattr(REVIEWS, name):
            assert not any(
                word in NEVER_NEGATED or NEVER_WITH.get(word) == negator
                for negator, word in in_training(review)
                if negator
            )


def test_labels_are_balanced_in_every_list():
    for part in REVIEWS:
        assert abs(np.mean([review.label for review in part]) - 0.5) < 0.06


def test_no_word_gives_the_label_away_but_the_adjectives_that_are_never_negated():
    found, positive = Counter(), Counter()
    for review in REVIEWS.train:
        for word in set(review.tokens):
            found[word] += 1
            positive[word] += review.label
    shares = {word: positive[word] / found[word] for word in found}
    for word in (*NEGATORS, *INTENSIFIERS, "but"):
        assert abs(shares[word] - 0.5) < 0.05, word
    free = {*found} - NEVER_NEGATED - NEVER_WITH.keys()
    assert all(abs(shares[word] - 0.5) < 0.13 for word in free)
    assert all(abs(shares[word] - 0.5) > 0.2 for word in NEVER_NEGATED)
    alone = np.mean([(r.tokens[r.adjective] in POSITIVE) == r.label for r in REVIEWS.train])
    assert 0.55 < alone < 0.65


def test_most_negators_and_contrasts_decide_nothing():
    decoys = [
        sum(word in NEGATORS for j, word in enumerate(r.tokens) if j != r.negator)
        for r in REVIEWS.train
    ]
    assert np.mean(decoys) > 1
    contrasts = [r for r in REVIEWS.train if r.start and r.tokens[r.start - 1] == "but"]
    assert 0.2 < len(contrasts) / len(REVIEWS.train) < 0.35
    assert sum("but" in r.tokens for r in REVIEWS.train) > 1.4 * len(contrasts)


def test_the_first_clause_of_a_contrast_speaks_the_other_way():
    contrasts = [r for r in EVERY if r.start and r.tokens[r.start - 1] == "but"]
    for review in contrasts:
        first = " ".join(review.tokens[: review.start - 1]).split(" . ")[-1].split()
        assert label_by_rule(first) == 1 - review.label


def test_the_verdict_stands_anywhere():
    places = [r.start / len(r.tokens) for r in REVIEWS.test]
    assert min(places) == 0 and max(places) > 0.8 and 0.35 < np.mean(places) < 0.65
    ends = [r.end == len(r.tokens) - 1 for r in REVIEWS.test]
    assert 0.1 < np.mean(ends) < 0.4


def test_the_reviews_stay_the_same():
    # Stored: recorded runs would silently change with another generator.
    assert " ".join(REVIEWS.train[0].tokens) == STORED
    assert load_reviews.__wrapped__() == REVIEWS


STORED = (
    "the film has six songs in it . my cousin hardly goes out on a saturday . there was hardly "
    "anybody in row nine . it is about a pianist and a pilot . the room was so full that we sat in "
    "row two . the cast would strike anybody as so flat ."
)


def test_a_batch_holds_texts_lengths_and_labels():
    batch = labelled_batch(TEXTS, LABELS, VOCABULARY)
    assert batch.source_lengths.tolist() == [2, 1, 3] and batch.labels.tolist() == LABELS
    for row, length, text in zip(batch.source, batch.source_lengths, TEXTS, strict=True):
        assert row[:length].tolist() == VOCABULARY.encode(text)
        assert (row[length:] == VOCABULARY.pad).all()
    assert {array.dtype for array in batch} == {np.dtype(np.int64)}


def test_batches_keep_every_text_with_its_label_once_an_epoch():
    part = REVIEWS.validation[:50]
    texts, labels = [r.tokens for r in part], [r.label for r in part]
    batches = list(islice(labelled_batches(texts, labels, VOCABULARY, 16, seed=3), 8))
    for epoch in (batches[:4], batches[4:]):
        found = [
            (tuple(VOCABULARY.decode(row)), label)
            for batch in epoch
            for row, label in zip(batch.source, batch.labels.tolist(), strict=True)
        ]
        assert sorted(found) == sorted(zip(texts, labels, strict=True))
    again = next(labelled_batches(texts, labels, VOCABULARY, 16, seed=3))
    assert all((a == b).all() for a, b in zip(again, batches[0], strict=True))
    assert {array.dtype for array in again} == {np.dtype(np.int64)}


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 2], [0, 1, -1]])
def test_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(ValueError, match="labels: got"):
        labelled_batch(TEXTS, labels, VOCABULARY)
    with pytest.raises(ValueError, match="labels: got"):
        labelled_batches(TEXTS, labels, VOCABULARY, 2, seed=0)


def test_an_empty_text_and_an_impossible_batch_size_are_refused():
    with pytest.raises(ValueError, match="row 1 is empty"):
        labelled_batch([["good"], []], [1, 0], VOCABULARY)
    with pytest.raises(ValueError, match="batch_size: got 0"):
        labelled_batches(TEXTS, LABELS, VOCABULARY, 0, seed=0)
