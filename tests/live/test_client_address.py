"""Who the client is: what proxies in front may say of it, and what nobody else may."""

import contextlib
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardpanel.rendering import DesiredState, Rows, render
from tests.live.origins import Origin, certificate, origin
from tests.live.stack import DEADLINE, Stack, wait_until
from tests.live.wire import Response, head
from tests.ports import free_port
from tests.rows import SECRET, rows

STRANGER, PROXY, INNER_PROXY = "127.0.0.1", "127.0.0.2", "127.0.0.3"
"Where connections come from: each address of 127.0.0.0/8 is this machine's."

ATTACK = "/?q=1%27%20OR%20%271%27%3D%271"

V2_LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
V2_TCP4 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([198, 51, 100, 7, 192, 0, 2, 1, 0, 9, 0x01, 0xBB])
V2_TCP6 = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24"
    + socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + bytes([0, 9, 0, 80])
)


def the_rows(server: Origin, **traffic: object) -> Rows:
    host = {"servers": [{"address": server.address}], "health_check": False, "policy": "Block"}
    return rows({"Block": {"enforcement_mode": "block"}}, {"shop.test": host}, traffic)


def listeners(stack: Stack) -> list[dict[str, object]]:
    """The second takes the PROXY protocol from the proxy, the third from it alone."""
    places = [f"{host}:{port}" for host, port in stack.addresses]
    return [
        {"address": places[1], "proxy_protocol": "trusted", "proxy_networks": [PROXY]},
        {"address": places[2], "proxy_protocol": "required", "proxy_networks": [PROXY]},
    ]


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    with Stack(haproxy, the_rows(server), events=True, listeners=3) as running:
        yield running


def use(stack: Stack, server: Origin, **traffic: object) -> None:
    """Have HAProxy run these settings, if it does not yet."""
    wanted = the_rows(server, **traffic)
    if render(DesiredState.from_rows(wanted, stack.facts)).checksum != stack.bundle.checksum:
        stack.reload(wanted)


@pytest.fixture
def by_networks(stack: Stack, server: Origin) -> Stack:
    networks = [PROXY, INNER_PROXY, "10.0.0.0/8"]
    use(stack, server, client_ip_source="x_forwarded_for", trusted_networks=networks, listeners=listeners(stack))
    return stack


def ask(
    stack: Stack, *lines: str, peer: str = STRANGER, listener: int = 0, before: bytes = b"", target: str = "/"
) -> Response:
    """One request from one of this machine's addresses, with these header lines."""
    request = head("GET", "shop.test", target, {"user-agent": "Mozilla/5.0", "accept": "*/*", "x-gp-test": SECRET})
    request = request.replace(
        b"\r\nConnection", "".join(f"\r\n{line}" for line in lines).encode() + b"\r\nConnection", 1
    )
    with socket.create_connection(stack.addresses[listener], DEADLINE, source_address=(peer, 0)) as connection:
        connection.sendall(before + request)
        return stack.answer(connection, request)


def received(answer: Response) -> dict[str, list[str]]:
    """Every value of each header that the server received."""
    headers: dict[str, list[str]] = {}
    for name, value in answer.seen["headers"]:
        headers.setdefault(name, []).append(value)
    return headers


FORGED = [
    "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Ssl",
    "X-Forwarded-Scheme", "X-Forwarded-Prefix", "X-Forwarded", "Forwarded", "Forwarded-For", "X-Original-Forwarded-For",
    "X-Real-IP", "X-Client-IP", "Client-IP", "X-Cluster-Client-IP", "True-Client-IP", "CF-Connecting-IP", "CF-Connecting-IPv6",
    "CF-Pseudo-IPv4", "CF-Visitor", "Fastly-Client-IP", "X-ProxyUser-Ip", "X-Remote-IP", "X-Remote-Addr", "X-Originating-IP",
    "WL-Proxy-Client-IP", "X-Azure-ClientIP", "X-Envoy-External-Address", "CloudFront-Viewer-Address", "Ali-CDN-Real-IP",
    "X-Scheme", "X-Url-Scheme", "Front-End-Https", "X-Host", "X-HTTP-Host-Override", "X-Original-URL", "X-Rewrite-URL",
    "X-Request-Id", "X_Forwarded_For", "X_Forwarded-Proto", "x.forwarded.for", "X_Real_IP", "HTTP_CLIENT_IP",
    "X_Original_Url", "True_Client_IP",
]  # fmt: skip


