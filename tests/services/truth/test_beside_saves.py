"""What is looked at while a save changes it: the panel must neither be called unready nor be said to drift."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlmodel import select

from guardpanel.models import Deployment
from guardpanel.models.revision import Outcome
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.panel import Panel
from guardpanel.services import virtual_hosts
from guardpanel.services.saving.change import SaveRequest
from guardpanel.services.truth import live_line, readiness
from tests.fakes import FakeEngines

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada@example.org")


async def look(panel: Panel) -> tuple[str, str]:
    return await ready(panel), await line(panel)


async def ready(panel: Panel) -> str:
    return (await readiness.parts(panel.changes, starting=False, problem=None))["revision"]


async def line(panel: Panel) -> str:
    async with panel.database.read() as session:
        await session.exec(select(Deployment.id))  # What a page has read when it asks.
        return (await live_line.live_line(panel.changes, session)).state


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

    assert await look(panel) == ("ok", "ok")
    assert not left


async def test_a_save_that_runs_before_the_first_answer_and_ends_before_the_second(
    panel: Panel, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    await panel.changes.background.close()
    deploy, status, begun, may_end = engines.deploy, engines.status, asyncio.Event(), asyncio.Event()

    async def deploy_later(*args: Any, **others: Any) -> None:
        begun.set()
        await may_end.wait()
        await deploy(*args, **others)

    async def status_before_its_end() -> Any:
        answer = await status()
        may_end.set()
        await saving
        return answer

    monkeypatch.setattr(engines, "deploy", deploy_later)
    monkeypatch.setattr(engines, "status", status_before_its_end)
    for name, ask in {"line.example": line, "ready.example": ready}.items():
        begun.clear()
        may_end.clear()
        saving = asyncio.create_task(save(panel, name))
        await begun.wait()
        assert await ask(panel) in {"ok", "deploying"}


async def test_a_save_of_another_process(panel: Panel, engines: FakeEngines) -> None:
    """It is known by its attempt alone, which has no outcome yet."""
    await panel.changes.background.close()
    assert engines.running is not None
    async with panel.database.write() as session:
        session.add(Deployment(outcome=Outcome.DEPLOYING, author="ada@example.org", summary="Something"))
    engines.running = replace(engines.running, checksum="another")

    assert await look(panel) == ("ok", "deploying")


async def test_a_plan_that_is_checked_deploys_nothing(panel: Panel) -> None:
    async with panel.changes.turn():
        assert await look(panel) == ("ok", "ok")
