"""Ordinary requests that the agent recorded: each kept once, as long as it may be, and no more than there is room for."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from guardpanel import clock
from guardpanel.events import schema
from guardpanel.events.schema import id_of
from guardpanel.ingest import recorded
from guardpanel.services.events.recorded import forget
from tests.events import NOON, a_recorded_request, an_event, as_line
from tests.ingest.reading import FIRST, SECOND, Ground


class Cut(Exception):
    """As a kill: nothing after it happens."""


def kept(ground: Ground) -> list[str]:
    """Their hosts, by time."""
    return [row[0] for row in ground.ask("SELECT host FROM recorded ORDER BY id")]


def test_events_and_ordinary_requests_are_told_apart(ground: Ground) -> None:
    event = an_event(uri='/?a={"v":1,"recorded":true,')
    ground.write(FIRST, event, a_recorded_request(host="Shop.Example:443"), a_recorded_request(host="b.example"))
    ground.read_all()

    assert ground.requests() == [event["id"]]
    assert kept(ground) == ["shop.example", "b.example"]
    assert ground.counters == {"events": 1, "recorded": 2}


@pytest.mark.parametrize("at", ["add", "_cap"])
def test_a_batch_that_is_cut_off_is_read_again(ground: Ground, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    ground.write(FIRST, a_recorded_request(host="a.example"))
    ground.read_all()
    ground.write(FIRST, an_event(), a_recorded_request(host="b.example"))

    def cut(*_: object) -> None:
        raise Cut

    with monkeypatch.context() as patched, ground.ingest() as ingest:
        patched.setattr(recorded, at, cut)
        with pytest.raises(Cut):
            ingest.step()
    left = kept(ground)
    ground.read_all()

    assert (left, kept(ground)) == (["a.example"], ["a.example", "b.example"])
    assert ground.counters == {"events": 1, "recorded": 2}


def test_equal_lines_are_as_many_requests(ground: Ground) -> None:
    twice = as_line(a_recorded_request()) + b"\n"
    ground.write(FIRST, twice, twice)
    ground.write(SECOND, twice)
    ground.read_all()

    assert len(kept(ground)) == 3


@pytest.mark.parametrize(
    "others",
    [
        {"time": "soon"},
        {"days": None},
        {"days": "x"},
        {"days": 10**400},
        {"host": None},
        {"time": "9999-12-31T00:00:00Z"},
    ],
)
def test_what_is_no_request_is_counted_and_spoils_no_other(ground: Ground, others: dict[str, object]) -> None:
    ground.write(FIRST, a_recorded_request(**others), a_recorded_request())
    ground.read_all()

    assert len(kept(ground)) + ground.counters.get("bad", 0) == 2
    assert kept(ground)[-1:] == ["shop.example"]


def test_a_request_is_kept_for_the_days_that_its_line_names(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    week = a_recorded_request(host="week.example")
    ground.write(
        FIRST, week, a_recorded_request(host="day.example", days=1), a_recorded_request(host="ages.example", days=10**6)
    )
    ground.read_all()
    left = []
    for days in (0, 2, 8, 400):
        monkeypatch.setattr(clock.AGES, "now", lambda days=days: NOON + timedelta(days=days, hours=12))
        with ground.ingest() as ingest:
            ingest.tidy()
        left.append(kept(ground))

    assert left == [
        ["week.example", "day.example", "ages.example"],
        ["week.example", "ages.example"],
        ["ages.example"],
        [],
    ]


def test_the_newest_of_each_host_and_of_all_are_kept(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "MOST_OF_A_HOST", 2)
    monkeypatch.setattr(recorded, "MOST", 3)
    ground.write(FIRST, *(a_recorded_request(host=f"{name}.example") for name in "abaaab"))
    ground.read_all()

    assert kept(ground) == ["a.example", "a.example", "b.example"]


def test_the_end_is_counted_from_the_request() -> None:
    line = recorded.read(as_line(a_recorded_request(time=NOON.isoformat(), days=7)))

    assert line.ends == id_of(NOON + timedelta(days=7))


def test_what_was_deleted_before_it_was_read_is_not_kept(ground: Ground) -> None:
    """Of a client, of a whole host, and of hosts that a wildcard covers; not what came later, nor of others."""
    mine = {"client_key": "1" * 32, "time": "2026-01-01T00:00:00Z"}
    ground.write(FIRST, an_event())
    ground.read_all()
    with closing(schema.open_to_forget(ground.settings.events_database)) as connection:
        deleted = datetime(2026, 1, 2, tzinfo=UTC)
        assert forget(connection, [], ["a.example", "*.b.example"], "1" * 32, deleted) == 0
        assert forget(connection, [], ["c.example"], None, deleted) == 0

    ground.write(
        SECOND,
        *(
            a_recorded_request(host=host, **mine)
            for host in ("a.example", "x.b.example", "c.example", "b.example", "d.example")
        ),
        a_recorded_request(host="a.example", client_key="2" * 32, time=mine["time"]),
        a_recorded_request(host="c.example", client_key="2" * 32, time=mine["time"]),
        a_recorded_request(host="a.example", client_key="1" * 32, time="2026-01-03T00:00:00Z"),
    )
    ground.read_all()

    assert sorted(kept(ground)) == ["a.example", "a.example", "b.example", "d.example"]
