"""Ports for servers that a test starts.

Not those that the kernel gives to whoever connects or asks for any (from 32768 on, ip(7)): between the moment one of these is
found free and the server's start, another may have it; and it may be found twice. HAProxy shares ports silently, so tests that
run side by side must not have the same: each process takes a block for itself, held by a lock for as long as it lives.
"""

import fcntl
import os
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import IO

BLOCK = 100
BLOCKS = range(10_000, 32_000, BLOCK)
LOCKS = Path("/tmp")
"The same for all tests, whatever TMPDIR is (tools/check.py): ports are the machine's."


def free_port() -> int:
    """One of 127.0.0.1 that nobody has; it comes again only after all others of the block."""
    _, ports = _block(os.getpid())
    for port in islice(ports, BLOCK):
        if _is_free(port):
            return port
    raise AssertionError("every port of the block is taken")


@cache
def _block(_process: int) -> tuple[IO[str], Iterator[int]]:
    """The lock and the ports. A fork takes its own."""
    folder = LOCKS / f"guardpanel-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for first in BLOCKS:
        lock = (folder / str(first)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return lock, cycle(range(first, first + BLOCK))
    raise AssertionError(f"all blocks of ports are taken: see {folder}")


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
