"""Comparisons as table rows, in one column or side by side, with syntax colors and changed words marked.

Invisible characters are made visible: trailing blanks and tabs by a mark, others by their code point.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import groupby

from guardpanel.models.types import hidden_character
from guardpanel.services.history.text_differences import Line

TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'[^']*')|(?P<comment>\#.*?(?=[ \t]*\Z))|(?P<trailing>[ \t]+\Z)|(?P<tab>\t)|(?P<space>[ ]+)"""
    r"""|(?P<number>\d+(?![\w.@-]))|(?P<word>[\w.@-]+)|(?P<other>.)""",
    re.DOTALL,
)

WORD = re.compile(r"\w+|\W", re.DOTALL)

COLOURED = {"string", "comment", "number", "trailing", "tab"}

LONGEST = 1_000
"Characters of a line that are shown. Browsers are slow with longer ones."

MOST_WORDS = 300
"Words in a line up to which changed words are marked."

ALIKE = 0.4
"Share of two lines that must be equal for words to be marked. Otherwise the whole line counts as changed."


@dataclass(frozen=True, slots=True)
class Piece:
    """`cls`: string, comment, number, trailing, tab, hidden, key or empty."""

    cls: str
    text: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class DiffSide:
    kind: str
    number: int | None
    pieces: tuple[Piece, ...]

    @property
    def sign(self) -> str:
        return SIGNS.get(self.kind, "")


SIGNS = {"removed": "-", "added": "+"}


@dataclass(frozen=True, slots=True)
class Row:
    """One column: `before` and `after` are line numbers."""

    kind: str
    before: int | None
    after: int | None
    pieces: tuple[Piece, ...]

    @property
    def sign(self) -> str:
        return SIGNS.get(self.kind, "")


def one_column(hunk: Sequence[Line]) -> Iterator[Row]:
    """A run's removed lines first, then its added ones."""
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


def side_by_side(hunk: Sequence[Line]) -> Iterator[tuple[DiffSide, DiffSide]]:
    for line in hunk:
        both = line.kind == "changed"
        yield (
            _side(line.kind, "removed", line.before, line.old, line.new if both else None),
            _side(line.kind, "added", line.after, line.new, line.old if both else None),
        )


def _side(kind: str, own: str, number: int | None, text: str, other: str | None) -> DiffSide:
    mark = kind if kind == "same" else "none" if number is None else own
    return DiffSide(mark, number, pieces(text, other))


def plain(line: str) -> tuple[Piece, ...]:
    """A line of a field's value, without colors but with invisible characters marked."""
    return _joined([(cls if cls in {"trailing", "tab", "hidden"} else "", word, False) for cls, word in _tokens(line)])


@lru_cache(maxsize=500)
def pieces(text: str, other: str | None = None) -> tuple[Piece, ...]:
    """The line in colored pieces. Words that the other line lacks are marked."""
    tokens = list(_tokens(text[:LONGEST]))
    changed = _changed([word for _, word in tokens], other[:LONGEST]) if other is not None else set()
    joined = _joined([(cls, word, at in changed) for at, (cls, word) in enumerate(tokens)])
    if len(text) > LONGEST:
        joined = (*joined, Piece("comment", f" … {len(text) - LONGEST:,} more characters"))
    return joined


def _changed(words: list[str], other: str) -> set[int]:
    """Which words differ from the other line's. None if the lines have too little in common."""
    others = [word for _, word in _tokens(other)]
    if max(len(words), len(others)) > MOST_WORDS:
        return set()
    changed = set(range(len(words)))
    for block in SequenceMatcher(None, words, others, autojunk=False).get_matching_blocks():
        changed -= set(range(block.a, block.a + block.size))
    same = sum(len(word) for at, word in enumerate(words) if at not in changed and word.strip())
    return changed if same >= ALIKE * sum(len(word.strip()) for word in words) else set()


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """(class, text). A plain word's class is empty."""
    first = True
    for match in TOKEN.finditer(text):
        kind = match.lastgroup or ""
        is_key = first and kind == "word"
        first = first and kind in {"space", "tab", "trailing"}
        yield from _visible("key" if is_key else kind if kind in COLOURED else "", match[0])


def _visible(cls: str, text: str) -> Iterator[tuple[str, str]]:
    """Word by word, so that a single changed word in a long string is marked."""
    if cls in {"tab", "trailing"}:
        yield cls, text
        return
    for word in WORD.findall(text):
        hidden = None if word.isprintable() else hidden_character(word, allow="\t")
        yield ("hidden", hidden.split(" ")[0]) if hidden else (cls, word)


def _joined(tokens: list[tuple[str, str, bool]]) -> tuple[Piece, ...]:
    return tuple(
        Piece(cls, "".join(word for _, word, _ in run), changed)
        for (cls, changed), run in groupby(tokens, key=lambda token: (token[0], token[2]))
    )
