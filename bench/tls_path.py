"""HTTPS through the panel's HAProxy, beside a hand-written one that only ends TLS and forwards (`make bench-tls`).

Both are the same binary, with the same kind of certificate, and forward to the same server, which answers at once. The panel's
virtual host is without the WAF. *Kept*: each client sends one request after the other on its connection; *new*: each request is a
connection with a full TLS handshake of its own; *plain*: as *kept*, without TLS. In each round both are asked, in another order
each time. All share the machine.
"""

import argparse
import contextlib
import os
import random
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.data_path import cell
from bench.stack import Load, Report, Stack, find_haproxy, load_client, running_stack, the_agent
from bench.terminator import accepts
from guardpanel.certificates import making
from guardpanel.models.certificates.certificate import KeyType
from tests.live.stack import wait_until
from tests.ports import free_port

HOST = "shop.example"
CLIENTS = 8
HEAD = f"GET /a?b=1 HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n"
KEPT, NEW = f"{HEAD}\r\n".encode(), f"{HEAD}Connection: close\r\n\r\n".encode()

BY_HAND = """global
    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
    option forwardfor
frontend visitors
    bind 127.0.0.1:{port} ssl crt {certificate} alpn h2,http/1.1
    bind 127.0.0.1:{plain}
    default_backend shop
backend shop
    server s1 127.0.0.1:{server}
"""


@contextlib.contextmanager
def by_hand(haproxy: str, server: int) -> Iterator[tuple[int, int]]:
    """Its ports, with TLS and without."""
    port, plain, made = free_port(), free_port(), making.self_signed([HOST], KeyType.ECDSA, datetime.now(UTC))
    with tempfile.TemporaryDirectory(prefix="gp") as folder:
        (pem := Path(folder) / "shop.pem").write_bytes(made.chain_pem.encode() + made.key_pem)
        (configuration := Path(folder) / "haproxy.cfg").write_text(
            BY_HAND.format(port=port, plain=plain, certificate=pem, server=server)
        )
        with subprocess.Popen([haproxy, "-db", "-f", configuration]) as process:
            try:
                wait_until(lambda: process.poll() is not None or accepts(port), "the hand-written HAProxy listens")
                yield port, plain
            finally:
                process.terminate()


def secured(stack: Stack, server: int) -> None:
    stack.save("POST", "certificates", name=HOST, source="self_signed", names=[HOST])
    host = {"hostnames": [HOST], "servers": [{"address": f"127.0.0.1:{server}"}], "health_check": False}
    stack.save("POST", "vhosts", **host, ssl_enabled=True, enforcement_mode="off")


def compared(
    load: Load, stack: Stack, ports: dict[str, int], request: bytes, given: argparse.Namespace, **tls: bool
) -> str:
    """A table's cells. A short round first, that does not count."""
    reports: dict[str, list[Report]] = {name: [] for name in ports}
    for at in range(given.rounds + 1):
        for name in random.sample(list(ports), len(ports)):
            plan = {"Proxy": f"127.0.0.1:{ports[name]}", **tls, "Client": "127.0.1.1", "Clients": CLIENTS}
            report = load.run(
                stack.panel, [request], given.seconds if at else given.seconds / 4, Connections=CLIENTS, **plan
            )
            assert (report.failures, set(report.statuses)) == ({}, {200}), (name, report)
            if at:
                reports[name].append(report)
    ours, other = reports.values()
    ratios = sorted(a.per_second / b.per_second for a, b in zip(ours, other, strict=True))
    return f"{cell(ours)} | {cell(other)} | {statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--seconds", type=float, default=1.0, help="that a side is asked in a round")
    arguments.add_argument("--haproxy", nargs="+", default=["2.6", "2.8"])
    given = arguments.parse_args()
    print(
        "| HAProxy | connections | panel's: requests/s · p50 / p99 ms | by hand | panel's to by hand |\n|---|---|---|---|---|"
    )
    for version in given.haproxy:
        with (
            load_client() as load,
            running_stack(version, the_agent()) as stack,
            by_hand(find_haproxy(version), load.server) as (port, plain),
        ):
            secured(stack, load.server)
            sealed, open_ports = (
                {"panel": ours, "by hand": other}
                for ours, other in ((stack.panel.https_port, port), (stack.panel.proxy_port, plain))
            )
            for name, ports, request in (("kept", sealed, KEPT), ("new", sealed, NEW), ("plain", open_ports, KEPT)):
                cells = compared(load, stack, ports, request, given, TLS=name != "plain")
                print(f"| {version} | {name} | {cells} |", flush=True)
    print(f"\nLoad: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
