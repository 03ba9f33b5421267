"""What pages do beside saving rows, over JSON, at the whole panel: what an answer says is what the engines do."""

import socket
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.factories import a_react_policy, a_vhost
from tests.live.stack import wait_until
from tests.panel import Panel
from tests.web import EMAIL, bearer

pytestmark = pytest.mark.one_haproxy

HOST = "actions.test"

ATTACK = f"GET /?id=1%27%20OR%20%271%27=%271 HTTP/1.1\nHost: {HOST}\nUser-Agent: Mozilla/5.0\n\n"


@pytest.fixture(scope="module")
def api(shared_panel: Panel) -> Iterator[httpx2.Client]:
    with bearer(shared_panel) as client:
        yield client


@pytest.fixture(scope="module")
def host(api: httpx2.Client, origin_port: int) -> dict[str, Any]:
    """With two servers, and a policy that blocks."""
    policy = api.post("/policies", json=a_react_policy("Actions"))
    assert policy.status_code == 201, policy.text
    servers = [{"url": f"http://127.0.0.{n}:{origin_port}", "health_check_enabled": False} for n in (1, 2)]
    made = api.post("/vhosts", json=a_vhost(HOST, backends=servers, policy_id=policy.json()["id"]))
    assert made.status_code == 201, made.text
    return dict(made.json())


def master(panel: Panel, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as cli:
        cli.connect(str(panel.data / "run" / "haproxy-master.sock"))
        cli.sendall(f"@1 {command}\n".encode())
        cli.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: cli.recv(65_536), b"")).decode()


def test_an_evaluation_and_a_test_request_agree_with_what_a_visitor_gets(
    shared_panel: Panel, api: httpx2.Client, host: dict[str, Any]
) -> None:
    evaluated = api.post(f"/policies/{host['policy_id']}/evaluation", json={"request": ATTACK}).json()
    lenient = {"request": ATTACK, "policy": {"inbound_anomaly_threshold": 500}}
    drafted = api.post(f"/policies/{host['policy_id']}/evaluation", json=lenient).json()
    attack = api.post(f"/vhosts/{host['id']}/test-requests", json={"kind": "attack"}).json()
    clean = api.post(f"/vhosts/{host['id']}/test-requests", json={"kind": "clean"}).json()
    visited = httpx2.get(shared_panel.proxy + "/?id=1%27%20OR%20%271%27=%271", headers={"host": HOST})

    assert (evaluated["verdict"], evaluated["status"]) == ("blocked", visited.status_code) == ("blocked", 403)
    assert 942100 in [rule["id"] for rule in evaluated["rules"]]
    assert drafted["verdict"] == "detected"
    assert (attack["ok"], attack["status"], clean["ok"], clean["status"]) == (True, 403, True, 200)


def test_a_server_s_state_is_what_haproxy_has(shared_panel: Panel, api: httpx2.Client, host: dict[str, Any]) -> None:
    path = f"/vhosts/{host['id']}/servers/{host['backends'][0]['id']}"

    def states() -> list[tuple[str, str]]:
        """Administrative ones and weights of both servers."""
        lines = master(shared_panel, f"show servers state be_{host['id']}").splitlines()
        return [(line.split()[6], line.split()[7]) for line in lines if line[:1].isdigit() and len(line) > 10]

    for state, in_haproxy in (("disabled", ("1", "100")), ("draining", ("0", "0")), ("ready", ("0", "100"))):
        put = api.put(f"{path}/state", json={"state": state})
        assert put.status_code == 200, put.text
        assert states() == [in_haproxy, ("0", "100")]


def test_drift_is_told_and_put_back(shared_panel: Panel, api: httpx2.Client, host: dict[str, Any]) -> None:
    master(shared_panel, f"set map hosts.map {HOST} 99999")
    drift: dict[str, Any] = {}

    def is_seen() -> bool:
        drift.update(api.get("/drift").json())
        return bool(drift["state"] == "drift")

    wait_until(is_seen, "the change by hand is seen")
    assert [f"+{HOST} 99999" in each["lines"] for each in drift["differences"]] == [True]
    assert api.post("/drift/redeployment").status_code == 200
    assert api.get("/drift").json()["differences"] == []
    assert f" {HOST} {host['id']}\n" in master(shared_panel, "show map hosts.map")


def visit(panel: Panel, peer: str) -> int:
    """The status that a visitor gets: each address of 127.0.0.0/8 is this machine's."""
    transport = httpx2.HTTPTransport(local_address=peer)
    with httpx2.Client(transport=transport, headers={"host": HOST, "user-agent": "Mozilla/5.0"}) as visitor:
        return visitor.get(f"{panel.proxy}/").status_code


def undone(api: httpx2.Client, undo: dict[str, Any]) -> None:
    path = undo["path"].removeprefix("/api/v1")
    response = api.request(undo["method"], path, **({"json": undo["body"]} if undo["body"] else {}))
    assert response.status_code in {200, 201}, response.text


def present(why: dict[str, Any]) -> list[dict[str, Any]]:
    """What contains the address. Other tests on this panel have left lists that allow only others on their virtual hosts."""
    return [finding for finding in why["findings"] if finding["step"] != "only_list"]


def test_why_an_address_is_rejected_names_who_put_it_there_and_undoes_just_that(
    shared_panel: Panel, api: httpx2.Client, host: dict[str, Any]
) -> None:
    peer, others = "127.7.0.1", "127.7.0.2"
    denied = api.post("/address-lists", json={"name": "Why", "kind": "deny", "entries": others})
    assert denied.status_code == 201, denied.text
    limits = {"ddos_protection_enabled": True, "rate_limit_requests": 3, "rate_limit_window_seconds": 3600}
    assert api.patch(f"/policies/{host['policy_id']}", json=limits).status_code == 200
    assert [visit(shared_panel, peer) for _ in range(4)] == [200, 200, 200, 429]
    assert api.post("/bans", json={"network": peer, "reason": "scans"}).status_code == 201
    entries = f"/address-lists/{denied.json()['id']}/entries"
    assert api.post(entries, json={"entries": [f"{peer}/32 # seen"]}).status_code == 200

    why = api.get("/access/why", params={"q": peer}).json()
    ban, entry = present(why)
    assert [(each["step"], each["decides"], each["network"], each["comment"]) for each in (ban, entry)] == [
        ("ban", True, peer, "scans"),
        ("deny_list", False, peer, "seen"),
    ]
    assert [each["origin"]["who"] for each in (ban, entry)] == [EMAIL, EMAIL]
    assert api.get(f"/changes/{entry['origin']['change_id']}").json()["summary"] == f"Why: entry {peer} added"
    (limit,) = why["limits"]
    assert (limit["policy_id"], limit["requests"], limit["is_over"]) == (host["policy_id"], 3, True)
    assert limit["key"] == f"{host['policy_id']}:{peer}"

    statuses = []
    for each in (ban, entry, limit):
        undone(api, each["undo"])
        statuses.append(visit(shared_panel, peer))
    assert statuses == [403, 429, 200]
    after = api.get("/access/why", params={"q": peer}).json()
    assert (present(after), [used["requests"] for used in after["limits"]]) == ([], [1])
    assert visit(shared_panel, others) == 403
    assert api.post(f"/policies/{host['policy_id']}/forgive", json={"q": others}).status_code == 404
    assert api.post(f"/policies/{host['policy_id']}/forgive", json={"q": "here"}).status_code == 422
    assert api.patch(f"/policies/{host['policy_id']}", json={"ddos_protection_enabled": False}).status_code == 200
