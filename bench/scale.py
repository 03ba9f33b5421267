"""How guardpanel keeps up as virtual hosts become many: saves, every page, memory.

    make bench-scale           (or: .venv/bin/python -m bench.scale --hosts 10 100 1000 5000 --saves 50 --pages 20)

Per size: starts a real panel with that many virtual hosts and up to 50 policies with client limits, a fifth of the hosts
bound to the first one, and then measures in this order: saves of one virtual host's server and of one policy's threshold by
`PATCH /api/v1`, until the answer, which comes when the change is proved live; every page in turns, as a browser asks for it;
the panel's memory then; and pages asked for without a pause while such saves run.

Wall-clock time includes whatever else the machine does; `cpu` is the panel's own processor time, which does not.
"""

import argparse
import asyncio
import itertools
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from bench.save import HAPROXIES, PASSWORD, log_in, percentile
from guardpanel.database import Database
from guardpanel.models import Policy, VirtualHost
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.virtual_host import VirtualHostFields
from tests.panel import Panel, origin_server, running_panel

POLICIES, PERIODS = 50, 8
"As many different periods of limits as there can be."
REST = 0.2
"Seconds before each save: the old worker of the one before is another process, and must not be counted."

TICK = os.sysconf("SC_CLK_TCK")


async def fill(url: str, hosts: int, port: int) -> None:
    """A fifth of the virtual hosts has the first policy; the others share the rest."""
    database = Database(url)
    await database.migrate()
    async with database.write() as session:
        policies = []
        for at in range(min(POLICIES, hosts)):
            fields = PolicyFields(
                name=f"Scale {at}",
                enforcement_mode=EnforcementMode.BLOCK if at % 2 else EnforcementMode.DETECT_ONLY,
                inbound_anomaly_threshold=5 + at,
                client_limits=True,
                rate_limit_requests=1000 + at,
                rate_limit_window_seconds=10 + at % PERIODS,
            )
            policies.append(Policy(name=fields.name).replace(fields))
        session.add_all(policies)
        await session.flush()
        for at in range(hosts):
            policy = policies[0] if at % 5 == 0 else policies[at % len(policies)]
            fields_of_host = VirtualHostFields.model_validate(
                {
                    "hostnames": f"h{at}.scale.example",
                    "servers": [{"address": f"127.0.0.1:{port}"}],
                    "policy_id": policy.id,
                    "health_check": False,
                }
            )
            virtual_host = VirtualHost(name=fields_of_host.name, hostnames=[], servers=[])
            session.add(virtual_host.replace(fields_of_host))
    await database.close()


def pages(hosts: int, host: int, policy: int, change: int) -> list[str]:
    """Every page that reads: in the middle and at its end, filtered and searched."""
    last = max(0, (hosts - 1) // 50 * 50)
    return [
        "/", "/virtual-hosts", f"/virtual-hosts?offset={last}", f"/virtual-hosts?sort=-changed&offset={last}",
        f"/virtual-hosts?sort=policy&offset={last}", f"/virtual-hosts?q=h{hosts - 1}.scale", "/virtual-hosts?q=127.0.0.1",
        "/virtual-hosts?q=nothing", "/virtual-hosts?mode=block", f"/virtual-hosts?policy={policy}", "/virtual-hosts/new",
        f"/virtual-hosts/{host}", f"/virtual-hosts/{host}/edit", f"/virtual-hosts/{host}/delete", "/policies",
        "/policies?q=scale", f"/policies/{policy}", f"/policies/{policy}/edit", f"/policies/{policy}/delete", "/changes",
        f"/changes?noun=virtual_host&id={host}", f"/changes/{change}", f"/changes/{change}?layout=two",
        f"/changes/{change}?files=agent", f"/changes/{change}?against=1", "/search?q=scale", "/search?q=nothing", "/system",
        "/live", "/readyz", "/metrics", "/api/v1/vhosts", "/api/v1/vhosts?page=100", "/api/v1/vhosts?per_page=500",
        f"/api/v1/vhosts/{host}", "/api/v1/policies", "/api/v1/runtime/status",
    ]  # fmt: skip


@dataclass
class Times:
    """Seconds by name: as they passed, and of the panel's processor."""

    wall: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)

    def row(self, name: str) -> str:
        wall, cpu = self.wall[name], self.cpu.get(name, [])
        own = f"{1000 * percentile(cpu, 0.5):.0f}" if cpu else "–"
        return f"| {name} | {1000 * percentile(wall, 0.5):.0f} / {1000 * percentile(wall, 0.95):.0f} | {own} |"


class Measured:
    """A running panel with its clients."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        assert panel.process is not None
        self.pid = panel.process.pid
        self.api = log_in(panel)
        self.browser = httpx2.Client(base_url=panel.url, timeout=60, headers={"origin": panel.url})
        answer = self.browser.post("/login", data={"email": "bench@bench.example", "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        self.browser.headers["authorization"] = self.api.headers["authorization"]
        self.times = Times()

    def timed(self, name: str, do: Callable[[], httpx2.Response]) -> httpx2.Response:
        cpu, began = self.cpu_seconds(), time.perf_counter()
        answer = do()
        self.times.wall.setdefault(name, []).append(time.perf_counter() - began)
        self.times.cpu.setdefault(name, []).append(self.cpu_seconds() - cpu)
        if answer.status_code != 200:
            raise SystemExit(f"{name}: {answer.status_code}\n{answer.text}\n{self.panel.output.read_text()}")
        return answer

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self) -> dict[str, float]:
        """MiB: now, and the most ever."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        sizes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "VmHWM"))}
        return {"now": int(sizes["VmRSS"]) / 1024, "most": int(sizes["VmHWM"]) / 1024}


