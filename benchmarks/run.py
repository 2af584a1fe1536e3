"""`make bench`: how much faster the course's code is than the textbook's, as ratios.

Both are run alternately in one process, so that whatever else the machine does slows both alike;
the ratio is the median over the rounds. Equal results are asserted before anything is timed.
Nothing here is a test: no time is asserted.
"""

import os

# NumPy reads this when it is imported. Products as small as one step's get slower with two threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from textbook import GRUStep, LSTMStep, OverTime

from attention_course.decoding import greedy
from attention_course.scratch.recurrent import GRU, LSTM
from attention_course.scratch.seq2seq import Seq2Seq

B, S, D, H = 128, 29, 16, 256  # a batch of dates: 29 characters, as wide as the course's models
VOCAB_SIZE = 60
ANSWER = 11
TEXTBOOK = {LSTM: LSTMStep, GRU: GRUStep}
STATES = {LSTM: 2, GRU: 1}

Row = tuple[str, float, float, float]  # what, textbook ms, ours ms, ratio


def recurrent_row(kind: type[LSTM] | type[GRU], ragged: bool, rounds: int) -> Row:
    """Forward and backward over a batch, all of it real or 29 at most and half of it real."""
    rng = np.random.default_rng(0)
    layer = kind(D, H)
    book = OverTime(TEXTBOOK[kind], list(layer.params.values()))
    inputs = rng.standard_normal((B, S, D), dtype=np.float32)
    doutputs = rng.standard_normal((B, S, H), dtype=np.float32)
    lengths = rng.integers(1, S, B, endpoint=True) if ragged else np.full(B, S)
    state = tuple(np.zeros((B, H), np.float32) for _ in range(STATES[kind]))

    def ours() -> list[np.ndarray]:
        outputs, final = layer.forward(inputs, lengths, state)
        dinputs, dinitial = layer.backward(doutputs, state)
        return [outputs, *final, dinputs, *dinitial, *layer.grads.values()]

    def theirs() -> list[np.ndarray]:
        outputs, final = book.forward(inputs, lengths, state)
        dinputs, dinitial, grads = book.backward(doutputs, state)
        return [outputs, *final, dinputs, *dinitial, *grads]

    for mine, other in zip(ours(), theirs(), strict=True):
        assert mine.dtype == other.dtype == np.float32
        np.testing.assert_allclose(mine, other, atol=1e-4 * np.abs(other).max())
    what = f"{kind.__name__} forward + backward, " + ("lengths 1–29" if ragged else "all 29 long")
    return what, *compare(theirs, ours, rounds)


def decoding_row(rounds: int) -> Row:
    """128 answers of 11 tokens: one sentence after the other against all at once."""
    rng = np.random.default_rng(0)
    model = Seq2Seq(VOCAB_SIZE, VOCAB_SIZE, D, H, cell="lstm")
    model.params["decoder.readout.bias"][2] = -1e3  # no eos, so that every answer has 11 tokens
    source, lengths = rng.integers(0, VOCAB_SIZE, (B, S)), rng.integers(1, S, B, endpoint=True)

    def one_by_one() -> list[list[int]]:
        answers = []
        for row, length in enumerate(lengths):
            state = model.start(source[row : row + 1, :length], lengths[row : row + 1])
            answers += greedy(model.step, state, 1, sos=1, eos=2, max_length=ANSWER)
        return answers

    def together() -> list[list[int]]:
        return greedy(model.step, model.start(source, lengths), B, 1, 2, ANSWER)

    assert one_by_one() == together()
    return "greedy decoding of 128 sentences, batched", *compare(
        one_by_one, together, (rounds + 2) // 3
    )


def compare(
    theirs: Callable[[], object], ours: Callable[[], object], rounds: int
) -> tuple[float, float, float]:
    """Median milliseconds of both, and the median of the ratios of neighbouring runs."""
    times: list[tuple[float, float]] = []
    for _ in range(rounds):
        times.append((milliseconds(theirs), milliseconds(ours)))
    first, second = zip(*times)
    ratio = statistics.median(a / b for a, b in times)
    return statistics.median(first), statistics.median(second), ratio


def milliseconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="runs of each side (default 9)")
    rounds = parser.parse_args().rounds
    print(
        f"batch {B}, {S} steps, {D} → {H} numbers, float32; OMP_NUM_THREADS="
        f"{os.environ['OMP_NUM_THREADS']} of {os.cpu_count()} cores; Python "
        f"{platform.python_version()}, NumPy {np.__version__}"
    )
    print(f"{'':45}{'textbook':>12}{'course':>12}{'ratio':>9}", flush=True)
    jobs = [
        lambda kind=kind, ragged=ragged: recurrent_row(kind, ragged, rounds)
        for kind in (LSTM, GRU)
        for ragged in (False, True)
    ]
    for job in [*jobs, lambda: decoding_row(rounds)]:
        what, theirs, ours, ratio = job()
        print(f"{what:45}{theirs:9.1f} ms{ours:9.1f} ms{ratio:8.2f}×", flush=True)


if __name__ == "__main__":
    sys.exit(main())
