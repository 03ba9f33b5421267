"""Memory that was used for a moment goes back to the system."""

import platform
import subprocess
import sys

import pytest

HOLES = """
import asyncio
from pathlib import Path
from guardpanel import malloc
from guardpanel.background import Background

def resident():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) // 1024

malloc.limit()
texts = [bytes(4_000) for _ in range(16_384)]
last = bytes(4_000)
texts.clear()

async def returned():
    done = asyncio.Event()
    async def once(seconds):
        done.set()
        await asyncio.Event().wait()
    background = Background(once)
    malloc.follow(background)
    await done.wait()
    await background.close()

before = resident()
asyncio.run(returned())
print(before - resident())
"""


LARGE = """
import ctypes
from guardpanel import malloc

class Info(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info

malloc.limit()
for _ in range(3):
    text = bytes(8 * malloc.LARGE)
    alone = libc.mallinfo2().hblkhd
    del text
    print((alone - libc.mallinfo2().hblkhd) // malloc.LARGE)
"""

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="another C library keeps its memory in another way"
)


def printed(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


def test_what_is_free_below_memory_in_use_is_returned_to_the_system() -> None:
    """62 MiB of texts, each smaller than what glibc takes from the system by itself, below one that is kept."""
    assert int(printed(HOLES)) >= 50


def test_large_texts_are_apart_from_what_is_kept_however_many_were_freed_before() -> None:
    """MiB that the system gets back of each text of 8 MiB."""
    assert printed(LARGE).split() == ["8", "8", "8"]
