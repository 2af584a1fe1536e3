"""Meanings to be said in English and Korean: who may do what, with what, where and when."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from attention_course.corpora.grammar.korean import NUMBERS, classes, fits
from attention_course.corpora.grammar.meaning import (
    Choose,
    Clause,
    Combination,
    Phrase,
    Sentence,
    Thing,
    read_lexicon,
)

_I, _WE, _WHO = Thing("i"), Thing("we"), Thing("who")
_RARELY = (True, False, False, False, False)
_NOT_SELDOM = (True, False, False)
_SELDOM = (True,) + (False,) * 9
_OFTEN = (True, False)
_CITIES = ("seoul", "paris", "london", "tokyo")

# What is where: things, preposition, places.
_LOCATIONS = (
    ("book magazine newspaper cup pencil key wallet phone camera map", "on", "desk table"),
    ("cat dog doll bag", "on", "sofa bed"),
    ("cat dog ball bag box", "under", "desk table chair bed"),
    ("key wallet phone pencil pen book map camera", "in", "bag box"),
    ("cat dog rabbit bird tree flower", "in", "garden"),
    ("horse cow pig duck dog", "on", "farm"),
    ("monkey bear tiger elephant bird", "at", "zoo"),
    ("car bicycle taxi", "in front of", "house school hospital station hotel library"),
    ("bicycle dog tree", "behind", "house school library"),
    ("bank post_office bookstore cafe supermarket restaurant", "next to", "station school market"),
    ("bank bookstore cafe supermarket restaurant hospital", "near", "station school park hotel"),
    ("bookstore cafe restaurant bank", "in front of", "station hospital theater"),
    ("bank post_office cafe park", "behind", "market hospital hotel station"),
    ("clock computer mirror piano sofa bed desk", "in", "room living_room"),
    ("student child boy girl", "in", "classroom library park"),
)
# Where people are.
_WHEREABOUTS = "home school library park market hospital bank restaurant cafe station museum hotel"
# What one has, and what one has many of.
_HAD = "pet car bicycle camera computer guitar piano umbrella phone son daughter house"
_HAD_MANY = "book magazine photo picture hat shirt doll friend"
# Verbs of "the song that i sing", by what they act on.
_RELATIVE_VERBS = (
    ("book magazine", ("read", "like", "buy")),
    ("novel", ("read", "like")),
    ("movie drama", ("watch", "like")),
    ("song", ("sing", "listen to", "like")),
    ("fruit", ("eat", "buy", "like")),
    ("cake sandwich", ("make", "eat", "buy")),
    ("clothes hat", ("wear", "like")),
    ("camera computer phone", ("use",)),
    ("bicycle horse", ("ride",)),
)
# Pairs of adjectives that go well together, or surprise together.
_TOGETHER = (
    *(("small", "cute"), ("big", "heavy"), ("small", "light"), ("cheap", "delicious")),
    *(("clean", "quiet"), ("pretty", "cheap"), ("kind", "smart"), ("smart", "cute")),
    *(("long", "difficult"), ("short", "easy"), ("big", "clean"), ("spacious", "quiet")),
    *(("sweet", "delicious"), ("big", "expensive"), ("tall", "kind"), ("easy", "interesting")),
)
_AGAINST = (
    *(("small", "expensive"), ("pretty", "expensive"), ("expensive", "delicious")),
    *(("difficult", "interesting"), ("small", "heavy"), ("big", "light"), ("cheap", "good")),
    *(("busy", "happy"), ("small", "clean"), ("long", "interesting"), ("spicy", "delicious")),
    *(("tired", "happy"), ("big", "quiet"), ("expensive", "good"), ("far", "quiet")),
)
# What goes on for long: not done often, nor between two other things.
_STEADY = ("learn", "teach", "grow", "sell")
# Why: what one does not do, or does, because of it.
_HINDERED = ("go", "work without object", "run", "swim", "study without object", "play a sport")
_CAUSES = (
    ("sick", ("not go", "not work", "not study without object", "not run", "rest")),
    ("tired", ("not work", "not study without object", "not run", "rest", "not cook")),
    ("busy", ("not rest", "not cook", "not clean", "not watch television")),
)
_WEATHER_CAUSES = (
    ("cold", ("stay", "tea", "not swim", "not run", "not walk")),
    ("hot", ("stay", "cool", "swim", "not run", "not walk")),
    ("good", ("walk", "run", "park")),
    ("warm", ("walk", "run", "park")),
)


class Use(NamedTuple):
    """A line of `korean_uses.tsv`, with classes replaced by the nouns in them."""

    name: str
    verb: str
    subjects: tuple[str, ...]
    objects: tuple[str, ...]
    determiners: str
    places: tuple[str, ...]
    tools: tuple[str, ...]
    manners: tuple[str, ...]
    modals: tuple[str, ...]
    times: tuple[str, ...]
    company: bool


@cache
def members(names: str) -> tuple[str, ...]:
    """The nouns for which one of the names (nouns or classes) holds, in the lexicon's order."""
    return tuple(noun for noun in read_lexicon("korean_nouns") if names and fits(noun, names))


