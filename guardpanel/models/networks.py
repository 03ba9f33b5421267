"""Lists of networks as an operator types or pastes them: canonical forms, and a clear error for each invalid line."""

import re
from contextlib import suppress
from ipaddress import (
    IPv4Network,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
    summarize_address_range,
)
from itertools import islice
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from guardpanel.models.refusing import refuse
from guardpanel.models.types import Lines, visible

Network = IPv4Network | IPv6Network

WIDEST = {4: 8, 6: 7}
"The shortest prefix by IP version: 10.0.0.0/8 and fc00::/7 are the largest networks with a single owner."

MAPPED = IPv6Network("::ffff:0:0/96")
"IPv4 in IPv6. HAProxy also looks up IPv4 addresses in IPv6 networks (pattern.c, pat_match_ip)."

NOWHERE: dict[int, Any] = {4: IPv4Network("0.0.0.0/8"), 6: IPv6Network("::/128")}
"Addresses that mean *none* (RFC 1122 §3.2.1.3, RFC 4291 §2.5.2)."

MOST_SHOWN = 3
"Invalid lines that are listed at most."


def known_networks(lines: list[str]) -> list[str]:
    """Without duplicates, as HAProxy's maps write them: `10.0.0.0/8`, `192.0.2.7`, `2001:db8::/32`."""
    networks: dict[str, None] = {}
    wrong: list[str] = []
    for number, line in enumerate(lines, 1):
        try:
            networks[network(visible(line.strip()))] = None
        except ValueError as error:
            wrong.append(f"Line {number}: {_words(error)}")
    if wrong:
        more = f" And {len(wrong) - MOST_SHOWN} more lines." if len(wrong) > MOST_SHOWN else ""
        raise refuse("\n".join(wrong[:MOST_SHOWN]) + more)
    return list(networks)


Networks = Annotated[Lines, AfterValidator(known_networks), Field(max_length=2_000)]


def network(text: str) -> str:
    """The network in canonical form. Raises ValueError with a message for the operator."""
    parsed = read_network(text)
    if parsed.prefixlen < WIDEST[parsed.version]:
        raise ValueError(
            f"{parsed} is too large: hosts of others would be trusted, too. Use /{WIDEST[parsed.version]} or smaller."
        )
    if isinstance(parsed, IPv6Network) and parsed.supernet_of(MAPPED):
        raise ValueError(f"{parsed} is too large: it contains every IPv4 address (::ffff:0:0/96).")
    if (
        parsed.is_multicast
        or parsed.subnet_of(NOWHERE[parsed.version])
        or str(parsed.network_address) == "255.255.255.255"
    ):
        raise ValueError(f"{parsed} can’t be the address of a connection.")
    return str(parsed.network_address) if parsed.prefixlen == parsed.max_prefixlen else str(parsed)


def read_network(text: str) -> Network:
    """An address or a network, whatever its size. Raises ValueError with a message for the operator."""
    beginning = text[:60]
    if not text:
        raise ValueError("Enter an IP address or a network, for example 203.0.113.0/24.")
    if re.search(r"[0-9a-fA-F:.]%", text):
        raise ValueError(f"{beginning} has a zone (%). Enter it without.")
    with suppress(ValueError):
        return _without_mapping(ip_network(text))
    if whole := _around(text):
        raise ValueError(f"{beginning} has host bits set. Enter {whole}.")
    if parts := _range(text):
        raise ValueError(f"{beginning} is a range. Enter networks: {parts}.")
    if re.fullmatch(r"[0-9.:a-fA-F/ -]+", text):
        raise ValueError(f"{beginning} is not an IP address or CIDR range, for example 10.0.0.0/8.")
    raise ValueError(f"{beginning} is not an IP address or CIDR range. Names are not resolved here.")


def _around(text: str) -> Network | None:
    """The network that contains the host `10.0.0.1/8`."""
    with suppress(ValueError):
        return _without_mapping(ip_interface(text).network)
    return None


def _without_mapping(made: Network) -> Network:
    """`::ffff:10.0.0.0/104` as 10.0.0.0/8: HAProxy sees such visitors by their IPv4 address."""
    mapped = made.network_address.ipv4_mapped if isinstance(made, IPv6Network) else None
    return IPv4Network((mapped, made.prefixlen - 96)) if mapped is not None and made.prefixlen >= 96 else made


def _range(text: str) -> str:
    """The networks of `10.0.0.0-10.0.0.127`, for a message."""
    first, dash, last = (part.strip() for part in text.partition("-"))
    try:
        some = list(islice(summarize_address_range(ip_address(first), ip_address(last)), 5))
    except (ValueError, TypeError):
        return ""
    return ", ".join(map(str, some[:4])) + (" …" if len(some) > 4 else "") if dash else ""


def _words(error: Exception) -> str:
    context = getattr(error, "context", None)
    return str(context["words"]) if context else str(error)
