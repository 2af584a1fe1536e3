"""`make race`: training seconds until 99 % of unseen dates are right, the textbook's way and ours.

The textbook's way: LSTM 256, batches of 128, Adam at 1e-3, weights from N(0, 1) as it scales them,
the source turned round and filled with blanks, which are read. Ours: a quarter of the width, small
batches of similar length, real tokens only, a higher learning rate that is warmed up and then goes
down to 0. Both learn this course's dates, in NumPy, on one thread; only updates are timed, in
seconds of the processor. Each run is one JSON in benchmarks/results; one that is there with today's
settings is not run again.
"""

import os

# NumPy reads these when it is imported.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import numpy as np
from corpus import ANSWER, Corpus
from textbook_model import TextbookAdam, TextbookModel, train_step

from attention_course.corpora.batching import bucketed_batches
from attention_course.decoding import greedy
from attention_course.experiments.runner import write_whole
from attention_course.metrics import exact_match
from attention_course.schedules import linear_schedule
from attention_course.scratch.seq2seq import AttentionSeq2Seq
from attention_course.scratch.training import make_train_step

RESULTS = Path(__file__).parent / "results"
SEEDS = (0, 1, 2)
GOAL = 0.99  # at two evaluations in a row; the first of them is the time
TESTED = 500  # validation dates, none of which is in the training set in any format

Settings = dict[str, Any]
SETTINGS: dict[str, Settings] = {
    "course": {
        "hidden_size": 64,
        "embed_size": 16,
        "batch_size": 32,
        "learning_rate": 8e-3,
        "warmup": 100,
        "max_norm": 5.0,
        "steps": 2000,
        "evaluate_every": 50,
    },
    "textbook": {
        "pairs": 45_000,
        "hidden_size": 256,
        "embed_size": 16,
        "batch_size": 128,
        "learning_rate": 1e-3,
        "max_norm": 5.0,
        "steps": 8 * 351,
        "evaluate_every": 44,  # an eighth of an epoch
    },
}


class Side(NamedTuple):
    """What the race asks of a competitor."""

    update: Callable[[], float]  # one batch; the loss
    exact: Callable[[], float]  # share of the tested dates that are right


def course(corpus: Corpus, settings: Settings, seed: int) -> Side:
    """AttentionSeq2Seq of `scratch`, trained as in the experiment `dates_attention`."""
    vocabs = (corpus.source_vocab, corpus.target_vocab)
    sizes = (*map(len, vocabs), settings["embed_size"], settings["hidden_size"])
    model = AttentionSeq2Seq(*sizes, cell="lstm", seed=seed)
    rate = linear_schedule(settings["learning_rate"], settings["steps"], settings["warmup"])
    train = make_train_step(model, rate, settings["max_norm"])
    batches = bucketed_batches(corpus.train, settings["batch_size"], *vocabs, seed=1000 + seed)
    pairs = corpus.validation[:TESTED]
    tested = corpus.batch(pairs)

    def exact() -> float:
        state = model.start(tested.source, tested.source_lengths)
        said = greedy(model.step, state, TESTED, vocabs[1].sos, vocabs[1].eos, ANSWER)
        return exact_match(said, [target for _, target in pairs])

    return Side(lambda: train(next(batches)), exact)


def textbook(corpus: Corpus, settings: Settings, seed: int) -> Side:
    """The model of textbook_model.py with the textbook's weights, batches and reading."""
    rng = np.random.default_rng(seed)
    model = TextbookModel(_textbook_weights(corpus, settings, rng))
    adam = TextbookAdam(model.params, settings["learning_rate"])
    batch = corpus.wide(corpus.train[: settings["pairs"]])
    tested = corpus.wide(corpus.validation[:TESTED])
    reversed_source = batch.source[:, ::-1].copy()
    rows = _shuffled_rows(len(reversed_source), settings["batch_size"], rng)

    def update() -> float:
        chosen = next(rows)
        arrays = (reversed_source[chosen], batch.target_in[chosen], batch.target_out[chosen])
        return float(train_step(model, adam, *arrays, max_norm=settings["max_norm"]))

    def exact() -> float:
        said = model.generate(tested.source[:, ::-1], corpus.target_vocab.sos, ANSWER)
        return float((said == tested.target_out).all(axis=1).mean())

    return Side(update, exact)


