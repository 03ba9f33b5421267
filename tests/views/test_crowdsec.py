"""Lists that follow a CrowdSec, as pages and JSON, against a stand-in for its local API."""

import asyncio
from collections.abc import Iterator
from functools import partial
from time import time

import httpx2
import pytest
from sqlmodel import select

from guardpanel import clock
from guardpanel.background import Background
from guardpanel.feed_reach import FeedReach
from guardpanel.models import Feed, Revision
from guardpanel.panel import Panel
from guardpanel.services.access import crowdsec
from guardpanel.services.access.crowdsec import CrowdSec
from guardpanel.services.saving import snapshots
from tests.factories import an_address_list
from tests.html import read
from tests.lapi import KEY, Lapi, lapi

pytestmark = pytest.mark.anyio

PLACE, API = "/access/lists", "/api/v1/address-lists"


@pytest.fixture
def here() -> Iterator[Lapi]:
    with lapi() as made:
        yield made


@pytest.fixture(autouse=True)
def by_hand(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked but by `ask`."""

    async def nothing(_reach: FeedReach, _background: Background) -> None:
        pass

    monkeypatch.setattr(panel.feeds.crowdsec, "begin_due", nothing)


@pytest.fixture
async def listed(ada: httpx2.AsyncClient, here: Lapi) -> Lapi:
    form = an_address_list(filled_from="crowdsec", feed_url=here.url, feed_key=KEY, entries="")
    assert (await ada.post(PLACE, data=form)).headers["location"] == f"{PLACE}/1"
    return here


async def begin(panel: Panel) -> list[asyncio.Task[None]]:
    return await CrowdSec.begin_due(panel.feeds.crowdsec, panel.feeds.reach, panel.background)


async def ask(panel: Panel) -> str:
    """Now, whatever is due. Returns what is wrong."""
    for stream in panel.feeds.crowdsec._streams.values():
        stream.due_at = 0.0
    await asyncio.gather(*await begin(panel))
    return (await state(panel)).problem


async def state(panel: Panel) -> Feed:
    async with panel.database.read() as session:
        return (await session.exec(select(Feed))).one()


def applies(panel: Panel, list_id: int = 1) -> list[str]:
    lines = (panel.settings.feeds_dir / f"{list_id}.map").read_text().splitlines()
    return [line.partition(" ")[0] for line in lines]


async def test_bans_are_followed_as_they_begin_and_end(ada: httpx2.AsyncClient, panel: Panel, listed: Lapi) -> None:
    listed.ban("203.0.113.7")
    listed.ban("198.51.100.0/24")
    listed.ban("192.0.2.9", kind="captcha")
    assert await ask(panel) == ""
    assert applies(panel) == ["198.51.100.0/24", "203.0.113.7"]
    page = read((await ada.get(f"{PLACE}/1")).text).text
    assert f"CrowdSec, {listed.url}" in page
    assert "Entries 2" in page
    assert "Download now" not in page
    assert "crowdsecurity/ssh-bf" in page

    listed.lift("203.0.113.7")
    listed.ban("203.0.113.8")
    await ask(panel)
    assert applies(panel) == ["198.51.100.0/24", "203.0.113.8"]
    listed.ban("203.0.113.7")  # Its end is sent again, and does not lift the new ban.
    await ask(panel)
    assert applies(panel) == ["198.51.100.0/24", "203.0.113.7", "203.0.113.8"]
    await ask(panel)
    await panel.feeds.mend()
    assert applies(panel) == ["198.51.100.0/24", "203.0.113.7", "203.0.113.8"]
    assert [path.endswith("startup=true") for path in listed.requests] == [True, False, False, False]

    for value in ("203.0.113.7", "203.0.113.8", "198.51.100.0/24"):
        listed.lift(value)
    await ask(panel)
    assert applies(panel) == []  # All were lifted.


async def test_all_is_asked_for_again_once_the_clock_was_set(
    panel: Panel, listed: Lapi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of each ban was of the time before."""
    listed.ban("203.0.113.7")
    for step in (0.0, 4.0, -86_400.0, -86_399.0, 86_400.0):
        monkeypatch.setattr(clock, "time", lambda step=step: time() + step)
        await ask(panel)

    assert [path.endswith("startup=true") for path in listed.requests] == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", "CrowdSec refuses the key (403)."),
        (b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", "CrowdSec answers 500."),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n", "CrowdSec answers 302."),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "This is no CrowdSec"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{}", "does not speak HTTP/1.1"),
    ],
)
async def test_what_held_stays_while_it_does_not_answer(
    ada: httpx2.AsyncClient, panel: Panel, listed: Lapi, answer: bytes, words: str
) -> None:
    listed.ban("203.0.113.7")
    await ask(panel)
    listed.answer = answer
    assert words in await ask(panel)
    assert applies(panel) == ["203.0.113.7"]
    assert words in read((await ada.get(f"{PLACE}/1")).text).text

    listed.answer = None
    listed.lift("203.0.113.7")
    listed.ban("203.0.113.8")
    assert await ask(panel) == ""
    assert applies(panel) == ["203.0.113.8"]
    assert listed.requests[-1].endswith("startup=true")  # What it said meanwhile may be lost.


