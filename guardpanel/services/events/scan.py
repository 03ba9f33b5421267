"""The way to a page of events that does not depend on luck.

SQLite has no statistics that fit attackers' traffic, so we ask each condition's index how many events it leads to, and
stop counting at MANY. Few: those are read and sorted. Many in each: they are dense, so walking back in time meets enough
of them soon; the index of one value walks by time, too. What takes longer than PATIENCE all the same is stopped and
what was found until then is given.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

from guardpanel.services.events.conditions import Condition

MANY = 20_000
MOST_COUNTED = 10_000
PATIENCE = 1.0
"Seconds for a page."
COUNTING = 0.05
"Seconds for the number of all that match: words beside the list, not worth a wait."
MOST_TOTALLED = 1_000_000
TOTALLING = 0.04
"The same for who pages by number and looks for the last page."
STEPS = 20_000
"SQLite's, between two looks at the clock."

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
    """Ids from `first` on, before `end`."""

    first: int
    end: int


class TimeUp(Exception):
    """The time is over."""


def rows(
    connection: sqlite3.Connection,
    conditions: Sequence[Condition],
    span: Span,
    limit: int,
    *,
    upwards: bool = False,
    offset: int = 0,
) -> tuple[list[EventRow], bool]:
    """The newest that match (`upwards`: the oldest) but for `offset` of them, and whether the search was stopped before
    it was done."""
    ids: list[int] = []
    stopped = False
    try:
        with patience(connection, PATIENCE):
            ids.extend(_ids(connection, conditions, span, limit, upwards=upwards, offset=offset))
    except TimeUp:
        stopped = True
    return _rows(connection, ids), stopped


def count(connection: sqlite3.Connection, conditions: Sequence[Condition], span: Span) -> tuple[int, bool]:
    """How many match, and whether that is all of them."""
    matches = 0
    try:
        with patience(connection, COUNTING):
            for _ in _ids(connection, conditions, span, MOST_COUNTED + 1, upwards=None):
                matches += 1
    except TimeUp:
        return matches, False
    return min(matches, MOST_COUNTED), matches <= MOST_COUNTED


def total(connection: sqlite3.Connection, conditions: Sequence[Condition], span: Span) -> tuple[int, bool]:
    """The same up to MOST_TOTALLED, counted by SQLite alone: all or, where that takes too long, only what `count` says."""
    try:
        with patience(connection, TOTALLING):
            question, values = _question(connection, conditions, span, MOST_TOTALLED + 1, upwards=None)
            matches: int = connection.execute(f"SELECT count(*) FROM ({question})", values).fetchone()[0]  # noqa: S608
    except TimeUp:
        return count(connection, conditions, span)
    return min(matches, MOST_TOTALLED), matches <= MOST_TOTALLED


class patience:  # noqa: N801 a context manager
    """Ends what runs on a connection when its time is over: Stopped."""

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
    """In the order of the ids. Apart from finding them: what is sorted is short."""
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
    for (event,) in connection.execute(*_question(connection, conditions, span, limit, upwards=upwards, offset=offset)):
        yield event


def _question(
    connection: sqlite3.Connection,
    conditions: Sequence[Condition],
    span: Span,
    limit: int,
    *,
    upwards: bool | None,
    offset: int = 0,
) -> tuple[str, list[object]]:
    """The ids that match, in SQL and with its values. `upwards` None: in any order."""
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
    question = f"SELECT {key} FROM {source} WHERE {' AND '.join(tests)} {order} LIMIT ? OFFSET ?"  # noqa: S608
    return question, [*values, limit, offset]


def _lead(connection: sqlite3.Connection, conditions: Sequence[Condition], span: Span) -> Condition | None:
    """The condition whose index is followed; None: all events are walked by time."""
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
    """Of a range, whatever the time: to look at the time of each would take as long as to walk back."""
    tests, values = [str(condition.indexed)], [*condition.values]
    if not condition.ranged:
        tests, values = [*tests, f"{condition.key} >= ?", f"{condition.key} < ?"], [*values, span.first, span.end]
    inner = f"SELECT 1 FROM {condition.table} WHERE {' AND '.join(tests)} LIMIT ?"  # noqa: S608
    size: int = connection.execute(f"SELECT count(*) FROM ({inner})", (*values, MANY + 1)).fetchone()[0]  # noqa: S608
    return size
