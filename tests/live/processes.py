"""Processes that hang."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live.stack import wait_until


@contextmanager
def hanging(pid: int) -> Iterator[None]:
    """A busy machine lets threads run on for a moment after SIGSTOP: begins when every one has stopped."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: _is_stopped(pid), f"every thread of {pid} has stopped")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _is_stopped(pid: int) -> bool:
    """By proc(5): state T."""
    stats = (path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat"))
    return all(text.rsplit(")", 1)[1].split()[0] == "T" for text in stats)
