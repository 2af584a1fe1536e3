"""What the French corpus talks about: random meanings that make sense.

Who may do what to whom stands in `data/lexicons/english_*.tsv`: an entry of the columns
`subjects`, `objects`, `places` and `fits` is a noun or a kind of nouns, "-noun" an exception.
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
    read_lexicon,
)

Options = tuple[tuple[str, bool], ...]  # (determiner, plural), as often as they are to come

_SUBJECT_PRONOUNS = ("i", "i", "you", "he", "he", "she", "she", "we", "they")
_POSSESSIVES = ("my", "my", "your", "his", "her", "our", "their")
_NUMBERS = ("two", "three", "four", "five", "many")
_COLORS = ("red", "green", "blue", "white", "black", "gray", "brown")
#: Adjectives that may follow another one: the old french book.
_SECOND = (*_COLORS, "french", "round")
_CLASSES = ("person", "animal", "food", "drink", "text", "clothes", "furniture", "place")
_SHE = ("woman", "girl", "queen", "mother", "sister", "aunt")

_DEFINITE: Options = (*(("the", False),) * 5, ("this", False), ("that", False))
_DEFINITE += (*(("the", True),) * 3, ("this", True), ("that", True))
_ARTICLES: dict[str, Options] = {
    "subject": (*_DEFINITE, ("a", False), ("number", True)),
    "state": _DEFINITE,
    "object": (*_DEFINITE, *(("a", False),) * 4, *(("", True),) * 3, ("number", True)),
    "negated": (*_DEFINITE, *(("a", False),) * 3, *(("", True),) * 3),
    "have": (*(("a", False),) * 3, ("", True), ("number", True)),
    "had not": (("a", False), ("", True)),
    "all": (("", True),),
    "place": (*(("the", False),) * 6, ("this", False), ("a", False)),
    "home": (("this", False), ("a", False), ("a", False)),
    "definite": (("the", False),),
}
_MASS_OBJECT = ("", "", "", "the", "the", "this")
_MASS_OTHER = ("the", "the", "this", "my")

#: What one does often, sometimes, always, every day.
_HABITS = frozenset(
    "eat drink read write draw wash wear help call sleep work sing dance swim play run walk laugh "
    "smile cry prepare".split()
) | {"listen to"}
#: What one may have to do; what one may want to do; what one can do without any skill.
_TASKS = frozenset(
    "find eat drink buy sell prepare open close wash carry learn give show send lend bring help "
    "visit call invite follow sleep work run".split()
) | {"look for", "wait for"}
_MODALS = {
    "must": _TASKS | {"read", "write", "go"},
    "want": _TASKS | {"read", "write", "draw", "sing", "dance", "swim", "play", "have", "see", "go"},
    "can": _TASKS - {"find", "learn"} | {"see", "go"},
}
_NIGHTLY = frozenset("sleep work read write sing dance cry drink".split())
_SOCIAL = frozenset("work sing dance play eat drink walk swim visit go live".split())
_SKILLS = ("sing", "dance", "swim", "work", "sleep", "play")

#: A state, and what it makes people do or, after "not", keeps them from doing.
_REASONS = (
    *(("tired", "sleep"), ("tired", "not work"), ("tired", "not dance"), ("tired", "not run")),
    *(("happy", "sing"), ("happy", "dance"), ("happy", "smile"), ("happy", "laugh")),
    *(("sad", "cry"), ("sad", "not sing"), ("sad", "not laugh"), ("sad", "not eat")),
    *(("sick", "not work"), ("sick", "not eat"), ("sick", "not swim"), ("sick", "sleep")),
    *(("hungry", "eat"), ("hungry", "cry"), ("thirsty", "drink"), ("thirsty", "cry")),
    *(("afraid", "cry"), ("afraid", "run"), ("afraid", "not swim"), ("afraid", "not sleep")),
)
#: Two adjectives for one noun that go well together.
_ALIKE = (
    *(("small", "quiet"), ("big", "modern"), ("old", "famous"), ("young", "intelligent")),
    *(("tall", "strong"), ("small", "curious"), ("rich", "famous"), ("kind", "intelligent")),
    *(("tired", "sick"), ("hot", "delicious"), ("fresh", "delicious"), ("big", "dirty")),
    *(("long", "difficult"), ("long", "interesting"), ("beautiful", "quiet"), ("old", "dirty")),
    *(("big", "heavy"), ("young", "curious"), ("long", "dangerous"), ("small", "round")),
)
_UNLIKE = (
    *(("small", "beautiful"), ("old", "strong"), ("rich", "sad"), ("small", "expensive")),
    *(("difficult", "interesting"), ("old", "clean"), ("beautiful", "expensive")),
    *(("beautiful", "dangerous"), ("small", "heavy"), ("tired", "happy"), ("long", "beautiful")),
)
#: Adjectives that set two nouns against each other.
_OPPOSITES = (
    *(("big", "small"), ("old", "new"), ("old", "young"), ("hot", "cold"), ("clean", "dirty")),
    *(("happy", "sad"), ("open", "closed"), ("red", "blue"), ("black", "white"), ("old", "modern")),
)
#: What belongs to what: the door of the house.
_OWNERS = {
    "door": "house castle hotel museum library kitchen bedroom office shop",
    "window": "house castle hotel museum library kitchen bedroom office car",
    "key": "house car office bedroom castle box",
    "picture": "mother father sister brother uncle aunt king queen castle village sea",
    "garden": "castle hotel hospital museum house king queen",
    "street": "city village paris london seoul",
    "bridge": "city village paris london seoul",
    "museum": "city paris london seoul",
    "restaurant": "hotel museum station",
    "tower": "castle",
    "story": "king queen hero mouse castle village",
    "beach": "island",
}
_SMALL = "key phone hat book letter newspaper bottle bag gift flower picture"
_VEHICLES = "car bike bus"
#: Things that are somewhere: what, prepositions, where.
_WHERE = (
    (_SMALL, ("on", "on", "under", "near", "next to"), "table chair"),
    ("key phone book letter gift picture", ("in",), "bag box bedroom kitchen car"),
    ("apple orange egg bread cheese cake", ("on",), "table"),
    ("cat dog rabbit mouse", ("under", "behind", "next to"), "table chair door tree"),
    ("animal -owl", ("in", "in", "near", "behind"), "garden forest park street"),
    ("bird owl cat", ("in", "near", "under"), "tree"),
    ("person", ("in",), "kitchen bedroom garden house park street castle library museum shop"),
    ("person", ("at",), "station market school home work"),
    ("person", ("in front of", "behind", "near", "next to"), "house tree castle car door bridge"),
    (_VEHICLES, ("in front of", "behind", "near"), "house hotel station castle hospital"),
    ("building station hospital", ("near", "next to", "in front of"), "park station market sea"),
    ("house castle village", ("near", "in"), "forest"),
    ("milk water coffee tea", ("in",), "bottle"),
)
_GOALS = "station market beach museum library restaurant hospital hotel castle school"
_RIDES = ("train", "bus", "car", "bike", "foot")


def draw(choose: Choose, long: bool = False) -> Sentence:
    """A random meaning. `long`: of two or three clauses with much in them."""
    if long:
        return choose((_long, _long, _rich_reason))(choose)
    kind = choose(range(100))
    if kind < 78:
        return Sentence((_clause(choose, 30),))
    if kind < 85:
        return _reason(choose, 20)
    return choose((_also, _contrast, _taste, _opposite))(choose, 20)


@cache
def fitting() -> tuple[Combination, ...]:
    """All (adjective, noun) that sentences may combine, in the order of the lexicon."""
    return tuple(
        (adjective, noun)
        for adjective, row in _rows("adjectives").items()
        for noun in matching(row["fits"])
    )


@cache
def matching(entries: str) -> tuple[str, ...]:
    """The French lexicon's nouns that fit a space-separated list of nouns, kinds and -exceptions.

    "animal tree -cow" is every animal and the tree, but not the cow.
    """
    wanted = {entry for entry in entries.split() if not entry.startswith("-")}
    unwanted = {entry[1:] for entry in entries.split() if entry.startswith("-")}
    names = {noun: {noun, *_kinds(noun)} for noun in _rows("nouns")}
    return tuple(n for n, names_of in names.items() if wanted & names_of and not unwanted & names_of)


@cache
def _rows(words: str) -> dict[str, dict[str, str]]:
    """English rows ("nouns", "verbs", "adjectives") of the lemmas that have a French row."""
    french = read_lexicon(f"french_{words}")
    return {key: row for key, row in read_lexicon(f"english_{words}").items() if key in french}


@cache
def _kinds(noun: str) -> frozenset[str]:
    return frozenset(_rows("nouns")[noun]["kinds"].split())


@cache
def _adjectives(noun: str, use: str) -> tuple[str, ...]:
    """Adjectives that fit a noun and have a use: attributive, predicative, very."""
    rows = _rows("adjectives").items()
    return tuple(a for a, row in rows if noun in matching(row["fits"]) and use in row["use"].split())


@cache
def _before(adjective: str) -> bool:
    return read_lexicon("french_adjectives")[adjective]["place"] == "before"


@cache
def _verbs(column: str) -> tuple[str, ...]:
    """Verbs with an entry in a column; "none" there means that they may stand alone."""
    rows = _rows("verbs").items()
    if column == "none":
        return tuple(v for v, row in rows if "none" in row["objects"].split())
    return tuple(v for v, row in rows if row[column].removesuffix("none") and not row["recipients"]) if (
        column == "objects"
    ) else tuple(v for v, row in rows if row[column])


def _percent(choose: Choose, percent: int) -> bool:
    return choose(range(100)) < percent


# --- Things ------------------------------------------------------------------------------------


def _thing(choose: Choose, noun: str, role: str, rich: int) -> Thing:
    """The noun with determiner, perhaps adjectives (in `rich` of 100 cases) and an owner."""
    determiner, plural = _article(choose, noun, role)
    adjectives: tuple[str, ...] = ()
    if _percent(choose, rich) and "kin" not in _kinds(noun):
        adjectives = _attributes(choose, noun, determiner, role)
    owner = None
    if determiner == "the" and noun in _OWNERS and _percent(choose, rich):
        owner = _owner(choose, choose(matching(_OWNERS[noun])))
    return Thing(noun, determiner, plural, adjectives, owner)


def _owner(choose: Choose, noun: str) -> Thing:
    determiner = "" if "name" in _kinds(noun) else "the"
    if "kin" in _kinds(noun) or ("owned" in _kinds(noun) and _percent(choose, 30)):
        determiner = choose(_POSSESSIVES)
    return Thing(noun, determiner)


def _article(choose: Choose, noun: str, role: str) -> tuple[str, bool]:
    """Determiner, and whether the noun is in the plural."""
    kinds = _kinds(noun)
    if kinds & {"name", "language", "bare"}:
        return "", False
    if "mass" in kinds:
        if role == "all":
            return "", False
        return choose(_MASS_OBJECT if role in ("object", "negated") else _MASS_OTHER), False
    if role in ("all", "have", "had not"):
        determiner, plural = choose(_ARTICLES[role])
    elif "kin" in kinds or ("owned" in kinds and role != "definite" and _percent(choose, 35)):
        determiner, plural = choose(_POSSESSIVES), _percent(choose, 25)
    else:
        determiner, plural = choose(_ARTICLES[role])
    if "single" in kinds:
        return ("the" if "kin" not in kinds else choose(_POSSESSIVES)), False
    return (choose(_NUMBERS) if determiner == "number" else determiner), plural


def _attributes(choose: Choose, noun: str, determiner: str, role: str) -> tuple[str, ...]:
    """One adjective, sometimes two: the small red house."""
    options = _adjectives(noun, "attributive")
    if determiner == "a" or role in ("all", "place", "have", "had not"):
        options = tuple(adjective for adjective in options if adjective != "other")
    if not options:
        return ()
    first = choose(options)
    second = tuple(adjective for adjective in options if adjective in _SECOND)
    if _before(first) and second and _percent(choose, 20):
        return first, choose(second)
    return (first,)


def _subject(choose: Choose, entries: str, rich: int, role: str = "subject") -> tuple[Thing, ...]:
    """A pronoun, a noun, or two nouns of one class."""
    nouns = matching(entries)
    if "person" in entries.split() and _percent(choose, 40):
        return (Thing(choose(_SUBJECT_PRONOUNS)),)
    first = choose(nouns)
    if _percent(choose, 7):
        second = choose(_of_class(first, nouns))
        if second != first:
            return tuple(_thing(choose, noun, "definite", rich // 2) for noun in (first, second))
    thing = _thing(choose, first, role, rich)
    if "person" in _kinds(first) and thing.determiner in ("the", "a") and _percent(choose, rich // 5):
        thing = thing._replace(adjectives=(), relative=_relative(choose, rich))
    return (thing,)


@cache
def _of_class(noun: str, nouns: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the nouns that can be named in one breath with the noun."""
    classes = _kinds(noun) & frozenset(_CLASSES)
    return tuple(other for other in nouns if classes & _kinds(other)) or (noun,)


