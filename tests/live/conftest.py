"""The real engines: every test here runs with each HAProxy that guardpanel promises to work with."""

from collections.abc import Iterator

import pytest

from tests.haproxies import VERSIONS, haproxy_binary
from tests.live.origins import Origin, origin


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/live/" in str(item.path):
            item.add_marker(pytest.mark.live)
    # They take longest: first, while all others fill the rest.
    items.sort(key=lambda item: "/lies/" not in str(item.path))


@pytest.fixture(scope="session", params=VERSIONS)
def haproxy(request: pytest.FixtureRequest) -> str:
    """The path of a binary: one of each version, never skipped."""
    return haproxy_binary(request.param)


@pytest.fixture(scope="module")
def server() -> Iterator[Origin]:
    """A server behind HAProxy that answers with what it received."""
    with origin() as running:
        yield running
