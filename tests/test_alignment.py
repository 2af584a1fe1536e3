"""Links off attention weights and their error rate, against counts by hand and by enumeration."""

import doctest
from itertools import product

import numpy as np
import pytest

from attention_course import alignment
from attention_course.alignment import (
    alignment_error_rate,
    diagonal_links,
    links_of,
    oracle_floor,
    uniform_error_rate,
)

# "she does not give it to us" -> "elle ne nous le donne pas"
SURE = frozenset({(0, 0), (1, 2), (2, 5), (2, 6), (3, 4), (4, 3), (5, 2)})
POSSIBLE = SURE | {(1, 1), (4, 1)}


def gold(rng, target_length, source_length):
    """Random sure links, and possible ones that contain them; some tokens have neither."""
    places = list(product(range(target_length), range(source_length)))
    draws = dict(zip(places, rng.choice(3, size=len(places), p=[0.6, 0.2, 0.2]).tolist()))
    possible = frozenset(link for link, kind in draws.items() if kind)
    return frozenset(link for link in possible if draws[link] == 2), possible


def small_corpora(seeds=20):
    """Corpora of two sentences small enough to try every alignment with one link a token."""
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        targets, sources = rng.integers(1, 4, 2).tolist(), rng.integers(1, 4, 2).tolist()
        sure, possible = zip(*map(gold, [rng, rng], targets, sources))
        everything = [
            [frozenset(enumerate(choice)) for choice in product(range(J), repeat=I)]
            for I, J in zip(targets, sources)
        ]
        yield sure, possible, sources, targets, list(product(*everything))


def test_the_worked_examples_of_the_docstrings():
    result = doctest.testmod(alignment)
    assert result.attempted >= 8 and result.failed == 0


# The error rate.


def test_the_error_rate_by_hand():
    # A∩S = {(0,0), (4,3)} = 2; A∩P = 3 with (4,1); |A| = 5, |S| = 7.
    found = {(0, 0), (4, 3), (4, 1), (3, 6), (5, 1)}
    assert alignment_error_rate([found], [SURE], [POSSIBLE]) == pytest.approx(1 - 5 / 12)


def test_all_sure_links_and_any_possible_ones_cost_nothing():
    for extra in (set(), {(1, 1)}, {(1, 1), (4, 1)}):
        assert alignment_error_rate([SURE | extra], [SURE], [POSSIBLE]) == 0


def test_a_missing_sure_link_and_a_wrong_link_cost():
    missing = alignment_error_rate([SURE - {(0, 0)}], [SURE], [POSSIBLE])
    wrong = alignment_error_rate([SURE | {(0, 6)}], [SURE], [POSSIBLE])
    assert missing == pytest.approx(1 - 12 / 13) and wrong == pytest.approx(1 - 14 / 15)


def test_nothing_right_or_nothing_at_all_is_1():
    assert alignment_error_rate([{(0, 6)}], [SURE], [POSSIBLE]) == 1
    assert alignment_error_rate([set()], [SURE], [POSSIBLE]) == 1


def test_counts_are_summed_over_the_corpus():
    long, short = (SURE, SURE, SURE), (frozenset({(0, 1)}), frozenset({(0, 0)}), {(0, 0)})
    predicted, sure, possible = zip(long, short)
    # 14 of 16, not the mean of 0 and 1.
    assert alignment_error_rate(predicted, sure, possible) == pytest.approx(1 - 14 / 16)


