"""The ways in which a reload lies: whatever is planted in a save, the panel says what is so.

Each fault strikes a real save: in the staged files before the engines check them, or in the published files before HAProxy
reads them, where no check can see it. Visitors come all the time. What the operator is told must be what new
connections meet, the rows must be as before, and the next good save must work.
"""

import asyncio
import os
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from sqlmodel import select

from guardpanel.engines import deployer, http, process, verify
from guardpanel.errors import ConfigRejected, EngineUnavailable, Problem, RollbackFailed, RolledBack
from guardpanel.models import Deployment, VirtualHost
from guardpanel.models.revision import Outcome
from guardpanel.services import revisions, status, virtual_hosts
from guardpanel.services.changes import Asked, Saved
from tests.haproxies import VERSIONS, haproxy_binary
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.panel import free_port, origin_server

pytestmark = pytest.mark.anyio

ADA = Asked("ada")
TRIES = 24
"New connections that say what is live: one HAProxy of two on a port is missed once in 2^24."

BUSY = free_port()
"Somebody else's, who does not share it."

names = (f"h{number}.example" for number in count(1))


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def origin() -> Iterator[int]:
    with origin_server() as port:
        yield port


@pytest.fixture(scope="module", autouse=True)
def somebody_else() -> Iterator[None]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", BUSY))
        listener.listen()
        yield


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be proved here never can: less patience changes the time that it takes, and nothing else."""
    monkeypatch.setattr(verify, "DEADLINE", 4.0)
    monkeypatch.setattr(deployer, "RELOAD_PATIENCE", 5.0)
    monkeypatch.setattr(deployer, "START_PATIENCE", 10.0)


@pytest.fixture(scope="module", params=VERSIONS)
async def running(request: pytest.FixtureRequest, origin: int) -> AsyncIterator[Installation]:
    async with installation_of(haproxy_binary(request.param)) as installation:
        await virtual_hosts.create(installation.changes, ADA, a_virtual_host(origin))
        yield installation


# What is planted


def edited(change: Callable[[str], str]) -> Callable[[Path], None]:
    """haproxy.cfg as another file: the release before may share its inode."""

    def plant(release: Path) -> None:
        path = release / "haproxy.cfg"
        text = change(path.read_text())
        path.unlink()
        path.write_text(text)

    return plant


def in_global(line: str) -> Callable[[Path], None]:
    return edited(lambda text: text.replace("\nglobal\n", f"\nglobal\n    {line}\n", 1))


def in_frontend(line: str) -> Callable[[Path], None]:
    return edited(lambda text: text.replace("\nfrontend visitors\n", f"\nfrontend visitors\n    {line}\n", 1))


def cut_before(words: str) -> Callable[[Path], None]:
    return edited(lambda text: text[: text.index(words)])


def fifo_map(release: Path) -> None:
    (release / "hosts.map").unlink()
    os.mkfifo(release / "hosts.map")


REFUSED = {
    "an unknown keyword": (in_global("nosuchkeyword 1"), "unknown keyword 'nosuchkeyword'"),
    "a missing map": (lambda release: (release / "hosts.map").unlink(), "hosts.map"),
    "an unknown user": (in_global("user nosuchuser"), "cannot find user id for 'nosuchuser'"),
    "a missing file": (lambda release: (release / "haproxy.cfg").unlink(), "haproxy.cfg"),
    "cut inside a directive": (edited(lambda text: text[: text.index("use_backend") + 5]), ""),
    "no final line feed": (edited(lambda text: text.rstrip("\n")), "Missing LF on last line"),
    "an empty file": (edited(lambda _text: ""), ""),
    "a FIFO in place of a map": (fifo_map, "no answer within"),
}
"""What `haproxy -c` sees, and its words."""

UNSEEN = {
    "cut at a line boundary": cut_before("    # What it is bound to (vhosts.map)"),
    "cut before its last section": cut_before("\n# The last section"),
    "a port that is busy": in_frontend(f"bind 127.0.0.1:{BUSY}"),
    "an address that is not ours": in_frontend("bind 192.0.2.1:8080"),
    "an absurd ulimit-n": in_global("ulimit-n 2000000000"),
    "an absurd maxconn": in_global("maxconn 1000000000"),
    "a missing chroot": in_global("chroot /nonexistent"),
}
"""What only the start of a worker meets."""

OUTAGE = {
    "an empty file",
    "cut at a line boundary",
    "a port that is busy",
    "an address that is not ours",
    "a missing chroot",
}
"""Where HAProxy itself answers nobody for a while, whoever reloads it: it pauses its listeners while a new worker cannot bind."""


@contextmanager
def once(monkeypatch: pytest.MonkeyPatch, thing: object, name: str, strike: Callable[..., None]) -> Iterator[list[int]]:
    """`strike` after the next call of this method, with what it was called with."""
    method = getattr(thing, name)
    struck: list[int] = []

    def call(*arguments: object, **named: object) -> object:
        result = method(*arguments, **named)
        if not struck:
            struck.append(1)
            strike(result, *arguments)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(thing, name, call)
        yield struck


def in_staged(monkeypatch: pytest.MonkeyPatch, running: Installation, plant: Callable[[Path], None]):
    return once(monkeypatch, running.changes.engines.releases, "stage", lambda release, *_: plant(release.path))


def in_published(monkeypatch: pytest.MonkeyPatch, running: Installation, plant: Callable[[Path], None]):
    return once(monkeypatch, running.changes.engines.releases, "publish", lambda _, release: plant(release.path))


# What is so


@dataclass
class Visits:
    """What one visitor after the other met: (status, revision's checksum, body)."""

    met: Counter[tuple[int, str, bytes]] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)


