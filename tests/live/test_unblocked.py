"""Scores that reach the threshold while nothing is blocked are noticed by visitors' events, and only where that is not as configured."""

from contextlib import closing
from urllib.parse import quote

import pytest

from guardpanel.events import schema
from guardpanel.events.schema import EPOCH
from guardpanel.ingest.run import Ingest
from guardpanel.rendering import Rows
from guardpanel.services.events.unblocked import Expectation, unblocked
from guardpanel.settings import Settings
from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.live.wire import head
from tests.rows import rows

pytestmark = [pytest.mark.live, pytest.mark.one_haproxy]

XSS = quote("<script>alert(1)</script>")
THRESHOLD = 5

RULE_SET, REMOVED = "Include @owasp_crs/*.conf", "SecRuleRemoveById 949110"


def state(server: Origin) -> Rows:
    policies = {"Blocks": {"enforcement_mode": "block"}, "Detects": {"enforcement_mode": "detect_only"}}
    hosts = {
        f"{name.lower()}.test": {"policy": name, "servers": [{"address": server.address}], "health_check": False}
        for name in policies
    }
    return rows(policies, hosts)


def without_the_rule_that_blocks(stack: Stack) -> None:
    """As somebody could edit the agent's file."""
    stack.stop_agent()
    file = stack.folder / "coraza.yaml"
    text = file.read_text()
    assert RULE_SET in text
    file.write_text(text.replace(RULE_SET, f"{RULE_SET}\n      {REMOVED}"))
    stack.start_agent()
    stack.wait_until_live()


@pytest.mark.parametrize("is_removed", [False, True])
def test_what_reaches_the_threshold_and_is_not_blocked_is_noticed(
    haproxy: str, server: Origin, *, is_removed: bool
) -> None:
    with Stack(haproxy, state(server), events=True) as stack:
        if is_removed:
            without_the_rule_that_blocks(stack)
        for host in ("blocks.test", "detects.test"):
            stack.send(head("GET", host, f"/?q={XSS}", {"user-agent": "Mozilla/5.0", "accept": "*/*"}))
        stack.stop_agent()
        settings = Settings(data_dir=stack.folder)
        with closing(Ingest(settings)) as ingest:
            while ingest.step():
                pass
        with closing(schema.open_to_read(settings.events_database)) as connection:
            noticed = [
                unblocked(connection, {app.name: Expectation(app.policy_ids[0], THRESHOLD, app.blocks)}, EPOCH)
                for app in stack.bundle.applications
            ]

    assert [each is not None for each in noticed] == [is_removed, is_removed]
