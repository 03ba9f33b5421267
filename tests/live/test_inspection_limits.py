"""Bodies at the limit of a policy: inspected whole, or a verdict that can be seen; nothing is cut."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.bodies import (
    ATTACK,
    FORM,
    KIB,
    LIMIT,
    POLICIES,
    chunk,
    form,
    head_of,
    pieces,
    sent,
    small,
    upload,
    ways,
    whole,
)
from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.live.wire import head
from tests.rows import SECRET

TEXT = "text/plain"

pytestmark = pytest.mark.pairwise


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    """No policy inspects more than 16 KiB: HAProxy's buffers are as small as they get."""
    with Stack(haproxy, small(server, *POLICIES)) as running:
        yield running


@ways
@pytest.mark.parametrize("host", ["refuse.test", "pass.test"])
@pytest.mark.parametrize("length", [LIMIT - 1, LIMIT])
def test_up_to_the_limit_the_last_bytes_are_inspected(channel: Stack, length: int, host: str, way: str) -> None:
    harmless, attack = form(length), form(length, ATTACK)
    assert len(harmless) == len(attack) == length

    passed, blocked = sent(channel, host, harmless, way), sent(channel, host, attack, way)

    assert whole(passed, harmless)
    assert passed.verdict["score"] == "0"
    assert blocked.status == 403
    assert blocked.verdict["rule"] == "949110"


@ways
def test_above_the_limit_a_policy_refuses(channel: Stack, server: Origin, way: str) -> None:
    before = len(server.received)

    answer = sent(channel, "refuse.test", form(LIMIT + 1), way)

    assert answer.status == 413
    assert answer.verdict["verdict"] == "over_limit"
    assert answer.verdict["request-id"] in answer.text
    assert len(server.received) == before


@ways
@pytest.mark.parametrize("host", ["pass.test", "watch.test"])
@pytest.mark.parametrize("length", [LIMIT + 1, 60 * KIB, 200 * KIB])
def test_a_body_over_the_limit_passes_with_a_mark(channel: Stack, length: int, host: str, way: str) -> None:
    body = form(length)

    answer = sent(channel, host, body, way)

    assert whole(answer, body)
    assert answer.seen_headers["x-waf-body"] == "not-inspected"
    assert answer.verdict["verdict"] == "over_limit"
    assert answer.verdict["score"] == "0"


def test_a_body_within_the_limit_is_not_marked(channel: Stack) -> None:
    answer = channel.post("pass.test", b"a=1", FORM, {"x-waf-body": "not-inspected", "x-waf-error": "not-inspected"})

    assert not {"x-waf-body", "x-waf-error"} & set(answer.seen_headers)


@ways
@pytest.mark.parametrize("kind", ["application/json", "text/xml", "multipart/form-data; boundary=xyz"])
def test_a_body_that_was_not_looked_at_is_not_judged_as_malformed(channel: Stack, kind: str, way: str) -> None:
    answer = sent(channel, "pass.test", b'{"a": "' + b"x" * LIMIT + b'"}', way, kind)

    assert answer.status == 200, answer.verdict
    assert answer.verdict["rules"] == ""


@ways
def test_above_the_limit_the_query_is_still_inspected(stack: Stack, way: str) -> None:
    headers = {"content-type": TEXT, "content-length": str(LIMIT + 1), "user-agent": "m", "accept": "*/*"}
    if way == "chunked":
        headers = {**headers, "transfer-encoding": "chunked"}
        del headers["content-length"]
    body = b"x" * (LIMIT + 1)
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if way == "chunked" else body

    answer = stack.send(head("POST", "pass.test", "/?q=1%27%20OR%20%271%27%3D%271", headers), framed)

    assert answer.status == 403


def test_a_request_that_announces_too_much_is_refused_before_it_is_sent(stack: Stack) -> None:
    request = head("POST", "refuse.test", "/", {"content-length": "1000000000", "content-type": TEXT})

    assert stack.send(request).status == 413


@ways
def test_the_largest_limit_holds_with_the_largest_headers_and_the_longest_address(stack: Stack, way: str) -> None:
    target = "/" + "p" * 8000
    sent_headers = {f"x-filler-{at}": "v" * 1000 for at in range(31)}
    body = form(LIMIT, ATTACK)
    headers = {"user-agent": "m", "accept": "*/*", "content-type": FORM, "x-gp-test": SECRET, **sent_headers}
    if way == "chunked":
        framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in pieces(body, 100)) + b"0\r\n\r\n"
        request = head("POST", "refuse.test", target, {**headers, "transfer-encoding": "chunked"})
    else:
        framed = body
        request = head("POST", "refuse.test", target, {**headers, "content-length": str(len(body))})

    answer = stack.send(request, framed)

    assert (answer.status, answer.verdict["error"]) == (403, "")
    assert "941100" in answer.verdict["rules"].split(",")


