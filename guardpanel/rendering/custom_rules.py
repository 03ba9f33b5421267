"""Custom rules in SecLang: where the engine reads them in time."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from guardpanel.models.rules.custom_rule import CustomRule, CustomRuleColumns
from guardpanel.models.rules.custom_rule_checks import read
from guardpanel.models.rules.custom_rule_choices import CustomAction, RulePhase
from guardpanel.models.rules.custom_rule_text import link_of
from guardpanel.models.rules.seclang import Link, pretty
from guardpanel.rendering.rows import ColumnReader, Row
from guardpanel.rendering.tokens import Token, rule

OF_FIELDS = ColumnReader(CustomRuleColumns)

ORDER = (CustomAction.ALLOW, CustomAction.BLOCK, CustomAction.LOG, CustomAction.SCORE)
"What allows comes first: nothing else is asked of such a request."


class CustomRuleState(CustomRuleColumns):
    """All fields of a custom rule, as the row has them."""

    id: int
    policy_id: int

    @classmethod
    def from_row(cls, row: Row) -> "CustomRuleState":
        values: dict[str, Any] = OF_FIELDS.by_name(row)
        return cls.model_construct(set(values), id=row["id"], policy_id=row["policy_id"], **values)

    @property
    def counts_late(self) -> bool:
        """The rule set sets the score to 0 in phase 1 (901200): what adds to it in that phase comes after."""
        return self.action is CustomAction.SCORE and self.phase is RulePhase.REQUEST_HEADERS


@dataclass(frozen=True)
class Written:
    custom_rule_id: int
    lines: tuple[tuple[Token, int], ...]
    "Each with its line in the typed SecLang, 0 for a rule of the builder."
    field: str
    "That of which the engine can refuse something."


def before_rule_set(rules: Iterable[CustomRuleState]) -> list[Written]:
    ordered = sorted(rules, key=lambda each: (ORDER.index(each.action), each.rule_id))
    return [_written(each) for each in ordered if not each.counts_late]


def after_rule_set(rules: Iterable[CustomRuleState]) -> list[Written]:
    return [_written(each) for each in sorted(rules, key=lambda each: each.rule_id) if each.counts_late]


def _written(each: CustomRuleState) -> Written:
    lines = tuple((rule(link), link.line if each.seclang else 0) for link in links_of(each))
    return Written(each.id, lines, "seclang" if each.seclang else "operator_argument")


def seclang(row: CustomRule | CustomRuleColumns) -> str:
    """It alone, for people."""
    return row.seclang or pretty([link_of(row)])


def links_of(row: CustomRuleColumns) -> list[Link]:
    return read(row.seclang) if row.seclang else [link_of(row)]
