"""No cheap denial of service: how long somebody waits beside a client who sends the worst requests that the rule set allows.

    make bench-attack          (or: .venv/bin/python -m bench.attack --seconds 10 --connections 1 4 16)

A real panel with a policy that blocks, as it is made by default otherwise. First every candidate of bench/worst.py is sent alone,
and what it costs HAProxy and the agent is taken in seconds of the processor; the worst of each kind attacks. Then a visitor at an
address of its own sends small requests at a modest rate: alone (quiet), and beside each attack, a closed loop over so many
connections from one other address. Quiet is measured anew before each attack. The clients are processes of their own.
"""

import argparse
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.data_path import number
from bench.requests import request
from bench.stack import Load, Report, Stack, load_client, processor_seconds, running_stack, the_agent
from bench.worst import candidates

SITE, ATTACKED = "site.example", "attacked.example"
"Two policies that differ by a number, so that the agent's metrics tell one's requests from the other's."

VISITOR = {"Client": "127.0.0.2", "Connections": 4, "PerSecond": 40.0}
ATTACKER = {"Client": "127.0.0.3"}


@dataclass
class Usage:
    """What HAProxy and the agent did meanwhile: processors, and the agent's longest queue."""

    haproxy: float = 0
    agent: float = 0
    queue: int = 0
    visitors_ms: float = float("nan")
    "From a visitor's message to its verdict in the agent, on average: its queue and the inspection."


@dataclass
class Watch:
    """Looks at both engines while something goes on."""

    stack: Stack
    application: str
    usage: Usage = field(default_factory=Usage)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        workers, agent = self.stack.worker_pids(), [self.stack.agent_pid()]
        before = (processor_seconds(workers), processor_seconds(agent), self.judged())
        over = threading.Event()
        looks = threading.Thread(target=self.look, args=(over,))
        looks.start()
        yield
        over.set()
        looks.join()
        self.usage.haproxy = processor_seconds(workers) - before[0]
        self.usage.agent = processor_seconds(agent) - before[1]
        seconds, count = (now - then for now, then in zip(self.judged(), before[2], strict=True))
        self.usage.visitors_ms = 1000 * seconds / count if count else float("nan")

    def look(self, over: threading.Event) -> None:
        while not over.wait(0.25):
            self.usage.queue = max(self.usage.queue, int(self.metric("queue_depth")))

    def judged(self) -> tuple[float, float]:
        """Seconds and number of the visitor's requests."""
        of = f'{{application="{self.application}"}}'
        return self.metric(f"request_seconds_sum{of}"), self.metric(f"request_seconds_count{of}")

    def metric(self, name: str) -> float:
        match = re.search(rf"^guardpanel_spoa_{re.escape(name)} (\S+)$", self.stack.agent("/metrics"), re.MULTILINE)
        return float(match[1]) if match else 0.0


@dataclass(frozen=True)
class Worst:
    kind: str
    name: str
    request: bytes
    milliseconds: float
    "Of the processor, HAProxy and agent together."
    statuses: str


def worst_of_each_kind(stack: Stack, load: Load, times: int, kinds: list[str] | None) -> list[Worst]:
    """Costliest first. Prints what every candidate costs."""
    print("| kind | request | bytes | processor ms | answered with |\n|---|---|---|---|---|")
    worst = []
    for kind, named in candidates(ATTACKED).items():
        if kinds and kind not in kinds:
            continue
        costs = [cost(stack, load, kind, name, request, times) for name, request in named.items()]
        for costing in costs:
            print(
                f"| {kind} | {costing.name} | {len(costing.request):,} | {number(costing.milliseconds)} | {costing.statuses} |",
                flush=True,
            )
        worst.append(max(costs, key=lambda costing: costing.milliseconds))
    return sorted(worst, key=lambda costing: -costing.milliseconds)


