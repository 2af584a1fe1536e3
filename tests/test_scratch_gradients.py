"""Every hand-written backward against central differences, in float64.

(f(x + h) − f(x − h)) / 2h is right to about h² = 1e-8: a wrong term stands out.
"""

from collections.abc import Callable

import numpy as np
import pytest

from attention_course.scratch.attention import AdditiveScore, AttentionPooling
from attention_course.scratch.bahdanau import BahdanauSeq2Seq
from attention_course.scratch.functional import softmax, softmax_backward
from attention_course.scratch.layers import Embedding, Layer, Linear
from attention_course.scratch.losses import masked_cross_entropy
from attention_course.scratch.recurrent import GRU, LSTM, RNN, Bidirectional, Recurrent
from attention_course.scratch.seq2seq import AttentionSeq2Seq, PeekySeq2Seq, Seq2Seq

TOLERANCE = 1e-6
STEP = 1e-4
B, S, D, H = 3, 4, 2, 3
LENGTHS = np.array([2, 4, 1])


def numeric_gradient(
    loss: Callable[[], float], array: np.ndarray, entries: int | None
) -> np.ndarray:
    """∂loss/∂array at `entries` random places (None: all) and NaN elsewhere.

    `loss` must read `array` itself; it is put back after.
    """
    gradient = np.full_like(array, np.nan)
    places = np.random.default_rng(0).permutation(array.size)[:entries]
    for index in zip(*np.unravel_index(places, array.shape)):
        value = array[index]
        array[index] = value + STEP
        above = loss()
        array[index] = value - STEP
        below = loss()
        array[index] = value
        gradient[index] = (above - below) / (2 * STEP)
    return gradient


def relative_error(ours: np.ndarray, numeric: np.ndarray) -> float:
    """Largest difference, as a part of the largest entry, where `numeric` is known."""
    known = ~np.isnan(numeric)
    ours, numeric = ours[known], numeric[known]
    scale = max(np.abs(ours).max(), np.abs(numeric).max(), 1e-6)
    return float(np.abs(ours - numeric).max() / scale)


def check(
    loss: Callable[[], float],
    gradients: dict[str, tuple[np.ndarray, np.ndarray]],
    entries: int | None = None,
) -> None:
    """Each entry: name -> (array that the loss reads, our gradient of it)."""
    ours = {name: gradient.copy() for name, (_, gradient) in gradients.items()}
    errors = {
        name: relative_error(ours[name], numeric_gradient(loss, array, entries))
        for name, (array, _) in gradients.items()
    }
    print("largest relative error", max(errors.values()))
    wrong = {name: f"{error:.1e}" for name, error in errors.items() if error > TOLERANCE}
    assert not wrong, f"gradients that differ from the numerical ones: {wrong}"


def of_layer(layer: Layer) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {name: (param, layer.grads[name]) for name, param in layer.params.items()}


@pytest.mark.parametrize("axis", [-1, 0])
def test_softmax(axis):
    rng = np.random.default_rng(0)
    scores, dweights = rng.standard_normal((2, 3, 4))
    ours = softmax_backward(softmax(scores, axis), dweights, axis)
    check(lambda: (softmax(scores, axis) * dweights).sum(), {"scores": (scores, ours)})


def test_softmax_with_forbidden_scores_and_an_empty_row():
    rng = np.random.default_rng(0)
    scores, dweights = rng.standard_normal((2, 3, 4))
    scores[0, 1] = scores[1] = -np.inf
    ours = softmax_backward(softmax(scores), dweights)
    assert not ours[scores == -np.inf].any(), "a forbidden score must get gradient exactly 0"
    row, drow = scores[0, [0, 2, 3]], ours[0, [0, 2, 3]]
    dweights_row = dweights[0, [0, 2, 3]]
    check(lambda: (softmax(row) * dweights_row).sum(), {"scores": (row, drow)})


