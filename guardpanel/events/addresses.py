"""Addresses as sortable keys: a network is a range of keys."""

import socket
from contextlib import suppress
from ipaddress import IPv6Network, ip_network

V4_IN_V6 = bytes(10) + b"\xff\xff"


NOWHERE = bytes(16)


def key(address: str) -> bytes:
    """16 bytes. An IPv4 address becomes its IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2). NOWHERE if it is not an address."""
    with suppress(OSError, ValueError):
        return V4_IN_V6 + socket.inet_pton(socket.AF_INET, address)
    with suppress(OSError, ValueError):
        return socket.inet_pton(socket.AF_INET6, address)
    return NOWHERE


def keys(network: str) -> tuple[bytes, bytes]:
    """The first and last key of `192.0.2.0/24` or of a single address. Raises ValueError."""
    subnet = ip_network(network.strip(), strict=False)
    if isinstance(subnet, IPv6Network):
        return subnet.network_address.packed, subnet.broadcast_address.packed
    return V4_IN_V6 + subnet.network_address.packed, V4_IN_V6 + subnet.broadcast_address.packed
