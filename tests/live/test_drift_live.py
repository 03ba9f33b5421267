"""What somebody changes by hand is noticed, named, not overwritten unasked, and put back when asked."""

import asyncio
import re
import socket
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from guardpanel.api.problems import detail
from guardpanel.engines import Place
from guardpanel.engines.processes.process import clean_environment
from guardpanel.errors import ConfigRejected, Drifted
from guardpanel.services import policies, virtual_hosts
from guardpanel.services.backups.backups import Backups
from guardpanel.services.retention import Retention
from guardpanel.services.saving.changes import SaveRequest
from tests.live.origins import certificate
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.panel import origin_server

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada")

names = (f"h{number}.example" for number in count(1))


@pytest.fixture(scope="module")
def origin() -> Iterator[int]:
    with origin_server() as port:
        yield port


@pytest.fixture(scope="module")
async def made(haproxy: str, origin: int) -> AsyncIterator[Installation]:
    async with installation_of(haproxy) as made:
        await virtual_hosts.create(made.changes, ADA, a_virtual_host(origin))
        yield made


@pytest.fixture
async def running(made: Installation) -> AsyncIterator[Installation]:
    """With one virtual host and those of the tests before, and nothing drifted. What a test leaves drifted is put back after it."""
    yield made
    await made.engines.close()  # what tidies up after the test, as it writes the agent's file, too
    made.engines.answers.forget()
    if drift := await made.look():
        await made.changes.put_back(ADA)
    assert drift == []


async def must_ask_and_come_back(running: Installation, origin: int) -> None:
    """A save asks first; putting the revision back mends it, and the next save goes through."""
    watch = running.changes.watch
    other = a_virtual_host(origin, hostnames=[next(names)])
    with pytest.raises(Drifted):
        await virtual_hosts.create(running.changes, ADA, other)
    assert watch.drift
    saved = await running.changes.put_back(ADA)
    assert saved is not None
    assert saved.is_new
    assert not watch.drift
    assert await running.look() == []
    await virtual_hosts.create(running.changes, ADA, other)
    assert await running.look() == []


@pytest.mark.one_haproxy
async def test_a_release_file_that_was_edited(running: Installation, origin: int) -> None:
    path = running.settings.data_dir / "current" / "haproxy.cfg"
    path.write_text(path.read_text().replace("retries 2", "retries 7"))

    [words] = await running.look()

    assert "haproxy.cfg" in words
    await Retention(running.changes, running.settings, Backups(running.settings)).tidy()  # It waits, without a fault.
    assert running.changes.watch.drift[0].lines == ("-    retries 2", "+    retries 7")
    await must_ask_and_come_back(running, origin)
    assert "retries 2" in path.read_text()


@pytest.mark.one_haproxy
async def test_a_map_that_was_edited_on_disk(running: Installation, origin: int) -> None:
    path = running.settings.data_dir / "current" / "hosts.map"
    path.write_text("evil.example 1\n")

    drift = await running.look()

    assert any("hosts.map of release" in words for words in drift)
    await must_ask_and_come_back(running, origin)


async def test_a_map_that_was_changed_over_the_runtime_api(running: Installation, origin: int) -> None:
    await running.engines.cli._ask("@1 set map hosts.map shop.example 99")

    [words] = await running.look()

    assert "hosts.map" in words
    assert running.changes.watch.drift[0].lines == ("-shop.example 1", "+shop.example 99")
    await must_ask_and_come_back(running, origin)


@pytest.mark.one_haproxy
async def test_another_configuration_for_the_agent(running: Installation, origin: int) -> None:
    agent = running.engines.agent
    agent.configuration.write_text(agent.configuration.read_text().replace("name: p", "name: q"))
    await agent.reload()

    drift = await running.look()

    assert drift == ["The agent’s configuration was changed outside guardpanel."]
    await must_ask_and_come_back(running, origin)


async def test_haproxy_reloaded_by_hand_with_an_older_release(running: Installation, origin: int) -> None:
    data = running.settings.data_dir
    (data / "new").symlink_to("releases/1")
    (data / "new").rename(data / "current")
    await running.engines.reloader.reload("anything")

    drift = await running.look()

    assert any("current release is 1" in words for words in drift)
    assert any("HAProxy’s newest worker runs" in words for words in drift)
    await must_ask_and_come_back(running, origin)


@pytest.mark.one_haproxy
async def test_rows_that_were_changed_past_us(running: Installation, origin: int) -> None:
    with sqlite3.connect(running.settings.data_dir / "guardpanel.db") as database:
        database.execute("UPDATE server SET address = '10.9.9.9:80' WHERE id = 1")
    database.close()

    [words] = await running.look()

    assert words == "Virtual host shop.example was changed in the database outside guardpanel."
    assert running.changes.watch.drift[0].lines[1] == "+Servers: http://10.9.9.9:80"
    await must_ask_and_come_back(running, origin)


async def test_a_server_that_was_put_into_maintenance_by_hand(running: Installation, origin: int) -> None:
    await running.engines.cli._ask("@1 set server be_1/s1 state maint")
    running.engines.answers.forget()

    [words] = await running.look()

    assert words == f"127.0.0.1:{origin} of shop.example was set to MAINT through HAProxy’s Runtime API."
    running.engines.answers.forget()
    saved = await running.changes.put_back(ADA)
    assert saved is not None
    assert await running.look() == []


