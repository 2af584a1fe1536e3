"""Checks of Chapter 1's exercises: targets, losses, encoders, decoding, one LSTM step."""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections.abc import Callable, Mapping

import numpy

from attention_course.checks.core import (
    TOLERANCE,
    Array,
    CheckFailed,
    Output,
    Shared,
    Trial,
    attempt,
    close,
    exercise,
    np,
    part_of,
    sigmoid,
    slopes,
)

PAD, SOS, EOS = 0, 1, 2


def _shifted(tokens: Array, sos: int, eos: int, pad: int) -> tuple[Array, Array]:
    inputs, targets = [], []
    for row in tokens:
        real = [int(token) for token in row if token != pad]
        pads = [pad] * (len(row) - len(real))
        inputs.append([sos, *real, *pads])
        targets.append([*real, eos, *pads])
    return np.array(inputs), np.array(targets)


def _eos_at(tokens: Array, places: Array) -> Array:
    """The tokens and one more column, and <eos> at one place in each row."""
    result = np.concatenate([tokens, np.full((len(tokens), 1), PAD)], axis=1)
    for row, place in enumerate(places):
        result[row, place] = EOS
    return result


def _wrong_inputs(tokens: Array, inputs: Array, targets: Array) -> dict[str, Array]:
    """Mistake → what the decoder reads, with the usual ids."""
    first, ends = np.full((len(tokens), 1), SOS), (tokens != PAD).sum(axis=1)
    return {
        "<eos> was put in front instead of <sos>": np.where(inputs == SOS, EOS, inputs),
        "the two were swapped: the input starts with <sos>": targets,
        "shorter rows read <eos>, too; it is only asked for, never read": np.concatenate(
            [first, _eos_at(tokens, ends)[:, :-1]], axis=1
        ),
        "<sos> is not there": np.concatenate([tokens, 0 * first + PAD], axis=1),
    }


def _wrong_targets(tokens: Array, inputs: Array, targets: Array) -> dict[str, Array]:
    """Mistake → what the decoder is asked for, with the usual ids."""
    (rows, length), ends = tokens.shape, (tokens != PAD).sum(axis=1)
    places = {
        "<eos> stands after the padding; put it where the first pad was": np.full(rows, length),
        "argmax looked for the first pad; in a full row it finds none and says 0": (
            np.where(ends == length, 0, ends)
        ),
        "<eos> is one place too early, on the last word": ends - 1,
        "the first row's length was used for all rows": np.full(rows, ends[0]),
    }
    return {
        "the target is what the decoder reads: a model that echoes has loss 0": inputs,
        "no <eos>: the model would never learn to stop": np.where(targets == EOS, PAD, targets),
        "every pad became <eos>; only the first one does": np.where(targets == PAD, EOS, targets),
    } | {told: _eos_at(tokens, place) for told, place in places.items()}


@exercise
def shift_targets(answer, draw):
    """`<sos>` in front, `<eos>` after the last real token, the ids as arguments."""
    small, others = np.array([[5, 6, 0], [7, 8, 9]]), np.array([[5, 0, 9], [7, 8, 4]])
    lengths = draw.integers(1, 7, size=4)
    lengths[0] = 6
    large = np.where(np.arange(6) < lengths[:, None], draw.integers(3, 20, size=(4, 6)), PAD)
    usual = {"sos": SOS, "eos": EOS, "pad": PAD}
    for tokens, ids in ((small, usual), (others, {"sos": 3, "eos": 6, "pad": 9}), (large, usual)):
        inputs, targets = _shifted(tokens, **ids)
        got_in, got_out = Trial(answer, tokens=tokens, **ids).outputs("decoder_in", "decoder_out")
        rows, length = tokens.shape
        causes = {(rows, length): "a column was dropped; with <sos> or <eos> there is one more"}
        got_in.shape("(B,T+1)", (rows, length + 1), causes)
        got_out.shape("(B,T+1)", (rows, length + 1), causes)
        cause, wrong_in, wrong_out = "", {}, {}
        if ids is usual:
            wrong_in = _wrong_inputs(tokens, inputs, targets)
            wrong_out = _wrong_targets(tokens, inputs, targets)
        else:
            cause = "an id is written into the code; `sos`, `eos` and `pad` are arguments"
        told = "the decoder reads <sos>, then the target's tokens"
        got_in.equals(told, inputs, wrong_in, cause)
        told = "the decoder is asked for the tokens, then <eos> directly after the last real one"
        got_out.equals(told, targets, wrong_out, cause)
        for got in (got_in, got_out):
            cause = "np.zeros and np.ones make floats, which index no embedding: `dtype=int`"
            kind, told = got.value.dtype, f"{got.name} holds integers, the ids of tokens"
            got.trial.must(told, kind.kind in "iu", "int", kind, cause)


def _log_softmax(logits: Array) -> Array:
    result = np.empty_like(logits)
    for place in np.ndindex(logits.shape[:-1]):
        row = logits[place] - logits[place].max()
        result[place] = row - math.log(sum(math.exp(value) for value in row))
    return result


def _costs(log_probs: Array, targets: Array) -> Array:
    costs = np.zeros(targets.shape)
    for place in np.ndindex(targets.shape):
        costs[place] = -log_probs[place][targets[place]]
    return costs


