"""The Neural Turing Machine: what each step does, its gradients, both frameworks, its mistakes."""

import importlib
from collections.abc import Callable

import numpy as np
import pytest
import torch
from test_scratch_gradients import check, of_layer

from attention_course import results
from attention_course.experiments import memory_copy
from attention_course.pytorch import memory as torch_memory
from attention_course.pytorch import weights as torch_weights
from attention_course.scratch import memory as scratch_memory
from attention_course.scratch import weights as scratch_weights
from attention_course.scratch.functional import softmax

B, T, D, H, N, W, K, OUT = 2, 6, 3, 4, 5, 3, 3, 2


class Framework:
    """A framework's `memory`, called with NumPy arrays, in float64."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.module = importlib.import_module(f"attention_course.{name}.memory")

    def array(self, x: np.ndarray) -> np.ndarray | torch.Tensor:
        return torch.as_tensor(x) if self.name == "pytorch" else np.asarray(x)

    def call(self, name: str, *arrays: np.ndarray) -> np.ndarray:
        result = getattr(self.module, name)(*map(self.array, arrays))
        return np.asarray(result.detach() if self.name == "pytorch" else result)

    def address(self, instructions: dict, memory: np.ndarray, last: np.ndarray) -> np.ndarray:
        given = {name: self.array(value) for name, value in instructions.items()}
        layer = self.module.Addressing()
        given = self.module.Instructions(**given, erase=None, add=None)
        result = layer.forward(given, self.array(memory), self.array(last))
        return np.asarray(result)

    def patch(self, monkeypatch: pytest.MonkeyPatch, name: str, mutant: Callable) -> None:
        monkeypatch.setattr(
            self.module, name, lambda *a: self.array(mutant(*(np.asarray(x) for x in a)))
        )


@pytest.fixture(params=["scratch", "pytorch"])
def framework(request: pytest.FixtureRequest) -> Framework:
    return Framework(request.param)


def a_case(seed: int = 0) -> dict[str, np.ndarray]:
    """Everything that one step needs, at random, no two sizes alike."""
    rng = np.random.default_rng(seed)
    return {
        "key": rng.standard_normal((B, W)),
        "strength": rng.uniform(0.5, 4, B),
        "gate": rng.uniform(0.2, 0.8, B),
        "shift": softmax(rng.standard_normal((B, K))),
        "power": rng.uniform(1.5, 4, B),
        "memory": rng.standard_normal((B, N, W)) * rng.uniform(0.3, 3, (B, N, 1)),
        "last": softmax(rng.standard_normal((B, N))),
        "erase": rng.uniform(0.1, 0.9, (B, W)),
        "add": rng.standard_normal((B, W)),
    }


def addressed(framework: Framework, case: dict[str, np.ndarray]) -> np.ndarray:
    names = ("key", "strength", "gate", "shift", "power")
    return framework.address({n: case[n] for n in names}, case["memory"], case["last"])


# What must hold. Each is a test of the right code and catches the mutants below that name it.


def addressing_is_equations_5_to_9(framework: Framework) -> None:
    """Written once more, one number at a time."""
    case = a_case()
    expected = np.zeros((B, N))
    for b in range(B):
        key, memory = case["key"][b], case["memory"][b]
        cosine = [key @ row / np.sqrt((key @ key) * (row @ row)) for row in memory]
        content = [np.exp(case["strength"][b] * c) for c in cosine]
        content = [x / sum(content) for x in content]
        g = case["gate"][b]
        gated = [g * c + (1 - g) * old for c, old in zip(content, case["last"][b])]
        shifted = [0.0] * N
        for i in range(N):
            for j in range(N):
                for k in range(K):
                    if (j + k - 1) % N == i:  # from row j by the move k − 1 to row i
                        shifted[i] += gated[j] * case["shift"][b, k]
        powers = [x ** case["power"][b] for x in shifted]
        expected[b] = [x / sum(powers) for x in powers]
    assert np.allclose(addressed(framework, case), expected, rtol=0, atol=1e-14)


def weights_sum_to_1(framework: Framework) -> None:
    case = a_case(1)
    for weights in (
        framework.call("content_weights", case["key"], case["strength"], case["memory"]),
        framework.call("shift_weights", case["last"], case["shift"]),
        framework.call("sharpen", case["last"], case["power"]),
        addressed(framework, case),
    ):
        assert (weights > 0).all() and np.allclose(weights.sum(axis=1), 1, rtol=0, atol=1e-14)


def a_row_of_the_batch_stands_alone(framework: Framework) -> None:
    case = a_case(2)
    alone = {name: array[:1] for name, array in case.items()}
    assert np.allclose(addressed(framework, case)[:1], addressed(framework, alone), atol=1e-14)


def the_length_of_a_row_does_not_matter(framework: Framework) -> None:
    case = a_case(3)
    content = framework.call("content_weights", case["key"], case["strength"], case["memory"])
    case["memory"][:, 2] *= 7
    case["key"] *= 0.1
    scaled = framework.call("content_weights", case["key"], case["strength"], case["memory"])
    assert np.allclose(content, scaled, rtol=0, atol=1e-14)


def plus_1_goes_to_the_next_row_and_from_the_last_to_the_first(framework: Framework) -> None:
    last = np.array([[0.0, 0, 1, 0, 0], [0, 0, 0, 0, 1]])
    moves = {"on": [[0.0, 0, 1]], "stay": [[0.0, 1, 0]], "back": [[1.0, 0, 0]]}
    for name, rows in {"on": [3, 0], "stay": [2, 4], "back": [1, 3]}.items():
        moved = framework.call("shift_weights", last, np.repeat(moves[name], 2, axis=0))
        assert (moved == np.eye(5)[rows]).all(), name


def a_gate_of_0_keeps_the_last_weights(framework: Framework) -> None:
    case = a_case(4) | {"gate": np.array([0.0, 1.0])}
    case |= {"shift": np.array([[0.0, 1, 0]] * B), "power": np.ones(B)}
    content = framework.call("content_weights", case["key"], case["strength"], case["memory"])
    weights = addressed(framework, case)
    assert np.allclose(weights[0], case["last"][0], rtol=0, atol=1e-14)
    assert np.allclose(weights[1], content[1], rtol=0, atol=1e-14)


def a_power_of_1_changes_nothing_and_more_sharpens(framework: Framework) -> None:
    weights = a_case(5)["last"]
    assert np.allclose(framework.call("sharpen", weights, np.ones(B)), weights, atol=1e-15)
    sharper = framework.call("sharpen", weights, np.full(B, 3.0))
    assert (sharper.max(axis=1) > weights.max(axis=1)).all()
    assert np.allclose(sharper, weights**3 / (weights**3).sum(axis=1, keepdims=True), atol=1e-14)


def what_is_erased_is_the_old_and_not_the_new(framework: Framework) -> None:
    """Weight 1 and erase 1: the row holds what was added and nothing else."""
    case = a_case(6)
    weights, erase = np.eye(N)[[1, 3]], np.ones((B, W))
    memory = framework.call("write", weights, case["memory"], erase, case["add"])
    assert np.allclose(memory[0, 1], case["add"][0]) and np.allclose(memory[1, 3], case["add"][1])
    untouched = weights == 0
    assert (memory[untouched] == case["memory"][untouched]).all()


def writing_is_equations_3_and_4(framework: Framework) -> None:
    case = a_case(7)
    memory = framework.call("write", case["last"], case["memory"], case["erase"], case["add"])
    for b, i in np.ndindex(B, N):
        w = case["last"][b, i]
        erased = case["memory"][b, i] * (1 - w * case["erase"][b])
        assert np.allclose(memory[b, i], erased + w * case["add"][b], rtol=0, atol=1e-14)


def reading_is_a_weighted_sum(framework: Framework) -> None:
    case = a_case(8)
    found = framework.call("read", case["last"], case["memory"])
    for b in range(B):
        expected = sum(w * row for w, row in zip(case["last"][b], case["memory"][b]))
        assert np.allclose(found[b], expected, rtol=0, atol=1e-14)


PROPERTIES = (
    addressing_is_equations_5_to_9,
    weights_sum_to_1,
    a_row_of_the_batch_stands_alone,
    the_length_of_a_row_does_not_matter,
    plus_1_goes_to_the_next_row_and_from_the_last_to_the_first,
    a_gate_of_0_keeps_the_last_weights,
    a_power_of_1_changes_nothing_and_more_sharpens,
    what_is_erased_is_the_old_and_not_the_new,
    writing_is_equations_3_and_4,
    reading_is_a_weighted_sum,
)


@pytest.mark.parametrize("holds", PROPERTIES, ids=lambda f: f.__name__)
def test_property(framework: Framework, holds: Callable) -> None:
    holds(framework)


def test_a_strong_key_picks_the_row_of_its_direction(framework: Framework) -> None:
    memory = np.array([[[1.0, 0, 0], [0, 5, 0], [3, 3, 3], [0, -1, 0]]])
    key = np.array([[0.1, 2.0, 0.1]])
    picks = [
        framework.call("content_weights", key, np.array([b]), memory) for b in (0.0, 2.0, 300.0)
    ]
    assert np.allclose(picks[0], 1 / 4) and picks[1].argmax() == 1
    assert picks[2][0, 1] > 1 - 1e-9


def test_sharpening_one_certain_row_changes_nothing(framework: Framework) -> None:
    certain = np.eye(N)[[0, 3]]
    for power in (1.0, 2.5, 1000.0):
        assert (framework.call("sharpen", certain, np.full(B, power)) == certain).all()
    spread = np.full((B, N), 1 / N)  # 0.2 ** 1000 is 0 in float64
    assert np.allclose(framework.call("sharpen", spread, np.full(B, 1000.0)), spread)


def test_shifts_compose_and_come_round(framework: Framework) -> None:
    case = a_case(9)
    there, back = framework.call("shift_weights", case["last"], case["shift"]), case["last"]
    for _ in range(N):
        back = framework.call("shift_weights", back, np.array([[0.0, 0, 1]] * B))
    assert np.allclose(back, case["last"], atol=1e-15)
    five = np.pad(case["shift"], [(0, 0), (1, 1)])  # the same moves out of five
    assert np.allclose(framework.call("shift_weights", case["last"], five), there, atol=1e-15)


def test_blank_rows_and_keys_have_no_direction(framework: Framework) -> None:
    case = a_case(10)
    case["memory"][0], case["key"][1] = 0, 0
    content = framework.call("content_weights", case["key"], case["strength"], case["memory"])
    assert np.allclose(content, 1 / N)


# Mistakes: what is patched, the wrong function, the property that catches it.

SOFT = scratch_memory.content_weights
SHIFT, WRITE, SHARPEN = (
    scratch_memory.shift_weights,
    scratch_memory.write,
    scratch_memory.sharpen,
)


def over_the_batch(key, strength, memory):
    return softmax(strength[:, None] * scratch_memory._cosine(key, memory), axis=0)


def no_norm(key, strength, memory):
    return softmax(strength[:, None] * np.einsum("bw,bnw->bn", key, memory))


def distance_by_the_row_alone(key, strength, memory):
    lengths = np.linalg.norm(memory, axis=-1)
    return softmax(strength[:, None] * np.einsum("bw,bnw->bn", key, memory) / lengths)


def falls_off_the_end(weights, shift):
    padded = np.pad(weights, [(0, 0), (1, 1)])
    return sum(shift[:, k, None] * padded[:, 2 - k : 2 - k + weights.shape[1]] for k in range(3))


def add_before_erase(weights, memory, erase, add):
    added = memory + weights[:, :, None] * add[:, None]
    return added * (1 - weights[:, :, None] * erase[:, None])


def not_normalised(weights, power):
    return weights ** power[:, None]


MUTANTS = [
    ("shift_weights", lambda w, s: SHIFT(w, s[:, ::-1]), PROPERTIES[4], "the wrong way"),
    ("shift_weights", lambda w, s: SHIFT(w, s[:, ::-1]), PROPERTIES[0], "wrong way, as a whole"),
    ("shift_weights", falls_off_the_end, PROPERTIES[4], "falls off the end"),
    ("shift_weights", falls_off_the_end, PROPERTIES[1], "falls off: sums"),
    ("write", add_before_erase, PROPERTIES[7], "add before erase"),
    ("write", lambda w, m, e, a: WRITE(w, m, 0 * e, a), PROPERTIES[7], "never erases"),
    ("write", lambda w, m, e, a: WRITE(1 + 0 * w, m, e, a), PROPERTIES[7], "erases every row"),
    ("interpolate", lambda c, last, g: c, PROPERTIES[5], "no gate"),
    (
        "interpolate",
        lambda c, last, g: (1 - g)[:, None] * c + g[:, None] * last,
        PROPERTIES[5],
        "the gate turned round",
    ),
    ("content_weights", over_the_batch, PROPERTIES[2], "softmax over the batch"),
    ("content_weights", over_the_batch, PROPERTIES[1], "softmax over the batch: sums"),
    ("content_weights", no_norm, PROPERTIES[3], "cosine without norm"),
    ("content_weights", distance_by_the_row_alone, PROPERTIES[3], "no norm of the key"),
    ("content_weights", lambda k, b, m: SOFT(k, 1 + 0 * b, m), PROPERTIES[0], "no key strength"),
    ("sharpen", not_normalised, PROPERTIES[1], "not normalised after the power"),
    ("sharpen", lambda w, p: softmax(p[:, None] * w), PROPERTIES[6], "softmax in place of a power"),
    ("sharpen", lambda w, p: SHARPEN(w, 1 / p), PROPERTIES[6], "a root in place of a power"),
    ("read", lambda w, m: m.mean(axis=1), PROPERTIES[9], "reads every row alike"),
]


@pytest.mark.parametrize(
    ("name", "mutant", "holds"), [m[:3] for m in MUTANTS], ids=[m[3] for m in MUTANTS]
)
def test_mutant_is_caught(
    framework: Framework, monkeypatch: pytest.MonkeyPatch, name: str, mutant: Callable, holds
) -> None:
    framework.patch(monkeypatch, name, mutant)
    with pytest.raises(AssertionError):
        holds(framework)


# Gradients.


def machine(cell: str = "lstm", **sizes: int) -> scratch_memory.NeuralTuringMachine:
    """In float64, with weights large enough for heads that move, gate and erase."""
    asked = {"hidden_size": H, "rows": N, "width": W, "shifts": K} | sizes
    model = scratch_memory.NeuralTuringMachine(D, OUT, **asked, cell=cell, seed=3, dtype=float)
    rng = np.random.default_rng(5)
    for param in model.params.values():
        param[...] = rng.normal(scale=0.7, size=param.shape)
    return model


def machine_gradients_are_the_numerical_ones(
    cell: str = "lstm", entries: int | None = None, **sizes: int
) -> None:
    model, rng = machine(cell, **sizes), np.random.default_rng(1)
    inputs, dlogits = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, OUT))
    model.forward(inputs)
    dinputs = model.backward(dlogits)
    assert all(abs(grad).max() > 1e-5 for grad in model.grads.values()), "a gradient is asleep"
    check(
        lambda: (model.forward(inputs) * dlogits).sum(),
        {"inputs": (inputs, dinputs)} | of_layer(model),
        entries,
    )


@pytest.mark.parametrize(
    ("cell", "sizes"),
    [("lstm", {}), ("gru", {}), ("rnn", {}), ("lstm", {"shifts": 5}), ("gru", {"shifts": 1})],
)
def test_gradients_through_time(cell: str, sizes: dict[str, int]) -> None:
    machine_gradients_are_the_numerical_ones(cell, **sizes)


def test_gradients_of_every_function() -> None:
    case, rng = a_case(11), np.random.default_rng(2)
    for name, arguments in {
        "content_weights": ("key", "strength", "memory"),
        "interpolate": ("last", "other", "gate"),
        "shift_weights": ("last", "shift"),
        "sharpen": ("last", "power"),
        "read": ("last", "memory"),
        "write": ("last", "memory", "erase", "add"),
    }.items():
        case["other"] = softmax(rng.standard_normal((B, N)))
        arrays = [case[argument] for argument in arguments]
        function = getattr(scratch_memory, name)
        doutput = rng.standard_normal(function(*arrays).shape)
        ours = getattr(scratch_memory, f"{name}_backward")(*arrays, doutput)
        gradients = {f"{name} {a}": pair for a, *pair in zip(arguments, arrays, ours, strict=True)}
        check(lambda f=function, a=arrays, d=doutput: (f(*a) * d).sum(), gradients)


def test_gradients_where_a_weight_or_a_row_is_0_are_those_of_torch() -> None:
    case = a_case(12)
    case["memory"][0, 1], case["last"][1] = 0, np.eye(N)[2]
    dweights = np.random.default_rng(3).standard_normal((B, N))
    for name, arguments in {
        "content_weights": ("key", "strength", "memory"),
        "sharpen": ("last", "power"),
    }.items():
        tensors = [torch.tensor(case[a], requires_grad=True) for a in arguments]
        getattr(torch_memory, name)(*tensors).backward(torch.tensor(dweights))
        backward = getattr(scratch_memory, f"{name}_backward")
        ours = backward(*(case[a] for a in arguments), dweights)
        for a, tensor, gradient in zip(arguments, tensors, ours, strict=True):
            assert np.isfinite(gradient).all()
            assert np.allclose(gradient, tensor.grad, rtol=1e-9, atol=1e-12), (name, a)


def _content_without_the_turn(key, strength, memory, dweights):
    """The lengths taken for constants."""
    cosine = scratch_memory._cosine(key, memory)
    dscores = scratch_memory.softmax_backward(softmax(strength[:, None] * cosine), dweights)
    lengths = scratch_memory._length(key)[:, None] * scratch_memory._length(memory)
    scaled = strength[:, None] * dscores / lengths
    dmemory = scaled[:, :, None] * key[:, None]
    return np.einsum("bn,bnw->bw", scaled, memory), (dscores * cosine).sum(1), dmemory


BACKWARD = {
    name: getattr(scratch_memory, name)
    for name in dir(scratch_memory)
    if name.endswith("_backward") and name != "softmax_backward"
}
WRONG_GRADIENTS = {
    "content: lengths are constants": ("content_weights_backward", _content_without_the_turn),
    "content: the memory is a constant": (
        "content_weights_backward",
        lambda *a: (*BACKWARD["content_weights_backward"](*a)[:2], 0 * a[2]),
    ),
    "gate: the step before is forgotten": (
        "interpolate_backward",
        lambda c, last, g, d: (g[:, None] * d, 0 * d, (d * (c - last)).sum(1)),
    ),
    "gate: only its content side": (
        "interpolate_backward",
        lambda c, last, g, d: (
            *BACKWARD["interpolate_backward"](c, last, g, d)[:2],
            (d * c).sum(1),
        ),
    ),
    "shift: back the wrong way": (
        "shift_weights_backward",
        lambda w, s, d: (SHIFT(d, s), BACKWARD["shift_weights_backward"](w, s, d)[1]),
    ),
    "sharpen: the sum is a constant": (
        "sharpen_backward",
        lambda w, p, d: (
            p[:, None] * SHARPEN(w, p) * d / w,
            BACKWARD["sharpen_backward"](w, p, d)[1],
        ),
    ),
    "write: nothing was erased": (
        "write_backward",
        lambda w, m, e, a, d: (lambda g: (g[0], d, *g[2:]))(
            BACKWARD["write_backward"](w, m, e, a, d)
        ),
    ),
    "read: the weights are constants": (
        "read_backward",
        lambda w, m, d: (0 * w, w[:, :, None] * d[:, None]),
    ),
}


@pytest.mark.parametrize("mutant", WRONG_GRADIENTS)
def test_wrong_gradient_is_caught(monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    monkeypatch.setattr(scratch_memory, *WRONG_GRADIENTS[mutant])
    with pytest.raises(AssertionError, match=r"differ from the numerical|asleep"):
        machine_gradients_are_the_numerical_ones(entries=6)


def test_gradients_do_not_linger() -> None:
    model, rng = machine(), np.random.default_rng(1)
    inputs, dlogits = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, OUT))
    model.forward(inputs)
    model.backward(dlogits)
    first = scratch_weights.gradients(model)
    model.backward(dlogits)
    assert all((first[name] == grad).all() for name, grad in model.grads.items())


# Both frameworks.


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_both_frameworks_agree_forward_and_backward(cell: str) -> None:
    ours, rng = machine(cell), np.random.default_rng(6)
    theirs = torch_memory.NeuralTuringMachine(D, OUT, H, N, W, K, cell).double()
    torch_weights.from_arrays(theirs, scratch_weights.to_arrays(ours))
    inputs, dlogits = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, OUT))
    trace, dinputs = ours.trace(inputs), ours.backward(dlogits)
    tensor = torch.tensor(inputs, requires_grad=True)
    other = theirs.trace(tensor)
    other.logits.backward(torch.tensor(dlogits))
    for name, a, b in zip(trace._fields, trace, other, strict=True):
        assert np.allclose(a, b.detach(), rtol=0, atol=1e-9), name
    assert np.allclose(dinputs, tensor.grad, rtol=0, atol=1e-9)
    gradients = torch_weights.gradients(theirs)
    assert gradients.keys() == ours.grads.keys()
    for name, gradient in gradients.items():
        assert np.allclose(ours.grads[name], gradient, rtol=0, atol=1e-9), name


def test_weights_go_there_and_back() -> None:
    ours = machine()
    theirs = torch_memory.NeuralTuringMachine(D, OUT, H, N, W, K).double()
    arrays = scratch_weights.to_arrays(ours)
    torch_weights.from_arrays(theirs, arrays)
    again = torch_weights.to_arrays(theirs)
    assert again.keys() == arrays.keys()
    assert all((again[name] == arrays[name]).all() for name in arrays)


def test_forward_is_the_trace_and_heads_start_on_row_0(framework: Framework) -> None:
    model = framework.module.NeuralTuringMachine(D, OUT, H, N, W, seed=1)
    inputs = framework.array(np.random.default_rng(0).random((B, T, D), np.float32))
    logits, trace = model.forward(inputs), model.trace(inputs)
    assert tuple(logits.shape) == (B, T, OUT) and (logits == trace.logits).all()
    for weights in (trace.read, trace.write):
        assert tuple(weights.shape) == (B, T, N)
        assert abs(weights.sum(-1) - 1).max() < 1e-5
    # Untrained gates are half open, untrained shifts spread: most of it is still about row 0.
    assert (trace.write[:, 0].argmax(-1) % (N - 1) <= 1).all()


def test_a_step_does_not_see_the_steps_after_it(framework: Framework) -> None:
    model = framework.module.NeuralTuringMachine(D, OUT, H, N, W, seed=1)
    inputs = np.random.default_rng(0).random((B, T, D), np.float32)
    changed = inputs.copy()
    changed[:, 4:] += 1
    a, b = (np.asarray(model.trace(framework.array(x))[0].tolist()) for x in (inputs, changed))
    assert (a[:, :4] == b[:, :4]).all() and (a[:, 4:] != b[:, 4:]).any()


def test_what_is_read_was_written_in_the_same_step(framework: Framework) -> None:
    """The read head comes second: a single step can already bring back what it wrote."""
    model = framework.module.NeuralTuringMachine(D, OUT, H, N, W, seed=1)
    inputs = framework.array(np.ones((1, 1, D), np.float32))
    before = np.asarray(model.forward(inputs).tolist())
    if framework.name == "pytorch":
        with torch.no_grad():
            model.write.bias[-W:] += 2
    else:
        model.params["write.bias"][-W:] += 2
    assert abs(np.asarray(model.forward(inputs).tolist()) - before).max() > 1e-3


def test_the_seed_decides(framework: Framework) -> None:
    make = framework.module.NeuralTuringMachine
    inputs = framework.array(np.ones((1, 2, D), np.float32))
    a, b, c = (make(D, OUT, H, N, W, seed=seed).forward(inputs) for seed in (1, 1, 2))
    assert (a == b).all() and (a != c).any()


def test_a_machine_whose_moves_are_turned_round_runs_in_a_mirror(monkeypatch) -> None:
    """Blank rows, a ring: no answer shows which way +1 goes. So the probe above must."""
    model, inputs = machine(), np.random.default_rng(7).standard_normal((B, T, D))
    trace = model.trace(inputs)
    monkeypatch.setattr(scratch_memory, "shift_weights", lambda w, s: SHIFT(w, s[:, ::-1]))
    mirrored = model.trace(inputs)
    assert np.allclose(mirrored.logits, trace.logits, rtol=0, atol=1e-12)
    other_way = -np.arange(N) % N
    for name in ("read", "write"):
        there, back = getattr(trace, name), getattr(mirrored, name)
        assert np.allclose(back, there[..., other_way], rtol=0, atol=1e-12)
        assert not np.allclose(back, there, atol=1e-3)


# The experiment.


def test_a_sequence_is_shown_then_the_sign_then_silence() -> None:
    inputs, bits = memory_copy.copying(3, 4, np.random.default_rng(0))
    assert inputs.shape == (3, 9, memory_copy.BITS + 1) and bits.shape == (3, 4, memory_copy.BITS)
    assert (inputs[:, :4, :-1] == bits).all() and set(np.unique(bits)) == {0, 1}
    assert (inputs[:, 4] == np.eye(memory_copy.BITS + 1)[-1]).all()
    assert not inputs[:, 5:].any() and not inputs[:, :4, -1].any()


def test_right_answers_are_counted() -> None:
    def answer(inputs: torch.Tensor, wrong: int = 0) -> torch.Tensor:
        length = (inputs.shape[1] - 1) // 2
        said = 2 * inputs[:, :length, :-1] - 1
        said[:wrong, 0, 0] *= -1  # one bit of the first sequences
        return torch.cat([torch.zeros(len(said), length + 1, said.shape[-1]), said], dim=1)

    perfect = memory_copy.right_by_length(answer, (2, 5), 10)
    assert perfect == {"bits": {"2": 1, "5": 1}, "sequences": {"2": 1, "5": 1}}
    nearly = memory_copy.right_by_length(lambda inputs: answer(inputs, wrong=3), (5,), 10)
    bits = 10 * 5 * memory_copy.BITS
    assert nearly["sequences"] == {"5": 0.7} and nearly["bits"] == {"5": round(1 - 3 / bits, 4)}


def test_both_models_have_about_as_many_parameters() -> None:
    counts = [run.metrics["parameters"] for run in results.load("memory_copy")]
    assert len(counts) == 6 and max(counts) < 1.01 * min(counts)


def test_lengths_stay_within_their_bounds_and_seeds_tell_streams_apart() -> None:
    streams = [memory_copy.copy_batches(2, (1, 3), seed) for seed in (5, 5, 6)]
    drawn = [[next(stream).bits for _ in range(40)] for stream in streams]
    assert {bits.shape[1] for bits in drawn[0]} == {1, 2, 3}
    assert all(np.array_equal(a, b) for a, b in zip(drawn[0], drawn[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(drawn[0], drawn[2], strict=True))


def test_the_recorded_machines_go_beyond_the_lengths_of_training_and_the_lstm_does_not() -> None:
    for run in results.load("memory_copy", model="ntm"):
        assert run.metrics["sequences"]["10"] == 1 and run.metrics["sequences"]["20"] > 0.95
        assert run.metrics["bits"]["40"] < 0.75  # more vectors than rows
    for run in results.load("memory_copy", model="lstm"):
        assert run.metrics["sequences"]["5"] == 1 and run.metrics["bits"]["20"] < 0.75


# Errors.


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"shifts": 2}, ValueError, "shifts must be odd.* got 2"),
        ({"shifts": 7}, ValueError, "no more than the 5 rows of the memory, got 7"),
        ({"rows": 0}, ValueError, "rows must be 1 or more, got 0"),
        ({"width": 1.5}, TypeError, "width must be an int, got float"),
        ({"hidden_size": 0}, ValueError, "hidden_size must be 1 or more, got 0"),
        ({"input_size": 0}, ValueError, "input_size must be 1 or more, got 0"),
        ({"output_size": "2"}, TypeError, "output_size must be an int, got str"),
        ({"cell": "elman"}, ValueError, r"cell must be one of .*'lstm'.* got 'elman'"),
    ],
)
def test_bad_sizes_are_refused(framework: Framework, arguments, error, message) -> None:
    sizes = {"input_size": D, "output_size": OUT, "hidden_size": H, "rows": N, "width": W}
    with pytest.raises(error, match=message):
        framework.module.NeuralTuringMachine(**sizes | arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("content_weights", {"key": (B, W + 1)}, "axis W must have size 4 as in key, got 3"),
        ("content_weights", {"strength": (B, 1)}, r"strength must have 1 axes \(B\)"),
        ("interpolate", {"gate": (B + 1,)}, "gate: axis B must have size 2 as in content, got 3"),
        ("shift_weights", {"shift": (B, 2)}, "shifts must be odd"),
        ("shift_weights", {"shift": (B, 7)}, "no more than the 5 rows"),
        ("sharpen", {"power": (B, 1)}, "power must have 1 axes"),
        ("read", {"memory": (B, N + 1, W)}, "axis N must have size 5 as in weights, got 6"),
        ("write", {"add": (B, W + 1)}, "add: axis W must have size 3 as in memory, got 4"),
    ],
)
def test_bad_shapes_are_refused(framework: Framework, name, arguments, message) -> None:
    shapes = {
        "content_weights": {"key": (B, W), "strength": (B,), "memory": (B, N, W)},
        "interpolate": {"content": (B, N), "last": (B, N), "gate": (B,)},
        "shift_weights": {"weights": (B, N), "shift": (B, K)},
        "sharpen": {"weights": (B, N), "power": (B,)},
        "read": {"weights": (B, N), "memory": (B, N, W)},
        "write": {"weights": (B, N), "memory": (B, N, W), "erase": (B, W), "add": (B, W)},
    }[name]
    with pytest.raises(ValueError, match=message):
        framework.call(name, *(np.ones(shape) for shape in (shapes | arguments).values()))


def test_bad_inputs_are_refused(framework: Framework) -> None:
    model = framework.module.NeuralTuringMachine(D, OUT, H, N, W)
    for shape in ((B, T, D + 1), (B, D), (B, 0, D)):
        with pytest.raises(ValueError, match="inputs"):
            model.forward(framework.array(np.ones(shape, np.float32)))


def test_backward_needs_a_forward() -> None:
    with pytest.raises(RuntimeError, match="needs a forward call before it"):
        machine().backward(np.ones((B, T, OUT)))
