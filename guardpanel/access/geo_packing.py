"""Copies of files with data about addresses, unpacked if they are compressed: many are published as `.mmdb.gz`."""

import errno
import gzip
import os
import zlib
from pathlib import Path
from typing import IO

from guardpanel.access.geo_files import NotReadable

LARGEST_FILE = 256 * 1024 * 1024
"Bytes, also of what is in a compressed one."

CHUNK = 1024 * 1024
GZIP = b"\x1f\x8b"


def unpack(source: Path, target: Path) -> None:
    """Synced. Raises NotReadable, and OSError."""
    if not source.is_file() and source.exists():
        raise OSError(errno.EINVAL, "not a regular file")  # A pipe would never end.
    with source.open("rb") as file, target.open("wb") as copy:
        is_packed = file.read(len(GZIP)) == GZIP
        file.seek(0)
        if is_packed:
            with gzip.open(file) as inner:
                _pour(inner, copy)
        else:
            _pour(file, copy)
        copy.flush()
        os.fsync(copy.fileno())


def _pour(source: IO[bytes] | gzip.GzipFile, target: IO[bytes]) -> None:
    size = 0
    while chunk := _next(source):
        size += len(chunk)
        if size > LARGEST_FILE:
            raise too_large()
        target.write(chunk)


def _next(source: IO[bytes] | gzip.GzipFile) -> bytes:
    try:
        return source.read(CHUNK)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise NotReadable("It is damaged") from error


def too_large() -> NotReadable:
    return NotReadable(f"It is larger than {LARGEST_FILE >> 20} MiB")
