"""French sentences: right in grammar, and linked to the English words they translate."""

import csv
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from attention_course.corpora.grammar.english import realise_english
from attention_course.corpora.grammar.french import (
    detokenize_french,
    feminine_of,
    plural_of,
    present_of,
    realise,
)
from attention_course.corpora.grammar.french_meanings import draw, fitting, matching
from attention_course.corpora.grammar.meaning import (
    Clause,
    Phrase,
    Sentence,
    Thing,
    chooser,
    combinations,
    read_lexicon,
)
from attention_course.corpora.translation import Pair, align, load_translation

FIXTURE = Path(__file__).parent / "fixtures" / "french.tsv"


def the(noun: str, *adjectives: str, plural: bool = False, determiner: str = "the") -> Thing:
    return Thing(noun, determiner, plural, adjectives)


def bare(noun: str, *adjectives: str, plural: bool = False) -> Thing:
    return Thing(noun, "", plural, adjectives)


def my(noun: str, *adjectives: str, of: str = "my", plural: bool = False) -> Thing:
    return Thing(noun, of, plural, adjectives)


def say(subject: str | Thing, verb: str, *objects: Thing, **rest) -> Sentence:
    return Sentence((part(subject, verb, *objects, **rest),))


def part(subject: str | Thing, verb: str, *objects: Thing, **rest) -> Clause:
    subject = Thing(subject) if isinstance(subject, str) else subject
    return Clause((subject,), verb, objects, **rest)


def be(*subject: Thing, **rest) -> Sentence:
    return Sentence((Clause(subject, "be", **rest),))


def at(preposition: str, thing: Thing) -> dict[str, tuple[Phrase, ...]]:
    return {"phrases": (Phrase(preposition, thing),)}


NOT = {"negation": "not"}
IT, ME, YOU = Thing("it"), Thing("i"), Thing("you")

