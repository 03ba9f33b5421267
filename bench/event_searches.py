"""Every search of events, frequent and rare, alone and together, also for what is nowhere: how long each takes.

Part of `make bench-ingest`, which fills the file before.
"""

import sqlite3
import statistics
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from guardpanel.database import Database
from guardpanel.events import schema
from guardpanel.services.events import EventFilter, Events, Severity, Verdict
from guardpanel.settings import Settings


async def search(settings: Settings, times: int) -> None:
    """Each so many times, the first page and the next ones."""
    database = Database(settings.database)
    await database.migrate()
    events = Events(settings, database)
    with closing(schema.open_to_read(settings.events_database)) as connection:
        questions = searches(connection)
    everything: list[float] = []
    print("\n| search | events | page p50 ms | p95 ms | worst ms |\n|---|---|---|---|---|")
    for name, fields in questions.items():
        took, count = await timed(events, EventFilter(**fields), times)
        everything += took
        print(line(name, count, took), flush=True)
    print(line("**all**", "", everything))
    await events.close()
    await database.close()


async def timed(events: Events, filters: EventFilter, times: int) -> tuple[list[float], str]:
    """Milliseconds of each page, and how many events there are."""
    took, count = [], ""
    for at in range(times):
        cursor = None
        for number in range(1 + at % 3):
            began = time.perf_counter()
            page = await events.page(filters, cursor=cursor)
            took.append((time.perf_counter() - began) * 1000)
            count = count if number else counted(page.count, exact=page.count_is_exact, stopped=page.stopped)
            cursor = page.next_cursor
            if cursor is None:
                break
    return took, count


def counted(count: int, *, exact: bool, stopped: str | None) -> str:
    return f"{count:,}{'' if exact else '+'}{' (stopped)' if stopped else ''}"


def line(name: str, count: str, took: list[float]) -> str:
    p95 = sorted(took)[int(len(took) * 0.95)]
    return f"| {name} | {count} | {statistics.median(took):.0f} | {p95:.0f} | {max(took):.0f} |"


def searches(connection: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    often, seldom = most_and_least(connection, "client")
    path, rare_path = most_and_least(connection, "path")
    now = datetime.now(UTC)
    week = {"since": now - timedelta(days=20), "until": now - timedelta(days=13)}
    return {
        "everything": {},
        "a virtual host of many events": {"virtual_host_id": 1},
        "a virtual host of few": {"virtual_host_id": 50},
        "no such virtual host": {"virtual_host_id": 99},
        "a policy": {"policy_id": 3},
        "blocked": {"verdict": Verdict.BLOCKED},
        "a verdict of none": {"verdict": Verdict.FAIL_OPEN},
        "a rule of many": {"rule": 942100},
        "a rule of few": {"rule": 930130},
        "no such rule": {"rule": 123456},
        "critical": {"severity": Severity.CRITICAL},
        "notices": {"severity": Severity.NOTICE},
        "an address of many": {"client": often},
        "an address of few": {"client": seldom},
        "a small network": {"client": "198.18.7.0/24"},
        "a large network": {"client": "198.18.0.0/15"},
        "a path": {"path": path},
        "a path of few": {"path": rare_path},
        "what a path begins with": {"path": "/shop/"},
        "a part of a path": {"path": "admin"},
        "a part of many paths": {"path": "e"},
        "a part of few paths": {"path": "*abcd"},
        "a part of no path": {"path": "zzzz"},
        "a method": {"method": "POST"},
        "a score": {"min_score": 20},
        "no such score": {"min_score": 900},
        "a week": week,
        "an hour": {"since": now - timedelta(days=9), "until": now - timedelta(days=9, hours=-1)},
        "words of paths": {"q": "wp-content"},
        "words of a host": {"q": "watches"},
        "words of nothing": {"q": "nowhere"},
        "a rule of many, of one policy": {"rule": 942100, "policy_id": 3},
        "a rule, a verdict and a network": {"rule": 942100, "verdict": Verdict.BLOCKED, "client": "198.18.0.0/16"},
        "all at once": {
            "virtual_host_id": 1,
            "policy_id": 2,
            "verdict": Verdict.BLOCKED,
            "rule": 942100,
            "severity": Severity.CRITICAL,
            "client": "198.18.0.0/15",
            "path": "/shop/",
            "method": "GET",
            "min_score": 5,
            **week,
        },
        "many and many, never together": {"verdict": Verdict.DETECTED, "path": "/shop/", "method": "POST"},
        "a host and another's policy": {"virtual_host_id": 1, "policy_id": 3},
        "an old week, a rule and a score": {"rule": 942100, "min_score": 20, **week},
    }


def most_and_least(connection: sqlite3.Connection, table: str) -> list[str]:
    """The client or path of most events, and one of few."""
    grouped = f"SELECT text FROM {table} JOIN event ON {table}.id = {table} GROUP BY {table} ORDER BY count(*)"
    return [connection.execute(f"{grouped} {order} LIMIT 1").fetchone()[0] for order in ("DESC", "ASC")]
