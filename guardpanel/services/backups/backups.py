"""Backups: a consistent copy of the installation, made while saves continue, and reading them back.

SQLite copies the database in one read transaction, which blocks no writer. Sessions, tokens and the setup link are left out: a
stolen backup lets nobody log in. Of an unfinished save, the previous state is saved.
"""

import asyncio
import os
import re
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from time import time
from typing import BinaryIO

from sqlalchemy import make_url

from guardpanel.errors import NotFound, Problem
from guardpanel.models.user import Role
from guardpanel.rendering import Rows
from guardpanel.sealing import Seal
from guardpanel.services.backups import archives, contents, copies, keys
from guardpanel.services.backups.archives import DATABASE, Manifest
from guardpanel.settings import Settings

KEPT_SECONDS = 3600.0
"Seconds for which an uploaded backup waits to be restored."

TOKEN = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Candidate:
    """A backup that was extracted and validated."""

    token: str
    folder: Path
    manifest: Manifest
    rows: Rows
    "The rows of all tables but revisions and changes, which stay in the file."
    left_out: str = ""
    "What the backup contains, for the end of a sentence."

    @property
    def database(self) -> Path:
        return self.folder / DATABASE

    @property
    def summary(self) -> str:
        revision = f" (revision {self.manifest.revision})" if self.manifest.revision else ""
        return (
            f"Restored a backup of {self.manifest.made_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC{revision}{self.left_out}"
        )

    @property
    def administrators(self) -> list[str]:
        return [str(row["email"]) for row in self.rows["user"] if row["role"] == Role.ADMIN and row["is_active"]]


class Backups:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._one = asyncio.Lock()
        "One at a time: each needs disk space and, with a passphrase, 64 MiB."

    async def write(self, out: BinaryIO, passphrase: str) -> Manifest:
        """Write a backup to `out`. Raises a Problem if the disk cannot be written."""
        source = Path(make_url(self.settings.database).database or "")
        if not await asyncio.to_thread(source.is_file):
            raise NotFound(f"Nothing to back up: {source} does not exist.")
        async with self._one:
            with _disk_refusals(), self._room() as name:
                folder = Path(name)
                await asyncio.to_thread(copies.copy_database, source, folder / DATABASE)
                revision, checksum = await copies.settle(folder / DATABASE)
                key = Seal.at(self.settings.secret_key).key if passphrase else b""
                await asyncio.to_thread(keys.leave_out, folder / DATABASE, keeps_keys=bool(key))
                return await asyncio.to_thread(archives.write, out, folder, revision, checksum, passphrase, key)

    def _room(self) -> TemporaryDirectory[str]:
        return TemporaryDirectory(prefix=".backup-", dir=self.settings.data_dir, ignore_cleanup_errors=True)

    async def download(self, passphrase: str) -> tuple[Manifest, BinaryIO]:
        """A backup in an unnamed file, which is deleted when it is closed, whatever happens."""
        with _disk_refusals():
            file = TemporaryFile(dir=self.settings.data_dir)  # noqa: SIM115 whoever reads it closes it
        try:
            return await self.write(file, passphrase), file
        except BaseException:
            file.close()
            raise

    async def write_file(self, path: Path, passphrase: str) -> Manifest:
        """Write a backup to `path`, readable by its owner only. On failure, `path` is unchanged."""
        with _disk_refusals(), new_file(path) as out:
            return await self.write(out, passphrase)

    async def take(self, file: BinaryIO, passphrase: str) -> Candidate:
        """Read a backup, verified to the last byte and migrated to our schema. Raises Invalid (422) with the reason."""
        self.sweep(KEPT_SECONDS)
        token = secrets.token_hex(16)
        folder = self.settings.restore_dir / token
        async with self._one:
            try:
                with _disk_refusals():
                    self.settings.restore_dir.mkdir(mode=0o700, exist_ok=True)
                    folder.mkdir(mode=0o700)
                    _, key = await asyncio.to_thread(archives.read, file, folder, passphrase)
                    await contents.bring_to_our_schema(folder / DATABASE)
                    seal = Seal.at(self.settings.secret_key)
                    await asyncio.to_thread(keys.take_over, folder / DATABASE, key, seal)
                candidate = await self.find(token)
                await asyncio.to_thread(contents.must_be_valid, candidate.rows)
            except BaseException:
                self.drop(token)
                raise
        asyncio.get_running_loop().call_later(KEPT_SECONDS, self.drop, token)
        return candidate

    async def find(self, token: str) -> Candidate:
        """A backup that was read before. Raises NotFound (404) if it no longer exists."""
        folder = self.settings.restore_dir / token
        if not TOKEN.fullmatch(token) or not (folder / DATABASE).is_file():
            raise NotFound("This upload is no longer available. Choose the backup file again.")
        manifest, rows = archives.manifest_in(folder), await contents.rows_of(folder / DATABASE)
        return Candidate(token, folder, manifest, rows, contents.left_out(folder))

    def drop(self, token: str) -> None:
        """Delete a candidate, if it still exists."""
        if TOKEN.fullmatch(token):
            _delete(self.settings.restore_dir / token)

    def sweep(self, older_than: float = 0.0) -> None:
        """Delete expired candidates, and copies that a killed backup left a day ago."""
        limits = {self.settings.restore_dir: ("*", older_than), self.settings.data_dir: (".backup-*", 86_400.0)}
        for place, (pattern, age) in limits.items():
            for folder in place.glob(pattern):
                with suppress(OSError):
                    if folder.stat().st_mtime <= time() - age:
                        _delete(folder)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that replaces `path` once it is complete and on disk."""
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
    except BrokenPipeError:  # Not a disk: its reader has ended.
        raise
    except OSError as error:
        raise Problem(f"{error.filename or 'The disk'}: {error.strerror or error}.") from error
    except sqlite3.Error as error:
        raise Problem(f"The database can’t be copied: {error}.") from error


def _delete(folder: Path) -> None:
    for path in folder.glob("*"):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
