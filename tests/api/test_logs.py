"""Events as the React panel asks for them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from guardpanel.panel import Panel
from tests.corpus import HOSTILE, share
from tests.events import a_failed_line, a_log_line, a_rule, an_event, store
from tests.factories import a_vhost

pytestmark = pytest.mark.anyio

LOGS = "/api/v1/logs"
Client = httpx2.AsyncClient

READ = {
    "id", "event_at", "vhost", "method", "request_uri", "action", "anomaly_score", "rule_id", "rule_message", "severity", "source_ip",
    "status_code", "paranoia_level", "policy_name", "producer_event_id", "raw_context",
}  # fmt: skip
"What the React panel looks at."


@pytest.fixture
def file(panel: Panel) -> Path:
    return panel.settings.events_database


async def ids(client: Client, query: str) -> list[str]:
    answer = await client.get(f"{LOGS}?{query}")
    assert answer.status_code == 200, answer.text
    return [item["producer_event_id"] for item in answer.json()["items"]]


async def test_an_event_has_what_the_react_panel_reads(ada_api: Client, file: Path) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost("shop.example", policy_id=1))
    event = an_event()
    store(file, [event], [a_log_line(event)])

    page = (await ada_api.get(LOGS)).json()

    (logged,) = page["items"]
    assert page | {"items": []} == {
        "items": [], "total": 1, "total_is_exact": True, "page": 1, "page_size": 50, "per_page": 50
    }  # fmt: skip
    assert set(logged) >= READ
    assert logged | {"raw_context": None} == {
        "id": int(datetime.fromisoformat(event["time"]).timestamp() * 1_000_000), "producer_event_id": event["id"],
        "event_at": event["time"].replace(".000000", ""), "vhost": "shop.example", "vhost_id": 1, "action": "deny", "verdict": "blocked",
        "source_ip": "192.0.2.7", "method": "GET", "request_uri": event["uri"], "status_code": 403, "rule_id": 942100,
        "rule_message": "SQL Injection Attack Detected via libinjection", "rules": [942100, 949110], "anomaly_score": 5,
        "paranoia_level": 1, "severity": "critical", "message": None, "policy_id": 1, "policy_name": "Default",
        "application": "p1a2b3c4d5e6f", "revision": None, "reason": None, "raw_context": None,
    }  # fmt: skip
    assert logged["raw_context"]["agent"]["rules"][0]["id"] == 942100
    assert logged["raw_context"]["haproxy"]["ended"] == "PR--"
    assert logged["id"] < 2**53


FILTERS: list[tuple[str, dict[str, Any]]] = [
    ("action=monitor", {"verdict": "detected"}),
    ("verdict=detected", {"verdict": "detected"}),
    ("severity=warning", {"rules": [a_rule(severity="warning")]}),
    ("severity=info", {"rules": [a_rule(severity="notice")]}),
    ("severity=info", {"rules": []}),
    ("vhost=blog.example", {"host": "blog.example"}),
    ("vhost=BLOG.example", {"host": "blog.example"}),
    ("method=POST", {"method": "POST"}),
    ("source_ip=2001:db8::1", {"client": "2001:db8::1"}),
    ("source_ip=198.51.100.0/24", {"client": "198.51.100.4"}),
    ("rule_id=932160", {"rules": [a_rule(932160)]}),
    ("min_score=9", {"scores": {"blocking_inbound_anomaly_score": 9}}),
    ("path=/wp-", {"uri": "/wp-login.php"}),
    ("q=wp-log", {"uri": "/wp-login.php"}),
]


@pytest.mark.parametrize(("query", "other"), FILTERS, ids=[query for query, _ in FILTERS])
async def test_each_filter_narrows(ada_api: Client, file: Path, query: str, other: dict[str, Any]) -> None:
    wanted = an_event(**other)
    store(file, [an_event(), wanted, an_event()])

    assert await ids(ada_api, query) == [wanted["id"]]
    assert await ids(ada_api, query + "&vhost=nowhere.example") == []


async def test_two_events_of_one_rule_each_keep_their_words(ada_api: Client, file: Path) -> None:
    old, new = (an_event(rules=[a_rule(9000001, message=words)]) for words in ("Old words", "New words"))
    store(file, [old, new])

    for size in (50, 500):
        page = (await ada_api.get(LOGS, params={"page_size": size})).json()
        assert [item["rule_message"] for item in page["items"]] == ["New words", "Old words"]


async def test_undelivered_requests_can_be_listed(ada_api: Client, file: Path) -> None:
    """The React panel, which knows nothing of it, gets what it always got."""
    attack, down, timed_out = an_event(), an_event(), an_event(verdict="detected")
    lines = [a_failed_line(down), a_failed_line(timed_out, ended="sH--", status=504, server="s1", rules="942100")]
    store(file, [attack, timed_out], [a_log_line(attack), *lines])

    for query, expected in {
        "": [timed_out, attack], "action=deny": [attack], "kind=all": [timed_out, down, attack], "kind=security": [timed_out, attack],
        "kind=delivery": [timed_out, down], "reason=no_server": [down], "verdict=undelivered": [down], f"q={down['id']}": [down],
        "kind=delivery&reason=server_timeout": [timed_out],
    }.items():  # fmt: skip
        assert await ids(ada_api, query) == [event["id"] for event in expected], query
    (failed,) = (await ada_api.get(LOGS, params={"reason": "no_server"})).json()["items"]
    assert (failed["verdict"], failed["reason"], failed["action"], failed["status_code"]) == (
        "undelivered",
        "no_server",
        "deny",
        503,
    )


async def test_policy_and_times_narrow(ada_api: Client, file: Path) -> None:
    first, second, third = (an_event(time=f"2026-01-01T12:00:0{number}.000000Z") for number in range(3))
    store(file, [first, second, third], [a_log_line(second, policy="1"), a_log_line(third, policy="2")])

    assert await ids(ada_api, "policy_id=1") == [second["id"]]
    assert await ids(ada_api, f"date_from={second['time']}") == [third["id"], second["id"]]
    assert await ids(ada_api, f"date_to={second['time']}") == [first["id"]]
    assert await ids(ada_api, f"date_from={second['time'][:19]}Z&date_to={third['time']}") == [second["id"]]


async def test_empty_values_ask_for_nothing_and_old_events_are_there(ada_api: Client, file: Path) -> None:
    old = an_event(time=(datetime.now(UTC) - timedelta(days=400)).isoformat())
    store(file, [old])

    assert await ids(ada_api, "vhost=&method=&source_ip=&date_from=&date_to=&path=&q=") == [old["id"]]


async def test_pages_go_by_number(ada_api: Client, file: Path) -> None:
    kept = [an_event() for _ in range(7)]
    store(file, kept)
    newest = [row["id"] for row in reversed(kept)]

    assert await ids(ada_api, "page_size=3") == newest[:3]
    assert await ids(ada_api, "page_size=3&page=3") == newest[6:]
    assert await ids(ada_api, "page_size=3&page=4") == []
    page = (await ada_api.get(f"{LOGS}?page_size=1&action=deny")).json()
    assert (page["total"], page["page_size"], len(page["items"])) == (7, 1, 1)
    assert (await ada_api.get(f"{LOGS}?page_size=500&page=10000")).json()["items"] == []
    assert all(item["raw_context"] is None for item in (await ada_api.get(f"{LOGS}?page_size=51")).json()["items"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("page=10001", "page"),
        ("page_size=501", "page_size"),
        ("page=x", "page"),
        ("action=no", "action"),
        ("severity=bad", "severity"),
        ("policy_id=0", "policy_id"),
        ("policy_id=99999999999999999999", "policy_id"),
        ("source_ip=300.1.1.1", "source_ip"),
        ("rule_id=x", "rule_id"),
        ("min_score=-1", "min_score"),
        ("date_from=yesterday", "date_from"),
        ("date_to=0001-01-01T00:00:00Z", "date_to"),
        ("date_from=2026-02-02&date_to=2026-02-01", "date_to"),
        ("method=A%20B", "method"),
        ("path=" + "x" * 501, "path"),
    ],
)
@pytest.mark.changes_nothing
async def test_what_cannot_be_meant_is_refused_by_its_own_name(ada_api: Client, query: str, field: str) -> None:
    answer = await ada_api.get(f"{LOGS}?{query}")

    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert [error["field"] for error in document["errors"]] == [field]
    assert isinstance(document["detail"], str)


@pytest.mark.parametrize("name", ["vhost", "source_ip", "method", "path", "q", "date_from"])
async def test_whatever_is_asked_is_only_text(ada_api: Client, file: Path, name: str) -> None:
    store(file, [an_event()])

    for typed in share(3) if name == "q" else HOSTILE:
        answer = await ada_api.get(LOGS, params={name: typed[:3000]})
        assert answer.status_code in {200, 422}, (typed[:100], answer.text)


async def test_bytes_that_are_no_text_stand_there_as_escapes(ada_api: Client, file: Path) -> None:
    store(file, [an_event(uri="/\udcff\u202e", body="a\nb\x1b", headers=[["x", "\udc80"]], body_bytes=4)])

    answer = await ada_api.get(LOGS)

    (event,) = answer.json()["items"]
    assert event["request_uri"] == "/\\xff\\u202e"
    assert event["raw_context"]["agent"]["body"] == "a\nb\\x1b"
    assert event["raw_context"]["agent"]["headers"] == [["x", "\\x80"]]


async def test_reading_requires_a_login(vera_api: Client, nobody: Client) -> None:
    assert (await vera_api.get(LOGS)).json()["items"] == []
    assert (await nobody.get(LOGS)).status_code == 401
