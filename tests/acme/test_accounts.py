"""The account key: one for each master key, and none takes another's place."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.client import Authority, Binding
from guardpanel.acme.faults import AuthorityFault, FaultKind
from guardpanel.acme.order import Phase
from guardpanel.database import Database
from guardpanel.models import AcmeAccount, AcmeKey, AcmeOrder, Certificate
from guardpanel.models.certificates.certificate import Source
from guardpanel.sealing import Seal
from guardpanel.services.issuing.accounts import Accounts, account_at, bind, key_of, own_thumbprint
from guardpanel.services.saving.facts import own_thumbprints
from tests.acme.worker import refusal

pytestmark = pytest.mark.anyio

URL = "https://authority.test/dir"

OURS, OTHERS = Seal(b"o" * 32), Seal(b"x" * 32)


@pytest.fixture
async def database(data_dir: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite+aiosqlite:///{data_dir / 'guardpanel.db'}")
    async with opened.write() as session:
        for row in await keys(session):
            await session.delete(row)
    yield opened
    await opened.close()


async def keys(session: AsyncSession) -> list[AcmeKey]:
    return list((await session.exec(select(AcmeKey).order_by("id"))).all())


async def test_a_start_with_another_master_key_loses_no_account(database: Database) -> None:
    own = await own_thumbprint(database, OURS)
    async with database.write() as session:
        (
            await account_at(session, "https://authority.test", await key_of(session, OURS))
        ).url = "https://authority.test/1"

    other = await own_thumbprint(database, OTHERS)

    assert own != other
    assert [await own_thumbprint(database, seal) for seal in (OURS, OTHERS, OURS)] == [own, other, own]
    async with database.write() as session:
        assert len(await keys(session)) == 2
        for seal, url in ((OURS, "https://authority.test/1"), (OTHERS, "")):
            assert (await account_at(session, "https://authority.test", await key_of(session, seal))).url == url


async def test_the_key_from_before_master_keys_were_noted_is_the_one_of_whoever_opens_it(database: Database) -> None:
    own = await own_thumbprint(database, OURS)
    async with database.write() as session:
        (await keys(session))[0].master_key = ""

    other = await own_thumbprint(database, OTHERS)

    assert await own_thumbprint(database, OURS) == own != other
    async with database.write() as session:
        assert [row.master_key for row in await keys(session)] == [OURS.key_id, OTHERS.key_id]


async def test_a_damaged_key_is_made_anew(database: Database) -> None:
    own = await own_thumbprint(database, OURS)
    async with database.write() as session:
        (await keys(session))[0].sealed_key = b"damaged"

    anew = await own_thumbprint(database, OURS)

    assert anew != own
    assert await own_thumbprint(database, OURS) == anew


async def test_only_the_worker_gets_its_own_client_since_none_can_do_two_things_at_a_time(database: Database) -> None:
    url, accounts = "https://authority.test/dir", Accounts(database, OURS, "")
    async with database.write() as session:
        (await account_at(session, url, await key_of(session, OURS))).url = "https://authority.test/1"

    own = await accounts.authority(url)

    assert await accounts.authority(url) is own
    assert (
        len(
            {
                id(own.network),
                *(id(client.network) for client in (await accounts.reader(url), await accounts.another(url))),
            }
        )
        == 3
    )


async def test_the_next_order_registers_with_an_external_account_that_was_entered_meanwhile(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker’s client is kept for many orders."""
    url, registered = "https://authority.test/dir", list[Binding | None]()

    def register(self: Authority, _email: str, binding: Binding | None = None) -> str:
        registered.append(binding)
        self._account_url = "https://authority.test/1"
        return self._account_url

    monkeypatch.setattr(Authority, "register", register)
    accounts, first, second = Accounts(database, OURS, ""), Binding("kid-1", "Zmlyc3Q"), Binding("kid-2", "c2Vjb25k")
    for binding in (first, second):
        async with database.write() as session:
            await bind(session, OURS, url, binding)
        client = await accounts.authority(url)
        assert await accounts.authority(url) is client

    assert registered == [first, second]
    async with database.read() as session:
        account = await account_at(session, url, await key_of(session, OURS))
        assert (account.binding_key_id, account.sealed_binding_key) == ("kid-2", None)


