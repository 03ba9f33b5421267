"""`kill -9` of the ingest, and of the agent beside it, while events are read: `make events-kills`.

    python -m tests.crash.event_kills [--kills 100] [--haproxy 2.8] [--seed N] [--events 30000] [--mutation NAME]

A real HAProxy and agent under attacks, and a backlog of the agent's own lines, so that the ingest always has a batch under
way; it is killed at moments by chance, from its start on. In the end every line of the files must have its event, once,
and every counter must be the number of what it counts.
"""

import argparse
import http.client
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from guardpanel.engines.processes.proc import listener_of
from guardpanel.events.lines import unpacked
from guardpanel.ingest import agent_line, proxy_line, recorded
from guardpanel.settings import Settings
from tests.haproxies import haproxy_binary
from tests.live.origins import origin
from tests.live.stack import Stack, wait_until
from tests.panel import ROOT
from tests.rows import rows

ATTACKS = (
    "/list?id=1%27%20OR%20%271%27%3D%271", "/?q=%3Cscript%3Ealert(1)%3C/script%3E", "/?f=../../../../etc/passwd",
    "/?x=%24%7Bjndi:ldap://x/a%7D", "/about", "/",
)  # fmt: skip
HOSTS = ("blocks.test", "watches.test", "nobody.test")

PER_SEGMENT = 3_000
"Events of the backlog in a file."

EVERY = 5
"Kills of the ingest, to each of which comes one of the agent."

BETWEEN = "between"
"The file that a mutation makes in the middle of what it tore apart; it waits there to be killed, once."

WAIT_THERE = (
    "import os, pathlib, time\n"
    "def wait_there():\n"
    f"    between = pathlib.Path(os.environ['GUARDPANEL_DATA_DIR'], '{BETWEEN}')\n"
    "    if not between.exists():\n"
    "        between.touch(); time.sleep(600)\n"
)

MUTATIONS = {
    "two transactions": "from guardpanel.ingest.run import Ingest\n"
    "remember = Ingest._remember\n"
    "def apart(self, *args):\n"
    "    self.connection.execute('COMMIT'); wait_there()\n"
    "    self.connection.execute('BEGIN IMMEDIATE'); remember(self, *args)\n"
    "Ingest._remember = apart\n",
    "place first": "from guardpanel.ingest.run import Ingest\n"
    "remember = Ingest._remember\n"
    "def step(self, *args, old=Ingest.step):\n"
    "    found, logged = self.segments.read(2000), self.access_log.read()\n"
    "    self.segments.go_back()\n"
    "    self.connection.execute('BEGIN IMMEDIATE')\n"
    "    remember(self, found, logged.position, found.counted + logged.counted)\n"
    "    self.connection.execute('COMMIT')\n"
    "    wait_there()\n"
    "    return old(self, *args)\n"
    "Ingest.step = step\n",
}
"Promises that are taken away, as code that is run before the ingest: what looks for faults must find them."


@dataclass
class Truth:
    """What the files say, line by line, as nobody who is killed would read them."""

    agent: Counter[str] = field(default_factory=Counter)
    recorded: Counter[bytes] = field(default_factory=Counter)
    proxy: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)


