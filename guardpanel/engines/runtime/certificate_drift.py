"""Certificates as HAProxy's newest worker has them, compared with a release: the Runtime API can replace them, too.

Each is asked for within a minute, and they are asked for by handshakes in turns: HAProxy's answer can be untrue
(`engines/runtime/swapping.py`).
"""

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from guardpanel.engines.differences import Drift, Place
from guardpanel.engines.files import content_of
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.releases import Releases
from guardpanel.engines.runtime.map_drift import BY_RUNTIME_API
from guardpanel.engines.tls.handshakes import difference, first_of
from guardpanel.engines.verify import Verifier

LOOKS = 20
"In a minute, at least: each is for a share of the certificates."

MOST = 50
"Certificates in a look. HAProxy answers for as many in 5 ms."


class CertificateInspector:
    def __init__(self, cli: MasterCli, verifier: Verifier, releases: Releases) -> None:
        self.cli, self.verifier, self.releases = cli, verifier, releases
        self._next, self._next_handshake = 0, 0

    async def inspect(self, number: int) -> list[Drift]:
        """What differs from the files of a release: some per call, and the same while it differs. Raises EngineUnavailable."""
        lines, release = self.verifier.certificate_lines, self.releases.root / str(number)
        if not lines:
            return []
        wrong = await self._loaded(dict(lines), release) or await self._served(lines, release)
        return [Drift(Place.HAPROXY, f"{wrong} {BY_RUNTIME_API}")] if wrong else []

    async def _loaded(self, names: dict[str, str], release: Path) -> str | None:
        """By HAProxy's own account. `names`: of each file, a name that gets it."""
        files = _share(list(names), self._next)
        loaded = await self.cli.certificate_fingerprints(files)
        for file in files:
            wanted = await asyncio.to_thread(_fingerprint, release / file)
            if wanted and loaded.get(file) != wanted:
                return f"HAProxy has another certificate for {names[file]} than {file}."
        self._next += len(files)
        return None

    async def _served(self, lines: Sequence[tuple[str, str]], release: Path) -> str | None:
        wrong = await difference(self.verifier.handshakes, release, *lines[self._next_handshake % len(lines)])
        self._next_handshake += wrong is None
        return wrong


def _share(files: Sequence[str], start: int) -> list[str]:
    count = min(MOST, -(-len(files) // LOOKS))
    return [files[at % len(files)] for at in range(start, start + count)]


def _fingerprint(path: Path) -> str:
    """Empty for a file that cannot be read, which is reported with the files."""
    with suppress(OSError, ValueError):
        return hashlib.sha1(first_of(content_of(path)), usedforsecurity=False).hexdigest().upper()
    return ""
