"""Applications of the agent that are asked for beside the live ones: by old workers, and by requests in progress. Each request
asks for the one that its virtual host had when it came, once for itself and once for its response."""

import asyncio
from collections.abc import Collection, Iterable
from math import inf
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

LOOKUP_SECONDS = 60.0
"For which a request may be in progress before its virtual host is looked up: while its headers arrive."


class ApplicationsInUse:
    def __init__(self, cli: MasterCli, inspector: Inspector, old_workers: OldWorkers) -> None:
        self.cli, self.inspector, self.old_workers = cli, inspector, old_workers
        self._loaded: dict[str, float] = {}
        "By application: when it was given to the agent. Without those that were there before."
        self._since: dict[str, float] = {}
        "By application: since when it is known that no new request asks for it."
        self.waits = False
        "Whether some were kept for requests in progress."

    def go_live(self, applications: Iterable[str]) -> None:
        """These are about to be live: requests that came long before ask for none that the agent did not have, and those that
        come now may ask for each, also if it was unused before."""
        now = monotonic()
        for name in applications:
            self._loaded.setdefault(name, now)
            self._since.pop(name, None)

    async def beside(self, release: Release, draining: Collection[str]) -> list[str] | None:
        """`draining`: the checksums that old workers run. None, which means all, if it is unknown. Raises EngineUnavailable."""
        of_workers = await asyncio.to_thread(self.inspector.applications_of, draining)
        if of_workers is None:
            return None
        kept = {*of_workers, *await self.old_workers.applications()}
        live, loaded = await asyncio.to_thread(
            lambda: (applications_in(read_configuration(release)) or {}, self.inspector.loaded_applications())
        )
        self._loaded = {name: moment for name, moment in self._loaded.items() if name in loaded}
        return sorted(kept | await self._of_requests(loaded - live.keys() - kept))

    async def _of_requests(self, applications: Collection[str]) -> set[str]:
        """Of these, which no new request of the newest worker asks for, those that an older one may."""
        now = monotonic()
        self._since = {name: self._since.get(name, now) for name in applications}
        ages = await self.cli.ages_of_requests() if applications else ()
        kept = {
            name
            for name, since in self._since.items()
            if any(_came_between(now - self._loaded.get(name, -inf), now - since, age) for age in ages)
        }
        self.waits = bool(kept)
        return kept


def _came_between(loaded: float, unused: float, age: tuple[int, int]) -> bool:
    """Whether a request of this age, at least and at most, may ask for what was loaded and became unused so many seconds ago."""
    least, most = age
    return least <= loaded + LOOKUP_SECONDS and unused <= min(LONGEST_SECONDS, most + ROUNDING_SECONDS)
