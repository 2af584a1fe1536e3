"""Stacks, residuals and GNMT's arrangement: what holds, checked; wrong ones, each caught.

Two probes carry most of it. A *silent* layer has weights of zero, so it says zero at every step:
what comes out above it is the residual and nothing else, and what it remembers must be zero. And a
reference in NumPy computes one sentence, one step and one layer after the other, from the weights
as `to_arrays` gives them.
"""

import math
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.text import Annotation, Text
from torch import Tensor, nn

import attention_course.pytorch.deep as deep
from attention_course import plotting
from attention_course.corpora.batching import make_batch
from attention_course.corpora.vocabulary import Vocabulary
from attention_course.decoding import beam, beam_hypotheses, greedy
from attention_course.experiments import depth
from attention_course.plotting.stacks import draw_gnmt
from attention_course.pytorch import recurrent, weights
from attention_course.pytorch.training import batch_loss

B, S, T, E, H = 3, 6, 5, 3, 4
SIZES = (9, 11, E, H)  # source and target vocabulary, embedding, state
SOS, EOS = 1, 2
LENGTHS = torch.tensor([6, 3, 4])
Check = Callable[["Kind"], None]


class Kind(NamedTuple):
    """A model of this test: DeepSeq2Seq, or GNMT, whose residuals are fixed."""

    model: str
    layers: int
    residual_from: int | None = None
    cell: str = "lstm"
    score: str = "general"

    def __str__(self) -> str:
        return "-".join(str(part) for part in self if part is not None)

    def make(self, seed: int = 0) -> Any:
        """In float64, with weights large enough for everything to show."""
        common = {"cell": self.cell, "layers": self.layers, "seed": seed}
        if self.model == "gnmt":
            model = deep.GNMT(*SIZES, **common)
        else:
            more = {"residual_from": self.residual_from, "score": self.score}
            model = deep.DeepSeq2Seq(*SIZES, **common, **more)
        rng = np.random.default_rng(seed + 5)
        arrays = weights.to_arrays(model).items()
        drawn = {name: rng.normal(0.1, 0.6, array.shape) for name, array in arrays}
        weights.from_arrays(model.double(), drawn)
        return model.eval()


GNMT, GNMT_2 = Kind("gnmt", 4), Kind("gnmt", 2)
DEEP = Kind("deep", 3, 2)
PLAIN = Kind("deep", 3)
KINDS = [
    *(Kind("deep", 3, start, cell) for start in (None, 2) for cell in ("lstm", "gru", "rnn")),
    *(Kind("gnmt", 4, None, cell) for cell in ("lstm", "gru", "rnn")),
    Kind("deep", 1),
    Kind("deep", 4, 3, "lstm", "dot"),
    GNMT_2,
]
LSTMS = [kind for kind in KINDS if kind.cell == "lstm"]
GNMTS = [kind for kind in KINDS if kind.model == "gnmt"]


@cache
def words() -> tuple[Tensor, Tensor]:
    """source (B,S), target_in (B,T); what is padding holds real ids."""
    rng = np.random.default_rng(3)
    source, target = rng.integers(3, SIZES[0], (B, S)), rng.integers(3, SIZES[1], (B, T))
    target[:, 0] = SOS
    return torch.tensor(source), torch.tensor(target)


def stack_of(kind: Kind, side: str = "encoder") -> Any:
    return getattr(kind.make(), side).rnn


