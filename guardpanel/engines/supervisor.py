"""`guardpanel up` keeps HAProxy, the agent and the ingest of events running.

All are started in sessions of their own. The engines outlive a panel that is killed: traffic goes on, and the next panel
finds them by their sockets and takes over. The ingest ends with its panel. A child that dies is started again with
back-off. Nobody is ever ended by name.
"""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic

from guardpanel.background import Background, end
from guardpanel.engines.proc import has_lost, is_process, listener_of
from guardpanel.engines.process import clean_environment
from guardpanel.engines.protocol import Engines
from guardpanel.engines.rotation import LARGEST_LOG, rotate, rotate_access_log
from guardpanel.settings import Settings

log = logging.getLogger(__name__)

SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
STEADY = 60.0
"Seconds of life after which a death starts the back-off anew."

STOP_PATIENCE = 8.0

LOOK_EVERY, ROTATE_EVERY = 0.1, 10.0
"Seconds between two looks at a child, and at the sizes of logs."

LONGEST_BLIND = 2.0
"Seconds after a look that failed: meanwhile nobody starts an engine that ends."

LOST_EVERY, LOST_TIMES = 1.0, 6
"Seconds between two looks at HAProxy's master socket, and how often in a row it must be out of reach."


@dataclass(frozen=True)
class ChildState:
    """`state`: waiting, running, backing off or stopped."""

    name: str
    state: str
    pid: int | None
    since: datetime
    restarts: int
    last_exit: str


@dataclass
class Child:
    """One engine: how it is started, when it may be, and what became of it."""

    name: str
    command: Callable[[], Sequence[str]]
    may_start: Callable[[], bool]
    reads: Callable[[], object]
    "Tells its configuration from another."
    control: Path
    log: Path
    output: Path | None
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=clean_environment)
    before: Callable[[], object] = lambda: None
    "Done before each start."
    process: "subprocess.Popen[bytes] | None" = None
    pid: int | None = None
    state: str = "waiting"
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    restarts: int = 0
    last_exit: str = ""
    _pause: float = SHORTEST_PAUSE
    _started: float = 0.0

    def describe(self) -> ChildState:
        return ChildState(self.name, self.state, self.pid, self.since, self.restarts, self.last_exit)

    def enter(self, state: str) -> None:
        if state != self.state:
            self.state, self.since = state, datetime.now(UTC)

    async def keep(self) -> None:
        """One look: adopt it or start it; where it has died, pause and do so again."""
        if self.state == "running":
            if self.alive():
                return
            if monotonic() - self._started > STEADY:
                self._pause = SHORTEST_PAUSE
            log.error("%s ended (%s); it is started again in %.1f s", self.name, self.last_exit, self._pause)
            await self._back_off()
        await self._bring_up()

    async def _bring_up(self) -> None:
        self.pid = await asyncio.to_thread(listener_of, self.control)
        if self.pid is not None:
            log.info("%s already runs as process %d", self.name, self.pid)
        else:
            while not self.may_start():
                await asyncio.sleep(0.05)
            if not self._start():
                await self._back_off()
                return
        self.enter("running")
        self._started = monotonic()

    def _start(self) -> bool:
        try:
            self.before()
            with self.log.open("ab") as errors, (self.output or self.log).open("ab") as output:
                self.process = subprocess.Popen(
                    self.command(),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    cwd=self.cwd,
                    env=dict(self.environment),
                    start_new_session=True,
                )
        except OSError as error:
            self.last_exit = f"it could not be started: {error.strerror or error}"
            log.error("%s: %s", self.name, self.last_exit)
            return False
        self.pid = self.process.pid
        return True

    async def _back_off(self) -> None:
        self.pid, self.process = None, None
        self.restarts += 1
        self.enter("backing off")
        ends, died_with = monotonic() + self._pause, self.reads()
        while monotonic() < ends and self.reads() == died_with:
            await asyncio.sleep(min(0.1, self._pause))
        # Another configuration than the one it died with is worth a try at once.
        self._pause = min(LONGEST_PAUSE, self._pause * 2) if self.reads() == died_with else SHORTEST_PAUSE

    def alive(self) -> bool:
        if self.process is not None:
            code = self.process.poll()
            if code is not None:
                self.last_exit = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            return code is None
        if self.pid is not None and is_process(self.pid):
            return True
        self.last_exit = "it was gone"
        return False

    async def stop(self) -> None:
        """TERM, then KILL: by its own pid. Its children (HAProxy's workers) end with it."""
        if self.pid is not None and self.alive():
            for end, patience in ((signal.SIGTERM, STOP_PATIENCE), (signal.SIGKILL, 2.0)):
                with suppress(ProcessLookupError):
                    os.kill(self.pid, end)
                ends = monotonic() + patience
                while self.alive() and monotonic() < ends:
                    await asyncio.sleep(0.02)
                if not self.alive():
                    break
        self.pid = None
        self.enter("stopped")


class Supervisor:
    """The agent, HAProxy and the ingest as children of `guardpanel up`."""

    def __init__(self, settings: Settings, engines: Engines, background: Background | None = None) -> None:
        self.background = background or Background()
        for folder in (settings.run_dir, settings.log_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.agent = Child(
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
        self.haproxy = Child(
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
        )
        self.ingest = Child(
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
        self._tasks: list[asyncio.Task[None]] = []
        self._lost = 0
        "How often in a row HAProxy's master socket was out of reach."

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
        """HAProxy first: while it answers, somebody must judge."""
        await end(*self._tasks)
        await self.haproxy.stop()
        await self.agent.stop()
        await self.ingest.stop()

    async def _keep_reachable(self) -> None:
        """A second HAProxy that was started with our master socket takes its place in the file system, also when it is
        gone. Our master binds it anew in a reload, for which it takes a signal where nobody reaches it otherwise."""
        pid = self.haproxy.pid
        lost = pid is not None and await asyncio.to_thread(has_lost, self.haproxy.control, pid)
        self._lost = self._lost + 1 if lost else 0  # for a moment it is so in every reload
        if self._lost >= LOST_TIMES and pid is not None:
            log.warning("HAProxy's master socket was taken away; it is told to bind it anew")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR2)
            self._lost = 0

    async def _rotate(self) -> None:
        """The engines keep their files open, appending."""
        for path in {child.log for child in self.children}:
            if path.exists() and path.stat().st_size > LARGEST_LOG:
                await asyncio.to_thread(rotate, path)

    async def _rotate_access_log(self) -> None:
        if self.haproxy.output and self.haproxy.output.exists():
            await asyncio.to_thread(rotate_access_log, self.haproxy.output)


def of_ingest(settings: Settings) -> dict[str, str]:
    """The settings that it reads, and this very code."""
    return {
        "GUARDPANEL_DATA_DIR": str(settings.data_dir),
        "GUARDPANEL_EVENT_DAYS": str(settings.event_days),
        "GUARDPANEL_EVENT_MIB": str(settings.event_mib),
        "GUARDPANEL_LOG_LEVEL": settings.log_level,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }


def _changed_at(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0
