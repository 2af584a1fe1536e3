"""Multi-head attention: every property in three frameworks, and mistakes that must be caught."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import torch

import attention_course.keras.multihead as keras_multihead
import attention_course.keras.weights as keras_weights
import attention_course.pytorch.multihead as torch_multihead
import attention_course.pytorch.weights as torch_weights
import attention_course.scratch.multihead as scratch_multihead
import attention_course.scratch.weights as scratch_weights
from attention_course.pytorch.masks import to_attn_mask
from attention_course.scratch.functional import softmax

B, T, S, D, N = 2, 3, 5, 12, 3  # B ≠ N: a mask of sentences is none of heads
SEEN = 1e-6
LENGTHS = np.array([5, 2])
PADDING = np.arange(S) < LENGTHS[:, None, None]  # (B,1,S)
CAUSAL = np.tril(np.ones((T, S), bool))
PER_HEAD = np.random.default_rng(5).random((B, N, T, S)) < 0.7
PER_HEAD[..., 0] = True
MASKS = {"none": None, "padding": PADDING, "causal": CAUSAL, "per head": PER_HEAD}


class Framework(NamedTuple):
    module: ModuleType
    weights: ModuleType
    array: Callable[[np.ndarray], Any]
    options: dict[str, Any]

    def layer(self, arrays: dict[str, np.ndarray] | None = None) -> Any:
        made = self.module.MultiHeadAttention(D, N, **self.options)
        if self.module is torch_multihead:
            made = made.double()
        if arrays is not None:
            self.weights.from_arrays(made, arrays)
        return made

    def run(self, layer: Any, *arrays: np.ndarray, mask=None, **options: Any) -> list[np.ndarray]:
        call = layer.forward if self.module is scratch_multihead else layer
        given = None if mask is None else self.array(mask)
        found = call(*map(self.array, arrays), mask=given, **options)
        return [None if x is None else self.numpy(x) for x in found]

    def numpy(self, x: Any) -> np.ndarray:
        return x.detach().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)


FRAMEWORKS = {
    "scratch": Framework(scratch_multihead, scratch_weights, lambda x: x, {"dtype": np.float64}),
    "pytorch": Framework(torch_multihead, torch_weights, torch.tensor, {}),
    "keras": Framework(keras_multihead, keras_weights, tf.constant, {"dtype": "float64"}),
}


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> Framework:
    return FRAMEWORKS[request.param]


def inputs(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal((B, size, D)) for size in (T, S, S))


def weights(seed: int = 1) -> dict[str, np.ndarray]:
    """Asymmetric random weights; biases, too."""
    rng, found = np.random.default_rng(seed), {}
    for name in ("query", "key", "value", "out"):
        found |= {f"{name}.weight": rng.standard_normal((D, D)) / 2}
        found |= {f"{name}.bias": rng.standard_normal(D) / 2}
    return found


def reference(arrays: dict, query, key, value, mask=None) -> tuple[np.ndarray, np.ndarray]:
    """One head after the other, with its columns of the matrices, and Σ_n head_n W_n."""
    size, output, seen = D // N, np.tile(arrays["out.bias"], (B, T, 1)), []
    mask = np.ones((B, N, T, S), bool) if mask is None else mask
    mask = mask[:, None] if mask.ndim == 3 else mask
    mask = np.broadcast_to(mask, (B, N, T, S))
    for n in range(N):
        mine = slice(n * size, (n + 1) * size)
        q, k, v = (
            x @ arrays[f"{name}.weight"][:, mine] + arrays[f"{name}.bias"][mine]
            for name, x in (("query", query), ("key", key), ("value", value))
        )
        scores = np.einsum("btd,bsd->bts", q, k) / np.sqrt(size)
        row = softmax(np.where(mask[:, n], scores, -1e30)) * mask[:, n]
        output = output + np.einsum("bts,bsd->btd", row, v) @ arrays["out.weight"][mine]
        seen.append(row)
    return output, np.stack(seen, axis=1)


# Checks, by name; mutants below must fail one.


def equals_the_reference(framework: Framework) -> None:
    for name, mask in MASKS.items():
        found = framework.run(framework.layer(weights()), *inputs(), mask=mask)
        for part, mine, right in zip(
            ("output", "weights"), found, reference(weights(), *inputs(), mask), strict=True
        ):
            assert mine.shape == right.shape, f"{part} has shape {mine.shape}: {name}"
            assert np.allclose(mine, right, rtol=0, atol=1e-10), (
                f"{part} is not that of one head after the other, mask {name}: are heads split by "
                "a reshape alone, the score not scaled by the head's size, or a mask of sentences "
                "taken for one of heads?"
            )


def tokens_stay_apart(framework: Framework) -> None:
    """A query's output depends on its own row; by keys and values, on those it may attend to."""
    layer, (query, key, value) = framework.layer(weights()), inputs()
    base, _ = framework.run(layer, query, key, value)
    for t in range(T):
        other = query.copy()
        other[:, t] += 1
        moved, _ = framework.run(layer, other, key, value)
        rows = np.abs(moved - base).max(axis=(0, 2)) > SEEN
        assert rows.tolist() == [row == t for row in range(T)], (
            "another query moves another row's output: tokens are mixed where heads are split"
        )
    for j in range(S):
        given, _ = framework.run(layer, query, key, value, mask=CAUSAL)
        later = value.copy()
        later[:, j] += 1
        moved, _ = framework.run(layer, query, key, later, mask=CAUSAL)
        rows = np.abs(moved - given).max(axis=(0, 2)) > SEEN
        assert rows.tolist() == CAUSAL[:, j].tolist(), (
            "a value moves a row that may not attend to it: tokens are mixed, or the mask is lost"
        )


