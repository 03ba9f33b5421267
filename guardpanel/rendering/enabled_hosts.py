"""The virtual hosts that are enabled. A save changes few of thousands of rows: the others are not read again."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import is_
from typing import NamedTuple

from guardpanel.rendering.rows import Row, Rows
from guardpanel.rendering.virtual_host import ServerState, VirtualHostState


class _Read(NamedTuple):
    row: Row
    names: Sequence[str]
    servers: Sequence[Row]
    state: VirtualHostState

    def is_of(self, row: Row, names: Sequence[str], servers: Sequence[Row]) -> bool:
        """Rows are never changed, so the same objects have the same content."""
        same = self.row is row and self.names == names and len(self.servers) == len(servers)
        return same and all(map(is_, self.servers, servers))


class EnabledHosts:
    """Of the rows that were read last. Threads share it."""

    def __init__(self) -> None:
        self._known: Mapping[int, _Read] = {}

    def of(self, rows: Rows, names: Mapping[int, Sequence[str]]) -> tuple[VirtualHostState, ...]:
        """`names`: hostnames by virtual host."""
        servers = defaultdict(list)
        for row in sorted(rows["server"], key=lambda row: row["position"]):
            servers[row["virtual_host_id"]].append(row)
        known, before = {}, self._known
        for number, row in sorted((row["id"], row) for row in rows["virtualhost"] if row["enabled"]):
            own = row, names.get(number, ()), servers.get(number, ())
            was = before.get(number)
            known[number] = was if was and was.is_of(*own) else _read(*own, was)
        self._known = known
        return tuple(read.state for read in known.values())


def _read(row: Row, names: Sequence[str], servers: Sequence[Row], was: _Read | None) -> _Read:
    """An equal state remains the same object: what is known by it is not rendered again."""
    states = tuple(map(ServerState.from_row, servers))
    state = VirtualHostState.from_row(row, tuple(names), states)
    return _Read(row, names, servers, was.state if was and was.state == state else state)
