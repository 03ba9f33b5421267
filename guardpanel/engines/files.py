"""Files that are written once or replaced atomically, and synced: a crash leaves the old bytes or the new ones."""

import ctypes
import errno
import hashlib
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from guardpanel.errors import StorageFailed


def content_of(path: Path | str) -> bytes:
    """A regular file's bytes. Raises OSError for anything else: reading a pipe would block forever."""
    return _read(path)[1]


def _read(path: Path | str) -> tuple[os.stat_result, bytes]:
    """With its state from before it was read. Without a Python file around it: a release may have a thousand."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        parts = [os.read(descriptor, state.st_size + 1)]
        while parts[-1]:
            parts.append(os.read(descriptor, READ_AT_ONCE))
        return state, b"".join(parts)
    finally:
        os.close(descriptor)


READ_AT_ONCE = 1 << 20
"Bytes, of a file that is longer than it was when it was opened."


_State = tuple[int, int, int, int]


def _state(of: os.stat_result) -> _State:
    """Type and mode, size, and when it was modified and changed (nanoseconds). No program can set the last one: a write, a rename
    and another link do. A plain tuple: a save compares a thousand."""
    return of.st_mode, of.st_size, of.st_mtime_ns, of.st_ctime_ns


class Digests:
    """SHA-256 (hex) of files, which are only read again if they look touched."""

    TICK_NANOSECONDS = 50_000_000
    "Change times are this exact at worst (Linux: 10 ms): if a file changed just now, another change might look the same."

    MOST = 50_000
    "Files whose digests are kept."

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[_State, str]] = {}
        "By device and inode."

    def of(self, path: str, mode: int | None = None) -> str:
        """Raises OSError for anything but a regular file. With another mode than this one, it counts as another: empty."""
        looks = os.stat(path)  # noqa: PTH116 a thousand paths take longer to make than to look at
        if mode is not None and stat.S_IMODE(looks.st_mode) != mode:
            return ""
        known = self._known.get((looks.st_dev, looks.st_ino))
        if known is not None and known[0] == _state(looks):
            return known[1]
        state, content = _read(path)
        digest = hashlib.sha256(content).hexdigest()
        if time.time_ns() - state.st_ctime_ns > self.TICK_NANOSECONDS:
            if len(self._known) >= self.MOST:
                self._known.clear()
            self._known[state.st_dev, state.st_ino] = _state(state), digest
        return digest


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


def write_atomically(path: Path, content: bytes, mode: int = 0o640, *, sync: bool = True) -> None:
    """Replace a file atomically: readers see the old bytes or the new ones. Without `sync`, a power failure may empty it."""
    draft = path.with_name(f".{path.name}-{os.getpid()}-{threading.get_ident()}")
    try:
        draft.unlink(missing_ok=True)
        write_new(draft, content, mode, sync=sync)
        draft.rename(path)
        if sync:
            sync_directory(path.parent)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def make_empty(*paths: Path) -> None:
    """Empty files where there are none: HAProxy does not start without them."""
    for path in paths:
        if not path.is_file():
            path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            with suppress(FileExistsError):  # Somebody has just written it.
                write_new(path, b"")


def write_new(path: Path, content: bytes, mode: int = 0o640, *, sync: bool = True) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Raises StorageFailed, which says what could not be written."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(f"{what} could not be written to disk: {error.strerror or error}.") from error


def sync_directory(path: Path) -> None:
    sync_path(path, os.O_DIRECTORY)


def sync_path(path: Path, kind: int = 0) -> None:
    """A file or a directory. What has been replaced by a FIFO meanwhile fails, and is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | kind)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
