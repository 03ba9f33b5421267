"""How many requests one client may send: the limits of a policy."""

from guardpanel.models.meta import described
from guardpanel.models.policies.policy_judging import JudgingFields

LONGEST_PERIOD_SECONDS = 3_600


class LimitFields(JudgingFields):
    """The second part of a policy's fields."""

    client_limits: bool = described(
        "Client limits",
        False,
        hint="A client over a limit gets 429 in mode Block. In Detect only, its requests pass and are events. No limits "
        "hold for clients on an allow list.",
    )
    rate_limit_requests: int = described(
        "Requests per period",
        100,
        ge=1,
        le=1_000_000,
        hint="By one client IP (IPv6: one /64 network), to all virtual hosts with this policy. Images and scripts count, too.",
    )
    rate_limit_window_seconds: int = described(
        "Period",
        10,
        ge=1,
        le=LONGEST_PERIOD_SECONDS,
        unit="s",
        hint="Rejected requests do not count: a client that keeps on is served again as requests of it become older than this.",
    )
    requests_at_once: int = described(
        "Requests at once",
        20,
        ge=1,
        le=100_000,
        hint="By one client, in progress. A browser sends 6 at once over HTTP/1.1, 20 over HTTP/2. WebSockets and downloads "
        "count while they last.",
    )
