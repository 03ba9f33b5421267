"""HAProxy while it loads a configuration.

Up to 3.0 its master loads it, and does not respond meanwhile. From 3.1 on the new worker does. It is listed next to the old
worker, which serves, and its exit means a rejected reload (mworker_catch_sigchld() in src/mworker.c).
"""

import asyncio
import os
import signal
from contextlib import suppress

from guardpanel.engines.haproxy.master_cli import MasterCli, Processes
from guardpanel.engines.processes.proc import children_of, is_process, listener_of
from guardpanel.errors import EngineUnavailable


class Reading:
    """The processes that work while HAProxy loads."""

    def __init__(self, before: Processes, *, is_here: bool) -> None:
        self.before = before
        self.answers = True
        self._others = {*before.workers, *before.old_workers}
        self._is_here = is_here

    @classmethod
    async def of(cls, cli: MasterCli, before: Processes) -> "Reading":
        """Created before the reload, since the master may be gone afterwards. In another container its processes have other
        numbers here."""
        return cls(before, is_here=await asyncio.to_thread(listener_of, cli.path) == before.master)

    @property
    def is_gone(self) -> bool:
        return self._is_here and not is_process(self.before.master)

    def processes(self) -> set[int]:
        """A master that responds may also be working for someone else."""
        if not self._is_here:
            return set()
        master = self.before.master
        return (children_of(master) - self._others) | (set() if self.answers else {master})


async def newest_worker(cli: MasterCli) -> int:
    """The worker that responds as the newest. 0 if none does. One that still loads is listed but does not respond yet."""
    with suppress(EngineUnavailable):
        return int((await cli.info()).get("pid", 0))
    return 0


async def end_loading_worker(cli: MasterCli) -> bool:
    """End a worker that hangs while loading, if it is ours to end. Otherwise it would serve what was given up as soon as the
    cause is gone. It is stopped first and checked again, since it may just have taken over, and the end of the serving worker
    ends HAProxy."""
    pid = await _loading_worker(cli)
    if not pid:
        return False
    try:
        os.kill(pid, signal.SIGSTOP)
        loads = await _loading_worker(cli) == pid
        os.kill(pid, signal.SIGKILL if loads else signal.SIGCONT)
    except (ProcessLookupError, PermissionError):
        return False
    return loads


async def _loading_worker(cli: MasterCli) -> int:
    """The master's child that loads while an old worker serves. 0 if there is none, or in another container."""
    with suppress(EngineUnavailable):
        now = await cli.processes()
        serves, master = await newest_worker(cli), await asyncio.to_thread(listener_of, cli.path)
        if serves in now.old_workers and master == now.master:
            return max(children_of(master) & set(now.workers), default=0)
    return 0
