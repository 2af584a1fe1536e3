"""Dot-product attention: the look-up that Chapter 2 builds up and explains."""

import torch
from torch import Tensor


def dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Each query's average of the values, weighted by softmax(query · key).

    Luong et al. 2015, eq. 7 and 8 with the score "dot".
    query (B,T,D), key (B,S,D), value (B,S,d_v), mask broadcastable to (B,T,S), True = may attend.
    Returns context (B,T,d_v) and weights (B,T,S); a query that may attend to nothing gets zeros in
    both.
    """
    scores = torch.einsum("btd,bsd->bts", query, key)
    weights = masked_softmax(scores, mask)
    return torch.einsum("bts,bsv->btv", weights, value), weights


def masked_softmax(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax over the last axis; exactly 0 where `mask` is False and in rows without a True."""
    if mask is None:
        return scores.softmax(dim=-1)
    if mask.dtype != torch.bool:
        raise TypeError(f"mask must be bool with True = may attend, got {mask.dtype}")
    # The lowest finite number, not -inf: an empty row then has a finite gradient, later zeroed.
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~mask, lowest).softmax(dim=-1).masked_fill(~mask, 0.0)
