"""Answers to the exercises of Chapter 1."""

import math
import re
import unicodedata

import numpy as np

from proofs import right, wrong

# ---------------------------------------------------------------- 1.1 shift_targets


@right("shift_targets")
def with_loops(tokens, sos, eos, pad):
    first, second = [], []
    for row in tokens.tolist():
        words = [t for t in row if t != pad]
        rest = [pad] * (len(row) - len(words))
        first.append([sos] + words + rest)
        second.append(words + [eos] + rest)
    return np.array(first), np.array(second)


@right("shift_targets")
def with_where(tokens, sos, eos, pad):
    padded = np.pad(tokens, ((0, 0), (0, 1)), constant_values=pad)
    first_pad = (padded == pad) & (np.cumsum(padded == pad, axis=1) == 1)
    return np.insert(tokens, 0, sos, axis=1), np.where(first_pad, eos, padded)


@right("shift_targets")
def by_counting(tokens, sos, eos, pad):
    B, T = tokens.shape
    decoder_in = np.empty((B, T + 1), dtype=tokens.dtype)
    decoder_in[:, 0] = sos
    decoder_in[:, 1:] = tokens
    decoder_out = np.full((B, T + 1), pad, dtype=tokens.dtype)
    decoder_out[:, :T] = tokens
    decoder_out[np.arange(B), (tokens != pad).sum(axis=1)] = eos
    return [decoder_in, decoder_out]


@right("shift_targets")
def with_torch(tokens, sos, eos, pad):
    import torch

    t = torch.as_tensor(np.array(tokens))
    column = torch.full((len(t), 1), pad)
    out = torch.cat([t, column], dim=1)
    out = out.scatter(1, (t != pad).sum(dim=1, keepdim=True), eos)
    return torch.cat([torch.full((len(t), 1), sos), t], dim=1).numpy(), out.numpy()


@wrong("shift_targets", says="after the padding")
def eos_at_the_end(tokens, sos, eos, pad):
    rows = len(tokens)
    return np.c_[np.full(rows, sos), tokens], np.c_[tokens, np.full(rows, eos)]


@wrong("shift_targets", says="echoes")
def echo(tokens, sos, eos, pad):
    decoder_in = np.c_[np.full(len(tokens), sos), tokens]
    return decoder_in, decoder_in


@wrong("shift_targets", says="column was dropped")
def last_column_dropped(tokens, sos, eos, pad):
    return np.c_[np.full(len(tokens), sos), tokens][:, :-1], tokens


# the whole row is framed and then shifted: the decoder reads <eos> in shorter rows
@wrong("shift_targets", says="shorter rows read <eos>, too")
def eos_is_read_too(tokens, sos, eos, pad):
    B, T = tokens.shape
    framed = np.full((B, T + 2), pad)
    framed[:, 0] = sos
    framed[:, 1:-1] = tokens
    framed[np.arange(B), 1 + (tokens != pad).sum(axis=1)] = eos
    return framed[:, :-1], framed[:, 1:]


# argmax finds no pad in a full row and says 0
@wrong("shift_targets", says="in a full row it finds none")
def first_pad_by_argmax(tokens, sos, eos, pad):
    B = len(tokens)
    out = np.c_[tokens, np.full(B, pad)]
    out[np.arange(B), (tokens == pad).argmax(axis=1)] = eos
    return np.c_[np.full(B, sos), tokens], out


# <eos> one place too early: the last word is written over
@wrong("shift_targets", says="one place too early")
def last_word_overwritten(tokens, sos, eos, pad):
    B = len(tokens)
    out = np.c_[tokens, np.full(B, pad)]
    out[np.arange(B), (tokens != pad).sum(axis=1) - 1] = eos
    return np.c_[np.full(B, sos), tokens], out


# the pad is taken to be 0
@wrong("shift_targets", says="an id is written into the code")
def pad_is_zero(tokens, sos, eos, pad):
    B = len(tokens)
    out = np.c_[tokens, np.zeros(B, dtype=int)]
    out[np.arange(B), np.count_nonzero(tokens, axis=1)] = eos
    return np.c_[np.full(B, sos), tokens], out


# the ids of the example are written into the code
@wrong("shift_targets", says="an id is written into the code")
def ids_of_the_example(tokens, sos, eos, pad):
    B = len(tokens)
    out = np.c_[tokens, np.full(B, pad)]
    out[np.arange(B), (tokens != pad).sum(axis=1)] = 2
    return np.c_[np.ones(B, dtype=int), tokens], out


# the two arrays in the other order
@wrong("shift_targets", says="the two were swapped")
def the_two_swapped(tokens, sos, eos, pad):
    decoder_in, decoder_out = by_counting(tokens, sos, eos, pad)
    return decoder_out, decoder_in


# no <eos> at all
@wrong("shift_targets", says="no <eos>: the model")
def without_eos(tokens, sos, eos, pad):
    B = len(tokens)
    return np.c_[np.full(B, sos), tokens], np.c_[tokens, np.full(B, pad)]


# the length of the first row is used for all
@wrong("shift_targets", says="first row's length was used")
def length_of_the_first_row(tokens, sos, eos, pad):
    B = len(tokens)
    out = np.c_[tokens, np.full(B, pad)]
    out[:, (tokens[0] != pad).sum()] = eos
    return np.c_[np.full(B, sos), tokens], out


# the argument itself is changed
@wrong("shift_targets", says="an assignment into tokens")
def writes_into_tokens(tokens, sos, eos, pad):
    B = len(tokens)
    decoder_in = np.c_[np.full(B, sos), tokens]
    lengths = (tokens != pad).sum(axis=1)
    last = np.full(B, pad)
    for b, n in enumerate(lengths):
        if n < tokens.shape[1]:
            tokens[b, n] = eos
        else:
            last[b] = eos
    return decoder_in, np.c_[tokens, last]


# <eos> wherever there is padding
@wrong("shift_targets", says="every pad became <eos>")
def eos_everywhere(tokens, sos, eos, pad):
    B = len(tokens)
    out = np.c_[tokens, np.full(B, pad)]
    return np.c_[np.full(B, sos), tokens], np.where(out == pad, eos, out)


# np.ones and np.zeros without a dtype
@wrong("shift_targets", says="decoder_in holds integers, the ids of tokens")
def joined_with_ones(tokens, sos, eos, pad):
    decoder_out = np.full((len(tokens), tokens.shape[1] + 1), pad)
    decoder_out[:, :-1] = tokens
    decoder_out[np.arange(len(tokens)), (tokens != pad).sum(axis=1)] = eos
    return np.hstack([np.ones((len(tokens), 1)) * sos, tokens]), decoder_out


@wrong("shift_targets", says="decoder_out holds integers, the ids of tokens")
def into_zeros(tokens, sos, eos, pad):
    decoder_out = np.zeros((len(tokens), tokens.shape[1] + 1)) + pad
    decoder_out[:, :-1] = tokens
    decoder_out[np.arange(len(tokens)), (tokens != pad).sum(axis=1)] = eos
    return np.insert(tokens, 0, sos, axis=1), decoder_out


# ---------------------------------------------------------------- 1.2 masked_cross_entropy


@right("masked_cross_entropy")
def loss_with_loops(logits, targets, pad):
    total, count = 0.0, 0
    for scores, words in zip(logits, targets, strict=True):
        for z, y in zip(scores, words, strict=True):
            if y == pad:
                continue
            top = max(z)
            total += top + math.log(sum(math.exp(v - top) for v in z)) - z[y]
            count += 1
    return total / count


@right("masked_cross_entropy")
def loss_of_selected_tokens(logits, targets, pad):
    real = targets != pad
    z, y = logits[real], targets[real]
    return np.mean(np.logaddexp.reduce(z, axis=-1) - z[np.arange(len(y)), y])


@right("masked_cross_entropy")
def loss_by_torch(logits, targets, pad):
    import torch

    z = torch.as_tensor(np.array(logits)).flatten(0, 1)
    y = torch.as_tensor(np.array(targets)).flatten()
    return torch.nn.functional.cross_entropy(z, y, ignore_index=int(pad)).item()


@right("masked_cross_entropy")
def loss_as_weighted_average(logits, targets, pad):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    picked = np.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]
    return -np.average(picked, weights=(targets != pad).astype(float))


def _log_softmax(logits, axis=-1):
    shifted = logits - logits.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def _token_losses(logits, targets):
    return -np.take_along_axis(_log_softmax(logits), targets[..., None], axis=-1)[..., 0]


# the pads are counted as tokens, with their loss
@wrong("masked_cross_entropy", says="the pads are in the mean")
def mean_over_everything(logits, targets, pad):
    return _token_losses(logits, targets).mean()


# the sum sees the mask, the divisor does not
@wrong("masked_cross_entropy", says="divided by all B·T places")
def divisor_without_mask(logits, targets, pad):
    return (_token_losses(logits, targets) * (targets != pad)).mean()


# every sentence counts the same
@wrong("masked_cross_entropy", says="every sentence counts the same")
def mean_of_sentence_means(logits, targets, pad):
    real = targets != pad
    return ((_token_losses(logits, targets) * real).sum(axis=1) / real.sum(axis=1)).mean()


# a sum over the tokens of a sentence, a mean over the sentences
@wrong("masked_cross_entropy", says="divided by the sentences, not by the tokens")
def divided_by_sentences(logits, targets, pad):
    return (_token_losses(logits, targets) * (targets != pad)).sum() / len(targets)


