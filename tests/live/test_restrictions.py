"""Headers, extensions, charsets and HTTP versions of a policy, judged by the real agent: each entry alone has its effect."""

from collections.abc import Iterator
from typing import Any

import pytest

from guardpanel.models.policies.restrictions import CHARSETS, EXTENSIONS, HEADERS, HTTP_VERSIONS, READABLE_CHARSETS
from tests.live.judging import EvaluatedRequest, Judge, a_form, a_request
from tests.rows import rows

LEVEL_2 = {"blocking_paranoia_level": 2, "detection_paranoia_level": 2}
POLICIES: dict[str, dict[str, Any]] = {
    "Plain": LEVEL_2,
    "Own": {
        **LEVEL_2,
        "restricted_headers": ["proxy", "X-Own", "accept-charset"],
        "restricted_extensions": [".own", ".bak"],
        "allowed_charsets": sorted(READABLE_CHARSETS),
        "allowed_http_versions": ["1.1"],
    },
    "None": {**LEVEL_2, "restricted_headers": [], "restricted_extensions": []},
    "Short": {
        "argument_name_length": 5,
        "argument_length": 10,
        "total_argument_length": 30,
        "upload_kib": 4,
        "files_kib": 2,
    },
}
PLAIN, OWN, NONE, SHORT = 1, 2, 3, 4


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(rows({name: {"enforcement_mode": "block", **fields} for name, fields in POLICIES.items()}, {})) as made:
        yield made


def with_header(name: str) -> EvaluatedRequest:
    request = a_request("GET", "/")
    return {**request, "headers": [*request["headers"], [name, "x"]]}


def fired_by(judge: Judge, request: EvaluatedRequest, policy_id: int, rules: set[int]) -> bool:
    return bool(judge.fired(request, policy_id) & rules)


def test_headers_are_restricted_one_by_one(judge: Judge) -> None:
    rules = {920450, 920451}
    names = [*HEADERS, "x-own", "x-other"]
    restricted = {
        at: {name for name in names if fired_by(judge, with_header(name), at, rules)} for at in (PLAIN, OWN, NONE)
    }

    assert restricted == {PLAIN: set(HEADERS), OWN: {"proxy", "x-own", "accept-charset"}, NONE: set()}


def test_extensions_are_restricted_one_by_one(judge: Judge) -> None:
    names = [*EXTENSIONS, ".own", ".html", ".sqlx"]
    restricted = {
        at: {name for name in names if fired_by(judge, a_request("GET", f"/a/file{name}"), at, {920440})}
        for at in (PLAIN, OWN, NONE)
    }

    assert restricted == {PLAIN: set(EXTENSIONS), OWN: {".own", ".bak"}, NONE: set()}


def in_charset(charset: str) -> EvaluatedRequest:
    """A body that shows how it is written where its charset has to be seen in the bytes."""
    text = '{"a": "b"}'
    body = text.encode(
        {"utf8": "utf-8", "us-ascii": "ascii", "macintosh": "mac-roman", "windows-874": "cp874"}.get(charset, charset)
    )
    return a_request("POST", "/", body, content_type=f"application/json; charset={charset}")


def test_every_charset_that_can_be_allowed_is_read(judge: Judge) -> None:
    refused = {name: fired for name in READABLE_CHARSETS if (fired := judge.fired(in_charset(name), OWN))}
    by_default = {name for name in READABLE_CHARSETS if not fired_by(judge, in_charset(name), PLAIN, {920480})}

    assert not refused
    assert by_default == set(CHARSETS)


def test_only_allowed_versions_of_http_pass(judge: Judge) -> None:
    sent = [version if "." in version else f"{version}.0" for version in HTTP_VERSIONS]
    rejected = {
        at: {
            version for version in sent if fired_by(judge, {**a_request("GET", "/"), "version": version}, at, {920430})
        }
        for at in (PLAIN, OWN)
    }

    assert rejected == {PLAIN: set(), OWN: {"1.0", "2.0", "3.0"}}


def an_upload(size: int) -> EvaluatedRequest:
    """A file of so many bytes."""
    file = '--x\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\nContent-Type: text/plain\r\n\r\n'
    body = f"{file}{'c' * size}\r\n--x--\r\n".encode()
    return a_request("POST", "/", body, content_type="multipart/form-data; boundary=x")


LENGTHS = {
    920360: (a_request("GET", "/?abcde=1"), a_request("GET", "/?abcdef=1")),
    920370: (a_form("/", {"a": "1234567890"}), a_form("/", {"a": "12345678901"})),
    920390: (
        a_form("/", {"a": "1" * 9, "b": "2" * 9, "c": "3" * 9}),
        a_form("/", {"a": "1" * 10, "b": "2" * 10, "c": "3" * 10}),
    ),
    920410: (an_upload(2_048), an_upload(2_049)),
    920400: (an_upload(2_000), an_upload(4_000)),
}
"By rule: at most so much, and more."


@pytest.mark.parametrize("rule", LENGTHS)
def test_lengths_count_only_where_they_are_set(judge: Judge, rule: int) -> None:
    as_long, longer = LENGTHS[rule]

    assert not judge.fired(as_long, SHORT) & set(LENGTHS)
    assert rule in judge.fired(longer, SHORT)
    assert not judge.fired(longer, NONE) & set(LENGTHS)
