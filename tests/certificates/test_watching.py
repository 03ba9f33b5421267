"""Certificates that end: on the dashboard, in the metrics, renewed when they are made here. Keys that nobody can open."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx2
import pytest
from sqlmodel import col, select, update

from guardpanel.certificates.choosing import Choice, best_for, state_of
from guardpanel.certificates.contents import CurrentContent
from guardpanel.errors import NotFound, RolledBack
from guardpanel.models.certificates.certificate import Source
from guardpanel.models.certificates.certificate_content import CertificateContent
from guardpanel.models.certificates.issuing import LETS_ENCRYPT
from guardpanel.models.virtual_host import VirtualHostFields, VirtualHostInput
from guardpanel.panel import Panel
from guardpanel.sealing import Seal
from guardpanel.services import certificates, virtual_hosts
from guardpanel.services.https import certificate_renewals, earlier_certificates
from guardpanel.services.https.certificate_renewals import Pauses
from guardpanel.services.saving.change import Change
from tests.certificates.made import NOW, intermediate, made
from tests.factories import a_vhost

API = "/api/v1/certificates"


class Content(NamedTuple):
    sealed_key: bytes | None
    not_before: datetime
    not_after: datetime
    revoked_at: datetime | None = None


@pytest.mark.anyio
async def test_what_ends_soon_is_on_the_dashboard_and_in_the_metrics(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost(domain="soon.example"))
    for name, days in (("soon.example", (-60, 5.5)), ("later.example", (-1, 60.5)), ("short.example", (-1, 5.5))):
        certificate = made(name, by=intermediate(), days=days)
        body = {"name": name, "certificate": certificate.pem + intermediate().pem, "private_key": certificate.key_pem}
        assert (await ada_api.post(API, json=body)).status_code == 201

    dashboard, metrics = (await ada.get("/")).text, (await ada.get("/metrics")).text

    section = dashboard.partition("Certificates that need attention")[2].partition("</section>")[0]
    assert "soon.example" in section and "5 days left" in section and "later.example" not in section
    assert "short.example" not in section
    assert 'guardpanel_certificate_not_after_timestamp_seconds{certificate="later.example",id="2"}' in metrics
    assert 'href="/certificates/1"' in (await ada.get("/virtual-hosts/1")).text


@pytest.mark.anyio
async def test_virtual_hosts_whose_certificate_visitors_reject_are_first_on_the_dashboard(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    for name, days in (("soon.example", 5.5), ("good.example", 60.5), ("tomorrow.example", 1.5)):
        certificate = made(name, by=intermediate(), days=(-60, days))
        body = {
            "name": f"of {name}",
            "certificate": certificate.pem + intermediate().pem,
            "private_key": certificate.key_pem,
        }
        assert (await ada_api.post(API, json=body)).status_code == 201
    for names in (["good.example"], ["soon.example", "tomorrow.example"], ["good.example.test", "192.0.2.1"]):
        host = a_vhost(names[0], hostnames=names, ssl_enabled=True, save_anyway=True)
        assert (await ada_api.post("/api/v1/vhosts", json=host)).status_code == 201
    awaited = {"name": "awaited", "source": "acme", "names": ["new.example"], "authority": LETS_ENCRYPT}
    saved = await ada_api.post(API, json=awaited)
    assert (saved.status_code, saved.json()["state"]) == (201, "missing"), saved.text
    await ada_api.post("/api/v1/vhosts", json=a_vhost("new.example", ssl_enabled=True))
    await ada_api.post("/api/v1/vhosts", json=a_vhost("plain.example"))

    text = re.sub(r"<[^>]+>|\s+", " ", (await ada.get("/")).text)
    section = " ".join(text.partition("HTTPS that needs attention")[2].partition("View all")[0].split())

    assert section.startswith(
        "3 good.example.test No certificate soon.example tomorrow.example 1 day left new.example No certificate yet"
    )
    assert "of tomorrow.example" not in text, "it is named with its virtual host"
    others = text.partition("Certificates that need attention")[2].partition("Engines")[0]
    assert "awaited" not in others, "so is the one that is being ordered"


@pytest.mark.anyio
async def test_the_deletion_of_a_virtual_host_names_the_certificates_that_are_renewed_for_no_other(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    async def named() -> list[str]:
        page = (await ada.get("/virtual-hosts/1/delete")).text
        return re.findall(r"No other virtual host uses the ACME certificate <a href=\"(/certificates/\d+)\"", page)

    await ada_api.post("/api/v1/vhosts", json=a_vhost("shop.example", ssl_enabled=True))
    for source in ("self_signed", "acme"):
        body = {"name": source, "source": source, "names": ["shop.example", "other.example"]}
        more = {"authority": LETS_ENCRYPT} if source == "acme" else {}
        assert (await ada_api.post(API, json=body | more)).status_code == 201
    assert await named() == [], "it gets the self-signed one"

    await ada_api.patch("/api/v1/vhosts/1", json={"certificate_id": 2, "save_anyway": True})
    assert await named() == ["/certificates/2"]
    await ada_api.post("/api/v1/vhosts", json=a_vhost("other.example"))
    chosen = await ada_api.patch("/api/v1/vhosts/2", json={"certificate_id": 2, "save_anyway": True})
    assert chosen.status_code == 200 and await named() == [], chosen.text


@pytest.mark.anyio
async def test_a_virtual_host_shows_what_https_lacks(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel
) -> None:
    servers = [{"address": "192.0.2.1"}]
    given = {
        "hostnames": ["shop.example"],
        "servers": servers,
        "https": True,
        "https_redirect": True,
        "save_anyway": True,
    }
    await virtual_hosts.create(panel.changes, certificate_renewals.AUTHOR, VirtualHostInput.model_validate(given))

    uncovered = (await ada.get("/virtual-hosts/1")).text
    await ada_api.post(API, json={"name": "old", "source": "self_signed", "names": ["shop.example"]})
    async with panel.database.write() as session:
        await session.exec(update(CertificateContent).values(not_after=datetime.now(UTC) - timedelta(days=1.5)))
    expired = (await ada.get("/virtual-hosts/1")).text
    await ada_api.post(API, json={"name": "new", "source": "self_signed", "names": ["shop.example"]})
    valid = (await ada.get("/virtual-hosts/1")).text

    lack = "without a valid"
    assert lack in uncovered and "and HTTP redirects to it" in uncovered
    assert lack in expired and "Expired 1 day ago" in expired and 'href="/certificates/1"' in expired
    assert lack not in valid and 'href="/certificates/2"' in valid


@pytest.mark.anyio
async def test_what_is_made_here_is_renewed_before_it_ends(ada_api: httpx2.AsyncClient, panel: Panel) -> None:
    for source in ("local_ca", "self_signed"):
        await ada_api.post(
            API, json={"name": source, "source": source, "names": [f"{source.replace('_', '-')}.example"]}
        )

    async def serials(days: float) -> dict[str, str]:
        """After a look on a later day."""
        await certificate_renewals.renew(panel.changes, datetime.now(UTC) + timedelta(days=days), Pauses())
        return {row["name"]: row["serial"] for row in (await ada_api.get(API)).json()["items"]}

    before = await serials(59.5)
    by_ca = await serials(60.5)
    assert by_ca["self_signed"] == before["self_signed"] and by_ca["local_ca"] != before["local_ca"]
    assert (await serials(243.5))["self_signed"] == before["self_signed"]
    assert (await serials(244.5))["self_signed"] != before["self_signed"]
    by_ca_days, own_days = ((row.not_after - row.not_before).days for row in await first_two(panel))
    assert (by_ca_days, own_days) == (90, 366), "as Mozilla's profiles allow at most"


async def first_two(panel: Panel) -> Sequence[CertificateContent]:
    """Contents of the certificates 1 and 2."""
    query = (
        select(CertificateContent)
        .where(col(CertificateContent.certificate_id) > 0)
        .order_by(col(CertificateContent.id))
    )
    async with panel.database.read() as session:
        return (await session.exec(query.limit(2))).all()


@pytest.mark.anyio
async def test_a_renewal_that_fails_waits_and_keeps_no_other_from_its_own(
    ada_api: httpx2.AsyncClient, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        await ada_api.post(API, json={"name": name, "source": "self_signed", "names": [f"{name}.example"]})
    before = [row["serial"] for row in (await ada_api.get(API)).json()["items"]]
    save, tried, pauses = panel.changes.save, [], Pauses()

    async def refuse_the_first(change: Change, *others: Any, **more: Any) -> Any:
        tried.append(change.noun_id)
        if change.noun_id == 1:
            raise RolledBack("HAProxy could not load this.", steps=(), evidence="")
        return await save(change, *others, **more)

    monkeypatch.setattr(panel.changes, "save", refuse_the_first)
    now = datetime.now(UTC) + timedelta(days=270)
    for hours in (0, 0.9, 1.1, 2, 3.2):
        await certificate_renewals.renew(panel.changes, now + timedelta(hours=hours), pauses)
    monkeypatch.undo()
    await certificate_renewals.renew(panel.changes, now + timedelta(hours=8), pauses)

    after = [row["serial"] for row in (await ada_api.get(API)).json()["items"]]
    assert tried[:2] == [1, 2] and tried.count(1) == 3
    assert not set(after) & set(before) and pauses == Pauses()


@pytest.mark.anyio
@pytest.mark.parametrize("is_used_again", [False, True])
async def test_an_edit_is_not_taken_back_by_a_renewal_that_waited_for_it(
    ada_api: httpx2.AsyncClient, panel: Panel, monkeypatch: pytest.MonkeyPatch, is_used_again: bool
) -> None:
    await ada_api.post(API, json={"name": "intra", "source": "self_signed", "names": ["intra.example"]})
    save = panel.changes.save

    async def save_behind_an_edit(*change: Any, **others: Any) -> Any:
        monkeypatch.undo()
        assert (await ada_api.patch(f"{API}/1", json={"notes": "Ask Vera"})).status_code == 200
        return await save(*change, **others)

    monkeypatch.setattr(panel.changes, "save", save_behind_an_edit)
    if is_used_again:
        await earlier_certificates.use_again(panel.changes, certificate_renewals.AUTHOR, 1, 1)
    else:
        await certificates.renew(panel.changes, certificate_renewals.AUTHOR, 1)

    row = (await ada_api.get(f"{API}/1")).json()
    assert (row["notes"], row["version"]) == ("Ask Vera", 3)


@pytest.mark.anyio
async def test_what_an_earlier_certificate_with_the_same_id_was_is_not_used_again(
    ada_api: httpx2.AsyncClient, panel: Panel
) -> None:
    """A backup from another machine brings such contents."""
    await ada_api.post(API, json={"name": "intra", "source": "self_signed", "names": ["intra.example"]})
    await ada_api.patch(f"{API}/1", json={"names": ["new.example"]})
    async with panel.database.write() as session:
        theirs = update(CertificateContent).where(col(CertificateContent.id) == 1)
        await session.exec(theirs.values(certificate_created_at=datetime.now(UTC) - timedelta(days=9)))

    with pytest.raises(NotFound):
        await earlier_certificates.use_again(panel.changes, certificate_renewals.AUTHOR, 1, 1)

    assert (await ada_api.get(f"{API}/1")).json()["covers"] == ["new.example"]


@pytest.mark.anyio
async def test_hostnames_get_another_certificate_when_theirs_expires_or_a_better_one_begins(
    ada_api: httpx2.AsyncClient, panel: Panel
) -> None:
    host = {"hostnames": ["a.shop.example"], "servers": [{"address": "127.0.0.1:80"}], "policy_id": 1, "https": True}
    await virtual_hosts.create(panel.changes, certificate_renewals.AUTHOR, VirtualHostFields.model_validate(host))
    for name, days in (("*.shop.example", (-1, 80)), ("a.shop.example", (-1, 20)), ("a.shop.example", (10, 90))):
        certificate = made(name, by=intermediate(), days=days)
        body = {
            "name": f"{name} {days}",
            "certificate": certificate.pem + intermediate().pem,
            "private_key": certificate.key_pem,
        }
        assert (await ada_api.post(API, json=body | {"save_anyway": True})).status_code == 201

    async def chosen(days: float, pauses: Pauses, **shifts: Any) -> tuple[str, int | None]:
        """After a look on a later day. `shifts`: what the database says then, as its clock is this machine's."""
        if shifts:
            async with panel.database.write() as session:
                number = shifts.pop("number")
                await session.exec(
                    update(CertificateContent).where(col(CertificateContent.certificate_id) == number).values(**shifts)
                )
        await certificate_renewals._choose_again(panel.changes, NOW + timedelta(days=days), pauses)
        releases = panel.engines.releases
        return (releases.link / "crt-list.txt").read_text().splitlines()[-1].split()[0], releases.current_number()

    pauses = Pauses()
    first, number = await chosen(5, pauses)
    assert first == "certs/2.pem"
    panel.engines.fail("verify")  # type: ignore[attr-defined]
    yesterday = NOW - timedelta(days=1)
    assert await chosen(11, pauses, number=3, not_before=yesterday) == (first, number)
    panel.engines.fail(None)  # type: ignore[attr-defined]
    assert await chosen(11, pauses) == (first, number), "it waits after a failure"
    better, later = await chosen(11.5, pauses)
    assert better == "certs/3.pem" and later != number
    assert await chosen(5, pauses) == (better, later), "nothing is due"
    assert (await chosen(95, pauses, number=3, not_after=yesterday))[0] == "certs/2.pem"