def _relative(choose: Choose, rich: int) -> Clause:
    """who lives in this house; who speaks french; who reads a book; who is tired"""
    kind = choose(range(4))
    if kind == 0:
        return Clause((), "live", phrases=(_live(choose, rich),))
    if kind == 1:
        return Clause((), "speak", (Thing(choose(matching("language"))),))
    if kind == 2:
        verb = choose(("read", "write", "wear", "sell", "know", "help", "have"))
        noun = choose(matching(_rows("verbs")[verb]["objects"]))
        return Clause((), verb, (_thing(choose, noun, "have" if verb == "have" else "object", 0),))
    return Clause((), choose(("sing", "dance", "swim", "work")), manner="well")


# --- Clauses -----------------------------------------------------------------------------------


def _clause(choose: Choose, rich: int, state: bool = True) -> Clause:
    kinds = (_transitive,) * 9 + (_giving,) * 4 + (_alone,) * 5 + (_motion,) * 2 + (_position,) * 2
    if state:
        kinds += (_state,) * 5 + (_job, _existence, _existence)
    return choose(kinds)(choose, rich)


def _negation(choose: Choose) -> str:
    return choose(("",) * 17 + ("not",) * 5 + ("never",))


def _transitive(choose: Choose, rich: int) -> Clause:
    verb = choose(_verbs("objects"))
    row = _rows("verbs")[verb]
    subject = _subject(choose, row["subjects"], rich)
    negation = _negation(choose)
    thing = _object(choose, verb, subject[0], negation, rich)
    return _adorned(choose, Clause(subject, verb, (thing,), negation=negation), rich)


