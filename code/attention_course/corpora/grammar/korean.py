"""Korean: a meaning becomes polite 해요-style words; endings by rule, irregular forms stored.

Particles are tokens of their own that start with "##" and are chosen by the last sound of the
word before them. Rules and forms follow the standard grammar of the National Institute of Korean
Language (한국어 어문 규범); the lexicons `data/lexicons/korean_*.tsv` hold what no rule gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from attention_course.corpora.grammar.meaning import (
    Clause,
    Phrase,
    Sentence,
    Thing,
    clause_path,
    read_lexicon,
)
from attention_course.corpora.translation import Word

Path = tuple[str | int, ...]

# Final consonants as Unicode counts them: a syllable is 0xAC00 + (first * 21 + vowel) * 28 + final
_FINALS = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")
# Digits and letters as they are read: 영 일 이 삼 사 오 육 칠 팔 구; 에이 … 엘 엠 엔 … 아르 …
_READ_FINALS = {**dict(zip("0123456789", "ㅇㄹ ㅁ  ㄱㄹㄹ ")), "L": "ㄹ", "M": "ㅁ", "N": "ㄴ"}
#: Particles with two forms: after a consonant, after a vowel.
PARTICLES = {
    "은": ("은", "는"),
    "이": ("이", "가"),
    "을": ("을", "를"),
    "과": ("과", "와"),
    "으로": ("으로", "로"),
    "이에요": ("이에요", "예요"),
}
_PERSONS = ("i", "we", "who")
NUMBERS = {"two": "두", "three": "세", "four": "네", "five": "다섯"}
_DETERMINERS = {"this": "이", "that": "그", "my": "제", "our": "우리"}
_PRONOUNS = {"i": "저", "we": "우리"}
_CONJUNCTIONS = {"and": "고", "but": "지만", "because": "서"}
# Words of place: the noun that an English preposition is in Korean.
_SIDES = {
    "in": "안",
    "on": "위",
    "under": "아래",
    "behind": "뒤",
    "next to": "옆",
    "in front of": "앞",
    "near": "근처",
}
#: Verbs whose place is where something is, marked by 에; others happen somewhere, 에서.
_STATIC = ("be", "there", "live")
# Where a phrase stands between the time and the object.
_COMPANY, _VEHICLE, _PLACE, _TOOL = range(4)


def final_consonant(word: str) -> str:
    """The consonant that the word ends in when read aloud, "" after a vowel.

    Korean syllables, digits and abbreviations in capitals (TV) are known; raises ValueError for
    any other last character, whose reading the spelling does not give.
    """
    last = word[-1:]
    if "가" <= last <= "힣":
        return _FINALS[(ord(last) - 0xAC00) % 28]
    if last and (last.isdecimal() or (word.isascii() and word.isupper())):
        return _READ_FINALS.get(last, "").strip()
    raise ValueError(f"word: got {word!r}, expected one that ends in Hangul, a digit or capitals")


@cache
def particle(word: str, name: str) -> str:
    """The form of a particle after a word: particle("책", "을") is "을", ("사과", "을") "를".

    name: a key of `PARTICLES`, or a particle with one form (에, 에서, 에게).
    """
    if name not in PARTICLES:
        return name
    final = final_consonant(word)
    if name == "으로" and final == "ㄹ":
        final = ""
    return PARTICLES[name][not final]


def detokenize_korean(tokens: Sequence[str]) -> str:
    """Join tokens; particles stand with their word: 학생은 책을 읽어요."""
    return " ".join(tokens).replace(" ##", "")


@cache
def inflect(lemma: str, ending: str) -> str:
    """A form of a stored verb or adjective.

    ending: "요" (읽어요), "는" (adnominal: 읽는), "ㄹ" (prospective: 읽을), "서" and "야" (on the
    stem of 해요: 읽어서, 읽어야), or "고", "지만", "지", which join the dictionary stem as it is.
    """
    row = _forms(lemma)
    if ending in _STORED:
        return row[_STORED[ending]]
    if ending in ("서", "야"):
        return row["polite"].removesuffix("요") + ending
    return lemma.removesuffix("다") + ending


_STORED = {"요": "polite", "는": "adnominal", "ㄹ": "prospective"}


@cache
def _forms(lemma: str) -> dict[str, str]:
    verbs = read_lexicon("korean_verbs")
    return verbs[lemma] if lemma in verbs else read_lexicon("korean_adjectives")[lemma]


@cache
def classes(noun: str) -> frozenset[str]:
    """The noun itself and the classes that the lexicon gives it; a pronoun is a "speaker"."""
    if noun in _PERSONS:
        return frozenset((noun, "speaker"))
    return frozenset((noun, *read_lexicon("korean_nouns")[noun]["classes"].split()))


@cache
def fits(noun: str, names: str) -> bool:
    """Whether one of the names (nouns with "_" for a space, or classes) holds for the noun."""
    return not classes(noun).isdisjoint(_names(names))


@cache
def _names(text: str) -> tuple[str, ...]:
    return tuple(name.replace("_", " ") for name in text.split())


@cache
def adjective_lemma(adjective: str, noun: str) -> str:
    """Korean for an English adjective said of a noun: cold weather is 추운, cold water 차가운.

    Raises ValueError where the lexicon does not let the two stand together.
    """
    for lemma, row in read_lexicon("korean_adjectives").items():
        if row["english"] == adjective and fits(noun, row["nouns"]):
            return lemma
    raise ValueError(f"adjective: got {adjective!r} of {noun!r}, which the lexicon does not hold")


@cache
def verb_use(verb: str, noun: str | None) -> dict[str, str]:
    """The use of an English verb with an object: wear shoes is 신다, wear a hat 쓰다.

    noun: the first noun of the object, None without one. Raises ValueError if there is no use.
    """
    for row in read_lexicon("korean_uses").values():
        if row["verb"] == verb and (fits(noun, row["objects"]) if noun else not row["objects"]):
            return row
    raise ValueError(f"verb: got {verb!r} with {noun!r}, which the lexicon does not hold")


def realise(sentence: Sentence) -> list[Word]:
    """The words of the sentence, without a final period."""
    last = len(sentence.clauses) - 1
    if "because" in sentence.conjunctions:
        return _because(sentence)
    words: list[Word] = []
    for index, clause in enumerate(sentence.clauses):
        ending, conjunction = "요", ()
        if index < last:
            ending = _CONJUNCTIONS[sentence.conjunctions[index]]
            conjunction = (clause_path(index + 1) + ("conjunction",),)
        path = clause_path(index)
        words += _subject(clause, path)
        words += _predicate(clause, path, ending, conjunction, _contrasts(sentence, index))
    return words


def _contrasts(sentence: Sentence, index: int) -> bool:
    """Whether the object is set against one before: 커피를 마시지만 우유는 안 마셔요."""
    clause = sentence.clauses[index]
    return (
        index > 0
        and sentence.conjunctions[index - 1] == "but"
        and clause.negation == "not"
        and not clause.subject
    )


def _because(sentence: Sentence) -> list[Word]:
    """The cause comes first in Korean; a subject that both clauses share is said once."""
    effect, cause = sentence.clauses
    path = clause_path(1)
    conjunction = (path + ("conjunction",),)
    reason = _predicate(cause, path, "서", conjunction)
    topic = _subject(effect, ())
    if cause.subject != effect.subject:
        return _subject(cause, path, embedded=True) + reason + topic + _predicate(effect, ())
    # "저는" stands for both English pronouns, surely for the first.
    topic[0] = topic[0]._replace(possible=topic[0].possible + (path + ("subject", "noun"),))
    return topic + reason + _predicate(effect, ())


def _subject(clause: Clause, path: Path, embedded: bool = False) -> list[Word]:
    """Subject and particle: 은/는 for the topic, 이/가 in a clause within another.

    Nothing where the predicate brings its subject along: there is, and the weather.
    """
    if not clause.subject or clause.verb == "there" or (_is_weather(clause) and not embedded):
        return []
    path += ("subject",)
    first = clause.subject[0].noun
    if first == "who":
        return [Word("누가", (path + ("noun",),))]
    words = _things(clause.subject, path)
    if embedded and clause.subject[-1].noun == "i":  # 저 + 가
        words[-1] = words[-1]._replace(text="제")
        return words + [Word("##가", (), words[-1].sure)]
    return _mark(words, "이" if embedded else "은")


def _is_weather(clause: Clause) -> bool:
    return bool(clause.subject) and clause.subject[0].noun == "weather"


def _mark(words: list[Word], name: str, sure: Path | None = None) -> list[Word]:
    """The words and a particle: a possible link to the noun it marks, a sure one to `sure`."""
    text = "##" + particle(words[-1].text, name)
    return words + [Word(text, (sure,) if sure else (), words[-1].sure + words[-1].possible)]


def _things(things: Sequence[Thing], path: Path, counted: bool = True) -> list[Word]:
    words: list[Word] = []
    for index, thing in enumerate(things):
        if index:
            path += ("and",)
            words = _mark(words, "과", path)
        words += _thing(thing, path, counted)
    return words


def _thing(thing: Thing, path: Path, counted: bool = True) -> list[Word]:
    """Relative clause, determiner, adjectives, noun; with `counted` also number and counter."""
    noun = (path + ("noun",),)
    if thing.noun in _PRONOUNS:
        return [Word(_PRONOUNS[thing.noun], noun)]
    words: list[Word] = []
    if thing.relative is not None:
        words += _relative(thing.relative, path + ("relative",), thing.noun)
    if thing.determiner in _DETERMINERS:
        text = "우리" if _is_ours(thing) else _DETERMINERS[thing.determiner]
        words.append(Word(text, (path + ("determiner",),)))
    for index, adjective in enumerate(thing.adjectives):
        lemma = adjective_lemma(adjective, thing.noun)
        words += _tokens(inflect(lemma, "는"), (path + ("adjective", index),))
    text, title = _noun(thing.noun, thing.plural and thing.determiner not in NUMBERS)
    words.append(Word(text, noun))
    if title:
        words.append(Word(title, (), noun))
    if counted and thing.determiner in NUMBERS:
        words += _count(thing, path)
    return words


@cache
def _noun(noun: str, several: bool) -> tuple[str, str]:
    """A noun, marked as plural if it is one of people (of things the plain noun says it), and
    the title that a name takes."""
    row = read_lexicon("korean_nouns")[noun]
    marked = several and fits(noun, "person baby")
    return row["korean"] + "들" * marked, "씨" * fits(noun, "name")


def _is_ours(thing: Thing) -> bool:
    """One's home and school are 우리 집 and 우리 학교, also where English says "my"."""
    return thing.determiner == "my" and "uri" in classes(thing.noun)


