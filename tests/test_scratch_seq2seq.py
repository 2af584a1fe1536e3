"""Whole models: names, padding, step by step against teacher forcing, weights, what they refuse."""

import numpy as np
import pytest

from attention_course.decoding import greedy
from attention_course.scratch.bahdanau import BahdanauSeq2Seq
from attention_course.scratch.functional import log_softmax
from attention_course.scratch.layers import Maxout
from attention_course.scratch.losses import masked_cross_entropy
from attention_course.scratch.seq2seq import AttentionSeq2Seq, PeekySeq2Seq, Seq2Seq
from attention_course.scratch.weights import from_arrays, gradients, to_arrays

SOURCE_SIZE, TARGET_SIZE, D, H = 7, 6, 3, 4
LENGTHS = np.array([4, 2, 1])
ATTENTION = [
    (AttentionSeq2Seq, "gru", False, "dot"),
    (AttentionSeq2Seq, "lstm", False, "scaled_dot"),
    (AttentionSeq2Seq, "lstm", True, "general"),
    (AttentionSeq2Seq, "gru", True, "additive"),
]
BAHDANAU = [
    (BahdanauSeq2Seq, "gru", True, "maxout"),
    (BahdanauSeq2Seq, "lstm", True, "linear"),
    (BahdanauSeq2Seq, "rnn", False, "linear"),
]
VARIANTS = [
    (model, cell, both_ways)
    for model in (Seq2Seq, PeekySeq2Seq)
    for cell in ("gru", "lstm")
    for both_ways in (False, True)
]
VARIANTS += ATTENTION + BAHDANAU


def name_of(variant):
    return "-".join([variant[0].__name__, *map(str, variant[1:])])


EACH = pytest.mark.parametrize("variant", VARIANTS, ids=name_of)


def build(variant, dtype=np.float64, seed=0):
    model, cell, both_ways, *kind = variant  # of score, or of readout
    return model(SOURCE_SIZE, TARGET_SIZE, D, H, cell, both_ways, seed, dtype, *kind)


def case():
    """source (3,4), target_in and target_out (3,5), mask (3,5)."""
    rng = np.random.default_rng(1)
    source = rng.integers(0, SOURCE_SIZE, (3, 4))
    target_in, target_out = rng.integers(0, TARGET_SIZE, (2, 3, 5))
    return source, target_in, target_out, np.arange(5) < np.array([[3], [5], [2]])


def run(net, source, target_in, target_out, mask):
    """logits, loss, gradients."""
    logits = net.forward(source, LENGTHS, target_in)
    loss, dlogits = masked_cross_entropy(logits, target_out, mask)
    net.backward(dlogits)
    return logits, loss, gradients(net)


RECURRENT = {
    "gru": {"w_x", "w_h", "b_x", "b_h"},
    "lstm": {"w_x", "w_h", "b"},
    "rnn": {"w_x", "w_h", "b"},
}
ADDITIVE = {f"attention.score.{name}" for name in ("query_weight", "key_weight", "vector")}


@EACH
def test_parameter_names_are_those_of_all_frameworks(variant):
    model, cell, both_ways, *kind = variant
    sides = ("forward.", "backward.") if both_ways else ("",)
    expected = {"encoder.embedding.weight", "decoder.embedding.weight"}
    expected |= {"decoder.readout.weight", "decoder.readout.bias"}
    expected |= {f"encoder.rnn.{side}{name}" for side in sides for name in RECURRENT[cell]}
    expected |= {f"decoder.rnn.{name}" for name in RECURRENT[cell]}
    if both_ways:
        bridges = ("bridge", "bridge_cell") if cell == "lstm" else ("bridge",)
        expected |= {f"{bridge}.{name}" for bridge in bridges for name in ("weight", "bias")}
    if kind == ["general"]:
        expected.add("attention.score.weight")
    if kind == ["additive"] or model is BahdanauSeq2Seq:
        expected |= ADDITIVE
    if kind == ["maxout"]:
        expected |= {"maxout.weight", "maxout.bias"}
    net = build(variant)
    assert net.params.keys() == net.grads.keys() == expected


