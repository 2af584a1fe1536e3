"""What holds for a Transformer (Vaswani et al. 2017), one function each.

The sentences are those of `decoder_properties`: four, of 3, 4, 1 and 2 tokens, padded with real
ids. What must come out is computed from the paper's equations, one token and one head after the
other, by no code of the course. Each message names the likely mistake.
"""

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from decoder_properties import (
    EOS,
    SOS,
    SOURCE_LENGTHS,
    SOURCE_SIZE,
    TARGET_SIZE,
    B,
    S,
    T,
    assert_beam_scores,
    assert_moves,
    inputs,
    random_dlogits,
)
from frameworks import FRAMEWORKS, Arrays, Framework
from properties import EXACT, GRADIENT, assert_equal, assert_same_gradients

from attention_course.decoding import greedy_with_weights
from attention_course.scratch.functional import log_softmax

D, N, LAYERS, INNER, LONGEST = 6, 3, 2, 10, 9
SEVERAL = SOURCE_LENGTHS > 1  # a single key gets weight 1 whatever is asked


class Kind(NamedTuple):
    """One of the Transformers."""

    norm_first: bool = False
    positions: str = "sinusoidal"
    tie: str = "none"
    source_size: int = SOURCE_SIZE

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.source_size, TARGET_SIZE, D, N, LAYERS, INNER)

    @property
    def options(self) -> dict[str, Any]:
        named = self._asdict() | {"longest": LONGEST}
        return {name: option for name, option in named.items() if name != "source_size"}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every parameter, by the names that all frameworks share; a shared matrix once."""
        named = {"encoder.embedding.weight": (self.source_size, D)}
        if self.tie != "all":
            named |= {"decoder.embedding.weight": (TARGET_SIZE, D)}
        for stack, looks in (
            ("encoder", ("attention",)),
            ("decoder", ("attention", "cross_attention")),
        ):
            if self.positions == "learned":
                named |= {f"{stack}.positions.weight": (LONGEST, D)}
            for number in range(LAYERS):
                named |= layer_shapes(f"{stack}.layers.{number}", looks)
            named |= norm_shapes(stack) if self.norm_first else {}
        return named | (
            linear_shapes("decoder.readout", D, TARGET_SIZE) if self.tie == "none" else {}
        )

    def __str__(self) -> str:
        return f"{'pre' if self.norm_first else 'post'}-{self.positions}-tie-{self.tie}"


def layer_shapes(layer: str, looks: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    named = {}
    for look in looks:
        for part in ("query", "key", "value", "out"):
            named |= linear_shapes(f"{layer}.{look}.{part}", D, D)
        named |= norm_shapes(f"{layer}.{look}_residual")
    named |= linear_shapes(f"{layer}.feed_forward.inner", D, INNER)
    named |= linear_shapes(f"{layer}.feed_forward.outer", INNER, D)
    return named | norm_shapes(f"{layer}.feed_forward_residual")


def linear_shapes(name: str, in_size: int, out_size: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (in_size, out_size), f"{name}.bias": (out_size,)}


def norm_shapes(name: str) -> dict[str, tuple[int, ...]]:
    return {f"{name}.norm.weight": (D,), f"{name}.norm.bias": (D,)}


ALL = tuple(
    Kind(*kind, TARGET_SIZE if kind[-1] == "all" else SOURCE_SIZE)
    for kind in product((False, True), ("sinusoidal", "learned", "none"), ("none", "target", "all"))
)
PLAIN, PRE = Kind(), Kind(norm_first=True)
LEARNED, UNPLACED = Kind(positions="learned"), Kind(positions="none")
TIED, ONE = Kind(tie="target"), Kind(tie="all", source_size=TARGET_SIZE)
PRE_ONE = ONE._replace(norm_first=True)


@cache
def random_parameters(kind: Kind) -> Arrays:
    """Around 0, and the weights of norms around 1."""
    rng = np.random.default_rng(41)
    return {
        name: rng.normal(1.0 if name.endswith("norm.weight") else 0.1, 0.6, shape)
        for name, shape in kind.shapes.items()
    }


def build(code: Framework, kind: Kind, parameters: Arrays) -> Any:
    return code.layer(
        lambda make: make("Transformer", *kind.sizes, **kind.options), parameters, "float64"
    )


@cache
def built(code: Framework, kind: Kind) -> Any:
    """Made once, as Keras takes its time; who changes the code must forget it (`cache_clear`)."""
    return build(code, kind, random_parameters(kind))


class Subject:
    """`Transformer` in one framework with the parameters that all share, but for `changes`."""

    def __init__(self, code: Framework, kind: Kind, changes: Arrays | None = None) -> None:
        self.code, self.kind = code, kind
        self.parameters = random_parameters(kind) | (changes or {})
        self.model = build(code, kind, self.parameters) if changes else built(code, kind)

    def start(self, source: np.ndarray, lengths: np.ndarray = SOURCE_LENGTHS) -> Any:
        return self.model.start(source, lengths)

    def outputs(self, *arrays: np.ndarray) -> np.ndarray:
        """Of the encoder, (B,S,D)."""
        return self.code.numpy(self.start(*(arrays or inputs()[:2])).memory.outputs)

    def logits(self, *arrays: np.ndarray) -> np.ndarray:
        return self.code.logits(self.model, *(arrays or inputs()))

    def maps(self, *arrays: np.ndarray) -> Any:
        return self.model.maps(*(arrays or inputs()))

    def gradients(self, dlogits: np.ndarray, *arrays: np.ndarray) -> Arrays:
        return self.code.model_gradients(self.model, dlogits, *(arrays or inputs()))


# The paper, for one sentence without padding: lists of vectors (D,), one a token.


class Said(NamedTuple):
    """What is expected of one sentence."""

    outputs: np.ndarray  # (S,D), of the encoder
    logits: np.ndarray  # (T,V)
    encoder: np.ndarray  # weights (L,N,S,S)
    decoder: np.ndarray  # (L,N,T,T)
    cross: np.ndarray  # (L,N,T,S)


@cache
def reference(kind: Kind) -> list[Said]:
    p, said = random_parameters(kind), []
    for source, length, target_in in zip(*inputs()):
        memory, encoder, _ = run_stack(p, kind, "encoder", source[:length])
        xs, decoder, cross = run_stack(p, kind, "decoder", target_in, memory)
        logits = np.array([read(p, kind, x) for x in xs])
        said.append(Said(np.array(memory), logits, encoder, decoder, cross))
    return said


def run_stack(
    p: Arrays, kind: Kind, stack: str, tokens: np.ndarray, memory: list | None = None
) -> tuple[list, np.ndarray, np.ndarray]:
    """-> vectors, weights (L,N,T,T) of self-attention, weights (L,N,T,S) of cross-attention."""
    xs = [vector(p, kind, stack, token, place) for place, token in enumerate(tokens)]
    own = np.zeros((LAYERS, N, len(xs), len(xs)))
    cross = np.zeros((LAYERS, N, len(xs), len(memory or xs)))
    for number in range(LAYERS):
        name = f"{stack}.layers.{number}"
        xs = run_layer(p, kind, name, xs, memory, own[number], cross[number])
    return [norm(p, stack, x) for x in xs] if kind.norm_first else xs, own, cross


def run_layer(
    p: Arrays, kind: Kind, name: str, xs: list, memory: list | None, own: Any, cross: Any
) -> list:
    def look(t: int, rows: list) -> np.ndarray:
        seen = rows if memory is None else rows[: t + 1]
        return attention(p, f"{name}.attention", rows[t], seen, own[:, t])

    def look_across(t: int, rows: list) -> np.ndarray:
        return attention(p, f"{name}.cross_attention", rows[t], memory, cross[:, t])

    def think(t: int, rows: list) -> np.ndarray:
        inner, outer = (f"{name}.feed_forward.{part}" for part in ("inner", "outer"))
        return linear(p, outer, np.maximum(linear(p, inner, rows[t]), 0))  # eq. 2

    xs = around(p, kind, f"{name}.attention_residual", xs, look)
    if memory is not None:
        xs = around(p, kind, f"{name}.cross_attention_residual", xs, look_across)
    return around(p, kind, f"{name}.feed_forward_residual", xs, think)


def around(p: Arrays, kind: Kind, name: str, xs: list, sub_layer: Callable) -> list:
    """norm(x + f(x)) (section 3.1), or x + f(norm(x))."""
    if kind.norm_first:
        rows = [norm(p, name, x) for x in xs]
        return [x + sub_layer(t, rows) for t, x in enumerate(xs)]
    return [norm(p, name, x + sub_layer(t, xs)) for t, x in enumerate(xs)]


def attention(p: Arrays, name: str, x: np.ndarray, seen: list, weights: np.ndarray) -> np.ndarray:
    """x looks at the vectors `seen`; writes each head's weights into its row of `weights` (N,·)."""
    said, size = p[f"{name}.out.bias"], D // N
    for n in range(N):
        mine = slice(n * size, (n + 1) * size)
        keys = [linear(p, f"{name}.key", y)[mine] for y in seen]
        values = [linear(p, f"{name}.value", y)[mine] for y in seen]
        scores = [linear(p, f"{name}.query", x)[mine] @ key / size**0.5 for key in keys]
        weights[n, : len(seen)] = np.exp(scores) / np.exp(scores).sum()  # eq. 1
        context = sum(weight * value for weight, value in zip(weights[n], values))
        said = said + context @ p[f"{name}.out.weight"][mine]
    return said


