"""What a fix is called, and how much it touches."""

from typing import Any

import pytest

from guardpanel.engines.waf.evaluation import Evaluation
from guardpanel.models.rules.custom_rule import CustomRuleFields
from guardpanel.models.rules.rule_exclusion import RuleExclusionFields
from guardpanel.services.fixes.drafts import Draft
from guardpanel.services.fixes.words import scope, scores, verdict


def excluding(*rules: str, **policy: Any) -> Draft:
    fields = {"rules": rules, "target": "argument", "target_name": "body", "path": "/posts"}
    return Draft(policy, (("rule_exclusion", RuleExclusionFields.model_validate(fields)),) if rules else ())


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        (excluding("941100"), "1 rule"),
        (excluding("941100", "941110"), "2 rules"),
        (excluding("attack-xss"), "1 family of rules"),
        (excluding("attack-xss", "attack-sqli", "942100"), "2 families of rules and 1 rule"),
        (excluding(restricted_headers=["proxy"]), "1 setting"),
        (excluding("941100", restricted_headers=["proxy"]), "1 setting and 1 rule"),
        (Draft(rows=(("custom_rule", CustomRuleFields.model_construct(rule_id=9_000_001)),)), "1 rule"),
    ],
)
def test_a_family_or_a_setting_is_not_counted_as_rules(draft: Draft, words: str) -> None:
    assert scope(draft) == words


@pytest.mark.parametrize(
    ("before", "words", "change"),
    [
        (Evaluation("blocked", 403, 949110, 20, 5, ()), "Score 20 of 5", "score 20 → 0"),
        (Evaluation("pass", 0, 0, 3, 5, ()), "Score 3 of 5", "score 3 → 0"),
        (Evaluation("blocked", 400, 200009, 0, 0, ()), "Blocked by rule 200009, regardless of score,", ""),
        (
            Evaluation("blocked", 403, 9_000_001, 5, 5, ()),
            "Blocked by rule 9000001, regardless of score,",
            "score 5 → 0",
        ),
    ],
)
def test_a_rule_that_blocks_by_itself_is_named_instead_of_a_score(before: Evaluation, words: str, change: str) -> None:
    assert (verdict(before), scores(before, Evaluation("pass", 0, 0, 0, 5, ()))) == (words, change)
