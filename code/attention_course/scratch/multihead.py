"""Multi-head attention (Vaswani et al. 2017, section 3.2.2): project, split, attend, merge.

Shapes: query (B,T,D), key and value (B,S,D), weights (B,N,T,S), one matrix a head. `mask` is
boolean, True = may attend, broadcastable to (B,T,S), the same for all heads, or to (B,N,T,S).
"""

import numpy as np

from attention_course.axes import check_axes, check_heads
from attention_course.scratch.attention import Attention, DotScore
from attention_course.scratch.layers import Layer, Linear, Seed, expect

KeysValues = tuple[np.ndarray, np.ndarray]  # (B,N,S,D/N) each: projected and split into heads


def split_heads(x: np.ndarray, heads: int) -> np.ndarray:
    """(B,T,D) -> (B,N,T,D/N): head n gets numbers n·D/N … (n + 1)·D/N − 1 of every token.

    First the last axis is cut, then axes change places. Only `reshape(B,N,T,D/N)` would have the
    right shape, too, and mix the tokens.
    """
    check_axes(np.ndarray, x=(x, "B T D"))
    check_heads(x.shape[-1], heads)
    return x.reshape(*x.shape[:-1], heads, -1).swapaxes(1, 2)


def merge_heads(x: np.ndarray) -> np.ndarray:
    """(B,N,T,d) -> (B,T,N·d), the way back of `split_heads`."""
    check_axes(np.ndarray, x=(x, "B N T d"))
    x = x.swapaxes(1, 2)
    return x.reshape(*x.shape[:2], -1)


class MultiHeadAttention(Layer):
    """N attentions side by side, each on D/N of D projected numbers, and a mixing layer on top.

    head_n = Attention(Q_n, K_n, V_n), Q = query W_Q + b_Q split into heads, and so on;
    output = [head_1; …; head_N] W_O + b_O. The score is the scaled dot product. Beyond the paper:
    the biases. Parts: `query`, `key`, `value` and `out`, each a `Linear` (D,D).
    """

    def __init__(
        self,
        model_size: int,
        heads: int,
        seed: Seed = 0,
        dtype: np.dtype | type = np.float32,
    ) -> None:
        check_heads(model_size, heads)
        self.heads, generator = heads, np.random.default_rng(seed)
        sizes = (model_size, model_size, generator, dtype)
        parts = {name: Linear(*sizes) for name in ("query", "key", "value", "out")}
        self.query, self.key, self.value, self.out = parts.values()
        self.attention = Attention(DotScore(scaled=True))
        super().__init__(parts=parts)

    def forward(
        self,
        query: np.ndarray,
        key: np.ndarray,
        value: np.ndarray,
        mask: np.ndarray | None = None,
        need_weights: bool = True,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """query (B,T,D), key and value (B,S,D), mask -> output (B,T,D), weights (B,N,T,S), or None
        in their place without `need_weights`.
        """
        check_axes(np.ndarray, query=(query, "B T D"), key=(key, "B S D"), value=(value, "B S D"))
        return self.attend(query, *self.project(key, value), mask, need_weights)

    def backward(self, doutput: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """doutput (B,T,D) -> dquery (B,T,D), dkey and dvalue (B,S,D).

        In self-attention the three are one array, whose gradient is their sum.
        """
        dquery, dkeys, dvalues = self.attend_backward(doutput)
        return dquery, *self.project_backward(dkeys, dvalues)

    def project(self, key: np.ndarray, value: np.ndarray) -> KeysValues:
        """What every query will look at: key and value (B,S,D) -> keys and values (B,N,S,D/N). They
        are made once, however many queries come later.
        """
        pairs = ((self.key, key), (self.value, value))
        return tuple(split_heads(layer.forward(x), self.heads) for layer, x in pairs)

    def project_backward(
        self, dkeys: np.ndarray, dvalues: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """dkeys and dvalues (B,N,S,D/N) -> dkey and dvalue (B,S,D)."""
        pairs = ((self.key, dkeys), (self.value, dvalues))
        return tuple(layer.backward(merge_heads(gradient)) for layer, gradient in pairs)

    def attend(
        self,
        query: np.ndarray,
        keys: np.ndarray,
        values: np.ndarray,
        mask: np.ndarray | None = None,
        need_weights: bool = True,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """As `forward`, with keys and values (B,N,S,D/N) from `project`."""
        queries = split_heads(self.query.forward(query), self.heads)
        context, weights = self.attention.forward(queries, keys, values, _for_heads(mask))
        self._cache = query.shape
        return self.out.forward(merge_heads(context)), weights if need_weights else None

    def attend_backward(self, doutput: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """doutput (B,T,D) -> dquery (B,T,D), dkeys and dvalues (B,N,S,D/N)."""
        expect("doutput", doutput, self.dtype, *self._last_call())
        dcontext = split_heads(self.out.backward(doutput), self.heads)
        dqueries, dkeys, dvalues = self.attention.backward(dcontext)
        return self.query.backward(merge_heads(dqueries)), dkeys, dvalues


def _for_heads(mask: np.ndarray | None) -> np.ndarray | None:
    """A mask for (B,T,S) gets an axis for the heads; without it B would be taken for N."""
    is_shared = isinstance(mask, np.ndarray) and mask.ndim == 3
    return mask[:, None] if is_shared else mask
