"""Text that is safe in an engine's configuration.

Templates may print only a `Token`, and only the typed encoders here create one: a plain `str` in a config template raises. So
typed text can never become syntax, in any template.
"""

import re
from collections.abc import Iterable
from sys import intern
from typing import Any, LiteralString

from guardpanel.bundle import Origin
from guardpanel.models.header_rule import VARIABLE
from guardpanel.models.policies.content_types import CONTENT_TYPE, READINGS, expression
from guardpanel.models.policies.countries import UNKNOWN
from guardpanel.models.rules.seclang import Link, NotSecLang, parse_link, written

UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
"What ends a line for HAProxy, Coraza, YAML or Python, and other controls."


class Token(str):
    """A piece of configuration that is safe in the place that its encoder names."""

    __slots__ = ()


class UnsafeText(Exception):
    """A value reached a config template without an encoder. A bug of ours, never the operator's fault."""


def literal(text: str) -> Token:
    """Our own text: a path, or a generated name. Must not contain white space, quotes or controls."""
    if not re.fullmatch(r"[A-Za-z0-9_./:@,;=*\[\]-]*", text):
        raise UnsafeText(f"not a bare word: {text!r}")
    return Token(text)


def number(value: int) -> Token:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UnsafeText(f"not a number: {value!r}")
    return Token(value)


def word(text: str) -> Token:
    """A HAProxy word. Within single quotes HAProxy takes every byte literally (configuration manual §2.2)."""
    if UNSAFE.search(text):
        raise UnsafeText(f"a control character in {text!r}")
    return Token("'" + text.replace("'", "'\\''") + "'")


def log_format(text: str) -> Token:
    """A word in a place where HAProxy would read `%` as a log-format variable."""
    return word(text.replace("%", "%%"))


def seconds_left(path: str) -> Token:
    """How long what the map at this path has of the client lasts, for HAProxy."""
    return word(f"src,map_ip_int({_argument(path)},0),sub(txn.gp.now)")


def of_client(path: str) -> Token:
    """What the map at this path has of the client, for HAProxy. `--` if it has nothing."""
    return word(f"src,map_ip({_argument(path)},{UNKNOWN})")


def with_variables(text: str, countries: str) -> Token:
    """The value of a header (models/header_rule.py) as a log format, where `{client_ip}` is the visitor's address.
    `countries`: the path of the map of countries."""
    variables = {
        "client_ip": "%[src]",
        "request_id": "%[unique-id]",
        "hostname": "%[var(txn.gp.host)]",
        "scheme": "%[var(txn.gp.scheme)]",
        "country": f"%[src,map_ip({_argument(countries)},{UNKNOWN})]",
    }
    typed, *pairs = VARIABLE.split(text)
    parts = (variables[name] + rest.replace("%", "%%") for name, rest in zip(pairs[::2], pairs[1::2], strict=True))
    return word(typed.replace("%", "%%") + "".join(parts))


def then_variable(text: str, name: LiteralString) -> Token:
    """Text and, behind it, what a variable has, as a log format."""
    return word(f"{text.replace('%', '%%')}%[var({name})]")


def _argument(path: str) -> str:
    """HAProxy takes a word apart once more for the arguments of a function, where double quotes keep a path's signs together
    (configuration manual §2.2)."""
    if UNSAFE.search(path):
        raise UnsafeText(f"a control character in {path!r}")
    return path if re.fullmatch(r"[A-Za-z0-9_./@+~-]+", path) else f'"{re.sub(QUOTED, BACKSLASHED, path)}"'


QUOTED, BACKSLASHED = r"([\"\\])", r"\\\1"


def seclang(text: str) -> Token:
    """Text within a quoted SecLang argument: only characters without a special meaning."""
    if not re.fullmatch(r"[A-Za-z0-9 .,:/_|+#&^!$-]*", text) or "%{" in text:
        raise UnsafeText(f"not plain SecLang text: {text!r}")
    return Token(text)


