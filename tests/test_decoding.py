"""Greedy decoding: what is fed, where rows stop, how often the model is asked, where it looked.
Beam search: against all sequences, against a plain loop, and against greedy.
"""

import math
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest

from attention_course.decoding import (
    Hypothesis,
    beam,
    beam_hypotheses,
    greedy,
    greedy_with_weights,
)

# Not 2 and 3, which published decoders have written into them.
SOS, EOS, SIZE = 5, 1, 7


class Script:
    """A model that says prepared tokens, whatever it is fed, and remembers what it was fed."""

    def __init__(self, *rows):
        self.rows, self.fed, self.states = rows, [], []

    def __call__(self, state, tokens):
        assert tokens.dtype == np.int64 and tokens.shape == (len(self.rows),)
        time = len(self.fed)
        self.fed.append(tokens.tolist())
        self.states.append(state)
        said = [row[time] if time < len(row) else 6 for row in self.rows]
        tokens[:] = 0  # a step that scribbles into its argument must not disturb the result
        return np.log(np.full((len(said), SIZE), 0.05) + 0.65 * np.eye(SIZE)[said]), (state, time)


def _greedy(script, max_length=10, state="start"):
    return greedy(script, state, len(script.rows), SOS, EOS, max_length)


def test_each_row_stops_at_its_own_eos():
    script = Script([2, EOS, 4, 4], [EOS, 3, 3, 3], [3, 2, 4, EOS])
    assert _greedy(script) == [[2], [], [3, 2, 4]]


def test_the_model_is_fed_its_own_words_and_eos_once_a_row_has_ended():
    script = Script([2, EOS, 4, 4], [EOS, 3, 3, 3], [3, 2, 4, EOS])
    _greedy(script)
    assert script.fed == [[SOS, SOS, SOS], [2, EOS, 3], [EOS, EOS, 2], [EOS, EOS, 4]]


def test_the_model_is_asked_no_more_often_than_needed():
    script = Script([2, EOS], [EOS], [3, 2, 4, EOS])
    _greedy(script, max_length=50)
    assert len(script.fed) == 4  # the longest result and its eos
    script = Script([EOS], [EOS])
    _greedy(script, max_length=50)
    assert len(script.fed) == 1


def test_max_length_cuts_rows_that_do_not_end():
    script = Script([2] * 9, [3, EOS])
    assert _greedy(script, max_length=4) == [[2, 2, 2, 2], [3]]
    assert len(script.fed) == 4


def test_a_row_may_be_as_long_as_max_length():
    assert _greedy(Script([2, 3, EOS]), max_length=2) == [[2, 3]]


def test_the_state_is_handed_on_untouched():
    script, start = Script([2, 3, EOS]), object()
    _greedy(script, state=start)
    assert script.states == [start, (start, 0), ((start, 0), 1)]
    assert script.states[0] is start


def test_the_next_word_may_depend_on_the_last_one():
    def counter(state, tokens):
        following = {SOS: 2, 2: 3, 3: 4, 4: EOS, EOS: 6}
        return np.log(np.eye(SIZE)[[following[t] for t in tokens.tolist()]] + 1e-9), state

    assert greedy(counter, None, 2, SOS, EOS, 10) == [[2, 3, 4]] * 2


def test_the_result_holds_plain_integers():
    assert {type(i) for i in _greedy(Script([2, 3, EOS]))[0]} == {int}


def test_sos_and_eos_may_be_any_two_ids():
    script = Script([4, 3, 2, EOS])
    assert greedy(script, None, 1, 6, 2, 10) == [[4, 3]]
    assert script.fed == [[6], [4], [3]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size: got 0"),
        ({"max_length": 0}, "max_length: got 0"),
        ({"sos": -1}, "sos, eos: got -1 and 1"),
        ({"eos": -1}, "sos, eos: got 5 and -1"),
        ({"eos": SOS}, "sos, eos: got 5 and 5"),
        ({"eos": SIZE}, r"V > eos = 7"),
        ({"batch_size": 3}, r"shape \(2, 7\)"),
    ],
)
def test_greedy_refuses(changes, message):
    def step(state, tokens):
        return np.zeros((2, SIZE)), state

    arguments = {"batch_size": 2, "sos": SOS, "eos": EOS, "max_length": 4} | changes
    with pytest.raises(ValueError, match=message):
        greedy(step, None, **arguments)


