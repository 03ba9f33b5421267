"""From a blocked request to its fix in a browser: three clicks from the event, by keyboard, and without JavaScript."""

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import log_in
from tests.e2e.test_accessibility import faults
from tests.live.test_fix_live import event_of, post, prepare
from tests.panel import Panel
from tests.web import bearer

pytestmark = pytest.mark.usefixtures("aside")


@pytest.fixture(scope="module")
def blog(panel: Panel, origin: int) -> Panel:
    prepare(panel, origin)
    return panel


def blocked(panel: Panel, field: str) -> tuple[dict[str, str], str]:
    """What somebody sent, and the address of its event."""
    sent = {"title": "hi", field: "<script>alert(1)</script>"}
    with bearer(panel) as api:
        return sent, f"{panel.url}/events/{event_of(api, sent, panel)}"


def test_three_clicks_from_the_event_free_the_request(quiet_page: Page, blog: Panel) -> None:
    sent, event = blocked(blog, "content")
    log_in(quiet_page, blog)
    quiet_page.goto(event)

    quiet_page.get_by_role("link", name="Not an attack").click()
    expect(quiet_page.get_by_text("In another field, 12 of 12 attacks are still blocked")).to_be_visible()
    assert faults(quiet_page) == []
    quiet_page.set_viewport_size({"width": 390, "height": 844})
    assert quiet_page.evaluate("document.documentElement.scrollWidth") <= 390
    quiet_page.emulate_media(color_scheme="dark")
    assert faults(quiet_page) == []
    quiet_page.get_by_role("button", name="Apply and go live").click()

    expect(quiet_page.get_by_text("This request passes, 12 of 12 attacks next to it are blocked")).to_be_visible()
    assert post(blog, sent) == 200
    quiet_page.get_by_role("button", name="Undo").click()
    expect(quiet_page.get_by_text("Undone. Live in")).to_be_visible()
    assert post(blog, sent) == 403


def test_what_else_is_tried_can_be_stopped_and_the_fix_applied_all_the_same(quiet_page: Page, blog: Panel) -> None:
    sent, event = blocked(blog, "stopped")
    log_in(quiet_page, blog)
    unanswered: list[Route] = []
    quiet_page.route("**/fix/findings*", lambda route: unanswered.append(route))  # noqa: PLW0108 Playwright marks the function
    quiet_page.goto(f"{event}/fix")

    quiet_page.get_by_role("button", name="Stop").click()

    expect(quiet_page.get_by_text("Stopped.")).to_be_visible()
    expect(quiet_page.get_by_role("progressbar")).to_be_hidden()
    for route in unanswered:
        route.abort()  # else its task is left over for whichever test is running when it is collected
    assert faults(quiet_page) == []
    quiet_page.get_by_role("button", name="Apply and go live").click()
    expect(quiet_page.get_by_text("This request passes, 12 of 12 attacks next to it are blocked")).to_be_visible()
    assert post(blog, sent) == 200


def test_a_stream_that_breaks_off_says_so(quiet_page: Page, blog: Panel) -> None:
    _, event = blocked(blog, "broken")
    log_in(quiet_page, blog)
    quiet_page.route(
        "**/fix/ladder*", lambda route: route.fulfill(status=200, content_type="text/event-stream", body="")
    )

    quiet_page.goto(f"{event}/fix")

    expect(quiet_page.get_by_text("Connection lost. Reload the page to continue.")).to_be_visible()
    expect(quiet_page.get_by_role("button", name="Apply and go live")).to_be_hidden()


def test_the_ladder_is_climbed_by_keyboard(quiet_page: Page, blog: Panel) -> None:
    _, event = blocked(blog, "comment")
    log_in(quiet_page, blog)
    quiet_page.goto(f"{event}/fix")
    expect(quiet_page.get_by_text("Rules off in policy Blog")).to_be_visible()

    quiet_page.locator("input[name=width]:checked").focus()
    quiet_page.keyboard.press("ArrowDown")
    expect(quiet_page.locator("input[name=width][value=below]")).to_be_checked()
    quiet_page.keyboard.press("ArrowDown")

    expect(quiet_page.get_by_text("All rules tagged attack-xss don’t inspect")).to_be_visible()


def test_a_fix_is_applied_without_javascript(no_script: Page, blog: Panel) -> None:
    sent, event = blocked(blog, "note")
    log_in(no_script, blog)
    no_script.goto(event)
    no_script.get_by_role("link", name="Not an attack").click()

    no_script.locator("input[name=width][value=request]").check()
    no_script.get_by_role("button", name="Show this fix").click()
    expect(no_script.get_by_text("These rules miss attacks in every field of these requests.")).to_be_visible()
    no_script.get_by_role("button", name="Apply and go live").click()

    expect(no_script.get_by_text("This request passes")).to_be_visible()
    assert post(blog, sent) == 200
