"""The same model in NumPy, PyTorch and Keras: one set of weights, one answer.

Everything in float64 on tiny, ragged, asymmetric cases. One adapter a framework says how to build,
load, run and differentiate; the tests know no framework.
"""

from functools import cache
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

import attention_course.keras.attention as keras_attention
import attention_course.keras.bahdanau as keras_bahdanau
import attention_course.keras.recurrent as keras_recurrent
import attention_course.keras.seq2seq as keras_seq2seq
import attention_course.keras.training as keras_training
import attention_course.keras.weights as keras_weights
import attention_course.pytorch.attention as torch_attention
import attention_course.pytorch.bahdanau as torch_bahdanau
import attention_course.pytorch.recurrent as torch_recurrent
import attention_course.pytorch.seq2seq as torch_seq2seq
import attention_course.pytorch.training as torch_training
import attention_course.pytorch.weights as torch_weights
import attention_course.scratch.attention as scratch_attention
import attention_course.scratch.bahdanau as scratch_bahdanau
import attention_course.scratch.losses as scratch_losses
import attention_course.scratch.recurrent as scratch_recurrent
import attention_course.scratch.seq2seq as scratch_seq2seq
import attention_course.scratch.training as scratch_training
import attention_course.scratch.weights as scratch_weights
from attention_course.corpora.batching import Batch
from attention_course.decoding import greedy_with_weights
from attention_course.schedules import linear_schedule, linear_truth

TOLERANCE = 1e-9
SOURCE_SIZE, TARGET_SIZE, EMBED, HIDDEN = 7, 6, 3, 4  # all different: a transposed weight shows
Arrays = dict[str, np.ndarray]
Truth = np.ndarray | None  # (B,T) bool, False = the decoder reads its own word


class Case(NamedTuple):
    """One model to compare."""

    model: str
    cell: str
    bidirectional: bool
    score: str | None = None
    readout: str | None = None

    @property
    def options(self) -> dict[str, str]:
        named = {"score": self.score, "readout": self.readout}
        return {name: value for name, value in named.items() if value}

    @property
    def memory(self) -> int:
        """The size of one encoder state."""
        return 2 * HIDDEN if self.bidirectional else HIDDEN

    @property
    def sizes(self) -> tuple:
        return SOURCE_SIZE, TARGET_SIZE, EMBED, HIDDEN, self.cell, self.bidirectional

    def __str__(self) -> str:
        options = "".join(f"-{value}" for value in self.options.values())
        return f"{self.model}-{self.cell}" + "-bidirectional" * self.bidirectional + options


class Run(NamedTuple):
    """What one recurrent layer answered, and the gradients of a scalar made of all of it."""

    outputs: np.ndarray
    state: tuple[np.ndarray, ...]
    dinputs: np.ndarray
    dstate: tuple[np.ndarray, ...]
    gradients: Arrays


def model_inputs(batch: Batch, truth: Truth) -> tuple[np.ndarray, ...]:
    arrays = (batch.source, batch.source_lengths, batch.target_in)
    return arrays if truth is None else (*arrays, truth)


def model_kinds(*modules: Any) -> dict[str, type]:
    """Every class of the framework's modules by its name."""
    return {name: kind for module in modules for name, kind in vars(module).items()}


scratch_models = model_kinds(scratch_seq2seq, scratch_bahdanau)
torch_models = model_kinds(torch_seq2seq, torch_bahdanau)
keras_models = model_kinds(keras_seq2seq, keras_bahdanau)


class Scratch:
    weights, models = scratch_weights, scratch_seq2seq
    make_train_step = staticmethod(scratch_training.make_train_step)

    def model(self, case: Case, seed: int = 0) -> Any:
        kind = scratch_models[case.model]
        return kind(*case.sizes, seed=seed, dtype=np.float64, **case.options)

    def rnn(self, cell: str, bidirectional: bool) -> Any:
        sizes = (EMBED, HIDDEN, 0, np.float64)
        kind = scratch_seq2seq.CELLS[cell]
        return scratch_recurrent.Bidirectional(kind, *sizes) if bidirectional else kind(*sizes)

    def pooling(self) -> Any:
        return scratch_attention.AttentionPooling(EMBED, HIDDEN, 0, np.float64)

    def large_pooling(self) -> Any:
        return scratch_attention.AttentionPooling(90, 60)

    def pool(self, layer: Any, value, mask, dcontext) -> tuple:
        context, weights = layer.forward(value, mask)
        dvalue = layer.backward(dcontext)
        return context, weights, dvalue, scratch_weights.gradients(layer)

    def logits(self, model: Any, batch: Batch, truth: Truth = None) -> np.ndarray:
        return model.forward(*model_inputs(batch, truth))

    def loss_and_gradients(
        self, model: Any, batch: Batch, truth: Truth = None
    ) -> tuple[float, Arrays]:
        logits = self.logits(model, batch, truth)
        loss, dlogits = scratch_losses.masked_cross_entropy(
            logits, batch.target_out, batch.target_mask
        )
        model.backward(dlogits)
        return loss, scratch_weights.gradients(model)

    def apply(self, layer: Any, inputs, lengths, state):
        return layer.forward(inputs, lengths, state)

    def run(self, layer: Any, inputs, lengths, state, doutputs, dfinal) -> Run:
        outputs, final = layer.forward(inputs, lengths, state)
        dinputs, dstate = layer.backward(doutputs, dfinal)
        return Run(outputs, final, dinputs, dstate, scratch_weights.gradients(layer))


