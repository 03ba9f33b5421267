"""Whether the data directory takes writes: what keeps a save from being kept is said before somebody tries one."""

import os
import shutil
from pathlib import Path

ROOM = 32 * 1024 * 1024
"Bytes: a save writes a few MB, and SQLite needs some to free any."


def trouble(data_dir: Path) -> str:
    """What is wrong, in words; empty where nothing is."""
    try:
        free = shutil.disk_usage(data_dir).free
    except OSError as error:
        return f"The data directory is not readable: {error.strerror}."
    if not os.access(data_dir, os.W_OK | os.X_OK):
        return "The data directory is not writable."
    if free < ROOM:
        return f"The disk with the data directory is full ({free // 1024:,} KiB free)."
    return ""
