"""Reads of the JSON API: requests per second, times, and the panel's processor time for each.

    make bench-api             (or: .venv/bin/python -m bench.api --hosts 200 1000 --clients 1 16 --seconds 5)

A real panel with so many virtual hosts and 50 policies. Clients keep their connections and send one request after the other
without a pause, all with the same access token. *In turns*: each virtual host, and each page, one after the other. *Beside
saves*: another virtual host is saved without a pause meanwhile, and after each save everything is read from the database again.
All share the machine.
"""

import argparse
import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from bench.save import log_in
from bench.scale import fill
from bench.stack import Load, load_client
from tests.panel import Panel, running_panel

TICK = os.sysconf("SC_CLK_TCK")


def head(path: str, token: str) -> bytes:
    return f"GET /api/v1/{path} HTTP/1.1\r\nHost: panel\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def spent(panel: Panel) -> float:
    """Seconds of the processor that the panel took so far."""
    assert panel.process
    fields = Path(f"/proc/{panel.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


@contextmanager
def saves(client: httpx2.Client, host: int) -> Iterator[list[int]]:
    """Save a virtual host until the end. Yields the statuses."""
    statuses: list[int] = []
    ends = threading.Event()

    def save() -> None:
        while not ends.is_set():
            notes = {"description": f"Saved {len(statuses)} times"}
            statuses.append(client.patch(f"/api/v1/vhosts/{host}", json=notes).status_code)

    thread = threading.Thread(target=save)
    thread.start()
    try:
        yield statuses
    finally:
        ends.set()
        thread.join()


def measured(load: Load, panel: Panel, requests: list[bytes], seconds: float, clients: int) -> str:
    """A table's cells."""
    before = spent(panel)
    report = load.run(panel, requests, seconds, Connections=clients, Proxy=panel.url.removeprefix("http://"))
    assert set(report.statuses) == {200}, report
    used = 1000 * (spent(panel) - before) / report.answers
    times = f"{report.percentile(0.5):.3g} / {report.percentile(0.99):.3g}"
    return f"{report.per_second:,.0f} | {times} | {used:.2f}"


def compare(hosts: int, given: argparse.Namespace) -> None:
    with running_panel() as panel:
        panel.stop()
        asyncio.run(fill(f"sqlite+aiosqlite:///{panel.data / 'guardpanel.db'}", hosts, 9))
        panel.start()
        client = log_in(panel)
        token = client.headers["authorization"].removeprefix("Bearer ")
        numbers = [row["id"] for row in client.get("/api/v1/vhosts?per_page=500").json()["items"]]
        reads = {
            "one virtual host": [head(f"vhosts/{numbers[0]}", token)],
            "virtual hosts in turns": [head(f"vhosts/{number}", token) for number in numbers],
            "a page of 50": [head("vhosts?per_page=50", token)],
            "pages of 50 in turns": [head(f"vhosts?per_page=50&page={at + 1}", token) for at in range(hosts // 50)],
            "one policy": [head("policies/1", token)],
        }
        with load_client() as load:
            for name, requests in reads.items():
                measured(load, panel, requests, 1, 1)
                for clients in given.clients:
                    cells = measured(load, panel, requests, given.seconds, clients)
                    print(f"| {hosts:,} | {name} | {clients} | {cells} |", flush=True)
            for name in ("one virtual host", "a page of 50"):
                with saves(client, numbers[-1]) as statuses:
                    cells = measured(load, panel, reads[name], given.seconds, 16)
                assert set(statuses) == {200}, statuses
                print(f"| {hosts:,} | {name}, beside {len(statuses)} saves | 16 | {cells} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[200, 1000])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--seconds", type=float, default=5)
    given = parser.parse_args()
    print("| virtual hosts | read | clients | requests/s | p50 / p99 ms | panel’s processor ms |")
    print("|---|---|---|---|---|---|")
    for hosts in given.hosts:
        compare(hosts, given)


if __name__ == "__main__":
    main()
