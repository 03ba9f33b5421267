"""An installation with a virtual host, and no patience."""

from collections.abc import AsyncIterator, Iterator

import pytest

from guardpanel.engines import deployer, verify
from guardpanel.engines.haproxy import reloading
from guardpanel.services import virtual_hosts
from tests.live.lies.truth import ADA
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.panel import origin_server


@pytest.fixture(scope="module")
def origin() -> Iterator[int]:
    with origin_server() as port:
        yield port


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be proved here never can: less patience changes the time that it takes, and nothing else."""
    monkeypatch.setattr(verify, "DEADLINE", 2.0)
    monkeypatch.setattr(reloading, "RELOAD_PATIENCE_SECONDS", 2.5)
    monkeypatch.setattr(reloading, "START_PATIENCE_SECONDS", 10.0)
    monkeypatch.setattr(deployer, "START_PATIENCE_SECONDS", 10.0)


@pytest.fixture(scope="module")
async def running(haproxy: str, origin: int) -> AsyncIterator[Installation]:
    async with installation_of(haproxy) as installation:
        await virtual_hosts.create(installation.changes, ADA, a_virtual_host(origin))
        yield installation


@pytest.fixture
async def fresh(haproxy: str, origin: int) -> AsyncIterator[Installation]:
    """For faults that leave traces in the supervisor: a pause that grows, sockets that were taken."""
    async with installation_of(haproxy) as installation:
        await virtual_hosts.create(installation.changes, ADA, a_virtual_host(origin))
        yield installation