MEANINGS = [
    say(the("cat", "small"), "see", the("house", "red"), **NOT),
    say("i", "love", the("tree", "old")),
    say("she", "give", IT, recipient=Thing("we"), **NOT),
    say("he", "have", bare("apple", plural=True), **NOT),
    say(the("owl"), "sleep", **at("in", the("garden"))),
    be(the("hero", plural=True), adjectives=("tall",)),
    be(the("hero"), adjectives=("afraid",), **NOT),
    be(the("girl"), the("boy"), adjectives=("tall",)),
    be(the("girl"), the("woman"), adjectives=("tall",)),
    say("he", "have", bare("cat", "small", plural=True)),
    say("she", "buy", bare("orange", "excellent", plural=True)),
    say("i", "see", the("cat", determiner="a"), **NOT),
    say(my("father"), "read", the("book", "new", determiner="a")),
    be(the("hotel", "new", determiner="this"), adjectives=("expensive",)),
    be(the("tree", determiner="that"), adjectives=("beautiful",)),
    say(the("queen"), "have", the("bird", "beautiful", determiner="a")),
    say(the("horse", "beautiful", plural=True, determiner="this"), "run", **at("in", the("park"))),
    say("he", "go", **at("to", the("market"))),
    say("she", "come", **at("from", the("museum"))),
    be(ME, **at("near", the("castle", plural=True))),
    say("we", "speak", recipient=the("student", plural=True)),
    say(the("singer"), "show", the("castle"), recipient=the("child")),
    be(the("door")._replace(of=the("house")), adjectives=("closed",)),
    be(the("street", plural=True)._replace(of=Thing("paris")), adjectives=("clean",)),
    say("he", "drink", bare("water")),
    say("we", "drink", bare("coffee")),
    say("she", "eat", bare("bread"), bare("cheese")),
    say("i", "like", bare("coffee")),
    say("they", "like", bare("apple", plural=True), **NOT),
    say(my("friend", of="her"), "speak", bare("english")),
    be(my("car", "other"), adjectives=("white",)),
    be(my("story", of="his"), adjectives=("long",), very=True),
    say("we", "give", Thing("they"), recipient=Thing("she")),
    say("he", "send", IT, recipient=Thing("they")),
    say("you", "help", ME, negation="never"),
    say("i", "bring", IT, recipient=YOU, time="today"),
    be(my("brother"), noun=Thing("doctor", "a")),
    be(Thing("she"), noun=Thing("student", "a"), **NOT),
    be(the("cat"), **at("under", the("table"))),
    be(the("hotel"), **at("next to", the("station"))),
    say(the("cat", determiner="a"), "there", **at("in", the("garden"))),
    say(Thing("hotel", "many", True), "there", **at("in", Thing("london")), **NOT),
    Sentence((part(the("boy"), "sing"), part("he", "be", adjectives=("happy",))), ("because",)),
    Sentence((part("i", "sleep"), part("i", "be", adjectives=("tired",))), ("when",)),
    be(Thing("they"), adjectives=("hungry",)),
    be(Thing("she"), adjectives=("thirsty",), very=True),
    say("she", "buy", the("dress", "green"), modal="want"),
    say("i", "see", YOU, modal="can", **NOT),
    say("he", "work", modal="must", time="at night", **NOT),
    say("we", "play", the("guitar")),
    say("he", "play", the("piano")),
    say(
        the("girl")._replace(
            relative=Clause((), "live", **at("in", the("house", determiner="this")))
        ),
        "sing",
        manner="well",
    ),
    say(
        my("sister"),
        "go",
        phrases=(Phrase("to", Thing("school")), Phrase("by", Thing("bus"))),
    ),
    say(the("teacher"), "go", phrases=(Phrase("to", the("library")), Phrase("on", Thing("foot")))),
    say(my("mother", of="our"), "work", **at("at", Thing("home"))),
    be(my("father", of="their"), **at("at", Thing("work"))),
    say("we", "look at", the("horse", "small", "white", plural=True)),
    say("she", "listen to", ME),
    say("you", "look for", my("key", of="your", plural=True)),
    be(the("woman", "old", plural=True), adjectives=("sad",), frequency="often"),
    Sentence((part("i", "like", bare("tea")), part("i", "like", bare("coffee"), **NOT)), ("but",)),
    be(the("garden"), adjectives=("small", "beautiful"), link="but"),
    say("we", "eat", bare("orange", "fresh", plural=True)),
    be(the("bean", plural=True), adjectives=("good",)),
    say("they", "walk", time="every day"),
    say(my("mother"), "drink", bare("coffee"), time="in the morning"),
    say(Thing("farmer", "three", True), "sell", bare("egg", plural=True), recipient=the("king")),
    say("he", "eat", bare("bread", "fresh"), **NOT),
    say(the("queen"), "wear", the("hat", "blue", determiner="a")),
    be(the("newspaper", plural=True, determiner="this"), adjectives=("interesting",)),
    Sentence((part("she", "sing"), Clause((), "dance", **at("in", the("kitchen")))), ("and",)),
    say("i", "dance", **at("with", my("friend"))),
    say(Thing("child", "many", True), "learn", bare("french")),
    Sentence(
        (part(the("woman"), "open", the("window")), part(the("man"), "close", the("door"))),
        ("and",),
    ),
]


def reviewed() -> list[dict[str, str]]:
    with FIXTURE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def links_of(text: str) -> set[tuple[int, int]]:
    """'0 2,3 ∅' is the links (0, 0), (1, 2), (1, 3)."""
    words = enumerate(text.split())
    return {(t, int(j)) for t, places in words if places != "∅" for j in places.split(",")}


def translate(meaning: Sentence) -> Pair:
    return align(realise_english(meaning), realise(meaning))


def french(meaning: Sentence) -> str:
    return " ".join(translate(meaning).target)


# --- Reviewed sentences ------------------------------------------------------------------------


def test_there_are_as_many_meanings_as_reviewed_sentences():
    assert len(MEANINGS) == len(reviewed()) >= 60


@pytest.mark.parametrize(
    ("row", "meaning"), list(zip(reviewed(), MEANINGS)), ids=[r["english"] for r in reviewed()]
)
def test_reviewed_sentence(row, meaning):
    pair = translate(meaning)
    assert " ".join(pair.source) == row["english"]
    assert " ".join(pair.target) == row["french"], row["rule"]
    assert len(row["links"].split()) == len(pair.target)
    assert pair.sure == links_of(row["links"]), row["rule"]
    assert pair.sure <= pair.possible


# --- Rules -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "plurals"),
    [
        ("chat souris nez prix", "chats souris nez prix"),
        ("cheval hôpital journal", "chevaux hôpitaux journaux"),
        ("château chapeau jeu bleu", "châteaux chapeaux jeux bleus"),
    ],
)
def test_regular_plurals(words, plurals):
    assert " ".join(plural_of(word) for word in words.split()) == plurals


