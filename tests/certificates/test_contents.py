"""Contents of certificates: sealed, current, rolled back with their row, wiped."""

import stat
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.client import Binding
from guardpanel.certificates import contents
from guardpanel.certificates.pem import Material
from guardpanel.certificates.reading import parse_pem
from guardpanel.database import Database
from guardpanel.errors import Problem
from guardpanel.models import Certificate, CertificateContent
from guardpanel.models.certificates.certificate import CertificateInput, Source
from guardpanel.sealing import KeyLost, Seal
from tests.certificates.made import NOW, full_chain, leaf

pytestmark = pytest.mark.anyio


@pytest.fixture
def seal(folder: Path) -> Seal:
    return Seal.at(folder / "secret.key")


@pytest.fixture
async def session(data_dir: Path) -> AsyncIterator[AsyncSession]:
    database = Database(f"sqlite+aiosqlite:///{data_dir / 'guardpanel.db'}")
    async with database.write() as writing:
        yield writing
    await database.close()


async def a_certificate(session: AsyncSession, name: str = "shop") -> Certificate:
    row = Certificate(name=name, source=Source.UPLOAD, names=[])
    session.add(row)
    await session.flush()
    return row


async def add(session: AsyncSession, seal: Seal, row: Certificate, *names: str) -> CertificateContent:
    row.touch(row.version + 1)
    return await contents.add_content(session, seal, row, parse_pem(full_chain(*names), leaf(*names).key_pem, NOW))


