"""No page has an accessibility fault that axe can find; none is wider than its window.

What the dark theme changes is colours alone: tests/views/test_contrast.py has all of them, and two pages are looked at here.
"""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.certificates.test_client_cas import lists, whole
from tests.e2e.conftest import PATIENCE_MS, Complaints, log_in
from tests.e2e.pages import BARE, PAGES, STATUSES
from tests.factories import A_LOGO, a_body_reading, a_header_rule
from tests.mmdb import database
from tests.panel import Panel, running_panel
from tests.web import EMAIL, Person, a_host, a_policy, an_account

ALL = "GUARDPANEL_TEST_ALL" in os.environ

WHOLE = ("/changes/1",) if ALL else ()
"Each line of the first configuration, as added. Its markup is that of /changes/3, and axe takes a tenth of all pages' time for it."

DARK = ("/policies/1/edit", "/changes/2?layout=two", "/certificates/2")
"With every kind of field, with what is coloured most, and with the steps of an order."

AN_ORDER = {"name": "Ordered", "source": "acme", "names": "nowhere.invalid", "authority": "https://127.0.0.1:1/"}
"Of an authority that nobody is: the order waits for it."

WIDTHS = (360, 390, 1024, 1440)

IN_ONE_ROW = """() => {
    const boxes = [...document.querySelectorAll(".savebar .actions > *")].map(e => e.getBoundingClientRect());
    return Math.max(...boxes.map(box => box.top)) <= Math.min(...boxes.map(box => box.bottom));
}"""
"Of no boxes, too."

