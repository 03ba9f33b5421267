"""The request of an event, rebuilt so that the agent can evaluate it again.

An event's secrets are masked and its long texts truncated (docs/events.md). Harmless values replace what is masked, and a
truncated body is completed. `gaps` lists this, since the verdict may differ.
"""

import base64
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, unquote

from guardpanel.services.fixes.cut import closed

MASKED = "[masked]"
STANDS_IN = "masked0"
"Letters and a digit: no rule matches it."

WHOLE_HEADERS = {"cookie": "masked=masked0", "authorization": "Bearer masked0", "proxy-authorization": "Bearer masked0"}
"Replaces a header that is masked entirely."

BARE = re.compile(rb"(?<=[:,\[])(\s*)(?:\[masked\])+(?=\s*[,}\]])")
"A number in JSON, since it has no quotes, or a text that was masked with its quotes."

BARE_ATTRIBUTE = re.compile(rb"(=\s*)\[masked\](?=[\s/>?])")
"In XML: it is masked with its quotes."


OF_BODIES = {"content-type", "content-encoding"}
BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")

PART_NAME = re.compile(rb'(?i)content-disposition:[^\r\n]*[;\s]name="([^"\r\n]*)"')
FILE_NAME = re.compile(rb"(?i)[;\s]filename\*?=")
"Of a part of a multipart form."


@dataclass(frozen=True)
class Request:
    """Bytes that are not UTF-8 are lone surrogates in texts."""

    client: str
    method: str
    uri: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    gaps: tuple[str, ...] = ()
    "What differs from the original, as sentences."
    masked_uri: str = ""
    "Its URL as the event has it, if parts of that are masked."
    is_cut: bool = False
    "Whether the event has only the beginning of the body."

    @property
    def path(self) -> str:
        """As the engine compares it: decoded unless an escape in it is broken, without the query."""
        return _path_in(self.uri)

    @property
    def sent_path(self) -> str:
        """With its escapes, and MASKED where it is not known."""
        return (self.masked_uri or self.uri).partition("?")[0]

    @property
    def known_path(self) -> str:
        """The same with MASKED where it is not known: a user's name may be both in a cookie and in a path."""
        return _path_in(self.masked_uri or self.uri)

    @property
    def content_type(self) -> str:
        """In lower case, without parameters."""
        value = next((value for name, value in self.headers if name.lower() == "content-type"), "")
        return value.partition(";")[0].strip().lower()

    @property
    def charset(self) -> str:
        """That its content type names, in lower case."""
        value = next((value for name, value in self.headers if name.lower() == "content-type"), "")
        named = re.search(r"charset\s*=\s*[\"']?([^;\"'\s]+)", value, re.IGNORECASE)
        return named[1].lower() if named else ""

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.uri.partition("?")[2], keep_blank_values=True)

    @property
    def form(self) -> list[tuple[str, str]]:
        """Fields of a URL-encoded body or a multipart form, without files."""
        match self.content_type:
            case "application/x-www-form-urlencoded":
                return parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)
            case "multipart/form-data":
                return _fields_in(self.body, _boundary(self.headers))
        return []

    @property
    def members(self) -> list[tuple[str, str]]:
        """Texts directly in a JSON object, under the names that the engine gives them."""
        if "json" not in self.content_type:
            return []
        with suppress(ValueError, RecursionError):
            document = json.loads(self.body)
            if isinstance(document, dict):
                return [(f"json.{name}", value if isinstance(value, str) else "") for name, value in document.items()]
        return []

    @property
    def arguments(self) -> list[tuple[str, str]]:
        """Those of which the value is known, up to its end."""
        sent = [*self.form, *self.members]
        return [*self.query, *(sent[:-1] if self.is_cut else sent)]

    def with_body(self, body: bytes, **others: Any) -> "Request":
        """Its length follows."""
        headers = tuple(
            (name, str(len(body)) if name.lower() == "content-length" else value) for name, value in self.headers
        )
        return replace(self, body=body, headers=headers, **others)

    def without_body(self) -> "Request":
        """And without its type."""
        headers = tuple((name, value) for name, value in self.headers if name.lower() not in OF_BODIES)
        return replace(self, headers=headers).with_body(b"")

    def question(self) -> dict[str, Any]:
        """As the agent's control socket accepts it."""
        return {
            "client": self.client,
            "method": _sendable(self.method),
            "uri": self.uri,
            "version": self.version,
            "headers": [[name, value] for name, value in self.headers],
            "body": base64.b64encode(self.body).decode(),
        }


