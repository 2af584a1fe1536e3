"""Attention: scores, weights, weighted sum.

Shapes: query (B,T,d_k), key (B,S,d_k), value (B,S,d_v), scores and weights (B,T,S), context
(B,T,d_v). `mask` is boolean, broadcastable to the scores, True = may attend. A query that may
attend to nothing gets zero weights, a zero context and zero gradients. One decoder step is T = 1.
More leading axes than B are welcome.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention_course.axes import check_axes, check_count, check_mask

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


def additive_scores(
    query: Tensor, key: Tensor, query_weight: Tensor, key_weight: Tensor, vector: Tensor
) -> Tensor:
    """v · tanh(q W + k U) (Bahdanau et al. 2015, appendix A.1.2): (B,T,d_q), (B,S,d_k), W (d_q,A),
    U (d_k,A) and v (A,) -> (B,T,S).

    The same as v · tanh([q; k] [W; U]), "concat" of Luong et al. 2015, section 3.1.
    """
    check_axes(
        Tensor,
        query=(query, "... T d_q"),
        key=(key, "... S d_k"),
        query_weight=(query_weight, "d_q A"),
        key_weight=(key_weight, "d_k A"),
        vector=(vector, "A"),
    )
    return _compared(query @ query_weight, key @ key_weight, vector)


def _compared(query: Tensor, key: Tensor, vector: Tensor) -> Tensor:
    """v · tanh(q + k) of projected queries (B,T,A) and keys (B,S,A): every pair, (B,T,S)."""
    return torch.tanh(query[..., :, None, :] + key[..., None, :, :]) @ vector


def location_scores(query: Tensor, key: Tensor, weight: Tensor) -> Tensor:
    """q W: what the query says of each *place*, whatever stands there (Luong et al. 2015, eq. 8):
    (B,T,d_q), (B,S,d_k) and W (d_q,P) -> (B,T,S).

    Of the key only S is read. A place beyond the P known ones gets −∞, so its weight is 0: in long
    sentences the paper ignores the words near the end.
    """
    check_axes(Tensor, query=(query, "... T d_q"), key=(key, "... S d_k"), weight=(weight, "d_q P"))
    size, places = key.shape[-2], weight.shape[-1]
    return F.pad(query @ weight[:, :size], (0, max(0, size - places)), value=-torch.inf)


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


class Score(nn.Module):
    """How well each query fits each key. What it can make of the keys alone is made once a
    sentence: `compare(query, project(key))` is `forward(query, key)`.
    """

    def project(self, key: Tensor) -> Tensor:
        """key (B,S,d_k) -> what `compare` wants of it; here the key itself."""
        return key

    def compare(self, query: Tensor, projected: Tensor) -> Tensor:
        """query (B,T,d_q), projected keys (B,S,·) -> scores (B,T,S)."""
        return self(query, projected)


class DotScore(Score):
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


class GeneralScore(Score):
    """q W kᵀ with `weight` W (query_size, key_size), which is learned; no bias, as in the paper."""

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__()
        self.weight = uniform(query_size**-0.5, query_size, key_size)

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """query (B,T,d_q), key (B,S,d_k) -> scores (B,T,S)."""
        return general_scores(query, key, self.weight)

    def fold(self, query: Tensor) -> Tensor:
        """The query (B,T,d_k), from (B,T,d_q), whose plain dot product with a key is the score."""
        check_axes(Tensor, query=(query, "... T d_q"), weight=(self.weight, "d_q d_k"))
        return query @ self.weight


class AdditiveScore(Score):
    """v · tanh(q W + k U): a network of one hidden layer, `hidden_size` units, judges each pair
    (Bahdanau et al. 2015, appendix A.1.2).

    Learned: `query_weight` W (query_size, hidden_size), `key_weight` U (key_size, hidden_size),
    `vector` v (hidden_size,); no bias, as in the paper. Keys that stay the same while queries come
    one by one are projected once: `compare(query, project(key))` is `forward(query, key)`.
    """

    def __init__(self, query_size: int, key_size: int, hidden_size: int) -> None:
        super().__init__()
        self.query_weight = uniform(query_size**-0.5, query_size, hidden_size)
        self.key_weight = uniform(key_size**-0.5, key_size, hidden_size)
        self.vector = uniform(hidden_size**-0.5, hidden_size)

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """query (B,T,d_q), key (B,S,d_k) -> scores (B,T,S)."""
        return additive_scores(query, key, self.query_weight, self.key_weight, self.vector)

    def project(self, key: Tensor) -> Tensor:
        """k U: key (B,S,d_k) -> (B,S,A)."""
        check_axes(Tensor, key=(key, "... S d_k"), key_weight=(self.key_weight, "d_k A"))
        return key @ self.key_weight

    def compare(self, query: Tensor, projected: Tensor) -> Tensor:
        """query (B,T,d_q), projected keys (B,S,A) -> scores (B,T,S)."""
        check_axes(
            Tensor,
            query=(query, "... T d_q"),
            projected=(projected, "... S A"),
            query_weight=(self.query_weight, "d_q A"),
        )
        return _compared(query @ self.query_weight, projected, self.vector)


class LocationScore(Score):
    """q W, one score for each of `places` places, with `weight` W (query_size, places), which is
    learned (Luong et al. 2015, eq. 8). What stands at a place plays no part.
    """

    def __init__(self, query_size: int, places: int) -> None:
        check_count("places", places)
        super().__init__()
        self.weight = uniform(query_size**-0.5, query_size, places)

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """query (B,T,d_q), key (B,S,d_k) -> scores (B,T,S)."""
        return location_scores(query, key, self.weight)


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


class AttentionPooling(nn.Module):
    """One vector for a whole sequence: its average, weighted by what a small network finds
    important (Yang et al. 2016, eqs. 5–7).

    α_j = softmax of v · tanh(h_j U + b), context = Σ_j α_j h_j: additive attention whose query is
    the same for every input and so has become a bias. Learned: `key_weight` U (size, hidden_size),
    `bias` b and `vector` v (hidden_size,).
    """

    def __init__(self, size: int, hidden_size: int) -> None:
        super().__init__()
        self.key_weight = uniform(size**-0.5, size, hidden_size)
        self.bias = uniform(size**-0.5, hidden_size)
        self.vector = uniform(hidden_size**-0.5, hidden_size)

    def forward(self, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """value (B,S,D), mask broadcastable to (B,1,S) -> context (B,D), weights (B,S)."""
        check_axes(
            Tensor,
            value=(value, "... S D"),
            key_weight=(self.key_weight, "D A"),
            bias=(self.bias, "A"),
        )
        agreement = torch.tanh(value @ self.key_weight + self.bias)
        weights = masked_softmax((agreement @ self.vector)[..., None, :], mask)
        return weighted_sum(weights, value)[..., 0, :], weights[..., 0, :]


def uniform(bound: float, *shape: int) -> nn.Parameter:
    """Numbers to be learned, drawn from U(−bound, bound)."""
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


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
