"""Filters as SQL conditions, each in two forms: by its index, and as a test on a row.

Typed values are always bound parameters, never part of the SQL. The numbers in a list of ids are our own.
"""

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from guardpanel.errors import Invalid
from guardpanel.events import addresses
from guardpanel.events.grouping import GroupKey
from guardpanel.events.texts import legible
from guardpanel.events.words import REASON_CODES, SEVERITY_CODES, VERDICT_CODES, Kind, Verdict
from guardpanel.services.events.filters import EventFilter
from guardpanel.services.paging import like

MOST_LISTED = 1_000
"Clients, paths or hosts up to which events are found by index. With more, each event is tested."

LARGEST = 2**63 - 1
"Of SQLite's numbers."

REQUEST_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|unread-[0-9a-f]{24}")
"HAProxy's id, or its replacement for an unreadable request (ingest/proxy_line.py)."

RULE = re.compile(r"[0-9]{5,9}")


@dataclass(frozen=True)
class Condition:
    """`indexed` is None if no index applies."""

    tested: str
    indexed: str | None
    values: tuple[object, ...]
    ordered: bool = True
    "Whether its index is ordered by time: for a single value, not for several or a range."
    table: str = "event"
    ranged: bool = False
    """Whether it is a range of its index. SQLite would rather scan all ids of a period than such a range, so the id is hidden
    from it."""

    @property
    def key(self) -> str:
        """The event's id column in its index."""
        return "event_rule.event" if self.table == "event_rule" else "+event.id" if self.ranged else "event.id"

    @property
    def finds_nothing(self) -> bool:
        return bool(self.indexed and self.indexed.endswith(" IN ()"))


def conditions(connection: sqlite3.Connection, filters: EventFilter) -> list[Condition]:
    """Raises Invalid, by field, for invalid values."""
    chosen = [
        *_equal("virtual_host", filters.virtual_host_id),
        *_equal("policy", filters.policy_id),
        *_equal("verdict", VERDICT_CODES[filters.verdict] if filters.verdict else None),
        *_equal("reason", REASON_CODES[filters.reason] if filters.reason else None),
        *_kind(filters.kind),
        *_equal("severity", SEVERITY_CODES[filters.severity] if filters.severity else None),
        *_among("verdict", [VERDICT_CODES[verdict] for verdict in filters.verdicts]),
        *_among("severity", [SEVERITY_CODES[severity] if severity else None for severity in filters.severities]),
        *_equal("method", legible(filters.method.strip()).upper() or None),
    ]
    if filters.group is not None:
        chosen += _group(filters.group)
    if filters.rule is not None:
        chosen.append(_rule(filters.rule))
    if filters.min_score is not None:
        chosen.append(
            Condition("+score >= ?", "score >= ?", (min(filters.min_score, LARGEST),), ordered=False, ranged=True)
        )
    if filters.host.strip():
        chosen.append(_named(connection, "host", "text = ?", (legible(filters.host.strip()).lower(),)))
    if filters.client.strip():
        chosen.append(_client(connection, filters.client, "client"))
    if filters.path.strip():
        chosen.append(_path(connection, legible(filters.path.strip())))
    if filters.q.strip():
        chosen.append(_free(connection, legible(filters.q.strip())))
    return chosen


def _equal(column: str, value: int | str | None) -> list[Condition]:
    if isinstance(value, int):
        value = min(value, LARGEST)
    return [] if value is None else [Condition(f"+{column} = ?", f"{column} = ?", (value,))]


def _kind(kind: Kind | None) -> list[Condition]:
    match kind:
        case Kind.SECURITY:
            return [Condition(f"+verdict <> {VERDICT_CODES[Verdict.UNDELIVERED]}", None, ())]
        case Kind.DELIVERY:
            return [Condition("+reason IS NOT NULL", "reason IS NOT NULL", (), ordered=False, ranged=True)]
    return []


def _among(column: str, codes: Sequence[int | None]) -> list[Condition]:
    listed = ",".join(str(code) for code in codes if code is not None)
    condition = Condition(f"+{column} IN ({listed})", f"{column} IN ({listed})", (), ordered=False)
    if None in codes:
        condition = _either(condition, Condition(f"+{column} IS NULL", f"{column} IS NULL", ()))
    return [condition] if codes else []


def _group(group: GroupKey) -> list[Condition]:
    if group.virtual_host_id is None:
        return [*_equal("shape", group.shape), Condition("+virtual_host IS NULL", None, ())]
    return [*_equal("shape", group.shape), *_equal("virtual_host", group.virtual_host_id)]


def _rule(rule: int) -> Condition:
    rule = min(rule, LARGEST)
    tested = "EXISTS (SELECT 1 FROM event_rule AS fired WHERE fired.rule = ? AND fired.event = event.id)"
    return Condition(tested, "event_rule.rule = ?", (rule,), table="event_rule")


def _client(connection: sqlite3.Connection, typed: str, field: str) -> Condition:
    try:
        first, last = addresses.keys(typed)
    except ValueError:
        raise Invalid.at(field, "Enter an IP address or CIDR range, for example 192.0.2.0/24.") from None
    return _named(connection, "client", "key BETWEEN ? AND ?", (first, last))


def _path(connection: sqlite3.Connection, typed: str) -> Condition:
    if typed.startswith("/"):
        return _named(connection, "path", "text >= ? AND text < ?", (typed, typed + "\U0010ffff"))
    return _named(connection, "path", "text LIKE ? ESCAPE '\\'", (like(typed.removeprefix("*")),))


def _free(connection: sqlite3.Connection, typed: str) -> Condition:
    if REQUEST_ID.fullmatch(typed):
        return Condition("+request_id = ?", "request_id = ?", (typed.lower(),))
    if RULE.fullmatch(typed):
        return _rule(int(typed))
    if typed.startswith("/"):
        return _path(connection, typed)
    try:
        addresses.keys(typed)
    except ValueError:
        return _either(*(_part(connection, table, typed) for table in ("path", "host")))
    return _client(connection, typed, "q")


def _part(connection: sqlite3.Connection, table: str, typed: str) -> Condition:
    return _named(connection, table, "text LIKE ? ESCAPE '\\'", (like(typed),))


def _named(connection: sqlite3.Connection, table: str, test: str, values: Sequence[object]) -> Condition:
    """Events whose client, path or host passes a test."""
    rows = connection.execute(f"SELECT id FROM {table} WHERE {test} LIMIT ?", (*values, MOST_LISTED + 1)).fetchall()  # noqa: S608
    if len(rows) > MOST_LISTED:
        tested = f"EXISTS (SELECT 1 FROM {table} WHERE {table}.id = event.{table} AND {test})"  # noqa: S608
        return Condition(tested, None, tuple(values))
    if len(rows) == 1:
        return Condition(f"+{table} = ?", f"{table} = ?", rows[0])
    listed = ",".join(str(row[0]) for row in rows)
    return Condition(f"+{table} IN ({listed})", f"{table} IN ({listed})", (), ordered=False)


def _either(left: Condition, right: Condition) -> Condition:
    """If one matches nothing, SQLite would use neither index."""
    if left.finds_nothing or right.finds_nothing:
        return right if left.finds_nothing else left
    indexed = f"({left.indexed} OR {right.indexed})" if left.indexed and right.indexed else None
    return Condition(f"({left.tested} OR {right.tested})", indexed, left.values + right.values, ordered=False)
