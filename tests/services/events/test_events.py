"""What pages and the API are told of events: the same as a plain look at all of them, whatever way is taken."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from guardpanel.errors import Invalid, StorageFailed
from guardpanel.events import schema
from guardpanel.events.lines import packed
from guardpanel.events.words import Kind, Reason
from guardpanel.models import Policy, Revision, VirtualHost
from guardpanel.services.events import EventFilter, Events, Severity, Verdict, grouping, scan
from guardpanel.settings import Settings
from tests.events import NOON, a_log_line, a_rule, an_event, as_line, store

pytestmark = pytest.mark.anyio

Pair = tuple[dict[str, Any], dict[str, Any]]


def some(number: int) -> list[Pair]:
    """Requests of many kinds, the same at each call."""
    chance, made = random.Random(7), []
    for at in range(number):
        rules = [
            a_rule(rule, severity=chance.choice(["critical", "warning"]))
            for rule in chance.sample(range(942100, 942110), chance.randint(1, 3))
        ]
        event = an_event(
            time=(NOON + timedelta(seconds=at // 3)).isoformat(),
            client=chance.choice(["192.0.2.7", "192.0.2.200", "198.51.100.1", "2001:db8::1"]),
            method=chance.choice(["GET", "POST"]), uri=chance.choice(["/", "/list", "/list/1?x=/admin", "/Admin/users", "/a%b_c"]),
            host=chance.choice(["shop.example", "blog.example"]), rules=rules,
            scores={"blocking_inbound_anomaly_score": 5 * len(rules)},
        )  # fmt: skip
        logged = a_log_line(
            event, virtual_host=chance.choice(["1", "2"]), policy=chance.choice(["1", "3"]),
            verdict=chance.choice(["blocked", "blocked", "unjudged"]), rules="-", ended=chance.choice(["----", "----", "sH--"]),
        )  # fmt: skip
        made.append((event, logged))
    return made


def path_of(pair: Pair) -> str:
    return str(pair[0]["uri"]).partition("?")[0]


def failed(pair: Pair) -> bool:
    return str(pair[1]["ended"]).startswith("s")


FILTERS: dict[str, tuple[EventFilter, Callable[[Pair], bool]]] = {
    "all": (EventFilter(), lambda _: True),
    "virtual host": (EventFilter(virtual_host_id=2), lambda pair: pair[1]["virtual_host"] == "2"),
    "policy": (EventFilter(policy_id=3), lambda pair: pair[1]["policy"] == "3"),
    "verdict": (EventFilter(verdict=Verdict.AGENT_ERROR), lambda pair: pair[1]["verdict"] == "unjudged"),
    "rule": (EventFilter(rule=942104), lambda pair: 942104 in {rule["id"] for rule in pair[0]["rules"]}),
    "severity": (EventFilter(severity=Severity.WARNING), lambda pair: {rule["severity"] for rule in pair[0]["rules"]} == {"warning"}),
    "client": (EventFilter(client="192.0.2.7"), lambda pair: pair[0]["client"] == "192.0.2.7"),
    "network": (EventFilter(client=" 192.0.2.0/24 "), lambda pair: ip_address(pair[0]["client"]) in ip_network("192.0.2.0/24")),
    "v6 network": (EventFilter(client="2001:db8::/32"), lambda pair: ":" in pair[0]["client"]),
    "method": (EventFilter(method="post"), lambda pair: pair[0]["method"] == "POST"),
    "path begins": (EventFilter(path="/list"), lambda pair: path_of(pair).startswith("/list")),
    "part of a path": (EventFilter(path="admin"), lambda pair: "admin" in path_of(pair).lower()),
    "part of a path that begins with a slash": (EventFilter(path="*/users"), lambda pair: "/users" in path_of(pair)),
    "signs that mean something to LIKE": (EventFilter(path="%b_"), lambda pair: "%b_" in path_of(pair)),
    "no such path": (EventFilter(path="/nowhere"), lambda _: False),
    "score": (EventFilter(min_score=10), lambda pair: len(pair[0]["rules"]) >= 2),
    "since": (EventFilter(since=NOON + timedelta(seconds=60)), lambda pair: datetime.fromisoformat(pair[0]["time"]) >= NOON + timedelta(seconds=60)),
    "until": (EventFilter(until=NOON + timedelta(seconds=60)), lambda pair: datetime.fromisoformat(pair[0]["time"]) < NOON + timedelta(seconds=60)),
    "delivery": (EventFilter(kind=Kind.DELIVERY), failed),
    "security": (EventFilter(kind=Kind.SECURITY), lambda _: True),
    "reason": (EventFilter(reason=Reason.SERVER_TIMEOUT), failed),
    "another reason": (EventFilter(reason=Reason.NO_SERVER), lambda _: False),
    "delivery to a virtual host": (EventFilter(kind=Kind.DELIVERY, virtual_host_id=2), lambda pair: failed(pair) and pair[1]["virtual_host"] == "2"),
    "free: rule": (EventFilter(q="942104"), lambda pair: 942104 in {rule["id"] for rule in pair[0]["rules"]}),
    "free: network": (EventFilter(q="198.51.100.0/24"), lambda pair: pair[0]["client"] == "198.51.100.1"),
    "free: path": (EventFilter(q="/Admin"), lambda pair: path_of(pair).startswith("/Admin")),
    "free: host or path": (EventFilter(q="blog"), lambda pair: "blog" in pair[0]["host"]),
    "several": (
        EventFilter(virtual_host_id=1, rule=942103, verdict=Verdict.BLOCKED, client="192.0.2.0/24", path="/l", method="GET", min_score=5),
        lambda pair: (
            pair[1]["virtual_host"] == "1" and 942103 in {rule["id"] for rule in pair[0]["rules"]} and pair[1]["verdict"] == "blocked"
            and pair[0]["client"].startswith("192.0.2.") and path_of(pair).startswith("/l") and pair[0]["method"] == "GET"
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("many", [0, 50, 20_000], ids=["all many", "some many", "all few"])
async def test_pages_hold_what_matches_newest_first(
    settings: Settings, events: Events, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "MANY", many)
    pairs = some(200)
    store(settings.events_database, [event for event, _ in pairs], [logged for _, logged in pairs])
    for named, (filters, matches) in FILTERS.items():
        wanted = {event["id"] for event, logged in pairs if matches((event, logged))}

        ids, cursor = [], None
        while True:
            page = await events.page(filters, cursor=cursor, limit=30)
            assert (page.count, page.count_is_exact, page.stopped) == (len(wanted), True, None), named
            ids += page.items
            cursor = page.next_cursor
            if cursor is None:
                break

        assert len(ids) == len(wanted), named
        assert {item.request_id for item in ids} == wanted, named
        assert [item.time for item in ids] == sorted((item.time for item in ids), reverse=True), named


async def test_the_way_back_shows_the_same_pages(settings: Settings, events: Events) -> None:
    store(settings.events_database, [an_event() for _ in range(100)])
    filters = EventFilter()
    first = await events.page(filters, limit=30)
    second = await events.page(filters, cursor=first.next_cursor, limit=30)
    third = await events.page(filters, cursor=second.next_cursor, limit=30)

    back = await events.page(filters, cursor=third.previous_cursor, limit=30)
    newest = await events.page(filters, cursor=back.previous_cursor, limit=30)

    assert back.items == second.items
    assert newest.items == first.items
    assert first.previous_cursor is None
    assert newest.previous_cursor is None


async def test_counting_ends_at_a_bound(settings: Settings, events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "MOST_COUNTED", 20)
    store(settings.events_database, [an_event() for _ in range(100)])

    page = await events.page(EventFilter(), limit=10)

    assert (page.count, page.count_is_exact) == (20, False)


async def test_a_search_that_takes_too_long_is_stopped_with_a_message(
    settings: Settings, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(settings.events_database, [an_event() for _ in range(2_000)])
    monkeypatch.setattr(scan, "PATIENCE_SECONDS", -1.0)
    monkeypatch.setattr(scan, "STEPS", 100)
    monkeypatch.setattr(scan, "MANY", -1)

    page = await events.page(EventFilter(min_score=99), limit=10)

    assert page.items == []
    assert "stopped after" in (page.stopped or "")
    monkeypatch.setattr(scan, "PATIENCE_SECONDS", 10.0)
    assert len((await events.page(EventFilter(), limit=10)).items) == 10


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        (EventFilter(client="300.1.1.1"), "client"),
        (EventFilter(client="' OR 1=1 --"), "client"),
        (EventFilter(client="1.2.3.4/99"), "client"),
    ],
)
async def test_what_cannot_be_meant_is_refused_at_its_field(
    settings: Settings, events: Events, filters: EventFilter, field: str
) -> None:
    store(settings.events_database, [an_event()])
    with pytest.raises(Invalid) as refused:
        await events.page(filters)
    assert set(refused.value.errors) == {field}


@pytest.mark.parametrize(
    "cursor", ["", "before", "before-", "after-x", "before-99999999999999999999", "before-9999999999999999999", "1"]
)
async def test_an_invalid_cursor_is_rejected(settings: Settings, events: Events, cursor: str) -> None:
    store(settings.events_database, [an_event()])
    with pytest.raises(Invalid):
        await events.page(EventFilter(), cursor=cursor)


@pytest.mark.parametrize(
    "typed", ["'", '"', "%", "\\", "a' OR '1'='1", "\udcff", "\x00", "*" * 500, "/" + "\U0010ffff"]
)
async def test_whatever_is_typed_is_looked_for_and_nothing_else(settings: Settings, events: Events, typed: str) -> None:
    store(settings.events_database, [an_event(uri="/plain")])
    for filters in (EventFilter(path=typed), EventFilter(q=typed), EventFilter(method=typed)):
        assert (await events.page(filters)).items == []


@pytest.mark.parametrize("number", [0, 2**31, 2**64])
async def test_numbers_of_any_size_are_looked_for(settings: Settings, events: Events, number: int) -> None:
    store(settings.events_database, [an_event()])
    for filters in (EventFilter(virtual_host_id=number), EventFilter(rule=number), EventFilter(policy_id=number)):
        assert (await events.page(filters)).items == []


async def test_moments_of_any_age_can_be_asked_for(settings: Settings, events: Events) -> None:
    store(settings.events_database, [an_event()])
    assert (await events.page(EventFilter(since=datetime.max.replace(tzinfo=UTC)))).items == []
    assert len((await events.page(EventFilter(since=datetime.min.replace(tzinfo=UTC)))).items) == 1
    assert len((await events.page(EventFilter(until=datetime.max.replace(tzinfo=UTC)))).items) == 1


async def test_before_the_first_event_there_is_nothing_and_no_fault(events: Events) -> None:
    page = await events.page(EventFilter(q="anything"))
    state = await events.ingest_state()

    assert (page.items, page.count, page.count_is_exact, page.next_cursor, page.previous_cursor) == (
        [],
        0,
        True,
        None,
        None,
    )
    assert await events.find("00000000-0000-4000-8000-000000000001") is None
    assert not state.running
    assert "not running" in (state.problem or "")


async def test_an_invalid_event_database_is_reported(settings: Settings, events: Events) -> None:
    settings.events_database.write_bytes(b"no database" * 1000)

    state = await events.ingest_state()

    assert "can’t be read" in (state.problem or "")
    with pytest.raises(StorageFailed):
        await events.page(EventFilter())


async def test_the_events_of_an_earlier_version_stay(settings: Settings, events: Events) -> None:
    """As it left them: with each rule's newest words, which are not theirs."""
    old = an_event(rules=[a_rule(9000001, message="Words of then")])
    connection = sqlite3.connect(settings.events_database, isolation_level=None)
    with closing(connection):
        connection.executescript(f"{schema.FIRST} PRAGMA user_version = 1;")
        for table in ("client", "host", "path"):
            key = ", x'00'" if table == "client" else ""
            connection.execute(f"INSERT INTO {table} VALUES (1, ''{key})")
        connection.execute("INSERT INTO rule VALUES (9000001, 'Words of now')")
        row = (5, old["id"], None, None, "", "", 1, "GET", 1, 1, 1, 403, 5, 2, "9000001", 1)
        connection.execute(f"INSERT INTO event VALUES ({', '.join('?' * len(row))})", row)
        connection.execute("INSERT INTO event_line VALUES (5, ?)", (packed(as_line(old), None),))

    with pytest.raises(StorageFailed, match="older guardpanel"):
        await events.page(EventFilter())
    store(settings.events_database, [an_event()])

    assert [item.message for item in (await events.page(EventFilter())).items][1:] == ["Words of then"]
    assert (await events.page(EventFilter(kind=Kind.DELIVERY))).items == []


