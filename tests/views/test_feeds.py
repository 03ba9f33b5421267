"""Feeds as pages and JSON. HAProxy does not respond here: tests/live/test_feeds.py has it."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from sqlmodel import select

from guardpanel.feed_reach import FeedReach
from guardpanel.models import AddressListContent, Feed
from guardpanel.models.access.reference import EMPTY
from guardpanel.panel import Panel
from tests.events import a_log_line, an_event_of_now, store
from tests.factories import an_address_list
from tests.fakes import FakeEngines
from tests.html import read
from tests.views.test_request_counts import an_hour_ago, keep_lines

pytestmark = pytest.mark.anyio

PLACE, API = "/access/lists", "/api/v1/address-lists"
FIRST = "This is the first download from this URL."
ENTRIES = "203.0.113.0/24\n198.51.100.7\n198.51.100.8\n198.51.100.9\n"


@pytest.fixture
async def source(panel: Panel, tmp_path: Path) -> Path:
    """A file that a list is filled from, when a test says so: nothing is downloaded in the background, because it is due."""
    await panel.background.close()
    panel.feeds.reach = FeedReach((), tmp_path)
    path = tmp_path / "drop.txt"
    path.write_text(ENTRIES)
    return path


@pytest.fixture
async def listed(ada: httpx2.AsyncClient, source: Path) -> Path:
    form = an_address_list(filled_from="url", feed_url=f"file://{source}", entries="")
    assert (await ada.post(PLACE, data=form)).headers["location"] == f"{PLACE}/1"
    return source


async def downloaded(ada: httpx2.AsyncClient) -> str:
    """The list's page after a download."""
    answer = await ada.post(f"{PLACE}/1/feed/download")
    assert answer.headers["location"] == f"{PLACE}/1"
    return read((await ada.get(f"{PLACE}/1")).text).text


async def accepted(ada: httpx2.AsyncClient) -> None:
    await downloaded(ada)
    assert (await ada.post(f"{PLACE}/1/feed/accept")).headers["location"] == f"{PLACE}/1"


def applies(panel: Panel) -> list[str]:
    """What HAProxy reads."""
    lines = (panel.settings.feeds_dir / "1.map").read_text().splitlines()
    return [line.removesuffix(" 9999999999") for line in lines]


async def test_a_list_is_filled_once_somebody_accepts_the_first_download(
    ada: httpx2.AsyncClient, panel: Panel, engines: FakeEngines, listed: Path
) -> None:
    assert engines.running is not None
    assert engines.running.outside == (str(panel.settings.feeds_dir / "1.map"),)
    assert engines.running.data == {}
    assert f"{panel.settings.feeds_dir}/1.map" in engines.running.files["haproxy.cfg"].decode()

    page = await downloaded(ada)
    assert "Waits for you 4 entries" in page
    assert f"{FIRST} Nothing applies until you accept it." in page
    assert "There were no events in the last 7 days to try it on." in page
    assert applies(panel) == []

    before = engines.deployments
    await accepted(ada)
    assert applies(panel) == ["198.51.100.7", "198.51.100.8", "198.51.100.9", "203.0.113.0/24"]
    assert engines.deployments == before  # It is no configuration.
    page = read((await ada.get(f"{PLACE}/1")).text).text
    assert "Waits for you" not in page
    assert "Accepted by ada@example.org" in page
    assert "Entries 4" in page
    assert (await ada.get(f"{PLACE}/1/entries.txt")).text.startswith("198.51.100.7\n")

    listed.write_text(ENTRIES + "192.0.2.1 # new\n")
    await downloaded(ada)
    assert applies(panel)[0] == "192.0.2.1"
    assert "Waits for you" not in (await ada.get(f"{PLACE}/1")).text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "It has no entries."),
        ("# nothing\n", "It has no entries."),
        ("203.0.113.0/24\nshop.example\n", "Line 2: shop.example is not an IP address"),
        ("<!doctype html><title>404</title>", "This is a web page (HTML)"),
        ("0.0.0.0/1\n128.0.0.0/1\n", "These deny every IPv4 address."),
        ("203.0.113.0/24\0", "This is not a text file."),
        (None, "The file can’t be read: No such file or directory."),
    ],
)
async def test_the_last_good_download_stays(
    ada: httpx2.AsyncClient, panel: Panel, listed: Path, content: str | None, words: str
) -> None:
    await accepted(ada)
    before = applies(panel)
    if content is None:
        listed.unlink()
    else:
        listed.write_text(content)

    page = await downloaded(ada)
    assert "Download failed" in page
    assert words in page
    assert "The last good entries still apply." in page
    assert applies(panel) == before

    listed.write_text(ENTRIES)
    assert "Download failed" not in await downloaded(ada)


