"""What holds for a decoder that looks before it moves (Bahdanau et al. 2015), one function each.

Nothing inside a model is touched. To see a context or a state, its numbers are led through the
readout: with a weight of ones and zeros the logits *are* that vector (`showing`). To separate what
the decoder knows from what it looks up, one sentence is decoded with another one's memory.

Each message names the likely mistake.
"""

from functools import cache
from itertools import pairwise
from typing import Any
from unittest import mock

import numpy as np
from frameworks import FRAMEWORKS, Arrays, Framework
from properties import EXACT, SEEN, assert_equal, assert_same_gradients

from attention_course import alignment, decoding, metrics
from attention_course.decoding import greedy, greedy_with_weights
from attention_course.scratch.functional import log_softmax

# All sizes differ but two: with as many sentences as source tokens, (B,A) + (B,S,A) runs.
SOURCE_SIZE, TARGET_SIZE, EMBED, HIDDEN = 7, 13, 3, 6
B = S = 4
T = 5
SOURCE_LENGTHS, TARGET_LENGTHS = np.array([3, 4, 1, 2]), np.array([5, 2, 4, 3])
SOS, EOS = 1, 2
READOUTS = {"linear": 3 * HIDDEN + EMBED, "maxout": HIDDEN // 2}  # what the last layer reads
SEEN_SIZES = {"state": HIDDEN, "context": 2 * HIDDEN, "word": EMBED}  # in this order


def shapes(readout: str) -> dict[str, tuple[int, ...]]:
    """Every parameter, by the names that all frameworks share."""
    rnn, gates = 2 * HIDDEN + EMBED, 3 * HIDDEN
    named = {"encoder.embedding.weight": (SOURCE_SIZE, EMBED)}
    for prefix, size in (("encoder.rnn.forward", EMBED), ("encoder.rnn.backward", EMBED)):
        named |= gru_shapes(prefix, size, gates)
    named |= gru_shapes("decoder.rnn", rnn, gates)
    named |= {"decoder.embedding.weight": (TARGET_SIZE, EMBED)}
    named |= {"bridge.weight": (2 * HIDDEN, HIDDEN), "bridge.bias": (HIDDEN,)}
    named |= {
        "attention.score.query_weight": (HIDDEN, HIDDEN),
        "attention.score.key_weight": (2 * HIDDEN, HIDDEN),
        "attention.score.vector": (HIDDEN,),
    }
    if readout == "maxout":
        named |= {"maxout.weight": (HIDDEN + rnn, HIDDEN), "maxout.bias": (HIDDEN,)}
    return named | {
        "decoder.readout.weight": (READOUTS[readout], TARGET_SIZE),
        "decoder.readout.bias": (TARGET_SIZE,),
    }


def gru_shapes(prefix: str, size: int, gates: int) -> dict[str, tuple[int, ...]]:
    shapes = {"w_x": (size, gates), "w_h": (HIDDEN, gates), "b_x": (gates,), "b_h": (gates,)}
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}


def random_parameters(readout: str) -> Arrays:
    rng = np.random.default_rng(11)
    return {name: rng.normal(0.1, 0.7, shape) for name, shape in shapes(readout).items()}


@cache
def inputs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """source (B,S), lengths (B,), target_in (B,T); padding is filled with real ids."""
    rng = np.random.default_rng(12)
    source = rng.integers(0, SOURCE_SIZE, (B, S))
    target_in = rng.integers(3, TARGET_SIZE, (B, T))
    target_in[:, 0] = SOS
    return source, SOURCE_LENGTHS, target_in


def random_dlogits() -> np.ndarray:
    """A gradient of the logits, (B,T,V), zero at the padding."""
    real = np.arange(T) < TARGET_LENGTHS[:, None]
    return np.random.default_rng(13).normal(size=(B, T, TARGET_SIZE)) * real[..., None]


def some_coins() -> np.ndarray:
    """`truth` (B,T): each sentence and each step has both sides."""
    truth = np.indices((B, T)).sum(axis=0) % 2 == 0
    truth[2] = [True, True, False, False, True]
    return truth


