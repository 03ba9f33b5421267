"""An administrator downloads a backup and restores it, with and without JavaScript."""

from pathlib import Path

import httpx2
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import RESTORE_MS, log_in
from tests.panel import Panel
from tests.web import EMAIL, PASSWORD, Person, a_host

PASSPHRASE = "correct horse battery"


def visit(panel: Panel, host: str) -> int:
    return httpx2.get(panel.proxy, headers={"host": host}).status_code


def test_what_was_backed_up_serves_again(quiet_page: Page, panel: Panel, origin: int, tmp_path: Path) -> None:
    to_and_fro(quiet_page, panel, origin, tmp_path)


def test_the_same_without_javascript(no_script: Page, panel: Panel, origin: int, tmp_path: Path) -> None:
    to_and_fro(no_script, panel, origin, tmp_path)


def test_what_a_restore_would_change_is_readable_for_all(quiet_page: Page, panel: Panel, tmp_path: Path) -> None:
    panel.command("backup", str(tmp_path / "plain.tar.gz"))
    log_in(quiet_page, panel)
    quiet_page.goto(f"{panel.url}/system/backup")
    quiet_page.get_by_label("Backup file").set_input_files(tmp_path / "plain.tar.gz")
    quiet_page.get_by_role("button", name="Check backup").click()
    expect(quiet_page.get_by_role("heading", name="Restore this backup?")).to_be_visible()

    assert Axe().run(quiet_page).response["violations"] == []
    quiet_page.set_viewport_size({"width": 360, "height": 800})
    assert quiet_page.evaluate("document.documentElement.scrollWidth") <= 360


def to_and_fro(browsing: Page, panel: Panel, origin: int, tmp_path: Path) -> None:
    host = f"backup-{tmp_path.name}.example".replace("_", "-")
    with Person(panel) as ada:
        own = ada.post("/virtual-hosts", a_host(origin, hostnames=host)).url
    log_in(browsing, panel)
    browsing.goto(f"{panel.url}/system")
    browsing.get_by_role("link", name="Backup").click()
    browsing.locator("#f-passphrase").fill(PASSPHRASE)
    browsing.get_by_label("Your password").fill(PASSWORD)
    button = browsing.get_by_role("button", name="Download backup")
    with browsing.expect_download() as downloading:
        button.click()
    downloading.value.save_as(tmp_path / "kept.backup")
    expect(button).to_be_enabled()
    with Person(panel) as ada:
        assert ada.post(f"{own.removeprefix(panel.url)}/delete", {"version": "1"}).status == 200
    assert visit(panel, host) == 421

    browsing.get_by_label("Backup file").set_input_files(tmp_path / "kept.backup")
    browsing.locator("#f-file_passphrase").fill(PASSPHRASE)
    browsing.get_by_role("button", name="Check backup").click()
    expect(browsing.get_by_role("heading", name="Restore this backup?")).to_be_visible()
    expect(browsing.get_by_text("1 virtual host added")).to_be_visible()
    browsing.get_by_label("Your password").fill(PASSWORD)
    browsing.get_by_role("button", name="Restore and go live").click()

    expect(browsing.get_by_text("Log in with an account of the backup")).to_be_visible(timeout=RESTORE_MS)
    assert visit(panel, host) == 200
    browsing.get_by_label("Email").fill(EMAIL)
    browsing.get_by_label("Password").fill(PASSWORD)
    browsing.get_by_role("button", name="Log in").click()
    browsing.goto(f"{panel.url}/virtual-hosts")
    expect(browsing.get_by_role("link", name=host, exact=True)).to_be_visible()
