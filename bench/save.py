"""How long a save takes until it is live and proved, beside the same by hand, in the same run.

    make bench-save            (or: .venv/bin/python bench/save.py --hosts 10 100 1000 --rounds 20)

Per size: starts a real panel with that many virtual hosts, then in turns (a) PATCHes one virtual host's server over
`/api/v1` and takes the time until the answer, which comes only when the change is proved live; (b) by hand on the same
HAProxy and the same files: `haproxy -c`, then `reload` on the master CLI until the new worker answers.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import httpx2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from guardpanel.database import Database
from guardpanel.models import Policy, VirtualHost
from guardpanel.models.policy import PolicyFields
from guardpanel.models.virtual_host import VirtualHostFields
from tests.panel import Panel, origin_server, running_panel

PASSWORD = "correct horse battery staple"

REST = 0.25
"Seconds before each measurement: the worker of the reload before must not be counted to the next."


async def fill(url: str, hosts: int, port: int) -> None:
    database = Database(url)
    await database.migrate()
    async with database.write() as session:
        policy = Policy(name="Bench").replace(PolicyFields(name="Bench"))
        session.add(policy)
        await session.flush()
        for at in range(hosts):
            fields = VirtualHostFields.model_validate(
                {
                    "hostnames": f"h{at}.bench.example",
                    "servers": [{"address": f"127.0.0.1:{port}"}],
                    "policy_id": policy.id,
                    "health_check": False,
                }
            )
            virtual_host = VirtualHost(name=fields.name, hostnames=[], servers=[])
            session.add(virtual_host.replace(fields))
    await database.close()


def master(path: Path, command: str) -> str:
    """One command on the master CLI, half-closed as it wants it."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        client.sendall(command.encode() + b"\n")
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b"")).decode()


def worker(path: Path) -> str:
    try:
        lines = master(path, "show proc").splitlines()
    except OSError:
        return ""
    at = next((n for n, line in enumerate(lines) if line.startswith("# workers")), None)
    return lines[at + 1].split()[0] if at is not None and at + 1 < len(lines) else ""


def by_hand(panel: Panel, binary: str) -> tuple[float, float]:
    """Seconds of `haproxy -c` and of a reload until the new worker is there."""
    began = time.perf_counter()
    subprocess.run(
        [binary, "-c", "-f", str(panel.data / "current" / "haproxy.cfg")],
        check=True,
        capture_output=True,
        cwd=panel.data,
    )
    checked = time.perf_counter()
    socket_path = panel.data / "run" / "haproxy-master.sock"
    before = worker(socket_path)
    master(socket_path, "reload")
    while worker(socket_path) in {"", before}:
        time.sleep(0.001)
    return checked - began, time.perf_counter() - checked


def log_in(panel: Panel) -> httpx2.Client:
    panel.command("user", "create", "bench@bench.example", "--role", "admin", "--password-stdin", stdin=PASSWORD + "\n")
    client = httpx2.Client(base_url=panel.url, timeout=60)
    answer = client.post("/api/v1/auth/login", json={"email": "bench@bench.example", "password": PASSWORD})
    answer.raise_for_status()
    client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
    return client


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, round(part * (len(values) - 1)))]


def measure(hosts: int, rounds: int, binary: str, kind: str) -> dict[str, object]:
    with origin_server() as port, origin_server() as other, running_panel(binary) as panel:
        panel.stop()
        asyncio.run(fill(f"sqlite+aiosqlite:///{panel.data / 'guardpanel.db'}", hosts, port))
        panel.start()
        client = log_in(panel)
        first = client.get("/api/v1/vhosts", params={"per_page": 1}).json()["items"][0]["id"]
        policy = client.get("/api/v1/policies", params={"q": "Bench"}).json()["items"][0]["id"]
        saves: list[float] = []
        checks: list[float] = []
        reloads: list[float] = []
        steps: dict[str, list[float]] = {}
        for at in range(rounds + 2):
            time.sleep(REST)
            began = time.perf_counter()
            if kind == "routing":
                body = {"backends": [{"url": f"http://127.0.0.1:{(other, port)[at % 2]}"}]}
                answer = client.patch(f"/api/v1/vhosts/{first}", json=body)
            else:
                answer = client.patch(f"/api/v1/policies/{policy}", json={"inbound_anomaly_threshold": 6 + at})
            seconds = time.perf_counter() - began
            assert answer.status_code == 200, answer.text
            assert answer.json()["deployment"]["status"] == "live", answer.text
            time.sleep(REST)
            hand = by_hand(panel, binary)
            if at < 2:
                continue
            saves.append(seconds)
            checks.append(hand[0])
            reloads.append(hand[1])
            for step in answer.json()["deployment"]["steps"]:
                steps.setdefault(step["name"], []).append(step["seconds"])
        both = [a + b for a, b in zip(checks, reloads, strict=True)]
        return {
            "hosts": hosts,
            "kind": kind,
            "rounds": rounds,
            "save_p50": statistics.median(saves),
            "save_p95": percentile(saves, 0.95),
            "check_p50": statistics.median(checks),
            "reload_p50": statistics.median(reloads),
            "hand_p50": statistics.median(both),
            "hand_p95": percentile(both, 0.95),
            "steps_p50": {name: statistics.median(values) for name, values in steps.items()},
        }


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--hosts", type=int, nargs="+", default=[10, 100, 1000])
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--haproxy", nargs="+", default=[os.environ.get("GUARDPANEL_HAPROXY_BIN") or "haproxy"])
    arguments.add_argument("--kinds", nargs="+", default=["routing", "policy"])
    given = arguments.parse_args()
    for binary in given.haproxy:
        for kind in given.kinds:
            for hosts in given.hosts:
                result = measure(hosts, given.rounds, binary, kind)
                print(json.dumps({"haproxy": Path(binary).name, **result}), flush=True)
                ms = {name: round(1000 * value) for name, value in result["steps_p50"].items()}  # type: ignore[attr-defined]
                print(
                    f"{kind} at {hosts}: save p50 {1000 * result['save_p50']:.0f} p95 {1000 * result['save_p95']:.0f} ms; "  # type: ignore[operator]
                    f"by hand p50 {1000 * result['hand_p50']:.0f} p95 {1000 * result['hand_p95']:.0f} ms; steps {ms}",  # type: ignore[operator]
                    file=sys.stderr,
                    flush=True,
                )


if __name__ == "__main__":
    main()
