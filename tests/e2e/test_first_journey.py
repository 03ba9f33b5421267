"""From nothing to a protected site, as an operator does it; and the same without JavaScript."""

import re

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.haproxies import ONE_VERSION, haproxy_binary
from tests.panel import Panel, running_panel
from tests.web import EMAIL, PASSWORD

ATTACK = "/?id=1%27%20OR%20%271%27=%271"


def visit(panel: Panel, path: str = "/", host: str = "shop.example") -> httpx2.Response:
    return httpx2.get(panel.proxy + path, headers={"host": host})


def set_up(page: Page, panel: Panel) -> None:
    page.goto(panel.setup_link)
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name=re.compile("Create|Set up")).click()
    page.wait_for_url(f"{panel.url}/")


def switch_policy_to(page: Page, panel: Panel, mode: str) -> None:
    page.goto(f"{panel.url}/policies")
    page.get_by_role("link", name="Default", exact=True).click()
    page.get_by_role("link", name="Edit").click()
    page.get_by_label(mode, exact=True).check(force=True)
    page.get_by_role("button", name=re.compile("Save and go live")).click()
    expect(page.get_by_text(re.compile(r"Live in \d+\.\d s as revision \d+"))).to_be_visible()


def journey(page: Page, panel: Panel, origin: int) -> None:
    set_up(page, panel)
    assert visit(panel).status_code == 421

    page.goto(f"{panel.url}/virtual-hosts")
    page.get_by_role("link", name=re.compile("Add virtual host")).first.click()
    page.get_by_role("textbox", name="Hostnames").fill("shop.example")
    page.get_by_label("Server 1 address").fill(f"127.0.0.1:{origin}")
    page.get_by_role("button", name="Add virtual host and go live").click()
    expect(page.get_by_role("heading", name="shop.example", level=1)).to_be_visible()
    expect(page.get_by_text(re.compile(r"Live in \d+\.\d s as revision \d+"))).to_be_visible()
    assert visit(panel, "/page").text == "hello from /page"
    assert visit(panel, ATTACK).status_code == 200
    own = page.url

    page.get_by_role("button", name="Send clean request").click()
    expect(page.get_by_text("Clean request passed")).to_be_visible()
    page.get_by_role("button", name="Send test attack").click()
    result = page.get_by_text("Test attack detected, not blocked")
    expect(result).to_be_visible()
    expect(page.get_by_text("942100")).to_be_visible()
    expect(page.get_by_text(re.compile(r"score \d+, threshold 5"))).to_be_visible()

    switch_policy_to(page, panel, "Block")
    page.goto(own)
    page.get_by_role("button", name="Send test attack").click()
    expect(page.get_by_text("Test attack blocked")).to_be_visible()
    blocked = visit(panel, ATTACK)
    assert blocked.status_code == 403
    assert re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", blocked.text)
    assert "OR" not in blocked.text.replace("operator", "")

    switch_policy_to(page, panel, "Detect only")
    assert visit(panel, ATTACK).status_code == 200


def test_from_set_up_to_a_blocked_attack_and_back(quiet_page: Page, fresh_panel: Panel, origin: int) -> None:
    journey(quiet_page, fresh_panel, origin)

    # The link of the set-up works once.
    quiet_page.context.clear_cookies()
    quiet_page.goto(fresh_panel.setup_link)
    expect(quiet_page.get_by_label("Password", exact=True)).to_have_count(0)


@pytest.mark.parametrize("engine", ONE_VERSION)
def test_the_same_without_javascript(no_script: Page, engine: str, origin: int) -> None:
    with running_panel(haproxy_binary(engine)) as panel:
        journey(no_script, panel, origin)
