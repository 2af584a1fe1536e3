"""GRU, LSTM and Bidirectional: padding, states, directions, and what they refuse."""

import numpy as np
import pytest

from attention_course.scratch.layers import Embedding, Linear
from attention_course.scratch.recurrent import GRU, LSTM, RNN, Bidirectional

B, S, D, H = 4, 5, 3, 2
LENGTHS = np.array([3, 5, 1, 3])
KINDS = pytest.mark.parametrize("kind", [RNN, GRU, LSTM])
WAYS = pytest.mark.parametrize("both_ways", [False, True], ids=["one way", "bidirectional"])


def build(kind, both_ways=False, dtype=np.float64):
    return Bidirectional(kind, D, H, 0, dtype) if both_ways else kind(D, H, 0, dtype)


def case(kind, both_ways=False):
    """inputs, doutputs, state, dstate of the right sizes."""
    rng = np.random.default_rng(1)
    width = 2 * H if both_ways else H
    state, dstate = rng.standard_normal((2, kind.parts, B, width))
    inputs, doutputs = rng.standard_normal((B, S, D)), rng.standard_normal((B, S, width))
    return inputs, doutputs, tuple(state), tuple(dstate)


def everything(layer, inputs, doutputs, lengths, state, dstate):
    """All that a layer says: outputs, final state, dinputs, dstate0, gradients."""
    outputs, final = layer.forward(inputs, lengths, state)
    dinputs, dinitial = layer.backward(doutputs, dstate)
    return outputs, *final, dinputs, *dinitial, *(g.copy() for g in layer.grads.values())


def sigma(x):
    return 1 / (1 + np.exp(-x))


def test_one_rnn_step_is_the_equation():
    layer, (x, _, (h,), _) = build(RNN), case(RNN)
    w_x, w_h, b = (layer.params[name] for name in ("w_x", "w_h", "b"))
    _, (final,) = layer.forward(x[:, :1], None, (h,))
    np.testing.assert_allclose(final, np.tanh(x[:, 0] @ w_x + h @ w_h + b), rtol=1e-12)


def test_one_gru_step_is_the_equation():
    layer, (x, _, (h,), _) = build(GRU), case(GRU)
    p = {name: np.split(param, 3, axis=-1) for name, param in layer.params.items()}
    x_r, x_z, x_n = (x[:, 0] @ w + b for w, b in zip(p["w_x"], p["b_x"]))
    h_r, h_z, h_n = (h @ w + b for w, b in zip(p["w_h"], p["b_h"]))
    r, z = sigma(x_r + h_r), sigma(x_z + h_z)
    n = np.tanh(x_n + r * h_n)
    outputs, (final,) = layer.forward(x[:, :1], None, (h,))
    np.testing.assert_allclose(final, (1 - z) * n + z * h, rtol=1e-12)
    np.testing.assert_array_equal(outputs[:, 0], final)


def test_one_lstm_step_is_the_equation():
    layer, (x, _, (h, c), _) = build(LSTM), case(LSTM)
    total = x[:, 0] @ layer.params["w_x"] + h @ layer.params["w_h"] + layer.params["b"]
    i, f, g, o = np.split(total, 4, axis=-1)
    c_new = sigma(f) * c + sigma(i) * np.tanh(g)
    outputs, final = layer.forward(x[:, :1], None, (h, c))
    np.testing.assert_allclose(final[1], c_new, rtol=1e-12)
    np.testing.assert_allclose(final[0], sigma(o) * np.tanh(c_new), rtol=1e-12)
    np.testing.assert_array_equal(outputs[:, 0], final[0])


def test_the_update_gate_keeps():
    layer, (x, _, (h,), _) = build(GRU), case(GRU)
    layer.params["b_x"][H : 2 * H] = 1e3  # z = 1
    _, (final,) = layer.forward(x, None, (h,))
    np.testing.assert_array_equal(final, h)


@KINDS
@WAYS
def test_padding_with_anything_changes_nothing(kind, both_ways):
    layer, (inputs, doutputs, state, dstate) = build(kind, both_ways), case(kind, both_ways)
    expected = everything(layer, inputs, doutputs, LENGTHS, state, dstate)

    garbage = np.full((B, 3, D), np.nan)
    longer = np.concatenate([inputs, garbage], axis=1)
    padding = np.arange(S + 3) >= LENGTHS[:, None]
    longer[padding] = np.nan
    dlonger = np.concatenate([doutputs, doutputs[:, :3]], axis=1)
    dlonger[padding] = np.nan
    outputs, *others = everything(layer, longer, dlonger, LENGTHS, state, dstate)
    assert not outputs[padding].any(), "outputs at padding must be 0"
    dinputs = others.pop(len(state))
    assert not dinputs[padding].any(), "gradients of padding must be 0"
    found = (outputs[:, :S], *others[: len(state)], dinputs[:, :S], *others[len(state) :])
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@KINDS
@WAYS
def test_a_row_in_a_batch_is_what_it_is_alone(kind, both_ways):
    layer, (inputs, doutputs, state, dstate) = build(kind, both_ways), case(kind, both_ways)
    together = everything(layer, inputs, doutputs, LENGTHS, state, dstate)
    summed = [np.zeros_like(grad) for grad in layer.grads.values()]
    for row, length in enumerate(LENGTHS):
        only = slice(row, row + 1)
        alone = everything(
            layer,
            inputs[only, :length],
            doutputs[only, :length],
            None,
            tuple(part[only] for part in state),
            tuple(part[only] for part in dstate),
        )
        for ours, theirs in zip(alone[: len(alone) - len(summed)], together):
            theirs = theirs[only, :length] if theirs.ndim == 3 else theirs[only]
            np.testing.assert_allclose(ours, theirs, atol=1e-14)
        for total, grad in zip(summed, layer.grads.values()):
            total += grad
    for total, theirs in zip(summed, together[-len(summed) :]):
        np.testing.assert_allclose(total, theirs, atol=1e-13)


