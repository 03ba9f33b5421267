"""The list of events with its filters, and what leads to it. Pages of one request: test_event_pages.py."""

import itertools
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from guardpanel.events.words import VERDICT_TABLE, Verdict
from guardpanel.panel import Panel
from guardpanel.views.answers import environment
from tests import events
from tests.corpus import HOSTILE, share
from tests.events import a_log_line, a_rule, store
from tests.factories import a_virtual_host
from tests.html import Read, read

pytestmark = pytest.mark.anyio

Client = httpx2.AsyncClient
Line = dict[str, Any]


def an_event(minutes: float = 1, **others: Any) -> Line:
    """The agent's line of a request some minutes ago."""
    return events.an_event(time=f"{datetime.now(UTC) - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%S.%fZ}", **others)


XSS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</textarea><script>alert(1)</script>",
    "</code></details><img src=x onerror=alert(1)>",
    '<div hx-get="/virtual-hosts/1/delete" hx-trigger="load">',
    '<meta name="htmx-config" content=\'{"mode":"cors"}\'>',
    "javascript:alert(1)",
    "{{ 7*7 }}{% raw %}",
    "\u202egnp.exe",
    "\x1b]8;;http://x\x07link",
    "\udcff\udcfe",
    "a\0b",
    "x" * 3000,
]


@pytest.fixture
def file(panel: Panel) -> Path:
    return panel.settings.events_database


async def page_of(client: Client, path: str, status: int = 200) -> Read:
    answer = await client.get(path)
    assert answer.status_code == status, answer.text[-3000:]
    return read(answer.text)


def links(page: Read) -> list[str]:
    """The events that a list leads to."""
    return [link["href"].removeprefix("/events/") for link in page.find("a") if link["href"].startswith("/events/")]


def hrefs(page: Read) -> list[str]:
    return [link["href"] for link in page.find("a")]


async def test_the_list_says_what_was_found_where_and_what_became_of_it(ada: Client, file: Path) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host())
    old, new = an_event(9, verdict="detected", uri="/old?x=1"), an_event(1)
    store(file, [old, new], [a_log_line(new)])

    page = await page_of(ada, "/events")

    assert links(page) == [new["id"], old["id"]]
    for words in (
        "SQL Injection Attack Detected via libinjection",
        "942100",
        "/list",
        "192.0.2.7",
        "Blocked",
        "Detected",
        "2 events",
    ):
        assert words in page.text
    assert page.find("a", href="/events", **{"aria-current": "page"})


FILTERS: list[tuple[str, Line]] = [
    ("verdict=detected", {"verdict": "detected"}),
    ("rule=932160", {"rules": [a_rule(932160)]}),
    ("severity=warning", {"rules": [a_rule(920350, severity="warning")]}),
    ("client=198.51.100.9", {"client": "198.51.100.9"}),
    ("client=198.51.100.0/24", {"client": "198.51.100.9"}),
    ("client=2001:db8::/32", {"client": "2001:db8::7"}),
    ("path=/wp-login", {"uri": "/wp-login.php?a=1"}),
    ("path=login", {"uri": "/wp-login.php?a=1"}),
    ("method=post", {"method": "POST"}),
    ("min_score=20", {"scores": {"blocking_inbound_anomaly_score": 20}}),
    ("q=198.51.100.9", {"client": "198.51.100.9"}),
    ("q=/wp-", {"uri": "/wp-login.php?a=1"}),
    ("q=932160", {"rules": [a_rule(932160)]}),
    ("client=198.51.100.9&verdict=blocked&method=GET&rule=942100", {"client": "198.51.100.9"}),
]


@pytest.mark.parametrize(("query", "other"), FILTERS, ids=[query for query, _ in FILTERS])
async def test_the_list_is_narrowed_by_each_filter(ada: Client, file: Path, query: str, other: Line) -> None:
    wanted = an_event(5, **other)
    store(file, [an_event(9), wanted, an_event(1)])

    page = await page_of(ada, f"/events?{query}")

    assert links(page) == [wanted["id"]]
    kept = parse_qs(urlsplit(next(url for url in hrefs(page) if url.startswith("/events?") and "time=7d" in url)).query)
    assert {name: values[0] for name, values in parse_qs(query).items()} == {
        **{k: v[0] for k, v in kept.items() if k != "time"}
    }


async def test_the_list_is_narrowed_by_virtual_host_and_policy(ada: Client, file: Path) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example\nwww.shop.example"))
    await ada.post("/virtual-hosts", data=a_virtual_host("bücher.example"))
    first, second, gone = an_event(3), an_event(2), an_event(1)
    log = [
        a_log_line(first),
        a_log_line(second, virtual_host="2", policy="1"),
        a_log_line(gone, virtual_host="77", policy="78"),
    ]
    store(file, [first, second, gone], log)

    for value in ("1", "shop.example", "WWW.shop.example"):
        assert links(await page_of(ada, f"/events?virtual_host={value}")) == [first["id"]]
    assert links(await page_of(ada, "/events?virtual_host=bücher.example")) == [second["id"]]
    assert links(await page_of(ada, "/events?policy=1")) == [second["id"], first["id"]]
    page = await page_of(ada, "/events?virtual_host=77&policy=78")
    assert links(page) == [gone["id"]]
    assert "deleted (ID 77)" in page.text and "deleted (ID 78)" in page.text
    page = await page_of(ada, "/events?virtual_host=nowhere.example", 422)
    assert "No virtual host has this hostname." in page.text and page.value("virtual_host") == "nowhere.example"


