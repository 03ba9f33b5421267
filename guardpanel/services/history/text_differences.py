"""The lines that differ between files, in hunks with some context.

Files may have a hundred thousand lines, and a restore may change all of them. So lines that occur once in both are matched first
(as in Bram Cohen's patience diff: n log n), and only the short stretches between them are compared exhaustively.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Literal

AROUND = 3
"Unchanged lines around a change."

MOST_LINES = 1_000
"Lines of a comparison that are shown. The rest is counted."

SHORT = 200
"Lines up to which a stretch is compared exhaustively."

Lines = Sequence[str]
Kind = Literal["same", "removed", "added", "changed"]


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a comparison. A side without the line has no number (counted from 1)."""

    kind: Kind
    before: int | None
    old: str
    after: int | None
    new: str


@dataclass(frozen=True)
class FileDifference:
    name: str
    hunks: tuple[tuple[Line, ...], ...]
    left_out: int
    "Rows that are not shown."


@dataclass(frozen=True)
class FileDifferences:
    """Differing files. `added` and `removed` count all lines, including those that are not shown."""

    files: tuple[FileDifference, ...]
    added: int
    removed: int


@dataclass(frozen=True)
class Block:
    """Lines `i` to `i_end` of the old file correspond to `j` to `j_end` of the new one (from 0, end excluded)."""

    same: bool
    i: int
    i_end: int
    j: int
    j_end: int


def between(before: Mapping[str, bytes], after: Mapping[str, bytes], names: Sequence[str]) -> FileDifferences:
    """The named files that differ, in this order. A missing file counts as empty."""
    files, added, removed, room = [], 0, 0, MOST_LINES
    for name in names:
        text, text_after = before.get(name, b""), after.get(name, b"")
        if text == text_after:
            continue
        old, new = lines(text), lines(text_after)
        blocks = compared(old, new)
        added += sum(block.j_end - block.j for block in blocks if not block.same)
        removed += sum(block.i_end - block.i for block in blocks if not block.same)
        difference = _file_difference(name, old, new, blocks, room)
        room -= sum(map(len, difference.hunks))
        files.append(difference)
    return FileDifferences(tuple(files), added, removed)


def lines(text: bytes) -> list[str]:
    """Split at line feeds only, as both engines do. The last one ends the last line and starts no other."""
    lines = text.removesuffix(b"\n").split(b"\n") if text else []
    return [line.decode("utf-8", "replace") for line in lines]


def compared(old: Lines, new: Lines) -> list[Block]:
    """Both files as blocks, equal or not."""
    blocks: list[Block] = []
    i = j = 0
    for start, start_new, size in [*_joined(_matches(old, new)), (len(old), len(new), 0)]:
        if start > i or start_new > j:
            blocks.append(Block(False, i, start, j, start_new))
        if size:
            blocks.append(Block(True, start, start + size, start_new, start_new + size))
        i, j = start + size, start_new + size
    return blocks


Run = tuple[int, int, int]
"A run of equal lines: their number, and the first line in the old and the new file."


def _joined(runs: Iterator[Run]) -> Iterator[Run]:
    """Merge adjacent runs, and drop empty ones."""
    last: Run | None = None
    for i, j, size in runs:
        if not size:
            continue
        if last and (i, j) == (last[0] + last[2], last[1] + last[2]):
            last = (last[0], last[1], last[2] + size)
            continue
        if last:
            yield last
        last = (i, j, size)
    if last:
        yield last


def _matches(old: Lines, new: Lines) -> Iterator[Run]:
    """Equal lines in ascending order: the common head and tail, anchors, and what is between them."""
    head, tail = _ends(old, new, 0, len(old), 0, len(new))
    i_end, j_end = len(old) - tail, len(new) - tail
    yield 0, 0, head
    i = j = head
    for anchor, anchor_new in [*_anchors(old, new, head, i_end, j_end), (i_end, j_end)]:
        yield from _stretch(old, new, i, anchor, j, anchor_new)
        if anchor < i_end:
            yield anchor, anchor_new, 1
        i, j = anchor + 1, anchor_new + 1
    yield i_end, j_end, tail


