"""Requests that are carried out after their response (`Prefer: respond-async`)."""

import asyncio
from collections.abc import Coroutine

from guardpanel.background import end, tell_fault

MOST = 16
"At once. Requests beyond are answered when they have been carried out."


class Jobs:
    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def has_room(self) -> bool:
        return len(self._tasks) < MOST

    def begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="job")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(tell_fault)

    async def close(self) -> None:
        """What was not done by then is told as after a kill."""
        await end(*self._tasks)
