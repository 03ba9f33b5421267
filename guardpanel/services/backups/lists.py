"""Entries of address lists in backups."""

import asyncio
import sqlite3
import zlib
from contextlib import closing
from itertools import count
from pathlib import Path

from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.access import contents
from guardpanel.access.entries import Entries, digest_of, ordered
from guardpanel.models import AddressListContent, Ban
from guardpanel.services.backups.sealing import BackupDamaged

TABLE = SQLModel.metadata.tables[str(AddressListContent.__tablename__)]


BANS = SQLModel.metadata.tables[str(Ban.__tablename__)]
"Not restored: what is banned here now stays so. A backup has them, for whoever reads it."


async def restore(session: AsyncSession, path: Path) -> None:
    """Add the backup's contents to those that are here. Raises BackupDamaged (422) if one is not what its hash says."""
    for at in count():
        entries = await asyncio.to_thread(_entries, path, at)
        if entries is None:
            return
        await contents.add(session, entries)


def _entries(path: Path, at: int) -> Entries | None:
    """One at a time: each may have hundreds of thousands."""
    with closing(sqlite3.connect(path)) as database:
        query = "SELECT digest, packed FROM addresslistcontent ORDER BY digest LIMIT 1 OFFSET ?"
        row = database.execute(query, (at,)).fetchone()
    if row is None:
        return None
    try:
        text = zlib.decompress(row[1]).decode()
        entries = Entries.read(text)
    except (TypeError, ValueError, zlib.error):
        raise BackupDamaged("The address lists in this backup are damaged.") from None
    if digest_of(text) != row[0] or ordered(entries.items).text != text:
        raise BackupDamaged("The address lists in this backup are damaged.")
    return entries