@ways
@pytest.mark.parametrize("host", ["refuse.test", "pass.test"])
def test_a_long_address_cannot_push_a_body_out_of_sight(channel: Stack, host: str, way: str) -> None:
    body = form(LIMIT, ATTACK)
    for room in (8 * KIB + 1, 20 * KIB, 50 * KIB):
        target = "/" + "p" * room
        if way == "chunked":
            answer = channel.chunked(host, pieces(body), FORM, target)
        else:
            answer = channel.request("POST", host, target, {"content-type": FORM}, body)

        assert answer.status == 414, room


def test_too_large_headers_are_refused(channel: Stack) -> None:
    fits = {f"x-filler-{at}": "v" * 1000 for at in range(31)}
    too_large = {f"x-filler-{at}": "v" * 1000 for at in range(33)}

    assert channel.get("refuse.test", "/", fits).status == 200
    answer = channel.get("refuse.test", "/", too_large)
    assert answer.status == 431
    assert answer.verdict["request-id"] in answer.text


@pytest.mark.parametrize("host", ["slow.test", "slowwatch.test"])
def test_a_body_has_more_time_the_longer_it_is(stack: Stack, host: str) -> None:
    """The least time is over before its end."""
    body = form(LIMIT, ATTACK)
    first, *others = pieces(body, LIMIT // 4)

    answer = stack.send(
        head_of(host, content_length=str(len(body))), first, *(part for piece in others for part in (0.45, piece))
    )

    assert answer.verdict["partial"] == ""
    assert "941100" in answer.verdict["rules"].split(",")


@ways
@pytest.mark.parametrize("host", ["begin.test", "seven.test"])
def test_of_a_larger_body_the_beginning_is_judged_and_the_rest_passes(channel: Stack, host: str, way: str) -> None:
    limit = LIMIT if host == "begin.test" else 7 * KIB
    for length in (limit + 1, 60 * KIB, 200 * KIB):
        harmless = form(length)
        attack = b"z=" + ATTACK + b"&" + harmless[len(ATTACK) + 3 :]

        passed, blocked = sent(channel, host, harmless, way), sent(channel, host, attack, way)

        assert whole(passed, harmless)
        assert passed.seen_headers["x-waf-body"] == f"first-{limit}"
        assert (passed.verdict["verdict"], passed.verdict["rules"]) == ("", "")
        assert blocked.status == 403
    beyond = form(limit) + b"&z=" + ATTACK
    assert whole(sent(channel, host, beyond, way), beyond)


@ways
@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=xyz", "text/xml"])
def test_a_beginning_that_ends_within_a_value_is_not_malformed(channel: Stack, kind: str, way: str) -> None:
    body = {
        "application/json": b'{"a": ["' + (b"word " * 50 + b'", "') * 300 + b'"]}',
        "text/xml": b"<a>" + (b"<b>" + b"word " * 50 + b"</b>") * 300 + b"</a>",
    }.get(kind, upload(60 * KIB))

    answer = sent(channel, "begin.test", body, way, kind)

    assert whole(answer, body)
    assert answer.verdict["rules"] == ""


def test_an_attack_after_a_pause_at_the_limit_is_not_taken_for_the_end(stack: Stack) -> None:
    first = form(LIMIT)

    answer = stack.send(
        head_of("begin.test", transfer_encoding="chunked"), chunk(first), 0.3, chunk(b"&z=" + ATTACK) + b"0\r\n\r\n"
    )

    assert answer.seen_headers["x-waf-body"] == f"first-{LIMIT}"


@ways
def test_what_only_watches_refuses_no_body(channel: Stack, way: str) -> None:
    body = form(200 * KIB, ATTACK)

    answer = sent(channel, "watch.test", body, way)

    assert whole(answer, body)
    assert answer.seen_headers["x-waf-body"] == "not-inspected"


def test_a_hundred_megabytes_pass_with_flat_memory_where_the_policy_lets_them(stack: Stack) -> None:
    length = 100 * 1024 * KIB
    worker = max(map(int, re.findall(r"^(\d+) +worker", stack.command("show proc"), re.MULTILINE)))
    before = resident(worker)

    answer = stack.send(head_of("watch.test", content_length=str(length)), b"x" * length)

    assert answer.seen["length"] == length
    assert answer.seen_headers["x-waf-body"] == "not-inspected"
    assert resident(worker) - before < 16 * 1024


def resident(process: int) -> int:
    """KiB."""
    match = re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    return int(match[1]) if match else 0