@EACH
def test_padding_of_either_side_changes_nothing(variant):
    net, (source, target_in, target_out, mask) = build(variant), case()
    logits, loss, grads = run(net, source, target_in, target_out, mask)
    rng = np.random.default_rng(2)
    longer = np.concatenate([source, source[:, :3]], axis=1)
    padding = np.arange(7) >= LENGTHS[:, None]
    longer[padding] = rng.integers(0, SOURCE_SIZE, padding.sum())
    long_in, long_out = (
        np.concatenate([np.where(mask, ids, 0), ids[:, :2]], axis=1)
        for ids in (target_in, target_out)
    )
    long_mask = np.concatenate([mask, np.zeros((3, 2), bool)], axis=1)
    long_logits, long_loss, long_grads = run(net, longer, long_in, long_out, long_mask)
    np.testing.assert_allclose(long_logits[long_mask], logits[mask], atol=1e-14)
    assert long_loss == pytest.approx(loss, abs=1e-14)
    for name, grad in grads.items():
        np.testing.assert_allclose(long_grads[name], grad, atol=1e-14, err_msg=name)


@EACH
def test_step_by_step_is_teacher_forcing_given_the_same_tokens(variant):
    net, (source, target_in, _, _) = build(variant), case()
    expected = log_softmax(net.forward(source, LENGTHS, target_in))
    state = net.start(source, LENGTHS)
    for step in range(target_in.shape[1]):
        log_probs, state = net.step(state, target_in[:, step])
        np.testing.assert_allclose(log_probs, expected[:, step], atol=1e-13)
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=-1), 1)


@EACH
def test_a_batch_is_decoded_like_its_rows_alone(variant):
    net, (source, *_) = build(variant), case()
    together = greedy(net.step, net.start(source, LENGTHS), 3, sos=1, eos=2, max_length=6)
    for row, length in enumerate(LENGTHS):
        state = net.start(source[row : row + 1, :length], LENGTHS[row : row + 1])
        assert greedy(net.step, state, 1, sos=1, eos=2, max_length=6) == [together[row]]


@EACH
def test_an_old_decoding_state_may_be_used_again(variant):
    net, (source, target_in, _, _) = build(variant), case()
    start = net.start(source, LENGTHS)
    first, after = net.step(start, target_in[:, 0])
    kept = first.copy()
    net.step(after, target_in[:, 1])
    again, _ = net.step(start, target_in[:, 0])
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(again, kept)


@EACH
def test_every_output_depends_on_every_source_token_and_on_no_later_target(variant):
    net, (source, target_in, _, _) = build(variant), case()
    logits = net.forward(source, LENGTHS, target_in)
    for token in range(LENGTHS[0]):
        changed = source.copy()
        changed[0, token] = (changed[0, token] + 1) % SOURCE_SIZE
        moved = net.forward(changed, LENGTHS, target_in)
        assert (moved[0] != logits[0]).any(axis=-1).all(), f"source token {token} has no effect"
        np.testing.assert_array_equal(moved[1:], logits[1:])
    changed = target_in.copy()
    changed[:, 3] = (changed[:, 3] + 1) % TARGET_SIZE
    moved = net.forward(source, LENGTHS, changed)
    np.testing.assert_array_equal(moved[:, :3], logits[:, :3])
    assert (moved[:, 3:] != logits[:, 3:]).any()


def test_peeky_hands_the_context_to_every_step():
    """With the decoder's memory of the past cut off, only the peeky one still sees the source."""
    source, target_in, _, _ = case()
    changed = (source + 1) % SOURCE_SIZE
    for model, sees in ((Seq2Seq, False), (PeekySeq2Seq, True)):
        net = build((model, "gru", False))
        net.decoder.rnn.params["w_h"][...] = 0
        net.decoder.rnn.params["b_x"][H : 2 * H] = -1e3  # z = 0: nothing is kept
        moved = net.forward(source, LENGTHS, target_in) - net.forward(changed, LENGTHS, target_in)
        assert moved.any() == sees, f"{model.__name__}"


