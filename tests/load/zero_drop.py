"""Saves under load, and not one request for them.

    make zero-drop             (or: .venv/bin/python -m tests.load.zero_drop --saves 1000 --requests 1000000)

Starts a real panel and visitors (visitors/, in Go): some keep their connections busy, some keep them idle most of the time,
some open one for each request; GETs and 1 KB form posts, clean and with an attack; to hosts that the WAF does not look at
(most of the volume), that it blocks, that it only watches, and that come and go. Meanwhile an operator saves over `/api/v1`:
servers, weights, thresholds, modes, bindings, virtual hosts and policies added and deleted. Behind one of the
hosts are two more servers that fail every request: one is down throughout, the other recovers half way; a request that meets
one of them for a reload is a wrong answer. Nothing is asked twice: a kept
connection that ends without an answer is a lost request. Afterwards each answer is judged by the revision that decided it.
"""

import argparse
import asyncio
import fcntl
import json
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx2

from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.haproxy.server_states import Servers
from tests.haproxies import VERSIONS, haproxy_binary
from tests.load.judge import BLOCKING, Expected, Host, Policy, State, complaints
from tests.panel import ROOT, Panel, running_panel
from tests.web import an_account

VISITORS = Path(__file__).parent / "visitors"

PLAIN = [f"plain{at}.example" for at in range(8)]
GUARDED = [f"guarded{at}.example" for at in range(8)]
BLOCKED = GUARDED[:4]
"They begin with a policy that blocks the attack, so that whatever comes by chance some attacks are blocked."
PASSING = [f"passing{at}.example" for at in range(6)]
"Those that are added and deleted."

WITH_ILL = PLAIN[0]
"The host with servers that are down: there, checked and found down before the first visitor comes."

CLEAN = ["get", "get", "get", "form"]
MIXED = ["get", "form", "getattack", "formattack"]

FLEETS = [
    {"Name": "plain, kept busy", "Visitors": 4, "Hosts": PLAIN, "Kinds": CLEAN, "Keeps": True, "PauseMS": 5},
    {"Name": "plain, kept idle", "Visitors": 16, "Hosts": PLAIN, "Kinds": CLEAN, "Keeps": True, "PauseMS": 400},
    {"Name": "plain, new", "Visitors": 2, "Hosts": PLAIN, "Kinds": CLEAN, "Keeps": False, "PauseMS": 5},
    {"Name": "guarded, kept busy", "Visitors": 1, "Hosts": GUARDED, "Kinds": MIXED, "Keeps": True, "PauseMS": 50},
    {"Name": "guarded, kept idle", "Visitors": 8, "Hosts": GUARDED, "Kinds": MIXED, "Keeps": True, "PauseMS": 1000},
    {"Name": "guarded, new", "Visitors": 1, "Hosts": GUARDED, "Kinds": MIXED, "Keeps": False, "PauseMS": 50},
    {"Name": "passing, kept", "Visitors": 1, "Hosts": PASSING, "Kinds": MIXED, "Keeps": True, "PauseMS": 50},
    {"Name": "passing, new", "Visitors": 1, "Hosts": PASSING, "Kinds": MIXED, "Keeps": False, "PauseMS": 50},
]
"Visitors who behave alike (visitors/main.go)."


WHO = {"email": "operator@load.example", "password": "a long password 7"}

EXPIRED = 401

MANY = 10
"Refused saves: then something else is wrong."


@dataclass(frozen=True)
class Result:
    haproxy: str
    saves: int
    seconds: list[float]
    "Of each save."
    report: dict[str, Any]
    refused: list[str]
    "Saves that did not become live, and what was said."
    complaints: list[str]

    @property
    def row(self) -> str:
        """Of the table in docs/reliability.md."""
        statuses: Counter[int] = Counter()
        for visit in self.report["Met"]:
            statuses[visit["What"]["Status"]] += visit["Count"]
        plain, judged = self.report["Plain"], self.report["Judged"]
        met = ", ".join(f"{count:,} × {status}" for status, count in sorted(statuses.items()))
        return (
            f"| {self.haproxy} | {self.report['Requests']:,} | {len(self.report['Lost'])} | {len(self.complaints)} "
            f"| {self.report['Connections']:,} | {self.saves:,} | {self.report['Seconds']:.0f} s "
            f"| {plain['P50']:.1f} / {plain['P99']:.0f} | {judged['P50']:.1f} / {judged['P99']:.0f} "
            f"| {1000 * percentile(self.seconds, 0.5):.0f} / {1000 * percentile(self.seconds, 0.99):.0f} | {met} |"
        )


