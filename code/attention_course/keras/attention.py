"""Attention: scores, weights, weighted sum.

Shapes: query (B,T,d_k), key (B,S,d_k), value (B,S,d_v), scores and weights (B,T,S), context
(B,T,d_v). `mask` is boolean, broadcastable to the scores, True = may attend. A query that may
attend to nothing gets zero weights, a zero context and zero gradients. One decoder step is T = 1.
More leading axes than B are welcome. Everything takes NumPy arrays and tensors, of one
floating-point dtype, which is that of the results: nothing is cast.
"""

import keras
import numpy as np
import tensorflow as tf

from attention_course.axes import check_axes, check_count, check_mask
from attention_course.keras.layers import Seed, seed_generator, uniform

# Functions: the mathematics.


def dot_scores(query: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """q · k for each query and key (Luong et al. 2015, section 3.1, "dot"): (B,T,d_k), (B,S,d_k) ->
    (B,T,S).
    """
    query, key = _tensors(query, key)
    check_axes(tf.Tensor, query=(query, "... T d_k"), key=(key, "... S d_k"))
    return tf.matmul(query, key, transpose_b=True)


def scaled_dot_scores(query: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """q · k / √d_k (Vaswani et al. 2017, eq. 1), of variance 1 whatever d_k, if those of q and k
    are.
    """
    scores = dot_scores(query, key)
    d_k = tf.cast(tf.shape(query)[-1], tf.float64)
    return scores * tf.cast(d_k**-0.5, scores.dtype)


def general_scores(query: tf.Tensor, key: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """q W kᵀ (Luong et al. 2015, section 3.1, "general"): (B,T,d_q), (B,S,d_k) and W (d_q,d_k)
    -> (B,T,S).

    Query and key may be of different sizes.
    """
    query, key, weight = _tensors(query, key, weight)
    check_axes(
        tf.Tensor, query=(query, "... T d_q"), key=(key, "... S d_k"), weight=(weight, "d_q d_k")
    )
    return tf.matmul(_product(query, weight), key, transpose_b=True)


def additive_scores(
    query: tf.Tensor,
    key: tf.Tensor,
    query_weight: tf.Tensor,
    key_weight: tf.Tensor,
    vector: tf.Tensor,
) -> tf.Tensor:
    """v · tanh(q W + k U) (Bahdanau et al. 2015, appendix A.1.2): (B,T,d_q), (B,S,d_k), W (d_q,A),
    U (d_k,A) and v (A,) -> (B,T,S).

    The same as v · tanh([q; k] [W; U]), "concat" of Luong et al. 2015, section 3.1.
    """
    query, key = _tensors(query, key)
    query_weight, key_weight, vector = _tensors(query_weight, key_weight, vector)
    check_axes(
        tf.Tensor,
        query=(query, "... T d_q"),
        key=(key, "... S d_k"),
        query_weight=(query_weight, "d_q A"),
        key_weight=(key_weight, "d_k A"),
        vector=(vector, "A"),
    )
    return _compared(_product(query, query_weight), _product(key, key_weight), vector)


def _compared(query: tf.Tensor, key: tf.Tensor, vector: tf.Tensor) -> tf.Tensor:
    """v · tanh(q + k) of projected queries (B,T,A) and keys (B,S,A): every pair, (B,T,S)."""
    return _product(tf.tanh(tf.expand_dims(query, -2) + tf.expand_dims(key, -3)), vector)


def location_scores(query: tf.Tensor, key: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """q W: what the query says of each *place*, whatever stands there (Luong et al. 2015, eq. 8):
    (B,T,d_q), (B,S,d_k) and W (d_q,P) -> (B,T,S).

    Of the key only S is read. A place beyond the P known ones gets −∞, so its weight is 0: in long
    sentences the paper ignores the words near the end.
    """
    query, key, weight = _tensors(query, key, weight)
    check_axes(
        tf.Tensor, query=(query, "... T d_q"), key=(key, "... S d_k"), weight=(weight, "d_q P")
    )
    size, scores = tf.shape(key)[-2], _product(query, weight)
    beyond = tf.maximum(size - tf.shape(weight)[-1], 0)
    unknown = tf.fill(tf.concat([tf.shape(scores)[:-1], [beyond]], 0), -np.inf)
    return tf.concat([scores[..., :size], tf.cast(unknown, scores.dtype)], axis=-1)


def masked_softmax(scores: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
    """Softmax over the keys that may be attended; exactly 0 elsewhere, also in rows without any."""
    (scores,) = _tensors(scores)
    check_axes(tf.Tensor, scores=(scores, "..."))
    if mask is None:
        return tf.nn.softmax(scores)
    (mask,) = _tensors(mask)
    check_mask(tf.Tensor, mask, tuple(scores.shape))
    # The lowest finite number, not −inf, of which a row without any key would make NaN, also in the
    # gradients. It makes equal weights; they are zeroed, and with them what flows back.
    weights = tf.nn.softmax(tf.where(mask, scores, scores.dtype.min))
    return tf.where(mask, weights, tf.zeros((), weights.dtype))


def weighted_sum(weights: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Σ_j w_tj v_j: weights (B,T,S), value (B,S,d_v) -> context (B,T,d_v)."""
    weights, value = _tensors(weights, value)
    check_axes(tf.Tensor, weights=(weights, "... T S"), value=(value, "... S d_v"))
    return tf.matmul(weights, value)


# Layers: the same with parameters. `autocast=False`: Keras would otherwise turn every input into
# the layer's dtype, float64 into float32, without a word.


class Score(keras.layers.Layer):
    """How well each query fits each key. What it can make of the keys alone is made once a
    sentence: `compare(query, project(key))` is the score of (query, key).
    """

    def project(self, key: tf.Tensor) -> tf.Tensor:
        """key (B,S,d_k) -> what `compare` wants of it; here the key itself."""
        return key

    def compare(self, query: tf.Tensor, projected: tf.Tensor) -> tf.Tensor:
        """query (B,T,d_q), projected keys (B,S,·) -> scores (B,T,S)."""
        return self(query, projected)


class DotScore(Score):
    """q · k, or q · k / √d_k if `scaled`. Nothing to learn."""

    def __init__(self, scaled: bool = False) -> None:
        super().__init__(autocast=False)
        self.scaled = scaled
        self.built = True

    def call(self, query: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """query (B,T,d_k), key (B,S,d_k) -> scores (B,T,S)."""
        return (scaled_dot_scores if self.scaled else dot_scores)(query, key)


class GeneralScore(Score):
    """q W kᵀ with `weight` W (query_size, key_size), which is learned; no bias, as in the paper.

    Query and key must be of the layer's `dtype`, Keras's default (float32) if None.
    """

    def __init__(
        self, query_size: int, key_size: int, seed: Seed = 0, dtype: str | None = None
    ) -> None:
        super().__init__(dtype=dtype, autocast=False)
        rule = uniform(query_size, seed)
        self.weight = self.add_weight(shape=(query_size, key_size), initializer=rule, name="weight")
        self.built = True

    def call(self, query: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """query (B,T,d_q), key (B,S,d_k) -> scores (B,T,S)."""
        return general_scores(query, key, *_cast(self.compute_dtype, self.weight))


class AdditiveScore(Score):
    """v · tanh(q W + k U): a network of one hidden layer, `hidden_size` units, judges each pair
    (Bahdanau et al. 2015, appendix A.1.2).

    Learned: `query_weight` W (query_size, hidden_size), `key_weight` U (key_size, hidden_size),
    `vector` v (hidden_size,); no bias, as in the paper. Keys that stay the same while queries come
    one by one are projected once: `compare(query, project(key))` is the score of (query, key).
    Query and key must be of the layer's `dtype`, Keras's default (float32) if None.
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        hidden_size: int,
        seed: Seed = 0,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype=dtype, autocast=False)
        seed = seed_generator(seed)
        shapes = {
            "query_weight": (query_size, hidden_size),
            "key_weight": (key_size, hidden_size),
            "vector": (hidden_size,),
        }
        for name, shape in shapes.items():
            rule = uniform(shape[0], seed)
            setattr(self, name, self.add_weight(shape=shape, initializer=rule, name=name))
        self.built = True

    def call(self, query: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """query (B,T,d_q), key (B,S,d_k) -> scores (B,T,S)."""
        weights = (self.query_weight, self.key_weight, self.vector)
        return additive_scores(query, key, *_cast(self.compute_dtype, *weights))

    def project(self, key: tf.Tensor) -> tf.Tensor:
        """k U: key (B,S,d_k) -> (B,S,A)."""
        (key,), (weight,) = _tensors(key), _cast(self.compute_dtype, self.key_weight)
        check_axes(tf.Tensor, key=(key, "... S d_k"), key_weight=(weight, "d_k A"))
        return _product(key, weight)

    def compare(self, query: tf.Tensor, projected: tf.Tensor) -> tf.Tensor:
        """query (B,T,d_q), projected keys (B,S,A) -> scores (B,T,S)."""
        query, projected = _tensors(query, projected)
        weight, vector = _cast(self.compute_dtype, self.query_weight, self.vector)
        check_axes(
            tf.Tensor,
            query=(query, "... T d_q"),
            projected=(projected, "... S A"),
            query_weight=(weight, "d_q A"),
        )
        return _compared(_product(query, weight), projected, vector)


class LocationScore(Score):
    """q W, one score for each of `places` places, with `weight` W (query_size, places), which is
    learned (Luong et al. 2015, eq. 8). What stands at a place plays no part.

    Query and key must be of the layer's `dtype`, Keras's default (float32) if None.
    """

    def __init__(
        self, query_size: int, places: int, seed: Seed = 0, dtype: str | None = None
    ) -> None:
        check_count("places", places)
        super().__init__(dtype=dtype, autocast=False)
        rule = uniform(query_size, seed)
        self.weight = self.add_weight(shape=(query_size, places), initializer=rule, name="weight")
        self.built = True

    def call(self, query: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """query (B,T,d_q), key (B,S,d_k) -> scores (B,T,S)."""
        return location_scores(query, key, *_cast(self.compute_dtype, self.weight))


class Attention(keras.layers.Layer):
    """Each query's average of the values, weighted by the softmax of a score.

    `score` is a layer that takes (query, key); the default is the dot product.
    """

    def __init__(self, score: keras.layers.Layer | None = None) -> None:
        super().__init__(autocast=False)
        self.score = score or DotScore()
        self.built = True

    def call(
        self,
        query: tf.Tensor,
        key: tf.Tensor,
        value: tf.Tensor,
        mask: tf.Tensor | None = None,
        need_weights: bool = True,
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """query (B,T,d_k), key (B,S,d_k), value (B,S,d_v), mask -> context (B,T,d_v), weights
        (B,T,S), or None in their place without `need_weights` (which Keras wants by keyword).
        """
        weights = masked_softmax(self.score(query, key), mask)
        return weighted_sum(weights, value), weights if need_weights else None


class AttentionPooling(keras.layers.Layer):
    """One vector for a whole sequence: its average, weighted by what a small network finds
    important (Yang et al. 2016, eqs. 5–7).

    α_j = softmax of v · tanh(h_j U + b), context = Σ_j α_j h_j: additive attention whose query is
    the same for every input and so has become a bias. Learned: `key_weight` U (size, hidden_size),
    `bias` b and `vector` v (hidden_size,). The values must be of the layer's `dtype`, Keras's
    default (float32) if None.
    """

    def __init__(
        self, size: int, hidden_size: int, seed: Seed = 0, dtype: str | None = None
    ) -> None:
        super().__init__(dtype=dtype, autocast=False)
        seed = seed_generator(seed)
        shapes = {
            "key_weight": (size, (size, hidden_size)),
            "bias": (size, (hidden_size,)),
            "vector": (hidden_size, (hidden_size,)),
        }
        for name, (fan, shape) in shapes.items():
            rule = uniform(fan, seed)
            setattr(self, name, self.add_weight(shape=shape, initializer=rule, name=name))
        self.built = True

    def call(self, value: tf.Tensor, mask: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """value (B,S,D), mask broadcastable to (B,1,S) -> context (B,D), weights (B,S)."""
        (value,) = _tensors(value)
        weight, bias, vector = _cast(self.compute_dtype, self.key_weight, self.bias, self.vector)
        check_axes(
            tf.Tensor,
            value=(value, "... S D"),
            key_weight=(weight, "D A"),
            bias=(bias, "A"),
        )
        agreement = tf.tanh(_product(value, weight) + bias)
        weights = masked_softmax(_product(agreement, vector)[..., None, :], mask)
        return weighted_sum(weights, value)[..., 0, :], weights[..., 0, :]


def _product(rows: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """rows (..., in) times a weight (in,out) or (in,). `tf.matmul` would take the leading axes for
    a batch and make the weight's gradient, an (in,out) matrix, once for every row of it.
    """
    return tf.tensordot(rows, weight, 1)


def _cast(dtype: str, *weights: keras.Variable) -> list[tf.Tensor]:
    """Weights in the dtype in which a layer counts; it is another one in "mixed_float16" only."""
    return [tf.cast(weight, dtype) for weight in weights]


def _tensors(*arrays: tf.Tensor) -> list[tf.Tensor]:
    return [tf.convert_to_tensor(array) for array in arrays]