def test_greedy_refuses_log_probs_of_a_whole_sequence():
    with pytest.raises(ValueError, match=r"shape \(2, 1, 7\)"):
        greedy(lambda state, tokens: (np.zeros((2, 1, SIZE)), state), None, 2, SOS, EOS, 4)


def test_greedy_refuses_nan():
    log_probs = np.zeros((2, SIZE))
    log_probs[1, 3] = np.nan
    with pytest.raises(FloatingPointError, match="NaN"):
        greedy(lambda state, tokens: (log_probs, state), None, 2, SOS, EOS, 4)


# Where the model looked.


class Looking(NamedTuple):
    time: int
    weights: np.ndarray | None


def looking(script):
    """`script` with weights (B,3): at step t sentence b looks with 100 t + 10 b + source place."""
    places = 10.0 * np.arange(len(script.rows))[:, None] + np.arange(3)

    def step(state, tokens):
        log_probs, _ = script(state, tokens)
        return log_probs, Looking(state.time + 1, 100 * (state.time + 1) + places)

    return step


def _look(script, max_length=10):
    start = Looking(-1, np.full((len(script.rows), 3), -1.0))  # not of any step
    return greedy_with_weights(looking(script), start, len(script.rows), SOS, EOS, max_length)


def test_weights_say_the_same_and_are_one_row_a_call():
    script = Script([2, EOS, 4, 4], [EOS, 3, 3, 3], [3, 2, 4, EOS])
    said, weights = _look(script)
    assert said == [[2], [], [3, 2, 4]]
    assert weights.shape == (3, len(script.fed), 3) == (3, 4, 3)


def test_the_row_of_a_token_or_eos_is_what_was_seen_when_it_was_chosen_and_then_zero():
    _, weights = _look(Script([2, EOS], [EOS], [3, 2, 4, EOS]))
    np.testing.assert_array_equal(weights[0], [[0, 1, 2], [100, 101, 102], [0] * 3, [0] * 3])
    np.testing.assert_array_equal(weights[1], [[10, 11, 12], [0] * 3, [0] * 3, [0] * 3])
    np.testing.assert_array_equal(weights[2, :, 0], [20, 120, 220, 320])


def test_a_sentence_cut_at_max_length_has_a_row_for_each_of_its_tokens():
    said, weights = _look(Script([2] * 9, [3, EOS]), max_length=4)
    assert said == [[2] * 4, [3]]
    np.testing.assert_array_equal(weights[0, :, 0], [0, 100, 200, 300])
    np.testing.assert_array_equal(weights[1, :, 0], [10, 110, 0, 0])


def test_a_model_may_write_its_weights_into_one_array_again_and_again():
    script, buffer = Script([2, 3, EOS]), np.zeros((1, 3), np.float32)

    def step(state, tokens):
        buffer[...] += 1
        return script(state, tokens)[0], Looking(0, buffer)

    _, weights = greedy_with_weights(step, None, 1, SOS, EOS, 10)
    np.testing.assert_array_equal(weights[0, :, 0], [1, 2, 3])
    assert weights.dtype == np.float32


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (None, TypeError, "no attention weights; use greedy"),
        (np.zeros((2, 1, 3)), ValueError, r"weights of shape \(2, 1, 3\), expected \(2, S\)"),
        (np.zeros((3, 3)), ValueError, r"weights of shape \(3, 3\), expected \(2, S\)"),
    ],
    ids=["none", "an axis too many", "of another batch"],
)
def test_weights_that_are_none_are_refused(weights, error, message):
    script = Script([2, EOS], [EOS])

    def step(state, tokens):
        return script(state, tokens)[0], Looking(0, weights)

    with pytest.raises(error, match=message):
        greedy_with_weights(step, None, 2, SOS, EOS, 10)


def test_a_state_that_knows_no_weights_is_refused():
    script = Script([2, EOS])
    with pytest.raises(TypeError, match="no attention weights; use greedy"):
        greedy_with_weights(script, "start", 1, SOS, EOS, 10)


# Beam search.

FIRST = 90  # sos: no word of these models, so that they never say it


