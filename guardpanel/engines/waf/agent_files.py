"""The agent's configuration file: reading it, and writing it in a readable form."""

import hashlib
import json
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import yaml

from guardpanel import readable_yaml
from guardpanel.engines.files import content_of
from guardpanel.engines.releases import Release
from guardpanel.kept import Kept


@lru_cache(maxsize=2)
def union(documents: tuple[bytes, ...], keep: frozenset[str] | None) -> bytes:
    """The first configuration plus the applications of the others. Cached, since most saves change none."""
    union: dict[str, Any] = readable_yaml.read(documents[0])
    applications = {app["name"]: app for app in union["applications"]}
    for content in documents[1:]:
        for app in entries(content) or []:
            if keep is None or app["name"] in keep:
                applications.setdefault(app["name"], app)
    items = "".join(
        _written.get(repr(app), partial(readable_yaml.written, [app])) for _, app in sorted(applications.items())
    )
    head = readable_yaml.written({name: value for name, value in union.items() if name != "applications"})
    return f"{head}applications:{f'{chr(10)}{items}' if items else f' []{chr(10)}'}".encode()


_written: Kept[str] = Kept(16_000_000, len)
"An application's list item, since a save changes few."


def entries(content: bytes) -> list[dict[str, Any]] | None:
    """The applications in an agent configuration. None if it is unreadable: it may have been edited."""
    try:
        applications = readable_yaml.read(content)["applications"]
        return [{**app, "name": str(app["name"])} for app in applications]
    except (yaml.YAMLError, ValueError, TypeError, KeyError):
        return None


def applications_in(content: bytes) -> dict[str, bytes] | None:
    """The SHA-256 of each application in an agent configuration, by name. None if it is unreadable."""
    return _digests.get(hashlib.sha256(content).digest(), lambda: _digests_of(content))


def _digests_of(content: bytes) -> dict[str, bytes] | None:
    applications = entries(content)
    return None if applications is None else {app["name"]: _digest_of(app) for app in applications}


def _digest_of(application: dict[str, Any]) -> bytes:
    return hashlib.sha256(json.dumps(application, sort_keys=True, default=str).encode()).digest()


_digests = Kept[dict[str, bytes] | None](5_000, lambda digests: 1 + len(digests or ()))
"""By the SHA-256 of the configuration. Saves compare several of them, of hundreds of kilobytes each: none is held for that. At
most so many applications."""


def read_configuration(release: Release) -> bytes:
    return content_of(release.path / "coraza.yaml")


def write_yaml(path: Path, document: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(document, width=10**6))
