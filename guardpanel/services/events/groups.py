"""Groups of events: which there are among the newest events that match, and what is known of each.

No table holds them: an event's row has its shape, so the groups of any filter are counted among the newest MOST_EVENTS.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from guardpanel.events.addresses import V4_IN_V6
from guardpanel.events.crs import is_reporting
from guardpanel.events.grouping import GroupKey
from guardpanel.events.words import VERDICT_CODES, Verdict
from guardpanel.services.events import paging, scan
from guardpanel.services.events.conditions import Condition, conditions
from guardpanel.services.events.filters import EventFilter

MOST_EVENTS = 20_000
"Of those that match, the newest, which are looked through."

MOST_GROUPS = 100
"Those that most addresses met."

CLIENTS, REQUESTS = 3, 30
"Clients of a group that are looked at, and the newest events of each."

LOOKED_THROUGH = 2_000
"Of a client's newest events, those that are searched for others than the group's: a flood must not hide every group."

BLOCKED = VERDICT_CODES[Verdict.BLOCKED]
OK, NOT_FOUND = range(200, 400), 404

NETWORK = f"CASE WHEN substr(client.key, 1, 12) = x'{V4_IN_V6.hex()}' THEN client.key ELSE substr(client.key, 1, 8) END"
"An IPv4 address, or the /64 of an IPv6 address, all of which is one client's."

ROWS = (
    "WITH newest(id) AS ({question}) SELECT virtual_host, shape, count(*), count(DISTINCT client), count(DISTINCT {network}), "
    "sum(verdict = {blocked}), min(score), max(score), min(event.id), max(event.id), "
    "max(CASE verdict WHEN {blocked} THEN event.id END), count(*) OVER () "
    "FROM newest CROSS JOIN event ON event.id = newest.id CROSS JOIN client ON client.id = event.client "
    "GROUP BY virtual_host, shape ORDER BY 5 DESC, 3 DESC, 10 DESC LIMIT {most}"
)


class GroupRow(NamedTuple):
    virtual_host_id: int | None
    shape: int
    requests: int
    visitors: int
    "Addresses."
    networks: int
    blocked: int
    lowest: int
    highest: int
    first: int
    last: int
    last_blocked: int | None
    groups: int
    "How many there are in all."

    @property
    def key(self) -> GroupKey:
        return GroupKey(self.virtual_host_id, self.shape)


@dataclass(frozen=True)
class Habits:
    """What one client did of late beside the group: its newest other events."""

    families: frozenset[int]
    "Thousands of the rules that fired."
    paths: int
    passed: int
    "Events that the server answered well."
    not_found: int
    events: int


@dataclass(frozen=True)
class FoundGroup:
    row: GroupRow
    request_id: str
    "Of the newest event."
    habits: Sequence[Habits]


@dataclass(frozen=True)
class FoundGroups:
    groups: Sequence[FoundGroup] = ()
    total: int = 0
    is_whole: bool = True
    "False: older events match, too, or there are more groups."
    stopped: bool = False
    "There was no time for the rest: `groups` are those that most addresses met, as far as it got."


NOTHING = FoundGroups()


def find(connection: sqlite3.Connection, filters: EventFilter) -> FoundGroups:
    """Raises Invalid, by field, for what cannot be meant."""
    rows: list[GroupRow] = []
    groups: list[FoundGroup] = []
    try:
        with scan.patience(connection, scan.PATIENCE_SECONDS):
            rows = _rows(connection, filters)
            groups.extend(_group(connection, row) for row in rows)
    except scan.TimeUp:
        return FoundGroups(groups, rows[0].groups if rows else 0, is_whole=False, stopped=True)
    events, total = sum(row.requests for row in rows), rows[0].groups if rows else 0
    return FoundGroups(groups, total, total <= MOST_GROUPS and events < MOST_EVENTS)


def _rows(connection: sqlite3.Connection, filters: EventFilter) -> list[GroupRow]:
    where = [*conditions(connection, filters), Condition("+shape IS NOT NULL", None, ())]
    question, values = scan.question(connection, where, paging.span_of(filters), MOST_EVENTS, upwards=False)
    text = ROWS.format(question=question, network=NETWORK, blocked=BLOCKED, most=MOST_GROUPS)
    return [GroupRow(*row) for row in connection.execute(text, values)]


def _group(connection: sqlite3.Connection, row: GroupRow) -> FoundGroup:
    (request_id,) = connection.execute("SELECT request_id FROM event WHERE id = ?", (row.last,)).fetchone()
    clients = connection.execute(
        "SELECT DISTINCT client FROM (SELECT client FROM event WHERE shape = ? AND +virtual_host IS ? "
        "ORDER BY id DESC LIMIT ?) LIMIT ?",
        (row.shape, row.virtual_host_id, REQUESTS, CLIENTS),
    )
    habits = [_habits(connection, client, row.shape) for (client,) in clients.fetchall()]
    return FoundGroup(row, request_id, habits)


def _habits(connection: sqlite3.Connection, client: int, shape: int) -> Habits:
    rows = connection.execute(
        "SELECT path, status, rules FROM (SELECT path, status, rules, shape FROM event WHERE client = ? "
        "ORDER BY id DESC LIMIT ?) WHERE shape IS NOT ? LIMIT ?",
        (client, LOOKED_THROUGH, shape, REQUESTS),
    ).fetchall()
    return Habits(
        families=frozenset(family for row in rows for family in families(map(int, row[2].split()))),
        paths=len({row[0] for row in rows}),
        passed=sum(row[1] in OK for row in rows if row[1]),
        not_found=sum(row[1] == NOT_FOUND for row in rows),
        events=len(rows),
    )


def families(rules: Iterable[int]) -> set[int]:
    """Of the rules that found something."""
    return {rule // 1_000 for rule in rules if not is_reporting(rule)}
