"""Applications of the agent that are asked for beside the live ones: by old workers, and by requests in progress. Each request
asks for the one that its virtual host had when it came, once for itself and once for its response."""

import asyncio
from collections.abc import Collection
from time import monotonic

from guardpanel.engines.drift import Inspector
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.releases import Release
from guardpanel.engines.runtime.old_workers import OldWorkers
from guardpanel.engines.waf.agent_files import applications_in, read_configuration

LONGEST_SECONDS = 7200.0
"""For which an application is kept for requests. A server may take an hour to answer, after ten minutes in the queue. What lasts
longer, such as a WebSocket, has long had its verdict."""

ROUNDING_SECONDS = 2.0
"HAProxy tells ages in whole seconds of its clock."


class ApplicationsInUse:
    def __init__(self, cli: MasterCli, inspector: Inspector, old_workers: OldWorkers) -> None:
        self.cli, self.inspector, self.old_workers = cli, inspector, old_workers
        self._since: dict[str, float] = {}
        "By application: since when it is known that no new request asks for it."
        self.waits = False
        "Whether some were kept for requests in progress."

    async def beside(self, release: Release, draining: Collection[str]) -> list[str] | None:
        """`draining`: the checksums that old workers run. None, which means all, if it is unknown. Raises EngineUnavailable."""
        of_workers = await asyncio.to_thread(self.inspector.applications_of, draining)
        if of_workers is None:
            return None
        kept = {*of_workers, *await self.old_workers.applications()}
        live, loaded = await asyncio.to_thread(
            lambda: (applications_in(read_configuration(release)) or {}, self.inspector.loaded_applications())
        )
        return sorted(kept | await self._of_requests(loaded - live.keys() - kept))

    async def _of_requests(self, applications: Collection[str]) -> set[str]:
        """Of these, which no new request of the newest worker asks for, those that an older one may."""
        now = monotonic()
        self._since = {name: self._since.get(name, now) for name in applications}
        oldest = await self.cli.oldest_request() if applications else None
        kept = {name for name, since in self._since.items() if oldest is not None and _is_within(now - since, oldest)}
        self.waits = bool(kept)
        return kept


def _is_within(unused: float, oldest: int) -> bool:
    return unused <= min(LONGEST_SECONDS, oldest + ROUNDING_SECONDS)
