"""Korean: sounds and particles, stored forms, reviewed pairs with their links, the corpus."""

from collections import Counter
from pathlib import Path

import pytest

from attention_course.corpora.grammar.english import realise_english
from attention_course.corpora.grammar.korean import (
    adjective_lemma,
    detokenize_korean,
    final_consonant,
    inflect,
    particle,
    realise,
    verb_use,
)
from attention_course.corpora.grammar.korean_meanings import adjectives_of, draw, fitting, uses
from attention_course.corpora.grammar.meaning import (
    Clause,
    Phrase,
    Sentence,
    Thing,
    chooser,
    combinations,
    read_lexicon,
)
from attention_course.corpora.translation import align, load_translation

FIXTURE = Path(__file__).parent / "fixtures" / "korean.tsv"
ROWS = [line.split("\t") for line in FIXTURE.read_text("utf-8").splitlines()[1:]]


@pytest.mark.parametrize(
    ("word", "final"),
    [
        ("책", "ㄱ"),
        ("사과", ""),
        ("서울", "ㄹ"),
        ("값", "ㅄ"),
        ("좋", "ㅎ"),
        ("힣", "ㅎ"),
        ("가", ""),
    ]
    + [("TV", ""), ("KBS", ""), ("MBTI", ""), ("URL", "ㄹ"), ("CNN", "ㄴ"), ("ATM", "ㅁ")]
    + [("2", ""), ("10", "ㅇ"), ("7", "ㄹ"), ("6", "ㄱ"), ("3", "ㅁ"), ("9", "")],
)
def test_final_consonant(word, final):
    assert final_consonant(word) == final


@pytest.mark.parametrize("word", ["", "Paul", "책!", "ㄱ"])
def test_final_consonant_refuses_what_spelling_does_not_tell(word):
    with pytest.raises(ValueError, match="word: got"):
        final_consonant(word)


PARTICLES = """책 은 은|사과 은 는|책 이 이|사과 이 가|책 을 을|사과 을 를|책 과 과|사과 과 와
펜 으로 으로|서울 으로 로|지하철 으로 로|연필 으로 로|기차 으로 로
숟가락 으로 으로|학생 이에요 이에요|의사 이에요 예요|TV 을 를|서울 에 에
집 에서 에서|민준 에게 에게|물 이에요 이에요|물 은 은|물 이 이"""


@pytest.mark.parametrize("case", PARTICLES.replace("\n", "|").split("|"))
def test_particles(case):
    word, name, form = case.split()
    assert particle(word, name) == form


FORMS = """가다 가요 가는 갈|오다 와요 오는 올|먹다 먹어요 먹는 먹을
마시다 마셔요 마시는 마실|쓰다 써요 쓰는 쓸|듣다 들어요 듣는 들을
걷다 걸어요 걷는 걸을|모르다 몰라요 모르는 모를|부르다 불러요 부르는 부를
살다 살아요 사는 살|알다 알아요 아는 알|열다 열어요 여는 열
만들다 만들어요 만드는 만들|놀다 놀아요 노는 놀
공부하다 공부해요 공부하는 공부할|보다 봐요 보는 볼|배우다 배워요 배우는 배울
주다 줘요 주는 줄|팔다 팔아요 파는 팔|춥다 추워요 추운|덥다 더워요 더운
맵다 매워요 매운|귀엽다 귀여워요 귀여운|빨갛다 빨개요 빨간|하얗다 하얘요 하얀
크다 커요 큰|바쁘다 바빠요 바쁜|예쁘다 예뻐요 예쁜|길다 길어요 긴|달다 달아요 단
맛있다 맛있어요 맛있는|빠르다 빨라요 빠른|멀다 멀어요 먼|좋다 좋아요 좋은
젊다 젊어요 젊은|재미있다 재미있어요 재미있는|작다 작아요 작은"""


@pytest.mark.parametrize("case", FORMS.replace("\n", "|").split("|"))
def test_stored_forms(case):
    lemma, *forms = case.split()
    assert [inflect(lemma, ending) for ending in "요는ㄹ"[: len(forms)]] == forms


