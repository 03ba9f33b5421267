"""No cheap denial of service: how long somebody waits beside a client who sends the worst requests that the rule set allows.

    make bench-attack          (or: .venv/bin/python -m bench.attack --seconds 10 --connections 1 4 16)

A real panel with a policy that blocks, as it is made by default otherwise. First every candidate of bench/worst.py is sent alone,
and what it costs HAProxy and the agent is taken in seconds of the processor; the worst of each kind attacks. Then a visitor at an
address of its own sends small requests at a modest rate: alone (quiet), and beside each attack, a closed loop over so many
connections from one other address. Quiet is measured anew before each attack. The clients are processes of their own.
"""

import argparse
import re
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.data_path import number
from bench.requests import request
from bench.stack import Load, Report, Stack, load_client, processor_seconds, running_stack, the_agent
from bench.worst import candidates

SITE, ATTACKED = "site.example", "attacked.example"
"Two policies that are alike, so that the agent's metrics tell one's requests from the other's."

VISITOR = {"Client": "127.0.0.2", "Connections": 4, "PerSecond": 40.0}
ATTACKER = {"Client": "127.0.0.3"}
GOAL = 3.0
"Times the quiet p99."


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
    def __call__(self, load: Load) -> Iterator[None]:
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
        found = re.search(rf"^guardpanel_spoa_{re.escape(name)} (\S+)$", self.stack.agent("/metrics"), re.M)
        return float(found[1]) if found else 0.0
