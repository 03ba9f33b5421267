"""Every request is counted once: by virtual host and time, with its status, its verdict and how long the server took."""

import re
from datetime import timedelta
from typing import Any

import pytest

from guardpanel.events.traffic import ALL, COARSE, FINE, MILLISECONDS, UNKNOWN, Count, total
from guardpanel.ingest import traffic
from guardpanel.shipped import config_templates
from tests.events import NOON, a_log_line, a_passed_line, a_request_id
from tests.ingest.reading import Ground

AT = int(NOON.timestamp())

BLOCKED: dict[str, Any] = {"verdict": "blocked", "status": 403, "server": "<NOSRV>", "server_milliseconds": -1}


def passed(number: int, **others: Any) -> dict[str, Any]:
    return a_passed_line(**{"id": a_request_id(number), "time": AT + 0.5, "bytes": 100, **others})


def stored(ground: Ground, step: int, host: int) -> dict[int, Count]:
    """By seconds after noon."""
    question = f"SELECT begins - ?, {traffic.COLUMNS} FROM traffic WHERE step = ? AND host = ? ORDER BY begins"
    return {row[0]: Count.of_row(row[1:]) for row in ground.ask(question, AT, step, host)}


def test_each_line_is_counted_once_by_virtual_host_and_step(ground: Ground) -> None:
    ground.log(
        passed(1), passed(2, status=404), passed(3, virtual_host="2", status=500), passed(4, time=AT + 299.9),
        passed(5, time=AT + 300), passed(6, virtual_host="-", status=421, verdict="unknown_host", server_milliseconds=-1),
        passed(7, panel="1"), b"not JSON\n", b'{"panel":"-"}\n', a_log_line(id=a_request_id(8), time=AT + 1, bytes=7, **BLOCKED),
        passed(9, rules="942100"), passed(10, virtual_host="1\u0662"),
    )  # fmt: skip
    ground.read_all()
    ground.read_all()

    one = stored(ground, FINE.seconds, 1)
    assert {at: count.requests for at, count in one.items()} == {0: 5, 300: 1}
    assert (one[0].rejected, one[0].detected, one[0].sent) == (1, 1, 407)
    assert one[0].statuses == [0, 0, 3, 0, 1, 0]
    assert stored(ground, FINE.seconds, 2)[0].statuses == [0, 0, 0, 0, 0, 1]
    assert stored(ground, FINE.seconds, UNKNOWN)[0].rejected == 1
    assert stored(ground, FINE.seconds, ALL)[0].requests == 8
    assert [count.requests for count in stored(ground, COARSE.seconds, ALL).values()] == [9]


def test_a_later_batch_adds_to_the_same_step(ground: Ground) -> None:
    ground.log(passed(1, server_milliseconds=3))
    ground.read_all()
    ground.log(passed(2, time=AT + 5, server_milliseconds=700), passed(3, server_milliseconds=99_999))
    ground.read_all()

    (count,) = stored(ground, FINE.seconds, 1).values()
    assert count.requests == 3
    assert [count.percentile(part) for part in (0.3, 0.5, 0.99)] == [3, 700, MILLISECONDS[-1]]


@pytest.mark.parametrize(
    ("is_rejected", "line"),
    [
        (True, BLOCKED), (True, {"verdict": "limited", "status": 429}), (True, {"verdict": "odd_path", "status": 400}),
        (True, {"verdict": "unjudged", "status": 503, "fail": "closed"}), (True, {"verdict": "slow", "status": 408}),
        (True, {"verdict": "over_limit", "over_limit": "refuse", "status": 413}),
        (True, {"verdict": "blocked", "status": 403, "server_milliseconds": 9}),
        (False, {"verdict": "unjudged", "status": 200, "fail": "open"}), (False, {"verdict": "slow", "status": 200}),
        (False, {"verdict": "unjudged", "status": 503, "fail": "open", "server_milliseconds": -1}),
        (False, {"verdict": "over_limit", "over_limit": "pass", "status": 200}),
        (False, {"verdict": "skipped", "status": 503, "server_milliseconds": -1}),
        (False, {"verdict": "maintenance", "status": 503}), (False, {"verdict": "limited_passed", "status": 200}),
        (False, {"verdict": "-", "status": 503, "server_milliseconds": -1}),
    ],
)  # fmt: skip
def test_rejected_is_what_haproxy_answered_because_of_a_verdict(
    is_rejected: bool, line: dict[str, Any], ground: Ground
) -> None:
    ground.log(passed(1, **line))
    ground.read_all()

    (count,) = stored(ground, FINE.seconds, 1).values()
    assert (count.rejected, sum(count.statuses)) == (is_rejected, not is_rejected)


def test_every_word_of_haproxys_is_known_to_reject_or_not() -> None:
    texts = [file.read_text("utf-8") for file in (config_templates() / "haproxy").glob("*.j2")]
    words = set(re.findall(r"txn\.gp\.verdict\) str\((\w+)\)", "".join(texts)))
    by_what_follows = {"bodies", "over_limit", "slow", "unjudged"}
    passing = {"aborted", "geo_passed", "limited_passed", "maintenance", "skipped"}
    assert words - traffic.REJECTING == by_what_follows | passing


@pytest.mark.parametrize("milliseconds", [0, 1, 2, 8, 60_000, 60_001])
def test_a_time_is_counted_below_its_bound(milliseconds: int) -> None:
    count = Count()
    count.took(milliseconds)
    bound = count.percentile(0.5)
    assert bound == next((each for each in MILLISECONDS if milliseconds <= each), MILLISECONDS[-1])


def test_nothing_has_no_percentile_and_adds_up_to_nothing() -> None:
    assert Count().percentile(0.5) is None
    assert total([]) == Count()


def test_fine_steps_are_kept_for_two_days_and_coarse_ones_for_a_month(ground: Ground) -> None:
    ground.log(passed(1))
    ground.read_all()

    with ground.ingest() as ingest:
        for days, left in ((2, {FINE.seconds, COARSE.seconds}), (3, {COARSE.seconds}), (32, set())):
            traffic.remove_old(ingest.connection, NOON + timedelta(days=days))
            assert {step for (step,) in ground.ask("SELECT step FROM traffic")} == left
