"""Finds code that blocks the event loop (GUARDPANEL_SLOW_STEP_MS).

asyncio's debug mode reports how long a step took and whose it was, but not what it was doing. So the loop gives a sign at short
intervals, and a thread that misses it looks at the loop's stack.
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
"Signs per allowed duration of a step."


@contextmanager
def watched(limit: float) -> Iterator[None]:
    """Log every step of the running loop that takes longer than `limit` seconds. 0: do nothing."""
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
        self._steps: SimpleQueue[tuple[float, float, str]] = SimpleQueue()
        self._sign = self._times()
        self._give_sign()

    def look(self) -> None:
        """Run in a separate thread: if the loop's sign is late, record what the loop is doing."""
        while not self.over.wait(self.limit / SIGNS):
            while not self._steps.empty():
                log.warning("the event loop was blocked for %.0f ms (%.0f ms of CPU) in\n%s", *self._steps.get())
            if not self._busy_with and time.monotonic() - self._sign[0] > self.limit:
                frames = traceback.walk_stack(sys._current_frames()[self._owner])
                stack = [
                    f'  File "{frame.f_code.co_filename}", line {at}, in {frame.f_code.co_name}' for frame, at in frames
                ]
                # Without source lines, since reading them takes longer than a step.
                self._busy_with = "\n".join(reversed(stack))

    def _times(self) -> tuple[float, float]:
        """Elapsed seconds, and CPU seconds of the loop's thread."""
        return time.monotonic(), time.clock_gettime(self._clock)

    def _give_sign(self) -> None:
        now = self._times()
        if self._busy_with:
            late, own = (1000 * (new - old) for new, old in zip(now, self._sign, strict=True))
            self._steps.put((late, own, self._busy_with))
        self._sign, self._busy_with = now, ""
        if not self.over.is_set():
            self.loop.call_later(self.limit / SIGNS, self._give_sign)
