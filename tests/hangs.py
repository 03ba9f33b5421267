"""A test that hangs fails at its limit, with the stack of where it waits.

A limit is of seconds in which the machine kept up. While something on it waited for a processor or the disk, a test is slow
through no fault of its own, so those seconds do not count, up to `STRETCH` limits. Where the kernel does not count them, a test
has all of that.

pytest-timeout's alarm raises in the middle of whatever runs. While an event loop of uvloop waits, nothing runs that could
raise: there the test's own task gets the failure in place of what it waits for. Whatever goes on even so has its process
ended after a grace, with the stacks of all threads; pytest-xdist then names the test and goes on with another process.
"""

import asyncio
import contextlib
import faulthandler
import io
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from pytest_timeout import Settings, is_debugging

GRACE = 60.0
"Seconds for fixtures to be torn down after a test has hung."

LIMITS = {"live": 180, "e2e": 180, "load": 180, "parsers": 180, "interleavings": 600, "crash": 600}
"""Seconds by folder of tests, with fixtures: of those that start engines, browsers or other servers, and of sweeps. pyproject.toml
has the limit of all others."""

STRETCH = 3
"How many limits long a test may take on a machine that is busy all the time."

PRESSURE = Path("/proc/pressure")
"Since when the machine runs, for how long something on it waited: https://docs.kernel.org/accounting/psi.html."

TESTS = Path(__file__).parent
stderr = os.dup(2)
"As it is before pytest takes it."


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
        if folder in LIMITS:
            item.add_marker(pytest.mark.timeout(LIMITS[folder]))


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(settings: Settings) -> bool:
    began, kept_up_before = time.monotonic(), kept_up()

    def hangs(*_: object) -> None:
        if is_debugging():
            return
        if (more := left(settings.timeout, time.monotonic() - began, kept_up() - kept_up_before)) > 0:
            set_alarm(more, hangs)
            return
        set_alarm(GRACE, end)
        failure = pytest.fail.Exception("\n".join([f"hangs: not over after {settings.timeout:.0f} s", *stacks()]))
        waits_for = awaited()
        if waits_for is None:
            raise failure
        waits_for.get_loop().call_soon_threadsafe(give, waits_for, failure)

    set_alarm(settings.timeout, hangs)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_cancel_timer() -> bool:
    signal.setitimer(signal.ITIMER_REAL, 0)
    return True


def left(limit: float, took: float, counted: float) -> float:
    """Seconds until the limit is reached at the earliest."""
    return min(limit - counted, STRETCH * limit - took)


def kept_up(pressure: Path = PRESSURE) -> float:
    """A clock that stands still while something on this machine waits for a processor or the disk; if that is unknown, always."""
    try:
        return time.monotonic() - max(stalled(pressure / resource) for resource in ("cpu", "io"))
    except OSError:
        return 0.0


def stalled(resource: Path) -> float:
    """Seconds for which at least one task waited for it."""
    some = resource.read_text().splitlines()[0]
    return int(some.rpartition("total=")[2]) / 1_000_000


def set_alarm(seconds: float, rings: Any) -> None:
    signal.signal(signal.SIGALRM, rings)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def awaited() -> "asyncio.Future[Any] | None":
    """What the test or its fixture waits for, if it is in anyio's loop and that waits."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    if asyncio.current_task(loop) is not None:
        return None
    waiting: Any = next((task for task in asyncio.all_tasks(loop) if is_runner(task)), None)
    while isinstance(waiting, asyncio.Task):
        waiting = waiting._fut_waiter  # type: ignore[attr-defined]
    return waiting  # type: ignore[no-any-return]


def is_runner(task: "asyncio.Task[Any]") -> bool:
    """anyio's task that runs a test's coroutine and its fixtures'."""
    return getattr(task.get_coro(), "__qualname__", "").endswith("._run_tests_and_fixtures")


def give(waits_for: "asyncio.Future[Any]", failure: BaseException) -> None:
    if not waits_for.done():
        waits_for.set_exception(failure)


def stacks() -> Iterator[str]:
    """Of other threads and of tasks; the failure itself has that of the test."""
    frames = sys._current_frames()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.ident in frames:
            yield f"--- {thread.name}\n{''.join(traceback.format_stack(frames[thread.ident]))}"
    with contextlib.suppress(RuntimeError):  # no loop runs
        for task in asyncio.all_tasks(asyncio.get_running_loop()):
            waits = io.StringIO()
            task.print_stack(file=waits)
            yield f"--- {waits.getvalue()}"


def end(_signal: int, _frame: FrameType | None) -> None:
    faulthandler.dump_traceback(stderr, all_threads=True)
    os._exit(1)