def _wrong_losses(logits: Array, targets: Array, pad: int) -> dict[str, float]:
    """Mistake → the loss that it gives."""
    real = targets != pad
    log_p = _log_softmax(logits)
    costs = _costs(log_p, targets)
    over_time = _costs(_log_softmax(logits.transpose(0, 2, 1)).transpose(0, 2, 1), targets)
    twice = _costs(_log_softmax(np.exp(log_p)), targets)
    even = costs[real].sum() + math.log(logits.shape[-1]) * (~real).sum()
    of_rows = [row[mask].mean() for row, mask in zip(costs, real, strict=True)]
    top = logits.max(axis=-1)
    return {
        "the pads are in the mean: no mask": costs.mean(),
        "the sum is masked, but divided by all B·T places": costs[real].sum() / costs.size,
        "the sum is divided by the sentences, not by the tokens": costs[real].sum() / len(costs),
        "the sum is divided by T, not by the number of tokens": costs[real].sum() / len(costs[0]),
        "it is the sum, not the mean": costs[real].sum(),
        "it is the mean over all classes; the right one's log p is wanted": -log_p[real].mean(),
        "it is the largest log p; the right class's is wanted": -log_p.max(axis=-1)[real].mean(),
        "there is no logarithm: it is the mean of −p": -np.exp(-costs)[real].mean(),
        "every sentence counts the same: a mean of means, not a mean over tokens": np.mean(of_rows),
        "the mask is upside down: it is the mean over the pads": costs[~real].mean(),
        "the softmax was taken twice": twice[real].mean(),
        "the softmax was taken over the time steps; the classes are the last axis": over_time[
            real
        ].mean(),
        "there is no softmax: logits are not log p": _costs(logits, targets)[real].mean(),
        "the largest logit was subtracted in one of two places": (costs - top)[real].mean(),
        "the minus of −log p was forgotten": -costs[real].mean(),
        "the unit: it is in bits, not nats": costs[real].mean() / math.log(2),
        "the pads were masked by zero logits instead of left out": even / costs.size,
    }


@exercise
def masked_cross_entropy(answer, draw):
    """The mean of −log p over real tokens: pads left out, logits of any size."""
    words = np.array([[2, PAD, PAD], [3, 1, 2]])
    small = np.round(draw.normal(size=(2, 3, 4)), 1)
    lower = np.round(small)
    lower[1, 2] -= 2000
    wild = np.round(900 * draw.normal(size=(2, 3, 4)))
    wild[0, 0] = [2000, 1990, 0, 3]
    overflow = "exp of a large logit is infinite; subtract each token's largest one first"
    underflow = (
        "several tokens share one largest logit, and exp of the others is 0; each has its own"
    )
    capped = (
        "p is 0 in a float, and p clipped, or p + 1e-9, caps the cost; take log p from the logits"
    )
    argument = "the id of <pad> is written into the code; here it is 1, and 0 is a word"
    mean = "it is the mean over real tokens"
    for logits, targets, pad, property, cause in (
        (small, words, PAD, mean, ""),
        (small, np.array([[2, 1, 1], [3, 0, 2]]), 1, mean + ", whatever the id of <pad>", argument),
        (np.round(small) + 1000, words, PAD, "large logits do not overflow", overflow),
        (lower, words, PAD, "a token with small logits costs as much as before", underflow),
        (wild, words, PAD, "a sure and wrong model pays hundreds of nats", capped),
    ):
        costs = _costs(_log_softmax(logits), targets)[targets != pad]
        trial = Trial(answer, logits=logits, targets=targets, pad=pad)
        got = trial.output("the loss")
        causes = {targets.shape: "one loss a token", targets.shape[:1]: "one loss a sentence"}
        got.shape("() [one number]", (), causes)
        wrong = {} if cause else _wrong_losses(logits, targets, pad)
        got.equals(property, costs.mean(), wrong, cause, tolerance=1e-4 if cause else TOLERANCE)
    longer = np.pad(words, ((0, 0), (0, 3)), constant_values=PAD)
    padded = np.concatenate([wild, draw.normal(size=(2, 3, 4))], axis=1)
    trial = Trial(answer, logits=padded, targets=longer, pad=PAD)
    trial.output("the loss").equals(
        "three more columns of pads change nothing", costs.mean(), tolerance=1e-4
    )


SENTENCES = (
    ("Go away!", ["go", "away", "!"], "marks are tokens of their own"),
    ("I go, you stay.", ["i", "go", ",", "you", "stay", "."], "every mark is a token of its own"),
    ("J'ai 30 ans.", ["j'ai", "30", "ans", "."], "digits and apostrophes stay"),
    ("Ma sœur est là.", ["ma", "sœur", "est", "là", "."], "letters are not only a to z"),
    ("¿Estás aquí?", ["¿", "estás", "aquí", "?"], "accents stay, and so does ¿"),
    ("Un arc-en-ciel", ["un", "arc-en-ciel"], "a hyphen between letters stays in the word"),
    ("A - B  'quoted'", ["a", "-", "b", "'", "quoted", "'"], "outside a word they are marks"),
    ("Quoi ?! Oui…", ["quoi", "?", "!", "oui", "…"], "two marks in a row are two tokens"),
    ("Oui--non", ["oui", "-", "-", "non"], "only a single hyphen joins two letters"),
    ("La Straße", ["la", "straße"], "lower case changes no letter but capitals"),
    ("Ça\tva\u00a0?", ["ça", "va", "?"], "a tab and a no-break space are blanks, too"),
)
WORDS = ("Été", "cœur", "L'eau", "vis-à-vis", "42", "Łódź", "나는", "Год", "ya", "Ça")


def _why_letters(text: str, got: list[str]) -> str:
    """The mistake, where letters, digits or marks of the text are no longer there."""
    together = "".join(got)
    lost = {letter for letter in text.lower() if not letter.isspace()} - set(together)
    if any(map(unicodedata.combining, together)):
        return "NFD takes accents off their letters, and they end as tokens of their own"
    if "ß" in lost and "ss" in together:
        return "casefold() is not lower(): ß became ss"
    if "œ" in lost:
        return "œ has no accent to remove, it is a letter; a to z, or Latin-1, is not enough"
    if any(letter.isdigit() for letter in lost):
        return "digits were deleted; a filter that keeps a to z only loses words"
    if any(letter.isalpha() for letter in lost):
        return f"accents were removed or letters deleted: {' '.join(sorted(lost))}"
    return f"marks were deleted: {' '.join(sorted(lost))}" if lost else ""


