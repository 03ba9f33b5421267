"""Both lines of an event as they are stored: together, compressed, with what all lines have in common left out.

The first byte says how. A dictionary that lines were once stored with is never changed (`lines-1.dict`: some events of the
agent, and a line of HAProxy's log); another one gets another byte.
"""

import json
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec
import zstandard

Known = TypeVar("Known")

FIRST = b"\x01"
LEVEL = 3


def packed(agent: bytes | None, proxy: bytes | None) -> bytes:
    """What either of them has not said is None; neither has a line feed within."""
    return FIRST + _compressor().compress((agent or b"") + b"\n" + (proxy or b""))


def unpacked(stored: bytes) -> tuple[bytes | None, bytes | None]:
    lines = zstandard.ZstdDecompressor(dict_data=_dictionary()).decompress(stored[1:])
    agent, _, proxy = lines.partition(b"\n")
    return agent or None, proxy or None


def parsed(line: bytes, decoder: msgspec.json.Decoder[Known]) -> Known:
    """What is wanted of a line; the rest is not made into objects. Raises ValueError or DecodeError."""
    try:
        return decoder.decode(line)
    except msgspec.DecodeError:  # it knows no lone surrogates
        return msgspec.convert(json.loads(line), decoder.type)


@cache
def _compressor() -> zstandard.ZstdCompressor:
    """Not for two threads at once: there is one writer."""
    dictionary = _dictionary()
    dictionary.precompute_compress(LEVEL)
    return zstandard.ZstdCompressor(dict_data=dictionary, level=LEVEL, write_dict_id=False)


@cache
def _dictionary() -> zstandard.ZstdCompressionDict:
    content = (Path(__file__).parent / "lines-1.dict").read_bytes()
    return zstandard.ZstdCompressionDict(content, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