class Decoder:
    """`BahdanauSeq2Seq` in one framework with the parameters that all share, but for `changes`."""

    def __init__(self, code: Framework, readout: str, changes: Arrays | None = None) -> None:
        self.code, self.readout = code, readout
        self.parameters = random_parameters(readout) | (changes or {})
        sizes = (SOURCE_SIZE, TARGET_SIZE, EMBED, HIDDEN)
        options = {} if readout == "linear" else {"readout": readout}
        self.model = code.layer(
            lambda make: make("BahdanauSeq2Seq", *sizes, **options), self.parameters, "float64"
        )

    def start(self, source: np.ndarray, lengths: np.ndarray = SOURCE_LENGTHS) -> Any:
        return self.model.start(source, lengths)

    def logits(self, *arrays: np.ndarray) -> np.ndarray:
        """(B,T,V), by default of `inputs`."""
        return self.code.logits(self.model, *(arrays or inputs()))

    def weights(self, *arrays: np.ndarray) -> np.ndarray:
        """(B,T,S), by default of `inputs`."""
        return self.model.alignment(*(arrays or inputs()))

    def gradients(self, dlogits: np.ndarray, *arrays: np.ndarray) -> Arrays:
        return self.code.model_gradients(self.model, dlogits, *(arrays or inputs()))

    def annotations(self) -> np.ndarray:
        """h_j, (B,S,2H)."""
        return self.code.numpy(self.start(inputs()[0]).memory.outputs)

    def path(self, source, lengths, target_in, truth) -> tuple[np.ndarray, np.ndarray]:
        """The tokens read (B,T) where `truth` decides, and the log-probabilities (B,T,V), by the
        decoding protocol alone.
        """
        state, read, said = self.start(source, lengths), target_in.copy(), []
        for t in range(target_in.shape[1]):
            if t > 0:
                read[:, t] = np.where(truth[:, t], target_in[:, t], said[-1].argmax(axis=-1))
            log_probs, state = self.model.step(state, read[:, t])
            said.append(log_probs)
        return read, np.stack(said, axis=1)


def showing(code: Framework, what: str, changes: Arrays | None = None) -> Decoder:
    """A decoder whose first logits are the "state" s_t, or the "context" c_t; the others are 0."""
    weight = np.zeros((READOUTS["linear"], TARGET_SIZE))
    names = list(SEEN_SIZES)
    first = sum(SEEN_SIZES[name] for name in names[: names.index(what)])
    weight[first : first + SEEN_SIZES[what], : SEEN_SIZES[what]] = np.eye(SEEN_SIZES[what])
    shown = {"decoder.readout.weight": weight, "decoder.readout.bias": np.zeros(TARGET_SIZE)}
    return Decoder(code, "linear", shown | (changes or {}))


def assert_moves(one: np.ndarray, other: np.ndarray, message: str) -> None:
    """Every row, along the last axis, of one is another in the other."""
    assert (np.abs(one - other).max(axis=-1) > SEEN).all(), message


def another_memory(decoder: Any) -> tuple[Any, Any]:
    """The state in which decoding starts, and the same with the annotations of another source."""
    source, _, _ = inputs()
    state, other = decoder.start(source), decoder.start((source + 1) % SOURCE_SIZE)
    return state, state._replace(memory=other.memory)


# What it computes.


def parameters_have_the_common_names(code: Framework, readout: str) -> None:
    """W, U and v, and no bias anywhere in the score: v's would move no weight at all."""
    arrays = code.weights.to_arrays(Decoder(code, readout).model)
    ours = {name: array.shape for name, array in arrays.items()}
    assert ours == shapes(readout), f"not the common names and shapes: {ours}"


