"""Rule overrides in SecLang: after the rule set, whose rules they change for good."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from guardpanel.models.rule_override import FAMILY, RuleAction, RuleOverrideColumns
from guardpanel.rendering.rows import Row, Stored
from guardpanel.rendering.tokens import Token, built, literal

OF_FIELDS = Stored(RuleOverrideColumns)


class OverrideState(RuleOverrideColumns):
    """All fields of a rule override, as the row has them."""

    id: int
    policy_id: int
    level: int
    points: int
    is_outbound: bool

    @classmethod
    def from_row(cls, row: Row) -> "OverrideState":
        values: dict[str, Any] = OF_FIELDS.by_name(row)
        own = {name: row[name] for name in ("id", "policy_id", "level", "points")}
        return cls.model_construct(set(values), **own, is_outbound=bool(row["is_outbound"]), **values)


@dataclass(frozen=True)
class Moved:
    """A rule whose points are to count at another level. It adds them to its own all the same: there they are taken off."""

    override_id: int
    rule: Token
    score: Token
    points: int
    from_level: int
    to_level: int


@dataclass(frozen=True)
class Removed:
    override_id: int
    by_tag: bool
    rules: Token


def moved(overrides: Iterable[OverrideState], blocking_level: int) -> list[Moved]:
    """Where a rule's level is above the blocking level: at others its points count anyway."""
    return [
        Moved(
            one.id,
            literal(one.rule),
            literal("outbound_anomaly_score_pl" if one.is_outbound else "inbound_anomaly_score_pl"),
            one.points,
            one.level,
            blocking_level,
        )
        for one in overrides
        if one.action is RuleAction.ENABLE and one.level > blocking_level
    ]


def removed(overrides: Iterable[OverrideState]) -> list[Removed]:
    return [
        Removed(one.id, by_tag=not one.rule[0].isdigit(), rules=_rules(one.rule))
        for one in overrides
        if one.action is RuleAction.DISABLE
    ]


def _rules(rule: str) -> Token:
    return built("{}000-{}999", literal(rule), literal(rule)) if FAMILY.fullmatch(rule) else literal(rule)