def _ends(old: Lines, new: Lines, i: int, i_end: int, j: int, j_end: int) -> tuple[int, int]:
    """The number of equal lines at the head and the tail of two stretches."""
    most = min(i_end - i, j_end - j)
    head = 0
    while head < most and old[i + head] == new[j + head]:
        head += 1
    tail = 0
    while tail < most - head and old[i_end - 1 - tail] == new[j_end - 1 - tail]:
        tail += 1
    return head, tail


def _anchors(old: Lines, new: Lines, head: int, i_end: int, j_end: int) -> list[tuple[int, int]]:
    """Lines that occur once in both, as many as possible in ascending order (patience sorting)."""
    left, right = old[head:i_end], new[head:j_end]
    once = _once_in_both(left, right) if len(left) <= len(right) else _once_in_both(right, left)
    places = {line: j for j, line in enumerate(right, head) if line in once}
    pairs = [(i, places[line]) for i, line in enumerate(left, head) if line in once]
    tops: list[int] = []
    last: list[int] = []
    before: list[int | None] = []
    for at, (_, j) in enumerate(pairs):
        pile = bisect_left(tops, j)
        tops[pile : pile + 1] = [j]
        last[pile : pile + 1] = [at]
        before.append(last[pile - 1] if pile else None)
    chain: list[tuple[int, int]] = []
    at_pair = last[-1] if last else None
    while at_pair is not None:
        chain.append(pairs[at_pair])
        at_pair = before[at_pair]
    return chain[::-1]


def _once_in_both(few: Lines, many: Lines) -> set[str]:
    """Of many, only lines that the few have, too, are counted: all of a file's would take megabytes."""
    times = Counter(few)
    again = Counter(line for line in many if line in times)
    return {line for line, number in times.items() if number == 1 == again[line]}


def _stretch(old: Lines, new: Lines, i: int, i_end: int, j: int, j_end: int) -> Iterator[Run]:
    """Equal lines in a stretch between anchors. In a long one, only its head and tail."""
    head, tail = _ends(old, new, i, i_end, j, j_end)
    yield i, j, head
    left, right = old[i + head : i_end - tail], new[j + head : j_end - tail]
    if left and right and max(len(left), len(right)) <= SHORT:
        for a, b, size in SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks():
            yield i + head + a, j + head + b, size
    yield i_end - tail, j_end - tail, tail


def _file_difference(name: str, old: Lines, new: Lines, blocks: Sequence[Block], room: int) -> FileDifference:
    hunks: list[tuple[Line, ...]] = []
    left_out = 0
    for hunk in _hunks(blocks):
        size = sum(max(block.i_end - block.i, block.j_end - block.j) for block in hunk)
        if room > 0:
            rows = (row for block in hunk for row in _rows(old, new, block))
            hunks.append(tuple(row for row, _ in zip(rows, range(room), strict=False)))
            left_out += size - len(hunks[-1])
            room -= len(hunks[-1])
        else:
            left_out += size
    return FileDifference(name, tuple(hunks), left_out)


def _hunks(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Differing blocks with AROUND lines of context. Closer ones share a hunk."""
    hunk: list[Block] = []
    for block in blocks:
        if not block.same:
            hunk.append(block)
            continue
        size = block.i_end - block.i
        if hunk and size <= 2 * AROUND and block is not blocks[-1]:
            hunk.append(block)
            continue
        if hunk:
            yield [*hunk, _part(block, 0, min(AROUND, size))]
        hunk = [_part(block, max(0, size - AROUND), size)] if block is not blocks[-1] else []
    if hunk:
        yield hunk


def _part(block: Block, start: int, end: int) -> Block:
    return Block(block.same, block.i + start, block.i + end, block.j + start, block.j + end)


def _rows(old: Lines, new: Lines, block: Block) -> Iterator[Line]:
    for a, b in zip_longest(range(block.i, block.i_end), range(block.j, block.j_end)):
        kind: Kind = "same" if block.same else "removed" if b is None else "added" if a is None else "changed"
        yield Line(
            kind,
            None if a is None else a + 1,
            "" if a is None else old[a],
            None if b is None else b + 1,
            "" if b is None else new[b],
        )
