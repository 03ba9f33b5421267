"""Which overrides are taken: judged by the agent's own rule set."""

from typing import Any

import pytest

from guardpanel.errors import Invalid
from guardpanel.models.rules.rule_override import RuleOverrideFields
from guardpanel.services.rule_overrides import known
from tests.rule_set import rule_set


def an_override(**fields: Any) -> RuleOverrideFields:
    return RuleOverrideFields.model_validate(fields)


@pytest.mark.parametrize("rule", ["942100", "942", "attack-rfi", "200002", "920450"])
def test_what_detects_can_be_off(rule: str) -> None:
    assert known(an_override(rule=rule), rule_set(), 1).points == 0


def test_of_a_rule_that_is_to_count_level_and_points_are_kept() -> None:
    override = known(an_override(rule="942330", action="enable"), rule_set(), 2)

    assert (override.level, override.points, override.is_outbound) == (2, 5, False)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rule": "942999"}, "OWASP CRS 4.25.0 has no rule 942999."),
        ({"rule": "attack-xxs"}, "OWASP CRS 4.25.0 has no rule attack-xxs."),
        ({"rule": "941011"}, "Rule 941011 decides which paranoia levels run."),
        ({"rule": "application-multi"}, "To block nothing, set the enforcement mode."),
        ({"rule": "942330", "action": "enable"}, "Set the policy’s detection level to 2 first."),
        ({"rule": "942", "action": "enable"}, "Enter one rule ID"),
        ({"rule": "attack-sqli", "action": "enable"}, "Enter one rule ID"),
        ({"rule": "943110", "action": "enable"}, "Rule 943110 is a chain."),
        ({"rule": "200002", "action": "enable"}, "there is nothing to count"),
    ],
)
def test_what_would_do_nothing_or_too_much_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=None) as refused:
        known(an_override(**fields), rule_set(), 1)

    assert words in refused.value.errors["rule"].message
