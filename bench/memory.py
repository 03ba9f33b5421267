"""What HAProxy's worker takes while visitors stall, beside a policy that inspects bodies of 4 MiB (`make bench-memory`).

Each row is a fresh stack: so many connections begin, then none of them goes on. Resident memory of the worker, before and
when it grows no more; and what the visitors were told instead, if anything.
"""

import argparse
import contextlib
import resource
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench.stack import find_haproxy
from guardpanel.models.policies.policy_judging import LARGEST_BODY_KIB
from tests.haproxies import VERSIONS
from tests.live.origins import certificate
from tests.live.stack import Stack
from tests.live.tls import H2
from tests.rows import rows

MIB = 1024 * 1024
BLOCK = b"x" * 65536
ANSWER = 64 * MIB
STREAMS = 100
"Requests that a visitor would begin in one HTTP/2 connection."

STALLED = threading.Condition()
"Where a server waits that does not read."

SETTLED = 1.0
"MiB in half a second: grows no more."

HEAD = "HTTP/1.1\r\nHost: big.test\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n"


class Case(NamedTuple):
    words: str
    begin: Callable[[socket.socket], None]
    chunked: bool = False
    tls: bool = False
    inspected: bool = True


def download(connection: socket.socket) -> None:
    connection.sendall(f"GET /download {HEAD}\r\n".encode())


def upload(connection: socket.socket) -> None:
    """All but the last bytes of a body that is inspected."""
    length = (LARGEST_BODY_KIB - 1) * 1024
    head = f"POST / {HEAD}Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
    with contextlib.suppress(OSError):  # told no
        connection.sendall(head.encode() + b"x" * (length - 1000))


