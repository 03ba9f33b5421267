"""Lines of files that each begin with a network, in the order of their addresses: one of hundreds of thousands is found and
exchanged without reading the others."""

from collections.abc import Iterable

from guardpanel.access.spans import Span, span, within


def place(content: bytes, wanted: Span) -> int:
    """Where the first line begins that is not before this place."""
    least, most = 0, len(content)
    while least < most:
        begins = content.rfind(b"\n", least, (least + most) // 2) + 1 or least
        if span(_network(content, begins)) < wanted:
            least = content.find(b"\n", begins) + 1
        else:
            most = begins
    return least


def exchanged(content: bytes, lines: Iterable[tuple[str, bytes]]) -> bytes:
    """With another line for each of these networks, or without one if it is empty."""
    parts: list[bytes] = []
    done = 0
    for wanted, network, line in sorted((span(network), network, line) for network, line in lines):
        at = place(content, wanted)
        parts += content[done:at], line
        done = _end(content, at) if _has(content, at, network) else at
    return b"".join([*parts, content[done:]])


def deciding(content: bytes, address: str) -> tuple[str, str] | None:
    """The network with the longest prefix that contains an address, as HAProxy's maps decide, and what follows it."""
    ipv4 = within(address)
    return _deciding(content, address) or (_deciding(content, ipv4) if ipv4 else None)


def _deciding(content: bytes, address: str) -> tuple[str, str] | None:
    inner = wanted = span(address)
    while True:
        at = place(content, wanted)
        if at < len(content) and span(_network(content, at)) == wanted:
            return _parts(content, at)
        if at == 0:
            return None
        at = content.rfind(b"\n", 0, at - 1) + 1
        before = span(_network(content, at))
        if before.contains(inner):
            return _parts(content, at)
        bits = (before.first ^ inner.first).bit_length()
        if bits > MOST_BITS:
            return None
        # What contains the address and is before this line contains both.
        wanted = Span(inner.first >> bits << bits, -(1 << bits))


MOST_BITS = 128
"Of an address. IPv4 and IPv6 differ above them (`spans.IPV6`)."


def some(content: bytes, at: int, most: int) -> tuple[list[str], int]:
    """The networks of the lines around this byte or after it, and where the next ones begin: 0 after the last."""
    at = content.rfind(b"\n", 0, at) + 1
    networks: list[str] = []
    while at < len(content) and len(networks) < most:
        networks.append(_network(content, at))
        at = _end(content, at)
    return networks, at if at < len(content) else 0


def middle(before: bytes, after: bytes) -> tuple[bytes, bytes]:
    """The lines from the first that differs to the last: those around them are neither read nor compared one by one."""
    start = before.rfind(b"\n", 0, _alike(before, after)) + 1
    was, now = before[start:], after[start:]
    end = was.find(b"\n", len(was) - _alike_at_the_end(was, now)) + 1 or len(was)
    return was[:end], now[: len(now) - len(was) + end]


def _alike(left: bytes, right: bytes) -> int:
    """The number of bytes at the beginning that are equal."""
    least, most = 0, min(len(left), len(right))
    while least < most:
        half = (least + most + 1) // 2
        if left[least:half] == right[least:half]:
            least = half
        else:
            most = half - 1
    return least


def _alike_at_the_end(left: bytes, right: bytes) -> int:
    least, most = 0, min(len(left), len(right))
    while least < most:
        half = (least + most + 1) // 2
        if left[len(left) - half : len(left) - least] == right[len(right) - half : len(right) - least]:
            least = half
        else:
            most = half - 1
    return least


def _end(content: bytes, at: int) -> int:
    """Of the line that begins here."""
    return content.find(b"\n", at) + 1


def _parts(content: bytes, at: int) -> tuple[str, str]:
    network, rest = content[at : _end(content, at)].decode().split(None, 1)
    return network, rest.rstrip("\n")


def _network(content: bytes, at: int) -> str:
    return content[at : _end(content, at)].split(None, 1)[0].decode()


def _has(content: bytes, at: int, network: str) -> bool:
    return at < len(content) and _network(content, at) == network
