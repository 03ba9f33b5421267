"""Many probes at once: each on a connection of its own, and what fails is not taken for an answer."""

import asyncio
import socket
from collections import Counter
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from guardpanel.engines import http
from guardpanel.engines.listeners import CHECKSUM, IN_A_ROW, NOT_OURS, Listeners
from guardpanel.errors import EngineSilent, EngineUnavailable

pytestmark = pytest.mark.anyio

OURS, STRAY = "a" * 64, "b" * 64


class Proxy:
    """Every so many connections end at a stray one. `sent`: what came on each."""

    def __init__(self, every: int = 0, answer: bytes | None = None) -> None:
        self.every, self.answer, self.numbers, self.sent = every, answer, count(1), list[bytes]()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(self.numbers)
        self.sent.append(await reader.readuntil(b"\r\n\r\n"))
        is_stray = self.every and number % self.every == 0
        answer = b"HTTP/1.1 200 OK\r\n%b: %b\r\n\r\n" % (CHECKSUM.encode(), (STRAY if is_stray else OURS).encode())
        writer.write(answer if self.answer is None else self.answer)
        writer.close()


@pytest.fixture(params=["unix", "tcp"])
def place(request: pytest.FixtureRequest, folder: Path) -> http.Place:
    return folder / "s" if request.param == "unix" else ("127.0.0.1", 0)


async def served(proxy: Proxy, place: http.Place) -> tuple[asyncio.Server, http.Place]:
    if isinstance(place, Path):
        return await asyncio.start_unix_server(proxy.take, place), place
    server = await asyncio.start_server(proxy.take, *place)
    return server, server.sockets[0].getsockname()


async def test_each_probe_has_a_connection_of_its_own_and_all_must_be_ours(place: http.Place) -> None:
    for every, wrong in ((0, 0), (8, 2), (1, 16)):
        server, there = await served(proxy := Proxy(every), place)
        flaw = await Listeners("secret", {there: False}).listener(there, OURS)
        server.close()
        assert len(proxy.sent) == IN_A_ROW
        assert Counter(b"x-gp-probe: secret" in sent for sent in proxy.sent) == {True: IN_A_ROW}
        assert (flaw or "").count(f"in {wrong} of 16 checks (") == bool(wrong)
        assert ("Another HAProxy" in (flaw or "")) is (every == 8)


async def test_probes_come_after_a_proxy_line_where_one_is_due(place: http.Place) -> None:
    server, there = await served(proxy := Proxy(), place)
    assert await Listeners("secret", {there: True}).listener(there, OURS) is None
    server.close()
    assert all(sent.startswith(http.PROXY_LINE + b"GET / HTTP/1.1\r\n") for sent in proxy.sent)


async def test_what_fails_is_in_the_place_of_its_answer(place: http.Place) -> None:
    for answer in (b"", b"nonsense\r\n\r\n"):
        server, there = await served(Proxy(answer=answer), place)
        outcomes = await http.ask_often(there, "/", headers={}, times=3, proxy_line=False, timeout=5)
        server.close()
        assert [type(outcome) for outcome in outcomes] == [EngineUnavailable] * 3
    outcomes = await http.ask_often(there, "/", headers={}, times=2, proxy_line=False, timeout=5)  # Nobody listens.
    assert [type(outcome) for outcome in outcomes] == [EngineUnavailable] * 2


async def test_all_probes_together_have_the_seconds_of_one(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(folder / "s"))
        silent.listen(64)
        outcomes = await http.ask_often(folder / "s", "/", headers={}, times=9, proxy_line=False, timeout=0.05)
    assert [type(outcome) for outcome in outcomes] == [EngineSilent] * 9


async def test_a_response_without_an_end_takes_no_longer_than_one_that_does_not_come(place: http.Place) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            for _ in range(512):
                writer.write(bytes(http.READ_AT_ONCE))
                await writer.drain()
        writer.close()

    proxy = Proxy()
    proxy.take = flood  # type: ignore[method-assign]
    server, there = await served(proxy, place)
    outcomes = await http.ask_often(there, "/", headers={}, times=2, proxy_line=False, timeout=0.005)
    server.close()
    assert [type(outcome) for outcome in outcomes] == [EngineSilent] * 2


async def test_a_listener_that_answers_without_the_checksum_is_not_ours(place: http.Place) -> None:
    server, there = await served(Proxy(answer=b"HTTP/1.1 400 Bad Request\r\n\r\n"), place)
    flaw = await Listeners("secret", {there: False}).listener(there, OURS, 3)
    server.close()
    assert flaw and f"in 3 of 3 checks (3 × {NOT_OURS[:12]}" in flaw
