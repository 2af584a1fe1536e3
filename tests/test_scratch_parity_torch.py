"""The hand-written layers against torch's: the same weights, values and gradients, float64."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from attention_course.scratch.functional import log_softmax, softmax, softmax_backward  # noqa: E402
from attention_course.scratch.layers import Embedding, Linear  # noqa: E402
from attention_course.scratch.losses import masked_cross_entropy  # noqa: E402
from attention_course.scratch.recurrent import GRU, LSTM, RNN, Bidirectional  # noqa: E402
from attention_course.scratch.training import Adam, clip_global_norm  # noqa: E402

B, S, D, H = 5, 7, 3, 4
LENGTHS = np.array([2, 7, 1, 5, 5])
TOLERANCE = 1e-10
THEIRS = {RNN: torch.nn.RNN, GRU: torch.nn.GRU, LSTM: torch.nn.LSTM}
NAMES = {"w_x": "weight_ih_l0", "w_h": "weight_hh_l0", "b_x": "bias_ih_l0", "b_h": "bias_hh_l0"}
NAMES["b"] = "bias_ih_l0"


def assert_same(name: str, ours: np.ndarray, theirs: "torch.Tensor | np.ndarray") -> None:
    if isinstance(theirs, torch.Tensor):
        theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape, f"{name} has shape {ours.shape}, torch's {theirs.shape}"
    difference = np.abs(ours - theirs).max()
    assert difference < TOLERANCE, f"{name} differs from torch's by {difference:.1e}"


def torch_twin(layer, kind, both_ways):
    """torch's layer with our weights, and its parameters under our names."""
    twin = THEIRS[kind](D, H, batch_first=True, bidirectional=both_ways).double()
    pairs = {}
    for name in layer.params:
        direction, _, short = name.rpartition(".")
        suffix = "_reverse" if direction == "backward" else ""
        pairs[name] = getattr(twin, NAMES[short] + suffix)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()  # the LSTM's second bias stays so
        for name, parameter in pairs.items():
            parameter.copy_(torch.tensor(layer.params[name].T))
    return twin, pairs


def torch_run(twin, kind, inputs, state, lengths, both_ways):
    """Outputs and final state of torch's layer, in our form; all of them keep their graph."""
    directions = 2 if both_ways else 1
    parts = tuple(torch.stack(part.chunk(directions, dim=-1)) for part in state)
    first = parts if kind is LSTM else parts[0]
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        inputs, torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    outputs, final = twin(packed, first)
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(
        outputs, batch_first=True, total_length=inputs.shape[1]
    )
    final = final if kind is LSTM else (final,)
    return outputs, tuple(torch.cat(list(part), dim=-1) for part in final)


@pytest.mark.parametrize("both_ways", [False, True], ids=["one way", "bidirectional"])
@pytest.mark.parametrize("kind", [RNN, GRU, LSTM])
@pytest.mark.parametrize("lengths", [LENGTHS, np.full(B, S)], ids=["ragged", "full"])
def test_recurrent_layer_equals_torch(kind, both_ways, lengths):
    rng = np.random.default_rng(7)
    sizes = (D, H, 3, np.float64)
    layer = Bidirectional(kind, *sizes) if both_ways else kind(*sizes)
    width = 2 * H if both_ways else H
    inputs, weights = rng.standard_normal((B, S, D)), rng.standard_normal((B, S, width))
    state = tuple(rng.standard_normal((B, width)) for _ in range(kind.parts))
    dstate = tuple(rng.standard_normal((B, width)) for _ in state)

    outputs, final = layer.forward(inputs, lengths, state)
    dinputs, dinitial = layer.backward(weights, dstate)

    twin, pairs = torch_twin(layer, kind, both_ways)
    t_inputs = torch.tensor(inputs, requires_grad=True)
    t_state = tuple(torch.tensor(part, requires_grad=True) for part in state)
    t_outputs, t_final = torch_run(twin, kind, t_inputs, t_state, lengths, both_ways)
    loss = (t_outputs * torch.tensor(weights)).sum()
    for part, dpart in zip(t_final, dstate, strict=True):
        loss = loss + (part * torch.tensor(dpart)).sum()
    loss.backward()

    assert_same("outputs", outputs, t_outputs)
    for ours, theirs in zip(final, t_final, strict=True):
        assert_same("final state", ours, theirs)
    assert_same("dinputs", dinputs, t_inputs.grad)
    for ours, theirs in zip(dinitial, t_state, strict=True):
        assert_same("gradient of the initial state", ours, theirs.grad)
    for name, parameter in pairs.items():
        assert_same(f"gradient of {name}", layer.grads[name], parameter.grad.numpy().T)


