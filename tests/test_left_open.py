"""What one test leaves open fails no other one."""

import subprocess
import sys
from pathlib import Path

from tests.panel import ROOT

LEAVING = """
import asyncio
import gc
import socket
import pytest

pytestmark = pytest.mark.anyio
kept = []  # to the end of all tests

@pytest.fixture(scope="module")
def place():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()

@pytest.fixture(scope="module")
async def loop_of_the_module(place):
    yield

async def test_leaves_one(place, loop_of_the_module):
    connection = await asyncio.open_connection(*place)
    {assertion}

def test_leaves_a_socket(place):
    connection = socket.create_connection(place)
    {assertion}

async def test_goes_on(loop_of_the_module):
    gc.collect()
"""

NEXT = """
import pytest

@pytest.mark.anyio
async def test_of_the_next_module():
    pass
"""


def test_a_connection_left_open_costs_no_test_after_it(tmp_path: Path) -> None:
    failing = LEAVING.format(assertion="assert not place")
    passing = LEAVING.format(assertion="kept.append(connection)")
    for name, text in {"a": passing, "b": NEXT, "c": failing, "d": NEXT}.items():
        (tmp_path / f"test_{name}.py").write_text(text)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["tests.left_open"]')
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\npythonpath = " + str(ROOT))
    plugins = ("-p", "no:playwright", "-p", "no:hypothesispytest", "-p", "no:xdist")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert "2 failed, 6 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "ERROR test_a.py::test_goes_on - AssertionError: left open by this test, or" in done.stdout
    assert "unclosed resource <TCPTransport" in done.stdout
