"""The agent's files, read in the order of their names, each exactly once (docs/events.md).

A read is provisional. `confirm` it after it was committed together with the rows, or `go_back` to read it again.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import NamedTuple

NAME = re.compile(r"[0-9]{20}\.jsonl")

CHUNK = 8 * 1024 * 1024
"Bytes per read. No line of the agent is nearly as long."

QUIET = 10.0
"Seconds without a write after which a segment that is not the newest counts as complete: its process is gone."


class Place(NamedTuple):
    """How far a segment was read, its size at that time, and whether it is known to be complete."""

    offset: int = 0
    size: int = 0
    ended: bool = False


NOWHERE = Place()


@dataclass
class Read:
    """Whole lines with their positions, and the places to confirm."""

    lines: list[tuple[str, bytes]] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)

    @property
    def is_empty(self) -> bool:
        return not (self.places or self.gone)


class Segments:
    def __init__(self, folder: Path, places: Mapping[str, Place]) -> None:
        self.folder = folder
        self._places = dict(places)
        "The position up to which it was read."
        self._stored = dict(places)
        self._open: tuple[str, int] | None = None
        "The open segment: it can be read to its end even if the agent deletes it."

    def read(self, limit: int) -> Read:
        """Read about `limit` new lines at most."""
        read, names = Read(), self._names()
        here = set(names)
        for name in sorted(here | set(self._places) | ({self._open[0]} if self._open else set())):
            if name not in here and not self._is_open(name):
                self._lose(name, read)
            elif len(read.lines) < limit and self._may_have_more(name):
                self._read(name, read, limit, is_newest=name == names[-1] if names else True)
        self._places.update(read.places)
        for name in read.gone:
            self._places.pop(name, None)
        return read

    def confirm(self) -> None:
        """Confirm that everything read was stored."""
        self._stored = dict(self._places)
        if self._open and self._place(self._open[0]).ended:
            self.close()

    def go_back(self) -> None:
        """Return to what was stored."""
        self._places = dict(self._stored)

    @property
    def waiting(self) -> int:
        """Bytes that were written but not stored."""
        stored = self._stored
        return sum(
            max(0, size - stored.get(name, NOWHERE).offset)
            for name in self._names()
            if (size := self._size(name)) is not None
        )

    def close(self) -> None:
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    def _names(self) -> list[str]:
        with suppress(OSError):
            return sorted(name for name in os.listdir(self.folder) if NAME.fullmatch(name))  # noqa: PTH208 many a second
        return []

    def _place(self, name: str) -> Place:
        return self._places.get(name, NOWHERE)

    def _size(self, name: str) -> int | None:
        with suppress(OSError):
            return (self.folder / name).stat().st_size
        return None

    def _may_have_more(self, name: str) -> bool:
        """A segment that seemed complete may have grown: a stopping agent had one more event."""
        place = self._place(name)
        return not place.ended or (self._size(name) or 0) > place.size

    def _is_open(self, name: str) -> bool:
        return self._open is not None and self._open[0] == name

    def _lose(self, name: str, read: Read) -> None:
        """A deleted segment. Its end is unknown unless it was seen."""
        read.gone.append(name)
        read.counted["lost_segments"] += not self._place(name).ended

    def _read(self, name: str, read: Read, limit: int, *, is_newest: bool) -> None:
        place = self._place(name)
        descriptor = self._descriptor(name)
        if descriptor is None:
            return  # It was deleted just now.
        state = os.fstat(descriptor)
        # The agent truncated what a full disk had written in part: new lines begin there.
        offset = min(place.offset, state.st_size)
        data = os.pread(descriptor, CHUNK, offset)
        *lines, rest = data.split(b"\n", limit - len(read.lines))
        read.lines += _placed(name, offset, lines)
        offset += len(data) - len(rest)
        is_final = state.st_nlink == 0 or (not is_newest and time() - state.st_mtime > QUIET)
        if not lines and len(data) == CHUNK:
            read.counted["bad"] += 1
            offset += CHUNK
        elif rest and is_final and len(data) < CHUNK and b"\n" not in rest:
            read.counted["torn"] += 1
            offset = state.st_size
        now = Place(offset, state.st_size, ended=is_final and offset >= state.st_size)
        if now != place:
            read.places[name] = now

    def _descriptor(self, name: str) -> int | None:
        if self._open is not None and self._open[0] == name:
            return self._open[1]
        try:
            descriptor = os.open(self.folder / name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        self.close()
        self._open = name, descriptor
        return descriptor


def _placed(name: str, offset: int, lines: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Each with its location, in case it lacks a request id."""
    for line in lines:
        yield f"{name.removesuffix('.jsonl')}-{offset}", line
        offset += len(line) + 1
