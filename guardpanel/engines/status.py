"""What HAProxy runs now, read from its live processes."""

import asyncio
import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from guardpanel.engines.master_cli import MasterCli
from guardpanel.errors import EngineUnavailable

LONGEST = 2.0
"Seconds for all answers together."


@dataclass(frozen=True)
class ServerStatus:
    """`state` is UP, DOWN, MAINT, DRAIN, NOLB or `no check`; `check` is HAProxy's word for the last check.

    A server whose name has no address yet is in MAINT, too; then `is_resolving`.
    """

    name: str
    state: str
    check: str
    check_code: str
    check_ms: int | None
    since_seconds: int
    address: str
    is_resolving: bool = False

    @property
    def is_up(self) -> bool:
        return self.state in {"UP", "no check"}


@dataclass(frozen=True)
class HAProxyStatus:
    running: bool
    version: str = ""
    pid: int = 0
    checksum: str | None = None
    workers: tuple[int, ...] = ()
    old_workers: tuple[int, ...] = ()
    failed_reloads: int = 0
    uptime_seconds: int = 0
    servers: Mapping[str, tuple[ServerStatus, ...]] = field(default_factory=dict)
    uninspected: Mapping[int, int] = field(default_factory=dict)
    "Requests that passed although the WAF could not judge them, by policy id, since the last reload."
    problem: str | None = None


async def haproxy_status(cli: MasterCli) -> HAProxyStatus:
    """Raises nothing: what cannot be asked is a `problem`."""
    try:
        async with asyncio.timeout(LONGEST):
            processes = await cli.processes()
            info = await cli.info()
            stat = await cli.stat()
            table = await cli.table("uninspected")
    except EngineUnavailable as error:
        return HAProxyStatus(running=False, problem=error.message)
    except TimeoutError:
        return HAProxyStatus(
            running=False, problem=f"HAProxy gives no answer within {LONGEST:.0f} s: it hangs or is stopped."
        )
    description = info.get("description", "")
    return HAProxyStatus(
        running=bool(processes.workers),
        version=info.get("version", ""),
        pid=processes.master,
        checksum=description.removeprefix("guardpanel ") if description.startswith("guardpanel ") else None,
        workers=processes.workers,
        old_workers=processes.old_workers,
        failed_reloads=processes.failed,
        uptime_seconds=processes.uptime_seconds,
        servers=await asyncio.to_thread(parse_servers, stat),
        uninspected={int(key): int(count) for key, count in re.findall(r"key=(\d+) .*?gpc0=(\d+)", table)},
    )


def parse_servers(stat: str) -> dict[str, tuple[ServerStatus, ...]]:
    """`show stat`'s CSV: the servers of the virtual hosts' backends, by backend."""
    rows = csv.reader(io.StringIO(stat.removeprefix("# ")))
    at = {name: column for column, name in enumerate(next(rows, ()))}
    if not at:
        return {}
    proxy, server = at["pxname"], at["svname"]
    found: dict[str, list[ServerStatus]] = {}
    for row in rows:
        if row and row[server] != "BACKEND" and row[proxy].startswith("be_"):
            found.setdefault(row[proxy], []).append(_server(row, at))
    return {name: tuple(servers) for name, servers in found.items()}


def _server(row: Sequence[str], at: Mapping[str, int]) -> ServerStatus:
    status, milliseconds = row[at["status"]], row[at["check_duration"]]
    return ServerStatus(
        name=row[at["svname"]],
        state=status if status == "no check" else status.split(" ")[0],
        check=row[at["last_chk"]] or row[at["check_desc"]],
        check_code=row[at["check_code"]],
        check_ms=int(milliseconds) if milliseconds else None,
        since_seconds=int(row[at["lastchg"]] or 0),
        address=row[at["addr"]],
        is_resolving="resolution" in status,
    )
