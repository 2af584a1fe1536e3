"""The date corpus: right, unambiguous, split by date, and the same on every machine."""

import hashlib
import re
from collections import Counter
from datetime import date, timedelta

import pytest

from attention_course.corpora.dates import (
    CASES,
    DAY_ABOVE_12,
    FIRST,
    FORMATS,
    LAST,
    MONTHS,
    WEEKDAYS,
    _pairs_of,
    formats_for,
    load_dates,
)
from attention_course.corpora.vocabulary import Vocabulary

DAY = date(2024, 3, 3)  # a Sunday


@pytest.fixture(scope="module")
def dates():
    return load_dates()


@pytest.fixture(scope="module")
def pairs(dates):
    return [pair for part in dates for pair in part]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("day month year", "3 March 2024"),
        ("month day, year", "March 3, 2024"),
        ("day mon year", "3 Mar 2024"),
        ("mon. ordinal, year", "Mar. 3rd, 2024"),
        ("month ordinal year", "March 3rd 2024"),
        ("ordinal month year", "3rd March 2024"),
        ("the ordinal of month year", "the 3rd of March 2024"),
        ("weekday, month day, year", "Sunday, March 3, 2024"),
        ("weekday day month year", "Sunday 3 March 2024"),
        ("wkd, day mon year", "Sun, 3 Mar 2024"),
        ("year month day", "2024 March 3"),
        ("dd-mon-year", "03-Mar-2024"),
        ("day month 'yy", "3 March '24"),
        ("mon day 'yy", "Mar 3 '24"),
        ("year/mm/dd", "2024/03/03"),
        ("yearmmdd", "20240303"),
    ],
)
def test_the_formats_of_any_day(name, text):
    assert FORMATS[name](DAY) == text
    assert name in formats_for(DAY)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("day.month.year", "23.3.2024"),
        ("dd/mm/year", "23/03/2024"),
        ("mm/dd/year", "03/23/2024"),
    ],
)
def test_the_formats_of_days_above_12_only(name, text):
    assert FORMATS[name](date(2024, 3, 23)) == text
    assert name in formats_for(date(2024, 3, 13))
    assert name not in formats_for(date(2024, 3, 12))
    assert name in DAY_ABOVE_12


def test_ordinals():
    endings = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}
    for day in range(1, 32):
        text = FORMATS["ordinal month year"](date(2024, 1, day))
        assert text == f"{day}{endings.get(day, 'th')} January 2024"


def test_there_are_enough_pairs_and_formats_and_no_source_twice(dates, pairs):
    assert len(pairs) == 73_050
    assert [len(part) for part in dates] == [58_442, 7_304, 7_304]
    assert len({pair.source for pair in pairs}) == len(pairs)
    assert len(FORMATS) >= 12
    assert {pair.format for pair in dates.test} == set(FORMATS)


def test_no_date_stands_in_two_parts(dates, pairs):
    train, validation, test = ({pair.target for pair in part} for part in dates)
    assert not train & validation and not train & test and not validation & test
    assert len(train | validation | test) == (LAST - FIRST).days + 1 == 36_525
    assert set(Counter(pair.target for pair in pairs).values()) == {2}


def _written(source):
    """The date that a source states, read without the generator's help."""
    text = source.lower()
    months = {name[:3].lower(): number for number, name in enumerate(MONTHS, start=1)}
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if text.isdigit():
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    named = re.search("|".join(months), text)
    if "'" in text:
        day, year = numbers
        return date(year + (1900 if year >= 50 else 2000), months[named.group()], day)
    year = next(number for number in numbers if number > 31)
    numbers.remove(year)
    if named:
        return date(year, months[named.group()], numbers[0])
    if text.startswith(str(year)):
        return date(year, *numbers)
    assert (numbers[0] > 12) != (numbers[1] > 12) or numbers[0] == numbers[1], source
    return date(year, min(numbers), max(numbers))


def test_every_source_states_its_target(pairs):
    wrong = [pair for pair in pairs if _written(pair.source).isoformat() != pair.target]
    assert wrong == []