@pytest.mark.parametrize("variant", ATTENTION, ids=name_of)
def test_the_query_is_the_state_that_has_read_this_step_s_input(variant):
    """Luong's s_t, not s_{t−1}: another input at step t moves the weights of step t already."""
    net, (source, target_in, _, _) = build(variant), case()
    weights = net.alignment(source, LENGTHS, target_in)
    changed = target_in.copy()
    changed[:, 2] = (changed[:, 2] + 1) % TARGET_SIZE
    moved = net.alignment(source, LENGTHS, changed)
    np.testing.assert_array_equal(moved[:, :2], weights[:, :2])
    several = LENGTHS > 1  # a single key gets weight 1 whatever is asked
    assert (moved[several, 2:] != weights[several, 2:]).any(axis=-1).all()


def test_alignment_of_a_model_without_attention_is_refused():
    source, target_in, _, _ = case()
    with pytest.raises(TypeError, match="PeekySeq2Seq has no attention, so no weights to show"):
        build((PeekySeq2Seq, "gru", False)).alignment(source, LENGTHS, target_in)


@pytest.mark.parametrize("variant", BAHDANAU, ids=name_of)
def test_scheduled_sampling_remembers_what_it_read(variant):
    """Only at tokens that were read does the embedding get a gradient."""
    net, (source, target_in, target_out, mask) = build(variant), case()
    truth = np.zeros_like(mask)
    logits = net.forward(source, LENGTHS, target_in, truth)
    read = np.concatenate([target_in[:, :1], logits.argmax(axis=-1)[:, :-1]], axis=1)
    net.backward(masked_cross_entropy(logits, target_out, mask)[1])
    moved = np.flatnonzero(np.abs(net.grads["decoder.embedding.weight"]).max(axis=1))
    np.testing.assert_array_equal(moved, np.unique(read[mask]))
    assert set(moved) != set(target_in[mask]), "nothing to see: choose other seeds"


def test_after_alignment_there_is_nothing_to_go_back_to():
    net, (source, target_in, target_out, mask) = build(ATTENTION[0]), case()
    logits = net.forward(source, LENGTHS, target_in)
    net.alignment(source, LENGTHS, target_in)
    with pytest.raises(RuntimeError, match="backward needs a forward call before it"):
        net.backward(masked_cross_entropy(logits, target_out, mask)[1])


def test_plain_hands_over_both_parts_of_an_lstm_state():
    net, (source, target_in, _, _) = build((Seq2Seq, "lstm", True)), case()
    logits = net.forward(source, LENGTHS, target_in)
    net.params["bridge_cell.bias"][...] += 1
    assert (net.forward(source, LENGTHS, target_in) != logits).any()


@EACH
def test_the_seed_fixes_the_weights(variant):
    one, same, other = (to_arrays(build(variant, seed=seed)) for seed in (3, 3, 4))
    for name, array in one.items():
        np.testing.assert_array_equal(array, same[name])
        assert (array != other[name]).any(), name


def test_weights_start_in_float32_within_their_bounds():
    params = Seq2Seq(50, 60, 30, 400).params
    assert {param.dtype for param in params.values()} == {np.dtype(np.float32)}
    assert np.abs(params["decoder.readout.weight"]).max() <= 400**-0.5
    assert np.abs(params["encoder.rnn.w_x"]).max() <= 400**-0.5
    assert params["encoder.embedding.weight"].std() == pytest.approx(1, abs=0.1)


# Weights in and out.


