"""A test that hangs fails, and says where it hangs."""

import subprocess
import sys
import time
from pathlib import Path

from tests.hangs import kept_up, left
from tests.panel import ROOT

HANGING = """
import asyncio
import threading
import time
import pytest

@pytest.fixture
def anyio_backend():
    return "asyncio", {"use_uvloop": True}

@pytest.fixture
async def torn_down():
    yield
    print("torn down")

@pytest.fixture
async def fixture_that_hangs():
    await asyncio.sleep(1000)  # in the fixture

async def child():
    await asyncio.Event().wait()  # in a child

@pytest.mark.anyio
async def test_waits(torn_down):
    await asyncio.gather(asyncio.sleep(0), asyncio.create_task(child()))

@pytest.mark.anyio
async def test_with_a_fixture(fixture_that_hangs):
    pass

def test_blocks():
    threading.Event().wait()  # in no loop

def test_goes_on():
    pass
"""


def test_each_hang_fails_where_it_is_and_the_next_test_runs(tmp_path: Path) -> None:
    file = tmp_path / "test_hanging.py"
    file.write_text(HANGING)
    plugins = ("-p", "tests.hangs", "-p", "no:playwright", "-p", "no:hypothesispytest", "-p", "no:xdist")
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", *plugins, "--timeout", "2", str(file)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)

    assert "2 failed, 1 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("Failed: hangs: not over after 2 s") >= 3
    for place in ("await asyncio.gather(", "# in the fixture", "# in a child", "# in no loop", "torn down"):
        assert place in done.stdout, place


def test_seconds_of_a_busy_machine_do_not_count_up_to_three_limits() -> None:
    assert left(limit=60, took=60, counted=60) == 0
    assert left(limit=60, took=60, counted=20) == 40
    assert left(limit=60, took=170, counted=20) == 10
    assert left(limit=60, took=180, counted=20) == 0


def test_the_clock_of_limits_stands_still_while_a_processor_or_the_disk_is_waited_for(tmp_path: Path) -> None:
    for resource, microseconds in (("cpu", 2_000_000), ("io", 3_000_000)):
        line = f"some avg10=0.00 avg60=0.00 avg300=0.00 total={microseconds}"
        (tmp_path / resource).write_text(f"{line}\n{line.replace('some', 'full')}\n")

    before, kept, after = time.monotonic(), kept_up(tmp_path), time.monotonic()

    assert before <= kept + 3 <= after
    assert kept_up(tmp_path / "no such folder") == 0
