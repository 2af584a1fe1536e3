"""Every mechanism in every framework against every property; see `mechanisms` and `properties`."""

from itertools import product

import pytest
from frameworks import FRAMEWORKS
from mechanisms import MECHANISMS, Answer, Subject, ordinary_inputs
from properties import EXACT, FUNCTION_PROPERTIES, PROPERTIES, applies, assert_same

CASES = [
    pytest.param(mechanism, framework, name, id=f"{mechanism.name}-{framework}-{name}")
    for mechanism, name in product(MECHANISMS.values(), PROPERTIES)
    for framework in mechanism.frameworks
    if applies(name, mechanism)
]


@pytest.mark.parametrize(("mechanism", "framework", "name"), CASES)
def test_contract(mechanism, framework, name):
    subject = Subject(mechanism, FRAMEWORKS[framework])

    def check() -> None:
        for inputs in ordinary_inputs(mechanism):
            PROPERTIES[name](subject, inputs)

    if name not in mechanism.fails:
        check()
        return
    with pytest.raises((AssertionError, ValueError), match=mechanism.fails[name]):
        check()


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", FUNCTION_PROPERTIES)
def test_functions(framework, name):
    FUNCTION_PROPERTIES[name](FRAMEWORKS[framework])


@pytest.mark.parametrize("mechanism", MECHANISMS.values(), ids=MECHANISMS)
def test_exemptions_are_of_properties_that_exist(mechanism):
    assert mechanism.fails.keys() <= PROPERTIES.keys()


COMPILED = [
    pytest.param(mechanism, framework, id=f"{mechanism.name}-{name}")
    for mechanism in MECHANISMS.values()
    for name in mechanism.frameworks
    if hasattr(framework := FRAMEWORKS[name], "compiled")
]


@pytest.mark.parametrize(("mechanism", "framework"), COMPILED)
def test_compiled_without_knowing_any_size(mechanism, framework):
    subject = Subject(mechanism, framework)
    compiled = framework.compiled(subject.layer)
    for inputs in ordinary_inputs(mechanism):
        full = subject.arrays(inputs)[:3] + [framework.array(inputs.full_mask)]
        answer = Answer(*map(framework.numpy, compiled(*full)))
        assert_same(answer, subject.attend(inputs), EXACT, "compiled differs from eager")
