"""Both lines of an event as they are stored: together, compressed, with what all lines have in common left out.

The first byte says how. A dictionary that lines were once stored with is never changed (`lines-1.dict`: some events of the
agent, and a line of HAProxy's log); another one gets another byte.
"""

import zlib
from functools import cache
from pathlib import Path

FIRST = b"\x01"
LEVEL = 2


def packed(agent: bytes | None, proxy: bytes | None) -> bytes:
    """What either of them has not said is None; neither has a line feed within."""
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, 0, dictionary())
    return FIRST + compressor.compress((agent or b"") + b"\n" + (proxy or b"")) + compressor.flush()


def unpacked(stored: bytes) -> tuple[bytes | None, bytes | None]:
    lines = zlib.decompressobj(-zlib.MAX_WBITS, dictionary()).decompress(stored[1:])
    agent, _, proxy = lines.partition(b"\n")
    return agent or None, proxy or None


@cache
def dictionary() -> bytes:
    return (Path(__file__).parent / "lines-1.dict").read_bytes()
