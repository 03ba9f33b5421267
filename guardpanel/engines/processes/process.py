"""Runs an engine's check with limits: its whole process group is killed at the limit, and it inherits nothing from us."""

import asyncio
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from guardpanel.engines.processes.patience import LOOKS, Patience
from guardpanel.errors import StorageFailed

T = TypeVar("T")

IDLE = 10.0
"Seconds of inactivity after which a check counts as hanging. One that waits for the CPU is only slow."

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
    """A directory for a check's input, deleted at the end. Raises StorageFailed if it cannot be written."""
    try:
        with tempfile.TemporaryDirectory(prefix="guardpanel-") as folder:
            yield Path(folder)
    except OSError as error:
        raise StorageFailed(f"A temporary file for the check can’t be written: {error.strerror or error}.") from error


def clean_environment() -> dict[str, str]:
    """HAProxy can print its environment (`show env`), so it gets none of the panel's variables."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def environment_of_engines() -> dict[str, str]:
    """With huge pages for what malloc takes from the system (glibc 2.35 and later, where the kernel permits `madvise`): HAProxy
    reads lists with 100,000 entries in three quarters of the time, as it asks for an eighth as many pages."""
    return clean_environment() | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


async def in_thread(work: Callable[[], T]) -> T:
    """If this is canceled, the thread is awaited first: the folder that it writes to is deleted then."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def run(command: Sequence[str | Path], *, cwd: Path | None = None, memory_kib: int | None = None) -> Completed:
    """The command's exit code and output. Killed with all its children if it hangs, or if this is canceled. Runs in a thread:
    uvloop's subprocesses fork the whole panel, which costs some 15 ms, while `subprocess` uses vfork."""
    unwanted = threading.Event()
    try:
        return await asyncio.to_thread(run_here, list(map(str, command)), cwd, memory_kib, unwanted=unwanted)
    finally:
        unwanted.set()


def run_here(
    command: list[str],
    cwd: Path | None = None,
    memory_kib: int | None = None,
    stdin: int = subprocess.DEVNULL,
    unwanted: threading.Event | None = None,
) -> Completed:
    """The same in the caller's thread. It is killed once it is `unwanted`."""
    limits = f"ulimit -t {CPU_SECONDS}" + (f"; ulimit -v {memory_kib}" if memory_kib else "")
    with subprocess.Popen(
        ["/bin/sh", "-c", f'{limits}; exec "$@"', "sh", *command],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=environment_of_engines(),
        start_new_session=True,
    ) as process:
        try:
            output = _waited_for(process, unwanted or threading.Event())
        except subprocess.TimeoutExpired:
            return Completed(-1, f"no response within {IDLE:.0f} s", timed_out=True)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return Completed(process.returncode, output[:LARGEST_OUTPUT].decode("utf-8", "replace"))


def _waited_for(process: "subprocess.Popen[bytes]", unwanted: threading.Event) -> bytes:
    """Its output. Raises TimeoutExpired if it becomes inactive or unwanted. Its CPU time is limited, too."""
    patience = Patience(IDLE, lambda: (process.pid,))
    while True:
        try:
            return process.communicate(timeout=IDLE / LOOKS)[0]
        except subprocess.TimeoutExpired:
            if patience.is_over or unwanted.is_set():
                raise