def test_masked_cross_entropy():
    rng = np.random.default_rng(1)
    logits, targets = rng.standard_normal((B, S, 5)), rng.integers(0, 5, (B, S))
    mask = np.arange(S) < LENGTHS[:, None]
    _, dlogits = masked_cross_entropy(logits, targets, mask)
    assert not dlogits[~mask].any(), "padding must get gradient exactly 0"
    check(lambda: masked_cross_entropy(logits, targets, mask)[0], {"logits": (logits, dlogits)})


@pytest.mark.parametrize("leading", [(B,), (B, S)])
def test_linear(leading):
    rng = np.random.default_rng(2)
    layer = Linear(D, 5, dtype=np.float64)
    x, dy = rng.standard_normal((*leading, D)), rng.standard_normal((*leading, 5))
    layer.forward(x)
    dx = layer.backward(dy)
    check(lambda: (layer.forward(x) * dy).sum(), {"x": (x, dx)} | of_layer(layer))


def test_embedding_sums_over_repeated_ids_and_forgets_the_last_batch():
    rng = np.random.default_rng(3)
    layer = Embedding(7, D, dtype=np.float64)
    layer.forward(np.arange(7))
    layer.backward(np.ones((7, D)))  # must not linger
    ids, dvectors = np.array([[4, 0, 4], [4, 6, 0]]), rng.standard_normal((2, 3, D))
    layer.forward(ids)
    layer.backward(dvectors)
    check(lambda: (layer.forward(ids) * dvectors).sum(), of_layer(layer))


def recurrent(kind: type[Recurrent], both_ways: bool) -> Layer:
    sizes = (D, H, 4, np.float64)
    return Bidirectional(kind, *sizes) if both_ways else kind(*sizes)


@pytest.mark.parametrize("both_ways", [False, True], ids=["one way", "bidirectional"])
@pytest.mark.parametrize("kind", [RNN, GRU, LSTM])
@pytest.mark.parametrize("lengths", [LENGTHS, None], ids=["ragged", "full"])
def test_recurrent_layer(kind, both_ways, lengths):
    rng = np.random.default_rng(5)
    layer = recurrent(kind, both_ways)
    width = 2 * H if both_ways else H
    inputs, doutputs = rng.standard_normal((B, S, D)), rng.standard_normal((B, S, width))
    state = tuple(rng.standard_normal((B, width)) for _ in range(kind.parts))
    dstate = tuple(rng.standard_normal((B, width)) for _ in state)

    def loss() -> float:
        outputs, final = layer.forward(inputs, lengths, state)
        return (outputs * doutputs).sum() + sum((p * d).sum() for p, d in zip(final, dstate))

    loss()
    dinputs, dinitial = layer.backward(doutputs, dstate)
    states = {f"state {i}": pair for i, pair in enumerate(zip(state, dinitial))}
    check(loss, {"inputs": (inputs, dinputs)} | states | of_layer(layer))


@pytest.mark.parametrize("kind", [RNN, GRU, LSTM])
@pytest.mark.parametrize("both_ways", [False, True], ids=["one way", "bidirectional"])
def test_none_stands_for_a_zero_gradient(kind, both_ways):
    rng = np.random.default_rng(6)
    layer = recurrent(kind, both_ways)
    outputs, final = layer.forward(rng.standard_normal((B, S, D)), LENGTHS)
    dstate = tuple(rng.standard_normal(part.shape) for part in final)
    for doutputs, given in ((np.zeros_like(outputs), dstate), (rng.random(outputs.shape), None)):
        zeros = tuple(np.zeros_like(part) for part in dstate)
        expected, _ = layer.backward(doutputs, given or zeros)
        shorter, _ = layer.backward(doutputs if doutputs.any() else None, given)
        np.testing.assert_array_equal(shorter, expected)


def test_additive_score():
    rng = np.random.default_rng(10)
    layer = AdditiveScore(D, 5, H, dtype=np.float64)
    query, key = rng.standard_normal((B, 3, D)), rng.standard_normal((B, S, 5))
    dscores = rng.standard_normal((B, 3, S))
    layer.forward(query, key)
    dquery, dkey = layer.backward(dscores)
    check(
        lambda: (layer.forward(query, key) * dscores).sum(),
        {"query": (query, dquery), "key": (key, dkey)} | of_layer(layer),
    )


