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


def align(english: Sequence[Word], target: Sequence[Word]) -> Pair:
    """Join the two realisations of one meaning: words that share a concept are linked."""
    sure_places: dict[Hashable, list[int]] = {}
    places: dict[Hashable, list[int]] = {}
    for j, word in enumerate(english):
        for concept in word.sure:
            sure_places.setdefault(concept, []).append(j)
            places.setdefault(concept, []).append(j)
        for concept in word.possible:
            places.setdefault(concept, []).append(j)
    sure, possible = [], []
    for t, word in enumerate(target):
        for concept in word.sure:
            sure += [(t, j) for j in sure_places.get(concept, ())]
        for concept in word.sure + word.possible:
            possible += [(t, j) for j in places.get(concept, ())]
    return Pair(
        tuple([word.text for word in english]),
        tuple([word.text for word in target]),
        frozenset(sure),
        frozenset(possible),
    )




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


@cache
def load_translation(language: str = "french") -> Translation:
    """English sentences with their translation; the same on every machine.

    language: "french" or "korean". Sentences are lower case, of 3 to 25 tokens on each side, and
    an English sentence has one translation. The first 1,000 or 5,000 of `train` are a smaller
    training set. Raises ValueError for another language.
    """
    grammar = _grammar(language)
    held_out = hold_out(grammar.fitting())
    found: dict[str, list[Pair]] = {"common": [], "combinations": [], "longer": []}
    common = sum(SIZES[name] for name in ("train", "validation", "test"))
    wanted = {"common": common, "combinations": SIZES["combinations"], "longer": SIZES["longer"]}
    seen: set[tuple[str, ...]] = set()
    for long, seed in ((False, 0), (True, 1)):
        stream = _pairs(grammar, seed, long, seen)
        names = ("longer",) if long else ("common", "combinations")
        while any(len(found[name]) < wanted[name] for name in names):
            pair = next(stream)
            unseen = not held_out.isdisjoint(pair.combinations)
            name = "longer" if long else "combinations" if unseen else "common"
            if len(found[name]) < wanted[name] and not (long and unseen):
                found[name].append(pair)
    pairs, start = found.pop("common"), 0
    for name in ("train", "validation", "test"):
        found[name] = pairs[start : start + SIZES[name]]
        start += SIZES[name]
    return Translation(**found)


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
        from attention_course.corpora.grammar import korean

        return Grammar(korean.draw, korean.realise, korean.fitting)
    raise ValueError(f'language: got {language!r}, expected "french" or "korean"')


def _pairs(
    grammar: Grammar, seed: int, long: bool, seen: set[tuple[str, ...]]
) -> Iterator[Pair]:
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