def padding_changes_nothing(framework: Framework) -> None:
    layer, (query, key, value) = framework.layer(weights()), inputs()
    wide = [np.pad(x, ((0, 0), (0, 4), (0, 0)), constant_values=7) for x in (key, value)]
    base, seen = framework.run(layer, query, key, value, mask=PADDING)
    mask = np.pad(PADDING, ((0, 0), (0, 0), (0, 4)))
    found, rows = framework.run(layer, query, *wide, mask=mask)
    assert np.allclose(found, base, rtol=0, atol=1e-12), "padding moves the output"
    assert (rows[..., S:] == 0).all() and np.allclose(rows[..., :S], seen, atol=1e-12)


def an_empty_row_gives_the_output_bias(framework: Framework) -> None:
    """Nothing to attend to: weights and context 0, so nothing but b_O is left."""
    mask = np.ones((B, T, S), bool)
    mask[1, 2] = False
    found, rows = framework.run(framework.layer(weights()), *inputs(), mask=mask)
    assert (rows[1, :, 2] == 0).all() and np.isfinite(found).all()
    assert np.allclose(found[1, 2], weights()["out.bias"], rtol=0, atol=1e-12), (
        "a query that may attend to nothing looks somewhere"
    )


def weights_are_one_matrix_a_head(framework: Framework) -> None:
    found, rows = framework.run(framework.layer(weights()), *inputs())
    assert rows.shape == (B, N, T, S) and np.allclose(rows.sum(axis=-1), 1)
    assert np.abs(rows[:, 0] - rows[:, 1]).max() > 1e-3, "all heads look alike"
    without, nothing = framework.run(framework.layer(weights()), *inputs(), need_weights=False)
    assert nothing is None and np.allclose(without, found, rtol=0, atol=1e-10)


