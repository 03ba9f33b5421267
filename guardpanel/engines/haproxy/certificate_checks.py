"""What `haproxy -c` reads of the certificates: those that have not passed it before. Each costs it a millisecond of the
processor, and all of them would cost each save of anything a second per thousand."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from guardpanel.bundle import Bundle
from guardpanel.engines.releases import Release

LIST = "crt-list.txt"

SETTINGS = re.compile(rb"^ +(?:bind .* ssl |ssl-|tune\.ssl).*$", re.MULTILINE)
"Lines of haproxy.cfg under which a certificate passes."


class CertificateChecks:
    def __init__(self) -> None:
        self._passed: frozenset[str] = frozenset()
        "Digests of the list's lines in the last configuration that passed."

    @contextmanager
    def folder(self, release: Release, bundle: Bundle, haproxy: str) -> Iterator[Path]:
        """The release's files, with a list of only the lines that must be checked. `haproxy`: which binary checks them. If the
        block ends without an error, the configuration has passed."""
        lines = bundle.files.get(LIST, b"").decode().splitlines()
        around = repr((haproxy, SETTINGS.findall(bundle.files["haproxy.cfg"]))).encode()
        named = {**bundle.hashes["files"], **bundle.hashes["secrets"]}
        digests = [_digest(line, named, around) for line in lines]
        new = [line for line, digest in zip(lines, digests, strict=True) if digest not in self._passed]
        left = new if lines[:1] == new[:1] else [*lines[:1], *new]
        if len(left) == len(lines):
            yield release.path
        else:
            with _with_list(release.path, "".join(f"{line}\n" for line in left)) as folder:
                yield folder
        self._passed = frozenset(digests)


def _digest(line: str, named: Mapping[str, str], around: bytes) -> str:
    """Of everything on which it depends whether HAProxy accepts this line, files that it names included. `named`: hash of each
    file."""
    files = [digest for word in re.split(r"[\s\[\]]+", line) if (digest := named.get(word))]
    return hashlib.sha256(b"\0".join((around, line.encode(), *(digest.encode() for digest in files)))).hexdigest()


@contextmanager
def _with_list(release: Path, lines: str) -> Iterator[Path]:
    """A folder that `Releases.sweep` deletes if we are killed. The release itself if the disk cannot be written."""
    folder = release.with_name(f".tmp-check-{release.name}-{os.getpid()}")
    try:
        try:
            _fill(folder, release, lines)
        except OSError:
            yield release
        else:
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fill(folder: Path, release: Path, lines: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for path in release.iterdir():
        if path.name != LIST:
            (folder / path.name).symlink_to(Path("..") / release.name / path.name)
    (folder / LIST).write_text(lines)
