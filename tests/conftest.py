"""What all tests share."""

from __future__ import annotations

import random
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import settings

matplotlib.use("agg")  # not through the environment: notebook kernels would inherit it

# A shared machine is slow at times, and a failing example must be the same for everyone.
settings.register_profile("course", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("course")


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The global generators begin alike in every test, whatever ran before."""
    random.seed(0)
    np.random.seed(0)
