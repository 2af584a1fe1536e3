"""The same properties for sizes and masks that nobody chose: one query, one key, rows without any.

A few examples here, the same each time; `--hypothesis-profile=deep` looks for others, at length.
"""

import pytest
from frameworks import FRAMEWORKS
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mechanisms import MECHANISMS, Subject, random_inputs
from properties import ANY_INPUTS

DEEP = settings.get_current_profile_name() == "deep"
EXAMPLES = settings.default.max_examples if DEEP else 5
CASES = [
    pytest.param(mechanism, framework, id=f"{mechanism.name}-{framework}")
    for mechanism in MECHANISMS.values()
    for framework in mechanism.frameworks
]


@st.composite
def questions(draw):
    """B, T, S, a mask of one of the four forms or none, and a seed for the numbers."""
    b_size, t_size, s_size = sizes = draw(st.tuples(*[st.integers(1, 4)] * 3))
    shapes = [sizes, (b_size, 1, s_size), (t_size, s_size), (s_size,)]
    shape = draw(st.sampled_from(shapes))
    return sizes, draw(st.none() | arrays(bool, shape)), draw(st.integers(0, 99))


@pytest.mark.parametrize(("mechanism", "framework"), CASES)
@settings(max_examples=EXAMPLES)
@given(question=questions())
def test_random(mechanism, framework, question):
    subject, inputs = Subject(mechanism, FRAMEWORKS[framework]), random_inputs(mechanism, *question)
    for check in ANY_INPUTS:
        if check.__name__ not in mechanism.fails:
            check(subject, inputs)
