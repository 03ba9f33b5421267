"""Rules that enforce a policy's settings: the cure is the setting, not an exclusion."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from guardpanel.models.content_types import ReadAs, reading_of
from guardpanel.models.policy_judging import MOST_ARGUMENTS
from guardpanel.services.fixes.blame import Blame
from guardpanel.services.fixes.drafts import Draft
from guardpanel.services.fixes.requests import Request

Policy = Mapping[str, Any]
Cure = Callable[[Policy, Request, Blame], Policy]


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


def _reading(policy: Policy, request: Request, _blame: Blame) -> Policy:
    """A body that does not match its type: parse it as one text or, if that does not help, not at all."""
    kind, entries = request.content_type, policy["content_type_readings"]
    if not kind or (now := reading_of(kind, entries)) is ReadAs.NONE:
        return {}
    how = NEXT_READING.get(now, ReadAs.TEXT)
    others = [entry for entry in entries if entry.partition(" = ")[0] != kind]
    return {"content_type_readings": [*others, f"{kind} = {how}"]}


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
    200002: _reading,
    200003: _reading,
}
"By rule."


def cured(policy: Policy, request: Request, blames: Sequence[Blame]) -> tuple[Draft, list[Blame]]:
    """The changes to the policy, and the rules for which there is none."""
    changes: dict[str, Any] = {}
    left = []
    for each in blames:
        cure = CURES.get(each.rule.id)
        change = cure({**policy, **changes}, request, each) if cure else {}
        changes |= change
        if not change:
            left.append(each)
    return Draft(policy=changes), left
