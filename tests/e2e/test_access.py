"""Access and paths in a browser, with and without JavaScript: a ban from an event and back, a list with two bad lines, limits, paths,
and redirects of a path and of a whole virtual host."""

import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Complaints, log_in
from tests.html import read
from tests.live.wire import head
from tests.panel import Panel, running_panel
from tests.web import EMAIL, Person, a_host, a_policy, an_account


@dataclass(frozen=True)
class Visitor:
    """Of a virtual host of its own. Each address of 127.0.0.0/8 is this machine's."""

    panel: Panel
    number: int

    @property
    def address(self) -> str:
        return f"127.9.0.{6 + self.number}"

    @property
    def network(self) -> str:
        """Of others."""
        return f"203.0.{112 + self.number}.0/24"

    @property
    def home(self) -> str:
        """The page of its virtual host."""
        return f"/virtual-hosts/{self.number}"

    def host(self, name: str = "shop") -> str:
        return f"{name}{self.number}.example"

    def answer(self, target: str = "/", name: str = "shop") -> str:
        request = head("GET", self.host(name), target, {"user-agent": "Mozilla/5.0", "accept": "*/*"})
        with socket.create_connection(
            ("127.0.0.1", self.panel.proxy_port), 60, source_address=(self.address, 0)
        ) as visit:
            visit.sendall(request)
            return visit.recv(65536).decode()

    def status(self, target: str = "/", name: str = "shop") -> int:
        return int(self.answer(target, name).split(" ")[1])

    def newest_event(self, words: str) -> str:
        """The address of the one whose row has these words: filters have them, too, and rows of earlier requests are there before."""
        with Person(self.panel) as ada:
            ends = time.monotonic() + 60
            while time.monotonic() < ends:
                listed = ada.get(f"/events?client={self.address}")
                for row in re.findall(r"<tr>.*?</tr>", listed.html, re.DOTALL):
                    match = re.search(r'"(/events/[0-9a-f-]{36})"', row)
                    if match and words in read(row).text:
                        return match[1]
                time.sleep(0.2)
        raise AssertionError(listed.text + self.panel.logs())


WITH, WITHOUT = 1, 2
"JavaScript: the numbers of their visitors and virtual hosts."


@pytest.fixture(scope="module")
def panel(origin: int) -> Iterator[Panel]:
    with running_panel() as running:
        an_account(running)
        with Person(running) as ada:
            for number in (WITH, WITHOUT):
                added = ada.post("/virtual-hosts", a_host(origin, hostnames=Visitor(running, number).host()))
                assert added.url.endswith(Visitor(running, number).home)
        yield running


@pytest.fixture(params=[WITH, WITHOUT], ids=["with JavaScript", "without JavaScript"])
def visitor(request: pytest.FixtureRequest, panel: Panel) -> Visitor:
    return Visitor(panel, request.param)


@pytest.fixture
def page(browser: Browser, visitor: Visitor) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=visitor.number == WITH, base_url=visitor.panel.url)
    page = context.new_page()
    complaints = Complaints(page)
    log_in(page, visitor.panel)
    yield page
    context.close()
    assert complaints.lines == []


