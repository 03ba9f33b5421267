"""Events in a browser: found, narrowed and read, with and without JavaScript; and what attackers send does nothing there."""

import contextlib
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.attacks import PAGE_ATTACKS
from tests.e2e.conftest import Complaints, log_in
from tests.html import read
from tests.live.wire import head
from tests.panel import Panel, running_panel
from tests.web import Person, a_host, an_account

FIRES = "a=1%27%20OR%20%271%27=%271"
"Beside every payload, so that a rule fires whatever it is."

EACH = 1 if "GUARDPANEL_TEST_ALL" in os.environ else 6
"""Of so many events, the browser opens the page of one; `make nightly` all. All pages' markup is looked at without a browser: a page
that has no element and no attribute of the attacker's runs nothing."""

WATCH = """
window.seen = [];
addEventListener('securitypolicyviolation', (event) => seen.push(event.violatedDirective + ' ' + event.blockedURI));
for (const name of ['alert', 'confirm', 'prompt']) window[name] = (words) => seen.push(name + ' ' + words);
"""


def send(panel: Panel, request: bytes) -> str:
    """The status line of the answer; empty where HAProxy hangs up."""
    with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", panel.proxy_port), 60) as visitor:
        visitor.sendall(request)
        return visitor.makefile("rb").readline().decode("latin-1").strip()
    return ""


def as_attack(payload: str) -> list[bytes]:
    """One request with it wherever a browser or program could write it; and one where it is the path."""
    raw = payload.encode("utf-8", "surrogateescape")
    inline = re.sub(rb"[\x00-\x1f\x7f]", b"", raw).decode("latin-1").strip() or "x"
    headers = {"user-agent": inline, "referer": inline, "x-odd": inline, "cookie": f"c={inline.replace(';', '')}"}
    body = b"b=" + raw + b"&" + quote_plus(raw).encode() + b"=2"
    form = {**headers, "content-type": "application/x-www-form-urlencoded", "content-length": str(len(body))}
    in_query = head("POST", "shop.example", f"/q?{FIRES}&p={quote(raw)}&{quote(raw)}=1", form) + body
    return [in_query, head("GET", "shop.example", f"/{quote(raw, safe='/')}?{FIRES}", headers)]


def event_links(page: Page) -> list[str]:
    return [str(link.get_attribute("href")) for link in page.locator("table.events .c-what a").all()]


def wait_for_events(panel: Panel, number: int) -> None:
    with Person(panel) as ada:
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            if f"{number} event" in ada.get("/events").text:
                return
            time.sleep(0.3)
        raise AssertionError(ada.get("/events").text[-2000:] + panel.logs())


def prepare(panel: Panel, origin: int) -> None:
    with Person(panel) as ada:
        assert ada.post("/virtual-hosts", a_host(origin, hostnames="shop.example")).status == 200


@pytest.fixture(scope="module")
def attacked(origin: int) -> Iterator[tuple[Panel, int]]:
    """A panel after every attack, each in two requests; and how many events that made."""
    with running_panel() as panel:
        an_account(panel)
        prepare(panel, origin)
        answers = [send(panel, request) for payload in PAGE_ATTACKS for request in as_attack(payload)]
        passed = [answer for answer in answers if " 200 " in answer + " "]
        assert len(passed) >= 2 * 50, answers
        wait_for_events(panel, len(passed))
        yield panel, len(passed)


Watched = tuple[Page, Complaints, list[str]]
"A page, what it complains of, and what it asks for."


def watched(page: Page) -> tuple[Complaints, list[str]]:
    """What a page complains of, and every request that it makes for more than itself."""
    page.add_init_script(WATCH)
    requests: list[str] = []

    def note(request: Request) -> None:
        if request.resource_type not in {"stylesheet", "image"}:
            requests.append(f"{request.method} {request.url}")

    page.on("request", note)
    page.on("dialog", lambda dialog: dialog.dismiss())
    return Complaints(page), requests


