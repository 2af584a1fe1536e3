"""The course's models in Keras 3 on TensorFlow: same files, names and parameter names as `scratch`
and `pytorch`.

Importing this package imports TensorFlow, without the lines it writes to stderr on the way.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

_INSTALL = "pip install 'attention-course[tensorflow]'"


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Send file descriptor 2 to nowhere: TensorFlow writes there from C++ before its log level is
    read.
    """
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # no stderr to keep quiet
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def _expect_tensorflow(backend: str, where: str) -> None:
    if backend != "tensorflow":
        raise ImportError(
            f"attention_course.keras needs Keras on TensorFlow, but {where} says {backend!r}. "
            "Set the environment variable KERAS_BACKEND to 'tensorflow' and restart Python."
        )


_expect_tensorflow(os.environ.get("KERAS_BACKEND") or "tensorflow", "KERAS_BACKEND")
# 3 = fatal errors only; the first operation on a machine without a GPU reports that as an error.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with _quiet_stderr():
    try:
        import keras  # the real one: inside this package an absolute import never finds ourselves
        import tensorflow  # noqa: F401
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("tensorflow", "keras"):
            raise
        raise ModuleNotFoundError(
            f"attention_course.keras needs TensorFlow: {_INSTALL}", name=error.name
        ) from error
_expect_tensorflow(keras.config.backend(), "Keras (keras.config.backend())")
