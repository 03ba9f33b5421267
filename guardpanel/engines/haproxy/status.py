"""What HAProxy runs now, read from its live processes."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from guardpanel.engines.haproxy import versions
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.haproxy.server_states import Servers
from guardpanel.errors import EngineUnavailable

LONGEST = 2.0
"Seconds for all answers together."

UNINSPECTED = ("uninspected", "large_bodies")
"Where HAProxy counts them: requests whose large body was admitted are counted there."


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
    uninspected: Mapping[int, int] = field(default_factory=dict)
    "Requests that passed although the WAF could not inspect them, by policy id, since the last reload."
    dropped_logs: int = 0
    """Lines missing from its log since the last reload. HAProxy never waits to log: while one of its threads writes, another
    tries 200 times and drops the line (fd_write_frag_line() in its src/fd.c)."""
    connections: int = 0
    "Current connections: visitors', the panel's and the agent's."
    problem: str | None = None

    @property
    def is_tested(self) -> bool:
        """Whether guardpanel is tested with its branch. Others that run are neither guaranteed nor rejected."""
        match = re.match(r"(\d+)\.(\d+)", self.version)
        return match is not None and versions.is_tested((int(match[1]), int(match[2])))


async def haproxy_status(cli: MasterCli) -> HAProxyStatus:
    """Everything but the servers. Raises nothing: what cannot be queried becomes a `problem`."""
    try:
        async with asyncio.timeout(LONGEST):
            processes = await cli.processes()
            info = await cli.info()
            tables = [await cli.table(name) for name in UNINSPECTED]
    except EngineUnavailable as error:
        return HAProxyStatus(running=False, problem=error.message)
    except TimeoutError:
        return HAProxyStatus(
            running=False, problem=f"HAProxy did not respond within {LONGEST:.0f} s: it is stuck or stopped."
        )
    description = info.get("description", "")
    return HAProxyStatus(
        running="pid" in info,  # After a rejected reload, 3.1 and newer list the serving worker among the old ones.
        version=info.get("version", ""),
        pid=processes.master,
        checksum=description.removeprefix("guardpanel ") if description.startswith("guardpanel ") else None,
        workers=processes.workers,
        old_workers=processes.old_workers,
        failed_reloads=processes.failed,
        uptime_seconds=processes.uptime_seconds,
        uninspected=uninspected(tables),
        dropped_logs=int(info.get("droppedlogs", 0)),
        connections=int(info.get("currconns", 0)),
    )


def uninspected(tables: Iterable[str]) -> dict[int, int]:
    """The tables' counts by policy id, without zeros."""
    counts = Counter[int]()
    for table in tables:
        counts.update({int(key): int(count) for key, count in re.findall(r"key=(\d+) .*?gpc0=(\d+)", table)})
    return dict(+counts)


async def servers(cli: MasterCli, backend: str = "") -> Servers:
    """The servers of one backend, or of all. None if HAProxy does not respond."""
    try:
        async with asyncio.timeout(LONGEST):
            return await asyncio.to_thread(Servers, await cli.stat(backend))
    except (EngineUnavailable, TimeoutError):
        return Servers()
