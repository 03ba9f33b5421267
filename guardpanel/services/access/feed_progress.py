"""Downloads of lists in progress."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass
class Downloading:
    """Since when, and how many of its lines are read. None are before it has arrived as a whole."""

    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    line: int = 0
    total: int = 0

    def read(self, line: int, total: int) -> None:
        self.line, self.total = line, total


class InProgress:
    """By list."""

    def __init__(self) -> None:
        self._going: dict[int, Downloading] = {}

    def of(self, list_id: int) -> Downloading | None:
        return self._going.get(list_id)

    @contextmanager
    def begun(self, list_id: int) -> Iterator[Downloading]:
        """Downloads of a list are carried out one after the other."""
        going = self._going[list_id] = Downloading()
        try:
            yield going
        finally:
            self._going.pop(list_id, None)
