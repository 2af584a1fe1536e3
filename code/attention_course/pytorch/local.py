"""Local attention (Luong et al. 2015, section 3.2): look only near one place of the source.

Shapes as in `attention`. Places count from 0. Wherever the window holds no key that may be attended
to, weights and context are zero.
"""

import torch
from torch import Tensor, nn

from attention_course.axes import check_axes, check_count, check_mask, check_places
from attention_course.pytorch.attention import Score, masked_softmax, uniform, weighted_sum


class PlacePredictor(nn.Module):
    """p_t = L · σ(v · tanh(q W)): where to look, between 0 and the length L (eq. 9).

    Learned: `weight` W (query_size, hidden_size), `vector` v (hidden_size,).
    """

    def __init__(self, query_size: int, hidden_size: int) -> None:
        super().__init__()
        self.weight = uniform(query_size**-0.5, query_size, hidden_size)
        self.vector = uniform(hidden_size**-0.5, hidden_size)

    def forward(self, query: Tensor, lengths: Tensor) -> Tensor:
        """query (B,T,d_q), lengths broadcastable to (B,T) -> places (B,T), no whole numbers."""
        check_axes(Tensor, query=(query, "... T d_q"), weight=(self.weight, "d_q A"))
        return lengths * torch.sigmoid(torch.tanh(query @ self.weight) @ self.vector)


class LocalAttention(nn.Module):
    """Attention to the keys within `reach` D of a centre p_t: |s − p_t| ≤ D.

    Without a `predictor` the centre is the number of the step, p_t = t ("local-m"). With one the
    query predicts it, from the *real* length, and the weights are multiplied by
    exp(−(s − p_t)² / 2σ²), σ = D/2, and not normalised again: they sum to less than 1 ("local-p",
    eq. 10). Through this factor the predictor learns; the edges of the window have no gradient.
    """

    def __init__(self, score: Score, reach: int, predictor: PlacePredictor | None = None) -> None:
        super().__init__()
        check_count("reach", reach)
        self.score, self.reach, self.predictor = score, reach, predictor

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None = None,
        places: Tensor | None = None,
        need_weights: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """query (B,T,d_k), key (B,S,d_k), value (B,S,d_v), mask -> context (B,T,d_v), weights
        (B,T,S), or None in their place without `need_weights`.

        `places`, broadcastable to (B,T), are the centres of "local-m"; 0, 1, …, T − 1 if None.
        """
        weights = self.weights(query, self.score.project(key), mask, places)
        return weighted_sum(weights, value), weights if need_weights else None

    def weights(
        self, query: Tensor, projected: Tensor, mask: Tensor | None, places: Tensor | None = None
    ) -> Tensor:
        """The same from keys that the score has projected already: weights (B,T,S)."""
        scores = self.score.compare(query, projected)
        allowed = torch.ones_like(scores, dtype=torch.bool)
        if mask is not None:
            check_mask(Tensor, mask, tuple(scores.shape))
            allowed = mask.expand(scores.shape)
        off = torch.arange(scores.shape[-1], device=scores.device, dtype=scores.dtype)
        off = off - self.center(query, allowed, places)[..., None]
        weights = masked_softmax(scores, allowed & (off.abs() <= self.reach))
        if self.predictor is None:
            return weights
        return weights * torch.exp(-2 * (off / self.reach) ** 2)  # 2σ² = D²/2

    def center(self, query: Tensor, mask: Tensor, places: Tensor | None = None) -> Tensor:
        """query (B,T,d_q), mask (B,T,S) -> p_t (B,T)."""
        if self.predictor is not None:
            return self.predictor(query, mask.sum(dim=-1).to(query.dtype))
        if places is None:
            places = torch.arange(query.shape[-2], device=query.device)
        check_places(Tensor, places, tuple(query.shape[:-1]))
        return places.to(query.dtype).expand(query.shape[:-1])