def _why_tokens(text: str, expected: list[str], got: list[str]) -> str:
    """The mistake, as far as it can be read off the tokens."""
    if not got:
        return "no token was found, or none was kept"
    if not any(len(token) > 1 for token in got):
        captures = "a group that captures: findall returns the group, not the word; write (?:…)"
        return captures if "" in got else "the letters were taken one by one"
    if any(token and token in "\t\u00a0" for token in got):
        return "a tab or a no-break space was taken for a mark; \\s stands for every blank"
    if any(not token or any(map(str.isspace, token)) for token in got):
        return "a blank or an empty string is left as a token"
    if any(token.strip("<>") in ("sos", "eos") for token in got):
        return "<sos> and <eos> are no tokens of the sentence"
    if any(token != token.lower() for token in got):
        return "the text was not changed to lower case"
    cause = _why_letters(text, got)
    if cause:
        return cause
    if len(got) < len(expected) and set(got) == set(expected):
        return "a token that comes twice is there once: a set or a dict forgets"
    joined = [token for token in got if len(token) > 1 and token not in expected]
    if any(not any(map(str.isalnum, token)) for token in joined):
        return "marks in a row were joined: a mark is one character"
    if any("--" in token for token in joined):
        return "a run of hyphens is no hyphen between two letters"
    if any(token.strip("'-") in expected for token in joined):
        return "at the edge of a word an apostrophe or a hyphen is a mark, and was left in it"
    if any(not (token[0].isalnum() and token[-1].isalnum()) for token in joined):
        return "a mark was left in its word: splitting at blanks is not enough"
    for word in expected:
        if word not in got and "".join(got) == "".join(expected):
            cuts = [sign for sign in "'-" if sign in word and (sign in got)]
            if word.isdigit():
                return "a number was cut into its digits"
            if cuts and any(token.count(cuts[0]) == 1 and len(token) > 1 for token in got):
                return "a word may have more than one apostrophe or hyphen"
            if cuts:
                names = {"'": "an apostrophe", "-": "a hyphen"}
                return f"{names[cuts[0]]} between two letters cut the word"
            return "letters with accents were taken for marks: a to z, or re.ASCII, is not enough"
    return ""


def _sentence(draw: numpy.random.Generator) -> tuple[str, list[str], str]:
    """A sentence of drawn words and marks."""
    text, expected = "", []
    for word in draw.permutation(WORDS)[:6]:
        marks = str(draw.choice(["", "", ",", "?!", " «", "»."]))
        text += f"{' ' * bool(text)}{word}{marks}"
        expected += [str(word).lower(), *marks.strip()]
    return text, expected, "a mixed sentence comes out whole"


@exercise
def tokenize(answer, draw):
    """Words of any alphabet, numbers and single marks; nothing lost but blanks."""
    for text, expected, property in (*SENTENCES, _sentence(draw)):
        trial = Trial(answer, sentence=text)
        kind = type(trial.result).__name__
        right = isinstance(trial.result, (list, tuple))
        causes = {"str": "one string; the tokens are wanted as a list", "NoneType": "no `return`"}
        trial.must("it returns a list of strings", right, "a list", kind, causes.get(kind, ""))
        strange = [token for token in trial.result if not isinstance(token, str)]
        cause = ""
        if None in strange:
            cause = "re.split with a group leaves None; re.findall says what you keep"
        elif any(isinstance(token, tuple) for token in strange):
            cause = "two groups that capture: re.findall returns tuples; write (?:…)"
        trial.must("every token is a string", not strange, expected, trial.result, cause)
        got = [str(token) for token in trial.result]
        cause = _why_tokens(text, expected, got)
        trial.must(property, got == expected, repr(expected), repr(got), cause)


class _Step:
    """One step of an encoder that looks at what it is given."""

    def __init__(self, name: str, step: Callable, read: int, size: int):
        self.__name__, self.step, self.read, self.size = name, step, read, size

    def __call__(self, x: Array, state: Array) -> Array:
        x, state = np.asarray(x), np.asarray(state)
        ends = (x.shape[-1:], state.shape[-1:])
        wanted = ((self.read,), (self.size,))
        if ends != wanted or x.shape[:-1] != state.shape[:-1]:
            cause = "a column of the batch is wanted; time is axis 1 of `inputs`"
            if x.shape[1:] == (self.read,) and state.shape[1:] != (self.size,):
                cause = "a condition (B,) was laid along the state's columns; give it a second axis"
            elif x.ndim > state.ndim:
                cause = "x still has an axis of time"
            if ends == wanted[::-1] and self.read != self.size:
                cause = "the two are swapped: first what is read, then the state"
            raise CheckFailed(
                "`step` is called with x (B,D) and state (B,H)",
                cause,
                expected=f"x (B, {self.read}), state (B, {self.size})",
                got=f"x {x.shape}, state {state.shape}",
            )
        return self.step(x, state)


def _last(
    inputs: Array,
    lengths: Array,
    step: Callable,
    state: Array,
    rule: Callable[[int, int], bool] = lambda t, n: t < n,
) -> Array:
    """The state of each row after the steps t for which rule(t, its length) holds."""
    states = state.copy()
    for row, length in enumerate(lengths):
        for t in range(inputs.shape[1]):
            if rule(t, int(length)):
                states[row] = step(inputs[row : row + 1, t], states[row : row + 1])[0]
    return states