@pytest.mark.parametrize(
    ("lemma", "ending", "form"),
    [
        ("읽다", "고", "읽고"),
        ("작다", "지만", "작지만"),
        ("공부하다", "지", "공부하지"),
        ("춥다", "서", "추워서"),
        ("아프다", "서", "아파서"),
        ("쓰다", "야", "써야"),
        ("듣다", "야", "들어야"),
        ("키 ##가 크다", "지", "키 ##가 크지"),
    ],
)
def test_endings_by_rule(lemma, ending, form):
    assert inflect(lemma, ending) == form


def test_every_form_agrees_with_its_dictionary_form():
    """Adnominal 는 or ㄴ, prospective ㄹ and 해요 end as they must, whatever comes before."""
    for row in read_lexicon("korean_verbs").values():
        assert row["korean"].endswith("다") and row["polite"].endswith("요")
        assert final_consonant(row["adnominal"]) == "ㄴ", row
        assert final_consonant(row["prospective"]) == "ㄹ", row
        if row["adnominal"].endswith("는") and row["korean"] != "이다":
            stem = row["korean"][:-1]
            assert row["adnominal"][:-1] == stem or final_consonant(stem) == "ㄹ", row
    for lemma, row in read_lexicon("korean_adjectives").items():
        assert final_consonant(row["adnominal"]) in (("",) if lemma == "새" else ("ㄴ",)), row


def test_one_english_word_by_what_it_is_said_of():
    assert adjective_lemma("cold", "weather") == "춥다"
    assert adjective_lemma("cold", "water") == "차갑다"
    assert adjective_lemma("hot", "coffee") == "뜨겁다"
    assert [verb_use("wear", noun)["korean"] for noun in ("shirt", "hat", "shoe")] == [
        *("입다", "쓰다", "신다")
    ]
    plays = [verb_use("play", noun)["korean"] for noun in ("soccer", "tennis", "piano", None)]
    assert plays == ["하다", "치다", "치다", "놀다"]
    with pytest.raises(ValueError, match="adjective: got 'spicy' of 'school'"):
        adjective_lemma("spicy", "school")
    with pytest.raises(ValueError, match="verb: got 'read' with 'apple'"):
        verb_use("read", "apple")


def test_detokenize():
    tokens = ["학생", "##은", "책", "##을", "읽어요"]
    assert detokenize_korean(tokens) == "학생은 책을 읽어요"


# What the reviewed sentences mean; the sentences themselves stand in fixtures/korean.tsv.
I, WE, WHO = (Thing("i"),), (Thing("we"),), (Thing("who"),)
FRIEND, STUDENT, MINSU = (Thing("friend", "my"),), (Thing("student", "the"),), (Thing("minsu"),)
SISTER, MINJUN = (Thing("younger sister", "my"),), (Thing("minjun"),)
NOT = {"negation": "not"}


def the(noun, *adjectives, determiner="the", plural=False, **more):
    return Thing(noun, determiner, plural, adjectives, **more)


def a(noun, *adjectives):
    return the(noun, *adjectives, determiner="a")


def many(noun, determiner="", *adjectives):
    return Thing(noun, determiner, True, adjectives)


def at(preposition, noun, determiner="the", *adjectives):
    return Phrase(preposition, Thing(noun, determiner, False, adjectives))


def do(subject, verb, *objects, to=None, phrases=(), **more):
    return Clause(subject, verb, objects, to, phrases=tuple(phrases), **more)


