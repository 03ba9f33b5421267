"""Finds a page of events in predictable time.

SQLite has no statistics that fit attackers' traffic, so each condition's index is asked how many events it leads to, counting up
to MANY. If there are few, they are read and sorted. If all have many, they are dense, so scanning back in time soon meets enough
of them, and the index of a single value is also ordered by time. What takes longer than PATIENCE_SECONDS is stopped, and what
was found so far is returned.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

from guardpanel.services.events.conditions import Condition

MANY = 20_000
MOST_COUNTED = 10_000
PATIENCE_SECONDS = 1.0
"Seconds for a page."
TOO_SLOW = (
    f"Search stopped after {PATIENCE_SECONDS:.0f} s. Results may be incomplete. Narrow the time range or add a filter."
)
COUNTING = 0.05
"Seconds for counting all matches, which is not worth a longer wait."
MOST_TOTALLED = 1_000_000
TOTALLING = 0.04
"The same for clients that page by number and need the last page."
STEPS = 20_000
"SQLite instructions between two looks at the clock."

COLUMNS = (
    "event.id, request_id, virtual_host, policy, application, checksum, "
    "(SELECT text FROM client WHERE client.id = event.client), method, "
    "(SELECT text FROM host WHERE host.id = event.host), (SELECT text FROM path WHERE path.id = event.path), "
    "verdict, status, score, severity, rules, reason"
)

EventRow = tuple[
    int, str, int | None, int | None, str, str, str, str, str, str, int, int | None, int, int | None, str, int | None
]  # fmt: skip


@dataclass(frozen=True)
class Span:
    """Ids from `first` up to but not including `end`."""

    first: int
    end: int


class TimeUp(Exception):
    """The time limit was reached."""


def rows(
    connection: sqlite3.Connection,
    conditions: Sequence[Condition],
    span: Span,
    limit: int,
    *,
    upwards: bool = False,
    offset: int = 0,
) -> tuple[list[EventRow], bool]:
    """The newest matches (`upwards`: the oldest) after skipping `offset`, and whether the search was stopped early."""
    ids: list[int] = []
    stopped = False
    try:
        with patience(connection, PATIENCE_SECONDS):
            ids.extend(_ids(connection, conditions, span, limit, upwards=upwards, offset=offset))
    except TimeUp:
        stopped = True
    return _rows(connection, ids), stopped


def count(connection: sqlite3.Connection, conditions: Sequence[Condition], span: Span) -> tuple[int, bool]:
    """The number of matches, and whether it is exact."""
    matches = 0
    try:
        with patience(connection, COUNTING):
            for _ in _ids(connection, conditions, span, MOST_COUNTED + 1, upwards=None):
                matches += 1
    except TimeUp:
        return matches, False
    return min(matches, MOST_COUNTED), matches <= MOST_COUNTED


def total(connection: sqlite3.Connection, conditions: Sequence[Condition], span: Span) -> tuple[int, bool]:
    """The same up to MOST_TOTALLED, counted by SQLite alone: all or, if that takes too long, only what `count` returns."""
    try:
        with patience(connection, TOTALLING):
            statement, values = question(connection, conditions, span, MOST_TOTALLED + 1, upwards=None)
            matches: int = connection.execute(f"SELECT count(*) FROM ({statement})", values).fetchone()[0]  # noqa: S608
    except TimeUp:
        return count(connection, conditions, span)
    return min(matches, MOST_TOTALLED), matches <= MOST_TOTALLED


class patience:  # noqa: N801 a context manager
    """Interrupts the connection's query when its time is up. Raises TimeUp."""

    def __init__(self, connection: sqlite3.Connection, seconds: float) -> None:
        self.connection = connection
        self.ends = monotonic() + seconds

    def __enter__(self) -> None:
        self.connection.set_progress_handler(lambda: monotonic() > self.ends, STEPS)

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        self.connection.set_progress_handler(None, 0)
        if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            raise TimeUp from error


def _rows(connection: sqlite3.Connection, ids: Sequence[int]) -> list[EventRow]:
    """In the order of the ids. Separate from finding them, so that the sorted rows are short."""
    places = ", ".join("?" * len(ids))
    rows = connection.execute(f"SELECT {COLUMNS} FROM event WHERE id IN ({places})", ids)  # noqa: S608
    by_id = {row[0]: row for row in rows}
    return [by_id[event_id] for event_id in ids]


def _ids(
    connection: sqlite3.Connection,
    conditions: Sequence[Condition],
    span: Span,
    limit: int,
    *,
    upwards: bool | None,
    offset: int = 0,
) -> Iterator[int]:
    for (event,) in connection.execute(*question(connection, conditions, span, limit, upwards=upwards, offset=offset)):
        yield event


def question(
    connection: sqlite3.Connection,
    conditions: Sequence[Condition],
    span: Span,
    limit: int,
    *,
    upwards: bool | None,
    offset: int = 0,
) -> tuple[str, list[object]]:
    """The matching ids, as SQL and parameters. `upwards` None: in any order."""
    lead = _lead(connection, conditions, span)
    rest = [condition for condition in conditions if condition is not lead]
    key = lead.key if lead else "event.id"
    order = "" if upwards is None else f"ORDER BY {key} {'ASC' if upwards else 'DESC'}"
    tests = [f"{key} >= ?", f"{key} < ?", *(condition.tested for condition in rest)]
    values: list[object] = [span.first, span.end, *(value for condition in rest for value in condition.values)]
    source = "event"
    if lead is not None:
        tests, values = [str(lead.indexed), *tests], [*lead.values, *values]
        source = "event" if lead.table == "event" else f"{lead.table} CROSS JOIN event ON event.id = {key}"
    query = f"SELECT {key} FROM {source} WHERE {' AND '.join(tests)} {order} LIMIT ? OFFSET ?"  # noqa: S608
    return query, [*values, limit, offset]


def _lead(connection: sqlite3.Connection, conditions: Sequence[Condition], span: Span) -> Condition | None:
    """The condition whose index is used. None: all events are scanned by time."""
    sizes = [
        (_size(connection, condition, span), not condition.ordered, at)
        for at, condition in enumerate(conditions)
        if condition.indexed
    ]
    if not sizes:
        return None
    size, unordered, at = min(sizes)
    return conditions[at] if size <= MANY or not unordered else None


def _size(connection: sqlite3.Connection, condition: Condition, span: Span) -> int:
    """For a range, whatever the time: checking the time of each would take as long as scanning back."""
    tests, values = [str(condition.indexed)], [*condition.values]
    if not condition.ranged:
        tests, values = [*tests, f"{condition.key} >= ?", f"{condition.key} < ?"], [*values, span.first, span.end]
    inner = f"SELECT 1 FROM {condition.table} WHERE {' AND '.join(tests)} LIMIT ?"  # noqa: S608
    size: int = connection.execute(f"SELECT count(*) FROM ({inner})", (*values, MANY + 1)).fetchone()[0]  # noqa: S608
    return size
