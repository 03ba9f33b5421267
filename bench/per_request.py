"""What a login, a client limit that no client meets, and a deny list of 100,000 entries cost per request: processor time of
HAProxy and of the agent, on virtual hosts that differ in nothing else (`make bench-per-request`).

All are in one configuration. In each round each is asked, in another order, by clients that stay far below the limit. The last
columns are ratios per round, from the lowest to the highest: a difference counts if it is larger than these differ.
"""

import argparse
import base64
import os
import random
import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from bench.address_lists import ENTRIES, entries
from bench.requests import request
from bench.stack import Load, Stack, load_client, processor_seconds, running_stack, the_agent

CLIENTS = 8
USER, PASSWORD = "ada", "correct horse battery staple"
BASES = {"login": "off", "deny list": "off", "limit": "block"}
"By side: what it is compared with."


class Cost(NamedTuple):
    """Microseconds of a request."""

    haproxy: float
    agent: float

    @property
    def both(self) -> float:
        return self.haproxy + self.agent


def host_of(side: str) -> str:
    return f"{side.replace(' ', '-')}.example"


def fill(stack: Stack, server: int) -> None:
    """A virtual host per side."""
    block = stack.add_policy("Block", "block")
    limit = {"ddos_protection_enabled": True, "rate_limit_requests": 1_000_000, "max_connections_per_ip": 1_000}
    limited = stack.add_policy("Limited", "block", **limit)
    for side, policy, mode in (
        ("off", block, "off"), ("login", block, "off"), ("deny list", block, "off"), ("block", block, None),
        ("limit", limited, None),
    ):  # fmt: skip
        stack.add_host(host_of(side), policy, server, mode)
    numbers = {host["domain"]: host["id"] for host in stack.client.get("/api/v1/vhosts").json()["items"]}
    login = numbers[host_of("login")]
    stack.save("POST", f"vhosts/{login}/logins", name=USER, password=PASSWORD)
    stack.save("PATCH", f"vhosts/{login}", requires_login=True)
    listed = {"applies_to": "virtual_hosts", "virtual_host_ids": [numbers[host_of("deny list")]]}
    stack.save("POST", "address-lists", name="Large", entries=entries(ENTRIES), **listed)


def asked(side: str) -> bytes:
    credentials = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    return request(host_of(side), more=f"authorization: Basic {credentials}\r\n")


def cost(load: Load, stack: Stack, side: str, seconds: float) -> Cost:
    workers, agent = stack.worker_pids(), [stack.agent_pid()]
    before = processor_seconds(workers), processor_seconds(agent)
    report = load.run(stack.panel, [asked(side)], seconds, Client="127.0.1.1", Clients=CLIENTS, Connections=CLIENTS)
    assert (report.failures, set(report.statuses)) == ({}, {200}), (side, report.failures, report.statuses)
    after = processor_seconds(workers), processor_seconds(agent)
    return Cost(*((late - early) * 1_000_000 / report.answers for early, late in zip(before, after, strict=True)))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--seconds", type=float, default=3.0, help="that a side is asked in a round")
    arguments.add_argument("--haproxy", nargs="+", default=["2.8"])
    given = arguments.parse_args()
    for version in given.haproxy:
        with load_client() as load, running_stack(version, the_agent()) as stack:
            fill(stack, load.server)
            measured: dict[str, list[Cost]] = defaultdict(list)
            for at in range(given.rounds + 1):
                for side in random.sample(sorted({*BASES, *BASES.values()}), len({*BASES, *BASES.values()})):
                    result = cost(load, stack, side, given.seconds)
                    if at:  # The first round does not count.
                        measured[side].append(result)
        print(f"\nHAProxy {version}, load {os.getloadavg()[0]:.1f}\n\n{table(measured)}", flush=True)


def table(measured: dict[str, list[Cost]]) -> str:
    head = "| | HAProxy | with the agent | compared with | HAProxy’s | with the agent’s |\n|---|--:|--:|---|--:|--:|"
    return "\n".join([head, *(row(side, measured) for side in ("off", "login", "deny list", "block", "limit"))])


def row(side: str, measured: dict[str, list[Cost]]) -> str:
    costs, base = [(each.haproxy, each.both) for each in measured[side]], BASES.get(side, "")
    others = [(each.haproxy, each.both) for each in measured[base]] if base else []
    medians = [f"{statistics.median(values):.1f} µs" for values in zip(*costs, strict=True)]
    ratios = [
        ratio(*columns) for columns in zip(zip(*costs, strict=True), zip(*others, strict=True), strict=bool(base))
    ]
    return f"| {' | '.join([side, *medians, base, *(ratios or ['', ''])])} |"


def ratio(values: Sequence[float], others: Sequence[float]) -> str:
    """The median of the rounds, and from where to where."""
    ratios = sorted(value / other for value, other in zip(values, others, strict=True))
    return f"{statistics.median(ratios):.3f} ({ratios[0]:.3f}–{ratios[-1]:.3f})"


if __name__ == "__main__":
    main()
