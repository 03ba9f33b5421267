"""The last lines of HAProxy's log about one virtual host, read from its end, newest first.

Bounded in bytes and time: what was not looked at is a further page. Queries are left out, since they can contain secrets, which
nobody has masked in HAProxy's lines.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import msgspec

from guardpanel.events import addresses
from guardpanel.events.archives import archives, start_of
from guardpanel.events.lines import parsed
from guardpanel.events.log_entry import NONE, LogEntry, conclusion, path_of
from guardpanel.events.texts import legible
from guardpanel.events.words import Reason, Verdict

CHUNK, MOST_BYTES, MOST_SECONDS = 1024 * 1024, 64 * 1024 * 1024, 0.4

LISTED, LONGEST = 100, 1_000

NOT_OURS = b'"panel":"-"'
"Quotes within visitors' values are escaped, so this matches the field itself."

UNREADABLE = "<BADREQ>"

PASSED = "passed"
"Among verdicts: there is nothing to report."


class _Entry(LogEntry, kw_only=True):
    bytes: Any = 0
    milliseconds: Any = None


DECODER = msgspec.json.Decoder(_Entry)


@dataclass(frozen=True)
class LogFilter:
    """All that is set must hold. `status`: the first digit. `client`: an address or a network."""

    virtual_host_id: int
    status: str = ""
    method: str = ""
    path: str = ""
    client: str = ""
    verdict: str = ""
    "Or PASSED."


class LogLine(NamedTuple):
    offset: int
    at: datetime
    request_id: str
    client: str
    method: str
    path: str
    has_query: bool
    status: int | None
    bytes: int
    milliseconds: int | None
    verdict: Verdict | None
    "None: nothing to report. Else it is an event."
    reason: Reason | None


@dataclass(frozen=True)
class LogPage:
    lines: Sequence[LogLine]
    end: int
    "Up to which offset the log was read."
    before: int | None
    "Where older lines end. None: there are none."


NOTHING = LogPage((), 0, None)


class _Part(NamedTuple):
    """A file with a part of the log, by offsets in the log."""

    begins: int
    ends: int
    path: Path
    skipped: int
    "Offset in the log of the file's first byte."


async def newest(log: Path, wanted: LogFilter, before: int | None = None, limit: int = LISTED) -> LogPage:
    """A page of lines: the last ones, or those before an offset."""
    return await asyncio.to_thread(read_back, log, wanted, before, limit=limit)


async def has_newer(log: Path, wanted: LogFilter, since: int) -> bool:
    """Whether a line has come that a page which ends there does not have."""
    return bool((await asyncio.to_thread(read_back, log, wanted, since=since, limit=1)).lines)


def read_back(log: Path, wanted: LogFilter, before: int | None = None, since: int = 0, limit: int = LISTED) -> LogPage:
    """The newest lines that match, before an offset, and after another one."""
    lines: list[LogLine] = []
    looked, ends, end = 0, monotonic() + MOST_SECONDS, 0
    begins: int | None = None
    for offset, data in _chunks(log, before, since):
        end = end or offset + len(data)
        looked += len(data)
        for line in _matching(offset, data, wanted):
            lines.append(line)
            if len(lines) == limit:
                return LogPage(lines, end, line.offset)
        begins = offset
        if looked >= MOST_BYTES or monotonic() >= ends:
            return LogPage(lines, end, begins)
    return LogPage(lines, end or since, None)


def _chunks(log: Path, before: int | None, since: int) -> Iterator[tuple[int, bytes]]:
    """Whole lines, from the last ones back, with their offset."""
    for part in _parts(log):
        end = part.ends if before is None else min(before, part.ends)
        with suppress(OSError), part.path.open("rb") as file:
            while end > max(part.begins, since):
                start = max(part.begins, since, end - CHUNK)
                file.seek(start - part.skipped)
                data = file.read(end - start).rpartition(b"\n")
                first = 0 if start in {part.begins, since} else data[0].find(b"\n") + 1
                yield start + first, data[0][first:] + data[1]
                end = start + first if first or start in {part.begins, since} else start


def _parts(log: Path) -> list[_Part]:
    """Newest first. The log begins with a hole where its archives are."""
    known = archives(log)
    parts: list[_Part] = []
    with suppress(OSError):
        descriptor = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts.append(_Part(start_of(descriptor), os.fstat(descriptor).st_size, log, 0))
        finally:
            os.close(descriptor)
    for begins, path in reversed(known):
        with suppress(OSError):
            ends = min([begins + path.stat().st_size, *(part.begins for part in parts)])
            parts.append(_Part(begins, ends, path, begins))
    return parts


def _matching(offset: int, data: bytes, wanted: LogFilter) -> Iterator[LogLine]:
    needle = f'"virtual_host":"{wanted.virtual_host_id}"'.encode()
    client = addresses.keys(wanted.client) if wanted.client else None
    at = len(data)
    while (at := data.rfind(needle, 0, at)) >= 0:
        begins, ends = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
        line, at = data[begins:ends], begins
        if NOT_OURS in line:
            with suppress(ValueError, TypeError, AttributeError, OverflowError, msgspec.MsgspecError):
                request = _line(offset + begins, parsed(line, DECODER))
                if _fits(request, wanted, client):
                    yield request


def _line(offset: int, entry: _Entry) -> LogLine:
    verdict, why = conclusion(entry)
    uri = legible(entry.path)
    return LogLine(
        offset=offset,
        at=datetime.fromtimestamp(entry.time, UTC),
        request_id=legible(entry.id)[:128],
        client=legible(entry.client)[:128],
        method="" if entry.method == UNREADABLE else legible(entry.method)[:32],
        path="" if uri == NONE else path_of(uri)[:LONGEST],
        has_query="?" in uri,
        status=entry.status if 0 < entry.status < 1000 else None,
        bytes=int(entry.bytes),
        milliseconds=int(entry.milliseconds) if entry.milliseconds is not None else None,
        verdict=verdict,
        reason=why,
    )


def _fits(line: LogLine, wanted: LogFilter, client: tuple[bytes, bytes] | None) -> bool:
    return (
        (not wanted.status or str(line.status or "-")[:1] == wanted.status)
        and (not wanted.method or line.method.upper() == wanted.method)
        and (not wanted.path or _on_path(line.path, wanted.path))
        and (client is None or client[0] <= addresses.key(line.client) <= client[1])
        and (not wanted.verdict or (line.verdict or PASSED) == wanted.verdict)
    )


def _on_path(path: str, wanted: str) -> bool:
    return path.startswith(wanted) if wanted.startswith("/") else wanted.lower() in path.lower()
