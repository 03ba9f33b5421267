"""A difference between what should run and what does."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from enum import StrEnum

MOST_LINES = 200
"Lines of a difference that are shown."


class Place(StrEnum):
    FILES = "Release files"
    HAPROXY = "HAProxy"
    AGENT = "The WAF agent"
    DATABASE = "The database"


@dataclass(frozen=True)
class Drift:
    """A difference as a sentence, with the differing lines (as in a unified diff) if there are any."""

    place: Place
    what: str
    lines: tuple[str, ...] = ()
    ours: bool = False
    "Caused by a crash or restart, not by a person: repaired at once."


def differing(want: bytes, have: bytes) -> tuple[str, ...]:
    """Removed (`-`) and added (`+`) lines, in file order."""
    old, new = (text.decode("utf-8", "replace").split("\n") for text in (want, have))
    head = _same(old, new)
    tail = _same(old[head:][::-1], new[head:][::-1])
    changes = unified_diff(old[head : len(old) - tail], new[head : len(new) - tail], lineterm="", n=0)
    lines = [line for line in list(changes)[2:] if not line.startswith("@@")]
    if len(lines) <= MOST_LINES:
        return tuple(lines)
    return (*lines[:MOST_LINES], f"… {len(lines) - MOST_LINES} more lines")


def _same(left: Sequence[str], right: Sequence[str]) -> int:
    """The number of leading lines that are equal. They are skipped, since files are long and changes small."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(left), len(right)))