SCHOOL, HOME = at("at", "school", ""), at("at", "home", "")
READ = do(STUDENT, "read", a("book"))
COLD = do((the("weather"),), "be", adjectives=("cold",))
SICK = do(I, "be", adjectives=("sick",))
MEANINGS = [
    READ,
    do((the("cat"),), "be", phrases=[at("in", "house", "the", "big")]),
    do(FRIEND, "go", phrases=[at("to", "seoul", ""), at("by", "train", "")]),
    do(I, "study", phrases=[SCHOOL], **NOT),
    do(I, "go", phrases=[at("to", "busan", ""), at("by", "subway", "")], **NOT),
    do(FRIEND, "eat", Thing("rice"), phrases=[at("with", "spoon", "a")]),
    do(STUDENT, "write", a("letter"), phrases=[at("with", "pencil", "a")]),
    do(STUDENT, "write", a("letter"), phrases=[at("with", "pen", "a")]),
    do(I, "write", many("email"), phrases=[at("in", "korean", "")]),
    do((*FRIEND, *I), "watch", Thing("tv"), phrases=[HOME]),
    do((*MINSU, *MINJUN), "be", noun=many("student")),
    do(MINJUN, "be", noun=a("doctor")),
    do(SISTER, "be", noun=a("singer", "famous")),
    do(FRIEND, "be", noun=a("doctor"), **NOT),
    do(I, "be", noun=a("college student"), **NOT),
    do(I, "have", many("cat", "two")),
    do(I, "have", a("car"), **NOT),
    do(FRIEND, "have", many("book", "many")),
    do(STUDENT, "buy", many("apple", "three")),
    do(STUDENT, "read", many("book", "two")),
    do((many("cat", "three"),), "there", phrases=[at("in", "garden")]),
    do((a("box", "heavy"),), "there", phrases=[at("under", "table")]),
    do((many("book", "many"),), "there", phrases=[at("on", "desk")]),
    do((the("key"),), "be", phrases=[at("in", "bag")]),
    do((the("bank"),), "be", phrases=[at("next to", "station")]),
    do((the("car"),), "be", phrases=[at("in front of", "house")]),
    do((the("dog"),), "be", phrases=[at("behind", "school")], **NOT),
    do(FRIEND, "be", phrases=[HOME], time="in the morning", **NOT),
    COLD,
    do((the("weather"),), "be", adjectives=("hot",), very=True, time="today"),
    do((the("water"),), "be", adjectives=("cold",)),
    do((Thing("korean"),), "be", adjectives=("easy",)),
    do((the("movie"),), "be", adjectives=("interesting",), **NOT),
    do((the("house"),), "be", adjectives=("big",), **NOT),
    do(FRIEND, "be", adjectives=("tall",)),
    do(FRIEND, "be", adjectives=("tall",), very=True),
    do(FRIEND, "be", adjectives=("tall",), **NOT),
    do((the("camera"),), "be", adjectives=("small", "light")),
    do((the("bag", determiner="this"),), "be", adjectives=("pretty", "expensive"), link="but"),
    do((the("student", "tall"),), "ride", a("bicycle", "red")),
    do(I, "know", the("singer", determiner="that")),
    do(I, "know", the("singer"), **NOT),
    do(I, "need", a("bag", "new")),
    do(FRIEND, "need", a("umbrella"), **NOT),
    do(I, "like", many("rabbit")),
    do(FRIEND, "like", Thing("coffee"), **NOT),
    do(I, "drink", Thing("milk"), **NOT),
    do(I, "wear", many("shoe")),
    do(FRIEND, "wear", a("hat", "black"), time="in winter"),
    do(STUDENT, "wear", a("shirt", "white")),
    do(STUDENT, "play", the("piano"), time="every day"),
    do(FRIEND, "play", Thing("soccer"), phrases=[at("in", "park")], time="on saturday"),
    do((many("child", "the"),), "play", phrases=[at("in", "park")]),
    do((many("baby", "the"),), "cry", time="at night"),
    do(I, "swim", modal="can", **NOT),
    do(FRIEND, "play", the("guitar"), modal="can"),
    do(I, "eat", a("apple"), modal="want"),
    do(WE, "study", modal="want", **NOT),
    do(I, "clean", the("room", determiner="the"), modal="must"),
    do(SISTER, "study", manner="hard"),
    do(SISTER, "swim", manner="well"),
    do(MINSU, "play", Thing("tennis"), manner="well"),
    do(MINSU, "speak", Thing("french"), manner="well"),
    do(I, "drink", Thing("tea"), frequency="often"),
    do(FRIEND, "eat", Thing("dinner"), phrases=[HOME], frequency="always"),
    do(WE, "watch", many("movie"), manner="together", time="on weekends"),
    do(I, "give", a("gift"), to=FRIEND[0]),
    do(SISTER, "send", many("photo"), to=MINJUN[0]),
    do(I, "call", FRIEND[0], time="every evening"),
    do(FRIEND, "meet", MINSU[0], phrases=[at("at", "cafe")], **NOT),
    do(I, "listen to", Thing("music"), phrases=[HOME]),
    do(FRIEND, "wait for", the("bus"), phrases=[at("at", "station")]),
    do(I, "look for", the("key", determiner="my")),
    do(FRIEND, "live", phrases=[at("in", "new york", "")]),
    do(I, "go", phrases=[at("to", "school", "my")]),
    do(WHO, "read", the("book", determiner="this")),
    do((the("book", relative=do(I, "read")),), "be", adjectives=("difficult",)),
    do((the("song", relative=do(FRIEND, "listen to")),), "be", adjectives=("good",)),
    do((the("student", relative=do((), "like", many("cat"))),), "sing", phrases=[HOME]),
    do(FRIEND, "go", phrases=[at("to", "seoul", ""), at("with", "cousin", "my")], time="on friday"),
    do(I, "buy", many("apple"), many("pear")),
    Sentence((READ, do((), "drink", Thing("coffee"))), ("and",)),
    Sentence((READ, do(FRIEND, "sleep")), ("and",)),
    Sentence(
        (do(I, "drink", Thing("coffee")), do((), "drink", Thing("milk"), **NOT)),
        ("but",),
    ),
    Sentence((do(MINSU, "be", noun=a("cook")), do(I, "be", noun=a("student"))), ("but",)),
    Sentence((do(I, "go", phrases=[at("to", "school", "")], **NOT), SICK), ("because",)),
    Sentence((do(I, "be", phrases=[HOME]), COLD), ("because",)),
]


