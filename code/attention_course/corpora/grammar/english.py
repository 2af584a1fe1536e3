"""English: a meaning becomes words that remember which part of the meaning they express."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from attention_course.corpora.grammar.meaning import (
    PRONOUNS,
    Clause,
    Phrase,
    Sentence,
    Thing,
    clause_path,
    person,
    read_lexicon,
)
from attention_course.corpora.translation import Word

Path = tuple[str | int, ...]

_OBJECT_FORMS = {"i": "me", "he": "him", "she": "her", "we": "us", "they": "them"}
_PLURAL_FORMS = {"this": "these", "that": "those"}
_BE = ("am", "are", "is", "are", "are", "are")


def realise_english(sentence: Sentence) -> list[Word]:
    """The words of the sentence, lower case, without a final period."""
    words: list[Word] = []
    who = 2
    for index, clause in enumerate(sentence.clauses):
        path = clause_path(index)
        who = person(clause.subject) if clause.subject else who
        if index:
            words.append(Word(sentence.conjunctions[index - 1], (path + ("conjunction",),)))
        if clause.verb != "there":
            _things(clause.subject, path + ("subject",), words, subject=True)
        _predicate(clause, path, who, words)
    return words


def _things(things: Sequence[Thing], path: Path, words: list[Word], subject: bool = False) -> None:
    for thing in things:
        if thing is not things[0]:
            path += ("and",)
            words.append(Word("and", (path,)))
        _thing(thing, path, words, subject)


def _thing(thing: Thing, path: Path, words: list[Word], subject: bool = False) -> None:
    if thing.noun in PRONOUNS:
        text = thing.noun if subject else _OBJECT_FORMS.get(thing.noun, thing.noun)
        words.append(Word(text, (path + ("noun",),)))
        return
    singular, plural, relative = _noun_forms(thing.noun)
    noun = plural if thing.plural else singular
    if thing.determiner:
        following = thing.adjectives[0] if thing.adjectives else noun
        words.append(Word(_determiner(thing, following), (path + ("determiner",),)))
    for index, adjective in enumerate(thing.adjectives):
        words.append(Word(adjective, (path + ("adjective", index),)))
    for text in noun.split():  # a compound is one noun: bus stop
        words.append(Word(text, (path + ("noun",),)))
    if thing.of is not None:
        words.append(Word("of", (path + ("of",),)))
        _thing(thing.of, path + ("of",), words)
    if thing.relative is not None:
        path += ("relative",)
        words.append(Word(relative, (path,)))
        _things(thing.relative.subject, path + ("subject",), words, subject=True)
        _predicate(thing.relative, path, person(thing.relative.subject or (thing,)), words)


def _determiner(thing: Thing, following: str) -> str:
    if thing.determiner == "a":
        return indefinite(following)
    return (
        _PLURAL_FORMS.get(thing.determiner, thing.determiner)
        if thing.plural
        else (thing.determiner)
    )


def indefinite(following: str) -> str:
    """ "an" before a vowel that is heard, "a" otherwise: an hour, a university."""
    sounds_like_vowel = following[0] in "aeiou" and not following.startswith(("uni", "use", "eu"))
    return "an" if sounds_like_vowel or following.startswith(("hour", "honest")) else "a"


def _predicate(clause: Clause, path: Path, who: int, words: list[Word]) -> None:
    """All that follows the subject."""
    _verb_group(clause, path, who, words)
    _things(clause.object, path + ("object",), words)
    if clause.verb == "there":
        _things(clause.subject, path + ("subject",), words)
    if clause.recipient is not None:
        words.append(Word("to", (path + ("recipient", "preposition"),)))
        _thing(clause.recipient, path + ("recipient",), words)
    _complement(clause, path, words)
    if clause.manner:
        words.append(Word(clause.manner, (path + ("manner",),)))
    for index, phrase in enumerate(clause.phrases):
        _phrase(phrase, path + ("phrase", index), words)
    for index, text in enumerate(clause.time.split()):
        words.append(Word(text, (path + ("time", index),)))


def _phrase(phrase: Phrase, path: Path, words: list[Word]) -> None:
    for text in phrase.preposition.split():
        words.append(Word(text, (path + ("preposition",),)))
    _thing(phrase.thing, path, words)


def _complement(clause: Clause, path: Path, words: list[Word]) -> None:
    path += ("predicate",)
    for index, adjective in enumerate(clause.adjectives):
        if index:
            words.append(Word(clause.link, (path + ("and",),)))
        elif clause.very:
            words.append(Word("very", (path + ("very",),)))
        words.append(Word(adjective, (path + ("adjective", index),)))
    if clause.noun is not None:
        _thing(clause.noun, path, words)


def _verb_group(clause: Clause, path: Path, who: int, words: list[Word]) -> None:
    """Auxiliaries, negation, adverb of frequency and verb, in their order."""
    negation, verb = (path + ("not",),), (path + ("verb",),)
    if clause.verb == "there":
        words.append(Word("there", (path + ("there",),)))
    if clause.verb in ("be", "there"):
        words.append(Word(_BE[who], verb))
        _negation_and_frequency(clause, path, words)
        return
    base, third, particle = _verb_forms(clause.verb)
    if clause.modal == "can" and clause.negation:
        words.append(Word("cannot", (path + ("modal",), *negation)))
    elif clause.modal in ("can", "must"):
        words.append(Word(clause.modal, (path + ("modal",),)))
        _negation_and_frequency(clause, path, words)
    elif clause.modal == "want" or clause.negation == "not":
        _do_and_want(clause, path, who, words)
    else:
        _negation_and_frequency(clause, path, words)
        base = third if who == 2 else base
    words.append(Word(base, verb))
    if particle:
        words.append(Word(particle, verb))


def _do_and_want(clause: Clause, path: Path, who: int, words: list[Word]) -> None:
    """does not, wants to, does not want to: all that comes before the bare verb."""
    if clause.negation == "not":
        words.append(Word("does" if who == 2 else "do", (), (path + ("verb",),)))
    _negation_and_frequency(clause, path, words)
    if clause.modal:
        bare = clause.negation == "not" or who != 2
        words.append(Word("want" if bare else "wants", (path + ("modal",),)))
        words.append(Word("to", (), (path + ("verb",),)))


def _negation_and_frequency(clause: Clause, path: Path, words: list[Word]) -> None:
    if clause.negation:
        words.append(Word(clause.negation, (path + ("not",),)))
    if clause.frequency:
        words.append(Word(clause.frequency, (path + ("frequency",),)))


@cache
def _noun_forms(noun: str) -> tuple[str, str, str]:
    """Singular, plural and the relative pronoun of a noun."""
    row = read_lexicon("english_nouns")[noun]
    return noun, row["plural"] or _with_s(noun), row["relative"]


@cache
def _verb_forms(verb: str) -> tuple[str, str, str]:
    """Base, third person and particle: look, looks, at."""
    row = read_lexicon("english_verbs")[verb]
    base = verb.split()[0]
    return base, row["third"] or _with_s(base), row["particle"]


def _with_s(word: str) -> str:
    """Regular plural of a noun, regular third person of a verb."""
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"