def _wrong_states(inputs: Array, lengths: Array, step: Callable, state: Array) -> dict[str, Array]:
    """Mistake → the states that it gives."""

    def of(each: int) -> Array:
        return _last(inputs, np.full(len(lengths), each), step, state)

    real = (np.arange(inputs.shape[1]) < lengths[:, None])[:, :, None]
    right, everything = _last(inputs, lengths, step, state), of(inputs.shape[1])
    empty = (lengths == 0)[:, None]
    backwards, alone = inputs.copy(), state.copy()
    for row, n in enumerate(lengths):
        backwards[row, :n] = inputs[row, :n][::-1]
        if n:
            alone[row] = step(inputs[row : row + 1, n - 1], state[row : row + 1])[0]
    once = _last(inputs, np.maximum(lengths, 1), step, state)
    return {
        "the last column was taken, pads and all": everything,
        "the first pad was read, too: one token too many": _last(
            inputs, lengths, step, state, lambda t, n: t <= n
        ),
        "the last real token was not read: one too few": _last(
            inputs, lengths, step, state, lambda t, n: t < n - 1
        ),
        "the shortest sentence's length was used for all rows": of(lengths.min()),
        "the first sentence's length was used for all rows": of(lengths[0]),
        "the first token was not read: columns count from 0": _last(
            inputs, lengths, step, state, lambda t, n: 0 < t < n
        ),
        "the longest sentence's length was used for all rows": of(lengths.max()),
        "the first state was ignored": _last(inputs, lengths, step, 0 * state),
        "each step started from the first state: hand the new one on": alone,
        "new and old are swapped: the pads were read, the tokens were not": _last(
            inputs, lengths, step, state, lambda t, n: t >= n
        ),
        "ended rows became 0; they keep their state": np.where(
            lengths[:, None] < inputs.shape[1], 0, right
        ),
        "the pads became 0 and were read all the same; a zero moves the state, too": _last(
            inputs * real, lengths, step, state, lambda t, n: True
        ),
        "a row without tokens has no last one: index −1 is the last column": np.where(
            empty, everything, right
        ),
        "with the first state in front, index n is the state after n tokens, not n − 1": np.where(
            empty, everything, _last(inputs, lengths, step, state, lambda t, n: t < n - 1)
        ),
        "a row without tokens read one; it keeps its first state": np.where(empty, once, right),
        "a row without tokens became 0; it keeps its first state": np.where(empty, 0, right),
        "it was read from right to left": _last(backwards, lengths, step, state),
    }


@exercise
def encode(answer, draw):
    """Of each row the state after its last real token, whatever stands in the pads."""
    W, U = draw.normal(size=(3, 4)), draw.normal(size=(4, 4))
    added = _Step("lambda x, state: state + x", lambda x, state: state + x, 1, 1)
    mixed = _Step(
        "lambda x, state: np.tanh(x @ W + state @ U + 0.3)",
        lambda x, state: np.tanh(x @ W + state @ U + 0.3),
        *W.shape,
    )
    small = np.array([[1.0, 2, 9, 7, 8], [3, 4, 5, 6, 9], [8, 9, 7, 9, 8]])[:, :, None]
    first = np.array([[10.0], [20], [30]])
    tiny = np.array([[[1.0, 0, 2], [0, 3, 0]], [[0, 1, 0], [9, 9, 9]], [[9, 9, 9], [9, 9, 9]]])
    start = np.round(draw.normal(size=(3, 4)), 1)
    large, many = draw.normal(size=(5, 6, 3)), np.array([3, 6, 1, 0, 4])
    for inputs, lengths, step, state in (
        (small, np.array([2, 4, 0]), added, first),
        (tiny, np.array([2, 1, 0]), mixed, start),
        (large, many, mixed, draw.normal(size=(5, 4))),
    ):
        expected = _last(inputs, lengths, step, state)
        rows, size = state.shape
        trial = Trial(answer, inputs=inputs, lengths=lengths, step=step, state=state)
        got = trial.output("the result")
        causes = {
            (size, rows): "it is transposed: (H,B)",
            (1, rows, size): "an axis of length 1 too many",
            (rows, rows): "a condition (B,) was laid along the columns; give it a second axis",
            (rows, inputs.shape[1], size): "the states of all steps; of each row one is wanted",
        }
        causes.pop((rows, size), None)
        got.shape("(B,H)", (rows, size), causes)
        got.equals(
            "each row holds the state after its last real token",
            expected,
            _wrong_states(inputs, lengths, step, state),
            "rows mix, or pads reach a state",
            tolerance=1e-5,
        )
    nonsense = np.concatenate([inputs, 99 * np.ones((5, 2, 3))], axis=1)
    trial = Trial(answer, inputs=nonsense, lengths=lengths, step=step, state=state)
    trial.output("the result").equals(
        "two more columns of padding change nothing",
        expected,
        cause="what stands in the pads has reached a state",
        tolerance=1e-5,
    )


class _Scripted(Shared):
    """A model that says its sentences, then <eos>, then nonsense, and notes what it is told."""

    NONSENSE = 11

    def __init__(self, sentences: list[list[int]], eos: int):
        self.sentences, self.eos, self.told, self.starts = sentences, eos, [], 0
        self.__name__ = f"a model that says {sentences}"

    def __call__(self, count: int, tokens: Array) -> tuple[Array, int]:
        rows = len(self.sentences)
        if np.shape(tokens) != (rows,):
            cause = "ended rows were taken out; they stay in the batch, as does their state"
            if not self.told:
                cause = "one call serves all rows of the batch, and each gets a token"
            elif np.ndim(tokens) != 1 or len(tokens) > rows:
                cause = "the best token of each row is wanted: argmax over the last axis"
            got = str(np.shape(tokens))
            raise CheckFailed("`step` gets tokens (B,)", cause, expected=str((rows,)), got=got)
        self.told.append(np.array(tokens))
        self.starts += count == 0
        said = [
            row[count] if count < len(row) else self.eos if count == len(row) else self.NONSENSE
            for row in self.sentences
        ]
        log_probs = np.full((rows, 12), -9.0)
        log_probs[:, 10] = -99.0
        for row, token in enumerate(said):
            log_probs[row, token] = -0.1
        return log_probs, count + 1


