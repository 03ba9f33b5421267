"""Releases: immutable bundles on disk that are either complete or absent.

A release is written to a temporary directory, its manifest last, and then renamed. A directory without a matching manifest does
not count. All of it is fsynced before a save commits, while engines check it. `current` is a symlink that is replaced by rename.
"""

import hashlib
import os
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from guardpanel.bundle import JUDGING, KINDS, Bundle
from guardpanel.engines.files import (
    Digests,
    content_of,
    exchange,
    make_empty,
    sync_directory,
    sync_path,
    write_new,
    writing,
)
from guardpanel.engines.manifests import MANIFEST, NO_MANIFEST, Manifest, Manifests
from guardpanel.engines.shared_folders import SharedFolders
from guardpanel.errors import DeploymentFailed, Problem

PUBLIC = 0o640
"The mode of files without private keys."


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
    unsynced: tuple[Path, ...] = field(default=(), compare=False)
    "Its files and directories that a power failure may take, in the order in which they are synced."


class Releases:
    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir / "releases"
        self.link = data_dir / "current"
        self._digests = Digests()
        self._manifests = Manifests(self.root)
        self._shared = SharedFolders(self.root, self._digests)

    def stage(self, number: int, bundle: Bundle, *, sync: bool = True) -> Release:
        """Write the bundle as release `number`, replacing one that an interrupted save left or that was damaged. Raises
        StorageFailed if the disk cannot be written, and then leaves nothing."""
        final, draft = self.root / str(number), self.root / f".tmp-{number}-{os.getpid()}"
        try:
            with writing("The configuration"):
                self.root.mkdir(parents=True, exist_ok=True)
                make_empty(*map(Path, bundle.outside))
                shutil.rmtree(draft, ignore_errors=True)
                with self._shared.lock:
                    written = self._write(draft, number, bundle)
                    (exchange if final.exists() else Path.rename)(draft, final)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        unsynced = (*(final / name for name in written), self.root)
        release = Release(number, final, bundle.checksum, bundle.secrets_digest, bundle.data_digest, unsynced)
        if sync:
            self.sync(release)
        return release

    def sync(self, release: Release) -> None:
        """Have the disk keep it. Raises StorageFailed."""
        with writing("The configuration"):
            for path in release.unsynced:
                sync_path(path)

    def _write(self, draft: Path, number: int, bundle: Bundle) -> list[str]:
        """Returns what is to be synced: each directory after what is in it."""
        folders = sorted({name.rpartition("/")[0] for name in (*bundle.files, *bundle.data)} | {""})
        for folder in folders:
            (draft / folder).mkdir(mode=0o750, parents=True, exist_ok=True)
        written = [
            name
            for kind in ("files", "data")
            for name, digest in bundle.hashes[kind].items()
            if not self._place(f"{draft}/{name}", name, bundle.by_kind[kind][name], digest)
        ]
        self._shared.link(draft, bundle.secrets, bundle.hashes["secrets"], self.link)
        self._manifests.write(draft, Manifest(number, bundle.checksum, **bundle.hashes))
        return [*written, MANIFEST, *reversed(folders)]

    def _place(self, path: str, name: str, content: bytes, digest: str) -> bool:
        """Most files equal those of the previous release: a hard link needs neither write nor fsync. Whether it is one."""
        before = f"{self.link}/{name}"
        try:
            known = os.stat(before)  # noqa: PTH116 as in `Digests`
            if known.st_size == len(content) and self._digests.of(before) == digest:
                os.link(before, path)
                return True
        except OSError:
            pass  # There is no previous one, or the file system has no links.
        write_new(Path(path), content, PUBLIC, sync=False)
        return False

    def open(self, number: int, kinds: Collection[str] = KINDS) -> Release:
        """The release, if it is complete: every file of these kinds has the hash that its manifest lists."""
        path = self.root / str(number)
        try:
            manifest = self._manifests.of(number)
            for name, digest in manifest.of(kinds).items():
                if self._digests.of(f"{path}/{name}") != digest:
                    raise _changed(number, name)
            return Release(number, path, manifest.checksum, manifest.secrets_digest, manifest.data_digest)
        except (OSError, ValueError) as error:
            raise ReleaseDamaged(f"Release {number} is incomplete: {error}.") from error

    def files(self, number: int) -> dict[str, bytes]:
        """The files that the engines got, by name, without private keys and lists. Raises ReleaseDamaged if it is incomplete."""
        path = self.root / str(number)
        try:
            manifest = self._manifests.of(number)
            data = manifest.data
            listed = {**manifest.files, **{name: data[name] for name in JUDGING & data.keys()}}
            files = {name: content_of(path / name) for name in listed}
        except (OSError, ValueError) as error:
            raise ReleaseDamaged(f"Release {number} is incomplete: {error}.") from error
        for name, content in files.items():
            if hashlib.sha256(content).hexdigest() != listed[name]:
                raise _changed(number, name)
        return files

    def damaged(self, number: int) -> list[str] | None:
        """The files that were modified. None if the release is missing or incomplete."""
        path = self.root / str(number)
        try:
            files = self._manifests.of(number).of(KINDS)
        except (OSError, ValueError):
            return None
        return [name for name, digest in files.items() if self._digest(f"{path}/{name}") != digest]

    def _digest(self, path: str) -> str:
        """SHA-256 (hex). Empty for an unreadable file."""
        try:
            return self._digests.of(path)
        except OSError:
            return ""

    def current_number(self) -> int | None:
        try:
            return int(self.link.readlink().name)
        except (OSError, ValueError):
            return None

    def checksum(self, number: int) -> str:
        """Empty without a manifest."""
        return self._listed(number).checksum

    def data(self, number: int) -> Mapping[str, str]:
        """The SHA-256 (hex) of each map that changes at run time, by name. Empty without a manifest."""
        return self._listed(number).data

    def secrets(self, number: int) -> Mapping[str, str]:
        """The same of each file with a private key."""
        return self._listed(number).secrets

    def digests(self, number: int) -> tuple[str, str]:
        """Of its files with private keys, and of its maps that change at run time, as a bundle has them."""
        listed = self._listed(number)
        return listed.secrets_digest, listed.data_digest

    def _listed(self, number: int | None) -> Manifest:
        with suppress(OSError, ValueError):
            return self._manifests.of(number) if number is not None else NO_MANIFEST
        return NO_MANIFEST

    def differing_secrets(self, number: int) -> frozenset[str]:
        """The files with private keys of this release that the current one lacks, or has with other content."""
        return _differing(self.secrets(number), self._listed(self.current_number()).secrets)

    def differing_data(self, number: int) -> dict[str, bytes]:
        """The same of the maps that change at run time, with their content in the current release."""
        names = sorted(_differing(self.data(number), self._listed(self.current_number()).data))
        return {name: content_of(self.link / name) if (self.link / name).is_file() else b"" for name in names}

    def differing(self, number: int) -> tuple[frozenset[str], dict[str, bytes]]:
        """What HAProxy does not have yet of this release: files with private keys, and maps with what it has."""
        return self.differing_secrets(number), self.differing_data(number)

    def forget_secrets(self, keep: Collection[int]) -> None:
        """Delete the private keys of all releases but these: a replaced key must not stay on disk."""
        for number in set(self.numbers()) - set(keep):
            if names := self.secrets(number):
                self._shared.forget_in(self.root / str(number), names)
                self._manifests.forget_secrets(number)
        self._shared.collect()

    def must_be_whole(self, release: Release, kinds: Collection[str] = KINDS) -> None:
        """Ensure that HAProxy loads what was checked: verified before it loads, and again afterwards. Raises DeploymentFailed."""
        try:
            self.open(release.number, kinds)
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
        self._shared.collect()

    def sweep(self) -> None:
        """Delete what a crash left half written or half deleted. Only while nobody stages."""
        for path in (*self.root.glob(".tmp-*"), *self.root.glob(".gone-*")):
            shutil.rmtree(path, ignore_errors=True)
        self._shared.collect()
        for path in self.link.parent.glob(".current-*"):
            path.unlink(missing_ok=True)

    def numbers(self) -> list[int]:
        return sorted(int(path.name) for path in self.root.glob("[0-9]*") if path.name.isdigit())


def _changed(number: int, name: str) -> ReleaseDamaged:
    return ReleaseDamaged(f"{name} of release {number} was changed outside guardpanel.")


def _differing(listed: Mapping[str, str], current: Mapping[str, str]) -> frozenset[str]:
    return frozenset(name for name, digest in listed.items() if current.get(name) != digest)
