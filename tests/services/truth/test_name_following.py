"""Names whose servers take their addresses only by a reload."""

import pytest

from guardpanel.engines.releases import ReleaseDamaged
from guardpanel.errors import DeploymentFailed, Problem
from guardpanel.panel import Panel
from guardpanel.services.truth import live_line
from guardpanel.services.truth.name_following import Follower
from tests.fakes import FakeEngines

pytestmark = pytest.mark.anyio


class Late(FakeEngines):
    """Servers that have no address, and a HAProxy that can be reloaded or not."""

    waiting = frozenset({"app.lan"})
    reloads = 0
    fault: Problem | None = None

    async def follow_names(self) -> frozenset[str]:
        return self.waiting

    async def reload_again(self) -> None:
        self.reloads += 1
        if self.fault:
            raise self.fault


@pytest.fixture
async def late(panel: Panel, engines: FakeEngines) -> Late:
    """With nobody else at work: a look beside a save does nothing."""
    await panel.changes.background.close()
    async with panel.changes.turn():
        pass
    engines.__class__ = Late
    assert isinstance(engines, Late)
    return engines


async def looks(follower: Follower, times: int) -> None:
    for _ in range(times):
        await follower.look()


async def line(panel: Panel) -> live_line.LiveLine:
    async with panel.database.read() as session:
        return await live_line.live_line(panel.changes, session)


async def test_a_first_address_is_worth_one_reload(panel: Panel, late: Late) -> None:
    follower = Follower(panel.changes)

    await looks(follower, 3)
    assert late.reloads == 1

    late.waiting = frozenset({"app.lan", "db.lan"})
    await looks(follower, 3)
    assert late.reloads == 2


@pytest.mark.parametrize(
    "fault",
    [
        DeploymentFailed("HAProxy did not start a new worker.", step="reload"),
        ReleaseDamaged("haproxy.cfg of release 1 was changed outside guardpanel."),
    ],
)
async def test_a_reload_that_fails_is_tried_ever_more_seldom_and_told(panel: Panel, late: Late, fault: Problem) -> None:
    follower = Follower(panel.changes)
    late.fault = fault

    await looks(follower, 20)
    assert late.reloads == 4  # at the 1st, 3rd, 7th and 15th look
    text = await line(panel)
    assert (text.state, "app.lan" in text.detail, fault.message in text.detail) == ("drift", True, True)

    late.fault = None
    await looks(follower, 20)
    assert late.reloads == 5
    assert (await line(panel)).state == "ok"
