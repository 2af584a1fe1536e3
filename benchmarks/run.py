"""`make bench`: how much faster the course's code is than the textbook's, as ratios. NumPy, and the
decoder with additive attention and the Transformer in PyTorch.

Both are run alternately in one process, so that whatever else the machine does slows both alike;
the ratio is the median over the rounds. Both get the same weights and the same input, and equal
results are asserted before anything is timed. Nothing here is a test: no time is asserted.
"""

import os

# Read by NumPy and PyTorch when they are imported. Products as small as one step's get slower with
# two threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterable

import numpy as np
import torch
from corpus import ANSWER, WIDTH, Corpus, Pair
from textbook import AttentionOverTime, GRUStep, LSTMStep, OverTime
from textbook_model import TextbookAdam, TextbookModel, train_step
from torch_decoder import MODEL, torch_decoding, torch_training_step
from torch_transformer import MODEL as TRANSFORMER
from torch_transformer import transformer_training_steps

from attention_course.corpora.batching import Batch
from attention_course.decoding import greedy
from attention_course.pytorch.bahdanau import READOUTS
from attention_course.scratch.attention import Attention, StepwiseAttention
from attention_course.scratch.recurrent import GRU, LSTM
from attention_course.scratch.seq2seq import AttentionSeq2Seq
from attention_course.scratch.training import make_train_step

THREADS = os.environ["OMP_NUM_THREADS"]
B, S, D, H = 128, WIDTH, 16, 256  # a batch of dates, as wide as the textbook's model
TEXTBOOK = {LSTM: LSTMStep, GRU: GRUStep}
STATES = {LSTM: 2, GRU: 1}
DATES, SAMPLE, TOGETHER = 5000, 250, 250  # to decode; timed one by one; rows of a batch

Job = Callable[[], object]
Jobs = tuple[str, Job, Job]  # what, the slow way, the course's way


def training_step(corpus: Corpus, blanks: bool) -> Jobs:
    """One update on dates filled with blanks. Either both read them as characters, or the textbook
    reads them and throws the result away, and the course does not read them.
    """
    batch = corpus.wide(corpus.train[:B])
    lengths = None if blanks else batch.source_lengths
    if blanks:
        batch = batch._replace(source_lengths=np.full(B, WIDTH))
    for dtype, tolerance in ((np.float64, 1e-9), (np.float32, 1e-4)):
        course, book, ours, theirs = _both_sides(corpus, dtype, batch, lengths)
        np.testing.assert_allclose(ours(), theirs(), rtol=tolerance)
        assert_close(course.grads.values(), book.grads.values(), tolerance)
        # Adam divides by the gradient's size, so that float32 shows nothing: rounding is enlarged.
        if dtype is np.float64:
            assert_close(course.params.values(), book.params.values(), tolerance)
    padding = "29 wide" if blanks else "real lengths, textbook masks"
    return f"training step, {padding}", theirs, ours


def _both_sides(
    corpus: Corpus, dtype: type, batch: Batch, lengths: np.ndarray | None
) -> tuple[AttentionSeq2Seq, TextbookModel, Job, Job]:
    course = _model(corpus, dtype)
    book = TextbookModel(course.params)
    update, adam = make_train_step(course), TextbookAdam(book.params)

    def theirs() -> float:
        arrays = (batch.source, batch.target_in, batch.target_out)
        return train_step(book, adam, *arrays, lengths)

    return course, book, lambda: update(batch), theirs


def decoding(corpus: Corpus, blanks: bool) -> Jobs:
    """One date after the other, and in batches of similar length; blanks as in `training_step`."""
    model = _model(corpus)
    # It is untrained. Larger weights make it say different things; and like a trained one, which
    # says ten characters and eos, it must not end a date early.
    for param in model.params.values():
        param *= 3
    model.params["decoder.readout.bias"][corpus.target_vocab.eos] = -1e3
    book = TextbookModel(model.params)
    pairs = corpus.test[:DATES]

    def one_by_one() -> list[list[int]]:
        batch, answers = corpus.wide(pairs[:SAMPLE]), []
        for row in range(SAMPLE):
            one = slice(row, row + 1)
            lengths = None if blanks else batch.source_lengths[one]
            said = book.generate(batch.source[one], corpus.target_vocab.sos, ANSWER, lengths)
            answers.append(said[0].tolist())
        return answers

    def together() -> list[list[int]]:
        return in_batches(model, corpus, pairs, blanks)

    assert one_by_one() == together()[:SAMPLE]
    padding = "29 wide" if blanks else "real lengths, textbook masks"
    return f"decoding {DATES} dates, {padding}", one_by_one, together


def in_batches(
    model: AttentionSeq2Seq, corpus: Corpus, pairs: list[Pair], blanks: bool
) -> list[list[int]]:
    """The answers in the order of `pairs`, decoded in the order of their lengths."""
    order = sorted(range(len(pairs)), key=lambda row: len(pairs[row][0]))
    answers: list[list[int]] = [[] for _ in pairs]
    for start in range(0, len(pairs), TOGETHER):
        rows = order[start : start + TOGETHER]
        batch = (corpus.wide if blanks else corpus.batch)([pairs[row] for row in rows])
        lengths = np.full(len(rows), WIDTH) if blanks else batch.source_lengths
        state = model.start(batch.source, lengths)
        sos, eos = corpus.target_vocab.sos, corpus.target_vocab.eos
        said = greedy(model.step, state, len(rows), sos, eos, ANSWER)
        for row, answer in zip(rows, said, strict=True):
            answers[row] = answer
    return answers