@cache
def uses() -> dict[str, Use]:
    """The uses of verbs by name."""
    return {name: _use(row) for name, row in read_lexicon("korean_uses").items()}


def _use(row: dict[str, str]) -> Use:
    subjects = row["subjects"].split()
    return Use(
        row["use"],
        row["verb"],
        tuple(
            name
            for group in subjects
            for name in ((group,) if group in ("people", "speaker") else members(group))
        ),
        members(row["objects"]),
        row["determiners"],
        members(row["places"]),
        members(row["tools"]),
        tuple(row["manner"].split()),
        tuple(row["modals"].split()),
        times(row["times"]),
        row["company"] == "yes",
    )


@cache
def times(kinds: str) -> tuple[str, ...]:
    """Expressions of time of the kinds, or by name ("at_night")."""
    wanted = set(kinds.split())
    return tuple(
        time
        for time, row in read_lexicon("korean_times").items()
        if not wanted.isdisjoint((time.replace(" ", "_"), *row["kind"].split()))
    )


@cache
def adjectives_of(noun: str, predicate: bool = False) -> tuple[str, ...]:
    """English adjectives that the lexicon lets stand with a noun, or with "is" after it."""
    return tuple(
        row["english"]
        for row in read_lexicon("korean_adjectives").values()
        if row["use"] in ("both", "predicative" if predicate else "attributive")
        and fits(noun, row["nouns"])
    )


def fitting() -> list[Combination]:
    """Every (adjective, noun) that may meet in a sentence, in a fixed order."""
    return [
        (adjective, noun)
        for noun in read_lexicon("korean_nouns")
        for adjective in dict.fromkeys(adjectives_of(noun) + adjectives_of(noun, True))
    ]


def draw(choose: Choose, long: bool = False) -> Sentence:
    """A random meaning; a long one joins two or three clauses of several phrases each."""
    kind = choose(_LONG if long else _SHORT)
    return kind(choose, long)


# Things.


def _count(noun: str) -> bool:
    """Whether the noun has a plural."""
    return read_lexicon("korean_nouns")[noun]["plural"] != "-"


def _described(choose: Choose, thing: Thing, options: Sequence[bool] = _NOT_SELDOM) -> Thing:
    """The thing, sometimes with an adjective that fits it."""
    adjectives = adjectives_of(thing.noun)
    if fits(thing.noun, "subject sport town"):  # korean is easy, but one does not learn easy korean
        return thing
    if adjectives and choose(options):
        return thing._replace(adjectives=(choose(adjectives),))
    return thing


def _number(choose: Choose, noun: str) -> Thing | None:
    if not read_lexicon("korean_nouns")[noun]["counter"]:
        return None
    return Thing(noun, choose(tuple(NUMBERS)), True)


def _some(choose: Choose, noun: str) -> Thing:
    """a book, books, two books, this book, coffee, the coffee."""
    if not _count(noun):
        return Thing(noun, choose(("", "", "", "the")))
    kind = choose(("a", "a", "a", "plural", "plural", "the", "this", "number"))
    if noun == "shoe":
        kind = "plural"
    if kind == "number":
        return _number(choose, noun) or Thing(noun, "", True)
    return Thing(noun, "", True) if kind == "plural" else Thing(noun, kind)


