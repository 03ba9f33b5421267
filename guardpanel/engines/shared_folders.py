"""Folders of private keys that releases share: a save that replaces no certificate links one folder, not a thousand files.

A folder is named by what is in it, and never changes. A release has a symlink in its place.
"""

import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from guardpanel.bundle import digest_of
from guardpanel.engines.files import Digests, exchange, sync_directory, write_new
from guardpanel.kept import KeptLast

SHARED = "shared"

FOLDER_MODE, FILE_MODE = 0o700, 0o600


class SharedFolders:
    def __init__(self, releases: Path, digests: Digests) -> None:
        self.releases, self.root, self._digests = releases, releases / SHARED, digests
        self._folders = KeptLast[Mapping[str, tuple[str, Mapping[str, str]]]]()
        self.lock = threading.Lock()
        "An old release is deleted beside a save: from the first link in a draft until the draft has its place, nothing is."

    def link(self, release: Path, files: Mapping[str, bytes], hashes: Mapping[str, str], before: Path) -> None:
        """Place links in a release to folders with these files, such as `certs/17.pem`. A folder is written if it is missing or
        was changed; what equals a file of the release `before` is a hard link. Only with the `lock`. Raises OSError."""
        for folder, (digest, its) in self._folders.get(hashes, lambda: _by_folder(hashes)).items():
            shared = self.root / digest
            (release / folder).symlink_to(f"../{SHARED}/{digest}")  # First: what nothing links to is deleted.
            if not self._is_whole(shared, its):
                self._write(shared, {file: files[f"{folder}/{file}"] for file in its}, its, before / folder)

    def _is_whole(self, folder: Path, hashes: Mapping[str, str]) -> bool:
        try:
            return all(self._is_as(f"{folder}/{name}", digest) for name, digest in hashes.items())
        except OSError:
            return False

    def _is_as(self, path: str, digest: str) -> bool:
        return self._digests.of(path, FILE_MODE) == digest

    def _write(self, folder: Path, files: Mapping[str, bytes], hashes: Mapping[str, str], before: Path) -> None:
        draft = self.releases / f".tmp-{folder.name}-{os.getpid()}"
        self.root.mkdir(mode=FOLDER_MODE, exist_ok=True)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=FOLDER_MODE)
        try:
            for name, content in files.items():
                self._place(f"{draft}/{name}", content, f"{before}/{name}", hashes[name])
            sync_directory(draft)
            if folder.exists():
                exchange(draft, folder)
            else:
                draft.rename(folder)
            sync_directory(self.root)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _place(self, path: str, content: bytes, before: str, digest: str) -> None:
        try:
            if self._is_as(before, digest):
                os.link(before, path)
                return
        except OSError:
            pass  # There is no previous one, or the file system has no links.
        write_new(Path(path), content, FILE_MODE)

    def forget_in(self, release: Path, names: Collection[str]) -> None:
        """Take the links out of a release, or these files if an earlier version wrote it. `collect` deletes what nothing links
        to."""
        links = {link.name: link for link in _links(release)}
        for link in links.values():
            link.unlink(missing_ok=True)
        for name in names:
            if name.partition("/")[0] not in links:  # Else there are a thousand that are not there.
                (release / name).unlink(missing_ok=True)

    def collect(self) -> None:
        """Delete the folders that no release, or draft of one, links to. None while one cannot be read: it may have links."""
        with self.lock, suppress(OSError):
            folders = [*self.root.iterdir()]
            used = {link.readlink().name for release in self._releases() for link in _links(release)}
            for folder in folders:
                if folder.name not in used:
                    shutil.rmtree(folder, ignore_errors=True)

    def _releases(self) -> Iterator[Path]:
        return (path for path in self.releases.iterdir() if not path.name.startswith((SHARED, ".gone-")))


def _by_folder(hashes: Mapping[str, str]) -> Mapping[str, tuple[str, Mapping[str, str]]]:
    """Each folder's digest, and the hashes of its files."""
    folders: dict[str, dict[str, str]] = defaultdict(dict)
    for name, digest in hashes.items():
        folder, _, file = name.partition("/")
        folders[folder][file] = digest
    return {folder: (digest_of(its), its) for folder, its in folders.items()}


def _links(release: Path) -> Iterator[Path]:
    with suppress(NotADirectoryError), os.scandir(release) as entries:
        yield from [Path(entry.path) for entry in entries if entry.is_symlink()]