@pytest.mark.parametrize("configured", ["nothing", "networks", "header"])
def test_nothing_that_a_stranger_says_of_itself_reaches_a_server(stack: Stack, server: Origin, configured: str) -> None:
    traffic: dict[str, dict[str, object]] = {
        "nothing": {},
        "networks": {"client_ip_source": "x_forwarded_for", "trusted_networks": [PROXY]},
        "header": {"client_ip_source": "header", "client_ip_header": "X-Edge", "trusted_networks": [PROXY]},
    }
    use(stack, server, **traffic[configured])
    names = [*FORGED, "X-Edge", "X_Edge"] if configured == "header" else FORGED

    headers = received(ask(stack, *(f"{name}: 203.0.113.9" for name in names)))

    assert "203.0.113.9" not in json.dumps(headers)
    assert (headers["x-forwarded-for"], headers["x-real-ip"]) == ([STRANGER], [STRANGER])
    assert (headers["x-forwarded-proto"], headers["x-forwarded-host"]) == (["http"], ["shop.test"])
    ours = {"x-forwarded-for", "x-real-ip", "x-forwarded-proto", "x-forwarded-host", "x-request-id"}
    assert {name.lower() for name in names} & set(headers) <= ours
    assert all(len(values) == 1 for values in headers.values())


def test_a_forged_header_is_found_among_as_many_as_there_may_be(stack: Stack, server: Origin) -> None:
    use(stack, server)
    others = [f"{'x' * 240}-{number}: y" for number in range(90)]

    headers = received(ask(stack, *others, "X-Original-URL: /admin", "X_Forwarded_Proto: https"))

    assert len([name for name in headers if name.startswith("xxx")]) == 90
    assert headers["x-forwarded-proto"] == ["http"]
    assert not {"x-original-url", "x_forwarded_proto"} & set(headers)