@pytest.mark.anyio
async def test_one_that_is_not_valid_yet_does_not_replace_a_valid_one(ada_api: httpx2.AsyncClient) -> None:
    def body(*days: float) -> dict[str, object]:
        certificate = made("shop.example", by=intermediate(), days=(days[0], days[1]))
        pem = certificate.pem + intermediate().pem
        return {"name": "shop", "certificate": pem, "private_key": certificate.key_pem, "save_anyway": True}

    serial = (await ada_api.post(API, json=body(-1, 80))).json()["serial"]

    refused = await ada_api.patch(f"{API}/1", json=body(3, 90))

    assert refused.status_code == 422
    assert "would replace one that is valid now" in refused.text and '"certificate"' in refused.text
    assert (await ada_api.get(f"{API}/1")).json()["serial"] == serial


@pytest.mark.anyio
async def test_another_master_key_is_said_on_every_page(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel
) -> None:
    await ada_api.post(API, json={"name": "intra", "source": "self_signed", "names": ["intra.example"]})
    panel.changes.seal = Seal(bytes(32))

    await certificate_renewals._look(panel.changes, Pauses())

    assert "the secret key file is not the one they were sealed with" in panel.changes.watch.keys
    assert "Private keys can’t be read" in (await ada.get("/policies")).text


