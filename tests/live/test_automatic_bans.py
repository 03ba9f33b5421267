"""Clients whose requests are rejected too often, or who fail to log in, at the whole panel: banned over a reload until the ban is lifted or over, and nobody else."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import httpx2
import pytest

from tests.factories import a_react_policy, a_vhost
from tests.live.origins import Origin
from tests.live.stack import DEADLINE, wait_until
from tests.panel import Panel
from tests.web import Person, bearer

pytestmark = pytest.mark.one_haproxy

HOST = "bans.test"

CLEAN, ATTACK = "/", "/?q=1%27%20OR%20%271%27%3D%271"

THRESHOLD = 3

STRIKER, BRIEF, OTHER, GUESSER = "127.9.3.1", "127.9.3.2", "127.9.3.3", "127.9.3.4"
"Clients. Of this machine's addresses, only 127.0.0.1 is never banned."


LIMITS: dict[str, Any] = {
    "ddos_protection_enabled": True,
    "rate_limit_requests": 500,
    "rate_limit_window_seconds": 3600,
}


@pytest.fixture(scope="module")
def api(shared_panel: Panel) -> Iterator[httpx2.Client]:
    with bearer(shared_panel) as client:
        yield client


@pytest.fixture(scope="module")
def policy(api: httpx2.Client, origin_port: int) -> str:
    """The path of one that bans."""
    bans: dict[str, Any] = {"auto_ban_enabled": True, "ban_threshold": THRESHOLD, "ban_duration_seconds": 3600}
    made = api.post("/policies", json=a_react_policy("Bans", **LIMITS, **bans))
    assert made.status_code == 201, made.text
    number = made.json()["id"]
    server = {"url": f"http://127.0.0.1:{origin_port}", "is_active": True, "health_check_enabled": False}
    host = api.post("/vhosts", json=a_vhost(HOST, backends=[server], policy_id=number))
    assert host.status_code == 201, host.text
    return f"/policies/{number}"


def status(panel: Panel, peer: str, target: str = CLEAN, method: str = "GET", host: str = HOST) -> int:
    connection = HTTPConnection("127.0.0.1", panel.proxy_port, DEADLINE, source_address=(peer, 0))
    with closing(connection):
        connection.request(method, target, headers={"host": host, "user-agent": "Mozilla/5.0", "accept": "*/*"})
        return connection.getresponse().status


def bans_made(panel: Panel, network: str) -> int:
    with closing(sqlite3.connect(f"file:{panel.data}/guardpanel.db?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT count(*) FROM ban WHERE network = ?", (network,)).fetchone()[0])


def test_who_is_rejected_too_often_is_banned_until_the_ban_is_lifted(
    shared_panel: Panel, api: httpx2.Client, policy: str
) -> None:
    assert [status(shared_panel, STRIKER, ATTACK) for _ in range(THRESHOLD)] == [403] * THRESHOLD
    wait_until(lambda: status(shared_panel, STRIKER) == 403, "its clean requests are rejected, too")
    assert status(shared_panel, OTHER) == 200

    (ban,) = api.get("/bans", params={"q": STRIKER}).json()["items"]
    assert (ban["network"], ban["origin"], ban["created_by"]) == (STRIKER, "automatic", "guardpanel")
    assert ban["reason"] == f"{THRESHOLD} requests rejected in 600 s by policy Bans"
    (banned,) = [item for item in api.get("/security/banned-ips").json()["items"] if item["ip"] == STRIKER]
    assert (banned["gpc0"], banned["ban_threshold"]) == (THRESHOLD, THRESHOLD)
    with Person(shared_panel) as ada:
        assert f"{STRIKER} is banned." in ada.get(f"/access/why?q={STRIKER}").text
        assert "Bans : 1 of 500 requests in 3,600 s" in ada.get(f"/access/why?q={OTHER}").text

    assert api.patch(policy, json={"body_limit_kib": 100}).status_code == 200  # A reload.
    assert status(shared_panel, STRIKER) == 403
    assert api.delete(f"/bans/{ban['id']}").json()["is_live"]
    assert status(shared_panel, STRIKER) == 200


def test_a_ban_ends_by_itself_and_is_not_made_again_of_what_it_was_made_of(
    shared_panel: Panel, api: httpx2.Client, policy: str
) -> None:
    assert api.patch(policy, json={"ban_duration_seconds": 2}).status_code == 200

    assert [status(shared_panel, BRIEF, ATTACK) for _ in range(THRESHOLD)] == [403] * THRESHOLD
    wait_until(lambda: bans_made(shared_panel, BRIEF), "it is banned")
    wait_until(lambda: status(shared_panel, BRIEF) == 200, "the ban is over")

    assert bans_made(shared_panel, BRIEF) == 1


def test_who_fails_to_log_in_too_often_is_banned(shared_panel: Panel, api: httpx2.Client, server: Origin) -> None:
    paths = {"login_paths": ["/login"], "auto_ban_enabled": True, "ban_threshold": THRESHOLD}
    made = api.post("/policies", json=a_react_policy("Logins", **LIMITS, **paths))
    assert made.status_code == 201, made.text
    back = {"url": f"http://{server.address}", "is_active": True, "health_check_enabled": False}
    host = a_vhost("logins.test", backends=[back], policy_id=made.json()["id"])
    assert api.post("/vhosts", json=host).status_code == 201

    def tries(method: str, times: int = 1) -> list[int]:
        return [status(shared_panel, GUESSER, "/login", method, "logins.test") for _ in range(times)]

    server.status = 401
    assert tries("GET", THRESHOLD) == [401] * THRESHOLD  # Asks for a password.
    assert tries("POST", THRESHOLD) == [401] * THRESHOLD
    wait_until(lambda: tries("GET") == [403], "its requests are rejected")

    (ban,) = api.get("/bans", params={"q": GUESSER}).json()["items"]
    assert ban["reason"] == f"{THRESHOLD} requests rejected or failed in 600 s by policy Logins"
