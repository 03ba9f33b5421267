"""What went wrong beside a test: a background task that failed, or one whose end nobody heard of."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = ("guardpanel.background", "asyncio")
"The second is where asyncio says that a task's exception was never retrieved."


class Faults(logging.Handler):
    """Each test fails with what was found, unless it expects that."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []
        self.are_expected = False

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def expect(self) -> None:
        """For tests that plant some."""
        self.are_expected = True

    @property
    def unexpected(self) -> list[str]:
        words = logging.Formatter()
        return [] if self.are_expected else [words.format(record) for record in self.records]


@contextmanager
def watched() -> Iterator[Faults]:
    """The faults while this lasts."""
    faults = Faults()
    for name in LOGGERS:
        logging.getLogger(name).addHandler(faults)
    try:
        yield faults
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(faults)
