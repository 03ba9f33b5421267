"""What is kept of events: those of some days, as far as they fit. In small steps between the batches.

SQLite's file is not made smaller: what becomes free takes the next events.
"""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from guardpanel.events.schema import id_of

STEP = 1_000
"Events that go in one transaction."

MIB = 1024 * 1024


def too_many(connection: sqlite3.Connection, *, days: int, mib: int) -> bool:
    (oldest,) = connection.execute("SELECT min(id) FROM event").fetchone()
    return oldest is not None and (oldest < _first_kept(days) or size(connection) > mib * MIB)


def size(connection: sqlite3.Connection) -> int:
    """Bytes that hold something."""
    pages, free, page = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * page


def remove_oldest(connection: sqlite3.Connection, *, days: int, mib: int) -> int:
    """One step, within the caller's transaction: how many events went."""
    last = 2**63 - 1 if size(connection) > mib * MIB else _first_kept(days)
    rows = connection.execute(
        "SELECT id, rules, client, host, path FROM event WHERE id < ? ORDER BY id LIMIT ?", (last, STEP)
    ).fetchall()
    ids = [(row[0],) for row in rows]
    fired = [(int(rule), row[0]) for row in rows for rule in row[1].split()]
    connection.executemany("DELETE FROM event_rule WHERE rule = ? AND event = ?", fired)
    connection.executemany("DELETE FROM event_line WHERE id = ?", ids)
    connection.executemany("DELETE FROM event WHERE id = ?", ids)
    for at, table in enumerate(("client", "host", "path"), 2):
        _drop_unused(connection, table, sorted({row[at] for row in rows}))
    return len(rows)


def _drop_unused(connection: sqlite3.Connection, table: str, ids: Sequence[int]) -> None:
    connection.executemany(
        f"DELETE FROM {table} WHERE id = ? AND NOT EXISTS (SELECT 1 FROM event WHERE {table} = ?)",  # noqa: S608
        [(one, one) for one in ids],
    )


def _first_kept(days: int) -> int:
    return id_of(datetime.now(UTC) - timedelta(days=days))
