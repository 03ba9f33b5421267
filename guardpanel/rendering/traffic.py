"""The traffic settings as the config templates see them."""

from typing import NamedTuple

from guardpanel.models.traffic import ClientIpSource, ProxyProtocol, Scheme
from guardpanel.rendering.facts import EngineFacts
from guardpanel.rendering.rows import Row
from guardpanel.settings import bind_text


class ListenerState(NamedTuple):
    """One of GUARDPANEL_HTTP_BIND; `name` is HAProxy's for it, and its networks' map's."""

    name: str
    bind: str
    proxy_protocol: ProxyProtocol = ProxyProtocol.OFF
    proxy_networks: tuple[str, ...] = ()
    scheme: Scheme = Scheme.HTTP

    @property
    def takes_proxy_protocol(self) -> bool:
        return self.proxy_protocol is not ProxyProtocol.OFF

    @classmethod
    def from_row(cls, name: str, bind: str, row: Row | None) -> "ListenerState":
        if row is None:
            return cls(name, bind)
        protocol, scheme = ProxyProtocol(row["proxy_protocol"]), Scheme(row["scheme"])
        return cls(name, bind, protocol, tuple(row["proxy_networks"]), scheme)


class TrafficState(NamedTuple):
    listeners: tuple[ListenerState, ...]
    client_ip_source: ClientIpSource = ClientIpSource.CONNECTION
    trusted_networks: tuple[str, ...] = ()
    forwarded_hops: int = 0
    client_ip_header: str = ""
    max_connections: int = 0
    max_requests_per_client: int = 0

    @property
    def takes_proxy_protocol(self) -> bool:
        return any(one.takes_proxy_protocol for one in self.listeners)

    @property
    def may_see_mapped_addresses(self) -> bool:
        """IPv6 sockets, and what speaks the PROXY protocol, may name IPv4 visitors by `::ffff:192.0.2.7`."""
        return self.takes_proxy_protocol or any(one.bind.startswith("[") for one in self.listeners)

    @classmethod
    def from_row(cls, row: Row | None, facts: EngineFacts) -> "TrafficState":
        """None: nothing was ever set. What was set for a listener that there is no more waits for its return."""
        stored = {one["address"]: one for one in row["listeners"]} if row else {}
        listeners = tuple(
            ListenerState.from_row(f"in{number}", bind_text(*bind), stored.get(bind_text(*bind)))
            for number, bind in enumerate(facts.http_binds, 1)
        )
        if row is None:
            return cls(listeners)
        return cls(
            listeners,
            client_ip_source=ClientIpSource(row["client_ip_source"]),
            trusted_networks=tuple(row["trusted_networks"]),
            forwarded_hops=row["forwarded_hops"],
            client_ip_header=row["client_ip_header"],
            max_connections=row["max_connections"],
            max_requests_per_client=row["max_requests_per_client"],
        )
