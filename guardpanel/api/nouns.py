"""Nouns as JSON: list, read, create, change and delete, once for all of them. `shapes.py` has their bodies and answers."""

import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field

from guardpanel.api.saves import AskedDep, DeploymentOut, NamedVersion, merging, speaking, tag
from guardpanel.api.shapes import ROW, Dialect, Shapes, Versioned
from guardpanel.dependencies import PanelDep, RowId, SessionDep, Viewer
from guardpanel.models.noun import Noun
from guardpanel.services.input import validated
from guardpanel.services.saving.changes import Saved


class ListQuery(BaseModel):
    page: int = Field(default=1, ge=1, le=100_000)
    per_page: int = Field(default=50, ge=1, le=500)
    q: str = Field(default="", max_length=200)


def rows(
    noun: Noun,
    service: ModuleType,
    dialect: Dialect | None = None,
    *,
    query: type[ListQuery] = ListQuery,
    looks_in: str = "names",
    deleting: str = "",
) -> APIRouter:
    """The five operations of a noun with many rows. `looks_in`: where its list's `q` looks; `deleting`: what is to be said of
    deleting one."""
    router = _router(noun)
    dialect = dialect or Dialect()
    shapes = Shapes(noun, dialect, dialect.answer)
    number = Annotated[RowId, Path(alias=f"{noun.key}_id")]
    scoped = Annotated[Any, Depends(_those(noun, service))]

    def out(row: Any) -> dict[str, Any]:
        fields = service.fields_of(row)
        own = {name: getattr(fields, name) for name in shapes.own}
        return own | {name: getattr(row, name) for name in ROW} | dialect.out(row)

    def answer(response: Response, saved: Saved[Any]) -> Any:
        tag(response, saved.value.version)
        return shapes.saved(**out(saved.value), deployment=DeploymentOut.of(saved))

    async def list_rows(
        session: SessionDep,
        _user: Viewer,
        those: scoped,
        asked: Annotated[query, Query()],  # type: ignore[valid-type]
    ) -> Any:
        wanted = asked.model_dump(exclude={"page", "per_page"})  # type: ignore[attr-defined]
        page, size = asked.page, asked.per_page  # type: ignore[attr-defined]
        found = await those.page(session, **wanted, offset=(page - 1) * size, limit=size)
        items = await asyncio.to_thread(lambda: [shapes.out(**out(row)) for row in found.items])
        return shapes.page(items=items, total=found.total, page=page, per_page=size)

    async def create(
        body: shapes.body,  # type: ignore[name-defined]
        response: Response,
        panel: PanelDep,
        those: scoped,
        asked: AskedDep,
    ) -> Any:
        """Add one and make it live."""
        data, names = dialect.take(body, None, {})
        with speaking(names):
            saved = await those.create(panel.changes, asked, validated(noun.fields, data))
        return answer(response, saved)

    async def read(row_id: number, response: Response, session: SessionDep, _user: Viewer, those: scoped) -> Any:
        row = await those.find(session, row_id)
        tag(response, row.version)
        return shapes.read(**out(row), **await dialect.out_whole(session, row))

    async def update(
        row_id: number,
        body: shapes.body,  # type: ignore[name-defined]
        response: Response,
        panel: PanelDep,
        those: scoped,
        asked: AskedDep,
        version: NamedVersion,
    ) -> Any:
        """Change the named keys and make that live."""

        async def attempt() -> Saved[Any]:
            async with panel.database.read() as session:
                row = await those.find(session, row_id)
            data, names = dialect.take(body, row, service.fields_of(row).model_dump())
            read = row.version if version is None else version
            with speaking(names):
                saved: Saved[Any] = await those.update(panel.changes, asked, row_id, validated(noun.fields, data), read)
                return saved

        return answer(response, await merging(attempt, version))

    async def delete(row_id: number, panel: PanelDep, those: scoped, asked: AskedDep, version: NamedVersion) -> None:
        await those.delete(panel.changes, asked, row_id, version)

    one = f"/{{{noun.key}_id}}"
    router.get("", name=f"list_{noun.module}", response_model=shapes.page,
               description=f"By name; `q` looks in {looks_in}.")(list_rows)  # fmt: skip
    router.post("", name=f"create_{noun.key}", response_model=shapes.saved, status_code=201)(create)
    router.get(one, name=f"read_{noun.key}", response_model=shapes.read)(read)
    router.patch(one, name=f"update_{noun.key}", response_model=shapes.saved)(update)
    router.delete(one, name=f"delete_{noun.key}", status_code=204, description=deleting)(delete)
    return router


def settings(noun: Noun, service: ModuleType) -> APIRouter:
    """The two operations of a noun with one row."""
    router = _router(noun)
    shapes = Shapes(noun, Dialect(), Versioned)

    def out(panel: Any, row: Any) -> dict[str, Any]:
        fields = service.fields_of(row, panel.changes.renderer.facts)
        own = {name: getattr(fields, name) for name in shapes.own}
        return own | {"version": row.version, "updated_at": row.updated_at}

    async def read(response: Response, panel: PanelDep, session: SessionDep, _user: Viewer) -> Any:
        row = await service.find(session)
        tag(response, row.version)
        return shapes.out(**out(panel, row))

    async def update(
        body: shapes.body,  # type: ignore[name-defined]
        response: Response,
        panel: PanelDep,
        asked: AskedDep,
        version: NamedVersion,
    ) -> Any:
        """Change the named keys and make that live."""

        async def attempt() -> Saved[Any]:
            async with panel.database.read() as session:
                row = await service.find(session)
            now = service.fields_of(row, panel.changes.renderer.facts).model_dump()
            fields = validated(noun.fields, {**now, **body.model_dump(exclude_unset=True)})
            read = row.version if version is None else version
            made: Saved[Any] = await service.update(panel.changes, asked, fields, read)
            return made

        saved = await merging(attempt, version)
        tag(response, saved.value.version)
        return shapes.saved(**out(panel, saved.value), deployment=DeploymentOut.of(saved))

    router.get("", name=f"read_{noun.key}", response_model=shapes.out)(read)
    router.patch("", name=f"update_{noun.key}", response_model=shapes.saved)(update)
    return router


def _those(noun: Noun, service: ModuleType) -> Callable[..., Any]:
    """Whom an address is about: all rows of a noun, or those within the row that it names."""
    if not noun.within:
        return lambda: service

    async def within(parent_id: Annotated[RowId, Path(alias=noun.within)]) -> Any:
        return service.ROWS.under(parent_id)

    return within


def _router(noun: Noun) -> APIRouter:
    return APIRouter(prefix=f"/api/v1/{noun.api}", tags=[noun.tag])