def _count(thing: Thing, path: Path) -> list[Word]:
    """Native numeral and counter: 두 권."""
    counter = read_lexicon("korean_nouns")[thing.noun]["counter"]
    number = Word(NUMBERS[thing.determiner], (path + ("determiner",),))
    return [number, Word(counter, (), (path + ("noun",),))]


def _tokens(text: str, sure: tuple[Path, ...]) -> list[Word]:
    """Words of one concept: 키 ##가 커요 is "tall". The particle within has no sure link."""
    if " " not in text:
        return [Word(text, sure)]
    parts = text.split()
    return [Word(part, () if part[0] == "#" else sure, sure * (part[0] == "#")) for part in parts]


def _relative(clause: Clause, path: Path, noun: str) -> list[Word]:
    """A clause before its noun: 제가 읽는 (책). "that" has a possible link to its verb."""
    words = _subject(clause, path, embedded=True) + _before_verb(clause, path)
    words += _verb(clause, path, "는", noun if clause.subject else None)
    words[-1] = words[-1]._replace(possible=words[-1].possible + (path,))
    return words


def _predicate(
    clause: Clause,
    path: Path,
    ending: str = "요",
    conjunction: tuple[Path, ...] = (),
    contrast: bool = False,
) -> list[Word]:
    """All that follows the topic; its last word also stands for the English conjunction."""
    if clause.verb in ("be", "there", "have"):
        words = _state(clause, path, ending)
    else:
        words = _before_verb(clause, path, contrast) + _verb(clause, path, ending)
    if conjunction:
        words[-1] = words[-1]._replace(sure=words[-1].sure + conjunction)
    return words