async def test_names_and_revision_come_from_the_panel(settings: Settings, events: Events) -> None:
    event = an_event()
    store(settings.events_database, [event], [a_log_line(event, virtual_host="1", policy="1", checksum="ab" * 32)])
    async with events.database.write() as session:
        session.add(Policy(id=1, name="Strict"))
        await session.flush()
        session.add(VirtualHost(id=1, name="Shop", policy_id=1))
        for days, checksum in ((-9, "cd"), (-3, "ab"), (-2, "cd"), (-1, "ab"), (1, "ab")):
            made = datetime.fromisoformat(event["time"]) + timedelta(days=days)
            session.add(Revision(checksum=checksum * 32, snapshot=b"", author="ada", summary="", created_at=made))

    (item,) = (await events.page(EventFilter())).items

    assert (item.virtual_host, item.policy, item.revision) == ("Shop", "Strict", 4)


async def test_an_event_has_all_its_details(settings: Settings, events: Events) -> None:
    event = an_event(
        uri="/\udcff?q=\u202e", headers=[["host", "shop.example"], ["x", "\x1b[2J\udcfe"]], body="a\nb\x00\udcff", body_cut=True,
        body_bytes=9_000, phase="response", response_status=500, rules_cut=3,
    )  # fmt: skip
    store(settings.events_database, [event], [a_log_line(event, server="s1", waf_error="-")])

    detail = await events.find(event["id"])

    assert detail is not None
    assert (detail.uri, detail.body, detail.body_cut, detail.body_bytes) == (
        "/\\xff?q=\\u202e",
        "a\nb\\x00\\xff",
        True,
        9_000,
    )
    assert detail.headers == (("host", "shop.example"), ("x", "\\x1b[2J\\xfe"))
    assert [rule.id for rule in detail.rules] == [942100, 949110]
    assert detail.rules[0].matches[0].value == "1' or '1'='1"
    assert detail.rules[1].disrupts
    assert detail.scores["inbound_anomaly_score_threshold"] == 5
    assert (detail.phase, detail.response_status, detail.rules_cut, detail.deciding_rule) == (
        "response",
        500,
        3,
        949110,
    )
    assert detail.proxy is not None
    assert (detail.proxy.server, detail.proxy.rules) == ("s1", (942100, 949110))
    assert detail.agent_line is not None


