"""A cached answer of the engines that many pages need: queried once for all of them, and awaited for a limited time."""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from time import monotonic
from typing import Generic, TypeVar

from guardpanel.background import tell_fault

T = TypeVar("T")

FRESH = 1.0
"Seconds for which an answer is reused."


class AnswerCache(Generic[T]):
    """Caches the answer of `ask`, which must not raise and may take long."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._known: tuple[float, T] | None = None
        self._asking: asyncio.Task[T] | None = None
        self._changes = self._known_changes = 0

    async def get(self, patience: float, oldest: float = inf) -> T:
        """A fresh answer. After `patience` seconds, the previous one if it is at most `oldest` seconds old."""
        known, age = self._known, self._age()
        if known is not None and age < FRESH and self._known_changes == self._changes:
            return known[1]
        asking = self._begin()
        if known is not None and age < oldest:
            done, _ = await asyncio.wait({asking}, timeout=patience)
            return asking.result() if done else known[1]
        return await asyncio.shield(asking)

    def forget(self) -> None:
        """Something changed: drop the answer, including one that is under way."""
        self._known = None
        self.outdate()

    def outdate(self) -> None:
        """Something changed: the previous answer is still good enough for callers that do not want to wait."""
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
