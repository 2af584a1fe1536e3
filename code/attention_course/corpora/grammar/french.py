"""French: a meaning becomes words that remember which part of the meaning they express.

Irregular forms stand in `data/lexicons/french_*.tsv`; the rules are here. Words are first put in
their full form (de le ami), then `_joined` elides and contracts from right to left (de l'ami).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

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
from attention_course.corpora.tokenizers import join_french
from attention_course.corpora.translation import Word

Path = tuple[str | int, ...]

_SUBJECTS = {"i": "je", "you": "tu", "he": "il", "she": "elle", "we": "nous", "they": "ils"}
_OBJECTS = {"i": "me", "you": "te", "he": "le", "she": "la", "it": "le", "we": "nous"}
_OBJECTS["they"] = "les"
_RECIPIENTS = _OBJECTS | {"he": "lui", "she": "lui", "they": "leur"}
_STRESSED = {"i": "moi", "you": "toi", "he": "lui", "she": "elle", "we": "nous", "they": "eux"}
_CLITIC_RANK = {"le": 1, "la": 1, "les": 1, "lui": 2, "leur": 2}  # me, te, nous come first

#: Determiner -> masculine, feminine, plural.
_DETERMINERS = {
    "the": ("le", "la", "les"),
    "a": ("un", "une", ""),
    "this": ("ce", "cette", "ces"),
    "that": ("ce", "cette", "ces"),
    "my": ("mon", "ma", "mes"),
    "your": ("ton", "ta", "tes"),
    "his": ("son", "sa", "ses"),
    "her": ("son", "sa", "ses"),
    "our": ("notre", "notre", "nos"),
    "their": ("leur", "leur", "leurs"),
}

_BEFORE_VOWEL = {
    **{"le": "l'", "la": "l'", "de": "d'", "ne": "n'", "je": "j'", "me": "m'", "te": "t'"},
    **{"que": "qu'", "ce": "cet", "ma": "mon", "ta": "ton", "sa": "son"},
}
_CONTRACTED = {
    **{("de", "le"): "du", ("de", "les"): "des", ("à", "le"): "au", ("à", "les"): "aux"},
}
_VOWELS = frozenset("aàâeéèêiîoôœuûhy")  # no word of the lexicon starts with the y of "yaourt"


class Noun(NamedTuple):
    """A noun's forms; `gender` is 0 for masculine and 1 for feminine."""

    singular: str
    plural: str
    gender: int
    job: tuple[str, str, str, str]  # masculine, feminine, masculine plural, feminine plural
    mass: bool
    name: bool
    means: str  # "en" for "by train"


class Adjective(NamedTuple):
    """Four forms of an adjective, the masculine one before a vowel, and where it stands."""

    forms: tuple[str, str, str, str]  # masculine, feminine, masculine plural, feminine plural
    before_vowel: str
    before: bool
    noun: bool  # être heureux, but avoir faim


def realise(sentence: Sentence) -> list[Word]:
    """The words of the sentence in French, lower case, without a final period.

    Raises ValueError for a meaning that has no French here: "it" as a subject, "me" beside "him".
    """
    words: list[Word] = []
    subject: tuple[Thing, ...] = ()
    for index, clause in enumerate(sentence.clauses):
        path = clause_path(index)
        if index:
            name = sentence.conjunctions[index - 1]
            _expression("conjunction", name, path + ("conjunction",), words)
        subject = clause.subject or subject
        if clause.subject:
            _subject(clause, path + ("subject",), words)
        _predicate(clause, path, subject, words)
    return _joined(words)


def detokenize_french(tokens: Sequence[str]) -> str:
    """The sentence as it is written: l', arbre becomes "l'arbre"."""
    return join_french(list(tokens))


def _joined(words: list[Word]) -> list[Word]:
    """Elision (le ami: l'ami), contraction (de le: du), forms before a vowel (ce ami: cet ami)."""
    joined: list[Word] = []  # backwards: whether "de le" becomes "du" depends on what follows "le"
    for word in reversed(words):
        text, following = word.text, joined[-1].text if joined else ""
        if text in _BEFORE_VOWEL and _vowel(following):
            word = Word(_BEFORE_VOWEL[text], word.sure, word.possible)
        elif (text, following) in _CONTRACTED:
            merged = joined.pop()
            sure, possible = word.sure + merged.sure, word.possible + merged.possible
            word = Word(_CONTRACTED[text, following], sure, possible)
        joined.append(word)
    return joined[::-1]


