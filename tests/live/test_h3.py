"""What HTTP/3 alone has: its listener, its handshakes and sessions, connections across reloads, and what it forbids. What all
versions of HTTP can say is asked of each where it is tested (`channel`). On every HAProxy of `make live-all` that serves HTTP/3."""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from aioquic.h3.connection import ErrorCode
from aioquic.tls import SessionTicket

from guardpanel.engines.tls.handshakes import first_of
from guardpanel.rendering import Rows
from tests.certificates.made import Made, intermediate, root
from tests.certificates.test_client_cas import lists, whole
from tests.haproxies import HTTP3_VERSIONS
from tests.live.origins import Origin
from tests.live.over_h3 import H3
from tests.live.stack import Stack, wait_until
from tests.live.test_access import FUTURE
from tests.live.test_client_certificates import ADA, GONE, STRANGER
from tests.live.test_h2 import PLAIN, QUERY, WRONG, pseudo
from tests.live.tls import H2, Headers, leaf
from tests.rows import SECRET, rows

pytestmark = pytest.mark.http3

CLIENTS = {"good": ADA, "other CA": STRANGER, "revoked": GONE}


def test_a_haproxy_that_serves_http_3_is_among_them() -> None:
    assert HTTP3_VERSIONS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a file for each client: its certificate, the intermediate, its key."""
    made = tmp_path_factory.mktemp("clients")
    for name, client in CLIENTS.items():
        above = "" if client is STRANGER else intermediate().pem
        (made / f"{name}.pem").write_text(client.pem + above + client.key_pem)
    return made


def given(server: Origin, *, revoked: Iterable[Made] = (GONE,), **traffic: object) -> Rows:
    common = {"servers": [{"address": server.address}], "health_check": False, "https": True, "policy": "Block"}
    asking = {**common, "client_certificate_headers": True, "client_ca_id": 1}
    hosts = {
        "shop.test": common,
        "watch.test": {**common, "policy": "Watch"},
        "must.test": {**asking, "client_certificates": "required"},
        "may.test": {**asking, "client_certificates": "optional"},
        "theirs.test": {**asking, "client_certificates": "required", "client_ca_id": 2},
        "clear.test": {**common, "https": False},
    }
    serials = tuple(client.certificate.serial_number for client in revoked)
    cas = [
        {"name": "Staff", "certificates": whole(), "revocation_lists": lists(serials=serials)},
        {"name": "Others", "certificates": root("Other Root").pem},
    ]
    settings = {"trusted_networks": ["127.0.0.0/8"], "client_ip_source": "x_forwarded_for", **traffic}
    return rows({"Block": {"enforcement_mode": "block"}, "Watch": {}}, hosts, settings, client_cas=cas)


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    with Stack(haproxy, given(server), bans=f"203.0.113.9 {FUTURE}\n") as running:
        yield running


def test_visitors_are_told_of_it_where_they_can_use_it(stack: Stack) -> None:
    offered = f'h3=":{stack.tls_address[1]}"; ma=3600'
    with H2(stack.tls_address, "shop.test") as client:
        told = {path: client.get("shop.test", path).headers.get("alt-svc") for path in ("/", QUERY)}
    with H3(stack.tls_address, "shop.test") as client:
        again, unknown = client.get("shop.test", "/").headers, client.get("x.test", "/").headers
    with H2(stack.tls_address, "may.test") as client:
        asks_for_certificates = client.get("may.test", "/").headers

    assert told == {"/": offered, QUERY: offered}
    assert again["alt-svc"] == offered
    assert "alt-svc" not in stack.get("shop.test", "/").headers | stack.get("clear.test", "/").headers
    assert "alt-svc" not in unknown | asks_for_certificates


def test_the_log_names_the_protocol_and_the_verdict(stack: Stack) -> None:
    with H3(stack.tls_address, "shop.test") as client:
        blocked = client.get("shop.test", QUERY, {"x-gp-test": SECRET})
    line = stack.logged(blocked)

    assert blocked.status == 403
    assert (line["protocol"], line["scheme"], line["verdict"], line["host"]) == (
        "HTTP/3.0", "https", "blocked", "shop.test",
    )  # fmt: skip


def test_a_banned_client_is_rejected(stack: Stack) -> None:
    with H3(stack.tls_address, "shop.test") as client:
        banned = client.get("shop.test", "/", {"x-forwarded-for": "203.0.113.9"})
        other = client.get("shop.test", "/", {"x-forwarded-for": "198.51.100.5"})

    assert banned.status == 403
    assert other.seen_headers["x-forwarded-for"] == "198.51.100.5"
    wait_until(lambda: any(line["verdict"] == "banned" for line in stack.access_log()), "it is logged")


def test_the_handshake_brings_the_certificate_of_the_name(stack: Stack) -> None:
    for name in ("shop.test", "x.test", None):
        with H3(stack.tls_address, name) as client:
            assert client.leaf == leaf(stack.tls_address, name) == first_of(stack.facts.default_certificate)


@pytest.mark.parametrize("which", [None, *CLIENTS])
def test_only_a_valid_client_certificate_gets_in(stack: Stack, folder: Path, which: str | None) -> None:
    certificate = str(folder / f"{which}.pem") if which else ""

    def seen(name: str) -> dict[str, str] | None:
        try:
            with H3(stack.tls_address, name, certificate=certificate) as client:
                return client.get(name, "/").seen_headers
        except ConnectionError:
            return None

    must, may, plain = seen("must.test"), seen("may.test"), seen("shop.test")

    assert (must is not None) is (which == "good")
    assert (may is not None) is (which in {None, "good"})
    assert plain is not None and "client-cert" not in plain
    for headers in filter(None, (must, may)):
        assert ("client-cert" in headers) is (which == "good")


def test_a_session_is_resumed_only_under_its_name_and_until_a_reload(
    stack: Stack, server: Origin, folder: Path
) -> None:
    """Without early data, which could be replayed."""
    certificates = {"shop.test": "", "may.test": "", "must.test": "good", "theirs.test": "other CA"}

    def ticket(name: str) -> SessionTicket:
        file = certificates[name] and str(folder / f"{certificates[name]}.pem")
        with H3(stack.tls_address, name, certificate=file) as client:
            assert client.get(name, "/").status == 200
            assert not client.tickets[0].max_early_data_size
            return client.tickets[0]

    def resumed(ticket: SessionTicket, name: str) -> bool | None:
        """None: the handshake was refused."""
        try:
            with H3(stack.tls_address, name, ticket=ticket) as client:
                assert client.get(name, "/").status == 200
                return client.is_resumed
        except ConnectionError:
            return None

    for first in certificates:
        refused = {"must.test": None, "theirs.test": None}
        found = {name: resumed(ticket(first), name) for name in certificates}
        assert found == {"shop.test": False, "may.test": False} | refused | {first: True}
    before = ticket("must.test")
    stack.reload(given(server, revoked=(GONE, ADA)))
    assert resumed(before, "must.test") is None
    stack.reload(given(server))


def test_a_connection_serves_only_names_with_the_same_conditions(stack: Stack, folder: Path) -> None:
    with H3(stack.tls_address, "shop.test") as client:
        statuses = {
            name: client.get(name, "/").status for name in ("watch.test", "must.test", "may.test", "clear.test")
        }
    with H3(stack.tls_address, "must.test", certificate=str(folder / "good.pem")) as client:
        back = client.get("shop.test", "/").status

    assert statuses == {"watch.test": 200, "must.test": 421, "may.test": 421, "clear.test": 421}
    assert back == 421


def test_unknown_names_are_refused_where_they_are_refused_over_tcp(stack: Stack, server: Origin) -> None:
    stack.reload(given(server, strict_sni=True))
    for name in ("x.test", None):
        with pytest.raises(ConnectionError):
            H3(stack.tls_address, name)
    with H3(stack.tls_address, "shop.test") as client:
        assert client.get("shop.test", "/").status == 200
    stack.reload(given(server))


@pytest.mark.parametrize("what", WRONG)
def test_what_http_3_forbids_reaches_no_server(stack: Stack, server: Origin, what: str) -> None:
    before = len(server.received)
    answer = answer_to(stack, WRONG[what])

    assert answer is None or 400 <= answer < 500 or what == "te"
    assert len(server.received) == before


@pytest.mark.parametrize("protocol", [None, "websocket", "other"])
def test_there_are_no_tunnels(stack: Stack, server: Origin, protocol: str | None) -> None:
    before = len(server.received)
    extended = [(":protocol", protocol), (":scheme", "https"), (":path", "/")] if protocol else []

    assert answer_to(stack, [(":method", "CONNECT"), (":authority", "shop.test"), *extended, *PLAIN]) in {
        None,
        400,
        405,
    }
    assert len(server.received) == before


def test_fields_after_a_body_reach_no_server(stack: Stack) -> None:
    sent = [("x-gp-probe", SECRET), ("x-forwarded-for", "203.0.113.9"), ("x-other", "a")]
    with H3(stack.tls_address, "watch.test") as client:
        answer = client.request("POST", "watch.test", "/", {"content-type": "text/plain"}, [b"a"], sent)

    assert answer.status == 200
    assert answer.seen["trailers"] == []


@pytest.mark.parametrize("parts", [[b"a=1"], [b"a=1", b"&b=2&c=3&d=4"]])
def test_a_body_of_another_length_than_announced_reaches_no_server(
    stack: Stack, server: Origin, parts: list[bytes]
) -> None:
    before = len(server.received)
    with H3(stack.tls_address, "watch.test") as client, pytest.raises(ConnectionError):
        client.request("POST", "watch.test", "/", {"content-length": "7"}, parts)
    assert len(server.received) == before


def answer_to(stack: Stack, headers: Headers) -> int | None:
    """Headers as they are. None: the stream or the connection was reset."""
    with H3(stack.tls_address, "shop.test") as client:
        try:
            return client.answer(client.begin(headers, end=True)).status
        except ConnectionError:
            return None


def test_over_a_reload_what_is_begun_ends_and_what_is_not_is_left_to_a_new_connection(
    stack: Stack, server: Origin
) -> None:
    held = server.holds["/held"] = threading.Event()
    with H3(stack.tls_address, "shop.test") as client:
        client.get("shop.test", "/")
        number = client.begin([*pseudo("/held"), *PLAIN], end=True)
        wait_until(lambda: "GET /held" in " ".join(server.begun), "the server has it")
        stack.reload(given(server, strict_sni=True))
        before = len(server.received)
        with pytest.raises(ConnectionError, match=str(int(ErrorCode.H3_REQUEST_REJECTED))):
            client.get("shop.test", "/")
        assert len(server.received) == before
        held.set()
        assert client.answer(number).status == 200
    stack.reload(given(server))
