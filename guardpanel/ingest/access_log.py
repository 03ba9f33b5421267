"""HAProxy's log, read exactly once, also across rotations.

HAProxy appends to the file that it was started with and opens no other, so the file only grows, by its offsets. Old parts are
copied to an archive and their blocks are freed, which leaves a hole that reads as NULs (engines/processes/rotation.py). An offset
always means the same byte, and a late reader finds it in the archive.
"""

import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from guardpanel.events.archives import archives

CHUNK = 1024 * 1024


class Position(NamedTuple):
    inode: int = 0
    offset: int = 0


NOWHERE = Position()


@dataclass
class ReadLog:
    lines: list[bytes] = field(default_factory=list)
    position: Position = NOWHERE
    counted: Counter[str] = field(default_factory=Counter)


class AccessLog:
    def __init__(self, path: Path, position: Position) -> None:
        self.path = path
        self.position = position

    def read(self, after: Position | None = None) -> ReadLog:
        """What follows the given position, or the confirmed one. Setting `position` confirms."""
        after = after or self.position
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return ReadLog(position=after)
        try:
            return self._read(descriptor, after)
        finally:
            os.close(descriptor)

    @property
    def waiting(self) -> int:
        """Bytes that were written but not confirmed."""
        with suppress(OSError):
            state = self.path.stat()
            return max(0, state.st_size - (self.position.offset if state.st_ino == self.position.inode else 0))
        return 0

    def _read(self, descriptor: int, after: Position) -> ReadLog:
        read, state = ReadLog(), os.fstat(descriptor)
        offset = after.offset
        if state.st_ino != after.inode:
            offset = 0
        elif state.st_size < offset:  # Truncated, because it could not be rotated otherwise.
            read.counted["lost_bytes"] += self._unread_before(offset)
            offset = 0
        data = os.pread(descriptor, CHUNK, offset)
        if data.startswith(b"\0"):
            data, offset = self._archived(descriptor, offset, read)
        data = data.partition(b"\0")[0]  # A hole is being punched right now.
        whole = data.rfind(b"\n") + 1
        read.lines = data[:whole].split(b"\n")[:-1]
        if not whole and len(data) == CHUNK:
            read.counted["bad"] += 1
            whole = CHUNK
        read.position = Position(state.st_ino, offset + whole)
        return read

    def _archived(self, descriptor: int, offset: int, read: ReadLog) -> tuple[bytes, int]:
        """What the hole contained, from an archive. If that is gone, what follows, and how much was lost."""
        known = archives(self.path)
        for start, path in known:
            with suppress(OSError), path.open("rb") as archive:
                archive.seek(max(0, offset - start))
                if start <= offset and (data := archive.read(CHUNK)):
                    return data, offset
        ends = end_of_hole(descriptor, offset)
        following = min([start for start, _ in known if start > offset] + [ends])
        if following > offset:
            read.counted["lost_bytes"] += following - offset
        return b"", following

    def _unread_before(self, offset: int) -> int:
        with suppress(OSError):
            return max(0, self.path.with_name(f"{self.path.name}.1").stat().st_size - offset)
        return 0


def end_of_hole(descriptor: int, offset: int) -> int:
    """The end of the NULs that begin at `offset`: a partial block is not freed but zeroed."""
    try:
        at = os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError:  # Nothing but the hole.
        return os.fstat(descriptor).st_size
    while block := os.pread(descriptor, 65_536, at):
        rest = block.lstrip(b"\0")
        if rest:
            return at + len(block) - len(rest)
        at += len(block)
    return at
