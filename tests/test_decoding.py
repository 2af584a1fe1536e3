"""Greedy decoding: what is fed, where rows stop, how often the model is asked, where it looked."""

from typing import NamedTuple

import numpy as np
import pytest

from attention_course.decoding import greedy, greedy_with_weights

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
