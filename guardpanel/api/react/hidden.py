"""Keys of a policy whose inputs the React panel hides while their switch is off. It sends them all the same, and whoever fills in
its form can't correct what is hidden."""

from typing import Any

from guardpanel.api.react.keys import fits
from guardpanel.models import Policy
from guardpanel.models.policies.policy import PolicyFields

LIMITS, BANS = "ddos_protection_enabled", "auto_ban_enabled"

NUMBERS = {
    LIMITS: {
        "rate_limit_requests": "rate_limit_requests",
        "rate_limit_window_seconds": "rate_limit_window_seconds",
        "max_connections_per_ip": "requests_at_once",
    },
    BANS: {"ban_threshold": "ban_threshold", "ban_duration_seconds": "ban_duration_seconds"},
}
"By switch: its numbers, and our fields."


def leave_out_hidden(sent: dict[str, Any], row: Policy | None) -> None:
    """Without numbers beyond their limits, so that they stay as they were. Limits that go off take automatic bans with them, as a
    part of the protection, unless these are sent. Those that a page set without limits stay."""
    if sent.get(LIMITS) is False and row and row.client_limits:
        sent.setdefault(BANS, False)
    for switch, numbers in NUMBERS.items():
        if sent.get(switch) is False:
            beyond = [theirs for theirs, ours in numbers.items() if not fits(PolicyFields, ours, sent.get(theirs))]
            for theirs in beyond:
                sent.pop(theirs, None)
