"""What CRS's rule ids say."""

REPORTING = frozenset({949, 959, 980})
"Thousands of the rules that add up and report the scores of requests, of responses, and of both."

OUTBOUND = range(959_000, 960_000)
"Of those: what blocks a response."


def is_reporting(rule_id: int) -> bool:
    """Whether it reports a score: it is never the reason itself."""
    return rule_id // 1_000 in REPORTING
