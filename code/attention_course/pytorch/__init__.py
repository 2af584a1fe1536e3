"""The course's models in PyTorch: same files, names and parameter names as `scratch` and `keras`."""

try:
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "attention_course.pytorch needs PyTorch: pip install 'attention-course[torch]'"
    ) from error