class PyTorch:
    weights, models = torch_weights, torch_seq2seq
    make_train_step = staticmethod(torch_training.make_train_step)

    def model(self, case: Case, seed: int = 0) -> Any:
        kind = torch_models[case.model]
        return kind(*case.sizes, seed=seed, **case.options).double()

    def rnn(self, cell: str, bidirectional: bool) -> Any:
        kind = torch_seq2seq.CELLS[cell]
        sizes = (EMBED, HIDDEN)
        layer = torch_recurrent.Bidirectional(kind, *sizes) if bidirectional else kind(*sizes)
        return layer.double()

    def pooling(self) -> Any:
        return torch_attention.AttentionPooling(EMBED, HIDDEN).double()

    def large_pooling(self) -> Any:
        return torch_attention.AttentionPooling(90, 60)

    def pool(self, layer: Any, value, mask, dcontext) -> tuple:
        value = torch.tensor(value, requires_grad=True)
        context, weights = layer(value, torch.tensor(mask))
        (context * torch.tensor(dcontext)).sum().backward()
        numbers = (context.detach(), weights.detach(), value.grad)
        return *(tensor.numpy() for tensor in numbers), torch_weights.gradients(layer)

    def logits(self, model: Any, batch: Batch, truth: Truth = None) -> np.ndarray:
        return model(*map(torch.tensor, model_inputs(batch, truth))).detach().numpy()

    def loss_and_gradients(
        self, model: Any, batch: Batch, truth: Truth = None
    ) -> tuple[float, Arrays]:
        model.zero_grad()
        loss = torch_training.batch_loss(model, batch, truth=truth)
        loss.backward()
        return loss.item(), torch_weights.gradients(model)

    def apply(self, layer: Any, inputs, lengths, state):
        lengths = None if lengths is None else torch.tensor(lengths)
        state = None if state is None else tuple(map(torch.tensor, state))
        with torch.no_grad():
            outputs, final = layer(torch.tensor(inputs), lengths, state)
        return outputs.numpy(), tuple(part.numpy() for part in final)

    def run(self, layer: Any, inputs, lengths, state, doutputs, dfinal) -> Run:
        layer.zero_grad()
        inputs = torch.tensor(inputs, requires_grad=True)
        state = tuple(torch.tensor(part, requires_grad=True) for part in state)
        lengths = None if lengths is None else torch.tensor(lengths)
        outputs, final = layer(inputs, lengths, state)
        torch_scalar(outputs, final, doutputs, dfinal).backward()
        gradients = torch_weights.gradients(layer)
        return as_run(outputs, final, inputs.grad, [part.grad for part in state], gradients)


class Keras:
    weights, models = keras_weights, keras_seq2seq
    make_train_step = staticmethod(keras_training.make_train_step)

    def model(self, case: Case, seed: int = 0) -> Any:
        kind = keras_models[case.model]
        return kind(*case.sizes, seed=seed, dtype="float64", **case.options)

    def rnn(self, cell: str, bidirectional: bool) -> Any:
        sizes = (EMBED, HIDDEN, 0, "float64")
        kind = keras_seq2seq.CELLS[cell]
        return keras_recurrent.Bidirectional(kind, *sizes) if bidirectional else kind(*sizes)

    def pooling(self) -> Any:
        return keras_attention.AttentionPooling(EMBED, HIDDEN, dtype="float64")

    def large_pooling(self) -> Any:
        return keras_attention.AttentionPooling(90, 60)

    def pool(self, layer: Any, value, mask, dcontext) -> tuple:
        value = tf.constant(value)
        with tf.GradientTape() as tape:
            tape.watch(value)
            context, weights = layer(value, mask)
            loss = tf.reduce_sum(context * dcontext)
        numbers = (context, weights, tape.gradient(loss, value))
        gradients = keras_weights.gradients(
            layer, lambda: tf.reduce_sum(layer(value, mask)[0] * dcontext)
        )
        return *(tensor.numpy() for tensor in numbers), gradients

    def logits(self, model: Any, batch: Batch, truth: Truth = None) -> np.ndarray:
        return model(*model_inputs(batch, truth)).numpy()

    def loss_and_gradients(
        self, model: Any, batch: Batch, truth: Truth = None
    ) -> tuple[float, Arrays]:
        losses = []

        def loss() -> tf.Tensor:
            losses.append(keras_training.batch_loss(model, batch, truth))
            return losses[0]

        gradients = keras_weights.gradients(model, loss)
        return float(losses[0]), gradients

    def apply(self, layer: Any, inputs, lengths, state):
        outputs, final = layer(inputs, lengths, state)
        return outputs.numpy(), tuple(part.numpy() for part in final)

    def run(self, layer: Any, inputs, lengths, state, doutputs, dfinal) -> Run:
        inputs, state = tf.constant(inputs), tuple(map(tf.constant, state))

        def scalar(answer: tuple) -> tf.Tensor:
            return keras_scalar(*answer, doutputs, dfinal)

        with tf.GradientTape() as tape:
            tape.watch([inputs, state])
            answer = layer(inputs, lengths, state)
            loss = scalar(answer)
        dinputs, dstate = tape.gradient(loss, (inputs, state))
        gradients = keras_weights.gradients(layer, lambda: scalar(layer(inputs, lengths, state)))
        return as_run(*answer, dinputs, dstate, gradients)


FRAMEWORKS = {"scratch": Scratch(), "pytorch": PyTorch(), "keras": Keras()}
ATTENTION = [
    Case("AttentionSeq2Seq", "gru", False, "dot"),
    Case("AttentionSeq2Seq", "lstm", False, "dot"),
    Case("AttentionSeq2Seq", "lstm", False, "scaled_dot"),
    Case("AttentionSeq2Seq", "lstm", True, "general"),
    Case("AttentionSeq2Seq", "gru", True, "additive"),
    Case("BahdanauSeq2Seq", "gru", True),
    Case("BahdanauSeq2Seq", "lstm", True),
    Case("BahdanauSeq2Seq", "rnn", False),
]
MAXOUT = [Case("BahdanauSeq2Seq", cell, True, None, "maxout") for cell in ("gru", "lstm")]
BAHDANAU = [case for case in ATTENTION if case.model == "BahdanauSeq2Seq"]
CASES = [
    Case(model, cell, both)
    for model in ("Seq2Seq", "PeekySeq2Seq")
    for cell in ("gru", "lstm")
    for both in (False, True)
] + [Case("Seq2Seq", "rnn", True), *ATTENTION]
LAYERS = [(cell, both) for cell in ("rnn", "gru", "lstm") for both in (False, True)]

each_framework = pytest.mark.parametrize("framework", FRAMEWORKS)
# torch's gradients come from its own autograd through its own fused layers: the reference.
each_other = pytest.mark.parametrize("framework", ["scratch", "keras"])
each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_attention = pytest.mark.parametrize("case", ATTENTION, ids=str)
# Keras has no maxout.
each_pair = pytest.mark.parametrize(
    ("framework", "case"),
    [(name, case) for name in ("scratch", "keras") for case in BAHDANAU]
    + [("scratch", case) for case in MAXOUT],
    ids=str,
)


def torch_scalar(outputs, final, doutputs, dfinal):
    pairs = zip((outputs, *final), (doutputs, *dfinal), strict=True)
    return sum((value * torch.tensor(weight)).sum() for value, weight in pairs)


