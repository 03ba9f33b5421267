"""The page of a fix where no fix can be tried: it says why. What it shows otherwise needs the real agent: live/test_fix_live.py."""

import httpx2
import pytest

from guardpanel.panel import Panel
from tests.events import a_log_line, an_event, store
from tests.factories import a_vhost

pytestmark = pytest.mark.anyio


async def test_an_event_without_a_rule_says_that_it_cannot_be_fixed_here(ada: httpx2.AsyncClient, panel: Panel) -> None:
    event = an_event(rules=[], verdict="detected")
    store(panel.settings.events_database, [event], [a_log_line(event)])

    answer = await ada.get(f"/events/{event['id']}/fix")

    assert answer.status_code == 409
    assert "Only requests on which rules fired can be fixed here." in answer.text


async def test_an_agent_that_is_away_is_said(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel
) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost("shop.example", policy_id=1))
    event = an_event()
    store(panel.settings.events_database, [event], [a_log_line(event)])

    answer = await ada.get(f"/events/{event['id']}/fix?whole=1")
    first = await ada.get(f"/events/{event['id']}/fix")
    ladder = await ada.get(f"/events/{event['id']}/fix/ladder")

    assert answer.status_code == 503
    assert "is not responding" in answer.text
    assert (first.status_code, ladder.status_code) == (200, 200)
    assert f'data-stream="/events/{event["id"]}/fix/ladder"' in first.text
    assert f'url=/events/{event["id"]}/fix?whole=1"' in first.text
    assert "No fix can be tried" in ladder.text
    assert "/policies/1/exclusions/new" in ladder.text
    assert f'href="/events/{event["id"]}/fix"' in (await ada.get(f"/events/{event['id']}")).text


async def test_an_event_that_is_not_there_is_404(ada: httpx2.AsyncClient) -> None:
    assert (await ada.get("/events/nothing/fix")).status_code == 404
    assert (await ada.get("/events/nothing/fix/rung?width=field")).status_code == 404
