"""What the look at what runs does about what it finds."""

import pytest

from guardpanel.engines import DROPS_TRAILERS, HAProxy
from guardpanel.panel import Panel
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
