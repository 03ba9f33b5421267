"""Run an engine's check, bounded: its whole process group ends at the limit, and it inherits nothing of ours."""

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from guardpanel.engines.patience import LOOKS, Patience
from guardpanel.errors import StorageFailed

IDLE = 10.0
"Seconds in which a check does nothing until it is ended: it hangs. One that waits for the processor is only slow."

CPU_SECONDS = 20
LARGEST_OUTPUT = 1024 * 1024


@dataclass(frozen=True)
class Completed:
    code: int
    output: str
    "stdout and stderr."
    timed_out: bool = False


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for what a check reads, gone at the end. Raises StorageFailed where it cannot be written."""
    try:
        with tempfile.TemporaryDirectory(prefix="guardpanel-") as folder:
            yield Path(folder)
    except OSError as error:
        raise StorageFailed(f"A temporary file for the check can’t be written: {error.strerror or error}.") from error


def clean_environment() -> dict[str, str]:
    """HAProxy can print its environment (`show env`), so it gets none of the panel's."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


async def run(command: Sequence[str | Path], *, cwd: Path | None = None, memory_kib: int | None = None) -> Completed:
    """The command's exit code and output; killed with all its children once it hangs.

    In a thread: uvloop's own subprocesses fork the whole panel, which costs some 15 ms; `subprocess` uses vfork.
    """
    return await asyncio.to_thread(run_here, list(map(str, command)), cwd, memory_kib)


def run_here(
    command: list[str], cwd: Path | None = None, memory_kib: int | None = None, stdin: int = subprocess.DEVNULL
) -> Completed:
    """The same in the caller's own thread."""
    limits = f"ulimit -t {CPU_SECONDS}" + (f"; ulimit -v {memory_kib}" if memory_kib else "")
    with subprocess.Popen(
        ["/bin/sh", "-c", f'{limits}; exec "$@"', "sh", *command],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=clean_environment(),
        start_new_session=True,
    ) as process:
        try:
            output = _waited_for(process)
        except subprocess.TimeoutExpired:
            return Completed(-1, f"no response within {IDLE:.0f} s", timed_out=True)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return Completed(process.returncode, output[:LARGEST_OUTPUT].decode("utf-8", "replace"))


def _waited_for(process: "subprocess.Popen[bytes]") -> bytes:
    """Its output; TimeoutExpired when it does nothing more. What it may use of the processor is limited besides."""
    patience = Patience(IDLE, lambda: (process.pid,))
    while True:
        try:
            return process.communicate(timeout=IDLE / LOOKS)[0]
        except subprocess.TimeoutExpired:
            if patience.is_over:
                raise
