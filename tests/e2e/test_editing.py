"""Two windows on one thing: the second to save sees both versions, chooses per field, and nothing typed is lost."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import Complaints, log_in
from tests.e2e.test_accessibility import WIDTHS, faults
from tests.panel import Panel
from tests.web import Person, a_host, a_policy, an_account

GRACE = "grace@example.org"
LIVE = re.compile(r"Live in \d+\.\d s as revision \d+")


@pytest.fixture
def host(panel: Panel, origin: int, request: pytest.FixtureRequest) -> Iterator[str]:
    """The path of a virtual host that only this test uses."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name).strip("-")[:50] + ".example"
    with Person(panel) as ada:
        yield ada.post("/virtual-hosts", a_host(origin, hostnames=name, name="shop")).url.removeprefix(panel.url)


@pytest.fixture(scope="module")
def grace(panel: Panel) -> Iterator[Person]:
    an_account(panel, GRACE)
    with Person(panel, GRACE) as person:
        yield person


def edit(page: Page, panel: Panel, path: str) -> None:
    page.goto(f"{panel.url}{path}/edit")


def field(page: Page, name: str) -> Locator:
    return page.locator(f"#f-{name}")


def save(page: Page) -> None:
    page.get_by_role("button", name=re.compile("Save and go live")).click()


def both_edit(first: Page, second: Page, panel: Panel, host: str) -> None:
    """Each opens the form; the first saves notes and a path, the second types a path and a number, and saves too."""
    edit(second, panel, host)
    edit(first, panel, host)
    field(first, "notes").fill("Ada's notes")
    field(first, "health_check_path").fill("/first")
    save(first)
    expect(first.get_by_text(LIVE)).to_be_visible()
    field(second, "health_check_path").fill("/second")
    field(second, "health_check_interval").fill("7")
    save(second)
    expect(second.get_by_role("heading", name="You changed this while you were editing")).to_be_visible()


def choose(page: Page, label: str, at: int) -> None:
    """0: as it is now, 1: as typed."""
    page.get_by_role("radiogroup", name=re.compile(label)).get_by_role("radio").nth(at).check()


def chosen(page: Page, label: str) -> int:
    group = page.get_by_role("radiogroup", name=re.compile(label)).get_by_role("radio")
    return next(at for at in range(2) if group.nth(at).is_checked())


def decide(page: Page, panel: Panel, host: str) -> None:
    assert {label: chosen(page, label) for label in ("Notes", "Check path", "Check interval")} == {
        "Notes": 0, "Check path": 1, "Check interval": 1,
    }  # fmt: skip
    expect(page.get_by_role("radiogroup", name=re.compile("Check path"))).to_contain_text("both changed")
    assert field(page, "health_check_path").input_value() == "/second"
    choose(page, "Check path", 0)
    save(page)
    expect(page.get_by_text(LIVE)).to_be_visible()
    edit(page, panel, host)
    values = [field(page, name).input_value() for name in ("notes", "health_check_path", "health_check_interval")]
    assert values == ["Ada's notes", "/first", "7"]


def test_two_windows_choose_per_field(browser: Browser, panel: Panel, quiet_page: Page, host: str) -> None:
    other = browser.new_context().new_page()
    log_in(other, panel)
    log_in(quiet_page, panel)

    both_edit(other, quiet_page, panel, host)
    expect(quiet_page.locator("[data-refusal]")).to_be_focused()
    decide(quiet_page, panel, host)
    other.context.close()


def test_the_same_without_javascript(browser: Browser, panel: Panel, no_script: Page, host: str) -> None:
    other = browser.new_context(java_script_enabled=False).new_page()
    log_in(other, panel)
    log_in(no_script, panel)

    both_edit(other, no_script, panel, host)
    decide(no_script, panel, host)
    other.context.close()


def test_typing_on_selects_the_typed_value(panel: Panel, quiet_page: Page, grace: Person, host: str) -> None:
    log_in(quiet_page, panel)
    edit(quiet_page, panel, host)
    form = a_host(1, hostnames=host.rpartition("/")[2] + ".example", name="shop", notes="Grace's", version="1")
    assert grace.post(host, {**form, "health_check": ""}).status == 200
    save_anyway(quiet_page, "name", "my shop")
    assert chosen(quiet_page, "Notes") == 0

    field(quiet_page, "notes").fill("mine after all")

    assert chosen(quiet_page, "Notes") == 1


