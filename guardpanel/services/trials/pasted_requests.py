"""A request as somebody pastes it: raw HTTP, or a curl command as browsers copy it."""

from guardpanel.errors import Invalid
from guardpanel.field_codes import FieldCode
from guardpanel.services.fixes.requests import Request
from guardpanel.services.trials.curl import NotCurl, read_curl

CLIENT = "198.51.100.23"
"An address of no visitor (RFC 5737)."

LONGEST = 1_000_000


def read_request(text: str, field: str) -> Request:
    """Raises Invalid at the field, with what to do."""
    text = text.replace("\r\n", "\n").lstrip()
    if not text.strip():
        raise Invalid.at(field, "Paste a request, or a curl command.", FieldCode.REQUIRED)
    if len(text) > LONGEST:
        raise Invalid.at(field, f"At most {LONGEST:,} characters.", FieldCode.TOO_LONG)
    try:
        return _sent(*read_curl(text)) if text.split(None, 1)[0] == "curl" else _raw(text)
    except NotCurl as error:
        raise Invalid.at(field, str(error)) from None


def _raw(text: str) -> Request:
    head, _, body = text.partition("\n\n")
    first, *lines = head.split("\n")
    parts = first.split(" ")
    if len(parts) not in {2, 3} or not parts[0].isalpha() or (len(parts) == 3 and not parts[2].startswith("HTTP/")):
        raise NotCurl("Begin with the request line: GET /path HTTP/1.1, or with curl.")
    headers = [_header(line) for line in lines if line.strip()]
    if any(name.lower() == "transfer-encoding" for name, _ in headers):
        raise NotCurl("Remove Transfer-Encoding, and paste the body as it is without chunks.")
    kind = next((value for name, value in headers if name.lower() == "content-type"), "")
    body = body.removesuffix("\n")
    if kind.lower().startswith("multipart/"):
        body = body.replace("\n", "\r\n") + "\r\n"
    return _sent(parts[0], parts[1], headers, body.encode("utf-8", "surrogateescape"))


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip() or name != name.strip():
        raise NotCurl(f"{line[:60]} is not a header. Leave an empty line before the body.")
    return name, value.strip()


def _sent(method: str, uri: str, headers: list[tuple[str, str]], body: bytes) -> Request:
    """With the path alone, and the length that the body has."""
    if "://" in uri.partition("?")[0]:
        host, _, path = uri.partition("://")[2].partition("/")
        headers = headers if _has(headers, "host") else [("Host", host), *headers]
        uri = f"/{path}"
    headers = [(name, value) for name, value in headers if not _is_for_haproxy(name, value)]
    if body or method not in {"GET", "HEAD"}:
        headers.append(("Content-Length", str(len(body))))
    if not _has(headers, "host"):
        headers.insert(0, ("Host", "example.com"))
    return Request(CLIENT, method, uri.partition("#")[0] or "/", "1.1", tuple(headers), body)


def _is_for_haproxy(name: str, value: str) -> bool:
    """HAProxy answers `Expect: 100-continue` itself and removes it, so rules never see it. The length follows the body."""
    return name.lower() == "content-length" or (name.lower() == "expect" and value.lower() == "100-continue")


def _has(headers: list[tuple[str, str]], name: str) -> bool:
    return any(header.lower() == name for header, _ in headers)
