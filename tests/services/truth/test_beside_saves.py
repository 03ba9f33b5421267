"""What is looked at while a save changes it: the panel must neither be called unready nor be said to drift."""

from typing import Any

import pytest

from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.panel import Panel
from guardpanel.services import virtual_hosts
from guardpanel.services.saving.change import SaveRequest
from guardpanel.services.truth import live_line, readiness
from tests.fakes import FakeEngines

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada@example.org")


async def look(panel: Panel) -> tuple[str, str]:
    parts = await readiness.parts(panel.changes, starting=False, problem=None)
    async with panel.database.read() as session:
        line = await live_line.live_line(panel.changes, session)
    return parts["revision"], line.state


async def save(panel: Panel, domain: str) -> None:
    fields = {"hostnames": [domain], "servers": [{"address": "127.0.0.1:80"}], "policy_id": 1}
    await virtual_hosts.create(panel.changes, ADA, VirtualHostFields.model_validate(fields))


async def test_haproxy_runs_a_revision_that_is_not_recorded_yet(
    panel: Panel, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy, looks = engines.deploy, list[tuple[str, str]]()

    async def deploy_and_look(*args: Any, **others: Any) -> None:
        await deploy(*args, **others)
        looks.append(await look(panel))

    monkeypatch.setattr(engines, "deploy", deploy_and_look)
    await save(panel, "shop.example")

    assert looks == [("ok", "deploying")]
    assert await look(panel) == ("ok", "ok")


async def test_a_whole_save_between_two_answers(
    panel: Panel, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    await panel.changes.background.close()  # It asks, too.
    status, left = engines.status, ["line.example", "ready.example"]

    async def status_before_a_save() -> Any:
        answer = await status()
        if left:
            await save(panel, left.pop())
        return answer

    monkeypatch.setattr(engines, "status", status_before_a_save)

    assert await look(panel) == ("ok", "deploying")
    assert not left
    assert await look(panel) == ("ok", "ok")


async def test_a_plan_that_is_checked_deploys_nothing(panel: Panel) -> None:
    async with panel.changes.turn():
        assert await look(panel) == ("ok", "ok")