def keras_scalar(outputs, final, doutputs, dfinal):
    pairs = zip((outputs, *final), (doutputs, *dfinal), strict=True)
    return tf.add_n([tf.reduce_sum(value * weight) for value, weight in pairs])


def as_run(outputs, final, dinputs, dstate, gradients) -> Run:
    def number(tensor):
        return (tensor.detach() if isinstance(tensor, torch.Tensor) else tensor).numpy()

    return Run(
        number(outputs),
        tuple(map(number, final)),
        number(dinputs),
        tuple(map(number, dstate)),
        gradients,
    )


# What goes in: the same for everybody.


def rnn_shapes(cell: str, inputs: int, prefix: str) -> dict[str, tuple[int, ...]]:
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[cell] * HIDDEN
    biases = ("b_x", "b_h") if cell == "gru" else ("b",)
    shapes = {"w_x": (inputs, gates), "w_h": (HIDDEN, gates)} | dict.fromkeys(biases, (gates,))
    return {prefix + name: shape for name, shape in shapes.items()}


def linear_shapes(inputs: int, outputs: int, prefix: str) -> dict[str, tuple[int, ...]]:
    return {prefix + "weight": (inputs, outputs), prefix + "bias": (outputs,)}


def shapes(case: Case) -> dict[str, tuple[int, ...]]:
    """Every parameter of the model: the layout that a file of weights has, whoever wrote it."""
    directions = ("forward.", "backward.") if case.bidirectional else ("",)
    bridges = ("bridge", "bridge_cell")[: 2 if case.cell == "lstm" else 1]
    bahdanau = case.model == "BahdanauSeq2Seq"
    read = {"PeekySeq2Seq": HIDDEN, "BahdanauSeq2Seq": case.memory}.get(case.model, 0)
    seen = {
        "Seq2Seq": 0,
        "PeekySeq2Seq": HIDDEN,
        "AttentionSeq2Seq": case.memory,
        "BahdanauSeq2Seq": case.memory + EMBED,
    }[case.model]
    named = {"encoder.embedding.weight": (SOURCE_SIZE, EMBED)}
    for direction in directions:
        named |= rnn_shapes(case.cell, EMBED, f"encoder.rnn.{direction}")
    named["decoder.embedding.weight"] = (TARGET_SIZE, EMBED)
    named |= rnn_shapes(case.cell, EMBED + read, "decoder.rnn.")
    if case.readout == "maxout":
        named |= linear_shapes(HIDDEN + seen, HIDDEN, "maxout.")
    readout = HIDDEN // 2 if case.readout == "maxout" else HIDDEN + seen
    named |= linear_shapes(readout, TARGET_SIZE, "decoder.readout.")
    for bridge in bridges if case.bidirectional else ():
        named |= linear_shapes(2 * HIDDEN, HIDDEN, f"{bridge}.")
    if case.score == "general":
        named["attention.score.weight"] = (HIDDEN, case.memory)
    if case.score == "additive" or bahdanau:
        named |= additive_shapes(case.memory, "attention.score.")
    return named


def additive_shapes(key_size: int, prefix: str) -> dict[str, tuple[int, ...]]:
    shapes = {"query_weight": (HIDDEN, HIDDEN), "key_weight": (key_size, HIDDEN)}
    return {prefix + name: shape for name, shape in (shapes | {"vector": (HIDDEN,)}).items()}


def draw(named: dict[str, tuple[int, ...]], seed: int = 1) -> Arrays:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0.1, 0.6, shape) for name, shape in named.items()}


def ragged_batch(seed: int = 2, extra: int = 0) -> Batch:
    """B = 4, S = 5, T = 6, lengths all different; padding is filled with real ids: nobody may look.

    `extra` more columns of padding change nothing else.
    """
    rng = np.random.default_rng(seed)
    source = rng.integers(0, SOURCE_SIZE, (4, 5))
    target_in, target_out = rng.integers(0, TARGET_SIZE, (2, 4, 6))

    def widened(ids: np.ndarray, size: int) -> np.ndarray:
        return np.concatenate([ids, rng.integers(0, size, (4, extra))], axis=1)

    return Batch(
        widened(source, SOURCE_SIZE),
        np.array([2, 5, 1, 4]),
        widened(target_in, TARGET_SIZE),
        widened(target_out, TARGET_SIZE),
        np.array([6, 1, 3, 5]),
    )


@cache
def loaded(framework: str, case: Case, seed: int = 1) -> Any:
    """A model with the weights that all share; no test may change it."""
    model = FRAMEWORKS[framework].model(case)
    FRAMEWORKS[framework].weights.from_arrays(model, draw(shapes(case), seed))
    return model


@cache
def reference(case: Case) -> tuple[np.ndarray, float, Arrays]:
    model = loaded("pytorch", case)
    loss, gradients = PyTorch().loss_and_gradients(model, ragged_batch())
    return PyTorch().logits(model, ragged_batch()), loss, gradients


def assert_equal(name: str, ours: np.ndarray, theirs: np.ndarray, tolerance=TOLERANCE) -> None:
    assert np.shape(ours) == np.shape(theirs), name
    difference = np.abs(np.asarray(ours) - theirs).max()
    assert difference < tolerance, f"{name}: differs by {difference:.1e}"


def assert_all_equal(ours: Arrays, theirs: Arrays, tolerance=TOLERANCE) -> None:
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert_equal(name, array, theirs[name], tolerance)