@pytest.mark.parametrize(
    ("predicted", "sure", "possible", "error", "message"),
    [
        ([], [], [], ValueError, r"got \[0, 0, 0\] sentences"),
        ([SURE], [SURE, SURE], [SURE, SURE], ValueError, r"got \[1, 2, 2\] sentences"),
        ([SURE], [SURE], [SURE, SURE], ValueError, r"got \[1, 1, 2\] sentences"),
        ([SURE], [SURE], [SURE - {(2, 6)}], ValueError, r"lacks the sure link \(2, 6\)"),
        ([{(0, -1)}], [SURE], [SURE], ValueError, r"predicted: sentence 0 has \(0, -1\)"),
        ([SURE], [{(-1, 0)}], [{(-1, 0)}], ValueError, r"sure: sentence 0 has \(-1, 0\)"),
        ([{(0, 0.0)}], [SURE], [SURE], TypeError, r"has \(0, 0.0\), expected \(target index"),
        ([{(0, 0, 0)}], [SURE], [SURE], TypeError, r"has \(0, 0, 0\), expected \(target index"),
        ([[(0, 0)]], [SURE], [SURE], TypeError, "sentence 0 is a list, expected a set"),
        (list(SURE), list(SURE), list(SURE), TypeError, "sentence 0 is a tuple, expected a set"),
        ([set()], [set()], [SURE], ValueError, "got no link in any sentence"),
    ],
)
def test_the_error_rate_refuses(predicted, sure, possible, error, message):
    with pytest.raises(error, match=message):
        alignment_error_rate(predicted, sure, possible)


# What to compare it with.


def test_the_floor_is_the_best_of_all_alignments_with_one_link_a_token():
    floors = set()
    for sure, possible, _, targets, everything in small_corpora():
        best = min(alignment_error_rate(links, sure, possible) for links in everything)
        assert oracle_floor(sure, possible, targets) == pytest.approx(best)
        floors.add(round(best, 6))
    assert len(floors) > 5


def test_what_raises_the_floor():
    one = frozenset({(0, 0)})
    assert oracle_floor([one], [one], [1]) == 0
    assert oracle_floor([one], [one], [2]) == pytest.approx(1 - 2 / 3)  # a token without any link
    assert oracle_floor([one], [one | {(1, 0)}], [2]) == 0  # ... unless one is possible
    assert oracle_floor([one | {(0, 1)}], [one | {(0, 1)}], [1]) == pytest.approx(1 - 2 / 3)


def test_the_uniform_error_rate_is_the_mean_over_all_alignments():
    rates = set()
    for sure, possible, sources, targets, everything in small_corpora():
        mean = np.mean([alignment_error_rate(links, sure, possible) for links in everything])
        assert uniform_error_rate(sure, possible, sources, targets) == pytest.approx(mean)
        rates.add(round(float(mean), 6))
    assert len(rates) > 5


def test_the_uniform_error_rate_by_hand():
    # 7/7 sure and 9/7 possible hits are expected; |A| + |S| = 13.
    assert uniform_error_rate([SURE], [POSSIBLE], [7], [6]) == pytest.approx(1 - (16 / 7) / 13)


def test_the_floor_is_below_the_diagonal_on_equal_terms():
    # The diagonal finds (0,0), (3,4), and (1,1), which is only possible.
    diagonal = [diagonal_links(target_length=6, source_length=7)]
    assert alignment_error_rate(diagonal, [SURE], [POSSIBLE]) == pytest.approx(1 - 5 / 13)
    assert oracle_floor([SURE], [POSSIBLE], [6]) == pytest.approx(1 - 12 / 13)


@pytest.mark.parametrize(
    ("sources", "targets", "message"),
    [
        ([7], [5], "target_lengths: sentence 0 has 5, expected at least 6"),
        ([6], [6], "source_lengths: sentence 0 has 6, expected at least 7"),
        ([6, 7], [7, 6], "target_lengths: got 2, expected 1"),
        ([7, 7], [6], "source_lengths: got 2, expected 1"),
    ],
)
def test_baselines_refuse_lengths(sources, targets, message):
    with pytest.raises(ValueError, match=message):
        uniform_error_rate([SURE], [POSSIBLE], sources, targets)
    if message.startswith("target"):
        with pytest.raises(ValueError, match=message):
            oracle_floor([SURE], [POSSIBLE], targets)


