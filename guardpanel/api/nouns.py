"""Nouns as JSON: list, read, create, change and delete, written once for all of them. `shapes.py` has their bodies and
responses; `single_rows.py` has the nouns with one row."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field

from guardpanel.api.kept_answers import Keeps
from guardpanel.api.paging import NumberedPaging, Paging
from guardpanel.api.saves import DeploymentOut, NamedVersion, SaveRequestDep, merging, speaking, tag
from guardpanel.api.shapes import Dialect, Shapes
from guardpanel.dependencies import PanelDep, RowId, SessionDep, Viewer
from guardpanel.models.noun import Noun
from guardpanel.panel import Panel
from guardpanel.services.saving.change import ReadRow
from guardpanel.services.saving.changes import SaveRequest, SaveResult

Operation = Callable[..., Any]
"What FastAPI calls. Its parameters declare what it reads from a request."


CONFIRM = Query(description="Delete it although a 409 asks before that (`needs_confirmation`).")

ALL = 10_000
"Maximum rows of a list without pages."


class ListQuery(Paging):
    q: str = Field(default="", max_length=200)


class NumberedListQuery(NumberedPaging, ListQuery):
    """Of nouns that the React panel lists."""


def rows(noun: Noun, service: ModuleType, dialect: Dialect | None = None, **words: Any) -> APIRouter:
    """The five operations of a noun with many rows."""
    return Rows(noun, service, dialect or Dialect()).router(**words)


class Rows:
    """The operations of a noun with many rows."""

    def __init__(self, noun: Noun, service: ModuleType, dialect: Dialect) -> None:
        self.noun, self.service, self.dialect = noun, service, dialect
        self.shapes = Shapes(noun, dialect, dialect.answer)
        self.number: Any = Annotated[RowId, Path(alias=f"{noun.key}_id")]
        self.scoped: Any = Annotated[Any, Depends(_those(noun, service))]

    def router(
        self, *, query: type[ListQuery] = ListQuery, looks_in: str = "names", order: str = "name", deleting: str = ""
    ) -> APIRouter:
        """`looks_in`: what a list's `q` searches. `deleting`: what DELETE does."""
        router, shapes, noun, bare = router_of(self.noun), self.shapes, self.noun, self.dialect.bare
        row_path = f"/{{{noun.key}_id}}"
        listed: Any = list[shapes.out] if bare else shapes.page  # type: ignore[name-defined]
        words = None if bare else f"By {order}; `q` looks in {looks_in}."
        router.get("", name=f"list_{noun.module}", response_model=listed, description=words, dependencies=[Keeps])(
            self.listing_all() if bare else self.listing(query)
        )
        router.post("", name=f"create_{noun.key}", response_model=shapes.saved, status_code=201)(self.creating())
        router.get(row_path, name=f"read_{noun.key}", response_model=shapes.read, dependencies=[Keeps])(self.reading())
        router.patch(row_path, name=f"update_{noun.key}", response_model=shapes.saved)(self.updating())
        router.delete(row_path, name=f"delete_{noun.key}", status_code=204, description=deleting)(self.deleting())
        return router

    async def fields(self, session: SessionDep, row: Any, body: BaseModel) -> Any:
        """The given keys over the row as it is, or alone if it is None. Saves nothing."""
        data, names = self.dialect.take(body, row, self.service.fields_of(row).model_dump() if row else {})
        await self.dialect.settle(session, row, data)
        with speaking(names):
            return await self.service.ROWS.read(data)

    def listing(self, query: type[ListQuery]) -> Operation:
        async def list_rows(
            session: SessionDep,
            _user: Viewer,
            those: self.scoped,  # type: ignore[name-defined]
            listing: Annotated[query, Query()],  # type: ignore[valid-type]
        ) -> Any:
            place: Paging = listing
            filters = place.model_dump(exclude=set(Paging.model_fields))
            rows = await those.page(session, **filters, **place.portion)
            others = await self.dialect.out_of_rows(session, rows.items)
            return await asyncio.to_thread(self._page, rows.items, others, place.counts(rows))

        return list_rows

    def listing_all(self) -> Operation:
        async def list_rows(session: SessionDep, _user: Viewer, those: self.scoped) -> Any:  # type: ignore[name-defined]
            """All rows, by name."""
            rows = await those.page(session, limit=ALL)
            others = await self.dialect.out_of_rows(session, rows.items)
            return [self._out(row) | other for row, other in zip(rows.items, others, strict=True)]

        return list_rows

    def creating(self) -> Operation:
        async def create(
            body: self.shapes.body,  # type: ignore[name-defined]
            response: Response,
            panel: PanelDep,
            those: self.scoped,  # type: ignore[name-defined]
            save_request: SaveRequestDep,
        ) -> Any:
            """Add a row and go live."""
            data, names = self.dialect.take(body, None, {})
            async with panel.database.read() as session:
                await self.dialect.settle(session, None, data)
            with speaking(names, f"{self.noun.path}/new"):
                saved = await those.create(panel.changes, save_request, await self.service.ROWS.read(data))
            return await self.saved(panel, response, saved)

        return create

    def reading(self) -> Operation:
        async def read(
            row_id: self.number,  # type: ignore[name-defined]
            response: Response,
            session: SessionDep,
            _user: Viewer,
            those: self.scoped,  # type: ignore[name-defined]
        ) -> Any:
            row = await those.find(session, row_id)
            tag(response, row.version)
            out = await asyncio.to_thread(self._out, row)
            (others,) = await self.dialect.out_of_rows(session, [row])
            return self.shapes.read(**out | others | await self.dialect.out_whole(session, row))

        return read

    def updating(self) -> Operation:
        async def update(
            row_id: self.number,  # type: ignore[name-defined]
            body: self.shapes.body,  # type: ignore[name-defined]
            response: Response,
            panel: PanelDep,
            those: self.scoped,  # type: ignore[name-defined]
            save_request: SaveRequestDep,
            version: NamedVersion,
        ) -> Any:
            """Change the given keys and go live."""
            attempt = partial(self._update, panel, those, save_request, row_id, body, version)
            return await self.saved(panel, response, await merging(attempt, version))

        return update

    def deleting(self) -> Operation:
        return self._deleting_confirmed() if self.service.ROWS.asks_before_deleting else self._deleting()

    def _deleting_confirmed(self) -> Operation:
        async def delete(
            row_id: self.number,  # type: ignore[name-defined]
            panel: PanelDep,
            those: self.scoped,  # type: ignore[name-defined]
            save_request: SaveRequestDep,
            version: NamedVersion,
            confirm: Annotated[bool, CONFIRM] = False,
        ) -> None:
            with speaking({}, f"{self.noun.path}/{row_id}/delete"):
                await those.delete(panel.changes, replace(save_request, confirmed=confirm), row_id, version)

        return delete

    def _deleting(self) -> Operation:
        async def delete(
            row_id: self.number,  # type: ignore[name-defined]
            panel: PanelDep,
            those: self.scoped,  # type: ignore[name-defined]
            save_request: SaveRequestDep,
            version: NamedVersion,
        ) -> None:
            await those.delete(panel.changes, save_request, row_id, version)

        return delete

    async def _update(
        self, panel: Panel, those: Any, save_request: SaveRequest, row_id: int, body: BaseModel, version: int | None
    ) -> SaveResult[Any]:
        """Apply the given keys to the current row."""
        before = panel.database.version()
        async with panel.database.read() as session:
            row = await those.find(session, row_id)
            data, names = self.dialect.take(body, row, self.service.fields_of(row).model_dump())
            await self.dialect.settle(session, row, data)
        with speaking(names, f"{self.noun.path}/{row_id}/edit"):
            fields = await self.service.ROWS.read(data)
            request = replace(save_request, read=ReadRow(row, before))
            saved: SaveResult[Any] = await those.update(
                panel.changes, request, row_id, fields, row.version if version is None else version
            )
            return saved

    def _page(self, rows: list[Any], others: list[dict[str, Any]], counts: Mapping[str, Any]) -> Response:
        """Written here, in a thread: FastAPI would write the answer on the event loop."""
        items = [self._out(row) | other for row, other in zip(rows, others, strict=True)]
        return Response(self.shapes.page(items=items, **counts).model_dump_json(), media_type="application/json")

    async def saved(self, panel: Panel, response: Response, saved: SaveResult[Any]) -> Any:
        """The answer to a save of a row."""
        tag(response, saved.value.version)
        out = await asyncio.to_thread(self._out, saved.value)  # It may read the row's certificates.
        async with panel.database.read() as session:
            (others,) = await self.dialect.out_of_rows(session, [saved.value])
        return self.shapes.saved(**out | others, deployment=DeploymentOut.of(saved))

    def _out(self, row: Any) -> dict[str, Any]:
        return self.shapes.own_of(self.service.ROWS.values_of(row), row) | self.dialect.out(row)


def _those(noun: Noun, service: ModuleType) -> Operation:
    """The rows that a URL refers to: all rows of a noun, or those of the parent row that it names."""

    async def every() -> Any:
        return service

    async def within(parent_id: Annotated[RowId, Path(alias=noun.within)]) -> Any:
        return service.ROWS.under(parent_id)

    return within if noun.within else every


def router_of(noun: Noun) -> APIRouter:
    return APIRouter(prefix=f"/api/v1/{noun.api}", tags=[noun.tag])
