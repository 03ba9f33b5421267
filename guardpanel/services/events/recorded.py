"""Ordinary requests that the agent recorded: of one virtual host, to be shown, deleted, and judged again."""

import base64
import json
import sqlite3
from collections.abc import AsyncIterable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines.waf.replaying import Replayed
from guardpanel.events.lines import unpacked
from guardpanel.events.schema import id_of, time_of
from guardpanel.events.texts import legible
from guardpanel.models import Hostname, VirtualHost

BREAKS = "\n\r\t"
"That a body may have where it is shown."

LARGEST_ID = 2**63 - 1
"SQLite's."

NEWEST = 50
"That a page lists."


@dataclass(frozen=True)
class RecordedRequest:
    """As it was recorded: bytes that are not UTF-8 stand in its texts as Python's surrogateescape has them."""

    id: int
    at: datetime
    until: datetime
    "When it is deleted."
    host: str
    method: str
    uri: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: str
    body_bytes: int
    "Of the whole body."
    is_partial: bool
    "There was more of the body."

    @property
    def displayable(self) -> "RecordedRequest":
        """With texts that can be shown."""
        return replace(
            self, host=legible(self.host), method=legible(self.method), uri=legible(self.uri), version=legible(self.version),
            headers=tuple((legible(name), legible(value)) for name, value in self.headers), body=legible(self.body, BREAKS),
        )  # fmt: skip

    @property
    def as_asked(self) -> Mapping[str, Any]:
        """For the agent's evaluate and replay (engines/waf/replaying.py)."""
        return {
            "method": self.method, "uri": self.uri, "version": self.version, "headers": [list(each) for each in self.headers],
            "body": base64.b64encode(self.body.encode("utf-8", "surrogateescape")).decode(), "partial": self.is_partial,
        }  # fmt: skip


@dataclass(frozen=True)
class Kept:
    """What is kept of some hosts; `newest` up to a limit."""

    count: int = 0
    oldest: datetime | None = None
    newest: tuple[RecordedRequest, ...] = ()


NOTHING = Kept()


@dataclass
class Tally:
    """What became of recorded requests under a draft (first verdict: as it is, second: under the draft)."""

    passed: int = 0
    newly_blocked: list[int] = field(default_factory=list)
    "Their places in the replay."
    unfaithful: int = 0
    "Not judged as the real request was: masked, it fires a rule that the real one did not, or the agent cannot judge it."

    def add(self, at: int, answer: Replayed) -> None:
        if answer.error or answer.verdicts[0].verdict != "pass":
            self.unfaithful += 1
        elif answer.verdicts[-1].passes:
            self.passed += 1
        else:
            self.newly_blocked.append(at)


async def tally(answers: AsyncIterable[Replayed]) -> Tally:
    """Of a replay of recorded requests under two rule sets: what runs, and a draft."""
    counted = Tally()
    at = 0
    async for answer in answers:
        counted.add(at, answer)
        at += 1
    return counted


async def hosts_of(session: AsyncSession, virtual_host: VirtualHost, recorded: Collection[str]) -> list[str]:
    """Those of the recorded hosts that are this virtual host's: by their names, or else by a wildcard for one label."""
    owners = dict((await session.exec(select(Hostname.name, Hostname.virtual_host_id))).all())
    return [host for host in recorded if owners.get(host, owners.get(f"*.{host.partition('.')[2]}")) == virtual_host.id]


def hosts(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT DISTINCT host FROM recorded")]


def kept(connection: sqlite3.Connection, of: Sequence[str], limit: int, before: int = 0) -> Kept:
    wanted = json.dumps(of)
    where = "WHERE host IN (SELECT value FROM json_each(?))"
    count, oldest = connection.execute(f"SELECT count(*), min(id) FROM recorded {where}", (wanted,)).fetchone()  # noqa: S608
    rows = connection.execute(
        f"SELECT id, ends, line FROM recorded {where} AND id < ? ORDER BY id DESC LIMIT ?",  # noqa: S608
        (wanted, before or LARGEST_ID, limit),
    )
    return Kept(count, time_of(oldest) if oldest else None, tuple(_request(*row) for row in rows))


def forget(
    connection: sqlite3.Connection, of: Sequence[str], names: Sequence[str], client_key: str | None, now: datetime
) -> int:
    """All of these hosts, or those of one client; gives how many. The ingest drops lines of `names` that it has not read yet:
    the virtual host's hostnames, as they were typed."""
    where = "host IN (SELECT value FROM json_each(?)) AND client_key = coalesce(?, client_key)"
    marks = [(name, client_key or "", id_of(now)) for name in names]
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT OR REPLACE INTO forgotten VALUES (?, ?, ?)", marks)
        return connection.execute(f"DELETE FROM recorded WHERE {where}", (json.dumps(of), client_key)).rowcount  # noqa: S608


def _request(number: int, ends: int, stored: bytes) -> RecordedRequest:
    line, _ = unpacked(stored)
    record = json.loads(line or b"{}")
    return RecordedRequest(
        id=number,
        at=time_of(number),
        until=time_of(ends),
        host=record["host"],
        method=record["method"],
        uri=record["uri"],
        version=record["version"],
        headers=tuple((name, value) for name, value in record["headers"]),
        body=record.get("body", ""),
        body_bytes=record["body_bytes"],
        is_partial=record.get("partial", False),
    )