#: Determiners of an object by the name in the lexicon; "s" marks the bare plural.
_CHOICES = {
    "the": ("the",),
    "known": ("the", "the", "this", "that"),
    "this": ("this", "the"),
    "worn": ("a", "a", "the", "this"),
    "made": ("a", "a", "s", "number"),
    "shoes": ("s",),
    "used": ("a", "the", "my", "this"),
    "photos": ("s", "s", "a", "number"),
    "vehicle": ("a", "the"),
    "song": ("a", "the", "this", "s"),
    "lost": ("my", "the"),
    "given": ("a", "a", "this", "the", "number"),
    "sent": ("a", "a", "this", "the", "number", "s"),
    "ridden": ("a", "a", "the"),
    "owned": ("my", "this", "the", "a"),
    "generic": ("s",),
    "plural": ("s",),
    "bare": ("",),
    "family": ("my",),
}


def _object(choose: Choose, use: Use, noun: str) -> Thing:
    rule = use.determiners
    if rule == "some":
        thing = _some(choose, noun)
    elif rule == "person":
        return _acquaintance(choose, noun)
    elif rule == "heard":
        thing = Thing(noun, {"radio": "the", "news": "the", "music": ""}.get(noun, "this"))
    elif noun in ("radio", "news"):
        return Thing(noun, "the")
    else:
        kind = choose(_CHOICES[rule])
        if kind == "number":
            thing = _number(choose, noun) or Thing(noun, "", _count(noun))
        elif kind == "s":
            thing = Thing(noun, "", _count(noun))
        else:
            thing = Thing(noun, kind if _count(noun) or kind == "the" else "")
    plain = thing.determiner in NUMBERS or rule == "plural"
    return thing if plain else _described(choose, thing)


def _acquaintance(choose: Choose, noun: str) -> Thing:
    kinds = classes(noun)
    if "name" in kinds:
        return Thing(noun)
    if "relation" in kinds:
        return Thing(noun, "my", _count(noun) and choose(_RARELY))
    return Thing(noun, "the", choose(_RARELY))


def _person(choose: Choose) -> Thing:
    """Someone who may do what people do."""
    kind = choose(("relation", "relation", "name", "person"))
    if kind == "person":
        noun = choose(members("child job"))
        return _described(choose, Thing(noun, "the", choose(_RARELY)))
    return _acquaintance(choose, choose(members(kind)))


def _people(choose: Choose, embedded: bool = False) -> tuple[Thing, ...]:
    """A subject: i, my friend, the doctors, minsu and jisu, who, the student who likes cats."""
    kind = choose(range(20))
    if kind < 5:
        return (_I,)
    if kind == 5:
        return (_WE,)
    if kind == 6 and not embedded:
        return (_WHO,)
    if kind == 7:
        return _two(choose)
    if kind == 8 and not embedded:
        thing = Thing(choose(members("child job")), "the", choose(_RARELY))
        return (thing._replace(relative=_who_does(choose)),)
    return (_person(choose),)


def _two(choose: Choose) -> tuple[Thing, ...]:
    first, second = _person(choose), _person(choose)
    while first.noun == second.noun:
        second = _person(choose)
    return (first, choose((second, _I)) if "relation" in classes(first.noun) else second)


def _who_does(choose: Choose) -> Clause:
    """Says which student: who likes cats, who studies korean, who lives in seoul."""
    kind = choose(("like", "study", "play an instrument", "live", "know", "speak"))
    if kind == "live":
        return Clause((), "live", phrases=(Phrase("in", Thing(choose(members("town")))),))
    use = uses()[kind]
    noun = choose(use.objects)
    return Clause((), use.verb, (_object(choose, use, noun)._replace(adjectives=()),))


def _subject(choose: Choose, use: Use) -> tuple[Thing, ...]:
    name = choose(use.subjects)
    if name == "people":
        return _people(choose)
    if name == "speaker":
        return (choose((_I, _I, _WE)),)
    kinds = classes(name)
    if "name" in kinds or "relation" in kinds:
        return (_acquaintance(choose, name),)
    thing = Thing(name, choose(("the", "the", "the", "this")), choose(_RARELY))
    if "animal" in kinds and choose(_RARELY):
        return (thing._replace(determiner="my"),) if "pet" in kinds else (thing,)
    return (_described(choose, thing),)


# Clauses.


