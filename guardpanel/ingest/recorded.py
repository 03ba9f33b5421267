"""Ordinary requests that the agent recorded (docs/events.md): their lines, and how many of them are kept how long."""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from guardpanel.events.lines import packed
from guardpanel.events.schema import A_MICROSECOND
from guardpanel.ingest.agent_line import LAST_MOMENT, LONGEST_ID, UNEXPECTED, BadLine, hostname, moment_of

MARK = b'{"v":1,"recorded":true,'
"How the agent begins such a line. No event's begins so, whatever its request holds."

MOST_OF_A_HOST, MOST = 5_000, 50_000
"Of one host, and of all together, the newest."

LONGEST_DAYS = 366


class RecordedLine(NamedTuple):
    moment: int
    "As an event's id."
    ends: int
    "From which moment on it is not kept."
    host: str
    client_key: str
    line: bytes


def read(line: bytes) -> RecordedLine:
    """Raises BadLine."""
    try:
        record: dict[str, Any] = json.loads(line)
        moment = moment_of(record["time"])
        days = timedelta(days=min(max(int(record["days"]), 0), LONGEST_DAYS))
        ends = min(moment + days // timedelta(microseconds=1) * A_MICROSECOND, LAST_MOMENT)
        return RecordedLine(moment, ends, hostname(record["host"]), str(record["client_key"])[:LONGEST_ID], line)
    except UNEXPECTED as error:
        raise BadLine from error


def add(connection: sqlite3.Connection, lines: Sequence[RecordedLine]) -> int:
    """Within the caller's transaction; gives how many there are more. Without those that were deleted before they were read."""
    lines = [line for line in lines if not _is_forgotten(connection, line)]
    for line in lines:
        number = line.moment + zlib.crc32(line.line) % A_MICROSECOND
        while connection.execute("SELECT 1 FROM recorded WHERE id = ?", (number,)).fetchone():
            number += 1
        row = (number, line.ends, line.host, line.client_key, packed(line.line, None))
        connection.execute("INSERT INTO recorded VALUES (?, ?, ?, ?, ?)", row)
    _cap(connection, {line.host for line in lines})
    return len(lines)


def _is_forgotten(connection: sqlite3.Connection, line: RecordedLine) -> bool:
    names = (line.host, f"*.{line.host.partition('.')[2]}")
    question = "SELECT 1 FROM forgotten WHERE name IN (?, ?) AND client_key IN ('', ?) AND before >= ?"
    return connection.execute(question, (*names, line.client_key, line.moment)).fetchone() is not None


def _cap(connection: sqlite3.Connection, hosts: Iterable[str]) -> None:
    newest = "ORDER BY id DESC LIMIT -1 OFFSET ?"
    for host in hosts:
        connection.execute(
            f"DELETE FROM recorded WHERE id IN (SELECT id FROM recorded WHERE host = ? {newest})",  # noqa: S608
            (host, MOST_OF_A_HOST),
        )
    connection.execute(f"DELETE FROM recorded WHERE id IN (SELECT id FROM recorded {newest})", (MOST,))  # noqa: S608


def remove_ended(connection: sqlite3.Connection, now: int) -> None:
    """Those whose days are over; `now` as an event's id."""
    connection.execute("DELETE FROM recorded WHERE ends <= ?", (now,))
    longest = timedelta(days=LONGEST_DAYS) // timedelta(microseconds=1) * A_MICROSECOND
    connection.execute("DELETE FROM forgotten WHERE before <= ?", (now - longest,))
