"""A save against the real engines: live when it says so, and nothing saved when it cannot be."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
import pytest
from sqlmodel import select

from guardpanel import rendering
from guardpanel.bundle import Bundle
from guardpanel.engines import verify
from guardpanel.engines.haproxy.status import haproxy_status
from guardpanel.engines.processes.child import Child
from guardpanel.errors import Busy, ConfigRejected, Conflict, Invalid, RollbackFailed, RolledBack, Stale
from guardpanel.models import Deployment, Policy
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.revision import Outcome
from guardpanel.rendering import backends, configuration, coraza, templates
from guardpanel.services import policies, virtual_hosts
from guardpanel.services.saving.changes import SaveRequest
from guardpanel.services.trials import trials
from tests.live.saves import Installation, a_virtual_host, installation_of, is_shared, until
from tests.panel import origin_server

pytestmark = pytest.mark.anyio

ATTACK = "/?id=1%27%20OR%20%271%27=%271"

OPEN = httpx2.Limits(keepalive_expiry=None)
"For visitors who keep their connection."


@pytest.fixture(scope="module")
def origin() -> Iterator[int]:
    with origin_server() as port:
        yield port


@pytest.fixture(scope="module")
async def made(haproxy: str) -> AsyncIterator[Installation]:
    async with installation_of(haproxy) as installation:
        yield installation


@pytest.fixture
async def running(made: Installation) -> AsyncIterator[Installation]:
    """As new, but for the numbers."""
    yield made
    await made.put_back()


@pytest.fixture
async def fresh(haproxy: str) -> AsyncIterator[Installation]:
    """For what leaves it broken."""
    async with installation_of(haproxy) as installation:
        yield installation


async def visit(running: Installation, path: str = "/", host: str = "shop.example") -> httpx2.Response:
    async with httpx2.AsyncClient() as client:
        return await client.get(running.proxy + path, headers={"host": host})


async def attempts(running: Installation) -> list[Deployment]:
    async with running.changes.database.read() as session:
        return list((await session.exec(select(Deployment).order_by(Deployment.id))).all())  # type: ignore[arg-type]


def released(running: Installation) -> dict[str, bytes]:
    root = running.settings.data_dir / "releases"
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


async def test_a_new_virtual_host_answers_as_soon_as_it_is_saved(running: Installation, origin: int) -> None:
    assert (await visit(running)).status_code == 421

    saved = await virtual_hosts.create(running.changes, SaveRequest("ada"), a_virtual_host(origin))

    assert (await visit(running, "/x")).text == "hello from /x"
    assert saved.sentence.startswith("Live in ")
    assert saved.sentence.endswith(f"as revision {saved.revision}")
    last = (await attempts(running))[-1]
    assert (last.outcome, last.revision_id, last.noun_id) == (Outcome.LIVE, saved.revision, saved.value.id)
    assert [step["name"] for step in last.steps] == ["render", "stage", "check", "record", "agent", "reload", "verify"]


async def test_a_policy_that_blocks_stops_the_next_attack_and_back(running: Installation, origin: int) -> None:
    host = (await virtual_hosts.create(running.changes, SaveRequest("ada"), a_virtual_host(origin))).value
    assert (await visit(running, ATTACK)).status_code == 200

    block = PolicyFields.model_validate({**policies.DEFAULT.model_dump(), "enforcement_mode": "block"})
    policy = (await policies.update(running.changes, SaveRequest("ada"), 1, block)).value
    blocked = await visit(running, ATTACK)
    trial = await trials.send(running.changes, host, policy, trials.Kind.ATTACK)
    await policies.update(running.changes, SaveRequest("ada"), 1, policies.DEFAULT)

    assert blocked.status_code == 403
    assert (trial.ok, trial.status, 942100 in [rule.id for rule in trial.rules]) == (True, 403, True)
    assert (await visit(running, ATTACK)).status_code == 200
    assert (await visit(running)).status_code == 200


async def test_a_connection_from_before_a_save_is_judged_by_the_new_policy(running: Installation, origin: int) -> None:
    """Its last answer is an old worker's, which keeps what it asks the agent for."""

    async def save(threshold: int, **others: object) -> None:
        fields = {**policies.DEFAULT.model_dump(), "enforcement_mode": "block", **others}
        fields["inbound_anomaly_threshold"] = threshold
        await policies.update(running.changes, SaveRequest("ada"), 1, PolicyFields.model_validate(fields))

    async def last_answer(visitor: httpx2.AsyncClient) -> tuple[int, str]:
        answer = await visitor.get(running.proxy + ATTACK, headers={"host": "shop.example"})
        return answer.status_code, answer.headers.get("connection", "")

    async def one_old_worker_is_left() -> bool:
        return len((await running.engines.cli.processes()).old_workers) == 1

    await virtual_hosts.create(running.changes, SaveRequest("ada"), a_virtual_host(origin))
    await save(1000)
    async with httpx2.AsyncClient(limits=OPEN) as first, httpx2.AsyncClient(limits=OPEN) as second:
        assert await last_answer(first) == (200, "")
        await save(5)
        assert await last_answer(first) == (403, "")  # No reload, so it stays open.
        await running.engines.reload_again()
        await save(1000)
        assert await last_answer(first) == (200, "close")

        assert await last_answer(second) == (200, "")
        await save(5)
        # Skipped paths stand in a map of their own: its worker keeps the policy that it has, which no other one knows by then.
        await save(1000, skip_paths=["/assets/"])
        await until(one_old_worker_is_left, "only the worker of the second connection is left")
        await running.engines.drop_unused()
        assert await last_answer(second) == (403, "close")

    assert (await visit(running, ATTACK)).status_code == 200


