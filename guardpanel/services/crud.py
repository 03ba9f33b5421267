"""The operations of every noun: find, add, change, delete, list. Every change is a save (`changes.py`).

A noun's service creates its own `Crud` and adds its queries and rules.
"""

from collections.abc import Mapping
from copy import copy
from typing import Any, Generic, Protocol, Self, TypeVar, Unpack

from pydantic import BaseModel
from sqlalchemy import bindparam
from sqlalchemy.sql.base import ExecutableOption
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import FieldErrors, Invalid, NotFound, Stale
from guardpanel.models import NOUNS
from guardpanel.models.meta import lowered
from guardpanel.models.noun import Noun
from guardpanel.rendering import EngineFacts, Rows
from guardpanel.sealing import Seal
from guardpanel.services.input import validated
from guardpanel.services.paging import Page, Sorted, cut_in_sql
from guardpanel.services.row_fields import RowFields
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import Change, Changes, SaveRequest, SaveResult
from guardpanel.services.saving.differences import Names, in_words


class Row(Protocol):
    """What the row of every noun has."""

    id: int | None
    version: int

    def replace(self, fields: Any, /) -> Self: ...

    def touch(self, version: int) -> None: ...


R = TypeVar("R", bound=Row)
F = TypeVar("F", bound=BaseModel)