class Table:
    """A model of B sentences whose next word depends on the sentence and on all words so far.

    `log_probs(sentence, words)` -> (V,). A row of the state is (sentence, all that it was fed).
    Remembers how many rows each step had, and which were selected.
    """

    def __init__(self, log_probs):
        self.log_probs, self.rows, self.selected = log_probs, [], []

    def start(self, batch_size):
        return [(sentence, ()) for sentence in range(batch_size)]

    def step(self, state, tokens):
        assert tokens.dtype == np.int64 and tokens.shape == (len(state),)
        self.rows.append(len(state))
        state = [(b, (*fed, token)) for (b, fed), token in zip(state, tokens.tolist())]
        assert all(fed[0] == FIRST for _, fed in state)
        tokens[:] = 0  # a step that scribbles into its argument must not disturb the result
        return np.stack([self.log_probs(b, fed[1:]) for b, fed in state]), state

    def select(self, state, rows):
        self.selected.append(rows.tolist())
        return [state[row] for row in rows]


def random_model(seed, size=4, levels=None):
    """A different distribution after each prefix; few `levels` make many ties."""

    @cache
    def log_probs(sentence, words):
        rng = np.random.default_rng([seed, sentence, *(word + 1 for word in words)])
        logits = rng.normal(size=size) * 2 if levels is None else rng.integers(levels, size=size)
        return logits - np.log(np.exp(logits).sum())

    return log_probs


def tree(**children):
    """A model of one sentence, written as probabilities: tree(_={2: 0.6, EOS: 0.4}, _2={...})."""

    def log_probs(sentence, words):
        shares = np.zeros(SIZE)
        for token, share in children["_" + "".join(map(str, words))].items():
            shares[token] = share
        with np.errstate(divide="ignore"):
            return np.log(shares)

    return log_probs


def search(log_probs, batch_size=1, beam_size=2, max_length=10, function=beam, eos=EOS, **more):
    table = Table(log_probs)
    start = table.start(batch_size)
    sizes = (batch_size, beam_size, FIRST, eos, max_length)
    return function(table.step, table.select, start, *sizes, **more), table


def all_hypotheses(log_probs, sentence, max_length, penalty, eos, size):
    """Every sequence of at most max_length words and eos, those that ended first, by score."""
    found = []
    for length in range(1, max_length + 1):
        others = [token for token in range(size) if token != eos]
        ends = [eos] if length < max_length else range(size)
        for words in product(*[others] * (length - 1), ends):
            total = sum(log_probs(sentence, words[:t])[words[t]] for t in range(length))
            ended = words[-1] == eos
            tokens = list(words[:-1] if ended else words)
            found.append(Hypothesis(tokens, total / length**penalty, ended))
    return sorted(found, key=lambda hypothesis: (not hypothesis.ended, -hypothesis.score))


def plain_beam(log_probs, sentence, beam_size, max_length, penalty, eos):
    """One sentence by lists and a full sort at each step, always on to max_length."""
    live, ended = [(0.0, ())], []
    for length in range(1, max_length + 1):
        options = []
        for rank, (total, words) in enumerate(live):
            one = log_probs(sentence, words)
            for token in sorted(range(len(one)), key=lambda token: -one[token]):
                options.append((total + one[token], rank, (*words, token)))
        options = sorted(options, key=lambda option: (-option[0], option[1]))[:beam_size]
        ended += [(p / length**penalty, list(w[:-1])) for p, _, w in options if w[-1] == eos]
        live = [(total, words) for total, _, words in options if words[-1] != eos]
    cut = [Hypothesis(list(w), total / max_length**penalty, False) for total, w in live]
    ended = [Hypothesis(words, score, True) for score, words in ended]
    return [h for part in (ended, cut) for h in sorted(part, key=lambda h: -h.score)][:beam_size]


def _same(found, expected):
    assert [h.tokens for h in found] == [h.tokens for h in expected]
    assert [h.ended for h in found] == [h.ended for h in expected]
    assert [h.score for h in found] == pytest.approx([h.score for h in expected], rel=1e-12)


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 2.0])
def test_a_beam_wide_enough_finds_the_best_of_all_sequences(penalty):
    lengths = set()
    for seed in range(8):
        model, more = random_model(seed), {"eos": seed % 4, "max_length": 4}
        width = {"beam_size": 4**4, "length_penalty": penalty}
        tokens, _ = search(model, 3, **width, **more)
        hypotheses, _ = search(model, 3, function=beam_hypotheses, **width, **more)
        for sentence in range(3):
            expected = all_hypotheses(model, sentence, 4, penalty, seed % 4, size=4)
            assert tokens[sentence] == expected[0].tokens
            _same(hypotheses[sentence], expected)
            lengths.add(len(tokens[sentence]))
    assert len(lengths) > 1