@pytest.mark.parametrize("same_file", [True, False])
async def test_a_second_haproxy_on_the_same_port(
    running: Installation, origin: int, haproxy: str, same_file: bool
) -> None:
    data = running.settings.data_dir
    file = data / "current" / "haproxy.cfg"
    if not same_file:
        host, port = running.settings.http_binds[0]
        file = data / "second.cfg"
        file.write_text(
            f"defaults\n mode http\n timeout client 1s\nfrontend f\n bind {host}:{port}\n http-request return status 200\n"
        )
    second = await asyncio.create_subprocess_exec(
        haproxy, "-db", "-f", file, cwd=data, env=clean_environment(), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        answers: list[str] = []
        async with asyncio.timeout(60):
            while not answers:
                answers = await running.look()
        assert any(f"process {second.pid} (haproxy" in words for words in answers)
        assert running.changes.watch.drift[0].place is Place.HAPROXY
        with pytest.raises(Drifted):
            await policies.update(running.changes, ADA, 1, policies.DEFAULT.model_copy(update={"description": "x"}))
    finally:
        second.terminate()
        await second.wait()
    async with asyncio.timeout(60):
        while await running.look():
            await asyncio.sleep(0.05)
    await virtual_hosts.create(running.changes, ADA, a_virtual_host(origin, hostnames=[next(names)]))


@pytest.mark.one_haproxy
async def test_a_confirmed_save_overwrites_drift(running: Installation, origin: int) -> None:
    path = running.settings.data_dir / "current" / "hosts.map"
    path.write_text("evil.example 1\n")
    await running.look()
    name = next(names)

    saved = await virtual_hosts.create(
        running.changes, SaveRequest("ada", over_drift=True), a_virtual_host(origin, hostnames=[name])
    )

    assert saved.is_new
    assert await running.look() == []
    text = path.read_text()
    assert "shop.example 1\n" in text
    assert f"{name} {saved.value.id}\n" in text
    assert "evil" not in text


@pytest.mark.one_haproxy
async def test_what_is_missing_is_put_back_at_once(running: Installation) -> None:
    running.engines.agent.configuration.unlink()
    assert await running.look() == []
    assert running.engines.agent.configuration.exists()

    (running.settings.data_dir / "current" / "manifest.json").unlink()
    assert await running.look() == []
    assert (running.settings.data_dir / "current" / "manifest.json").exists()


async def test_it_is_repaired_at_once_where_the_settings_say_so(
    running: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.reconciler, "repairs", True)
    await running.engines.cli._ask("@1 set map hosts.map shop.example 99")

    assert await running.look() == []
    assert "shop.example 1" in await running.engines.cli._ask("@1 show map hosts.map")


async def test_a_file_that_keeps_haproxy_from_starting_is_put_back(running: Installation) -> None:
    path = running.settings.data_dir / "current" / "haproxy.cfg"
    path.write_text("nonsense\n")
    await running.supervisor.haproxy.stop()  # its keeper starts it again, in vain

    async with asyncio.timeout(60):
        while await running.look() or not (await running.engines.status()).haproxy.running:
            await asyncio.sleep(0.05)

    assert "nonsense" not in path.read_text()


@pytest.mark.one_haproxy
async def test_a_redeployment_that_haproxy_rejects_says_why(running: Installation, origin: int, tmp_path: Path) -> None:
    """By what it reads beside the release: the machine's certificate authorities are broken."""
    authorities, renderer, name = tmp_path / "ca.pem", running.changes.renderer, next(names)
    authorities.write_text(certificate("app.lan").authority)
    facts, renderer.facts = renderer.facts, replace(renderer.facts, system_ca=str(authorities))
    encrypted = a_virtual_host(1, hostnames=[name], servers=[{"address": f"https://127.0.0.1:{origin}"}])
    host = (await virtual_hosts.create(running.changes, ADA, encrypted)).value
    authorities.write_text("none")

    with pytest.raises(ConfigRejected) as rejected:
        await running.changes.put_back(ADA)

    assert re.search(r"HAProxy: “.*ca\.pem.*” \(haproxy\.cfg line [0-9]+\)", detail(rejected.value)), detail(
        rejected.value
    )
    assert await running.look() == []
    renderer.facts = facts
    await virtual_hosts.delete(running.changes, ADA, host.id or 0, host.version)
    assert await running.look() == []


@pytest.mark.one_haproxy
async def test_pruned_releases_are_not_reported_as_drift(running: Installation, origin: int) -> None:
    settings = running.settings.model_copy(update={"keep_releases": 2})
    retention = Retention(running.changes, settings, Backups(settings))
    agent = running.engines.agent
    with closing(socket.create_connection(running.settings.http_binds[0], 60)) as visitor:
        visitor.sendall(b"POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 9\r\n\r\n")
        used = {application.name for application in (await agent.status()).applications}

        for threshold in range(10, 14):
            fields = policies.DEFAULT.model_copy(update={"inbound_anomaly_threshold": threshold})
            await policies.update(running.changes, ADA, 1, fields)
        await retention.tidy()

        assert await running.look() == []
        kept = {application.name for application in (await agent.status()).applications}
        assert used < kept, "the application of a request in progress stays"
    await virtual_hosts.create(running.changes, ADA, a_virtual_host(origin, hostnames=[next(names)]))
