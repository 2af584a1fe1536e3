"""Checks of Chapter 1's exercises: targets, losses, encoders, decoding, one LSTM step."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy

from attention_course.checks.core import Trial, close, exercise, np, slope

PAD, SOS, EOS = 0, 1, 2


def _shifted(tokens: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    inputs, targets = [], []
    for row in tokens:
        real = [int(token) for token in row if token != PAD]
        pads = [PAD] * (len(row) - len(real))
        inputs.append([SOS, *real, *pads])
        targets.append([*real, EOS, *pads])
    return np.array(inputs), np.array(targets)


@exercise
def shift_targets(answer, draw):
    small = np.array([[5, 6, 0], [7, 8, 9]])
    lengths = draw.integers(1, 7, size=4)
    lengths[0] = 6
    large = np.where(np.arange(6) < lengths[:, None], draw.integers(3, 20, size=(4, 6)), PAD)
    for tokens in (small, large):
        inputs, targets = _shifted(tokens)
        trial = Trial(answer, tokens=tokens, sos=SOS, eos=EOS, pad=PAD)
        got_in, got_out = trial.outputs("decoder_in", "decoder_out")
        rows, length = tokens.shape
        causes = {(rows, length): "a column was dropped; with <sos> or <eos> there is one more"}
        got_in.shape("(B,T+1)", (rows, length + 1), causes)
        got_out.shape("(B,T+1)", (rows, length + 1), causes)
        got_in.equals(
            "the decoder reads <sos>, then the target's tokens",
            inputs,
            {
                "<eos> was put in front instead of <sos>": np.where(inputs == SOS, EOS, inputs),
                "the two were swapped: the input starts with <sos>": targets,
            },
        )
        at_end = np.concatenate([tokens, np.full((rows, 1), EOS)], axis=1)
        got_out.equals(
            "the decoder is asked for the tokens, then <eos> directly after the last real one",
            targets,
            {
                "the target is what the decoder reads: a model that echoes has loss 0": inputs,
                "<eos> stands after the padding; put it where the first pad was": at_end,
                "no <eos>: the model would never learn to stop": np.where(
                    targets == EOS, PAD, targets
                ),
            },
        )


def _log_softmax(logits: numpy.ndarray) -> numpy.ndarray:
    result = np.empty_like(logits)
    for place in np.ndindex(logits.shape[:-1]):
        row = logits[place] - logits[place].max()
        result[place] = row - math.log(sum(math.exp(value) for value in row))
    return result


def _costs(log_probs: numpy.ndarray, targets: numpy.ndarray) -> numpy.ndarray:
    costs = np.zeros(targets.shape)
    for place in np.ndindex(targets.shape):
        costs[place] = -log_probs[place][targets[place]]
    return costs


@exercise
def masked_cross_entropy(answer, draw):
    targets = np.array([[2, 1, PAD, PAD], [3, 1, 2, 4]])
    for logits in (np.round(draw.normal(size=(2, 4, 5)), 1), 900 * draw.normal(size=(2, 4, 5))):
        real = targets != PAD
        costs = _costs(_log_softmax(logits), targets)
        expected = costs[real].sum() / real.sum()
        twice = _costs(_log_softmax(np.exp(_log_softmax(logits))), targets)
        of_rows = np.mean([row[mask].mean() for row, mask in zip(costs, real, strict=True)])
        trial = Trial(answer, logits=logits, targets=targets, pad=PAD)
        got = trial.output("the loss")
        got.shape("() [one number]", ())
        trial.must(
            "large logits do not overflow",
            bool(np.isfinite(got.value)),
            expected,
            got.value,
            "exp of a large logit; subtract each row's largest one first, and take no log of 0",
        )
        got.equals(
            "it is the mean over real tokens",
            expected,
            {
                "the pads are in the mean: no mask": costs.mean(),
                "the sum is masked, but divided by all B·T places": costs[real].sum() / costs.size,
                "it is the sum, not the mean": costs[real].sum(),
                "every sentence counts the same: a mean of means, not a mean over tokens": of_rows,
                "the softmax was taken twice": twice[real].mean(),
                "the sign": -expected,
                "the unit: it is in bits, not nats": expected / math.log(2),
                "the rows were masked by zero logits instead of left out": (
                    costs[real].sum() + math.log(5) * (~real).sum()
                )
                / costs.size,
            },
            tolerance=1e-6,
        )
    longer = np.pad(targets, ((0, 0), (0, 3)), constant_values=PAD)
    padded = np.concatenate([logits, draw.normal(size=(2, 3, 5))], axis=1)
    trial = Trial(answer, logits=padded, targets=longer, pad=PAD)
    trial.output("the loss").equals(
        "three more columns of pads change nothing", expected, tolerance=1e-6
    )


SENTENCES = (
    ("Go away!", ["go", "away", "!"], "marks are tokens of their own"),
    ("I go, you stay.", ["i", "go", ",", "you", "stay", "."], "every mark is a token of its own"),
    ("Ma sœur est là.", ["ma", "sœur", "est", "là", "."], "letters are not only a to z"),
    ("J'ai 30 ans.", ["j'ai", "30", "ans", "."], "digits and apostrophes stay"),
    ("¿Estás aquí?", ["¿", "estás", "aquí", "?"], "accents stay, and so does ¿"),
    ("Un arc-en-ciel", ["un", "arc-en-ciel"], "a hyphen between letters stays in the word"),
    ("A - B  'quoted'", ["a", "-", "b", "'", "quoted", "'"], "outside a word they are marks"),
)


def _why_tokens(text: str, expected: list[str], got: list[str]) -> str:
    """The mistake, as far as it can be read off the tokens."""
    if any(token == "" or " " in token for token in got):
        return "a blank or an empty string is no token; split at any number of blanks"
    if any(token != token.lower() for token in got):
        return "the text was not changed to lower case"
    lost = {letter for letter in text.lower() if not letter.isspace()} - set("".join(got))
    plain = {"œ": "œ has no accent to remove, it is a letter", "3": "digits were deleted"}
    for letter, told in plain.items():
        if letter in lost:
            return f"{told}; a filter that keeps a to z only loses words"
    if any(letter.isalpha() for letter in lost):
        return f"accents were removed or letters deleted: {' '.join(sorted(lost))}"
    if lost:
        return f"marks were deleted: {' '.join(sorted(lost))}"
    if any(len(token) > 1 and not token[-1].isalnum() for token in got):
        return "a mark at the end of a word was left in it: splitting at blanks is not enough"
    return "words are cut, or marks joined, at the wrong place"


@exercise
def tokenize(answer, draw):
    for place in draw.permutation(len(SENTENCES)):
        text, expected, property = SENTENCES[place]
        trial = Trial(answer, sentence=text)
        kind = type(trial.result).__name__
        right = isinstance(trial.result, (list, tuple))
        trial.must("it returns a list of strings", right, "a list", kind, "no `return`")
        got = [str(token) for token in trial.result]
        cause = _why_tokens(text, expected, got)
        trial.must(property, got == expected, repr(expected), repr(got), cause)


def _added(x: numpy.ndarray, state: numpy.ndarray) -> numpy.ndarray:
    return state + x


def _last(
    inputs: numpy.ndarray,
    lengths: numpy.ndarray,
    step: Callable,
    state: numpy.ndarray,
    rule: Callable[[int, int], bool],
) -> numpy.ndarray:
    """The state of each row after the steps t for which rule(t, its length) holds."""
    states = state.copy()
    for row, length in enumerate(lengths):
        for t in range(inputs.shape[1]):
            if rule(t, int(length)):
                states[row] = step(inputs[row : row + 1, t], states[row : row + 1])[0]
    return states


@exercise
def encode(answer, draw):
    W, U = draw.normal(size=(3, 4)), draw.normal(size=(4, 4))

    def mixed(x: numpy.ndarray, state: numpy.ndarray) -> numpy.ndarray:
        return np.tanh(x @ W + state @ U + 0.3)

    small = (np.array([[[1.0], [2.0], [9.0]], [[3.0], [4.0], [5.0]]]), np.array([2, 3]))
    large = (draw.normal(size=(4, 5, 3)), np.array([3, 5, 1, 0]))
    cases = ((*small, _added, np.zeros((2, 1))), (*large, mixed, draw.normal(size=(4, 4))))
    for inputs, lengths, step, state in cases:
        expected = _last(inputs, lengths, step, state, lambda t, n: t < n)
        everything = _last(inputs, lengths, step, state, lambda t, n: True)
        mistakes = {
            "the last column was taken, pads and all": everything,
            "one token too many: the first pad was read, too": _last(
                inputs, lengths, step, state, lambda t, n: t <= n
            ),
            "one token too few": _last(inputs, lengths, step, state, lambda t, n: t < n - 1),
            "the shortest sentence's length was used for all rows": _last(
                inputs, np.full(len(lengths), lengths.min()), step, state, lambda t, n: t < n
            ),
            "the first state was ignored": _last(
                inputs, lengths, step, 0 * state, lambda t, n: t < n
            ),
        }
        trial = Trial(answer, inputs=inputs, lengths=lengths, step=step, state=state)
        got = trial.output("the states")
        got.shape("(B,H)", state.shape, {(1, *state.shape): "an axis of length 1 too many"})
        got.equals(
            "each row holds the state after its last real token",
            expected,
            mistakes,
            "rows mix, or pads reach a state",
            tolerance=1e-6,
        )
    nonsense = np.concatenate([inputs, 99 * np.ones((4, 2, 3))], axis=1)
    trial = Trial(answer, inputs=nonsense, lengths=lengths, step=step, state=state)
    trial.output("the states").equals(
        "two more columns of padding change nothing",
        expected,
        cause="what stands in the pads has reached a state",
        tolerance=1e-6,
    )


class _Scripted:
    """A model that says its sentences, then <eos>, then nonsense, and writes down what it is told.

    Told another token than it said last, it goes on with the nonsense: own words must be fed back.
    """

    NONSENSE = 11

    def __init__(self, sentences: list[list[int]], eos: int):
        self.sentences, self.eos, self.told = sentences, eos, []
        self.__name__ = f"a model that says {sentences}"

    def __call__(self, count: int, tokens: numpy.ndarray) -> tuple[numpy.ndarray, int]:
        self.told.append(np.array(tokens))
        said = [
            row[count] if count < len(row) else self.eos if count == len(row) else self.NONSENSE
            for row in self.sentences
        ]
        log_probs = np.full((len(said), 12), -9.0)
        for row, token in enumerate(said):
            log_probs[row, token] = -0.1
        return log_probs, count + 1

    def __deepcopy__(self, memory: dict) -> _Scripted:
        return self


def _as_lists(trial: Trial, rows: int) -> list[list[int]]:
    try:
        got = [[int(token) for token in row] for row in trial.result]
    except (TypeError, ValueError):
        trial.fail("it returns a list of lists of ids", f"{rows} lists", trial.result, "")
    cause = "the lists go over the steps, not the sentences: turn them round"
    trial.must("there is one list a sentence", len(got) == rows, rows, len(got), cause)
    return got


def _why_decoded(expected: list[list[int]], got: list[list[int]], model: _Scripted) -> str:
    """The mistake, as far as it can be read off the decoded rows."""
    if all(row[: len(want)] == want for row, want in zip(got, expected, strict=True)):
        ends = {row[len(want)] for row, want in zip(got, expected, strict=True) if row != want}
        if ends == {model.eos}:
            longest = max(len(row) - len(want) for row, want in zip(got, expected, strict=True))
            if longest == 1:
                return "<eos> was kept in the result"
        return "a row went on after its <eos>: look at each row's own end, by the id that is given"
    if all(row == want[: len(row)] for row, want in zip(got, expected, strict=True)):
        return "the first row to end has ended all, or an id was hard-coded as the end"
    return "tokens are missing or in another order"


@exercise
def greedy_decode(answer, draw):
    cases = [
        ([[5, 6, 7], [8]], 2, 1, 6),
        ([[5, 6, 7], [8]], 3, 1, 6),
        ([[4, 3], [3, 4, 3]], 2, 1, 6),
    ]
    tokens = draw.integers(4, 11, size=(3, 5)).tolist()
    cases.append(([tokens[0], tokens[1][:2], []], 1, 3, 8))
    for sentences, eos, sos, limit in cases:
        rows, model = len(sentences), _Scripted(sentences, eos)
        trial = Trial(
            answer, step=model, state=0, batch_size=rows, sos=sos, eos=eos, max_length=limit
        )
        got = _as_lists(trial, rows)
        cause = "the decoder did not start with <sos>"
        started = close(model.told[0], np.full(rows, sos)) if model.told else False
        trial.must("the first token read is <sos>", started, sos, model.told[:1], cause)
        cause = _why_decoded(sentences, got, model) if got != sentences else ""
        trial.must("each row ends at its own <eos>", got == sentences, sentences, got, cause)
        for step, told in enumerate(model.told[1:]):
            for row, sentence in enumerate(sentences):
                if step < len(sentence):
                    fed = int(told[row]) == sentence[step]
                    cause = "the model reads something else than its own last word"
                    trial.must("it feeds back its own words", fed, sentence[step], told[row], cause)
        needed = max(map(len, sentences)) + 1
        cause = "the loop runs to max_length although every row has ended"
        called = len(model.told)
        trial.must("it stops when all have ended", called <= needed, needed, called, cause)
    model = _Scripted([[4, 5, 6, 7]], EOS)
    trial = Trial(answer, step=model, state=0, batch_size=1, sos=SOS, eos=EOS, max_length=3)
    got, cause = _as_lists(trial, 1), "max_length counts tokens said, without <sos>"
    trial.must("it says at most max_length tokens", got == [[4, 5, 6]], [[4, 5, 6]], got, cause)


def _sigmoid(a: numpy.ndarray) -> numpy.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * a)


def _cell(
    x: numpy.ndarray,
    h: numpy.ndarray,
    c: numpy.ndarray,
    W_x: numpy.ndarray,
    W_h: numpy.ndarray,
    b: numpy.ndarray,
    order: str = "ifgo",
    mistake: str = "",
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """One step, gate by gate; `mistake` names what is done wrong on purpose."""
    size = h.shape[1]
    block = {name: slice(size * k, size * (k + 1)) for k, name in enumerate(order)}
    gate = {name: x @ W_x[:, at] + h @ W_h[:, at] + b[at] for name, at in block.items()}
    if mistake == "no bias":
        gate = {name: value - b[block[name]] for name, value in gate.items()}
    if mistake == "no state":
        gate = {name: value - h @ W_h[:, block[name]] for name, value in gate.items()}
    squash = _sigmoid if mistake == "sigmoid candidate" else np.tanh
    new_c = _sigmoid(gate["f"]) * c + _sigmoid(gate["i"]) * squash(gate["g"])
    seen = c if mistake == "old cell" else new_c
    return _sigmoid(gate["o"]) * (seen if mistake == "no tanh" else np.tanh(seen)), new_c


def _lstm_inputs(draw: numpy.random.Generator, scale: float = 1.0) -> dict[str, numpy.ndarray]:
    sizes = {"x": (2, 3), "h": (2, 2), "c": (2, 2), "W_x": (3, 8), "W_h": (2, 8), "b": (8,)}
    return {name: np.round(scale * draw.normal(size=size), 2) for name, size in sizes.items()}


@exercise
def lstm_step(answer, draw):
    for scale in (1.0, 300.0):
        given = _lstm_inputs(draw)
        given["W_x"] = given["W_x"] * scale
        h, c = _cell(**given)
        told = {
            "no bias": "the bias was left out",
            "no state": "h was left out: the gates look at x only",
            "sigmoid candidate": "the candidate went through σ instead of tanh",
            "old cell": "h' was made from the old cell; update the cell first",
            "no tanh": "there is no tanh around the new cell in h'",
        }
        wrong = {told[name]: _cell(**given, mistake=name) for name in told}
        for order in ("figo", "ifog", "igfo", "oifg"):
            names = {"i": "input", "f": "forget", "g": "candidate", "o": "output"}
            listed = ", ".join(names[letter] for letter in order)
            text = f"the blocks were taken in the order {listed}; here it is input, forget, "
            wrong[text + "candidate, output"] = _cell(**given, order=order)
        trial = Trial(answer, **given)
        new_h, new_c = trial.outputs("h", "c")
        new_h.shape("(B,H)", h.shape, {(2, 8): "the four blocks were not cut apart"})
        new_c.shape("(B,H)", c.shape)
        swapped = close(new_h.value, c, 1e-6) and close(new_c.value, h, 1e-6)
        trial.must("h comes first, then c", not swapped, h, new_h.value, "they are swapped")
        finite = bool(np.isfinite(new_h.value).all() and np.isfinite(new_c.value).all())
        cause = "exp of a large number; (1 + tanh(a/2)) / 2 is the logistic function, too"
        trial.must("large inputs do not overflow", finite, c, new_c.value, cause)
        mistakes = {name: pair[1] for name, pair in wrong.items()}
        new_c.equals("the new cell is σ(f)⊙c + σ(i)⊙tanh(g)", c, mistakes, tolerance=1e-6)
        mistakes = {name: pair[0] for name, pair in wrong.items()}
        new_h.equals("the new state is σ(o)⊙tanh(c')", h, mistakes, tolerance=1e-6)


def _without(dh: numpy.ndarray, dc: numpy.ndarray, given: dict) -> dict[str, dict]:
    """Gradients as common mistakes give them: mistake → variable → gradient."""

    def gradients(dh: numpy.ndarray, dc: numpy.ndarray) -> dict:
        def loss(**changed: numpy.ndarray) -> float:
            h, c = _cell(**{**given, **changed})
            return float((dh * h).sum() + (dc * c).sum())

        return {
            name: slope(lambda at, name=name: loss(**{name: at}), value)
            for name, value in given.items()
        }

    return {
        "": gradients(dh, dc),
        "what comes through dc was forgotten": gradients(dh, 0 * dc),
        "what comes through h' was forgotten": gradients(0 * dh, dc),
    }


@exercise
def lstm_step_backward(answer, draw):
    given = _lstm_inputs(draw)
    dh, dc = np.round(draw.normal(size=(2, 2, 2)), 2)
    found = _without(dh, dc, given)
    right = found.pop("")
    rows = len(given["x"])
    trial = Trial(answer, dh=dh, dc=dc, **given)
    names = {"x": "dx", "h": "dh_before", "c": "dc_before", "W_x": "dW_x", "W_h": "dW_h", "b": "db"}
    outputs = dict(zip(names, trial.outputs(*names.values()), strict=True))
    for name, output in outputs.items():
        shape = given[name].shape
        cause = "the bias was added to every row: add up over the batch" if name == "b" else ""
        wrong_shapes = {(rows, 8): cause, shape[::-1]: "it is the transposed gradient"}
        output.shape(f"of {name}", shape, wrong_shapes)
    for name, output in outputs.items():
        mistakes = {told: each[name] for told, each in found.items()}
        mistakes["it is the mean over the batch; a gradient adds up"] = right[name] / rows
        mistakes["the sign"] = -right[name]
        if name == "c":
            mistakes["it stops at the cell: the forget gate stands between"] = _dcell(dh, dc, given)
        output.equals(
            f"{names[name]} is the gradient (checked by finite differences)",
            right[name],
            mistakes,
            "a slope: σ' is σ(1 − σ), tanh' is 1 − tanh², both of the squashed value",
            tolerance=1e-5,
        )


def _dcell(dh: numpy.ndarray, dc: numpy.ndarray, given: dict) -> numpy.ndarray:
    h, c = _cell(**given)
    return dc + dh * (h / np.tanh(c)) * (1 - np.tanh(c) ** 2)


def _crossing(lengths: numpy.ndarray, exact: numpy.ndarray) -> float:
    if exact[0] < 0.5:
        return float(lengths[0])
    for k in range(1, len(lengths)):
        if exact[k] < 0.5:
            return float(np.interp(-0.5, [-exact[k - 1], -exact[k]], lengths[k - 1 : k + 1]))
    return math.inf


@exercise
def half_length(answer, draw):
    falling = np.sort(draw.uniform(0.05, 0.95, size=6))[::-1]
    falling[0], falling[-1] = 0.97, 0.03
    wavy = np.array([0.9, 0.4, 0.7, 0.2])
    cases = (
        ([5, 10, 15], [1.0, 0.8, 0.2]),
        ([3, 4, 6, 9, 10, 14], falling),
        ([2, 4, 6, 8], wavy),
        ([5, 10], [0.3, 0.1]),
        ([5, 10], [0.9, 0.6]),
    )
    for listed, shares in cases:
        lengths, exact = np.array(listed), np.array(shares, dtype=float)
        expected = _crossing(lengths, exact)
        below = np.flatnonzero(exact < 0.5)
        last_above = np.flatnonzero(exact >= 0.5)
        first = lengths[below[0]] if below.size else math.inf
        before = lengths[max(below[0] - 1, 0)] if below.size else lengths[-1]
        nearest = lengths[np.argmin(abs(exact - 0.5))]
        mistakes = {
            "it is the first measured length below, not the place between two": first,
            "it is the last length above, not the place between two": before,
            "it is the middle of the two lengths, whatever the shares are": (first + before) / 2,
            "it is the measured length nearest to one half": nearest,
        }
        if below.size and last_above.size and last_above[-1] > below[0]:
            at = last_above[-1]
            mistakes["it is the last crossing, not the first"] = _crossing(lengths[at:], exact[at:])
            order = np.argsort(exact)
            mistakes["np.interp needs rising x: these shares are not sorted"] = np.interp(
                0.5, exact[order], lengths[order]
            )
        mistakes["np.interp needs rising x: these shares fall"] = np.interp(0.5, exact, lengths)
        trial = Trial(answer, lengths=lengths, exact=exact)
        got = trial.output("the length")
        got.shape("() [one number]", ())
        property = "it is where the curve first crosses one half"
        if not below.size:
            property = "a curve that never falls below one half gives infinity"
        elif below[0] == 0:
            property = "a curve that starts below one half gives the first length"
        got.equals(property, expected, mistakes, tolerance=1e-6)
