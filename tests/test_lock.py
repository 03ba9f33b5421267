"""One panel on a data directory, for as long as it lives and not a moment longer."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guardpanel.cli import main
from guardpanel.errors import Busy
from guardpanel.lock import only_one, only_panel

HOLD = """
import sys, subprocess
from pathlib import Path
from guardpanel.lock import only_panel
with only_panel(Path(sys.argv[1])):
    child = subprocess.Popen(["sleep", "60"])
    print(child.pid, flush=True)
    sys.stdin.read()
"""


def test_a_second_panel_is_refused_until_the_first_is_gone(folder: Path) -> None:
    lock = folder / "made" / "panel.lock"
    with only_panel(lock), pytest.raises(Busy, match="already running on"), only_panel(lock):
        pass

    with only_panel(lock):
        assert lock.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("command", ["up", "serve"])
def test_the_command_says_that_a_panel_runs(folder: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("GUARDPANEL_DATA_DIR", str(folder))
    with only_panel(folder / "panel.lock"):
        done = CliRunner().invoke(main, [command])

    assert (done.exit_code, done.output) == (1, f"guardpanel: Another panel is already running on {folder}.\n")


def test_a_killed_panel_leaves_no_lock_though_what_it_started_lives_on(folder: Path) -> None:
    """HAProxy and the agent outlive a panel that is killed: they must not hold its lock."""
    lock = folder / "panel.lock"
    held = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with held:
        assert held.stdout
        child = int(held.stdout.readline())
        with pytest.raises(Busy), only_panel(lock):
            pass
        held.kill()
        held.wait()
    try:
        assert Path(f"/proc/{child}").exists()
        with only_panel(lock):
            assert lock.read_text().strip().isdigit()
    finally:
        subprocess.run(["kill", f"-{signal.SIGTERM.value}", str(child)], check=True)


def test_the_next_save_is_not_refused_for_a_child_that_was_forked_in_the_one_before(folder: Path) -> None:
    """On a busy machine a child lives on for a while before it runs its program. Until then it has all open files of the panel."""
    lock = folder / "lock"
    waits, ends = os.pipe()
    with only_one(lock):
        child = os.fork()
        if child == 0:
            os.close(ends)
            os.read(waits, 1)
            os._exit(0)
    try:
        with only_one(lock):
            pass
    finally:
        os.close(waits)
        os.close(ends)
        os.waitpid(child, 0)
