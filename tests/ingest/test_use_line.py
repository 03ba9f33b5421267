"""Uses of rule exclusions: added up by day, exactly once, whatever else a line holds."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from guardpanel.events import schema
from guardpanel.ingest import use_line
from guardpanel.ingest.agent_line import BadLine
from guardpanel.services.events.uses import Use, uses
from tests.events import an_event
from tests.ingest.reading import FIRST, Ground

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def a_line(*counted: tuple[int, int], day: int = 26) -> bytes:
    listed = ",".join(f"[{exclusion},{requests},{int(NOON.timestamp())}]" for exclusion, requests in counted)
    return f'{{"v":1,"uses":[{listed}],"time":"2026-11-{day}T12:00:00.000000Z"}}\n'.encode()


def test_uses_are_added_up_by_day_and_read_once(ground: Ground) -> None:
    ground.write(FIRST, a_line((17, 5), day=25), an_event(), a_line((17, 2), (18, 1)), a_line())
    ground.read_all()
    ground.read_all()

    assert ground.ask("SELECT exclusion, day, requests FROM exclusion_use ORDER BY 1, 2") == [
        (0, 20782, 1), (0, 20783, 2), (17, 20782, 5), (17, 20783, 2), (18, 20783, 1),
    ]  # fmt: skip
    assert len(ground.requests()) == 1
    assert "bad" not in ground.counters


def test_a_batch_that_is_undone_is_counted_once(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.write(FIRST, a_line((17, 5)))

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("full")

    with ground.ingest() as ingest:
        with monkeypatch.context() as broken:
            broken.setattr(ingest, "_remember", full)
            with pytest.raises(sqlite3.OperationalError):
                ingest.step()
        ingest.segments.go_back()
        ingest.step()

    assert ground.ask("SELECT requests FROM exclusion_use WHERE exclusion = 17") == [(5,)]


def test_old_days_are_dropped(ground: Ground) -> None:
    ground.write(FIRST, a_line((17, 5)), a_line((18, 1)).replace(b"2026-11", b"2028-11"))
    ground.read_all()

    assert ground.ask("SELECT exclusion FROM exclusion_use ORDER BY 1") == [(0,), (18,)]


@pytest.mark.parametrize(
    "wrong",
    ["[17,5]", "[17,5,1,1]", "[0,5,1]", "[17,-5,1]", "[17,1e300,1]", '["17",5,1]', "[17,true,1]", f"[17,{2**63},1]", "17"],
)  # fmt: skip
def test_nonsense_is_a_bad_line(ground: Ground, wrong: str) -> None:
    line = f'{{"v":1,"uses":[[16,1,1],{wrong}],"time":"2026-11-26T12:00:00.000000Z"}}\n'.encode()
    with pytest.raises(BadLine):
        use_line.read(line)
    ground.write(FIRST, line)
    ground.read_all()

    assert ground.ask("SELECT count(*) FROM exclusion_use") == [(0,)]
    assert ground.counters["bad"] == 1


def test_a_month_is_added_up_and_the_last_use_stays(ground: Ground) -> None:
    ground.write(FIRST, a_line((17, 5)).replace(b"2026-11", b"2026-09"), a_line((17, 2)), a_line((18, 1)))
    ground.read_all()
    with closing(schema.open_to_read(ground.settings.events_database)) as connection:
        now = uses(connection, NOON)
        later = uses(connection, datetime(2027, 2, 1, tzinfo=UTC))

    assert now.since == datetime(2026, 9, 26, tzinfo=UTC)
    assert (now.of(17), now.of(18), now.of(19)) == (Use(2, NOON), Use(1, NOON), Use(0, None))
    assert later.of(17) == Use(0, NOON)
