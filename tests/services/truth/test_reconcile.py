"""What the look at what runs does about what it finds."""

import pytest

from guardpanel.engines import DROPS_TRAILERS, Drift, Expected, HAProxy, Place
from guardpanel.panel import Panel
from guardpanel.services.saving.change import SaveRequest
from guardpanel.services.truth.reconcile import Reconciler
from tests.fakes import FakeEngines

pytestmark = pytest.mark.anyio


class Upgraded(HAProxy):
    """3.2 in the place of 2.8."""

    async def version(self) -> tuple[int, ...]:
        return (3, 2, 26)

    async def knows(self, option: str) -> bool:
        return option == DROPS_TRAILERS


async def test_a_haproxy_that_was_upgraded_gets_what_it_can_without_a_restart_of_the_panel(
    panel: Panel, engines: FakeEngines
) -> None:
    reconciler = Reconciler(panel.changes, panel.settings.data_dir, repairs=False)
    engines.haproxy = Upgraded()

    for version in ("2.8.25", "", "2.8.25"):  # no other than before, and none that answers
        await reconciler._follow_version(version)
        assert engines.running
        assert DROPS_TRAILERS not in engines.running.files["haproxy.cfg"].decode()

    await reconciler._follow_version("3.2.26")
    after = engines.running

    assert after
    assert reconciler.problem is None
    assert DROPS_TRAILERS in after.files["haproxy.cfg"].decode()


UNREAD = Drift(Place.AGENT, "The WAF agent has not loaded its current file.", ours=True)


class SavedMeanwhile(FakeEngines):
    """The agent has not read its file; a save goes through in the middle of the look after it has."""

    panel: Panel
    looks = 0

    async def inspect(self, expected: Expected) -> list[Drift]:
        self.looks += 1
        if self.looks == 1:
            return [UNREAD]
        await self.panel.changes.put_back(SaveRequest("ada"))
        return [Drift(Place.HAPROXY, "HAProxy’s newest worker runs another configuration.")]


async def test_a_look_during_a_save_reports_no_drift(
    panel: Panel, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    await panel.changes.background.close()
    async with panel.changes.turn():
        pass

    async def read() -> None:
        """The agent reads its file."""

    monkeypatch.setattr(engines.agent, "reload", read)
    engines.__class__ = SavedMeanwhile
    assert isinstance(engines, SavedMeanwhile)
    engines.panel = panel
    reconciler = Reconciler(panel.changes, panel.settings.data_dir, repairs=False)

    before = engines.deployments

    await reconciler.tick()

    assert (engines.looks, engines.deployments) == (2, before + 1)  # only what was asked for is deployed
    assert panel.changes.watch.drift == ()