# no mean at all
@wrong("masked_cross_entropy", says="it is the sum, not the mean")
def sum_only(logits, targets, pad):
    return (_token_losses(logits, targets) * (targets != pad)).sum()


# the minus is forgotten
@wrong("masked_cross_entropy", says="the minus of −log p was forgotten")
def sign_forgotten(logits, targets, pad):
    return -_token_losses(logits, targets)[targets != pad].mean()


# the mask upside down
@wrong("masked_cross_entropy", says="the mask is upside down")
def only_the_pads(logits, targets, pad):
    return _token_losses(logits, targets)[targets == pad].mean()


# exp of large logits is infinite
@wrong("masked_cross_entropy", says="exp of a large logit is infinite")
def no_largest_subtracted(logits, targets, pad):
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    picked = np.take_along_axis(p, targets[..., None], axis=-1)[..., 0]
    return -np.log(picked[targets != pad]).mean()


# a small number inside of the log: very wrong answers cost 27 at most
@wrong("masked_cross_entropy", says="or p + 1e-9, caps the cost")
def epsilon_inside_the_log(logits, targets, pad):
    p = np.exp(_log_softmax(logits))
    picked = np.take_along_axis(p, targets[..., None], axis=-1)[..., 0]
    return -np.log(picked[targets != pad] + 1e-12).mean()


# softmax first, then the log: log 0 where p underflows
@wrong("masked_cross_entropy", says="p is 0 in a float")
def log_of_the_softmax(logits, targets, pad):
    p = np.exp(_log_softmax(logits))
    picked = np.take_along_axis(p, targets[..., None], axis=-1)[..., 0]
    return -np.log(picked[targets != pad]).mean()


# one maximum for the whole batch: other tokens underflow
@wrong("masked_cross_entropy", says="share one largest logit")
def one_maximum_for_all(logits, targets, pad):
    shifted = logits - logits.max()
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    picked = np.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]
    return -picked[targets != pad].mean()


# the largest logit is subtracted inside of the exp only, and never added again
@wrong("masked_cross_entropy", says="subtracted in one of two places")
def maximum_not_given_back(logits, targets, pad):
    top = logits.max(axis=-1, keepdims=True)
    log_p = logits - np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))
    picked = np.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]
    return -picked[targets != pad].mean()


# the pad is taken to be 0
@wrong("masked_cross_entropy", says="id of <pad> is written into the code")
def loss_where_pad_is_zero(logits, targets, pad):
    return _token_losses(logits, targets)[targets != 0].mean()


# softmax over the time steps
@wrong("masked_cross_entropy", says="the softmax was taken over the time steps")
def softmax_over_time(logits, targets, pad):
    log_p = _log_softmax(logits, axis=1)
    picked = np.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]
    return -picked[targets != pad].mean()


# bits
@wrong("masked_cross_entropy", says="it is in bits, not nats")
def in_bits(logits, targets, pad):
    return _token_losses(logits, targets)[targets != pad].mean() / np.log(2)


# the logits are taken for log probabilities
@wrong("masked_cross_entropy", says="there is no softmax")
def no_softmax(logits, targets, pad):
    picked = np.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return -picked[targets != pad].mean()


# the logits are taken for probabilities after a softmax, and softmaxed once more
@wrong("masked_cross_entropy", says="the softmax was taken twice")
def softmax_twice(logits, targets, pad):
    return _token_losses(np.exp(_log_softmax(logits)), targets)[targets != pad].mean()


# pads' logits set to zero: they still cost log V
@wrong("masked_cross_entropy", says="masked by zero logits instead of left out")
def pads_made_even(logits, targets, pad):
    return _token_losses(logits * (targets != pad)[..., None], targets).mean()


@right("masked_cross_entropy")
def loss_in_float32(logits, targets, pad):
    return loss_of_selected_tokens(logits.astype(np.float32), targets, pad)


# divided by the number of steps
@wrong("masked_cross_entropy", says="divided by T")
def divided_by_steps(logits, targets, pad):
    return (_token_losses(logits, targets) * (targets != pad)).sum() / targets.shape[1]


# the mean over all classes
@wrong("masked_cross_entropy", says="the mean over all classes")
def mean_over_classes(logits, targets, pad):
    return -_log_softmax(logits)[targets != pad].mean()


# one loss a token
@wrong("masked_cross_entropy", says="one loss a token")
def no_reduction(logits, targets, pad):
    return _token_losses(logits, targets) * (targets != pad)


# ---------------------------------------------------------------- 1.3 tokenize


@right("tokenize")
def one_expression(sentence):
    return re.findall(r"\w+(?:['-]\w+)*|[^\w\s]", sentence.lower())


@right("tokenize")
def tokens_letter_by_letter(sentence):
    text = sentence.lower()
    tokens, word = [], ""
    for i, sign in enumerate(text):
        inside = (
            sign in "'-’"
            and 0 < i < len(text) - 1
            and text[i - 1].isalpha()
            and text[i + 1].isalpha()
        )
        if sign.isalnum() or inside:
            word += sign
            continue
        if word:
            tokens.append(word)
            word = ""
        if not sign.isspace():
            tokens.append(sign)
    return tokens + [word] if word else tokens


@right("tokenize")
def strictly_between_letters(sentence):
    letter = r"[^\W\d_]"
    pattern = rf"(?:[^\W_]|(?<={letter})['’\-](?={letter}))+|\S"
    return [m.group().lower() for m in re.finditer(pattern, sentence)]


@right("tokenize")
def blanks_around_marks(sentence):
    text = unicodedata.normalize("NFC", sentence).lower()
    text = re.sub(r"([^\w\s'-])", r" \1 ", text)
    text = re.sub(r"(?<!\w)(['-])|(['-])(?!\w)", lambda m: f" {m.group()} ", text)
    return text.split()


# words are what lies between blanks
@wrong("tokenize", says="splitting at blanks is not enough")
def split_at_blanks(sentence):
    return sentence.lower().split()


# the much-copied cleaning step
@wrong("tokenize", says="marks were deleted: ,")
def copied_cleaning(sentence):
    text = unicodedata.normalize("NFD", sentence.lower().strip())
    text = "".join(c for c in text if unicodedata.category(c) != "Mn")
    text = re.sub(r"([.!?¿])", r" \1", text)
    return re.sub(r"[^a-zA-Z.!?¿]+", " ", text).split()


# accents removed, all else right
@wrong("tokenize", says="accents were removed or letters deleted: à")
def accents_removed(sentence):
    text = unicodedata.normalize("NFD", sentence)
    return one_expression("".join(c for c in text if unicodedata.category(c) != "Mn"))


# decomposed, and every accent becomes a mark
@wrong("tokenize", says="NFD takes accents off their letters")
def accents_apart(sentence):
    return one_expression(unicodedata.normalize("NFD", sentence))


# letters are a to z
@wrong("tokenize", says="a to z, or Latin-1, is not enough")
def only_a_to_z(sentence):
    return re.findall(r"[a-z0-9]+(?:['-][a-z0-9]+)*|[^\w\s]", sentence.lower())


# re.ASCII: letters with accents become marks
@wrong("tokenize", says="letters with accents were taken for marks")
def accented_letters_are_marks(sentence):
    return re.findall(r"\w+(?:['-]\w+)*|[^\w\s]", sentence.lower(), flags=re.ASCII)


# letters of Latin-1 only: œ, ł and all other alphabets are lost
@wrong("tokenize", says="a to z, or Latin-1, is not enough")
def only_latin_1(sentence):
    return re.findall(r"[a-z0-9à-öø-ÿ]+(?:['-][a-z0-9à-öø-ÿ]+)*|[^\w\s]", sentence.lower())


# digits are lost
@wrong("tokenize", says="digits were deleted")
def digits_lost(sentence):
    return re.findall(r"[^\W\d]+(?:['-][^\W\d]+)*|[^\w\s]", sentence.lower())


# every digit a token
@wrong("tokenize", says="a number was cut into its digits")
def digits_one_by_one(sentence):
    return re.findall(r"[^\W\d]+(?:['-][^\W\d]+)*|\d|[^\w\s]", sentence.lower())


# upper case stays
@wrong("tokenize", says="not changed to lower case")
def upper_case_stays(sentence):
    return re.findall(r"\w+(?:['-]\w+)*|[^\w\s]", sentence)


# casefold is not lower: ß becomes ss
@wrong("tokenize", says="casefold() is not lower()")
def casefold(sentence):
    return one_expression(sentence.casefold())


# the group captures: findall returns the group only
@wrong("tokenize", says="a group that captures: findall returns the group")
def group_captures(sentence):
    return re.findall(r"\w+(['-]\w+)*|[^\w\s]", sentence.lower())


# two groups: findall returns pairs
@wrong("tokenize", says="two groups that capture")
def pairs_of_groups(sentence):
    return re.findall(r"(\w+(?:['-]\w+)*)|([^\w\s])", sentence.lower())


# the apostrophe is a token of its own
@wrong("tokenize", says="an apostrophe between two letters cut the word")
def apostrophe_apart(sentence):
    return re.findall(r"\w+|[^\w\s]", sentence.lower())


# only one apostrophe or hyphen in a word: va-t-en falls apart
@wrong("tokenize", says="more than one apostrophe or hyphen")
def one_joint_only(sentence):
    return re.findall(r"\w+(?:['-]\w+)?|[^\w\s]", sentence.lower())


# apostrophe yes, hyphen no
@wrong("tokenize", says="a hyphen between two letters cut the word")
def hyphen_forgotten(sentence):
    return re.findall(r"\w+(?:'\w+)*|[^\w\s]", sentence.lower())


