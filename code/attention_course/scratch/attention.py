"""Attention, forward and backward: scores, weights, weighted sum.

Shapes: query (B,T,d_k), key (B,S,d_k), value (B,S,d_v), scores and weights (B,T,S), context
(B,T,d_v). `mask` is boolean, broadcastable to the scores, True = may attend. A query that may
attend to nothing gets zero weights, a zero context and zero gradients. One decoder step is T = 1.
More leading axes than B are welcome.
"""

from copy import copy

import numpy as np

from attention_course.axes import check_axes, check_count, check_mask
from attention_course.scratch.functional import softmax, softmax_backward
from attention_course.scratch.layers import GradientSums, Layer, Seed, expect, uniform

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


def additive_scores(
    query: np.ndarray,
    key: np.ndarray,
    query_weight: np.ndarray,
    key_weight: np.ndarray,
    vector: np.ndarray,
) -> np.ndarray:
    """v · tanh(q W + k U) (Bahdanau et al. 2015, appendix A.1.2): (B,T,d_q), (B,S,d_k), W (d_q,A),
    U (d_k,A) and v (A,) -> (B,T,S).

    The same as v · tanh([q; k] [W; U]), "concat" of Luong et al. 2015, section 3.1.
    """
    check_axes(
        np.ndarray,
        query=(query, "... T d_q"),
        key=(key, "... S d_k"),
        query_weight=(query_weight, "d_q A"),
        key_weight=(key_weight, "d_k A"),
        vector=(vector, "A"),
    )
    return _agreement(query @ query_weight, key @ key_weight) @ vector


