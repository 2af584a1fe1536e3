"""Attention, forward and backward: scores, weights, weighted sum.

Shapes: query (B,T,d_k), key (B,S,d_k), value (B,S,d_v), scores and weights (B,T,S), context
(B,T,d_v). `mask` is boolean, broadcastable to the scores, True = may attend. A query that may
attend to nothing gets zero weights, a zero context and zero gradients. One decoder step is T = 1.
More leading axes than B are welcome.
"""

from copy import copy

import numpy as np

from attention_course.axes import check_axes, check_mask
from attention_course.scratch.functional import softmax, softmax_backward
from attention_course.scratch.layers import Layer, Seed, expect, uniform

# Functions: the mathematics, forward only.


def dot_scores(query: np.ndarray, key: np.ndarray) -> np.ndarray:
    """q · k for each query and key (Luong et al. 2015, section 3.1, "dot"): (B,T,d_k), (B,S,d_k) ->
    (B,T,S).
    """
    check_axes(np.ndarray, query=(query, "... T d_k"), key=(key, "... S d_k"))
    return query @ key.swapaxes(-1, -2)


def scaled_dot_scores(query: np.ndarray, key: np.ndarray) -> np.ndarray:
    """q · k / √d_k (Vaswani et al. 2017, eq. 1), of variance 1 whatever d_k, if those of q and k
    are.
    """
    return dot_scores(query, key) * query.dtype.type(query.shape[-1] ** -0.5)


