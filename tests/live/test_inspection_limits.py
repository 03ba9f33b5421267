"""Bodies at the limit of a policy: inspected whole, or a verdict that can be seen; nothing is cut."""

import hashlib
import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.live.origins import Origin
from tests.live.stack import Stack, wait_until
from tests.live.wire import Part, Response, head
from tests.rows import SECRET, rows

KIB = 1024
LIMIT = 16 * KIB
LARGE = 4096 * KIB
ATTACK = b"<script>alert(document.cookie)</script>"
FORM = "application/x-www-form-urlencoded"
TEXT = "text/plain"
UPLOAD = "multipart/form-data; boundary=xyz"


def form(length: int, ending: bytes = b"y" * len(ATTACK)) -> bytes:
    """A form whose last bytes are the ending, in fields that are not too many and not too long."""
    fields = b"".join(b"f%03d=%b&" % (at, b"x" * 994) for at in range(length // 1000))
    rest = length - len(fields) - len(ending) - 2
    return fields[: length - len(ending) - 2] + b"x" * max(rest, 0) + b"z=" + ending


def pieces(body: bytes, size: int = 4000) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def upload(length: int, ending: bytes = b"y" * len(ATTACK)) -> bytes:
    """A file, and a field after it."""
    part = b'--xyz\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
    field = part % (b"note", b"", ending) + b"--xyz--\r\n"
    file = part % (b"file", b'; filename="a.bin"\r\nContent-Type: application/octet-stream', b"")
    return file[:-2] + b"x" * (length - len(file) - len(field)) + b"\r\n" + field


def whole(answer: Response, body: bytes) -> bool:
    return bool(answer.seen["length"] == len(body) and answer.seen["digest"] == hashlib.sha256(body).hexdigest())


def hosts(server: Origin, *names: str) -> dict[str, dict[str, object]]:
    common = {"servers": [{"address": server.address}], "health_check": False, "https": True}
    return {f"{name.lower()}.test": {"policy": name, **common} for name in names}


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    """No policy inspects more than 16 KiB: HAProxy's buffers are as small as they get."""
    small = {"enforcement_mode": "block", "body_limit_kib": LIMIT // KIB}
    slow = {"upload_seconds": 1, "upload_rate_kib": 1}
    policies = {
        "Refuse": small,
        "Pass": {**small, "over_limit": "pass"},
        "Watch": {**small, "enforcement_mode": "detect_only"},
        "Begin": {**small, "over_limit": "inspect_beginning"},
        "Slow": {**small, **slow},
        "SlowWatch": {**small, **slow, "enforcement_mode": "detect_only"},
        "Seven": {**small, "body_limit_kib": 7, "over_limit": "inspect_beginning"},
    }
    plain = {"plain.test": {"servers": [{"address": server.address}], "health_check": False}}
    with Stack(haproxy, rows(policies, hosts(server, *policies) | plain)) as running:
        yield running


@pytest.fixture(scope="module")
def hurried(haproxy: str, server: Origin) -> Iterator[Stack]:
    """Policies with as little time for a body as there can be."""
    least = {"enforcement_mode": "block", "body_limit_kib": LIMIT // KIB, "upload_seconds": 1, "upload_rate_kib": 1024}
    policies = {
        "Refuse": least,
        "Watch": {**least, "enforcement_mode": "detect_only", "over_limit": "refuse"},
        "Begin": {**least, "over_limit": "inspect_beginning"},
        "Pass": {**least, "over_limit": "pass"},
    }
    with Stack(haproxy, rows(policies, hosts(server, *policies))) as running:
        yield running


@pytest.fixture(scope="module")
def large(haproxy: str, server: Origin) -> Iterator[Stack]:
    """One policy inspects 4 MiB."""
    policies = {
        "Large": {"enforcement_mode": "block", "body_limit_kib": LARGE // KIB},
        "Small": {"enforcement_mode": "block", "body_limit_kib": LIMIT // KIB},
    }
    with Stack(haproxy, rows(policies, hosts(server, *policies))) as running:
        yield running


def sent(stack: Stack, host: str, body: bytes, way: str, kind: str = FORM) -> Response:
    if way == "chunked":
        return stack.chunked(host, pieces(body), kind)
    return stack.post(host, body, kind)


def head_of(host: str, **headers: str) -> bytes:
    sent = {"user-agent": "m", "accept": "*/*", "content-type": FORM, "x-gp-test": SECRET}
    return head("POST", host, "/", sent | {name.replace("_", "-"): value for name, value in headers.items()})


def ways(test: object) -> object:
    return pytest.mark.parametrize("way", ["with its length", "chunked"])(test)


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
    for room in (8 * KIB + 1, 20 * KIB, 40 * KIB, 50 * KIB):
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


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


def test_a_body_that_stalls_is_given_up_and_told(hurried: Stack, server: Origin) -> None:
    before = len(server.begun)

    answer = hurried.send(head_of("refuse.test", content_length="100"), b"the beginning")

    assert answer.status == 408
    assert len(server.begun) == before
    wait_until(lambda: [line["status"] for line in hurried.access_log() if line["verdict"] == "slow"] == [408], "told")


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
@pytest.mark.parametrize("host", ["watch.test", "begin.test", "pass.test"])
def test_a_body_that_is_late_passes_where_nothing_is_refused(
    hurried: Stack, server: Origin, host: str, way: str
) -> None:
    """The server gets all of it while the client waits for an answer to its beginning; and what came in time was judged."""
    body, before = form(3000), len(server.begun)
    framing = {"transfer_encoding": "chunked"} if way == "chunked" else {"content_length": str(len(body))}
    with hurried.connect() as connection:
        connection.sendall(head_of(host, **framing))
        connection.sendall(chunk(body[:1000]) if way == "chunked" else body[:1000])
        wait_until(lambda: len(server.begun) > before, "the server has the request")
        connection.sendall(chunk(body[1000:]) + b"0\r\n\r\n" if way == "chunked" else body[1000:])
        answer = hurried.answer(connection, b"POST ")

    assert whole(answer, body)
    assert answer.seen_headers["x-waf-body"] == "first-1000"
    assert (answer.verdict["verdict"], answer.verdict["rules"], answer.verdict["partial"]) == ("slow", "", "request")


def test_what_came_of_a_late_body_is_judged(hurried: Stack) -> None:
    blocked = hurried.send(head_of("begin.test", content_length="3000"), b"z=" + ATTACK + b"&more=")
    watched = hurried.send(head_of("watch.test", content_length="3000"), b"z=" + ATTACK + b"&more=", 3.0, b"x" * 3000)

    assert blocked.status == 403
    assert watched.status == 200
    assert "941100" in watched.verdict["rules"].split(",")


def is_logged_as_bad(stack: Stack, host: str) -> bool:
    return any(line["host"] == host and line["status"] == 400 for line in stack.access_log())


def test_a_client_that_disconnects_mid_body_is_not_an_event(hurried: Stack, server: Origin) -> None:
    before = len(server.begun)
    for host in ("refuse.test", "watch.test"):
        with hurried.connect() as connection:
            connection.sendall(head_of(host, content_length="100") + b"a=1")
        wait_until(partial(is_logged_as_bad, hurried, host), host)

    assert len(server.begun) == before
    assert all(line["status"] != 408 for line in hurried.access_log() if line["status"] == 400)


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
    found = re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


@ways
def test_four_mebibytes_are_inspected_to_the_last_byte(large: Stack, way: str) -> None:
    harmless, attack = upload(LARGE), upload(LARGE, ATTACK)
    assert len(harmless) == len(attack) == LARGE

    passed, blocked = (
        sent(large, "large.test", harmless, way, UPLOAD),
        sent(large, "large.test", attack, way, UPLOAD),
    )

    assert (passed.verdict["error"], passed.verdict["score"]) == ("", "0")
    assert whole(passed, harmless)
    assert blocked.status == 403
    assert "941100" in blocked.verdict["rules"].split(",")


@ways
def test_above_four_mebibytes_it_is_refused(large: Stack, way: str) -> None:
    assert sent(large, "large.test", upload(LARGE + 1), way, UPLOAD).status == 413


@ways
def test_large_buffers_leave_small_limits_alone(large: Stack, way: str) -> None:
    assert sent(large, "small.test", form(LIMIT, ATTACK), way).status == 403
    assert sent(large, "small.test", form(LIMIT + 1), way).status == 413


@pytest.mark.parametrize("host", ["refuse.test", "pass.test", "watch.test", "plain.test"])
@pytest.mark.parametrize("expects", ["100-continue", "100-CONTINUE", "y 100-continue", "something"])
def test_what_a_client_expects_is_answered_here_on_both_sides_of_the_limit(
    stack: Stack, host: str, expects: str
) -> None:
    for length in (100, LIMIT + 1):
        refused = host == "refuse.test" and length > LIMIT
        with stack.connect() as connection:
            connection.sendall(head_of(host, content_length=str(length), expect=expects))
            if expects.lower() == "100-continue" and not refused:
                assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
            if not refused:
                connection.sendall(form(length))
            answer = stack.answer(connection, b"POST ")

        assert answer.status == (413 if refused else 200), length
        assert refused or "expect" not in answer.seen_headers
        assert answer.verdict["rules"] in {"", "-"}


@pytest.mark.parametrize("host", ["refuse.test", "watch.test"])
@pytest.mark.parametrize("body", [b"", b"3\r\na=1\r\n"])
def test_fields_after_a_body_reach_no_server(stack: Stack, server: Origin, host: str, body: bytes) -> None:
    """RFC 9112 §7.1.2: trailer fields may say what no rule on headers has seen."""
    request = head_of(host, transfer_encoding="chunked", trailer="x-forwarded-for")
    fields = b"X-Forwarded-For: 1.2.3.4\r\nX-Q: 1\r\n"

    plain = stack.send(request, body + b"0\r\n\r\n")
    before = len(server.received)
    answer = stack.send(request, body + b"0\r\n" + fields + b"\r\n")

    assert plain.seen["trailers"] == []
    assert "trailer" not in plain.seen_headers
    if stack.facts.drops_trailers:
        assert answer.seen["trailers"] == []
    else:
        refused_for_its_trailers(stack, server, answer, before)


FIELDS = b"0\r\nX-Evil: 1\r\nX: \r\n\r\n"


AFTER: dict[str, list[Part]] = {
    "at once": [chunk(b"x" * 128_000) + FIELDS],
    "in a segment of their own": [chunk(b"x" * 128_000), 0.1, FIELDS],
    "in three": [chunk(b"x" * 128_000) + FIELDS[:9], 0.1, FIELDS[9:-1], 0.1, FIELDS[-1:]],
    "while the WAF is asked": [chunk(b"x" * 7) * 9_000 + b"0\r\na:\r\n\r\n"],
    "late": [chunk(b"x" * 3_000), 1.9, chunk(b"x"), FIELDS],
}


@pytest.mark.parametrize(
    ("host", "way"),
    [
        *((f"{host}.test", way) for host in ("pass", "watch", "begin", "plain") for way in AFTER if way != "late"),
        ("slowwatch.test", "late"),
        ("plain.test", "late"),
    ],
)
def test_fields_after_a_body_that_passes_in_parts_reach_no_server(
    stack: Stack, server: Origin, host: str, way: str
) -> None:
    """The beginning is with the server, and was judged or will not be: they come behind it."""
    parts, before = AFTER[way], len(server.received)

    answer = stack.send(head_of(host, transfer_encoding="chunked"), *parts)

    if stack.facts.drops_trailers:
        assert answer.seen["trailers"] == []
    else:
        refused_for_its_trailers(stack, server, answer, before)


def test_bodies_that_pass_in_parts_do_so_many_at_once(stack: Stack) -> None:
    """A filter in Lua that HAProxy's threads shared let 2.6.12 end in SIGSEGV after some hundred."""
    head, body = head_of("pass.test", transfer_encoding="chunked"), chunk(b"x" * 64_000)
    fields = b"0\r\n\r\n", FIELDS
    expected = [200, 200 if stack.facts.drops_trailers else 400]

    def visit(number: int) -> list[int]:
        return [stack.send(head, body, body, end).status for end in fields for _ in range(20)]

    with ThreadPoolExecutor(16) as visitors:
        statuses = list(visitors.map(visit, range(16)))

    assert statuses == [[status for status in expected for _ in range(20)]] * 16
    assert "[ALERT]" not in (stack.folder / "haproxy.log").read_text()
    assert stack.master.poll() is None


def refused_for_its_trailers(stack: Stack, server: Origin, answer: Response, before: int) -> None:
    assert (answer.status, answer.verdict["verdict"], len(server.received)) == (400, "trailers", before)
    assert answer.verdict["request-id"] in answer.text
    assert stack.logged(answer)["verdict"] == "trailers"


@pytest.fixture(scope="module")
def without_lua(haproxy: str, server: Origin) -> Iterator[Stack]:
    small = {"body_limit_kib": LIMIT // KIB, "upload_seconds": 1}
    policies = {
        "Pass": {**small, "enforcement_mode": "block", "over_limit": "pass"},
        "Watch": {**small, "enforcement_mode": "detect_only"},
    }
    plain = {"plain.test": {"servers": [{"address": server.address}], "health_check": False}}
    with Stack(haproxy, rows(policies, hosts(server, *policies) | plain), lua=False) as running:
        yield running


@pytest.mark.parametrize("end", [b"0\r\n\r\n", FIELDS], ids=["nothing", "fields"])
@pytest.mark.parametrize("host", ["pass.test", "watch.test", "plain.test"])
@pytest.mark.parametrize("way", ["long", "late"])
def test_without_lua_no_body_passes_in_parts_that_may_have_fields_after_it(
    without_lua: Stack, server: Origin, host: str, way: str, end: bytes
) -> None:
    """HAProxy cannot see them then: it asks for a length, and hands nothing on before."""
    parts: list[Part] = [chunk(b"x" * 128_000)] if way == "long" else [chunk(b"x" * 3_000), 1.9, chunk(b"x"), 0.5]
    before = len(server.received)

    answer = without_lua.send(head_of(host, transfer_encoding="chunked"), *parts, end)

    if without_lua.facts.drops_trailers:
        assert answer.seen["trailers"] == []
    else:
        assert (answer.status, answer.verdict["verdict"], len(server.received)) == (411, "no_length", before)
        assert answer.verdict["request-id"] in answer.text


@pytest.mark.parametrize("host", ["pass.test", "watch.test", "plain.test"])
def test_without_lua_bodies_that_are_whole_or_say_their_length_pass(without_lua: Stack, host: str) -> None:
    chunked, long = form(LIMIT - KIB), form(5 * LIMIT)

    assert whole(sent(without_lua, host, chunked, "chunked"), chunked)
    assert whole(sent(without_lua, host, long, "with its length"), long)
    assert without_lua.send(head_of(host, transfer_encoding="chunked"), chunk(chunked) + FIELDS).status == (
        200 if without_lua.facts.drops_trailers else 400
    )


@pytest.mark.parametrize("host", ["pass.test", "watch.test", "begin.test", "plain.test"])
def test_a_chunked_body_that_passes_in_parts_is_whole_at_the_server(stack: Stack, host: str) -> None:
    """It is looked at piece by piece for what may follow it."""
    body = bytes(random.Random(14).choices(b"abcdefgh", k=1_000_000))
    pieces = [body[at : at + 16_000] for at in range(0, len(body), 16_000)]
    slowly: list[Part] = [part for piece in pieces[:20] for part in (chunk(piece), 0.01)]

    answer = stack.send(
        head_of(host, transfer_encoding="chunked"), *slowly, b"".join(map(chunk, pieces[20:])), b"0\r\n\r\n"
    )

    assert whole(answer, body)
