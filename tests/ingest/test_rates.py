"""How many requests visitors send within a time is counted, each line once, and a scan takes no more room than they do."""

from datetime import timedelta
from typing import Any

from guardpanel.events.rates import MOST, Sample, hash_of
from guardpanel.ingest import rates
from guardpanel.ingest.rates import MOST_AT_ONCE, Rates
from guardpanel.services.events.rates import Met, VisitorRates, visitor_rates
from tests.events import NOON, a_passed_line, a_request_id
from tests.ingest.reading import Ground

AT = int(NOON.timestamp())

LATER = NOON + timedelta(hours=1)


def passed(number: int, second: float = 0, client: str = "192.0.2.7", **others: Any) -> dict[str, Any]:
    return a_passed_line(**{"id": a_request_id(number), "time": AT + second, "client": client, "policy": "1", **others})


def stored(ground: Ground, policy: int = 1, *, hours: int = 1) -> VisitorRates:
    with ground.ingest() as ingest:
        return visitor_rates(ingest.connection, policy, NOON + timedelta(hours=hours))


def test_requests_of_a_visitor_are_counted_within_windows(ground: Ground) -> None:
    ground.log(*(passed(number, number / 10) for number in range(8)), passed(8, 12), passed(9, 15, "2001:db8::1"))
    ground.log(passed(10, 16, "2001:db8::2"), passed(11, policy="2"), passed(12, policy="-"), passed(13, client="-"))
    ground.log(passed(14, panel="1"))
    ground.read_all()
    ground.read_all()

    counted = stored(ground)

    assert (len(counted.visitors), counted.total, counted.is_sample) == (2, 2, False)
    assert counted.over(7, 10) == Met(1, 1)
    assert counted.over(8, 10) == Met(0, 1), "nine within 12 s, in two windows of 10 s"
    assert counted.over(9, 10) == Met(0, 0)
    assert counted.over(8, 60) == Met(1, 1)
    assert counted.over(8, 30) == Met(0, 1), "less than a window of 60 s is between two numbers"
    assert counted.over(1, 3_600) == Met(2, 2)
    assert len(stored(ground, 2).visitors) == 1
    assert stored(ground, 3).visitors == {}


def test_batches_and_lines_out_of_order_add_up(ground: Ground) -> None:
    for number in range(6):
        ground.log(passed(number, 20 - 2 * number))  # From the third 10 s to the second one.
        ground.read_all()

    assert stored(ground).over(5, 60) == Met(1, 1)
    assert stored(ground).over(4, 10) == Met(1, 1)


def test_a_visitor_of_several_hours_is_one(ground: Ground) -> None:
    ground.log(passed(1), passed(2, 3_600), passed(3, 3_601), passed(4, 3_602, "192.0.2.8"))
    ground.read_all()

    assert len(stored(ground, hours=2).visitors) == 2
    assert stored(ground, hours=2).over(1, 10) == Met(1, 1)
    assert len(stored(ground, hours=26).visitors) == 0


def test_many_visitors_are_a_sample_of_all(ground: Ground) -> None:
    """Of four times as many, those who sent more than one request are as frequent in it."""
    names = [f"10.0.{number // 250}.{number % 250}" for number in range(4 * MOST)]
    for number, name in enumerate(names):
        ground.log(*(passed(number * 2 + again, client=name) for again in range(1 + (number % 5 == 0))))
    ground.read_all()

    counted = stored(ground)

    assert len(counted.visitors) == MOST
    assert counted.is_sample and abs(counted.total - len(names)) < len(names) / 5
    assert abs(counted.over(1, 10).least / MOST - 1 / 5) < 0.06
    more = [passed(10_000 + number, 9, f"10.1.{number // 250}.{number % 250}") for number in range(20 * MOST)]
    ground.log(*more)
    ground.read_all()
    again = stored(ground)
    assert len(again.visitors) <= MOST and abs(again.total - 24 * MOST) < 24 * MOST / 5


def test_a_scan_is_held_in_bounds() -> None:
    batch, sample = Rates(), Sample()
    for number in range(3 * MOST_AT_ONCE):
        batch.add("1", f"10.{number // 65_536}.{number // 256 % 256}.{number % 256}", AT)
        batch.bound()
    ((_, group),) = batch.by_hour()
    assert len(group.moments) <= MOST_AT_ONCE and len(group.by_visitor()) <= 2 * MOST
    for visitor, moments in group.by_visitor().items():
        sample.add(visitor, moments)
    sample.keep()

    every = [f"10.{number // 65_536}.{number // 256 % 256}.{number % 256}" for number in range(3 * MOST_AT_ONCE)]
    assert sorted(sample.visitors, key=hash_of) == sorted(every, key=hash_of)[:MOST]
    assert len(sample.packed()) < 30_000


def test_old_hours_are_deleted_and_too_many(ground: Ground) -> None:
    ground.log(*(passed(hour, hour * 3_600) for hour in range(30)))
    ground.read_all()
    with ground.ingest() as ingest:
        rates.remove_old(ingest.connection, NOON + timedelta(hours=30))
        assert ingest.connection.execute("SELECT count(*), min(begins) FROM rate").fetchone() == (25, AT + 5 * 3_600)
        rates.remove_old(ingest.connection, NOON + timedelta(hours=30), most=3)
        assert ingest.connection.execute("SELECT count(*) FROM rate").fetchone() == (3,)
