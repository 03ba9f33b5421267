"""Files that are written once or replaced atomically, and synced: a crash leaves the old bytes or the new ones."""

import ctypes
import errno
import os
import stat
import threading
from contextlib import suppress
from pathlib import Path


def content_of(path: Path) -> bytes:
    """A regular file's bytes. Raises OSError for anything else: reading a pipe would block forever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read()


RENAME_EXCHANGE = 2


def exchange(left: Path, right: Path) -> None:
    """Exchange both atomically (renameat2(2)): a HAProxy that starts meanwhile finds one of them."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = -100  # AT_FDCWD
    if libc.renameat2(here, os.fsencode(left), here, os.fsencode(right), RENAME_EXCHANGE) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def sweep_drafts(path: Path) -> None:
    """Delete unfinished drafts of this file."""
    for draft in path.parent.glob(f".{path.name}-*"):
        with suppress(OSError):
            draft.unlink()


def write_atomically(path: Path, content: bytes, mode: int = 0o640) -> None:
    """Replace a file atomically: readers see the old bytes or the new ones."""
    draft = path.with_name(f".{path.name}-{os.getpid()}-{threading.get_ident()}")
    try:
        draft.unlink(missing_ok=True)
        write_new(draft, content, mode)
        draft.rename(path)
        sync_directory(path.parent)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def write_new(path: Path, content: bytes, mode: int = 0o640) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