@cache
def _vowel(text: str) -> bool:
    """Whether the word starts with a vowel that is heard: l'hôtel, but le hibou."""
    return text[:1] in _VOWELS and text not in _aspirated()


@cache
def _aspirated() -> frozenset[str]:
    nouns, adjectives = read_lexicon("french_nouns"), read_lexicon("french_adjectives")
    forms = [_noun(key)[:2] for key, row in nouns.items() if row["h"] == "aspirated"]
    forms += [_adjective(key).forms for key, row in adjectives.items() if row["h"] == "aspirated"]
    return frozenset(form for several in forms for form in several)


# --- Noun phrases ------------------------------------------------------------------------------


def _subject(clause: Clause, path: Path, words: list[Word]) -> None:
    first = clause.subject[0].noun
    if clause.verb == "there":
        words.append(Word("il", (path[:-1] + ("there",),)))
    elif first in PRONOUNS:
        if first not in _SUBJECTS or len(clause.subject) > 1:
            raise ValueError(f"subject: got {clause.subject}, expected nouns or one of {_SUBJECTS}")
        words.append(Word(_SUBJECTS[first], (path + ("noun",),)))
    else:
        _things(clause.subject, path, words)


def _things(
    things: Sequence[Thing], path: Path, words: list[Word], bare: str = "some", no: bool = False
) -> None:
    for thing in things:
        if thing is not things[0]:
            path += ("and",)
            words.append(Word("et", (path,)))
        _thing(thing, path, words, bare, no)


def _thing(
    thing: Thing, path: Path, words: list[Word], bare: str = "some", no: bool = False
) -> None:
    """A noun with all that belongs to it.

    bare: what English apples and coffee are: "some" (des pommes, du café), "all" (les pommes, le
    café) or "none" (pommes, café). no: the object of a negated verb (pas de pommes).
    """
    noun = _noun(thing.noun)
    adjectives = [_adjective(name) for name in thing.adjectives]
    form = noun.gender + 2 * thing.plural
    text = noun.plural if thing.plural else noun.singular
    preposed = any(adjective.before for adjective in adjectives)
    _determiner(thing, noun, path, words, bare, no, preposed)
    indexed = list(enumerate(adjectives))
    for index, adjective in indexed:
        if adjective.before:
            vowel = form == 0 and _vowel(text)
            written = adjective.before_vowel if vowel else adjective.forms[form]
            words.append(Word(written, (path + ("adjective", index),)))
    words.append(Word(text, (path + ("noun",),)))
    for index, adjective in indexed:
        if not adjective.before:
            words.append(Word(adjective.forms[form], (path + ("adjective", index),)))
    if thing.of is not None:
        words.append(Word("de", (path + ("of",),)))
        _thing(thing.of, path + ("of",), words, bare="none")
    if thing.relative is not None:
        path += ("relative",)
        words.append(Word("qui", (path,)))
        _predicate(thing.relative, path, (thing,), words)


def _determiner(
    thing: Thing, noun: Noun, path: Path, words: list[Word], bare: str, no: bool, preposed: bool
) -> None:
    own, head = path + ("determiner",), path + ("noun",)
    kind = 2 if thing.plural else noun.gender
    if thing.determiner in _DETERMINERS and not (no and thing.determiner == "a"):
        words.append(Word(_DETERMINERS[thing.determiner][kind], (own,)))
    elif thing.determiner == "a":
        words.append(Word("de", (), (own, head)))  # pas de livre
    elif thing.determiner:
        for written, english in _parts("number", thing.determiner):
            words.append(Word(written, (own,) if english else (), () if english else (own, head)))
    elif noun.name or bare == "none":
        return
    elif bare == "all":
        words.append(Word(_DETERMINERS["the"][kind], (), (head,)))
    elif no or (thing.plural and preposed):
        words.append(Word("de", (), (head,)))  # pas de pommes; de petites pommes
    elif thing.plural:
        words.append(Word("des", (), (head,)))
    else:
        words.append(Word("de", (), (head,)))  # du café, de la soupe, de l'eau
        words.append(Word(_DETERMINERS["the"][kind], (), (head,)))


# --- Clauses -----------------------------------------------------------------------------------