def _as_lists(trial: Trial, rows: int) -> list[list[int]]:
    try:
        got = [[int(token) for token in row] for row in trial.result]
    except (TypeError, ValueError):
        trial.fail("it returns a list of lists of ids", f"{rows} lists", trial.result, "")
    cause = "the lists go over the steps, not the sentences: turn them round"
    trial.must("there is one list a sentence", len(got) == rows, rows, len(got), cause)
    return got


def _why_decoded(expected: list[list[int]], got: list[list[int]], eos: int, sos: int) -> str:
    """The mistake, as far as it can be read off the decoded rows."""
    pairs = list(zip(got, expected, strict=True))
    if all(row == [sos, *want] for row, want in pairs):
        return "<sos> was kept in the result"
    longer = any(len(row) > len(want) for row, want in pairs)
    if longer and all(set(row) == {*want[:1]} for row, want in pairs if want):
        return "the new state was not kept: every step saw the first one"
    words = {token for want in expected for token in want}
    if len(got) > 1 and all(row == got[0] for row in got) and words <= set(got[0]):
        return "all rows share one list: [[]] * B is B times the same one"
    if any(token == 10 for row in got for token in row):
        return "the least likely token was taken; log p is largest for the best one"
    if all(row[: len(want)] == want for row, want in pairs):
        rests = [row[len(want) :] for row, want in pairs]
        if any(rest and rest[0] != eos for rest in rests):
            return "words after <eos> were kept: a row that has ended stays ended"
        if max(map(len, rests)) == 1:
            return "<eos> was kept in the result"
        if all(token == eos for rest in rests for token in rest):
            return "ended rows were filled up with <eos>; the lists may differ in length"
        if not rests[0]:
            return "only the first row was asked whether it has ended"
        return "no row was ended by its <eos>: compare with `eos`, and remember who has ended"
    if all(row == want[: len(row)] for row, want in pairs):
        shortest = min(map(len, expected))
        if all(len(row) <= shortest for row in got):
            return "the first row that ended has ended all: each row ends by itself"
        return "a word was taken for the end: an id is written into the code"
    cut = min(map(len, expected)) + 1
    if all(row == [*want, eos][:cut] for row, want in pairs):
        return (
            "the first row that ended has ended all: each row ends by itself; <eos> was kept, too"
        )
    return "tokens are missing or in another order"


def _must_feed_back(trial: Trial, model: _Scripted, sos: int) -> None:
    """What the model was told: <sos>, then its own words."""
    rows = len(model.sentences)
    first = model.told[0] if model.told else None
    cause = "the decoder did not start with <sos>; its id is an argument"
    started = close(first, np.full(rows, sos)) if model.told else False
    trial.must("the first token read is <sos>", started, np.full(rows, sos), first, cause)
    for step, told in enumerate(model.told[1:]):
        for row, sentence in enumerate(model.sentences):
            if step < len(sentence):
                cause = "the model reads something else than its own last word"
                if all(int(token) == sos for token in told):
                    cause = "<sos> was fed at every step, not the token chosen last"
                fed = int(told[row]) == sentence[step]
                trial.must("it feeds back its own words", fed, sentence[step], told[row], cause)


@exercise
def greedy_decode(answer, draw):
    """Each row ends at its own `<eos>`, reads its own words, and nobody waits."""

    def decode(sentences: list, eos: int, sos: int, limit: int) -> tuple[Trial, list, _Scripted]:
        rows, model = len(sentences), _Scripted(sentences, eos)
        trial = Trial(
            answer, step=model, state=0, batch_size=rows, sos=sos, eos=eos, max_length=limit
        )
        return trial, _as_lists(trial, rows), model

    tokens = draw.integers(4, 10, size=(3, 5)).tolist()
    for sentences, eos, sos, limit in (
        ([[5, 6, 7], [8]], 2, 1, 6),
        ([[5, 6, 7], [8]], 3, 1, 6),
        ([[4, 0, 3], [3, 4]], 2, 1, 6),
        ([tokens[0], tokens[1][:2], []], 1, 3, 8),
    ):
        trial, got, model = decode(sentences, eos, sos, limit)
        cause = _why_decoded(sentences, got, eos, sos) if got != sentences else ""
        trial.must("each row ends at its own <eos>", got == sentences, sentences, got, cause)
        _must_feed_back(trial, model, sos)
    for sentences in ([[5, 6], [8, 9]], [[5, 6, 7], [8]]):
        trial, _, model = decode(sentences, EOS, SOS, 6)
        called, needed = len(model.told), max(map(len, sentences)) + 1
        cause = "`step` is called max_length times: nothing leaves the loop"
        if model.starts > 1:
            cause = "the rows were decoded one after the other; one call of step serves them all"
        elif called == needed + 1:
            cause = "the look whether all have ended comes after one more call; look before it"
        elif len(sentences[0]) != len(sentences[1]):
            cause = "it waits until all say <eos> at the same step; remember who has ended"
        told = [f"{number} calls of step" for number in (needed, called)]
        trial.must("it stops when all have ended", called <= needed, *told, cause)
    trial, got, _ = decode([[4, 5, 6, 7, 8]], EOS, SOS, 3)
    cause = {2: "<sos> was counted; max_length counts what is said"}.get(len(got[0]), "")
    if len(got[0]) > 3:
        cause = "one word too many" if len(got[0]) == 4 else "max_length was not looked at"
    trial.must("it says at most max_length tokens", got == [[4, 5, 6]], [[4, 5, 6]], got, cause)


def _cell(
    x: Array, h: Array, c: Array, W_x: Array, W_h: Array, b: Array, order: str = "ifgo"
) -> tuple[Array, Array]:
    """One step, gate by gate."""
    size = h.shape[1]
    block = {name: slice(size * k, size * (k + 1)) for k, name in enumerate(order)}
    gate = {name: x @ W_x[:, at] + h @ W_h[:, at] + b[at] for name, at in block.items()}
    new_c = sigmoid(gate["f"]) * c + sigmoid(gate["i"]) * np.tanh(gate["g"])
    return sigmoid(gate["o"]) * np.tanh(new_c), new_c


