"""Certificates from an authority: the form, their page and JSON, with engines and an authority that are not asked."""

import pytest
from sqlmodel import select

from guardpanel.models import AcmeAccount
from guardpanel.models.certificates.issuing import AUTHORITIES, LETS_ENCRYPT, directory
from guardpanel.panel import Panel
from tests.certificates.made import full_chain, leaf
from tests.conftest import Person

pytestmark = pytest.mark.anyio

EAB_KEY = "c2VjcmV0IGtleSBvZiAxNg"
FORM = {
    "source": "acme",
    "name": "Shop",
    "names": "shop.example",
    "authority": "lets encrypt",
    "challenge": "http-01",
    "key_type": "ecdsa",
}


async def test_each_mistake_is_told_at_its_field_and_nothing_is_lost(ada: Person) -> None:
    mistakes = [
        ({"authority": "Lets Encript"}, "authority", "Enter Let’s Encrypt"),
        ({"authority": "http://authority.test/dir"}, "authority", "https address"),
        ({"authority": "https://ada:secret@authority.test/dir"}, "authority", "https address"),
        ({"names": "*.shop.example"}, "names", "HTTP-01 can’t prove *.shop.example. Choose DNS-01 for wildcards."),
        ({"names": "192.0.2.1", "challenge": "dns-01"}, "names", "DNS-01 can’t prove 192.0.2.1."),
        ({"names": "*.shop.example", "challenge": "dns-01"}, "challenge", "DNS-01 is not set up"),
        ({"profile": "short lived"}, "profile", "A profile’s name has"),
        ({"contact": "ada"}, "contact", "Enter an email address"),
        ({"eab_key_id": "kid-1"}, "eab_key", "Enter both"),
        ({"eab_key": EAB_KEY}, "eab_key", "Enter both"),
        ({"eab_key_id": "kid-1", "eab_key": "no key!"}, "eab_key", "Paste the key as the authority shows it"),
    ]
    for changed, field, words in mistakes:
        answer = await ada.post("/certificates", data=FORM | changed)
        assert answer.status_code == 422, changed
        assert words in answer.text, (changed, field)
        assert 'value="Shop"' in answer.text
        assert EAB_KEY not in answer.text


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("upload", "Only the CA that issued this certificate can revoke it. Ask there, then replace it."),
        (
            "self_signed",
            "No browser asks whether a certificate that is made here was revoked. Renew it to have a new key.",
        ),
    ],
)
async def test_what_no_authority_issued_says_what_to_do_instead_of_revoking_it(
    ada: Person, ada_api: Person, source: str, words: str
) -> None:
    pair = {"certificate": full_chain("shop.example"), "private_key": leaf("shop.example").key_pem}
    body = pair if source == "upload" else {"source": source, "names": ["shop.example"]}
    assert (await ada_api.post("/api/v1/certificates", json={"name": "Shop", **body})).status_code == 201

    question = await ada.get("/certificates/1/revoke")
    assert (question.status_code, question.headers["location"]) == (303, "/certificates/1")
    assert words in (await ada.get("/certificates/1")).text
    sent = await ada.post("/certificates/1/revoke", data={"reason": "superseded"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/certificates/1")
    assert words in (await ada.get("/certificates/1")).text
    refused = await ada_api.post("/api/v1/certificates/1/revocation")
    assert (refused.status_code, refused.json()["detail"]) == (409, words)
    looked = await ada.get("/certificates/1/preflight")
    assert (looked.status_code, looked.headers["location"]) == (303, "/certificates/1")


async def test_a_certificate_is_added_and_its_orders_are_shown_and_asked_for(
    ada: Person, ada_api: Person, panel: Panel
) -> None:
    sent = FORM | {"eab_key_id": "kid-1", "eab_key": EAB_KEY, "profile": "shortlived", "contact": "ops@shop.example"}
    answer = await ada.post("/certificates", data=sent)
    assert (answer.status_code, answer.headers["location"]) == (303, "/certificates/1")

    row = (await ada_api.get("/api/v1/certificates/1")).json()
    assert (row["authority"], row["challenge"], row["profile"]) == (LETS_ENCRYPT, "http-01", "shortlived")
    assert not [name for name in row if name.startswith("eab")]
    async with panel.database.read() as session:
        (account,) = (await session.exec(select(AcmeAccount))).all()
    assert account.binding_key_id == "kid-1"
    assert panel.changes.seal.open(account.sealed_binding_key or b"", account.place).decode() == EAB_KEY

    page = await ada.get("/certificates/1")
    assert "Let’s Encrypt" in page.text and "Order now" in page.text and EAB_KEY not in page.text
    form = await ada.get("/certificates/1/edit")
    assert 'value="Let’s Encrypt"' in form.text and EAB_KEY not in form.text

    assert (await ada.post("/certificates/1/orders")).headers["location"] == "/certificates/1#orders"
    assert ">now</time>" in (await ada.get("/certificates")).text
    due = (await ada_api.get("/api/v1/certificates/1/orders")).json()
    assert (due["why"], due["orders"], due["failures"]) == ("Asked for by ada@example.org.", [], 0)
    assert (await ada_api.post("/api/v1/certificates/1/orders")).status_code == 202
    refused = await ada_api.post("/api/v1/certificates/1/revocation")
    assert (refused.status_code, refused.json()["detail"]) == (409, "There is no certificate to revoke yet.")
    assert "Private key leaked" in (await ada.get("/certificates/1/revoke")).text
    unsaid = await ada.post("/certificates/1/revoke", data={"reason": "boredom"})
    assert unsaid.headers["location"] == "/certificates/1/revoke"
    part = await ada.get("/certificates/1/orders", headers={"hx-request-type": "partial"})
    assert part.text.strip().startswith('<section class="section" id="orders"')


async def test_only_editors_order_and_only_what_an_authority_issues(
    ada_api: Person, vera: Person, vera_api: Person
) -> None:
    made = await ada_api.post(
        "/api/v1/certificates", json={"source": "self_signed", "name": "Own", "names": ["own.example"]}
    )
    assert made.status_code == 201, made.text

    assert (await vera.post("/certificates/1/orders")).status_code == 403
    assert (await vera_api.post("/api/v1/certificates/1/orders")).status_code == 403
    assert (await vera_api.post("/api/v1/certificates/1/revocation")).status_code == 403
    answer = await ada_api.post("/api/v1/certificates/1/orders")
    assert answer.json()["detail"] == "This certificate is not issued by an ACME authority."
    for path in ("orders", "revocation"):
        assert (await ada_api.post(f"/api/v1/certificates/7/{path}")).status_code == 404


def test_every_known_authority_is_found_by_its_name_as_people_type_it() -> None:
    for name, url in AUTHORITIES.items():
        for typed in (name, name.upper(), name.replace("’", "'"), f" {name.replace('’', '')} ", url):
            assert directory(typed) == url
    assert directory("https://ca.internal:9000/acme/acme/directory") == "https://ca.internal:9000/acme/acme/directory"
