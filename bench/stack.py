"""A whole stack for benchmarks (panel, HAProxy, WAF agent) and the load client (bench/load, in Go)."""

import base64
import contextlib
import http.client
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.haproxies import haproxy_binary
from tests.load.zero_drop import logged_in, percentile
from tests.panel import ROOT, Panel, running_panel

BUILT = ROOT / ".tools" / "haproxies"
TICKS = os.sysconf("SC_CLK_TCK")


def find_haproxy(version: str) -> str:
    """2.6 or 2.8, as the live tests have them."""
    if BUILT.exists():
        os.environ.setdefault("GUARDPANEL_TEST_HAPROXIES", BUILT.read_text().strip())
    return haproxy_binary(version)


def built(name: str, source: Path, *flags: str) -> Path:
    """A Go program, built into .tools/bin."""
    path = ROOT / ".tools" / "bin" / name
    command = [ROOT / "tools" / "go.sh", "build", *flags, "-o", path, "."]
    subprocess.run(command, cwd=source, check=True)
    return path


def the_agent() -> Path:
    return built("guardpanel-spoa", ROOT / "spoa")


def plain_agent() -> Path:
    """The same agent with Coraza's own `@rx`."""
    return built("guardpanel-spoa-plain", ROOT / "spoa", "-tags", "plain_rx")


@dataclass(frozen=True)
class Report:
    """What came of some seconds of load (bench/load/report.go)."""

    seconds: float
    processor: float
    "Seconds of it that the client itself took."
    statuses: dict[int, int]
    failures: dict[str, int]
    times: list[float]
    "Milliseconds of the answers with status 200, sorted."

    @property
    def answers(self) -> int:
        return sum(self.statuses.values())

    @property
    def passed(self) -> int:
        return self.statuses.get(200, 0)

    @property
    def per_second(self) -> float:
        return self.passed / self.seconds

    def percentile(self, part: float) -> float:
        return percentile(self.times, part) if self.times else float("nan")


class Load:
    """A process of bench/load: a client, and a server."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.server = int(self._read()["Server"])

    def begin(self, panel: Panel, requests: list[bytes], seconds: float, **plan: Any) -> None:
        """Further words of the plan: bench/load/plan.go."""
        assert self.process.stdin
        texts = [base64.b64encode(request).decode() for request in requests]
        plan = {
            "Proxy": f"127.0.0.1:{panel.proxy_port}",
            "Requests": texts,
            "Seconds": seconds,
            "Connections": 1,
            **plan,
        }
        print(json.dumps(plan), file=self.process.stdin, flush=True)

    def report(self) -> Report:
        answer = self._read()
        statuses = {int(status): count for status, count in answer["Statuses"].items()}
        return Report(answer["Seconds"], answer["Processor"], statuses, answer["Failures"], answer["Times"])

    def run(self, panel: Panel, requests: list[bytes], seconds: float, **plan: Any) -> Report:
        self.begin(panel, requests, seconds, **plan)
        return self.report()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the load client is gone"
        return dict(json.loads(line))


@contextmanager
def load_client() -> Iterator[Load]:
    program = built("load", ROOT / "bench" / "load")
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Load(process)
        finally:
            process.terminate()


class Stack:
    """A panel that is logged in to, and what it started."""

    def __init__(self, panel: Panel, client: httpx2.Client) -> None:
        self.panel = panel
        self.client = client

    def save(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        answer = self.client.request(method, f"/api/v1/{path}", json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def add_policy(self, name: str, mode: str, **fields: Any) -> int:
        return int(self.save("POST", "policies", name=name, mode=mode, **fields)["id"])

    def add_host(self, name: str, policy: int, server: int, mode: str | None = None) -> None:
        servers = [{"address": f"127.0.0.1:{server}"}]
        fields = {"hostnames": [name], "servers": servers, "health_check": False}
        self.save("POST", "vhosts", **fields, policy_id=policy, enforcement_mode=mode)

    def agent(self, path: str) -> str:
        """What the agent's control socket says."""
        connection = _Unix(self.panel.data / "run" / "agent-control.sock")
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def agent_pid(self) -> int:
        return int(json.loads(self.agent("/v1/status"))["pid"])

    def worker_pids(self) -> list[int]:
        """HAProxy's that take requests, those of before the last reload included."""
        stats = socket.socket(socket.AF_UNIX)
        with stats:
            stats.connect(str(self.panel.data / "run" / "haproxy-master.sock"))
            stats.sendall(b"show proc\n")
            stats.shutdown(socket.SHUT_WR)
            lines = b"".join(iter(lambda: stats.recv(65536), b"")).decode().splitlines()
        return [int(line.split()[0]) for line in lines if line.split()[1:2] == ["worker"]]


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("agent", timeout=30)
        self.path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


@contextmanager
def running_stack(haproxy: str, agent: Path) -> Iterator[Stack]:
    """The agent is that program, whatever the checkout has."""
    with running_panel(find_haproxy(haproxy), agent=agent) as panel, closing(logged_in(panel)) as client:
        yield Stack(panel, client)


def processor_seconds(pids: list[int]) -> float:
    """What processes have used so far."""
    used = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += int(fields[11]) + int(fields[12])
    return used / TICKS