def _wrong_cells(given: dict) -> dict[str, tuple[Array, Array]]:
    """Mistake → the new h and c that it gives."""
    x, h, c, W_x, W_h, b = given.values()
    size, sums = h.shape[1], x @ W_x + h @ W_h + b
    i, f, g, o = (sums[:, size * k : size * (k + 1)] for k in range(4))
    turns = [sums[:, k::4] for k in range(4)]
    S, T = sigmoid, np.tanh

    def of(i, f, g, o, c=c):
        new_c = f * c + i * g
        return o * T(new_c), new_c

    new_c = of(S(i), S(f), T(g), S(o))[1]
    wrong = {
        "the bias was left out": _cell(**{**given, "b": 0 * b}),
        "the bias was added twice": _cell(**{**given, "b": 2 * b}),
        "h was left out: the gates look at x only": _cell(**{**given, "h": 0 * h}),
        "x was left out: the gates look at h only": _cell(**{**given, "x": 0 * x}),
        "the gates look at c; what they read beside x is h": _cell(**{**given, "h": c}),
        "the candidate went through σ instead of tanh": of(S(i), S(f), S(g), S(o)),
        "the candidate was not squashed; it goes through tanh": of(S(i), S(f), g, S(o)),
        "the gates went through tanh instead of σ": of(T(i), T(f), T(g), T(o)),
        "the gates were not squashed; they go through σ": of(i, f, T(g), o),
        "σ is upside down: it is 1 / (1 + exp(−a))": of(S(-i), S(-f), T(g), S(-o)),
        "1 − σ(f) keeps what the forget gate lets go": of(S(i), S(-f), T(g), S(o)),
        "the candidate came in by 1 − σ(f), as in a GRU; here it is σ(i)": of(
            S(-f), S(f), T(g), S(o)
        ),
        "1 was added to the forget gate; some libraries do, the equation does not": of(
            S(i), S(f + 1), T(g), S(o)
        ),
        "input gate and forget gate have changed places": of(S(f), S(i), T(g), S(o)),
        "the old cell was left out": of(S(i), S(f), T(g), S(o), 0 * c),
        "h' was made from the old cell; update the cell first": (S(o) * T(c), new_c),
        "there is no tanh around the new cell in h'": (S(o) * new_c, new_c),
        "the tanh of the new cell was kept as the cell; it is for h' only": (
            S(o) * T(new_c),
            T(new_c),
        ),
        "σ(o) is missing in h'": (T(new_c), new_c),
        "the gates' columns were taken in turns; they are four blocks": of(
            *map(S, turns[:2]), T(turns[2]), S(turns[3])
        ),
    }
    names = {"i": "input", "f": "forget", "g": "candidate", "o": "output"}
    for order in itertools.permutations("ifgo"):
        listed = ", ".join(names[letter] for letter in order)
        text = f"the blocks were taken in the order {listed}; here it is input, forget, "
        wrong.setdefault(text + "candidate, output", _cell(**given, order="".join(order)))
    return wrong


def _lstm_inputs(draw: numpy.random.Generator) -> dict[str, Array]:
    sizes = {"x": (3, 4), "h": (3, 2), "c": (3, 2), "W_x": (4, 8), "W_h": (2, 8), "b": (8,)}
    return {name: np.round(draw.normal(size=size), 2) for name, size in sizes.items()}


@exercise
def lstm_step(answer, draw):
    """Gates, candidate, cell and state of one step, in the order of the blocks; no overflow."""
    for large in (0.0, 900.0):
        given = _lstm_inputs(draw)
        given["b"] = given["b"] + large * np.array([1, -1, 1, 0, 0, 1, 1, -1])
        h, c = _cell(**given)
        cause = "exp of a large number; (1 + tanh(a/2)) / 2 is the logistic function, too"
        cut = "np.split cuts the first axis, if not told; the blocks are columns"
        trial = attempt(answer, {"OverflowError": cause, "equal division": cut}, **given)
        new_h, new_c = trial.outputs("h", "c")
        new_h.shape("(B,H)", h.shape, {(len(h), 8): "the four blocks were not cut apart"})
        new_c.shape("(B,H)", c.shape)
        swapped = close(new_h.value, c) and close(new_c.value, h)
        trial.must("h comes first, then c", not swapped, h, new_h.value, "they are swapped")
        finite = np.isfinite(new_h.value).all() and np.isfinite(new_c.value).all()
        trial.must("large inputs do not overflow", finite, c, new_c.value, cause)
        wrong = _wrong_cells(given)
        told = "the new cell is σ(f)⊙c + σ(i)⊙tanh(g)"
        new_c.equals(told, c, part_of(wrong, 1), tolerance=1e-5)
        told = "the new state is σ(o)⊙tanh(c')"
        new_h.equals(told, h, part_of(wrong, 0), tolerance=1e-5)


NAMES = {"x": "dx", "h": "dh_before", "c": "dc_before", "W_x": "dW_x", "W_h": "dW_h", "b": "db"}
AXES = {"x": "(B,D)", "h": "(B,H)", "c": "(B,H)", "W_x": "(D,4H)", "W_h": "(H,4H)", "b": "(4H,)"}


def _gradients(dh: Array, dc: Array, given: dict) -> dict[str, Array]:
    """The gradient of the loss with respect to each variable, by finite differences."""

    def loss(**moved: Array) -> float:
        h, c = _cell(**moved)
        return (dh * h).sum() + (dc * c).sum()

    return slopes(loss, **given)


