"""An answer of the engines that many pages ask for: asked once for all of them, and waited for no longer than is right."""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from time import monotonic
from typing import Generic, TypeVar

from guardpanel.background import tell_fault

T = TypeVar("T")

FRESH = 1.0
"Seconds for which an answer is given again."


class AnswerCache(Generic[T]):
    """The newest answer of `ask`, which raises nothing and takes its time."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._known: tuple[float, T] | None = None
        self._asking: asyncio.Task[T] | None = None
        self._changes = self._known_changes = 0

    async def get(self, patience: float, oldest: float = inf) -> T:
        """One that is fresh; after `patience` seconds the last one, if it is not older than `oldest` seconds."""
        known, age = self._known, self._age()
        if known is not None and age < FRESH and self._known_changes == self._changes:
            return known[1]
        asking = self._begin()
        if known is not None and age < oldest:
            done, _ = await asyncio.wait({asking}, timeout=patience)
            return asking.result() if done else known[1]
        return await asyncio.shield(asking)

    def forget(self) -> None:
        """Something changed: what was asked before, or is being asked, says nothing of now."""
        self._known = None
        self.outdate()

    def outdate(self) -> None:
        """Something changed; the last answer is good enough for who does not want to wait for a newer one."""
        self._changes += 1
        self._asking = None

    def _age(self) -> float:
        return inf if self._known is None else monotonic() - self._known[0]

    def _begin(self) -> "asyncio.Task[T]":
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_now(self._changes), name="a question to the engines")
            self._asking.add_done_callback(tell_fault)
        return self._asking

    async def _ask_now(self, changes: int) -> T:
        answer = await self._ask()
        if changes == self._changes:
            self._known, self._known_changes = (monotonic(), answer), changes
        return answer
