"""Certificates by form and JSON: uploaded, replaced, made here, used again, in backups."""

import asyncio
import io
import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from sqlmodel import select
from typer.testing import CliRunner

from guardpanel.app import create_app
from guardpanel.certificates import contents
from guardpanel.cli import main
from guardpanel.models import CertificateContent
from guardpanel.models.certificates.issuing import LETS_ENCRYPT
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.panel import Panel
from guardpanel.services import virtual_hosts
from guardpanel.services.backups import restores, sealing
from guardpanel.services.saving.changes import SaveRequest
from guardpanel.settings import Settings
from tests.certificates.made import full_chain, intermediate, leaf, made
from tests.conftest import running
from tests.factories import a_vhost
from tests.fakes import FAKES
from tests.ports import free_port

pytestmark = pytest.mark.anyio

API = "/api/v1/certificates"
WORDS = "correct horse battery"


def upload(*names: str, **others: object) -> dict[str, object]:
    return {"name": "shop", "certificate": full_chain(*names), "private_key": leaf(*names).key_pem, **others}


@pytest.fixture
async def other(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Panel]:
    """Another machine at its first start."""
    monkeypatch.setattr(sealing, "COST", 2)
    monkeypatch.setattr(sealing, "LANES", 1)
    with tempfile.TemporaryDirectory(prefix="gp") as folder:
        binds: dict[str, Any] = {name: f"127.0.0.1:{free_port()}" for name in ("listen", "http_bind")}
        async with running(create_app(Settings(data_dir=Path(folder), **binds), parts=FAKES)) as app:
            yield app.state.panel


async def current(panel: Panel) -> list[contents.CurrentContent]:
    async with panel.database.read() as session:
        return [*await contents.CurrentContents(panel.changes.seal).of(session)]


async def test_a_pasted_certificate_is_listed_with_its_end_issuer_and_virtual_hosts(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost(domain="www.shop.example", ssl_enabled=True))
    await ada_api.post("/api/v1/vhosts", json=a_vhost(domain="plain.shop.example"))

    answer = await ada.post("/certificates", data={"source": "upload", **upload("*.shop.example")})

    assert answer.headers["location"] == "/certificates/1"
    for page in ("/certificates", "/certificates/1"):
        text = (await ada.get(page)).text
        assert "*.shop.example" in text and "Example Intermediate" in text and "days left" in text
        assert 'href="/virtual-hosts/1"' in text and 'href="/virtual-hosts/2"' not in text
    assert "www.shop.example" in (await ada.get("/certificates/1/delete")).text
    row = (await ada_api.get(f"{API}/1")).json()
    assert (row["state"], row["covers"], row["names"]) == ("valid", ["*.shop.example"], [])
    assert row["chain"] == full_chain("*.shop.example")
    assert (await ada.get("/certificates/1/chain.pem")).text == full_chain("*.shop.example")


