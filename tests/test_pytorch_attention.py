"""What only PyTorch has: attention without weights, by the fused kernel, against the one with them;
scores that no kernel computes; dropout; second derivatives.

Fused and explicit are equal in value and in every gradient, also where a query may attend to
nothing. All other properties of attention are in `contract/`.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attention_course.pytorch.attention import (
    AdditiveScore,
    Attention,
    AttentionPooling,
    DotScore,
    GeneralScore,
)
from attention_course.pytorch.bahdanau import BahdanauSeq2Seq
from attention_course.pytorch.losses import masked_cross_entropy
from attention_course.pytorch.masks import causal_mask, padding_mask
from attention_course.pytorch.seq2seq import AttentionSeq2Seq
from attention_course.pytorch.weights import to_arrays

SCORES = {
    "dot": lambda: DotScore(),
    "scaled": lambda: DotScore(scaled=True),
    "general": lambda: GeneralScore(6, 4),
}
TOLERANCES = {torch.float64: 1e-14, torch.float32: 1e-6, torch.float16: 5e-3, torch.bfloat16: 4e-2}


def masks(t: int, s: int) -> dict[str, torch.Tensor | None]:
    """By kind; all but the first three have empty rows, the last ones nothing else."""
    draw = torch.Generator().manual_seed(0)
    anything = torch.rand(2, t, s, generator=draw) < 0.5
    anything[1, 1] = False
    one_for_all = torch.rand(t, s, generator=draw) < 0.5
    one_for_all[0] = False
    return {
        "none": None,
        "padding": padding_mask(torch.tensor([s, 2]), s),
        "causal and padding": causal_mask(s)[-t:] & padding_mask(torch.tensor([s, 2]), s),
        "padding throughout": padding_mask(torch.tensor([s - 1, 0]), s),
        "(T,S)": one_for_all,
        "(B,T,S)": anything,
        "()": torch.tensor(False),
    }


def run(
    score: nn.Module, mask: torch.Tensor | None, dtype: torch.dtype, need_weights: bool, heads=()
) -> list[torch.Tensor]:
    """Context and all gradients for B = 2, T = 3, S = 5."""
    draw = torch.Generator().manual_seed(1)
    d_q = 6 if isinstance(score, GeneralScore) else 4
    arrays = [
        torch.randn(2, *heads, *size, generator=draw, dtype=torch.float64)
        .to(dtype)
        .requires_grad_()
        for size in ((3, d_q), (5, 4), (5, 7))
    ]
    score.to(dtype).zero_grad()
    context, weights = Attention(score)(*arrays, mask, need_weights)
    assert (weights is None) != need_weights
    dcontext = torch.randn(context.shape, generator=draw, dtype=torch.float64).to(dtype)
    context.backward(dcontext)
    grads = [array.grad for array in (*arrays, *score.parameters())]
    return [context.detach(), *grads]


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("kind", masks(3, 5))
@pytest.mark.parametrize("score", SCORES)
def test_fused_is_explicit(score, kind, dtype):
    torch.manual_seed(2)
    score, mask = SCORES[score](), masks(3, 5)[kind]
    pairs = zip(*(run(score, mask, dtype, need) for need in (True, False)), strict=True)
    for explicit, fused in pairs:
        assert fused.dtype == dtype and fused.isfinite().all()
        torch.testing.assert_close(fused, explicit, rtol=0, atol=TOLERANCES[dtype])
    if mask is not None:
        context, dquery, *_ = run(score, mask, dtype, False)
        empty = ~mask.expand(2, 3, 5).any(dim=-1)
        assert not context[empty].any() and not dquery[empty].any()
        assert empty.any() == (kind not in ("padding", "causal and padding"))


@pytest.mark.parametrize("kind", ["none", "padding throughout", "(T,S)", "(B,T,S)"])
def test_fused_is_explicit_with_an_axis_for_heads(kind):
    mask = masks(3, 5)[kind]
    mask = mask[:, None] if kind in ("padding throughout", "(B,T,S)") else mask
    runs = (run(DotScore(), mask, torch.float64, need, heads=(3,)) for need in (True, False))
    for explicit, fused in zip(*runs, strict=True):
        torch.testing.assert_close(fused, explicit, rtol=0, atol=1e-14)


def test_fused_is_explicit_over_many_blocks_of_keys():
    """The kernel takes the keys block by block; here the first blocks of a row are forbidden."""
    draw = torch.Generator().manual_seed(3)
    query, key, value = (torch.randn(2, n, 16, generator=draw) for n in (70, 1500, 1500))
    mask = torch.ones(2, 70, 1500, dtype=torch.bool)
    mask[0, :, :1100] = mask[1, :, 30:] = mask[0, 5] = mask[1, 30:] = False
    results = []
    for need_weights in (True, False):
        arrays = [array.clone().requires_grad_() for array in (query, key, value)]
        context, _ = Attention(DotScore(scaled=True))(*arrays, mask, need_weights)
        context.square().sum().backward()
        results.append([context.detach(), *(array.grad for array in arrays)])
    for explicit, fused in zip(*results, strict=True):
        torch.testing.assert_close(fused, explicit, rtol=1e-5, atol=1e-5)


def test_the_kernel_is_used_where_nobody_asks_for_weights_and_only_there(monkeypatch):
    calls = []
    kernel = F.scaled_dot_product_attention
    monkeypatch.setattr(
        F, "scaled_dot_product_attention", lambda *a, **k: calls.append(a) or kernel(*a, **k)
    )
    arrays = [torch.ones(2, n, 4) for n in (3, 5, 5)]
    Attention()(*arrays)
    assert not calls
    Attention()(*arrays, need_weights=False)
    assert len(calls) == 1 and all(array.dim() == 4 for array in calls[0][:3])


def test_a_score_that_is_no_dot_product_needs_no_kernel():
    class Distance(nn.Module):
        def forward(self, query, key):
            return -torch.cdist(query, key)

    torch.manual_seed(0)
    arrays = [torch.randn(2, n, 4) for n in (3, 5, 5)]
    context, weights = Attention(Distance())(*arrays, need_weights=False)
    assert weights is None
    torch.testing.assert_close(context, Attention(Distance())(*arrays)[0])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"query": torch.zeros(2, 3, 5)}, ValueError, "key: axis d_k must have size 5 as in query"),
        ({"value": torch.zeros(2, 4, 7)}, ValueError, "value: axis S must have size 5 as in key"),
        ({"key": torch.zeros(2, 5, 4).half()}, TypeError, "key must have the dtype of query"),
        ({"value": np.zeros((2, 5, 7))}, TypeError, "value must be a Tensor, got ndarray"),
        ({"mask": torch.ones(2, 3, 5)}, TypeError, "mask must be bool with True = may attend"),
        ({"mask": torch.ones(2, 5) > 0}, ValueError, "a padding mask is .B,1,S., see padding_mask"),
        ({"mask": torch.ones(1, 2, 3, 5) > 0}, ValueError, "mask must be broadcastable"),
    ],
)
def test_without_weights_mistakes_are_named_as_well(change, error, message):
    arguments = {"query": torch.zeros(2, 3, 4), "key": torch.zeros(2, 5, 4)}
    arguments |= {"value": torch.zeros(2, 5, 7), "mask": None}
    with pytest.raises(error, match=message):
        Attention()(**arguments | change, need_weights=False)


def test_a_general_score_names_a_query_of_the_wrong_size():
    query, key = torch.zeros(2, 3, 5), torch.zeros(2, 5, 4)
    for need_weights in (True, False):
        with pytest.raises(
            ValueError, match="weight: axis d_q must have size 5 as in query, got 6"
        ):
            Attention(GeneralScore(6, 4))(query, key, key, need_weights=need_weights)


# The additive score, which is no dot product.


def test_an_additive_score_needs_no_kernel(monkeypatch):
    monkeypatch.delattr(F, "scaled_dot_product_attention")
    torch.manual_seed(0)
    layer = Attention(AdditiveScore(6, 4, 8))
    arrays = [torch.randn(2, n, d) for n, d in ((3, 6), (5, 4), (5, 7))]
    mask = masks(3, 5)["(B,T,S)"]
    context, weights = layer(*arrays, mask, need_weights=False)
    assert weights is None
    torch.testing.assert_close(context, layer(*arrays, mask)[0], rtol=0, atol=0)


def test_gradients_of_the_additive_score_by_gradcheck():
    """First and second derivatives, of query, key and all three parameters."""
    torch.manual_seed(1)
    shapes = ((2, 3, 6), (2, 5, 4), (6, 8), (4, 8), (8,))
    arrays = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]

    def scores(query, key, query_weight, key_weight, vector):
        score = AdditiveScore(6, 4, 8)
        given = {"query_weight": query_weight, "key_weight": key_weight, "vector": vector}
        return torch.func.functional_call(score, given, (query, key))

    assert torch.autograd.gradcheck(scores, arrays)
    assert torch.autograd.gradgradcheck(scores, arrays)


def test_projected_keys_serve_many_queries_and_gather_all_their_gradients():
    torch.manual_seed(2)
    score = AdditiveScore(6, 4, 8)
    query, key = torch.randn(2, 3, 6), torch.randn(2, 5, 4)
    score(query, key).square().sum().backward()
    expected = [p.grad.clone() for p in score.parameters()]
    score.zero_grad()
    projected = score.project(key)
    sum(score.compare(q, projected).square().sum() for q in query.split(1, dim=1)).backward()
    for parameter, grad in zip(score.parameters(), expected):
        torch.testing.assert_close(parameter.grad, grad)


@pytest.mark.parametrize(
    "build",
    [
        lambda: AdditiveScore(16, 9, 25),
        lambda: AttentionPooling(9, 25),
    ],
    ids=["score", "pooling"],
)
def test_parameters_start_between_their_bounds(build):
    """±1/√(numbers that are added up): of the query 16, of the key 9, of the hidden layer 25."""
    torch.manual_seed(3)
    bounds = {"query_weight": 1 / 4, "key_weight": 1 / 3, "bias": 1 / 3, "vector": 1 / 5}
    for name, array in to_arrays(build()).items():
        assert 0.8 * bounds[name] < np.abs(array).max() <= bounds[name], name


# Dropout: only here, and only while training.


@pytest.mark.parametrize("kind", [AttentionSeq2Seq, BahdanauSeq2Seq])
def test_dropout_draws_anew_while_training_and_never_afterwards(kind):
    model = kind(7, 6, 3, 4, cell="gru", dropout=0.5)
    plain = kind(7, 6, 3, 4, cell="gru")
    plain.load_state_dict(model.state_dict())
    source, target = torch.randint(0, 6, (2, 4)), torch.randint(0, 6, (2, 5))
    asked = (source, torch.tensor([4, 2]), target)
    model.train()
    assert not torch.equal(model(*asked), model(*asked))
    model.start(source.numpy(), np.array([4, 2]))  # decoding turns it off
    torch.testing.assert_close(model(*asked), plain(*asked), rtol=0, atol=0)


# The loss, without a copy of the logits.


def test_the_loss_is_the_mean_over_real_tokens_whatever_stands_elsewhere():
    torch.manual_seed(4)
    logits = torch.randn(3, 4, 6, dtype=torch.float64, requires_grad=True)
    targets, mask = torch.randint(0, 6, (3, 4)), torch.rand(3, 4) < 0.5
    mask[0] = True
    loss = masked_cross_entropy(logits, torch.where(mask, targets, -7), mask)
    expected = -logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0][mask].mean()
    torch.testing.assert_close(loss, expected)
    (ours,), (theirs,) = (torch.autograd.grad(x, logits) for x in (loss, expected))
    torch.testing.assert_close(ours, theirs)
    assert not ours[~mask].any() and ours[mask].any(dim=-1).all()
