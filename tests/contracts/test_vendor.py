"""The vendored assets are the recorded ones, and every icon that a template names exists."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "guardpanel"
STATIC = PACKAGE / "static"
LOCK = json.loads((STATIC / "vendor" / "VENDOR.json").read_text())
FILES = {path: recorded for entry in LOCK for path, recorded in entry["files"].items()}


@pytest.mark.parametrize("path", FILES)
def test_a_vendored_file_is_the_recorded_one(path: str) -> None:
    digest = hashlib.sha384((STATIC / path).read_bytes()).digest()

    assert FILES[path] == f"sha384-{base64.b64encode(digest).decode()}"


def test_nothing_else_lies_among_the_vendored_files() -> None:
    files = {f"vendor/{file.name}" for file in (STATIC / "vendor").iterdir()}

    assert files - set(FILES) == {"vendor/VENDOR.json"}


def test_each_package_names_its_version_licence_and_tarball() -> None:
    for entry in LOCK:
        assert entry["version"] and entry["licence"]
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", entry["tarball"])


def test_every_icon_that_a_template_names_is_in_the_sprite() -> None:
    sprite = set(re.findall(r'<symbol id="([a-z0-9-]+)"', (STATIC / "icons.svg").read_text()))
    named = {
        name
        for template in (PACKAGE / "templates").rglob("*.html")
        for name in re.findall(r"""icon\(["']([a-z0-9-]+)["']""", template.read_text())
    }

    assert named <= sprite