# hyphen yes, apostrophe no
@wrong("tokenize", says="an apostrophe between two letters cut the word")
def apostrophe_forgotten(sentence):
    return re.findall(r"\w+(?:-\w+)*|[^\w\s]", sentence.lower())


# quotation marks and dashes stick to the words
@wrong("tokenize", says="at the edge of a word an apostrophe or a hyphen is a mark")
def joints_anywhere(sentence):
    return re.findall(r"[\w'-]+|[^\w\s'-]", sentence.lower())


# marks in a row are one token
@wrong("tokenize", says="marks in a row were joined")
def marks_together(sentence):
    return re.findall(r"\w+(?:['-]\w+)*|[^\w\s]+", sentence.lower())


# the marks are lost
@wrong("tokenize", says="marks were deleted: !")
def marks_lost(sentence):
    return re.findall(r"\w+(?:['-]\w+)*", sentence.lower())


# a list of known marks: all others are lost
@wrong("tokenize", says="marks were deleted: ¿")
def a_few_marks(sentence):
    return re.findall(r"\w+(?:['-]\w+)*|[.,!?]", sentence.lower())


# known marks get a blank before them, the others stick
@wrong("tokenize", says="at the edge of a word an apostrophe or a hyphen is a mark")
def blank_before_known_marks(sentence):
    return re.sub(r"([.,!?¿])", r" \1 ", sentence.lower()).split()


# re.split leaves empty tokens
@wrong("tokenize", says="re.split with a group leaves None")
def empty_tokens(sentence):
    return re.split(r"\s+|([^\w\s'-])", sentence.lower())


# re.split at word ends leaves blanks as tokens
@wrong("tokenize", says="a blank or an empty string is left as a token")
def blanks_are_tokens(sentence):
    return [t for t in re.split(r"([^\w'-])", sentence.lower()) if t]


# a mark is anything but a word or a *space*: tabs and no-break spaces are tokens
@wrong("tokenize", says="a tab or a no-break space was taken for a mark")
def only_the_space_is_blank(sentence):
    return re.findall(r"\w+(?:['-]\w+)*|[^\w ]", sentence.lower())


# one string instead of a list
@wrong("tokenize", says="one string; the tokens are wanted as a list")
def one_string(sentence):
    return " ".join(one_expression(sentence))


# every token once
@wrong("tokenize", says="a token that comes twice is there once")
def every_token_once(sentence):
    return list(dict.fromkeys(one_expression(sentence)))


# sos and eos are added
@wrong("tokenize", says="<sos> and <eos> are no tokens")
def with_sos_and_eos(sentence):
    return ["<sos>", *one_expression(sentence), "<eos>"]


# between word boundaries anything goes: a dash joins two words
@wrong("tokenize", says="a run of hyphens is no hyphen")
def dashes_join(sentence):
    return re.findall(r"\b[\w'-]+\b|[^\w\s]", sentence.lower())


# a string is a sequence of letters
@wrong("tokenize", says="the letters were taken one by one")
def letter_by_letter(sentence):
    return list(sentence.lower())


# ---------------------------------------------------------------- 1.4 encode


@right("encode")
def encode_with_where(inputs, lengths, step, state):
    for t in range(inputs.shape[1]):
        reading = (t < np.asarray(lengths))[:, None]
        state = np.where(reading, step(inputs[:, t], state), state)
    return state


@right("encode")
def encode_row_by_row(inputs, lengths, step, state):
    rows = []
    for b in range(len(inputs)):
        h = state[b : b + 1]
        for t in range(lengths[b]):
            h = step(inputs[b : b + 1, t, :], h)
        rows.append(h[0])
    return np.array(rows)


@right("encode")
def encode_all_then_pick(inputs, lengths, step, state):
    states = [state]
    for t in range(inputs.shape[1]):
        states.append(step(inputs[:, t], states[-1]))
    return np.stack(states, axis=1)[np.arange(len(inputs)), lengths]


@right("encode")
def encode_only_the_active(inputs, lengths, step, state):
    result = np.array(state, dtype=float)
    for t in range(max(lengths)):
        active = np.flatnonzero(np.asarray(lengths) > t)
        result[active] = step(inputs[active, t], result[active])
    return result


# the last column, pads read as well
@wrong("encode", says="the last column was taken, pads and all")
def state_after_the_pads(inputs, lengths, step, state):
    for t in range(inputs.shape[1]):
        state = step(inputs[:, t], state)
    return state


# one pad is read
@wrong("encode", says="the first pad was read, too")
def one_too_many(inputs, lengths, step, state):
    for t in range(inputs.shape[1]):
        state = np.where((t <= lengths)[:, None], step(inputs[:, t], state), state)
    return state


# the last real token is not read
@wrong("encode", says="the last real token was not read")
def one_too_few(inputs, lengths, step, state):
    for t in range(inputs.shape[1]):
        state = np.where((t < lengths - 1)[:, None], step(inputs[:, t], state), state)
    return state


# the first state is not among those picked: length 0 wraps to the last column
@wrong("encode", says="index −1 is the last column")
def length_zero_wraps(inputs, lengths, step, state):
    states = []
    for t in range(inputs.shape[1]):
        state = step(inputs[:, t], state)
        states.append(state)
    return np.stack(states, axis=1)[np.arange(len(inputs)), lengths - 1]


# a row without tokens is read for one step
@wrong("encode", says="a row without tokens read one")
def at_least_one_token(inputs, lengths, step, state):
    return encode_with_where(inputs, np.maximum(lengths, 1), step, state)


# a row without tokens gets zeros, not its first state
@wrong("encode", says="a row without tokens became 0")
def zeros_for_no_token(inputs, lengths, step, state):
    return encode_with_where(inputs, lengths, step, state) * (lengths > 0)[:, None]


# ended rows are set to zero
@wrong("encode", says="ended rows became 0")
def ended_rows_to_zero(inputs, lengths, step, state):
    for t in range(inputs.shape[1]):
        state = step(inputs[:, t], state) * (t < lengths)[:, None]
    return state


# zeros are put in place of the pads, and read
@wrong("encode", says="the pads became 0 and were read all the same")
def pads_zeroed_and_read(inputs, lengths, step, state):
    for t in range(inputs.shape[1]):
        state = step(inputs[:, t] * (t < lengths)[:, None], state)
    return state


# the choice upside down
@wrong("encode", says="new and old are swapped")
def choice_upside_down(inputs, lengths, step, state):
    for t in range(inputs.shape[1]):
        state = np.where((t < lengths)[:, None], state, step(inputs[:, t], state))
    return state


# starts from zeros
@wrong("encode", says="the first state was ignored")
def starts_from_zeros(inputs, lengths, step, state):
    return encode_with_where(inputs, lengths, step, np.zeros_like(state))


# every step starts from the first state
@wrong("encode", says="each step started from the first state")
def state_not_handed_on(inputs, lengths, step, state):
    result = state
    for t in range(inputs.shape[1]):
        result = np.where((t < lengths)[:, None], step(inputs[:, t], state), result)
    return result


# the whole batch stops with the shortest row
@wrong("encode", says="the shortest sentence's length")
def stops_with_the_shortest(inputs, lengths, step, state):
    for t in range(min(lengths)):
        state = step(inputs[:, t], state)
    return state


# the whole batch goes on to the longest row
@wrong("encode", says="the longest sentence's length")
def goes_on_to_the_longest(inputs, lengths, step, state):
    for t in range(max(lengths)):
        state = step(inputs[:, t], state)
    return state


# the length of the first row is used for all
@wrong("encode", says="the first sentence's length")
def first_length_for_all(inputs, lengths, step, state):
    for t in range(lengths[0]):
        state = step(inputs[:, t], state)
    return state


# the argument itself is changed
@wrong("encode", says="an assignment into state")
def writes_into_state(inputs, lengths, step, state):
    for t in range(inputs.shape[1]):
        active = lengths > t
        state[active] = step(inputs[:, t], state)[active]
    return state


# the condition has no second axis: it chooses columns, or does not fit
@wrong("encode", says="give it a second axis")
def condition_without_axis(inputs, lengths, step, state):
    for t in range(inputs.shape[1]):
        state = np.where(t < lengths, step(inputs[:, t], state), state)
    return state


# time first, as PyTorch has it
@wrong("encode", says="time is axis 1 of `inputs`")
def time_is_the_first_axis(inputs, lengths, step, state):
    for t in range(inputs.shape[0]):
        state = np.where((t < lengths)[:, None], step(inputs[t], state), state)
    return state


# from right to left
@wrong("encode", says="read from right to left")
def from_right_to_left(inputs, lengths, step, state):
    for t in reversed(range(inputs.shape[1])):
        state = np.where((t < lengths)[:, None], step(inputs[:, t], state), state)
    return state


# the arguments of step in the other order
@wrong("encode", says="the two are swapped: first what is read")
def step_arguments_swapped(inputs, lengths, step, state):
    for t in range(inputs.shape[1]):
        state = np.where((t < lengths)[:, None], step(state, inputs[:, t]), state)
    return state


# all states instead of the last one of each row
@wrong("encode", says="the states of all steps")
def all_the_states(inputs, lengths, step, state):
    states = []
    for t in range(inputs.shape[1]):
        state = np.where((t < lengths)[:, None], step(inputs[:, t], state), state)
        states.append(state)
    return np.stack(states, axis=1)


