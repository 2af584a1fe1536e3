"""The shipped models: small, loadable by every framework, and as good as their record says."""

import importlib
from importlib.resources import files

import numpy as np
import pytest
import torch

from attention_course import pretrained, results
from attention_course.corpora.dates import load_dates
from attention_course.corpora.translation import load_translation
from attention_course.corpora.vocabulary import Vocabulary
from attention_course.experiments import (
    copy_by_length,
    dates_attention,
    english_french,
    luong,
    memory_copy,
    transformer,
)
from attention_course.experiments.converting import convert
from attention_course.experiments.copying import exact_by_length
from attention_course.experiments.translating import translate
from attention_course.metrics import exact_match
from attention_course.pretrained import Pretrained

FOLDER = files("attention_course.assets") / "weights"
NAMES = sorted(entry.name[:-4] for entry in FOLDER.iterdir())
MEBIBYTE = 2**20
# Two answers of 200: what another processor's rounding may turn.
MARGIN = 0.01


def build(name: str, framework: str = "scratch"):
    shipped = pretrained.load(name)
    files = {"BahdanauSeq2Seq": "bahdanau", "LuongSeq2Seq": "luong"}
    files |= {"NeuralTuringMachine": "memory", "Transformer": "transformer"}
    file = files.get(shipped.model, "seq2seq")
    module = importlib.import_module(f"attention_course.{framework}.{file}")
    weights = importlib.import_module(f"attention_course.{framework}.weights")
    model = getattr(module, shipped.model)(**shipped.sizes)
    weights.from_arrays(model, shipped.weights)
    return model, shipped.vocabularies


def recorded(experiment: str, wanted: dict) -> dict:
    (run,) = results.load(experiment, **wanted)
    return run.metrics


def test_files_are_small_half_precision_and_no_more_than_the_experiments_ship():
    sizes = [len((FOLDER / f"{name}.npz").read_bytes()) for name in NAMES]
    assert max(sizes) <= 2 * MEBIBYTE and sum(sizes) <= 10 * MEBIBYTE
    assert {a.dtype for name in NAMES for a in pretrained.load(name).weights.values()} == {
        np.dtype(np.float16)
    }
    translators = ["english_french", "english_korean", "transformer"]
    assert sorted(NAMES) == sorted(["copy", "dates", "ntm", "sentiment", *translators])


def test_dates_are_as_right_as_recorded():
    model, vocabularies = build("dates")
    pairs = load_dates().test[:200]
    said = convert(model, [p.source for p in pairs], *vocabularies.values())
    right = exact_match(said, [p.target for p in pairs])
    metrics = recorded("dates_attention", dates_attention.SHIPPED)
    assert abs(right - metrics["test_200_shipped"]) <= MARGIN
    assert metrics["test_200_shipped"] > 0.98


def test_copies_are_as_right_as_recorded():
    model, _ = build("copy")
    exact = exact_by_length(model, (5, 15, 25), 200, 77)
    metrics = recorded("copy_by_length", copy_by_length.SHIPPED)["exact_200_shipped"]
    for length, right in exact.items():
        assert abs(right - metrics[length]) <= MARGIN
    assert metrics["15"] > 0.8 > 0.2 > metrics["25"]


TRANSLATORS = [
    ("english_french", "french", english_french),
    ("english_korean", "korean", luong),
    ("transformer", "korean", transformer),
]


@pytest.mark.parametrize(("name", "language", "experiment"), TRANSLATORS)
def test_translations_are_as_right_as_recorded(name, language, experiment):
    model, vocabularies = build(name, "pytorch")
    pairs = load_translation(language).test[:200]
    said = translate(model, [p.source for p in pairs], *vocabularies.values())
    metrics = recorded(experiment.__name__.rpartition(".")[2], experiment.SHIPPED)
    right = exact_match(said, [list(p.target) for p in pairs])
    assert abs(right - metrics["test_200_shipped"]) <= MARGIN
    assert metrics["test_200_shipped"] > 0.9


@pytest.mark.parametrize(("name", "language"), [row[:2] for row in TRANSLATORS])
@pytest.mark.parametrize("framework", ["scratch", "keras"])
def test_every_framework_translates_alike(framework, name, language):
    sources = [pair.source for pair in load_translation(language).test[:40]]
    reference, vocabularies = build(name, "pytorch")
    model, _ = build(name, framework)
    for beam_size in (1, 3):
        arguments = (sources, *vocabularies.values(), beam_size)
        assert translate(model, *arguments) == translate(reference, *arguments)


@pytest.mark.parametrize("framework", ["pytorch", "keras"])
def test_every_framework_reads_the_file_and_answers_alike(framework):
    texts = [pair.source for pair in load_dates().test[:40]]
    reference, vocabularies = build("dates")
    model, _ = build("dates", framework)
    expected = convert(reference, texts, *vocabularies.values())
    assert convert(model, texts, *vocabularies.values()) == expected


@pytest.mark.parametrize("framework", ["pytorch", "scratch"])
def test_bits_are_copied_as_right_as_recorded(framework):
    machine, _ = build("ntm", framework)

    def answer(inputs):
        if framework == "pytorch":
            return machine(inputs)
        return torch.as_tensor(machine.forward(inputs.numpy()))

    right = memory_copy.right_by_length(answer, (1, 10, 20, 30, 40), 100)
    metrics = recorded("memory_copy", memory_copy.SHIPPED)["shipped"]
    for length, bits in right["bits"].items():
        assert abs(bits - metrics["bits"][length]) <= MARGIN
    assert metrics["sequences"]["10"] == 1 and metrics["bits"]["20"] > 0.99
    assert metrics["bits"]["40"] < 0.75, "there are 32 rows"


def test_a_file_says_all_that_was_put_in(tmp_path, monkeypatch):
    tokens = Vocabulary(("b", "a"))
    weights = {"x.y": np.array([[0.5, -2.0]]), "z": np.zeros(3)}
    model = Pretrained(weights, "Seq2Seq", {"cell": "gru", "embed_size": 3}, {"source": tokens})
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "some.npz").write_bytes(model.to_bytes())
    monkeypatch.setattr(pretrained, "files", lambda package: tmp_path)
    again = pretrained.load("some")
    assert (again.model, again.sizes, again.vocabularies) == (
        model.model,
        model.sizes,
        model.vocabularies,
    )
    assert again.weights.keys() == weights.keys()
    assert all(np.array_equal(again.weights[name], weights[name]) for name in weights)
    assert {array.dtype for array in again.weights.values()} == {np.dtype(np.float16)}
    with pytest.raises(
        FileNotFoundError, match=r"no shipped weights 'other'; there are \['some'\]"
    ):
        pretrained.load("other")


def test_weights_too_large_for_half_precision_are_refused():
    model = Pretrained({"fine": np.ones(2), "huge": np.array([1e6])}, "Seq2Seq", {}, {})
    with pytest.raises(ValueError, match=r"not finite in float16: \['huge'\]"):
        model.to_bytes()
