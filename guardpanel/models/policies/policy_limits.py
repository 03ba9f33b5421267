"""How many requests one client may send, and when it is banned: the limits of a policy."""

import re
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo, field_validator
from sqlalchemy import JSON

from guardpanel.models.meta import Choice, described
from guardpanel.models.policies.policy_judging import NONE, JudgingFields, NoLimit
from guardpanel.models.policies.policy_strikes import FAILED, LoginPaths, Statuses
from guardpanel.models.refusing import refuse
from guardpanel.models.types import stored, visible

LONGEST_PERIOD_SECONDS = 3_600
LONGEST_DELAY_SECONDS = 30
MOST_MIB = 2_048
"HAProxy’s counter ends at 4 GiB, and what is in progress goes on beyond the limit."

LONGEST_BAN_SECONDS = 30 * 86_400


class LimitBy(Choice):
    """Whose requests are counted together."""

    CLIENT = "client", "Client IP", "IPv6: its /64 network."
    NETWORK = "network", "Network", "The client’s /24, for IPv6 its /56: for attacks from many neighboring addresses."
    PATH = "path", "Client IP and path", "Each path of each virtual host by itself, without its query."
    HEADER = "header", "A header", "Such as the key of an API. Without it, or with several, the client IP."
    COOKIE = "cookie", "A cookie", "Such as that of a login. Without it, or with several, the client IP."


NETWORK_BITS = {4: 24, 6: 56}
"Of a network that counts together, by version of IP. As config_templates/haproxy/_limits.cfg.j2 has them."

NAMES = {
    LimitBy.HEADER: re.compile(r"[a-z0-9-]{1,60}", re.ASCII | re.IGNORECASE),
    LimitBy.COOKIE: re.compile(r"[A-Za-z0-9_.-]{1,60}", re.ASCII),
}

SIGNS = {LimitBy.HEADER: "hyphens", LimitBy.COOKIE: "- _ or a dot"}


def one_name(text: str) -> str:
    return visible(text.strip())


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
        hint="By one client, to all virtual hosts with this policy. Images and scripts count, too.",
    )
    rate_limit_window_seconds: int = described(
        "Period",
        10,
        ge=1,
        le=LONGEST_PERIOD_SECONDS,
        unit="s",
        hint="Up to 3,600. Rejected requests don’t count. HAProxy estimates the rate: a client that continues is served again "
        "gradually, within about this time.",
    )
    requests_at_once: int = described(
        "Requests at once",
        20,
        ge=1,
        le=100_000,
        hint="By one client, in progress. A browser sends 6 at once over HTTP/1.1, 20 over HTTP/2. WebSockets and downloads "
        "count while they last.",
    )
    errors_per_period: NoLimit = described(
        "Errors per period",
        None,
        ge=1,
        le=1_000_000,
        unset=NONE,
        hint="Responses of servers to one client with a status of 400–499. For scanners and guessed passwords. "
        "If empty, no limit.",
    )
    mib_per_period: NoLimit = described(
        "Data per period",
        None,
        ge=1,
        le=MOST_MIB,
        unit="MiB",
        unset=NONE,
        hint="Sent to one client, before compression. Downloads in progress count, but continue. If empty, no limit.",
    )
    limit_delay_seconds: NoLimit = described(
        "Delay over a limit",
        None,
        ge=1,
        le=LONGEST_DELAY_SECONDS,
        unit="s",
        unset="no delay",
        hint="In Block, a request over a limit waits this long at most until its client is within it, then gets 429. "
        "If empty, it gets 429 immediately.",
    )
    limit_by: LimitBy = described(
        "Counted by",
        LimitBy.CLIENT,
        sa_type=stored(LimitBy),
        hint="A client that sends another path, header or cookie each time is never over a limit. Failed logins can ban it.",
    )
    limit_by_name: Annotated[str, AfterValidator(one_name)] = described(
        "Name of the header or cookie", "", max_length=60, placeholder="X-API-Key"
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
        hint="Counts requests that this policy’s rules block or its client limits reject, failed logins, and errors. "
        "In Detect only, just logins that HAProxy asks for.",
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
    login_paths: LoginPaths = described(
        "Login paths",
        default_factory=list,
        sa_type=JSON,
        placeholder="/login",
        hint="One per line, with everything below. Failed logins there count as rejections: requests with a body (POST, PUT, "
        "PATCH) or with credentials (Authorization), if the server responds with a status below.",
    )
    login_statuses: Statuses = described(
        "Statuses of failed logins",
        default_factory=FAILED.copy,
        sa_type=JSON,
        hint="One per line. Some applications say it with 200, and a successful login with 302: WordPress, for example. Try a "
        "wrong password, and look.",
    )

    error_statuses: Statuses = described(
        "Errors that count",
        default_factory=list,
        sa_type=JSON,
        placeholder="404",
        hint="Statuses, one per line. Each response with them counts as a rejection: 404 for those who try many addresses, for "
        "example. Visitors of a page with dead links get it, too.",
    )

    @field_validator("limit_by_name")
    @classmethod
    def what_is_counted_by_has_a_name(cls, name: str, info: ValidationInfo) -> str:
        by = info.data.get("limit_by", LimitBy.CLIENT)
        if by not in NAMES:
            return name
        if not name:
            raise refuse(f"Enter the name of the {by}.")
        if not NAMES[by].fullmatch(name):
            raise refuse(f"{name[:40]} is not the name of a {by}. Use letters, digits and {SIGNS[by]}.")
        return name

    @field_validator("login_statuses")
    @classmethod
    def logins_can_fail(cls, statuses: list[str], info: ValidationInfo) -> list[str]:
        if info.data.get("login_paths") and not statuses:
            raise refuse("Enter a status, or no login paths.")
        return statuses
