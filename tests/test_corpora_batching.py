"""Batches: what is padded, shifted and masked, and that no pair is lost."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_course.corpora.batching import bucketed_batches, lengths_to_mask, make_batch
from attention_course.corpora.vocabulary import Vocabulary

# Different sizes, and specials at different places: an id taken from the wrong side shows.
SOURCE = Vocabulary(("a", "b", "c"))
TARGET = Vocabulary(("x", "<eos>", "y", "<pad>", "z", "<sos>", "<unk>"))
PAIRS = st.tuples(
    st.lists(st.integers(4, 6), min_size=1, max_size=6),
    st.lists(st.sampled_from([0, 2, 4]), max_size=6),
)


def test_a_batch_by_hand():
    batch = make_batch([[4], [5, 6, 4]], [[0, 2], [4]], SOURCE, TARGET)
    assert batch.source.tolist() == [[4, 0, 0], [5, 6, 4]]
    assert batch.source_lengths.tolist() == [1, 3]
    assert batch.target_in.tolist() == [[5, 0, 2], [5, 4, 3]]
    assert batch.target_out.tolist() == [[0, 2, 1], [4, 1, 3]]
    assert batch.target_lengths.tolist() == [3, 2]
    assert batch.source_mask.tolist() == [[True, False, False], [True, True, True]]
    assert batch.target_mask.tolist() == [[True, True, True], [True, True, False]]
    assert {array.dtype for array in batch} == {np.dtype(np.int64)}


def test_the_source_gets_an_eos_on_request():
    batch = make_batch([[4], []], [[], [0]], SOURCE, TARGET, source_eos=True)
    assert batch.source.tolist() == [[4, 3], [3, 0]]
    assert batch.source_lengths.tolist() == [2, 1]
    assert batch.target_in.tolist() == [[5, 3], [5, 0]]
    assert batch.target_out.tolist() == [[1, 3], [0, 1]]


@given(st.lists(PAIRS, min_size=1, max_size=5), st.booleans())
@settings(max_examples=10, deadline=None)
def test_every_row_holds_its_pair_and_padding(pairs, source_eos):
    sources, targets = zip(*pairs)
    batch = make_batch(sources, targets, SOURCE, TARGET, source_eos)
    end = [SOURCE.eos] if source_eos else []
    for row, (source, target) in enumerate(pairs):
        mask, target_mask = batch.source_mask[row], batch.target_mask[row]
        assert batch.source[row][mask].tolist() == source + end
        assert batch.target_in[row][target_mask].tolist() == [TARGET.sos, *target]
        assert batch.target_out[row][target_mask].tolist() == [*target, TARGET.eos]
        assert (batch.source[row][~mask] == SOURCE.pad).all()
        assert (batch.target_in[row][~target_mask] == TARGET.pad).all()
        assert (batch.target_out[row][~target_mask] == TARGET.pad).all()
    assert batch.source_mask.any(axis=0).all(), "a column of nothing but padding"
    assert batch.target_mask.any(axis=0).all(), "a column of nothing but padding"


def test_the_arguments_are_not_changed():
    sources, targets = [[4, 5]], [[0]]
    make_batch(sources, targets, SOURCE, TARGET, source_eos=True)
    assert (sources, targets) == ([[4, 5]], [[0]])


@pytest.mark.parametrize(
    ("sources", "targets", "error", "message"),
    [
        ([[4]], [[0], [0]], ValueError, "got 1 and 2"),
        ([], [], ValueError, "got 0 and 0"),
        ([[4], []], [[0], [0]], ValueError, "row 1 is empty"),
        ([[7]], [[0]], ValueError, "sources: got ids 7 to 7, expected 0 to 6"),
        ([[4]], [[-1, 0]], ValueError, "targets: got ids -1 to 0"),
        ([[4, 0]], [[0]], ValueError, "sources: contain the id of pad"),
        ([[4]], [[5, 0]], ValueError, "targets: contain the id of sos"),
        ([[4]], [[0, 1]], ValueError, "targets: contain the id of eos"),
        (["45"], [[0]], TypeError, "call vocabulary.encode"),
        ([["a"]], [[0]], TypeError, "expected integer ids"),
        ([[4.5]], [[0]], TypeError, "expected integer ids"),
    ],
)
def test_make_batch_refuses(sources, targets, error, message):
    with pytest.raises(error, match=message):
        make_batch(sources, targets, SOURCE, TARGET)


def test_lengths_to_mask():
    mask = lengths_to_mask(np.array([0, 2, 3]), 3)
    assert mask.dtype == bool
    assert mask.tolist() == [[False] * 3, [True, True, False], [True] * 3]


@pytest.mark.parametrize("lengths", [[4], [-1], [[1]], [1.0]])
def test_lengths_to_mask_refuses(lengths):
    with pytest.raises(ValueError, match="lengths: got"):
        lengths_to_mask(np.array(lengths), 3)


def _pairs(count, seed=0):
    """Pairs of random lengths; the source, read as a number of base 3, says which one it is."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 30, size=(count, 2))
    return [(rng.integers(4, 7, size=s).tolist(), [0] * t) for s, t in lengths]


