"""Attention in blocks: equal to the plain one, forward and backward, and small in memory."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import attention_course.pytorch.blockwise as torch_blockwise
import attention_course.scratch.blockwise as scratch_blockwise
from attention_course.scratch.attention import Attention, DotScore

B, N, T, S, D_K, D_V = 2, 3, 7, 5, 3, 4
FRAMEWORKS = ("scratch", "pytorch")
BLOCKS = (1, 2, 5, 7, 64)  # 5 divides S, 7 divides T, 64 is more than there is
PADDING = np.arange(S) < np.array([5, 2])[:, None, None]  # (B,1,S)
CAUSAL = np.tril(np.ones((T, S), bool))
RANDOM = np.random.default_rng(3).random((B, T, S)) < 0.4
RANDOM[0, [0, 4]], RANDOM[1, 2:] = False, False  # queries that may attend to nothing
LATE = np.broadcast_to(np.arange(S) > 2, (T, S))  # the first block of keys has nothing for anyone
MASKS = {"none": None, "padding": PADDING, "causal": CAUSAL, "random": RANDOM, "late": LATE}
EXACT = 1e-12


class Answer(NamedTuple):
    """Context and gradients, as NumPy arrays."""

    context: np.ndarray
    dquery: np.ndarray
    dkey: np.ndarray
    dvalue: np.ndarray


def inputs(*leading: int, dtype: type = np.float64) -> list[np.ndarray]:
    """query, key, value and dcontext."""
    rng, leading = np.random.default_rng(2), leading or (B,)
    shapes = ((T, D_K), (S, D_K), (S, D_V), (T, D_V))
    return [rng.standard_normal((*leading, *shape)).astype(dtype) for shape in shapes]


def blockwise(
    framework: str, arrays: list[np.ndarray], mask: np.ndarray | None = None, **options: Any
) -> Answer:
    *given, dcontext = arrays
    if framework == "scratch":
        layer = scratch_blockwise.BlockwiseAttention(**options)
        return Answer(layer.forward(*given, mask), *layer.backward(dcontext))
    leaves = [torch.tensor(x, requires_grad=True) for x in given]
    mask = None if mask is None else torch.tensor(mask)
    context = torch_blockwise.blockwise_attention(*leaves, mask, **options)
    context.backward(torch.tensor(dcontext))
    return Answer(context.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves))


def plain(arrays: list[np.ndarray], mask: np.ndarray | None = None, scaled: bool = True) -> Answer:
    *given, dcontext = arrays
    layer = Attention(DotScore(scaled))
    context, _ = layer.forward(*given, mask)
    return Answer(context, *layer.backward(dcontext))


def assert_same(ours: Answer, theirs: Answer, message: str, tolerance: float = EXACT) -> None:
    for name, mine, right in zip(Answer._fields, ours, theirs):
        assert mine.shape == right.shape, f"{name} has shape {mine.shape}: {message}"
        difference = np.abs(mine - right).max()
        assert difference <= tolerance, f"{name} is off by {difference:.1e}: {message}"


# Checks, by name; mutants below must fail one.


def equals_the_plain_one(framework: str) -> None:
    for name, mask in MASKS.items():
        for block in BLOCKS:
            ours = blockwise(framework, inputs(), mask, block=block)
            message = (
                f"blocks of {block}, mask {name}: sums not shrunk when a larger score comes, or "
                "divided block by block, no scale, or another block's mask?"
            )
            assert_same(ours, plain(inputs(), mask), message)


def empty_rows_are_zero(framework: str) -> None:
    """Context and gradients of a query that may attend to nothing, of a key that nobody may see."""
    for block in BLOCKS:
        found = blockwise(framework, inputs(), RANDOM, block=block)
        assert all(np.isfinite(array).all() for array in found), "−∞ − (−∞) is not a number"
        for array in (found.context, found.dquery):
            assert (array[~RANDOM.any(axis=-1)] == 0).all(), "a query of nothing looks somewhere"
        for array in (found.dkey, found.dvalue):
            assert (array[~RANDOM.any(axis=-2)] == 0).all(), "a key that nobody sees has a gradient"


def large_scores_stay_finite(framework: str) -> None:
    """±10,000, and with each block of keys larger ones than before, or smaller ones."""
    for signs in (1, -1):
        query, key, value, dcontext = inputs()
        query[..., 0], key[..., 0] = 100 * D_K**0.5, signs * np.linspace(-100, 100, S)
        arrays = [query, key, value, dcontext]
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            found = blockwise(framework, arrays, block=2)
        assert all(np.isfinite(array).all() for array in found), "exp without the largest score"
        assert_same(found, plain(arrays), "large scores", 1e-10)


def never_more_than_a_block(framework: str) -> None:
    """Of scores, on the way there and back: (t,s) of at most `block` each."""
    owner = {
        "scratch": scratch_blockwise.BlockwiseAttention,
        "pytorch": torch_blockwise,
    }[framework]
    seen, scores = [], owner._scores

    def noted(*arguments: Any) -> Any:
        found = scores(*arguments)
        seen.append(tuple(found.shape[-2:]))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, "_scores", noted)
        blockwise(framework, inputs(), block=2)
    assert seen and max(max(shape) for shape in seen) <= 2, f"scores of more than a block: {seen}"


CHECKS = {
    check.__name__: check
    for check in (
        equals_the_plain_one,
        empty_rows_are_zero,
        large_scores_stay_finite,
        never_more_than_a_block,
    )
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", CHECKS)
def test_property(name: str, framework: str) -> None:
    CHECKS[name](framework)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("mask", ["none", "causal", "per head"])
def test_heads_are_one_more_leading_axis(framework: str, mask: str) -> None:
    arrays = inputs(B, N)
    allowed = {"none": None, "causal": CAUSAL, "per head": np.ones((B, N, T, S), bool)}[mask]
    if mask == "per head":
        allowed[1, 2, :, 3:] = False
    ours = blockwise(framework, arrays, allowed, block=2)
    assert_same(ours, plain(arrays, allowed), "an axis of heads")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_without_the_scale(framework: str) -> None:
    found = blockwise(framework, inputs(), CAUSAL, block=2, scaled=False)
    assert_same(found, plain(inputs(), CAUSAL, scaled=False), "scaled=False")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_dtype_stays_and_nothing_given_is_changed(framework: str) -> None:
    arrays = inputs(dtype=np.float32)
    kept = [array.copy() for array in arrays]
    found = blockwise(framework, arrays, PADDING, block=2)
    assert {array.dtype for array in found} == {np.dtype(np.float32)}
    assert_same(found, plain(inputs(), PADDING), "float32", 1e-5)
    assert all((array == before).all() for array, before in zip(arrays, kept))


def test_gradients_by_finite_differences() -> None:
    """PyTorch's own check of ours; a second derivative, which would be wrong, is refused."""
    leaves = [torch.tensor(x, requires_grad=True) for x in inputs()[:3]]
    mask = torch.tensor(RANDOM)

    def attend(*arrays: torch.Tensor) -> torch.Tensor:
        return torch_blockwise.blockwise_attention(*arrays, mask, block=2)

    assert torch.autograd.gradcheck(attend, leaves)
    (first,) = torch.autograd.grad(attend(*leaves).square().sum(), leaves[0], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


# Mistakes.


def softmax_as_it_comes(
    shrunk: bool = True,
    own_largest: bool = False,
    divided: bool = False,
    scaled: bool = True,
    safe: bool = True,
) -> Callable:
    """A forward pass written otherwise: all queries at once, keys in blocks. Right as it is."""

    def forward(self: Any, query: Any, key: Any, value: Any, mask: Any = None) -> np.ndarray:
        scores = query @ key.swapaxes(-1, -2) * (query.shape[-1] ** -0.5 if scaled else 1)
        scores = scores if mask is None else np.where(mask, scores, -np.inf)
        largest = np.full((*query.shape[:-1], 1), -1e300)  # finite, so that no −∞ meets another
        total, summed = np.zeros_like(largest), np.zeros((*query.shape[:-1], value.shape[-1]))
        for first in range(0, key.shape[-2], self.block):
            block = slice(first, first + self.block)
            highest = scores[..., block].max(axis=-1, keepdims=True)
            now = highest.clip(-1e300) if own_largest else np.maximum(largest, highest)
            now = now if safe else np.zeros_like(now)
            powers = np.exp(scores[..., block] - now)
            part, weight = powers @ value[..., block, :], powers.sum(axis=-1, keepdims=True)
            if divided:
                part, weight = part / np.where(weight == 0, 1, weight), np.sign(weight)
            kept = np.exp(largest - now) if shrunk else 1.0
            total, summed, largest = total * kept + weight, summed * kept + part, now
        total = np.where(total == 0, 1, total)
        self._cache = query, key, value, mask, summed / total, largest + np.log(total)
        return summed / total

    return forward


def _not_a_number_in_empty_rows(self, query, key, value, mask=None):
    """The textbook's exp(score − largest), −∞ − (−∞) where there is no key."""
    scores = query @ key.swapaxes(-1, -2) * query.shape[-1] ** -0.5
    scores = scores if mask is None else np.where(mask, scores, -np.inf)
    with np.errstate(invalid="ignore"):
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    context = powers @ value / powers.sum(axis=-1, keepdims=True)
    self._cache = query, key, value, mask, context, np.zeros((*query.shape[:-1], 1))
    return context


scratch_backward = scratch_blockwise.BlockwiseAttention.backward
torch_scores = torch_blockwise._scores


def _without_the_mean(self, dcontext):
    """dscores = w dw for w (dw − Σ w dw)."""
    *arrays, context, log_total = self._cache
    self._cache = (*arrays, context * 0, log_total)
    return scratch_backward(self, dcontext)


def _of_the_first_block(query, key, mask, scale, rows, columns):
    """The mask's upper left corner, whatever the block."""
    scores = torch_scores(query, key, None, scale, rows, columns)
    if mask is None:
        return scores
    t, s = scores.shape[-2:]
    return scores.masked_fill(~mask[..., :t, :s], -torch.inf)


def _whole_blocks_only(x, block):
    size = max(x.shape[-2] // block, 1) * block
    return (slice(first, first + block) for first in range(0, size, block))


def _all_at_once(x, block):
    return iter([slice(0, x.shape[-2])])


def _without_scale(query, key, mask, scale, rows, columns):
    return torch_scores(query, key, mask, 1.0, rows, columns)


FORWARD = "scratch.blockwise.BlockwiseAttention.forward"
BACKWARD = "scratch.blockwise.BlockwiseAttention.backward"
SCORES, SLICES = "pytorch.blockwise._scores", "pytorch.blockwise._blocks"


class Mutant(NamedTuple):
    """`wrong` in the place of attention_course.`target`: the check `caught_by` then fails."""

    name: str
    target: str
    wrong: Callable[..., Any]
    caught_by: Callable[[str], None]


MUTANTS = [
    Mutant("no shrinking", FORWARD, softmax_as_it_comes(shrunk=False), equals_the_plain_one),
    Mutant("own largest", FORWARD, softmax_as_it_comes(own_largest=True), large_scores_stay_finite),
    Mutant(
        *("own largest, no shrinking", FORWARD),
        *(softmax_as_it_comes(own_largest=True, shrunk=False), equals_the_plain_one),
    ),
    Mutant("each divided", FORWARD, softmax_as_it_comes(divided=True), equals_the_plain_one),
    Mutant("no scale", FORWARD, softmax_as_it_comes(scaled=False), equals_the_plain_one),
    Mutant("no largest", FORWARD, softmax_as_it_comes(safe=False), large_scores_stay_finite),
    Mutant("−∞ − (−∞)", FORWARD, _not_a_number_in_empty_rows, empty_rows_are_zero),
    Mutant("no mean on the way back", BACKWARD, _without_the_mean, equals_the_plain_one),
    Mutant("another block's mask", SCORES, _of_the_first_block, equals_the_plain_one),
    Mutant("no scale in PyTorch", SCORES, _without_scale, equals_the_plain_one),
    Mutant("the last block left out", SLICES, _whole_blocks_only, equals_the_plain_one),
    Mutant("all at once", SLICES, _all_at_once, never_more_than_a_block),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_caught(monkeypatch: pytest.MonkeyPatch, mutant: Mutant) -> None:
    monkeypatch.setattr(f"attention_course.{mutant.target}", mutant.wrong)
    with pytest.raises((AssertionError, FloatingPointError)):
        mutant.caught_by(mutant.target.partition(".")[0])


def test_every_check_catches_some_mutant() -> None:
    assert {*CHECKS.values()} == {mutant.caught_by for mutant in MUTANTS}


def test_a_right_variant_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"attention_course.{FORWARD}", softmax_as_it_comes())
    for check in CHECKS.values():
        if check is not never_more_than_a_block:  # it has them all
            check("scratch")


# Errors.


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(
    ("block", "error", "message"),
    [
        (0, ValueError, "block must be 1 or more, got 0"),
        (-3, ValueError, "block must be 1 or more, got -3"),
        (2.0, TypeError, "block must be an int, got float"),
        (True, TypeError, "block must be an int, got bool"),
    ],
)
def test_bad_blocks_are_refused(framework: str, block: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        blockwise(framework, inputs(), block=block)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(
    ("place", "array", "error", "message"),
    [
        (0, np.ones((B, T, D_K + 1)), ValueError, "axis d_k must have size"),
        (1, np.ones((B, S + 1, D_K)), ValueError, "axis S must have size"),
        (2, np.ones((B + 1, S, D_V)), ValueError, "leading axes must have size"),
        (1, np.ones((B, S, D_K), np.float32), TypeError, "key must have the dtype of query"),
        (4, np.ones((B, S), bool), ValueError, "mask must be broadcastable"),
        (4, np.ones((B, 1, S)), TypeError, "mask must be bool"),
    ],
)
def test_bad_arrays_are_refused(framework, place, array, error, message) -> None:
    given = [*inputs(), None]
    given[place] = array
    with pytest.raises(error, match=message):
        blockwise(framework, given[:4], given[4])


def test_backward_needs_a_forward_and_its_shape() -> None:
    layer = scratch_blockwise.BlockwiseAttention()
    with pytest.raises(RuntimeError, match="needs a forward call before it"):
        layer.backward(np.ones((B, T, D_V)))
    layer.forward(*inputs()[:3])
    with pytest.raises(ValueError, match="dcontext"):
        layer.backward(np.ones((B, T, D_V + 1)))


# Memory: 16,384 tokens, whose scores alone would be 1 GiB in float32.

MEASURE = """
import numpy as np

def tokens(size):
    return np.random.default_rng(0).standard_normal((3, 1, size, 64), dtype=np.float32)

def peak():  # in MiB; not `ru_maxrss`, which a process inherits from the one that started it
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

def growth(attend, size):
    arrays, before = tokens(size), peak()
    attend(*arrays)
    return peak() - before

{attend}
growth(attend, 1024)  # buffers of libraries
print(growth(attend, 16_384), growth(plain, 4096))
"""
ATTEND = {
    "scratch": """
from attention_course.scratch.attention import scaled_dot_scores
from attention_course.scratch.blockwise import BlockwiseAttention
attend = BlockwiseAttention().forward

def plain(query, key, value):
    return scaled_dot_scores(query, key) @ value
""",
    "pytorch": """
import torch
from attention_course.pytorch.blockwise import blockwise_attention

def attend(*arrays):
    return blockwise_attention(*map(torch.from_numpy, arrays))

def plain(*arrays):
    query, key, value = map(torch.from_numpy, arrays)
    return query @ key.mT @ value
""",
}


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read where Linux tells it")
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_memory_grows_by_less_than_300_mib_at_16384_tokens(framework: str) -> None:
    """And the measure sees the 64 MiB that the scores of 4,096 tokens take."""
    program = MEASURE.format(attend=ATTEND[framework])
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    grown, seen = map(float, run.stdout.split())
    assert grown <= 300 < 16_384**2 * 4 / 2**20, f"peak memory grew by {grown:.0f} MiB"
    assert seen > 40, f"of 64 MiB the measure saw {seen:.0f}"
