"""Attention: scores, weights, weighted sum.

Shapes: query (B,T,d_k), key (B,S,d_k), value (B,S,d_v), scores and weights (B,T,S), context
(B,T,d_v). `mask` is boolean, broadcastable to the scores, True = may attend. A query that may
attend to nothing gets zero weights, a zero context and zero gradients. One decoder step is T = 1.
More leading axes than B are welcome.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention_course.axes import check_axes, check_mask

# Functions: the mathematics.


def dot_scores(query: Tensor, key: Tensor) -> Tensor:
    """q · k for each query and key (Luong et al. 2015, section 3.1, "dot"): (B,T,d_k), (B,S,d_k) ->
    (B,T,S).
    """
    check_axes(Tensor, query=(query, "... T d_k"), key=(key, "... S d_k"))
    return query @ key.transpose(-1, -2)


def scaled_dot_scores(query: Tensor, key: Tensor) -> Tensor:
    """q · k / √d_k (Vaswani et al. 2017, eq. 1), of variance 1 whatever d_k, if those of q and k
    are.
    """
    return dot_scores(query, key) * query.shape[-1] ** -0.5


def general_scores(query: Tensor, key: Tensor, weight: Tensor) -> Tensor:
    """q W kᵀ (Luong et al. 2015, section 3.1, "general"): (B,T,d_q), (B,S,d_k) and W (d_q,d_k)
    -> (B,T,S).

    Query and key may be of different sizes.
    """
    check_axes(
        Tensor, query=(query, "... T d_q"), key=(key, "... S d_k"), weight=(weight, "d_q d_k")
    )
    return query @ weight @ key.transpose(-1, -2)


def masked_softmax(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax over the keys that may be attended; exactly 0 elsewhere, also in rows without any."""
    check_axes(Tensor, scores=(scores, "..."))
    if mask is None:
        return scores.softmax(dim=-1)
    check_mask(Tensor, mask, tuple(scores.shape))
    # The lowest finite number, not −inf, of which a row without any key would make NaN, also in the
    # gradients. It makes equal weights; they are zeroed, and with them what flows back.
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~mask, lowest).softmax(dim=-1).masked_fill(~mask, 0.0)


def weighted_sum(weights: Tensor, value: Tensor) -> Tensor:
    """Σ_j w_tj v_j: weights (B,T,S), value (B,S,d_v) -> context (B,T,d_v)."""
    check_axes(Tensor, weights=(weights, "... T S"), value=(value, "... S d_v"))
    return weights @ value


# Modules: the same with parameters.


class DotScore(nn.Module):
    """q · k, or q · k / √d_k if `scaled`. Nothing to learn."""

    def __init__(self, scaled: bool = False) -> None:
        super().__init__()
        self.scaled = scaled

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """query (B,T,d_k), key (B,S,d_k) -> scores (B,T,S)."""
        return (scaled_dot_scores if self.scaled else dot_scores)(query, key)

    def fold(self, query: Tensor) -> Tensor:
        """The query (B,T,d_k) whose plain dot product with a key is the score."""
        return query * query.shape[-1] ** -0.5 if self.scaled else query


class GeneralScore(nn.Module):
    """q W kᵀ with `weight` W (query_size, key_size), which is learned; no bias, as in the paper."""

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__()
        bound = query_size**-0.5
        self.weight = nn.Parameter(torch.empty(query_size, key_size).uniform_(-bound, bound))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """query (B,T,d_q), key (B,S,d_k) -> scores (B,T,S)."""
        return general_scores(query, key, self.weight)

    def fold(self, query: Tensor) -> Tensor:
        """The query (B,T,d_k), from (B,T,d_q), whose plain dot product with a key is the score."""
        check_axes(Tensor, query=(query, "... T d_q"), weight=(self.weight, "d_q d_k"))
        return query @ self.weight


class Attention(nn.Module):
    """Each query's average of the values, weighted by the softmax of a score.

    `score` is a module that takes (query, key); the default is the dot product. A score that is a
    dot product with a changed query says so by a method `fold`. Without `need_weights` PyTorch's
    fused kernel then does it all, and the weights are never written down.
    """

    def __init__(self, score: nn.Module | None = None) -> None:
        super().__init__()
        self.score = score or DotScore()

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None = None,
        need_weights: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """query (B,T,d_k), key (B,S,d_k), value (B,S,d_v), mask -> context (B,T,d_v), weights
        (B,T,S), or None in their place without `need_weights`.
        """
        if not need_weights and hasattr(self.score, "fold"):
            return _fused(self.score.fold(query), key, value, mask), None
        weights = masked_softmax(self.score(query, key), mask)
        return weighted_sum(weights, value), weights if need_weights else None


def _fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """The context by `F.scaled_dot_product_attention`, which keeps our rule for empty rows."""
    check_axes(
        Tensor, query=(query, "... T d_k"), key=(key, "... S d_k"), value=(value, "... S d_v")
    )
    if mask is not None:
        check_mask(Tensor, mask, (*query.shape[:-1], key.shape[-2]))
        mask = mask[(None,) * (query.dim() - mask.dim())]
    arrays = [query, key, value, mask]
    if query.dim() == 3:  # the fast kernels want an axis for the heads
        arrays = [array if array is None else array[:, None] for array in arrays]
    context = F.scaled_dot_product_attention(*arrays, scale=1.0)
    return context.reshape(*query.shape[:-1], value.shape[-1])
