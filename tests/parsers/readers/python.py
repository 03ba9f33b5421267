"""Python's readers, as a program: Django, Werkzeug (Flask's), Starlette (FastAPI's, by python-multipart), json and expat."""

import asyncio
import base64
import contextlib
import io
import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from xml.dom import minidom
from xml.etree import ElementTree as ET
from xml.parsers.expat import ExpatError

import django
from django.conf import settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.core.handlers.wsgi import WSGIRequest
from django.http import RawPostDataException, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from starlette.exceptions import HTTPException as StarletteException
from starlette.formparsers import MultiPartException
from starlette.requests import Request as StarletteRequest
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request as WerkzeugRequest

from tests.parsers.body import Body, Value

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
settings.configure(DEFAULT_CHARSET="utf-8", FILE_UPLOAD_HANDLERS=["django.core.files.uploadhandler.MemoryFileUploadHandler"])  # fmt: skip
django.setup()


Fields = list[tuple[str, str | None, str | None]]
"""Place, name and text of each."""


def main() -> None:
    """Answers a line for a line, as Node's and Go's readers do."""
    loop = asyncio.new_event_loop()
    for line in sys.stdin:
        request = json.loads(line)
        body = Body(request["type"], base64.b64decode(request["content"]))
        rows = [[row.reader, row.place, row.name, base64.b64encode(row.text).decode()] for row in read(body, loop)]
        print(json.dumps(rows), flush=True)


def read(body: Body, loop: asyncio.AbstractEventLoop) -> Iterator[Value]:
    yield from form("django", of_django, body)
    yield from form("werkzeug", of_werkzeug, body)
    yield from form("starlette", lambda sent: loop.run_until_complete(of_starlette(sent)), body)
    kind = body.content_type.lower()
    if "json" in kind:
        yield from of_json(body.content)
    if "xml" in kind:
        yield from of_xml(body.content)


def form(reader: str, read: Callable[[Body], Fields], body: Body) -> Iterator[Value]:
    try:
        handed = read(body)
    except REFUSALS:
        return
    for place, name, text in handed:
        yield Value(reader, place, (name or "",), (text or "").encode("utf-8", "surrogatepass"))


REFUSALS = (
    BadRequest, SuspiciousOperation, RawPostDataException, UnreadablePostError, MultiPartParserError, HTTPException,
    StarletteException, MultiPartException, ValueError, KeyError, LookupError, AttributeError, TypeError, AssertionError,
)  # fmt: skip
"""What an application answers with 400, or with 500: it is handed nothing."""


def environment(body: Body) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/", "SERVER_NAME": "shop.test", "SERVER_PORT": "80", "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body.content),
        "wsgi.input_terminated": True, "CONTENT_TYPE": body.content_type.encode().decode("latin-1"), "CONTENT_LENGTH": str(len(body.content)),
    }  # fmt: skip


def of_django(body: Body) -> Fields:
    request = WSGIRequest(environment(body))
    fields: Fields = [("field", name, value) for name, values in request.POST.lists() for value in values]
    return fields + [("file", name, file.name or "") for name, files in request.FILES.lists() for file in files]


def of_werkzeug(body: Body) -> Fields:
    request = WerkzeugRequest(environment(body))
    fields: Fields = [("field", name, value) for name, values in request.form.lists() for value in values]
    return fields + [("file", name, file.filename or "") for name, files in request.files.lists() for file in files]


async def of_starlette(body: Body) -> Fields:
    sent = iter([{"type": "http.request", "body": body.content, "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(sent)

    headers = [(b"content-type", body.content_type.encode()), (b"content-length", b"%d" % len(body.content))]
    request = StarletteRequest({"type": "http", "method": "POST", "headers": headers, "path": "/"}, receive)
    async with request.form() as form:
        return [
            ("field", name, value) if isinstance(value, str) else ("file", name, value.filename or "")
            for name, value in form.multi_items()
        ]


def of_json(content: bytes) -> Iterator[Value]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return
    for path, text in leaves(document, ()):
        yield Value("json.loads", "json", path, text.encode("utf-8", "surrogatepass"))


def leaves(document: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    match document:
        case str():
            yield path, document
        case dict():
            for name, value in document.items():
                yield from leaves(value, (*path, name))
        case list():
            for at, value in enumerate(document):
                yield from leaves(value, (*path, str(at)))


def of_xml(content: bytes) -> Iterator[Value]:
    texts: list[str] = []
    with contextlib.suppress(ET.ParseError, ExpatError, ValueError, LookupError):
        texts += of_element_tree(ET.fromstring(content))
        texts += of_minidom(minidom.parseString(content))
    for text in texts:
        yield Value("expat", "xml", (), text.encode("utf-8", "surrogatepass"))


def of_element_tree(root: ET.Element) -> Iterator[str]:
    for element in root.iter():
        yield element.text or ""
        yield element.tail or ""
        if (element.text or "").strip() or any((child.tail or "").strip() for child in element):
            yield "".join(element.itertext())  # else they are values of their own, as two fields of a form are
        yield from element.attrib.values()


def of_minidom(document: minidom.Document) -> Iterable[str]:
    for element in document.getElementsByTagName("*"):
        yield "".join(child.data for child in element.childNodes if child.nodeType in {child.TEXT_NODE, child.CDATA_SECTION_NODE})  # fmt: skip
        yield from (attribute.value for attribute in (element.attributes or {}).values())


if __name__ == "__main__":
    main()
