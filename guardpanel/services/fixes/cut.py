"""Completes a truncated body so that it can be parsed."""

import codecs
import re

HALF_AN_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*(\\(?:u[0-9A-Fa-f]{0,3})?)\Z")

BARE = re.compile(rb"([:,\[]\s*)[-+\w.]+$")
"A number or a word that may continue."


def closed(body: bytes, content_type: str, boundary: str) -> bytes:
    """By its content type. A form or a text needs nothing."""
    if content_type.startswith("multipart/") and boundary:
        return body + f"\r\n--{boundary}--\r\n".encode()
    if "json" in content_type:
        return close_json(body)
    if "xml" in content_type:
        return close_xml(body)
    return body


OPENS = {ord("{"): b"}", ord("["): b"]"}
QUOTE, ESCAPE = ord('"'), ord("\\")


def close_json(body: bytes) -> bytes:
    """The longest prefix that ends after a whole value, with open brackets closed. The last text may be truncated."""
    stack: list[bytes] = []
    in_text = escaped = False
    for byte in body:
        if in_text:
            in_text, escaped = (escaped or byte != QUOTE), (not escaped and byte == ESCAPE)
        elif byte == QUOTE:
            in_text = True
        elif byte in OPENS:
            stack.append(OPENS[byte])
        elif stack and byte == stack[-1][0]:
            stack.pop()
    text = _without_half_an_escape(body) + b'"' if in_text else body
    return _with_a_value(text.rstrip(), stack) + b"".join(reversed(stack))


def _without_half_an_escape(text: bytes) -> bytes:
    r"""A `\` or `\u12` at the end would swallow the quote, and a letter may be cut in two."""
    letters = _whole_letters(text)
    half = HALF_AN_ESCAPE.search(letters)
    return letters[: half.start(1)] if half else letters


def _whole_letters(text: bytes) -> bytes:
    """Without a letter at its end that is cut in two."""
    return codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(text).encode("utf-8", "surrogateescape")


def _with_a_value(text: bytes, stack: list[bytes]) -> bytes:
    """A member needs a value, and no comma follows the last one."""
    if text.endswith(b","):
        return text[:-1]
    if text.endswith(b":"):
        return text + b"null"
    if text.endswith(b'"') and stack and stack[-1] == b"}" and _is_a_name(text):
        return text + b":null"
    return BARE.sub(rb"\g<1>null", text)


def _is_a_name(text: bytes) -> bool:
    """Whether the text at the end is a member's name: `{` or `,` precedes it."""
    start = text.rfind(b'"', 0, len(text) - 1)
    while start > 0 and text[start - 1] == ESCAPE:
        start = text.rfind(b'"', 0, start)
    return text[:start].rstrip()[-1:] in {b"{", b","}


XML_PIECE = re.compile(
    rb"[^<]+|<!\[CDATA\[.*?\]\]>|<!--.*?-->|<\?.*?\?>|<!(?!\[CDATA\[|--)[^>]*>"
    rb"|<(?P<ends>/?)(?P<name>[^\s<>/!?]++)(?:[^<>\"']|\"[^\"]*\"|'[^']*')*+>",
    re.DOTALL,
)
"""A text, a section, a comment, an instruction, a declaration or a tag, each of them whole. It is tried once: going back in a
tag that has no end would take seconds of an attacker's long name."""

HALF_AN_ENTITY = re.compile(rb"&[^\s;&]{0,12}\Z")


def close_xml(body: bytes) -> bytes:
    """The longest prefix that ends after a whole piece, with open elements closed. A text or section may be truncated."""
    open_elements: list[bytes] = []
    end = 0
    while piece := XML_PIECE.match(body, end):
        end = piece.end()
        name = piece["name"]
        if name and piece["ends"]:
            open_elements = open_elements[:-1]
        elif name and not piece[0].endswith(b"/>"):
            open_elements.append(name)
    tail = body[end:]
    text = _whole_letters(body) + b"]]>" if tail.startswith(b"<![CDATA[") else body[:end]
    text = HALF_AN_ENTITY.sub(b"", _whole_letters(text))
    return text + b"".join(b"</%b>" % name for name in reversed(open_elements))
