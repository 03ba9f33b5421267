"""A page of events, and a single event, as rows."""

import re
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from guardpanel.errors import Invalid
from guardpanel.events.lines import unpacked
from guardpanel.events.schema import id_of
from guardpanel.services.events import scan
from guardpanel.services.events.conditions import conditions
from guardpanel.services.events.details import rule_ids, words_of
from guardpanel.services.events.filters import EventFilter
from guardpanel.services.events.scan import EventRow, Span

CURSOR = re.compile(r"(before|after)-([0-9]{1,19})")
LAST = 2**63 - 1

Messages = Mapping[int, str]
"By event: the message of its worst rule."


@dataclass(frozen=True)
class EventRows:
    rows: list[EventRow] = field(default_factory=list)
    older: bool = False
    newer: bool = False
    count: int = 0
    exact: bool = True
    stopped: bool = False
    messages: Messages = field(default_factory=dict)


NOTHING = EventRows()


@dataclass(frozen=True)
class StoredEvent:
    row: EventRow
    messages: Messages
    agent_line: bytes | None
    proxy_line: bytes | None


def page(connection: sqlite3.Connection, filters: EventFilter, cursor: str | None, limit: int) -> EventRows:
    span, (way, here) = span_of(filters), _at(cursor)
    try:
        with scan.patience(connection, scan.PATIENCE_SECONDS):
            where = conditions(connection, filters)
    except scan.TimeUp:
        return EventRows(exact=False, stopped=True)
    upwards = way == "after"
    beside = Span(max(span.first, here + 1), span.end) if upwards else Span(span.first, min(span.end, here))
    rows, stopped = scan.rows(connection, where, beside, limit + 1, upwards=upwards)
    more, rows = len(rows) > limit, rows[:limit]
    if cursor is None and not more and not stopped:
        count, exact = len(rows), True
    else:
        count, exact = scan.count(connection, where, span)
    return EventRows(
        rows=rows[::-1] if upwards else rows,
        older=more or stopped if not upwards else True,
        newer=more if upwards else cursor is not None,
        count=max(count, len(rows)),
        exact=exact,
        stopped=stopped,
        messages=messages(connection, rows),
    )


def numbered(connection: sqlite3.Connection, filters: EventFilter, offset: int, limit: int) -> EventRows:
    """From `offset` on, with the number of all matches for counting pages."""
    where, span = conditions(connection, filters), span_of(filters)
    rows, stopped = scan.rows(connection, where, span, limit, offset=offset)
    count, exact = scan.total(connection, where, span)
    return EventRows(
        rows=rows, count=max(count, offset + len(rows) if rows else 0), exact=exact, stopped=stopped,
        messages=messages(connection, rows),
    )  # fmt: skip


def count(connection: sqlite3.Connection, filters: EventFilter) -> tuple[int, bool]:
    return scan.count(connection, conditions(connection, filters), span_of(filters))


def several(connection: sqlite3.Connection, request_ids: Iterable[str]) -> list[StoredEvent]:
    return [event for request_id in request_ids if (event := find(connection, request_id))]


def find(connection: sqlite3.Connection, request_id: str) -> StoredEvent | None:
    row = connection.execute(
        f"SELECT {scan.COLUMNS}, lines FROM event JOIN event_line ON event_line.id = event.id WHERE request_id = ?",  # noqa: S608
        (request_id,),
    ).fetchone()
    if row is None:
        return None
    event_row: EventRow = row[:-1]
    agent_line, proxy_line = unpacked(row[-1])
    fired = rule_ids(event_row[-2])
    messages = {event_row[0]: words_of(fired[0], agent_line)} if fired else {}
    return StoredEvent(event_row, messages, agent_line, proxy_line)


def span_of(filters: EventFilter) -> Span:
    first, end = (max(0, min(id_of(moment), LAST)) if moment else None for moment in (filters.since, filters.until))
    return Span(first or 0, LAST if end is None else end)


def _at(cursor: str | None) -> tuple[str, int]:
    if cursor is None:
        return "before", LAST
    match = CURSOR.fullmatch(cursor)
    if match is None or int(match[2]) > LAST:
        raise Invalid.at("cursor", "This page does not exist. Start with the newest events.")
    return match[1], int(match[2])


def messages(connection: sqlite3.Connection, rows: Iterable[EventRow]) -> Messages:
    """Each row’s."""
    worst = {row[0]: fired[0] for row in rows if (fired := rule_ids(row[-2]))}
    places = ",".join("?" * len(worst))
    stored = connection.execute(f"SELECT id, lines FROM event_line WHERE id IN ({places})", list(worst))  # noqa: S608
    return {event: words_of(worst[event], unpacked(lines)[0]) for event, lines in stored}
