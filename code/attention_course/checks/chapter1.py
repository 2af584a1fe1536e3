"""Checks of Chapter 1's exercises: shifting, masking, encoding, decoding."""

from __future__ import annotations

import numpy

from attention_course.checks.core import Trial, exercise, np

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
            {"<eos> was put in front instead of <sos>": np.where(inputs == SOS, EOS, inputs)},
        )
        at_end = np.concatenate([tokens, np.full((rows, 1), EOS)], axis=1)
        got_out.equals(
            "the decoder is asked for the tokens, then <eos> directly after the last real one",
            targets,
            {
                "the target is what the decoder reads: a model that echoes has loss 0": inputs,
                "<eos> stands after the padding; put it where the first pad was": at_end,
            },
        )
