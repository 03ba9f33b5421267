"""The account key: one for each master key, and none takes another's place."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.client import Authority, Binding
from guardpanel.database import Database
from guardpanel.models import AcmeKey
from guardpanel.sealing import Seal
from guardpanel.services.issuing.accounts import Accounts, account_at, bind, key_of, own_thumbprint

pytestmark = pytest.mark.anyio

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
