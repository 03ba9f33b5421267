"""The meaning of CRS rule ids."""

REPORTING = frozenset({949, 959, 980})
"Rule families (id // 1000) that add up and report the scores of requests, of responses, and of both."

OUTBOUND = range(959_000, 960_000)
"Of these, the one that blocks a response."

RECOMMENDED = 200
"The family of Coraza's recommended rules."


def is_reporting(rule_id: int) -> bool:
    """Whether the rule only reports a score and is never the reason itself."""
    return rule_id // 1_000 in REPORTING


def is_in_rule_set(rule_id: int) -> bool:
    """Whether it is a rule of CRS or Coraza's recommended ones: neither an operator's nor guardpanel's own."""
    return rule_id // 100_000 == 9 or rule_id // 1_000 == RECOMMENDED
