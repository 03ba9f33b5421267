"""What differs between requests of one kind, folded: `/orders/17` and `/orders/%31%38` are both `/orders/{number}`.

A template is folded already: folding it again changes nothing. Everything here may be an attacker's; what comes out can be
shown (events/texts.py) and is no longer than LONGEST.
"""

import re
from functools import lru_cache

from guardpanel.events.texts import shown

LONGEST = 300
"Characters of a template."

MOST_KEPT = 5_000
"Answers that are kept: many requests ask for the same paths."

ANY = "*"
"An index or an id in the name of a field."

ESCAPED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")

LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")

STAYS_ESCAPED = frozenset(b"%/?#{}")
"Decoded, they would mean something else: a second escape, another segment, a query, or one of our own words."

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9:.]{4,15}Z?)?"
HASH = r"(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,}"

IDS = re.compile(
    rf"(?P<escape>%[0-9a-f]{{2}})|(?<![a-z0-9])(?:(?P<uuid>{UUID})|(?P<date>{DATE})|(?P<hash>{HASH})|(?P<number>[0-9]+))(?![a-z0-9])",
    re.IGNORECASE,
)
"""Between what is no letter or digit: `v2` is a name. An escape is a whole, so that its digits are no number."""

TOKEN = re.compile(r"(?<![\w-])[A-Za-z0-9_-]{20,}(?![\w-])", re.ASCII)
UNBROKEN = re.compile(r"[A-Za-z0-9]{10,}")
BROKEN_END = re.compile(r"[\w%-]+\Z")
SMALL, CAPITAL, DIGIT = re.compile("[a-z]"), re.compile("[A-Z]"), re.compile("[0-9]")
ULID = re.compile(r"[0-9][0-9A-HJKMNP-TV-Z]{25}")


@lru_cache(MOST_KEPT)
def path_template(path: str) -> str:
    """Of a path without its query."""
    plain = shown(ESCAPED.sub(_decoded, LONE_PERCENT.sub("%25", path)))
    return _cut(IDS.sub(_id, TOKEN.sub(_token, re.sub(r"/{2,}", "/", plain))))


@lru_cache(MOST_KEPT)
def field_template(key: str) -> str:
    """Of the name of a field: `json.items.0.text` and `items[3][name]` have an index in them."""
    return _cut(IDS.sub(_any_id, TOKEN.sub(_any_token, shown(key))))


def _cut(folded: str) -> str:
    """Before a word, not within: what is left of an id would be another one."""
    return folded if len(folded) <= LONGEST else BROKEN_END.sub("", folded[: LONGEST - 1]) + "…"


def _decoded(escapes: re.Match[str]) -> str:
    """What stays escaped is written in one way."""
    data = bytes.fromhex(escapes[0].replace("%", ""))
    kept = b"".join(b"%%%02X" % byte if byte in STAYS_ESCAPED else bytes([byte]) for byte in data)
    return kept.decode("utf-8", "surrogateescape")


def _id(found: re.Match[str]) -> str:
    return found[0] if found["escape"] else f"{{{found.lastgroup}}}"


def _any_id(found: re.Match[str]) -> str:
    return found[0] if found["escape"] else ANY


def _token(found: re.Match[str]) -> str:
    return "{token}" if _is_token(found[0]) else found[0]


def _any_token(found: re.Match[str]) -> str:
    return ANY if _is_token(found[0]) else found[0]


def _is_token(text: str) -> bool:
    """What no word looks like: small and capital letters and digits without a break."""
    mixed = any(SMALL.search(run) and CAPITAL.search(run) and DIGIT.search(run) for run in UNBROKEN.findall(text))
    return mixed or bool(ULID.fullmatch(text))
