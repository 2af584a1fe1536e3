"""The course's models in PyTorch: files, names and parameters as in `scratch` and `keras`."""

try:
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "attention_course.pytorch needs PyTorch: pip install 'attention-course[torch]'"
    ) from error
