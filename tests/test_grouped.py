"""Grouped-query attention: against a plain reference, PyTorch's own, multi-head attention, and
mistakes that must be caught."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attention_course.pytorch import grouped
from attention_course.pytorch.grouped import GroupedQueryAttention, pool_heads
from attention_course.pytorch.multihead import MultiHeadAttention, merge_heads, split_heads
from attention_course.pytorch.weights import from_arrays, to_arrays
from attention_course.scratch.functional import softmax

B, T, S, D, N = 3, 5, 6, 12, 4  # head size 3; no two axes are equal by chance
SEEN = 1e-6
PADDING = torch.arange(S) < torch.tensor([6, 2, 4])[:, None, None]  # (B,1,S)
CAUSAL = torch.ones(T, S, dtype=torch.bool).tril()
PER_HEAD = torch.rand(B, N, T, S, generator=torch.Generator().manual_seed(5)) < 0.7
PER_HEAD[..., 0] = True
MASKS = {
    "none": None,
    "padding": PADDING,
    "causal": CAUSAL,
    "both": PADDING & CAUSAL,
    "per head": PER_HEAD,
}


def inputs(seed: int = 0) -> list[Tensor]:
    rng = np.random.default_rng(seed)
    return [torch.tensor(rng.standard_normal((B, size, D))) for size in (T, S, S)]


def layer(groups: int = 2) -> GroupedQueryAttention:
    """In float64, with asymmetric random weights, and biases that are not small."""
    rng, made = np.random.default_rng(1), GroupedQueryAttention(D, N, groups).double()
    shapes = {name: array.shape for name, array in to_arrays(made).items()}
    from_arrays(made, {name: rng.standard_normal(shape) / 2 for name, shape in shapes.items()})
    return made.requires_grad_(False)


def reference(
    arrays: dict, groups: int, query, key, value, mask=None
) -> tuple[np.ndarray, np.ndarray]:
    """One query head after the other, each with the columns of its own key head."""
    query, key, value = (x.numpy() for x in (query, key, value))
    size, output, seen = D // N, np.tile(arrays["out.bias"], (B, T, 1)), []
    mask = np.ones((T, S), bool) if mask is None else mask.numpy()
    mask = np.broadcast_to(mask[:, None] if mask.ndim == 3 else mask, (B, N, T, S))
    for n in range(N):
        g = n // (N // groups)
        mine, shared = (slice(i * size, (i + 1) * size) for i in (n, g))
        q, k, v = (
            x @ arrays[f"{name}.weight"][:, part] + arrays[f"{name}.bias"][part]
            for name, x, part in (
                ("query", query, mine),
                ("key", key, shared),
                ("value", value, shared),
            )
        )
        scores = np.einsum("btd,bsd->bts", q, k) / np.sqrt(size)
        row = softmax(np.where(mask[:, n], scores, -1e30)) * mask[:, n]
        output = output + np.einsum("bts,bsd->btd", row, v) @ arrays["out.weight"][mine]
        seen.append(row)
    return output, np.stack(seen, axis=1)


# Checks, by name; mutants below must fail one.


def equals_the_reference() -> None:
    for groups in (1, 2, 4):
        made = layer(groups)
        for name, mask in MASKS.items():
            right = reference(to_arrays(made), groups, *inputs(), mask)
            for part, mine, theirs in zip(("output", "weights"), made(*inputs(), mask), right):
                assert mine.shape == theirs.shape
                assert np.allclose(mine, theirs, rtol=0, atol=1e-10), (
                    f"{part} is not that of one head after the other, {groups} groups, mask {name}"
                )
            without, nothing = made(*inputs(), mask, need_weights=False)
            assert nothing is None and np.allclose(without, right[0], rtol=0, atol=1e-10)


def equals_pytorch_s_own() -> None:
    for groups in (1, 2, 4):
        made, (query, key, value) = layer(groups), inputs()
        heads = split_heads(made.query(query), N), *made.project(key, value)
        for name in ("none", "causal", "per head"):
            theirs = F.scaled_dot_product_attention(*heads, attn_mask=MASKS[name], enable_gqa=True)
            ours, _ = made(query, key, value, MASKS[name])
            assert torch.allclose(ours, made.out(merge_heads(theirs)), rtol=0, atol=1e-12), (
                f"not what PyTorch says with enable_gqa, {groups} groups, mask {name}"
            )


def a_key_head_serves_its_neighbours() -> None:
    """Another key head 2 of 2 moves the weights of query heads 3 and 4, and of no other."""
    made = layer(2)
    _, base = made(*inputs())
    made.key.weight[D // N :] *= 2
    _, moved = made(*inputs())
    rows = (moved - base).abs().amax(dim=(0, 2, 3)) > SEEN
    assert rows.tolist() == [False, False, True, True], "the wrong query heads read a key head"


def padding_changes_nothing() -> None:
    made, (query, key, value) = layer(), inputs()
    base, seen = made(query, key, value, PADDING)
    wide = [F.pad(x, (0, 0, 0, 4), value=7.0) for x in (key, value)]
    found, rows = made(query, *wide, F.pad(PADDING, (0, 4)))
    assert torch.allclose(found, base, rtol=0, atol=1e-12), "padding moves the output"
    assert (rows[..., S:] == 0).all() and torch.allclose(rows[..., :S], seen, atol=1e-12)


def the_future_changes_nothing() -> None:
    made, (query, key, value) = layer(), inputs()
    base, _ = made(query, key, value, CAUSAL)
    for j in range(S):
        later = value.clone()
        later[:, j] += 1
        moved = (made(query, key, later, CAUSAL)[0] - base).abs().amax(dim=(0, 2)) > SEEN
        assert moved.tolist() == CAUSAL[:, j].tolist(), "a row sees what its mask forbids"


def an_empty_row_gives_the_output_bias() -> None:
    made, mask = layer(), torch.ones(B, T, S, dtype=torch.bool)
    mask[1, 2] = False
    for need_weights in (True, False):
        found, rows = made(*inputs(), mask, need_weights)
        assert torch.allclose(found[1, 2], made.out.bias, rtol=0, atol=1e-12)
        assert found.isfinite().all() and (rows is None or (rows[1, :, 2] == 0).all())


CHECKS = {
    check.__name__: check
    for check in (
        equals_the_reference,
        equals_pytorch_s_own,
        a_key_head_serves_its_neighbours,
        padding_changes_nothing,
        the_future_changes_nothing,
        an_empty_row_gives_the_output_bias,
    )
}


@pytest.mark.parametrize("name", CHECKS)
def test_property(name: str) -> None:
    CHECKS[name]()


def test_as_many_groups_as_heads_is_multi_head_attention() -> None:
    ours, theirs = GroupedQueryAttention(D, N, N, seed=3), MultiHeadAttention(D, N, seed=3)
    given = [x.float() for x in inputs()]
    for name, array in to_arrays(theirs).items():
        assert (to_arrays(ours)[name] == array).all(), "the same seed, other weights"
    for mask in MASKS.values():
        for one, other in zip(ours(*given, mask), theirs(*given, mask)):
            assert torch.allclose(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_number_of_parameters(groups: int) -> None:
    shared = groups * D // N
    count = sum(p.numel() for p in GroupedQueryAttention(D, N, groups).parameters())
    assert count == 2 * D * (D + 1) + 2 * shared * (D + 1)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_the_cache_has_as_many_heads_as_groups_and_grows_step_by_step(groups: int) -> None:
    made, (query, key, value) = layer(groups), inputs()
    keys, values = made.project(key, value)
    assert keys.shape == values.shape == (B, groups, S, D // N)
    at_once, _ = made.attend(query, keys, values, CAUSAL)
    for t in range(T):
        step, _ = made.attend(query[:, t : t + 1], keys[:, :, : t + 1], values[:, :, : t + 1])
        assert torch.allclose(step[:, 0], at_once[:, t], rtol=0, atol=1e-12)


def test_weights_go_there_and_back() -> None:
    arrays = to_arrays(layer())
    assert arrays["key.weight"].shape == (D, 2 * D // N) and arrays["query.weight"].shape == (D, D)
    again = GroupedQueryAttention(D, N, 2).double()
    from_arrays(again, arrays)
    assert all((to_arrays(again)[name] == array).all() for name, array in arrays.items())


def test_gradients_are_right_and_finite_with_an_empty_row() -> None:
    made, mask = layer().requires_grad_(), torch.ones(B, T, S, dtype=torch.bool)
    mask[1, 2] = False
    given = [x.requires_grad_() for x in inputs()]
    assert torch.autograd.gradcheck(lambda *x: made(*x, mask)[0], given)


# Pooling a trained layer.


def test_pooling_takes_the_mean_of_each_group() -> None:
    old = MultiHeadAttention(D, N, seed=2)
    new, size = to_arrays(pool_heads(old, 2)), D // N
    for name in ("key.weight", "key.bias", "value.weight", "value.bias"):
        heads = np.split(to_arrays(old)[name], N, axis=-1)
        right = np.concatenate([(heads[0] + heads[1]) / 2, (heads[2] + heads[3]) / 2], axis=-1)
        assert right.shape[-1] == 2 * size and np.allclose(new[name], right, atol=1e-7)
    for name in ("query.weight", "query.bias", "out.weight", "out.bias"):
        assert (new[name] == to_arrays(old)[name]).all()


def test_pooling_heads_that_are_equal_in_each_group_changes_nothing() -> None:
    old = MultiHeadAttention(D, N).double()
    with torch.no_grad():
        for part in (old.key, old.value):
            for parameter in part.parameters():
                by_head = parameter.unflatten(0, (N, -1))
                by_head[1], by_head[3] = by_head[0], by_head[2]
    for one, other in zip(pool_heads(old, 2)(*inputs()), old(*inputs())):
        assert torch.allclose(one, other, rtol=0, atol=1e-12)


# Mistakes.


def _by_copies(copy: Callable[[Tensor, int], Tensor]) -> Callable:
    """`attend` by copies of keys and values, one for each query head, as it is often written."""

    def attend(self, query, keys, values, mask=None, need_weights=True):
        queries, times = split_heads(self.query(query), N), N // self.groups
        mask = mask[:, None] if mask is not None and mask.dim() == 3 else mask
        given = queries, copy(keys, times), copy(values, times), mask, need_weights
        context, weights = self.attention(*given)
        return self.out(merge_heads(context)), weights

    return attend


REPEAT = _by_copies(lambda x, times: x.repeat(1, times, 1, 1))
INTERLEAVE = _by_copies(lambda x, times: x.repeat_interleave(times, dim=1))
_project = GroupedQueryAttention.project


def _modulo(x, groups):
    """Head n reads key head n % G."""
    return x.unflatten(1, (-1, groups)).transpose(1, 2).flatten(2, 3)


def _back_from_modulo(x, heads):
    return x.unflatten(2, (heads // x.shape[1], -1)).transpose(1, 2).flatten(1, 2)


def _averaged(self, key, value):
    """One mean in the place of G heads."""
    return tuple(x.mean(dim=1, keepdim=True).expand_as(x) for x in _project(self, key, value))


class Mutant(NamedTuple):
    wrong: dict[str, Callable]
    caught_by: str


ATTEND, SCALE = "GroupedQueryAttention.attend", "DotScore.forward"
MUTANTS = {
    "n % G": Mutant(
        {"to_groups": _modulo, "to_heads": _back_from_modulo}, "a_key_head_serves_its_neighbours"
    ),
    "n % G, against PyTorch": Mutant(
        {"to_groups": _modulo, "to_heads": _back_from_modulo}, "equals_pytorch_s_own"
    ),
    "repeat": Mutant({ATTEND: REPEAT}, "a_key_head_serves_its_neighbours"),
    "repeat, against the reference": Mutant({ATTEND: REPEAT}, "equals_the_reference"),
    "heads not put back": Mutant(
        {"to_heads": lambda x, heads: x.reshape(B, T, heads, -1).transpose(1, 2)},
        "equals_the_reference",
    ),
    "scale of the model": Mutant(
        {SCALE: lambda self, query, key: query @ key.mT * D**-0.5}, "equals_the_reference"
    ),
    "no scale": Mutant({SCALE: lambda self, query, key: query @ key.mT}, "equals_pytorch_s_own"),
    "heads averaged": Mutant({"GroupedQueryAttention.project": _averaged}, "equals_the_reference"),
    "mask lost": Mutant(
        {"_for_heads": lambda mask, scores: torch.ones(scores, dtype=torch.bool)},
        "the_future_changes_nothing",
    ),
    "mask upside down": Mutant(
        {
            "_for_heads": lambda mask, scores: (
                ~(mask[:, None] if mask.dim() == 3 else mask).expand(scores)
            )
        },
        "padding_changes_nothing",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for target, wrong in MUTANTS[name].wrong.items():
        monkeypatch.setattr(f"{grouped.__name__}.{target}", wrong)
    with pytest.raises(AssertionError):
        CHECKS[MUTANTS[name].caught_by]()


def test_copies_in_the_right_order_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GroupedQueryAttention, "attend", INTERLEAVE)
    for check in CHECKS.values():
        check()


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_copies_in_the_wrong_order_pass_with_one_group_and_with_all(groups: int) -> None:
    """Why a test with multi-query attention alone is none of grouped-query attention."""
    made = layer(groups)
    keys, values = made.project(*inputs()[1:])
    wrong, _ = REPEAT(made, inputs()[0], keys, values)
    assert torch.allclose(wrong, made(*inputs())[0], rtol=0, atol=1e-12) == (groups != 2)


# Errors.


@pytest.mark.parametrize(
    ("heads", "groups", "error", "message"),
    [
        (4, 3, ValueError, "groups must divide the heads 4, got 3"),
        (4, 8, ValueError, "groups must divide the heads 4, got 8"),
        (4, 0, ValueError, "groups must be 1 or more, got 0"),
        (4, 2.0, TypeError, "groups must be an int, got float"),
        (5, 1, ValueError, "heads must divide the model size 12, got 5"),
    ],
)
def test_bad_groups_are_refused(heads, groups, error, message) -> None:
    with pytest.raises(error, match=message):
        GroupedQueryAttention(D, heads, groups)


def test_bad_groups_are_refused_when_pooling() -> None:
    with pytest.raises(ValueError, match="groups must divide the heads 4, got 3"):
        pool_heads(MultiHeadAttention(D, N), 3)


@pytest.mark.parametrize(
    ("place", "shape", "message"),
    [
        (0, (B, T, D + 1), "axis D must have size"),
        (1, (B, S + 1, D), "axis S must have size"),
        (2, (B + 1, S, D), "axis B must have size"),
        (1, (S, D), "key must have 3 axes"),
    ],
)
def test_bad_shapes_are_refused(place, shape, message) -> None:
    given = inputs()
    given[place] = torch.ones(shape, dtype=torch.float64)
    with pytest.raises(ValueError, match=message):
        layer()(*given)


def test_bad_masks_are_refused() -> None:
    with pytest.raises(ValueError, match="mask must be broadcastable"):
        layer()(*inputs(), mask=torch.ones(B, S, dtype=torch.bool))
    with pytest.raises(TypeError, match="mask must be bool"):
        layer()(*inputs(), mask=torch.ones(B, 1, S))
