"""Events for pages and the API: filters, a page of events, the details of one, and the state of the ingest. `panel.events` is an
`Events`.

All texts are safe to show (`guardpanel.events.texts`). They are still a stranger's words, so templates escape them like
everything else.
"""

from guardpanel.events.words import Severity, Verdict
from guardpanel.services.events.details import EventDetail, FiredRule, ProxyWords, RuleMatch
from guardpanel.services.events.filters import EventFilter
from guardpanel.services.events.items import EventItem, EventPage, NumberedPage
from guardpanel.services.events.reading import Events
from guardpanel.services.events.state import COUNTERS, IngestState

__all__ = [
    "COUNTERS",
    "EventDetail",
    "EventFilter",
    "EventItem",
    "EventPage",
    "Events",
    "FiredRule",
    "IngestState",
    "NumberedPage",
    "ProxyWords",
    "RuleMatch",
    "Severity",
    "Verdict",
]
