"""Older parts of an append-only log: `access.json.00000000000067108864` begins at that byte offset."""

import os
import re
from contextlib import suppress
from pathlib import Path

ENDING = re.compile(r"\.([0-9]{20})")


def archive(log: Path, start: int) -> Path:
    return log.with_name(f"{log.name}.{start:020d}")


def archives(log: Path) -> list[tuple[int, Path]]:
    """The offset at which each begins, oldest first."""
    return sorted(
        (int(match[1]), path)
        for path in log.parent.glob(f"{log.name}.*")
        if (match := ENDING.fullmatch(path.name.removeprefix(log.name)))
    )


def start_of(descriptor: int) -> int:
    """The first byte after the hole that archiving leaves. A partial block is not freed but zeroed."""
    at = 0
    with suppress(OSError):
        at = os.lseek(descriptor, 0, os.SEEK_DATA)
    while (block := os.pread(descriptor, 65_536, at)) and not block.strip(b"\0"):
        at += len(block)
    return at + len(block) - len(block.lstrip(b"\0"))
