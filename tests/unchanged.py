"""Tests of the tests run when what they test has changed.

A fault planted in the product shows that a sweep or an oracle would see one: that stays true as long as neither it nor what the
fault is planted in changes. So `pytest.mark.test_of("tests/crash", …)` names folders; with the same files there as when the
test last passed on this machine, it is skipped, as `go test` skips what it has cached. The cache lies outside of the
checkout (XDG_CACHE_HOME): a machine that has none, as CI's, runs all; so does `make nightly` (GUARDPANEL_TEST_ALL=1).
"""

import contextlib
import functools
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALWAYS = ("requirements-dev.lock", "tests/haproxies.py", "tests/unchanged.py", ".tools/haproxies")
KINDS = {".py", ".j2", ".lock", ""}


@functools.cache
def digest(folders: tuple[str, ...]) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(file for folder in (*folders, *ALWAYS) for file in files(ROOT / folder)):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def files(place: Path) -> Iterator[Path]:
    files = [place] if place.is_file() else place.rglob("*")
    yield from (path for path in files if path.suffix in KINDS and path.is_file())


def green(item: pytest.Item) -> Path:
    """Where the digest of its last good run is kept."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "guardpanel" / "green" / hashlib.sha256(f"{ROOT}\0{item.nodeid}".encode()).hexdigest()


def pytest_runtest_setup(item: pytest.Item) -> None:
    mark, kept = item.get_closest_marker("test_of"), green(item)
    if mark and "GUARDPANEL_TEST_ALL" not in os.environ and kept.exists() and kept.read_text() == digest(mark.args):
        pytest.skip("passed before, with the same " + ", ".join(mark.args))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.when == "call" and report.passed and (mark := item.get_closest_marker("test_of")):  # type: ignore[attr-defined]
        with contextlib.suppress(OSError):  # where nothing can be kept, it runs again
            green(item).parent.mkdir(parents=True, exist_ok=True)
            green(item).write_text(digest(mark.args))
    return report
