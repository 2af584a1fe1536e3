"""The kor-eng experiment on a small hand-made file of the same format; and what is recorded."""

import unicodedata
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attention_course import results
from attention_course.corpora.anki import AnkiPair, load_anki, split_by_source
from attention_course.corpora.tokenizers import tokenize_words
from attention_course.experiments import kor_eng
from attention_course.experiments.kor_eng import UNITS

PEOPLE = {"I": "나는", "You": "너는", "Mina": "미나는", "The cat": "고양이는"}
THINGS = {"water": "물을", "tea": "차를", "milk": "우유를", "juice": "주스를", "soup": "국을"}
VERBS = {"like": "좋아한다", "want": "원한다", "need": "필요로 한다"}
WRITER = "written for the tests"


def hand_made() -> list[AnkiPair]:
    """Sixty English sentences, every third with a second translation, which drops the subject."""
    pairs = []
    for number, chosen in enumerate(product(PEOPLE, VERBS, THINGS)):
        who, does, what = chosen
        english = f"{who} {does} {what}."
        korean = f"{THINGS[what]} {VERBS[does]}."
        pairs.append(AnkiPair(english, f"{PEOPLE[who]} {korean}", f"{WRITER} #{number}"))
        if number % 3 == 0:
            pairs.append(AnkiPair(english, korean, f"{WRITER} #{number}b"))
    return sorted(pairs, key=lambda pair: len(pair.english))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """ATTENTION_COURSE_DATA names a folder that holds the hand-made file."""
    text = "".join("\t".join(pair) + "\n" for pair in hand_made())
    (tmp_path / "kor.txt").write_text(text, encoding="utf-8", newline="")
    monkeypatch.setenv("ATTENTION_COURSE_DATA", str(tmp_path))
    return tmp_path


def small(model: str) -> dict:
    """Today's settings of a model, and so little of it that a test may run it."""
    found = next(s for s in kor_eng.settings() if s["model"] == model)
    if model == "nearest":
        return found
    sizes = {"embed_size": 8, "hidden_size": 8}
    return found | {"epochs": 4, "evaluate_every": 2, "warmup": 1, "sizes": sizes}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    "text", ["나는 물을 좋아한다.", "정말 (?)", '"가자!" 그가 말했다.', "3.5%, 천 명…"]
)
def test_a_korean_text_comes_back_from_its_tokens(unit: str, text: str) -> None:
    typed_in_letters = unicodedata.normalize("NFD", text)
    for version in (text, typed_in_letters):
        tokens = UNITS[unit].cut(version)
        assert UNITS[unit].join(tokens) == text
    assert len(UNITS["syllable"].cut(typed_in_letters)) == len(text)


@given(
    st.lists(st.sampled_from(["물을", "나는", "3", "톰", "?", ".", ",", "(", ")", '"']), max_size=9)
)
def test_joined_words_are_cut_in_the_same_places(tokens: list[str]) -> None:
    if any(a.isdigit() and b in ".," for a, b in pairwise(tokens)):
        return  # 3 . 3 may become a number
    assert tokenize_words(kor_eng.join_words(tokens)) == tokens


def test_no_source_sentence_is_on_two_sides(folder) -> None:
    pairs = load_anki("kor").pairs
    assert len(pairs) == 80 and len({pair.english for pair in pairs}) == 60
    parts = split_by_source(pairs)
    assert sum(map(len, parts)) == 80 and all(parts)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert kor_eng.shared_sources(parts[one], parts[other]) == 0
    train, test = kor_eng.shuffled_split(pairs, 16)
    assert sorted(train + test) == sorted(pairs) and len(test) == 16
    assert kor_eng.shared_sources(train, test) > 0.2  # by row it is


def test_the_nearest_sentence_shares_most_words() -> None:
    pairs = hand_made()
    mine = AnkiPair("You need some water.", "", "")
    (found,) = kor_eng.nearest(pairs, [mine])
    assert found.english == "You need water."
    assert kor_eng.nearest(pairs, pairs)[5].english == pairs[5].english
    first = kor_eng.nearest(pairs, [AnkiPair("Nothing in common!", "", "")])
    assert first == [pairs[0]]


