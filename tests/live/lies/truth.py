"""How a save is struck, and what is so afterwards."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from sqlmodel import select

from guardpanel.engines import http
from guardpanel.errors import EngineUnavailable, Problem, RollbackFailed, RolledBack
from guardpanel.models import Deployment, VirtualHost
from guardpanel.models.revision import Outcome
from guardpanel.services import virtual_hosts
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import SaveRequest, SaveResult
from guardpanel.services.truth import live_line
from tests.haproxies import VERSIONS, haproxy_binary
from tests.live.saves import Installation, a_virtual_host

ADA = SaveRequest("ada")
TRIES = 12
"New connections that say what is live: one HAProxy of two on a port is missed once in 2^12, and each test asks several times."

LOADED_BY_A_WORKER = {haproxy_binary(version) for version in VERSIONS if version not in {"2.6", "2.8", "3.0"}}
"Binaries from 3.1 on: the new worker reads the configuration, and their master ends without its file."

names = (f"h{number}.example" for number in count(1))


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


def in_staged(
    monkeypatch: pytest.MonkeyPatch, running: Installation, plant: Callable[[Path], None]
) -> AbstractContextManager[list[int]]:
    return once(monkeypatch, running.engines.releases, "stage", lambda release, *_: plant(release.path))


def in_published(
    monkeypatch: pytest.MonkeyPatch, running: Installation, plant: Callable[[Path], None]
) -> AbstractContextManager[list[int]]:
    return once(monkeypatch, running.engines.releases, "publish", lambda _, release: plant(release.path))


# What is so


@dataclass
class Visits:
    """What one visitor after the other met: (status, revision's checksum, body)."""

    met: Counter[tuple[int, str, bytes]] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    resets: int = 0
    "One visitor at a time waits at a listener: each that an old worker kept excuses one."


async def visit(running: Installation, host: str = "shop.example") -> tuple[int, str, bytes]:
    """One request on a connection of its own; the answer says which revision decided it."""
    secret = running.changes.renderer.facts.secret
    answer = await http.ask(
        running.settings.http_binds[0],
        "GET",
        "/x",
        headers={"host": host, "user-agent": "Mozilla/5.0", "accept": "*/*", "x-gp-test": secret},
        timeout=60,
    )
    body = answer.body if answer.status == 200 else b""
    return answer.status, answer.headers.get("x-gp-checksum", ""), body


async def met(running: Installation, host: str = "shop.example") -> Counter[tuple[int, str, bytes]]:
    return Counter(await asyncio.gather(*(visit(running, host) for _ in range(TRIES))))


@asynccontextmanager
async def visitors(running: Installation) -> AsyncIterator[Visits]:
    """They come one after the other until the block ends."""
    visits = Visits()

    async def come() -> None:
        while True:
            try:
                visits.met[await visit(running)] += 1
            except EngineUnavailable as error:
                visits.resets += isinstance(error.__cause__, ConnectionResetError)
                if not isinstance(error.__cause__, ConnectionResetError) or visits.resets > kept_its_listeners(running):
                    visits.lost.append(error.message)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(come())
    try:
        yield visits
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def kept_its_listeners(running: Installation) -> int:
    """How often an old worker did. HAProxy gives an old worker one second to hand its listeners over (sock.c, sock_get_old_sockets). A machine on which
    that one has no processor for so long gets new listeners beside them, and what waited at the old ones is reset by the
    kernel: nothing that a save decides (docs/reliability.md)."""
    log = running.settings.log_dir / "haproxy.log"
    return log.read_text(errors="replace").count("Failed to get the sockets from the old process")


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


async def add(running: Installation, origin: int, name: str) -> SaveResult[VirtualHost]:
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


async def outcome_of(save: Awaitable[SaveResult[VirtualHost]]) -> SaveResult[VirtualHost] | Problem:
    try:
        return await save
    except Problem as problem:
        return problem


async def is_true(
    running: Installation, outcome: SaveResult[VirtualHost] | Problem, before: str, rows: list[str], name: str
) -> None:
    """What the operator was told is what every new connection meets."""
    if isinstance(outcome, SaveResult):
        now = await live_checksum(running)
        assert now != before
        assert await met(running, name) == {(200, now, b"hello from /x"): TRIES}
        assert (await last(running)).outcome is Outcome.LIVE
    elif isinstance(outcome, RolledBack):
        await is_as_it_was(running, before, rows, name)
        assert (await last(running)).outcome is Outcome.ROLLED_BACK
    else:
        assert isinstance(outcome, RollbackFailed), repr(outcome)
        assert (await last(running)).outcome is Outcome.FAILED
        assert await hosts(running) == rows
        async with running.changes.database.read() as session:
            assert (await live_line.live_line(running.changes, session)).state != "ok"
