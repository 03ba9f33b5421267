"""Older parts of an append-only log: `access.json.00000000000067108864` begins at that byte offset."""

import re
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
