"""One HTTP request to somebody else's server, bounded in bytes, and never to an address that the settings do not allow.

The name is resolved here, each address is judged, and the connection goes to one that was: a name server that answers something
else the next time gains nothing. HTTP/1.1 is parsed by h11.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import SplitResult

import h11

from guardpanel import __version__
from guardpanel.errors import Problem
from guardpanel.feed_reach import FeedReach

CONNECT_SECONDS = 10.0
"Seconds for each address of a host."

LARGEST_BODY = 20 * 1024 * 1024
"Bytes, as of a list that is uploaded."

LARGEST_HEAD = 32 * 1024
CHUNK = 64 * 1024


class DownloadFailed(Problem):
    """Why there is no download, in a sentence. Nothing of what a server sends is in it."""

    status = 502
    code = "download_failed"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    "By name in lower case. Of several with one name, the last."
    body: bytes


async def get(url: SplitResult, headers: Mapping[str, str], reach: FeedReach, *, largest: int = LARGEST_BODY) -> Answer:
    """One request on a connection of its own. Raises DownloadFailed. The caller bounds the time."""
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    context = await asyncio.to_thread(_trusting, reach.ca_file) if url.scheme == "https" else None
    try:
        reader, writer = await _connected(await _addresses(host, port, reach), port, host, context)
        try:
            return await _exchange(reader, writer, _request(url, headers), largest)
        finally:
            writer.transport.abort()
    except ssl.SSLCertVerificationError as error:
        raise DownloadFailed(f"Its certificate is not trusted: {error.verify_message}.") from error
    except h11.RemoteProtocolError as error:
        raise DownloadFailed("The server does not speak HTTP/1.1.") from error
    except (OSError, ssl.SSLError) as error:
        raise DownloadFailed(f"{host} can’t be reached: {_reason(error)}.") from error


async def _addresses(host: str, port: int, reach: FeedReach) -> Sequence[str]:
    """Those that may be connected to."""
    try:
        results = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise DownloadFailed(f"{host} can’t be resolved.") from None
    addresses = list(dict.fromkeys(str(place[0]).partition("%")[0] for *_, place in results))
    allowed = [address for address in addresses if reach.allows(ip_address(address))]
    if not allowed:
        raise DownloadFailed(
            f"{host} is {addresses[0]}, {reach.refusal}. Allow its network in GUARDPANEL_FEED_NETWORKS."
        )
    return allowed


async def _connected(
    addresses: Sequence[str], port: int, host: str, context: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """To the first that takes it. Raises OSError."""
    failed: OSError = OSError("no address")
    for address in addresses:
        name = host if context else None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await asyncio.open_connection(address, port, ssl=context, server_hostname=name)
        except ssl.SSLError:
            raise
        except OSError as error:  # TimeoutError is one.
            failed = error
    raise failed


@lru_cache(maxsize=4)
def _trusting(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError):
            raise DownloadFailed("GUARDPANEL_FEED_CA_FILE is not a file with PEM certificates.") from None
    return context


def _request(url: SplitResult, headers: Mapping[str, str]) -> h11.Request:
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    own = {"host": url.netloc, "user-agent": f"guardpanel/{__version__}", "accept-encoding": "identity"}
    return h11.Request(method="GET", target=target, headers=[*{**own, **headers, "connection": "close"}.items()])


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: h11.Request, largest: int
) -> Answer:
    """The body is read only if it is the one that was asked for."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)
    writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
    status, headers, body = 0, dict[str, str](), bytearray()
    while True:
        event = connection.next_event()
        await asyncio.sleep(0)  # Others have their turn, however small the pieces are in which a body comes.
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(CHUNK))
        elif isinstance(event, h11.Response):
            status = event.status_code
            headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
            if status != 200 or int(headers.get("content-length", 0)) > largest:
                return _bounded(Answer(status, headers, b""), largest)
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > largest:
                raise too_large(largest)
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, headers, bytes(body))
        elif isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("closed")


def _bounded(answer: Answer, largest: int) -> Answer:
    if answer.status == 200:
        raise too_large(largest)
    return answer


def too_large(largest: int) -> DownloadFailed:
    return DownloadFailed(f"It is larger than {largest // 1024 // 1024} MiB.")


def _reason(error: Exception) -> str:
    """The system's message without Python's additions."""
    if isinstance(error, TimeoutError):
        return "no response in time"
    if isinstance(error, ssl.SSLError):
        return "no TLS that this machine accepts"
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else "no connection"
