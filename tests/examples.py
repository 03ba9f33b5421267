"""On how many examples a property is tried: `make nightly` tries more, and the dear ones fewer."""

from hypothesis import settings


def share(of_all: float) -> int:
    """So much of what the profile says."""
    assert settings.default is not None
    return int(settings.default.max_examples * of_all)
