"""Whether a QUIC listener responds, without a handshake: to an unknown version, servers reply with theirs (RFC 9000 §6.1)."""

import asyncio
import os
import socket
from ipaddress import ip_address

from guardpanel.errors import EngineSilent

RESERVED = bytes.fromhex("1a2a3a4a")
"A version that no server may have (RFC 9000 §15)."

NEGOTIATION = bytes(4)
"The version of a response that lists versions (RFC 8999 §6)."

SMALLEST = 1200
"Bytes of a first datagram: servers drop shorter ones (RFC 9000 §14.1)."

TIMEOUT = 1.0

Address = tuple[str, int]


async def flaw(place: Address) -> str | None:
    """What is wrong at this UDP port. None if a QUIC server responds. Raises EngineSilent if nothing does."""
    where = f"UDP {place[0]}:{place[1]}"
    ours, theirs = os.urandom(8), os.urandom(8)
    family = socket.AF_INET6 if ip_address(place[0]).version == 6 else socket.AF_INET
    loop = asyncio.get_running_loop()
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        try:
            client.connect(place)
            async with asyncio.timeout(TIMEOUT):
                await loop.sock_sendall(client, first_datagram(ours, theirs))
                response = await loop.sock_recv(client, 65_536)
        except TimeoutError as error:
            raise EngineSilent(f"Nothing responds to QUIC on {where}.") from error
        except OSError as error:
            return f"Nothing responds to QUIC on {where}: {error.strerror}."
    return None if response[1:].startswith(lists_versions(ours, theirs)) else f"{where} does not use QUIC."


def first_datagram(ours: bytes, theirs: bytes) -> bytes:
    """Of a connection with these IDs, the client's and the one that it chooses for the server."""
    return (b"\xc0" + RESERVED + _ids(theirs, ours)).ljust(SMALLEST, b"\0")


def lists_versions(ours: bytes, theirs: bytes) -> bytes:
    """How the response begins, after the first byte: with the IDs the other way round."""
    return NEGOTIATION + _ids(ours, theirs)


def _ids(*ids: bytes) -> bytes:
    return b"".join(bytes([len(number)]) + number for number in ids)