async def visit(running: Installation, host: str = "shop.example") -> tuple[int, str, bytes]:
    """One request on a connection of its own; the answer says which revision decided it."""
    secret = running.changes.renderer.facts.secret
    answer = await http.ask(
        running.settings.http_binds[0],
        "GET",
        "/x",
        headers={"host": host, "user-agent": "Mozilla/5.0", "accept": "*/*", "x-gp-test": secret},
        timeout=20,
    )
    body = answer.body if answer.status == 200 else b""
    return answer.status, answer.headers.get("x-gp-checksum", ""), body


async def met(running: Installation, host: str = "shop.example") -> Counter[tuple[int, str, bytes]]:
    return Counter(await asyncio.gather(*(visit(running, host) for _ in range(TRIES))))


@asynccontextmanager
async def visitors(running: Installation) -> AsyncIterator[Visits]:
    """They come one after the other until the block ends."""
    seen = Visits()

    async def come() -> None:
        while True:
            try:
                seen.met[await visit(running)] += 1
            except EngineUnavailable as error:
                seen.lost.append(error.message)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(come())
    try:
        yield seen
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def live_checksum(running: Installation) -> str:
    async with running.changes.database.read() as session:
        live = await revisions.live(session)
    assert live is not None
    return live.checksum


async def hosts(running: Installation) -> list[str]:
    async with running.changes.database.read() as session:
        return sorted((await session.exec(select(VirtualHost.name))).all())


async def last(running: Installation) -> Deployment:
    async with running.changes.database.read() as session:
        attempt = await revisions.last_deployment(session)
    assert attempt is not None
    return attempt


async def until(true: Callable[[], Awaitable[bool]], what: str) -> None:
    ends = asyncio.get_running_loop().time() + 60
    while not await true():
        assert asyncio.get_running_loop().time() < ends, f"waited 60 s for {what}"
        await asyncio.sleep(0.05)


async def add(running: Installation, origin: int, name: str) -> Saved[VirtualHost]:
    return await virtual_hosts.create(running.changes, ADA, a_virtual_host(origin, hostnames=[name]))


async def is_as_it_was(running: Installation, before: str, rows: list[str], name: str) -> None:
    assert await hosts(running) == rows
    assert await live_checksum(running) == before
    assert await met(running) == {(200, before, b"hello from /x"): TRIES}
    assert await met(running, name) == {(421, before, b""): TRIES}


async def a_good_save_works(running: Installation, origin: int) -> None:
    name = next(names)
    await add(running, origin, name)
    now = await live_checksum(running)
    assert await met(running, name) == {(200, now, b"hello from /x"): TRIES}


# The promises


async def test_a_good_save_is_live_for_every_new_connection(running: Installation, origin: int) -> None:
    async with visitors(running) as seen:
        await a_good_save_works(running, origin)

    assert seen.lost == []
    assert {status for status, _, _ in seen.met} == {200}