@KINDS
def test_the_final_state_is_that_of_the_last_real_token(kind):
    layer, (inputs, _, state, _) = build(kind), case(kind)
    outputs, final = layer.forward(inputs, LENGTHS, state)
    np.testing.assert_array_equal(final[0], outputs[np.arange(B), LENGTHS - 1])


@KINDS
def test_a_sequence_may_be_read_in_two_pieces(kind):
    layer, (inputs, _, state, _) = build(kind), case(kind)
    whole, final = layer.forward(inputs, None, state)
    first, middle = layer.forward(inputs[:, :2], None, state)
    second, last = layer.forward(inputs[:, 2:], None, middle)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, atol=1e-15)
    np.testing.assert_allclose(last, final, atol=1e-15)


@KINDS
def test_no_state_is_a_state_of_zeros(kind):
    layer, (inputs, _, state, _) = build(kind), case(kind)
    zeros = tuple(np.zeros_like(part) for part in state)
    for ours, theirs in zip(layer.forward(inputs, LENGTHS), layer.forward(inputs, LENGTHS, zeros)):
        np.testing.assert_array_equal(ours, theirs)


@KINDS
def test_reversing_the_input_and_swapping_the_weights_swaps_the_halves(kind):
    layer, twin = build(kind, True), build(kind, True)
    for name, param in layer.params.items():
        direction, short = name.split(".")
        other = "backward" if direction == "forward" else "forward"
        twin.params[f"{other}.{short}"][...] = param
    inputs, *_ = case(kind, True)
    outputs, final = layer.forward(inputs, LENGTHS)
    turned = inputs.copy()
    for row, length in enumerate(LENGTHS):
        turned[row, :length] = inputs[row, :length][::-1]  # the real tokens only
    twin_outputs, twin_final = twin.forward(turned, LENGTHS)
    swapped = np.concatenate([twin_outputs[..., H:], twin_outputs[..., :H]], axis=-1)
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(swapped[row, :length][::-1], outputs[row, :length], atol=1e-15)
    for ours, theirs in zip(twin_final, final):
        np.testing.assert_allclose(np.roll(ours, H, axis=-1), theirs, atol=1e-15)


@KINDS
def test_both_halves_of_the_final_state_have_read_every_token(kind):
    layer, (inputs, *_) = build(kind, True), case(kind, True)
    outputs, final = layer.forward(inputs, LENGTHS)
    np.testing.assert_array_equal(final[0][:, :H], outputs[np.arange(B), LENGTHS - 1, :H])
    np.testing.assert_array_equal(final[0][:, H:], outputs[:, 0, H:])
    for row, length in enumerate(LENGTHS):
        for token in range(length):
            changed = inputs.copy()
            changed[row, token] += 1
            moved = layer.forward(changed, LENGTHS)[1][0][row] != final[0][row]
            assert moved.all(), f"token {token} of {length} does not reach the whole final state"


@KINDS
@WAYS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_stays(kind, both_ways, dtype):
    inputs, doutputs, state, dstate = case(kind, both_ways)
    state, dstate = (tuple(part.astype(dtype) for part in s) for s in (state, dstate))
    layer = build(kind, both_ways, dtype)
    found = everything(layer, inputs.astype(dtype), doutputs.astype(dtype), LENGTHS, state, dstate)
    assert {array.dtype for array in found} == {np.dtype(dtype)}


