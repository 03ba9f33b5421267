"""From the log-in page to the first virtual host live, by the clock, as a browser does it.

make bench-first-host
"""

import time

import httpx2
from playwright.sync_api import sync_playwright

from tests.e2e.conftest import FLAGS, chromium, log_in
from tests.panel import origin_server, running_panel
from tests.web import an_account


def main() -> None:
    with origin_server() as port, running_panel() as panel, sync_playwright() as playwright:
        an_account(panel)
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        page = browser.new_page()
        began = time.perf_counter()
        log_in(page, panel)
        page.get_by_role("link", name="Add virtual host").first.click()
        page.get_by_label("Hostnames").fill("shop.example")
        page.get_by_label("Server 1 address").fill(f"127.0.0.1:{port}")
        page.get_by_role("button", name="Add virtual host and go live").click()
        page.wait_for_selector(".toast")
        seconds = time.perf_counter() - began
        assert httpx2.get(panel.proxy, headers={"host": "shop.example"}).status_code == 200
        print(
            f"log-in page → first virtual host live: {seconds:.1f} s; the panel says: {page.locator('.toast-text').inner_text()}"
        )
        browser.close()


if __name__ == "__main__":
    main()
