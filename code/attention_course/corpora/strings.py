"""Random strings to copy or to reverse: the purest test of what a fixed vector can hold.

Every symbol of a uniform random string over nine letters carries log2(9) = 3.17 bits and nothing
can be guessed from the other symbols, so a model that gives the string back has stored it.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from attention_course.corpora.batching import Batch, lengths_to_mask
from attention_course.corpora.vocabulary import Vocabulary

ALPHABET = "abcdefghi"
Lengths = int | tuple[int, int]


def string_vocabulary(alphabet: str = ALPHABET) -> Vocabulary:
    """The characters of the alphabet, in their order, after the special tokens."""
    return Vocabulary(tuple(alphabet))


def random_strings(
    count: int, lengths: Lengths, alphabet: str = ALPHABET, seed: int = 0
) -> list[str]:
    """`count` random strings, lengths uniform in the range, letters uniform in the alphabet.

    lengths: one length, or (shortest, longest), both included. Raises ValueError for a count
    below 1, lengths below 1 or the wrong way round, an empty alphabet or a letter twice.
    """
    letters = np.array(_checked_alphabet(alphabet))
    if count < 1:
        raise ValueError(f"count: got {count}, expected 1 or more")
    numbers, sizes = _draw(np.random.default_rng(seed), count, _range(lengths), len(letters))
    rows = letters[numbers]
    return ["".join(row[:size]) for row, size in zip(rows.tolist(), sizes.tolist())]


def copy_pairs(strings: Sequence[str]) -> list[tuple[str, str]]:
    """(source, target) pairs whose target is the source."""
    return [(string, string) for string in strings]


def reverse_pairs(strings: Sequence[str]) -> list[tuple[str, str]]:
    """(source, target) pairs whose target is the source read backwards."""
    return [(string, string[::-1]) for string in strings]


def string_batches(
    batch_size: int,
    lengths: Lengths,
    vocabulary: Vocabulary,
    seed: int,
    reverse_source: bool = False,
    reverse_target: bool = False,
    fixed_width: bool = False,
) -> Iterator[Batch]:
    """Endless stream of batches of fresh random strings, to copy unless a side is reversed.

    Letters are uniform over the ordinary tokens of `vocabulary` (used for both sides), lengths
    uniform in the range and mixed within a batch, as in real text. `reverse_source` feeds the
    string backwards and still asks for it forwards (Sutskever et al. 2014, section 3.3);
    `reverse_target` asks for it backwards. With `fixed_width` every batch is padded to the
    longest length of the range, for frameworks that compile anew for every shape.

    The same seed gives the same stream, whichever side is reversed. Costs no Python loop over
    strings. Raises ValueError for a batch_size or lengths below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size: got {batch_size}, expected 1 or more")
    letters = [i for i, token in enumerate(vocabulary.tokens) if token not in vocabulary.specials]
    if not letters:
        raise ValueError("vocabulary: got no ordinary token, expected at least one")
    reverse = (reverse_source, reverse_target)
    rng = np.random.default_rng(seed)
    return _stream(
        rng, batch_size, _range(lengths), np.array(letters), vocabulary, reverse, fixed_width
    )


def _stream(rng, batch_size, bounds, letters, vocabulary, reverse, fixed_width):
    while True:
        numbers, sizes = _draw(rng, batch_size, bounds, len(letters))
        if not fixed_width:
            numbers = numbers[:, : sizes.max()]
        yield _string_batch(letters[numbers], sizes, vocabulary, *reverse)


def _string_batch(
    ids: np.ndarray,
    sizes: np.ndarray,
    vocabulary: Vocabulary,
    reverse_source: bool,
    reverse_target: bool,
) -> Batch:
    """Batch from letter ids (B, S), of which row b counts up to sizes[b]."""
    rows, width = ids.shape
    ids = np.where(lengths_to_mask(sizes, width), ids, vocabulary.pad)
    # The place each letter comes from when a string, not its padding, is turned round.
    places = np.arange(width)
    places = np.where(places < sizes[:, None], sizes[:, None] - 1 - places, places)
    backwards = np.take_along_axis(ids, places, axis=1)
    source = backwards if reverse_source else ids
    target = backwards if reverse_target else ids
    target_in = np.concatenate([np.full((rows, 1), vocabulary.sos), target], axis=1)
    target_out = np.concatenate([target, np.full((rows, 1), vocabulary.pad)], axis=1)
    target_out[np.arange(rows), sizes] = vocabulary.eos
    return Batch(source, sizes, target_in, target_out, sizes + 1)


def _draw(
    rng: np.random.Generator, count: int, bounds: tuple[int, int], letters: int
) -> tuple[np.ndarray, np.ndarray]:
    """Letter numbers (count, longest) and lengths (count,), int64."""
    sizes = rng.integers(bounds[0], bounds[1], size=count, endpoint=True)
    return rng.integers(letters, size=(count, bounds[1])), sizes


def _range(lengths: Lengths) -> tuple[int, int]:
    shortest, longest = (lengths, lengths) if isinstance(lengths, int) else lengths
    if not 1 <= shortest <= longest:
        raise ValueError(f"lengths: got {lengths}, expected 1 <= shortest <= longest")
    return shortest, longest


def _checked_alphabet(alphabet: str) -> list[str]:
    if not alphabet or len(set(alphabet)) != len(alphabet):
        raise ValueError(f"alphabet: got {alphabet!r}, expected one or more different letters")
    return list(alphabet)
