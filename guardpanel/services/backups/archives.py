"""The backup file: a tar.gz of the manifest and the parts that it lists, encrypted if there is a passphrase. The master key, if
it is in the backup, follows as a member of its own, which is never a file on disk.

Written and read as a stream, never whole in memory. Read strictly: the expected parts in order, as plain files with their own
names and sizes, and nothing else. So no member can name another path or exceed its limit.
"""

import gzip
import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from guardpanel import __version__
from guardpanel.sealing import KEY
from guardpanel.services.backups.sealing import MAGIC, BackupDamaged, BackupTooNew, Opening, Sealing

FORMAT = 1
MANIFEST = "manifest.json"
DATABASE = "guardpanel.db"
MASTER_KEY = "master.key"

PARTS: Mapping[str, int] = {DATABASE: 8 * 1024**3 - 1}
"""A backup's parts besides its manifest, with their maximum sizes in bytes. The secret, accounts and certificates are rows of the
database. Anything that is one day stored in a separate file belongs here."""

LARGEST_MANIFEST = 64 * 1024
BLOCK = 512
"Bytes of a tar header. Contents are padded to it."

PIECE = 256 * 1024
GZIP = b"\x1f\x8b"


class Part(BaseModel):
    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """A backup's metadata, by which its parts are verified."""

    format: int = FORMAT
    guardpanel: str = Field(default=__version__, max_length=100)
    made_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    revision: int | None
    "The live revision."
    checksum: str | None = Field(max_length=64)
    parts: dict[str, Part]
    has_key: bool = False
    "The master key follows the parts."


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def write(
    out: BinaryIO, folder: Path, revision: int | None, checksum: str | None, passphrase: str, key: bytes = b""
) -> Manifest:
    """Write the parts in `folder`, and the master key, to `out` as a backup. `out` need not be seekable."""
    parts = {name: _described(folder / name) for name in PARTS}
    manifest = Manifest(revision=revision, checksum=checksum, parts=parts, has_key=bool(key))
    target = Sealing(out, passphrase) if passphrase else None
    with gzip.GzipFile(
        fileobj=cast("BinaryIO", target) if target else out, mode="wb", compresslevel=3, mtime=0
    ) as packed:
        written = manifest.model_dump_json(indent=1).encode()
        packed.write(_head(MANIFEST, len(written), manifest.made_at) + _padded(written))
        for name, part in parts.items():
            packed.write(_head(name, part.size, manifest.made_at))
            _copy(folder / name, packed)
        if key:
            packed.write(_head(MASTER_KEY, len(key), manifest.made_at) + _padded(key))
        packed.write(bytes(2 * BLOCK))
    if target:
        target.close()
    return manifest


def read(file: BinaryIO, folder: Path, passphrase: str) -> tuple[Manifest, bytes]:
    """Extract the parts of a backup into `folder`. Returns its manifest, and the master key if it has one. Raises Invalid (422)
    if anything is unexpected."""
    try:
        with gzip.GzipFile(fileobj=cast("BinaryIO", _opened(file, passphrase)), mode="rb") as packed:
            manifest = _manifest(b"".join(_member(packed, MANIFEST, LARGEST_MANIFEST)))
            for name, part in manifest.parts.items():
                _take(_member(packed, name, PARTS[name]), folder / name, part)
            key = b"".join(_member(packed, MASTER_KEY, KEY)) if manifest.has_key else b""
            _must_end(packed)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BackupDamaged("This backup is damaged or incomplete.") from error
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return manifest, key


def manifest_in(folder: Path) -> Manifest:
    """The manifest of a backup that was extracted into this folder."""
    return Manifest.model_validate_json((folder / MANIFEST).read_text())


def _opened(file: BinaryIO, passphrase: str) -> Readable:
    file.seek(0)
    start = file.read(len(MAGIC))
    file.seek(0)
    if start == MAGIC:
        return Opening(file, passphrase)
    if not start.startswith(GZIP):
        raise BackupDamaged("This is not a guardpanel backup.")
    return file


def _manifest(text: bytes) -> Manifest:
    try:
        facts = json.loads(text)
        if isinstance(facts, dict) and isinstance(facts.get("format"), int) and facts["format"] > FORMAT:
            raise BackupTooNew
        manifest = Manifest.model_validate(facts)
    except (ValueError, RecursionError, ValidationError):
        raise BackupDamaged("This is not a guardpanel backup: its manifest is unreadable.") from None
    if list(manifest.parts) != list(PARTS):
        raise BackupDamaged("This is not a guardpanel backup: required files are missing.")
    return manifest


def _member(packed: Readable, name: str, largest: int) -> Iterator[bytes]:
    """The next member in chunks. It must have this name."""
    try:
        member = tarfile.TarInfo.frombuf(_read_exactly(packed, BLOCK), "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeError):
        raise BackupDamaged("This backup is damaged or incomplete.") from None
    if member.type != tarfile.REGTYPE or member.name != name:
        raise BackupDamaged(f"This is not a guardpanel backup: {name} is in the wrong place.")
    if not 0 <= member.size <= largest:
        raise BackupDamaged(f"This is not a guardpanel backup: {name} is too large.")
    yield from _pieces(packed, member.size)
    _read_exactly(packed, -member.size % BLOCK)


def _take(pieces: Iterator[bytes], path: Path, part: Part) -> None:
    """Extract one member, which must match the manifest."""
    digest = hashlib.sha256()
    with path.open("xb") as target:
        for piece in pieces:
            digest.update(piece)
            target.write(piece)
    if digest.hexdigest() != part.sha256:
        raise BackupDamaged(f"This backup is damaged: the checksum of {path.name} does not match.")


def _must_end(packed: Readable) -> None:
    """Two empty blocks, and the padding of tar programs. Read to the end, where gzip's checksum is."""
    rest = _read_exactly(packed, 2 * BLOCK) + packed.read(64 * BLOCK)
    if rest.strip(b"\0") or packed.read(1):
        raise BackupDamaged("This is not a guardpanel backup: unexpected data after its end.")


def _read_exactly(packed: Readable, size: int) -> bytes:
    return b"".join(_pieces(packed, size))


def _pieces(packed: Readable, size: int) -> Iterator[bytes]:
    while size:
        piece = packed.read(min(size, PIECE))
        if not piece:
            raise BackupDamaged("This backup is incomplete.")
        size -= len(piece)
        yield piece


def _described(path: Path) -> Part:
    with path.open("rb") as file:
        return Part(size=os.fstat(file.fileno()).st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _head(name: str, size: int, when: datetime) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, int(when.timestamp())
    return info.tobuf(tarfile.USTAR_FORMAT)


def _copy(path: Path, packed: gzip.GzipFile) -> None:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            packed.write(piece)
        packed.write(bytes(-file.tell() % BLOCK))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)