def links_text(pair):
    """One item a target token: its sure source indices, "∅" without any."""
    rows = [[j for t, j in sorted(pair.sure) if t == i] for i in range(len(pair.target))]
    return " ".join(",".join(map(str, row)) or "∅" for row in rows)


def pair_of(meaning):
    sentence = meaning if isinstance(meaning, Sentence) else Sentence((meaning,))
    return align(realise_english(sentence), realise(sentence))


@pytest.mark.parametrize(
    ("row", "meaning"), list(zip(ROWS, MEANINGS)), ids=[row[0] for row in ROWS]
)
def test_reviewed_pair(row, meaning):
    pair = pair_of(meaning)
    assert [" ".join(pair.source), " ".join(pair.target), links_text(pair)] == row[:3]


def test_fixture_is_complete():
    assert len(ROWS) == len(MEANINGS) >= 60
    assert len({row[0] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize(
    ("meaning", "target", "source", "kind"),
    [
        (READ, "##은", "student", "possible"),
        (READ, "##을", "book", "possible"),
        (do(I, "study", phrases=[SCHOOL], **NOT), "공부하지", "do", "possible"),
        (do(I, "have", many("cat", "two")), "마리", "cats", "possible"),
        (do(I, "eat", a("apple"), modal="want"), "먹고", "to", "possible"),
        (MEANINGS[1], "있어요", "is", "sure"),
        (do(FRIEND, "go", phrases=[at("to", "seoul", "")]), "##에", "to", "sure"),
        (do(FRIEND, "go", phrases=[at("to", "seoul", "")]), "##에", "seoul", "possible"),
    ],
)
def test_links_of_one_word(meaning, target, source, kind):
    pair = pair_of(meaning)
    link = (pair.target.index(target), pair.source.index(source))
    assert link in pair.possible
    assert (link in pair.sure) == (kind == "sure")


def test_articles_are_not_linked():
    for row, meaning in zip(ROWS, MEANINGS, strict=True):
        pair = pair_of(meaning)
        articles = {j for j, word in enumerate(pair.source) if word in ("a", "an", "the")}
        assert not any(j in articles for _, j in pair.possible), row


def test_the_uses_of_verbs_name_nouns_that_there_are():
    for use in uses().values():
        assert use.subjects and (use.objects or not use.determiners), use.name
    for column, name in (("nouns", "korean_adjectives"), ("objects", "korean_uses")):
        nouns = read_lexicon("korean_nouns")
        known = {*nouns, *(kind for row in nouns.values() for kind in row["classes"].split())}
        for row in read_lexicon(name).values():
            names = {word.replace("_", " ") for word in row[column].split()}
            assert names <= known | {"speaker"}, (row, names - known)


def test_every_english_lemma_stands_in_the_english_lexicon():
    assert set(read_lexicon("korean_nouns")) <= set(read_lexicon("english_nouns"))
    verbs = {row["verb"] for row in read_lexicon("korean_uses").values()}
    assert verbs <= set(read_lexicon("english_verbs"))


def test_draw_is_seeded():
    def sentences(seed):
        choose = chooser(seed)
        return [draw(choose, index % 5 == 0) for index in range(50)]

    assert sentences(3) == sentences(3) != sentences(4)


def test_draw_combines_only_what_fits():
    choose, allowed = chooser(1), set(fitting())
    assert len(allowed) == len(fitting()) > 400
    drawn = {pair for _ in range(3_000) for pair in combinations(draw(choose))}
    assert len(drawn) > 300 and drawn <= allowed
    assert "spicy" not in adjectives_of("cat") and "cute" in adjectives_of("cat")


@pytest.fixture(scope="module")
def corpus():
    return load_translation("korean")


def test_sizes_and_lengths(corpus):
    sizes = [len(split) for split in corpus]
    assert sizes == [30_000, 1_000, 1_000, 1_000, 1_000]
    for pair in (pair for split in corpus for pair in split):
        assert 3 <= len(pair.source) <= 25 and 3 <= len(pair.target) <= 25
    longest = max(len(pair.source) for pair in corpus.train)
    assert min(len(pair.source) for pair in corpus.longer) > longest


def test_one_translation_a_sentence_and_no_sentence_in_two_splits(corpus):
    sources = [pair.source for split in corpus for pair in split]
    assert len(set(sources)) == len(sources)


def test_one_translation_whatever_the_meaning():
    """Two meanings with the same English words have the same Korean words and links."""
    choose, seen = chooser(7), {}
    repeated = 0
    for _ in range(6_000):
        meaning = draw(choose)
        if len(realise_english(meaning)) > 12:
            continue
        pair = pair_of(meaning)
        repeated += pair.source in seen
        assert seen.setdefault(pair.source, pair) == pair
    assert repeated > 200


def test_vocabulary(corpus):
    for side in ("source", "target"):
        forms = Counter(word for pair in corpus.train for word in getattr(pair, side))
        assert len(forms) >= 250
        assert sum(count < 3 for count in forms.values()) <= 0.02 * len(forms)
        start = {word for pair in corpus.train[:1_000] for word in getattr(pair, side)}
        assert len(start) >= 0.95 * len(forms)
        others = {word for split in corpus for pair in split for word in getattr(pair, side)}
        assert others <= set(forms)
    text = " ".join(" ".join(pair.source) for pair in corpus.train)
    lemmas = [noun for noun in read_lexicon("korean_nouns") if noun in text]
    assert len(lemmas) >= 120


def test_held_out_combinations(corpus):
    trained = {pair for sentence in corpus.train for pair in sentence.combinations}
    adjectives, nouns = ({pair[i] for pair in trained} for i in range(2))
    for sentence in corpus.combinations:
        new = [pair for pair in sentence.combinations if pair not in trained]
        assert new and all(a in adjectives and n in nouns for a, n in new)


def test_korean_is_well_formed_throughout(corpus):
    """Particles agree with the word before; every sentence ends in 요; the banned words."""
    pairs = {"은는": "은", "이가": "이", "을를": "을", "과와": "과"}
    for pair in (pair for split in corpus for pair in split):
        assert pair.target[-1].endswith("요") and "##" not in pair.target[0]
        assert not {"당신", "그녀", "그들", ""} & set(pair.target)
        for word, next_word in zip(pair.target, pair.target[1:]):
            for forms, name in pairs.items():
                if next_word[:2] == "##" and next_word[2:] in forms:
                    assert next_word == "##" + particle(word, name), pair


def test_content_words_are_all_linked(corpus):
    """Every Korean word but particles, counters and 씨 has a sure link."""
    counters = {row["counter"] for row in read_lexicon("korean_nouns").values()} | {"씨", "시"}
    for pair in corpus.test + corpus.longer:
        linked = {t for t, _ in pair.sure}
        for index, word in enumerate(pair.target):
            assert index in linked or word.startswith("##") or word in counters, pair