async def test_a_request_in_progress_is_judged_by_the_policy_that_it_came_under(
    running: Installation, origin: int
) -> None:
    """A policy is swapped without a reload, and the agent keeps the one before for those who still ask for it."""
    blocking = {**policies.DEFAULT.model_dump(), "enforcement_mode": "block"}
    policy = PolicyFields.model_validate(blocking)
    lenient = PolicyFields.model_validate({**blocking, "inbound_anomaly_threshold": 1000})
    await virtual_hosts.create(running.changes, SaveRequest("ada"), a_virtual_host(origin))
    await policies.update(running.changes, SaveRequest("ada"), 1, policy)
    (before,) = running.changes.renderer._live[1]  # type: ignore[index]
    body = b"id=1%27%20UNION%20SELECT%20password%20FROM%20users--"
    async with connected(running) as (reader, writer):
        writer.write(
            b"POST / HTTP/1.1\r\nhost: shop.example\r\nuser-agent: a\r\naccept: */*\r\nconnection: close\r\n"
            b"content-type: application/x-www-form-urlencoded\r\ncontent-length: %d\r\n\r\n" % len(body)
        )
        await until(lambda: is_asked(running), "the request to be in progress")

        saved = await policies.update(running.changes, SaveRequest("ada"), 1, lenient)
        assert "reload" not in {step.name for step in saved.steps}
        for _ in range(2):
            kept = await running.engines.drop_unused()
            # Retention keeps the release with what is still asked for.
            assert await running_checksum(running) in (kept or ())
        assert before in {application.name for application in (await running.engines.agent.status()).applications}
        writer.write(body)

        assert (await reader.read()).startswith(b"HTTP/1.1 403 ")
    assert (await visit(running, ATTACK)).status_code == 200

    async def it_is_dropped() -> bool:
        return before not in {app.name for app in (await running.engines.agent.status()).applications}

    await until(it_is_dropped, "the policy before to be dropped")
    assert await running_checksum(running) not in (await running.engines.drop_unused() or ())


@asynccontextmanager
async def connected(running: Installation) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that is closed also when the test fails: a loop with an open one cannot be closed, which fails all that follow."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(running.proxy.rpartition(":")[2]))
    try:
        yield reader, writer
    finally:
        writer.close()


async def running_checksum(running: Installation) -> str:
    return (await running.engines.cli.info())["description"].removeprefix("guardpanel ")


async def is_asked(running: Installation) -> bool:
    """Whether a visitor's request is in progress."""
    return bool(await running.engines.cli.ages_of_requests())