def general_scores(query: np.ndarray, key: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """q W kᵀ (Luong et al. 2015, section 3.1, "general"): (B,T,d_q), (B,S,d_k) and W (d_q,d_k)
    -> (B,T,S).

    Query and key may be of different sizes.
    """
    check_axes(
        np.ndarray,
        query=(query, "... T d_q"),
        key=(key, "... S d_k"),
        weight=(weight, "d_q d_k"),
    )
    return query @ weight @ key.swapaxes(-1, -2)


def masked_softmax(scores: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Softmax over the keys that may be attended; exactly 0 elsewhere, also in rows without any."""
    check_axes(np.ndarray, scores=(scores, "..."))
    if mask is not None:
        check_mask(np.ndarray, mask, scores.shape)
        scores = np.where(mask, scores, scores.dtype.type(-np.inf))
    return softmax(scores)


def weighted_sum(weights: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Σ_j w_tj v_j: weights (B,T,S), value (B,S,d_v) -> context (B,T,d_v)."""
    check_axes(np.ndarray, weights=(weights, "... T S"), value=(value, "... S d_v"))
    return weights @ value


# Layers: the same with gradients.


class DotScore(Layer):
    """q · k, or q · k / √d_k if `scaled`. Nothing to learn: it passes gradients on."""

    def __init__(self, scaled: bool = False) -> None:
        super().__init__()
        self.scaled = scaled

    def forward(self, query: np.ndarray, key: np.ndarray) -> np.ndarray:
        """query (B,T,d_k), key (B,S,d_k) -> scores (B,T,S)."""
        self._cache = (query, key)
        return (scaled_dot_scores if self.scaled else dot_scores)(query, key)

    def backward(self, dscores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dscores (B,T,S) -> dquery (B,T,d_k), dkey (B,S,d_k)."""
        query, key = self._last_call()
        expect("dscores", dscores, query.dtype, *query.shape[:-1], S=key.shape[-2])
        if self.scaled:
            dscores = dscores * query.dtype.type(query.shape[-1] ** -0.5)
        return dscores @ key, _over_queries(dscores, query)


class GeneralScore(Layer):
    """q W kᵀ with `weight` W (query_size, key_size), which is learned; no bias, as in the paper."""

    def __init__(
        self,
        query_size: int,
        key_size: int,
        seed: Seed = 0,
        dtype: np.dtype | type = np.float32,
    ) -> None:
        super().__init__(uniform(seed, query_size**-0.5, dtype, weight=(query_size, key_size)))

    def forward(self, query: np.ndarray, key: np.ndarray) -> np.ndarray:
        """query (B,T,d_q), key (B,S,d_k) -> scores (B,T,S)."""
        self._cache = (query, key)
        return general_scores(query, key, self.params["weight"])

    def backward(self, dscores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dscores (B,T,S) -> dquery (B,T,d_q), dkey (B,S,d_k)."""
        (query, key), weight = self._last_call(), self.params["weight"]
        expect("dscores", dscores, query.dtype, *query.shape[:-1], S=key.shape[-2])
        dprojected = dscores @ key  # of q W, (B,T,d_k)
        rows = query.reshape(-1, query.shape[-1])
        np.matmul(rows.T, dprojected.reshape(len(rows), -1), out=self.grads["weight"])
        return dprojected @ weight.T, _over_queries(dscores, query @ weight)


class AttentionWeight(Layer):
    """How much of each value: the softmax of a score."""

    def __init__(self, score: Layer | None = None) -> None:
        self.score = score or DotScore()
        super().__init__(parts={"score": self.score})

    def forward(
        self, query: np.ndarray, key: np.ndarray, mask: np.ndarray | None = None
    ) -> np.ndarray:
        """query (B,T,d_k), key (B,S,d_k), mask -> weights (B,T,S)."""
        weights = masked_softmax(self.score.forward(query, key), mask)
        self._cache = weights
        return weights

    def backward(self, dweights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dweights (B,T,S) -> dquery (B,T,d_k), dkey (B,S,d_k)."""
        weights = self._last_call()
        expect("dweights", dweights, weights.dtype, *weights.shape)
        return self.score.backward(softmax_backward(weights, dweights))


class WeightedSum(Layer):
    """The look-up itself: an average of the values."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, weights: np.ndarray, value: np.ndarray) -> np.ndarray:
        """weights (B,T,S), value (B,S,d_v) -> context (B,T,d_v)."""
        self._cache = (weights, value)
        return weighted_sum(weights, value)

    def backward(self, dcontext: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dcontext (B,T,d_v) -> dweights (B,T,S), dvalue (B,S,d_v)."""
        weights, value = self._last_call()
        expect("dcontext", dcontext, value.dtype, *weights.shape[:-1], d_v=value.shape[-1])
        return dcontext @ value.swapaxes(-1, -2), _over_queries(weights, dcontext)


class Attention(Layer):
    """Each query's average of the values, weighted by the softmax of a score.

    `score` is a layer with forward(query, key) and backward(dscores); the default is the dot
    product. All queries at once: one product for the scores, one for the contexts.
    """

    def __init__(self, score: Layer | None = None) -> None:
        self.attention_weight = AttentionWeight(score)
        self.weighted_sum = WeightedSum()
        super().__init__(parts={"score": self.attention_weight.score})

    def forward(
        self,
        query: np.ndarray,
        key: np.ndarray,
        value: np.ndarray,
        mask: np.ndarray | None = None,
        need_weights: bool = True,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """query (B,T,d_k), key (B,S,d_k), value (B,S,d_v), mask -> context (B,T,d_v), weights
        (B,T,S), or None in their place without `need_weights`.
        """
        weights = self.attention_weight.forward(query, key, mask)
        context = self.weighted_sum.forward(weights, value)
        return context, weights if need_weights else None

    def backward(self, dcontext: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """dcontext (B,T,d_v) -> dquery, dkey, dvalue, each shaped like what it belongs to.

        Where key and value are one array, as in an encoder–decoder, its gradient is the *sum* of
        the last two: two paths lead back to it.
        """
        dweights, dvalue = self.weighted_sum.backward(dcontext)
        dquery, dkey = self.attention_weight.backward(dweights)
        return dquery, dkey, dvalue


class StepwiseAttention(Attention):
    """The same, one query after the other, as a decoder must whose next query needs this context.

    Equal to `Attention` forward and backward, and slower.
    """

    def forward(
        self,
        query: np.ndarray,
        key: np.ndarray,
        value: np.ndarray,
        mask: np.ndarray | None = None,
        need_weights: bool = True,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """As `Attention.forward`."""
        check_axes(np.ndarray, query=(query, "... T d_q"), key=(key, "... S d_k"))
        times = range(query.shape[-2])
        masks = [None for _ in times]
        if mask is not None:
            scores = (*query.shape[:-1], key.shape[-2])
            check_mask(np.ndarray, mask, scores)
            masks = [np.broadcast_to(mask, scores)[..., t : t + 1, :] for t in times]
        # One layer a step, each with its own memory of its call; parameters are shared.
        self._cache = [Attention(copy(self.attention_weight.score)) for _ in times]
        pairs = [
            step.forward(query[..., t : t + 1, :], key, value, masks[t])
            for t, step in zip(times, self._cache)
        ]
        context, weights = (np.concatenate(parts, axis=-2) for parts in zip(*pairs))
        return context, weights if need_weights else None

    def backward(self, dcontext: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `Attention.backward`; key, value and parameters gather a gradient at every step."""
        steps = self._last_call()
        grads = {name: np.zeros_like(grad) for name, grad in self.grads.items()}
        dqueries, dkey, dvalue = [], 0, 0
        for t, step in enumerate(steps):
            dquery, dkey_t, dvalue_t = step.backward(dcontext[..., t : t + 1, :])
            dqueries.append(dquery)
            dkey, dvalue = dkey + dkey_t, dvalue + dvalue_t
            for name, grad in step.grads.items():
                grads[name] += grad
        for name, grad in grads.items():
            self.grads[name][...] = grad
        return np.concatenate(dqueries, axis=-2), dkey, dvalue


def _over_queries(shares: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Σ_t shares_tj rows_t for each key j: (B,T,S), (B,T,d) -> (B,S,d)."""
    if shares.shape[-2] == 1:  # one query: NumPy's product of a column and a row is slow
        return np.einsum("...ts,...td->...sd", shares, rows)
    return shares.swapaxes(-1, -2) @ rows