def test_linear_and_embedding_equal_torch():
    rng = np.random.default_rng(1)
    embedding, linear = Embedding(6, D, 0, np.float64), Linear(D, 4, 1, np.float64)
    ids, dy = rng.integers(0, 6, (B, S)), rng.standard_normal((B, S, 4))
    y = linear.forward(embedding.forward(ids))
    embedding.backward(linear.backward(dy))

    params = (*embedding.params.values(), *linear.params.values())
    weights = [torch.tensor(param, requires_grad=True) for param in params]
    t_y = torch.nn.functional.embedding(torch.tensor(ids), weights[0]) @ weights[1] + weights[2]
    (t_y * torch.tensor(dy)).sum().backward()
    assert_same("y", y, t_y)
    for ours, theirs in zip((*embedding.grads.values(), *linear.grads.values()), weights):
        assert_same("gradient", ours, theirs.grad)


def test_softmax_and_loss_equal_torch():
    rng = np.random.default_rng(2)
    logits, dweights = rng.standard_normal((2, 3, 4, 5))
    t_logits = torch.tensor(logits, requires_grad=True)
    t_weights = t_logits.softmax(dim=1)
    (t_weights * torch.tensor(dweights)).sum().backward()
    weights = softmax(logits, axis=1)
    assert_same("softmax", weights, t_weights)
    assert_same("log_softmax", log_softmax(logits), t_logits.log_softmax(dim=-1))
    assert_same("dscores", softmax_backward(weights, dweights, axis=1), t_logits.grad)

    targets, mask = rng.integers(0, 5, (3, 4)), np.arange(4) < np.array([[4], [1], [2]])
    t_logits = torch.tensor(logits, requires_grad=True)
    ignored = torch.tensor(np.where(mask, targets, -100)).flatten()
    t_loss = torch.nn.functional.cross_entropy(t_logits.flatten(0, 1), ignored)
    t_loss.backward()
    loss, dlogits = masked_cross_entropy(logits, targets, mask)
    assert_same("loss", np.asarray(loss), t_loss)
    assert_same("dlogits", dlogits, t_logits.grad)


def test_clipped_adam_steps_equal_torch():
    rng = np.random.default_rng(3)
    params = {"a": rng.standard_normal((3, 2)), "b": rng.standard_normal(4)}
    t_params = {name: torch.tensor(p.copy(), requires_grad=True) for name, p in params.items()}
    ours = Adam(params, learning_rate=0.01)
    theirs = torch.optim.Adam(t_params.values(), lr=0.01, betas=(0.9, 0.999), eps=1e-8)
    for scale in (10.0, 0.1, 1e-7, 3.0):
        grads = {name: scale * rng.standard_normal(p.shape) for name, p in params.items()}
        for name, grad in grads.items():
            t_params[name].grad = torch.tensor(grad.copy())
        norm = clip_global_norm(grads, max_norm=5.0)
        t_norm = torch.nn.utils.get_total_norm([p.grad for p in t_params.values()])
        assert_same("norm", np.asarray(norm), t_norm)
        for parameter in t_params.values():
            parameter.grad *= min(1.0, 5.0 / t_norm)
        ours.step(grads)
        theirs.step()
        for name, parameter in t_params.items():
            assert_same(name, params[name], parameter)
