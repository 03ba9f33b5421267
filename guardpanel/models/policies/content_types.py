"""How a request body is parsed, by content type.

What a policy says comes before what guardpanel takes for granted, and a narrower pattern before a wider one. A body reading
(`body_reading.py`), by path and method, comes before both.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator
from sqlmodel import Field

from guardpanel.models.meta import Choice
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Lines, visible

NAME = r"[a-z0-9!#$&^_.+-]{1,60}"
CONTENT_TYPE = re.compile(
    rf"{NAME}/(?:\*|[a-z0-9!#$&^_.+-]{{1,100}}|[a-z0-9!#$&^_.+-]{{0,50}}\*[a-z0-9!#$&^_.+-]{{0,50}})"
)
"A media type (RFC 6838 §4.2). `*` may replace everything after the slash."


NEVER_ALLOWED = set("!#$&^")
"Characters in a media type for which CRS rejects a request whatever is allowed (rule 920470)."


class ReadAs(Choice):
    FORM = "form", "Form", "Fields of application/x-www-form-urlencoded."
    MULTIPART = "multipart", "Multipart form", "Fields and files of multipart/form-data."
    JSON = "json", "JSON", "Each value under its name."
    NDJSON = "ndjson", "Lines of JSON", "A JSON document in each line."
    XML = "xml", "XML", "Texts and attributes."
    TEXT = "text", "Text", "One value, or JSON or XML if it is that."
    BINARY = "binary", "Binary, inspected only if it is text", "For files of any kind."
    NONE = "none", "Not inspected", "Any attack in these bodies passes."


EVERYTHING = "*/*"

READINGS: Mapping[str, ReadAs] = {
    EVERYTHING: ReadAs.BINARY,
    "text/*": ReadAs.TEXT,
    "*/*+json": ReadAs.JSON,
    "*/*+xml": ReadAs.XML,
    "application/json*": ReadAs.JSON,
    "application/x-amz-json*": ReadAs.JSON,
    "application/csp-report": ReadAs.JSON,
    "text/json": ReadAs.JSON,
    "application/ndjson": ReadAs.NDJSON,
    "application/x-ndjson": ReadAs.NDJSON,
    "application/jsonl": ReadAs.NDJSON,
    "application/jsonlines": ReadAs.NDJSON,
    "application/x-jsonlines": ReadAs.NDJSON,
    "application/x-sentry-envelope": ReadAs.NDJSON,
    "application/xml*": ReadAs.XML,
    "text/xml*": ReadAs.XML,
    "application/x-www-form-urlencoded*": ReadAs.FORM,
    "multipart/*": ReadAs.MULTIPART,
}
"""The defaults. Images, archives, protobufs and git packs fall under everything else. A body without a content type, or with an
invalid one, is parsed as a form, because some servers do so (Rack)."""


def known_content_types(types: list[str]) -> list[str]:
    content_types = list(dict.fromkeys(visible(kind.strip()).lower() for kind in types))
    for kind in content_types:
        if not CONTENT_TYPE.fullmatch(kind):
            raise refuse(f"{kind[:60]} is not a content type. Enter one such as application/json or image/*.")
        if unlike := sorted(NEVER_ALLOWED & set(kind)):
            raise refuse(f"{kind[:60]} can’t be allowed: OWASP CRS rejects content types with {' '.join(unlike)}.")
    return content_types


def known_readings(entries: list[str]) -> list[str]:
    """Each entry as `type = parsing`."""
    readings: dict[str, str] = {}
    for entry in entries:
        kind, separator, how = (part.strip() for part in visible(entry).lower().partition("="))
        if not separator or how not in list(ReadAs):
            values = ", ".join(ReadAs)
            raise refuse(f"{entry[:60]} must be a content type, =, and one of {values}, for example text/x-log = none.")
        if not CONTENT_TYPE.fullmatch(kind):
            raise refuse(f"{kind[:60]} is not a content type. Enter one such as application/json or image/*.")
        if readings.setdefault(kind, how) != how:
            raise refuse(f"{kind[:60]} is listed twice: as {readings[kind]} and as {how}.")
    return [f"{kind} = {how}" for kind, how in readings.items()]


ContentTypes = Annotated[Lines, AfterValidator(known_content_types), Field(min_length=1, max_length=40)]
ContentTypeReadings = Annotated[Lines, AfterValidator(known_readings), Field(max_length=40)]


def readings(entries: Iterable[str]) -> list[tuple[str, ReadAs]]:
    """Every pattern with how it is read: the widest first, so that the last that matches holds."""
    own = {kind: ReadAs(how) for kind, how in (entry.split(" = ") for entry in entries)}
    return sorted((dict(READINGS) | own).items(), key=lambda each: (narrowness(each[0]), each[1], each[0]))


def narrowness(pattern: str) -> tuple[int, int]:
    """A sort key: the fewer types a pattern matches, the larger it is."""
    if pattern == EVERYTHING:
        return 0, 0
    if pattern.endswith("/*"):
        return 1, 0
    if pattern.startswith("*/*"):
        return 2, 0
    return (3, len(pattern)) if "*" in pattern else (4, 0)


def reading_of(kind: str, entries: Iterable[str]) -> ReadAs:
    """How bodies of that type are read; of a pattern such as `image/*`: those that nothing narrower is said of."""
    matching = [how for pattern, how in readings(entries) if re.fullmatch(expression(pattern), kind)]
    return matching[-1]


def expression(pattern: str) -> str:
    """A regular expression that matches the pattern's types, valid in both Python and RE2."""
    return r"[^;,\s]*".join(re.escape(part) for part in pattern.split("*"))
