"""Checks of the exercises: ``check(shift_targets)`` says *passed*, or what is wrong, and on what.

One module a chapter, one function an exercise. The references in here are plain and slow on
purpose: they are what an answer is compared with, not how to write it.
"""

from __future__ import annotations

import difflib
import importlib
from typing import Any

import numpy as np

from attention_course.checks.core import EXERCISES, CheckFailed

__all__ = ["CheckFailed", "check"]

for _number in range(1, 7):  # each registers its checks
    importlib.import_module(f"{__name__}.chapter{_number}")


def check(answer: Any, name: str | None = None, seed: int = 0) -> None:
    """Try an answer and print that it passed, or raise CheckFailed with the first thing wrong.

    Args:
        answer: the function that an exercise asks for.
        name: the exercise; by default the name of the function.
        seed: of the random inputs. The assignment's hidden tests use others.
    """
    name = name or getattr(answer, "__name__", "")
    if name not in EXERCISES:
        near = difflib.get_close_matches(name, EXERCISES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"there is no exercise called {name!r}.{hint}")
    try:
        EXERCISES[name](answer, np.random.default_rng(seed))
    except CheckFailed as failure:
        failure.exercise = name
        raise
    print(f"✓ {name}: passed")
