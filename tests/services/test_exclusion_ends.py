"""A rule exclusion ends after its last day, by a change of its own, and is announced before."""

from datetime import date, timedelta

import httpx2
import pytest

from guardpanel.engines import Drift, Place
from guardpanel.errors import Drifted
from guardpanel.panel import Panel
from guardpanel.services import exclusion_ends, rule_exclusions
from tests.factories import an_exclusion
from tests.fakes import FakeEngines

pytestmark = pytest.mark.anyio

PLACE = "/policies/1/exclusions"
LAST = date(2999, 12, 31)


@pytest.fixture
async def two(ada: httpx2.AsyncClient) -> None:
    """One with a last day, and one without."""
    for path, last in (("/a", LAST.isoformat()), ("/b", "")):
        assert (await ada.post(PLACE, data=an_exclusion(path=path, ends_on=last))).status_code == 303


def excluded(engines: FakeEngines) -> list[str]:
    assert engines.running is not None
    return [path for path in ("/a", "/b") if f"@streq {path}" in engines.running.files["coraza.yaml"].decode()]


@pytest.mark.usefixtures("two")
async def test_it_holds_on_its_last_day_and_ends_after_it(
    panel: Panel, engines: FakeEngines, ada: httpx2.AsyncClient
) -> None:
    await exclusion_ends.end(panel.changes, LAST)
    assert excluded(engines) == ["/a", "/b"]

    await exclusion_ends.end(panel.changes, LAST + timedelta(days=1))

    assert excluded(engines) == ["/b"]
    changes = (await ada.get("/changes")).text
    assert "Default: 941100: argument content, POST /a ended after its last day, 2999-12-31" in changes
    assert "<small>guardpanel" in changes


@pytest.mark.usefixtures("two")
async def test_it_ends_once(panel: Panel, engines: FakeEngines) -> None:
    await exclusion_ends.end(panel.changes, LAST + timedelta(days=1))
    deployments = engines.deployments

    await exclusion_ends.end(panel.changes, LAST + timedelta(days=2))

    assert engines.deployments == deployments


@pytest.mark.usefixtures("two")
async def test_nothing_ends_over_a_change_by_hand(panel: Panel, engines: FakeEngines) -> None:
    engines.drifted = [Drift(Place.HAPROXY, "HAProxy runs another configuration.")]
    panel.changes.watch.record(tuple(engines.drifted))

    with pytest.raises(Drifted):
        await exclusion_ends.end(panel.changes, LAST + timedelta(days=1))

    assert excluded(engines) == ["/a", "/b"]


@pytest.mark.usefixtures("two")
async def test_it_is_announced_a_week_before(
    panel: Panel, ada: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, named = "Rule exclusions that end soon", f'href="{PLACE}/1"'
    for days, is_said in ((8, False), (7, True), (0, True)):
        monkeypatch.setattr(rule_exclusions, "today", lambda days=days: LAST - timedelta(days=days))

        dashboard = (await ada.get("/")).text

        assert (words in dashboard, named in dashboard) == (is_said, is_said)


async def test_a_last_day_that_is_over_is_refused(ada: httpx2.AsyncClient) -> None:
    answer = await ada.post(PLACE, data=an_exclusion(ends_on="2020-01-01"))

    assert answer.status_code == 422
    assert "This day is over." in answer.text
    assert (await ada.post(PLACE, data=an_exclusion(ends_on="2020-01-01", enabled=None))).status_code == 303