def _predicate(clause: Clause, path: Path, subject: Sequence[Thing], words: list[Word]) -> None:
    """All that follows the subject."""
    who = 2 if clause.verb == "there" else person(subject)
    _verb_group(clause, path, who, words)
    if clause.manner:
        _expression("manner", clause.manner, path + ("manner",), words)
    article = _article_after(clause.verb)
    if clause.verb == "there":
        _things(clause.subject, path + ("subject",), words, no=bool(clause.negation))
    elif clause.object and clause.object[0].noun not in PRONOUNS:
        if article == "de":
            words.append(Word("de", (), (path + ("verb",),)))
        bare = article if article in ("all", "none") else "some"
        _things(clause.object, path + ("object",), words, bare, bool(clause.negation))
    if clause.recipient is not None and clause.recipient.noun not in PRONOUNS:
        words.append(Word("à", (path + ("recipient", "preposition"),)))
        _thing(clause.recipient, path + ("recipient",), words)
    _complement(clause, path + ("predicate",), subject, words)
    for index, phrase in enumerate(clause.phrases):
        _phrase(phrase, path + ("phrase", index), words)
    if clause.time:
        for written, english in _parts("time", clause.time):
            concept = (path + ("time", english[0]),) if english else ()
            words.append(Word(written, concept, () if concept else (path + ("time", 1),)))


def _verb_group(clause: Clause, path: Path, who: int, words: list[Word]) -> None:
    """ne, clitics, verb, pas and the adverb, in their order; with a modal, the infinitive too."""
    negation, verb = (path + ("not",),), (path + ("verb",),)
    clitics = _clitics(clause, path)
    if clause.negation:
        words.append(Word("ne", negation))
    if not clause.modal:
        words += clitics
    words.append(_finite(clause, path, who))
    if clause.negation:
        words.append(Word("pas" if clause.negation == "not" else "jamais", negation))
    if clause.frequency:
        _expression("frequency", clause.frequency, path + ("frequency",), words)
    if clause.modal:
        words += clitics
        words.append(Word(read_lexicon("french_verbs")[clause.verb]["french"], verb))


def _finite(clause: Clause, path: Path, who: int) -> Word:
    if clause.modal:
        return Word(_present(clause.modal)[who], (path + ("modal",),))
    to_have = clause.verb == "there" or any(_adjective(a).noun for a in clause.adjectives)
    return Word(_present("have" if to_have else clause.verb)[who], (path + ("verb",),))


def _clitics(clause: Clause, path: Path) -> list[Word]:
    """Object pronouns in their order: me te nous, le la les, lui leur."""
    clitics = []
    if clause.verb == "there":
        clitics.append(Word("y", (path + ("there",),)))
    if clause.object and clause.object[0].noun in PRONOUNS:
        clitics.append(Word(_OBJECTS[clause.object[0].noun], (path + ("object", "noun"),)))
    if clause.recipient is not None and clause.recipient.noun in PRONOUNS:
        concepts = (path + ("recipient", "preposition"), path + ("recipient", "noun"))
        clitics.append(Word(_RECIPIENTS[clause.recipient.noun], concepts))
        if len(clitics) == 2 and clitics[0].text not in ("le", "la", "les"):
            raise ValueError(f"object: got {clause.object}, expected him, her, it or them")
    return sorted(clitics, key=lambda word: _CLITIC_RANK.get(word.text, 0))


def _complement(clause: Clause, path: Path, subject: Sequence[Thing], words: list[Word]) -> None:
    """What follows être: adjectives that agree with the subject, or a noun without an article."""
    feminine = all(_feminine(thing) for thing in subject)
    form = feminine + 2 * (person(subject) >= 3)
    for index, name in enumerate(clause.adjectives):
        if index:
            _expression("conjunction", clause.link, path + ("and",), words)
        if index == 0 and clause.very:
            _expression("degree", "very", path + ("very",), words)
        words.append(Word(_adjective(name).forms[form], (path + ("adjective", index),)))
    if clause.noun is not None and clause.noun.determiner in ("", "a"):
        text = _noun(clause.noun.noun).job[form]
        words.append(Word(text, (path + ("noun",),), (path + ("determiner",),)))
    elif clause.noun is not None:
        _thing(clause.noun, path, words)


def _feminine(thing: Thing) -> bool:
    return thing.noun == "she" if thing.noun in PRONOUNS else _noun(thing.noun).gender == 1