def _action(choose: Choose, long: bool = False, subject=None, use: Use | None = None) -> Clause:
    """Somebody does something, perhaps with, at, when, how."""
    use = use or choose(_action_uses())
    subject = subject or _subject(choose, use)
    while use.verb == "need" and subject == (_WHO,):
        subject = _subject(choose, use)
    if use.verb in ("go", "come"):
        return _motion(choose, long, subject, use)
    if use.verb == "live":
        city = Phrase("in", Thing(choose(members("town"))))
        negation = "not" if choose(_SELDOM) else ""
        return Clause(subject, "live", phrases=(city,), negation=negation)
    clause = Clause(subject, use.verb)
    if use.objects:
        clause = _with_object(choose, clause, use)
    if use.tools:
        clause = clause._replace(phrases=(_tool(choose, use),))
    if use.verb in ("give", "send"):
        clause = clause._replace(recipient=_other(choose, clause))
    clause = _modality(choose, clause, use)
    return _circumstances(choose, clause, use, long)


@cache
def _action_uses() -> tuple[Use, ...]:
    """All uses; those of people and with many objects more often."""
    weights = {"go": 12, "come": 4, "live": 2, "study": 2, "read": 3, "buy": 3, "like": 4}
    return tuple(
        use
        for use in uses().values()
        for _ in range(weights.get(use.name, 1) + ("people" in use.subjects))
    )


def _with_object(choose: Choose, clause: Clause, use: Use) -> Clause:
    taken = [thing.noun for thing in clause.subject]
    noun = choose(use.objects)
    while noun in taken:
        noun = choose(use.objects)
    thing = _object(choose, use, noun)
    if use.determiners not in ("bare", "generic", "plural") or not choose(_SELDOM):
        return clause._replace(object=(thing,))
    kinds = read_lexicon("korean_nouns")[noun]["classes"].split()[:1]
    other = choose([name for name in use.objects if kinds[0] in classes(name)])
    if other == noun:
        return clause._replace(object=(thing,))
    return clause._replace(object=(thing, _object(choose, use, other)))


def _tool(choose: Choose, use: Use) -> Phrase:
    noun = choose(use.tools)
    if "language" in classes(noun):
        return Phrase("in", Thing(noun))
    return Phrase("with", Thing(noun, "" if noun == "chopsticks" else "a"))


def _other(choose: Choose, clause: Clause) -> Thing:
    """Someone who is not in the clause yet."""
    taken = [thing.noun for thing in clause.subject + clause.object]
    while True:
        noun = choose(members("relation name"))
        if noun not in taken:
            return _acquaintance(choose, noun)


def _modality(choose: Choose, clause: Clause, use: Use) -> Clause:
    """Sometimes not, sometimes can, must, want: only of oneself, others' wishes one guesses."""
    counted = any(thing.determiner in NUMBERS for thing in clause.object)
    if use.modals and choose(_RARELY):
        modal = choose(use.modals)
        if modal != "want" or clause.subject in ((_I,), (_WE,)):
            clause = clause._replace(modal=modal)
    if not counted and clause.modal != "must" and choose(_RARELY):
        clause = clause._replace(negation="not")
    return clause


def _circumstances(choose: Choose, clause: Clause, use: Use, long: bool) -> Clause:
    """Place, company, time, manner and frequency; more of them in a long sentence."""
    often = _OFTEN if long else (True, False, False)
    rarely = _OFTEN if long else _SELDOM
    phrases, subject = clause.phrases, clause.subject
    several = len(subject) > 1 or subject[0].plural or subject[0] == _WE
    plain = not (clause.negation or clause.modal)
    if use.manners and choose(_RARELY):
        manner = choose(use.manners)
        allowed = {"together": several, "alone": not several, "well": plain}.get(manner, True)
        if allowed and (not clause.negation or manner == "alone"):
            clause = clause._replace(manner=manner)
    accompanied = use.company and not several and subject != (_WHO,)
    if accompanied and clause.manner not in ("together", "alone", "well") and choose(rarely):
        phrases += (Phrase("with", _other(choose, clause)),)
    if use.places and clause.manner != "well" and choose(often):
        place = _place(choose, choose(use.places))
        phrases = (place,) + phrases
    clause = clause._replace(phrases=phrases)
    once = use.determiners in ("some", "made", "sent") and any(
        thing.determiner for thing in clause.object
    )
    plain = plain and not (clause.manner or once or use.verb in _STEADY)
    return _when(choose, clause, use.times, often, plain)


