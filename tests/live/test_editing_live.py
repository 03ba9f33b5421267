"""Several people, double clicks and browsers that go away, at the whole panel with its real engines."""

import contextlib
import re
import socket
import threading
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from typing import TypeVar

import httpx2
import pytest

from tests.live.stack import wait_until
from tests.panel import Panel
from tests.web import Page, Person, a_host, a_policy, an_account

pytestmark = pytest.mark.one_haproxy

T = TypeVar("T")

GRACE = "grace@example.org"


@pytest.fixture(scope="module")
def origin(origin_port: int) -> int:
    return origin_port


@pytest.fixture(scope="module")
def panel(shared_panel: Panel) -> Panel:
    an_account(shared_panel, GRACE)
    return shared_panel


@pytest.fixture(scope="module")
def ada(panel: Panel) -> Iterator[Person]:
    with Person(panel) as person:
        yield person


@pytest.fixture(scope="module")
def grace(panel: Panel) -> Iterator[Person]:
    with Person(panel, GRACE) as person:
        yield person


def at_once(*calls: Callable[[], T]) -> list[T]:
    """What each call gave; all of them begin together."""
    start, results = threading.Barrier(len(calls)), dict[int, T]()

    def run(at: int) -> None:
        start.wait(60)
        results[at] = calls[at]()

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return [results[at] for at in range(len(calls))]


def visit(panel: Panel, host: str) -> int:
    return httpx2.get(panel.proxy, headers={"host": host}).status_code


def live_revision(panel: Panel) -> int:
    return int(
        float(re.findall(r"^guardpanel_live_revision (\S+)", httpx2.get(f"{panel.url}/metrics").text, re.MULTILINE)[0])
    )


def revision_in(page: Page) -> int:
    match = re.search(r"Live in \d+\.\d s as revision (\d+)", page.text)
    assert match, page.text
    return int(match[1])


def fields(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in page.values.items() if "__n__" not in name and name != "q"}


def test_concurrent_saves_report_their_own_outcomes(panel: Panel, ada: Person, grace: Person, origin: int) -> None:
    hers, his = at_once(
        lambda: ada.post("/virtual-hosts", a_host(origin, hostnames="ada.example")),
        lambda: grace.post("/policies", a_policy(name="Graces")),
    )

    assert "ada.example" in hers.text and "Graces" in his.text
    assert revision_in(hers) != revision_in(his)
    assert max(revision_in(hers), revision_in(his)) == live_revision(panel)
    assert visit(panel, "ada.example") == 200


def test_a_double_click_is_one_revision_and_both_see_the_same_page(panel: Panel, ada: Person, origin: int) -> None:
    form = a_host(origin, hostnames="double.example", save_key=uuid.uuid4().hex)
    before = live_revision(panel)

    with Person(panel) as again:
        first, second = at_once(lambda: ada.post("/virtual-hosts", form), lambda: again.post("/virtual-hosts", form))

    assert (first.status, second.status) == (200, 200)
    assert first.url == second.url
    assert revision_in(first) == revision_in(second) == live_revision(panel) == before + 1


def test_loading_the_page_after_a_save_again_saves_nothing(panel: Panel, ada: Person, origin: int) -> None:
    answer = ada.client.post("/virtual-hosts", data=a_host(origin, hostnames="again.example"), follow_redirects=False)
    before = live_revision(panel)

    pages = [ada.get(answer.headers["location"]) for _ in range(3)]

    assert answer.status_code == 303
    assert [page.status for page in pages] == [200] * 3
    assert live_revision(panel) == before


def test_a_running_save_completes_when_the_browser_disconnects(panel: Panel, ada: Person, origin: int) -> None:
    name, key = "gone.example", uuid.uuid4().hex
    request = a_post(panel, ada, "/virtual-hosts", a_host(origin, hostnames=name, save_key=key))

    with contextlib.closing(socket.create_connection(("127.0.0.1", panel.port))) as browser:
        browser.sendall(request)
        wait_until(lambda: ada.client.get(f"/saves/{key}").status_code == 200, "the save to begin")

    wait_until(lambda: visit(panel, name) == 200, "the virtual host to answer")
    wait_until(
        lambda: f"Added virtual host {name}" in ada.get("/changes?outcome=live").text, "the change to be recorded"
    )
    assert name in ada.get("/virtual-hosts").text


def test_a_form_that_never_arrives_whole_saves_nothing(panel: Panel, ada: Person, origin: int) -> None:
    form = a_host(origin, hostnames="half.example")
    before = live_revision(panel)

    with contextlib.closing(socket.create_connection(("127.0.0.1", panel.port))) as browser:
        browser.sendall(a_post(panel, ada, "/virtual-hosts", form)[:-20])

    assert live_revision(panel) == before
    assert revision_in(ada.post("/virtual-hosts", form)) == before + 1


def a_post(panel: Panel, person: Person, path: str, form: dict[str, object]) -> bytes:
    """The bytes that a browser sends."""
    body = urllib.parse.urlencode(form)
    cookies = "; ".join(f"{name}={value}" for name, value in person.client.cookies.items())
    head = [
        f"POST {path} HTTP/1.1", f"host: 127.0.0.1:{panel.port}", f"origin: {panel.url}", f"cookie: {cookies}",
        "content-type: application/x-www-form-urlencoded", f"content-length: {len(body)}",
    ]  # fmt: skip
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


def test_two_people_at_one_thing_choose_field_by_field_and_that_is_what_runs(
    panel: Panel, ada: Person, grace: Person, origin: int
) -> None:
    made = ada.post("/virtual-hosts", a_host(origin, hostnames="both.example", name="both"))
    path = urllib.parse.urlparse(made.url).path
    other = a_host(origin, hostnames="both.example\nhers.example", name="both", version="1", notes="hers")
    assert grace.post(path, other).status == 200

    page = ada.post(path, a_host(origin, hostnames="both.example\nmine.example", name="both", version="1"))
    assert page.status == 412
    assert f"{GRACE} changed this while you were editing" in page.text
    assert page.values["take.hostnames"] == ["mine"]
    assert page.values["take.notes"] == ["theirs"]
    assert (visit(panel, "hers.example"), visit(panel, "mine.example")) == (200, 421)

    choices = {name: value for name, value in fields(page).items() if name.startswith(("take.", "opened"))}
    form = a_host(origin, hostnames="both.example\nmine.example", name="both", version=page.values["version"][0])
    done = ada.post(path, {**form, **choices})
    assert done.status == 200
    assert live_revision(panel) == revision_in(done)
    assert (visit(panel, "hers.example"), visit(panel, "mine.example")) == (421, 200)
    assert "hers" in ada.get(f"{path}/edit").values["notes"][0]
