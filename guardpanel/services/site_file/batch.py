"""Several changes as one save: services create, update and delete in one transaction, with all their checks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.database import Database
from guardpanel.services.saving.change import Change, SaveResult
from guardpanel.services.saving.changes import Changes
from guardpanel.services.saving.preparing import Mutation

T = TypeVar("T")


class _InTransaction(Database):
    """Reads what the transaction has written so far."""

    def __init__(self, database: Database, session: AsyncSession) -> None:
        self.__dict__.update(vars(database))
        self._session = session

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        await self._session.flush()
        yield self._session


class Batch(Changes):
    """To a service, the path of every save. Nothing is live before the save around it is."""

    def __init__(self, changes: Changes, session: AsyncSession, *, is_confirmed: bool) -> None:
        self.__dict__.update(vars(changes))
        self.is_confirmed = is_confirmed
        self.database = _InTransaction(changes.database, session)
        self._session = session
        self.last: Change | None = None
        "What was saved last."

    async def save(self, change: Change, mutate: Mutation[T]) -> SaveResult[T]:
        value = await mutate(self._session)
        await self._session.flush()
        self.last = change
        return SaveResult(value, 0, 0.0, is_new=False)
