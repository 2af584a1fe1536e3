"""Multi-head attention (Vaswani et al. 2017, section 3.2.2): project, split, attend, merge.

Shapes: query (B,T,D), key and value (B,S,D), weights (B,N,T,S), one matrix a head. `mask` is
boolean, True = may attend, broadcastable to (B,T,S), the same for all heads, or to (B,N,T,S).
"""

import torch
from torch import Tensor, nn

from attention_course.axes import check_axes, check_heads
from attention_course.pytorch.attention import Attention, DotScore

KeysValues = tuple[Tensor, Tensor]  # (B,N,S,D/N) each: projected and split into heads


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B,T,D) -> (B,N,T,D/N): head n gets numbers n·D/N … (n + 1)·D/N − 1 of every token.

    First the last axis is cut, then axes change places. Only `reshape(B,N,T,D/N)` would have the
    right shape, too, and mix the tokens.
    """
    check_axes(Tensor, x=(x, "B T D"))
    check_heads(x.shape[-1], heads)
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(B,N,T,d) -> (B,T,N·d), the way back of `split_heads`."""
    check_axes(Tensor, x=(x, "B N T d"))
    return x.transpose(1, 2).flatten(2)


class MultiHeadAttention(nn.Module):
    """N attentions side by side, each on D/N of D projected numbers, and a mixing layer on top.

    head_n = Attention(Q_n, K_n, V_n), Q = query W_Q + b_Q split into heads, and so on;
    output = [head_1; …; head_N] W_O + b_O. The score is the scaled dot product. Beyond the paper:
    the biases. Parts: `query`, `key`, `value` and `out`, each an `nn.Linear` (D,D). `seed` fixes
    the initial weights.
    """

    def __init__(self, model_size: int, heads: int, seed: int = 0) -> None:
        check_heads(model_size, heads)
        super().__init__()
        self.heads = heads
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for name in ("query", "key", "value", "out"):
                self.add_module(name, nn.Linear(model_size, model_size))
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
        """What every query will look at: key and value (B,S,D) -> keys and values (B,N,S,D/N). They
        are made once, however many queries come later.
        """
        return tuple(
            split_heads(layer(x), self.heads) for layer, x in ((self.key, key), (self.value, value))
        )

    def attend(
        self,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None = None,
        need_weights: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """As `forward`, with keys and values (B,N,S,D/N) from `project`."""
        queries = split_heads(self.query(query), self.heads)
        context, weights = self.attention(queries, keys, values, _for_heads(mask), need_weights)
        return self.out(merge_heads(context)), weights


def to_library(layer: MultiHeadAttention) -> nn.MultiheadAttention:
    """PyTorch's own layer with copies of these weights; it keeps W_Q, W_K, W_V in one matrix.

    Its masks have the other polarity (see `masks.to_attn_mask`), and its weights are the mean over
    heads unless `average_attn_weights=False`.
    """
    size, weight = layer.out.in_features, layer.out.weight
    kind = {"batch_first": True, "dtype": weight.dtype, "device": weight.device}
    library = nn.MultiheadAttention(size, layer.heads, **kind)
    parts = (layer.query, layer.key, layer.value)
    with torch.no_grad():
        library.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        library.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        library.out_proj.load_state_dict(layer.out.state_dict())
    return library


def _for_heads(mask: Tensor | None) -> Tensor | None:
    """A mask for (B,T,S) gets an axis for the heads; without it B would be taken for N."""
    is_shared = isinstance(mask, Tensor) and mask.dim() == 3
    return mask[:, None] if is_shared else mask
