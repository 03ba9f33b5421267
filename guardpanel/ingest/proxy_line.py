"""A line of HAProxy's log, and what is stored of it (format: rendering/access_log.py). Most lines are irrelevant and are skipped
without decoding them."""

from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from guardpanel.events.lines import parsed
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
from guardpanel.ingest.reasons import WAF_INTERRUPTED, reason

NONE = "-"
"What HAProxy logs for an unset variable."

NO_VERDICT, NO_RULES, NOT_OURS, ENDED_WELL = b'"verdict":"-"', b'"rules":"-"', b'"panel":"-"', b'"ended":"--'
"Quotes within visitors' values are escaped, so these match the fields themselves."


NEVER_WAS_ONE = "<BADREQ>"
"The method that HAProxy logs for an unreadable request."

OF_A_BODY = {Verdict.TOO_LARGE_PASSED, Verdict.TOO_SLOW_PASSED, Verdict.AGENT_ERROR, Verdict.FAIL_OPEN}
"Verdicts that a client could cause by disconnecting in the middle of its body: these count as aborted."


STRIKES = {Verdict.BLOCKED, Verdict.LIMITED, Verdict.LOGIN_FAILED}

BAD_REQUEST = 400

BAD_GATEWAY = 502
"A server's response that is not HTTP (`PH`): never because of a verdict."


class _LogEntry(msgspec.Struct):
    """The parts of a line that are needed. Presence and types are checked when they are used."""

    id: Any = None
    time: Any = None
    virtual_host: Any = ""
    policy: Any = ""
    application: Any = None
    checksum: Any = ""
    client: Any = None
    method: Any = None
    host: Any = None
    path: Any = None
    verdict: Any = None
    over_limit: Any = None
    fail: Any = None
    panel: Any = NONE
    status: Any = None
    server: Any = ""
    server_milliseconds: Any = -1
    ended: Any = "--"
    score: Any = ""
    rules: Any = None
    waf_error: Any = NONE


REJECTED = {
    "banned": Verdict.BANNED,
    "blocked": Verdict.BLOCKED,
    "country": Verdict.COUNTRY,
    "crowded": Verdict.CROWDED,
    "denied": Verdict.ON_DENY_LIST,
    "greedy": Verdict.GREEDY,
    "limited": Verdict.LIMITED,
    "login_failed": Verdict.LOGIN_FAILED,
    "network": Verdict.NETWORK,
    "no_length": Verdict.NO_LENGTH,
    "trailers": Verdict.TRAILERS,
    "unknown_host": Verdict.UNKNOWN_HOST,
}
"HAProxy's words for what it always rejects."

OF_A_VERDICT = {
    "maintenance": Reason.MAINTENANCE,
    "no_proxy": Reason.NO_PROXY_HEADER,
    "no_client_certificate": Reason.NO_CLIENT_CERTIFICATE,
    "odd_path": Reason.AMBIGUOUS_PATH,
    "misdirected": Reason.MISDIRECTED,
}

LOGGED = msgspec.json.Decoder(_LogEntry)


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
    if (NO_VERDICT in line and NO_RULES in line and ENDED_WELL in line) or not line.startswith(b"{"):
        return None
    try:
        entry = parsed(line, LOGGED)
        if entry.panel != NONE:
            return None
        verdict, why = _verdict(entry), _reason(entry)
        if verdict is None and why is None:
            return None
        if verdict is None or (why is Reason.CLIENT_ABORTED and verdict in OF_A_BODY):
            verdict = Verdict.UNDELIVERED
        return _taken(entry, verdict, why, line)
    except UNEXPECTED as error:
        raise BadLine from error


def _verdict(entry: _LogEntry) -> Verdict | None:
    match entry.verdict:
        case str() as word if word in REJECTED:
            return REJECTED[word]
        case "over_limit":
            return Verdict.TOO_LARGE if entry.over_limit == "refuse" else Verdict.TOO_LARGE_PASSED
        case "slow":
            return _slow(entry)
        case "bodies":
            return Verdict.TOO_MANY_BODIES
        case "limited_passed" if entry.rules in {"", NONE}:
            return Verdict.LIMITED_PASSED
        case "geo_passed" if entry.rules in {"", NONE}:
            return Verdict.GEO_PASSED
        case "unjudged":
            return Verdict.FAIL_OPEN if entry.fail == "open" else Verdict.AGENT_ERROR
    return Verdict.DETECTED if entry.rules not in {"", NONE} else None


def _slow(entry: _LogEntry) -> Verdict | None:
    """A fired rule says more, and a client that disconnected while HAProxy waited for its body was not rejected."""
    match entry.status:
        case 408:
            return Verdict.TOO_SLOW
        case 400:  # See _was_waited_for.
            return None
    return Verdict.DETECTED if entry.rules not in {"", NONE} else Verdict.TOO_SLOW_PASSED


def _reason(entry: _LogEntry) -> Reason | None:
    """If HAProxy responded because of a verdict, that is the reason."""
    if entry.verdict in OF_A_VERDICT:
        return OF_A_VERDICT[entry.verdict]
    if entry.verdict == "aborted" or (entry.verdict == "unjudged" and entry.waf_error in WAF_INTERRUPTED):
        return Reason.CLIENT_ABORTED
    if (
        entry.verdict != NONE
        and not _was_waited_for(entry)
        and entry.ended.startswith(("L", "P"))
        and entry.status != BAD_GATEWAY
    ):
        return None
    return reason(entry.ended, entry.status, entry.server, entry.server_milliseconds)


def _was_waited_for(entry: _LogEntry) -> bool:
    """Whether HAProxy ended the request while it waited for the body. `slow` is set in advance, in case of a timeout."""
    return bool(entry.verdict == "slow" and entry.status == BAD_REQUEST)


def _taken(entry: _LogEntry, verdict: Verdict, why: Reason | None, line: bytes) -> ProxyLine:
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
        path=_text(entry.path).partition("?")[0][:LONGEST_PATH],
        verdict=VERDICT_CODES[verdict],
        status=entry.status if 0 < entry.status < 1000 else None,
        score=_number(entry.score) or 0,
        rules=_rules(entry.rules),
        reason=REASON_CODES[why] if why else None,
        line=line,
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
