"""The addresses of networks as numbers, by which networks are in order: IPv4 first."""

import socket
from typing import NamedTuple


class Span(NamedTuple):
    """The addresses of a network as numbers: sorted, each comes before those that it contains."""

    first: int
    "Of an IPv6 address, with IPV6 added."
    negative_size: int
    "So that of two with the same beginning, the larger one comes first."

    @property
    def last(self) -> int:
        return self.first - self.negative_size - 1

    def contains(self, other: "Span") -> bool:
        return self.first <= other.first and other.last <= self.last


IPV6 = 1 << 130
"Above all addresses."


def span(network: str) -> Span:
    """Of a canonical network. There may be hundreds of thousands: faster than `ipaddress`."""
    address, _, prefix = network.partition("/")
    if ":" in address:
        first = IPV6 + int.from_bytes(socket.inet_pton(socket.AF_INET6, address))
        return Span(first, -(1 << (128 - int(prefix))) if prefix else -1)
    first = int.from_bytes(socket.inet_pton(socket.AF_INET, address))
    return Span(first, -(1 << (32 - int(prefix))) if prefix else -1)


def within(address: str) -> str:
    """The IPv4 address as which HAProxy also looks up an IPv6 one that none of a map's IPv6 networks contains: an IPv4-mapped or
    -compatible one (RFC 4291 §2.5.5), `::1` included, and one of 6to4 (RFC 3056). Empty if there is none."""
    number = span(address).first - IPV6
    if number < 0:
        return ""
    if number >> 32 in {0, 0xFFFF}:
        return _dotted(number & 0xFFFFFFFF)
    return _dotted(number >> 80 & 0xFFFFFFFF) if number >> 112 == 0x2002 else ""


def _dotted(number: int) -> str:
    return socket.inet_ntoa(number.to_bytes(4))