def _path_in(uri: str) -> str:
    path = uri.partition("?")[0]
    return path if is_unreadable(uri) else unquote(path, errors="surrogateescape")


def is_unreadable(uri: str) -> bool:
    """Whether the engine cannot parse it, and decodes nothing of its path."""
    return bool(BROKEN_ESCAPE.search(uri.partition("?")[0]) or CONTROL.search(uri))


def _fields_in(body: bytes, boundary: str) -> list[tuple[str, str]]:
    if not boundary:
        return []
    fields = []
    for part in body.split(f"--{boundary}".encode()):
        head, _, value = part.partition(b"\r\n\r\n")
        name = PART_NAME.search(head)
        if name and not FILE_NAME.search(head):
            text = value.removesuffix(b"\r\n")
            fields.append((name[1].decode("utf-8", "replace"), text.decode("utf-8", "replace")))
    return fields


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def request_of(agent_line: bytes) -> Request:
    """From an event's line, as the agent wrote it."""
    event = json.loads(agent_line)
    body = str(event.get("body", "")).encode("utf-8", "surrogateescape")
    headers = tuple((str(name), str(value)) for name, value in event.get("headers", ()))
    request = Request(
        client=str(event.get("client", "")),
        method=str(event.get("method", "")) or "GET",
        uri=str(event.get("uri", "")) or "/",
        version=str(event.get("version", "")),
        headers=headers,
        body=body,
    )
    gaps = tuple(gap for gap in (_masked(event), *_cut(event)) if gap)
    if "body_cut" in event:
        whole = closed(body, request.content_type, _boundary(headers))
        request = replace(request, body=whole, is_cut=True)
    return _filled(request, gaps)


def _filled(request: Request, gaps: tuple[str, ...]) -> Request:
    headers = tuple((name, _header(name, value)) for name, value in request.headers)
    body = BARE.sub(rb"\g<1>0", request.body)
    if "xml" in request.content_type:
        body = BARE_ATTRIBUTE.sub(rb'\g<1>"[masked]"', body)
    body = body.replace(MASKED.encode(), STANDS_IN.encode())
    masked_uri = request.uri if MASKED in request.uri else ""
    uri = request.uri.replace(MASKED, STANDS_IN)
    filled = replace(request, uri=uri, masked_uri=masked_uri, headers=headers, gaps=gaps)
    return filled.with_body(body)


def _header(name: str, value: str) -> str:
    if value == MASKED:
        return WHOLE_HEADERS.get(name.lower(), STANDS_IN)
    return value.replace(MASKED, STANDS_IN)


def _boundary(headers: tuple[tuple[str, str], ...]) -> str:
    kind = next((value for name, value in headers if name.lower() == "content-type"), "")
    match = re.search(r'boundary="?([^";,\s]+)', kind)
    return match[1] if match else ""


def _masked(event: Mapping[str, Any]) -> str:
    texts = [("URL", event.get("uri", "")), ("body", event.get("body", ""))]
    texts += [(f"header {name}", value) for name, value in event.get("headers", ())]
    places = list(dict.fromkeys(name for name, text in texts if MASKED in str(text)))
    if not places:
        return ""
    return f"Masked values in the {_listed(places)} are replaced with harmless ones."


def _cut(event: Mapping[str, Any]) -> list[str]:
    gaps = []
    if "body_cut" in event:
        kept = len(str(event.get("body", "")).encode("utf-8", "surrogateescape"))
        gaps.append(
            f"The event has {kept:,} of the body’s {event.get('body_bytes', 0):,} bytes. The rest is not judged."
        )
    if "uri_cut" in event:
        gaps.append("The event has only the beginning of the URL.")
    if "headers_cut" in event:
        gaps.append("The event does not have all headers.")
    return gaps


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
