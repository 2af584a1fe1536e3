"""Fewer key and value heads than query heads: multi-query (Shazeer 2019) and grouped-query
attention (Ainslie et al. 2023).

Shapes: query (B,T,D), key and value (B,S,D), keys and values (B,G,S,D/N), weights (B,N,T,S). N is
the number of query heads, G that of key and value heads. `mask` is boolean, True = may attend, as
in `multihead`.
"""

import torch
from torch import Tensor, nn

from attention_course.axes import check_axes, check_count, check_heads, check_mask
from attention_course.pytorch.attention import Attention, DotScore
from attention_course.pytorch.multihead import (
    KeysValues,
    MultiHeadAttention,
    merge_heads,
    split_heads,
)


def check_groups(heads: int, groups: int) -> None:
    """Raise unless `groups` key heads serve equally many of `heads` query heads each."""
    check_count("groups", groups)
    if heads % groups:
        raise ValueError(f"groups must divide the heads {heads}, got {groups}")


def to_groups(x: Tensor, groups: int) -> Tensor:
    """(B,N,T,d) -> (B,G,N/G·T,d): the queries of neighbouring heads under one another.

    Head n reads key head n // (N/G). The rows of all heads of a group meet the same keys, as if
    they were N/G times as many queries, so that no key has to be copied.
    """
    return x.unflatten(1, (groups, -1)).flatten(2, 3)


def to_heads(x: Tensor, heads: int) -> Tensor:
    """(B,G,N/G·T,d) -> (B,N,T,d), the way back of `to_groups`."""
    return x.unflatten(2, (heads // x.shape[1], -1)).flatten(1, 2)


class GroupedQueryAttention(nn.Module):
    """Multi-head attention; each of G = `groups` key and value heads serves N/G query heads.

    groups = 1 is multi-query attention, groups = heads multi-head attention: `MultiHeadAttention`
    with the same weights, from the same `seed`. Parts: `query` and `out`, each an `nn.Linear`
    (D,D), `key` and `value`, each (D,G·D/N). Beyond the papers: the biases.
    """

    def __init__(self, model_size: int, heads: int, groups: int, seed: int = 0) -> None:
        check_heads(model_size, heads)
        check_groups(heads, groups)
        super().__init__()
        self.heads, self.groups = heads, groups
        shared = groups * (model_size // heads)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.query = nn.Linear(model_size, model_size)
            self.key = nn.Linear(model_size, shared)
            self.value = nn.Linear(model_size, shared)
            self.out = nn.Linear(model_size, model_size)
        self.attention = Attention(DotScore(scaled=True))

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None = None,
        need_weights: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """query (B,T,D), key and value (B,S,D), mask -> output (B,T,D), weights (B,N,T,S), or None
        in their place without `need_weights`, when PyTorch's fused kernel does it all.
        """
        check_axes(Tensor, query=(query, "B T D"), key=(key, "B S D"), value=(value, "B S D"))
        return self.attend(query, *self.project(key, value), mask, need_weights)

    def project(self, key: Tensor, value: Tensor) -> KeysValues:
        """What every query will look at, and a decoder keeps: key and value (B,S,D) -> keys and
        values (B,G,S,D/N).
        """
        return tuple(
            split_heads(layer(x), self.groups)
            for layer, x in ((self.key, key), (self.value, value))
        )

    def attend(
        self,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None = None,
        need_weights: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """As `forward`, with keys and values (B,G,S,D/N) from `project`."""
        queries = split_heads(self.query(query), self.heads)
        if mask is not None:
            mask = to_groups(_for_heads(mask, (*queries.shape[:3], keys.shape[2])), self.groups)
        context, weights = self.attention(
            to_groups(queries, self.groups), keys, values, mask, need_weights
        )
        if weights is not None:
            weights = to_heads(weights, self.heads)
        return self.out(merge_heads(to_heads(context, self.heads))), weights


@torch.no_grad()
def pool_heads(layer: MultiHeadAttention, groups: int) -> GroupedQueryAttention:
    """The layer whose key and value heads are the means of those of `layer` that they replace
    (Ainslie et al. 2023, section 2.1): where further training starts, not where it ends.
    """
    size, heads = layer.query.in_features, layer.heads
    weight = layer.query.weight
    pooled = GroupedQueryAttention(size, heads, groups).to(weight.device, weight.dtype)
    state = layer.state_dict()
    for name in state:
        if name.startswith(("key", "value")):
            by_group = state[name].unflatten(0, (groups, heads // groups, -1))
            state[name] = by_group.mean(dim=1).flatten(0, 1)
    pooled.load_state_dict(state)
    return pooled


def _for_heads(mask: Tensor, scores: tuple[int, ...]) -> Tensor:
    """A mask for (B,T,S), or (B,N,T,S), written out as (B,N,T,S)."""
    if isinstance(mask, Tensor) and mask.dim() == 3:
        mask = mask[:, None]
    check_mask(Tensor, mask, scores)
    return mask.expand(scores)
