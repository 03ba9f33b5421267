"""Rungs of the ladder that are settings of the policy: they free the request, and what is beside it stays blocked."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from guardpanel.models.policies.content_types import ReadAs
from guardpanel.models.policies.path_condition import PathMatch
from guardpanel.models.policies.restrictions import CHARSETS, EXTENSIONS, HEADERS
from guardpanel.services.fixes.ladder import Ladder
from guardpanel.services.fixes.widths import Width
from guardpanel.services.fixes.words import seclang
from tests.live.judging import EvaluatedRequest, Judge, a_json, a_request
from tests.live.test_fix_cases import Trial
from tests.live.test_fix_cases import a_request as recorded
from tests.live.test_restrictions import LENGTHS, an_upload
from tests.rows import rows


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(rows({"Any": {}}, {})) as running:
        yield running


def tried(
    judge: Judge, request: EvaluatedRequest, width: Width, others: list[EvaluatedRequest], **policy: Any
) -> tuple[Ladder, list[str]]:
    """The ladder of a request that is evaluated, and the verdicts on others under its rung of that width."""
    trial = Trial(judge, {"policy": policy, "request": {"method": "GET", "path": "/", "headers": []}})
    trial.request = recorded(request)

    async def climbed() -> tuple[Ladder, list[str]]:
        ladder = await trial.ladder()
        rung = ladder.rung(width)
        assert rung is not None, [rung.width for rung in ladder.rungs]
        assert rung.works, rung.problem
        return ladder, [(await trial.under(rung.draft, other)).verdict for other in others]

    return asyncio.run(climbed())


def in_charset(charset: str) -> EvaluatedRequest:
    return {**a_json("/", {"a": "b"}), "headers": [["host", "a.test"], ["user-agent", "x"], ["accept", "*/*"],
            ["content-length", "10"], ["content-type", f"application/json; charset={charset}"]]}  # fmt: skip


RESTRICTIONS: dict[str, tuple[EvaluatedRequest, dict[str, Any], EvaluatedRequest]] = {
    "a header": (
        a_request("GET", "/a", x_http_method_override="PUT"),
        {"restricted_headers": [name for name in HEADERS if name != "x-http-method-override"]},
        a_request("GET", "/a", x_http_method="PUT"),
    ),
    "an extension": (
        a_request("GET", "/backup/shop.SQL"),
        {"restricted_extensions": [name for name in EXTENSIONS if name != ".sql"]},
        a_request("GET", "/backup/shop.bak"),
    ),
    "a charset": (in_charset("KOI8-R"), {"allowed_charsets": [*CHARSETS, "koi8-r"]}, in_charset("koi8-u")),
    "a version of HTTP": (
        {**a_request("GET", "/"), "version": "1.0"},
        {"allowed_http_versions": ["1.0", "1.1"]},
        {**a_request("GET", "/"), "version": "2.0"},
    ),
}


@pytest.mark.parametrize("name", RESTRICTIONS)
def test_what_is_restricted_is_allowed_alone(judge: Judge, name: str) -> None:
    request, policy, other = RESTRICTIONS[name]

    ladder, verdicts = tried(judge, request, Width.RESTRICTIONS, [request, other], allowed_http_versions=["1.1"])

    assert ladder.rung(Width.RESTRICTIONS).draft.policy == policy  # type: ignore[union-attr]
    assert verdicts == ["pass", "blocked"]


def a_scan(path: str) -> EvaluatedRequest:
    """What a scanner sends: a file name with a blank and without quotes, which parsers read differently (200003)."""
    body = (
        b"--x\r\nContent-Disposition: form-data; name=file; filename=Scan 1.pdf\r\n\r\n%PDF-1.4 \xff\xfe\r\n--x--\r\n"
    )
    return a_request("POST", path, body, content_type="multipart/form-data; boundary=x")


def test_a_body_that_cannot_be_parsed_is_read_otherwise_for_its_path_alone(judge: Judge) -> None:
    others = [a_scan("/other"), {**a_scan("/scan"), "method": "PUT"}]

    ladder, verdicts = tried(judge, a_scan("/scan"), Width.SETTING, others)

    draft = ladder.rung(Width.SETTING).draft  # type: ignore[union-attr]
    (reading,) = draft.readings
    assert f"ctl:requestBodyProcessor={reading.read_as.upper()}" in seclang(draft, 1)
    assert (reading.path_match, reading.path, reading.methods) == (PathMatch.EXACT, "/scan", ["POST"])
    assert reading.content_types == ["multipart/form-data"]
    assert reading.read_as in {ReadAs.TEXT, ReadAs.NONE}
    assert verdicts == ["blocked", "blocked"]


def test_a_body_reading_for_the_same_requests_is_changed(judge: Judge) -> None:
    reading = {"path": "/event", "methods": ["POST"], "content_types": ["text/plain"], "read_as": "json"}
    no_json = a_request("POST", "/event", b"{not json", content_type="text/plain")
    case = {"policy": {}, "readings": [reading], "request": {"method": "GET", "path": "/", "headers": []}}

    async def climbed() -> tuple[Trial, Ladder]:
        trial = Trial(judge, case)
        trial.request = recorded(no_json)
        return trial, await trial.ladder()

    trial, ladder = asyncio.run(climbed())

    assert ladder.before.verdict == "blocked"
    rung = ladder.rung(Width.SETTING)
    assert rung is not None and rung.works
    (changed,) = rung.draft.readings
    assert changed.read_as is ReadAs.TEXT
    assert trial.ground.existing("body_reading", changed) is not None


LIMITS = {
    "argument_name_length": 5,
    "argument_length": 10,
    "total_argument_length": 30,
    "upload_kib": 3,
    "files_kib": 2,
}
RAISED: dict[int, dict[str, int]] = {
    920360: {"argument_name_length": 10},
    920370: {"argument_length": 100, "total_argument_length": 100},
    920390: {"total_argument_length": 100},
    920410: {"files_kib": 3},
    920400: {"upload_kib": 5, "files_kib": 4},
}


@pytest.mark.parametrize("rule", RAISED)
def test_a_length_is_raised_as_far_as_the_request_needs(judge: Judge, rule: int) -> None:
    _, longer = LENGTHS[rule]
    longest = a_request("POST", f"/?{'n' * 500}={'v' * 5_000}", an_upload(9_000)["body"].encode())

    ladder, verdicts = tried(judge, longer, Width.RESTRICTIONS, [longer, longest], **LIMITS)

    assert ladder.rung(Width.RESTRICTIONS).draft.policy == RAISED[rule]  # type: ignore[union-attr]
    assert verdicts == ["pass", "blocked"]
