"""A process that is kept running: found or started, waited for, and restarted with back-off when it exits."""

import asyncio
import logging
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from guardpanel.engines.processes.proc import is_process, listener_of
from guardpanel.engines.processes.process import environment_of_engines

log = logging.getLogger(__name__)

SHORTEST_PAUSE, LONGEST_PAUSE_SECONDS = 0.2, 30.0

STEADY = 60.0
"Seconds of uptime after which an exit resets the back-off."

STOP_PATIENCE_SECONDS = 8.0


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
    """An engine: how it starts, when it may, and its state."""

    name: str
    command: Callable[[], Sequence[str]]
    may_start: Callable[[], bool]
    reads: Callable[[], object]
    "Identifies its configuration."
    control: Path
    log: Path
    output: Path | None
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=environment_of_engines)
    before: Callable[[], object] = lambda: None
    "Called before each start."
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
        """One look: adopt or start the process. If it exited, pause and restart it."""
        if self.state == "running":
            if self.alive():
                return
            if monotonic() - self._started > STEADY:
                self._pause = SHORTEST_PAUSE
            log.error("%s exited (%s); restarting in %.1f s", self.name, self.last_exit, self._pause)
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
            self.last_exit = f"cannot be started: {error.strerror or error}"
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
        # Retry at once with a configuration other than the one it exited with.
        self._pause = min(LONGEST_PAUSE_SECONDS, self._pause * 2) if self.reads() == died_with else SHORTEST_PAUSE

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
        """Send TERM, then KILL, to its own pid. Its children (HAProxy's workers) end with it."""
        if self.pid is not None and self.alive():
            for end, patience in ((signal.SIGTERM, STOP_PATIENCE_SECONDS), (signal.SIGKILL, 2.0)):
                with suppress(ProcessLookupError):
                    os.kill(self.pid, end)
                ends = monotonic() + patience
                while self.alive() and monotonic() < ends:
                    await asyncio.sleep(0.02)
                if not self.alive():
                    break
        self.pid = None
        self.enter("stopped")
