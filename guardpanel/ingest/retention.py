"""Deletes events that are too old or do not fit, in small steps between batches. SQLite's file does not shrink: new events reuse
the free space."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from guardpanel import clock
from guardpanel.events.schema import id_of
from guardpanel.events.words import VERDICT_CODES, Verdict

STEP = 1_000
"Events deleted per transaction."

MIB = 1024 * 1024

ANYBODYS = tuple(
    VERDICT_CODES[verdict]
    for verdict in (
        Verdict.UNKNOWN_HOST,
        Verdict.UNDELIVERED,
        Verdict.GREEDY,
        Verdict.CROWDED,
        Verdict.BANNED,
        Verdict.ON_DENY_LIST,
        Verdict.NOT_ON_LIST,
        Verdict.LIMITED,
        Verdict.LIMITED_PASSED,
        Verdict.COUNTRY,
        Verdict.NETWORK,
        Verdict.GEO_PASSED,
        Verdict.LOGIN_FAILED,
    )
)
"What anyone can cause at will: requests to unknown hosts, malformed and aborted ones, too many at once, and rejected ones."
SPARED = 10_000
"The newest of each that are kept. Others are deleted first if space is short."

AHEAD = timedelta(hours=1)
"By so much, no clock that is right is ahead of another."

LAST = 2**63 - 1
"Larger than any event's id."


def too_many(connection: sqlite3.Connection, *, days: int, mib: int) -> bool:
    (oldest,) = connection.execute("SELECT min(id) FROM event").fetchone()
    return oldest is not None and (oldest < _first_kept(days) or size(connection) > mib * MIB)


def size(connection: sqlite3.Connection) -> int:
    """Bytes in use."""
    pages, free, page = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * page


def remove_oldest(connection: sqlite3.Connection, *, days: int, mib: int) -> int:
    """One step within the caller's transaction. Returns the number of deleted events."""
    rows = _first_to_go(connection) if size(connection) > mib * MIB else _before(connection, _first_kept(days))
    ids = [(row[0],) for row in rows]
    fired = [(int(rule), row[0]) for row in rows for rule in row[1].split()]
    connection.executemany("DELETE FROM event_rule WHERE rule = ? AND event = ?", fired)
    connection.executemany("DELETE FROM event_line WHERE id = ?", ids)
    connection.executemany("DELETE FROM event WHERE id = ?", ids)
    for at, table in enumerate(("client", "host", "path"), 2):
        _drop_unused(connection, table, sorted({row[at] for row in rows}))
    return len(rows)


def _first_to_go(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """If space is short: nobody may push out attacks with requests that cost nothing."""
    for verdict in ANYBODYS:
        spared = connection.execute(
            "SELECT id FROM event WHERE verdict = ? ORDER BY id DESC LIMIT 1 OFFSET ?", (verdict, SPARED)
        ).fetchone()
        if spared is not None:
            return connection.execute(
                "SELECT id, rules, client, host, path FROM event WHERE verdict = ? AND id <= ? ORDER BY id LIMIT ?",
                (verdict, *spared, STEP),
            ).fetchall()
    return _from_ahead(connection) or _before(connection, LAST)


def _from_ahead(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """Events of a clock that was set back since: they came before all that it has dated now, whatever their own time."""
    return connection.execute(
        "SELECT id, rules, client, host, path FROM event WHERE id > ? ORDER BY id LIMIT ?",
        (id_of(datetime.now(UTC) + AHEAD), STEP),
    ).fetchall()


def _before(connection: sqlite3.Connection, last: int) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT id, rules, client, host, path FROM event WHERE id < ? ORDER BY id LIMIT ?", (last, STEP)
    ).fetchall()


def _drop_unused(connection: sqlite3.Connection, table: str, ids: Sequence[int]) -> None:
    connection.executemany(
        f"DELETE FROM {table} WHERE id = ? AND NOT EXISTS (SELECT 1 FROM event WHERE {table} = ?)",  # noqa: S608
        [(event_id, event_id) for event_id in ids],
    )


def _first_kept(days: int) -> int:
    return id_of(clock.AGES.now() - timedelta(days=days))
