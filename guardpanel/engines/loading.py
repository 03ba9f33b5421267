"""A worker that hangs while it loads what was given up: left alone, it would serve that as soon as its cause is gone.

From HAProxy 3.1 on the configuration is read by the new worker itself. The master answers meanwhile and lists it beside the old
one that serves; its end is a refused reload (mworker_catch_sigchld() in src/mworker.c). Up to 3.0 the master itself
reads, and nobody may end that.
"""

import asyncio
import os
import signal
from contextlib import suppress

from guardpanel.engines.master_cli import MasterCli
from guardpanel.engines.proc import children_of, listener_of
from guardpanel.errors import EngineUnavailable


async def newest_worker(cli: MasterCli) -> int:
    """The worker that answers as the newest one; 0 where none does. One that still loads is listed and does not yet answer."""
    with suppress(EngineUnavailable):
        return int((await cli.info()).get("pid", 0))
    return 0


async def end_loading_worker(cli: MasterCli) -> bool:
    """Whether there was one that we may end. It is stopped first and looked at again: it may just have taken over, and the end
    of the worker that serves ends HAProxy."""
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
    """The child of the master that loads beside an old worker that serves; 0 where there is none, or in another container."""
    with suppress(EngineUnavailable):
        now = await cli.processes()
        serves, master = await newest_worker(cli), await asyncio.to_thread(listener_of, cli.path)
        if serves in now.old_workers and master == now.master:
            return max(children_of(master) & set(now.workers), default=0)
    return 0
