"""Kernel locks: a second process is refused, and a killed holder leaves nothing behind. There are three: one per save, and those
of the panel and the ingest while they run."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from guardpanel.errors import Busy, StorageFailed


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the save lock. Raises Busy (409) if another process has it."""
    with _held(path, "Another guardpanel process is making a change. Try again in a moment."):
        yield


@contextmanager
def only_panel(path: Path) -> Iterator[None]:
    """Hold the panel's lock. Raises Busy (409) if a panel runs on this data directory."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _held(path, f"Another panel is already running on {path.parent}.") as descriptor:
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())  # For people who look. Only the lock counts.
        yield


@contextmanager
def only_ingest(path: Path) -> Iterator[None]:
    """Hold the ingest's lock. Raises Busy (409) if another process writes events."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _held(path, f"Another ingest is already running on {path.parent}."):
        yield


@contextmanager
def _held(path: Path, words: str) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageFailed(f"The lock file can’t be opened: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(words) from None
        try:
            yield descriptor
        finally:
            # To close it is not enough: a child that was forked meanwhile has it, too, until it runs its program (flock(2)).
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)
