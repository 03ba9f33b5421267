"""SPOP 2.0 frames as bytes (HAProxy's doc/SPOE.txt, section 3.2). Pure. Violations raise ValueError."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

LARGEST = 16_384
"Bytes per frame in either direction, as our HELLO announces: far more than a verdict needs."

FIN = 1
"The flag of a complete frame. We announce no fragmentation, so every frame has it."

Value = None | bool | int | bytes


class Kind(IntEnum):
    """Frame types (3.2.2)."""

    HAPROXY_HELLO = 1
    NOTIFY = 3
    AGENT_HELLO = 101
    AGENT_DISCONNECT = 102
    ACK = 103


@dataclass(frozen=True)
class Frame:
    kind: int
    stream: int
    number: int
    payload: bytes


def written(kind: Kind, stream: int, number: int, payload: bytes) -> bytes:
    """Length (4 bytes), type, flags (4 bytes), stream id, frame id, payload."""
    body = struct.pack(">BI", kind, FIN) + varint(stream) + varint(number) + payload
    return struct.pack(">I", len(body)) + body


def length_in(head: bytes) -> int:
    """The length that these four bytes announce."""
    length: int = struct.unpack(">I", head)[0]
    if not 7 <= length <= LARGEST:
        raise ValueError(f"a frame of {length} bytes")
    return length


def read(body: bytes) -> Frame:
    """A frame without its length."""
    rest = Reader(body)
    kind, flags = struct.unpack(">BI", rest.take(5))
    if not flags & FIN:
        raise ValueError("fragmented frame")
    return Frame(kind, rest.varint(), rest.varint(), rest.rest())


def varint(number: int) -> bytes:
    """One byte below 240, else four bits, then seven at a time (appendix A of SPOE.txt)."""
    if number < 240:
        return bytes([number])
    encoded, number = bytearray([number & 0xFF | 0xF0]), (number - 240) >> 4
    while number >= 128:
        encoded.append(number & 0xFF | 0x80)
        number = (number - 128) >> 7
    return bytes([*encoded, number])


def text(words: str) -> bytes:
    raw = words.encode()
    return varint(len(raw)) + raw


# Typed values (3.1): the low four bits of the first byte are the type.


def string(words: str) -> bytes:
    return b"\x08" + text(words)


def integer(number: int) -> bytes:
    """As HAProxy sends ports: a signed 32-bit number."""
    return b"\x02" + varint(number)


def unsigned(number: int) -> bytes:
    return b"\x03" + varint(number)


TRUE = b"\x11"
LOOPBACK = b"\x06\x7f\x00\x00\x01"
NULL = b"\x00"


def pairs(values: Mapping[str, bytes]) -> bytes:
    """Names with typed values (KV-LIST, or a message's arguments)."""
    return b"".join(text(name) + value for name, value in values.items())


def message(name: str, arguments: Mapping[str, bytes]) -> bytes:
    return text(name) + bytes([len(arguments)]) + pairs(arguments)


def pairs_in(payload: bytes) -> dict[str, Value]:
    rest, pairs = Reader(payload), {}
    while rest:
        name = rest.text()
        pairs[name] = rest.value()
    return pairs


def variables_in(payload: bytes) -> dict[str, Value]:
    """The variables that an ACK sets. Actions: set-var is 1 (three arguments: scope, name, value), unset-var 2 (3.4)."""
    rest, variables = Reader(payload), {}
    while rest:
        action, count = rest.take(2)
        if (action, count) not in {(1, 3), (2, 2)}:
            raise ValueError(f"action {action} with {count} arguments")
        rest.take(1)
        name = rest.text()
        variables[name] = rest.value() if action == 1 else None
    return variables


class Reader:
    """Reads bytes from the front. Raises ValueError if there are too few."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        chunk = self._data[self._at : self._at + count]
        if len(chunk) < count:
            raise ValueError("truncated frame")
        self._at += count
        return chunk

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def varint(self) -> int:
        number, shift = self.take(1)[0], 4
        if number < 240:
            return number
        while True:
            byte = self.take(1)[0]
            number += byte << shift
            shift += 7
            if byte < 128:
                return number
            if shift > 60:
                raise ValueError("unterminated number")

    def text(self) -> str:
        return self.take(self.varint()).decode("utf-8", "replace")

    def value(self) -> Value:
        head = self.take(1)[0]
        kind = head & 0x0F
        if kind == 1:
            return bool(head & 0x10)
        if kind in {2, 3, 4, 5}:
            return self.varint()
        if kind in {6, 7}:
            return self.take(4 if kind == 6 else 16)
        if kind in {8, 9}:
            return self.take(self.varint())
        if kind == 0:
            return None
        raise ValueError(f"a value of type {kind}")