def _model(corpus: Corpus, dtype: type = np.float32) -> AttentionSeq2Seq:
    vocab_sizes = (len(corpus.source_vocab), len(corpus.target_vocab))
    return AttentionSeq2Seq(*vocab_sizes, D, H, cell="lstm", dtype=dtype)


def attention() -> Iterable[Jobs]:
    """Dot attention over time, forward and backward: two loops against one product."""
    rng = np.random.default_rng(0)
    queries, dcontexts = rng.standard_normal((2, B, ANSWER, H), dtype=np.float32)
    states = rng.standard_normal((B, S, H), dtype=np.float32) / H**0.5
    book = AttentionOverTime()

    def textbook() -> list[np.ndarray]:
        return [book.forward(states, queries, None), *book.backward(dcontexts)]

    def course(layer: Attention) -> list[np.ndarray]:
        context, _ = layer.forward(queries, states, states)
        dquery, dkey, dvalue = layer.backward(dcontexts)
        return [context, dkey + dvalue, dquery]

    layers = Attention(), StepwiseAttention()
    at_once, step_by_step = (lambda layer=layer: course(layer) for layer in layers)
    for whose, loop in (("textbook's", textbook), ("course's own", step_by_step)):
        assert_close(at_once(), loop(), 1e-4)
        yield f"attention forward + backward, {whose} loop", loop, at_once


def recurrent(kind: type[LSTM] | type[GRU], ragged: bool) -> Jobs:
    """Forward and backward over a batch, all of it real or 29 at most and half of it real."""
    rng = np.random.default_rng(0)
    layer = kind(D, H)
    book = OverTime(TEXTBOOK[kind], list(layer.params.values()))
    inputs = rng.standard_normal((B, S, D), dtype=np.float32)
    doutputs = rng.standard_normal((B, S, H), dtype=np.float32)
    lengths = rng.integers(1, S, B, endpoint=True) if ragged else None
    state = tuple(np.zeros((B, H), np.float32) for _ in range(STATES[kind]))

    def ours() -> list[np.ndarray]:
        outputs, final = layer.forward(inputs, lengths, state)
        dinputs, dinitial = layer.backward(doutputs, state)
        return [outputs, *final, dinputs, *dinitial, *layer.grads.values()]

    def theirs() -> list[np.ndarray]:
        outputs, final = book.forward(inputs, lengths, state)
        dinputs, dinitial, grads = book.backward(doutputs, state)
        return [outputs, *final, dinputs, *dinitial, *grads]

    assert_close(ours(), theirs(), 1e-4)
    padding = "lengths 1–29, textbook masks" if ragged else "all 29 long"
    return f"{kind.__name__} forward + backward, {padding}", theirs, ours


def assert_close(
    ours: Iterable[np.ndarray], theirs: Iterable[np.ndarray], tolerance: float
) -> None:
    """Equal up to `tolerance`, relative to the largest number of each array."""
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype == other.dtype
        np.testing.assert_allclose(mine, other, rtol=0, atol=tolerance * np.abs(other).max())


def compare(slow: Job, fast: Job, rounds: int, scale: float = 1) -> tuple[float, float, float]:
    """Median milliseconds of both, and the median of the ratios of neighbouring runs."""
    times = [(scale * milliseconds(slow), milliseconds(fast)) for _ in range(rounds)]
    first, second = zip(*times)
    ratio = statistics.median(a / b for a, b in times)
    return statistics.median(first), statistics.median(second), ratio


def milliseconds(function: Job) -> float:
    # With one thread, time of the processor: what other programs take does not count.
    clock = time.process_time if THREADS == "1" else time.perf_counter
    start = clock()
    function()
    return 1000 * (clock() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="runs of each side (default 9)")
    rounds = parser.parse_args().rounds
    print(
        f"LSTM {H}, embedding {D}, batch {B}, {S} × {ANSWER}, float32; OMP_NUM_THREADS={THREADS}, "
        f"{os.cpu_count()} cores; Python {platform.python_version()}, NumPy {np.__version__}"
    )
    print(f"{'':56}{'the loop':>12}{'course':>12}{'ratio':>9}", flush=True)

    def show(what: str, slow: Job, fast: Job, rounds: int = rounds, scale: float = 1) -> None:
        before, after, ratio = compare(slow, fast, rounds, scale)
        print(f"{what:56}{before:9.1f} ms{after:9.1f} ms{ratio:8.2f}×", flush=True)

    corpus = Corpus.load()
    for blanks in (True, False):
        show(*training_step(corpus, blanks))
    for blanks in (True, False):  # long enough: fewer rounds
        show(*decoding(corpus, blanks), rounds=(rounds + 2) // 3, scale=DATES / SAMPLE)
    for jobs in attention():
        show(*jobs)
    for kind in (LSTM, GRU):
        for ragged in (False, True):
            show(*recurrent(kind, ragged))
    print(f"one by one: {SAMPLE} dates are timed, and the time multiplied by {DATES // SAMPLE}")
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} thread(s): {MODEL}", flush=True)
    for readout in READOUTS:
        for ragged in (False, True):
            show(*torch_training_step(readout, ragged), rounds=(rounds + 1) // 2)
    show(*torch_decoding(), rounds=(rounds + 2) // 3)
    print(TRANSFORMER, flush=True)
    for jobs in transformer_training_steps():
        show(*jobs)

    import keras_decoder  # here, since it loads TensorFlow and sets its threads before

    print(f"Keras: {keras_decoder.MODEL}", flush=True)
    for jobs in keras_decoder.keras_training_steps():
        show(*jobs, rounds=(rounds + 1) // 2)


if __name__ == "__main__":
    main()