@pytest.mark.parametrize("beam_size", [1, 2, 3, 5])
@pytest.mark.parametrize("levels", [None, 2], ids=["distinct", "ties"])
@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0, 1.6])
def test_stopping_early_changes_nothing(beam_size, levels, penalty):
    steps = set()
    for seed in range(5):
        model = random_model(seed, size=6, levels=levels)
        more = {"beam_size": beam_size, "max_length": 8, "length_penalty": penalty}
        tokens, table = search(model, 4, **more)
        hypotheses, _ = search(model, 4, function=beam_hypotheses, **more)
        steps.add(len(table.rows))
        for sentence in range(4):
            expected = plain_beam(model, sentence, beam_size, 8, penalty, EOS)
            assert tokens[sentence] == expected[0].tokens
            _same(hypotheses[sentence], expected)
    assert min(steps) < 8 or penalty > 0.7  # a lenient bound: it often goes on to the end


@pytest.mark.parametrize("penalty", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("levels", [None, 2], ids=["distinct", "ties"])
def test_a_beam_of_one_is_greedy(penalty, levels):
    for seed in range(10):
        model = random_model(seed, size=6, levels=levels)
        table = Table(model)
        said = greedy(table.step, table.start(5), 5, FIRST, EOS, 6)
        assert search(model, 5, 1, 6, length_penalty=penalty)[0] == said


def test_a_beam_of_one_is_greedy_even_where_a_sum_rounds_the_difference_away():
    close = [-0.7 - 1e-16, -40.0, -0.7 + 1e-16, -40.0]  # 2 by a hair
    assert close[0] < close[2] and -1000.0 + close[0] == -1000.0 + close[2]

    def model(sentence, words):
        return np.array(
            [-1000.0] * 4 if not words else close if len(words) < 4 else [-9, 0, -9, -9]
        )

    assert search(model, beam_size=1, max_length=6)[0] == [[0, 2, 2, 2]]


def test_sentences_are_independent_of_their_neighbours():
    model = random_model(3, size=6)
    more = {"beam_size": 3, "max_length": 7, "function": beam_hypotheses}
    together, _ = search(model, 6, **more)
    for sentence in range(6):
        alone, _ = search(lambda _, words, b=sentence: model(b, words), **more)
        assert alone[0] == together[sentence]


def test_the_first_word_that_is_best_need_not_begin_the_best_sentence():
    model = tree(_={2: 0.6, 3: 0.4}, _2={EOS: 0.5, 4: 0.5}, _24={EOS: 1.0}, _3={EOS: 1.0})
    assert search(model, beam_size=1)[0] == [[2]]
    assert search(model, beam_size=2)[0] == [[3]]


def test_what_has_ended_is_kept_and_compared_at_the_end():
    # "2" ends early and well; what goes on gets worse later, one step at a time.
    model = tree(
        _={2: 0.5, 3: 0.5},
        _2={EOS: 0.8, 4: 0.2},
        _3={4: 0.9, EOS: 0.1},
        _24={EOS: 1.0},
        _34={4: 0.5, EOS: 0.5},
        _344={EOS: 0.25, 2: 0.25, 3: 0.25, 4: 0.25},
        _3442={EOS: 0.5, 4: 0.5},
    )
    (found,), table = search(model, 1, 2, 5, beam_hypotheses)
    assert [h.tokens for h in found] == [[2], [3, 4]] and len(table.rows) == 4
    assert [h.score for h in found] == pytest.approx([math.log(0.4) / 2, math.log(0.225) / 3])
    assert search(model, 1, 2, 5)[0] == [[2]]


def test_an_ended_hypothesis_makes_room_for_others():
    # Width 2: "eos" ends at once; the two best of what follows "2" are both kept then.
    model = tree(_={EOS: 0.5, 2: 0.5}, _2={3: 0.5, 4: 0.5}, _23={EOS: 1.0}, _24={EOS: 1.0})
    (found,), table = search(model, 1, 2, function=beam_hypotheses, length_penalty=3.0)
    assert table.rows == [1, 1, 2]
    assert [h.tokens for h in found] == [[2, 3], [2, 4]]


SHORT_OR_LONG = tree(
    _={EOS: 0.3, 2: 0.7}, _2={3: 0.6, EOS: 0.4}, _23={4: 0.6, EOS: 0.4}, _234={EOS: 1.0}
)


def test_the_penalty_turns_from_the_probable_to_the_long():
    # Probabilities 0.3, 0.28, 0.168, 0.252 for 0, 1, 2, 3 words.
    found = [
        search(SHORT_OR_LONG, beam_size=3, length_penalty=penalty)[0][0]
        for penalty in (0.0, 0.3, 1.0)
    ]
    assert found == [[], [2, 3, 4], [2, 3, 4]]
    (best,), _ = search(SHORT_OR_LONG, beam_size=3, function=beam_hypotheses)
    assert [h.score for h in best] == pytest.approx(
        [math.log(0.252) / 4, math.log(0.168) / 3, math.log(0.28) / 2]
    )
    assert search(SHORT_OR_LONG, beam_size=3)[0] == [[2, 3, 4]]  # 1 unless told


def test_the_length_counts_eos_and_no_empty_sentence_divides_by_zero():
    (found,), _ = search(SHORT_OR_LONG, beam_size=4, function=beam_hypotheses)
    assert found[-1] == Hypothesis([], pytest.approx(math.log(0.3)), True)


# One more "2" at each step, or the end.
CHAIN = {"_" + "2" * n: {2: 0.9, EOS: 0.1} for n in range(12)}


def test_max_length_cuts_and_what_ended_goes_before_what_was_cut():
    (found,), table = search(tree(**CHAIN), 1, 3, 4, beam_hypotheses)
    assert len(table.rows) == 4
    assert [h.tokens for h in found] == [[2, 2, 2], [2, 2], [2]]
    # Width 1 never sees the end: it returns what was cut, as greedy does, eos not counted.
    (found,), _ = search(tree(**CHAIN), 1, 1, 4, beam_hypotheses)
    assert found == [Hypothesis([2] * 4, pytest.approx(math.log(0.9)), False)]
    (found,), _ = search(tree(**CHAIN), 1, 5, 3, beam_hypotheses)
    assert [(h.tokens, h.ended) for h in found] == [
        ([2, 2], True),
        ([2], True),
        ([], True),
        ([2, 2, 2], False),
    ]


@pytest.mark.parametrize(
    ("penalty", "max_length", "steps"),
    [
        # log 0.5 has ended after the first step, and log 0.5 goes on. Not divided, that can win
        # nothing more; over (4 + 1) steps it may reach log 0.5 / 5, and "2 2" does reach -0.24.
        (0.0, 5, 1),
        (1.0, 5, 3),
        (1.0, 1, 1),
    ],
)
def test_it_stops_when_no_live_hypothesis_may_exceed_the_best_ended_one(penalty, max_length, steps):
    model = tree(_={EOS: 0.5, 2: 0.5}, _2={2: 0.98, EOS: 0.02}, _22={EOS: 0.98, 2: 0.02})
    found, table = search(model, 1, 2, max_length, length_penalty=penalty)
    assert len(table.rows) == steps
    assert found == [[2, 2] if steps == 3 else []]


def test_all_k_go_on_until_the_kth_is_settled():
    model = tree(
        _={EOS: 0.9, 2: 0.1},
        _2={EOS: 0.5, 2: 0.5},
        _22={EOS: 0.5, 2: 0.5},
        **{"_" + "2" * n: {EOS: 1.0} for n in range(3, 9)},
    )
    best, table = search(model, 1, 2, length_penalty=0.0)
    assert best == [[]] and table.rows == [1]
    (found,), table = search(model, 1, 2, length_penalty=0.0, function=beam_hypotheses)
    assert [h.tokens for h in found] == [[], [2]] and table.rows == [1, 1]


def test_a_sentence_that_is_done_costs_nothing_more():
    def model(sentence, words):
        ends = len(words) >= (1, 4, 2)[sentence]
        return np.log([0.001, 0.9, 0.05, 0.049] if ends else [0.001, 0.01, 0.969, 0.02])

    found, table = search(model, 3, 2, 10, length_penalty=0.0)
    assert found == [[2], [2] * 4, [2] * 2]
    assert table.rows == [3, 6, 4, 2, 2]


def test_rows_are_selected_only_where_they_change():
    script = tree(**{"_" + "2" * n: {2: 1.0} for n in range(3)}, _222={EOS: 1.0})
    found, table = search(script, 1, 3)
    assert found == [[2, 2, 2]] and table.rows == [1] * 4 and table.selected == []
    # The first word becomes two rows; then the second of them has the better continuation.
    ends = {EOS: 1.0}
    model = tree(_={2: 0.6, 3: 0.4}, _2={4: 0.6, 3: 0.4}, _3={4: 1.0}, _34=ends, _24=ends)
    _, table = search(model, 1, 2)
    assert table.selected == [[0, 0], [1, 0]]
    _, table = search(model, 1, 2, max_length=2)
    assert table.selected == [[0, 0]]  # no step follows the second


def test_equal_continuations_go_by_rank_then_id():
    share = 1 / 3
    model = tree(
        _={4: share, 2: share, 3: share},
        _2={EOS: 0.5, 6: 0.5},
        _3={EOS: 0.5, 6: 0.5},
        _26={EOS: 1.0},
        _36={EOS: 1.0},
    )
    (found,), _ = search(model, 1, 2, function=beam_hypotheses, length_penalty=0.0)
    assert [h.tokens for h in found] == [[2], [2, 6]]  # not 3, and never 4


def test_a_continuation_that_is_impossible_is_not_kept():
    (found,), table = search(tree(_={2: 1.0}, _2={EOS: 1.0}), 1, 5, function=beam_hypotheses)
    assert found == [Hypothesis([2], 0.0, True)] and table.rows == [1, 1]
    # Nor is a possible one kept twice, to fill the beam.
    model = tree(_={0: 0.7, 2: 0.3}, _0={EOS: 1.0}, _2={EOS: 1.0})
    (found,), table = search(model, 1, 5, function=beam_hypotheses)
    assert [h.tokens for h in found] == [[0], [2]] and table.rows == [1, 2]


def test_the_beam_holds_plain_integers_and_floats():
    (found,), _ = search(SHORT_OR_LONG, function=beam_hypotheses)
    assert {type(token) for token in found[0].tokens} == {int} and type(found[0].score) is float


def test_half_precision_adds_up_in_double():
    def model(sentence, words):
        return np.array([-9, -9, -0.001, -7] if len(words) < 9 else [-9, 0, -9, -9], np.float16)

    (found,), _ = search(model, 1, 1, 12, beam_hypotheses, length_penalty=0.0)
    assert found[0].score == pytest.approx(9 * float(np.float16(-0.001)), rel=1e-12)


@pytest.mark.parametrize("function", [beam, beam_hypotheses])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size: got 0"),
        ({"beam_size": 0}, "beam_size: got 0"),
        ({"max_length": 0}, "max_length: got 0"),
        ({"eos": SOS}, "sos, eos: got 5 and 5"),
        ({"eos": SIZE}, r"V > eos = 7"),
        ({"batch_size": 3}, r"shape \(2, 7\), expected \(B, V\) with B = 3"),
        ({"length_penalty": -0.1}, "length_penalty: got -0.1"),
        ({"length_penalty": math.inf}, "length_penalty: got inf"),
        ({"length_penalty": math.nan}, "length_penalty: got nan"),
    ],
)
def test_the_beam_refuses(function, changes, message):
    sizes = {"batch_size": 2, "beam_size": 2, "sos": SOS, "eos": EOS, "max_length": 4} | changes
    with pytest.raises(ValueError, match=message):
        function(lambda s, t: (np.full((2, SIZE), -2.0), s), lambda s, r: s, None, **sizes)


@pytest.mark.parametrize(
    ("value", "place", "error", "message"),
    [
        (np.nan, (1, 3), FloatingPointError, "NaN"),
        (0.5, (1, 3), ValueError, "log_probs up to 0.5, expected 0 at most"),
        (-np.inf, (1, slice(None)), ValueError, "nothing but -inf"),
    ],
)
def test_the_beam_refuses_what_is_no_log_probability(value, place, error, message):
    log_probs = np.full((2, SIZE), -2.0)
    log_probs[place] = value
    with pytest.raises(error, match=message):
        beam(lambda s, t: (log_probs, s), lambda s, r: s, None, 2, 2, SOS, EOS, 4)
