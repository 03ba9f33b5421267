"""HTTPS of a virtual host by form and JSON: a certificate chosen, made or ordered with it, and what is asked before visitors are
kept out."""

import re
from typing import Any

import httpx2
import pytest

from guardpanel.acme.preflight import Finding
from guardpanel.services.issuing import deeds
from tests.certificates.made import full_chain, leaf
from tests.factories import a_vhost, a_virtual_host
from tests.web import Page

pytestmark = pytest.mark.anyio

API, CERTIFICATES = "/api/v1/vhosts", "/api/v1/certificates"


async def a_certificate(client: httpx2.AsyncClient, *names: str) -> int:
    body = {"name": names[0], "certificate": full_chain(*names), "private_key": leaf(*names).key_pem}
    return int((await client.post(CERTIFICATES, json=body)).json()["id"])


async def test_a_certificate_that_leaves_hostnames_out_is_chosen_after_a_confirmation(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    number = await a_certificate(ada_api, "shop.example")
    other = await a_certificate(ada_api, "other.example")
    both = "shop.example\nwww.shop.example"
    form = a_virtual_host(both, https="on", certificate_id=str(number))

    none = await ada.post("/virtual-hosts", data=form | {"certificate_id": str(other)})
    question = await ada.post("/virtual-hosts", data=form)

    assert question.status_code == 409
    assert "shop.example does not cover www.shop.example: it gets another certificate" in question.text
    assert 'id="f-certificate_id-error"' in question.text and 'name="save_anyway"' in question.text
    none = await ada.post("/virtual-hosts", data=form | {"certificate_id": str(other), "save_anyway": "on"})
    assert none.status_code == 422 and "It covers other.example, and none of the hostnames." in none.text
    assert (await ada.post("/virtual-hosts", data=form | {"save_anyway": "on"})).status_code == 303
    page = (await ada.get("/virtual-hosts/1")).text
    assert f'href="/certificates/{number}"' in page
    kept = await ada_api.patch(f"{API}/1", json={"description": "It is not asked again"})
    assert kept.status_code == 200
    deletion = (await ada.get(f"/certificates/{number}/delete")).text
    assert "It was chosen in 1 place." in deletion and "/virtual-hosts/1/edit#f-certificate_id" in deletion
    assert (await ada_api.delete(f"{CERTIFICATES}/{number}")).status_code == 409


async def test_visitors_are_not_sent_to_https_without_a_certificate_unless_that_is_meant(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    body = a_vhost(ssl_enabled=True, https_redirect=True, hsts_seconds=300)

    refused = await ada_api.post(API, json=body)
    question = await ada.post("/virtual-hosts", data=a_virtual_host(https="on", hsts_seconds="300"))

    assert (refused.status_code, refused.json()["code"]) == (409, "needs_confirmation")
    assert [error["field"] for error in refused.json()["errors"]] == ["https_redirect", "hsts_seconds"]
    assert question.status_code == 409 and "Browsers that get HSTS refuse shop.example" in question.text
    assert (await ada_api.get(API)).json()["total"] == 0
    assert (await ada_api.post(API, json=body | {"save_anyway": True})).status_code == 201
    assert (await ada_api.patch(f"{API}/1", json={"description": "It is not asked again"})).status_code == 200
    more = await ada_api.patch(f"{API}/1", json={"hostnames": ["shop.example", "new.example"]})
    assert (
        more.status_code == 409
        and "new.example" in more.json()["detail"]
        and "shop.example" not in more.json()["detail"]
    )
    await a_certificate(ada_api, "shop.example", "new.example")
    assert (await ada_api.patch(f"{API}/1", json={"hostnames": ["shop.example", "new.example"]})).status_code == 200


async def test_what_an_edit_adds_to_https_is_asked(ada_api: httpx2.AsyncClient) -> None:
    number = await a_certificate(ada_api, "shop.example")
    made = await ada_api.post(API, json=a_vhost(hostnames=["shop.example", "www.shop.example"], ssl_enabled=True))
    assert made.status_code == 201, made.text

    for field, value in {"https_redirect": True, "hsts_seconds": 300, "certificate_id": number}.items():
        question = await ada_api.patch(f"{API}/1", json={field: value})

        assert question.status_code == 409, question.text
        assert [error["field"] for error in question.json()["errors"]] == [field]


async def test_what_was_confirmed_stays_confirmed(ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient) -> None:
    await ada_api.post(API, json=a_vhost("*.shop.example"))
    await ada_api.post(API, json=a_vhost("www.shop.example"))
    form: dict[str, Any] = a_virtual_host("new.example", https="on", https_redirect="on", name="www.shop.example")

    first = await ada.post("/virtual-hosts/2", data=form)
    second = await ada.post("/virtual-hosts/2", data=form | {"hand_over": "on"})

    assert (first.status_code, second.status_code) == (409, 409)
    assert 'name="hand_over"' in first.text and 'name="save_anyway"' in second.text
    assert '<input type="hidden" name="hand_over" value="on">' in second.text
    third = await ada.post("/virtual-hosts/2", data=form | {"hand_over": "on", "save_anyway": "on"})
    assert third.status_code == 303


@pytest.mark.parametrize("kind", ["local_ca", "self_signed", "acme"])
async def test_a_virtual_host_gets_a_certificate_in_its_own_form(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, kind: str
) -> None:
    await a_certificate(ada_api, "shop.example")
    typed = {"new_certificate": kind, "new_authority": "lets encrypt staging", "https_redirect": "on"}

    saved = await ada.post("/virtual-hosts", data=a_virtual_host("shop.example\n192.0.2.1", **typed))

    assert saved.headers["location"] == "/virtual-hosts/1", saved.text
    host, row = (await ada_api.get(f"{API}/1")).json(), (await ada_api.get(f"{CERTIFICATES}/2")).json()
    assert (host["ssl_enabled"], host["certificate_id"]) == (True, 2)
    assert (row["source"], row["names"], row["name"]) == (kind, ["shop.example", "192.0.2.1"], "shop.example 2")
    page = (await ada.get("/virtual-hosts/1")).text
    assert ('id="orders"' in page) is (kind == "acme")
    assert "HTTP redirected" in page, "shop.example has a certificate already"
    assert ("redirect and HSTS" in page, "not yet for 192.0.2.1" in page) == (kind == "acme", kind == "acme")
    assert "Added virtual host shop.example" in (await ada.get("/changes?noun=certificate&id=2")).text
    waits = 'href="/virtual-hosts/1/edit#f-certificate_id"'
    assert (waits in (await ada.get("/certificates/2")).text) is (kind == "acme")


async def test_the_page_of_one_without_a_certificate_has_a_button_for_it(
    ada: httpx2.AsyncClient, vera: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    await ada_api.post(API, json=a_vhost())
    link = "/virtual-hosts/1/edit?new_certificate=acme"
    assert link in (await ada.get("/virtual-hosts/1")).text and link not in (await vera.get("/virtual-hosts/1")).text

    form = (await ada.get(link)).text

    for field in ('name="https"', 'name="new_certificate"[^>]*value="acme"'):
        assert re.search(rf"<input[^>]*{field}[^>]*checked", form), field


async def test_names_are_looked_at_before_they_are_saved(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def first_look(_issuer: object, names: list[str], authority: str) -> list[Finding]:
        return [Finding(names[0], f"It does not resolve to an address for {authority}.")]

    form = a_virtual_host("shop.example", new_certificate="acme", new_authority="ZeroSSL", preflight="on")
    wrong = await ada.post("/virtual-hosts", data=form | {"hostnames": "<b>shop"})
    monkeypatch.setattr(deeds, "first_look", first_look)
    looked = await ada.post("/virtual-hosts", data=form)

    assert "1 problem" in looked.text and "It does not resolve to an address for ZeroSSL." in looked.text
    assert 'value="ZeroSSL"' in looked.text and "<b>shop" not in wrong.text and 'id="preflight"' in wrong.text
    assert (await ada_api.get(API)).json()["total"] == 0


async def test_a_wildcard_that_nothing_proves_is_told_at_the_choice(ada: httpx2.AsyncClient) -> None:
    form = a_virtual_host("*.shop.example", new_certificate="acme", new_authority="ZeroSSL")

    refused = Page(await ada.post("/virtual-hosts", data=form))

    assert refused.status == 422
    assert "DNS-01 is not set up" in refused.errors["new_certificate"]
    assert "*.shop.example" in refused.values["hostnames"][0]


async def test_names_that_no_certificate_can_have_are_told_at_the_choice(ada_api: httpx2.AsyncClient) -> None:
    body = a_vhost(
        "*.shop.example", hostnames=["*.shop.example", "192.0.2.1"], ssl_enabled=True, new_certificate="acme"
    )

    refused = await ada_api.post(API, json=body)

    assert refused.status_code == 422, refused.text
    assert "DNS-01 can’t prove 192.0.2.1." in refused.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("name", "instead"),
    [("a_b.shop.example", " One for *.shop.example covers it."), ("a.b_c.example", ""), ("a_b.test", "")],
)
async def test_an_authority_is_asked_for_no_name_with_an_underscore(
    ada_api: httpx2.AsyncClient, name: str, instead: str
) -> None:
    body = a_vhost(name, hostnames=[name, "x.example"], ssl_enabled=True)

    refused = await ada_api.post(API, json={**body, "new_certificate": "acme"})
    made_here = await ada_api.post(API, json={**body, "new_certificate": "self_signed"})

    words = f"Authorities issue no certificate for {name}: it has an underscore.{instead}"
    assert [error["message"] for error in refused.json()["errors"]] == [words]
    assert made_here.status_code == 201, made_here.text
