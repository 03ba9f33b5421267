"""Certificates of virtual hosts as the React panel sends them: pasted, or asked for."""

from dataclasses import replace
from typing import Any

import httpx2
import pytest

from guardpanel.models.certificates.issuing import LETS_ENCRYPT
from guardpanel.panel import Panel
from tests.api.test_vhosts import VHOST, VHOSTS, make
from tests.certificates.made import full_chain, leaf
from tests.factories import a_vhost
from tests.fakes import FakeEngines

pytestmark = pytest.mark.anyio

CERTIFICATES = "/api/v1/certificates"


def pasted(*names: str, **others: Any) -> dict[str, Any]:
    pair = {"ssl_cert": full_chain(*names), "ssl_key": leaf(*names).key_pem}
    return {"ssl_enabled": True, "ssl_provider": "upload", **pair, **others}


async def test_a_pasted_certificate_is_kept_replaced_and_never_given_back(
    ada_api: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    made = await ada_api.post(VHOSTS, json=a_vhost(**pasted("shop.example")))

    assert made.status_code == 201, made.text
    listed, read = (await ada_api.get(VHOSTS)).json()["items"][0], (await ada_api.get(VHOST)).json()
    for row in (made.json(), listed, read):
        assert (row["ssl_enabled"], row["ssl_provider"], row["certificate_id"]) == (True, "upload", 1)
        assert row["ssl_expires_at"]
        assert "PRIVATE KEY" not in str(row) and "BEGIN CERTIFICATE" not in str(row)
    first = (await ada_api.get(f"{CERTIFICATES}/1")).json()
    assert (first["name"], first["source"], first["covers"]) == ("shop.example", "upload", ["shop.example"])
    assert engines.running is not None
    assert "certs/1.pem shop.example\n" in engines.running.files["crt-list.txt"].decode()

    edited = await ada_api.patch(VHOST, json=a_vhost(ssl_enabled=True, ssl_provider="upload", description="x"))
    assert (edited.status_code, edited.json()["certificate_id"]) == (200, 1)
    both = await ada_api.patch(VHOST, json=a_vhost(**pasted("shop.example", "www.shop.example")))
    assert (both.status_code, both.json()["certificate_id"]) == (200, 1)
    second = (await ada_api.get(f"{CERTIFICATES}/1")).json()
    assert (second["covers"], second["name"]) == (["shop.example", "www.shop.example"], "shop.example")
    assert (await ada_api.get(CERTIFICATES)).json()["total"] == 1
    automatic = (await ada_api.patch(VHOST, json={"certificate_id": None})).json()
    listed = (await ada_api.get(VHOSTS)).json()["items"][0]
    assert automatic["certificate_id"] is None
    assert automatic["ssl_expires_at"] == listed["ssl_expires_at"] == second["not_after"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (pasted(ssl_key=leaf("x.example", kind="b").key_pem), 422, "ssl_key"),
        (pasted(ssl_key=None), 422, "ssl_key"),
        (pasted(ssl_cert=None), 422, "ssl_cert"),
        (pasted(ssl_cert="-----BEGIN"), 422, "ssl_cert"),
        (pasted(ssl_key=leaf("shop.example").encoded_key("secret")), 422, "ssl_key"),
        (pasted("other.example"), 422, "ssl_cert"),
        (pasted(ssl_provider="letsencrypt"), 422, "ssl_cert"),
        (pasted(ssl_enabled=False), 422, "ssl_cert"),
        (pasted(ssl_provider="custom"), 422, "ssl_provider"),
        (pasted(ssl_cert=None, ssl_key=None), 422, "ssl_cert"),
        (pasted(ssl_cert=leaf().pem), 409, "ssl_cert"),
    ],
)
async def test_a_bad_pair_is_refused_in_words_at_its_key(
    ada_api: httpx2.AsyncClient, body: dict[str, Any], status: int, field: str
) -> None:
    for answer in (
        await ada_api.post(VHOSTS, json=a_vhost(**body)),
        await ada_api.patch(f"{VHOSTS}/{(await make(ada_api, 'shop.example'))['id']}", json=body),
    ):
        problem = answer.json()
        assert (answer.status_code, [error["field"] for error in problem["errors"]]) == (status, [field]), problem
        assert isinstance(problem["detail"], str)
        assert "automatic" not in problem["detail"], "React has no such choice"
        assert status != 409 or "guardpanel’s own form: /virtual-hosts/" in problem["detail"], (
            "React has no such button"
        )
        assert "PRIVATE KEY" not in answer.text
    assert (await ada_api.get(CERTIFICATES)).json()["total"] == 0


