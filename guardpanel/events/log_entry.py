"""What HAProxy's log says became of a request (format: rendering/access_log.py)."""

import re
from typing import Any

import msgspec

from guardpanel.events.reasons import WAF_INTERRUPTED, reason
from guardpanel.events.words import Reason, Verdict

NONE = "-"
"What HAProxy logs for an unset variable."

OF_A_BODY = {Verdict.TOO_LARGE_PASSED, Verdict.TOO_SLOW_PASSED, Verdict.AGENT_ERROR, Verdict.FAIL_OPEN}
"Verdicts that a client could cause by disconnecting in the middle of its body: these count as aborted."

QUERY = re.compile(rb'("path":"(?:[^"\\?]|\\.)*)\?(?:[^"\\]|\\.)*"')
"Quotes within visitors' values are escaped, so this matches the field itself."

BAD_REQUEST = 400

BAD_GATEWAY = 502
"A server's response that is not HTTP (`PH`): never because of a verdict."


class LogEntry(msgspec.Struct):
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


ALWAYS_REJECTED = {
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
    "unlisted": Verdict.NOT_ON_LIST,
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


def conclusion(entry: LogEntry) -> tuple[Verdict | None, Reason | None]:
    """No verdict: there is nothing to report."""
    verdict, why = _verdict(entry), _reason(entry)
    if why is not None and (verdict is None or (why is Reason.CLIENT_ABORTED and verdict in OF_A_BODY)):
        verdict = Verdict.UNDELIVERED
    return verdict, why


def _verdict(entry: LogEntry) -> Verdict | None:
    match entry.verdict:
        case str() as word if word in ALWAYS_REJECTED:
            return ALWAYS_REJECTED[word]
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


def _slow(entry: LogEntry) -> Verdict | None:
    """A fired rule says more, and a client that disconnected while HAProxy waited for its body was not rejected."""
    match entry.status:
        case 408:
            return Verdict.TOO_SLOW
        case 400:  # See _was_waited_for.
            return None
    return Verdict.DETECTED if entry.rules not in {"", NONE} else Verdict.TOO_SLOW_PASSED


def _reason(entry: LogEntry) -> Reason | None:
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


def _was_waited_for(entry: LogEntry) -> bool:
    """Whether HAProxy ended the request while it waited for the body. `slow` is set in advance, in case of a timeout."""
    return bool(entry.verdict == "slow" and entry.status == BAD_REQUEST)


def without_query(line: bytes) -> bytes:
    """A line of HAProxy's log, without the query of its path: it may contain secrets, which only the agent masks."""
    return QUERY.sub(rb'\1"', line, count=1)


def path_of(uri: str) -> str:
    """As visitors see it: over HTTP/2, HAProxy logs the whole URL. Without the query."""
    path = uri.partition("?")[0]
    scheme, is_url, rest = path.partition("://") if path[:1] != "/" else ("", "", "")
    return f"/{rest.partition('/')[2]}" if is_url and scheme.isalpha() else path
