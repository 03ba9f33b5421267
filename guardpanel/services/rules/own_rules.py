"""A policy's custom rules as rules of the rule set, so that exclusions of them are checked, tried and listed like all others."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from guardpanel.engines import Rule, RuleRole, RuleSet
from guardpanel.engines.waf.rule_set import Link
from guardpanel.models import CustomRule, RuleExclusion
from guardpanel.models.rules.custom_rule import CustomRuleColumns
from guardpanel.models.rules.custom_rule_checks import phase_of
from guardpanel.models.rules.rule_choices import ids
from guardpanel.rendering.custom_rules import links_of, seclang


def with_own(known: RuleSet, rows: Iterable[CustomRuleColumns]) -> RuleSet:
    return replace(known, rules={**known.rules, **{row.rule_id: as_rule(row) for row in rows}})


def as_rule(row: CustomRuleColumns) -> Rule:
    links = links_of(row)
    return Rule(
        id=row.rule_id,
        file="",
        line=0,
        phase=phase_of(links),
        severity=row.severity.value,
        tags=tuple(links[0].values("tag")),
        paranoia_level=None,
        message=row.name,
        role=RuleRole.DETECT,
        points=row.points,
        is_outbound=False,
        seclang=seclang(row),
        links=tuple(Link(each.operator, each.argument, each.negated, each.targets, ()) for each in links),
    )


def may_be_meant(row: CustomRuleColumns, choices: Iterable[str]) -> bool:
    """Whether one of them is an id or a range with it, or a tag, which it may have."""
    return any(numbers is None or row.rule_id in numbers for numbers in map(ids, choices))


def meant(rules: Iterable[CustomRule], exclusions: Iterable[RuleExclusion]) -> Mapping[int, list[CustomRule]]:
    """By policy, those that one of its exclusions may mean."""
    choices: dict[int, set[str]] = defaultdict(set)
    for exclusion in exclusions:
        choices[exclusion.policy_id or 0].update(exclusion.rules)
    rows: dict[int, list[CustomRule]] = defaultdict(list)
    for rule in rules:
        if may_be_meant(rule, choices[rule.policy_id or 0]):
            rows[rule.policy_id or 0].append(rule)
    return rows