CHAINS = [
    (["203.0.113.9"], "203.0.113.9"),
    (["203.0.113.9, 127.0.0.3"], "203.0.113.9"),
    (["1.2.3.4, 203.0.113.9, 127.0.0.3, 10.9.9.9"], "203.0.113.9"),
    (["1.2.3.4", "203.0.113.9"], "203.0.113.9"),
    (["1.2.3.4, 203.0.113.9", "10.1.1.1"], "203.0.113.9"),
    (["203.0.113.9:4711"], "203.0.113.9"),
    (["2001:db8::9"], "2001:db8::9"),
    (["[2001:db8::9]"], "2001:db8::9"),
    (["[2001:db8::9]:4711"], "2001:db8::9"),
    (["::ffff:203.0.113.9"], "203.0.113.9"),
    (["203.0.113.9, ::ffff:10.0.0.1"], "203.0.113.9"),
    (["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
    ([", ".join(["203.0.113.9"] + ["10.0.0.1"] * 30)], "10.0.0.1"),
    ([], PROXY),
    (["203.0.113.9, unknown"], PROXY),
    (["203.0.113.9,"], PROXY),
    (["203.0.113.9, , 10.0.0.1"], "10.0.0.1"),
    (["203.0.113.9, unknown, 10.0.0.1"], "10.0.0.1"),
    (["_hidden"], PROXY),
    (["203.0.113.9.1"], PROXY),
    (["localhost"], PROXY),
    (["203.0.113.9 1.1.1.1"], PROXY),
    (["203.0.113.9x"], PROXY),
    (["fe80::1%eth0"], PROXY),
    (['"203.0.113.9"'], PROXY),
]
"What a trusted proxy sends, and who the client is: what cannot be read ends the way, and nothing further left is believed."


@pytest.mark.parametrize(("values", "client"), CHAINS, ids=lambda value: str(value)[:50])
def test_a_trusted_proxy_names_the_client_through_a_chain(by_networks: Stack, values: list[str], client: str) -> None:
    answer = ask(by_networks, *(f"X-Forwarded-For: {value}" for value in values), peer=PROXY)

    assert received(answer)["x-forwarded-for"] == [client]
    line = by_networks.logged(answer)
    assert (line["client"], line["peer"], line["proxied"]) == (client, PROXY, "1")
    assert (line["client_port"] == 0) is (client != PROXY)  # the proxy's is not the visitor's


def test_scheme_host_and_port_pass_from_a_trusted_proxy(by_networks: Stack) -> None:
    claims = {"X-Forwarded-Proto": "HTTPS", "X-Forwarded-Host": "www.shop.test:8443", "X-Forwarded-Port": "8443"}

    headers = received(ask(by_networks, *(f"{name}: {value}" for name, value in claims.items()), peer=PROXY))

    assert headers["x-forwarded-proto"] == ["https"]
    assert headers["x-forwarded-host"] == ["www.shop.test:8443"]
    assert headers["x-forwarded-port"] == ["8443"]
    odd = {"X-Forwarded-Proto": "gopher", "X-Forwarded-Host": "a b<script>", "X-Forwarded-Port": "8443x"}
    headers = received(ask(by_networks, *(f"{name}: {value}" for name, value in odd.items()), peer=PROXY))
    assert (headers["x-forwarded-proto"], headers["x-forwarded-host"]) == (["http"], ["shop.test"])
    assert "x-forwarded-port" not in headers


def test_each_request_of_a_connection_has_its_own_client(by_networks: Stack) -> None:
    clients = []
    with socket.create_connection(by_networks.address, DEADLINE, source_address=(PROXY, 0)) as connection:
        for value in ("203.0.113.1", "203.0.113.2", None, "203.0.113.3"):
            line = f"X-Forwarded-For: {value}\r\n" if value else ""
            request = (
                f"GET / HTTP/1.1\r\nHost: shop.test\r\n{line}User-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n".encode()
            )
            connection.sendall(request)
            clients.append(by_networks.answer(connection, request).seen_headers["x-forwarded-for"])

    assert clients == ["203.0.113.1", "203.0.113.2", PROXY, "203.0.113.3"]


def test_the_client_is_the_nth_from_the_right_where_hops_are_counted(stack: Stack, server: Origin) -> None:
    use(stack, server, client_ip_source="x_forwarded_for", forwarded_hops=2, trusted_networks=[PROXY])

    for values, client in (("1.1.1.1, 203.0.113.9, 10.0.0.1", "203.0.113.9"), ("203.0.113.9", PROXY), ("", PROXY)):
        assert received(ask(stack, f"X-Forwarded-For: {values}", peer=PROXY))["x-forwarded-for"] == [client]


def test_a_trusted_proxys_single_header_is_the_client_ip(stack: Stack, server: Origin) -> None:
    use(stack, server, client_ip_source="header", client_ip_header="CF-Connecting-IP", trusted_networks=[PROXY])

    headers = received(ask(stack, "CF-Connecting-IP: 203.0.113.9", "X-Forwarded-For: 1.2.3.4", peer=PROXY))
    assert (headers["x-forwarded-for"], headers["cf-connecting-ip"]) == (["203.0.113.9"], ["203.0.113.9"])
    for lines in (
        ["CF-Connecting-IP: 1.1.1.1", "CF-Connecting-IP: 2.2.2.2"],
        ["CF-Connecting-IP: 1.1.1.1, 2.2.2.2"],
        [],
    ):
        headers = received(ask(stack, *lines, peer=PROXY))
        assert headers["x-forwarded-for"] == [PROXY]
        assert "cf-connecting-ip" not in headers


def test_the_proxy_protocol_is_believed_of_its_networks_alone(by_networks: Stack) -> None:
    stack = by_networks
    v1 = b"PROXY TCP4 198.51.100.7 192.0.2.1 9 443\r\n"
    mapped = b"PROXY TCP6 ::ffff:198.51.100.7 ::1 9 80\r\n"
    named = {v1: "198.51.100.7", V2_TCP4: "198.51.100.7", V2_TCP6: "2001:db8::7", mapped: "198.51.100.7"}
    for listener in (1, 2):
        for before, client in {**named, V2_LOCAL: PROXY, b"PROXY UNKNOWN\r\n": PROXY}.items():
            headers = received(ask(stack, peer=PROXY, listener=listener, before=before))
            assert headers["x-forwarded-for"] == [client]
            assert headers["x-forwarded-proto"] == ["https" if before in {v1, V2_TCP4} else "http"]
        with pytest.raises((ConnectionError, OSError)):  # it must begin with it
            ask(stack, peer=PROXY, listener=listener)
        assert ask(stack, listener=listener, before=v1).status == 400
        assert ask(stack, peer=PROXY, listener=listener, before=v1 + v1).status == 400
    assert received(ask(stack, listener=1))["x-forwarded-for"] == [STRANGER]
    behind_a_cdn = ask(
        stack, "X-Forwarded-For: 203.0.113.9", peer=PROXY, listener=2, before=b"PROXY TCP4 10.1.1.1 192.0.2.1 9 80\r\n"
    )
    assert received(behind_a_cdn)["x-forwarded-for"] == ["203.0.113.9"]
    assert ask(stack, peer=PROXY, before=v1).status == 400


def test_a_listener_can_require_the_proxy_protocol(by_networks: Stack, server: Origin) -> None:
    before = len(server.received)
    request = b"GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: 1.1.1.1\r\nConnection: close\r\n\r\n"
    with socket.create_connection(by_networks.addresses[2], DEADLINE) as connection:
        connection.sendall(request)
        assert by_networks.answer(connection, request).status == 400
    assert len(server.received) == before
    wait_until(lambda: [line for line in by_networks.access_log() if line["verdict"] == "no_proxy"], "the log says why")


def test_balance_by_source_is_by_the_client(stack: Stack, server: Origin) -> None:
    with origin() as other:
        servers = [{"address": server.address}, {"address": other.address}]
        made = rows(
            {"Block": {}},
            {"shop.test": {"servers": servers, "health_check": False, "policy": "Block", "balance": "source"}},
            {"client_ip_source": "x_forwarded_for", "trusted_networks": [PROXY]},
        )
        stack.reload(made)
        clients = [f"X-Forwarded-For: 203.0.113.{number}" for number in range(16)]

        first, again = ([ask(stack, client, peer=PROXY).seen["port"] for client in clients] for _ in range(2))

    assert first == again
    assert set(first) == {server.port, other.port}


TERMINATOR = """
defaults
    timeout client 30s
    timeout server 30s
    timeout connect 5s
listen v1
    mode tcp
    bind 127.0.0.1:{v1} ssl crt {pem}
    server gp {listener} source 127.0.0.2 send-proxy
listen v2
    mode tcp
    bind 127.0.0.1:{v2} ssl crt {pem}
    server gp {listener} source 127.0.0.2 send-proxy-v2
listen http
    mode http
    bind 127.0.0.1:{http} ssl crt {pem}
    option forwardfor
    http-request set-header x-forwarded-proto https
    server gp {plain} source 127.0.0.2
"""


@pytest.fixture(scope="module")
def terminator(haproxy: str, stack: Stack) -> Iterator[dict[str, int]]:
    """HAProxy that ends TLS, and says for whom in three ways: the port of each."""
    ports = {name: free_port() for name in ("v1", "v2", "http")}
    made = certificate("shop.test")
    pem, configuration = stack.folder / "shop.pem", stack.folder / "terminator.cfg"
    pem.write_bytes(made.key + made.chain)
    plain, _, listener = (f"{host}:{port}" for host, port in stack.addresses)
    configuration.write_text(TERMINATOR.format(pem=pem, plain=plain, listener=listener, **ports))
    process = stack.start([haproxy, "-db", "-f", str(configuration)], "terminator.log")
    wait_until(lambda: process.poll() is not None or accepts(ports["http"]), "the terminator listens")
    assert process.poll() is None, stack.log("terminator.log")
    yield ports
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(DEADLINE)


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


def visit(stack: Stack, port: int, visitor: str, target: str, *lines: str) -> Response:
    """A visitor's request over TLS."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    text = "".join(f"{line}\r\n" for line in ("User-Agent: Mozilla/5.0", "Accept: */*", *lines))
    request = f"GET {target} HTTP/1.1\r\nHost: shop.test\r\n{text}Connection: close\r\n\r\n".encode()
    raw = socket.create_connection(("127.0.0.1", port), DEADLINE, source_address=(visitor, 0))
    with context.wrap_socket(raw, server_hostname="shop.test") as connection:
        connection.sendall(request)
        return stack.answer(connection, request)


VISITORS = [f"127.0.1.{number}" for number in range(1, 9)]


@pytest.mark.parametrize("way", ["v1", "v2", "http"])
def test_behind_something_that_ends_tls_visitors_are_who_they_are(
    stack: Stack, server: Origin, terminator: dict[str, int], way: str
) -> None:
    special = listeners(stack)
    special[1]["scheme"] = "https"  # nothing in a TCP stream says so, but for port 443
    use(stack, server, client_ip_source="x_forwarded_for", trusted_networks=[PROXY], listeners=special)
    server.https_only = "/account"

    page = visit(
        stack, terminator[way], VISITORS[0], "/account", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: evil.test"
    )

    headers = received(page)  # 200: no redirect to where it is already
    assert headers["x-forwarded-for"] == [VISITORS[0]]
    assert headers["x-forwarded-proto"] == ["https"]
    before = {event["id"] for event in agents_events(stack)}
    for visitor in VISITORS:
        assert visit(stack, terminator[way], visitor, ATTACK).status == 403
    # The agent shares itself out by this address (spoa/admission.go), and so does every event.
    judged: dict[str, str] = {}

    def all_are_told() -> bool:
        judged.update({event["id"]: event["client"] for event in agents_events(stack) if event["id"] not in before})
        logged = {line["id"]: line["client"] for line in stack.access_log() if line["id"] in judged}
        return sorted(judged.values()) == VISITORS and logged == judged

    wait_until(all_are_told, f"agent and log name each visitor: {judged}")


def agents_events(stack: Stack) -> list[dict[str, str]]:
    """What the agent wrote of requests that fired rules. Lines without an id are of recorded and counted ones."""
    lines = (
        json.loads(line)
        for path in sorted(Path(stack.folder / "events").glob("*"))
        for line in path.read_bytes().split(b"\n")[:-1]  # the last one may be half written
        if line.startswith(b"{")
    )
    return [line for line in lines if "id" in line]