async def test_haproxys_own_verdict_needs_no_agent_line(settings: Settings, events: Events) -> None:
    line = a_log_line(verdict="unknown_host", virtual_host="-", rules="-", status=421, host="nobody.example")
    store(settings.events_database, [], [line])

    detail = await events.find(line["id"])

    assert detail is not None
    assert (detail.item.verdict, detail.item.status, detail.item.host) == (Verdict.UNKNOWN_HOST, 421, "nobody.example")
    assert detail.rules == ()
    assert detail.agent_line is None


async def test_pages_are_read_while_events_come(settings: Settings, events: Events) -> None:
    for at in range(5):
        store(settings.events_database, [an_event() for _ in range(10)])
        assert (await events.page(EventFilter())).count == 10 * (at + 1)


async def test_events_of_a_group_are_found_by_its_key(settings: Settings, events: Events) -> None:
    """The key of an event is the one that its file has, whatever stands in its path and fields."""
    sent = [
        an_event(uri=f"/\udcff/{at}/{path}?x", method=f"PUT\u202e{at % 2}", rules=[a_rule(matches=[{"variable": "ARGS", "key": key}])])
        for at, (path, key) in enumerate([("%2531", "a"), ("%%31", "\udcfe[3]"), ("a" * 2_000, "k" * 600), ("\x1b%0a", "")] * 3)
    ]  # fmt: skip
    store(
        settings.events_database,
        sent,
        [a_log_line(event, virtual_host=str(1 + at % 2)) for at, event in enumerate(sent[6:])],
    )

    for event in sent:
        detail = await events.find(event["id"])
        assert detail is not None
        key = grouping.key_of(detail)
        of_group = await events.of_group(key, 100)
        assert event["id"] in of_group
        assert {grouping.key_of(other) for other in of_group.values()} == {key}
    assert await events.of_group("1-0123456789abcdef", 100) == {}
    assert await events.of_group("no key", 100) == {}