def _when(
    choose: Choose, clause: Clause, options: Sequence[str], often: Sequence[bool], plain: bool
) -> Clause:
    if not options:
        return clause
    if choose(often):
        time = choose(options)
        if plain or not time.startswith("every"):
            return clause._replace(time=time)
    elif plain and choose(_RARELY):
        frequency = choose(("often", "often", "always", "sometimes", "usually"))
        return clause._replace(frequency=frequency)
    return clause


def _place(choose: Choose, noun: str) -> Phrase:
    row = read_lexicon("korean_places")[noun]
    thing = Thing(noun, row["article"])
    if thing.determiner and _count(noun):
        thing = _described(choose, thing, _RARELY)
    return Phrase(row["preposition"], thing)


def _motion(choose: Choose, long: bool, subject: tuple[Thing, ...], use: Use) -> Clause:
    """Somebody goes somewhere, perhaps by bus, with someone."""
    noun = choose(_destinations())
    row = read_lexicon("korean_places")[noun]
    far = "town" in classes(noun)
    phrases = (Phrase("to", Thing(noun, row["article"])),)
    if choose(_OFTEN):
        phrases += (Phrase("by", Thing(choose(row["by"].split()))),)
    clause = Clause(subject, use.verb, phrases=phrases)
    if len(subject) == 1 and subject not in ((_WE,), (_WHO,)) and choose(_RARELY):
        clause = clause._replace(phrases=phrases + (Phrase("with", _other(choose, clause)),))
    clause = _modality(choose, clause, use)
    options = times("day" if far else "day hour at_nine every_day every_morning")
    plain = not (clause.negation or clause.modal)
    return _when(choose, clause, options, _OFTEN, plain)


@cache
def _destinations() -> tuple[str, ...]:
    return tuple(noun for noun, row in read_lexicon("korean_places").items() if row["by"])


def _be_adjective(choose: Choose, long: bool = False) -> Clause:
    """The house is big; korean is difficult; my friend is tall; i am busy."""
    kind = choose(("thing", "thing", "thing", "person", "speaker", "weather"))
    if kind == "weather":
        return _weather(choose)
    if kind == "speaker":
        subject: tuple[Thing, ...] = (choose((_I, _I, _WE)),)
    elif kind == "person":
        thing = _person(choose)._replace(adjectives=())
        subject = (thing,)
    else:
        subject = (_topic(choose, choose(_with_predicates())),)
    return _described_clause(choose, subject)


@cache
def _with_predicates() -> tuple[str, ...]:
    nouns = read_lexicon("korean_nouns")
    skip = ("weather", "tv")
    return tuple(
        noun
        for noun in nouns
        if noun not in skip and not fits(noun, "person name") and adjectives_of(noun, True)
    )


def _topic(choose: Choose, noun: str) -> Thing:
    """A thing to say something of: the, this, my, all of the kind, the one that i like."""
    kinds = classes(noun)
    if not kinds.isdisjoint(("subject", "town", "match")):
        return Thing(noun)
    if not _count(noun):
        return Thing(noun, choose(("the", "this")) if noun not in ("school", "sea") else "the")
    if "thing" in kinds or not kinds.isdisjoint(("clothes", "hat", "shoes")):
        determiner = choose(("the", "this", "that", "my"))
    else:
        determiner = choose(("the", "the", "this", "that"))
    several = choose(_RARELY) and kinds.isdisjoint(("place", "nature", "public"))
    thing = Thing(noun, determiner, several or noun == "shoe")
    verbs = next((verbs for names, verbs in _RELATIVE_VERBS if fits(noun, names)), ())
    if verbs and determiner == "the" and choose(_OFTEN):
        who = choose((_I, _I, _WE, Thing("friend", "my"), Thing(choose(members("name")))))
        return thing._replace(relative=Clause((who,), choose(verbs)))
    return thing


