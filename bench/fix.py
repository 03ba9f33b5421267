"""The page of a fix: how long after the click the first verdict, the proposed fix and all findings are there.

    make bench-fix          (or: .venv/bin/python -m bench.fix --rounds 25)

A real HAProxy 2.8 and agent; events of a form that is blocked, and ordinary requests that were recorded. Each round is a click:
the page, then its two streams one after the other, as the browser asks for them but for drawing. Times count from the click.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator

import httpx2

from bench.stack import Stack, load_client, running_stack, the_agent
from tests.live.stack import wait_until
from tests.web import Person, an_account

HOST = "shop.example"
BODY = b"text=" + b"1' or '1'='1'%3B select name from users where id = 7 -- "
HEAD = "User-Agent: Mozilla/5.0\r\nAccept: */*\r\n"
BLOCKED = f"POST /posts HTTP/1.1\r\nHost: {HOST}\r\n{HEAD}Content-Type: application/x-www-form-urlencoded\r\n".encode()
BLOCKED += b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
LINES = ("HAProxy's", "the agent's")
"That make an event."
PARTS = {"before": "first verdict", "rung": "proposed fix, its verdict", "ladder-state": "all fixes tried"}
ORDINARY = [f"GET /list?id={number} HTTP/1.1\r\nHost: {HOST}\r\n{HEAD}\r\n".encode() for number in range(40)]


def the_event(client: httpx2.Client) -> str:
    """The id of one that was blocked; waits for the ingest."""

    def blocked() -> list[str]:
        items = client.get("/api/v1/logs", params={"action": "deny", "per_page": 50}).json()["items"]
        return [item["producer_event_id"] for item in items if len(item["raw_context"] or ()) == len(LINES)]

    wait_until(blocked, "an event is stored")
    return blocked()[0]


def arrivals(client: httpx2.Client, path: str) -> Iterator[tuple[str, float]]:
    """The element that each part of a stream is for, and when it came."""
    with client.stream("GET", path) as answer:
        assert answer.status_code == 200, answer.read()
        for line in answer.iter_lines():
            if '"into"' in line:
                yield json.loads(line.removeprefix("data: "))["into"], time.perf_counter()


def click(client: httpx2.Client, request_id: str) -> dict[str, float]:
    began = time.perf_counter()
    path = f"/events/{request_id}/fix"
    assert client.get(path).status_code == 200
    times = {"page": time.perf_counter()}
    for into, at in arrivals(client, f"{path}/ladder"):
        if into in PARTS:
            times[PARTS[into]] = at
    for _into, at in arrivals(client, f"{path}/findings"):
        times["all findings"] = at
    return {name: 1_000 * (at - began) for name, at in times.items()}


def measure(stack: Stack, rounds: int) -> None:
    an_account(stack.panel)
    person = Person(stack.panel)
    request_id = the_event(stack.client)
    clicks = [click(person.client, request_id) for _ in range(rounds + 1)][1:]
    assert all(len(each) == len(PARTS) + 2 for each in clicks), clicks
    print("| | p50 | p95 ms |\n|---|---|---|")
    for name in clicks[0]:
        values = [each[name] for each in clicks]
        print(f"| {name} | {statistics.median(values):.0f} | {statistics.quantiles(values, n=20)[-1]:.0f} |")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=25)
    given = arguments.parse_args()
    with load_client() as load, running_stack("2.8", the_agent()) as stack:
        stack.add_host(HOST, stack.add_policy("Strict", "block"), load.server)
        load.run(stack.panel, [BLOCKED, *ORDINARY], 0.3)
        measure(stack, given.rounds)


if __name__ == "__main__":
    main()
