"""How bodies are read by their content type: what is ordinary passes, and nothing that a server might read passes unseen."""

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guardpanel.models.policies.policy_lists import DATA_TYPES, FILE_TYPES, FORM_TYPES
from guardpanel.models.policies.presets import PRESETS
from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.rows import SECRET, rows

pytestmark = pytest.mark.one_haproxy

ORDINARY: list[dict[str, Any]] = json.loads((Path(__file__).parent / "ordinary.json").read_text())
"""What real applications send, as requests: level 2 where they pass at that paranoia level, too."""

APPLICATIONS = {
    "enforcement_mode": "block",
    "allowed_methods": ["GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "MKCALENDAR"],
    "allowed_content_types": [
        *FORM_TYPES, *DATA_TYPES, *FILE_TYPES, "application/*+json", "application/graphql", "application/grpc-web+proto",
        "application/grpc-web-text", "application/x-git-receive-pack-request", "application/x-git-upload-pack-request",
        "application/x-ndjson", "application/x-protobuf", "application/x-sentry-envelope", "multipart/*", "text/calendar", "text/vcard",
    ],
}  # fmt: skip

POLICIES: dict[str, dict[str, Any]] = {
    "Website": {"enforcement_mode": "block", **PRESETS["website"]},
    "Upload": {"enforcement_mode": "block", **PRESETS["file_upload"]},
    "Unread": {"enforcement_mode": "block", "content_type_readings": ["application/json = none", "text/plain = xml"]},
    "Pictures": {"enforcement_mode": "block", "allowed_content_types": ["image/*"]},
    "Detects": {"enforcement_mode": "detect_only"},
    "Ordinary1": APPLICATIONS,
    "Ordinary2": {**APPLICATIONS, "blocking_paranoia_level": 2, "detection_paranoia_level": 2},
}

SQL = "1' union select password from users-- -"
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x00\x00\x00\x01\x00\x08\x06\x00\x00\x00" + bytes(range(256)) * 40
)


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    common: dict[str, Any] = {"servers": [{"address": server.address}], "health_check": False, "https": True}
    hosts = {f"{name.lower()}.test": {**common, "policy": name} for name in POLICIES if not name.startswith("Ordinary")}
    for level in (1, 2):
        names = {host_of(case["request"]) for case in ORDINARY if case["level"] == level}
        hosts[" ".join(sorted(names))] = {**common, "policy": f"Ordinary{level}"}
    with Stack(haproxy, rows(POLICIES, hosts)) as running:
        yield running


def host_of(request: dict[str, Any]) -> str:
    return str(next(value for name, value in request["headers"] if name.lower() == "host"))


def test_ordinary_requests_pass_while_blocking(stack: Stack) -> None:
    blocked = {}
    for case in ORDINARY:
        request = case["request"]
        body = (
            base64.b64decode(request["body_base64"]) if "body_base64" in request else request.get("body", "").encode()
        )
        named = [(name, value) for name, value in request["headers"] if name.lower() not in {"host", "connection"}]
        lines = [f"{request['method']} {request['path']} HTTP/1.1", f"Host: {host_of(request)}"]
        lines += [f"{name}: {value}" for name, value in named] + [f"x-gp-test: {SECRET}", "Connection: close", "", ""]
        answer = stack.send("\r\n".join(lines).encode(), body)
        if answer.status != 200 or answer.verdict["rules"] not in {"", "-"}:
            blocked[f"{case['application']}: {case['name']}"] = (answer.status, answer.verdict)

    assert not blocked
    assert len(ORDINARY) > 80


def test_files_pass_whatever_they_hold(stack: Stack) -> None:
    chance = random.Random(14).randbytes(1_000_000)
    for kind in ("application/octet-stream", "image/png", "Application/OCTET-Stream ; a=b"):
        for body in (PNG, b"{" + chance, chance):
            assert stack.post("upload.test", body, kind.replace(" ; a=b", "")).status == 200, (kind, body[:9])
    assert stack.post("website.test", b"First line\r\nSecond line: one & two\r\n", "text/plain").status == 200


