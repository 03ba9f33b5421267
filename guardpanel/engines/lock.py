"""The one lock of every save, held by the kernel: a second process is refused, a killed holder leaves nothing."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from guardpanel.errors import Busy, StorageFailed


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold `path`'s flock. Busy (409) if another process has it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageFailed(f"The lock file cannot be opened: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy("Another guardpanel process is making a change. Try again in a moment.") from None
        yield
    finally:
        os.close(descriptor)
