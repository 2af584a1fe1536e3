"""Sentence pairs of a toy translation task, each with its true word alignment.

A grammar draws a meaning and says it in English and in French or Korean, so that every pair is
right and the words that say the same thing are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:  # the grammars import this module
    from attention_course.corpora.grammar.meaning import Choose, Combination, Sentence

SIZES = {"train": 30_000, "validation": 1_000, "test": 1_000, "combinations": 1_000}
SIZES["longer"] = 1_000
#: Source tokens of the longest training sentence, tokens of the longest of all, of the shortest.
LONGEST_TRAINING, LONGEST, SHORTEST = 12, 25, 3


class Word(NamedTuple):
    """One token of a realised sentence and the concepts of the meaning that it expresses.

    Equal `sure` concepts on both sides make sure links. A concept that is only `possible` on
    one side or on both makes possible links.
    """

    text: str
    sure: tuple[Hashable, ...] = ()
    possible: tuple[Hashable, ...] = ()


class Pair(NamedTuple):
    """A sentence in two languages, lower case, without final period, and its alignment.

    Links are (target index, source index). `possible` contains `sure` (Och & Ney 2003, section
    6: an error rate forgives a missing possible link and a given possible one).
    combinations: all (adjective, noun) of the sentence, English lemmas.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    sure: frozenset[tuple[int, int]]
    possible: frozenset[tuple[int, int]]
    combinations: tuple[tuple[str, str], ...] = ()


# Every link there can be, made once: 34,000 pairs would hold half a million equal tuples.
_LINKS = [[(t, j) for j in range(LONGEST)] for t in range(LONGEST)]


def align(english: Sequence[Word], target: Sequence[Word]) -> Pair:
    """Join the two realisations of one meaning: words that share a concept are linked.

    Raises ValueError for a sentence of more than 25 tokens.
    """
    if max(len(english), len(target)) > LONGEST:
        raise ValueError(
            f"english, target: got {len(english)} and {len(target)} tokens, expected <= {LONGEST}"
        )
    surely: dict[Hashable, list[int]] = {}
    perhaps: dict[Hashable, list[int]] = {}
    for j, word in enumerate(english):
        for concept in word.sure:
            surely.setdefault(concept, []).append(j)
        for concept in word.possible:
            perhaps.setdefault(concept, []).append(j)
    sure: list[tuple[int, int]] = []
    possible: list[tuple[int, int]] = []
    for row, word in zip(_LINKS, target):
        for concept in word.sure:
            sure += [row[j] for j in surely.get(concept, ())]
            possible += [row[j] for j in perhaps.get(concept, ())]
        for concept in word.possible:
            possible += [row[j] for j in surely.get(concept, ())]
            possible += [row[j] for j in perhaps.get(concept, ())]
    source = tuple([word.text for word in english])
    links = frozenset(sure)
    return Pair(source, tuple([word.text for word in target]), links, links.union(possible))


class Translation(NamedTuple):
    """Five lists of pairs that share no source sentence.

    train: 30,000 pairs in random order; validation, test: 1,000 each, like them. combinations:
    1,000 with an adjective and a noun that never go together in training, though both occur
    there. longer: 1,000 with more source tokens than any training sentence.
    """

    train: list[Pair]
    validation: list[Pair]
    test: list[Pair]
    combinations: list[Pair]
    longer: list[Pair]


def load_translation(language: str = "french") -> Translation:
    """English sentences with their translation; the same on every machine.

    language: "french" or "korean". Sentences are lower case, of 3 to 25 tokens on each side, and
    an English sentence has one translation. The first 1,000 or 5,000 of `train` are a smaller
    training set; nearly all words occur in the first 1,000. The same object at every call.
    Raises ValueError for another language.
    """
    return _load(language)


