"""The decoder of Luong et al. 2015 in every framework; see `luong_properties`, and the checks
themselves under test; see `luong_mutants`.

`pytest tests/contract/test_luong.py -v -k mutant` prints the table: framework, mistake, check.
"""

import pytest
import tensorflow as tf
from frameworks import FRAMEWORKS
from luong_mutants import MUTANTS, VARIANTS
from luong_properties import KINDS, PROPERTIES

SLOW = ("gradients_equal_finite_differences",)
CASES = [
    pytest.param(framework, kind, name, id=f"{framework}-{kind}-{name}")
    for framework, kinds in KINDS.items()
    for kind in kinds
    for name in PROPERTIES
    if not (name in SLOW and framework == "keras")  # its gradients are compared with autograd's
]


@pytest.fixture(autouse=True)
def uncompiled():
    """Without tf.function, whose compiling takes longer than all else here."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize(("framework", "kind", "name"), CASES)
def test_luong(framework, kind, name):
    PROPERTIES[name](FRAMEWORKS[framework], kind)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutant_is_caught(mutant, monkeypatch):
    check, code = PROPERTIES[mutant.caught_by], FRAMEWORKS[mutant.framework]
    check(code, mutant.kind)  # what is right passes
    monkeypatch.setattr(f"attention_course.{mutant.target}", mutant.wrong)
    with pytest.raises(AssertionError):
        check(code, mutant.kind)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_right_variant_is_accepted(variant, monkeypatch):
    monkeypatch.setattr(f"attention_course.{variant.target}", variant.wrong)
    for check in PROPERTIES.values():
        check(FRAMEWORKS[variant.framework], variant.kind)


def test_every_check_catches_some_mutant():
    assert {*PROPERTIES} - {mutant.caught_by for mutant in MUTANTS} == set()
