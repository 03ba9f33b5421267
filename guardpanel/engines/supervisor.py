"""`guardpanel up` keeps HAProxy, the agent and the event ingest running.

Each starts in its own session. The engines outlive a killed panel: traffic continues, and the next panel finds them by their
sockets and takes over. The ingest ends with its panel. Exited children are restarted with back-off. No process is ever ended by
name.
"""

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

from guardpanel.background import Background, end
from guardpanel.engines.processes.child import Child, ChildState
from guardpanel.engines.processes.proc import has_lost
from guardpanel.engines.processes.process import clean_environment
from guardpanel.engines.processes.rotation import LARGEST_LOG, rotate, rotate_access_log
from guardpanel.engines.protocol import Engines
from guardpanel.settings import Settings

log = logging.getLogger(__name__)

LOOK_EVERY, ROTATE_EVERY = 0.1, 10.0
"Seconds between two looks at a child, and at the sizes of logs."

LONGEST_BLIND = 2.0
"Seconds after a failed look, during which engines that exit are not restarted."

LOST_EVERY, LOST_TIMES = 1.0, 6
"Seconds between two looks at HAProxy's master socket, and how often in a row it must be unreachable."


class Supervisor:
    """The agent, HAProxy and the ingest as children of `guardpanel up`."""

    def __init__(self, settings: Settings, engines: Engines, background: Background | None = None) -> None:
        self.background = background or Background()
        for folder in (settings.run_dir, settings.log_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.agent, self.haproxy = _agent(settings, engines), _haproxy(settings, engines)
        self.ingest = _ingest(settings)
        self._tasks: list[asyncio.Task[None]] = []
        self._lost = 0
        "How often in a row HAProxy's master socket was unreachable."

    def start(self) -> None:
        keep = partial(self.background.keep, longest=LONGEST_BLIND)
        self._tasks = [
            *(keep(f"supervision of {child.name}", child.keep, LOOK_EVERY) for child in self.children),
            keep("master socket", self._keep_reachable, LOST_EVERY),
            keep("log rotation", self._rotate, ROTATE_EVERY),
            keep("access log rotation", self._rotate_access_log, ROTATE_EVERY),
        ]

    @property
    def children(self) -> tuple[Child, ...]:
        return self.agent, self.haproxy, self.ingest

    def states(self) -> list[ChildState]:
        return [child.describe() for child in self.children]

    async def stop(self) -> None:
        """HAProxy first: while it accepts requests, the agent must inspect them."""
        await end(*self._tasks)
        await self.haproxy.stop()
        await self.agent.stop()
        await self.ingest.stop()

    async def _keep_reachable(self) -> None:
        """A second HAProxy that was started with our master socket replaces it in the file system, and removes it on exit. Our
        master binds it again during a reload, which is triggered by a signal if it cannot be reached otherwise."""
        pid = self.haproxy.pid
        lost = pid is not None and await asyncio.to_thread(has_lost, self.haproxy.control, pid)
        self._lost = self._lost + 1 if lost else 0  # This happens briefly in every reload.
        if self._lost >= LOST_TIMES and pid is not None:
            log.warning("HAProxy’s master socket is gone; asking HAProxy to bind it again")
            await asyncio.to_thread(self.haproxy.before)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR2)
            self._lost = 0

    async def _rotate(self) -> None:
        """The engines keep their log files open and append."""
        for path in {child.log for child in self.children}:
            if path.exists() and path.stat().st_size > LARGEST_LOG:
                await asyncio.to_thread(rotate, path)

    async def _rotate_access_log(self) -> None:
        if self.haproxy.output and self.haproxy.output.exists():
            await asyncio.to_thread(rotate_access_log, self.haproxy.output)


def of_ingest(settings: Settings) -> dict[str, str]:
    """Its settings and the code's version."""
    return {
        "GUARDPANEL_DATA_DIR": str(settings.data_dir),
        "GUARDPANEL_EVENT_DAYS": str(settings.event_days),
        "GUARDPANEL_EVENT_MIB": str(settings.event_mib),
        "GUARDPANEL_LOG_LEVEL": settings.log_level,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }


def _agent(settings: Settings, engines: Engines) -> Child:
    return Child(
        name="WAF agent",
        command=lambda: engines.agent.command(settings.events_dir),
        may_start=engines.agent.configuration.exists,
        reads=lambda: _changed_at(engines.agent.configuration),
        control=engines.agent.answers_at,
        log=settings.log_dir / "agent.log",
        output=None,
        cwd=settings.data_dir,
        before=engines.agent.make_way,
    )


def _haproxy(settings: Settings, engines: Engines) -> Child:
    return Child(
        name="HAProxy",
        command=lambda: [
            engines.haproxy.binary(),
            "-W",
            "-S",
            f"{settings.master_socket},mode,600",
            "-f",
            str(settings.data_dir / "current" / "haproxy.cfg"),
        ],
        may_start=lambda: engines.releases.current_number() is not None,
        reads=engines.releases.current_number,
        control=settings.master_socket,
        log=settings.log_dir / "haproxy.log",
        output=settings.access_log,
        cwd=settings.data_dir,
        before=engines.haproxy.place_lua,
    )


def _ingest(settings: Settings) -> Child:
    return Child(
        name="Ingest",
        command=lambda: [sys.executable, "-m", "guardpanel", "ingest", "--parent", str(os.getpid())],
        may_start=lambda: True,
        reads=lambda: None,
        control=settings.ingest_socket,
        log=settings.log_dir / "ingest.log",
        output=None,
        cwd=settings.data_dir,
        environment=clean_environment() | of_ingest(settings),
    )


def _changed_at(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0
