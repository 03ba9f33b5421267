"""Waiting for an engine: as long as it works, and no longer than is right where it does not."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from guardpanel.engines.processes import patience
from guardpanel.engines.processes.patience import LONGEST, Patience
from tests.live.processes import hanging
from tests.live.stack import wait_until


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(patience, "monotonic", clock)
    return clock


@contextmanager
def process(code: str) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", code]) as started:
        try:
            yield started.pid
        finally:
            started.send_signal(signal.SIGKILL)


def is_over_after(waiting: Patience, clock: Clock, seconds: int) -> bool:
    """SaveRequest each second; a process has used the processor between two looks where it ever does."""
    for _ in range(seconds):
        clock.now += 1
        if waiting.is_over:
            return True
    return False


def has_used_more(pid: int, used: int) -> bool:
    return patience._stat(pid)[1] > used


def test_who_works_is_waited_for(clock: Clock) -> None:
    with process("while True: pass") as pid:
        waiting = Patience(8, lambda: {pid})

        for _ in range(60):
            used = patience._stat(pid)[1]
            wait_until(partial(has_used_more, pid, used), "it has used the processor")
            clock.now += 1
            assert not waiting.is_over


def test_who_works_for_ever_is_waited_for_no_longer_than_that(clock: Clock) -> None:
    with process("while True: pass") as pid:
        waiting = Patience(8, lambda: {pid})
        clock.now += LONGEST

        assert waiting.is_over


def test_who_hangs_is_not_waited_for(clock: Clock) -> None:
    with process("import time; time.sleep(1000)") as pid:
        wait_until(lambda: patience._stat(pid)[0] == "S", "it sleeps")

        assert is_over_after(Patience(8, lambda: {pid}), clock, 16)


def test_who_is_stopped_is_not_waited_for(clock: Clock) -> None:
    with process("while True: pass") as pid, hanging(pid):
        assert is_over_after(Patience(8, lambda: {pid}), clock, 9)


def test_who_is_gone_is_not_waited_for(clock: Clock) -> None:
    with process("pass") as pid:
        waiting = Patience(8, lambda: {pid})
    assert is_over_after(waiting, clock, 9)


def test_no_process_is_given_up_early(clock: Clock) -> None:
    assert not is_over_after(Patience(8, lambda: ()), clock, 7)
