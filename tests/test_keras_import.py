"""What `import attention_course.keras` does, and says when it cannot: each in a new Python."""

import os
import subprocess
import sys

import pytest


def python(code: str, **environment: str) -> subprocess.CompletedProcess:
    inherited = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_another_backend_is_refused_before_anything_is_imported():
    result = python("import attention_course.keras", KERAS_BACKEND="torch")
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError") and "KERAS_BACKEND says 'torch'" in last


def test_missing_tensorflow_names_the_command_that_installs_it():
    code = """
import sys
class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NoTensorFlow())
import attention_course.keras
"""
    last = python(code).stderr.strip().splitlines()[-1]
    assert last.startswith("ModuleNotFoundError")
    assert "pip install 'attention-course[tensorflow]'" in last


@pytest.mark.slow
def test_another_backend_that_is_already_imported_is_refused():
    code = """
import types, sys
other = types.ModuleType("keras")
other.config = types.SimpleNamespace(backend=lambda: "jax")
sys.modules["keras"] = other
import attention_course.keras
"""
    last = python(code).stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError") and "'jax'" in last


@pytest.mark.slow
def test_import_and_first_operation_are_silent_and_stderr_works_after():
    code = """
import os
import attention_course.keras
import keras, tensorflow as tf
assert keras.__name__ == "keras" and hasattr(keras, "layers"), "ours instead of the real one"
layer = keras.layers.LSTM(2)
tf.function(layer)(tf.ones((1, 3, 2)))
os.write(2, b"end")
"""
    result = python(code)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "end")
