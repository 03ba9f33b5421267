"""Rule exclusions as the React panel reads and writes them: one rule, one target, and the path below which they apply."""

from typing import Any, ClassVar

from pydantic import BaseModel, Field

from guardpanel.api.react.keys import keys
from guardpanel.api.saves import Body
from guardpanel.api.shapes import Dialect, Row
from guardpanel.errors import Invalid
from guardpanel.field_codes import FieldCode
from guardpanel.models import RuleExclusion
from guardpanel.models.policies.path_condition import PathMatch
from guardpanel.models.rules.rule_choices import ids
from guardpanel.models.rules.rule_exclusion import NAMED, Target

ANY = "*"
"A target value that means any field, as none may be blank."

TARGETS = {
    "args": Target.ARGUMENT,
    "args_names": Target.ARGUMENT_NAME,
    "request_headers": Target.HEADER,
    "request_uri": Target.URL,
}
TYPES = {target: kind for kind, target in TARGETS.items()} | {Target.JSON: "args"}

MEANINGS = {
    "rule_id": ("rules",),
    "target_type": ("target",),
    "target_value": ("target_name", "name_is_pattern"),
    "scope_path": ("path", "path_match"),
    "comment": ("reason",),
}
"Which of our fields each of its keys sets."


NAMES = ("target_name", "target_value")


class ReactExclusionIn(Body):
    NULLABLE = frozenset({"scope_path", "comment"})

    rule_id: int | None = Field(default=None, description="`rules` where it is one rule.")
    target_type: str | None = Field(
        default=None, description="`args`, `args_names`, `request_headers` or `request_uri`."
    )
    target_value: str | None = Field(
        default=None,
        description="The field’s name, `/pattern/` or `*`. Of `request_uri` the path to which it holds, or `*`. "
        "Beside a `scope_path`, what is no path is ignored.",
    )
    scope_path: str | None = Field(
        default=None, description="This path and all below; null, or none in a new one: any path."
    )
    comment: str | None = None


class ReactExclusionOut(Row):
    rule_id: int = Field(description="The first of `rules`; 0 where that is a tag.")
    target_type: str
    target_value: str
    scope_path: str | None
    comment: str | None


class ExclusionDialect(Dialect):
    body: ClassVar[type[Body]] = ReactExclusionIn
    answer: ClassVar[type[BaseModel]] = ReactExclusionOut

    def take(
        self, body: BaseModel, row: RuleExclusion | None, now: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        read = self.out(row) if row else {}
        sent = keys(body, now, read, MEANINGS)
        is_of_react = not row and sent.theirs and not {"path", "path_match"} & set(sent.ours)
        anywhere = _below("") if is_of_react else {}
        data = {**now, **anywhere, **_our_fields(sent.new, {**read, **sent.theirs}), **sent.ours}
        if row and not row.target.has_names and data["target"] in NAMED and not {*NAMES} & body.model_fields_set:
            raise Invalid.at(
                "target_name",
                "Enter the field’s name, or an empty one for every field of its kind.",
                FieldCode.REQUIRED,
            )
        return data, sent.names

    def out(self, row: RuleExclusion) -> dict[str, Any]:
        first = ids(row.rules[0])
        return {
            "rule_id": first.start if first else 0,
            "target_type": TYPES.get(row.target, row.target.value),
            "target_value": _value(row),
            "scope_path": row.path if row.path and not _is_of_url(row) else None,
            "comment": row.reason or None,
        }


def _is_of_url(row: RuleExclusion) -> bool:
    return row.target is Target.URL and row.path_match is PathMatch.EXACT


def _value(row: RuleExclusion) -> str:
    name = row.path if row.target is Target.URL else row.target_name
    if row.target is Target.JSON and name:
        return f"json.{name.removeprefix('json.')}"
    return f"/{name}/" if row.name_is_pattern else name or ANY


def _our_fields(new: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """Our fields that its changed keys set together."""
    fields: dict[str, Any] = {}
    if "rule_id" in new:
        fields["rules"] = [str(new["rule_id"])]
    if "comment" in new:
        fields["reason"] = new["comment"] or ""
    if "scope_path" in new:
        fields |= _below(new["scope_path"] or "")
    if {"target_type", "target_value"} & set(new):
        kind, value = str(whole.get("target_type", "args")), str(whole.get("target_value", ""))
        fields |= _field(kind, value, str(whole.get("scope_path") or ""))
    return fields


def _below(path: str) -> dict[str, Any]:
    return {"path": path, "path_match": PathMatch.BELOW if path else PathMatch.ANY}


def _field(kind: str, value: str, scope: str) -> dict[str, Any]:
    if not value.strip():
        raise Invalid.at("target_value", f"Enter the field’s name, or {ANY} for all of its kind.")
    target = TARGETS.get(kind, kind)
    if target is Target.URL:
        return {"target": target, "target_name": "", "name_is_pattern": False, **_whole_url(kind, value, scope)}
    is_pattern = len(value) > 2 and value.startswith("/") and value.endswith("/")
    if target is Target.ARGUMENT and value.startswith("json."):
        target = Target.JSON
    name = "" if value == ANY else value[1:-1] if is_pattern else value
    return {"target": target, "target_name": name, "name_is_pattern": is_pattern}


def _whole_url(kind: str, value: str, scope: str) -> dict[str, Any]:
    """To which path it holds. Its form wants a value, which may be the type's name: a URL has no fields."""
    if scope:
        if value.startswith("/") and value != scope:
            raise Invalid.at(
                "target_value", f"target_value and scope_path name two paths. Enter {ANY} as target_value."
            )
        return {}
    if value == ANY or value.lower() == kind:
        return _below("")
    if not value.startswith("/"):
        raise Invalid.at("target_value", f"Enter a path that begins with /, or {ANY} for every path.")
    return {"path": value, "path_match": PathMatch.EXACT}
