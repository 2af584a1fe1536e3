"""Multi-head attention (Vaswani et al. 2017, section 3.2.2): project, split, attend, merge.

Shapes: query (B,T,D), key and value (B,S,D), weights (B,N,T,S), one matrix a head. `mask` is
boolean, True = may attend, broadcastable to (B,T,S), the same for all heads, or to (B,N,T,S).
"""

import keras
import tensorflow as tf

from attention_course.axes import check_axes, check_heads
from attention_course.keras.attention import Attention, DotScore
from attention_course.keras.layers import Seed, linear, seed_generator

KeysValues = tuple[tf.Tensor, tf.Tensor]  # (B,N,S,D/N) each: projected and split into heads


def split_heads(x: tf.Tensor, heads: int) -> tf.Tensor:
    """(B,T,D) -> (B,N,T,D/N): head n gets numbers n·D/N … (n + 1)·D/N − 1 of every token.

    First the last axis is cut, then axes change places. Only `reshape(B,N,T,D/N)` would have the
    right shape, too, and mix the tokens.
    """
    check_axes(tf.Tensor, x=(x, "B T D"))
    check_heads(x.shape[-1], heads)
    batch, steps = tf.unstack(tf.shape(x)[:2])
    x = tf.reshape(x, (batch, steps, heads, x.shape[-1] // heads))
    return tf.transpose(x, (0, 2, 1, 3))


def merge_heads(x: tf.Tensor) -> tf.Tensor:
    """(B,N,T,d) -> (B,T,N·d), the way back of `split_heads`."""
    check_axes(tf.Tensor, x=(x, "B N T d"))
    batch, _, steps, _ = tf.unstack(tf.shape(x))
    return tf.reshape(tf.transpose(x, (0, 2, 1, 3)), (batch, steps, x.shape[1] * x.shape[3]))


class MultiHeadAttention(keras.layers.Layer):
    """N attentions side by side, each on D/N of D projected numbers, and a mixing layer on top.

    head_n = Attention(Q_n, K_n, V_n), Q = query W_Q + b_Q split into heads, and so on;
    output = [head_1; …; head_N] W_O + b_O. The score is the scaled dot product. Beyond the paper:
    the biases. Parts: `query`, `key`, `value` and `out`, each a `Dense` (D,D).
    """

    def __init__(
        self, model_size: int, heads: int, seed: Seed = 0, dtype: str | None = None
    ) -> None:
        check_heads(model_size, heads)
        super().__init__(dtype=dtype, autocast=False)
        self.heads, seed = heads, seed_generator(seed)
        sizes = (model_size, model_size, seed, dtype)
        self.query, self.key, self.value, self.out = (linear(*sizes) for _ in range(4))
        self.attention = Attention(DotScore(scaled=True))
        self.built = True

    def call(
        self,
        query: tf.Tensor,
        key: tf.Tensor,
        value: tf.Tensor,
        mask: tf.Tensor | None = None,
        need_weights: bool = True,
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """query (B,T,D), key and value (B,S,D), mask -> output (B,T,D), weights (B,N,T,S), or None
        in their place without `need_weights` (which Keras wants by keyword).
        """
        check_axes(tf.Tensor, query=(query, "B T D"), key=(key, "B S D"), value=(value, "B S D"))
        return self.attend(query, *self.project(key, value), mask, need_weights)

    def project(self, key: tf.Tensor, value: tf.Tensor) -> KeysValues:
        """What every query will look at: key and value (B,S,D) -> keys and values (B,N,S,D/N). They
        are made once, however many queries come later.
        """
        return tuple(
            split_heads(layer(x), self.heads) for layer, x in ((self.key, key), (self.value, value))
        )

    def attend(
        self,
        query: tf.Tensor,
        keys: tf.Tensor,
        values: tf.Tensor,
        mask: tf.Tensor | None = None,
        need_weights: bool = True,
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """As `call`, with keys and values (B,N,S,D/N) from `project`."""
        queries = split_heads(self.query(query), self.heads)
        context, weights = self.attention(queries, keys, values, _for_heads(mask))
        return self.out(merge_heads(context)), weights if need_weights else None

    def compute_mask(self, *_: object, **__: object) -> None:
        """Keras's own masks, which travel with tensors, are nobody's business here."""


def to_library(layer: MultiHeadAttention) -> keras.layers.MultiHeadAttention:
    """Keras's own layer with copies of these weights; its order is query, value, key, and its
    kernels are (D,N,D/N) and, on the way out, (N,D/N,D).
    """
    size = layer.out.units
    head = (layer.heads, size // layer.heads)
    library = keras.layers.MultiHeadAttention(*head, dtype=layer.dtype_policy)
    library.build((None, None, size), (None, None, size))
    arrays = []
    for part in (layer.query, layer.key, layer.value):
        kernel, bias = part.get_weights()
        arrays += [kernel.reshape(size, *head), bias.reshape(head)]
    kernel, bias = layer.out.get_weights()
    library.set_weights([*arrays, kernel.reshape(*head, size), bias])
    return library


def _for_heads(mask: tf.Tensor | None) -> tf.Tensor | None:
    """A mask for (B,T,S) gets an axis for the heads; without it B would be taken for N."""
    is_shared = isinstance(mask, tf.Tensor) and mask.shape.rank == 3
    return mask[:, None] if is_shared else mask
