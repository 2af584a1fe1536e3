"""Wrong calls are refused in words: which argument, which axis, what was given, what was expected.

One table for all frameworks. A call is written as a reader would write it, with B, T, S = 2, 3, 5,
d_k = 4, d_v = 6, and `f` for floats of a shape, `i` for whole numbers, `b` for True everywhere.
"""

from typing import Any

import numpy as np
import pytest
from frameworks import FRAMEWORKS, Framework

ALL, SCRATCH, PYTORCH, KERAS = tuple(FRAMEWORKS), ("scratch",), ("pytorch",), ("keras",)
NOT_KERAS = ("scratch", "pytorch")  # TensorFlow makes a tensor of any list, and so does our code

# call, error, all that its message must say, where
BAD = [
    ("dot_scores(f(2,4), f(2,5,4))", ValueError, ("query", "axes", "(2, 4)"), ALL),
    ("dot_scores(f(2,3,4), f(2,5,6))", ValueError, ("key", "axis d_k", "4", "6"), ALL),
    ("dot_scores(f(2,3,4), f(1,5,4))", ValueError, ("key", "leading axes", "(2,)"), ALL),
    ("dot_scores(f(2,3,4), f(2,0,4))", ValueError, ("key", "1 or more", "(2, 0, 4)"), ALL),
    ("dot_scores(i(2,3,4), f(2,5,4))", TypeError, ("query", "floating", "int64"), ALL),
    ("dot_scores(f(2,3,4), f(2,5,4,'float64'))", TypeError, ("key", "float32", "float64"), ALL),
    ("dot_scores([[[1.0]]], f(1,1,1))", TypeError, ("query", "list"), NOT_KERAS),
    ("scaled_dot_scores(f(2,4), f(2,5,4))", ValueError, ("query", "axes", "(2, 4)"), ALL),
    ("scaled_dot_scores(f(2,3,4), f(2,5,6))", ValueError, ("key", "axis d_k", "4", "6"), ALL),
    ("scaled_dot_scores(f(2,3,4), i(2,5,4))", TypeError, ("key", "floating", "int64"), ALL),
    ("general_scores(f(2,3,7), f(2,5,4), f(4,7))", ValueError, ("weight", "d_q", "7"), ALL),
    ("general_scores(f(2,3,7), f(2,5,4), f(7,6))", ValueError, ("weight", "d_k", "6"), ALL),
    ("general_scores(f(2,3,7), f(2,5,4), f(4))", ValueError, ("weight", "2 axes", "(4,)"), ALL),
    ("general_scores(f(2,3,7), f(2,5,4), i(7,4))", TypeError, ("weight", "int64"), ALL),
    (
        "additive_scores(f(2,3,7), f(2,5,4), f(4,8), f(4,8), f(8))",
        *(ValueError, ("query_weight", "d_q", "7", "4"), ALL),
    ),
    (
        "additive_scores(f(2,3,7), f(2,5,4), f(7,8), f(7,8), f(8))",
        *(ValueError, ("key_weight", "d_k", "4", "7"), ALL),
    ),
    (
        "additive_scores(f(2,3,7), f(2,5,4), f(7,8), f(4,9), f(8))",
        *(ValueError, ("key_weight", "axis A", "8", "9"), ALL),
    ),
    (
        "additive_scores(f(2,3,7), f(2,5,4), f(7,8), f(4,8), f(9))",
        *(ValueError, ("vector", "axis A", "8", "9"), ALL),
    ),
    (
        "additive_scores(f(2,3,7), i(2,5,4), f(7,8), f(4,8), f(8))",
        *(TypeError, ("key", "floating", "int64"), ALL),
    ),
    ("additive().project(f(2,5,6))", ValueError, ("key_weight", "d_k", "6", "4"), ALL),
    ("additive().compare(f(2,3,6), f(2,5,8))", ValueError, ("query_weight", "d_q", "6"), ALL),
    ("additive().compare(f(2,3,7), f(2,5,9))", ValueError, ("query_weight", "axis A", "9"), ALL),
    ("additive().compare(f(2,3,7), f(3,5,8))", ValueError, ("projected", "leading axes"), ALL),
    ("masked_softmax([[0.0, 1.0]])", TypeError, ("scores", "list"), NOT_KERAS),
    ("masked_softmax(i(2,3,5))", TypeError, ("scores", "floating", "int64"), ALL),
    ("masked_softmax(f(2,3,0))", ValueError, ("scores", "1 or more", "(2, 3, 0)"), ALL),
    ("masked_softmax(f(2,3,5), f(2,3,5))", TypeError, ("mask", "bool", "float32"), ALL),
    ("masked_softmax(f(2,3,5), i(2,3,5))", TypeError, ("mask", "True = may", "int64"), ALL),
    ("masked_softmax(f(1,1,2), [[[True, False]]])", TypeError, ("mask", "list"), NOT_KERAS),
    ("masked_softmax(f(2,3,5), b(2,5))", ValueError, ("mask", "(2, 5)", "(B,1,S)"), ALL),
    ("masked_softmax(f(2,3,5), b(2,3,6))", ValueError, ("mask", "(2, 3, 5)", "(2, 3, 6)"), ALL),
    ("masked_softmax(f(2,3,5), b(1,2,3,5))", ValueError, ("mask", "(1, 2, 3, 5)"), ALL),
    ("weighted_sum(f(2,3,5), f(2,4,6))", ValueError, ("value", "axis S", "5", "4"), ALL),
    ("weighted_sum(f(2,3,5), f(5,6))", ValueError, ("value", "axes", "(5, 6)"), ALL),
    ("weighted_sum(f(2,3,5), f(2,5,6,'float16'))", TypeError, ("value", "float16"), ALL),
    ("attend(f(2,4), f(2,5,4), f(2,5,6))", ValueError, ("query", "axes", "(2, 4)"), ALL),
    ("attend(f(2,3,7), f(2,5,4), f(2,5,6))", ValueError, ("key", "axis d_k", "7", "4"), ALL),
    ("attend(f(2,3,4), f(2,5,4), f(2,8,6))", ValueError, ("value", "axis S", "5", "8"), ALL),
    ("attend(f(2,3,4), f(2,5,4), i(2,5,6))", TypeError, ("value", "int64"), ALL),
    ("attend(f(2,3,4), f(2,5,4), f(2,5,6), b(2,5))", ValueError, ("mask", "(B,1,S)"), ALL),
    ("lean(f(2,3,4), f(2,5,4), f(2,8,6))", ValueError, ("value", "axis S", "5", "8"), ALL),
    ("lean(f(2,3,4), f(2,5,4), f(2,5,6), b(2,5))", ValueError, ("mask", "(B,1,S)"), ALL),
    ("lean(f(2,3,4), f(2,5,4), f(2,5,6), i(2,1,5))", TypeError, ("mask", "int64"), ALL),
    ("general(f(2,3,4), f(2,5,7), f(2,5,6))", ValueError, ("weight", "d_q", "4", "7"), ALL),
    ("general(f(2,3,7,'float64'), f(2,5,4), f(2,5,6))", TypeError, ("key", "float64"), ALL),
    ("padding_mask(f(2), 5)", TypeError, ("lengths", "integers", "float32"), ALL),
    ("padding_mask(b(2), 5)", TypeError, ("lengths", "integers", "bool"), ALL),
    ("padding_mask(i(2,1), 5)", TypeError, ("lengths", "(B,)", "(2, 1)"), ALL),
    ("padding_mask(array([1, 6]), 5)", ValueError, ("lengths", "0..5", "1..6"), ALL),
    ("padding_mask(array([-1, 2]), 5)", ValueError, ("lengths", "0..5", "-1..2"), ALL),
    ("causal_mask(0)", ValueError, ("size", "1 or more", "0"), ALL),
    ("to_key_padding_mask(f(2,1,5))", TypeError, ("mask", "bool", "float32"), PYTORCH),
    ("to_key_padding_mask(b(5,5))", ValueError, ("mask", "(B,1,S)", "(5, 5)"), PYTORCH),
    ("to_attn_mask(i(5,5))", TypeError, ("mask", "bool", "int64"), PYTORCH),
    ("to_attn_mask(b(5))", ValueError, ("mask", "(T,S)", "(5,)"), PYTORCH),
    ("to_value_mask(i(2,1,5))", TypeError, ("mask", "bool", "int64"), KERAS),
    ("to_value_mask(b(5,5))", ValueError, ("mask", "(B,1,S)", "(5, 5)"), KERAS),
    ("model('cosine')", ValueError, ("score", "scaled_dot", "'cosine'"), ALL),
    ("model('dot', bidirectional=True)", ValueError, ("score", "general", "'dot'"), ALL),
    ("bahdanau(readout='softmax')", ValueError, ("readout", "linear", "'softmax'"), ALL),
    ("bahdanau(hidden=5, readout='maxout')", ValueError, ("hidden_size", "even", "5"), NOT_KERAS),
    ("bahdanau(cell='rnm')", ValueError, ("cell", "'rnm'"), ALL),
    ("decoded(truth=b(2,4))", ValueError, ("truth", "axis T", "(2, 3)", "(2, 4)"), ALL),
    ("decoded(truth=b(2))", ValueError, ("truth", "(2, 3)", "(2,)"), ALL),
    ("decoded(truth=i(2,3))", TypeError, ("truth", "bool", "int64"), ALL),
    ("location_scores(f(2,3,7), f(2,5,4), f(4,9))", ValueError, ("weight", "d_q", "7", "4"), ALL),
    ("location_scores(f(2,3,7), i(2,5,4), f(7,9))", TypeError, ("key", "int64"), ALL),
    ("luong(score='cosine')", ValueError, ("score", "location", "'cosine'"), ALL),
    (
        "luong(score='dot', bidirectional=True)",
        *(ValueError, ("score", '"location"', "bidirectional", "'dot'"), ALL),
    ),
    ("luong(attention='local')", ValueError, ("attention", "global", "'local'"), ALL),
    (
        "luong(attention='local-p')",
        *(ValueError, ("attention", "global", "'local-p'", "scratch and pytorch"), KERAS),
    ),
    ("luong(attention='local-m', reach=True)", TypeError, ("reach", "int", "bool"), NOT_KERAS),
    ("luong(score='location', places=0)", ValueError, ("places", "1 or more", "0"), ALL),
    ("LocationScore(7, -1)", ValueError, ("places", "1 or more", "-1"), ALL),
    ("LocationScore(7, 2.5)", TypeError, ("places", "int", "float"), ALL),
    ("luong(score='scaled_dot', bidirectional=True)", ValueError, ("score", "keys"), ALL),
    ("luong(cell='rnm')", ValueError, ("cell", "'rnm'"), ALL),
    ("luong(attention='local-p', reach=0)", ValueError, ("reach", "1 or more", "0"), NOT_KERAS),
    ("LocalAttention(DotScore(), 2.5)", TypeError, ("reach", "int", "float"), NOT_KERAS),
    ("local(places=array([0, 1]))", ValueError, ("places", "(2, 3)", "(2,)"), NOT_KERAS),
    ("local(places=[0, 1, 2])", TypeError, ("places", "list"), NOT_KERAS),
    ("local(b(2,5))", ValueError, ("mask", "(B,1,S)", "(2, 5)"), NOT_KERAS),
    ("predict(f(2,3,6))", ValueError, ("weight", "d_q", "6", "7"), NOT_KERAS),
    ("Attention().backward(f(2,3,6))", RuntimeError, ("forward",), SCRATCH),
    ("backward(f(2,3,4))", ValueError, ("dcontext", "axis d_v", "6", "4"), SCRATCH),
    ("backward(f(2,3,6,'float64'))", TypeError, ("dcontext", "float32", "float64"), SCRATCH),
    ("score_backward(f(2,3,6))", ValueError, ("dscores", "axis S", "5", "6"), SCRATCH),
    ("score_backward(i(2,3,5))", TypeError, ("dscores", "float32", "int64"), SCRATCH),
]
CASES = [
    pytest.param(framework, *bad, id=f"{framework}-{bad[0]}")
    for *bad, frameworks in BAD
    for framework in frameworks
]


