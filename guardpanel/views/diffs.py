"""Comparisons as rows of a table: in one column or side by side, words coloured, changed words marked."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import groupby

from guardpanel.services.text_differences import FileDifference, Line

TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'[^']*')|(?P<comment>\#.*)|(?P<trailing>[ \t]+$)|(?P<space>[ \t]+)"""
    r"""|(?P<number>\b\d+\b)|(?P<word>[\w.@-]+)|(?P<other>.)"""
)

COLOURED = {"string", "comment", "number", "trailing"}

LONGEST = 2_000
"Characters of a line that are shown; nobody reads further, and a browser chokes on it."


@dataclass(frozen=True)
class Piece:
    """`cls`: string, comment, number, trailing, key or nothing."""

    cls: str
    text: str
    changed: bool = False


@dataclass(frozen=True)
class Side:
    kind: str
    number: int | None
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Row:
    """One column: `before` and `after` are line numbers, `sign` is -, + or a space."""

    kind: str
    before: int | None
    after: int | None
    pieces: tuple[Piece, ...]

    @property
    def sign(self) -> str:
        return {"removed": "-", "added": "+"}.get(self.kind, " ")


def counts(files: Iterable[FileDifference]) -> tuple[int, int]:
    """Lines added and removed."""
    lines = [line for file in files for hunk in file.hunks for line in hunk if line.kind != "same"]
    return sum(line.after is not None for line in lines), sum(line.before is not None for line in lines)


def one_column(hunk: Sequence[Line]) -> Iterator[Row]:
    """Removed lines of a run first, then the added ones."""
    for same, run in groupby(hunk, key=lambda line: line.kind == "same"):
        lines = list(run)
        if same:
            yield from (Row("same", line.before, line.after, pieces(line.new)) for line in lines)
            continue
        for line in lines:
            if line.before is not None:
                yield Row("removed", line.before, None, pieces(line.old, line.new if line.after else None))
        for line in lines:
            if line.after is not None:
                yield Row("added", None, line.after, pieces(line.new, line.old if line.before else None))


def side_by_side(hunk: Sequence[Line]) -> Iterator[tuple[Side, Side]]:
    for line in hunk:
        both = line.kind == "changed"
        yield (
            _side(line.kind, "removed", line.before, line.old, line.new if both else None),
            _side(line.kind, "added", line.after, line.new, line.old if both else None),
        )


def _side(kind: str, own: str, number: int | None, text: str, other: str | None) -> Side:
    shown = kind if kind == "same" else "none" if number is None else own
    return Side(shown, number, pieces(text, other))


@lru_cache(maxsize=4_000)
def pieces(text: str, other: str | None = None) -> tuple[Piece, ...]:
    """The line's words with their colours; those that the other line does not have are marked."""
    tokens = list(_tokens(text))
    if other is None:
        return tuple(Piece(cls, word) for cls, word in tokens)
    words, others = [word for _, word in tokens], [word for _, word in _tokens(other)]
    changed = set(range(len(words)))
    for block in SequenceMatcher(None, words, others, autojunk=False).get_matching_blocks():
        changed -= set(range(block.a, block.a + block.size))
    return tuple(Piece(cls, word, at in changed) for at, (cls, word) in enumerate(tokens))


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    first = True
    for match in TOKEN.finditer(text[:LONGEST]):
        kind = match.lastgroup or ""
        is_key = first and kind == "word"
        first = first and kind in {"space", "trailing"}
        yield "key" if is_key else kind if kind in COLOURED else "", match[0]
    if len(text) > LONGEST:
        yield "comment", f" … {len(text) - LONGEST} more characters"