def save(measured: Measured, name: str, path: str, body: dict[str, object]) -> None:
    time.sleep(REST)
    answer = measured.timed(name, lambda: measured.api.patch(path, json=body))
    assert answer.status_code == 200, answer.text
    deployment = answer.json()["deployment"]
    assert deployment["status"] == "live", answer.text
    for step in deployment["steps"]:
        measured.times.wall.setdefault(f"{name}: {step['name']}", []).append(step["seconds"])


def measure(hosts: int, saves: int, rounds: int, binary: str, slow: int) -> None:
    with origin_server() as port, origin_server() as other, running_panel(binary) as panel:
        panel.stop()
        panel.environment["GUARDPANEL_SLOW_STEP_MS"] = str(slow)
        asyncio.run(fill(f"sqlite+aiosqlite:///{panel.data / 'guardpanel.db'}", hosts, port))
        began = time.perf_counter()
        panel.start()
        print(
            f"\n### {hosts:,} virtual hosts\n\nready {time.perf_counter() - began:.1f} s after the start\n", flush=True
        )
        measured = Measured(panel)
        host = measured.api.get("/api/v1/vhosts", params={"per_page": 1}).json()["items"][0]["id"]
        policy = measured.api.get("/api/v1/policies", params={"q": "Scale 0"}).json()["items"][0]["id"]

        ports = itertools.cycle((other, port))

        def routing(name: str = "routing") -> None:
            body = {"backends": [{"url": f"http://127.0.0.1:{next(ports)}"}]}
            save(measured, f"{name} save", f"/api/v1/vhosts/{host}", body)

        for at in range(saves):
            if at % 5:
                routing()
            else:
                save(measured, "policy save", f"/api/v1/policies/{policy}", {"inbound_anomaly_threshold": 100 + at})
        change = int(re.findall(r"/changes/(\d+)", measured.browser.get("/changes").text)[0])
        paths = pages(hosts, host, policy, change)
        for _ in range(rounds):
            for path in paths:
                measured.timed(path, lambda path=path: measured.browser.get(path))
        during(measured, routing, ["/", "/virtual-hosts", f"/virtual-hosts/{host}", f"/policies/{policy}"])
        report(measured)
        if slow:
            slow_steps(panel.output.read_text(), slow)


def during(measured: Measured, routing: Callable[[str], None], paths: list[str]) -> None:
    """Pages without a pause while ten saves run."""
    over = threading.Event()

    def look() -> None:
        at = 0
        while not over.is_set():
            path = paths[at % len(paths)]
            began = time.perf_counter()
            measured.browser.get(path).raise_for_status()
            measured.times.wall.setdefault("a page during saves", []).append(time.perf_counter() - began)
            at += 1

    looking = threading.Thread(target=look)
    looking.start()
    for _ in range(10):
        routing("routing (pages asked for)")
    over.set()
    looking.join()


def report(measured: Measured) -> None:
    memory = measured.memory()
    print("| what | p50 / p95 ms | cpu p50 ms |\n|---|---|---|")
    for name in measured.times.wall:
        print(measured.times.row(name))
    print(f"\nmemory at most {memory['most']:.0f} MiB, {memory['now']:.0f} at the end", flush=True)


def slow_steps(output: str, limit: int) -> None:
    """What held the event loop up: where it was in our code, how often, and the longest (all, and on a processor)."""
    steps: dict[str, list[tuple[int, int]]] = {}
    for late, own, stack in re.findall(r"was busy for (\d+) ms \((\d+) of a processor\) in\n((?:  .*\n)+)", output):
        ours = re.findall(r"guardpanel/(\S+)\", line (\d+), in (\S+)", stack) or re.findall(
            r"([^/]+)\", line (\d+), in (\S+)", stack
        )
        steps.setdefault(":".join(ours[-1]), []).append((int(late), int(own)))
    counted = [float(seconds) for seconds in re.findall(r"Executing .* took ([0-9.]+) seconds", output)]
    print(f"\nsteps over {limit} ms: {sum(map(len, steps.values()))}; by asyncio's own count {len(counted)}, "
          f"the longest {1000 * max(counted, default=0):.0f} ms\n")  # fmt: skip
    for place, times in sorted(steps.items(), key=lambda item: -max(own for _, own in item[1])):
        print(
            f"- {len(times)} × {place}: {max(late for late, _ in times)} ms, {max(own for _, own in times)} of a processor"
        )
    (Path("/tmp") / "guardpanel-slow-steps.log").write_text(output)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--hosts", type=int, nargs="+", default=[10, 100, 1000, 5000])
    arguments.add_argument("--saves", type=int, default=50)
    arguments.add_argument("--pages", type=int, default=20)
    arguments.add_argument("--haproxy", default=HAPROXIES[-1])
    arguments.add_argument("--slow-steps", type=int, default=0, help="show steps of the event loop over so many ms")
    given = arguments.parse_args()
    for hosts in given.hosts:
        measure(hosts, given.saves, given.pages, given.haproxy, given.slow_steps)


if __name__ == "__main__":
    main()