@pytest.fixture(autouse=True)
def uncompiled():
    """Without tf.function, whose compiling takes longer than all else here."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def compiled(uncompiled):
    """Everything as it is used."""
    tf.config.run_functions_eagerly(False)


# Models.


@each_framework
@each_case
def test_parameters_have_the_common_names_and_shapes(framework, case):
    arrays = FRAMEWORKS[framework].weights.to_arrays(loaded(framework, case))
    assert {name: array.shape for name, array in arrays.items()} == shapes(case)


@each_framework
@each_case
def test_weights_come_back_as_they_went_in(framework, case):
    arrays = FRAMEWORKS[framework].weights.to_arrays(loaded(framework, case))
    assert_all_equal(arrays, draw(shapes(case)), tolerance=1e-15)


@each_other
@each_case
def test_logits_are_equal(framework, case):
    logits = FRAMEWORKS[framework].logits(loaded(framework, case), ragged_batch())
    assert_equal("logits", logits, reference(case)[0])


@each_other
@each_case
def test_loss_and_every_gradient_are_equal(framework, case):
    model = loaded(framework, case)
    loss, gradients = FRAMEWORKS[framework].loss_and_gradients(model, ragged_batch())
    _, expected_loss, expected = reference(case)
    assert_equal("loss", loss, expected_loss)
    assert_all_equal(gradients, expected)


@each_case
def test_the_reference_gradients_are_worth_comparing_with(case):
    for name, gradient in reference(case)[2].items():
        assert np.abs(gradient).max() > 1e-4, f"{name} has next to no gradient in this test"


@each_framework
@each_case
def test_step_by_step_says_what_teacher_forcing_says(framework, case):
    model, batch = loaded(framework, case), ragged_batch()
    logits = FRAMEWORKS[framework].logits(model, batch)
    expected = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    state = model.start(batch.source, batch.source_lengths)
    for t, tokens in enumerate(batch.target_in.T):
        log_probs, state = model.step(state, tokens)
        assert isinstance(log_probs, np.ndarray)
        assert_equal(f"log_probs of step {t}", log_probs, expected[:, t])


@each_framework
@each_case
def test_padding_changes_nothing(framework, case):
    """Three more columns of ids that mean something, against the reference without them."""
    code, model, longer = FRAMEWORKS[framework], loaded(framework, case), ragged_batch(extra=3)
    logits, loss, gradients = reference(case)
    assert_equal("logits", code.logits(model, longer)[:, : logits.shape[1]], logits)
    longer_loss, longer_gradients = code.loss_and_gradients(model, longer)
    assert_equal("loss", longer_loss, loss)
    assert_all_equal(longer_gradients, gradients)


@each_framework
@each_case
def test_the_last_real_source_token_does_change_the_logits(framework, case):
    code, model, batch = FRAMEWORKS[framework], loaded(framework, case), ragged_batch()
    before = code.logits(model, batch)
    source = batch.source.copy()
    rows = np.arange(len(source))
    source[rows, batch.source_lengths - 1] = (
        source[rows, batch.source_lengths - 1] + 1
    ) % SOURCE_SIZE
    change = np.abs(code.logits(model, batch._replace(source=source)) - before).max(axis=(1, 2))
    assert (change > 1e-3).all(), f"rows that did not notice: {np.flatnonzero(change <= 1e-3)}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "options", "tolerance"),
    [
        (Case("Seq2Seq", "gru", False), {"max_norm": 1e9}, TOLERANCE),
        # torch divides by (norm + 1e-6) when it clips, the others by the norm.
        (Case("PeekySeq2Seq", "lstm", True), {"max_norm": 0.1}, 1e-6),
        (
            ATTENTION[3],
            {"learning_rate": linear_schedule(0.02, steps=5, warmup=2), "max_norm": 1e9},
            TOLERANCE,
        ),
    ],
    ids=["plain, unclipped", "all parts, clipped", "attention, with a schedule"],
)
def test_five_updates_with_adam_give_the_same_losses(compiled, case, options, tolerance):
    """The batches differ in shape, so what is compiled is compiled for any shape as well."""
    losses, weights = {}, {}
    for name, code in FRAMEWORKS.items():
        model = code.model(case)
        code.weights.from_arrays(model, draw(shapes(case)))
        train_step = code.make_train_step(model, **{"learning_rate": 0.02} | options)
        losses[name] = [train_step(ragged_batch(i, extra=i % 2)) for i in range(5)]
        weights[name] = code.weights.to_arrays(model)
        assert all(type(loss) is float for loss in losses[name])
    for name in ("scratch", "keras"):
        assert_equal(f"losses of {name}", losses[name], np.array(losses["pytorch"]), tolerance)
        assert_all_equal(weights[name], weights["pytorch"], tolerance)
    assert_all_equal(weights["scratch"], weights["keras"])


@pytest.mark.slow
def test_training_on_own_words_walks_the_same_path(compiled):
    """From truth alone to 3 of 10, with the same coins; and other coins give other losses."""
    losses, weights, case = {}, {}, BAHDANAU[0]
    for name, seed in (("pytorch", 5), ("scratch", 5), ("keras", 5), ("pytorch", 6)):
        code = FRAMEWORKS[name]
        model = code.model(case)
        code.weights.from_arrays(model, draw(shapes(case)))
        truth = linear_truth(1.1, 0.2)
        train_step = code.make_train_step(model, 0.02, 1e9, truth=truth, seed=seed)
        losses[name, seed] = [train_step(ragged_batch(i, extra=i % 2)) for i in range(4)]
        weights[name, seed] = code.weights.to_arrays(model)
    for name in ("scratch", "keras"):
        assert_equal("losses", losses[name, 5], np.array(losses["pytorch", 5]))
        assert_all_equal(weights[name, 5], weights["pytorch", 5])
    assert abs(losses["pytorch", 5][-1] - losses["pytorch", 6][-1]) > 1e-6


@each_framework
def test_a_schedule_is_asked_for_every_step_and_obeyed(framework):
    """Steps count from 1; a rate of 0 leaves every weight as it was, for that step alone."""
    code, asked = FRAMEWORKS[framework], []

    def rate(step: int) -> float:
        asked.append(step)
        return 0.0 if step == 2 else 0.01

    model = code.model(Case("Seq2Seq", "gru", False))
    train_step = code.make_train_step(model, rate)
    for step in (1, 2, 3):
        before = code.weights.to_arrays(model)
        train_step(ragged_batch(step))
        after = code.weights.to_arrays(model)
        changed = [name for name in before if not np.array_equal(before[name], after[name])]
        assert len(changed) == (0 if step == 2 else len(before)), changed
    assert asked == [1, 2, 3]


@each_framework
def test_clipping_is_by_the_norm_of_all_gradients_together(framework):
    """After one step m = (1 − β₁) · clipped gradient, so Adam itself hides a wrong norm: two steps,
    of which the first is clipped and the second is not, show it.
    """
    case = Case("Seq2Seq", "gru", False)
    code = FRAMEWORKS[framework]
    batches = [ragged_batch(0), ragged_batch(1)]
    model = code.model(case)
    code.weights.from_arrays(model, draw(shapes(case)))
    start = draw(shapes(case))
    _, first = code.loss_and_gradients(model, batches[0])
    norm = np.sqrt(sum(np.sum(np.square(g)) for g in first.values()))
    train_step = code.make_train_step(model, learning_rate=0.01, max_norm=norm / 2)
    train_step(batches[0])
    middle = code.weights.to_arrays(model)
    _, second = code.loss_and_gradients(model, batches[1])
    second_norm = np.sqrt(sum(np.sum(np.square(g)) for g in second.values()))
    train_step(batches[1])
    factor = min(1, norm / 2 / second_norm)
    for name, before in start.items():
        g1, g2 = first[name] / 2, second[name] * factor
        m1, v1 = 0.1 * g1, 0.001 * g1**2
        m2, v2 = 0.9 * m1 + 0.1 * g2, 0.999 * v1 + 0.001 * g2**2
        after = before - 0.01 * (m1 / 0.1) / (np.sqrt(v1 / 0.001) + 1e-8)
        assert_equal(name, middle[name], after, 1e-6)
        after -= 0.01 * (m2 / (1 - 0.9**2)) / (np.sqrt(v2 / (1 - 0.999**2)) + 1e-8)
        assert_equal(name, code.weights.to_arrays(model)[name], after, 1e-6)


# Its own words: scheduled sampling.

DOUBT = np.array([[1, 0, 1, 0, 0, 1], [1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0], [1, 1, 0, 1, 1, 1]])
DOUBT = DOUBT.astype(bool)  # the truth (B,T) of the tests below


@cache
def sampled_reference(case: Case) -> tuple[np.ndarray, float, Arrays]:
    model, code = loaded("pytorch", case), PyTorch()
    logits = code.logits(model, ragged_batch(), DOUBT)
    return logits, *code.loss_and_gradients(model, ragged_batch(), DOUBT)


@each_pair
@pytest.mark.parametrize("truth", [None, DOUBT], ids=["told", "own words"])
def test_bahdanau_gives_equal_logits_loss_and_gradients(framework, case, truth):
    code, model = FRAMEWORKS[framework], loaded(framework, case)
    expected = reference(case) if truth is None else sampled_reference(case)
    assert_equal("logits", code.logits(model, ragged_batch(), truth), expected[0])
    loss, gradients = code.loss_and_gradients(model, ragged_batch(), truth)
    assert_equal("loss", loss, expected[1])
    assert_all_equal(gradients, expected[2])


@each_pair
def test_own_words_are_those_that_it_would_say(framework, case):
    """Where `truth` is False, the token read is the most probable one of the step before."""
    code, model, batch = FRAMEWORKS[framework], loaded(framework, case), ragged_batch()
    logits = code.logits(model, batch, DOUBT)
    read = batch.target_in.copy()
    read[:, 1:] = np.where(DOUBT[:, 1:], read[:, 1:], logits[:, :-1].argmax(axis=-1))
    assert (read != batch.target_in)[:3].any(axis=1).all(), "own words that happen to be right"
    assert_equal("logits", code.logits(model, batch._replace(target_in=read)), logits)


@each_pair
def test_truth_everywhere_is_teacher_forcing_and_the_first_token_is_always_read(framework, case):
    code, model, batch = FRAMEWORKS[framework], loaded(framework, case), ragged_batch()
    told = np.ones_like(DOUBT)
    told[:2, 0] = False  # nobody has said anything before the first step
    assert_equal("logits", code.logits(model, batch, told), reference(case)[0])


@pytest.mark.parametrize("framework", ["scratch", "pytorch"])
@pytest.mark.parametrize("case", MAXOUT, ids=str)
def test_maxout_step_by_step_says_what_teacher_forcing_says(framework, case):
    test_step_by_step_says_what_teacher_forcing_says(framework, case)
    assert (
        FRAMEWORKS[framework].weights.to_arrays(loaded(framework, case)).keys()
        == shapes(case).keys()
    )


@each_framework
def test_a_readout_that_is_unknown_is_refused_and_maxout_where_it_is_not(framework):
    case = MAXOUT[0]
    with pytest.raises(ValueError, match=r"readout must be one of .*, got 'tanh'"):
        FRAMEWORKS[framework].model(case._replace(readout="tanh"))
    if framework == "keras":
        with pytest.raises(ValueError, match=r"readout must be one of .*, got 'maxout'"):
            FRAMEWORKS[framework].model(case)


@each_framework
@pytest.mark.parametrize("case", [CASES[0], CASES[5], *BAHDANAU[:2]], ids=str)
def test_selected_rows_go_on_as_if_they_had_been_alone(framework, case):
    """For beam search: rows in another order, one twice, one left out."""
    model, batch, rows = loaded(framework, case), ragged_batch(), np.array([3, 1, 1])
    state = model.start(batch.source, batch.source_lengths)
    _, state = model.step(state, batch.target_in[:, 0])
    expected, all_rows = model.step(state, batch.target_in[:, 1])
    log_probs, some = model.step(model.select(state, rows), batch.target_in[rows, 1])
    assert_equal("log_probs", log_probs, expected[rows])
    chosen = model.select(state, rows)
    if state.weights is None:
        assert chosen.weights is None
    else:
        assert_equal("weights", chosen.weights, state.weights[rows])
        assert_equal("next weights", some.weights, all_rows.weights[rows])
    again, _ = model.step(state, batch.target_in[:, 1])
    assert_equal("log_probs of all", again, expected, 1e-15)  # the state is as it was


# Pooling.


@pytest.mark.parametrize("framework", ["scratch", "keras"])
def test_pooling_gives_equal_contexts_weights_and_gradients(framework):
    rng = np.random.default_rng(7)
    value, dcontext = rng.normal(size=(4, 5, EMBED)), rng.normal(size=(4, EMBED))
    mask = (np.arange(5) < np.array([2, 5, 0, 4])[:, None])[:, None]  # one row without a token
    shapes = {"key_weight": (EMBED, HIDDEN), "bias": (HIDDEN,), "vector": (HIDDEN,)}
    answers = {}
    for name in (framework, "pytorch"):
        code = FRAMEWORKS[name]
        layer = code.pooling()
        arrays = draw(shapes)
        code.weights.from_arrays(layer, arrays)
        assert_all_equal(code.weights.to_arrays(layer), arrays, 1e-15)
        answers[name] = code.pool(layer, value, mask, dcontext)
    *ours, gradients = answers[framework]
    *theirs, expected = answers["pytorch"]
    for name, mine, other in zip(("context", "weights", "dvalue"), ours, theirs, strict=True):
        assert_equal(name, mine, other)
    assert not ours[1][2].any() and not ours[2][2].any()
    assert np.abs(ours[1][1]).max() < 0.9, "weights that say nothing"
    assert_all_equal(gradients, expected)


@each_framework
def test_additive_layers_start_like_linear_ones(framework):
    """Uniform ±1/√in; the vector's in is the hidden size, and the pooling's bias has the keys'."""
    code = FRAMEWORKS[framework]
    model = code.models.AttentionSeq2Seq(9, 8, 30, 40, "gru", True, score="additive")
    arrays = code.weights.to_arrays(model)
    bounds = {"query_weight": 40, "key_weight": 80, "vector": 40}
    for name, fan in bounds.items():
        assert_uniform(name, arrays[f"attention.score.{name}"], fan**-0.5)
    for name, array in code.weights.to_arrays(code.large_pooling()).items():
        assert_uniform(name, array, (60 if name == "vector" else 90) ** -0.5)


