"""Exact attention in blocks: never more of the scores (T,S) in memory than a block of each.

A softmax can be taken while its scores arrive (Milakov & Gimelshein 2018, arXiv 1805.02867): keep
for each query the largest score so far, the sum of exp(score − largest) and the same sum weighted
by the values; when a larger one comes, shrink both sums by exp(old largest − new). The division
comes last. Nothing is approximated. Memory grows with T + S and not with T · S (Rabe & Staats 2021,
arXiv 2112.05682); the way back makes each block of weights again (Dao et al. 2022, arXiv
2205.14135), from one number a query, the logarithm of its sum (Dao 2023, arXiv 2307.08691).
"""

import numpy as np

from attention_course.axes import check_axes, check_count, check_mask
from attention_course.scratch.layers import Layer, expect


class BlockwiseAttention(Layer):
    """`Attention` with the (scaled) dot product, `block` queries and `block` keys at a time."""

    def __init__(self, block: int = 512, scaled: bool = True) -> None:
        check_count("block", block)
        super().__init__()
        self.block, self.scaled = block, scaled

    def forward(
        self,
        query: np.ndarray,
        key: np.ndarray,
        value: np.ndarray,
        mask: np.ndarray | None = None,
    ) -> np.ndarray:
        """query (B,T,d_k), key (B,S,d_k), value (B,S,d_v), mask broadcastable to (B,T,S) ->
        context (B,T,d_v); 0 for a query that may attend to nothing.
        """
        check_axes(
            np.ndarray,
            query=(query, "... T d_k"),
            key=(key, "... S d_k"),
            value=(value, "... S d_v"),
        )
        if mask is not None:
            check_mask(np.ndarray, mask, (*query.shape[:-1], key.shape[-2]))
        context = np.empty((*query.shape[:-1], value.shape[-1]), query.dtype)
        log_total = np.empty((*query.shape[:-1], 1), query.dtype)
        self._cache = query, key, value, mask, context, log_total
        for rows in self._blocks(query):
            largest = np.full_like(log_total[..., rows, :], -np.inf)
            total, summed = np.zeros_like(largest), np.zeros_like(context[..., rows, :])
            for columns in self._blocks(key):
                scores = self._scores(rows, columns)
                seen = np.maximum(largest, scores.max(axis=-1, keepdims=True))
                shift = np.where(np.isneginf(seen), 0, seen)  # a query that has met no key yet
                shrink, powers = np.exp(largest - shift), np.exp(scores - shift)
                total = total * shrink + powers.sum(axis=-1, keepdims=True)
                summed = summed * shrink + powers @ value[..., columns, :]
                largest = seen
            unmet = total == 0
            total = np.where(unmet, 1, total)
            context[..., rows, :] = summed / total
            log_total[..., rows, :] = np.where(unmet, 0, largest + np.log(total))
        return context

    def backward(self, dcontext: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """dcontext (B,T,d_v) -> dquery, dkey, dvalue. The weights are made once more, a block at a
        time.
        """
        query, key, value, _, context, log_total = self._last_call()
        expect("dcontext", dcontext, query.dtype, *context.shape)
        dquery, dkey, dvalue = (np.zeros_like(x) for x in (query, key, value))
        # Σ_j w_tj dw_tj of the softmax's backward, without the weights: dcontext_t · context_t.
        mean = (dcontext * context).sum(axis=-1, keepdims=True)
        scale = query.dtype.type(self._scale())
        for rows in self._blocks(query):
            for columns in self._blocks(key):
                weights = np.exp(self._scores(rows, columns) - log_total[..., rows, :])
                dweights = dcontext[..., rows, :] @ value[..., columns, :].swapaxes(-1, -2)
                dscores = weights * (dweights - mean[..., rows, :]) * scale
                dquery[..., rows, :] += dscores @ key[..., columns, :]
                dkey[..., columns, :] += dscores.swapaxes(-1, -2) @ query[..., rows, :]
                dvalue[..., columns, :] += weights.swapaxes(-1, -2) @ dcontext[..., rows, :]
        return dquery, dkey, dvalue

    def _scores(self, rows: slice, columns: slice) -> np.ndarray:
        """A block (B,t,s), −inf where the mask forbids."""
        query, key, _, mask, *_ = self._last_call()
        scores = query[..., rows, :] @ key[..., columns, :].swapaxes(-1, -2)
        scores *= query.dtype.type(self._scale())
        if mask is None:
            return scores
        whole = np.broadcast_to(mask, (*query.shape[:-1], key.shape[-2]))  # a view, not a copy
        return np.where(whole[..., rows, columns], scores, scores.dtype.type(-np.inf))

    def _scale(self) -> float:
        return self._last_call()[0].shape[-1] ** -0.5 if self.scaled else 1.0

    def _blocks(self, x: np.ndarray) -> list[slice]:
        size = x.shape[-2]
        return [slice(i, min(i + self.block, size)) for i in range(0, size, self.block)]
