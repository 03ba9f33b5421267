"""Private keys in backups: with a passphrase, sealed, and the master key goes into the encrypted stream. Without one, there are
none."""

import base64
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlmodel import SQLModel, col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.certificates import contents
from guardpanel.models import (
    AcmeAccount,
    AcmeKey,
    AcmeOrder,
    AcmePlan,
    AcmeStep,
    Certificate,
    CertificateContent,
    ListDownload,
)
from guardpanel.models.access.feed import key_place
from guardpanel.models.site_login import place as login_place
from guardpanel.sealing import KEY, KeyLost, Seal

TABLE = SQLModel.metadata.tables[str(CertificateContent.__tablename__)]


LEFT_OUT = tuple(
    SQLModel.metadata.tables[str(model.__tablename__)]
    for model in (AcmeStep, AcmeOrder, AcmePlan, AcmeAccount, AcmeKey, ListDownload)
)
"Orders and accounts at ACME authorities, and downloads: another machine makes its own, at no cost."


def leave_out(path: Path, *, keeps_keys: bool) -> None:
    """From the copy of a database: what another machine makes for itself, and private keys unless the backup is encrypted."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA secure_delete = ON")
        for table in LEFT_OUT:
            database.execute(f"DELETE FROM {table.name}")  # noqa: S608
        if not keeps_keys:
            database.execute("UPDATE certificatecontent SET sealed_key = NULL")
            database.execute("UPDATE feed SET sealed_key = NULL")
            database.execute("UPDATE sitelogin SET sealed = ''")


def take_over(path: Path, key: bytes, seal: Seal) -> None:
    """In a backup's database: seal its private keys with our master key in place of its own. Without that, they are lost."""
    theirs = Seal(key) if len(key) == KEY else None
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA secure_delete = ON")
        sealed = database.execute("SELECT id, sealed_key FROM certificatecontent WHERE sealed_key NOT NULL").fetchall()
        for number, sealed_key in sealed:
            place = f"certificate_content:{number}"
            database.execute(
                "UPDATE certificatecontent SET sealed_key = ? WHERE id = ?",
                (_resealed(sealed_key, place, theirs, seal), number),
            )
        feeds = database.execute("SELECT id, address_list_id, key_url, sealed_key FROM feed WHERE sealed_key NOT NULL")
        for number, list_id, url, sealed_key in feeds.fetchall():
            place = key_place(list_id, url)
            database.execute(
                "UPDATE feed SET sealed_key = ? WHERE id = ?", (_resealed(sealed_key, place, theirs, seal), number)
            )
        _take_over_logins(database, theirs, seal)


def _take_over_logins(database: sqlite3.Connection, theirs: Seal | None, seal: Seal) -> None:
    logins = database.execute("SELECT id, virtual_host_id, name, sealed FROM sitelogin WHERE sealed != ''").fetchall()
    for number, host_id, name, sealed in logins:
        key = _resealed(base64.b64decode(sealed), login_place(host_id, name), theirs, seal)
        database.execute(
            "UPDATE sitelogin SET sealed = ? WHERE id = ?", (base64.b64encode(key or b"").decode(), number)
        )


def _resealed(key: Any, place: str, theirs: Seal | None, ours: Seal) -> bytes | None:
    if theirs is None or not isinstance(key, bytes):
        return None
    try:
        return ours.seal(theirs.open(key, place), place)
    except KeyLost:
        return None


async def restore(session: AsyncSession, path: Path, seal: Seal) -> None:
    """Add the backup's contents, after its certificates were restored. Ours stay, for a rollback or an undo. A key that the
    backup lacks is taken from here, if it belongs to the same certificate."""
    columns = [column.name for column in TABLE.columns if column.name != "id"]
    for number, values in _rows(path, columns):
        content = await _same(session, values)
        own = await _key_here(session, values["fingerprint"], seal)
        key = seal.open(values["sealed_key"], f"certificate_content:{number}") if values["sealed_key"] else own
        if content is None:
            content = CertificateContent.model_validate(values | {"sealed_key": None})
            session.add(content)
            await session.flush()
        content.sealed_key = seal.seal(key, content.place) if key else None
        session.add(content)
    versions = select(Certificate.version).where(contents.belongs()).correlate(CertificateContent).scalar_subquery()
    is_later = col(CertificateContent.certificate_version) > versions
    await session.exec(update(CertificateContent).where(is_later).values(certificate_version=versions))


def _rows(path: Path, columns: list[str]) -> list[tuple[int, dict[str, Any]]]:
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(f"SELECT id, {', '.join(columns)} FROM certificatecontent ORDER BY id").fetchall()  # noqa: S608
    return [(number, _typed(dict(zip(columns, values, strict=True)))) for number, *values in rows]


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    """As Python has them: SQLite has text."""
    lists = {name: json.loads(values[name]) for name in ("names", "notices")}
    times = {
        name: f"{value}+00:00"
        for name, value in values.items()
        if name.endswith(("_at", "_before", "_after")) and value
    }
    names = {**values, **lists, **times}
    return CertificateContent.model_validate(names).model_dump(exclude={"id"})


async def _same(session: AsyncSession, values: dict[str, Any]) -> CertificateContent | None:
    """The content that is here already: the backup is of this machine."""
    names = ("certificate_id", "certificate_created_at", "fingerprint", "added_at")
    query = select(CertificateContent).where(*(getattr(CertificateContent, name) == values[name] for name in names))
    return (await session.exec(query)).first()


async def _key_here(session: AsyncSession, fingerprint: str, seal: Seal) -> bytes | None:
    query = select(CertificateContent).where(
        CertificateContent.fingerprint == fingerprint, col(CertificateContent.sealed_key).is_not(None)
    )
    content = (await session.exec(query.limit(1))).first()
    try:
        return contents.key_of(content, seal) if content else None
    except KeyLost:
        return None