async def test_a_doubtful_one_is_saved_after_a_confirmation(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    alone = upload() | {"certificate": leaf().pem}
    refused = await ada_api.post(API, json=alone)
    assert (refused.status_code, refused.json()["code"]) == (409, "needs_confirmation")
    assert "Example Intermediate that signed this one is missing" in refused.json()["detail"]

    page = await ada.post("/certificates", data={"source": "upload", **alone})
    assert page.status_code == 409 and 'name="save_anyway"' in page.text
    held = re.search(r'name="held" value="([^"]+)"', page.text)
    assert held is not None
    again = {**alone, "source": "upload", "private_key": "", "held": held[1], "save_anyway": "on"}
    assert (await ada.post("/certificates", data=again)).status_code == 303
    assert any("missing" in notice for notice in (await ada_api.get(f"{API}/1")).json()["notices"])


async def test_a_file_with_a_wrong_password_is_kept_sealed_in_the_form(
    ada: httpx2.AsyncClient, vera: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    file = leaf().pkcs12("secret", [intermediate()])

    page = await ada.post(
        "/certificates", data={"name": "shop", "source": "upload", "password": "x"}, files={"file": ("a.pfx", file)}
    )

    assert page.status_code == 422 and 'id="f-password-error"' in page.text
    held = re.search(r'name="held" value="([^"]+)"', page.text)
    assert held is not None
    again = {"name": "shop", "source": "upload", "held": held[1], "password": "secret"}
    assert (await vera.post("/certificates", data=again)).status_code == 403
    assert (await ada.post("/certificates", data=again | {"held": held[1][:-8] + "AAAAAAA="})).status_code == 422
    assert (await ada.post("/certificates", data=again)).status_code == 303
    assert (await ada_api.get(f"{API}/1")).json()["covers"] == ["shop.example"]


async def test_a_replaced_one_can_be_used_again(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel
) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost(domain="shop.example"))
    await ada_api.post(API, json=upload("shop.example"))
    lost = await ada_api.patch(f"{API}/1", json=upload("new.example"))
    assert lost.status_code == 409 and "no longer shop.example" in lost.json()["detail"]

    assert (await ada_api.patch(f"{API}/1", json=upload("new.example", save_anyway=True))).status_code == 200

    assert [content.names for content in await current(panel)] == [("new.example",)]
    assert (await ada.get("/certificates/1")).text.count("Use again") == 1
    await ada.post("/certificates/1/contents/1/use", data={})
    toast = (await ada.get("/certificates/1")).text.partition('id="toasts"')[2]
    assert 'action="/certificates/1/contents/2/use"' in toast
    assert [content.names for content in await current(panel)] == [("shop.example",)]
    assert "new certificate until" in (await ada.get("/changes")).text
    newest = (await ada_api.get("/api/v1/changes")).json()["items"][0]["id"]
    undone = await ada_api.post(f"/api/v1/changes/{newest}/undo")
    assert undone.status_code == 409 and "its page has what was there before" in undone.json()["detail"]


async def test_one_is_named_after_its_first_hostname_unless_it_has_another(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    uploaded = await ada_api.post(API, json=upload("www.shop.example") | {"name": ""})
    own = await ada_api.post(API, json={"source": "self_signed", "names": ["*.intra.example"]})
    typed = {"source": "local_ca", "names": "wiki.example", "name": "", "key_type": "ecdsa"}
    assert (await ada.post("/certificates", data=typed)).status_code == 303

    assert [answer.json()["name"] for answer in (uploaded, own)] == ["www.shop.example", "*.intra.example"]
    assert (await ada_api.get(f"{API}/3")).json()["name"] == "wiki.example"


async def test_one_that_is_not_valid_yet_is_not_used_again_over_a_valid_one(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel
) -> None:
    soon = made("shop.example", by=intermediate(), days=(1, 90))
    first = upload() | {"certificate": soon.pem + intermediate().pem, "private_key": soon.key_pem, "save_anyway": True}
    assert (await ada_api.post(API, json=first)).status_code == 201
    assert (await ada_api.patch(f"{API}/1", json=upload())).status_code == 200
    before = await current(panel)

    await ada.post("/certificates/1/contents/1/use", data={})

    assert await current(panel) == before


async def test_the_same_key_needs_not_be_sent_again(ada_api: httpx2.AsyncClient, panel: Panel) -> None:
    await ada_api.post(API, json=upload())

    renewed = await ada_api.patch(f"{API}/1", json={"certificate": full_chain()})
    other = await ada_api.patch(f"{API}/1", json={"certificate": leaf("x.example", kind="b").pem})

    assert renewed.status_code == 200
    assert other.json()["errors"][0] == {
        "field": "private_key",
        "code": "invalid",
        "pointer": "/private_key",
        "message": "The current private key does not belong to this certificate. Add the new one.",
    }


async def test_the_local_authority_signs_and_is_one_for_all(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    for name in ("intra.example", "wiki.example"):
        answer = await ada.post(
            "/certificates",
            data={"name": name, "source": "local_ca", "names": f"{name}\n10.0.0.1", "key_type": "ecdsa"},
        )
        assert answer.status_code == 303, answer.text

    root = x509.load_pem_x509_certificate((await ada.get("/certificates/local-ca.pem")).content)
    chains = [(await ada_api.get(f"{API}/{number}")).json()["chain"] for number in (1, 2)]
    for chain in chains:
        x509.load_pem_x509_certificate(chain.encode()).verify_directly_issued_by(root)
    before = chains[0]
    assert (await ada.post("/certificates/1/renew", data={})).status_code == 303
    assert (await ada_api.get(f"{API}/1")).json()["chain"] != before
    await ada_api.patch(f"{API}/1", json={"notes": "Only words"})
    unchanged = (await ada_api.get(f"{API}/1")).json()["chain"]
    await ada_api.patch(f"{API}/1", json={"names": ["other.example"]})
    assert (await ada_api.get(f"{API}/1")).json()["covers"] == ["other.example"]
    assert unchanged != (await ada_api.get(f"{API}/1")).json()["chain"]


async def test_a_self_signed_one_says_so(ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient) -> None:
    made = (
        await ada_api.post(
            API, json={"name": "try", "source": "self_signed", "names": ["a.example"], "key_type": "rsa"}
        )
    ).json()
    upload_of_it = await ada_api.patch(f"{API}/{made['id']}", json={"certificate": full_chain()})

    assert made["issuer"] == "a.example" and made["state"] == "valid"
    assert (await ada_api.get(f"{API}/1")).json()["notices"] == ["It is self-signed: browsers warn about it."]
    assert upload_of_it.status_code == 422
    assert "Next renewal" in (await ada.get("/certificates/1")).text


async def test_the_command_line_renders_what_a_save_would(
    ada_api: httpx2.AsyncClient, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ada_api.post(API, json={"name": "try", "source": "self_signed", "names": ["shop.example"]})
    fields = {"hostnames": ["shop.example"], "servers": [{"address": "192.0.2.1"}], "https": True}
    await virtual_hosts.create(panel.changes, SaveRequest("ada"), VirtualHostFields.model_validate(fields))
    monkeypatch.setenv("GUARDPANEL_DATA_DIR", str(panel.settings.data_dir))

    command = await asyncio.to_thread(CliRunner().invoke, main, ["render", "crt-list.txt"])

    assert "certs/1.pem shop.example\n" in command.output


async def test_a_deletion_can_be_undone(ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel) -> None:
    await ada_api.post(API, json=upload())
    await ada_api.delete(f"{API}/1")
    assert await current(panel) == []

    async with panel.database.read() as session:
        ((certificate_id, fingerprint),) = (
            await session.exec(select(CertificateContent.certificate_id, CertificateContent.fingerprint))
        ).all()
    page = await ada.get("/changes")
    undo = re.findall(r"/changes/(\d+)", page.text)
    await ada.post(f"/changes/{max(map(int, undo))}/undo", data={})

    assert [(content.certificate_id, content.fingerprint, bool(content.pem)) for content in await current(panel)] == [
        (certificate_id, fingerprint, True)
    ]


@pytest.mark.parametrize("words", [WORDS, ""])
async def test_backups_have_keys_only_with_a_passphrase(
    ada_api: httpx2.AsyncClient, panel: Panel, other: Panel, words: str
) -> None:
    await ada_api.post(API, json=upload())
    await ada_api.post(API, json={"name": "intra", "source": "local_ca", "names": ["intra.example"]})
    file = io.BytesIO()
    await panel.backups.write(file, words)

    for machine in (other, panel):
        file.seek(0)
        candidate = await machine.backups.take(file, words)
        await restores.restore(machine.changes, SaveRequest("ada"), candidate)

    assert [bool(content.pem) for content in await current(other)] == [bool(words)] * 2
    assert [bool(content.pem) for content in await current(panel)] == [True, True]


async def test_one_that_is_still_to_be_issued_is_answered_over_json(ada_api: httpx2.AsyncClient) -> None:
    body = {"name": "shop", "source": "acme", "names": ["shop.example"], "authority": LETS_ENCRYPT}

    saved = await ada_api.post("/api/v1/certificates", json=body)
    edited = await ada_api.patch("/api/v1/certificates/1", json={"notes": "Ask Vera"})

    assert (saved.status_code, saved.json()["state"], saved.json()["serial"]) == (201, "missing", None), saved.text
    assert (edited.status_code, edited.json()["notes"]) == (200, "Ask Vera")


async def test_a_second_one_for_the_same_names_is_ordered_only_after_a_confirmation(
    ada_api: httpx2.AsyncClient,
) -> None:
    body = {"name": "first", "source": "acme", "names": ["shop.example", "a.example"], "authority": LETS_ENCRYPT}
    assert (await ada_api.post(API, json=body)).status_code == 201
    second = body | {"name": "second", "names": ["a.example", "shop.example"], "authority": "ZeroSSL"}

    asked = await ada_api.post(API, json=second)
    confirmed = await ada_api.post(API, json=second | {"save_anyway": True})

    assert (asked.status_code, asked.json()["code"]) == (409, "needs_confirmation")
    assert asked.json()["errors"][0]["field"] == "names" and "first has the same names." in asked.json()["detail"]
    assert confirmed.status_code == 201, confirmed.text
    assert (await ada_api.patch(f"{API}/2", json={"notes": "Ask Vera"})).status_code == 200, "it was meant"
    assert (await ada_api.patch(f"{API}/2", json={"names": ["a.example"]})).status_code == 200
    assert (await ada_api.patch(f"{API}/2", json={"names": body["names"]})).status_code == 409
