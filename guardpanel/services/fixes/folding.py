"""Patterns for what varies between requests of an application, such as the number of an order."""

import re

from guardpanel.services.fixes.requests import MASKED

UNKNOWN = "[^/]+"

VARYING = re.compile(
    r"(?P<uuid>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})"
    r"|(?<![0-9A-Za-z])(?P<hash>(?=[a-f]*[0-9])[0-9a-f]{8,}|(?=[A-F]*[0-9])[0-9A-F]{8,})(?![0-9A-Za-z])"
    r"|(?P<number>[0-9]+)"
)
TOKEN = re.compile(r"(?=[^/]*[0-9])(?=[^/]*[A-Za-z])[A-Za-z0-9_-]{20,}={0,2}")
"A whole path segment of letters and digits that contains no word."

PATTERNS = {"uuid": "[0-9A-Fa-f-]{36}", "hash": "[0-9A-Fa-f]{8,}", "number": r"\d+"}

LAST_IS_FILE = re.compile(r"(?P<stem>.+)(?P<ending>\.[A-Za-z][A-Za-z0-9]{0,9})")


SPECIAL = re.compile(r"[\\.+*?()\[\]{}|^$]")


def escaped(text: str) -> str:
    """A pattern that matches the text itself. `re.escape` escapes `-` and others needlessly."""
    return SPECIAL.sub(r"\\\g<0>", text)


def escaped_path(path: str) -> str:
    """The same for a path whose secrets are masked: any text of a segment fits in their place."""
    return UNKNOWN.join(escaped(part) for part in path.split(MASKED))


def path_pattern(path: str) -> str:
    """A pattern for the whole path. Empty if nothing in it varies."""
    segments = [_segment(segment) for segment in path.split("/")]
    folded = "/".join(segments)
    return "" if folded == escaped(path) else folded


def _segment(segment: str) -> str:
    if MASKED in segment:
        return escaped_path(segment)
    if TOKEN.fullmatch(segment) and not VARYING.fullmatch(segment):
        return "[A-Za-z0-9_=-]{20,}"
    # A number within a word is part of the word: v2, oauth2, utf8.
    if re.fullmatch(r"[A-Za-z]{1,20}[0-9]{1,3}", segment):
        return escaped(segment)
    return name_pattern(segment) or escaped(segment)


def name_pattern(name: str) -> str:
    r"""`rows[12][text]` → `rows\[\d+\]\[text\]`; empty where nothing in it varies."""
    parts, end = [], 0
    for match in VARYING.finditer(name):
        parts += [escaped(name[end : match.start()]), PATTERNS[match.lastgroup or "number"]]
        end = match.end()
    return "".join([*parts, escaped(name[end:])]) if parts else ""


def json_name(name: str) -> str:
    """With `*` for indexes, `items.*.text`. Empty if something else varies."""
    folded = ".".join("*" if step.isascii() and step.isdigit() else step for step in name.split("."))
    return "" if any(VARYING.search(step) for step in folded.split(".")) else folded
