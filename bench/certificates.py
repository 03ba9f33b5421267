"""What 1,000 certificates cost: a renewal until it is proven, other saves, start, reload, memory; and whether handshakes fail.

    make bench-certificates    (or: .venv/bin/python -m bench.certificates --certificates 1000 --swaps 40)

Two real panels with as many virtual hosts, one of them with HTTPS and a certificate for each. On that one, certificates are
replaced over `/api/v1` one by one, while clients shake hands without a pause, each time on a new connection that resumes nothing:
half of them TLS 1.2, half 1.3, mostly for the name whose certificate is being replaced. A handshake fails if it ends, or if it
gets another certificate than the one before or the new one; after the response to the save, another than the new one. Then the
same without them, and both panels save a change of one server, and of one policy, in turns. Start and reload are HAProxy's own,
by hand.
"""

import argparse
import asyncio
import os
import random
import ssl
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx2

from bench.memory import resident
from bench.paired_saves import Change, in_turns, timed_answer
from bench.save import fill, log_in, medians, milliseconds, percentile, worker
from bench.stack import find_haproxy
from guardpanel.certificates import contents, making
from guardpanel.certificates.reading import Parsed
from guardpanel.database import Database
from guardpanel.engines.tls.handshakes import first_of
from guardpanel.models.certificates.certificate import Certificate, KeyType, Source
from guardpanel.sealing import Seal
from tests.live.tls import context, handshake
from tests.panel import Panel, origin_server, running_panel

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
OTHERS = 4
"One handshake in so many is for another name than the one whose certificate is replaced."


@dataclass
class Handshakes:
    """Clients that connect again and again, until the block ends."""

    place: tuple[str, int]
    names: list[str]
    served: dict[str, set[bytes]]
    "By name: what a handshake that begins now may get."
    now: str = ""
    "The name whose certificate is being replaced."
    count: int = 0
    failures: list[str] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._run, args=(version,)) for version in VERSIONS]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _run(self, version: ssl.TLSVersion) -> None:
        client, chance = context(version), random.Random(version)
        while not self._over.is_set():
            name = self.now if self.now and chance.randrange(OTHERS) else chance.choice(self.names)
            self._shake(client, name)

    def _shake(self, client: ssl.SSLContext, name: str) -> None:
        allowed, began = set(self.served[name]), time.perf_counter()
        try:
            with handshake(self.place, name, client) as connection:
                leaf = connection.getpeercert(binary_form=True) or b""
        except OSError as error:
            failure = f"{name}: {error!r}"
        else:
            failure = "" if leaf in allowed | self.served[name] else f"{name}: an old certificate"
        with self._lock:
            self.count += 1
            self.milliseconds.append(1000 * (time.perf_counter() - began))
            self.failures += [failure] if failure else []


def made(authority: Parsed, name: str) -> Parsed:
    return making.by_authority([name], KeyType.ECDSA, authority, datetime.now(UTC))


async def certify(panel: Panel, authority: Parsed, names: list[str]) -> dict[str, set[bytes]]:
    """Each virtual host over HTTPS, with a certificate of its own. What handshakes get, by name."""
    database, seal = Database(f"sqlite+aiosqlite:///{panel.data / 'guardpanel.db'}"), Seal.at(panel.data / "secret.key")
    served = {}
    async with database.write() as session:
        for name in names:
            row, parsed = Certificate(name=name, source=Source.UPLOAD, names=[]), made(authority, name)
            session.add(row)
            await session.flush()
            await contents.add_content(session, seal, row, parsed)
            served[name] = {first_of(parsed.chain_pem.encode())}
        await (await session.connection()).exec_driver_sql("UPDATE virtualhost SET https = 1")
    await database.close()
    return served


def replace_one(
    client: httpx2.Client, authority: Parsed, shakes: Handshakes, at: int
) -> tuple[float, dict[str, float]]:
    """Seconds until the response, and of its steps."""
    name = shakes.names[at % len(shakes.names)]
    new = made(authority, name)
    before, shakes.now = shakes.served[name], name
    shakes.served[name] = before | {first_of(new.chain_pem.encode())}
    body = {"certificate": new.chain_pem, "private_key": new.key_pem.decode(), "save_anyway": True}
    seconds, answer = timed_answer(client, f"/api/v1/certificates/{at % len(shakes.names) + 1}", body)
    shakes.served[name] = shakes.served[name] - before
    steps = {step["name"]: step["seconds"] for step in answer["deployment"]["steps"]}
    assert "reload" not in steps, steps
    return seconds, steps


