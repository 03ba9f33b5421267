"""Nouns with a single row as JSON: read and change."""

from functools import partial
from types import ModuleType
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from guardpanel.api.nouns import Operation, router_of
from guardpanel.api.saves import DeploymentOut, NamedVersion, SaveRequestDep, merging, tag
from guardpanel.api.shapes import Dialect, Shapes, Versioned
from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.models.noun import Noun
from guardpanel.panel import Panel
from guardpanel.services.input import validated
from guardpanel.services.saving.changes import SaveRequest, SaveResult


def settings(noun: Noun, service: ModuleType) -> APIRouter:
    """The two operations of a noun with a single row."""
    router, made = router_of(noun), Settings(noun, service)
    router.get("", name=f"read_{noun.key}", response_model=made.shapes.out)(made.reading())
    router.patch("", name=f"update_{noun.key}", response_model=made.shapes.saved)(made.updating())
    return router


class Settings:
    """The operations of a noun with a single row."""

    def __init__(self, noun: Noun, service: ModuleType) -> None:
        self.noun, self.service = noun, service
        self.shapes = Shapes(noun, Dialect(), Versioned)

    def reading(self) -> Operation:
        async def read(response: Response, panel: PanelDep, session: SessionDep, _user: Viewer) -> Any:
            row = await self.service.find(session)
            tag(response, row.version)
            return self.shapes.out(**self._out(panel, row))

        return read

    def updating(self) -> Operation:
        async def update(
            body: self.shapes.body,  # type: ignore[name-defined]
            response: Response,
            panel: PanelDep,
            save_request: SaveRequestDep,
            version: NamedVersion,
        ) -> Any:
            """Change the given keys and go live."""
            saved = await merging(partial(self._update, panel, save_request, body, version), version)
            tag(response, saved.value.version)
            return self.shapes.saved(**self._out(panel, saved.value), deployment=DeploymentOut.of(saved))

        return update

    async def _update(
        self, panel: Panel, save_request: SaveRequest, body: BaseModel, version: int | None
    ) -> SaveResult[Any]:
        """Apply the given keys to the current row."""
        async with panel.database.read() as session:
            row = await self.service.find(session)
        now = self.service.fields_of(row, panel.changes.renderer.facts).model_dump()
        fields = validated(self.noun.input, {**now, **body.model_dump(exclude_unset=True)})
        saved: SaveResult[Any] = await self.service.update(
            panel.changes, save_request, fields, row.version if version is None else version
        )
        return saved

    def _out(self, panel: Panel, row: Any) -> dict[str, Any]:
        fields = self.service.fields_of(row, panel.changes.renderer.facts)
        return self.shapes.own_of(dict(fields), row)
