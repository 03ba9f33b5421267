"""The rungs of the ladder: how broad a fix is, and the rows that it consists of."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from guardpanel.models.meta import Choice
from guardpanel.models.policies.path_condition import PathMatch, plain_path
from guardpanel.models.rules.rule_choices import ids
from guardpanel.models.rules.rule_exclusion import RuleExclusionFields, Target
from guardpanel.models.rules.rule_override import KnownOverride, RuleAction
from guardpanel.services.fixes.blame import Blame, Field
from guardpanel.services.fixes.drafts import Draft
from guardpanel.services.fixes.folding import escaped, escaped_path, json_name, name_pattern, path_pattern
from guardpanel.services.fixes.requests import MASKED, STANDS_IN, Request

FIRST_OF_CRS = 900_000
FAMILY = "attack-"
"The prefix of CRS's family tags."


class Width(Choice):
    """Narrowest first."""

    SETTING = "setting", "Policy setting"
    CONDITION = "condition", "This field, this path and method, this function only"
    FIELD = "field", "This field, this path and method"
    FIELD_PATTERN = "field_pattern", "Fields like this one, this path and method"
    PATH_PATTERN = "path_pattern", "This field, paths like this one, this method"
    PATTERNS = "patterns", "Fields and paths like these, this method"
    FAMILY = "family", "The whole family on this field, path and method"
    REQUEST = "request", "Every field of this path and method"
    EVERYWHERE = "everywhere", "This field on every path"
    RESTRICTIONS = "restrictions", "Allowed in the policy"
    OFF = "off", "Rules off in the policy"


METER = 6


def meter(width: Width) -> int:
    """How broad it is, from 1 to METER."""
    widths = list(Width)
    return 1 + widths.index(width) * METER // len(widths)


FUNCTIONS = (
    "action", "_action", "do", "act", "op", "cmd", "command", "task", "_task", "route", "rest_route", "func", "function",
    "method", "controller", "view", "option", "page", "mod", "module", "mode", "db", "r",
)  # fmt: skip
"Arguments by which applications select a function at a shared URL."

PLAIN_VALUE = re.compile(r"[A-Za-z0-9_./:-]{1,80}")


def exclusions(width: Width, blames: Sequence[Blame], request: Request, host_id: int | None) -> Draft:
    """The rows of a rung for these rules. Empty if there is none of that width. Raises pydantic's ValueError if no valid row can
    express the exclusion."""
    draft, where = Draft(), _where(width, request)
    for each in blames if where else ():
        for rules, field in _whats(width, each):
            fields = {"rules": rules, "virtual_host_id": host_id, **_field(width, field), **where}
            draft = draft.together(Draft(rows=(("rule_exclusion", RuleExclusionFields.model_validate(fields)),)))
    return draft


def off(blames: Sequence[Blame]) -> Draft:
    rules = dict.fromkeys(str(each.rule.id) for each in blames if each.rule.id >= FIRST_OF_CRS)
    overrides = [KnownOverride(rule=rule, action=RuleAction.DISABLE) for rule in rules]
    return Draft(rows=tuple(("rule_override", override) for override in overrides))


def condition(request: Request) -> str:
    """`action=save`, if an argument selects a function: present once, with a plain value."""
    arguments = [*request.query, *request.form]
    for name in FUNCTIONS:
        values = [value for key, value in arguments if key.lower().strip() == name]
        if len(values) == 1 and PLAIN_VALUE.fullmatch(values[0]) and STANDS_IN not in values[0]:
            exact = next(key for key, _ in arguments if key.lower().strip() == name)
            return f"{exact}={values[0]}"
    return ""


def _where(width: Width, request: Request) -> dict[str, Any]:
    """Path, method and condition."""
    pattern = path_pattern(request.known_path)
    exactly = {**exact_path(request.known_path), "methods": [request.method]}
    match width:
        case Width.CONDITION:
            function = condition(request)
            return {**exactly, "only_if": [function]} if function else {}
        case Width.PATH_PATTERN | Width.PATTERNS:
            return {"path_match": PathMatch.PATTERN, "path": pattern, "methods": [request.method]} if pattern else {}
        case Width.EVERYWHERE:
            return {"path_match": PathMatch.ANY}
    return exactly


def exact_path(path: str) -> dict[str, Any]:
    """As fields of a row."""
    if MASKED in path or not _is_plain(path):
        return {"path_match": PathMatch.PATTERN, "path": escaped_path(path)}
    return {"path_match": PathMatch.EXACT, "path": path}


def _is_plain(path: str) -> bool:
    """A decoded path may contain what the form reads differently."""
    try:
        plain_path(path)
    except ValueError:
        return False
    return True


def _whats(width: Width, each: Blame) -> Iterator[tuple[list[str], Field]]:
    """Rules and fields, or the whole request if a rule cannot be limited to one of its fields."""
    whole = Field(Target.REQUEST)
    fields = each.fields or (whole,)
    match width:
        case Width.REQUEST:
            fields = (whole,)
        case Width.EVERYWHERE:
            fields = tuple(field for field in fields if field.target.has_names)
    families = [tag for tag in each.rule.tags if tag.startswith(FAMILY) and ids(tag) is None]
    rules = families[:1] if width is Width.FAMILY and families and whole not in fields else [str(each.rule.id)]
    yield from ((rules, field) for field in fields)


def _field(width: Width, field: Field) -> dict[str, Any]:
    if STANDS_IN in field.name:
        return _masked(field)
    if width in {Width.FIELD_PATTERN, Width.PATTERNS} and field.target.has_names:
        return _folded(field)
    return {"target": field.target, "target_name": field.name}


def _masked(field: Field) -> dict[str, Any]:
    """A pattern, as nobody knows the name: a part of it is masked, and something else was evaluated in its place."""
    target, name = field.target, field.name
    if target is Target.JSON:
        target, name = Target.ARGUMENT, f"json.{name}"
    parts = [name_pattern(part) or escaped(part) for part in name.split(STANDS_IN)]
    return {"target": target, "name_is_pattern": True, "target_name": ".+".join(parts)}


def _folded(field: Field) -> dict[str, Any]:
    if field.target is Target.JSON:
        if name := json_name(field.name):
            return {"target": field.target, "target_name": name}
        return {"target": Target.ARGUMENT, "name_is_pattern": True, "target_name": name_pattern(f"json.{field.name}")}
    if pattern := name_pattern(field.name):
        return {"target": field.target, "name_is_pattern": True, "target_name": pattern}
    return {"target": field.target, "target_name": field.name}
