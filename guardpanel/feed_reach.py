"""From where address lists may be downloaded: public addresses, and private ones that the settings name.

A URL is typed by whoever may edit lists. Without this, the panel would ask for it what only this machine can reach.
"""

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))

NAT64 = IPv6Network("64:ff9b::/96")
"Its addresses contain those of IPv4 (RFC 6052 §2.1)."

UNICAST = IPv6Network("2000::/3")
"The only public addresses of IPv6 besides (RFC 4291 §2.4). Python calls more of them global: fec0::/10, ::7f00:1."

NOT_PUBLIC = (IPv4Network("192.0.0.0/24"), IPv4Network("168.63.129.16/32"))
"Global for Python 3.11, but answered within a network alone (RFC 6890, Oracle’s metadata), or by Azure to its own machines."


@dataclass(frozen=True)
class FeedReach:
    networks: tuple[Network, ...] = ()
    files: Path | None = None
    "Files below it may be read."
    ca_file: str = ""
    public: bool = True
    "Public addresses, too."

    def for_crowdsec(self, scheme: str) -> "FeedReach":
        """Also this machine, and without TLS nothing beyond it but the networks of the settings: the key is in each request."""
        return replace(self, networks=(*self.networks, *LOOPBACK), public=scheme == "https")

    def allows(self, address: Address) -> bool:
        """Whether a connection to it may be opened."""
        if any(address.version == network.version and address in network for network in self.networks):
            return True
        return self.public and all(map(_is_public, (address, *_within(address))))

    @property
    def refusal(self) -> str:
        """Of an address that is not allowed, for the end of a sentence."""
        return "which is not a public address" if self.public else "to which keys are sent over https alone"


def list_networks(text: str) -> tuple[Network, ...]:
    """Raises ValueError for what is none."""
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"GUARDPANEL_FEED_NETWORKS: {error}") from None


def _is_public(address: Address) -> bool:
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, IPv6Address):
        return address in UNICAST or address in NAT64
    return not any(address in network for network in NOT_PUBLIC)


def _within(address: Address) -> list[Address]:
    """IPv4 addresses to which a connection to an IPv6 address may lead."""
    if isinstance(address, IPv4Address):
        return []
    inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in NAT64:
        inner.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [part for part in inner if part is not None]
