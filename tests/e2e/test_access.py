"""Access and paths in a browser: a ban from an event and back, a list with two bad lines, a path that is redirected."""

import re
import socket
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import log_in
from tests.html import read
from tests.live.wire import head
from tests.panel import Panel, running_panel
from tests.web import EMAIL, Person, a_host, a_policy, an_account

VISITOR = "127.9.0.7"
"Each address of 127.0.0.0/8 is this machine's."


@pytest.fixture(scope="module")
def panel(origin: int) -> Iterator[Panel]:
    with running_panel() as running:
        an_account(running)
        with Person(running) as ada:
            assert ada.post("/virtual-hosts", a_host(origin, hostnames="shop.example")).status == 200
        yield running


@pytest.fixture
def page(browser: Browser, panel: Panel) -> Iterator[Page]:
    """Without JavaScript."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    log_in(page, panel)
    yield page
    context.close()


def status(panel: Panel, target: str = "/") -> int:
    """That the visitor gets."""
    return int(answer(panel, target).split(" ")[1])


def answer(panel: Panel, target: str, host: str = "shop.example") -> str:
    request = head("GET", host, target, {"user-agent": "Mozilla/5.0", "accept": "*/*"})
    with socket.create_connection(("127.0.0.1", panel.proxy_port), 60, source_address=(VISITOR, 0)) as visitor:
        visitor.sendall(request)
        return visitor.recv(65536).decode()


def newest_event(panel: Panel, words: str) -> str:
    """The address of the one whose row has these words: filters have them, too, and rows of earlier requests are there before."""
    with Person(panel) as ada:
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            listed = ada.get(f"/events?client={VISITOR}")
            for row in re.findall(r"<tr>.*?</tr>", listed.html, re.DOTALL):
                match = re.search(r'"(/events/[0-9a-f-]{36})"', row)
                if match and words in read(row).text:
                    return match[1]
            time.sleep(0.2)
    raise AssertionError(listed.text + panel.logs())


def test_a_client_is_banned_from_its_event_and_let_in_again(page: Page, panel: Panel) -> None:
    status(panel, "/?a=1%27%20OR%20%271%27=%271")
    page.goto(panel.url + newest_event(panel, "942"))
    page.get_by_role("link", name="Ban client").click()
    expect(page.get_by_label("Address", exact=True)).to_have_value(VISITOR)
    page.get_by_label("1 day").check()
    page.get_by_role("textbox", name="Reason").fill("Scans")
    page.get_by_role("button", name="Ban", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text(f"Banned {VISITOR}. Live")
    assert status(panel) == 403

    page.goto(panel.url + newest_event(panel, "The client was banned"))
    page.get_by_role("link", name="Why?").click()
    expect(page.locator("#answer")).to_contain_text(f"{VISITOR} is banned.")
    page.get_by_role("button", name=f"Lift the ban of {VISITOR}").click()
    expect(page.locator("#answer")).to_contain_text(f"No list and no ban rejects {VISITOR}.")
    assert status(panel) == 200


def test_a_list_is_pasted_after_two_bad_lines_were_named(page: Page, panel: Panel) -> None:
    page.goto(f"{panel.url}/access/lists")
    page.get_by_role("link", name="Add deny list").click()
    page.get_by_label("Name").fill("Scanners")
    for source, shown in (("CrowdSec", "feed_key"), ("A URL", "feed_every"), ("By hand", "entries")):
        page.get_by_role("radio", name=source, exact=True).check()
        for field in ("feed_key", "feed_every", "entries"):
            expect(page.locator(f"#f-{field}")).to_be_visible(visible=field == shown)
    page.get_by_label("New entries").fill(f"{VISITOR} # seen today\n203.0.113.7/24\nshop.example\n")
    page.get_by_role("button", name="Add address list and go live").click()
    error = page.locator("#f-entries-error")
    expect(error).to_contain_text("Line 2: 203.0.113.7/24 has host bits set. Enter 203.0.113.0/24.")
    expect(error).to_contain_text("Line 3: shop.example is not an IP address")
    assert status(panel) == 200

    page.get_by_label("New entries").fill(f"{VISITOR} # seen today\n203.0.113.0/24\n")
    page.get_by_role("button", name="Add address list and go live").click()
    expect(page.get_by_role("heading", name="Scanners")).to_be_visible()
    assert status(panel) == 403
    page.get_by_role("button", name=f"Remove {VISITOR}").click()
    expect(page.locator("#toasts")).to_contain_text("Live in")
    assert status(panel) == 200


def test_a_denied_visitor_is_let_in_again_by_what_says_why(page: Page, panel: Panel) -> None:
    with Person(panel) as ada:
        denied = {"name": "Noise", "kind": "deny", "paths": "/admin", "entries": f"{VISITOR} # probes"}
        assert ada.post("/access/lists", {"applies_to": "everywhere", **denied}).status == 200
    assert (status(panel), status(panel, "/admin")) == (200, 403)

    page.goto(f"{panel.url}/access/why?q={VISITOR}")
    part = f"{VISITOR} is on a deny list for some virtual hosts or paths. Elsewhere, the WAF decides."
    expect(page.locator("#answer")).to_have_text(part)
    page.goto(panel.url + newest_event(panel, "deny list"))
    page.get_by_role("link", name="Why?").click()
    expect(page.locator("#answer")).to_contain_text(f"{VISITOR} is rejected by the deny list Noise.")
    entry = page.get_by_role("listitem").filter(has_text="probes")
    expect(entry).to_contain_text(f"ends never: probes, added by {EMAIL}")
    entry.get_by_role("button", name=f"Remove {VISITOR} from Noise").click()
    expect(page.locator("#toasts")).to_contain_text("Live in")
    expect(page.locator("#answer")).to_contain_text(f"No list and no ban rejects {VISITOR}.")
    assert status(panel, "/admin") == 200


def test_a_visitor_over_a_limit_is_forgiven(page: Page, panel: Panel, origin: int) -> None:
    with Person(panel) as ada:
        assert ada.post("/policies", a_policy(name="Few", enforcement_mode="block")).status == 200
        assert ada.post("/virtual-hosts", a_host(origin, hostnames="few.example", policy_id="2")).status == 200
    page.goto(f"{panel.url}/policies/2/edit")
    page.get_by_role("switch", name="Client limits").check()
    page.get_by_label("Requests per period").fill("2")
    page.get_by_label("Period", exact=True).fill("3600")
    page.get_by_role("button", name="Save and go live").click()
    expect(page.locator("#toasts")).to_contain_text("Live in")
    statuses = [answer(panel, "/", "few.example").split(" ")[1] for _ in range(3)]
    assert statuses == ["200", "200", "429"]

    page.goto(panel.url + newest_event(panel, "limit"))
    page.get_by_role("link", name="Why?").click()
    expect(page.locator("#answer")).to_contain_text(f"{VISITOR} has used up the client limits of the policy Few.")
    limits = page.locator("section", has=page.get_by_role("heading", name="8 · Client limits"))
    expect(limits).to_contain_text("2 of 2 requests in 3,600 s")
    limits.get_by_role("button", name="Forgive").click()
    expect(page.locator("#toasts")).to_contain_text(f"Forgot what Few counted of {VISITOR}. Live")
    expect(limits).to_contain_text("No policy counts requests of it now.")
    assert answer(panel, "/", "few.example").startswith("HTTP/1.1 200")
    page.goto(f"{panel.url}/system/traffic")
    expect(page.get_by_role("row", name="Client limits, 1 h")).to_contain_text("1 of 100,000")


def test_a_path_is_not_inspected_once_it_is_off(page: Page, panel: Panel, origin: int) -> None:
    attack, host = "?a=1%27%20OR%20%271%27=%271", "strict.example"
    with Person(panel) as ada:
        made = ada.post("/virtual-hosts", a_host(origin, hostnames=host, enforcement_mode="block"))
        assert made.status == 200
    page.goto(f"{made.url}/paths/new")
    page.get_by_label("Path", exact=True).fill("/static")
    page.get_by_role("radio", name="Off", exact=True).check()
    page.get_by_role("button", name="Add path binding and go live").click()
    expect(page.locator("#toasts")).to_contain_text("Live in")
    expect(page.locator(".sentence")).to_contain_text("are not inspected")
    expect(page.locator("main")).to_contain_text("Any attack on these paths passes.")
    statuses = [answer(panel, path + attack, host).split(" ")[1] for path in ("/static/a", "//static/a", "/other")]
    assert statuses == ["200", "403", "403"]


def test_a_path_is_redirected_once_it_is_said_where_to(page: Page, panel: Panel) -> None:
    page.goto(f"{panel.url}/virtual-hosts/1")
    page.get_by_role("link", name="Add path binding").click()
    page.get_by_label("Path", exact=True).fill("/blog")
    target = page.get_by_label("Redirect to")
    expect(target).to_be_hidden()
    page.locator("#f-redirect").select_option("308")
    expect(target).to_be_visible()
    page.get_by_role("button", name="Add path binding and go live").click()
    expect(page.locator("#f-redirect_to-error")).to_contain_text("Enter a URL or a path to redirect to.")

    target.fill("https://blog.example/archive")
    page.get_by_role("button", name="Add path binding and go live").click()
    expect(page.locator("#toasts")).to_contain_text("Live in")
    expect(page.locator(".sentence")).to_contain_text("https://blog.example/archive")
    redirected = answer(panel, "/blog/2026?page=2")
    assert redirected.startswith("HTTP/1.1 308")
    assert "location: https://blog.example/archive/2026?page=2" in redirected.lower()


def test_why_begins_with_what_rejected_the_request_itself(page: Page, panel: Panel) -> None:
    with Person(panel) as ada:
        assert (
            ada.post(
                "/virtual-hosts/1/paths", {"path": "/shop", "path_match": "below", "enforcement_mode": "block"}
            ).status
            == 200
        )
    for target, host, words, step in (
        ("/shop/%2e%2e/admin", "shop.example", "Ambiguous path", "6 · HTTPS"),
        ("/", "nobody.example", "No virtual host matches", "1, 2 ·"),
    ):
        assert answer(panel, target, host).split(" ")[1] == ("400" if "%" in target else "421")
        event = newest_event(panel, words)
        page.goto(f"{panel.url}/access/why?q={event.rpartition('/')[2]}")
        expect(page.locator("#rejection")).to_contain_text("Rejected. ")
        expect(page.locator("#answer")).to_have_text(f"No list and no ban rejects {VISITOR}.")
        decided = page.locator("section", has=page.get_by_role("heading", name=step))
        expect(decided).to_contain_text("Rejected. ")
