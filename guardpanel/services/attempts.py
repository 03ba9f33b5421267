"""Failed log-ins, by address and by account: a pause that doubles, never a lock-out."""

from collections import OrderedDict
from collections.abc import Iterable
from math import ceil
from time import monotonic

from guardpanel.errors import TooManyAttempts

FREE = 5
"Failures without a pause."

LONGEST_PAUSE = 300.0
FORGOTTEN = 900.0
KEPT = 10_000


class Attempts:
    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def allow(self, keys: Iterable[str]) -> None:
        """TooManyAttempts (429) while one of the keys has to wait."""
        now = monotonic()
        for key in keys:
            count, last = self._failures.get(key, (0, 0.0))
            if count >= FREE and now - last < FORGOTTEN:
                pause = min(LONGEST_PAUSE, 2.0 ** (count - FREE))
                if now - last < pause:
                    wait = ceil(pause - (now - last))
                    raise TooManyAttempts(f"Too many failed log-ins. Try again in {wait} s.", wait)

    def failed(self, keys: Iterable[str]) -> None:
        now = monotonic()
        for key in keys:
            count, last = self._failures.pop(key, (0, now))
            self._failures[key] = (count + 1 if now - last < FORGOTTEN else 1, now)
            while len(self._failures) > KEPT:
                self._failures.popitem(last=False)

    def forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._failures.pop(key, None)