def _described_clause(choose: Choose, subject: tuple[Thing, ...]) -> Clause:
    options = adjectives_of(subject[0].noun, True)
    if not options:
        return _be_noun(choose)
    pair = choose((_TOGETHER, _AGAINST)) if choose(_NOT_SELDOM) else ()
    pairs = [two for two in pair if two[0] in options and two[1] in options]
    if pairs:
        link = "and" if pair is _TOGETHER else "but"
        return Clause(subject, "be", adjectives=choose(pairs), link=link)
    clause = Clause(subject, "be", adjectives=(choose(options),))
    if choose(_RARELY) and not fits(subject[0].noun, "town"):
        return clause._replace(negation="not")
    if clause.adjectives[0] in ("busy", "tired", "sick") and choose(_OFTEN):
        return clause._replace(time=choose(times("today recent")))
    return clause._replace(very=choose(_RARELY))


def _weather(choose: Choose) -> Clause:
    adjective = choose(adjectives_of("weather", True))
    clause = Clause((Thing("weather", "the"),), "be", adjectives=(adjective,))
    clause = clause._replace(time=choose(("", *times("today recent"), "in the morning")))
    if choose(_RARELY):
        return clause._replace(negation="not")
    return clause._replace(very=choose(_RARELY))


def _be_noun(choose: Choose, long: bool = False, subject=None) -> Clause:
    """My friend is a famous singer; minsu and jisu are students; seoul is a big city."""
    if subject is None and choose(_SELDOM):
        city = Thing("city", "a", adjectives=(choose(("big", "famous", "old")),))
        return Clause((Thing(choose(_CITIES)),), "be", noun=city)
    if subject is None:
        first = _acquaintance(choose, choose(members("relation name")))
        second = _acquaintance(choose, choose(members("name")))
        two = first.noun != second.noun and choose(_RARELY)
        subject = choose(((_I,), (_WHO,), *(((first, second),) * 3 if two else ((first,),) * 6)))
    several = len(subject) > 1 or subject[0].plural or subject[0] == _WE
    noun = Thing(choose(members("job occupation")), "" if several else "a", several)
    known = [name for name in ("famous", "young") if name in adjectives_of(noun.noun)]
    if known and subject[0] not in (_I, _WHO) and choose(_OFTEN):
        noun = noun._replace(adjectives=(choose(known),))
    negation = "not" if subject != (_WHO,) and choose(_RARELY) else ""
    return Clause(subject, "be", noun=noun, negation=negation)


def _located(choose: Choose) -> tuple[str, Phrase]:
    things, preposition, places = choose(_LOCATIONS)
    noun, place = choose(members(things)), choose(members(places))
    while noun == place:
        noun = choose(members(things))
    thing = _described(choose, Thing(place, "the"), _RARELY)
    return noun, Phrase(preposition, thing)


def _be_somewhere(choose: Choose, long: bool = False) -> Clause:
    """The cat is under the table; my friend is at school."""
    negation = "not" if choose(_RARELY) else ""
    if choose(_OFTEN):
        subject = _people(choose)
        place = _place(choose, choose(members(_WHEREABOUTS)))
        clause = Clause(subject, "be", phrases=(place,), negation=negation)
        return clause._replace(time=choose(times("hour day"))) if choose(_RARELY) else clause
    noun, place = _located(choose)
    kinds = classes(noun)
    determiner = choose(("the", "the", "the", "this") + (("my",) * 2 if "thing" in kinds else ()))
    thing = Thing(noun, determiner, _count(noun) and "place" not in kinds and choose(_RARELY))
    return Clause((_described(choose, thing),), "be", phrases=(place,), negation=negation)


def _there(choose: Choose, long: bool = False) -> Clause:
    """There is a cat in the garden; there are two, many."""
    noun, place = _located(choose)
    kind = choose(("a", "a", "a", "number", "number", "many"))
    if kind == "a":
        thing = _described(choose, Thing(noun, "a"), _OFTEN)
    elif kind == "number" and read_lexicon("korean_nouns")[noun]["counter"]:
        thing = Thing(noun, choose(("two", "three")), True)
    else:
        thing = Thing(noun, "many", True)
    return Clause((thing,), "there", phrases=(place,))


