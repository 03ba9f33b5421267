"""The tables in which HAProxy counts for client limits: how much of the memory that they may take is in use."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from guardpanel.engines.haproxy.map_commands import MapCommands

ENTRY_BYTES = 330
"Of a key and all that can be counted of it, measured: 274 in HAProxy 2.6, 328 in 3.4."

MB = 1_000_000


@dataclass(frozen=True)
class LimitTable:
    """Of all policies whose limits count over this time."""

    seconds: int
    used: int
    size: int
    "Keys: clients, networks, paths of clients, values of headers and cookies."

    @property
    def used_mb(self) -> float:
        return self.used * ENTRY_BYTES / MB

    @property
    def most_mb(self) -> float:
        return self.size * ENTRY_BYTES / MB


async def limit_tables(cli: MapCommands) -> Sequence[LimitTable]:
    """Of the newest worker. Raises EngineUnavailable (503)."""
    sizes = {re.fullmatch(r"requests_per_(\d+)", name): size for name, size in (await cli.table_sizes()).items()}
    tables = [LimitTable(int(match[1]), size.used, size.size) for match, size in sizes.items() if match]
    return sorted(tables, key=lambda table: table.seconds)
