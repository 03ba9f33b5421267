"""The page of a fix where no fix can be tried: it says why. What it shows otherwise needs the real agent: live/test_fix_live.py."""

from collections.abc import Mapping
from typing import Any
from unittest.mock import AsyncMock

import httpx2
import pytest

from guardpanel.engines import AgentStatus
from guardpanel.engines.waf.evaluation import EvaluatedRule, Evaluation, Match
from guardpanel.errors import EngineSilent
from guardpanel.panel import Panel
from tests.events import a_log_line, an_event, store
from tests.factories import a_vhost
from tests.html import read

pytestmark = pytest.mark.anyio


async def test_an_event_without_a_rule_says_that_it_cannot_be_fixed_here(ada: httpx2.AsyncClient, panel: Panel) -> None:
    event = an_event(rules=[], verdict="detected")
    store(panel.settings.events_database, [event], [a_log_line(event)])

    answer = await ada.get(f"/events/{event['id']}/fix")

    assert answer.status_code == 409
    assert "Only requests on which rules fired can be fixed here." in answer.text


@pytest.mark.parametrize("missing", ["The WAF agent’s line", "HAProxy’s line"])
async def test_an_event_whose_other_line_is_still_to_come_says_so(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, missing: str
) -> None:
    event = an_event()
    agent, proxy = ([], [a_log_line(event)]) if "agent" in missing else ([event], [])
    store(panel.settings.events_database, agent, proxy)

    answer = await ada_api.get(f"/api/v1/events/{event['id']}/fix")
    page = await ada.get(f"/events/{event['id']}/fix")

    assert (answer.status_code, page.status_code) == (409, 409)
    assert answer.json()["detail"].startswith(
        f"{missing} about this request has not arrived. Try again in a few seconds."
    )
    assert answer.json()["detail"] in read(page.text).text


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


def judged(verdict: str) -> Evaluation:
    match = Match("ARGS", "id", "1", 0)
    rule = EvaluatedRule(942100, 2, 1, "SQL injection", "", ("attack-sqli",), (match,))
    score, rules = (5, (rule,)) if verdict == "blocked" else (0, ())
    return Evaluation(verdict, 403 if rules else 0, 949110 if rules else 0, score, 5, rules)


class PlantedAgent:
    """It lets requests pass with an exclusion where that is tried, and blocks them all the same where it is live."""

    def __init__(self, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.live = "blocked"
        for name in ("status", "evaluate", "evaluate_live"):
            monkeypatch.setattr(panel.engines.agent, name, getattr(self, name))

    async def status(self) -> AgentStatus:
        return AgentStatus(running=True)

    async def evaluate(self, directives: str, _request: Mapping[str, Any]) -> Evaluation:
        return judged("pass" if "guardpanel/exclusion/" in directives else "blocked")

    async def evaluate_live(self, _application: str, _request: Mapping[str, Any]) -> Evaluation:
        return judged(self.live)


@pytest.mark.parametrize(
    ("live", "words"),
    [
        ("blocked", "Not verified: this request is still blocked."),
        ("silent", "Not verified: control.sock is not responding: no response in time."),
    ],
)
async def test_a_fix_that_is_live_but_not_verified_says_so_and_can_be_undone(
    ada: httpx2.AsyncClient,
    ada_api: httpx2.AsyncClient,
    panel: Panel,
    monkeypatch: pytest.MonkeyPatch,
    live: str,
    words: str,
) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost("shop.example", policy_id=1))
    event = an_event(headers=[["host", "shop.example"]])
    store(panel.settings.events_database, [event], [a_log_line(event)])
    planted = PlantedAgent(panel, monkeypatch)
    if live == "silent":
        silent = EngineSilent("control.sock is not responding: no response in time.")
        monkeypatch.setattr(panel.engines.agent, "evaluate_live", AsyncMock(side_effect=silent))
    planted.live = live

    applied = await ada.post(f"/events/{event['id']}/fix", data={"width": "field"}, follow_redirects=True)
    page = read(applied.text)

    assert (applied.status_code, applied.url.path) == (200, f"/events/{event['id']}")
    assert "Live in" in page.text
    assert words in page.text
    assert any("/undo" in form["action"] for form in page.find("form", method="post") if "action" in form)
    assert (await ada_api.get("/api/v1/policies/1/exclusions")).json()["total"] == 1


async def test_what_cannot_be_replayed_is_said_with_what_is_known(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost("shop.example", policy_id=1))
    event = an_event(headers=[["host", "shop.example"]])
    store(panel.settings.events_database, [event], [a_log_line(event)])
    PlantedAgent(panel, monkeypatch)

    page = read((await ada.get(f"/events/{event['id']}/fix?whole=1")).text)
    ladder = (await ada_api.get(f"/api/v1/events/{event['id']}/fix")).json()

    assert "This request passes" in page.text
    assert "Not everything was tried agent-control.sock is not responding" in page.text
    assert (ladder["narrowest"], ladder["attacks"]) == ("field", [])
    assert "is not responding" in ladder["untried"]
