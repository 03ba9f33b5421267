"""Logs that are rotated while the disk is full."""

import errno
import os
from pathlib import Path

import pytest

from guardpanel.engines.processes import rotation


@pytest.fixture
def log(folder: Path) -> Path:
    """With three that were rotated before."""
    for at in (1, 2, 3):
        (folder / f"agent.log.{at}").write_text(f"older {at}")
    path = folder / "agent.log"
    path.write_text("now")
    return path


def contents(log: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in log.parent.glob("agent.log*")}


def test_a_rotation_pushes_out_the_oldest_alone(log: Path) -> None:
    rotation.rotate(log)

    assert contents(log) == {
        "agent.log": "", "agent.log.1": "now", "agent.log.2": "older 1", "agent.log.3": "older 2",
    }  # fmt: skip


@pytest.mark.parametrize("rotate", [rotation.rotate, lambda path: rotation.rotate_access_log(path, largest=0)])
def test_a_full_disk_costs_no_log_however_often_it_is_tried(
    log: Path, monkeypatch: pytest.MonkeyPatch, rotate: object
) -> None:
    before = contents(log)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for _ in range(4):
        with pytest.raises(OSError, match="No space left"):
            rotate(log)  # type: ignore[operator]

    assert contents(log) == before