def test_baselines_refuse_empty_sources_no_token_and_gold_that_contradicts_itself():
    with pytest.raises(ValueError, match="source_lengths: sentence 0 has 0, expected at least 1"):
        uniform_error_rate([set()], [set()], [0], [1])
    with pytest.raises(ValueError, match="got no token"):
        oracle_floor([set()], [set()], [0])
    with pytest.raises(ValueError, match="lacks the sure link"):
        oracle_floor([SURE], [frozenset()], [6])


@pytest.mark.parametrize(
    ("target_length", "source_length", "places"),
    [
        (4, 4, [0, 1, 2, 3]),
        (3, 5, [0, 2, 4]),
        (5, 3, [0, 0, 1, 2, 2]),
        (2, 4, [1, 3]),  # middles at 1/4 and 3/4: borders, so the later word
        (1, 3, [1]),
        (3, 1, [0, 0, 0]),
        (0, 2, []),
    ],
)
def test_the_diagonal_by_hand(target_length, source_length, places):
    links = diagonal_links(target_length=target_length, source_length=source_length)
    assert isinstance(links, frozenset) and links == set(enumerate(places))


def test_the_diagonal_is_the_same_from_both_ends():
    for T, S in product(range(1, 12), repeat=2):
        links = diagonal_links(target_length=T, source_length=S)
        assert {t for t, _ in links} == set(range(T)) and {j for _, j in links} <= set(range(S))
        turned = {(T - 1 - t, S - 1 - j) for t, j in links}
        borders = {t for t in range(T) if (2 * t + 1) * S % (2 * T) == 0}
        assert {link for link in links if link[0] not in borders} == {
            link for link in turned if link[0] not in borders
        }


@pytest.mark.parametrize("lengths", [(-1, 3), (2, 0)])
def test_the_diagonal_refuses(lengths):
    with pytest.raises(ValueError, match=f"got {lengths[0]} and {lengths[1]}"):
        diagonal_links(target_length=lengths[0], source_length=lengths[1])


# Links off weights.

# 3 words and eos look at 4 words and eos; then a row and a column of padding, not even zero.
WEIGHTS = np.array(
    [
        [0.10, 0.50, 0.10, 0.10, 0.20, 0.90],
        [0.10, 0.10, 0.20, 0.10, 0.50, 0.90],  # mostly at the source's eos
        [0.40, 0.00, 0.10, 0.40, 0.10, 0.90],  # a tie
        [0.10, 0.00, 0.10, 0.50, 0.30, 0.90],  # the row of the target's eos
        [0.10, 0.80, 0.10, 0.00, 0.00, 0.90],
    ]
)


def test_links_leave_out_eos_and_padding_and_take_the_first_of_equals():
    links = links_of(WEIGHTS, source_length=4, target_length=3)
    assert links == {(0, 1), (1, 2), (2, 0)} and isinstance(links, frozenset)
    assert {type(index) for link in links for index in link} == {int}


def test_a_source_without_eos_is_read_to_its_end():
    assert links_of(WEIGHTS[:, :5], source_length=5, target_length=3) == {(0, 1), (1, 4), (2, 0)}


def test_shifted_links_read_a_row_later_or_earlier():
    sizes = {"source_length": 4, "target_length": 3}
    assert links_of(WEIGHTS, **sizes, shift=1) == {(0, 2), (1, 0), (2, 3)}
    assert links_of(WEIGHTS, **sizes, shift=-1) == {(1, 1), (2, 2)}


def test_with_no_row_for_eos_the_last_token_has_no_later_row():
    cut = WEIGHTS[:3]
    assert links_of(cut, source_length=4, target_length=3, shift=1) == {(0, 2), (1, 0)}
    assert links_of(cut, source_length=4, target_length=3) == {(0, 1), (1, 2), (2, 0)}