def _object(choose: Choose, verb: str, subject: Thing, negation: str, rich: int) -> Thing:
    nouns = matching(_rows("verbs")[verb]["objects"])
    noun = choose(nouns)
    if _kinds(noun) & {"instrument"} and verb == "play":
        return Thing(noun, "the")
    if verb not in ("have", "like", "hate", "learn", "speak", "play") and _percent(choose, 18):
        return _object_pronoun(choose, noun, subject)
    if verb in ("like", "hate"):
        role = "all" if _kinds(noun) & {"food", "drink", "animal", "sound", "show", "text"} else "object"
    elif verb == "have":
        role = "had not" if negation else "have"
    else:
        role = "negated" if negation else "object"
    thing = _thing(choose, noun, role, rich)
    if verb in ("know", "see", "help", "look for", "invite") and thing.determiner == "a":
        if "person" in _kinds(noun) and _percent(choose, 40):
            return thing._replace(adjectives=(), relative=_relative(choose, rich))
    return thing


def _object_pronoun(choose: Choose, noun: str, subject: Thing) -> Thing:
    """him, it … for the noun; never the person of the subject again."""
    if "person" not in _kinds(noun):
        return Thing(choose(("it", "it", "they")))
    taken = {"i": ("i", "we"), "we": ("i", "we")}.get(subject.noun, (subject.noun,))
    return Thing(choose([p for p in ("i", "you", "he", "she", "we", "they") if p not in taken]))


