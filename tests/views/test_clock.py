"""A clock that is set back: what counts is the order of the changes, not what time they say it was."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from sqlmodel import update

from guardpanel.models import Deployment, Revision, VirtualHost
from guardpanel.models.user import Session
from guardpanel.panel import Panel
from guardpanel.services.history import history
from guardpanel.services.saving import revisions
from tests.factories import a_virtual_host
from tests.html import read

pytestmark = pytest.mark.anyio

AHEAD = datetime.now(UTC) + timedelta(days=400, hours=1)


@pytest.fixture
async def set_back(ada: httpx2.AsyncClient, panel: Panel) -> None:
    """Everything until now happened in what is the future since the clock was set back."""
    answer = await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    assert answer.status_code == 303
    async with panel.database.write() as session:
        await session.exec(update(Deployment).values(started_at=AHEAD))
        await session.exec(update(Revision).values(created_at=AHEAD))
        await session.exec(update(VirtualHost).values(created_at=AHEAD, updated_at=AHEAD))
        await session.exec(update(Session).values(created_at=AHEAD, seen_at=AHEAD))


@pytest.mark.usefixtures("set_back")
async def test_the_next_save_is_the_newest_and_can_be_undone(ada: httpx2.AsyncClient, panel: Panel) -> None:
    page = read((await ada.get("/virtual-hosts/1/edit")).text)
    [version] = [field["value"] for field in page.find("input", name="version")]
    answer = await ada.post("/virtual-hosts/1", data=a_virtual_host("shop.example", balance="first", version=version))
    assert answer.status_code == 303, answer.text

    async with panel.database.read() as session:
        newest = await history.newest(session)
        assert newest == await history.undoable(session) == 3
        live = await revisions.live(session)
        assert live is not None
        assert live.id == 3
    assert (await ada.post(f"/changes/{newest}/undo")).status_code == 303
    async with panel.database.read() as session:
        change = await revisions.find(session, 4)
    assert change.summary.startswith("Undid: ")
    assert change.started_at < AHEAD


@pytest.mark.usefixtures("set_back")
async def test_pages_and_sessions_survive_a_clock_jump(ada: httpx2.AsyncClient) -> None:
    for path in (
        "/",
        "/virtual-hosts",
        "/virtual-hosts/1",
        "/changes",
        "/changes/2",
        "/system",
        "/system/drift",
        "/live",
    ):
        answer = await ada.get(path)
        assert answer.status_code == 200, path
        assert "-1 " not in read(answer.text).text, path
    page = read((await ada.get("/changes")).text)
    assert str(AHEAD.year) in page.text, "a time ahead is shown as it was written"


@pytest.mark.usefixtures("set_back")
async def test_retention_takes_nothing_for_old(ada: httpx2.AsyncClient, panel: Panel) -> None:
    assert (await ada.post("/virtual-hosts", data=a_virtual_host("blog.example"))).status_code == 303
    await panel.retention.tidy()
    async with panel.database.read() as session:
        assert [change.id for change in (await revisions.page(session)).items] == [3, 2, 1]
