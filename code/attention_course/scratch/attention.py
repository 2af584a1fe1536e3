"""Dot-product attention, forward and backward: the look-up that Chapter 2 builds and explains."""

import numpy as np

from attention_course.scratch.functional import softmax, softmax_backward
from attention_course.scratch.layers import Layer, expect


class DotProductAttention(Layer):
    """Each query's average of the values, weighted by softmax(query · key).

    Luong et al. 2015, equations 7 and 8, "dot". It has no parameters; all that it learns, it learns
    through the gradients that it passes on.
    """

    def forward(
        self, query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """query (B,T,D), key (B,S,D), value (B,S,d_v) -> context (B,T,d_v), weights (B,T,S).

        `mask` is boolean, broadcastable to (B,T,S), True = may attend. A query that may attend to
        nothing gets zeros.
        """
        expect("query", query, np.floating, B=None, T=None, D=None)
        batch, _, size = query.shape
        expect("key", key, query.dtype, B=batch, S=None, D=size)
        expect("value", value, query.dtype, B=batch, S=key.shape[1], d_v=None)
        scores = query @ key.swapaxes(1, 2)
        if mask is not None:
            if mask.dtype != bool:
                raise TypeError(f"mask must be bool with True = may attend, got {mask.dtype}")
            scores = np.where(mask, scores, -np.inf)
        weights = softmax(scores)
        self._cache = (query, key, value, weights)
        return weights @ value, weights

    def backward(self, dcontext: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """dcontext (B,T,d_v) -> dquery, dkey, dvalue, each shaped like what it belongs to."""
        query, key, value, weights = self._last_call()
        expect("dcontext", dcontext, query.dtype, *weights.shape[:2], d_v=value.shape[2])
        dvalue = weights.swapaxes(1, 2) @ dcontext
        dscores = softmax_backward(weights, dcontext @ value.swapaxes(1, 2))
        return dscores @ key, dscores.swapaxes(1, 2) @ query, dvalue
