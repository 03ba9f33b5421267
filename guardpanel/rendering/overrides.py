"""Rule overrides in SecLang. They follow the rule set, whose rules they change permanently."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from guardpanel.models.rules.rule_override import FAMILY, RuleAction, RuleOverrideColumns
from guardpanel.rendering.rows import ColumnReader, Row
from guardpanel.rendering.tokens import Token, built, literal

OF_FIELDS = ColumnReader(RuleOverrideColumns)


class OverrideState(RuleOverrideColumns):
    """All fields of a rule override, as stored."""

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
class MovedRule:
    """A rule whose points must count at another level. It still adds them to its own level, where they are subtracted."""

    override_id: int
    rule: Token
    score: Token
    points: int
    from_level: int
    to_level: int


@dataclass(frozen=True)
class RemovedRules:
    override_id: int
    by_tag: bool
    rules: Token


def moved(overrides: Iterable[OverrideState], blocking_level: int) -> list[MovedRule]:
    """Rules above the blocking level. Others' points count anyway."""
    return [
        MovedRule(
            override.id,
            literal(override.rule),
            literal("outbound_anomaly_score_pl" if override.is_outbound else "inbound_anomaly_score_pl"),
            override.points,
            override.level,
            blocking_level,
        )
        for override in overrides
        if override.action is RuleAction.ENABLE and override.level > blocking_level
    ]


def removed(overrides: Iterable[OverrideState]) -> list[RemovedRules]:
    return [
        RemovedRules(override.id, by_tag=not override.rule[0].isdigit(), rules=_rules(override.rule))
        for override in overrides
        if override.action is RuleAction.DISABLE
    ]


def _rules(rule: str) -> Token:
    return built("{}000-{}999", literal(rule), literal(rule)) if FAMILY.fullmatch(rule) else literal(rule)