def test_a_client_is_banned_from_its_event_and_let_in_again(page: Page, visitor: Visitor) -> None:
    visitor.status("/?a=1%27%20OR%20%271%27=%271")
    page.goto(visitor.newest_event("942"))
    page.get_by_role("link", name="Ban client").click()
    expect(page.get_by_label("Address", exact=True)).to_have_value(visitor.address)
    page.get_by_label("1 day").check()
    page.get_by_role("textbox", name="Reason").fill("Scans")
    page.get_by_role("button", name="Ban address", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text(f"Banned {visitor.address}. Live")
    assert visitor.status() == 403

    page.goto(visitor.newest_event("The client was banned"))
    page.get_by_role("link", name="Why?").click()
    expect(page.locator("#answer")).to_contain_text(f"{visitor.address} is banned.")
    page.get_by_role("button", name=f"Lift the ban of {visitor.address}").click()
    expect(page.locator("#answer")).to_contain_text(f"No list and no ban rejects {visitor.address}.")
    assert visitor.status() == 200


def test_a_list_is_pasted_after_two_bad_lines_were_named(page: Page, visitor: Visitor) -> None:
    bad = visitor.network.replace(".0/24", ".7/24")
    page.goto("/access/lists")
    page.get_by_role("link", name="Add address list").click()
    page.get_by_role("radio", name="Deny").check()
    page.get_by_label("Name").fill(f"Scanners {visitor.number}")
    for source, shown in (("CrowdSec", "feed_key"), ("A URL", "feed_every"), ("By hand", "entries")):
        page.get_by_role("radio", name=source, exact=True).check()
        for field in ("feed_key", "feed_every", "entries"):
            expect(page.locator(f"#f-{field}")).to_be_visible(visible=field == shown)
    page.locator("#f-entries").fill(f"{visitor.address} # seen today\n{bad}\nshop.example\n")
    page.get_by_role("button", name="Add address list and go live").click()
    error = page.locator("#f-entries-error")
    expect(error).to_contain_text(f"Line 2: {bad} has host bits set. Enter {visitor.network}.")
    expect(error).to_contain_text("Line 3: shop.example is not an IP address")
    assert visitor.status() == 200

    page.locator("#f-entries").fill(f"{visitor.address} # seen today\n{visitor.network}\n")
    page.get_by_role("button", name="Add address list and go live").click()
    expect(page.get_by_role("heading", name=f"Scanners {visitor.number}")).to_be_visible()
    assert visitor.status() == 403
    remove = page.get_by_role("button", name=f"Remove {visitor.address}")
    remove.click()
    expect(remove).to_have_count(0)
    expect(page.get_by_role("button", name=f"Remove {visitor.network}")).to_be_visible()
    assert visitor.status() == 200


def test_a_denied_visitor_is_let_in_again_by_what_says_why(page: Page, visitor: Visitor) -> None:
    with Person(visitor.panel) as ada:
        denied = {
            "name": (name := f"Noise {visitor.number}"),
            "kind": "deny",
            "paths": "/admin",
            "entries": f"{visitor.address} # probes",
        }
        assert ada.post("/access/lists", {"applies_to": "everywhere", **denied}).status == 200
    assert (visitor.status(), visitor.status("/admin")) == (200, 403)

    page.goto(f"/access/why?q={visitor.address}")
    part = f"A list rejects {visitor.address}, for /admin. Elsewhere, the WAF decides."
    expect(page.locator("#answer")).to_have_text(part)
    page.goto(visitor.newest_event("deny list"))
    page.get_by_role("link", name="Why?").click()
    expect(page.locator("#answer")).to_contain_text(f"{visitor.address} is rejected by the deny list {name}.")
    entry = page.get_by_role("listitem").filter(has_text="probes")
    expect(entry).to_contain_text(f"never ends: probes, added by {EMAIL}")
    entry.get_by_role("button", name=f"Remove {visitor.address} from {name}").click()
    expect(page.locator("#toasts")).to_contain_text("Live in")
    expect(page.locator("#answer")).to_contain_text(f"No list and no ban rejects {visitor.address}.")
    assert visitor.status("/admin") == 200


def test_a_visitor_over_a_limit_is_forgiven(page: Page, visitor: Visitor, origin: int) -> None:
    name = f"Few {visitor.number}"
    with Person(visitor.panel) as ada:
        policy = ada.post("/policies", a_policy(name=name, enforcement_mode="block")).url
        limited = a_host(origin, hostnames=visitor.host("few"), policy_id=policy.rpartition("/")[2])
        assert ada.post("/virtual-hosts", limited).status == 200
    page.goto(f"{policy}/edit")
    page.get_by_role("switch", name="Client limits").check()
    page.get_by_label("Requests per period").fill("2")
    page.get_by_label("Period", exact=True).fill("3600")
    page.get_by_role("button", name="Save and go live").click()
    expect(page.locator("#toasts")).to_contain_text("Live in")
    assert [visitor.status(name="few") for _ in range(3)] == [200, 200, 429]

    page.goto(visitor.newest_event("limit"))
    page.get_by_role("link", name="Why?").click()
    expect(page.locator("#answer")).to_contain_text(
        f"{visitor.address} has used up the client limits of the policy {name}."
    )
    limits = page.locator("section", has=page.get_by_role("heading", name="8 · Client limits"))
    expect(limits).to_contain_text("2 of 2 requests in 3,600 s")
    limits.get_by_role("button", name="Forgive").click()
    expect(page.locator("#toasts")).to_contain_text(f"Forgot what {name} counted of {visitor.address}. Live")
    expect(limits).to_contain_text("No policy counts requests of it now.")
    assert visitor.status(name="few") == 200
    page.goto("/system/traffic")
    expect(page.get_by_role("row", name="Client limits, 1 h")).to_contain_text(re.compile("[12] of 100,000"))


def test_a_path_is_not_inspected_once_it_is_off(page: Page, visitor: Visitor, origin: int) -> None:
    with Person(visitor.panel) as ada:
        strict = ada.post("/virtual-hosts", a_host(origin, hostnames=visitor.host("strict"), enforcement_mode="block"))
        assert strict.status == 200
    page.goto(f"{strict.url}/paths/new")
    page.get_by_label("Path", exact=True).fill("/static")
    page.get_by_role("radio", name="Off", exact=True).check()
    page.get_by_role("button", name="Add path binding and go live").click()
    expect(page.locator("#toasts")).to_contain_text("Live in")
    expect(page.locator(".sentence")).to_contain_text("are not inspected")
    expect(page.locator("main")).to_contain_text("Any attack on these paths passes.")
    attack = "?a=1%27%20OR%20%271%27=%271"
    assert [visitor.status(path + attack, "strict") for path in ("/static/a", "//static/a", "/other")] == [
        200,
        403,
        403,
    ]


def test_a_path_is_redirected_once_it_is_said_where_to(page: Page, visitor: Visitor) -> None:
    page.goto(visitor.home)
    page.get_by_role("link", name="Add path binding").click()
    page.get_by_label("Path", exact=True).fill("/blog")
    redirect(page, "308", "https://blog.example/archive", "Add path binding and go live")
    expect(page.locator(".sentence")).to_contain_text("https://blog.example/archive")
    redirected = visitor.answer("/blog/2026?page=2")
    assert redirected.startswith("HTTP/1.1 308")
    assert "location: https://blog.example/archive/2026?page=2" in redirected.lower()
    assert visitor.status("/blogs") == 200


def test_a_whole_virtual_host_is_redirected_and_gets_its_servers_back(
    page: Page, visitor: Visitor, origin: int
) -> None:
    with Person(visitor.panel) as ada:
        moved = ada.post("/virtual-hosts", a_host(origin, hostnames=visitor.host("moved")))
        assert moved.status == 200
    page.goto(moved.url)
    page.get_by_role("link", name="Edit").click()
    redirect(page, "301", "https://new.example/shop", "Save and go live")
    expect(page.locator("main")).to_contain_text("https://new.example/shop")
    redirected = visitor.answer("/a?b=c", "moved")
    assert redirected.startswith("HTTP/1.1 301")
    assert "location: https://new.example/shop/a?b=c" in redirected.lower()

    page.get_by_role("link", name="Edit").click()
    page.locator("#f-redirect").select_option("no")
    page.get_by_role("button", name="Save and go live").click()
    expect(page).to_have_url(moved.url)
    expect(page.locator("#toasts")).to_contain_text("Live in")
    assert visitor.status("/a?b=c", "moved") == 200


def redirect(page: Page, status: str, target: str, save: str) -> None:
    """In a form, which asks where to once it is said that."""
    typed = page.get_by_label("Redirect to", exact=True)
    expect(typed).to_be_hidden()
    page.locator("#f-redirect").select_option(status)
    expect(typed).to_be_visible()
    page.get_by_role("button", name=save).click()
    expect(page.locator("#f-redirect_to-error")).to_contain_text("Enter a URL or a path to redirect to.")
    typed.fill(target)
    page.get_by_role("switch", name="Keep the rest").check()
    page.get_by_role("button", name=save).click()
    expect(page.locator("#toasts")).to_contain_text("Live in")


def test_why_begins_with_what_rejected_the_request_itself(page: Page, visitor: Visitor) -> None:
    bound: dict[str, object] = {"path": "/shop", "path_match": "below", "enforcement_mode": "block"}
    with Person(visitor.panel) as ada:
        assert ada.post(f"{visitor.home}/paths", bound).status == 200
    for target, name, status, words, step in (
        ("/shop/%2e%2e/admin", "shop", 400, "Ambiguous path", "6 · HTTPS"),
        ("/", "nobody", 421, "No virtual host matches", "1, 2 ·"),
    ):
        assert visitor.status(target, name) == status
        page.goto(f"/access/why?q={visitor.newest_event(words).rpartition('/')[2]}")
        expect(page.locator("#rejection")).to_contain_text("Rejected. ")
        expect(page.locator("#answer")).to_have_text(f"No list and no ban rejects {visitor.address}.")
        decided = page.locator("section", has=page.get_by_role("heading", name=step))
        expect(decided).to_contain_text("Rejected. ")