async def test_a_start_has_what_held(ada: httpx2.AsyncClient, panel: Panel, listed: Lapi) -> None:
    listed.ban("203.0.113.7")
    await ask(panel)
    feed = await state(panel)
    assert feed.reference.total == 1
    again = await type(panel.feeds).opened(panel.changes, panel.engines.feeds, panel.feeds.reach)
    await again.mend()
    assert applies(panel) == ["203.0.113.7"]
    await asyncio.gather(*await again.crowdsec.begin_due(again.reach, panel.background))
    assert listed.requests[-1].endswith("startup=true")


async def test_a_slow_one_holds_up_no_other(ada: httpx2.AsyncClient, panel: Panel, listed: Lapi) -> None:
    """Nor does it change what the list has from another one by then."""
    with lapi() as second:
        form = an_address_list(name="Second", filled_from="crowdsec", feed_url=second.url, feed_key=KEY, entries="")
        await ada.post(PLACE, data=form)
        listed.ban("203.0.113.7")
        second.ban("203.0.113.8")
        listed.may_answer.clear()
        try:
            slow, quick = await begin(panel)
            await quick
            assert applies(panel, 2) == ["203.0.113.8"]
            assert not slow.done()
            assert await begin(panel) == []  # The one is being asked, the other is not due.
            moved = an_address_list(filled_from="crowdsec", feed_url=second.url, feed_key=KEY, entries="", version="1")
            assert (await ada.post(f"{PLACE}/1", data=moved)).status_code == 303
            await asyncio.gather(*await begin(panel))
        finally:
            listed.may_answer.set()
        await slow
    assert applies(panel) == ["203.0.113.8"]


async def test_the_key_is_sealed_and_never_shown(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, listed: Lapi
) -> None:
    feed = await state(panel)
    assert feed.sealed_key is not None
    assert KEY.encode() not in feed.sealed_key
    for path in (f"{PLACE}/1", f"{PLACE}/1/edit", "/changes"):
        assert KEY not in (await ada.get(path)).text
    assert KEY not in (await ada_api.get(f"{API}/1")).text
    async with panel.database.read() as session:
        kept = (await session.exec(select(Revision.snapshot))).all()
    assert all(KEY not in snapshots.unpacked(packed) for packed in kept if packed)

    renamed = await ada_api.patch(f"{API}/1", json={"name": "Theirs"})
    assert renamed.status_code == 200
    assert await ask(panel) == ""  # It is kept.