def save_anyway(page: Page, name: str, value: str) -> None:
    field(page, name).fill(value)
    save(page)
    page.wait_for_selector("[data-refusal]")


def test_going_back_without_javascript_and_saving_something_else_is_a_save_of_its_own(
    panel: Panel, no_script: Page, host: str
) -> None:
    log_in(no_script, panel)
    edit(no_script, panel, host)
    field(no_script, "health_check_path").fill("/first")
    save(no_script)
    expect(no_script.get_by_text(LIVE)).to_be_visible()

    no_script.go_back()
    field(no_script, "health_check_path").fill("/second")
    save(no_script)

    expect(no_script.get_by_text(LIVE)).to_be_visible()
    edit(no_script, panel, host)
    assert field(no_script, "health_check_path").input_value() == "/second"


def test_a_row_deleted_during_editing_is_added_again(panel: Panel, quiet_page: Page, grace: Person) -> None:
    with Person(panel) as ada:
        path = ada.post("/policies", a_policy(name="Short-lived")).url.removeprefix(panel.url)
    log_in(quiet_page, panel)
    edit(quiet_page, panel, path)
    assert grace.post(f"{path}/delete", {"version": "1"}).status == 200

    save_anyway(quiet_page, "description", "typed")
    expect(
        quiet_page.get_by_role("heading", name=f"{GRACE} deleted this policy while you were editing")
    ).to_be_visible()
    quiet_page.get_by_role("button", name="Add policy and go live").click()

    expect(quiet_page.get_by_text(LIVE)).to_be_visible()
    expect(quiet_page.get_by_text("typed")).to_be_visible()


def test_the_choice_has_no_fault_at_any_width(browser: Browser, panel: Panel, grace: Person, origin: int) -> None:
    names = "wide.example\nwww.wide.example"
    with Person(panel) as ada:
        path = ada.post("/virtual-hosts", a_host(origin, hostnames=names, name="wide")).url.removeprefix(panel.url)
    context = browser.new_context(color_scheme="light")
    page = context.new_page()
    complaints = Complaints(page)
    log_in(page, panel)
    edit(page, panel, path)
    many = "\n".join(f"customer-{n}.a-rather-long-company-name.wide.example" for n in range(30))
    theirs = a_host(origin, hostnames=f"{names}\n{many}", name="wide", version="1", notes="hers", policy_id="")
    assert grace.post(path, theirs).status == 200
    field(page, "hostnames").fill(f"{names}\nmine.wide.example")
    save_anyway(page, "health_check_interval", "7")

    for width in (1440, *WIDTHS):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if width in {390, 1440}:
            assert faults(page) == []
    edit(page, panel, path)
    assert complaints.lines == []
    context.close()


def test_enter_in_a_field_saves_and_takes_no_server_out(panel: Panel, quiet_page: Page, host: str) -> None:
    log_in(quiet_page, panel)
    edit(quiet_page, panel, host)
    field(quiet_page, "name").fill("renamed by Enter")
    field(quiet_page, "name").press("Enter")
    expect(quiet_page.get_by_role("heading", name="renamed by Enter")).to_be_visible()

    edit(quiet_page, panel, host)
    expect(field(quiet_page, "name")).to_have_value("renamed by Enter")
    expect(quiet_page.get_by_label("Server 1 address")).to_have_count(1)


def test_rows_are_named_by_their_order_after_one_was_removed(panel: Panel, quiet_page: Page, host: str) -> None:
    log_in(quiet_page, panel)
    edit(quiet_page, panel, host)
    for _ in range(2):
        quiet_page.get_by_role("button", name="Add server").click()
    quiet_page.get_by_role("button", name="Remove server 2").press("Enter")

    addresses = quiet_page.get_by_label(re.compile(r"Server \d+ address"))
    assert [one.get_attribute("aria-label") for one in addresses.all()] == ["Server 1 address", "Server 2 address"]
    expect(addresses.nth(1)).to_be_focused()
