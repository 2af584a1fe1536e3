"""`AttentionPooling`: additive attention whose query is the same for every input.

What holds for attention in general is in `properties`; pooling has values only, and no T.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from frameworks import FRAMEWORKS, Arrays, Framework
from properties import EXACT, GRADIENT, SEEN, assert_all_equal, assert_equal

B, S, D, A = 3, 5, 4, 7
LENGTHS = np.array([3, 5, 1])
MASK = np.arange(S) < LENGTHS[:, None, None]
SHAPES = {"key_weight": (D, A), "bias": (A,), "vector": (A,)}
EMPTY = MASK & (np.arange(B) != 1)[:, None, None]  # the second sentence has nothing to look at


def parameters() -> Arrays:
    rng = np.random.default_rng(21)
    return {name: rng.normal(0.1, 0.7, shape) for name, shape in SHAPES.items()}


def values() -> np.ndarray:
    return np.random.default_rng(22).normal(0.2, 1.0, (B, S, D))


def dcontext() -> np.ndarray:
    return np.random.default_rng(23).normal(0.1, 1.0, (B, D))


class Pooling:
    """The layer in one framework."""

    def __init__(self, code: Framework, changes: Arrays | None = None, dtype="float64") -> None:
        def build(make: Callable[..., Any]) -> Any:
            return make("AttentionPooling", D, A)

        self.code, self.dtype = code, dtype
        self.layer = code.layer(build, parameters() | (changes or {}), dtype)

    def __call__(self, value: np.ndarray, mask: np.ndarray | None = MASK) -> tuple[np.ndarray, ...]:
        """context (B,D), weights (B,S)."""
        answer = self.code.call(self.layer, *self._arrays(value, mask))
        return tuple(self.code.numpy(array).copy() for array in answer)

    def gradients(self, value: np.ndarray, mask: np.ndarray = MASK) -> Arrays:
        array, mask = self._arrays(value, mask)
        gradient = self.code.array(dcontext(), self.dtype)
        return self.code.gradients_of(self.layer, {"value": array}, mask, gradient)

    def _arrays(self, value: np.ndarray, mask: np.ndarray | None) -> list[Any]:
        """Without None: Keras would put a mask of its own into that place."""
        masks = [] if mask is None else [self.code.array(mask)]
        return [self.code.array(value, self.dtype), *masks]


@pytest.fixture(params=FRAMEWORKS)
def pooling(request) -> Pooling:
    return Pooling(FRAMEWORKS[request.param])


def reference(value: np.ndarray, mask: np.ndarray, p: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Equations 5–7 of Yang et al. 2016, one number after the other."""
    context, weights = np.zeros((B, D)), np.zeros((B, S))
    for b, (rows, allowed) in enumerate(zip(value, mask[:, 0])):
        hidden = np.tanh(rows @ p["key_weight"] + p["bias"])
        powers = {s: np.exp(hidden[s] @ p["vector"]) for s in np.flatnonzero(allowed)}
        for s, power in powers.items():
            weights[b, s] = power / sum(powers.values())
            context[b] += weights[b, s] * rows[s]
    return context, weights


@pytest.mark.parametrize("mask", [MASK, EMPTY], ids=["padding", "an empty row"])
def test_it_equals_the_reference(pooling, mask):
    for ours, theirs in zip(pooling(values(), mask), reference(values(), mask, parameters())):
        assert_equal(ours, theirs, EXACT, "differs from the equations")


def test_names_and_shapes_are_those_of_all_frameworks(pooling):
    arrays = pooling.code.weights.to_arrays(pooling.layer)
    assert_all_equal(arrays, parameters(), 0, "weights did not come back as they went in")


@pytest.mark.parametrize("mask", [MASK, EMPTY], ids=["padding", "an empty row"])
def test_gradients_equal_finite_differences(pooling, mask):
    arrays, step = {"value": values()} | parameters(), 1e-5

    def slope(name: str, place: tuple[int, ...]) -> float:
        losses = []
        for sign in (1, -1):
            moved = {key: array.copy() for key, array in arrays.items()}
            moved[name][place] += sign * step
            losses.append((reference(moved.pop("value"), mask, moved)[0] * dcontext()).sum())
        return (losses[0] - losses[1]) / (2 * step)

    expected = {
        name: np.reshape([slope(name, place) for place in np.ndindex(array.shape)], array.shape)
        for name, array in arrays.items()
    }
    assert_all_equal(pooling.gradients(values(), mask), expected, GRADIENT, "not the slope")


def test_it_is_additive_attention_with_a_query_that_is_always_the_same(pooling):
    """W of one row, the bias; a query of one number, 1; the values are their own keys."""
    code, p = pooling.code, parameters()
    given = {
        "score.query_weight": p["bias"][None],
        "score.key_weight": p["key_weight"],
        "score.vector": p["vector"],
    }
    attention = code.layer(
        lambda make: make("Attention", make("AdditiveScore", 1, D, A)), given, "float64"
    )
    arrays = map(code.array, (np.ones((B, 1, 1)), values(), values(), MASK))
    answer = [code.numpy(x)[:, 0] for x in code.call(attention, *arrays)]
    for ours, theirs in zip(pooling(values()), answer, strict=True):
        assert_equal(ours, theirs, EXACT, "differs from additive attention")


