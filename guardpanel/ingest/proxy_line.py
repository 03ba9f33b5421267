"""A line of HAProxy's log as what is stored of it (rendering/haproxy.py writes its form).

Most are about requests of which nothing is to say: those are told apart without reading them.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from guardpanel.events.schema import A_MICROSECOND
from guardpanel.events.texts import shown
from guardpanel.events.words import VERDICT_CODES, Verdict
from guardpanel.ingest.agent_line import (
    LONGEST_HOST,
    LONGEST_ID,
    LONGEST_METHOD,
    LONGEST_PATH,
    BadLine,
    checked_moment,
    parsed,
)

NONE = "-"
"What HAProxy writes for a variable that has no value."

NO_VERDICT, NO_RULES, NOT_OURS = b'"verdict":"-"', b'"rules":"-"', b'"panel":"-"'
"Quotes of what a visitor sent are escaped, so these stand for the fields themselves."


class _Logged(TypedDict):
    """What is taken of a line."""

    id: Any
    time: Any
    virtual_host: NotRequired[Any]
    policy: NotRequired[Any]
    application: Any
    checksum: NotRequired[Any]
    client: Any
    method: Any
    host: Any
    path: Any
    verdict: Any
    over_limit: NotRequired[Any]
    fail: NotRequired[Any]
    panel: NotRequired[Any]
    status: Any
    score: NotRequired[Any]
    rules: Any


LOGGED = TypeAdapter(_Logged)


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
    line: bytes


def read(line: bytes) -> ProxyLine | None:
    """None: nothing is to say of this request, or HAProxy says something else than of a request. Raises BadLine."""
    if (NO_VERDICT in line and NO_RULES in line) or not line.startswith(b"{"):
        return None
    try:
        said = parsed(line, LOGGED)
        verdict = None if said.get("panel", NONE) != NONE else _verdict(said)
        return None if verdict is None else _taken(said, verdict, line)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BadLine from error


def _verdict(said: Mapping[str, Any]) -> Verdict | None:
    match said["verdict"]:
        case "blocked":
            return Verdict.BLOCKED
        case "unknown_host":
            return Verdict.UNKNOWN_HOST
        case "over_limit":
            return Verdict.TOO_LARGE if said.get("over_limit") == "refuse" else Verdict.TOO_LARGE_PASSED
        case "unjudged":
            return Verdict.FAIL_OPEN if said.get("fail") == "open" else Verdict.AGENT_ERROR
    return Verdict.DETECTED if said["rules"] not in {"", NONE} else None


def _taken(said: Mapping[str, Any], verdict: Verdict, line: bytes) -> ProxyLine:
    return ProxyLine(
        request_id=shown(said["id"])[:LONGEST_ID],
        moment=_moment(said["time"]),
        virtual_host=_number(said.get("virtual_host", "")),
        policy=_number(said.get("policy", "")) or None,
        application=_text(said["application"])[:LONGEST_ID],
        checksum=shown(said.get("checksum", ""))[:12],
        client=shown(said["client"])[:LONGEST_ID],
        method=shown(said["method"])[:LONGEST_METHOD],
        host=_text(said["host"])[:LONGEST_HOST],
        path=shown(said["path"].partition("?")[0])[:LONGEST_PATH],
        verdict=VERDICT_CODES[verdict],
        status=said["status"] if 0 < said["status"] < 1000 else None,
        score=_number(said.get("score", "")) or 0,
        rules=_rules(said["rules"]),
        line=line,
    )


@lru_cache(maxsize=10_000)
def _rules(listed: str) -> tuple[int, ...]:
    """Each once. Kept: many requests fire the same rules."""
    return tuple(dict.fromkeys(number for one in listed.split(",") if (number := _number(one))))


def _text(said: str) -> str:
    return "" if said == NONE else shown(said)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def _moment(seconds: object) -> int:
    if not isinstance(seconds, float | int):  # a text would be repeated a million times
        raise TypeError(seconds)
    return checked_moment(round(seconds * 1_000_000) * A_MICROSECOND)
