"""The traffic settings as the config templates see them: with all fields of their models."""

from collections.abc import Iterable

from guardpanel.kept import KeptLast
from guardpanel.listen_addresses import bind_text
from guardpanel.models.listener import ListenerFields, ProxyProtocol
from guardpanel.models.traffic import TrafficColumns
from guardpanel.rendering.facts import EngineFacts
from guardpanel.rendering.rows import ColumnReader, Row

OF_LISTENER, OF_TRAFFIC = ColumnReader(ListenerFields), ColumnReader(TrafficColumns)


LATER = {"http2": False}
"Fields that rows from before them do not have."


class ListenerState(ListenerFields):
    """A listener of HTTP or HTTPS. `name` is HAProxy's name for it, and part of its networks' map."""

    name: str
    bind: str

    @property
    def takes_proxy_protocol(self) -> bool:
        return self.proxy_protocol is not ProxyProtocol.OFF

    @classmethod
    def from_row(cls, name: str, bind: str, row: Row | None) -> "ListenerState":
        values = OF_LISTENER.by_name({**LATER, **row}) if row else {"address": bind}
        return cls.model_construct(None, name=name, bind=bind, **values)


class TrafficState(TrafficColumns):
    listeners: tuple[ListenerState, ...]
    "Of HTTP."
    https_listeners: tuple[ListenerState, ...]
    takes_ipv6: bool
    "Whether a listener is an IPv6 socket, of HTTP or HTTPS."

    @property
    def takes_proxy_protocol(self) -> bool:
        return any(listener.takes_proxy_protocol for listener in self.listeners)

    @property
    def may_see_mapped_addresses(self) -> bool:
        """IPv6 sockets and the PROXY protocol may present IPv4 visitors as `::ffff:192.0.2.7`."""
        return self.takes_ipv6 or any(
            listener.takes_proxy_protocol for listener in (*self.listeners, *self.https_listeners)
        )

    @classmethod
    def from_row(cls, row: Row | None, facts: EngineFacts) -> "TrafficState":
        """None if nothing was ever set. Settings of a listener that no longer exists are kept for its return."""
        return KEPT.get((row, facts.http_binds, facts.https_binds), lambda: cls._from_row(row, facts))

    @classmethod
    def _from_row(cls, row: Row | None, facts: EngineFacts) -> "TrafficState":
        stored = {listener["address"]: listener for listener in row["listeners"]} if row else {}

        def listeners(prefix: str, binds: Iterable[tuple[str, int]]) -> tuple[ListenerState, ...]:
            addresses = enumerate((bind_text(*bind) for bind in binds), 1)
            return tuple(
                ListenerState.from_row(f"{prefix}{n}", address, stored.get(address)) for n, address in addresses
            )

        takes_ipv6 = any(":" in host for host, _ in (*facts.http_binds, *facts.https_binds))
        values = OF_TRAFFIC.by_name(row) if row else {}
        http, https = listeners("in", facts.http_binds), listeners("tls", facts.https_binds)
        return cls.model_construct(None, listeners=http, https_listeners=https, takes_ipv6=takes_ipv6, **values)


KEPT = KeptLast[TrafficState]()
"Few saves change it."
