"""What the French corpus talks about: random meanings that make sense.

Who may do what to whom stands in `data/lexicons/french_*.tsv`. An entry of the columns subjects,
objects, recipients, places, owners, attributive and predicative is a noun or a kind of nouns,
"-noun" an exception. The column uses says of a verb whether one does it as a habit, at night, in
company, well, and whether one wants to, must and can do it without its being a skill; "any": it
is said of books as well as of the book.
"""

from __future__ import annotations

from functools import cache

from attention_course.corpora.grammar.meaning import (
    PRONOUNS,
    Choose,
    Clause,
    Combination,
    Phrase,
    Sentence,
    Thing,
    person,
    read_lexicon,
)

Options = tuple[tuple[str, bool], ...]  # (determiner, plural), each as often as it is to come

_HUNDRED = range(100)
_PERSON = frozenset({"person"})
_SUBJECT_PRONOUNS = ("i", "i", "you", "he", "he", "she", "she", "we", "they")
_POSSESSIVES = ("my", "my", "your", "his", "her", "our", "their")
_NUMBERS = ("two", "three", "four", "five", "many")
_NEGATIONS = ("",) * 17 + ("not",) * 5 + ("never",)
_SHE = ("woman", "girl", "queen", "mother", "sister")
#: Adjectives that may follow another one: the old french book.
_SECOND = ("red", "green", "blue", "white", "black", "french")
#: States that come and go: she is often tired.
_PASSING = ("tired", "sick", "happy", "sad", "hungry", "thirsty")
#: Verbs of acts without a time of their own.
_LASTING = ("have", "know", "love", "like", "hate", "see", "speak", "live")
#: Kinds of nouns that can be named in one breath; those that can be set against each other.
_NARROW = frozenset(("person", "animal", "clothes", "furniture", "vehicle", "building", "drink"))
_CLASSES = _NARROW | {"food", "text"}

_DEFINITE: Options = (*(("the", False),) * 5, ("this", False), ("that", False))
_DEFINITE += (*(("the", True),) * 3, ("this", True), ("that", True))
#: Determiners by the place of a noun in its clause; "number" becomes one of `_NUMBERS`.
_ARTICLES: dict[str, Options] = {
    "subject": (*_DEFINITE, ("a", False), ("number", True)),
    "state": _DEFINITE,
    "known": (*_DEFINITE, *(("a", False),) * 4),
    "object": (*_DEFINITE, *(("a", False),) * 4, *(("", True),) * 3, ("number", True)),
    "negated": (*_DEFINITE, *(("a", False),) * 3, *(("", True),) * 3),
    "have": (*(("a", False),) * 3, ("", True), ("number", True)),
    "had not": (("a", False), ("", True)),
    "all": (("", True),),
    "place": (*(("the", False),) * 6, ("this", False), ("a", False)),
    "home": (("this", False), ("a", False), ("a", False)),
    "definite": (("the", False),),
}

_FRONT = ("in front of", "behind", "near", "next to")
_SMALL = "key phone hat book letter newspaper bottle bag flower picture"
#: What is where: things, prepositions, places.
_WHERE = (
    (_SMALL, ("on", "on", "under"), "table chair"),
    ("key phone book letter picture", ("in",), "bag bedroom kitchen car"),
    ("apple orange egg bread cheese cake", ("on",), "table"),
    ("cat dog rabbit", ("under", "behind", "next to"), "table chair tree"),
    ("cat dog", ("behind", "in front of"), "door"),
    ("animal -owl", ("in",), "garden park street"),
    ("animal -owl", ("near", "behind"), "house tree"),
    ("bird owl cat", ("in", "near", "under"), "tree"),
    ("person", ("in",), "kitchen bedroom garden house park street castle library museum"),
    ("person", ("at",), "station market school home work"),
    ("person", _FRONT, "house tree castle car door"),
    ("car bike bus", ("in front of", "behind", "near"), "house hotel station castle hospital"),
    ("building station hospital", ("near", "next to", "in front of"), "park station market sea"),
    ("house castle village", ("near", "near", "next to"), "sea beach castle"),
    ("milk water", ("in",), "bottle"),
    ("coffee tea soup meat", ("on",), "table"),
)
_GOALS = "station market beach museum library restaurant hospital hotel castle school"
#: What one does at the same time, or one after the other.
_TOGETHER = (
    *(("sing", "dance"), ("dance", "sing"), ("eat", "drink"), ("run", "swim"), ("swim", "run")),
    *(("eat", "work"), ("eat", "sleep"), ("work", "sing"), ("walk", "sing"), ("work", "sleep")),
)
_RIDES = ("train", "bus", "car", "bike", "foot")


