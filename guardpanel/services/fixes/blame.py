"""The fields of a request that a rule matched, in a form that an exclusion can name."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from guardpanel.engines.waf.evaluation import EvaluatedRule, Evaluation, Match
from guardpanel.events.crs import copied_header, is_reporting
from guardpanel.models.rules.rule_exclusion import Target

TARGETS = {
    "ARGS": Target.ARGUMENT, "ARGS_GET": Target.ARGUMENT, "ARGS_POST": Target.ARGUMENT,
    "ARGS_NAMES": Target.ARGUMENT_NAME, "ARGS_GET_NAMES": Target.ARGUMENT_NAME, "ARGS_POST_NAMES": Target.ARGUMENT_NAME,
    "REQUEST_COOKIES": Target.COOKIE, "REQUEST_COOKIES_NAMES": Target.COOKIE_NAME,
    "REQUEST_HEADERS": Target.HEADER, "REQUEST_HEADERS_NAMES": Target.HEADER_NAME,
    "FILES": Target.FILE, "FILES_NAMES": Target.FILE, "MULTIPART_PART_HEADERS": Target.PART,
    "XML": Target.XML, "REQUEST_XML": Target.XML, "REQUEST_FILENAME": Target.PATH, "REQUEST_BASENAME": Target.PATH,
    "REQUEST_URI": Target.URL, "REQUEST_URI_RAW": Target.URL, "REQUEST_LINE": Target.URL, "QUERY_STRING": Target.URL,
    "REQUEST_BODY": Target.BODY,
}  # fmt: skip
"By the engine's names. The engine reports REQUEST_XML for what a rule calls XML."


@dataclass(frozen=True, order=True)
class Field:
    target: Target
    name: str = ""


CanName = Callable[[int, Field], bool]
"Whether an exclusion of a rule, by id, for a field has an effect."


@dataclass(frozen=True)
class Blame:
    """A rule with the fields that must all be excluded for it not to fire. Empty if that does not suffice."""

    rule: EvaluatedRule
    fields: tuple[Field, ...]


def causes(evaluation: Evaluation, blocking_level: int, custom: Collection[int] = ()) -> list[EvaluatedRule]:
    """The rules by which the request is blocked: those that add to the score, and one that blocks regardless of it. `custom`:
    the ids of custom rules that may be among them, since they have no paranoia level."""
    return [
        rule
        for rule in evaluation.rules
        if not is_reporting(rule.id)
        and (
            rule.id == evaluation.rule
            or rule.id in custom
            or (rule.paranoia_level is not None and rule.paranoia_level <= blocking_level)
        )
    ]


def blame(rule: EvaluatedRule, can_name: CanName = lambda _rule, _field: True) -> Blame:
    """For a chain, the link that matched the fewest fields: without one of its links, the rule does not fire. A link that counts
    fields matches them without being excludable for them."""
    by_link: dict[int, list[Match]] = {}
    for match in rule.matches:
        by_link.setdefault(match.chain, []).append(match)
    options = [option for _, matches in sorted(by_link.items()) if (option := _fields(matches))]
    named = [option for option in options if all(can_name(rule.id, field) for field in option)]
    return Blame(rule, min(named, key=len, default=()))


def _fields(matches: Sequence[Match]) -> tuple[Field, ...]:
    """Empty if one of them cannot be named. Sorted: the engine goes through arguments in another order each time, and the same
    request must lead to the same fix."""
    fields = [field_of(match.variable, match.key) for match in matches]
    return () if None in fields else tuple(sorted({field for field in fields if field}))


def field_of(variable: str, key: str) -> Field | None:
    if header := copied_header(variable, key):
        return Field(Target.HEADER_NAME, header)
    target = TARGETS.get(variable)
    if target is None:
        return None
    if not target.has_names:
        return Field(target)
    if target is Target.ARGUMENT and key.startswith("json."):
        return Field(Target.JSON, key.removeprefix("json."))
    return Field(target, key)


def fields_in(blames: Iterable[Blame]) -> list[Field]:
    return list(dict.fromkeys(field for each in blames for field in each.fields))
