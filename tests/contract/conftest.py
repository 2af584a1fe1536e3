"""By hand, at length, never the same: `pytest tests/contract --hypothesis-profile=deep`."""

from hypothesis import settings

settings.register_profile(
    "deep", settings.get_profile("course"), derandomize=False, max_examples=300
)