def test_vocabularies_come_from_training_and_long_pairs_are_left_out() -> None:
    train = [
        AnkiPair("a b", "가 나", ""),
        AnkiPair("a b", "가 나", ""),
        AnkiPair("a " * 9, "가", ""),
    ]
    settings = {"min_count": 2, "fixed": {"longest_source": 5, "longest_target": 5}}
    (source, target), ids = kor_eng.prepare(train, UNITS["word"], settings)
    assert {"a", "b"} <= set(source.tokens) and "나" in target
    assert ids == [(source.encode(["a", "b"]), target.encode(["가", "나"]))] * 2
    test = [AnkiPair("a c", "가 다", "")]
    assert kor_eng.unknown_shares(test, (source, target), UNITS["word"]) == [0.5, 0.5]


@pytest.mark.parametrize("unit", UNITS)
def test_the_validation_loss_is_a_mean_over_real_tokens(folder, unit: str) -> None:
    """Two batches at once or one after the other, and padding or none, make no difference."""
    pairs = load_anki("kor").pairs
    settings = small(unit)
    vocabularies, _ = kor_eng.prepare(pairs, UNITS[unit], settings)
    model = kor_eng.build(vocabularies, settings)
    arguments = (vocabularies, UNITS[unit])
    found = kor_eng.validation_loss(model, pairs, *arguments)
    alone = [kor_eng.validation_loss(model, [pair], *arguments) for pair in pairs]
    counts = [len(UNITS[unit].cut(pair.other)) + 1 for pair in pairs]
    assert found == pytest.approx(np.average(alone, weights=counts), abs=2e-4)
    assert not model.training


@pytest.mark.parametrize("model", [*UNITS, "nearest"])
def test_a_run_on_the_hand_made_file(folder, model: str) -> None:
    torch.set_num_threads(1)
    outcome = kor_eng.run(small(model))
    metrics = outcome.metrics
    assert metrics["hash"] == load_anki("kor").hash and sum(metrics["pairs"]) == 80
    known = {tuple(pair) for pair in split_by_source(load_anki("kor").pairs)[2]}
    assert {tuple(shown[:3]) for shown in metrics["examples"]} <= known
    assert all(WRITER in shown[2] for shown in metrics["examples"])
    if model == "nearest":
        assert metrics["corpus"]["rows_each"] == {"1": 40, "2": 20}
        assert metrics["corpus"]["seen_by_source"] == 0 < metrics["by_row"]["share"]
        assert outcome.curve[-1]["chrf"] == pytest.approx(metrics["validation"]["chrf"], abs=5)
    else:
        assert [point["epoch"] for point in outcome.curve] == [2, 4]
        assert outcome.curve[-1]["chrf"] == metrics["validation"]["chrf"]
        assert outcome.curve[1]["loss"] < outcome.curve[0]["loss"]


def test_the_recorded_runs_are_of_one_file_and_one_split() -> None:
    runs = results.load("kor_eng")
    assert {(run.settings["model"], run.settings["seed"]) for run in runs} == {
        *product(UNITS, kor_eng.SEEDS),
        ("nearest", 0),
    }
    facts = {(run.metrics["hash"], *run.metrics["pairs"]) for run in runs}
    assert facts == {(runs[0].metrics["hash"], 3047, 354, 397)}
    for run in runs:
        if run.settings["model"] in UNITS:
            last = {name: run.curve[-1][name] for name in ("exact", "bleu", "chrf")}
            assert last == {name: run.metrics["validation"][name] for name in last}


def test_recorded_sentences_are_few_and_carry_their_attribution() -> None:
    for run in results.load("kor_eng"):
        shown = run.metrics["examples"]
        assert len(shown) == kor_eng.SHOWN
        assert all("tatoeba.org" in pair[2] and "CC-BY 2.0" in pair[2] for pair in shown)
        if run.settings["model"] == "nearest":  # what it says is a quotation too
            assert all("tatoeba.org" in said[1] for *_, said in shown)
    assert len({tuple(p[:3]) for r in results.load("kor_eng") for p in r.metrics["examples"]}) == 10