def equals_the_reference(code: Framework, readout: str) -> None:
    """Equations of the paper, one number after the other; no code of the course."""
    decoder, (source, lengths, target_in) = Decoder(code, readout), inputs()
    first = code.numpy(decoder.start(source).hidden[0])
    annotations = decoder.annotations()
    expected = [
        reference(decoder.parameters, annotations[b, : lengths[b]], first[b], target_in[b], readout)
        for b in range(B)
    ]
    logits = np.stack([row[0] for row in expected])
    assert_equal(decoder.logits(), logits, EXACT, "logits differ from the paper's equations")
    weights = decoder.weights()
    for b, (_, row) in enumerate(expected):
        message = f"weights of sentence {b} differ from the paper's equations"
        assert_equal(weights[b, :, : lengths[b]], row, EXACT, message)


def reference(
    p: Arrays, annotations: np.ndarray, s: np.ndarray, tokens: np.ndarray, readout: str
) -> tuple[np.ndarray, np.ndarray]:
    """annotations (S,2H), first state (H,), tokens (T,) -> logits (T,V), weights (T,S)."""
    w, u, v = (p[f"attention.score.{name}"] for name in ("query_weight", "key_weight", "vector"))
    logits, weights = [], []
    for word in p["decoder.embedding.weight"][tokens]:
        powers = np.exp([np.tanh(s @ w + h @ u) @ v for h in annotations])
        alpha = powers / powers.sum()
        context = sum(a * h for a, h in zip(alpha, annotations))
        before, s = s, gru_step(p, np.concatenate([word, context]), s)
        seen = np.concatenate([s, context, word])
        if readout == "maxout":
            both = np.concatenate([before, context, word]) @ p["maxout.weight"] + p["maxout.bias"]
            seen = [max(both[j], both[j + 1]) for j in range(0, HIDDEN, 2)]
        logits.append(seen @ p["decoder.readout.weight"] + p["decoder.readout.bias"])
        weights.append(alpha)
    return np.array(logits), np.array(weights)


def gru_step(p: Arrays, x: np.ndarray, s: np.ndarray) -> np.ndarray:
    read = np.split(x @ p["decoder.rnn.w_x"] + p["decoder.rnn.b_x"], 3)
    kept = np.split(s @ p["decoder.rnn.w_h"] + p["decoder.rnn.b_h"], 3)
    r, z = (1 / (1 + np.exp(-read[gate] - kept[gate])) for gate in (0, 1))
    return (1 - z) * np.tanh(read[2] + r * kept[2]) + z * s


def gradients_equal_autograd(code: Framework, readout: str) -> None:
    """Every parameter's, with and without coins, against PyTorch's autograd."""
    expected = Decoder(FRAMEWORKS["pytorch"], readout)
    for truth in ((), (some_coins(),)):
        asked = (random_dlogits(), *inputs(), *truth)
        ours = Decoder(code, readout).gradients(*asked)
        message = "a path left out, or only the last step's?"
        assert_same_gradients(ours, expected.gradients(*asked), EXACT, message)


# Where it looks, and with what.


def the_query_has_not_seen_the_word(code: Framework, readout: str) -> None:
    """s_{t−1} asks: another y_{t−1} moves the weights of step t + 1, not those of step t."""
    decoder, (source, lengths, target_in) = Decoder(code, readout), inputs()
    before = decoder.weights()
    several = lengths > 1  # a single key gets weight 1 whatever is asked
    for t in range(1, T - 1):
        changed = target_in.copy()
        changed[:, t] = 3 + (changed[:, t] - 2) % (TARGET_SIZE - 3)
        after = decoder.weights(source, lengths, changed)
        message = f"another word read at step {t} moved its weights: s_t, or the word, for s_t−1?"
        assert_equal(after[:, : t + 1], before[:, : t + 1], 0, message)
        message = f"another word read at step {t} did not move the next weights: no state in them?"
        assert_moves(after[several, t + 1], before[several, t + 1], message)


def weights_depend_on_the_source(code: Framework, readout: str) -> None:
    """The same state over other annotations looks elsewhere."""
    decoder = Decoder(code, readout)
    tokens = np.full(B, SOS)
    weights = [decoder.model.step(state, tokens)[1].weights for state in another_memory(decoder)]
    several = SOURCE_LENGTHS > 1
    assert_moves(*(w[several] for w in weights), "the weights ignore the source")


