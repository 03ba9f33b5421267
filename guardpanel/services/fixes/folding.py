"""Patterns for what varies between requests of an application, such as the number of an order."""

import re
from collections.abc import Iterable

from guardpanel.events.folding import Piece, field_pieces, path_pieces
from guardpanel.models.patterns import MOST_REPEATS
from guardpanel.services.fixes.requests import MASKED

UNKNOWN = "[^/]+"

PATTERNS = {
    "uuid": "[0-9A-Fa-f-]{36}",
    "date": r"\d{4}-\d\d-\d\d[0-9TZ:.]*",
    "hash": "[0-9A-Fa-f]{8,}",
    "token": "[A-Za-z0-9_-]{20,}",
    "number": r"\d+",
}
"By kind of id (events/folding.py): whatever is folded to the same."

SPECIAL = re.compile(r"[\\.+*?()\[\]{}|^$]")


NO_WORD, NO_SLASH = r"\W", "[^/]"
"In place of a character that no form accepts: a control, a mark, a byte that is not UTF-8."


def escaped(text: str, odd: str = NO_WORD) -> str:
    """A pattern that matches the text itself. `re.escape` escapes `-` and others needlessly."""
    if text.isprintable():
        return SPECIAL.sub(r"\\\g<0>", text)
    return "".join(SPECIAL.sub(r"\\\g<0>", letter) if letter.isprintable() else odd for letter in text)


def escaped_path(path: str) -> str:
    """The same for a path whose secrets are masked: any text of a segment fits in their place."""
    return UNKNOWN.join(escaped(part, NO_SLASH) for part in path.split(MASKED))


def beginning(text: str, letters: int, odd: str = NO_WORD) -> str:
    """A pattern for what begins with so many letters of a text, and is as long where that is known."""
    head = text.partition(MASKED)[0][:letters]
    rest = len(text) - len(head)
    return escaped(head, odd) + (".+" if MASKED in text or rest > MOST_REPEATS else f".{{{rest}}}")


def path_pattern(path: str) -> str:
    """A pattern for the whole path. Empty if nothing in it varies."""
    folded = UNKNOWN.join(_folded(path_pieces(part), NO_SLASH) for part in path.split(MASKED))
    return "" if folded == escaped_path(path) else folded


def name_pattern(name: str) -> str:
    r"""`rows[12][text]` → `rows\[\d+\]\[text\]`; empty where nothing in it varies."""
    folded = _folded(field_pieces(name))
    return "" if folded == escaped(name) else folded


def json_name(name: str) -> str:
    """With `*` for indexes, `items.*.text`. Empty if something else varies."""
    folded = ".".join("*" if step.isascii() and step.isdigit() else step for step in name.split("."))
    return "" if name_pattern(folded) else folded


def _folded(pieces: Iterable[Piece], odd: str = NO_WORD) -> str:
    return "".join(PATTERNS[kind] if kind else escaped(text, odd) for text, kind in pieces)