async def test_an_uploaded_certificate_comes_back_with_https_and_none_is_called_none(
    ada_api: httpx2.AsyncClient,
) -> None:
    on: dict[str, Any] = {"ssl_enabled": True}
    await make(ada_api, "blog.example")
    bare = (await ada_api.patch(VHOST, json={**on, "ssl_provider": "none"})).json()
    assert (bare["ssl_enabled"], bare["ssl_provider"], bare["ssl_expires_at"]) == (True, "none", None)

    await ada_api.patch(VHOST, json=pasted("blog.example"))
    off = (await ada_api.patch(VHOST, json={"ssl_enabled": False})).json()
    back = (await ada_api.patch(VHOST, json={**on, "ssl_provider": "upload", "ssl_cert": None, "ssl_key": None})).json()

    assert (off["ssl_provider"], back["ssl_provider"], back["certificate_id"]) == ("none", "upload", 1)


async def test_lets_encrypt_is_asked_once(ada_api: httpx2.AsyncClient, engines: FakeEngines) -> None:
    body = a_vhost(ssl_enabled=True, ssl_provider="letsencrypt", https_redirect=True, hsts_seconds=300)

    made = await ada_api.post(VHOSTS, json=body)
    again = await ada_api.patch(VHOST, json=body)

    assert (made.status_code, again.status_code) == (201, 200), made.text
    assert (again.json()["ssl_provider"], again.json()["ssl_expires_at"]) == ("letsencrypt", None)
    (row,) = (await ada_api.get(CERTIFICATES)).json()["items"]
    assert (row["source"], row["names"], row["authority"]) == ("acme", ["shop.example"], LETS_ENCRYPT)
    assert engines.running is not None
    waits = engines.running.files["awaited.map"]
    assert waits == b"shop.example -;0;0\n", "visitors are not sent where browsers refuse to go"


async def test_a_provider_orders_nothing_while_https_is_off(ada_api: httpx2.AsyncClient) -> None:
    made = await ada_api.post("/api/v1/vhosts", json=a_vhost(ssl_enabled=False, ssl_provider="letsencrypt"))
    assert (made.status_code, made.json()["ssl_provider"]) == (201, "none")
    assert (await ada_api.get("/api/v1/certificates")).json()["total"] == 0

    edited = await ada_api.patch("/api/v1/vhosts/1", json={"ssl_enabled": True, "ssl_provider": "letsencrypt"})
    assert (edited.status_code, edited.json()["ssl_provider"]) == (200, "letsencrypt")


async def test_lets_encrypt_is_asked_for_a_wildcard_where_dns_proves_it(
    ada_api: httpx2.AsyncClient, panel: Panel
) -> None:
    body = a_vhost("*.wild.example", ssl_enabled=True, ssl_provider="letsencrypt")

    refused = await ada_api.post(VHOSTS, json=body)
    before = (await ada_api.get(VHOSTS)).json()["total"]
    panel.changes.renderer.use(replace(panel.changes.renderer.facts, proves_by_dns=True))
    made = await ada_api.post(VHOSTS, json=body)

    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["field"], before) == (422, "ssl_provider", 0)
    assert "DNS-01 is not set up: set GUARDPANEL_DNS_SERVER" in error["message"]
    certificate = f"{CERTIFICATES}/{made.json()['certificate_id']}"
    assert (await ada_api.get(certificate)).json()["challenge"] == "dns-01"
    panel.changes.renderer.use(replace(panel.changes.renderer.facts, proves_by_dns=False))
    assert (await ada_api.patch(certificate, json={"notes": "x"})).status_code == 200