def draw(choose: Choose, long: bool = False) -> Sentence:
    """A random meaning. `long`: of two or three clauses with much in them."""
    if long:
        return choose((_long, _long, _long_reason))(choose)
    if _percent(choose, 78):
        return Sentence((choose(_ACTIONS + _STATES)(choose, 35),))
    return choose((_reason, _reason, _also, _both, _contrast, _taste, _opposite))(choose, 20)


@cache
def fitting() -> tuple[Combination, ...]:
    """All (adjective, noun) that sentences may combine, in the order of the lexicon."""
    return tuple(
        (adjective, noun)
        for adjective in _rows("adjectives")
        for noun in _rows("nouns")
        if adjective in _adjectives(noun, "attributive") + _adjectives(noun, "predicative")
    )


@cache
def matching(entries: str) -> tuple[str, ...]:
    """The nouns that fit a space-separated list of nouns, kinds of nouns and -exceptions.

    "animal tree -owl" is every animal and the tree, but not the owl.
    """
    wanted = {entry for entry in entries.split() if not entry.startswith("-")}
    unwanted = {entry[1:] for entry in entries.split() if entry.startswith("-")}
    names = {noun: {noun, *_kinds(noun)} for noun in _rows("nouns")}
    return tuple(n for n, its in names.items() if wanted & its and not unwanted & its)


def _rows(words: str) -> dict[str, dict[str, str]]:
    """Lexicon rows of "nouns", "verbs", "adjectives" by their English lemma."""
    return read_lexicon(f"french_{words}")


@cache
def _kinds(noun: str) -> frozenset[str]:
    return frozenset(_rows("nouns")[noun]["kinds"].split())


@cache
def _uses(verb: str) -> frozenset[str]:
    return frozenset(_rows("verbs")[verb]["uses"].split())


@cache
def _adjectives(noun: str, use: str) -> tuple[str, ...]:
    """Adjectives for a noun: "attributive" (the red car), "predicative" (it is red), "very"."""
    return tuple(a for a, row in _rows("adjectives").items() if _fits(row, noun, use))


def _fits(row: dict[str, str], noun: str, use: str) -> bool:
    if use == "very" and not row["very"]:
        return False
    entries = row["attributive" if use == "attributive" else "predicative"]
    return noun in matching(row["attributive"] if entries == "=" else entries)


@cache
def _verbs(frame: str) -> tuple[str, ...]:
    """Verbs with an "object", with a "recipient", or "alone"; those of motion are left out."""
    rows = _rows("verbs").items()
    if frame == "recipient":
        return tuple(verb for verb, row in rows if row["recipients"])
    if frame == "object":
        objects = [verb for verb, row in rows if matching(row["objects"])]
        return tuple(v for v in objects if v == "speak" or v not in _verbs("recipient"))
    silent = ("go", "come", "arrive", "speak")
    return tuple(verb for verb, row in rows if "none" in row["objects"] and verb not in silent)


@cache
def _habits() -> tuple[str, ...]:
    return tuple(verb for verb in _verbs("alone") if "habit" in _uses(verb))


def _percent(choose: Choose, percent: int) -> bool:
    return choose(_HUNDRED) < percent


# --- Things ------------------------------------------------------------------------------------


def _thing(choose: Choose, noun: str, role: str, rich: int) -> Thing:
    """The noun with determiner, perhaps (in `rich` of 100 cases) adjectives and an owner."""
    determiner, plural = _article(choose, noun, role)
    adjectives: tuple[str, ...] = ()
    if _percent(choose, rich) and not _kinds(noun) & {"kin", "bare", "name", "language"}:
        adjectives = _attributes(choose, noun, determiner, role)
    owner, owners = None, _rows("nouns")[noun]["owners"]
    if determiner == "the" and owners and _percent(choose, rich):
        owner = _owner(choose, choose(matching(owners)))
        plural = plural or noun == "street"  # the streets of paris
    return Thing(noun, determiner, plural, adjectives, owner)


