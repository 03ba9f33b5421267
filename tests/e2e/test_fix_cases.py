"""Cases of false positives fixed in a browser: at most three clicks from the event."""

import logging
import time

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import log_in
from tests.live.fixing import IS_LONG, Site
from tests.live.test_false_positives import CASES, Case
from tests.panel import Panel
from tests.web import bearer

pytestmark = pytest.mark.usefixtures("aside")

CHOSEN = CASES[:10] if IS_LONG else [CASES[5], CASES[9]]
"Gutenberg and phpMyAdmin; ten in `make nightly`."

MOST_CLICKS = 3

log = logging.getLogger(__name__)
"Its lines appear with `-o log_cli=true --log-cli-level=INFO`."


def test_each_case_is_fixed_with_three_clicks(quiet_page: Page, panel: Panel, origin: int) -> None:
    log_in(quiet_page, panel)
    with bearer(panel) as api:
        for case in CHOSEN:
            site = Site.of(panel, api, origin, case)
            clicks, seconds = fixed(quiet_page, site, case)
            log.info("%s: %s: %d clicks, %.1f s", case["application"], case["name"], clicks, seconds)
            assert clicks <= MOST_CLICKS, case["name"]


def fixed(page: Page, site: Site, case: Case) -> tuple[int, float]:
    """From the event's page until the fix is live, and undone. Clicks and seconds."""
    question = site.question(case["request"], {})
    neighbors = [site.question(case["request"], neighbor["change"]) for neighbor in case["neighbours"]]
    page.goto(f"{site.panel.url}/events/{site.event_of(question)}")
    clicked: list[Locator] = []

    def click(target: Locator) -> None:
        clicked.append(target)
        target.click()

    began = time.monotonic()

    click(page.get_by_role("link", name="Not an attack"))
    click(page.get_by_role("button", name="Apply and go live"))
    expect(page.locator("[data-toast]")).to_contain_text("request passes")
    seconds = time.monotonic() - began

    live = [site.blocks(each) for each in (question, *neighbors)]
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone. Live in")).to_be_visible()
    assert live == [False, *(neighbor["expect"] == "blocked" for neighbor in case["neighbours"])], case["name"]
    assert site.blocks(question)
    return len(clicked), seconds