def test_regular_feminines():
    words = "grand rouge heureux cher fermé gris français"
    expected = "grande rouge heureuse chère fermée grise française"
    assert " ".join(feminine_of(word) for word in words.split()) == expected


@pytest.mark.parametrize(
    ("infinitive", "forms"),
    [
        ("donner", "donne donnes donne donnons donnez donnent"),
        ("nager", "nage nages nage nageons nagez nagent"),
        ("choisir", "choisis choisis choisit choisissons choisissez choisissent"),
        ("vendre", "vends vends vend vendons vendez vendent"),
    ],
)
def test_regular_present(infinitive, forms):
    assert present_of(infinitive) == tuple(forms.split())


def test_an_infinitive_of_no_group_is_an_error():
    with pytest.raises(ValueError, match="infinitive: got 'chat', expected one in -er, -ir or -re"):
        present_of("chat")


@pytest.mark.parametrize(
    ("adjective", "forms"),
    [
        ("beautiful", ["beau chat", "bel arbre", "belle maison", "belle île"]),
        ("new", ["nouveau chat", "nouvel arbre", "nouvelle maison", "nouvelle île"]),
        ("old", ["vieux chat", "vieil arbre", "vieille maison", "vieille île"]),
        ("old", ["vieux hibou", "vieil hôtel", "vieux héros", "vieil hôpital"]),
    ],
)
def test_forms_before_a_vowel(adjective, forms):
    nouns = ["cat", "tree", "house", "island"]
    if "hibou" in forms[0]:
        nouns = ["owl", "hotel", "hero", "hospital"]
    for noun, form in zip(nouns, forms, strict=True):
        sentence = french(say("i", "see", the(noun, adjective, determiner="this")))
        assert sentence.split(" ", 3)[3] == form
    assert french(say("i", "see", the("tree", adjective, plural=True))).endswith("x arbres")


@pytest.mark.parametrize(
    ("determiner", "tree", "owl", "story", "cat", "trees"),
    [
        ("the", "l' arbre", "le hibou", "l' histoire", "le chat", "les arbres"),
        ("this", "cet arbre", "ce hibou", "cette histoire", "ce chat", "ces arbres"),
        ("my", "mon arbre", "mon hibou", "mon histoire", "mon chat", "mes arbres"),
        ("your", "ton arbre", "ton hibou", "ton histoire", "ton chat", "tes arbres"),
        ("her", "son arbre", "son hibou", "son histoire", "son chat", "ses arbres"),
        ("our", "notre arbre", "notre hibou", "notre histoire", "notre chat", "nos arbres"),
        ("their", "leur arbre", "leur hibou", "leur histoire", "leur chat", "leurs arbres"),
    ],
)
def test_determiners(determiner, tree, owl, story, cat, trees):
    for noun, expected in (("tree", tree), ("owl", owl), ("story", story), ("cat", cat)):
        assert french(say("he", "see", my(noun, of=determiner))) == f"il voit {expected}"
    assert french(say("he", "see", my("tree", of=determiner, plural=True))) == f"il voit {trees}"


def test_my_before_a_feminine_consonant():
    assert french(say("he", "see", my("car"))) == "il voit ma voiture"
    assert french(say("he", "see", my("car", "other"))) == "il voit mon autre voiture"


@pytest.mark.parametrize(
    ("preposition", "museum", "station", "hotel", "owl", "trees", "paris"),
    [
        ("to", "au musée", "à la gare", "à l' hôtel", "au hibou", "aux arbres", "à paris"),
        ("from", "du musée", "de la gare", "de l' hôtel", "du hibou", "des arbres", "de paris"),
        (
            *("near", "près du musée", "près de la gare", "près de l' hôtel", "près du hibou"),
            *("près des arbres", "près de paris"),
        ),
    ],
)
def test_contractions(preposition, museum, station, hotel, owl, trees, paris):
    places = {museum: the("museum"), station: the("station"), hotel: the("hotel")}
    places |= {owl: the("owl"), trees: the("tree", plural=True), paris: Thing("paris")}
    for expected, thing in places.items():
        assert french(say("she", "go", **at(preposition, thing))) == f"elle va {expected}"


