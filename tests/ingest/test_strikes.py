"""Rejected requests, counted by policy, client and second: once each, and no longer than they can count."""

from datetime import timedelta
from typing import Any

from guardpanel.ingest import strikes
from guardpanel.models.policies.policy_limits import LONGEST_PERIOD_SECONDS
from tests.events import NOON, a_log_line, a_passed_line, a_request_id
from tests.ingest.reading import Ground

AT = int(NOON.timestamp())

LATER = NOON + timedelta(days=1)

COUNTED = "SELECT policy, client, second - ?, number FROM strike ORDER BY 1, 2, 3"


def line(number: int, **others: Any) -> dict[str, Any]:
    return a_log_line(**{"id": a_request_id(900 + number), "time": AT + 0.5, **others})


def test_what_a_policy_rejects_is_counted_once(ground: Ground) -> None:
    limited = {"verdict": "limited", "rules": "-", "status": 429, "application": "-"}
    ground.log(
        line(1), line(2), line(3, time=AT + 7.2), line(4, **limited), line(5, policy="2"),
        line(6, client="2001:db8::1"), line(7, client="2001:db8::ffff"),
        line(8, server="s1", server_milliseconds=3),  # A response, which is the server's.
        line(9, policy="-"), line(10, verdict="banned", rules="-"), line(11, verdict="limited_passed", rules="-"),
        a_passed_line(id=a_request_id(912)), line(13, client="-"), line(14, panel="1"),
        line(15, verdict="login_failed", rules="-", status=401, time=AT + 7.4), line(16, verdict="login_asked", rules="-", status=401),
    )  # fmt: skip

    ground.read_all()
    ground.read_all()

    assert ground.ask(COUNTED, AT) == [
        (1, "192.0.2.7", 0, 3),
        (1, "192.0.2.7", 7, 2),
        (1, "2001:db8::/64", 0, 2),
        (2, "192.0.2.7", 0, 1),
    ]


def test_responses_count_as_the_line_says(ground: Ground) -> None:
    asks: dict[str, Any] = {"strikes": "401,403", "status": 401}

    def answered(number: int, **others: Any) -> dict[str, Any]:
        return a_passed_line(**{"id": a_request_id(930 + number), "time": AT + 0.5, **asks, **others})

    ground.log(
        answered(1), answered(2, status=403, client="2001:db8::1"), answered(3, rules="942100", score="3"),
        answered(4, status=302), answered(5, status=200), answered(6, strikes="-"), answered(7, panel="1"),
        answered(8, client="-"), answered(9, strikes="14010"), answered(10, path='/"strikes":"401"', strikes="-"),
        line(11, **asks | {"status": 403}),  # Blocked by the WAF: counted as that, and once.
        answered(12, verdict="banned", status=403), answered(14, verdict="login_asked"),
        answered(15, policy="-"), answered(16, policy="²"), answered(17, time=-1e300), answered(18, strikes=401),
    )  # fmt: skip

    ground.read_all()
    ground.read_all()

    assert ground.ask(COUNTED, AT) == [(1, "192.0.2.7", 0, 3), (1, "2001:db8::/64", 0, 1)]


def test_they_are_kept_as_long_as_a_policy_may_count_and_no_more_than_fit(ground: Ground) -> None:
    ground.log(line(1), line(2, time=AT + 10), line(3, time=AT + 20))
    ground.read_all()

    with ground.ingest() as ingest:
        strikes.remove_old(ingest.connection, NOON + timedelta(seconds=strikes.KEPT_SECONDS + 5), clock=LATER)
        assert ground.ask(COUNTED, AT) == [(1, "192.0.2.7", 10, 1), (1, "192.0.2.7", 20, 1)]

        strikes.remove_old(ingest.connection, NOON, clock=LATER, most=1)
        assert ground.ask(COUNTED, AT) == [(1, "192.0.2.7", 20, 1)]

        strikes.remove_old(ingest.connection, NOON, clock=NOON + timedelta(seconds=20))
        assert ground.ask(COUNTED, AT) == [(1, "192.0.2.7", 20, 1)]
        strikes.remove_old(ingest.connection, NOON, clock=NOON + timedelta(seconds=19))
        assert ground.ask(COUNTED, AT) == []

    assert strikes.KEPT_SECONDS == LONGEST_PERIOD_SECONDS
