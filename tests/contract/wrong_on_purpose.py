"""A score that looks right and is not, which proves that the suite can tell."""

import numpy as np

from attention_course.scratch.layers import Layer


class PositionScore(Layer):
    """q · w_s for the s-th place: the query says where to look, whatever stands there.

    The "attention" of a tutorial that has been copied thousands of times: its weights come from
    the decoder alone. `weight` is (query_size, places).
    """

    def __init__(self, query_size: int, places: int, dtype: str) -> None:
        super().__init__({"weight": np.zeros((query_size, places), dtype)})

    def forward(self, query: np.ndarray, key: np.ndarray) -> np.ndarray:
        self._cache = (query, key)
        return query @ self.params["weight"][:, : key.shape[-2]]

    def backward(self, dscores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        query, key = self._last_call()
        weight = self.params["weight"][:, : key.shape[-2]]
        rows = query.reshape(-1, query.shape[-1])
        self.grads["weight"].fill(0)
        self.grads["weight"][:, : key.shape[-2]] = rows.T @ dscores.reshape(len(rows), -1)
        return dscores @ weight.T, np.zeros_like(key)
