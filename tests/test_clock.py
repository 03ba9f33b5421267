"""What is deleted by its age when the clock jumps."""

from datetime import UTC, datetime

import pytest

from guardpanel.clock import BELIEVED_AFTER, JUMP, SteadyClock

DAY = 86_400.0


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
