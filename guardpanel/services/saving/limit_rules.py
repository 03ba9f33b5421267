"""Rules across rows about client limits (`invariants.py` has the others)."""

from collections.abc import Iterator

from guardpanel.rendering.limits import MOST_PERIODS
from guardpanel.services.saving.proposal import Proposal, Violation


def limits_have_few_periods(proposal: Proposal) -> Iterator[Violation]:
    """HAProxy has a table for each, which takes memory, and each is asked about with every request."""
    limited = [row for row in proposal.rows["policy"] if row["client_limits"]]
    periods = sorted({row["rate_limit_window_seconds"] for row in limited})
    if len(periods) > MOST_PERIODS:
        listed = ", ".join(map(str, periods))
        words = (
            f"Policies would use {len(periods)} different periods ({listed} s). At most {MOST_PERIODS} are possible."
        )
        for row in limited:
            yield from proposal.at(
                ("policy", row["id"]), "rate_limit_window_seconds", f"{words} Use one of another policy."
            )


def delays_have_lua(proposal: Proposal) -> Iterator[Violation]:
    words = "This HAProxy was built without Lua and can’t delay requests. Leave this empty, or install another one."
    for row in proposal.rows["policy"] if not proposal.facts.runs_lua else ():
        if row["client_limits"] and row["limit_delay_seconds"]:
            yield from proposal.at(("policy", row["id"]), "limit_delay_seconds", words)