def _owner(choose: Choose, noun: str) -> Thing:
    kinds = _kinds(noun)
    if "kin" in kinds or ("owned" in kinds and _percent(choose, 30)):
        return Thing(noun, choose(_POSSESSIVES))
    return Thing(noun, "" if "name" in kinds else "the")


def _article(choose: Choose, noun: str, role: str) -> tuple[str, bool]:
    """Determiner, and whether the noun is in the plural."""
    kinds = _kinds(noun)
    if kinds & {"name", "language", "bare"} or (role == "all" and "mass" in kinds):
        return "", False
    if "mass" in kinds:
        some = role in ("object", "negated")
        return choose(("", "", "", "the", "the", "this") if some else ("the", "the", "this")), False
    if "single" in kinds:
        return choose(_POSSESSIVES) if "kin" in kinds else "the", False
    having = role in ("all", "have", "had not")
    owned = "owned" in kinds and role != "definite" and _percent(choose, 35)
    if not having and ("kin" in kinds or owned):
        one = role in ("place", "home", "definite") or "place" in kinds  # my kitchen
        return choose(_POSSESSIVES), "pair" in kinds or (not one and _percent(choose, 25))
    determiner, plural = choose(_ARTICLES[role])
    if "pair" in kinds:  # shoes
        return ("" if determiner in ("a", "number") else determiner), True
    return (choose(_NUMBERS) if determiner == "number" else determiner), plural


def _attributes(choose: Choose, noun: str, determiner: str, role: str) -> tuple[str, ...]:
    """One adjective, sometimes two: the small red house."""
    options = _adjectives(noun, "attributive")
    if determiner == "a" or role in ("all", "place", "home", "have", "had not"):
        options = tuple(adjective for adjective in options if adjective != "other")
    if not options:
        return ()
    first = choose(options)
    second = tuple(adjective for adjective in options if adjective in _SECOND)
    before = _rows("adjectives")[first]["place"] == "before"
    return (first, choose(second)) if before and second and _percent(choose, 20) else (first,)


