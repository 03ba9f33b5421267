"""Changes to the bytes of a body that know nothing of what they mean, but where something may mean something."""

import re
from random import Random

from tests.parsers.body import Body

PIECES = [
    b"\r", b"\n", b"\r\n", b"\r\r\n", b"\n\r", b"\0", b"\t", b" ", b'"', b"'", b";", b":", b"=", b",", b"-", b"--", b"\\", b"%", b"&", b"+",
    b"[", b"]", b".", b"*", b"/", b"\xff", b"\xa0", b"\x0b", b"\x0c", b"\x85", b"\xc2\xa0", b"<", b">", b"{", b"}", b"\r\n\r\n", b"<!--",
    b"-->", b"%00", b"\xef\xbb\xbf", b"\\u0000",
]  # fmt: skip

PLACES = re.compile(rb"[^A-Za-z0-9]")
"""Beside one of these something may change what is read."""


def mutated(chance: Random, body: Body) -> Body:
    content, kind, names = body.content, body.content_type.encode(), []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        change = chance.choice(CHANGES)
        names.append(change.__name__)
        if chance.random() < 0.15:
            kind = re.sub(rb"[\r\n\0]", b"", change(chance, kind)).strip(b" \t")
        else:
            content = change(chance, content)
    return Body(kind.decode("utf-8", "ignore"), content, f"{body.kind}, {' '.join(names)}")


def place(chance: Random, content: bytes) -> int:
    places = [match.start() for match in PLACES.finditer(content)] or [0]
    return min(len(content), chance.choice(places) + chance.randint(0, 1))


def insert(chance: Random, content: bytes) -> bytes:
    at = place(chance, content)
    return content[:at] + chance.choice(PIECES) + content[at:]


def replace(chance: Random, content: bytes) -> bytes:
    at = place(chance, content)
    return content[:at] + chance.choice(PIECES) + content[at + 1 :]


def delete(chance: Random, content: bytes) -> bytes:
    at = place(chance, content)
    return content[:at] + content[at + chance.choice((1, 1, 1, 2, 4)) :]


def double(chance: Random, content: bytes) -> bytes:
    first, last = sorted((place(chance, content), place(chance, content)))
    return content[:last] + content[first:last] + content[last:]


def swap(chance: Random, content: bytes) -> bytes:
    first, middle, last = sorted(place(chance, content) for _ in range(3))
    return content[:first] + content[middle:last] + content[first:middle] + content[last:]


def cut(chance: Random, content: bytes) -> bytes:
    return content[: place(chance, content)]


CHANGES = (insert, insert, insert, replace, replace, delete, delete, double, swap, cut)