def assert_uniform(name: str, array: np.ndarray, bound: float) -> None:
    assert array.dtype == np.float32, name
    assert 0.85 * bound < np.abs(array).max() <= bound and array.min() < 0 < array.max(), name


# Where a model with attention looks.

SOS, EOS, LONGEST = 1, 2, 6
TALKATIVE = dict(zip(ATTENTION[4:], (21, 4, 10, 45), strict=True))  # seeds


def talker(framework: str, case: Case) -> Any:
    """A model of which some sentences end early and some not at all."""
    return loaded(framework, case, seed=TALKATIVE.get(case, 22))


def decode(framework: str, case: Case, rows: slice = slice(None)) -> tuple[list, np.ndarray]:
    """Free-running: what is said, and the weights (B,T,S)."""
    model, batch = talker(framework, case), ragged_batch()
    lengths = batch.source_lengths[rows]
    state = model.start(batch.source[rows, : lengths.max()], lengths)
    return greedy_with_weights(model.step, state, len(lengths), SOS, EOS, LONGEST)


@pytest.mark.parametrize("framework", ["scratch", "keras"])
@each_attention
def test_all_say_the_same_and_look_at_the_same(framework, case):
    said, weights = decode("pytorch", case)
    ours, our_weights = decode(framework, case)
    assert ours == said
    assert_equal("weights", our_weights, weights)
    batch = ragged_batch()
    arrays = (batch.source, batch.source_lengths, batch.target_in)
    alignments = [talker(name, case).alignment(*arrays) for name in (framework, "pytorch")]
    assert all(isinstance(alignment, np.ndarray) for alignment in alignments)
    assert_equal("alignment", *alignments)