class Crud(Generic[R, F]):
    """`loading`: what is loaded with a row."""

    def __init__(self, noun: Noun, row: type[R], fields: type[F], *loading: ExecutableOption) -> None:
        self.noun, self.fields, self.loading = noun, fields, loading
        self.row: Any = row
        self._row_fields = RowFields(noun, fields)
        self._by_id: Any = select(self.row).where(self.row.id == bindparam("number")).options(*loading)
        self.parent_id: int | None = None
        "For a noun with a parent: limits rows to those of this one. None: all rows."

    def under(self, parent_id: int) -> Self:
        """The same operations within one parent row."""
        own = copy(self)
        own.parent_id = parent_id
        own._by_id = self._by_id.where(*own.own)
        return own

    def whole(self, fields: F, facts: EngineFacts) -> F:  # noqa: ARG002
        """The fields, with computed ones filled in."""
        return fields

    def to_store(self, row: R, fields: F, facts: EngineFacts) -> F:  # noqa: ARG002
        """The fields as they are stored in the row."""
        return fields

    async def read(self, data: Mapping[str, Any]) -> F:
        """The input, validated. Raises Invalid (422) with everything that is wrong."""
        try:
            return validated(self.noun.input, data)  # type: ignore[return-value]
        except Invalid as problem:
            raise Invalid.of({**await self.errors_beside(data), **problem.errors}) from problem

    async def errors_beside(self, data: Mapping[str, Any]) -> FieldErrors:  # noqa: ARG002
        """What else is wrong with input that is not valid: of what is read once it is."""
        return {}

    def must_fit(self, fields: F, facts: EngineFacts) -> None:
        """Raises Invalid (422) for what an operator may not request here. `invariants.py` judges existing rows."""

    async def must_be_meant(
        self, session: AsyncSession, fields: F, row: R | None, changes: Changes, request: SaveRequest
    ) -> None:
        """Raises NeedsConfirmation (409) for what whoever saves these fields may not expect. `row`: as it is. None: new."""

    async def must_be_meant_deleted(self, session: AsyncSession, row: R, changes: Changes) -> None:
        """Raises NeedsConfirmation (409) for what deleting the row breaks elsewhere."""

    @property
    def asks_before_deleting(self) -> bool:
        return type(self).must_be_meant_deleted is not Crud.must_be_meant_deleted

    async def find(self, session: AsyncSession, number: int) -> R:
        row: R | None = (await session.exec(self._by_id, params={"number": number})).first()
        if row is None:
            raise missing(self.noun)
        return row

    async def _as_read(self, session: AsyncSession, number: int, changes: Changes, request: SaveRequest) -> R:
        """In a writing session, in which nobody else writes."""
        row: R | None = request.read.at(changes.database.version()) if request.read else None
        if row is None:
            return await self.find(session, number)
        session.add(row)
        return row

    @property
    def own(self) -> tuple[Any, ...]:
        """The condition that a row belongs to the parent."""
        return () if self.parent_id is None else (getattr(self.row, self.noun.within) == self.parent_id,)

    async def parent_name(self, session: AsyncSession) -> str:
        """The parent row's name. Empty without a parent. Raises NotFound if it is gone."""
        if self.parent_id is None:
            return ""
        table: Any = NOUNS[self.noun.parent].table
        name: str | None = (await session.exec(select(table.name).where(table.id == self.parent_id))).first()
        if name is None:
            raise missing(NOUNS[self.noun.parent])
        return name

    async def listed(
        self, session: AsyncSession, query: Any, sorts: Mapping[str, Any], *, sort: str = "", **portion: Unpack[Sorted]
    ) -> Page[R]:
        """The rows that the query selects, by name unless sorted otherwise. Raises NotFound if the parent is gone."""
        await self.parent_name(session)
        columns = func.lower(sorts.get(sort, sorts["name"])), self.row.id
        return await cut_in_sql(session, query.where(*self.own), columns, self.loading, **portion)

    async def also(self, session: AsyncSession, row: R, fields: F, seal: Seal, change: Change) -> str:  # noqa: ARG002
        """What else is stored with a new or changed row, in the same transaction. Returns words for the list of changes."""
        return ""

    async def create(self, changes: Changes, request: SaveRequest, fields: F) -> SaveResult[R]:
        change = self._change(request, f"Added {self._called(fields)}")

        async def mutate(session: AsyncSession) -> R:
            self.must_fit(fields, changes.renderer.facts)
            await self.must_be_meant(session, fields, None, changes, request)
            change.summary = await self._in_parent(session, change.summary)
            row: R = self.row().replace(fields)
            if self.parent_id is not None:
                setattr(row, self.noun.within, self.parent_id)
            session.add(row)
            await session.flush()
            change.noun_id = row.id
            await self.also(session, row, fields, changes.seal, change)
            return row

        return await changes.save(change, mutate)

    async def update(
        self, changes: Changes, request: SaveRequest, number: int, fields: F, version: int | None = None
    ) -> SaveResult[R]:
        """`version` is the one that the form was opened with. Raises Stale (412) if it is no longer current."""
        change = self._change(request, f"Updated {self._called(fields)}", number)

        async def mutate(session: AsyncSession) -> R:
            row, facts = await self._as_read(session, number, changes, request), changes.renderer.facts
            must_be_current(row.version, version)
            self.must_fit(fields, facts)
            await self.must_be_meant(session, fields, row, changes, request)
            was, now = (self.whole(version_fields, facts) for version_fields in (self.fields_of(row), fields))
            change.summary = await self._in_parent(session, change.summary)
            words = in_words(was, now, await self.names(session, was, now))
            next_version = await revisions.version_after(session, row.version)  # Before a change is flushed.
            row.replace(self.to_store(row, fields, facts)).touch(next_version)
            if words := ", ".join(filter(None, [words, await self.also(session, row, fields, changes.seal, change)])):
                names = [await self.parent_name(session), self.name(fields), words]
                change.summary = ": ".join(filter(None, names))
            return row

        return await changes.save(change, mutate)

    async def delete(
        self, changes: Changes, request: SaveRequest, number: int, version: int | None = None
    ) -> SaveResult[str]:
        """Returns the name of the deleted row."""
        change = self._change(request, f"Deleted {self.noun.with_article}", number)

        async def mutate(session: AsyncSession) -> str:
            row = await self.find(session, number)
            must_be_current(row.version, version)
            if not request.confirmed and changes.is_confirmed is None:
                await self.must_be_meant_deleted(session, row, changes)
            change.summary = await self._in_parent(session, f"Deleted {self._called(row)}")
            await session.delete(row)
            return self.name(row)

        return await changes.save(change, mutate)

    def fields_of(self, row: R) -> F:
        """The row's fields."""
        return self._row_fields.of(row)

    def values_of(self, row: R) -> dict[str, Any]:
        """The same, by name."""
        return self._row_fields.values(row)

    async def file_values(self, session: AsyncSession, row: R) -> dict[str, Any]:  # noqa: ARG002
        """What a file of the configuration has of the row: its fields, and what stands for what is stored apart."""
        return self.values_of(row)

    def sent_by_file(self, data: dict[str, Any]) -> dict[str, Any]:
        """The input for what `file_values` wrote, where that is no input as it is."""
        return data

    def fields_in(self, rows: Rows, number: int) -> F | None:
        """The fields in a stored state. None if the row did not exist, or if this version would reject it."""
        return self._row_fields.kept(rows, number)

    async def names(self, session: AsyncSession, was: BaseModel | None = None, now: BaseModel | None = None) -> Names:
        """Names of all rows that the fields may refer to, by noun and id: any field, or those that differ between two states."""
        names: dict[str, dict[int, str]] = {}
        fields = self.noun.references.items()
        for key in {key for name, key in fields if was is None or getattr(was, name, 0) != getattr(now, name, 0)}:
            table: Any = NOUNS[key].table
            names[key] = dict((await session.exec(select(table.id, table.name))).all())
        return names

    def _change(self, request: SaveRequest, summary: str, number: int | None = None) -> Change:
        within = "" if self.parent_id is None else f"{self.noun.parent}:{self.parent_id}"
        return Change(request, summary, self.noun.key, number, within=within)

    async def _in_parent(self, session: AsyncSession, summary: str) -> str:
        """`Strict: added rule exclusion 941100`"""
        parent = await self.parent_name(session)
        return f"{parent}: {lowered(summary)}" if parent else summary

    def name(self, row: Any) -> str:
        """The name of a row or of its fields."""
        return self.noun.only_name or str(row.name)

    def _called(self, row: Any) -> str:
        """`policy Strict`, `the traffic settings`"""
        only = self.noun.only_name
        return f"the {lowered(only)}" if only else f"{self.noun.in_sentence} {self.name(row)}"


def missing(noun: Noun) -> NotFound:
    return NotFound(f"{noun.word} not found. It may have been deleted.")


def must_be_current(now: int, opened: int | None) -> None:
    if opened is not None and opened != now:
        raise Stale("This changed after you opened it. Review the current values, then save again.", now)
