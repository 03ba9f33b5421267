"""Folds what differs between similar requests: `/orders/17` and `/orders/%31%38` both become `/orders/{number}`.

`path_pieces` and `field_pieces` alone say what an id is: for groups of events, and for patterns of fixes
(services/fixes/folding.py), so that a pattern fits what its group contains.

Folding is idempotent. The input may be an attacker's. The output is safe to show (events/texts.py) and has at most LONGEST
characters.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from guardpanel.events.texts import legible

LONGEST = 300
"Maximum characters of a template."

MOST_KEPT = 5_000
"Cached results: many requests have the same paths."

ANY = "*"
"An index or id in a field's name."

ESCAPED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")

LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")

STAYS_ESCAPED = frozenset(b"%/?#{}")
"Escapes whose decoding would change the meaning: a second escape, another segment, a query, or one of our placeholders."

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9:.]{4,15}Z?)?"
HASH = r"(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,}"

LONG_ID = rf"(?P<uuid>{UUID})|(?P<date>{DATE})|(?P<hash>{HASH})"
ESCAPED_BYTE = r"(?P<escape>%[0-9a-f]{2})"
"It stays whole, so that its digits are not a number."

IDS = re.compile(rf"{ESCAPED_BYTE}|(?<![a-z0-9])(?:{LONG_ID}|(?P<number>[0-9]+))(?![a-z0-9])", re.IGNORECASE)
"Separators that are neither letters nor digits."

FIELD_IDS = re.compile(rf"{ESCAPED_BYTE}|(?<![a-z0-9])(?:{LONG_ID})(?![a-z0-9])|(?P<number>[0-9]+)", re.IGNORECASE)

NOTHING_TO_FOLD = re.compile(r"(?:/(?!/)|[A-Za-z_.~!$&'()*+,;=:@-])*")
"Ids have digits. Most paths have none, and need not be taken apart."

SHORTEST_TOKEN = 20
TOKEN = re.compile(rf"(?<![\w-])[A-Za-z0-9_-]{{{SHORTEST_TOKEN},}}(?![\w-])", re.ASCII)
UNBROKEN = re.compile(r"[A-Za-z0-9]{10,}")
BROKEN_END = re.compile(r"[\w%-]+\Z")
SMALL, CAPITAL, DIGIT = re.compile("[a-z]"), re.compile("[A-Z]"), re.compile("[0-9]")
ULID = re.compile(r"[0-9][0-9A-HJKMNP-TV-Z]{25}")
HEX = re.compile(r"[0-9A-Fa-f]+")
CUID = re.compile(r"[A-Za-z]*(?:[0-9]+[A-Za-z]+){3}[A-Za-z0-9]*")
"Letters and numbers in turns. A word with a size and a year has less of them."


Piece = tuple[str, str]
"A part of a text, and the kind of id that it is: `number`, `date`, `uuid`, `hash`, `token`, or empty."


@lru_cache(MOST_KEPT)
def path_template(path: str) -> str:
    """Of a path without its query."""
    if NOTHING_TO_FOLD.fullmatch(path):
        return _cut(path)
    plain = legible(ESCAPED.sub(_decoded, LONE_PERCENT.sub("%25", path)) if "%" in path else path)
    if "//" in plain:
        plain = re.sub(r"/{2,}", "/", plain)
    return _cut("".join(f"{{{kind}}}" if kind else text for text, kind in path_pieces(plain)))


@lru_cache(MOST_KEPT)
def field_template(key: str) -> str:
    """Of the name of a field: `json.items.0.text` and `items[3][name]` have an index in them."""
    return _cut("".join(ANY if kind else text for text, kind in field_pieces(legible(key))))


def path_pieces(path: str) -> Iterator[Piece]:
    """A number within a word is part of the word: `v2`, `oauth2`, `utf8` are names of addresses."""
    return _pieces(path, IDS)


def field_pieces(key: str) -> Iterator[Piece]:
    """A number within a word is an index: a form with `item1` has `item2`, too."""
    return _pieces(key, FIELD_IDS)


def _pieces(text: str, ids: re.Pattern[str]) -> Iterator[Piece]:
    if len(text) < SHORTEST_TOKEN:
        yield from _short(text, ids)
        return
    end = 0
    for match in TOKEN.finditer(text):
        if _is_token(match[0]):
            yield from _short(text[end : match.start()], ids)
            yield match[0], "token"
            end = match.end()
    yield from _short(text[end:], ids)


def _short(text: str, ids: re.Pattern[str]) -> Iterator[Piece]:
    end = 0
    for match in ids.finditer(text):
        if match.lastgroup != "escape":
            yield text[end : match.start()], ""
            yield match[0], match.lastgroup or ""
            end = match.end()
    yield text[end:], ""


def _cut(folded: str) -> str:
    """Truncate before a word, not within: the rest of an id would look like another one."""
    return folded if len(folded) <= LONGEST else BROKEN_END.sub("", folded[: LONGEST - 1]) + "…"


def _decoded(escapes: re.Match[str]) -> str:
    """Normalize the escapes that remain."""
    data = bytes.fromhex(escapes[0].replace("%", ""))
    kept = b"".join(b"%%%02X" % byte if byte in STAYS_ESCAPED else bytes([byte]) for byte in data)
    return kept.decode("utf-8", "surrogateescape")


def _is_token(text: str) -> bool:
    """Unlike any word: upper-case and lower-case letters and digits without a separator, or both by turns."""
    if HEX.fullmatch(text):
        return False
    mixed = any(SMALL.search(run) and CAPITAL.search(run) and DIGIT.search(run) for run in UNBROKEN.findall(text))
    return mixed or bool(ULID.fullmatch(text) or CUID.fullmatch(text))