@pytest.mark.parametrize("mask", [None, np.arange(S) < LENGTHS[:, None, None]], ids=["all", "some"])
def test_pooling(mask):
    rng = np.random.default_rng(11)
    layer = AttentionPooling(D, H, dtype=np.float64)
    value, dcontext = rng.standard_normal((B, S, D)), rng.standard_normal((B, D))
    layer.forward(value, mask)
    dvalue = layer.backward(dcontext)
    if mask is not None:
        assert not dvalue[~mask[:, 0]].any(), "padding must get gradient exactly 0"
    check(
        lambda: (layer.forward(value, mask)[0] * dcontext).sum(),
        {"value": (value, dvalue)} | of_layer(layer),
    )


MODELS = [
    (model, cell, both_ways, "")
    for model in (Seq2Seq, PeekySeq2Seq)
    for cell in ("gru", "lstm")
    for both_ways in (False, True)
]
MODELS += [
    (Seq2Seq, "rnn", False, ""),
    (AttentionSeq2Seq, "gru", False, "dot"),
    (AttentionSeq2Seq, "lstm", False, "scaled_dot"),
    (AttentionSeq2Seq, "lstm", True, "general"),
    (AttentionSeq2Seq, "gru", True, "additive"),
    (BahdanauSeq2Seq, "rnn", False, ""),
    (BahdanauSeq2Seq, "gru", True, ""),
    (BahdanauSeq2Seq, "lstm", True, ""),
]


@pytest.mark.parametrize(("model", "cell", "both_ways", "score"), MODELS)
def test_whole_model(model, cell, both_ways, score):
    rng = np.random.default_rng(8)
    options = {"score": score} if score else {}
    net = model(5, 6, D, H, cell, both_ways, seed=9, dtype=np.float64, **options)
    source, target_in, target_out = (
        rng.integers(0, size, (B, steps)) for size, steps in ((5, S), (6, 3), (6, 3))
    )
    mask = np.arange(3) < np.array([[3], [1], [2]])

    def loss() -> float:
        return masked_cross_entropy(net.forward(source, LENGTHS, target_in), target_out, mask)[0]

    logits = net.forward(source, LENGTHS, target_in)
    net.backward(masked_cross_entropy(logits, target_out, mask)[1])
    assert all(grad.any() for grad in net.grads.values()), "a parameter without gradient"
    check(loss, of_layer(net), entries=12)  # each layer's every entry is checked above


TRUTH = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0]], bool)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("readout", ["linear", "maxout"])
@pytest.mark.parametrize("truth", [None, TRUTH], ids=["told", "own words"])
def test_bahdanau(cell, readout, truth):
    """An own word is a choice: a step as small as ours leaves it as it is."""
    rng = np.random.default_rng(12)
    net = BahdanauSeq2Seq(5, 6, D, 4, cell, True, seed=13, dtype=np.float64, readout=readout)
    for param in net.params.values():  # at first it hardly looks, and next to nothing flows back
        param[...] = rng.normal(0, 0.6, param.shape)
    source, target_in, target_out = (
        rng.integers(0, size, (B, steps)) for size, steps in ((5, S), (6, 3), (6, 3))
    )
    mask = np.arange(3) < np.array([[3], [1], [2]])

    def loss() -> float:
        logits = net.forward(source, LENGTHS, target_in, truth)
        return masked_cross_entropy(logits, target_out, mask)[0]

    logits = net.forward(source, LENGTHS, target_in, truth)
    if truth is not None:
        read = np.where(truth[:, 1:], target_in[:, 1:], logits[:, :-1].argmax(axis=-1))
        assert ((read != target_in[:, 1:]) & mask[:, 1:]).any(), "own words that happen to be right"
    net.backward(masked_cross_entropy(logits, target_out, mask)[1])
    assert all(grad.any() for grad in net.grads.values()), "a parameter without gradient"
    check(loss, of_layer(net), entries=12)
