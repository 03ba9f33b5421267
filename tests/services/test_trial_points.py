"""Points beside the rules of a tested request: those of the rule set and of the policy's own rules, if they add up to its score."""

from guardpanel.engines.waf.evaluation import EvaluatedRule, Evaluation, Match
from guardpanel.services.trials.trial_points import explained
from tests.rule_set import rule_set


def fired(number: int, *chain: int, level: int | None = 1) -> EvaluatedRule:
    return EvaluatedRule(number, 2, level, "", "", (), tuple(Match("ARGS", "q", "x", link) for link in chain))


def tried(score: int, *rules: EvaluatedRule) -> Evaluation:
    return Evaluation("blocked", 403, 949110, score, 5, (*rules, fired(949110, 0, level=None)))


def test_each_matching_value_adds_its_points() -> None:
    assert explained(tried(15, fired(941100, 0, 0), fired(942100, 0)), rule_set(), {}) == {941100: 10, 942100: 5}


def test_rules_above_the_blocking_level_add_nothing() -> None:
    assert explained(tried(5, fired(941100, 0), fired(942330, 0, level=2)), rule_set(), {}) == {941100: 5}


def test_a_custom_rule_adds_its_own_points() -> None:
    own = {9000001: 3}

    assert explained(tried(8, fired(941100, 0), fired(9000001, 0, level=None)), rule_set(), own) == {
        941100: 5,
        9000001: 3,
    }


def test_nothing_is_said_that_does_not_add_up() -> None:
    assert explained(tried(7, fired(941100, 0)), rule_set(), {}) == {}
    assert explained(tried(5, fired(941100, 0)), None, {}) == {}
