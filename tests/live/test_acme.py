"""Certificates from pebble: names proved by the live HAProxy or by DNS, renewed, and ordered once whatever happens in between."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import requests
from requests.adapters import HTTPAdapter
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.dns_updates import only_itself
from guardpanel.acme.preflight import Caa, Network
from guardpanel.certificates import contents
from guardpanel.certificates.choosing import state_of
from guardpanel.certificates.reading import parse_pem
from guardpanel.engines.tls.handshakes import first_of
from guardpanel.errors import EngineUnavailable, Invalid
from guardpanel.models import AcmePlan, Certificate, CertificateContent
from guardpanel.models.certificates.certificate import CertificateFields
from guardpanel.models.certificates.issuing import RevocationReason
from guardpanel.models.virtual_host import VirtualHostInput
from guardpanel.services import virtual_hosts
from guardpanel.services.https import earlier_certificates
from guardpanel.services.issuing import deeds, orders, plans
from guardpanel.services.issuing.accounts import Accounts, key_of
from guardpanel.services.issuing.checks import NOT_ASKED, Checks
from guardpanel.services.issuing.issuer import Issuer
from guardpanel.services.issuing.orders import OrderLog
from guardpanel.services.issuing.proofs import Proving
from guardpanel.services.issuing.steps import CHANGED
from guardpanel.services.saving import revisions
from guardpanel.services.saving.change import Change
from guardpanel.services.saving.changes import SaveRequest
from tests.acme.authority import KEY_NAME, SECRET, Knot, Pebble
from tests.live.origins import Origin
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.live.tls import leaf
from tests.ports import free_port

pytestmark = pytest.mark.anyio


class Clock:
    """The time of day, and what a test adds to it."""

    ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Issuing:
    """An installation with its worker, which a test drives."""

    def __init__(self, installation: Installation, pebble: Pebble, knot: Knot) -> None:
        self.installation, self.pebble, self.knot, self.clock = installation, pebble, knot, Clock()
        self.changes = installation.changes
        self.unknown: set[str] = set()
        self.caa: dict[str, list[Caa]] = {}
        self.restart()

    def restart(self) -> None:
        """A new worker: what the last one knew is in the database."""
        facts, settings = self.changes.renderer.facts, self.installation.settings
        accounts = Accounts(self.changes.database, self.changes.seal, str(self.pebble.ca_file))
        proving = Proving(settings, self.installation.engines, facts.acme_thumbprint, only_itself)
        port = self.installation.settings.http_binds[0][1]
        network = Network(self.addresses, lambda name: self.caa.get(name, []), port)
        self.issuer = Issuer(self.changes, Checks(accounts, proving, network), self.clock)

    def addresses(self, name: str) -> list[str]:
        return [] if name in self.unknown else ["127.0.0.1"]

    async def add(self, *names: str, **others: Any) -> int:
        fields = CertificateFields.model_validate(
            {
                "name": names[0],
                "source": "acme",
                "names": list(names),
                "authority": self.pebble.url,
                "profile": "default",
            }
            | others
        )

        async def mutate(session: AsyncSession) -> int:
            row = Certificate().replace(fields)
            session.add(row)
            await session.flush()
            return row.id or 0

        return (await self.changes.save(Change(SaveRequest("ada"), "Added", "certificate"), mutate)).value

    async def edit(self, number: int, **changes: Any) -> None:
        async def mutate(session: AsyncSession) -> None:
            row = await session.get_one(Certificate, number)
            for name, value in changes.items():
                setattr(row, name, value)
            row.version += 1

        await self.changes.save(Change(SaveRequest("ada"), "Edited", "certificate", number), mutate)

    async def remove(self, number: int) -> None:
        async def mutate(session: AsyncSession) -> None:
            await session.delete(await session.get_one(Certificate, number))

        await self.changes.save(Change(SaveRequest("ada"), "Deleted", "certificate", number), mutate)

    async def content(self, number: int) -> CertificateContent | None:
        async with self.changes.database.read() as session:
            return await contents.current(session, number)

    async def logs(self, number: int) -> list[OrderLog]:
        async with self.changes.database.read() as session:
            return await orders.logs(session, number)

    async def words(self, number: int) -> list[str]:
        """The steps of the newest order."""
        return [step.words for step in (await self.logs(number))[0].steps]

    async def look_in(self, ahead: timedelta) -> None:
        """As if this time had passed."""
        self.clock.ahead = ahead
        await self.issuer.look()
        self.clock.ahead = timedelta(0)

    async def plan(self, number: int) -> AcmePlan:
        async with self.changes.database.read() as session:
            plan = await plans.plan_of(session, number)
        assert plan is not None
        return plan


@pytest.fixture(scope="module")
def knot() -> Iterator[Knot]:
    with Knot() as server:
        yield server


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def pebble(port: int, knot: Knot) -> Iterator[Pebble]:
    with Pebble(port, knot.port) as server:
        yield server


@pytest.fixture(scope="module")
async def issuing(
    haproxy: str, port: int, pebble: Pebble, knot: Knot, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Issuing]:
    key_file = tmp_path_factory.mktemp("keys") / "acme.key"
    key_file.write_text(f'key "{KEY_NAME}" {{\n\talgorithm hmac-sha256;\n\tsecret "{SECRET}";\n}};\n')
    settings = {
        "http_bind": f"127.0.0.1:{port}",
        "dns_server": f"127.0.0.1:{knot.port}",
        "dns_key_file": str(key_file),
    }
    async with installation_of(haproxy, **settings) as installation:
        yield Issuing(installation, pebble, knot)


async def test_http_names_are_proved_by_haproxy_and_renewed_when_the_authority_says(issuing: Issuing) -> None:
    number = await issuing.add("shop.acme.test", "127.0.0.1")
    await issuing.issuer.look()

    first = await issuing.content(number)
    assert first is not None, await issuing.words(number)
    assert set(first.names) == {"shop.acme.test", "127.0.0.1"}
    words = await issuing.words(number)
    assert words[0] == "Ordering: It was not issued yet."
    assert "The proofs are in place." in words
    assert words[-1].startswith(("Live in", "Saved."))
    assert not [step for step in (await issuing.logs(number))[0].steps if step.is_bad]

    await issuing.issuer.look()
    plan = await issuing.plan(number)
    assert plan.has_window and plan.due_at is not None and plan.why == "The authority suggests it."
    before, now = issuing.pebble.orders(), issuing.clock()
    issuing.pebble.suggest_renewal(first.chain, now - timedelta(hours=2), now - timedelta(hours=1))
    await issuing.look_in(timedelta(hours=7))
    await issuing.issuer.look()

    second = await issuing.content(number)
    assert second is not None and second.serial != first.serial
    assert issuing.pebble.orders() - before == 1
    order = (await issuing.logs(number))[0].order
    assert order.replaces and order.is_issued and order.sealed_key is None and order.ended_at
    async with issuing.changes.database.read() as session:
        summaries = [
            change.summary for change in (await revisions.page(session, noun="certificate", noun_id=number)).items
        ]
    assert summaries[:2] == ["Renewed certificate shop.acme.test", "Issued certificate shop.acme.test"]


async def test_haproxy_answers_challenges_before_everything_else_and_nothing_else(
    issuing: Issuing, server: Origin
) -> None:
    await issuing.add("known.acme.test", names=["known.acme.test"])
    host = a_virtual_host(server.port, hostnames=["known.acme.test", "other.acme.test"], maintenance=True)
    await virtual_hosts.create(issuing.changes, SaveRequest("ada"), host)
    thumbprint = issuing.changes.renderer.facts.acme_thumbprint

    async def ask(path: str, host: str = "known.acme.test") -> httpx2.Response:
        async with httpx2.AsyncClient() as client:
            return await client.get(f"{issuing.installation.proxy}{path}", headers={"host": host})

    answer = await ask("/.well-known/acme-challenge/to-Ken_1", "KNOWN.acme.test:80")
    assert (answer.status_code, answer.text) == (200, f"to-Ken_1.{thumbprint}")
    assert answer.headers["content-type"] == "text/plain" and answer.headers["cache-control"] == "no-store"
    for path in ("a.b", "", "a/b", "%3Cb%3E", "a" * 129, "..%2fx"):
        assert (await ask(f"/.well-known/acme-challenge/{path}")).status_code == 503, path
    assert (await ask("/.well-known/acme-challenge/token", "other.acme.test")).status_code == 503
    assert (await ask("/.well-known/acme-challenge/token", "stranger.acme.test")).status_code == 421


@pytest.mark.one_haproxy
async def test_a_wildcard_is_proved_at_the_dns_server_with_its_key(issuing: Issuing) -> None:
    number = await issuing.add("*.acme.test", "acme.test", challenge="dns-01", profile="shortlived")
    await issuing.issuer.look()

    content = await issuing.content(number)
    assert content is not None, await issuing.words(number)
    assert set(content.names) == {"*.acme.test", "acme.test"}
    assert content.not_after - content.not_before < timedelta(days=7)
    assert not issuing.knot.texts("_acme-challenge.acme.test")

    await issuing.edit(number, names=["*.acme.test"])
    await issuing.issuer.look()
    narrower = await issuing.content(number)
    assert narrower is not None and narrower.names == ["*.acme.test"]


@pytest.mark.one_haproxy
async def test_preflight_keeps_what_would_fail_from_the_authority_until_somebody_insists(issuing: Issuing) -> None:
    before = issuing.pebble.orders()
    issuing.caa["acme.test"] = [Caa("issue", "other.test"), Caa("iodef", "mailto:ada@example.org")]
    issuing.unknown.add("nowhere.acme.test")
    number = await issuing.add("www.acme.test", "nowhere.acme.test")
    await issuing.issuer.look()

    (log,) = await issuing.logs(number)
    assert log.steps[-1].is_bad and log.steps[-1].words == NOT_ASKED
    assert log.steps[-1].detail.splitlines() == [
        "www.acme.test: The CAA records of acme.test allow only other.test to issue.",
        "nowhere.acme.test: The CAA records of acme.test allow only other.test to issue.",
        "nowhere.acme.test: It does not resolve to an address.",
    ]
    assert log.is_open and log.order.next_step_at > issuing.clock() + timedelta(seconds=30)
    found = await deeds.preflight(issuing.issuer, number)
    assert [finding.is_certain for finding in found] == [True, True, False]
    assert issuing.pebble.orders() == before

    await deeds.order_now(issuing.issuer, number, "ada")
    await issuing.issuer.look()
    assert await issuing.content(number), await issuing.words(number)
    assert issuing.pebble.orders() - before == 1
    assert [step.is_bad for step in (await issuing.logs(number))[0].steps].count(True) == 1
    issuing.caa.clear()


@pytest.mark.one_haproxy
async def test_an_order_that_waits_holds_up_no_other_and_ends_with_what_it_is_for(issuing: Issuing) -> None:
    issuing.unknown |= {"shpo.acme.test", "deleted.acme.test", "lost.acme.test"}
    mistyped, deleted, lost = [await issuing.add(f"{name}.acme.test") for name in ("shpo", "deleted", "lost")]
    await issuing.issuer.look()
    assert [(await issuing.words(number))[-1] for number in (mistyped, deleted, lost)] == [NOT_ASKED] * 3

    other = await issuing.add("not-held-up.acme.test")
    await issuing.issuer.look()
    assert await issuing.content(other), await issuing.words(other)

    await issuing.edit(mistyped, names=["mended.acme.test"])
    await issuing.remove(deleted)
    await issuing.issuer.look()
    content = await issuing.content(mistyped)
    assert content is not None and content.names == ["mended.acme.test"], await issuing.words(mistyped)
    for log in ((await issuing.logs(mistyped))[1], (await issuing.logs(deleted))[0]):
        assert not log.is_open and not log.order.is_issued and log.steps[-1].words == CHANGED

    for minutes in (2, 8, 24):
        await issuing.look_in(timedelta(minutes=minutes))
    (log,) = await issuing.logs(lost)
    plan = await issuing.plan(lost)
    assert not log.is_open and [step.words for step in log.steps[1:]] == [NOT_ASKED] * 4
    assert plan.failures == 1 and plan.due_at is not None and plan.due_at > issuing.clock() + timedelta(minutes=45)
    await issuing.remove(lost)


@pytest.mark.one_haproxy
async def test_records_that_never_become_visible_end_the_order_and_hold_up_nothing(issuing: Issuing) -> None:
    """An alias in the zone has no other records: the server takes the update and adds nothing."""
    number = await issuing.add("alias.acme.test", challenge="dns-01")
    looking = asyncio.create_task(issuing.issuer.look())
    async with asyncio.timeout(60):
        while "Proving the names." not in [step.words for log in await issuing.logs(number) for step in log.steps]:
            await asyncio.sleep(0.02)
        other = await issuing.add("beside-alias.acme.test")
        while await issuing.content(other) is None:
            if looking.done():  # The name server was slow to answer, and is asked again in a minute: now.
                issuing.clock.ahead += timedelta(minutes=1)
                looking = asyncio.create_task(issuing.issuer.look())
            await asyncio.sleep(0.02)
    issuing.clock.ahead += timedelta(minutes=11)
    await looking
    issuing.clock.ahead = timedelta(0)

    (log,) = await issuing.logs(number)
    assert not log.is_open and log.steps[-1].words == "The records are not visible after 10 minutes."
    assert log.steps[-1].detail == (
        "127.0.0.1 does not return the TXT record of _acme-challenge.alias.acme.test. "
        "It is an alias of elsewhere.acme.test. Remove the CNAME record, or use a command."
    )
    assert (await issuing.plan(number)).failures == 1
    await issuing.remove(number)


@pytest.mark.one_haproxy
async def test_a_failed_proof_is_told_in_the_authoritys_words_and_tried_again_later(issuing: Issuing) -> None:
    number = await issuing.add("fine.acme.test", "absent.invalid")
    await deeds.order_now(issuing.issuer, number, "ada")
    await issuing.issuer.look()

    log = (await issuing.logs(number))[0]
    assert not log.is_open and not log.order.is_issued and log.order.sealed_key is None
    last = log.steps[-1]
    assert last.is_bad and last.words == "The authority could not connect to a hostname."
    assert last.detail.startswith("absent.invalid: ")
    plan = await issuing.plan(number)
    assert plan.failures == 1 and plan.due_at is not None
    wait = plan.due_at - issuing.clock()
    assert timedelta(minutes=45) < wait < timedelta(minutes=75)
    before = issuing.pebble.orders()
    await issuing.issuer.look()
    assert issuing.pebble.orders() == before
    await issuing.look_in(timedelta(minutes=80))
    assert issuing.pebble.orders() == before + 1
    assert (await issuing.plan(number)).failures == 2
    await issuing.remove(number)


class Instead(HTTPAdapter):
    """Answers in the authority's place, as often as it is told to; then the authority does."""

    def __init__(self, times: int, status: int, body: str, **headers: str) -> None:
        super().__init__()
        self.times, self.status, self.body, self.headers = times, status, body, headers

    def send(self, request: requests.PreparedRequest, *rest: Any, **others: Any) -> requests.Response:
        if self.times <= 0 or request.method != "POST":
            return super().send(request, *rest, **others)
        self.times -= 1
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = self.status, request, str(request.url)
        answer._content = self.body.encode()
        answer.headers.update(
            {"Replay-Nonce": "bm9uY2U", **{name.replace("_", "-"): text for name, text in self.headers.items()}}
        )
        return answer


