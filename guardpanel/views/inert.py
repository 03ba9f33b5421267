"""Text from strangers, in pieces that templates write as text nodes.

`guardpanel.events.texts.legible` has already made invisible characters visible. Here, masked parts are separated and matches of
rules marked.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

MASK = "[masked]"
"What the agent writes in place of a secret."

SHORTEST = 3
"Minimum length of a match that is marked. Shorter ones occur everywhere."


@dataclass(frozen=True)
class Piece:
    """`cls`: masked, hit (matched by a rule) or empty."""

    cls: str
    text: str


def pieces(text: str, hits: Iterable[str] = ()) -> tuple[Piece, ...]:
    """The text in order, with masks and all occurrences of `hits` as separate pieces."""
    pieces: list[Piece] = []
    for at, part in enumerate(text.split(MASK)):
        if at:
            pieces.append(Piece("masked", "masked"))
        pieces.extend(_marked(part, hits))
    return tuple(pieces)


def lines(text: str) -> list[str]:
    """A body by line, as it was sent."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _marked(text: str, hits: Iterable[str]) -> list[Piece]:
    """Hits may overlap: each character is marked or not."""
    marks = bytearray(len(text))
    for hit in hits:
        for match in re.finditer(re.escape(hit), text) if len(hit) >= SHORTEST else ():
            marks[match.start() : match.end()] = b"\1" * (match.end() - match.start())
    if not any(marks):
        return [Piece("", text)] if text else []
    runs = groupby(zip(text, marks, strict=True), key=lambda pair: pair[1])
    return [Piece("hit" if marked else "", "".join(character for character, _ in run)) for marked, run in runs]