def the_output_layer_mixes_heads(framework: Framework) -> None:
    """Another matrix for head 2 alone moves all numbers of the output, not a block of them."""
    base, _ = framework.run(framework.layer(weights()), *inputs())
    other = weights()
    other["value.weight"][:, D // N : 2 * D // N] *= 2
    moved, _ = framework.run(framework.layer(other), *inputs())
    assert (np.abs(moved - base).max(axis=(0, 1)) > SEEN).all(), "heads are not mixed by W_O"


def every_head_reads_all_numbers(framework: Framework) -> None:
    """Project first, then split: each head's weights depend on every number of a token."""
    layer, (query, key, value) = framework.layer(weights()), inputs()
    _, base = framework.run(layer, query, key, value)
    for number in range(D):
        other = query.copy()
        other[..., number] += 1
        _, moved = framework.run(layer, other, key, value)
        assert (np.abs(moved - base).max(axis=(0, 2, 3)) > SEEN).all(), (
            "a head does not see a number of the query: split before the projection?"
        )


CHECKS = {
    check.__name__: check
    for check in (
        equals_the_reference,
        tokens_stay_apart,
        padding_changes_nothing,
        an_empty_row_gives_the_output_bias,
        weights_are_one_matrix_a_head,
        the_output_layer_mixes_heads,
        every_head_reads_all_numbers,
    )
}


@pytest.mark.parametrize("name", CHECKS)
def test_property(framework: Framework, name: str) -> None:
    CHECKS[name](framework)


# Gradients.


def scratch_gradients(mask: np.ndarray | None) -> dict[str, np.ndarray]:
    layer, given = FRAMEWORKS["scratch"].layer(weights()), inputs()
    output, _ = layer.forward(*given, mask)
    found = layer.backward(np.cos(np.arange(output.size)).reshape(output.shape))
    return layer.grads | dict(zip(("q", "k", "v"), found, strict=True))


@pytest.mark.parametrize("mask", MASKS)
def test_three_backward_passes_agree(mask: str) -> None:
    ours, dout = scratch_gradients(MASKS[mask]), np.cos(np.arange(B * T * D)).reshape(B, T, D)
    layer = FRAMEWORKS["pytorch"].layer(weights())
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs()]
    given = None if MASKS[mask] is None else torch.tensor(MASKS[mask])
    (layer(*tensors, given)[0] * torch.tensor(dout)).sum().backward()
    theirs = torch_weights.gradients(layer)
    theirs |= {n: t.grad.numpy() for n, t in zip(("q", "k", "v"), tensors, strict=True)}
    keras_layer = FRAMEWORKS["keras"].layer(weights())
    given = None if MASKS[mask] is None else tf.constant(MASKS[mask])
    third = keras_weights.gradients(
        keras_layer,
        lambda: tf.reduce_sum(keras_layer(*map(tf.constant, inputs()), given)[0] * dout),
    )
    for name, gradient in ours.items():
        assert np.allclose(gradient, theirs[name], rtol=0, atol=1e-10), name
        if name in third:
            assert np.allclose(gradient, third[name], rtol=0, atol=1e-10), name
    assert third.keys() == theirs.keys() - {"q", "k", "v"}


def test_self_attention_s_gradient_is_the_sum_of_three() -> None:
    layer, (_, x, _) = FRAMEWORKS["scratch"].layer(weights()), inputs()
    dout = np.random.default_rng(3).standard_normal((B, S, D))
    layer.forward(x, x, x)
    total, step = sum(layer.backward(dout)), 1e-6
    for place in ((0, 0, 0), (1, 3, 7), (0, 4, 11)):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * step
            ends.append((layer.forward(moved, moved, moved)[0] * dout).sum())
        assert abs((ends[0] - ends[1]) / (2 * step) - total[place]) < 1e-6


# The libraries' own layers.


@pytest.mark.parametrize("mask", ["none", "causal", "per head"])
def test_pytorch_s_own_layer_agrees_forward_and_backward(mask: str) -> None:
    layer, given = FRAMEWORKS["pytorch"].layer(weights()), list(map(torch.tensor, inputs()))
    library = torch_multihead.to_library(layer)
    ours, rows = layer(*given, None if MASKS[mask] is None else torch.tensor(MASKS[mask]))
    attn_mask = None
    if mask == "causal":
        attn_mask = ~torch.tensor(CAUSAL)
    elif mask == "per head":
        attn_mask = ~torch.tensor(PER_HEAD).flatten(0, 1)
    theirs, seen = library(*given, attn_mask=attn_mask, average_attn_weights=False)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)
    assert torch.allclose(rows, seen, rtol=0, atol=1e-12)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    packed = torch.cat([part.weight.grad for part in (layer.query, layer.key, layer.value)])
    assert torch.allclose(packed, library.in_proj_weight.grad, rtol=0, atol=1e-9)
    assert torch.allclose(layer.out.weight.grad, library.out_proj.weight.grad, rtol=0, atol=1e-9)