@KINDS
@WAYS
def test_arguments_are_not_changed_and_results_not_reused(kind, both_ways):
    layer, given = build(kind, both_ways), case(kind, both_ways)
    inputs, doutputs, state, dstate = given
    kept = [np.copy(array) for array in (inputs, doutputs, *state, *dstate)]
    first = everything(layer, inputs, doutputs, LENGTHS, state, dstate)
    copies = [array.copy() for array in first]
    everything(layer, inputs + 1, doutputs + 1, LENGTHS, state, dstate)
    for array, copy in zip((inputs, doutputs, *state, *dstate), kept, strict=True):
        np.testing.assert_array_equal(array, copy)
    for array, copy in zip(first, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@KINDS
@WAYS
def test_backward_twice_gives_the_same(kind, both_ways):
    layer, (inputs, doutputs, state, dstate) = build(kind, both_ways), case(kind, both_ways)
    first = everything(layer, inputs, doutputs, LENGTHS, state, dstate)
    dinputs, dinitial = layer.backward(doutputs, dstate)
    again = (dinputs, *dinitial, *layer.grads.values())
    for ours, theirs in zip(again, first[-len(again) :], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@KINDS
def test_the_initial_weights_follow_the_seed_and_the_rule(kind):
    same, other = build(kind), kind(D, H, 1)
    for name, param in kind(D, H, 0, np.float64).params.items():
        np.testing.assert_array_equal(param, same.params[name])
        assert (param != other.params[name]).any()
    wide = kind(3, 400)
    for name, param in wide.params.items():
        assert 0.045 < np.abs(param).max() <= 0.05, f"{name} must be uniform up to 1/√H = 0.05"
        assert abs(param.mean()) < 0.005


# Refusals.

BAD_LENGTHS = [
    (np.array([0, 1, 1, 1]), ValueError, r"lengths must lie in 1..5, got 0..1"),
    (np.array([6, 1, 1, 1]), ValueError, r"lengths must lie in 1..5, got 1..6"),
    (np.array([1, 1]), ValueError, "lengths: axis B must have size 4, got 2"),
    (np.ones((B, 1), int), ValueError, "lengths must have 1 axes"),
    (np.ones(B), TypeError, "lengths must have dtype integer, got float64"),
]


@pytest.mark.parametrize(("lengths", "error", "message"), BAD_LENGTHS)
@WAYS
def test_wrong_lengths_are_named(lengths, error, message, both_ways):
    inputs, *_ = case(GRU)
    with pytest.raises(error, match=message):
        build(GRU, both_ways).forward(inputs, lengths)


@WAYS
def test_wrong_inputs_are_named(both_ways):
    layer, (inputs, _, state, _) = build(LSTM, both_ways), case(LSTM, both_ways)
    width = 2 * H if both_ways else H
    with pytest.raises(ValueError, match=r"inputs: axis D must have size 3, got 2; .*\(4, 5, 2\)"):
        layer.forward(inputs[..., :2])
    with pytest.raises(ValueError, match=r"inputs must have 3 axes \(B, S, D=3\)"):
        layer.forward(inputs[0])
    with pytest.raises(ValueError, match="at least one row and one step"):
        layer.forward(inputs[:, :0])
    with pytest.raises(TypeError, match="inputs must have dtype float64, got float32"):
        layer.forward(inputs.astype(np.float32))
    with pytest.raises(TypeError, match=r"state must be a tuple \(h, c\) .* got 1 arrays"):
        layer.forward(inputs, None, state[:1])
    with pytest.raises(TypeError, match=r"state must be a tuple \(h, c\) .* got ndarray"):
        layer.forward(inputs, None, state[0])
    with pytest.raises(ValueError, match=rf"state \(c\): axis H must have size {width}"):
        layer.forward(inputs, None, (state[0], state[1][:, :1]))


@WAYS
def test_wrong_gradients_are_named(both_ways):
    layer, (inputs, doutputs, _, dstate) = build(GRU, both_ways), case(GRU, both_ways)
    with pytest.raises(RuntimeError, match="backward needs a forward call"):
        layer.backward(doutputs)
    layer.forward(inputs)
    with pytest.raises(ValueError, match="doutputs: axis S must have size 5, got 4"):
        layer.backward(doutputs[:, :4])
    with pytest.raises(ValueError, match=r"dstate \(h\): axis B must have size 4, got 3"):
        layer.backward(doutputs, (dstate[0][:3],))


def test_linear_and_embedding_name_what_is_wrong():
    linear, embedding = Linear(D, 2), Embedding(6, D)
    with pytest.raises(ValueError, match="x: axis last must have size 3, got 2"):
        linear.forward(np.zeros((B, 2), np.float32))
    linear.forward(np.zeros((B, D), np.float32))
    with pytest.raises(ValueError, match="dy: axis out must have size 2, got 3"):
        linear.backward(np.zeros((B, D), np.float32))
    with pytest.raises(TypeError, match="ids must be a NumPy array of integers, got float64"):
        embedding.forward(np.zeros((B, S)))
    with pytest.raises(ValueError, match=r"ids must lie in 0..5 \(vocab_size 6\), got 0..6"):
        embedding.forward(np.array([0, 6]))
    with pytest.raises(ValueError, match=r"ids must lie in 0\.\.5"):
        embedding.forward(np.array([-1]))
    embedding.forward(np.array([0, 1]))
    with pytest.raises(ValueError, match="dvectors: axis D must have size 3, got 4"):
        embedding.backward(np.zeros((2, 4), np.float32))
