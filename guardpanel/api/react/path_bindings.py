"""Path bindings as the panel before guardpanel reads and writes them (`policy-bindings`)."""

from typing import Any, ClassVar

from pydantic import BaseModel, Field

from guardpanel.api.react.keys import keys
from guardpanel.api.saves import Body
from guardpanel.api.shapes import Dialect, Row
from guardpanel.errors import Invalid
from guardpanel.models import PathBinding
from guardpanel.models.path_binding import BoundPath

MEANINGS = {"path_prefix": ("path", "path_match"), "comment": ("notes",), "priority": ()}


class ReactBindingIn(Body):
    NULLABLE = frozenset({"comment", "path_prefix"})

    path_prefix: str | None = Field(default=None, description="`path` and everything below.")
    priority: int | None = Field(default=None, description="Always 0: the longest path wins.")
    comment: str | None = None


class ReactBindingOut(Row):
    path_prefix: str | None = Field(description="null if the path matches exactly.")
    priority: int
    comment: str | None


class BindingDialect(Dialect):
    body: ClassVar[type[Body]] = ReactBindingIn
    answer: ClassVar[type[BaseModel]] = ReactBindingOut
    bare: ClassVar[bool] = True

    def take(
        self, body: BaseModel, row: PathBinding | None, now: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        sent = keys(body, now, self.out(row) if row else {}, MEANINGS)
        if sent.theirs.get("priority"):
            raise Invalid.at("priority", "The longest path wins, whatever the order: leave the priority at 0.")
        ours: dict[str, Any] = {}
        if sent.new.get("path_prefix") is not None:
            ours = {"path": sent.new["path_prefix"], "path_match": BoundPath.BELOW}
        if "comment" in sent.new:
            ours["notes"] = sent.new["comment"] or ""
        return {**now, **ours, **sent.ours}, sent.names

    def out(self, row: PathBinding) -> dict[str, Any]:
        prefix = row.path if row.path_match is BoundPath.BELOW else None
        return {"path_prefix": prefix, "priority": 0, "comment": row.notes or None}