def exactly(text: str) -> Token:
    """A SecLang regular expression that matches exactly this text: everything but letters and digits is written as its code
    point, so that it is neither a quote nor a comma between actions nor a macro."""
    if UNSAFE.search(text):
        raise UnsafeText(f"a control character in {text!r}")
    return Token(
        "".join(character if re.fullmatch("[A-Za-z0-9_]", character) else _numbered(character) for character in text)
    )


def matching(pattern: str) -> Token:
    """An operator's expression (models/patterns.py) in a form that SecLang can contain. It matches the same."""
    if UNSAFE.search(pattern):
        raise UnsafeText(f"a control character in {pattern!r}")
    parts = re.findall(r"\\x[0-9A-Fa-f]{2}|\\.|[^\\]", pattern)
    if "".join(parts) != pattern:
        raise UnsafeText(f"an open escape in {pattern!r}")
    return Token("".join(map(_part, parts)))


def _part(part: str) -> str:
    """A character of an expression, or an escape."""
    if part.startswith("\\x"):
        return _numbered(bytes.fromhex(part[2:]).decode("latin-1"))
    return part if PLAIN_IN_PATTERNS.fullmatch(part) else _numbered(part[-1])


PLAIN_IN_PATTERNS = re.compile(r"[A-Za-z0-9_.^$|?*+(){}\[\],:!=-]|\\[A-Za-z0-9.^$|?*+(){}\[\]\\-]")


def _numbered(character: str) -> str:
    """Six digits: Coraza takes a number from 80 up as a byte, and then compares bytes (matchesArbitraryBytes() in its
    internal/operators/rx.go), so that \\x{e9} does not match é in UTF-8."""
    return f"\\x{ord(character):02x}" if ord(character) < 128 else f"\\x{{{ord(character):06x}}}"


def content_types(patterns: Iterable[str]) -> Token:
    """A SecLang regular expression that matches Content-Type values of these types, in lower case. Servers also end a type at a
    comma or white space (PHP), and ignore white space before it."""
    patterns = list(patterns)
    for pattern in patterns:
        if pattern not in READINGS and not CONTENT_TYPE.fullmatch(pattern):
            raise UnsafeText(f"not a content type: {pattern!r}")
    return Token(rf"^\s*(?:{'|'.join(map(expression, patterns))})(?:[;,\s]|$)")


def rule(link: Link) -> Token:
    """A link of an operator's rule as one line. Read back it is the same link: no text in it became another part of it."""
    line = written(link)
    try:
        same = parse_link(line) == link
    except NotSecLang:
        same = False
    if UNSAFE.search(line) or not same:
        raise UnsafeText(f"not one link of a rule: {line!r}")
    return Token(line)


def built(form: LiteralString, *parts: Token) -> Token:
    """A template of our own with tokens in its places (`{}`)."""
    if not all(isinstance(part, Token) for part in parts):
        raise UnsafeText(f"no token among {parts!r}")
    return Token(form.format(*parts))


def origin_mark(noun: str, noun_id: int, field: str, typed_line: int = 0) -> Token:
    """Marks the end of a template's line. `split_origins` removes the mark and records the line."""
    return Token(f"\x01{noun}\x02{noun_id}\x02{field}\x02{typed_line}\x01")


def split_origins(text: str) -> tuple[str, dict[int, Origin]]:
    """The text without its marks, and the origin of each marked line (1-based)."""
    lines = text.split("\n")
    origins: dict[int, Origin] = {}
    for at, line in enumerate(lines):
        if "\x01" in line:
            content, mark, _ = line.split("\x01")
            noun, noun_id, field, typed_line = mark.split("\x02")
            origins[at + 1] = Origin(intern(noun), int(noun_id), intern(field), int(typed_line))
            lines[at] = content.rstrip(" ")
    return "\n".join(lines), origins


def only_tokens(value: Any) -> Any:
    """Jinja's `finalize` for config templates."""
    if isinstance(value, Token):
        return value
    raise UnsafeText(f"{type(value).__name__} {value!r} reached a config template without an encoder")
