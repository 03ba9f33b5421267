"""What strangers sent, in pieces that a template writes as text nodes.

The texts come as `guardpanel.events.texts.shown` gives them: nothing in them that a reader cannot see. Here what the agent
masked is told apart, and what a rule matched is marked.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

MASK = "[masked]"
"What the agent writes in the place of a secret."

SHORTEST = 3
"Characters of a match that are worth a mark: shorter ones are everywhere."


@dataclass(frozen=True)
class Piece:
    """`cls`: masked, hit (a rule matched this) or nothing."""

    cls: str
    text: str


def pieces(text: str, hits: Iterable[str] = ()) -> tuple[Piece, ...]:
    """The text in order; masks and every occurrence of one of `hits` apart."""
    pieces: list[Piece] = []
    for at, part in enumerate(text.split(MASK)):
        if at:
            pieces.append(Piece("masked", "masked"))
        pieces.extend(_marked(part, hits))
    return tuple(pieces)


def lines(text: str) -> list[str]:
    """A body line by line, as its sender broke it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _marked(text: str, hits: Iterable[str]) -> list[Piece]:
    """Hits may lie within each other: each character is marked or not."""
    marks = bytearray(len(text))
    for hit in hits:
        for match in re.finditer(re.escape(hit), text) if len(hit) >= SHORTEST else ():
            marks[match.start() : match.end()] = b"\1" * (match.end() - match.start())
    if not any(marks):
        return [Piece("", text)] if text else []
    runs = groupby(zip(text, marks, strict=True), key=lambda one: one[1])
    return [Piece("hit" if marked else "", "".join(character for character, _ in run)) for marked, run in runs]
