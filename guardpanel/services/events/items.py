"""An event as a list shows it, and a page of them."""

from dataclasses import dataclass
from datetime import datetime

from guardpanel.events.words import Reason, Severity, Verdict


@dataclass(frozen=True)
class EventItem:
    """Names are those that the virtual host and the policy have now; None once they are deleted, or before HAProxy's own
    words of the request have come, which tell whose it was."""

    request_id: str
    time: datetime
    virtual_host_id: int | None
    virtual_host: str | None
    policy_id: int | None
    policy: str | None
    application: str
    revision: int | None
    "The one that decided."
    client: str
    method: str
    host: str
    "As the visitor asked for it."
    path: str
    "Without the query."
    verdict: Verdict
    status: int | None
    "What the visitor got, once HAProxy has said it; until then what the WAF told it to answer."
    score: int
    "Inbound."
    severity: Severity | None
    rules: tuple[int, ...]
    reason: Reason | None
    "Why HAProxy did not deliver it."
    message: str
    "What the worst of the rules says; empty where none fired."


@dataclass(frozen=True)
class EventPage:
    """Newest first. `next_cursor` leads to older ones, `previous_cursor` to newer ones; None where there are none."""

    items: list[EventItem]
    next_cursor: str | None
    previous_cursor: str | None
    count: int
    "How many match in all, counted up to MOST_COUNTED and for a moment at most."
    count_is_exact: bool
    "False: there are at least so many."
    stopped: str | None = None
    "Words, where the search took too long and was stopped: more may match than is shown."


@dataclass(frozen=True)
class NumberedPage:
    """A page by its number, for who cannot follow cursors. `total` counts all that match, if `total_is_exact`."""

    items: list[EventItem]
    total: int
    total_is_exact: bool
