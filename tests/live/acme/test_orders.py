"""Orders that wait, fail or are interrupted: ordered once whatever happens, and put into use."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import requests
from requests.adapters import HTTPAdapter
from sqlmodel import col, select

from guardpanel.certificates import contents
from guardpanel.certificates.reading import parse_pem
from guardpanel.engines.tls.handshakes import first_of
from guardpanel.errors import Conflict, EngineUnavailable
from guardpanel.models import AcmeAccount
from guardpanel.models.virtual_host import VirtualHostInput
from guardpanel.services import virtual_hosts
from guardpanel.services.issuing import deeds
from guardpanel.services.issuing.checks import NOT_ASKED
from guardpanel.services.issuing.steps import CHANGED
from guardpanel.services.saving.changes import SaveRequest
from tests.live.acme.issuing import Issuing
from tests.live.saves import a_virtual_host
from tests.live.tls import leaf

pytestmark = pytest.mark.anyio


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
    issuing.restart()
    async with asyncio.timeout(120):
        while (ready := await issuing.issuer._ready()) or await issuing.issuer._rest():
            for row in ready.values():
                keys.add(row.sealed_key)
                await issuing.issuer.steps.advance(row)
            issuing.restart()

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
    questions = {
        "https_redirect": True,
        "hsts_seconds": 300,
        "new_certificate": "acme",
        "new_authority": issuing.pebble.url,
    }

    async def status() -> int:
        async with httpx2.AsyncClient(base_url=f"http://{http_address[0]}:{http_address[1]}") as visitor:
            return (await visitor.get("/", headers={"host": "begin.plain.acme.test"})).status_code

    saved = await virtual_hosts.create(
        issuing.changes, SaveRequest("ada"), VirtualHostInput.model_validate(given | questions)
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
async def test_an_account_that_the_authority_closed_is_registered_anew_with_a_key_of_its_own(issuing: Issuing) -> None:
    number = await issuing.add("anew.acme.test")
    await issuing.issuer.look()
    first = await issuing.content(number)
    with pytest.raises(Conflict, match="No authority has closed"):
        await deeds.register_anew(issuing.issuer, number, "ada")
    client = await issuing.issuer.accounts.authority(issuing.pebble.url)
    before = client.account_url
    with client._asking() as at_pebble:
        assert client.network.account
        at_pebble.deactivate_registration(client.network.account)

    await deeds.order_now(issuing.issuer, number, "ada")
    await issuing.issuer.look()
    (log, _) = await issuing.logs(number)
    assert log.state == "failed"
    assert (
        log.steps[-1].words
        == "The account at this authority is deactivated. Register a new account on the certificate’s page."
    )
    await deeds.register_anew(issuing.issuer, number, "ada")
    with pytest.raises(Conflict, match="No authority has closed"):
        await deeds.register_anew(issuing.issuer, number, "ada")
    await issuing.issuer.look()

    second = await issuing.content(number)
    assert first and second and second.serial != first.serial, await issuing.words(number)
    issuing.restart()
    other = await issuing.add("anew-too.acme.test")
    await issuing.issuer.look()
    assert await issuing.content(other), await issuing.words(other)
    async with issuing.changes.database.read() as session:
        old, new = (await session.exec(select(AcmeAccount).order_by(col(AcmeAccount.id)))).all()
    assert (old.url, new.url != before) == (before, True) and old.retired_at and new.sealed_key
    assert old.thumbprint == issuing.changes.renderer.facts.acme_thumbprint != new.thumbprint
