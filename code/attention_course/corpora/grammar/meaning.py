"""What a sentence says, before it is said in any language: things, clauses, sentences."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")
Choose = Callable[[Sequence[T]], T]
Combination = tuple[str, str]  # adjective, noun

#: Pronouns by their English subject form, and their person: 0 to 2 singular, 3 to 5 plural.
PRONOUNS = {"i": 0, "you": 1, "he": 2, "she": 2, "it": 2, "who": 2, "we": 3, "they": 5}


class Thing(NamedTuple):
    """A noun phrase: a noun or a pronoun (a key of `PRONOUNS`) with what belongs to it.

    determiner: "the", "a", "this", "that", "my" … "their", a number from "two", "many", or "",
    which is the bare form (apples, coffee, at school, seoul). "this" and "that" stand for these
    and those too. of: the door of *the house*. relative: the man *who sings*, a clause without
    a subject, or the book *that i read*, one with its own.
    """

    noun: str
    determiner: str = ""
    plural: bool = False
    adjectives: tuple[str, ...] = ()
    of: Thing | None = None
    relative: Clause | None = None


class Phrase(NamedTuple):
    """A preposition by its English name ("in", "next to") and a thing: place, means, company."""

    preposition: str
    thing: Thing


class Clause(NamedTuple):
    """Who does what to whom, where and when; English lemmas throughout.

    Several things in `subject` or `object` are joined by "and". verb "be" takes `adjectives`
    (two are joined by `link`, "and" or "but"), `noun` (a student) or `phrases` (in the house);
    verb "there" says that the subject exists. No subject: that of the clause before. negation:
    "", "not", "never". modal: "", "want", "can", "must". frequency: "often" stands before an
    English verb; manner: "well" after it; time: "today", "in the morning", last of all.
    """

    subject: tuple[Thing, ...]
    verb: str
    object: tuple[Thing, ...] = ()
    recipient: Thing | None = None
    negation: str = ""
    modal: str = ""
    frequency: str = ""
    manner: str = ""
    adjectives: tuple[str, ...] = ()
    link: str = "and"
    very: bool = False
    noun: Thing | None = None
    phrases: tuple[Phrase, ...] = ()
    time: str = ""


class Sentence(NamedTuple):
    """Clauses, and the conjunctions between them: "and", "but", "because", "when"."""

    clauses: tuple[Clause, ...]
    conjunctions: tuple[str, ...] = ()


def person(things: Sequence[Thing]) -> int:
    """Person of a subject: 0 i, 1 you, 2 he, 3 we, 5 they; several things are 5."""
    if len(things) != 1:
        return 5
    thing = things[0]
    return PRONOUNS.get(thing.noun, 5 if thing.plural else 2)


def clause_path(index: int) -> tuple[int, ...]:
    """Start of the concepts of a sentence's clause: () for the first, (1,) for the second."""
    return (index,) if index else ()


def combinations(sentence: Sentence) -> tuple[Combination, ...]:
    """All (adjective, noun) of a sentence, whether "the red house" or "the house is red"."""
    found: list[Combination] = []
    subject: tuple[Thing, ...] = ()
    for clause in sentence.clauses:
        subject = clause.subject or subject
        _combine_clause(clause, subject, found)
    return tuple(found)


def _combine_clause(clause: Clause, subject: Sequence[Thing], found: list[Combination]) -> None:
    for thing in clause.subject + clause.object:
        _combine_thing(thing, found)
    for thing in (clause.recipient, clause.noun, *(phrase.thing for phrase in clause.phrases)):
        if thing is not None:
            _combine_thing(thing, found)
    for adjective in clause.adjectives:
        found += [(adjective, thing.noun) for thing in subject if thing.noun not in PRONOUNS]


def _combine_thing(thing: Thing, found: list[Combination]) -> None:
    found += [(adjective, thing.noun) for adjective in thing.adjectives]
    if thing.of is not None:
        _combine_thing(thing.of, found)
    if thing.relative is not None:
        _combine_clause(thing.relative, (thing,), found)


def chooser(seed: int) -> Choose:
    """A function that picks one of several options, all equally likely; endless, seeded."""
    draw = _floats(seed).__next__

    def choose(options: Sequence[T]) -> T:
        return options[int(draw() * len(options))]

    return choose


def _floats(seed: int) -> Iterator[float]:
    # Only `random` is used: unlike `choice`, its numbers have stayed the same through all
    # versions of NumPy. Drawn in blocks, because a call for one costs more than all the rest.
    rng = np.random.default_rng(seed)
    return chain.from_iterable(iter(lambda: rng.random(4096).tolist(), None))


@cache
def read_lexicon(name: str) -> dict[str, dict[str, str]]:
    """Rows of `data/lexicons/NAME.tsv` by their first column; a row is {column: text}.

    Raises ValueError for a lemma that stands there twice, or a row of another width.
    """
    text = (files("attention_course.assets") / "lexicons" / f"{name}.tsv").read_text("utf-8")
    header, *lines = csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    rows: dict[str, dict[str, str]] = {}
    for line in lines:
        if len(line) != len(header) or line[0] in rows:
            raise ValueError(
                f"{name}.tsv: got {line}, expected {len(header)} columns and every lemma once"
            )
        rows[line[0]] = dict(zip(header, line))
    return rows