def the_context_is_the_average_of_the_annotations(code: Framework, readout: str) -> None:
    """c_t = Σ_j α_tj h_j, 2H numbers: of the encoder's states, as they are, real ones only."""
    decoder = showing(code, "context")
    logits, annotations = decoder.logits(), decoder.annotations()
    weights = decoder.weights()
    message = (
        "the context is not Σ α_tj h_j: of the decoder's state, of projected annotations, of "
        "another step?"
    )
    context = logits[..., : 2 * HIDDEN]
    assert_equal(context, weights @ annotations, EXACT, message)
    for b, length in enumerate(SOURCE_LENGTHS):
        real = annotations[b, :length]
        inside = (real.min(axis=0) - EXACT <= context[b]) & (context[b] <= real.max(axis=0) + EXACT)
        assert inside.all(), "the context lies outside of the sentence's annotations"
        assert (weights[b, :, length:] == 0).all(), "the padding got weight"
        assert_equal(weights[b].sum(axis=-1), np.ones(T), EXACT, "weights must sum to 1")


def one_hot_weights_select_an_annotation(code: Framework, readout: str) -> None:
    """With scores far apart the context *is* one h_j, to the last bit."""
    sharp = {"attention.score.vector": 1e5 * random_parameters("linear")["attention.score.vector"]}
    decoder = showing(code, "context", sharp)
    weights = decoder.weights()
    assert ((weights == 0) | (weights == 1)).all(), "scores far apart must give weights 0 and 1"
    selected = np.take_along_axis(decoder.annotations(), weights.argmax(axis=-1)[..., None], axis=1)
    message = "with one-hot weights the context must be that annotation itself"
    assert_equal(decoder.logits()[..., : 2 * HIDDEN], selected, 0, message)


def the_context_feeds_the_state(code: Framework, readout: str) -> None:
    """The same state and word over other annotations lead to another state."""
    decoder = showing(code, "state")
    tokens = np.full(B, SOS)
    states = [decoder.model.step(state, tokens)[0] for state in another_memory(decoder)]
    assert_moves(*(x[:, :HIDDEN] - x[:, -1:] for x in states), "c_t does not help to make s_t")


def the_context_feeds_the_readout(code: Framework, readout: str) -> None:
    """Also where it cannot go through the state: the first row of a cell that is shut."""
    decoder = Decoder(code, readout, shut())
    tokens = np.full(B, SOS)
    logits = [decoder.model.step(state, tokens)[0] for state in another_memory(decoder)]
    assert_moves(*logits, "c_t does not reach the readout")


