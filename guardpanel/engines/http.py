"""A minimal HTTP/1.1 client for probes and the agent's control socket.

Deliberately low-level: a probe must choose its own connection, Host header and PROXY line, must never be retried or pooled
implicitly, and connects to sockets of our own.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from time import monotonic, perf_counter
from typing import TypeVar

from guardpanel.errors import EngineSilent, EngineUnavailable

Place = Path | tuple[str, int]
"A unix socket, or address and port."

LARGEST = 8 * 1024 * 1024

READ_AT_ONCE = 64 * 1024

PROXY_LINE = b"PROXY TCP4 127.0.0.1 127.0.0.1 9 9\r\n"


@dataclass(frozen=True)
class Answer:
    """Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


async def ask(
    place: Place,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    proxy_line: bool = False,
    tls_name: str | None = None,
    timeout: float = 5.0,
) -> Answer:
    """Send one request on its own connection. Raises EngineUnavailable without a valid response, EngineSilent after the timeout.
    `tls_name`: over TLS with this name (SNI, empty: without), whatever the certificate."""
    began = perf_counter()
    try:
        async with asyncio.timeout(timeout):
            raw = await _exchange(place, _written(method, target, headers, body), tls_name, proxy_line=proxy_line)
        status, answered, content = _parsed(raw)
    except (OSError, TimeoutError, ValueError) as error:
        raise _unavailable(place, error) from error
    return Answer(status, answered, content, perf_counter() - began)


async def ask_often(
    place: Place, target: str, *, headers: Mapping[str, str], times: int, proxy_line: bool, timeout: float
) -> Sequence[Answer | EngineUnavailable]:
    """GET on so many connections at once, without TLS. What fails is returned in its place. In a thread, since turns of the event
    loop take longer than what HAProxy does for an answer."""
    request = _written("GET", target, headers, b"")
    raw = partial(_exchanged, place, PROXY_LINE + request if proxy_line else request, times, monotonic() + timeout)
    return [_answer(place, outcome) for outcome in await asyncio.to_thread(raw)]


def _exchanged(place: Place, request: bytes, times: int, ends: float) -> list[bytes | OSError]:
    """All are sent before the first is read."""
    with ExitStack() as connections:
        opened = [_tried(lambda: connections.enter_context(_sent(place, request, ends))) for _ in range(times)]
        return [each if isinstance(each, OSError) else _tried(partial(_received, each, ends)) for each in opened]


T = TypeVar("T")


def _tried(do: Callable[[], T]) -> T | OSError:
    try:
        return do()
    except OSError as error:
        return error


def _sent(place: Place, request: bytes, ends: float) -> socket.socket:
    connection = (
        socket.socket(socket.AF_UNIX) if isinstance(place, Path) else socket.create_connection(place, _left(ends))
    )
    try:
        connection.settimeout(_left(ends))
        if isinstance(place, Path):
            connection.connect(str(place))
        connection.sendall(request)
    except BaseException:
        connection.close()
        raise
    return connection


def _received(connection: socket.socket, ends: float) -> bytes:
    parts = [b""]
    while len(parts) == 1 or parts[-1]:
        connection.settimeout(_left(ends))
        parts.append(connection.recv(READ_AT_ONCE))
    return b"".join(parts)


def _left(ends: float) -> float:
    """Seconds. Raises TimeoutError once there are none: something may send without an end."""
    if (left := ends - monotonic()) <= 0:
        raise TimeoutError
    return left


def _answer(place: Place, outcome: bytes | OSError) -> Answer | EngineUnavailable:
    try:
        if isinstance(outcome, OSError):
            raise outcome
        return Answer(*_parsed(outcome), 0.0)
    except (OSError, ValueError) as error:
        unavailable = _unavailable(place, error)
        unavailable.__cause__ = error
        return unavailable


def _unavailable(place: Place, error: OSError | ValueError) -> EngineUnavailable:
    kind = EngineSilent if isinstance(error, TimeoutError) else EngineUnavailable
    return kind(f"{_place_name(place)} is not responding: {reason(error)}.")


async def connected(
    place: Place, tls_name: str | None = None, *, proxy_line: bool = False
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A new connection; the PROXY line comes before TLS. Raises OSError."""
    if isinstance(place, Path):
        reader, writer = await asyncio.open_unix_connection(str(place), limit=LARGEST)
    else:
        reader, writer = await asyncio.open_connection(*place, limit=LARGEST)
    try:
        if proxy_line:
            writer.write(PROXY_LINE)
        if tls_name is not None:
            await writer.start_tls(any_certificate(), server_hostname=tls_name)
    except BaseException:
        writer.close()
        raise
    return reader, writer


async def _exchange(place: Place, request: bytes, tls_name: str | None, *, proxy_line: bool) -> bytes:
    reader, writer = await connected(place, tls_name, proxy_line=proxy_line)
    try:
        writer.write(request)
        await writer.drain()
        return await reader.read(-1)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@cache
def any_certificate() -> ssl.SSLContext:
    """For TLS 1.3: its handshakes show the certificate also where the client should have had one."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _written(method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [
        f"{method} {target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items()),
        "connection: close",
    ]
    if body:
        lines.append(f"content-length: {len(body)}")
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("line break in a request header")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def _parsed(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    head, separator, rest = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not separator or not first.startswith("HTTP/1."):
        raise ValueError("not an HTTP response" if raw else "the connection was closed without a response")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        rest = _joined(rest)
    return int(first.split(" ", 2)[1]), headers, rest


def _joined(rest: bytes) -> bytes:
    parts = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if length == 0:
            break
        parts.append(rest[:length])
        rest = rest[length + 2 :]
    return b"".join(parts)


def reason(error: Exception) -> str:
    """The system's message without Python's additions: `Connection refused`."""
    if isinstance(error, TimeoutError):
        return "no response in time"
    return (isinstance(error, OSError) and error.errno and os.strerror(error.errno)) or str(error) or "no answer"


def _place_name(place: Place) -> str:
    return place.name if isinstance(place, Path) else f"{place[0]}:{place[1]}"