def test_these_cases_end_early_and_late_and_look_around():
    """What the tests below rest on."""
    for case in ATTENTION:
        said, weights = decode("pytorch", case)
        ends = [len(words) for words in said]
        assert min(ends) < 4 and max(ends) == LONGEST, (case, ends)
        five = weights[1, 0]  # the row whose source has five tokens
        assert 1 / 5 + 0.01 < five.max() < 0.99, (case, five)


@each_framework
@each_attention
def test_weights_are_spread_over_the_real_tokens_until_a_sentence_ends(framework, case):
    said, weights = decode(framework, case)
    source_lengths = ragged_batch().source_lengths
    steps = min(LONGEST, max(map(len, said)) + 1)
    assert weights.shape == (4, steps, 5)
    for rows, words, length in zip(weights, said, source_lengths, strict=True):
        spoken = rows[: len(words) + 1]
        assert (spoken[:, :length] > 0).all() and not spoken[:, length:].any()
        np.testing.assert_allclose(spoken.sum(axis=-1), 1, rtol=1e-14)
        assert not rows[len(words) + 1 :].any()


@each_framework
@each_attention
def test_free_running_looks_where_teacher_forcing_with_the_same_words_looks(framework, case):
    said, weights = decode(framework, case)
    target_in = np.full((4, weights.shape[1]), EOS)
    target_in[:, 0] = SOS
    for row, words in zip(target_in, said, strict=True):
        row[1 : len(words) + 1] = words[: len(row) - 1]
    batch = ragged_batch()
    model = talker(framework, case)
    alignment = model.alignment(batch.source, batch.source_lengths, target_in)
    spoken = weights.any(axis=-1)
    assert_equal("weights", weights[spoken], alignment[spoken])


@each_framework
@each_attention
def test_a_batch_looks_where_its_rows_alone_look(framework, case):
    said, weights = decode(framework, case)
    for b in range(4):
        alone, its_weights = decode(framework, case, slice(b, b + 1))
        _, steps, size = its_weights.shape
        assert alone == [said[b]]
        assert_equal(f"weights of row {b}", its_weights[0], weights[b, :steps, :size])
        assert not weights[b, steps:].any() and not weights[b, :, size:].any()


@each_framework
def test_a_model_without_attention_has_no_weights_to_give(framework):
    model, batch = loaded(framework, CASES[0]), ragged_batch()
    state = model.start(batch.source, batch.source_lengths)
    assert state.weights is None
    with pytest.raises(TypeError, match="no attention weights; use greedy"):
        greedy_with_weights(model.step, state, 4, SOS, EOS, LONGEST)


@each_framework
def test_without_the_context_s_rows_of_the_readout_it_is_the_plain_model(framework):
    """The readout sees [c_t; s_t], in this order: a file of weights must mean the same."""
    code, plain = FRAMEWORKS[framework], Case("Seq2Seq", "lstm", False)
    arrays = draw(shapes(ATTENTION[1]))
    arrays["decoder.readout.weight"][:HIDDEN] = 0
    model, other = code.model(ATTENTION[1]), code.model(plain)
    code.weights.from_arrays(model, arrays)
    arrays["decoder.readout.weight"] = arrays["decoder.readout.weight"][HIDDEN:]
    code.weights.from_arrays(other, arrays)
    batch = ragged_batch()
    assert_equal("logits", code.logits(model, batch), code.logits(other, batch))


@each_framework
@pytest.mark.parametrize("score", ["dot", "scaled_dot", "cosine"])
def test_a_score_that_is_unknown_or_does_not_fit_the_encoder_is_refused(framework, score):
    known = "one of .*'cosine'" if score == "cosine" else f"\"general\" or .* got '{score}'"
    with pytest.raises(ValueError, match=f"score must be {known}"):
        FRAMEWORKS[framework].model(Case("AttentionSeq2Seq", "gru", True, score))