def assert_quiet(page: Page, complaints: Complaints, requests: list[str], panel: Panel) -> None:
    page.wait_for_timeout(30)
    assert page.evaluate("window.seen") == [], page.url
    assert page.evaluate("window.pwned") is None
    assert complaints.lines == []
    others = [
        request for request in requests if not re.match(rf"GET {re.escape(panel.url)}/(events|static|live)", request)
    ]
    assert others == []
    gone = ("img", "iframe", "object", "embed", "base", "style", "[onerror]", "[onload]", "[hx-post]", "hx-partial")
    assert page.locator(", ".join(f"main {selector}" for selector in gone)).count() == 0, page.url


@pytest.fixture
def watched_page(browser: Browser, attacked: tuple[Panel, int]) -> Iterator[Watched]:
    """Of somebody who is logged in."""
    panel, _ = attacked
    context = browser.new_context()
    page = context.new_page()
    log_in(page, panel)
    yield page, *watched(page)
    context.close()


def listed(on: Watched, panel: Panel, url: str) -> list[str]:
    """Links to all events of a list, page by page, each of which is quiet."""
    page, links = on[0], []
    while url:
        page.goto(panel.url + url)
        assert_quiet(*on, panel)
        links += event_links(page)
        older = page.locator("a[rel=next]")
        url = str(older.get_attribute("href")) if older.count() else ""
    return links


def assert_pages_are_quiet(on: Watched, panel: Panel, links: Iterable[str]) -> None:
    for link in links:
        on[0].goto(panel.url + link)
        on[0].evaluate("for (const one of document.querySelectorAll('main details')) one.open = true")
        assert_quiet(*on, panel)


def test_what_attackers_send_in_a_query_does_nothing_in_the_list_or_on_a_page(
    watched_page: Watched, attacked: tuple[Panel, int]
) -> None:
    """Each payload where a request has room for it."""
    links = listed(watched_page, attacked[0], "/events?path=/q")
    assert len(links) >= 50

    assert_pages_are_quiet(watched_page, attacked[0], links[::EACH])


def test_what_attackers_send_as_a_path_does_nothing_in_the_list_or_on_a_page(
    watched_page: Watched, attacked: tuple[Panel, int]
) -> None:
    panel, number = attacked
    links = listed(watched_page, panel, "/events")
    assert len(set(links)) == number

    assert_pages_are_quiet(watched_page, panel, links[:: 2 * EACH])  # every other is a query's


GONE = {
    "img",
    "iframe",
    "object",
    "embed",
    "base",
    "style",
    "script",
    "meta",
    "video",
    "audio",
    "math",
    "marquee",
    "hx-partial",
}
"Elements that no event's page has, and attributes that none has:"
LIVE = re.compile(r"on|hx-(on|get|post|swap-oob)|data-hx-|srcdoc|autofocus|is$")


def attackers_markup(html: str) -> list[str]:
    """Tags of the main part that are none of ours."""
    return [
        f"<{tag} {attributes}>"
        for tag, attributes in read(html.partition("<main")[2].rpartition("</main>")[0]).tags
        if tag in GONE or any(LIVE.match(name) for name in attributes) or "script:" in attributes.get("href", "")
    ]


def test_nothing_of_an_attackers_markup_and_nothing_that_cannot_be_seen_is_left(attacked: tuple[Panel, int]) -> None:
    panel, _ = attacked
    with Person(panel) as ada:
        page = ada.get("/events?q=q")
        links = re.findall(r'"/events/([0-9a-f-]{36})"', page.html)
        assert len(links) >= 50
        for link in links:
            html = ada.get(f"/events/{link}").html
            assert {character for character in html if not character.isprintable()} <= {"\n"}
            assert attackers_markup(html) == []
            assert ada.client.get(f"/events/{link}/lines").text.isascii()


def test_what_looks_for_an_attackers_markup_finds_it() -> None:
    assert len([payload for payload in PAGE_ATTACKS if attackers_markup(f"<main>{payload}</main>")]) >= 40


