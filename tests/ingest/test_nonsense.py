"""Whatever stands in a line: it becomes an event or is counted, and the next one is read."""

import json
from typing import Any

from guardpanel.events.traffic import ALL, FINE
from tests.events import a_log_line, a_rule, an_event
from tests.ingest.reading import FIRST, Ground

JUNK: list[Any] = [
    None, True, -1, 0, 2**31, 2**63, -(2**70), 1.5, 1e400, "", "\x00", "\ud800", "\udcff", "x" * 10_000, "'; DROP TABLE event; --", [], {},
    [[]], [None], {"a": 1}, [1, "2"], "1", "2026-11-26T12:00:00Z", "0001-01-01T00:00:00Z", "::1", "1.2.3.4", "detected", "unjudged", "942100,x,",
]  # fmt: skip


def broken(line: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**line, name: junk} for name in line for junk in JUNK]


def test_any_value_in_any_field_of_the_agents_lines(ground: Ground) -> None:
    lines = (
        broken(an_event())
        + [an_event(rules=[rule]) for rule in broken(a_rule())]
        + [an_event(scores=scores) for scores in broken({"blocking_inbound_anomaly_score": 5})]
    )
    lines = [{**line, "id": f"r{at}" if line["id"] not in JUNK else line["id"]} for at, line in enumerate(lines)]
    ground.write(FIRST, *(json.dumps(line).encode() + b"\n" for line in lines), last := an_event())

    ground.read_all()

    counted = ground.counters
    assert last["id"] in ground.requests()
    assert (
        counted["events"] + counted["bad"] + counted.get("repeated", 0) + counted["unknown_version"] == len(lines) + 1
    )


def test_any_value_in_any_field_of_haproxys_lines(ground: Ground) -> None:
    lines = [{**line, "id": f"r{at}"} for at, line in enumerate(broken(a_log_line()))]
    written = (json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)
    ground.log(*written, last := a_log_line())

    ground.read_all()

    counted = ground.counters
    assert last["id"] in ground.requests()
    assert (
        counted["events"] + counted["bad"] + sum(counted.get(name, 0) for name in ("ordinary", "own")) == len(lines) + 1
    )
    ((requests,),) = ground.ask("SELECT sum(requests) FROM traffic WHERE host = ? AND step = ?", ALL, FINE.seconds)
    assert len(lines) / 2 < requests <= len(lines) + 1
