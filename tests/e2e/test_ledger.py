"""The ledger and two policies compared, in the browser, as wide as a phone."""

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e.conftest import log_in
from tests.panel import Panel
from tests.web import bearer

PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture
def policy_id(panel: Panel) -> int:
    """Of a policy with an exclusion, and two overrides, of which one is redundant."""
    with bearer(panel) as api:
        policy = int(api.post("/policies", json={"name": "Ledger", "enforcement_mode": "block"}).json()["id"])
        exclusion = {
            "rules": ["941100"],
            "target_name": "content",
            "path": "/posts",
            "reason": "Editors paste markup",
            "owner": "vera@example.org",
        }
        rows = [
            ("exclusions", exclusion),
            *(("rules", {"rule": rule, "action": "disable"}) for rule in ("942", "942100")),
        ]
        for path, fields in rows:
            answer = api.post(f"/policies/{policy}/{path}", json=fields)
            assert answer.status_code == 201, answer.text
    return policy


def test_the_ledger_is_narrowed_and_its_policy_compared(quiet_page: Page, panel: Panel, policy_id: int) -> None:
    page = quiet_page
    page.set_viewport_size(PHONE)
    log_in(page, panel)
    page.goto(f"{panel.url}/rules/ledger?policy={policy_id}")
    rows = page.locator("table.ledger tbody tr")
    expect(rows).to_have_count(3)
    expect(page.get_by_text("Owner vera@example.org")).to_be_visible()

    page.locator("summary", has_text="Kind").click()
    page.get_by_role("link", name="Rule override").click()
    expect(rows).to_have_count(2)
    page.locator("summary", has_text="Note").click()
    page.get_by_role("link", name="Redundant").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Its rule is off in this policy: 942.")

    page.goto(f"{panel.url}/policies/{policy_id}")  # on a phone, a row of a list is one link: to the override
    page.get_by_role("link", name="Compare").click()
    page.locator("select[name=policy]").select_option("1")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Only in Ledger")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
