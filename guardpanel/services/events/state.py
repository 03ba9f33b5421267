"""The state of the ingest: whether it runs, how far behind it is, and what was lost."""

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from guardpanel.events.schema import time_of
from guardpanel.settings import Settings

PATIENCE_SECONDS = 1.0
"Seconds for its response, which it gives between its work."

LAGS = 60.0
"Seconds of delay from which it is reported."


@dataclass(frozen=True)
class IngestState:
    """Counters start when the event database is created."""

    running: bool
    lag_seconds: float | None
    "How long written lines wait to be read. 0: everything is read. None: unknown, since it does not run."
    lag_bytes: int
    last_event: datetime | None
    events: int
    "Stored events, some of which were deleted since."
    ordinary: int
    "Visitors' requests in HAProxy's log that are irrelevant."
    torn: int
    "Last lines that a crash left incomplete."
    bad: int
    "Lines that are not JSON, or not an event."
    unknown_version: int
    "Lines in a format that this guardpanel does not know."
    lost_segments: int
    "Files of the agent that were deleted before they were known to be complete."
    lost_bytes: int
    "Bytes of HAProxy's log that were rotated away unread."
    repeated: int
    "Duplicate events of a request, ignored."
    removed: int
    "Events deleted because they were too old or too many."
    bytes: int
    "Disk space of the event database."
    problem: str | None
    "What is wrong, if anything: it does not run, is behind, or cannot write."
    is_failing: bool
    "No events are recorded: it is not just behind."

    @property
    def losses(self) -> str:
        """What was lost, in a sentence. Empty if nothing was."""
        counts = {
            "truncated lines": self.torn, "unreadable lines": self.bad, "lines in a newer format": self.unknown_version,
            "agent files deleted before they were read": self.lost_segments,
            "bytes of HAProxy’s log rotated unread": self.lost_bytes,
        }  # fmt: skip
        return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)


@dataclass(frozen=True)
class StoredState:
    """What the database itself contains."""

    counters: Mapping[str, int] = field(default_factory=dict)
    last_event: datetime | None = None
    bytes: int = 0


NOTHING_KEPT = StoredState()


def kept(connection: sqlite3.Connection) -> StoredState:
    (newest,) = connection.execute("SELECT max(id) FROM event").fetchone()
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return StoredState(
        counters=dict(connection.execute("SELECT name, value FROM counter").fetchall()),
        last_event=time_of(newest) if newest is not None else None,
        bytes=(pages - free) * size,
    )


async def of(settings: Settings, known: StoredState, problem: str | None = None) -> IngestState:
    reported = await ask(settings)
    lag = reported.get("lag_seconds") if reported else None
    counted = {name: known.counters.get(name, 0) for name in COUNTERS}
    return IngestState(
        running=reported is not None,
        lag_seconds=lag,
        lag_bytes=reported.get("lag_bytes", 0) if reported else 0,
        last_event=known.last_event,
        bytes=known.bytes,
        problem=problem or _problem(reported, lag),
        is_failing=bool(problem or fault(reported)),
        **counted,
    )


COUNTERS = (
    "events", "ordinary", "torn", "bad", "unknown_version", "lost_segments", "lost_bytes", "repeated", "removed",
)  # fmt: skip


async def ask(settings: Settings) -> Mapping[str, Any] | None:
    """The status of the running ingest. None if none runs."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(settings.ingest_socket))
            try:
                return dict(json.loads(await reader.read()))
            finally:
                writer.close()
    except (OSError, ValueError):
        return None


def fault(reported: Mapping[str, Any] | None) -> str:
    """Why no events are recorded, from the ingest's status. Empty if they are."""
    if reported is None:
        return "Event ingest is not running. New events are queued on disk."
    return str(reported.get("problem") or "")


def _problem(reported: Mapping[str, Any] | None, lag: float | None) -> str | None:
    if message := fault(reported):
        return message
    if lag is not None and lag > LAGS:
        return f"Event ingest is {lag:.0f} s behind."
    return None
