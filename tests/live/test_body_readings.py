"""Body readings, judged by the real agent: these requests are read so, and nothing beside them."""

from collections.abc import Iterator
from typing import Any

import pytest

from guardpanel.models.policies.content_types import ReadAs
from tests.live.judging import EvaluatedRequest, Judge, a_request
from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.rows import rows

SIGNALR = b'{"protocol":"json","version":1}\x1e{"arguments":["robin","hi; echo this"],"type":1}\x1e'
"What a SignalR client sends as text/plain by long polling: documents divided by a control character."

SQL = b'{"a": "1\' union select password from users-- "}'
ATTACKS = {
    ReadAs.FORM: b"a=1'+union+select+password+from+users--+",
    ReadAs.MULTIPART: b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\' union select password from users-- \r\n--x--\r\n',
    ReadAs.JSON: SQL,
    ReadAs.NDJSON: b'{"b": 1}\n' + SQL,
    ReadAs.XML: b"<a>1' union select password from users-- </a>",
    ReadAs.TEXT: b"1' union select password from users-- ",
    ReadAs.BINARY: b"1' union select password from users-- ",
}
UNREAD_TYPE, UNREAD_MULTIPART = "application/x-unread", "multipart/x-unread"


def reading(path: str, read_as: str, **others: Any) -> dict[str, Any]:
    return {"policy": "Strict", "path": path, "read_as": read_as, **others}


def sent(path: str, body: bytes = SIGNALR, kind: str = "text/plain", method: str = "POST") -> EvaluatedRequest:
    return a_request(method, path, body, content_type=kind)


Tried = tuple[dict[str, Any], list[EvaluatedRequest], list[EvaluatedRequest]]

PLACES: dict[str, Tried] = {
    "a path": (
        reading("/hub", "none"),
        [sent("/hub"), sent("/hub?id=1"), sent("/%68ub"), sent("/hub", method="PUT"), sent("/hub", kind="text/html")],
        [sent("/hub2"), sent("/hub/"), sent("/Hub"), sent("/hub/../login"), sent("/a/hub")],
    ),
    "a path and all below": (
        reading("/below", "none", path_match="below"),
        [sent("/below"), sent("/below/a/b")],
        [sent(f"/below{step}login") for step in ("/../", "/..;/", "/%2e%2e/", "/%252e%252e/", "/..%5c", "-")],
    ),
    "a pattern of paths": (
        reading(r"/api/\d+/event", "none", path_match="pattern"),
        [sent("/api/12/event")],
        [sent("/api/12/event/"), sent("/api/x/event"), sent("/api/1/event%0a"), sent("/x%0a/api/1/event")],
    ),
    "a method": (
        reading("/method", "none", methods=["POST"]),
        [sent("/method")],
        [sent("/method", method="PUT"), sent("/method", method="PATCH")],
    ),
    "a content type": (
        reading("/type", "none", content_types=["text/plain", "image/*"]),
        [sent("/type"), sent("/type", kind="Text/Plain; charset=UTF-8"), sent("/type", b"a=" + SIGNALR, "image/png")],
        [sent("/type", kind="text/html"), sent("/type", kind="text/plainer"), sent("/type", SQL, "application/json; x=text/plain")],
    ),
    "every path with a method": (
        reading("", "none", path_match="any", methods=["REPORT"]),
        [sent("/x", method="REPORT")],
        [sent("/x", method="PUT")],
    ),
}  # fmt: skip

NESTED = [
    reading("/nested/text", "text"),
    reading("/nested", "none", path_match="below"),
    reading(r"/nested/.*", "json", path_match="pattern"),
    reading("/nested/text", "xml", content_types=["text/x-xml"]),
]
"Of several that fit, the narrowest holds, whatever came first."

TYPES = ["text/plain", "text/html", "text/x-xml", "image/*", "application/json", UNREAD_TYPE, UNREAD_MULTIPART]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "REPORT"]


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    policies = {
        "Strict": {
            "enforcement_mode": "block",
            "allowed_methods": METHODS,
            "allowed_content_types": TYPES,
            "content_type_readings": [f"{UNREAD_TYPE} = none", f"{UNREAD_MULTIPART} = none"],
        },
    }
    ways = [reading(f"/as/{how}", how) for how in ReadAs]
    readings = [*(reading for reading, _, _ in PLACES.values()), *ways, *NESTED]
    with Judge(rows(policies, {}, readings=readings)) as made:
        yield made


@pytest.mark.parametrize("tried", PLACES.values(), ids=PLACES)
def test_only_matching_requests_are_parsed_differently(judge: Judge, tried: Tried) -> None:
    _, freed, others = tried

    assert [judge.says(request)["verdict"] for request in freed] == ["pass"] * len(freed)
    assert [judge.says(other)["verdict"] for other in others] == ["blocked"] * len(others)


@pytest.mark.parametrize("how", ATTACKS)
def test_what_was_not_read_is_read_as_it_says(judge: Judge, how: ReadAs) -> None:
    kind = f"{UNREAD_MULTIPART}; boundary=x" if how is ReadAs.MULTIPART else UNREAD_TYPE

    assert judge.fired(sent(f"/as/{how}", ATTACKS[how], kind)) & {942100}
    assert judge.says(sent("/elsewhere", ATTACKS[how], kind))["verdict"] == "pass"


def test_the_narrowest_of_several_holds(judge: Judge) -> None:
    assert judge.fired(sent("/nested/text", ATTACKS[ReadAs.TEXT])), "text, by its exact path"
    assert judge.says(sent("/nested/other", ATTACKS[ReadAs.TEXT]))["verdict"] == "pass", "not inspected, below"
    assert judge.fired(sent("/nested/text", b"no xml", "text/x-xml")) == {200002}, "XML, by path and type"


@pytest.mark.one_haproxy
def test_visitors_are_judged_so_before_and_after_a_restart_and_until_it_is_deleted(
    haproxy: str, server: Origin
) -> None:
    hosts = {"one.test": {"policy": "Strict", "servers": [{"address": server.address}], "health_check": False}}
    policies = {"Strict": {"enforcement_mode": "block"}}
    own = reading("/", "none", methods=["POST"], content_types=["text/plain"])
    with Stack(haproxy, rows(policies, hosts, readings=[own])) as stack:

        def statuses() -> list[int]:
            return [stack.post("one.test", SIGNALR, kind).status for kind in ("text/plain", "application/json")]

        assert statuses() == [200, 400]
        stack.stop_agent()
        stack.start_agent()
        stack.wait_until_live()
        assert statuses() == [200, 400]
        stack.reload(rows(policies, hosts))
        assert statuses() == [403, 400]