def silence(layer: nn.Module) -> None:
    """All weights zero: an LSTM, a GRU and a bare RNN then say zero for ever."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()


def close(a: Any, b: Any, message: str, tolerance: float = 1e-10) -> None:
    a, b = (torch.as_tensor(x).detach() for x in (a, b))
    assert a.shape == b.shape, f"{message}: shapes {tuple(a.shape)} and {tuple(b.shape)}"
    assert (a - b).abs().max() < tolerance, f"{message}: off by {(a - b).abs().max():.2g}"


def moves(a: Tensor, b: Tensor, message: str) -> None:
    assert (a - b).abs().max() > 1e-6, message


def state_of(stack: Any, state: Any, number: int) -> Any:
    """The part of the flat state that belongs to layer `number`."""
    size = len(state) // stack.count
    return state[(number - 1) * size : number * size]


# What holds.


def one_step_at_a_time_is_teacher_forcing(kind: Kind) -> None:
    model, (source, target) = kind.make(), words()
    memory, state = model.encode(source, LENGTHS)
    logits, last, seen = model.decode(target, memory, state)
    for t in range(T):
        now, state, looked = model.decode(target[:, t : t + 1], memory, state)
        close(now[:, 0], logits[:, t], f"step {t} says something else on its own")
        close(looked[:, 0], seen[:, t], f"step {t} looks elsewhere on its own")
    for mine, other in zip(state, last, strict=True):
        close(mine, other, "the last state is another one")


def padding_changes_nothing(kind: Kind) -> None:
    """Neither what is said nor any gradient: each sentence alone, and all in one padded batch."""
    model, (source, target) = kind.make(), words()
    wider = torch.cat([source, source.flip(0)[:, :2]], dim=1)
    together = model(wider, LENGTHS, target)
    together.square().sum().backward()
    gradients = weights.gradients(model)
    model.zero_grad()
    for b, length in enumerate(LENGTHS.tolist()):
        row = slice(b, b + 1)
        alone = model(source[row, :length], LENGTHS[row], target[row])
        close(together[row], alone, f"padding changes what is said of sentence {b}")
        alone.square().sum().backward()
    for name, gradient in weights.gradients(model).items():
        close(gradients[name], gradient, f"padding reaches the gradient of {name}", 1e-8)


def equals_the_reference(kind: Kind) -> None:
    model, (source, target) = kind.make(), words()
    arrays = weights.to_arrays(model)
    memory, state = model.encode(source, LENGTHS)
    logits, _, seen = model.decode(target, memory, state)
    reference = by_hand_gnmt if kind.model == "gnmt" else by_hand_deep
    for b, length in enumerate(LENGTHS.tolist()):
        sentence, said = source[b, :length].tolist(), target[b].tolist()
        expected, looked = reference(arrays, sentence, said, kind)
        close(logits[b], expected, f"sentence {b} is not what the equations say")
        close(seen[b, :, :length], looked, f"sentence {b} looks elsewhere than the equations say")


def a_silent_layer_lets_its_input_through(kind: Kind) -> None:
    """x^i = m^i + x^{i−1} with m^i = 0: the input from `residual_from` on, zero below it."""
    start = 3 if kind.model == "gnmt" else kind.residual_from
    for side, number in above_the_bottom(kind):
        given, up, _ = silent(kind, side, number)
        through = start is not None and number >= start
        expected = given if through else torch.zeros_like(up)
        close(up, expected, f"{side} layer {number}: a residual expected: {through}")


def a_silent_layer_remembers_nothing(kind: Kind) -> None:
    """The sum goes up; it is no part of the state."""
    for side, number in above_the_bottom(kind):
        for part in silent(kind, side, number)[2]:
            assert not part.any(), f"{side} layer {number} remembers the sum"


def above_the_bottom(kind: Kind) -> list[tuple[str, int]]:
    numbers = range(2, kind.layers + 1)
    return [(side, number) for side in ("encoder", "decoder") for number in numbers]


def silent(kind: Kind, side: str, number: int) -> tuple[Tensor, Tensor, Any]:
    """Layer `number` alone, silenced: what it reads from below, what goes up, its last state."""
    stack, rng = stack_of(kind, side), torch.Generator().manual_seed(1)
    silence(getattr(stack, f"layer_{number}"))
    stack.count = number  # nothing above it
    both, beside = kind.model == "gnmt" and side == "encoder" and number == 2, None
    given = torch.randn(B, S, 2 * H if both else H, generator=rng).double()
    if kind.model == "gnmt" and side == "decoder":
        beside = torch.randn(B, S, H, generator=rng).double()
    up, state = stack.climb(given, None, None, beside, number)
    return given, up.detach(), state


def only_gnmt_s_bottom_reads_both_ways(kind: Kind) -> None:
    """Change the last input of a layer: does its first output move?"""
    stack, both = stack_of(kind), 1 if kind.model == "gnmt" else None
    for number in range(1, kind.layers + 1):
        size = {1: E, 2: 2 * H if both else H}.get(number, H)
        one = torch.randn(1, S, size, generator=torch.Generator().manual_seed(number)).double()
        other = one.clone()
        other[:, -1] += 1
        first = [stack.layer(number, inputs)[0][:, 0] for inputs in (one, other)]
        moved = not torch.equal(*first)
        assert moved == (number == both), f"encoder layer {number} sees what follows: {moved}"


def states_are_handed_over_at_their_height(kind: Kind) -> None:
    """Silence one encoder layer: the state of the decoder layer at its height is zero, no other."""
    for number in range(2, kind.layers + 1):
        model, (source, _) = kind.make(), words()
        silence(getattr(model.encoder.rnn, f"layer_{number}"))
        _, state = model.encode(source, LENGTHS)
        for other in range(1, kind.layers + 1):
            parts = state_of(model.decoder.rnn, state, other)
            silent = all(not part.any() for part in parts)
            assert silent == (other == number), f"encoder {number} -> decoder {other}: {silent}"


def the_query_is_the_step_before_s(kind: Kind) -> None:
    """Another word at step 2 moves the words said from 2 on, the weights from 3 on."""
    model, (source, target) = kind.make(), words()
    other = target.clone()
    other[:, 2] = (target[:, 2] - 3 + 1) % (SIZES[1] - 3) + 3
    memory, state = model.encode(source, LENGTHS)
    (one, _, before), (two, _, after) = (model.decode(t, memory, state) for t in (target, other))
    close(one[:, :2], two[:, :2], "a word changes what was said before it")
    moves(one[:, 2], two[:, 2], "what is said does not depend on the word before")
    close(before[:, :3], after[:, :3], "the query has seen the word of its own step")
    moves(before[:, 3], after[:, 3], "the query does not depend on the words at all")


def upper_layers_do_not_ask(kind: Kind) -> None:
    """Other weights above the bottom of the decoder: other words, the same looks."""
    model, (source, target) = kind.make(), words()
    memory, state = model.encode(source, LENGTHS)
    for number in range(1, kind.layers + 1):
        before, _, looked = model.decode(target, memory, state)
        with torch.no_grad():
            for parameter in getattr(model.decoder.rnn, f"layer_{number}").parameters():
                parameter.add_(0.3)
        after, _, looks = model.decode(target, memory, state)
        moves(before, after, f"decoder layer {number} changes nothing")
        if number > 1:
            close(looked, looks, f"decoder layer {number} has a say in the query")
        else:
            moves(looked[:, 1:], looks[:, 1:], "the bottom layer has no say in the query")
            close(looked[:, 0], looks[:, 0], "the first query is not the first state")


def the_context_reaches_every_layer(kind: Kind) -> None:
    """Each decoder layer reads the step's context in its last H numbers, and learns from it."""
    model, (source, target) = kind.make(), words()
    read: dict[int, list[Tensor]] = {number: [] for number in range(1, kind.layers + 1)}
    for number, seen in read.items():
        layer = getattr(model.decoder.rnn, f"layer_{number}")
        layer.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
    memory, state = model.encode(source, LENGTHS)
    logits, _, looked = model.decode(target, memory, state)
    logits.square().sum().backward()
    context = looked @ memory.outputs
    for number, seen in read.items():
        close(torch.cat(seen, dim=1)[..., -H:], context, f"layer {number} reads another context")
        weight = getattr(model.decoder.rnn, f"layer_{number}").rnn.weight_ih_l0
        assert weight.grad[:, -H:].abs().amax(dim=0).min() > 1e-8, f"layer {number} learns nothing"


