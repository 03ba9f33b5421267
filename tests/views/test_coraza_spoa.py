"""With an operator's coraza-spoa the pages say what is different, and claim nothing that nobody told them."""

from dataclasses import replace

import pytest
from sqlmodel import select

from guardpanel.engines import AgentStatus
from guardpanel.models import Policy
from guardpanel.panel import Panel
from tests.conftest import Person
from tests.fakes import FakeEngines

pytestmark = pytest.mark.anyio

POLICY = {"name": "Shop", "enforcement_mode": "block", "body_limit_kib": "48"}


@pytest.fixture(autouse=True)
def with_coraza_spoa(panel: Panel, engines: FakeEngines) -> None:
    engines.agent_says = AgentStatus(
        running=True, version="coraza-spoa 0.7.2", coraza_version="3.7.0", crs_version="4.25.0", pid=4711, is_ours=False
    )
    panel.changes.renderer.facts = replace(panel.changes.renderer.facts, small_frames=True)


async def test_the_system_page_says_what_is_different(vera: Person) -> None:
    text = (await vera.get("/system")).text

    assert "With coraza-spoa" in text
    assert "GHSA-w253-m66g-rx24" in text
    assert "GUARDPANEL_AGENT_BIN" in text
    assert "does not report what else it runs" in text
    assert "The agent has none" not in text
    assert "0 requests" not in text


async def test_the_dashboard_does_not_count_what_it_does_not_know(vera: Person) -> None:
    text = (await vera.get("/")).text

    assert "not reported by coraza-spoa" in text
    assert 'href="/system#coraza-spoa"' in text


async def test_policies_from_before_are_named_until_they_fit(ada: Person, panel: Panel) -> None:
    assert "Default (128 KiB)" in (await ada.get("/system")).text

    assert 'value="128"' in (await ada.get("/policies/1/edit")).text
    async with panel.database.write() as session:
        policy = (await session.exec(select(Policy))).one()
        policy.body_limit_kib = 48
        session.add(policy)

    assert "Default (" not in (await ada.get("/system")).text


async def test_a_larger_limit_is_refused_at_its_field(ada: Person, ada_api: Person) -> None:
    form = await ada.post("/policies", data={**POLICY, "body_limit_kib": "49"})
    program = await ada_api.post("/api/v1/policies", json={"name": "Shop", "body_limit_kib": 49})

    assert form.status_code == program.status_code == 422
    words = "coraza-spoa inspects bodies up to 48 KiB. Enter 48 or less."
    assert words in form.text
    assert 'value="49"' in form.text
    assert words in program.text


async def test_what_a_new_policy_starts_with_fits(ada: Person) -> None:
    for preset in ("website", "rest_api", "file_upload"):
        text = (await ada.get(f"/policies/new?preset={preset}")).text
        assert 'value="48"' in text
        assert "At most 48." in text


async def test_every_probe_answers(nobody: Person, engines: FakeEngines) -> None:
    assert (await nobody.get("/readyz")).json()["agent"] == "ok"
    assert 'guardpanel_engine_up{engine="agent"} 1.0' in (await nobody.get("/metrics")).text

    engines.agent_says = AgentStatus(
        running=False, problem="agent.sock does not answer: no response in time.", is_ours=False
    )

    assert (await nobody.get("/readyz")).json()["agent"] == "agent.sock does not answer: no response in time."


async def test_what_is_restored_must_fit_too(ada: Person, ada_api: Person, panel: Panel) -> None:
    facts = panel.changes.renderer.facts
    panel.changes.renderer.facts = replace(facts, small_frames=False)
    made = await ada_api.post("/api/v1/policies", json={"name": "Large", "body_limit_kib": 1024})
    number = made.json()["id"]
    smaller = await ada_api.patch(f"/api/v1/policies/{number}", json={"body_limit_kib": 48})
    assert (made.status_code, smaller.status_code) == (201, 200)
    panel.changes.renderer.facts = facts

    undone = await ada.post("/changes/3/undo")

    assert undone.status_code == 409
    words = "Policy Large: coraza-spoa inspects bodies up to 48 KiB. Enter 48 or less."
    assert words in undone.text
