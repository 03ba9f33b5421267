"""A certificate that is saved with a virtual host: what becomes of the one it had, and of others that use it."""

from dataclasses import replace
from typing import Any

import httpx2
import pytest

from guardpanel.models.certificates.issuing import AUTHORITIES
from guardpanel.panel import Panel
from tests.api.test_vhost_certificates import CERTIFICATES, pasted
from tests.api.test_vhosts import VHOST, make
from tests.certificates.made import intermediate, made
from tests.fakes import FakeEngines

pytestmark = pytest.mark.anyio


def lines(engines: FakeEngines) -> list[str]:
    """The list of certificates, but for its first line."""
    assert engines.running is not None
    return engines.running.files["crt-list.txt"].decode().splitlines()[1:]


@pytest.mark.parametrize("is_chosen", [True, False])
async def test_a_pasted_pair_takes_no_certificate_from_another_virtual_host(
    ada_api: httpx2.AsyncClient, engines: FakeEngines, is_chosen: bool
) -> None:
    await make(ada_api, **pasted("shop.example", "blog.example"))
    await make(ada_api, "blog.example", ssl_enabled=True, certificate_id=1 if is_chosen else None)

    saved = await ada_api.patch(VHOST, json=pasted("shop.example"))

    assert (saved.status_code, saved.json()["certificate_id"]) == (200, 2), saved.text
    assert lines(engines) == ["certs/1.pem blog.example", "certs/2.pem shop.example"]
    again = await ada_api.patch(VHOST, json=pasted("shop.example", "www.shop.example"))
    assert again.json()["certificate_id"] == 2 and (await ada_api.get(CERTIFICATES)).json()["total"] == 2


async def test_a_pasted_pair_leaves_the_certificate_of_unknown_names(ada_api: httpx2.AsyncClient) -> None:
    await make(ada_api, **pasted("shop.example", "blog.example"))
    settings = await ada_api.patch("/api/v1/traffic", json={"default_certificate_id": 1})
    assert settings.status_code == 200, settings.text

    saved = await ada_api.patch(VHOST, json=pasted("shop.example"))

    assert saved.json()["certificate_id"] == 2, saved.text
    assert (await ada_api.get(f"{CERTIFICATES}/1")).json()["covers"] == ["shop.example", "blog.example"]


async def test_a_pair_that_is_not_valid_yet_becomes_another_certificate(
    ada_api: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    await make(ada_api, **pasted("shop.example"))
    early = made("shop.example", by=intermediate(), days=(1, 90))
    body = {"new_certificate": "upload", "certificate": early.pem + intermediate().pem, "private_key": early.key_pem}

    question = await ada_api.patch(VHOST, json=body)
    saved = await ada_api.patch(VHOST, json={**body, "save_anyway": True})

    assert (question.status_code, saved.status_code, saved.json()["certificate_id"]) == (409, 200, 2), saved.text
    assert lines(engines) == ["certs/1.pem shop.example"], "until it is valid, or the present one has expired"


async def test_a_pasted_pair_for_fewer_hostnames_leaves_the_others_their_certificate(
    ada_api: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    both = "shop.example", "www.shop.example"
    await make(ada_api, **pasted(*both), hostnames=[*both])

    saved = await ada_api.patch(VHOST, json=pasted("shop.example"))

    assert (saved.status_code, saved.json()["certificate_id"]) == (200, 2), saved.text
    assert lines(engines) == ["certs/1.pem www.shop.example", "certs/2.pem shop.example"]


async def test_https_off_and_on_orders_no_further_certificate(ada_api: httpx2.AsyncClient) -> None:
    on: dict[str, Any] = {"ssl_enabled": True, "ssl_provider": "letsencrypt"}
    await make(ada_api, **on)
    await ada_api.patch(f"{CERTIFICATES}/1", json={"authority": "ZeroSSL"})

    for _ in range(2):
        off = await ada_api.patch(VHOST, json={"ssl_enabled": False, "ssl_provider": "none"})
        back = await ada_api.patch(VHOST, json=on)

    assert (off.status_code, back.status_code, back.json()["certificate_id"]) == (200, 200, 1), back.text
    (row,) = (await ada_api.get(CERTIFICATES)).json()["items"]
    assert (row["version"], row["authority"]) == (2, AUTHORITIES["ZeroSSL"])


async def test_a_certificate_that_is_ordered_for_the_same_names_is_not_ordered_twice(
    ada_api: httpx2.AsyncClient,
) -> None:
    names = ["www.shop.example", "shop.example"]
    body = {"name": "Shop", "source": "acme", "names": names, "authority": "Let’s Encrypt"}
    assert (await ada_api.post(CERTIFICATES, json=body)).status_code == 201

    await make(ada_api, hostnames=names[::-1], new_certificate="acme")
    same = (await ada_api.get(VHOST)).json()["certificate_id"]
    other = await ada_api.patch(
        VHOST, json={"new_certificate": "acme", "new_authority": "ZeroSSL", "certificate_id": None}
    )

    assert (same, other.json()["certificate_id"]) == (1, 2), other.text


@pytest.mark.parametrize("kind", ["acme", "self_signed"])
async def test_a_certificate_gets_a_hostname_more_and_no_second_beside_it(
    ada_api: httpx2.AsyncClient, panel: Panel, kind: str
) -> None:
    await make(ada_api, new_certificate=kind)
    panel.changes.renderer.use(replace(panel.changes.renderer.facts, proves_by_dns=True))
    both = {"hostnames": ["shop.example", "*.shop.example"], "new_certificate": kind}

    saved = await ada_api.patch(VHOST, json=both)

    assert (saved.status_code, saved.json()["certificate_id"]) == (200, 1), saved.text
    (row,) = (await ada_api.get(CERTIFICATES)).json()["items"]
    assert (row["names"], row["version"]) == (both["hostnames"], 2)
    assert row["challenge"] == ("dns-01" if kind == "acme" else "http-01")
    assert row["covers"] == ([] if kind == "acme" else both["hostnames"])


async def test_a_certificate_that_others_use_stays_and_gets_one_beside_it(ada_api: httpx2.AsyncClient) -> None:
    await make(ada_api, new_certificate="self_signed")
    await ada_api.patch(f"{CERTIFICATES}/1", json={"names": ["shop.example", "blog.example"]})
    await make(ada_api, "blog.example", ssl_enabled=True)

    body = {"hostnames": ["shop.example", "www.shop.example"], "new_certificate": "self_signed"}
    saved = await ada_api.patch(VHOST, json=body)

    assert saved.json()["certificate_id"] == 2, saved.text
    assert (await ada_api.get(f"{CERTIFICATES}/1")).json()["names"] == ["shop.example", "blog.example"]
