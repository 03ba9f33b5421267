"""What the WAF costs in the whole stack: client → HAProxy, configured by the panel → agent → a server that answers at once.

    make bench-stack           (or: .venv/bin/python -m bench.data_path --rounds 5 --seconds 0.4)

Two real panels run beside each other: one with the agent, one with the same agent but Coraza's own `@rx`. Each has a virtual
host without the WAF, one that detects only and one that blocks, with a policy as it is made by default, but that what could
not be judged in time is refused and so can be counted. In each round all of them are asked in turns, in another order each time.
Connections come from addresses of their own. Client, server, HAProxy and agent share the machine.
"""

import argparse
import math
import random
import statistics
from collections.abc import Iterator
from contextlib import contextmanager

from bench.requests import harmless
from bench.stack import Load, Report, Stack, load_client, plain_agent, running_stack, the_agent

MODES = {"off": "off", "detect": "detect only", "block": "blocking"}
UPLOAD = "upload of 1 MB"
UPLOAD_KIB = 2048
"The body limit for uploads; HAProxy's buffers follow it, so everything else is measured before."

Sides = dict[str, tuple[Stack, str]]
"By what a column says: the stack, and its host."


@contextmanager
def sides(haproxy: str, server: int) -> Iterator[Sides]:
    with running_stack(haproxy, the_agent()) as ours, running_stack(haproxy, plain_agent()) as plain:
        for stack in (ours, plain):
            fill(stack, server)
        yield {
            **{name: (ours, f"{mode}.example") for mode, name in MODES.items()},
            "plain": (plain, "block.example"),
        }


def fill(stack: Stack, server: int) -> None:
    for mode in MODES:
        policy = stack.add_policy(mode, "detect_only" if mode == "detect" else "block", fail_mode="closed")
        stack.add_host(f"{mode}.example", policy, server, "off" if mode == "off" else None)


def raise_limits(sides: Sides) -> None:
    for stack in {id(stack): stack for stack, _ in sides.values()}.values():
        for policy in stack.client.get("/api/v1/policies", params={"per_page": 50}).json()["items"]:
            stack.save("PATCH", f"policies/{policy['id']}", body_limit_kib=UPLOAD_KIB)


def compare(
    load: Load, sides: Sides, shape: str, connections: int, rounds: int, seconds: float
) -> dict[str, list[Report]]:
    """A short round first, that does not count."""
    reports: dict[str, list[Report]] = {name: [] for name in sides}
    for at in range(rounds + 1):
        for name in random.sample(list(sides), len(sides)):
            stack, host = sides[name]
            request = harmless(host)[shape]
            clients = {"Client": "127.0.1.1", "Clients": connections, "Connections": connections}
            report = load.run(stack.panel, [request], seconds if at else seconds / 4, **clients)
            assert not report.failures, (name, shape, report.failures)
            assert set(report.statuses) <= {200, 503}, (name, shape, report.statuses)
            if at:
                reports[name].append(report)
    return reports


def cell(reports: list[Report]) -> str:
    """Requests a second, and p50 / p99 in milliseconds: each the median of the rounds."""
    rate = statistics.median(report.per_second for report in reports)
    refused = sum(report.answers - report.passed for report in reports) / sum(report.answers for report in reports)
    late = f" ({100 * refused:.0f} % refused)" if refused else ""
    answered = [report for report in reports if report.passed]
    if not answered:
        return f"0{late}"
    low, high = (statistics.median(report.percentile(part) for report in answered) for part in (0.5, 0.99))
    return f"{number(rate)} · {number(low)} / {number(high)}{late}"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ratio(reports: dict[str, list[Report]]) -> str:
    """Ours to plain Coraza in each round; the median, and from where to where."""
    ratios = sorted(
        ours.per_second / plain.per_second if plain.passed else math.inf
        for ours, plain in zip(reports["blocking"], reports["plain"], strict=True)
    )
    if math.isinf(statistics.median(ratios)):
        return "Coraza's own answers none in time"
    return f"{statistics.median(ratios):.2f} × ({ratios[0]:.2f}–{ratios[-1]:.2f})"


def row(shape: str, connections: int, reports: dict[str, list[Report]]) -> str:
    cells = [cell(reports[name]) for name in reports]
    return f"| {shape} | {connections} | {' | '.join(cells)} | {ratio(reports)} |"


HEAD = (
    "| request | connections | WAF off: requests/s · p50 / p99 ms | detect only | blocking | blocking, Coraza's own `@rx` "
    "| ours to Coraza's own, requests/s |\n|---|---|---|---|---|---|---|"
)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=0.4, help="that a side is asked in a round")
    arguments.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64])
    arguments.add_argument("--haproxy", nargs="+", default=["2.8"])
    arguments.add_argument("--requests", nargs="+", default=list(harmless("")))
    given = arguments.parse_args()
    shapes = sorted(given.requests, key=lambda shape: shape == UPLOAD)
    for version in given.haproxy:
        print(f"\nHAProxy {version}\n\n{HEAD}", flush=True)
        with load_client() as load, sides(version, load.server) as compared:
            for shape in shapes:
                if shape == UPLOAD:
                    raise_limits(compared)
                for connections in given.connections:
                    reports = compare(load, compared, shape, connections, given.rounds, given.seconds)
                    print(row(shape, connections, reports), flush=True)


if __name__ == "__main__":
    main()
