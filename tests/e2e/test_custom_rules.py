"""A custom rule in the browser: the builder and SecLang follow each other, a pasted request is tried, Ctrl+S saves."""

import re

from playwright.sync_api import Page, expect

from tests.e2e.conftest import log_in
from tests.e2e.test_accessibility import faults
from tests.panel import Panel

LIVE = re.compile(r"Live in \d+\.\d s as revision \d+")


def test_builder_and_seclang_follow_each_other(quiet_page: Page, panel: Panel) -> None:
    page = quiet_page
    log_in(page, panel)
    page.goto(f"{panel.url}/policies/1/custom-rules/new")
    builder, text = page.locator("#f-variables"), page.locator("#f-seclang")

    builder.fill("ARGS:q")
    page.locator("#f-operator_argument").fill("needle")
    page.locator("#f-name").fill("No needles")
    # With the last field typed: what follows an earlier one on a slow machine would come after the edit below, and replace it.
    expect(text).to_have_value(re.compile(r'SecRule ARGS:q "@rx needle".*No needles', re.DOTALL))

    text.fill(text.input_value().replace("ARGS:q", "ARGS:p"))
    expect(page.locator("[data-unsaved]")).to_contain_text(re.compile(r"\bSecLang\b"))
    expect(builder).to_have_value("ARGS:p")

    right = text.input_value()
    text.fill(right.replace("log,", "log,exec:/bin/sh,"))
    expect(page.locator("#seclang-side")).to_contain_text("The builder follows once the SecLang is right.")
    text.fill(right)
    expect(page.locator("#seclang-side")).not_to_contain_text("The builder follows")

    page.locator("#f-request").fill("curl 'http://x.test/?p=needle'")
    page.get_by_role("button", name="Test request").click()
    expect(page.get_by_text("This rule matches.")).to_be_visible()
    expect(page.locator("[data-unsaved]")).not_to_contain_text(re.compile(r"\brequest\b"))
    assert faults(page) == []

    page.keyboard.press("Control+s")
    expect(page.get_by_text(LIVE)).to_be_visible()
    expect(page.get_by_role("heading", name="No needles")).to_be_visible()