def _rows(batches):
    """Every (source, target) of the batches, as tuples without padding."""
    for batch in batches:
        for row in range(len(batch.source)):
            source = batch.source[row][batch.source_mask[row]]
            target = batch.target_out[row][batch.target_mask[row]][:-1]
            yield tuple(source.tolist()), tuple(target.tolist())


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=10, deadline=None)
def test_every_pair_comes_once_an_epoch(count, batch_size, bucket, epochs):
    pairs = _pairs(count)
    batches = list(bucketed_batches(pairs, batch_size, SOURCE, TARGET, 0, epochs, bucket))
    expected = Counter((tuple(source), tuple(target)) for source, target in pairs)
    per_epoch = -(-count // batch_size)
    assert len(batches) == epochs * per_epoch
    for epoch in range(epochs):
        assert Counter(_rows(batches[epoch * per_epoch : (epoch + 1) * per_epoch])) == expected
    assert sorted(len(b.source) for b in batches)[epochs:] == [batch_size] * (
        epochs * (per_epoch - 1)
    )


def test_the_seed_fixes_the_batches():
    def sources(seed):
        batches = bucketed_batches(_pairs(50), 8, SOURCE, TARGET, seed, epochs=1)
        return [batch.source.tolist() for batch in batches]

    assert sources(1) == sources(1)
    assert sources(1) != sources(2)


def test_without_epochs_it_is_endless_and_each_epoch_is_new():
    stream = bucketed_batches(_pairs(20), 4, SOURCE, TARGET, seed=0)
    first, second = list(_rows(islice(stream, 5))), list(_rows(islice(stream, 5)))
    assert Counter(first) == Counter(second)
    assert first != second


@pytest.mark.parametrize("bucket", [1, 50])
def test_pairs_meet_other_pairs_in_every_epoch(bucket):
    # Equal lengths: sorting alone would leave them as they came, in the same company for ever.
    pairs = [([4 + i // 9 % 3, 4 + i // 3 % 3, 4 + i % 3], [0]) for i in range(27)]
    stream = bucketed_batches(pairs, 3, SOURCE, TARGET, seed=0, bucket=bucket)
    first, second = ({frozenset(_rows([b])) for b in islice(stream, 9)} for _ in range(2))
    assert first != second


def test_buckets_save_padding():
    pairs = _pairs(400)

    def padded(bucket):
        batches = list(bucketed_batches(pairs, 8, SOURCE, TARGET, 0, epochs=1, bucket=bucket))
        return 1 - np.concatenate([b.source_mask.ravel() for b in batches]).mean()

    assert padded(1) > 0.35
    assert padded(50) < 0.05


def test_the_batches_are_not_in_the_order_of_their_lengths():
    stream = bucketed_batches(_pairs(400), 8, SOURCE, TARGET, seed=0, epochs=1)
    widths = [batch.source.shape[1] for batch in stream]
    assert abs(np.corrcoef(widths, np.arange(len(widths)))[0, 1]) < 0.4


def test_bucketed_batches_complains_at_once():
    with pytest.raises(ValueError, match="pairs: got none"):
        bucketed_batches([], 4, SOURCE, TARGET, seed=0)
    with pytest.raises(ValueError, match="batch_size: got 0"):
        bucketed_batches(_pairs(3), 0, SOURCE, TARGET, seed=0)
    with pytest.raises(ValueError, match="epochs: got 0"):
        bucketed_batches(_pairs(3), 4, SOURCE, TARGET, seed=0, epochs=0)
    with pytest.raises(ValueError, match="bucket: got 0"):
        bucketed_batches(_pairs(3), 4, SOURCE, TARGET, seed=0, bucket=0)


def test_bucketed_batches_hands_source_eos_on():
    batch = next(bucketed_batches([([4], [0])], 1, SOURCE, TARGET, 0, source_eos=True))
    assert batch.source.tolist() == [[4, SOURCE.eos]]
