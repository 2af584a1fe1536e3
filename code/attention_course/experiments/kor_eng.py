"""The real thing, small: Luong attention on 3,800 English–Korean sentence pairs of Tatoeba.

Korean is cut into words (what stands between spaces, 어절; punctuation apart) or into syllables,
spaces included. No morphological analyser is needed for either. Beside the models: the Korean of
the nearest training sentence, which no one has trained.

The corpus is not ours to ship: it is fetched, or read from `ATTENTION_COURSE_DATA`. A record holds
`SHOWN` test pairs, each with the attribution that its licence (CC BY 2.0 FR) asks for.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from attention_course.corpora.anki import AnkiPair, load_anki, split_by_source
from attention_course.corpora.batching import bucketed_batches, make_batch
from attention_course.corpora.tokenizers import (
    join_characters,
    tokenize_characters,
    tokenize_words,
)
from attention_course.corpora.vocabulary import Vocabulary
from attention_course.experiments import translating
from attention_course.experiments.runner import Outcome
from attention_course.experiments.translating import count_parameters
from attention_course.metrics import bleu, chrf, exact_match
from attention_course.pytorch.luong import LuongSeq2Seq
from attention_course.pytorch.seq2seq import Seq2Seq
from attention_course.pytorch.training import batch_loss, make_train_step
from attention_course.results import Settings
from attention_course.schedules import linear_schedule
from attention_course.training import fit

TOLD_APART_BY = ("model", "seed")
SEEDS = (0, 1, 2)
SHOWN = 10  # test sentences whose translations are recorded

Tokens = list[str]
Vocabularies = tuple[Vocabulary, Vocabulary]
Split = tuple[list[AnkiPair], list[AnkiPair], list[AnkiPair]]


def join_words(tokens: Sequence[str]) -> str:
    """Text of tokens as `tokenize_words` returns them, spaced as Korean is printed.

    Double quotes are taken to open and close in turn. Other spaces are not known any more: "3:30"
    comes back as "3: 30".
    """
    text = re.sub(r"(?<=\() | (?=[.,!?:%)…])", "", " ".join(tokens))
    return re.sub(r'" ([^"]*) "', r'"\1"', text)


class Unit(NamedTuple):
    """How a Korean text becomes tokens, and a text again."""

    cut: Callable[[str], Tokens]
    join: Callable[[Sequence[str]], str]


UNITS = {
    "word": Unit(tokenize_words, join_words),
    "syllable": Unit(tokenize_characters, join_characters),
}


def settings() -> list[Settings]:
    """Each unit with each seed, two to four minutes a run on one core; and the baselines."""
    fixed = {"split_seed": 0, "longest_source": 20, "longest_target": 60}
    trained = {
        "epochs": 32,
        "batch_size": 64,
        "learning_rate": 5e-3,
        "warmup": 50,
        "dropout": 0.3,
        "max_norm": 1.0,
        "evaluate_every": 4,
        "min_count": 2,
        "sizes": {"embed_size": 128, "hidden_size": 160},
    }
    runs = [{"model": unit, "seed": seed, **trained} for unit in UNITS for seed in SEEDS]
    return [run | {"fixed": fixed} for run in [*runs, {"model": "nearest", "seed": 0}]]


def run(settings: Settings) -> Outcome:
    """Train and watch the validation set; look at the test set once, at the end."""
    corpus = load_anki("kor")
    parts = split_by_source(corpus.pairs, settings["fixed"]["split_seed"])
    metrics: dict[str, Any] = {"hash": corpus.hash, "pairs": [len(part) for part in parts]}
    if settings["model"] == "nearest":
        return Outcome(metrics | baselines(corpus.pairs, parts), by_pairs(parts))
    unit = UNITS[settings["model"]]
    vocabularies, train = prepare(parts[0], unit, settings)
    model = build(vocabularies, settings)
    curve = learn(model, train, parts[1], vocabularies, unit, settings)
    metrics |= {
        "trained_on": len(train),
        "vocabularies": list(map(len, vocabularies)),
        "parameters": count_parameters(model),
        "unknown": unknown_shares(parts[2], vocabularies, unit),
    }
    longest = settings["fixed"]["longest_target"]
    for name, part in zip(("train", "validation", "test"), parts, strict=True):
        said = translate(model, part, vocabularies, unit, longest)
        metrics[name] = score(said, part)
    metrics["test_new"] = score_new(said, part, parts[0])
    # Each answer to its neighbour in the file, whose sentence is about as long.
    metrics["test_shuffled"] = score([*said[1:], said[0]], part)
    metrics["examples"] = examples(part, said)
    return Outcome(metrics, curve)


def prepare(
    train: Sequence[AnkiPair], unit: Unit, settings: Settings
) -> tuple[Vocabularies, list[tuple[list[int], list[int]]]]:
    """Vocabularies of the training pairs, and those of the pairs that are short enough, as ids."""
    tokens = [(tokenize_words(p.english, lower=True), unit.cut(p.other)) for p in train]
    source, target = (
        Vocabulary.from_sequences(side, min_count=settings["min_count"]) for side in zip(*tokens)
    )
    limits = settings["fixed"]["longest_source"], settings["fixed"]["longest_target"]
    short = [(s, t) for s, t in tokens if len(s) <= limits[0] and len(t) <= limits[1]]
    return (source, target), [(source.encode(s), target.encode(t)) for s, t in short]


def build(vocabularies: Vocabularies, settings: Settings) -> Seq2Seq:
    """Luong's decoder, additive score and input feeding, behind a bidirectional encoder."""
    torch.manual_seed(settings["seed"])  # for dropout
    return LuongSeq2Seq(
        *map(len, vocabularies),
        **settings["sizes"],
        **{"cell": "gru", "bidirectional": True, "score": "additive", "input_feeding": True},
        seed=settings["seed"],
        dropout=settings["dropout"],
    )