def _textbook_weights(
    corpus: Corpus, settings: Settings, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """N(0, 1), times 0.01 for embeddings and 1/√(inputs) for other weights; biases 0."""
    vocab_sizes = (len(corpus.source_vocab), len(corpus.target_vocab))
    model = AttentionSeq2Seq(*vocab_sizes, settings["embed_size"], settings["hidden_size"])
    weights = {}
    for name, param in model.params.items():
        scale = 0.01 if "embedding" in name else len(param) ** -0.5 if param.ndim == 2 else 0
        weights[name] = (scale * rng.standard_normal(param.shape)).astype(np.float32)
    return weights


def _shuffled_rows(count: int, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Row numbers (`batch_size`,), in a new order every epoch; an incomplete last batch is left."""
    while True:
        order = rng.permutation(count)
        for start in range(0, count - batch_size + 1, batch_size):
            yield order[start : start + batch_size]


SIDES = {"course": course, "textbook": textbook}


def run(side: Side, settings: Settings) -> list[dict[str, float]]:
    """Train until the goal is reached twice or the steps are used up; one entry an evaluation."""
    curve: list[dict[str, float]] = []
    cpu = wall = 0.0
    for step in range(1, settings["steps"] + 1):
        cpu_start, wall_start = time.process_time(), time.perf_counter()
        loss = side.update()
        cpu += time.process_time() - cpu_start
        wall += time.perf_counter() - wall_start
        if step % settings["evaluate_every"] == 0 or step == settings["steps"]:
            seconds = {"cpu_seconds": round(cpu, 2), "wall_seconds": round(wall, 2)}
            curve.append({"step": step, "loss": round(loss, 4), "exact": side.exact(), **seconds})
            print(curve[-1], flush=True)
            if reached(curve):
                break
    return curve


def reached(curve: list[dict[str, float]]) -> dict[str, float] | None:
    """The first of two evaluations in a row that reach the goal."""
    for first, second in pairwise(curve):
        if min(first["exact"], second["exact"]) >= GOAL:
            return first
    return None


def path_of(name: str, seed: int) -> Path:
    return RESULTS / f"{name}-{seed}.json"


def is_recorded(name: str, seed: int) -> bool:
    path = path_of(name, seed)
    return path.exists() and json.loads(path.read_text())["settings"] == SETTINGS[name]


def record(name: str, seed: int, corpus: Corpus) -> None:
    """One run into one file, which appears whole or not at all."""
    print(f"{name}, seed {seed}", flush=True)
    settings = SETTINGS[name]
    result = {
        "side": name,
        "seed": seed,
        "settings": settings,
        "machine": f"{platform.system()} {platform.machine()}, one thread",
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        "curve": run(SIDES[name](corpus, settings, seed), settings),
    }
    text = json.dumps(result, indent=1) + "\n"
    write_whole(path_of(name, seed), text.encode("utf-8"))


def show() -> None:
    """A row for each recorded run, and the ratio of the mean times."""
    print(f"{'until 99 % of unseen dates are right':38}{'updates':>9}{'CPU':>10}{'wall':>10}")
    seconds: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for name in SETTINGS:
        for seed in filter(lambda seed: is_recorded(name, seed), SEEDS):
            curve = json.loads(path_of(name, seed).read_text())["curve"]
            point = reached(curve) or curve[-1]
            seconds[name].append(point["cpu_seconds"])
            note = "" if reached(curve) else f", only {point['exact']:.1%}"
            times = f"{point['cpu_seconds']:8.1f} s{point['wall_seconds']:8.1f} s"
            print(f"{f'{name}, seed {seed}{note}':38}{point['step']:9}{times}")
    if all(seconds.values()):
        ratio = mean(seconds["textbook"]) / mean(seconds["course"])
        print(f"CPU seconds, textbook / course: {ratio:.0f}×")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--show", action="store_true", help="print what is recorded, run nothing")
    todo = [(name, seed) for seed in SEEDS for name in SETTINGS if not is_recorded(name, seed)]
    if not parser.parse_args().show and todo:
        corpus = Corpus.load()
        for name, seed in todo:
            record(name, seed, corpus)
    show()


if __name__ == "__main__":
    main()