def location_scores(query: np.ndarray, key: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """q W: what the query says of each *place*, whatever stands there (Luong et al. 2015, eq. 8):
    (B,T,d_q), (B,S,d_k) and W (d_q,P) -> (B,T,S).

    Of the key only S is read. A place beyond the P known ones gets −∞, so its weight is 0: in long
    sentences the paper ignores the words near the end.
    """
    check_axes(
        np.ndarray, query=(query, "... T d_q"), key=(key, "... S d_k"), weight=(weight, "d_q P")
    )
    scores = np.full((*query.shape[:-1], key.shape[-2]), -np.inf, query.dtype)
    known = min(weight.shape[1], key.shape[-2])
    scores[..., :known] = query @ weight[:, :known]
    return scores


def _agreement(query: np.ndarray, key: np.ndarray) -> np.ndarray:
    """tanh(q + k) of projected queries (B,T,A) and keys (B,S,A): every pair, (B,T,S,A)."""
    total = query[..., :, None, :] + key[..., None, :, :]
    return np.tanh(total, out=total)


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


class Score(Layer):
    """How well each query fits each key. What it can make of the keys alone is made once a
    sentence: `compare(query, project(key))` is `forward(query, key)`. Here that is the key itself.
    """

    def project(self, key: np.ndarray) -> np.ndarray:
        """key (B,S,d_k) -> what `compare` wants of it."""
        return key

    def project_backward(self, dprojected: np.ndarray) -> np.ndarray:
        """The gradient of what `project` gave -> dkey (B,S,d_k)."""
        return dprojected

    def compare(self, query: np.ndarray, projected: np.ndarray) -> np.ndarray:
        """query (B,T,d_q), projected keys (B,S,·) -> scores (B,T,S)."""
        return self.forward(query, projected)

    def compare_backward(self, dscores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dscores (B,T,S) -> dquery (B,T,d_q), dprojected (B,S,·)."""
        return self.backward(dscores)


class DotScore(Score):
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


class GeneralScore(Score):
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
        product(query, dprojected, out=self.grads["weight"])
        return dprojected @ weight.T, _over_queries(dscores, query @ weight)


class AdditiveScore(Score):
    """v · tanh(q W + k U): a network of one hidden layer, `hidden_size` units, judges each pair
    (Bahdanau et al. 2015, appendix A.1.2).

    Learned: `query_weight` W (query_size, hidden_size), `key_weight` U (key_size, hidden_size),
    `vector` v (hidden_size,); no bias, as in the paper. Keys that stay the same while queries come
    one by one are projected once: `compare(query, project(key))` is `forward(query, key)`.
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        hidden_size: int,
        seed: Seed = 0,
        dtype: np.dtype | type = np.float32,
    ) -> None:
        generator = np.random.default_rng(seed)
        shapes = {
            "query_weight": (query_size, hidden_size),
            "key_weight": (key_size, hidden_size),
            "vector": (hidden_size,),
        }
        params: dict[str, np.ndarray] = {}
        for name, shape in shapes.items():
            params |= uniform(generator, shape[0] ** -0.5, dtype, **{name: shape})
        super().__init__(params)

    def forward(self, query: np.ndarray, key: np.ndarray) -> np.ndarray:
        """query (B,T,d_q), key (B,S,d_k) -> scores (B,T,S)."""
        return self.compare(query, self.project(key))

    def backward(self, dscores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dscores (B,T,S) -> dquery (B,T,d_q), dkey (B,S,d_k)."""
        dquery, dprojected = self.compare_backward(dscores)
        return dquery, self.project_backward(dprojected)

    def project(self, key: np.ndarray) -> np.ndarray:
        """k U: key (B,S,d_k) -> (B,S,A)."""
        weight = self.params["key_weight"]
        check_axes(np.ndarray, key=(key, "... S d_k"), key_weight=(weight, "d_k A"))
        self._key = key
        return key @ weight

    def project_backward(self, dprojected: np.ndarray) -> np.ndarray:
        """dprojected (B,S,A) -> dkey (B,S,d_k)."""
        product(self._key, dprojected, out=self.grads["key_weight"])
        return dprojected @ self.params["key_weight"].T

    def compare(self, query: np.ndarray, projected: np.ndarray) -> np.ndarray:
        """query (B,T,d_q), projected keys (B,S,A) -> scores (B,T,S)."""
        weight, vector = self.params["query_weight"], self.params["vector"]
        check_axes(
            np.ndarray,
            query=(query, "... T d_q"),
            projected=(projected, "... S A"),
            query_weight=(weight, "d_q A"),
        )
        agreement = _agreement(query @ weight, projected)
        self._cache = (query, agreement)
        return agreement @ vector

    def compare_backward(self, dscores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dscores (B,T,S) -> dquery (B,T,d_q), dprojected (B,S,A)."""
        query, agreement = self._last_call()
        expect("dscores", dscores, query.dtype, *agreement.shape[:-2], S=agreement.shape[-2])
        product(agreement, dscores[..., None], out=self.grads["vector"][:, None])
        dtotal = (dscores[..., None] * self.params["vector"]) * (1 - agreement * agreement)
        dsum = dtotal.sum(axis=-2)  # of q W, (B,T,A)
        product(query, dsum, out=self.grads["query_weight"])
        return dsum @ self.params["query_weight"].T, dtotal.sum(axis=-3)


class LocationScore(Score):
    """q W, one score for each of `places` places, with `weight` W (query_size, places), which is
    learned (Luong et al. 2015, eq. 8). What stands at a place plays no part.
    """

    def __init__(
        self, query_size: int, places: int, seed: Seed = 0, dtype: np.dtype | type = np.float32
    ) -> None:
        check_count("places", places)
        super().__init__(uniform(seed, query_size**-0.5, dtype, weight=(query_size, places)))

    def forward(self, query: np.ndarray, key: np.ndarray) -> np.ndarray:
        """query (B,T,d_q), key (B,S,d_k) -> scores (B,T,S)."""
        self._cache = (query, key)
        return location_scores(query, key, self.params["weight"])

    def backward(self, dscores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dscores (B,T,S) -> dquery (B,T,d_q), dkey (B,S,d_k), which is 0."""
        (query, key), weight = self._last_call(), self.params["weight"]
        expect("dscores", dscores, query.dtype, *query.shape[:-1], S=key.shape[-2])
        known = min(weight.shape[1], key.shape[-2])
        dscores = dscores[..., :known]
        self.grads["weight"].fill(0)
        rows = query.reshape(-1, query.shape[-1])
        self.grads["weight"][:, :known] = rows.T @ dscores.reshape(len(rows), -1)
        return dscores @ weight[:, :known].T, np.zeros_like(key)


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
        sums = GradientSums(self)
        dqueries, dkey, dvalue = [], 0, 0
        for t, step in enumerate(steps):
            dquery, dkey_t, dvalue_t = step.backward(dcontext[..., t : t + 1, :])
            dqueries.append(dquery)
            dkey, dvalue = dkey + dkey_t, dvalue + dvalue_t
            sums.add()
        sums.write()
        return np.concatenate(dqueries, axis=-2), dkey, dvalue


class AttentionPooling(Layer):
    """One vector for a whole sequence: its average, weighted by what a small network finds
    important (Yang et al. 2016, eqs. 5–7).

    α_j = softmax of v · tanh(h_j U + b), context = Σ_j α_j h_j: additive attention whose query is
    the same for every input and so has become a bias. Learned: `key_weight` U (size, hidden_size),
    `bias` b and `vector` v (hidden_size,).
    """

    def __init__(
        self, size: int, hidden_size: int, seed: Seed = 0, dtype: np.dtype | type = np.float32
    ) -> None:
        generator = np.random.default_rng(seed)
        super().__init__(
            uniform(
                generator, size**-0.5, dtype, key_weight=(size, hidden_size), bias=(hidden_size,)
            )
            | uniform(generator, hidden_size**-0.5, dtype, vector=(hidden_size,))
        )

    def forward(
        self, value: np.ndarray, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """value (B,S,D), mask broadcastable to (B,1,S) -> context (B,D), weights (B,S)."""
        weight, bias = self.params["key_weight"], self.params["bias"]
        check_axes(
            np.ndarray, value=(value, "... S D"), key_weight=(weight, "D A"), bias=(bias, "A")
        )
        agreement = np.tanh(value @ weight + bias)
        weights = masked_softmax((agreement @ self.params["vector"])[..., None, :], mask)
        self._cache = (value, agreement, weights)
        return weighted_sum(weights, value)[..., 0, :], weights[..., 0, :]

    def backward(self, dcontext: np.ndarray) -> np.ndarray:
        """dcontext (B,D) -> dvalue (B,S,D)."""
        value, agreement, weights = self._last_call()
        expect("dcontext", dcontext, value.dtype, *value.shape[:-2], D=value.shape[-1])
        dcontext = dcontext[..., None, :]
        dscores = softmax_backward(weights, dcontext @ value.swapaxes(-1, -2)).swapaxes(-1, -2)
        product(agreement, dscores, out=self.grads["vector"][:, None])
        dtotal = dscores * self.params["vector"] * (1 - agreement * agreement)  # (B,S,A)
        product(value, dtotal, out=self.grads["key_weight"])
        np.sum(dtotal.reshape(-1, dtotal.shape[-1]), axis=0, out=self.grads["bias"])
        return dtotal @ self.params["key_weight"].T + _over_queries(weights, dcontext)


def product(x: np.ndarray, dy: np.ndarray, out: np.ndarray) -> None:
    """Gradient of W in y = x W: xᵀ dy over all rows of x (..., in) and dy (..., out)."""
    rows = x.reshape(-1, x.shape[-1])
    np.matmul(rows.T, dy.reshape(len(rows), -1), out=out)


def _over_queries(shares: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Σ_t shares_tj rows_t for each key j: (B,T,S), (B,T,d) -> (B,S,d)."""
    if shares.shape[-2] == 1:  # one query: NumPy's product of a column and a row is slow
        return np.einsum("...ts,...td->...sd", shares, rows)
    return shares.swapaxes(-1, -2) @ rows
