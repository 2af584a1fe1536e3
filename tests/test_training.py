"""The training loop: counts, evaluations, early stops, and what it refuses."""

from itertools import count, islice

import pytest

from attention_course.training import History, fit


def _run(steps=10, batches=None, **options):
    batches = count() if batches is None else batches
    return fit(lambda batch: 1 / (batch + 1), batches, steps, progress=False, **options)


def test_one_loss_a_step_in_order():
    history = _run(4)
    assert history.steps == 4
    assert history.losses == [1, 1 / 2, 1 / 3, 1 / 4]
    assert history.evaluations == []
    assert not history.stopped_early


def test_no_batch_is_drawn_beyond_the_last_step():
    stream = count()
    _run(4, stream)
    assert list(islice(stream, 2)) == [4, 5]


def test_losses_become_plain_floats():
    assert [type(loss) for loss in _run(2, [0, 1]).losses] == [float, float]


def test_it_evaluates_every_so_many_steps_and_at_the_end():
    history = _run(10, evaluate=lambda: {"exact": 0.5}, evaluate_every=4)
    assert history.evaluations == [(step, {"exact": 0.5}) for step in (4, 8, 10)]


def test_it_does_not_evaluate_the_last_step_twice():
    for steps in (8, None):
        batches = None if steps else range(8)
        history = _run(steps, batches, evaluate=lambda: {"exact": 0.5}, evaluate_every=4)
        assert [step for step, _ in history.evaluations] == [4, 8]


def test_evaluation_sees_the_updates_made_so_far():
    updates = []
    history = fit(
        lambda batch: updates.append(batch) or 0.0,
        count(),
        6,
        evaluate=lambda: {"updates": len(updates)},
        evaluate_every=2,
        progress=False,
    )
    assert history.curve("updates") == ([2, 4, 6], [2, 4, 6])


def test_kept_metrics_are_not_changed_by_the_next_evaluation():
    shared = {"exact": 0}

    def evaluate():
        shared["exact"] += 1
        return shared

    assert _run(3, evaluate=evaluate, evaluate_every=1).curve("exact") == ([1, 2, 3], [1, 2, 3])


def test_it_stops_when_the_metrics_are_good_enough():
    scores = iter([0.1, 0.8, 0.95, 1.0])
    history = _run(
        100,
        evaluate=lambda: {"exact": next(scores)},
        evaluate_every=5,
        stop_when=lambda metrics: metrics["exact"] >= 0.9,
    )
    assert history.stopped_early
    assert history.steps == 15
    assert history.curve("exact") == ([5, 10, 15], [0.1, 0.8, 0.95])


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_named_with_its_step(loss):
    losses = iter([1.0, 1.0, loss])
    with pytest.raises(FloatingPointError, match=f"the loss is {loss} at step 3"):
        fit(lambda batch: next(losses), count(), 10, progress=False)


def test_batches_that_end_early_are_an_error():
    with pytest.raises(RuntimeError, match="ended after 3 of 10 steps"):
        _run(10, range(3))


def test_without_a_number_of_steps_the_batches_decide():
    history = _run(None, range(7), evaluate=lambda: {"exact": 1.0}, evaluate_every=5)
    assert history.steps == 7
    assert [step for step, _ in history.evaluations] == [5, 7]


def test_the_bar_goes_to_stderr_and_only_on_request(capsys):
    fit(lambda batch: 0.25, count(), 3)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "3/3" in shown.err and "loss 0.250" in shown.err
    _run(3)
    assert capsys.readouterr().err == ""


def test_the_seconds_are_those_of_the_whole_run(monkeypatch):
    clock = iter([100.0, 107.5])
    monkeypatch.setattr("attention_course.training.perf_counter", lambda: next(clock))
    assert _run(2).seconds == 7.5


def test_an_unknown_metric_has_no_curve():
    history = History(losses=[0.1], evaluations=[(1, {"exact": 1.0})])
    with pytest.raises(KeyError):
        history.curve("bleu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps: got 0"),
        ({"evaluate_every": 0}, "evaluate_every: got 0"),
        ({"stop_when": bool}, "stop_when: got a function but evaluate=None"),
    ],
)
def test_fit_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        _run(**options)
