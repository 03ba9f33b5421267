"""The real engines: what HAProxy's version may decide runs on each that guardpanel promises to work with, what the agent or
the panel decides on one of them (`pytest.mark.one_haproxy`); `make live-all` runs all on all."""

import os
from collections.abc import Iterator

import pytest

from tests.haproxies import HTTP3_VERSIONS, NEEDED, ONE_VERSION, VERSIONS, haproxy_binary
from tests.live.origins import Origin, origin
from tests.live.over_h3 import over
from tests.live.stack import Stack
from tests.pairs import superfluous
from tests.panel import Panel, origin_server, running_panel
from tests.together import SHARE_A_PANEL
from tests.web import an_account

collect_ignore = ["test_h3.py", "test_h3_saves.py"] if VERSIONS == NEEDED else []
"None of the needed ones serves HTTP/3."

LONGEST = (
    *SHARE_A_PANEL,
    "test_masters",
    "test_reloads",
    "test_engines_come_and_go",
    "test_failmode_agent",
    "test_saves_live",
    "test_drift_live",
    "test_coraza_spoa",
    "test_backups_live",
    "test_inspection_responses",
    "test_inspection_around_bodies",
    "test_inspection_limits",
    "test_server_states",
)
"They begin first, while all others fill the rest."


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    on_one = metafunc.definition.get_closest_marker("one_haproxy") is not None
    versions = ONE_VERSION if on_one else VERSIONS
    if metafunc.definition.get_closest_marker("http3"):
        versions = HTTP3_VERSIONS
    if "http" in metafunc.fixturenames:
        ways = [*((version, "1.1") for version in versions), *((version, "2") for version in ONE_VERSION)]
        ways += [(version, "3") for version in HTTP3_VERSIONS]
        metafunc.parametrize(("haproxy", "http"), ways, indirect=["haproxy"], scope="session")
    elif "haproxy" in metafunc.fixturenames:
        metafunc.parametrize("haproxy", versions, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if VERSIONS == NEEDED and "GUARDPANEL_TEST_ALL" not in os.environ:
        others = set(superfluous(items))
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]
    for item in items:
        if "/live/" in str(item.path):
            item.add_marker(pytest.mark.live)
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(autouse=True, scope="session")
def at_once() -> None:
    """Here the database's driver has its threads."""


@pytest.fixture(scope="session")
def haproxy(request: pytest.FixtureRequest) -> str:
    """The path of a binary: one of each version, never skipped."""
    return haproxy_binary(request.param)


@pytest.fixture
def channel(stack: Stack, http: str) -> Stack:
    """A file's stack by HTTP/1.1, and over TLS by HTTP/2 and HTTP/3: what holds of one holds of the others."""
    return over(stack, http)


@pytest.fixture(scope="session")
def shared_panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    """A whole panel on one HAProxy, with Ada's account, for files in SHARE_A_PANEL (tests/together.py): its start takes as much of the
    processor's time as a dozen saves. Each has hostnames and policies of its own, and expects no ids."""
    environment = {"GUARDPANEL_FEED_FILES": str(tmp_path_factory.mktemp("feeds"))}
    with running_panel(haproxy_binary(ONE_VERSION[0]), environment=environment) as panel:
        an_account(panel)
        yield panel


@pytest.fixture(scope="session")
def origin_port() -> Iterator[int]:
    """Of a server behind the shared panel's HAProxy."""
    with origin_server() as port:
        yield port


@pytest.fixture(scope="module")
def server() -> Iterator[Origin]:
    """A server behind HAProxy that answers with what it received."""
    with origin() as running:
        yield running