# the first state is among those picked, and the index is one too small
@wrong("encode", says="index n is the state after n tokens")
def index_one_too_small(inputs, lengths, step, state):
    states = [state]
    for t in range(inputs.shape[1]):
        states.append(step(inputs[:, t], states[-1]))
    return np.stack(states, axis=1)[np.arange(len(inputs)), lengths - 1]


# range(1, S), as in a decoder's loop, which begins after <sos>
@wrong("encode", says="the first token was not read")
def from_the_second_token(inputs, lengths, step, state):
    for t in range(1, inputs.shape[1]):
        state = np.where((t < lengths)[:, None], step(inputs[:, t], state), state)
    return state


# ---------------------------------------------------------------- 1.5 greedy_decode


@right("greedy_decode")
def decode_with_flags(step, state, batch_size, sos, eos, max_length):
    tokens = np.full(batch_size, sos)
    ended = np.zeros(batch_size, dtype=bool)
    result = [[] for _ in range(batch_size)]
    for _ in range(max_length):
        log_probs, state = step(state, tokens)
        tokens = log_probs.argmax(axis=1)
        ended |= tokens == eos
        for b in np.flatnonzero(~ended):
            result[b].append(int(tokens[b]))
        if ended.all():
            break
    return result


@right("greedy_decode")
def decode_then_cut(step, state, batch_size, sos, eos, max_length):
    tokens = np.array([sos] * batch_size)
    said, open_rows = [], set(range(batch_size))
    while open_rows and len(said) < max_length:
        scores, state = step(state, tokens)
        tokens = np.argmax(scores, -1)
        said.append(tokens)
        open_rows -= {b for b in range(batch_size) if tokens[b] == eos}
    rows = np.array(said, dtype=int).reshape(-1, batch_size).T.tolist()
    return [row[: row.index(eos)] if eos in row else row for row in rows]


@right("greedy_decode")
def decode_ended_rows_keep_eos(step, state, batch_size, sos, eos, max_length):
    tokens, result, alive = np.full(batch_size, sos), [[]] * batch_size, [True] * batch_size
    for _ in range(max_length):
        if not any(alive):
            break
        p, state = step(state, tokens)
        best = [max(range(len(row)), key=row.__getitem__) for row in p]
        tokens = np.array([t if a else eos for t, a in zip(best, alive, strict=True)])
        alive = [a and t != eos for t, a in zip(tokens, alive, strict=True)]
        result = [r + [t] if a else r for r, t, a in zip(result, tokens, alive, strict=True)]
    return tuple(result)


# the end word is kept
@wrong("greedy_decode", says="<eos> was kept in the result")
def eos_is_kept(step, state, batch_size, sos, eos, max_length):
    tokens = np.full(batch_size, sos)
    ended = np.zeros(batch_size, dtype=bool)
    result = [[] for _ in range(batch_size)]
    for _ in range(max_length):
        log_probs, state = step(state, tokens)
        tokens = log_probs.argmax(axis=1)
        for b in np.flatnonzero(~ended):
            result[b].append(int(tokens[b]))
        ended |= tokens == eos
        if ended.all():
            break
    return result


# the number 3 became eos, and nothing else
@wrong("greedy_decode", says="each row ends by itself; <eos> was kept, too")
def only_the_id_mended(step, state, batch_size, sos, eos, max_length):
    tokens = np.full(batch_size, sos)
    result = []
    for _ in range(max_length):
        log_probs, state = step(state, tokens)
        tokens = log_probs.argmax(axis=1)
        result.append(tokens)
        if (tokens == eos).any():
            break
    return [list(map(int, row)) for row in np.stack(result, axis=1)]


# the number 3 became eos, any became all, and nothing else
@wrong("greedy_decode", says="no row was ended by its <eos>")
def any_became_all(step, state, batch_size, sos, eos, max_length):
    tokens = np.full(batch_size, sos)
    result = []
    for _ in range(max_length):
        log_probs, state = step(state, tokens)
        tokens = log_probs.argmax(axis=1)
        result.append(tokens)
        if (tokens == eos).all():
            break
    return [list(map(int, row)) for row in np.stack(result, axis=1)]


# the first row that ends stops the loop, before it is appended
@wrong("greedy_decode", says="first row that ended has ended all")
def stops_with_the_first_row_that_ends(step, state, batch_size, sos, eos, max_length):
    tokens = np.full(batch_size, sos)
    result = [[] for _ in range(batch_size)]
    for _ in range(max_length):
        log_probs, state = step(state, tokens)
        tokens = log_probs.argmax(axis=1)
        if (tokens == eos).any():
            break
        for b in range(batch_size):
            result[b].append(int(tokens[b]))
    return result


# any became all, and nothing else: 3 is still the end
@wrong("greedy_decode", says="compare with `eos`")
def three_is_still_the_end(step, state, batch_size, sos, eos, max_length):
    return decode_with_flags(step, state, batch_size, sos, 3, max_length)


# all rows must say eos at the same step: a row that goes on talking holds up the others
@wrong("greedy_decode", says="waits until all say <eos> at the same step")
def all_at_the_same_step(step, state, batch_size, sos, eos, max_length):
    tokens = np.full(batch_size, sos)
    said = []
    for _ in range(max_length):
        log_probs, state = step(state, tokens)
        tokens = log_probs.argmax(axis=1)
        said.append(tokens)
        if (tokens == eos).all():
            break
    rows = np.stack(said, axis=1).tolist()
    return [row[: row.index(eos)] if eos in row else row for row in rows]


# eos is filtered out, and what comes after it stays
@wrong("greedy_decode", says="words after <eos> were kept")
def words_after_eos_stay(step, state, batch_size, sos, eos, max_length):
    tokens = np.full(batch_size, sos)
    ended = np.zeros(batch_size, dtype=bool)
    said = []
    for _ in range(max_length):
        log_probs, state = step(state, tokens)
        tokens = log_probs.argmax(axis=1)
        said.append(tokens)
        ended |= tokens == eos
        if ended.all():
            break
    return [[int(t) for t in row if t != eos] for row in np.stack(said, axis=1)]


# a row that has ended comes alive again
@wrong("greedy_decode", says="a row that has ended stays ended")
def ended_rows_revive(step, state, batch_size, sos, eos, max_length):
    tokens = np.full(batch_size, sos)
    result = [[] for _ in range(batch_size)]
    for _ in range(max_length):
        log_probs, state = step(state, tokens)
        tokens = log_probs.argmax(axis=1)
        ended = tokens == eos
        for b in np.flatnonzero(~ended):
            result[b].append(int(tokens[b]))
        if ended.all():
            break
    return result


# cut only at the end: step is called max_length times
@wrong("greedy_decode", says="nothing leaves the loop")
def never_stops_early(step, state, batch_size, sos, eos, max_length):
    tokens = np.full(batch_size, sos)
    said = []
    for _ in range(max_length):
        log_probs, state = step(state, tokens)
        tokens = log_probs.argmax(axis=1)
        said.append(tokens)
    rows = np.stack(said, axis=1).tolist()
    return [row[: row.index(eos)] if eos in row else row for row in rows]


# the look whether all have ended comes one step too late
@wrong("greedy_decode", says="comes after one more call")
def one_step_too_many(step, state, batch_size, sos, eos, max_length):
    tokens = np.full(batch_size, sos)
    ended = np.zeros(batch_size, dtype=bool)
    result = [[] for _ in range(batch_size)]
    for _ in range(max_length):
        log_probs, state = step(state, tokens)
        if ended.all():
            break
        tokens = log_probs.argmax(axis=1)
        ended |= tokens == eos
        for b in np.flatnonzero(~ended):
            result[b].append(int(tokens[b]))
    return result


# sos is the first token of each row
@wrong("greedy_decode", says="<sos> was kept in the result")
def sos_is_kept(step, state, batch_size, sos, eos, max_length):
    rows = decode_with_flags(step, state, batch_size, sos, eos, max_length)
    return [[sos, *row] for row in rows]


# sos is counted: rows are one shorter than allowed
@wrong("greedy_decode", says="<sos> was counted")
def sos_counts_as_a_word(step, state, batch_size, sos, eos, max_length):
    return decode_with_flags(step, state, batch_size, sos, eos, max_length - 1)


# one word too many
@wrong("greedy_decode", says="one word too many")
def longer_than_allowed(step, state, batch_size, sos, eos, max_length):
    return decode_with_flags(step, state, batch_size, sos, eos, max_length + 1)


# no limit
@wrong("greedy_decode", says="max_length was not looked at")
def limit_forgotten(step, state, batch_size, sos, eos, max_length):
    return decode_with_flags(step, state, batch_size, sos, eos, 200)


# the decoder is told sos at every step
@wrong("greedy_decode", says="<sos> was fed at every step")
def always_told_sos(step, state, batch_size, sos, eos, max_length):
    return decode_with_flags(
        lambda s, tokens: step(s, np.full(batch_size, sos)),
        state, batch_size, sos, eos, max_length,
    )  # fmt: skip


# sos is taken to be 1
@wrong("greedy_decode", says="did not start with <sos>; its id is an argument")
def sos_is_one(step, state, batch_size, sos, eos, max_length):
    return decode_with_flags(step, state, batch_size, 1, eos, max_length)


# the state is not handed on
@wrong("greedy_decode", says="the new state was not kept")
def decoder_state_not_handed_on(step, state, batch_size, sos, eos, max_length):
    tokens = np.full(batch_size, sos)
    ended = np.zeros(batch_size, dtype=bool)
    result = [[] for _ in range(batch_size)]
    for _ in range(max_length):
        log_probs, _ = step(state, tokens)
        tokens = log_probs.argmax(axis=1)
        ended |= tokens == eos
        for b in np.flatnonzero(~ended):
            result[b].append(int(tokens[b]))
        if ended.all():
            break
    return result


