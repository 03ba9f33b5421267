"""What recent requests contained about their clients, and what HAProxy made of it (ingest/recent_requests.py stores them)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from guardpanel.services.events import state
from guardpanel.settings import Settings

NONE = "-"

NO_REQUEST = "<BADREQ>"
"The method that HAProxy logs for an unreadable request."


@dataclass(frozen=True)
class RecentRequest:
    """`peer` is who connected, or whom the PROXY protocol named. `client` is to whom the request is attributed."""

    at: datetime
    host: str
    peer: str
    forwarded: str
    "The forwarded headers as they were sent. Empty if there were none."
    is_trusted: bool
    client: str
    scheme: str
    is_cut_off: bool
    "The connection did not begin with the PROXY header that the listener expects from there."


@dataclass(frozen=True)
class RecentRequests:
    """Newest first. `ignored` are recent ones whose forwarded headers came from an untrusted peer."""

    requests: tuple[RecentRequest, ...] = ()
    ignored: tuple[RecentRequest, ...] = ()
    is_known: bool = False
    "Whether the ingest responded."

    @property
    def strangers(self) -> list[tuple[str, int]]:
        """Untrusted peers, and how often they sent such headers, most frequent first."""
        return Counter(request.peer for request in self.ignored).most_common(5)


async def ask(settings: Settings) -> RecentRequests:
    reported = await state.ask(settings)
    if reported is None:
        return RecentRequests()
    kept = reported.get("lately", {})
    requests, ignored = (tuple(map(_seen, kept.get(name, ()))) for name in ("requests", "ignored"))
    return RecentRequests(requests, ignored, is_known=True)


def _seen(request: Mapping[str, Any]) -> RecentRequest:
    text = {name: "" if value == NONE else value for name, value in request.items() if isinstance(value, str)}
    return RecentRequest(
        at=datetime.fromtimestamp(request["time"], UTC), host=text["host"], peer=text["peer"],
        forwarded=text["forwarded"].removesuffix("; "), is_trusted=bool(text["proxied"]), client=text["client"],
        scheme=text["scheme"], is_cut_off=request["method"] == NO_REQUEST and not request["status"],
    )  # fmt: skip
