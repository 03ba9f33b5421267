"""Eight visitors behind one TLS terminator, beside eight visitors alone (`make bench-terminator`).

A real panel with a policy that blocks, as it is made by default, and a HAProxy before it that ends TLS. Its visitors, one
connection each from an address of its own, reach the panel's HAProxy in four ways: each from his own address, as if he had no
terminator in common with others; all from the terminator's, which says for whom by the PROXY protocol or by X-Forwarded-For; and
all from one that says nothing, so that they are one client. TLS and the terminator's work are the same in all of them; *plain* is
without either. In each round all are asked in turns, in another order each time. All share the machine.
"""

import argparse
import contextlib
import random
import socket
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.data_path import cell
from bench.requests import harmless
from bench.stack import Load, Report, Stack, find_haproxy, load_client, running_stack, the_agent
from tests.live.origins import certificate
from tests.live.stack import wait_until
from tests.ports import free_port

HOST = "shop.example"
VISITORS = 8
FIRST = "127.0.1.1"
BY_PROXY_PROTOCOL, BY_HEADER, BY_NOTHING = "127.0.0.2", "127.0.0.3", "127.0.0.4"
SHAPES = ("GET", "form of 1 KB", "text of 16 KB")
"Of what takes longer a busy machine may judge nothing in time."

ALONE = "alone"
WAYS = {
    ALONE: [f"server s{at} {{panel}} source 127.0.1.{at}" for at in range(1, VISITORS + 1)]
    + [f"use-server s{at} if {{{{ src 127.0.1.{at} }}}}" for at in range(1, VISITORS + 1)],
    "PROXY protocol": [f"server s {{panel}} source {BY_PROXY_PROTOCOL} send-proxy-v2"],
    "X-Forwarded-For": ["option forwardfor", f"server s {{panel}} source {BY_HEADER}"],
    "nothing": [f"server s {{panel}} source {BY_NOTHING}"],
}
"What the panel's HAProxy is told of visitors, and how."

Ports = dict[str, int]


@contextlib.contextmanager
def terminator(haproxy: str, panel: str) -> Iterator[Ports]:
    """A port of it for each way."""
    ports = {way: free_port() for way in WAYS}
    made = certificate(HOST)
    with tempfile.TemporaryDirectory(prefix="gp") as folder:
        (pem := Path(folder) / "pem").write_bytes(made.key + made.chain)
        lines = ["defaults", "mode http", "timeout client 60s", "timeout server 60s", "timeout connect 5s"]
        for at, (way, port) in enumerate(ports.items()):
            lines += [f"listen l{at}", f"bind 127.0.0.1:{port} ssl crt {pem}"]
            lines += ["http-reuse never", *(line.format(panel=panel) for line in WAYS[way])]
        (configuration := Path(folder) / "haproxy.cfg").write_text("\n".join(lines) + "\n")
        with subprocess.Popen([haproxy, "-db", "-f", configuration]) as process:
            wait_until(lambda: process.poll() is not None or accepts(port), "the terminator listens")
            assert process.poll() is None
            try:
                yield ports
            finally:
                process.terminate()


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def compare(load: Load, stack: Stack, ports: Ports, shape: str, rounds: int, seconds: float) -> dict[str, list[Report]]:
    """A short round first, that does not count."""
    reports: dict[str, list[Report]] = {"plain": [], **{way: [] for way in ports}}
    request = harmless(HOST)[shape]
    for at in range(rounds + 1):
        for way in random.sample(list(reports), len(reports)):
            plan = {"Client": FIRST, "Clients": VISITORS, "Connections": VISITORS}
            if way in ports:
                plan |= {"TLS": True, "Proxy": f"127.0.0.1:{ports[way]}"}
            report = load.run(stack.panel, [request], seconds if at else seconds / 4, **plan)
            assert not report.failures, (way, shape, report.failures)
            assert set(report.statuses) <= {200, 429, 503}, (way, shape, report.statuses)
            if at:
                reports[way].append(report)
    return reports


def ratio(reports: dict[str, list[Report]], way: str) -> str:
    """To those alone, in each round; the median, and from where to where."""
    pairs = zip(reports[way], reports[ALONE], strict=True)
    ratios = sorted(terminator.per_second / alone.per_second for terminator, alone in pairs)
    return f"{statistics.median(ratios):.2f} × ({ratios[0]:.2f}–{ratios[-1]:.2f})"


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--seconds", type=float, default=2.0, help="that each way is asked in a round")
    arguments.add_argument("--haproxy", nargs="+", default=["2.8"])
    arguments.add_argument("--requests", nargs="+", choices=SHAPES, default=SHAPES)
    given = arguments.parse_args()
    others = [way for way in WAYS if way != ALONE]
    print(f"| HAProxy | request | plain: requests/s · p50 / p99 ms | {ALONE} | {' | '.join(others)} |")
    print("|---|---|---|---|" + "---|" * len(others))
    for version in given.haproxy:
        with load_client() as load, running_stack(version, the_agent()) as stack:
            panel = f"127.0.0.1:{stack.panel.proxy_port}"
            stack.add_host(HOST, stack.add_policy("Block", "block", fail_mode="closed"), load.server)
            listener = {"address": panel, "proxy_protocol": "trusted", "proxy_networks": [BY_PROXY_PROTOCOL]}
            stack.save(
                "PATCH",
                "traffic",
                client_ip_source="x_forwarded_for",
                trusted_networks=[BY_HEADER],
                listeners=[listener],
            )
            with terminator(find_haproxy(version), panel) as ports:
                for shape in given.requests:
                    reports = compare(load, stack, ports, shape, given.rounds, given.seconds)
                    ratios = [f"{cell(reports[way])}; {ratio(reports, way)}" for way in others]
                    head = [version, shape, cell(reports["plain"]), cell(reports[ALONE])]
                    print(f"| {' | '.join([*head, *ratios])} |", flush=True)


if __name__ == "__main__":
    main()
