"""The same saves through the form and through JSON: the same rows and the same rendered bytes."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.haproxies import haproxy_binary
from tests.panel import Panel, running_panel
from tests.web import EMAIL, PASSWORD, Person, a_host, a_policy, an_account

TABLES = ("policy", "virtualhost", "hostname", "server")


@contextmanager
def bearer(panel: Panel) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"{panel.url}/api/v1", timeout=60) as client:
        answer = client.post("/auth/login", json={"email": EMAIL, "password": PASSWORD})
        client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


def by_form(panel: Panel) -> None:
    with Person(panel) as ada:
        save_by_form(ada)


def save_by_form(ada: Person) -> None:
    saves = [
        ada.post(
            "/policies", a_policy(enforcement_mode="block", inbound_anomaly_threshold="7", skip_paths=".css\n/assets/")
        ),
        ada.post("/virtual-hosts", a_host(9, hostnames="bücher.example\n*.Shop.example", policy_id="2", notes="first")),
        ada.post("/virtual-hosts", a_host(9, hostnames="gone.example")),
        ada.post(
            "/virtual-hosts/1",
            a_host(
                9,
                hostnames="bücher.example\n*.Shop.example",
                policy_id="2",
                notes="second",
                version="1",
                balance="leastconn",
                **{
                    "servers.1.address": "https://10.0.0.9",
                    "servers.1.weight": "5",
                    "servers.1.enabled": "on",
                    "servers.1.backup": "on",
                },
            ),
        ),
        ada.post("/virtual-hosts/2/delete", {"version": "1"}),
        ada.post(
            "/policies/2",
            a_policy(enforcement_mode="block", inbound_anomaly_threshold="8", skip_paths=".css\n/assets/", version="1"),
        ),
    ]
    assert [save.status for save in saves] == [200] * 6


def by_json(panel: Panel) -> None:
    with bearer(panel) as api:
        save_by_json(api)


def save_by_json(api: httpx2.Client) -> None:
    policy = {
        "name": "Shop",
        "enforcement_mode": "block",
        "inbound_anomaly_threshold": 7,
        "skip_paths": [".css", "/assets/"],
        "allowed_methods": ["GET", "HEAD", "POST"],
        "allowed_content_types": ["application/json"],
        "over_limit": "refuse",
    }
    first = {"url": "http://127.0.0.1:9", "weight": 100}
    saves = [
        api.post("/policies", json=policy),
        api.post(
            "/vhosts",
            json={
                "hostnames": ["bücher.example", "*.Shop.example"],
                "backends": [first],
                "policy_id": 2,
                "description": "first",
            },
        ),
        api.post("/vhosts", json={"domain": "gone.example", "backend_url": "http://127.0.0.1:9", "policy_id": 1}),
        api.patch(
            "/vhosts/1",
            headers={"if-match": '"1"'},
            json={
                "description": "second",
                "balance": "leastconn",
                "backends": [first, {"url": "https://10.0.0.9", "weight": 5, "backup": True}],
            },
        ),
        api.delete("/vhosts/2", headers={"if-match": '"1"'}),
        api.patch("/policies/2", json={"inbound_anomaly_threshold": 8}),
    ]
    assert [save.status_code for save in saves] == [201, 201, 201, 200, 204, 200], [save.text for save in saves]


def rows(panel: Panel) -> dict[str, list[tuple[object, ...]]]:
    with sqlite3.connect(panel.data / "guardpanel.db") as database:
        found = {}
        for table in TABLES:
            names = [
                row[1] for row in database.execute(f"PRAGMA table_info({table})") if not str(row[1]).endswith("_at")
            ]
            found[table] = database.execute(f"SELECT {', '.join(names)} FROM {table} ORDER BY id").fetchall()
    return found


def rendered(panel: Panel) -> dict[str, bytes]:
    """The live release, with what differs between two installations made the same: paths, ports and the checksum."""
    root = panel.data / "current"
    marks = [str(panel.data).encode(), str(panel.proxy_port).encode()]
    with sqlite3.connect(panel.data / "guardpanel.db") as database:
        marks.append(
            database.execute("SELECT value FROM installation WHERE name = 'probe_secret'").fetchone()[0].encode()
        )
        checksum = database.execute("SELECT checksum FROM revision ORDER BY id DESC").fetchone()[0].encode()
    files = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.name != "manifest.json":
            content = path.read_bytes()
            for mark in (*marks, checksum, checksum[:12]):
                content = content.replace(mark, b"-")
            files[str(Path(path).relative_to(root))] = content
    return files


@pytest.fixture(scope="module")
def saved() -> dict[str, tuple[object, object, list[str]]]:
    """What each door left behind: rows, rendered bytes, the words of the changes."""
    doors: dict[str, Callable[[Panel], None]] = {"form": by_form, "json": by_json}
    left: dict[str, tuple[object, object, list[str]]] = {}
    for name, door in doors.items():
        with running_panel(haproxy_binary("2.8")) as panel:
            an_account(panel)
            door(panel)
            with sqlite3.connect(panel.data / "guardpanel.db") as database:
                words = [
                    row[0] for row in database.execute("SELECT summary || ' ' || outcome FROM deployment ORDER BY id")
                ]
            left[name] = (rows(panel), rendered(panel), words)
    return left


@pytest.mark.parametrize("what", [0, 1, 2], ids=["rows", "rendered bytes", "changes"])
def test_both_doors_leave_the_same(saved: dict[str, tuple[object, object, list[str]]], what: int) -> None:
    assert saved["form"][what] == saved["json"][what]
    assert saved["form"][what]