@pytest.mark.one_haproxy
async def test_a_trial_in_detect_only_says_what_block_would_have_done(running: Installation, origin: int) -> None:
    host = (await virtual_hosts.create(running.changes, SaveRequest("ada"), a_virtual_host(origin))).value
    async with running.changes.database.read() as session:
        policy = await policies.find(session, 1)

    clean = await trials.send(running.changes, host, policy, trials.Kind.CLEAN)
    attack = await trials.send(running.changes, host, policy, trials.Kind.ATTACK)

    assert (clean.ok, clean.title, clean.score, clean.rules) == (True, "Clean request passed", 0, ())
    assert (attack.ok, attack.title, attack.status) == (True, "Test attack detected, not blocked", 200)
    assert attack.score is not None
    assert attack.score >= 5
    assert "Block would stop it" in attack.outcome


@pytest.mark.one_haproxy
async def test_a_trial_is_not_counted_as_an_attack(running: Installation, origin: int) -> None:
    host = (await virtual_hosts.create(running.changes, SaveRequest("ada"), a_virtual_host(origin))).value
    block = PolicyFields.model_validate({**policies.DEFAULT.model_dump(), "enforcement_mode": "block"})
    policy = (await policies.update(running.changes, SaveRequest("ada"), 1, block)).value

    async def blocked() -> int:
        return sum(application.blocked for application in (await running.engines.agent.status()).applications)

    before = await blocked()
    await trials.send(running.changes, host, policy, trials.Kind.ATTACK)
    assert await blocked() == before
    await visit(running, ATTACK)
    assert await blocked() == before + 1


async def test_a_server_given_by_a_name_that_resolves_is_saved_and_reached(running: Installation, origin: int) -> None:
    named = a_virtual_host(origin, servers=[{"address": f"http://localhost:{origin}"}])

    await virtual_hosts.create(running.changes, SaveRequest("ada"), named)

    assert (await visit(running)).status_code == 200


async def test_a_name_without_an_address_is_refused_in_the_resolvers_words(running: Installation, origin: int) -> None:
    saved = await virtual_hosts.create(running.changes, SaveRequest("ada"), a_virtual_host(origin))
    before, revision = released(running), (await running.engines.status()).haproxy.checksum
    named = a_virtual_host(origin, servers=[{"address": f"127.0.0.1:{origin}"}, {"address": "nowhere.invalid:80"}])

    with pytest.raises(ConfigRejected) as refused:
        await virtual_hosts.update(running.changes, SaveRequest("ada"), saved.value.id or 0, named)

    error = refused.value.errors["servers.1.address"]
    assert "nowhere.invalid does not resolve" in error.message
    assert "could not resolve address 'nowhere.invalid'" in (error.engine or "")
    assert released(running) == before
    assert (await running.engines.status()).haproxy.checksum == revision
    assert (await attempts(running))[-1].outcome is Outcome.REJECTED
    async with running.changes.database.read() as session:
        assert len((await virtual_hosts.find(session, saved.value.id or 0)).servers) == 1


async def test_a_name_that_resolves_later_is_accepted(running: Installation) -> None:
    named = a_virtual_host(1, servers=[{"address": "nowhere.invalid:80", "resolve_later": True}])

    saved = await virtual_hosts.create(running.changes, SaveRequest("ada"), named)

    assert saved.is_new
    assert (await visit(running)).status_code == 503