# only row 0 is asked whether it has ended
@wrong("greedy_decode", says="only the first row was asked")
def only_row_0_ends(step, state, batch_size, sos, eos, max_length):
    tokens = np.full(batch_size, sos)
    result = [[] for _ in range(batch_size)]
    for _ in range(max_length):
        log_probs, state = step(state, tokens)
        tokens = log_probs.argmax(axis=1)
        if tokens[0] == eos:
            break
        for b in range(batch_size):
            result[b].append(int(tokens[b]))
    return result


# one list for all rows
@wrong("greedy_decode", says="all rows share one list")
def one_list_for_all(step, state, batch_size, sos, eos, max_length):
    tokens = np.full(batch_size, sos)
    ended = np.zeros(batch_size, dtype=bool)
    result = [[]] * batch_size
    for _ in range(max_length):
        log_probs, state = step(state, tokens)
        tokens = log_probs.argmax(axis=1)
        ended |= tokens == eos
        for b in np.flatnonzero(~ended):
            result[b].append(int(tokens[b]))
        if ended.all():
            break
    return result


# steps first: (max_length, B) instead of B lists
@wrong("greedy_decode", says="the lists go over the steps")
def lists_by_step(step, state, batch_size, sos, eos, max_length):
    rows = decode_with_flags(step, state, batch_size, sos, eos, max_length)
    longest = max(map(len, rows))
    return [[row[t] if t < len(row) else eos for row in rows] for t in range(longest)]


# ended rows are filled up
@wrong("greedy_decode", says="filled up with <eos>")
def filled_up_with_eos(step, state, batch_size, sos, eos, max_length):
    rows = decode_with_flags(step, state, batch_size, sos, eos, max_length)
    longest = max(map(len, rows))
    return [row + [eos] * (longest - len(row)) for row in rows]


# the least likely token
@wrong("greedy_decode", says="the least likely token was taken")
def argmin(step, state, batch_size, sos, eos, max_length):
    def flipped(s, tokens):
        log_probs, s = step(s, tokens)
        return -log_probs, s

    return decode_with_flags(flipped, state, batch_size, sos, eos, max_length)


# ended rows are taken out of the batch, and the state is not
@wrong("greedy_decode", says="ended rows were taken out")
def only_open_rows_are_told(step, state, batch_size, sos, eos, max_length):
    rows = list(range(batch_size))
    tokens = np.full(batch_size, sos)
    result = [[] for _ in range(batch_size)]
    for _ in range(max_length):
        log_probs, state = step(state, tokens)
        tokens = log_probs.argmax(axis=1)
        going_on = []
        for b, t in zip(rows, tokens, strict=False):
            if t != eos:
                result[b].append(int(t))
                going_on.append(b)
        tokens = tokens[tokens != eos]
        rows = going_on
        if not rows:
            break
    return result


# row after row: the whole batch is decoded B times
@wrong("greedy_decode", says="decoded one after the other")
def row_after_row(step, state, batch_size, sos, eos, max_length):
    result = []
    for b in range(batch_size):
        seen, tokens, row = state, np.full(batch_size, sos), []
        for _ in range(max_length):
            log_probs, seen = step(seen, tokens)
            tokens = log_probs.argmax(axis=1)
            if tokens[b] == eos:
                break
            row.append(int(tokens[b]))
        result.append(row)
    return result


# row after row, with a batch of one
@wrong("greedy_decode", says="one call serves all rows")
def batches_of_one(step, state, batch_size, sos, eos, max_length):
    result = []
    for b in range(batch_size):
        seen, token, row = state, sos, []
        for _ in range(max_length):
            log_probs, seen = step(seen, np.array([token]))
            token = int(log_probs[b].argmax())
            if token == eos:
                break
            row.append(token)
        result.append(row)
    return result


# ---------------------------------------------------------------- 1.6 lstm_step


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