def test_weights_sum_to_one_and_are_zero_at_the_padding(pooling):
    _, weights = pooling(values())
    assert (weights[~MASK[:, 0]] == 0).all()
    assert_equal(weights.sum(axis=-1), np.ones(B), EXACT, "weights must sum to 1")
    assert (weights[0, :3] > 0).all() and weights[0, :3].std() > SEEN


def test_the_context_lies_in_the_hull_of_the_real_values(pooling):
    value = values()
    context, _ = pooling(value)
    directions = np.concatenate([np.eye(D), np.random.default_rng(24).normal(size=(32, D))])
    for b, length in enumerate(LENGTHS):
        reached, real = directions @ context[b], directions @ value[b, :length].T
        assert (real.min(axis=1) - EXACT <= reached).all()
        assert (reached <= real.max(axis=1) + EXACT).all()


def test_padding_changes_nothing(pooling):
    """Neither what stands there nor how much of it, gradients included."""
    padding = np.arange(S + 2) >= LENGTHS[:, None]
    longer = np.concatenate([values(), np.zeros((B, 2, D))], axis=1)
    longer[padding] = np.random.default_rng(25).normal(0, 9, (padding.sum(), D))
    mask = ~padding[:, None]
    before, after = pooling(values()), pooling(longer, mask)
    assert_equal(after[0], before[0], EXACT, "context")
    assert_equal(after[1][:, :S], before[1], EXACT, "weights")
    before, after = pooling.gradients(values()), pooling.gradients(longer, mask)
    assert not after["value"][padding].any(), "the padding must get gradient 0"
    after["value"] = after["value"][:, :S]
    assert_all_equal(after, before, EXACT, "gradients")


def test_the_order_of_the_values_changes_nothing(pooling):
    order = np.array([4, 2, 0, 3, 1])
    before, after = pooling(values()), pooling(values()[:, order], MASK[..., order])
    assert_equal(after[0], before[0], EXACT, "the context depends on places")
    assert_equal(after[1], before[1][:, order], EXACT, "the weights did not move along")


def test_no_mask_is_a_mask_that_allows_everything(pooling):
    everything = np.ones((B, 1, S), bool)
    for mask in (everything, everything[0], everything[0, 0]):
        for ours, theirs in zip(pooling(values(), mask), pooling(values(), None), strict=True):
            assert_equal(ours, theirs, EXACT, f"mask of shape {mask.shape}")


def test_an_empty_row_gives_zeros_and_moves_nothing(pooling):
    context, weights = pooling(values(), EMPTY)
    assert not context[1].any() and not weights[1].any()
    gradients = pooling.gradients(values(), EMPTY)
    assert not gradients["value"][1].any()
    nothing = pooling.gradients(values(), np.zeros((B, 1, S), bool))
    assert all(np.isfinite(x).all() for x in gradients.values())
    assert not any(x.any() for x in nothing.values())


def test_sentences_do_not_mix(pooling):
    changed = values()
    changed[0] += 2
    for before, after in zip(pooling(values()), pooling(changed), strict=True):
        assert_equal(after[1:], before[1:], 0, "sentences of one batch mix")


def test_only_the_last_call_counts_and_nothing_is_changed(pooling):
    value = values()
    expected = pooling.gradients(value)
    pooling.gradients(value + 1)
    assert_all_equal(pooling.gradients(value), expected, 0, "an earlier call left something behind")
    assert (value == values()).all()
    test_names_and_shapes_are_those_of_all_frameworks(pooling)


def test_the_bias_is_the_query(pooling):
    """Another bias looks elsewhere; without v all are alike."""
    other = Pooling(pooling.code, {"bias": parameters()["bias"][::-1].copy()})
    assert np.abs(other(values())[1][:2] - pooling(values())[1][:2]).max() > SEEN
    blind = Pooling(pooling.code, {"vector": np.zeros(A)})
    assert_equal(blind(values())[1], MASK[:, 0] / LENGTHS[:, None], EXACT, "not the plain mean")


def test_half_precision_is_finite(pooling):
    for dtype in pooling.code.half_precisions:
        half = Pooling(pooling.code, dtype=dtype)
        for factor in (1, 100):
            answer, gradients = half(values() * factor, EMPTY), half.gradients(values() * factor)
            for array in (*answer, *gradients.values()):
                assert np.isfinite(array.astype(np.float64)).all(), dtype


@pytest.mark.parametrize(
    ("value", "mask", "error", "words"),
    [
        (np.zeros((B, S)), None, ValueError, ("value", "axes", "(3, 5)")),
        (np.zeros((B, S, D + 1)), None, ValueError, ("key_weight", "axis D", "5", "4")),
        (np.zeros((B, S, D), np.int64), None, TypeError, ("value", "floating", "int64")),
        (np.zeros((B, S, D)), np.ones((B, S), bool), ValueError, ("mask", "(B,1,S)")),
        (np.zeros((B, S, D)), np.ones((B, 1, S)), TypeError, ("mask", "bool", "float64")),
    ],
)
def test_wrong_calls_are_refused_in_words(pooling, value, mask, error, words):
    arrays = [pooling.code.array(array) for array in (value, mask) if array is not None]
    with pytest.raises(error) as caught:
        pooling.code.call(pooling.layer, *arrays)
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, f"{missing} should stand in: {caught.value}"
