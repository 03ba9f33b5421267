"""Decisions of a CrowdSec: what its local API streams (`GET /v1/decisions/stream`, key in `X-Api-Key`; LAPI's Swagger document).

With `startup=true` the answer has all that hold; without, what began and ended since this key asked last. Either list may be
null, and an end may be sent again. Of several decisions about one value the longest is sent, and an end only once none holds:
so what counts is the value, not the decision's id.
"""

import json
import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from guardpanel.access import parsing
from guardpanel.access.entries import Entries, Entry, ordered
from guardpanel.access.fetching import DownloadFailed
from guardpanel.events.texts import legible

PATH = "v1/decisions/stream"
RANGE = "range"
SCOPES = {"ip", RANGE}
BAN = "ban"

DURATION = re.compile(r"(-?)((?:\d{1,12}(?:\.\d{1,12})?(?:h|ms|us|µs|ns|m|s))+)", re.ASCII)
PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)", re.ASCII)
SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
"As Go writes durations: `3h59m49.8s`."

LATEST = 4_102_444_800
"The year 2100, in seconds since 1970. Decisions of centuries end then."

Decisions = Mapping[str, Entry]
"What holds, by network."


def begun(body: bytes, now: float) -> Decisions:
    """All of an answer to `startup=true`. Raises DownloadFailed."""
    new, _ = _read(body)
    return _with({}, new, now)


def followed(before: Decisions, body: bytes, now: float) -> Decisions:
    """What holds after an answer. What has both ended and begun began anew. Raises DownloadFailed."""
    new, deleted = _read(body)
    gone = {_network(decision) for decision in deleted}
    return _with({network: entry for network, entry in before.items() if network not in gone}, new, now)


def as_entries(decisions: Decisions) -> Entries:
    """Raises DownloadFailed if they are more than a list may have."""
    entries = ordered(decisions.values())
    if len(entries.items) > parsing.MOST_ENTRIES:
        raise DownloadFailed(f"CrowdSec bans more than {parsing.MOST_ENTRIES:,} addresses and networks.")
    return entries


def _with(before: Decisions, new: Sequence[Any], now: float) -> Decisions:
    after = {network: entry for network, entry in before.items() if entry.end > now}
    for decision in new:
        if (network := _network(decision)) and (end := _end(decision, now)) > now:
            was = after.get(network)
            if was is None or was.end <= end:
                after[network] = Entry(network, end, _words(decision))
    return after


def _read(body: bytes) -> tuple[Sequence[Any], Sequence[Any]]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise DownloadFailed("This is no CrowdSec: its answer is not JSON.") from None
    lists: list[Any] = [answer.get(name, 0) for name in ("new", "deleted")] if isinstance(answer, dict) else [0]
    if not all(part is None or isinstance(part, list) for part in lists):
        raise DownloadFailed("This is no CrowdSec: its answer has no decisions.")
    return lists[0] or [], lists[1] or []


def _network(decision: Any) -> str:
    """Empty for what is not a ban of addresses, such as a captcha, or the ban of a country."""
    try:
        if str(decision["type"]).lower() == BAN and str(decision["scope"]).lower() in SCOPES:
            value = str(decision["value"]).strip()
            is_range = str(decision["scope"]).lower() == RANGE
            return parsing.network(str(ip_network(value, strict=False)) if is_range else value)
    except (KeyError, TypeError, ValueError):
        pass
    return ""


def _end(decision: Mapping[str, Any], now: float) -> int:
    match = DURATION.fullmatch(str(decision.get("duration", "")))
    if match is None:
        raise DownloadFailed("CrowdSec sends a duration that can’t be read.")
    total = sum(float(number) * SECONDS[unit] for number, unit in PART.findall(match[2]))
    return min(LATEST, int(now + (-total if match[1] else total)))


def _words(decision: Mapping[str, Any]) -> str:
    return legible(" ".join(str(decision.get("scenario") or "").split())[: parsing.LONGEST_COMMENT])