@pytest.mark.one_haproxy
async def test_a_refusal_by_coraza_is_shown_at_the_policys_field(
    running: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The typed fields cannot cause one, so the fault is planted in the rendering."""
    rendered = templates.template

    class Broken:
        def render(self, **state: object) -> str:
            text = str(rendered("coraza/application.conf.j2").render(**state))
            return text.replace("setvar:tx.inbound_anomaly_score_threshold=77", "nonsense:1")

    monkeypatch.setattr(coraza, "template", lambda _name: Broken())
    planted = PolicyFields.model_validate({**policies.DEFAULT.model_dump(), "inbound_anomaly_threshold": 77})
    before = released(running)

    with pytest.raises(ConfigRejected) as refused:
        await policies.update(running.changes, SaveRequest("ada"), 1, planted)

    assert refused.value.engine == "Coraza"
    error = refused.value.errors["inbound_anomaly_threshold"]
    assert "nonsense" in (error.engine or "")
    assert "line" in (error.where or "")
    assert released(running) == before


async def test_a_refusal_by_haproxy_is_shown_at_its_field(
    running: Installation, origin: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A balance algorithm that HAProxy does not know, planted behind the typed field."""
    rendered = backends.backend

    def odd(*state: Any) -> Any:
        made = rendered(*state)
        return made._replace(text=made.text.replace("balance roundrobin", "balance nosuch"))

    monkeypatch.setattr(configuration, "backend", odd)
    monkeypatch.setattr(rendering, "CONFIGURATIONS", configuration.Configurations())  # Those of others know no fault.

    with pytest.raises(ConfigRejected) as refused:
        await virtual_hosts.create(running.changes, SaveRequest("ada"), a_virtual_host(origin))

    assert refused.value.engine == "HAProxy"
    assert "balance only supports" in (refused.value.errors["balance"].engine or "")
    assert (refused.value.errors["balance"].where or "").startswith("haproxy.cfg line ")


async def test_what_cannot_be_proved_live_is_rolled_back_with_its_rows(
    running: Installation, origin: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = await virtual_hosts.create(running.changes, SaveRequest("ada"), a_virtual_host(origin, notes="first"))
    await virtual_hosts.update(
        running.changes, SaveRequest("ada"), saved.value.id or 0, a_virtual_host(origin, notes="second")
    )
    verifier = running.engines.verifier
    prove = verifier.prove

    async def other_checksum(bundle: Bundle, changed: object, **_: object) -> None:
        wrong = bundle.checksum != previous
        await prove(Bundle(bundle.files, "f" * 64, (), {}) if wrong else bundle, ())

    previous = (await running.engines.status()).haproxy.checksum
    monkeypatch.setattr(verifier, "prove", other_checksum)

    with pytest.raises(RolledBack) as undone:
        await virtual_hosts.update(
            running.changes,
            SaveRequest("ada"),
            saved.value.id or 0,
            a_virtual_host(origin, hostnames=["other.example"]),
        )

    assert f"Revision {saved.revision} is live again" in undone.value.message
    assert (await visit(running)).status_code == 200
    assert (await visit(running, host="other.example")).status_code == 421
    async with running.changes.database.read() as session:
        host = await virtual_hosts.find(session, saved.value.id or 0)
        assert ([row.name for row in host.hostnames], host.notes) == (["shop.example"], "second")
    assert [attempt.outcome for attempt in await attempts(running)][-1] is Outcome.ROLLED_BACK


async def test_a_stray_haproxy_on_the_same_port_is_noticed(
    fresh: Installation, origin: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "DEADLINE", 2.0)
    folder = fresh.settings.data_dir / "stray"
    folder.mkdir()
    config = folder / "haproxy.cfg"
    config.write_text(
        "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n"
        f"frontend f\n bind {fresh.settings.http_bind}\n http-request return status 200\n"
    )
    command = [fresh.settings.haproxy_bin, "-f", str(config), "-db"]
    stray = await asyncio.create_subprocess_exec(*command, stderr=subprocess.DEVNULL)
    try:
        await until(lambda: is_shared(fresh.settings.http_binds[0][1]), "the stray HAProxy to listen")

        with pytest.raises(RollbackFailed) as failure:
            await virtual_hosts.create(fresh.changes, SaveRequest("ada"), a_virtual_host(origin))

        assert "Another HAProxy may also be listening there" in str(failure.value)
    finally:
        stray.terminate()
        await stray.wait()


@pytest.mark.one_haproxy
async def test_refused_input_changes_nothing(running: Installation, origin: int) -> None:
    saved = await virtual_hosts.create(running.changes, SaveRequest("ada"), a_virtual_host(origin))
    before = released(running)
    own_port = running.settings.http_binds[0][1]

    with pytest.raises(Conflict) as taken:
        await virtual_hosts.create(
            running.changes, SaveRequest("ada"), a_virtual_host(origin, hostnames=["SHOP.example."])
        )
    with pytest.raises(Invalid) as looped:
        await virtual_hosts.create(
            running.changes, SaveRequest("ada"), a_virtual_host(own_port, hostnames=["loop.example"])
        )
    with pytest.raises(Stale):
        await virtual_hosts.update(
            running.changes, SaveRequest("ada"), saved.value.id or 0, a_virtual_host(origin), version=99
        )
    with pytest.raises(Conflict) as used:
        await policies.delete(running.changes, SaveRequest("ada"), 1)

    assert "A virtual host for shop.example already exists." in taken.value.errors["hostnames"].message
    assert "would create a loop" in looped.value.errors["servers.0.address"].message
    assert "shop.example" in used.value.message
    assert released(running) == before


@pytest.mark.one_haproxy
async def test_a_second_process_is_refused_while_one_saves(running: Installation, origin: int) -> None:
    async with running.changes.turn():
        other = type(running.changes)(
            running.changes.database,
            running.engines,
            running.changes.renderer.facts,
            running.settings.data_dir / "lock",
            running.changes.seal,
        )

        with pytest.raises(Busy):
            await virtual_hosts.create(other, SaveRequest("vera"), a_virtual_host(origin))


async def test_saves_at_once_all_become_live(running: Installation, origin: int) -> None:
    names = [f"h{at}.example" for at in range(5)]

    await asyncio.gather(
        *(
            virtual_hosts.create(running.changes, SaveRequest("ada"), a_virtual_host(origin, hostnames=[name]))
            for name in names
        )
    )

    assert [(await visit(running, host=name)).status_code for name in names] == [200] * 5


@pytest.mark.one_haproxy
async def test_the_same_key_twice_is_one_save(running: Installation, origin: int) -> None:
    first, second = await asyncio.gather(
        *(virtual_hosts.create(running.changes, SaveRequest("ada", "k1"), a_virtual_host(origin)) for _ in range(2))
    )

    assert (first.revision, first.value.id) == (second.revision, second.value.id)


@pytest.mark.one_haproxy
async def test_a_save_continues_when_the_browser_disconnects(running: Installation, origin: int) -> None:
    task = asyncio.create_task(virtual_hosts.create(running.changes, SaveRequest("ada"), a_virtual_host(origin)))
    async with asyncio.timeout(60):
        while not running.changes.is_saving:  # One that has not begun ends with its request.
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with running.changes.turn():
        pass
    assert (await visit(running)).status_code == 200


async def test_old_applications_are_dropped_once_no_worker_needs_them(running: Installation) -> None:
    for threshold in (6, 7, 8):
        fields = PolicyFields.model_validate({**policies.DEFAULT.model_dump(), "inbound_anomaly_threshold": threshold})
        await policies.update(running.changes, SaveRequest("ada"), 1, fields)

    async def one_is_left() -> bool:
        return len((await running.engines.agent.status()).applications) == 1

    await until(one_is_left, "the old applications to be dropped")


async def test_a_killed_engine_is_started_again_with_what_is_live(fresh: Installation, origin: int) -> None:
    await virtual_hosts.create(fresh.changes, SaveRequest("ada"), a_virtual_host(origin))
    checksum = (await fresh.engines.status()).haproxy.checksum
    fresh.supervisor.ingest.may_start = lambda: True

    for child in fresh.supervisor.children:

        async def it_runs(child: Child = child) -> bool:
            return child.state == "running"

        await until(it_runs, child.name)
        pid = child.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

        async def another_runs(child: Child = child, pid: int = pid) -> bool:
            return child.pid not in {None, pid} and child.state == "running"

        await until(another_runs, f"another {child.name}")

    async def it_serves() -> bool:
        with suppress(httpx2.TransportError):
            return (await visit(fresh)).status_code == 200 and (await fresh.engines.agent.status()).running
        return False

    async def it_runs_what_is_live() -> bool:
        return (await haproxy_status(fresh.engines.cli)).checksum == checksum

    await until(it_serves, "the engines to serve again")
    await until(it_runs_what_is_live, "HAProxy to run what is live")  # the old worker may have served until now
    assert [state.restarts for state in fresh.supervisor.states()] == [1, 1, 1]


@pytest.mark.one_haproxy
async def test_the_default_policy_is_made_once(running: Installation) -> None:
    async with running.changes.database.read() as session:
        made = (await session.exec(select(Policy))).all()

    assert [(policy.name, policy.enforcement_mode.value) for policy in made] == [("Default", "detect_only")]
