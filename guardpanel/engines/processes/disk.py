"""Whether the data directory can be written: pages report it before a save fails."""

import os
import shutil
from pathlib import Path

ROOM = 32 * 1024 * 1024
"Bytes. A save writes a few MB, and SQLite needs some space even to free space."


def trouble(data_dir: Path) -> str:
    """The problem, or empty."""
    try:
        free = shutil.disk_usage(data_dir).free
    except OSError as error:
        return f"The data directory is not readable: {error.strerror}."
    if not os.access(data_dir, os.W_OK | os.X_OK):
        return "The data directory is not writable."
    if free < ROOM:
        return f"The disk with the data directory is full ({free // 1024:,} KiB free)."
    return ""