async def test_less_than_half_is_asked_for(ada: httpx2.AsyncClient, panel: Panel, listed: Path) -> None:
    await accepted(ada)
    listed.write_text("198.51.100.7\n198.51.100.8\n")
    await downloaded(ada)
    assert applies(panel) == ["198.51.100.7", "198.51.100.8"]  # Half of it.

    listed.write_text(ENTRIES)
    await downloaded(ada)
    listed.write_text("192.0.2.1\n")
    assert (
        "It has less than half of the entries. The earlier download applies until you accept it."
        in await downloaded(ada)
    )
    assert len(applies(panel)) == 4
    listed.write_text(ENTRIES)
    assert "less than half" not in await downloaded(ada)  # Nobody has to answer any more.

    listed.write_text("192.0.2.1\n")
    await accepted(ada)
    assert applies(panel) == ["192.0.2.1"]
    again = await ada.post(f"{PLACE}/1/feed/accept", follow_redirects=True)
    assert "Nothing waits any more." in read(again.text).text


async def test_this_machine_and_servers_are_left_out_of_what_is_denied(
    ada: httpx2.AsyncClient, panel: Panel, listed: Path
) -> None:
    listed.write_text(ENTRIES + "127.0.0.0/8\n::1\n")
    page = await downloaded(ada)
    assert "127.0.0.0/8 contains 127.0.0.1, this machine (loopback). ::1 is this machine (loopback)." in page
    await accepted(ada)
    assert len(applies(panel)) == 4


async def test_what_was_left_out_of_what_is_denied_is_in_a_list_that_allows_only_its_entries(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, listed: Path
) -> None:
    listed.write_text(ENTRIES + "127.0.0.0/8\n::1\n")
    await accepted(ada)
    assert (await ada_api.patch(f"{API}/1", json={"kind": "only", "save_anyway": True})).status_code == 200

    page = await downloaded(ada)

    assert applies(panel)[:1] == ["127.0.0.0/8"] and len(applies(panel)) == 6
    assert "127.0.0.1, this machine" not in page


async def test_it_is_tried_on_the_last_weeks_visitors(
    ada: httpx2.AsyncClient, vera_api: httpx2.AsyncClient, panel: Panel, listed: Path
) -> None:
    clients = ("198.51.100.7", "203.0.113.9", "192.0.2.77")
    blocked, passed, other = (an_event_of_now(client=client) for client in clients)
    logged = [a_log_line(event, client=event["client"]) for event in (blocked, passed, other)]
    store(panel.settings.events_database, [blocked, passed, other], logged)

    page = await downloaded(ada)
    assert "It contains 2 of the 3 clients with events in the last 7 days." in page
    trial = (await vera_api.get(f"{API}/1/feed/trial")).json()
    assert (trial["clients"], trial["contained_count"], trial["warnings"]) == (3, 2, [])
    assert {visitor["address"] for visitor in trial["contained"]} == {"198.51.100.7", "203.0.113.9"}

    listed.write_text("192.0.2.78\n2001:db8::/32\n")
    assert "It contains none of the 3 clients with events in the last 7 days." in await downloaded(ada)


async def test_what_became_of_its_lines_is_counted(
    ada: httpx2.AsyncClient, vera_api: httpx2.AsyncClient, panel: Panel, listed: Path
) -> None:
    listed.write_text("# ours\n203.0.113.0/24\n203.0.113.7\n198.51.100.7\n198.51.100.7\n\n")

    assert "Read 6 lines, without 1 double and 1 within others" in await downloaded(ada)
    feed = (await vera_api.get(f"{API}/1/feed")).json()
    assert (feed["lines"], feed["doubles"], feed["covered"], feed["waiting_count"]) == (6, 1, 1, 2)
    listed.write_text("198.51.100.9\n")
    assert "Read 1 line" in await downloaded(ada)