@pytest.mark.parametrize("fault", REFUSED)
async def test_what_the_check_sees_is_refused_and_nothing_is_reloaded(
    running: Installation, origin: int, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    plant, words = REFUSED[fault]
    before, rows, name = await live_checksum(running), await hosts(running), next(names)
    workers = (await running.changes.engines.cli.processes()).workers

    if plant is fifo_map:
        monkeypatch.setattr(process, "LONGEST", 3.0)
    with in_staged(monkeypatch, running, plant) as struck, pytest.raises(ConfigRejected) as refused:
        await add(running, origin, name)

    assert struck
    assert words in refused.value.output
    assert (await last(running)).outcome is Outcome.REJECTED
    assert (await running.changes.engines.cli.processes()).workers == workers
    await is_as_it_was(running, before, rows, name)
    await a_good_save_works(running, origin)


@pytest.mark.parametrize("fault", [*(fault for fault in REFUSED if REFUSED[fault][0] is not fifo_map), *UNSEEN])
async def test_what_only_the_reload_meets_is_rolled_back(
    running: Installation, origin: int, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    plant = UNSEEN[fault] if fault in UNSEEN else REFUSED[fault][0]
    before, rows, name = await live_checksum(running), await hosts(running), next(names)

    async with visitors(running) as seen:
        with in_published(monkeypatch, running, plant) as struck, pytest.raises(RolledBack) as undone:
            await add(running, origin, name)

    assert struck
    assert "Nothing was saved: revision" in undone.value.message
    assert "is live again" in undone.value.message
    assert (await last(running)).outcome is Outcome.ROLLED_BACK
    await is_as_it_was(running, before, rows, name)
    if fault not in OUTAGE:
        assert (seen.lost, {status for status, _, _ in seen.met}) == ([], {200})
    await a_good_save_works(running, origin)


async def told(save: Awaitable[Saved[VirtualHost]]) -> Saved[VirtualHost] | Problem:
    try:
        return await save
    except Problem as problem:
        return problem


async def is_true(
    running: Installation, said: Saved[VirtualHost] | Problem, before: str, rows: list[str], name: str
) -> None:
    """What the operator was told is what every new connection meets."""
    if isinstance(said, Saved):
        now = await live_checksum(running)
        assert now != before
        assert await met(running, name) == {(200, now, b"hello from /x"): TRIES}
        assert (await last(running)).outcome is Outcome.LIVE
    elif isinstance(said, RolledBack):
        await is_as_it_was(running, before, rows, name)
        assert (await last(running)).outcome is Outcome.ROLLED_BACK
    else:
        assert isinstance(said, RollbackFailed), repr(said)
        assert (await last(running)).outcome is Outcome.FAILED
        assert await hosts(running) == rows
        async with running.changes.database.read() as session:
            assert (await status.live_line(running.changes, session)).state != "ok"


@pytest.fixture(params=VERSIONS)
async def fresh(request: pytest.FixtureRequest, origin: int) -> AsyncIterator[Installation]:
    """For faults that leave traces in the supervisor: a pause that grows, sockets that were taken."""
    async with installation_of(haproxy_binary(request.param)) as installation:
        await virtual_hosts.create(installation.changes, ADA, a_virtual_host(origin))
        yield installation


async def newest_worker(running: Installation) -> int:
    return (await running.changes.engines.cli.processes(patience=5)).workers[0]


async def master(running: Installation) -> int:
    return (await running.changes.engines.cli.processes(patience=5)).master


@pytest.mark.parametrize("victim", [newest_worker, master])
async def test_haproxy_killed_in_a_save_ends_in_what_was_said(
    fresh: Installation, origin: int, monkeypatch: pytest.MonkeyPatch, victim: Callable[[Installation], Awaitable[int]]
) -> None:
    before, rows, name = await live_checksum(fresh), await hosts(fresh), next(names)
    prove = fresh.changes.engines.verifier.prove
    killed: list[int] = []

    async def kill(*arguments: object) -> None:
        if not killed:
            killed.append(await victim(fresh))
            os.kill(killed[0], signal.SIGKILL)
        await prove(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(fresh.changes.engines.verifier, "prove", kill)
        said = await told(add(fresh, origin, name))

    assert killed
    await is_true(fresh, said, before, rows, name)
    await a_good_save_works(fresh, origin)


async def test_a_master_that_hangs_loses_no_request_and_mends_with_its_cause(
    fresh: Installation, origin: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A FIFO in place of a map. Nobody may signal such a master: it would take the old worker with it."""
    before, rows, name = await live_checksum(fresh), await hosts(fresh), next(names)
    pipe = fresh.settings.data_dir / "pipe"
    os.mkfifo(pipe)

    def hang(release: Path) -> None:
        (release / "hosts.map").unlink()
        (release / "hosts.map").symlink_to(pipe)

    async with visitors(fresh) as seen:
        with in_published(monkeypatch, fresh, hang) as struck:
            said = await told(add(fresh, origin, name))
        assert struck
        assert isinstance(said, RolledBack), repr(said)
        assert "HAProxy's master does not answer" in said.message
        await is_as_it_was(fresh, before, rows, name)
        assert (seen.lost, set(seen.met)) == ([], {(200, before, b"hello from /x")})

    async def answers() -> bool:
        with suppress(OSError):  # nobody reads it
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        with suppress(EngineUnavailable):
            return bool((await fresh.changes.engines.cli.processes()).workers)
        return False

    await until(answers, "the master to answer again")
    await until(lambda: no_drift(fresh), "what it then runs to be put back")
    await is_as_it_was(fresh, before, rows, name)
    await a_good_save_works(fresh, origin)


async def answers(running: Installation) -> bool:
    running.changes.engines._status.forget()
    return (await running.changes.engines.status()).haproxy.running


async def no_drift(running: Installation) -> bool:
    return await running.look() == []


@asynccontextmanager
async def second_master(running: Installation, socket_too: bool) -> AsyncIterator[None]:
    """Somebody starts HAProxy once more, by hand, on the files that are live."""
    arguments = ["-S", f"{running.settings.master_socket},mode,600"] if socket_too else []
    config = running.settings.data_dir / "current" / "haproxy.cfg"
    words = [running.settings.haproxy_bin, "-W", *arguments, "-f", str(config)]
    started = await asyncio.create_subprocess_exec(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await until(lambda: shared(running), "the second HAProxy to listen")
        yield
    finally:
        started.terminate()
        await started.wait()


async def shared(running: Installation) -> bool:
    """Two sockets listen on the port: /proc/net/tcp says 0A for those."""
    port = f"{running.settings.http_binds[0][1]:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return sum(line[1].endswith(f":{port}") and line[3] == "0A" for line in lines[1:]) > 1


@pytest.mark.parametrize("socket_too", [False, True], ids=["on the same port", "and on the same master socket"])
async def test_a_second_master_is_noticed(fresh: Installation, origin: int, socket_too: bool) -> None:
    before, rows, name = await live_checksum(fresh), await hosts(fresh), next(names)

    async with second_master(fresh, socket_too):
        said = await told(add(fresh, origin, name))

        assert not isinstance(said, Saved)
        await is_true(fresh, said, before, rows, name)


@pytest.mark.parametrize("socket_too", [False, True], ids=["on the same port", "and on the same master socket"])
async def test_a_second_master_that_is_gone_is_forgotten(fresh: Installation, origin: int, socket_too: bool) -> None:
    async with second_master(fresh, socket_too):
        pass

    await until(lambda: answers(fresh), "HAProxy's master to be reached again")
    await until(lambda: no_drift(fresh), "all to be as the live revision says")
    await a_good_save_works(fresh, origin)


async def test_a_map_that_is_altered_after_the_check_is_not_called_live(
    running: Installation, origin: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes nothing in haproxy.cfg, so that HAProxy itself answers as it should."""
    before, rows, name = await live_checksum(running), await hosts(running), next(names)

    def forget(release: Path) -> None:
        path = release / "hosts.map"
        text = path.read_text()
        path.unlink()
        path.write_text("".join(line for line in text.splitlines(keepends=True) if name not in line))

    with in_published(monkeypatch, running, forget) as struck, pytest.raises(RolledBack):
        await add(running, origin, name)

    assert struck
    await is_as_it_was(running, before, rows, name)
    await a_good_save_works(running, origin)
