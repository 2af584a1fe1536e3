"""The checks of decoders under test: they reject what is wrong and accept what is right.

`pytest tests/contract/test_decoder_mutants.py -v` prints the table: framework, mistake, check.
"""

import pytest
from decoder_mutants import DECODER_MUTANTS, DECODER_VARIANTS
from decoder_properties import PROPERTIES_OF, TRANSLATION_PROPERTIES
from frameworks import FRAMEWORKS


def check(name: str, framework: str, readout: str) -> None:
    if name in TRANSLATION_PROPERTIES:
        TRANSLATION_PROPERTIES[name]()
    else:
        PROPERTIES_OF[readout][name](FRAMEWORKS[framework], readout)


@pytest.mark.parametrize("mutant", DECODER_MUTANTS, ids=str)
def test_mutant_is_caught(mutant, monkeypatch):
    check(mutant.caught_by, mutant.framework, mutant.readout)  # what is right passes
    monkeypatch.setattr(f"attention_course.{mutant.target}", mutant.wrong)
    with pytest.raises(AssertionError):
        check(mutant.caught_by, mutant.framework, mutant.readout)


@pytest.mark.parametrize("variant", DECODER_VARIANTS, ids=str)
@pytest.mark.parametrize("readout", PROPERTIES_OF)
def test_right_variant_is_accepted(variant, readout, monkeypatch):
    monkeypatch.setattr(f"attention_course.{variant.target}", variant.right)
    for name in PROPERTIES_OF[readout]:
        check(name, variant.framework, readout)


def test_every_check_catches_some_mutant():
    caught = {mutant.caught_by for mutant in DECODER_MUTANTS}
    expected = {*PROPERTIES_OF["linear"], *PROPERTIES_OF["maxout"], *TRANSLATION_PROPERTIES}
    assert expected - caught == set()
