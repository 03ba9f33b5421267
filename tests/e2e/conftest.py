"""Journeys in a real browser against the whole panel with its real engines."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.panel import Panel, origin_server, running_panel
from tests.web import EMAIL, PASSWORD, an_account

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str:
    """What tools/install-dev.sh installs."""
    path = (
        os.environ.get("GUARDPANEL_TEST_CHROMIUM")
        or shutil.which("chromium-headless-shell")
        or shutil.which("chromium")
    )
    assert path, "Debian's Chromium is needed: apt-get install chromium-headless-shell"
    return path


PATIENCE_MS = 20_000
"Milliseconds for whatever a page is to show, ten times what the longest save takes."

ASIDE_MS = 120_000
"Milliseconds for what the agent evaluates beside visitors: at the lowest priority, it waits for all other tests."

RESTORE_MS = 60_000
"Until a restored installation is live: all of it is rendered, checked and verified."

POLL_MS = 5_000
"Between two times that a page asks what is live (templates/shared/_side.html)."

expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_type_launch_args, "executable_path": chromium(), "args": list(FLAGS)}


@pytest.fixture(scope="session")
def origin() -> Iterator[int]:
    """The port of a server behind HAProxy."""
    with origin_server() as port:
        yield port


@pytest.fixture
def fresh_panel() -> Iterator[Panel]:
    """A panel at its first start: nobody has an account."""
    with running_panel() as panel:
        yield panel


@pytest.fixture(scope="session")
def panel() -> Iterator[Panel]:
    """A panel with an account, shared by all tests of a worker: each uses hosts and policies of its own."""
    with running_panel() as running:
        an_account(running)
        yield running


class Complaints:
    """What the browser complained of: console errors, page errors, CSP violations."""

    def __init__(self, page: Page) -> None:
        self.lines: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.lines.append(str(error)))

    def _console(self, message: ConsoleMessage) -> None:
        # The browser's own line for an answer that is meant to be a 4xx is no complaint of the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.lines.append(message.text)


@pytest.fixture
def quiet_page(page: Page) -> Iterator[Page]:
    """A page that must not complain."""
    complaints = Complaints(page)
    yield page
    assert complaints.lines == []


@pytest.fixture
def no_script(browser: Browser) -> Iterator[Page]:
    """A page without JavaScript."""
    context: BrowserContext = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    yield page
    context.close()


@pytest.fixture
def aside(context: BrowserContext, no_script: Page) -> Iterator[None]:
    """Pages wait for what the agent evaluates."""
    for each in (context, no_script.context):
        each.set_default_timeout(ASIDE_MS)
    expect.set_options(timeout=ASIDE_MS)
    yield
    expect.set_options(timeout=PATIENCE_MS)


def ask_until(page: Page, holds: Callable[[], bool]) -> None:
    """Put the clock of a page ahead to the next time that it asks what is live, as often as needed: guardpanel itself looks about
    every two seconds. The page's clock must be Playwright's (`page.clock.install()`)."""
    ends = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends, page.locator("body").inner_text()
        with page.expect_response("**/live"):
            page.clock.run_for(POLL_MS)
        page.wait_for_timeout(100)


def log_in(page: Page, panel: Panel) -> None:
    """On the dashboard: with the form, unless somebody has done so before and the session goes on."""
    session = panel.sessions.get(EMAIL, {})
    page.context.add_cookies([{"name": name, "value": value, "url": panel.url} for name, value in session.items()])
    page.goto(f"{panel.url}/")
    if page.url == f"{panel.url}/":
        return
    page.goto(f"{panel.url}/login")
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{panel.url}/")
    panel.sessions[EMAIL] = {cookie["name"]: cookie["value"] for cookie in page.context.cookies(panel.url)}
