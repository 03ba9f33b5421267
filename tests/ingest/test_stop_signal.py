"""The ingest ends when it is told to, at whatever moment that comes."""

import subprocess
import sys

TOLD_OFTEN = """
import os, signal, threading
from guardpanel.ingest.stop_signal import StopSignal

for round in range(300):
    ending = StopSignal()
    telling = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGTERM if round % 2 else signal.SIGINT))
    telling.start()
    while not ending.is_set():
        ending.wait(0.0001)
    telling.join()
    assert ending.is_set()
"""


def test_it_stops_at_any_time() -> None:
    done = subprocess.run([sys.executable, "-c", TOLD_OFTEN], capture_output=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, b"")
