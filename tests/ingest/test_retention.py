"""What is kept: by age and by size, in small steps, and whole."""

from datetime import UTC, datetime, timedelta
from time import time
from typing import Any

import pytest

from guardpanel import clock
from guardpanel.ingest import retention
from tests.events import a_log_line, a_rule, an_event, an_event_of_now
from tests.ingest.reading import FIRST, Ground


def days_ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


def tidy(ground: Ground) -> int:
    """How many steps it takes."""
    steps = 0
    with ground.ingest() as ingest:
        while retention.too_many(ingest.connection, days=ground.settings.event_days, mib=ground.settings.event_mib):
            ingest._next_tidying = 0.0
            ingest.tidy()
            steps += 1
    return steps


def test_old_events_are_deleted_completely(ground: Ground) -> None:
    kept = an_event(time=days_ago(29), uri="/kept", client="192.0.2.1", rules=[a_rule(942100)])
    ground.write(
        FIRST, kept,
        an_event(time=days_ago(31), uri="/kept", client="192.0.2.1", host="gone.example", rules=[a_rule(942100), a_rule(920350)]),
        an_event(time=days_ago(40), uri="/gone", client="192.0.2.2"),
    )  # fmt: skip
    ground.read_all()

    tidy(ground)

    assert ground.requests() == [kept["id"]]
    assert ground.ask("SELECT rule FROM event_rule") == [(942100,)]
    assert ground.ask("SELECT count(*) FROM event_line") == [(1,)]
    assert ground.ask("SELECT text FROM path") == [("/kept",)]
    assert ground.ask("SELECT text FROM client") == [("192.0.2.1",)]
    assert ground.ask("SELECT text FROM host") == [("shop.example",)]
    assert ground.counters == {"events": 3, "removed": 2}


def test_names_that_went_may_come_again(ground: Ground) -> None:
    with ground.ingest() as ingest:
        ground.write(FIRST, an_event(time=days_ago(31), uri="/a"))
        while ingest.step():
            pass
        ingest.tidy()
        ground.write(FIRST, an_event(uri="/b"), an_event(uri="/a"))
        while ingest.step():
            pass

    assert ground.ask("SELECT path.text FROM event JOIN path ON path.id = path ORDER BY event.id") == [("/b",), ("/a",)]


def test_deletion_works_in_steps(ground: Ground) -> None:
    ground.write(FIRST, *(an_event(time=days_ago(31)) for _ in range(2 * retention.STEP + 1)))
    ground.read_all()

    assert tidy(ground) == 3
    assert ground.requests() == []


def test_excess_events_are_deleted_oldest_first(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "MIB", 10_000)
    monkeypatch.setattr(retention, "STEP", 10)
    ground.settings.event_mib = 30
    events = [an_event(time=days_ago(1 - at / 10_000), body=str(at) * 300) for at in range(2_000)]
    ground.write(FIRST, *events)
    ground.read_all()
    with ground.ingest() as ingest:
        before = retention.size(ingest.connection)

    tidy(ground)

    kept = ground.requests()
    with ground.ingest() as ingest:
        after = retention.size(ingest.connection)
    assert after <= 300_000 < before
    assert 0 < len(kept) < 2_000
    assert kept == [event["id"] for event in events[-len(kept) :]]


def test_a_clock_that_was_set_back_makes_new_events_no_older(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "MIB", 10_000)
    monkeypatch.setattr(retention, "STEP", 10)
    ground.settings.event_mib = 30
    earlier = [an_event(time=days_ago(-30 - at / 10_000), body=str(at) * 300) for at in range(1_800)]
    since = [an_event(time=days_ago(1 - at / 10_000), body=str(at) * 300) for at in range(50)]
    ground.write(FIRST, *earlier, *since)
    ground.read_all()

    tidy(ground)

    kept = set(ground.requests())
    assert {event["id"] for event in since} < kept
    assert kept - {event["id"] for event in since} == {event["id"] for event in earlier[50 - len(kept) :]}


STRAYS: dict[str, dict[str, Any]] = {
    "unknown hosts": {"verdict": "unknown_host"},
    "too many at once": {"verdict": "greedy", "status": 429, "ended": "LR--", "server_milliseconds": -1},
    "broken off": {"status": 400, "ended": "CR--", "verdict": "-", "server_milliseconds": -1},
}


@pytest.mark.parametrize("kind", STRAYS)
def test_what_anybody_can_make_pushes_no_attack_out(ground: Ground, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    for name, value in (("MIB", 10_000), ("STEP", 10), ("SPARED", 20)):
        monkeypatch.setattr(retention, name, value)
    ground.settings.event_mib = 40
    attacks = [an_event(time=days_ago(2)) for _ in range(50)]
    ground.write(FIRST, *attacks)
    strays = [a_log_line(an_event(time=days_ago(1 - at / 10_000)), rules="-", **STRAYS[kind]) for at in range(1_500)]
    ground.log(*strays)
    ground.read_all()

    tidy(ground)

    kept = ground.requests()
    assert kept[:50] == [event["id"] for event in attacks]
    assert kept[50:] == [line["id"] for line in strays[50 - len(kept) :]]
    assert len(kept) >= 70


def test_a_clock_that_jumps_ahead_removes_no_event(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    wall = [time()]
    monkeypatch.setattr(clock, "AGES", clock.SteadyClock(lambda: wall[0], lambda: 50.0))
    ground.write(FIRST, event := an_event_of_now())
    ground.read_all()
    wall[0] += 400 * 86_400.0

    with ground.ingest() as ingest:
        ingest.tidy()

    assert ground.requests() == [event["id"]]