class Ground:
    def __init__(self, stack: Stack, seed: int, mutation: str) -> None:
        self.stack, self.chance, self.mutation = stack, random.Random(seed), mutation
        self.settings = Settings(data_dir=stack.folder)
        self.process: subprocess.Popen[bytes] | None = None

    # What runs

    def start(self) -> None:
        planted = WAIT_THERE + MUTATIONS[self.mutation] if self.mutation else ""
        words = f"{planted}from guardpanel.cli import main; main(['ingest'])"
        environment = {
            "PATH": os.environ["PATH"],
            "GUARDPANEL_DATA_DIR": str(self.stack.folder),
            "PYTHONPATH": str(ROOT),
        }
        with (self.stack.folder / "ingest.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", words], env=environment, stdout=output, stderr=output
            )

    def kill(self) -> None:
        assert self.process is not None
        assert self.process.poll() is None, (self.stack.folder / "ingest.log").read_text()[-3000:]
        self.process.kill()
        self.process.wait()

    def live_a_while(self) -> None:
        """Into its start, into its work, or to the moment at which it writes to its database; at first to where a mutation waits."""
        between = self.settings.data_dir / BETWEEN
        if self.mutation and not between.exists():
            wait_until(between.exists, "the mutation comes to its place")
            return
        kind = self.chance.random()
        if kind < 0.1:
            time.sleep(self.chance.uniform(0.0, 0.6))
            return
        wait_until(lambda: listener_of(self.settings.ingest_socket), "the ingest answers")
        if kind > 0.4:
            self.await_write()
        time.sleep(self.chance.uniform(0.0, 0.4))

    def await_write(self) -> None:
        log = self.settings.data_dir / "events.db-wal"
        before, ends = written(log), time.monotonic() + 5
        while written(log) == before and time.monotonic() < ends:
            time.sleep(0.001)

    def kill_agent(self) -> None:
        os.kill(self.stack.agent.pid, signal.SIGKILL)
        self.stack.agent.wait()
        self.stack.start_agent()

    def attack(self, ending: threading.Event) -> None:
        """As visitors, on kept connections, until the end."""
        chance = random.Random(1)
        while not ending.is_set():
            connection = http.client.HTTPConnection(*self.stack.address, timeout=60)
            with closing(connection), suppress(OSError, http.client.HTTPException):
                for _ in range(50):
                    headers = {"host": chance.choice(HOSTS), "user-agent": "Mozilla/5.0", "accept": "*/*"}
                    connection.request("GET", chance.choice(ATTACKS), headers=headers)
                    connection.getresponse().read()
                    if ending.wait(0.002):
                        return

    def pile_up(self, events: int) -> None:
        """A backlog in older files: the agent's own lines under ids of their own."""
        lines = [json.loads(line) for path in self.segments() for line in path.read_bytes().split(b"\n")[:-1]]
        lines = [line for line in lines if "recorded" not in line]
        assert lines
        for number in range(events // PER_SEGMENT):
            with (self.settings.events_dir / f"{number + 1:020d}.jsonl").open("wb") as segment:
                for _ in range(PER_SEGMENT):
                    copy = {**self.chance.choice(lines), "id": str(uuid.UUID(int=self.chance.getrandbits(128)))}
                    segment.write(json.dumps(copy, separators=(",", ":")).encode() + b"\n")

    def segments(self) -> list[Path]:
        return sorted(self.settings.events_dir.glob("*.jsonl"))

    # What came of it

    def finish(self) -> None:
        """One that nobody kills reads what is left."""
        self.start()
        wait_until(lambda: listener_of(self.settings.ingest_socket), "the ingest answers")
        wait_until(self.is_done, "everything is read", 600)
        assert self.process is not None
        self.process.terminate()
        assert self.process.wait(60) == 0

    def is_done(self) -> bool:
        with closing(sqlite3.connect(f"file:{self.settings.events_database}?mode=ro", uri=True)) as events:
            places = dict(events.execute("SELECT name, offset FROM segment").fetchall())
            (position,) = events.execute("SELECT offset FROM access_log").fetchone() or (0,)
        whole = all(places.get(path.name) == path.stat().st_size for path in self.segments()[:-1])
        newest = self.segments()[-1]
        return (
            whole
            and places.get(newest.name, 0) > newest.read_bytes().rfind(b"\n")
            and position == self.settings.access_log.stat().st_size
        )

    def truth(self) -> Truth:
        truth = Truth()
        for path in self.segments():
            *lines, rest = path.read_bytes().split(b"\n")
            truth.counted["torn"] += bool(rest) and path != self.segments()[-1]
            ordinary = [line for line in lines if line.startswith(recorded.MARK)]
            truth.recorded.update(ordinary)
            truth.agent.update(agent_line.read(line, "").request_id for line in lines if line not in ordinary)
        for line in self.settings.access_log.read_bytes().split(b"\n")[:-1]:
            if read := proxy_line.read(line):
                truth.proxy[read.request_id] += 1
            else:
                truth.counted["ordinary" if proxy_line.NOT_OURS in line else "own"] += 1
        truth.counted["recorded"] = truth.recorded.total()
        truth.counted["events"] = len({*truth.agent, *truth.proxy})
        truth.counted["repeated"] = sum(count - 1 for counts in (truth.agent, truth.proxy) for count in counts.values())
        return truth

    def faults(self, truth: Truth) -> list[str]:
        with closing(sqlite3.connect(self.settings.events_database)) as events:
            sound = events.execute("PRAGMA integrity_check").fetchone()[0]
            stored = events.execute(
                "SELECT request_id, heard, lines FROM event LEFT JOIN event_line USING (id)"
            ).fetchall()
            rules = dict(events.execute("SELECT event, count(*) FROM event_rule GROUP BY event").fetchall())
            listed = {row[0]: len(row[1].split()) for row in events.execute("SELECT id, rules FROM event") if row[1]}
            ordinary = Counter(unpacked(row[0])[0] for row in events.execute("SELECT line FROM recorded"))
            counters = Counter(dict(events.execute("SELECT name, value FROM counter").fetchall()))
        heard = {
            "the agent's": ({row[0] for row in stored if unpacked(row[2])[0] and row[1] & 1}, truth.agent),
            "HAProxy's": ({row[0] for row in stored if unpacked(row[2])[1] and row[1] & 2}, truth.proxy),
        }
        wrong = [f"the file is damaged: {sound}"] if sound != "ok" else []
        for whose, (have, want) in heard.items():
            wrong += [f"{len(want.keys() - have)} of {whose} lost"] if want.keys() - have else []
            wrong += [f"{len(have - want.keys())} of {whose} from nowhere"] if have - want.keys() else []
        wrong += ["recorded requests are not those of the files"] if ordinary != truth.recorded else []
        wrong += ["rules that are not their events'"] if rules != listed else []
        for name in {*counters, *truth.counted}:
            if counters[name] != truth.counted[name]:
                wrong.append(f"{name}: {counters[name]} counted, {truth.counted[name]} are there")
        return wrong


def written(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0


def run(arguments: argparse.Namespace) -> int:
    print(f"seed {arguments.seed}", flush=True)
    recording = {"record_one_in": 1, "record_per_day": 10_000}
    policies = {
        "Blocks": {"enforcement_mode": "block", **recording},
        "Watches": {"enforcement_mode": "detect_only", **recording},
    }
    with origin() as server:
        common = {"servers": [{"address": server.address}], "health_check": False}
        hosts = {f"{name.lower()}.test": {**common, "policy": name} for name in policies}
        with Stack(haproxy_binary(arguments.haproxy), rows(policies, hosts), events=True) as stack:
            return kill_again_and_again(Ground(stack, arguments.seed, arguments.mutation), arguments)


def kill_again_and_again(ground: Ground, arguments: argparse.Namespace) -> int:
    ending, agents = threading.Event(), 0
    attacking = threading.Thread(target=ground.attack, args=(ending,))
    attacking.start()
    try:
        wait_until(
            lambda: ground.segments() and ground.segments()[0].stat().st_size > 200_000, "the agent wrote events"
        )
        ground.pile_up(arguments.events)
        for number in range(1, arguments.kills + 1):
            ground.start()
            ground.live_a_while()
            if number % EVERY == 0:
                ground.kill_agent()
                agents += 1
            ground.kill()
            if number % 10 == 0:
                print(f"{number} kills", flush=True)
    finally:
        ending.set()
        attacking.join()
    ground.stack.stop_agent()
    ground.finish()
    truth = ground.truth()
    faults = ground.faults(truth)
    for fault in faults:
        print(f"FAULT {fault}")
    print(
        f"{arguments.kills} kills of the ingest, {agents} of the agent: {truth.counted['events']} events, "
        f"{truth.counted['ordinary']} ordinary requests, {truth.counted['recorded']} recorded, {truth.counted['torn']} torn lines, {len(faults)} faults"
    )
    return 1 if faults else 0


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--haproxy", default="2.8")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--events", type=int, default=60_000, help="of the backlog")
    parser.add_argument("--mutation", default="", choices=["", *MUTATIONS])
    return run(parser.parse_args(words))


if __name__ == "__main__":
    sys.exit(main())
