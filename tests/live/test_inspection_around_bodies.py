"""What comes before and after a body: answers to `Expect`, and trailer fields, which reach no server, also behind bodies that pass
in parts."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live.bodies import KIB, LIMIT, chunk, form, head_of, hosts, sent, small, whole
from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.live.wire import Part, Response
from tests.rows import rows

pytestmark = pytest.mark.pairwise

FIELDS = b"0\r\nX-Evil: 1\r\nX: \r\n\r\n"
AFTER: dict[str, list[Part]] = {
    "at once": [chunk(b"x" * 128_000) + FIELDS],
    "in a segment of their own": [chunk(b"x" * 128_000), 0.1, FIELDS],
    "in three": [chunk(b"x" * 128_000) + FIELDS[:9], 0.1, FIELDS[9:-1], 0.1, FIELDS[-1:]],
    "while the WAF is asked": [chunk(b"x" * 7) * 9_000 + b"0\r\na:\r\n\r\n"],
    "late": [chunk(b"x" * 3_000), 1.9, chunk(b"x"), FIELDS],
}


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    with Stack(haproxy, small(server, "Refuse", "Pass", "Watch", "Begin", "SlowWatch")) as running:
        yield running


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
