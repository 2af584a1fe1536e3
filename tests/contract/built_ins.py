"""What the libraries themselves offer, as functions of NumPy arrays: (query, key, value, mask) and
the mechanism's parameters -> (context, weights or None), or None where the library cannot be asked
with such a mask.

Each gets our mask through the adapter of its framework, so a wrong polarity shows. Not to be asked
about empty rows: there the libraries disagree among themselves.
"""

from typing import Any

import keras
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from attention_course.keras import masks as keras_masks
from attention_course.pytorch import masks as torch_masks

Mask = np.ndarray | None
Result = tuple[np.ndarray, np.ndarray | None] | None


def torch_sdpa(query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: Mask) -> Result:
    """F.scaled_dot_product_attention: True = may attend, as with us; scaled by 1/√d_k."""
    return _torch_sdpa(query, key, value, mask, scale=None)


def torch_sdpa_unscaled(query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: Mask):
    return _torch_sdpa(query, key, value, mask, scale=1.0)


def _torch_sdpa(query, key, value, mask, scale: float | None) -> Result:
    arrays = map(torch.tensor, (query, key, value))
    mask = None if mask is None else torch.tensor(mask)
    return F.scaled_dot_product_attention(*arrays, attn_mask=mask, scale=scale).numpy(), None


def torch_multi_head_attention(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: Mask
) -> Result:
    """nn.MultiheadAttention with one head and identities for projections.

    It has one size for query, key and context, here that of the value; the others are filled up
    with zeros, and the query makes up for the scale 1/√d_v.
    """
    d_k, d_v = query.shape[-1], value.shape[-1]
    layer = nn.MultiheadAttention(d_v, 1, bias=False, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        layer.in_proj_weight.copy_(torch.eye(d_v, dtype=torch.float64).repeat(3, 1))
        layer.out_proj.weight.copy_(torch.eye(d_v))
    filled = [np.pad(x, ((0, 0), (0, 0), (0, d_v - d_k))) for x in (query, key)]
    arrays = (filled[0] * (d_v / d_k) ** 0.5, filled[1], value)
    context, weights = layer(*map(torch.tensor, arrays), **_torch_mask(mask))
    return context.detach().numpy(), weights.detach().numpy()


def _torch_mask(mask: Mask) -> dict[str, Any]:
    if mask is None:
        return {}
    mask = torch.tensor(mask)
    if mask.shape[1] == 1:
        return {"key_padding_mask": torch_masks.to_key_padding_mask(mask)}
    return {"attn_mask": torch_masks.to_attn_mask(mask)}


def keras_attention(query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: Mask) -> Result:
    """keras.layers.Attention, unscaled: [query, *value*, key], and a mask for padding only."""
    if mask is not None and mask.shape[1] != 1:
        return None
    layer = keras.layers.Attention(score_mode="dot", dtype="float64")
    masks = None if mask is None else [None, keras_masks.to_value_mask(mask)]
    context, weights = layer([query, value, key], mask=masks, return_attention_scores=True)
    return context.numpy(), weights.numpy()


def keras_multi_head_attention(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: Mask
) -> Result:
    """keras.layers.MultiHeadAttention with one head and identities for projections, scaled by
    1/√key_dim; its attention_mask means what ours means.
    """
    d_k, d_v = query.shape[-1], value.shape[-1]
    layer = keras.layers.MultiHeadAttention(
        1, key_dim=d_k, value_dim=d_v, output_shape=d_v, use_bias=False, dtype="float64"
    )
    layer.build(query.shape, value.shape, key.shape)
    kernels = [np.eye(x.shape[0]).reshape(x.shape) for x in layer.get_weights()[:3]]
    layer.set_weights([*kernels, np.eye(d_v)[None]])
    context, weights = layer(query, value, key, attention_mask=mask, return_attention_scores=True)
    return context.numpy(), weights.numpy()[:, 0]


def keras_additive_attention(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    mask: Mask,
    query_weight: np.ndarray,
    key_weight: np.ndarray,
    vector: np.ndarray,
) -> Result:
    """keras.layers.AdditiveAttention, whose `scale` is v. It has no W and no U and adds query and
    key as they come: whoever uses it alone has no network that compares, so it gets the projected.
    """
    if mask is not None and mask.shape[1] != 1:
        return None
    arrays = [query @ query_weight, value, key @ key_weight]
    layer = keras.layers.AdditiveAttention(dtype="float64")
    layer.build([array.shape for array in arrays])
    layer.set_weights([vector])
    masks = None if mask is None else [None, keras_masks.to_value_mask(mask)]
    context, weights = layer(arrays, mask=masks, return_attention_scores=True)
    return context.numpy(), weights.numpy()
