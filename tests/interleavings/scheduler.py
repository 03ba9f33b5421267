"""One seed decides everything: who runs next, how long each step takes, what fails, and where the process is killed.

Everything of the panel runs on one thread with a clock of its own. Threads (`to_thread`, the database driver's) run their
work at once and give the answer later, after a time that the seed chooses; time passes only while nobody can run.
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiosqlite.core

KILLED = 99
"The exit code of a process that was killed: `os._exit` runs no cleanup, as little as SIGKILL."

FILE_EVENTS = {"open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.link", "os.symlink", "os.truncate"}


class Clockwork(asyncio.SelectorEventLoop):
    """A loop whose time jumps to the next timer; a loop in which nobody can ever run again raises."""

    def __init__(self) -> None:
        self.now = 1.0
        super().__init__()

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and not self._scheduled:
            raise RuntimeError("everybody waits for somebody")
        if not self._ready:
            self.now = max(self.now, self._scheduled[0]._when)
        super()._run_once()


class Fate:
    """What the seed decides in one life of the process."""

    def __init__(self, seed: str, folder: Path, kill_at: int | None) -> None:
        self.random = random.Random(seed)
        self.folder = str(folder)
        self.kill_at = kill_at
        self.points = 0

    def point(self) -> None:
        """A place where the process may be killed."""
        self.points += 1
        if self.points == self.kill_at:
            os._exit(KILLED)

    def happens(self, chance: float) -> bool:
        return self.random.random() < chance

    def seconds(self) -> float:
        return self.random.random() * self.random.choice((0.001, 0.001, 0.02))

    async def pause(self) -> None:
        """Let others run."""
        self.point()
        await asyncio.sleep(self.seconds())
        self.point()

    def rule(self) -> None:
        """Take the place of threads, clock and files' system calls in this process, until its end."""

        def audit(event: str, arguments: tuple[Any, ...]) -> None:
            if event in FILE_EVENTS and str(arguments[0]).startswith(self.folder):
                self.point()

        fsync = os.fsync

        def counted_fsync(descriptor: int) -> None:
            self.point()
            fsync(descriptor)

        async def to_thread(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
            await self.pause()
            try:
                return function(*arguments, **named)
            finally:
                await self.pause()

        sys.addaudithook(audit)
        os.fsync = counted_fsync
        asyncio.to_thread = to_thread
        aiosqlite.core.SimpleQueue = lambda: AtOnce(self)
        aiosqlite.core.Thread = NoThread
        for module in list(sys.modules.values()):
            if getattr(module, "__name__", "").startswith("guardpanel") and hasattr(module, "monotonic"):
                module.monotonic = lambda: asyncio.get_running_loop().time()


class AtOnce:
    """In the place of the database thread's queue."""

    def __init__(self, fate: Fate) -> None:
        self.fate = fate

    def put_nowait(self, item: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        future, function = item
        self.fate.point()
        try:
            tell, outcome = aiosqlite.core.set_result, function()
        except BaseException as error:  # noqa: BLE001 the driver's thread gives any of them to the future
            tell, outcome = aiosqlite.core.set_exception, error
        self.fate.point()
        if future is not None:
            future.get_loop().call_later(self.fate.seconds(), tell, future, outcome)


class NoThread:
    def __init__(self, target: object, args: object) -> None:
        self.daemon = True

    def start(self) -> None:
        """There is nothing to start."""


def seed_of_today() -> int:
    return int(time.time())
