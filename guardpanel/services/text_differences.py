"""The lines that differ between two files, in hunks with a little of what is around them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

from guardpanel.bundle import Bundle

AROUND = 3
"Unchanged lines shown around a change."

MOST_LINES = 2_000
"Shown of one comparison; the rest is counted."

AGENT = ("coraza.yaml",)


@dataclass(frozen=True)
class Line:
    """One row of a comparison: a side that has no such line has no number. `kind`: same, removed, added or changed."""

    kind: str
    before: int | None
    old: str
    after: int | None
    new: str


@dataclass(frozen=True)
class FileDifference:
    name: str
    hunks: tuple[tuple[Line, ...], ...]
    left_out: int = 0
    "Lines that are not shown."


def of_haproxy(before: Bundle | None, after: Bundle) -> list[FileDifference]:
    """haproxy.cfg first, then its maps and other files."""
    names = {*after.files, *(before.files if before else ())} - {*AGENT}
    return _of_files(before, after, sorted(names, key=lambda name: (name != "haproxy.cfg", name)))


def of_agent(before: Bundle | None, after: Bundle) -> list[FileDifference]:
    return _of_files(before, after, AGENT)


def _of_files(before: Bundle | None, after: Bundle, names: Sequence[str]) -> list[FileDifference]:
    old, new = _texts(before), _texts(after)
    found = []
    for name in names:
        was, now = old.get(name, ""), new.get(name, "")
        if was != now:
            hunks, left_out = _cut(list(compared(was.splitlines(), now.splitlines())))
            found.append(FileDifference(name, hunks, left_out))
    return found


def _texts(bundle: Bundle | None) -> Mapping[str, str]:
    """Without the checksum, which differs in every revision and says nothing."""
    if bundle is None:
        return {}
    long, short = bundle.checksum, bundle.checksum[:12]
    return {
        name: data.decode("utf-8", "replace").replace(long, "…").replace(short, "…")
        for name, data in bundle.files.items()
    }


def compared(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[Line, ...]]:
    """Hunks. What both have at head and tail is put aside first: most changes are small, and files may be long."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    head, tail = max(0, head - AROUND), max(0, tail - AROUND)
    matcher = SequenceMatcher(None, old[head : len(old) - tail], new[head : len(new) - tail])
    for group in matcher.get_grouped_opcodes(AROUND):
        yield tuple(
            line
            for tag, i, j, k, m in group
            for line in _lines(tag, old, range(i + head, j + head), new, range(k + head, m + head))
        )


def _lines(tag: str, old: Sequence[str], left: range, new: Sequence[str], right: range) -> Iterator[Line]:
    for a, b in zip_longest(left, right):
        kind = "same" if tag == "equal" else "removed" if b is None else "added" if a is None else "changed"
        yield Line(
            kind,
            None if a is None else a + 1,
            "" if a is None else old[a],
            None if b is None else b + 1,
            "" if b is None else new[b],
        )


def _cut(hunks: list[tuple[Line, ...]]) -> tuple[tuple[tuple[Line, ...], ...], int]:
    shown: list[tuple[Line, ...]] = []
    room = MOST_LINES
    for hunk in hunks:
        shown.append(hunk[:room])
        room -= len(shown[-1])
        if room <= 0:
            break
    return tuple(shown), sum(map(len, hunks)) - sum(map(len, shown))
