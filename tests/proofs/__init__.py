"""Answers to the exercises by people who have not seen the checks: right ones and wrong ones.

`@right("name")` marks a function that the check of that exercise must accept, `@wrong("name",
says="…")` one that it must reject with a message that contains `says`, which names the mistake.
"""

from collections import defaultdict
from collections.abc import Callable

RIGHT: dict[str, list[Callable]] = defaultdict(list)
WRONG: dict[str, list[tuple[Callable, str]]] = defaultdict(list)


def right(exercise: str) -> Callable[[Callable], Callable]:
    """Register a right answer to `exercise`."""

    def register(answer: Callable) -> Callable:
        RIGHT[exercise].append(answer)
        return answer

    return register


def wrong(exercise: str, says: str) -> Callable[[Callable], Callable]:
    """Register a wrong answer to `exercise`, and what its message must contain."""

    def register(answer: Callable) -> Callable:
        WRONG[exercise].append((answer, says))
        return answer

    return register
