"""One request, one event: whoever speaks of it first, and in whatever batches."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from guardpanel.events.grouping import Fired, cause_of, shape_of
from guardpanel.events.words import VERDICTS
from guardpanel.ingest import shaping
from tests.events import a_failed_line, a_log_line, a_passed_line, a_request_id, a_rule, an_event
from tests.ingest.reading import FIRST, Ground

ROW = (
    "SELECT virtual_host, policy, application, checksum, client.text, method, host.text, path.text, verdict, status, score,"
    " severity, rules FROM event JOIN client ON client.id = client JOIN host ON host.id = host JOIN path ON path.id = path"
    " WHERE request_id = ?"
)


def test_both_say_of_a_blocked_request_what_they_know(ground: Ground) -> None:
    event = an_event(headers=[["host", "Shop.example:8080"]], host="Shop.example:8080")
    ground.write(FIRST, event)
    ground.log(a_log_line(event, virtual_host="17", policy="3", checksum="abcdef0123456789", status=403))

    ground.read_all()

    assert ground.ask(ROW, event["id"]) == [
        (
            17,
            3,
            "p1a2b3c4d5e6f",
            "abcdef012345",
            "192.0.2.7",
            "GET",
            "shop.example",
            "/list",
            1,
            403,
            5,
            2,
            "942100 949110",
        )
    ]
    agent, proxy = ground.lines(event["id"])
    assert agent == event
    assert proxy["id"] == event["id"]


UPLOAD = {"server": "<NOSRV>", "server_milliseconds": -1, "rules": "-"}

VERDICTS_OF: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None, str]] = {
    "no server": ({"verdict": "-", "rules": "-", "status": 503, "ended": "SC--"}, None, "undelivered"),
    "no server, and rules": ({"verdict": "-", "status": 503, "ended": "SC--"}, {"verdict": "detected", "status": None}, "detected"),
    "too large passed, and no server": ({**UPLOAD, "verdict": "over_limit", "over_limit": "pass", "status": 503, "ended": "SC--"}, None, "too_large_passed"),
    "aborted": ({**UPLOAD, "verdict": "aborted", "status": 400, "ended": "LR--"}, None, "undelivered"),
    "aborted, older": ({**UPLOAD, "verdict": "unjudged", "fail": "open", "status": -1, "ended": "CR--", "waf_error": "5"}, None, "undelivered"),
    "aborted while it is judged": ({**UPLOAD, "verdict": "unjudged", "fail": "closed", "status": 503, "ended": "LR--", "waf_error": "5"}, None, "undelivered"),
    "aborted while it passes": ({**UPLOAD, "verdict": "over_limit", "over_limit": "pass", "status": 400, "ended": "CH--"}, None, "undelivered"),
    "aborted after a rule fired": ({**UPLOAD, "verdict": "unjudged", "status": 503, "ended": "LR--", "waf_error": "5"}, {"verdict": "blocked"}, "blocked"),
    "too large, and gone": ({**UPLOAD, "verdict": "over_limit", "over_limit": "refuse", "status": 413, "ended": "LR--"}, None, "too_large"),
    "unknown host": ({"verdict": "unknown_host", "virtual_host": "-", "policy": "-", "rules": "-", "status": 421}, None, "unknown_host"),
    "too large": ({"verdict": "over_limit", "over_limit": "refuse", "rules": "-", "status": 413}, None, "too_large"),
    "too large, passed": ({"verdict": "over_limit", "over_limit": "pass", "rules": "-", "status": 200}, None, "too_large_passed"),
    "too slow": ({"verdict": "slow", "rules": "-", "status": 408}, None, "too_slow"),
    "too slow, passed": ({"verdict": "slow", "rules": "-", "status": 200}, None, "too_slow_passed"),
    "too slow, and a rule fired": ({"verdict": "slow", "status": 200}, {"verdict": "detected", "status": None, "action": None}, "detected"),
    "over a limit": ({"verdict": "limited", "rules": "-", "status": 429}, None, "limited"),
    "over a limit, passed": ({"verdict": "limited_passed", "rules": "-", "status": 200}, None, "limited_passed"),
    "over a limit, and a rule fired": ({"verdict": "limited_passed", "status": 200}, {"verdict": "detected", "status": None, "action": None}, "detected"),
    "fields after the body": ({"verdict": "trailers", "rules": "-", "status": 400}, None, "trailers"),
    "no length": ({"verdict": "no_length", "rules": "-", "status": 411}, None, "no_length"),
    "no verdict, closed": ({"verdict": "unjudged", "fail": "closed", "rules": "-", "status": 503}, None, "agent_error"),
    "no verdict, open": ({"verdict": "unjudged", "fail": "open", "rules": "-", "status": 200}, None, "fail_open"),
    "a verdict that came too late": ({"verdict": "unjudged", "fail": "open", "rules": "-"}, {"verdict": "blocked"}, "fail_open"),
    "blocked": ({"verdict": "blocked"}, {"verdict": "blocked"}, "blocked"),
    "detected": ({"verdict": "-", "status": 200}, {"verdict": "detected", "status": None, "action": None}, "detected"),
    "the agent's event was dropped": ({"verdict": "-", "status": 200}, None, "detected"),
    "blocked, without HAProxy's words": (None, {"verdict": "blocked"}, "blocked"),
}  # fmt: skip


@pytest.mark.parametrize("order", ["together", "agent first", "HAProxy first"])
@pytest.mark.parametrize("case", VERDICTS_OF)
def test_what_became_of_a_request(ground: Ground, case: str, order: str) -> None:
    logged, recorded, verdict = VERDICTS_OF[case]
    event = an_event(**(recorded or {}))
    sources: list[Callable[[], None]] = []
    if recorded is not None:
        sources.append(lambda: ground.write(FIRST, event))
    if logged is not None:
        line = a_log_line(event, **logged)
        sources.append(lambda: ground.log(line))

    for source in reversed(sources) if order == "HAProxy first" else sources:
        source()
        if order != "together":
            ground.read_all()
    ground.read_all()

    ((code, status),) = ground.ask("SELECT verdict, status FROM event")
    assert VERDICTS[code] == verdict
    expected = (logged or {}).get("status", 403)
    assert status == (expected if expected > 0 else None)
    assert ground.counters["events"] == 1


def states(ground: Ground, event: dict[str, Any]) -> list[Any]:
    return [
        ground.ask(ROW, event["id"]),
        ground.ask("SELECT rule FROM event_rule JOIN event ON event.id = event ORDER BY rule"),
        ground.lines(event["id"]),
    ]


def test_the_order_makes_no_difference(folder: Any) -> None:
    event = an_event(rules=[a_rule(942100), a_rule(920350, severity="warning"), a_rule(949110, severity="emergency")])
    logged = a_log_line(event, rules="920350,942100,949110")
    made = []
    for at, order in enumerate(itertools.permutations(["write", "log"])):
        (folder / str(at)).mkdir()
        ground = Ground(folder / str(at))
        for step in order:
            ground.write(FIRST, event) if step == "write" else ground.log(logged)
            ground.read_all()
        made.append(states(ground, event))

    assert made[0] == made[1]
    assert made[0][0][0][-1] == "942100 920350 949110"  # the worst first, what adds up last


def test_a_second_event_of_a_request_is_left_out_and_counted(ground: Ground) -> None:
    event = an_event()
    ground.write(FIRST, event, {**event, "method": "PUT"})
    ground.read_all()
    ground.write(FIRST, {**event, "method": "PUT"})
    ground.read_all()

    assert ground.ask("SELECT method FROM event") == [("GET",)]
    assert ground.counters == {"events": 1, "repeated": 2}


def test_ordinary_requests_are_counted_alone_and_the_panels_own_apart(ground: Ground) -> None:
    ground.log(
        *(a_passed_line() for _ in range(10)),
        a_passed_line(panel="1"), a_log_line(panel="1"), a_failed_line(panel="1"),
        a_passed_line(verdict="skipped"), a_passed_line(ended="CD--"), a_passed_line(path='/"verdict":"-"&"rules":"-"'),
        b"Proxy visitors stopped (cumulated conns: FE: 5, BE: 0).\n",
    )  # fmt: skip

    ground.read_all()

    assert ground.requests() == []
    assert ground.counters == {"ordinary": 13, "own": 4}


def test_a_visitor_cannot_make_an_event_look_ordinary(ground: Ground) -> None:
    ground.log(line := a_log_line(path='/"verdict":"-","rules":"-"', host='"verdict":"-"'))

    ground.read_all()

    assert ground.requests() == [line["id"]]


def test_events_of_one_microsecond_are_all_kept(ground: Ground) -> None:
    moment = an_event()["time"]
    events = [an_event(time=moment) for _ in range(1_500)]
    ground.write(FIRST, *events)

    ground.read_all()

    assert sorted(ground.requests()) == sorted(event["id"] for event in events)


def test_an_event_without_a_request_id_gets_its_location(ground: Ground) -> None:
    ground.write(FIRST, an_event(id=""), an_event(id=""))

    ground.read_all()
    ground.read_all()

    assert len(set(ground.requests())) == 2


def test_any_bytes_of_a_visitor_can_be_stored_and_searched(ground: Ground) -> None:
    event = an_event(
        uri="/\udcff\x00\x1b[31m/\u202e\ud800?q", host="\udcfe.example", method="G\x00T", client="invalid IP"
    )
    ground.write(FIRST, event)

    ground.read_all()

    ((*_, client, method, host, path, _v, _s, _sc, _sev, _r),) = ground.ask(ROW, event["id"])
    assert (client, method, host) == ("invalid IP", "G\\x00T", "\\xfe.example")
    assert path == "/\\xff\\x00\\x1b[31m/\\u202e\\ud800"


def test_only_what_can_be_searched_is_cut(ground: Ground) -> None:
    event = an_event(uri="/" + "a" * 4_000, host="h" * 300)
    ground.write(FIRST, event)

    ground.read_all()

    assert len(ground.ask(ROW, event["id"])[0][7]) == 1_024
    assert ground.lines(event["id"])[0] == event


def test_ids_of_requests_are_what_haproxy_gave(ground: Ground) -> None:
    ground.write(FIRST, an_event(id=a_request_id(9_999)))
    ground.read_all()
    assert ground.requests() == ["00000000-0000-4000-8000-000000009999"]


SHAPES = "SELECT request_id, shape FROM event"


def test_each_event_has_a_shape_whichever_line_is_first(ground: Ground) -> None:
    first, second = an_event(uri="/orders/17?id=1"), an_event(uri="/orders/18?id=1")
    alone = an_event()
    ground.log(a_log_line(second), a_log_line(alone))
    ground.read_all()
    ground.write(FIRST, first, second)

    ground.read_all()

    cause = cause_of([Fired(942100, 1, [("ARGS", "id")])], None)
    assert cause is not None
    shape = shape_of("GET", "/orders/{number}", cause)
    assert dict(ground.ask(SHAPES)) == {first["id"]: shape.number, second["id"]: shape.number, alone["id"]: None}


def test_events_from_before_shapes_get_theirs_while_nothing_else_waits(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shaping, "STEP", 2)
    ground.write(FIRST, *(an_event(uri=f"/orders/{at}") for at in range(5)), an_event(rules=[]))
    ground.log(a_failed_line())
    ground.read_all()
    wanted = sorted(ground.ask(SHAPES))
    with ground.ingest() as ingest:
        ingest.connection.executescript(
            "UPDATE event SET shape = NULL; INSERT INTO shapeless SELECT 1, max(id) + 1 FROM event"
        )

    with ground.ingest() as ingest:
        for _ in range(5):
            ingest.shape_some()

        assert shaping.is_done(ingest.connection)
    assert sorted(ground.ask(SHAPES)) == wanted