def vector(p: Arrays, kind: Kind, stack: str, token: int, place: int) -> np.ndarray:
    x = embedding(p, kind, stack)[token] * D**0.5  # section 3.4
    if kind.positions == "learned":
        return x + p[f"{stack}.positions.weight"][place]
    if kind.positions == "none":
        return x
    angles = [place / 10_000 ** (2 * i / D) for i in range(D // 2)]  # section 3.5
    return x + [f(angle) for angle in angles for f in (np.sin, np.cos)]


def embedding(p: Arrays, kind: Kind, stack: str) -> np.ndarray:
    return p["encoder.embedding.weight" if kind.tie == "all" else f"{stack}.embedding.weight"]


def linear(p: Arrays, name: str, x: np.ndarray) -> np.ndarray:
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]


def norm(p: Arrays, name: str, x: np.ndarray) -> np.ndarray:
    centred = x - sum(x) / D
    deviation = (sum(centred**2) / D + 1e-5) ** 0.5
    return centred / deviation * p[f"{name}.norm.weight"] + p[f"{name}.norm.bias"]


def read(p: Arrays, kind: Kind, x: np.ndarray) -> np.ndarray:
    if kind.tie == "none":
        return linear(p, "decoder.readout", x)
    return embedding(p, kind, "decoder") @ x


# What it computes.


def parameters_have_the_common_names(code: Framework, kind: Kind) -> None:
    """Of the common shapes too; a shared matrix is listed once, and changed once by Adam."""
    try:
        model = built(code, kind)
    except ValueError as error:
        raise AssertionError(f"not the common names and shapes: {error}") from error
    arrays = code.weights.to_arrays(model)
    ours = {name: array.shape for name, array in arrays.items()}
    assert ours == kind.shapes, (
        f"not the common names and shapes: {ours.items() ^ kind.shapes.items()}"
    )
    for name, array in random_parameters(kind).items():
        assert_equal(arrays[name], array, 0, f"{name} did not come back as it went in")
    trained = len(code.trained(model))
    message = "a shared matrix trained twice, or a weight that is not saved"
    assert trained == len(kind.shapes), f"{message}: {trained} for {len(kind.shapes)}"


def equals_the_reference(code: Framework, kind: Kind) -> None:
    """Logits, the encoder's outputs, and where each head of each layer looks."""
    subject, (source, lengths, _) = Subject(code, kind), inputs()
    logits, maps, outputs = subject.logits(), subject.maps(), subject.outputs(source, lengths)
    assert logits.dtype == np.float64, "float64 must stay float64"
    for b, (length, said) in enumerate(zip(lengths, reference(kind))):
        message = f"sentence {b} differs from the paper's equations"
        assert_equal(outputs[b, :length], said.outputs, EXACT, f"the encoder's outputs: {message}")
        seen = maps.encoder[:, b, :, :length, :length]
        assert_equal(seen, said.encoder, EXACT, f"the encoder's weights: {message}")
        assert_equal(maps.decoder[:, b], said.decoder, EXACT, f"the decoder's weights: {message}")
        seen = maps.cross[:, b, ..., :length]
        assert_equal(seen, said.cross, EXACT, f"the weights on the source: {message}")
        assert_equal(logits[b], said.logits, EXACT, f"logits: {message}")


def gradients_equal_autograd(code: Framework, kind: Kind) -> None:
    """Every parameter's, against PyTorch's autograd; nothing is left of a longer batch before."""
    expected = Subject(FRAMEWORKS["pytorch"], kind).gradients(random_dlogits())
    subject, longest = Subject(code, kind), np.ones((B, LONGEST), int)
    if kind.positions == "learned":  # the last places: unused below
        subject.gradients(np.ones((B, LONGEST, TARGET_SIZE)), longest, longest[:, 0], longest)
    ours = subject.gradients(random_dlogits())
    message = "a path left out, past or through a sub-layer, by way of the source, or left over?"
    assert_same_gradients(ours, expected, EXACT, message)


def gradients_equal_finite_differences(code: Framework, kind: Kind) -> None:
    """One number of each parameter, the one with the largest gradient."""
    dlogits, found = random_dlogits(), Subject(code, kind).gradients(random_dlogits())
    parameters = random_parameters(kind)
    model = build(code, kind, parameters)
    for name, gradient in found.items():
        place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        losses = []
        for step in (1e-6, -1e-6):
            moved = parameters[name].copy()
            moved[place] += step
            code.weights.from_arrays(model, parameters | {name: moved})
            losses.append((code.logits(model, *inputs()) * dlogits).sum())
        slope = (losses[0] - losses[1]) / 2e-6
        message = f"{name}: not the slope of the loss: a path detached or left out?"
        assert_equal(gradient[place], slope, GRADIENT, message)


def tied_gradients_are_sums(code: Framework, kind: Kind) -> None:
    """Of all places where the matrix stands, as an untied model with the same numbers has them."""
    tied = random_parameters(kind)
    shared = embedding(tied, kind, "decoder")
    copies = {"decoder.embedding.weight": shared, "decoder.readout.weight": shared.T}
    same = tied | copies | {"decoder.readout.bias": np.zeros(TARGET_SIZE)}
    apart = Subject(code, kind._replace(tie="none"), same).gradients(random_dlogits())
    total = apart["decoder.embedding.weight"] + apart["decoder.readout.weight"].T
    name = "decoder.embedding.weight"
    if kind.tie == "all":
        name, total = "encoder.embedding.weight", total + apart["encoder.embedding.weight"]
    ours = Subject(code, kind).gradients(random_dlogits())[name]
    message = "the gradient of a shared matrix is not the sum over its places: overwritten?"
    assert_equal(ours, total, EXACT, message)


# Sub-layers: residual connections and norms.


def each_sub_layer_is_added_to_its_input(code: Framework, kind: Kind) -> None:
    """Where all sub-layers say 0, nothing but norms lies between words and readout."""
    p = random_parameters(kind)
    silent = {name: p[name] * 0 for name in p if ".out." in name or ".outer." in name}
    subject, (source, lengths, target_in) = Subject(code, kind, silent), inputs()
    outputs, logits = subject.outputs(source, lengths), subject.logits()
    message = "with silent sub-layers x must come through each: no residual, no √D, no last norm?"
    for b, length in enumerate(lengths):
        normed = [normed_only(p, kind, "encoder", *at) for at in enumerate(source[b, :length])]
        assert_equal(outputs[b, :length], np.array(normed), EXACT, f"encoder: {message}")
        normed = [normed_only(p, kind, "decoder", *at) for at in enumerate(target_in[b])]
        expected = np.array([read(p, kind, x) for x in normed])
        assert_equal(logits[b], expected, EXACT, f"decoder: {message}")


def normed_only(p: Arrays, kind: Kind, stack: str, place: int, token: int) -> np.ndarray:
    """A word with its place, through all norms of the way."""
    x = vector(p, kind, stack, token, place)
    if kind.norm_first:
        return norm(p, stack, x)
    for name in p:
        if name.startswith(f"{stack}.layers.") and name.endswith(".norm.weight"):
            x = norm(p, name.removesuffix(".norm.weight"), x)
    return x


def each_token_is_normed_on_its_own(code: Framework, kind: Kind) -> None:
    """Without scale and shift its D numbers have mean 0 and variance 1, divided by D."""
    ones = {}
    for name, array in random_parameters(kind).items():
        if name.endswith(("norm.weight", "norm.bias")):
            ones[name] = np.full_like(array, name.endswith("weight"))
    outputs = Subject(code, kind, ones).outputs(*inputs()[:2])
    message = "a token's numbers are not normed by themselves: over the batch, or by D − 1?"
    assert_equal(outputs.mean(axis=-1), np.zeros((B, S)), EXACT, message)
    assert_equal(outputs.var(axis=-1), np.ones((B, S)), 1e-3, message)


def equal_numbers_are_normed_to_the_bias(code: Framework, kind: Kind) -> None:
    """Nothing is left of them, and 0 is not divided by 0."""
    model = built(code, kind)
    layers = (model.encoder.layers[0], model.decoder.layers[-1])
    for part, layer in zip(("encoder.layers.0", f"decoder.layers.{LAYERS - 1}"), layers):
        found = code.call(layer.attention_residual.norm, code.array(np.full((B, T, D), 3.0)))
        bias = random_parameters(kind)[f"{part}.attention_residual.norm.bias"]
        message = "equal numbers must become the bias: no ε under the root?"
        assert_equal(code.numpy(found), np.broadcast_to(bias, (B, T, D)), EXACT, message)


# Who looks where.


def the_future_changes_nothing(code: Framework, kind: Kind) -> None:
    """Other words from t on: not a bit of what is said before, and other words from there on."""
    subject, (source, lengths, target_in) = Subject(code, kind), inputs()
    before = subject.logits()
    for t in range(1, T, 2):
        changed = target_in.copy()
        changed[:, t:] = 3 + (changed[:, t:] - 2) % (TARGET_SIZE - 3)
        after = subject.logits(source, lengths, changed)
        message = f"words from place {t} on are known before: no causal mask, or off by one?"
        assert_equal(after[:, :t], before[:, :t], 0, message)
        assert_moves(after[:, t:], before[:, t:], "the word just read is not")


def each_token_sees_itself_and_those_before(code: Framework, kind: Kind) -> None:
    """In every head of every layer, and exactly these."""
    weights, seen = Subject(code, kind).maps().decoder, np.tril(np.ones((T, T), bool))
    assert (weights[..., ~seen] == 0).all(), "a later token got weight: no causal mask?"
    message = "a token does not see itself or one before it: a mask off by one, or for padding?"
    assert (weights[..., seen] > 0).all(), message


def cross_attention_looks_at_the_source(code: Framework, kind: Kind) -> None:
    """Keys and values come from the encoder: over another source other weights, other words."""
    subject, (source, lengths, target_in) = Subject(code, kind), inputs()
    other = ((source + 1) % SOURCE_SIZE, lengths, target_in)
    one, two = subject.maps().cross, subject.maps(*other).cross
    assert one.shape == (LAYERS, B, N, T, S), "keys of the decoder in place of the encoder's?"
    message = "the weights on the source do not depend on it: keys of the decoder?"
    assert_moves(one[:, SEVERAL], two[:, SEVERAL], message)
    message = "what is said does not depend on the source: values of the decoder?"
    assert_moves(subject.logits(), subject.logits(*other), message)


def the_decoder_asks(code: Framework, kind: Kind) -> None:
    """Another word read at t moves where t looks in the source, and where no one before it does."""
    subject, (source, lengths, target_in) = Subject(code, kind), inputs()
    before = subject.maps().cross
    for t in range(0, T, 2):
        changed = target_in.copy()
        changed[:, t] = 3 + (changed[:, t] - 2) % (TARGET_SIZE - 3)
        after = subject.maps(source, lengths, changed).cross
        message = f"another word read at {t} moved where those before it look"
        assert_equal(after[..., :t, :], before[..., :t, :], 0, message)
        message = f"another word read at {t} did not move where it looks: a query of the encoder?"
        assert_moves(after[:, SEVERAL, :, t], before[:, SEVERAL, :, t], message)


def order_counts_if_there_are_positions(code: Framework, kind: Kind) -> None:
    """The tokens of a sentence in another order: their vectors in that order, and no other word is
    said, if and only if there are no positions.
    """
    subject, (source, lengths, target_in) = Subject(code, kind), inputs()
    b, order = int(lengths.argmax()), np.array([2, 0, 3, 1])
    source = source.copy()
    source[b] = [3, 0, 5, 1]
    mixed = source.copy()
    mixed[b] = source[b, order]
    vectors, found = (subject.outputs(x, lengths)[b] for x in (source, mixed))
    logits, said = (subject.logits(x, lengths, target_in)[b] for x in (source, mixed))
    if kind.positions == "none":
        message = "without positions the order of the source must not count"
        assert_equal(found, vectors[order], EXACT, message)
        assert_equal(said, logits, EXACT, message)
    else:
        message = "the order of the source does not count: positions not added?"
        assert_moves(found, vectors[order], message)
        assert_moves(said, logits, message)


def weights_lie_on_real_tokens(code: Framework, kind: Kind) -> None:
    """`alignment` (B,T,S) is the mean over the heads of the last layer; `maps` shows them all."""
    subject = Subject(code, kind)
    weights, maps = subject.model.alignment(*inputs()), subject.maps()
    shapes = [array.shape for array in maps]
    expected = [(LAYERS, B, N, *size) for size in ((S, S), (T, T), (T, S))]
    assert shapes == expected, f"maps must be of shapes {expected}, got {shapes}"
    assert weights.shape == (B, T, S), f"alignment must be (B,T,S), got {weights.shape}"
    for b, length in enumerate(SOURCE_LENGTHS):
        for seen in (weights[b], maps.cross[:, b], maps.encoder[:, b]):
            assert (seen[..., length:] == 0).all(), "the padding got weight"
    for array in (weights, maps.cross, maps.decoder, maps.encoder):
        assert_equal(array.sum(axis=-1), np.ones(array.shape[:-1]), EXACT, "weights must sum to 1")
    message = "alignment must be the last layer's mean over heads"
    assert_equal(weights, maps.cross[-1].mean(axis=1), EXACT, message)


# Padding, batches.


def padding_changes_nothing(code: Framework, kind: Kind) -> None:
    """On either side: logits, gradients, and what greedy decoding says and sees."""
    subject, (source, lengths, target_in) = Subject(code, kind), inputs()
    rng = np.random.default_rng(44)
    wide = np.concatenate([source, rng.integers(0, SOURCE_SIZE, (B, 2))], axis=1)
    padding = np.arange(S + 2) >= lengths[:, None]
    wide[padding] = rng.integers(0, SOURCE_SIZE, padding.sum())
    asked = (wide, lengths, np.pad(target_in, ((0, 0), (0, 2)), constant_values=5))
    message = "padding must change nothing: no mask, of queries, or of the other polarity?"
    assert_equal(subject.logits(*asked)[:, :T], subject.logits(), EXACT, message)
    dlogits = np.pad(random_dlogits(), ((0, 0), (0, 2), (0, 0)))
    ours, before = subject.gradients(dlogits, *asked), subject.gradients(random_dlogits())
    assert_same_gradients(ours, before, EXACT, message)
    said, seen = (
        greedy_with_weights(subject.model.step, subject.start(x), B, SOS, EOS, 3)
        for x in (source, wide)
    )
    assert said[0] == seen[0], message
    assert_equal(seen[1][..., :S], said[1], EXACT, message)


def sentences_do_not_mix(code: Framework, kind: Kind) -> None:
    """Each alone, without padding, as in a batch of as many sentences as tokens."""
    subject, (source, lengths, target_in) = Subject(code, kind), inputs()
    logits = subject.logits()
    for b, length in enumerate(lengths):
        one = slice(b, b + 1)
        asked = (source[one, :length], lengths[one], target_in[one])
        message = f"sentence {b} alone differs from it in a batch: a mask or a norm over the batch?"
        assert_equal(subject.logits(*asked), logits[one], EXACT, message)


def nothing_given_is_changed(code: Framework, kind: Kind) -> None:
    """Neither sentences nor gradients, weights or states are written to."""
    subject, given = Subject(code, kind), (*inputs(), random_dlogits())
    kept = [array.copy() for array in given]
    subject.gradients(given[-1], *given[:-1])
    subject.maps(*given[:-1])
    state = subject.model.step(subject.start(*given[:2]), given[2][:, 0])[1]
    arrays = [code.numpy(part).copy() for pair in state.past for part in pair]
    subject.model.step(state, given[2][:, 1])
    subject.model.select(state, np.array([1, 1]))
    message = "what was given, or a weight, was written to"
    for before, after in zip(kept, given):
        assert_equal(after, before, 0, message)
    for before, after in zip(arrays, (part for pair in state.past for part in pair)):
        assert_equal(code.numpy(after), before, 0, "a state that may be used again was written to")
    for name, array in code.weights.to_arrays(subject.model).items():
        assert_equal(array, subject.parameters[name], 0, f"{message}: {name}")


# Decoding step by step.


def one_step_at_a_time_is_teacher_forcing(code: Framework, kind: Kind) -> None:
    """With the cache, and each beginning once more without it; an old state may be used again."""
    subject, (source, lengths, target_in) = Subject(code, kind), inputs()
    state, weights = subject.start(source), subject.model.alignment(*inputs())
    expected, states = log_softmax(subject.logits()), []
    for t in range(T):
        states.append(state)
        log_probs, state = subject.model.step(state, target_in[:, t])
        message = f"step {t} alone differs from all at once: place 0 again, or a token not kept?"
        assert_equal(log_probs, expected[:, t], EXACT, message)
        assert_equal(state.weights, weights[:, t], EXACT, message)
    for t in (0, 3):
        again = log_softmax(subject.logits(source, lengths, target_in[:, : t + 1])[:, t])
        assert_equal(again, expected[:, t], EXACT, f"{t + 1} words alone differ from all at once")
        again = subject.model.step(states[t], target_in[:, t])[0]
        assert_equal(again, expected[:, t], EXACT, "an old state gave another answer")


def nothing_is_computed_again(code: Framework, kind: Kind) -> None:
    """Keys and values of the source once a sentence, those of each token read at its own step."""
    subject, (source, _, target_in), sizes = Subject(code, kind), inputs(), []
    project = code.MultiHeadAttention.project

    def noted(self: Any, key: Any, value: Any) -> Any:
        sizes.append(key.shape[1])
        return project(self, key, value)

    with mock.patch.object(code.MultiHeadAttention, "project", noted):
        state = subject.start(source)
        message = "each layer must project the source once, in encoder and decoder"
        assert sizes == [S] * (2 * LAYERS), f"{message}: {sizes}"
        for t in range(3):
            sizes.clear()
            _, state = subject.model.step(state, target_in[:, t])
            message = f"step {t} must project one new token a layer, and nothing else"
            assert sizes == [1] * LAYERS, f"{message}: {sizes}"


def selected_rows_go_on_by_themselves(code: Framework, kind: Kind) -> None:
    """`select`, as beam search asks: some sentences twice, some no more, in another order."""
    subject, (source, _, target_in) = Subject(code, kind), inputs()
    rows, model, state = np.array([3, 0, 0, 1, 3]), subject.model, subject.start(source)
    message = "select must take the rows of the memory, of the cache and of the weights alike"
    for t in range(2):
        chosen = model.select(state, rows)
        if state.weights is not None:
            assert_equal(chosen.weights, state.weights[rows], 0, message)
        log_probs, state = model.step(state, target_in[:, t])
        for now in (t, t + 1):
            ours, chosen = model.step(chosen, target_in[rows, now])
            if now == t:
                assert_equal(ours, log_probs[rows], EXACT, message)
                assert_equal(chosen.weights, state.weights[rows], EXACT, message)
        later = model.step(state, target_in[:, t + 1])[0]
        assert_equal(ours, later[rows], EXACT, message)


def beam_scores_are_the_model_s(code: Framework, kind: Kind) -> None:
    """What beam search says a hypothesis is worth, teacher forcing says too; one beam is greedy."""
    assert_beam_scores(Subject(code, kind))


def a_sentence_too_long_is_refused(code: Framework, kind: Kind) -> None:
    """In words, as source, as target and step by step; the longest is not."""
    subject, (source, lengths, target_in) = Subject(code, kind), inputs()
    longest = np.ones((B, LONGEST), int)
    assert np.isfinite(subject.logits(longest, lengths, longest)).all()
    longer = np.ones((B, LONGEST + 1), int)
    assert_refused(lambda: subject.logits(longer, lengths, target_in))
    assert_refused(lambda: subject.logits(source, lengths, longer))
    state = subject.start(source)
    for _ in range(LONGEST):
        _, state = subject.model.step(state, np.full(B, 3))
    assert_refused(lambda: subject.model.step(state, np.full(B, 3)))


def assert_refused(call: Callable[[], Any]) -> None:
    message = f"a sentence of {LONGEST + 1} tokens must be refused by the name of longest"
    try:
        call()
    except Exception as error:
        words = ("longest", str(LONGEST), str(LONGEST + 1))
        named = isinstance(error, ValueError) and all(word in str(error) for word in words)
        assert named, f"{message}, got {error!r}"
    else:
        raise AssertionError(message)


PROPERTIES = {
    check.__name__: check
    for check in (
        parameters_have_the_common_names,
        equals_the_reference,
        gradients_equal_autograd,
        gradients_equal_finite_differences,
        tied_gradients_are_sums,
        each_sub_layer_is_added_to_its_input,
        each_token_is_normed_on_its_own,
        equal_numbers_are_normed_to_the_bias,
        the_future_changes_nothing,
        each_token_sees_itself_and_those_before,
        cross_attention_looks_at_the_source,
        the_decoder_asks,
        order_counts_if_there_are_positions,
        weights_lie_on_real_tokens,
        padding_changes_nothing,
        sentences_do_not_mix,
        nothing_given_is_changed,
        one_step_at_a_time_is_teacher_forcing,
        nothing_is_computed_again,
        selected_rows_go_on_by_themselves,
        beam_scores_are_the_model_s,
        a_sentence_too_long_is_refused,
    )
}


def applies(name: str, code: Framework, kind: Kind) -> bool:
    """Some checks have something to see in some kinds only, and some are slow."""
    slow = {"scratch": kind in ALL[::2], "pytorch": kind in (PLAIN, PRE, UNPLACED), "keras": False}
    return {
        "gradients_equal_autograd": code.name != "pytorch",  # it is its own autograd
        "gradients_equal_finite_differences": slow[code.name],
        "tied_gradients_are_sums": kind.tie != "none",
        "a_sentence_too_long_is_refused": kind.positions != "none",
    }.get(name, True)