XML = "<?xml version='1.0'?>"
HIDDEN: dict[str, tuple[str, bytes]] = {
    "a form": ("application/x-www-form-urlencoded", f"q={SQL}".encode()),
    "a form by a type with more after it": ("application/x-www-form-urlencoded, x", f"q={SQL}".encode()),
    "JSON after a byte order mark": ("application/json", b"\xef\xbb\xbf" + json.dumps({"q": SQL}).encode()),
    "JSON in UTF-16": ("application/json", json.dumps({"q": SQL}).encode("utf-16-le")),
    "JSON by its ending": ("application/vnd.api+json", json.dumps({"q": SQL}).encode()),
    "JSON in capitals": ("APPLICATION/JSON;charset=utf-8", json.dumps({"q": SQL}).encode()),
    "a report": ("application/csp-report", json.dumps({"csp-report": {"sample": SQL}}).encode()),
    "the name of an empty object": ("application/json", json.dumps({SQL: {}}).encode()),
    "lines of JSON": ("application/x-ndjson", b'{"a":1}\n' + json.dumps({"q": SQL}).encode()),
    "text": ("text/plain", SQL.encode()),
    "JSON in text": ("text/plain", json.dumps({"q": SQL}).replace("'", "\\u0027").encode()),
    "JSON in a picture": ("image/png", json.dumps({"q": SQL}).encode()),
    "a form in a picture": ("image/png", f"q={SQL}".encode()),
    "XML in a file": ("application/octet-stream", f"{XML}<q>{SQL}</q>".encode()),
    "XML of a picture": ("image/svg+xml", f"{XML}<q>{SQL}</q>".encode()),
    "an unknown type": ("x-a/x-b", f"q={SQL}".encode()),
    "what is no type": ("json", f"q={SQL}".encode()),
    "a type without text": ("", f"q={SQL}".encode()),
    "text divided by comments": ("text/xml", f"{XML}<q>1' uni<!-- -->on sel<!-- -->ect password from users-- -</q>".encode()),
    "text divided by CDATA": ("application/xml", f"{XML}<q>1' uni<![CDATA[on sel]]>ect password from users-- -</q>".encode()),
    "an attribute": ("application/soap+xml", f'{XML}<q a="{SQL}"/>'.encode()),
    "XML-RPC": ("text/xml", f"{XML}<methodCall><params><param><value>{SQL}</value></param></params></methodCall>".encode()),
    "XML in UTF-16": ("text/xml", f"<?xml version='1.0' encoding='utf-16'?><q>{SQL}</q>".encode("utf-16")),
}  # fmt: skip
"Attacks in bodies that servers read. In a policy with a threshold that the type alone does not reach."


@pytest.mark.parametrize("name", HIDDEN)
def test_an_attack_is_found_whatever_the_content_type_says(channel: Stack, name: str) -> None:
    kind, body = HIDDEN[name]

    rules = channel.post("detects.test", body, kind).verdict["rules"]

    assert any(rule.startswith("942") for rule in rules.split(",")), rules


REFUSED: dict[str, tuple[str, bytes]] = {
    "UTF-7": ("application/json;charset=utf-7", b'{"q":"+ACc-"}'),
    "UTF-16 that is not": ("text/plain; charset=utf-16", b"q=1"),
    "more after JSON": ("application/json", b'{"a":1}{"q":2}'),
    "entities": ("text/xml", b'<!DOCTYPE a [<!ENTITY b "x">]><a>&b;</a>'),
    "a document type from elsewhere": ("text/xml", b'<!DOCTYPE a SYSTEM "http://evil.example/a.dtd"><a/>'),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_servers_read_differently_is_refused_and_an_event_while_detecting(channel: Stack, name: str) -> None:
    kind, body = REFUSED[name]

    blocked, detected = channel.post("website.test", body, kind), channel.post("detects.test", body, kind)

    assert blocked.status in {400, 403}
    assert detected.status == 200
    assert "200002" in detected.verdict["rules"].split(",")


def test_two_content_types_are_refused(stack: Stack) -> None:
    both = {"content-type": "image/png", "Content-Type": "application/x-www-form-urlencoded"}

    assert stack.request("POST", "website.test", "/", both, b"q=1").status == 400
    assert "190220" in stack.request("POST", "detects.test", "/", both, b"q=1").verdict["rules"]


def test_a_policy_says_how_a_type_is_read(stack: Stack) -> None:
    attack = json.dumps({"q": SQL}).encode()

    assert stack.post("unread.test", attack, "application/json; charset=utf-8").status == 200
    assert stack.post("unread.test", attack, "application/soap+json").status == 403  # that pattern alone
    assert stack.post("unread.test", f"<q>{SQL}</q>".encode(), "text/plain").status == 403
    assert stack.post("unread.test", b"no XML", "text/plain").status == 400


def test_a_pattern_allows_the_types_that_it_matches_alone(stack: Stack) -> None:
    for kind, status in (
        ("image/webp", 200),
        ("Video/MP4", 200),
        ("image", 403),
        ("imageX/png", 403),
        ("text/html", 403),
    ):
        answer = stack.post("upload.test", PNG, kind)

        assert answer.status == status, kind
        assert ("920420" in answer.verdict["rules"]) is (status == 403)
