"""Background tasks: loops, and single tasks that are retried until they succeed.

No failure ends one silently. Whatever it raises is logged with its stack, and it restarts with back-off. /readyz, /metrics and
the live line report its state. This is the only place that catches every exception: nothing awaits these tasks, so nothing else
would notice.
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
"Seconds before a restart. They double with each consecutive failure."

Step = Callable[[], Awaitable[object]]
Pause = float | Step
"Seconds, or an awaitable."


@dataclass
class Health:
    """The state of a task. Tasks with the same name share it."""

    name: str
    succeeded_at: float | None = None
    "When a step last succeeded (seconds since 1970)."
    failures: int = 0
    "Consecutive failures. 0 after a step that succeeded."
    restarts: int = 0
    "All failures since the panel started. Each one caused a restart."
    fault: str = ""
    "The type of the last failure. Its message may be secret and is only logged."
    _logged: str = ""

    def succeed(self, now: float) -> None:
        self.succeeded_at, self.failures, self.fault, self._logged = now, 0, "", ""

    def fail(self, error: BaseException) -> None:
        """A repeated failure is logged without its stack, so that a disk that is full overnight does not fill the log."""
        self.failures, self.restarts, self.fault = self.failures + 1, self.restarts + 1, type(error).__name__
        stack = None if repr(error) == self._logged else error
        self._logged = repr(error)
        log.error("background task %s failed (%d in a row): %r", self.name, self.failures, error, exc_info=stack)

    @property
    def succeeded(self) -> datetime | None:
        return None if self.succeeded_at is None else datetime.fromtimestamp(self.succeeded_at, UTC)

    @property
    def words(self) -> str:
        """`retention: failed 3 times in a row`, or empty while it works."""
        times = "once" if self.failures == 1 else f"{self.failures} times in a row"
        return f"{self.name}: failed {times}" if self.failures else ""


class Background:
    """The background tasks of a panel."""

    def __init__(self, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep, now: Callable[[], float] = time):
        self.sleep = sleep
        self._now = now
        self._health: dict[str, Health] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, name: str, step: Step, pause: Pause, *, longest: float = LONGEST) -> asyncio.Task[None]:
        """Run `step` repeatedly until canceled, with a pause after each run, and after a failure with a back-off of at most
        `longest` seconds."""
        return self._begin(name, step, pause, longest)

    def once(self, name: str, step: Step) -> asyncio.Task[None]:
        """Run `step` until it succeeds."""
        return self._begin(name, step, None, LONGEST)

    @property
    def health(self) -> list[Health]:
        return list(self._health.values())

    @property
    def failing(self) -> list[Health]:
        return [health for health in self._health.values() if health.failures]

    async def close(self) -> None:
        """Stop all tasks."""
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
                await asyncio.sleep(0)  # Yield to others, whatever a step and its pause do.
                await step()
                health.succeed(self._now())
                if pause is None:
                    return
                await (pause() if callable(pause) else self.sleep(pause))
            except asyncio.CancelledError as error:
                if _is_told_to_end():
                    raise
                health.fail(error)  # It awaited something that was canceled.
            except Exception as error:  # noqa: BLE001 see above
                health.fail(error)
            if health.failures:
                await self.sleep(back_off(health.failures, longest))


def back_off(failures: int, longest: float) -> float:
    """Seconds to wait after this number of consecutive failures."""
    return min(longest, SHORTEST * 2.0 ** min(failures - 1, 16))


async def end(*tasks: asyncio.Task[None]) -> None:
    """Cancel these tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def tell_fault(task: asyncio.Task[Any]) -> None:
    """A done callback: log what is not a Problem. Whoever awaited the task may be gone."""
    if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, Problem):
        log.error("%s failed: %r", task.get_name(), error, exc_info=error)


def _is_told_to_end() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