def _phrase(phrase: Phrase, path: Path, words: list[Word]) -> None:
    """A preposition and its noun; à paris, en train and à l'école have their own."""
    concept, thing = path + ("preposition",), phrase.thing
    if thing.noun in PRONOUNS:
        _expression("preposition", phrase.preposition, concept, words)
        words.append(Word(_STRESSED[thing.noun], (path + ("noun",),)))
        return
    noun = _noun(thing.noun)
    bare = not thing.determiner and not thing.plural
    if bare and noun.means and phrase.preposition in ("by", "on"):
        words.append(Word(noun.means, (concept,)))
        words.append(Word(noun.singular, (path + ("noun",),)))
        return
    preposition = "at" if noun.name and phrase.preposition == "in" else phrase.preposition
    _expression("preposition", preposition, concept, words)
    _thing(thing, path, words, bare="all" if bare and not noun.mass else "some")


def _expression(kind: str, english: str, concept: Path, words: list[Word]) -> None:
    """Words of a fixed translation, all for one concept; some express it only possibly."""
    for written, sure in _parts(kind, english):
        words.append(Word(written, (concept,) if sure else (), () if sure else (concept,)))


@cache
def _parts(kind: str, english: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Words of an entry of french_others, each with the English words it translates.

    "le/1 matin/2" is (("le", (1,)), ("matin", (2,))); "près/0 de" leaves "de" with none.
    """
    row = read_lexicon("french_others")[english]
    if row["kind"] != kind:
        raise ValueError(f"{english!r}: is a {row['kind']} in french_others, expected a {kind}")
    pieces = [piece.partition("/") for piece in row["french"].split()]
    return tuple((text, (int(number),) if number else ()) for text, _, number in pieces)


# --- Morphology --------------------------------------------------------------------------------


@cache
def _noun(noun: str) -> Noun:
    row = read_lexicon("french_nouns")[noun]
    kinds = row["kinds"].split()
    singular, feminine = row["french"], row["feminine"] or row["french"]
    plural = row["plural"] or plural_of(singular)
    job = (singular, feminine, plural, plural_of(feminine))
    gender = "mf".index(row["gender"])
    mass, name = "mass" in kinds, "name" in kinds
    return Noun(singular, plural, gender, job, mass, name, row["means"])


@cache
def _adjective(adjective: str) -> Adjective:
    row = read_lexicon("french_adjectives")[adjective]
    masculine = row["french"]
    feminine = row["feminine"] or feminine_of(masculine)
    forms = (masculine, feminine, plural_of(masculine), plural_of(feminine))
    if row["place"] in ("invariable", "noun"):
        forms = (masculine,) * 4
    before_vowel = row["before_vowel"] or masculine
    return Adjective(forms, before_vowel, row["place"] == "before", row["place"] == "noun")


@cache
def _present(verb: str) -> tuple[str, ...]:
    row = read_lexicon("french_verbs")[verb]
    return tuple(row["present"].split()) or present_of(row["french"])


@cache
def _article_after(verb: str) -> str:
    """What a bare object gets: "all" (aimer le café), "none" (parler français); de (jouer de)."""
    return "" if verb == "there" else read_lexicon("french_verbs")[verb]["article"]


def plural_of(word: str) -> str:
    """Regular plural of a noun or a masculine adjective."""
    if word.endswith(("s", "x", "z")):
        return word
    if word.endswith("al"):
        return word[:-2] + "aux"
    return word + ("x" if word.endswith(("eau", "eu")) and word != "bleu" else "s")


def feminine_of(adjective: str) -> str:
    """Regular feminine of an adjective."""
    if adjective.endswith("e"):
        return adjective
    if adjective.endswith("eux"):
        return adjective[:-1] + "se"
    if adjective.endswith("er"):
        return adjective[:-2] + "ère"
    return adjective + "e"


def present_of(infinitive: str) -> tuple[str, ...]:
    """Six forms of a regular verb: -er (nous mangeons), -ir (nous finissons), -re (il attend)."""
    stem, ending = infinitive[:-2], infinitive[-2:]
    if ending == "er":
        first_plural = stem + ("eons" if stem.endswith("g") else "ons")
        return (stem + "e", stem + "es", stem + "e", first_plural, stem + "ez", stem + "ent")
    if ending == "ir":
        return tuple(stem + end for end in ("is", "is", "it", "issons", "issez", "issent"))
    if ending == "re":
        return tuple(stem + end for end in ("s", "s", "", "ons", "ez", "ent"))
    raise ValueError(f"infinitive: got {infinitive!r}, expected one in -er, -ir or -re")
