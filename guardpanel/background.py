"""Work beside the requests: loops, and single deeds that are tried until they are done. No fault ends one in silence.

Whatever one raises is logged with its stack, and it begins again with back-off. How each is doing is told by /readyz, by
/metrics and by the live line. This is the one place where any exception is caught: nobody waits for these tasks, so
nobody else would hear of it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time
from typing import Any

from guardpanel.errors import Problem

log = logging.getLogger(__name__)

SHORTEST, LONGEST = 0.5, 30.0
"Seconds before it begins again: twice as many with each failure in a row."

Step = Callable[[], Awaitable[object]]
Pause = float | Step
"Seconds, or what is waited for."


@dataclass
class Health:
    """How one of them is doing; what has the same name shares it."""

    name: str
    succeeded_at: float | None = None
    "When a step last went through (seconds since 1970)."
    failures: int = 0
    "In a row; 0 after a step that went through."
    restarts: int = 0
    "All failures since the panel started: it began again after each."
    fault: str = ""
    "The kind of the last failure. What it says may be secret: that is for the log."
    _logged: str = ""

    def succeed(self, now: float) -> None:
        self.succeeded_at, self.failures, self.fault, self._logged = now, 0, "", ""

    def fail(self, error: BaseException) -> None:
        """The same failure again is logged without its stack: a disk that is full for a night must not fill the log, too."""
        self.failures, self.restarts, self.fault = self.failures + 1, self.restarts + 1, type(error).__name__
        stack = None if repr(error) == self._logged else error
        self._logged = repr(error)
        log.error("background task %s failed (%d in a row): %r", self.name, self.failures, error, exc_info=stack)

    @property
    def succeeded(self) -> datetime | None:
        return None if self.succeeded_at is None else datetime.fromtimestamp(self.succeeded_at, UTC)

    @property
    def words(self) -> str:
        """`retention: failed 3 times in a row`; empty while it does well."""
        times = "once" if self.failures == 1 else f"{self.failures} times in a row"
        return f"{self.name}: failed {times}" if self.failures else ""


class Background:
    """The background tasks of one panel."""

    def __init__(self, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep, now: Callable[[], float] = time):
        self.sleep = sleep
        self._now = now
        self._health: dict[str, Health] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, name: str, step: Step, pause: Pause, *, longest: float = LONGEST) -> asyncio.Task[None]:
        """Run `step` again and again, with a pause after each and with back-off of at most `longest` seconds after a
        failure, until the task is cancelled."""
        return self._begin(name, step, pause, longest)

    def once(self, name: str, step: Step) -> asyncio.Task[None]:
        """Run `step` until it goes through."""
        return self._begin(name, step, None, LONGEST)

    @property
    def health(self) -> list[Health]:
        return list(self._health.values())

    @property
    def failing(self) -> list[Health]:
        return [health for health in self._health.values() if health.failures]

    async def close(self) -> None:
        """End them all."""
        await end(*self._tasks)

    def _begin(self, name: str, step: Step, pause: Pause | None, longest: float) -> asyncio.Task[None]:
        health = self._health.setdefault(name, Health(name))
        task = asyncio.create_task(self._run(health, step, pause, longest), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, health: Health, step: Step, pause: Pause | None, longest: float) -> None:
        while True:
            try:
                await asyncio.sleep(0)  # whatever a step and its pause do, others have their turn
                await step()
                health.succeed(self._now())
                if pause is None:
                    return
                await (pause() if callable(pause) else self.sleep(pause))
            except asyncio.CancelledError as error:
                if _is_told_to_end():
                    raise
                health.fail(error)  # it waited for something that was cancelled
            except Exception as error:  # noqa: BLE001 see above
                health.fail(error)
            if health.failures:
                await self.sleep(back_off(health.failures, longest))


def back_off(failures: int, longest: float) -> float:
    """Seconds after so many failures in a row."""
    return min(longest, SHORTEST * 2.0 ** min(failures - 1, 16))


async def end(*tasks: asyncio.Task[None]) -> None:
    """Cancel these and wait until they are over."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def tell_fault(task: asyncio.Task[Any]) -> None:
    """When it is done: log what is no problem in our own words. Whoever waited for it may have gone."""
    if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, Problem):
        log.error("%s failed: %r", task.get_name(), error, exc_info=error)


def _is_told_to_end() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