@cache
def _load(language: str) -> Translation:
    grammar = _grammar(language)
    held_out = hold_out(grammar.fitting())
    seen: set[tuple[str, ...]] = set()
    names = ("train", "validation", "test")
    sizes = {"common": sum(SIZES[name] for name in names), "combinations": SIZES["combinations"]}
    found = _sorted(_pairs(grammar, 0, False, seen), held_out, sizes)
    # Short sentences run out first: in the order of their making, the last ones would be longer.
    common, start = _shuffled(found["common"], 1), 0
    parts = {"combinations": found["combinations"]}
    for name in names:
        parts[name] = common[start : start + SIZES[name]]
        start += SIZES[name]
    parts["train"] = _covering_first(parts["train"], 1_000)
    sizes = {"common": SIZES["longer"], "combinations": 0}
    parts["longer"] = _sorted(_pairs(grammar, 2, True, seen), held_out, sizes)["common"]
    return Translation(**parts)


def _sorted(
    stream: Iterator[Pair], held_out: frozenset[Combination], sizes: dict[str, int]
) -> dict[str, list[Pair]]:
    """The first pairs without a held-out combination ("common") and with one ("combinations")."""
    found: dict[str, list[Pair]] = {name: [] for name in sizes}
    while any(len(found[name]) < size for name, size in sizes.items()):
        pair = next(stream)
        name = "common" if held_out.isdisjoint(pair.combinations) else "combinations"
        if len(found[name]) < sizes[name]:
            found[name].append(pair)
    return found


def _shuffled(pairs: list[Pair], seed: int) -> list[Pair]:
    order = np.random.default_rng(seed).random(len(pairs)).argsort(kind="stable")
    return [pairs[i] for i in order.tolist()]


class Grammar(NamedTuple):
    """A language's part: draws a meaning, says it, lists the (adjective, noun) it may combine."""

    draw: Callable[[Choose, bool], Sentence]
    realise: Callable[[Sentence], list[Word]]
    fitting: Callable[[], Sequence[Combination]]


def _grammar(language: str) -> Grammar:
    # Imported here: the grammars need Word.
    if language == "french":
        from attention_course.corpora.grammar import french, french_meanings

        return Grammar(french_meanings.draw, french.realise, french_meanings.fitting)
    if language == "korean":
        from attention_course.corpora.grammar import korean, korean_meanings

        return Grammar(korean_meanings.draw, korean.realise, korean_meanings.fitting)
    raise ValueError(f'language: got {language!r}, expected "french" or "korean"')


def _pairs(grammar: Grammar, seed: int, long: bool, seen: set[tuple[str, ...]]) -> Iterator[Pair]:
    """Endless stream of pairs whose source is not in `seen` (it grows) and has the right length."""
    from attention_course.corpora.grammar.english import realise_english
    from attention_course.corpora.grammar.meaning import chooser, combinations

    choose = chooser(seed)
    shortest = LONGEST_TRAINING + 1 if long else SHORTEST
    longest = LONGEST if long else LONGEST_TRAINING
    while True:
        sentence = grammar.draw(choose, long)
        english = realise_english(sentence)
        source = tuple([word.text for word in english])
        if not shortest <= len(source) <= longest or source in seen:
            continue
        seen.add(source)
        target = grammar.realise(sentence)
        if SHORTEST <= len(target) <= LONGEST:
            yield align(english, target)._replace(combinations=combinations(sentence))


def _covering_first(pairs: list[Pair], count: int) -> list[Pair]:
    """The pairs, with those in which a word occurs for the first time among the first `count`."""
    known: set[str] = set()
    new, others = [], []
    for index, pair in enumerate(pairs):
        words = set(pair.source + pair.target)
        (others if words <= known else new).append(index)
        known |= words
    order = new + others
    return [pairs[i] for i in sorted(order[:count]) + sorted(order[count:])]


def hold_out(fitting: Sequence[Combination], share: float = 0.08) -> frozenset[Combination]:
    """About `share` of the combinations, spread over adjectives and nouns.

    Every adjective and every noun keeps at least three quarters of its combinations, and at
    least four, for training.
    """
    counts = Counter(word for pair in fitting for word in enumerate(pair))
    kept, held = dict(counts), []
    order = np.random.default_rng(0).random(len(fitting)).argsort(kind="stable")
    for pair in (fitting[i] for i in order):
        words = tuple(enumerate(pair))
        if len(held) < share * len(fitting) and all(
            kept[word] - 1 >= max(4, 0.75 * counts[word]) for word in words
        ):
            held.append(pair)
            kept |= {word: kept[word] - 1 for word in words}
    return frozenset(held)
