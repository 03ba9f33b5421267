"""The C library's memory: what a save or a page used for a moment goes back to the system. Does nothing with another C library
than glibc."""

import asyncio
import ctypes
from contextlib import suppress

from guardpanel.background import Background

ARENA_MAX = -8
"M_ARENA_MAX of glibc's malloc.h (mallopt(3))."

SECONDS = 10.0
"Between two returns. One takes 3 ms in a thread."


def share_arenas() -> None:
    """Limit glibc to two arenas for all threads. Otherwise each thread gets its own, and each keeps what a large rendering
    used."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(ARENA_MAX, 2)


def give_back() -> None:
    """Return whole pages that are free. By itself, glibc returns only those after the last one in use."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def follow(background: Background) -> None:
    """Also when nothing is saved: pages and downloads leave holes, too."""
    background.keep("memory", lambda: asyncio.to_thread(give_back), SECONDS)
