"""Sentences in, sentences out: what the translation experiments and Chapter 3 share."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import nn

from attention_course.alignment import alignment_error_rate, links_of
from attention_course.corpora.batching import Batch, make_batch
from attention_course.corpora.translation import Pair, Translation, load_translation
from attention_course.corpora.vocabulary import Vocabulary
from attention_course.decoding import beam, greedy
from attention_course.experiments.runner import Outcome, to_ship
from attention_course.experiments.task import Task, make_task, train_watched
from attention_course.metrics import bleu, chrf, exact_match
from attention_course.pytorch import weights as torch_weights
from attention_course.pytorch.training import make_train_step
from attention_course.pytorch.transformer import Transformer
from attention_course.results import Settings
from attention_course.schedules import linear_schedule

SPLITS = ("test", "combinations", "longer")  # on which a translator is judged
Tokens = Sequence[str]


def load_task(language: str, size: int | None = None) -> Task:
    """The corpus and the first `size` sentences for training (all if None)."""
    corpus = load_translation(language)
    return make_task(corpus, corpus.train[:size])


def fingerprint(corpus: Translation) -> str:
    """Sixteen hexadecimal digits that change with any sentence, recorded with what was measured."""
    text = "\n".join(" ".join((*p.source, "→", *p.target)) for split in corpus for p in split)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def translate(
    model,
    sources: Sequence[Tokens],
    source_vocab: Vocabulary,
    target_vocab: Vocabulary,
    beam_size: int = 1,
    at_once: int = 250,
    longest: int | None = None,
) -> list[list[str]]:
    """Translations of tokenised sentences by a trained model of any framework.

    Sentences of similar length are decoded together, `at_once` of them. A translation has at most
    `longest` tokens; if None, 1.5 times as many as its source, and ten more. beam_size 1 is greedy.
    """
    order = np.argsort([len(source) for source in sources], kind="stable")
    said: dict[int, list[str]] = {}
    for start in range(0, len(order), at_once):
        rows = order[start : start + at_once].tolist()
        batch = source_batch([sources[row] for row in rows], source_vocab, target_vocab)
        limit = int(1.5 * batch.source.shape[1]) + 10 if longest is None else longest
        state = model.start(batch.source, batch.source_lengths)
        sizes = {"sos": target_vocab.sos, "eos": target_vocab.eos, "max_length": limit}
        if beam_size == 1:
            decoded = greedy(model.step, state, len(rows), **sizes)
        else:
            decoded = beam(model.step, model.select, state, len(rows), beam_size, **sizes)
        said |= {row: target_vocab.decode(ids) for row, ids in zip(rows, decoded, strict=True)}
    return [said[row] for row in range(len(sources))]


def source_batch(
    sources: Sequence[Tokens], source_vocab: Vocabulary, target_vocab: Vocabulary
) -> Batch:
    """A batch to translate: its targets are empty."""
    ids = [source_vocab.encode(source) for source in sources]
    return make_batch(ids, [[]] * len(ids), source_vocab, target_vocab)


def pair_batch(pairs: Sequence[Pair], source_vocab: Vocabulary, target_vocab: Vocabulary) -> Batch:
    """The pairs as one batch."""
    sources = [source_vocab.encode(pair.source) for pair in pairs]
    targets = [target_vocab.encode(pair.target) for pair in pairs]
    return make_batch(sources, targets, source_vocab, target_vocab)


def train_and_judge(
    model: nn.Module,
    sizes: dict[str, Any],
    task: Task,
    settings: Settings,
    join: Callable[[Tokens], str],
    ship_as: str | None = None,
) -> Outcome:
    """Train by the settings; watch validation sentences on the way; at the end, every split.

    `sizes` are the arguments that build the model; `ship_as` names its file, if it is shipped.
    """
    watched = task.corpus.validation[: settings["fixed"]["watched"]]

    def look() -> dict[str, float]:
        said = translate(model, [pair.source for pair in watched], *task.vocabularies)
        return text_scores(said, watched, join)

    rate = linear_schedule(settings["learning_rate"], settings["steps"], settings["warmup"])
    batches = task.batches(settings["batch_size"], 1000 + settings["seed"])
    curve = train_watched(make_train_step(model, rate), batches, settings, look)
    metrics: dict[str, Any] = {"corpus": fingerprint(task.corpus)}
    metrics["parameters"] = count_parameters(model)
    metrics |= {split: judge(model, task, split, join) for split in SPLITS}
    if ship_as is None:
        return Outcome(metrics, curve)
    roles = {"source": task.source_vocab, "target": task.target_vocab}
    shipped = {ship_as: to_ship(model, sizes, roles, torch_weights)}
    metrics["test_200_shipped"] = judge(model, task, "test", join, 200)["exact"]
    return Outcome(metrics, curve, shipped)


def text_scores(
    said: Sequence[Tokens], pairs: Sequence[Pair], join: Callable[[Tokens], str]
) -> dict[str, float]:
    """Exact match (a share), BLEU on the tokens, chrF on the joined text (both up to 100)."""
    right = [pair.target for pair in pairs]
    tokens = ([" ".join(sentence) for sentence in side] for side in (said, right))
    texts = ([join(sentence) for sentence in side] for side in (said, right))
    return {
        "exact": round(exact_match([list(s) for s in said], [list(r) for r in right]), 4),
        "bleu": round(bleu(*tokens, tokenize="none").value, 2),
        "chrf": round(chrf(*texts).value, 2),
    }


def judge(
    model, task: Task, split: str, join: Callable[[Tokens], str], count: int | None = None
) -> dict[str, Any]:
    """Greedy translations of one split (or its first `count` pairs); for a model that looks, with a
    beam of 5 as well, and AER. Exact matches by source length, too.
    """
    pairs = getattr(task.corpus, split)[:count]
    sources = [pair.source for pair in pairs]
    said = translate(model, sources, *task.vocabularies)
    found: dict[str, Any] = text_scores(said, pairs, join)
    found["by_length"] = by_length(said, pairs)
    if hasattr(model, "attention") or isinstance(model, Transformer):
        widely = translate(model, sources, *task.vocabularies, beam_size=5)
        found["beam"] = text_scores(widely, pairs, join)
        found |= error_rates(model, pairs, task)
    if isinstance(model, Transformer):
        found["aer_heads"] = head_error_rates(model, pairs, task)
    return found


def by_length(said: Sequence[Tokens], pairs: Sequence[Pair]) -> dict[str, list[float]]:
    """Number of sentences and share of right translations, by source length."""
    right: dict[int, list[bool]] = {}
    for mine, pair in zip(said, pairs, strict=True):
        right.setdefault(len(pair.source), []).append(list(mine) == list(pair.target))
    return {str(n): [len(r), round(sum(r) / len(r), 4)] for n, r in sorted(right.items())}


def error_rates(model, pairs: Sequence[Pair], task: Task) -> dict[str, float]:
    """AER of the words that get most attention, teacher forcing; also read one row off."""
    weights, sources, targets = [], [], []
    for start in range(0, len(pairs), 250):
        batch = pair_batch(pairs[start : start + 250], *task.vocabularies)
        seen = model.alignment(batch.source, batch.source_lengths, batch.target_in)
        weights += list(seen)
        sources += batch.source_lengths.tolist()
        targets += (batch.target_lengths - 1).tolist()
    gold = [pair.sure for pair in pairs], [pair.possible for pair in pairs]
    local = getattr(model, "kind", "global") != "global"  # its window may lie beyond the sentence
    found = {}
    for name, shift in (("aer", 0), ("aer_row_later", 1), ("aer_row_earlier", -1)):
        links = _links(weights, sources, targets, shift, local)
        found[name] = round(alignment_error_rate(links, *gold), 4)
    return found


def head_error_rates(model: Transformer, pairs: Sequence[Pair], task: Task) -> list[list[float]]:
    """AER of each head of each layer's cross-attention alone, rows as they stand: (L,N)."""
    links: dict[tuple[int, int], list[Any]] = {}
    for start in range(0, len(pairs), 250):
        batch = pair_batch(pairs[start : start + 250], *task.vocabularies)
        cross = model.maps(batch.source, batch.source_lengths, batch.target_in).cross
        lengths = {"source_length": batch.source_lengths, "target_length": batch.target_lengths - 1}
        for layer, head in np.ndindex(cross.shape[0], cross.shape[2]):
            seen = links_of(cross[layer, :, head], **lengths, empty_rows=True)
            links.setdefault((layer, head), []).extend(seen)
    gold = [pair.sure for pair in pairs], [pair.possible for pair in pairs]
    rates = [round(alignment_error_rate(found, *gold), 4) for found in links.values()]
    return np.reshape(rates, (cross.shape[0], cross.shape[2])).tolist()


def _links(
    weights: Sequence[np.ndarray],
    sources: Sequence[int],
    targets: Sequence[int],
    shift: int,
    local: bool,
) -> list[Any]:
    return [
        links_of(seen, source_length=source, target_length=target, shift=shift, empty_rows=local)
        for seen, source, target in zip(weights, sources, targets, strict=True)
    ]


def count_parameters(model: nn.Module) -> int:
    """Numbers of a PyTorch model that training changes."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
