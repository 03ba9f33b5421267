"""How many requests met the conditions of each rule exclusion (docs/events.md). Not all of them would have been blocked."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from guardpanel.events.schema import EPOCH

DAYS = 30


@dataclass(frozen=True)
class Use:
    requests: int
    "In the last DAYS days."
    last: datetime | None
    "Also longer ago."


@dataclass(frozen=True)
class Uses:
    since: datetime | None
    "Since when uses are counted; None: they are not."
    by_exclusion: Mapping[int, Use] = field(default_factory=dict)

    def of(self, exclusion_id: int) -> Use:
        return self.by_exclusion.get(exclusion_id, Use(0, None))


NOT_COUNTED = Uses(None)


def uses(connection: sqlite3.Connection, now: datetime) -> Uses:
    first = (now - EPOCH).days - DAYS + 1
    rows = connection.execute(
        "SELECT exclusion, sum(CASE WHEN day >= ? THEN requests ELSE 0 END), max(last) FROM exclusion_use "
        "WHERE exclusion > 0 GROUP BY exclusion",
        (first,),
    )
    by_exclusion = {exclusion: Use(requests, datetime.fromtimestamp(last, UTC)) for exclusion, requests, last in rows}
    (day,) = connection.execute("SELECT min(day) FROM exclusion_use WHERE exclusion = 0").fetchone()
    return Uses(None if day is None else EPOCH + timedelta(days=day), by_exclusion)
