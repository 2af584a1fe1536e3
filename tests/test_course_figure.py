"""The figures on the front page show the recorded results and the shipped translator."""

import importlib.util
from pathlib import Path

import pytest

from attention_course.plotting import course

TOOL = Path(__file__).resolve().parent.parent / "tools" / "draw_course.py"
spec = importlib.util.spec_from_file_location("draw_course", TOOL)
draw_course = importlib.util.module_from_spec(spec)
spec.loader.exec_module(draw_course)


@pytest.mark.parametrize("name", draw_course.PICTURES)
def test_the_picture_is_drawn_from_today_s_results(name: str):
    assert draw_course.is_current(name), "run: python tools/draw_course.py --write"


def test_another_result_is_noticed(monkeypatch: pytest.MonkeyPatch):
    before = course.by_length
    monkeypatch.setattr(course, "by_length", lambda run: [*before(run)[:-1], 0.5])
    assert not draw_course.is_current("course.png")
    assert draw_course.is_current("attention.png")


def test_shares_are_weighted_by_their_sentences():
    run = course.recorded("luong")[0]
    counts = run.metrics["test"]["by_length"]
    (n3, right3), (n4, right4) = counts["3"], counts["4"]
    assert course.by_length(run)[0] == pytest.approx((n3 * right3 + n4 * right4) / (n3 + n4))
