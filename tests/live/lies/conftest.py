"""An installation with a virtual host, and no patience."""

from collections.abc import AsyncIterator, Iterator

import pytest

from guardpanel.engines import deployer, verify
from guardpanel.services import virtual_hosts
from tests.haproxies import VERSIONS, haproxy_binary
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
    monkeypatch.setattr(verify, "DEADLINE", 4.0)
    monkeypatch.setattr(deployer, "RELOAD_PATIENCE", 5.0)
    monkeypatch.setattr(deployer, "START_PATIENCE", 10.0)


@pytest.fixture(scope="module", params=VERSIONS)
async def running(request: pytest.FixtureRequest, origin: int) -> AsyncIterator[Installation]:
    async with installation_of(haproxy_binary(request.param)) as installation:
        await virtual_hosts.create(installation.changes, ADA, a_virtual_host(origin))
        yield installation


@pytest.fixture(params=VERSIONS)
async def fresh(request: pytest.FixtureRequest, origin: int) -> AsyncIterator[Installation]:
    """For faults that leave traces in the supervisor: a pause that grows, sockets that were taken."""
    async with installation_of(haproxy_binary(request.param)) as installation:
        await virtual_hosts.create(installation.changes, ADA, a_virtual_host(origin))
        yield installation
