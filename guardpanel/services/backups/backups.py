"""Backups: a consistent copy of all that an installation is, made while saves go on; and what comes out of one.

The database is copied by SQLite in one read transaction, which keeps nobody from writing. Sessions, tokens and the
set-up link stay out: a stolen backup logs nobody in. Of a save that was not over, the state before it is what counts.
"""

import asyncio
import os
import re
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from time import time
from typing import Any, BinaryIO

from pydantic import ValidationError
from pydantic_core import PydanticCustomError
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.database import Database, is_known_schema
from guardpanel.errors import Invalid, NotFound, Problem, StorageFailed
from guardpanel.models import NOUNS, AccessToken, Installation, Session, User
from guardpanel.models.revision import Outcome
from guardpanel.models.user import Role, email
from guardpanel.rendering import Rows
from guardpanel.services.backups import archives
from guardpanel.services.backups.archives import DATABASE, Manifest
from guardpanel.services.backups.sealing import Damaged, Newer
from guardpanel.services.input import messages
from guardpanel.services.saving import differences, revisions, snapshots
from guardpanel.services.saving.facts import PROBE_SECRET, RESTORED, SETUP
from guardpanel.settings import Settings

KEPT = 3600.0
"Seconds for which a backup that was uploaded waits to be restored."

AT_ONCE = 100
"Rows that are read on the event loop before others have their turn."

UNDER_WAY = "It was in progress when the backup was made. The backup contains the state before it."
TOKEN = re.compile(r"[0-9a-f]{32}")
SECRET = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Candidate:
    """A backup that was taken out of its file and found to be good."""

    token: str
    folder: Path
    manifest: Manifest
    rows: Rows
    "Of every table but revisions and changes, which stay in the file."

    @property
    def database(self) -> Path:
        return self.folder / DATABASE

    @property
    def summary(self) -> str:
        revision = f" (revision {self.manifest.revision})" if self.manifest.revision else ""
        return f"Restored a backup of {self.manifest.made_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC{revision}"

    @property
    def administrators(self) -> list[str]:
        return [str(row["email"]) for row in self.rows["user"] if row["role"] == Role.ADMIN and row["is_active"]]


