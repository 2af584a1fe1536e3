"""The vocabulary: ids found by name, a round trip, errors that say what is wrong."""

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_course.corpora.vocabulary import SPECIALS, Vocabulary

WORDS = st.lists(st.text("abcdé나", min_size=1, max_size=4), unique=True, max_size=8)


def test_the_special_tokens_come_first_and_are_found_by_name():
    vocabulary = Vocabulary(("la", "là"))
    assert vocabulary.to_list() == ["<pad>", "<unk>", "<sos>", "<eos>", "la", "là"]
    assert [vocabulary.pad, vocabulary.unk, vocabulary.sos, vocabulary.eos] == [0, 1, 2, 3]
    assert len(vocabulary) == 6
    assert "là" in vocabulary and "lá" not in vocabulary


def test_the_ids_follow_the_names_wherever_they_stand():
    vocabulary = Vocabulary(("x", "<eos>", "y", "<unk>", "<pad>", "<sos>"))
    assert [vocabulary.pad, vocabulary.unk, vocabulary.sos, vocabulary.eos] == [4, 3, 5, 1]
    assert vocabulary.encode(["y", "?"]) == [2, 3]
    assert vocabulary.decode([5, 0, 4, 2, 1, 0]) == ["x", "y"]


def test_specials_may_have_other_names():
    vocabulary = Vocabulary(("a",), specials=("_", "?", "(", ")"))
    assert vocabulary.tokens == ("_", "?", "(", ")", "a")
    assert vocabulary.tokens[vocabulary.eos] == ")"


@given(WORDS)
@settings(max_examples=10, deadline=None)
def test_encode_and_decode_are_inverse(words):
    vocabulary = Vocabulary(tuple(words))
    ids = vocabulary.encode(words)
    assert vocabulary.decode(ids) == words
    assert all(i >= len(SPECIALS) for i in ids)


@given(WORDS)
@settings(max_examples=10, deadline=None)
def test_a_stored_list_gives_the_same_vocabulary(words):
    vocabulary = Vocabulary(tuple(words))
    assert Vocabulary(vocabulary.to_list(), vocabulary.specials) == vocabulary
    assert pickle.loads(pickle.dumps(vocabulary)) == vocabulary


def test_an_unknown_token_becomes_unk():
    vocabulary = Vocabulary(("a", "b"))
    assert vocabulary.encode("axb") == [4, vocabulary.unk, 5]
    assert vocabulary.decode([4, vocabulary.unk]) == ["a", "<unk>"]


def test_decode_stops_at_eos_and_drops_pad_and_sos():
    vocabulary = Vocabulary(("a", "b"))
    ids = [vocabulary.sos, 4, vocabulary.pad, 5, vocabulary.eos, 4]
    assert vocabulary.decode(ids) == ["a", "b"]
    assert vocabulary.decode(np.array(ids)) == ["a", "b"]


@pytest.mark.parametrize("wrong", [-1, 6])
def test_decode_refuses_an_id_outside_the_vocabulary(wrong):
    with pytest.raises(ValueError, match=f"ids: got {wrong}, expected 0 to 5"):
        Vocabulary(("a", "b")).decode([4, wrong])


def test_decode_refuses_ids_that_are_not_integers():
    with pytest.raises(TypeError):
        Vocabulary(("a", "b")).decode([4.0])


def test_from_sequences_sorts_by_count_then_token():
    text = [["b", "b", "c"], ["a", "c", "b"]]
    assert Vocabulary.from_sequences(text).tokens[4:] == ("b", "c", "a")
    assert Vocabulary.from_sequences(reversed(text)).tokens[4:] == ("b", "c", "a")
    assert Vocabulary.from_sequences(["zy", "xw"]).tokens[4:] == ("w", "x", "y", "z")


def test_from_sequences_leaves_rare_tokens_out():
    vocabulary = Vocabulary.from_sequences(["aab", "ac"], min_count=2)
    assert vocabulary.tokens[4:] == ("a",)
    with pytest.raises(ValueError, match="min_count: got 0"):
        Vocabulary.from_sequences(["a"], min_count=0)


def test_from_sequences_refuses_special_tokens_in_the_text():
    with pytest.raises(ValueError, match=r"special tokens \['<eos>'\]"):
        Vocabulary.from_sequences([["a", "<eos>"]])


def test_duplicates_are_refused_and_named():
    with pytest.raises(ValueError, match=r"duplicates \['b'\]"):
        Vocabulary(("a", "b", "b"))


def test_a_missing_special_is_named():
    with pytest.raises(ValueError, match=r"special tokens \['<unk>', '<sos>'\] are missing"):
        Vocabulary(("<pad>", "<eos>", "a"))


@pytest.mark.parametrize("specials", [("<pad>", "<unk>", "<sos>"), ("_", "_", "(", ")")])
def test_the_specials_must_be_four_different_names(specials):
    with pytest.raises(ValueError, match="expected four different names"):
        Vocabulary(("a",), specials)


def test_tokens_must_be_text():
    with pytest.raises(TypeError, match="tokens: got 3, expected only str"):
        Vocabulary(("a", 3))


def test_it_is_frozen_and_keeps_no_tie_to_the_list_it_was_made_of():
    words = ["a"]
    vocabulary = Vocabulary(words)
    words.append("b")
    vocabulary.to_list().append("c")
    assert len(vocabulary) == 5
    with pytest.raises(dataclasses.FrozenInstanceError):
        vocabulary.pad = 7
