"""What each release consists of: the hashes of its files, which its manifest lists."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import msgspec

from guardpanel.bundle import digest_of
from guardpanel.engines.files import content_of, write_atomically, write_new
from guardpanel.kept import Kept

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """SHA-256 (hex) by name. Manifests of earlier versions lack some kinds."""

    release: int
    checksum: str
    files: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)

    def of(self, kinds: Collection[str]) -> dict[str, str]:
        """Of all files of these kinds."""
        by_kind = {"files": self.files, "secrets": self.secrets, "data": self.data}
        return {name: hashed for kind in by_kind if kind in kinds for name, hashed in by_kind[kind].items()}

    @cached_property
    def secrets_digest(self) -> str:
        return digest_of(self.secrets)

    @cached_property
    def data_digest(self) -> str:
        return digest_of(self.data)

    @property
    def text(self) -> bytes:
        return json.dumps({name: getattr(self, name) for name in self.__dataclass_fields__}).encode()


NO_MANIFEST = Manifest(0, "", {})


class Manifests:
    """Read each time, and parsed once: a save asks for the same few again and again, and each may list a thousand keys."""

    MOST = 1_000_000
    "Bytes of those that are kept."

    def __init__(self, releases: Path) -> None:
        self.releases = releases
        self._kept = Kept[tuple[int, Manifest]](self.MOST, lambda kept: kept[0])

    def of(self, number: int) -> Manifest:
        """Raises OSError, and ValueError if it is none."""
        text = content_of(self.releases / str(number) / MANIFEST)
        return self._kept.get(text, lambda: (len(text), _parsed(text)))[1]

    def write(self, folder: Path, manifest: Manifest) -> None:
        """Not synced."""
        text = manifest.text
        write_new(folder / MANIFEST, text, sync=False)
        self._kept.get(text, lambda: (len(text), manifest))

    def forget_secrets(self, number: int) -> None:
        write_atomically(self.releases / str(number) / MANIFEST, replace(self.of(number), secrets={}).text)


def _parsed(text: bytes) -> Manifest:
    """Without what later versions may add."""
    try:
        return msgspec.json.decode(text, type=Manifest)
    except msgspec.DecodeError as error:
        raise ValueError(f"its {MANIFEST} is damaged: {error}") from error
