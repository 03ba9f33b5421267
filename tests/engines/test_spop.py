"""The SPOP client against frames made by hand: only a verdict is a verdict."""

import asyncio
import contextlib
import random
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from guardpanel.engines.waf import spop
from guardpanel.engines.waf import spop_frames as frames
from guardpanel.engines.waf.spop_frames import Kind
from guardpanel.errors import EngineUnavailable

pytestmark = pytest.mark.anyio

HELLO = frames.written(
    Kind.AGENT_HELLO,
    0,
    0,
    frames.pairs(
        {"version": frames.string("2.0"), "max-frame-size": frames.unsigned(16380), "capabilities": frames.string("")}
    ),
)


def set_var(name: str, value: bytes) -> bytes:
    return b"\x01\x03\x02" + frames.text(name) + value


def ack(payload: bytes, number: int = 1) -> bytes:
    return frames.written(Kind.ACK, 1, number, payload)


SILENT = "no response in time"
VERDICT = ack(set_var("id", frames.string("x")) + set_var("anomaly_score", b"\x04\x05"))


@contextlib.asynccontextmanager
async def agent(folder: Path, *answers: bytes) -> AsyncIterator[Path]:
    """Answers each frame with the next of these bytes, and keeps silent after the last."""
    over = asyncio.Event()
    visits: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(asyncio.current_task())
        with contextlib.suppress(EOFError, OSError):
            for answer in answers:
                await reader.readexactly(struct.unpack(">I", await reader.readexactly(4))[0])
                writer.write(answer)
            await over.wait()
        writer.close()

    server = await asyncio.start_unix_server(serve, str(folder / "agent.sock"))
    try:
        yield folder / "agent.sock"
    finally:  # a test that fails ends, too
        over.set()
        await asyncio.gather(*(visit for visit in visits if visit))
        server.close()
        await server.wait_closed()


async def test_a_verdict_is_one(folder: Path) -> None:
    async with agent(folder, HELLO, VERDICT) as place:
        assert await spop.judges(place, "p123", 60)
        await spop.hello(place, 60)


async def test_silence_and_an_error_are_no_verdict(folder: Path) -> None:
    async with agent(folder, HELLO) as place:
        assert not await spop.judges(place, "p123", 0.05)
    (folder / "agent.sock").unlink()
    async with agent(folder, HELLO, ack(set_var("error", b"\x04\xf9\x2f"))) as place:
        assert not await spop.judges(place, "p123", 2)


async def test_an_answer_without_an_id_is_no_verdict(folder: Path) -> None:
    async with agent(folder, HELLO, ack(b"")) as place:
        assert not await spop.judges(place, "p123", 2)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (frames.written(Kind.ACK, 0, 0, b""), "frame 103"),
        (
            frames.written(Kind.AGENT_HELLO, 0, 0, frames.pairs({"version": frames.string("1.0")})),
            "unsupported SPOP version",
        ),
        (frames.written(Kind.AGENT_HELLO, 0, 0, b""), "unsupported SPOP version"),
        (frames.written(Kind.AGENT_DISCONNECT, 0, 0, frames.pairs({"message": frames.string("too big")})), "too big"),
        (struct.pack(">I", 16_385), "a frame of 16385 bytes"),
        (struct.pack(">I", 2) + b"ab", "a frame of 2 bytes"),
        (HELLO[:20], SILENT),
        (struct.pack(">I", len(HELLO) - 9) + HELLO[4:-5], "truncated frame"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "a frame of"),
    ],
)
async def test_what_is_no_hello_is_no_agent(folder: Path, answer: bytes, words: str) -> None:
    async with agent(folder, answer) as place:
        with pytest.raises(EngineUnavailable, match=words):
            await spop.hello(place, 0.2 if words == SILENT else 60)


@pytest.mark.parametrize(
    "answer",
    [
        ack(b"", number=2),
        HELLO,
        ack(b"\x01\x03\x02" + frames.text("id")),
        ack(b"\x01\x03\x02" + frames.text("id") + b"\x0f"),
        ack(b"\x07\x01"),
        ack(set_var("id", b"\x08\xff\xff\xff")),
        ack(set_var("id", b"\x04" + b"\xff" * 12)),
        struct.pack(">IBI", 8, Kind.ACK, 0) + b"\x01\x01\x00",
    ],
)
async def test_what_is_no_acknowledgement_is_a_fault(folder: Path, answer: bytes) -> None:
    async with agent(folder, HELLO, answer) as place:
        with pytest.raises(EngineUnavailable):
            await spop.judges(place, "p123", 2)


async def test_no_agent_and_an_agent_that_disconnects(folder: Path) -> None:
    with pytest.raises(EngineUnavailable, match="No such file"):
        await spop.hello(folder / "agent.sock", 60)

    server = await asyncio.start_unix_server(lambda _, writer: writer.close(), str(folder / "agent.sock"))
    with pytest.raises(EngineUnavailable, match=r"closed|reset|Broken pipe"):
        await spop.hello(folder / "agent.sock", 60)
    server.close()


@pytest.mark.parametrize("number", [0, 1, 239, 240, 241, 2287, 2288, 264_431, 264_432, 2**32, 2**63])
def test_numbers_come_back_as_they_were(number: int) -> None:
    assert frames.Reader(frames.varint(number)).varint() == number


def test_numbers_are_written_as_haproxy_writes_them() -> None:
    """By appendix A's examples: 240 is the first of two bytes, 2288 of three."""
    assert [frames.varint(number).hex() for number in (239, 240, 2287, 2288)] == ["ef", "f000", "ff7f", "f08000"]


def test_any_bytes_are_a_frame_or_a_value_error() -> None:
    chance = random.Random(1)
    for _ in range(2_000):
        data = chance.randbytes(40)
        with contextlib.suppress(ValueError):
            frames.variables_in(frames.read(data).payload)
        with contextlib.suppress(ValueError):
            frames.variables_in(b"\x01\x03\x02\x02id" + data)
