"""How long a save takes until it is live and proved, beside the same by hand, in the same run.

    make bench-save            (or: .venv/bin/python -m bench.save --hosts 10 100 1000 --rounds 40)

Per size: starts a real panel with that many virtual hosts, then in turns (a) PATCHes one virtual host's server over
`/api/v1` and takes the time until the answer, which comes only when the change is proved live; (b) by hand on the same
HAProxy and the same files: `haproxy -c`, then `reload` on the master CLI until the new worker answers. `--kinds policy`
changes a policy's threshold instead, for which by hand comes `guardpanel-spoa -validate`, too.
"""

import argparse
import asyncio
import socket
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from guardpanel.database import Database
from guardpanel.models import Policy, VirtualHost
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.virtual_host import VirtualHostFields
from tests.panel import ROOT, Panel, origin_server, running_panel
from tests.web import an_account

PASSWORD = "correct horse battery staple"

BUILT = ROOT / ".tools" / "haproxies"
HAPROXIES = BUILT.read_text().strip().split(":") if BUILT.exists() else ["haproxy"]
"2.6 and 2.8, as the live tests have them."

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


def by_hand(panel: Panel, binary: str, kind: str) -> dict[str, float]:
    """Seconds of `haproxy -c`, of a reload until the new worker is there, and for a policy of the agent's check."""
    current, seconds = panel.data / "current", {}
    if kind == "policy":
        agent = [f"{ROOT}/.tools/bin/guardpanel-spoa", "-config", f"{current}/coraza.yaml", "-validate"]
        seconds["validate"] = timed(lambda: subprocess.run(agent, check=True, capture_output=True))
    check = [binary, "-c", "-f", str(current / "haproxy.cfg")]
    seconds["check"] = timed(lambda: subprocess.run(check, check=True, capture_output=True, cwd=panel.data))
    seconds["reload"] = timed(lambda: reload(panel.data / "run" / "haproxy-master.sock"))
    return seconds


def timed(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def reload(path: Path) -> None:
    before = worker(path)
    master(path, "reload")
    while worker(path) in {"", before}:
        time.sleep(0.001)


def log_in(panel: Panel) -> httpx2.Client:
    an_account(panel, "bench@bench.example", password=PASSWORD)
    client = httpx2.Client(base_url=panel.url, timeout=60)
    answer = client.post("/api/v1/auth/login", json={"email": "bench@bench.example", "password": PASSWORD})
    answer.raise_for_status()
    client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
    return client


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, round(part * (len(values) - 1)))]


def measure(hosts: int, rounds: int, binary: str, kind: str) -> str:
    """A table's row."""
    with origin_server() as port, origin_server() as other, running_panel(binary) as panel:
        panel.stop()
        asyncio.run(fill(f"sqlite+aiosqlite:///{panel.data / 'guardpanel.db'}", hosts, port))
        panel.start()
        client = log_in(panel)
        first = client.get("/api/v1/vhosts", params={"per_page": 1}).json()["items"][0]["id"]
        policy = client.get("/api/v1/policies", params={"q": "Bench"}).json()["items"][0]["id"]
        saves: list[float] = []
        hands: list[dict[str, float]] = []
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
            hand = by_hand(panel, binary, kind)
            if at < 2:
                continue
            saves.append(seconds)
            hands.append(hand)
            for step in answer.json()["deployment"]["steps"]:
                steps.setdefault(step["name"], []).append(step["seconds"])
        whole = [sum(hand.values()) for hand in hands]
        return (
            f"| {kind} | {hosts:,} | {milliseconds(saves)} | {milliseconds(whole)} "
            f"| {percentile(saves, 0.95) / percentile(whole, 0.95):.2f} | {medians(steps)} "
            f"| {medians({name: [hand[name] for hand in hands] for name in hands[0]})} |"
        )


def milliseconds(values: list[float]) -> str:
    return f"{1000 * statistics.median(values):.0f} / {1000 * percentile(values, 0.95):.0f}"


def medians(steps: dict[str, list[float]]) -> str:
    return ", ".join(f"{name} {1000 * statistics.median(values):.0f}" for name, values in steps.items())


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--hosts", type=int, nargs="+", default=[10, 100, 1000])
    arguments.add_argument("--rounds", type=int, default=40)
    arguments.add_argument("--haproxy", nargs="+", default=HAPROXIES)
    arguments.add_argument("--kinds", nargs="+", default=["routing", "policy"])
    given = arguments.parse_args()
    for binary in given.haproxy:
        version = subprocess.run([binary, "-v"], capture_output=True, text=True, check=True).stdout
        print(f"\n{version.split(' - ')[0].split('-')[0]}\n", flush=True)
        print(
            "| change | virtual hosts | save p50 / p95 ms | by hand p50 / p95 ms | p95 ratio | a save's steps | by hand |"
        )
        print("|---|---|---|---|---|---|---|", flush=True)
        for kind in given.kinds:
            for hosts in given.hosts:
                print(measure(hosts, given.rounds, binary, kind), flush=True)


if __name__ == "__main__":
    main()
