"""Unix sockets of programs that have just been started."""

import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

DEADLINE = 60.0
"""Seconds for a start, and for an answer."""


def connected(path: Path, process: subprocess.Popen[bytes]) -> socket.socket:
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end and process.poll() is None:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(DEADLINE)
        with suppress(FileNotFoundError, ConnectionRefusedError):
            connection.connect(str(path))
            return connection
        connection.close()
        time.sleep(0.01)
    raise AssertionError(f"nobody listens on {path}")
