"""Both lines of an event as they are stored: together and compressed.

The first byte names the format. A dictionary that lines were compressed with never changes (`lines-1.dict`: some events of the
agent, and a line of HAProxy's log). A new one gets another byte.
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
    """A missing line is None. Neither contains a line feed."""
    return FIRST + _compressor().compress((agent or b"") + b"\n" + (proxy or b""))


def unpacked(stored: bytes) -> tuple[bytes | None, bytes | None]:
    lines = zstandard.ZstdDecompressor(dict_data=_dictionary()).decompress(stored[1:])
    agent, _, proxy = lines.partition(b"\n")
    return agent or None, proxy or None


def parsed(line: bytes, decoder: msgspec.json.Decoder[Known]) -> Known:
    """The parts of a line that are needed. Others are not decoded. Raises ValueError or DecodeError."""
    try:
        return decoder.decode(line)
    except msgspec.DecodeError:  # The decoder rejects lone surrogates.
        return msgspec.convert(json.loads(line), decoder.type)


@cache
def _compressor() -> zstandard.ZstdCompressor:
    """Not thread-safe: there is one writer."""
    dictionary = _dictionary()
    dictionary.precompute_compress(LEVEL)
    return zstandard.ZstdCompressor(dict_data=dictionary, level=LEVEL, write_dict_id=False)


@cache
def _dictionary() -> zstandard.ZstdCompressionDict:
    content = (Path(__file__).parent / "lines-1.dict").read_bytes()
    return zstandard.ZstdCompressionDict(content, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
