"""The agent's lines (docs/events.md), and what is stored of them."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from guardpanel.events.crs import is_reporting
from guardpanel.events.grouping import Cause, Fired, cause_of, shape_of
from guardpanel.events.lines import parsed
from guardpanel.events.schema import id_of
from guardpanel.events.texts import legible
from guardpanel.events.words import SEVERITY_CODES, VERDICT_CODES, Severity

VERSION = 1

LONGEST_ID, LONGEST_PATH, LONGEST_HOST, LONGEST_METHOD = 128, 1024, 255, 32
"Searchable characters. The line contains the rest."

MOST_KEPT = 1_000
"Entries of a cache: attackers choose the keys, and choose long ones."

SEVERITIES: Mapping[str, int] = {severity.value: code for severity, code in SEVERITY_CODES.items()}
VERDICTS: Mapping[str, int] = {verdict.value: code for verdict, code in VERDICT_CODES.items()}
LAST_MOMENT = 2**62
"In the year 2112."

LEAST_SEVERE = SEVERITY_CODES[Severity.DEBUG] + 1


class BadLine(Exception):
    """Not JSON, or not an event."""


class UnknownVersion(Exception):
    """A format version that is not supported."""


class AgentLine(NamedTuple):
    request_id: str
    moment: int
    "The part of an event's id."
    application: str
    client: str
    method: str
    host: str
    path: str
    verdict: int
    status: int | None
    score: int
    severity: int | None
    rules: tuple[int, ...]
    "Those that say most first."
    shape: int | None
    "Its number (events/grouping.py); None where no rule contributed."
    line: bytes


class _Match(msgspec.Struct, frozen=True, gc=False):
    variable: str = ""
    key: str = ""


class _Rule(msgspec.Struct, frozen=True):
    id: int
    severity: str = ""
    paranoia_level: str = ""
    matches: tuple[_Match, ...] = ()


class _Event(msgspec.Struct):
    """The parts of a line that are needed. Presence and types are checked when they are used."""

    v: Any
    id: Any = None
    time: Any = None
    application: Any = None
    client: Any = None
    method: Any = None
    host: Any = None
    uri: Any = None
    verdict: Any = None
    status: Any = None
    scores: Any = None
    rules: tuple[_Rule, ...] = ()


EVENTS = msgspec.json.Decoder(_Event)

UNEXPECTED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, msgspec.DecodeError)


def read(line: bytes, place: str) -> AgentLine:
    """Parse a line. `place` replaces a missing request id. Raises BadLine or UnknownVersion."""
    try:
        event = parsed(line, EVENTS)
        if event.v != VERSION:
            raise UnknownVersion
        return _taken(event, line, place)
    except UNEXPECTED as error:
        raise (UnknownVersion if _is_of_another_version(line) else BadLine) from error


def _is_of_another_version(line: bytes) -> bool:
    with suppress(*UNEXPECTED):
        return bool(json.loads(line)["v"] != VERSION)
    return False


def _taken(event: _Event, line: bytes, place: str) -> AgentLine:
    rules, severity, cause = _judged(event.rules, event.scores.get("blocking_paranoia_level"))
    method, path = legible(event.method)[:LONGEST_METHOD], legible(event.uri.partition("?")[0])[:LONGEST_PATH]
    return AgentLine(
        request_id=legible(event.id)[:LONGEST_ID] or place,
        moment=moment_of(event.time),
        application=legible(event.application)[:LONGEST_ID],
        client=legible(event.client)[:LONGEST_ID],
        method=method,
        host=hostname(event.host),
        path=path,
        verdict=VERDICTS[event.verdict],
        status=_number(event.status),
        score=_number(event.scores.get("blocking_inbound_anomaly_score")) or 0,
        severity=severity,
        rules=rules,
        shape=shape_of(method, path, cause).number if cause else None,
        line=line,
    )


@lru_cache(MOST_KEPT)
def _judged(rules: tuple[_Rule, ...], blocking_level: int | None) -> tuple[tuple[int, ...], int | None, Cause | None]:
    """Rules by weight, the worst severity, and the cause. Kept together, since finding either takes a hash of every match: many
    requests fire the same rules in the same fields."""
    return *weighed(rules), cause_of(map(_fired, rules), blocking_level)


def _fired(rule: _Rule) -> Fired:
    level = int(rule.paranoia_level) if rule.paranoia_level.isdigit() else None
    return Fired(rule.id, level, [(match.variable, match.key) for match in rule.matches])


def weighed(fired: tuple[_Rule, ...]) -> tuple[tuple[int, ...], int | None]:
    """Rules with the worst first and those that only add up last, each once; and how bad the worst is."""
    worst: dict[int, int] = {}
    for rule in fired:
        if _number(rule.id):
            worst.setdefault(rule.id, _weight(rule.id, SEVERITIES.get(rule.severity)))
    order = sorted(worst, key=worst.__getitem__)
    telling = [worst[rule] for rule in order if worst[rule] < LEAST_SEVERE]
    return tuple(order), telling[0] if telling else None


def _weight(rule: int, severity: int | None) -> int:
    if is_reporting(rule):
        return LEAST_SEVERE + 1
    return LEAST_SEVERE if severity is None else severity


def moment_of(time: str) -> int:
    return checked_moment(id_of(datetime.fromisoformat(time)))


def checked_moment(moment: int) -> int:
    """A time that SQLite can store with the tie-breaker. Raises ValueError."""
    if not 0 < moment < LAST_MOMENT:
        raise ValueError(moment)
    return moment


@lru_cache(MOST_KEPT)
def hostname(header: str) -> str:
    """As HAProxy compares it: in lower case, without the port and a final dot."""
    name = legible(header).lower()
    if not name.startswith("["):
        name = name.partition(":")[0]
    return name.rstrip(".")[:LONGEST_HOST]


def _number(value: object) -> int | None:
    """A number that SQLite can store. Raises TypeError for anything else."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**62) < value < 2**62:
        raise TypeError(value)
    return value
