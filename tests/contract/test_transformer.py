"""The Transformer in every framework; see `transformer_properties`, and the checks themselves under
test; see `transformer_mutants`.

`pytest tests/contract/test_transformer.py -v -k mutant` prints a table: framework, mistake, check.
"""

from functools import cache

import pytest
import tensorflow as tf
from frameworks import FRAMEWORKS
from transformer_mutants import MUTANTS, VARIANTS
from transformer_properties import ALL, PROPERTIES, applies, built

NUMBERS = (
    "parameters_have_the_common_names",
    "equals_the_reference",
    "gradients_equal_autograd",
)
# Keras, not compiled, takes 50 times as long. So there the numbers are compared in every second
# kind, any two options together at least once, and what they imply in two that differ in all.
HALF, FEW = ALL[::2], (ALL[8], ALL[12])
CASES = [
    pytest.param(code, kind, name, id=f"{code.name}-{kind}-{name}")
    for code in FRAMEWORKS.values()
    for kind in ALL
    for name in PROPERTIES
    if applies(name, code, kind)
    and (code.name != "keras" or kind in (HALF if name in NUMBERS else FEW))
]


@pytest.fixture(autouse=True)
def uncompiled():
    """Without tf.function, whose compiling takes longer than all else here."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize(("code", "kind", "name"), CASES)
def test_transformer(code, kind, name):
    PROPERTIES[name](code, kind)


@pytest.fixture
def replaced(monkeypatch):
    """Put something in the place of the code, and forget what was made before and meanwhile."""

    def replace(mutant):
        monkeypatch.setattr(f"attention_course.{mutant.target}", mutant.wrong)
        built.cache_clear()

    yield replace
    built.cache_clear()


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutant_is_caught(mutant, replaced):
    code = FRAMEWORKS[mutant.framework]
    assert applies(mutant.caught_by, code, mutant.kind)
    what_is_right_passes(mutant.caught_by, code, mutant.kind)
    replaced(mutant)
    with pytest.raises(AssertionError):
        PROPERTIES[mutant.caught_by](code, mutant.kind)


@cache
def what_is_right_passes(name, code, kind):
    PROPERTIES[name](code, kind)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_right_variant_is_accepted(variant, replaced):
    code = FRAMEWORKS[variant.framework]
    replaced(variant)
    for name, check in PROPERTIES.items():
        if applies(name, code, variant.kind):
            check(code, variant.kind)


def test_every_check_catches_some_mutant():
    assert {*PROPERTIES} - {mutant.caught_by for mutant in MUTANTS} == set()
