"""Counts every request in HAProxy's log, by virtual host and step of time (events/traffic.py), within the transaction that
remembers how far the log was read: nothing is counted twice."""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated

import msgspec

from guardpanel.events.traffic import ALL, FINE, STEPS, UNKNOWN, Count
from guardpanel.ingest.proxy_line import NONE, NOT_OURS, REJECTED

COLUMNS = "requests, rejected, detected, sent, statuses, times"

KNOWN = f"SELECT {COLUMNS} FROM traffic WHERE step = ? AND host = ? AND begins = ?"  # noqa: S608 our own names

STORE = f"INSERT OR REPLACE INTO traffic (step, host, begins, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608

REJECTING = REJECTED.keys() | {"misdirected", "odd_path", "no_proxy", "no_client_certificate", "login_asked"}
"Words of HAProxy's log by which it answered itself, or in place of the server."

UNAVAILABLE, TOO_SLOW = 503, 408

DIGITS = re.compile(r"[0-9]{1,9}")

Key = tuple[int, int]
"Virtual host, and the beginning of a step of the finest kind in seconds since 1970."


class _LogEntry(msgspec.Struct):
    """Numbers within what SQLite can add up."""

    time: Annotated[float, msgspec.Meta(ge=0, lt=2**40)]
    virtual_host: str
    status: int
    bytes: Annotated[int, msgspec.Meta(ge=0, lt=2**48)]
    server_milliseconds: int
    verdict: str
    rules: str
    over_limit: str = ""
    fail: str = ""


LOGGED = msgspec.json.Decoder(_LogEntry)


class Counts:
    """Of the lines of a batch."""

    def __init__(self) -> None:
        self.rows: dict[Key, Count] = defaultdict(Count)

    def see(self, lines: Iterable[bytes]) -> None:
        """Lines of visitors' requests. Others, and lines that cannot be read, are counted elsewhere."""
        for line in lines:
            if NOT_OURS in line:
                with suppress(msgspec.DecodeError, ValueError):
                    self._add(LOGGED.decode(line))

    def _add(self, entry: _LogEntry) -> None:
        host = int(entry.virtual_host) if DIGITS.fullmatch(entry.virtual_host) else UNKNOWN
        second = int(entry.time)
        _count(self.rows[host, second - second % FINE.seconds], entry)


def _count(row: Count, entry: _LogEntry) -> None:
    row.requests += 1
    row.sent += entry.bytes
    if _is_rejected(entry):
        row.rejected += 1
        return
    row.statuses[entry.status // 100 if 100 <= entry.status < 600 else 0] += 1
    row.detected += entry.rules not in {"", NONE}
    if entry.server_milliseconds >= 0:
        row.took(entry.server_milliseconds)


def _is_rejected(entry: _LogEntry) -> bool:
    match entry.verdict:
        case "unjudged":
            return entry.fail != "open" and entry.status == UNAVAILABLE
        case "over_limit":
            return entry.over_limit == "refuse"
        case "slow":
            return entry.status == TOO_SLOW
        case "bodies":
            return entry.status == UNAVAILABLE
    return entry.verdict in REJECTING


def store(connection: sqlite3.Connection, counted: Mapping[Key, Count]) -> None:
    """In every kind of step, and of all virtual hosts together, too."""
    rows: dict[tuple[int, int, int], Count] = defaultdict(Count)
    for (host, begins), count in counted.items():
        for step in STEPS:
            for number in (ALL, host):
                rows[step.seconds, number, begins - begins % step.seconds].add(count)
    for key, count in rows.items():
        if known := connection.execute(KNOWN, key).fetchone():
            count.add(Count.of_row(known))
        connection.execute(STORE, (*key, *count.as_row()))


def remove_old(connection: sqlite3.Connection, now: datetime) -> None:
    for step in STEPS:
        first = int(now.timestamp()) - step.kept_seconds - step.seconds  # One that began before may have ended since.
        connection.execute("DELETE FROM traffic WHERE step = ? AND begins < ?", (step.seconds, first))
