"""Local attention (Luong et al. 2015, section 3.2): look only near one place of the source.

Shapes as in `attention`. Places count from 0. Wherever the window holds no key that may be attended
to, weights and context are zero.
"""

import numpy as np

from attention_course.axes import check_axes, check_count, check_mask, check_places
from attention_course.scratch.attention import Score, WeightedSum, masked_softmax, product
from attention_course.scratch.functional import sigmoid, softmax_backward
from attention_course.scratch.layers import Layer, Seed, uniform


class PlacePredictor(Layer):
    """p_t = L · σ(v · tanh(q W)): where to look, between 0 and the length L (eq. 9).

    Learned: `weight` W (query_size, hidden_size), `vector` v (hidden_size,).
    """

    def __init__(
        self, query_size: int, hidden_size: int, seed: Seed = 0, dtype: np.dtype | type = np.float32
    ) -> None:
        generator = np.random.default_rng(seed)
        super().__init__(
            uniform(generator, query_size**-0.5, dtype, weight=(query_size, hidden_size))
            | uniform(generator, hidden_size**-0.5, dtype, vector=(hidden_size,))
        )

    def forward(self, query: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """query (B,T,d_q), lengths broadcastable to (B,T) -> places (B,T), no whole numbers."""
        weight = self.params["weight"]
        check_axes(np.ndarray, query=(query, "... T d_q"), weight=(weight, "d_q A"))
        bent = np.tanh(query @ weight)
        share = sigmoid(bent @ self.params["vector"])
        self._cache = (query, lengths, bent, share)
        return lengths * share

    def backward(self, dplaces: np.ndarray) -> np.ndarray:
        """dplaces (B,T) -> dquery (B,T,d_q)."""
        query, lengths, bent, share = self._last_call()
        dinner = (dplaces * lengths * share * (1 - share))[..., None]
        product(bent, dinner, out=self.grads["vector"][:, None])
        dbent = dinner * self.params["vector"] * (1 - bent * bent)
        product(query, dbent, out=self.grads["weight"])
        return dbent @ self.params["weight"].T


class LocalAttention(Layer):
    """Attention to the keys within `reach` D of a centre p_t: |s − p_t| ≤ D.

    Without a `predictor` the centre is the number of the step, p_t = t ("local-m"). With one the
    query predicts it, from the *real* length, and the weights are multiplied by
    exp(−(s − p_t)² / 2σ²), σ = D/2, and not normalised again: they sum to less than 1 ("local-p",
    eq. 10). Through this factor the predictor learns; the edges of the window have no gradient.
    """

    def __init__(self, score: Score, reach: int, predictor: PlacePredictor | None = None) -> None:
        check_count("reach", reach)
        self.score, self.reach, self.predictor = score, reach, predictor
        self.weighted_sum = WeightedSum()
        super().__init__(parts={"score": score} | ({"predictor": predictor} if predictor else {}))

    def forward(
        self,
        query: np.ndarray,
        key: np.ndarray,
        value: np.ndarray,
        mask: np.ndarray | None = None,
        places: np.ndarray | None = None,
        need_weights: bool = True,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """query (B,T,d_k), key (B,S,d_k), value (B,S,d_v), mask -> context (B,T,d_v), weights
        (B,T,S), or None in their place without `need_weights`.

        `places`, broadcastable to (B,T), are the centres of "local-m"; 0, 1, …, T − 1 if None.
        """
        weights = self.weights(query, self.score.project(key), mask, places)
        context = self.weighted_sum.forward(weights, value)
        return context, weights if need_weights else None

    def backward(self, dcontext: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """dcontext (B,T,d_v) -> dquery, dkey, dvalue."""
        dweights, dvalue = self.weighted_sum.backward(dcontext)
        dquery, dprojected = self.weights_backward(dweights)
        return dquery, self.score.project_backward(dprojected), dvalue

    def weights(
        self,
        query: np.ndarray,
        projected: np.ndarray,
        mask: np.ndarray | None,
        places: np.ndarray | None = None,
    ) -> np.ndarray:
        """The same from keys that the score has projected already: weights (B,T,S)."""
        scores = self.score.compare(query, projected)
        if mask is not None:
            check_mask(np.ndarray, mask, scores.shape)
        allowed = np.broadcast_to(True if mask is None else mask, scores.shape)
        off = np.arange(scores.shape[-1], dtype=scores.dtype)
        off = off - self.center(query, allowed, places)[..., None]
        shares = masked_softmax(scores, allowed & (np.abs(off) <= self.reach))
        if self.predictor is None:
            self._cache = (shares, None, None)
            return shares
        bell = np.exp(-2 * (off / self.reach) ** 2)  # 2σ² = D²/2
        self._cache = (shares, bell, off)
        return shares * bell

    def weights_backward(self, dweights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dweights (B,T,S) -> dquery (B,T,d_q), the gradient of the projected keys (B,S,·)."""
        shares, bell, off = self._last_call()
        if bell is None:
            return self.score.compare_backward(softmax_backward(shares, dweights))
        dscores = softmax_backward(shares, dweights * bell)
        dquery, dprojected = self.score.compare_backward(dscores)
        # ∂bell/∂p = bell · 4 (s − p) / D²
        dplaces = (dweights * shares * bell * off).sum(axis=-1) * (4 / self.reach**2)
        return dquery + self.predictor.backward(dplaces), dprojected

    def center(
        self, query: np.ndarray, mask: np.ndarray, places: np.ndarray | None = None
    ) -> np.ndarray:
        """query (B,T,d_q), mask (B,T,S) -> p_t (B,T)."""
        if self.predictor is not None:
            return self.predictor.forward(query, mask.sum(axis=-1).astype(query.dtype))
        if places is None:
            places = np.arange(query.shape[-2])
        check_places(np.ndarray, places, query.shape[:-1])
        return np.broadcast_to(places, query.shape[:-1]).astype(query.dtype)
