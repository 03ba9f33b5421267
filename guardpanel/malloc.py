"""The C library's memory: what a save or a page used for a moment goes back to the system. Does nothing with another C library
than glibc."""

import asyncio
import ctypes
from contextlib import suppress

from guardpanel.background import Background

ARENA_MAX, MMAP_THRESHOLD, TRIM_THRESHOLD = -8, -3, -1
"Of glibc's malloc.h (mallopt(3))."

LARGE = 1024 * 1024
"""Bytes from which memory is taken from the system and returned to it by itself. By default, the first large text that is freed
raises this to its own size, up to 32 MiB: those that follow lie among what is kept, and leave holes."""

SECONDS = 2.0
"Between two returns. One takes 3 ms in a thread."


def limit() -> None:
    """Limit glibc to two arenas for all threads. Otherwise each thread gets its own, and each keeps what a large rendering used.
    Large texts are in none of them."""
    with suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        libc.mallopt(ARENA_MAX, 2)
        libc.mallopt(MMAP_THRESHOLD, LARGE)
        libc.mallopt(TRIM_THRESHOLD, 4 * LARGE)


def give_back() -> None:
    """Return whole pages that are free. By itself, glibc returns only those after the last one in use."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def follow(background: Background) -> None:
    """Also when nothing is saved: pages and downloads leave holes, too."""
    background.keep("memory", lambda: asyncio.to_thread(give_back), SECONDS)
