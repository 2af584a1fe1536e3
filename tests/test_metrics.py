"""Metrics: what counts and what does not."""

import logging
import math
import subprocess
import sys

import numpy as np
import pytest

from attention_course.metrics import bleu, chrf, exact_match, mean_and_interval, token_accuracy


def test_exact_match_counts_whole_sequences():
    assert exact_match([[1, 2], [3], [], [4, 5]], [[1, 2], [4], [], [4, 5, 6]]) == 0.5
    assert exact_match(["ab", "ba", "c"], ["ab", "ab", "d"]) == pytest.approx(1 / 3)


def test_exact_match_takes_tuples_and_arrays_for_lists():
    assert exact_match([np.array([1, 2]), (3,)], [[1, 2], [3]]) == 1.0


@pytest.mark.parametrize(
    ("predictions", "references", "error"),
    [
        ([[1]], [[1], [2]], ValueError),
        ([], [], ValueError),
        (["ab"], [["a", "b"]], TypeError),
    ],
)
def test_exact_match_refuses(predictions, references, error):
    with pytest.raises(error, match="predictions, references: got"):
        exact_match(predictions, references)


def test_token_accuracy_leaves_padding_out():
    targets = np.array([[4, 5, 0, 0], [6, 7, 8, 0]])
    predicted = np.array([[4, 9, 0, 0], [6, 7, 9, 9]])
    mask = np.array([[True, True, False, False], [True, True, True, False]])
    assert token_accuracy(predicted, targets, mask) == 3 / 5


def test_token_accuracy_counts_tokens_not_rows():
    targets = np.array([[4, 0, 0], [6, 7, 8]])
    predicted = np.array([[9, 0, 0], [6, 7, 8]])
    mask = np.array([[True, False, False], [True, True, True]])
    assert token_accuracy(predicted, targets, mask) == 3 / 4


@pytest.mark.parametrize(
    ("shape", "mask", "error"),
    [
        ((2, 3), np.ones((2, 2), bool), ValueError),
        ((2, 1), np.ones((2, 3), bool), ValueError),  # would broadcast
        ((3,), np.ones(3, bool), ValueError),
        ((2, 3), np.ones((2, 3)), TypeError),
        ((2, 3), np.zeros((2, 3), bool), ValueError),
    ],
)
def test_token_accuracy_refuses(shape, mask, error):
    with pytest.raises(error, match="mask"):
        token_accuracy(np.zeros(shape, int), np.zeros(shape, int), mask)


# BLEU and chrF.

SHORT, LONG = ["a b c d e"], ["a b c d e f"]


def test_bleu_by_hand_and_that_it_is_not_symmetric():
    # All n-grams are right, but 5 tokens for 6: brevity penalty exp(1 − 6/5).
    assert bleu(SHORT, LONG).value == pytest.approx(100 * math.exp(-0.2))
    # Long enough, but only 5/6, 4/5, 3/4, 2/3 of the n-grams are right: (1/3) ** (1/4).
    assert bleu(LONG, SHORT).value == pytest.approx(100 * (1 / 3) ** 0.25)


def test_chrf_by_hand_and_that_it_is_not_symmetric():
    # n = 1, 2: precision 1, recall 2/3 and 1/2; longer n-grams the prediction has none.
    recall = (2 / 3 + 1 / 2) / 2
    assert chrf(["ab"], ["abc"]).value == pytest.approx(100 * 5 * recall / (4 + recall))
    assert chrf(["abc"], ["ab"]).value == pytest.approx(100 * 5 * recall / (4 * recall + 1))


@pytest.mark.parametrize("score", [bleu, chrf])
def test_scores_are_named_so_that_order_cannot_be_mistaken(score):
    named = score(references=LONG, predictions=SHORT)
    assert named == score(SHORT, LONG) != score(LONG, SHORT)


@pytest.mark.parametrize("score", [bleu, chrf])
def test_an_empty_reference_gives_a_swap_away(score):
    assert score(["", "a b c d"], ["a b c d", "a b c d"]).value > 0
    with pytest.raises(ValueError, match=r"references: row 0 is empty.*swapped"):
        score(["a b c d", "a b c d"], [" ", "a b c d"])


def test_scores_are_of_the_corpus_not_means_over_sentences():
    predictions, references = ["a b c d e f g h", "x"], ["a b c d e f g h", "y"]
    # 8/9 of the tokens, 7/7, 6/6, 5/5 of the longer n-grams.
    assert bleu(predictions, references).value == pytest.approx(100 * (8 / 9) ** 0.25)
    assert chrf(predictions, references).value != pytest.approx(50)


@pytest.mark.parametrize("score", [bleu, chrf])
def test_all_right_is_100_and_all_wrong_0(score):
    assert score(LONG * 3, LONG * 3).value == pytest.approx(100)
    assert score(["x y z u v w"], LONG).value == pytest.approx(0)
    assert isinstance(score(LONG, LONG).value, float)