CLITICS = {"i": "me", "you": "te", "he": "le", "she": "la", "it": "le", "we": "nous"}


@pytest.mark.parametrize(("noun", "clitic"), [*CLITICS.items(), ("they", "les")])
def test_object_pronouns(noun, clitic):
    assert french(say(the("king"), "see", Thing(noun))) == f"le roi {clitic} voit"


@pytest.mark.parametrize(
    ("to", "order"),
    [
        *(("i", "me le"), ("you", "te le"), ("we", "nous le")),
        *(("he", "le lui"), ("she", "le lui"), ("they", "le leur")),
    ],
)
def test_two_pronouns_in_their_order(to, order):
    clause = say(the("king"), "give", IT, recipient=Thing(to))
    assert french(clause) == f"le roi {order} donne"
    wish = say(the("king"), "give", IT, recipient=Thing(to), modal="want", **NOT)
    assert french(wish) == f"le roi ne veut pas {order} donner"


@pytest.mark.parametrize(
    ("meaning", "expected"),
    [
        (say("i", "buy", bare("book", plural=True)), "j' achète des livres"),
        (say("i", "buy", bare("book", "red", plural=True)), "j' achète des livres rouges"),
        (say("i", "buy", bare("book", "good", plural=True)), "j' achète de bons livres"),
        (say("i", "buy", bare("book", plural=True), **NOT), "je n' achète pas de livres"),
        (say("i", "buy", the("book", determiner="a"), **NOT), "je n' achète pas de livre"),
        (say("i", "buy", the("book"), **NOT), "je n' achète pas le livre"),
        (say("i", "buy", bare("meat")), "j' achète de la viande"),
        (say("i", "buy", bare("bread", "good")), "j' achète du bon pain"),
        (say("i", "buy", bare("milk"), negation="never"), "je n' achète jamais de lait"),
        (say("i", "hate", bare("milk"), negation="never"), "je ne déteste jamais le lait"),
        (say("i", "buy", Thing("tree", "many", True)), "j' achète beaucoup d' arbres"),
        (be(ME, noun=Thing("doctor", "a"), **NOT), "je ne suis pas médecin"),
    ],
)
def test_articles_of_objects(meaning, expected):
    assert french(meaning) == expected


def test_agreement_with_two_things():
    cat, sister, queen = the("cat"), my("sister"), the("queen")
    assert french(be(sister, queen, adjectives=("happy",))).endswith("sont heureuses")
    assert french(be(sister, cat, adjectives=("happy",))).endswith("sont heureux")
    assert french(be(Thing("she"), adjectives=("happy",))) == "elle est heureuse"
    assert french(be(Thing("they"), adjectives=("open",))) == "ils sont ouverts"


@pytest.mark.parametrize(
    ("meaning", "argument"),
    [
        (say("it", "sleep"), "subject"),
        (be(ME, the("cat"), adjectives=("small",)), "subject"),
        (say(the("king"), "give", ME, recipient=Thing("he")), "object"),
    ],
)
def test_what_has_no_french_here_is_an_error(meaning, argument):
    with pytest.raises(ValueError, match=f"^{argument}: got .*, expected "):
        realise(meaning)


def test_detokenize():
    assert detokenize_french(["j'", "aime", "l'", "arbre"]) == "j'aime l'arbre"
    assert detokenize_french(["il", "mange", "aujourd'hui"]) == "il mange aujourd'hui"


# --- Random sentences --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn():
    """6,000 random meanings with their pairs, no sources left out."""
    choose = chooser(7)
    meanings = [draw(choose, long=i % 6 == 0) for i in range(6_000)]
    return [(m, realise_english(m), realise(m)) for m in meanings]


def test_one_translation_a_sentence(drawn):
    translations: dict[str, set[str]] = {}
    for _, english, words in drawn:
        source = " ".join(word.text for word in english)
        translations.setdefault(source, set()).add(" ".join(word.text for word in words))
    assert len(translations) < len(drawn)
    assert [found for found in translations.values() if len(found) > 1] == []


