"""Events as lists show them, and a page of events."""

from dataclasses import dataclass
from datetime import datetime

from guardpanel.events.words import Reason, Severity, Verdict


@dataclass(frozen=True)
class EventItem:
    """Names are the current ones of the virtual host and the policy. None if they were deleted, or before HAProxy's line has
    arrived, which identifies them."""

    request_id: str
    time: datetime
    virtual_host_id: int | None
    virtual_host: str | None
    policy_id: int | None
    policy: str | None
    application: str
    revision: int | None
    "The policy that decided."
    client: str
    method: str
    host: str
    "As the visitor requested it."
    path: str
    "Without the query."
    verdict: Verdict
    status: int | None
    "The status that the visitor got according to HAProxy, and before that the one that the WAF requested."
    score: int
    "Inbound."
    severity: Severity | None
    rules: tuple[int, ...]
    reason: Reason | None
    "Why HAProxy did not deliver it."
    message: str
    "The message of the worst rule. Empty if none fired."


@dataclass(frozen=True)
class EventPage:
    """Newest first. `next_cursor` leads to older events, `previous_cursor` to newer ones. None if there are none."""

    items: list[EventItem]
    next_cursor: str | None
    previous_cursor: str | None
    count: int
    "The number of all matches, counted up to MOST_COUNTED and for a limited time."
    count_is_exact: bool
    "False: there are at least this many."
    stopped: str | None = None
    "A message if the search took too long and was stopped: there may be more matches."


@dataclass(frozen=True)
class NumberedPage:
    """A numbered page, for clients that cannot follow cursors. `total` counts all matches if `total_is_exact`."""

    items: list[EventItem]
    total: int
    total_is_exact: bool
