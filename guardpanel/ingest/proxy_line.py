"""A line of HAProxy's log, and what is stored of it (format: rendering/access_log.py). Most lines are irrelevant."""

from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from guardpanel.events.lines import parsed
from guardpanel.events.log_entry import NONE, LogEntry, conclusion, path_of, without_query
from guardpanel.events.schema import A_MICROSECOND
from guardpanel.events.texts import legible
from guardpanel.events.words import REASON_CODES, VERDICT_CODES, Reason, Verdict
from guardpanel.ingest.agent_line import (
    LONGEST_HOST,
    LONGEST_ID,
    LONGEST_METHOD,
    LONGEST_PATH,
    MOST_KEPT,
    UNEXPECTED,
    BadLine,
    checked_moment,
)

NOT_OURS = b'"panel":"-"'
"Quotes within visitors' values are escaped, so this matches the field itself."

NEVER_WAS_ONE = "<BADREQ>"
"The method that HAProxy logs for an unreadable request."

STRIKES = {Verdict.BLOCKED, Verdict.LIMITED, Verdict.LOGIN_FAILED}

LOGGED = msgspec.json.Decoder(LogEntry)


class ProxyLine(NamedTuple):
    request_id: str
    moment: int
    virtual_host: int | None
    policy: int | None
    application: str
    checksum: str
    client: str
    method: str
    host: str
    path: str
    verdict: int
    status: int | None
    score: int
    rules: tuple[int, ...]
    reason: int | None
    line: bytes
    is_strike: bool = False
    "Rejected for what it is, or for how many there were: not a response, which is the server's."


def read(line: bytes) -> ProxyLine | None:
    """Parse a line. None if it is irrelevant or not about a request. Raises BadLine."""
    if not line.startswith(b"{"):
        return None
    try:
        entry = parsed(line, LOGGED)
        if entry.panel != NONE:
            return None
        verdict, why = conclusion(entry)
        if verdict is None:
            return None
        return _taken(entry, verdict, why, line)
    except UNEXPECTED as error:
        raise BadLine from error


def _taken(entry: LogEntry, verdict: Verdict, why: Reason | None, line: bytes) -> ProxyLine:
    return ProxyLine(
        request_id=_id(entry.id, line),
        moment=_moment(entry.time),
        virtual_host=_number(entry.virtual_host),
        policy=_number(entry.policy) or None,
        application=_text(entry.application)[:LONGEST_ID],
        checksum=legible(entry.checksum)[:12],
        client=legible(entry.client)[:LONGEST_ID],
        method="" if entry.method == NEVER_WAS_ONE else legible(entry.method)[:LONGEST_METHOD],
        host=_text(entry.host)[:LONGEST_HOST],
        path=path_of(_text(entry.path))[:LONGEST_PATH],
        verdict=VERDICT_CODES[verdict],
        status=entry.status if 0 < entry.status < 1000 else None,
        score=_number(entry.score) or 0,
        rules=_rules(entry.rules),
        reason=REASON_CODES[why] if why else None,
        line=without_query(line),
        is_strike=verdict in STRIKES and entry.server_milliseconds < 0,
    )


def _id(text: str, line: bytes) -> str:
    """HAProxy does not identify unreadable requests. Use the line's own bytes."""
    return legible(text)[:LONGEST_ID] if text != NONE else f"unread-{blake2b(line, digest_size=12).hexdigest()}"


@lru_cache(MOST_KEPT)
def _rules(listed: str) -> tuple[int, ...]:
    """Without duplicates. Cached: many requests fire the same rules."""
    return tuple(dict.fromkeys(number for text in listed.split(",") if (number := _number(text))))


def _text(text: str) -> str:
    return "" if text == NONE else legible(text)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def _moment(seconds: object) -> int:
    if not isinstance(seconds, float | int):  # Otherwise the text would be kept a million times.
        raise TypeError(seconds)
    return checked_moment(round(seconds * 1_000_000) * A_MICROSECOND)
