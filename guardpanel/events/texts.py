"""Attackers' bytes as text that is safe to show, search and store.

The agent writes bytes that are not UTF-8 as lone surrogates (docs/events.md), which neither SQLite nor our responses can hold.
Invisible characters (controls, direction marks, unusual spaces) must not change or hide the text around them: they are written as
escapes.
"""

import unicodedata

BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"Unicode categories of letters and marks that draw nothing."

SELECTORS = (("\u180b", "\u180f"), ("\ufe00", "\ufe0f"), ("\U000e0100", "\U000e01ef"))
"Variation selectors choose between glyphs, and can smuggle a whole invisible message."

FIRST_MARK = "\u0300"
"Below it there are only letters and unprintable characters."

MOST_MARKS = 2
"Combining marks per letter that are drawn: a pile of them covers the lines around it."


def legible(text: str, allow: str = "") -> str:
    r"""With `\\xff` for a byte that is not UTF-8, and `\\x1b`, `\\u202e` or `\\U000e0001` for invisible characters."""
    if text.isprintable() and (text.isascii() or max(text) < FIRST_MARK):
        return text
    parts, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        parts.append(
            character if character in allow or (_is_seen(character) and marks <= MOST_MARKS) else _named(character)
        )
    return "".join(parts)


def _is_seen(character: str) -> bool:
    if character.isascii():
        return character.isprintable()
    return (
        character.isprintable()
        and character not in BLANKS
        and not any(first <= character <= last for first, last in SELECTORS)
    )


def _named(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
