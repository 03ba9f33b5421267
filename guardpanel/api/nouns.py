"""Nouns as JSON: list, read, create, change and delete, once for all of them.

Bodies and answers have the fields of the noun's model, with its titles and hints. A dialect adds what another client says
besides, or calls otherwise (`api/react`).
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from types import ModuleType
from typing import Annotated, Any, ClassVar, get_args, get_origin

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field, create_model
from pydantic.fields import FieldInfo

from guardpanel.api.saves import AskedDep, Body, DeploymentOut, NamedVersion, merging, speaking, tag
from guardpanel.dependencies import PanelDep, RowId, SessionDep, Viewer
from guardpanel.models.noun import Noun
from guardpanel.services.input import validated
from guardpanel.services.saving.changes import Saved


class Versioned(BaseModel):
    version: int = Field(description="Counts edits; the ETag.")
    updated_at: datetime


class Row(Versioned):
    id: int
    created_at: datetime


ROW = tuple(Row.model_fields)  # once: Pydantic looks it up anew each time


class ListQuery(BaseModel):
    page: int = Field(default=1, ge=1, le=100_000)
    per_page: int = Field(default=50, ge=1, le=500)
    q: str = Field(default="", max_length=200)


class Dialect:
    """Another client's keys beside our fields. As it stands: our fields alone."""

    body: ClassVar[type[Body]] = Body
    "Its keys of a write."
    answer: ClassVar[type[BaseModel]] = Row
    "Its keys of an answer."
    whole: ClassVar[type[BaseModel]] = BaseModel
    "Its further keys where one row is read."
    renamed: ClassVar[Mapping[str, str]] = {}
    "Its names for our fields, which go by no other there."

    def take(self, body: BaseModel, row: Any, now: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:  # noqa: ARG002
        """The fields as they would be, and the names by which this body says them. `now`: the fields of `row`; neither is
        there where one is added."""
        return {**now, **body.model_dump(exclude_unset=True)}, {}

    def out(self, row: Any) -> dict[str, Any]:  # noqa: ARG002
        """The keys of `answer` that are no fields of ours, and what it says otherwise."""
        return {}

    async def out_whole(self, session: SessionDep, row: Any) -> dict[str, Any]:  # noqa: ARG002
        """The keys of `whole`."""
        return {}


class Shapes:
    """The bodies and answers of one noun."""

    def __init__(self, noun: Noun, dialect: Dialect, answer: type[BaseModel]) -> None:
        self.stem = noun.table.__name__
        renamed = set(dialect.renamed.values())
        fields = {name: info for name, info in noun.fields.model_fields.items() if name not in renamed}
        self.body = self._body(dialect.body, fields)
        self.out = self._with(answer, "Out", {name: (info.annotation, _words(info)) for name, info in fields.items()})
        self.read = self.out if dialect.whole is BaseModel else self._with((dialect.whole, self.out), "Read", {})
        self.saved = self._with(self.out, "Saved", {"deployment": (DeploymentOut, ...)})
        total = Field(description="All that match, before paging.")
        counts = {"total": (int, total), "page": (int, ...), "per_page": (int, ...)}
        items: Any = list[self.out]  # type: ignore[name-defined]
        self.page = self._with(BaseModel, "Page", {"items": (items, ...), **counts})
        self.own = tuple(name for name in self.out.model_fields if name in fields)

    def _body(self, base: type[Body], fields: Mapping[str, FieldInfo]) -> Any:
        """All that a write may name, as it is sent: what is wrong with a value the model says."""
        may_be_named = {
            name: (_sent(info.annotation) | None, _words(info, default=None)) for name, info in fields.items()
        }
        body = self._with(base, "In", may_be_named)
        body.NULLABLE = base.NULLABLE | {
            name for name, info in fields.items() if type(None) in get_args(info.annotation)
        }
        return body

    def _with(self, base: Any, suffix: str, fields: dict[str, Any]) -> Any:
        """A model with all that the base says, and those fields of which it says nothing."""
        own = (
            {}
            if isinstance(base, tuple)
            else {name: one for name, one in fields.items() if name not in base.model_fields}
        )
        words = None if isinstance(base, tuple) else base.__doc__
        return create_model(self.stem + suffix, __base__=base, __doc__=words, **own)


def _words(info: FieldInfo, **default: Any) -> Any:
    return Field(title=info.title, description=info.description, **default)


def _sent(annotation: Any) -> Any:
    (row,) = get_args(annotation) if get_origin(annotation) is list else (None,)
    if not (isinstance(row, type) and issubclass(row, BaseModel)):
        return annotation
    fields = {name: (info.annotation, _words(info, **_default(info))) for name, info in row.model_fields.items()}
    one: Any = create_model(f"{row.__name__.removesuffix('Fields')}In", __base__=Body, **fields)  # type: ignore[call-overload]
    return list[one]


def _default(info: FieldInfo) -> dict[str, Any]:
    if info.is_required():
        return {}
    return {"default_factory": info.default_factory} if info.default_factory else {"default": info.default}


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

    def out(row: Any) -> dict[str, Any]:
        fields = service.fields_of(row)
        own = {name: getattr(fields, name) for name in shapes.own}
        return own | {name: getattr(row, name) for name in ROW} | dialect.out(row)

    def answer(response: Response, saved: Saved[Any]) -> Any:
        tag(response, saved.value.version)
        return shapes.saved(**out(saved.value), deployment=DeploymentOut.of(saved))

    async def list_rows(session: SessionDep, _user: Viewer, asked: Annotated[query, Query()]) -> Any:  # type: ignore[valid-type]
        wanted = asked.model_dump(exclude={"page", "per_page"})  # type: ignore[attr-defined]
        page, size = asked.page, asked.per_page  # type: ignore[attr-defined]
        found = await service.page(session, **wanted, offset=(page - 1) * size, limit=size)
        items = await asyncio.to_thread(lambda: [shapes.out(**out(row)) for row in found.items])
        return shapes.page(items=items, total=found.total, page=page, per_page=size)

    async def create(body: shapes.body, response: Response, panel: PanelDep, asked: AskedDep) -> Any:  # type: ignore[name-defined]
        """Add one and make it live."""
        data, names = dialect.take(body, None, {})
        with speaking(names):
            saved = await service.create(panel.changes, asked, validated(noun.fields, data))
        return answer(response, saved)

    async def read(row_id: number, response: Response, session: SessionDep, _user: Viewer) -> Any:
        row = await service.find(session, row_id)
        tag(response, row.version)
        return shapes.read(**out(row), **await dialect.out_whole(session, row))

    async def update(
        row_id: number,
        body: shapes.body,  # type: ignore[name-defined]
        response: Response,
        panel: PanelDep,
        asked: AskedDep,
        version: NamedVersion,
    ) -> Any:
        """Change the named keys and make that live."""

        async def attempt() -> Saved[Any]:
            async with panel.database.read() as session:
                row = await service.find(session, row_id)
            data, names = dialect.take(body, row, service.fields_of(row).model_dump())
            read = row.version if version is None else version
            with speaking(names):
                saved: Saved[Any] = await service.update(
                    panel.changes, asked, row_id, validated(noun.fields, data), read
                )
                return saved

        return answer(response, await merging(attempt, version))

    async def delete(row_id: number, panel: PanelDep, asked: AskedDep, version: NamedVersion) -> None:
        await service.delete(panel.changes, asked, row_id, version)

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


def _router(noun: Noun) -> APIRouter:
    return APIRouter(prefix=f"/api/v1/{noun.api}", tags=[noun.api])