def swaps(client: httpx2.Client, authority: Parsed, shakes: Handshakes, least: int, handshakes: int) -> str:
    """Until there were enough of both."""
    whole, steps = list[float](), dict[str, list[float]]()
    with shakes.running() if handshakes else nullcontext():
        while len(whole) < least or shakes.count < handshakes:
            seconds, its = replace_one(client, authority, shakes, len(whole))
            whole.append(seconds)
            for name in its:
                steps.setdefault(name, []).append(its[name])
    for failure in shakes.failures[:5]:
        print(failure)
    times = shakes.milliseconds or [0.0]
    return (
        f"| {len(whole)} | {milliseconds(steps['swap'])} | {milliseconds(whole)} | {medians(steps)} | {shakes.count:,} "
        f"| {len(shakes.failures)} | {statistics.median(times):.1f} / {percentile(times, 0.99):.0f} |"
    )


def start_of(panel: Panel, binary: str) -> float:
    """Milliseconds of processor time for HAProxy to load the configuration (`haproxy -c`)."""
    before = os.times()
    command = [binary, "-c", "-f", str(panel.data / "current" / "haproxy.cfg")]
    subprocess.run(command, check=True, capture_output=True, cwd=panel.data)
    after = os.times()
    return 1000 * (after.children_user + after.children_system - before.children_user - before.children_system)


def measure(version: str, count: int, given: argparse.Namespace) -> None:
    binary, authority = find_haproxy(version), making.authority(datetime.now(UTC))
    names = [f"h{at}.bench.example" for at in range(count)]
    with ExitStack() as stack:
        ports = stack.enter_context(origin_server()), stack.enter_context(origin_server())
        panels = {}
        for name in ("without", "with certificates"):
            panel = stack.enter_context(running_panel(binary))
            panel.stop()
            place = "127.0.0.1", panel.https_port
            asyncio.run(fill(f"sqlite+aiosqlite:///{panel.data / 'guardpanel.db'}", count, ports[0]))
            served = asyncio.run(certify(panel, authority, names)) if name != "without" else {}
            panel.start()
            panels[name] = panel, log_in(panel)
        panel, client = panels["with certificates"]
        print(
            "| swaps | swap p50 / p95 ms | whole save p50 / p95 ms | its steps | handshakes | failed | handshake p50 / p99 ms |"
            "\n|---|---|---|---|---|---|---|"
        )
        shakes = Handshakes(place, names, served)
        print(swaps(client, authority, shakes, given.swaps, given.handshakes), flush=True)
        quiet = Handshakes(place, names, served)
        print(swaps(client, authority, quiet, given.swaps, 0), flush=True)
        policy = client.get("/api/v1/policies", params={"q": "Bench"}).json()["items"][0]["id"]
        changes: dict[str, Change] = {
            "routing": lambda at: (
                "/api/v1/vhosts/1",
                {"backends": [{"url": f"http://127.0.0.1:{ports[1 - at % 2]}"}]},
            ),
            "policy": lambda at: (f"/api/v1/policies/{policy}", {"inbound_anomaly_threshold": 50 + at}),
        }
        for kind, change in changes.items():
            print(
                f"\n| {kind} save | p50 / p95 ms | the panel's processor ms | steps | reload by hand p50 / p95 ms |"
                "\n|---|---|---|---|---|"
            )
            print(in_turns(panels, change, given.rounds), flush=True)
        for name, (panel, _) in panels.items():
            pid = int(worker(panel.data / "run" / "haproxy-master.sock"))
            print(
                f"{name}: worker {resident(pid):.0f} MiB, `haproxy -c` {start_of(panel, binary):.0f} ms of the processor"
            )


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--certificates", type=int, default=1000)
    arguments.add_argument("--swaps", type=int, default=40)
    arguments.add_argument("--handshakes", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=10)
    arguments.add_argument("--haproxy", nargs="+", default=["2.6", "2.8"])
    given = arguments.parse_args()
    for version in given.haproxy:
        print(f"\nHAProxy {version}, load {os.getloadavg()[0]:.1f}\n", flush=True)
        measure(version, given.certificates, given)


if __name__ == "__main__":
    main()