async def test_a_download_in_progress_is_shown(ada: httpx2.AsyncClient, panel: Panel, listed: Path) -> None:
    place = f"{PLACE}/1/feed/progress"
    with panel.feeds.progress.begun(1) as going:
        assert "Downloading since" in read((await ada.get(f"{PLACE}/1")).text).text
        assert "Downloading since" in (await ada.get(place)).text
        going.read(5_000, 120_000)
        part = await ada.get(place)
        assert "5,000 of 120,000 lines read." in part.text
        assert "hx-redirect" not in part.headers

    ended = await ada.get(place)
    assert (ended.headers["hx-redirect"], ended.text.strip()) == (f"{PLACE}/1", "")


async def test_a_list_that_allows_only_some_is_tried_on_those_that_it_lacks(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, listed: Path
) -> None:
    assert (await ada_api.patch(f"{API}/1", json={"kind": "only", "save_anyway": True})).status_code == 200
    events = [an_event_of_now(client=client) for client in ("198.51.100.7", "203.0.113.9", "192.0.2.77")]
    store(panel.settings.events_database, events, [a_log_line(event, client=event["client"]) for event in events])

    page = await downloaded(ada)

    assert "It lacks 1 of the 3 clients with events in the last 7 days." in page
    assert "Your own address, 127.0.0.1, is not in this list" in page
    trial = (await ada_api.get(f"{API}/1/feed/trial")).json()
    assert [visitor["address"] for visitor in trial["contained"]] == ["192.0.2.77"]


async def test_it_is_tried_on_the_clients_with_most_requests_too(
    ada: httpx2.AsyncClient, vera_api: httpx2.AsyncClient, panel: Panel, listed: Path
) -> None:
    """They need no events. An IPv6 client is known by its /64 alone."""
    clients = ["203.0.113.9"] * 3 + ["2001:db8:0:1::7", "192.0.2.77", "192.0.2.77"]
    lines = [an_hour_ago(client=client) for client in clients]
    keep_lines(panel, *lines, an_hour_ago(client="203.0.113.9", verdict="blocked", status=403))
    listed.write_text("203.0.113.0/24\n2001:db8:0:1::7\n2001:db8:0:2::/64\n192.0.2.76\n")

    page = await downloaded(ada)

    assert "There were no events in the last 7 days to try it on." in page
    assert "Of the 3 clients with most requests in the last 7 days, it contains 2." in page
    trial = (await vera_api.get(f"{API}/1/feed/trial")).json()
    assert (trial["clients"], trial["busy_clients"]) == (0, 3)
    assert trial["busy_contained"] == [
        {"client": "203.0.113.9", "requests": 4, "passed": 3},
        {"client": "2001:db8:0:1::/64", "requests": 1, "passed": 1},
    ]

    listed.write_text("192.0.2.78\n")
    assert "Of the 3 clients with most requests in the last 7 days, it contains none." in await downloaded(ada)


async def test_entries_come_from_one_place(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, engines: FakeEngines, source: Path
) -> None:
    fed = {"filled_from": "url", "feed_url": f"file://{source}"}
    both = await ada.post(PLACE, data=an_address_list(**fed, entries="192.0.2.1"))
    assert both.status_code == 422
    assert "These come from elsewhere." in read(both.text).text

    await ada_api.post(API, json={"name": "Mine", "entries": "192.0.2.1"})
    changed = await ada_api.patch(f"{API}/1", json=fed)
    assert (changed.status_code, changed.json()["entry_count"]) == (200, None)
    assert applies(panel) == ["192.0.2.1"]  # At once, and until the first download is accepted.
    await panel.feeds.mend()
    assert applies(panel) == ["192.0.2.1"]
    assert (await ada_api.post(f"{API}/1/entries", json={"entries": ["192.0.2.9"]})).status_code == 409

    await ada_api.post(f"{API}/1/feed/download")
    state = (await ada_api.get(f"{API}/1/feed")).json()
    assert (state["entry_count"], state["waiting_count"], state["waiting_because"]) == (1, 4, FIRST)
    assert (await ada_api.post(f"{API}/1/feed/accept")).json()["entry_count"] == 4

    by_hand = await ada_api.patch(f"{API}/1", json={"filled_from": "hand"})
    assert (by_hand.json()["entry_count"], by_hand.json()["feed_url"]) == (4, "")
    assert engines.running is not None
    assert engines.running.data["lists/1.map"].count(b"\n") == 4
    assert (await ada_api.get(f"{API}/1/feed")).status_code == 409
    assert (await ada_api.post(f"{API}/1/feed/download")).status_code == 409


