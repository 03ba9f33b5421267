"""Which events are asked for."""

from dataclasses import dataclass
from datetime import datetime

from guardpanel.events.grouping import GroupKey
from guardpanel.events.words import Kind, Reason, Severity, Verdict


@dataclass(frozen=True)
class EventFilter:
    """Conditions that hold together; what is None or empty asks for nothing. A value that cannot be meant raises Invalid
    with the field's name when a page of it is asked for."""

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
    "Of the worst rule that fired."
    severities: tuple[Severity, ...] = ()
    "One of these."
    host: str = ""
    "Exactly as the visitor asked for it."
    client: str = ""
    "An address, or a network such as 192.0.2.0/24."
    path: str = ""
    "Without the query. Begins with `/`: what the path begins with; anything else, also with `*` before: a part of it."
    method: str = ""
    since: datetime | None = None
    until: datetime | None = None
    "Before this moment. Both aware."
    min_score: int | None = None
    "The inbound anomaly score that the event has at least."
    q: str = ""
    """Free words: a request id, a rule's number, an address or network, the beginning of a path, else a part of a path or
    host."""
