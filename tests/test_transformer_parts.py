"""The Transformer beside PyTorch's own, how it begins, what it refuses, compiled and trained. What
holds in every framework is in `contract/test_transformer.py`.
"""

import copy
from functools import cache
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import attention_course.keras.training as keras_training
import attention_course.keras.transformer as keras_transformer
import attention_course.keras.weights as keras_weights
import attention_course.pytorch.training as torch_training
import attention_course.pytorch.transformer as torch_transformer
import attention_course.pytorch.weights as torch_weights
import attention_course.scratch.training as scratch_training
import attention_course.scratch.transformer as scratch_transformer
import attention_course.scratch.weights as scratch_weights
from attention_course.corpora.batching import Batch
from attention_course.pytorch.masks import (
    causal_mask,
    padding_mask,
    to_attn_mask,
    to_key_padding_mask,
)
from attention_course.schedules import noam_schedule

B, S, T, V, D, N, LAYERS, INNER = 3, 5, 4, 11, 8, 2, 2, 12
SIZES = (V, V, D, N, LAYERS, INNER)
LENGTHS = np.array([5, 2, 3])
FRAMEWORKS = ("scratch", "pytorch", "keras")
MODULES = {
    "scratch": (scratch_transformer, scratch_weights, scratch_training),
    "pytorch": (torch_transformer, torch_weights, torch_training),
    "keras": (keras_transformer, keras_weights, keras_training),
}
pytestmark = pytest.mark.filterwarnings("ignore:.*nested.*tensor:UserWarning")  # PyTorch's own
NORMS = pytest.mark.parametrize("norm_first", [False, True], ids=["post", "pre"])


def sentences(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, V, (B, S)), LENGTHS, rng.integers(0, V, (B, T))


@cache
def usual(framework: str) -> Any:
    """For calls that leave it as it was."""
    return make(framework)


def make(framework: str, *sizes: int, wide: bool = True, **options: Any) -> Any:
    """A Transformer, in float64 if `wide`."""
    if wide and framework != "pytorch":
        options["dtype"] = "float64"
    model = MODULES[framework][0].Transformer(*(sizes or SIZES), **options)
    return model.double() if wide and framework == "pytorch" else model


def logits(framework: str, model: Any, *arrays: np.ndarray) -> np.ndarray:
    if framework == "scratch":
        return model.forward(*arrays)
    if framework == "pytorch":
        return model(*map(torch.as_tensor, arrays)).detach().numpy()
    return model(*arrays).numpy()