def _have(choose: Choose, long: bool = False, subject=None) -> Clause:
    """My friend has a cat, two cats, no cat, many books."""
    subject = subject or _people(choose)
    while subject == (_WHO,):
        subject = _people(choose)
    many = choose(_RARELY)
    noun = choose(members(_HAD_MANY if many else _HAD))
    while noun in [thing.noun for thing in subject]:
        noun = choose(members(_HAD_MANY if many else _HAD))
    if many:
        return Clause(subject, "have", (Thing(noun, "many", True),))
    if choose(_RARELY):
        thing = _number(choose, noun)
        return Clause(subject, "have", (thing or Thing(noun, "a"),))
    negation = "not" if choose(_RARELY) else ""
    thing = Thing(noun, "a")
    described = not negation and "person" not in classes(noun)
    thing = _described(choose, thing) if described else thing
    return Clause(subject, "have", (thing,), negation=negation)


# Sentences.


def _one(choose: Choose, long: bool) -> Sentence:
    kinds = (_action,) * 12 + (_be_adjective,) * 5 + (_be_noun, _be_somewhere, _there, _have)
    return Sentence((choose(kinds)(choose, long),))


def _both(choose: Choose, long: bool) -> Sentence:
    """Two people do two things: i read a book and my friend cooks."""
    first = _habit(choose, long, _plain_people(choose))
    return Sentence((first, _of_another(choose, long, first)), ("and",))


def _of_another(choose: Choose, long: bool, first: Clause) -> Clause:
    """Something else that somebody else does."""
    subject = _plain_people(choose)
    taken = first.subject + first.object + tuple(phrase.thing for phrase in first.phrases)
    while _same(taken, subject):
        subject = _plain_people(choose)
    clause = _habit(choose, long, subject)
    while clause.verb == first.verb:
        clause = _habit(choose, long, subject)
    return clause


@cache
def _people_uses() -> tuple[Use, ...]:
    return tuple(use for use in _action_uses() if "people" in use.subjects)


@cache
def _everyday_uses() -> tuple[Use, ...]:
    """What people do at some time, not what they are like."""
    return tuple(
        use for use in _people_uses() if (use.times and use.verb not in _STEADY) or use.verb == "go"
    )


def _plain_people(choose: Choose) -> tuple[Thing, ...]:
    """A subject that may stand in one of two clauses."""
    subject = _people(choose, embedded=True)
    return subject if len(subject) == 1 else subject[:1]


def _close_people(choose: Choose) -> tuple[Thing, ...]:
    """People of whom one says what they are: not "the doctor is a doctor"."""
    return (choose((_I, _acquaintance(choose, choose(members("relation name"))))),)


def _same(first: Sequence[Thing], second: Sequence[Thing]) -> bool:
    nouns = {thing.noun for thing in first}
    speakers = not nouns.isdisjoint(("i", "we")) and second[0] in (_I, _WE)
    return speakers or any(thing.noun in nouns for thing in second)


def _then(choose: Choose, long: bool) -> Sentence:
    """One does two things: my friend reads a book and drinks coffee."""
    subject = _plain_people(choose)
    first = _habit(choose, long, subject)
    second = _habit(choose, long, subject)
    while second.verb == first.verb or _company(first) & _company(second):
        second = _habit(choose, long, subject)
    # One time for both: a second one would set the two against each other.
    return Sentence((first, second._replace(subject=(), time="")), ("and",))


def _company(clause: Clause) -> set[str]:
    """Those with whom, or to whom, something is done."""
    things = (*clause.object, *(phrase.thing for phrase in clause.phrases))
    return {thing.noun for thing in things if fits(thing.noun, "person name")}


def _habit(choose: Choose, long: bool, subject: tuple[Thing, ...]) -> Clause:
    while True:
        clause = _action(choose, long, subject, choose(_everyday_uses()))
        far = clause.verb == "go" and fits(clause.phrases[0].thing.noun, "town")
        if not (clause.negation or clause.modal or clause.frequency or far):
            return clause


def _rather(choose: Choose, long: bool) -> Sentence:
    """My friend drinks coffee but does not drink milk."""
    name = choose(("drink", "like", "eat", "read", "play a sport", "study", "play an instrument"))
    use = uses()[name]
    subject = _plain_people(choose)
    nouns = (use.objects[0],) * 2
    while nouns[0] == nouns[1] or _kind(nouns[0]) != _kind(nouns[1]):
        nouns = choose(use.objects), choose(use.objects)
    determiner = "the" if name == "play an instrument" else ""
    things = [Thing(noun, determiner, _count(noun) and not determiner) for noun in nouns]
    first = Clause(subject, use.verb, (things[0],))
    return Sentence((first, Clause((), use.verb, (things[1],), negation="not")), ("but",))