def learn(
    model: Seq2Seq,
    train: Sequence[tuple[list[int], list[int]]],
    validation: Sequence[AnkiPair],
    vocabularies: Vocabularies,
    unit: Unit,
    settings: Settings,
) -> list[dict[str, Any]]:
    """The run's epochs; what was seen after every few of them."""
    an_epoch = -(-len(train) // settings["batch_size"])
    steps, every = settings["epochs"] * an_epoch, settings["evaluate_every"]
    rate = linear_schedule(settings["learning_rate"], steps, settings["warmup"])
    batches = bucketed_batches(train, settings["batch_size"], *vocabularies, settings["seed"])
    longest = settings["fixed"]["longest_target"]

    def look() -> dict[str, float]:
        said = translate(model, validation, vocabularies, unit, longest)
        loss = validation_loss(model, validation, vocabularies, unit)
        seen = score(said, validation)
        return {"validation_loss": loss} | {name: seen[name] for name in ("exact", "bleu", "chrf")}

    train_step = make_train_step(model, rate, settings["max_norm"])
    history = fit(train_step, batches, steps, look, evaluate_every=every * an_epoch)
    means = np.reshape(history.losses, (-1, every * an_epoch)).mean(axis=1)
    return [
        {"epoch": step // an_epoch, "step": step, "loss": round(float(loss), 4)} | seen
        for (step, seen), loss in zip(history.evaluations, means, strict=True)
    ]


def validation_loss(
    model: Seq2Seq, pairs: Sequence[AnkiPair], vocabularies: Vocabularies, unit: Unit
) -> float:
    """Nats a token under teacher forcing, over all real tokens; nothing is dropped out."""
    source, target = vocabularies
    model.eval()
    total = tokens = 0.0
    for start in range(0, len(pairs), 100):
        part = pairs[start : start + 100]
        ids = [source.encode(tokenize_words(pair.english, lower=True)) for pair in part]
        right = [target.encode(unit.cut(pair.other)) for pair in part]
        batch = make_batch(ids, right, *vocabularies)
        count = int(batch.target_lengths.sum())
        with torch.no_grad():
            total += batch_loss(model, batch).item() * count
        tokens += count
    return round(total / tokens, 4)


def translate(
    model: Seq2Seq,
    pairs: Sequence[AnkiPair],
    vocabularies: Vocabularies,
    unit: Unit,
    longest: int,
) -> list[str]:
    """Greedy translations of the English of each pair, of at most `longest` tokens, as texts."""
    sources = [tokenize_words(pair.english, lower=True) for pair in pairs]
    said = translating.translate(model, sources, *vocabularies, longest=longest)
    return [unit.join(tokens) for tokens in said]


def score(said: Sequence[str], pairs: Sequence[AnkiPair]) -> dict[str, Any]:
    """Exact match (a share), BLEU on words and chrF (both up to 100), of texts; signatures.

    `<unk>` is left out of what was said: spelled, it would be five wrong letters.
    """
    right = [join_characters(tokenize_characters(pair.other)) for pair in pairs]  # composed
    said = [re.sub(r" ?<unk>", "", text).strip() for text in said]
    words, letters = bleu(said, right), chrf(said, right)
    return {
        "exact": round(exact_match(list(said), right), 4),
        "bleu": round(words.value, 2),
        "chrf": round(letters.value, 2),
        "signatures": [words.signature, letters.signature],
    }


def score_new(
    said: Sequence[str], pairs: Sequence[AnkiPair], train: Sequence[AnkiPair]
) -> dict[str, Any]:
    """The score of those pairs whose Korean does not stand in training, under other English."""
    known = {pair.other for pair in train}
    rows = [(text, pair) for text, pair in zip(said, pairs, strict=True) if pair.other not in known]
    return score(*zip(*rows)) | {"rows": len(rows)}


def unknown_shares(
    pairs: Sequence[AnkiPair], vocabularies: Vocabularies, unit: Unit
) -> list[float]:
    """Shares of the English and the Korean tokens of the pairs that are not in the vocabulary."""
    english = [token for pair in pairs for token in tokenize_words(pair.english, lower=True)]
    korean = [token for pair in pairs for token in unit.cut(pair.other)]
    sides = zip((english, korean), vocabularies)
    return [round(sum(t not in known for t in side) / len(side), 4) for side, known in sides]


def examples(pairs: Sequence[AnkiPair], said: Sequence[Any]) -> list[list[Any]]:
    """`SHOWN` pairs, drawn and not chosen, in the order of the file: the three columns of the pair
    and what was said.
    """
    drawn = np.random.default_rng(0).permutation(len(pairs))[:SHOWN]
    return [[*pairs[row], said[row]] for row in sorted(drawn.tolist())]


def baselines(pairs: Sequence[AnkiPair], parts: Split) -> dict[str, Any]:
    """What is to be had without translating, and what a split by row would have hidden."""
    train, validation, test = parts
    found = nearest(train, test)
    usual = max(sorted({p.other for p in train}), key=[p.other for p in train].count)
    return {
        "validation": score([pair.other for pair in nearest(train, validation)], validation),
        "test": score([pair.other for pair in found], test),
        "test_new": score_new([pair.other for pair in found], test, train),
        "test_constant": score([usual] * len(test), test),
        "examples": examples(test, [[p.other, p.attribution, p.english] for p in found]),
        "corpus": corpus_facts(pairs, parts),
        "by_row": by_row(pairs, len(test)),
    }


def by_row(pairs: Sequence[AnkiPair], size: int) -> dict[str, Any]:
    """The nearest sentence after a split by row: on all test rows, and on those whose English
    stands in training and those whose English does not.
    """
    train, test = shuffled_split(pairs, size)
    known, found = {pair.english for pair in train}, nearest(train, test)
    rows = list(zip([pair.other for pair in found], test, strict=True))
    seen = [row for row in rows if row[1].english in known]
    new = [row for row in rows if row[1].english not in known]
    scores = {name: score(*zip(*part)) for name, part in (("seen", seen), ("new", new))}
    return {"share": round(len(seen) / size, 4), "test": score(*zip(*rows))} | scores


def by_pairs(parts: Split) -> list[dict[str, Any]]:
    """How the nearest sentence gets nearer: validation, by the number of training pairs.

    They are shuffled first: the file's first pairs are its shortest.
    """
    train, validation, _ = parts
    shuffled = [train[row] for row in np.random.default_rng(0).permutation(len(train))]
    curve = []
    for count in (250, 500, 1000, 2000, len(train)):
        seen = score([p.other for p in nearest(shuffled[:count], validation)], validation)
        curve.append({"step": count} | {name: seen[name] for name in ("exact", "bleu", "chrf")})
    return curve


def nearest(train: Sequence[AnkiPair], pairs: Sequence[AnkiPair]) -> list[AnkiPair]:
    """For each pair, the training pair whose English shares most words with its English.

    Shares: words in common over words in either (Jaccard). Of equals, the first in `train`.
    """
    known = [set(tokenize_words(pair.english, lower=True)) for pair in train]
    found = []
    for pair in pairs:
        words = set(tokenize_words(pair.english, lower=True))
        shares = [len(words & other) / len(words | other) for other in known]
        found.append(train[int(np.argmax(shares))])
    return found


def shuffled_split(
    pairs: Sequence[AnkiPair], size: int, seed: int = 0
) -> tuple[list[AnkiPair], list[AnkiPair]]:
    """(train, test) by row, as one should NOT split: the rows of one sentence go to both sides."""
    order = np.random.default_rng(seed).permutation(len(pairs)).tolist()
    return [pairs[row] for row in order[size:]], [pairs[row] for row in order[:size]]


def shared_sources(train: Sequence[AnkiPair], test: Sequence[AnkiPair]) -> float:
    """Share of the test rows whose English stands in training too."""
    known = {pair.english for pair in train}
    return round(sum(pair.english in known for pair in test) / len(test), 4)


def corpus_facts(pairs: Sequence[AnkiPair], parts: Split) -> dict[str, Any]:
    """Counts of the whole file: what a page may say about it without having it."""
    korean = {pair.other for pair in parts[0]}
    counts = [len(tokenize_words(pair.english)) for pair in pairs]
    tenth = len(pairs) // 10
    return {
        "pairs": len(pairs),
        "english": len({pair.english for pair in pairs}),
        "rows_each": rows_each(pairs),
        "seen_by_source": shared_sources(parts[0], parts[2]),
        "korean_seen": round(sum(p.other in korean for p in parts[2]) / len(parts[2]), 4),
        "english_words": {"all": round(float(np.mean(counts)), 2)}
        | {"first tenth": round(float(np.mean(counts[:tenth])), 2)}
        | {"last tenth": round(float(np.mean(counts[-tenth:])), 2), "longest": max(counts)},
        "joined_again": {
            name: round(np.mean([u.join(u.cut(p.other)) == p.other for p in pairs]).item(), 4)
            for name, u in UNITS.items()
        },
    }


def rows_each(pairs: Sequence[AnkiPair]) -> dict[str, int]:
    """How many English sentences have one row, two rows, and so on."""
    counts = Counter(Counter(pair.english for pair in pairs).values())
    return {str(rows): counts[rows] for rows in sorted(counts)}
