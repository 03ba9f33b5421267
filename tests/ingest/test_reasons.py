"""Why HAProxy did not deliver a request, from its log as 2.6 and 2.8 wrote it."""

import json
import re
from typing import Any

import pytest

from guardpanel.events.words import REASONS, VERDICTS
from guardpanel.ingest.proxy_line import read
from guardpanel.shipped import config_templates
from tests.events import a_failed_line, a_passed_line, an_unreadable_line
from tests.ingest.reading import Ground

LOGGED: dict[str, tuple[dict[str, Any], str]] = {
    "no server is up": ({"ended": "SC--", "status": 503}, "no_server"),
    "the server refuses": ({"ended": "SC--", "status": 503, "server": "s1"}, "server_refused"),
    "it does not accept": ({"ended": "sC--", "status": 503, "server": "s1"}, "connect_timeout"),
    "it has no room": ({"ended": "sQ--", "status": 503}, "queue_full"),
    "it closes": ({"ended": "SH--", "status": 502, "server": "s1"}, "server_closed"),
    "it answers garbage": ({"ended": "PH--", "status": 502, "server": "s1"}, "bad_response"),
    "it does not answer": ({"ended": "sH--", "status": 504, "server": "s1"}, "server_timeout"),
    "it does not answer whole, and is to be inspected": (
        {"ended": "sH--", "status": 504, "server": "s1", "server_milliseconds": 2},
        "server_timeout",
    ),
    "the client goes, 2.6": ({"ended": "CD--", "status": -1, "server": "s1"}, "client_aborted"),
    "the client goes, 2.8": ({"ended": "CH--", "status": 400, "server": "s1"}, "client_aborted"),
    "the client goes before a server has it": ({"ended": "CC--", "status": -1, "server": "s1"}, "client_aborted"),
    "its body does not come": ({"ended": "cR--", "status": 408}, "client_timeout"),
    "it has no host": ({"ended": "LR--", "status": 400}, "malformed"),
    "it is CONNECT": ({"ended": "LR--", "status": 405}, "malformed"),
    "its headers are too long": ({"ended": "LR--", "status": 431}, "too_long"),
    "maintenance": ({"ended": "LR--", "status": 503, "verdict": "maintenance"}, "maintenance"),
    "no client certificate": (
        {"ended": "LR--", "status": 403, "verdict": "no_client_certificate"},
        "no_client_certificate",
    ),
    "servers read its path in several ways": (
        {"ended": "LR--", "status": 400, "verdict": "odd_path"},
        "ambiguous_path",
    ),
    "its connection is for another hostname": (
        {"ended": "LR--", "status": 421, "verdict": "misdirected"},
        "misdirected",
    ),
    "no memory": ({"ended": "RC--", "status": 503}, "no_resources"),
    "killed": ({"ended": "KD--", "status": -1}, "ended"),
    "a refusal of a later guardpanel": ({"ended": "LR--", "status": 429}, "refused"),
}


@pytest.mark.parametrize("case", LOGGED)
def test_each_end_has_its_reason(ground: Ground, case: str) -> None:
    logged, reason = LOGGED[case]
    ground.log(a_failed_line(**logged))

    ground.read_all()

    ((verdict, code),) = ground.ask("SELECT verdict, reason FROM event")
    assert (VERDICTS[verdict], REASONS[code]) == ("undelivered", reason)


def test_every_verdict_with_which_haproxy_answers_is_an_event() -> None:
    texts = [path.read_text() for path in (config_templates() / "haproxy").glob("*.j2")]
    words = {word for text in texts for word in re.findall(r"set-var\(txn\.gp\.verdict\) str\((\w+)\)", text)}
    assert len(words) > 15

    for word in words - {"skipped", "login_asked"}:  # Who has sent no password has done nothing.
        assert read(json.dumps(a_failed_line(verdict=word, status=403, ended="LR--")).encode()) is not None, word


@pytest.mark.parametrize(
    "logged",
    [{"status": 500}, {"status": 404}, {"status": 503}, {"ended": "CD--"}, {"ended": "SD--"}, {"ended": "sD--"}, {"ended": "LR--", "server_milliseconds": -1},
     {"status": 500, "ended": "CL--"}],
)  # fmt: skip
def test_what_a_server_answered_is_no_refusal_of_haproxys(ground: Ground, logged: dict[str, Any]) -> None:
    ground.log(a_passed_line(**logged))

    ground.read_all()

    assert ground.requests() == []


@pytest.mark.parametrize("ended", ["LR--", "PR--", "LH--", "PH--"])
def test_what_a_verdict_refused_has_no_other_reason(ground: Ground, ended: str) -> None:
    """Of a request, and of a response."""
    ground.log(a_failed_line(verdict="blocked", status=403, ended=ended, server_milliseconds=5 if "H" in ended else -1))

    ground.read_all()

    assert ground.ask("SELECT verdict, reason FROM event") == [(1, None)]


def test_what_could_not_be_read_is_an_event_of_no_host(ground: Ground) -> None:
    ground.log(an_unreadable_line(), an_unreadable_line(client_port=2), an_unreadable_line(ended="cR--", status=408))

    ground.read_all()
    ground.read_all()

    assert len(set(ground.requests())) == 3
    rows = ground.ask(
        "SELECT virtual_host, method, host.text, path.text FROM event JOIN host ON host.id = host JOIN path ON path.id = path"
    )
    assert rows == [(None, "", "", "")] * 3


@pytest.mark.parametrize(
    ("logged", "verdict"),
    [
        ({"verdict": "country", "status": 403, "ended": "LR--"}, "country"),
        ({"verdict": "network", "status": 403, "ended": "LR--"}, "network"),
        ({"verdict": "geo_passed"}, "geo_passed"),
        ({"verdict": "geo_passed", "rules": "942100"}, "detected"),
    ],
)
def test_where_a_client_is_from_is_a_verdict_of_its_own(ground: Ground, logged: dict[str, Any], verdict: str) -> None:
    ground.log(a_passed_line(country="AQ", network="AS64500", **logged))

    ground.read_all()

    ((code, reason),) = ground.ask("SELECT verdict, reason FROM event")
    assert (VERDICTS[code], reason) == (verdict, None)