def journey(page: Page, panel: Panel) -> None:
    """From the list over a filter to one request, and back by its id."""
    log_in(page, panel)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Events").click()
    expect(page.get_by_role("heading", name="Events", level=1)).to_be_attached()
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Rule ID", exact=True).fill("not a number")
    page.get_by_label("Method", exact=True).fill("POST")
    page.get_by_role("button", name="Apply filters").click()
    expect(page.get_by_text("Enter a rule ID, for example 942100.").first).to_be_visible()
    expect(page.get_by_label("Method", exact=True)).to_have_value("POST")
    page.get_by_label("Rule ID", exact=True).fill("942100")
    page.get_by_role("button", name="Apply filters").click()
    expect(page.locator(".filter.is-set").filter(has_text="Rule ID is 942100")).to_be_visible()
    expect(page.locator(".filter.is-set").filter(has_text="Method is POST")).to_be_visible()

    page.locator("table.events .c-what a").first.click()
    expect(page.locator("h1")).to_contain_text(re.compile(r"Score \d+ reached the threshold of 5"))
    expect(page.get_by_role("region", name="Request")).to_contain_text("POST /q?a=1")
    expect(page.locator(".waterfall tfoot")).to_contain_text("Inbound score")
    assert page.locator(".waterfall + .hint", has_text="counted").count() == 0
    request_id = page.url.rsplit("/", 1)[1]

    page.goto(f"{panel.url}/search?q=%20{request_id}%20")
    page.locator(f'main a[href="/events/{request_id}"]').click()
    expect(page.locator("h1")).to_contain_text("threshold")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "event.txt"
    page.goto(f"{panel.url}/events?method=PUT")
    expect(page.get_by_role("heading", name="No matching events")).to_be_visible()
    page.get_by_role("link", name="Clear filters").click()
    expect(page.locator("table.events")).to_be_visible()


def test_an_event_is_found_and_read(quiet_page: Page, attacked: tuple[Panel, int]) -> None:
    journey(quiet_page, attacked[0])


def test_the_same_without_javascript(no_script: Page, attacked: tuple[Panel, int]) -> None:
    journey(no_script, attacked[0])


def group_journey(page: Page, panel: Panel) -> None:
    """From the groups to one of them, to an event of it and back."""
    log_in(page, panel)
    page.goto(f"{panel.url}/events")
    page.get_by_role("link", name="Groups").click()
    expect(page).to_have_url(f"{panel.url}/event-groups")
    group = page.locator("table.groups .c-what a").first
    finding = group.inner_text()
    group.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(finding)
    expect(page.get_by_role("heading", name="Assessment")).to_be_visible()
    address = page.url
    page.locator("main table td a").first.click()
    page.get_by_role("link", name="Same group").click()
    expect(page).to_have_url(address)


def test_a_group_is_found_and_read(quiet_page: Page, attacked: tuple[Panel, int]) -> None:
    group_journey(quiet_page, attacked[0])


def test_a_group_is_found_and_read_without_javascript(no_script: Page, attacked: tuple[Panel, int]) -> None:
    group_journey(no_script, attacked[0])


def test_every_score_is_explained(attacked: tuple[Panel, int]) -> None:
    """What the rules are said to have added is what CRS counted, for every attack."""
    panel, _ = attacked
    with Person(panel) as ada:
        for link in set(re.findall(r'"/events/([0-9a-f-]{36})"', ada.get("/events").html)):
            assert "CRS itself counted" not in ada.get(f"/events/{link}").text, link


def test_a_rule_is_found_read_and_followed_to_its_events_by_keyboard(
    quiet_page: Page, attacked: tuple[Panel, int]
) -> None:
    panel, _ = attacked
    page = quiet_page
    log_in(page, panel)
    page.keyboard.press("g")
    page.keyboard.press("r")
    expect(page).to_have_url(f"{panel.url}/rules")
    page.keyboard.press("/")
    page.keyboard.type("942100")
    page.keyboard.press("Enter")
    link = page.get_by_role("main").get_by_role("link", name="942100", exact=True)
    link.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{panel.url}/rules/942100")
    expect(page.get_by_role("heading", level=1)).to_have_text("SQL Injection Attack Detected via libinjection")
    expect(page.get_by_role("region", name="Code")).to_contain_text("SecRule REQUEST_COOKIES|REQUEST_COOKIES_NAMES")
    page.get_by_role("complementary", name="About rule 942100").get_by_role("link").first.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{panel.url}/events?rule=942100")
    expect(page.locator("table.events .c-what a").first).to_be_visible()
