"""Releases: immutable bundles on disk that are either complete or absent.

A release is written to a temporary directory, every file fsynced, its manifest last, and then renamed. A directory without a
matching manifest does not count. `current` is a symlink that is replaced by rename, so that readers see one release or the other.
"""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardpanel.bundle import Bundle, digest_of, hashes
from guardpanel.engines.files import content_of, exchange, sync_directory, write_atomically, write_new
from guardpanel.errors import DeploymentFailed, Problem, StorageFailed

MANIFEST = "manifest.json"

PUBLIC, SECRET = 0o640, 0o600
"Modes of files. Those with private keys are in a directory that only its owner may enter."


class ReleaseDamaged(Problem):
    """A release is missing, modified or incomplete."""

    code = "release_damaged"


@dataclass(frozen=True)
class Release:
    number: int
    path: Path
    checksum: str
    secrets: str = ""
    "Digest of its files with private keys (`Bundle.secrets_digest`)."
    data: str = ""
    "Digest of its maps that change at run time (`Bundle.data_digest`)."


class Releases:
    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir / "releases"
        self.link = data_dir / "current"
        self._sound: tuple[int, tuple[tuple[str, int, int, int], ...]] | None = None
        "The last release that was verified, and the state of its files then."

    def stage(self, number: int, bundle: Bundle) -> Release:
        """Write the bundle as release `number`, replacing one that an interrupted save left or that was damaged. Raises
        StorageFailed if the disk cannot be written, and then leaves nothing."""
        final, draft = self.root / str(number), self.root / f".tmp-{number}-{os.getpid()}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(draft, ignore_errors=True)
            self._write(draft, number, bundle)
            if final.exists():
                exchange(draft, final)
            else:
                draft.rename(final)
            sync_directory(self.root)
        except OSError as error:
            raise StorageFailed(
                f"The configuration could not be written to disk: {error.strerror or error}."
            ) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return Release(number, final, bundle.checksum, bundle.secrets_digest, bundle.data_digest)

    def _write(self, draft: Path, number: int, bundle: Bundle) -> None:
        public = {**bundle.files, **bundle.data}
        folders = {draft} | {(draft / name).parent for name in public}
        secret_folders = {(draft / name).parent for name in bundle.secrets}
        for folder in sorted(folders | secret_folders):
            folder.mkdir(mode=0o700 if folder in secret_folders else 0o750, parents=True, exist_ok=True)
        for name, content in public.items():
            self._place(draft / name, name, content)
        for name, content in bundle.secrets.items():
            self._place(draft / name, name, content, SECRET)
        folders |= secret_folders
        manifest = {
            "release": number,
            "checksum": bundle.checksum,
            **{
                kind: dict(sorted(hashes(files).items()))
                for kind, files in (("files", bundle.files), ("secrets", bundle.secrets), ("data", bundle.data))
            },
        }
        write_new(draft / MANIFEST, json.dumps(manifest, indent=1).encode())
        for folder in sorted(folders, reverse=True):
            sync_directory(folder)

    def _place(self, path: Path, name: str, content: bytes, mode: int = PUBLIC) -> None:
        """Most files equal those of the previous release: a hard link needs neither write nor fsync."""
        before = self.link / name
        try:
            known = before.stat()
            is_open = mode == SECRET and stat.S_IMODE(known.st_mode) != SECRET
            if known.st_size == len(content) and not is_open and content_of(before) == content:
                path.hardlink_to(before)
                return
        except OSError:
            pass  # There is no previous one, or the file system has no links.
        write_new(path, content, mode)

    def open(self, number: int) -> Release:
        """The release, if it is complete: every file has the hash that its manifest lists."""
        path = self.root / str(number)
        try:
            manifest = json.loads(content_of(path / MANIFEST))
            for name, digest in _hashes(manifest).items():
                if hashlib.sha256(content_of(path / name)).hexdigest() != digest:
                    raise ReleaseDamaged(f"{name} of release {number} was changed outside guardpanel.")
            digests = (digest_of(manifest.get(kind, {})) for kind in ("secrets", "data"))
            return Release(number, path, manifest["checksum"], *digests)
        except (OSError, ValueError, KeyError) as error:
            raise ReleaseDamaged(f"Release {number} is incomplete: {error}.") from error

    def files(self, number: int) -> dict[str, bytes]:
        """The files that the engines got, by name, without private keys. Raises ReleaseDamaged if it is incomplete."""
        path = self.open(number).path
        try:
            names = json.loads(content_of(path / MANIFEST))["files"]
            return {name: content_of(path / name) for name in names}
        except OSError as error:
            raise ReleaseDamaged(f"Release {number} is incomplete: {error}.") from error

    def damaged(self, number: int) -> list[str] | None:
        """The files that were modified. None if the release is missing or incomplete. Files are only read again if they look
        touched: their change time cannot be forged."""
        path = self.root / str(number)
        try:
            looks = _looks(path)
            if self._sound == (number, looks):
                return []
            files = _hashes(json.loads(content_of(path / MANIFEST)))
        except (OSError, ValueError, KeyError):
            return None
        changed = [name for name, digest in files.items() if _digest(path / name) != digest]
        self._sound = None if changed else (number, looks)
        return changed

    def current_number(self) -> int | None:
        try:
            return int(self.link.readlink().name)
        except (OSError, ValueError):
            return None

    def checksum(self, number: int) -> str:
        """From its manifest. Empty without one."""
        try:
            return str(json.loads(content_of(self.root / str(number) / MANIFEST))["checksum"])
        except (OSError, ValueError, KeyError):
            return ""

    def data(self, number: int) -> dict[str, str]:
        """From its manifest: the SHA-256 (hex) of each map that changes at run time, by name."""
        return self._listed(number, "data")

    def secrets(self, number: int) -> dict[str, str]:
        """From its manifest: the SHA-256 (hex) of each file with a private key, by name. Empty without a manifest."""
        return self._listed(number, "secrets")

    def _listed(self, number: int, kind: str) -> dict[str, str]:
        try:
            return dict(json.loads(content_of(self.root / str(number) / MANIFEST)).get(kind, {}))
        except (OSError, ValueError):
            return {}

    def differing_secrets(self, number: int) -> frozenset[str]:
        """The files with private keys of this release that the current one lacks, or has with other content."""
        return self._differing(number, "secrets")

    def differing_data(self, number: int) -> dict[str, bytes]:
        """The same of the maps that change at run time, with their content in the current release."""
        names = sorted(self._differing(number, "data"))
        return {name: content_of(self.link / name) if (self.link / name).is_file() else b"" for name in names}

    def _differing(self, number: int, kind: str) -> frozenset[str]:
        current = self.current_number()
        known = self._listed(current, kind) if current is not None else {}
        return frozenset(name for name, digest in self._listed(number, kind).items() if known.get(name) != digest)

    def forget_secrets(self, keep: Collection[int]) -> None:
        """Delete the private keys of all releases but these: a replaced key must not stay on disk."""
        for number in set(self.numbers()) - set(keep):
            names, path = self.secrets(number), self.root / str(number)
            if not names:
                continue
            for name in names:
                (path / name).unlink(missing_ok=True)
            manifest = json.loads(content_of(path / MANIFEST))
            write_atomically(path / MANIFEST, json.dumps(manifest | {"secrets": {}}, indent=1).encode())

    def must_be_whole(self, release: Release) -> None:
        """Ensure that HAProxy loads what was checked: verified before it loads, and again afterwards. Raises DeploymentFailed."""
        try:
            self.open(release.number)
        except ReleaseDamaged as damaged:
            raise DeploymentFailed(damaged.message, step="publish") from damaged

    def publish(self, release: Release) -> None:
        """Make the release current, atomically."""
        draft = self.link.with_name(f".current-{os.getpid()}")
        draft.unlink(missing_ok=True)
        draft.symlink_to(Path("releases") / str(release.number))
        draft.rename(self.link)
        sync_directory(self.link.parent)

    def drop(self, number: int) -> None:
        """Delete a release that is not current. It is renamed first, so that a partial one is never taken for a release."""
        if self.current_number() == number:
            return
        path, gone = self.root / str(number), self.root / f".gone-{number}-{os.getpid()}"
        with suppress(FileNotFoundError):  # Already gone.
            path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def sweep(self) -> None:
        """Delete what a crash left half written or half deleted. Only while nobody stages."""
        for path in (*self.root.glob(".tmp-*"), *self.root.glob(".gone-*")):
            shutil.rmtree(path, ignore_errors=True)
        for path in self.link.parent.glob(".current-*"):
            path.unlink(missing_ok=True)

    def numbers(self) -> list[int]:
        return sorted(int(path.name) for path in self.root.glob("[0-9]*") if path.name.isdigit())


def _looks(path: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Name, inode, size and change time of every file below."""
    files = sorted(file for file in path.rglob("*") if not file.is_dir())
    return tuple((str(file), now.st_ino, now.st_size, now.st_ctime_ns) for file in files for now in [file.lstat()])


def _hashes(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Of all files, those with private keys and those that change at run time included."""
    return {**manifest["files"], **manifest.get("secrets", {}), **manifest.get("data", {})}


def _digest(path: Path) -> str:
    """SHA-256 (hex). Empty for an unreadable file."""
    try:
        return hashlib.sha256(content_of(path)).hexdigest()
    except OSError:
        return ""