@pytest.mark.one_haproxy
async def test_rate_limits_and_outages_wait_as_long_as_they_ask_for(issuing: Issuing) -> None:
    before = issuing.pebble.orders()
    number = await issuing.add("limited.acme.test")
    client = await issuing.issuer.accounts.authority(issuing.pebble.url)
    problem = {
        "type": "urn:ietf:params:acme:error:rateLimited",
        "detail": "too many certificates, see …",
        "status": 429,
    }
    headers = {"Content_Type": "application/problem+json", "Retry_After": "90000"}
    client.network.session.mount("https://", Instead(1, 429, json.dumps(problem), **headers))
    await issuing.issuer.look()

    (log,) = await issuing.logs(number)
    assert log.steps[-1].words == "The authority’s rate limit is reached."
    assert log.steps[-1].detail == "too many certificates, see …"
    plan = await issuing.plan(number)
    assert not log.is_open and plan.due_at is not None
    assert timedelta(hours=24) < plan.due_at - issuing.clock() <= timedelta(hours=25)
    await issuing.look_in(timedelta(hours=24))
    assert issuing.pebble.orders() == before
    await issuing.remove(number)

    other = await issuing.add("outage.acme.test")
    client = await issuing.issuer.accounts.authority(issuing.pebble.url)
    client.network.session.mount("https://", Instead(1, 503, "<h1>Down for maintenance</h1>"))
    await issuing.issuer.look()
    (log,) = await issuing.logs(other)
    assert log.is_open and log.steps[-1].detail == "HTTP status 503, with a web page instead of JSON."
    assert log.steps[-1].words == "The address does not answer as an ACME server."
    await issuing.look_in(timedelta(seconds=61))
    assert await issuing.content(other), await issuing.words(other)


