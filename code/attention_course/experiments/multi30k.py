"""A real corpus: Bahdanau attention on Multi30k, English to French, 29,000 captions of photographs.

The corpus is not ours to ship: it is fetched, or read from `ATTENTION_COURSE_DATA`.
"""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn

from attention_course.corpora.batching import bucketed_batches
from attention_course.corpora.downloads import cache_folder
from attention_course.corpora.multi30k import load_multi30k
from attention_course.corpora.tokenizers import join_french, tokenize_french, tokenize_words
from attention_course.corpora.vocabulary import Vocabulary
from attention_course.experiments.runner import Outcome, write_whole
from attention_course.experiments.translating import count_parameters, source_batch, translate
from attention_course.metrics import bleu
from attention_course.pytorch.bahdanau import BahdanauSeq2Seq
from attention_course.pytorch.training import make_train_step
from attention_course.pytorch.weights import from_arrays, to_arrays
from attention_course.results import Settings, settings_hash
from attention_course.schedules import linear_schedule
from attention_course.training import fit

TOLD_APART_BY = ("seed",)
SHOWN = 8  # sentences whose translations are recorded

Texts = tuple[str, str]  # a sentence and its translation
Tokens = tuple[list[str], list[str]]
Vocabularies = tuple[Vocabulary, Vocabulary]


def settings() -> list[Settings]:
    """One run: one to two hours on one core."""
    return [
        {
            "seed": 0,
            "epochs": 10,
            "batch_size": 64,
            "learning_rate": 1.5e-3,
            "warmup": 400,
            "dropout": 0.3,
            "max_norm": 1.0,
            "min_count": 2,
            "beam_size": 5,
            "fixed": {"embed_size": 256, "hidden_size": 320, "readout": "maxout"},
        }
    ]


def run(settings: Settings) -> Outcome:
    """Bahdanau's decoder."""
    return train_and_test(BahdanauSeq2Seq, settings)


def train_and_test(kind: type[nn.Module], settings: Settings) -> Outcome:
    """Train, look at the validation set after each epoch, at the 2016 test set once, at the end.

    `kind` is called with the sizes of both vocabularies and the settings' `fixed`.
    """
    train, validation, test = load_multi30k("en", "fr")
    tokens = [tokenized(pair) for pair in train]
    vocabularies = tuple(
        Vocabulary.from_sequences(side, min_count=settings["min_count"]) for side in zip(*tokens)
    )
    sizes = tuple(map(len, vocabularies))
    model = kind(*sizes, **settings["fixed"], seed=settings["seed"], dropout=settings["dropout"])
    curve = learn_or_load(model, tokens, validation, vocabularies, settings)
    metrics: dict[str, Any] = {"vocabularies": sizes, "parameters": count_parameters(model)}
    for name, beam_size in (("greedy", 1), ("beam", settings["beam_size"])):
        said = translations(model, test, vocabularies, beam_size)
        metrics[name] = score(said, test)
    metrics["examples"] = [[*pair, mine] for pair, mine in zip(test[:SHOWN], said)]
    metrics["maps"] = maps(model, test, vocabularies)
    return Outcome(metrics, curve)


def learn_or_load(
    model: nn.Module,
    train: Sequence[Tokens],
    validation: Sequence[Texts],
    vocabularies: Vocabularies,
    settings: Settings,
) -> list[dict[str, Any]]:
    """Train, or take the weights of an earlier training with these settings from the cache; the
    training's curve.
    """
    path = cached(settings)
    if path.exists():
        with np.load(path) as content:
            weights = dict(content)
        curve = json.loads(str(weights.pop("curve")))
        from_arrays(model, weights)
        return curve
    torch.manual_seed(settings["seed"])  # for dropout
    curve = learn(model, train, validation, vocabularies, settings)
    content = io.BytesIO()
    np.savez(content, curve=np.array(json.dumps(curve)), **to_arrays(model))
    write_whole(path, content.getvalue())
    return curve


def cached(settings: Settings) -> Path:
    """Where the trained weights lie, beside the downloaded corpora: too large to ship."""
    return cache_folder() / f"multi30k-{settings_hash(settings)}.npz"


def learn(
    model: nn.Module,
    train: Sequence[Tokens],
    validation: Sequence[Texts],
    vocabularies: Vocabularies,
    settings: Settings,
) -> list[dict[str, Any]]:
    """The run's epochs; what was seen after each."""
    source, target = (vocabulary.encode for vocabulary in vocabularies)
    ids = [(source(s), target(t)) for s, t in train]
    an_epoch = -(-len(ids) // settings["batch_size"])
    steps = settings["epochs"] * an_epoch
    rate = linear_schedule(settings["learning_rate"], steps, settings["warmup"])
    batches = bucketed_batches(ids, settings["batch_size"], *vocabularies, seed=settings["seed"])
    begin = perf_counter()

    def look() -> dict[str, float]:
        bleu = score(translations(model, validation, vocabularies), validation)["bleu"]
        return {"bleu": bleu, "minutes": round((perf_counter() - begin) / 60, 1)}

    smoothing = settings.get("smoothing", 0.0)
    train_step = make_train_step(model, rate, settings["max_norm"], smoothing=smoothing)
    history = fit(train_step, batches, steps, look, evaluate_every=an_epoch)
    means = np.reshape(history.losses, (settings["epochs"], an_epoch)).mean(axis=1)
    return [
        {"epoch": step // an_epoch, "step": step, "loss": round(float(loss), 4)} | seen
        for (step, seen), loss in zip(history.evaluations, means, strict=True)
    ]


def tokenized(pair: Texts) -> Tokens:
    """Lower-case tokens of both sides; French elisions (l', d', qu') are tokens."""
    return tokenize_words(pair[0], lower=True), tokenize_french(pair[1], lower=True)


def translations(
    model: nn.Module, pairs: Sequence[Texts], vocabularies: Vocabularies, beam_size: int = 1
) -> list[str]:
    """French for the English of each pair, as text."""
    sources = [tokenized(pair)[0] for pair in pairs]
    return [join_french(said) for said in translate(model, sources, *vocabularies, beam_size)]


def score(said: Sequence[str], pairs: Sequence[Texts]) -> dict[str, Any]:
    """BLEU, lower-cased, against the French as it stands in the corpus, with the signature."""
    value, signature = bleu(said, [french for _, french in pairs], lowercase=True)
    return {"bleu": round(value, 2), "signature": signature}


def maps(
    model: nn.Module, test: Sequence[Texts], vocabularies: Vocabularies
) -> list[dict[str, Any]]:
    """Attention weights of two translations, rows target, columns source."""
    found = []
    for pair in test[:2]:
        source, _ = tokenized(pair)
        (said,) = translate(model, [source], *vocabularies)
        batch = source_batch([source], *vocabularies)
        read = np.array([[vocabularies[1].sos, *vocabularies[1].encode(said)]])
        weights = model.alignment(batch.source, batch.source_lengths, read)[0, :-1]
        found.append({"source": source, "target": said, "weights": weights.round(3).tolist()})
    return found
