"""How many requests met the conditions of each rule exclusion (docs/events.md). Not all of them would have been blocked."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from guardpanel.events.schema import EPOCH, id_of, time_of

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

MOST = 20_000
"Events of a rule that are looked at, newest first."


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


def of_rules(
    connection: sqlite3.Connection, wanted: Iterable[tuple[int, int, int]], now: datetime
) -> Mapping[int, Use]:
    """Events of a rule in a policy: `wanted` has a key, the rule, and the policy."""
    question = (
        "SELECT count(*), max(event.id) FROM (SELECT event FROM event_rule WHERE rule = ? AND event >= ? "
        "ORDER BY event DESC LIMIT ?) AS newest CROSS JOIN event ON event.id = newest.event WHERE policy = ?"
    )
    first = id_of(now - timedelta(days=DAYS))
    counts = {key: connection.execute(question, (rule, first, MOST, policy)).fetchone() for key, rule, policy in wanted}
    return {key: Use(requests, time_of(last) if last else None) for key, (requests, last) in counts.items()}
