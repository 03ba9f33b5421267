"""`kill -9` of the WAF agent, of HAProxy's worker and of its master at every step of a save: `make crash-engines`.

    python -m tests.crash.engine_kills [--passes 1] [--sample 20] [--haproxy 2.8] [--seed N] [--who agent] [--kind route] [--point '…']

The panel lives; `guardpanel up`'s supervisor starts again what died. The save must end live or refused in clear words, and
then everything must agree, without a restart of the panel. While an engine is dead requests may fail: they count again
as soon as everybody agrees.
"""

import argparse
import os
import random
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

from tests.crash.deeds import KINDS
from tests.crash.living import Living, Result, all_of, living
from tests.crash.sweep import is_waiting
from tests.crash.syscalls import Call, Verdict
from tests.haproxies import VERSIONS, haproxy_binary

WHO = ("agent", "worker", "master")
PATIENCE = 40.0


@dataclass(frozen=True)
class Job:
    who: str
    kind: str
    point: str


class Killer:
    """Kills an engine when the save comes by the point. Its pid is asked for before the save."""

    def __init__(self, found: Living, job: Job) -> None:
        self.found, self.job = found, job
        self.hit = False
        oracle = found.ground.oracle
        self.agent = int(oracle.agent_status()["pid"])
        self.master, self.workers = oracle.haproxy_processes()

    def __call__(self, call: Call, occurrence: int) -> Verdict:
        if not self.hit and f"{call.label} #{occurrence}" == self.job.point:
            self.hit = True
            self.found.ground.count.stop_counting()
            with suppress(ProcessLookupError):
                os.kill(self.pid(), signal.SIGKILL)
        return None

    def pid(self) -> int:
        """A reload during the save makes another worker the newest."""
        if self.job.who == "worker":
            with suppress(OSError, ValueError, IndexError):
                return self.found.ground.oracle.haproxy_processes()[1][0]
        return {"agent": self.agent, "master": self.master, "worker": self.workers[0]}[self.job.who]


def do(found: Living, job: Job) -> None:
    found.agreed(found.child(), (found.world(),), "before a pass")
    found.ground.count.count_again()
    killer = Killer(found, job)
    found.one(job.kind, killer, f"{job.who} killed at {job.point}, {job.kind}")
    found.result.hits += killer.hit


def learned(haproxy: str, seed: int, who: list[str], kinds: list[str]) -> list[Job]:
    """Steps that act; and of those that wait every tenth."""
    found: dict[str, list[str]] = {}
    with living(haproxy, seed, PATIENCE) as one:
        for kind in kinds:
            for point in one.one(kind, lambda _call, _occurrence: None, f"{kind} without a kill"):
                found.setdefault(point, []).append(kind)
    points = [point for point in found if not is_waiting(point)]
    points += [point for point in found if is_waiting(point)][::10]
    chance = random.Random(seed)
    return [Job(one_of, chance.choice(found[point]), point) for point in points for one_of in who]


def run(haproxy: str, seed: int, jobs: list[Job], sample: int | None) -> Result:
    jobs = list(jobs)
    random.Random(seed).shuffle(jobs)
    return all_of(jobs[:sample], haproxy, seed, PATIENCE, do)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=1, help="per point and engine")
    parser.add_argument("--sample", type=int, help="that many passes by chance, instead of all")
    parser.add_argument("--haproxy", choices=VERSIONS, default="2.8")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--who", choices=WHO, action="append")
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--point", help="this one alone")
    asked = parser.parse_args()
    began, haproxy = time.monotonic(), haproxy_binary(asked.haproxy)
    who, kinds = asked.who or list(WHO), asked.kind or ["route", "policy", "create", "delete"]
    if asked.point:
        jobs = [Job(one, kinds[0], asked.point) for one in who]
    else:
        jobs = learned(haproxy, asked.seed, who, kinds)
    print(f"HAProxy {asked.haproxy}, seed {asked.seed}: {len(jobs)} points", flush=True)
    result = run(haproxy, asked.seed, jobs * asked.passes, asked.sample)
    print(f"HAProxy {asked.haproxy}, seed {asked.seed}: {result} ({time.monotonic() - began:.0f} s)")
    for message, count in result.messages.most_common():
        print(f"  {count} × {message}")
    sys.exit(1 if result.divergences or result.unclear or result.failed else 0)


if __name__ == "__main__":
    main()
