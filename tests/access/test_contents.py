"""Contents of address lists in the database: stored as what changed, read back as a whole, and kept as long as others need them."""

import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlmodel import col, delete, select

from guardpanel.access import contents
from guardpanel.access.contents import Damaged
from guardpanel.access.entries import Entries, Entry, ordered, with_added, without
from guardpanel.database import Database
from guardpanel.kept import Kept
from guardpanel.models import AddressList, AddressListContent
from guardpanel.services.access.list_contents import ListContents

pytestmark = pytest.mark.anyio

LONG = ordered(Entry(f"10.0.{at // 200}.{at % 200}", comment="a scanner") for at in range(1000))
EDITED = with_added(
    without(LONG, ["10.0.0.3", "10.0.4.9"]), [Entry("192.0.2.7", 4_000_000_000, "Ada’s"), Entry("2001:db8::/32")]
)


@pytest.fixture
async def database(data_dir: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite+aiosqlite:///{data_dir / 'guardpanel.db'}")
    yield opened
    await opened.close()


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a start."""
    monkeypatch.setattr(contents, "_parsed", Kept[Entries](0, lambda entries: len(entries.text)))


async def store(database: Database, *several: Entries) -> None:
    async with database.write() as session:
        for entries in several:
            await contents.add(session, entries)


async def stored(database: Database) -> dict[str, AddressListContent]:
    async with database.read() as session:
        return {row.digest: row for row in (await session.exec(select(AddressListContent))).all()}


async def test_what_changed_is_stored_alone_and_read_back_as_a_whole(database: Database) -> None:
    more = with_added(EDITED, [Entry("192.0.2.8")])

    await store(database, LONG, EDITED, more)

    rows = await stored(database)
    assert [rows[one.reference.digest].since for one in (EDITED, more)] == [LONG.reference.digest] * 2
    assert max(len(rows[one.reference.digest].packed) for one in (EDITED, more)) < 150
    async with database.read() as session:
        for entries in (LONG, EDITED, more):
            read = await contents.read(session, entries.reference.digest)
            assert (read.items, read.text, read.map) == (
                entries.items,
                Entries(entries.items).text,
                Entries(entries.items).map,
            )
    again, unread = (with_added(one, [Entry("192.0.2.9")]) for one in (read, more))
    assert again.since == unread.since is not None


async def test_changes_of_what_is_not_stored_as_a_whole_are_stored_as_a_whole(database: Database) -> None:
    await store(database, EDITED)
    assert [row.since for row in (await stored(database)).values()] == [""]

    whole = Entries(EDITED.items)
    await store(database, LONG, whole)
    pasted = with_added(Entries(EDITED.items), [Entry("192.0.2.9")])
    await store(database, pasted)
    assert (await stored(database))[pasted.reference.digest].since == EDITED.reference.digest


async def test_nothing_is_made_of_changes_of_changes(database: Database) -> None:
    await store(database, LONG, EDITED)
    pasted = with_added(Entries(EDITED.items), [Entry("192.0.2.9")])

    await store(database, pasted)

    assert (await stored(database))[pasted.reference.digest].since == ""


async def test_what_others_were_made_of_is_deleted_after_them(database: Database) -> None:
    async def leave_room() -> None:
        return

    await store(database, LONG, EDITED)
    async with database.write() as session:
        session.add(AddressList(name="Kept out", content=EDITED.reference.text))
    tidied = ListContents(database)
    for _ in range(3):
        await tidied.tidy(leave_room)
    assert len(await stored(database)) == 2

    async with database.write() as session:
        await session.exec(delete(AddressList).where(col(AddressList.name) == "Kept out"))
    for left in (1, 0):
        await tidied.tidy(leave_room)
        assert len(await stored(database)) == left


@pytest.mark.parametrize(
    "packed", [b"", zlib.compress(b"10.0.0.4\n"), zlib.compress(b"192.0.2.7\tx\t\n"), zlib.compress(b"x\n")]
)
async def test_damaged_changes_are_never_read(database: Database, packed: bytes) -> None:
    await store(database, LONG, EDITED)
    async with database.write() as session:
        row = (await stored(database))[EDITED.reference.digest]
        row.packed = packed
        session.add(row)

    async with database.read() as session:
        with pytest.raises(Damaged):
            await contents.read(session, EDITED.reference.digest)
