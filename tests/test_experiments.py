"""The recorded experiments: complete, up to date with the code, and recorded safely."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from attention_course import results
from attention_course.corpora.strings import string_batches, string_vocabulary
from attention_course.corpora.vocabulary import Vocabulary
from attention_course.experiments import EXPERIMENTS, attention_mistakes, copying, runner
from attention_course.experiments.runner import Outcome, all_settings, is_recorded, path_of, record
from attention_course.scratch.attention import AttentionWeight
from attention_course.scratch.functional import softmax


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_run_is_recorded_with_todays_settings(experiment: str) -> None:
    missing = [runner.run_name(s) for s in all_settings(experiment) if not is_recorded(s)]
    assert not missing, f"settings have changed or runs are missing: make results NAME={experiment}"


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_no_run_is_recorded_that_the_code_does_not_know(experiment: str) -> None:
    known = {path_of(settings) for settings in all_settings(experiment)}
    assert set((runner.results_folder() / experiment).iterdir()) == known


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_record_says_what_was_run_and_where(experiment: str) -> None:
    for result in results.load(experiment):
        assert result.settings_hash == results.settings_hash(result.settings)
        assert result.name == runner.run_name(result.settings)
        last = result.curve[-1]["step"]
        assert 0 < last <= result.settings.get("steps", last)
        assert {"python", "numpy"} <= result.versions.keys()
        assert result.seconds > 0
        assert result.machine


def test_names_tell_all_runs_of_an_experiment_apart() -> None:
    for experiment in EXPERIMENTS:
        paths = [path_of(settings) for settings in all_settings(experiment)]
        assert len(set(paths)) == len(paths)


def test_any_changed_setting_changes_the_hash() -> None:
    settings = {"a": 1, "fixed": {"b": (1, 2)}}
    assert results.settings_hash(settings) == results.settings_hash(
        json.loads(json.dumps(settings))
    )
    assert results.settings_hash(settings) != results.settings_hash(settings | {"a": 2})
    assert results.settings_hash(settings) != results.settings_hash(
        settings | {"fixed": {"b": (1, 3)}}
    )


def test_load_selects_by_settings() -> None:
    runs = results.load("copy_by_length", model="dot", hidden_size=64)
    assert sorted(run.settings["seed"] for run in runs) == [0, 1, 2]
    with pytest.raises(FileNotFoundError, match="make results"):
        results.load("no_such_experiment")


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type:
    """An experiment of one instant run, recorded below tmp_path."""

    class Toy:
        TOLD_APART_BY = ("seed",)
        calls = 0

        @staticmethod
        def run(settings: dict) -> Outcome:
            Toy.calls += 1
            if settings["seed"] == 13:
                raise ArithmeticError("unlucky")
            return Outcome({"exact": 1.0}, [{"step": 1, "exact": 1.0}])

    monkeypatch.setattr(runner, "_module", lambda experiment: Toy)
    monkeypatch.setattr(runner, "results_folder", lambda: tmp_path)
    return Toy


def test_a_run_counts_as_recorded_until_a_setting_changes(toy: type) -> None:
    settings = {"experiment": "toy", "seed": 0, "steps": 1}
    assert not is_recorded(settings)
    path = record(settings)
    assert is_recorded(settings)
    assert not is_recorded(settings | {"steps": 2})
    assert [p.name for p in path.parent.iterdir()] == ["seed-0.json"]


def test_a_failed_run_leaves_nothing_behind(toy: type, tmp_path: Path) -> None:
    with pytest.raises(ArithmeticError):
        record({"experiment": "toy", "seed": 13, "steps": 1})
    assert list(tmp_path.rglob("*")) == []


def test_a_run_killed_while_writing_leaves_the_old_record(
    toy: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"experiment": "toy", "seed": 0, "steps": 1}
    before = record(settings).read_text(encoding="utf-8")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        record(settings | {"steps": 2})
    assert path_of(settings).read_text(encoding="utf-8") == before


def test_models_are_shipped_beside_the_results_and_rounded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, letters = copying.build("dot", 8, seed=0), string_vocabulary()
    before = model.params["encoder.rnn.w_x"].copy()
    shipped = runner.to_ship(model, {"hidden_size": 8}, {"source": letters})
    rounded = before.astype(np.float16)
    assert (rounded != before).any() and (model.params["encoder.rnn.w_x"] == rounded).all()

    class Ships:
        TOLD_APART_BY = ("seed",)

        @staticmethod
        def run(settings: dict) -> Outcome:
            return Outcome({}, [], {"toy": shipped})

    monkeypatch.setattr(runner, "_module", lambda experiment: Ships)
    monkeypatch.setattr(runner, "results_folder", lambda: tmp_path / "results")
    record({"experiment": "toy", "seed": 0})
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["seed-0.json", "toy.npz"]
    with np.load(tmp_path / "weights" / "toy.npz") as content:
        assert content["encoder.rnn.w_x"].dtype == np.float16
        assert (content["encoder.rnn.w_x"] == rounded).all()


def test_attention_mistakes_are_the_mistakes_they_say() -> None:
    rng = np.random.default_rng(0)
    query, key = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4))
    mask, dweights = np.arange(5) < np.array([3, 5])[:, None, None], rng.normal(size=(2, 3, 5))
    right, axis, half = (
        attention_mistakes.MISTAKES[name]() for name in ("none", "axis", "diagonal")
    )
    assert type(right) is AttentionWeight
    weights = right.forward(query, key, mask)
    columns = axis.forward(query, key, mask)
    expected = softmax(query @ key.swapaxes(1, 2), axis=1) * mask
    assert np.allclose(columns, expected) and not np.allclose(columns.sum(axis=-1), 1)
    assert (half.forward(query, key, mask) == weights).all()

    # Of the wrong axis only the axis is wrong: its gradient is that of what it computes.
    dquery, step = axis.backward(dweights)[0], 1e-6
    moved = np.zeros_like(query)
    moved[0, 1, 2] = step
    losses = [(axis.forward(q, key, mask) * dweights).sum() for q in (query + moved, query - moved)]
    assert abs(dquery[0, 1, 2] - (losses[0] - losses[1]) / (2 * step)) < 1e-8
    diagonal = weights * (1 - weights) * dweights
    assert np.allclose(half.backward(dweights)[0], diagonal @ key)
    assert not np.allclose(right.backward(dweights)[0], diagonal @ key)


def test_unknown_names_are_refused_with_the_known_ones(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        runner.main(["copy_by_lenght"])
    message = capsys.readouterr().err
    assert "copy_by_lenght" in message and "copy_by_length" in message


def test_list_runs_nothing(capsys: pytest.CaptureFixture) -> None:
    assert runner.main(["--list"]) == 0
    assert capsys.readouterr().out.count("runs recorded") == len(EXPERIMENTS)


def test_padding_mistakes_are_the_mistakes_they_say() -> None:
    batch = next(string_batches(8, (3, 9), string_vocabulary(), seed=0))
    blind, paid = copying.blind_to_padding(batch), copying.pads_in_loss(batch)
    assert blind.source_mask.all() and (blind.target_mask == batch.target_mask).all()
    assert paid.target_mask.all() and (paid.source_mask == batch.source_mask).all()


def test_copies_do_not_depend_on_the_width_unless_blind() -> None:
    model, letters = copying.build("plain", 16, seed=0), string_vocabulary()
    strings = ["abc", "hfgi", "b"]
    assert copying.copies(model, strings, letters) == copying.copies(
        model, strings, letters, width=20
    )
    state = model.start(*_encoded(letters, 20, [4] * 3))[0].context
    assert abs(state - model.start(*_encoded(letters, 20, [20] * 3))[0].context).max() > 1e-3


def _encoded(letters: Vocabulary, width: int, lengths: list[int]) -> tuple[np.ndarray, np.ndarray]:
    rows = [letters.encode("hfgi") + [letters.pad] * (width - 4)] * 3
    return np.array(rows), np.array(lengths)
