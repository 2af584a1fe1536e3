"""The suite itself under test: it rejects what is wrong and accepts what is right.

`pytest tests/contract/test_mutants.py -v` prints the table: framework, mistake, check that sees it.
"""

from operator import attrgetter

import pytest
from frameworks import FRAMEWORKS
from mechanisms import Subject, ordinary_inputs
from mutants import MUTANTS, VARIANTS
from properties import FUNCTION_PROPERTIES, PROPERTIES, applies


def replace(monkeypatch, framework, target: str, replacement) -> None:
    """Put `replacement` in the place of "function" or "Class.method" of the framework."""
    path, _, name = target.rpartition(".")
    owner = attrgetter(path)(framework) if path else framework.owner(name)
    monkeypatch.setattr(owner, name, replacement)


def check(name: str, mechanism, framework) -> None:
    if name in FUNCTION_PROPERTIES:
        FUNCTION_PROPERTIES[name](framework)
        return
    subject = Subject(mechanism, framework)
    for inputs in ordinary_inputs(mechanism):
        PROPERTIES[name](subject, inputs)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutant_is_caught(mutant, monkeypatch):
    framework = FRAMEWORKS[mutant.framework]
    check(mutant.caught_by, mutant.mechanism, framework)  # what is right passes
    replace(monkeypatch, framework, mutant.target, mutant.wrong)
    with pytest.raises(mutant.error):
        check(mutant.caught_by, mutant.mechanism, framework)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_right_variant_is_accepted(variant, monkeypatch):
    framework, mechanism = FRAMEWORKS[variant.framework], variant.mechanism
    replace(monkeypatch, framework, variant.target, variant.right)
    for name in (*FUNCTION_PROPERTIES, *PROPERTIES):
        if applies(name, mechanism):
            check(name, mechanism, framework)


def test_every_check_catches_some_mutant():
    caught = {mutant.caught_by for mutant in MUTANTS}
    assert caught == {*PROPERTIES, *FUNCTION_PROPERTIES}