async def test_times_are_presets_or_typed(ada: Client, file: Path) -> None:
    ages = {"now": 1.0, "hours": 300, "days": 3 * 1440, "weeks": 20 * 1440, "old": 60 * 1440}
    kept = {name: an_event(minutes) for name, minutes in ages.items()}
    store(file, kept.values())

    for query, names in (
        ("", ["now", "hours"]), ("?time=1h", ["now"]), ("?time=7d", ["now", "hours", "days"]),
        ("?time=30d", ["now", "hours", "days", "weeks"]), ("?time=all", list(ages)),
        (f"?until={kept['days']['time']}", ["weeks", "old"]), (f"?since={kept['hours']['time']}&time=30d", ["now", "hours"]),
    ):  # fmt: skip
        listed = links(await page_of(ada, f"/events{query}"))
        assert [name for name in ages if kept[name]["id"] in listed] == names, query


async def test_days_are_typed_and_the_last_does_not_count(ada: Client, file: Path) -> None:
    """At any time of the day: the days are those of the events."""
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
    moments = {name: day + after for name, after in {
        "the evening before": -timedelta(microseconds=1), "its first moment": timedelta(), "its last": timedelta(days=1, microseconds=-1),
        "the morning after": timedelta(days=1),
    }.items()}  # fmt: skip
    kept = {name: events.an_event(time=f"{at:%Y-%m-%dT%H:%M:%S.%fZ}") for name, at in moments.items()}
    store(file, kept.values())

    listed = links(await page_of(ada, f"/events?since={day:%Y-%m-%d}&until={day + timedelta(days=1):%Y-%m-%d}"))
    assert [name for name in kept if kept[name]["id"] in listed] == ["its first moment", "its last"]


@pytest.mark.parametrize(
    ("query", "name", "words"),
    [
        ("client=300.1.1.1", "client", "Enter an IP address"),
        ("client=10.0.0.0/33", "client", "Enter an IP address"),
        ("client=fe80::1%25eth0", "client", "zone"),
        ("rule=abc", "rule", "Enter a rule ID"),
        ("rule=１２３", "rule", "Enter a rule ID"),
        ("rule=" + "9" * 40, "rule", "Enter a rule ID"),
        ("min_score=-1", "min_score", "Enter a whole number"),
        ("policy=x", "policy", "Enter a policy ID"),
        ("since=yesterday", "since", "Enter a date or time in UTC"),
        ("since=1969-01-01", "since", "Enter a year from 2000"),
        ("until=9999-12-31T23:59:59-14:00", "until", "Enter a date or time in UTC"),
        ("since=2026-02-02&until=2026-02-01", "until", "To must be later than From"),
        ("method=GET%20POST", "method", "Enter one method"),
        ("verdict=maybe", "verdict", "Choose an option from the list."),
        ("severity=bad", "severity", "Choose an option from the list."),
        ("time=2h", "time", "Choose an option from the list."),
        ("path=" + "a" * 501, "path", "At most 500 characters"),
        ("path=%E2%80%AEa", "path", "invisible character"),
        ("q=a%00b", "q", "invisible character"),
    ],
)
@pytest.mark.changes_nothing
async def test_bad_input_comes_back_with_words_at_its_field(
    ada: Client, file: Path, query: str, name: str, words: str
) -> None:
    store(file, [an_event()])

    page = await page_of(ada, f"/events?{query}&{'method=PUT' if name != 'method' else 'rule=1'}", 422)

    assert page.error_at(name), page.text
    assert words in page.text
    assert page.find("a", href=f"#f-{name}")
    typed = parse_qs(query)[name][0]
    assert typed.replace("\0", "\ufffd")[:500] in {value[:500].replace("\0", "\ufffd") for value in page.values[name]}
    assert page.value("method" if name != "method" else "rule") == ("PUT" if name != "method" else "1")
    assert links(page) == []


FIELDS = (
    "virtual_host", "policy", "verdict", "rule", "severity", "client", "path", "method", "time", "since", "until", "min_score", "q",
    "cursor",
)  # fmt: skip
TYPED = [text for text in [*share(1, 3), *XSS[:10]] if len(text) < 10_000]


async def assert_only_text(client: Client, typed: dict[str, str], scripts: int) -> None:
    answer = await client.get("/events", params=typed)
    assert answer.status_code in {200, 303, 422}, (typed, answer.text[-2000:])
    page = read(answer.text)
    assert len(page.find("script")) == (scripts if answer.status_code != 303 else 0), typed
    assert not page.find("img"), typed
    assert not [tag for tag, attributes in page.tags if any(key.startswith("on") for key in attributes)], typed


