"""What each policy does with a rule, including overrides and exclusions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from guardpanel.engines import Rule, RuleRole
from guardpanel.models import Policy, RuleExclusion, RuleOverride
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.policies.path_condition import PathMatch
from guardpanel.models.rules.rule_exclusion import Target
from guardpanel.models.rules.rule_override import RuleAction


class StateKind(StrEnum):
    SCORES = "scores"
    "It runs, and its points count."
    DETECTS = "detects"
    "It runs, but its points do not block: its level is above the blocking paranoia level."
    OFF = "off"
    RUNS = "runs"
    "A rule that detects nothing itself."

    @property
    def word(self) -> str:
        return WORDS[self]


WORDS = {StateKind.SCORES: "On", StateKind.DETECTS: "Detects only", StateKind.OFF: "Off", StateKind.RUNS: "On"}


@dataclass(frozen=True)
class PolicyState:
    policy_id: int
    policy: str
    kind: StateKind
    reason: str
    "The reason, as a fragment for a list."


def states(
    rule: Rule,
    policies: Iterable[Policy],
    exclusions: Sequence[RuleExclusion] = (),
    overrides: Sequence[RuleOverride] = (),
) -> list[PolicyState]:
    """In the order of the policies. `exclusions` and `overrides` are all that name the rule."""
    states = []
    for policy in policies:
        actions = {override.action for override in overrides if override.policy_id == policy.id}
        whole = [
            exclusion
            for exclusion in exclusions
            if exclusion.policy_id == policy.id and exclusion.enabled and exclusion.target is Target.REQUEST
        ]
        kind, reason = _excluded(whole, *_overridden(actions, *_state(rule, policy)))
        states.append(PolicyState(policy.id or 0, policy.name, kind, reason))
    return states


def _overridden(actions: set[RuleAction], kind: StateKind, reason: str) -> tuple[StateKind, str]:
    """Rules that detect nothing have no overrides."""
    if kind is StateKind.RUNS or kind is StateKind.OFF:
        return kind, reason
    if RuleAction.DISABLE in actions:
        return StateKind.OFF, "a rule override switches it off"
    return (StateKind.SCORES, "a rule override counts it") if RuleAction.ENABLE in actions else (kind, reason)


def _excluded(whole: Sequence[RuleExclusion], kind: StateKind, reason: str) -> tuple[StateKind, str]:
    """The same if whole requests are excluded from the rule."""
    if kind is StateKind.OFF or not whole:
        return kind, reason
    if any(
        exclusion.path_match is PathMatch.ANY
        and not (exclusion.methods or exclusion.only_if or exclusion.virtual_host_id)
        for exclusion in whole
    ):
        return StateKind.OFF, "a rule exclusion excludes every request"
    return kind, f"{reason}; some requests are excluded"


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