class Backups:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._one = asyncio.Lock()
        "One at a time: each needs room on disk and, with a passphrase, 64 MiB."

    async def write(self, out: BinaryIO, passphrase: str) -> Manifest:
        """Write a backup to `out`. Problem where the disk refuses."""
        source = Path(make_url(self.settings.database).database or "")
        if not await asyncio.to_thread(source.is_file):
            raise NotFound(f"Nothing to back up: {source} does not exist.")
        async with self._one:
            with _disk_refusals(), self._room() as name:
                folder = Path(name)
                await asyncio.to_thread(_copy, source, folder / DATABASE)
                revision, checksum = await _settled(folder / DATABASE)
                return await asyncio.to_thread(archives.write, out, folder, revision, checksum, passphrase)

    def _room(self) -> TemporaryDirectory[str]:
        return TemporaryDirectory(prefix=".backup-", dir=self.settings.data_dir, ignore_cleanup_errors=True)

    async def download(self, passphrase: str) -> tuple[Manifest, BinaryIO]:
        """A backup in a file without a name, which is gone when it is closed, whatever happens."""
        with _disk_refusals():
            file = TemporaryFile(dir=self.settings.data_dir)  # noqa: SIM115 whoever reads it closes it
        try:
            return await self.write(file, passphrase), file
        except BaseException:
            file.close()
            raise

    async def write_file(self, path: Path, passphrase: str) -> Manifest:
        """A backup at `path`, for its owner alone: there as a whole or, after any failure, as it was before."""
        with _disk_refusals(), new_file(path) as out:
            return await self.write(out, passphrase)

    async def take(self, file: BinaryIO, passphrase: str) -> Candidate:
        """What is in a backup, checked to the last byte and brought to our schema. Invalid (422) says what is wrong."""
        self.sweep(KEPT)
        token = secrets.token_hex(16)
        folder = self.settings.restore_dir / token
        async with self._one:
            try:
                with _disk_refusals():
                    self.settings.restore_dir.mkdir(mode=0o700, exist_ok=True)
                    folder.mkdir(mode=0o700)
                    await asyncio.to_thread(archives.read, file, folder, passphrase)
                    await _bring_to_our_schema(folder / DATABASE)
                found = await self.find(token)
                await asyncio.to_thread(must_be_valid, found.rows)
            except BaseException:
                self.drop(token)
                raise
        asyncio.get_running_loop().call_later(KEPT, self.drop, token)
        return found

    async def find(self, token: str) -> Candidate:
        """One that was taken out before. NotFound (404) if it no longer exists."""
        folder = self.settings.restore_dir / token
        if not TOKEN.fullmatch(token) or not (folder / DATABASE).is_file():
            raise NotFound("This upload is no longer available. Choose the backup file again.")
        return Candidate(token, folder, archives.manifest_in(folder), await _rows(folder / DATABASE))

    def drop(self, token: str) -> None:
        """Delete one, if it is still there."""
        if TOKEN.fullmatch(token):
            _delete(self.settings.restore_dir / token)

    def sweep(self, older_than: float = 0.0) -> None:
        """Delete what waits for longer, and copies that a killed backup left a day ago."""
        limits = {self.settings.restore_dir: ("*", older_than), self.settings.data_dir: (".backup-*", 86_400.0)}
        for place, (pattern, age) in limits.items():
            for folder in place.glob(pattern):
                with suppress(OSError):
                    if folder.stat().st_mtime <= time() - age:
                        _delete(folder)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears at `path` when it is whole and on disk, in place of what was there."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as out:  # noqa: PTH123 a descriptor
            yield out
            out.flush()
            os.fsync(out.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _disk_refusals() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Problem(f"{error.filename or 'The disk'}: {error.strerror or error}.") from error
    except sqlite3.Error as error:
        raise Problem(f"The database can’t be copied: {error}.") from error


def _copy(source: Path, target: Path) -> None:
    """All of the database at one moment. Writers go on: it reads in one transaction of WAL mode."""
    with closing(sqlite3.connect(source, timeout=30, isolation_level=None)) as database:
        database.execute("VACUUM INTO ?", (str(target),))


async def _settled(path: Path) -> tuple[int | None, str | None]:
    """Take out of a copy what is of the moment; the live revision and its checksum."""
    async with _database(path) as copy:
        await copy.migrate()
        async with copy.write() as session:
            await (await session.connection()).exec_driver_sql("PRAGMA secure_delete = ON")
            for table in (AccessToken, Session):
                await session.exec(delete(table))
            await session.exec(delete(Installation).where(col(Installation.name) == SETUP))
            await _end_open_changes(session)
            live = await revisions.live(session)
    await asyncio.to_thread(_one_file, path)
    return (live.id, live.checksum) if live else (None, None)


async def _end_open_changes(session: AsyncSession) -> None:
    for change in reversed(await revisions.open_deployments(session)):
        if change.before is not None:
            await snapshots.put_back(session, snapshots.rows(snapshots.unpacked(change.before)))
        change.outcome, change.message, change.before = Outcome.ROLLED_BACK, UNDER_WAY, None
        session.add(change)


def _one_file(path: Path) -> None:
    """Without the files of WAL mode beside it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = DELETE")


async def _bring_to_our_schema(path: Path) -> None:
    """Damaged (422) unless SQLite and the migrations find it good; Newer (422) if its schema is none of ours."""
    await asyncio.to_thread(_must_be_sound, path)
    async with _database(path) as found:
        try:
            await found.migrate()
        except (SQLAlchemyError, StorageFailed):
            raise Damaged("The database in this backup is not a guardpanel database.") from None


def _must_be_sound(path: Path) -> None:
    try:
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("PRAGMA cell_size_check = ON")
            sound = database.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
            orphans = database.execute("PRAGMA foreign_key_check").fetchone()
            code = database.execute("SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchone()
            schema = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        raise Damaged("The database in this backup is unreadable.") from None
    if not sound or orphans or code or not schema:
        raise Damaged("The database in this backup is damaged.")
    if not is_known_schema(str(schema[0])):
        raise Newer


async def _rows(path: Path) -> Rows:
    """Every row of the configuration, accounts and facts; nobody is logged in."""
    async with _database(path) as found:
        try:
            async with found.read() as session:
                await _must_be_readable(session)
                rows = await asyncio.to_thread(snapshots.rows, await snapshots.take_whole(session))
        except (SQLAlchemyError, LookupError, TypeError, ValueError):
            raise Damaged("The data in this backup is not valid.") from None
    facts = [row for row in rows["installation"] if row["name"] not in {SETUP, RESTORED}]
    return {**rows, "session": [], "accesstoken": [], "installation": facts}


async def _must_be_readable(session: AsyncSession) -> None:
    """What the models cannot read is not ours. A hundred at a time: all at once would hold up the event loop."""
    models: list[Any] = [User, *(noun.table for noun in NOUNS.values())]
    for model in models:
        for at in count(0, AT_ONCE):
            if not (await session.exec(select(model).order_by(model.id).offset(at).limit(AT_ONCE))).all():
                break
            session.expunge_all()


def must_be_valid(rows: Rows) -> None:
    """Invalid (422) for a row that no form would have taken: a backup is no way around the checks of what is typed."""
    secrets_kept = [row["value"] for row in rows["installation"] if row["name"] == PROBE_SECRET]
    if not all(SECRET.fullmatch(kept) for kept in secrets_kept):
        raise Damaged("The installation secret in this backup is invalid.")
    for row in rows["user"]:
        _check(partial(email, row["email"]), f"account {row['id']}")
    for noun in NOUNS.values():
        for row in differences.with_parts(noun, rows):
            called = f"the {noun.only_name.lower()}" if noun.only_name else f"{noun.word.lower()} {row['id']}"
            _check(partial(noun.fields.model_validate, row), called)


def _check(validate: Callable[[], object], what: str) -> None:
    try:
        validate()
    except ValidationError as error:
        name, found = next(iter(messages(error).items()))
        raise Invalid(f"Invalid data in this backup, {what}: {name}: {found.message}") from None
    except (PydanticCustomError, TypeError, ValueError) as error:
        raise Invalid(f"Invalid data in this backup, {what}: {error}") from None


@asynccontextmanager
async def _database(path: Path) -> AsyncIterator[Database]:
    found = Database(f"sqlite+aiosqlite:///{path}")
    try:
        yield found
    finally:
        await found.close()


def _delete(folder: Path) -> None:
    for path in folder.glob("*"):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