def test_no_elision_or_contraction_is_forgotten(drawn):
    vowels, aspirated = "aâeéêiîoôœuy", ("héros", "hibou", "hiboux", "haricot", "haricots")
    elidable = ("le", "la", "de", "ne", "je", "me", "te", "que", "ce", "ma", "ta", "sa")
    for _, _, words in drawn:
        texts = [word.text for word in words]
        for word, following in pairwise(texts):
            silent = following[0] == "h" and following not in aspirated
            starts_with_vowel = following[0] in vowels or silent
            assert not (word in elidable and starts_with_vowel), texts
            assert starts_with_vowel or not word.endswith("'"), texts
            assert starts_with_vowel or word not in ("cet", "bel", "vieil", "nouvel"), texts
            assert word not in ("de", "à") or following not in ("le", "les"), texts


def test_ne_comes_with_pas_or_jamais(drawn):
    for meaning, _, words in drawn:
        texts = [word.text for word in words]
        negations = sum(clause.negation != "" for clause in meaning.clauses)
        assert texts.count("ne") + texts.count("n'") == negations
        assert texts.count("pas") + texts.count("jamais") == negations


def test_only_function_words_stay_without_a_sure_link(drawn):
    free = {"de", "d'", "du", "des", "le", "la", "les", "l'", "à", "en"}
    auxiliary = {"do", "does", "to", "a", "an", "the"}
    for _, english, words in drawn:
        pair = align(english, words) if max(len(english), len(words)) <= 25 else None
        if pair:
            targets, sources = ({link[side] for link in pair.sure} for side in (0, 1))
            assert {w for t, w in enumerate(pair.target) if t not in targets} <= free
            left = {w for j, w in enumerate(pair.source) if j not in sources}
            assert left <= auxiliary | {"in", "at"}, pair.source  # in the morning, at night


def test_adjectives_stay_with_the_nouns_they_fit(drawn):
    allowed = set(fitting())
    found = {pair for meaning, _, _ in drawn for pair in combinations(meaning)}
    assert len(found) > 400
    assert found <= allowed


def test_the_lexicon_names_only_what_it_holds():
    nouns = read_lexicon("french_nouns")
    names = set(nouns) | {kind for row in nouns.values() for kind in row["kinds"].split()}
    columns = {"verbs": ("subjects", "objects", "recipients", "places")}
    columns |= {"adjectives": ("attributive", "predicative"), "nouns": ("owners",)}
    for table, named in columns.items():
        for lemma, row in read_lexicon(f"french_{table}").items():
            entries = {entry.removeprefix("-") for column in named for entry in row[column].split()}
            assert entries <= names | {"=", "none"}, lemma
    for row in read_lexicon("french_adjectives").values():
        adjectives = f"{row['and']} {row['but']} {row['opposite']}".split()
        assert set(adjectives) <= set(read_lexicon("french_adjectives"))
        assert {*row["makes"].split(), *row["prevents"].split()} <= set(
            read_lexicon("french_verbs")
        )


def test_matching_nouns_and_kinds():
    assert matching("animal tree -owl") == ("cat", "dog", "bird", "horse", "rabbit", "tree")
    assert matching("") == ()


def test_the_same_on_every_run():
    """No order of a set or hash of a string reaches the sentences."""
    script = (
        "from attention_course.corpora.grammar import french, french_meanings as f, meaning as m\n"
        "choose = m.chooser(3)\n"
        "for _ in range(300): print(*[w.text for w in french.realise(f.draw(choose))])\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert len(outputs.pop().splitlines()) == 300


# --- The corpus --------------------------------------------------------------------------------


def lemmas(table: str, words: set[str]) -> set[str]:
    """Lemmas of a French table of which some form, as stored or by rule, is among the words."""
    found = set()
    for lemma, row in read_lexicon(table).items():
        base = row["french"]
        forms = {*base.split(), plural_of(base), *row.get("present", "").split()}
        if base[-2:] in ("er", "ir", "re"):
            forms |= set(present_of(base))
        if forms & words:
            found.add((table, lemma))
    return found


def test_vocabulary_of_training():
    train = load_translation("french").train
    sources, targets = ({w for pair in train for w in pair[side]} for side in (0, 1))
    assert 250 <= len(sources) <= 400
    assert 250 <= len(targets) <= 600
    tables = ("french_nouns", "french_verbs", "french_adjectives")
    assert len(set.union(*(lemmas(table, targets) for table in tables))) >= 150
    everyday = set.union(*(set(read_lexicon(table)) for table in tables))
    assert len(everyday & sources) >= 120
