"""What holds for a decoder that moves before it looks (Luong et al. 2015), one function each.

As in `decoder_properties`, whose sizes and sentences these are: nothing inside a model is touched,
with a readout of ones and zeros the logits *are* h̃_t, and sentences are decoded with another one's
memory. Each message names the likely mistake.
"""

from functools import cache
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from decoder_properties import (
    EMBED,
    HIDDEN,
    SOS,
    SOURCE_LENGTHS,
    SOURCE_SIZE,
    TARGET_SIZE,
    B,
    S,
    T,
    assert_moves,
    gru_shapes,
    gru_step,
    inputs,
    random_dlogits,
)
from frameworks import FRAMEWORKS, Arrays, Framework
from properties import EXACT, GRADIENT, SEEN, assert_equal, assert_same_gradients

from attention_course.scratch.functional import log_softmax

SIZES = (SOURCE_SIZE, TARGET_SIZE, EMBED, HIDDEN, "gru", True)
PLACES, REACH = 3, 1  # fewer than source tokens, so that both matter
SEVERAL = SOURCE_LENGTHS > 1  # a single key gets weight 1 whatever is asked


class Kind(NamedTuple):
    """One of the decoders."""

    score: str = "general"
    input_feeding: bool = True
    attention: str = "global"

    @property
    def options(self) -> dict[str, Any]:
        return self._asdict() | {"reach": REACH, "places": PLACES}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every parameter, by the names that all frameworks share."""
        score = {
            "general": {"weight": (HIDDEN, 2 * HIDDEN)},
            "additive": {
                "query_weight": (HIDDEN, HIDDEN),
                "key_weight": (2 * HIDDEN, HIDDEN),
                "vector": (HIDDEN,),
            },
            "location": {"weight": (HIDDEN, PLACES)},
        }[self.score]
        named = {"encoder.embedding.weight": (SOURCE_SIZE, EMBED)}
        named |= gru_shapes("encoder.rnn.forward", EMBED, 3 * HIDDEN)
        named |= gru_shapes("encoder.rnn.backward", EMBED, 3 * HIDDEN)
        named |= gru_shapes("decoder.rnn", EMBED + self.input_feeding * HIDDEN, 3 * HIDDEN)
        named |= {"decoder.embedding.weight": (TARGET_SIZE, EMBED)}
        named |= {"bridge.weight": (2 * HIDDEN, HIDDEN), "bridge.bias": (HIDDEN,)}
        named |= {f"attention.score.{name}": shape for name, shape in score.items()}
        if self.attention == "local-p":
            named["attention.predictor.weight"] = (HIDDEN, HIDDEN)
            named["attention.predictor.vector"] = (HIDDEN,)
        named |= {"combine.weight": (3 * HIDDEN, HIDDEN), "combine.bias": (HIDDEN,)}
        return named | {
            "decoder.readout.weight": (HIDDEN, TARGET_SIZE),
            "decoder.readout.bias": (TARGET_SIZE,),
        }

    def __str__(self) -> str:
        return f"{self.attention}-{self.score}" + "-fed" * self.input_feeding


FED, UNFED = Kind(), Kind(input_feeding=False)
GLOBAL = (FED, UNFED, Kind("additive"), Kind("additive", False), Kind("location"))
LOCAL = tuple(Kind(attention=a, input_feeding=f) for a in ("local-m", "local-p") for f in (1, 0))
KINDS = {"scratch": GLOBAL + LOCAL, "pytorch": GLOBAL + LOCAL, "keras": GLOBAL}


@cache
def random_parameters(kind: Kind) -> Arrays:
    rng = np.random.default_rng(31)
    return {name: rng.normal(0.1, 0.6, shape) for name, shape in kind.shapes.items()}


class Decoder:
    """`LuongSeq2Seq` in one framework with the parameters that all share, but for `changes`."""

    def __init__(self, code: Framework, kind: Kind, changes: Arrays | None = None) -> None:
        self.code, self.kind = code, kind
        self.parameters = random_parameters(kind) | (changes or {})
        self.model = code.layer(
            lambda make: make("LuongSeq2Seq", *SIZES, **kind.options), self.parameters, "float64"
        )

    def start(self, source: np.ndarray, lengths: np.ndarray = SOURCE_LENGTHS) -> Any:
        return self.model.start(source, lengths)

    def logits(self, *arrays: np.ndarray) -> np.ndarray:
        return self.code.logits(self.model, *(arrays or inputs()))

    def weights(self, *arrays: np.ndarray) -> np.ndarray:
        return self.model.alignment(*(arrays or inputs()))

    def gradients(self, dlogits: np.ndarray) -> Arrays:
        return self.code.model_gradients(self.model, dlogits, *inputs())


def showing(code: Framework, kind: Kind, changes: Arrays | None = None) -> Decoder:
    """A decoder whose first logits are h̃_t; the others are 0."""
    shown = {"decoder.readout.bias": np.zeros(TARGET_SIZE)}
    shown["decoder.readout.weight"] = np.eye(HIDDEN, TARGET_SIZE)
    return Decoder(code, kind, shown | (changes or {}))


# What it computes.


def parameters_have_the_common_names(code: Framework, kind: Kind) -> None:
    model = code.LuongSeq2Seq(*SIZES, **kind.options)
    arrays = code.weights.to_arrays(model)
    ours = {name: array.shape for name, array in arrays.items()}
    assert ours == kind.shapes, f"not the common names and shapes: {ours}"


def equals_the_reference(code: Framework, kind: Kind) -> None:
    """Equations of the paper, one number after the other; no code of the course."""
    decoder, (source, lengths, target_in) = Decoder(code, kind), inputs()
    state = decoder.start(source)
    first, annotations = code.numpy(state.hidden[0]), code.numpy(state.memory.outputs)
    logits, weights = decoder.logits(), decoder.weights()
    for b, length in enumerate(lengths):
        rows = annotations[b, :length]
        expected, seen = reference(decoder.parameters, kind, rows, first[b], target_in[b])
        assert_equal(logits[b], expected, EXACT, "logits differ from the paper's equations")
        message = f"weights of sentence {b} differ from the paper's equations"
        assert_equal(weights[b, :, :length], seen, EXACT, message)


def reference(
    p: Arrays, kind: Kind, annotations: np.ndarray, s: np.ndarray, tokens: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """annotations (S,2H), first state (H,), tokens (T,) -> logits (T,V), weights (T,S)."""
    fed, logits, weights = np.zeros(HIDDEN), [], []
    for t, word in enumerate(p["decoder.embedding.weight"][tokens]):
        s = gru_step(p, np.concatenate([word, fed]) if kind.input_feeding else word, s)
        seen = reference_weights(p, kind, annotations, s, t)
        context = sum(a * h for a, h in zip(seen, annotations))
        both = np.concatenate([context, s])
        fed = np.tanh(both @ p["combine.weight"] + p["combine.bias"])  # eq. 5
        logits.append(fed @ p["decoder.readout.weight"] + p["decoder.readout.bias"])
        weights.append(seen)
    return np.array(logits), np.array(weights)


def reference_weights(
    p: Arrays, kind: Kind, annotations: np.ndarray, s: np.ndarray, t: int
) -> np.ndarray:
    """The alignment vector of one step: eqs. 7 to 10."""
    part = {name.rpartition(".")[2]: x for name, x in p.items() if "attention.score" in name}
    if kind.score == "general":
        scores = [s @ part["weight"] @ h for h in annotations]
    elif kind.score == "additive":
        joined = np.concatenate([part["query_weight"], part["key_weight"]])
        scores = [np.tanh(np.concatenate([s, h]) @ joined) @ part["vector"] for h in annotations]
    else:
        scores = [*(s @ part["weight"]), *[-np.inf] * len(annotations)][: len(annotations)]
    length, off = len(annotations), np.zeros(len(annotations))
    if kind.attention == "local-m":
        off = np.arange(length) - t
    elif kind.attention == "local-p":
        inner = np.tanh(s @ p["attention.predictor.weight"]) @ p["attention.predictor.vector"]
        off = np.arange(length) - length / (1 + np.exp(-inner))
    inside = np.ones(length, bool) if kind.attention == "global" else abs(off) <= REACH
    powers = np.where(inside, np.exp(scores), 0)
    alpha = powers / (powers.sum() or 1)
    if kind.attention == "local-p":
        alpha = alpha * np.exp(-(off**2) / (2 * (REACH / 2) ** 2))
    return alpha


def gradients_equal_autograd(code: Framework, kind: Kind) -> None:
    """Every parameter's, against PyTorch's autograd."""
    expected = Decoder(FRAMEWORKS["pytorch"], kind).gradients(random_dlogits())
    ours = Decoder(code, kind).gradients(random_dlogits())
    assert_same_gradients(ours, expected, EXACT, "a path left out, or only the last step's?")


def gradients_equal_finite_differences(code: Framework, kind: Kind) -> None:
    """One number of each parameter, the one with the largest gradient."""
    dlogits, found = random_dlogits(), Decoder(code, kind).gradients(random_dlogits())
    for name, gradient in found.items():
        place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        losses = []
        for step in (1e-6, -1e-6):
            moved = random_parameters(kind)[name].copy()
            moved[place] += step
            losses.append((Decoder(code, kind, {name: moved}).logits() * dlogits).sum())
        slope = (losses[0] - losses[1]) / 2e-6
        message = f"{name}: not the slope of the loss: a path detached or left out?"
        assert_equal(gradient[place], slope, GRADIENT, message)


# Where it looks, and with what.


def the_query_has_seen_the_word(code: Framework, kind: Kind) -> None:
    """s_t asks: another y_{t−1} moves the weights of step t itself, and none before."""
    if kind.attention == "local-m":
        return  # a window of one key gets weight 1 whatever is asked
    decoder, (source, lengths, target_in) = Decoder(code, kind), inputs()
    before = decoder.weights()
    for t in range(T):
        changed = target_in.copy()
        changed[:, t] = 3 + (changed[:, t] - 2) % (TARGET_SIZE - 3)
        after = decoder.weights(source, lengths, changed)
        message = f"another word read at step {t} moved the weights before it"
        assert_equal(after[:, :t], before[:, :t], 0, message)
        message = f"another word read at step {t} did not move its weights: s_t−1 for s_t?"
        assert_moves(after[SEVERAL, t], before[SEVERAL, t], message)


def weights_depend_on_the_source(code: Framework, kind: Kind) -> None:
    """The same state over other annotations looks elsewhere; by location it does not."""
    if kind.attention != "global":
        return
    decoder = Decoder(code, kind)
    one, other = (
        decoder.model.step(state, np.full(B, SOS))[1].weights for state in another_memory(decoder)
    )
    if kind.score == "location":
        assert_equal(one, other, 0, "a location score must not look at what stands there")
    else:
        assert_moves(one[SEVERAL], other[SEVERAL], "the weights ignore the source")


def another_memory(decoder: Decoder) -> tuple[Any, Any]:
    """The state in which decoding starts, and the same with what another source left."""
    source, _, _ = inputs()
    state, other = decoder.start(source), decoder.start((source + 1) % SOURCE_SIZE)
    return state, state._replace(memory=other.memory)


def the_context_reaches_the_readout(code: Framework, kind: Kind) -> None:
    """In the same step, over other annotations, another h̃."""
    decoder = Decoder(code, kind)
    logits = [decoder.model.step(s, np.full(B, SOS))[0] for s in another_memory(decoder)]
    assert_moves(*logits, "c_t does not reach the readout")


def weights_lie_where_they_may(code: Framework, kind: Kind) -> None:
    """Not on padding, and in windows only; they sum to 1, less for local-p, 0 for no window."""
    weights = Decoder(code, kind).weights()
    total = weights.sum(axis=-1)
    for b, length in enumerate(SOURCE_LENGTHS):
        assert (weights[b, :, length:] == 0).all(), "the padding got weight"
    if kind.attention == "global":
        assert_equal(total, np.ones((B, T)), EXACT, "weights must sum to 1")
    elif kind.attention == "local-p":
        assert (total < 1 - SEEN).all(), "renormalised: local-p's weights sum to less than 1"
        assert (total > 0).any(), "nothing is ever seen"
    else:
        reached = np.arange(T) - REACH < SOURCE_LENGTHS[:, None]
        assert_equal(total, 1.0 * reached, EXACT, "the window is not |s − t| ≤ D")


# What goes on to the next step.


def the_last_h_is_fed(code: Framework, kind: Kind) -> None:
    """With input feeding h̃_{t−1} enters step t, and nothing else of the look does; without it a
    look changes no later state.
    """
    decoder = showing(code, kind)
    state = decoder.model.step(decoder.start(inputs()[0]), np.full(B, SOS))[1]
    assert len(state.hidden) == 1 + kind.input_feeding + (kind.attention == "local-m")
    if not kind.input_feeding:
        one, other = (
            code.numpy(decoder.model.step(s, np.full(B, SOS))[1].hidden[0])
            for s in another_memory(decoder)
        )
        assert_equal(one, other, 0, "without input feeding no look may reach the next state")
        return
    said = decoder.logits()[:, 0, :HIDDEN]
    assert_equal(code.numpy(state.hidden[1]), said, EXACT, "what is fed is not h̃ of this step")
    other = [*state.hidden]
    other[1] = other[1] * 0
    again = decoder.model.step(state._replace(hidden=tuple(other)), np.full(B, SOS))
    states = [
        code.numpy(x.hidden[0]) for x in (decoder.model.step(state, np.full(B, SOS))[1], again[1])
    ]
    assert_moves(*states, "h̃_{t−1} does not enter the next state")


def the_first_look_reaches_the_last_state(code: Framework, kind: Kind) -> None:
    """Another memory at the first step only: the last state knows, if and only if h̃ is fed."""
    decoder = Decoder(code, kind)
    (source, _, target_in), states = inputs(), []
    state = decoder.start(source)
    for memory in (state.memory, decoder.start((source + 1) % SOURCE_SIZE).memory):
        now = state._replace(memory=memory)
        for t in range(T):  # only the first look is at the other memory
            _, now = decoder.model.step(now, target_in[:, t])
            now = now._replace(memory=state.memory)
        states.append(code.numpy(now.hidden[0]))
    moved = np.abs(states[0] - states[1]).max()
    if kind.input_feeding:
        assert moved > SEEN, "the first look does not reach the last state: nothing is fed"
    else:
        assert moved == 0, "the first look reaches the last state without input feeding"


def keys_are_projected_once(code: Framework, kind: Kind) -> None:
    """What the score makes of the keys is made once a sentence."""
    if kind.score != "additive":
        return
    decoder, score = Decoder(code, kind), code.AdditiveScore
    with mock.patch.object(score, "project", autospec=True, side_effect=score.project) as project:
        decoder.logits()
        assert project.call_count == 1, f"forward projected the keys {project.call_count} times"


# Padding, batches, steps.


def padding_changes_nothing(code: Framework, kind: Kind) -> None:
    """Two more places, filled with real ids: the same logits, and windows of the same length."""
    decoder, (source, lengths, target_in) = Decoder(code, kind), inputs()
    wider = np.concatenate([source, source[:, :2]], axis=1)
    message = "padding moved the logits: without a mask, or S = the padded length?"
    assert_equal(decoder.logits(wider, lengths, target_in), decoder.logits(), EXACT, message)
    weights = decoder.weights(wider, lengths, target_in)
    assert_equal(weights[..., :S], decoder.weights(), EXACT, message.replace("logits", "weights"))


def sentences_do_not_mix(code: Framework, kind: Kind) -> None:
    """Another first sentence, and the others say what they said; alone they say it too."""
    decoder, (source, lengths, target_in) = Decoder(code, kind), inputs()
    before, changed = decoder.logits(), source.copy()
    changed[0] = (changed[0] + 1) % SOURCE_SIZE
    after = decoder.logits(changed, lengths, target_in)
    message = "another sentence moved these logits: a (B,B,H) matmul?"
    assert_equal(after[1:], before[1:], EXACT, message)
    alone = decoder.logits(source[:1], lengths[:1], target_in[:1])
    assert_equal(alone[0], before[0], EXACT, "alone it says something else")


def one_step_at_a_time_is_teacher_forcing(code: Framework, kind: Kind) -> None:
    decoder, (source, _, target_in) = Decoder(code, kind), inputs()
    state, expected, weights = (
        decoder.start(source),
        log_softmax(decoder.logits()),
        decoder.weights(),
    )
    for t in range(T):
        log_probs, state = decoder.model.step(state, target_in[:, t])
        message = f"step {t} alone differs from the whole target at once"
        assert_equal(log_probs, expected[:, t], EXACT, message)
        assert_equal(state.weights, weights[:, t], EXACT, message)


def a_beam_may_choose_rows(code: Framework, kind: Kind) -> None:
    """`select` keeps every part of a row's state together."""
    decoder, rows = Decoder(code, kind), np.array([2, 0, 0])
    state = decoder.model.step(decoder.start(inputs()[0]), np.full(B, SOS))[1]
    tokens = np.arange(3, 3 + B)
    expected = decoder.model.step(state, tokens)[0][rows]
    chosen = decoder.model.step(decoder.model.select(state, rows), tokens[rows])[0]
    assert_equal(chosen, expected, EXACT, "a chosen row goes on with a part of another's state")


PROPERTIES = {
    check.__name__: check
    for check in (
        parameters_have_the_common_names,
        equals_the_reference,
        gradients_equal_autograd,
        gradients_equal_finite_differences,
        the_query_has_seen_the_word,
        weights_depend_on_the_source,
        the_context_reaches_the_readout,
        weights_lie_where_they_may,
        the_last_h_is_fed,
        the_first_look_reaches_the_last_state,
        keys_are_projected_once,
        padding_changes_nothing,
        sentences_do_not_mix,
        one_step_at_a_time_is_teacher_forcing,
        a_beam_may_choose_rows,
    )
}
