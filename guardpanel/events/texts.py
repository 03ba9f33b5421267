"""Attackers' bytes as text that can be shown, searched and stored.

The agent writes bytes that are no UTF-8 as lone surrogates (docs/events.md), which neither SQLite nor an answer of ours
can hold. And what a reader cannot see (controls, direction marks, blanks that are no space) must not change or hide
what it stands in: it is written as a programmer would.
"""

import unicodedata

BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"Letters and marks by their class that draw nothing."

SELECTORS = (("\u180b", "\u180f"), ("\ufe00", "\ufe0f"), ("\U000e0100", "\U000e01ef"))
"They choose between shapes of a letter, and can carry a whole message that nobody sees."

FIRST_MARK = "\u0300"
"Before it there is nothing but letters and what is not printable anyway."

MOST_MARKS = 2
"Marks on one letter that are drawn: a pile of them covers the lines around it."


def shown(text: str, allow: str = "") -> str:
    r"""With `\xff` for a byte that is no UTF-8, and `\x1b`, `\u202e` or `\U000e0001` for what cannot be seen."""
    if text.isprintable() and (text.isascii() or max(text) < FIRST_MARK):
        return text
    parts, marks = [], 0
    for one in text:
        marks = marks + 1 if unicodedata.combining(one) else 0
        parts.append(one if one in allow or (_is_seen(one) and marks <= MOST_MARKS) else _named(one))
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