COLORS = "color-contrast"
UNSEEN_COLORS = Path(__file__).with_name("colors.js").read_text("utf-8")
"Looking at each text's colors takes most of axe's time, so each text, as it is colored, is looked at once. In `make nightly` all are."


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    """One of its own: its pages are known by number. With data about countries, and a feed to download."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "feed.txt").write_text("203.0.113.0/24\n198.51.100.7\n127.0.0.1\n")
    database(folder / "country.mmdb", {"203.0.113.0/24": "DE", "198.51.100.0/24": "FR"})
    files = {"FEED_FILES": str(folder), "GEO_COUNTRY_FILE": str(folder / "country.mmdb")}
    with running_panel(environment={f"GUARDPANEL_{name}": value for name, value in files.items()}) as running:
        an_account(running)
        yield running


@pytest.fixture(scope="module")
def filled(panel: Panel, origin: int) -> Panel:
    """A panel with something on every page: long names, another script, a server that is down, a refused save."""
    long = ".".join(letter * 63 for letter in "abc") + f".{'d' * 53}.example"
    with Person(panel) as ada:
        for names in ("shop.example\nwww.shop.example", "bücher.example", "*.tenants.example", long):
            assert ada.post("/virtual-hosts", a_host(origin, hostnames=names)).status == 200
        assert ada.post("/virtual-hosts", a_host(1, hostnames="down.example", health_check_interval="1")).status == 200
        geo = {"country_mode": "reject", "countries": "FR"}
        assert ada.post("/policies", a_policy(name="Strict", enforcement_mode="block", **geo)).status == 200
        assert (
            ada.post(
                "/virtual-hosts",
                a_host(origin, hostnames="lost.example", **{"servers.0.address": "nowhere.invalid:80"}),
            ).status
            == 422
        )
        exclusion = {
            "rules": "941100",
            "target": "argument",
            "target_name": "content",
            "path_match": "any",
            "enabled": "on",
        }
        assert (
            ada.post("/policies/1/exclusions", {**exclusion, "owner": EMAIL, "reason": "Editors write HTML"}).status
            == 200
        )
        assert ada.post("/policies/1/body-readings", a_body_reading()).status == 200
        assert ada.post("/policies/1/rules", {"rule": "942200", "action": "disable"}).status == 200
        for fields in ({"source": "self_signed", "names": "shop.example\n*.tenants.example"}, AN_ORDER):
            assert ada.post("/certificates", {"name": "Shop", "key_type": "ecdsa", **fields}).status == 200
        assert ada.post("/certificates/1/renew", {}).status == 200
        assert (
            ada.post("/client-cas", {"name": "Staff", "certificates": whole(), "revocation_lists": lists()}).status
            == 200
        )
        pages = {
            "name": "Ours",
            "site_name": "Shop",
            "accent": "#00796b",
            "text": "Call us",
            "contact": "help@shop.example",
        }
        assert ada.post("/error-pages", {**pages, "logo": A_LOGO, "is_default": "on"}).status == 200
        text = 'SecRule ARGS:q "@rx ^x" "id:9000001,phase:2,deny,status:403,log,msg:\'Mine\'"'
        listed = {"name": "Scanners", "kind": "deny", "entries": "203.0.113.0/24 # all\n198.51.100.7 until 2096-10-02"}
        listed["applies_to"] = "everywhere"
        assert ada.post("/access/lists", {"save_key": "0123456789abcdef", **listed}).status == 200
        assert (
            ada.post("/access/bans", {"network": "203.0.113.9", "length": "forever", "reason": "Scans"}).status == 200
        )
        feed = {"filled_from": "url", "feed_url": f"file://{panel.environment['GUARDPANEL_FEED_FILES']}/feed.txt"}
        assert ada.post("/access/lists", {**listed, **feed, "name": "Feed", "entries": ""}).status == 200
        assert "Waits for you" in ada.post("/access/lists/2/feed/download", {}).text
        assert ada.post("/virtual-hosts/1/headers", a_header_rule()).status == 200
        redirect = {"redirect": "301", "redirect_to": "https://blog.example/archive"}
        binding = {"path_match": "below", "path": "/blog", **redirect}
        assert ada.post("/virtual-hosts/1/paths", {**binding}).status == 200
        strict = {"path_match": "below", "path": "/shop", "policy_id": "2"}
        assert ada.post("/virtual-hosts/1/paths", {**strict}).status == 200
        assert "Edit this path" in ada.get("/access/why?q=198.51.100.7").text
        assert ada.post("/virtual-hosts/1/logins", {"name": "ada", "password": "correct horse battery"}).status == 200
        assert ada.post("/policies/1/custom-rules", {"seclang": text, "enabled": "on"}).status == 200
    httpx2.get(f"{panel.proxy}/?file=../../etc/passwd", headers={"host": long})
    httpx2.get(
        f"{panel.proxy}/?id=1%27%20OR%20%271%27=%271&q={'long' * 300}",
        headers={"host": "shop.example", "x-forwarded-for": ", ".join(["203.0.113.9"] * 30)},
    )
    return panel


@pytest.fixture(scope="module")
def event(filled: Panel) -> str:
    """The request ID of the long one, once the ingest has read it."""
    with Person(filled) as ada:
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            if match := re.search(r'"/events/([0-9a-f-]{36})"', ada.get("/events?rule=942100").html):
                return match[1]
            time.sleep(0.2)
    raise AssertionError(filled.logs())


@pytest.fixture(scope="module")
def browsing(browser: Browser, filled: Panel) -> Iterator[Page]:
    context = browser.new_context(color_scheme="light")
    page = context.new_page()
    log_in(page, filled)
    yield page
    context.close()


def faults(page: Page, *rules: str, without: str = "") -> list[str]:
    """What axe finds, by all of its rules, or some, or all but one."""
    some = {"runOnly": list(rules)} if rules else {"rules": {without: {"enabled": False}}} if without else {}
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    run = "options => axe.run(options).then(results => results.violations)"
    return in_words(page.evaluate(run, {"resultTypes": ["violations"], **some}))


def in_words(violations: list[dict[str, Any]]) -> list[str]:
    return [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary'][:200]}"
        for rule in violations
        for node in rule["nodes"]
    ]


def faults_of_unseen(page: Page, colors: set[str]) -> list[str]:
    """As `faults`, of colors only where a text has others than all before."""
    if ALL:
        return faults(page)
    others = faults(page, without=COLORS)
    looked_at = page.evaluate(UNSEEN_COLORS, sorted(colors))
    colors.update(looked_at["colors"])
    return others + in_words(looked_at["violations"])


@pytest.fixture(scope="module")
def colors() -> set[str]:
    """That were looked at."""
    return set()


@pytest.mark.parametrize("path", [*PAGES, *WHOLE])
def test_a_page_has_no_fault(browsing: Page, filled: Panel, event: str, colors: set[str], path: str) -> None:
    complaints = Complaints(browsing)
    browsing.set_viewport_size({"width": 1440, "height": 900})
    answer = browsing.goto(filled.url + path.format(event=event))

    assert answer
    assert answer.status == STATUSES.get(path, 200)
    assert faults_of_unseen(browsing, colors) == []
    for width in (1440, 1024, 360, 390):
        if width != 1440:
            browsing.set_viewport_size({"width": width, "height": 844})
        assert browsing.evaluate("document.documentElement.scrollWidth") <= width, f"{path} at {width}"
    assert browsing.evaluate(IN_ONE_ROW), "the save bar at 390"
    assert faults(browsing, without="" if ALL else COLORS) == []
    assert complaints.lines == []


def test_a_text_whose_color_is_new_is_looked_at_on_a_later_page(
    browsing: Page, filled: Panel, colors: set[str]
) -> None:
    browsing.set_viewport_size({"width": 1440, "height": 900})
    browsing.goto(f"{filled.url}/search")
    assert faults_of_unseen(browsing, colors) == []

    browsing.evaluate("document.querySelector('h1').style.color = '#ddd'")

    assert [fault for fault in faults_of_unseen(browsing, colors) if fault.startswith(f"{COLORS}: <h1")]
    colors.clear()


@pytest.mark.parametrize("path", DARK)
def test_a_page_can_be_read_in_the_dark(browsing: Page, filled: Panel, path: str) -> None:
    browsing.set_viewport_size({"width": 1440, "height": 900})
    browsing.emulate_media(color_scheme="dark")
    browsing.goto(filled.url + path)

    violations = faults(browsing, "color-contrast", "link-in-text-block")

    browsing.emulate_media(color_scheme="light")
    assert violations == []


def test_each_link_of_a_row_can_be_touched_on_a_phone(browsing: Page, filled: Panel) -> None:
    """The row's name covers the row; what else leads somewhere lies above it."""
    browsing.set_viewport_size({"width": 390, "height": 844})
    browsing.goto(f"{filled.url}/policies")

    browsing.get_by_role("link", name="5 virtual hosts").click(timeout=PATIENCE_MS)

    expect(browsing).to_have_url(f"{filled.url}/virtual-hosts?policy=1")


