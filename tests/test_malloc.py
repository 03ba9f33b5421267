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

malloc.share_arenas()
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps its memory in another way")
def test_what_is_free_below_memory_in_use_is_returned_to_the_system() -> None:
    """62 MiB of texts, each smaller than what glibc takes from the system by itself, below one that is kept."""
    returned = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True).stdout

    assert int(returned) >= 50
