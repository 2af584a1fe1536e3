"""Exact attention in blocks: never more of the scores (T,S) in memory than a block of them.

The mathematics is told in `scratch.blockwise`. PyTorch's own `F.scaled_dot_product_attention` does
the same inside its fused kernels; this is the algorithm in the open.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from attention_course.axes import check_axes, check_count, check_mask


def blockwise_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    block: int = 512,
    scaled: bool = True,
) -> Tensor:
    """query (B,T,d_k), key (B,S,d_k), value (B,S,d_v), mask broadcastable to (B,T,S) -> context
    (B,T,d_v); 0 for a query that may attend to nothing.

    `block` queries meet `block` keys at a time, on the way there and on the way back.
    """
    check_count("block", block)
    check_axes(
        Tensor, query=(query, "... T d_k"), key=(key, "... S d_k"), value=(value, "... S d_v")
    )
    scores = (*query.shape[:-1], key.shape[-2])
    if mask is not None:
        check_mask(Tensor, mask, scores)
        mask = mask.expand(scores)  # a view, not a copy
    scale = query.shape[-1] ** -0.5 if scaled else 1.0
    return _Blockwise.apply(query, key, value, mask, block, scale)


class _Blockwise(torch.autograd.Function):
    """Autograd would keep every block of weights until the way back; this makes them again."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        block: int,
        scale: float,
    ) -> Tensor:
        context = query.new_empty((*query.shape[:-1], value.shape[-1]))
        log_total = query.new_empty((*query.shape[:-1], 1))
        for rows in _blocks(query, block):
            largest = torch.full_like(log_total[..., rows, :], -torch.inf)
            total, summed = torch.zeros_like(largest), torch.zeros_like(context[..., rows, :])
            for columns in _blocks(key, block):
                scores = _scores(query, key, mask, scale, rows, columns)
                seen = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
                shift = seen.masked_fill(seen.isneginf(), 0)  # a query that has met no key yet
                shrink, powers = torch.exp(largest - shift), torch.exp(scores - shift)
                total = total * shrink + powers.sum(dim=-1, keepdim=True)
                summed = summed * shrink + powers @ value[..., columns, :]
                largest = seen
            unmet = total == 0
            total = total.masked_fill(unmet, 1)
            context[..., rows, :] = summed / total
            log_total[..., rows, :] = (largest + total.log()).masked_fill(unmet, 0)
        ctx.save_for_backward(query, key, value, mask, context, log_total)
        ctx.block, ctx.scale = block, scale
        return context

    @staticmethod
    @once_differentiable  # what the way back saves has no gradient of its own
    def backward(ctx: Any, dcontext: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask, context, log_total = ctx.saved_tensors
        dquery, dkey, dvalue = (torch.zeros_like(x) for x in (query, key, value))
        # Σ_j w_tj dw_tj of the softmax's backward, without the weights: dcontext_t · context_t.
        mean = (dcontext * context).sum(dim=-1, keepdim=True)
        for rows in _blocks(query, ctx.block):
            for columns in _blocks(key, ctx.block):
                scores = _scores(query, key, mask, ctx.scale, rows, columns)
                weights = torch.exp(scores - log_total[..., rows, :])
                dweights = dcontext[..., rows, :] @ value[..., columns, :].transpose(-1, -2)
                dscores = weights * (dweights - mean[..., rows, :]) * ctx.scale
                dquery[..., rows, :] += dscores @ key[..., columns, :]
                dkey[..., columns, :] += dscores.transpose(-1, -2) @ query[..., rows, :]
                dvalue[..., columns, :] += weights.transpose(-1, -2) @ dcontext[..., rows, :]
        return dquery, dkey, dvalue, None, None, None


def _scores(
    query: Tensor, key: Tensor, mask: Tensor | None, scale: float, rows: slice, columns: slice
) -> Tensor:
    """A block (B,t,s), −∞ where the mask forbids."""
    scores = query[..., rows, :] @ key[..., columns, :].transpose(-1, -2) * scale
    return scores if mask is None else scores.masked_fill(~mask[..., rows, columns], -torch.inf)


def _blocks(x: Tensor, block: int) -> Iterator[slice]:
    size = x.shape[-2]
    return (slice(first, min(first + block, size)) for first in range(0, size, block))