def shut() -> Arrays:
    """A cell that keeps its state for ever: z = 1."""
    bias = random_parameters("linear")["decoder.rnn.b_x"]
    return {
        "decoder.rnn.w_x": np.zeros((2 * HIDDEN + EMBED, 3 * HIDDEN)),
        "decoder.rnn.b_x": np.where(np.arange(3 * HIDDEN) // HIDDEN == 1, 1e3, bias),
    }


def the_encoder_learns_through_the_context(code: Framework, readout: str) -> None:
    """Without the bridge there is no other way back from the logits to the source."""
    decoder = Decoder(code, readout, {"bridge.weight": np.zeros((2 * HIDDEN, HIDDEN))})
    gradients = decoder.gradients(random_dlogits())
    message = "nothing flows back through the context: detached, or not made of the encoder?"
    for name in ("encoder.rnn.forward.w_x", "encoder.rnn.backward.w_x"):
        assert np.abs(gradients[name]).max() > SEEN, message
    real = np.arange(S) < SOURCE_LENGTHS[:, None]
    read = np.unique(inputs()[0][real])
    assert_moves(gradients["encoder.embedding.weight"][read], np.zeros((1, EMBED)), message)


def keys_are_projected_once(code: Framework, readout: str) -> None:
    """U h_j once a sentence: forward, and greedy decoding of several steps."""
    decoder, kind = Decoder(code, readout), code.AdditiveScore
    with mock.patch.object(kind, "project", autospec=True, side_effect=kind.project) as project:
        decoder.logits()
        assert project.call_count == 1, f"forward projected the keys {project.call_count} times"
        project.reset_mock()
        never = decoder.start(inputs()[0])
        said = greedy(decoder.model.step, never, B, SOS, EOS, max_length=T)
        assert max(map(len, said)) > 2
        assert project.call_count == 1, f"decoding projected the keys {project.call_count} times"


# Padding, batches, steps.


def padding_changes_nothing(code: Framework, readout: str) -> None:
    """On either side: logits, weights, gradients, and what greedy decoding says and sees."""
    decoder, (source, lengths, target_in) = Decoder(code, readout), inputs()
    rng = np.random.default_rng(14)
    wide = np.concatenate([source, rng.integers(0, SOURCE_SIZE, (B, 2))], axis=1)
    padding = np.arange(S + 2) >= lengths[:, None]
    wide[padding] = rng.integers(0, SOURCE_SIZE, padding.sum())
    long = np.concatenate([target_in, rng.integers(0, TARGET_SIZE, (B, 2))], axis=1)
    message = "padding must change nothing: no mask, off by one, or after the softmax?"
    asked = (wide, lengths, long)
    assert_equal(decoder.logits(*asked)[:, :T], decoder.logits(), EXACT, message)
    after = decoder.weights(*asked)[:, :T]
    assert_equal(after[..., :S], decoder.weights(), EXACT, message)
    assert not after[..., S:].any(), message
    dlogits = np.pad(random_dlogits(), ((0, 0), (0, 2), (0, 0)))
    before, after = decoder.gradients(random_dlogits()), decoder.gradients(dlogits, *asked)
    assert_same_gradients(after, before, EXACT, message)
    said, seen = (
        greedy_with_weights(decoder.model.step, decoder.start(x), B, SOS, EOS, T)
        for x in (source, wide)
    )
    assert said[0] == seen[0], message
    assert_equal(seen[1][..., :S], said[1], EXACT, message)


def sentences_do_not_mix(code: Framework, readout: str) -> None:
    """Each alone, without padding, as in a batch of as many sentences as tokens."""
    decoder, (source, lengths, target_in) = Decoder(code, readout), inputs()
    logits, weights = decoder.logits(), decoder.weights()
    for b, length in enumerate(lengths):
        one = slice(b, b + 1)
        asked = (source[one, :length], lengths[one], target_in[one])
        message = (
            f"sentence {b} alone differs from it in a batch: (B,A) + (B,S,A) without an axis, or a "
            "softmax over the batch?"
        )
        assert_equal(decoder.logits(*asked), logits[one], EXACT, message)
        assert_equal(decoder.weights(*asked), weights[one, :, :length], EXACT, message)


def step_by_step_is_teacher_forcing(code: Framework, readout: str) -> None:
    """The decoding protocol, given the same tokens; an old state may be used again."""
    decoder, (source, _, target_in) = Decoder(code, readout), inputs()
    state, weights = decoder.start(source), decoder.weights()
    expected, states = log_softmax(decoder.logits()), [state]
    for t in range(T):
        log_probs, state = decoder.model.step(state, target_in[:, t])
        states.append(state)
        message = f"step {t} differs from teacher forcing: a state, or a context, of another step?"
        assert_equal(log_probs, expected[:, t], EXACT, message)
        assert_equal(state.weights, weights[:, t], EXACT, message)
    for t, (old, new) in enumerate(pairwise(states)):
        again = decoder.model.step(old, target_in[:, t])[1]
        assert_equal(again.weights, new.weights, 0, "an old state gave another answer")


def selected_rows_go_on_by_themselves(code: Framework, readout: str) -> None:
    """`select`, as beam search asks: some sentences twice, some no more, in another order."""
    decoder, (source, _, target_in) = Decoder(code, readout), inputs()
    rows, model = np.array([3, 0, 0, 1, 3]), decoder.model
    _, state = model.step(decoder.start(source), target_in[:, 0])
    chosen = model.select(state, rows)
    message = "select must take the rows of the memory, of the state and of the weights alike"
    assert_equal(chosen.weights, state.weights[rows], 0, message)
    log_probs, after = model.step(state, target_in[:, 1])
    ours, ours_after = model.step(chosen, target_in[rows, 1])
    assert_equal(ours, log_probs[rows], EXACT, message)
    assert_equal(ours_after.weights, after.weights[rows], EXACT, message)


def beam_scores_are_the_model_s(code: Framework, readout: str) -> None:
    """What beam search says a hypothesis is worth, teacher forcing says too; one beam is greedy."""
    assert_beam_scores(Decoder(code, readout))


def assert_beam_scores(decoder: Any) -> None:
    """As above, for any decoder of this suite."""
    source, lengths, _ = inputs()
    model, sizes = decoder.model, (SOS, EOS, T)
    greedily = greedy(model.step, decoder.start(source), B, *sizes)
    one = decoding.beam(model.step, model.select, decoder.start(source), B, 1, *sizes)
    assert one == greedily, "a beam of one is greedy decoding"
    found = decoding.beam_hypotheses(model.step, model.select, decoder.start(source), B, 3, *sizes)
    rows, hypotheses = zip(*((b, hypothesis) for b in range(B) for hypothesis in found[b]))
    said = np.full((len(rows), T + 1), EOS)  # sos first; what is left over is padding
    said[:, 0] = SOS
    for row, (tokens, _, _) in zip(said, hypotheses):
        row[1 : len(tokens) + 1] = tokens
    log_probs = log_softmax(decoder.logits(source[list(rows)], lengths[list(rows)], said[:, :-1]))
    for row, (tokens, score, ended), answer in zip(said, hypotheses, log_probs):
        size = len(tokens) + ended
        expected = answer[range(size), row[1 : size + 1]].mean()
        message = "a beam's score is not its own: states or memories of other rows?"
        assert_equal(np.array(score), expected, EXACT, message)


# Scheduled sampling.


def truth_everywhere_is_teacher_forcing(code: Framework, readout: str) -> None:
    """`truth` all True, and only at the first token, which is always the given one."""
    decoder, everywhere = Decoder(code, readout), np.ones((B, T), bool)
    message = "with truth everywhere the decoder must read target_in: a coin that means the other?"
    assert_equal(decoder.logits(*inputs(), everywhere), decoder.logits(), 0, message)
    ours = decoder.gradients(random_dlogits(), *inputs(), everywhere)
    assert_same_gradients(ours, decoder.gradients(random_dlogits()), 0, message)
    everywhere[:, 0] = False
    message = "the first token is given: nothing was said before it"
    assert_equal(decoder.logits(*inputs(), everywhere), decoder.logits(), 0, message)


def truth_nowhere_is_greedy_decoding(code: Framework, readout: str) -> None:
    """Its own most probable token at every step, whatever stands in `target_in`."""
    decoder, (source, lengths, target_in) = Decoder(code, readout), inputs()
    nowhere = np.zeros((B, T), bool)
    read, log_probs = decoder.path(source, lengths, target_in, nowhere)
    message = "without truth the decoder must read what it said itself"
    logits = decoder.logits(source, lengths, target_in, nowhere)
    assert_equal(log_softmax(logits), log_probs, EXACT, message)
    junk = np.where(np.arange(T) == 0, target_in, 0)
    assert_equal(decoder.logits(source, lengths, junk, nowhere), logits, 0, message)
    said = greedy(decoder.model.step, decoder.start(source), B, SOS, EOS, max_length=T)
    ours = [row[: row.index(EOS) if EOS in row else T] for row in logits.argmax(axis=-1).tolist()]
    assert ours == said, message
    assert (read[:, 1:] != target_in[:, 1:]).any(axis=1).all(), "nothing to see: choose other seeds"


def a_coin_for_each_token(code: Framework, readout: str) -> None:
    """Where `truth` is True, and there only, the true token is read."""
    decoder, asked = Decoder(code, readout), (*inputs(), some_coins())
    _, log_probs = decoder.path(*asked)
    message = "coins: one a batch or a sentence, the other way round, or of another step?"
    assert_equal(log_softmax(decoder.logits(*asked)), log_probs, EXACT, message)


def gradients_are_those_of_the_tokens_read(code: Framework, readout: str) -> None:
    """Choosing a token has no gradient: as if it had stood in `target_in` all along."""
    decoder, asked = Decoder(code, readout), (*inputs(), some_coins())
    source, lengths, _ = inputs()
    read, _ = decoder.path(*asked)
    ours = decoder.gradients(random_dlogits(), *asked)
    expected = decoder.gradients(random_dlogits(), source, lengths, read)
    message = "scheduled sampling: the embedding of the token that was not read?"
    assert_same_gradients(ours, expected, EXACT, message)


# The paper's readout.


def maxout_takes_the_larger_of_neighbours(code: Framework, readout: str) -> None:
    """Pairs (2j − 1, 2j), not the two halves: 5 1 | 2 3 | 0 4 -> 5 3 4."""
    changes = _last_layer_shows_maxout() | {
        "maxout.weight": np.zeros((3 * HIDDEN + EMBED, HIDDEN)),
        "maxout.bias": np.array([5.0, 1, 2, 3, 0, 4]),
    }
    logits = Decoder(code, "maxout", changes).logits()[..., : HIDDEN // 2]
    message = "maxout must take the larger of each two neighbours"
    assert_equal(logits, np.broadcast_to([5.0, 3, 4], logits.shape), 0, message)


def maxout_reads_the_state_before_the_step(code: Framework, readout: str) -> None:
    """s_{t−1} (appendix A.2.2), while the linear readout sees s_t."""
    weight = np.zeros((3 * HIDDEN + EMBED, HIDDEN))
    weight[range(HIDDEN // 2), range(0, HIDDEN, 2)] = 1
    low = np.where(np.arange(HIDDEN) % 2, -1e3, 0.0)
    changes = _last_layer_shows_maxout() | {"maxout.weight": weight, "maxout.bias": low}
    before = Decoder(code, "maxout", changes).logits()[..., : HIDDEN // 2]
    after = showing(code, "state").logits()[..., : HIDDEN // 2]
    first = code.numpy(Decoder(code, "maxout").start(inputs()[0]).hidden[0])[:, : HIDDEN // 2]
    message = "maxout must read s_t−1"
    assert_equal(before[:, 0], first, EXACT, message)
    assert_equal(before[:, 1:], after[:, :-1], EXACT, message)


def _last_layer_shows_maxout() -> Arrays:
    weight = np.eye(HIDDEN // 2, TARGET_SIZE)
    return {"decoder.readout.weight": weight, "decoder.readout.bias": np.zeros(TARGET_SIZE)}


DECODER_PROPERTIES = {
    check.__name__: check
    for check in (
        parameters_have_the_common_names,
        equals_the_reference,
        gradients_equal_autograd,
        the_query_has_not_seen_the_word,
        weights_depend_on_the_source,
        the_context_feeds_the_readout,
        the_encoder_learns_through_the_context,
        keys_are_projected_once,
        padding_changes_nothing,
        sentences_do_not_mix,
        step_by_step_is_teacher_forcing,
        selected_rows_go_on_by_themselves,
        beam_scores_are_the_model_s,
        truth_everywhere_is_teacher_forcing,
        truth_nowhere_is_greedy_decoding,
        a_coin_for_each_token,
        gradients_are_those_of_the_tokens_read,
    )
}
# What is seen through one readout only.
LINEAR_PROPERTIES = {
    check.__name__: check
    for check in (
        the_context_is_the_average_of_the_annotations,
        one_hot_weights_select_an_annotation,
        the_context_feeds_the_state,
    )
}
MAXOUT_PROPERTIES = {
    check.__name__: check
    for check in (maxout_takes_the_larger_of_neighbours, maxout_reads_the_state_before_the_step)
}
PROPERTIES_OF = {
    "linear": DECODER_PROPERTIES | LINEAR_PROPERTIES,
    "maxout": DECODER_PROPERTIES | MAXOUT_PROPERTIES,
}


# Beam search and the measures of a translation. No model: a table of what follows a beginning.

WORDS = {"sos": 0, "eos": 1, "a": 2, "b": 3}
Table = dict[
    tuple[int, ...], list[float]
]  # what was said so far -> probabilities of sos, eos, a, b


def said_by_beam(table: Table, beam_size: int, length_penalty: float) -> list[int]:
    """The best of beam search over `table`; a beginning that it lacks goes on in any way."""

    def step(state: list, tokens: np.ndarray) -> tuple[np.ndarray, list]:
        state = [(*said, int(token)) for said, token in zip(state, tokens)]
        rows = [table.get(said[1:], [0, 1 / 3, 1 / 3, 1 / 3]) for said in state]
        with np.errstate(divide="ignore"):
            return np.log(rows), state

    def select(state: list, rows: np.ndarray) -> list:
        return [state[row] for row in rows]

    sizes = (1, beam_size, WORDS["sos"], WORDS["eos"], 5)
    return decoding.beam(step, select, [()], *sizes, length_penalty)[0]


def beam_divides_by_the_length() -> None:
    """exp of the mean: √(.55 · .7) for "a", .45 for saying nothing, which is the more probable."""
    table = {(): [0, 0.45, 0.55, 0], (2,): [0, 0.7, 0.15, 0.15]}
    message = "the score must be divided by the length, eos included"
    assert said_by_beam(table, 2, length_penalty=1) == [2], message
    assert said_by_beam(table, 2, length_penalty=0) == [], "without the division short ones win"


def beam_keeps_what_has_ended() -> None:
    """The best may end first, and wins when all others have become improbable."""
    table = {(): [0, 0.8, 0.1, 0.1]}
    assert said_by_beam(table, 2, length_penalty=1) == [], "a hypothesis that ended was dropped"


def beam_takes_each_hypothesis_s_own_state() -> None:
    """Both that go on after two tokens began with b; whoever is taken for "a" goes elsewhere."""
    table = {
        (): [0, 0, 0.6, 0.4],
        (2,): [0, 0.26, 0.24, 0.25],  # of the rest, something that nobody may say
        (3,): [0, 0, 0.6, 0.4],
        (3, 2): [0, 0.9, 0.1, 0],
        (2, 2): [0, 0, 0, 1],
    }
    assert said_by_beam(table, 2, length_penalty=1) == [3, 2], "the state of another hypothesis"


def bleu_punishes_what_is_too_short() -> None:
    """5 words of 8, all right: every n-gram is found, so what is left is exp(1 − 8/5)."""
    reference = "a small brown dog runs over green grass"
    score = metrics.bleu([" ".join(reference.split()[:5])], [reference]).value
    message = "predictions first, then references: a swap hides that a prediction is too short"
    assert abs(score - 100 * np.exp(1 - 8 / 5)) < 1e-6, f"{message} (got {score:.2f})"


def a_link_is_target_then_source() -> None:
    """Each of 3 target words to one of 4 source words; eos, on both sides, is none."""
    weights = np.array(
        [
            [0.1, 0.0, 0.2, 0.6, 0.1],
            [0.3, 0.1, 0.1, 0.1, 0.4],  # most of it to the source's eos
            [0.1, 0.1, 0.2, 0.5, 0.1],
            [0.0, 0.9, 0.0, 0.0, 0.1],  # of the target's eos
        ]
    )
    links = alignment.links_of(weights, source_length=4, target_length=3)
    message = "links must be (target, source), one a target word, none of eos"
    assert links == {(0, 3), (1, 0), (2, 3)}, f"{message} (got {sorted(links)})"


TRANSLATION_PROPERTIES = {
    check.__name__: check
    for check in (
        beam_divides_by_the_length,
        beam_keeps_what_has_ended,
        beam_takes_each_hypothesis_s_own_state,
        bleu_punishes_what_is_too_short,
        a_link_is_target_then_source,
    )
}
