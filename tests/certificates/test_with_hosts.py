"""A certificate that is saved with a virtual host: what becomes of the one it had, and of others that use it."""

import httpx2
import pytest

from tests.api.test_vhosts import CERTIFICATES, ONE, make, pasted
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

    saved = await ada_api.patch(ONE, json=pasted("shop.example"))

    assert (saved.status_code, saved.json()["certificate_id"]) == (200, 2), saved.text
    assert lines(engines) == ["certs/1.pem blog.example", "certs/2.pem shop.example"]
    again = await ada_api.patch(ONE, json=pasted("shop.example", "www.shop.example"))
    assert again.json()["certificate_id"] == 2 and (await ada_api.get(CERTIFICATES)).json()["total"] == 2


async def test_a_pasted_pair_leaves_the_certificate_of_unknown_names(ada_api: httpx2.AsyncClient) -> None:
    await make(ada_api, **pasted("shop.example", "blog.example"))
    settings = await ada_api.patch("/api/v1/traffic", json={"default_certificate_id": 1})
    assert settings.status_code == 200, settings.text

    saved = await ada_api.patch(ONE, json=pasted("shop.example"))

    assert saved.json()["certificate_id"] == 2, saved.text
    assert (await ada_api.get(f"{CERTIFICATES}/1")).json()["covers"] == ["shop.example", "blog.example"]


async def test_a_pair_that_is_not_valid_yet_becomes_another_certificate(
    ada_api: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    await make(ada_api, **pasted("shop.example"))
    early = made("shop.example", by=intermediate(), days=(1, 90))
    body = {"new_certificate": "upload", "certificate": early.pem + intermediate().pem, "private_key": early.key_pem}

    asked = await ada_api.patch(ONE, json=body)
    saved = await ada_api.patch(ONE, json={**body, "save_anyway": True})

    assert (asked.status_code, saved.status_code, saved.json()["certificate_id"]) == (409, 200, 2), saved.text
    assert lines(engines) == ["certs/1.pem shop.example"], "until it is valid, or the present one has expired"
