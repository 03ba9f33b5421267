"""Redirects to HTTPS of what is served here without it: confirmed before, as a circle behind a proxy that ends TLS."""

from typing import Any

import httpx2
import pytest

from guardpanel.models.path_binding import PathBindingColumns, PathBindingFields
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.services.redirect_doubts import Names
from tests.factories import a_vhost

pytestmark = pytest.mark.anyio

HTTPS = {"shop.example": False, "*.shop.example": False, "new.example": True, "old.example": False}
PORTS = {None, 443, 8443}
CIRCLE, DEAD_END = "or, behind a proxy that handles TLS, are redirected in a circle", "get no response. "


def host(target: str) -> VirtualHostFields:
    return VirtualHostFields.model_validate({"hostnames": ["shop.example"], "redirect": "301", "redirect_to": target})


def path(target: str, **fields: Any) -> PathBindingColumns:
    return PathBindingFields.model_validate({"path": "/a", "redirect": "301", "redirect_to": target, **fields})


DOUBTS = [
    (host("https://shop.example"), CIRCLE, True),
    (host("https://SHOP.example:443/b"), CIRCLE, True),
    (host("https://www.shop.example:8443"), CIRCLE, True),
    (host("https://old.example"), DEAD_END, False),
    (path("https://shop.example/a/b"), CIRCLE, True),
    (path("https://shop.example/%61"), CIRCLE, True),
    (path("https://shop.example/b"), DEAD_END, False),
    (path("https://shop.example/a/b", path_match="exact"), DEAD_END, False),
    (path("https://old.example/a"), DEAD_END, False),
]
MEANT = ["https://new.example", "https://other.example", "https://shop.example:9443", "http://old.example", "/b"]


@pytest.mark.parametrize(("site", "words", "is_certain"), DOUBTS)
def test_https_of_a_name_without_it_is_doubted(site: Any, words: str, is_certain: bool) -> None:
    own = {"shop.example", "*.shop.example"}

    assert words in Names(HTTPS, own, PORTS, is_behind_proxies=False).doubt(site)
    assert bool(Names(HTTPS, own, PORTS, is_behind_proxies=True).doubt(site)) is is_certain


@pytest.mark.parametrize("target", MEANT)
def test_what_may_be_served_is_not_doubted(target: str) -> None:
    names = Names(HTTPS, {"shop.example", "*.shop.example"}, PORTS, is_behind_proxies=False)

    assert names.doubt(host(target)) == ""
    assert names.doubt(path(target)) == ""


async def test_a_save_asks_once_for_a_redirect_to_https_that_is_off(ada_api: httpx2.AsyncClient) -> None:
    moved = {"hostnames": ["shop.example"], "redirect": "301", "redirect_to": "https://shop.example"}
    asked = await ada_api.post("/api/v1/vhosts", json=moved)
    assert (asked.status_code, asked.json()["errors"][0]["field"]) == (409, "redirect_to")
    assert "HTTPS is off for shop.example. " in asked.json()["errors"][0]["message"]
    row = await ada_api.post("/api/v1/vhosts", json=moved | {"save_anyway": True})
    assert row.status_code == 201

    address = f"/api/v1/vhosts/{row.json()['id']}"
    assert (await ada_api.patch(address, json={"description": "x"})).status_code == 200
    bindings = f"{address}/policy-bindings"
    looped = {"path": "/a", "redirect": "301", "redirect_to": "https://shop.example/a"}
    refused = await ada_api.post(bindings, json=looped)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (409, "redirect_to")
    bound = await ada_api.post(bindings, json=looped | {"save_anyway": True})
    assert bound.status_code == 201
    again = await ada_api.patch(f"{bindings}/{bound.json()['id']}", json={"notes": "x"})
    assert again.status_code == 200, again.text


async def test_turning_https_off_asks_for_redirects_of_paths(ada_api: httpx2.AsyncClient) -> None:
    served = a_vhost(ssl_enabled=True, save_anyway=True)
    row = (await ada_api.post("/api/v1/vhosts", json=served)).json()
    address = f"/api/v1/vhosts/{row['id']}"
    path_to = {"path": "/a", "redirect": "301", "redirect_to": "https://shop.example/b"}
    assert (await ada_api.post(f"{address}/policy-bindings", json=path_to)).status_code == 201

    asked = await ada_api.patch(address, json={"ssl_enabled": False})

    assert (asked.status_code, asked.json()["errors"][0]["field"]) == (409, "ssl_enabled")
    assert (await ada_api.patch(address, json={"ssl_enabled": False, "save_anyway": True})).status_code == 200


@pytest.mark.parametrize("is_path", [False, True])
async def test_turning_https_off_asks_for_redirects_of_others(ada_api: httpx2.AsyncClient, is_path: bool) -> None:
    row = (await ada_api.post("/api/v1/vhosts", json=a_vhost(ssl_enabled=True, save_anyway=True))).json()
    moved = {"redirect": "301", "redirect_to": "https://shop.example/b"}
    served = {"servers": [{"address": "127.0.0.1:3000"}]}
    other = {"hostnames": ["old.example"], **(served if is_path else moved)}
    old = await ada_api.post("/api/v1/vhosts", json=other)
    assert old.status_code == 201, old.text
    if is_path:
        bound = await ada_api.post(f"/api/v1/vhosts/{old.json()['id']}/policy-bindings", json={"path": "/a", **moved})
        assert bound.status_code == 201, bound.text
    address = f"/api/v1/vhosts/{row['id']}"

    asked = await ada_api.patch(address, json={"ssl_enabled": False})

    assert (asked.status_code, asked.json()["errors"][0]["field"]) == (409, "ssl_enabled")
    assert "redirected to https://shop.example/b get no response" in asked.json()["errors"][0]["message"]
    assert (await ada_api.patch(address, json={"ssl_enabled": False, "save_anyway": True})).status_code == 200
