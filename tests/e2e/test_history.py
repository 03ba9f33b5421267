"""Back to what was: from the toast, from the list, for one thing alone; and the same without JavaScript."""

import re
from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import log_in
from tests.panel import Panel
from tests.web import Person, a_host, a_policy

LIVE = re.compile(r"Live in \d+\.\d+ s as revision \d+")


@pytest.fixture
def ada(panel: Panel) -> Iterator[Person]:
    """Who prepares what the browser then looks at."""
    with Person(panel) as made:
        yield made


def status(panel: Panel, host: str) -> int:
    return httpx2.get(panel.proxy + "/", headers={"host": host}).status_code


def edit(page: Page, url: str, label: str, text: str) -> None:
    page.goto(f"{url}/edit")
    page.get_by_role("textbox", name=label, exact=True).fill(text)
    page.get_by_role("button", name=re.compile("Save and go live")).click()
    expect(page.get_by_text(LIVE)).to_be_visible()


def undo_from_the_toast(page: Page, panel: Panel, ada: Person, origin: int, host: str) -> None:
    url = ada.post("/virtual-hosts", a_host(origin, hostnames=host)).url
    edit(page, url, "Hostnames", f"new.{host}")
    assert (status(panel, host), status(panel, f"new.{host}")) == (421, 200)

    page.locator("#toasts").get_by_role("button", name="Undo").click()

    expect(page.get_by_text(re.compile(r"Undone\. Live in"))).to_be_visible()
    expect(page.get_by_role("heading", name=host, level=1)).to_be_visible()
    assert page.url == url
    assert (status(panel, host), status(panel, f"new.{host}")) == (200, 421)


def test_the_last_save_is_undone_from_its_toast(quiet_page: Page, panel: Panel, ada: Person, origin: int) -> None:
    log_in(quiet_page, panel)

    undo_from_the_toast(quiet_page, panel, ada, origin, "toast.example")


def test_the_key_u_undoes_and_does_again(quiet_page: Page, panel: Panel, ada: Person, origin: int) -> None:
    page = quiet_page
    log_in(page, panel)
    url = ada.post("/virtual-hosts", a_host(origin, hostnames="key.example")).url
    page.goto(f"{url}/delete")
    page.get_by_role("button", name="Delete virtual host").click()
    expect(page.get_by_text("Deleted key.example.")).to_be_visible()
    assert status(panel, "key.example") == 421

    page.keyboard.press("u")
    expect(page.get_by_text(re.compile(r"Undone\. Live in"))).to_be_visible()
    assert (page.url, status(panel, "key.example")) == (url, 200)

    page.keyboard.press("u")
    page.wait_for_url(f"{panel.url}/virtual-hosts")
    assert status(panel, "key.example") == 421


def test_a_double_click_on_undo_is_one_undo(quiet_page: Page, panel: Panel, ada: Person, origin: int) -> None:
    page = quiet_page
    log_in(page, panel)
    url = ada.post("/virtual-hosts", a_host(origin, hostnames="double.example")).url
    edit(page, url, "Hostnames", "double.example\nwww.double.example")

    page.locator("#toasts").get_by_role("button", name="Undo").dblclick()
    expect(page.get_by_text(re.compile(r"Undone\. "))).to_be_visible()
    page.goto(f"{panel.url}/changes")

    assert [text.split(":")[0] for text in page.locator(".c-what > a").all_inner_texts()[:2]] == [
        "Undid",
        "double.example",
    ]


