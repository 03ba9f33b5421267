"""What is deleted by its age when the clock jumps."""

from datetime import UTC, datetime, timedelta

import pytest

from guardpanel.clock import BELIEVED_AFTER, JUMP, SteadyClock, has_come
from guardpanel.models import AddressList, Feed
from guardpanel.services.access import feed_states
from guardpanel.services.access.geo_states import GeoState

DAY = 86_400.0


def test_what_is_due_waits_for_no_clock_that_was_set_back() -> None:
    now, hour = datetime.now(UTC), timedelta(hours=1)

    assert has_come(None, None, now)
    assert has_come(now, now - hour, now)
    assert not has_come(now + hour, now, now)
    assert has_come(now + 2 * hour, now + hour, now)
    for past, is_due in ((timedelta(), False), (-hour, True)):
        tried = datetime.now(UTC) - past
        assert GeoState(url="https://geo.test/", tried_at=tried).is_due("https://geo.test/", hour) is is_due
        row = AddressList(id=1, name="Feed", feed_url="https://feed.test/", created_at=now)
        feed = Feed(address_list_id=1, list_created_at=now, url=row.feed_url, tried_at=tried)
        assert feed_states.is_due(row, feed, datetime.now(UTC)) is is_due


class Times:
    """The time of day and the time since boot, in seconds."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_700_000_000.0, 50.0
        self.clock = SteadyClock(lambda: self.wall, lambda: self.steady)

    def pass_by(self, seconds: float) -> None:
        self.wall, self.steady = self.wall + seconds, self.steady + seconds

    def now(self) -> float:
        return self.clock.now().timestamp()


def test_a_steady_clock_is_followed() -> None:
    times = Times()
    assert times.clock.now() == datetime.fromtimestamp(times.wall, UTC)

    for _ in range(40):
        times.pass_by(DAY)
        times.wall += JUMP / 2  # corrected a little each day
        assert times.now() == times.wall


def test_a_jump_ahead_makes_nothing_old_for_a_day(caplog: pytest.LogCaptureFixture) -> None:
    times = Times()
    before = times.now()
    times.wall += 400 * DAY
    assert times.now() == before
    times.pass_by(BELIEVED_AFTER - 1)
    assert times.now() == before + BELIEVED_AFTER - 1
    assert caplog.text.count("jumped ahead by 34560000 s") == 1

    times.pass_by(1)
    assert times.now() == times.wall, "who set it has had a day to see that"


def test_a_jump_after_a_small_one_has_its_own_day() -> None:
    times = Times()
    times.wall += 2 * JUMP
    times.now()
    times.pass_by(BELIEVED_AFTER - 60)
    before = times.now()
    times.wall += 400 * DAY

    assert times.now() == before
    times.pass_by(60)
    assert times.now() == before + 60, "the first jump has lasted a day, this one a minute"
    times.pass_by(BELIEVED_AFTER)
    assert times.now() == times.wall


def test_a_jump_that_is_taken_back_was_none() -> None:
    times = Times()
    times.wall += 400 * DAY
    times.now()
    times.wall -= 400 * DAY
    times.pass_by(5)

    assert times.now() == times.wall


def test_a_clock_that_is_set_back_is_followed() -> None:
    times = Times()
    times.wall -= 30 * DAY

    assert times.now() == times.wall
