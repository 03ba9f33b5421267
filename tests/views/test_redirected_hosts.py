"""A virtual host whose requests are redirected: pages name no mode or health check for it, since none has an effect."""

import httpx2
import pytest

from tests.factories import a_virtual_host
from tests.html import read

pytestmark = pytest.mark.anyio

MOVED = {"hostnames": ["old.example"], "redirect": "301", "redirect_to": "https://new.example", "policy_id": 1}


async def test_nothing_is_said_to_be_inspected_where_requests_are_redirected(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    assert (await ada_api.post("/api/v1/vhosts", json=MOVED)).status_code == 201
    listed, own = (await ada.get("/virtual-hosts")).text, read((await ada.get("/virtual-hosts/1")).text)

    assert "Redirects" in read(listed).text
    assert "mode-detect_only" not in listed
    assert "Redirected requests are not inspected." in own.text
    for word in ("Health check", "Detect only", "Threshold", "No server"):
        assert word not in own.text
    front = read((await ada.get("/")).text)
    assert "Every virtual host redirects, or is disabled or in maintenance" in front.text
    assert "1 detect only" not in front.text
    for mode, is_listed in (("detect_only", False), ("off", False), ("", True)):
        assert ("old.example" in (await ada.get("/virtual-hosts", params={"mode": mode})).text) is is_listed


async def test_paths_of_a_redirected_virtual_host_keep_its_policy(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    await ada_api.post("/api/v1/vhosts", json=MOVED)
    path = {"path": "/api", "own_servers": ["10.0.0.7:3000"]}
    assert (await ada_api.post("/api/v1/vhosts/1/policy-bindings", json=path)).status_code == 201
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))

    own = read((await ada.get("/virtual-hosts/1")).text).text
    assert "Redirected requests are not inspected. On paths without a redirect or values of their own:" in own
    assert "Threshold" in own
    assert "on paths: Default" in read((await ada.get("/virtual-hosts")).text).text
    assert "1 detect only" in read((await ada.get("/")).text).text
