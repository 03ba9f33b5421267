"""The database's driver without its threads: what aiosqlite queues for one is done at once."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiosqlite.core import set_exception, set_result


class AtOnce:
    """In the place of the thread's queue. Whoever waits goes on in a later turn of the loop, as with a thread."""

    def put_nowait(self, item: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        future, function = item
        try:
            tell, outcome = set_result, function()
        except BaseException as error:  # noqa: BLE001 the driver's thread gives any of them to the future
            tell, outcome = set_exception, error
        if future is not None:
            tell(future, outcome)


class NoThread:
    def __init__(self, target: object, args: object) -> None:
        self.daemon = True

    def start(self) -> None:
        """There is nothing to start."""