def cost(stack: Stack, load: Load, kind: str, name: str, request: bytes, times: int) -> Worst:
    """What one costs, after one that does not count (an automaton is made when it is first asked)."""
    pids = [*stack.worker_pids(), stack.agent_pid()]
    load.run(stack.panel, [request], 0.001, **ATTACKER)
    before, answers, statuses = processor_seconds(pids), 0, set[int]()
    while answers < times or processor_seconds(pids) - before < 0.1:
        report = load.run(stack.panel, [request], 0.05, **ATTACKER)
        answers += report.answers
        statuses |= set(report.statuses)
        assert not report.failures, (kind, name, report.failures)
    used = processor_seconds(pids) - before
    return Worst(kind, name, request, 1000 * used / answers, ", ".join(map(str, sorted(statuses))))


def beside(
    stack: Stack, visitor: Load, attacker: Load, attack: Worst | None, connections: int, seconds: float
) -> tuple[Report, Report | None, Usage]:
    """The visitor's report, the attacker's, and what the engines did."""
    watch = Watch(stack, application(stack, SITE))
    with watch():
        if attack:
            attacker.begin(stack.panel, [attack.request], seconds + 1, Connections=connections, **ATTACKER)
            time.sleep(0.5)
        report = visitor.run(stack.panel, [request(SITE)], seconds, **VISITOR)
    return report, attacker.report() if attack else None, watch.usage


def application(stack: Stack, host: str) -> str:
    """Which of the agent's applications judges a host."""
    release = stack.panel.data / "current"
    hosts = dict(
        line.split()[:2]
        for line in (release / "hosts.map").read_text().splitlines()
        if line.strip()[:1] not in {"", "#"}
    )
    bindings = dict(
        line.split()[:2]
        for line in (release / "vhosts.map").read_text().splitlines()
        if line.strip()[:1] not in {"", "#"}
    )
    return bindings[hosts[host]].split(";")[1]


HEAD = (
    "| attack | connections | attack: answers/s | visitor quiet p50 / p99 ms | beside it p50 / p99 ms | p99 ratio "
    "| not answered with 200 | in the agent, mean ms | longest queue | processors: HAProxy, agent, visitor |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def row(worst: Worst, connections: int, quiet: Report, busy: Report, attack: Report, usage: Usage) -> str:
    ratio = busy.percentile(0.99) / quiet.percentile(0.99)
    missed = sum(busy.failures.values()) + busy.answers - busy.passed
    took = busy.seconds
    return (
        f"| {worst.kind}, {worst.name} | {connections} | {number(attack.answers / attack.seconds)} | {times(quiet)} "
        f"| {times(busy)} | {ratio:.2f} × | {missed} of {busy.answers} | {number(usage.visitors_ms)} | {usage.queue} "
        f"| {usage.haproxy / took:.2f}, {usage.agent / took:.2f}, {busy.processor / took:.3f} |"
    )


def times(report: Report) -> str:
    return f"{number(report.percentile(0.5))} / {number(report.percentile(0.99))}"


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=8, help="of each attack, and of quiet before it")
    arguments.add_argument("--connections", type=int, nargs="+", default=[1, 4, 16])
    arguments.add_argument("--times", type=int, default=5, help="that each candidate is sent for its cost")
    arguments.add_argument("--attacks", type=int, default=5, help="that are tried, costliest first")
    arguments.add_argument("--kinds", nargs="+", help="of candidates; all")
    arguments.add_argument("--haproxy", default="2.8")
    given = arguments.parse_args()
    with load_client() as visitor, load_client() as attacker, running_stack(given.haproxy, the_agent()) as stack:
        for host, outbound in ((SITE, 4), (ATTACKED, 5)):
            policy = stack.add_policy(host, "block", outbound_anomaly_threshold=outbound)
            stack.add_host(host, policy, visitor.server)
        worst = worst_of_each_kind(stack, attacker, given.times, given.kinds)
        print(f"\nHAProxy {given.haproxy}\n\n{HEAD}", flush=True)
        beside(stack, visitor, attacker, None, 0, 1)
        for candidate in worst[: given.attacks]:
            for connections in given.connections:
                quiet, _, _ = beside(stack, visitor, attacker, None, 0, given.seconds)
                busy, attack, usage = beside(stack, visitor, attacker, candidate, connections, given.seconds)
                assert attack
                print(row(candidate, connections, quiet, busy, attack, usage), flush=True)


if __name__ == "__main__":
    main()