# Weights from elsewhere.


@each_framework
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("decoder.rnn.b_x"), "decoder.rnn.b_x"),
        (lambda a: a.update({"decoder.rnn.b": np.zeros(4)}), r"decoder\.rnn\.b'"),
        (
            lambda a: a.update({"decoder.rnn.w_x": a["decoder.rnn.w_x"].T}),
            r"decoder\.rnn\.w_x.*\(3, 12\).*\(12, 3\)",
        ),
    ],
    ids=["missing", "unexpected", "transposed"],
)
def test_arrays_that_do_not_fit_are_named_and_change_nothing(framework, change, message):
    case, code = Case("Seq2Seq", "gru", False), FRAMEWORKS[framework]
    model = code.model(case)
    before = code.weights.to_arrays(model)
    arrays = draw(shapes(case))
    change(arrays)
    with pytest.raises(ValueError, match=message):
        code.weights.from_arrays(model, arrays)
    assert_all_equal(code.weights.to_arrays(model), before, 1e-15)


@each_framework
def test_arrays_that_went_out_are_copies(framework):
    case, code = Case("Seq2Seq", "lstm", True), FRAMEWORKS[framework]
    model = code.model(case)
    before = code.weights.to_arrays(model)
    for array in code.weights.to_arrays(model).values():
        array += 1
    assert_all_equal(code.weights.to_arrays(model), before, 1e-15)


@each_framework
def test_initial_weights_follow_the_common_rule(framework):
    """Uniform(±1/√H) in recurrent layers, ±1/√in in linear ones, N(0, 1) in embeddings."""
    code = FRAMEWORKS[framework]
    arrays = code.weights.to_arrays(code.models.PeekySeq2Seq(60, 50, 30, 40, "lstm", True))
    for name, array in arrays.items():
        assert array.dtype == np.float32, name
        if "embedding" in name:
            assert abs(array.std() - 1) < 0.1 and np.abs(array).max() > 2, name
            continue
        bound = (40 if ".rnn." in name else 80) ** -0.5  # readout and bridges have 80 inputs
        assert np.abs(array).max() <= bound, name
        assert array.max() > 0.8 * bound and array.min() < -0.8 * bound, name
    for one, other in (("encoder.rnn.forward", "encoder.rnn.backward"), ("bridge", "bridge_cell")):
        for name in (name for name in arrays if name.startswith(f"{one}.")):
            assert not np.array_equal(arrays[name], arrays[name.replace(one, other)]), name


@each_framework
def test_a_general_score_starts_like_a_linear_layer_of_the_query(framework):
    code = FRAMEWORKS[framework]
    model = code.models.AttentionSeq2Seq(9, 8, 30, 40, "lstm", True, score="general")
    weight = code.weights.to_arrays(model)["attention.score.weight"]
    assert weight.shape == (40, 80) and weight.dtype == np.float32
    assert 0.98 * 40**-0.5 < np.abs(weight).max() <= 40**-0.5 and abs(weight.mean()) < 0.01


@each_framework
def test_the_seed_alone_decides_the_initial_weights(framework):
    case, code = Case("Seq2Seq", "gru", True), FRAMEWORKS[framework]
    first, again, other = (code.weights.to_arrays(code.model(case, seed)) for seed in (3, 3, 4))
    assert_all_equal(first, again, 1e-15)
    assert all(np.abs(first[name] - other[name]).max() > 1e-3 for name in first)


@each_framework
@pytest.mark.parametrize("lengths", [[2, 5, 0, 4], [2, 6, 1, 4], [2, 5, 1]])
def test_impossible_lengths_are_refused(compiled, framework, lengths):
    batch = ragged_batch()
    with pytest.raises(ValueError, match="lengths"):
        loaded(framework, CASES[0]).start(batch.source, np.array(lengths))


@each_framework
def test_unknown_cell_is_refused(framework):
    with pytest.raises(ValueError, match=r"cell must be one of .*'elman'"):
        FRAMEWORKS[framework].model(Case("Seq2Seq", "elman", False))


# Recurrent layers, and the frameworks' own.


def layer_inputs(cell: str, bidirectional: bool) -> dict[str, Any]:
    """Inputs (B,S,D) with rubbish at the padding, and what weighs every number that comes out."""
    rng = np.random.default_rng(3)
    width = HIDDEN * (2 if bidirectional else 1)
    parts = 2 if cell == "lstm" else 1
    return {
        "inputs": rng.normal(size=(4, 5, EMBED)),
        "lengths": np.array([2, 5, 1, 4]),
        "state": tuple(rng.normal(size=(4, width)) for _ in range(parts)),
        "doutputs": rng.normal(size=(4, 5, width)),
        "dfinal": tuple(rng.normal(size=(4, width)) for _ in range(parts)),
    }


def layer_arrays(cell: str, bidirectional: bool) -> Arrays:
    directions = ("forward.", "backward.") if bidirectional else ("",)
    return {
        name: array
        for seed, direction in enumerate(directions)
        for name, array in draw(rnn_shapes(cell, EMBED, direction), seed).items()
    }


def run_ours(framework: str, cell: str, bidirectional: bool, **changes: Any) -> Run:
    code = FRAMEWORKS[framework]
    layer = code.rnn(cell, bidirectional)
    code.weights.from_arrays(layer, layer_arrays(cell, bidirectional))
    return code.run(layer, **(layer_inputs(cell, bidirectional) | changes))


@cache
def run_torch_itself(cell: str, bidirectional: bool) -> Run:
    """`torch.nn.RNN/GRU/LSTM`, packed; weights (out, in), gates r,z,n and i,f,g,o like ours."""
    kind = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
    rnn = kind(EMBED, HIDDEN, batch_first=True, bidirectional=bidirectional).double()
    theirs = {"w_x": "weight_ih", "w_h": "weight_hh", "b_x": "bias_ih", "b_h": "bias_hh"}
    theirs["b"] = "bias_ih"
    ours = {}  # our name -> their parameter
    for name in layer_arrays(cell, bidirectional):
        direction, _, short = name.rpartition(".")
        ours[name] = getattr(rnn, theirs[short] + "_l0" + "_reverse" * (direction == "backward"))
    with torch.no_grad():
        for parameter in rnn.parameters():
            parameter.zero_()  # so stays the second bias where we have one only
        for name, array in layer_arrays(cell, bidirectional).items():
            ours[name].copy_(torch.tensor(array.T))

    given = layer_inputs(cell, bidirectional)
    inputs = torch.tensor(given["inputs"], requires_grad=True)
    state = [torch.tensor(part, requires_grad=True) for part in given["state"]]
    stacked = [torch.stack(part.chunk(2 if bidirectional else 1, dim=-1)) for part in state]
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        inputs, torch.tensor(given["lengths"]), batch_first=True, enforce_sorted=False
    )
    packed, final = rnn(packed, tuple(stacked) if cell == "lstm" else stacked[0])
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=5)
    final = final if cell == "lstm" else (final,)
    final = [torch.cat(list(part), dim=-1) for part in final]
    torch_scalar(outputs, final, given["doutputs"], given["dfinal"]).backward()
    gradients = {name: parameter.grad.numpy().T for name, parameter in ours.items()}
    return as_run(outputs, final, inputs.grad, [part.grad for part in state], gradients)