class Names:
    """What the calls above may say: the framework's own names and these."""

    def __init__(self, framework: Framework) -> None:
        self.framework = framework

    def __getitem__(self, name: str) -> Any:
        return getattr(self if hasattr(type(self), name) else self.framework, name)

    def f(self, *shape: Any) -> Any:
        dtype = shape[-1] if isinstance(shape[-1], str) else "float32"
        shape = shape[:-1] if isinstance(shape[-1], str) else shape
        return self.framework.array(np.random.default_rng(0).normal(size=shape), dtype)

    def i(self, *shape: int) -> Any:
        return self.framework.array(np.ones(shape, np.int64))

    def b(self, *shape: int) -> Any:
        return self.framework.array(np.ones(shape, bool))

    def attend(self, *arrays: Any, **options: Any) -> Any:
        layer = self.framework.layer(lambda make: make("Attention"), {}, "float32")
        return self.framework.call(layer, *arrays, **options)

    def lean(self, *arrays: Any) -> Any:
        return self.attend(*arrays, need_weights=False)

    def general(self, *arrays: Any) -> Any:
        parameters = {"score.weight": np.zeros((7, 4))}
        layer = self.framework.layer(
            lambda make: make("Attention", make("GeneralScore", 7, 4)), parameters, "float32"
        )
        return self.framework.call(layer, *arrays)

    def model(self, score: str, **options: Any) -> Any:
        return self.framework.AttentionSeq2Seq(8, 9, 3, 4, score=score, **options)

    def additive(self) -> Any:
        sizes = {"query_weight": (7, 8), "key_weight": (4, 8), "vector": (8,)}
        parameters = {name: np.zeros(shape) for name, shape in sizes.items()}
        return self.framework.layer(
            lambda make: make("AdditiveScore", 7, 4, 8), parameters, "float32"
        )

    def bahdanau(self, hidden: int = 4, **options: Any) -> Any:
        return self.framework.BahdanauSeq2Seq(8, 9, 3, hidden, **options)

    def luong(self, **options: Any) -> Any:
        return self.framework.LuongSeq2Seq(8, 9, 3, 4, **options)

    def local(self, *mask: Any, **options: Any) -> Any:
        layer = self.framework.LocalAttention(self.framework.DotScore(), 2)
        arrays = (self.f(2, 3, 4), self.f(2, 5, 4), self.f(2, 5, 6), *mask)
        return self.framework.call(layer, *arrays, **options)

    def predict(self, query: Any) -> Any:
        return self.framework.call(self.framework.PlacePredictor(7, 8), query, self.f(2, 1))

    def array(self, *arguments: Any) -> Any:
        return self.framework.array(np.array(*arguments))

    def decoded(self, truth: Any) -> Any:
        model = self.bahdanau()
        memory, state = model.encode(self.i(2, 5), self.framework.array(np.array([5, 2])))
        return model.decode(self.i(2, 3), memory, state, truth)

    def backward(self, dcontext: np.ndarray) -> Any:
        layer = self.framework.Attention()
        layer.forward(self.f(2, 3, 4), self.f(2, 5, 4), self.f(2, 5, 6))
        return layer.backward(dcontext)

    def score_backward(self, dscores: np.ndarray) -> Any:
        layer = self.framework.GeneralScore(4, 4)
        layer.forward(self.f(2, 3, 4), self.f(2, 5, 4))
        return layer.backward(dscores)


@pytest.mark.parametrize(("framework", "call", "error", "words"), CASES)
def test_wrong_call_is_refused_in_words(framework, call, error, words):
    with pytest.raises(error) as caught:
        eval(call, {}, Names(FRAMEWORKS[framework]))
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, f"{missing} should stand in: {caught.value}"