def only_the_bottom_goes_step_by_step(kind: Kind) -> None:
    model, (source, target) = kind.make(), words()
    calls = {number: 0 for number in range(1, kind.layers + 1)}

    def count(number: int) -> None:
        calls[number] += 1

    for number in calls:
        layer = getattr(model.decoder.rnn, f"layer_{number}")
        layer.register_forward_hook(lambda *_, number=number: count(number))
    model(source, LENGTHS, target)
    bottom = T if kind.model == "gnmt" else 1
    assert calls == {n: bottom if n == 1 else 1 for n in calls}, f"calls of the layers: {calls}"


def a_beam_may_choose_rows(kind: Kind) -> None:
    """Choose, then step = step, then choose; some twice, some not at all."""
    model, (source, target) = kind.make(), words()
    rows, tokens = np.array([2, 0, 0, 2]), target[:, 1].numpy()
    state = model.start(source.numpy(), LENGTHS.numpy())
    _, state = model.step(state, target[:, 0].numpy())
    later = model.select(model.step(state, tokens)[1], rows)
    said, chosen = model.step(model.select(state, rows), tokens[rows])
    close(said, model.step(state, tokens)[0][rows], "a chosen row says something else")
    for mine, other in zip(chosen.hidden, later.hidden, strict=True):
        close(mine, other, "a chosen row remembers something else")


def beam_scores_are_the_model_s(kind: Kind) -> None:
    """A hypothesis' score is its log-probability with teacher forcing, a token."""
    model, (source, _) = kind.make(), words()
    sizes = {"batch_size": B, "sos": SOS, "eos": EOS, "max_length": 6}
    state = model.start(source.numpy(), LENGTHS.numpy())
    found = beam_hypotheses(model.step, model.select, state, beam_size=3, **sizes)
    for b, hypotheses in enumerate(found):
        for tokens, score, ended in hypotheses:
            said = [*tokens, EOS] if ended else tokens
            read = torch.tensor([[SOS, *said[:-1]]])
            logits = model(source[b : b + 1], LENGTHS[b : b + 1], read)[0].log_softmax(-1)
            total = sum(logits[t, token].item() for t, token in enumerate(said))
            assert math.isclose(score, total / len(said), abs_tol=1e-9), f"sentence {b}: {said}"
    narrow = beam(model.step, model.select, state, beam_size=1, **sizes)
    assert narrow == greedy(model.step, state, **sizes), "a beam of one is not greedy"


def every_parameter_gets_a_gradient(kind: Kind) -> None:
    model, (source, target) = kind.make(), words()
    model(source, LENGTHS, target).square().sum().backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.any(), f"{name} learns nothing"


def weights_go_there_and_back(kind: Kind) -> None:
    model, other, (source, target) = kind.make(), kind.make(seed=1), words()
    arrays = weights.to_arrays(model)
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert sum(array.size for array in arrays.values()) == count, "weights are missing"
    moves(model(source, LENGTHS, target), other(source, LENGTHS, target), "all models are alike")
    weights.from_arrays(other, arrays)
    close(model(source, LENGTHS, target), other(source, LENGTHS, target), "other weights came in")
    assert f"decoder.rnn.layer_{kind.layers}.w_h" in arrays
    assert ("encoder.rnn.layer_1.backward.w_x" in arrays) == (kind.model == "gnmt")