HEAD = (
    "| HAProxy | requests | lost | wrong | connections | saves | duration | not judged p50 / p99 ms "
    "| judged p50 / p99 ms | save p50 / p99 ms | answers |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, round(part * (len(values) - 1)))]


class Visitors:
    """The Go program: see visitors/main.go for what is said in which order."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        ports = self._read()
        self.servers: list[int] = ports["servers"]
        self.ill: list[int] = ports["ill"]

    def come(self, panel: Panel, seed: int, calm: int = 1) -> None:
        """With pauses that many times as long."""
        fleets = [{**fleet, "PauseMS": int(str(fleet["PauseMS"])) * calm} for fleet in FLEETS]
        proxy = f"127.0.0.1:{panel.proxy_port}"
        self._write({"Proxy": proxy, "Secret": secret(panel), "Seed": seed, "Fleets": fleets})

    def acknowledged(self) -> int:
        """A save is live; how many requests there were so far."""
        self._write({"live": True})
        return int(self._read()["requests"])

    def leave(self) -> dict[str, Any]:
        assert self.process.stdin
        self.process.stdin.close()
        return self._read()

    def _write(self, what: dict[str, Any]) -> None:
        assert self.process.stdin
        print(json.dumps(what), file=self.process.stdin, flush=True)

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the visitors are gone"
        return dict(json.loads(line))


@contextmanager
def visitors() -> Iterator[Visitors]:
    built = ROOT / ".tools" / "bin" / "visitors"
    with built.with_suffix(".lock").open("w") as building:  # for whoever else may run it meanwhile
        fcntl.flock(building, fcntl.LOCK_EX)
        subprocess.run([ROOT / "tools" / "go.sh", "build", "-o", built, "."], cwd=VISITORS, check=True)
    with subprocess.Popen([built], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Visitors(process)
        finally:
            process.terminate()


def secret(panel: Panel) -> str:
    """With it HAProxy says in each answer what decided it."""
    text = (panel.data / "current" / "haproxy.cfg").read_text()
    line = next(line for line in text.splitlines() if "acl test req.hdr(x-gp-test)" in line)
    return line.split()[-1].strip("'")


LEAST_TIMEOUT = 3_600


class SaveRefused(Exception):
    """It did not become live; nothing was saved."""


class Operator:
    """Saves one thing after the other over the JSON API, and knows what each save means.

    No state comes back, for its place in the order could not be expected: a change takes a weight or an outbound threshold that was
    not given for long, and what came last does not go next.
    """

    def __init__(self, panel: Panel, client: httpx2.Client, servers: list[int], seed: int) -> None:
        self.panel = panel
        self.client = client
        self.servers = servers
        self.ill: list[int] = []
        "Servers that fail every request: the second one, which is a backup, until it is told to be well."
        self.chance = random.Random(seed)
        self.expected = Expected()
        self.state = State({}, {})
        self.ids: dict[str, int] = {}
        self.named = 0
        self.weights, self.outbounds = cycle(range(1, 257)), cycle(range(4, 10_000))
        self.seconds: list[float] = []
        self.refused: list[str] = []
        self.expected.live(self.checksum(), self.state)

    def checksum(self) -> str:
        return str(json.loads((self.panel.data / "current" / "manifest.json").read_text())["checksum"])

    def save(self) -> bool:
        """One save; whether it is a new revision (another state of nobody's policy is none)."""
        began = time.perf_counter()
        try:
            self.state = self.pick()()
        except SaveRefused as refused:
            self.refused.append(str(refused))
            assert len(self.refused) < MANY, self.refused
        took = time.perf_counter() - began
        checksum = self.checksum()
        if checksum in self.expected.states:
            assert checksum == list(self.expected.states)[-1], "this state was live before: its order cannot be told"
            if self.state.rendered() == self.expected.states[checksum][-1].rendered():
                return False
        self.expected.live(checksum, self.state)
        self.seconds.append(took)
        return True

    def pick(self) -> Callable[[], State]:
        if len(self.state.policies) < 3:
            return self.add_policy
        if missing := [name for name in (*PLAIN, *GUARDED) if name not in self.state.hosts]:
            return lambda: self.add_host(missing[0])
        moves = {
            self.move_server: 50, self.change_threshold: 20, self.change_mode: 8, self.change_own_mode: 6,
            self.bind: 6, self.come_or_go: 8, self.add_or_drop_policy: 2,
        }  # fmt: skip
        return self.chance.choices(list(moves), list(moves.values()))[0]

    # Routing

    def move_server(self) -> State:
        name = self.chance.choice(list(self.state.hosts))
        host = self.state.hosts[name]
        other = [port for port in self.servers if port != host.server]
        new = replace(host, server=self.chance.choice(other), weight=self.weight())
        self.send("PATCH", f"vhosts/{self.ids[name]}", self.routing_of(name, new))
        return self.with_host(name, new)

    def add_host(self, name: str) -> State:
        mode = "off" if name in PLAIN else self.chance.choice([None, "block", "detect_only"])
        new = Host(self.chance.choice(self.servers), self.weight(), self.any_policy(), mode)
        if name in BLOCKED:
            new = replace(new, policy=min(self.state.policies), mode="block")
        body = {"hostnames": [name], "health_check": False, **self.routing_of(name, new)}
        if name == WITH_ILL and self.ill:
            body |= {"health_check": True, "health_check_path": "/health", "health_check_interval": 1}
            body |= {"health_check_rise": 2, "health_check_fall": 1}
        bound = {"policy_id": new.policy, "enforcement_mode": new.mode}
        self.ids[name] = int(self.send("POST", "vhosts", {**body, **bound})["id"])
        return self.with_host(name, new)

    def come_or_go(self) -> State:
        name = self.chance.choice(PASSING)
        if name not in self.state.hosts:
            return self.add_host(name)
        without = replace(self.state, hosts={key: host for key, host in self.state.hosts.items() if key != name})
        if self.expected.was_live(without):
            return self.move_server()
        self.send("DELETE", f"vhosts/{self.ids.pop(name)}")
        return without

    # Policies

    def change_threshold(self) -> State:
        at = self.any_policy()
        new = replace(self.state.policies[at], threshold=self.threshold(), outbound=self.outbound())
        numbers = {"inbound_anomaly_threshold": new.threshold, "outbound_anomaly_threshold": new.outbound}
        self.send("PATCH", f"policies/{at}", numbers)
        return self.with_policy(at, new)

    def change_mode(self) -> State:
        at = self.any_policy()
        now = self.state.policies[at]
        new = replace(now, mode="block" if now.mode == "detect_only" else "detect_only", outbound=self.outbound())
        self.send("PATCH", f"policies/{at}", {"mode": new.mode, "outbound_anomaly_threshold": new.outbound})
        return self.with_policy(at, new)

    def add_policy(self) -> State:
        self.named += 1
        threshold = self.threshold() if self.state.policies else BLOCKING
        new = Policy(self.chance.choice(["block", "detect_only"]), threshold, self.outbound())
        numbers = {"inbound_anomaly_threshold": new.threshold, "outbound_anomaly_threshold": new.outbound}
        made = self.send("POST", "policies", {"name": f"Policy {self.named}", "mode": new.mode, **numbers})
        return self.with_policy(int(made["id"]), new)

    def add_or_drop_policy(self) -> State:
        used = {host.policy for host in self.state.hosts.values()}
        unused = [at for at in self.state.policies if at not in used]
        if len(self.state.policies) < 5 or not unused:
            return self.add_policy()
        self.send("DELETE", f"policies/{unused[0]}")
        return replace(
            self.state, policies={at: policy for at, policy in self.state.policies.items() if at != unused[0]}
        )

    # Which policy a host has, and its own mode: each time with another weight

    def bind(self) -> State:
        name = self.chance.choice(GUARDED)
        new = replace(self.state.hosts[name], policy=self.any_policy(), weight=self.weight())
        self.send("PATCH", f"vhosts/{self.ids[name]}", {"policy_id": new.policy, **self.routing_of(name, new)})
        return self.with_host(name, new)

    def change_own_mode(self) -> State:
        name = self.chance.choice(GUARDED)
        new = replace(
            self.state.hosts[name], mode=self.chance.choice([None, "block", "detect_only", "off"]), weight=self.weight()
        )
        self.send("PATCH", f"vhosts/{self.ids[name]}", {"enforcement_mode": new.mode, **self.routing_of(name, new)})
        return self.with_host(name, new)

    # Parts

    def any_policy(self) -> int:
        return self.chance.choice(list(self.state.policies))

    def weight(self) -> int:
        return next(self.weights)

    def outbound(self) -> int:
        return next(self.outbounds)

    def threshold(self) -> int:
        return self.chance.choice([BLOCKING, self.chance.randint(1_000, 9_999)])

    def routing_of(self, name: str, host: Host) -> dict[str, Any]:
        """HAProxy takes weights at run time, under the same checksum: a timeout with the same number makes another one."""
        return {"servers": self.servers_of(name, host), "tunnel_timeout": LEAST_TIMEOUT + host.weight}

    def servers_of(self, name: str, host: Host) -> list[dict[str, Any]]:
        """The one that answers, and those that are ill."""
        ill = [{"address": f"127.0.0.1:{port}", "backup": at > 0} for at, port in enumerate(self.ill)]
        well = {**self.as_server(host), "health_check_fall": 100}  # whatever a check takes on a machine that stalls
        return [well, *ill] if name == WITH_ILL else [self.as_server(host)]

    def as_server(self, host: Host) -> dict[str, Any]:
        return {"address": f"127.0.0.1:{host.server}", "weight": host.weight}

    def with_host(self, name: str, host: Host) -> State:
        return replace(self.state, hosts={**self.state.hosts, name: host})

    def with_policy(self, at: int, policy: Policy) -> State:
        return replace(self.state, policies={**self.state.policies, at: policy})

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.client.request(method, f"/api/v1/{path}", json=body)
        if answer.status_code == EXPIRED:
            take_token(self.client)
            answer = self.client.request(method, f"/api/v1/{path}", json=body)
        if not answer.is_success:
            raise SaveRefused(f"{method} {path} {body}: {answer.status_code} {answer.text}")
        return dict(answer.json()) if answer.content else {}


def logged_in(panel: Panel) -> httpx2.Client:
    an_account(panel, **WHO)
    client = httpx2.Client(base_url=panel.url, timeout=120)
    take_token(client)
    return client


def take_token(client: httpx2.Client) -> None:
    """It is good for some minutes; a run takes more."""
    answer = client.post("/api/v1/auth/login", json=WHO)
    answer.raise_for_status()
    client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"


def run(version: str, saves: int, requests: int, seed: int, calm: int = 1) -> Result:
    """At least so many saves, and go on until there were so many requests; `calm` as in Visitors.come."""
    with visitors() as load, running_panel(haproxy_binary(version)) as panel, closing(logged_in(panel)) as client:
        operator = Operator(panel, client, load.servers, seed)
        operator.ill = load.ill
        before = add_ill(operator, panel)
        load.come(panel, seed, calm)
        acknowledged, is_well = max(load.acknowledged() for _ in range(before)), False
        while len(operator.seconds) < saves or acknowledged < requests:
            if not is_well and len(operator.seconds) > saves / 2:
                is_well = httpx2.get(f"http://127.0.0.1:{load.ill[1]}/well").is_success
            if operator.save():
                acknowledged = load.acknowledged()
        wait_for_servers(panel, operator.ids[WITH_ILL], ["DOWN", "UP"])
        report = load.leave()
    problems = complaints(report, operator.expected)
    return Result(version, len(operator.seconds), operator.seconds, report, operator.refused, problems)


def add_ill(operator: Operator, panel: Panel) -> int:
    """Save until there is the host with servers that are ill, and they are found to be; how many revisions."""
    while WITH_ILL not in operator.state.hosts:
        assert len(operator.seconds) < 500, "the host is never added"
        operator.save()
    wait_for_servers(panel, operator.ids[WITH_ILL], ["DOWN", "DOWN"])
    return len(operator.seconds)


def wait_for_servers(panel: Panel, virtual_host_id: int, states: list[str]) -> None:
    """Of the second and the third server."""
    cli, ends = MasterCli(panel.data / "run" / "haproxy-master.sock"), time.monotonic() + 60
    others: list[str] = []
    while others != states:
        assert time.monotonic() < ends, f"not {states} within a minute: {others}"
        time.sleep(0.1)
        servers = Servers(asyncio.run(cli.stat(f"be_{virtual_host_id}"))).of(f"be_{virtual_host_id}")
        others = [server.state for server in servers if server.name != "s1"]


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--saves", type=int, default=1_000)
    arguments.add_argument("--requests", type=int, default=1_000_000)
    arguments.add_argument("--haproxy", nargs="+", default=VERSIONS)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = arguments.parse_args()
    print(f"seed {given.seed}\n\n{HEAD}", flush=True)
    results = []
    for version in given.haproxy:
        results.append(run(version, given.saves, given.requests, given.seed))
        print(results[-1].row, flush=True)
        for complaint in (results[-1].refused + results[-1].complaints)[:50]:
            print(f"HAProxy {version}: {complaint}", flush=True)
    raise SystemExit(any(result.refused or result.complaints for result in results))


if __name__ == "__main__":
    main()
