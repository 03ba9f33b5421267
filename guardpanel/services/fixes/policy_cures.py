"""Rules that enforce a policy's settings: the cure is the setting, not an exclusion."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from guardpanel.errors import Invalid
from guardpanel.models.policies.body_reading import NOUN as BODY_READING
from guardpanel.models.policies.body_reading import BodyReadingFields
from guardpanel.models.policies.content_types import ReadAs, reading_of
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.policies.policy_judging import MOST_ARGUMENTS
from guardpanel.models.rules.rule_exclusion import Target
from guardpanel.services.fixes import restrictions
from guardpanel.services.fixes.blame import Blame, Field
from guardpanel.services.fixes.drafts import Draft, is_for_the_same
from guardpanel.services.fixes.requests import Request
from guardpanel.services.fixes.restrictions import Cure, Policy
from guardpanel.services.input import validated

Readings = Sequence[Mapping[str, Any]]
"Rows of body readings."

Where = Mapping[str, Any]
"The path for which a body reading is, as fields of its row."


def _method(policy: Policy, request: Request, _blame: Blame) -> Policy:
    if request.method in policy["allowed_methods"]:
        return {}
    return {"allowed_methods": [*policy["allowed_methods"], request.method]}


def _content_type(policy: Policy, request: Request, _blame: Blame) -> Policy:
    kind = request.content_type
    if not kind or kind in policy["allowed_content_types"]:
        return {}
    return {"allowed_content_types": [*policy["allowed_content_types"], kind]}


NEXT_READING = {ReadAs.TEXT: ReadAs.NONE, ReadAs.BINARY: ReadAs.NONE}


def body_reading(policy: Policy, request: Request, draft: Draft, readings: Readings, where: Where) -> Draft:
    """A body that does not match its type: parse it as one text or, if that does not help, not at all. For this path (or
    paths), method and type alone. `readings`: those of the policy, since one for the same requests is changed."""
    kind = request.content_type
    try:
        fields = BodyReadingFields.model_validate(
            {**where, "methods": [request.method], "content_types": [kind] if kind else [], "read_as": ReadAs.TEXT}
        )
    except ValueError:  # its type is none that a row could name
        return Draft()
    saved = (ReadAs(row["read_as"]) for row in readings if is_for_the_same(row, fields))
    now = next((row.read_as for row in draft.readings), None) or next(saved, None) or _read_now(policy, kind)
    if now is ReadAs.NONE:
        return Draft()
    first = ReadAs.BINARY if b"\0" in request.body else ReadAs.TEXT
    fields = fields.model_copy(update={"read_as": NEXT_READING.get(now, first)})
    return Draft(rows=((BODY_READING.key, fields),))


NO_NAME = re.compile(r"[\s<>{}\"\\^`|\x00-\x1f\x7f]")
"What no program leaves as it is in a form’s name."


def is_misread(policy: Policy, request: Request, blames: Sequence[Blame], draft: Draft) -> bool:
    """Whether rules fired on what was made of a body that is no form, but is read as one: JSON or a file that a program sends
    with the type that it sends by default. Its names are parts of its content, which no other request has."""
    name = re.split(b"[=&]", request.body, maxsplit=1)[0].decode("utf-8", "replace")
    if draft.readings or not NO_NAME.search(name) or _read_now(policy, request.content_type) is not ReadAs.FORM:
        return False
    return any(NO_NAME.search(field.name) for each in blames for field in each.fields if _is_from_body(field, request))


def _is_from_body(field: Field, request: Request) -> bool:
    in_url = {name.lower() for name, _ in request.query}
    return field.target in {Target.ARGUMENT, Target.ARGUMENT_NAME} and field.name.lower() not in in_url


def _read_now(policy: Policy, kind: str) -> ReadAs:
    return reading_of(kind, policy["content_type_readings"]) if "/" in kind else ReadAs.FORM


def _limit(name: str) -> Cure:
    def cure(policy: Policy, _request: Request, blame: Blame) -> Policy:
        count = re.match(r"[0-9]+", blame.rule.data)
        if not count or not policy[name] < int(count[0]) <= MOST_ARGUMENTS:
            return {}
        return {name: min(MOST_ARGUMENTS, -(-int(count[0]) // 100) * 100)}

    return cure


CURES: Mapping[int, Cure] = {
    911100: _method,
    920420: _content_type,
    190201: _limit("argument_limit"),
    190202: _limit("argument_limit"),
    190203: _limit("argument_limit"),
    190204: _limit("json_value_limit"),
}
"By rule."

UNREADABLE = {200002, 200003}
"They fire on a body that cannot be parsed."


def cured(
    policy: Policy,
    request: Request,
    blames: Sequence[Blame],
    draft: Draft,
    *,
    readings: Readings = (),
    where: Where,
    restrictions_too: bool,
) -> tuple[Draft, list[Blame]]:
    """The changes besides the draft, and the rules for which there is none. `policy`: with what the draft changes."""
    cures = {**CURES, **restrictions.CURES} if restrictions_too else CURES
    grown, left = Draft(), []
    if is_misread(policy, request, blames, draft):
        grown = body_reading(policy, request, draft, readings, where)
    if not grown.is_empty:  # rules will fire on other fields, if at all
        blames = [each for each in blames if not any(_is_from_body(field, request) for field in each.fields)]
    for each in blames:
        change = _change({**policy, **grown.policy}, request, each, cures.get(each.rule.id))
        if each.rule.id in UNREADABLE:
            change = body_reading(policy, request, draft, readings, where)
        grown = grown.together(change)
        if change.is_empty:
            left.append(each)
    return grown, left


def _change(policy: Policy, request: Request, blame: Blame, cure: Cure | None) -> Draft:
    return Draft(policy=_valid(policy, cure(policy, request, blame)) if cure else {})


def _valid(policy: Policy, change: Policy) -> Policy:
    """As a save would store it. Empty if a policy cannot say that: a visitor may send anything as a method or a content type."""
    if not change:
        return {}
    values = {name: value for name, value in {**policy, **change}.items() if name in PolicyFields.model_fields}
    try:
        stored = validated(PolicyFields, values).model_dump(mode="json")
    except Invalid:
        return {}
    return {name: stored[name] for name in change if stored[name] != policy[name]}
