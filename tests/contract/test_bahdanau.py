"""The decoder of Bahdanau et al. 2015 in every framework and with every readout that it has there;
see `decoder_properties`.
"""

import pytest
import tensorflow as tf
from decoder_properties import PROPERTIES_OF, TRANSLATION_PROPERTIES
from frameworks import FRAMEWORKS

READOUTS = {
    "scratch": ("linear", "maxout"),
    "pytorch": ("linear", "maxout"),
    "keras": ("linear",),
}
CASES = [
    pytest.param(FRAMEWORKS[framework], readout, name, id=f"{framework}-{readout}-{name}")
    for framework, readouts in READOUTS.items()
    for readout in readouts
    for name in PROPERTIES_OF[readout]
]


@pytest.fixture(autouse=True)
def uncompiled():
    """Without tf.function, whose compiling takes longer than all else here."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize(("framework", "readout", "name"), CASES)
def test_bahdanau(framework, readout, name):
    PROPERTIES_OF[readout][name](framework, readout)


@pytest.mark.parametrize("name", TRANSLATION_PROPERTIES)
def test_translation(name):
    TRANSLATION_PROPERTIES[name]()
