"""Short film reviews from a small grammar: one sentence decides, the others only tell.

The rule of the label: the writer's verdict is an adjective; a negator before it in its clause turns
it round; in a contrast ("… but …") the second clause decides. In training a negator, a "but" and
most adjectives occur about as often in reviews for a film as in reviews against one, so that hardly
a word gives the label away by itself, and the sentences around contain negators and contrasts that
decide nothing.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from attention_course.corpora.batching import bucketed_batches, make_batch
from attention_course.corpora.grammar.meaning import Choose, chooser
from attention_course.corpora.vocabulary import Vocabulary

SIZES = {"train": 4_000, "validation": 500, "test": 1_000, "combinations": 500}
SIZES |= {"never_negated": 500, "longer": 500}
#: Tokens of the shortest and the longest review, and of those in `longer`.
LENGTHS, LONG_LENGTHS = (8, 60), (120, 200)

POSITIVE = (
    *("good", "brilliant", "clever", "funny", "moving", "lovely", "gripping", "charming"),
    *("beautiful", "fresh", "strong", "witty", "warm", "superb", "elegant", "thrilling"),
    *("memorable", "honest", "touching", "graceful"),
)
NEGATIVE = (
    *("bad", "dull", "stupid", "boring", "clumsy", "weak", "awful", "cheap"),
    *("slow", "flat", "silly", "tired", "ugly", "lifeless", "confusing", "predictable"),
    *("noisy", "shallow", "wooden", "tedious"),
)
NEGATORS = ("not", "never", "hardly")
#: Adjective -> the one negator that training never puts before it.
NEVER_WITH = {
    **dict.fromkeys(("good", "brilliant", "bad", "stupid"), "not"),
    **dict.fromkeys(("clever", "superb", "flat", "wooden"), "never"),
    **dict.fromkeys(("fresh", "weak"), "hardly"),
}
#: Adjectives that training never negates at all.
NEVER_NEGATED = frozenset(
    ("funny", "gripping", "warm", "elegant", "honest", "dull", "clumsy", "slow", "ugly", "shallow")
)
INTENSIFIERS = ("very", "really", "so", "truly")
#: Of ten reviews, as many decide in a contrast.
CONTRASTS = 3

# "~" is the place of the negator, "^" that of the intensifier and the adjective.
_CLAUSES = (
    "the {aspect} was ~ ^",
    "i found the {aspect} ~ ^",
    "to me the {aspect} seemed ~ ^",
    "i would ~ call the {aspect} ^",
    "i could ~ think of the {aspect} as ^",
    "the {aspect} would ~ strike anybody as ^",
)
_OTHERS = (
    "i saw it on {day} with my {relation}",
    "we watched it at home on a {day} evening",
    "my {relation} had bought the tickets",
    "the story is set in {place}",
    "it is about a {role} and a {role}",
    "a {role} leaves {place} and meets a {role}",
    "it runs for {number} hours",
    "there were {number} people in the room",
    "the {role} is played by an actor from {place}",
    "my {relation} read the script in {place}",
    "we took bus number {number} home",
    "afterwards we had dinner with my {relation}",
    "it was raining on {day}",
    "the tickets cost {number} dollars",
    "the music is by a composer from {place}",
    "my {relation} works as a {role}",
    "the first scene shows {place} at night",
    "the film has {number} songs in it",
    "we did not book our seats",
    "i had never been to {place}",
    "my {relation} could hardly find a seat",
    "the {role} does not come home",
    "the {role} never speaks of {place}",
    "it was not raining on {day}",
    "there was hardly anybody in row {number}",
    "my {relation} did not come with us",
    "we never sit in row {number}",
    "my {relation} hardly goes out on a {day}",
    "we came by car but my {relation} took the bus",
    "the {role} stays but the {role} leaves for {place}",
    "my {relation} was late but we waited",
    "it was very late when we came home",
    "{place} is really far away",
    "the room was so full that we sat in row {number}",
    "it truly happened in {place}",
)
_WORDS = {
    "aspect": "acting story script music ending film dialogue plot humour direction "
    "photography cast",
    "day": "monday tuesday wednesday thursday friday saturday sunday",
    "relation": "sister brother mother father cousin aunt uncle neighbour teacher colleague friend",
    "role": "doctor sailor farmer nurse painter judge soldier waiter pianist widow baker pilot",
    "place": "paris lisbon boston cairo dublin oslo kyoto naples lima athens seoul vienna",
    "number": "two three four five six seven eight nine",
}
_SLOTS = {f"{{{name}}}": tuple(words.split()) for name, words in _WORDS.items()}


class Review(NamedTuple):
    """A review, what it says of the film, and where it says so.

    label: 1 for the film, 0 against it. Places count from 0: `adjective` and `negator` (None if
    there is none) of the clause that decides, and that clause itself, `tokens[start:end]`.
    """

    tokens: tuple[str, ...]
    label: int
    adjective: int
    negator: int | None
    start: int
    end: int


class Reviews(NamedTuple):
    """Six lists of reviews that share no text.

    train: 4,000 reviews of 8 to 60 tokens; validation, 500, and test, 1,000, are like them.
    combinations: 500 that decide by a negator and an adjective which training never puts together,
    though it negates the adjective otherwise. never_negated: 500 that negate an adjective which
    training never negates. longer: 500 like those of the test, but of 120 to 200 tokens.
    """

    train: list[Review]
    validation: list[Review]
    test: list[Review]
    combinations: list[Review]
    never_negated: list[Review]
    longer: list[Review]


class LabelledBatch(NamedTuple):
    """Ids of B texts, padded on the right: source (B,S), source_lengths (B,), labels (B,) of 0 and
    1, all int64.
    """

    source: np.ndarray
    source_lengths: np.ndarray
    labels: np.ndarray


class _Clause(NamedTuple):
    """Words, and the places of adjective and negator in them."""

    words: list[str]
    adjective: int
    negator: int | None

    @property
    def kind(self) -> str:
        """The list that a review with this verdict is for; "common" may go into training."""
        if self.negator is None:
            return "common"
        negator, adjective = self.words[self.negator], self.words[self.adjective]
        if adjective in NEVER_NEGATED:
            return "never_negated"
        return "combinations" if NEVER_WITH.get(adjective) == negator else "common"


@cache
def load_reviews() -> Reviews:
    """The reviews, the same on every machine."""
    wanted = {name: SIZES[name] for name in ("combinations", "never_negated")}
    wanted["common"] = sum(SIZES[name] for name in ("train", "validation", "test"))
    found: dict[str, list[Review]] = {name: [] for name in wanted}
    seen: set[tuple[str, ...]] = set()
    stream = _reviews(0, LENGTHS, seen)
    while any(len(found[name]) < count for name, count in wanted.items()):
        kind, review = next(stream)
        if len(found[kind]) < wanted[kind]:
            found[kind].append(review)
    long = (review for kind, review in _reviews(1, LONG_LENGTHS, seen) if kind == "common")
    first, second = SIZES["train"], SIZES["train"] + SIZES["validation"]
    common = found.pop("common")
    parts = common[:first], common[first:second], common[second:]
    return Reviews(*parts, **found, longer=[next(long) for _ in range(SIZES["longer"])])


def labelled_batch(
    sequences: Sequence[Sequence[str]], labels: Sequence[int], vocabulary: Vocabulary
) -> LabelledBatch:
    """B tokenised texts, none empty, and their labels as one batch.

    Raises ValueError for labels that are not one 0 or 1 for each text, and for an empty text.
    """
    ids = _encoded(sequences, labels, vocabulary)
    batch = make_batch(ids, [[]] * len(ids), vocabulary, vocabulary)
    return LabelledBatch(batch.source, batch.source_lengths, np.array(labels, np.int64))


def labelled_batches(
    sequences: Sequence[Sequence[str]],
    labels: Sequence[int],
    vocabulary: Vocabulary,
    batch_size: int,
    seed: int,
) -> Iterator[LabelledBatch]:
    """Endless batches of texts of similar length, every text once an epoch (`bucketed_batches`).

    Raises ValueError as `labelled_batch`, and for a batch_size below 1.
    """
    ids = _encoded(sequences, labels, vocabulary)
    # A label travels as the one word of a target, so that batches are cut in one place only.
    words = [_VERDICTS.encode([_VERDICTS.tokens[-2 + label]]) for label in labels]
    pairs = list(zip(ids, words, strict=True))
    batches = bucketed_batches(pairs, batch_size, vocabulary, _VERDICTS, seed)
    return (LabelledBatch(b.source, b.source_lengths, _labels(b.target_out)) for b in batches)


_VERDICTS = Vocabulary(("against", "for"))


def _labels(target: np.ndarray) -> np.ndarray:
    return (target[:, 0] == _VERDICTS.encode(["for"])[0]).astype(np.int64)


def _encoded(
    sequences: Sequence[Sequence[str]], labels: Sequence[int], vocabulary: Vocabulary
) -> list[list[int]]:
    if len(labels) != len(sequences) or not set(labels) <= {0, 1}:
        raise ValueError(
            f"labels: got {len(labels)} of values {sorted(set(labels))[:5]} for {len(sequences)} "
            "sequences, expected one 0 or 1 for each"
        )
    return [vocabulary.encode(sequence) for sequence in sequences]


def _reviews(
    seed: int, lengths: tuple[int, int], seen: set[tuple[str, ...]]
) -> Iterator[tuple[str, Review]]:
    """Endless stream of new reviews (`seen` grows), each with the kind of its verdict.

    The clause of a contrast that does not decide is one that training may hold.
    """
    choose = chooser(seed)
    while True:
        label = choose((0, 1))
        deciding = _clause(choose, label)
        contrast = choose(range(10)) < CONTRASTS
        other = _clause(choose, 1 - label) if contrast else None
        before = [] if other is None else [*other.words, "but"]
        around = _others(choose, lengths, len(before) + len(deciding.words) + 1)
        if around is None or (other is not None and other.kind != "common"):
            continue
        review = _assembled(choose, label, before, deciding, around)
        if review.tokens not in seen:
            seen.add(review.tokens)
            yield deciding.kind, review


def _clause(choose: Choose, label: int) -> _Clause:
    """A clause that speaks for (1) or against the film, negated in half of the cases."""
    negator = choose(NEGATORS) if choose((True, False)) else None
    adjective = choose(POSITIVE if label == (negator is None) else NEGATIVE)
    intensifier = [choose(INTENSIFIERS)] if choose((True, False)) else []
    words = _filled(choose, choose(_CLAUSES))
    place = words.index("~")
    words[place : place + 1] = [] if negator is None else [negator]
    words[-1:] = [*intensifier, adjective]
    return _Clause(words, len(words) - 1, None if negator is None else place)


def _others(choose: Choose, lengths: tuple[int, int], used: int) -> list[list[str]] | None:
    """Different sentences that decide nothing, so many that the review gets a length drawn from
    the range, or a little more; None if that would be too long.
    """
    shortest, longest = lengths
    wanted = choose(range(shortest, longest + 1))
    sentences: list[list[str]] = []
    while used < wanted:
        sentence = [*_filled(choose, choose(_OTHERS)), "."]
        if sentence not in sentences:
            sentences.append(sentence)
            used += len(sentence)
    return sentences if used <= longest else None


def _filled(choose: Choose, template: str) -> list[str]:
    """The words of a template, a different one in each of its slots."""
    words: list[str] = []
    for word in template.split():
        options = [option for option in _SLOTS.get(word, (word,)) if option not in words]
        words.append(choose(options) if word in _SLOTS else word)
    return words


def _assembled(
    choose: Choose, label: int, before: list[str], deciding: _Clause, around: list[list[str]]
) -> Review:
    """The sentence that decides, put at a random place among the others."""
    place = choose(range(len(around) + 1))
    head = [word for sentence in around[:place] for word in sentence] + before
    tail = ["."] + [word for sentence in around[place:] for word in sentence]
    start = len(head)
    negator = None if deciding.negator is None else start + deciding.negator
    tokens = (*head, *deciding.words, *tail)
    end = start + len(deciding.words)
    return Review(tokens, label, start + deciding.adjective, negator, start, end)