@pytest.mark.parametrize(
    ("days", "key", "words"),
    [
        (22.5, "valid", "22 days left"),
        (20.5, "expiring", "20 days left"),
        (1.5, "expiring", "1 day left"),
        (0.21, "expiring", "5 hours left"),
        (-1.5, "expired", "Expired 1 day ago"),
    ],
)
def test_states(days: float, key: str, words: str) -> None:
    content = Content(b"x", NOW - timedelta(days=90), NOW + timedelta(days=days))

    assert (state_of(content, NOW).key, state_of(content, NOW).words) == (key, words)


def test_the_best_certificate_is_valid_then_not_revoked_then_exact_then_acme_then_the_longest() -> None:
    def offer(
        number: int, name: str, source: Source = Source.UPLOAD, days: float = 30, revoked: datetime | None = None
    ) -> CurrentContent:
        begin, end = NOW - timedelta(days=99), NOW + timedelta(days=days)
        return CurrentContent(number, source, (name,), begin, end, "", "", b"", revoked)

    ranked = [
        offer(1, "a.example", Source.ACME),
        offer(2, "a.example", days=60),
        offer(3, "a.example"),
        offer(4, "a.example", Source.LOCAL_CA),
        offer(5, "a.example", Source.SELF_SIGNED),
        offer(6, "*.example", Source.ACME),
        offer(7, "a.example", Source.ACME, revoked=NOW),
        offer(8, "a.example", Source.ACME, days=-1),
        offer(9, "a.example", Source.ACME, days=-1, revoked=NOW),
    ]
    for start in range(len(ranked)):
        best = best_for("a.example", reversed(ranked[start:]), NOW)
        assert best is not None and best.certificate_id == start + 1
    assert best_for("b.other", ranked, NOW) is None


