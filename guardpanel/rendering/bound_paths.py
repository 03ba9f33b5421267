"""How paths are compared: as HAProxy's rules read them (`config_templates/haproxy/_paths.cfg.j2`)."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Generic, TypeVar
from unicodedata import normalize
from urllib.parse import unquote

from guardpanel.models.path_binding import BoundPath

T = TypeVar("T")

LAST_WITH_CASE = 0x1E943


def fold(path: str) -> str:
    """Without case, and composed: servers may take `/Ä`, `/ä` and `/a` with two dots for the same."""
    return "".join(map(_folded, normalize("NFC", path)))


def _folded(letter: str) -> str:
    return next((text for text in (letter.casefold(), letter.lower()) if len(text) == 1), letter)


def spellings(paths: Iterable[str]) -> dict[str, list[str]]:
    """By folded letter of these paths, the others beyond ASCII that stand for it. HAProxy has made A to Z small before."""
    letters = sorted({letter for path in paths for letter in fold(path)})
    return {letter: others for letter in letters if (others := _spelled(letter))}


def _spelled(letter: str) -> list[str]:
    cases = {letter, *_cases().get(letter, ())}
    apart = {normalize("NFD", case).encode().lower().decode() for case in cases}
    return sorted(text for text in cases | apart if text != letter and not text.isascii())


@cache
def _cases() -> Mapping[str, list[str]]:
    """`s` → `ſ`, `é` → `É`"""
    cases = defaultdict(list)
    for letter in map(chr, range(0x80, LAST_WITH_CASE + 1)):
        if _folded(letter) != letter:
            cases[_folded(letter)].append(letter)
    return cases


def with_slash(path: str) -> str:
    return path.removesuffix("/") + "/"


def as_read(path: str) -> str:
    """A path of a request: decoded, without what servers disagree about, and with a final slash."""
    return re.sub("//+", "/", re.sub("[. ]+/", "/", _decoded(path)))


def _decoded(path: str) -> str:
    text = re.sub(r"\\|%2f|%5c", "/", unquote(path), flags=re.IGNORECASE)
    return re.sub("//+", "/", fold(re.sub(";[^/]*", "", text)) + "/")


def is_ambiguous(path: str) -> bool:
    """Whether servers read a path of a request in several ways, as `_read_path.cfg.j2` has it."""
    return bool(AMBIGUOUS.search(path) or re.search(r"/\. *\. */|%|:[$]", _decoded(path)))


AMBIGUOUS = re.compile("%([01][0-9a-f]|7f|c[01]|e0%[89]|f0%8|f[5-9a-f])|#", re.IGNORECASE)


def outer_paths(path: str) -> list[str]:
    """`/api/v1` → ``, `/api`, `/api/v1`."""
    parts = path.rstrip("/").split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


class BoundPaths(Generic[T]):
    """What the paths of a virtual host are bound to. The longest one wins, an exact one before all others."""

    def __init__(self, bound: Iterable[tuple[str, BoundPath, T]]) -> None:
        self._by_key: dict[tuple[BoundPath, str], T] = {
            (match, with_slash(fold(path))): value for path, match, value in bound
        }

    def at(self, path: str) -> T | None:
        """Of a path as a visitor sends it, encoded."""
        key = as_read(path)
        if (value := self._by_key.get((BoundPath.EXACT, key))) is not None:
            return value
        around = (self._by_key.get((BoundPath.BELOW, f"{outer}/")) for outer in reversed(outer_paths(key)))
        return next((value for value in around if value is not None), None)
