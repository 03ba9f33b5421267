"""Releases: bundles on disk, immutable, each whole or not there at all.

A release is written beside its place, every file fsynced, its manifest last, and renamed into place. A directory
whose manifest is missing or does not match its files does not count. `current` is a symlink that is replaced by
rename, so that whoever follows it sees one release or the other.
"""

import ctypes
import errno
import hashlib
import json
import os
import shutil
import stat
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from guardpanel.bundle import Bundle
from guardpanel.errors import DeploymentFailed, Problem, StorageFailed

MANIFEST = "manifest.json"


class ReleaseDamaged(Problem):
    """A release is missing, was changed by hand, or was never finished."""

    code = "release_damaged"


@dataclass(frozen=True)
class Release:
    number: int
    path: Path
    checksum: str


class Releases:
    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir / "releases"
        self.link = data_dir / "current"
        self._sound: tuple[int, tuple[tuple[str, int, int, int], ...]] | None = None
        "The release that was found whole, and how its files looked then."

    def stage(self, number: int, bundle: Bundle) -> Release:
        """Write the bundle as release `number`, in the place of one that is there: left by a save that was cut off,
        or damaged by hand. Raises StorageFailed where the disk refuses, and leaves nothing then."""
        final, draft = self.root / str(number), self.root / f".tmp-{number}-{os.getpid()}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(draft, ignore_errors=True)
            self._write(draft, number, bundle)
            if final.exists():
                _exchange(draft, final)
            else:
                draft.rename(final)
            _sync_directory(self.root)
        except OSError as error:
            raise StorageFailed(
                f"The configuration could not be written to disk: {error.strerror or error}."
            ) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return Release(number, final, bundle.checksum)

    def _write(self, draft: Path, number: int, bundle: Bundle) -> None:
        folders = {draft} | {(draft / name).parent for name in bundle.files}
        for folder in sorted(folders):
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        for name, content in bundle.files.items():
            self._place(draft / name, name, content)
        manifest = {
            "release": number,
            "checksum": bundle.checksum,
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(bundle.files.items())},
        }
        _write_file(draft / MANIFEST, json.dumps(manifest, indent=1).encode())
        for folder in sorted(folders, reverse=True):
            _sync_directory(folder)

    def _place(self, path: Path, name: str, content: bytes) -> None:
        """Most files of a release are those of the one before: a hard link needs no write and no fsync."""
        before = self.link / name
        try:
            if before.stat().st_size == len(content) and content_of(before) == content:
                path.hardlink_to(before)
                return
        except OSError:
            pass  # there is none before, or the file system has no links
        _write_file(path, content)

    def open(self, number: int) -> Release:
        """The release, if it is whole: every file is there with the hash that its manifest names."""
        path = self.root / str(number)
        try:
            manifest = json.loads(content_of(path / MANIFEST))
            for name, digest in manifest["files"].items():
                if hashlib.sha256(content_of(path / name)).hexdigest() != digest:
                    raise ReleaseDamaged(f"{name} of release {number} was changed outside guardpanel.")
            return Release(number, path, manifest["checksum"])
        except (OSError, ValueError, KeyError) as error:
            raise ReleaseDamaged(f"Release {number} is incomplete: {error}.") from error

    def files(self, number: int) -> dict[str, bytes]:
        """What the engines got, by name; raises ReleaseDamaged where it is not whole."""
        path = self.open(number).path
        try:
            names = json.loads(content_of(path / MANIFEST))["files"]
            return {name: content_of(path / name) for name in names}
        except OSError as error:
            raise ReleaseDamaged(f"Release {number} is incomplete: {error}.") from error

    def damaged(self, number: int) -> list[str] | None:
        """The files that are not as they were written; None if the release is not there or was never finished.

        Read again only where a file looks touched: its change time cannot be set by hand.
        """
        path = self.root / str(number)
        try:
            looks = _looks(path)
            if self._sound == (number, looks):
                return []
            files = json.loads(content_of(path / MANIFEST))["files"]
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
        """As its manifest says; empty where there is none."""
        try:
            return str(json.loads(content_of(self.root / str(number) / MANIFEST))["checksum"])
        except (OSError, ValueError, KeyError):
            return ""

    def must_be_whole(self, release: Release) -> None:
        """What HAProxy reads is what was checked: looked at before it reads, and once more when it has. DeploymentFailed."""
        try:
            self.open(release.number)
        except ReleaseDamaged as damaged:
            raise DeploymentFailed(damaged.message, step="publish") from damaged

    def publish(self, release: Release) -> None:
        """Make the release current, in one step for whoever looks."""
        draft = self.link.with_name(f".current-{os.getpid()}")
        draft.unlink(missing_ok=True)
        draft.symlink_to(Path("releases") / str(release.number))
        draft.rename(self.link)
        _sync_directory(self.link.parent)

    def drop(self, number: int) -> None:
        """Delete a release that is not current: out of sight first, so that no half of it can be taken for one."""
        if self.current_number() == number:
            return
        path, gone = self.root / str(number), self.root / f".gone-{number}-{os.getpid()}"
        with suppress(FileNotFoundError):  # gone already
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


def content_of(path: Path) -> bytes:
    """A regular file's bytes; OSError for anything else: a pipe that somebody put there would be read for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read()


RENAME_EXCHANGE = 2


def _exchange(left: Path, right: Path) -> None:
    """Each in the place of the other in one step (renameat2(2)): whoever starts HAProxy meanwhile finds one of both."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = -100  # AT_FDCWD
    if libc.renameat2(here, os.fsencode(left), here, os.fsencode(right), RENAME_EXCHANGE) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _looks(path: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Name, inode, size and change time of every file below."""
    files = sorted(file for file in path.rglob("*") if not file.is_dir())
    return tuple((str(file), now.st_ino, now.st_size, now.st_ctime_ns) for file in files for now in [file.lstat()])


def _digest(path: Path) -> str:
    """SHA-256 (hex); empty for a file that cannot be read."""
    try:
        return hashlib.sha256(content_of(path)).hexdigest()
    except OSError:
        return ""


def sweep_drafts(path: Path) -> None:
    """Delete the drafts of this file that were never put in its place."""
    for draft in path.parent.glob(f".{path.name}-*"):
        with suppress(OSError):
            draft.unlink()


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file as a whole: readers see the old bytes or the new ones."""
    draft = path.with_name(f".{path.name}-{os.getpid()}-{threading.get_ident()}")
    try:
        draft.unlink(missing_ok=True)
        _write_file(draft, content)
        draft.rename(path)
        _sync_directory(path.parent)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _write_file(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