def test_the_adapter_of_masks_fits_pytorch_s_layer() -> None:
    layer, given = FRAMEWORKS["pytorch"].layer(weights()), list(map(torch.tensor, inputs()))
    mask = torch.tensor(PADDING).expand(B, T, S)
    ours, _ = layer(*given, mask)
    theirs, _ = torch_multihead.to_library(layer)(*given, attn_mask=to_attn_mask(mask, heads=N))
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("mask", ["none", "padding", "causal", "per head"])
def test_keras_s_own_layer_agrees(mask: str) -> None:
    layer, (query, key, value) = FRAMEWORKS["keras"].layer(weights()), map(tf.constant, inputs())
    library = keras_multihead.to_library(layer)
    given = None if MASKS[mask] is None else tf.constant(MASKS[mask])
    ours, rows = layer(query, key, value, given)
    theirs, seen = library(query, value, key, attention_mask=given, return_attention_scores=True)
    assert np.allclose(ours, theirs, rtol=0, atol=1e-6)
    assert np.allclose(rows, seen, rtol=0, atol=1e-6)


def test_keras_s_own_layer_has_the_same_gradients() -> None:
    layer = FRAMEWORKS["keras"].layer(weights())
    library = keras_multihead.to_library(layer)
    query, key, value = map(tf.constant, inputs())
    given, dout = tf.constant(PADDING), np.cos(np.arange(B * T * D)).reshape(B, T, D)
    found = []
    for call, parameters in (
        (lambda: layer(query, key, value, given)[0], layer.trainable_variables),
        (lambda: library(query, value, key, attention_mask=given), library.trainable_variables),
    ):
        with tf.GradientTape() as tape:
            tape.watch([query, key, value])
            loss = tf.reduce_sum(call() * dout)
        arrays = tape.gradient(loss, [query, key, value, *parameters])
        found.append([np.asarray(array) for array in arrays])
    assert len(found[0]) == len(found[1]) == 3 + 8
    for ours, theirs in zip(*found):
        assert np.allclose(ours, theirs.reshape(ours.shape), rtol=0, atol=1e-6)


# Split and merge.


def test_split_and_merge_by_hand(framework: Framework) -> None:
    numbers = np.arange(24.0).reshape(2, 3, 4)
    split = framework.module.split_heads(framework.array(numbers), 2)
    assert framework.numpy(split)[0, 0].tolist() == [[0, 1], [4, 5], [8, 9]]
    assert framework.numpy(split)[1, 1].tolist() == [[14, 15], [18, 19], [22, 23]]
    assert (
        framework.numpy(framework.module.merge_heads(split)) == np.arange(24).reshape(2, 3, 4)
    ).all()


def test_one_head_and_as_many_heads_as_numbers(framework: Framework) -> None:
    for heads in (1, D):
        layer = framework.module.MultiHeadAttention(D, heads)
        given = [framework.array(x.astype(np.float32)) for x in inputs()]
        call = layer.forward if framework.module is scratch_multihead else layer
        output, rows = call(*given)
        assert tuple(output.shape) == (B, T, D) and tuple(rows.shape) == (B, heads, T, S)


def test_weights_go_there_and_back(framework: Framework) -> None:
    again = framework.weights.to_arrays(framework.layer(weights()))
    assert again.keys() == weights().keys()
    assert all((again[name] == array).all() for name, array in weights().items())


# Mistakes.


class Mutant(NamedTuple):
    framework: str
    name: str
    wrong: Callable[..., Any]
    caught_by: str


def _reshape_alone(x, heads):
    return x.reshape(x.shape[0], heads, x.shape[1], -1)


def _reshape_back(x):
    return x.reshape(x.shape[0], x.shape[2], -1)


def _every_nth(x, heads):
    """Head n gets numbers n, n + N, …: merged by blocks again."""
    return x.reshape(*x.shape[:-1], -1, heads).transpose(0, 3, 1, 2)


def _mixed_heads(x):
    x = x.swapaxes(1, 2)[..., ::-1, :]
    return x.reshape(*x.shape[:2], -1)


def _scaled_by_the_model(self, query):
    return query * (D**-0.5)


def _no_scale(self, query, key):
    return query @ key.swapaxes(-1, -2)


