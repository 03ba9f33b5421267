"""A program that follows a whole panel: its save and a blocked request, each as it happens."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import httpx2
import pytest

from tests.factories import a_vhost
from tests.panel import Panel
from tests.web import bearer

pytestmark = pytest.mark.one_haproxy

HOST = "streams.test"
ATTACK = "/?q=1%27%20OR%20%271%27%3D%271"


def messages(answer: httpx2.Response) -> Iterator[dict[str, Any]]:
    yield from (json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line.startswith("data: "))


def test_a_save_and_a_blocked_request_are_sent_as_they_happen(shared_panel: Panel, origin_port: int) -> None:
    server = {"url": f"http://127.0.0.1:{origin_port}", "health_check_enabled": False}
    with (
        bearer(shared_panel) as api,
        api.stream("GET", "/changes/stream") as changes,
        api.stream("GET", "/events/stream", params={"q": HOST}) as events,
    ):
        policy = api.post("/policies", json={"name": "Streams", "enforcement_mode": "block"}).json()["id"]
        made = api.post("/vhosts", json=a_vhost(HOST, backends=[server], policy_id=policy))
        assert made.status_code == 201, made.text
        row = f"virtual_host:{made.json()['id']}"
        saved = next(each for each in messages(changes) if each["row"] == row and each["outcome"] == "live")
        visitor = HTTPConnection("127.0.0.1", shared_panel.proxy_port, 30)
        visitor.request("GET", ATTACK, headers={"host": HOST, "user-agent": "Mozilla/5.0", "accept": "*/*"})
        assert visitor.getresponse().status == 403
        visitor.close()
        # Sent again when the other of its two lines arrives, HAProxy's or the agent's.
        event = next(each for each in messages(events) if each["virtual_host"] == HOST and 942100 in each["rules"])

    assert saved["revision"] == made.json()["deployment"]["revision"]
    assert (event["verdict"], event["policy"], event["status"]) == ("blocked", "Streams", 403)