def _giving(choose: Choose, rich: int) -> Clause:
    verb = choose(_verbs("recipients"))
    row = _rows("verbs")[verb]
    subject = _subject(choose, row["subjects"], rich)
    negation = _negation(choose)
    objects: tuple[Thing, ...] = ()
    if verb != "speak":
        noun = choose(matching(row["objects"]))
        role = "negated" if negation else "object"
        objects = (_thing(choose, noun, role, rich // 2),)
        if _percent(choose, 30):
            objects = (Thing(choose(("it", "it", "they"))),)
    noun = choose(matching(row["recipients"]))
    recipient = _thing(choose, noun, "definite", rich // 2)
    if _percent(choose, 50):
        recipient = _object_pronoun(choose, noun, subject[0])
    clause = Clause(subject, verb, objects, recipient, negation=negation)
    return _adorned(choose, clause, rich)


def _alone(choose: Choose, rich: int) -> Clause:
    """A verb without an object; "live" needs its place."""
    verb = choose(tuple(v for v in _verbs("none") if v not in ("go", "come", "arrive")))
    subject = _subject(choose, _rows("verbs")[verb]["subjects"], rich)
    if verb == "live":
        return Clause(subject, verb, phrases=(_live(choose, rich),), negation=_negation(choose))
    return _adorned(choose, Clause(subject, verb, negation=_negation(choose)), rich + 30)


def _live(choose: Choose, rich: int) -> Phrase:
    noun = choose(matching(_rows("verbs")["live"]["places"]))
    return Phrase("in", _thing(choose, noun, "home", rich))


def _motion(choose: Choose, rich: int) -> Clause:
    verb = choose(("go", "go", "go", "come", "arrive"))
    subject = _subject(choose, _rows("verbs")[verb]["subjects"], rich)
    vehicle = "vehicle" in _kinds(subject[0].noun) if subject[0].noun not in PRONOUNS else False
    noun = choose(matching("station" if vehicle else _GOALS + " name"))
    preposition = {"go": "to", "come": "from", "arrive": "at"}[verb]
    if verb == "arrive" and "name" in _kinds(noun):
        preposition = "in"
    phrases = (Phrase(preposition, _thing(choose, noun, "definite", rich // 2)),)
    clause = Clause(subject, verb, negation=_negation(choose), phrases=phrases)
    if verb != "arrive" and _percent(choose, 30):
        by = choose(_RIDES[:3] if "name" in _kinds(noun) else _RIDES)
        ride = Phrase("on" if by == "foot" else "by", Thing(by))
        return clause._replace(phrases=(*phrases, ride))
    return _adorned(choose, clause, rich)


def _adorned(choose: Choose, clause: Clause, rich: int) -> Clause:
    """The clause with a modal, an adverb, a place, company or a time, where the verb allows it."""
    verb, person = clause.verb, _is_person(clause.subject[0])
    if person and clause.negation != "never" and _percent(choose, 16):
        modal = choose(tuple(_MODALS))
        if verb in _MODALS[modal]:
            return clause._replace(modal=modal)
    if verb in _HABITS and _percent(choose, 12):
        options = ("often", "always") + (("sometimes",) if not clause.negation else ())
        if clause.negation != "never":
            clause = clause._replace(frequency=choose(options))
    if not clause.object and verb in _SKILLS and not clause.frequency and _percent(choose, 15):
        clause = clause._replace(manner="well")
    return _timed(choose, _placed(choose, clause, rich), person)


def _is_person(thing: Thing) -> bool:
    return thing.noun in PRONOUNS or "person" in _kinds(thing.noun)


def _placed(choose: Choose, clause: Clause, rich: int) -> Clause:
    places = matching(_rows("verbs")[clause.verb]["places"])
    if places and _percent(choose, rich):
        return clause._replace(phrases=(_place(choose, choose(places), rich // 2),))
    if _is_person(clause.subject[0]) and clause.verb in _SOCIAL and _percent(choose, rich // 2):
        noun = choose(matching("friend brother sister father mother uncle aunt neighbor"))
        company = Phrase("with", Thing(noun, choose(_POSSESSIVES)))
        return clause._replace(phrases=(*clause.phrases, company))
    return clause


def _place(choose: Choose, noun: str, rich: int) -> Phrase:
    if _kinds(noun) & {"bare"} or noun in ("station", "market"):
        return Phrase("at", _thing(choose, noun, "definite", rich))
    return Phrase("on" if noun == "beach" else "in", _thing(choose, noun, "place", rich))


def _timed(choose: Choose, clause: Clause, person: bool) -> Clause:
    if not person or not _percent(choose, 14):
        return clause
    times: tuple[str, ...] = () if clause.frequency or clause.negation == "never" else ("today",)
    if clause.verb in _HABITS:
        times += ("in the morning", "in the evening") + (("every day",) if times else ())
        times += ("at night",) if clause.verb in _NIGHTLY else ()
    elif clause.verb in ("have", "know", "love", "like", "hate", "see", "find", "follow"):
        return clause
    return clause._replace(time=choose(times)) if times else clause


# --- States ------------------------------------------------------------------------------------


def _state(choose: Choose, rich: int) -> Clause:
    """The house is old; the girl and the boy are tall; the garden is small but beautiful."""
    negation, very = choose(("", "", "", "not")), False
    subject = _subject(choose, _described(), 0, "state")
    nouns = [thing.noun for thing in subject if thing.noun not in PRONOUNS] or ["singer"]
    pairs = tuple((pair, "and") for pair in _ALIKE) + tuple((pair, "but") for pair in _UNLIKE)
    if not negation and _percent(choose, 20):
        fits = [p for p in pairs if all(a in _adjectives(n, "predicative") for a in p[0] for n in nouns)]
        if fits:
            adjectives, link = choose(fits)
            return Clause(subject, "be", adjectives=adjectives, link=link)
    if _percent(choose, 20):
        very = True
    use = "very" if very else "predicative"
    options = [a for a in _adjectives(nouns[0], use) if all(a in _adjectives(n, use) for n in nouns)]
    if not options:
        return _state(choose, rich)
    clause = Clause(subject, "be", negation=negation, adjectives=(choose(options),), very=very)
    if clause.adjectives[0] in ("tired", "sick", "happy", "sad", "hungry", "thirsty"):
        if not very and _percent(choose, 25):
            clause = clause._replace(frequency="often") if negation == "" else clause
    return clause


@cache
def _described() -> str:
    """All nouns that something can be said of."""
    return "person " + " ".join(n for n in _rows("nouns") if _adjectives(n, "predicative"))


def _job(choose: Choose, rich: int) -> Clause:
    subject = _subject(choose, "person -king -queen -hero -child -job", 0)
    if len(subject) > 1 or subject[0].relative:
        return _job(choose, rich)
    plural = subject[0].plural or subject[0].noun in ("we", "they")
    noun = Thing(choose(matching("job")), "" if plural else "a", plural)
    return Clause(subject, "be", noun=noun, negation=choose(("", "", "not")))


def _position(choose: Choose, rich: int) -> Clause:
    what, prepositions, where = choose(_WHERE)
    subject = _subject(choose, what, rich // 2, "state")
    phrase = _position_of(choose, subject[0].noun, choose(prepositions), where, rich)
    return Clause(subject, "be", phrases=(phrase,), negation=choose(("", "", "", "not")))


def _existence(choose: Choose, rich: int) -> Clause:
    what, prepositions, where = choose(_WHERE)
    noun = choose(matching(what))
    kinds = _kinds(noun)
    if kinds & {"kin", "single"}:
        return _existence(choose, rich)
    determiner, plural = choose((("a", False), ("a", False), ("", True), ("number", True)))
    if "mass" in kinds:
        determiner, plural = "", False
    negation = ""
    if determiner == "number":
        determiner = choose(_NUMBERS)
        negation = "not" if determiner == "many" and _percent(choose, 50) else ""
    adjectives = _attributes(choose, noun, determiner, "have") if _percent(choose, rich) else ()
    thing = Thing(noun, determiner, plural, adjectives)
    phrase = _position_of(choose, noun, choose(prepositions), where, rich // 2)
    return Clause((thing,), "there", phrases=(phrase,), negation=negation)


def _position_of(choose: Choose, noun: str, preposition: str, where: str, rich: int) -> Phrase:
    place = choose([other for other in matching(where) if other != noun])
    return Phrase(preposition, _thing(choose, place, "definite", rich // 2))


# --- Sentences of several clauses --------------------------------------------------------------


def _also(choose: Choose, rich: int) -> Sentence:
    """My father works in the garden and my sister reads a book."""
    first, second = (_clause(choose, rich, state=False) for _ in range(2))
    if first.subject[0].noun == second.subject[0].noun:
        return _also(choose, rich)
    return Sentence((first, second), ("and",))


def _contrast(choose: Choose, rich: int) -> Sentence:
    """The boy sings but the girl does not sing."""
    verb = choose(tuple(v for v in _verbs("none") if v in _HABITS))
    entries = _rows("verbs")[verb]["subjects"]
    first, second = (_subject(choose, entries, rich) for _ in range(2))
    if first[0].noun == second[0].noun:
        return _contrast(choose, rich)
    return Sentence((Clause(first, verb), Clause(second, verb, negation="not")), ("but",))


def _taste(choose: Choose, rich: int) -> Sentence:
    """I like tea but i do not like coffee; my brother hates beans and we hate fish."""
    first = (Thing(choose(_SUBJECT_PRONOUNS)),)
    if _percent(choose, 50):
        first = _subject(choose, "person", 0, "state")
    second = first if first[0].noun in PRONOUNS else (Thing(_pronoun(first)),)
    one = choose(matching("food drink animal sound show"))
    other = choose([n for n in _of_class(one, matching("food drink animal sound show")) if n != one] or [one])
    if one == other or not second[0].noun:
        return _taste(choose, rich)
    likes = Clause(first, "like", (_thing(choose, one, "all", 0),))
    verb, negation = choose((("like", "not"), ("hate", "")))
    dislikes = Clause(second, verb, (_thing(choose, other, "all", 0),), negation=negation)
    return Sentence((likes, dislikes), ("but",))


def _opposite(choose: Choose, rich: int) -> Sentence:
    """The house is big but the garden is small."""
    adjectives = choose(_OPPOSITES)
    fits = [[n for n in matching(_rows("adjectives")[a]["fits"]) if "mass" not in _kinds(n)] for a in adjectives]
    one = choose(fits[0] or ["house"])
    other = choose([n for n in _of_class(one, tuple(fits[1])) if n != one] or [one])
    if one == other or not fits[0]:
        return _opposite(choose, rich)
    clauses = (
        Clause((_thing(choose, noun, "state", 0),), "be", adjectives=(adjective,))
        for noun, adjective in zip((one, other), adjectives)
    )
    return Sentence(tuple(clauses), ("but",))


def _reason(choose: Choose, rich: int) -> Sentence:
    """The boy does not work because he is tired; she sings when she is happy."""
    state, action = choose(_REASONS)
    negation, _, verb = action.rpartition(" ")
    subject = _subject(choose, "person -king -queen", rich, "state")
    again = _pronoun(subject)
    if not again:
        return _reason(choose, rich)
    main = Clause(subject, verb, negation=negation)
    if not negation:
        main = _placed(choose, main, rich)
    why = Clause((Thing(again),), "be", adjectives=(state,))
    return Sentence((main, why), (choose(("because", "because", "when")),))


def _pronoun(subject: tuple[Thing, ...]) -> str:
    """The pronoun that takes up a subject again; "" where French would need "elles"."""
    noun, feminine = subject[0].noun, all(thing.noun in _SHE for thing in subject)
    if noun in PRONOUNS:
        return noun
    if subject[0].plural or len(subject) > 1:
        return "" if feminine else "they"
    return "she" if feminine else "he"


def _long(choose: Choose) -> Sentence:
    """Two full clauses, sometimes with a third that gives a reason."""
    first, second = (_clause(choose, 70, state=False) for _ in range(2))
    if first.subject[0].noun == second.subject[0].noun:
        return _long(choose)
    return Sentence((first, second), (choose(("and", "and", "but")),))


def _rich_reason(choose: Choose) -> Sentence:
    first, reason = _clause(choose, 70, state=False), _reason(choose, 70)
    if first.subject[0].noun == reason.clauses[0].subject[0].noun:
        return _rich_reason(choose)
    return Sentence((first, *reason.clauses), ("and", *reason.conjunctions))