def _state(clause: Clause, path: Path, ending: str) -> list[Word]:
    """to be, there is, to have."""
    verb = path + ("verb",)
    words = _time(clause, path) + _adverb(clause.frequency, path + ("frequency",), "topic")
    if clause.noun is not None:
        return words + _copula(clause.noun, clause, path, ending)
    if _is_weather(clause) and ending != "서":
        words = _mark(words + _things(clause.subject, path + ("subject",)), "이")
    if clause.adjectives:
        return words + _adjectives(clause, path, ending)
    words += _phrases(clause, path)
    for role, things in (("subject", clause.subject), ("object", clause.object)):
        if things and (role == "object" or clause.verb == "there"):
            words += _owned(things, path + (role,))
    many = (clause.subject if clause.verb == "there" else clause.object)[:1]
    if many and many[0].determiner == "many":
        role = "subject" if clause.verb == "there" else "object"
        return words + [Word(inflect("많다", ending), (path + (role, "determiner"), verb))]
    return words + _inflected("있다", clause, path, ending, (verb,))


def _owned(things: Sequence[Thing], path: Path) -> list[Word]:
    """What there is, or what one has: 고양이가 두 마리 (있어요), the number after the particle."""
    words = _mark(_things(things, path, counted=False), "이")
    return words + (_count(things[0], path) if things[0].determiner in NUMBERS else [])