def shaken(model: Any) -> Any:
    """A PyTorch model with nothing left at 0 or 1."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) / 3)
    return model


# PyTorch's own.


def pair(norm_first: bool) -> tuple[torch_transformer.Transformer, nn.Transformer]:
    model = shaken(make("pytorch", norm_first=norm_first))
    return model, torch_transformer.to_library(model)


def library_masks() -> dict[str, Tensor]:
    padding = to_key_padding_mask(padding_mask(torch.tensor(LENGTHS), S))
    return {
        "tgt_mask": to_attn_mask(causal_mask(T)),
        "src_key_padding_mask": padding,
        "memory_key_padding_mask": padding,
    }


def assert_close(ours: Tensor, theirs: Tensor, message: str = "") -> None:
    difference = (ours - theirs).abs().max()
    assert difference <= 1e-12 * max(1, theirs.abs().max()), f"off by {difference:.1e} {message}"


@NORMS
def test_pytorch_s_own_transformer_agrees_forward_and_backward(norm_first: bool) -> None:
    """Logits, and the gradients of all its weights and of both embeddings."""
    model, library = pair(norm_first)
    source, lengths, target_in = map(torch.tensor, sentences())
    embedded = [
        stack.embed(x) for stack, x in ((model.encoder, source), (model.decoder, target_in))
    ]
    leaves = [x.detach().requires_grad_() for x in embedded]
    theirs = model.decoder.read(library(*leaves, **library_masks()))
    dlogits = torch.randn(B, T, V, dtype=torch.float64)
    theirs.backward(dlogits)
    model.zero_grad()
    ours = model(source, lengths, target_in)
    assert_close(ours, theirs)
    ours.backward(dlogits)
    gradients = copy.deepcopy(model)
    for mine, parameter in zip(gradients.parameters(), model.parameters()):
        mine.data = parameter.grad
    expected = dict(torch_transformer.to_library(gradients).named_parameters())
    assert expected.keys() == dict(library.named_parameters()).keys()
    for name, parameter in library.named_parameters():
        assert_close(expected[name], parameter.grad, name)
    for stack, ids, leaf in zip((model.encoder, model.decoder), (source, target_in), leaves):
        weight = torch.zeros_like(stack.embedding.weight)
        rows = leaf.grad.flatten(0, 1) * D**0.5
        weight.index_add_(0, ids.flatten(), rows)
        assert_close(stack.embedding.weight.grad, weight, "embedding")


@NORMS
def test_pytorch_s_own_layers_agree(norm_first: bool) -> None:
    model, library = pair(norm_first)
    x, memory = torch.randn(2, B, S, D, dtype=torch.float64).unbind()
    mask = padding_mask(torch.tensor(LENGTHS), S)
    ignored, causal = to_key_padding_mask(mask), causal_mask(S)
    ours, theirs = model.encoder.layers[1], library.encoder.layers[1]
    assert type(theirs) is nn.TransformerEncoderLayer
    assert_same_layer(
        *(lambda y: ours(y, mask)[0], lambda y: theirs(y, src_key_padding_mask=ignored)), x
    )
    mine, other = model.decoder.layers[1], library.decoder.layers[1]
    assert type(other) is nn.TransformerDecoderLayer
    masks = {"tgt_mask": to_attn_mask(causal), "memory_key_padding_mask": ignored}

    def decode(y: Tensor, source: Tensor) -> Tensor:
        return mine(y, mine.cross_attention.project(source, source), mask, causal)[0]

    assert_same_layer(decode, lambda y, source: other(y, source, **masks), x, memory)


def assert_same_layer(ours: Any, theirs: Any, *arrays: Tensor) -> None:
    found = []
    for layer in (ours, theirs):
        leaves = [x.clone().requires_grad_() for x in arrays]
        y = layer(*leaves)
        found.append((y, *torch.autograd.grad(y.sin().sum(), leaves)))
    for mine, other in zip(*found):
        assert_close(mine, other)


@NORMS
def test_decoding_agrees_with_pytorch_s_own_fast_path(norm_first: bool) -> None:
    """In `eval` without gradients PyTorch may take other kernels; real tokens say the same."""
    model, library = pair(norm_first)
    model.eval(), library.eval()
    source, lengths, target_in = map(torch.tensor, sentences())
    with torch.no_grad():
        vectors = (model.encoder.embed(source), model.decoder.embed(target_in))
        theirs = model.decoder.read(library(*vectors, **library_masks()))
        assert_close(model(source, lengths, target_in), theirs)


def test_pytorch_s_own_has_a_last_norm_where_ours_has_none() -> None:
    """Why `to_library` takes it away: with it a post-norm model would be normed twice."""
    plain = nn.Transformer(D, N, LAYERS, LAYERS, INNER, batch_first=True)
    for norm_first in (False, True):
        _, library = pair(norm_first)
        for stack, own in ((library.encoder, plain.encoder), (library.decoder, plain.decoder)):
            assert isinstance(own.norm, nn.LayerNorm)
            assert isinstance(stack.norm, nn.LayerNorm) == norm_first


def test_teacher_forcing_goes_by_pytorch_s_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are written down only where someone wants to see them."""
    calls, fused = [], F.scaled_dot_product_attention

    def noted(*arrays: Any, **options: Any) -> Tensor:
        calls.append(1)
        return fused(*arrays, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", noted)
    model, asked = usual("pytorch"), sentences()
    logits("pytorch", model, *asked)
    assert len(calls) == 3 * LAYERS
    calls.clear()
    model.maps(*asked)
    assert len(calls) == LAYERS  # of `start`, whose weights nobody sees


def test_a_checkpoint_holds_what_is_trained_and_no_table_of_places() -> None:
    model = usual("pytorch")
    assert model.state_dict().keys() == {name for name, _ in model.named_parameters()}


# How it begins.


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_weights_begin_as_they_should(framework: str) -> None:
    """Matrices by Glorot & Bengio, embeddings of variance 1/D, biases 0, norms 1 and 0."""
    sizes = (300, 400, 48, 4, 1, 64)
    model = make(framework, *sizes, wide=False, norm_first=True, positions="learned")
    for name, array in MODULES[framework][1].to_arrays(model).items():
        assert array.dtype == np.float32, name
        if name.endswith("bias"):
            assert (array == 0).all(), name
        elif name.endswith("norm.weight"):
            assert (array == 1).all(), name
        elif "embedding" in name:
            assert abs(array.std() * 48**0.5 - 1) < 0.03, name
        elif "positions" in name:
            assert abs((array**2).mean() - 0.5) < 0.03, name
        else:
            bound = (6 / sum(array.shape)) ** 0.5
            assert 0.95 * bound < np.abs(array).max() <= bound * (1 + 1e-6), name
            assert abs(array.std() / bound - 3**-0.5) < 0.03, name


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_seed_fixes_the_beginning_and_all_matrices_differ(framework: str) -> None:
    sizes, weights = (V, V, D, N, 1, INNER), MODULES[framework][1]
    one, same, other = (
        weights.to_arrays(make(framework, *sizes, wide=False, seed=seed)) for seed in (4, 4, 5)
    )
    drawn = [name for name in one if one[name].std() > 0]
    assert all((one[name] == same[name]).all() for name in one)
    assert not any((one[name] == other[name]).any() for name in drawn)
    firsts = [one[name].flat[0] for name in drawn]
    assert len(set(firsts)) == len(drawn) == 19, "two matrices begin alike"


def test_the_smallest_and_the_largest_number_of_heads() -> None:
    """One token, one number a head, one layer: the three frameworks agree."""
    one = np.ones((1, 1), int)
    for size, heads in ((2, 1), (6, 6)):
        models = {name: make(name, 3, 3, size, heads, 1, 1) for name in FRAMEWORKS}
        arrays = scratch_weights.to_arrays(models["scratch"])
        found = []
        for name, model in models.items():
            MODULES[name][1].from_arrays(model, arrays)
            found.append(logits(name, model, one, np.array([1]), one))
        for other in found[1:]:
            assert np.abs(found[0] - other).max() < 1e-12


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_one_memory_serves_several_targets(framework: str) -> None:
    """`decode(target_in, encode(source, lengths))` reads as the paper, and is `forward`."""
    model, (source, lengths, target_in) = usual(framework), sentences()
    as_tensor = torch.tensor if framework == "pytorch" else np.asarray
    memory = model.encode(as_tensor(source), as_tensor(lengths))
    for words in (target_in, target_in[:, ::-1].copy()):
        found = model.decode(as_tensor(words), memory)
        found = found.detach().numpy() if framework == "pytorch" else np.asarray(found)
        assert np.abs(found - logits(framework, model, source, lengths, words)).max() < 1e-12


# Dropout: in PyTorch, and only while training.


def test_dropout_draws_anew_while_training_and_never_afterwards() -> None:
    model, plain = (make("pytorch", dropout=share) for share in (0.5, 0.0))
    plain.load_state_dict(model.state_dict())
    asked = sentences()
    model.train()
    assert (logits("pytorch", model, *asked) != logits("pytorch", model, *asked)).any()
    model.start(*asked[:2])  # decoding turns it off
    assert (logits("pytorch", model, *asked) == logits("pytorch", plain, *asked)).all()


def test_dropout_stands_after_embeddings_and_sub_layers() -> None:
    """With all of these gone nothing comes in, and nothing is added: norms of 0 are left."""
    model = shaken(make("pytorch", dropout=1.0)).train()
    memory = model.encode(*map(torch.tensor, sentences()[:2]))
    expected = torch.zeros(D, dtype=torch.float64)
    for layer in model.encoder.layers:
        for residual in (layer.attention_residual, layer.feed_forward_residual):
            expected = residual.norm(expected)
    assert_close(memory.outputs, expected.expand(B, S, D))
    count = sum(isinstance(part, nn.Dropout) for part in model.modules())
    assert count == 2 + 2 * LAYERS + 3 * LAYERS


# The way back, in NumPy.


def test_backward_needs_forward_and_nothing_after_it() -> None:
    """The layers remember their last call: after a step it is not what `backward` is about."""
    model, (source, lengths, target_in) = make("scratch"), sentences()
    dlogits = np.ones((B, T, V))

    def a_step() -> None:
        model.step(model.start(source, lengths), target_in[:, 0])

    def looks() -> None:
        model.alignment(source, lengths, target_in)

    with pytest.raises(RuntimeError, match="needs a forward call before it"):
        model.backward(dlogits)
    for between in (a_step, looks, lambda: model.start(source, lengths)):
        model.forward(source, lengths, target_in)
        model.backward(dlogits)
        between()
        with pytest.raises(RuntimeError, match="needs a forward call before it"):
            model.backward(dlogits)
    model.forward(source, lengths, target_in)
    with pytest.raises(ValueError, match="dy"):
        model.backward(dlogits[:, 1:])


# Trained.


def batch(seed: int) -> Batch:
    source, lengths, target_in = sentences(seed)
    target_out = np.roll(target_in, -1, axis=1)
    return Batch(source, lengths, target_in, target_out, np.array([4, 1, 3]))


@pytest.fixture
def uncompiled():
    """Without tf.function, whose compiling takes longer than all else here."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("tie", ["none", "target", "all"])
def test_three_updates_lead_to_the_same_weights(tie: str, uncompiled: None) -> None:
    """Warmed up and smoothed; a shared matrix takes one step, by the sum of its gradients."""
    start, found = None, {}
    for framework in FRAMEWORKS if tie == "all" else FRAMEWORKS[:2]:
        weights, training = MODULES[framework][1:]
        model = make(framework, tie=tie, norm_first=True, positions="learned")
        start = start or weights.to_arrays(model)
        weights.from_arrays(model, start)
        step = training.make_train_step(model, noam_schedule(D, 2, 0.02), 1e3, smoothing=0.1)
        found[framework] = ([step(batch(seed)) for seed in range(3)], weights.to_arrays(model))
    losses, ours = found.pop("scratch")
    for framework, (others, theirs) in found.items():
        assert np.allclose(losses, others, rtol=0, atol=1e-10), framework
        for name, array in ours.items():
            if "key.bias" in name:  # moves all scores of a query alike: its gradient is rounding
                continue
            assert np.abs(array - start[name]).max() > 1e-4, f"{name} has not moved"
            assert np.allclose(array, theirs[name], rtol=0, atol=1e-9), f"{framework}: {name}"


# Keras, compiled.


def test_compiled_steps_are_traced_once_and_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """`start` and `step`, for any number of sentences of any length; too long is said in words."""
    sizes, traced = (V, V, D, N, 1, INNER), []
    encode, decode = (
        keras_transformer.Transformer.encode,
        keras_transformer.Transformer._decode_step,
    )
    for name, method in (("encode", encode), ("_decode_step", decode)):
        monkeypatch.setattr(
            keras_transformer.Transformer,
            name,
            lambda self, *given, method=method: traced.append(1) or method(self, *given),
        )
    model, ours = make("keras", *sizes, longest=7), make("scratch", *sizes, longest=7)
    keras_weights.from_arrays(model, scratch_weights.to_arrays(ours))
    for rows, longest in ((3, 5), (1, 2), (2, 7)):
        source, lengths = np.ones((rows, longest), int), np.full(rows, longest)
        state, other = model.start(source, lengths), ours.start(source, lengths)
        for token in (4, 5, 6):
            tokens = np.full(rows, token)
            found, state = model.step(state, tokens)
            expected, other = ours.step(other, tokens)
            assert np.abs(found - expected).max() < 1e-12
            assert np.abs(state.weights - other.weights).max() < 1e-12
    assert len(traced) == 2
    with pytest.raises(tf.errors.InvalidArgumentError, match="longer than longest"):
        model.start(np.ones((2, 8), int), np.array([8, 1]))
    for lengths in ([5, 1, 1], [5], [6, 1], [0, 5]):
        with pytest.raises(ValueError, match="lengths must"):
            model.start(np.ones((2, 5), int), np.array(lengths))


# What it refuses.


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"heads": 3}, ValueError, "heads must divide the model size 8, got 3"),
        ({"heads": 0}, ValueError, "heads must be 1 or more, got 0"),
        ({"heads": 2.0}, TypeError, "heads must be an int, got float"),
        ({"layers": 0}, ValueError, "layers must be 1 or more, got 0"),
        ({"layers": 1.5}, TypeError, "layers must be an int, got float"),
        ({"layers": True}, TypeError, "layers must be an int, got bool"),
        ({"inner_size": 0}, ValueError, "inner_size must be 1 or more, got 0"),
        ({"model_size": 0}, ValueError, "model_size must be 1 or more, got 0"),
        ({"longest": 0}, ValueError, "longest must be 1 or more, got 0"),
        ({"source_size": 2.5}, TypeError, "source_size must be an int, got float"),
        ({"positions": "rotary"}, ValueError, r"positions must be one of .*, got 'rotary'"),
        ({"positions": None}, ValueError, r"positions must be one of .*, got None"),
        (
            {"tie": "both"},
            ValueError,
            r"tie must be one of \('none', 'target', 'all'\), got 'both'",
        ),
        ({"tie": True}, ValueError, "tie must be one of .*, got True"),
        (
            {"tie": "all", "source_size": 9},
            ValueError,
            'tie "all" .* source_size = target_size, got 9 and 11',
        ),
        ({"model_size": 9, "heads": 3}, ValueError, "model_size must be even, .* got 9"),
    ],
)
def test_bad_options_are_refused(framework: str, options, error, message) -> None:
    names = ("source_size", "target_size", "model_size", "heads", "layers", "inner_size")
    with pytest.raises(error, match=message):
        MODULES[framework][0].Transformer(**(dict(zip(names, SIZES)) | options))


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        (LENGTHS[:2], ValueError, "lengths.* got .*2"),
        (LENGTHS[:1], ValueError, "lengths.* got .*1"),  # not one length for all
        (LENGTHS[:, None], ValueError, r"lengths must .* got .*\(3, 1\)"),
        (np.array([5, 2, 6]), ValueError, r"lengths must lie in 1\.\.5, got 2\.\.6"),
        (np.array([5, 0, 3]), ValueError, r"lengths must lie in 1\.\.5, got 0\.\.5"),
        (LENGTHS * 1.0, TypeError, "lengths must .*integer"),
    ],
)
def test_bad_lengths_are_refused(framework: str, lengths, error, message) -> None:
    source, _, target_in = sentences()
    with pytest.raises(error, match=message):
        logits(framework, usual(framework), source, lengths, target_in)


@pytest.mark.parametrize(
    ("name", "change", "error", "message"),
    [
        ("source", lambda x: x * 1.0, TypeError, "source must have dtype integer, got float64"),
        ("source", lambda x: x > 0, TypeError, "source must have dtype integer, got bool"),
        ("source", lambda x: x.tolist(), TypeError, "source must be a NumPy array, got list"),
        ("source", lambda x: x[0], ValueError, r"source must have 2 axes \(B, S\)"),
        ("source", lambda x: x + V, ValueError, "ids must lie in 0..10"),
        ("source", lambda x: x - V, ValueError, "ids must lie in 0..10"),
        ("target_in", lambda x: x * 1.0, TypeError, "target_in must have dtype integer"),
        ("target_in", lambda x: x[:2], ValueError, "target_in: axis B must have size 3, got 2"),
        ("target_in", lambda x: x[:1], ValueError, "target_in: axis B must have size 3, got 1"),
        ("target_in", lambda x: x[0], ValueError, r"target_in must have 2 axes \(B=3, T\)"),
        ("target_in", lambda x: x + V, ValueError, "ids must lie in 0..10"),
    ],
)
def test_bad_sentences_are_refused_in_numpy(name: str, change, error, message) -> None:
    """In the libraries it is their own embedding that complains, if any."""
    given = dict(zip(("source", "source_lengths", "target_in"), sentences()))
    given[name] = change(given[name])
    with pytest.raises(error, match=message):
        make("scratch").forward(**given)


def test_bad_tokens_of_a_step_are_refused_in_numpy() -> None:
    model, (source, lengths, target_in) = make("scratch"), sentences()
    state = model.start(source, lengths)
    for tokens, error, message in (
        (target_in, ValueError, r"tokens must have 1 axes \(B=3\)"),
        (target_in[:2, 0], ValueError, "tokens: axis B must have size 3, got 2"),
        (target_in[:, 0] * 1.0, TypeError, "tokens must have dtype integer, got float64"),
    ):
        with pytest.raises(error, match=message):
            model.step(state, tokens)
