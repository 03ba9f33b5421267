"""Conditions on a request in SecLang: a chain of tests whose last link acts (docs/exclusions.md, form A)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from guardpanel.models.policies.path_condition import PathMatch
from guardpanel.rendering.tokens import Token, built, exactly, literal, matching

PLAIN = re.compile(r"[A-Za-z0-9_.-]+")
PLAIN_PATH = re.compile(r"/[A-Za-z0-9/_.-]*")

ESCAPE = re.compile("(%[0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class Link:
    """One test of a chain, and the field that it comes from."""

    variable: Token
    operator: Token
    field: str
    decoded: bool = False


@dataclass(frozen=True)
class Chain:
    noun: str
    noun_id: int
    "What the lines come from."
    rule_id: int
    phase: int
    links: tuple[Link, ...]
    actions: tuple[Token, ...]
    acts_for: str
    "The field of which the engine can refuse something in the line that acts: of its own test it refuses nothing we write."


def own(word: str) -> Token:
    return built("{}", literal(word))


def of_requests(path_match: PathMatch, path: str, methods: Sequence[str]) -> Iterator[Link]:
    """Which requests are meant: the narrowest test first."""
    filename = own("REQUEST_FILENAME")
    match path_match:
        case PathMatch.EXACT:
            yield Link(
                filename, built("@streq {}", literal(path)) if PLAIN_PATH.fullmatch(path) else is_exactly(path), "path"
            )
        case PathMatch.BELOW:
            below = (
                built(r"@rx \A{}", exactly(path)) if path.endswith("/") else built(r"@rx \A{}(?:/|\z)", exactly(path))
            )
            yield Link(filename, below, "path")
        case PathMatch.PATTERN:
            yield Link(filename, built(r"@rx \A(?:{})\z", matching(path)), "path")
        case PathMatch.AS_SENT:
            yield Link(own("REQUEST_URI_RAW"), built(r"@rx \A{}(?:\x3f|\z)", _sent(path)), "path")
    if path_match in {PathMatch.BELOW, PathMatch.PATTERN}:
        yield Link(filename, built(UPWARDS), "path", decoded=True)
    if methods:
        yield Link(own("REQUEST_METHOD"), one_of(methods), "methods")


UPWARDS = r"!@rx (?:\A|[/\x5c])\.\.(?:[/\x5c;?\x23]|\z)"
"No step up, in any spelling: the server would answer for another path."


def _sent(path: str) -> Token:
    """A path with its escapes, whose digits may be capital letters or small ones (RFC 3986 §6.2.2.1)."""
    written = built("")
    for part in ESCAPE.split(path):
        written = built("{}(?i:{})" if ESCAPE.fullmatch(part) else "{}{}", written, exactly(part))
    return written


def one_of(words: Sequence[str]) -> Token:
    first, *others = (exactly(word) for word in words)
    if not others:
        return is_exactly(words[0])
    alternatives = first
    for other in others:
        alternatives = built("{}|{}", alternatives, other)
    return built(r"@rx \A(?:{})\z", alternatives)


def is_exactly(text: str) -> Token:
    return built("@streq {}", literal(text)) if PLAIN.fullmatch(text) else built(r"@rx \A{}\z", exactly(text))