def restores(page: Page, panel: Panel, ada: Person, origin: int, name: str) -> None:
    """One thing alone, then everything."""
    first, second = f"a.{name}", f"b.{name}"
    url = ada.post("/virtual-hosts", a_host(origin, hostnames=first)).url
    number = url.rpartition("/")[2]
    ada.post(
        f"/virtual-hosts/{number}", a_host(origin, hostnames=f"{first}\nwww.{first}", maintenance="on", version="1")
    )
    ada.post("/virtual-hosts", a_host(origin, hostnames=second))
    assert (status(panel, first), status(panel, f"www.{first}"), status(panel, second)) == (503, 503, 200)

    page.goto(f"{panel.url}/changes?noun=virtual_host&id={number}")
    page.locator("tr", has_text=f"Added virtual host {first}").get_by_role("link", name="Restore").click()
    expect(page.get_by_role("heading", name=re.compile(r"Restore revision \d+"), level=1)).to_be_visible()
    expect(page.get_by_text(f"www.{first}", exact=True).first).to_be_visible()
    page.get_by_role("button", name=f"Restore only {first}").click()
    expect(page.get_by_text(re.compile(r"Restored\. Live in"))).to_be_visible()
    assert page.url == url
    assert (status(panel, first), status(panel, f"www.{first}"), status(panel, second)) == (200, 421, 200)

    page.goto(f"{panel.url}/changes?noun=virtual_host&id={number}")
    page.get_by_role("link", name=f"Added virtual host {first}", exact=True).click()
    page.get_by_role("link", name="Restore", exact=True).click()
    page.get_by_role("button", name=re.compile("Restore and go live")).click()
    expect(page.get_by_text(re.compile(r"Restored\. Live in"))).to_be_visible()
    expect(page.get_by_role("link", name=re.compile(r"^Restored revision \d+$")).first).to_be_visible()
    assert (status(panel, first), status(panel, second)) == (200, 421)


def test_one_thing_and_everything_are_restored(quiet_page: Page, panel: Panel, ada: Person, origin: int) -> None:
    log_in(quiet_page, panel)

    restores(quiet_page, panel, ada, origin, "back.example")


def test_a_refused_change_is_read_in_the_engines_words(
    quiet_page: Page, panel: Panel, ada: Person, origin: int
) -> None:
    page = quiet_page
    log_in(page, panel)
    url = ada.post("/virtual-hosts", a_host(origin, hostnames="refused.example")).url
    refused = a_host(origin, hostnames="refused.example", version="1", **{"servers.0.address": "nowhere.invalid:80"})
    assert ada.post(url.removeprefix(panel.url), refused).status == 422

    page.goto(f"{panel.url}/changes?outcome=rejected")
    page.get_by_role("link", name=re.compile("^refused.example: server")).click()

    expect(page.get_by_role("heading", name="Rejected change", level=1)).to_be_visible()
    expect(page.get_by_role("region", name="Output")).to_contain_text("could not resolve address 'nowhere.invalid'")
    expect(page.get_by_text("what it would have changed")).to_be_visible()
    expect(page.get_by_role("region", name="Lines that differ")).to_contain_text("nowhere.invalid:80")
    expect(page.get_by_role("link", name="Restore")).to_have_count(0)


def test_the_difference_is_read_in_both_layouts_and_against_any_revision(
    quiet_page: Page, panel: Panel, ada: Person, origin: int
) -> None:
    page = quiet_page
    log_in(page, panel)
    ada.post("/policies", a_policy(name="Diffed", inbound_anomaly_threshold="9"))
    page.goto(f"{panel.url}/changes")
    page.get_by_role("link", name="Added policy Diffed").click()

    page.get_by_role("link", name=re.compile("Agent")).click()
    expect(page.get_by_role("region", name="Lines that differ")).to_contain_text("inbound_anomaly_score_threshold=9")
    page.get_by_role("link", name="Side by side").click()
    expect(page.locator(".diff.two")).to_be_visible()
    page.get_by_label("Compare with revision").fill("1")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("from revision 1 to this")).to_be_visible()
    page.get_by_text("Add note").click()
    page.get_by_label("Note").fill("For the shop")
    page.get_by_role("button", name="Save note").click()
    expect(page.locator(".notes")).to_have_text("For the shop")


def test_the_same_without_javascript(no_script: Page, panel: Panel, ada: Person, origin: int) -> None:
    page = no_script
    log_in(page, panel)

    undo_from_the_toast(page, panel, ada, origin, "plain-toast.example")
    restores(page, panel, ada, origin, "plain.example")
    page.goto(f"{panel.url}/changes?outcome=rejected")
    expect(page.locator("main")).to_contain_text("Rejected")
