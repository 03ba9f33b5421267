"""A minimal SPOP client: the panel asks an agent for a verdict as HAProxy does (HAProxy's doc/SPOE.txt, section 3). Each question
has its own connection: an agent that does not answer a message may not answer later ones either."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from guardpanel.engines.http import reason
from guardpanel.engines.waf import spop_frames as frames
from guardpanel.engines.waf.spop_frames import Frame, Kind
from guardpanel.errors import EngineUnavailable

HEADERS = "host: probe.guardpanel\r\nuser-agent: guardpanel\r\naccept: */*\r\n\r\n"

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def hello(place: Path, timeout: float) -> None:
    """Returns where an agent listens. Raises EngineUnavailable."""
    async with _greeted(place, timeout):
        pass


async def judges(place: Path, application: str, timeout: float) -> bool:
    """Whether the agent has a verdict on a clean request under this application. For an unknown one, coraza-spoa sends no answer
    and our agent an `error`: neither is a verdict. Raises EngineUnavailable if nothing speaks SPOP."""
    async with _greeted(place, timeout) as (reader, writer):
        writer.write(frames.written(Kind.NOTIFY, 1, 1, _clean_request(application)))
        try:
            async with asyncio.timeout(timeout):
                answer = await _read(reader)
        except TimeoutError:
            return False
        if (answer.kind, answer.stream, answer.number) != (Kind.ACK, 1, 1):
            raise ValueError(_other(answer))
        variables = frames.variables_in(answer.payload)
        return "id" in variables and "error" not in variables


@asynccontextmanager
async def _greeted(place: Path, timeout: float) -> AsyncIterator[Connection]:
    """A connection on which both sides have sent HELLO. Any failure becomes an EngineUnavailable."""
    writer = None
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_unix_connection(str(place))
            writer.write(frames.written(Kind.HAPROXY_HELLO, 0, 0, _our_hello()))
            _check_hello(await _read(reader))
        yield reader, writer
    except EOFError as error:
        raise EngineUnavailable(f"{place.name} is not responding: the connection was closed.") from error
    except (OSError, TimeoutError, ValueError) as error:
        raise EngineUnavailable(f"{place.name} is not responding: {reason(error)}.") from error
    finally:
        if writer is not None:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Frame:
    length = frames.length_in(await reader.readexactly(4))
    return frames.read(await reader.readexactly(length))


def _our_hello() -> bytes:
    return frames.pairs(
        {
            "supported-versions": frames.string("2.0"),
            "max-frame-size": frames.unsigned(frames.LARGEST),
            "capabilities": frames.string(""),
        }
    )


def _check_hello(answer: Frame) -> None:
    if answer.kind != Kind.AGENT_HELLO:
        raise ValueError(_other(answer))
    version = frames.pairs_in(answer.payload).get("version")
    if not isinstance(version, bytes) or not version.startswith(b"2."):
        raise ValueError("unsupported SPOP version, not 2.0")


def _other(answer: Frame) -> str:
    """Describe an unexpected frame. A disconnecting agent gives the reason (3.2.9)."""
    if answer.kind != Kind.AGENT_DISCONNECT:
        return f"frame {answer.kind} instead of a response"
    message = frames.pairs_in(answer.payload).get("message")
    return (
        f"it closed the connection: {message.decode('utf-8', 'replace') if isinstance(message, bytes) else 'no reason'}"
    )


def _clean_request(application: str) -> bytes:
    """coraza-spoa's `coraza-req`: `app` comes first, and addresses must be addresses. `probe` is ours and ignored by others."""
    return frames.message(
        "coraza-req",
        {
            "app": frames.string(application),
            "src-ip": frames.LOOPBACK,
            "src-port": frames.integer(9),
            "dst-ip": frames.LOOPBACK,
            "dst-port": frames.integer(9),
            "method": frames.string("GET"),
            "path": frames.string("/"),
            "query": frames.NULL,
            "version": frames.string("1.1"),
            "headers": frames.string(HEADERS),
            "body": frames.NULL,
            "id": frames.string("guardpanel-probe"),
            "exportRuleIDs": frames.TRUE,
            "probe": frames.TRUE,
        },
    )
