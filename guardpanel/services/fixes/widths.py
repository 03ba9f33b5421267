"""The rungs of the ladder: how broad a fix is, and the rows that it consists of."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from guardpanel.events.folding import path_pieces
from guardpanel.models.meta import Choice
from guardpanel.models.patterns import LONGEST
from guardpanel.models.policies.path_condition import PathMatch, PathText, path_for
from guardpanel.models.rules.custom_rule import NOUN as CUSTOM_RULE
from guardpanel.models.rules.custom_rule import CustomRuleColumns, CustomRuleFields
from guardpanel.models.rules.rule_choices import ids
from guardpanel.models.rules.rule_exclusion import RuleExclusionFields, Target
from guardpanel.models.rules.rule_override import KnownOverride, RuleAction
from guardpanel.services.fixes.blame import Blame, Field, fields_in
from guardpanel.services.fixes.drafts import Draft
from guardpanel.services.fixes.folding import (
    NO_SLASH,
    NO_WORD,
    beginning,
    escaped,
    escaped_path,
    json_name,
    name_pattern,
    path_pattern,
)
from guardpanel.services.fixes.functions import condition
from guardpanel.services.fixes.requests import MASKED, STANDS_IN, Request
from guardpanel.services.rules.exclusion_checks import never_matches

FIRST_OF_CRS = 900_000
FAMILY = "attack-"
"The prefix of CRS's family tags."

LONGEST_NAME, PREFIX = 200, 90
"Of an exclusion's field, and what is left of a longer name, each letter of which may be escaped."

BLANKS = re.compile("^ +| +$")

BEGINNING = 60
"Of a path whose pattern is longer than one may be, where each letter may be one of several."

MOST_ALIKE = 10
"Numbered fields that are excluded one by one. The next request may have one more, and each costs every request time."

PATHS: TypeAdapter[str] = TypeAdapter(PathText)

NOTHING = "^$"
"A pattern for the field without a name, as in `?=text`."


class Width(Choice):
    """Narrowest first."""

    SETTING = "setting", "Policy setting"
    CONDITION = "condition", "This field, this path and method, this function only"
    FIELD = "field", "This field, this path and method"
    FIELD_PATTERN = "field_pattern", "Fields like this one, this path and method"
    PATH_PATTERN = "path_pattern", "This field, paths like this one, this method"
    PATTERNS = "patterns", "Fields and paths like these, this method"
    BELOW = "below", "This field, everything below this directory, this method"
    FAMILY = "family", "The whole family on this field, path and method"
    REQUEST = "request", "Every field of this path and method"
    EVERYWHERE = "everywhere", "This field on every path"
    RESTRICTIONS = "restrictions", "Allowed in the policy"
    OFF = "off", "Rules off in the policy"


ONE_BY_ONE = {Width.FIELD, Width.PATH_PATTERN}
"There is another width with a pattern for the field."

METER = 6


def meter(width: Width) -> int:
    """How broad it is, from 1 to METER."""
    widths = list(Width)
    return 1 + widths.index(width) * METER // len(widths)


Custom = Mapping[int, Mapping[str, Any]]
"A policy's custom rules by their id."


def exclusions(width: Width, blames: Sequence[Blame], request: Request, host_id: int | None) -> Draft:
    """The rows of a rung for these rules. Empty if there is none of that width. Raises pydantic's ValueError if no valid row can
    express the exclusion."""
    draft, where = Draft(), _where(width, request)
    crowds = _crowds(blames)
    if crowds and width in ONE_BY_ONE:
        return draft
    for each in blames if where else ():
        for rules, field in _whats(width, each):
            of_field = _folded(field) if _alike(field) in crowds else _field(width, field)
            fields = {"rules": rules, "virtual_host_id": host_id, **of_field, **where}
            draft = draft.together(Draft(rows=(("rule_exclusion", RuleExclusionFields.model_validate(fields)),)))
    return draft


def _crowds(blames: Sequence[Blame]) -> set[str]:
    """Patterns that are meant where rules fired on so many fields that differ in their numbers only."""
    patterns = Counter(_alike(field) for field in fields_in(blames))
    return {pattern for pattern, count in patterns.items() if pattern and count > MOST_ALIKE}


def _alike(field: Field) -> str:
    _, name = _as_engine_names(field)
    return name_pattern(name) if field.target.has_names else ""


def off(blames: Sequence[Blame], custom: Custom) -> Draft:
    """Rules of the rule set by overrides, custom rules by themselves."""
    rules = dict.fromkeys(each.rule.id for each in blames if each.rule.id >= FIRST_OF_CRS)
    overrides = [KnownOverride(rule=str(rule), action=RuleAction.DISABLE) for rule in rules if rule not in custom]
    disabled = [_disabled(custom[rule]) for rule in rules if rule in custom]
    return Draft(
        rows=(*(("rule_override", each) for each in overrides), *((CUSTOM_RULE.key, each) for each in disabled))
    )


def _disabled(row: Mapping[str, Any]) -> CustomRuleFields:
    fields = {name: row[name] for name in CustomRuleColumns.model_fields}
    return CustomRuleFields.model_validate({**fields, "enabled": False})


def _where(width: Width, request: Request) -> dict[str, Any]:
    """Path, method and condition."""
    pattern = path_pattern(request.known_path)
    methods = [request.method] if request.method.isupper() else []  # forms take no other ones
    exactly = {**exact_path(request), "methods": methods}
    match width:
        case Width.CONDITION:
            function = condition(request)
            return {**exactly, "only_if": [function]} if function else {}
        case Width.PATH_PATTERN | Width.PATTERNS:
            if not pattern or never_matches(PathMatch.PATTERN, pattern):
                return {}
            return {"path_match": PathMatch.PATTERN, "path": pattern, "methods": methods}
        case Width.BELOW:
            path = directory(request.known_path)
            return {"path_match": PathMatch.BELOW, "path": path, "methods": methods} if path else {}
        case Width.EVERYWHERE:
            return {"path_match": PathMatch.ANY}
    return exactly


def paths(width: Width, request: Request) -> dict[str, Any]:
    """For which a rung reads bodies otherwise."""
    where = _where(width, request)
    if where.get("path_match") in {PathMatch.PATTERN, PathMatch.BELOW}:
        return {name: where[name] for name in ("path_match", "path")}
    return exact_path(request)


def directory(path: str) -> str:
    """The nearest one that holds the paths like this one: `/orders` of `/orders/17/items/3`. Empty where that is all of them, or
    no form takes it."""
    same = "".join(text if not kind else MASKED for text, kind in path_pieces(path)).partition(MASKED)[0]
    above = same.removesuffix("/").rpartition("/")[0] if same == path else same.rpartition("/")[0]
    return above if above and _is_taken(PathMatch.BELOW, above) else ""


def exact_path(request: Request) -> dict[str, Any]:
    """As fields of a row: decoded, or as it was sent if it steps up or has a byte that is no text. By a pattern where parts of it
    are not known, and by its beginning if it is too long."""
    path = request.known_path
    for match, text in ((PathMatch.EXACT, path), (PathMatch.AS_SENT, request.sent_path)):
        if MASKED not in text and _is_taken(match, text):
            return {"path_match": match, "path": text}
    pattern = escaped_path(path)
    if len(pattern) > LONGEST:
        pattern = beginning(path, BEGINNING, NO_SLASH)
    return {"path_match": PathMatch.PATTERN, "path": pattern}


def _is_taken(match: PathMatch, path: str) -> bool:
    """Whether the form reads it as it is: a decoded path may contain what it does not."""
    try:
        return PATHS.validate_python(path_for(match, path)) == path
    except ValueError:
        return False


def _whats(width: Width, each: Blame) -> Iterator[tuple[list[str], Field]]:
    """Rules and fields, or the whole request if a rule cannot be limited to one of its fields."""
    whole = Field(Target.REQUEST)
    fields = each.fields or (whole,)
    match width:
        case Width.REQUEST:
            fields = (whole,)
        case Width.EVERYWHERE:
            fields = tuple(field for field in fields if field != whole)
    families = [tag for tag in each.rule.tags if tag.startswith(FAMILY) and ids(tag) is None]
    rules = families[:1] if width is Width.FAMILY and families and whole not in fields else [str(each.rule.id)]
    yield from ((rules, field) for field in fields)


def _field(width: Width, field: Field) -> dict[str, Any]:
    if STANDS_IN in field.name:
        return _masked(field)
    if width in {Width.FIELD_PATTERN, Width.PATTERNS} and field.target.has_names:
        return _folded(field)
    if field.target.has_names and not _is_plain_name(field.name):
        return _as_pattern(field)
    return {"target": field.target, "target_name": field.name}


def _as_engine_names(field: Field) -> tuple[Target, str]:
    """For a pattern: JSON values are arguments."""
    return (Target.ARGUMENT, f"json.{field.name}") if field.target is Target.JSON else (field.target, field.name)


def _is_plain_name(name: str) -> bool:
    """Whether the form takes it as it is: no name means all fields of a kind, and blanks around one are dropped."""
    return 0 < len(name) <= LONGEST_NAME and name == name.strip() and name.isprintable()


def _as_pattern(field: Field) -> dict[str, Any]:
    """A long name by its beginning."""
    target, name = _as_engine_names(field)
    pattern = BLANKS.sub(lambda blanks: NO_WORD * len(blanks[0]), escaped(name)) or NOTHING
    if len(pattern) > LONGEST_NAME:
        pattern = beginning(name, PREFIX)
    return {"target": target, "name_is_pattern": True, "target_name": pattern}


def _masked(field: Field) -> dict[str, Any]:
    """A pattern, as nobody knows the name: a part of it is masked, and something else was evaluated in its place."""
    target, name = _as_engine_names(field)
    parts = [name_pattern(part) or escaped(part) for part in name.split(STANDS_IN)]
    return {"target": target, "name_is_pattern": True, "target_name": ".+".join(parts)}


def _folded(field: Field) -> dict[str, Any]:
    if field.target is Target.JSON and (name := json_name(field.name)) and len(name) <= LONGEST_NAME:
        return {"target": field.target, "target_name": name}
    target, name = _as_engine_names(field)
    if (pattern := name_pattern(name)) and len(pattern) <= LONGEST_NAME:
        return {"target": target, "name_is_pattern": True, "target_name": pattern}
    return {"target": field.target, "target_name": field.name} if _is_plain_name(field.name) else _as_pattern(field)