def to_a_slow_server(connection: socket.socket) -> None:
    """As much as is taken of a body that the server does not read."""
    head = f"POST /stall {HEAD}Content-Type: application/octet-stream\r\nContent-Length: {ANSWER}\r\n\r\n"
    connection.sendall(head.encode())
    connection.settimeout(0.2)
    with contextlib.suppress(OSError):
        for _ in range(ANSWER // len(BLOCK)):
            connection.sendall(BLOCK)


CASES = {
    "downloads": Case("downloads with a Content-Length", download),
    "chunked": Case("downloads in chunks", download, chunked=True),
    "tls": Case("downloads from an https server", download, tls=True),
    "uploads": Case("uploads of 4 MB that are inspected", upload),
    "passing": Case("uploads that are not inspected, to a server that stalls", to_a_slow_server, inspected=False),
}


@contextlib.contextmanager
def server(case: Case) -> Iterator[int]:
    """Answers with far more than anybody reads; never reads a body."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening, TemporaryDirectory() as folder:
        context = None
        if case.tls:
            made, pem = certificate("big.test"), Path(folder) / "server.pem"
            pem.write_bytes(made.key + made.chain)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=answer, args=(connection, context, case.chunked), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        with STALLED:
            STALLED.notify_all()


def answer(connection: socket.socket, context: ssl.SSLContext | None, chunked: bool) -> None:
    with contextlib.suppress(OSError), connection:
        if context:
            connection = context.wrap_socket(connection, server_side=True)
        if b"POST /stall" in connection.recv(65536):
            with STALLED:
                STALLED.wait()
            return
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {ANSWER}"
        connection.sendall(f"HTTP/1.1 200 OK\r\n{length}\r\nContent-Type: video/mp4\r\n\r\n".encode())
        for _ in range(ANSWER // len(BLOCK)):
            connection.sendall(b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK) if chunked else BLOCK)


def resident(pid: int) -> float:
    """MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def settled(pid: int) -> float:
    last = resident(pid)
    for _ in range(60):
        time.sleep(0.5)
        now = resident(pid)
        if abs(now - last) < SETTLED:
            break
        last = now
    return now


def worker(stack: Stack) -> int:
    lines = [line.split() for line in stack.command("show proc").splitlines()]
    return next(int(fields[0]) for fields in lines if fields[1:2] == ["worker"])


def refusals(connections: list[socket.socket]) -> Counter[str]:
    """Statuses of those who were refused."""
    statuses: Counter[str] = Counter()
    for connection in connections:
        with contextlib.suppress(OSError):  # nothing was said, or it was cut off
            status = connection.recv(12, socket.MSG_PEEK | socket.MSG_DONTWAIT)[9:12].decode("latin-1")
            if status != "200":
                statuses[status] += 1
    return statuses


def measure(haproxy: str, case: Case, count: int, clients: int) -> str:
    with server(case) as port, contextlib.ExitStack() as stack:
        address = f"https://127.0.0.1:{port}" if case.tls else f"127.0.0.1:{port}"
        host = {"servers": [{"address": address}], "health_check": False, "tls_verify": "off"}
        policy = {"policy": "Uploads"} if case.inspected else {}
        state = rows({"Uploads": {"body_limit_kib": LARGEST_BODY_KIB}}, {"big.test": {**host, **policy}})
        running = stack.enter_context(Stack(find_haproxy(haproxy), state))
        pid = worker(running)
        before, connections = resident(pid), []
        for number in range(count):
            connection = stack.enter_context(socket.socket())
            connection.bind((f"127.0.{1 + number % clients // 250}.{1 + number % clients % 250}", 0))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(running.address)
            case.begin(connection)
            connections.append(connection)
        after, refused = settled(pid), refusals(connections)
        listed = ", ".join(f"{number} × {status or 'closed'}" for status, number in sorted(refused.items())) or "—"
        return f"| {haproxy} | {case.words} | {clients} | {before:.0f} | {after:.0f} | {listed} |"


def one_connection(haproxy: str) -> str:
    """As many uploads at once as HAProxy takes over one HTTP/2 connection, each without its last bytes."""
    length = str((LARGEST_BODY_KIB - 1) * 1024)
    host = {"servers": [{"address": "127.0.0.1:9"}], "health_check": False, "https": True, "policy": "Uploads"}
    policy = {"body_limit_kib": LARGEST_BODY_KIB, "enforcement_mode": "block"}
    state = rows({"Uploads": policy}, {"big.test": host})
    with Stack(find_haproxy(haproxy), state) as running, H2(running.tls_address, "big.test") as client:
        pid = worker(running)
        before = resident(pid)
        pseudo = [(":method", "POST"), (":scheme", "https"), (":authority", "big.test"), (":path", "/")]
        while not client.wire.remote_settings.max_concurrent_streams < STREAMS:
            client.receive()  # The settings of HAProxy.
        sent = [*pseudo, ("content-type", "application/octet-stream"), ("content-length", length)]
        at_once = min(STREAMS, client.wire.remote_settings.max_concurrent_streams)
        numbers = [client.begin(sent, end=False) for _ in range(at_once)]
        for number in numbers:
            client.send(number, b"x" * (int(length) - 1000))
        after = settled(pid)
        client.socket.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            while True:
                client.receive()
        statuses = Counter(client.streams[number].headers.get(":status", "—") for number in numbers)
        listed = ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()) if status != "—") or "—"
        words = f"{at_once} of {STREAMS} uploads of 4 MB in one HTTP/2 connection"
        return f"| {haproxy} | {words} | 1 | {before:.0f} | {after:.0f} | {listed} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--haproxy", nargs="+", default=VERSIONS)
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--connections", type=int, default=300)
    parser.add_argument("--clients", type=int, nargs="+", default=[300, 1], help="from so many addresses")
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(
        f"| HAProxy | {arguments.connections} stalled | clients | MiB before | MiB then | refused |\n|---|---|---|---|---|---|"
    )
    for haproxy, name, clients in product(arguments.haproxy, arguments.cases, arguments.clients):
        print(measure(haproxy, CASES[name], arguments.connections, clients), flush=True)
    for haproxy in arguments.haproxy:
        print(one_connection(haproxy), flush=True)


if __name__ == "__main__":
    main()
