"""Shapes of events that were stored before there were any: a step at a time, the newest first, while nothing else waits."""

import sqlite3

from guardpanel.events.lines import unpacked
from guardpanel.events.schema import AGENT
from guardpanel.ingest import agent_line
from guardpanel.ingest.agent_line import AgentLine, BadLine, UnknownVersion

STEP = 500
"Events in a transaction."


def is_done(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM shapeless").fetchone() is None


def shape_some(connection: sqlite3.Connection) -> None:
    """One step, within the caller's transaction."""
    rows = connection.execute(
        "SELECT event.id, heard, lines FROM event JOIN event_line ON event_line.id = event.id"
        " WHERE event.id < (SELECT before FROM shapeless) ORDER BY event.id DESC LIMIT ?",
        (STEP,),
    ).fetchall()
    if not rows:
        connection.execute("DELETE FROM shapeless")
        return
    lines = {event: line for event, sources, stored in rows if sources & AGENT and (line := _read(stored))}
    connection.executemany(
        "UPDATE event SET shape = ? WHERE id = ?",
        [(line.shape, event) for event, line in lines.items()],
    )
    connection.execute("UPDATE shapeless SET before = ?", (rows[-1][0],))


def _read(stored: bytes) -> AgentLine | None:
    """None for one that this version cannot read: it has no shape, and is no reason to stop."""
    agent, _ = unpacked(stored)
    try:
        return agent_line.read(agent, "") if agent else None
    except (BadLine, UnknownVersion):
        return None
