"""Answers to the exercises of Chapter 1."""

import numpy as np

from proofs import right, wrong


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
