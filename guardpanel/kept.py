"""Results by their input, so that what a save does not change is neither rendered nor written again."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class KeptLast(Generic[T]):
    """The result used last, by its inputs. They are compared, which takes less than to hash thousands, and hold what changes no
    more. Threads share it."""

    def __init__(self) -> None:
        self._last: tuple[object, T] | None = None

    def get(self, inputs: object, make: Callable[[], T]) -> T:
        last = self._last
        if last is not None and last[0] == inputs:
            return last[1]
        result = make()
        self._last = inputs, result
        return result


class Kept(Generic[T]):
    """The results used last, up to `most` characters in all. A policy's text may be long: a number of results would not limit
    memory. Threads share it."""

    def __init__(self, most: int, length: Callable[[T], int]) -> None:
        self.most = most
        self.length = length
        self.characters = 0
        self._results: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._results)

    def known(self, key: Hashable) -> T | None:
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
            return self._results.get(key)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        if (known := self.known(key)) is not None:
            return known
        result = make()
        with self._lock:
            if key not in self._results:
                self._results[key] = result
                self.characters += self.length(result)
            while self.characters > self.most:
                self.characters -= self.length(self._results.popitem(last=False)[1])
        return result
