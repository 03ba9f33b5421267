"""A virtual host and its servers as the config templates see them: with all fields of their models. Each save creates, hashes and
compares thousands, so they are tuples, whose positions are the models' fields."""

from collections import namedtuple
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from guardpanel.models.delivery.own_server import own_server
from guardpanel.models.server import ServerFields
from guardpanel.models.types import Endpoint, endpoint
from guardpanel.models.virtual_host import VirtualHostColumns
from guardpanel.rendering.rows import OURS, ColumnReader, Row

OF_SERVER, OF_HOST = ColumnReader(ServerFields), ColumnReader(VirtualHostColumns, without=OURS)

if TYPE_CHECKING:

    class ServerValues(ServerFields):
        position: int
        endpoint: Endpoint

        @classmethod
        def _make(cls, values: Iterable[Any]) -> Self: ...

    class VirtualHostValues(VirtualHostColumns):
        id: int
        hostnames: tuple[str, ...]
        servers: tuple["ServerState", ...]

        @classmethod
        def _make(cls, values: Iterable[Any]) -> Self: ...

        def _replace(self, **values: Any) -> Self: ...

else:
    ServerValues = namedtuple("ServerValues", ("position", "endpoint", *OF_SERVER.names))  # noqa: PYI024 not by hand
    VirtualHostValues = namedtuple("VirtualHostValues", ("id", "hostnames", "servers", *OF_HOST.names))  # noqa: PYI024


class ServerState(ServerValues):
    __slots__ = ()

    @classmethod
    def of_path(cls, position: int, line: str) -> Self:
        """A path's own."""
        fields = own_server(line)
        values = (getattr(fields, name) for name in OF_SERVER.names)
        return cls._make((position, endpoint(fields.address, scheme=fields.scheme), *values))

    @classmethod
    def from_row(cls, row: Row) -> Self:
        return cls._make((row["position"], endpoint(row["address"], scheme=row["scheme"]), *OF_SERVER.values(row)))


class VirtualHostState(VirtualHostValues):
    __slots__ = ()

    @property
    def first_exact_hostname(self) -> str:
        """The default of the health check's and the TLS name. For a wildcard, `www` below it."""
        exact = next((name for name in self.hostnames if not name.startswith("*.")), None)
        return exact or self.hostnames[0].replace("*.", "www.", 1)

    @classmethod
    def from_row(cls, row: Row, names: tuple[str, ...], servers: tuple[ServerState, ...]) -> Self:
        return cls._make((row["id"], names, servers, *OF_HOST.values(row)))