def _copula(noun: Thing, clause: Clause, path: Path, ending: str) -> list[Word]:
    """학생이에요, 의사예요, 학생이 아니에요."""
    verb, negation = path + ("verb",), path + ("not",)
    # A predicate noun is never marked for number: 제 친구들은 학생이에요.
    words = _thing(noun._replace(plural=False), path + ("predicate",))
    if clause.negation:
        return _mark(words, "이") + [Word(inflect("아니다", ending), (verb, negation))]
    text = particle(words[-1].text, "이에요") if ending == "요" else "이" + ending
    return words + [Word("##" + text, (verb,))]


def _adjectives(clause: Clause, path: Path, ending: str) -> list[Word]:
    """One or two adjectives as predicate: 작고 귀여워요, 비싸지만 맛있어요."""
    words: list[Word] = []
    noun = clause.subject[0].noun
    predicate, last = path + ("predicate",), len(clause.adjectives) - 1
    for index, adjective in enumerate(clause.adjectives):
        lemma = adjective_lemma(adjective, noun)
        sure = (predicate + ("adjective", index),)
        if index < last:
            joined = inflect(lemma, _CONJUNCTIONS[clause.link])
            part = _tokens(joined, (*sure, predicate + ("and",)))
        else:
            part = _inflected(lemma, clause, path, ending, sure, (path + ("verb",),))
        if clause.very and not index:
            core = 1 + (clause.negation == "not" and not last)
            part.insert(len(part) - core, Word("아주", (predicate + ("very",),)))
        words += part
    return words


def _before_verb(clause: Clause, path: Path, contrast: bool = False) -> list[Word]:
    """Time, company, means, place, recipient and object, in the usual order."""
    frequency, manner = (path + ("frequency",), path + ("manner",))
    words = _time(clause, path)
    words += _adverb(clause.frequency, frequency, "topic") + _adverb(clause.manner, manner, "topic")
    words += _phrases(clause, path)
    if clause.recipient is not None:
        place = path + ("recipient",)
        words += _mark(_thing(clause.recipient, place), "에게", place + ("preposition",))
    words += _adverb(clause.manner, manner, "object")
    if clause.object:
        use = verb_use(clause.verb, clause.object[0].noun)
        name = "은" if contrast else use["particle"]
        words += _mark(_things(clause.object, path + ("object",)), name)
    return words + _adverb(clause.frequency, frequency, "verb")


def _adverb(adverb: str, concept: Path, position: str) -> list[Word]:
    if not adverb:
        return []
    row = read_lexicon("korean_adverbs")[adverb]
    return [Word(row["korean"], (concept,))] if row["position"] == position else []


def _time(clause: Clause, path: Path) -> list[Word]:
    words = []
    for text, sure, possible in _time_words(clause.time) if clause.time else ():
        start = path + ("time",)
        words.append(Word(text, *(tuple(start + (i,) for i in part) for part in (sure, possible))))
    return words


@cache
def _time_words(time: str) -> tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]:
    """Korean words of an expression of time, with the English ones they surely and possibly are.

    In the lexicon "아침/2 ##에/0" says that 아침 is English word 2, and "시/?1" that 시 may be 1.
    """
    words = []
    for item in read_lexicon("korean_times")[time]["korean"].split():
        text, _, links = item.partition("/")
        numbers = tuple(int(i) for i in links.lstrip("?").split(","))
        words.append((text, (), numbers) if links[0] == "?" else (text, numbers, ()))
    return tuple(words)


