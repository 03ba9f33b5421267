"""With an operator's coraza-spoa (a stand-in with its manners) every save is still proved, and nothing is claimed."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from guardpanel import rendering
from guardpanel.engines import AgentStatus
from guardpanel.errors import ConfigRejected, Invalid, RolledBack
from guardpanel.models import Revision
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.rendering import configuration, coraza
from guardpanel.services import policies, virtual_hosts
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import SaveRequest
from guardpanel.services.trials import trials
from tests.coraza_spoa import stand_in
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.live.stack import agent_binary
from tests.panel import origin_server

pytestmark = [pytest.mark.anyio, pytest.mark.one_haproxy]

ADA = SaveRequest("ada")
ATTACK = "/?id=1%27%20OR%20%271%27=%271"
FITTING = {**policies.DEFAULT.model_dump(), "body_limit_kib": 48}
BLOCK = PolicyFields.model_validate({**FITTING, "enforcement_mode": "block"})


@pytest.fixture(scope="module")
def origin() -> Iterator[int]:
    with origin_server() as port:
        yield port


@asynccontextmanager
async def with_coraza_spoa(haproxy: str, origin: int, *, deaf: bool = False) -> AsyncIterator[Installation]:
    folder = Path(tempfile.mkdtemp(prefix="gp"))
    try:
        async with installation_of(haproxy, str(stand_in(folder, agent_binary(), deaf=deaf))) as made:
            await virtual_hosts.create(made.changes, ADA, a_virtual_host(origin))
            yield made
    finally:
        shutil.rmtree(folder)


@pytest.fixture
async def running(haproxy: str, origin: int) -> AsyncIterator[Installation]:
    async with with_coraza_spoa(haproxy, origin) as made:
        yield made


async def visit(running: Installation, path: str = "/", **more: object) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=60) as client:
        return await client.request("GET", running.proxy + path, headers={"host": "shop.example"}, **more)  # type: ignore[arg-type]


async def agent(running: Installation) -> AgentStatus:
    running.engines.answers.forget()
    return (await running.engines.status()).agent


async def test_a_policy_goes_live_by_signal_and_verification(running: Installation) -> None:
    before = await agent(running)
    assert (await visit(running, ATTACK)).status_code == 200

    saved = await policies.update(running.changes, ADA, 1, BLOCK)
    blocked = await visit(running, ATTACK)

    now = await agent(running)
    assert (saved.is_new, blocked.status_code, (await visit(running)).status_code) == (True, 403, 200)
    assert now.pid == before.pid > 0
    assert await running.look() == []


async def test_the_status_says_what_is_known_and_no_more(running: Installation) -> None:
    now = await agent(running)
    policy = (await policies.update(running.changes, ADA, 1, BLOCK)).value
    async with running.changes.database.read() as session:
        host = await virtual_hosts.find(session, 1)
        trial = await trials.send(running.changes, host, policy, trials.Kind.ATTACK)

    assert (now.running, now.is_ours, now.applications) == (True, False, ())
    assert (now.version, now.coraza_version, now.crs_version) == ("coraza-spoa 0.7.2", "3.7.0", "4.25.0")
    assert trial.ok
    assert trial.rules
    assert {rule.message for rule in trial.rules} == {""}


async def test_one_that_does_not_hear_the_signal_changes_nothing(
    haproxy: str, origin: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with with_coraza_spoa(haproxy, origin, deaf=True) as running:
        monkeypatch.setattr("guardpanel.engines.waf.coraza_spoa.PATIENCE_SECONDS", 2.0)
        file = running.engines.agent.configuration
        content = file.read_bytes()

        with pytest.raises(RolledBack) as refused:
            await policies.update(running.changes, ADA, 1, BLOCK)

        assert "coraza-spoa received SIGHUP but gives no verdict" in refused.value.message
        assert "No verdict from p" in refused.value.evidence
        assert (await visit(running, ATTACK)).status_code == 200
        assert file.read_bytes() == content
        assert await running.look() == []
        async with running.changes.database.read() as session:
            assert (await policies.find(session, 1)).enforcement_mode == "detect_only"


async def test_one_that_is_killed_is_started_again(running: Installation, origin: int) -> None:
    killed = await agent(running)
    os.kill(killed.pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        while not (now := await agent(running)).running or now.pid == killed.pid:
            await asyncio.sleep(0.1)

    saved = await virtual_hosts.create(running.changes, ADA, a_virtual_host(origin, hostnames=["b.example"]))

    assert saved.is_new
    assert running.supervisor.agent.restarts
    assert (await policies.update(running.changes, ADA, 1, BLOCK)).is_new
    assert (await visit(running, ATTACK)).status_code == 403


async def test_a_body_as_large_as_the_limit_is_inspected_and_a_larger_limit_refused(running: Installation) -> None:
    await policies.update(running.changes, ADA, 1, BLOCK)
    form = {"content-type": "application/x-www-form-urlencoded"}
    attack = b"&id=1%27%20OR%20%271%27%3D%271"
    whole = b"a=" + b"x" * (48 * 1024 - 2 - len(attack)) + attack
    async with httpx2.AsyncClient(timeout=60, headers={"host": "shop.example", **form}) as client:
        clean = await client.post(running.proxy, content=b"a=b")
        caught = await client.post(running.proxy, content=whole)
        over = await client.post(running.proxy, content=whole + b"x")

    larger = PolicyFields.model_validate({**BLOCK.model_dump(), "body_limit_kib": 49})
    with pytest.raises(Invalid) as refused:
        await policies.update(running.changes, ADA, 1, larger)

    assert (clean.status_code, caught.status_code, over.status_code) == (200, 403, 413)
    assert "coraza-spoa" in refused.value.errors["body_limit_kib"].message


async def test_a_refused_rule_comes_with_its_words(running: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    real = coraza.application

    def broken(*of: object, foreign: bool) -> object:
        made = real(*of, foreign=foreign)  # type: ignore[arg-type]
        text = made.directives + "SecNonsense On\n"
        return type(made)(f"p{'0' * 12}", text, made.response_check, made.blocks, made.policy_ids, made.origins)

    monkeypatch.setattr(coraza, "application", broken)
    monkeypatch.setattr(rendering, "CONFIGURATIONS", configuration.Configurations())  # Those of others know no fault.
    with pytest.raises(ConfigRejected) as refused:
        await policies.update(running.changes, ADA, 1, BLOCK)

    assert "secnonsense" in refused.value.output
    assert "secnonsense" in refused.value.findings[0].message
    assert refused.value.findings[0].noun_id == 1


async def test_old_applications_are_dropped(running: Installation) -> None:
    await policies.update(running.changes, ADA, 1, BLOCK)
    engines = running.engines
    async with asyncio.timeout(60):
        while await engines.drop_unused():
            await asyncio.sleep(0.2)

    live = {
        application.name
        for application in (await running.changes.renderer.applications_of(await _live(running))).values()
    }

    assert set(await engines.agent.running_applications(await agent(running))) == live
    assert not await engines.agent.runs(["p000000000000"], await agent(running))


async def _live(running: Installation) -> Revision:
    async with running.changes.database.read() as session:
        live = await revisions.live(session)
    assert live is not None
    return live
