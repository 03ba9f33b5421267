"""The short form of `make interleavings`; and the faults that it must find."""

import os
import subprocess
import sys

import pytest

from tests.interleavings.plants import PLANTS
from tests.panel import ROOT


def interleavings(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: it forks, and whoever forks must have no threads."""
    command = [sys.executable, "-m", "tests.interleavings", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


def test_no_update_is_lost_and_rows_are_what_runs() -> None:
    done = interleavings("--rounds", "20", "--seed", "1")

    assert done.returncode == 0, done.stdout + done.stderr


IN_CI = ("what_a_crash_left_stays_open", "versions_are_not_compared")
"One fault of a crash and one of people at once. The others are planted in `make nightly`."


@pytest.mark.test_of("tests/interleavings", "guardpanel/services", "guardpanel/engines")
@pytest.mark.parametrize("plant", PLANTS if "GUARDPANEL_TEST_ALL" in os.environ else IN_CI)
def test_a_planted_fault_is_found(plant: str) -> None:
    done = interleavings("--rounds", "1000", "--seed", "1", "--plant", plant)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "AssertionError" in done.stderr, done.stdout + done.stderr