def test_every_weekday_is_the_true_one(pairs):
    weekdays = re.compile("|".join(name[:3] for name in WEEKDAYS), re.IGNORECASE)
    named = 0
    for pair in pairs:
        if pair.format.startswith(("weekday", "wkd")):
            stated = weekdays.match(pair.source).group().title()
            # isoweekday of the date as counted from a Monday, 1 January 1900
            days = (date.fromisoformat(pair.target) - date(1900, 1, 1)).days
            assert stated == WEEKDAYS[days % 7][:3], pair
            named += 1
    assert named > 5000


def test_no_text_can_mean_two_dates():
    """Not among the drawn pairs alone: over all days of two years, in all formats and cases."""
    meanings = {}
    days = [date(2012, 1, 1) + timedelta(days) for days in range(731)]
    days += [FIRST, LAST, date(1999, 12, 31), date(2000, 1, 1)]
    for day in days:
        for name in formats_for(day):
            meanings.setdefault(FORMATS[name](day).upper(), set()).add(day)
    assert [text for text, found in meanings.items() if len(found) > 1] == []
    assert LAST.year - FIRST.year == 99, "a year of two figures must name one year"


def test_a_figure_order_that_is_ambiguous_would_be_seen():
    """The check above can fail: day and month in figures, on days up to 12."""
    april, march = date(2012, 4, 3), date(2012, 3, 4)
    assert FORMATS["dd/mm/year"](march) == FORMATS["mm/dd/year"](april)


def test_the_cases_have_their_shares(pairs):
    counts = Counter()
    for pair in pairs:
        written = FORMATS[pair.format](date.fromisoformat(pair.target))
        if re.search("[A-Z]", written):
            changed = {change(written): name for name, (change, _) in CASES.items()}
            counts[changed[pair.source]] += 1
    for name, (_, share) in CASES.items():
        assert counts[name] / counts.total() == pytest.approx(share, abs=0.01)
    assert sum(share for _, share in CASES.values()) == 1


def test_the_formats_are_used_about_equally(dates):
    counts = Counter(pair.format for pair in dates.train)
    often = [counts[name] for name in FORMATS if name not in DAY_ABOVE_12]
    assert max(often) < 1.1 * min(often)
    assert min(counts[name] for name in DAY_ABOVE_12) > 1500


def test_training_text_has_every_character_of_the_test_text(dates, pairs):
    vocabulary = Vocabulary.from_sequences(pair.source for pair in dates.train)
    assert all(vocabulary.unk not in vocabulary.encode(pair.source) for pair in dates.test)
    assert max(len(pair.source) for pair in pairs) == 29


def test_the_corpus_of_a_seed_stays_the_same(dates):
    # Stored: the corpus must not depend on the version of Python or NumPy.
    digest = hashlib.sha256(repr([tuple(map(tuple, part)) for part in dates]).encode())
    assert digest.hexdigest()[:16] == STORED
    assert load_dates(seed=1).test[:5] != dates.test[:5]


STORED = "57823ffe83f8b6e3"


def test_parts_and_number_of_formats_can_be_chosen():
    one = load_dates(pairs_per_date=1, validation_share=0.2, test_share=0.3)
    assert [len(part) for part in one] == [18_262, 7_305, 10_958]
    assert len({pair.source for part in one for pair in part}) == 36_525


def test_may_has_no_text_twice():
    """There, long and short names of the month are the same."""
    day, cases = date(2024, 5, 3), [0, 1, 2] * 4
    for start in range(len(FORMATS)):
        rank = [(start + i) % len(FORMATS) for i in range(len(FORMATS))]
        pairs = _pairs_of(day, rank, cases)
        assert len({pair.source.lower() for pair in pairs}) == len(pairs) == 12


@pytest.mark.parametrize("number", [0, 13])
def test_an_impossible_number_of_formats_is_refused(number):
    with pytest.raises(ValueError, match=f"pairs_per_date: got {number}"):
        load_dates(pairs_per_date=number)


@pytest.mark.parametrize("shares", [(0, 0.1), (0.1, 0), (0.3, 0.3)])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(ValueError, match="validation_share, test_share: got"):
        load_dates(0, 2, *shares)
