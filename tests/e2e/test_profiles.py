"""A profile in two clicks, its rows in the ledger, and undo; the same without JavaScript."""

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import log_in
from tests.panel import Panel
from tests.web import Person, a_host, a_policy

LIVE = re.compile(r"Live in \d+\.\d+ s as revision \d+")
QUERY = urlencode({"sql_query": "SELECT 1 UNION SELECT password FROM users WHERE SLEEP(1)=0 -- x"})


@pytest.fixture
def ada(panel: Panel) -> Iterator[Person]:
    with Person(panel) as made:
        yield made


def status(panel: Panel, host: str, path: str) -> int:
    headers = {"host": host, "user-agent": "Mozilla/5.0", "content-type": "application/x-www-form-urlencoded"}
    return httpx2.post(panel.proxy + path, content=QUERY, headers=headers).status_code


def journey(page: Page, panel: Panel, ada: Person, origin: int, host: str) -> None:
    forms = {"allowed_content_types": "application/x-www-form-urlencoded"}
    made = ada.post("/policies", a_policy(name=f"Of {host}", enforcement_mode="block", **forms))
    policy = made.url.rpartition("/")[2]
    home = ada.post("/virtual-hosts", a_host(origin, hostnames=host, policy_id=policy)).url
    log_in(page, panel)
    page.goto(home)
    assert status(panel, host, "/db/index.php") == 403

    page.get_by_role("link", name="Profiles").click()
    section = page.get_by_role("region", name="phpMyAdmin")
    section.get_by_label("Path").fill("/db")
    section.get_by_role("button", name="Apply and go live").click()

    expect(page.get_by_text(LIVE)).to_be_visible()
    expect(section.get_by_text("applied, version 2, below /db")).to_be_visible()
    assert status(panel, host, "/db/index.php") != 403
    assert status(panel, host, "/index.php") == 403

    page.goto(f"{panel.url}/rules/ledger?policy={policy}")
    expect(page.get_by_text("phpMyAdmin below /db (version 2)")).to_have_count(3)

    page.goto(f"{home}/profiles")
    section.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Removed phpMyAdmin.")).to_be_visible()
    assert status(panel, host, "/db/index.php") == 403


def test_a_profile_frees_its_application_alone(quiet_page: Page, panel: Panel, ada: Person, origin: int) -> None:
    journey(quiet_page, panel, ada, origin, "pma.example")


def test_a_profile_is_applied_without_javascript(no_script: Page, panel: Panel, ada: Person, origin: int) -> None:
    journey(no_script, panel, ada, origin, "pma-bare.example")