# The reference: one sentence, one step, one layer after the other.


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm_step(arrays: Any, name: str, x: np.ndarray, state: Any) -> Any:
    h, c = state
    gates = x @ arrays[f"{name}.w_x"] + h @ arrays[f"{name}.w_h"] + arrays[f"{name}.b"]
    i, f, g, o = np.split(gates, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def lstm_row(arrays: Any, name: str, xs: list[np.ndarray], state: Any) -> Any:
    """All steps of one layer: what it says, and its last (h, c)."""
    said = []
    for x in xs:
        state = lstm_step(arrays, name, x, state)
        said.append(state[0])
    return said, state


def nothing() -> Any:
    return np.zeros(H), np.zeros(H)


def looked_up(scores: list[float], annotations: list[np.ndarray]) -> Any:
    powers = np.exp(np.array(scores) - max(scores))
    share = powers / powers.sum()
    return share, sum(a * h for a, h in zip(share, annotations))


def added(xs: list[np.ndarray], ms: list[np.ndarray], residual: bool) -> list[np.ndarray]:
    return [m + x if residual else m for x, m in zip(xs, ms)]


def by_hand_deep(arrays: Any, source: list[int], target: list[int], kind: Kind) -> Any:
    start = kind.residual_from or kind.layers + 1
    xs = [arrays["encoder.embedding.weight"][word] for word in source]
    states = []
    for n in range(1, kind.layers + 1):
        ms, state = lstm_row(arrays, f"encoder.rnn.layer_{n}", xs, nothing())
        xs = added(xs, ms, n >= start)
        states.append(state)
    annotations, said, looks = xs, [], []
    for word in target:
        x = arrays["decoder.embedding.weight"][word]
        for n in range(1, kind.layers + 1):
            states[n - 1] = lstm_step(arrays, f"decoder.rnn.layer_{n}", x, states[n - 1])
            x = states[n - 1][0] + (x if n >= start else 0)
        asks = x @ arrays["attention.score.weight"] if kind.score == "general" else x
        share, context = looked_up([asks @ h for h in annotations], annotations)
        joined = np.concatenate([context, x]) @ arrays["combine.weight"] + arrays["combine.bias"]
        said.append(np.tanh(joined))
        looks.append(share)
    return readout(arrays, said), np.array(looks)


def by_hand_gnmt(arrays: Any, source: list[int], target: list[int], kind: Kind) -> Any:
    words = [arrays["encoder.embedding.weight"][word] for word in source]
    ahead, one = lstm_row(arrays, "encoder.rnn.layer_1.forward", words, nothing())
    back, two = lstm_row(arrays, "encoder.rnn.layer_1.backward", words[::-1], nothing())
    xs = [np.concatenate(pair) for pair in zip(ahead, back[::-1])]
    states = [
        tuple(
            np.tanh(np.concatenate([a, b]) @ arrays[f"{n}.weight"] + arrays[f"{n}.bias"])
            for n, a, b in zip(("bridge", "bridge_cell"), one, two)
        )
    ]
    for n in range(2, kind.layers + 1):
        ms, state = lstm_row(arrays, f"encoder.rnn.layer_{n}", xs, nothing())
        xs = added(xs, ms, n >= 3)
        states.append(state)
    annotations, said, looks = xs, [], []
    query, key, vector = (
        arrays[f"attention.score.{n}"] for n in ("query_weight", "key_weight", "vector")
    )
    for word in target:
        asks = states[0][0] @ query
        scores = [np.tanh(asks + h @ key) @ vector for h in annotations]
        share, context = looked_up(scores, annotations)
        x = arrays["decoder.embedding.weight"][word]
        for n in range(1, kind.layers + 1):
            read = np.concatenate([x, context])
            states[n - 1] = lstm_step(arrays, f"decoder.rnn.layer_{n}", read, states[n - 1])
            x = states[n - 1][0] + (x if n >= 3 else 0)
        said.append(x)
        looks.append(share)
    return readout(arrays, said), np.array(looks)


def readout(arrays: Any, said: list[np.ndarray]) -> np.ndarray:
    return np.array(said) @ arrays["decoder.readout.weight"] + arrays["decoder.readout.bias"]


FOR_ALL: tuple[Check, ...] = (
    one_step_at_a_time_is_teacher_forcing,
    padding_changes_nothing,
    a_silent_layer_lets_its_input_through,
    a_silent_layer_remembers_nothing,
    only_gnmt_s_bottom_reads_both_ways,
    states_are_handed_over_at_their_height,
    only_the_bottom_goes_step_by_step,
    a_beam_may_choose_rows,
    every_parameter_gets_a_gradient,
    weights_go_there_and_back,
)
FOR_LSTM: tuple[Check, ...] = (equals_the_reference, beam_scores_are_the_model_s)
FOR_GNMT: tuple[Check, ...] = (
    the_query_is_the_step_before_s,
    upper_layers_do_not_ask,
    the_context_reaches_every_layer,
)
CASES = [
    pytest.param(check, kind, id=f"{check.__name__}-{kind}")
    for checks, kinds in ((FOR_ALL, KINDS), (FOR_LSTM, LSTMS), (FOR_GNMT, GNMTS))
    for check in checks
    for kind in kinds
]


@pytest.mark.parametrize(("check", "kind"), CASES)
def test_deep(check: Check, kind: Kind) -> None:
    check(kind)


@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_a_stack_without_residuals_is_torch_s_own(side: str) -> None:
    """`nn.LSTM(num_layers=3)` with the same weights, padded sentences, all states."""
    stack = stack_of(PLAIN, side)
    theirs = nn.LSTM(E, H, num_layers=3, batch_first=True).double()
    with torch.no_grad():
        for n in range(3):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                mine = getattr(getattr(stack, f"layer_{n + 1}").rnn, f"{name}_l0")
                getattr(theirs, f"{name}_l{n}").copy_(mine)
    inputs = torch.randn(B, S, E, generator=torch.Generator().manual_seed(0)).double()
    packed = nn.utils.rnn.pack_padded_sequence(inputs, LENGTHS, True, enforce_sorted=False)
    expected, (h, c) = theirs(packed)
    expected, _ = nn.utils.rnn.pad_packed_sequence(expected, batch_first=True, total_length=S)
    outputs, state = stack(inputs, LENGTHS)
    close(outputs, expected, "outputs")
    for n in range(3):
        close(state[2 * n], h[n], f"h of layer {n + 1}")
        close(state[2 * n + 1], c[n], f"c of layer {n + 1}")


def test_a_stack_goes_on_from_a_state() -> None:
    """Two halves with the state handed on = the whole, in a two-way bottom layer's absence."""
    stack = stack_of(DEEP, "decoder")
    inputs = torch.randn(B, S, E, generator=torch.Generator().manual_seed(2)).double()
    whole, last = stack(inputs)
    first, state = stack(inputs[:, :2])
    second, state = stack(inputs[:, 2:], None, state)
    close(torch.cat([first, second], dim=1), whole, "outputs")
    for mine, other in zip(state, last, strict=True):
        close(mine, other, "state")


def test_the_same_seed_gives_the_same_model_and_no_other_draw() -> None:
    for make in (deep.DeepSeq2Seq, deep.GNMT):
        torch.manual_seed(0)
        a, b, c = (weights.to_arrays(make(*SIZES, seed=seed)) for seed in (1, 1, 2))
        assert all((a[name] == b[name]).all() for name in a)
        assert any((a[name] != c[name]).any() for name in a)
        drawn = torch.rand(1)
        torch.manual_seed(0)
        assert drawn == torch.rand(1), "building a model moved the global generator"


def test_dropout_is_for_training_only() -> None:
    source, target = words()
    for make in (deep.DeepSeq2Seq, deep.GNMT):
        model = make(*SIZES, layers=3, dropout=0.5)
        one, two = (model(source, LENGTHS, target) for _ in range(2))
        assert (one != two).any()
        one, two = (model.eval()(source, LENGTHS, target) for _ in range(2))
        assert (one == two).all()


# Wrong ones.


def _climb_step_by_step(self, inputs, lengths, state, beside, first, keep: Callable) -> Any:
    """As `Stack.climb`, one step after the other; `keep` says what a layer remembers of (m, x)."""
    numbers = range(first, self.count + 1)
    states = [None] * len(numbers) if state is None else deep._split(state, len(numbers))
    after: Any = ()
    for number, before in zip(numbers, states, strict=True):
        if isinstance(getattr(self, f"layer_{number}"), recurrent.Bidirectional):
            inputs, last = self.layer(number, inputs, lengths, before, beside)
            after += last
            continue
        ups, real = [], None if lengths is None else lengths[:, None]
        for t in range(inputs.shape[1]):
            x = inputs[:, t : t + 1]
            aside = None if beside is None else beside[:, t : t + 1]
            said, new = self.layer(number, x, None, before, aside)
            up = said + x if number >= self.residual_from else said
            new = (keep(said, up)[:, 0], *new[1:])
            old = before or tuple(torch.zeros_like(part) for part in new)
            here = slice(None) if real is None else t < real
            before = tuple(n if real is None else torch.where(here, n, o) for n, o in zip(new, old))
            ups.append(up if real is None else up * here[:, :, None])
        inputs = torch.cat(ups, dim=1)
        after += before
    return inputs, after


def the_sum_goes_into_the_state(
    self, inputs, lengths=None, state=None, beside=None, first=1
) -> Any:
    """`h = cell(x, h) + x`, as one line of a decoder in a loop."""
    return _climb_step_by_step(self, inputs, lengths, state, beside, first, lambda m, x: x)


def right_step_by_step(self, inputs, lengths=None, state=None, beside=None, first=1) -> Any:
    return _climb_step_by_step(self, inputs, lengths, state, beside, first, lambda m, x: m)


def the_first_input_is_added_everywhere(
    self, inputs, lengths=None, state=None, beside=None, first=1
) -> Any:
    """One long residual from the lowest layer that has one, for one a layer."""
    numbers = range(first, self.count + 1)
    states = [None] * len(numbers) if state is None else deep._split(state, len(numbers))
    after: Any = ()
    lowest = None
    for number, before in zip(numbers, states, strict=True):
        residual = number >= self.residual_from
        lowest = inputs if residual and lowest is None else lowest
        outputs, last = self.layer(number, inputs, lengths, before, beside)
        inputs = outputs + lowest if residual else outputs
        after += last
    return inputs, after


stack_init, stack_layer = deep.Stack.__init__, deep.Stack.layer
gnmt_encode, deep_encode = deep.GNMT.encode, deep.DeepSeq2Seq.encode
attend, select = deep.GNMT.attend, deep.Seq2Seq.select


def residuals_from_the_second_layer(self, *arguments, **options) -> None:
    """On the decoder's side; on the encoder's the sizes refuse it."""
    stack_init(self, *arguments, **options)
    if not options.get("bidirectional"):
        self.residual_from = 2


def residuals_from_the_fourth_layer(self, *arguments, **options) -> None:
    """Layers counted from 0."""
    stack_init(self, *arguments, **options)
    self.residual_from += 1


def residuals_never(self, *arguments, **options) -> None:
    stack_init(self, *arguments, **options)
    self.residual_from = self.count + 1


def all_layers_read_both_ways(self, cell, input_size, hidden_size, layers, *rest, **options):
    """Half the size each way, so that all shapes fit."""
    stack_init(self, cell, input_size, hidden_size, layers, *rest, **options)
    for number in range(2, layers + 1) if options.get("bidirectional") else ():
        size = 2 * hidden_size if number == 2 else hidden_size
        both = recurrent.Bidirectional(deep.CELLS[cell], size, hidden_size // 2)
        setattr(self, f"layer_{number}", both)


def no_layer_reads_both_ways(kind, input_size, hidden_size):
    return kind(input_size, 2 * hidden_size)


def lengths_are_forgotten_above(self, number, inputs, lengths=None, state=None, beside=None):
    return stack_layer(self, number, inputs, lengths if number == 1 else None, state, beside)


def the_row_is_turned_with_its_padding(lengths: Tensor, size: int) -> Tensor:
    """`flip`: the backward layer begins in the padding and never sees the sentence's start."""
    return torch.arange(size - 1, -1, -1).expand(len(lengths), size)


def _step_by_step(self, target_in, memory, state, asks: Callable) -> Any:
    """`GNMT.decode` with all layers in one loop; `asks` gives the query of a step."""
    logits, seen = [], []
    for word in self.decoder.embedding(target_in).split(1, dim=1):
        context, looked = self.attend(asks(word, deep._split(state, self.layers)), memory)
        top, state = self.decoder.rnn.climb(word, None, state, context)
        logits.append(self.decoder.readout(top))
        seen.append(looked)
    return torch.cat(logits, dim=1), state, torch.cat(seen, dim=1)


def all_layers_wait(self, target_in, memory, state):
    """Right in every number, but the upper layers cannot run over all steps at once."""
    return _step_by_step(self, target_in, memory, state, lambda _, states: states[0][0][:, None])


def the_top_layer_asks(self, target_in, memory, state):
    return _step_by_step(self, target_in, memory, state, lambda _, states: states[-1][0][:, None])


def the_step_s_own_state_asks(self, target_in, memory, state):
    """Luong's order: the bottom layer moves (it sees no context yet), then asks."""

    def asks(word, states):
        blank = torch.zeros_like(states[0][0])[:, None]
        return self.decoder.rnn.layer(1, word, None, states[0], blank)[0]

    return _step_by_step(self, target_in, memory, state, asks)


def the_context_stays_below(self, number, inputs, lengths=None, state=None, beside=None):
    above = beside is not None and number > 1
    hidden = torch.zeros_like(beside) if above else beside
    return stack_layer(self, number, inputs, lengths, state, hidden)


def the_context_comes_a_step_late(self, number, inputs, lengths=None, state=None, beside=None):
    above = beside is not None and number > 1
    late = beside.roll(1, dims=1) if above else beside
    return stack_layer(self, number, inputs, lengths, state, late)


def upper_states_upside_down(self, source, lengths):
    memory, state = gnmt_encode(self, source, lengths)
    bottom, *others = deep._split(state, self.layers)
    return memory, tuple(part for layer in (bottom, *others[::-1]) for part in layer)


def only_the_top_hands_over(self, source, lengths):
    memory, state = deep_encode(self, source, lengths)
    return memory, deep._split(state, self.layers)[-1] * self.layers


def upper_states_stay_behind(self, state, rows):
    chosen = select(self, state, rows)
    size = len(state.hidden) // self.layers
    left = tuple(part[torch.arange(len(rows)) % len(part)] for part in state.hidden[size:])
    return chosen._replace(hidden=(*chosen.hidden[:size], *left))


def the_context_is_not_learned_from(self, query, memory):
    context, looked = attend(self, query, memory)
    return context.detach(), looked


CLIMB, INIT, LAYER = "deep.Stack.climb", "deep.Stack.__init__", "deep.Stack.layer"
DECODE, SELECT = "deep.GNMT.decode", "deep.Seq2Seq.select"
MUTANTS = [
    (CLIMB, the_sum_goes_into_the_state, a_silent_layer_remembers_nothing, DEEP),
    (CLIMB, the_sum_goes_into_the_state, a_silent_layer_remembers_nothing, GNMT),
    (CLIMB, the_sum_goes_into_the_state, equals_the_reference, DEEP),
    (CLIMB, the_first_input_is_added_everywhere, equals_the_reference, DEEP),
    (INIT, residuals_from_the_second_layer, a_silent_layer_lets_its_input_through, GNMT),
    (INIT, residuals_from_the_fourth_layer, a_silent_layer_lets_its_input_through, GNMT),
    (INIT, residuals_never, a_silent_layer_lets_its_input_through, DEEP),
    (INIT, all_layers_read_both_ways, only_gnmt_s_bottom_reads_both_ways, GNMT),
    ("deep.Bidirectional", no_layer_reads_both_ways, only_gnmt_s_bottom_reads_both_ways, GNMT),
    (LAYER, lengths_are_forgotten_above, padding_changes_nothing, DEEP),
    (
        "recurrent._reversed_order",
        the_row_is_turned_with_its_padding,
        padding_changes_nothing,
        GNMT,
    ),
    (DECODE, the_top_layer_asks, upper_layers_do_not_ask, GNMT),
    (DECODE, the_step_s_own_state_asks, the_query_is_the_step_before_s, GNMT),
    (DECODE, all_layers_wait, only_the_bottom_goes_step_by_step, GNMT),
    (LAYER, the_context_stays_below, the_context_reaches_every_layer, GNMT),
    (LAYER, the_context_comes_a_step_late, the_context_reaches_every_layer, GNMT),
    ("deep.GNMT.attend", the_context_is_not_learned_from, every_parameter_gets_a_gradient, GNMT),
    ("deep.GNMT.encode", upper_states_upside_down, states_are_handed_over_at_their_height, GNMT),
    (
        "deep.DeepSeq2Seq.encode",
        only_the_top_hands_over,
        states_are_handed_over_at_their_height,
        PLAIN,
    ),
    (SELECT, upper_states_stay_behind, a_beam_may_choose_rows, DEEP),
    (SELECT, upper_states_stay_behind, beam_scores_are_the_model_s, DEEP),
]
VARIANTS = [  # right, written otherwise
    (CLIMB, right_step_by_step, DEEP),
    (CLIMB, right_step_by_step, GNMT),
    (DECODE, all_layers_wait, GNMT),
]


def _named(case: Any) -> str:
    return str(case) if isinstance(case, Kind | str) else getattr(case, "__name__", "")


@pytest.mark.parametrize(("target", "wrong", "check", "kind"), MUTANTS, ids=_named)
def test_mutant_is_caught(target, wrong, check, kind, monkeypatch) -> None:
    check(kind)  # what is right passes
    monkeypatch.setattr(f"attention_course.pytorch.{target}", wrong)
    with pytest.raises(AssertionError):
        check(kind)


@pytest.mark.parametrize(("target", "right", "kind"), VARIANTS, ids=_named)
def test_what_is_right_passes_otherwise_written(target, right, kind, monkeypatch) -> None:
    monkeypatch.setattr(f"attention_course.pytorch.{target}", right)
    checks = {*FOR_ALL, *FOR_LSTM, *(FOR_GNMT if kind.model == "gnmt" else ())}
    for check in checks - {only_the_bottom_goes_step_by_step}:  # which neither of them wants to be
        check(kind)


# The experiment.


def test_gradient_norms_are_those_of_the_layers_and_leave_nothing_behind() -> None:
    vocabulary = Vocabulary.from_sequences([list("abcdef")])
    batch = make_batch([[4, 5, 6], [7, 4]], [[5, 4], [6, 7, 8]], vocabulary, vocabulary)
    model = deep.GNMT(len(vocabulary), len(vocabulary), E, H, layers=3)
    found = depth.gradient_norms(model, batch)
    assert all(p.grad is None for p in model.parameters())
    batch_loss(model, batch).backward()
    gradients = weights.gradients(model)
    for side in ("encoder", "decoder"):
        assert len(found[side]) == 3
        for number, norm in enumerate(found[side], start=1):
            path = f"{side}.rnn.layer_{number}."
            parts = [g for name, g in gradients.items() if name.startswith(path)]
            expected = math.sqrt(sum((part.astype(float) ** 2).sum() for part in parts))
            assert math.isclose(norm, expected, rel_tol=1e-3)


def test_every_run_builds_the_model_that_it_names() -> None:
    task = type("Task", (), {"vocabularies": (range(9), range(11))})
    for one in depth.settings()[: len(depth.RUNS)]:
        small = one | {"fixed": one["fixed"] | {"embed_size": E, "hidden_size": H}}
        model = depth.build(small, task)
        assert type(model) is (deep.GNMT if one["model"] == "gnmt" else deep.DeepSeq2Seq)
        never = one["layers"] + 1
        for part in (model.encoder, model.decoder):
            assert part.rnn.count == one["layers"]
            assert part.rnn.residual_from == (one["residual_from"] or never)


# The drawing.


@pytest.fixture
def drawn() -> Iterator[Callable[[int], Figure]]:
    """`draw_gnmt` in the course's style."""
    with plt.rc_context():
        plotting.use_style()
        yield draw_gnmt
    plt.close("all")


@pytest.mark.parametrize("layers", [2, 3, 4, 8])
def test_the_drawing_shows_who_reads_what(drawn: Callable[[int], Figure], layers: int) -> None:
    """A sum from the third layer on, on both sides; a context for each layer; one query."""
    figure = drawn(layers)
    assert len(figure.findobj(Circle)) == 2 * (layers - 2)
    heads = [a.arrow_patch for a in figure.findobj(Annotation)]
    colours = [to_hex(head.get_edgecolor()).upper() for head in heads]
    counts = {role: colours.count(colour) for role, colour in plotting.ROLES.items()}
    assert counts == {"query": 1, "key": 1, "value": 1, "context": layers}
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert texts.count("layer 1 →") == texts.count("← 1") == texts.count("1 →") == 1
    assert all(texts.count(f"layer {n} →") == 2 for n in range(2, layers + 1))


@pytest.mark.parametrize("layers", [2, 4])
def test_the_drawing_is_legible_on_a_phone(drawn: Callable[[int], Figure], layers: int) -> None:
    """At least 9 pixels on a screen of 390; no text over another or outside the figure."""
    figure = drawn(layers)
    figure.draw_without_rendering()
    shown = [t for t in figure.findobj(Text) if t.get_text()]
    assert all(t.get_fontsize() / 72 / figure.get_figwidth() * 390 >= 9 for t in shown)
    boxes = [t.get_window_extent() for t in shown]
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
    for one, other in combinations(boxes, 2):
        assert not one.padded(-1.5).overlaps(other.padded(-1.5))


def test_the_drawing_refuses_a_single_layer() -> None:
    with pytest.raises(ValueError, match="layers must be 2 or more, got 1"):
        draw_gnmt(1)


# Errors.


@pytest.mark.parametrize(
    ("make", "options", "error", "message"),
    [
        (deep.DeepSeq2Seq, {"layers": 0}, ValueError, "layers must be 1 or more, got 0"),
        (deep.DeepSeq2Seq, {"layers": 2.0}, TypeError, "layers must be an int, got float"),
        (deep.DeepSeq2Seq, {"layers": True}, TypeError, "layers must be an int, got bool"),
        (deep.GNMT, {"layers": 1}, ValueError, "layers must be 2 or more, got 1"),
        (deep.GNMT, {"layers": "4"}, TypeError, "layers must be an int, got str"),
        (deep.DeepSeq2Seq, {"cell": "elman"}, ValueError, "cell must be one of .* got 'elman'"),
        (deep.GNMT, {"cell": "LSTM"}, ValueError, "cell must be one of .* got 'LSTM'"),
        (deep.DeepSeq2Seq, {"score": "additive"}, ValueError, "score must be one of .*'general'"),
        (
            deep.DeepSeq2Seq,
            {"layers": 3, "residual_from": 1},
            ValueError,
            r"residual_from must lie in 2\.\.3 with 3 layers, got 1; below layer 2",
        ),
        (
            deep.DeepSeq2Seq,
            {"layers": 3, "residual_from": 4},
            ValueError,
            r"residual_from must lie in 2\.\.3 with 3 layers, got 4",
        ),
        (
            deep.DeepSeq2Seq,
            {"layers": 1, "residual_from": 2},
            ValueError,
            "residual_from must be None with 1 layers, got 2",
        ),
        (
            deep.DeepSeq2Seq,
            {"residual_from": True},
            TypeError,
            "residual_from must be an int or None, got bool",
        ),
        (
            deep.DeepSeq2Seq,
            {"residual_from": "2"},
            TypeError,
            "residual_from must be an int or None, got str",
        ),
    ],
)
def test_bad_options_are_refused(make, options, error, message) -> None:
    with pytest.raises(error, match=message):
        make(*SIZES, **options)


def test_a_two_way_bottom_moves_the_first_residual_up() -> None:
    with pytest.raises(ValueError, match=r"residual_from must lie in 3\.\.4 .* got 2"):
        deep.Stack("gru", E, H, 4, residual_from=2, bidirectional=True)


def test_bad_inputs_are_refused() -> None:
    stack = deep.Stack("gru", E, H, 2)
    with pytest.raises(ValueError, match=rf"inputs must be \(B, S, {E}\), got \(2, 3, {E + 1}\)"):
        stack(torch.zeros(2, 3, E + 1))
    with pytest.raises(ValueError, match=r"lengths must lie in 1\.\.3, got 1\.\.4"):
        stack(torch.zeros(2, 3, E), torch.tensor([1, 4]))
