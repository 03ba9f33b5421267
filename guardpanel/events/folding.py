"""Folds what differs between similar requests: `/orders/17` and `/orders/%31%38` both become `/orders/{number}`.

Folding is idempotent. The input may be an attacker's. The output is safe to show (events/texts.py) and has at most LONGEST
characters.
"""

import re
from functools import lru_cache

from guardpanel.events.texts import shown

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

IDS = re.compile(
    rf"(?P<escape>%[0-9a-f]{{2}})|(?<![a-z0-9])(?:(?P<uuid>{UUID})|(?P<date>{DATE})|(?P<hash>{HASH})|(?P<number>[0-9]+))(?![a-z0-9])",
    re.IGNORECASE,
)
"Separators that are neither letters nor digits: `v2` is a name. An escape stays whole, so that its digits are not a number."

SHORTEST_TOKEN = 20
TOKEN = re.compile(rf"(?<![\w-])[A-Za-z0-9_-]{{{SHORTEST_TOKEN},}}(?![\w-])", re.ASCII)
UNBROKEN = re.compile(r"[A-Za-z0-9]{10,}")
BROKEN_END = re.compile(r"[\w%-]+\Z")
SMALL, CAPITAL, DIGIT = re.compile("[a-z]"), re.compile("[A-Z]"), re.compile("[0-9]")
ULID = re.compile(r"[0-9][0-9A-HJKMNP-TV-Z]{25}")


@lru_cache(MOST_KEPT)
def path_template(path: str) -> str:
    """Of a path without its query."""
    plain = shown(ESCAPED.sub(_decoded, LONE_PERCENT.sub("%25", path)) if "%" in path else path)
    if "//" in plain:
        plain = re.sub(r"/{2,}", "/", plain)
    return _cut(IDS.sub(_id, _without_tokens(plain, "{token}")))


@lru_cache(MOST_KEPT)
def field_template(key: str) -> str:
    """Of the name of a field: `json.items.0.text` and `items[3][name]` have an index in them."""
    return _cut(IDS.sub(_any_id, _without_tokens(shown(key), ANY)))


def _cut(folded: str) -> str:
    """Truncate before a word, not within: the rest of an id would look like another one."""
    return folded if len(folded) <= LONGEST else BROKEN_END.sub("", folded[: LONGEST - 1]) + "…"


def _decoded(escapes: re.Match[str]) -> str:
    """Normalize the escapes that remain."""
    data = bytes.fromhex(escapes[0].replace("%", ""))
    kept = b"".join(b"%%%02X" % byte if byte in STAYS_ESCAPED else bytes([byte]) for byte in data)
    return kept.decode("utf-8", "surrogateescape")


def _id(found: re.Match[str]) -> str:
    return found[0] if found["escape"] else f"{{{found.lastgroup}}}"


def _any_id(found: re.Match[str]) -> str:
    return found[0] if found["escape"] else ANY


def _without_tokens(text: str, word: str) -> str:
    if len(text) < SHORTEST_TOKEN:
        return text
    return TOKEN.sub(lambda found: word if _is_token(found[0]) else found[0], text)


def _is_token(text: str) -> bool:
    """Unlike any word: upper-case and lower-case letters and digits without a separator."""
    mixed = any(SMALL.search(run) and CAPITAL.search(run) and DIGIT.search(run) for run in UNBROKEN.findall(text))
    return mixed or bool(ULID.fullmatch(text))