def test_a_text_that_does_not_fit_is_whole_in_a_tooltip(browsing: Page, filled: Panel) -> None:
    browsing.set_viewport_size({"width": 390, "height": 844})
    browsing.goto(f"{filled.url}/virtual-hosts/4")
    name = browsing.locator(".bar-title")
    assert name.evaluate("title => title.scrollWidth > title.clientWidth")

    name.hover()

    expect(name).to_have_attribute("title", name.inner_text())


@pytest.mark.parametrize("width", [375, 390])
def test_a_request_id_fits_the_field_that_asks_for_one_on_a_phone(
    browsing: Page, filled: Panel, event: str, width: int
) -> None:
    """A scrollbar takes 15 px of these, and of a phone's none."""
    browsing.set_viewport_size({"width": width, "height": 844})
    browsing.goto(f"{filled.url}/access/why?q={event}")

    assert browsing.locator("#f-q").evaluate("field => field.scrollWidth - field.clientWidth") <= 0


@pytest.mark.parametrize("path", BARE)
def test_a_page_for_people_who_are_not_logged_in_has_no_fault(page: Page, filled: Panel, path: str) -> None:
    page.goto(filled.url + path)

    assert faults(page) == []


def test_a_refused_form_has_no_fault_and_takes_the_focus(browsing: Page, filled: Panel) -> None:
    browsing.set_viewport_size({"width": 1440, "height": 900})
    browsing.goto(f"{filled.url}/virtual-hosts/new")
    browsing.get_by_role("textbox", name="Hostnames").fill("new.example")
    browsing.get_by_label("Server 1 address").fill("nowhere.invalid:80")
    browsing.get_by_role("button", name="Add virtual host and go live").click()
    browsing.wait_for_selector("[data-refusal]")

    assert faults(browsing) == []
    expect(browsing.locator("[data-refusal]")).to_be_focused()
    assert browsing.get_by_role("textbox", name="Hostnames").input_value() == "new.example"
    assert "could not resolve address" in browsing.locator(".field-error").inner_text()


def test_a_save_shows_its_steps(browsing: Page, filled: Panel) -> None:
    browsing.goto(f"{filled.url}/policies/2/edit")
    browsing.get_by_label("Inbound anomaly threshold").fill(
        str(100 + int(browsing.evaluate("performance.now()")) % 900)
    )
    texts = browsing.evaluate_handle(
        """() => {
            const seen = [], steps = document.querySelector('[data-steps]');
            new MutationObserver(() => seen.push(steps.textContent)).observe(steps, {childList: true, subtree: true});
            return seen;
        }"""
    )
    browsing.get_by_role("button", name="Save and go live").click()
    browsing.wait_for_selector(".toast")

    assert "Live in" in browsing.locator(".toast").inner_text()
    assert any("Check" in text for text in texts.json_value())
