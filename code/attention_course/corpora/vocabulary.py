"""A vocabulary: the two-way table between tokens and their ids."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import index

SPECIALS = ("<pad>", "<unk>", "<sos>", "<eos>")


@dataclass(frozen=True, repr=False)
class Vocabulary:
    """Tokens in the order of their ids. Frozen: ids never change after construction.

    tokens: either the ordinary tokens alone (the specials are put in front of them), or a full
        list as `to_list` returns it, with all four specials anywhere in it (the order is kept).
    specials: the names of padding, unknown, start and end, in this order.

    Nothing may rely on an id being 0, 1, 2 or 3: use `.pad`, `.unk`, `.sos` and `.eos`, which
    are looked up by name.

    Raises ValueError for duplicate tokens, for a special that is missing when others are there,
    and for specials that are not four different names; TypeError for a token that is not a str.
    """

    tokens: tuple[str, ...]
    specials: tuple[str, str, str, str] = SPECIALS
    pad: int = field(init=False, compare=False)
    unk: int = field(init=False, compare=False)
    sos: int = field(init=False, compare=False)
    eos: int = field(init=False, compare=False)
    _ids: dict[str, int] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        specials = _checked_specials(self.specials)
        tokens = _with_specials(tuple(self.tokens), specials)
        _check_tokens(tokens)
        ids = {token: i for i, token in enumerate(tokens)}
        values = dict(zip(("pad", "unk", "sos", "eos"), (ids[name] for name in specials)))
        values |= {"tokens": tokens, "specials": specials, "_ids": ids}
        for name, value in values.items():  # the one way to fill a frozen dataclass
            object.__setattr__(self, name, value)

    @classmethod
    def from_sequences(
        cls,
        sequences: Iterable[Iterable[str]],
        min_count: int = 1,
        specials: tuple[str, str, str, str] = SPECIALS,
    ) -> "Vocabulary":
        """Count the tokens of tokenised sentences (or the characters of strings).

        Keeps tokens seen at least `min_count` times, most frequent first, equal counts in
        alphabetical order: the same text gives the same ids whatever the order of its sentences.
        Give it training text only. Raises ValueError for min_count < 1 and for a special token
        inside the text.
        """
        if min_count < 1:
            raise ValueError(f"min_count: got {min_count}, expected 1 or more")
        counts = Counter(token for sequence in sequences for token in sequence)
        found = [name for name in specials if name in counts]
        if found:
            raise ValueError(f"sequences: the text contains the special tokens {found}")
        kept = [token for token, count in counts.items() if count >= min_count]
        return cls(tuple(sorted(kept, key=lambda token: (-counts[token], token))), specials)

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} tokens, specials={self.specials})"

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Ids of the tokens; a token that is not in the vocabulary becomes `unk`.

        A str is a sequence of its characters. Adds neither sos nor eos: batching does that.
        """
        ids, unk = self._ids, self.unk
        return [ids.get(token, unk) for token in tokens]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Tokens of the ids up to the first eos, without eos, pad and sos.

        Raises ValueError for an id outside 0..len-1, TypeError for one that is not an integer.
        """
        tokens = []
        for i in map(index, ids):
            if not 0 <= i < len(self):
                raise ValueError(f"ids: got {i}, expected 0 to {len(self) - 1}")
            if i == self.eos:
                break
            if i not in (self.pad, self.sos):
                tokens.append(self.tokens[i])
        return tokens

    def to_list(self) -> list[str]:
        """All tokens, specials included, in the order of their ids.

        `Vocabulary(v.to_list(), v.specials) == v`.
        """
        return list(self.tokens)


def _checked_specials(specials: Iterable[str]) -> tuple[str, ...]:
    specials = tuple(specials)
    if len(specials) != 4 or len(set(specials)) != 4:
        raise ValueError(
            f"specials: got {specials}, expected four different names: padding, unknown, start, end"
        )
    return specials


def _with_specials(tokens: tuple[str, ...], specials: tuple[str, ...]) -> tuple[str, ...]:
    """Put the specials in front, unless the tokens bring all of them along."""
    missing = [name for name in specials if name not in tokens]
    if len(missing) == len(specials):
        return specials + tokens
    if missing:
        raise ValueError(
            f"tokens: the special tokens {missing} are missing; expected all of {list(specials)}, "
            "or none of them (they are then put in front)"
        )
    return tokens


def _check_tokens(tokens: tuple[str, ...]) -> None:
    wrong = [token for token in tokens if not isinstance(token, str)]
    if wrong:
        raise TypeError(f"tokens: got {wrong[0]!r}, expected only str")
    if len(set(tokens)) != len(tokens):
        twice = sorted(token for token, count in Counter(tokens).items() if count > 1)
        raise ValueError(f"tokens: duplicates {twice[:5]}, expected every token once")