async def test_only_what_was_looked_at_is_accepted(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, listed: Path
) -> None:
    await downloaded(ada)
    digest = read((await ada.get(f"{PLACE}/1")).text).value("digest")
    assert digest == (await ada_api.get(f"{API}/1/feed")).json()["waiting_digest"]
    listed.write_text("192.0.2.1\n")
    await downloaded(ada)

    refused = await ada.post(f"{PLACE}/1/feed/accept", data={"digest": digest}, follow_redirects=True)
    assert "Another download waits by now." in read(refused.text).text
    assert (await ada_api.post(f"{API}/1/feed/accept", params={"digest": digest})).status_code == 409
    assert applies(panel) == []
    now = (await ada_api.get(f"{API}/1/feed")).json()["waiting_digest"]
    assert (await ada_api.post(f"{API}/1/feed/accept", params={"digest": now})).json()["entry_count"] == 1


async def test_a_list_that_denies_by_now_is_judged_anew(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, source: Path
) -> None:
    source.write_text("0.0.0.0/1\n128.0.0.0/1\n127.0.0.1\n")
    fields = {"name": "Ours", "kind": "allow", "filled_from": "url", "feed_url": f"file://{source}"}
    await ada_api.post(API, json=fields)
    await downloaded(ada)
    assert (await ada_api.patch(f"{API}/1", json={"kind": "deny"})).status_code == 200

    assert (await ada_api.post(f"{API}/1/feed/accept")).status_code == 422
    refused = await ada.post(f"{PLACE}/1/feed/accept", follow_redirects=True)
    assert "These deny every IPv4 address." in read(refused.text).text
    source.write_text("127.0.0.1\n192.0.2.1\n")
    await downloaded(ada)
    await accepted(ada)
    assert applies(panel) == ["192.0.2.1"]


async def test_another_url_is_another_list(ada: httpx2.AsyncClient, panel: Panel, listed: Path) -> None:
    await accepted(ada)
    other = listed.with_name("other.txt")
    other.write_text("192.0.2.1\n192.0.2.2\n192.0.2.3\n192.0.2.4\n")
    form = an_address_list(filled_from="url", feed_url=f"file://{other}", entries="")
    assert (await ada.post(f"{PLACE}/1", data=form)).status_code == 303

    assert f"{FIRST} The earlier download applies until you accept it." in await downloaded(ada)
    assert "198.51.100.7" in applies(panel)
    other.unlink()
    await downloaded(ada)
    form = an_address_list(filled_from="url", feed_url=f"file://{listed}", entries="", version="2")
    assert (await ada.post(f"{PLACE}/1", data=form)).status_code == 303
    refused = await ada.post(f"{PLACE}/1/feed/accept", follow_redirects=True)
    assert "Nothing waits any more." in read(refused.text).text


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Enter the URL of the list."),
        ("http://lists.example/drop.txt", "starts with https:// or file:///"),
        ("https://ada:secret@lists.example/", "Remove the user name and password"),
    ],
)
@pytest.mark.changes_nothing
async def test_a_bad_url_is_said_at_its_field(ada: httpx2.AsyncClient, typed: str, words: str) -> None:
    refused = await ada.post(PLACE, data=an_address_list(filled_from="url", feed_url=typed, entries=""))
    page = read(refused.text)
    assert refused.status_code == 422
    assert words in page.text
    assert page.value("feed_url") == typed
    assert 'id="f-feed_url-error"' in refused.text


async def test_files_outside_of_the_settings_are_not_read(ada: httpx2.AsyncClient, panel: Panel, listed: Path) -> None:
    panel.feeds.reach = FeedReach()
    assert "GUARDPANEL_FEED_FILES names no directory" in await downloaded(ada)


async def test_a_viewer_may_look(ada: httpx2.AsyncClient, vera: httpx2.AsyncClient, listed: Path) -> None:
    await downloaded(ada)
    page = (await vera.get(f"{PLACE}/1")).text
    assert "Waits for you" in page
    assert "Download now" not in page
    assert (await vera.post(f"{PLACE}/1/feed/accept")).status_code == 403
    assert (await vera.post(f"{PLACE}/1/feed/download")).status_code == 403


