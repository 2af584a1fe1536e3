"""Who may attend to whom: our masks, and what the libraries make of them through the adapters.

The probe is the same everywhere: among the weights that a library's own attention gives, exactly
those are 0 that our mask forbids. A mask of the wrong polarity fails it at every single pair.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
import torch.nn.functional as F
from torch import nn

import attention_course.keras.masks as keras_masks
import attention_course.pytorch.masks as torch_masks
import attention_course.scratch.masks as scratch_masks
from attention_course.keras.masks import to_value_mask
from attention_course.pytorch.masks import to_attn_mask, to_key_padding_mask

FRAMEWORKS = {"scratch": scratch_masks, "pytorch": torch_masks, "keras": keras_masks}
ARRAYS = {"scratch": np.array, "pytorch": torch.tensor, "keras": tf.constant}
each_framework = pytest.mark.parametrize("framework", FRAMEWORKS)

B, T, S, D, HEADS = 3, 4, 5, 6, 2
PADDING = np.arange(S) < np.array([5, 2, 3])[:, None, None]  # (B,1,S)
CAUSAL = np.tril(np.ones((S, S), dtype=bool))
ANY = np.random.default_rng(0).random((B, T, S)) < 0.6  # another one for every pair
ANY[..., 1] |= ~ANY.any(axis=-1)  # no empty rows: there the libraries disagree


# Ours.


@each_framework
def test_padding_is_what_comes_after_the_length(framework):
    mask = FRAMEWORKS[framework].padding_mask(ARRAYS[framework]([2, 0, 3]), 3)
    np.testing.assert_array_equal(mask, [[[1, 1, 0]], [[0, 0, 0]], [[1, 1, 1]]])
    assert "bool" in str(mask.dtype)


@each_framework
def test_causal_is_the_past_and_the_present(framework):
    mask = FRAMEWORKS[framework].causal_mask(3)
    np.testing.assert_array_equal(mask, [[1, 0, 0], [1, 1, 0], [1, 1, 1]])
    assert "bool" in str(mask.dtype)


@each_framework
def test_both_together_are_the_past_without_padding(framework):
    masks = FRAMEWORKS[framework]
    both = masks.padding_mask(ARRAYS[framework]([2, 3]), 3) & masks.causal_mask(3)
    first, second = [[1, 0, 0], [1, 1, 0], [1, 1, 0]], [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    np.testing.assert_array_equal(both, [first, second])


@each_framework
@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([2, 4], ValueError, r"lengths must lie in 0\.\.3, got 2\.\.4"),
        ([-1, 2], ValueError, r"lengths must lie in 0\.\.3, got -1\.\.2"),
        ([2.0, 3.0], TypeError, r"lengths must be integers of shape \(B,\), got .*float"),
        ([True, False], TypeError, r"lengths must be integers .*bool"),
        ([[2, 3]], TypeError, r"got .*int.* \(1, 2\)"),
    ],
    ids=["too long", "negative", "floats", "bools", "two axes"],
)
def test_lengths_that_are_none_are_refused(framework, lengths, error, message):
    with pytest.raises(error, match=message):
        FRAMEWORKS[framework].padding_mask(ARRAYS[framework](lengths), 3)


@each_framework
def test_a_causal_mask_of_nothing_is_refused(framework):
    with pytest.raises(ValueError, match="size must be 1 or more, got 0"):
        FRAMEWORKS[framework].causal_mask(0)


def test_keras_masks_are_made_in_a_graph_that_knows_no_size():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, None])])
    def masks(lengths, source):
        size = tf.shape(source)[1]
        padding = keras_masks.padding_mask(lengths, size)
        return padding, keras_masks.causal_mask(size), to_value_mask(padding)

    padding, causal, value = masks(tf.constant([5, 2, 3]), tf.zeros((B, S)))
    np.testing.assert_array_equal(padding, PADDING)
    np.testing.assert_array_equal(causal, CAUSAL)
    np.testing.assert_array_equal(value, PADDING[:, 0])


def test_torch_masks_are_made_where_they_are_wanted():
    lengths = torch.tensor([2, 3])
    assert torch_masks.padding_mask(lengths, 3).device == lengths.device
    assert torch_masks.padding_mask(lengths, 3, device="meta").device.type == "meta"
    assert torch_masks.causal_mask(3, device="meta").device.type == "meta"


# The libraries, through the adapters.


def inputs() -> list[np.ndarray]:
    """query (B,T,D), key and value (B,S,D)."""
    rng = np.random.default_rng(1)
    return [rng.normal(size=(B, n, D)).astype(np.float32) for n in (T, S, S)]


def assert_seen(weights, mask: np.ndarray) -> None:
    """Weights (..., T,S) are 0 where `mask` forbids and positive where it allows."""
    weights = np.asarray(weights)
    np.testing.assert_array_equal(weights > 0, np.broadcast_to(mask, weights.shape))
    assert (weights >= 0).all()


def torch_multi_head(query=None, **masks) -> torch.Tensor:
    """Weights (B,T,N,S) of `nn.MultiheadAttention`."""
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(D, HEADS, batch_first=True)
    arrays = map(torch.tensor, inputs() if query is None else [query] * 3)
    _, weights = layer(*arrays, average_attn_weights=False, **masks)
    return weights.detach().transpose(1, 2)


def test_torch_multi_head_with_padding():
    weights = torch_multi_head(key_padding_mask=to_key_padding_mask(torch.tensor(PADDING)))
    assert_seen(weights, PADDING[:, :, None])


def test_torch_multi_head_with_one_mask_for_all_sentences():
    weights = torch_multi_head(attn_mask=to_attn_mask(torch.tensor(CAUSAL[:T])))
    assert_seen(weights, CAUSAL[:T, None])


def test_torch_multi_head_with_a_mask_for_each_sentence():
    """The heads of one sentence lie side by side: any other order gives it its neighbour's mask."""
    weights = torch_multi_head(attn_mask=to_attn_mask(torch.tensor(ANY), HEADS))
    assert_seen(weights, ANY[:, :, None])


