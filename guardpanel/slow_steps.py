"""Which code keeps the event loop busy, and for how long: for finding faults (GUARDPANEL_SLOW_STEP_MS).

asyncio's own monitor says how long a step took and whose it was, but not what it did then. So the loop gives a sign at
short intervals, and a thread that misses it looks at what the loop is doing.
"""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue

log = logging.getLogger(__name__)

SIGNS = 5
"In the time that a step may take."


@contextmanager
def watched(limit: float) -> Iterator[None]:
    """Log every step of the running loop that takes longer than `limit` seconds; 0: do nothing."""
    if not limit:
        yield
        return
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = limit
    watch = Watch(loop, limit)
    threading.Thread(target=watch.look, name="slow steps", daemon=True).start()
    try:
        yield
    finally:
        watch.over.set()


class Watch:
    def __init__(self, loop: asyncio.AbstractEventLoop, limit: float) -> None:
        self.loop = loop
        self.limit = limit
        self.over = threading.Event()
        self._owner = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._owner)
        self._busy_with = ""
        self._found: SimpleQueue[tuple[float, float, str]] = SimpleQueue()
        self._sign = self._times()
        self._give_sign()

    def look(self) -> None:
        """In a thread of its own, as is what takes time: what does the loop do when its sign is late?"""
        while not self.over.wait(self.limit / SIGNS):
            while not self._found.empty():
                log.warning("the event loop was blocked for %.0f ms (%.0f ms of CPU) in\n%s", *self._found.get())
            if not self._busy_with and time.monotonic() - self._sign[0] > self.limit:
                frames = traceback.walk_stack(sys._current_frames()[self._owner])
                stack = [f'  File "{one.f_code.co_filename}", line {at}, in {one.f_code.co_name}' for one, at in frames]
                # Without the text of the lines, whose reading takes longer than a step.
                self._busy_with = "\n".join(reversed(stack))

    def _times(self) -> tuple[float, float]:
        """Seconds that passed, and that the loop's thread had of a processor."""
        return time.monotonic(), time.clock_gettime(self._clock)

    def _give_sign(self) -> None:
        now = self._times()
        if self._busy_with:
            late, own = (1000 * (new - old) for new, old in zip(now, self._sign, strict=True))
            self._found.put((late, own, self._busy_with))
        self._sign, self._busy_with = now, ""
        if not self.over.is_set():
            self.loop.call_later(self.limit / SIGNS, self._give_sign)