def _subject(choose: Choose, entries: str, rich: int, role: str = "subject") -> tuple[Thing, ...]:
    """A pronoun, a noun, or two nouns of one class."""
    nouns = matching(entries)
    if entries.startswith("person") and _percent(choose, 40):
        return (Thing(choose(_SUBJECT_PRONOUNS)),)
    first = choose(nouns)
    if _percent(choose, 7):
        second = choose(_of_class(first, nouns))
        if second != first:
            return tuple(_thing(choose, noun, "definite", rich // 2) for noun in (first, second))
    thing = _thing(choose, first, role, rich)
    described = "person" in _kinds(first) and thing.determiner in ("the", "a")
    if described and _percent(choose, rich // 5):
        thing = thing._replace(adjectives=(), relative=_relative(choose, rich))
    return (thing,)


@cache
def _of_class(noun: str, nouns: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the nouns that can be named in one breath with the noun."""
    classes = _kinds(noun) & _CLASSES
    return tuple(other for other in nouns if classes & _kinds(other)) or (noun,)


def _relative(choose: Choose, rich: int) -> Clause:
    """who lives in this house; who speaks french; who reads a book; who sings well"""
    kind = choose(("live", "speak", "object", "well"))
    if kind == "live":
        return Clause((), "live", phrases=(_home(choose, rich),))
    if kind == "speak":
        return Clause((), "speak", (Thing(choose(matching("language"))),))
    if kind == "well":
        return Clause((), choose(("sing", "dance", "swim", "work")), manner="well")
    verb = choose(("read", "write", "sell", "have"))
    noun = choose(matching(_rows("verbs")[verb]["objects"]))
    return Clause((), verb, (_thing(choose, noun, "have" if verb == "have" else "object", 0),))


# --- Actions -----------------------------------------------------------------------------------


def _action(choose: Choose, rich: int) -> Clause:
    return choose(_ACTIONS)(choose, rich)


def _transitive(choose: Choose, rich: int) -> Clause:
    verb = choose(_verbs("object"))
    # Cats play, but not the piano.
    entries = "person" if verb == "play" else _rows("verbs")[verb]["subjects"]
    subject = _subject(choose, entries, rich)
    negation = choose(_NEGATIONS) if verb not in _LASTING else choose(("", "", "", "not"))
    thing = _object(choose, verb, subject[0], negation, rich)
    if verb == "wear" and thing.determiner == "a" and person(subject) >= 3:
        thing = thing._replace(determiner="", plural=True)  # several people do not share one hat
    return _adorned(choose, Clause(subject, verb, (thing,), negation=negation), rich)


def _object(choose: Choose, verb: str, subject: Thing, negation: str, rich: int) -> Thing:
    noun = choose(_but(subject.noun, matching(_rows("verbs")[verb]["objects"])))
    if verb == "play":
        return Thing(noun, "the")
    if verb not in ("have", "like", "hate", "learn", "speak") and _percent(choose, 18):
        return _object_pronoun(choose, noun, subject)
    thing = _thing(choose, noun, _object_role(choose, verb, negation), rich)
    someone = "person" in _kinds(noun) and thing.determiner == "a"
    if verb in ("know", "look for") and someone and _percent(choose, 40):
        return thing._replace(adjectives=(), relative=_relative(choose, rich))
    return thing


@cache
def _but(noun: str, nouns: tuple[str, ...]) -> tuple[str, ...]:
    """The nouns without one of them: nobody sells a cake to "the man" but the man."""
    return tuple(other for other in nouns if other != noun)


def _object_role(choose: Choose, verb: str, negation: str) -> str:
    """Which articles fit an object: he likes apples, knows a doctor, does not have a car."""
    if verb in ("like", "hate"):
        return "all" if _percent(choose, 80) else "state"
    if verb == "have":
        return "had not" if negation else "have"
    if "any" in _uses(verb):
        return "negated" if negation else "object"
    return "state" if negation or verb in ("love", "call", "help") else "known"


def _object_pronoun(choose: Choose, noun: str, subject: Thing) -> Thing:
    """him, it … for the noun; never the person of the subject again."""
    if "person" not in _kinds(noun):
        return Thing(choose(("it", "it", "they")))
    taken = ("i", "we") if subject.noun in ("i", "we") else (subject.noun,)
    return Thing(choose([p for p in ("i", "you", "he", "she", "we", "they") if p not in taken]))


def _giving(choose: Choose, rich: int) -> Clause:
    verb = choose(_verbs("recipient"))
    row = _rows("verbs")[verb]
    subject, negation = _subject(choose, row["subjects"], rich), choose(_NEGATIONS)
    objects: tuple[Thing, ...] = ()
    if verb != "speak":
        given = choose(matching(row["objects"]))
        objects = (_thing(choose, given, "negated" if negation else "object", rich // 2),)
        if _percent(choose, 30):
            objects = (Thing(choose(("it", "it", "they"))),)
    noun = choose(_but(subject[0].noun, matching(row["recipients"])))
    recipient = _thing(choose, noun, "definite", rich // 2)
    if _percent(choose, 50):
        recipient = _object_pronoun(choose, noun, subject[0])
    clause = Clause(subject, verb, objects, recipient, negation=negation)
    return _adorned(choose, clause, rich)


def _alone(choose: Choose, rich: int) -> Clause:
    """A verb without an object; "live" needs its place."""
    verb = choose(_verbs("alone"))
    subject = _subject(choose, _rows("verbs")[verb]["subjects"], rich)
    # Nobody never eats.
    negation = choose(("", "", "", "not") if verb in ("eat", "drink", "sleep") else _NEGATIONS)
    if verb == "live":
        return Clause(subject, verb, phrases=(_home(choose, rich),), negation=negation)
    return _adorned(choose, Clause(subject, verb, negation=negation), rich + 30)


def _home(choose: Choose, rich: int) -> Phrase:
    noun = choose(matching(_rows("verbs")["live"]["places"]))
    return Phrase("in", _thing(choose, noun, "home", rich))


def _motion(choose: Choose, rich: int) -> Clause:
    verb = choose(("go", "go", "go", "come", "arrive"))
    subject = _subject(choose, _rows("verbs")[verb]["subjects"], rich)
    vehicle = not _is_person(subject[0])
    noun = choose(matching("station" if vehicle else _GOALS + " name"))
    named = "name" in _kinds(noun)
    preposition = {"go": "to", "come": "from", "arrive": "in" if named else "at"}[verb]
    phrases = (Phrase(preposition, _thing(choose, noun, "definite", rich // 2)),)
    negation = choose(_NEGATIONS) if verb != "arrive" else ""
    clause = Clause(subject, verb, negation=negation, phrases=phrases)
    if verb == "arrive" or not _percent(choose, 30):
        return _timed(choose, clause)
    by = choose(_RIDES[:3] if named else _RIDES)
    ride = Phrase("on" if by == "foot" else "by", Thing(by))
    return clause._replace(phrases=(*phrases, ride))


def _adorned(choose: Choose, clause: Clause, rich: int) -> Clause:
    """The clause with a modal, an adverb, a place, company or a time, where the verb allows it."""
    uses = _uses(clause.verb)
    if clause.negation != "never" and _is_person(clause.subject[0]) and _percent(choose, 16):
        modal = choose(("want", "must", "can"))
        if modal in uses:
            return clause._replace(modal=modal)
    if "habit" in uses and clause.negation != "never" and _percent(choose, 12):
        often = ("often", "always") if clause.negation else ("often", "always", "sometimes")
        clause = clause._replace(frequency=choose(often))
    elif "well" in uses and not clause.object and _percent(choose, 15):
        clause = clause._replace(manner="well")
    return _timed(choose, _placed(choose, clause, rich, clause.subject))


def _is_person(thing: Thing) -> bool:
    return thing.noun in PRONOUNS or "person" in _kinds(thing.noun)


def _placed(choose: Choose, clause: Clause, rich: int, subject: tuple[Thing, ...]) -> Clause:
    """With a place, or with company, or without."""
    places = matching(_rows("verbs")[clause.verb]["places"])
    if clause.verb == "play" and clause.object:
        places = ()  # nobody plays the piano on a beach
    if places and _percent(choose, rich):
        return clause._replace(phrases=(_place(choose, choose(places), rich // 2),))
    social = _is_person(subject[0]) and "company" in _uses(clause.verb)
    if social and _percent(choose, rich // 2):
        noun = choose(matching("friend brother sister father mother neighbor"))
        company = Phrase("with", Thing(noun, choose(_POSSESSIVES)))
        return clause._replace(phrases=(*clause.phrases, company))
    return clause


def _place(choose: Choose, noun: str, rich: int) -> Phrase:
    if "bare" in _kinds(noun) or noun in ("station", "market"):
        return Phrase("at", _thing(choose, noun, "definite", rich))
    return Phrase("on" if noun == "beach" else "in", _thing(choose, noun, "place", rich))


def _timed(choose: Choose, clause: Clause) -> Clause:
    """With a time, if the verb is something that people do."""
    if not _is_person(clause.subject[0]) or clause.verb in _LASTING or not _percent(choose, 14):
        return clause
    uses, once = _uses(clause.verb), not clause.frequency and clause.negation != "never"
    times: tuple[str, ...] = ("today",) if once else ()
    if "habit" in uses:
        times += ("in the morning", "in the evening", *(("every day",) if once else ()))
    if "night" in uses:
        times += ("at night",)
    return clause._replace(time=choose(times)) if times else clause


# --- States ------------------------------------------------------------------------------------


def _state(choose: Choose, rich: int) -> Clause:
    """The house is old; the girl and the boy are tall; the garden is small but beautiful."""
    subject = _subject(choose, _described(), 0, "state")
    nouns = tuple("singer" if thing.noun in PRONOUNS else thing.noun for thing in subject)
    negation = choose(("", "", "", "not"))
    pairs = _well_paired(nouns)
    if pairs and not negation and _percent(choose, 20):
        first, link, second = choose(pairs)
        return Clause(subject, "be", adjectives=(first, second), link=link)
    very = _percent(choose, 20)
    options = _common_adjectives(nouns, "very" if very else "predicative")
    if not options:
        return _state(choose, rich)
    adjective, frequency = choose(options), ""
    if adjective in _PASSING and not very and not negation and _percent(choose, 25):
        frequency = choose(("often", "always", "sometimes"))
    clause = Clause(subject, "be", negation=negation, frequency=frequency)
    return clause._replace(adjectives=(adjective,), very=very)


@cache
def _described() -> str:
    """All nouns that something can be said of, persons first."""
    return "person " + " ".join(n for n in _rows("nouns") if _adjectives(n, "predicative"))


@cache
def _common_adjectives(nouns: tuple[str, ...], use: str) -> tuple[str, ...]:
    """Adjectives that fit all of the nouns."""
    first, *others = (_adjectives(noun, use) for noun in nouns)
    return tuple(a for a in first if all(a in other for other in others))


@cache
def _well_paired(nouns: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    """Two adjectives that fit all of the nouns, with "and" or "but" between them."""
    fits = _common_adjectives(nouns, "predicative")
    return tuple(
        (first, link, second)
        for first in fits
        for link in ("and", "but")
        for second in _rows("adjectives")[first][link].split()
        if second in fits
    )


def _job(choose: Choose, rich: int) -> Clause:
    """My sister is a student."""
    subject = _subject(choose, "person -king -queen -hero -child -boy -girl -job", 0, "state")
    if len(subject) > 1:
        return _job(choose, rich)
    plural = subject[0].plural or subject[0].noun in ("we", "they")
    noun = Thing(choose(matching("job")), "" if plural else "a", plural)
    return Clause(subject, "be", noun=noun, negation=choose(("", "", "not")))


def _position(choose: Choose, rich: int) -> Clause:
    """The key is on the table."""
    what, prepositions, where = choose(_WHERE)
    subject = _subject(choose, what, rich // 2, "state")
    nouns = [thing.noun for thing in subject]
    place = choose([noun for noun in matching(where) if noun not in nouns])
    phrase = Phrase(choose(prepositions), _thing(choose, place, "definite", rich // 2))
    return Clause(subject, "be", phrases=(phrase,), negation=choose(("", "", "", "not")))


def _existence(choose: Choose, rich: int) -> Clause:
    """There is a cat under the table; there are not many hotels near the station."""
    what, prepositions, where = choose(_WHERE)
    noun = choose(matching(what))
    known = _kinds(noun) & {"kin", "single"} or noun in ("friend", "neighbor", "hero")
    if known or "at" in prepositions:  # "there is a doctor at work" names no new place
        return _existence(choose, rich)
    determiner, plural = choose((("a", False), ("a", False), ("", True), ("number", True)))
    if "mass" in _kinds(noun):
        determiner, plural = "", False
    determiner = choose(_NUMBERS) if determiner == "number" else determiner
    negation = "not" if determiner == "many" and _percent(choose, 50) else ""
    adjectives = _attributes(choose, noun, determiner, "have") if _percent(choose, rich) else ()
    place = choose(_but(noun, matching(where)))
    phrase = Phrase(choose(prepositions), _thing(choose, place, "definite", rich // 4))
    thing = Thing(noun, determiner, plural, adjectives)
    return Clause((thing,), "there", phrases=(phrase,), negation=negation)


_ACTIONS = (*(_transitive,) * 9, *(_giving,) * 4, *(_alone,) * 5, _motion, _motion)
_STATES = (*(_state,) * 5, _position, _position, _existence, _existence, _job)


# --- Sentences of several clauses --------------------------------------------------------------


def _also(choose: Choose, rich: int) -> Sentence:
    """My father works in the garden and my sister reads a book."""
    first, second = (_action(choose, rich) for _ in range(2))
    if first.subject[0].noun == second.subject[0].noun:
        return _also(choose, rich)
    return Sentence((first, second), ("and",))


def _both(choose: Choose, rich: int) -> Sentence:
    """My father sings and dances: two verbs for one subject."""
    one, other = choose(_TOGETHER)
    subject = _subject(choose, "person -king -queen -hero -child", rich)
    if subject[0].noun in ("i", "you", "we"):  # French says "je chante et je danse"
        return _both(choose, rich)
    second = _placed(choose, Clause((), other), rich, subject)
    return Sentence((Clause(subject, one), second), ("and",))


def _contrast(choose: Choose, rich: int) -> Sentence:
    """The boy sings but the girl does not sing."""
    verb = choose(_habits())
    entries = _rows("verbs")[verb]["subjects"]
    first, second = (_subject(choose, entries, 0) for _ in range(2))
    nouns = {first[0].noun, second[0].noun}
    # "we" includes "i"; "she" after "the girl" is the girl.
    same = len(nouns) == 1 or nouns == {"i", "we"} or second[0].noun in ("he", "she", "they")
    if same:
        return _contrast(choose, rich)
    return Sentence((Clause(first, verb), Clause(second, verb, negation="not")), ("but",))


def _taste(choose: Choose, rich: int) -> Sentence:
    """I like tea but i do not like coffee; my brother likes cats but he hates dogs."""
    first = _subject(choose, "person", 0, "state")
    again = _pronoun(first)
    if not again:
        return _taste(choose, rich)
    one, other = (_thing(choose, noun, "all", 0) for noun in choose(_tastes()))
    verb, negation = choose((("like", "not"), ("hate", "")))
    dislikes = Clause((Thing(again),), verb, (other,), negation=negation)
    return Sentence((Clause(first, "like", (one,)), dislikes), ("but",))


@cache
def _tastes() -> tuple[tuple[str, str], ...]:
    nouns = matching("food drink cat dog bird horse rabbit -water")
    return tuple(
        (one, other)
        for one in nouns
        for other in nouns
        if one != other and _kinds(one) & _kinds(other) & {"food", "drink", "animal"}
    )


def _opposite(choose: Choose, rich: int) -> Sentence:
    """The table is big but the chair is small."""
    adjective = choose(tuple(_opposites()))
    adjectives = (adjective, _opposites()[adjective])
    clauses = [
        Clause((_thing(choose, noun, "state", 0),), "be", adjectives=(adjective,))
        for noun, adjective in zip(choose(_comparable(*adjectives)), adjectives)
    ]
    return Sentence(tuple(clauses), ("but",))


@cache
def _opposites() -> dict[str, str]:
    return {a: row["opposite"] for a, row in _rows("adjectives").items() if row["opposite"]}


@cache
def _comparable(adjective: str, opposite: str) -> tuple[tuple[str, str], ...]:
    """Pairs of different nouns of one narrow kind that the two adjectives fit."""
    ones, others = (
        [noun for noun in _rows("nouns") if a in _adjectives(noun, "predicative")]
        for a in (adjective, opposite)
    )
    return tuple(
        (one, other)
        for one in ones
        for other in others
        if one != other and _kinds(one) & _kinds(other) & _NARROW and "owl" not in (one, other)
    )  # the owl is a bird


def _reason(choose: Choose, rich: int) -> Sentence:
    """The boy does not work because he is tired; she sings when she is happy."""
    state, verb, negation = choose(_reasons())
    subject = _subject(choose, "person -king -queen", 0, "state")
    again = _pronoun(subject)
    if not again:
        return _reason(choose, rich)
    main = Clause(subject, verb, negation=negation)
    if not negation and verb != "cry":
        main = _placed(choose, main, rich, subject)
    why = Clause((Thing(again),), "be", adjectives=(state,))
    return Sentence((main, why), (choose(("because", "because", "when")),))


@cache
def _reasons() -> tuple[tuple[str, str, str], ...]:
    """A state, and what it makes people do, or keeps them from doing ("not")."""
    columns = (("makes", ""), ("prevents", "not"))
    return tuple(
        (state, verb, negation)
        for state, row in _rows("adjectives").items()
        for column, negation in columns
        for verb in row[column].split()
    )


def _pronoun(subject: tuple[Thing, ...]) -> str:
    """The pronoun that takes up a subject again; "" where French would need "elles"."""
    noun, feminine = subject[0].noun, all(thing.noun in _SHE for thing in subject)
    if noun in PRONOUNS:
        return noun
    if subject[0].plural or len(subject) > 1:
        return "" if feminine else "they"
    return "she" if feminine else "he"


def _long(choose: Choose) -> Sentence:
    """Two full clauses."""
    return _also(choose, 70)


def _long_reason(choose: Choose) -> Sentence:
    """Two full clauses, and a reason for the second."""
    first, reason = _action(choose, 70), _reason(choose, 70)
    if first.subject[0].noun == reason.clauses[0].subject[0].noun:
        return _long_reason(choose)
    return Sentence((first, *reason.clauses), ("and", *reason.conjunctions))