async def test_a_key_goes_to_no_other_url(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, listed: Lapi
) -> None:
    with lapi() as other:
        moved = await ada_api.patch(f"{API}/1", json={"feed_url": other.url})
        assert (moved.status_code, moved.json()["errors"][0]["field"]) == (422, "feed_key")
        assert (await ada_api.patch(f"{API}/1", json={"feed_url": other.url, "feed_key": KEY})).status_code == 200
        await ask(panel)
        assert (len(listed.requests), len(other.requests)) == (0, 1)
        last = (await ada.get("/changes")).text.split("/changes/")[1].split('"')[0].split("/")[0].split("?")[0]
        assert (await ada.post(f"/changes/{last}/undo")).status_code == 303
        assert "There is no key for this URL." in await ask(panel)
        assert (len(listed.requests), len(other.requests)) == (0, 1)


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"feed_url": ""}, "feed_url"),
        ({"feed_url": "file:///etc/passwd"}, "feed_url"),
        ({"feed_key": ""}, "feed_key"),
        ({"feed_key": "two words"}, "feed_key"),
        ({"kind": "allow"}, "filled_from"),
        ({"filled_from": "hand", "entries": "192.0.2.1"}, "feed_key"),
    ],
)
@pytest.mark.changes_nothing
async def test_bad_input_is_said_at_its_field(ada: httpx2.AsyncClient, typed: dict[str, str], field: str) -> None:
    usual = {"filled_from": "crowdsec", "feed_url": "http://127.0.0.1:8080", "feed_key": KEY, "entries": ""}
    refused = await ada.post(PLACE, data=an_address_list(**(usual | typed)))
    assert refused.status_code == 422
    assert f'id="f-{field}-error"' in refused.text


async def test_beyond_this_machine_it_is_asked_over_https_alone(
    ada_api: httpx2.AsyncClient, panel: Panel, here: Lapi
) -> None:
    fields = {"name": "Theirs", "filled_from": "crowdsec", "feed_url": "http://9.9.9.9:8080/", "feed_key": KEY}
    assert (await ada_api.post(API, json=fields)).status_code == 201
    assert "to which keys are sent over https alone" in await ask(panel)


async def test_this_machine_is_left_out(panel: Panel, listed: Lapi) -> None:
    listed.ban("127.0.0.1")
    listed.ban("203.0.113.7")
    await ask(panel)
    assert applies(panel) == ["203.0.113.7"]
    assert "127.0.0.1 is this machine (loopback)." in (await state(panel)).left_out


async def test_all_is_asked_anew_every_hour(panel: Panel, listed: Lapi, monkeypatch: pytest.MonkeyPatch) -> None:
    await ask(panel)
    monkeypatch.setattr(crowdsec, "ANEW_SECONDS", 0.0)
    await ask(panel)
    assert [path.endswith("startup=true") for path in listed.requests] == [True, True]


class Clock:
    """Time that passes as a test has it pass, for a panel's tasks."""

    def __init__(self) -> None:
        self.now = 0.0
        self._waiting: list[tuple[float, asyncio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        moment = asyncio.Event()
        self._waiting.append((self.now + seconds, moment))
        await moment.wait()

    async def advance(self, seconds: float, tasks: int) -> None:
        """Returns when all tasks wait again."""
        self.now += seconds
        due = [(at, moment) for at, moment in self._waiting if at <= self.now]
        for each in due:
            self._waiting.remove(each)
            each[1].set()
        async with asyncio.timeout(60):
            while len(self._waiting) < tasks:
                await asyncio.sleep(0.001)


async def test_bans_that_begin_and_end_apply_within_10_s(
    panel: Panel, listed: Lapi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the panel's own tasks, on a clock of the test's: at whatever moment between two questions that is. 2 s remain for the answer."""
    clock, crowdsecs = Clock(), panel.feeds.crowdsec
    await panel.background.close()
    monkeypatch.setattr(crowdsec, "monotonic", lambda: clock.now)
    monkeypatch.setattr(crowdsecs, "begin_due", partial(CrowdSec.begin_due, crowdsecs))
    background = Background(sleep=clock.sleep)
    panel.feeds.follow(background)

    async def passes(seconds: float) -> None:
        await clock.advance(seconds, tasks=3)
        await asyncio.gather(*[stream.question for stream in crowdsecs._streams.values() if stream.question])

    async def until(address: str, *, is_banned: bool) -> float:
        began = clock.now
        while (address in applies(panel)) is not is_banned:
            assert clock.now - began < 8, (address, is_banned, clock.now, listed.requests)
            await passes(0.5)
        return clock.now - began

    waits = []
    await passes(0)
    for at in range(10):
        address = f"203.0.113.{at}"
        listed.ban(address)
        waits.append(await until(address, is_banned=True))
        await passes(at * 0.7)
        listed.lift(address)
        waits.append(await until(address, is_banned=False))
    await background.close()

    assert max(waits) > crowdsec.EVERY_SECONDS - 1  # Some came right after a question.
    assert len(listed.requests) <= clock.now / crowdsec.EVERY_SECONDS + 1
