"""Attackers' bytes as text that can be shown, searched and stored.

The agent writes bytes that are no UTF-8 as lone surrogates (docs/events.md), which neither SQLite nor an answer of ours
can hold. And what a reader cannot see (controls, direction marks) must not change what it stands in.
"""

import unicodedata

UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def shown(text: str, allow: str = "") -> str:
    r"""With `\xff` for a byte that is no UTF-8, and `\x1b`, `\u202e` or `\U000e0001` for what cannot be seen."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if one in allow or unicodedata.category(one) not in UNSEEN else _named(one) for one in text)


def _named(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