def test_the_signature_says_what_was_done():
    assert bleu(LONG, LONG).signature.startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|")
    assert "|tok:none|" in bleu(LONG, LONG, tokenize="none").signature
    assert "case:lc|" in bleu(LONG, LONG, lowercase=True).signature
    assert chrf(LONG, LONG).signature.startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|")
    assert "|nw:2|" in chrf(LONG, LONG, word_order=2).signature
    assert "case:lc|" in chrf(LONG, LONG, lowercase=True).signature


def test_the_options_do_what_they_say():
    upper = ["A B C D E F"]
    for score in (bleu, chrf):
        assert score(upper, LONG).value < 1 < 99 < score(upper, LONG, lowercase=True).value
    assert bleu(["it is red, now"], ["it is red , now"]).value == pytest.approx(100)
    assert bleu(["it is red, now"], ["it is red , now"], tokenize="none").value < 50
    assert chrf(["the cats"], ["the cat"], word_order=2) != chrf(["the cats"], ["the cat"])


def test_tokens_of_our_own_are_announced_and_no_warning_is_given(caplog):
    texts = ["학생 ##은 책 ##을 읽어요 ."] * 200
    with caplog.at_level(logging.WARNING):
        assert bleu(texts, texts, tokenize="none").value == pytest.approx(100)
    assert not caplog.records


@pytest.mark.parametrize("score", [bleu, chrf])
@pytest.mark.parametrize(
    ("predictions", "references", "error", "message"),
    [
        (["a"], ["a", "b"], ValueError, "predictions, references: got 1 and 2"),
        ([], [], ValueError, "predictions, references: got 0 and 0"),
        ("a b", ["a b"], TypeError, "predictions: got one text"),
        (["a b"], "a b", TypeError, "references: got one text"),
        ([["a", "b"]], ["a b"], TypeError, "predictions: row 0 is a list.*join tokens"),
        (["a b", "c"], ["a b", ["c"]], TypeError, "references: row 1 is a list"),
        ([[4, 5]], [[4, 5]], TypeError, "predictions: row 0 is a list"),
    ],
)
def test_scores_of_texts_refuse(score, predictions, references, error, message):
    with pytest.raises(error, match=message):
        score(predictions, references)


def test_bleu_refuses_an_unknown_tokenizer():
    with pytest.raises(ValueError, match=r"tokenize: got 'moses', expected one of .*'13a'"):
        bleu(LONG, LONG, tokenize="moses")


def test_the_other_metrics_do_without_sacrebleu():
    code = "import sys, attention_course.metrics; print('sacrebleu' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


# Intervals.


def test_the_interval_of_three_seeds_by_hand():
    # mean 2, s = 1, t(0.975; 2) = 4.3027, half width 4.3027 / sqrt(3) = 2.4842
    interval = mean_and_interval([1.0, 2.0, 3.0])
    assert interval == pytest.approx((2.0, -0.4842, 4.4842), abs=1e-4)
    assert all(isinstance(value, float) for value in interval)


def test_the_interval_covers_the_truth_in_19_of_20_cases():
    rng = np.random.default_rng(0)
    for seeds in (2, 5, 40):
        values = rng.normal(3.0, 2.0, size=(seeds, 20_000))
        _, low, high = mean_and_interval(values)
        assert np.mean((low < 3.0) & (high > 3.0)) == pytest.approx(0.95, abs=0.006)


def test_the_quantile_goes_on_smoothly_after_the_table():
    # +-1 with s = 1 exactly: the half width times sqrt(n) is the quantile.
    def quantile(n):
        values = np.random.default_rng(n).normal(size=n)
        values = (values - values.mean()) / values.std(ddof=1)
        return mean_and_interval(values).high * np.sqrt(n)

    assert quantile(31) == pytest.approx(2.0423, abs=1e-4)  # last of the table
    assert quantile(32) == pytest.approx(2.0395, abs=1e-4)
    assert quantile(1001) == pytest.approx(1.9623, abs=1e-4)


def test_a_curve_has_an_interval_at_each_point():
    curves = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    mean, low, high = mean_and_interval(curves)
    np.testing.assert_allclose(mean, [2, 0])
    np.testing.assert_allclose([low[1], high[1]], [0, 0])
    assert (low[0], high[0]) == mean_and_interval(curves[:, 0])[1:]


def test_bounds_cut_the_interval_not_the_mean():
    assert mean_and_interval([0.9, 1.0], bounds=(0, 1)) == pytest.approx((0.95, 0.3147, 1.0), 1e-3)
    assert mean_and_interval([0.9, 1.0]).high > 1


@pytest.mark.parametrize("values", [[1.0], 1.0, [], [1.0, np.nan]])
def test_mean_and_interval_refuses(values):
    with pytest.raises(ValueError, match="values: got"):
        mean_and_interval(values)