@pytest.mark.one_haproxy
async def test_a_restart_after_each_step_goes_on_with_the_same_order_and_key(issuing: Issuing) -> None:
    before, number, keys = issuing.pebble.orders(), await issuing.add("restarted.acme.test"), set()
    await issuing.issuer._plan()
    for _ in range(20):
        issuing.restart()
        ready = await issuing.issuer._ready()
        for row in ready.values():
            keys.add(row.sealed_key)
            await issuing.issuer.steps.advance(row)
        if not ready and not await issuing.issuer._rest():
            break

    content = await issuing.content(number)
    assert content is not None, await issuing.words(number)
    assert issuing.pebble.orders() - before == 1
    assert len(keys - {None}) == 1
    key = contents.key_of(content, issuing.changes.seal)
    assert parse_pem(content.chain, key.decode(), issuing.clock()).fingerprint == content.fingerprint


@pytest.mark.one_haproxy
async def test_what_was_issued_is_put_into_use_later_if_that_fails_and_never_ordered_twice(
    issuing: Issuing, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, number = issuing.pebble.orders(), await issuing.add("later.acme.test")

    async def refuse(*_: object, **__: object) -> None:
        raise EngineUnavailable("HAProxy is not responding.")

    with monkeypatch.context() as patched:
        patched.setattr(issuing.changes.engines, "must_answer", refuse)
        await issuing.issuer.look()
    assert await issuing.content(number) is None
    assert (await issuing.words(number))[-1] == "Not in use yet. HAProxy is not responding."

    await issuing.look_in(timedelta(seconds=61))
    assert await issuing.content(number)
    assert issuing.pebble.orders() - before == 1


@pytest.mark.one_haproxy
async def test_a_virtual_host_is_saved_with_its_certificate_and_redirects_once_that_is_issued(issuing: Issuing) -> None:
    settings = issuing.installation.settings
    http_address, https_address = settings.http_binds[0], settings.https_binds[0]
    given = a_virtual_host(9, hostnames=["begin.plain.acme.test"]).model_dump()
    asked = {
        "https_redirect": True,
        "hsts_seconds": 300,
        "new_certificate": "acme",
        "new_authority": issuing.pebble.url,
    }

    async def status() -> int:
        async with httpx2.AsyncClient(base_url=f"http://{http_address[0]}:{http_address[1]}") as visitor:
            return (await visitor.get("/", headers={"host": "begin.plain.acme.test"})).status_code

    saved = await virtual_hosts.create(
        issuing.changes, SaveRequest("ada"), VirtualHostInput.model_validate(given | asked)
    )
    number = saved.value.certificate_id or 0
    assert await status() == 503, "its server is not there, but it is not redirected"
    before = await asyncio.to_thread(leaf, https_address, "begin.plain.acme.test")

    await issuing.issuer.look()

    content = await issuing.content(number)
    assert content is not None, await issuing.words(number)
    served = await asyncio.to_thread(leaf, https_address, "begin.plain.acme.test")
    assert served == first_of(content.chain.encode()) != before
    assert await status() == 308
    await virtual_hosts.delete(issuing.changes, SaveRequest("ada"), saved.value.id or 0)
    await issuing.remove(number)


@pytest.mark.one_haproxy
async def test_a_revoked_certificate_is_replaced_and_a_forgotten_account_registered_again(issuing: Issuing) -> None:
    number = await issuing.add("revoked.acme.test")
    await issuing.issuer.look()
    first = await issuing.content(number)
    assert first is not None, await issuing.words(number)

    await deeds.revoke(issuing.issuer, number, "ada", RevocationReason.KEY_COMPROMISE)
    assert state_of(await issuing.content(number), datetime.now(UTC)).key == "revoked"
    assert "Revoked" in issuing.pebble.management(f"/cert-status-by-serial/{first.serial}")
    issuing.pebble.stop()
    issuing.pebble.start()  # It has forgotten everybody.
    await issuing.issuer.look()

    second = await issuing.content(number)
    assert second is not None and second.serial != first.serial, await issuing.words(number)
    with pytest.raises(Invalid, match="was revoked"):
        await earlier_certificates.use_again(issuing.changes, SaveRequest("ada"), number, first.id or 0)
    words = await issuing.words(number)
    assert words[0] == "Ordering: Asked for by ada."
    assert "The authority no longer knows the account." in words


@pytest.mark.one_haproxy
async def test_no_key_of_an_order_or_account_is_in_the_database_in_clear(issuing: Issuing) -> None:
    await issuing.add("sealed.acme.test", "absent.invalid")
    await issuing.issuer._plan()
    async with issuing.changes.database.read() as session:
        (row,) = await orders.open_orders(session)
        key = (await key_of(session, issuing.changes.seal)).pem
    own = issuing.changes.seal.open(row.sealed_key or b"", row.place)

    stored = b"".join(path.read_bytes() for path in issuing.installation.settings.data_dir.glob("guardpanel.db*"))
    for secret in (own, key):
        assert secret.startswith(b"-----BEGIN PRIVATE KEY-----")
        lines = secret.splitlines()[1:-1]
        assert not any(line in stored for line in lines)
    assert b"BEGIN CERTIFICATE REQUEST" in stored
