"""An administrator reads a haproxy.cfg, looks at what becomes of it, and makes it live."""

from pathlib import Path

import httpx2
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import RESTORE_MS, log_in
from tests.panel import Panel

LONG = "x" * 200


def test_a_configuration_is_imported_and_serves(quiet_page: Page, panel: Panel, origin: int, tmp_path: Path) -> None:
    file = tmp_path / "haproxy.cfg"
    lines = ["defaults", " mode http", "frontend web", " bind :80", " acl old hdr(host) imported.example"]
    lines += [" use_backend app if old", f" http-response set-header X-A {LONG} if {{ path_end {LONG} }}"]
    file.write_text("\n".join([*lines, "backend app", f" server a 127.0.0.1:{origin}", ""]))
    log_in(quiet_page, panel)
    quiet_page.goto(f"{panel.url}/system")
    quiet_page.get_by_role("link", name="Import").click()
    quiet_page.locator("#f-file").set_input_files(file)
    quiet_page.get_by_role("button", name="Read configuration").click()
    expect(quiet_page.get_by_role("heading", name="Import this configuration?")).to_be_visible()
    expect(quiet_page.get_by_text("Added virtual host imported.example")).to_be_visible()

    assert Axe().run(quiet_page).response["violations"] == []
    for width in (1024, 390, 360):
        quiet_page.set_viewport_size({"width": width, "height": 844})
        assert quiet_page.evaluate("document.documentElement.scrollWidth") <= width
    expect(quiet_page.get_by_text("part of line 6")).to_be_visible()
    assert httpx2.get(panel.proxy, headers={"host": "imported.example"}).status_code == 421

    quiet_page.get_by_role("button", name="Save and go live").click()
    expect(quiet_page.get_by_text("Imported. Live in")).to_be_visible(timeout=RESTORE_MS)
    assert httpx2.get(panel.proxy, headers={"host": "imported.example"}).status_code == 200
