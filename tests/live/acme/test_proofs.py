"""Names proved by the live HAProxy or by DNS, renewed, and told where a proof fails."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from guardpanel.acme.preflight import Caa
from guardpanel.certificates.choosing import state_of
from guardpanel.errors import Invalid
from guardpanel.models.certificates.issuing import RevocationReason
from guardpanel.services import virtual_hosts
from guardpanel.services.https import earlier_certificates
from guardpanel.services.issuing import deeds, orders
from guardpanel.services.issuing.accounts import key_of
from guardpanel.services.issuing.checks import NOT_ASKED
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import SaveRequest
from tests.live.acme.issuing import Issuing
from tests.live.origins import Origin
from tests.live.saves import a_virtual_host

pytestmark = pytest.mark.anyio


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
    (words,) = (await issuing.issuer.checks.proving.faults_of_own(["known.acme.test"], "another")).values()
    assert words.endswith("challenges for known.acme.test with the key of another account, whose order comes first.")


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
    findings = await deeds.preflight(issuing.issuer, number)
    assert [finding.is_certain for finding in findings] == [True, True, False]
    assert issuing.pebble.orders() == before

    await deeds.order_now(issuing.issuer, number, "ada")
    await issuing.issuer.look()
    assert await issuing.content(number), await issuing.words(number)
    assert issuing.pebble.orders() - before == 1
    assert [step.is_bad for step in (await issuing.logs(number))[0].steps].count(True) == 1
    issuing.caa.clear()
    number = await issuing.add("profile.acme.test", profile="best")
    with pytest.raises(Invalid) as refused:
        await deeds.preflight(issuing.issuer, number)
    assert refused.value.errors["profile"].message.startswith(
        "The authority does not offer the profile best. It offers:"
    )


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


@pytest.mark.one_haproxy
async def test_a_revoked_certificate_is_replaced_and_a_forgotten_account_registered_again(issuing: Issuing) -> None:
    number = await issuing.add("revoked.acme.test")
    await issuing.issuer.look()
    first = await issuing.content(number)
    assert first is not None, await issuing.words(number)
    await issuing.issuer.look()
    assert (await issuing.plan(number)).has_window  # Its successor names it, and the authority will not know it.

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
    number = await issuing.add("sealed.acme.test", "absent.invalid")
    await issuing.issuer._plan()
    async with issuing.changes.database.read() as session:
        row = next(row for row in await orders.open_orders(session) if row.certificate_id == number)
        key = (await key_of(session, issuing.changes.seal)).pem
    own = issuing.changes.seal.open(row.sealed_key or b"", row.place)

    stored = b"".join(path.read_bytes() for path in issuing.installation.settings.data_dir.glob("guardpanel.db*"))
    for secret in (own, key):
        assert secret.startswith(b"-----BEGIN PRIVATE KEY-----")
        lines = secret.splitlines()[1:-1]
        assert not any(line in stored for line in lines)
    assert b"BEGIN CERTIFICATE REQUEST" in stored