async def test_a_stale_feed_is_marked(ada: httpx2.AsyncClient, panel: Panel, listed: Path) -> None:
    await accepted(ada)
    assert "stale" not in (await ada.get(PLACE)).text
    async with panel.database.write() as session:
        feed = (await session.exec(select(Feed))).one()
        feed.checked_at = datetime.now(UTC) - timedelta(hours=3, minutes=1)
        session.add(feed)
    assert "stale" in (await ada.get(PLACE)).text
    assert "stale" in (await ada.get(f"{PLACE}/1")).text


async def test_what_is_due_is_downloaded(ada: httpx2.AsyncClient, panel: Panel, listed: Path) -> None:
    await asyncio.gather(*await panel.feeds.begin_due(panel.background))
    assert "Waits for you" in (await ada.get(f"{PLACE}/1")).text
    await accepted(ada)
    listed.write_text(ENTRIES + "192.0.2.1\n")
    await asyncio.gather(*await panel.feeds.begin_due(panel.background))
    assert len(applies(panel)) == 4  # It is not due.
    async with panel.database.write() as session:
        feed = (await session.exec(select(Feed))).one()
        feed.tried_at = datetime.now(UTC) - timedelta(hours=1)
        session.add(feed)
    await asyncio.gather(*await panel.feeds.begin_due(panel.background))
    assert len(applies(panel)) == 5


async def test_a_slow_download_holds_up_no_other(ada: httpx2.AsyncClient, panel: Panel, listed: Path) -> None:
    second = an_address_list(name="Second", filled_from="url", feed_url=f"file://{listed}", entries="")
    await ada.post(PLACE, data=second)
    async with panel.feeds._one[1]:  # As if its server took its time.
        slow, quick = await panel.feeds.begin_due(panel.background)
        await quick
        assert "Waits for you" in (await ada.get(f"{PLACE}/2")).text
        assert not slow.done()
        assert await panel.feeds.begin_due(panel.background) == []  # The one has begun, the other is not due.
    await slow
    assert "Waits for you" in (await ada.get(f"{PLACE}/1")).text


async def test_an_undone_deletion_brings_the_entries_back(
    ada: httpx2.AsyncClient, panel: Panel, engines: FakeEngines, listed: Path
) -> None:
    await accepted(ada)
    await ada.post(f"{PLACE}/1/delete", data={"version": "1"})
    await panel.retention.tidy()
    async with panel.database.read() as session:
        assert len((await session.exec(select(AddressListContent.digest))).all()) == 1
    last = (await ada.get("/changes")).text.split("/changes/")[1].split('"')[0].split("/")[0].split("?")[0]
    assert (await ada.post(f"/changes/{last}/undo")).status_code == 303
    assert engines.running is not None
    assert engines.running.outside
    assert "Entries 4" in read((await ada.get(f"{PLACE}/1")).text).text
    assert len(applies(panel)) == 4


async def test_what_was_edited_by_hand_ends_with_the_next_download(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, listed: Path
) -> None:
    """The file is the one that was accepted, but it is not what applies."""
    await accepted(ada)
    entries = applies(panel)
    await ada_api.patch(f"{API}/1", json={"filled_from": "hand"})
    await ada_api.put(f"{API}/1/entries", content="192.0.2.77", headers={"content-type": "text/plain"})
    await ada_api.patch(f"{API}/1", json={"filled_from": "url", "feed_url": f"file://{listed}"})
    assert applies(panel) == ["192.0.2.77"]

    await ada_api.post(f"{API}/1/feed/download")
    assert applies(panel) == entries


async def test_a_feed_that_never_came_has_failed_and_its_empty_list_says_so(
    ada: httpx2.AsyncClient, panel: Panel, listed: Path
) -> None:
    await accepted(ada)
    async with panel.database.write() as session:
        feed = (await session.exec(select(Feed))).one()
        feed.checked_at, feed.failures, feed.problem, feed.content = None, 1, "It does not respond.", EMPTY.text
        session.add(feed)
    page = read((await ada.get(PLACE)).text).text
    assert ("failed" in page, "stale" in page) == (True, False)
    assert "This list is empty: it applies to no address." in read((await ada.get(f"{PLACE}/1")).text).text