def _phrases(clause: Clause, path: Path) -> list[Word]:
    if not clause.phrases:
        return []
    static = clause.verb in _STATIC
    parts = [
        _phrase(phrase, path + ("phrase", index), static)
        for index, phrase in enumerate(clause.phrases)
    ]
    return [word for _, words in sorted(parts, key=lambda part: part[0]) for word in words]


def _phrase(phrase: Phrase, path: Path, static: bool) -> tuple[int, list[Word]]:
    """The place in the order, and the words, of a phrase."""
    words = _thing(phrase.thing, path)
    link, preposition, noun = path + ("preposition",), phrase.preposition, phrase.thing.noun
    if preposition == "with" and fits(noun, "person name"):
        return _COMPANY, _mark(words, "과", link)
    if preposition == "by":
        return _VEHICLE, _mark(words, "으로", link)
    if preposition == "with" or fits(noun, "language"):
        return _TOOL, _mark(words, "으로", link)
    if preposition == "to":
        return _PLACE, _mark(words, "에", link)
    where = "에" if static else "에서"
    if preposition not in _SIDES or (preposition in ("in", "on") and fits(noun, "place town sea")):
        return _PLACE, _mark(words, where, link)
    return _PLACE, words + [Word(_SIDES[preposition], (link,)), Word("##" + where, (), (link,))]


def _verb(clause: Clause, path: Path, ending: str, noun: str | None = None) -> list[Word]:
    """Verb, negation and modal verb: 먹고 싶지 않아요, 읽을 수 있어요, 공부해야 해요.

    noun: what the verb acts on, where it is not in the clause (the book that i read).
    """
    verb, modal = (path + ("verb",),), (path + ("modal",),)
    use = verb_use(clause.verb, clause.object[0].noun if clause.object else noun)
    lemma, well = use["korean"], clause.manner == "well"
    if well and lemma.endswith("하다"):
        return _done_well(lemma, path, ending)
    words = _adverb(clause.manner, path + ("manner",), "verb")
    if clause.modal == "want":
        words.append(Word(inflect(lemma, "고"), verb))
        return words + _inflected("싶다", clause, path, ending, modal)
    if clause.modal == "can":
        words += [Word(inflect(lemma, "ㄹ"), verb), Word("수", modal)]
        return words + _inflected("있다", clause, path, ending, modal)
    if clause.modal == "must":
        words.append(Word(inflect(lemma, "야"), verb, modal))
        return words + _inflected("하다", clause, path, ending, modal)
    return words + _inflected(lemma, clause, path, ending, verb)


def _done_well(lemma: str, path: Path, ending: str) -> list[Word]:
    """To swim well is 수영을 잘해요: the adverb joins 하다, its noun becomes the object."""
    noun, verb = lemma.removesuffix("하다"), (path + ("verb",),)
    words = _mark([Word(noun, verb)], "을") if noun else []
    sure = (path + ("manner",),) + (() if noun else verb)
    return words + [Word(inflect("잘하다", ending), sure, verb if noun else ())]


def _inflected(
    lemma: str,
    clause: Clause,
    path: Path,
    ending: str,
    sure: tuple[Path, ...],
    possible: tuple[Path, ...] = (),
) -> list[Word]:
    """The form with its negation: 안 가요, 공부하지 않아요, or a word of its own, 몰라요."""
    negation = (path + ("not",),)
    if not clause.negation:
        return _finish(_tokens(inflect(lemma, ending), sure), possible)
    kind = _forms(lemma)["negation"]
    if kind == "short":
        return [Word("안", negation), Word(inflect(lemma, ending), sure)]
    if kind == "long":
        words = _tokens(inflect(lemma, "지"), sure)
        return words + [Word(inflect("않다", ending), negation, (path + ("verb",),))]
    return _finish(_tokens(inflect(kind, ending), sure + negation), possible)


def _finish(words: list[Word], possible: tuple[Path, ...]) -> list[Word]:
    if possible:
        words[-1] = words[-1]._replace(possible=words[-1].possible + possible)
    return words
