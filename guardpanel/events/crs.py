"""What CRS's rule ids say."""

REPORTING = frozenset({949, 959, 980})
"Thousands of the rules that add up and report the scores of requests, of responses, and of both."

OUTBOUND = range(959_000, 960_000)
"Of those: what blocks a response."

RECOMMENDED = 200
"Thousand of Coraza's recommended rules."


def is_reporting(rule_id: int) -> bool:
    """Whether it reports a score: it is never the reason itself."""
    return rule_id // 1_000 in REPORTING


def is_in_rule_set(rule_id: int) -> bool:
    """Whether it is one of CRS's or of Coraza's recommended ones: not an operator's, nor guardpanel's own."""
    return rule_id // 100_000 == 9 or rule_id // 1_000 == RECOMMENDED
