"""Uses of rule exclusions, as the agent writes them beside events (docs/events.md): once a minute, what was counted since.

`{"v":1,"uses":[[17,5,1795650000]],"time":"…"}`: exclusion 17 met 5 requests, the last at that second.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from guardpanel.events.lines import parsed
from guardpanel.events.schema import EPOCH, time_of
from guardpanel.ingest.agent_line import UNEXPECTED, BadLine, moment_of

BEGINNING = b'{"v":1,"uses":'
"Of these lines alone."

LARGEST = 2**53


class Use(NamedTuple):
    """What was counted for one exclusion; exclusion 0 says that somebody counts."""

    exclusion: int
    day: int
    "Since 1970."
    requests: int
    last: int
    "Seconds since 1970."


class _Line(msgspec.Struct):
    uses: list[Any]
    time: str


LINES = msgspec.json.Decoder(_Line)


def is_uses(line: bytes) -> bool:
    return line.startswith(BEGINNING)


def read(line: bytes) -> list[Use]:
    """Raises BadLine."""
    try:
        entry = parsed(line, LINES)
        written = time_of(moment_of(entry.time)) - EPOCH
        uses = [Use(0, written.days, 1, int(written.total_seconds())), *_uses(entry.uses, written.days)]
    except UNEXPECTED as error:
        raise BadLine from error
    return uses


def _uses(entries: Iterable[Any], day: int) -> Iterable[Use]:
    for exclusion, requests, last in entries:
        for number in (exclusion, requests, last):
            if type(number) is not int or not 0 < number < LARGEST:
                raise TypeError(number)
        yield Use(exclusion, day, requests, last)