def _dc_of_other_blocks(dh: Array, dc: Array, given: dict) -> dict[str, Array]:
    """Mistake → the dc_before of a step whose four blocks were read in another order."""
    x, h, c, W_x, W_h, b = given.values()
    blocks = np.split(x @ W_x + h @ W_h + b, 4, axis=1)
    right, found = ("input", "forget", "candidate", "output"), {}
    for order in itertools.permutations(right):
        if order == right:
            continue
        block = dict(zip(order, blocks, strict=True))
        i, f, o = (sigmoid(block[name]) for name in ("input", "forget", "output"))
        t = np.tanh(f * c + i * np.tanh(block["candidate"]))
        told = f"the four blocks were read as {', '.join(order)}; they are {', '.join(right)}"
        found[told] = (dc + dh * o * (1 - t**2)) * f
    return found


def _wrong_blocks(
    dh: Array, dc: Array, given: dict
) -> tuple[dict[str, Array], dict[str, dict[str, Array]], Array]:
    """Mistakes in dc_before, those in each gate's gradient, (B,H) both, and all gates' (B,4H)."""
    x, h, c, W_x, W_h, b = given.values()
    i, f, g, o = np.split(x @ W_x + h @ W_h + b, 4, axis=1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    new = f * c + i * g
    t = np.tanh(new)
    d = dc + dh * o * (1 - t**2)
    square = "the square was forgotten: the slope of tanh is 1 − tanh²"
    half = "half of the slope is missing: it is σ(1 − σ), not 1 − σ"
    roads = {
        "what comes through dc was forgotten": d - dc,
        "what comes through h' was forgotten": dc,
        "on the road through h' the slope of tanh was forgotten": dc + dh * o,
        "the slope of tanh was taken at the old cell": dc + dh * o * (1 - np.tanh(c) ** 2),
        "on the road through h' the output gate was forgotten": dc + dh * (1 - t**2),
        square: dc + dh * o * (1 - t),
        "the slope is 1 − tanh(c')², not 1 − c'²": dc + dh * o * (1 - new**2),
        "the slope is 1 − tanh(c')², not 1 − h'²": dc + dh * o * (1 - (o * t) ** 2),
        "dh was added as it is: before the cell come the output gate and tanh": dc + dh,
    }
    into_c = {told: each * f for told, each in roads.items()}
    into_c["it stops at the new cell: the forget gate stands between"] = d
    into_c["the input gate stands where the forget gate belongs"] = d * i
    into_c |= _dc_of_other_blocks(dh, dc, given)
    gates, dgates = {}, []
    for name, arriving, factor, own in (
        ("input", d, g, i),
        ("forget", d, c, f),
        ("candidate", d, i, g),
        ("output", dh, t, o),
    ):
        of_sigma, of_tanh = own * (1 - own), 1 - own**2
        right, other, told = of_sigma, of_tanh, "it has the slope of tanh; a gate has that of σ"
        if name == "candidate":
            right, other, told = of_tanh, of_sigma, "it has the slope of σ; a candidate has tanh's"
        dgates.append(arriving * factor * right)
        gates[name] = {
            "the slope of the squashing was forgotten": arriving * factor,
            told: arriving * factor * other,
            (square if name == "candidate" else half): arriving * factor * (1 - own),
            "it was multiplied by its own value; the factor is what it is multiplied by in c'": (
                arriving * own * right
            ),
            "only dc arrived; the cell's whole gradient is a sum": dc * factor * right,
            "the sign": -arriving * factor * right,
        }
        for another, value in {"input": i, "forget": f, "output": o}.items():
            if another != name:
                told = f"the slope is that of the {another} gate: a copied line"
                gates[name][told] = arriving * factor * value * (1 - value)
    gates["forget"]["the new cell stands where the old one belongs"] = d * new * f * (1 - f)
    gates["output"] |= {
        "it heard of the cell's gradient; the output gate acts on h' only": d * t * o * (1 - o),
        "the factor is the bare cell; in h' it is tanh(c')": dh * new * o * (1 - o),
    }
    return into_c, gates, np.concatenate(dgates, axis=1)


def _must_be_the_gates(
    db: Output, right: Array, rows: int, gates: Mapping[str, Mapping[str, Array]]
) -> None:
    """db, whole and then gate by gate."""
    property = "db is the gradient (checked by finite differences)"
    blocks = np.split(right, 4)
    whole = {
        "it is the mean over the batch; a gradient adds up": right / rows,
        "the sign": -right,
    }
    for order in itertools.permutations(range(4)):
        told = "the four blocks stand in another order; it is input, forget, candidate, output"
        if order != (0, 1, 2, 3) and close(db.value, np.concatenate([blocks[k] for k in order])):
            whole[told] = db.value
    if any(close(db.value, wrong, 1e-5) for wrong in whole.values()):
        db.equals(property, right, whole, tolerance=1e-5)
    for (name, mistakes), block, got in zip(
        gates.items(), blocks, np.split(db.value, 4), strict=True
    ):
        cause = "a slope, or a factor: σ' is σ(1 − σ), tanh' is 1 − tanh², of the squashed value"
        Output(db.trial, "db", got).equals(
            f"the block of db for the {name}{' gate' * (name != 'candidate')} is the gradient",
            block,
            {told: each.sum(axis=0) for told, each in mistakes.items()},
            cause,
            tolerance=1e-5,
        )


@exercise
def lstm_step_backward(answer, draw):
    """All six gradients of one step, against finite differences; both roads into the cell."""
    given = _lstm_inputs(draw)
    rows = len(given["x"])
    dh, dc = np.round(draw.normal(size=(2, *given["h"].shape)), 2)
    right, new_h = _gradients(dh, dc, given), _cell(**given)[0]
    into_c, gates, dgates = _wrong_blocks(dh, dc, given)
    trial = Trial(answer, dh=dh, dc=dc, **given)
    outputs = dict(zip(NAMES, trial.outputs(*NAMES.values()), strict=True))
    listed = ", ".join(NAMES.values())
    for name, output in outputs.items():
        shape = given[name].shape
        causes = {value.shape: f"the order is {listed}" for value in given.values()}
        causes[shape[::-1]] = "it is the transposed gradient"
        if name == "b":
            causes[rows, 8] = "the bias was added to every row: add up over the batch"
        output.shape(AXES[name], shape, causes)

    def must(name: str, mistakes: dict, cause: str) -> None:
        mistakes["it is the mean over the batch; a gradient adds up"] = right[name] / rows
        mistakes["the sign"] = -right[name]
        property = f"{NAMES[name]} is the gradient (checked by finite differences)"
        outputs[name].equals(property, right[name], mistakes, cause, tolerance=1e-5)

    into_c["dh_before and dc_before are swapped"] = right["h"]
    must("c", into_c, "dc and dh meet in the new cell; from there the forget gate leads back")
    _must_be_the_gates(outputs["b"], right["b"], rows, gates)
    cause = "dc_before and db are right, so look at the last product, not at the gates"
    added = "dh itself was added; the old h reaches the loss through the gates only"
    must("x", {}, cause)
    must("h", {added: right["h"] + dh}, cause)
    must("W_x", {}, cause)
    read = {
        "the new h was taken; the gates have read the old one": new_h.T @ dgates,
        "c was taken; the gates have read h": given["c"].T @ dgates,
    }
    must("W_h", read, cause)


def _crossing(lengths: Array, exact: Array) -> float:
    if exact[0] < 0.5:
        return float(lengths[0])
    for k in range(1, len(lengths)):
        if exact[k] < 0.5:
            return float(np.interp(-0.5, [-exact[k - 1], -exact[k]], lengths[k - 1 : k + 1]))
    return math.inf


def _wrong_lengths(lengths: Array, exact: Array) -> dict[str, float]:
    """Mistake → the length that it gives, for a curve that falls below one half."""
    k = int(np.flatnonzero(exact < 0.5)[0])
    first = float(lengths[k])
    if k == 0:
        share = (exact[-1] - 0.5) / (exact[-1] - exact[0])
        return {
            "there is no place before the first; index −1 is the last": lengths[-1]
            + share * (first - lengths[-1]),
            "a point (0, 1) was put in front; nobody has measured it": float(
                np.interp(-0.5, [-1, -exact[0]], [0, first])
            ),
            "a crossing from above was looked for, and a low start is none": math.inf,
        }
    high, low, before = exact[k - 1], exact[k], float(lengths[k - 1])
    share, gap = (high - 0.5) / (high - low), first - before
    right, order = before + share * gap, np.argsort(exact)
    last = np.flatnonzero(exact >= 0.5)[-1]
    line = np.polyfit(lengths, exact, 1)
    wrong = {
        "it is the first measured length below, not the place between two": first,
        "it is the last length above, not the place between two": before,
        "it is the middle of the two lengths, whatever the shares are": before + gap / 2,
        "it is the measured length nearest to one half": float(lengths[abs(exact - 0.5).argmin()]),
        "the share of the way was counted from the other end": first - share * gap,
        "the sign: from the length before, the way goes on, not back": before - share * gap,
        "the share of the way was not multiplied by the way": before + share,
        "it is a place in the array, not a length": k - 1 + share,
        "it was rounded": float(round(right)),
        "it was cut to a whole number": float(int(right)),
        "one straight line was laid through all the points": (0.5 - line[1]) / line[0],
        "np.interp needs rising x: these shares fall": np.interp(0.5, exact, lengths),
        "np.interp needs rising x: the shares were sorted, and the lengths mixed": np.interp(
            0.5, exact[order], lengths[order]
        ),
    }
    if last > k:
        told = "it is the last crossing, not the first; np.interp over the whole curve may do that"
        wrong[told] = _crossing(lengths[last:], exact[last:])
    return wrong


@exercise
def half_length(answer, draw):
    """The first crossing of one half on a straight line; curves that start low or never fall."""
    falling = np.sort(draw.uniform(0.05, 0.95, size=6))[::-1]
    falling[0], falling[-1] = 0.97, 0.03
    between = "it is where the curve first crosses one half"
    low = "a curve that starts below one half gives the first length"
    never = "a curve that never falls below one half gives infinity"
    touching = "a share of exactly one half is not below"
    below_only = "`<` is not `<=`, nor `>` `>=`: one half itself does not count as below"
    rising = "a rising curve crosses one half, too; the crossing from above is wanted"
    for listed, shares, property, cause in (
        ([2, 5, 9], [0.8, 0.1, 0.45], between, ""),
        ([5, 10, 15], [1.0, 0.8, 0.2], between, ""),
        ([3, 4, 6, 9, 10, 14], falling, between, ""),
        ([2, 4, 6, 8], [0.9, 0.4, 0.7, 0.2], between, ""),
        ([5, 10], [0.3, 0.1], low, ""),
        ([5, 10, 20], [0.3, 0.9, 0.8], low, rising),
        ([5, 10], [0.9, 0.6], never, ""),
        ([5, 10, 20], [0.9, 0.5, 0.8], touching, below_only),
        ([5, 10, 20], [0.9, 0.5, 0.1], touching, below_only),
    ):
        lengths, exact = np.array(listed), np.array(shares, dtype=float)
        expected = _crossing(lengths, exact)
        trial = Trial(answer, lengths=lengths, exact=exact)
        if expected == math.inf and trial.result is None:
            trial.fail(
                property,
                expected,
                None,
                "this way out has no `return`, or None; infinity is a number",
            )
        got = trial.output("the length")
        got.shape("() [one number]", ())
        finite = expected < math.inf
        wrong = _wrong_lengths(lengths, exact) if finite and not cause else {}
        if property == never:
            wrong["the last length was given; where it falls, if it does, nobody knows"] = 10.0
            wrong["argmax over no True is 0: the first place, or the one before it"] = 5.0
        undefined = np.isnan(got.value)
        cause = "nan is 0/0, or stands for never; infinity can be compared" if undefined else cause
        got.equals(property, expected, wrong, cause)