@pytest.mark.parametrize(
    ("lifetime", "days", "tone"),
    [
        (6.7, 6.6, "ok"),
        (6.7, 1.5, "warn"),
        (6.7, 0.4, "bad"),
        (45, 10.4, "warn"),
        (45, 10.6, "ok"),
        (90, 20.9, "warn"),
        (90, 6.9, "bad"),
        (365, 22, "ok"),
        (365, 6.9, "bad"),
    ],
)
def test_a_short_life_is_announced_by_its_share(lifetime: float, days: float, tone: str) -> None:
    end = NOW + timedelta(days=days)

    assert state_of(Content(b"x", end - timedelta(days=lifetime), end), NOW).tone == tone


def a_content(number: int, *names: str, days: float = 30, revoked: datetime | None = None) -> CurrentContent:
    begin, end = NOW - timedelta(days=99), NOW + timedelta(days=days)
    return CurrentContent(number, Source.UPLOAD, names, begin, end, "", "", b"", revoked)


def test_a_chosen_certificate_is_served_where_it_covers_the_hostname_and_is_valid() -> None:
    best, chosen, expired = a_content(1, "a.example"), a_content(2, "*.example"), a_content(3, "a.example", days=-1)
    revoked = a_content(5, "a.example", revoked=NOW)
    choice = Choice([best, chosen, expired, revoked], NOW)

    assert choice.of("a.example") is best
    assert choice.of("a.example", 2) is chosen
    assert choice.of("a.example", 3) is best, "it expired"
    assert choice.of("a.example", 4) is best, "it has no content yet"
    assert choice.of("a.example", 5) is best, "it is revoked"
    assert choice.of("a.other", 2) is None, "it does not cover this one"
    assert Choice([expired], NOW).of("a.example") is expired, "nothing else is better"


def test_handshakes_without_a_name_get_the_chosen_certificate_or_that_of_most_addresses() -> None:
    shop, two, more = a_content(1, "shop.example"), a_content(2, "192.0.2.1"), a_content(3, "192.0.2.2", "192.0.2.3")
    choice = Choice([shop, two, more], NOW)
    served = {name: choice.of(name) for name in ("shop.example", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")}

    assert choice.without_a_name(served) is more
    assert choice.without_a_name(served, 1) is shop
    assert choice.without_a_name(served, 9) is more, "it has no content yet"
    assert choice.without_a_name({"shop.example": shop}) is None
