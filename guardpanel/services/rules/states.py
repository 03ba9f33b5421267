"""What each policy does with a rule. What else switches a rule off or on (overrides, exclusions) is said here, too."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from guardpanel.engines import Rule, RuleRole
from guardpanel.models import Policy
from guardpanel.models.enforcement import EnforcementMode


class StateKind(StrEnum):
    SCORES = "scores"
    "It runs, and its points count."
    DETECTS = "detects"
    "It runs, and its points do not block: its level is above the blocking paranoia level."
    OFF = "off"
    RUNS = "runs"
    "A rule that only steers."


@dataclass(frozen=True)
class PolicyState:
    policy_id: int
    policy: str
    kind: StateKind
    reason: str
    "Why, as a fragment for a list."


def states(rule: Rule, policies: Iterable[Policy]) -> list[PolicyState]:
    """By policy, in their order."""
    return [PolicyState(policy.id or 0, policy.name, *_state(rule, policy)) for policy in policies]


def _state(rule: Rule, policy: Policy) -> tuple[StateKind, str]:
    if policy.enforcement_mode is EnforcementMode.OFF:
        return StateKind.OFF, "enforcement mode is Off"
    if rule.phase in {3, 4} and not policy.response_inspection:
        return StateKind.OFF, "responses are not inspected"
    if rule.role is not RuleRole.DETECT:
        return StateKind.RUNS, "at every paranoia level"
    if rule.paranoia_level is None:
        return StateKind.SCORES, "at every paranoia level"
    if rule.paranoia_level > policy.detection_paranoia_level:
        return StateKind.OFF, f"detection paranoia level is {policy.detection_paranoia_level}"
    if rule.paranoia_level > policy.blocking_paranoia_level:
        return StateKind.DETECTS, f"blocking paranoia level is {policy.blocking_paranoia_level}"
    return StateKind.SCORES, f"blocking paranoia level is {policy.blocking_paranoia_level}"
