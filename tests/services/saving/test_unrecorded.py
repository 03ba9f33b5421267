"""Saves that went live on a disk too full to record it: ended before anything builds on them."""

from collections.abc import Callable
from typing import NoReturn

import pytest
from sqlmodel import col, select

from guardpanel.errors import StorageFailed
from guardpanel.models import Deployment, VirtualHost
from guardpanel.models.revision import Outcome
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.panel import Panel
from guardpanel.services import policies, virtual_hosts
from guardpanel.services.saving.changes import SaveRequest
from tests.fakes import FakeEngines

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada")

FULL = "The database cannot be written: database or disk is full."


async def add(panel: Panel, name: str) -> None:
    fields = {"name": name, "hostnames": [f"{name}.test"], "servers": [{"address": "127.0.0.1:3000"}]}
    await virtual_hosts.create(panel.changes, ADA, VirtualHostFields.model_validate(fields))


async def full(*_: object, **__: object) -> NoReturn:
    raise StorageFailed(FULL)


@pytest.fixture
async def unrecorded(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> Panel:
    """HAProxy has the first virtual host, and the database does not say so."""
    with monkeypatch.context() as patched:
        patched.setattr(panel.changes.deployments, "_conclude", full)
        with pytest.raises(StorageFailed, match="Live as revision"):
            await add(panel, "first")
    return panel


async def after(panel: Panel) -> tuple[list[str], list[Outcome]]:
    """The virtual hosts, and what became of these saves."""
    async with panel.database.read() as session:
        hosts = (await session.exec(select(VirtualHost))).all()
        saves = await session.exec(select(Deployment).where(Deployment.author == "ada").order_by(col(Deployment.id)))
        return sorted(host.name for host in hosts), [save.outcome for save in saves.all()]


async def test_a_later_save_is_not_rolled_back_with_it(unrecorded: Panel) -> None:
    await add(unrecorded, "second")
    await unrecorded.reconciler.tick()

    assert await after(unrecorded) == (["first", "second"], [Outcome.LIVE, Outcome.LIVE])


async def test_a_later_save_is_made_without_it_if_haproxy_does_not_run_it(
    unrecorded: Panel, engines: FakeEngines
) -> None:
    engines.running = None

    await add(unrecorded, "second")
    await unrecorded.reconciler.tick()

    assert await after(unrecorded) == (["second"], [Outcome.ROLLED_BACK, Outcome.LIVE])


@pytest.mark.parametrize("wait", [lambda panel: panel.changes.settled(), lambda panel: panel.changes.settle()])
async def test_whoever_waits_for_it_waits_while_the_disk_is_full(
    unrecorded: Panel, monkeypatch: pytest.MonkeyPatch, wait: Callable[[Panel], object]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(unrecorded.changes.renderer, "release", _full)
        with pytest.raises(StorageFailed):
            await wait(unrecorded)  # type: ignore[misc]
    assert await after(unrecorded) == (["first"], [Outcome.DEPLOYING])

    await wait(unrecorded)  # type: ignore[misc]
    assert await after(unrecorded) == (["first"], [Outcome.LIVE])


def _full(*_: object) -> NoReturn:
    raise StorageFailed(FULL)


async def test_a_save_without_a_reload_that_was_rolled_back_is_not_completed_later(
    panel: Panel, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HAProxy runs the same checksum before and after it."""
    await add(panel, "first")
    fields = policies.DEFAULT.model_copy(update={"inbound_anomaly_threshold": 7})
    checksum = engines.running.checksum if engines.running else ""
    with monkeypatch.context() as patched:
        patched.setattr(panel.changes.deployments, "_conclude", full)
        engines.fail("agent")
        with pytest.raises(StorageFailed):
            await policies.update(panel.changes, ADA, 1, fields)
    engines.fail(None)
    assert await engines.runs(checksum)

    await panel.changes.settled()

    assert await after(panel) == (["first"], [Outcome.LIVE, Outcome.ROLLED_BACK])
    async with panel.database.read() as session:
        assert (await policies.find(session, 1)).inbound_anomaly_threshold == 5