@EACH
def test_weights_go_out_and_in_again(variant):
    one, other, (source, target_in, _, _) = build(variant), build(variant, seed=5), case()
    arrays = to_arrays(one)
    from_arrays(other, arrays)
    logits = one.forward(source, LENGTHS, target_in)
    np.testing.assert_array_equal(other.forward(source, LENGTHS, target_in), logits)
    for array in arrays.values():
        array += 1  # copies: neither model may notice
    np.testing.assert_array_equal(other.forward(source, LENGTHS, target_in), logits)
    np.testing.assert_array_equal(one.forward(source, LENGTHS, target_in), logits)


def test_half_precision_weights_are_cast_to_the_model_s_dtype():
    net = build(VARIANTS[0], np.float32)
    from_arrays(net, {name: array.astype(np.float16) for name, array in to_arrays(net).items()})
    assert {param.dtype for param in net.params.values()} == {np.dtype(np.float32)}


def test_wrong_weights_are_refused_before_anything_changes():
    net = build(VARIANTS[0])
    before = to_arrays(net)
    wrong = {name: array + 1 for name, array in before.items()}
    wrong["bridge.weight"] = wrong.pop("decoder.readout.bias")
    with pytest.raises(
        ValueError, match=r"missing \['decoder.readout.bias'\], unexpected \['bridge.weight'\]"
    ):
        from_arrays(net, wrong)
    wrong = {name: array + 1 for name, array in before.items()}
    wrong["decoder.readout.weight"] = wrong["decoder.readout.weight"].T
    with pytest.raises(ValueError, match=r"decoder.readout.weight.* shape \(4, 6\), got \(6, 4\)"):
        from_arrays(net, wrong)
    for name, array in before.items():
        np.testing.assert_array_equal(net.params[name], array)


# Maxout.


def test_maxout_takes_the_larger_of_neighbours_and_teaches_it():
    layer = Maxout()
    x = np.array([[5.0, 1, 2, 3], [-4, -2, 0, -1]])
    np.testing.assert_array_equal(layer.forward(x), [[5, 3], [-2, 0]])
    dy = np.array([[1.0, 2], [3, 4]])
    np.testing.assert_array_equal(layer.backward(dy), [[1, 0, 0, 2], [0, 3, 4, 0]])
    equal = layer.forward(np.array([7.0, 7]))
    assert equal == [7] and layer.backward(np.array([1.0])).tolist() == [1, 0]  # not both
    with pytest.raises(ValueError, match=r"x: the last axis must be even, got shape \(2, 3\)"):
        layer.forward(np.ones((2, 3)))
    with pytest.raises(RuntimeError, match="backward needs a forward call before it"):
        Maxout().backward(dy)


# Refusals.


def test_what_the_model_refuses():
    net, (source, target_in, target_out, mask) = build(VARIANTS[0]), case()
    with pytest.raises(ValueError, match=r"cell must be one of .*, got 'rnm'"):
        Seq2Seq(5, 5, D, H, cell="rnm")
    with pytest.raises(TypeError, match="source must have dtype integer, got float64"):
        net.forward(source.astype(float), LENGTHS, target_in)
    with pytest.raises(ValueError, match="ids must lie in 0"):
        net.forward(source + SOURCE_SIZE, LENGTHS, target_in)
    with pytest.raises(ValueError, match=r"source must have 2 axes \(B, S\)"):
        net.forward(source[0], LENGTHS, target_in)
    with pytest.raises(ValueError, match="lengths: axis B must have size 3, got 2"):
        net.forward(source, LENGTHS[:2], target_in)
    with pytest.raises(ValueError, match="target_in: axis B must have size 3, got 2"):
        net.forward(source, LENGTHS, target_in[:2])
    state = net.start(source, LENGTHS)
    with pytest.raises(ValueError, match=r"tokens must have 1 axes \(B=3\)"):
        net.step(state, target_in[:, :1])
    logits = net.forward(source, LENGTHS, target_in)
    net.step(state, target_in[:, 0])
    with pytest.raises(RuntimeError, match="backward needs a forward call before it"):
        net.backward(masked_cross_entropy(logits, target_out, mask)[1])
