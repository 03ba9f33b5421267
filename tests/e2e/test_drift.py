"""Drift and engines that die, as an operator sees them: on the page that is open, without a reload of it."""

import json
import os
import signal
import socket

import httpx2
from playwright.sync_api import Page, expect

from tests.e2e.conftest import ask_until, log_in
from tests.panel import Panel


def add_host(page: Page, panel: Panel, origin: int) -> None:
    page.goto(f"{panel.url}/virtual-hosts/new")
    page.get_by_role("textbox", name="Hostnames").fill("drift.example")
    page.get_by_label("Server 1 address").fill(f"127.0.0.1:{origin}")
    page.get_by_role("button", name="Add virtual host and go live").click()
    expect(page.get_by_role("heading", name="drift.example", level=1)).to_be_visible()


def change_map(panel: Panel) -> None:
    """What somebody does by hand: send the host elsewhere, over the Runtime API."""
    with socket.socket(socket.AF_UNIX) as master:
        master.connect(str(panel.data / "run" / "haproxy-master.sock"))
        master.sendall(b"@1 set map hosts.map drift.example 77\n")
        master.shutdown(socket.SHUT_WR)
        while master.recv(4096):
            pass


def visit(panel: Panel) -> int:
    return httpx2.get(panel.proxy, headers={"host": "drift.example"}).status_code


def test_drift_is_shown_asked_about_and_mended(quiet_page: Page, panel: Panel, origin: int) -> None:
    page = quiet_page
    page.clock.install()
    log_in(page, panel)
    add_host(page, panel, origin)
    page.goto(f"{panel.url}/policies")
    change_map(panel)

    banner = page.locator("#banner")
    ask_until(page, lambda: "Drift from revision" in banner.inner_text())
    expect(page.locator("#live-slot")).to_contain_text("Drift: HAProxy")
    assert visit(panel) != 200

    # A save asks first.
    page.goto(f"{panel.url}/policies/1/edit")
    page.get_by_label("Description").fill("typed before the drift was seen")
    page.get_by_role("button", name="Save and go live").click()
    expect(page.get_by_role("heading", name="Configuration was changed outside guardpanel")).to_be_visible()
    expect(page.get_by_label("Description")).to_have_value("typed before the drift was seen")

    # Its lines, and the way back. What was typed is given up.
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("link", name="View differences").first.click()
    expect(page.get_by_text("drift.example 77")).to_be_visible()
    page.get_by_role("button", name="Redeploy revision").last.click()
    expect(page.get_by_role("heading", name="No drift")).to_be_visible()
    expect(page.locator("#live-slot")).to_contain_text("is live")
    assert visit(panel) == 200

    # Overwritten when told to.
    change_map(panel)
    page.goto(f"{panel.url}/policies/1/edit")
    ask_until(page, lambda: "Drift from revision" in banner.inner_text())
    page.get_by_label("Inbound anomaly threshold").fill("6")
    page.get_by_role("button", name="Save and go live").click()
    page.get_by_role("button", name="Save and overwrite it").click()
    expect(page.get_by_text("Live in")).to_be_visible()
    assert visit(panel) == 200
    expect(banner).to_be_empty()


def test_the_same_without_javascript(no_script: Page, panel: Panel, origin: int) -> None:
    page = no_script
    log_in(page, panel)
    if visit(panel) == 421:
        add_host(page, panel, origin)
    change_map(panel)
    banner = page.locator("#banner")
    for _ in range(600):
        page.goto(f"{panel.url}/system")
        if banner.inner_text():
            break
        page.wait_for_timeout(100)

    banner.get_by_role("button", name="Redeploy").click()

    expect(page.get_by_role("heading", name="No drift")).to_be_visible()
    expect(banner).to_be_empty()
    assert visit(panel) == 200


def test_an_agent_that_dies_is_said_to_be_gone_and_back(quiet_page: Page, panel: Panel) -> None:
    page, banner = quiet_page, quiet_page.locator("#banner")
    page.clock.install()
    log_in(page, panel)
    pid = agent(panel)
    os.kill(pid, signal.SIGSTOP)
    ask_until(page, lambda: "The WAF agent is not responding" in banner.inner_text())
    expect(page.locator("#live-slot")).to_contain_text("The WAF agent is not responding")

    os.kill(pid, signal.SIGKILL)

    ask_until(page, lambda: not banner.inner_text())
    expect(page.locator("#live-slot")).to_contain_text("is live")
    assert agent(panel) != pid


def agent(panel: Panel) -> int:
    transport = httpx2.HTTPTransport(uds=str(panel.data / "run" / "agent-control.sock"))
    with httpx2.Client(transport=transport) as client:
        return int(json.loads(client.get("http://agent/v1/status").text)["pid"])
