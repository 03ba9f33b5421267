"""Ordinary traffic in a browser: the busiest paths and clients, and the access log, which follows until it is paused."""

import socket
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Complaints, log_in
from tests.live.wire import head
from tests.panel import Panel, running_panel
from tests.web import Person, a_host, an_account

VISITOR = "127.9.0.9"
"Each address of 127.0.0.0/8 is this machine's."

TRAFFIC = "/virtual-hosts/1/traffic"

FOLLOWS_MS = 2_000
"Between two times that the log asks for more (templates/request_counts/_log.html)."


def visit(panel: Panel, target: str, visitor: str = VISITOR) -> None:
    request = head("GET", "shop.example", target, {"user-agent": "Mozilla/5.0", "accept": "*/*"})
    with socket.create_connection(("127.0.0.1", panel.proxy_port), 60, source_address=(visitor, 0)) as connection:
        connection.sendall(request)
        assert connection.recv(65536).startswith(b"HTTP/1.1 ")


@pytest.fixture(scope="module")
def panel(origin: int) -> Iterator[Panel]:
    """Whose ingest has counted four requests."""
    with running_panel() as running:
        an_account(running)
        with Person(running) as ada:
            assert ada.post("/virtual-hosts", a_host(origin, hostnames="shop.example")).status == 200
            for target in ("/orders/17", "/orders/18?token=secret", "/?a=1%27%20OR%20%271%27=%271"):
                visit(running, target)
            visit(running, "/", "127.9.0.10")
            wait_until_shown(running, ada, "paths", "4 requests since")
        yield running


def wait_until_shown(panel: Panel, ada: Person, page: str, words: str) -> None:
    """By a page of the traffic: the ingest has read what visitors did."""
    ends = time.monotonic() + 60
    while words not in (text := ada.get(f"{TRAFFIC}/{page}").text):
        assert time.monotonic() < ends, text + panel.logs()
        time.sleep(0.2)


@pytest.fixture(params=[True, False], ids=["", "without JavaScript"])
def page(request: pytest.FixtureRequest, browser: Browser, panel: Panel) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=request.param)
    page = context.new_page()
    log_in(page, panel)
    yield page
    context.close()


def test_from_the_busiest_client_to_its_lines_and_why(page: Page, panel: Panel) -> None:
    page.goto(panel.url + "/virtual-hosts/1")
    page.get_by_role("link", name="View traffic").click()
    page.get_by_role("link", name="Paths", exact=True).click()
    expect(page.get_by_role("row", name="/orders/{number} 2 ")).to_be_visible()
    page.get_by_role("link", name="Clients", exact=True).click()
    expect(page.get_by_role("row", name=f"{VISITOR} 3 ")).to_be_visible()
    page.get_by_role("link", name=VISITOR, exact=True).click()

    lines = page.locator("#log tbody tr")
    expect(lines).to_have_count(3)
    expect(page.locator("main")).not_to_contain_text("secret")
    page.get_by_role("link", name="Event", exact=True).click()
    expect(page.locator("h1")).to_contain_text("Detected, not blocked.")
    page.go_back()
    page.get_by_role("link", name="Why?").first.click()
    expect(page.locator("#answer")).to_contain_text(f"No list and no ban rejects {VISITOR}.")


def test_filters_narrow_the_log(page: Page, panel: Panel) -> None:
    page.goto(f"{panel.url}{TRAFFIC}/log?paused=1")
    page.locator("summary", has_text="Path").click()
    page.get_by_label("Path contains").fill("/orders/")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#log tbody tr")).to_have_count(2)
    page.locator("summary", has_text="Verdict").click()
    page.get_by_role("link", name="Detected", exact=True).click()
    expect(page.locator("#log")).to_contain_text("No request matches.")
    page.get_by_role("link", name="Clear").click()
    expect(page.locator("#log tbody tr").first).to_be_visible()


def test_the_log_follows_until_it_is_paused(browser: Browser, panel: Panel) -> None:
    context = browser.new_context()
    page = context.new_page()
    complaints, asked_for = Complaints(page), list[str]()
    page.clock.install()
    log_in(page, panel)
    page.goto(f"{panel.url}{TRAFFIC}/log")
    visit(panel, "/live/first")
    expect(page.locator("#log tbody tr").first).to_contain_text("/live/first")
    page.get_by_role("link", name="Pause").click()
    expect(page.get_by_text("Paused at")).to_be_visible()
    page.on("request", lambda request: asked_for.append(request.url))
    visit(panel, "/live/second")
    with Person(panel) as ada:
        wait_until_shown(panel, ada, "log?paused=1", "/live/second")
    page.clock.run_for(2 * FOLLOWS_MS)
    assert not [url for url in asked_for if "/log" in url]
    expect(page.locator("#log")).not_to_contain_text("/live/second")
    page.get_by_role("link", name="Reload").click()
    expect(page.locator("#log tbody tr").first).to_contain_text("/live/second")
    page.get_by_role("link", name="Resume").click()
    visit(panel, "/live/third")
    expect(page.locator("#log tbody tr").first).to_contain_text("/live/third")
    assert complaints.lines == []
    context.close()