@cache
def run_keras_itself(cell: str) -> Run:
    """`keras.layers.SimpleRNN/GRU/LSTM`, masked; weights (in, out), the GRU's gates z, r, n."""
    kind = {"rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[cell]
    rnn = kind(
        HIDDEN,
        return_sequences=True,
        return_state=True,
        zero_output_for_mask=True,
        dtype="float64",
    )
    rnn.build((None, None, EMBED))
    arrays = layer_arrays(cell, False)
    order = {"rnn": [0], "gru": [1, 0, 2], "lstm": [0, 1, 2, 3]}[cell]
    columns = np.concatenate([np.arange(HIDDEN) + gate * HIDDEN for gate in order])
    bias = np.stack([arrays["b_x"], arrays["b_h"]]) if cell == "gru" else arrays["b"]
    rnn.set_weights([array[..., columns] for array in (arrays["w_x"], arrays["w_h"], bias)])

    given = layer_inputs(cell, False)
    inputs, state = tf.constant(given["inputs"]), [tf.constant(part) for part in given["state"]]
    mask = tf.constant(np.arange(5) < given["lengths"][:, None])
    with tf.GradientTape() as tape:
        tape.watch([inputs, state])
        outputs, *final = rnn(inputs, mask=mask, initial_state=state)
        scalar = keras_scalar(outputs, final, given["doutputs"], given["dfinal"])
    dinputs, dstate, dweights = tape.gradient(scalar, (inputs, state, rnn.trainable_variables))
    back = np.argsort(columns)
    dkernel, drecurrent, dbias = (gradient.numpy()[..., back] for gradient in dweights)
    dbiases = {"b_x": dbias[0], "b_h": dbias[1]} if cell == "gru" else {"b": dbias}
    return as_run(outputs, final, dinputs, dstate, {"w_x": dkernel, "w_h": drecurrent} | dbiases)


def assert_same_run(ours: Run, theirs: Run) -> None:
    assert_equal("outputs", ours.outputs, theirs.outputs)
    for name in ("state", "dstate"):
        pairs = zip(getattr(ours, name), getattr(theirs, name), strict=True)
        for i, (mine, other) in enumerate(pairs):
            assert_equal(f"{name}[{i}]", mine, other)
    assert_equal("dinputs", ours.dinputs, theirs.dinputs)
    assert_all_equal(ours.gradients, theirs.gradients)


@each_framework
@pytest.mark.parametrize(("cell", "bidirectional"), LAYERS)
def test_layer_equals_torch_nn(framework, cell, bidirectional):
    ours = run_ours(framework, cell, bidirectional)
    assert_same_run(ours, run_torch_itself(cell, bidirectional))


@each_framework
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_layer_equals_keras_layers(framework, cell):
    assert_same_run(run_ours(framework, cell, False), run_keras_itself(cell))


@each_framework
@pytest.mark.parametrize(("cell", "bidirectional"), LAYERS)
def test_layer_neither_sees_nor_answers_at_padding(framework, cell, bidirectional):
    """Rubbish at the padding, forth and back, leaves the answer of `torch.nn` as it was."""
    given = layer_inputs(cell, bidirectional)
    padding = np.arange(5) >= given["lengths"][:, None]
    rubbish = np.where(padding[..., None], 9.0, 0.0)
    changes = {name: given[name] + rubbish for name in ("inputs", "doutputs")}
    run = run_ours(framework, cell, bidirectional, **changes)
    assert (run.outputs[padding] == 0).all(), "outputs at padding must be 0"
    assert (run.dinputs[padding] == 0).all(), "padding must get no gradient"
    assert_same_run(run, run_torch_itself(cell, bidirectional))


@each_framework
@pytest.mark.parametrize(("cell", "bidirectional"), LAYERS)
def test_no_lengths_means_full_lengths(framework, cell, bidirectional):
    code, given = FRAMEWORKS[framework], layer_inputs(cell, bidirectional)
    layer = code.rnn(cell, bidirectional)
    outputs, final = code.apply(layer, given["inputs"], None, given["state"])
    full_outputs, full_final = code.apply(layer, given["inputs"], np.full(4, 5), given["state"])
    for ours, theirs in zip((outputs, *final), (full_outputs, *full_final), strict=True):
        assert_equal("outputs or state", ours, theirs, 1e-14)


@each_framework
@pytest.mark.parametrize(("cell", "bidirectional"), LAYERS)
def test_no_state_means_zeros(framework, cell, bidirectional):
    code, given = FRAMEWORKS[framework], layer_inputs(cell, bidirectional)
    layer = code.rnn(cell, bidirectional)
    zeros = tuple(np.zeros_like(part) for part in given["state"])
    outputs, final = code.apply(layer, given["inputs"], given["lengths"], None)
    same_outputs, same_final = code.apply(layer, given["inputs"], given["lengths"], zeros)
    assert isinstance(final, tuple) and len(final) == len(zeros)
    for ours, theirs in zip((outputs, *final), (same_outputs, *same_final), strict=True):
        assert_equal("outputs or state", ours, theirs, 1e-15)


@each_framework
@pytest.mark.parametrize("shape", [(4, 5, EMBED + 1), (4, EMBED)], ids=["wrong D", "no time axis"])
def test_inputs_of_the_wrong_shape_are_named(framework, shape):
    code = FRAMEWORKS[framework]
    with pytest.raises(ValueError, match="inputs"):
        code.apply(code.rnn("gru", False), np.zeros(shape), None, None)
