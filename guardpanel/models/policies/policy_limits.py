"""How many requests one client may send, and when it is banned: the limits of a policy."""

from guardpanel.models.meta import described
from guardpanel.models.policies.policy_judging import JudgingFields

LONGEST_PERIOD_SECONDS = 3_600
LONGEST_BAN_SECONDS = 30 * 86_400


class LimitFields(JudgingFields):
    """The second part of a policy's fields."""

    client_limits: bool = described(
        "Client limits",
        False,
        hint="In Block, requests over a limit get 429. In Detect only, they pass and are events. Clients on an allow list "
        "have no limits.",
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
        hint="Up to 3,600. Rejected requests don’t count: a client that continues is served again as its earlier requests "
        "become older than this.",
    )
    requests_at_once: int = described(
        "Requests at once",
        20,
        ge=1,
        le=100_000,
        hint="By one client, in progress. A browser sends 6 at once over HTTP/1.1, 20 over HTTP/2. WebSockets and downloads "
        "count while they last.",
    )
    automatic_bans: bool = described(
        "Automatic bans",
        False,
        hint="Bans a client IP (IPv6: its /64 network) on all virtual hosts, but never this machine, servers, or trusted "
        "proxies. Allow lists override bans.",
    )
    ban_threshold: int = described(
        "Rejections before a ban",
        10,
        ge=1,
        le=10_000,
        hint="Counts requests that this policy’s rules block or its client limits reject. In Detect only, there are none.",
    )
    ban_window_seconds: int = described(
        "Counted for",
        600,
        ge=1,
        le=LONGEST_PERIOD_SECONDS,
        unit="s",
        hint="Up to 3,600. Older rejections no longer count.",
    )
    ban_duration_seconds: int = described(
        "Ban duration", 600, ge=1, le=LONGEST_BAN_SECONDS, unit="s", hint="Up to 2,592,000 (30 days)."
    )
    ban_doubles: bool = described(
        "Double for repeat offenders",
        False,
        hint="Each ban within 30 days is twice as long as the one before, up to 30 days. Lifted bans don’t count.",
    )