async def test_whatever_is_typed_into_all_fields_is_only_text(ada: Client, file: Path) -> None:
    """Each field meets each text."""
    store(file, [an_event()])
    scripts = len((await page_of(ada, "/events")).find("script"))

    for at in range(len(TYPED)):
        texts = {name: TYPED[(at + 7 * number) % len(TYPED)] for number, name in enumerate(FIELDS)}
        await assert_only_text(ada, texts, scripts)


@pytest.mark.parametrize("name", ["virtual_host", "path", "q", "method", "cursor"])
@pytest.mark.changes_nothing
async def test_whatever_is_looked_for_is_only_text(ada: Client, file: Path, name: str) -> None:
    store(file, [an_event()])
    scripts = len((await page_of(ada, "/events")).find("script"))

    for typed in [*HOSTILE, *XSS[:10]]:
        await assert_only_text(ada, {name: typed}, scripts)


async def test_pages_lead_to_older_and_newer_events(ada: Client, file: Path) -> None:
    kept = [an_event(1 + at / 100) for at in range(120)]
    store(file, kept)
    ids = [row["id"] for row in kept]

    first = await page_of(ada, "/events?client=192.0.2.7")
    (older,) = first.find("a", rel="next")
    second = await page_of(ada, older["href"])
    third = await page_of(ada, second.find("a", rel="next")[0]["href"])
    back = await page_of(ada, third.find("a", rel="prev")[0]["href"])

    assert (links(first), links(second), links(third)) == (ids[:50], ids[50:100], ids[100:])
    assert links(back) == ids[50:100]
    assert "client=192.0.2.7" in older["href"]
    assert "120 events" in first.text
    assert not first.find("a", rel="prev") and not third.find("a", rel="next")


async def test_empty_fields_leave_the_address(ada: Client, file: Path) -> None:
    answer = await ada.get("/events?rule=&method=GET&time=24h&q=+&since=")

    assert (answer.status_code, answer.headers["location"]) == (303, "/events?method=GET")


async def test_a_place_that_there_is_not_is_the_beginning(ada: Client, file: Path) -> None:
    store(file, [an_event()])

    answer = await ada.get("/events?method=GET&cursor=x")

    assert (answer.status_code, answer.headers["location"]) == (303, "/events?method=GET")


async def test_nothing_is_one_of_several_things(ada: Client, file: Path, panel: Panel) -> None:
    page = await page_of(ada, "/events")
    assert "Events are not being recorded" in page.text and "Event ingest is not running" in page.text

    store(file, [an_event(3 * 1440)])
    page = await page_of(ada, "/events?method=PUT")
    assert "No matching events" in page.text
    assert "/events" in hrefs(page) and "/events?method=PUT&time=all" in hrefs(page)


async def test_ingest_delay_and_losses_are_reported(ada: Client, file: Path, panel: Panel) -> None:
    store(file, [an_event()])
    with sqlite3.connect(file) as connection:
        connection.execute("INSERT INTO counter VALUES ('lost_segments', 2), ('bad', 1)")

    page = await page_of(ada, "/events")

    assert "Event ingest is not running." in page.text
    assert "Lost: 1 unreadable lines, 2 agent files deleted before they were read." in page.text


async def test_reading_requires_a_login(ada: Client, vera: Client, nobody: Client, file: Path) -> None:
    event = an_event()
    store(file, [event])

    for path in ("/events", f"/events/{event['id']}", f"/events/{event['id']}/lines"):
        assert (await vera.get(path)).status_code == 200
        assert (await nobody.get(path)).status_code == 303


async def test_other_pages_lead_to_their_events(ada: Client) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host())

    assert "/events?virtual_host=1" in hrefs(await page_of(ada, "/virtual-hosts/1"))
    assert "/events?policy=1" in hrefs(await page_of(ada, "/policies/1"))
    assert "/events" in hrefs(await page_of(ada, "/"))


@pytest.mark.parametrize("count", [0, 1, 2, 30])
async def test_any_number_of_rules_can_be_shown(ada: Client, file: Path, count: int) -> None:
    rules = list(itertools.islice((a_rule(942000 + at, message=f"Rule {at}") for at in itertools.count()), count))
    event = an_event(verdict="detected", rules=rules, scores={"blocking_inbound_anomaly_score": 5 * count, "inbound_anomaly_score_threshold": 5})  # fmt: skip
    store(file, [event])

    page = await page_of(ada, f"/events/{event['id']}")

    assert len(page.find("rect")) == count
    assert all(f"Rule {at}" in page.text for at in range(count))


@pytest.mark.parametrize("verdict", Verdict)
def test_each_verdict_has_a_word_in_lists(verdict: Verdict) -> None:
    assert VERDICT_TABLE[verdict].label in str(environment().globals["ui"].state(verdict.value))  # type: ignore[attr-defined]
