"""Entries of long lists in backups: each with what it was made of."""

import sqlite3
import zlib
from contextlib import closing
from hashlib import sha256

import pytest
from sqlmodel import select

from guardpanel.models import AddressListContent
from guardpanel.models.access.address_list import AddressListInput
from guardpanel.panel import Panel
from guardpanel.services import address_lists
from guardpanel.services.access.list_edits import adding
from guardpanel.services.backups import restores
from guardpanel.services.backups.sealing import BackupDamaged
from guardpanel.services.saving.changes import SaveRequest
from tests.conftest import ADA
from tests.services.backups.test_backups import backup, restored, taken

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("cheap")]


async def long_list(panel: Panel) -> None:
    entries = "\n".join(f"198.51.{at // 200}.{at % 200}" for at in range(1000))
    await address_lists.create(panel.changes, SaveRequest(ADA), AddressListInput(name="Long", entries=entries))
    for at in range(2):
        await address_lists.ROWS.edit(panel.changes, SaveRequest(ADA), 1, adding(f"203.0.113.{at}"))


async def stored(panel: Panel) -> set[tuple[str, str, bytes]]:
    async with panel.database.read() as session:
        columns = select(AddressListContent.digest, AddressListContent.since, AddressListContent.packed)
        return set((await session.exec(columns)).all())


async def test_what_is_stored_as_changes_is_restored_as_changes(panel: Panel, other: Panel) -> None:
    await long_list(panel)

    await restored(other, await backup(panel))

    assert await stored(other) == await stored(panel)
    assert sorted(bool(since) for _, since, _ in await stored(other)) == [False, True, True]
    async with other.database.read() as session:
        row = await address_lists.find(session, 1)
        assert (await address_lists.entries_page(session, row, q="203.0.113.")).total == 2


async def test_changes_of_what_a_backup_lacks_are_damaged(panel: Panel, other: Panel) -> None:
    await long_list(panel)
    candidate = await taken(other, await backup(panel))
    with closing(sqlite3.connect(candidate.database)) as database, database:
        database.execute("DELETE FROM addresslistcontent WHERE since = ''")

    with pytest.raises(BackupDamaged, match="The address lists in this backup are damaged"):
        await restores.restore(other.changes, SaveRequest(ADA), candidate)


async def test_a_backup_with_entries_that_are_none_is_damaged(panel: Panel, other: Panel) -> None:
    await long_list(panel)
    candidate = await taken(other, await backup(panel))
    text = b"shop.example\t0\t\n"
    with closing(sqlite3.connect(candidate.database)) as database, database:
        row = sha256(text).hexdigest(), 1, "", zlib.compress(text), "2026-01-01 00:00:00"
        database.execute("INSERT INTO addresslistcontent VALUES (?, ?, ?, ?, ?)", row)

    with pytest.raises(BackupDamaged, match="The address lists in this backup are damaged"):
        await restores.restore(other.changes, SaveRequest(ADA), candidate)
