"""The filters of an event search."""

from dataclasses import dataclass
from datetime import datetime

from guardpanel.events.grouping import GroupKey
from guardpanel.events.words import Kind, Reason, Severity, Verdict


@dataclass(frozen=True)
class EventFilter:
    """Conditions that must all hold. None and empty values are ignored. Invalid values raise Invalid with the field's name when a
    page is read."""

    virtual_host_id: int | None = None
    policy_id: int | None = None
    verdict: Verdict | None = None
    verdicts: tuple[Verdict, ...] = ()
    "One of these."
    kind: Kind | None = None
    reason: Reason | None = None
    "Why HAProxy did not deliver it."
    group: GroupKey | None = None
    rule: int | None = None
    severity: Severity | None = None
    "The severity of the worst rule that fired."
    severities: tuple[Severity | None, ...] = ()
    "One of these. None: no rule with a severity fired."
    host: str = ""
    "Exactly as the visitor requested it."
    client: str = ""
    "An address, or a network such as 192.0.2.0/24."
    path: str = ""
    "Without the query. If it begins with `/`, a prefix of the path. Otherwise, or after `*`, a part of it."
    method: str = ""
    since: datetime | None = None
    until: datetime | None = None
    "Before this time. Both are timezone-aware."
    min_score: int | None = None
    "The minimum inbound anomaly score of the event."
    q: str = ""
    "Free text: a request id, a rule's number, an address or network, a prefix of the path, else a part of a path or host."
