"""The TypeScript client, compiled from openapi.json, drives a whole panel: what it prints is what the panel did."""

import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from tests.panel import ROOT, Panel
from tests.web import EMAIL, PASSWORD, bearer

pytestmark = pytest.mark.one_haproxy

CLIENT = ROOT / "clients" / "typescript"
HOSTNAME = "typescript.example"


def steps(panel: Panel, port: int) -> dict[str, dict[str, Any]]:
    """What each step of the example printed."""
    build = subprocess.run([ROOT / "tools" / "client.sh"], capture_output=True, text=True, timeout=500, check=False)
    assert build.returncode == 0, build.stdout + build.stderr
    variables = {"GUARDPANEL_URL": panel.url, "GUARDPANEL_EMAIL": EMAIL, "GUARDPANEL_PASSWORD": PASSWORD}
    example = subprocess.run(
        [node(), CLIENT / "dist" / "examples" / "virtual-host.js", HOSTNAME, f"127.0.0.1:{port}"],
        capture_output=True, text=True, env={**os.environ, **variables}, timeout=60, check=False,
    )  # fmt: skip
    assert example.returncode == 0, example.stdout + example.stderr
    return {line.pop("step"): line for line in map(json.loads, example.stdout.splitlines())}


def node() -> str:
    """As tools/lib.sh finds it: on PATH, or a wheel's."""
    command = f'. "{ROOT}/tools/lib.sh"; find_node >&2; echo "$node"'
    return subprocess.run(
        [shutil.which("bash") or "bash", "-c", command, str(ROOT / "tools" / "client.sh")],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout.strip()  # fmt: skip


def test_the_example_of_the_client_does_what_it_says(shared_panel: Panel, origin_port: int) -> None:
    printed = steps(shared_panel, origin_port)

    created, changed = printed["created"], printed["changed"]
    assert created == {"id": created["id"], "hostnames": [HOSTNAME], "etag": '"1"', "deployment": "live"}
    assert changed == {"description": "From a script", "etag": '"2"'}
    assert printed["stale"] == {"status": 412, "code": "stale", "current": 2, "pointers": []}
    assert printed["invalid"] == {"status": 422, "code": "invalid", "pointers": ["/hostnames", "/servers"]}
    assert printed["deleted"] == {"status": 404, "code": "not_found", "pointers": []}
    with bearer(shared_panel) as client:
        assert HOSTNAME not in client.get("/vhosts", params={"q": HOSTNAME}).text
