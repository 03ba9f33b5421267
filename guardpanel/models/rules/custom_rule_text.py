"""A custom rule in SecLang and back: `links` and `built` are inverse for all that the builder can say."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from guardpanel.models.rules.custom_rule_choices import OPERATORS, CustomAction, Operator, RulePhase, RuleSeverity
from guardpanel.models.rules.rule_choices import TAG
from guardpanel.models.rules.seclang import Action, Link

FIRST_ID, LAST_ID = 9_000_000, 9_099_999
"The agent counts rules with these ids as detections (spoa/inspect.go, `counts`)."

BLOCKED = 403
"The status where none is given."

STATUSES = {400, BLOCKED}
"With which HAProxy ends a request that the agent denies (config_templates/haproxy/_frontend.cfg.j2)."

SCORE = "tx.inbound_anomaly_score_pl1"
"Counts at every blocking level."

ADDED = re.compile(rf"{re.escape(SCORE)}=\+([0-9]{{1,3}})", re.IGNORECASE)

DISRUPTIVE = {
    "pass": CustomAction.LOG,
    "block": CustomAction.LOG,
    "deny": CustomAction.BLOCK,
    "allow": CustomAction.ALLOW,
}
PHASES = {"1": RulePhase.REQUEST_HEADERS, "2": RulePhase.REQUEST_BODY, "request": RulePhase.REQUEST_BODY}
BUILT_ACTIONS = {"id", "phase", "t", "log", "msg", "severity", "tag", "setvar", "status", *DISRUPTIVE}
ONCE = BUILT_ACTIONS - {"t", "tag"}


class Built(Protocol):
    """The fields of the builder."""

    rule_id: int
    name: str
    phase: RulePhase
    variables: list[str]
    transformations: list[str]
    operator: Operator
    negated: bool
    operator_argument: str
    action: CustomAction
    points: int
    severity: RuleSeverity
    tags: list[str]
    status: int


def link_of(rule: Built) -> Link:
    """A rule of the builder as its one link."""
    return Link(
        tuple(rule.variables), rule.operator.written, rule.operator_argument, rule.negated, tuple(_actions(rule))
    )


def _actions(rule: Built) -> Iterator[Action]:
    yield Action("id", str(rule.rule_id))
    yield Action("phase", str(rule.phase.number))
    match rule.action:
        case CustomAction.BLOCK:
            yield from (Action("deny"), Action("status", str(rule.status)))
        case CustomAction.ALLOW:
            yield Action("allow")
        case _:
            yield Action("pass")
    yield from (Action("t", name) for name in ("none", *rule.transformations))
    yield from (Action("log"), Action("msg", rule.name), Action("severity", rule.severity.value.upper()))
    yield from (Action("tag", tag) for tag in rule.tags)
    if rule.action is CustomAction.SCORE:
        yield Action("setvar", f"{SCORE}=+{rule.points}")


def built(links: Sequence[Link]) -> Mapping[str, Any] | None:
    """The builder's fields; None for what it cannot say. Whether their values are good, their own checks say."""
    (link, *others) = links
    names = [action.name for action in link.actions]
    operator = OPERATORS.get(link.operator.lower())
    if others or operator is None or set(names) - BUILT_ACTIONS or any(names.count(name) > 1 for name in ONCE):
        return None
    action, phase = _action(link), PHASES.get("".join(link.values("phase")))
    severity = _severity("".join(link.values("severity")))
    if None in {action, phase, severity} or not {"id", "msg"} <= set(names):
        return None
    transformations = link.values("t")
    if "none" in transformations[1:]:
        return None
    points = ADDED.fullmatch("".join(link.values("setvar")))
    return {
        "rule_id": "".join(link.values("id")),
        "name": "".join(link.values("msg")),
        "phase": phase,
        "variables": list(link.targets),
        "transformations": [name for name in transformations if name != "none"],
        "operator": operator,
        "negated": link.negated,
        "operator_argument": link.argument,
        "action": action,
        "severity": severity,
        "tags": link.values("tag"),
        **({"points": points[1]} if points else {}),
        **({"status": "".join(link.values("status"))} if link.has("status") else {}),
    }


def _action(link: Link) -> CustomAction | None:
    named = [action for action in link.actions if action.name in DISRUPTIVE]
    if len(named) != 1 or named[0].value or (link.has("status") and named[0].name != "deny"):
        return None
    action = DISRUPTIVE[named[0].name]
    if not link.has("setvar"):
        return None if named[0].name == "block" else action
    adds = ADDED.fullmatch("".join(link.values("setvar")))
    return CustomAction.SCORE if adds and action is CustomAction.LOG else None


def _severity(written: str) -> RuleSeverity | None:
    numbers = {"2": "critical", "3": "error", "4": "warning", "5": "notice"}
    value = numbers.get(written, written.lower())
    return RuleSeverity(value) if value in set(RuleSeverity) else None


def is_tag(text: str) -> bool:
    return TAG.fullmatch(text) is not None
