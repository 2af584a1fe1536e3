"""Word alignment: links read off attention weights, their error rate, and what to compare it with.

A link is a pair (target index, source index), both from 0. The true links of a sentence are two
sets of Och & Ney (2003, https://doi.org/10.1162/089120103321337421): `sure` ones must be found,
`possible` ones, which contain the sure, may be. Tokens are words: eos, padding have no links.

"she does not give it to us" -> "elle ne nous le donne pas", with `ne` and `donne` also possibly
linked to `does`:

>>> sure = frozenset({(0, 0), (1, 2), (2, 5), (2, 6), (3, 4), (4, 3), (5, 2)})
>>> possible = sure | {(1, 1), (4, 1)}

A model looks at "does" for `ne`, at "us" for `nous`, at "give" for `le`, else where it should:

>>> found = frozenset({(0, 0), (1, 1), (2, 6), (3, 3), (4, 3), (5, 2)})
>>> A, S, sure_found, possible_found = 6, 7, 4, 5
>>> round(1 - (sure_found + possible_found) / (A + S), 4)
0.3077
>>> round(alignment_error_rate([found], [sure], [possible]), 4)
0.3077

With one link a token, one of the two links of `nous` must be missed: at best 1 − 12/13.

>>> round(oracle_floor([sure], [possible], [6]), 4)
0.0769
>>> round(uniform_error_rate([sure], [possible], [7], [6]), 4)
0.8242
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np

Link = tuple[int, int]
Links = AbstractSet[Link]


def alignment_error_rate(
    predicted: Sequence[Links], sure: Sequence[Links], possible: Sequence[Links]
) -> float:
    """AER = 1 − (|A∩S| + |A∩P|) / (|A| + |S|), Och & Ney 2003, section 6: 0 is best, 1 worst.

    predicted (A), sure (S), possible (P): a set of links for each sentence, in the same order. The
    four counts are summed over the corpus before they are divided, so a long sentence weighs more.

    It is 0 when all sure links were found and nothing but possible ones beside them; neither for
    missing a possible link nor for giving it is anything taken off.

    Raises ValueError for different numbers of sentences or none, negative indices, a sure link that
    is not possible, or no link at all in A and S; TypeError for what is not a set of index pairs.
    """
    _check_gold(sure, possible, predicted=predicted)
    size = sum(map(len, predicted)) + sum(map(len, sure))
    if size == 0:
        raise ValueError("predicted, sure: got no link in any sentence, expected at least one")
    hits = sum(len(a & s) + len(a & p) for a, s, p in zip(predicted, sure, possible))
    return 1 - hits / size


def oracle_floor(
    sure: Sequence[Links], possible: Sequence[Links], target_lengths: Sequence[int]
) -> float:
    """AER of the best alignment that gives each target token exactly one link, as `links_of` does.

    The lowest that weights can reach: of several sure links of a token only one can be given, and a
    token without any must get a wrong one, unless one is possible. target_lengths count the words
    of each sentence.

    Exact. |A| (one a token) and |S| are fixed, so the best alignment has the most |A∩S| + |A∩P|. A
    link adds 2 to that when it is sure, 1 when it is only possible, 0 otherwise, whatever other
    tokens are linked to: the best of each token is the best of all.

    Raises as `alignment_error_rate` does, and ValueError for a link outside its sentence.
    """
    _check_gold(sure, possible)
    _check_inside(possible, target_lengths, axis=0)
    hits = sum(len(_tokens(s)) + len(_tokens(p)) for s, p in zip(sure, possible))
    return 1 - hits / _size(sure, target_lengths)


def uniform_error_rate(
    sure: Sequence[Links],
    possible: Sequence[Links],
    source_lengths: Sequence[int],
    target_lengths: Sequence[int],
) -> float:
    """Expected AER when each target token is linked to a source word drawn uniformly.

    Exact, without drawing: |A| (one a token) and |S| are fixed, so the AER is linear in the two
    random counts, and the AER of the expected counts is the expected AER. A link of a sentence
    with J source words is drawn with probability 1/J: E|A∩S| = Σ |S|/J and E|A∩P| = Σ |P|/J.
    Lengths count words, without eos.

    Raises as `alignment_error_rate` does, and ValueError for a link outside its sentence.
    """
    _check_gold(sure, possible)
    _check_inside(possible, target_lengths, axis=0)
    _check_inside(possible, source_lengths, axis=1)
    hits = sum((len(s) + len(p)) / J for s, p, J in zip(sure, possible, source_lengths))
    return 1 - hits / _size(sure, target_lengths)


def diagonal_links(*, target_length: int, source_length: int) -> frozenset[Link]:
    """Each target token linked to the source word at the same relative place.

    The middle of token t lies at (t + ½) / target_length of the sentence; the link goes to the
    source word that covers this place, on a border between two to the later one. With equal
    lengths it links t to t.

    >>> sorted(diagonal_links(target_length=3, source_length=5))
    [(0, 0), (1, 2), (2, 4)]
    """
    if target_length < 0 or source_length < 1:
        raise ValueError(
            f"target_length, source_length: got {target_length} and {source_length}, "
            "expected at least 0 and at least 1"
        )
    places = ((2 * t + 1) * source_length // (2 * target_length) for t in range(target_length))
    return frozenset(enumerate(places))


def links_of(
    weights: np.ndarray,
    *,
    source_length: int | np.ndarray,
    target_length: int | np.ndarray,
    shift: int = 0,
    empty_rows: bool = False,
) -> frozenset[Link] | list[frozenset[Link]]:
    """Each target token linked to the source word with the largest attention weight.

    weights (T,S) with two numbers as lengths -> one set; (B,T,S) with lengths (B,) -> B sets. T is
    the target axis: row t holds the weights with which token t was chosen. Lengths count *words*:
    leave out eos, so `batch.target_lengths - 1`, and `batch.source_lengths - 1` where the source
    ends with eos. Rows and columns from there on (eos, then padding) are cut *before* the largest
    is sought: whoever looks mostly at the source's eos is linked to the best word. Of equal
    weights the first wins.

    shift: token t is linked by row t + shift. 0: the row with which it was chosen. +1: one row
    later, when the model has read it; the last token takes the row of the target's eos. −1: one
    row earlier. A token whose row does not exist gets no link: the first one with −1; with +1 the
    last one of weights that have no row for eos, cut at a maximal length. `oracle_floor` holds
    where every token has a link.

    empty_rows: whether a row may be without any weight, as where a local window lies beyond the
    sentence. Its token then gets no link.

    Raises ValueError for other axes, lengths outside the weights, a row without any weight unless
    `empty_rows`, negative or NaN weights (scores are not weights), or another shift.
    """
    weights = np.asarray(weights)
    if weights.ndim not in (2, 3):
        raise ValueError(f"weights: got shape {weights.shape}, expected (T,S) or (B,T,S)")
    batch = weights if weights.ndim == 3 else weights[None]
    if shift not in (-1, 0, 1):
        raise ValueError(f"shift: got {shift}, expected -1, 0 or 1")
    if not (batch >= 0).all():  # NaN is not
        raise ValueError("weights: got negative numbers or NaN, expected weights, not scores")
    sources = _lengths("source_length", source_length, weights, low=1)
    targets = _lengths("target_length", target_length, weights, low=0)
    links = [_links_of_one(*one, shift, empty_rows) for one in zip(batch, sources, targets)]
    return links if weights.ndim == 3 else links[0]


def _links_of_one(
    weights: np.ndarray, source_length: int, target_length: int, shift: int, empty_rows: bool
) -> frozenset[Link]:
    """weights (T,S) -> links of the tokens whose row t + shift exists."""
    tokens = np.arange(max(0, -shift), min(target_length, len(weights) - shift))
    rows = weights[tokens + shift]
    empty = ~rows.any(axis=1)
    if empty.any() and not empty_rows:
        raise ValueError(
            f"weights: row {tokens[empty][0] + shift} is all zero, expected the weights of a "
            f"token of target_length = {target_length}"
        )
    rows = rows[:, :source_length]
    linked = rows.any(axis=1) if empty_rows else np.ones(len(rows), dtype=bool)
    best = rows[linked].argmax(axis=1)
    return frozenset(zip(tokens[linked].tolist(), best.tolist()))


def _lengths(name: str, given: int | np.ndarray, weights: np.ndarray, low: int) -> list[int]:
    """The lengths of all sentences of weights (T,S) or (B,T,S), checked."""
    lengths = np.asarray(given)
    if lengths.shape != weights.shape[:-2] or not np.issubdtype(lengths.dtype, np.integer):
        raise ValueError(
            f"{name}: got shape {lengths.shape} of {lengths.dtype}, expected integers of shape "
            f"{weights.shape[:-2]} for weights of shape {weights.shape}"
        )
    high = weights.shape[-1 if name == "source_length" else -2]
    if ((lengths < low) | (lengths > high)).any():
        raise ValueError(
            f"{name}: got {lengths.min()} to {lengths.max()}, expected {low} to {high} for weights "
            f"of shape {weights.shape}"
        )
    return lengths.reshape(-1).tolist()


def _tokens(links: Links) -> set[int]:
    """Target indices that have a link."""
    return {token for token, _ in links}


def _size(sure: Sequence[Links], target_lengths: Sequence[int]) -> int:
    """|A| + |S| when every target token has one link."""
    size = int(sum(target_lengths)) + sum(map(len, sure))
    if size == 0:
        raise ValueError("target_lengths: got no token in any sentence, expected at least one")
    return size


def _check_gold(
    sure: Sequence[Links], possible: Sequence[Links], **others: Sequence[Links]
) -> None:
    corpora = {**others, "sure": sure, "possible": possible}
    counts = [len(corpus) for corpus in corpora.values()]
    if len(set(counts)) > 1 or counts[0] == 0:
        raise ValueError(
            f"{', '.join(corpora)}: got {counts} sentences, expected as many, at least 1"
        )
    for name, corpus in corpora.items():
        for row, links in enumerate(corpus):
            _check_links(name, row, links)
    for row, (s, p) in enumerate(zip(sure, possible)):
        if not s <= p:
            raise ValueError(
                f"possible: sentence {row} lacks the sure link {min(s - p)}, expected every sure "
                "link among the possible ones"
            )


def _check_links(name: str, row: int, links: Links) -> None:
    if not isinstance(links, AbstractSet):
        raise TypeError(
            f"{name}: sentence {row} is a {type(links).__name__}, expected a set of pairs "
            "(target index, source index)"
        )
    for link in links:
        if not (isinstance(link, tuple) and len(link) == 2 and all(map(_is_index, link))):
            raise TypeError(
                f"{name}: sentence {row} has {link!r}, expected (target index, source index)"
            )
        if min(link) < 0:
            raise ValueError(f"{name}: sentence {row} has {link}, expected indices from 0 up")


def _is_index(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _check_inside(possible: Sequence[Links], lengths: Sequence[int], axis: int) -> None:
    """Sure links are among the possible ones, so these suffice."""
    name = ("target_lengths", "source_lengths")[axis]
    if len(lengths) != len(possible):
        raise ValueError(f"{name}: got {len(lengths)}, expected {len(possible)}, one a sentence")
    for row, (links, length) in enumerate(zip(possible, lengths)):
        lowest = max((link[axis] + 1 for link in links), default=axis)  # a source has a word
        if length < lowest:
            raise ValueError(
                f"{name}: sentence {row} has {length}, expected at least {lowest} for its links"
            )
