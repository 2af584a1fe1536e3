"""The decoder of Luong et al. 2015 in every framework; see `luong_properties`, and the checks
themselves under test; see `luong_mutants`.

`pytest tests/contract/test_luong.py -v -k mutant` prints the table: framework, mistake, check.
"""

import pytest
import tensorflow as tf
from frameworks import FRAMEWORKS
from luong_mutants import MUTANTS, VARIANTS
from luong_properties import KINDS, PROPERTIES, Decoder, assert_moves, inputs
from properties import EXACT, assert_equal

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


@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.right_alone], ids=str)
def test_a_batch_of_one_hides_it(mutant, monkeypatch):
    """Why no check asks one sentence only: each alone is right, and none of them together."""
    decoder = Decoder(FRAMEWORKS[mutant.framework], mutant.kind)
    source, lengths, target_in = inputs()
    alone = [
        (source[b : b + 1, :length], lengths[b : b + 1], target_in[b : b + 1])
        for b, length in enumerate(lengths)
    ]
    together, expected = decoder.logits(), [decoder.logits(*one) for one in alone]
    monkeypatch.setattr(f"attention_course.{mutant.target}", mutant.wrong)
    for one, logits in zip(alone, expected):
        assert_equal(decoder.logits(*one), logits, EXACT, "seen already with B = 1")
    assert_moves(decoder.logits(), together, "not seen with B > 1 either")


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_right_variant_is_accepted(variant, monkeypatch):
    monkeypatch.setattr(f"attention_course.{variant.target}", variant.wrong)
    for check in PROPERTIES.values():
        check(FRAMEWORKS[variant.framework], variant.kind)


def test_every_check_catches_some_mutant():
    assert {*PROPERTIES} - {mutant.caught_by for mutant in MUTANTS} == set()