@right("lstm_step")
def lstm_with_split(x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(x @ W_x + h @ W_h + b, 4, axis=-1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


@right("lstm_step")
def lstm_with_loops(x, h, c, W_x, W_h, b):
    B, H = h.shape
    new_h, new_c = np.zeros((B, H)), np.zeros((B, H))
    for n in range(B):
        for j in range(H):
            a = []
            for k in range(4):
                column = k * H + j
                total = b[column]
                for d in range(x.shape[1]):
                    total += x[n, d] * W_x[d, column]
                for d in range(H):
                    total += h[n, d] * W_h[d, column]
                a.append(total)
            i, f, o = (0.5 * (1 + math.tanh(0.5 * a[k])) for k in (0, 1, 3))
            new_c[n, j] = f * c[n, j] + i * math.tanh(a[2])
            new_h[n, j] = o * math.tanh(new_c[n, j])
    return new_h, new_c


@right("lstm_step")
def lstm_by_torch(x, h, c, W_x, W_h, b):
    import torch

    x, h, c, W_x, W_h, b = (torch.as_tensor(np.array(v)).double() for v in (x, h, c, W_x, W_h, b))
    new = torch.lstm_cell(x, (h, c), W_x.T, W_h.T, b, torch.zeros_like(b))
    return [v.numpy() for v in new]


@right("lstm_step")
def lstm_one_matrix(x, h, c, W_x, W_h, b):
    H = c.shape[-1]
    together = np.concatenate([x, h, np.ones((len(x), 1))], axis=1)
    W = np.vstack([W_x, W_h, b[None]])
    gates = np.einsum("bd,dkh->kbh", together, W.reshape(-1, 4, H))
    i, f, o = 0.5 + 0.5 * np.tanh(gates[[0, 1, 3]] / 2)
    c_new = np.add(i * np.tanh(gates[2]), f * c)
    return np.tanh(c_new) * o, c_new


# np.split without its axis
@wrong("lstm_step", says="np.split cuts the first axis")
def split_along_the_batch(x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(x @ W_x + h @ W_h + b, 4)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


# the blocks in the order input, forget, output, candidate
@wrong("lstm_step", says="in the order input, forget, output, candidate")
def order_ifog(x, h, c, W_x, W_h, b):
    i, f, o, g = np.split(x @ W_x + h @ W_h + b, 4, axis=-1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


# the blocks in the order forget, input, candidate, output
@wrong("lstm_step", says="input gate and forget gate have changed places")
def order_figo(x, h, c, W_x, W_h, b):
    f, i, g, o = np.split(x @ W_x + h @ W_h + b, 4, axis=-1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


# the gates take turns in the columns
@wrong("lstm_step", says="columns were taken in turns")
def columns_take_turns(x, h, c, W_x, W_h, b):
    a = (x @ W_x + h @ W_h + b).reshape(*c.shape, 4)
    i, f, g, o = (a[..., k] for k in range(4))
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


# the candidate is squashed like a gate
@wrong("lstm_step", says="candidate went through σ instead of tanh")
def candidate_by_sigmoid(x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(_sigmoid(x @ W_x + h @ W_h + b), 4, axis=-1)
    c = f * c + i * g
    return o * np.tanh(c), c


# the candidate is not squashed
@wrong("lstm_step", says="the candidate was not squashed")
def candidate_not_squashed(x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(x @ W_x + h @ W_h + b, 4, axis=-1)
    c = _sigmoid(f) * c + _sigmoid(i) * g
    return _sigmoid(o) * np.tanh(c), c


# all four by tanh
@wrong("lstm_step", says="gates went through tanh instead of σ")
def gates_by_tanh(x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(np.tanh(x @ W_x + h @ W_h + b), 4, axis=-1)
    c = f * c + i * g
    return o * np.tanh(c), c


# the gates are not squashed
@wrong("lstm_step", says="the gates were not squashed")
def gates_not_squashed(x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(x @ W_x + h @ W_h + b, 4, axis=-1)
    c = f * c + i * np.tanh(g)
    return o * np.tanh(c), c


# the hidden state looks at the old cell
@wrong("lstm_step", says="h' was made from the old cell")
def h_of_the_old_cell(x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(x @ W_x + h @ W_h + b, 4, axis=-1)
    return _sigmoid(o) * np.tanh(c), _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)


# no tanh on the way out
@wrong("lstm_step", says="no tanh around the new cell")
def h_without_tanh(x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(x @ W_x + h @ W_h + b, 4, axis=-1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * c, c


# the tanh of the cell is kept as the cell
@wrong("lstm_step", says="tanh of the new cell was kept as the cell")
def cell_is_squashed(x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(x @ W_x + h @ W_h + b, 4, axis=-1)
    c = np.tanh(_sigmoid(f) * c + _sigmoid(i) * np.tanh(g))
    return _sigmoid(o) * c, c


# c before h
@wrong("lstm_step", says="h comes first, then c")
def c_before_h(x, h, c, W_x, W_h, b):
    return lstm_with_split(x, h, c, W_x, W_h, b)[::-1]


# the bias is forgotten
@wrong("lstm_step", says="the bias was left out")
def bias_forgotten(x, h, c, W_x, W_h, b):
    return lstm_with_split(x, h, c, W_x, W_h, 0 * b)


# 1 is added to the forget gate, as some libraries do
@wrong("lstm_step", says="1 was added to the forget gate")
def forget_bias_of_one(x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(x @ W_x + h @ W_h + b, 4, axis=-1)
    c = _sigmoid(f + 1) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


# two biases, as PyTorch has them
@wrong("lstm_step", says="the bias was added twice")
def bias_twice(x, h, c, W_x, W_h, b):
    return lstm_with_split(x, h, c, W_x, W_h, 2 * b)


# the sign in the logistic function
@wrong("lstm_step", says="σ is upside down")
def sigmoid_upside_down(x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(x @ W_x + h @ W_h + b, 4, axis=-1)
    c = _sigmoid(-f) * c + _sigmoid(-i) * np.tanh(g)
    return _sigmoid(-o) * np.tanh(c), c


# the forget gate is how much is forgotten
@wrong("lstm_step", says="1 − σ(f) keeps")
def forgets_what_it_should_keep(x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(x @ W_x + h @ W_h + b, 4, axis=-1)
    c = (1 - _sigmoid(f)) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


# coupled gates, as in a GRU
@wrong("lstm_step", says="as in a GRU")
def gates_coupled(x, h, c, W_x, W_h, b):
    _, f, g, o = np.split(x @ W_x + h @ W_h + b, 4, axis=-1)
    c = _sigmoid(f) * c + (1 - _sigmoid(f)) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


# the two gates change places in the sum
@wrong("lstm_step", says="input gate and forget gate have changed places")
def input_gate_on_the_cell(x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(x @ W_x + h @ W_h + b, 4, axis=-1)
    c = _sigmoid(i) * c + _sigmoid(f) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


# the old hidden state is not read
@wrong("lstm_step", says="h was left out")
def hidden_state_not_read(x, h, c, W_x, W_h, b):
    return lstm_with_split(x, 0 * h, c, W_x, W_h, b)


# the cell is read in place of the hidden state
@wrong("lstm_step", says="what they read beside x is h")
def cell_read_for_h(x, h, c, W_x, W_h, b):
    return lstm_with_split(x, c, c, W_x, W_h, b)


# the old cell is dropped
@wrong("lstm_step", says="the old cell was left out")
def old_cell_dropped(x, h, c, W_x, W_h, b):
    return lstm_with_split(x, h, 0 * c, W_x, W_h, b)


# the argument itself is changed
@wrong("lstm_step", says="an assignment into c")
def writes_into_c(x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(x @ W_x + h @ W_h + b, 4, axis=-1)
    c *= _sigmoid(f)
    c += _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


# exp(a) / (1 + exp(a)) is NaN for large a
@wrong("lstm_step", says="exp of a large number")
def sigmoid_overflows(x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(x @ W_x + h @ W_h + b, 4, axis=-1)
    i, f, o = (np.exp(a) / (1 + np.exp(a)) for a in (i, f, o))
    c = f * c + i * np.tanh(g)
    return o * np.tanh(c), c


@right("lstm_step")
def lstm_in_float32(x, h, c, W_x, W_h, b):
    return lstm_with_split(*(v.astype(np.float32) for v in (x, h, c, W_x, W_h, b)))


# ---------------------------------------------------------------- 1.7 lstm_step_backward


@right("lstm_step_backward")
def backward_by_hand(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(x @ W_x + h @ W_h + b, 4, axis=-1)
    i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
    t = np.tanh(f * c + i * g)
    d_cell = dc + dh * o * (1 - t**2)
    dgates = np.concatenate(
        [
            d_cell * g * i * (1 - i),
            d_cell * c * f * (1 - f),
            d_cell * i * (1 - g**2),
            dh * t * o * (1 - o),
        ],
        axis=1,
    )
    dx, dh_before = dgates @ W_x.T, dgates @ W_h.T
    return dx, dh_before, d_cell * f, x.T @ dgates, h.T @ dgates, dgates.sum(axis=0)


@right("lstm_step_backward")
def backward_by_autograd(dh, dc, x, h, c, W_x, W_h, b):
    import torch

    inputs = [torch.tensor(np.array(v), dtype=torch.float64) for v in (x, h, c, W_x, W_h, b)]
    for v in inputs:
        v.requires_grad_()
    x, h, c, W_x, W_h, b = inputs
    i, f, g, o = torch.chunk(x @ W_x + h @ W_h + b, 4, dim=1)
    new_c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    new_h = o.sigmoid() * new_c.tanh()
    loss = (new_h * torch.tensor(np.array(dh))).sum() + (new_c * torch.tensor(np.array(dc))).sum()
    return [v.numpy() for v in torch.autograd.grad(loss, inputs)]


@right("lstm_step_backward")
def backward_by_complex_steps(dh, dc, x, h, c, W_x, W_h, b):
    inputs = [np.array(v, dtype=complex) for v in (x, h, c, W_x, W_h, b)]
    gradients = []
    for v in inputs:
        gradient = np.zeros(v.shape)
        for place in np.ndindex(v.shape):
            v[place] += 1e-30j
            new_h, new_c = lstm_with_split(*inputs)
            gradient[place] = (dh * new_h.imag + dc * new_c.imag).sum() / 1e-30
            v[place] -= 1e-30j
        gradients.append(gradient)
    return tuple(gradients)


@right("lstm_step_backward")
def backward_by_differences(dh, dc, x, h, c, W_x, W_h, b):
    inputs = [np.array(v, dtype=float) for v in (x, h, c, W_x, W_h, b)]

    def loss():
        new_h, new_c = lstm_with_split(*inputs)
        return np.sum(dh * new_h) + np.sum(dc * new_c)

    gradients = []
    for v in inputs:
        gradient = np.zeros_like(v)
        for place in np.ndindex(v.shape):
            kept = v[place]
            v[place] = kept + 1e-5
            up = loss()
            v[place] = kept - 1e-5
            gradient[place] = (up - loss()) / 2e-5
            v[place] = kept
        gradients.append(gradient)
    return gradients


@right("lstm_step_backward")
def backward_example_by_example(dh, dc, x, h, c, W_x, W_h, b):
    dx, dh_before, dc_before = np.zeros_like(x), np.zeros_like(h), np.zeros_like(c)
    dW_x, dW_h, db = np.zeros_like(W_x), np.zeros_like(W_h), np.zeros_like(b)
    H = h.shape[1]
    for n in range(len(x)):
        a = (x[n] @ W_x + h[n] @ W_h + b).reshape(4, H)
        i, f, o = _sigmoid(a[0]), _sigmoid(a[1]), _sigmoid(a[3])
        g = np.tanh(a[2])
        new_c = f * c[n] + i * g
        total = dc[n] + dh[n] * o / np.cosh(new_c) ** 2
        dc_before[n] = total * f
        da = np.hstack(
            [
                total * g * i * (1 - i),
                total * c[n] * f * (1 - f),
                total * i * (1 - g * g),
                dh[n] * np.tanh(new_c) * o * (1 - o),
            ]
        )
        dx[n] = W_x @ da
        dh_before[n] = W_h @ da
        dW_x += np.outer(x[n], da)
        dW_h += np.outer(h[n], da)
        db += da
    return dx, dh_before, dc_before, dW_x, dW_h, db


def _forward(x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(x @ W_x + h @ W_h + b, 4, axis=-1)
    i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
    return i, f, g, o, np.tanh(f * c + i * g)


def _affine(blocks, x, h, W_x, W_h, dc_before):
    dgates = np.concatenate(blocks, axis=1)
    dx, dh_before = dgates @ W_x.T, dgates @ W_h.T
    return dx, dh_before, dc_before, x.T @ dgates, h.T @ dgates, dgates.sum(axis=0)


# the gradient that comes straight to the cell is forgotten
@wrong("lstm_step_backward", says="what comes through dc was forgotten")
def dc_forgotten(dh, dc, x, h, c, W_x, W_h, b):
    return backward_by_hand(dh, 0 * dc, x, h, c, W_x, W_h, b)


# the road through the hidden state is forgotten
@wrong("lstm_step_backward", says="what comes through h' was forgotten")
def road_through_h_forgotten(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o, t = _forward(x, h, c, W_x, W_h, b)
    blocks = [
        dc * g * i * (1 - i),
        dc * c * f * (1 - f),
        dc * i * (1 - g**2),
        dh * t * o * (1 - o),
    ]
    return _affine(blocks, x, h, W_x, W_h, dc * f)


# dc_before sees only the direct road
@wrong("lstm_step_backward", says="what comes through h' was forgotten")
def dc_before_of_dc_only(dh, dc, x, h, c, W_x, W_h, b):
    dx, dh_before, _, dW_x, dW_h, db = backward_by_hand(dh, dc, x, h, c, W_x, W_h, b)
    return dx, dh_before, dc * _forward(x, h, c, W_x, W_h, b)[1], dW_x, dW_h, db


# dc_before without the forget gate
@wrong("lstm_step_backward", says="the forget gate stands between")
def dc_before_without_the_gate(dh, dc, x, h, c, W_x, W_h, b):
    _, _, _, o, t = _forward(x, h, c, W_x, W_h, b)
    dx, dh_before, _, dW_x, dW_h, db = backward_by_hand(dh, dc, x, h, c, W_x, W_h, b)
    return dx, dh_before, dc + dh * o * (1 - t**2), dW_x, dW_h, db


# the slope of the tanh of the cell is forgotten
@wrong("lstm_step_backward", says="through h' the slope of tanh was forgotten")
def slope_of_the_cells_tanh_forgotten(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o, t = _forward(x, h, c, W_x, W_h, b)
    d = dc + dh * o
    blocks = [d * g * i * (1 - i), d * c * f * (1 - f), d * i * (1 - g**2), dh * t * o * (1 - o)]
    return _affine(blocks, x, h, W_x, W_h, d * f)


# the slope is taken at the old cell
@wrong("lstm_step_backward", says="slope of tanh was taken at the old cell")
def slope_at_the_old_cell(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o, t = _forward(x, h, c, W_x, W_h, b)
    d = dc + dh * o * (1 - np.tanh(c) ** 2)
    blocks = [d * g * i * (1 - i), d * c * f * (1 - f), d * i * (1 - g**2), dh * t * o * (1 - o)]
    return _affine(blocks, x, h, W_x, W_h, d * f)


# the output gate is forgotten on the road through h
@wrong("lstm_step_backward", says="through h' the output gate was forgotten")
def output_gate_forgotten(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o, t = _forward(x, h, c, W_x, W_h, b)
    d = dc + dh * (1 - t**2)
    blocks = [d * g * i * (1 - i), d * c * f * (1 - f), d * i * (1 - g**2), dh * t * o * (1 - o)]
    return _affine(blocks, x, h, W_x, W_h, d * f)


# slopes of the gates forgotten
@wrong("lstm_step_backward", says="the slope of the squashing was forgotten")
def slopes_of_the_gates_forgotten(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o, t = _forward(x, h, c, W_x, W_h, b)
    d = dc + dh * o * (1 - t**2)
    return _affine([d * g, d * c, d * i * (1 - g**2), dh * t], x, h, W_x, W_h, d * f)


# the slope of the candidate forgotten
@wrong("lstm_step_backward", says="the slope of the squashing was forgotten")
def slope_of_the_candidate_forgotten(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o, t = _forward(x, h, c, W_x, W_h, b)
    d = dc + dh * o * (1 - t**2)
    blocks = [d * g * i * (1 - i), d * c * f * (1 - f), d * i, dh * t * o * (1 - o)]
    return _affine(blocks, x, h, W_x, W_h, d * f)


# the candidate's slope as if it were a gate
@wrong("lstm_step_backward", says="it has the slope of σ")
def candidate_with_slope_of_a_gate(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o, t = _forward(x, h, c, W_x, W_h, b)
    d = dc + dh * o * (1 - t**2)
    blocks = [d * g * i * (1 - i), d * c * f * (1 - f), d * i * g * (1 - g), dh * t * o * (1 - o)]
    return _affine(blocks, x, h, W_x, W_h, d * f)


# the square is forgotten in the slope of tanh
@wrong("lstm_step_backward", says="the square was forgotten")
def square_forgotten(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o, t = _forward(x, h, c, W_x, W_h, b)
    d = dc + dh * o * (1 - t)
    blocks = [d * g * i * (1 - i), d * c * f * (1 - f), d * i * (1 - g), dh * t * o * (1 - o)]
    return _affine(blocks, x, h, W_x, W_h, d * f)


# the forget gate's gradient with the new cell
@wrong("lstm_step_backward", says="the new cell stands where the old one belongs")
def forget_gate_with_the_new_cell(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o, t = _forward(x, h, c, W_x, W_h, b)
    d = dc + dh * o * (1 - t**2)
    new_c = f * c + i * g
    blocks = [
        d * g * i * (1 - i),
        d * new_c * f * (1 - f),
        d * i * (1 - g**2),
        dh * t * o * (1 - o),
    ]
    return _affine(blocks, x, h, W_x, W_h, d * f)


# the output gate's gradient with the cell instead of its tanh
@wrong("lstm_step_backward", says="the factor is the bare cell")
def output_gate_with_the_bare_cell(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o, t = _forward(x, h, c, W_x, W_h, b)
    d = dc + dh * o * (1 - t**2)
    new_c = f * c + i * g
    blocks = [
        d * g * i * (1 - i),
        d * c * f * (1 - f),
        d * i * (1 - g**2),
        dh * new_c * o * (1 - o),
    ]
    return _affine(blocks, x, h, W_x, W_h, d * f)


# the output gate hears of the cell's gradient
@wrong("lstm_step_backward", says="it heard of the cell's gradient")
def output_gate_hears_d_cell(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o, t = _forward(x, h, c, W_x, W_h, b)
    d = dc + dh * o * (1 - t**2)
    blocks = [d * g * i * (1 - i), d * c * f * (1 - f), d * i * (1 - g**2), d * t * o * (1 - o)]
    return _affine(blocks, x, h, W_x, W_h, d * f)


# input gate and candidate in each other's place
@wrong("lstm_step_backward", says="it was multiplied by its own value")
def factors_of_input_and_candidate_swapped(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o, t = _forward(x, h, c, W_x, W_h, b)
    d = dc + dh * o * (1 - t**2)
    blocks = [d * i * i * (1 - i), d * c * f * (1 - f), d * g * (1 - g**2), dh * t * o * (1 - o)]
    return _affine(blocks, x, h, W_x, W_h, d * f)


# the blocks side by side in another order
@wrong("lstm_step_backward", says="the four blocks stand in another order")
def blocks_in_another_order(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o, t = _forward(x, h, c, W_x, W_h, b)
    d = dc + dh * o * (1 - t**2)
    blocks = [d * g * i * (1 - i), d * c * f * (1 - f), dh * t * o * (1 - o), d * i * (1 - g**2)]
    return _affine(blocks, x, h, W_x, W_h, d * f)


# the mean over the batch for the parameters
@wrong("lstm_step_backward", says="the mean over the batch")
def mean_over_the_batch(dh, dc, x, h, c, W_x, W_h, b):
    *first, dW_x, dW_h, db = backward_by_hand(dh, dc, x, h, c, W_x, W_h, b)
    return *first, dW_x / len(x), dW_h / len(x), db / len(x)


# the mean over the batch for the bias only
@wrong("lstm_step_backward", says="the mean over the batch")
def bias_by_mean(dh, dc, x, h, c, W_x, W_h, b):
    *first, db = backward_by_hand(dh, dc, x, h, c, W_x, W_h, b)
    return *first, db / len(x)


# the bias' gradient is not summed
@wrong("lstm_step_backward", says="add up over the batch")
def bias_not_summed(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o, t = _forward(x, h, c, W_x, W_h, b)
    d = dc + dh * o * (1 - t**2)
    blocks = [d * g * i * (1 - i), d * c * f * (1 - f), d * i * (1 - g**2), dh * t * o * (1 - o)]
    return *_affine(blocks, x, h, W_x, W_h, d * f)[:5], np.hstack(blocks)


# matrices' gradients transposed, as PyTorch stores them
@wrong("lstm_step_backward", says="it is the transposed gradient")
def matrices_transposed(dh, dc, x, h, c, W_x, W_h, b):
    dx, dh_before, dc_before, dW_x, dW_h, db = backward_by_hand(dh, dc, x, h, c, W_x, W_h, b)
    return dx, dh_before, dc_before, dW_x.T, dW_h.T, db


# parameters first
@wrong("lstm_step_backward", says="the order is dx, dh_before, dc_before")
def parameters_first(dh, dc, x, h, c, W_x, W_h, b):
    dx, dh_before, dc_before, dW_x, dW_h, db = backward_by_hand(dh, dc, x, h, c, W_x, W_h, b)
    return dW_x, dW_h, db, dx, dh_before, dc_before


# dc_before before dh_before
@wrong("lstm_step_backward", says="dh_before and dc_before are swapped")
def states_swapped(dh, dc, x, h, c, W_x, W_h, b):
    dx, dh_before, dc_before, *rest = backward_by_hand(dh, dc, x, h, c, W_x, W_h, b)
    return dx, dc_before, dh_before, *rest


# dh is added to dh_before
@wrong("lstm_step_backward", says="dh itself was added")
def dh_added_to_dh_before(dh, dc, x, h, c, W_x, W_h, b):
    dx, dh_before, *rest = backward_by_hand(dh, dc, x, h, c, W_x, W_h, b)
    return dx, dh_before + dh, *rest


# dW_h with the new hidden state
@wrong("lstm_step_backward", says="the new h was taken")
def dW_h_with_the_new_h(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o, t = _forward(x, h, c, W_x, W_h, b)
    d = dc + dh * o * (1 - t**2)
    blocks = [d * g * i * (1 - i), d * c * f * (1 - f), d * i * (1 - g**2), dh * t * o * (1 - o)]
    return _affine(blocks, x, o * t, W_x, W_h, d * f)


# the argument itself is changed
@wrong("lstm_step_backward", says="an assignment into dc")
def writes_into_dc(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o, t = _forward(x, h, c, W_x, W_h, b)
    dc += dh * o * (1 - t**2)
    blocks = [
        dc * g * i * (1 - i),
        dc * c * f * (1 - f),
        dc * i * (1 - g**2),
        dh * t * o * (1 - o),
    ]
    return _affine(blocks, x, h, W_x, W_h, dc * f)


# the input gate's slope with the forget gate (a line copied)
@wrong("lstm_step_backward", says="a copied line")
def copied_line(dh, dc, x, h, c, W_x, W_h, b):
    i, f, g, o, t = _forward(x, h, c, W_x, W_h, b)
    d = dc + dh * o * (1 - t**2)
    blocks = [d * g * i * (1 - i), d * c * i * (1 - i), d * i * (1 - g**2), dh * t * o * (1 - o)]
    return _affine(blocks, x, h, W_x, W_h, d * f)


def with_blocks_in_the_order(order, dh, dc, x, h, c, W_x, W_h, b):
    block = dict(zip(order, np.split(x @ W_x + h @ W_h + b, 4, axis=1), strict=True))
    i, f, o = (1 / (1 + np.exp(-block[name])) for name in "ifo")
    g = np.tanh(block["g"])
    t = np.tanh(f * c + i * g)
    d = dc + dh * o * (1 - t**2)
    before = {"i": d * g * i * (1 - i), "f": d * c * f * (1 - f), "g": d * i * (1 - g**2)}
    before["o"] = dh * t * o * (1 - o)
    dz = np.concatenate([before[name] for name in order], axis=1)
    return dz @ W_x.T, dz @ W_h.T, d * f, x.T @ dz, h.T @ dz, dz.sum(axis=0)


# as in libraries that put the three sigmoids side by side
@wrong("lstm_step_backward", says="read as input, forget, output, candidate;")
def candidate_last(*given):
    return with_blocks_in_the_order("ifog", *given)


@wrong("lstm_step_backward", says="read as forget, input, candidate, output;")
def forget_first(*given):
    return with_blocks_in_the_order("figo", *given)


# ---------------------------------------------------------------- 1.8 half_length


@right("half_length")
def half_by_walking(lengths, exact):
    if exact[0] < 0.5:
        return lengths[0]
    for k in range(1, len(exact)):
        if exact[k] < 0.5:
            a, b, high, low = lengths[k - 1], lengths[k], exact[k - 1], exact[k]
            return a + (b - a) * (high - 0.5) / (high - low)
    return float("inf")


@right("half_length")
def half_by_interp(lengths, exact):
    below = np.flatnonzero(np.asarray(exact) < 0.5)
    if below.size == 0:
        return np.inf
    k = below[0]
    if k == 0:
        return float(lengths[0])
    return np.interp(0.5, [exact[k], exact[k - 1]], [lengths[k], lengths[k - 1]])


@right("half_length")
def half_by_all_crossings(lengths, exact):
    lengths, exact = np.asarray(lengths, dtype=float), np.asarray(exact, dtype=float)
    down = (exact[:-1] >= 0.5) & (exact[1:] < 0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        places = lengths[:-1] + (0.5 - exact[:-1]) * np.diff(lengths) / np.diff(exact)
    found = [lengths[0]] if exact[0] < 0.5 else []
    return min([*found, *places[down], math.inf])


# without a straight line: the first measured length below one half
@wrong("half_length", says="first measured length below")
def first_length_below(lengths, exact):
    below = exact < 0.5
    return lengths[below.argmax()] if below.any() else np.inf


# without a straight line: the last length that was good enough
@wrong("half_length", says="last length above")
def last_length_above(lengths, exact):
    if exact[0] < 0.5:
        return lengths[0]
    below = exact < 0.5
    return lengths[below.argmax() - 1] if below.any() else np.inf


# always the middle
@wrong("half_length", says="the middle of the two lengths")
def always_half_way(lengths, exact):
    if exact[0] < 0.5:
        return lengths[0]
    below = exact < 0.5
    k = below.argmax()
    return (lengths[k - 1] + lengths[k]) / 2 if below.any() else np.inf


# the share of the fall from the wrong end
@wrong("half_length", says="counted from the other end")
def from_the_wrong_end(lengths, exact):
    if exact[0] < 0.5:
        return lengths[0]
    for k in range(1, len(exact)):
        if exact[k] < 0.5:
            share = (0.5 - exact[k]) / (exact[k - 1] - exact[k])
            return lengths[k - 1] + share * (lengths[k] - lengths[k - 1])
    return np.inf


# the share is not made a length
@wrong("half_length", says="not multiplied by the way")
def share_not_times_the_gap(lengths, exact):
    if exact[0] < 0.5:
        return lengths[0]
    for k in range(1, len(exact)):
        if exact[k] < 0.5:
            return lengths[k - 1] + (exact[k - 1] - 0.5) / (exact[k - 1] - exact[k])
    return np.inf


# the place in the array instead of the length
@wrong("half_length", says="a place in the array, not a length")
def place_for_length(lengths, exact):
    answer = half_by_walking(lengths, exact)
    return answer if np.isinf(answer) else np.interp(answer, lengths, np.arange(len(lengths)))


# the last crossing
@wrong("half_length", says="the last crossing, not the first")
def the_last_crossing(lengths, exact):
    if exact[0] < 0.5:
        return lengths[0]
    answer = np.inf
    for k in range(1, len(exact)):
        if exact[k - 1] >= 0.5 > exact[k]:
            answer = half_by_walking(lengths[k - 1 :], exact[k - 1 :])
    return answer


# interp over the whole curve: the shares must rise for that, and nothing is ever infinite
@wrong("half_length", says="np.interp over the whole curve")
def interp_of_the_whole_curve(lengths, exact):
    return np.interp(0.5, exact[::-1], lengths[::-1])


# interp with the special cases, but over the whole curve
@wrong("half_length", says="np.interp over the whole curve")
def interp_with_cases(lengths, exact):
    if exact[0] < 0.5:
        return lengths[0]
    if (exact >= 0.5).all():
        return np.inf
    return np.interp(0.5, exact[::-1], lengths[::-1])


# interp over shares that were sorted
@wrong("half_length", says="the shares were sorted")
def interp_of_sorted_shares(lengths, exact):
    if exact[0] < 0.5:
        return lengths[0]
    if (exact >= 0.5).all():
        return np.inf
    order = np.argsort(exact)
    return np.interp(0.5, exact[order], lengths[order])


# a curve that never falls gets its last length
@wrong("half_length", says="the last length was given")
def last_length_for_never(lengths, exact):
    answer = half_by_walking(lengths, exact)
    return lengths[-1] if np.isinf(answer) else answer


# a curve that never falls gets None
@wrong("half_length", says="no `return`, or None")
def none_for_never(lengths, exact):
    answer = half_by_walking(lengths, exact)
    return None if np.isinf(answer) else answer


# a curve that never falls gets nan
@wrong("half_length", says="nan is 0/0, or stands for never")
def nan_for_never(lengths, exact):
    answer = half_by_walking(lengths, exact)
    return np.nan if np.isinf(answer) else answer


# argmax finds nothing and says 0
@wrong("half_length", says="argmax over no True is 0")
def argmax_finds_nothing(lengths, exact):
    k = int(np.argmax(exact < 0.5))
    if k == 0:
        return lengths[0]
    share = (exact[k - 1] - 0.5) / (exact[k - 1] - exact[k])
    return lengths[k - 1] + share * (lengths[k] - lengths[k - 1])


# a curve that starts below: the place before the first is the last
@wrong("half_length", says="there is no place before the first")
def start_below_wraps(lengths, exact):
    for k in range(len(exact)):
        if exact[k] < 0.5:
            share = (exact[k - 1] - 0.5) / (exact[k - 1] - exact[k])
            return lengths[k - 1] + share * (lengths[k] - lengths[k - 1])
    return np.inf


# a curve that starts below: a line from (0, 1)
@wrong("half_length", says="a point (0, 1) was put in front")
def start_below_from_length_zero(lengths, exact):
    return half_by_walking(np.r_[0, lengths], np.r_[1.0, exact])


# a curve that starts below is not looked at until it has risen
@wrong("half_length", says="a low start is none")
def start_below_ignored(lengths, exact):
    for k in range(1, len(exact)):
        if exact[k - 1] >= 0.5 > exact[k]:
            return half_by_walking(lengths[k - 1 :], exact[k - 1 :])
    return np.inf


# a rising curve crosses too
@wrong("half_length", says="a rising curve crosses one half, too")
def crossing_from_below(lengths, exact):
    for k in range(1, len(exact)):
        if (exact[k - 1] - 0.5) * (exact[k] - 0.5) < 0:
            share = (exact[k - 1] - 0.5) / (exact[k - 1] - exact[k])
            return lengths[k - 1] + share * (lengths[k] - lengths[k - 1])
    return lengths[0] if exact[0] < 0.5 else np.inf


# a sign that changes: a share of exactly one half hides the crossing
@wrong("half_length", says="one half itself does not count as below")
def exactly_half_hides_the_crossing(lengths, exact):
    if exact[0] < 0.5:
        return lengths[0]
    for k in range(1, len(exact)):
        if exact[k - 1] > 0.5 > exact[k]:
            return half_by_walking(lengths[k - 1 :], exact[k - 1 :])
    return np.inf


# reaching one half counts as falling below it
@wrong("half_length", says="one half itself does not count as below")
def reaching_counts_as_below(lengths, exact):
    if exact[0] <= 0.5:
        return lengths[0]
    for k in range(1, len(exact)):
        if exact[k] <= 0.5:
            share = (exact[k - 1] - 0.5) / (exact[k - 1] - exact[k])
            return lengths[k - 1] + share * (lengths[k] - lengths[k - 1])
    return np.inf


# the length whose share is nearest to one half
@wrong("half_length", says="measured length nearest to one half")
def nearest_to_half(lengths, exact):
    return lengths[np.argmin(np.abs(exact - 0.5))]


# one straight line through the whole curve
@wrong("half_length", says="one straight line was laid through all")
def one_line_through_all(lengths, exact):
    if exact[0] < 0.5:
        return lengths[0]
    if (exact >= 0.5).all():
        return np.inf
    slope, start = np.polyfit(lengths, exact, 1)
    return (0.5 - start) / slope


# rounded to a whole length
@wrong("half_length", says="it was rounded")
def rounded(lengths, exact):
    answer = half_by_walking(lengths, exact)
    return answer if np.isinf(answer) else round(answer)