async def with_certificates(database: Database, *contacts: str, others: tuple[str, ...] = ()) -> Accounts:
    """At URL; `others`: those that may be issued there, too. Only one that is uploaded has another address."""
    async with database.write() as session:
        (await account_at(session, URL, await key_of(session, OURS))).url = f"{URL}/1"
        for at, contact in enumerate((*contacts, *others)):
            first, more = (URL, []) if at < len(contacts) else ("https://else.test/dir", [URL])
            row = Certificate(name=f"C{at}", source=Source.ACME, names=["a.test"], authority=first, contact=contact)
            row.other_authorities = more
            session.add(row)
        session.add(
            Certificate(
                name="Elsewhere", source=Source.ACME, names=["b.test"], authority="https://x.test", contact="x@x.test"
            )
        )
        session.add(Certificate(name="Uploaded", source=Source.UPLOAD, names=[], authority=URL, contact="u@x.test"))
    return Accounts(database, OURS, "")


async def test_the_authority_gets_the_email_addresses_of_all_its_certificates_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = list[list[str]]()
    monkeypatch.setattr(Authority, "update_contacts", lambda self, emails: sent.append(emails))
    accounts = await with_certificates(database, "b@a.test", "", "b@a.test", others=("a@a.test",))
    client = await accounts.authority(URL)

    assert await accounts.update_contacts(URL, client) == "Email addresses at the authority: a@a.test, b@a.test."
    assert await accounts.update_contacts(URL, client) == ""
    async with database.write() as session:
        for row in (await session.exec(select(Certificate))).all():
            row.contact = ""
    assert await accounts.update_contacts(URL, client) == "Email addresses at the authority: none."
    assert sent == [["a@a.test", "b@a.test"], []]


async def test_an_email_address_that_is_rejected_is_reported_and_not_sent_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = [
        refusal(FaultKind.UNREACHABLE), refusal(FaultKind.REJECTED, "No.", detail="example.com is not allowed"),
    ]  # fmt: skip

    def refuse(_client: Authority, _emails: list[str]) -> None:
        raise faults.pop(0)

    monkeypatch.setattr(Authority, "update_contacts", refuse)
    accounts = await with_certificates(database, "a@example.com")
    client = await accounts.authority(URL)

    with pytest.raises(AuthorityFault):
        await accounts.update_contacts(URL, client)
    words = "The authority rejected these email addresses: a@example.com. example.com is not allowed"
    assert await accounts.update_contacts(URL, client) == words
    assert await accounts.update_contacts(URL, client) == ""
    assert not faults


async def test_challenges_of_a_name_are_answered_for_orders_that_are_being_proved(database: Database) -> None:
    """Of two orders for a name at authorities with account keys of their own: one that waits holds up no other."""
    async with database.write() as session:
        for at in ("first", "second"):
            url = f"https://{at}.test/dir"
            session.add(AcmeAccount(authority=url, thumbprint=at, sealed_key=b"-", master_key="m"))
            order = AcmeOrder(certificate_id=1, authority=url, names=["a.example"], challenge="http-01")
            session.add(order)
            await session.flush()
        order.phase = Phase.PROVING
    async with database.write() as session:
        assert await own_thumbprints(session, "m") == {"a.example": "second"}
        older = (await session.exec(select(AcmeOrder).order_by(col(AcmeOrder.id)))).first()
        assert older
        older.phase = Phase.ANSWERED
        await session.flush()
        assert await own_thumbprints(session, "m") == {"a.example": "first"}
        older.phase = Phase.FINALIZED
        await session.flush()
        assert await own_thumbprints(session, "m") == {"a.example": "second"}
