"""What a replay does with an agent that hangs, is busy, or is older: faults that the real one does not show on demand."""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from guardpanel.engines.waf import replaying
from guardpanel.engines.waf.replaying import Replays, RuleSetChoice, replay
from guardpanel.errors import EngineSilent, EngineUnavailable

pytestmark = pytest.mark.anyio

UNDER = [RuleSetChoice(application="p1")]
REQUEST = {"method": "GET", "uri": "/"}
VERDICT = {"verdict": "pass", "anomaly_score": 0, "threshold": 5, "rule_ids": []}

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class FakeAgent:
    """Answers `/v1/replay` as told, and its status while `responds`: so often."""

    def __init__(self, control: Path, answer: Answer) -> None:
        self.control, self.answer, self.responds, self.requests = control, answer, True, 0
        self.statuses = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with (
            contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError),
            contextlib.closing(writer),
        ):
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"POST /v1/replay"):
                self.requests += 1
                await self.answer(reader, writer)
            elif self.responds:
                self.statuses += 1
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            else:
                await reader.read()


@contextlib.asynccontextmanager
async def agent(answer: Answer) -> AsyncIterator[FakeAgent]:
    with tempfile.TemporaryDirectory(prefix="gp") as folder:
        fake = FakeAgent(Path(folder) / "c.sock", answer)
        server = await asyncio.start_unix_server(fake.connected, str(fake.control))
        try:
            yield fake
        finally:
            server.close()


def refuses(status: int, words: str) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = json.dumps({"error": words}).encode()
        writer.write(b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        await reader.read()  # as Go does: it waits for the rest of the request, and the connection stays open

    return answer


async def begin(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    await writer.drain()


async def verdict(writer: asyncio.StreamWriter) -> None:
    line = json.dumps({"verdicts": [VERDICT]}).encode() + b"\n"
    writer.write(b"%x\r\n%b\r\n" % (len(line), line))
    await writer.drain()


async def answers(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await begin(writer)
    await verdict(writer)
    writer.write(b"0\r\n\r\n")


async def hangs(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, number in (("LOOK", 0.02), ("LOOKS", 10_000), ("BETWEEN", 0.001)):
        monkeypatch.setattr(replaying, name, number)


async def test_an_agent_without_replay_is_said_to_be_older_without_waiting() -> None:
    async with agent(refuses(404, "not found")) as fake:
        with pytest.raises(EngineUnavailable, match="older than guardpanel"):
            await anext(replay(fake.control, UNDER, [REQUEST]))


async def test_an_agent_that_hangs_is_given_up_as_soon_as_it_gives_no_status_either(
    impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "RESPONDS", 0.02)
    async with agent(hangs) as fake:
        fake.responds = False
        with pytest.raises(EngineSilent):
            await anext(replay(fake.control, UNDER, [REQUEST]))


async def test_a_verdict_that_takes_long_is_waited_for_while_the_agent_responds(impatient: None) -> None:
    late = asyncio.Event()

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await begin(writer)
        await late.wait()
        await verdict(writer)
        writer.write(b"0\r\n\r\n")

    async with agent(slowly) as fake:
        first = asyncio.create_task(anext(replay(fake.control, UNDER, [REQUEST])))
        while fake.statuses < 3:
            await asyncio.sleep(0.001)
        late.set()
        assert (await first).verdicts[0].passes


async def test_an_agent_that_replays_for_others_is_asked_again(impatient: None) -> None:
    async def busy_at_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (refuses(429, "4 replays are already running") if fake.requests < 3 else answers)(reader, writer)

    async with agent(busy_at_first) as fake:
        given = [verdict async for verdict in Replays(fake.control).replay(UNDER, [REQUEST])]

    assert (len(given), fake.requests) == (1, 3)


async def test_a_fifth_replay_waits_for_its_turn_and_gets_it_when_another_is_closed() -> None:
    async def goes_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await begin(writer)
        await verdict(writer)
        closed.append(await reader.read() is not None)

    closed: list[bool] = []
    async with agent(goes_on) as fake:
        replays = Replays(fake.control)
        running = [replays.replay(UNDER, [REQUEST]) for _ in range(4)]
        for each in running:
            await anext(each)
        assert replays.must_wait
        fifth = replays.replay(UNDER, [REQUEST])
        waiting = asyncio.create_task(anext(fifth))
        await asyncio.sleep(0)
        assert (waiting.done(), fake.requests) == (False, 4)

        await running[0].aclose()
        assert (await waiting).verdicts[0].passes
        async with aclosing(fifth):
            assert fake.requests == 5
        for each in running[1:]:
            await each.aclose()
        assert not replays.must_wait