def test_a_shift_finds_what_a_late_look_hides():
    late = np.eye(5)[[3, 0, 1, 2, 3]]  # row t looks at t − 1
    sizes = {"source_length": 4, "target_length": 4}
    sure = [frozenset((t, t) for t in range(4))]
    rates = [
        alignment_error_rate([links_of(late, **sizes, shift=shift)], sure, sure)
        for shift in (-1, 0, 1)
    ]
    assert rates[2] == 0 and min(rates[:2]) == 1


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_a_batch_gives_what_each_sentence_gives_alone(shift):
    rng = np.random.default_rng(0)
    weights = rng.random((40, 6, 5)).astype(np.float32)
    sources, targets = rng.integers(1, 6, 40), rng.integers(0, 7, 40)
    together = links_of(weights, source_length=sources, target_length=targets, shift=shift)
    alone = [
        links_of(one[: I + 1, :J], source_length=J, target_length=I, shift=shift)
        for one, J, I in zip(weights, sources.tolist(), targets.tolist())
    ]
    assert isinstance(together, list) and together == alone
    assert {len(links) for links in together} >= {0, 3, 5}


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_an_empty_translation_has_no_links(shift):
    assert links_of(WEIGHTS, source_length=4, target_length=0, shift=shift) == frozenset()


def test_lengths_cannot_be_given_in_the_wrong_order():
    with pytest.raises(TypeError):
        links_of(WEIGHTS, 4, 3)
    with pytest.raises(TypeError):
        diagonal_links(3, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": WEIGHTS[0]}, r"weights: got shape \(6,\)"),
        ({"weights": WEIGHTS[None, None]}, r"weights: got shape \(1, 1, 5, 6\)"),
        ({"weights": WEIGHTS - 0.2}, "negative numbers or NaN"),
        ({"weights": np.where(WEIGHTS > 0.7, np.nan, WEIGHTS)}, "negative numbers or NaN"),
        ({"weights": WEIGHTS * [[1], [0], [1], [1], [1]]}, "row 1 is all zero"),
        ({"weights": WEIGHTS * [[1], [0], [1], [1], [1]], "shift": 1}, "row 1 is all zero"),
        ({"source_length": 7}, "source_length: got 7 to 7, expected 1 to 6"),
        ({"source_length": 0}, "source_length: got 0 to 0, expected 1 to 6"),
        ({"target_length": 6}, "target_length: got 6 to 6, expected 0 to 5"),
        ({"target_length": -1}, "target_length: got -1 to -1"),
        ({"target_length": 2.0}, r"target_length: got shape \(\) of float64"),
        ({"target_length": [3]}, r"target_length: got shape \(1,\) of int64, expected .* \(\)"),
        ({"weights": WEIGHTS[None]}, r"source_length: got shape \(\) .* expected .* shape \(1,\)"),
        ({"shift": 2}, "shift: got 2"),
    ],
)
def test_links_of_refuses(changes, message):
    arguments = {"weights": WEIGHTS, "source_length": 4, "target_length": 3} | changes
    with pytest.raises(ValueError, match=message):
        links_of(arguments.pop("weights"), **arguments)


def test_a_row_without_weight_links_to_nothing_where_rows_may_be_empty():
    """As where a local window lies beyond the sentence, or holds nothing but its eos."""
    lengths = {"source_length": 4, "target_length": 5}
    some = WEIGHTS * [[1], [0], [1], [1], [1]]
    some[3, :4] = 0
    linked = links_of(some, **lengths, empty_rows=True)
    assert linked == {link for link in links_of(WEIGHTS, **lengths) if link[0] not in (1, 3)}
    assert links_of(WEIGHTS, **lengths, empty_rows=True) == links_of(WEIGHTS, **lengths)


def test_weights_that_end_with_a_sentence_are_all_zero_only_after_it():
    ended = WEIGHTS * [[1], [1], [1], [1], [0]]
    assert links_of(ended, source_length=4, target_length=3, shift=1)
    with pytest.raises(ValueError, match="row 4 is all zero"):
        links_of(ended, source_length=4, target_length=5)
