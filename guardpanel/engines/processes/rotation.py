"""Keeps logs within bounds although the engines hold them open and append.

HAProxy's access log loses no written line: old whole lines are copied to an archive, and only then are their blocks returned to
the file system (fallocate(2), FALLOC_FL_PUNCH_HOLE). Nothing is written there any more, so no line can be lost, unlike between
copying and truncating a file.
"""

import ctypes
import logging
import os
from pathlib import Path

from guardpanel.events.archives import archive, archives, start_of

log = logging.getLogger(__name__)

LARGEST_LOG = 64 * 1024 * 1024
LOGS_KEPT = 3

LONGEST_FILE = 1 << 42
"Bytes, including holes, at which the file starts over: ext4 allows 16 TiB. Lines written at that moment are lost, once in 4 TiB."

PUNCHED_AT_ONCE = 1024 * 1024
"""Bytes. Writers wait meanwhile: a thread of HAProxy with all its requests. Another thread with a line then drops it rather than
waiting (engines/haproxy/status.py)."""

KEEP_SIZE, PUNCH_HOLE = 1, 2
"From linux/falloc.h."


def rotate(path: Path) -> None:
    """Copy and truncate: lines written between the two are lost. For logs that people read, not for what is counted. Older
    archives are deleted once the copy is complete: a disk without room for it, retried again and again, would push them all
    out."""
    _copy(path, path.with_name(f"{path.name}.0"), 0, path.stat().st_size)
    for at in range(LOGS_KEPT - 1, -1, -1):
        older = path.with_name(f"{path.name}.{at}")
        if older.exists():
            older.rename(path.with_name(f"{path.name}.{at + 1}"))
    os.truncate(path, 0)


def rotate_access_log(path: Path, largest: int = LARGEST_LOG) -> None:
    """Archive the content and free its blocks, if they exceed `largest`."""
    state = path.stat()
    if state.st_blocks * 512 <= largest:
        return
    with path.open("r+b", buffering=0) as file:
        start = start_of(file.fileno())
        if state.st_size > LONGEST_FILE or not _give_back(path, file.fileno(), start, state.st_size):
            for _, older in archives(path):
                older.unlink()
            _empty(path, start)
    for _, older in archives(path)[:-LOGS_KEPT]:
        older.unlink()


def _give_back(path: Path, descriptor: int, start: int, size: int) -> bool:
    """False if this file system cannot punch holes."""
    end = _end_of_lines(descriptor, start, size)
    _copy(path, archive(path, start), start, end)
    try:
        for at in range(start // PUNCHED_AT_ONCE * PUNCHED_AT_ONCE, end, PUNCHED_AT_ONCE):
            _punch(descriptor, at, min(PUNCHED_AT_ONCE, end - at))
    except OSError as error:
        log.warning(
            "%s is truncated because its file system cannot punch holes (%s); lines may be lost", path.name, error
        )
        return False
    return True


def _empty(path: Path, start: int) -> None:
    _copy(path, path.with_name(f"{path.name}.1"), start, path.stat().st_size)
    os.truncate(path, 0)


def _end_of_lines(descriptor: int, start: int, end: int) -> int:
    """After the last whole line."""
    while end > start:
        before = max(start, end - 65_536)
        at = os.pread(descriptor, end - before, before).rfind(b"\n")
        if at >= 0:
            return before + at + 1
        end = before
    return end


def _copy(path: Path, target: Path, start: int, end: int) -> None:
    """Written under another name until it is complete. If the disk is full, nothing remains."""
    unfinished = target.with_name(f"{target.name}.new")
    try:
        with path.open("rb") as source, unfinished.open("wb") as copy:
            source.seek(start)
            while start < end and (block := source.read(min(1024 * 1024, end - start))):
                copy.write(block)
                start += len(block)
            copy.flush()
            os.fsync(copy.fileno())
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    unfinished.replace(target)


def _punch(descriptor: int, start: int, length: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    at, size = ctypes.c_int64(start), ctypes.c_int64(length)
    if libc.fallocate(ctypes.c_int(descriptor), ctypes.c_int(KEEP_SIZE | PUNCH_HOLE), at, size) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
