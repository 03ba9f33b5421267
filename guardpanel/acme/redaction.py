"""Secrets cut out of what DNS providers and commands print. Errors quote requests, so a secret may be there as it was sent: in a
URL, in JSON, in HTML, or in Base64 with a name before it (HTTP Basic)."""

import base64
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html.entities import codepoint2name
from typing import Any

SHORTEST_SECRET = 6
"Characters. Shorter values are words, such as a region."

SECRET_NAME = re.compile(
    r"token|secret|passw|passphrase|credential|(^|[_-])(api)?(key|pwd|pass|auth)([_-]|$)", re.IGNORECASE
)
"Names of environment variables and options whose values are secrets."

MASK = "***"

CONTROLS = {"\n": "n", "\r": "r", "\t": "t"}
"As they are written after a backslash."


def without(text: str, secrets: Iterable[str]) -> str:
    """Without them, in any encoding. Longer ones first: they may contain others."""
    for part in sorted({part for secret in secrets for part in _parts(secret)}, key=len, reverse=True):
        text = re.sub("|".join([_escaped(part), *_in_base64(part), *_in_hex(part)]), MASK, text)
    return text


def values_in(options: Any) -> Iterator[str]:
    """Every value of options, which may be nested."""
    match options:
        case dict():
            for value in options.values():
                yield from values_in(value)
        case list() | tuple():
            for value in options:
                yield from values_in(value)
        case _:
            yield str(options)


def secrets_in(environment: Mapping[str, str] = os.environ, words: Sequence[str] = ()) -> Iterator[str]:
    """Values of variables whose name says that they are secret, and of such options in a command."""
    yield from (value for name, value in environment.items() if SECRET_NAME.search(name))
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, separator, value = word.partition("=")
        if SECRET_NAME.search(name.lstrip("-")) and (separator or name.startswith("-")):
            yield value if separator else following


def _parts(secret: str) -> Iterator[str]:
    """It and, of a key in PEM, each of its lines."""
    lines = secret.splitlines() if "\n" in secret else []
    yield from (part for part in (secret.strip(), *(line.strip() for line in lines)) if len(part) >= SHORTEST_SECRET)


def _escaped(secret: str) -> str:
    """A pattern: each character as it is, or as URLs, JSON and HTML write it, once or again."""
    return "".join(f"(?:{'|'.join(_ways(character))})" for character in secret)


def _ways(character: str) -> Iterator[str]:
    code, encoded = ord(character), character.encode(errors="surrogatepass")
    yield rf"\\*{re.escape(character)}"
    yield "".join(f"%(?:25)*(?i:{byte:02x})" for byte in encoded)
    yield "".join(rf"\\+u(?i:{unit:04x})" for unit in _utf16(character))
    yield "".join(rf"\\+x(?i:{byte:02x})" for byte in encoded)
    if 0x80 <= code < 0x100:
        yield rf"\\+x(?i:{code:02x})"
    yield rf"&(?:amp;)*#(?:0*{code}|(?i:x0*{code:x}));"
    if code in codepoint2name:
        yield f"&(?:amp;)*{codepoint2name[code]};"
    if character == " ":
        yield r"\+"
    if character in CONTROLS:
        yield rf"\\+{CONTROLS[character]}"


def _utf16(character: str) -> list[int]:
    encoded = character.encode("utf-16-be", errors="surrogatepass")
    return [int.from_bytes(encoded[at : at + 2]) for at in range(0, len(encoded), 2)]


def _in_base64(secret: str) -> Iterator[str]:
    """Wherever it begins in what was encoded: only the characters that nothing beside it changes."""
    plain = secret.encode(errors="surrogatepass")
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + plain).decode()
        inside = encoded[-(-before * 8 // 6) : (before + len(plain)) * 8 // 6]
        if len(inside) >= SHORTEST_SECRET:
            yield "".join(_base64_character(character) for character in inside)


def _base64_character(character: str) -> str:
    """Also of the alphabet for URLs, and inside a URL or JSON."""
    match character:
        case "+":
            return r"(?:\+|-|%(?:25)*2[Bb])"
        case "/":
            return r"(?:\\*/|_|%(?:25)*2[Ff])"
    return character


def _in_hex(secret: str) -> Iterator[str]:
    yield f"(?i:{secret.encode(errors='surrogatepass').hex()})"
