"""Reloads HAProxy with the current release, and waits until its new worker responds."""

import asyncio
from contextlib import suppress
from time import monotonic

from guardpanel.engines.haproxy.haproxy import HAProxy
from guardpanel.engines.haproxy.loading import Reading, end_loading_worker, newest_worker
from guardpanel.engines.haproxy.master_cli import MasterCli, Processes
from guardpanel.engines.processes.patience import Patience
from guardpanel.engines.processes.proc import processes_at
from guardpanel.engines.releases import Releases
from guardpanel.errors import DeploymentFailed, EngineUnavailable

START_PATIENCE_SECONDS = 15.0
"Seconds for an engine that is just starting."

RELOAD_PATIENCE_SECONDS = 15.0

PAUSE_SECONDS, LONGEST_PAUSE = 0.002, 0.01
"Seconds between looks for the new worker: few configurations take long, and those that do need the processor themselves."

STILL_LOADING = "Another reload is still in progress"
"""The answer of a master (3.1 and newer) that still loads another worker, including its first (cli_parse_reload() in its
src/mworker.c): it ignored the reload, so it is sent again."""


class StillLoading(DeploymentFailed):
    """HAProxy accepts no reload while a worker loads, and this one can be neither awaited nor ended."""


class Reloader:
    def __init__(self, cli: MasterCli, haproxy: HAProxy, releases: Releases) -> None:
        self.cli, self.haproxy, self.releases = cli, haproxy, releases

    async def reload(self, checksum: str, *, again: bool = False) -> None:
        """Have HAProxy load the current release, unless it already runs it (it may just have started with it)."""
        patience = patience_with(self.cli, RELOAD_PATIENCE_SECONDS)
        while True:
            before = await self.cli.processes(patience=START_PATIENCE_SECONDS)
            if not again and await self.has_loaded(checksum, before):
                return None
            reading = await Reading.of(self.cli, before)
            await asyncio.to_thread(self.haproxy.place_lua)
            answer = await self.cli.reload()
            if STILL_LOADING not in answer:
                return await self._wait_for_a_new_worker(reading, answer)
            if patience.is_over and not await end_loading_worker(self.cli):
                words = "HAProxy did not start a new worker: it is still loading the previous configuration."
                raise StillLoading(words, step="reload", evidence=answer)
            await asyncio.sleep(0.02)

    async def has_loaded(self, checksum: str, now: Processes | None = None) -> bool:
        """Whether the newest worker runs it and no other worker is loading. False if HAProxy does not respond."""
        with suppress(EngineUnavailable):
            processes, info = (
                (now, await self.cli.info())
                if now is not None
                else await asyncio.gather(self.cli.processes(), self.cli.info())
            )
            is_newest = int(info.get("pid", 0)) in processes.workers and not processes.failed
            return is_newest and info.get("description") == f"guardpanel {checksum}"
        return False

    async def _wait_for_a_new_worker(self, reading: Reading, answer: str) -> None:
        """`answer` is the master's to the reload. Raises DeploymentFailed if there is none."""
        before = reading.before
        patience, pause = Patience(RELOAD_PATIENCE_SECONDS, reading.processes), PAUSE_SECONDS
        while True:
            try:
                now = await self.cli.processes()
            except EngineUnavailable as error:
                reading.answers = False
                if reading.is_gone:
                    words = "HAProxy exited while loading the new configuration."
                    raise DeploymentFailed(words, step="reload", evidence=answer) from error
            else:
                reading.answers = True
                if _has_new_worker(before, now) and await newest_worker(self.cli) in now.workers:
                    return
                if now.failed > before.failed:
                    answer_or_complaints = answer or await self.haproxy.complaints(self.releases.link)
                    raise DeploymentFailed(
                        "HAProxy failed to load the new configuration.", step="reload", evidence=answer_or_complaints
                    )
            if patience.is_over:
                await end_loading_worker(self.cli)
                raise DeploymentFailed("HAProxy did not start a new worker.", step="reload", evidence=answer)
            await asyncio.sleep(pause)
            pause = min(1.05 * pause, LONGEST_PAUSE)

    async def runs(self, checksum: str, patience: float = START_PATIENCE_SECONDS) -> bool:
        """Whether HAProxy's newest worker has loaded this configuration. False if it does not respond in time."""
        ends = monotonic() + patience
        while True:
            try:
                return (await self.cli.info()).get("description") == f"guardpanel {checksum}"
            except EngineUnavailable:
                if monotonic() >= ends:
                    return False
                await asyncio.sleep(0.05)


def _has_new_worker(before: Processes, now: Processes) -> bool:
    return bool(now.workers) and not set(now.workers) & set(before.workers) and now.failed == 0


def patience_with(cli: MasterCli, seconds: float) -> Patience:
    """As long as HAProxy is working."""
    return Patience(seconds, lambda: processes_at(cli.path))