MUTANTS = [
    Mutant("scratch", "split_heads", _reshape_alone, "equals_the_reference"),
    Mutant("scratch", "split_heads", _reshape_alone, "tokens_stay_apart"),
    Mutant("pytorch", "split_heads", _reshape_alone, "tokens_stay_apart"),
    Mutant(
        "keras",
        "split_heads",
        lambda x, heads: tf.reshape(x, (x.shape[0], heads, x.shape[1], -1)),
        "tokens_stay_apart",
    ),
    Mutant("scratch", "merge_heads", _reshape_back, "tokens_stay_apart"),
    Mutant("pytorch", "merge_heads", lambda x: x.reshape(B, T, D), "equals_the_reference"),
    Mutant("scratch", "split_heads", _every_nth, "equals_the_reference"),
    Mutant("scratch", "merge_heads", _mixed_heads, "equals_the_reference"),
    Mutant("scratch", "DotScore.forward", _no_scale, "equals_the_reference"),
    Mutant("pytorch", "DotScore.fold", _scaled_by_the_model, "weights_are_one_matrix_a_head"),
    Mutant("scratch", "_for_heads", lambda mask: None, "padding_changes_nothing"),
    Mutant("pytorch", "_for_heads", lambda mask: None, "an_empty_row_gives_the_output_bias"),
    Mutant(
        "keras",
        "_for_heads",
        lambda mask: None if mask is None else ~_shared(mask),
        "padding_changes_nothing",
    ),
]


def _shared(mask):
    return mask[:, None] if mask.shape.rank == 3 else mask


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.framework}-{m.name}-{m.caught_by}")
def test_mutant_is_caught(monkeypatch: pytest.MonkeyPatch, mutant: Mutant) -> None:
    framework = FRAMEWORKS[mutant.framework]
    target = f"{framework.module.__name__}.{mutant.name}"
    monkeypatch.setattr(target, mutant.wrong)
    with pytest.raises(AssertionError):
        CHECKS[mutant.caught_by](framework)


def test_a_reshape_alone_goes_round_and_fits() -> None:
    """Why shape and round trip are no tests of it."""
    x = np.arange(24.0).reshape(2, 3, 4)
    wrong = _reshape_alone(x, 2)
    assert wrong.shape == scratch_multihead.split_heads(x, 2).shape
    assert (_reshape_back(wrong) == x).all()


# Errors.


@pytest.mark.parametrize(
    ("heads", "error", "message"),
    [
        (5, ValueError, "heads must divide the model size 12, got 5"),
        (0, ValueError, "heads must be 1 or more, got 0"),
        (2.0, TypeError, "heads must be an int, got float"),
    ],
)
def test_bad_heads_are_refused(framework: Framework, heads, error, message) -> None:
    with pytest.raises(error, match=message):
        framework.module.MultiHeadAttention(D, heads)
    if isinstance(heads, int):
        with pytest.raises(error, match=message):
            framework.module.split_heads(framework.array(inputs()[0]), heads)


@pytest.mark.parametrize(
    ("place", "shape", "message"),
    [
        (0, (B, T, D + 1), "axis D must have size"),
        (1, (B, S + 1, D), "axis S must have size"),
        (2, (B + 1, S, D), "axis B must have size"),
        (1, (S, D), "key must have 3 axes"),
    ],
)
def test_bad_shapes_are_refused(framework: Framework, place, shape, message) -> None:
    given = list(inputs())
    given[place] = np.ones(shape)
    with pytest.raises(ValueError, match=message):
        framework.run(framework.layer(), *given)


def test_bad_masks_are_refused(framework: Framework) -> None:
    layer = framework.layer()
    with pytest.raises(ValueError, match="mask must be broadcastable"):
        framework.run(layer, *inputs(), mask=np.ones((B, S), bool))
    with pytest.raises(TypeError, match="mask must be bool"):
        framework.run(layer, *inputs(), mask=np.ones((B, 1, S)))


def test_backward_needs_a_forward() -> None:
    with pytest.raises(RuntimeError, match="needs a forward call before it"):
        scratch_multihead.MultiHeadAttention(D, N).backward(np.ones((B, T, D), np.float32))