def test_the_master_key_is_made_once_for_its_owner_only(folder: Path) -> None:
    path = folder / "secret.key"

    seal = Seal.at(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Seal.at(path).key == seal.key == path.read_bytes()
    assert [path.name for path in folder.iterdir()] == ["secret.key"]
    assert Seal.at(folder / "other.key").key != seal.key


def test_a_file_that_is_no_key_is_named(folder: Path) -> None:
    (folder / "short.key").write_bytes(b"abc")

    with pytest.raises(Problem, match=r"short\.key is not a secret key: it has 3 bytes instead of 32"):
        Seal.at(folder / "short.key")
    with pytest.raises(Problem, match="No such file"):
        Seal.at(folder / "missing" / "secret.key")


def test_what_is_sealed_opens_only_at_its_place_with_its_key(seal: Seal, folder: Path) -> None:
    sealed = seal.seal(b"secret", "certificate_content:17")

    assert seal.open(sealed, "certificate_content:17") == b"secret"
    assert b"secret" not in sealed and sealed != seal.seal(b"secret", "certificate_content:17")
    for key, value, place in (
        (seal, sealed, "certificate_content:18"),
        (Seal.at(folder / "other.key"), sealed, "certificate_content:17"),
        (seal, sealed[:-1] + bytes([sealed[-1] ^ 1]), "certificate_content:17"),
        (seal, b"", "certificate_content:17"),
    ):
        with pytest.raises(KeyLost):
            key.open(value, place)


async def test_the_newest_content_is_current_and_its_key_opens(session: AsyncSession, seal: Seal) -> None:
    first, second = await a_certificate(session), await a_certificate(session, "other")
    await add(session, seal, first)
    newer = await add(session, seal, first, "new.example", "*.new.example")
    await add(session, seal, second)

    shop, other = await contents.CurrentContents(seal).of(session)

    assert (shop.certificate_id, other.certificate_id) == (first.id, second.id)
    assert shop.names == ("new.example", "*.new.example") and shop.source is Source.UPLOAD
    assert shop.fingerprint == newer.fingerprint != other.fingerprint
    assert shop.pem == (full_chain(*shop.names) + leaf(*shop.names).key_pem).encode()
    assert b"PRIVATE" not in (newer.sealed_key or b"")
    current = await contents.current(session, first.id or 0)
    assert current is not None and current.id == newer.id
    assert set(await contents.current_of(session, [first.id or 0])) == {first.id}


class WatchedSeal(Seal):
    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        self.opened: list[str] = []

    def open(self, sealed: bytes, place: str) -> bytes:
        self.opened.append(place)
        return super().open(sealed, place)


async def test_contents_are_opened_once_until_something_about_them_changes(session: AsyncSession, seal: Seal) -> None:
    watched = WatchedSeal(seal.key)
    current, row = contents.CurrentContents(watched), await a_certificate(session)
    content = await add(session, seal, row)
    first, (second,) = await current.of(session), await current.of(session)
    assert first == (second,) and watched.opened == [content.place]

    content.revoked_at = NOW
    row.source = Source.ACME
    (changed,) = await current.of(session)
    assert (changed.revoked_at, changed.source, changed.pem) == (NOW, Source.ACME, second.pem)
    other = leaf("other.example")  # As in a restored backup: another one has its id.
    content.chain, content.names = other.pem, ["other.example"]
    content.sealed_key = seal.seal(other.key_pem.encode(), content.place)
    (restored,) = await current.of(session)
    assert restored.pem == (other.pem + other.key_pem).encode() and restored.names == ("other.example",)
    content.sealed_key, content.names = None, ["third.example"]
    assert [(lost.pem, lost.names) for lost in await current.of(session)] == [(b"", ("third.example",))]
    content.names = ["fourth.example"]
    assert [lost.names for lost in await current.of(session)] == [("fourth.example",)]


async def test_no_repr_shows_a_key_or_a_password(session: AsyncSession, seal: Seal) -> None:
    """One `%r` in a log would leak them."""
    await add(session, seal, await a_certificate(session))
    (content,) = await contents.CurrentContents(seal).of(session)
    key, password = leaf("shop.example").key_pem, "hunter2 and more"
    sent = CertificateInput(name="shop", private_key=key, file="AAAA", password=password, eab_key="k" * 16)
    material = Material(b"", key.encode(), (key.encode(),), password)

    texts = [repr(thing) for thing in (content, sent, material, Binding("id", "k" * 16))]

    assert not any(secret in text for text in texts for secret in ("PRIVATE KEY", password, "AAAA", "k" * 16))
    assert "shop.example" in texts[0] and "'shop'" in texts[1]


async def test_another_master_key_leaves_certificates_without_pem(
    session: AsyncSession, seal: Seal, folder: Path
) -> None:
    await add(session, seal, await a_certificate(session))

    (lost,) = await contents.CurrentContents(Seal.at(folder / "other.key")).of(session)

    assert lost.pem == b"" and lost.names == ("shop.example",)


async def test_a_rolled_back_content_gives_way_to_the_one_before(session: AsyncSession, seal: Seal) -> None:
    row = await a_certificate(session)
    before = await add(session, seal, row)
    await add(session, seal, row, "new.example")
    row.version -= 1
    await session.flush()

    await contents.retire_rolled_back(session)

    current = await contents.current(session, row.id or 0)
    assert current is not None and current.id == before.id
    (taken_back,) = (await session.exec(select(CertificateContent).where(CertificateContent.id != before.id))).all()
    await session.refresh(taken_back)
    assert taken_back.sealed_key is None


async def test_replaced_keys_are_wiped_after_a_week_and_deleted_ones_too_unless_undone(
    session: AsyncSession, seal: Seal
) -> None:
    row, deleted, undone = [await a_certificate(session, name) for name in ("row", "deleted", "undone")]
    ids = [(await add(session, seal, owner)).id for owner in (row, row, deleted, undone)]
    undone_id, created_at = undone.id, undone.created_at
    await session.delete(deleted)
    await session.delete(undone)
    await session.flush()

    async def keys(days: float) -> list[bool]:
        await contents.wipe_old(session, NOW + timedelta(days=days))
        rows = [await session.get(CertificateContent, number, populate_existing=True) for number in ids]
        return [row is not None and row.sealed_key is not None for row in rows]

    assert await keys(0) == [True, True, True, True]
    session.add(Certificate(id=undone_id, name="undone", source=Source.UPLOAD, names=[], created_at=created_at))
    await session.flush()
    assert await keys(6.9) == [True, True, True, True]
    assert await keys(7.1) == [False, True, False, True]
    current = await contents.CurrentContents(seal).of(session)
    assert [content.certificate_id for content in current] == [row.id, undone_id]