def _kind(noun: str) -> str:
    """The first class of a noun: what may be compared with it."""
    return read_lexicon("korean_nouns")[noun]["classes"].split()[0]


def _unlike(choose: Choose, long: bool) -> Sentence:
    """Minsu is a doctor but jisu is a student; i like cats but my friend does not like cats."""
    kind, who = choose(((_be_noun, _close_people), (_like, _plain_people), (_have, _plain_people)))
    first, subject = kind(choose, long, who(choose)), who(choose)
    while _same(first.subject, subject):
        subject = who(choose)
    first = first._replace(negation="")
    second = first._replace(subject=subject, negation="not")
    if first.noun is not None:
        second = _be_noun(choose, long, subject)._replace(negation="")
        several = first.subject[0].plural or first.subject[0] == _WE
        while second.noun.noun == first.noun.noun:
            second = _be_noun(choose, long, subject)._replace(negation="")
        first = first._replace(noun=first.noun._replace(determiner="" if several else "a"))
    elif any(thing.determiner in (*NUMBERS, "many") for thing in first.object):
        thing = first.object[0]._replace(determiner="a", plural=False)
        first, second = (c._replace(object=(thing,)) for c in (first, second))
    return Sentence((first, second), ("but",))


def _like(choose: Choose, long: bool, subject: tuple[Thing, ...]) -> Clause:
    use = uses()["like"]
    return Clause(subject, "like", (_object(choose, use, choose(use.objects)),))


def _why(choose: Choose, long: bool) -> Sentence:
    """I do not go to school because i am sick; … because the weather is cold."""
    subject = (choose((_I, _I, _WE)),)
    if choose(_OFTEN):
        adjective, results = choose(_CAUSES)
        cause = Clause(subject, "be", adjectives=(adjective,))
    else:
        adjective, results = choose(_WEATHER_CAUSES)
        cause = Clause((Thing("weather", "the"),), "be", adjectives=(adjective,))
    return Sentence((_result(choose, choose(results), subject), cause), ("because",))


def _result(choose: Choose, name: str, subject: tuple[Thing, ...]) -> Clause:
    if name == "stay":
        return Clause(subject, "be", phrases=(Phrase("at", Thing("home")),))
    if name == "park":
        park = Phrase("to", Thing("park", "the"))
        by = (Phrase("by", Thing("bicycle")),) if choose(_OFTEN) else ()
        return Clause(subject, "go", phrases=(park, *by))
    if name in ("tea", "cool"):
        noun = choose(("tea", "coffee") if name == "tea" else ("water", "juice"))
        return Clause(
            subject, "drink", (Thing(noun, "", False, ("hot" if name == "tea" else "cold",)),)
        )
    negation = "not" if name.startswith("not ") else ""
    use = uses()[name.removeprefix("not ")]
    if use.verb == "go":
        place = choose(("school", "market", "library", "park", "museum"))
        row = read_lexicon("korean_places")[place]
        phrases: tuple[Phrase, ...] = (Phrase("to", Thing(place, row["article"])),)
    else:
        options = [p for p in use.places if p not in ("classroom", "theater")]
        phrases = (_place(choose, choose(options)),) if options and choose(_OFTEN) else ()
    clause = Clause(subject, use.verb, negation=negation, phrases=phrases)
    if use.objects:
        clause = clause._replace(object=(_object(choose, use, choose(use.objects)),))
    return clause


def _three(choose: Choose, long: bool) -> Sentence:
    """Three clauses: somebody does two things, and somebody else a third."""
    sentence = _then(choose, False)
    third = _of_another(choose, False, sentence.clauses[0])
    while third.subject[0].noun in _company(sentence.clauses[1]):
        third = _of_another(choose, False, sentence.clauses[0])
    return Sentence((*sentence.clauses, third), ("and", "and"))


_SHORT = (_one,) * 20 + (_both, _then, _then, _rather, _unlike, _why, _why)
_LONG = (_both, _both, _then, _three)