def test_torch_multi_head_with_both_kinds():
    weights = torch_multi_head(
        inputs()[1],
        key_padding_mask=to_key_padding_mask(torch.tensor(PADDING)),
        attn_mask=to_attn_mask(torch.tensor(CAUSAL)),
    )
    assert_seen(weights, (PADDING & CAUSAL)[:, :, None])


def test_torch_multi_head_without_the_adapter_looks_at_the_padding_only():
    """What the adapter is for: it runs, and is the opposite."""
    mask = PADDING[1:]  # with padding in every row
    layer = nn.MultiheadAttention(D, HEADS, batch_first=True)
    arrays = (torch.tensor(x[1:]) for x in inputs())
    _, weights = layer(*arrays, key_padding_mask=torch.tensor(mask[:, 0]))
    assert_seen(weights.detach(), ~mask)


@pytest.mark.parametrize("mask", [PADDING, CAUSAL[:T], ANY], ids=["padding", "causal", "any"])
def test_torch_fused_attention_reads_our_masks_as_they_are(mask):
    query, key, _ = map(torch.tensor, inputs())
    identity = torch.eye(S).expand(B, S, S)  # with these values the context is the weights
    weights = F.scaled_dot_product_attention(query, key, identity, attn_mask=torch.tensor(mask))
    assert_seen(weights, mask)


def keras_attention(query, value, key, **options) -> tf.Tensor:
    """Weights (B,T,S) of `keras.layers.Attention`."""
    layer = keras.layers.Attention()
    return layer([query, value, key], return_attention_scores=True, **options)[1]


def test_keras_attention_with_padding():
    query, key, value = inputs()
    weights = keras_attention(query, value, key, mask=[None, to_value_mask(PADDING)])
    assert_seen(weights, PADDING)


def test_keras_attention_with_padding_and_its_own_causal_mask():
    _, key, value = inputs()
    options = {"mask": [None, to_value_mask(PADDING)], "use_causal_mask": True}
    assert_seen(keras_attention(key, value, key, **options), PADDING & CAUSAL)


@pytest.mark.parametrize("mask", [PADDING, CAUSAL[None, :T], ANY], ids=["padding", "causal", "any"])
def test_keras_multi_head_reads_our_masks_as_they_are(mask):
    query, key, value = inputs()
    layer = keras.layers.MultiHeadAttention(HEADS, key_dim=D)
    _, weights = layer(query, value, key, attention_mask=mask, return_attention_scores=True)
    assert_seen(np.swapaxes(weights, 1, 2), mask[:, :, None])


def test_keras_multi_head_s_own_causal_mask_is_ours():
    _, key, value = inputs()
    layer = keras.layers.MultiHeadAttention(HEADS, key_dim=D)
    _, weights = layer(key, value, key, use_causal_mask=True, return_attention_scores=True)
    assert_seen(weights, np.asarray(keras_masks.causal_mask(S)))


# What the adapters refuse.


@pytest.mark.parametrize("adapt", [to_key_padding_mask, to_attn_mask, to_value_mask])
def test_adapters_refuse_masks_of_numbers(adapt):
    mask = np.ones((B, 1, S), np.float32)
    with pytest.raises(TypeError, match="mask must be bool with True = may attend"):
        adapt(mask if adapt is to_value_mask else torch.tensor(mask))


@pytest.mark.parametrize("mask", [ANY, PADDING[:, 0]], ids=["(B,T,S)", "(B,S)"])
@pytest.mark.parametrize("adapt", [to_key_padding_mask, to_value_mask])
def test_adapters_for_padding_refuse_other_masks(adapt, mask):
    with pytest.raises(ValueError, match=r"mask must be a padding mask \(B,1,S\), got \(3, "):
        adapt(mask if adapt is to_value_mask else torch.tensor(mask))


@pytest.mark.parametrize(
    ("shape", "heads", "message"),
    [
        ((S,), 1, r"mask must be \(T,S\) or \(B,T,S\), got \(5,\)"),
        ((B, 1, T, S), 1, r"mask must be \(T,S\) or \(B,T,S\), got \(3, 1, 4, 5\)"),
        ((B, T, S), 0, "heads must be 1 or more, got 0"),
    ],
)
def test_attn_mask_refuses(shape, heads, message):
    with pytest.raises(ValueError, match=message):
        to_attn_mask(torch.ones(shape, dtype=torch.bool), heads)
